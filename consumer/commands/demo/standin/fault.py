"""How the stand-in misbehaves with one request."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one request.

    A request that would be answered normally (no ``status``, ``raw`` or ``hang``) is applied before
    its answer, however little of that is sent, unless its client is gone by then; any other is not.
    ``apply_after_seconds`` overrides that: applied so long after it arrived, whatever is answered
    and whether or not anybody still listens.
    """

    apply_after_seconds: float | None = None
    delay_seconds: float = 0.0  # before anything is answered
    hang: bool = False  # never answer: the client has to go
    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # these bytes instead of an HTTP answer
    drip_seconds: float = 0.0  # the pause after each byte of the answer
    cut_at: int | None = None  # send so many bytes of the answer, then close
    reset: bool = False  # close with a reset
