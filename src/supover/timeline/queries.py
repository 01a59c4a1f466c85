"""The event log is read: by customer, newest first, and as a feed, in an order that loses nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where
from supover.timeline.model import Entry

SORTS: Final = (Sort("at", "e.at", "e.id", datetime, descending_first=True),)
OF_CUSTOMER: Final = """
    select e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
      from event_log e
     where {where}
     order by {order}
     limit {limit}"""


async def of_customer(
    db: Reader, customer_id: UUID, page: Page, types: Sequence[str] | None
) -> tuple[list[Entry], str | None]:
    """A page of what happened to a customer, newest first, and the cursor of the next."""
    where = Where("e.workspace_id = $1")
    where.add("e.customer_id = {}", customer_id)
    if types:
        where.add("e.kind = any({}::text[])", list(types))
    page.seek(where)
    limit = where.arg(page.limit + 1)
    found = await db.all(Entry, OF_CUSTOMER.format(where=where.text(), order=page.order(), limit=limit), *where.values)
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.at, last.id)


# A transaction below the oldest one that is still running has ended: no event can appear there any more. A row that shows
# itself with a greater id than any transaction of this database was written before a restore; its transaction has ended too.
FEED: Final = """
    select e.tx::text::bigint, e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
      from event_log e
     where e.workspace_id = $1
       and (e.tx, e.id) > (case when $2::bigint >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint then '0' else $2::bigint::text end::xid8, $3::uuid)
       and (e.tx < pg_snapshot_xmin(pg_current_snapshot()) or e.tx >= pg_snapshot_xmax(pg_current_snapshot()))
       and ($4::text[] is null or e.kind = any($4))
       and ($5::uuid is null or e.customer_id = $5)
     order by e.tx, e.id
     limit $6"""


async def feed(
    db: Reader, after: tuple[int, UUID], types: Sequence[str] | None, customer_id: UUID | None, limit: int
) -> tuple[list[Entry], tuple[int, UUID]]:
    """Events from after a place, oldest first, and the place to go on from."""
    rows: list[Any] = await db.rows(FEED, after[0], after[1], list(types) if types else None, customer_id, limit)
    found = [Entry(*row[1:]) for row in rows]
    return found, (rows[-1][0], rows[-1][1]) if rows else after
