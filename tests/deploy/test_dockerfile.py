"""The Dockerfile as it is written."""

import re
import tomllib

from consumer import settings
from consumer.__main__ import COMMANDS
from tests.deploy.image import DOCKERFILE, base_name
from tests.deploy.tools import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_base_is_one_version_of_python_and_of_debian() -> None:
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base_name())
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]


def test_the_guide_says_how_to_look_up_this_base_s_digest() -> None:
    guide = (ROOT / "deploy/README.md").read_text()
    assert f"imagetools inspect {base_name()}`" in guide
    assert f"BASE={base_name()}@sha256:" in guide


def test_the_version_on_the_label_is_the_project_s() -> None:
    assert f"ARG VERSION={VERSION}\n" in DOCKERFILE


def test_nothing_goes_to_the_build_but_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    wanted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert "*" in ignored
    assert wanted == {name for names in copies for name in names.split()}


def test_what_the_clouds_take_is_asked_for_by_the_build() -> None:
    """The image is small without: EXTRAS is empty unless somebody says."""
    assert re.findall(r'^ARG EXTRAS="(.*)"$', DOCKERFILE, re.MULTILINE) == [""]
    assert '--requirement "requirements-${extra}.txt"' in DOCKERFILE
    assert {"aws", "gcp"} == {
        each.stem.removeprefix("requirements-")
        for each in (ROOT / "deploy").glob("requirements-*.txt")
    } - {"build"}


def test_the_image_exposes_the_default_port() -> None:
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(port) == settings.Settings.model_fields["http_port"].default


def test_what_every_command_and_format_imports_is_compiled_in_the_image() -> None:
    """It is done once: the file system that the image runs on is read-only."""
    (compiled,) = re.findall(r'^RUN \[.*"import (.+)"\]$', DOCKERFILE, re.MULTILINE)
    others = {"run": "consumer.daemon", "completion": "consumer.commands.completion.scripts"}
    commands = {others.get(name, f"consumer.commands.{name}.{name}") for name in COMMANDS}
    formats = {"consumer.core.schemas.avro", "consumer.core.schemas.protobuf"}
    assert commands | formats <= set(compiled.split(", "))


def test_i7_threads_keep_no_arenas_of_their_own() -> None:
    assert re.search(r"^ENV (?:.+\\\n)* *MALLOC_ARENA_MAX=2\b", DOCKERFILE, re.MULTILINE)
