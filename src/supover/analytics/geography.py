"""Where was sold to, country by country or region by region."""

from datetime import date
from decimal import Decimal
from typing import Final

from supover.analytics import overview, report_rules, rules
from supover.analytics.report_model import Geography, PlaceSales
from supover.kit.db import Reader

# $4 is a country, whose regions are told; else countries are. $5 is a channel. Orders of nobody are in no roll-up, and found as in the
# overview.
PLACES: Final = """
    with sold as (
        select s.place, sum(s.orders)::integer as orders, sum(s.net) as net, sum(s.newcomers)::integer as newcomers
          from (select case when $4::text is null then d.country else d.region end as place, d.orders, d.net, d.newcomers
                  from sales_day d
                 where d.workspace_id = $1 and d.day between $2 and $3 and ($4 is null or d.country = $4)
                   and ($5::text is null or d.channel = $5)
                 union all
                select case when $4 is null then left(coalesce(p.place ->> 'country', ''), 100)
                            else left(coalesce(p.place ->> 'state', ''), 100) end, 1, o.net_value, 0
                  from workspace w
                  join "order" o on o.workspace_id = w.workspace_id and o.customer_id is null
                                and o.placed_at >= (($2::date - 1)::timestamp at time zone w.timezone)
                                and o.placed_at < (($3::date + 2)::timestamp at time zone w.timezone)
                                and (o.placed_at at time zone w.timezone)::date between $2 and $3
                 cross join lateral (select case when o.shipping_address ->> 'country' <> '' then o.shipping_address
                                                 when o.billing_address ->> 'country' <> '' then o.billing_address end as place) as p
                 where w.workspace_id = $1 and o.workspace_id = $1 and o.status = any(w.counting_statuses)
                   and o.exchange_rate is not null and ($4 is null or left(p.place ->> 'country', 100) = $4)
                   and ($5 is null or o.source = $5)) as s
         group by s.place),
    bought as (
        select b.place, count(*)::integer as customers
          from (select distinct case when $4 is null then d.country else d.region end as place, d.customer_id
                  from customer_day d
                 where d.workspace_id = $1 and d.day between $2 and $3 and ($4 is null or d.country = $4)
                   and ($5 is null or d.channel = $5)) as b
         group by b.place)
    select s.place, coalesce(b.customers, 0), s.newcomers, s.orders, s.net
      from sold s
      left join bought b on b.place = s.place
     order by s.net desc, s.place"""


async def geography(
    db: Reader, *, since: date | None, until: date | None, country: str | None, channel: str | None = None
) -> Geography:
    """Where was sold to from one day to another, both in; ever unless told. Of a country its regions.

    By a channel alone where one is told. Raises Invalid.
    """
    report_rules.span(since, until)
    currency, _ = await overview.place(db)
    rows = await db.rows(PLACES, since or report_rules.EARLIEST, until or report_rules.LATEST, country, channel)
    whole = sum((net for *_, net in rows), Decimal(0))
    data = [
        PlaceSales(
            country=place if country is None else country,
            region=None if country is None else place,
            customers=customers,
            new_customers=newcomers,
            orders=orders,
            revenue=report_rules.shown(net, currency),
            average_order_value=report_rules.average(net, orders, currency),
            share=rules.share(net, whole),
        )
        for place, customers, newcomers, orders, net in rows
    ]
    return Geography(since, until, currency, data)
