"""A token endpoint on loopback: OIDC's client credentials, tokens that are soon over, and faults.

It signs with a key of its own (RS256) and serves that key's public half as a JWKS, so that a broker
with a listener for OAUTHBEARER can check the tokens by itself.
"""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

CLIENT_ID, CLIENT_SECRET = "segment-consumer", "the client's secret"
AUDIENCE, SCOPE = "kafka", "kafka.read"
_KEY_ID = "tests"
_CLIENT_CREDENTIALS = "client_credentials"
_SIGNED_ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"

Fault = Callable[["_Handler"], object]
"""What a question for a token meets instead of an answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for a token: when on ``time.monotonic``, the form's fields, who it was."""

    at: float
    form: dict[str, str]
    client_id: str
    client_secret: str = field(repr=False)


class Signer:
    """Makes tokens: a key, and whose tokens they are; ``issuer`` is a URL or any other text."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._key = a_key()

    def token(self, subject: str = CLIENT_ID, *, seconds: float = 3600, **claims: object) -> str:
        """Return a token that is over in so many seconds, or since then. ``claims`` win."""
        now = time.time()
        said: dict[str, object] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": AUDIENCE,
            "scope": SCOPE,
        }
        said |= {"iat": int(now), "exp": int(now + seconds)} | claims
        return jwt.encode(said, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def jwks(self) -> dict[str, Any]:
        """Return what a broker checks the tokens with."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}


class TokenEndpoint(Signer):
    """At a port of its own from the beginning to the end of a ``with``; comes back to the same one.

    Its tokens live ``seconds``, and are about ``subject``. It knows one client, by
    ``client_secret``, which a test may change. ``fault`` is what every question for a token meets;
    the JWKS is always there. ``asked`` is every question that arrived, faults included.
    """

    def __init__(
        self, *, seconds: float = 3600, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = _Server(("127.0.0.1", port), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        base = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        super().__init__(base)
        self.url, self.jwks_url = f"{base}/token", f"{base}/jwks"
        self.seconds = seconds
        self.subject = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.fault: Fault | None = None
        self.asked: list[Asked] = []

    def answer_to(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        """Return the status and the body for a question."""
        kind = asked.form.get("grant_type")
        if kind == _CLIENT_CREDENTIALS:
            known = CLIENT_ID, self.client_secret
            if (asked.client_id, asked.client_secret) != known:
                return HTTPStatus.UNAUTHORIZED, _refused("invalid_client", "no such client")
        elif kind != _SIGNED_ASSERTION:  # as of a service account of Google's
            return HTTPStatus.BAD_REQUEST, _refused("unsupported_grant_type", str(kind))
        return HTTPStatus.OK, self.granted(asked.form.get("scope", SCOPE))

    def granted(self, scope: str = SCOPE) -> dict[str, Any]:
        """Return the body of an answer with a token."""
        token = self.token(self.subject, seconds=self.seconds, scope=scope)
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(self.seconds)}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self.fault, Hanging):
            self.fault.end()
        self._server.shutdown()
        self._server.server_close()


class Hanging:
    """A fault: the question arrives, and no answer comes until this is over."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __call__(self, handler: "_Handler") -> None:  # noqa: D102 - what the class says
        self._over.wait()
        handler.close_connection = True

    def end(self) -> None:
        """Let go of those that wait: they find their connection closed."""
        self._over.set()


def status(code: int, body: bytes = b"") -> Fault:
    """Answer every question so."""
    return lambda handler: handler.answer(code, body)


def refused(error: str, description: str, code: int = HTTPStatus.UNAUTHORIZED) -> Fault:
    """Answer every question as a provider refuses a client: RFC 6749, 5.2."""
    return status(code, json.dumps(_refused(error, description)).encode())


def nothing(handler: "_Handler") -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def tls_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return TLS of a server with that certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


def a_key() -> RSAPrivateKey:
    """Return a key to sign with."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def _refused(error: str, description: str) -> dict[str, str]:
    return {"error": error, "error_description": description}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away, or that don't know whom they trust, are tested."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: TokenEndpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else its two writes an answer take 40 ms

    def do_GET(self) -> None:
        """Answer a question for the keys, or for a token as an Azure machine asks for its own."""
        asked = urlsplit(self.path)
        if asked.path == "/jwks":
            self.answer(HTTPStatus.OK, json.dumps(self.endpoint.jwks()).encode())
        elif asked.path == "/token" and self.headers["Metadata"] == "true":
            form = {name: values[0] for name, values in parse_qs(asked.query).items()}
            self.endpoint.asked.append(Asked(time.monotonic(), form, form["client_id"], ""))
            self.answer(HTTPStatus.OK, json.dumps(self.endpoint.granted()).encode())
        else:
            self.answer(HTTPStatus.NOT_FOUND, b"")

    def do_POST(self) -> None:
        """Answer a question for a token."""
        endpoint, asked = self.endpoint, self._asked()
        endpoint.asked.append(asked)
        if endpoint.fault is not None:
            endpoint.fault(self)
        elif urlsplit(self.path).path != "/token":
            self.answer(HTTPStatus.NOT_FOUND, b"")
        else:
            code, body = endpoint.answer_to(asked)
            self.answer(code, json.dumps(body).encode())

    def _asked(self) -> Asked:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(text).items()}
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        kind, _, basic = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":  # both are encoded as in a form: RFC 6749, 2.3.1
            client_id, _, secret = map(unquote_plus, _decoded(basic).partition(":"))
        return Asked(time.monotonic(), form, client_id, secret)

    def answer(self, code: int, body: bytes) -> None:
        """Send an answer."""
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _decoded(basic: str) -> str:
    return base64.b64decode(basic).decode()
