"""A partition's log as Kafka keeps it on the disk, for tests that damage it while it is stopped."""

import struct
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct(">qi")  # of a batch: its first offset, and the bytes that follow
_LAST_DELTA = struct.Struct(">i")
_LAST_DELTA_AT = 23
_BEHIND_AN_ID = 4  # bytes of a batch's end: an event's `"}`, no headers, and the id's last letter


class Batch(NamedTuple):
    """A batch of records in the file of a segment, and where that file has it."""

    first: int
    last: int
    begins: int
    ends: int


def batches(log: bytes) -> list[Batch]:
    """Return the batches of a segment's file."""
    found = []
    at = 0
    while at + _HEADER.size <= len(log):
        first, size = _HEADER.unpack_from(log, at)
        (delta,) = _LAST_DELTA.unpack_from(log, at + _LAST_DELTA_AT)
        ends = at + _HEADER.size + size
        if size <= 0 or ends > len(log):  # the file is longer than what was written
            break
        found.append(Batch(first, first + delta, at, ends))
        at = ends
    return found


def damage_batch(segment: Path, offset: int) -> range:
    """Flip a bit of the last record's id in the batch that has this offset; return its offsets."""
    content = segment.read_bytes()
    batch = next(each for each in batches(content) if each.first <= offset <= each.last)
    damaged = bytearray(content)
    damaged[batch.ends - _BEHIND_AN_ID] ^= 1
    segment.write_bytes(damaged)
    return range(batch.first, batch.last + 1)


def truncate_log(folder: Path, end: int) -> None:
    """Cut a log of one segment off at an offset; the broker finds its indexes anew."""
    (segment,) = folder.glob("*.log")
    kept = [batch for batch in batches(segment.read_bytes()) if batch.first < end]
    assert all(batch.last < end for batch in kept), "the cut is inside a batch"
    with segment.open("r+b") as file:
        file.truncate(kept[-1].ends if kept else 0)
    for pattern in ("*.index", "*.timeindex", "*.snapshot"):
        for each in folder.glob(pattern):
            each.unlink()
