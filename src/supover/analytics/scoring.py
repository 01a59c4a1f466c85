"""RFM: customers scored 1 to 5 by how recently, how often and for how much they ordered, and the group that follows.

A score is ceil(5 x cume_dist) among the living customers with an order that counts, so that equal customers score alike:
recency by the moment of the last order, frequency by how many there are, monetary by what was spent, each the higher the better.
Who was recounted is scored at once by the cuts of the last look at everybody; a job then looks at everybody anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from supover.analytics import rules
from supover.analytics.events import CustomersScored, RfmGroupChanged
from supover.kit import clock
from supover.kit.db import Database, Tx
from supover.kit.events import publish

AT_ONCE: Final = 5_000
"""So many events are published together."""

# --- everybody -----------------------------------------------------------------------------------------------------------

HOLD: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 23))"
# For this transaction: it takes as long as there are customers.
UNHURRIED: Final = """
    select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)
     where $1::uuid = (select current_workspace())"""

# Whole numbers, as a hundredth of a float times a hundred is not always one. In a new month the groups of before are kept,
# in the same statement and of the same rows. The last row says how many differed and how many there are.
SCORE: Final = """
    with turn as materialized (
        select t.month, coalesce(r.month < t.month, false) as is_new
          from workspace w
         cross join lateral (select date_trunc('month', $3::timestamptz at time zone w.timezone)::date as month) as t
          left join rfm_run r on r.workspace_id = $1
         where w.workspace_id = $1),
    ranked as (
        select m.customer_id, m.last_order_at, m.order_count, m.total_spent, count(*) over () as n,
               count(*) over (order by m.last_order_at) as recent,
               count(*) over (order by m.order_count) as often,
               count(*) over (order by m.total_spent) as much
          from customer_metrics m
          join customer c on c.workspace_id = $1 and c.id = m.customer_id and c.deleted_at is null
         where m.workspace_id = $1 and m.order_count > 0),
    scored as materialized (
        select r.customer_id, r.last_order_at, r.order_count, r.total_spent,
               (5 * r.recent + r.n - 1) / r.n as recency, (5 * r.often + r.n - 1) / r.n as frequency,
               (5 * r.much + r.n - 1) / r.n as monetary, (100 * r.much + r.n - 1) / r.n as hundredth
          from ranked r),
    hundredths as materialized (
        select s.hundredth, max(s.total_spent) as greatest from scored s group by s.hundredth),
    changed as materialized (
        select s.customer_id, s.recency, s.frequency, s.monetary, s.rfm_group, k.rfm_group as was,
               case when t.is_new then k.rfm_group else k.former_group end as former_group
          from (select x.customer_id, x.recency, x.frequency, x.monetary,
                       ($2::text[])[9 * x.recency + x.frequency + x.monetary - 10] as rfm_group
                  from scored x) as s
         cross join turn t
          left join customer_rfm k on k.workspace_id = $1 and k.customer_id = s.customer_id
         where k.customer_id is null
            or (k.recency, k.frequency, k.monetary, k.rfm_group) <> (s.recency, s.frequency, s.monetary, s.rfm_group)
            or (t.is_new and k.former_group is distinct from k.rfm_group)),
    written as (
        insert into customer_rfm (workspace_id, customer_id, recency, frequency, monetary, rfm_group, former_group)
        select $1, d.customer_id, d.recency, d.frequency, d.monetary, d.rfm_group, d.former_group from changed d
            on conflict (workspace_id, customer_id) do update
           set recency = excluded.recency, frequency = excluded.frequency, monetary = excluded.monetary,
               rfm_group = excluded.rfm_group, former_group = excluded.former_group),
    gone as (
        delete from customer_rfm k
         where k.workspace_id = $1 and not exists (select 1 from scored s where s.customer_id = k.customer_id)
        returning k.customer_id, k.rfm_group),
    of_month as (
        insert into rfm_month (workspace_id, month, rfm_group, customers, revenue)
        select $1, (t.month - interval '1 month')::date, g.rfm_group, g.customers, g.revenue
          from turn t
         cross join lateral (
               select k.rfm_group, count(*) as customers, coalesce(sum(m.total_spent), 0) as revenue
                 from customer_rfm k
                 left join customer_metrics m on m.workspace_id = $1 and m.customer_id = k.customer_id
                where k.workspace_id = $1 and t.is_new
                group by k.rfm_group
               union all
               select 'PROSPECTS', (select count(*) from customer c where c.workspace_id = $1 and c.deleted_at is null)
                                 - (select count(*) from scored), 0
                where t.is_new) as g
            on conflict (workspace_id, month, rfm_group) do nothing),
    noted as (
        insert into rfm_run as r (workspace_id, scored_at, month, customers, recency_cuts, frequency_cuts, monetary_cuts, spent_cuts)
        select $1, $3, t.month, f.n, f.recency_cuts, f.frequency_cuts, f.monetary_cuts, f.spent_cuts
          from turn t
         cross join (
               select count(*) as n,
                      array[max(s.last_order_at) filter (where s.recency <= 1), max(s.last_order_at) filter (where s.recency <= 2),
                            max(s.last_order_at) filter (where s.recency <= 3), max(s.last_order_at) filter (where s.recency <= 4)]
                          as recency_cuts,
                      array[max(s.order_count) filter (where s.frequency <= 1), max(s.order_count) filter (where s.frequency <= 2),
                            max(s.order_count) filter (where s.frequency <= 3), max(s.order_count) filter (where s.frequency <= 4)]
                          as frequency_cuts,
                      array[max(s.total_spent) filter (where s.monetary <= 1), max(s.total_spent) filter (where s.monetary <= 2),
                            max(s.total_spent) filter (where s.monetary <= 3), max(s.total_spent) filter (where s.monetary <= 4)]
                          as monetary_cuts,
                      (select array_agg((select max(h.greatest) from hundredths h where h.hundredth <= n) order by n)
                         from generate_series(1, 99) as n) as spent_cuts
                 from scored s) as f
            on conflict (workspace_id) do update
           set scored_at = excluded.scored_at, month = greatest(r.month, excluded.month), customers = excluded.customers,
               recency_cuts = excluded.recency_cuts, frequency_cuts = excluded.frequency_cuts,
               monetary_cuts = excluded.monetary_cuts, spent_cuts = excluded.spent_cuts),
    many as materialized (
        select (select count(*) from changed) + (select count(*) from gone) as differing, (select count(*) from scored) as n)
    select d.customer_id, d.was, d.rfm_group
      from changed d
     cross join many
     where (d.was <> d.rfm_group) or many.differing <= greatest(5000, many.n / 5)
    union all
    select g.customer_id, g.rfm_group, 'PROSPECTS'
      from gone g
      join customer c on c.workspace_id = $1 and c.id = g.customer_id and c.deleted_at is null
    union all
    select null, many.differing::text, many.n::text from many"""


async def everybody(tx: Tx, at: datetime | None = None) -> int:
    """Scores everybody anew; how many customers' scores differ from before. Repeated at once it changes nothing.

    Who is in another group than before is told of. One at a time a workspace. `at` is the moment that it is done as of, now
    unless told.
    """
    await tx.value(HOLD)
    await tx.rows(UNHURRIED)
    rows = await tx.rows(SCORE, list(rules.TABLE), at or clock.now())
    differing, scored = next(((int(was), int(now)) for id, was, now in rows if id is None), (0, 0))
    found = [row for row in rows if row[0] is not None]
    if differing:
        # So many that a look at everybody is less work than a mark for each.
        is_most = differing > max(AT_ONCE, scored // 5)
        await publish(tx, [CustomersScored(customer_ids=None if is_most else tuple(id for id, _, _ in found))])
    await _tell(tx, found)
    return differing


async def run(database: Database, workspace_id: UUID) -> int:
    """Scores everybody of a workspace in a transaction of its own, as `everybody` does."""
    async with database.tx(workspace_id) as tx:
        return await everybody(tx)


async def _tell(tx: Tx, found: Sequence[tuple[UUID, str | None, str]]) -> None:
    now = clock.now()
    facts = [
        RfmGroupChanged(customer_id=id, at=now, former=was, group=group)
        for id, was, group in found
        if was is not None and was != group
    ]
    for n in range(0, len(facts), AT_ONCE):
        await publish(tx, facts[n : n + AT_ONCE])


# --- those who were recounted --------------------------------------------------------------------------------------------

TRY: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 23))"
# In a month that has just begun everybody is scored first, so that the groups of before are kept.
SCORE_SOME: Final = """
    with run as materialized (
        select r.recency_cuts, r.frequency_cuts, r.monetary_cuts
          from rfm_run r
          join workspace w on w.workspace_id = $1
         where r.workspace_id = $1 and r.month >= date_trunc('month', $3::timestamptz at time zone w.timezone)::date),
    scored as materialized (
        select m.customer_id,
               1 + (select count(*) from unnest(r.recency_cuts) as cut where cut is null or m.last_order_at > cut) as recency,
               1 + (select count(*) from unnest(r.frequency_cuts) as cut where cut is null or m.order_count > cut) as frequency,
               1 + (select count(*) from unnest(r.monetary_cuts) as cut where cut is null or m.total_spent > cut) as monetary
          from run r
         cross join customer_metrics m
          join customer c on c.workspace_id = $1 and c.id = m.customer_id and c.deleted_at is null
         where m.workspace_id = $1 and m.customer_id = any($4::uuid[]) and m.order_count > 0),
    changed as materialized (
        select s.customer_id, s.recency, s.frequency, s.monetary, s.rfm_group, k.rfm_group as was
          from (select x.customer_id, x.recency, x.frequency, x.monetary,
                       ($2::text[])[9 * x.recency + x.frequency + x.monetary - 10] as rfm_group
                  from scored x) as s
          left join customer_rfm k on k.workspace_id = $1 and k.customer_id = s.customer_id
         where k.customer_id is null
            or (k.recency, k.frequency, k.monetary, k.rfm_group) <> (s.recency, s.frequency, s.monetary, s.rfm_group)),
    written as (
        insert into customer_rfm (workspace_id, customer_id, recency, frequency, monetary, rfm_group)
        select $1, d.customer_id, d.recency, d.frequency, d.monetary, d.rfm_group from changed d
            on conflict (workspace_id, customer_id) do update
           set recency = excluded.recency, frequency = excluded.frequency, monetary = excluded.monetary, rfm_group = excluded.rfm_group),
    gone as (
        delete from customer_rfm k
         where k.workspace_id = $1 and k.customer_id = any($4::uuid[]) and exists (select 1 from run)
           and not exists (select 1 from scored s where s.customer_id = k.customer_id)
        returning k.customer_id, k.rfm_group)
    select d.customer_id, d.was, d.rfm_group from changed d
    union all
    select g.customer_id, g.rfm_group, 'PROSPECTS'
      from gone g
      join customer c on c.workspace_id = $1 and c.id = g.customer_id and c.deleted_at is null"""


async def some(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Scores customers by the cuts of the last look at everybody, and tells who is in another group than before.

    Does nothing before the first such look, or while one is under way: it, or the one after it, sees them.
    """
    if customer_ids and await tx.value(TRY):
        await _tell(tx, await tx.rows(SCORE_SOME, list(rules.TABLE), clock.now(), list(customer_ids)))


REMOVE: Final = "delete from customer_rfm where workspace_id = $1 and customer_id = any($2::uuid[])"


async def remove(tx: Tx, customer_ids: Sequence[UUID]) -> int:
    """Takes the scores from customers who are put away or unmade; how many had any."""
    return await tx.run(REMOVE, list(customer_ids))


# --- when everybody is scored again --------------------------------------------------------------------------------------

FEW: Final = 50_000
"""Up to so many customers everybody is scored after each batch of recounted ones."""
EVERY: Final = timedelta(minutes=10)
"""Beyond, as often as this, or when a fifth of them was recounted since."""

LAST: Final = """
    select r.customers, r.scored_at, r.month < date_trunc('month', $2::timestamptz at time zone w.timezone)::date
      from rfm_run r
      join workspace w on w.workspace_id = $1
     where r.workspace_id = $1"""
RECOUNTED: Final = """
    select count(*)
      from (select from customer_metrics m where m.workspace_id = $1 and m.refreshed_at >= $2 limit $3) as since"""


async def soon(tx: Tx, *, many: bool = False) -> None:
    """Has everybody scored anew by a job, at once where that is quick; see FEW and EVERY. `many`: a whole batch was recounted."""
    # Only who defers it needs what runs it.
    from supover.analytics import jobs
    from supover.kit.jobs import defer

    args = {"origin": tx.origin}
    at = await _due(tx, many)
    # Of each at most one is queued: one that is to be at once must not wait for another that is due in minutes.
    await defer(tx, jobs.SCORE, args, run_at=at, singleton=f"{tx.origin}{'' if at is None else '/later'}")


async def _due(tx: Tx, many: bool) -> datetime | None:
    """When everybody is to be scored; None for at once."""
    now = clock.now()
    rows = await tx.rows(LAST, now)
    if not rows or rows[0][0] <= FEW or rows[0][2]:
        return None
    [(customers, scored_at, _)] = rows
    due = scored_at + EVERY
    if due <= now or (many and await tx.value(RECOUNTED, scored_at, customers // 5) >= customers // 5):
        return None
    return due
