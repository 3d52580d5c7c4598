"""The page in the states that it must be good in, from made-up published values.

``python -m tests.support.page_states held`` serves one of them until Ctrl-C;
``python -m tests.support.page_states --pictures DIR`` takes pictures of all with chromium, on a
desk and on a phone, light and dark.
"""

import argparse
import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consumer import clock
from consumer.core.outcomes import HoldReason
from consumer.core.snapshot import Board, Identity, initial_snapshot
from consumer.core.tally import Tally
from consumer.core.throttle import HoldState
from consumer.engine.ports import BlockedBy, LaneState, PartitionState, Published
from consumer.observability.health import HealthServer
from consumer.observability.status import Reporter

STOPPED = ("held", "api-down", "kafka-away")
STALLED = "partition-stalled"  # and from the other partitions all was delivered before
NOTHING_FITS = "nothing-fits"
QUIET = (STALLED, NOTHING_FITS)
REGISTRY_DOWN = "registry-down"  # some partitions wait for a schema, the others go on
STATES = ("well", "catching-up", *STOPPED, "stuck-segment", REGISTRY_DOWN, *QUIET)
HOUR = 3600.0
_TROUBLE_SECONDS = 754.0  # since when it is as the state's name says
_AWAITS_SCHEMA = (3, 7, 11)
_TOPIC = "customer.segment-membership.changes.v2"


class Scene:
    """One state over an hour and on; its own present is ``clock.now()``."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.began = clock.now() - _TROUBLE_SECONDS
        self._tally = Tally()
        self._lag = 3_200_000.0 if state == "catching-up" else 180.0
        self._at = clock.now() - HOUR

    def advance(self, now: float) -> Published:
        """Return what would be published at ``now``, later than the last time."""
        seconds, self._at = now - self._at, now
        self._count(seconds, now)
        return self._published(now)

    def _is_bad(self, now: float) -> bool:
        return now >= self.began

    def _count(self, seconds: float, now: float) -> None:
        tally, wave = self._tally, 1 + 0.25 * math.sin(now / 300) + 0.05 * math.sin(now / 17)
        is_quiet = self.state in QUIET and self._is_bad(now)
        if self.state == NOTHING_FITS and is_quiet:
            tally.add("records_total", "ignored", n=round(850 * wave * seconds))
        incoming = 0.0 if is_quiet else 850 * wave * seconds
        rate = 1400 * wave if self.state == "catching-up" else 850 * wave
        stopped = self.state in STOPPED and self._is_bad(now)
        delivered = 0 if stopped or is_quiet else round(rate * seconds)
        self._lag = max(180.0, self._lag + incoming - delivered) if seconds else self._lag
        if delivered:
            tally.add("records_total", "accepted", n=delivered)
            for action, share in (("add", 0.7), ("remove", 0.3)):
                n = round(delivered * share)
                tally.add("ids_received_total", action, n=n)
                tally.add("ids_total", action, "delivered", n=n)
                tally.add("requests_total", action, "200", n=max(1, n // 120))
            latency = 400.0 if self.state == "catching-up" else 4.2
            for factor in (0.5, 0.8, 1.0, 1.1, 1.6, 2.2):
                tally.observe(latency * factor * wave, "delivery_latency_seconds")
        failing = {"api-down": "connection", "held": "401", "stuck-segment": "503"}
        if self.state in failing and self._is_bad(now):
            tally.add("requests_total", "add", failing[self.state], n=max(1, round(seconds / 20)))
        elif int(now) % 400 < 20 and self.state not in ("kafka-away", *QUIET):
            tally.add("requests_total", "add", "429", n=2)
        tally.add("commits_total", "ok", n=max(1, round(seconds)))

    def _published(self, now: float) -> Published:
        bad, tells_api = self._is_bad(now), self.state in ("held", "api-down", "stuck-segment")
        error = self._error() if bad and tells_api else ""
        partitions = tuple(self._partition(number, bad, now, error) for number in range(16))
        stopped, is_quiet = bad and self.state in STOPPED, bad and self.state in QUIET
        return Published(
            at=now,
            is_stopping=False,
            has_joined=True,
            has_looked=True,
            holds=self._holds(now) if bad else (),
            problems={"broker": "no broker reachable: 3 of 3 down"}
            if bad and self.state == "kafka-away"
            else {},
            partitions=partitions,
            lanes=self._lanes(now, error),
            counts=self._tally.freeze(),
            held_ids=0 if is_quiet else 200_000 if stopped else 4_211,
            buffer_limit_ids=200_000,
            is_paused=stopped,
            oldest_read_at=None
            if is_quiet
            else self.began
            if bad and (stopped or self.state == "stuck-segment")
            else now - 4,
            in_flight=0 if stopped or is_quiet else 3,
            concurrency_limit=1 if stopped else 6 + round(2 * math.sin(now / 200)),
            last_api_error=error,
            last_api_error_at=now - 8,
            last_delivery_wall=time.time()
            - clock.now()
            + (self.began if stopped or is_quiet else now - 0.4),
        )

    def _error(self) -> str:
        return {
            "held": "401 with 41 bytes of JSON",
            "api-down": "connecting to track.customer.io: Connection refused",
            "stuck-segment": "503 with 19 bytes of text",
        }[self.state]

    def _holds(self, now: float) -> tuple[HoldState, ...]:
        match self.state:
            case "held":
                reason, detail = HoldReason.UNAUTHORIZED, self._error()
            case "api-down":
                # The name of a telling hold, where there is one by that name.
                named = {each.value: each for each in HoldReason}
                reason = named.get("api-unavailable", HoldReason.UNEXPECTED_ANSWER)
                detail = f"{self._error()}; 23 attempts failed, none succeeded"
            case "kafka-away":
                reason = HoldReason.KAFKA_UNAVAILABLE
                detail = "no broker reachable: 3 of 3 down; _ALL_BROKERS_DOWN: 3/3 brokers are down"
            case "partition-stalled":
                reason = HoldReason.PARTITION_STALLED
                detail = (
                    f"nothing comes from {_TOPIC}:3:81203231: _BAD_MSG: Local: Bad message format"
                )
            case "registry-down":
                reason = HoldReason.SCHEMA_REGISTRY_UNAVAILABLE
                detail = (
                    f"{len(_AWAITS_SCHEMA)} partitions wait for schema 41: https://registry.example:"
                    " connecting to registry.example:443: Connection refused"
                )
            case _:
                return ()
        only_told = self.state in ("kafka-away", REGISTRY_DOWN, *QUIET)
        probe = None if only_told else now + 12
        return (HoldState(reason, self.began, detail, next_probe=probe),)

    def _partition(self, number: int, bad: bool, now: float, error: str) -> PartitionState:
        if bad and self.state in QUIET:
            at, is_stalled = 81_200_231 + number * 1000, number == 3 and self.state == STALLED
            end = at + (41_286 if is_stalled else 0)
            return PartitionState(_TOPIC, number, at, at, end, False, None, is_stalled=is_stalled)
        if bad and self.state == REGISTRY_DOWN:
            if number in _AWAITS_SCHEMA:
                at = 81_200_231 + number * 1000
                end = at + round(53 * (now - self.began))
                return PartitionState(_TOPIC, number, at, at, end, True, None)
            bad = False
        stuck = bad and (self.state != "stuck-segment" or number == 3)
        lag = int(self._lag / 16) + 17 * number
        blocker = None
        if stuck and self.state not in ("well", "catching-up"):
            attempts = 0 if self.state == "kafka-away" else 23 - number
            segment = 41 if self.state == "stuck-segment" else 56 + number
            age = now - self.began - number
            lag += 40_000 if self.state == "stuck-segment" else 0
            blocker = BlockedBy(segment, "id", age, max(0, attempts), error)
        elif number % 3:
            blocker = BlockedBy(60 + number, "email", 1.2 + number / 8, 0, "")
        committed = 81_200_000 + number * 1000
        unread = lag if self.state in ("catching-up", "kafka-away") else lag // 9
        return PartitionState(
            _TOPIC,
            number,
            committed + lag - unread,
            committed,
            committed + lag,
            blocker is not None and stuck and bool(self._holds(now)),
            blocker,
        )

    def _lanes(self, now: float, error: str) -> tuple[LaneState, ...]:
        if self.state in QUIET and self._is_bad(now):
            return ()
        lanes = [
            LaneState(60 + n, "email" if n % 3 else "id", 900 - 40 * n, 0, 4.9 - n / 5, 0, "", 0.0)
            for n in range(14)
        ]
        if error:
            ids = 1 if self.state == "stuck-segment" else 8_800
            lanes.insert(0, LaneState(41, "id", ids, 0, now - self.began, 23, error, now - 8))
        return tuple(lanes)


@contextmanager
def serving(state: str, port: int = 0) -> Iterator[str]:
    """Serve the page in a state, with an hour behind it; yield its address."""
    identity = Identity(
        host="segment-consumer-7c9d5b6f4-x2x8q",
        group="segment-consumer",
        started=clock.rfc3339(time.time() - 273_000),
        api_url="https://track.customer.io",
    )
    board = Board(initial_snapshot("1.2.3", identity), clock.now(), identity)
    scene, reporter, over = Scene(state), Reporter(identity), threading.Event()
    start = clock.now()
    for step in range(360, 0, -1):
        at = start - step * HOUR / 360
        reporter.snapshot(scene.advance(at), time.time() - step * HOUR / 360)

    def publish() -> None:
        now = clock.now()
        board.snapshot = reporter.snapshot(scene.advance(now), time.time())
        board.beat(now)

    def go_on() -> None:
        while not over.wait(0.2):
            publish()

    publish()  # whoever asks at once sees the state, too
    thread = threading.Thread(target=go_on)
    thread.start()
    server = HealthServer("127.0.0.1", port, board, 30.0, "1.2.3")
    try:
        yield server.start()
    finally:
        server.stop()
        over.set()
        thread.join()


def take_picture(address: str, file: Path, width: int, height: int, *, dark: bool) -> None:
    """Save what chromium shows after some refreshes."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium isn't installed")
    options = (
        "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run"
        f" --virtual-time-budget=7000 --window-size={width},{height}"
        f" --blink-settings=preferredColorScheme={0 if dark else 1}"
    )
    subprocess.run(
        [chromium, *options.split(), f"--screenshot={file}", f"http://{address}/"],
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )


def main() -> None:
    """Serve, or take pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state", nargs="?", choices=STATES, default="well")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pictures", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.pictures is None:
        with serving(options.state, options.port) as address:
            sys.stdout.write(f"http://{address}/ shows {options.state}; Ctrl-C ends it\n")
            sys.stdout.flush()
            threading.Event().wait()
    options.pictures.mkdir(parents=True, exist_ok=True)
    for state in STATES:
        with serving(state) as address:
            for width, height in ((1280, 2300), (390, 4200)):
                for look in ("light", "dark"):
                    file = options.pictures / f"{state}-{width}-{look}.png"
                    take_picture(address, file, width, height, dark=look == "dark")
                    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
