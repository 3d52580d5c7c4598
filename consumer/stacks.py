"""Every thread's stack, on standard error: what SIGQUIT asks of a daemon that stands still.

Made by a thread of ours: faulthandler would walk the threads inside the signal's handler, and while
a thread comes or goes that ends the process (seen with Python 3.11).
"""

import os
import sys
import threading

from consumer.standard_streams import STDERR


def write_soon() -> None:
    """Write them from a thread of its own: whoever reads standard error may have stopped."""
    threading.Thread(target=_write, name="stacks", daemon=True).start()


def _write() -> None:
    import traceback  # noqa: PLC0415 - signals are watched before it is needed

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = [
        "".join([f"Thread {names.get(ident, ident)}:\n", *traceback.format_stack(frame)])
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - its documented use
        if ident != threading.get_ident()
    ]
    os.write(STDERR, "\n".join([*stacks, ""]).encode(errors="backslashreplace"))
