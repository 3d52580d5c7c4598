"""The image: built by the Dockerfile, run with no rights, no network and no writable place."""

import json
import re

import pytest

from consumer import presets
from tests.deploy import compose
from tests.deploy.image import VERSION, Image
from tests.deploy.test_requirements import pins
from tests.deploy.tools import IMAGE, run, tool
from tests.support.waiting import eventually

pytestmark = [pytest.mark.long("the deployment"), pytest.mark.xdist_group("the image")]
NEEDS = IMAGE

SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "KAFKA_TOPICS": "audience-changes",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
}

_LISTENING_SECONDS = 60
_START_SECONDS = 5
"""About a second alone on a machine; others may be on it here."""


def test_the_dockerfile_has_no_lint() -> None:
    result = run(tool("hadolint"), "--failure-threshold", "style", "Dockerfile")
    assert result.returncode == 0, result.stdout


def test_the_image_says_what_it_is_and_starts_without_a_shell(image: Image) -> None:
    config = json.loads(image.inspect("{{json .Config}}"))
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/segment-consumer/bin/segment-consumer"]
    assert config["Cmd"] == ["run"]
    assert set(config["ExposedPorts"]) == {"8080/tcp"}
    labels = {
        key.removeprefix("org.opencontainers.image."): config["Labels"][key]
        for key in config["Labels"]
    }
    assert labels["title"] == "segment-consumer"
    assert labels["version"] == VERSION
    assert {"description", "revision"} <= set(labels)


def test_it_runs_as_nobody_in_particular_and_can_write_nowhere(image: Image) -> None:
    said = image.run(
        "-c",
        "import os; print(os.getuid(), os.getgid());"
        "print(*(line for line in open('/proc/self/status') if line.startswith('Cap')));"
        "print([d for d, _, _ in os.walk('/') if not d.startswith('/proc') "
        " and not d.startswith('/dev') and os.access(d, os.W_OK)])",
        entrypoint="python3",
    )
    assert said.startswith("65532 65532\n")
    assert re.findall(r"Cap(?:Inh|Prm|Eff|Bnd|Amb):\s*(\w+)", said) == ["0" * 16] * 5
    assert said.strip().endswith("[]")


@pytest.mark.parametrize("name", presets.NAMES)
def test_it_has_the_presets(image: Image, name: str) -> None:
    assert image.run("preview", "--show-mapping", name) == presets.text_of(name)


def test_it_reads_every_format(image: Image) -> None:
    said = image.run(
        "-c",
        "from consumer.core.schemas.compiled import Source\n"
        "from consumer.core.schemas.compiler import compiled\n"
        """texts = {"AVRO": '{"type": "string"}', "JSON": "{}", "PROTOBUF": "message A {}"}\n"""
        "print(*(compiled(Source(kind, text)).kind for kind, text in texts.items()))",
        entrypoint="python3",
    )
    assert said.split() == ["Avro", "JSON", "Schema", "Protobuf"]


def test_it_has_the_pinned_packages_and_no_others(image: Image) -> None:
    said = image.run(
        "-c",
        "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in "
        "m.distributions(path=__import__('site').getsitepackages()[:1])))",
        entrypoint="python3",
    )
    installed = {name.lower().replace("_", "-") for name in said.split()}
    pinned = {f"{name}=={pin.version}" for name, pin in pins("requirements.txt").items()}
    assert installed == pinned | {f"segment-consumer=={VERSION}"}


def test_it_tells_its_version(image: Image) -> None:
    assert image.run("--version").split()[0] == VERSION


def test_the_daemon_listens_soon_after_its_start(image: Image) -> None:
    """Nothing has to be compiled, looked up or waited for."""
    said = image.run(
        "-c",
        "import os, subprocess, time; began = time.monotonic();"
        f"os.environ.update({SETTINGS});"
        "daemon = subprocess.Popen(['segment-consumer', 'run'], stdout=subprocess.PIPE, text=True);"
        "next(line for line in daemon.stdout if '\"listening\"' in line);"
        "print(time.monotonic() - began); daemon.kill()",
        entrypoint="python3",
    )
    assert float(said) < _START_SECONDS


def test_what_the_commands_import_is_compiled(image: Image) -> None:
    """A read-only file system keeps nothing that is compiled later."""
    said = image.run(
        "-c",
        "import consumer, pathlib; root = pathlib.Path(consumer.__file__).parent;"
        "print(*(str(each.relative_to(root)) for each in root.rglob('*.py')"
        " if not list(each.parent.glob(f'__pycache__/{each.stem}.*.pyc'))))",
        entrypoint="python3",
    )
    # What is started with -m only, and what the tests alone import.
    assert set(said.split()) <= {
        *("commands/demo/standin/__main__.py", "commands/demo/storyteller.py"),
    }


def test_the_demo_is_verified_in_it(image: Image) -> None:
    assert "Every member is where the last event says" in image.run("demo", "--events", "5000")


def test_it_has_what_the_compose_file_starts_for_the_daemon_to_send_to(image: Image) -> None:
    standin = [*compose.command("api")[0], *compose.command("api")[1]]
    moved = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "CUSTOMERIO_URL": "http://127.0.0.1:8081"}
    said = image.run(
        "-c",
        "import os, subprocess;"
        f"api = subprocess.Popen({standin}, stdout=subprocess.PIPE, text=True);"
        "print(api.stdout.readline());"
        f"os.environ.update({compose.environment('segment-consumer') | moved});"
        "subprocess.run(['segment-consumer', 'check']); api.kill()",
        entrypoint="python3",
    )
    assert "ok       API http://127.0.0.1:8081: accepts the credentials" in said


def test_it_has_what_the_compose_file_produces_events_with(image: Image) -> None:
    (program, *arguments), _ = compose.command("events")
    assert "usage: " in image.run(*arguments, "--help", entrypoint=program)


def test_sigterm_reaches_the_daemon_as_process_1_and_ends_it_with_0(image: Image) -> None:
    with image.running(environment=SETTINGS) as container:
        eventually(lambda: '"listening"' in image.said(), _LISTENING_SECONDS, "it to listen")
        container.terminate()
        assert container.wait(60) == 0
    assert '"stopped"' in image.said()
