"""The table of segments that mappings name ``"segments"``: key -> segment id."""

from consumer.core.events import MAX_SEGMENT_ID, segment_id_of
from consumer.core.mapping.document import Table, kind_of
from consumer.core.mapping.problems import Place, Problem


def segments_of(table: Table) -> dict[str, int] | list[Problem]:
    """Return the segment of every key, or what is wrong with which."""
    found: dict[str, int] = {}
    problems = [] if table else [Problem(Place(), "an empty table: key -> segment id is expected")]
    for key, given in table.items():
        is_one = isinstance(given, int | str) and not isinstance(given, bool)
        segment_id = segment_id_of(given) if is_one else None  # type: ignore[arg-type]  # it is one
        if segment_id is None:
            what = f"{kind_of(given)}: a segment's id is an integer, 1 to {MAX_SEGMENT_ID}"
            problems.append(Problem(Place(key=key), what))
        else:
            found[key] = segment_id
    return problems or found
