"""How the brokers fare: slow answers, lost ones, errors, for a while."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class KafkaWeather:
    """Probabilities for one request; all are 0 in good weather."""

    lost: float = 0.0  # it never arrives
    mute: float = 0.0  # it is done, the answer never arrives
    late: float = 0.0  # the answer takes seconds
    failing: float = 0.0  # the coordinator is loading or not there
    cleared_at: float = -1000.0

    @property
    def is_stormy(self) -> bool:
        """Whether something goes wrong."""
        return max(self.lost, self.mute, self.late, self.failing) > 0

    def clear(self, now: float) -> None:
        """Let everything be well."""
        if self.is_stormy:
            self.cleared_at = now
        self.lost = self.mute = self.late = self.failing = 0.0

    def storm(self, draw: random.Random) -> None:
        """Let something go wrong."""
        self.lost = draw.choice((0.0, 0.0, 0.1, 0.5))
        self.mute = draw.choice((0.0, 0.0, 0.1, 0.5))
        self.late = draw.choice((0.0, 0.2, 0.6))
        self.failing = draw.choice((0.0, 0.2, 1.0))
