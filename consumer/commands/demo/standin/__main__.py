"""The stand-in in a process of its own: prints its URL, and serves until the process is ended."""

import argparse
import contextlib
import sys
import threading

from consumer.commands.demo.standin import Fault, Standin


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m consumer.commands.demo.standin", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--site-id", default="site")
    parser.add_argument("--api-key", default="key")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--forget-ids", action="store_true", help="keep numbers only: faster")
    options = parser.parse_args()
    slow = Fault(delay_seconds=options.delay) if options.delay else None
    standin = Standin(
        options.port,
        site_id=options.site_id,
        api_key=options.api_key,
        fault=lambda _: slow,
        remember_ids=not options.forget_ids,
    )
    with standin, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(standin.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
