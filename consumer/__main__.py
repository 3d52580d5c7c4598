"""The command line: the commands with their options, and what is wrong with the settings."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from consumer import __version__, settings
from consumer.commands.demo.story import EVENTS
from consumer.commands.output import Output
from consumer.core.dead_letters import DeadLetterReason
from consumer.settings.sources import allows_colours

# ruff: noqa: PLC0415 - a command is imported when it is run: the others start without it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    chosen = _parser().parse_args(arguments)
    _, run = COMMANDS[chosen.command]
    try:
        return run(chosen)
    except settings.SettingsError as error:
        Output(sys.stderr).line(str(error))
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(_: argparse.Namespace) -> int:
    from consumer import daemon

    return daemon.run(settings.load())


def _check(_: argparse.Namespace) -> int:
    from consumer.commands.check import check

    return check.run(settings.load(), sys.stdout)


def _demo(chosen: argparse.Namespace) -> int:
    from consumer.commands.demo import demo

    return demo.run(sys.stdout, chosen.events, keep=chosen.keep, colours=allows_colours())


def _replay(chosen: argparse.Namespace) -> int:
    from consumer.commands.replay import replay
    from consumer.commands.replay.dead_letters import Selection

    selection = Selection(frozenset(chosen.reasons), frozenset(chosen.segments))
    choice = replay.Choice(selection, from_start=chosen.from_start, dry_run=chosen.dry_run)
    return replay.run(settings.load(), choice, sys.stdout)


COMMANDS: Mapping[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "run": ("the daemon", _run),
    "check": (
        "tries the settings, the broker, the topics and the API, and changes nothing",
        _check,
    ),
    "demo": (
        "the real daemon on an embedded broker and a stand-in of the API, watched and verified",
        _demo,
    ),
    "replay": ("delivers the dead letters once more, up to the topic's end as of now", _replay),
}
"""What each is for, and what returns its exit code."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segment-consumer",
        description="Carries audience changes from Kafka to Customer.io's manual segments.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {
        name: parsers.add_parser(name, help=purpose, description=purpose)
        for name, (purpose, _) in COMMANDS.items()
    }
    _add_demo_options(commands["demo"])
    _add_replay_options(commands["replay"])
    return parser


def _add_demo_options(demo: argparse.ArgumentParser) -> None:
    demo.add_argument(
        "--events",
        type=_whole_number(EVENTS),
        default=100_000,
        metavar="N",
        help=f"how many, {EVENTS[0]} to {EVENTS[-1]} (default: %(default)s)",
    )
    demo.add_argument(
        "--keep", action="store_true", help="go on with a few events until Ctrl-C, then verify"
    )


def _add_replay_options(replay: argparse.ArgumentParser) -> None:
    replay.add_argument(
        "--from-start",
        action="store_true",
        help="begin with the oldest dead letter there is, not where the last replay ended",
    )
    replay.add_argument(
        "--reason",
        dest="reasons",
        action="append",
        default=[],
        choices=[reason.value for reason in DeadLetterReason],
        help="only dead letters of this reason; may be given several times",
    )
    replay.add_argument(
        "--segment",
        dest="segments",
        action="append",
        default=[],
        type=_whole_number(range(1, 2**31)),
        metavar="N",
        help="only dead letters of this segment; may be given several times",
    )
    replay.add_argument(
        "--dry-run", action="store_true", help="list the dead letters and deliver nothing"
    )
    replay.epilog = (
        "Old changes are delivered as they are: if a customer's state changed since, the replay"
        " overwrites the newer state. With --reason, --segment or --dry-run nothing is committed."
        " Exit code: 0 all replayed, 1 some were refused again or could not be replayed, 2 wrong"
        " settings or options."
    )


def _whole_number(allowed: range) -> Callable[[str], int]:
    """Return an option's type: a number of this range, in digits."""

    def parse(text: str) -> int:
        accepts = f"a whole number from {allowed[0]} to {allowed[-1]}"
        if not text.isascii() or not text.isdecimal() or int(text[:20]) not in allowed:
            raise argparse.ArgumentTypeError(f"got {text!r}; accepts {accepts}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
