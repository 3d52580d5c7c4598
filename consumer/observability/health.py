"""What the daemon answers to probes, scrapers and people, from what the owner thread published.

It reads the board and nothing else.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

from consumer import clock
from consumer.core.snapshot import Board
from consumer.observability import page
from consumer.observability.exposition import Exposition
from consumer.observability.http_server import Answer, HttpServer


class HealthServer(HttpServer):
    """``/livez``, ``/readyz``, ``/metrics``, ``/status`` and the page."""

    def __init__(
        self, host: str, port: int, board: Board, liveness_timeout_seconds: float, version: str
    ) -> None:
        super().__init__(host, port, Answers(board, liveness_timeout_seconds, version).to)


class Answers:
    """What each path says, from the board as it is at that moment."""

    def __init__(self, board: Board, liveness_timeout_seconds: float, version: str) -> None:
        self._board = board
        self._liveness_timeout_seconds = liveness_timeout_seconds
        self._exposition = Exposition(board, version)
        self._routes: Mapping[str, Callable[[str], Answer]] = {
            "/": self._page,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/status": self._status,
        }

    def to(self, target: str, accept: str) -> Answer:
        """Return the answer to a GET of ``target``."""
        route = self._routes.get(target.partition("?")[0])
        if route is None:
            return Answer("not found; here are:\n" + _lines(self._routes), HTTPStatus.NOT_FOUND)
        try:
            return route(accept)
        except Exception as error:  # noqa: BLE001 - a bug in one path shows there and ends nothing
            return Answer(
                _lines([f"{type(error).__name__}: {error}"]), HTTPStatus.INTERNAL_SERVER_ERROR
            )

    def _page(self, _: str) -> Answer:
        body = page.render(self._board.snapshot.status)
        return Answer(body, content_type="text/html; charset=utf-8", headers=page.HEADERS)

    def _livez(self, _: str) -> Answer:
        return _verdict("alive", self._standstill())

    def _readyz(self, _: str) -> Answer:
        # A loop that stands still publishes nothing: what it said last is no longer the truth.
        return _verdict("ready", [*self._standstill(), *self._board.snapshot.not_ready])

    def _metrics(self, accept: str) -> Answer:
        content_type, body = self._exposition.render(accept)
        return Answer(body, content_type=content_type)

    def _status(self, _: str) -> Answer:
        status = json.dumps(dict(self._board.snapshot.status), indent=2, allow_nan=False)
        return Answer(status + "\n", content_type="application/json")

    def _standstill(self) -> list[str]:
        limit = self._liveness_timeout_seconds
        seconds = clock.now() - self._board.turned_at
        if seconds <= limit:
            return []
        return [
            f"the loop made no turn for {seconds:.0f} s (LIVENESS_TIMEOUT_SECONDS is {limit:g})"
        ]


def _verdict(good: str, reasons: list[str]) -> Answer:
    if reasons:
        return Answer(_lines(reasons), HTTPStatus.SERVICE_UNAVAILABLE)
    return Answer(_lines([good]))


def _lines(texts: Iterable[str]) -> str:
    return "".join(" ".join(text.split()) + "\n" for text in texts)
