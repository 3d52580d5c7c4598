"""The preview from the options to the exit code."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

from consumer import presets, settings
from consumer.commands.output import Output
from consumer.commands.preview.bar import Bar
from consumer.commands.preview.lines import STANDARD_INPUT
from consumer.commands.preview.show import ForPeople, ForPrograms
from consumer.commands.preview.sources import Source, of_file, of_topics
from consumer.commands.preview.tally import Tally
from consumer.commands.preview.verdict import count_of, verdict_of
from consumer.settings import Settings, SettingsError

_CREDENTIALS = {"CUSTOMERIO_SITE_ID": "unneeded", "CUSTOMERIO_API_KEY": "unneeded"}
_KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "unneeded:9092", "KAFKA_TOPICS": "unneeded"}
_BLOCK_RECORDS = 1000  # of a file: what is aligned together, and read before it is shown


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options say."""

    last: int = 100
    from_file: str | None = None
    mapping: str | None = None
    show_ids: bool = False
    may_be_empty: bool = False
    as_json: bool = False


def show_mapping(name: str, stream: TextIO | None) -> int:
    """Write a preset as it is; return the exit code."""
    Output(stream).line(presets.text_of(name).rstrip("\n"))
    return 0


def load(choice: Choice) -> Settings:
    """Return the settings; a preview does without some. Raises SettingsError."""
    chosen = {} if choice.mapping is None else {"EVENT_MAPPING": choice.mapping}
    unneeded = _CREDENTIALS if choice.from_file is None else _CREDENTIALS | _KAFKA
    try:
        return settings.load(chosen=chosen, unneeded=unneeded)
    except SettingsError as error:
        lines = error.problems
        if choice.mapping is not None:
            lines = tuple(each.replace("EVENT_MAPPING:", "--mapping:", 1) for each in lines)
        raise SettingsError(*lines, warnings=error.warnings) from None


def run(
    loaded: Settings, choice: Choice, stream: TextIO | None, errors: TextIO | None, *, colours: bool
) -> int:
    """Show what records say; return the exit code."""
    for warning in loaded.warnings:
        Output(errors).line(f"warning: {warning}")
    show = (
        ForPrograms(stream, show_ids=choice.show_ids)
        if choice.as_json
        else ForPeople(stream, colours=colours, show_ids=choice.show_ids)
    )
    bar = Bar(errors)
    if choice.from_file is None:
        return _shown(of_topics(loaded, choice.last, bar), loaded, choice, show, bar)
    try:
        with _opened(choice.from_file) as file:
            return _shown(of_file(loaded, file, choice.from_file), loaded, choice, show, bar)
    except OSError as error:
        why = error.strerror or type(error).__name__
        Output(errors).line(f"--from-file: got {choice.from_file!r}: {why}; accepts a file, or -")
        return 2


def _opened(name: str) -> "nullcontext[BinaryIO] | BinaryIO":
    if name == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    return Path(name).open("rb")


def _shown(
    source: Source, loaded: Settings, choice: Choice, show: ForPeople | ForPrograms, bar: Bar
) -> int:
    tally = Tally()
    bar.clear()
    show.begin(source.name, loaded)
    while samples := list(islice(source.samples, _BLOCK_RECORDS)):
        for sample in samples:
            tally.add(sample)
        bar.clear()
        show.show(samples)
        bar.show(f"{count_of(tally.read, 'record')} read")
    bar.clear()
    verdict = verdict_of(
        tally,
        loaded.batch_max_ids,
        source.name,
        has_trouble=bool(source.troubles),
        may_be_empty=choice.may_be_empty,
    )
    show.conclude(tally, verdict, source.troubles, loaded)
    return verdict.exit_code
