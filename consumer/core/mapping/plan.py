"""The quick plan: reads what looks as the mapping says, and gives up on everything else.

It is made once: a Struct for what is looked at (`structs`), getters of its fields (`getters`), a
function for each change (`quick_changes`), each of which holds what it needs. A rule that looks at
the value only gets msgspec's object itself, any other a `Stand`, made when the first such rule is
come to; so headers, key and topic are asked for by a rule that names them, and by no other.

It says nothing wrong: what it returns is what `careful` would. Where it is in doubt (an unknown
word, an id that is no short text, a number with a fraction, a list in the place of a text) a
function returns None or raises one of `NOT_PLAIN`, and the careful plan, which takes thirty times
as long, has the last word.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from consumer.core.mapping.beside import Record
from consumer.core.mapping.getters import Getter, Stand, getter_of
from consumer.core.mapping.language import Condition, Rule, is_whole_value, paths_of
from consumer.core.mapping.paths import Path, Source
from consumer.core.mapping.quick_changes import GetterOf, change_reader
from consumer.core.mapping.quick_walks import QuickReading, Read, in_order, walker
from consumer.core.mapping.reading import NO_RULE, Ignored
from consumer.core.mapping.structs import Decoder, Node, NotPlainError, trees_of
from consumer.core.mapping.words import word_in

NOT_PLAIN = (
    msgspec.MsgspecError,
    NotPlainError,
    RecursionError,
    AttributeError,  # no object where the mapping has one
    TypeError,  # a list or an object where it has a word
    ValueError,  # no UTF-8; a number whose spelling counts
)
"""What the quick plan raises where it gives up."""

T = TypeVar("T")
_Fits = Callable[[Any], bool]
_Reader = Callable[[bytes, Record], QuickReading | T]


class _Quick(NamedTuple):
    """A rule, ready to be tried; ``stands``: it is given a `Stand`; no ``fits``: it always does."""

    stands: bool
    fits: _Fits | None
    read: Read


class Plan:
    """Reads records, and asks the careful plan where it gives up.

    ``reads_value``: whether any rule looks at the value at all; ``reads_objects_only``: whether a
    value that is no object can't be meant.
    """

    def __init__(self, rules: list[Rule]) -> None:
        tree, key, levels = trees_of(rules)
        self._decoder, self._decode_key = Decoder(tree), Decoder(key).decode
        self.reads_value = tree != Node()
        self.reads_objects_only = bool(tree.members) and not tree.is_leaf and tree.element is None
        quick = [
            (rule, _quick(rule, nodes, key)) for rule, nodes in zip(rules, levels, strict=True)
        ]
        self._rules = [each for rule, each in quick if not rule.reads_no_value]
        self._rules_without_value = [each for rule, each in quick if rule.reads_no_value]

    def reader(self, read_closely: Callable[[bytes, Record], T]) -> _Reader[T]:
        """Return what reads a record that has a value. The hot path: it knows all by local names.

        ``read_closely`` reads those where this gives up.
        """
        if self._decoder.has_mark and not any(rule.stands for rule in self._rules):
            return self._reader_of_objects(read_closely)
        decode, rules, decode_key = self._decoder.decode, self._rules, self._decode_key
        reads_value = self.reads_value

        def read(value: bytes, record: Record) -> QuickReading | T:
            found: Any = None
            stand: Any = None
            try:
                if reads_value:
                    if not value.isascii():
                        value.decode()  # msgspec doesn't look at what it skips
                    found = decode(value)
                elif value.strip() == b"null":
                    return read_closely(value, record)
                for stands, fits, read_rule in rules:
                    subject = found
                    if stands:
                        stand = subject = stand or Stand(found, record, decode_key)
                    if fits is None or fits(subject):
                        return read_rule(subject) or read_closely(value, record)
            except NOT_PLAIN:
                return read_closely(value, record)
            return NO_RULE

        return read

    def _reader_of_objects(self, read_closely: Callable[[bytes, Record], T]) -> _Reader[T]:
        """Return the same for rules that look at the values of objects only, which is quicker."""
        bare, decode = self._decoder.bare, self._decoder.decode
        rules = [(fits, read_rule) for _, fits, read_rule in self._rules]

        def read(value: bytes, record: Record) -> QuickReading | T:
            try:
                if not value.isascii():
                    value.decode()  # as above
                found = bare(value)
                if found.mark is not UNSET:
                    found = decode(value)
                for fits, read_rule in rules:
                    if fits is None or fits(found):
                        return read_rule(found) or read_closely(value, record)
            except NOT_PLAIN:
                return read_closely(value, record)
            return NO_RULE

        return read

    def read_decoded(self, value: object, record: Record) -> QuickReading | None:
        """Read a record whose value was decoded already; return None where this gives up."""
        try:
            found = msgspec.convert(value, self._decoder.type)
            return self._first(self._rules, found, record)
        except NOT_PLAIN:
            return None

    def read_nothing(self, record: Record) -> QuickReading | None:
        """Read a record that has no value; return None where this gives up."""
        try:
            return self._first(self._rules_without_value, None, record)
        except NOT_PLAIN:
            return None

    def _first(self, rules: list[_Quick], found: object, record: Record) -> QuickReading | None:
        stand = Stand(found, record, self._decode_key)
        for stands, fits, read in rules:
            subject = stand if stands else found
            if fits is None or fits(subject):
                return read(subject)
        return NO_RULE


def _quick(rule: Rule, nodes: list[Node], key: Node) -> _Quick:
    sources = {path.source for path, _ in paths_of(rule)}
    stands = bool(rule.each) or rule.reads_no_value or sources - {Source.VALUE} != set()

    def getter(path: Path, *, is_needed: bool = False) -> Getter:
        return getter_of(path, nodes[path.level], key, stands=stands, is_needed=is_needed)

    ignored = Ignored(rule.ignored)
    changes = [change_reader(change, getter, ignored) for change in rule.changes]
    if rule.each:
        read = walker([getter(path) for path in rule.each], changes, ignored)
    else:
        read = changes[0] if len(changes) == 1 else in_order(changes, ignored)
    return _Quick(stands, _fits([each for each in rule.when if not _is_sure(each)], getter), read)


def _is_sure(condition: Condition) -> bool:
    """Whether it is already clear: that a record has a value, or none."""
    return is_whole_value(condition.path) and condition.words is None


def _fits(conditions: list[Condition], getter: GetterOf) -> _Fits | None:
    """Return what says whether a record fits; None if all do."""
    words = [(getter(each.path), each.words) for each in conditions if each.words is not None]
    probes = [(getter(each.path), each.exists) for each in conditions if each.words is None]

    if len(words) == 1 and not probes:
        ((get_word, only),) = words

        def fits_word(subject: Any) -> bool:  # noqa: ANN401 - what msgspec made
            found = get_word(subject)
            return found in only or (type(found) is not str and word_in(found, only) in only)

        return fits_word

    def fits(subject: Any) -> bool:  # noqa: ANN401 - what msgspec made
        for get, wanted in words:
            found = get(subject)
            if found not in wanted and (type(found) is str or word_in(found, wanted) not in wanted):
                return False
        for get, exists in probes:  # noqa: SIM110 - a generator costs a call
            if _is_there(get(subject)) is not exists:
                return False
        return True

    return fits if conditions else None


def _is_there(found: object) -> bool:
    """Whether something was found that isn't null."""
    if isinstance(found, msgspec.Raw):
        return bytes(found) != b"null"
    return found is not UNSET and found is not None
