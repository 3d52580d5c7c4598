"""The rules of batching, retrying and refusing, as the settings have them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations in seconds. ``buffer_max_ids`` counts what is held of all batches.

    ``has_one_topic``: no record of any other will ever come.
    """

    batch_max_ids: int
    linger_seconds: float
    buffer_max_ids: int
    request_timeout_seconds: float
    max_backoff_seconds: float
    reject_policy: str
    dead_letter_max_consecutive: int
    has_one_topic: bool = False
