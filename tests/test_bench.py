"""The bench's own parts: what figures come to, the table, the workloads, and the sink."""

import json
import math
import socket
import time
from collections import Counter
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.bench import workloads
from tests.bench.__main__ import GROUPS, chosen
from tests.bench.figures import Figures, Rounds, at_highest, middle, per_second, ratio
from tests.bench.rows import ROWS, Row
from tests.bench.sink import Sink
from tests.bench.table import lines
from tests.support.driver import Driver

MINE, THEIRS = ("mine", "cpu_us"), ("theirs", "cpu_us")
MOST = Row("most", "of something", MINE, THEIRS, 2.0, 1.5)
LEAST = Row("least", "of something else", MINE, THEIRS, 0.5, 0.75, is_least=True)
ALONE = Row("alone", "by itself", MINE, None, 2.5, 1.5, unit=" s")


def rounds(mine: list[float], theirs: list[float]) -> Rounds:
    both = {"mine": mine, "theirs": theirs}
    return {name: [{"cpu_us": value} for value in values] for name, values in both.items()}


def test_what_disturbs_both_systems_of_a_round_cancels_out() -> None:
    assert ratio(rounds([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]), MINE, THEIRS) == 2.0


def test_a_figure_alone_is_its_median() -> None:
    assert ratio(rounds([3.0, 1.0, 2.0], []), MINE, None) == 2.0


def test_a_round_that_could_not_be_measured_is_left_out() -> None:
    some = rounds([math.nan, 3.0, 6.0], [1.0, 1.0, math.nan])
    assert ratio(some, MINE, THEIRS) == 3.0
    assert middle(some, MINE) == 4.5
    assert math.isnan(ratio(rounds([math.nan], [1.0]), MINE, THEIRS))


def test_a_rate_is_that_between_the_first_tenth_and_the_last() -> None:
    steady = [(5.0 + number, 10 * number) for number in range(1, 11)]
    assert per_second([*steady, (99.0, 100)], 100) == 10.0


@pytest.mark.parametrize(
    ("managed", "found", "left"),
    [(100, 100, [100, 50, 25]), (60, 50, [50, 25]), (10, math.nan, [25])],
)
def test_a_rate_that_the_machine_does_not_manage_is_not_tried_again(
    managed: int, found: float, left: list[int]
) -> None:
    def measure(rate: int) -> Figures:
        return {"cpu_us": rate if rate <= managed else math.nan}

    rates = [100, 50, 25]
    for _ in range(2):
        figures = at_highest(rates, measure)
        assert figures["cpu_us"] == pytest.approx(found, nan_ok=True)
        assert rates == left


def test_a_row_says_at_which_rates_it_was_measured() -> None:
    row = Row("steady", "of a load", MINE, THEIRS, at=("mine", "cpu_us"))
    assert row.title(rounds([50_000, 50_000], [])) == "of a load, at 50,000 events/s"
    mixed = rounds([50_000, 25_000], [])
    assert row.title(mixed) == "of a load, at 25,000 to 50,000 events/s"


def test_few_partitions_are_measured_at_the_rate_that_many_manage() -> None:
    (group,) = [group for group in GROUPS if "live" in group]
    assert list(group) == ["live 1,000 partitions", "live"]


@pytest.mark.parametrize(
    ("row", "value", "verdict"),
    [
        (MOST, 2.01, "no"),
        (MOST, 2.0, "yes"),
        (MOST, 1.5, "aim"),
        (LEAST, 0.49, "no"),
        (LEAST, 0.5, "yes"),
        (LEAST, 0.75, "aim"),
        (MOST, math.nan, "?"),
        (LEAST, math.nan, "?"),
        (Row("shown", "only", MINE), 7.0, ""),
    ],
)
def test_a_row_says_whether_bound_and_aim_are_met(row: Row, value: float, verdict: str) -> None:
    assert row.verdict(value) == verdict


def test_the_table_has_a_line_for_each_row() -> None:
    _, _, *found = lines([MOST, LEAST, ALONE], rounds([1.2], [2.0]))
    assert found == [
        "| most | of something | 0.60 | 1.2 / 2 | ≤ 2 | ≤ 1.5 | aim |",
        "| least | of something else | 0.60 | 1.2 / 2 | ≥ 0.5 | ≥ 0.75 | yes |",
        "| alone | by itself | 1.20 s | 1.2 | ≤ 2.5 s | ≤ 1.5 s | aim |",
    ]


def test_the_table_shows_what_an_earlier_run_had() -> None:
    _, _, first, second = lines([MOST, LEAST], rounds([1.2], [2.0]), {"most": 3.0})
    assert "| 3.00 → 0.60 |" in first
    assert "→" not in second, "the earlier run was without that row"


def test_what_is_compared_is_measured_in_turns() -> None:
    for row in ROWS:
        assert sum(row.systems <= group.keys() for group in GROUPS) == 1, row.key


def test_every_system_is_in_a_row() -> None:
    assert {system for row in ROWS for system in row.systems} == set().union(*GROUPS)


def test_rows_are_chosen_by_their_keys() -> None:
    assert [row.key for row in chosen("w2-cpu,w1-cpu")] == ["w1-cpu", "w2-cpu"]
    assert chosen(None) == ROWS
    with pytest.raises(SystemExit, match="no such row: w3"):
        chosen("w1-cpu,w3")


@pytest.mark.parametrize("name", workloads.OF)
def test_every_record_of_a_workload_is_taken_in_and_no_id_twice(name: str) -> None:
    driver = Driver(partitions=1, buffer_max_ids=10**9)
    driver.read(*(value.encode() for _, value in workloads.OF[name](500)))
    assert driver.count("records_total", "accepted") == 500
    assert driver.pipeline.held_ids == 500 * (workloads.LIST_IDS if name == "lists" else 1)


def test_the_events_of_w1_and_w2_have_58_bytes() -> None:
    for name in ("w1", "w2"):
        assert {len(value) for _, value in workloads.OF[name](500)} == {workloads.EVENT_BYTES}


def test_the_ideal_is_one_request_for_each_thousand_of_a_segment_and_action() -> None:
    values = [json.loads(value) for _, value in workloads.w2(20_000)]
    removes = sum(value["action"] == "remove" for value in values)
    assert 0.08 < removes / len(values) < 0.12
    counts = Counter((value["segment_id"], value["action"]) for value in values)
    ideal = sum(math.ceil(count / 1000) for count in counts.values())
    assert workloads.w2_ideal_requests(20_000) == ideal


def test_with_a_linger_the_fewest_requests_are_more_the_slower_it_goes() -> None:
    full = workloads.w2_ideal_requests(20_000)
    assert workloads.w2_requests_within(20_000, 1e9, 1.0) == full
    slower = [workloads.w2_requests_within(20_000, rate, 1.0) for rate in (1e4, 1e3, 1e2)]
    assert full < slower[0] < slower[1] < slower[2] < 20_000


def test_a_steady_load_gives_each_partition_some_in_turns() -> None:
    change = workloads.live_change(3)
    partitions = [change(number, 0.0)[2:] for number in range(4 * workloads.LIVE_RECORDS)]
    assert Counter(partitions) == {(0,): 40, (1,): 20, (2,): 20}


def post(sink: Sink, segment: int, *ids: str) -> tuple[int, bytes]:
    connection = HTTPConnection(urlsplit(sink.url).netloc, timeout=60)
    target = f"/api/v1/segments/{segment}/add_customers?id_type=id"
    connection.request("POST", target, json.dumps({"ids": ids}))
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_sink_accepts_and_counts_what_comes() -> None:
    with Sink() as sink:
        sink.begin()
        assert post(sink, 1, "a", "b") == (200, b"{}")
        assert post(sink, 2, "b") == (200, b"{}")
        assert post(sink, 1, "b", "c") == (200, b"{}")
        assert (sink.requests(), sink.count(), sink.different()) == (3, 5, 4)
        assert [ids for _, ids in sink.timeline()] == [2, 3, 5]
        sink.begin()
        assert (sink.requests(), sink.count(), sink.different()) == (0, 0, 0)


def test_the_sink_takes_as_long_as_it_is_told() -> None:
    with Sink() as sink:
        sink.begin(0.2)
        begun = time.monotonic()
        assert post(sink, 1, "a") == (200, b"{}")
        assert time.monotonic() - begun >= 0.2


def test_the_sink_waits_for_the_rest_of_a_request() -> None:
    address = "127.0.0.1"
    with Sink() as sink:
        sink.begin()
        port = urlsplit(sink.url).port
        assert port is not None
        with socket.create_connection((address, port), timeout=60) as connection:
            body = b'{"ids":["a","b"]}'
            head = b"POST /api/v1/segments/1/add_customers HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
            request = head % len(body) + body
            for part in (request[:7], request[7:60], request[60:-3]):
                connection.sendall(part)
                assert sink.count() == 0
            connection.sendall(request[-3:])
            assert connection.recv(4096).endswith(b"{}")
        assert sink.count() == 2
