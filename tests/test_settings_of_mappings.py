"""How a mapping and its table of segments are named, found, and refused when they are wrong."""

import json
import re
from pathlib import Path

import pytest

from consumer import presets
from consumer.core.events import Event
from consumer.core.mapping.reading import Reading
from consumer.settings import Settings
from tests.support.mapped import NOTHING_BESIDE
from tests.test_settings import loaded, problem, problems

RULE = """
[[rule]]
segment_id = 5
action = "add"
id = { path = "user" }
"""
BY_TABLE = RULE.replace("= 5", '= { path = "audience", map = "segments" }')


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(settings: Settings, value: object) -> Reading:
    mapping = settings.mapping
    assert mapping is not None
    return mapping.read(json.dumps(value).encode(), NOTHING_BESIDE)


def named(lines: tuple[str, ...], variable: str) -> list[str]:
    """Return what is said of a variable, without what it got and accepts."""
    found = [
        re.fullmatch(rf"{variable}: got '[^']*': (.*?)(; accepts .*)?", each) for each in lines
    ]
    assert all(found), lines
    return [each[1] for each in found if each]


def test_without_a_mapping_records_are_events() -> None:
    assert loaded().mapping is None
    assert loaded(EVENT_MAPPING="").mapping is None


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_is_known_by_its_name(name: str) -> None:
    for text in (name, name.upper(), f" {name} "):
        settings = loaded(EVENT_MAPPING=text, EVENT_SEGMENTS='{"vip": 56}')
        assert settings.mapping is not None
        assert settings.masked()["event_mapping"] == name


def test_a_preset_goes_before_a_file_of_its_name(folder: Path) -> None:
    (folder / "maxwell").write_text("not TOML")
    assert loaded(EVENT_MAPPING="maxwell", EVENT_SEGMENTS='{"vip": 56}').mapping is not None


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_mapping_is_a_file_of_toml_or_json(folder: Path, mark: str) -> None:
    rule = {"segment_id": 5, "action": "add", "id": {"path": "user"}}
    (folder / "mine.toml").write_text(mark + RULE)
    (folder / "mine").write_text(mark + json.dumps({"rule": [rule]}))
    for name in ("mine.toml", "mine", str(folder / "mine")):
        settings = loaded(EVENT_MAPPING=name)
        assert read(settings, {"user": "a"}) == Event(5, "add", "a", id_type="id")
        assert settings.masked()["event_mapping"] == name


def test_the_id_type_of_the_settings_is_the_mappings_own(folder: Path) -> None:
    (folder / "mine.toml").write_text(RULE)
    settings = loaded(EVENT_MAPPING="mine.toml", EVENT_ID_TYPE="email")
    assert read(settings, {"user": "A@b"}) == Event(5, "add", "a@b", id_type="email")


def test_a_mapping_that_is_not_there_is_said_with_what_is_accepted() -> None:
    accepted = f"a preset's name ({', '.join(presets.NAMES)}), or the path of a TOML or JSON file"
    assert problem(EVENT_MAPPING="debizium") == (
        f"EVENT_MAPPING: got 'debizium': is no file; accepts {accepted}"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a =", "not TOML: "),
        (b'{"rule": ', "not JSON: "),
        (b"\xff\xfe", "is no UTF-8 text"),
        (b"", "rule: missing"),
    ],
)
def test_a_file_that_is_no_mapping_says_why(folder: Path, content: bytes, says: str) -> None:
    (folder / "mine.toml").write_bytes(content)
    (what,) = named(problems(EVENT_MAPPING="mine.toml"), "EVENT_MAPPING")
    assert what.startswith(says)
    (folder / "table").write_bytes(content or b"a = 0")
    (what,) = named(problems(EVENT_SEGMENTS="table"), "EVENT_SEGMENTS")
    assert what.startswith(says if content else "a: a number")


def test_what_cannot_be_read_says_why(folder: Path) -> None:
    for variable in ("EVENT_MAPPING", "EVENT_SEGMENTS"):
        for name, says in [
            (str(folder), "can't be read (IsADirectoryError)"),
            ("x" * 5000, "can't be read (OSError)"),
        ]:
            assert says in problem(**{variable: name})


def test_every_problem_of_a_mapping_is_said_with_its_place(folder: Path) -> None:
    (folder / "mine.toml").write_text(
        """
        [[rule]]
        segment = 5
        action = "enter"
        id = { path = "a..b" }

        [[rule]]
        each = 7
        [[rule.change]]
        segment_id = 0
        action = "add"
        """
    )
    port, *lines = problems(EVENT_MAPPING="mine.toml", HTTP_PORT="x")
    assert port.startswith("HTTP_PORT: ")
    told = named(tuple(lines), "EVENT_MAPPING")
    assert [each.partition(": ")[0] for each in told] == [
        "rule 1, segment",
        "rule 1, segment_id",
        "rule 1, action",
        "rule 1, id.path",
        "rule 2, each",
        "rule 2, change 1, segment_id",
        "rule 2, change 1, id",
        "rule 2",
    ]


# -- the table of segments ----------------------------------------------------------------------


def test_a_table_of_segments_is_json_or_a_file(folder: Path) -> None:
    (folder / "mine.toml").write_text(BY_TABLE)
    (folder / "segments.toml").write_text("vip = 56\nchurned = '57'\n")
    (folder / "segments.json").write_text('{"vip": 56, "churned": "57"}')
    for text, shown in [
        ('{"vip": 56, "churned": "57"}', "2 segments"),
        ('{\n  "vip": 56,\n\t"churned": 57\n}\n', "2 segments"),
        ("segments.toml", "segments.toml"),
        ("segments.json", "segments.json"),
    ]:
        settings = loaded(EVENT_MAPPING="mine.toml", EVENT_SEGMENTS=text)
        assert settings.masked()["event_segments"] == shown
        found = read(settings, {"audience": "churned", "user": "a"})
        assert found == Event(57, "add", "a", id_type="id")
        assert settings.warnings == ()


def test_a_mapping_that_needs_a_table_says_so(folder: Path) -> None:
    (folder / "mine.toml").write_text(BY_TABLE)
    assert problem(EVENT_MAPPING="mine.toml") == (
        "EVENT_MAPPING: got 'mine.toml': rule 1, segment_id.map:"
        ' EVENT_SEGMENTS, which "segments" means, is not set'
    )


def test_every_problem_of_a_table_is_said() -> None:
    lines = problems(EVENT_SEGMENTS='{"a": 0, "b": 5, "c": {}, "d": "x", "e": true}')
    told = named(lines, "EVENT_SEGMENTS")
    assert [each.partition(": ")[0] for each in told] == ["a", "c", "d", "e"]
    assert "an empty table" in problem(EVENT_SEGMENTS="{}")


def test_a_wrong_table_or_id_type_hides_nothing_of_the_mapping(folder: Path) -> None:
    """And makes nothing of it wrong that isn't."""
    (folder / "mine.toml").write_text(BY_TABLE.replace('"add"', '"enter"'))
    for variables in ({"EVENT_SEGMENTS": '{"a": 0}'}, {"EVENT_ID_TYPE": "uuid"}):
        lines = problems(
            **{"EVENT_MAPPING": "mine.toml", "EVENT_SEGMENTS": '{"a": 5}', **variables}
        )
        assert [line.partition(":")[0] for line in lines] == [*variables, "EVENT_MAPPING"]
        assert "rule 1, action" in lines[1]


def test_a_table_that_no_mapping_reads_gets_a_warning() -> None:
    (warning,) = loaded(EVENT_SEGMENTS='{"vip": 56}').warnings
    assert warning.startswith("EVENT_SEGMENTS counts with EVENT_MAPPING only")


def test_names_that_look_like_ours_get_a_warning() -> None:
    (warning,) = loaded(EVENT_MAPPINGS="debezium").warnings
    assert "EVENT_MAPPING" in warning
