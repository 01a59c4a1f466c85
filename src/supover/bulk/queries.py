"""Bulk actions are found and listed, with what became of each customer."""

from typing import Final
from uuid import UUID

from supover.bulk.model import BulkAction, BulkNotFound, BulkResult, Outcome
from supover.customers import journal
from supover.customers.journal import Kept
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where

# None for what was done in one transaction, whose time does not go on.
_SECONDS: Final = "nullif(extract(epoch from coalesce(b.ended_at, now()) - b.started_at), 0)"
# One whose job is dead goes on only when somebody has that tried again.
_STATUS: Final = """case when b.status in ('queued', 'running')
                     and not exists (select 1 from job j
                                      where j.workspace_id = $1 and j.kind = 'bulk.run' and j.singleton = b.id::text
                                        and j.state in ('queued', 'running'))
                then 'failed' else b.status end"""
COLUMNS: Final = f"""b.id, b.action, b.deed, b.selection, b.dry_run, b.on_error, {_STATUS}, b.total, b.done, b.changed, b.unchanged,
           b.failed, b.undone, b.kept,
           round(b.done / {_SECONDS}, 1)::float8,
           case when b.status = 'running' and b.done > 0
                then ((b.total - b.done) * {_SECONDS} / b.done)::integer end,
           b.error, b.actor, b.created_at, b.started_at, b.ended_at"""
SORTS: Final = (Sort("createdAt", "b.id", "b.id", UUID, descending_first=True),)
FIND: Final = f"""
    select {COLUMNS}
      from bulk_action b
     where b.workspace_id = $1 and b.id = $2"""
LIST: Final = f"""
    select {COLUMNS}
      from bulk_action b
     where {{where}}
     order by {{order}}
     limit {{limit}}"""


async def find(db: Reader, id: UUID) -> BulkAction:
    """One bulk action, and how far it is. Raises BulkNotFound."""
    return await db.one(BulkAction, FIND, id, missing=BulkNotFound)


async def search(db: Reader, page: Page) -> tuple[list[BulkAction], str | None]:
    """A page of bulk actions, and the cursor of the next."""
    where = Where("b.workspace_id = $1")
    page.seek(where)
    found = await db.all(
        BulkAction, LIST.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    data = found[: page.limit]
    following = page.cursor(data[-1].id, data[-1].id) if len(found) > page.limit and data[-1].id else None
    return data, following


# Who is settled and has no row of their own was changed.
RESULTS: Final = """
    select u.customer_id, coalesce(r.outcome, 'changed'), r.field, r.code, r.message
      from bulk_action b
      join bulk_chunk k on k.workspace_id = $1 and k.bulk_id = b.id
     cross join lateral unnest(k.customer_ids) as u (customer_id)
      left join bulk_result r on r.workspace_id = $1 and r.bulk_id = b.id and r.customer_id = u.customer_id
     where b.workspace_id = $1 and b.id = $2
       and k.number < b.next_chunk
       and k.number >= coalesce((select o.number from bulk_chunk o
                                  where o.workspace_id = $1 and o.bulk_id = $2 and o.first_id <= $3
                                  order by o.first_id desc
                                  limit 1), 0)
       and u.customer_id > $3
       and ($4::text is null or coalesce(r.outcome, 'changed') = $4)
     order by k.number, u.customer_id
     limit $5"""
NOT_CHANGED: Final = """
    select r.customer_id, r.outcome, r.field, r.code, r.message
      from bulk_result r
     where r.workspace_id = $1 and r.bulk_id = $2 and r.customer_id > $3 and r.outcome = $4
     order by r.customer_id
     limit $5"""


async def results(db: Reader, id: UUID, outcome: Outcome | None, after: UUID, limit: int) -> list[BulkResult]:
    """What became of the customers behind `after`, by id, as far as the action has come. Raises BulkNotFound."""
    await find(db, id)
    statement = RESULTS if outcome in (None, "changed") else NOT_CHANGED
    return await db.all(BulkResult, statement, id, after, outcome, limit)


async def kept(db: Reader, id: UUID, after: UUID, limit: int) -> list[Kept]:
    """The customers behind `after`, by id, of whom undoing the action kept something. Raises BulkNotFound."""
    await find(db, id)
    return await journal.kept_of(db, id, after, limit)
