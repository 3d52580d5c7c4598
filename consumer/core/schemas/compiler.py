"""The compiler: a schema's text to its decoder, by what kind of schema it is."""

import json

from consumer.core.schemas.compiled import Compiled, Source, UnusableError

_EXTRAS = {"AVRO": "avro", "PROTOBUF": "protobuf"}


def compiled(source: Source) -> Compiled:
    """Return a schema ready to decode with. Raises UnusableError.

    What decodes Avro and Protobuf is installed with an extra, and imported when one is there.
    """
    try:
        match source.kind:
            case "AVRO":
                from consumer.core.schemas.avro import avro  # noqa: PLC0415 - needs its extra

                return avro(source.text, source.references)
            case "PROTOBUF":
                from consumer.core.schemas.protobuf import protobuf  # noqa: PLC0415 - as above

                return protobuf(source.text, source.references)
            case "JSON":
                return Compiled("JSON Schema", _title(source.text), None)
            case kind:
                raise UnusableError(f"of the type {kind!r}, not AVRO, JSON or PROTOBUF")
    except ImportError:
        extra = _EXTRAS[source.kind]
        raise UnusableError(
            f"of the type {source.kind}: pip install segment-consumer[{extra}]"
        ) from None


def _title(text: str) -> str:
    """Return what a JSON Schema calls itself; it is not asked for more, and may be anything."""
    try:
        match json.loads(text):
            case {"title": str(title)} | {"$id": str(title)}:
                return title
    except (ValueError, RecursionError):
        pass
    return ""
