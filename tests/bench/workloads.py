"""What the bench's topics have in them: the same for every run.

w1: one segment, adds. w2: 100 segments (zipf), a tenth removes; events of 58 bytes, and every event
is another customer. The shapes are w1 with one thing that differs.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from confluent_kafka import Producer

from tests.bench.steady import Change

EVENT_BYTES = 58
SEGMENTS = 100
MANY_SEGMENTS = 100_000
LIST_IDS = 25
BATCH_IDS = 1000
BATCH_RECORDS = 200
LIVE_RECORDS = 20
_CHUNK = 10_000
_PATIENCE_SECONDS = 120.0

Record = tuple[str, str]


def w1(count: int) -> Iterator[Record]:
    """Yield keys and values."""
    return _single(count, '{{"segment_id":1,"action":"add","id":"{}"}}')


def w2(count: int) -> Iterator[Record]:
    """Yield keys and values."""
    for number, (segment, action) in enumerate(_w2_changes(count)):
        head = f'{{"segment_id":{segment},"action":"{action}","id":"'
        name = "c" + str(number).rjust(EVENT_BYTES - len(head) - 3, "0")
        yield name, f'{head}{name}"}}'


def w2_ideal_requests(count: int) -> int:
    """Return how many requests carry w2 when each is as full as it can be."""
    return sum(-(-each // BATCH_IDS) for each in Counter(_w2_changes(count)).values())


def w2_requests_within(count: int, per_second: float, linger_seconds: float) -> int:
    """Return how many requests carry w2 at that rate if each leaves full or when it is due.

    Nobody can do with fewer who keeps the linger.
    """
    requests = 0
    batches: dict[Record, tuple[float, int]] = {}  # when each was opened, and its ids
    for number, (segment, action) in enumerate(_w2_changes(count)):
        name, now = (str(segment), action), number / per_second
        opened_at, ids = batches.pop(name, (now, 0))
        if ids and now - opened_at >= linger_seconds:
            requests += 1
            opened_at, ids = now, 0
        if ids + 1 == BATCH_IDS:
            requests += 1
        else:
            batches[name] = (opened_at, ids + 1)
    return requests + len(batches)


def many_segments(count: int) -> Iterator[Record]:
    """Yield adds over 100,000 segments (zipf)."""
    for number, segment in enumerate(_zipf(count, MANY_SEGMENTS)):
        name = f"c{number:018d}"
        yield name, f'{{"segment_id":{segment},"action":"add","id":"{name}"}}'


def lists(count: int) -> Iterator[Record]:
    """Yield records of 25 ids each."""
    for number in range(count):
        ids = ",".join(f'"c{number * LIST_IDS + each:018d}"' for each in range(LIST_IDS))
        yield str(number), f'{{"segment_id":1,"action":"add","ids":[{ids}]}}'


def emails(count: int) -> Iterator[Record]:
    """Yield records whose ids are email addresses."""
    value = '{{"segment_id":1,"action":"add","id":"{}@Example.com","id_type":"email"}}'
    return _single(count, value)


def texts(count: int) -> Iterator[Record]:
    """Yield records whose segment ids are text."""
    return _single(count, '{{"segment_id":"1","action":"add","id":"{}"}}')


def integers(count: int) -> Iterator[Record]:
    """Yield records whose ids are integers."""
    for number in range(count):
        name = f"1{number:017d}"
        yield name, f'{{"segment_id":1,"action":"add","id":{name}}}'


def long_ids(count: int) -> Iterator[Record]:
    """Yield adds of ids of 100 characters over 3,000 segments."""
    for number in range(count):
        name = str(number).rjust(100, "c")
        yield name, f'{{"segment_id":{number * 7919 % 3000 + 1},"action":"add","id":"{name}"}}'


OF: dict[str, Callable[[int], Iterator[Record]]] = {
    "w1": w1,
    "w2": w2,
    "lists": lists,
    "emails": emails,
    "texts": texts,
    "integers": integers,
    "long": long_ids,
    "100,000 segments": many_segments,
    "live": w2,
}
"""The workloads by name."""


def live_change(partitions: int) -> Callable[[int, float], Change]:
    """Return what makes the n-th change of a steady load: w2's, one after the other.

    Some at a time go to one partition: by keys, one broker and one producer of librdkafka don't
    manage 50,000 a second into 1,000 partitions.
    """
    heads = [
        f'{{"segment_id":{segment},"action":"{action}","id":"'
        for segment, action in _w2_changes(_CHUNK)
    ]

    def change(number: int, _: float) -> Change:
        name = f"c{number:018d}"
        value = f'{heads[number % _CHUNK]}{name}"}}'
        return name, value, number // LIVE_RECORDS % partitions

    return change


def produce(bootstrap: str, topic: str, partitions: int, records: Iterable[Record]) -> None:
    """Produce batches of 200 records, about 16 KB, as Java's producers make them under load.

    A batch after the other goes to the partitions in turns: they are the same however many
    partitions there are, which is what the bench compares. By keys, librdkafka would take minutes
    to fill 1,000 partitions.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 1000,
            "batch.num.messages": BATCH_RECORDS,
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 2,  # that a topic is new is no news
        }
    )
    for number, (key, value) in enumerate(records):
        partition = number // BATCH_RECORDS % partitions
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.01)
    if producer.flush(_PATIENCE_SECONDS):
        raise SystemExit(f"{topic}: not all records were produced")


def _single(count: int, value: str) -> Iterator[Record]:
    for number in range(count):
        name = f"c{number:018d}"
        yield name, value.format(name)


def _w2_changes(count: int) -> Iterator[tuple[int, str]]:
    draw = random.Random(1)
    for segment in _zipf(count, SEGMENTS):
        yield segment, "remove" if draw.random() < 0.1 else "add"


def _zipf(count: int, most: int) -> Iterator[int]:
    draw = random.Random(2)
    numbers = range(1, most + 1)
    weights = list(accumulate(1 / each for each in numbers))
    for begun in range(0, count, _CHUNK):
        yield from draw.choices(numbers, cum_weights=weights, k=min(_CHUNK, count - begun))
