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
from tests.support import page_states

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = """</pre></script><img src=x onerror="document.title='pwned'"><b>"Q" & 'A'</b>"""
STATUS = {
    "version": HOSTILE,
    "host": HOSTILE,
    "group": HOSTILE,
    "started": "2026-01-02T03:04:05.678Z",
    "state": "held",
    "holds": [
        {
            "reason": "unauthorized",
            "since": "2026-01-02T03:04:05.678Z",
            "detail": HOSTILE,
            "next_probe": "2026-01-02T03:05:05.678Z",
        },
    ],
    "partitions": [
        {
            "topic": HOSTILE,
            "partition": 0,
            "position": 1234567,
            "committed": None,
            "lag": None,
            "unread": None,
            "paused": True,
            "blocked_by": {
                "segment_id": 41,
                "id_type": HOSTILE,
                "age_seconds": 754.2,
                "attempts": 23,
                "last_error": HOSTILE,
            },
        }
    ],
    "segments": [
        {
            "segment_id": 2147483647,
            "id_type": "cio_id",
            "pending": 12345,
            "in_flight": 0,
            "oldest_seconds": 3723.4,
            "attempts": 17,
            "last_error": HOSTILE,
            "last_error_at": "2026-01-02T03:04:05.678Z",
        }
    ],
    "api": {
        "url": HOSTILE,
        "concurrency_limit": 8,
        "in_flight": 3,
        "requests_per_second": 12.34,
        "last_error": HOSTILE,
        "last_error_at": "2026-01-02T03:04:05.678Z",
        "last_success_at": None,
    },
}
STEPS = tuple(
    {
        "at": f"2026-01-02T03:04:{seconds}.000Z",
        "seconds": 10.0,
        "delivered": 1230,
        "requests": {"200": 10, HOSTILE: 1},
        "latency_p50_seconds": None,
        "latency_p95_seconds": None,
        "lag": None,
        "unread": None,
        "held_ids": 109_000,
        "concurrency_limit": 8,
    }
    for seconds in range(10, 60, 10)
)
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
    assert references == {"data:,", "status", "history", "metrics", "readyz", "livez"}
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
    assert set(hints) >= set(HoldReason)
    words = re.search(r"WORDS = \{(.*?)\}", TEXT, re.DOTALL)
    assert words is not None
    assert set(re.findall(r'"([a-z-]+)": "', words[1])) == set(hints)


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
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="needs chromium; to get it: apt-get install chromium, or the like",
)
def test_a_browser_shows_what_is_published_and_runs_nothing_of_it(tmp_path: Path) -> None:
    tally = Tally()
    tally.add("ids_total", "add", "delivered", n=41_503)
    tally.add("offset_resets_total", HOSTILE)
    gauges: dict[Key, float] = {("held_ids",): 109e3, ("buffer_limit_ids",): 2e5, ("paused",): 1}
    board = Board(
        snapshot_of(tally.freeze(), gauges, STATUS, ("held",), STEPS), turned_at=clock.now()
    )
    server = HealthServer("127.0.0.1", 0, board, 30, "1.2.3")
    try:
        shown = Elements(browse(server.start(), tmp_path))
    finally:
        server.stop()
    texts = shown.texts
    assert "img" not in {tag for tag, _ in shown.found}
    assert texts["title"] == "Held · segment-consumer"
    assert texts["state"] == "Held"
    assert texts["headline"] == "Nothing is delivered: the API refuses the credentials."
    for name in ("version-fact", "host", "group", "api-url"):
        assert texts[name] == HOSTILE
    assert texts["api-error"].startswith(HOSTILE)
    assert texts["kafka-resets"].startswith(HOSTILE)
    assert texts["delivered-total"] == "41,503 in all"
    assert texts["delivered-rate"] == "0"
    assert texts["held-of"] == "55 % of 200,000"
    assert "unauthorized" in texts["notices"]
    assert "a probe is under way" in texts["notices"]
    assert "A probe is under way" in texts["next"]
    assert HOSTILE in texts["notices"]
    assert "CUSTOMERIO_API_KEY" in texts["notices"]
    assert "Reading is paused" in texts["notices"]
    assert HOSTILE in texts["partitions"]
    assert "13 min" in texts["partitions"]
    assert "62 min" in texts["segments"]
    assert "Answers by status" in texts["plots"]
    assert "ids/s 123" in texts["plots"]
    assert f"{HOSTILE} 0.1" in texts["plots"]


@pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="needs chromium; to get it: apt-get install chromium, or the like",
)
@pytest.mark.parametrize(
    ("state", "pill", "headline"),
    [
        ("well", "Running", "Well: delivering"),
        ("catching-up", "Running", "Catching up: about"),
        ("held", "Held", "Nothing is delivered: the API refuses the credentials."),
        ("api-down", "Held", "Nothing is delivered: "),
        ("stuck-segment", "Running, with failures", "Segment 41 fails; the others go on."),
        ("kafka-away", "Held", "Nothing is delivered: Kafka, or a topic, can't be "),
        ("registry-down", "Held", "In trouble: a schema can't be had."),
        ("partition-stalled", "Held", "In trouble: records wait in a partition, and none comes."),
        ("nothing-fits", "Running", "Reading "),
    ],
)
def test_the_page_says_first_whether_it_is_well(
    tmp_path: Path, state: str, pill: str, headline: str
) -> None:
    with page_states.serving(state) as address:
        texts = Elements(browse(address, tmp_path)).texts
    assert texts["state"] == pill
    assert texts["headline"].startswith(headline)
    assert texts["host"] == "segment-consumer-7c9d5b6f4-x2x8q"
    assert "The first figures" not in texts["plots"]
    if state == "nothing-fits":
        assert texts["headline"].endswith("none of them says who enters or leaves a segment.")
        assert "ignored" in texts["kafka-records"]
    if state == "stuck-segment":
        first = texts["partitions"].index("503 with 19 bytes of text")
        assert first < texts["partitions"].index("74 · email")
        assert texts["segments"].index("41 · id") < texts["segments"].index("60 · id")
        assert "23 attempts in a row failed" in texts["next"]
