"""A replay: the daemon's settings as it has them, and its start."""

import sys
from typing import TextIO

from consumer import crashes
from consumer.commands.output import Output
from consumer.commands.replay.books import MAX_PENDING
from consumer.commands.replay.choice import Choice
from consumer.commands.replay.session import Session
from consumer.commands.replay.voice import Voice
from consumer.observability import logs
from consumer.settings import Settings
from consumer.stopper import Stopper

_MAX_LINGER_SECONDS = 1.0


def run(settings: Settings, choice: Choice, stream: TextIO | None, stopper: Stopper) -> int:
    """Replay, or list; return the exit code: 0 all replayed (or listed), 1 not all."""
    # What a daemon tells as news is progress here.
    level = "warning" if settings.log_level == "info" else settings.log_level
    logs.configure(level, "console" if sys.stderr.isatty() else settings.log_format, sys.stderr)
    for warning in settings.warnings:
        logs.log("settings_warning", warning, level="warning")
    stopper.begin(settings.drain_timeout_seconds)
    voice = Voice(sys.stderr if choice.as_json else stream)
    objects = Output(stream) if choice.as_json else None
    session = Session(replaying(settings, choice.rate), choice, voice, objects, stopper)
    return crashes.guarded(session.run)


def replaying(settings: Settings, rate: float | None) -> Settings:
    """Return the daemon's settings as a replay has them."""
    ceiling = settings.customerio_requests_per_second
    return settings.model_copy(
        update={
            "kafka_topics": (settings.dead_letter_topic,),
            "kafka_group_id": f"{settings.kafka_group_id}.replay",
            # The next run must not wait for this one's session.
            "kafka_group_instance_id": None,
            "kafka_auto_offset_reset": "earliest",
            # What is read waits in the books for its commit, and the rest would be left.
            "buffer_max_ids": min(settings.buffer_max_ids, MAX_PENDING // 2),
            "batch_linger_seconds": min(settings.batch_linger_seconds, _MAX_LINGER_SECONDS),
            "customerio_requests_per_second": ceiling if rate is None else min(ceiling, rate),
            "reject_policy": "dead-letter",
            "dead_letter_max_consecutive": 0,
        }
    )
