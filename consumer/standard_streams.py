"""The three standard streams: open, and no reason for another exit code than the command's."""

import os
import sys
from contextlib import suppress

STDERR = 2


def open_closed() -> None:
    """Have nothing else - a socket to a broker - opened under their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", STDERR)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def settle() -> None:
    """Write what is left; where that fails, let it go, or Python ends with 120 when it tries."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
