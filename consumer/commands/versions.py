"""The versions: ours, and of what it is made of. ``--version`` alone loads the library for that."""

import platform

from confluent_kafka import libversion, version

from consumer import __version__


def versions() -> str:
    """Return them on a line, which begins with ours."""
    library, _ = libversion()
    return (
        f"{__version__} (librdkafka {library}, confluent-kafka {version()},"
        f" Python {platform.python_version()})"
    )
