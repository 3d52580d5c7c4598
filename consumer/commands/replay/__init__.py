"""The command ``replay``: delivers the dead letters once more, up to the topic's end as of now.

Through the daemon's own loop and pipeline, reading the dead-letter topic in a group of its own,
``<KAFKA_GROUP_ID>.replay``: order, retries, splits, holds, lease and ledger are the daemon's.

What becomes of a dead letter, and of its place on the topic (tests name each):

- Delivered: it is *settled*.
- Of what the API refuses again a new one goes to the end of the topic, with the source and time of
  its first refusal, and ``dead-letter-replays`` one higher; of several that one request carried,
  the most. When the broker has it, the old one is settled.
- Nothing of it can be sent, for it is malformed still, or has no valid id: it is *left* where it
  is. A copy would say the same, and be one more with each run.
- It was replayed and refused ``--max-replays`` times already: it is left, and listed. One such run
  after the other would only tell the API the same again.
- It was not chosen: it is left.
- The mapping passes it over by now: it is settled, and counted as ignored.
- Its value was too big for the topic: its source alone has it. It is told, and settled.
- ``--skip``: the chosen ones are settled without being sent, told and counted. That is how what
  will never be delivered is put to rest. All of them only by ``--all``.
- A record without a value that isn't a dead letter of ours asks for nothing, whatever a mapping
  would make of it, and is settled.

What is left stays *open*: the next run looks at it again. So a commit is where the first open one
is, never behind it, and its metadata notes what is settled beyond (`marks`): the next run passes
these over, as their changes may be outdated by then. Whoever loses the metadata delivers something
twice, and loses nothing. In whatever way a run ends, what it had not settled is open: the last
commit says so, or is older.

What is noted is of the log as it was. What a later leader put in its place, as after an unclean
election, is open: brokers compare the leader epochs before anything is read (`comparison`), and
each record that is read is compared with the commit's (`account`).

The metadata has room for so many gaps. Where what is left is too scattered for it, what would be
left for a reason of its own moves to the end of the topic, as it is: there it is together. What a
filter leaves is not touched, so behind the last gap that there was room for nothing is noted, which
is told: what is delivered there is delivered again by the next run, and what is refused there again
is not written once more, as that would make one more with each run.
"""
