"""What nobody caught: one log line with its kind and place, and the end where no going on is left.

What an error says is not repeated: it may quote a value, and the value may be a person's id.
"""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from confluent_kafka import KafkaException

from consumer.engine.ports import GiveUp
from consumer.masking import masked
from consumer.observability import logs
from consumer.observability.log_format import kind_of
from consumer.stopper import end_hard

NEEDED_THREADS = frozenset(
    {
        "MainThread",
        "credentials",
        "http",
        "log",
        "lookup",
        "observer",
        "registry",
        "stopper",
        "tokens",
    }
)
"""Without one of them the daemon would be deaf, dumb or blind. A carrier is replaced, and a
connection's thread is that client's only."""


def watch() -> None:
    """Hear of every error that leaves a thread, and of those that can't leave what they are in."""
    sys.excepthook = _left_main
    threading.excepthook = _left_thread
    sys.unraisablehook = _could_not_leave


def guarded(work: Callable[[], int]) -> int:
    """Return what ``work`` returns; what it can't go on after ends the process hard."""
    try:
        return work()
    except (GiveUp, KafkaException) as error:
        end_hard(1, "gave_up", masked(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever it was, it must be in the log, and the group not left
        _end(error)


def _left_main(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    _end(error)


def _left_thread(args: threading.ExceptHookArgs) -> None:
    error, name = args.exc_value, args.thread.name if args.thread else ""
    if error is None or isinstance(error, SystemExit):
        return
    if name in NEEDED_THREADS:
        _end(error, thread=name)
    _say(error, thread=name)


def _could_not_leave(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is not None:
        _say(unraisable.exc_value)


def _say(error: BaseException, thread: str | None = None) -> None:
    message = f"{kind_of(error)}, and the daemon goes on"
    logs.log("uncaught", message, level="error", thread=thread, exc_info=error)


def _end(error: BaseException, thread: str = "MainThread") -> NoReturn:
    end_hard(1, "crashed", kind_of(error), thread=thread, exc_info=error)
