"""What differs from world to world, drawn from the seed."""

import random
from dataclasses import dataclass, replace

from consumer.core.rules import Rules
from consumer.engine.ports import Options


@dataclass(frozen=True, slots=True)
class Setup:
    """Durations in seconds of virtual time, shorter than real ones but in proportion."""

    protocol: str
    members: int
    partitions: int
    customers: int
    latency: float
    segments: tuple[int, ...]
    id_types: tuple[str, ...]
    records_per_second: float
    chaos_seconds: float
    faults_per_second: float
    session_seconds: float
    heartbeat_seconds: float
    rebalance_seconds: float
    tells_session: bool
    max_in_flight: int
    requests_per_second: float
    poll_records: int
    prefetch_records: int
    commit_timeout_seconds: float
    hiccups: float
    is_calm: bool
    is_patchy: bool  # nothing is wrong but a minority of the segments
    is_blind: bool  # observers see the cluster once, and never again
    look_seconds: float  # how old what they saw of the leaders may be
    is_torn: bool  # connections are reset all the time
    is_static: bool  # the members have names
    is_mapped: bool  # records are no events, and may say several things
    is_framed: bool  # records name a schema, which a registry has that is slow and fails
    rules: Rules
    options: Options


def draw_setup(seed: int) -> Setup:
    """Return the setup of a seed."""
    draw = random.Random(f"setup {seed}")
    is_calm = draw.random() < 0.1
    protocol = draw.choice(("classic", "new"))
    session = draw.choice((6.0, 8.0, 10.0))
    heartbeat = session / 6 if protocol == "classic" else draw.choice((0.7, 1.0))
    room = session - heartbeat - 2.01  # the lease must not be shorter than 2 s
    timeout = 1.5 if is_calm else min(draw.choice((0.8, 1.5, 3.0, 5.0)), room)
    drain = timeout + (4.0 if is_calm else draw.choice((0.3, 1.0, 4.0)))
    policy = draw.choice(("dead-letter",) * 5 + ("skip",))
    commit_interval = draw.choice((0.2, 1.0, 1.0, 3.0))
    rules = Rules(
        batch_max_ids=draw.choice((1, 3, 10, 10, 1000)),
        linger_seconds=draw.choice((0.0, 0.3, 1.0, 2.0)),
        buffer_max_ids=draw.choice((15, 60, 1000)),
        request_timeout_seconds=timeout,
        max_backoff_seconds=draw.choice((1.0, 4.0)),
        reject_policy=policy,
        dead_letter_max_consecutive=0,
    )
    options = Options(
        request_timeout_seconds=timeout,
        drain_timeout_seconds=drain,
        commit_interval_seconds=commit_interval,
        session_timeout_seconds=session,
        heartbeat_interval_seconds=heartbeat,
        offset_reset="earliest",
        needs_dead_letters=policy == "dead-letter",
    )
    max_in_flight = 8 if is_calm else draw.choice((1, 2, 8))
    requests_per_second = 1000.0 if is_calm else draw.choice((8.0, 30.0, 1000.0))
    latency = 0.01 if is_calm else draw.choice((0.01, 0.05, 0.3))
    is_patchy = not is_calm and draw.random() < 0.1
    filled = min(rules.batch_max_ids, 2 if is_patchy else 4)  # among many segments little
    capacity = min(requests_per_second, max_in_flight / latency) * filled
    crowd = tuple(range(11, 11 + (draw.choice((6, 20)) if is_patchy else draw.choice((0, 0, 6)))))
    if is_patchy:
        max_in_flight, requests_per_second = 8, max(30.0, requests_per_second)
        rules = replace(rules, buffer_max_ids=10_000)
    is_torn = not (is_calm or is_patchy) and draw.random() < 0.2
    if is_torn:  # drains that last
        drain = timeout + 6.0
        options = replace(options, drain_timeout_seconds=drain)
    odd_segments = draw.choice(((), (), (7,), (8,), (9,)))
    return Setup(
        protocol=protocol,
        members=1 if is_torn else draw.choice((1, 2, 2, 3, 3)),
        partitions=5 if is_torn else draw.choice((1, 2, 3, 5)),
        customers=draw.choice((2, 5, 20)),
        segments=draw.choice(((1,), (1, 2), (1, 2, 3))) + odd_segments + crowd,
        id_types=draw.choice((("id",), ("id",), ("id", "email"))),
        latency=latency,
        records_per_second=min(draw.choice((3.0, 10.0, 25.0)), capacity / 6),
        chaos_seconds=80.0 if is_patchy else draw.choice((10.0, 20.0, 35.0)),
        faults_per_second=0.5 if is_torn else draw.choice((0.1, 0.25, 0.5)),
        session_seconds=session,
        heartbeat_seconds=heartbeat,
        rebalance_seconds=drain + 20.0,
        tells_session=draw.random() < 0.5,
        max_in_flight=max_in_flight,
        requests_per_second=requests_per_second,
        poll_records=draw.choice((3, 50, 500)),
        prefetch_records=draw.choice((2, 20, 500)),
        commit_timeout_seconds=draw.choice((2.0, 6.0)),
        hiccups=draw.choice((0.0, 0.0, 0.002)),
        is_calm=is_calm,
        is_patchy=is_patchy,
        is_blind=random.Random(f"blind {seed}").random() < 0.1,
        look_seconds=random.Random(f"looks {seed}").choice((0.0, 2.0, 12.0)),
        is_torn=is_torn,
        is_static=protocol == "new" and draw.random() < 0.3,
        is_mapped=random.Random(f"mapped {seed}").random() < 0.3,
        is_framed=random.Random(f"framed {seed}").random() < 0.2,
        rules=rules,
        options=options,
    )
