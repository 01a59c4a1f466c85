"""The nouns of reports. Days are the workspace's; `from` and `to` are both in."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

Grain = Literal["week", "month", "quarter"]
Metric = Literal["retention", "rolling", "revenue", "cumulativeLtv"]
Interval = Literal["day", "week", "month"]
Compare = Literal["previous", "year", "none"]


class Cohort(msgspec.Struct, frozen=True, rename="camel"):
    """Who ordered for the first time in one period: how many, and what they did in each period since, their own first.

    What is not over yet is null.
    """

    cohort: str
    size: int
    values: Sequence[float | None]


class Cohorts(msgspec.Struct, frozen=True, rename="camel"):
    """Cohorts, the oldest first; those of nobody are left out.

    `retention` is the share of the cohort who ordered in the period, `rolling` of who ordered in it or after it, `revenue` what
    they spent in it less refunds, and `cumulativeLtv` what they had spent until its end, each on average. Nothing is rounded.
    """

    period: Grain
    metric: Metric
    currency: str
    channel: str | None
    country: str | None
    segment: UUID | None
    cohorts: Sequence[Cohort]


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """What was sold in a period, in the workspace's currency; orders that count.

    `revenue` is `gross` less `refunded`. Orders of nobody known are in the money and in `orders`. `newCustomers` ordered for the
    first time, `returningCustomers` had done so before. `repeatRate` is the share of the customers who ordered twice or more
    within the period, `refundRate` that of the money. Where there is nothing to divide by it is null.
    """

    revenue: str
    gross: str
    refunded: str
    orders: int
    customers: int
    new_customers: int
    returning_customers: int
    repeat_rate: float | None
    average_order_value: str | None
    refund_rate: float | None


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """How each figure changed, as a share of what it was; null where that was nothing."""

    revenue: float | None
    gross: float | None
    refunded: float | None
    orders: float | None
    customers: float | None
    new_customers: float | None
    returning_customers: float | None
    repeat_rate: float | None
    average_order_value: float | None
    refund_rate: float | None


class Sales(msgspec.Struct, frozen=True, rename="camel"):
    """What was sold, by one channel or in one part of the period."""

    revenue: str
    gross: str
    refunded: str
    orders: int
    new_customers: int
    average_order_value: str | None


class ChannelSales(Sales, frozen=True, rename="camel"):
    """What one channel sold; `share` is that of the whole revenue."""

    channel: str
    share: float | None


class PeriodSales(Sales, frozen=True, rename="camel"):
    """What was sold from this day on, for a day, a week or a month; the first and the last may be cut off."""

    date: date


class Comparison(Figures, frozen=True, rename="camel", kw_only=True):
    """The earlier period that one is compared with."""

    since: date = msgspec.field(name="from")
    until: date = msgspec.field(name="to")
    series: Sequence[PeriodSales]


class Overview(Figures, frozen=True, rename="camel", kw_only=True):
    """How a workspace did in a period, and beside an earlier one: `comparison` and `change` are null where none is asked for."""

    since: date = msgspec.field(name="from")
    until: date = msgspec.field(name="to")
    currency: str
    comparison: Comparison | None
    change: Change | None
    by_channel: Sequence[ChannelSales]
    interval: Interval
    series: Sequence[PeriodSales]


class PlaceSales(msgspec.Struct, frozen=True, rename="camel"):
    """What was sold to a country, or to a region of one; `region` is null where the whole country is meant.

    An empty name stands for orders that tell none. `share` is that of the revenue of all that are listed.
    """

    country: str
    region: str | None
    customers: int
    new_customers: int
    orders: int
    revenue: str
    average_order_value: str | None
    share: float | None


class Geography(msgspec.Struct, frozen=True, rename="camel"):
    """Where was sold to, the most revenue first. Who ordered to several places is a customer of each."""

    since: date | None = msgspec.field(name="from")
    until: date | None = msgspec.field(name="to")
    currency: str
    data: Sequence[PlaceSales]


class Bought(msgspec.Struct, frozen=True):
    """Who bought in a period."""

    customers: int
    again: int
    new: int


class Row(msgspec.Struct, frozen=True):
    """What a channel sold in a part of a period."""

    begins: date
    channel: str
    orders: int
    gross: Decimal
    refunded: Decimal
    net: Decimal
    newcomers: int


class Cell(msgspec.Struct, frozen=True):
    """What a cohort did in a period; `last_customers` of them never ordered again."""

    period: date
    customers: int
    last_customers: int
    net: Decimal
