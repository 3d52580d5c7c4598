"""The trial of a mutant: a copy of the repository, the change, and who notices it.

What is asked runs in processes of its own, in the copy. It is killed as soon as it has said enough,
or takes far longer than it takes without a change.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Mutant, RottenError

ROOT = Path(__file__).parents[2]
SIMULATOR = "the simulator"
TESTS = "the tests"
_COPIED = ("consumer", "tests", "pyproject.toml")
_FOREIGN = ("PYTEST_", "COVERAGE_", "COV_", "SIMULATION_")  # settings of whoever runs this
_VIOLATION = re.compile(r"python -m tests\.simulation (--seed \d+)  # (?!nothing was wrong)(.*)")
_FAILURE = re.compile(r"FAILED (tests/\S+)")
_NO_PROGRAM = re.compile(r"(Name|UnboundLocal|Attribute|Type|Import|Syntax|ModuleNotFound)Error: ")
_PASSED = 0
_running: set["subprocess.Popen[str]"] = set()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many seeds are lived through, and how long each of the two may take, in seconds."""

    seeds: int
    simulator_seconds: float = 3600.0
    tests_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Death:
    """Who noticed the change, and what was said."""

    witness: str
    words: str

    def __str__(self) -> str:
        return f"{self.witness}: {self.words}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a process said: the line that was looked for, if there was one, and all lines."""

    telling: re.Match[str] | None
    lines: list[str]
    exit_code: int
    was_killed: bool


def try_mutant(mutant: Mutant, limits: Limits) -> Death | None:
    """Return what the mutant died of; None: nobody noticed it. Raises RottenError."""
    with copy_of_the_code() as root:
        mutant.apply(root)
        return _ask_simulator(root, mutant, limits) or _ask_tests(root, mutant.tests, limits)


def try_unchanged(tests: Sequence[str], limits: Limits) -> Limits:
    """See that the code itself passes; return limits that leave room for a busier machine.

    Raises RottenError.
    """
    with copy_of_the_code() as root:
        _see_that_it_is_the_copy(root)
        began = time.monotonic()
        death = _ask_simulator(root, None, limits)
        between = time.monotonic()
        death = death or _ask_tests(root, tests, limits)
        ended = time.monotonic()
    if death is not None:
        raise RottenError(f"the code fails without any change: {death}")
    return Limits(limits.seeds, 60 + 4 * (between - began), 60 + 4 * (ended - between))


def end_all() -> None:
    """Kill whatever runs: nobody waits for it any more."""
    for process in tuple(_running):
        _kill(process)


@contextmanager
def copy_of_the_code() -> Iterator[Path]:
    """Yield a folder with the code and its tests, which may be changed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder).resolve()
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy2(source, root / name)
        yield root


def run(
    root: Path, arguments: Sequence[str], telling: re.Pattern[str], most_seconds: float
) -> Said:
    """Run Python in the copy until it ends, says what is looked for, or the time is over."""
    lines: list[str] = []
    found = None
    is_late = threading.Event()
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=root,
        env=_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that its children can be killed with it
    ) as process:

        def give_up() -> None:
            is_late.set()
            _kill(process)

        watchdog = threading.Timer(most_seconds, give_up)
        watchdog.start()
        _running.add(process)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                found = telling.match(lines[-1])
                if found is not None:
                    break
            else:
                process.wait()
        finally:
            watchdog.cancel()
            _kill(process)
            _running.discard(process)
    return Said(found, lines, process.returncode, is_late.is_set())


def _ask_simulator(root: Path, mutant: Mutant | None, limits: Limits) -> Death | None:
    arguments = ["-m", "tests.simulation", "--seeds", str(limits.seeds), "--jobs", "1"]
    said = run(root, arguments, _VIOLATION, limits.simulator_seconds)
    if said.was_killed:
        return Death(SIMULATOR, f"it hung, and was killed after {limits.simulator_seconds:.0f} s")
    if said.telling is not None:
        seed, violation = said.telling.groups()
        if mutant is not None and _NO_PROGRAM.match(violation):
            raise RottenError(f"{mutant.name}: that is no program: {seed}: {violation}")
        return Death(SIMULATOR, f"{seed}: {violation}")
    if said.exit_code != _PASSED:
        raise RottenError(_unclear("the simulator", mutant, said))
    return None


def _ask_tests(root: Path, tests: Sequence[str], limits: Limits) -> Death | None:
    if not tests:
        return None
    # Coloured or wrapped lines would be no lines to look for; the cache would be of no use.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--color=no", "--tb=line"]
    said = run(root, ["-m", "pytest", *options, *tests], _FAILURE, limits.tests_seconds)
    if said.was_killed:
        return Death(TESTS, f"they hung, and were killed after {limits.tests_seconds:.0f} s")
    if said.telling is not None:
        return Death(TESTS, said.telling[1])
    if said.exit_code != _PASSED:
        raise RottenError(_unclear("pytest", None, said))
    return None


def _see_that_it_is_the_copy(root: Path) -> None:
    """Look where the package comes from: it may be installed too, and that one isn't changed."""
    line = "import consumer, tests; print('imported', consumer.__file__, tests.__file__)"
    said = run(root, ["-c", line], re.compile("imported (.*)"), 60.0)
    expected = f"{root / 'consumer' / '__init__.py'} {root / 'tests' / '__init__.py'}"
    if said.telling is None or said.telling[1] != expected:
        raise RottenError(f"not the copy is imported, but {said.lines}")


def _environment(root: Path) -> dict[str, str]:
    kept = {name: each for name, each in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PYTHONPATH": str(root), "COLUMNS": "1000"}


def _kill(process: "subprocess.Popen[str]") -> None:
    """End a process, and its children also if it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _unclear(who: str, mutant: Mutant | None, said: Said) -> str:
    name = mutant.name if mutant is not None else "a trial"
    tail = "\n".join(said.lines[-20:])
    return f"{name}: {who} ended with {said.exit_code} and no verdict:\n{tail}"
