"""The manual below the options of each command: what else to know, examples, exit codes."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

_WIDTH = 80


class Page(NamedTuple):
    """Of one command: a text, examples as they are typed, and what its exit codes mean."""

    text: str
    examples: tuple[str, ...]
    exits: Mapping[int, str]

    @staticmethod
    def description(purpose: str) -> str:
        """Return what a command is for as a sentence."""
        return textwrap.fill(f"{purpose[0].upper()}{purpose[1:]}.", _WIDTH)

    def epilog(self) -> str:
        """Return it as it stands below a command's options."""
        parts = [textwrap.fill(self.text, _WIDTH)] if self.text else []
        parts.append("examples:\n" + "\n".join(f"  {each}" for each in self.examples))
        codes = (
            textwrap.fill(
                f"{code:<3} {meaning}", _WIDTH, initial_indent="  ", subsequent_indent=" " * 6
            )
            for code, meaning in self.exits.items()
        )
        return "\n\n".join([*parts, "exit codes:\n" + "\n".join(codes)])


WHOLE = (
    "examples:\n"
    "  segment-consumer demo       needs no server and no account\n"
    "  segment-consumer check      what would keep the daemon from working\n"
    "  segment-consumer run        the daemon\n"
    "\n"
    "Settings are environment variables. COMMAND --help has the options, examples\n"
    "and exit codes of each."
)
"""What stands below the list of commands."""

PAGES: Mapping[str, Page] = {
    "run": Page(
        "What is wrong outside - no broker, no API, a missing topic or right - is no reason to end:"
        " it waits, says why at /readyz, and goes on by itself. A second SIGTERM or SIGINT ends it"
        " at once, with 128 + the signal's number.",
        (
            "segment-consumer run",
            "LOG_FORMAT=console HTTP_PORT=0 segment-consumer run",
            "SECRETS_DIR=/run/secrets segment-consumer run",
        ),
        {
            0: "stopped on SIGTERM or SIGINT, also if something had to be released",
            1: "gave up (a static member fenced twice in a row, a position that is gone or was"
            " never committed with KAFKA_AUTO_OFFSET_RESET=error, the HTTP port is taken, a crash)",
            2: "settings wrong",
        },
    ),
    "check": Page(
        "A line for each check: what was tried, what came back, what to do. It joins no group,"
        " makes no topic and sends the API no change. If a right is missing, all those that are"
        " needed are shown as commands.",
        (
            "segment-consumer check",
            "segment-consumer check --write",
            "NO_COLOR=1 segment-consumer check",
        ),
        {
            0: "all good",
            1: "something can't be reached or was refused",
            2: "settings wrong",
        },
    ),
    "demo": Page(
        "Needs no settings, no server and no account.",
        (
            "segment-consumer demo",
            "segment-consumer demo --events 1000000",
            "segment-consumer demo --keep --mapping segment-engage",
        ),
        {0: "verified", 1: "not verified", 2: "options wrong"},
    ),
    "preview": Page(
        "Joins no group, commits nothing, calls no API and needs no credentials of it. Ignored"
        " records count as read; that there are none is no failure with --allow-empty.",
        (
            "segment-consumer preview --last 20",
            "segment-consumer preview --from-file records.jsonl --mapping segment-engage",
            "segment-consumer preview --json --allow-empty",
            "segment-consumer preview --show-mapping debezium",
        ),
        {
            0: "all can be read, ignored ones among them",
            1: "some can't, or there are none",
            2: "settings, mapping or options wrong",
        },
    ),
    "replay": Page(
        "Old changes are delivered as they are: if a customer's state changed since, the replay"
        " overwrites the newer state. What is refused again goes to the end of the topic; what"
        " can't be read still, was replayed too often, or was not chosen is left, and the next"
        " replay looks at it again.",
        (
            "segment-consumer replay --dry-run --since 2h",
            "segment-consumer replay --segment 56 --rate 20",
            "segment-consumer replay --reason malformed --skip",
        ),
        {
            0: "all that were chosen were replayed, skipped or listed",
            1: "some were refused again or left, or could not be replayed",
            2: "settings or options wrong",
        },
    ),
    "completion": Page(
        "The script completes the commands, their options and what these take. It is made of what"
        " this version has: make it anew with the next one.",
        (
            "source <(segment-consumer completion bash)",
            (
                "segment-consumer completion bash >"
                " ~/.local/share/bash-completion/completions/segment-consumer"
            ),
            "segment-consumer completion zsh > ~/.zfunc/_segment-consumer",
            "segment-consumer completion fish > ~/.config/fish/completions/segment-consumer.fish",
        ),
        {0: "written", 2: "options wrong"},
    ),
}
"""By command. The exit codes are those of the reference's table."""
