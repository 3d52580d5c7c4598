"""A deployment on paper: what a load, an account and a number of members come to.

All of it follows from the settings' defaults, the daemon's own constants and the chart's rules, so
that the reference's tables are wrong as soon as one of those is another.
"""

import math
from collections.abc import Iterator

from consumer.core.throttle import Throttle
from consumer.engine.commits import RENEW_SECONDS
from consumer.kafka.lookup import LOOK_SECONDS
from consumer.kafka.observer import _SESSION_SECONDS, _SHORTEST_SECONDS
from consumer.settings import Settings
from consumer.settings.agreement import heartbeat_interval_seconds

CHANGES = 1_000_000  # a second
MEMBERS, PARTITIONS = 50, 600
GRANTED = 1_000  # requests a second, by the account
ENOUGH = 1_250
SURGE = 2  # processes of a rollout: one more than wanted, and one that drains still
OUTAGE_SECONDS = 600
SLOW_SECONDS = 1.0  # of an answer
SEGMENTS = (1_000, 10_000)  # keys
BYTES_AN_ID, BASE_MEBIBYTES, MEBIBYTE = 400, 128, 2**20

COUNTED = {
    "OffsetCommit": (58, 58),
    "Heartbeat": (19, 12),
    "Metadata": (45, 44),
    "ListOffsets": (21, 20),
}
"""In a minute of one busy member, of each protocol, as `asked` counted them."""


def default(name: str) -> float:
    """Return a setting's default."""
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    assert isinstance(value, int | float), name
    return float(value)


BATCH = int(default("batch_max_ids"))
TIMEOUT, DRAIN = default("customerio_timeout_seconds"), default("drain_timeout_seconds")
SESSION = default("kafka_session_timeout_seconds")


def share(granted: float) -> float:
    """Return what each process may send of what an account grants, as the chart divides it."""
    return math.floor(granted * 1000 / (MEMBERS + SURGE)) / 1000


def pace(rate: float) -> float:
    """Return how many requests a second a process starts in the long run."""
    throttle = Throttle(max_in_flight=8, requests_per_second=rate, max_backoff_seconds=1.0)
    throttle.started(0.0)
    first = throttle.earliest_start()
    throttle.started(first)
    return 1.0 / (throttle.earliest_start() - first)


def carried(granted: float) -> float:
    """Return how many changes a second all members send in full requests."""
    return MEMBERS * pace(share(granted)) * BATCH


def memory(held_ids: float) -> int:
    """Return the mebibytes that the chart wants for so many ids."""
    return BASE_MEBIBYTES + math.ceil(held_ids * BYTES_AN_ID / MEBIBYTE)


def busiest(keys: int) -> float:
    """Return how many of so many keys the member has that has the most, to be expected.

    Each key is one member's by chance, so that a member's are Poisson distributed.
    """
    mean = keys / MEMBERS
    expected, up_to, term = 0.0, 0.0, math.exp(-mean)
    for count in range(int(4 * mean) + 50):
        up_to += term
        term *= mean / (count + 1)
        expected += 1.0 - min(up_to, 1.0) ** MEMBERS
    return expected


def limits() -> Iterator[tuple[str, str, str]]:
    """Yield what limits: what, how it is worked out, and what it comes to."""
    slack = share(GRANTED) / pace(share(GRANTED))
    most, behind = carried(GRANTED), CHANGES - carried(GRANTED)
    needed = CHANGES / BATCH * (MEMBERS + SURGE) / MEMBERS * slack
    enough = carried(ENOUGH)
    yield (
        f"{GRANTED:,} requests/s, at the very most",
        f"{GRANTED:,} · `BATCH_MAX_IDS`",
        f"{GRANTED * BATCH:,} changes/s",
    )
    yield (
        "a process's share of them",
        f"{GRANTED:,} / ({MEMBERS} members + {SURGE} in a rollout), rounded down",
        f"{share(GRANTED):.3f} requests/s",
    )
    yield (
        "what it starts of that in the long run",
        f"{share(GRANTED):.3f} / {slack:.2f}: at most 2·rate + 1 in any 2 s, evenly",
        f"{pace(share(GRANTED)):.2f} requests/s",
    )
    yield (
        f"what {MEMBERS} members send",
        f"{MEMBERS} · {pace(share(GRANTED)):.2f} · {BATCH:,}",
        f"{most:,.0f} changes/s",
    )
    yield (
        "the same with `staticMembership`, which has no surge",
        f"{MEMBERS} · {pace(GRANTED / MEMBERS):.2f} · {BATCH:,}",
        f"{MEMBERS * pace(GRANTED / MEMBERS) * BATCH:,.0f} changes/s",
    )
    yield (
        "what stays in Kafka",
        f"{CHANGES:,} - {most:,.0f}",
        f"{behind:,.0f} changes/s, {behind * 3600 / 1e6:.0f} million an hour",
    )
    yield (
        "requests/s that carry it",
        f"{CHANGES:,} / {BATCH:,} · {MEMBERS + SURGE}/{MEMBERS} · {slack:.2f}",
        f"{needed:,.0f}, and nothing to catch up with",
    )
    yield (
        f"with {ENOUGH:,} requests/s",
        f"{MEMBERS} · {pace(share(ENOUGH)):.2f} · {BATCH:,}",
        f"{enough:,.0f} changes/s, of which the load takes {CHANGES / enough:.0%}",
    )
    yield (
        f"catching up with {OUTAGE_SECONDS // 60} minutes of outage, then",
        f"{OUTAGE_SECONDS} s · {CHANGES:,} / ({enough:,.0f} - {CHANGES:,})",
        f"{OUTAGE_SECONDS * CHANGES / (enough - CHANGES) / 60:.0f} minutes",
    )


def member() -> Iterator[tuple[str, str, str]]:
    """Yield what one member has, in the same way."""
    load, rate = CHANGES / MEMBERS, pace(share(ENOUGH))
    buffer, flights = int(default("buffer_max_ids")), int(default("customerio_max_in_flight"))
    yield "partitions", f"{PARTITIONS} / {MEMBERS}", f"{PARTITIONS / MEMBERS:g}"
    yield "changes/s", f"{CHANGES:,} / {MEMBERS}", f"{load:,.0f}"
    yield (
        "`CUSTOMERIO_REQUESTS_PER_SECOND`",
        f"{ENOUGH:,} / ({MEMBERS} + {SURGE}), rounded down",
        f"{share(ENOUGH):.3f}",
    )
    yield (
        f"`CUSTOMERIO_MAX_IN_FLIGHT`: {flights} are enough for answers within",
        f"{flights} / {rate:.2f} (Little's law)",
        f"{flights / rate:.2f} s",
    )
    yield (
        f"`CUSTOMERIO_MAX_IN_FLIGHT` where they take {SLOW_SECONDS:g} s",
        f"{rate:.2f} · {SLOW_SECONDS:g} s, rounded up",
        f"{math.ceil(rate * SLOW_SECONDS)}",
    )
    yield (
        f"`BUFFER_MAX_IDS`: {buffer:,} last",
        f"{buffer:,} / {load:,.0f}; what comes later waits in Kafka",
        f"{buffer / load:g} s",
    )
    yield (
        f"`DRAIN_TIMEOUT_SECONDS`: {DRAIN:g} s are enough for",
        f"({DRAIN:g} - `CUSTOMERIO_TIMEOUT_SECONDS` {TIMEOUT:g}) · {rate:.2f}",
        f"{(DRAIN - TIMEOUT) * rate:.0f} batches",
    )
    ready = math.ceil(DRAIN) + 10 + math.ceil(default("batch_linger_seconds") + TIMEOUT)
    yield (
        "a rollout, at least",
        f"{MEMBERS} · {ready} s, for which the chart has a new member be ready first",
        f"{MEMBERS * ready / 60:.0f} minutes",
    )
    for keys in SEGMENTS:
        most, mean = busiest(keys), keys / MEMBERS
        yield (
            f"the busiest member, with {keys:,} segments of a size as keys",
            f"{most:.0f} segments of {mean:g} (Poisson, the most of {MEMBERS})",
            f"{most / mean:.2f} times the mean",
        )


def requests() -> Iterator[tuple[str, ...]]:
    """Yield kinds of requests to Kafka.

    To whom, how often from a member, what all members send a second, and what was counted.
    """
    commit = min(RENEW_SECONDS, default("commit_interval_seconds"))
    beats = [heartbeat_interval_seconds(protocol, SESSION) for protocol in ("classic", "consumer")]
    rounds, looks = 1 / _SHORTEST_SECONDS, 1 / LOOK_SECONDS
    commits = f"every {commit:g} s while it holds anything"
    heartbeats = f"every {beats[0]:g} s, with KIP-848 {beats[1]:g} s"
    metadata = f"2 every {_SHORTEST_SECONDS:g} s, 1 every {LOOK_SECONDS:g} s"
    sent = (
        ("OffsetCommit", "coordinator", commits, [1 / commit] * 2),
        ("Heartbeat", "coordinator", heartbeats, [1 / each for each in beats]),
        ("Metadata", "any, controller", metadata, [2 * rounds + looks] * 2),
        ("ListOffsets", "each leader", f"every {_SHORTEST_SECONDS:g} s", [rounds] * 2),
    )
    for name, to, often, rates in sent:
        counted = [str(each) for each in COUNTED[name]]
        yield name, to, often, *(f"{MEMBERS * rate:.1f}" for rate in rates), *counted
    configs = 2 / _SESSION_SECONDS
    often = f"with KIP-848 2 every {_SESSION_SECONDS:g} s"
    yield "DescribeConfigs", "any", often, "0", f"{MEMBERS * configs:.1f}", "0", "0"
