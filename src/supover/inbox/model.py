"""The nouns of the inbox."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, NotFound, TooLarge, Unauthorized, Unavailable

Status = Literal["pending", "applied", "ignored", "dead"]


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """What a channel sent. Each is pending, and then applied, ignored (it changes nothing, for `reason`) or dead.

    `reason` of a dead one names the field of its body that could not be taken, or what went wrong in five attempts; of a
    pending one why it was not done yet, which is tried again at `dueAt`. `waitsFor` is the external id of the order that a
    refund came before. `size` counts bytes; `hasBody` is false once the body was forgotten.
    """

    id: UUID
    connection_id: UUID
    platform: str
    shop: str
    topic: str
    delivery_id: str
    event_id: str | None
    api_version: str | None
    triggered_at: datetime | None
    status: Status
    attempts: int
    reason: str | None
    waits_for: str | None
    due_at: datetime | None
    order_id: UUID | None
    customer_id: UUID | None
    size: int
    has_body: bool
    received_at: datetime
    settled_at: datetime | None


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose signature holds, to be kept."""

    connection_id: UUID
    topic: str
    delivery_id: str
    event_id: str | None
    api_version: str | None
    triggered_at: datetime | None
    body: bytes


class Replay(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which messages to work off again: all that fit; the dead ones unless a status or ids are told.

    `receivedFrom` is the first moment that counts, `receivedTo` the first that no longer does.
    """

    status: Literal["dead", "ignored", "applied"] | None = None
    connection_id: UUID | None = None
    topic: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    ids: Sequence[UUID] | None = None


class Replayed(msgspec.Struct, frozen=True, rename="camel"):
    """How many messages are pending again; `more` when there are others that fit: ask once more."""

    replayed: int
    more: bool


class MessageNotFound(NotFound):
    """No message with this id in this workspace."""


class BodyForgotten(Conflict):
    """The body of this message was forgotten, as it is older than thirty days."""


class NotSigned(Unauthorized):
    """This delivery is not signed by a shop that is connected here."""


class DeliveriesWaiting(Unavailable):
    """More deliveries are being sent than can be held until their signatures are checked."""


class DeliveryTooLarge(TooLarge):
    """A delivery may have 5 MiB at most."""
