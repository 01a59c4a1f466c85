"""The nouns that every channel's message becomes: a contact, an address, an order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec


class PostalAddress(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """An address as it was given; `country` is ISO 3166-1 alpha-2 where it could be told, else what was written."""

    recipient_name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone: str | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Who an order says bought it. `external_id` is the channel's own id of the buyer, unique in (source, shop)."""

    source: str
    shop: str = ""
    customer_id: UUID | None = None
    external_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    country: str | None = None
    address: PostalAddress | None = None


class ChannelLine(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """One line of an order; `unit_price` in the order's currency."""

    sku: str | None = None
    title: str = ""
    quantity: int = 1
    unit_price: Decimal | None = None
    properties: Mapping[str, Any] = {}


class ChannelRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back. The same `external_id` again is the same refund."""

    external_id: str
    amount: Decimal
    refunded_at: datetime
    reason: str | None = None


class ChannelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its source tells it. Amounts in `currency`; `updated_at` is the source's own time.

    `settled` orders come from history: their status is taken as told, whatever it was before.
    `refunds` None leaves what is known; a sequence is all that the source knows. A source that only knows the sum of them
    tells `refunded`. Where `placed_at_told` is false, `placed_at` stands in for a time that was not told.
    """

    contact: Contact
    source: str
    shop: str = ""
    external_id: str | None = None
    number: str | None = None
    status: str = "pending"
    financial_status: str | None = None
    currency: str
    subtotal: Decimal | None = None
    shipping: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    total: Decimal
    exchange_rate: Decimal | None = None
    refunds: Sequence[ChannelRefund] | None = None
    refunded: Decimal | None = None
    placed_at: datetime
    placed_at_told: bool = True
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None
    delivered_at: datetime | None = None
    shipping_address: PostalAddress | None = None
    billing_address: PostalAddress | None = None
    lines: Sequence[ChannelLine] | None = None
    tags: Sequence[str] = ()
    note: str | None = None
    settled: bool = False
