"""Figures are marked stale, recounted, and proved."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from supover.analytics import rollups, scoring
from supover.analytics.events import CustomersRecounted
from supover.kit.db import Reader, Tx
from supover.kit.events import publish
from supover.kit.proof import Difference

BATCH: Final = 5_000

ADD: Final = """
    insert into customer_metrics (workspace_id, customer_id)
    select $1, n.customer_id from unnest($2::uuid[]) as n (customer_id)
        on conflict (workspace_id, customer_id) do nothing"""


async def add(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Gives new customers their row of zeros."""
    await tx.run(ADD, list(customer_ids))


# Who has a row is found by the conflict alone: of customers who came a moment ago the planner knows nothing, and looking for
# them first it has compared each with each.
ADD_LACKING: Final = """
    insert into customer_metrics (workspace_id, customer_id)
    select $1, c.id from customer c
     where c.workspace_id = $1 and c.id >= $2 and c.id < $3
        on conflict (workspace_id, customer_id) do nothing"""


async def add_lacking(tx: Tx, first: UUID, behind: UUID) -> int:
    """Gives those customers in a range of ids their row of zeros who have none; how many."""
    return await tx.run(ADD_LACKING, first, behind)


REMOVE: Final = "delete from customer_metrics where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_MARKS: Final = "delete from customer_stale where workspace_id = $1 and customer_id = any($2::uuid[])"


MARK_COUNTED: Final = """
    insert into customer_stale (workspace_id, customer_id, origin)
    select $1, n.customer_id, $3
      from (select distinct d.customer_id from customer_day d where d.workspace_id = $1 and d.customer_id = any($2::uuid[])) as n"""


async def remove(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Removes the figures of customers who are unmade.

    Whose orders went to somebody else a moment ago still stands in roll-ups: of those the drain finds nothing, and takes it off.
    """
    await tx.run(REMOVE, list(customer_ids))
    await tx.run(REMOVE_MARKS, list(customer_ids))
    await tx.run(MARK_COUNTED, list(customer_ids), tx.origin)


MARK: Final = """
    insert into customer_stale (workspace_id, customer_id, origin)
    select $1, n.customer_id, $3 from (select distinct unnest($2::uuid[])) as n (customer_id)"""


async def mark(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Leaves one mark a customer, in the transaction that made the figures stale."""
    if customer_ids:
        await tx.run(MARK, list(customer_ids), tx.origin)


MARK_OF_ORDERS: Final = """
    insert into customer_stale (workspace_id, customer_id, origin)
    select $1, n.customer_id, $3
      from (select distinct o.customer_id from "order" o
             where o.workspace_id = $1 and o.id = any($2::uuid[]) and o.customer_id is not null) as n"""


async def mark_of_orders(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Leaves one mark for each customer of these orders."""
    if order_ids:
        await tx.run(MARK_OF_ORDERS, list(order_ids), tx.origin)


MARK_ALL: Final = """
    insert into customer_stale (workspace_id, customer_id)
    select $1, m.customer_id from customer_metrics m where m.workspace_id = $1"""


async def mark_all(tx: Tx) -> None:
    """Marks every customer of the workspace."""
    await tx.run(MARK_ALL)


WAITING: Final = "select exists (select 1 from customer_stale s where s.workspace_id = $1)"


async def is_waiting(db: Reader) -> bool:
    """Whether anybody waits to be recounted."""
    return await db.value(WAITING)


HOLD: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 21))"
TAKE: Final = """
    delete from customer_stale
     where workspace_id = $1
       and customer_id = any(array(select s.customer_id from customer_stale s where s.workspace_id = $1 order by s.id limit $2))
    returning customer_id, origin"""
REFRESH: Final = """
    with asked as (select distinct unnest($2::uuid[]) as customer_id),
    sums as (
        select o.customer_id, o.currency,
               count(*) as orders_count,
               count(*) filter (where counts.it) as order_count,
               sum(o.net_value) filter (where counts.it) as total_spent,
               min(o.placed_at) filter (where counts.it) as first_order_at,
               max(o.placed_at) filter (where counts.it) as last_order_at,
               count(*) filter (where o.status = 'delivered' and o.exchange_rate is not null) as total_orders,
               sum(o.net_value) filter (where o.status = 'delivered') as lifetime_value,
               count(*) filter (where o.status = any(w.counting_statuses)) as own_orders,
               sum(o.total - o.refunded) filter (where o.status = any(w.counting_statuses)) as own_spent,
               sum(o.total - o.refunded) filter (where o.status = 'delivered') as own_delivered
          from workspace w
          join "order" o on o.workspace_id = w.workspace_id and o.customer_id = any($2::uuid[])
         cross join lateral (select o.status = any(w.counting_statuses) and o.exchange_rate is not null as it) as counts
         where w.workspace_id = $1 and o.workspace_id = $1
         group by o.customer_id, o.currency),
    figures as (
        select a.customer_id,
               coalesce(sum(s.orders_count), 0) as orders_count,
               coalesce(sum(s.order_count), 0) as order_count,
               coalesce(sum(s.total_spent), 0) as total_spent,
               min(s.first_order_at) as first_order_at,
               max(s.last_order_at) as last_order_at,
               coalesce(sum(s.total_orders), 0) as total_orders,
               coalesce(sum(s.lifetime_value), 0) as lifetime_value,
               coalesce(jsonb_object_agg(s.currency, jsonb_build_object(
                   'orders', s.own_orders,
                   'spent', round(coalesce(s.own_spent, 0), d.digits)::text,
                   'lifetimeValue', round(coalesce(s.own_delivered, 0), d.digits)::text)
                   ) filter (where s.own_orders > 0 and d.digits is not null), '{}') as by_currency
          from asked a
          left join sums s on s.customer_id = a.customer_id
          left join lateral (select fence.currency_digits(s.currency) as digits) as d on true
         group by a.customer_id)
    insert into customer_metrics as m (workspace_id, customer_id, orders_count, order_count, total_spent, average_order_value,
           first_order_at, last_order_at, total_orders, lifetime_value, by_currency, refreshed_at)
    select $1, f.customer_id, f.orders_count, f.order_count, f.total_spent,
           case when f.order_count > 0 then round(f.total_spent / f.order_count, 4) else 0 end,
           f.first_order_at, f.last_order_at, f.total_orders, f.lifetime_value, f.by_currency, now()
      from figures f
      join customer c on c.workspace_id = $1 and c.id = f.customer_id
        on conflict (workspace_id, customer_id) do update
       set orders_count = excluded.orders_count, order_count = excluded.order_count, total_spent = excluded.total_spent,
           average_order_value = excluded.average_order_value, first_order_at = excluded.first_order_at,
           last_order_at = excluded.last_order_at, total_orders = excluded.total_orders, lifetime_value = excluded.lifetime_value,
           by_currency = excluded.by_currency, refreshed_at = excluded.refreshed_at
     where (m.orders_count, m.order_count, m.total_spent, m.average_order_value, m.first_order_at, m.last_order_at, m.total_orders,
            m.lifetime_value, m.by_currency)
           is distinct from (excluded.orders_count, excluded.order_count, excluded.total_spent, excluded.average_order_value,
            excluded.first_order_at, excluded.last_order_at, excluded.total_orders, excluded.lifetime_value, excluded.by_currency)"""


async def refresh(tx: Tx) -> int:
    """Recounts up to 5,000 stale customers; returns how many marks it took, 0 when there are none or another one is at it.

    One at a time a workspace: a recount that began earlier must not overwrite one that saw more.
    """
    if not await tx.value(HOLD):
        return 0
    taken = await tx.rows(TAKE, BATCH)
    if taken:
        live = {id for id, origin in taken if origin == "live"}
        from_history = {id for id, _ in taken} - live
        await tx.run(REFRESH, [*live, *from_history])
        await rollups.keep(tx, [*live, *from_history])
        await publish(tx, [CustomersRecounted(live=tuple(live), from_history=tuple(from_history))])
        await _score(tx, live, from_history, many=len(taken) >= BATCH)
    return len(taken)


async def _score(tx: Tx, live: Collection[UUID], from_history: Collection[UUID], *, many: bool) -> None:
    """Scores recounted customers by the cuts that are there, and has everybody scored soon; history is told as such."""
    was = tx.origin
    try:
        for origin, ids in (("live", live), ("import", from_history)):
            tx.origin = origin
            if ids:
                await scoring.some(tx, list(ids))
                await scoring.soon(tx, many=many)
    finally:
        tx.origin = was


# --- proof ---------------------------------------------------------------------------------------------------------------


CHECK_CUSTOMERS: Final = """
    with counted as (
        select o.customer_id,
               count(*) as orders_count,
               count(*) filter (where o.status = any(w.counting_statuses) and o.exchange_rate > 0) as order_count,
               coalesce(sum(case when o.status = any(w.counting_statuses)
                                 then round((o.total - r.given_back) * o.exchange_rate, 4) end), 0) as total_spent,
               min(case when o.status = any(w.counting_statuses) and o.exchange_rate > 0 then o.placed_at end) as first_order_at,
               max(case when o.status = any(w.counting_statuses) and o.exchange_rate > 0 then o.placed_at end) as last_order_at,
               count(*) filter (where o.status = 'delivered' and o.exchange_rate > 0) as total_orders,
               coalesce(sum(case when o.status = 'delivered' then round((o.total - r.given_back) * o.exchange_rate, 4) end), 0)
                   as lifetime_value
          from "order" o
          join workspace w on w.workspace_id = $1
          left join (select order_id, sum(amount) as amount from order_refund where workspace_id = $1 group by order_id) f
            on f.order_id = o.id
         cross join lateral (select least(coalesce(f.amount, 0), greatest(o.total, 0)) as given_back) as r
         where o.workspace_id = $1 and o.customer_id is not null
         group by o.customer_id)
    select c.id, m.customer_id is null,
           array[m.orders_count::text, m.order_count::text, trim_scale(m.total_spent)::text, m.first_order_at::text, m.last_order_at::text,
                 m.total_orders::text, trim_scale(m.lifetime_value)::text, trim_scale(m.average_order_value)::text],
           array[coalesce(n.orders_count, 0)::text, coalesce(n.order_count, 0)::text, trim_scale(coalesce(n.total_spent, 0))::text,
                 n.first_order_at::text, n.last_order_at::text, coalesce(n.total_orders, 0)::text,
                 trim_scale(coalesce(n.lifetime_value, 0))::text,
                 trim_scale(coalesce(round(n.total_spent / nullif(n.order_count, 0), 4), 0))::text]
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
      left join counted n on n.customer_id = c.id
     where c.workspace_id = $1
       and (m.customer_id is null
            or (m.orders_count, m.order_count, m.total_spent, m.first_order_at, m.last_order_at, m.total_orders, m.lifetime_value,
                m.average_order_value)
               is distinct from (coalesce(n.orders_count, 0), coalesce(n.order_count, 0), coalesce(n.total_spent, 0), n.first_order_at,
                n.last_order_at, coalesce(n.total_orders, 0), coalesce(n.lifetime_value, 0),
                coalesce(round(n.total_spent / nullif(n.order_count, 0), 4), 0)))
     limit 1000"""
CHECK_REFUNDS: Final = """
    select o.id, o.refunded::text, least(coalesce(r.given_back, 0), greatest(o.total, 0))::text
      from "order" o
      left join (select order_id, sum(amount) as given_back from order_refund where workspace_id = $1 group by order_id) r
        on r.order_id = o.id
     where o.workspace_id = $1 and o.refunded is distinct from least(coalesce(r.given_back, 0), greatest(o.total, 0))
     limit 1000"""
CHECK_RATES: Final = """
    select o.id, o.exchange_rate::text
      from "order" o
      join workspace w on w.workspace_id = $1
     where o.workspace_id = $1 and o.currency = w.currency and o.exchange_rate is distinct from 1
     limit 1000"""
CHECK_DECISIONS: Final = """
    select o.id, o.customer_id, d.customer_id
      from "order" o
      left join lateral (select customer_id from order_decision
                          where workspace_id = $1 and order_id = o.id order by id desc limit 1) d on true
     where o.workspace_id = $1 and d.customer_id is distinct from o.customer_id
     limit 1000"""
CHECK_CURRENCIES: Final = """
    with own as (
        select o.customer_id, o.currency, sum(case when counts.it then 1 else 0 end) as orders,
               sum(case when counts.it then o.total - o.refunded else 0 end) as spent,
               sum(case when o.status = 'delivered' then o.total - o.refunded else 0 end) as delivered
          from "order" o
          join workspace w on w.workspace_id = $1
         cross join lateral (select o.status = any(w.counting_statuses) as it) as counts
         where o.workspace_id = $1 and o.customer_id is not null
         group by o.customer_id, o.currency
        having bool_or(counts.it)),
    kept as (
        select m.customer_id, k.key as currency, (k.value ->> 'orders')::bigint as orders, (k.value ->> 'spent')::numeric as spent,
               (k.value ->> 'lifetimeValue')::numeric as delivered
          from customer_metrics m cross join lateral jsonb_each(m.by_currency) as k
         where m.workspace_id = $1)
    select coalesce(own.customer_id, kept.customer_id), coalesce(own.currency, kept.currency),
           array[kept.orders::text, trim_scale(kept.spent)::text, trim_scale(kept.delivered)::text],
           array[own.orders::text, trim_scale(own.spent)::text, trim_scale(own.delivered)::text]
      from own full join kept on kept.customer_id = own.customer_id and kept.currency = own.currency
     where (own.orders, own.spent, own.delivered) is distinct from (kept.orders, kept.spent, kept.delivered)
     limit 1000"""
COUNT_CUSTOMERS: Final = "select count(*) from customer where workspace_id = $1"
COUNT_ORDERS: Final = """select count(*) from "order" where workspace_id = $1"""
_FIELDS: Final = (
    "ordersCount", "orderCount", "totalSpent", "firstOrderDate", "lastOrderDate", "totalOrders", "lifetimeValue", "averageOrderValue",
)  # fmt: skip
_CURRENCY_FIELDS: Final = ("orders", "spent", "lifetimeValue")


async def reconcile(db: Reader) -> tuple[int, list[Difference]]:
    """Recounts everything that is stored as a sum, by other SQL: how many rows were checked, and what differs.

    Reads in one snapshot; customers that wait to be refreshed differ, so drain first.
    """
    found: list[Difference] = []
    for id, missing, stored, recounted in await db.rows(CHECK_CUSTOMERS):
        if missing:
            found.append(Difference("customer", id, "metrics", None, "a row"))
        found += [
            Difference("customer", id, field, was, now)
            for field, was, now in zip(_FIELDS, stored, recounted, strict=True)
            if was != now and not missing
        ]
    found += [Difference("order", id, "refunded", was, now) for id, was, now in await db.rows(CHECK_REFUNDS)]
    found += [Difference("order", id, "exchangeRate", rate, "1") for id, rate in await db.rows(CHECK_RATES)]
    found += [
        Difference("order", id, "customerId", str(was), str(now)) for id, was, now in await db.rows(CHECK_DECISIONS)
    ]
    for id, currency, stored, recounted in await db.rows(CHECK_CURRENCIES):
        found += [
            Difference("customer", id, f"byCurrency/{currency}/{field}", was, now)
            for field, was, now in zip(_CURRENCY_FIELDS, stored, recounted, strict=True)
            if was != now
        ]
    checked = await db.value(COUNT_CUSTOMERS) + await db.value(COUNT_ORDERS)
    return checked, found
