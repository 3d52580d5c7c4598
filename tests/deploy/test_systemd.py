"""The unit for systemd: valid, confined, with the time and the secrets that the daemon needs."""

import re
from pathlib import Path

import pytest

from consumer import settings
from tests.deploy.test_env_example import LOGIN, told
from tests.deploy.tools import DEPLOY, run, tool
from tests.support.daemon import Daemon

pytestmark = pytest.mark.long("the deployment")
NEEDS = ("systemd-analyze",)

UNIT = (DEPLOY / "segment-consumer.service").read_text()
MOST_EXPOSED = 1.3
"""Of 10, as systemd rates it; without any of the unit's confinement it is 9.6."""


def values(key: str, text: str = UNIT) -> list[str]:
    """Return what a key is set to, in all its lines."""
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def loaded_credentials(text: str = UNIT) -> dict[str, str]:
    """Return where each credential comes from, by its name."""
    return dict(each.split(":", 1) for each in values("LoadCredential", text))


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Write the unit with a program that there is."""
    path = tmp_path / "segment-consumer.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE))
    return path


def test_systemd_has_nothing_to_say_against_it(unit: Path) -> None:
    result = run(tool("systemd-analyze"), "verify", "--man=no", unit)
    assert (result.returncode, result.stderr) == (0, "")


def test_it_is_confined(unit: Path) -> None:
    threshold = f"--threshold={MOST_EXPOSED * 10:g}"
    result = run(tool("systemd-analyze"), "security", "--offline=true", threshold, unit)
    assert result.returncode == 0, result.stdout


def test_wrong_settings_are_not_tried_again_and_the_rest_is(tmp_path: Path) -> None:
    assert values("Restart") == ["on-failure"]
    assert values("StartLimitIntervalSec") == ["0"]
    (code,) = values("RestartPreventExitStatus")
    with Daemon({}, directory=tmp_path) as daemon:
        assert daemon.wait(60) == int(code)


def test_a_stop_has_the_time_that_a_drain_takes() -> None:
    (seconds,) = values("TimeoutStopSec")
    assert float(seconds) > settings.load({**told(), **LOGIN}).drain_timeout_seconds + 5


def test_the_credentials_are_secrets_under_their_names() -> None:
    assert loaded_credentials().keys() == {"CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY"}
    everything = loaded_credentials(UNIT.replace("\n#", "\n"))
    secrets = {name for name in everything if name.isupper()}
    assert secrets <= settings.SECRETS
    for name, path in everything.items():
        assert path == f"/etc/segment-consumer/secrets/{name}"


def test_the_daemon_takes_them_as_systemd_hands_them_over(tmp_path: Path) -> None:
    """In a directory that can't be written, of files that can't either."""
    assert "SECRETS_DIR=%d" in values("Environment")[0].split()
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in loaded_credentials():
        (folder / name).write_text(f"{name}\n")
        (folder / name).chmod(0o400)
    folder.chmod(0o500)
    loaded = settings.load({**told(), "SECRETS_DIR": str(folder)})
    assert not loaded.warnings
    assert [each.get_secret_value() for each in loaded.credentials] == list(loaded_credentials())


def test_the_guide_installs_what_the_unit_names() -> None:
    guide = (DEPLOY / "README.md").read_text()
    for path in (*values("EnvironmentFile"), values("ExecStart")[0].split()[0].rpartition("/")[0]):
        assert path in guide
    assert str(Path(loaded_credentials()["CUSTOMERIO_API_KEY"]).parent) in guide
