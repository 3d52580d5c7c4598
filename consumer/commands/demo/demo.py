"""The demo from its introduction to its verdict."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from consumer import clock
from consumer.commands.demo.engage_story import EngageStory
from consumer.commands.demo.feeder import TOPIC
from consumer.commands.demo.stage import Stage, StageError
from consumer.commands.demo.story import Story
from consumer.commands.demo.text import Progress, complaints, introduction, on_the_way
from consumer.commands.demo.verdict import Evidence, Finding, findings, outcomes
from consumer.commands.screen import Screen

_LINE_SECONDS = 1.0
_STANDSTILL_SECONDS = 30.0


STORIES: Mapping[str | None, type[Story]] = {None: Story, EngageStory.mapping: EngageStory}
"""What is told, by the mapping that reads it."""


def run(
    stream: TextIO | None, events: int, *, keep: bool, colours: bool, mapping: str | None = None
) -> int:
    """Play the demo; return 0 if everything was verified, 1 if not.

    With ``keep`` it goes on with a few events until it is interrupted, and is verified then.
    """
    screen = Screen(stream, colours=colours)
    try:
        return _Demo(screen, STORIES[mapping](events), keep=keep).play()
    except KeyboardInterrupt:
        screen.line("\n  Interrupted: nothing was verified, and nothing is left behind.")
    except (StageError, OSError) as error:
        screen.line(f"  The demo can't begin: {error}")
    return 1


class _Demo:
    """One performance."""

    def __init__(self, screen: Screen, story: Story, *, keep: bool) -> None:
        self._screen = screen
        self._stage = Stage(story)
        self._stage.feeder.goes_on = keep
        self._began_at = clock.now()
        self._progress = Progress(self._stage, self._began_at)
        self._moved_at = self._began_at
        self._seen: object = None

    def play(self) -> int:
        self._say(introduction(self._stage, self._screen.paint))
        self._stage.raise_curtain()
        self._watch()
        seconds = clock.now() - self._began_at
        stopped_seconds = self._stage.lower_curtain()
        self._say(["", "  Verified:", ""])
        right = [self._tell(finding) for finding in self._findings(stopped_seconds)]
        self._say(["", "  On the way:", "", *on_the_way(self._stage, seconds)])
        self._say([*complaints(self._stage, self._screen.paint), ""])
        self._conclude(is_right=all(right))
        return 0 if all(right) else 1

    def _watch(self) -> None:
        """Show the progress until it is over or nothing moves any more."""
        feeder = self._stage.feeder
        if feeder.goes_on:
            self._say(["  Ctrl-C ends the events; what is held is delivered, then verified.", ""])
        while True:
            try:
                if self._stage.is_over() or self._is_stuck():
                    return
                time.sleep(_LINE_SECONDS)
                self._screen.line(self._progress.line())
                feeder.goes_on = feeder.goes_on and self._screen.is_heard
            except KeyboardInterrupt:
                if not feeder.goes_on:
                    raise
                feeder.goes_on = False

    def _is_stuck(self) -> bool:
        """Whether there is nothing more to wait for."""
        stage, snapshot = self._stage, self._stage.board.snapshot
        seen = (stage.feeder.story.told, outcomes(snapshot), stage.committed_records())
        if seen != self._seen:
            self._seen, self._moved_at = seen, clock.now()
        if clock.now() - self._moved_at > _STANDSTILL_SECONDS:
            stage.failure = f"nothing moved for {_STANDSTILL_SECONDS:.0f} s"
        return bool(stage.failure or stage.feeder.failure)

    def _findings(self, stopped_seconds: float) -> Iterator[Finding]:
        stage, feeder = self._stage, self._stage.feeder
        failure = stage.failure or feeder.failure
        stopped = f"stopped; it drained, committed and left its group in {stopped_seconds:.1f} s"
        is_well = not failure and stage.exit_code == 0
        yield Finding(is_well, "daemon", stopped if is_well else failure or "ended with an error")
        evidence = Evidence(
            story=feeder.story,
            ends=feeder.ends,
            topic=TOPIC,
            snapshot=stage.board.snapshot,
            api=stage.standin,
            settings=stage.settings,
        )
        yield from findings(evidence)

    def _tell(self, finding: Finding) -> bool:
        paint = self._screen.paint
        mark = paint("✓", "green") if finding.is_right else paint("✗", "red")
        self._screen.line(f"  {mark} {finding.subject:<12}  {finding.text}")
        return finding.is_right

    def _conclude(self, *, is_right: bool) -> None:
        paint, seconds = self._screen.paint, clock.now() - self._began_at
        if is_right:
            verdict = f"  {paint('Every member is where the last event says', 'green')}"
            self._say([f"{verdict}, after {seconds:.0f} s."])
            self._say(["  Next, with your own Kafka and credentials: segment-consumer check", ""])
        else:
            self._say([f"  {paint('Not verified', 'red')}, after {seconds:.0f} s: see above.", ""])

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._screen.line(line)
