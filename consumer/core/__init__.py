"""The pure rooms: they read no clock, environment, logger or randomness, and hold no lock.

Words:

    record        what Kafka stores; an *event* is what it says; a *change* is one
                  (segment, id type, action, id) of it
    lane          everything for one (segment, id type)
    batch         the ids of one request: *open* while it takes ids, then it waits, is *in flight*
                  (during an attempt), and *settled*
    linger        how long a batch waits for company after its first id; then it is *due*
    flush         make batches due before that: their partitions go away, or the buffer is full
    attempt       one request for one batch, or for a part of it; its *outcome* is what the answer
                  means
    echo          ids of an attempt whose fate is unknown: the API may yet apply it
    settled       delivered, superseded, a duplicate, refused, or released (given up for the next
                  owner of the partition); nothing remains to be done
    dead letter   the record that keeps what was refused; a refused id is settled when the broker
                  has acknowledged it
    ledger        the account of one assigned partition. Its *holds* keep offsets from being
                  committed until what they name is settled
    origin        the ledger and the offset that an id came from, as one integer
    hold          the daemon's: why nothing is sent, but for a probe of the API (`HoldReason`)
"""
