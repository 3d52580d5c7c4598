"""Dead letters on their way: what the broker did not take is sent again, in order."""

from collections.abc import Sequence

import pytest

from consumer.core.dead_letters import DeadLetter
from consumer.core.pipeline import Pipeline
from consumer.core.rules import Rules
from consumer.core.tally import Tally
from consumer.core.throttle import Throttle
from consumer.engine.mailbox import PATIENCE_SECONDS, RETRY_SECONDS, Mailbox
from consumer.engine.ports import Report
from tests.support.records import messages

RULES = Rules(
    batch_max_ids=1000,
    linger_seconds=1.0,
    buffer_max_ids=1000,
    request_timeout_seconds=10.0,
    max_backoff_seconds=60.0,
    reject_policy="dead-letter",
    dead_letter_max_consecutive=0,
)


class Topic:
    """Takes what is sent, and says of it what a test says: an error, or that it has it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: list[tuple[int, str | None]] = []  # how many of those in flight, the oldest
        self._in_flight: list[DeadLetter] = []

    def send(self, dead_letter: DeadLetter) -> bool:
        """Take it, by the offset of its record."""
        self.sent.append(dead_letter.source.rpartition(":")[2])
        self._in_flight.append(dead_letter)
        return True

    def poll(self, timeout_seconds: float = 0.0) -> Sequence[Report]:
        """Say what a test wants to be said."""
        assert timeout_seconds == 0
        reports = []
        for count, error in self.answers:
            reports += [Report(each, error) for each in self._in_flight[:count]]
            del self._in_flight[:count]
        self.answers.clear()
        return reports


class Place:
    """A pipeline with unreadable records, and the mailbox that sends them to a `Topic`."""

    def __init__(self) -> None:
        throttle = Throttle(max_in_flight=8, requests_per_second=100.0, max_backoff_seconds=60.0)
        self.pipeline = Pipeline(RULES, "id", throttle, Tally())
        self.ledger = self.pipeline.assign("audience", 0, 0, None)
        self.topic = Topic()
        self.mailbox = Mailbox(self.pipeline, self.topic, lambda *_, **__: None)
        self.now = 0.0

    def read(self, count: int, first_offset: int = 0) -> None:
        """Read records that nobody can read."""
        self.pipeline.receive(messages(*[b"?"] * count, first_offset=first_offset), self.now)

    def turn(self, *answers: tuple[int, str | None]) -> list[str]:
        """Turn once, later; return what was sent."""
        self.now += RETRY_SECONDS
        self.topic.sent.clear()
        self.topic.answers += answers
        self.mailbox.turn(self.now)
        return self.topic.sent


@pytest.mark.parametrize("polls", [[3], [1, 2], [2, 1], [1, 1, 1]])
def test_what_comes_back_is_sent_again_in_the_order_in_which_it_was_refused(
    polls: list[int],
) -> None:
    """A replay delivers in the topic's order: an add and a remove must not change places."""
    place = Place()
    place.read(3)
    assert place.turn() == ["0", "1", "2"]
    for count in polls:
        assert place.turn((count, "not authorized")) == []
    place.read(1, first_offset=3)
    assert place.turn() == ["0", "1", "2", "3"]


def test_nothing_overtakes_what_comes_back() -> None:
    place = Place()
    place.read(2)
    place.turn((1, "not authorized"))
    place.read(1, first_offset=2)
    assert place.turn((1, None)) == []
    assert place.turn() == ["0", "2"]


def test_what_came_back_and_was_released_meanwhile_is_not_sent_again() -> None:
    place = Place()
    place.read(2)
    place.turn((1, "not authorized"))
    place.pipeline.forget([place.ledger])
    place.turn((1, "not authorized"))
    assert place.turn() == []
    assert place.mailbox.trouble(place.now) == ""


def test_i11_what_came_back_holds_its_offset_until_the_broker_has_it() -> None:
    place = Place()
    place.read(1)
    place.turn((1, "not authorized"))
    assert place.ledger.committable() == 0
    place.turn()
    place.turn((1, None))
    assert place.ledger.committable() == 1
    assert place.mailbox.trouble(place.now) == ""


def test_a_trouble_is_told_when_a_dead_letter_has_waited_long_whatever_became_of_others() -> None:
    """Of some that are refused again and again, while others get through."""
    place = Place()
    place.read(1)
    place.turn()
    for offset in range(1, 3):
        place.turn((1, "no key"))
        place.read(1, first_offset=offset)
        assert place.turn() == ["0", str(offset)]
        assert place.mailbox.trouble(place.now) == ""
        place.turn((1, "no key"), (1, None))
        place.turn()
    place.now += PATIENCE_SECONDS
    assert place.mailbox.trouble(place.now) == "no key"
    place.turn((1, None))
    assert place.mailbox.trouble(place.now) == ""


def test_dead_letters_that_nobody_acknowledges_are_told_after_a_while() -> None:
    place = Place()
    place.read(2)
    place.turn()
    place.now += PATIENCE_SECONDS - 0.1
    assert place.mailbox.trouble(place.now) == ""
    place.now += 0.1
    assert place.mailbox.trouble(place.now).startswith("the broker has not acknowledged")
    place.turn((1, None))
    assert place.mailbox.trouble(place.now), "the other one waits still"
    place.turn((1, None))
    assert place.mailbox.trouble(place.now) == ""


def test_what_was_released_is_nobodys_trouble() -> None:
    place = Place()
    place.read(1)
    place.turn()
    place.pipeline.forget([place.ledger])
    place.now += PATIENCE_SECONDS
    assert place.mailbox.trouble(place.now) == ""
