"""The command line: the commands with their options, and what is wrong with the settings."""

import faulthandler
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from consumer import standard_streams
from consumer.stopper import STOP_SIGNALS, Stopper

if TYPE_CHECKING:
    import argparse

# ruff: noqa: PLC0415 - signals are watched first, and a command is imported when it is run

_NAME = "segment-consumer"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    standard_streams.open_closed()
    stopper = _watched(arguments[0] if arguments else "")
    try:
        return _main(arguments, stopper)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        stopper.leave()
        standard_streams.settle()


def _watched(command: str) -> Stopper:
    """Take over the signals; a fatal one leaves every thread's stack."""
    faulthandler.enable(standard_streams.STDERR)
    if command in {"run", "replay"}:
        stopper = Stopper(0 if command == "run" else 1)
        stopper.watch(*STOP_SIGNALS)
    else:  # nothing to let go of; SIGINT is Python's own, which they catch
        stopper = Stopper(128 + signal.SIGTERM)
        stopper.watch(signal.SIGTERM)
    return stopper


def _main(arguments: Sequence[str], stopper: Stopper) -> int:
    chosen = _parser().parse_args(arguments)
    _, run = COMMANDS[chosen.command]
    if run is _completion:  # shells wait for it as they start
        return run(chosen, stopper)
    from consumer import settings
    from consumer.commands.output import Output

    try:
        return run(chosen, stopper)
    except settings.SettingsError as error:
        Output(sys.stderr).line(str(error))
        return 2


def _run(_: "argparse.Namespace", stopper: Stopper) -> int:
    from consumer import crashes, daemon, settings
    from consumer.observability import logs

    logs.configure()  # until the settings are known
    crashes.watch()
    return daemon.run(settings.load(), stopper)


def _check(chosen: "argparse.Namespace", _: Stopper) -> int:
    from consumer import settings
    from consumer.commands.check import check
    from consumer.settings.sources import allows_colours

    loaded, colours = settings.load(), allows_colours()
    return check.run(loaded, sys.stdout, write=chosen.write, colours=colours)


def _demo(chosen: "argparse.Namespace", _: Stopper) -> int:
    from consumer.commands.demo import demo
    from consumer.settings.sources import allows_colours

    return demo.run(
        sys.stdout,
        chosen.events,
        keep=chosen.keep,
        colours=allows_colours(),
        mapping=chosen.mapping,
    )


def _preview(chosen: "argparse.Namespace", _: Stopper) -> int:
    from consumer.commands.preview import preview
    from consumer.settings.sources import allows_colours

    if chosen.show_mapping is not None:
        return preview.show_mapping(chosen.show_mapping, sys.stdout)
    choice = preview.Choice(
        last=chosen.last,
        from_file=chosen.from_file,
        mapping=chosen.mapping,
        show_ids=chosen.show_ids,
        may_be_empty=chosen.allow_empty,
        as_json=chosen.json,
    )
    loaded = preview.load(choice)
    return preview.run(loaded, choice, sys.stdout, sys.stderr, colours=allows_colours())


def _replay(chosen: "argparse.Namespace", stopper: Stopper) -> int:
    from consumer import crashes, settings
    from consumer.commands.output import Output
    from consumer.commands.replay import replay
    from consumer.commands.replay.choice import Choice, Orders
    from consumer.commands.replay.dead_letters import Selection
    from consumer.observability import logs

    logs.configure("warning", stream=sys.stderr)  # until the settings are known
    crashes.watch()
    selection = Selection(frozenset(chosen.reasons), frozenset(chosen.segments), chosen.since)
    choice = Choice(
        Orders(selection, chosen.max_replays, skip=chosen.skip),
        from_start=chosen.from_start,
        dry_run=chosen.dry_run,
        rate=chosen.rate,
        as_json=chosen.json,
        takes_all=chosen.all,
    )
    if choice.problem:
        Output(sys.stderr).line(f"{_NAME} replay: error: {choice.problem}")
        return 2
    return replay.run(settings.load(), choice, sys.stdout, stopper)


def _completion(chosen: "argparse.Namespace", _: Stopper) -> int:
    from consumer.commands.completion.scripts import SHELLS
    from consumer.commands.completion.table import table_of
    from consumer.commands.output import Output

    Output(sys.stdout).write(SHELLS[chosen.shell](_NAME, table_of(_parser())))
    return 0


COMMANDS: Mapping[str, tuple[str, Callable[["argparse.Namespace", Stopper], int]]] = {
    "run": ("the daemon", _run),
    "check": (
        "tries the settings, the broker, the topics, their records, the API, and changes nothing",
        _check,
    ),
    "demo": (
        "the real daemon on an embedded broker and a stand-in of the API, watched and verified",
        _demo,
    ),
    "preview": ("shows how records would be read, before anything is sent", _preview),
    "replay": ("delivers the dead letters once more, up to the topic's end as of now", _replay),
    "completion": ("writes a script that completes all this in bash, zsh or fish", _completion),
}
"""What each is for, and what returns its exit code."""


def _parser() -> "argparse.ArgumentParser":
    import argparse

    from consumer.commands.manual import PAGES, WHOLE

    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Carries audience changes from Kafka to Customer.io's manual segments.",
        epilog=WHOLE,
        formatter_class=shape,
    )
    what = "show the version, with those of what it is made of, and exit"
    parser.add_argument("--version", action=_version_action(), nargs=0, help=what)
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {
        name: parsers.add_parser(
            name,
            help=purpose,
            description=PAGES[name].description(purpose),
            epilog=PAGES[name].epilog(),
            formatter_class=shape,
        )
        for name, (purpose, _) in COMMANDS.items()
    }
    _add_check_options(commands["check"])
    _add_demo_options(commands["demo"])
    _add_preview_options(commands["preview"])
    _add_replay_options(commands["replay"])
    _add_completion_options(commands["completion"])
    return parser


def _version_action() -> "type[argparse.Action]":
    """Return what writes the version; the library is loaded only then."""
    from argparse import Action

    class Version(Action):
        def __call__(self, parser: "argparse.ArgumentParser", *_: object) -> None:
            from consumer.commands.output import Output
            from consumer.commands.versions import versions

            Output(sys.stdout).line(versions())
            parser.exit()

    return Version


def _add_check_options(check: "argparse.ArgumentParser") -> None:
    what = "write one record to the dead-letter topic, too, which replay passes over"
    check.add_argument("--write", action="store_true", help=what)


def _add_completion_options(completion: "argparse.ArgumentParser") -> None:
    completion.add_argument("shell", choices=["bash", "zsh", "fish"], help="whose script it is")


def _add_demo_options(demo: "argparse.ArgumentParser") -> None:
    from consumer.commands.demo.engage_story import MAPPING
    from consumer.commands.demo.story import EVENTS

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
    demo.add_argument(
        "--mapping",
        choices=[MAPPING],
        help="with records of others, which this mapping reads, instead of events",
    )


def _add_preview_options(preview: "argparse.ArgumentParser") -> None:
    from consumer import presets

    preview.add_argument(
        "--last",
        type=_whole_number(range(1, 100_001)),
        default=100,
        metavar="N",
        help="the newest N records of each topic (default: %(default)s)",
    )
    preview.add_argument(
        "--from-file",
        metavar="FILE",
        help="read no topic, but a file with the JSON value of a record in each line; - for"
        " standard input",
    )
    preview.add_argument(
        "--mapping", metavar="NAME", help="instead of EVENT_MAPPING: a preset, or a file's path"
    )
    preview.add_argument(
        "--show-ids", action="store_true", help="show the ids of persons, not only how many"
    )
    preview.add_argument(
        "--allow-empty", action="store_true", help="that there are no records yet is no failure"
    )
    preview.add_argument(
        "--json", action="store_true", help="for programs: an object a line, the summary at last"
    )
    preview.add_argument(
        "--show-mapping",
        metavar="NAME",
        choices=presets.NAMES,
        help=f"write a preset as it is, and nothing else: {', '.join(presets.NAMES)}",
    )


def _add_replay_options(replay: "argparse.ArgumentParser") -> None:
    from consumer.commands.replay import options
    from consumer.core.dead_letters import DeadLetterReason

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
        "--since",
        type=options.since,
        metavar="TIME",
        help="only dead letters refused first at this time or later: 2026-11-30T02:00:00Z, a date,"
        " or so long ago: 30m, 2h, 7d",
    )
    replay.add_argument(
        "--from-start",
        action="store_true",
        help="begin with the oldest dead letter there is, and take what was settled again",
    )
    replay.add_argument(
        "--max-replays",
        type=_whole_number(range(1, 10**6)),
        default=options.MAX_REPLAYS,
        metavar="N",
        help="leave what was replayed and refused so often, and list it (default: %(default)s)",
    )
    replay.add_argument(
        "--skip",
        action="store_true",
        help="settle the dead letters that are chosen without sending them: those of --reason,"
        " --segment and --since, one of which it needs, or --all",
    )
    replay.add_argument("--all", action="store_true", help="with --skip: all that are open")
    replay.add_argument(
        "--rate",
        type=options.rate,
        metavar="N",
        help="requests per second, at most; CUSTOMERIO_REQUESTS_PER_SECOND counts if it is less",
    )
    replay.add_argument(
        "--dry-run", action="store_true", help="list the dead letters; deliver and commit nothing"
    )
    replay.add_argument(
        "--json", action="store_true", help="for programs: an object a line, the summary at last"
    )


def _whole_number(allowed: range) -> Callable[[str], int]:
    """Return an option's type: a number of this range, in digits."""
    from argparse import ArgumentTypeError

    def parse(text: str) -> int:
        accepts = f"a whole number from {allowed[0]} to {allowed[-1]}"
        if not text.isascii() or not text.isdecimal() or int(text[:20]) not in allowed:
            raise ArgumentTypeError(f"got {text!r}; accepts {accepts}")
        return int(text)

    return parse


if __name__ == "__main__":
    sys.exit(main())
