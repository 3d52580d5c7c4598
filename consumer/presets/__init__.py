"""The presets: mappings for records that are well known, each a file of the mapping language."""

from pathlib import Path

_FOLDER = Path(__file__).parent

NAMES = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def text_of(name: str) -> str:
    """Return a preset as it is written; ``name`` is one of NAMES."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
