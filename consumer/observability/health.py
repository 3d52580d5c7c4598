"""What the daemon answers to probes, scrapers and people, from what the owner thread published.

It reads the board and nothing else.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus

from consumer import clock
from consumer.core.snapshot import Board
from consumer.observability import page
from consumer.observability.exposition import Exposition
from consumer.observability.history import STEP_SECONDS
from consumer.observability.http_server import Answer, HttpServer, path_of

_PATHS = ("/", "/livez", "/readyz", "/metrics", "/status", "/history")


class HealthServer(HttpServer):
    """``/livez``, ``/readyz``, ``/metrics``, ``/status``, ``/history`` and the page."""

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

    def to(self, target: str, accept: str) -> Answer:
        """Return the answer to a GET of ``target``."""
        try:
            return self._answer(path_of(target), accept)
        except Exception as error:  # noqa: BLE001 - a bug in one path shows there and ends nothing
            return Answer(
                _lines([f"{type(error).__name__}: {error}"]), HTTPStatus.INTERNAL_SERVER_ERROR
            )

    def _answer(self, path: str, accept: str) -> Answer:  # noqa: PLR0911 - an answer a path
        snapshot = self._board.snapshot
        match path:
            case "/":
                html = page.render(snapshot.status)
                return Answer(html, content_type="text/html; charset=utf-8", headers=page.HEADERS)
            case "/livez":
                return _verdict("alive", self._standstill())
            case "/readyz":
                # A loop that stands still publishes nothing: what it said last is no longer true.
                return _verdict("ready", [*self._standstill(), *snapshot.not_ready])
            case "/metrics":
                content_type, body = self._exposition.render(accept)
                return Answer(body, content_type=content_type)
            case "/status":
                return _json(json.dumps(dict(snapshot.status), indent=2, allow_nan=False))
            case "/history":
                history = {"step_seconds": STEP_SECONDS, "steps": snapshot.history}
                return _json(json.dumps(history, allow_nan=False))
        return Answer("not found; here are:\n" + _lines(_PATHS), HTTPStatus.NOT_FOUND)

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


def _json(text: str) -> Answer:
    return Answer(text + "\n", content_type="application/json")


def _lines(texts: Iterable[str]) -> str:
    return "".join(" ".join(text.split()) + "\n" for text in texts)
