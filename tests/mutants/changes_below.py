"""Wrong changes below the loop: threads, connections, sockets, and the calls of librdkafka."""

from tests.mutants.mutant import Mutant

BELOW: tuple[Mutant, ...] = (
    Mutant(
        name="a-connection-in-two-threads-hands",
        breaks="one thread's",
        file="consumer/customerio/connections.py",
        old="return self._idle.pop() if self._idle else None",
        new="return self._idle[-1] if self._idle else None",
        tests=("tests/test_api.py::test_threads_share_a_client",),
    ),
    Mutant(
        name="what-was-read-behind-an-answer-is-the-next-one",
        breaks="I2",
        file="consumer/customerio/connections.py",
        old="return self.is_idle() and not unasked and self.wire.is_good()",
        new="return self.is_idle() and self.wire.is_good()",
        tests=("tests/test_connections.py::test_what_is_glued_to_an_answer_is_never_the_next_one",),
    ),
    Mutant(
        name="what-came-while-a-connection-idled-is-the-next-answer",
        breaks="I2",
        file="consumer/customerio/wire.py",
        old="return self._exchange.written and not self._has_spoken()",
        new="return self._exchange.written",
        tests=("tests/test_api.py::test_a_connection_that_the_server_closed_is_not_used_again",),
    ),
    Mutant(
        name="an-answer-before-the-request-is-believed",
        breaks="I2",
        file="consumer/customerio/client.py",
        old="if not exchange.written and answer.status < HTTPStatus.MULTIPLE_CHOICES:",
        new="if False:",
        tests=(
            "tests/test_connections.py::test_a_success_before_the_request_was_sent_is_none_and_not_ambiguous",
        ),
    ),
    Mutant(
        name="a-used-connection-may-answer-early",
        breaks="I2",
        file="consumer/customerio/wire.py",
        old="            if self._is_used:\n                raise StaleError from error\n",
        new="",
        tests=(
            "tests/test_connections.py::test_on_a_used_connection_what_comes_early_sends_the_request_another_way",
        ),
    ),
    Mutant(
        name="idle-connections-are-never-closed",
        breaks="I8",
        file="consumer/customerio/connections.py",
        old="                    self._have_closed()\n",
        new="",
        tests=(
            "tests/test_connections.py::test_an_idle_connection_is_closed_when_its_time_is_over",
        ),
    ),
    Mutant(
        name="a-black-hole-is-waited-for",
        breaks="I8",
        file="consumer/customerio/race.py",
        old="if self._waiting and (not self._running or clock.now() >= next_start):",
        new="if self._waiting and not self._running:",
        tests=(
            "tests/test_network.py::test_black_holes_cost_a_moment_and_the_next_connection_none",
        ),
    ),
    Mutant(
        name="a-family-that-the-kernel-lacks-ends-the-attempt",
        breaks="I8",
        file="consumer/customerio/race.py",
        old="        except OSError as error:  # a family that the kernel lacks\n",
        new="        except TimeoutError as error:\n",
        tests=("tests/test_network.py::test_a_family_that_the_kernel_lacks_is_passed_over",),
    ),
    Mutant(
        name="what-answered-last-is-not-remembered",
        breaks="I8",
        file="consumer/customerio/network.py",
        old="        addresses.sort(key=lambda each: each != self._answered)\n",
        new="",
        tests=(
            "tests/test_network.py::test_black_holes_cost_a_moment_and_the_next_connection_none",
        ),
    ),
    Mutant(
        name="a-success-with-errors-is-a-delivery",
        breaks="I10",
        file="consumer/core/outcomes.py",
        old="if body is None or errors or answer.status == HTTPStatus.MULTI_STATUS:",
        new="if body is None or answer.status == HTTPStatus.MULTI_STATUS:",
        tests=("tests/test_outcomes.py",),
    ),
    Mutant(
        name="a-207-is-a-delivery",
        breaks="I10",
        file="consumer/core/outcomes.py",
        old="if body is None or errors or answer.status == HTTPStatus.MULTI_STATUS:",
        new="if body is None or errors:",
        tests=("tests/test_outcomes.py",),
    ),
    Mutant(
        name="no-proxy-knows-no-networks",
        breaks="NO_PROXY",
        file="consumer/settings/exemptions.py",
        old='if "/" in entry:',
        new='if "//" in entry:',
        tests=("tests/test_settings.py",),
    ),
    Mutant(
        name="the-lease-is-not-looked-at-before-the-write",
        breaks="I5",
        file="consumer/customerio/wire.py",
        old="return self._exchange.time_left_to_write()",
        new="return self._exchange.time_left()",
        tests=("tests/test_api.py::test_after_the_lease_nothing_is_sent",),
    ),
    Mutant(
        name="the-deadline-is-for-each-wait",
        breaks="one deadline",
        file="consumer/customerio/wire.py",
        old="left = self.deadline - clock.now()",
        new="left = 1.0",
        tests=("tests/test_api.py::test_a_deadline_that_passed_before_is_a_timeout",),
    ),
    Mutant(
        name="an-attempt-that-was-given-up-counts-when-it-comes-back",
        breaks="I6",
        file="consumer/customerio/carriers.py",
        old="return self._pending.pop(result.attempt, 0) is None",
        new="return True or self._pending.pop(result.attempt, 0) is None",
        tests=("tests/test_carriers.py",),
    ),
    Mutant(
        name="a-request-that-hangs-keeps-its-carrier",
        breaks="I8",
        file="consumer/customerio/carriers.py",
        old="if len(self._pending) + len(self._given_up) > self._threads:",
        new="if len(self._pending) > self._threads:",
        tests=("tests/test_carriers.py",),
    ),
    Mutant(
        name="a-request-that-hangs-is-never-given-up",
        breaks="I8",
        file="consumer/customerio/carriers.py",
        old="late = [each for each in self._pending if now > each.deadline + _GRACE_SECONDS]",
        new="late: list[Attempt] = []",
        tests=("tests/test_carriers.py",),
    ),
    Mutant(
        name="a-member-that-was-fenced-keeps-its-partitions",
        breaks="I5",
        file="consumer/kafka/client.py",
        old="self.listener.lost(lost)",
        new="_ = lost",
        tests=("tests/test_member.py::test_i5_a_fence_that_comes_among_records_is_heard",),
    ),
    Mutant(
        name="being-fenced-is-heard-only-alone",
        breaks="I8",
        file="consumer/kafka/client.py",
        old="if self._comes_back:  # the end is said once",
        new="if len(messages) == 1:  # the end is said once",
        tests=("tests/test_member.py::test_i5_a_fence_that_comes_among_records_is_heard",),
    ),
    Mutant(
        name="being-fenced-is-the-end",
        breaks="I8",
        file="consumer/kafka/errors.py",
        old="KafkaError.FENCED_INSTANCE_ID,\n        KafkaError.GROUP_ID_NOT_FOUND,",
        new="KafkaError.GROUP_ID_NOT_FOUND,",
        tests=("tests/test_member.py::test_i5_a_fence_that_comes_among_records_is_heard",),
    ),
    Mutant(
        name="a-name-in-use-is-the-end",
        breaks="I8",
        file="consumer/kafka/errors.py",
        old="KafkaError.UNRELEASED_INSTANCE_ID,",
        new="",
        tests=(
            "tests/test_stop_and_restart.py::test_a_static_member_whose_name_was_taken_waits_for_it_and_says_so",
        ),
    ),
    Mutant(
        name="a-group-that-is-gone-is-the-end",
        breaks="I8",
        file="consumer/kafka/errors.py",
        old="KafkaError.FENCED_INSTANCE_ID,\n        KafkaError.GROUP_ID_NOT_FOUND,",
        new="KafkaError.FENCED_INSTANCE_ID,",
        tests=(
            "tests/test_stop_and_restart.py::test_a_group_that_its_coordinator_forgot_is_joined_anew",
        ),
    ),
    Mutant(
        name="resume-before-assign",
        breaks="I7",
        file="consumer/kafka/member.py",
        old="""
            self._consumer.incremental_assign(partitions)
            if partitions:
                (self._consumer.pause if paused else self._consumer.resume)(partitions)
        """,
        new="""
            if partitions:
                (self._consumer.pause if paused else self._consumer.resume)(partitions)
            self._consumer.incremental_assign(partitions)
        """,
        tests=("tests/test_member.py",),
    ),
    Mutant(
        name="a-new-partition-is-not-resumed",
        breaks="I7",
        file="consumer/kafka/member.py",
        old="(self._consumer.pause if paused else self._consumer.resume)(partitions)",
        new="""
                if paused:
                    self._consumer.pause(partitions)
        """,
        tests=("tests/test_member.py",),
    ),
    Mutant(
        name="a-dead-letter-that-could-not-be-written-counts",
        breaks="I11",
        file="consumer/kafka/dead_letters.py",
        old="self._reports.append(Report(dead_letter, text))",
        new="self._reports.append(Report(dead_letter, None))",
        tests=("tests/test_dead_letters.py",),
    ),
)
