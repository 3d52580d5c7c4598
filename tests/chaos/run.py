"""A round of chaos: processes start, troubles come and go, and all of it is judged."""

import threading
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from tests.chaos import plan
from tests.chaos.faulty_log import FaultyLog
from tests.chaos.junk import REFUSED, Junk
from tests.chaos.ledger import LedgerApi
from tests.chaos.place import BATCH_MAX_IDS, Place
from tests.chaos.pulse import Pulse
from tests.chaos.troubles import Troubles
from tests.chaos.verdict import Verdict, early_commits, flips, some, story
from tests.support.flipping import Flipping
from tests.support.scenario import Scenario
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.plan import Setup
    from tests.support.kafka import Broker

PLACES_AT_MOST = 5
"""A broker for this has so many proxied listeners."""

_SETTLE_SECONDS = 180
_SCRAPE_PAUSE_SECONDS = 0.5
_LOOK_PAUSE_SECONDS = 0.2
_STATUS_PAUSE_SECONDS = 10


def run(
    broker: "Broker",
    setup: "Setup",
    seconds: float,
    say: "Callable[[str], None]",
    logs: "Path | None" = None,
) -> Verdict:
    """Run a round with so many seconds of chaos, and return how it ended.

    What was said, also by the processes, is written to the directory ``logs``.
    """
    with LedgerApi() as api:
        api.bad_ids(REFUSED)
        api.delay(setup.api_seconds)
        name = uuid.uuid4().hex[:12]
        scenario = Scenario(broker, api, f"flips-{name}", f"group-{name}", setup.protocol)
        junk = Junk(f"junk-{name}", setup.draw("junk"))
        broker.create_topic(scenario.topic, setup.partitions)
        broker.create_topic(junk.topic, 2)
        try:
            with Round(scenario, api, junk, setup, say) as round_:
                verdict = round_.run(seconds)
                if logs is not None:
                    round_.write_logs(logs)
                return verdict
        finally:
            broker.recover()
            scenario.close()


class Round:
    """All that belongs to one round. ``say`` gets a line for each thing that happens."""

    def __init__(
        self,
        scenario: Scenario,
        api: LedgerApi,
        junk: Junk,
        setup: "Setup",
        say: "Callable[[str], None]",
    ) -> None:
        self._scenario = scenario
        self._api = api
        self._junk = junk
        self._setup = setup
        self._tell = say
        self._began = time.monotonic()
        self._said: list[str] = []
        self._verdict = Verdict(setup)
        self._log = (
            FaultyLog(scenario, setup, api.applied, self._say) if setup.has_log_faults else None
        )
        self._topics = [scenario.topic, junk.topic, *([self._log.topic] if self._log else [])]
        self._places = [
            Place(number, scenario, ",".join(self._topics), setup, self._complain)
            for number in range(setup.places)
        ]
        self._flipping = Flipping(
            scenario,
            seed=setup.seed,
            partitions=setup.partitions,
            pause_seconds=_LOOK_PAUSE_SECONDS,
            patience_seconds=_SETTLE_SECONDS,
        )
        self._troubles = Troubles(
            setup,
            scenario,
            api,
            self._places,
            self._flipping,
            junk,
            self._log,
            self._say,
            self._complain,
        )
        self._pulse = Pulse()
        self._stopping = threading.Event()
        self._scraper = threading.Thread(target=self._scrape, name="scraper", daemon=True)

    def __enter__(self) -> Self:
        self._pulse.__enter__()
        if self._log:
            self._log.__enter__()
        self._flipping.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._troubles.end()
        self._flipping.__exit__()
        if self._log:
            self._log.__exit__()
        self._pulse.__exit__()
        for place in self._places:
            place.close()

    def run(self, seconds: float) -> Verdict:
        """Let troubles come for so long, then let all be well, and judge."""
        self._attempt(self._begin)
        self._scraper.start()
        self._troubles.begin()
        self._stopping.wait(seconds)
        self._say("no more troubles; what goes on comes to its end")
        self._troubles.end()
        self._scenario.broker.recover()
        self._attempt(self._settle)
        for silence in self._flipping.silences:
            self._say(f"the crowd's producer: {silence}")
        self._stopping.set()
        self._scraper.join()
        self._attempt(self._stop)
        self._attempt(self._compare)
        return self._verdict

    def write_logs(self, directory: "Path") -> None:
        """Write what each process said, and what happened when, to files of a new directory."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "round.log").write_text("".join(f"{line}\n" for line in self._said))
        for place in self._places:
            for number, daemon in enumerate(place.daemons, 1):
                said = directory / f"{place.number}.{number}.log"
                said.write_text(daemon.output + daemon.errors)

    def _attempt(self, work: "Callable[[], None]") -> None:
        """Do something; if that can't be done, complain, and go on all the same."""
        try:
            work()
        except Exception:  # noqa: BLE001 - it is told, and the verdict says so
            self._complain(traceback.format_exc())
            self._say(self._scenario.broker.lines_about(self._scenario.group))

    def _begin(self) -> None:
        for place in self._places:
            place.start()
        self._scenario.await_accepted(100, _SETTLE_SECONDS)
        self._flipping.await_caught_up()
        self._say("the group works")

    # -- how it ends ------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until all is delivered and committed, and look at every member."""
        for place in self._places:
            place.look_alive()
        daemons = [place.daemon for place in self._places]
        verdict = self._flipping.finish(*daemons, request_seconds=plan.REQUEST_SECONDS)
        for topic in self._topics:
            self._await_committed(topic)
        self._verdict.wrong = verdict.wrong
        self._verdict.figures = {
            "members": verdict.members,
            "overtaken by what was applied too late": len(verdict.overtaken),
            "flips": verdict.flips,
            "ids accepted": self._api.counters().ids,
            "requests": verdict.requests,
            "looks at the commits": self._flipping.watch.looks,
        }

    def _await_committed(self, topic: str) -> None:
        broker, group = self._scenario.broker, self._scenario.group
        ends = broker.end_offsets(topic)
        eventually(
            lambda: broker.committed(group, topic),
            _SETTLE_SECONDS,
            f"commits at the ends of {topic}, {ends}",
            until=ends.__eq__,
        )

    def _stop(self) -> None:
        """Let all processes stop, as they should when all is well."""
        self._say("settled; stopping")
        stopping = [(place, place.ask_to_stop(), place.name) for place in self._places]
        for place, daemon, name in stopping:
            place.await_end(daemon, name)

    def _compare(self) -> None:
        """Complain of what should be otherwise at the broker or at the API."""
        broker, api, watch = self._scenario.broker, self._api, self._flipping.watch
        all_flips = list(flips(broker.read_all(self._scenario.topic)))
        wrong = [story(each, all_flips, api.applied[each]) for each in self._verdict.wrong]
        early = early_commits(all_flips, watch.seen, api.applied)
        back = [str(step) for step in watch.went_back]
        dead_letters = self._junk.problems(broker.read_all(self._scenario.dead_letter_topic))
        log = self._log.problems() if self._log else []
        for complaint in (
            *some(wrong),
            *some(early),
            *some(back),
            *some(dead_letters),
            *some(log),
        ):
            self._complain(complaint)
        counters = api.counters()
        if counters.repeated_ids or counters.largest_request > BATCH_MAX_IDS:
            self._complain(f"{counters.repeated_ids} ids twice, {counters.largest_request} ids")
        self._verdict.figures |= {
            "processes": sum(len(place.daemons) for place in self._places),
            "times that one lost its partitions": sum(
                len(daemon.logs("lost")) for place in self._places for daemon in place.daemons
            ),
            "positions that a log no longer had": sum(
                len(daemon.logs("offsets_gone"))
                for place in self._places
                for daemon in place.daemons
            ),
            "scrapes": sum(place.scrapes for place in self._places),
            "records of the faulty log": self._log.written if self._log else 0,
            "s that the tests stood still at most": round(self._pulse.longest_seconds, 2),
        }

    # -- meanwhile --------------------------------------------------------------------------------

    def _scrape(self) -> None:
        said_at = time.monotonic()
        while not self._stopping.wait(_SCRAPE_PAUSE_SECONDS):
            for place in self._places:
                place.scrape()
            if time.monotonic() >= said_at + _STATUS_PAUSE_SECONDS:
                said_at = time.monotonic()
                counters = self._api.counters()
                self._say(f"      {counters.ids} ids accepted of {counters.requests} requests")

    def _complain(self, what: str) -> None:
        self._verdict.complaints.append(what)
        self._say(f"WRONG: {what}")

    def _say(self, what: str) -> None:
        line = f"{time.monotonic() - self._began:6.1f} {what}"
        self._said.append(f"{datetime.now(UTC):%H:%M:%S.%f} {line}")
        self._tell(line)
