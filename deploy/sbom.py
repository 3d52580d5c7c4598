"""The bill of materials of the image that this runs in, in CycloneDX's JSON, to standard output.

``deploy/release`` runs it there: ``python3 -c "$(cat sbom.py)" EPOCH <requirements.txt``, with what
extras add behind it. What is installed says what there is; the locks say which files each Python
package may have come from.
"""

import json
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from urllib.parse import quote

import confluent_kafka

Component = dict[str, object]
OURS = "segment-consumer"


def canonical(name: str) -> str:
    """Return a package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def library(purl: str, name: str, version: str) -> Component:
    """Return a component; its package URL is what others call it."""
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def python_package(found: Distribution, hashes: list[str]) -> Component:
    """Return an installed package, with its licence and the hashes that the lock allows."""
    name = canonical(found.name)
    made = library(f"pkg:pypi/{name}@{quote(found.version)}", name, found.version)
    if name == OURS:
        made["type"] = "application"
    if "License-Expression" in found.metadata:
        made["licenses"] = [{"expression": found.metadata["License-Expression"]}]
    elif "License" in found.metadata and "\n" not in found.metadata["License"]:
        made["licenses"] = [{"license": {"name": found.metadata["License"]}}]
    if hashes:
        files = [{"alg": "SHA-256", "content": each} for each in hashes]
        made["externalReferences"] = [
            {"type": "distribution", "url": made["purl"], "hashes": files}
        ]
    return made


def locked(requirements: str) -> dict[str, list[str]]:
    """Return the hashes of each package in the lock."""
    blocks = re.split(r"^(?=[A-Za-z])", requirements, flags=re.MULTILINE)
    return {
        canonical(block.partition("==")[0]): re.findall(r"--hash=sha256:([0-9a-f]+)", block)
        for block in blocks
        if "==" in block
    }


def debian_packages(system: dict[str, str]) -> list[Component]:
    """Return what the base has from Debian."""
    form = r"${Package}\t${Version}\t${Architecture}\n"
    said = subprocess.run(  # noqa: S603 - what it runs is written here
        ["/usr/bin/dpkg-query", "--show", f"--showformat={form}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    distro = f"{system['ID']}-{system['VERSION_ID']}"
    return [
        library(
            f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}?arch={arch}&distro={distro}",
            name,
            version,
        )
        for name, version, arch in (line.split("\t") for line in said.splitlines())
    ]


def needs(found: Distribution, here: dict[str, str]) -> list[str]:
    """Return the components that a package asks for and that are here, extras among them."""
    asked = {canonical(re.split(r"[^\w.-]", each)[0]) for each in found.requires or ()}
    return sorted(here[name] for name in asked & here.keys())


def bill(epoch: int, requirements: str) -> dict[str, object]:
    """Return the whole document. ``epoch``: its time, in seconds."""
    packages = sorted(distributions(), key=lambda each: canonical(each.name))
    hashes = locked(requirements)
    pythons = [python_package(each, hashes.get(canonical(each.name), [])) for each in packages]
    references = {str(each["name"]): str(each["bom-ref"]) for each in pythons}
    system = platform.freedesktop_os_release()
    rdkafka, _ = confluent_kafka.libversion()  # which is inside that package's wheel
    engine = library(f"pkg:github/confluentinc/librdkafka@v{rdkafka}", "librdkafka", rdkafka)
    python = platform.python_version()
    base = [
        {"type": "operating-system", "name": system["ID"], "version": system["VERSION_ID"]},
        library(f"pkg:generic/python@{python}", "python", python),
        engine,
        *debian_packages(system),
    ]
    (ours,) = (each for each in pythons if each["name"] == OURS)
    graph = {references[canonical(each.name)]: needs(each, references) for each in packages}
    graph[references["confluent-kafka"]].append(str(engine["bom-ref"]))
    image = {"type": "container", "bom-ref": "image", "name": OURS, "version": ours["version"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat(),
            "component": image,
        },
        "components": [*pythons, *base],
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in graph.items()],
    }


if __name__ == "__main__":
    json.dump(bill(int(sys.argv[1]), sys.stdin.read()), sys.stdout, indent=1)
    sys.stdout.write("\n")
