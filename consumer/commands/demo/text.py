"""What the demo says: the introduction, the progress, what happened on the way."""

import textwrap
from collections import deque
from collections.abc import Callable, Iterator

from consumer import __version__, clock
from consumer.commands.demo.stage import TIMES, Stage

Paint = Callable[[str, str], str]
"""A text and a colour's name to what is shown."""

_RATE_SECONDS = 2.0
_SHOWN_LOGS = 5
_WIDTH = 84


def introduction(stage: Stage, paint: Paint) -> Iterator[str]:
    """Yield what this is and where to look."""
    yield ""
    yield f"  {paint(f'segment-consumer {__version__}', 'bold')}: the real daemon between an"
    yield "  embedded Kafka and a stand-in of Customer.io's API. Nothing leaves this machine."
    yield ""
    for name, path in (("page", "/"), ("metrics", "/metrics"), ("status", "/status")):
        yield f"  {name:<8}  {paint(f'http://{stage.address}{path}', 'cyan')}"
    first, *others = (f"{name}={value}" for name, value in TIMES.items())
    yield paint(f"  settings  the defaults, but for shorter times: {first},", "dim")
    yield paint(f"            {', '.join(others)}", "dim")
    if mapping := stage.feeder.story.mapping:
        table = "EVENT_SEGMENTS has their audiences"
        yield paint(f"  records   as in Segment's calls: EVENT_MAPPING={mapping}; {table}", "dim")
    yield ""


class Progress:
    """How far it is; ``began_at`` is on ``clock.now()``."""

    def __init__(self, stage: Stage, began_at: float) -> None:
        self._stage = stage
        self._began_at = began_at
        self._delivered: deque[tuple[float, int]] = deque()

    def line(self) -> str:
        """Return it as a line."""
        snapshot = self._stage.board.snapshot
        delivered = snapshot.ids("delivered")
        report = self._stage.weather.report
        return (
            f"  {clock.now() - self._began_at:3.0f} s"
            f"  {snapshot.total('records_total'):>9,} events read"
            f"  {delivered:>9,} ids delivered, {self._rate(delivered):>6,.0f}/s"
            f"  {snapshot.total('requests_total'):>5,} requests"
            f"  {snapshot.total('held_ids'):>6,} held"
            f"  lag {self._lag():>6,}"
            f"  {snapshot.total('dead_letters_total')} dead letters"
            f"{f'  the API {report}' if report else ''}"
        )

    def _rate(self, delivered: int) -> float:
        """Return the ids delivered per second over the last seconds."""
        now, past = clock.now(), self._delivered
        past.append((now, delivered))
        while len(past) > 1 and now - past[0][0] > _RATE_SECONDS:
            at, before = past.popleft()
        at, before = past[0]
        return (delivered - before) / (now - at) if now > at else 0.0

    def _lag(self) -> int:
        """Return how many records were produced and are not committed."""
        return max(0, sum(self._stage.feeder.ends.values()) - self._stage.committed_records())


def on_the_way(stage: Stage, seconds: float) -> Iterator[str]:
    """Yield what happened."""
    snapshot, story, seen = stage.board.snapshot, stage.feeder.story, stage.weather.seen
    api = stage.standin.counters()
    ids, retries = snapshot.total("ids_received_total"), snapshot.total("retries_total")
    for text in (
        (
            f"{story.told:,} events with {ids:,} ids became {api.accepted:,} accepted requests,"
            f" {api.ids / max(1, api.accepted):,.0f} ids each on average, in {seconds:.1f} s."
        ),
        *([f"{story.ignored:,} records concern no segment: ignored."] if story.ignored else []),
        f"{story.turns:,} changes took back an earlier one of the same customer and segment.",
        (
            f"The API was down for a while (503 to {seen['down']} requests) and throttled (429 to"
            f" {seen['throttled']}); it accepted {seen['answer lost']} requests without an answer,"
            f" and {seen['applied late']} others so late that nobody was waiting for one any more."
            f" {retries} attempts were repeated."
        ),
        (
            f"It refused {seen['refused']} requests for an id or a segment that it doesn't take;"
            " the good ids in them were found and delivered."
        ),
    ):
        yield from textwrap.wrap(
            text, _WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False
        )


def complaints(stage: Stage, paint: Paint) -> Iterator[str]:
    """Yield the errors in the daemon's log."""
    errors = [line for line in stage.log() if line["level"] in {"error", "critical"}]
    for line in errors[:_SHOWN_LOGS]:
        yield paint(f"  - the daemon's log: {line['event']}: {line['message']}", "red")
