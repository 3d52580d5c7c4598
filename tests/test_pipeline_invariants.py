"""The invariants of the whole core, in random worlds; see `tests.support.model`."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.model import Setup, World

STEPS = {
    "produce": 6,
    "poll": 5,
    "contradict": 5,
    "dispatch": 6,
    "settle": 7,
    "settle_well": 2,
    "apply": 3,
    "tick": 4,
    "wait": 3,
    "acknowledge": 3,
    "commit": 2,
    "flush": 2,
    "let_go": 1,
    "lose": 1,
    "assign": 3,
    "elsewhere": 1,
    "crash": 1,
    "flush_oldest": 1,
    "hold": 1,
}
NOTHING = ("nothing", 0)

steps = st.tuples(
    st.sampled_from([name for name, weight in STEPS.items() for _ in range(weight)]),
    st.integers(0, 2**16),
)
scripts = st.lists(st.just(NOTHING) | steps, min_size=60, max_size=160).map(
    lambda script: [step for step in script if step != NOTHING]
)
setups = st.builds(
    Setup,
    partitions=st.sampled_from((1, 2, 3)),
    batch_max_ids=st.sampled_from((3, 1, 12, 1000)),
    linger_seconds=st.sampled_from((5.0, 0.0, 30.0)),
    buffer_max_ids=st.sampled_from((1000, 5)),
    max_in_flight=st.sampled_from((2, 1, 8)),
    requests_per_second=st.sampled_from((1000.0, 2.0, 0.3)),
    max_backoff_seconds=st.sampled_from((60.0, 1.0)),
    reject_policy=st.sampled_from(("dead-letter", "dead-letter", "skip", "stall")),
    dead_letter_max_consecutive=st.sampled_from((0, 2)),
    default_id_type=st.sampled_from(("id", "email")),
    crowded=st.booleans(),
)


@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(setups, scripts)
def test_all_invariants_hold_whatever_happens(setup: Setup, script: list[tuple[str, int]]) -> None:
    World(setup).run(script)
