"""The stop: whether one was asked for, and by when all must be over."""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Stop:
    """Owned by the loop, but for `request`. ``has_begun``: nothing new is taken over any more."""

    requested: bool = False
    has_begun: bool = False
    deadline: float = math.inf

    def request(self, deadline: float) -> None:
        """Ask for it; may be called from any thread, so it does next to nothing."""
        self.deadline = deadline
        self.requested = True
