"""The bridge from Kafka to Customer.io's manual segments.

The path of a record: `kafka.member` reads it, `engine.loop` hands it to `core.pipeline`, which
decodes it (`core.decoder`), buffers its ids per segment and id type (`core.lanes`), notes per
partition what must not be committed yet (`core.ledger`), and decides what may be sent when
(`core.throttle`). Carrier threads post the batches (`customerio`); what an answer means
(`core.outcomes`) comes back to the pipeline, which settles, retries, splits or refuses. Refused
changes go out through `kafka.dead_letters`. The loop turns all of it in one thread and commits what
is settled; `daemon` gives it a clock, threads and sockets, `stopper` ends it in time.

Arrows go one way: `commands` -> `daemon` -> (`kafka`, `customerio`, `observability`) ->
`engine.ports` -> `core`.
"""

__version__ = "0.1.0"
"""pyproject.toml's: asking for what is installed costs a tenth of the start."""
