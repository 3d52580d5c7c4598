"""What a plain ``pytest`` runs, side by side within minutes; ``--everything`` runs the rest too.

A test of which a run of minutes has no need says so, and why, with ``@pytest.mark.long(reason)``.
``keep`` names the parameters (as in the brackets of the test's name) that stay. What is chosen on
the command line - a file, a folder, a test, with ``-k``, ``-m`` or ``--lf`` - is run whole.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKERS = 4
"""Processes of a run of the whole suite, each with its own broker. They wait half of the time, so
there are more of them than cores; more than these get into each other's way on two."""

_LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    what = "run also what takes long: tests that are marked so, with their reasons"
    parser.getgroup("segment-consumer").addoption("--everything", action="store_true", help=what)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    what = "long(reason, keep=()): left out without --everything, but for the parameters in keep"
    config.addinivalue_line("markers", what)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Give a run of the whole suite its workers, before xdist looks how many it shall start."""
    is_unsaid = config.getoption("numprocesses", default=0) is None and not _is_worker(config)
    if is_unsaid and _is_whole(config) and not config.getoption("usepdb"):
        config.option.numprocesses = WORKERS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long; where workers share the rest, let them begin with what waits."""
    config.stash[_LEFT_OUT] = {}
    if _is_whole(config) and not config.getoption("everything"):
        left_out = [item for item in items if _reason(item)]
        config.stash[_LEFT_OUT] = Counter(_reason(item) for item in left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _reason(item)]
    if _is_worker(config):
        items.sort(key=_comes_late)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that began the workers what this one left out."""
    config: Any = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = dict(config.stash.get(_LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's, which is not imported here
    """Hear what a worker left out: each of them the same."""
    if "left_out" in getattr(node, "workeroutput", {}):
        node.config.stash[_LEFT_OUT] = node.workeroutput["left_out"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say at the end what was left out, and how to run it."""
    if left_out := config.stash.get(_LEFT_OUT, {}):
        terminalreporter.write_line(_closing_line(left_out))


def _closing_line(left_out: "Mapping[str, int]") -> str:
    parts = [f"{reason} ({count})" for reason, count in sorted(left_out.items())]
    total = sum(left_out.values())
    return f"{total} tests left out, which `pytest --everything` runs: {', '.join(parts)}"


def _is_whole(config: pytest.Config) -> bool:
    """Whether nothing was chosen: the folders of the configuration, or the same ones named."""
    option = config.option
    if option.keyword or option.markexpr or getattr(option, "lf", False):
        return False
    return {arg.rstrip("/") for arg in config.args} == set(config.getini("testpaths"))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _reason(item: pytest.Item) -> str:
    """Return why the test is left out; empty if it isn't."""
    parameters = item.name.partition("[")[2].removesuffix("]")
    for mark in item.iter_markers("long"):
        (reason,) = mark.args
        if parameters not in mark.kwargs.get("keep", ()):
            return str(reason)
    return ""


def _comes_late(item: pytest.Item) -> tuple[bool, bool]:
    """Return the sort key that has the longest waits first, so that none is left for the end."""
    is_long = item.get_closest_marker("long") is not None
    return not is_long, "broker" not in getattr(item, "fixturenames", ())
