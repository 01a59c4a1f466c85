"""The nouns of exports."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from supover.customers.model import Status
from supover.kit.problems import Conflict, NotFound, TooManyRequests
from supover.orders.model import OrderStatus

Kind = Literal["customers", "addresses", "orders"]
Format = Literal["csv", "xlsx", "jsonl", "parquet"]
ExportStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
AddressType = Literal["SHIPPING", "BILLING", "BOTH"]

Ids = Annotated[Sequence[UUID], msgspec.Meta(min_length=1, max_length=10_000)]
Fields = Annotated[Sequence[str], msgspec.Meta(min_length=1, max_length=1_000)]


class CustomerExport(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Which customers: all living ones, or those whom all of these narrow to, as the list of customers has them.

    `filter` is in the segment language; `ids` are up to 10,000. `fields` are columns, in their order; without it those that an
    import takes back. `sort` is as for the list; by `id` unless told, which is the order of a file that was imported.
    """

    filter: str | None = None
    segment: UUID | None = None
    search: str | None = None
    status: Sequence[Status] = ()
    source: Sequence[str] = ()
    tag: Sequence[str] = ()
    country: str | None = None
    min_spent: Decimal | None = None
    max_spent: Decimal | None = None
    min_orders: int | None = None
    is_repeat: bool | None = None
    created_from: str | None = None
    created_to: str | None = None
    ids: Ids | None = None
    fields: Fields | None = None
    format: Format = "csv"
    sort: str | None = None


class AddressExport(
    CustomerExport, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Whose addresses, as `CustomerExport` says it, and which of them: one row an address. `ids` are of customers."""

    type: Sequence[AddressType] = ()
    address_country: str | None = None
    is_default: bool | None = None


class OrderExport(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Which orders: all, or those that all of these narrow to, as the list of orders has them. One row an order line.

    `fields` are columns, in their order; without it those that an import takes back. `sort` is as for the list; by `id` unless
    told, which is the order in which they were made.
    """

    customer_id: UUID | None = None
    status: Sequence[OrderStatus] = ()
    source: str | None = None
    placed_from: str | None = None
    placed_to: str | None = None
    number: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    on_hold: bool | None = None
    rate_missing: bool | None = None
    needs_review: bool | None = None
    ids: Ids | None = None
    fields: Fields | None = None
    format: Format = "csv"
    sort: str | None = None


Asked = CustomerExport | AddressExport | OrderExport


class ExportRun(msgspec.Struct, frozen=True, rename="camel"):
    """One export to a file. `rows` are those written so far; `bytes` and `url` are there once it is completed.

    Whoever has `url` can fetch the file until `expiresAt`: reading the export again gives a link that lasts a day from then.
    The file is kept for a week.
    """

    id: UUID
    kind: Kind
    format: Format
    status: ExportStatus
    file_name: str
    rows: int
    bytes: int | None
    error: str | None
    asked: Any
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    url: str | None = None
    expires_at: datetime | None = None


class Stored(msgspec.Struct, frozen=True):
    """What a runner needs of an export."""

    id: UUID
    kind: Kind
    format: Format
    status: ExportStatus
    asked: Any
    file_key: str | None
    actor: str
    is_deleted: bool


class Linked(msgspec.Struct, frozen=True):
    """The export that a file is of."""

    workspace_id: UUID
    id: UUID
    format: Format
    file_name: str


class ExportNotFound(NotFound):
    """No export with this id in this workspace."""


class ExportEnded(Conflict):
    """This export has ended."""


class ExportNotFailed(Conflict):
    """Only a failed or cancelled export can be made again."""


class ExportLinkDead(NotFound):
    """This link leads to no file, or no longer."""


class ExportsBusy(TooManyRequests):
    """As many exports as may are being sent just now."""


class ReaderStalled(Exception):
    """Whoever asked has read nothing for a long time."""
