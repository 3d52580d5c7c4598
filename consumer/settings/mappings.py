"""What ``EVENT_MAPPING`` and ``EVENT_SEGMENTS`` name: a mapping's tables, a table of segments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consumer import presets
from consumer.core.events import IdType
from consumer.core.mapping import mapping
from consumer.core.mapping.document import Table, table_of
from consumer.core.mapping.problems import Problem
from consumer.core.mapping.segments import segments_of
from consumer.settings.problems import shown

MAPPINGS = f"a preset's name ({', '.join(presets.NAMES)}), or the path of a TOML or JSON file"
SEGMENTS = (
    "a JSON object, or the path of a TOML or JSON file: what a mapping's records name -> segment id"
)
_LONGEST = 16 * 1024 * 1024
_ANY_SEGMENTS = {"": 1}


@dataclass(frozen=True, slots=True)
class MappingSource:
    """A mapping as it was written, under the name that it was given by."""

    name: str
    table: Table


@dataclass(frozen=True, slots=True)
class Segments:
    """The table that mappings name ``"segments"``."""

    name: str
    ids: Mapping[str, int]


def mapping_source(text: str) -> MappingSource:
    """Return the mapping of a preset, or of a file; raise ValueError if there is none."""
    if text.lower() in presets.NAMES:
        return MappingSource(text.lower(), _table(presets.text_of(text.lower())))
    return MappingSource(text, _table(_content(text)))


def segments(text: str) -> Segments:
    """Return the table that is in ``text``, or in the file of that name; raise ValueError."""
    is_inline = text.startswith("{")
    found = segments_of(_table(text if is_inline else _content(text)))
    if isinstance(found, list):
        raise _wrong(found)
    return Segments(f"{len(found)} segments" if is_inline else text, found)


def mapping_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the mapping, of settings ``given``: right by themselves."""
    source = given.get("event_mapping")
    if source is None:
        return
    # As if it were there, if the table is wrong by itself: that is told already.
    table = given.get("event_segments", Segments("", _ANY_SEGMENTS))
    found = _mapping_of(source, table, given.get("event_id_type", "id"))
    if isinstance(found, list):
        for problem in found:
            yield f"EVENT_MAPPING: got {shown(source.name)}: {problem}"


def compiled(
    source: MappingSource | None, table: Segments | None, default_id_type: IdType
) -> mapping.Mapping | None:
    """Return the mapping, ready to read records; it has no problems."""
    found = None if source is None else _mapping_of(source, table, default_id_type)
    if isinstance(found, list):
        raise _wrong(found)
    return found


def doubts(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is allowed and most likely not meant."""
    if given["event_segments"] is not None and given["event_mapping"] is None:
        yield "EVENT_SEGMENTS counts with EVENT_MAPPING only: an event names its segment itself"


def _mapping_of(
    source: MappingSource, table: Segments | None, default_id_type: IdType
) -> mapping.Mapping | list[Problem]:
    return mapping.mapping_of(source.table, table.ids if table else None, default_id_type)


def _table(content: str) -> Table:
    found = table_of(content)
    if isinstance(found, Problem):
        raise _wrong([found])
    return found


def _content(path: str) -> str:
    """Return what is in a file."""
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - Path doesn't take every text
            return file.read(_LONGEST)
    except FileNotFoundError:
        raise ValueError("is no file") from None
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"can't be read ({type(error).__name__})") from None


def _wrong(problems: list[Problem]) -> ValueError:
    return ValueError(*map(str, problems))
