"""The demo's events as Segment Engage sends them: track and identify calls, for the preset to read.

Each call is one customer's. A track call says that they entered or left one audience, an identify
call has several audiences at once: true or false, in order. Between them are calls that concern no
segment, as on any topic of Segment's.
"""

import json

from consumer.commands.demo.story import (
    DATA_DRIVEN_SEGMENT,
    EMAIL_SEGMENTS,
    ID_SEGMENTS,
    Record,
    Story,
)

MAPPING = "segment-engage"
SEGMENTS = {
    f"audience_{number}": number for number in (*ID_SEGMENTS, *EMAIL_SEGMENTS, DATA_DRIVEN_SEGMENT)
}
"""What goes into ``EVENT_SEGMENTS``: an audience's key -> its segment."""

_IDENTIFY_SHARE = 0.1
_IGNORED_SHARE = 0.2
_AUDIENCES = 3  # of an identify call
_INVALID_IDS: tuple[object, ...] = ("", "x" * 200, True, 1.5)
_ENTERED = {True: "Audience Entered", False: "Audience Exited"}


class EngageStory(Story):
    """The same customers and segments, in Segment's words."""

    mapping = MAPPING
    segments = SEGMENTS
    junk = (
        b"customer-17 enters audience_4",
        b'{"type": "track", "event": "Audience Entered", "userId": "customer-17"',
        b'{"type": "identify", "userId": {"id": 17}, "traits": {"audience_4": true}}',
        b'{"type": "identify", "traits": {"audience_4": true}}',
        b'{"type": "identify", "userId": "customer-17", "traits": {"audience_4": "maybe"}}',
        b"\xff\xfe",
    )

    def _plain(self) -> Record:
        draw = self._random.random()
        if draw < _IGNORED_SHARE:
            return self._of_no_audience()
        if draw < _IGNORED_SHARE + _IDENTIFY_SHARE:
            return self._identify()
        return super()._plain()

    def _said(self, key: str, segment_id: int, action: str, name: str, id_type: str) -> Record:
        return key.encode(), _track(segment_id, action, name, id_type)

    def _import(self) -> Record:
        """Return an identify call: Segment has no lists."""
        return self._identify()

    def _identify(self) -> Record:
        (name,) = self._names(1)
        segments = self._random.sample(ID_SEGMENTS, _AUDIENCES)
        actions = {number: self._change((number, "id"), name) for number in segments}
        traits: dict[str, object] = {"plan": "pro"}
        traits |= {f"audience_{number}": action == "add" for number, action in actions.items()}
        return name.encode(), _call(type="identify", userId=name, traits=traits)

    def _of_no_audience(self) -> Record:
        """Return a call that concerns no segment: an order, or an audience that is in no table."""
        self.ignored += 1
        (name,) = self._names(1)
        if self.ignored % 2:
            properties: dict[str, object] = {"audience_key": "elsewhere", "elsewhere": True}
            return name.encode(), _call(
                type="track", event=_ENTERED[True], userId=name, properties=properties
            )
        return name.encode(), _call(
            type="track", event="Order Completed", userId=name, properties={"total": 12.5}
        )

    def _mixed(self) -> Record:
        """Return a call whose user can't be one."""
        invalid = _INVALID_IDS[self.invalid % len(_INVALID_IDS)]
        self.invalid += 1
        self.ids["add"] += 1
        return b"customer-17", _track(ID_SEGMENTS[0], "add", invalid, "id")


def _track(segment_id: int, action: str, name: object, id_type: str) -> bytes:
    key, is_in = f"audience_{segment_id}", action == "add"
    is_email = id_type == "email"
    return _call(
        type="track",
        event=_ENTERED[is_in],
        userId=None if is_email else name,
        properties={"audience_key": key, key: is_in},
        context={"traits": {"email": name}} if is_email else {},
    )


def _call(**members: object) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()
