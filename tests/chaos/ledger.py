"""An API that remembers when it applied what."""

import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tests.support.api import FaultyApi
from tests.support.flipping import Member

if TYPE_CHECKING:
    from consumer.commands.demo.standin import StandinRequest


class Application(NamedTuple):
    """An action that was applied to a member, and when (Unix time)."""

    at: float
    action: str


class LedgerApi(FaultyApi):
    """Keeps all that was applied, member by member."""

    def __init__(self) -> None:
        super().__init__(journal=0)
        self.applied: defaultdict[Member, list[Application]] = defaultdict(list)

    def apply(self, request: "StandinRequest") -> None:
        """Let the request take effect, and note when."""
        super().apply(request)
        application = Application(time.time(), request.action)
        for name in request.ids:
            self.applied[Member(request.segment_id, name)].append(application)
