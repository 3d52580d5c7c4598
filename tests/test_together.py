"""What is committed together: one topic that is refused hides nothing of the others."""

from consumer.core.ledger import Ledger
from consumer.core.together import TRY_AGAIN_SECONDS, Together
from consumer.engine.claims import Claims
from consumer.engine.ports import CommitAnswer

OFFSETS = {("a", 0): 5, ("a", 1): 7, ("b", 0): 3, ("c", 0): 1}
OF_A, OF_B, OF_C = (
    {name: offset for name, offset in OFFSETS.items() if name[0] == topic} for topic in "abc"
)


def refused_b() -> Together:
    """Return it after ``b`` was found to be what is refused."""
    together = Together()
    assert together.select(OFFSETS, 0.0) == OFFSETS
    together.refused(OFFSETS, OFFSETS, 0.0)
    for expected, is_refused in ((OF_A, False), (OF_B, True), (OF_C, False)):
        assert together.has_more
        assert together.select(OFFSETS, 0.0) == expected
        if is_refused:
            together.refused(expected, OFFSETS, 0.0)
        else:
            together.took(expected)
    assert not together.has_more
    return together


def test_after_a_refusal_each_topic_is_committed_alone_and_then_the_others_without_it() -> None:
    together = refused_b()
    assert together.select(OFFSETS, 1.0) == OF_A | OF_C
    assert together.without_refused(OFFSETS) == OF_A | OF_C


def test_a_topic_that_was_refused_is_tried_alone_now_and_then_until_it_is_taken() -> None:
    together = refused_b()
    for round_ in (1, 2):
        at = round_ * TRY_AGAIN_SECONDS
        assert together.select(OFFSETS, at - 0.1) == OF_A | OF_C
        assert together.select(OFFSETS, at) == OF_B
        assert together.select(OFFSETS, at) == OF_A | OF_C
        together.refused(OF_B, OFFSETS, at)
    at = 3 * TRY_AGAIN_SECONDS
    assert together.select(OFFSETS, at) == OF_B
    together.took(OF_B)
    assert together.select(OFFSETS, at) == OFFSETS


def test_a_topic_of_which_nothing_is_to_be_committed_waits_for_nothing() -> None:
    together = Together()
    together.refused(OFFSETS, OFFSETS, 0.0)
    assert together.select(OF_C, 0.0) == OF_C
    assert not together.has_more


def test_the_only_topic_is_committed_again_as_ever() -> None:
    together = Together()
    together.refused(OF_A, OF_A, 0.0)
    assert together.select(OF_A, 1.0) == OF_A


def claims() -> Claims:
    """Return what may be committed of a partition of each of two topics."""
    ledgers = {(topic, 0): Ledger(number, topic, 0, 5) for number, topic in enumerate("ab", 1)}
    return Claims(ledgers, lambda *_, **__: None)


def test_after_a_refusal_the_topics_are_committed_at_once_one_by_one() -> None:
    both = claims()
    sent = both.as_of_now(both.to_commit())
    assert both.answered(CommitAnswer({}, "refused", retriable=False), sent, 0.0)
    to_send, is_all = both.select(both.to_commit(), 0.0)
    assert (set(to_send), is_all) == ({("a", 0)}, False)


def test_a_topic_that_waits_to_be_committed_alone_hurries_nobody_when_there_is_nothing() -> None:
    """Else all partitions are gone through in each turn of the loop."""
    both = claims()
    sent = both.as_of_now(both.to_commit())
    both.answered(CommitAnswer({}, "refused", retriable=False), sent, 0.0)
    assert both.select({}, 0.0) == ({}, True)


def test_what_passes_or_is_refused_of_one_topic_alone_hurries_nobody() -> None:
    both = claims()
    sent = both.as_of_now(both.to_commit())
    assert not both.answered(CommitAnswer({}, "no answer"), sent, 0.0)
    of_a = {name: each for name, each in sent.items() if name[0] == "a"}
    assert not both.answered(CommitAnswer({}, "refused", retriable=False), of_a, 0.0)
