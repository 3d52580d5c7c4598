"""A mapping, ready to read records: the quick plan first, the careful one where it gives up.

What the intake makes of what it says:

- `Event`: one change. Its ids are as they are sent (an address in lower case, within the limits),
  in ``id`` if there is one, in ``ids`` if there are more; ``segment_id`` is an integer and
  ``id_type`` is set. So none of the looks that a plain event needs, at its characters, its
  segment's text, its @, is needed any more.
- `Changes`: each in order, an event as above, a mixed one as the decoder's: its invalid ids are
  dead letters. With ``malformed`` the record is a dead letter too, once; for the row of unreadable
  records it counts as one with a valid id, if it has one. Every change notes its own hold in the
  same ledger at the same offset, so the offset is settled when all are.
- `Ignored`: the position moves on, nothing else happens; the row of unreadable records neither
  grows nor ends. Without a value it is a tombstone, as it is without a mapping.
- `Malformed`: a dead letter, as ever.
"""

from collections.abc import Callable
from collections.abc import Mapping as AnyMapping

import msgspec
from msgspec import Raw

from consumer.core.events import IdType, Malformed
from consumer.core.mapping.beside import Record
from consumer.core.mapping.careful import reading_of
from consumer.core.mapping.connect import payload_of
from consumer.core.mapping.document import Table
from consumer.core.mapping.language import Rule
from consumer.core.mapping.parser import rules_of
from consumer.core.mapping.plan import Plan
from consumer.core.mapping.problems import Problem
from consumer.core.mapping.reading import Reading
from consumer.core.mapping.unlisted import unlisted_keys
from consumer.core.mapping.view import View
from consumer.core.unreadable import BYTE_ORDER_MARK, not_an_object, what_is_wrong


def mapping_of(
    table: Table, segments: AnyMapping[str, int] | None, default_id_type: IdType
) -> "Mapping | list[Problem]":
    """Return the mapping that a table says, or all of its problems.

    ``segments`` is what ``map = "segments"`` means, None if there is no such table;
    ``default_id_type`` what a change without ``id_type`` is of.
    """
    found = rules_of(table, segments, default_id_type)
    rules = [each for each in found if isinstance(each, Rule)]
    return Mapping(rules) if rules else [each for each in found if isinstance(each, Problem)]


class Mapping:
    """Reads records. Never raises, whatever a record is."""

    def __init__(self, rules: list[Rule]) -> None:
        self.reads_no_value = any(rule.reads_no_value for rule in rules)
        self._rules = rules
        self._plan = Plan(rules)
        self._read_unmarked = self._plan.reader(self._read_closely)
        self.read_value: Callable[[bytes, Record], Reading] = self._plan.reader(self._read_again)
        """Return what a record says that has a value; this is what is called for each."""

    def read(self, value: bytes | None, record: Record) -> Reading:
        """Return what a record says; ``value`` is its value, the rest is asked for if needed."""
        if value is not None:
            return self.read_value(value, record)
        return self._plan.read_nothing(record) or reading_of(self._rules, record, None)

    def read_decoded(self, value: object, record: Record) -> Reading:
        """Return what a record says whose value was decoded already, as an Avro record is.

        ``value`` is made of what Python has: dictionaries, lists, texts, numbers, dates, ...
        """
        if value is None:
            return self.read(None, record)
        found = self._plan.read_decoded(value, record)
        return self._reading_of(_view_of_decoded(value), record) if found is None else found

    def unlisted_keys(self, value: bytes | None, record: Record) -> tuple[str, ...]:
        """Return the keys of segments that a record names, and that the table doesn't have."""
        without_mark = None if value is None else value.removeprefix(BYTE_ORDER_MARK)
        return self._unlisted(None if without_mark is None else self._view_of(without_mark), record)

    def unlisted_keys_of_decoded(self, value: object, record: Record) -> tuple[str, ...]:
        """Return the same for what `read_decoded` reads."""
        return self._unlisted(None if value is None else _view_of_decoded(value), record)

    def _read_again(self, value: bytes, record: Record) -> Reading:
        """Read what the quick plan gave up: without its byte order mark, if it has one."""
        if value.startswith(BYTE_ORDER_MARK):
            return self._read_unmarked(value.removeprefix(BYTE_ORDER_MARK), record)
        return self._read_closely(value, record)

    def _read_closely(self, value: bytes, record: Record) -> Reading:
        return self._reading_of(self._view_of(value), record)

    def _view_of(self, value: bytes) -> View | Malformed:
        if not self._plan.reads_value:
            return View.of("not looked at") if value.strip() != b"null" else View(Raw(b"null"))
        try:
            whole = msgspec.json.decode(value, type=Raw)
            value.decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Malformed(what_is_wrong(value))
        return payload_of(whole) or View(whole)

    def _reading_of(self, view: View | Malformed, record: Record) -> Reading:
        if isinstance(view, Malformed):
            return view
        if view.is_null:
            return reading_of(self._rules, record, None)
        if self._plan.reads_objects_only and view.kind != "object":
            return Malformed(not_an_object(bytes(view.written)))
        return reading_of(self._rules, record, view)

    def _unlisted(self, view: View | Malformed | None, record: Record) -> tuple[str, ...]:
        if isinstance(view, Malformed):
            return ()
        is_nothing = view is None or view.is_null
        return unlisted_keys(self._rules, record, None if is_nothing else view)


def _view_of_decoded(value: object) -> View | Malformed:
    try:
        return View(Raw(msgspec.json.encode(value, enc_hook=str)))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return Malformed("what was decoded has no JSON form")
