"""The words of a .proto file: names, numbers, texts and marks, without its comments."""

import re

from consumer.core.schemas.compiled import UnusableError

_WORD = re.compile(
    r"""
    (?P<skipped>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<word>
      [A-Za-z_]\w*(?:\.[A-Za-z_]\w*)* | (?:\.[A-Za-z_]\w*)+   # a name, perhaps with dots
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    | (?:\d[\w.]*(?:(?<=[eE])[-+]\d+)?|\.\d\w*)
    | [\[\]{}()<>=;,:+\-/.]
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSED_BY = {"{": "}", "[": "]", "(": ")", "<": ">"}


class Words:
    """The words, one after the other; the last one, at the end of the text, is empty.

    Raises UnusableError for what is no word, or isn't the one that must come.
    """

    def __init__(self, text: str) -> None:
        self._words = _words(text.removeprefix("\ufeff"))
        self._at = 0

    @property
    def next(self) -> str:
        """Return the word that comes next, and leave it there."""
        return self._words[self._at]

    def take(self, *wanted: str) -> str:
        """Return the word that comes next, which must be one of those wanted, if any are."""
        word = self.next
        if not word or (wanted and word not in wanted):
            what = " or ".join(wanted) or "something"
            raise UnusableError(f"no .proto file: {what} must come before {word or 'its end'!r}")
        self._at += 1
        return word

    def takes(self, wanted: str) -> bool:
        """Take the word that comes next if it is this one; return whether it was."""
        is_it = self.next == wanted
        self._at += is_it
        return is_it

    def number(self) -> int:
        """Return the integer that comes next."""
        word = self.take()
        sign = word if word in {"-", "+"} else ""
        digits = self.take() if sign else word
        try:
            return int(sign + digits, 8 if re.fullmatch("0[0-7]+", digits) else 0)
        except ValueError:
            raise UnusableError(f"no .proto file: {digits!r} is no number") from None

    def text(self) -> str:
        """Return the text between quotes that comes next, which may be in several parts."""
        word = self.take()
        if word[0] not in "\"'":
            raise UnusableError(f"no .proto file: {word!r} is no text")
        parts = [word]
        while self.next[:1] in {'"', "'"}:
            parts.append(self.take())
        return "".join(part[1:-1] for part in parts)

    def sets(self, feature: str, value: str) -> bool:
        """Return whether a feature of editions has this value somewhere behind."""
        rest = self._words[self._at :]
        return any(
            name.rpartition(".")[2] == feature and found == value
            for name, found in zip(rest, rest[2:], strict=False)
        )

    def skip_statement(self) -> None:
        """Pass over all up to a semicolon, or to the end of what is between braces."""
        while (word := self.take()) != ";":
            if word in _CLOSED_BY:
                self.skip_block(word)
                if word == "{" and self.next != ";":
                    return

    def skip_block(self, opened: str) -> None:
        """Pass over all up to what closes ``opened``, which was taken."""
        awaited = [_CLOSED_BY[opened]]
        while awaited:
            word = self.take()
            if word in _CLOSED_BY and word != "<":  # of an option's value they may stand alone
                awaited.append(_CLOSED_BY[word])
            elif word == awaited[-1]:
                awaited.pop()


def _words(text: str) -> list[str]:
    words = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise UnusableError(f"no .proto file: nobody knows what {text[at]!r} means")
        if found["word"]:
            words.append(found["word"])
        at = found.end()
    return [*words, ""]
