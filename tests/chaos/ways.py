"""What happens on the way between a process and what it talks to."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.plan import Step
    from tests.support.tcp_proxy import TcpProxy

SLOW_SECONDS = 0.1
_CUT_WITHIN_BYTES = 3000


def disturb(way: "TcpProxy", step: "Step", drip_bytes_per_second: float) -> None:
    """Let it happen, and make it good again."""
    match step.kind.removeprefix("short "):
        case "reset":
            way.reset()
        case "cut":
            way.cut()
        case "hole":
            way.black_hole()
        case "cut answer":
            way.cut_after(round(step.size * _CUT_WITHIN_BYTES))
            return  # in one of the answers to come
        case "slow":
            way.delay(SLOW_SECONDS)
        case "drip":
            way.drip(drip_bytes_per_second)
        case _:
            raise AssertionError(step)
    time.sleep(step.seconds)
    # What a black hole has swallowed must not come out: its sender has given it up long ago.
    way.reset()
    way.mend()
