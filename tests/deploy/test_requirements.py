"""The image's packages are those of pyproject.toml, pinned and hashed."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.tools import DEPLOY, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_EXTRAS = PROJECT["project"]["optional-dependencies"]
DECLARED = {
    "requirements.txt": [
        *PROJECT["project"]["dependencies"],
        *(_EXTRAS["avro"] + _EXTRAS["protobuf"]),  # the image reads every format
    ],
    "requirements-build.txt": PROJECT["build-system"]["requires"],
    "requirements-aws.txt": _EXTRAS["aws"],
    "requirements-gcp.txt": _EXTRAS["gcp"],
}
PROJECT_ITSELF = "segment-consumer (pyproject.toml)"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ;(?P<marker>[^\\]*))? \\")


class Pin:
    """One package of a file: its version, its hashes and who asks for it."""

    def __init__(self, block: str) -> None:
        head, *rest = block.splitlines()
        match = _PIN.fullmatch(head)
        assert match, f"is no pinned version with hashes: {head}"
        self.name = canonicalize_name(match["name"])
        self.version = match["version"]
        self.hashes = [line for line in rest if line.startswith("    --hash=sha256:")]
        comments = (line.strip().removeprefix("#").strip() for line in rest if "#" in line)
        self.asked_by = {
            comment.removeprefix("via ").strip()
            for comment in comments
            if comment != "via" and not comment.removeprefix("via ").startswith("-c ")
        } or {PROJECT_ITSELF}  # what is compiled from a pipe has no name there


def pins(file: str) -> dict[str, Pin]:
    """Return the packages of a file by name."""
    text = "\n".join(
        line for line in (DEPLOY / file).read_text().splitlines() if not line.startswith("#")
    )
    return {pin.name: pin for pin in map(Pin, re.split(r"\n(?=[A-Za-z])", text.strip()))}


@pytest.mark.parametrize("file", DECLARED)
def test_what_the_project_asks_for_is_pinned_within_its_bounds_and_nothing_else(file: str) -> None:
    declared = {canonicalize_name(Requirement(text).name): text for text in DECLARED[file]}
    direct = {name for name, pin in pins(file).items() if PROJECT_ITSELF in pin.asked_by}
    assert direct == set(declared), "run deploy/lock"
    for name, text in declared.items():
        version = pins(file)[name].version
        assert Requirement(text).specifier.contains(version), f"{text}: {version}; run deploy/lock"


@pytest.mark.parametrize("file", DECLARED)
def test_every_other_package_is_there_for_one_that_is(file: str) -> None:
    found = pins(file)
    for name, pin in found.items():
        assert pin.asked_by <= {*found, PROJECT_ITSELF}, name


@pytest.mark.parametrize("one", ["requirements-aws.txt", "requirements-gcp.txt"])
@pytest.mark.parametrize("other", ["requirements.txt", "requirements-aws.txt"])
def test_files_that_are_installed_together_agree(one: str, other: str) -> None:
    versions = {name: pin.version for name, pin in pins(other).items()}
    for name, pin in pins(one).items():
        assert versions.get(name, pin.version) == pin.version, name


@pytest.mark.parametrize("file", DECLARED)
def test_every_package_has_hashes(file: str) -> None:
    for name, pin in pins(file).items():
        assert pin.hashes, name


@pytest.mark.parametrize("file", DECLARED)
def test_no_address_of_an_index_is_in_the_file(file: str) -> None:
    text = (DEPLOY / file).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(i|f|-index|-extra|-find|-trusted)", text, re.MULTILINE)
