"""A plain run leaves out what takes long, and says so; what is named is run whole."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ABSENT = ("yaml", "kubernetes_validate", "cyclonedx")
"""What `.ci/deploy` installs, and nobody else needs."""
SUITE = """
import pytest

def test_short():
    pass

@pytest.mark.long("the long ones")
def test_long():
    pass

@pytest.mark.long("the other ways", keep=("one", "one-more"))
@pytest.mark.parametrize("way", ["one", "one-more", "another"])
def test_ways(way):
    pass
"""
LEFT_OUT = (
    "2 tests left out, which `pytest --everything` runs: the long ones (1), the other ways (1)"
)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\ntestpaths = tests")
    folder = pytester.mkdir("tests")
    folder.joinpath("conftest.py").write_text("pytest_plugins = ['tests.support.selection']")
    folder.joinpath("test_it.py").write_text(SUITE)
    return pytester


@pytest.mark.parametrize("arguments", [[], ["tests/"]], ids=str)
def test_a_plain_run_leaves_out_what_takes_long_and_says_so(
    suite: pytest.Pytester, arguments: list[str]
) -> None:
    result = suite.runpytest_inprocess("-n0", *arguments)
    result.assert_outcomes(passed=3, deselected=2)
    result.stdout.fnmatch_lines([LEFT_OUT])


@pytest.mark.parametrize(
    "arguments", [["--everything"], ["tests/test_it.py"], ["-k", "test_"]], ids=str
)
def test_everything_or_what_is_named_is_run_whole(
    suite: pytest.Pytester, arguments: list[str]
) -> None:
    result = suite.runpytest_inprocess("-n0", *arguments)
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*left out*")


def test_a_plain_run_has_workers_and_says_what_they_left_out(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("--maxprocesses=2")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["2 workers*", LEFT_OUT])


def test_the_deployment_s_tests_are_found_where_its_tools_are_not() -> None:
    """Else a newcomer's first run would end before its first test."""
    modules = [f"tests.deploy.{path.stem}" for path in (ROOT / "tests/deploy").glob("test_*.py")]
    program = (
        f"import importlib, sys; sys.modules.update(dict.fromkeys({ABSENT}))\n"
        f"for name in {modules}: importlib.import_module(name)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
