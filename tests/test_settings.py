"""What operators can rely on when they configure the daemon."""

import json
import os
import re
import socket
from pathlib import Path

import certifi
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from consumer.customerio.api import Api
from consumer.settings import SECRETS, VARIABLES, Settings, SettingsError, load
from consumer.settings.librdkafka import RELIED_ON
from consumer.settings.problems import accepts

REQUIRED = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka-0:9092,kafka-1:9092",
    "KAFKA_TOPICS": "audience",
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
}

LOGIN = {
    "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "me",
}
"""What a password goes with."""


def loaded(**variables: str) -> Settings:
    return load(REQUIRED | variables)


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(REQUIRED | variables)
    return caught.value.problems


def problem(**variables: str) -> str:
    (line,) = problems(**variables)
    return line


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return a process with nothing of ours in its environment and an empty working directory."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name, text in REQUIRED.items():
        monkeypatch.setenv(name, text)
    return monkeypatch


def secrets(directory: Path, **files: str) -> str:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(directory)


# What is there without doing anything


def test_only_the_servers_the_topics_and_the_credentials_are_required() -> None:
    with pytest.raises(SettingsError) as caught:
        load({})
    assert [line.split(":")[0] for line in caught.value.problems] == list(REQUIRED)
    assert "KAFKA_TOPICS: is missing; accepts topic names" in str(caught.value)


def test_the_defaults_are_those_that_are_published() -> None:
    settings = loaded()
    assert settings.kafka_group_id == "segment-consumer"
    assert settings.kafka_client_id == f"segment-consumer-{socket.gethostname()}"
    assert settings.kafka_group_protocol == "classic"
    assert settings.kafka_group_instance_id is None
    assert settings.kafka_auto_offset_reset == "earliest"
    assert settings.kafka_session_timeout_seconds == 45
    assert settings.kafka_config == {}
    assert settings.customerio_max_in_flight == 8
    assert settings.customerio_requests_per_second == 100
    assert settings.customerio_timeout_seconds == 10
    assert settings.retry_max_backoff_seconds == 60
    assert settings.event_id_type == "id"
    assert settings.batch_max_ids == 1000
    assert settings.batch_linger_seconds == 5
    assert settings.buffer_max_ids == 200_000
    assert settings.commit_interval_seconds == 1
    assert settings.drain_timeout_seconds == 20
    assert settings.reject_policy == "dead-letter"
    assert settings.dead_letter_topic == "segment-consumer.dead-letters"
    assert settings.dead_letter_max_consecutive == 1000
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8080)  # noqa: S104 - published
    assert settings.liveness_timeout_seconds == 30
    assert (settings.log_level, settings.log_format) == ("info", "json")
    assert settings.warnings == ()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().batch_max_ids = 1  # type: ignore[misc]  # mypy knows it, too


def test_an_empty_optional_variable_is_as_good_as_none() -> None:
    """Templates render what nobody set as an empty string."""
    optional = {name: "" for name in VARIABLES if name not in REQUIRED}
    assert load(REQUIRED | optional).masked() == loaded().masked()


def test_an_empty_required_variable_is_missing() -> None:
    assert "KAFKA_TOPICS: is missing" in problem(KAFKA_TOPICS="  ")


# Where settings come from


def test_the_environment_comes_before_dotenv_and_dotenv_before_files(
    process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = secrets(tmp_path / "s", BATCH_MAX_IDS="3", BUFFER_MAX_IDS="3", HTTP_PORT="3")
    (tmp_path / ".env").write_text(f"SECRETS_DIR={files}\nBATCH_MAX_IDS=2\nBUFFER_MAX_IDS=2\n")
    process.setenv("BATCH_MAX_IDS", "1")
    settings = load()
    assert (settings.batch_max_ids, settings.buffer_max_ids, settings.http_port) == (1, 2, 3)


def test_what_a_command_chooses_counts_and_what_it_does_without_is_no_problem() -> None:
    given = {"KAFKA_TOPICS": "a", "KAFKA_BOOTSTRAP_SERVERS": "k:9092", "CUSTOMERIO_SITE_ID": "own"}
    chosen = {"KAFKA_TOPICS": "b"}
    unneeded = {"CUSTOMERIO_SITE_ID": "unneeded", "CUSTOMERIO_API_KEY": "unneeded"}
    settings = load(given, chosen=chosen, unneeded=unneeded)
    assert settings.kafka_topics == ("b",)
    assert [secret.get_secret_value() for secret in settings.credentials] == ["own", "unneeded"]
    with pytest.raises(SettingsError) as error:
        load(given, chosen={"KAFKA_TOPICS": "b c"}, unneeded=unneeded)
    assert len(error.value.problems) == 1


@pytest.mark.usefixtures("process")
def test_the_settings_read_the_process_by_themselves(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BATCH_MAX_IDS=2\n")
    settings = Settings()
    assert (settings.kafka_topics, settings.batch_max_ids) == (("audience",), 2)


@pytest.mark.parametrize("name", ["FOUND", "found", "ENVIRON", "environ", "_env_file"])
def test_variables_with_names_that_mean_something_inside_mean_nothing(
    process: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / ".env").write_text(f"{name}=x\n")
    process.setenv(name, "x")
    assert load().masked() == load(REQUIRED | {name: "x"}).masked() == loaded().masked()


@pytest.mark.usefixtures("process")
def test_a_file_of_such_a_name_means_nothing_either(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "FOUND").write_bytes(b"\xff")
    monkeypatch.setenv("SECRETS_DIR", str(secrets))
    assert load().found.files == {}


def test_foreign_lines_in_dotenv_are_passed_over(
    process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process.delenv("CUSTOMERIO_API_KEY")
    (tmp_path / ".env").write_text(
        "\ufeff# ours\n[section]\nset -e\ndon't panic\nAWS_REGION\nexport BATCH_MAX_IDS='7'\n"
        "CUSTOMERIO_API_KEY=pa${HOME}ss\n"
    )
    settings = load()
    assert settings.batch_max_ids == 7
    assert settings.customerio_api_key.get_secret_value() == "pa${HOME}ss"
    assert settings.warnings == ()


@pytest.mark.usefixtures("process")
def test_a_dotenv_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LOG_LEVEL=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env: can't be read \(UnicodeDecodeError\)"):
        load()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("# c\n\nBATCH_MAX_IDS\n", [(3, "BATCH_MAX_IDS")]),
        ("KAFKA_TOPICS: a\nexport BATCH_MAX_IDS 7\n", [(1, "KAFKA_TOPICS"), (2, "BATCH_MAX_IDS")]),
        ("X=1\r\nKAFKA_TOPICS='a\r\nBATCH_MAX_IDS=7\r\n", [(2, "KAFKA_TOPICS")]),
        ('KAFKA_TOPICS="a\nBATCH_MAX_IDS="7"\n', [(1, "KAFKA_TOPICS"), (2, "BATCH_MAX_IDS")]),
        ('X="a\nBATCH_MAX_IDS=7\nY=b"\n', [(2, "BATCH_MAX_IDS")]),
        ('KAFKA_TOPIC "hunter2"\n', [(1, "KAFKA_TOPIC")]),
        ("[section]\nset -e\nX='a\ndon't\nKAFKAHOME /opt\nX=\"a\nb\"\n", []),
        ("KAFKA_TOPICS=a\r\nBATCH_MAX_IDS = 7 # seven\r\n", []),
    ],
)
@pytest.mark.usefixtures("process")
def test_a_broken_line_of_ours_in_dotenv_is_told_with_its_number(
    tmp_path: Path, text: str, lines: list[tuple[int, str]]
) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    try:
        said: tuple[str, ...] = ()
        load()
    except SettingsError as error:
        said = error.problems
    assert [line.partition(" can't be read; accepts ")[0] for line in said] == [
        f".env: line {number} ({name})" for number, name in lines
    ]
    assert "hunter2" not in "".join(said)


@pytest.mark.usefixtures("process")
def test_a_dotenv_that_is_a_directory_is_none(tmp_path: Path) -> None:
    """Docker makes one of a file that was to be mounted and is missing."""
    (tmp_path / ".env").mkdir()
    assert load().batch_max_ids == 1000


def test_a_given_environment_is_the_whole_one(process: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BATCH_MAX_IDS=2\n")
    process.setenv("BUFFER_MAX_IDS", "5")
    settings = loaded()
    assert (settings.batch_max_ids, settings.buffer_max_ids) == (1000, 200_000)


def test_a_secret_loses_the_newline_at_its_end_and_nothing_else(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", KAFKA_SASL_PASSWORD=" pass word \n")
    password = loaded(SECRETS_DIR=directory, **LOGIN).kafka_sasl_password
    assert password is not None
    assert password.get_secret_value() == " pass word "


def test_a_secret_may_be_a_link_to_another_directory(tmp_path: Path) -> None:
    """That is how Kubernetes mounts one, and how others share one."""
    secrets(tmp_path / "elsewhere", key="from-elsewhere")
    directory = secrets(tmp_path / "s")
    (tmp_path / "s" / "CUSTOMERIO_API_KEY").symlink_to(tmp_path / "elsewhere" / "key")
    settings = loaded(SECRETS_DIR=directory, CUSTOMERIO_API_KEY="")
    assert settings.customerio_api_key.get_secret_value() == "from-elsewhere"


def test_a_secret_in_two_places_is_a_problem(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_API_KEY="hunter2", BATCH_MAX_IDS="5")
    line = problem(SECRETS_DIR=directory, BATCH_MAX_IDS="6")
    assert line == (
        "CUSTOMERIO_API_KEY: is set in the environment and in SECRETS_DIR; accepts one place"
    )


def test_an_empty_secret_in_the_environment_is_no_second_place(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_API_KEY="from-a-file")
    settings = loaded(SECRETS_DIR=directory, CUSTOMERIO_API_KEY="")
    assert settings.customerio_api_key.get_secret_value() == "from-a-file"


def test_a_secrets_directory_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert problem(SECRETS_DIR=missing) == (
        f"SECRETS_DIR: got {missing!r}; accepts a directory that exists"
    )


def test_a_secrets_directory_of_an_impossible_name_is_a_problem() -> None:
    assert problem(SECRETS_DIR="x" * 5000).endswith("; accepts a directory that exists")


def test_a_secret_file_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", KAFKA_SASL_USERNAME="me")
    (tmp_path / "s" / "KAFKA_SSL_KEY_PASSWORD").write_bytes(b"\xff\xfe")
    line = problem(SECRETS_DIR=directory, **LOGIN, KAFKA_SASL_PASSWORD="x")
    assert line.startswith("KAFKA_SSL_KEY_PASSWORD: its file in SECRETS_DIR can't be read")


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_secret_that_is_no_file_is_a_problem_and_not_missing_too(
    tmp_path: Path, *, is_missing: bool
) -> None:
    """Docker makes a directory of a file that was to be mounted."""
    file = Path(secrets(tmp_path / "s")) / "CUSTOMERIO_API_KEY"
    file.symlink_to(tmp_path / "gone") if is_missing else file.mkdir()
    line = problem(SECRETS_DIR=str(tmp_path / "s"), CUSTOMERIO_API_KEY="")
    assert line.startswith("CUSTOMERIO_API_KEY: its file in SECRETS_DIR can't be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_secrets_directory_that_cannot_be_listed_is_a_problem(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s")
    Path(directory).chmod(0)
    assert "can't be read (PermissionError)" in problem(SECRETS_DIR=directory)


# Variables that look like ours


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("KAFKA_TOPIC", "KAFKA_TOPICS"),
        ("BATCH_MAXIDS", "BATCH_MAX_IDS"),
        ("CUSTOMERIO_KEY", "CUSTOMERIO_API_KEY"),
        ("HTTP_PROT", "HTTP_PORT"),
        ("LOG_LEVL", "LOG_LEVEL"),
        ("batch_max_ids", "BATCH_MAX_IDS"),
        ("KAFAK_TOPICS", "KAFKA_TOPICS"),
        ("CUSTOMER_IO_API_KEY", "CUSTOMERIO_API_KEY"),
    ],
)
def test_a_variable_that_looks_like_ours_gets_a_warning_with_the_nearest_name(
    name: str, nearest: str
) -> None:
    (warning,) = loaded(**{name: "hunter2"}).warnings
    assert warning == (
        f"{name} (in the environment) is none of the settings; the nearest is {nearest}"
    )


def test_a_name_that_looks_like_ours_is_told_where_something_is_wrong_too() -> None:
    """Then it is the reason."""
    wrong = {**REQUIRED, "KAFKA_BOOTSTRAP_SERVERS": "", "KAFKA_BOOTSTRAP_SERVER": "hunter2:1"}
    with pytest.raises(SettingsError) as caught:
        load(wrong)
    assert [line.partition(";")[0] for line in str(caught.value).splitlines()] == [
        "KAFKA_BOOTSTRAP_SERVERS: is missing",
        "warning: KAFKA_BOOTSTRAP_SERVER (in the environment) is none of the settings",
    ]
    assert caught.value.warnings[0].endswith("the nearest is KAFKA_BOOTSTRAP_SERVERS")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "name",
    [
        "HTTP_PROXY",
        "http_proxy",
        "KAFKA_PORT",
        "KAFKA_PORT_9092_TCP",
        "KAFKA_PORT_9092_TCP_ADDR",
        "KAFKA_SERVICE_HOST",
        "KAFKA_SERVICE_PORT_BROKER",
        "KAFKA_BOOTSTRAP_SERVICE_HOST",
        "LOG_DIR",
        "COMMIT_SHA",
        "HTTPS_PORT",
        "PATH",
    ],
)
def test_what_others_put_into_an_environment_gets_no_warning(name: str) -> None:
    assert loaded(**{name: "http://somewhere:1"}).warnings == ()


def test_files_among_the_secrets_are_looked_at_for_slips_too(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_APIKEY="hunter2", **{"..data": "x"})
    (warning,) = loaded(SECRETS_DIR=directory).warnings
    assert warning.startswith("CUSTOMERIO_APIKEY (in SECRETS_DIR)")


# One setting


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("BATCH_MAX_IDS", "0", "a whole number, at least 1, at most 1000"),
        ("BATCH_MAX_IDS", "1001", "a whole number, at least 1, at most 1000"),
        ("BATCH_MAX_IDS", "1.5", "a whole number, at least 1, at most 1000"),
        ("HTTP_PORT", "-1", "a whole number, at least 0, at most 65535"),
        ("BUFFER_MAX_IDS", "many", "a whole number, at least 1"),
        ("DEAD_LETTER_MAX_CONSECUTIVE", "-1", "a whole number, at least 0"),
        ("CUSTOMERIO_REQUESTS_PER_SECOND", "0", "a number, above 0"),
        ("BATCH_LINGER_SECONDS", "nan", "a number, at least 0, at most 86400"),
        ("BATCH_LINGER_SECONDS", "5s", "a number, at least 0, at most 86400"),
        ("RETRY_MAX_BACKOFF_SECONDS", "inf", "a number, above 0, at most 86400"),
        ("KAFKA_GROUP_PROTOCOL", "eager", "one of: classic, consumer"),
        ("KAFKA_AUTO_OFFSET_RESET", "largest", "one of: earliest, latest, error"),
        ("CUSTOMERIO_REGION", "ap", "one of: us, eu"),
        ("EVENT_ID_TYPE", "uuid", "one of: id, email, cio_id"),
        ("REJECT_POLICY", "drop", "one of: dead-letter, skip, stall"),
        ("LOG_LEVEL", "loud", "one of: debug, info, warning, error, critical"),
        ("LOG_FORMAT", "xml", "one of: json, console"),
        (
            "KAFKA_SECURITY_PROTOCOL",
            "tls",
            "one of: plaintext, ssl, sasl_plaintext, sasl_ssl",
        ),
    ],
)
def test_a_wrong_value_is_said_with_its_name_and_what_is_accepted(
    name: str, text: str, accepted: str
) -> None:
    assert problem(**{name: text}) == f"{name}: got {text!r}; accepts {accepted}"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LOG_LEVEL", "WARNING", "warning"),
        ("LOG_FORMAT", "Console", "console"),
        ("KAFKA_SECURITY_PROTOCOL", "SSL", "ssl"),
        ("BATCH_LINGER_SECONDS", "0", 0.0),
        ("CUSTOMERIO_REQUESTS_PER_SECOND", "0.5", 0.5),
        ("HTTP_PORT", " 0 ", 0),
    ],
)
def test_values_are_taken_as_operators_write_them(name: str, text: str, value: object) -> None:
    assert getattr(loaded(**{name: text}), name.lower()) == value


@pytest.mark.parametrize(
    "text", ["kafka", "[::1]:9092,[fe80::1]", "a_b-c.d:1,a_b-c.d:1", "a:1, b:2"]
)
def test_servers_are_taken_as_librdkafka_takes_them(text: str) -> None:
    assert loaded(KAFKA_BOOTSTRAP_SERVERS=text).kafka_bootstrap_servers == text


def test_servers_may_stand_on_lines() -> None:
    assert loaded(KAFKA_BOOTSTRAP_SERVERS="a:1,\n\tb:2\n").kafka_bootstrap_servers == "a:1, b:2"


@pytest.mark.parametrize(
    "text",
    [
        *("kafka:", "kafka:port", "kafka:0", "kafka:70000", "a:1,", "a b", ":9092", "a:1;b:2"),
        *(
            "k:\uff19\uff10\uff19\uff12",
            "k:٩٠٩٢",
            "käfka:1",
            "http://kafka:1",
            "user@kafka:1",
            "a:1\nb:2",
        ),
    ],
)
def test_servers_that_librdkafka_would_silently_ignore_are_a_problem(text: str) -> None:
    assert "is no host:port; accepts host:port,host:port" in problem(KAFKA_BOOTSTRAP_SERVERS=text)


def test_every_wrong_server_is_said() -> None:
    lines = problems(KAFKA_BOOTSTRAP_SERVERS="a:0,good:9092,SSL://b:9092,::1:9092")
    assert [
        line.partition(": ")[2].partition(": ")[2].partition("; accepts")[0] for line in lines
    ] == [
        "'a:0' is no host:port",
        "'SSL://b:9092' has a protocol in front: take it off, and set KAFKA_SECURITY_PROTOCOL=ssl",
        "'::1:9092' is no host:port (an IPv6 address stands between [ and ])",
    ]


@pytest.mark.parametrize("text", ["a b", "a\tb", "a\x1bb", "äö\u2028"])
def test_credentials_that_a_paste_spoiled_are_a_problem_and_not_shown(text: str) -> None:
    line = problem(CUSTOMERIO_API_KEY=text)
    assert line.startswith("CUSTOMERIO_API_KEY: got a value that is not shown: has white space")
    assert text not in line


def test_a_site_id_that_basic_authentication_cannot_carry_is_a_problem() -> None:
    assert "has a colon in it" in problem(CUSTOMERIO_SITE_ID="site:key")


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert len(problem(HTTP_PORT="9" * 10_000)) < 400


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("KAFKA_TOPICS", '"a,b"', ("a", "b")),
        ("KAFKA_TOPICS", "\ufeff'a'", ("a",)),
        ("KAFKA_TOPICS", "a,\n  b\n", ("a", "b")),
        ("KAFKA_BOOTSTRAP_SERVERS", '"k:9092"', "k:9092"),
        ("CUSTOMERIO_URL", "'https://host/'", "https://host/"),
        ("BATCH_MAX_IDS", '" 7 "', 7),
        ("LOG_LEVEL", "\ufeffDEBUG\r\n", "debug"),
        ("CUSTOMERIO_REGION", '"EU"', "eu"),
        ("KAFKA_GROUP_ID", '""', "segment-consumer"),
        ("BATCH_LINGER_SECONDS", "1e1", 10.0),
    ],
)
def test_what_nobody_means_is_taken_off(name: str, text: str, value: object) -> None:
    """`docker --env-file` leaves quotes there, editors a byte order mark."""
    assert getattr(loaded(**{name: text}), name.lower()) == value
    assert text == '""' or loaded(**{name: text}).warnings == ()


def test_properties_may_have_quotes_and_a_byte_order_mark_around_them() -> None:
    values = loaded(KAFKA_CONFIG='\ufeff\'{"client.rack": "a"}\'\n').kafka_config
    assert list(values) == ["client.rack"]


def test_a_proxy_may_have_quotes_around_it() -> None:
    assert loaded(HTTPS_PROXY='"http://a:1"').proxy_url == "http://a:1"


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_API_KEY="\ufeffkey\r\n")
    settings = loaded(SECRETS_DIR=directory, CUSTOMERIO_API_KEY="", CUSTOMERIO_SITE_ID="\ufeffsite")
    texts = [secret.get_secret_value() for secret in settings.credentials]
    assert texts == ["site", "key"]
    assert settings.reread_credentials() == settings.credentials


@pytest.mark.parametrize("text", ['"hunter2"', "'hunter2'"])
@pytest.mark.parametrize(
    "name", ["CUSTOMERIO_SITE_ID", "CUSTOMERIO_API_KEY", "KAFKA_SASL_PASSWORD"]
)
def test_quotes_around_a_secret_are_a_problem(name: str, text: str) -> None:
    login = LOGIN if name.startswith("KAFKA") else {}
    line = problem(**login, **{name: text})
    assert line.startswith(f"{name}: got a value that is not shown: has quotes around it")
    assert "hunter2" not in line


def test_a_password_may_have_quotes_around_it_in_a_file(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", KAFKA_SASL_PASSWORD='"pass"')
    password = loaded(SECRETS_DIR=directory, **LOGIN).kafka_sasl_password
    assert password is not None
    assert password.get_secret_value() == '"pass"'


def test_a_password_with_a_space_at_its_end_is_worth_a_word() -> None:
    (warning,) = loaded(**LOGIN, KAFKA_SASL_PASSWORD="hunter2 ").warnings
    assert warning == ("KAFKA_SASL_PASSWORD ends with a space, which is taken as part of it")


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\xa0", "\x00", "\x1b", "\u202e"])
@pytest.mark.parametrize(
    "name",
    [
        *("CUSTOMERIO_API_KEY", "KAFKA_SASL_PASSWORD", "KAFKA_SASL_USERNAME", "KAFKA_GROUP_ID"),
        *("KAFKA_TOPICS", "KAFKA_BOOTSTRAP_SERVERS", "HTTP_HOST", "CUSTOMERIO_URL"),
    ],
)
def test_what_nobody_can_see_in_a_value_is_a_problem(name: str, unseen: str) -> None:
    login = {**LOGIN, "KAFKA_SASL_PASSWORD": "p"} if "SASL" in name else {}
    line = problem(**{**login, name: f"a{unseen}b"})
    assert line.startswith(f"{name}: got ")
    assert re.search(r"can't be seen \(U\+[0-9A-F]{4}\)|white space or control characters", line)


def test_what_nobody_can_see_in_a_property_is_a_problem() -> None:
    line = problem(KAFKA_CONFIG='{"client.rack": "a\\u200b"}')
    assert line.startswith("KAFKA_CONFIG: 'client.rack' or its value has a character in it")


def test_all_that_is_wrong_with_one_value_is_said() -> None:
    reasons = [line.partition(": has ")[2] for line in problems(CUSTOMERIO_SITE_ID="'a :b'")]
    assert [reason.split(";")[0] for reason in reasons] == [
        "white space or control characters in it",
        "quotes around it",
        "a colon in it",
    ]
    assert len(problems(CUSTOMERIO_URL="https://me:key@host/?x")) == 2


_NUMBERS = [
    name for name in VARIABLES if Settings.model_fields[name.lower()].annotation in {int, float}
]


@pytest.mark.parametrize("text", ["\uff19\uff10", "٣٠", "3²"])
@pytest.mark.parametrize("name", _NUMBERS)
def test_digits_of_another_script_are_a_problem(name: str, text: str) -> None:
    assert problem(**{name: text}).startswith(
        f"{name}: got {text!r}: has digits in it that are none of 0 to 9; accepts "
    )


@pytest.mark.parametrize("text", ["nan", "inf", "10s", "0x10", "true", "1,5", "1 0", "--1", "½"])
@pytest.mark.parametrize("name", _NUMBERS)
def test_what_is_no_number_is_a_problem(name: str, text: str) -> None:
    assert problem(**{name: text}).startswith(f"{name}: got {text!r}; accepts a ")


@pytest.mark.parametrize("text", ["0.01", "2.9", "0"])
def test_a_liveness_timeout_is_longer_than_a_turn(text: str) -> None:
    assert problem(LIVENESS_TIMEOUT_SECONDS=text) == (
        f"LIVENESS_TIMEOUT_SECONDS: got {text!r}; accepts a number, at least 3, at most 86400"
    )


# Topics


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("a,b , c,", ("a", "b", "c")),
        ("a,a", ("a",)),
        ("^audience[.].*", ("^(audience[.].*)$",)),
        ("^a|b", ("^(a|b)$",)),
        (r"^a\.b{1,3},c,^x[,;]{2,}", (r"^(a\.b{1,3})$", "c", "^(x[,;]{2,})$")),
        ("^[]x,]y,z", ("^([]x,]y)$", "z")),
        ("^[[:alpha:]]+$", ("^([[:alpha:]]+$)$",)),
    ],
)
def test_topics_are_names_and_expressions_for_whole_names(
    text: str, topics: tuple[str, ...]
) -> None:
    assert loaded(KAFKA_TOPICS=text).kafka_topics == topics


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b", "'a b' is no topic's name"),
        ("a/b", "is no topic's name"),
        ("..", "is no topic's name"),
        ("x" * 250, "is no topic's name"),
        (" , ", "there is no name in it"),
        ("^", "is an empty expression"),
        ("^(a", "Unmatched ("),
        ("^a)|(b", "is no expression"),
        ("^[a", "is no expression"),
        ("^*a", "is no expression"),
        ("^a{3,1}", "is no expression"),
        ("^(?:a)", "has '(?'"),
        (r"^a\d+", r"which POSIX expressions have not"),
        (r"^a[\.]", "between brackets"),
        ("^[[b]", "is no expression that all sides read alike"),
    ],
)
def test_what_is_no_topic_or_means_two_things_is_a_problem(text: str, reason: str) -> None:
    line = problem(KAFKA_TOPICS=text)
    assert line.startswith("KAFKA_TOPICS: got ")
    assert reason in line


def test_every_wrong_topic_is_said() -> None:
    assert len(problems(KAFKA_TOPICS="a b,good,^x[,c/d")) == 3


@pytest.mark.parametrize("topics", ["x,dead", "^.*", "^d[[:alpha:]]+", "^dead|b"])
def test_dead_letters_must_not_be_read(topics: str) -> None:
    line = problem(KAFKA_TOPICS=topics, DEAD_LETTER_TOPIC="dead")
    assert line.startswith("DEAD_LETTER_TOPIC: got 'dead', which KAFKA_TOPICS reads; accepts")


@pytest.mark.parametrize("topics", ["^dea", "^ead", "^x|eadx", "deadly"])
def test_an_expression_is_for_a_whole_name(topics: str) -> None:
    assert loaded(KAFKA_TOPICS=topics, DEAD_LETTER_TOPIC="dead").dead_letter_topic == "dead"


def test_the_dead_letter_topic_has_a_topics_name() -> None:
    assert "is no topic's name" in problem(DEAD_LETTER_TOPIC="dead letters")


# The URL and the proxy


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "https://track.customer.io"),
        ({"CUSTOMERIO_REGION": "eu"}, "https://track-eu.customer.io"),
        ({"CUSTOMERIO_URL": "http://localhost:8080/"}, "http://localhost:8080"),
        ({"CUSTOMERIO_URL": "https://proxy/track/", "CUSTOMERIO_REGION": "eu"}, None),
    ],
)
def test_the_url_is_the_regions_unless_one_is_given(
    variables: dict[str, str], url: str | None
) -> None:
    assert loaded(**variables).api_url == (url or "https://proxy/track")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://host", "is no http or https URL"),
        ("host:8080", "is no http or https URL"),
        ("http://", "is no http or https URL"),
        ("http://host:99999", "is no http or https URL"),
        ("http://[half", "is no http or https URL"),
        ("http://host/a b", "is no http or https URL"),
        ("http://host/?token=hunter2", "has more than a path after the host"),
        ("http://me:hunter2@host", "has credentials in it"),
        ("me:hunter2@host", "is no http or https URL"),
        ("http://bücher.example", "is no http or https URL"),
        ("http://me:hun@hunter2@host:x", "is no http or https URL"),
    ],
)
def test_a_url_that_cannot_be_the_apis_is_a_problem_without_its_credentials(
    text: str, reason: str
) -> None:
    line = problem(CUSTOMERIO_URL=text)
    assert f": {reason}; accepts http://host or https://host" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "http://b:1"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": ""}, None),
        ({"HTTP_PROXY": "http://a:1"}, None),
        ({"HTTP_PROXY": "http://a:1", "CUSTOMERIO_URL": "http://host"}, "http://a:1"),
        ({"ALL_PROXY": "http://a:1"}, "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://b:1"),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "x,.customer.io"}, None),
        ({"HTTPS_PROXY": "http://a:1", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "other.io"}, "http://a:1"),
        ({"ALL_PROXY": "a:1", "NO_PROXY": "::1", "CUSTOMERIO_URL": "http://[::1]:80"}, None),
    ],
)
def test_the_proxy_is_the_one_that_curl_would_take(
    variables: dict[str, str], proxy: str | None
) -> None:
    assert loaded(**variables).proxy_url == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("10.0.0.0/8", "https://10.2.3.4"),
        ("10.0.0.9/8", "https://10.2.3.4"),
        ("192.168.0.0/16, 10.0.0.0/8", "https://10.2.3.4:8443"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]"),
        ("fd00::/8", "https://[fd12::1]:8443"),
        ("10.2.3.4", "https://10.2.3.4"),
        ("10.2.3.4:443", "https://10.2.3.4"),
        ("FD12::1", "https://[fd12:0::1]"),
        ("[fd12::1]:8443", "https://[fd12::1]:8443"),
        ("[fd12::1]", "https://[fd12::1]"),
        ("customer.io", "https://track.customer.io"),
        ("Customer.IO", "https://track.customer.io"),
        (".customer.io", "https://track.customer.io"),
        (".customer.io", "https://customer.io"),
        ("*.customer.io", "https://track.customer.io"),
        ("customer.io.", "https://customer.io"),
        ("customer.io", "https://customer.io."),
        ("customer.io:443", "https://track.customer.io"),
        ("customer.io:80", "http://customer.io"),
        ("a b customer.io", "https://customer.io"),
        ("a,*", "https://customer.io"),
        (" * ", "https://customer.io"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_no_proxy_exempts_names_addresses_and_networks(no_proxy: str, url: str) -> None:
    variables = {"CUSTOMERIO_URL": url, "ALL_PROXY": "http://a:1", "NO_PROXY": no_proxy}
    assert loaded(**variables).proxy_url is None
    lower = {**variables, "no_proxy": variables.pop("NO_PROXY"), "NO_PROXY": "other"}
    assert loaded(**lower).proxy_url is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("10.0.0.0/8", "https://11.2.3.4"),
        ("10.0.0.0/99", "https://10.2.3.4"),
        ("10.0.0.0/8", "https://ten.example"),
        ("fd00::/8", "https://10.2.3.4"),
        ("10.0.0.0/8", "https://[fd12::1]"),
        ("10.2.3.4:80", "https://10.2.3.4"),
        ("3.4", "https://10.2.3.4"),
        ("customer.io", "https://notcustomer.io"),
        ("track.customer.io", "https://customer.io"),
        ("customer.io:80", "https://customer.io"),
        ("[fd12::1]:80", "https://[fd12::1]:8443"),
        (".", "https://customer.io"),
        (",, ,", "https://customer.io"),
        ("[", "https://customer.io"),
        (":443", "https://customer.io"),
        ("", "http://localhost:8080"),
    ],
)
def test_no_proxy_exempts_nothing_else(no_proxy: str, url: str) -> None:
    variables = {"CUSTOMERIO_URL": url, "ALL_PROXY": "http://a:1", "NO_PROXY": no_proxy}
    assert loaded(**variables).proxy_url == "http://a:1"


def test_a_proxy_may_stand_in_dotenv(process: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HTTPS_PROXY=http://a:1\nNO_PROXY=x\n")
    process.setenv("NO_PROXY", "y")
    assert load().proxy_url == "http://a:1"


def test_a_proxy_that_cannot_be_used_is_a_problem_without_its_credentials() -> None:
    assert problem(ALL_PROXY="socks5://me:hunter2@host:1") == (
        "ALL_PROXY: got 'socks5://***@host:1'; accepts http://host:port"
    )


def test_a_proxy_that_is_not_for_the_api_may_be_anything() -> None:
    assert loaded(ALL_PROXY="socks5://host:1", NO_PROXY="customer.io").proxy_url is None


def test_a_proxy_is_not_spoken_to_over_tls() -> None:
    assert problem(HTTPS_PROXY="https://me:hunter2@host:1") == (
        "HTTPS_PROXY: got 'https://***@host:1'; accepts http://host:port"
    )


def test_a_certificate_file_must_have_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    assert "is no file" in problem(SSL_CERT_FILE=str(file))
    file.touch()
    assert "has no certificates that can be read" in problem(SSL_CERT_FILE=str(file))
    file.write_bytes(Path(certifi.where()).read_bytes())
    assert loaded(SSL_CERT_FILE=str(file)).ssl_cert_file == str(file)


# Settings that must agree


@pytest.mark.parametrize("drain", ["10", "5"])
def test_a_drain_outlasts_a_request(drain: str) -> None:
    assert problem(DRAIN_TIMEOUT_SECONDS=drain) == (
        f"DRAIN_TIMEOUT_SECONDS: got {drain}; accepts more than CUSTOMERIO_TIMEOUT_SECONDS (10)"
    )


@pytest.mark.parametrize(
    ("drain", "config"), [("300", "{}"), ("50", '{"max.poll.interval.ms": 50000}')]
)
def test_a_drain_ends_before_the_group_gives_the_member_up(drain: str, config: str) -> None:
    line = problem(DRAIN_TIMEOUT_SECONDS=drain, KAFKA_CONFIG=config)
    assert line.startswith(f"DRAIN_TIMEOUT_SECONDS: got {drain}; accepts less than max.poll")


def test_a_longer_poll_interval_allows_a_longer_drain() -> None:
    config = '{"max.poll.interval.ms": "600000"}'
    assert loaded(DRAIN_TIMEOUT_SECONDS="400", KAFKA_CONFIG=config).drain_timeout_seconds == 400


@pytest.mark.parametrize(
    ("protocol", "session", "timeout", "fits"),
    [
        ("classic", "14.4", "10", True),
        ("classic", "14.3", "10", False),
        ("classic", "35", "30", True),
        ("classic", "34.9", "30", False),
        ("consumer", "14.4", "10", True),
        ("consumer", "37", "30", True),
        ("consumer", "36.9", "30", False),
    ],
)
def test_a_session_outlasts_a_request_and_a_heartbeat_by_two_seconds(
    protocol: str, session: str, timeout: str, fits: bool
) -> None:
    variables = {
        "KAFKA_GROUP_PROTOCOL": protocol,
        "KAFKA_SESSION_TIMEOUT_SECONDS": session,
        "CUSTOMERIO_TIMEOUT_SECONDS": timeout,
        "DRAIN_TIMEOUT_SECONDS": "60",
    }
    if fits:
        assert loaded(**variables).kafka_session_timeout_seconds == float(session)
    else:
        assert problem(**variables).startswith(
            f"KAFKA_SESSION_TIMEOUT_SECONDS: got {session}; accepts at least"
        )


def test_a_classic_session_is_no_longer_than_the_poll_interval() -> None:
    line = problem(KAFKA_SESSION_TIMEOUT_SECONDS="301")
    assert line.startswith("KAFKA_SESSION_TIMEOUT_SECONDS: got 301; accepts at most max.poll")
    loaded(KAFKA_SESSION_TIMEOUT_SECONDS="301", KAFKA_GROUP_PROTOCOL="consumer")


@pytest.mark.parametrize(
    ("protocol", "session", "heartbeat"),
    [
        ("classic", "45", 3),
        ("classic", "15", 2.5),
        ("consumer", "45", 5),
        ("consumer", "30", 5),
        ("consumer", "24", 4),
    ],
)
def test_the_heartbeat_is_a_sixth_of_the_session_up_to_a_limit(
    protocol: str, session: str, heartbeat: float
) -> None:
    settings = loaded(KAFKA_GROUP_PROTOCOL=protocol, KAFKA_SESSION_TIMEOUT_SECONDS=session)
    assert settings.heartbeat_interval_seconds == heartbeat


@pytest.mark.parametrize("protocol", ["", "classic"])
def test_a_static_member_is_one_of_kip_848(protocol: str) -> None:
    line = problem(KAFKA_GROUP_INSTANCE_ID="pod-0", KAFKA_GROUP_PROTOCOL=protocol)
    assert line == (
        "KAFKA_GROUP_INSTANCE_ID: got 'pod-0', with KAFKA_GROUP_PROTOCOL=classic; "
        "accepts text with KAFKA_GROUP_PROTOCOL=consumer only"
    )
    settings = loaded(KAFKA_GROUP_INSTANCE_ID="pod-0", KAFKA_GROUP_PROTOCOL="consumer")
    assert settings.kafka_group_instance_id == "pod-0"


# A login and its encryption


def test_credentials_without_sasl_are_a_problem() -> None:
    for protocol in ("", "plaintext", "ssl"):
        for name, text in (*LOGIN.items(), ("KAFKA_SASL_PASSWORD", "hunter2")):
            if name != "KAFKA_SECURITY_PROTOCOL":
                line = problem(KAFKA_SECURITY_PROTOCOL=protocol, **{name: text})
                assert line.startswith("KAFKA_SECURITY_PROTOCOL: ")
                assert f"but {name} only counts with SASL; accepts sasl_ssl" in line
                assert "hunter2" not in line


def test_all_that_a_login_lacks_is_said_beside_missing_files() -> None:
    def names(**variables: str) -> list[str]:
        files = {f"KAFKA_SSL_{name}_LOCATION": "/no" for name in ("CA", "CERTIFICATE", "KEY")}
        lines = problems(KAFKA_SECURITY_PROTOCOL="sasl_ssl", **files, **variables)
        return [line.partition(":")[0].removeprefix("KAFKA_") for line in lines]

    files = ["SSL_CA_LOCATION", "SSL_CERTIFICATE_LOCATION", "SSL_KEY_LOCATION"]
    assert names() == [*files, "SASL_MECHANISM"]
    for mechanism in ("plain", "SCRAM-SHA-256"):
        assert names(KAFKA_SASL_MECHANISM=mechanism) == [*files, "SASL_USERNAME", "SASL_PASSWORD"]
    assert names(KAFKA_SASL_MECHANISM="PLAIN", KAFKA_SASL_USERNAME="u") == [*files, "SASL_PASSWORD"]
    assert names(KAFKA_SASL_MECHANISM="OAUTHBEARER") == [*files, "OAUTH_PROVIDER"]
    assert names(KAFKA_SASL_MECHANISM="x") == ["SASL_MECHANISM", *files]
    assert names(KAFKA_SASL_MECHANISM="GSSAPI") == [*files, "SASL_MECHANISM"]


@pytest.mark.parametrize("name", ["CA", "CERTIFICATE", "KEY"])
def test_a_file_for_tls_is_there_and_has_pem_in_it(tmp_path: Path, name: str) -> None:
    variable, file = f"KAFKA_SSL_{name}_LOCATION", tmp_path / "file.pem"
    assert ": is no file; accepts the path of a PEM file" in problem(**{variable: str(file)})
    file.write_bytes(b"\x30\x82\x01\x0a")
    assert ": has no PEM in it (-----BEGIN ...); accepts" in problem(**{variable: str(file)})
    file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    line = problem(**{variable: str(file)}, KAFKA_SECURITY_PROTOCOL="ssl")
    assert line.startswith(f"{variable}: got {str(file)!r}; librdkafka says: ")
    assert not re.search(r"error:|lib\b|routines|::", line)


def test_authorities_may_be_a_directory_and_a_key_not(tmp_path: Path) -> None:
    assert loaded(KAFKA_SECURITY_PROTOCOL="ssl", KAFKA_SSL_CA_LOCATION=str(tmp_path))
    assert loaded(KAFKA_SECURITY_PROTOCOL="ssl", KAFKA_SSL_CA_LOCATION="probe")
    assert "can't be read (IsADirectoryError)" in problem(KAFKA_SSL_KEY_LOCATION=str(tmp_path))


def test_authorities_without_encryption_are_worth_a_word(tmp_path: Path) -> None:
    (warning,) = loaded(KAFKA_SSL_CA_LOCATION=str(tmp_path)).warnings
    assert warning == (
        "KAFKA_SSL_CA_LOCATION counts with KAFKA_SECURITY_PROTOCOL=ssl or sasl_ssl only; with"
        " plaintext nothing is encrypted"
    )


# KAFKA_CONFIG


def test_properties_are_taken_with_text_numbers_and_booleans() -> None:
    config = '{"client.rack": "eu-1a", "fetch.wait.max.ms": 100, "socket.nagle.disable": true}'
    values = loaded(KAFKA_CONFIG=config).kafka_config
    assert {name: value.get_secret_value() for name, value in values.items()} == {
        "client.rack": "eu-1a",
        "fetch.wait.max.ms": "100",
        "socket.nagle.disable": "true",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON (Expecting property name enclosed in double quotes at character 1)"),
        ('{"a": "\\x"}', "is no JSON (Invalid \\escape at character 7)"),
        ('{"a": "b\nc"}', "is no JSON (Invalid control character at character 8)"),
        ('{"a": "b', "is no JSON (Unterminated string starting at character 6)"),
        ("[]", "is no JSON object"),
        ("[" * 100_000, "is beyond reason"),
    ],
)
def test_properties_that_are_no_json_object_are_a_problem(text: str, reason: str) -> None:
    assert problem(KAFKA_CONFIG=text).startswith(f"KAFKA_CONFIG: {reason}; accepts a JSON object")


def test_every_wrong_property_is_said_and_no_value_of_any() -> None:
    config = {"linger.ms": "hunter2", "no.such": "hunter2", "batch.size": -7331}
    assert problems(KAFKA_CONFIG=json.dumps(config)) == (
        "KAFKA_CONFIG: librdkafka refuses the value of 'linger.ms'; accepts what its manual says",
        "KAFKA_CONFIG: librdkafka has no property 'no.such'",
        "KAFKA_CONFIG: librdkafka refuses the value of 'batch.size'; accepts 1..2147483647",
    )


def test_a_property_that_is_refused_hides_no_other_and_one_that_stands_twice_none() -> None:
    config = '{"group.id": 1, "no.such": 1, "linger.ms": 1, "linger.ms": NaN, "batch.size": "x"}'
    assert [line.partition("; ")[0] for line in problems(KAFKA_CONFIG=config)] == [
        "KAFKA_CONFIG: 'group.id' is refused",
        "KAFKA_CONFIG: 'linger.ms' has a value that is neither text nor number nor boolean",
        "KAFKA_CONFIG: 'linger.ms' is there twice",
        "KAFKA_CONFIG: librdkafka has no property 'no.such'",
        "KAFKA_CONFIG: librdkafka refuses the value of 'batch.size'",
    ]


def test_a_wrong_number_among_the_properties_makes_no_other_setting_wrong() -> None:
    config = '{"max.poll.interval.ms": "\uff16\uff10\uff10\uff10\uff10\uff10"}'
    line = problem(KAFKA_CONFIG=config, DRAIN_TIMEOUT_SECONDS="400")
    assert line.startswith("KAFKA_CONFIG: librdkafka refuses the value of 'max.poll.interval.ms'")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("bootstrap.servers", "KAFKA_BOOTSTRAP_SERVERS sets it"),
        ("metadata.broker.list", "KAFKA_BOOTSTRAP_SERVERS sets it"),
        ("sasl.mechanisms", "KAFKA_SASL_MECHANISM sets it"),
        ("ssl.key.password", "KAFKA_SSL_KEY_PASSWORD sets it"),
        ("client.id", "KAFKA_CLIENT_ID sets it"),
        ("session.timeout.ms", "KAFKA_SESSION_TIMEOUT_SECONDS sets it"),
        ("auto.offset.reset", "KAFKA_AUTO_OFFSET_RESET sets it"),
        ("enable.auto.commit", "it is the daemon's own"),
        ("auto.commit.enable", "it is the daemon's own"),
        ("partition.assignment.strategy", "it is the daemon's own"),
        ("rebalance_cb", "it is the daemon's own"),
        ("request.required.acks", "it is the daemon's own"),
        ("enable.idempotence", "it is the daemon's own"),
        ("transactional.id", "it is the daemon's own"),
        ("test.mock.num.brokers", "it is the daemon's own"),
        *RELIED_ON.items(),
    ],
)
def test_properties_of_the_daemon_are_refused_by_name(name: str, instead: str) -> None:
    line = problem(KAFKA_CONFIG=json.dumps({name: "hunter2"}))
    assert line == f"KAFKA_CONFIG: {name!r} is refused; {instead}"


def test_a_property_is_one_value() -> None:
    assert problem(KAFKA_CONFIG='{"client.rack": ["hunter2"]}') == (
        "KAFKA_CONFIG: 'client.rack' has a value that is neither text nor number nor boolean"
    )


@pytest.mark.parametrize("text", ['{"client.rack\\udc80": 1}', '{"client.rack": "a\\u0000b"}'])
def test_a_property_that_no_c_string_can_hold_is_a_problem(text: str) -> None:
    """confluent_kafka 2.16.1 makes a segmentation fault of such a name."""
    assert problem(KAFKA_CONFIG=text).endswith(" or its value is no UTF-8 text")


@pytest.mark.parametrize(
    "name", ["KAFKA_GROUP_ID", "KAFKA_TOPICS", "KAFKA_SASL_PASSWORD", "CUSTOMERIO_API_KEY"]
)
def test_bytes_that_are_no_utf8_are_a_problem(name: str) -> None:
    """Python has them in its environment as lone surrogates."""
    assert problem(**{name: "^a\udcff"}).startswith(f"{name}: got ")


# All at once


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    lines = problems(
        SECRETS_DIR=str(tmp_path / "missing"),
        KAFKA_TOPICS="a b",
        BATCH_MAX_IDS="0",
        DRAIN_TIMEOUT_SECONDS="5",
        KAFKA_SECURITY_PROTOCOL="ssl",
        KAFKA_SSL_CA_LOCATION="/no/such/file",
        KAFKA_CONFIG="{",
        HTTPS_PROXY="socks4://x:1",
        SSL_CERT_FILE="/no/such/file",
        CUSTOMERIO_API_KEY="",
    )
    assert sorted(line.partition(":")[0] for line in lines) == [
        "BATCH_MAX_IDS",
        "CUSTOMERIO_API_KEY",
        "DRAIN_TIMEOUT_SECONDS",
        "HTTPS_PROXY",
        "KAFKA_CONFIG",
        "KAFKA_SSL_CA_LOCATION",
        "KAFKA_TOPICS",
        "SECRETS_DIR",
        "SSL_CERT_FILE",
    ]


def test_a_problem_hides_no_other_of_its_kind_and_invents_none() -> None:
    """Without a readable KAFKA_CONFIG nobody knows max.poll.interval.ms."""
    lines = problems(KAFKA_CONFIG='{"max.poll.interval.ms": 600000', DRAIN_TIMEOUT_SECONDS="400")
    assert [line.partition(":")[0] for line in lines] == ["KAFKA_CONFIG"]


def test_every_variable_can_say_what_it_accepts() -> None:
    for name in VARIABLES:
        assert re.fullmatch(r"\S.*\S", accepts(Settings.model_fields[name.lower()])), name


# Secrets


def test_the_settings_for_the_log_have_no_secrets() -> None:
    shown = loaded(
        **LOGIN,
        KAFKA_SASL_PASSWORD="hunter2",
        KAFKA_CONFIG='{"client.rack": "hunter2"}',
        HTTPS_PROXY="http://me:hunter2@proxy:1",
        SECRETS_DIR="/",
    ).masked()
    assert "hunter2" not in json.dumps(shown)
    assert shown["customerio_api_key"] == "***"
    assert shown["kafka_sasl_password"] == "***"
    assert shown["kafka_ssl_key_password"] is None
    assert shown["kafka_config"] == {"client.rack": "***"}
    assert shown["proxy_url"] == "http://***@proxy:1"
    assert shown["secrets_dir"] == "/"
    assert shown["kafka_topics"] == ("audience",)


_SECRET = st.text("abc \t\n:@/?#%\"'\\{}[]$ä\u2028", max_size=12).map(lambda t: f"hunter2{t}7331")
_NAMES = [
    *sorted(SECRETS),
    *("HTTPS_PROXY", "CUSTOMERIO_URL", "KAFKA_TYPO", "CUSTOMERIO_API_KEYS", "batch_max_ids"),
]


@hypothesis(deadline=None, max_examples=60)
@example(  # a user's name that looks like a scheme
    variables={"CUSTOMERIO_URL": "hunter2:7331"}, config={}, url="{}@host", protocol="", wrong=False
)
@example(
    variables={"HTTPS_PROXY": "hunter2://7331"}, config={}, url="{}@host", protocol="", wrong=False
)
@given(
    variables=st.dictionaries(st.sampled_from(_NAMES), _SECRET, min_size=1),
    config=st.dictionaries(
        st.sampled_from(["linger.ms", "debug", "ssl.ca.pem", "group.id", "x", "client.rack"]),
        _SECRET,
    ),
    url=st.sampled_from(["https://me:{}@host", "{}@host", "http://{}@", "socks5://u:{}@h"]),
    protocol=st.sampled_from(["", "ssl", "sasl_ssl"]),
    wrong=st.booleans(),
)
def test_no_secret_is_ever_said(
    variables: dict[str, str], config: dict[str, str], url: str, protocol: str, wrong: bool
) -> None:
    for name in {"HTTPS_PROXY", "CUSTOMERIO_URL"} & set(variables):
        variables[name] = url.format(variables[name])
    if config:
        variables["KAFKA_CONFIG"] = json.dumps(config)
    variables["KAFKA_SECURITY_PROTOCOL"] = protocol
    variables["HTTP_PORT"] = "port" if wrong else "1"
    try:
        settings = loaded(**variables)
    except SettingsError as error:
        said = "\n".join([*error.problems, *error.warnings, str(error), repr(error)])
    else:
        said = "\n".join(
            [
                *settings.warnings,
                repr(settings),
                str(settings),
                repr(settings.found),
                json.dumps(settings.masked()),
            ]
        )
    assert "hunter2" not in said
    assert "7331" not in said


_ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            '"',
            "''",
            "\ufeff",
            "\u200b",
            "\x00",
            "\udcff",
            "\uff19",
            "a\nb",
            "a\r",
            "true",
        ),
        *(
            "1e999",
            "-0",
            "nan",
            "1e-320",
            "9" * 600,
            "x" * 600,
            "9" * 5000,
            "0",
            "7",
            "0.5",
            "SASL_SSL://b",
        ),
        *("/", "/no/such", "/dev/null", "~", ".", "{", "{}", "[]", '{"": ""}', '{"a": {"b": 1}}'),
        *(
            "^",
            "^(",
            "^[[:x:]]",
            ",",
            ",,",
            "://",
            "http://[",
            "https://[::g]",
            "http://a..b",
            "a@b",
        ),
        *("sasl_ssl", "ssl", "PLAIN", "gssapi", "consumer", "EU", "stall", "probe", "%zz", "${X}"),
        *(
            '{"sasl.jaas.config": "x"}',
            '{"ssl.ca.pem": "x"}',
            '{"x\\u0000": 1}',
            '{"debug": "all"}',
        ),
    ]
)
_NAMED = (*VARIABLES, ".env", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")


@hypothesis(deadline=None, max_examples=300)
@example({"KAFKA_BOOTSTRAP_SERVERS": "0 0"})
@example({"KAFKA_BOOTSTRAP_SERVERS": "error:"})
@example({"SECRETS_DIR": "9" * 5000})
@given(st.dictionaries(st.sampled_from(_NAMED[: len(VARIABLES)] + _NAMED[-5:]), _ODD | st.text()))
def test_whatever_the_environment_is_each_problem_names_its_variable(
    variables: dict[str, str],
) -> None:
    try:
        Api(loaded(**variables).api_url, ("site", "key"), timeout_seconds=1, max_connections=1)
    except SettingsError as error:
        for line in error.problems:
            name, _, said = line.partition(": ")
            assert name in _NAMED
            assert said
            assert line.isprintable()
            assert len(line) < 1500, line
            librarys_own = re.search(r"BIO lib|PEM lib|error:|Traceback|Error\(", line)
            assert librarys_own is None or librarys_own[0] in str(variables.values()), line
            says_twice = re.search(r"\b(\w+) \1\b", line)
            assert says_twice is None or says_twice[0] in str(variables.values()), line


# Credentials that are rotated


def test_credentials_are_read_again_from_their_files(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_API_KEY="old\n")
    settings = loaded(SECRETS_DIR=directory, CUSTOMERIO_API_KEY="")
    secrets(tmp_path / "s", CUSTOMERIO_API_KEY="new\n", CUSTOMERIO_SITE_ID="a stranger")
    site_id, api_key = settings.reread_credentials()
    assert (site_id.get_secret_value(), api_key.get_secret_value()) == ("site", "new")


def test_credentials_survive_the_moment_in_which_a_mounted_secret_is_replaced(
    tmp_path: Path,
) -> None:
    directory = secrets(tmp_path / "s", CUSTOMERIO_API_KEY="old", CUSTOMERIO_SITE_ID="old")
    settings = loaded(SECRETS_DIR=directory, CUSTOMERIO_API_KEY="", CUSTOMERIO_SITE_ID="")
    secrets(tmp_path / "s", CUSTOMERIO_API_KEY="new", CUSTOMERIO_SITE_ID="new")
    known = settings.reread_credentials()
    (tmp_path / "s" / "CUSTOMERIO_API_KEY").write_text("")
    (tmp_path / "s" / "CUSTOMERIO_SITE_ID").unlink()
    assert settings.reread_credentials(known) == known
    assert settings.reread_credentials() == settings.credentials
