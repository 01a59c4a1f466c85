"""Sums that reports are answered from: customer_day from orders, and sales_day and cohort_cell from customer_day.

The rows of a customer are always counted anew from the orders; only what they change is added to and taken off the sums. Who
does so holds `analytics.commands.HOLD`, one at a time a workspace.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from supover.kit.db import Reader, Tx
from supover.kit.proof import Difference

# --- what orders amount to -----------------------------------------------------------------------------------------------

# Of the orders `o` in the workspace `w` of the customers `c`. What came back is told as what is missing of the whole, so that
# whole, missing and rest agree in every digit.
_ORDERS: Final = """
        o.customer_id, (o.placed_at at time zone w.timezone)::date as day, o.source as channel,
               left(coalesce(p.place ->> 'country', c.country, ''), 100) as country,
               left(coalesce(p.place ->> 'state', ''), 100) as region,
               round(o.total * o.exchange_rate, 4) as gross, o.net_value as net,
               row_number() over (partition by o.customer_id order by o.placed_at, o.id) = 1 as is_first"""
_PLACE: Final = """
         cross join lateral (select case when o.shipping_address ->> 'country' <> '' then o.shipping_address
                                         when o.billing_address ->> 'country' <> '' then o.billing_address end as place) as p
         where w.workspace_id = $1 and o.workspace_id = $1 and o.status = any(w.counting_statuses) and o.exchange_rate is not null"""
_DAYS: Final = """
        f.customer_id, f.day, f.channel, f.country, f.region, count(*)::integer as orders, sum(f.gross) as gross,
               sum(f.gross) - sum(f.net) as refunded, sum(f.net) as net, bool_or(f.is_first) as is_first
          from facts f
         group by f.customer_id, f.day, f.channel, f.country, f.region"""

# Of who began as before only what begins with the first period that differs, or was or is the last one, is looked at. A sum
# with nothing keeps the planner, while it knows little of the table, from looking for a customer's day among all of that day.
KEEP: Final = f"""
    with facts as (
        select {_ORDERS}
          from workspace w
          join "order" o on o.workspace_id = w.workspace_id and o.customer_id = any($2::uuid[])
          join customer c on c.workspace_id = $1 and c.id = o.customer_id{_PLACE}),
    new as materialized (select {_DAYS}),
    old as materialized (
        select d.customer_id, d.day, d.channel, d.country, d.region, d.orders, d.gross, d.refunded, d.net, d.is_first
          from customer_day d
         where d.workspace_id = $1 and d.customer_id = any($2::uuid[])),
    diff as materialized (
        select customer_id, day, channel, country, region, n.orders, n.gross, n.refunded, n.net, n.is_first,
               o.orders as was_orders, o.gross as was_gross, o.refunded as was_refunded, o.net as was_net, o.is_first as was_first
          from new n
          full join old o using (customer_id, day, channel, country, region)
         where (n.orders, n.gross, n.refunded, n.net, n.is_first)
               is distinct from (o.orders, o.gross, o.refunded, o.net, o.is_first)),
    gone as (
        delete from customer_day d
         using diff n
         where d.workspace_id = $1 and d.customer_id = n.customer_id and d.day + 0 = n.day and d.channel = n.channel
           and d.country = n.country and d.region = n.region and n.orders is null),
    kept as (
        insert into customer_day as d (workspace_id, customer_id, day, channel, country, region, orders, gross, refunded, net, is_first)
        select $1, n.customer_id, n.day, n.channel, n.country, n.region, n.orders, n.gross, n.refunded, n.net, n.is_first
          from diff n
         where n.orders is not null
            on conflict (workspace_id, customer_id, day, channel, country, region) do update
           set orders = excluded.orders, gross = excluded.gross, refunded = excluded.refunded, net = excluded.net,
               is_first = excluded.is_first),
    sold as (
        select n.day, n.channel, n.country, n.region,
               sum((n.orders is not null)::integer - (n.was_orders is not null)::integer) as buyers,
               sum(coalesce(n.is_first, false)::integer - coalesce(n.was_first, false)::integer) as newcomers,
               sum(coalesce(n.orders, 0) - coalesce(n.was_orders, 0)) as orders,
               sum(coalesce(n.gross, 0) - coalesce(n.was_gross, 0)) as gross,
               sum(coalesce(n.refunded, 0) - coalesce(n.was_refunded, 0)) as refunded,
               sum(coalesce(n.net, 0) - coalesce(n.was_net, 0)) as net
          from diff n
         group by n.day, n.channel, n.country, n.region),
    sales as materialized (
        select n.day, n.channel, n.country, n.region, coalesce(s.buyers, 0) + n.buyers as buyers,
               coalesce(s.newcomers, 0) + n.newcomers as newcomers, coalesce(s.orders, 0) + n.orders as orders,
               coalesce(s.gross, 0) + n.gross as gross, coalesce(s.refunded, 0) + n.refunded as refunded,
               coalesce(s.net, 0) + n.net as net
          from sold n
          left join sales_day s on s.workspace_id = $1 and s.day = n.day and s.channel = n.channel and s.country = n.country
           and s.region = n.region
         where (n.buyers, n.newcomers, n.orders, n.gross, n.refunded, n.net) is distinct from (0, 0, 0, 0, 0, 0)),
    sales_gone as (
        delete from sales_day s
         using sales n
         where s.workspace_id = $1 and s.day = n.day and s.channel = n.channel and s.country = n.country and s.region = n.region
           and n.buyers = 0),
    sales_kept as (
        insert into sales_day as s (workspace_id, day, channel, country, region, buyers, newcomers, orders, gross, refunded, net)
        select $1, n.day, n.channel, n.country, n.region, n.buyers, n.newcomers, n.orders, n.gross, n.refunded, n.net
          from sales n
         where n.buyers <> 0
            on conflict (workspace_id, day, channel, country, region) do update
           set buyers = excluded.buyers, newcomers = excluded.newcomers, orders = excluded.orders, gross = excluded.gross,
               refunded = excluded.refunded, net = excluded.net),
    changed as (select n.customer_id, min(n.day) as since from diff n group by n.customer_id),
    lives as (
        select -1 as sign, o.customer_id, o.day, o.channel, o.country, o.orders, o.net, o.is_first, c.since
          from old o
          join changed c on c.customer_id = o.customer_id
         union all
        select 1, n.customer_id, n.day, n.channel, n.country, n.orders, n.net, n.is_first, c.since
          from new n
          join changed c on c.customer_id = n.customer_id),
    heads as (
        select l.customer_id, l.since, max(l.day) filter (where l.sign > 0) as last_day, max(l.day) filter (where l.sign < 0) as was_last,
               max(l.day) filter (where l.sign > 0 and l.is_first) as first_day,
               max(l.day) filter (where l.sign < 0 and l.is_first) as was_first,
               max(l.channel) filter (where l.sign > 0 and l.is_first) as channel,
               max(l.channel) filter (where l.sign < 0 and l.is_first) as was_channel,
               max(l.country) filter (where l.sign > 0 and l.is_first) as country,
               max(l.country) filter (where l.sign < 0 and l.is_first) as was_country
          from lives l
         group by l.customer_id, l.since),
    begun as (
        select v.sign, case when o.same then 0 else v.sign end as side, h.customer_id, v.first_day, v.last_day, v.channel, v.country,
               case when o.same then least(h.since, h.last_day, h.was_last) else least(h.first_day, h.was_first) end as since
          from heads h
         cross join lateral (select (h.first_day, h.channel, h.country)
                                    is not distinct from (h.was_first, h.was_channel, h.was_country) as same) as o
         cross join lateral (values (1, h.first_day, h.last_day, h.channel, h.country),
                                    (-1, h.was_first, h.was_last, h.was_channel, h.was_country))
                    as v (sign, first_day, last_day, channel, country)),
    spread as (
        select l.customer_id, b.side, g.grain, date_trunc(g.grain, l.day::timestamp)::date as period, sum(l.sign * l.orders) as orders,
               sum(l.sign * l.net) as net, bool_or(l.sign > 0)::integer - bool_or(l.sign < 0)::integer as customers,
               bool_or(l.sign > 0 and t.is_last)::integer - bool_or(l.sign < 0 and t.is_last)::integer as last_customers,
               max(b.first_day) as first_day, max(b.channel) as channel, max(b.country) as country
          from lives l
          join begun b on b.sign = l.sign and b.customer_id = l.customer_id
         cross join (values ('week'), ('month'), ('quarter')) as g (grain)
         cross join lateral (select date_trunc(g.grain, l.day::timestamp) = date_trunc(g.grain, b.last_day::timestamp) as is_last) as t
         where date_trunc(g.grain, l.day::timestamp) >= date_trunc(g.grain, b.since::timestamp)
         group by 1, 2, 3, 4),
    moved as (
        select s.grain, v.dimension, v.value, date_trunc(s.grain, s.first_day::timestamp)::date as cohort, s.period,
               sum(s.customers) as customers, sum(s.orders) as orders, sum(s.net) as net, sum(s.last_customers) as last_customers
          from spread s
         cross join lateral (values ('all', ''), ('channel', s.channel), ('country', s.country)) as v (dimension, value)
         where (s.customers, s.orders, s.net, s.last_customers) is distinct from (0, 0, 0, 0)
         group by 1, 2, 3, 4, 5),
    cells as materialized (
        select n.grain, n.dimension, n.value, n.cohort, n.period, coalesce(c.customers, 0) + n.customers as customers,
               coalesce(c.orders, 0) + n.orders as orders, coalesce(c.net, 0) + n.net as net,
               coalesce(c.last_customers, 0) + n.last_customers as last_customers
          from moved n
          left join cohort_cell c on c.workspace_id = $1 and c.grain = n.grain and c.dimension = n.dimension and c.value = n.value
           and c.cohort = n.cohort and c.period = n.period
         where (n.customers, n.orders, n.net, n.last_customers) is distinct from (0, 0, 0, 0)),
    cells_gone as (
        delete from cohort_cell c
         using cells n
         where c.workspace_id = $1 and c.grain = n.grain and c.dimension = n.dimension and c.value = n.value
           and c.cohort = n.cohort and c.period = n.period and n.customers = 0)
    insert into cohort_cell as c (workspace_id, grain, dimension, value, cohort, period, customers, orders, net, last_customers)
    select $1, n.grain, n.dimension, n.value, n.cohort, n.period, n.customers, n.orders, n.net, n.last_customers
      from cells n
     where n.customers <> 0
        on conflict (workspace_id, grain, dimension, value, cohort, period) do update
       set customers = excluded.customers, orders = excluded.orders, net = excluded.net, last_customers = excluded.last_customers"""


async def keep(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Counts the days of these customers anew, and adds to the sums what they differ by. Who is not there has no days.

    The caller holds `analytics.commands.HOLD`: whoever adds at the same time would add to sums that are no more. Rows that stay
    as they are are not written.
    """
    await tx.run(KEEP, list(customer_ids))


# --- everything anew -----------------------------------------------------------------------------------------------------

WAIT: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 21))"
# What is sorted and grouped as a whole is so in memory, as far as that is not a lot.
LIMIT: Final = """
    select set_config('statement_timeout', $2, true), set_config('work_mem', '128MB', true)
     where $1::uuid = (select current_workspace())"""
AT_MOST_S: Final = 3600
FORGET_DAYS: Final = "delete from customer_day where workspace_id = $1"
FORGET_SALES: Final = "delete from sales_day where workspace_id = $1"
FORGET_CELLS: Final = "delete from cohort_cell where workspace_id = $1"
COUNT_DAYS: Final = f"""
    with facts as (
        select {_ORDERS}
          from workspace w
          join "order" o on o.workspace_id = w.workspace_id
          join customer c on c.workspace_id = $1 and c.id = o.customer_id{_PLACE})
    insert into customer_day (workspace_id, customer_id, day, channel, country, region, orders, gross, refunded, net, is_first)
    select $1, n.customer_id, n.day, n.channel, n.country, n.region, n.orders, n.gross, n.refunded, n.net, n.is_first
      from (select {_DAYS}) as n"""
COUNT_SALES: Final = """
    insert into sales_day (workspace_id, day, channel, country, region, buyers, newcomers, orders, gross, refunded, net)
    select $1, d.day, d.channel, d.country, d.region, count(*), count(*) filter (where d.is_first), sum(d.orders), sum(d.gross),
           sum(d.refunded), sum(d.net)
      from customer_day d
     where d.workspace_id = $1
     group by d.day, d.channel, d.country, d.region"""
# A customer's days become periods before anything is spread over dimensions: most rows go in the first step.
COUNT_CELLS: Final = """
    with begun as (
        select d.customer_id, max(d.day) as last_day, max(d.day) filter (where d.is_first) as first_day,
               max(d.channel) filter (where d.is_first) as channel, max(d.country) filter (where d.is_first) as country
          from customer_day d
         where d.workspace_id = $1
         group by d.customer_id),
    periods as (
        select b.channel, b.country, g.grain, date_trunc(g.grain, b.first_day::timestamp)::date as cohort,
               date_trunc(g.grain, d.day::timestamp)::date as period, date_trunc(g.grain, b.last_day::timestamp)::date as last_period,
               d.customer_id, sum(d.orders) as orders, sum(d.net) as net
          from customer_day d
          join begun b on b.customer_id = d.customer_id
         cross join (values ('week'), ('month'), ('quarter')) as g (grain)
         where d.workspace_id = $1
         group by 1, 2, 3, 4, 5, 6, 7),
    narrow as (
        select p.grain, p.channel, p.country, p.cohort, p.period, count(*) as customers, sum(p.orders) as orders, sum(p.net) as net,
               count(*) filter (where p.period = p.last_period) as last_customers
          from periods p
         group by p.grain, p.channel, p.country, p.cohort, p.period)
    insert into cohort_cell (workspace_id, grain, dimension, value, cohort, period, customers, orders, net, last_customers)
    select $1, c.grain, c.dimension, c.value, c.cohort, c.period, c.customers, c.orders, c.net, c.last_customers
      from (select n.grain, v.dimension, v.value, n.cohort, n.period, sum(n.customers) as customers, sum(n.orders) as orders,
                   sum(n.net) as net, sum(n.last_customers) as last_customers
              from narrow n
             cross join lateral (values ('all', ''), ('channel', n.channel), ('country', n.country)) as v (dimension, value)
             group by n.grain, v.dimension, v.value, n.cohort, n.period) as c"""


async def rebuild(tx: Tx) -> int:
    """Makes all roll-ups of the workspace anew from its orders; how many rows of customer_day there are.

    What `keep` has kept is the same, but for customers who wait to be recounted. The drain of the workspace does nothing
    meanwhile.
    """
    await tx.value(LIMIT, str(AT_MOST_S * 1000))
    await tx.value(WAIT)
    await tx.run(FORGET_CELLS)
    await tx.run(FORGET_SALES)
    await tx.run(FORGET_DAYS)
    days = await tx.run(COUNT_DAYS)
    await tx.run(COUNT_SALES)
    await tx.run(COUNT_CELLS)
    return days


async def rebuild_later(tx: Tx) -> bool:
    """Has a job make all roll-ups anew once this is committed; False when one is queued for that already."""
    # Only who defers it needs what runs it.
    from supover.analytics import jobs
    from supover.kit.jobs import defer

    return await defer(tx, jobs.REBUILD, singleton=jobs.REBUILD) is not None


# --- proof ---------------------------------------------------------------------------------------------------------------

_COUNTED: Final = """
    counted as materialized (
        select o.id, o.customer_id, o.placed_at, timezone(w.timezone, o.placed_at)::date as day, o.source as channel,
               substr(coalesce(nullif(o.shipping_address ->> 'country', ''), nullif(o.billing_address ->> 'country', ''), c.country, ''),
                      1, 100) as country,
               substr(coalesce(case when o.shipping_address ->> 'country' > '' then o.shipping_address ->> 'state'
                                    when o.billing_address ->> 'country' > '' then o.billing_address ->> 'state' end, ''),
                      1, 100) as region,
               round(o.total * o.exchange_rate, 4) as gross, round((o.total - o.refunded) * o.exchange_rate, 4) as net
          from "order" o
          join customer c on c.workspace_id = $1 and c.id = o.customer_id
          join workspace w on w.workspace_id = $1
         where o.workspace_id = $1 and array_position(w.counting_statuses, o.status) > 0 and o.exchange_rate > 0),
    firsts as (
        select distinct on (f.customer_id) f.customer_id, f.id, f.day, f.channel, f.country
          from counted f
         order by f.customer_id, f.placed_at, f.id),"""
CHECK_DAYS: Final = f"""
    with {_COUNTED}
    own as (
        select o.customer_id, o.day, o.channel, o.country, o.region,
               array[count(*)::text, trim_scale(sum(o.gross))::text, trim_scale(sum(o.gross - o.net))::text, trim_scale(sum(o.net))::text,
                     (count(f.id) > 0)::text] as figures
          from counted o
          left join firsts f on f.id = o.id
         group by o.customer_id, o.day, o.channel, o.country, o.region),
    kept as (
        select d.customer_id, d.day, d.channel, d.country, d.region,
               array[d.orders::text, trim_scale(d.gross)::text, trim_scale(d.refunded)::text, trim_scale(d.net)::text,
                     d.is_first::text] as figures
          from customer_day d where d.workspace_id = $1)
    select customer_id, array[day::text, channel, country, region], kept.figures, own.figures
      from own full join kept using (customer_id, day, channel, country, region)
     where own.figures is distinct from kept.figures
     limit 1000"""
CHECK_SALES: Final = f"""
    with {_COUNTED}
    own as (
        select o.day, o.channel, o.country, o.region,
               array[count(distinct o.customer_id)::text, count(f.id)::text, count(*)::text, trim_scale(sum(o.gross))::text,
                     trim_scale(sum(o.gross - o.net))::text, trim_scale(sum(o.net))::text] as figures
          from counted o
          left join firsts f on f.id = o.id
         group by o.day, o.channel, o.country, o.region),
    kept as (
        select s.day, s.channel, s.country, s.region,
               array[s.buyers::text, s.newcomers::text, s.orders::text, trim_scale(s.gross)::text, trim_scale(s.refunded)::text,
                     trim_scale(s.net)::text] as figures
          from sales_day s where s.workspace_id = $1)
    select $1::uuid, array[day::text, channel, country, region], kept.figures, own.figures
      from own full join kept using (day, channel, country, region)
     where own.figures is distinct from kept.figures
     limit 1000"""
CHECK_CELLS: Final = f"""
    with {_COUNTED}
    grains as (
        select o.customer_id, o.net, o.day, f.day as first_day, f.channel, f.country,
               max(o.day) over (partition by o.customer_id) as last_day
          from counted o
          join firsts f on f.customer_id = o.customer_id),
    lived as (
        select g.customer_id, g.net, g.channel, g.country, 'week' as grain,
               g.first_day - extract(isodow from g.first_day)::integer + 1 as cohort,
               g.day - extract(isodow from g.day)::integer + 1 as period,
               g.last_day - extract(isodow from g.last_day)::integer + 1 as last_period
          from grains g
         union all
        select g.customer_id, g.net, g.channel, g.country, 'month', g.first_day - extract(day from g.first_day)::integer + 1,
               g.day - extract(day from g.day)::integer + 1, g.last_day - extract(day from g.last_day)::integer + 1
          from grains g
         union all
        select g.customer_id, g.net, g.channel, g.country, 'quarter',
               make_date(extract(year from g.first_day)::integer, extract(quarter from g.first_day)::integer * 3 - 2, 1),
               make_date(extract(year from g.day)::integer, extract(quarter from g.day)::integer * 3 - 2, 1),
               make_date(extract(year from g.last_day)::integer, extract(quarter from g.last_day)::integer * 3 - 2, 1)
          from grains g),
    each as (
        select l.grain, l.channel, l.country, l.cohort, l.period, l.period = l.last_period as is_last, l.customer_id, count(*) as orders,
               sum(l.net) as net
          from lived l
         group by l.customer_id, l.grain, l.period, l.cohort, l.last_period, l.channel, l.country),
    own as (
        select e.grain, v.dimension, v.value, e.cohort, e.period,
               array[count(*)::text, sum(e.orders)::text, trim_scale(sum(e.net))::text,
                     (count(*) filter (where e.is_last))::text] as figures
          from each e
         cross join lateral (values ('all', ''), ('channel', e.channel), ('country', e.country)) as v (dimension, value)
         group by e.grain, v.dimension, v.value, e.cohort, e.period),
    kept as (
        select c.grain, c.dimension, c.value, c.cohort, c.period,
               array[c.customers::text, c.orders::text, trim_scale(c.net)::text, c.last_customers::text] as figures
          from cohort_cell c where c.workspace_id = $1)
    select $1::uuid, array[grain, dimension, value, cohort::text, period::text], kept.figures, own.figures
      from own full join kept using (grain, dimension, value, cohort, period)
     where own.figures is distinct from kept.figures
     limit 1000"""
HOW_MANY: Final = """
    select (select count(*) from customer_day d where d.workspace_id = $1) + (select count(*) from sales_day s where s.workspace_id = $1)
           + (select count(*) from cohort_cell c where c.workspace_id = $1)"""
_DAY_FIELDS: Final = ("orders", "gross", "refunded", "net", "isFirst")
_SALES_FIELDS: Final = ("buyers", "newcomers", "orders", "gross", "refunded", "net")
_CELL_FIELDS: Final = ("customers", "orders", "net", "lastCustomers")


async def reconcile(db: Reader) -> tuple[int, list[Difference]]:
    """Counts every roll-up from the orders by other SQL: how many rows were checked, and what differs.

    Customers that wait to be recounted differ, so drain first. Of sums the workspace is named, and the sum in the field.
    """
    found = [
        *_differing("customerDay", _DAY_FIELDS, await db.rows(CHECK_DAYS)),
        *_differing("salesDay", _SALES_FIELDS, await db.rows(CHECK_SALES)),
        *_differing("cohortCell", _CELL_FIELDS, await db.rows(CHECK_CELLS)),
    ]
    return await db.value(HOW_MANY), found


def _differing(what: str, fields: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[Difference]:
    nothing = [None] * len(fields)
    return [
        Difference(what, id, "/".join((*key, field)), was, now)
        for id, key, kept, own in rows
        for field, was, now in zip(fields, kept or nothing, own or nothing, strict=True)
        if was != now
    ]
