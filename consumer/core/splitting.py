"""Finds the bad ids of a batch that the API refused, without asking about each of them.

A refusal (400, 413, 422, a vouched 403) says nothing about which id is meant, or whether the whole
segment is. Single ids are tried until one is accepted, one from each eighth of the batch. When
eight were refused, the batch is refused whatever is in it: the verdict is on all of it. After one
success the rest is halved without limit, so that each bad id is found and costs only itself.

Within its eighth a single is chosen by a hash of the id: chosen by place, all eight were header
lines of a list that has one every 25 lines, and 960 good ids went with them. The last one is chosen
so that no period fits all of their places. So a share p of bad ids is taken for all of the batch
with a chance of at most p to the eighth (half: 1 in 256, a quarter: 1 in 65,000), and never if they
stand at regular places, or if one eighth is free of them. The hash is BLAKE2: with CRC-32, which is
linear, all singles of 14 % of the batches of counted-up numbers were even, or all odd.

"So many refusals in a row while halving" as the rule for the whole was tried in a simulation and
was wrong in 58 % of the cases with ten bad ids; this rule made no wrong verdict there. It costs 9
attempts for a segment that refuses everything, 22 for one bad id in 1000, about 136 for ten.
"""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from math import gcd

SINGLES = 8


class Split:
    """What to try next of one refused batch. Parts go one at a time, so order is kept.

    ``detail`` is what the API said when it refused some of it last.
    """

    def __init__(self, ids: Sequence[str], detail: str) -> None:
        self.detail = detail
        self.is_new_part = True  # the next part was not tried yet
        self._ids = tuple(ids)
        self._singles = _spread(ids, SINGLES)
        self._refused: list[str] = []
        self._parts: list[tuple[str, ...]] | None = None  # None while singles are tried
        self._last: tuple[str, ...] = ()

    def next_part(self, unsettled: Collection[str]) -> tuple[str, ...]:
        """Return the ids of the next attempt; there must be something unsettled."""
        if self._parts is None:
            self._singles = [single for single in self._singles if single in unsettled]
            if not self._singles:  # they went with their partition: others take their place
                self._singles = _spread(self._untried(unsettled), SINGLES - len(self._refused))
            if self._singles:
                self._last = (self._singles[-1],)
                return self._last
            self._parts = [self._ids]  # whatever was not refused alone went with its partition
        while not (part := tuple(name for name in self._parts[-1] if name in unsettled)):
            self._parts.pop()
        self._last = part
        return part

    def accepted(self) -> tuple[str, ...]:
        """Note that the last attempt was accepted; return the singles now known to be bad alone."""
        self.is_new_part = True
        if self._parts is not None:
            self._parts.pop()
            return ()
        tried = {*self._refused, *self._last}
        self._parts = _halves(tuple(name for name in self._ids if name not in tried))
        return tuple(self._refused)

    def refused(self, unsettled: Collection[str], detail: str) -> tuple[tuple[str, ...], bool]:
        """Note that the last attempt was refused.

        Return the ids that are refused for good now, and whether that is the verdict on the whole
        batch. A batch of fewer than eight ids has each of them refused alone instead.
        """
        self.detail = detail
        self.is_new_part = True
        if self._parts is not None:
            self._parts.pop()
            if len(self._last) == 1:
                return self._last, False
            self._parts += _halves(self._last)
            return (), False
        self._refused += self._last
        self._singles.pop()
        if len(self._refused) == SINGLES:
            return self._ids, True
        return (() if self._untried(unsettled) else tuple(self._refused)), False

    def _untried(self, unsettled: Collection[str]) -> list[str]:
        """Return the ids that nobody knows anything about, while singles are tried."""
        tried = set(self._refused)
        return [name for name in self._ids if name in unsettled and name not in tried]


def _spread(ids: Sequence[str], most: int) -> list[str]:
    """Return at most that many of ``ids``, each from a stretch of its own, the last one first."""
    count = min(most, len(ids))
    places: list[int] = []
    for number in range(count):
        stretch = range(number * len(ids) // count, (number + 1) * len(ids) // count)
        places.append(_place(ids, stretch, places if number == count - 1 else ()))
    return [ids[place] for place in reversed(places)]


def _place(ids: Sequence[str], stretch: range, others: Sequence[int]) -> int:
    """Return the place of the least hash, one where no period fits all ``others`` and it."""
    first = others[0] if others else 0
    period = gcd(*(place - first for place in others)) or 1
    return min(stretch, key=lambda place: (gcd(period, place - first) > 1, _hash(ids[place])))


def _hash(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8).digest()


def _halves(part: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the halves that are not empty, the one to try first last."""
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]
