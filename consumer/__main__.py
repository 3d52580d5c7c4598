"""The command line: the commands by name, and what is wrong with the settings."""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence

from consumer import __version__, settings
from consumer.commands.check.command import CHECK
from consumer.commands.command import Command
from consumer.commands.demo.command import DEMO
from consumer.commands.replay.command import REPLAY


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="segment-consumer",
        description="Carries audience changes from Kafka to Customer.io's manual segments.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_options(
            parsers.add_parser(name, help=command.purpose, description=command.purpose)
        )
    chosen = parser.parse_args(arguments)
    try:
        return COMMANDS[chosen.command].run(chosen)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command line's own voice
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(_: argparse.Namespace) -> int:
    from consumer import daemon  # noqa: PLC0415 - the other commands start without it

    return daemon.run(settings.load())


COMMANDS: Mapping[str, Command] = {
    "run": Command("the daemon", _run),
    "check": CHECK,
    "demo": DEMO,
    "replay": REPLAY,
}


if __name__ == "__main__":
    sys.exit(main())
