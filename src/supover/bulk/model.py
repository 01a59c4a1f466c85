"""The nouns of bulk actions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from supover.customers.model import Status
from supover.exports.model import Format
from supover.kit.problems import Conflict, NotFound

Action = Literal["tag", "untag", "status", "block", "unblock", "customField", "delete", "restore"]
Asked = Literal[Action, "export"]
OnError = Literal["rejectAll", "rejectFailed"]
BulkStatus = Literal[
    "queued", "running", "completed", "completed_with_errors", "failed", "cancelled", "undoing", "undone"
]
Outcome = Literal["changed", "unchanged", "failed"]


class NewBulk(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """One thing to do to many customers.

    Who is meant: `ids`; or what a list of customers is narrowed by, `filter`, `segment`, `search` and `query` (what stands
    behind the question mark of `/api/customers`, as in `status=VIP&tag=b2b`), of which those given must all hold.

    What is done: `tag` and `untag` need `tags`; `status` needs `status`; `customField` needs `key`, and `value`, of which null
    removes the key; `block`, `unblock`, `delete` and `restore` need nothing. `export` takes `fields` and `format`, and is an
    export: `/api/exports/{exportId}` leads to its file.

    `dryRun` answers as the action would, and changes nothing. `onError`: rejectFailed leaves out who cannot be changed,
    rejectAll changes nobody where there is one.
    """

    action: Asked
    ids: Sequence[UUID] | None = None
    filter: str | None = None
    segment: UUID | None = None
    search: str | None = None
    query: str | None = None
    tags: Sequence[str] | None = None
    status: Status | None = None
    key: str | None = None
    value: Any | UnsetType = UNSET
    fields: Sequence[str] | None = None
    format: Format | None = None
    dry_run: bool = False
    on_error: OnError = "rejectFailed"


class Deed(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is done to each, as it was checked."""

    action: Action
    tags: Sequence[str] = ()
    status: Status | None = None
    key: str | None = None
    value: Any = None


class BulkResult(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one customer; `code` and `message` say why one failed, `field` what of it."""

    customer_id: UUID
    outcome: Outcome
    field: str | None = None
    code: str | None = None
    message: str | None = None


class BulkAction(msgspec.Struct, frozen=True, rename="camel"):
    """A bulk action, and how far it is: `changed + unchanged + failed = done`, and once it is completed `total`.

    `deed` is what is done, `selection` what was asked for whom. `rate` is customers a second. With `dryRun` they are counted
    as they would be. `undone` and `kept`: how many customers were gone through to undo it, and at how many of those something
    stays as it is. `results` has everybody where it was done at once; else they are a list of their own.
    """

    id: UUID | None
    action: Asked
    deed: Mapping[str, Any]
    selection: Mapping[str, Any]
    dry_run: bool
    on_error: OnError
    status: BulkStatus
    total: int
    done: int
    changed: int
    unchanged: int
    failed: int
    undone: int
    kept: int
    rate: float | None
    eta_s: int | None
    error: str | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    export_id: UUID | None = None
    results: Sequence[BulkResult] | UnsetType = UNSET


class Work(msgspec.Struct, frozen=True):
    """What a runner needs of an action, which it holds."""

    action: Action
    deed: Mapping[str, Any]
    dry_run: bool
    on_error: OnError
    status: BulkStatus
    is_checked: bool
    next_chunk: int
    failed: int
    changed: int
    actor: str
    actor_name: str


class Progress(msgspec.Struct, frozen=True):
    """How far an action is; `has_ended` where nothing is left to do."""

    done: int
    total: int
    has_ended: bool


class BulkNotFound(NotFound):
    """No bulk action with this id in this workspace."""


class BulkEnded(Conflict):
    """This bulk action has ended."""


class BulkUnderWay(Conflict):
    """This bulk action is still under way."""


class BulkNotUndone(Conflict):
    """This bulk action cannot be undone."""
