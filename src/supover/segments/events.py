"""What happens to segments, and to customers in them."""

from uuid import UUID

from supover.kit.events import Event


class SegmentCreated(Event, frozen=True):
    """There is a new segment."""

    segment_id: UUID
    name: str
    segment_kind: str


class SegmentChanged(Event, frozen=True):
    """A segment has another name, description or filter."""

    segment_id: UUID
    name: str


class SegmentDeleted(Event, frozen=True):
    """A segment is gone, and with it all memberships."""

    segment_id: UUID
    name: str


class SegmentRebuilt(Event, frozen=True):
    """A segment's members were established anew, all at once: nobody was told to enter or leave by it."""

    segment_id: UUID
    name: str
    members: int


class SegmentEntered(Event, frozen=True):
    """A customer is in a segment now."""

    segment_id: UUID
    name: str


class SegmentLeft(Event, frozen=True):
    """A customer is in a segment no longer."""

    segment_id: UUID
    name: str
