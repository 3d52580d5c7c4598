"""The command ``replay``: delivers the dead letters once more, up to the topic's end as of now.

Through the daemon's own loop and pipeline, reading the dead-letter topic in a group of its own,
``<KAFKA_GROUP_ID>.replay``: order, retries, splits, holds, lease and ledger are the daemon's. What
is refused again goes to the end of the topic once more before its offset is committed, so a run
that ends in whatever way loses nothing, and the next one goes on where it ended.

With a filter nothing is committed, for no offset could say which dead letters were replayed: a
`LoneMember` reads, and what is refused again stays where it is instead of being copied.
"""
