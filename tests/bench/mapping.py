"""What a mapping costs, in microseconds of CPU a record, beside the plain event's decoder.

    python -m tests.bench.mapping [--records 100000] [--rounds 7]

All kinds take turns in one run, and the best round of each counts, less what the loop itself costs:
so a busy machine disturbs them alike. ``whole`` is the decoding of the nested record into
dictionaries, which is what any other way of mapping begins with.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import msgspec

from consumer.core.decoder import EventDecoder
from tests.support.mapped import Beside, mapping

PLAIN = b'{"segment_id": 56, "action": "add", "id": "customer-42"}'
NESTED = (
    b'{"anonymousId":"6d1e-44","context":{"library":{"name":"analytics","version":"2.1"},'
    b'"personas":{"computation_class":"audience","computation_key":"vip"},'
    b'"traits":{"email":"ann@example.com"}},"event":"Audience Entered","integrations":{"All":true},'
    b'"messageId":"7b0f-11","originalTimestamp":"2026-11-02T10:00:00.000Z",'
    b'"properties":{"audience_key":"vip","vip":true},"receivedAt":"2026-11-02T10:00:01.000Z",'
    b'"type":"track","userId":"customer-42","version":2}'
)
ENTRIES = 10
EACH = msgspec.json.encode(
    {
        "person": {"email": "ann@example.com"},
        "segmentMembership": {
            "ups": {
                f"audience-{number}": {
                    "lastQualificationTime": "2026-11-02T10:00:00Z",
                    "status": "realized" if number % 2 else "exited",
                }
                for number in range(ENTRIES)
            }
        },
        "identityMap": {"email": [{"id": "ann@example.com"}]},
    }
)
UPDATE = (
    b'{"before":{"segment_id":56,"customer_id":"customer-42","since":"2026-11-02"},'
    b'"after":{"segment_id":57,"customer_id":"customer-42","since":"2026-11-03"},'
    b'"source":{"version":"3.0","connector":"postgresql","ts_ms":1,"db":"shop","table":"members"},'
    b'"op":"u","ts_ms":2}'
)
TABLE = "{ " + ", ".join(f"audience-{number} = {number + 1}" for number in range(ENTRIES)) + " }"

SAME = """
[[rule]]
segment_id = { path = "segment_id" }
action = { path = "action" }
id = { path = "id" }
"""
FLAT = """
[[rule]]
when = { type = ["joined", "left"] }
segment_id = { path = "list" }
action = { path = "type", add = ["joined"], remove = ["left"] }
id = { path = "customer" }
"""
FLAT_RECORD = b'{"type": "joined", "list": 56, "customer": "customer-42", "at": "2026-11-02"}'
AUDIENCES = """
[[rule]]
when = { type = "track", event = ["Audience Entered", "Audience Exited"] }
segment_id = { path = "properties.audience_key", map = { vip = 56, churned = 57 } }
action = { path = "event", add = ["Audience Entered"], remove = ["Audience Exited"] }
id = [{ path = "userId" }, { path = "context.traits.email", id_type = "email" }]
"""
MEMBERSHIPS = f"""
[[rule]]
each = "segmentMembership.ups"
segment_id = {{ path = "@key", map = {TABLE} }}
action = {{ path = "status", add = ["realized", "existing"], remove = ["exited"] }}
id = {{ path = "$.identityMap.email[0].id" }}
id_type = "email"
"""
UPDATES = """
[[rule]]
when = { op = "u" }
[[rule.change]]
action = "remove"
segment_id = { path = "before.segment_id" }
id = { path = "before.customer_id" }
[[rule.change]]
action = "add"
segment_id = { path = "after.segment_id" }
id = { path = "after.customer_id" }
"""
GONE = """
[[rule]]
when = { "$value" = { exists = false } }
action = "remove"
segment_id = { path = "$key.segment_id" }
id = { path = "$key.customer_id" }
"""
OF_A_TOPIC = """
[[rule]]
segment_id = { path = "$topic", map = { audiences = 56 } }
action = { path = "$headers.kind", add = ["joined"], remove = ["left"] }
id = { path = "$key" }
"""
BESIDE = Beside(
    of_key=b'{"segment_id": 56, "customer_id": "customer-42"}', of_headers=[("kind", b"joined")]
)


@dataclass
class Kind:
    """Something to be measured, and its best time so far, in seconds."""

    name: str
    bytes: int
    once: Callable[[], object]
    best: float = float("inf")


def kinds() -> list[Kind]:
    """Return what is measured; the first is the loop itself."""

    def of(name: str, text: str, value: bytes | None) -> Kind:
        by = mapping(text)
        if value is None:
            return Kind(name, 0, partial(by.read, None, BESIDE))
        return Kind(name, len(value), partial(by.read_value, value, BESIDE))

    return [
        Kind("nothing", 0, partial(len, PLAIN)),
        Kind("plain event", len(PLAIN), partial(EventDecoder("id").decode, PLAIN)),
        of("plain event, mapped", SAME, PLAIN),
        of("flat", FLAT, FLAT_RECORD),
        of("nested", AUDIENCES, NESTED),
        of("ignored", FLAT, NESTED),
        of("two changes", UPDATES, UPDATE),
        of(f"each, {ENTRIES} entries", MEMBERSHIPS, EACH),
        of("no value, the key", GONE, None),
        of("topic, key and header", OF_A_TOPIC, PLAIN),
        of("careful: one change of two", UPDATES, UPDATE.replace(b":57", b":0")),
        Kind("whole", len(NESTED), partial(msgspec.json.decode, NESTED)),
    ]


def cpu_seconds(once: Callable[[], object], times: Iterable[None]) -> float:
    """Return what it costs to do something so many times."""
    begun = time.process_time()
    for _ in times:
        once()
    return time.process_time() - begun


def measure(measured: list[Kind]) -> None:
    """Measure and print; the first is the loop itself, the second what the others exceed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for _ in range(given.rounds):
        for kind in measured:
            kind.best = min(kind.best, cpu_seconds(kind.once, [None] * given.records))
    nothing, plain = measured[0].best, measured[1].best
    print(f"{'kind':<30} {'bytes':>5} {'µs':>6} {'more':>6} {'times':>6}")
    for kind in measured[1:]:
        microseconds = (kind.best - nothing) / given.records * 1e6
        more = (kind.best - plain) / given.records * 1e6
        times = (kind.best - nothing) / (plain - nothing)
        print(f"{kind.name:<30} {kind.bytes:>5} {microseconds:>6.2f} {more:>6.2f} {times:>6.1f}")


def main() -> None:
    """Measure and print."""
    measure(kinds())


if __name__ == "__main__":
    main()
