"""The dashboard as it is written; test_watched.py tries its queries."""

import json
import re

from consumer.core.metrics import METRICS, PREFIX
from tests.deploy.tools import CHART

DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())


def test_the_dashboard_shows_every_metric() -> None:
    """Each metric answers a question of on call; one that answers none would not be there."""
    text = json.dumps(DASHBOARD)
    shown = set(re.findall(rf"{PREFIX}(\w+?)(?:_bucket|_sum|_count)?[^\w]", text))
    assert shown == {metric.name for metric in METRICS}


def test_the_dashboard_asks_its_questions_from_top_to_bottom() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Does it flow?",
        "How late is it?",
        "What is held, and why?",
        "What does the API say?",
        "What goes to the dead letters?",
        "How full are batches?",
        "Who owns what?",
        "How is Kafka?",
    ]


def test_no_panel_covers_another_and_each_says_what_it_means() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        assert panel["type"] == "row" or panel["description"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
