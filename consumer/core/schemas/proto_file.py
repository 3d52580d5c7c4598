"""The parser of .proto files: a schema's text as protobuf's own description of a file.

Registries keep Protobuf schemas as text, and not all of them can give anything else. As far as it
takes to decode: options, services and extensions are passed over. How names are looked up is left
to the library, as are the types of what has a name.
"""

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from consumer.core.schemas.compiled import UnusableError
from consumer.core.schemas.proto_words import Words

_SCALARS = {
    name.removeprefix("TYPE_").lower(): number
    for name, number in FieldDescriptorProto.Type.items()
    if name not in {"TYPE_GROUP", "TYPE_MESSAGE", "TYPE_ENUM"}
}
_LABELS = {
    name.removeprefix("LABEL_").lower(): number
    for name, number in FieldDescriptorProto.Label.items()
}
_SINGLE = _LABELS["optional"]
_UNREAD_FEATURES = {"message_encoding": "DELIMITED", "field_presence": "IMPLICIT"}
_PASSED_OVER = {"option", "extensions", "reserved", "extend", "service"}


def file_of(name: str, text: str) -> FileDescriptorProto:
    """Return what a .proto file describes. Raises UnusableError."""
    words = Words(text)
    file = FileDescriptorProto(name=name)
    while words.next:
        match word := words.take():
            case "syntax":
                words.take("=")
                file.syntax = words.text()
                words.take(";")
            case "edition":
                _take_edition(words, file)
            case "import":
                _take_import(words, file)
            case "package":
                file.package = words.take()
                words.take(";")
            case "message":
                _take_message(words, file.message_type.add(), file.syntax)
            case "enum":
                _take_enum(words, file.enum_type.add())
            case ";":
                pass
            case _ if word in _PASSED_OVER:
                words.skip_statement()
            case _:
                raise UnusableError(f"no .proto file: {word!r} begins nothing")
    return file


def _take_edition(words: Words, file: FileDescriptorProto) -> None:
    words.take("=")
    edition = f"EDITION_{words.text()}"
    words.take(";")
    if edition not in Edition.keys():  # noqa: SIM118 - it is no mapping
        raise UnusableError(f"a .proto file of an {edition} that is not known")
    for feature, value in _UNREAD_FEATURES.items():
        if words.sets(feature, value):  # else messages would lack fields without a word
            raise UnusableError(f"a .proto file of an edition whose {feature} is {value}")
    file.syntax, file.edition = "editions", Edition.Value(edition)


def _take_import(words: Words, file: FileDescriptorProto) -> None:
    is_public = words.takes("public")
    if not is_public and words.next in {"weak", "option"}:
        words.take()
    if is_public:
        file.public_dependency.append(len(file.dependency))
    file.dependency.append(words.text())
    words.take(";")


def _take_message(words: Words, message: DescriptorProto, syntax: str) -> None:
    message.name = words.take()
    words.take("{")
    _take_members(words, message, syntax)


def _take_members(words: Words, message: DescriptorProto, syntax: str) -> None:
    """Take what is in a message, up to its closing brace."""
    while not words.takes("}"):
        match words.next:
            case "message":
                words.take()
                _take_message(words, message.nested_type.add(), syntax)
            case "enum":
                words.take()
                _take_enum(words, message.enum_type.add())
            case "oneof":
                words.take()
                _take_oneof(words, message, syntax)
            case "map":
                _take_map(words, message)
            case ";":
                words.take()
            case word if word in _PASSED_OVER:
                words.skip_statement()
            case _:
                _take_field(words, message, syntax)
    for field in message.field:  # each that says ``optional`` is in a oneof of its own
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


def _take_oneof(words: Words, message: DescriptorProto, syntax: str) -> None:
    index = len(message.oneof_decl)
    message.oneof_decl.add(name=words.take())
    words.take("{")
    while not words.takes("}"):
        if words.next == "option":
            words.skip_statement()
        elif not words.takes(";"):
            _take_field(words, message, syntax).oneof_index = index


def _take_field(words: Words, message: DescriptorProto, syntax: str) -> FieldDescriptorProto:
    label = words.take() if words.next in _LABELS else ""
    field = message.field.add(label=_LABELS.get(label, _SINGLE))
    is_group = words.takes("group")
    if not is_group:
        _set_type(field, words.take())
    field.name = words.take()
    words.take("=")
    field.number = words.number()
    if words.takes("["):
        words.skip_block("[")
    if is_group:
        group = message.nested_type.add(name=field.name)
        field.type, field.type_name = field.TYPE_GROUP, field.name
        field.name = field.name.lower()
        words.take("{")
        _take_members(words, group, syntax)
    else:
        words.take(";")
    field.proto3_optional = label == "optional" and syntax == "proto3"
    return field


def _take_map(words: Words, message: DescriptorProto) -> None:
    """Take a map: a list of entries, each a message that the language makes."""
    words.take()
    words.take("<")
    key = words.take()
    words.take(",")
    value = words.take()
    words.take(">")
    name = words.take()
    words.take("=")
    number = words.number()
    words.skip_statement()
    parts = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    entry = message.nested_type.add(name=f"{parts}Entry")
    entry.options.map_entry = True
    _set_type(entry.field.add(name="key", number=1, label=_SINGLE), key)
    _set_type(entry.field.add(name="value", number=2, label=_SINGLE), value)
    field = message.field.add(name=name, number=number, label=_LABELS["repeated"])
    field.type, field.type_name = field.TYPE_MESSAGE, entry.name


def _set_type(field: FieldDescriptorProto, name: str) -> None:
    if name in _SCALARS:
        field.type = _SCALARS[name]
    else:
        field.type_name = name


def _take_enum(words: Words, enum: EnumDescriptorProto) -> None:
    enum.name = words.take()
    words.take("{")
    numbers: set[int] = set()
    while not words.takes("}"):
        if words.next in {"option", "reserved"}:
            words.skip_statement()
        elif not words.takes(";"):
            name = words.take()
            words.take("=")
            number = words.number()
            enum.value.add(name=name, number=number)
            if number in numbers:
                enum.options.allow_alias = True
            numbers.add(number)
            words.skip_statement()
