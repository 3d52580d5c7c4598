"""What is wrong with a certificate, ours or a broker's: neither they nor librdkafka say more."""

import calendar
import re
import socket
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
        if validity is None:
            return ""
        begins, ends = map(_seconds, validity.groups())
    except (OSError, ValueError):
        return ""
    now = time.time()
    if now > ends:
        return f"our certificate is over since {clock.rfc3339(ends)}"
    return f"our certificate is good from {clock.rfc3339(begins)} on" if now < begins else ""


_LOOK_SECONDS = 3.0
_AUTHORITIES = "ssl.ca.location"
_OTHER_AUTHORITIES = frozenset({"ssl.ca.pem", "ssl.ca.certificate.stores"})
_NOT_YET, _OVER, _NAMES = 9, 10, frozenset({62, 64})
"""OpenSSL's numbers (``X509_V_ERR_``) for what is wrong with a certificate."""


def trouble_with(host: str, port: int, properties: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is wrong with the certificate of a broker, and what to do; empty: nothing known.

    librdkafka only says that it isn't to be trusted, so it is looked at once more.
    """
    authorities = properties.get(_AUTHORITIES)
    try:
        if not _OTHER_AUTHORITIES.isdisjoint(properties):
            return "", ""
        _shake_hands(host, port, authorities)
    except ssl.SSLCertVerificationError as error:
        return _of_verification(error, host, authorities)
    except (OSError, ValueError):  # is no answer to that question
        pass
    return "", ""


def _shake_hands(host: str, port: int, authorities: str | None) -> None:
    """Trust those authorities or, without any, the system's. Raises OSError."""
    folder = authorities is not None and Path(authorities).is_dir()
    context = ssl.create_default_context(
        cafile=None if folder else authorities, capath=authorities if folder else None
    )
    with (
        socket.create_connection((host, port), _LOOK_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=host),
    ):
        pass


def _of_verification(
    error: ssl.SSLCertVerificationError, host: str, authorities: str | None
) -> tuple[str, str]:
    if error.verify_code in {_OVER, _NOT_YET}:
        what = "is over" if error.verify_code == _OVER else "is not good yet"
        return f"it {what}", "have it renewed; KAFKA_SSL_CA_LOCATION is right, unless clocks differ"
    if error.verify_code in _NAMES:
        to_do = "reach it by a name that is: see KAFKA_BOOTSTRAP_SERVERS and advertised.listeners"
        return f"it is not for {host}", to_do
    whose = "those that this system knows" if authorities is None else "KAFKA_SSL_CA_LOCATION"
    said = f"it is of an authority that is not among {whose}: {error.verify_message}"
    return said, "set KAFKA_SSL_CA_LOCATION to the authority that signed it"


def _seconds(text: bytes) -> float:
    digits = text.decode()
    if len(digits) == len("YYMMDDhhmmss"):
        digits = ("19" if digits >= "5" else "20") + digits
    return calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S"))
