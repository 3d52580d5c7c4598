"""The commands and options there are, read off the parser itself."""

# ruff: noqa: SLF001 - argparse tells its options to nobody else

import argparse
from typing import NamedTuple

from consumer import presets

_FILE, _NAME = "FILE", "NAME"
"""What stands for an option's value that is a file; that is a preset's name or a file."""


class Option(NamedTuple):
    """``names`` are as they are typed; ``value`` stands for what it takes, empty: nothing.

    ``choices`` are what is known of the values. With ``takes_file`` a file may be one, too.
    """

    names: tuple[str, ...]
    purpose: str
    value: str
    choices: tuple[str, ...]
    takes_file: bool


class Command(NamedTuple):
    """``words`` are what may stand behind it without an option."""

    name: str
    purpose: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


class Table(NamedTuple):
    """All of it; ``options`` stand before any command."""

    options: tuple[Option, ...]
    commands: tuple[Command, ...]


def table_of(parser: argparse.ArgumentParser) -> Table:
    """Return what a parser takes."""
    commands: list[Command] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            purposes = {each.dest: each.help or "" for each in action._choices_actions}
            commands += [
                Command(name, purposes[name], _options(each), _words(each))
                for name, each in action.choices.items()
            ]
    return Table(_options(parser), tuple(commands))


def _options(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    return tuple(
        _option(_purpose(parser, action), action)
        for action in parser._actions
        if action.option_strings
    )


def _option(purpose: str, action: argparse.Action) -> Option:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest).upper()
    choices = tuple(map(str, action.choices or ()))
    return Option(
        names=tuple(action.option_strings),
        purpose=purpose,
        value=value,
        choices=choices or (presets.NAMES if value == _NAME else ()),
        takes_file=value in {_FILE, _NAME} and not choices,
    )


def _words(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    return tuple(
        str(word)
        for action in parser._actions
        if not action.option_strings
        for word in action.choices or ()
    )


def _purpose(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return what an option is for, as ``--help`` has it."""
    return parser._get_formatter()._expand_help(action) if action.help else ""
