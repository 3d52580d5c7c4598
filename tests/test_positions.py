"""Where a partition without a committed offset begins."""

import json

import pytest

from consumer.core.positions import Start, census_of, census_text, start_of


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
    assert census_of([census_text("audience", counts)]) == counts


def test_a_census_takes_as_little_room_as_it_can() -> None:
    assert census_text("a", {"a": 1, "b": 2}) == '{"first_start":{"a":1,"b":2}}'
    many = {f"audience-{number}": 1 for number in range(1000)}
    assert census_text("audience-7", many) == '{"first_start":{"audience-7":1}}'


def test_a_census_of_very_many_topics_has_its_own_topic_only() -> None:
    """Brokers take 4096 bytes of metadata."""
    counts = {f"audience-{number}": 1 for number in range(1000)}
    text = census_text("audience-7", counts)
    assert len(text) < 4096
    assert census_of([text]) == {"audience-7": 1}
    assert census_of([census_text("unheard-of", counts)]) == {"unheard-of": 0}


def test_the_censuses_of_several_commits_add_up() -> None:
    texts = [census_text("a", {"a": 1}), "", census_text("b", {"b": 2})]
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
        "[" * 100_000,
    ],
)
def test_foreign_metadata_is_passed_over(text: str) -> None:
    good = json.dumps({"first_start": {"audience": 4}})
    assert census_of([text, good]) == {"audience": 4}
