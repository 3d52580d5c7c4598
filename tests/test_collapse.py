"""A backlog collapses: what waits is each customer's last word, however often they flip.

In virtual time an outage of ten minutes, and a segment that fails for half an hour beside others;
against a real Kafka an outage of seconds.
"""

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import pytest

from consumer.core.attempts import Attempt
from consumer.core.outcomes import Answered, Outcome, outcome_of
from tests.support.cluster import Record
from tests.support.driver import DELIVERED, LINGER, TIMED_OUT, TIMEOUT, Driver
from tests.support.records import event
from tests.support.scenario import PATIENCE_SECONDS, assert_accounted
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

UNAVAILABLE = outcome_of(Answered(503))
TURN_SECONDS = 0.05
API_SECONDS = 0.05
FLIPPING = 1  # the segment whose customers flip
MOST_REQUESTS = 1.2  # to what so many ids would take at the least


class Accepted(NamedTuple):
    """A request that the API took."""

    at: float
    segment_id: int
    action: str
    ids: tuple[str, ...]


class Flow:
    """Records that come as time passes, and an API that answers ``says(segment, start)``.

    It takes ``slow`` seconds for segment 1, and `API_SECONDS` for the others.
    """

    def __init__(
        self,
        says: Callable[[int, float], Outcome],
        *,
        seed: int,
        slow: float = API_SECONDS,
        buffer_max_ids: int = 200_000,
    ) -> None:
        self.driver = Driver(requests_per_second=100.0, buffer_max_ids=buffer_max_ids)
        self.accepted: list[Accepted] = []
        self.most_held = 0
        self.began = self.driver.now
        self.draw = random.Random(seed)
        self._says, self._slow = says, slow
        self._unread: deque[bytes] = deque()
        self._flying: list[tuple[float, int, Attempt]] = []
        self._numbers = itertools.count()

    @property
    def seconds(self) -> float:
        """Return how long it has lasted."""
        return self.driver.now - self.began

    def turn(self, records: Iterable[bytes] = ()) -> None:
        """Read what came, as far as there is room; answer, and send what is due."""
        driver = self.driver
        driver.wait(TURN_SECONDS)
        self._unread.extend(records)
        taken = driver.read(*self._unread) if self._unread else 0
        for _ in range(taken):
            self._unread.popleft()
        while self._flying and self._flying[0][0] <= driver.now:
            self._answer(heapq.heappop(self._flying)[-1])
        for attempt in driver.attempts():
            takes = self._slow if attempt.batch.lane.segment_id == FLIPPING else API_SECONDS
            heapq.heappush(self._flying, (driver.now + takes, next(self._numbers), attempt))
        if self._unread:
            driver.pipeline.flush_oldest(driver.now, driver.throttle.slots)
        self.most_held = max(self.most_held, driver.pipeline.held_ids)

    def finish(self) -> None:
        """Go on until everything is delivered."""
        while self._unread or self.driver.pipeline.held_ids:
            self.turn()

    def _answer(self, attempt: Attempt) -> None:
        segment_id = attempt.batch.lane.segment_id
        outcome = self._says(segment_id, attempt.started_at - self.began)
        if outcome is DELIVERED:
            entry = Accepted(self.seconds, segment_id, attempt.batch.action, attempt.ids)
            self.accepted.append(entry)
        self.driver.answer(attempt, outcome, jitter=self.draw.random())


class Flips:
    """Customers of a segment, each in it or not; ``last`` has the last word of each."""

    def __init__(self, customers: int, draw: random.Random) -> None:
        self.names = [f"c{number}" for number in range(customers)]
        self.last = {name: draw.choice(("add", "remove")) for name in self.names}

    def flip(self, name: str) -> bytes:
        """Return a record of the customer's next change."""
        self.last[name] = "remove" if self.last[name] == "add" else "add"
        return event(self.last[name], name, segment=FLIPPING)


# -- all of the API is away -----------------------------------------------------------------------

OUTAGE_SECONDS = 600.0
CUSTOMERS = 10_000
FLIPS_EACH = 30


@pytest.mark.parametrize("seed", [1, 2])
def test_after_an_outage_of_ten_minutes_each_customers_last_word_is_sent_once(seed: int) -> None:
    flow = Flow(
        lambda _, started: UNAVAILABLE if started < OUTAGE_SECONDS else DELIVERED, seed=seed
    )
    flips = Flips(CUSTOMERS, flow.draw)
    names = flips.names * FLIPS_EACH
    flow.draw.shuffle(names)
    for turn in range(1, round(OUTAGE_SECONDS / TURN_SECONDS) + 1):
        count = len(names) * turn * TURN_SECONDS / OUTAGE_SECONDS
        read = flow.driver.ledgers[0].position
        flow.turn(flips.flip(name) for name in names[read : int(count)])
    flow.finish()
    assert Counter(name for each in flow.accepted for name in each.ids) == Counter(flips.names)
    said = {name: each.action for each in flow.accepted for name in each.ids}
    assert said == flips.last
    assert len(flow.accepted) <= MOST_REQUESTS * CUSTOMERS / 1000
    assert flow.most_held <= CUSTOMERS + 1000, "each once, and what was in flight"
    assert flow.driver.committable() == len(names)


# -- one segment is slow, or fails ----------------------------------------------------------------

MINUTES = 10
NEIGHBOURS = range(2, 12)
FLIPS_PER_SECOND = 100
SLOW_SECONDS = 9.0


def beside(says: Callable[[int, float], Outcome], slow: float = API_SECONDS) -> Flow:
    """Let 500 customers of a segment flip beside ten others, each with a new change a second."""
    flow = Flow(says, seed=1, slow=slow, buffer_max_ids=5_000)
    flips = Flips(500, flow.draw)
    per_turn = round(FLIPS_PER_SECOND * TURN_SECONDS)
    for turn in range(round(MINUTES * 60 / TURN_SECONDS)):
        records = [flips.flip(flow.draw.choice(flips.names)) for _ in range(per_turn)]
        if turn % round(1 / TURN_SECONDS) == 0:
            records += [event("add", f"{flow.seconds:.2f}", segment=each) for each in NEIGHBOURS]
        flow.turn(records)
    return flow


def of_neighbours(flow: Flow) -> list[Accepted]:
    return [each for each in flow.accepted if each.segment_id != FLIPPING]


def well(_: int, __: float) -> Outcome:
    return DELIVERED


def failing(segment_id: int, _: float) -> Outcome:
    return UNAVAILABLE if segment_id == FLIPPING else DELIVERED


def flaky(segment_id: int, started: float) -> Outcome:
    return UNAVAILABLE if segment_id == FLIPPING and int(started * 7) % 2 else DELIVERED


def often_late(segment_id: int, started: float) -> Outcome:
    return TIMED_OUT if flaky(segment_id, started) is UNAVAILABLE else DELIVERED


@pytest.mark.parametrize(
    ("says", "slow"),
    [
        (failing, API_SECONDS),
        (failing, SLOW_SECONDS),
        (flaky, API_SECONDS),
        (well, SLOW_SECONDS),
        (flaky, SLOW_SECONDS),
        (often_late, TIMEOUT),
    ],
    ids=["fails", "fails slowly", "is flaky", "slow", "is slow and flaky", "is often late"],
)
def test_i4_a_segment_that_is_slow_while_its_customers_flip_costs_its_neighbours_nothing(
    says: Callable[[int, float], Outcome], slow: float
) -> None:
    """With each id sent as soon as it could be, it had all slots: 9.5 s, and 4 times as often.

    Where it is slow and flaky, its failures made them fewer besides: 11 s.
    """
    flow = beside(says, slow)
    took = [each.at - float(name) for each in of_neighbours(flow) for name in each.ids]
    assert max(took) <= LINGER + 1.0
    assert len(of_neighbours(flow)) == len(of_neighbours(beside(well)))
    assert len(flow.accepted) - len(of_neighbours(flow)) <= 300
    assert flow.most_held <= 2_000


# -- a real one -----------------------------------------------------------------------------------

REAL_CUSTOMERS = 2_000
REAL_MAX_IDS = 50


@pytest.mark.long("an outage of half a minute")
def test_i2_after_a_real_outage_each_customers_last_word_is_sent_once(
    scenario: "Scenario",
) -> None:
    daemon = scenario.start_ready(
        BATCH_MAX_IDS=REAL_MAX_IDS,
        RETRY_MAX_BACKOFF_SECONDS=2,
        CUSTOMERIO_TIMEOUT_SECONDS=5,  # none is to be sent again because the machine is busy
        DRAIN_TIMEOUT_SECONDS=10,
        KAFKA_SESSION_TIMEOUT_SECONDS=15,
    )
    scenario.produce([Record("first", event("add", "first", segment=2))])
    scenario.await_all_committed()
    draw = random.Random(13)
    flips = Flips(REAL_CUSTOMERS, draw)
    names = flips.names * 20
    draw.shuffle(names)
    api = scenario.api
    before = api.counters()
    api.always(status=503)
    scenario.produce([Record(name, flips.flip(name)) for name in names])
    eventually(
        lambda: daemon.total("ids_received_total"),
        PATIENCE_SECONDS,
        "all flips to be read",
        until=(len(names) + 1.0).__eq__,
    )
    eventually(daemon.holds, PATIENCE_SECONDS, "a hold", until={"api-unavailable"}.__eq__)
    assert daemon.metric("held_ids") <= REAL_CUSTOMERS + 8 * REAL_MAX_IDS
    api.heal()
    scenario.await_all_committed()
    after = api.counters()
    assert after.ids - before.ids == REAL_CUSTOMERS
    assert api.members(FLIPPING) == {name for name in flips.names if flips.last[name] == "add"}
    assert api.removed(FLIPPING) == {name for name in flips.names if flips.last[name] == "remove"}
    assert after.accepted - before.accepted <= MOST_REQUESTS * REAL_CUSTOMERS / REAL_MAX_IDS
    assert_accounted(daemon.metrics())
