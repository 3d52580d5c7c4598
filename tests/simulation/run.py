"""One seed from beginning to end, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumer.engine.loop import Loop
from tests.simulation.oracle import Violation
from tests.simulation.world import World

if TYPE_CHECKING:
    from consumer.core.pipeline import Pipeline
    from consumer.engine.ports import Ports
    from tests.simulation.process import Process

LoopOf = Callable[["Process", "Pipeline", "Ports"], Loop]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``violation`` is empty if nothing was wrong; ``trace`` has a line for each event.

    ``seen`` has the kinds of trouble that requests met.
    """

    seed: int
    violation: str
    trace: tuple[str, ...]
    seen: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"python -m tests.simulation --seed {self.seed}"
            f"  # {self.violation or 'nothing was wrong'}"
        )


def real_loop(process: "Process", pipeline: "Pipeline", ports: "Ports") -> Loop:
    """Return the loop as it is."""
    return Loop(process.setup.options, pipeline, ports)


def run_seed(seed: int, loop_of: LoopOf = real_loop, *, with_trace: bool = False) -> Outcome:
    """Live through a seed's world. What the code under test raises is a violation too."""
    world = World(seed, loop_of)
    violation = ""
    try:
        world.run()
    except Violation as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed is what repeats it
        violation = f"{type(error).__name__}: {error}"
    lines = (_line(*event) for event in world.events) if with_trace else ()
    seen = tuple(sorted(+world.api.seen))
    return Outcome(seed, violation, (str(world.setup), *lines) if with_trace else (), seen)


def _line(at: float, who: int | None, what: tuple[object, ...]) -> str:
    name = "world" if who is None else f"process {who}"
    return f"{at:10.4f} {name:>10} {' '.join(str(each) for each in what)}"
