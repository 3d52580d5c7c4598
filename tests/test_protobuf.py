"""Protobuf: schemas as registries have them, read as protoc reads them, and their payloads."""

import base64
import re
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from consumer.core.schemas.compiled import Compiled, Source, UnfitError, UnusableError
from consumer.core.schemas.compiler import compiled
from consumer.core.schemas.proto_file import file_of
from tests.support.protoc import WELL_KNOWN, files_of, message

EVENT = """
syntax = "proto3";
package shop.audiences;
// A comment; with "quotes" and { braces }.
import "google/protobuf/wrappers.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
option java_package = "com.shop";
message Change {
  option deprecated = false;
  reserved 100, 200 to max; reserved "old";
  enum Action { ADD = 0; REMOVE = 1; reserved 5 to 10; }
  message Person {
    string id = 1 [json_name = "identity", deprecated = true];
    repeated int64 numbers = 2 [packed = false];
    Person friend = 3;
    message Deep { int32 depth = 1; }
  }
  Action action = 1;
  repeated Person people = 2;
  map<string, Person> by_name = 3;
  map<bool, int32> flags = 4;
  oneof who { option (unheard).of = {a: 1}; string email = 5; int64 number = 6; }
  optional string maybe = 7;
  google.protobuf.StringValue wrapped = 8;
  google.protobuf.Timestamp at = 9;
  google.protobuf.Struct anything = 10;
  .shop.audiences.Change.Person absolute = 11;
  bytes raw = 12; double share = 13; uint64 unsigned = 14; sint32 zigzag = 15; fixed64 fixed = 16;
  bool flag = 17;
  audiences.Change.Action relative = 18; /* the same */ repeated Action actions = 0x13;
  map<int32, Action> action_by_number = 20;
  google.protobuf.Duration took = 21; google.protobuf.BoolValue truth = 22;
  repeated google.protobuf.Int64Value counts = 23;
  map<string, string> labels = 24;
}
message Second { string id = 1; };
service Audiences {
  rpc Send (Change) returns (stream Second) { option deprecated = true; }
  rpc Get (Second) returns (Second);
}
""".replace("option (unheard).of = {a: 1}; ", "")
OLD = """
syntax = 'proto2';
message Order {
  required string id = 1;
  optional int32 amount = 2 [default = -7];
  repeated group Line = 3 { optional string article = 1; repeated group Part = 2 { } }
  extensions 100 to 199;
  enum Kind { option allow_alias = true; A = 1; B = 1 [deprecated = true];; C = -3; };
  optional Kind kind = 4 [default = B];
  oneof either { string text = 5; group Deep = 6 { optional bool yes = 1; } }
}
extend Order { optional string more = 100; };
"""


def protobuf(text: str, *references: tuple[str, str]) -> Compiled:
    return compiled(Source("PROTOBUF", text, references))


def read(text: str, payload: bytes, *references: tuple[str, str]) -> Any:  # noqa: ANN401 - any JSON
    decode = protobuf(text, *references).decode
    assert decode is not None
    return decode(payload)


def resolved(file: FileDescriptorProto) -> FileDescriptorProto:
    """Return a description as the library completes it, without what takes no part in decoding."""
    pool = DescriptorPool()
    for known in files_of(EVENT)[:-1]:
        pool.AddSerializedFile(known.SerializeToString())
    found = FileDescriptorProto()
    pool.AddSerializedFile(file.SerializeToString()).CopyToProto(found)
    for name in ("options", "service", "extension", "source_code_info"):
        found.ClearField(name)
    for each in found.message_type:
        _strip(each)
    return found


def _strip(part: Any) -> None:  # noqa: ANN401 - messages of several types
    is_entry = part.options.map_entry
    for name in ("options", "extension_range", "reserved_range", "reserved_name"):
        part.ClearField(name)
    part.options.map_entry = is_entry
    for field in part.field:
        for name in ("options", "default_value", "json_name"):
            field.ClearField(name)
    for enum in part.enum_type:
        for name in ("options", "reserved_range", "reserved_name"):
            enum.ClearField(name)
        for value in enum.value:
            value.ClearField("options")
    for nested in part.nested_type:
        _strip(nested)


@pytest.mark.parametrize("text", [EVENT, OLD])
def test_a_schema_is_read_as_protoc_reads_it(text: str) -> None:
    assert resolved(file_of("schema0.proto", text)) == resolved(files_of(text)[-1])


@pytest.mark.parametrize("path", sorted(WELL_KNOWN.rglob("*.proto")), ids=lambda path: path.stem)
def test_so_are_the_schemas_that_protoc_brings(path: Any) -> None:  # noqa: ANN401 - a path
    (described,) = [
        file
        for file in files_of(f'import "{path.relative_to(WELL_KNOWN)}";')
        if file.name == str(path.relative_to(WELL_KNOWN))
    ]
    found = file_of(described.name, path.read_text())
    for ours, theirs in zip(found.message_type, described.message_type, strict=True):
        assert [field.number for field in ours.field] == [field.number for field in theirs.field]
        assert [each.name for each in ours.nested_type] == [
            each.name for each in theirs.nested_type
        ]
        assert [each.name for each in ours.enum_type] == [each.name for each in theirs.enum_type]
    assert list(found.dependency) == list(described.dependency)


def _outline(message: Any) -> Any:  # noqa: ANN401 - of protobuf's own
    """Return what stands in a message, without how the names of types are looked up."""
    fields = [(each.name, each.number, each.label) for each in message.field]
    enums = [(each.name, len(each.value)) for each in message.enum_type]
    return message.name, fields, enums, [_outline(each) for each in message.nested_type]


def test_a_message_is_what_json_would_have() -> None:
    change = message(EVENT, "shop.audiences.Change")
    change.action, change.email, change.maybe = 1, "ann@example.com", ""
    change.people.add(id="a", numbers=[1, 2**62]).friend.id = "b"
    change.by_name["x"].id = "c"
    change.flags[True] = 3
    change.action_by_number[7] = 1
    change.wrapped.value, change.truth.value = "inside", False
    change.counts.add(value=5)
    change.at.seconds, change.took.seconds = 5, 90
    change.anything.update({"list": [1, None, {"b": True}], "text": "t"})
    change.raw, change.unsigned, change.zigzag = b"\1\2", 2**63, -4
    change.actions.extend([0, 1, 9])
    change.labels["k"] = "v"
    assert read(EVENT, b"\0" + change.SerializeToString()) == {
        "action": "REMOVE",
        "people": [
            {"id": "a", "numbers": [1, 2**62], "friend": {"id": "b", "numbers": []}},
        ],
        "by_name": {"x": {"id": "c", "numbers": []}},
        "flags": {"true": 3},
        "email": "ann@example.com",
        "maybe": "",
        "wrapped": "inside",
        "truth": False,
        "counts": [5],
        "at": "1970-01-01T00:00:05Z",
        "took": "90s",
        "anything": {"list": [1.0, None, {"b": True}], "text": "t"},
        "raw": b"\1\2",
        "share": 0.0,
        "unsigned": 2**63,
        "zigzag": -4,
        "fixed": 0,
        "flag": False,
        "relative": "ADD",
        "actions": ["ADD", "REMOVE", 9],
        "action_by_number": {"7": "REMOVE"},
        "labels": {"k": "v"},
    }


def test_what_is_not_there_has_its_default_unless_that_can_be_told() -> None:
    found = read(EVENT, b"\0")
    assert found["action"] == "ADD"
    assert found["people"] == []
    assert found["labels"] == {}
    assert not found.keys() & {"email", "number", "maybe", "wrapped", "at", "absolute"}
    assert read(OLD, b"\0") == {"line": []}


def test_an_empty_wrapper_is_the_default_of_what_it_wraps() -> None:
    change = message(EVENT, "shop.audiences.Change")
    change.wrapped.SetInParent()
    assert read(EVENT, b"\0" + change.SerializeToString())["wrapped"] == ""


def test_a_time_beyond_reason_is_its_numbers() -> None:
    change = message(EVENT, "shop.audiences.Change")
    change.at.seconds = 2**50
    found = read(EVENT, b"\0" + change.SerializeToString())
    assert found["at"] == {"seconds": 2**50, "nanos": 0}


def test_members_of_groups_are_those_of_a_message() -> None:
    order = message(OLD, "Order")
    order.id, order.kind = "o", 1
    order.line.add(article="x")
    order.deep.yes = True
    found = read(OLD, b"\0" + order.SerializeToString())
    assert found == {
        "id": "o",
        "kind": "A",
        "line": [{"article": "x", "part": []}],
        "deep": {"yes": True},
    }


@pytest.mark.parametrize(
    ("indexes", "found"),
    [
        (b"\x02\x00", {"maybe": "x"}),  # the first, spelled out
        (b"\x02\x02", {"id": "x"}),
        (b"\x04\x00\x00", {"id": "x", "numbers": []}),
    ],
)
def test_message_indexes_say_which_message_it_is(indexes: bytes, found: dict[str, Any]) -> None:
    field = b"\x3a\x01x" if "maybe" in found else b"\x0a\x01x"
    assert found.items() <= read(EVENT, indexes + field).items()


def test_they_lead_to_what_is_nested_in_the_nested() -> None:
    decode = protobuf(EVENT).decode
    assert decode is not None
    for _ in range(2):
        assert decode(b"\x06\x00\x00\x00\x08\x05") == {"depth": 5}
    assert read(EVENT, b"\x06\x00\x00\x00\x08\x05") == {"depth": 5}


def test_the_entries_of_maps_are_no_messages_that_indexes_count() -> None:
    text = 'syntax = "proto3"; message A { map<int32, int32> m = 1; message B { string id = 1; } }'
    assert read(text, b"\x04\x00\x00\x0a\x01x") == {"id": "x"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02",  # an index that is not there
        b"\x02\x08",  # of five messages
        b"\x02\x01",  # the one before the first
        b"\x04\x00\x06",
        b"\x80",  # half a number
        b"\xff\xff\xff\xff\xff\xff\x01",
        b"\x01",  # as many as less than none
        b"\xd2\x01\x00",
        b"\0\xff\xff",
        b"\0\x0a\x05a",
    ],
)
def test_what_no_message_is_does_not_fit(payload: bytes) -> None:
    with pytest.raises(UnfitError):
        read(EVENT, payload)


def test_a_field_that_is_new_is_passed_over() -> None:
    old = 'syntax = "proto3"; message E { string id = 1; }'
    assert read(old, b"\0\x0a\x01x\x12\x03new") == {"id": "x"}


def test_schemas_refer_to_others() -> None:
    base = ("base.proto", 'syntax = "proto3"; package b; message Id { string text = 1; }')
    middle = (
        "in/middle.proto",
        'syntax = "proto3"; import public "base.proto"; message M { b.Id id = 1; }',
    )
    text = 'syntax = "proto3"; import "in/middle.proto"; message E { M m = 1; b.Id own = 2; }'
    payload = b"\0\x0a\x05\x0a\x03\x0a\x01x"
    assert read(text, payload, base, middle) == {"m": {"id": {"text": "x"}}}


def test_a_reference_may_have_any_name_and_come_twice() -> None:
    base = ("schema0.proto", 'syntax = "proto3"; message Id { string text = 1; }')
    text = 'syntax = "proto3"; import "schema0.proto"; message E { Id id = 1; }'
    assert read(text, b"\0\x0a\x03\x0a\x01x", base, base) == {"id": {"text": "x"}}


def test_imports_that_only_options_need_may_be_missing() -> None:
    text = """
    syntax = "proto3";
    import "unheard/of.proto"; import public "google/protobuf/wrappers.proto";
    import weak "w.proto";
    message E {
      oneof one { option (unheard).of = true; string a = 2;; }
      option (unheard.of) = { cel: [{ id: "x", expression: "a > b" }], c <d: 1> };
      string id = 1 [(unheard.rules).string = { min_len: 1, in: ["}", ']'] }, (a.b).c = -1];
    }
    extend E { string more = 9; };
    """
    assert read(text, b"\0\x0a\x01x") == {"id": "x"}


def test_a_description_may_have_imports_that_are_missing_too() -> None:
    text = 'syntax = "proto3"; import public "o.proto"; message E { string id = 1; }'
    other = ("o.proto", 'syntax = "proto3"; message O { }')
    described = base64.b64encode(files_of(text, [other])[-1].SerializeToString()).decode()
    assert read(described, b"\0\x0a\x01x") == {"id": "x"}


def test_a_decimal_of_confluents_is_known() -> None:
    text = """
    syntax = "proto3"; import "confluent/type/decimal.proto"; import "confluent/meta.proto";
    message E { confluent.type.Decimal amount = 1 [(confluent.field_meta) = {doc: "x"}]; }
    """
    found = read(text, b"\0\x0a\x05\x0a\x01\x07\x18\x02")
    assert found == {"amount": {"value": b"\7", "precision": 0, "scale": 2}}


def test_a_schema_may_be_its_description_in_base64() -> None:
    described = base64.b64encode(files_of(EVENT)[-1].SerializeToString()).decode()
    assert read(described, b"\x02\x02\x0a\x01x") == {"id": "x"}


def test_an_edition_is_known() -> None:
    text = 'edition = "2023"; package e; message E { string id = 1; repeated int32 n = 2; }'
    assert read(text, b"\0\x0a\x01x") == {"id": "x", "n": []}


@pytest.mark.parametrize(
    "option",
    [
        "option features.message_encoding = DELIMITED;",
        "option features = { message_encoding: DELIMITED };",
        "message F { E e = 1 [features.message_encoding = DELIMITED]; }",
        "message F { string s = 1 [features.field_presence = IMPLICIT]; }",
    ],
)
def test_a_feature_that_changes_what_is_read_is_refused(option: str) -> None:
    """It would be read as a message that lacks the field, and dead-lettered."""
    text = f'edition = "2023"; {option} message E {{ string id = 1; }}'
    with pytest.raises(UnusableError, match="of an edition whose"):
        protobuf(text)
    read_alike = text.replace("DELIMITED", "LENGTH_PREFIXED").replace("IMPLICIT", "EXPLICIT")
    assert protobuf(read_alike).decode is not None


@pytest.mark.parametrize(
    "text",
    [
        '\ufeffsyntax = "proto3"; message E { string id = 1; }',
        "syntax = 'pro' \"to3\"; message E { string id = 1; }",
    ],
)
def test_what_protoc_takes_besides_is_taken(text: str) -> None:
    assert read(text, b"\0\x0a\x01x") == {"id": "x"}
    assert resolved(file_of("schema0.proto", text)) == resolved(files_of(text)[-1])


def test_a_long_text_is_looked_at_once() -> None:
    """One of blanks that ends in something else was looked at from each of them."""
    with pytest.raises(UnusableError):
        protobuf("A" + " " * 1_000_000 + "{")


def test_it_is_called_by_its_messages() -> None:
    assert str(protobuf(EVENT)) == "Protobuf shop.audiences.Change or shop.audiences.Second"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no message"),
        ('syntax = "proto3"; enum E { A = 0; }', "it has no message"),
        ("AAAA", "neither"),
        ("Zm9", "neither"),
        ("<html>no</html>", "'<' begins nothing"),
        ('{"type": "record"}', "'{' begins nothing"),
        ("message E {", "its end"),
        ("message E { string id; }", "= must come before ';'"),
        ("message E { string id = x; }", "'x' is no number"),
        ("message E { Unheard of = 1; }", "Unheard"),
        ("message E { string id = 1", "; must come before 'its end'"),
        ("import unquoted;", "'unquoted' is no text"),
        ("message E { string a = 1; string b = 1; }", "no Protobuf schema that can be used"),
        ("message § {}", "nobody knows what '§' means"),
        ('edition = "1999";', "EDITION_1999 that is not known"),
        ('import "o.proto"; message E { o.O o = 1; }', "it imports o.proto, not among"),
    ],
)
def test_what_is_no_schema_can_not_be_used(text: str, says: str) -> None:
    with pytest.raises(UnusableError, match=re.escape(says)):
        protobuf(text)
