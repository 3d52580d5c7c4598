"""A stand-in of a Schema Registry on loopback: real HTTP, Confluent's paths, and faults.

What Apicurio can't show: GUIDs, logins, and a registry that is down or lies.
"""

import base64
import json
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Fault = Callable[["_Handler"], object]
"""What is done instead of an answer."""


@dataclass(eq=False)
class Registry:
    """The registry's schemas and what it was asked; ``fault`` is what every question meets."""

    fault: Fault | None = None
    authorization: str | None = None  # what it wants to hear
    asked: list[str] = field(default_factory=list)
    heard: list[str | None] = field(default_factory=list)  # as authorization
    _by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    _by_guid: dict[str, dict[str, Any]] = field(default_factory=dict)
    _by_version: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def add(
        self,
        schema: object,
        kind: str | None = None,
        *,
        schema_id: int | None = None,
        references: list[tuple[str, str, int]] | None = None,
        subject: tuple[str, int] | None = None,
    ) -> tuple[bytes, bytes]:
        """Take in a schema; return its prefix by id and by GUID."""
        schema_id = schema_id or len(self._by_id) + 1
        guid = uuid.uuid5(uuid.NAMESPACE_OID, str(schema_id))
        text = schema if isinstance(schema, str) else json.dumps(schema)
        entry: dict[str, Any] = {"schema": text}
        if kind is not None:
            entry["schemaType"] = kind
        if references is not None:
            names = ("name", "subject", "version")
            entry["references"] = [dict(zip(names, each, strict=True)) for each in references]
        self._by_id[str(schema_id)] = self._by_guid[str(guid)] = entry
        if subject is not None:
            self._by_version[subject[0], str(subject[1])] = {**entry, "id": schema_id}
        return b"\0" + schema_id.to_bytes(4), b"\1" + guid.bytes

    def basic(self, username: str, password: str) -> None:
        """Want a login with a password."""
        self.authorization = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def found(self, path: str) -> tuple[int, object]:
        """Return the status and the body for a path."""
        match path.strip("/").split("/"):
            case ["schemas", "ids", schema_id]:
                return _answer(self._by_id.get(schema_id), 40403)
            case ["schemas", "guids", guid]:
                return _answer(self._by_guid.get(guid), 40403)
            case ["subjects", subject, "versions", version]:
                return _answer(self._by_version.get((unquote(subject), version)), 40402)
        return HTTPStatus.NOT_FOUND, {"error_code": 404, "message": "HTTP 404 Not Found"}


class Served:
    """A registry at a port of its own, from the beginning to the end of a ``with``."""

    def __init__(
        self, registry: Registry, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        handler = type("Handler", (_Handler,), {"registry": registry})
        self._server = _Server(("127.0.0.1", port), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer every question so."""
    return lambda handler: handler.answer(code, body, headers)


def nothing(handler: "_Handler") -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def wanting_certificates(certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    """Return TLS of a server that trusts nobody but whom an authority knows."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.load_verify_locations(authority)
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def _answer(entry: dict[str, Any] | None, error_code: int) -> tuple[int, object]:
    if entry is not None:
        return HTTPStatus.OK, entry
    return HTTPStatus.NOT_FOUND, {"error_code": error_code, "message": "not found"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away, or whom TLS doesn't know, are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else its two writes an answer take 40 ms

    def do_GET(self) -> None:
        """Answer a question."""
        registry = self.registry
        registry.asked.append(self.path)
        registry.heard.append(self.headers["Authorization"])
        if registry.fault is not None:
            registry.fault(self)
        else:
            self.served()

    def served(self) -> None:
        """Answer as a registry that is well."""
        registry = self.registry
        if registry.authorization not in {None, self.headers["Authorization"]}:
            body = {"error_code": 401, "message": f"not {self.headers['Authorization']}"}
            self.answer(HTTPStatus.UNAUTHORIZED, json.dumps(body).encode(), {})
        else:
            code, found = registry.found(urlsplit(self.path).path)
            self.answer(code, json.dumps(found).encode(), {})

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
