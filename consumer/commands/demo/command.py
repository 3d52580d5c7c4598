"""``demo`` on the command line."""

import argparse
import sys

from consumer import settings
from consumer.commands.command import Command, whole_number
from consumer.commands.demo.story import EVENTS


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events",
        type=whole_number(EVENTS),
        default=100_000,
        metavar="N",
        help=f"how many, {EVENTS[0]} to {EVENTS[-1]} (default: %(default)s)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="go on with a few events until Ctrl-C, then verify"
    )


def _run(chosen: argparse.Namespace) -> int:
    from consumer.commands.demo import demo  # noqa: PLC0415 - the other commands start without it

    return demo.run(sys.stdout, settings.terminal(), chosen.events, keep=chosen.keep)


DEMO = Command(
    "the real daemon on an embedded broker and a stand-in of the API, watched and verified",
    _run,
    _add_options,
)
