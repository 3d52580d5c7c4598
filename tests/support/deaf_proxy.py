"""A proxy of Kafka's that tells connections apart by what is asked on them."""

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.support.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PRODUCE = 0
OF_A_MEMBER = frozenset({1, 8, 9, 11, 12, 14, 68})
"""What only a member of a group asks: Fetch, its offsets, both protocols' heartbeats, joining."""

_HEAD_BYTES = 6  # a request's length in 4 bytes, then what is asked for in 2


class DeafProxy(TcpProxy):
    """While ``is_deaf``, no answer gets through on the connections that it is deaf to.

    ``deaf_to`` is asked with the keys of all that was asked on one.
    """

    is_deaf = False
    deaf_to: "Callable[[set[int]], bool]" = staticmethod(lambda _: True)

    def __init__(self, *target: "str | int") -> None:
        self._pairs: list[list[socket.socket]] = []
        self._asked: defaultdict[socket.socket, set[int]] = defaultdict(set)  # by the client's end
        self._requests: defaultdict[socket.socket, bytearray] = defaultdict(bytearray)
        super().__init__(*target)  # type: ignore[arg-type]  # as the proxy takes it

    async def _carry(self, client: "socket.socket", ends: "list[socket.socket]") -> None:
        self._pairs.append(ends)
        await super()._carry(client, ends)

    async def _send(self, sink: "socket.socket", chunk: bytes) -> None:
        client, target = next(ends for ends in self._pairs if sink in ends)
        if sink is target:
            self._note(self._asked[client], self._requests[target], chunk)
        await super()._send(sink, chunk)

    def _note(self, asked: set[int], requests: bytearray, chunk: bytes) -> None:
        """Take off what is whole, and note what it asks for."""
        requests += chunk
        while len(requests) >= _HEAD_BYTES:
            asked.add(int.from_bytes(requests[4:_HEAD_BYTES]))
            length = 4 + int.from_bytes(requests[:4])
            if len(requests) < length:
                break
            del requests[:length]

    async def _answer(self, sink: "socket.socket", chunk: bytes) -> None:
        if not (self.is_deaf and self.deaf_to(self._asked[sink])):
            await super()._answer(sink, chunk)
