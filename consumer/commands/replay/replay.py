"""A replay from its survey to what came of it."""

import sys
import textwrap
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TextIO

from consumer import __version__, clock, crashes, daemon, readers
from consumer.commands.replay.dead_letters import Selection, Sieve
from consumer.commands.replay.listing import Listing
from consumer.commands.replay.member import (
    BoundedMember,
    KeptDeadLetters,
    LoneMember,
    LoneQuestions,
)
from consumer.commands.replay.progress import Progress, Score
from consumer.commands.replay.reader import DeadLetterReader
from consumer.commands.replay.survey import InterruptedSurveyError, Spans, Survey
from consumer.commands.replay.voice import Voice, counted
from consumer.core.positions import Going
from consumer.core.snapshot import Board, initial_snapshot
from consumer.kafka.lookup import Lookup
from consumer.kafka.member import Member
from consumer.observability import logs
from consumer.settings import Settings
from consumer.settings.properties import admin_properties, consumer_properties
from consumer.stopper import Stopper

ON_ORDER = (
    "A replay delivers the old changes as they are, beside the daemon and in no order with it. If a"
    " customer's state changed since, the replay overwrites the newer state with the old one:"
    " Customer.io keeps no times, the request it takes last wins. To narrow it down, --dry-run"
    " lists the dead letters and when they were refused, --reason and --segment choose among them."
)

_MAX_LINGER_SECONDS = 1.0
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """The options."""

    selection: Selection = field(default_factory=Selection)
    from_start: bool = False
    dry_run: bool = False


def run(settings: Settings, choice: Choice, stream: TextIO | None, stopper: Stopper) -> int:
    """Replay, or list; return the exit code: 0 all replayed (or listed), 1 not all."""
    # What a daemon tells as news is progress here.
    level = "warning" if settings.log_level == "info" else settings.log_level
    logs.configure(level, "console" if sys.stderr.isatty() else settings.log_format, sys.stderr)
    for warning in settings.warnings:
        logs.log("settings_warning", warning, level="warning")
    stopper.begin(settings.drain_timeout_seconds)
    replay = Replay(replaying(settings), choice, Voice(stream), stopper)
    return crashes.guarded(replay.run)


def replaying(settings: Settings) -> Settings:
    """Return the daemon's settings as a replay has them."""
    return settings.model_copy(
        update={
            "kafka_topics": (settings.dead_letter_topic,),
            "kafka_group_id": f"{settings.kafka_group_id}.replay",
            # The next run must not wait for this one's session.
            "kafka_group_instance_id": None,
            "kafka_auto_offset_reset": "earliest",
            "batch_linger_seconds": min(settings.batch_linger_seconds, _MAX_LINGER_SECONDS),
            "reject_policy": "dead-letter",
            "dead_letter_max_consecutive": 0,
        }
    )


class Replay:
    """One run; ``settings`` are those of `replaying`."""

    def __init__(self, settings: Settings, choice: Choice, voice: Voice, stopper: Stopper) -> None:
        self._settings = settings
        self._choice = choice
        self._voice = voice
        self._stopper = stopper
        self._mapping = readers.patient_reader_of(settings)
        self._reader = DeadLetterReader(self._mapping, settings.event_id_type)
        self._sieve = Sieve(choice.selection, self._reader, voice.line)

    def run(self) -> int:
        """Return the exit code."""
        member = Member(self._properties())
        survey = Survey(self._settings, member, self._voice, lambda: self._stopper.asked)
        try:
            spans = survey.spans(from_start=self._choice.from_start)
            self._introduce(spans)
            to_read = {name: span for name, span in spans.items() if span.dead_letters}
            if not to_read:
                return 0
            if self._choice.dry_run:
                return self._list(to_read)
            if not self._choice.selection:
                survey.move({name: each.start for name, each in spans.items() if each.must_move})
        except InterruptedSurveyError:
            self._voice.line("interrupted; nothing was replayed")
            return 1
        finally:
            member.close()
        return self._replay(spans, to_read)

    def _introduce(self, spans: Spans) -> None:
        """Say what there is to replay."""
        topic, say = self._settings.dead_letter_topic, self._voice.line
        if not spans:
            say(
                f"There is no topic {topic}, so nothing to replay. The daemon creates it when it"
                " starts: if it ran, check DEAD_LETTER_TOPIC and KAFKA_BOOTSTRAP_SERVERS."
            )
            return
        if any(span.is_anew for span in spans.values()):
            say(f"{topic} was made anew since the last replay: it is read from its beginning.")
        if deleted := sum(span.deleted for span in spans.values()):
            what = counted(deleted, "dead letter")
            say(f"{what} already deleted by the topic's retention, before any replay.")
        count = sum(span.dead_letters for span in spans.values())
        if count:
            say(
                f"{counted(count, 'dead letter')} on {topic},"
                f" group {self._settings.kafka_group_id}."
            )
            say(textwrap.fill(ON_ORDER, _WIDTH))
        elif any(span.end > span.low for span in spans.values()):
            say(f"{topic} has nothing new: all of it was replayed. --from-start takes it again.")
        else:
            say(f"{topic} is empty: nothing to replay.")

    def _replay(self, spans: Spans, to_read: Spans) -> int:
        board = Board(initial_snapshot(__version__), clock.now())
        member, lookup, dead_letters = self._ends(spans, to_read)

        def on_done() -> None:
            self._stopper.ended_code = self._verdict(progress, Score.of(board.snapshot))

        progress = Progress(to_read, member, board, self._voice, on_done)
        daemon.run_until(
            self._settings,
            board,
            self._stopper,
            member=member,
            lookup=lookup,
            dead_letters=dead_letters,
            pipeline=daemon.pipeline_of(self._settings, self._reader if self._mapping else None),
            is_done=progress.is_done,
        )
        score = Score.of(board.snapshot)
        self._conclude(progress, score)
        return self._verdict(progress, score)

    def _ends(
        self, spans: Spans, to_read: Spans
    ) -> "tuple[BoundedMember, Lookup, KeptDeadLetters | None]":
        """Return where dead letters are read, and where refused ones go: None, to the topic."""
        group_id = self._settings.kafka_group_id
        ends = {name: span.end for name, span in spans.items()}
        if not self._choice.selection:
            member = BoundedMember(self._properties(), ends, self._sieve.takes)
            return member, daemon.lookup_of(self._settings), None
        starts = {name: span.start for name, span in to_read.items()}
        lone = LoneMember(self._properties(), ends, self._sieve.takes, starts)
        properties = {
            **admin_properties(self._settings),
            "logger": logs.librdkafka_logger(),
        }
        lookup = Lookup(
            properties,
            partial(LoneQuestions, group_id=group_id, starts=starts),
            is_latest=False,
        )
        return lone, lookup, KeptDeadLetters({}, self._settings.dead_letter_topic)

    def _verdict(self, progress: Progress, score: Score) -> int:
        is_all = progress.done and not score.has_refused and not self._sieve.without_value
        return 0 if is_all else 1

    def _conclude(self, progress: Progress, score: Score) -> None:
        state = "done" if progress.done else "ended" if progress.stuck else "interrupted"
        for place in progress.stuck:
            self._voice.line(place)
        without = self._sieve.without_value
        skipped = f", {counted(without, 'dead letter')} without value skipped" if without else ""
        chosen = f" ({self._sieve.taken:,} chosen)" if self._choice.selection else ""
        self._voice.line(f"{state}: {progress.read()}{chosen}, {score}{skipped}")
        if self._choice.selection:
            self._voice.line("Nothing was committed: a replay without filters takes them again.")
        elif not progress.done:
            self._voice.line("What was settled is committed; the next replay goes on there.")
        elif score.has_refused:
            self._voice.line("What was refused again is at the end of the topic once more.")

    def _list(self, spans: Spans) -> int:
        ends = {name: span.end for name, span in spans.items()}
        listing = Listing(self._choice.selection, self._reader, self._voice)
        member = BoundedMember(self._properties(), ends, listing.takes)
        member.start({name: Going(span.start) for name, span in spans.items()}, paused=False)
        is_whole = listing.write(member, set(spans), lambda: self._stopper.asked)
        member.close()
        return 0 if is_whole else 1

    def _properties(self) -> dict[str, Any]:
        return {**consumer_properties(self._settings), "logger": logs.librdkafka_logger()}
