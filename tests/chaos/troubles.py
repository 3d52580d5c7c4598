"""Lets the plan happen: every track in a thread of its own."""

import contextlib
import threading
import time
import traceback
from typing import TYPE_CHECKING

from tests.chaos import plan, ways, weather
from tests.chaos.faulty_log import RESTARTS
from tests.chaos.place import SILENT
from tests.chaos.silence import Silences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.chaos.faulty_log import FaultyLog
    from tests.chaos.junk import Junk
    from tests.chaos.ledger import LedgerApi
    from tests.chaos.place import Place
    from tests.chaos.plan import Setup, Step
    from tests.support.flipping import Flipping
    from tests.support.scenario import Scenario

_PARTITIONS_AT_MOST = 14
_PIECES_OF_JUNK = 5
_DRIP_BYTES_PER_SECOND = 300
_SHARES = (0.2, 0.4, 0.6, 1.0)


class Troubles:
    """What goes wrong from ``begin`` on until ``end``. Nothing is wrong any more when that returns.

    ``say`` takes what happens, ``complain`` what must not.
    """

    def __init__(
        self,
        setup: "Setup",
        scenario: "Scenario",
        api: "LedgerApi",
        places: "Sequence[Place]",
        flipping: "Flipping",
        junk: "Junk",
        log: "FaultyLog | None",
        say: "Callable[[str], None]",
        complain: "Callable[[str], None]",
    ) -> None:
        self._setup = setup
        self._scenario = scenario
        self._api = api
        self._places = places
        self._flipping = flipping
        self._junk = junk
        self._log = log
        self._silences = Silences(at_most=setup.places // 2, broker_too=setup.protocol == "classic")
        self._say = say
        self._complain = complain
        self._draw = setup.draw("requests")
        self._partitions = setup.partitions
        self._broker_is_there = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Start all tracks."""
        for name, steps in plan.tracks(self._setup).items():
            thread = threading.Thread(
                target=self._follow, args=(name, steps), name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Begin nothing any more. What goes on comes to its end: a silence cut short is another."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, name: str, steps: "Iterator[Step]") -> None:
        try:
            for step in steps:
                if self._stopping.wait(step.after_seconds):
                    break
                lasts = f" for {step.seconds:.1f} s" if step.seconds else ""
                with self._silence(name, step):
                    self._say(f"{name}: {step.kind}{lasts}")
                    self._strike(name, step)
        except Exception:  # noqa: BLE001 - it is told, and the others go on
            self._complain(f"{name} failed: {traceback.format_exc()}")

    def _silence(self, name: str, step: "Step") -> "AbstractContextManager[None]":
        if name == "broker" or (name == "log" and step.kind in RESTARTS):
            return self._silences.of_broker()
        if step.kind in SILENT and name != "way":
            return self._silences.of_member()
        return contextlib.nullcontext()

    def _strike(self, name: str, step: "Step") -> None:
        match name.split():
            case ["place", number]:
                self._places[int(number)].strike(step)
            case ["way"]:
                place = self._places[int(step.size * len(self._places))]
                ways.disturb(place.way_to_api, step, _DRIP_BYTES_PER_SECOND)
            case ["weather"]:
                self._let_weather(step)
            case ["broker"]:
                self._disturb_broker(step)
            case ["log"]:
                assert self._log is not None, "the plan has faults of it"
                self._log.strike(step, self._broker_is_there)
            case _:
                self._change_topic(step)

    def _let_weather(self, step: "Step") -> None:
        share = _SHARES[int(step.size * len(_SHARES))]
        self._api.by_chance(self._draw, weather.faults(step.kind), share)
        time.sleep(step.seconds)
        self._api.by_chance(self._draw, (), 0)

    def _disturb_broker(self, step: "Step") -> None:
        broker = self._scenario.broker
        with self._broker_is_there:
            if step.kind == "pause":
                broker.pause()
                time.sleep(step.seconds)
                broker.resume()
            else:
                (broker.kill if step.kind == "kill" else broker.stop)()
                time.sleep(step.seconds)
                broker.start()
            self._say("broker: is back")

    def _change_topic(self, step: "Step") -> None:
        with self._broker_is_there:
            if step.kind == "junk":
                self._scenario.produce(self._junk.records(_PIECES_OF_JUNK), self._junk.topic)
            elif self._partitions < _PARTITIONS_AT_MOST:
                self._partitions += 1
                self._flipping.grow(self._partitions)
