"""What leaves a lane next: a batch of the oldest ids that nothing in flight is in the way of.

It is taken out of what waits in the lane; see there for the rules.
"""

from collections.abc import Collection, Iterable, Iterator

from consumer.core.events import ACTIONS, Action
from consumer.core.lanes import Batch, Lane

MOST_PARTS = 2  # of batches, as long as so few requests of the lane may yet be applied


def next_batch(lane: Lane, now: float, max_ids: int, *, full_first: bool = False) -> list[Batch]:
    """Return the oldest that may leave now, with no more than that many ids; or nothing.

    ``full_first``: the oldest of those that were closed full, if there are any. It is taken out of
    what waits, with ids that are not due yet as far as there is room. Behind it come those that it
    took ids over from: some have none left.
    """
    lane.forget_echoes(now)
    if lane.waits_until() > now or (lane.is_failing() and lane.in_flight):
        return []
    due = sorted(_due(lane, now), key=_opened_at)
    if full_first:
        due.sort(key=_was_not_full)
    for batch in due:
        if batch.is_tried:
            return _again(lane, batch, max_ids)
        found = _cut(lane, batch.action, now, max_ids)
        if found:
            return found
    return []


def _due(lane: Lane, now: float) -> Iterator[Batch]:
    """Yield the oldest of each kind that is due, and all that may be tried again."""
    for action in ACTIONS:
        first = next(lane.from_oldest(action), None)
        if first is not None and first.ids and (not first.is_open or first.due_at <= now):
            yield first
    for batch in lane.backlog.tried():
        if batch.ids and batch.not_before <= now:
            yield batch


def _again(lane: Lane, batch: Batch, max_ids: int) -> list[Batch]:
    """Take out a batch that was tried, together with others like it that there is room for.

    Backoffs of theirs are not waited for: it costs no request more. Not with what wasn't tried,
    and none that is bad: what fails for ever holds up nothing else.
    """
    lane.backlog.take(batch)
    found = [batch]
    for other in list(lane.backlog.tried()) if batch.is_joinable() else ():
        is_alike = other.action == batch.action and other.is_joinable()
        has_room = len(batch.ids) + len(other.ids) <= max_ids
        if is_alike and has_room and other.ids:
            lane.backlog.dropped(other.ids)
            batch.take_over(other, other.ids)
            found.append(other)
    return found


def _cut(lane: Lane, action: Action, now: float, max_ids: int) -> list[Batch]:
    """Take out a batch of what was not tried yet, if one may leave now.

    A batch that something is in the way of is parted, but while several requests of the lane
    may yet be applied only for a request that is half full: if each id left as soon as it may,
    a slow segment whose customers flip would fill all slots with small requests.
    """
    in_the_way = lane.in_the_way_of(action)
    shares: list[tuple[Batch, Collection[str]]] = []
    room = max_ids
    worth_it = 1 if len(lane.in_flight) + len(lane.echoes) < MOST_PARTS else max_ids // 2
    for batch in lane.from_oldest(action):
        if not room or (not shares and batch.is_open and batch.due_at > now):
            break
        if batch.blocked_at == lane.landings and not batch.is_open:
            continue
        names = _free(batch.ids, in_the_way)
        if names and (len(names) == len(batch.ids) or len(names) >= worth_it):
            share = names if len(names) <= room else tuple(names)[:room]
            shares.append((batch, share))
            room -= len(share)
        elif not batch.is_open:  # that one may yet get others
            batch.blocked_at = lane.landings
    found = _joined(lane, shares) if shares else []
    left = lane.add if action == "add" else lane.remove
    if left is not None and left.ids and left.due_at <= now:
        lane.close(left)  # what stands in its way is not its successors' to wait for
    return found


def _joined(lane: Lane, shares: list[tuple[Batch, Collection[str]]]) -> list[Batch]:
    """Take these ids out of the batches in which they wait, as one batch."""
    (first, names), *others = shares
    if len(names) == len(first.ids):
        batch = first
        lane.take_out(batch)
    else:
        batch = Batch(lane, first.action, first.opened_at, first.due_at, is_open=False)
        batch.reason = first.reason
        others = shares
    for other, those in others:
        if not other.is_open:
            lane.backlog.dropped(those)
        batch.take_over(other, those)
    return [batch, *(other for other, _ in others)]


def _free(ids: dict[str, int], in_the_way: Iterable[Collection[str]]) -> Collection[str]:
    """Return those of the ids that nothing is in the way of: ``ids`` itself if these are all."""
    blocked: set[str] = set()
    for each in in_the_way:
        blocked |= ids.keys() & each
    return [name for name in ids if name not in blocked] if blocked else ids


def _was_not_full(batch: Batch) -> bool:
    return batch.reason != "size"


def _opened_at(batch: Batch) -> float:
    return batch.opened_at
