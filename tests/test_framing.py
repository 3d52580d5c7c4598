"""Framing: which schema a value names, by what is in front of it or in a header."""

import pytest

from consumer.core.events import Malformed
from consumer.core.schemas.framing import Framed, framed, guid_of, name_of, schema_id_of
from tests.support.mapped import NOTHING_BESIDE, Beside

GUID = "ab12cd34-0000-1111-2222-333344445555"
GUID_PREFIX = b"\1" + bytes.fromhex(GUID.replace("-", ""))


def with_header(*contents: bytes | str | None, name: str = "__value_schema_id") -> Beside:
    return Beside(of_headers=[("other", b"x"), *((name, content) for content in contents)])


def test_a_zero_byte_comes_before_an_id() -> None:
    found = framed(b"\0\0\0\1\2rest", NOTHING_BESIDE)
    assert found == Framed(b"\0\0\0\1\2", b"rest")
    assert schema_id_of(b"\0\0\0\1\2") == 258
    assert name_of(b"\0\0\0\1\2") == "schema 258"


def test_an_id_has_no_sign() -> None:
    assert schema_id_of(b"\0\xff\xff\xff\xff") == 2**32 - 1


def test_a_one_byte_comes_before_a_guid() -> None:
    assert framed(GUID_PREFIX + b"rest", NOTHING_BESIDE) == Framed(GUID_PREFIX, b"rest")
    assert schema_id_of(GUID_PREFIX) is None
    assert guid_of(GUID_PREFIX) == GUID
    assert name_of(GUID_PREFIX) == f"schema {GUID}"


def test_a_payload_may_be_empty() -> None:
    assert framed(b"\0\0\0\0\7", NOTHING_BESIDE) == Framed(b"\0\0\0\0\7", b"")


@pytest.mark.parametrize("prefix", [GUID_PREFIX, b"\0\0\0\0\7"])
@pytest.mark.parametrize("value", [b"\0\0\0\0\1rest", b"{}", b"", b"anything"])
def test_what_a_header_names_counts_before_the_value(prefix: bytes, value: bytes) -> None:
    assert framed(value, with_header(prefix)) == Framed(prefix, value)


def test_message_indexes_follow_the_prefix_in_the_header() -> None:
    assert framed(b"rest", with_header(GUID_PREFIX + b"\2\2")) == Framed(GUID_PREFIX, b"\2\2rest")


def test_the_last_header_counts() -> None:
    assert framed(b"rest", with_header(b"", b"\0\0\0\0\7")) == Framed(b"\0\0\0\0\7", b"rest")


@pytest.mark.parametrize("content", [b"", None, "", b"\0\0\0\0", GUID_PREFIX[:-1], b"\2aaaa", "x"])
def test_a_header_that_names_nothing_is_malformed(content: bytes | str | None) -> None:
    assert framed(b"\0\0\0\0\7rest", with_header(content)) == Malformed(
        "the header __value_schema_id has no magic byte with a schema's id or GUID"
    )


def test_a_header_may_come_as_text() -> None:
    assert framed(b"rest", with_header("\0\0\0\0\7")) == Framed(b"\0\0\0\0\7", b"rest")


def test_the_header_of_a_key_is_none_of_the_value() -> None:
    record = with_header(GUID_PREFIX, name="__key_schema_id")
    assert framed(b"\0\0\0\0\7", record) == Framed(b"\0\0\0\0\7", b"")


@pytest.mark.parametrize(
    "value", [b"{}", b' \r\n\t{"a": 1}', b"\xef\xbb\xbf{}", b"{ is not closed"]
)
def test_a_json_object_without_a_prefix_is_plain(value: bytes) -> None:
    assert framed(value, NOTHING_BESIDE) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "empty value"),
        (b"\0", "1 bytes, which is too short for a magic byte and a schema's id"),
        (b"\0\0\0\1", "4 bytes, which is too short for a magic byte and a schema's id"),
        (GUID_PREFIX[:16], "16 bytes, which is too short for a magic byte and a schema's GUID"),
        (b"\x1f\x8bzip", "the value is compressed with gzip"),
        (b"\xff\xfe{\0", "UTF-16 or UTF-32, not UTF-8"),
        (b"[1]", "begins with the byte 0x5b: no magic byte"),
        (b"jo@example.com", "begins with the byte 0x6a: no magic byte"),
        (b"\2\0\0\0\1", "begins with the byte 0x02: no magic byte"),
    ],
)
def test_what_names_no_schema_is_malformed(value: bytes, says: str) -> None:
    found = framed(value, NOTHING_BESIDE)
    assert isinstance(found, Malformed)
    assert says in found.detail
    assert "example" not in found.detail
