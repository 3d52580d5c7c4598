"""What a schema costs, in microseconds of CPU a record, beside the same mapping of JSON.

    python -m tests.bench.schemas [--records 100000] [--rounds 7]

As `tests.bench.mapping`: all kinds take turns, and the best round of each counts. ``bare`` is what
the library costs by itself, and no framing, no mapping.
"""

import json
from functools import partial
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from consumer.core.mapping.mapping import Mapping
from consumer.core.schemas.compiled import Source
from consumer.core.schemas.compiler import compiled
from consumer.core.schemas.reader import PlainReadings, SchemaReader
from tests.bench.mapping import AUDIENCES, NESTED, PLAIN, Kind, measure
from tests.support.mapped import Beside, mapping

PREFIX = b"\0\0\0\0\7"
BESIDE = Beside()


def main() -> None:
    """Measure and print."""
    measure(kinds())


def kinds() -> list[Kind]:
    """Return what is measured; the first is the loop itself, the second what others exceed."""
    event, nested = json.loads(PLAIN), json.loads(NESTED)
    by_name = mapping(AUDIENCES)
    return [
        Kind("nothing", 0, partial(len, PLAIN)),
        Kind("event, JSON", len(PLAIN), partial(PlainReadings("id").read, PLAIN, BESIDE)),
        *_avro("event", event, PlainReadings("id")),
        _protobuf("event"),
        Kind("nested, JSON, mapped", len(NESTED), partial(by_name.read_value, NESTED, BESIDE)),
        *_avro("nested", nested, by_name),
    ]


def _avro(name: str, value: dict[str, Any], readings: Mapping | PlainReadings) -> list[Kind]:
    schema = _type_of(value, "Value")
    stream = BytesIO()
    parsed = parse_schema(schema)
    schemaless_writer(stream, parsed, value)
    payload = stream.getvalue()
    reader = SchemaReader({PREFIX: compiled(Source("AVRO", json.dumps(schema)))}, readings)
    return [
        Kind(f"{name}, Avro", len(payload), partial(reader.read_value, PREFIX + payload, BESIDE)),
        Kind(
            f"{name}, Avro, bare",
            len(payload),
            lambda: schemaless_reader(BytesIO(payload), parsed, None),
        ),
    ]


def _protobuf(name: str) -> Kind:
    text = """
    syntax = "proto3";
    message Event { int32 segment_id = 1; enum Action { add = 0; remove = 1; }
    Action action = 2; string id = 3; }
    """
    value = PREFIX + b"\0\x08\x38\x10\x01\x1a\x0bcustomer-42"
    reader = SchemaReader({PREFIX: compiled(Source("PROTOBUF", text))}, PlainReadings("id"))
    return Kind(f"{name}, Protobuf", len(value), partial(reader.read_value, value, BESIDE))


def _type_of(value: object, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Return an Avro type that has this value, with a union where records have them most."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "long"
        case str():
            return ["null", "string"]
        case dict():
            fields = [
                {"name": key, "type": _type_of(inner, f"{name}_{key}")}
                for key, inner in value.items()
            ]
            return {"type": "record", "name": name, "fields": fields}
    raise TypeError(name)


if __name__ == "__main__":
    main()
