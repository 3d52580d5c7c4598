"""The bridge from Kafka to Customer.io's manual segments.

The data path: `member` reads records and hands them to `pipeline`, which decodes them (`events`),
buffers their ids per segment and id type (`lanes`), notes per partition what must not be committed
yet (`ledger`) and decides what may be sent when (`throttle`). Carrier threads post the batches
(`api`); what an answer means (`outcomes`) comes back to the pipeline, which settles, retries,
splits or refuses. Refused changes go out through `dead_letters`. `loop` turns all of it in one
thread and commits what is settled; `daemon` gives it real threads, signals and sockets.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("segment-consumer")
except PackageNotFoundError:  # pragma: no cover - a source tree that was never installed
    __version__ = "0+unknown"
