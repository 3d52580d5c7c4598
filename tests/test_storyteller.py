"""The storyteller: the demo's events on a real broker, each keyed, one story after the other."""

from typing import TYPE_CHECKING

from consumer.commands.demo import storyteller
from consumer.commands.demo.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.kafka import Broker

STORY_EVENTS = 5_000


def by_key(records: "Iterable[tuple[object, object]]") -> dict[object, list[object]]:
    """Return the values of each key in their order."""
    found: dict[object, list[object]] = {}
    for key, value in records:
        found.setdefault(key, []).append(value)
    return found


def test_it_tells_story_after_story(broker: "Broker", topic: str) -> None:
    count = STORY_EVENTS + 10
    told = ["--bootstrap-servers", broker.bootstrap, "--topic", topic]
    storyteller.main([*told, "--per-second", "1e9", "--events", str(count)])
    stories = [Story(STORY_EVENTS, seed).records() for seed in (1, 2)]
    expected = [next(stories[0]) for _ in range(STORY_EVENTS)]
    expected += [next(stories[1]) for _ in range(10)]
    read = [(each.key(), each.value()) for each in broker.read_all(topic)]
    assert len(read) == count
    assert by_key(read) == by_key(expected)


def test_a_key_s_records_are_of_one_partition(broker: "Broker", topic: str) -> None:
    told = ["--bootstrap-servers", broker.bootstrap, "--topic", topic]
    storyteller.main([*told, "--per-second", "1e9", "--events", "500"])
    places = {(each.key(), each.partition()) for each in broker.read_all(topic)}
    assert len(places) == len({key for key, _ in places})
    assert len({partition for _, partition in places}) > 1
