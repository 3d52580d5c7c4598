"""What the adaptive concurrency limit makes of an API, beside static limits in the same run.

    python -m tests.bench.concurrency [--seconds 20] [--plot concurrency.png]

Two APIs: one that serves six requests at a time, 50 ms each, and answers 429 without Retry-After
above that; one with a steady 200 ms. The real daemon code (in this process), a real broker and a
real HTTP server. The static limits are the same daemon with a throttle whose limit stands still.
"""

import argparse
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from consumer import clock, daemon, settings
from consumer.core.pipeline import Pipeline
from consumer.core.snapshot import Board, initial_snapshot
from consumer.observability import logs
from consumer.stopper import Stopper
from tests.support.api import FaultyApi
from tests.support.kafka import Broker

CEILING = 64
STATIC_LIMITS = (1, 4, 16, 64)
IDS_PER_REQUEST = 10
WARM_UP_SECONDS = 5.0


@dataclass
class Run:
    """One daemon against one API: samples of (seconds, limit, accepted requests, refused ones)."""

    name: str
    samples: list[tuple[float, float, float, float]] = field(default_factory=list)

    def rates(self) -> tuple[float, float]:
        """Return accepted requests per second after the warm-up, and the share that was refused."""
        late = [each for each in self.samples if each[0] >= WARM_UP_SECONDS]
        (begun, _, good, bad), (ended, _, good_at_end, bad_at_end) = late[0], late[-1]
        accepted, refused = good_at_end - good, bad_at_end - bad
        return accepted / (ended - begun), refused / max(1.0, accepted + refused)


def run(name: str, broker: Broker, api: FaultyApi, seconds: float, limit: int | None) -> Run:
    """Run the daemon for a while; ``limit`` None: adaptive."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, 4)
    count = int(seconds * 400 * IDS_PER_REQUEST)
    value = '{{"segment_id":7,"action":"add","id":"c{}"}}'
    broker.produce(topic, [(f"c{each}", value.format(each)) for each in range(count)])
    given = settings.load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": topic,
            "CUSTOMERIO_URL": api.url,
            "CUSTOMERIO_SITE_ID": "site",
            "CUSTOMERIO_API_KEY": "key",
            "CUSTOMERIO_MAX_IN_FLIGHT": str(limit or CEILING),
            "CUSTOMERIO_REQUESTS_PER_SECOND": "100000",
            "BATCH_MAX_IDS": str(IDS_PER_REQUEST),
            "BATCH_LINGER_SECONDS": "0.2",
            "DRAIN_TIMEOUT_SECONDS": "11",
        }
    )
    board = Board(initial_snapshot("bench"), clock.now())
    stopper = Stopper()
    pipeline = daemon.pipeline_of(given)
    if limit is not None:
        hold_still(pipeline, limit)
    thread = threading.Thread(
        target=daemon.run_until, args=(given, board, stopper), kwargs={"pipeline": pipeline}
    )
    thread.start()
    measured = Run(name)
    begun = None
    while begun is None or time.monotonic() - begun < seconds:
        samples = board.snapshot.samples
        good = samples["requests_total", "add", "200"]
        bad = samples.get(("requests_total", "add", "429"), 0)
        if begun is None and good + bad:
            begun = time.monotonic()
        if begun is not None:
            elapsed = time.monotonic() - begun
            measured.samples.append((elapsed, samples["concurrency_limit",], good, bad))
        time.sleep(0.1)
    stopper.stop()
    thread.join()
    return measured


def hold_still(pipeline: Pipeline, limit: int) -> None:
    """Make the throttle's limit a static one."""
    throttle = pipeline.throttle
    fixed = type("Static", (type(throttle),), {"limit": property(lambda _: limit, lambda *_: None)})
    throttle.__class__ = fixed


def plot(path: Path, groups: dict[str, list[Run]]) -> None:
    """Draw limit and throughput over time."""
    import matplotlib as mpl  # noqa: PLC0415 - the figures need no plot

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, len(groups), figsize=(6 * len(groups), 7), squeeze=False)
    for column, (title, runs) in enumerate(groups.items()):
        for each in runs:
            times = [sample[0] for sample in each.samples]
            axes[0][column].plot(times, [sample[1] for sample in each.samples], label=each.name)
            rates = [
                (later[2] - earlier[2]) / max(later[0] - earlier[0], 1e-3)
                for earlier, later in zip(each.samples, each.samples[10:], strict=False)
            ]
            axes[1][column].plot(times[10:], rates, label=each.name)
        axes[0][column].set(title=title, ylabel="concurrency limit", ylim=(0, CEILING + 4))
        axes[1][column].set(xlabel="seconds", ylabel="accepted requests/s", ylim=(0, None))
        axes[1][column].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print a table for each API, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    logs.configure("error", "console")
    groups: dict[str, list[Run]] = {}
    with Broker() as broker:
        for title in ("six at a time, 50 ms, else 429", "steady 200 ms"):
            groups[title] = runs = []
            print(f"\n{title}\n\n| limit | accepted requests/s | refused | limit at the end |")
            print("|---|---|---|---|")
            for limit in (None, *STATIC_LIMITS):
                with FaultyApi() as api:
                    if title.startswith("six"):
                        api.delay(0.05)
                        api.capacity(6)
                    else:
                        api.delay(0.2)
                    name = "adaptive" if limit is None else f"static {limit}"
                    each = run(name, broker, api, options.seconds, limit)
                runs.append(each)
                rate, refused = each.rates()
                print(f"| {name} | {rate:.1f} | {refused:.1%} | {each.samples[-1][1]:.0f} |")
            best = max(each.rates()[0] for each in runs[1:])
            print(json.dumps({"adaptive / best static": round(runs[0].rates()[0] / best, 3)}))
    if options.plot:
        plot(options.plot, groups)


if __name__ == "__main__":
    main()
