"""Passwords, certificates and keys are replaced while the daemon runs, and nothing stands still."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consumer.commands.check.connection import Connection
from consumer.settings import load
from tests.support.authorizer import EVERYTHING
from tests.support.certificates import Authority, Files
from tests.support.cluster import Record
from tests.support.doors import Doors
from tests.support.scenario import PATIENCE_SECONDS, additions
from tests.support.waiting import eventually
from tests.support.ways import CERTIFICATE, PLAIN_OPEN, SCRAM_512_OPEN, Way

if TYPE_CHECKING:
    from tests.support.scenario import Scenario

pytestmark = pytest.mark.xdist_group("a broker that asks who comes")

UNREADABLE = Record(None, b"unreadable")
BOTH = pytest.mark.parametrize("protocol", ["classic", "consumer"])
OVER_SECONDS = 40.0
"""Enough to begin with a certificate on a machine that is busy."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make the authority that the broker trusts."""
    return Authority(tmp_path_factory.mktemp("trusted") / "authority")


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[Doors]:
    """Start a Kafka that asks who comes; here it takes the place of the other tests' Kafka."""
    with Doors(authority, [PLAIN_OPEN, SCRAM_512_OPEN, CERTIFICATE]) as broker:
        broker.allow("User:*", EVERYTHING)
        yield broker


def secret(folder: Path, name: str, text: str) -> None:
    """Put a file in its place at once, as Kubernetes does."""
    (folder / f"..{name}").write_text(f"{text}\n")
    (folder / f"..{name}").rename(folder / name)


def with_password(broker: Doors, folder: Path, way: Way = SCRAM_512_OPEN) -> dict[str, object]:
    """Return settings for a listener that asks for a password, which lies in a folder."""
    settings = {**broker.door(way).settings, "SECRETS_DIR": folder}
    del settings["KAFKA_SASL_PASSWORD"]
    return settings


def with_certificate(broker: Doors, files: Files) -> dict[str, object]:
    """Return settings for the listener that asks for a certificate, with another one."""
    settings = {
        **broker.door(CERTIFICATE).settings,
        "KAFKA_SSL_CERTIFICATE_LOCATION": files.certificate,
        "KAFKA_SSL_KEY_LOCATION": files.key,
    }
    del settings["KAFKA_SSL_KEY_PASSWORD"]
    return settings


def await_all(scenario: "Scenario", members: int, dead_letters: int) -> None:
    """Wait until everything that was produced is delivered, or a dead letter, and committed."""
    scenario.await_all_committed()
    assert len(scenario.api.members(1)) == members
    assert len(scenario.dead_letters(dead_letters)) == dead_letters


@pytest.mark.parametrize(
    ("protocol", "way"),
    [("consumer", SCRAM_512_OPEN), ("classic", PLAIN_OPEN)],
    ids=["consumer-SCRAM-SHA-512", "classic-PLAIN"],
)
def test_a_new_password_is_taken_up_by_all_clients_while_they_run(
    scenario: "Scenario", broker: Doors, tmp_path: Path, way: Way
) -> None:
    broker.set_password(way, "old-password")
    secret(tmp_path, "KAFKA_SASL_PASSWORD", "old-password")
    daemon = scenario.start_ready(kafka_config=None, **with_password(broker, tmp_path, way))
    scenario.produce([UNREADABLE, *additions(1, 3)])
    await_all(scenario, 3, 1)
    broker.set_password(way, "new-password")
    daemon.await_reason("login refused: SASL authentication error: Authentication failed")
    assert "brokers are down" not in daemon.reasons()
    scenario.produce([UNREADABLE, *additions(1, 3, start=3)])
    secret(tmp_path, "KAFKA_SASL_PASSWORD", "new-password")
    await_all(scenario, 6, 2)
    daemon.wait_ready(PATIENCE_SECONDS)
    assert not re.search("(old|new)-password", daemon.output)


@pytest.mark.long("the other protocol where one shows it", keep=("consumer",))
@BOTH
def test_a_new_certificate_is_taken_up_by_new_clients_before_the_old_one_is_over(
    scenario: "Scenario", broker: Doors, authority: Authority, tmp_path: Path
) -> None:
    over_at = time.monotonic() + OVER_SECONDS
    files = authority.issue("old", seconds=OVER_SECONDS).put(tmp_path)
    daemon = scenario.start_ready(kafka_config=None, **with_certificate(broker, files))
    scenario.produce([UNREADABLE, *additions(1, 3)])
    await_all(scenario, 3, 1)
    new = authority.issue("new")
    files.certificate.write_text(new.certificate)  # and the key that belongs to it comes later
    said = daemon.wait_log("credentials_unusable", PATIENCE_SECONDS)
    assert "key" in str(said["message"])
    scenario.produce(additions(1, 3, start=3))
    await_all(scenario, 6, 1)
    assert not daemon.logs("credentials_renewed")
    files.key.write_text(new.key)
    daemon.wait_log("credentials_renewed", PATIENCE_SECONDS)
    scenario.produce([UNREADABLE, *additions(1, 3, start=6)])
    await_all(scenario, 9, 2)
    eventually(time.monotonic, PATIENCE_SECONDS, "the old one to be over", until=over_at.__lt__)
    broker.door(CERTIFICATE).proxied.proxy.cut()
    broker.door(CERTIFICATE).proxied.proxy.mend()
    scenario.produce([UNREADABLE, *additions(1, 3, start=9)])
    await_all(scenario, 12, 3)
    assert not daemon.logs("lost"), "it gave its partitions up in order"


def test_a_certificate_that_is_over_is_said_and_a_new_one_goes_on_without_a_restart(
    scenario: "Scenario", broker: Doors, authority: Authority, tmp_path: Path
) -> None:
    files = authority.issue("over", seconds=-60).put(tmp_path)
    daemon = scenario.start(kafka_config=None, **with_certificate(broker, files))
    daemon.await_reason("our certificate is over since ")
    scenario.produce(additions(1, 3))
    authority.issue("good").put(tmp_path)
    scenario.await_all_committed()
    daemon.wait_ready(PATIENCE_SECONDS)
    assert len(scenario.api.members(1)) == 3


@pytest.mark.parametrize(
    ("own", "said", "to_do"),
    [
        ("good", "answer; ", ""),
        ("none", "we show no certificate; ", "set KAFKA_SSL_CERTIFICATE_LOCATION"),
        ("over", "our certificate is over since ", "show one that is good"),
        ("foreign", "alert", "of an authority that the brokers know"),
        (
            "good, and another authority",
            "it is of an authority that is not among KAFKA_SSL_CA_LOCATION",
            "set KAFKA_SSL_CA_LOCATION",
        ),
    ],
)
def test_check_tells_our_certificate_from_the_brokers(
    broker: Doors, authority: Authority, tmp_path: Path, own: str, said: str, to_do: str
) -> None:
    other = Authority(tmp_path / "other")
    issued = (other if own == "foreign" else authority).issue(
        "mine", seconds=-60 if own == "over" else 3600
    )
    settings = with_certificate(broker, issued.put(tmp_path))
    if own == "none":
        settings = {name: value for name, value in settings.items() if "KEY" not in name}
        del settings["KAFKA_SSL_CERTIFICATE_LOCATION"]
    if own.endswith("authority"):
        settings["KAFKA_SSL_CA_LOCATION"] = other.path
    line = check(settings)
    assert said in line
    assert to_do in line


def test_check_tells_a_refused_password(broker: Doors, tmp_path: Path) -> None:
    broker.set_password(SCRAM_512_OPEN, "right-password")
    secret(tmp_path, "KAFKA_SASL_PASSWORD", "wrong-password")
    line = check(with_password(broker, tmp_path))
    assert "Authentication failed" in line
    assert line.endswith("-> see KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM")


def check(settings: dict[str, object]) -> str:
    """Return what the command says of the brokers."""
    others = {"KAFKA_TOPICS": "t", "CUSTOMERIO_SITE_ID": "s", "CUSTOMERIO_API_KEY": "k"}
    given = {name: str(value) for name, value in {**others, **settings}.items()}
    found, _ = Connection(load(given)).try_brokers()
    return found.line()
