"""Where a partition begins, with a committed offset and without, and where it goes on."""

import json

import pytest

from consumer.core.positions import (
    Going,
    Gone,
    Log,
    Loss,
    Position,
    Start,
    census_of,
    goes_on,
    metadata_text,
    start_of,
    topic_id_of,
)

OLD, NEW = "old-id", "new-id"

# Where reading goes on


def test_a_position_that_the_log_has_is_gone_on_with() -> None:
    for at in (10, 50, 100):
        assert goes_on(Position(at, 3, OLD), Log(10, 100, 3, OLD)) == Going(at, 3)


def test_deleted_records_are_passed_over() -> None:
    log = Log(60, 100, 3, OLD)
    for gone in (None, Gone(), Gone(None, is_compared=True)):
        assert goes_on(Position(50, 3, OLD), log, gone) == Going(60, None, Loss.DELETED)


def test_a_log_that_was_cut_off_is_gone_on_with_at_its_end() -> None:
    for epoch in (None, 4):
        position, cut_off = Position(500, epoch, OLD), Going(490, epoch, Loss.CUT_OFF)
        for gone in (None, Gone()):
            assert goes_on(position, Log(0, 490, 4, OLD), gone) == cut_off


def test_a_log_that_was_cut_off_and_has_grown_is_gone_on_with_where_it_diverges() -> None:
    """Compared there, too: it may have been cut off once more since."""
    position, gone = Position(500, 3, OLD), Gone(480, is_compared=True)
    for end in (485, 500, 600):
        going = goes_on(position, Log(0, end, 4, OLD), gone)
        assert going == Going(480, 3, Loss.CUT_OFF)


def test_a_log_that_was_cut_off_behind_the_position_is_gone_on_with_at_the_position() -> None:
    """What was cut off had been fetched ahead, and was thrown away by a pause."""
    for diverges_at in (500, 700):
        gone = Gone(diverges_at, is_compared=True)
        going = goes_on(Position(500, 3, OLD), Log(0, 800, 4, OLD), gone)
        assert going == Going(500, 3)
        assert goes_on(Position(500, 3, OLD), Log(0, 800, 4, ""), gone).offset == 0


def test_where_a_log_diverges_that_has_been_deleted_since_its_beginning_is_gone_on_with() -> None:
    """With nothing to compare: the same answer would come again and again."""
    gone = Gone(480, is_compared=True)
    going = goes_on(Position(500, 3, OLD), Log(490, 600, 4, OLD), gone)
    assert going == Going(490, None, Loss.CUT_OFF)


def test_a_log_never_goes_on_beyond_its_end() -> None:
    gone = Gone(480, is_compared=True)
    assert goes_on(Position(500, 3, OLD), Log(0, 470, 4, OLD), gone).offset == 470


@pytest.mark.parametrize("gone", [None, Gone()])
def test_with_another_leader_epoch_the_broker_compares_the_logs(gone: Gone | None) -> None:
    """Else a log that was cut off and has grown again since can't be told from one that wasn't."""
    for end in (490, 600):
        going = goes_on(Position(500, 3, OLD), Log(0, end, 4, OLD), gone)
        assert going == Going(500, 3)


def test_where_nothing_says_from_where_it_is_another_the_log_is_read_from_its_beginning() -> None:
    read_again = Going(20, None, Loss.CUT_OFF)
    for end in (500, 600):
        assert goes_on(Position(500, None, OLD), Log(20, end, 4, OLD), Gone()) == read_again
    for end in (490, 500, 600):
        gone = Gone(None, is_compared=True)
        assert goes_on(Position(500, 5, OLD), Log(20, end, 4, OLD), gone) == read_again


def test_nothing_is_lost_of_a_log_that_has_nothing_before_the_position() -> None:
    gone = Gone(None, is_compared=True)
    assert goes_on(Position(500, 3, OLD), Log(500, 500, None, OLD), gone) == Going(500)


@pytest.mark.parametrize("gone", [None, Gone(), Gone(480, is_compared=True)])
def test_a_topic_made_anew_is_read_from_its_beginning_however_long_it_is(gone: Gone | None) -> None:
    for first, end in ((0, 20), (0, 1000), (700, 1000)):
        going = goes_on(Position(500, 3, OLD), Log(first, end, 0, NEW), gone)
        assert going == Going(first, None, Loss.MADE_ANEW)


@pytest.mark.parametrize(("before", "now"), [("", OLD), (OLD, ""), ("", "")])
def test_a_log_that_may_be_of_another_topic_is_read_from_its_beginning(
    before: str, now: str
) -> None:
    """Where it ends is no place where it diverges; and both may have begun in the same epoch."""
    position = Position(500, 3, before)
    assert goes_on(position, Log(0, 20, 3, now)) == Going(0, None, Loss.CUT_OFF)
    for gone in (Gone(), Gone(20, is_compared=True)):
        assert goes_on(position, Log(0, 20, 3, now), gone) == Going(0, None, Loss.CUT_OFF)
    assert goes_on(position, Log(0, 600, 3, now)) == Going(500, 3)


# Where it begins without a committed offset


@pytest.mark.parametrize("latest", [None, 0, 4])
def test_i1_a_beginning_has_the_latest_epoch(latest: int | None) -> None:
    """By it a marker, passed before the first record, is told from what took its place."""
    log = Log(20, 600, latest, OLD)
    assert log.epoch_at(Going(20)) == latest
    assert log.epoch_at(Going(20, 3)) == 3
    assert log.epoch_at(Going(21)) is None


def start(
    reset: str,
    partition: int = 0,
    *,
    group_has_commits: bool = False,
    census: dict[str, int] | None = None,
) -> Start:
    return start_of(
        "audience", partition, reset, group_has_commits=group_has_commits, census=census or {}
    )


@pytest.mark.parametrize("group_has_commits", [False, True])
def test_earliest_is_the_beginning_whenever(group_has_commits: bool) -> None:
    assert start("earliest", group_has_commits=group_has_commits) is Start.BEGINNING


@pytest.mark.parametrize("group_has_commits", [False, True])
def test_error_gives_up_whenever(group_has_commits: bool) -> None:
    census = {"audience": 1}
    assert start("error", group_has_commits=group_has_commits, census=census) is Start.GIVE_UP


def test_latest_is_the_end_at_the_first_start_of_the_group() -> None:
    assert start("latest") is Start.END


def test_latest_is_the_end_where_another_member_was_first_to_commit() -> None:
    """The first start is one start, however many members come at the same time."""
    census = {"audience": 4}
    assert start("latest", 3, group_has_commits=True, census=census) is Start.END


def test_latest_is_the_beginning_of_a_partition_that_appeared_later() -> None:
    census = {"audience": 4}
    assert start("latest", 4, group_has_commits=True, census=census) is Start.BEGINNING


def test_latest_is_the_beginning_of_a_topic_that_appeared_later() -> None:
    census = {"other": 4}
    assert start("latest", 0, group_has_commits=True, census=census) is Start.BEGINNING


def test_latest_is_the_beginning_where_the_first_start_is_unknown() -> None:
    """Reading something twice is mended; missing it is not."""
    assert start("latest", group_has_commits=True) is Start.BEGINNING


def test_a_census_comes_back_from_the_metadata() -> None:
    counts = {"audience": 4, "other": 12}
    assert census_of([metadata_text("audience", OLD, counts)]) == counts


def test_the_metadata_takes_as_little_room_as_it_can() -> None:
    assert metadata_text("a", "", {}) == ""
    assert metadata_text("a", "x", {}) == '{"topic_id":"x"}'
    assert metadata_text("a", "", {"a": 1, "b": 2}) == '{"first_start":{"a":1,"b":2}}'
    many = {f"audience-{number}": 1 for number in range(1000)}
    text = metadata_text("audience-7", "x", many)
    assert text == '{"topic_id":"x","first_start":{"audience-7":1}}'


def test_a_topics_id_comes_back_from_the_metadata() -> None:
    for census in ({}, {"audience": 4}):
        assert topic_id_of(metadata_text("audience", OLD, census)) == OLD
        assert topic_id_of(metadata_text("audience", "", census)) == ""


def test_a_census_of_very_many_topics_has_its_own_topic_only() -> None:
    """Brokers take 4096 bytes of metadata."""
    counts = {f"audience-{number}": 1 for number in range(1000)}
    text = metadata_text("audience-7", OLD, counts)
    assert len(text) < 4096
    assert census_of([text]) == {"audience-7": 1}
    assert census_of([metadata_text("unheard-of", OLD, counts)]) == {"unheard-of": 0}


def test_the_censuses_of_several_commits_add_up() -> None:
    texts = [metadata_text("a", "", {"a": 1}), "", metadata_text("b", "", {"b": 2})]
    assert census_of(texts) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "consumed by something else",
        "null",
        "5",
        "[]",
        "{}",
        '{"first_start": null}',
        '{"first_start": [1]}',
        '{"first_start": {"a": null}}',
        '{"first_start": {"a": "many"}}',
        '{"first_start": {"a": 1e999}}',
        '{"first_start": {"a": NaN}}',
        '{"first_start": {"a": []}}',
        '{"topic_id": 5}',
        "[" * 100_000,
    ],
)
def test_foreign_metadata_is_passed_over(text: str) -> None:
    good = json.dumps({"first_start": {"audience": 4}})
    assert census_of([text, good]) == {"audience": 4}
    assert topic_id_of(text) == ""
