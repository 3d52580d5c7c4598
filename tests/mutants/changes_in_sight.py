"""Wrong changes to what is shown and counted: status, history, metrics."""

from tests.mutants.mutant import Mutant

IN_SIGHT: tuple[Mutant, ...] = (
    Mutant(
        name="a-failing-segment-is-not-put-first",
        breaks="what fails is shown",
        file="consumer/engine/segments.py",
        old="return (not state.last_error, -state.oldest_seconds, -ids, state.segment_id)",
        new="return (False, 0.0, -ids, state.segment_id)",
        tests=("tests/test_status.py",),
    ),
    Mutant(
        name="a-trouble-outlives-its-batch",
        breaks="I7",
        file="consumer/core/buffer.py",
        old="self.failing.end(batch)",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="that-all-brokers-are-down-hides-why",
        breaks="I8",
        file="consumer/engine/outlook.py",
        old="if error.code != _SAYS_NOT_WHY or self._client_trouble is None:",
        new="if error.code:",
        tests=("tests/test_status.py",),
    ),
    Mutant(
        name="each-new-client-of-librdkafka-is-heard",
        breaks="what repeats is said once in 30 s",
        file="consumer/observability/logs.py",
        old='r"#(?:consumer|producer)-\\d+"  # a client\'s name, which ends with its number',
        new='r"#nobody"',
        tests=("tests/test_logs.py",),
    ),
    Mutant(
        name="a-delivery-ends-no-trouble",
        breaks="an error goes when it is over",
        file="consumer/core/failing.py",
        old="self.end(batch)",
        new="pass",
        tests=("tests/test_pipeline.py", "tests/test_status.py"),
    ),
    Mutant(
        name="the-apis-error-stays",
        breaks="an error goes when it is over",
        file="consumer/engine/requests.py",
        old="""
            self.last_error = ""
            self._note_delivery
        """,
        new="self._note_delivery",
        tests=("tests/test_status.py",),
    ),
    Mutant(
        name="a-part-counts-at-each-try",
        breaks="batches_total",
        file="consumer/core/attempts.py",
        old="batch.split.is_new_part = False",
        new="pass",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="what-was-not-sent-counts-as-a-request",
        breaks="batch_ids",
        file="consumer/core/attempts.py",
        old="if not isinstance(outcome, Unsent):",
        new="if True:",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="the-first-id-is-the-oldest",
        breaks="delivery_latency_seconds",
        file="consumer/core/pipeline.py",
        old="min(held.values() if attempt.batch.split is None else origins, default=None)",
        new="next(iter(held.values() if attempt.batch.split is None else origins), None)",
        tests=("tests/test_pipeline.py",),
    ),
    Mutant(
        name="the-region-check-is-part-of-the-request",
        breaks="request_duration_seconds",
        file="consumer/customerio/carriers.py",
        old="seconds -= answer.vouching_seconds",
        new="pass",
        tests=("tests/test_carriers.py",),
    ),
    Mutant(
        name="a-refused-format-is-given",
        breaks="Accept",
        file="consumer/observability/exposition.py",
        old="wanted and wanted >= text",
        new="_OPENMETRICS in liked",
        tests=("tests/test_metrics.py",),
    ),
    Mutant(
        name="the-history-grows",
        breaks="I7",
        file="consumer/observability/history.py",
        old="deque(maxlen=MAX_STEPS)",
        new="deque()",
        tests=("tests/test_status.py",),
    ),
    Mutant(
        name="unread-is-lag",
        breaks="unread",
        file="consumer/observability/status.py",
        old="max(0, each.end - each.position)",
        new="max(0, each.end - (each.committed or 0))",
        tests=("tests/test_status.py",),
    ),
)
