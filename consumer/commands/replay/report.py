"""The report of a replay: what became of each dead letter, and of all together."""

from consumer.commands.output import Output
from consumer.commands.replay import words
from consumer.commands.replay.books import Pending
from consumer.commands.replay.dead_letters import Selection
from consumer.commands.replay.progress import Progress, Score
from consumer.commands.replay.tally import Tally
from consumer.commands.replay.telling import ForPeople, ForPrograms, Telling
from consumer.commands.replay.verdict import Outcome, Verdict
from consumer.commands.replay.voice import Voice
from consumer.engine.ports import Partition


class Report:
    """Owned by the thread that replays; ``objects``: what programs read, if any."""

    def __init__(self, voice: Voice, objects: Output | None) -> None:
        self.tally = Tally()
        self._voice = voice
        self._objects = objects
        self._telling: Telling = ForPeople(voice) if objects is None else ForPrograms(objects.line)

    def tell(self, verdict: Verdict) -> None:
        """Take in what became of a dead letter."""
        self.tally.add(verdict)
        self._telling.tell(verdict)

    def settled(self, name: Partition, offset: int, pending: Pending) -> None:
        """Take in what became of a dead letter that was to be delivered."""
        if pending.moves:
            return
        is_refused = pending.refused_ids or pending.is_unreadable
        outcome = Outcome.REFUSED_AGAIN if is_refused else Outcome.DELIVERED
        place, refused_ids = f"{name[0]}:{name[1]}:{offset}", pending.refused_ids
        self.tell(Verdict(place, pending.labels, pending.changes, outcome, refused_ids=refused_ids))

    def summary(self, **said: object) -> None:
        """Say what all come to, and to programs what else is said."""
        self._telling.summary(self.tally, **said)

    def conclude(
        self, progress: Progress, score: Score, selection: Selection, *, chosen: int, scattered: int
    ) -> None:
        """Say what came of it; ``scattered`` counts partitions where not all could be noted."""
        said = words.conclusion(
            progress, score, self.tally, selection, chosen=chosen, scattered=scattered
        )
        if self._objects is None:
            self.summary()
        for line in said:
            self._voice.line(line)
        if self._objects is not None:
            self.summary(
                state=progress.state,
                read=progress.count,
                total=progress.total,
                chosen=chosen,
                delivered_ids=score.delivered,
                refused_ids=score.refused_ids,
                exit_code=self.exit_code(progress),
            )

    def exit_code(self, progress: Progress) -> int:
        """Return 0 if all was replayed, 1 if not."""
        is_all = progress.done and not self.tally.is_bad and not progress.left_elsewhere
        return 0 if is_all else 1
