"""What the clients of Kafka log in with, as it is replaced in files: taken up when it is whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from consumer.core.dead_letters import DeadLetter, DeadLetterReason
from consumer.kafka import dead_letters
from consumer.kafka.credentials import Follower, LoginWatch
from consumer.kafka.dead_letters import DeadLetters
from consumer.settings import load
from consumer.settings.properties import consumer_properties, rotated
from consumer.settings.property_checks import objection
from tests.support.certificates import Authority, Files
from tests.support.waiting import PATIENCE_SECONDS, eventually

NOWHERE = "127.0.0.1:1"


class Said(list[tuple[str, str]]):
    """What was logged: events and texts."""

    def __call__(
        self,
        now: float,  # noqa: ARG002 - the port's
        event: str,
        key: str,  # noqa: ARG002 - the port's
        message: str,
        *,
        level: str,  # noqa: ARG002 - the port's
        **fields: object,  # noqa: ARG002 - the port's
    ) -> None:
        """Keep it."""
        self.append((event, message))

    @property
    def events(self) -> list[str]:
        """The events alone."""
        return [event for event, _ in self]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "authority")


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    return authority.issue("first").put(tmp_path)


@pytest.fixture
def said() -> Said:
    return Said()


def encrypted(authority: Authority, files: Files, **more: str) -> dict[str, str]:
    return {
        "bootstrap.servers": NOWHERE,
        "security.protocol": "ssl",
        "ssl.ca.location": str(authority.path),
        "ssl.certificate.location": str(files.certificate),
        "ssl.key.location": str(files.key),
        **more,
    }


@pytest.fixture
def watch(authority: Authority, files: Files, said: Said) -> LoginWatch:
    return LoginWatch(encrypted(authority, files), dict, objection, said)


def test_what_did_not_change_is_not_news(watch: LoginWatch, said: Said) -> None:
    before = watch.now
    watch.look(0.0)
    assert watch.now is before
    assert said == []


def test_a_certificate_waits_for_the_key_that_belongs_to_it(
    watch: LoginWatch, authority: Authority, files: Files, said: Said
) -> None:
    before, new = watch.now, authority.issue("second")
    files.certificate.write_text(new.certificate)
    watch.look(0.0)
    assert watch.now is before
    assert said.events == ["credentials_unusable"]
    files.key.write_text(new.key)
    watch.look(3.0)
    assert watch.now.tls != before.tls
    assert said.events[1:] == ["credentials_renewed"]


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nhalf of", None])
def test_a_file_that_is_missing_or_half_written_is_waited_for(
    watch: LoginWatch, files: Files, authority: Authority, content: str | None
) -> None:
    before, whole = watch.now, files.certificate.read_text()
    files.certificate.unlink()
    if content is not None:
        files.certificate.write_text(content)
    watch.look(0.0)
    assert watch.now is before
    files.certificate.write_text(whole)
    watch.look(3.0)
    assert watch.now is before, "it is what it was"
    authority.issue("second").put(files.certificate.parent)
    watch.look(6.0)
    assert watch.now is not before


def test_a_link_that_is_swapped_is_a_change(
    authority: Authority, tmp_path: Path, said: Said
) -> None:
    """The kubelet swaps all files at once: a new directory, and a link renamed onto the old one."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        authority.issue(name).put(tmp_path / name)
    data = tmp_path / "..data"
    data.symlink_to("one")
    links = Files(tmp_path / "certificate.pem", tmp_path / "key.pem")
    for link in links:
        link.symlink_to(Path("..data") / link.name)
    watch = LoginWatch(encrypted(authority, links), dict, objection, said)
    (tmp_path / "..tmp").symlink_to("two")
    (tmp_path / "..tmp").rename(data)
    watch.look(0.0)
    assert said.events == ["credentials_renewed"]


def test_files_that_nothing_is_encrypted_with_are_not_looked_at(
    authority: Authority, files: Files, said: Said
) -> None:
    properties = encrypted(authority, files) | {"security.protocol": "plaintext"}
    watch = LoginWatch(properties, dict, objection, said)
    files.key.write_text("no key")
    watch.look(0.0)
    assert said == []


def test_what_is_said_of_unusable_files_repeats_no_value_and_is_in_plain_words(
    authority: Authority, files: Files, tmp_path: Path, said: Said
) -> None:
    """What librdkafka quotes of a keystore is its path, which came with ``KAFKA_CONFIG``."""
    keystore = tmp_path / "hunter2.p12"
    keystore.write_bytes(b"one")
    more = {"ssl.keystore.location": str(keystore), "ssl.keystore.password": "swordfish"}
    properties = {**encrypted(authority, files), **more}
    del properties["ssl.certificate.location"], properties["ssl.key.location"]
    watch = LoginWatch(properties, dict, objection, said)
    keystore.write_bytes(b"two")
    watch.look(0.0)
    (event, text) = said[0]
    assert event == "credentials_unusable"
    assert "ssl.keystore.location" in text
    for unwanted in ("hunter2", "swordfish", "error:", "Failed to create"):
        assert unwanted not in text


def test_a_password_does_not_wait_for_files_that_can_not_be_used(
    authority: Authority, files: Files, said: Said
) -> None:
    login = {"sasl.username": "me", "sasl.password": "old"}
    watch = LoginWatch({**encrypted(authority, files), **login}, lambda: login, objection, said)
    before = watch.now
    follower = Follower({})
    follower.follow(watch)
    login["sasl.password"] = "new"
    files.key.write_text("no key")
    watch.look(0.0)
    assert not follower.outdates(None)
    assert follower.properties == {"sasl.username": "me", "sasl.password": "new"}
    assert watch.now.tls == before.tls
    assert sorted(said.events) == ["credentials_renewed", "credentials_unusable"]


def test_only_files_for_tls_take_a_new_client_and_the_running_one_is_told_a_password(
    authority: Authority, files: Files, said: Said
) -> None:
    told = []

    class Told(Producer):  # the library's own client, that lets see what it was told
        def set_sasl_credentials(self, username: str, password: str) -> None:
            """Keep it, too."""
            told.append((username, password))
            super().set_sasl_credentials(username, password)

    login = {"sasl.username": "me", "sasl.password": "old"}
    watch = LoginWatch({**encrypted(authority, files), **login}, lambda: login, objection, said)
    follower = Follower(login)
    follower.follow(watch)
    client = Told({})
    login["sasl.password"] = "new"
    watch.look(0.0)
    assert not follower.outdates(client)
    assert not follower.outdates(client)
    assert told == [("me", "new")]
    authority.issue("second").put(files.key.parent)
    watch.look(3.0)
    assert follower.outdates(client)
    assert not follower.outdates(client)
    assert told == [("me", "new")]


def test_user_and_passwords_are_read_again_from_the_secrets_directory(tmp_path: Path) -> None:
    for name, text in (
        ("KAFKA_SASL_USERNAME", "me"),
        ("KAFKA_SASL_PASSWORD", "old"),
        ("CUSTOMERIO_API_KEY", "key"),
    ):
        (tmp_path / name).write_text(f"{text}\n")
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
            "KAFKA_TOPICS": "audience",
            "CUSTOMERIO_SITE_ID": "site",
            "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "SECRETS_DIR": str(tmp_path),
        }
    )
    assert consumer_properties(settings)["sasl.password"] == "old"
    (tmp_path / "KAFKA_SASL_PASSWORD").write_text("new\n")
    assert rotated(settings) == {"sasl.username": "me", "sasl.password": "new"}
    (tmp_path / "KAFKA_SASL_PASSWORD").write_text("")
    (tmp_path / "KAFKA_SASL_USERNAME").unlink()
    assert rotated(settings) == {}
    (tmp_path / "KAFKA_SASL_PASSWORD").write_bytes("new".encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"^KAFKA_SASL_PASSWORD has a character .* \(U\+0000\)$"):
        rotated(settings)


def test_a_password_that_can_not_be_one_is_said_and_the_old_one_stays(said: Said) -> None:
    """Told to a running client, it ended the daemon."""
    given = {"sasl.username": "me", "sasl.password": "old"}

    def reread() -> dict[str, str]:
        raise ValueError("KAFKA_SASL_PASSWORD is none")

    watch = LoginWatch(given, reread, objection, said)
    before = watch.now
    watch.look(0.0)
    assert watch.now is before
    (text,) = (text for event, text in said if event == "credentials_unusable")
    assert text == "KAFKA_SASL_PASSWORD is none; the one of before stays in use"


# What waits in a producer when its certificate is replaced


@pytest.fixture
def letters(watch: LoginWatch, authority: Authority, files: Files) -> Iterator[DeadLetters]:
    letters = DeadLetters(encrypted(authority, files, log_level="0"), "letters")
    letters.follow(watch)
    yield letters
    letters.close(0.0)


def letter(source: str) -> DeadLetter:
    return DeadLetter(DeadLetterReason.MALFORMED, "not JSON", source, b"k", b"{")


def test_i11_what_a_producer_can_not_deliver_any_more_comes_back_and_goes_through_the_next_one(
    letters: DeadLetters,
    watch: LoginWatch,
    authority: Authority,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_letters, "_GRACE_SECONDS", 600.0)
    waiting = letter("audience:0:7")
    assert letters.send(waiting)
    authority.issue("second").put(files.key.parent)
    watch.look(0.0)
    assert not letters.send(letter("audience:0:8")), "what comes after it waits"
    assert letters.poll() == []
    monkeypatch.setattr(dead_letters, "_GRACE_SECONDS", 0.0)
    (report,) = eventually(lambda: letters.poll(0.05), PATIENCE_SECONDS, "what waited")
    assert report.dead_letter is waiting
    assert report.error is not None
    assert letters.send(waiting), "through the next one"


def test_a_producer_that_can_not_be_made_now_is_made_later(
    letters: DeadLetters, files: Files
) -> None:
    """A certificate may be there a moment before its key is."""
    key = files.key.read_bytes()
    files.key.write_bytes(b"not yet")
    assert not letters.send(letter("audience:0:7"))
    assert letters.poll() == []
    files.key.write_bytes(key)
    assert letters.send(letter("audience:0:7"))


def test_a_producer_with_nothing_on_its_way_is_replaced_at_once(
    letters: DeadLetters, watch: LoginWatch, authority: Authority, files: Files
) -> None:
    authority.issue("second").put(files.key.parent)
    watch.look(0.0)
    assert letters.send(letter("audience:0:7"))
