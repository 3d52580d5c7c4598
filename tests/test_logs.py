"""What collectors, and people at a terminal, can rely on."""

import array
import fcntl
import io
import json
import logging
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import IO, Any

import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from consumer.observability import logs
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _the_loggers_as_they_were() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("segment_consumer")
    before = root.handlers, root.level, ours.level
    yield
    root.handlers = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


class Terminal(io.StringIO):
    """What only looks like one."""

    def isatty(self) -> bool:
        """Pretend."""
        return True


def written(fmt: str = "json", level: str = "debug", /, **fields: Any) -> str:  # noqa: ANN401 - any field may come
    stream = io.StringIO()
    logs.configure(level, fmt, stream)
    logs.log("hold", "the API refuses us", **fields)
    return stream.getvalue()


def entry(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field may come
    line: dict[str, Any] = json.loads(written(**fields))
    return line


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# JSON


def test_a_line_has_its_time_level_event_and_message_first() -> None:
    line = entry(level="error", reason="unauthorized", seconds=1.5, held=None)
    assert list(line) == ["timestamp", "level", "event", "message", "reason", "seconds", "held"]
    assert line["level"] == "error"
    assert line["event"] == "hold"
    assert line["message"] == "the API refuses us"
    assert (line["reason"], line["seconds"], line["held"]) == ("unauthorized", 1.5, None)


def test_the_timestamp_is_utc_to_the_millisecond() -> None:
    text = entry()["timestamp"]
    assert len(text) == len("2026-01-01T00:00:00.000Z")
    assert text.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 60


def test_no_field_replaces_what_every_line_has() -> None:
    assert entry(timestamp="yesterday")["timestamp"] != "yesterday"


class Unprintable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Bottomless(Mapping[str, object]):
    """Can't be looked through."""

    def __getitem__(self, key: str) -> object:
        return self

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\xffabc", "\\xffabc"),
        (bytearray(b"abc"), "abc"),
        (ValueError("bad"), "ValueError: bad"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"a"}), ["a"]),
        ((1, "a"), [1, "a"]),
        ({1: {"a": b"b"}}, {"1": {"a": "b"}}),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, True),
        (HTTPStatus.OK, 200),
        (2**70, str(2**70)),
        ("\udcff", "\\udcff"),
        ("\x1b[31m\r\n\u2028", "\x1b[31m\r\n\u2028"),
        (SecretStr("hunter2"), "**********"),
        (Unprintable(), "<Unprintable: RuntimeError>"),
        (Bottomless(), "<Bottomless: RuntimeError>"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01 00:00:00+00:00"),
    ],
)
def test_any_value_can_be_a_field(value: object, said: object) -> None:
    assert entry(field=value)["field"] == said


def test_a_number_that_python_refuses_to_spell_is_cut_short() -> None:
    assert entry(field=10**5000)["field"] == "<int: ValueError>"


def test_a_value_that_contains_itself_is_cut_off() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "…" in json.dumps(entry(field=endless), ensure_ascii=False)


_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
_ANY_VALUE = st.none() | st.floats() | st.integers() | _ANY_TEXT | st.binary()


@settings(deadline=None, max_examples=50)
@given(
    message=_ANY_TEXT,
    fields=st.dictionaries(
        _ANY_TEXT,
        st.recursive(
            _ANY_VALUE,
            lambda inner: st.lists(inner) | st.dictionaries(st.integers(), inner),
            max_leaves=5,
        ),
        max_size=4,
    ),
)
def test_whatever_is_logged_is_one_line_of_ascii(message: str, fields: dict[str, Any]) -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    named = {k: v for k, v in fields.items() if k not in {"event", "message", "level"}}
    logs.log("event", message, **named)
    text = stream.getvalue()
    assert text.isascii()
    assert text.count("\n") == 1
    assert json.loads(text)["event"] == "event"


def test_an_exception_brings_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    line = entry(exc_info=caught.value)
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("\nZeroDivisionError")  # and not what it says: a value
    assert "exc_info" not in line


# Console


def test_the_console_has_a_line_for_people() -> None:
    line = written("console", reason="unauthorized", detail="401 no", n=3, empty="", q='a"b')
    assert line[24:].rstrip("\n") == (
        ' INFO     hold            the API refuses us  reason=unauthorized  detail="401 no"  n=3'
        '  empty=""  q="a\\"b"'
    )


def test_the_console_shows_a_traceback_below_its_line() -> None:
    first, *rest = written("console", exc_info=OSError("gone")).splitlines()
    assert first.endswith("the API refuses us")
    assert rest == ["    Traceback (most recent call last):", "    OSError"]


def test_nothing_in_a_field_commands_the_terminal() -> None:
    line = written("console", a="\x1b[31mred", b="two\nlines", c="\u202egnp")
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    assert "\\x1b[31mred" in line


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal(), True), (io.StringIO(), False)])
def test_only_a_terminal_gets_colour(stream: io.StringIO, coloured: bool) -> None:
    logs.configure("info", "console", stream)
    logs.log("hold", "wrong", level="error")
    assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_a_line_without_alarm_has_no_colour_even_there() -> None:
    stream = Terminal()
    logs.configure("info", "console", stream)
    logs.log("assigned", "two partitions")
    assert "\x1b" not in stream.getvalue()


# Levels and other loggers


def test_less_than_the_level_is_not_written() -> None:
    assert not written("json", "warning", reason="x")
    assert written("json", "warning", level="warning")


def test_other_libraries_are_heard_from_warnings_on() -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    logging.getLogger("httpx").info("HTTP Request: POST")
    logging.getLogger("httpx").warning("odd %s", "thing")
    (line,) = entries(stream)
    assert (line["event"], line["message"], line["level"]) == ("httpx", "odd thing", "warning")


def test_a_library_that_misuses_logging_is_still_heard() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logging.getLogger("odd").warning("%d things", "many")
    logging.getLogger("odd").error("failed", exc_info=OSError("gone"))
    first, second = entries(stream)
    assert first["message"] == "%d things"
    assert second["traceback"].endswith("\nOSError")


def test_librdkafkas_messages_come_through_the_same_lines() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    producer = Producer({"fetch.min.bytes": 1}, logger=logs.librdkafka_logger())
    producer.poll(0)
    producer.close()
    (line,) = entries(stream)  # and not that fetch.min.bytes is a consumer's
    assert (line["level"], line["event"], line["facility"]) == ("info", "librdkafka", "CONFWARN")
    assert line["client"].startswith("rdkafka#producer-")
    assert "No `bootstrap.servers` configured" in line["message"]


def test_librdkafkas_logger_takes_plain_messages_too() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logs.librdkafka_logger().error("plain")
    assert entries(stream)[0]["message"] == "plain"


# Writing


def test_standard_output_is_where_lines_go(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.log("listening", "http://0.0.0.0:8080")
    assert json.loads(capsys.readouterr().out)["event"] == "listening"


def test_a_narrow_encoding_loses_no_line() -> None:
    raw = io.BytesIO()
    logs.configure("info", "console", io.TextIOWrapper(raw, encoding="ascii"))
    logs.log("hold", "Grüße")
    assert b"Gr\\xfc\\xdfe" in raw.getvalue()


def test_all_lines_are_out_when_the_process_ends() -> None:
    code = (
        "import sys; from consumer.observability import logs;"
        " logs.configure(); logs.log('a', 'b'); sys.exit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, json.loads(ended.stdout)["event"]) == (3, "a")


def test_nobody_reading_ends_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    logs.configure("info", "json", stream)
    logs.log("a", "b")
    logs.flush()
    stream.close()  # nothing is left in it


def test_flush_waits_for_nobody_who_is_stuck() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        logs.configure("info", "json", stream)
        logs.log("a", "x" * 200_000)  # more than the pipe takes
        logs.flush(0.01)
        os.close(read)
        logs.flush()


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
def test_i9_a_process_whose_log_nobody_reads_ends_in_time_nevertheless(
    signals: list[signal.Signals],
) -> None:
    """The log's thread waits in the pipe: not even the last words can be said."""
    program = (
        "from consumer.observability import logs\n"
        "from consumer.stopper import Stopper\n"
        "logs.configure('info', 'json')\n"
        "stopper = Stopper()\n"
        "stopper.watch(15, 2)\n"
        "stopper.begin(0.1)\n"
        "while True: logs.log('flood', 'x' * 10)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pipe = process.stdout
        try:
            eventually(lambda: waiting_bytes(pipe), 60, "a full pipe", until=(60_000).__lt__)
            for number in signals:
                process.send_signal(number)
            assert process.wait(30) == 0
        finally:
            process.kill()


def waiting_bytes(pipe: IO[bytes]) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


# What repeats


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    return stream


def test_what_repeats_is_said_every_thirty_seconds_with_a_count(stream: io.StringIO) -> None:
    repeats = logs.Repeats()
    said = [repeats.log(now, "request_failed", 56, "503") for now in (0, 1, 29.9, 30, 59, 61)]
    assert said == [True, False, False, True, False, True]
    assert [line.get("repeated") for line in entries(stream)] == [None, 2, 1]


def test_different_things_are_said_each_for_itself(stream: io.StringIO) -> None:
    repeats = logs.Repeats()
    assert repeats.log(0, "request_failed", 56, "503", level="warning", status=503)
    assert repeats.log(0, "request_failed", 57, "503")
    assert repeats.log(0, "commit_failed", 56, "no coordinator")
    assert entries(stream)[0]["status"] == 503


@pytest.mark.usefixtures("stream")
def test_only_so_many_things_are_remembered() -> None:
    repeats = logs.Repeats(limit=2)
    assert repeats.log(0, "e", "a", "m")
    assert repeats.log(1, "e", "b", "m")
    assert repeats.log(31, "e", "a", "m")
    assert repeats.log(32, "e", "c", "m")
    assert not repeats.log(33, "e", "a", "m")
    assert repeats.log(33, "e", "b", "m")


# What librdkafka repeats


def librdkafka_says(text: str, *, client: str = "host#consumer-1", facility: str = "FAIL") -> None:
    """Log as confluent_kafka does for a client."""
    logs.librdkafka_logger().error("%s [%s] %s", facility, client, text)


def test_what_every_new_client_says_is_one_line_with_a_count(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("consumer.clock.now", lambda: now)
    refusal = "ConsumerGroupHeartbeat fatal error: Broker: Group authorization failed"
    for number in range(271):
        now = number * 1.1
        client = f"segment-consumer-host#consumer-{number}"
        librdkafka_says(f"[thrd:main]: {client}: {refusal}", client=client, facility="FATAL")
    lines = entries(stream)
    assert [line.get("repeated") for line in lines] == [None, *[27] * 9]
    assert lines[0]["client"] == "segment-consumer-host#consumer-0"
    assert lines[1]["message"].endswith(f"#consumer-28: {refusal}"), "the text stays as it is"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "10.0.0.1:9092/1: Connect to ipv4#10.0.0.1:9092 failed (after 0ms in state CONNECT)",
            "10.0.0.1:9093/1: Connect to ipv4#10.0.0.1:9093 failed (after 12ms in state CONNECT)",
        ),
        ("2/3 brokers are down", "3/3 brokers are down"),
        (
            "Member segment-consumer-b-3f1c2b9e-0a4d-4c62-9d2e-6b0a53c9d101 timed out",
            "Member segment-consumer-b-9a1c2b9e-0a4d-4c62-9d2e-6b0a53c9d1ff timed out",
        ),
        ("Member bPKbPBmoRHeLZb3bvTtNSg is fenced", "Member 3yQ8PBmoRHeLZb3bvTtN-w is fenced"),
        ("t [3]: reset to offset 12345", "t [3]: reset to offset 999"),
    ],
)
def test_clients_ports_times_and_counts_make_no_other_message(
    stream: io.StringIO, one: str, other: str
) -> None:
    librdkafka_says(f"[thrd:app]: {one}")
    librdkafka_says(f"[thrd:app]: {other}", client="host#producer-12")
    assert [line["message"] for line in entries(stream)] == [f"[thrd:app]: {one}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kafka-1:9092/1: Connection refused", "kafka-2:9092/2: Connection refused"),
        ("topic [3]: not authorized", "topic [4]: not authorized"),
        ("changes-2: unknown topic", "changes-3: unknown topic"),
        ("audience-changes-eu-01: gone", "audience-changes-us-01: gone"),
        ("Connection refused", "Connection reset"),
    ],
)
def test_what_is_about_something_else_is_said(stream: io.StringIO, one: str, other: str) -> None:
    librdkafka_says(one)
    librdkafka_says(other)
    librdkafka_says(other, facility="SESSTMOUT")
    assert len(entries(stream)) == 3


def test_plain_messages_of_librdkafkas_logger_are_told_apart(stream: io.StringIO) -> None:
    logs.librdkafka_logger().error("plain")
    logs.librdkafka_logger().error("plainer")
    assert len(entries(stream)) == 2
