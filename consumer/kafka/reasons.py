"""Why a connection to a broker fails: the cause, and the setting to change, of librdkafka's words.

The only place that reads these words, for the daemon and for ``check``. What is said goes by what
happened, and not by words that a host's name may have in it.
"""

import re
from typing import NamedTuple

from consumer.kafka import token_endpoint
from consumer.masking import masked

_ADDRESS = re.compile(
    r"^(?:\[thrd:[^\]]*\]: )?(?:((?:sasl_)?(?:plaintext|ssl))://)?"
    r"\[?(\S+?)\]?:(\d+)/(bootstrap|\d+): "
)
"""What librdkafka puts before what happened: protocol, host, port, and which broker that is."""

_STATE = re.compile(r" \(after \d+ms in state (\w+)")
_NOISE = re.compile(
    r"^\[thrd:[^\]]*\]: |^\S+/(?:bootstrap|\d+): "
    r"| \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)"
    r"|: broker certificate could not be verified, verify that .*"
)
"""What librdkafka says around what happened."""

_OPENSSL = re.compile(r"error:[0-9A-F]{8}:[^:]*:[^:]*:")
"""What OpenSSL says before what happened."""

_NOBODY_SAID = "failed: Local: "
"""A login that broke off, or got no answer in time: nobody refused anything."""

_OR_PORT = ", or correct the port in KAFKA_BOOTSTRAP_SERVERS"
_PLAIN = f"set KAFKA_SECURITY_PROTOCOL to plaintext or sasl_plaintext{_OR_PORT}"
_OURS = "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION"


class _Rule(NamedTuple):
    """What is the matter if librdkafka says this ``in_state`` of a connection (empty: in any).

    ``is_sure``: waiting mends nothing. ``when_new``: it says so only of a connection that never did
    any good. ``{name}`` stands for a group of ``says``, or for our own protocol's ``twin``.
    """

    says: str
    cause: str
    to_do: str
    in_state: str = ""
    is_sure: bool = True
    when_new: bool = False


_RULES = (
    _Rule(
        r"Unsupported SASL mechanism: broker's supported mechanisms: (?P<taken>\S.*)",
        "the port takes another login",
        f"set KAFKA_SASL_MECHANISM to {{taken}}{_OR_PORT}",
    ),
    _Rule(
        "Unsupported SASL mechanism",
        "the port takes another login",
        "see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM",
    ),
    _Rule(
        "not valid in current SASL state",
        "the port takes no login",
        f"set KAFKA_SECURITY_PROTOCOL to {{twin}}{_OR_PORT}",
    ),
    _Rule(
        "Failed to acquire SASL OAUTHBEARER token",
        "login refused",
        token_endpoint.SETTINGS,
    ),
    _Rule(
        "SASL authentication error: .*(invalid_token|OAUTHBEARER)",
        "the token is refused",
        "see KAFKA_OAUTH_PROVIDER, KAFKA_OAUTH_SCOPE, and which issuer and audience brokers expect",
    ),
    _Rule(
        "SASL authentication error: .*Access denied",
        "login refused",
        "see what the credentials that KAFKA_OAUTH_PROVIDER finds may do",
    ),
    _Rule(
        "SASL [Aa]uthentication (error|failed)|SASL .* handshake failed",
        "login refused",
        "see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    ),
    _Rule("certificate required.*SSL alert number", "the port wants a certificate", f"set {_OURS}"),
    _Rule(
        "SSL alert number",
        "our certificate is refused",
        f"show one that is good, and of an authority that the brokers know: see {_OURS}",
    ),
    _Rule(
        "(SSL handshake failed: |error:[0-9A-F]{8}:).*certificate verify failed",
        "the broker's certificate can't be trusted",
        "see KAFKA_SSL_CA_LOCATION, and the dates and names in the certificate",
    ),
    _Rule("wrong version number|PLAINTEXT broker listener", "the port speaks no TLS", _PLAIN),
    _Rule("Disconnected", "the port speaks no TLS", _PLAIN, in_state="SSL_HANDSHAKE"),
    _Rule(
        "^SSL|^error:[0-9A-F]{8}:",
        "no encrypted connection",
        f"see the KAFKA_SSL_ settings; else {_PLAIN}",
    ),
    _Rule(
        "Invalid response size",
        "no Kafka listens there, or one that wants TLS",
        f"set KAFKA_SECURITY_PROTOCOL to ssl or sasl_ssl{_OR_PORT}",
    ),
    _Rule(
        "Disconnected",
        "the port closes connections at the first word",
        f"see KAFKA_SECURITY_PROTOCOL: this port may want ssl or sasl_ssl{_OR_PORT}",
        in_state="APIVERSION_QUERY|AUTH_HANDSHAKE",
        is_sure=False,
    ),
    _Rule(
        "Disconnected",
        "the port closes connections without a login",
        f"set KAFKA_SECURITY_PROTOCOL to {{twin}}, with KAFKA_SASL_MECHANISM{_OR_PORT}",
        in_state="UP",
        is_sure=False,
        when_new=True,
    ),
)
"""How brokers and we don't come together though there is one. The first that fits counts."""

_TWINS = {
    "plaintext": "sasl_plaintext",
    "ssl": "sasl_ssl",
    "sasl_plaintext": "plaintext",
    "sasl_ssl": "ssl",
}


class Reason(NamedTuple):
    """``cause`` is in our words (empty: there are none), ``said`` is librdkafka's without noise.

    ``is_refusal``: a broker is there, and doesn't let us in, or we don't trust it. ``is_sure``:
    waiting mends nothing. ``host`` and ``port`` are of whom it is about, where that is said.
    """

    cause: str
    said: str
    to_do: str
    is_refusal: bool = False
    is_sure: bool = False
    host: str = ""
    port: int = 0

    @property
    def what(self) -> str:
        """What happened, on one line."""
        return f"{self.cause}: {self.said}" if self.cause else self.said

    def __str__(self) -> str:
        """Return what happened and what to do."""
        return f"{self.what}; {self.to_do}" if self.to_do else self.what


def reason_of(text: str, *, when_new: bool = False) -> Reason:
    """Return what librdkafka's words come to, without secrets that somebody repeats in them.

    ``when_new``: no connection has done any good yet. Brokers close idle ones all day. If a broker
    is quick and we are slow, a handshake fails as it begins, and librdkafka gives OpenSSL's words
    alone, as an error of the transport (rdkafka_ssl.c, rd_kafka_transport_ssl_connect).
    """
    words, found = _without_noise(text), _ADDRESS.match(text)
    said = masked(_OPENSSL.sub("", words))
    protocol, host, port = (found[1], found[2], int(found[3])) if found else ("", "", 0)
    state = _STATE.search(text)
    for rule in () if _NOBODY_SAID in said else _RULES:
        fits = re.search(rule.says, words, re.DOTALL)
        in_state = not rule.in_state or (state and re.fullmatch(rule.in_state, state[1]))
        if fits and in_state and (when_new or not rule.when_new):
            named = {name: masked(text) for name, text in fits.groupdict().items()}
            to_do = rule.to_do.format_map({"twin": _TWINS[protocol or "plaintext"], **named})
            return Reason(rule.cause, said, to_do, True, rule.is_sure, host, port)
    return Reason("", said, _way_there(said, found[4] if found else "bootstrap"))


def _without_noise(text: str) -> str:
    while (shorter := _NOISE.sub("", text)) != text:
        text = shorter
    return text


def is_alert(words: str) -> bool:
    """Whether it is what the other end of an encrypted connection says of us as it ends it.

    With TLS 1.3 that comes when the handshake is over for us, as an error of the transport.
    """
    return "SSL alert number" in words


def _way_there(said: str, broker: str) -> str:
    """Return what to do about a broker that isn't reached."""
    if said.startswith("Failed to resolve"):
        return "correct KAFKA_BOOTSTRAP_SERVERS, or see DNS"
    if broker != "bootstrap":
        return "a broker gave this address, so see the brokers' advertised.listeners"
    if said.endswith("Connection refused"):
        return "does a broker listen there? See KAFKA_BOOTSTRAP_SERVERS"
    return "see KAFKA_BOOTSTRAP_SERVERS, KAFKA_SECURITY_PROTOCOL, and firewalls on the way"
