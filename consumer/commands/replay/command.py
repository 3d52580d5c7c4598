"""``replay`` on the command line."""

import argparse
import sys

from consumer import settings
from consumer.commands.command import Command, whole_number
from consumer.core.dead_letters import DeadLetterReason


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from-start",
        action="store_true",
        help="begin with the oldest dead letter there is, not where the last replay ended",
    )
    parser.add_argument(
        "--reason",
        dest="reasons",
        action="append",
        default=[],
        choices=[reason.value for reason in DeadLetterReason],
        help="only dead letters of this reason; may be given several times",
    )
    parser.add_argument(
        "--segment",
        dest="segments",
        action="append",
        default=[],
        type=whole_number(range(1, 2**31)),
        metavar="N",
        help="only dead letters of this segment; may be given several times",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the dead letters and deliver nothing"
    )
    parser.epilog = (
        "Old changes are delivered as they are: if a customer's state changed since, the replay"
        " overwrites the newer state. With --reason, --segment or --dry-run nothing is committed."
        " Exit code: 0 all replayed, 1 some were refused again or could not be replayed, 2 wrong"
        " settings or options."
    )


def _run(chosen: argparse.Namespace) -> int:
    from consumer.commands.replay import replay  # noqa: PLC0415 - the other commands start without it
    from consumer.commands.replay.dead_letters import Selection  # noqa: PLC0415 - as above

    selection = Selection(frozenset(chosen.reasons), frozenset(chosen.segments))
    choice = replay.Choice(selection, from_start=chosen.from_start, dry_run=chosen.dry_run)
    return replay.run(settings.load(), choice, sys.stdout)


REPLAY = Command(
    "delivers the dead letters once more, up to the topic's end as of now", _run, _add_options
)
