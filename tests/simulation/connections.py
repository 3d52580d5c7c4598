"""A process's kept connections to the API, and what comes on them that nobody asked for.

As the daemon's own wire does it: a connection is looked at before another request has it, and one
on which something waits is dropped. What is left unread is the next request's answer, else.
"""

from collections import deque
from dataclasses import dataclass, field

from consumer.core.outcomes import Answered
from tests.simulation.api import GLUED, Api


@dataclass(slots=True, eq=False)
class Connection:
    """``unread`` has the answers that arrived and that no request has taken."""

    unread: deque[Answered] = field(default_factory=deque)


class Connections:
    """``looks`` is the rule that keeps one request's answer from being another's."""

    def __init__(self, api: Api) -> None:
        self.looks = True
        self._api = api
        self._idle: list[Connection] = []

    def take(self) -> Connection:
        """Return a connection for a request: the one that was used last, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.unread:
                return connection
            self._api.seen[GLUED] += 1
            if not self.looks:
                return connection
        return Connection()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose answer was read whole; a second one may be behind it."""
        api = self._api
        if api.weather.glued and api.draw.random() < api.weather.glued:
            connection.unread.append(Answered(200, b"{}"))
        self._idle.append(connection)
