"""The threads that carry requests: what becomes of one that hangs."""

import threading

from consumer.core.attempts import Attempt
from consumer.core.lanes import Batch, Lane
from consumer.core.outcomes import Answer, Answered, Broken, TimedOut
from consumer.customerio.api import Request
from consumer.customerio.carriers import Carriers
from consumer.engine.ports import Result
from tests.support.waiting import eventually

PATIENCE_SECONDS = 60.0
ACCEPTED = Answered(200, b"{}")


class Api:
    """Accepts at once, but hangs with the ids in ``hanging`` until it is let go."""

    def __init__(self, *hanging: str) -> None:
        self.lets_go = threading.Event()
        self._hanging = set(hanging)

    def post(self, request: Request) -> Answer:
        """Answer, or hang."""
        if not self._hanging.isdisjoint(request.ids):
            self.lets_go.wait()
        return ACCEPTED


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def attempt(name: str, deadline: float = 110.0) -> Attempt:
    batch = Batch(Lane(56, "id"), "add", opened_at=95.0, due_at=100.0)
    return Attempt(batch, (name,), 100.0, deadline)


def collect(carriers: Carriers) -> Result:
    """Return the next result."""
    (result,) = eventually(lambda: carriers.collect(0.1), PATIENCE_SECONDS, "a result")
    return result


def test_a_try_comes_back_with_its_answer() -> None:
    carriers, sent = Carriers(Api().post, Clock()), attempt("x")
    carriers.send(sent, lease_end=200.0)
    assert collect(carriers) == Result(sent, ACCEPTED, 0.0)


def test_whatever_sending_raises_comes_back_as_a_broken_connection() -> None:
    def post(_: Request) -> Answer:
        raise ValueError("nobody knows why")

    carriers = Carriers(post, Clock())
    for name in "xy":  # the carrier goes on
        carriers.send(attempt(name), lease_end=200.0)
        assert collect(carriers).answer == Broken("ValueError while sending")


def test_a_request_that_hangs_is_given_up_a_second_after_its_deadline() -> None:
    """Name resolution can't be interrupted. Another thread takes the place of its carrier."""
    api, clock = Api("x"), Clock()
    carriers, hanging, other = Carriers(api.post, clock), attempt("x"), attempt("y", 130.0)
    carriers.send(hanging, lease_end=200.0)
    clock.now = 111.0
    assert carriers.collect(0.0) == []
    clock.now = 111.1
    (result,) = carriers.collect(0.0)
    assert isinstance(result.answer, TimedOut)
    assert result.attempt is hanging
    carriers.send(other, lease_end=200.0)
    assert collect(carriers).attempt is other
    api.lets_go.set()


def test_each_that_hangs_is_given_up_in_its_own_time() -> None:
    """Whichever was sent first."""
    api, clock = Api("x", "y", "z"), Clock()
    carriers = Carriers(api.post, clock)
    for name, deadline in [("x", 120.0), ("y", 110.0), ("z", 130.0)]:
        carriers.send(attempt(name, deadline), lease_end=200.0)
    given_up = []
    for clock.now in (105.0, 111.1, 121.1, 131.1):
        given_up.append([each.attempt.ids for each in carriers.collect(0.0)])
    assert given_up == [[], [("y",)], [("x",)], [("z",)]]
    api.lets_go.set()


def test_i6_what_a_try_brings_back_that_was_given_up_is_thrown_away() -> None:
    """It was settled as timed out, and is not to be settled twice."""
    api, clock = Api("x"), Clock()
    carriers = Carriers(api.post, clock)
    carriers.send(attempt("x"), lease_end=200.0)
    clock.now = 111.1
    assert len(carriers.collect(0.0)) == 1
    api.lets_go.set()
    brought = carriers._results  # noqa: SLF001 - nobody hears of it otherwise
    eventually(brought.qsize, PATIENCE_SECONDS, "the late answer")
    assert carriers.collect(0.0) == []
    assert brought.empty()


def test_asking_what_an_answer_means_is_no_part_of_the_request() -> None:
    clock = Clock()

    def post(_: Request) -> Answer:
        clock.now += 2.0  # the request
        clock.now += 0.5  # and what its answer means
        return Answered(404, vouched=True, vouching_seconds=0.5)

    carriers = Carriers(post, clock)
    carriers.send(attempt("x", deadline=200.0), 1000.0)
    (result,) = carriers.collect(PATIENCE_SECONDS)
    assert result.seconds == 2.0
