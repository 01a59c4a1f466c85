"""What one customer is worth, and how often they order."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from supover.analytics import predictions, rules
from supover.analytics.model import (
    CustomerAnalytics,
    CustomerChannel,
    CustomerFrequency,
    CustomerMonth,
    CustomerRfm,
    CustomerValue,
)
from supover.customers.model import CustomerMerged, CustomerNotFound
from supover.kit import clock, money
from supover.kit.db import Reader

# Days are summed up here, by month and by channel: of ten thousand orders a hundred rows are left.
FIND: Final = """
    select c.deleted_at, c.merged_into_id, w.currency, w.timezone,
           coalesce(m.lifetime_value, 0), coalesce(m.total_spent, 0), coalesce(m.average_order_value, 0), coalesce(m.order_count, 0),
           coalesce(m.total_orders, 0), m.first_order_at, m.last_order_at,
           k.recency, k.frequency, k.monetary, k.rfm_group, k.former_group, r.scored_at is not null,
           case when k.customer_id is not null
                then 1 + (select count(*) from unnest(r.spent_cuts) as cut where cut is null or m.total_spent > cut) end,
           (select min(s.marked_at) from customer_stale s where s.workspace_id = $1 and s.customer_id = $2),
           (select jsonb_agg(jsonb_build_array(to_char(x.month, 'YYYY-MM'), x.channel, x.orders, x.net::text, x.refunded::text))
              from (select date_trunc('month', d.day::timestamp) as month, d.channel, sum(d.orders) as orders, sum(d.net) as net,
                           sum(d.refunded) as refunded
                      from customer_day d
                     where d.workspace_id = $1 and d.customer_id = $2
                     group by grouping sets ((date_trunc('month', d.day::timestamp)), (d.channel))) as x)
      from customer c
      join workspace w on w.workspace_id = $1
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
      left join customer_rfm k on k.workspace_id = $1 and k.customer_id = c.id
      left join rfm_run r on r.workspace_id = $1
     where c.workspace_id = $1 and c.id = $2"""


async def find(db: Reader, id: UUID) -> CustomerAnalytics:
    """What a living customer is worth, in two statements. Raises CustomerNotFound, CustomerMerged."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise CustomerNotFound
    [row] = rows
    deleted_at, merged_into_id, currency, timezone = row[:4]
    if merged_into_id is not None:
        raise CustomerMerged.into(merged_into_id, "/analytics")
    if deleted_at is not None:
        raise CustomerNotFound
    lifetime, spent, average, orders, delivered, first_at, last_at = row[4:11]
    *scores, is_scored, percentile, waiting, sums = row[11:]
    now, zone = clock.now(), ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    by_channel, refund_rate = _by_channel(sums or (), currency)
    return CustomerAnalytics(
        customer_id=id,
        currency=currency,
        as_of=min(waiting or now, now),
        value=CustomerValue(
            lifetime_value=money.at_digits(lifetime, currency),
            total_spent=money.at_digits(spent, currency),
            average_order_value=money.at_digits(average, currency),
            order_count=orders,
            total_orders=delivered,
            refund_rate=refund_rate,
            shipping_cost=None,
            ltv_net_of_shipping=None,
            percentile=percentile,
            monthly=_monthly(sums or (), today, currency),
            by_channel=by_channel,
        ),
        frequency=_frequency(orders, first_at, last_at, now, zone),
        rfm=_rfm(scores) if is_scored else None,
        prediction=await predictions.of(db, id),
    )


Sums = Sequence[tuple[str | None, str | None, int, str, str]]
"""Of a month, or of a channel: orders, what they brought in, and what of it was given back before."""


def _monthly(sums: Sums, today: date, currency: str) -> list[CustomerMonth]:
    found = {month: (net, orders) for month, _, orders, net, _ in sums if month is not None}
    if not found:
        return []
    first, last = (date.fromisoformat(f"{month}-01") for month in (min(found), max(found)))
    # A shop may keep orders of tomorrow.
    names = [f"{month.year:04}-{month.month:02}" for month in rules.months(first, max(last, today))]
    months = ((name, *found.get(name, ("0", 0))) for name in names)
    return [CustomerMonth(name, money.at_digits(Decimal(net), currency), orders) for name, net, orders in months]


def _by_channel(sums: Sums, currency: str) -> tuple[list[CustomerChannel], float | None]:
    """What came by each channel, the most first; and the part of all that was given back."""
    found = [(channel, orders, Decimal(net)) for _, channel, orders, net, _ in sums if channel is not None]
    refunded = sum((Decimal(back) for _, channel, _, _, back in sums if channel is not None), Decimal(0))
    whole = sum((net for _, _, net in found), Decimal(0))
    channels = [
        CustomerChannel(channel, money.at_digits(net, currency), orders, rules.share(net, whole))
        for channel, orders, net in sorted(found, key=lambda one: (-one[2], one[0]))
    ]
    return channels, rules.share(refunded, whole + refunded)


_DAY: Final = timedelta(days=1)


def _frequency(
    orders: int, first_at: datetime | None, last_at: datetime | None, now: datetime, zone: ZoneInfo
) -> CustomerFrequency:
    if not orders or first_at is None or last_at is None:
        return CustomerFrequency(None, None, None, None, None)
    days = (now.astimezone(zone).date() - last_at.astimezone(zone).date()).days
    return CustomerFrequency(
        purchase_frequency=30 * orders / max((now - first_at) / _DAY, 1.0),
        average_days_between_orders=(last_at - first_at) / _DAY / (orders - 1) if orders > 1 else None,
        days_since_last_order=max(days, 0),
        first_order_date=first_at,
        last_order_date=last_at,
    )


def _rfm(scores: Sequence[Any]) -> CustomerRfm:
    recency, frequency, monetary, group, former = scores
    return CustomerRfm(recency, frequency, monetary, group or rules.PROSPECTS, former)
