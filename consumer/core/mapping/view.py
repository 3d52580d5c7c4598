"""A view of a JSON value: looked at step by step, and kept as it was written."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from consumer.core.mapping.paths import Every, Index, Member, Step, Where
from consumer.core.mapping.words import LARGEST_INTEGRAL

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_string = msgspec.json.Decoder(str).decode
_KINDS = {
    b'"': "string",
    b"{": "object",
    b"[": "list",
    b"t": "boolean",
    b"f": "boolean",
    b"n": "null",
}


class View:
    """One JSON value, which msgspec has gone through: so nothing that is asked raises."""

    __slots__ = ("_items", "_members", "kind", "written")

    def __init__(self, written: Raw) -> None:
        self.written = written
        self.kind = _KINDS.get(bytes(memoryview(written)[:1]), "number")
        self._members: dict[str, Raw | View] | None = None
        self._items: list[View] | None = None

    @classmethod
    def of(cls, known: str | int) -> "View":
        """Return the view of a text or number that isn't from a JSON value."""
        return cls(Raw(msgspec.json.encode(known)))

    @property
    def is_null(self) -> bool:
        """Whether it is null, which is taken for nothing."""
        return self.kind == "null"

    @property
    def is_blank(self) -> bool:
        """Whether it is null or an empty text."""
        return self.is_null or bytes(self.written) == b'""'

    @property
    def a_kind(self) -> str:
        """Name the kind with its article."""
        kind = self.kind
        return kind if kind == "null" else f"an {kind}" if kind == "object" else f"a {kind}"

    @property
    def is_integer(self) -> bool:
        """Whether it is a number that is written as an integer."""
        return bytes(self.written).removeprefix(b"-").isdigit()

    def member(self, name: str) -> "View | None":
        """Return a member of an object, if this is one and has it."""
        members = self._known_members()
        found = members.get(name)
        if isinstance(found, Raw):
            found = members[name] = View(found)
        return found

    def members(self) -> "dict[str, View]":
        """Return an object's members, none of anything else."""
        return {name: found for name in self._known_members() if (found := self.member(name))}

    def items(self) -> "list[View]":
        """Return a list's items, none of anything else."""
        if self._items is None:
            is_list = self.kind == "list"
            self._items = [View(each) for each in _items(self.written)] if is_list else []
        return self._items

    def _known_members(self) -> "dict[str, Raw | View]":
        if self._members is None:
            self._members = {**_members(self.written)} if self.kind == "object" else {}
        return self._members

    def word(self) -> str | None:
        """Return the text that it is, a boolean or a number as it is spelled; None for all else."""
        if self.kind == "string":
            return _string(self.written)
        is_scalar = self.kind in {"boolean", "number"}
        return bytes(self.written).decode() if is_scalar else None

    def words(self) -> tuple[str, ...]:
        """Return all words that conditions and tables may know it by, the first one first.

        An integral number is known as the integer too, however it is spelled.
        """
        word = self.word()
        if word is None:
            return ()
        return _number_words(word) if self.kind == "number" else (word,)

    def at(self, steps: tuple[Step, ...]) -> "View | None":
        """Return the one thing that steps lead to; None if it isn't there, or may be several."""
        view: View | None = self
        for step in steps:
            if view is None:
                break
            view = view.step(step)
        return view

    def follow(self, steps: tuple[Step, ...]) -> Iterator["View | None"]:
        """Yield what the steps lead to; None for what isn't there, once for each way."""
        if Every() not in steps:
            yield self.at(steps)
            return
        walk = steps.index(Every())
        container = self.at(steps[:walk])
        if container is None:
            yield None
            return
        for each in container.items() or container.members().values():
            yield from each.follow(steps[walk + 1 :])

    def step(self, step: Step) -> "View | None":
        """Return the one thing that a step leads to, if it is one."""
        match step:
            case Member(name):
                return self.member(name)
            case Index(index):
                items = self.items()
                return items[index] if -len(items) <= index < len(items) else None
            case Where(wanted):
                return next((each for each in self.items() if each.says(wanted)), None)
        return None

    def says(self, wanted: tuple[tuple[str, str], ...]) -> bool:
        """Whether each of these members is there and is the word beside its name."""
        found = [(self.member(name), word) for name, word in wanted]
        return all(view is not None and word in view.words() for view, word in found)


def _number_words(spelled: str) -> tuple[str, ...]:
    if spelled.removeprefix("-").isdigit():
        return ("0" if spelled == "-0" else spelled,)
    number = float(spelled)
    is_exact = number.is_integer() and abs(number) < LARGEST_INTEGRAL
    return (str(int(number)), spelled) if is_exact else (spelled,)
