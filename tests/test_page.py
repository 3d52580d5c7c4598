"""The page for people: complete in itself, and harmless whatever the status says."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from consumer import clock
from consumer.core.metrics import METRICS, PREFIX, Key
from consumer.core.outcomes import HoldReason
from consumer.core.snapshot import Board, initial_snapshot, snapshot_of
from consumer.core.tally import Tally
from consumer.observability import page
from consumer.observability.health import HealthServer

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = """</pre></script><img src=x onerror="document.title='pwned'"><b>"Q" & 'A'</b>"""
STATUS = {
    "version": HOSTILE,
    "state": "held",
    "holds": [
        {"reason": "unauthorized", "since": "2026-01-02T03:04:05.678Z", "detail": HOSTILE},
    ],
    "partitions": [
        {
            "topic": HOSTILE,
            "partition": 0,
            "position": 1234567,
            "committed": None,
            "lag": None,
            "paused": True,
        }
    ],
    "segments": [
        {
            "segment_id": 2147483647,
            "id_type": "cio_id",
            "pending": 12345,
            "in_flight": 0,
            "oldest_seconds": 3723.4,
            "last_error": HOSTILE,
        }
    ],
    "api": {
        "concurrency_limit": 8,
        "in_flight": 3,
        "requests_per_second": 12.34,
        "last_error": HOSTILE,
    },
}
TEXT = page.render(initial_snapshot("1.2.3").status)


class Elements(HTMLParser):
    """Every element with its attributes, and the texts by the ids or else tags around them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._around: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter the element, unless it is one of the void ones: those have no end."""
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self._around.append(dict(attrs).get("id") or tag)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        """Leave the element."""
        self._around.pop()

    def handle_data(self, data: str) -> None:
        """Add a text to all that it stands in."""
        for name in self._around:
            self.texts[name] = self.texts.get(name, "") + data


def test_the_page_loads_nothing_from_elsewhere() -> None:
    elements = Elements(TEXT).found
    assert not {tag for tag, _ in elements} & {"img", "iframe", "object", "embed", "base", "form"}
    references = {
        value
        for _, attributes in elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data")
    }
    assert references == {"data:,", "status", "metrics", "readyz", "livez"}
    assert not re.search(r"@import|url\(", TEXT)
    outside = set(re.findall(r"\bhttps?://[^\s\"'<]+", TEXT))
    assert outside == {"http://www.w3.org/2000/svg"}, "the name of SVG, which nobody loads"


def test_the_policy_allows_just_the_pages_own_script_and_style() -> None:
    policy = dict(
        part.split(" ", 1) for part in page.HEADERS["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", TEXT, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in page.HEADERS["Content-Security-Policy"]


def test_nothing_in_the_markup_would_be_blocked_by_the_policy() -> None:
    for _, attributes in Elements(TEXT).found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_script_writes_text_only() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", TEXT)


def test_the_status_stands_in_the_page_as_escaped_text() -> None:
    text = page.render(STATUS)
    assert HOSTILE not in text
    assert "<img" not in text
    assert json.loads(Elements(text).texts["status"]) == STATUS


def test_every_hold_has_a_hint_what_to_do() -> None:
    hints = re.findall(r"<dt>([a-z-]+)</dt><dd>[^<]{40,}</dd>", TEXT)
    assert sorted(hints) == sorted(HoldReason)


def test_the_script_asks_for_metrics_and_labels_that_exist() -> None:
    assert f'PREFIX = "{PREFIX}"' in TEXT
    names = {metric.name for metric in METRICS}
    asked = set(re.findall(r'(?:sum|by)\((?:h\.|last\.)?metrics, "([a-z_]+[a-z])"', TEXT))
    assert len(asked) > 10
    assert asked <= names
    outcomes = re.search(r"OUTCOMES = (\[.*?\])", TEXT)
    assert outcomes is not None
    (ids,) = (metric for metric in METRICS if metric.name == "ids_total")
    assert tuple(json.loads(outcomes[1])) == ids.labels[1].values


def browse(address: str, profile: Path) -> str:
    """Return the page's elements after a few refreshes in a real browser."""
    assert CHROMIUM is not None
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
        " --virtual-time-budget=5000 --dump-dom"
    )
    shown = subprocess.run(
        [CHROMIUM, *options.split(), f"--user-data-dir={profile}", f"http://{address}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    return shown.stdout.decode()


@pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="chromium isn't installed"
)
def test_a_browser_shows_what_is_published_and_runs_nothing_of_it(tmp_path: Path) -> None:
    tally = Tally()
    tally.add("ids_total", "add", "delivered", n=41_503)
    tally.add("offset_resets_total", HOSTILE)
    gauges: dict[Key, float] = {("held_ids",): 109e3, ("buffer_limit_ids",): 2e5, ("paused",): 1}
    board = Board(snapshot_of(tally.freeze(), gauges, STATUS, ("held",)), turned_at=clock.now())
    server = HealthServer("127.0.0.1", 0, board, 30, "1.2.3")
    try:
        shown = Elements(browse(server.start(), tmp_path))
    finally:
        server.stop()
    texts = shown.texts
    assert "img" not in {tag for tag, _ in shown.found}
    assert texts["title"] == "Held · segment-consumer"
    assert texts["state"] == "Held"
    assert texts["headline"] == "Nothing is delivered: unauthorized."
    assert texts["version"] == HOSTILE
    assert texts["api-error"] == HOSTILE
    assert texts["kafka-resets"].startswith(HOSTILE)
    assert texts["delivered-total"] == "41,503 in all"
    assert texts["delivered-rate"] == "0"
    assert texts["held-of"] == "55 % of 200,000"
    assert "Held: unauthorized" in texts["notices"]
    assert HOSTILE in texts["notices"]
    assert "CUSTOMERIO_API_KEY" in texts["notices"]
    assert "Reading is paused" in texts["notices"]
    assert HOSTILE in texts["partitions"]
    assert "1,234,567" in texts["partitions"]
    assert "1 h 02 min" in texts["segments"]
