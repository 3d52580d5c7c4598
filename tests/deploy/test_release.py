"""A release: what one command builds, is of one version and says what is in it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.chart import parsed
from tests.deploy.image import VERSION, Image
from tests.deploy.test_requirements import pins
from tests.deploy.tools import IMAGE, ROOT, run, tool

pytestmark = [pytest.mark.long("the deployment"), pytest.mark.xdist_group("the image")]
NEEDS = IMAGE

RELEASE = "deploy/release"
PLACES = {"pyproject.toml", "consumer/__init__.py", "Dockerfile", "deploy/chart/Chart.yaml"}
"""Where the version stands, beside the guide."""

WHEEL = f"segment_consumer-{VERSION}-py3-none-any.whl"
SDIST = f"segment_consumer-{VERSION}.tar.gz"
CHART = f"segment-consumer-{VERSION}.tgz"
BILL = f"segment-consumer-{VERSION}.cdx.json"

STUB = """#!/bin/sh
# Notes what it is asked for, and does as little of it as the release goes on with.
echo "${0##*/} $1 $2" >>"$CALLS"
case $1 in
    package) : >"$4/segment-consumer-$RELEASED.tgz" ;;
    build) echo "$*" >"$CALLS.build" ;;
    run) cat >"$CALLS.locks" && echo '{}' ;;
esac
"""


def member(archive: Path, name: str) -> str:
    """Return a file of a wheel or of a tar archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name).decode()
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read().decode()


def bill(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((image.dist / BILL).read_text())
    return found


def test_it_builds_wheel_sdist_chart_and_the_image_s_bill_of_one_version(image: Image) -> None:
    assert {each.name for each in image.dist.iterdir()} == {WHEEL, SDIST, CHART, BILL, "SHA256SUMS"}
    wheel = member(image.dist / WHEEL, f"segment_consumer-{VERSION}.dist-info/METADATA")
    sdist = member(image.dist / SDIST, f"segment_consumer-{VERSION}/PKG-INFO")
    assert f"\nVersion: {VERSION}\n" in wheel
    assert f"\nVersion: {VERSION}\n" in sdist
    chart = parsed(member(image.dist / CHART, "segment-consumer/Chart.yaml"))
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
    assert bill(image)["metadata"]["component"]["version"] == VERSION
    labels = json.loads(image.inspect("{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.version"] == VERSION
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])


def test_the_sums_are_of_all_that_it_built(image: Image) -> None:
    lines = (image.dist / "SHA256SUMS").read_text().splitlines()
    assert {line.split()[1]: line.split()[0] for line in lines} == {
        each.name: hashlib.sha256(each.read_bytes()).hexdigest()
        for each in image.dist.iterdir()
        if each.name != "SHA256SUMS"
    }


def test_the_bill_is_cyclonedx(image: Image) -> None:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - not everybody has it
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    text = (image.dist / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = bill(image)["components"]
    references = [each["bom-ref"] for each in components if "bom-ref" in each]
    assert len(references) == len(set(references))
    for each in bill(image)["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= set(references)


def test_the_bill_has_every_package_of_the_lock_with_its_hashes(image: Image) -> None:
    found = {
        each["name"]: each
        for each in bill(image)["components"]
        if each.get("purl", "").startswith("pkg:pypi/")
    }
    locked = pins("requirements.txt")
    assert found.keys() == {*locked, "segment-consumer"}
    for name, pin in locked.items():
        assert found[name]["version"] == pin.version
        (reference,) = found[name]["externalReferences"]
        assert {f"    --hash=sha256:{each['content']}" for each in reference["hashes"]} == {
            each.removesuffix(" \\") for each in pin.hashes
        }


def test_the_bill_has_what_the_base_brings(image: Image) -> None:
    purls = {each.get("purl", "").partition("?")[0] for each in bill(image)["components"]}
    said = image.run(r"--showformat=${Package}\n", "--show", entrypoint="dpkg-query").split()
    debian = {purl.split("/")[2].partition("@")[0] for purl in purls if "pkg:deb/" in purl}
    assert {name.replace("+", "%2B") for name in said} == debian
    assert {purl.partition("@")[0] for purl in purls} >= {
        *("pkg:generic/python", "pkg:github/confluentinc/librdkafka"),
    }


# What it refuses, and what it writes


def test_another_version_than_the_one_that_stands_everywhere_is_refused() -> None:
    result = run(RELEASE, "99.0.0")
    assert result.returncode == 1
    told = {line.partition(" has ")[0] for line in result.stderr.splitlines() if " has " in line}
    assert told == {*PLACES, "deploy/README.md"}


@pytest.mark.parametrize("words", [(), ("1.0",), ("1.0.0rc1",), ("1.0.0", "--pull")])
def test_what_it_does_not_know_is_answered_with_what_it_does(words: tuple[str, ...]) -> None:
    result = run(RELEASE, *words)
    assert result.returncode == 2
    assert "deploy/release 0.2.0" in result.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy what git knows, and commit it there."""
    folder = tmp_path / "copy"
    for name in run("git", "ls-files").stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all of it")
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def released(
    folder: Path, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [folder / RELEASE, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_it_writes_the_version_wherever_it_stands(copy: Path) -> None:
    assert released(copy, "--set", "99.0.0").returncode == 0
    left = {
        str(path.relative_to(copy))
        for path in copy.rglob("*")
        if path.is_file() and path.suffix not in {".txt", ".json"} and ".git" not in path.parts
        if re.search(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])", path.read_text(errors="replace"))
    }
    assert not left
    for name in PLACES:
        assert "99.0.0" in (copy / name).read_text()


def test_what_is_not_committed_is_not_pushed_nor_without_an_address(copy: Path) -> None:
    assert "where the image is pushed to" in released(copy, VERSION, "--push").stderr
    (copy / "README.md").write_text("changed")
    result = released(copy, VERSION, "--push")
    assert result.returncode != 0
    assert "not pushed" in result.stderr


def test_what_it_needs_and_does_not_find_is_said_before_anything_is_built(
    copy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("bash", "dirname", "git", "grep", "paste", "sed", "sort"):
        (path / name).symlink_to(tool(name))
    result = released(copy, VERSION, PATH=str(path))
    assert result.returncode == 1
    assert result.stderr == "missing here: python3 helm docker\n"
    assert not (copy / "dist").exists()


@pytest.fixture
def stubs(tmp_path: Path) -> dict[str, str]:
    """Put something in place of Helm and the container tool; return the variables with it."""
    for name in ("helm", "tool"):
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    return {
        "CONTAINER_TOOL": str(tmp_path / "tool"),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "RELEASED": VERSION,
        "AUDIT": "no",
    }


def test_it_pushes_when_everything_is_built_and_one_commit_makes_one_wheel_and_one_sdist(
    copy: Path, stubs: dict[str, str], tmp_path: Path
) -> None:
    addresses = {
        "IMAGE": "images.example/segment-consumer",
        "CHARTS": "oci://images.example/charts",
    }
    result = released(copy, VERSION, "--push", **addresses, **stubs)
    assert result.returncode == 0, result.stderr
    calls = [line.split() for line in Path(stubs["CALLS"]).read_text().splitlines()]
    assert calls == [
        ["helm", "package", "deploy/chart"],
        ["tool", "build", "--tag"],
        ["tool", "run", "--rm"],
        ["tool", "push", f"images.example/segment-consumer:{VERSION}"],
        ["helm", "push", f"dist/{CHART}"],
    ]
    again = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", copy.name, again.name)
    assert released(again, VERSION, **stubs).returncode == 0
    for name in (WHEEL, SDIST):
        assert (copy / "dist" / name).read_bytes() == (again / "dist" / name).read_bytes()


def test_an_image_with_extras_has_their_packages_in_its_bill(
    copy: Path, stubs: dict[str, str]
) -> None:
    result = released(copy, VERSION, EXTRAS="aws gcp", **stubs)
    assert result.returncode == 0, result.stderr
    assert "--build-arg EXTRAS=aws gcp " in Path(f"{stubs['CALLS']}.build").read_text()
    asked = Path(f"{stubs['CALLS']}.locks").read_text()
    assert asked == "".join(
        (ROOT / "deploy" / name).read_text()
        for name in ("requirements.txt", "requirements-aws.txt", "requirements-gcp.txt")
    )
    result = released(copy, VERSION, EXTRAS="azure", **stubs)
    assert result.returncode == 1
    assert "EXTRAS has azure" in result.stderr


def test_every_locked_package_is_asked_about() -> None:
    script = (ROOT / RELEASE).read_text()
    (asked,) = re.findall(r"for file in (\S+); do\n.*pip-audit", script)
    assert sorted(ROOT.glob(asked)) == sorted(ROOT.glob("deploy/requirements*.txt"))
