"""``check`` on the command line."""

import argparse
import sys

from consumer import settings
from consumer.commands.command import Command


def _run(_: argparse.Namespace) -> int:
    from consumer.commands.check import check  # noqa: PLC0415 - the other commands start without it

    return check.run(settings.load(), sys.stdout)


CHECK = Command("tries the settings, the broker, the topics and the API, and changes nothing", _run)
