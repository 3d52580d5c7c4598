"""The stand-in in a process of its own: prints its URL, and serves until the process is ended."""

import argparse
import contextlib
import sys
import threading
from collections.abc import Callable

from consumer.commands.demo.standin import Fault, Standin, StandinRequest
from consumer.commands.demo.weather import Weather

_STORY_EVENTS = 50_000
"""How long the story is whose weather it has: what befalls it comes within the first requests."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m consumer.commands.demo.standin", description=main.__doc__
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--site-id", default="site")
    parser.add_argument("--api-key", default="key")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--weather", action="store_true", help="fail now and then, as in the demo")
    parser.add_argument("--forget-ids", action="store_true", help="keep numbers only: faster")
    options = parser.parse_args()
    standin = Standin(
        options.port,
        host=options.host,
        site_id=options.site_id,
        api_key=options.api_key,
        fault=Weather(_STORY_EVENTS) if options.weather else _always(options.delay),
        remember_ids=not options.forget_ids,
    )
    with standin, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(standin.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


def _always(delay_seconds: float) -> Callable[[StandinRequest], Fault | None]:
    slow = Fault(delay_seconds=delay_seconds) if delay_seconds else None
    return lambda _: slow


if __name__ == "__main__":
    main()
