"""What is in a value that nobody means, or that nobody can see."""

_QUOTES = "\"'"
_BYTE_ORDER_MARK = "\ufeff"


def cleaned(text: str, *, secret: bool) -> str:
    """Return a value as it is meant.

    Editors of Windows put a byte order mark before it. A secret loses the newline at its end and
    nothing else; anything else the space around it, and quotes around it, which `docker --env-file`
    doesn't take off.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    if secret:
        return text.rstrip("\r\n")
    text = text.strip()
    return text[1:-1].strip() if is_quoted(text) else text


def is_quoted(text: str) -> bool:
    """Whether a value has quotes around it."""
    return len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES


def unseen(text: str, *, but: str = "") -> str | None:
    """Return what is wrong with a value that has in it what no person sees, ``but`` for some."""
    for each in text:
        if not each.isprintable() and each not in but:
            return f"has a character in it that can't be seen (U+{ord(each):04X})"
    return None


def is_utf8(text: str) -> bool:
    """Whether C and the wire can have it. Bytes that are not are lone surrogates in Python.

    confluent_kafka 2.16 makes a segmentation fault of such a property's name.
    """
    return "\0" not in text and text == text.encode(errors="ignore").decode()
