"""The command line: what ``--help`` and ``--version`` say, and what shells complete of it."""

import argparse
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import confluent_kafka
import pytest

from consumer import __version__
from consumer.__main__ import COMMANDS, _parser
from consumer.commands.completion.scripts import SHELLS
from consumer.commands.completion.table import table_of
from consumer.commands.manual import PAGES
from tests.support.command import said_by
from tests.support.waiting import PATIENCE_SECONDS
from tests.test_readme import REFERENCE, rows

PROGRAM = "segment-consumer"


# -- help and version -----------------------------------------------------------------------------


def test_the_version_is_the_first_word_and_the_librarys_are_named() -> None:
    library = confluent_kafka.libversion()[0]
    line = said_by("--version")
    assert line.split()[0] == __version__
    assert f"librdkafka {library}" in line
    assert f"confluent-kafka {version('confluent-kafka')}" in line
    assert f"Python {sys.version.split()[0]})\n" in line


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "bash"], ["check", "--help"]])
def test_nothing_but_the_version_loads_the_library(arguments: list[str]) -> None:
    text = (
        "import sys; from consumer.__main__ import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "sys.exit('confluent_kafka' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_and_exit_codes(command: str) -> None:
    text = said_by(command, "--help")
    assert "\nexamples:\n  " in text
    codes = re.findall(r"^  (\d) ", text.partition("\nexit codes:\n")[2], re.MULTILINE)
    assert codes == [str(code) for code in PAGES[command].exits]
    assert PAGES[command].epilog() in text
    long = [line for line in PAGES[command].epilog().splitlines() if len(line) > 80]
    assert all(line.strip() in PAGES[command].examples for line in long)


def test_every_command_has_its_page_and_the_exit_codes_are_the_references() -> None:
    assert list(PAGES) == list(COMMANDS)
    for name, _, exits in rows(REFERENCE, "| command | does | exits |"):
        page = PAGES[name.strip("`").split()[1]]
        told = "; ".join(f"{code} {meaning}" for code, meaning in page.exits.items())
        assert exits.replace("`", "") == told, name


@pytest.mark.parametrize("example", [each for page in PAGES.values() for each in page.examples])
def test_every_example_is_taken(example: str) -> None:
    words = shlex.split(re.sub(r"^source <\((.*)\)$", r"\1", example).partition(" > ")[0])
    while "=" in words[0]:
        name = words.pop(0).partition("=")[0]
        assert f"`{name}`" in REFERENCE
    assert words[0] == PROGRAM
    _parser().parse_args(words[1:])


# -- completion -----------------------------------------------------------------------------------


CASES = [
    pytest.param("pre", "preview", "run", id="a command"),
    pytest.param("check --wr", "--write", "--last", id="an option of a command"),
    pytest.param("preview --show-mapping deb", "debezium", "maxwell", id="a choice"),
    pytest.param("completion zs", "zsh", "bash", id="a word"),
    pytest.param("preview --from-file rec", "records of mine.jsonl", "other", id="a file"),
    pytest.param("preview --mapping deb", "debezium", "maxwell", id="a preset or a file: a preset"),
    pytest.param("preview --mapping rec", "records of mine.jsonl", "debezium", id="or a file"),
]
"""What is typed, what completes it, and what must not."""


def script(shell: str, folder: Path) -> Path:
    """Put a shell's script into a folder, beside some files."""
    for name in ("records of mine.jsonl", "other"):
        (folder / name).touch()
    path = folder / f"complete.{shell}"
    path.write_text(said_by("completion", shell))
    return path


def shell_of(name: str) -> str:
    """Return where a shell is; skip the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}; to get it: apt-get install {name}, or the like")
    return found


def asked(command: Sequence[str], folder: Path) -> list[str]:
    """Run a shell that completes something; return the lines it writes."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def typed_in_bash(line: str, folder: Path) -> list[str]:
    words = f"{PROGRAM} {line}".replace("=", " = ").split(" ")
    text = (
        f"source {script('bash', folder)}; COMP_WORDS=({shlex.join(words)});"
        f" COMP_CWORD={len(words) - 1}; _segment_consumer;"
        r' [ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}";'
        f" complete -p {PROGRAM} >/dev/null"
    )
    return asked(
        [
            shell_of("bash"),
            "--norc",
            "-c",
            text,
        ],
        folder,
    )


@pytest.mark.parametrize(("line", "expected", "other"), CASES)
def test_bash_completes(line: str, expected: str, other: str, tmp_path: Path) -> None:
    found = typed_in_bash(line, tmp_path)
    assert expected in found
    assert other not in found


def test_bash_completes_all_commands_and_options_and_the_values_behind_a_sign(
    tmp_path: Path,
) -> None:
    assert set(typed_in_bash("", tmp_path)) >= {*COMMANDS, "--version"}
    for command in table_of(_parser()).commands:
        options = {name for each in command.options for name in each.names}
        assert set(typed_in_bash(f"{command.name} -", tmp_path)) == options
    assert typed_in_bash("replay --reason=mal", tmp_path) == ["malformed"]
    assert typed_in_bash("preview --last ", tmp_path) == [], "a number is nobody's to guess"


@pytest.mark.parametrize(("line", "expected", "other"), CASES)
def test_fish_completes(line: str, expected: str, other: str, tmp_path: Path) -> None:
    text = f"source {script('fish', tmp_path)}; complete -C {shlex.quote(f'{PROGRAM} {line}')}"
    found = asked([shell_of("fish"), "--no-config", "-c", text], tmp_path)
    words = [each.partition("\t")[0].replace("\\ ", " ") for each in found]
    assert expected in words
    assert other not in words


@pytest.mark.parametrize(("line", "expected", "other"), CASES)
def test_zsh_completes(line: str, expected: str, other: str, tmp_path: Path) -> None:
    """On a terminal of its own: zsh completes nowhere else."""
    zsh, path = shell_of("zsh"), script("zsh", tmp_path)
    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        os.execve(zsh, [zsh, "-f", "-i"], {"PATH": os.environ["PATH"], "TERM": "dumb"})  # noqa: S606 - a shell under test
    start = f"PS1=; autoload -U compinit; compinit -u -D; source {path}; print rea''dy\n"
    os.write(terminal, start.encode())
    shown = read_until(terminal, "ready")
    os.write(terminal, f"{PROGRAM} {line}\t".encode())
    typed = f"{PROGRAM} {line}".rpartition(" ")[0]
    shown = read_until(terminal, f"{typed} {expected.replace(' ', chr(92) + ' ')}")
    os.close(terminal)
    os.waitpid(child, 0)
    assert other not in shown


def read_until(terminal: int, text: str) -> str:
    """Return what a terminal shows, once it shows that."""
    shown, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while text not in shown and time.monotonic() < deadline:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_every_option_of_every_command_is_in_each_script() -> None:
    table = table_of(_parser())
    for write in SHELLS.values():
        text = write(PROGRAM, table)
        for command in table.commands:
            for option in command.options:
                assert option.names[-1].removeprefix("--") in text


def test_what_stands_in_a_shells_way_is_escaped() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    command = commands.add_parser("go", help="it's [here]: \\ $HOME `x`")
    command.add_argument("--at", metavar="N", help="it's [here]: 100%% \\ $HOME `x`")
    table = table_of(parser)
    assert table.commands[0].options[-1].purpose == "it's [here]: 100% \\ $HOME `x`"
    for name, write in SHELLS.items():
        if shutil.which(name):
            checked = [name, "-n", "/dev/stdin"]
            text = write("a-program", table)
            subprocess.run(checked, input=text.encode(), check=True)
