"""What is wrong with a certificate of ours: brokers say only that they don't take it."""

import calendar
import re
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consumer import clock

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_TIME = rb"(?:\x17\x0d|\x18\x0f)(\d{12,14})Z"
_VALIDITY = re.compile(_TIME + _TIME)
"""Two times one after the other (RFC 5280: UTCTime, whose years have two digits, or with four)."""


_SHOWN = ("ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location")


def trouble_of(properties: Mapping[str, Any]) -> str:
    """Return what is wrong with the certificate of a client's properties; empty: nothing is known.

    It is missing, over, or not good yet.
    """
    if not any(name in properties for name in _SHOWN):
        return "we show no certificate"
    try:
        found = _PEM.search(Path(properties.get(_SHOWN[0], "")).read_text())
        validity = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(found[0])) if found else None
    except (OSError, ValueError):
        return ""
    if validity is None:
        return ""
    begins, ends = _seconds(validity[1]), _seconds(validity[2])
    now = time.time()
    if now > ends:
        return f"our certificate is over since {clock.rfc3339(ends)}"
    return f"our certificate is good from {clock.rfc3339(begins)} on" if now < begins else ""


def _seconds(text: bytes) -> float:
    digits = text.decode()
    if len(digits) == len("YYMMDDhhmmss"):
        digits = ("19" if digits >= "5" else "20") + digits
    return calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S"))
