"""Where the careful plan stands in a record: at its top, or at an entry of a walk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from consumer.core.mapping.beside import BinaryError, Record, framing_of, header_text, key_text
from consumer.core.mapping.connect import payload_of
from consumer.core.mapping.paths import Member, Path, Source
from consumer.core.mapping.view import View
from consumer.core.unreadable import has_json_inside


class UnreadableError(Exception):
    """What a path leads to can't be read; the message says why."""


class WrongError(Exception):
    """Part of a record can't be read; the message says which and why, without an id."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A record, the entries that were walked to, from its value on, and their keys.

    No entries: the record has no value.
    """

    record: Record
    entries: tuple[View, ...]
    keys: tuple[str | int, ...] = ()

    def entered(self, key: str | int, entry: View) -> "Scope":
        """Return the scope of an entry inside of this one."""
        return replace(self, entries=(*self.entries, entry), keys=(*self.keys, key))

    def found(self, path: Path) -> Iterator[View | None]:
        """Yield what is at a path; None for each of its ways that leads nowhere."""
        match path.source:
            case Source.VALUE if self.entries:
                yield from self.entries[path.level].follow(path.steps)
            case Source.VALUE:
                yield None
            case Source.ENTRY_KEY:
                yield View.of(self.keys[path.level - 1])
            case Source.TOPIC:
                yield View.of(self.record.topic())
            case _:
                yield from self._beside(path)

    def _beside(self, path: Path) -> Iterator[View | None]:
        try:
            if path.source is Source.HEADER:
                text = header_text(self.record, path.header)
            elif path.steps:
                yield self._in_the_key(path)
                return
            else:
                text = key_text(self.record)
        except UnicodeDecodeError:
            raise UnreadableError("it is no UTF-8 text") from None
        except BinaryError as error:
            raise UnreadableError(str(error)) from None
        yield None if text is None else View.of(text)

    def _in_the_key(self, path: Path) -> View | None:
        key = self.record.key()
        if key is None:
            return None
        try:
            key.decode()
            whole = msgspec.json.decode(key, type=Raw)
        except (msgspec.MsgspecError, RecursionError):
            raise UnreadableError(framing_of(key) or "the key is no JSON") from None
        return (payload_of(whole) or View(whole)).at(path.steps)

    def one(self, path: Path) -> View | None:
        """Return what is at a path without stars; None if it leads nowhere."""
        return next(self.found(path), None)

    def has(self, path: Path) -> bool:
        """Whether something is there that isn't null."""
        found = self.one(path)
        return found is not None and not found.is_null

    def what_is_at(self, path: Path, found: View | None) -> str:
        """Say what stands at a path, but for what it says itself."""
        if found is not None:
            return f'"{path}" is {found.a_kind}'
        return f'nothing is at "{path}"{self.why_nothing_is_at(path)}'

    def why_nothing_is_at(self, path: Path) -> str:
        """Say what is in the way to where nothing is, if that helps; empty otherwise.

        A member's name may be a person's id: of those that are there only one is told that is
        spelled nearly as the path has it.
        """
        if path.source is not Source.VALUE or not self.entries:
            return ""
        view, before = self.entries[path.level], ""
        for step in path.steps:
            inner = view.step(step)
            if inner is not None:
                view, before = inner, step.name if isinstance(step, Member) else ""
                continue
            if view.kind in {"string", "number", "boolean"} and before:
                return f': "{before}" is {_what_it_holds(view)}'
            if isinstance(step, Member):
                like = [name for name in view.members() if _bare(name) == _bare(step.name)]
                return f': "{like[0]}" is there' if like else ""
            break
        return ""


def _what_it_holds(view: View) -> str:
    is_json = view.kind == "string" and has_json_inside(bytes(view.written))
    return "a JSON text inside a JSON string" if is_json else view.a_kind


def _bare(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
