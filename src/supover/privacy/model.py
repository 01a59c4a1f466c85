"""The nouns of privacy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, NotFound

Kind = Literal["export", "erase", "erase_shop"]
Status = Literal["pending", "running", "completed", "cancelled", "failed"]
Origin = Literal["staff", "channel", "retention", "replay"]
REASON_LENGTH: Final = 1_000
"""So many characters the reason of an erasure has at most."""


class PrivacyFile(msgspec.Struct, frozen=True, rename="camel"):
    """A file of an export, and a link by which whoever has it can fetch it until `expiresAt`."""

    format: Literal["json", "html"]
    url: str
    expires_at: datetime


class PrivacyRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody wants to know what is kept of them, or wants it gone.

    A pending erasure runs at `runAt` and can be cancelled until then; each must be answered by `dueAt`. `origin` says who asked
    here: the staff or a program, a channel, the retention of the workspace, or a replay after a restore. A channel's request
    for somebody unknown has no `customerId`. `already` is true where the same was asked for, or done, before.
    """

    id: UUID
    kind: Kind
    status: Status
    customer_id: UUID | None
    origin: Origin
    reason: str | None
    requested_by: str
    requested_by_name: str
    run_at: datetime
    due_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled_by: str | None
    error: str | None
    files: Sequence[PrivacyFile] = ()
    already: bool = False


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    """What an erasure did, without anything of the person: rows by table, files, when, and by whom it was asked for.

    `customerIds` are the rows that stay for their orders' sake; `contactsBarred` is how many contacts are known from now on as an
    erased person's, by keyed hashes. Of a dry run nothing happened.
    """

    id: UUID | None
    status: Status
    customer_ids: Sequence[UUID]
    requested_by: str
    requested_at: datetime
    erased_at: datetime | None
    rows: Mapping[str, int]
    orders_kept: int
    files: int
    contacts_barred: int
    dry_run: bool = False


class ErasureAsked(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How to erase somebody. `delayDays` is the workspace's unless told; until they are over, it can be cancelled."""

    reason: Annotated[str, msgspec.Meta(max_length=REASON_LENGTH)] | None = None
    delay_days: Annotated[int, msgspec.Meta(ge=0, le=30)] | None = None
    dry_run: bool = False


class Retention(msgspec.Struct, frozen=True, rename="camel"):
    """For how long things are kept, and how long an erasure waits. Null: for ever."""

    erase_delay_days: int
    raw_webhook_days: int
    import_file_days: int
    export_file_days: int
    idempotency_hours: int
    audit_days: int | None
    inactive_customer_months: int | None
    version: int


class NewRetention(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """For how long things are to be kept: what is not told is as the defaults say.

    Raw webhooks that were worked off, files of imports that ended, files of exports, answers to Idempotency-Keys, the audit log,
    and customers of whom nothing was heard: no order, no change, no word of consent. Those are erased as if they had asked.
    """

    erase_delay_days: Annotated[int, msgspec.Meta(ge=0, le=30)] = 0
    raw_webhook_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30
    import_file_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7
    export_file_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7
    idempotency_hours: Annotated[int, msgspec.Meta(ge=24, le=720)] = 24
    audit_days: Annotated[int, msgspec.Meta(ge=30, le=3660)] | None = None
    inactive_customer_months: Annotated[int, msgspec.Meta(ge=6, le=240)] | None = None


class Person(msgspec.Struct, frozen=True):
    """Somebody's rows: the customer with all that were merged into it, its orders, its merges, and every row of theirs."""

    customers: Sequence[UUID]
    orders: Sequence[UUID]
    merges: Sequence[UUID]
    own: Sequence[UUID]


class Erased(msgspec.Struct, frozen=True, rename="camel"):
    """What was erased: rows by table, files, contacts that are barred from now on, orders that stay."""

    customer_ids: Sequence[UUID] = ()
    rows: Mapping[str, int] = {}
    files: int = 0
    contacts_barred: int = 0
    orders_kept: int = 0


class Stored(msgspec.Struct, frozen=True):
    """A request as whoever runs it needs it."""

    id: UUID
    kind: Kind
    status: Status
    customer_id: UUID | None
    origin: Origin
    connection_id: UUID | None
    order_external_ids: Sequence[str]
    actor: str
    actor_name: str
    created_at: datetime
    certificate: Any


class RequestNotFound(NotFound):
    """No request of privacy with this id."""


class ErasureNotFound(NotFound):
    """No erasure with this id."""


class RequestEnded(Conflict):
    """This request has run, or was cancelled."""
