"""A broker's own rule for topics that are made, as managed services have it: a class of Java's.

Kafka takes such a rule as a class (``create.topic.policy.class.name``), and brings none. The tests'
Java has no compiler, so the few instructions are assembled here (the Java Virtual Machine
Specification, chapters 4 and 6), as a class of Java 5, of which no more is wanted than those.
"""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROPERTIES = {"create.topic.policy.class.name": "RulesForTopics"}
"""What a broker is told that has the class on its class path."""

FORBIDDEN = "forbidden"
"""No topic whose name begins so may be made, and none that brings ``max.message.bytes``."""

REFUSAL = "how large records are is the brokers' business"

_OBJECT, _STRING, _MAP = "java/lang/Object", "java/lang/String", "java/util/Map"
_RULE = "org/apache/kafka/server/policy/CreateTopicPolicy"
_ASKED = f"{_RULE}$RequestMetadata"
_ERROR = "org/apache/kafka/common/errors/PolicyViolationException"

_MAGIC, _JAVA_5, _PUBLIC, _SUPER = 0xCAFEBABE, 49, 0x0001, 0x0020
_THIS, _ASKED_FOR, _RETURN = b"\x2a", b"\x2b", b"\xb1"
_IF_TRUE, _JUMP_BYTES = b"\x9a", 3


def put(folder: "Path") -> "Path":
    """Write the class into a folder, which is to be on the class path; return that."""
    (name,) = PROPERTIES.values()
    (folder / f"{name}.class").write_bytes(_class(name))
    return folder


def _class(name: str) -> bytes:
    pool = _Pool()
    construct = _THIS + b"\xb7" + pool.method(_OBJECT, "<init>", "()V") + _RETURN
    methods = [
        _method(pool, "<init>", "()V", construct),
        _method(pool, "configure", f"(L{_MAP};)V", _RETURN),
        _method(pool, "close", "()V", _RETURN),
        _method(pool, "validate", f"(L{_ASKED};)V", _validate(pool)),
    ]
    kind = pool.name(name) + pool.name(_OBJECT) + _number(1) + pool.name(_RULE)
    return (
        struct.pack(">IHH", _MAGIC, 0, _JAVA_5)
        + pool.content()
        + (_number(_PUBLIC | _SUPER) + kind)
        + (_number(0) + _number(len(methods)) + b"".join(methods) + _number(0))
    )


def _validate(pool: "_Pool") -> bytes:
    """Return the instructions that refuse what has the setting, or a forbidden name."""
    is_configured = (
        (_ASKED_FOR + b"\xb6" + pool.method(_ASKED, "configs", f"()L{_MAP};"))
        + (b"\x13" + pool.string("max.message.bytes"))
        + (b"\xb9" + pool.method(_MAP, "containsKey", f"(L{_OBJECT};)Z", 11) + b"\x02\x00")
    )
    is_forbidden = (
        (_ASKED_FOR + b"\xb6" + pool.method(_ASKED, "topic", f"()L{_STRING};"))
        + (b"\x13" + pool.string(FORBIDDEN))
        + (b"\xb6" + pool.method(_STRING, "startsWith", f"(L{_STRING};)Z"))
    )
    refuse = (
        (b"\xbb" + pool.name(_ERROR) + b"\x59" + b"\x13" + pool.string(REFUSAL))
        + (b"\xb7" + pool.method(_ERROR, "<init>", f"(L{_STRING};)V"))
        + b"\xbf"
    )
    to_the_end = _JUMP_BYTES + len(_RETURN)
    over_the_other = _JUMP_BYTES + len(is_forbidden) + to_the_end
    return (
        (is_configured + _IF_TRUE + _number(over_the_other))
        + (is_forbidden + _IF_TRUE + _number(to_the_end))
        + (_RETURN + refuse)
    )


def _method(pool: "_Pool", name: str, kind: str, code: bytes) -> bytes:
    body = struct.pack(">HHI", 3, 2, len(code)) + code + _number(0) + _number(0)
    attribute = pool.text("Code") + struct.pack(">I", len(body)) + body
    return _number(_PUBLIC) + pool.text(name) + pool.text(kind) + _number(1) + attribute


class _Pool:
    """The constants of a class. Each gets a number, which is what the methods return."""

    def __init__(self) -> None:
        self._constants: dict[bytes, int] = {}

    def content(self) -> bytes:
        """Return all of them."""
        return _number(len(self._constants) + 1) + b"".join(self._constants)

    def text(self, text: str) -> bytes:
        """Add a text."""
        said = text.encode()
        return self._add(1, _number(len(said)) + said)

    def string(self, text: str) -> bytes:
        """Add a text that is a value."""
        return self._add(8, self.text(text))

    def name(self, name: str) -> bytes:
        """Add a class's name."""
        return self._add(7, self.text(name))

    def method(self, of: str, name: str, kind: str, tag: int = 10) -> bytes:
        """Add a method; one of an interface has the ``tag`` 11."""
        return self._add(tag, self.name(of) + self._add(12, self.text(name) + self.text(kind)))

    def _add(self, tag: int, content: bytes) -> bytes:
        constant = bytes([tag]) + content
        return _number(self._constants.setdefault(constant, len(self._constants) + 1))


def _number(number: int) -> bytes:
    return struct.pack(">H", number)
