"""The Schema Registry's settings: what they accept, and what they must be together."""

import importlib.util
from pathlib import Path

import pytest

from consumer import readers
from consumer.core.schemas.reader import SchemaReader
from consumer.customerio.network import basic
from consumer.registry.patient import PatientReader
from consumer.registry.registry import Access
from consumer.settings import SECRETS
from tests.support.certificates import Authority
from tests.test_settings import loaded, problem, problems, secrets

URL = "http://registry:8081"
ON = {"EVENT_FORMAT": "schema-registry", "SCHEMA_REGISTRY_URL": URL}


def test_values_are_plain_json_unless_it_is_said() -> None:
    settings = loaded()
    assert settings.event_format == "json"
    assert readers.schemas_of(settings) is None
    assert readers.reader_of(settings, None) is None
    assert readers.patient_reader_of(settings) is None


def test_with_the_registry_there_is_a_reader_with_a_mapping_and_without() -> None:
    for mapping in ({}, {"EVENT_MAPPING": "maxwell"}):
        settings = loaded(**{**ON, **mapping, "EVENT_FORMAT": "Schema-Registry"})
        schemas = readers.schemas_of(settings)
        assert schemas is not None
        assert isinstance(readers.reader_of(settings, schemas), SchemaReader)
        assert isinstance(readers.patient_reader_of(settings), PatientReader)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (URL, (URL,)),
        ("https://a/ , http://b:1/apis/ccompat/v7/,", ("https://a", "http://b:1/apis/ccompat/v7")),
        (f"{URL},{URL}/", (URL,)),
    ],
)
def test_the_url_may_be_several(text: str, urls: tuple[str, ...]) -> None:
    assert loaded(**{**ON, "SCHEMA_REGISTRY_URL": text}).schema_registry_url == urls


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("registry:8081", "is no http or https URL"),
        (",", "is no http or https URL"),
        ("http://a,ftp://b", "is no http or https URL"),
        ("http://me:hunter2@a", "has credentials in it"),
        ("http://a?x=y", "has more than a path after the host"),
    ],
)
def test_one_that_is_none_is_told(text: str, says: str) -> None:
    line = problem(**{**ON, "SCHEMA_REGISTRY_URL": text})
    assert line.startswith("SCHEMA_REGISTRY_URL: got ")
    assert says in line
    assert "accepts http://host:port or https://host:port" in line
    assert "hunter2" not in line


def test_it_is_required_with_the_registry() -> None:
    line = problem(EVENT_FORMAT="schema-registry")
    assert line.startswith("SCHEMA_REGISTRY_URL: is missing, and EVENT_FORMAT is schema-registry")
    assert problem(EVENT_FORMAT="avro").endswith("accepts one of: json, schema-registry")


def test_without_what_reads_avro_or_protobuf_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing: set[str] = set()
    find = importlib.util.find_spec

    def find_spec(name: str) -> object:
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name)
        return find(name)

    monkeypatch.setattr("consumer.settings.checks.find_spec", find_spec)
    missing.add("fastavro")
    loaded(**ON)
    missing.add("google")
    line = problem(**ON)
    assert "pip install segment-consumer[avro]" in line
    assert line.startswith("EVENT_FORMAT: got 'schema-registry'")
    loaded()


def test_a_login_has_a_user_and_a_password_or_a_token() -> None:
    assert problem(**ON, SCHEMA_REGISTRY_USERNAME="me") == (
        "SCHEMA_REGISTRY_PASSWORD: is missing, and SCHEMA_REGISTRY_USERNAME is there; accepts text"
    )
    assert problem(**ON, SCHEMA_REGISTRY_PASSWORD="hunter2") == (
        "SCHEMA_REGISTRY_USERNAME: is missing, and SCHEMA_REGISTRY_PASSWORD is there; accepts text"
    )
    login = {"SCHEMA_REGISTRY_USERNAME": "me", "SCHEMA_REGISTRY_PASSWORD": "hunter2"}
    loaded(**ON, **login)
    line = problem(**ON, **login, SCHEMA_REGISTRY_BEARER_TOKEN="hunter3")
    assert line.endswith("accepts one kind of login")
    line = problem(**ON, SCHEMA_REGISTRY_BEARER_TOKEN="hunter 3")
    assert line.startswith("SCHEMA_REGISTRY_BEARER_TOKEN: got a value that is not shown")
    line = problem(**ON, **{**login, "SCHEMA_REGISTRY_USERNAME": "m:e"})
    assert "has a colon in it" in line


def test_secrets_are_secrets(tmp_path: Path) -> None:
    assert {"SCHEMA_REGISTRY_PASSWORD", "SCHEMA_REGISTRY_BEARER_TOKEN"} <= SECRETS
    directory = secrets(tmp_path / "s", SCHEMA_REGISTRY_BEARER_TOKEN="hunter2\n")
    settings = loaded(**ON, SECRETS_DIR=directory)
    assert "hunter2" not in str(settings.masked())
    assert "hunter2" not in repr(settings)


def test_they_are_looked_at_each_time(tmp_path: Path) -> None:
    directory = secrets(tmp_path / "s", SCHEMA_REGISTRY_PASSWORD="old")
    settings = loaded(**ON, SCHEMA_REGISTRY_USERNAME="me", SECRETS_DIR=directory)
    ask = readers.registry_of(settings)._authorization  # noqa: SLF001 - it would ask a registry
    assert ask() == basic("me", "old")
    (tmp_path / "s" / "SCHEMA_REGISTRY_PASSWORD").write_text("new\n")
    assert ask() == basic("me", "new")
    (tmp_path / "s" / "SCHEMA_REGISTRY_PASSWORD").write_text("")
    assert ask() == basic("me", "old")
    directory = secrets(tmp_path / "t", SCHEMA_REGISTRY_BEARER_TOKEN="one")
    ask = readers.registry_of(loaded(**ON, SECRETS_DIR=directory))._authorization  # noqa: SLF001 - as above
    assert ask() == b"Bearer one"
    assert readers.registry_of(loaded(**ON))._authorization() is None  # noqa: SLF001 - as above


def test_certificates_go_with_their_keys(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (authority.issue(name).put(tmp_path / name) for name in ("one", "two"))
    both = tmp_path / "both.pem"
    both.write_text(one.certificate.read_text() + one.key.read_text())
    certificate, key = "SCHEMA_REGISTRY_CERTIFICATE_LOCATION", "SCHEMA_REGISTRY_KEY_LOCATION"
    settings = loaded(
        **{**ON, certificate: str(one.certificate), key: str(one.key)},
        SCHEMA_REGISTRY_CA_LOCATION=str(authority.path),
    )
    assert readers.registry_of(settings)._access == [  # noqa: SLF001 - what it was made with
        Access(URL, None, str(authority.path), (str(one.certificate), str(one.key)))
    ]
    loaded(**{**ON, certificate: str(both)})
    line = problem(**{**ON, certificate: str(one.certificate), key: str(two.key)})
    assert "can't be used with its key (KEY_VALUES_MISMATCH)" in line
    assert "can't be used with its key" in problem(**{**ON, certificate: str(one.certificate)})
    line = problem(**{**ON, key: str(one.key)})
    assert line.startswith(f"{certificate}: is missing, and {key} is there")
    assert len(problems(**{**ON, certificate: "nowhere", key: "nowhere"})) == 2


def test_the_proxy_of_the_environment_is_used_unless_it_is_exempt() -> None:
    proxies = {"HTTP_PROXY": "proxy:3128", "NO_PROXY": "other"}
    settings = loaded(
        **{**ON, **proxies, "SCHEMA_REGISTRY_URL": f"{URL},http://other:1"},
        CUSTOMERIO_URL="http://other",
    )
    assert [each.proxy_url for each in readers.registry_of(settings)._access] == [  # noqa: SLF001 - what it was made with
        "http://proxy:3128",
        None,
    ]
    line = problem(**ON, HTTP_PROXY="socks5://proxy", CUSTOMERIO_URL="https://api")
    assert line == "HTTP_PROXY: got 'socks5://proxy'; accepts http://host:port"


def test_what_counts_with_the_registry_only_gets_a_word() -> None:
    (warning,) = loaded(SCHEMA_REGISTRY_URL=URL).warnings
    assert warning == "SCHEMA_REGISTRY_URL counts with EVENT_FORMAT=schema-registry only"
    (warning,) = loaded(SCHEMA_REGISTRY_URL=URL, SCHEMA_REGISTRY_USERNAME="me").warnings
    assert "and SCHEMA_REGISTRY_USERNAME count with" in warning
    assert loaded(**ON).warnings == ()
