"""The values of indexed and unique custom fields, kept apart: written with the customer, and filled in by a job.

All of it is read out of the customers by one expression, so that what a writer keeps and what the job fills in are the same.
Nobody waits for the job: it only adds rows that are not there. A writer therefore leaves a row behind for a customer
without a value too, or the job, which may have read that customer before, would add what is there no more.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from supover.customers.custom_field_model import CustomFieldConflict, CustomFieldValueTaken, Definitions
from supover.kit import ids, jobs
from supover.kit.db import Reader, Tx
from supover.kit.sql import Page, Sort, Where

BUILD_JOB: Final = "customers.index_custom_field"
CLEAR_JOB: Final = "customers.clear_custom_field"
BATCH: Final = 500
"""Customers whose values a job writes in a transaction: who writes one of them meanwhile waits so long, for each index."""
CLEARED: Final = 5_000
"""Rows that are removed in a transaction; nobody waits for them."""

# --- with the customer ---------------------------------------------------------------------------------------------------

# Who else has the value of a unique field that this customer is about to have.
HOLDERS: Final = """
    select f.key, v.customer_id
      from custom_field f
      join customer c on c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null
      join custom_field_value v
           on v.workspace_id = $1 and v.index_id = f.index_id and v.customer_id <> c.id
              and v.text_key = ext.custom_key(c.custom_fields -> f.key, f.type, f.choices)
     where f.workspace_id = $1 and f.is_unique and ($3::text[] is null or f.key = any($3::text[]))
     order by f.position, f.key
     limit 1"""
KEEP: Final = """
    insert into custom_field_value as v (workspace_id, index_id, customer_id, text_key, number, day, holds)
    select $1, f.index_id, c.id, k.text_key, case when f.type = 'number' and c.deleted_at is null
           then ext.custom_number(c.custom_fields -> f.key) end, case when f.type = 'date' and c.deleted_at is null
           then ext.custom_day(c.custom_fields -> f.key) end, coalesce($5 and f.is_unique and k.text_key is not null, false)
      from customer c
      join custom_field f on f.workspace_id = $1 and f.index_id is not null
     cross join lateral (select case when c.deleted_at is null
                                     then ext.custom_key(c.custom_fields -> f.key, f.type, f.choices) end) as k (text_key)
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and ($3::text[] is null or f.key = any($3::text[]))
       and (k.text_key is not null or not $4)
     order by c.id, f.index_id
        on conflict (workspace_id, index_id, customer_id) do update
       set text_key = excluded.text_key, number = excluded.number, day = excluded.day, holds = excluded.holds
     where (v.text_key, v.number, v.day) is distinct from (excluded.text_key, excluded.number, excluded.day)"""


async def keep(
    tx: Tx,
    definitions: Definitions,
    customer_ids: Sequence[UUID],
    keys: Sequence[str] | None = None,
    *,
    is_new: bool = False,
    refuses: bool = True,
) -> None:
    """Keeps these customers' values, of the fields with these keys or of all, as the customers have them now.

    A value that somebody else has of a unique field raises CustomFieldValueTaken with that one's `customerId`; or, where
    nothing may be refused, is told by the field's state, which becomes conflicting.
    """
    asked = None if keys is None else list(keys)
    if not any(d.index_id is not None and (asked is None or d.key in asked) for d in definitions.by_key.values()):
        return
    unique = [d for d in definitions.by_key.values() if d.is_unique and (asked is None or d.key in asked)]
    taken = await tx.rows(HOLDERS, list(customer_ids), asked) if unique else []
    if taken and refuses:
        key, holder = taken[0]
        raise CustomFieldValueTaken(
            f"Customer {holder} has this {definitions.by_key[key].label} already.",
            extra={"customerId": str(holder), "field": f"/customFields/{key}"},
        )
    # Two who keep the same value at once both pass; the unique index then lets one of them try again, and see the other.
    await tx.run(KEEP, list(customer_ids), asked, is_new, refuses)
    if unique:
        # Not as they are remembered: a build may have ended since.
        mended = await tx.column(CONFLICTING, [d.id for d in unique])
        for id in [d.id for d in unique] if not refuses else mended:
            await build_later(tx, id)


CONFLICTING: Final = """
    select f.id from custom_field f
     where f.workspace_id = $1 and f.id = any($2::uuid[]) and f.index_state = 'conflicting'
     order by f.id"""


# --- another index, or none ----------------------------------------------------------------------------------------------

INDEX: Final = "select f.index_id from custom_field f where f.workspace_id = $1 and f.id = $2"


async def build_later(tx: Tx, id: UUID) -> None:
    """Fills a field's index after the commit, or, where it is filled, looks whether customers share a value."""
    await jobs.defer(tx, BUILD_JOB, {"field_id": id}, singleton=str(id))


async def clear_later(tx: Tx, id: UUID) -> None:
    """Removes, after the commit, the rows of the index that a field has now and will not have then."""
    index_id = await tx.value(INDEX, id)
    if index_id is not None:
        await jobs.defer(tx, CLEAR_JOB, {"index_id": index_id})


CLEAR: Final = """
    delete from custom_field_value v
     where v.workspace_id = $1 and v.index_id = $2
       and v.customer_id in (select o.customer_id from custom_field_value o
                              where o.workspace_id = $1 and o.index_id = $2 order by o.customer_id limit $3)"""


async def clear(tx: Tx, index_id: UUID) -> int:
    """Removes a batch of the rows of an index that is no more; 0 when there are none left."""
    return await tx.run(CLEAR, index_id, CLEARED)


# --- filled in by the job ------------------------------------------------------------------------------------------------

NOW: Final = "select pg_snapshot_xmax(pg_current_snapshot())::text where $1::uuid is not null"
HAVE_ENDED: Final = "select pg_snapshot_xmin(pg_current_snapshot()) >= $2::text::xid8 where $1::uuid is not null"


async def writers(db: Reader) -> str:
    """Stands for the transactions that run now, some of which may not know yet that there is an index."""
    return await db.value(NOW)


async def have_ended(db: Reader, running: str) -> bool:
    """Whether all of them have ended: from then on every writer keeps values."""
    return await db.value(HAVE_ENDED, running)


BEGIN: Final = """
    update custom_field f
       set index_state = case when f.index_state = 'failed' then 'building' else f.index_state end,
           index_reason = case when f.index_state <> 'failed' then f.index_reason end,
           index_total = case when f.index_state in ('ready', 'conflicting') then f.index_total else
               (select count(*) from customer c where c.workspace_id = $1 and c.deleted_at is null) end
     where f.workspace_id = $1 and f.id = $2 and f.index_id is not null
    returning f.index_id, f.index_state <> 'building', f.index_done, f.index_total"""


class Build(msgspec.Struct, frozen=True):
    """An index as a job finds it: `is_filled` where every customer is in it; else `done` are, of about `total`."""

    index_id: UUID
    is_filled: bool
    done: int
    total: int | None


async def begin(tx: Tx, id: UUID) -> Build | None:
    """Begins or goes on with a field's index; None where it has none."""
    rows = await tx.rows(BEGIN, id)
    return Build(*rows[0]) if rows else None


THROUGH: Final = """
    select f.index_through from custom_field f
     where f.workspace_id = $1 and f.id = $2 and f.index_id = $3 and f.index_state = 'building'
       for no key update"""
NEXT: Final = """
    select count(*), count(*) filter (where b.deleted_at is null), (array_agg(b.id order by b.id desc))[1]
      from (select c.id, c.deleted_at from customer c where c.workspace_id = $1 and c.id > $2 order by c.id limit $3) as b"""
FILL: Final = """
    insert into custom_field_value (workspace_id, index_id, customer_id, text_key, number, day, holds)
    select $1, f.index_id, c.id, k.text_key,
           case when f.type = 'number' then ext.custom_number(c.custom_fields -> f.key) end,
           case when f.type = 'date' then ext.custom_day(c.custom_fields -> f.key) end, false
      from customer c
      join custom_field f on f.workspace_id = $1 and f.id = $2
     cross join lateral (select ext.custom_key(c.custom_fields -> f.key, f.type, f.choices)) as k (text_key)
     where c.workspace_id = $1 and c.id > $3 and c.id <= $4 and c.deleted_at is null and k.text_key is not null
     order by c.id
        on conflict (workspace_id, index_id, customer_id) do nothing"""
NOTE: Final = """
    update custom_field set index_through = $3, index_done = index_done + $4
     where workspace_id = $1 and id = $2
    returning index_done, index_total"""


async def fill(tx: Tx, id: UUID, index_id: UUID) -> tuple[int, int] | None:
    """Fills in the next batch of customers: how many are done, and how many there are; None once there are no more.

    Its place is kept in the same transaction. None, too, when the field has another index by now.
    """
    through = await tx.value(THROUGH, id, index_id)
    if through is None:
        return None
    [(count, living, last)] = await tx.rows(NEXT, through, BATCH)
    if not count:
        return None
    await tx.run(FILL, id, through, last)
    [(done, total)] = await tx.rows(NOTE, id, last, living)
    return done, max(done, total or 0)


# Who has a value alone has it for good; who shares one from before keeps it, and nobody else may take it.
HOLD: Final = """
    with batch as materialized (
        select v.customer_id, v.text_key
          from custom_field_value v
         where v.workspace_id = $1 and v.index_id = $2 and not v.holds and v.text_key is not null and v.customer_id > $3
         order by v.customer_id
         limit $4),
    held as (
        update custom_field_value v set holds = true
          from batch b
         where v.workspace_id = $1 and v.index_id = $2 and v.customer_id = b.customer_id and v.text_key = b.text_key
           and not exists (select 1 from custom_field_value o
                            where o.workspace_id = $1 and o.index_id = $2 and o.text_key = b.text_key
                              and o.customer_id <> b.customer_id))
    select b.customer_id from batch b order by b.customer_id desc limit 1"""
UNIQUE: Final = """
    select f.is_unique from custom_field f
     where f.workspace_id = $1 and f.id = $2 and f.index_id = $3
       for no key update"""


async def hold(tx: Tx, id: UUID, index_id: UUID, after: UUID) -> UUID | None:
    """Makes a batch of the values of a unique field their customers' alone; returns the last customer, or None at the end."""
    return await tx.value(HOLD, index_id, after, BATCH) if await tx.value(UNIQUE, id, index_id) else None


SHARED: Final = """
    select count(*) from custom_field_value v
     where v.workspace_id = $1 and v.index_id = $2 and not v.holds and v.text_key is not null"""
FINISH: Final = """
    update custom_field set index_state = $4, index_reason = $5
     where workspace_id = $1 and id = $2 and index_id = $3"""
STAMP: Final = "update custom_field_stamp set stamp = $2 where workspace_id = $1"


async def finish(tx: Tx, id: UUID, index_id: UUID) -> None:
    """Says that an index is complete: ready, or conflicting where customers share a value that should be one's alone."""
    await tx.run(STAMP, ids.new())
    is_unique = await tx.value(UNIQUE, id, index_id)
    shared = await tx.value(SHARED, index_id) if is_unique else 0
    reason = f"{shared} customers have a value that another one has too." if shared else None
    await tx.run(FINISH, id, index_id, "conflicting" if shared else "ready", reason)


async def fail(tx: Tx, id: UUID, index_id: UUID, why: str) -> None:
    """Says why an index is not complete."""
    await tx.run(STAMP, ids.new())
    await tx.run(FINISH, id, index_id, "failed", why)


BEATEN: Final = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)
"""What a batch may meet that a writer beat; tried again, it sees what the writer did."""

# --- who shares a value --------------------------------------------------------------------------------------------------

CONFLICT_SORTS: Final = (Sort("value", "t.text_key", "md5(t.text_key)::uuid", str),)
CONFLICTS: Final = """
    select {key}, md5(t.text_key)::uuid, t.value, t.customers, t.customer_ids
      from (select v.text_key, min(c.custom_fields ->> f.key) as value, count(*) as customers,
                   (array_agg(v.customer_id order by v.customer_id))[:100] as customer_ids
              from custom_field f
              join custom_field_value v on v.workspace_id = $1 and v.index_id = f.index_id
              join customer c on c.workspace_id = $1 and c.id = v.customer_id
             where f.workspace_id = $1 and f.id = $2 and f.is_unique
               and v.text_key in (select o.text_key from custom_field_value o
                                   where o.workspace_id = $1 and o.index_id = f.index_id and not o.holds
                                     and o.text_key is not null)
             group by v.text_key
            having count(*) > 1) as t
     where {where}
     order by {order}
     limit {limit}"""


async def conflicts(db: Reader, id: UUID, page: Page) -> tuple[list[CustomFieldConflict], str | None]:
    """A page of the values that several customers have of a unique field, and the cursor of the next."""
    where = Where("t.customers > 1")
    where.arg(id)
    page.seek(where)
    limit = where.arg(page.limit + 1)
    rows: list[tuple[Any, ...]] = await db.rows(
        CONFLICTS.format(key=page.sort.key, where=where.text(), order=page.order(), limit=limit), *where.values
    )
    found = [CustomFieldConflict(*row[2:]) for row in rows[: page.limit]]
    following = page.cursor(*rows[page.limit - 1][:2]) if len(rows) > page.limit else None
    return found, following
