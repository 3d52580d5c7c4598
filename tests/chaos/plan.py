"""What goes wrong, in which order and for how long: all of it drawn from one seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

SESSION_SECONDS = 6.0
REQUEST_SECONDS = 2.0

Range = tuple[float, float]

AT_ONCE: Range = (0.0, 0.0)
A_WHILE: Range = (1.0, 6.0)
SOON: Range = (0.0, 2.0)  # after records were written, so that some were delivered
# Never about a session: with KIP-848 a link that comes back just before its end is no promise. Long
# enough that the others have taken over, and delivered something, when the silence is over.
SHORT: Range = (0.1 * SESSION_SECONDS, 0.4 * SESSION_SECONDS)
LONG: Range = (1.6 * SESSION_SECONDS, 2.2 * SESSION_SECONDS)

Kinds = Sequence[tuple[str, Range]]

PLACE_KINDS: Kinds = (
    ("kill", (0.1, 4.0)),  # until the next process comes
    ("kill", (0.1, 4.0)),
    ("stop", (0.1, 4.0)),
    ("stop", (0.1, 4.0)),
    ("replace", AT_ONCE),
    ("freeze", LONG),
    ("freeze", LONG),
    ("nap", SHORT),
    ("cut", LONG),
    ("short cut", SHORT),
    ("hole", LONG),
    ("short hole", SHORT),
    ("reset", AT_ONCE),
    ("cut answer", AT_ONCE),
    ("slow", A_WHILE),
    ("drip", A_WHILE),
)
"""A process, or its way to Kafka."""

WAY_KINDS: Kinds = (
    ("reset", AT_ONCE),
    ("cut", A_WHILE),
    ("hole", A_WHILE),
    ("cut answer", AT_ONCE),
    ("slow", A_WHILE),
    ("drip", A_WHILE),
)
"""A process's way to the API."""

WEATHER_KINDS: Kinds = tuple(
    (name, (2.0, 7.0))
    for name in (
        "lost",
        "late",
        "afterwards",
        "hanging",
        "failing",
        "throttled",
        "cut short",
        "mistaken",
        "all",
    )
)
"""What the API does."""

BROKER_KINDS: Kinds = (
    ("kill", (0.5, 4.0)),
    ("kill", (0.5, 4.0)),
    ("stop", (0.5, 4.0)),
    ("pause", SHORT),
)
TOPIC_KINDS: Kinds = (("junk", AT_ONCE), ("junk", AT_ONCE), ("grow", AT_ONCE))
LOG_KINDS: Kinds = (
    ("cut off", SOON),
    ("cut off", SOON),
    ("made anew", SOON),
    ("retention", SOON),
    ("aborted", (2.0, 12.0)),  # so long the transaction is open
    ("committed", (2.0, 12.0)),
    ("damaged", (3.0, 8.0)),
)
"""The log of a topic of its own, if it fails at all."""

_SHARE_WITH_LOG_FAULTS = 0.5


@dataclass(frozen=True, slots=True)
class Setup:
    """What a round is made of. Members are static or not, all of them; with KIP-848 only."""

    seed: int
    protocol: str
    is_static: bool

    @property
    def places(self) -> int:
        """How many processes there are when none of them is away."""
        return self.draw("places").randint(3, 5)

    @property
    def partitions(self) -> int:
        """How many partitions the topic has at first."""
        return self.draw("partitions").randint(5, 8)

    @property
    def api_seconds(self) -> float:
        """How long the API takes when all is well."""
        return self.draw("api").choice((0.01, 0.05, 0.2))

    @property
    def max_in_flight(self) -> int:
        """How many requests a process may have on their way."""
        return self.draw("in flight").choice((3, 8))

    @property
    def linger_seconds(self) -> float:
        """How long a change waits for others."""
        return self.draw("linger").choice((0.1, 0.3, 0.8))

    @property
    def has_log_faults(self) -> bool:
        """Whether a log fails, too."""
        return self.draw("the log").random() < _SHARE_WITH_LOG_FAULTS

    def draw(self, what: str) -> random.Random:
        """Return the source of chance for one part, which no other part disturbs."""
        return random.Random(f"{self.seed} {what}")

    def __str__(self) -> str:
        kind = "static" if self.is_static else "dynamic"
        return (
            f"seed {self.seed}, protocol {self.protocol}, {self.places} {kind} members,"
            f" {self.partitions} partitions, linger {self.linger_seconds:g} s,"
            f" {self.max_in_flight} requests at a time of {self.api_seconds:g} s"
            f"{', a faulty log' if self.has_log_faults else ''}"
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Something that goes wrong, ``after_seconds`` without anything, for ``seconds``.

    ``size`` is from 0 to 1: what it means depends on the kind.
    """

    after_seconds: float
    kind: str
    seconds: float
    size: float


@dataclass(frozen=True, slots=True)
class Track:
    """What goes wrong one after the other; tracks go on side by side."""

    name: str
    kinds: Kinds
    pause: Range

    def steps(self, setup: Setup, number: int = 0, of: int = 1) -> Iterator[Step]:
        """Yield steps without end, each kind once before any comes again.

        If there are several of this track, each begins with another part of the same kinds.
        """
        shuffle, draw = setup.draw(self.name), setup.draw(f"{self.name} {number}")
        while True:
            deck = shuffle.sample(self.kinds, len(self.kinds))
            first = len(deck) * number // of
            for kind, lasts in [*deck[first:], *deck[:first]]:
                yield Step(draw.uniform(*self.pause), kind, draw.uniform(*lasts), draw.random())


PLACE = Track("place", PLACE_KINDS, (3.0, 12.0))
WAY = Track("way", WAY_KINDS, (2.0, 6.0))
WEATHER = Track("weather", WEATHER_KINDS, (2.0, 8.0))
BROKER = Track("broker", BROKER_KINDS, (12.0, 25.0))
TOPIC = Track("topic", TOPIC_KINDS, (3.0, 7.0))
LOG = Track("log", LOG_KINDS, (1.0, 5.0))


def tracks(setup: Setup) -> Mapping[str, Iterator[Step]]:
    """Return all that goes wrong, by whom it happens to: ``place 0``, …, ``way``, …."""
    places = {f"place {n}": PLACE.steps(setup, n, setup.places) for n in range(setup.places)}
    log = (LOG,) if setup.has_log_faults else ()
    others = {track.name: track.steps(setup) for track in (WAY, WEATHER, BROKER, TOPIC, *log)}
    return {**places, **others}
