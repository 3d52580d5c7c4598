"""Mutants fit the code, and a few of them die; ``python -m tests.mutants`` tries them all."""

import ast
import dataclasses
import re
from collections import Counter

import pytest

from tests.mutants.changes import MUTANTS
from tests.mutants.mutant import Mutant, RottenError
from tests.mutants.trial import ROOT, SIMULATOR, TESTS, Limits, copy_of_the_code, run, try_mutant

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
QUICK = Limits(seeds=15, simulator_seconds=300.0, tests_seconds=300.0)
each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=BY_NAME)


def function_names(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_name_is_one_mutants() -> None:
    assert [
        name for name, count in Counter(each.name for each in MUTANTS).items() if count > 1
    ] == []
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", mutant.name) for mutant in MUTANTS)


def test_no_change_is_there_twice() -> None:
    changes = [(mutant.file, mutant.old.strip(), mutant.new.strip()) for mutant in MUTANTS]
    assert len(set(changes)) == len(MUTANTS)


@each_mutant
def test_a_mutant_fits_the_code_and_is_a_program(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutant.applied_to(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    compile(changed, mutant.file, "exec")


@each_mutant
def test_the_tests_that_a_mutant_is_for_are_there(mutant: Mutant) -> None:
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file()
        assert not name or name.partition("[")[0] in function_names(file)


@pytest.mark.parametrize("old", ["nothing like it", "self"])
def test_a_mutant_that_no_longer_fits_is_named(old: str) -> None:
    file = "consumer/engine/commits.py"
    times = (ROOT / file).read_text().count(old)
    rotten = dataclasses.replace(MUTANTS[0], name="rotten", file=file, old=old)
    with pytest.raises(RottenError, match=f"^rotten: its old text is {times} times in {file}"):
        try_mutant(rotten, QUICK)


@pytest.mark.long("trials of mutants")
def test_the_simulator_notices_a_mutant() -> None:
    death = try_mutant(BY_NAME["commit-the-position"], QUICK)
    assert death is not None
    assert death.witness == SIMULATOR
    assert re.match(r"--seed \d+: I1: ", death.words)


@pytest.mark.long("trials of mutants")
def test_what_the_simulator_does_not_notice_the_tests_do() -> None:
    death = try_mutant(BY_NAME["a-commit-from-before-the-loss-proves-membership"], QUICK)
    assert death is not None
    assert (death.witness, death.words.partition("::")[0]) == (TESTS, "tests/test_lease.py")


@pytest.mark.long("trials of mutants")
def test_a_change_that_changes_nothing_survives() -> None:
    harmless = Mutant(
        name="harmless",
        breaks="nothing",
        file="consumer/core/lease.py",
        old="return now < self.end",
        new="return self.end > now",
        tests=("tests/test_lease.py",),
    )
    assert try_mutant(harmless, dataclasses.replace(QUICK, seeds=3)) is None


@pytest.mark.long("trials of mutants")
def test_a_mutant_that_hangs_is_killed() -> None:
    hanging = dataclasses.replace(
        BY_NAME["commit-the-position"], new="while True: pass", tests=("tests/test_ledger.py",)
    )
    death = try_mutant(hanging, Limits(seeds=1, simulator_seconds=2.0))
    assert death is not None
    assert death.words == "it hung, and was killed after 2 s"


@pytest.mark.long("trials of mutants")
def test_a_mutant_that_is_no_program_proves_nothing() -> None:
    broken = dataclasses.replace(BY_NAME["commit-the-position"], new="return nobody_knows")
    with pytest.raises(RottenError, match=r"^commit-the-position: that is no program: .*NameError"):
        try_mutant(broken, QUICK)


def test_what_runs_is_the_copy_also_where_the_package_is_installed() -> None:
    with copy_of_the_code() as root:
        line = "import consumer.engine.loop, tests.conftest; print(consumer.engine.loop.__file__)"
        said = run(root, ["-c", line], re.compile("/.*"), 60.0)
        assert said.lines == [str(root / "consumer" / "engine" / "loop.py")]
    assert not root.exists()
