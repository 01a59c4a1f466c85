"""The nouns of what customers are worth."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from supover.analytics.prediction_model import InsufficientData, Prediction

Basis = Literal["counting", "delivered"]
"""Whether orders that count are meant (`totalSpent`) or delivered ones (`lifetimeValue`)."""


# --- one customer --------------------------------------------------------------------------------------------------------


class CustomerMonth(msgspec.Struct, frozen=True, rename="camel"):
    """What a customer ordered in a month of the workspace's zone: orders that count, less refunds."""

    month: str
    amount: Decimal
    orders: int


class CustomerChannel(msgspec.Struct, frozen=True, rename="camel"):
    """What a customer ordered by a channel; `share` is the part of all that was spent, null where that is nothing."""

    channel: str
    amount: Decimal
    orders: int
    share: float | None


class CustomerValue(msgspec.Struct, frozen=True, rename="camel"):
    """What a customer is worth, in the workspace's currency.

    `lifetimeValue` is of delivered orders, all else of orders that count. `refundRate` is the part of the amount that was given back;
    null without orders. `shippingCost` is what carriers were paid, not what the buyer paid for shipping; it and
    `ltvNetOfShipping` are null where no shipment is known. `percentile`, 1 to 100: so many per cent of the living customers
    with an order that counts spent as much or less, rounded up; null without orders, or before customers were scored.
    `monthly` has every month from the first order to the running one.
    """

    lifetime_value: Decimal
    total_spent: Decimal
    average_order_value: Decimal
    order_count: int
    total_orders: int
    refund_rate: float | None
    shipping_cost: Decimal | None
    ltv_net_of_shipping: Decimal | None
    percentile: int | None
    monthly: Sequence[CustomerMonth]
    by_channel: Sequence[CustomerChannel]


class CustomerFrequency(msgspec.Struct, frozen=True, rename="camel"):
    """How often a customer orders; null without orders.

    `purchaseFrequency` is orders per 30 days since the first one, at least a day being counted. `averageDaysBetweenOrders` is from
    the first to the last, null with one order. `daysSinceLastOrder` counts days of the workspace's calendar.
    """

    purchase_frequency: float | None
    average_days_between_orders: float | None
    days_since_last_order: int | None
    first_order_date: datetime | None
    last_order_date: datetime | None


class CustomerRfm(msgspec.Struct, frozen=True, rename="camel"):
    """A customer's scores, 1 to 5, and the group that follows; PROSPECTS has none. `formerGroup` is that of last month's end."""

    recency: int | None
    frequency: int | None
    monetary: int | None
    group: str
    former_group: str | None


class CustomerAnalytics(msgspec.Struct, frozen=True, rename="camel"):
    """What a customer is worth, how often they order, and what is to be expected. `rfm` is null before anybody was scored.

    `asOf`: everything that happened before is in.
    """

    customer_id: UUID
    currency: str
    as_of: datetime
    value: CustomerValue
    frequency: CustomerFrequency
    rfm: CustomerRfm | None
    prediction: Prediction | InsufficientData


# --- RFM -----------------------------------------------------------------------------------------------------------------


class RfmGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A group of customers. `share` is of all living customers, `revenueShare` of all that these spent.

    The scores are means of the group; they and `averageOrderValue` are null where it is empty. `customersLastMonth` is how many it
    had at the end of last month, null where that is not known.
    """

    group: str
    words: str
    customers: int
    share: float | None
    revenue: Decimal
    revenue_share: float | None
    average_order_value: Decimal | None
    recency: float | None
    frequency: float | None
    monetary: float | None
    customers_last_month: int | None


class RfmSquare(msgspec.Struct, frozen=True, rename="camel"):
    """How many customers have these two scores, and what they spent."""

    recency: int
    frequency: int
    customers: int
    share: float | None
    revenue: Decimal


class RfmFlow(msgspec.Struct, frozen=True):
    """How many customers were in one group at the end of last month and are in another one now; null: had no group."""

    customers: int
    to: str
    from_: str | None = msgspec.field(name="from")


class RfmMovement(msgspec.Struct, frozen=True, rename="camel"):
    """Who changed groups since the end of `month`, most first. Who has no order that counts any more is in none of them."""

    month: str
    flows: Sequence[RfmFlow]


class RfmCuts(msgspec.Struct, frozen=True, rename="camel"):
    """The greatest value that has the score 1, 2, 3 and 4; null where equal values leave nobody with that score or less."""

    recency: Sequence[datetime | None]
    frequency: Sequence[int | None]
    monetary: Sequence[Decimal | None]


class RfmReport(msgspec.Struct, frozen=True, rename="camel"):
    """The workspace's living customers by how recently, how often and for how much they ordered.

    `asOf` is when everybody was scored last, null if never; whoever ordered since was scored by the `cuts` of then. `customers` have
    an order that counts, the others are the group PROSPECTS. `grid` has all twenty-five pairs of recency and frequency.
    """

    as_of: datetime | None
    currency: str
    customers: int
    revenue: Decimal
    groups: Sequence[RfmGroup]
    grid: Sequence[RfmSquare]
    cuts: RfmCuts | None
    movement: RfmMovement | None


# --- lifetime value ------------------------------------------------------------------------------------------------------


class LtvPercentile(msgspec.Struct, frozen=True, rename="camel"):
    """So many per cent of the customers are worth this or less."""

    percentile: int
    value: Decimal


class LtvBin(msgspec.Struct, frozen=True, rename="camel"):
    """Customers worth at least `from` and less than `to`; null is without a limit."""

    customers: int
    revenue: Decimal
    from_: Decimal | None = msgspec.field(name="from")
    to: Decimal | None


class LtvTop(msgspec.Struct, frozen=True, rename="camel"):
    """What part of the revenue the best so many per cent of the customers brought in."""

    percent: int
    customers: int
    revenue: Decimal
    share: float | None


class LtvDistribution(msgspec.Struct, frozen=True, rename="camel"):
    """How what customers are worth is spread over them; `average` and `median` are null where there is nobody."""

    customers: int
    revenue: Decimal
    average: Decimal | None
    median: Decimal | None
    percentiles: Sequence[LtvPercentile]
    histogram: Sequence[LtvBin]
    top: Sequence[LtvTop]


class LtvOrigin(msgspec.Struct, frozen=True, rename="camel"):
    """What customers are worth whose first order came by this channel, or from this country (empty: not known)."""

    value: str
    customers: int
    revenue: Decimal
    average: Decimal
    repeat_rate: float


class LtvCohort(msgspec.Struct, frozen=True, rename="camel"):
    """What customers are worth whose first order was in this month.

    `cumulative` is what one of them brought in on average by the end of that month, of the next, and so on, months that are over alone.
    """

    cohort: str
    customers: int
    revenue: Decimal
    average: Decimal
    cumulative: Sequence[Decimal]


class LtvReport(msgspec.Struct, frozen=True, rename="camel"):
    """What customers are worth, in the workspace's currency, less refunds.

    `distribution`, `byChannel` and `byCountry` are of living customers with an order of the `basis`: delivered, or one that counts.
    `byCohort` is of orders that count whatever the basis, deleted customers' too, as the report of cohorts is.
    """

    as_of: datetime
    currency: str
    basis: Basis
    distribution: LtvDistribution
    by_cohort: Sequence[LtvCohort]
    by_channel: Sequence[LtvOrigin]
    by_country: Sequence[LtvOrigin]


class LtvRow(msgspec.Struct, frozen=True, rename="camel"):
    """A customer group of the report as CSV has it."""

    by: str
    value: str
    customers: int
    revenue: Decimal
    average: Decimal | None
    repeat_rate: float | None
