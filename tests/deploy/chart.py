"""The chart as Helm renders it, and its values as they are written."""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.deploy.tools import CHART, module, run, tool

Manifest = dict[str, Any]

MATRIX = tuple(sorted(path.stem.removesuffix("-values") for path in CHART.glob("ci/*-values.yaml")))
"""The sets of values that everything is tried with."""

KUBERNETES = "1.34.0"
NAMESPACE = "audiences"
RELEASE = "release"


class Value(NamedTuple):
    """A line of values.yaml: its path, its default as JSON, and the comment above it."""

    path: str
    default: str
    meaning: str


def parsed(text: str) -> Any:  # noqa: ANN401 - whatever the YAML is
    """Return what a YAML text says; a key that is there twice is an error."""
    return module("PyYAML").load(text, Loader=_strict_loader())


@functools.cache
def _strict_loader() -> type:
    yaml = module("PyYAML")

    class Strict(yaml.SafeLoader):  # type: ignore[name-defined,misc]  # not everybody has it
        def construct_mapping(self, node: Any, *, deep: bool = False) -> Any:  # noqa: ANN401
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = {key for key in keys if keys.count(key) > 1}
            assert not twice, f"{sorted(twice)} twice in {node.start_mark}"
            return super().construct_mapping(node, deep=deep)

    return Strict


def documents(text: str) -> list[Manifest]:
    """Return the manifests in a YAML stream."""
    parts = [f"{part}\n" for part in f"\n{text}".split("\n---\n")]  # a text may end with the line
    return [parsed(part) for part in parts if parsed(part)]


def template(
    values: str, *options: str, chart: Path = CHART, kubernetes: str = KUBERNETES
) -> tuple[int, str, str]:
    """Run ``helm template``; return its exit code and what it said.

    ``values`` is the name of a set of values, or the path of a file.
    """
    file = Path(values) if "/" in values else CHART / "ci" / f"{values}-values.yaml"
    result = run(
        *(tool("helm"), "template", RELEASE, chart, "--namespace", NAMESPACE),
        *("--kube-version", kubernetes, "--values", file),
        *options,
    )
    return result.returncode, result.stdout, result.stderr


@functools.cache
def rendered(values: str, *options: str) -> "Release":
    """Return what the chart makes of a set of values."""
    code, said, wrong = template(values, *options)
    assert code == 0, wrong
    return Release(documents(said))


class Release:
    """The manifests of one release."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self.manifests = manifests

    def all(self, kind: str) -> list[Manifest]:
        """Return the manifests of one kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        """Return the only manifest of a kind."""
        (found,) = self.all(kind)
        return found

    @property
    def workload(self) -> Manifest:
        """The Deployment or the StatefulSet."""
        (found,) = self.all("Deployment") + self.all("StatefulSet")
        return found

    @property
    def pod(self) -> Manifest:
        """The specification of a member's pod."""
        spec: Manifest = self.workload["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Manifest:
        """A member's container."""
        (found,) = [e for e in self.pod["containers"] if e["name"] == "segment-consumer"]
        return dict(found)

    @property
    def settings(self) -> Mapping[str, str]:
        """The ConfigMap that becomes the environment."""
        name = self.container["envFrom"][0]["configMapRef"]["name"]
        return self.config_map(name)

    def config_map(self, name: str) -> Mapping[str, str]:
        """Return what is in a ConfigMap of this release."""
        (found,) = [each for each in self.all("ConfigMap") if each["metadata"]["name"] == name]
        data: dict[str, str] = found["data"]
        return data

    @property
    def variables(self) -> set[str]:
        """The names of all that the daemon gets: as settings, as variables, as files."""
        files = {name for secret in self.all("Secret") for name in secret["stringData"]}
        named = {path for path in self.projected if path.isupper()}
        env = {each["name"] for each in self.container.get("env", [])}
        return {*self.settings, *files, *named, *env}

    @property
    def projected(self) -> dict[str, tuple[str, str, str]]:
        """The secrets' files that are named one by one: kind, name and key of each."""
        (volume,) = [each for each in self.pod["volumes"] if each["name"] == "secrets"] or [None]
        sources = volume["projected"]["sources"] if volume else []
        return {
            item["path"]: (kind, what["name"], item["key"])
            for source in sources
            for kind, what in source.items()
            for item in what.get("items", [])
        }


def values() -> Iterator[Value]:
    """Yield what values.yaml says, leaf by leaf, with the comment right above each."""
    tree = parsed((CHART / "values.yaml").read_text())
    trail: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.removeprefix("#").strip())
            continue
        if text and not text.startswith("- "):
            depth = (len(line) - len(line.lstrip())) // 2
            key = text.partition(":")[0]
            known = _at(tree, [*trail[:depth], key])
            if known is not _NOTHING:
                trail = [*trail[:depth], key]
                if not isinstance(known, dict) or not known or key in _WHOLE:
                    yield Value(".".join(trail), json.dumps(known), " ".join(comment))
        comment = []


_NOTHING = object()
_WHOLE = {
    *("resources", "topologySpreadConstraints", "labels"),
    *("podSecurityContext", "securityContext"),
}
"""Values that are one for the reader, though they have parts."""


def _at(tree: object, trail: list[str]) -> object:
    for key in trail:
        if not isinstance(tree, dict) or key not in tree or key in _inside(trail, key):
            return _NOTHING
        tree = tree[key]
    return tree


def _inside(trail: list[str], key: str) -> set[str]:
    """Return the key if one above it is a whole."""
    above = trail[: trail.index(key)]
    return {key} if _WHOLE & set(above) else set()


def fails(values: str, *options: str) -> str:
    """Return why ``helm template`` refuses these values, in one line."""
    code, _, wrong = template(values, *options)
    if code == 0:
        pytest.fail(f"{options} was accepted")
    return " ".join(wrong.split())
