"""Writes the table of values into the chart's README: ``python -m tests.deploy.values_table``."""

import re

from tests.deploy.chart import values
from tests.deploy.tools import CHART

HEAD = "| value | default | meaning |\n|---|---|---|\n"

if __name__ == "__main__":
    readme = CHART / "README.md"
    rows = "".join(f"| `{v.path}` | `{v.default}` | {v.meaning} |\n" for v in values())
    text = re.sub(rf"{re.escape(HEAD)}(\|.*\n)*", lambda _: HEAD + rows, readme.read_text())
    readme.write_text(text)
