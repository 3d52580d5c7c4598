"""Wrong changes around the loop: signals, the log's thread, what nobody caught."""

from tests.mutants.mutant import Mutant

_PROCESS = "tests/test_process.py::"

PROCESS: tuple[Mutant, ...] = (
    Mutant(
        name="the-log-takes-lines-without-end",
        breaks="I7",
        file="consumer/observability/log_writer.py",
        old="if self._bytes + len(line) > 2 * MAX_BYTES or (self._is_full and not is_error):",
        new="if self._bytes < 0:",
        tests=(_PROCESS + "test_a_log_that_nobody_reads_stops_nobody_and_says_what_is_missing",),
    ),
    Mutant(
        name="an-error-finds-no-more-room-than-news",
        breaks="an error is not what is dropped",
        file="consumer/observability/log_writer.py",
        old="(self._is_full and not is_error)",
        new="self._is_full",
        tests=(_PROCESS + "test_a_log_that_nobody_reads_stops_nobody_and_says_what_is_missing",),
    ),
    Mutant(
        name="a-dropped-line-is-not-told",
        breaks="I8",
        file="consumer/observability/log_writer.py",
        old="if self._missing and is_written and not self._is_full:",
        new="if self._missing < 0:",
        tests=(_PROCESS + "test_a_log_that_nobody_reads_stops_nobody_and_says_what_is_missing",),
    ),
    Mutant(
        name="a-line-that-cant-be-written-is-not-counted",
        breaks="I8",
        file="consumer/observability/log_writer.py",
        old="self._missing += not is_written",
        new="pass",
        tests=(_PROCESS + "test_a_disk_that_was_full_gets_a_line_about_what_is_missing",),
    ),
    Mutant(
        name="repeats-are-folded-by-the-wall-clock",
        breaks="what repeats is said every 30 s",
        file="consumer/observability/logs.py",
        old="self._repeats.unsaid(clock.now(), (record",
        new="self._repeats.unsaid(record.created, (record",
        tests=(
            _PROCESS + "test_several_threads_of_librdkafka_are_folded_as_one_by_the_steady_clock",
        ),
    ),
    Mutant(
        name="a-stop-waits-for-the-start",
        breaks="I9",
        file="consumer/stopper.py",
        old="self._end_early()\n",
        new="pass\n",
        tests=(_PROCESS + "test_a_stop_does_not_wait_for_a_start_that_hangs",),
    ),
    Mutant(
        name="a-signal-that-follows-closely-is-a-second-one",
        breaks="I9",
        file="consumer/stopper.py",
        old="clock.now() - self.asked_at >= SAME_SIGNAL_SECONDS",
        new="clock.now() > self.asked_at",
        tests=(_PROCESS + "test_a_second_signal_that_follows_closely_is_the_first_one",),
    ),
    Mutant(
        name="a-later-second-signal-is-passed-over",
        breaks="I9",
        file="consumer/stopper.py",
        old="if number in signals and clock.now()",
        new="if number < 0 and clock.now()",
        tests=(_PROCESS + "test_a_later_second_signal_ends_it_at_once",),
    ),
    Mutant(
        name="an-error-is-told-with-what-it-says",
        breaks="no id of a person in a log",
        file="consumer/observability/log_format.py",
        old='return f"{name} ({code})" if code else name',
        new='return f"{name}: {error}"',
        tests=(_PROCESS + "test_an_error_that_nobody_caught_is_one_line_without_what_it_says",),
    ),
    Mutant(
        name="a-daemon-without-its-observer-goes-on",
        breaks="I8",
        file="consumer/crashes.py",
        old='        "observer",\n',
        new="",
        tests=(_PROCESS + "test_an_error_that_nobody_caught_is_one_line_without_what_it_says",),
    ),
    Mutant(
        name="a-broken-stream-is-left-to-pythons-end",
        breaks="the exit code is the command's",
        file="consumer/standard_streams.py",
        old="os.dup2(nowhere, stream.fileno())",
        new="pass",
        tests=(_PROCESS + "test_a_broken_stream_changes_no_exit_code",),
    ),
)
