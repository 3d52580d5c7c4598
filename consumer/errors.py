"""The one exception of the daemon: it can't go on."""


class GiveUp(Exception):  # noqa: N818 - it says what the daemon does
    """librdkafka says fatal, a position is gone and must not be, or the name is taken; exit 1."""
