"""Variables that look like ours and are none: most likely a slip of the pen."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

_OUR_PREFIXES = (
    "KAFKA_",
    "CUSTOMERIO_",
    "RETRY_",
    "EVENT_ID_",
    "BATCH_",
    "BUFFER_",
    "DRAIN_",
    "REJECT_",
    "DEAD_LETTER_",
    "LIVENESS_",
)
_SHARED_PREFIXES = ("HTTP_", "LOG_", "EVENT_", "COMMIT_", "SECRETS_")
"""Others use these too (``LOG_DIR``, ``COMMIT_SHA``): only a likely slip is worth a word."""

_SLIP_SIMILARITY = 0.8
_STRANGER_SIMILARITY = 0.88
"""Of a name whose beginning is none of ours, like ``KAFAK_TOPICS``, to one that only we use."""

_FOREIGN = re.compile(
    r".*_PROXY"
    # What Kubernetes puts into every pod for a service named kafka, kafka-bootstrap, http, ...
    r"|.*_SERVICE_(HOST|PORT(_.*)?)"
    r"|.*_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


def slips(names: Iterable[str], place: str, variables: Collection[str]) -> Iterator[str]:
    """Yield a warning for each of a place's names that looks like one of our ``variables``."""
    for name in sorted(set(names) - set(variables)):
        nearest = _nearest(name, variables)
        if nearest:
            yield f"{name} (in {place}) is none of the settings; the nearest is {nearest}"


def is_meant(name: str, variables: Collection[str]) -> bool:
    """Whether a name is one of ours, or a likely slip."""
    upper = name.upper()
    return bool(difflib.get_close_matches(upper, variables, 1, _STRANGER_SIMILARITY))


def _nearest(name: str, variables: Collection[str]) -> str | None:
    upper = name.upper()
    if _FOREIGN.fullmatch(upper):
        return None
    if not upper.startswith(_OUR_PREFIXES + _SHARED_PREFIXES):
        own = [variable for variable in variables if variable.startswith(_OUR_PREFIXES)]
        return next(iter(difflib.get_close_matches(upper, own, 1, _STRANGER_SIMILARITY)), None)
    similarity = 0.0 if upper.startswith(_OUR_PREFIXES) else _SLIP_SIMILARITY
    return next(iter(difflib.get_close_matches(upper, variables, 1, similarity)), None)
