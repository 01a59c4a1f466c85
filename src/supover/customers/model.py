"""The nouns of customers."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from supover.kit.problems import Conflict, NotFound, Problem, Stale

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


class Customer(msgspec.Struct, frozen=True, rename="camel"):
    """A customer with their figures.

    `totalSpent`, `orderCount`, `averageOrderValue`, `firstOrderDate` and `lastOrderDate` are of the orders that count;
    `lifetimeValue`, `totalOrders` and `isRepeatCustomer` of delivered ones; `ordersCount` of all. Amounts are in
    `currency`, the workspace's; `byCurrency` has the counting orders' sums in the currencies they were placed in.
    `addresses` are there where `include=addresses` asked for them.
    """

    id: UUID
    external_id: str | None
    email: str | None
    name: str | None
    phone: str | None
    date_of_birth: date | None
    gender: str | None
    avatar_url: str | None
    status: Status
    is_blocked: bool
    source: str
    country: str | None
    total_spent: Decimal
    order_count: int
    average_order_value: Decimal
    first_order_date: datetime | None
    last_order_date: datetime | None
    lifetime_value: Decimal
    total_orders: int
    is_repeat_customer: bool
    orders_count: int
    currency: str
    by_currency: Mapping[str, Any]
    rfm_group: str | None
    churn_risk: str | None
    tags: Sequence[str]
    custom_fields: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    merged_into_id: UUID | None
    version: int
    addresses: Sequence[Address] | UnsetType = UNSET


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


class NewCustomer(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A customer to be. At least one of `email`, `phone`, `name` and `externalId` is needed.

    `source` is where the customer comes from; unless told MANUAL for a member of staff, API for a key. `country` may be a
    code or a name. `customFields` is a JSON object of up to 16 KiB.
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


class CustomerNotFound(NotFound):
    """No customer with this id in this workspace."""


class CustomerStale(Stale):
    """Somebody else has changed this customer since it was read."""


class EmailTaken(Conflict):
    """Another customer has this email."""


class ExternalIdTaken(Conflict):
    """Another customer has this source and external id."""


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
