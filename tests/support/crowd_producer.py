"""The crowd's producer: what it sends is in the topic in the end, and if not, it tells why.

A broker that has just been started may name no broker at all in its metadata, not even itself.
librdkafka 2.16.0 then lets go of the only one that it knows, and bootstraps anew, but not always:
now and then such a client was silent for as long as the tests looked (100 s), also with
``metadata.recovery.rebootstrap.trigger.ms=10000``, and said nothing but "no usable brokers" to
those who debug it. By its source the end of the metadata's handling may stop the timer that its
thread for that broker has just set for bootstrapping; a proxy that names no broker brings it about.

So this does what a producer that matters would do: when it has waited for a minute without one
acknowledgement, a new client sends what was not acknowledged, in its order. A record may be in the
topic twice then, and what the old client had on the wire may come late: the topic says what the
customers did, for the daemon as for its judges, whatever order it has. The old client is asked to
send nothing any more, so that is one request at most.
"""

import itertools
import json
import re
import time
from collections import deque
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import KafkaError, Message, Producer

from tests.support.cluster import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENCE_SECONDS = 60.0

_LINES = 100
_KINDS = 300
_NUMBERS = re.compile(r"\d+")
_DEBUG = "broker,topic,metadata"  # a few dozen lines, however much is sent
_FIGURES_EVERY_MS = 1000
_OF_A_BROKER = (
    "outbuf_cnt",
    "outbuf_msg_cnt",
    "waitresp_cnt",
    "waitresp_msg_cnt",
    "tx",
    "txerrs",
    "txretries",
    "req_timeouts",
    "rx",
    "rxerrs",
    "connects",
    "disconnects",
)
_OF_A_PARTITION = ("leader", "broker", "msgq_cnt", "xmit_msgq_cnt", "msgs_inflight")


class CrowdProducer:
    """Owned by one thread at a time, but for `learn_partitions`.

    ``broker_says`` returns what the broker has in its own log. ``silences`` has what was told of
    each: how the client stood, and when the next one was answered.
    """

    unread: ClassVar[list[str]] = []
    """The silences of this process that nobody has reported yet."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        broker_says: "Callable[[], str]",
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._broker_says = broker_says
        self._silence_seconds = silence_seconds
        self._numbers = itertools.count()
        self._pending: dict[int, Record] = {}
        self._heard_at = self._began_at = time.monotonic()
        self._client = _Client(bootstrap)
        self._let_go: list[_Client] = []  # not closed: that may take for ever
        self.failures: list[KafkaError] = []
        self.silences: list[str] = []

    def send(self, record: Record) -> None:
        """Send a record, behind those that were sent before."""
        if not self._pending:
            self._heard_at = time.monotonic()
        number = next(self._numbers)
        self._pending[number] = record
        self._produce(number, record)

    def poll(self, timeout_seconds: float) -> int:
        """Hear what there is to hear, and return how many are not acknowledged yet.

        What a client that was let go still has counts, too: it could yet send it.
        """
        self._client.producer.poll(timeout_seconds)
        for old in self._let_go:
            old.producer.poll(0)
        if self._pending and self._silent_seconds() > self._silence_seconds:
            self._renew()
        return len(self._pending) + self._left_behind()

    def learn_partitions(self, timeout_seconds: float) -> None:
        """Ask for the topic's partitions, so that one of them may be named."""
        self._client.producer.list_topics(self._topic, timeout=timeout_seconds)

    def told(self) -> str:
        """Tell how it stands, for a person: what waits, and what client and broker say."""
        since_began = time.monotonic() - self._began_at
        how = (
            f"{len(self._pending)} records are not acknowledged, and none was for"
            f" {self._silent_seconds():.1f} s; client {len(self._let_go) + 1} has been there for"
            f" {since_began:.1f} s, and those before have {self._left_behind()} left"
        )
        log = "the broker's last lines:"
        return "\n".join((how, *self._client.told(), log, self._broker_says()))

    def _renew(self) -> None:
        self._tell(self.told())
        self._client.producer.purge(blocking=False)
        self._let_go.append(self._client)
        self._client = _Client(self._bootstrap)
        self._heard_at = self._began_at = time.monotonic()
        for number, record in self._pending.items():
            self._produce(number, record)

    def _produce(self, number: int, record: Record) -> None:
        self._client.producer.produce(
            self._topic,
            record.value,
            record.key,
            partition=-1 if record.partition is None else record.partition,
            on_delivery=partial(self._delivered, number, self._client),
        )

    def _delivered(
        self, number: int, client: "_Client", error: KafkaError | None, _: Message
    ) -> None:
        if error is not None and client is not self._client:
            return  # purged, and sent again
        self._pending.pop(number, None)
        if error is not None:
            self.failures.append(error)
            return
        self._heard_at = time.monotonic()
        if client is self._client and not client.is_answered:
            client.is_answered = True
            if self._let_go:
                seconds = self._heard_at - self._began_at
                self._tell(f"the next client was answered after {seconds:.3f} s")

    def _tell(self, what: str) -> None:
        self.silences.append(what)
        self.unread.append(what)

    def _left_behind(self) -> int:
        return sum(len(old.producer) for old in self._let_go)

    def _silent_seconds(self) -> float:
        return time.monotonic() - self._heard_at


class _Client:
    """A client of librdkafka's, with what it said last and its figures.

    ``is_answered``: the broker took something of it.
    """

    def __init__(self, bootstrap: str) -> None:
        self._lines = _Lines()
        self.is_answered = False
        self._error = "none"
        self._figures = "{}"
        self._figures_at = time.monotonic()
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "max.in.flight.requests.per.connection": 1,  # in order also if one is repeated
                "linger.ms": 5,
                "debug": _DEBUG,
                "logger": self._lines,
                "error_cb": self._hear,
                "statistics.interval.ms": _FIGURES_EVERY_MS,
                "stats_cb": self._count,
            }
        )

    def told(self) -> "Iterator[str]":
        """Yield its last error, its figures and the last lines that it said."""
        figures = json.loads(self._figures)
        yield f"its last error: {self._error}"
        yield (
            f"its figures, {time.monotonic() - self._figures_at:.1f} s old:"
            f" msg_cnt {figures.get('msg_cnt')}"
        )
        for broker in figures.get("brokers", {}).values():
            yield (
                f"  {broker['name']}: {broker['state']} for {broker['stateage'] / 1e6:.1f} s,"
                f" {_some(broker, _OF_A_BROKER)}"
            )
        for topic in figures.get("topics", {}).values():
            for number, partition in topic["partitions"].items():
                yield f"  {topic['topic']}:{number}: {_some(partition, _OF_A_PARTITION)}"
        yield from self._lines.told()

    def _hear(self, error: KafkaError) -> None:
        self._error = f"{error}, at {_now()}"

    def _count(self, figures: str) -> None:
        self._figures = figures
        self._figures_at = time.monotonic()


class _Lines:
    """What a client said; the library takes it for a logger.

    Each kind of line, whatever its numbers are, and the last lines of all: a client that finds no
    broker says fifty in a second.
    """

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_LINES)
        self._kinds: dict[str, tuple[str, str, int, str]] = {}

    def log(self, _: int, text: str, *values: object) -> None:
        """Keep a line."""
        now, line = _now(), text % values
        self._last.append(f"{now} {line}")
        kind = _NUMBERS.sub("#", line)
        first, _last, count, _line = self._kinds.get(kind, (now, now, 0, ""))
        if count or len(self._kinds) < _KINDS:
            self._kinds[kind] = (first, now, count + 1, line)

    def told(self) -> "Iterator[str]":
        """Yield the kinds in the order in which they came last, and the last lines."""
        yield "what it said, from when to when, how often, and with which numbers last:"
        for first, last, count, line in sorted(self._kinds.values(), key=itemgetter(1)):
            yield f"  {first} to {last}, {count}: {line}"
        yield f"its last {len(self._last)} lines:"
        yield from (f"  {line}" for line in self._last)


def _some(figures: "dict[str, Any]", names: "tuple[str, ...]") -> str:
    return ", ".join(f"{name} {figures.get(name)}" for name in names)


def _now() -> str:
    seconds = time.time()
    return f"{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03}"
