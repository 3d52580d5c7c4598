"""The API's stand-in of the bench, as the bench handles it: a process that accepts and counts."""

import json
import subprocess
import sys
import time
from http.client import HTTPConnection
from typing import Any, Self

PATIENCE_SECONDS = 60.0
QUIET_SECONDS = 0.2


class Sink:
    """A process that accepts all; times are the machine's monotonic clock's, in seconds."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.bench.sink_server"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, delay_seconds: float = 0.0) -> None:
        """Forget all; from now on every answer takes so long."""
        self._ask(f"begin/{delay_seconds}")

    def requests(self) -> int:
        """Return how many requests were answered; as cheap as it can be."""
        return int(self._ask("requests"))

    def count(self) -> int:
        """Return how many ids came, repeated ones too."""
        return max((ids for _, ids in self.timeline()), default=0)

    def timeline(self) -> list[tuple[float, int]]:
        """Return when each answer was given, and how many ids had come by then."""
        return [(seconds, ids) for seconds, ids in self._ask("timeline")]

    def different(self) -> int:
        """Return how many different changes came."""
        return int(self._ask("different"))

    def _ask(self, what: str) -> Any:  # noqa: ANN401 - what was asked for decides
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", f"/sink/{what}")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class AllCame:
    """Whether so many ids came; counts them only when no request came for a moment."""

    def __init__(self, sink: Sink, expected: int) -> None:
        self._sink = sink
        self._expected = expected
        self._requests = 0
        self._since = time.monotonic()

    def __call__(self) -> bool:
        """Look once more."""
        requests, now = self._sink.requests(), time.monotonic()
        if requests != self._requests:
            self._requests, self._since = requests, now
        return now > self._since + QUIET_SECONDS and self._sink.count() >= self._expected
