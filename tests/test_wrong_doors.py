"""Whatever is wrong with a login, a certificate, a port or a right is said in one line.

By ``check`` and at ``/readyz``, with the cause and the setting to change. What was tried is the
table in `tests.support.wrong_doors`; all of it on one broker, the daemons side by side.
"""

import io
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from consumer.commands.check.check import run
from consumer.settings import SettingsError, load
from tests.support.api import FaultyApi
from tests.support.authorizer import EVERYTHING, Right
from tests.support.certificates import Authority
from tests.support.daemon import Daemon
from tests.support.doors import Doors
from tests.support.token_endpoint import TokenEndpoint
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.support.ways import CERTIFICATE, WAYS, Way
from tests.support.wrong_doors import (
    BY_RIGHTS,
    FOR_ELSEWHERE,
    OVER_ELSEWHERE,
    SECRET,
    WRONG,
    Place,
    Wrong,
)

pytestmark = pytest.mark.xdist_group("a broker with every door, and what is wrong there")

CHECKS_SIDE_BY_SIDE, DAEMONS_SIDE_BY_SIDE = 4, 10
QUICK: dict[str, object] = {
    "CUSTOMERIO_SITE_ID": "site",
    "CUSTOMERIO_API_KEY": "key",
    "CUSTOMERIO_TIMEOUT_SECONDS": 1,
    "DRAIN_TIMEOUT_SECONDS": 4,
}
RUNBOOK = (Path(__file__).resolve().parents[1] / "deploy/runbook.md").read_text()


class Said(NamedTuple):
    """What was said of one thing: by ``check``, in the hold, at ``/readyz``, and all of it."""

    check: list[str]
    hold: str
    ready: str
    everything: str
    exit_code: int | None
    waited_in_vain: str


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Said]]:
    """Try all of it; return what was said, by what is wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    trusted, stranger = Authority(folder / "trusted"), Authority(folder / "stranger")
    over = Way(OVER_ELSEWHERE, "sasl_ssl", "PLAIN", shown=trusted.issue("over", seconds=-60))
    elsewhere = Way(
        FOR_ELSEWHERE,
        "sasl_ssl",
        "PLAIN",
        shown=trusted.issue("elsewhere", host="DNS:elsewhere.example"),
    )
    ways = {way.name: way for way in (*WAYS, over, elsewhere)}
    with (
        FaultyApi() as api,
        TokenEndpoint() as tokens,
        Doors(trusted, ways.values(), tokens=tokens) as broker,
    ):
        for way in ways.values():
            if way not in BY_RIGHTS:
                broker.allow(way.principal, EVERYTHING)
        trials, good = [], trusted.issue(CERTIFICATE.name)
        for row in WRONG:
            own = folder / uuid.uuid4().hex
            own.mkdir()
            name = f"topic-{own.name[:12]}"
            broker.create_topic(name, 1)
            place = Place(broker, trusted, stranger, good, own, name, f"group-{own.name[:12]}")
            trials.append(Trial(row, place, ways[row.way.name], api.url))
        found: dict[str, Said] = {}
        with ThreadPoolExecutor(CHECKS_SIDE_BY_SIDE) as pool:
            list(pool.map(Trial.run_check, trials))
        for begin in range(0, len(trials), DAEMONS_SIDE_BY_SIDE):
            batch = trials[begin : begin + DAEMONS_SIDE_BY_SIDE]
            with ThreadPoolExecutor(len(batch)) as pool:
                found |= {each.row.what: each.said for each in pool.map(Trial.run, batch)}
        yield found


class Trial:
    """One row, tried: first ``check``, then a daemon."""

    said: Said

    def __init__(self, row: Wrong, place: Place, way: Way, api_url: str) -> None:
        self.row = row
        self._place = place
        self._principal = way.principal
        rights = place.rights() if row.way in BY_RIGHTS else []
        door = place.broker.door(way)
        lacks = row.lacks or (lambda _: False)
        self._missing = [right for right in rights if lacks(right)]
        self._allow([right for right in rights if not lacks(right)])
        config = row.config if row.config is not None else door.kafka_config
        settings = {
            **QUICK,
            **door.settings,
            "KAFKA_TOPICS": place.topic,
            "KAFKA_GROUP_ID": place.group,
            "DEAD_LETTER_TOPIC": place.dead_letter_topic,
            "CUSTOMERIO_URL": api_url,
            "KAFKA_CONFIG": json.dumps({"reconnect.backoff.max.ms": 500, **config}),
            **row.change(place),
        }
        self._settings = {name: str(of) for name, of in settings.items() if of is not None}

    def _allow(self, rights: "list[Right]") -> None:
        if rights:
            self._place.broker.allow(self._principal, rights)

    def run(self) -> "Trial":
        """Try it with a daemon; ``check`` was run before."""
        with Daemon(self._settings) as daemon:
            check, row = self._check, self.row
            hold = ready = in_vain = ""
            try:
                if not row.has_hold:
                    daemon.wait_ready(PATIENCE_SECONDS)
                    row = row._replace(cause="", setting="")
                hold = eventually(
                    lambda: self._hold(daemon),
                    PATIENCE_SECONDS,
                    f"{row.cause!r} and {row.setting!r} in the hold",
                    until=lambda detail: row.cause in detail and row.setting in detail,
                    ignoring=(OSError,),
                )
                ready = daemon.reasons()
                self._mend(daemon)
            except AssertionError as error:  # of this row, not of them all
                in_vain = str(error)
            everything = daemon.output + daemon.errors + "\n".join(check)
            self.said = Said(check, hold, ready, everything, daemon.exit_code, in_vain)
        return self

    def run_check(self) -> None:
        """Run ``check``, and keep what failed."""
        stream = io.StringIO()
        run(load(self._settings), stream)
        lines = stream.getvalue().splitlines()
        state = "FAILED" if self.row.has_hold else "warning"
        self._check = [line for line in lines if line.startswith(state)]

    def _hold(self, daemon: Daemon) -> str:
        holds = daemon.status()["holds"]
        return "".join(each["detail"] for each in holds if each["reason"] == self.row.has_hold)

    def _mend(self, daemon: Daemon) -> None:
        """Mend what can be mended, and wait until all is well."""
        if self.row.mend is not None:
            self.row.mend(self._place)
        self._allow(self._missing)
        if self.row.mend is not None or self._missing:
            daemon.wait_ready(PATIENCE_SECONDS)


@pytest.mark.parametrize("row", WRONG, ids=[row.what for row in WRONG])
def test_what_is_wrong_is_said_in_one_line_with_the_setting_and_heals(
    said: Mapping[str, Said], row: Wrong
) -> None:
    found = said[row.what]
    assert not found.waited_in_vain
    assert len(found.check) == 1, found.check
    assert (row.in_check or row.cause) in found.check[0]
    assert row.setting in found.check[0]
    for line in (found.hold, found.ready) if row.has_hold else ():
        assert row.cause in line
        assert row.setting in line
    if not row.has_hold:  # nothing is in the way
        assert (found.hold, found.ready) == ("", "")
    assert "\n" not in found.hold
    assert "Traceback" not in found.everything
    assert SECRET not in found.everything
    assert found.exit_code is None


@pytest.mark.parametrize("row", WRONG, ids=[row.what for row in WRONG])
def test_the_runbook_has_it(row: Wrong) -> None:
    table = RUNBOOK.partition("| `/readyz` and `check` say |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    fitting = [
        cells
        for cells in rows
        for words in re.findall(r"`([^`]+)`", cells[0])
        if words in row.cause or row.cause in words
    ]
    assert fitting, row.cause
    assert any(row.setting.split()[0] in cells[-1] for cells in fitting), row.setting


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        ("GSSAPI", "KAFKA_SASL_MECHANISM: got 'GSSAPI'; librdkafka says: this build has no GSSAPI"),
        *(
            (
                name,
                (
                    f"KAFKA_SASL_MECHANISM: got '{name}': is a name of Java's clients: set"
                    " OAUTHBEARER, and KAFKA_OAUTH_PROVIDER=aws-msk-iam; accepts one of: PLAIN, "
                ),
            )
            for name in ("AWS_MSK_IAM", "aws-msk-iam")
        ),
        ("OAUTHBEARER", "KAFKA_OAUTH_PROVIDER: is missing"),
    ],
)
def test_a_login_that_there_can_not_be_is_a_problem_of_the_settings(
    mechanism: str, words: str
) -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_TOPICS": "audience-changes",
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_MECHANISM": mechanism,
        "CUSTOMERIO_SITE_ID": "site",
        "CUSTOMERIO_API_KEY": "key",
    }
    with pytest.raises(SettingsError) as told:
        load(settings)
    assert words in str(told.value)
