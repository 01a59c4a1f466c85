"""The nouns of channels: connections, and what every channel's message becomes: a contact, an address, an order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, NotFound

Platform = Literal["SHOPIFY"]
ConsentChannel = Literal["email", "sms", "whatsapp", "phone", "post"]
ConsentTopic = Literal["marketing", "transactional", "review_requests", "surveys"]
ConsentState = Literal["SUBSCRIBED", "PENDING", "UNSUBSCRIBED", "INVALID", "REDACTED"]
OptInLevel = Literal["SINGLE_OPT_IN", "CONFIRMED_OPT_IN", "UNKNOWN"]
"""How somebody opted in, in the words of M3AAWG."""


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


UNTOLD: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When a yes was said of which nobody tells the time: before everything else that was said."""


class ChannelConsent(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel says that its customer chose. `at` is when they did; an opt-in has it, if only UNTOLD.

    `address` is the email or phone that it is about.
    """

    channel: ConsentChannel
    topic: ConsentTopic = "marketing"
    state: ConsentState
    opt_in_level: OptInLevel = "UNKNOWN"
    at: datetime | None = None
    source: str | None = None
    address: str | None = None


class ChannelCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as a channel tells it; `contact.external_id` is there. `updated_at` is the channel's own time.

    `tags` None: it says nothing of them.
    """

    contact: Contact
    tags: Sequence[str] | None = None
    updated_at: datetime | None = None
    consents: Sequence[ChannelConsent] = ()


class ChannelConsents(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer chose, told by itself, perhaps before the customer; `contact.external_id` is there."""

    contact: Contact
    consents: Sequence[ChannelConsent]


class ChannelOrderRefund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that came by itself, perhaps before its order. `currency` is its amount's, None where it does not say."""

    source: str
    shop: str
    order_external_id: str
    currency: str | None
    refund: ChannelRefund


class ChannelPrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop must do for somebody's privacy, as its platform says: tell what is kept, or forget them, or everybody.

    Of the customer the channel's id, else an email or phone; `orders` are the channel's ids of orders to forget, too.
    """

    kind: Literal["export", "erase", "erase_shop"]
    contact: Contact
    orders: Sequence[str] = ()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery's headers say, which nobody has signed. `shop` None: it does not say."""

    topic: str
    shop: str | None
    signature: str | None
    delivery_id: str | None
    event_id: str | None
    api_version: str | None
    triggered_at: datetime | None


class Ignored(msgspec.Struct, frozen=True):
    """A message that changes nothing here, and why."""

    reason: str


class Unreadable(Exception):
    """A message that cannot be read: where (a JSON pointer into its body) and why."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(f"{pointer or 'body'}: {why}")


Said = ChannelOrder | ChannelOrderRefund | ChannelCustomer | ChannelConsents | ChannelPrivacy | Ignored
"""What a message amounts to."""


# --- connections -----------------------------------------------------------------------------------------------------


class Connection(msgspec.Struct, frozen=True, rename="camel"):
    """A shop that sends us what happens there, to `webhookUrl`. Its secret is never shown.

    `overlapsUntil`: until then the secret before the last rotation is accepted too. `lastReceivedAt` is right to a minute.
    """

    id: UUID
    platform: Platform
    shop: str
    name: str
    webhook_url: str
    overlaps_until: datetime | None
    last_received_at: datetime | None
    created_at: datetime
    updated_at: datetime
    disconnected_at: datetime | None
    version: int


Secret = Annotated[str, msgspec.Meta(min_length=8, max_length=1024, description="What the platform signs with.")]


class NewConnection(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A shop to connect. `shop` is its permanent address, such as demo.myshopify.com; `name` is the shop's unless told."""

    platform: Platform
    shop: str
    secret: Secret
    name: str | None = None


class ConnectionChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a connection. Another shop is another connection; another secret is a rotation."""

    name: str | msgspec.UnsetType = msgspec.UNSET


class Rotation(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A new secret. The one before is accepted for `overlapHours` more, 24 unless told; 0 ends it at once."""

    secret: Secret
    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=168)] = 24


class ConnectionNotFound(NotFound):
    """No channel connection with this id in this workspace."""


class ShopConnected(Conflict):
    """This shop is connected already."""


class Disconnected(Conflict):
    """This connection has ended."""
