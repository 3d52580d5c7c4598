"""Fetches a schema with all that it refers to, and makes a decoder of it."""

from collections.abc import Callable
from urllib.parse import quote

from consumer.core.schemas.answers import Entry, Failed, NotThere, Reference
from consumer.core.schemas.compiled import Source, UnusableError
from consumer.core.schemas.compiler import compiled
from consumer.core.schemas.framing import guid_of, schema_id_of
from consumer.core.schemas.inquiries import Found

MOST_REFERENCES = 1000
"""Of one schema, with those of its references. Whoever has more is in a circle, or lies."""

Ask = Callable[[str], Entry | NotThere | Failed]


def fetched(ask: Ask, prefix: bytes) -> Found:
    """Return the schema that a prefix names; ``ask`` is `registry.Registry.ask`. Never raises."""
    try:
        return _fetched(ask, prefix)
    except UnusableError as error:
        return Failed(f"it can't be used: {error}")
    except Exception as error:  # noqa: BLE001 - of libraries that were given what anybody wrote
        return Failed(f"it can't be used ({type(error).__name__})")


def _fetched(ask: Ask, prefix: bytes) -> Found:
    schema_id = schema_id_of(prefix)
    path = f"/schemas/guids/{guid_of(prefix)}" if schema_id is None else f"/schemas/ids/{schema_id}"
    entry = ask(path)
    if not isinstance(entry, Entry):
        return entry
    references: dict[Reference, str] = {}
    trouble = _gather(ask, entry, references, set())
    if trouble is not None:
        return trouble
    texts = [(reference.name, text) for reference, text in references.items()]
    return compiled(Source(entry.kind, entry.text, texts))


def _gather(
    ask: Ask, entry: Entry, references: dict[Reference, str], seen: set[Reference]
) -> NotThere | Failed | None:
    """Fill ``references``, each after what it needs; return what stood in the way."""
    for reference in entry.references or ():
        if reference in seen:
            continue
        seen.add(reference)
        if len(seen) > MOST_REFERENCES:
            return Failed(f"it refers to more than {MOST_REFERENCES} others")
        subject = quote(reference.subject, safe="")
        # One that was deleted since is still what the schema was written with.
        found = ask(f"/subjects/{subject}/versions/{reference.version}?deleted=true")
        if not isinstance(found, Entry):
            place = f"its reference {reference.subject}, version {reference.version}"
            return type(found)(f"{place}: {found.detail}")
        trouble = _gather(ask, found, references, seen)
        if trouble is not None:
            return trouble
        references[reference] = found.text
    return None
