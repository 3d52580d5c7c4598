"""The presets: each reads samples of what its vendor documents, as its file says."""

import json
from pathlib import Path
from typing import Any

import pytest

from consumer import presets
from consumer.core.mapping.reading import Ignored
from consumer.core.well_known import looks_like
from tests.support.mapped import Beside, mapping, problems_of, said

SAMPLES = Path(__file__).parent / "presets"
OF_A_FILE = {name: json.loads((SAMPLES / f"{name}.json").read_text()) for name in presets.NAMES}
RECORDS = [
    pytest.param(name, of_a_file["segments"], record, id=f"{name}: {record['what']}")
    for name, of_a_file in OF_A_FILE.items()
    for record in of_a_file["records"]
]


def test_there_are_these_presets() -> None:
    assert (
        *("adobe-segmentmembership", "amplitude", "cloudevents", "debezium", "maxwell"),
        *("mparticle", "rudderstack", "segment-engage"),
    ) == presets.NAMES


def test_every_file_of_samples_is_of_a_preset() -> None:
    assert {path.stem for path in SAMPLES.iterdir()} == set(presets.NAMES)


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_names_the_page_that_it_was_written_after(name: str) -> None:
    head = presets.text_of(name).partition("[[rule]]")[0]
    assert "After https://" in head


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_that_needs_a_table_of_segments_says_so(name: str) -> None:
    needs_one = OF_A_FILE[name]["segments"] is not None
    problems = problems_of(presets.text_of(name))
    assert all("EVENT_SEGMENTS" in problem for problem in problems)
    assert bool(problems) is needs_one
    assert ("EVENT_SEGMENTS" in presets.text_of(name)) is needs_one


@pytest.mark.parametrize(("name", "segments", "sample"), RECORDS)
def test_a_preset_reads_what_is_documented(
    name: str, segments: dict[str, int] | None, sample: dict[str, Any]
) -> None:
    beside = beside_of(sample)
    by = mapping(presets.text_of(name), segments)
    value = None if sample["value"] is None else json.dumps(sample["value"]).encode()
    assert plain(said(by.read(value, beside))) == sample["says"]


@pytest.mark.parametrize(("name", "segments", "sample"), RECORDS)
def test_a_preset_reads_the_same_of_what_was_decoded_already(
    name: str, segments: dict[str, int] | None, sample: dict[str, Any]
) -> None:
    """Connect's envelope is of its JSON converter alone."""
    value = sample["value"]
    if value and value.keys() == {"schema", "payload"}:
        value = value["payload"]
    found = mapping(presets.text_of(name), segments).read_decoded(value, beside_of(sample))
    assert plain(said(found)) == sample["says"]


@pytest.mark.parametrize(("name", "segments", "sample"), RECORDS)
def test_what_a_preset_reads_looks_like_it(
    name: str, segments: dict[str, int] | None, sample: dict[str, Any]
) -> None:
    """But for the binary mode of CloudEvents, which is an event already."""
    hint = looks_like(json.dumps(sample["value"]).encode())
    by = mapping(presets.text_of(name), segments)
    value = None if sample["value"] is None else json.dumps(sample["value"]).encode()
    is_read = not isinstance(by.read(value, beside_of(sample)), Ignored)
    if is_read and "ce_specversion" not in sample.get("headers", {}):
        assert hint is not None
        assert hint.endswith(f": EVENT_MAPPING={name}")


def beside_of(sample: dict[str, Any]) -> Beside:
    headers = [(name, text.encode()) for name, text in sample.get("headers", {}).items()]
    key = sample["key"].encode() if "key" in sample else None
    return Beside(sample.get("topic", "members"), key, headers)


def plain(changes: Any) -> Any:  # noqa: ANN401 - see `said`
    """Return it as JSON has it."""
    return json.loads(json.dumps(changes))
