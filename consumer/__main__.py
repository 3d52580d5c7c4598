"""The command line: settings, wiring, exit code."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from consumer import __version__, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="segment-consumer",
        description="Carries audience changes from Kafka to Customer.io's manual segments.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (purpose, prepare) in COMMANDS.items():
        prepare(commands.add_parser(name, help=purpose, description=purpose))
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.main(chosen))
    except settings.SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own voice
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _prepare_run(parser: argparse.ArgumentParser) -> None:
    def run(_: argparse.Namespace) -> int:
        from consumer import daemon  # noqa: PLC0415 - the other commands start without it

        return daemon.run(settings.load())

    parser.set_defaults(main=run)


def _prepare_check(parser: argparse.ArgumentParser) -> None:
    def check(_: argparse.Namespace) -> int:
        from consumer.commands import check  # noqa: PLC0415 - the other commands start without it

        return check.run(settings.load(), sys.stdout)

    parser.set_defaults(main=check)


def _prepare_demo(parser: argparse.ArgumentParser) -> None:
    from consumer.commands.demo.story import EVENTS  # noqa: PLC0415 - the other commands start without it

    def demo(chosen: argparse.Namespace) -> int:
        from consumer.commands import demo  # noqa: PLC0415 - the other commands start without it

        return demo.run(sys.stdout, settings.terminal(), chosen.events, keep=chosen.keep)

    parser.add_argument(
        "--events",
        type=_whole_number(EVENTS),
        default=100_000,
        metavar="N",
        help=f"how many, {EVENTS[0]} to {EVENTS[-1]} (default: %(default)s)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="go on with a few events until Ctrl-C, then verify"
    )
    parser.set_defaults(main=demo)


def _prepare_replay(parser: argparse.ArgumentParser) -> None:
    from consumer.core.dead_letters import DeadLetterReason  # noqa: PLC0415 - the other commands start without it

    def replay(chosen: argparse.Namespace) -> int:
        from consumer.commands import replay  # noqa: PLC0415 - the other commands start without it
        from consumer.commands.replay.dead_letters import Selection  # noqa: PLC0415

        selection = Selection(frozenset(chosen.reasons), frozenset(chosen.segments))
        choice = replay.Choice(selection, from_start=chosen.from_start, dry_run=chosen.dry_run)
        return replay.run(settings.load(), choice, sys.stdout)

    parser.add_argument(
        "--from-start",
        action="store_true",
        help="begin with the oldest letter there is, not where the last replay ended",
    )
    parser.add_argument(
        "--reason",
        dest="reasons",
        action="append",
        default=[],
        choices=[reason.value for reason in DeadLetterReason],
        help="only letters of this reason; may be given several times",
    )
    parser.add_argument(
        "--segment",
        dest="segments",
        action="append",
        default=[],
        type=_whole_number(range(1, 2**31)),
        metavar="N",
        help="only letters of this segment; may be given several times",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the letters and deliver nothing"
    )
    parser.epilog = (
        "Old changes are delivered as they are: if a customer's state changed since, the replay"
        " overwrites the newer state. With --reason, --segment or --dry-run nothing is committed."
        " Exit code: 0 all replayed, 1 some were refused again or could not be replayed, 2 wrong"
        " settings or options."
    )
    parser.set_defaults(main=replay)


def _whole_number(allowed: range) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        accepts = f"a whole number from {allowed[0]} to {allowed[-1]}"
        if not text.isascii() or not text.isdecimal() or int(text[:20]) not in allowed:
            raise argparse.ArgumentTypeError(f"got {text!r}; accepts {accepts}")
        return int(text)

    return whole_number


COMMANDS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("the daemon", _prepare_run),
    "check": (
        "tries the settings, the broker, the topics and the API, and changes nothing",
        _prepare_check,
    ),
    "demo": (
        "the real daemon on an embedded broker and a stand-in of the API, watched and verified",
        _prepare_demo,
    ),
    "replay": (
        "delivers the dead letters once more, up to the topic's end as of now",
        _prepare_replay,
    ),
}
"""The commands by name: what for, and what adds their options."""


if __name__ == "__main__":
    sys.exit(main())
