"""The registry's client against a real HTTP server: what it asks, whom, and what it makes of it."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consumer.core.events import Event, Malformed
from consumer.core.mapping.reading import Ignored
from consumer.core.schemas.answers import Failed, NotThere
from consumer.core.schemas.compiled import Compiled
from consumer.core.schemas.inquiries import Found
from consumer.core.schemas.reader import PlainReadings
from consumer.crashes import NEEDED_THREADS
from consumer.customerio.network import basic
from consumer.registry import registry as client
from consumer.registry.asker import Asker
from consumer.registry.fetch import MOST_REFERENCES, fetched
from consumer.registry.patient import PatientReader
from consumer.registry.registry import Access
from tests.support import registry as standin
from tests.support.certificates import Authority
from tests.support.mapped import NOTHING_BESIDE
from tests.support.registry import Registry, Served, status
from tests.support.waiting import PATIENCE_SECONDS, eventually
from tests.test_avro import CHANGE, a_field, change, written
from tests.test_protobuf import EVENT

SECRET = "hunter2"


@pytest.fixture
def registry() -> Registry:
    """Return an empty registry."""
    return Registry()


@pytest.fixture
def served(registry: Registry) -> Iterator[Served]:
    """Serve it."""
    with Served(registry) as served:
        yield served


def asking(
    *access: Access | str, authorization: Callable[[], bytes | None] = lambda: None
) -> Callable[[bytes], Found]:
    """Return what fetches schemas at these URLs."""
    each = tuple(Access(one) if isinstance(one, str) else one for one in access)
    return partial(fetched, client.Registry(each, authorization, "tests").ask)


def decoded(found: Found, payload: bytes) -> Any:  # noqa: ANN401 - any JSON
    assert isinstance(found, Compiled), found
    assert found.decode is not None
    return found.decode(payload)


def failed(found: Found) -> str:
    assert isinstance(found, Failed), found
    assert SECRET not in found.detail
    return found.detail


def test_a_schema_is_asked_for_by_its_id_or_guid(registry: Registry, served: Served) -> None:
    by_id, by_guid = registry.add(CHANGE, schema_id=258)
    fetch = asking(served.url)
    for prefix in (by_id, by_guid):
        found = fetch(prefix)
        assert str(found) == "Avro shop.Change"
        assert decoded(found, written(CHANGE, change())) == change()
    assert registry.asked[0] == "/schemas/ids/258"
    assert registry.asked[1].startswith("/schemas/guids/")
    assert registry.heard == [None, None]


def test_the_url_may_have_a_path(registry: Registry, served: Served) -> None:
    found = asking(f"{served.url}/apis/ccompat/v7/")(b"\0\0\0\0\1")
    assert registry.asked == ["/apis/ccompat/v7/schemas/ids/1"]
    assert "which no registry says of a schema: is the path in its URL right?" in failed(found)


def test_each_kind_of_schema_is_known(registry: Registry, served: Served) -> None:
    fetch = asking(served.url)
    by_id, _ = registry.add({"title": "T"}, "JSON")
    assert str(fetch(by_id)) == "JSON Schema T"
    by_id, _ = registry.add(EVENT, "PROTOBUF")
    assert decoded(fetch(by_id), b"\x02\x02\x0a\x01x") == {"id": "x"}


def test_references_are_fetched_with_theirs_each_once(registry: Registry, served: Served) -> None:
    inner = {**a_field("int"), "name": "Inner", "namespace": "a"}
    middle = {**a_field("a.Inner"), "name": "Middle", "namespace": "b"}
    outer = {
        "type": "record",
        "name": "Outer",
        "fields": [{"name": "f", "type": "b.Middle"}, {"name": "g", "type": "a.Inner"}],
    }
    to_inner, to_middle = ("a.Inner", "a/inner :x", 3), ("b.Middle", "b", 1)
    registry.add(inner, subject=("a/inner :x", 3))
    registry.add(middle, subject=("b", 1), references=[to_inner])
    by_id, _ = registry.add(outer, references=[to_middle, to_inner])
    found = asking(served.url)(by_id)
    value = {"f": {"f": {"f": 1}}, "g": {"f": 2}}
    references = ("a.Inner", inner), ("b.Middle", middle)
    assert decoded(found, written(outer, value, *references)) == value
    assert registry.asked[1:] == [
        "/subjects/b/versions/1?deleted=true",
        "/subjects/a%2Finner%20%3Ax/versions/3?deleted=true",
    ]


def test_so_are_imports(registry: Registry, served: Served) -> None:
    registry.add('syntax = "proto3"; message Id { string text = 1; }', "PROTOBUF", subject=("i", 1))
    text = 'syntax = "proto3"; import "x/id.proto"; message E { Id id = 1; }'
    by_id, _ = registry.add(text, "PROTOBUF", references=[("x/id.proto", "i", 1)])
    assert decoded(asking(served.url)(by_id), b"\0\x0a\x03\x0a\x01x") == {"id": {"text": "x"}}


def test_a_reference_that_is_not_there_is_named(registry: Registry, served: Served) -> None:
    by_id, _ = registry.add('"x"', references=[("x", "gone", 4)])
    assert asking(served.url)(by_id) == NotThere(
        "its reference gone, version 4: the version is not found"
    )


def test_references_in_a_circle_come_to_an_end(registry: Registry, served: Served) -> None:
    by_id, _ = registry.add('"x"', references=[("x", "x", 1)], subject=("x", 1))
    assert "no Avro schema that can be read" in failed(asking(served.url)(by_id))
    assert len(registry.asked) == 2


def test_so_do_more_of_them_than_anybody_has(registry: Registry, served: Served) -> None:
    many = [(f"x{number}", "x", number) for number in range(MOST_REFERENCES + 1)]
    for name, _, number in many[:-1]:
        registry.add({**a_field("int"), "name": name}, schema_id=number + 10, subject=("x", number))
    by_id, _ = registry.add('"x0"', references=many)
    assert failed(asking(served.url)(by_id)) == "it refers to more than 1000 others"


def test_what_it_does_not_know_is_not_there(served: Served) -> None:
    fetch = asking(served.url)
    assert fetch(b"\0\0\0\0\7") == NotThere("the schema is not found")
    assert fetch(b"\1" + b"\7" * 16) == NotThere("the schema is not found")


def test_a_schema_that_can_not_be_used_is_a_failure(registry: Registry, served: Served) -> None:
    by_id, _ = registry.add("no schema", "AVRO")
    detail = failed(asking(served.url)(by_id))
    assert detail == "it can't be used: no Avro schema that can be read (JSONDecodeError)"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (status(401), "401 with nothing in it: it refuses the login"),
        (status(403, b'{"message": "hunter2"}'), "403 with 22 bytes of JSON: the login may not"),
        (status(404, b"<html>hunter2</html>"), "404 with 20 bytes of HTML"),
        (status(200, b"<html>hunter2</html>"), "which is no schema: is this a Schema Registry?"),
        (status(200, b"{"), "which is no schema"),
        (status(302, Location="http://127.0.0.1:1/hunter2"), "a redirect, which is not followed"),
        (status(500), "it answered 500"),
        (status(503, b'{"error_code": 50302}'), "(error code 50302)"),
        (standin.nothing, "disconnected without sending a response"),
    ],
    ids=range(9),
)
def test_whatever_else_it_says_is_a_failure_in_words(
    registry: Registry, served: Served, fault: standin.Fault, says: str
) -> None:
    by_id, _ = registry.add('"string"')
    registry.fault = fault
    fetch = asking(served.url)
    detail = failed(fetch(by_id))
    assert detail.startswith(f"{served.url}: ")
    assert says in detail
    registry.fault = None
    assert isinstance(fetch(by_id), Compiled)


def test_a_schema_may_be_large(registry: Registry, served: Served) -> None:
    by_id, _ = registry.add({**CHANGE, "doc": "x" * 1_000_000})
    assert isinstance(asking(served.url)(by_id), Compiled)


def test_an_answer_without_end_is_a_failure(
    registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MOST_BYTES", 1000)
    by_id, _ = registry.add({**CHANGE, "doc": "x" * 100_000})
    assert "which is no schema" in failed(asking(served.url)(by_id))


def test_an_answer_that_drips_is_over_with_its_time(
    registry: Registry, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.3)
    over = threading.Event()

    def drip(handler: Any) -> None:  # noqa: ANN401 - the stand-in's own
        while not over.wait(0.05):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: y\r\n"[:1])

    registry.fault = drip
    try:
        assert "the deadline passed while" in failed(asking(served.url)(b"\0\0\0\0\1"))
    finally:
        over.set()


def test_one_after_the_other_is_asked_the_last_good_one_first(registry: Registry) -> None:
    ids = [registry.add(a_field("int"))[0] for _ in range(3)]
    nowhere = "http://127.0.0.1:9"  # the port of "discard", which nobody serves
    other = Registry(fault=status(503))
    with Served(other) as ill, Served(registry) as well:
        fetch = asking(nowhere, ill.url, well.url)
        assert isinstance(fetch(ids[0]), Compiled)
        assert isinstance(fetch(ids[1]), Compiled)
        assert len(other.asked) == 1
        registry.fault = status(500)
        other.fault = None
        other.add('"string"', schema_id=3)
        assert isinstance(fetch(ids[2]), Compiled)
        other.fault = status(502)
        detail = failed(fetch(ids[2]))
        assert detail.index(f"{ill.url}: it answered 502") < detail.index(well.url)
        assert f"{nowhere}: connecting to 127.0.0.1:9: Connection refused" in detail


def test_one_that_does_not_know_it_says_more_than_one_that_is_down(registry: Registry) -> None:
    with Served(registry) as well:
        for urls in (("http://127.0.0.1:9", well.url), (well.url, "http://127.0.0.1:9")):
            assert asking(*urls)(b"\0\0\0\0\7") == NotThere("the schema is not found")


def test_another_may_know_what_the_first_does_not(registry: Registry) -> None:
    late = Registry()
    by_id, _ = registry.add('"string"')
    with Served(late) as first, Served(registry) as second:
        assert isinstance(asking(first.url, second.url)(by_id), Compiled)


def test_a_login_is_sent_and_looked_at_again_each_time(registry: Registry, served: Served) -> None:
    by_id, _ = registry.add('"string"')
    registry.basic("me", SECRET)
    known = [basic("me", "old"), basic("me", SECRET), b"Bearer " + SECRET.encode()]
    fetch = asking(served.url, authorization=lambda: known[min(len(registry.asked), 2)])
    assert "it refuses the login" in failed(fetch(by_id))
    assert isinstance(fetch(by_id), Compiled)
    registry.authorization = f"Bearer {SECRET}"
    assert isinstance(fetch(by_id), Compiled)


def test_the_other_side_is_believed_by_its_authority_and_believes_ours(
    registry: Registry, tmp_path: Path
) -> None:
    by_id, _ = registry.add('"string"')
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server = theirs.issue("server").put(tmp_path / "server")
    mine = ours.issue("client").put(tmp_path / "client")
    tls = standin.wanting_certificates(*server, ours.path)
    both = tmp_path / "both.pem"
    both.write_text(mine.certificate.read_text() + mine.key.read_text())
    with Served(registry, tls=tls) as served:
        ca, pair = str(theirs.path), (str(mine.certificate), str(mine.key))
        assert isinstance(asking(Access(served.url, None, ca, pair))(by_id), Compiled)
        assert isinstance(asking(Access(served.url, None, ca, (str(both), None)))(by_id), Compiled)
        assert "of an unknown authority" in failed(
            asking(Access(served.url, None, None, pair))(by_id)
        )
        assert "TLS failed" in failed(asking(Access(served.url, None, ca))(by_id))


def test_certificates_are_read_again_after_a_failure(registry: Registry, tmp_path: Path) -> None:
    by_id, _ = registry.add('"string"')
    authority = Authority(tmp_path / "authority")
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server = authority.issue("server").put(tmp_path / "server")
    mine = Authority(tmp_path / "other").issue("client").put(tmp_path / "client")
    tls = standin.wanting_certificates(*server, authority.path)
    with Served(registry, tls=tls) as served:
        pair = str(mine.certificate), str(mine.key)
        fetch = asking(Access(served.url, None, str(authority.path), pair))
        assert "TLS failed" in failed(fetch(by_id))
        mine.certificate.write_text("nothing yet")
        assert "its certificates can't be used (SSLError" in failed(fetch(by_id))
        authority.issue("renewed").put(tmp_path / "client")
        assert isinstance(fetch(by_id), Compiled)


def test_the_thread_brings_what_it_was_asked_for(registry: Registry, served: Served) -> None:
    by_id, by_guid = registry.add('"string"')
    asker = Asker(asking(served.url))
    assert asker.found() == []
    for prefix in (by_id, b"\0\0\0\0\7", by_guid):
        asker.ask(prefix)
    found: list[tuple[bytes, Found]] = []

    def all_found() -> bool:
        found.extend(asker.found())
        return len(found) == 3

    eventually(all_found, PATIENCE_SECONDS, "three answers")
    assert [prefix for prefix, _ in found] == [by_id, b"\0\0\0\0\7", by_guid]
    assert [type(each) for _, each in found] == [Compiled, NotThere, Compiled]
    assert asker.found() == []


def test_without_its_thread_the_daemon_ends_rather_than_wait_for_ever() -> None:
    names: list[str] = []

    def fetch(_: bytes) -> Found:
        names.append(threading.current_thread().name)
        return NotThere("the schema is not found")

    Asker(fetch).ask(b"\0\0\0\0\7")
    eventually(lambda: names, PATIENCE_SECONDS, "a question")
    assert set(names) <= NEEDED_THREADS


def test_nobody_waits_for_it(registry: Registry, served: Served) -> None:
    over = threading.Event()
    registry.fault = lambda _: over.wait(PATIENCE_SECONDS)
    asker = Asker(asking(served.url))
    asker.ask(b"\0\0\0\0\7")
    eventually(lambda: registry.asked, PATIENCE_SECONDS, "a question")
    assert asker.found() == []  # and comes back, though the answer doesn't
    over.set()


def test_a_command_waits_for_each_schema_and_asks_for_it_once() -> None:
    answers: dict[bytes, Found] = {
        b"\0\0\0\0\1": Compiled("JSON Schema", "", None),
        b"\0\0\0\0\2": NotThere("the schema is not found"),
        b"\0\0\0\0\3": Failed("it answered 503"),
    }
    asked: list[bytes] = []

    def fetch(prefix: bytes) -> Found:
        asked.append(prefix)
        return answers[prefix]

    reader = PatientReader(fetch, PlainReadings("id"))
    value = b'{"segment_id": 56, "action": "add", "id": "a"}'
    for _ in range(2):
        found = [reader.read_value(prefix + value, NOTHING_BESIDE) for prefix in answers]
        assert found == [
            Event(56, "add", id="a", id_type="id"),
            Malformed("its schema 2: the schema is not found"),
            Malformed("its schema 3: it answered 503"),
        ]
    assert asked == list(answers)
    assert isinstance(reader.read(None, NOTHING_BESIDE), Ignored)
