"""The page at ``/``: the status for people.

``page.html`` is complete in itself and loads nothing from elsewhere; its script refreshes it from
``/status`` and ``/metrics``. The status stands in it as text, too: for a browser without scripts,
and so that there is something to see before the first refresh.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

_TEMPLATE = files("consumer.observability").joinpath("page.html").read_text(encoding="utf-8")
_BEFORE, _AFTER = _TEMPLATE.split("{{status}}")


def render(status: Mapping[str, object]) -> str:
    """Return the page with ``status`` as its first content."""
    return _BEFORE + html.escape(json.dumps(dict(status), indent=2)) + _AFTER


def _sources(element: str) -> str:
    """Return the CSP sources that allow just what stands in the template's ``element``s."""
    contents = re.findall(rf"<{element}>(.*?)</{element}>", _TEMPLATE, re.DOTALL)
    hashes = (b64encode(sha256(content.encode()).digest()).decode() for content in contents)
    return " ".join(f"'sha256-{value}'" for value in hashes)


HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"script-src {_sources('script')}",
            f"style-src {_sources('style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "no-referrer",
}
"""What goes with the page: nothing runs or loads that is not in the template."""
