"""The nouns of orders."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from supover.channels.model import ChannelLine, PostalAddress
from supover.kit.problems import Conflict, NotFound

OrderStatus = Literal["pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "returned"]
Outcome = Literal["created", "updated", "unchanged", "failed"]


class OrderLine(msgspec.Struct, frozen=True, rename="camel"):
    """One line; `unitPrice` in the order's currency."""

    id: UUID
    sku: str | None
    title: str
    quantity: int
    unit_price: Decimal | None
    properties: Mapping[str, Any]


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """An order. Amounts are in its own `currency`.

    `exchangeRate` is how many units of the workspace's currency one unit of it was worth, null while unknown: until it is
    known the order counts in no total.
    """

    id: UUID
    external_id: str | None
    number: str | None
    source: str
    shop: str
    customer_id: UUID | None
    status: OrderStatus
    financial_status: str | None
    on_hold: bool
    hold_reason: str | None
    needs_review: bool
    currency: str
    subtotal: Decimal | None
    shipping: Decimal | None
    tax: Decimal | None
    discount: Decimal | None
    total: Decimal
    refunded: Decimal
    exchange_rate: Decimal | None
    placed_at: datetime
    cancelled_at: datetime | None
    delivered_at: Annotated[
        datetime | None,
        Meta(
            description="As its source said; else when the source, or we, first heard of it. Null for imports that do not say."
        ),
    ]
    email: str | None
    phone: str | None
    name: str | None
    shipping_address: Mapping[str, Any] | None
    billing_address: Mapping[str, Any] | None
    lines: Sequence[OrderLine]
    tags: Sequence[str]
    note: str | None
    created_at: datetime
    updated_at: datetime
    version: int


class NewOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """An order to take in. The same `source`, `shop` and `externalId` again is the same order.

    Whose it is: `customerId`, else `customerExternalId`, `email`, `phone` and `name` are mapped to a customer.
    """

    external_id: str | None = None
    number: str | None = None
    source: str = "API"
    shop: str = ""
    customer_id: UUID | None = None
    customer_external_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    status: OrderStatus = "pending"
    financial_status: str | None = None
    currency: str | None = None
    subtotal: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    total: Decimal
    refunded: Decimal | None = None
    exchange_rate: Decimal | None = None
    placed_at: datetime | None = None
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None
    delivered_at: Annotated[
        datetime | None,
        Meta(
            description="When it was delivered. A `delivered` order that does not say was so at `updatedAt`, else now."
        ),
    ] = None
    shipping_address: PostalAddress | None = None
    billing_address: PostalAddress | None = None
    lines: Sequence[ChannelLine] | None = None
    tags: Sequence[str] = ()
    note: str | None = None


class OrderChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of an order; absent fields stay. `onHold` with a `holdReason` holds it, false releases it."""

    status: OrderStatus | msgspec.UnsetType = msgspec.UNSET
    financial_status: str | msgspec.UnsetType | None = msgspec.UNSET
    number: str | msgspec.UnsetType | None = msgspec.UNSET
    customer_id: UUID | msgspec.UnsetType = msgspec.UNSET
    on_hold: bool | msgspec.UnsetType = msgspec.UNSET
    hold_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    needs_review: bool | msgspec.UnsetType = msgspec.UNSET
    exchange_rate: Decimal | msgspec.UnsetType = msgspec.UNSET
    tags: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET
    shipping_address: PostalAddress | msgspec.UnsetType | None = msgspec.UNSET
    billing_address: PostalAddress | msgspec.UnsetType | None = msgspec.UNSET


class NewRefund(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Money given back, in the order's currency; everything that is left when no amount is given.

    The same `externalId` again is the same refund.
    """

    amount: Decimal | None = None
    reason: str | None = None
    external_id: str | None = None
    refunded_at: datetime | None = None


class Refund(msgspec.Struct, frozen=True, rename="camel"):
    """Money that was given back, in the order's currency; not `recordedHere` if the order's source told it."""

    id: UUID
    external_id: str | None
    amount: Decimal
    reason: str | None
    refunded_at: datetime
    recorded_here: bool


class Cancellation(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Why and when an order is cancelled; now unless told."""

    reason: str | None = None
    cancelled_at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """When an order was delivered; now unless told."""

    delivered_at: datetime | None = None


class IdentityDecision(msgspec.Struct, frozen=True, rename="camel"):
    """Why an order went to its customer: by which rule, with what evidence, and `explanation` in words."""

    order_id: UUID
    customer_id: UUID | None
    method: str
    evidence: Mapping[str, Any]
    decided_at: datetime
    explanation: Sequence[str] = ()


class Taken(msgspec.Struct, frozen=True):
    """What taking an order in did. `is_erased`: its person was erased, and nothing of them was taken in."""

    order_id: UUID | None
    customer_id: UUID | None
    outcome: Outcome
    customer_created: bool = False
    error: str | None = None
    is_erased: bool = False


class BatchRow(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One row's outcome of a batch: `errors` where it was refused."""

    index: int
    status: Outcome
    id: UUID | None = None
    customer_id: UUID | None = None
    errors: Sequence[Any] = ()


class BatchAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The outcome of a batch, row by row, with the sums."""

    rows: Sequence[BatchRow]
    created: int
    updated: int
    unchanged: int
    failed: int


class OrderNotFound(NotFound):
    """No order with this id in this workspace."""


class StatusMoveRefused(Conflict):
    """An order cannot go from this status to that one."""


class RefundTooLarge(Conflict):
    """More cannot be refunded than was paid."""
