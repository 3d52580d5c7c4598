"""The one clock: seconds that go on while the machine sleeps.

A lease that was granted before a laptop's lid closed, a VM was paused or a cgroup was frozen must
be over afterwards. ``CLOCK_MONOTONIC`` stands still during a suspend on Linux, ``CLOCK_BOOTTIME``
does not. Elsewhere the monotonic clock is the best there is.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)

now: Callable[[], float] = (
    time.monotonic if _BOOTTIME is None else partial(time.clock_gettime, _BOOTTIME)
)
"""Seconds since some fixed moment; never goes back."""


def rfc3339(unix_seconds: float) -> str:
    """Return a moment in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(unix_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
