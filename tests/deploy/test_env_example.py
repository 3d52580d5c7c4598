"""``.env.example``: every name is a setting's, every value is taken, by whoever reads the file."""

import re
from collections.abc import Mapping

import pytest

from consumer import settings
from consumer.settings import dotenv
from tests.deploy.tools import ROOT

TEXT = (ROOT / ".env.example").read_text()
COMMENTED = re.compile(r"^#(?=[A-Z_]+=)", re.MULTILINE)
WHOLE = COMMENTED.sub("", TEXT)
WITH_A_PASSWORD = re.sub(r"(?m)^KAFKA_OAUTH_.*\n", "", WHOLE)
WITH_TOKENS = re.sub(
    r"(?m)^KAFKA_SASL_(USERNAME|PASSWORD)=.*\n", "", WHOLE.replace("SCRAM-SHA-512", "OAUTHBEARER")
)
REQUIRED = {
    name
    for name in settings.VARIABLES
    if settings.Settings.model_fields[name.lower()].is_required()
}
LOGIN = {"CUSTOMERIO_SITE_ID": "site", "CUSTOMERIO_API_KEY": "key"}


def told(text: str = TEXT) -> Mapping[str, str]:
    """Return what the file sets, as ``docker --env-file`` has it: the line behind the =."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_it_sets_what_is_required_and_nothing_that_is_secret() -> None:
    assert told().keys() >= REQUIRED
    assert {name for name in told() if not told()[name]} == settings.SECRETS & told().keys()


@pytest.mark.parametrize(
    "text", [TEXT, WITH_A_PASSWORD, WITH_TOKENS], ids=["as it is", "with a password", "with tokens"]
)
def test_the_daemon_takes_it(text: str, tmp_path: object) -> None:
    given = {**told(text), **LOGIN}
    if "SECRETS_DIR" in given:
        given["SECRETS_DIR"] = str(tmp_path)
    for name in {"KAFKA_SASL_PASSWORD", "KAFKA_OAUTH_CLIENT_SECRET"} & given.keys():
        assert not given[name]
        given[name] = "password"
    loaded = settings.load(given)
    assert not loaded.warnings
    assert given.keys() <= set(settings.VARIABLES)


def test_it_has_every_setting_that_a_login_takes() -> None:
    login = re.compile("KAFKA_(SECURITY|SASL|OAUTH)_")
    assert {name for name in settings.VARIABLES if login.match(name)} <= told(WHOLE).keys()


def test_what_is_commented_out_is_the_default_or_an_example() -> None:
    """So that taking a # away changes nothing that one doesn't see."""
    examples = {
        *("SECRETS_DIR", "EVENT_MAPPING", "EVENT_SEGMENTS", "KAFKA_CONFIG"),
        *(n for n in settings.VARIABLES if re.match("KAFKA_(SECURITY|SASL|SSL|OAUTH)_", n)),
    }
    for name, value in told(WHOLE).items():
        default = settings.Settings.model_fields[name.lower()].default
        if name not in REQUIRED | examples:
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert value == shown, name


def test_docker_and_the_daemon_read_the_same_of_it() -> None:
    for text in (TEXT, WHOLE):
        assert dotenv.values(text) == told(text)
