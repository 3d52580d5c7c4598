"""The properties of librdkafka: those with a variable, those that are the daemon's, our tuning.

The checked facts are those of librdkafka 2.16.
"""

from consumer.settings.problems import shown

Properties = dict[str, str | int | bool]

VARIABLES = {
    "client.id": "KAFKA_CLIENT_ID",
    "security.protocol": "KAFKA_SECURITY_PROTOCOL",
    "sasl.mechanism": "KAFKA_SASL_MECHANISM",
    "sasl.username": "KAFKA_SASL_USERNAME",
    "sasl.password": "KAFKA_SASL_PASSWORD",
    "ssl.ca.location": "KAFKA_SSL_CA_LOCATION",
    "ssl.certificate.location": "KAFKA_SSL_CERTIFICATE_LOCATION",
    "ssl.key.location": "KAFKA_SSL_KEY_LOCATION",
    "ssl.key.password": "KAFKA_SSL_KEY_PASSWORD",
    "sasl.oauthbearer.token.endpoint.url": "KAFKA_OAUTH_TOKEN_ENDPOINT_URL",
    "sasl.oauthbearer.client.id": "KAFKA_OAUTH_CLIENT_ID",
    "sasl.oauthbearer.client.secret": "KAFKA_OAUTH_CLIENT_SECRET",
    "sasl.oauthbearer.scope": "KAFKA_OAUTH_SCOPE",
    "sasl.oauthbearer.extensions": "KAFKA_OAUTH_EXTENSIONS",
    "https.ca.location": "KAFKA_OAUTH_CA_LOCATION",
}
"""Properties that librdkafka gets as the variable has them."""

ROTATING = (
    *("sasl.username", "sasl.password", "ssl.key.password"),
    *("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret"),
)
"""Those that may change in ``SECRETS_DIR`` while the daemon runs."""

_INSTEAD = VARIABLES | {
    "bootstrap.servers": "KAFKA_BOOTSTRAP_SERVERS",
    "metadata.broker.list": "KAFKA_BOOTSTRAP_SERVERS",
    "sasl.mechanisms": "KAFKA_SASL_MECHANISM",
    "sasl.oauthbearer.client.credentials.client.id": "KAFKA_OAUTH_CLIENT_ID",
    "sasl.oauthbearer.client.credentials.client.secret": "KAFKA_OAUTH_CLIENT_SECRET",
    "https.ca.pem": "KAFKA_OAUTH_CA_LOCATION",
    "group.id": "KAFKA_GROUP_ID",
    "group.protocol": "KAFKA_GROUP_PROTOCOL",
    "group.instance.id": "KAFKA_GROUP_INSTANCE_ID",
    "session.timeout.ms": "KAFKA_SESSION_TIMEOUT_SECONDS",
    "heartbeat.interval.ms": "KAFKA_SESSION_TIMEOUT_SECONDS",
    "auto.offset.reset": "KAFKA_AUTO_OFFSET_RESET",
    "auto.commit.interval.ms": "COMMIT_INTERVAL_SECONDS",
}
_OWNED = frozenset(
    {
        # Offsets and commits: nothing unsettled may be committed.
        *("enable.auto.commit", "auto.commit.enable", "enable.auto.offset.store"),
        *("offset.store.method", "offset.store.path", "offset.store.sync.interval.ms"),
        "enable.partition.eof",
        # Assignment.
        *("partition.assignment.strategy", "group.remote.assignor", "group.protocol.type"),
        "topic.metadata.refresh.interval.ms",
        # The dead-letter producer: a dead letter is acknowledged by all replicas, and told.
        *("enable.idempotence", "acks", "request.required.acks", "transactional.id"),
        *("retries", "message.send.max.retries", "enable.gapless.guarantee", "queuing.strategy"),
        *("max.in.flight", "max.in.flight.requests.per.connection"),
        "delivery.report.only.error",
        # What confluent_kafka takes beside librdkafka's properties, and librdkafka's own wiring.
        *("logger", "on_commit", "on_delivery", "default.topic.config", "default_topic_conf"),
        *("opaque", "interceptors", "enabled_events", "log.queue"),
        # Would replace the brokers by an embedded one.
        "test.mock.num.brokers",
    }
)
RELIED_ON = {
    "retry.backoff.ms": "the daemon knows by it how long a lost commit may still be repeated",
    "retry.backoff.max.ms": "the daemon knows by it how long a lost commit may still be repeated",
    "socket.max.fails": "a connection without answers is given up at its first timeout, so that"
    " the membership is not lost with it",
    "check.crcs": "a damaged batch would be delivered with ids that nobody wrote",
    "statistics.interval.ms": "the metrics of the client library are of its last 15 seconds",
}
"""Properties that what the daemon does is made for, and why."""

COMMON: Properties = {
    # A firewall that forgot an idle connection is noticed before a request needs it.
    "socket.keepalive.enable": True,
    # Brokers close idle connections all day; that is no news.
    "log.connection.close": False,
    # Else asking for a missing dead-letter topic creates it with the broker's retention.
    "allow.auto.create.topics": False,
}
CONSUMER: Properties = {
    # The default of 1000 throttles a fast consumer to a quarter. But while enough is read ahead,
    # the client looks at every partition each time that this is over: of 1,000, a backlog's event
    # took its thread 1.1 µs with 5, 0.8 with 10, 0.7 with 20. With 10 a loop that only counts reads
    # as fast as with 5.
    "fetch.queue.backoff.ms": 10,
    # What waits in memory: records that were read ahead, and of each broker what a fetch brings.
    # That is counted as it was compressed, and expanded whole: 16 MiB of small events in zstd took
    # 523 MiB. A batch that is bigger comes alone.
    "queued.max.messages.kbytes": 1024,
    "fetch.max.bytes": 524_288,
    # A fetch costs the more the more partitions it is for, be there one record or many, and each
    # partition says its end behind it: in 1,000 partitions it is most of the cost when each batch
    # that a producer sent is fetched by itself; half as many bytes cost librdkafka's thread a fifth
    # more. So long a record of a quiet topic waits at most, and what the client asks or begins to
    # read behind a fetch: that was half a second. Ten fetches a second instead of four were half of
    # what an idle member receives.
    "fetch.min.bytes": 262_144,
    "fetch.wait.max.ms": 250,
    # librdkafka's default delivers a damaged batch as it is, with an id that nobody wrote. Seven
    # pairs of reading a million events cost 1.33 s of CPU without and 1.40 with it uncompressed,
    # 1.27 and 1.16 with zstd: nothing that can be told from noise.
    "check.crcs": True,
    # A commit that fails for a lost connection makes librdkafka look for the coordinator anew, and
    # one that waits to be repeated when it is found makes it start over. Looking takes a few round
    # trips; no heartbeat gets through meanwhile, and the membership is lost. One reset where a
    # round trip takes 0.4 to 0.8 s, with a session of 6 s: 11 of 27 lost it with a backoff of 1 s,
    # 2 of 27 with 2 s, 5 of 234 with 3 to 5 s; the default is 0.1 s.
    "retry.backoff.ms": 3000,
    "retry.backoff.max.ms": 3000,
}
PRODUCER: Properties = {
    # The topic's own limit decides what is too big, not the producer's 1,000,000 bytes.
    "message.max.bytes": 1_000_000_000,
    # What waits for its acknowledgement is in memory; the default is 1 GiB.
    "queue.buffering.max.kbytes": 32_768,
}
PRODUCER_OWNED: Properties = {
    # At least once. An idempotent producer would be without repetitions only as long as it lives,
    # wants a right of its own from the broker, and can end with a fatal error.
    "acks": "all",
    # What is retried stays in front of what comes after it.
    "max.in.flight.requests.per.connection": 1,
}
CONSUMER_OWNED: Properties = {
    # Commits name their offsets: stored ones would commit what was never settled.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # The daemon decides where a partition without a position starts, and says so.
    "auto.offset.reset": "error",
    # Tells a partition that was read to its end from one that is silent.
    "enable.partition.eof": True,
    # Of a consumer it is only the least that fetch.max.bytes may be; operators mean the producer.
    "message.max.bytes": 1000,
}


def refusal(name: str) -> str | None:
    """Return why ``KAFKA_CONFIG`` may not set the property ``name``, or None if it may."""
    if name in _INSTEAD:
        return f"{shown(name)} is refused; {_INSTEAD[name]} sets it"
    if name in RELIED_ON:
        return f"{shown(name)} is refused; {RELIED_ON[name]}"
    if name in _OWNED or name.endswith("_cb"):
        return f"{shown(name)} is refused; it is the daemon's own"
    return None
