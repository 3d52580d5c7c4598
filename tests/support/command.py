"""The command line, run as people do: in a process, whose signals are its own."""

import subprocess
import sys


def said_by(*arguments: str) -> str:
    """Return what a command writes that must end well, and complain of nothing."""
    command = [sys.executable, "-m", "consumer", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
