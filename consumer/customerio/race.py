"""A race of a name's addresses: the first that answers is connected to (RFC 8305).

A name may have addresses that lead nowhere: of a family that the kernel or the route lacks, of a
machine that is gone. They cost the others a moment each, not their share of the deadline.
"""

import errno
import itertools
import math
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable

from consumer import clock
from consumer.customerio.wire import Exchange

Address = tuple[int, tuple[object, ...]]
"""A family and what `socket.connect` takes."""

_STAGGER_SECONDS = 0.25


class Race:
    """Connects to one address after the other, sooner than in turn: a refusal starts the next.

    Each has so long before the next one is tried, too, but all are tried within half the time.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        exchange: Exchange,
        prepare: Callable[[socket.socket], None],
    ) -> None:
        self._waiting = deque(addresses)
        self._exchange = exchange
        self._prepare = prepare
        self._running: dict[int, tuple[socket.socket, Address]] = {}
        self._poll = select.poll()
        self._failures: dict[str, None] = {}

    def run(self) -> tuple[socket.socket, Address]:
        """Return the first connection, and where it leads. Raises OSError."""
        stagger = min(_STAGGER_SECONDS, self._exchange.time_left() / 2 / max(1, len(self._waiting)))
        next_start = -math.inf
        try:
            while self._waiting or self._running:
                left = self._exchange.time_left()
                if self._waiting and (not self._running or clock.now() >= next_start):
                    self._start(self._waiting.popleft())
                    next_start = clock.now() + stagger
                    continue
                if self._waiting:
                    left = min(left, next_start - clock.now())
                for descriptor, _ in self._poll.poll(max(0, math.ceil(left * 1000))):
                    if winner := self._ended(descriptor):
                        return winner
                    next_start = -math.inf
        finally:
            for connecting, _ in self._running.values():
                connecting.close()
        raise OSError("; ".join(self._failures) or "the name has no address")

    def _start(self, address: Address) -> None:
        try:
            connecting = socket.socket(address[0], socket.SOCK_STREAM)
        except OSError as error:  # a family that the kernel lacks
            self._failed(error.errno)
            return
        self._running[connecting.fileno()] = connecting, address
        try:
            connecting.setblocking(False)
            self._prepare(connecting)
            result = connecting.connect_ex(address[1])
        except OSError as error:
            result = error.errno or errno.EIO
        if result in {0, errno.EINPROGRESS, errno.EINTR}:
            self._poll.register(connecting, select.POLLOUT)
        else:
            self._running.pop(connecting.fileno())
            connecting.close()
            self._failed(result)

    def _ended(self, descriptor: int) -> tuple[socket.socket, Address] | None:
        """Return what is connected, or note why it is not."""
        connecting, address = self._running.pop(descriptor)
        self._poll.unregister(descriptor)
        failure = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not failure:
            return connecting, address
        connecting.close()
        self._failed(failure)
        return None

    def _failed(self, number: int | None) -> None:
        self._failures[os.strerror(number or errno.EIO)] = None


def in_turns(addresses: Iterable[Address]) -> list[Address]:
    """Return each address once, the families by turns: a broken one costs one moment, not many."""
    families: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]
