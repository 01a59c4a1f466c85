"""The nouns of customers."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from supover.kit.problems import Conflict, NotFound, Problem, Stale, Unavailable

Status = Literal["ACTIVE", "INACTIVE", "BLOCKED", "VIP"]
AddressType = Literal["SHIPPING", "BILLING", "BOTH"]


class Address(msgspec.Struct, frozen=True, rename="camel"):
    """A place of a customer; of each type at most one is the default, and BOTH is of both types.

    `country` is ISO 3166-1 alpha-2 where it could be told. `validatedAt` says when the address last fitted its country's
    rules; null where it was kept as given.
    """

    id: UUID
    customer_id: UUID
    type: AddressType
    is_default: bool
    line1: str
    line2: str | None
    city: str
    state: str
    postal_code: str
    country: str
    recipient_name: str
    phone: str | None
    validated_at: datetime | None
    validation_skipped: bool
    created_at: datetime
    updated_at: datetime
    version: int


IdentityKind = Literal["channel", "email", "phone"]
Quality = Literal["real", "relay", "masked", "placeholder"]


class CustomerIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """A contact by which orders come to a customer: a channel's id of the buyer, an email or a phone.

    `value` is what stands in `externalId`, `email` or `phone`; `source` and `shop` are a channel's. Only a `quality` of real
    matches: a relay, masked or placeholder contact is kept and leads nowhere, nor does a hub, a contact that many people
    seem to share. `matchedBy` says how it came to this customer: profile, given or moved by hand; import, when a file said it
    and the profile says another, or somebody else's profile has it; merged, with a customer who was merged into this one; or by
    the rule that mapped the order which it came with (new, email, phone, channel_identity, customer_id). `isOwn`: it stands in
    the profile. `lastSeenAt`: when the newest of the customer's last 500 orders that came with it was placed.
    """

    id: UUID
    customer_id: UUID
    kind: IdentityKind
    source: str | None
    shop: str | None
    value: str
    external_id: str | None
    email: str | None
    phone: str | None
    quality: Quality
    matched_by: str
    is_hub: bool
    is_own: bool
    created_at: datetime
    last_seen_at: datetime | None
    version: int


class NewIdentity(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A contact to be: one of `externalId` (with its `source`, and `shop` where the channel has several), `email`, `phone`.

    One that another customer has is refused unless `isShared` says that both use it, which only emails and phones can be.
    """

    external_id: str | None = None
    source: str | None = None
    shop: str = ""
    email: str | None = None
    phone: str | None = None
    is_shared: bool = False


class IdentityMove(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose contact it is; with `orders` the orders that it brought go along."""

    customer_id: UUID
    orders: bool = False


class CustomerNote(msgspec.Struct, frozen=True, rename="camel"):
    """A note as it is shown within its customer."""

    id: UUID
    note: str
    pinned: bool
    author_name: str
    created_at: datetime


class RecentOrder(msgspec.Struct, frozen=True, rename="camel"):
    """An order as it is shown within its customer; `total` is before refunds."""

    id: UUID
    number: str | None
    source: str
    status: str
    total: Decimal
    refunded: Decimal
    currency: str
    placed_at: datetime


class Customer(msgspec.Struct, frozen=True, rename="camel"):
    """A customer with their figures, which a worker recounts within a moment of a change.

    An order counts once it is in one of the workspace's `countingStatuses` and its exchange rate is known. Amounts are in
    `currency`, less refunds. What `include` asked for is there too: `addresses`; `identities`, the newest 50; `notes`, the
    pinned and then the newest, 20 in all; `orders`, the newest 5.
    """

    id: UUID
    external_id: Annotated[str | None, Meta(description="Who this is at `source`.")]
    email: str | None
    name: str | None
    phone: Annotated[str | None, Meta(description="As it was given.")]
    date_of_birth: date | None
    gender: str | None
    avatar_url: str | None
    status: Annotated[Status, Meta(description="VIP is a mark; what a BLOCKED customer orders is held.")]
    is_blocked: Annotated[bool, Meta(description="Whether `status` is BLOCKED.")]
    source: Annotated[str, Meta(description="Where the customer first came from.")]
    country: Annotated[str | None, Meta(description="ISO 3166-1 alpha-2.")]
    total_spent: Annotated[Decimal, Meta(description="Sum of the orders that count, delivered or not, less refunds.")]
    order_count: Annotated[int, Meta(description="How many orders count; what `totalSpent` is the sum of.")]
    average_order_value: Annotated[Decimal, Meta(description="`totalSpent` divided by `orderCount`.")]
    first_order_date: Annotated[datetime | None, Meta(description="When the first order that counts was placed.")]
    last_order_date: Annotated[datetime | None, Meta(description="When the last order that counts was placed.")]
    lifetime_value: Annotated[Decimal, Meta(description="Sum of the delivered orders alone, less refunds.")]
    total_orders: Annotated[
        int, Meta(description="How many orders are `delivered`; what `lifetimeValue` is the sum of.")
    ]
    is_repeat_customer: Annotated[bool, Meta(description="Whether `totalOrders` is 2 or more.")]
    orders_count: Annotated[
        int, Meta(description="How many orders there are, whatever became of them: cancelled and returned ones too.")
    ]
    currency: Annotated[str, Meta(description="The workspace's, ISO 4217; all amounts above are in it.")]
    by_currency: Annotated[
        Mapping[str, Any],
        Meta(
            description="The same sums in the currencies the orders were placed in: `orders`, `spent`, `lifetimeValue`."
        ),
    ]
    rfm_group: Annotated[
        str | None,
        Meta(
            description="Group by recency, frequency and spend. PROSPECTS without an order that counts; null before "
            "customers were scored or once they are deleted."
        ),
    ]
    churn_risk: Annotated[
        str | None,
        Meta(
            description="How likely it is that no order comes any more: low, medium or high; null without a prediction."
        ),
    ]
    tags: Sequence[str]
    custom_fields: Annotated[Mapping[str, Any], Meta(description="What else the workspace keeps, by its own keys.")]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    merged_into_id: Annotated[
        UUID | None, Meta(description="Who has everything of this customer since they were merged.")
    ]
    version: Annotated[int, Meta(description="Grows with every change of the profile; the number in the `ETag`.")]
    addresses: Sequence[Address] | UnsetType = UNSET
    identities: Sequence[CustomerIdentity] | UnsetType = UNSET
    notes: Sequence[CustomerNote] | UnsetType = UNSET
    orders: Sequence[RecentOrder] | UnsetType = UNSET


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """What people edit of a customer, as it is kept."""

    source: str
    external_id: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    phone_e164: str | None = None
    date_of_birth: date | None = None
    gender: str | None = None
    status: Status = "ACTIVE"
    country: str | None = None
    tags: Sequence[str] = ()
    custom_fields: Mapping[str, Any] = {}

    @property
    def is_somebody(self) -> bool:
        """Whether anything says who this is."""
        return bool(self.email or self.phone or self.name or self.external_id)


class NewCustomer(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A customer to be. At least one of `email`, `phone`, `name` and `externalId` is needed.

    `source` is where the customer comes from; unless told MANUAL for a member of staff, API for a key. `country` may be a
    code or a name. `customFields` is a JSON object of up to 16 KiB; whole numbers in it are exact, others have the precision
    of a double.
    """

    external_id: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    date_of_birth: date | None = None
    gender: str | None = None
    status: Status = "ACTIVE"
    source: str | None = None
    country: str | None = None
    tags: Sequence[str] = ()
    custom_fields: Mapping[str, Any] = {}


class CustomerReplacement(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A profile in place of the one that is there: what is absent becomes null or empty.

    `status` and `source` cannot be null and stay as they are where they are absent.
    """

    external_id: str | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    date_of_birth: date | None = None
    gender: str | None = None
    status: Status | UnsetType = UNSET
    source: str | UnsetType = UNSET
    country: str | None = None
    tags: Sequence[str] = ()
    custom_fields: Mapping[str, Any] = {}


class ExternalProfile(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The profile of the customer that a channel knows by the id in the address: what is absent becomes null or empty."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    date_of_birth: date | None = None
    gender: str | None = None
    status: Status | UnsetType = UNSET
    country: str | None = None
    tags: Sequence[str] = ()
    custom_fields: Mapping[str, Any] = {}


class CustomerChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a customer; what is absent stays, null empties.

    `tags` replaces all tags. `customFields` changes the keys it names, and a null removes its key.
    """

    external_id: str | None | UnsetType = UNSET
    email: str | None | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET
    date_of_birth: date | None | UnsetType = UNSET
    gender: str | None | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    source: str | UnsetType = UNSET
    country: str | None | UnsetType = UNSET
    tags: Sequence[str] | UnsetType = UNSET
    custom_fields: Mapping[str, Any] | UnsetType = UNSET


class StatusAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What was done, and the customer as it is then."""

    message: str
    customer: Customer


class CustomerTags(msgspec.Struct, frozen=True, rename="camel"):
    """A customer's tags; `version` is the customer's."""

    tags: Sequence[str]
    version: int


class TagsToAdd(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Tags that a customer is to have besides its others."""

    tags: Sequence[str]


class TagCount(msgspec.Struct, frozen=True, rename="camel"):
    """How many customers had a tag when they were last counted; as most of them write it."""

    tag: str
    customers: int
    counted_at: datetime


class Avatar(msgspec.Struct, frozen=True, rename="camel"):
    """A customer's picture as it is kept: a WebP within 512 × 512 pixels."""

    avatar_url: str
    width: int
    height: int


class TagNotFound(NotFound):
    """This customer does not have this tag."""


class AvatarNotFound(NotFound):
    """This customer has no picture."""


class AvatarStale(Stale):
    """Somebody else has changed this picture since it was read."""


class IdentityNotFound(NotFound):
    """This customer has no such contact."""


class IdentityTaken(Conflict):
    """Another customer has this contact."""


class IdentityNeeded(Conflict):
    """Nothing else says who this customer is."""


class CustomerNotFound(NotFound):
    """No customer with this id in this workspace."""


class CustomerStale(Stale):
    """Somebody else has changed this customer since it was read."""


class EmailTaken(Conflict):
    """Another customer has this email."""


class ExternalIdTaken(Conflict):
    """Another customer has this source and external id."""


class CustomerErased(Conflict):
    """This customer was erased, and nothing of the person is left."""


class ContactsSealed(Unavailable):
    """The key that contacts are compared by was sealed with a secret that is not here."""


class CustomerMerged(Problem):
    """This customer was merged into another one."""

    status = 308

    @classmethod
    def into(cls, survivor: UUID, below: str = "") -> "CustomerMerged":
        """The answer that leads to the survivor, or to what stands `below` it."""
        return cls(
            f"Customer {survivor} has everything of it now.",
            extra={"mergedIntoId": str(survivor)},
            headers={"Location": f"/api/customers/{survivor}{below}"},
        )
