"""One run of a replay, from its survey to what came of it."""

import time
from functools import partial
from typing import Any

from consumer import __version__, clock, daemon, readers
from consumer.commands.output import Output
from consumer.commands.replay import words
from consumer.commands.replay.books import Books
from consumer.commands.replay.choice import Choice
from consumer.commands.replay.judge import Judge
from consumer.commands.replay.listing import Listing
from consumer.commands.replay.marked_member import MarkedMember, MarkedQuestions
from consumer.commands.replay.member import BoundedMember
from consumer.commands.replay.others import Others
from consumer.commands.replay.progress import Progress, Score
from consumer.commands.replay.reader import DeadLetterReader
from consumer.commands.replay.refused_again import RefusedAgain
from consumer.commands.replay.report import Report
from consumer.commands.replay.span import Spans
from consumer.commands.replay.survey import InterruptedSurveyError, Survey
from consumer.commands.replay.voice import FIRST_PROGRESS_SECONDS, Voice
from consumer.core.positions import Going
from consumer.core.snapshot import Board, initial_snapshot
from consumer.kafka.lookup import Lookup
from consumer.kafka.member import Member
from consumer.kafka.tokens import with_tokens
from consumer.observability import logs
from consumer.settings import Settings
from consumer.settings.properties import (
    admin_properties,
    consumer_properties,
    producer_properties,
)
from consumer.stopper import Stopper

_PAUSE_SECONDS = 0.2
_MIN_PATIENCE_SECONDS = 60.0  # longer than whoever was killed is taken for a member


class Session:
    """``settings`` are those of `replay.replaying`; ``objects``: what programs read, if any."""

    def __init__(
        self,
        settings: Settings,
        choice: Choice,
        voice: Voice,
        objects: Output | None,
        stopper: Stopper,
    ) -> None:
        self._settings = settings
        self._choice = choice
        self._voice = voice
        self._objects = objects
        self._stopper = stopper
        self._report = Report(voice, objects)
        reader = readers.patient_reader_of(settings)
        self._reader = DeadLetterReader(reader, settings.event_id_type)
        self._tokens = daemon.tokens_of(settings)

    def run(self) -> int:
        """Return the exit code."""
        choice = self._choice
        self._await_token()
        member = Member(self._properties())
        survey = Survey(
            self._settings, member, self._voice, lambda: self._stopper.asked, self._tokens
        )
        try:
            spans = survey.spans(from_start=choice.from_start, keeps_marks=choice.keeps_marks)
            self._introduce(spans)
            to_read = {name: span for name, span in spans.items() if span.dead_letters}
            if not to_read:
                self._report.summary(state="done", read=0, total=0, exit_code=0)
                return 0
            if choice.dry_run:
                return self._list(to_read)
            survey.move(spans)
        except InterruptedSurveyError:
            self._voice.line("interrupted; nothing was replayed")
            self._report.summary(state="interrupted", read=0, exit_code=1)
            return 1
        finally:
            member.close()
        return self._replay(spans, to_read)

    def _await_token(self) -> None:
        """Wait until clients can log in, or somebody says stop."""
        tokens = self._tokens
        if tokens is None:
            return
        tokens.start()
        tokens.tried.wait(FIRST_PROGRESS_SECONDS)
        while (why := tokens.trouble) and not self._stopper.asked:
            self._voice.progress(f"waiting: {why}")
            time.sleep(_PAUSE_SECONDS)

    def _introduce(self, spans: Spans) -> None:
        topic, group = self._settings.dead_letter_topic, self._settings.kafka_group_id
        for line in words.introduction(topic, group, spans, skip=self._choice.orders.skip):
            self._voice.line(line)

    def _replay(self, spans: Spans, to_read: Spans) -> int:
        settings, choice, report = self._settings, self._choice, self._report
        board = Board(initial_snapshot(__version__), clock.now())
        takes_settled = choice.from_start and choice.keeps_marks
        starts = {name: span.start for name, span in spans.items()} if takes_settled else {}
        books = Books.of(len(spans), starts)
        reader, orders = self._reader, choice.orders
        judge = Judge(orders, reader, books, report.tell, takes_settled=takes_settled)
        ends = {name: span.end for name, span in spans.items()}
        member = MarkedMember(self._properties(), ends, books, report.settled)
        pipeline = daemon.pipeline_of(settings, judge)
        topic, producing = settings.dead_letter_topic, producer_properties(settings)
        refused = RefusedAgain(self._of_a_client(producing), topic, books, pipeline.ledgers)

        def on_done() -> None:
            self._stopper.ended_code = report.exit_code(progress)

        patience = max(_MIN_PATIENCE_SECONDS, 2 * settings.kafka_session_timeout_seconds)
        others = Others(to_read, member, patience)
        progress = Progress(to_read, member, others, board, self._voice, on_done)
        daemon.run_until(
            settings,
            board,
            self._stopper,
            member=member,
            lookup=self._lookup(books),
            dead_letters=refused,
            tokens=self._tokens,
            pipeline=pipeline,
            is_done=progress.is_done,
        )
        score, scattered = Score.of(board.snapshot), len(books.scattered)
        report.conclude(progress, score, orders.selection, chosen=judge.chosen, scattered=scattered)
        return report.exit_code(progress)

    def _lookup(self, books: Books) -> Lookup:
        questions = partial(MarkedQuestions, group_id=self._settings.kafka_group_id, books=books)
        properties = self._of_a_client(admin_properties(self._settings))
        return Lookup(properties, questions, is_latest=False)

    def _list(self, spans: Spans) -> int:
        ends = {name: span.end for name, span in spans.items()}
        write = None if self._objects is None else self._objects.line
        selection = self._choice.orders.selection
        listing = Listing(selection, self._reader, self._voice, spans, write)
        member = BoundedMember(self._properties(), ends)
        member.start({name: Going(span.start) for name, span in spans.items()}, paused=False)
        is_whole = listing.write(member, lambda: self._stopper.asked)
        member.close()
        return 0 if is_whole else 1

    def _properties(self) -> dict[str, Any]:
        return self._of_a_client(consumer_properties(self._settings))

    def _of_a_client(self, properties: dict[str, Any]) -> dict[str, Any]:
        return with_tokens({**properties, "logger": logs.librdkafka_logger()}, self._tokens)
