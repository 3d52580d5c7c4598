"""What is wrong with a mapping, and where."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a mapping: rules and changes are counted from 1; keys are joined by dots."""

    rule: int | None = None
    change: int | None = None
    key: str = ""

    def at(self, key: str) -> "Place":
        """Return the place of a key below this one."""
        return replace(self, key=f"{self.key}.{key}" if self.key else key)

    def __str__(self) -> str:
        rule = f"rule {self.rule}" if self.rule is not None else ""
        change = f"change {self.change}" if self.change is not None else ""
        return ", ".join(part for part in (rule, change, self.key) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a mapping, or with a table of segments."""

    place: Place
    what: str

    def __str__(self) -> str:
        place = str(self.place)
        return f"{place}: {self.what}" if place else self.what


class Problems:
    """Gathers problems, so that all are said at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, place: Place, what: str) -> None:
        """Take note of one."""
        self.found.append(Problem(place, what))

    def unknown_keys(self, given: dict[str, object], known: tuple[str, ...], place: Place) -> None:
        """Take note of each key that isn't one of those known."""
        for key in given:
            if key not in known:
                self.add(place.at(key), f"not known: {', '.join(known)} are")
