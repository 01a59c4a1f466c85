"""The event log is read: by customer, newest first, and as a feed, in an order that loses nothing."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from supover.customers import queries as customers
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where
from supover.timeline.model import Entry

SORTS: Final = (Sort("at", "e.at", "e.id", datetime, descending_first=True),)
# Whoever came with a file has no event of their own: the row of its chunk tells, committed when they were made. What happened to
# those who were merged into a customer happened to the customer, who is known since the first of them is.
OF_CUSTOMER: Final = """
    select e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data,
           (select coalesce(o.number, o.external_id) from "order" o where o.workspace_id = $1 and o.id = e.order_id)
      from ((select e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
               from unnest($2::uuid[]) as p (id)
              cross join lateral (
                    select e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
                      from event_log e
                     where {where} and e.customer_id = p.id
                     order by {order}
                     limit {limit}) as e)
            union all
            (select e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
               from (select c.workspace_id, c.id, 'CustomerCreated' as kind, k.committed_at as at, c.id as customer_id,
                            null::uuid as order_id, r.actor, 'import' as origin,
                            jsonb_build_object('by', 'import', 'source', c.source, 'importId', r.id, 'fileName', r.file_name) as data
                       from customer c
                      cross join lateral (
                            select k.import_id, k.committed_at
                              from import_chunk k
                             where k.workspace_id = $1 and k.last_id >= c.id and k.first_id <= c.id
                               and k.committed_at = coalesce((select m.primary_created_at
                                                                from customer_merge m
                                                               where m.workspace_id = $1 and m.primary_id = c.id and m.undone_at is null
                                                               order by m.id
                                                               limit 1), c.created_at)
                             order by k.last_id
                             limit 1) as k
                       join import_run r on r.workspace_id = $1 and r.id = k.import_id
                      where c.workspace_id = $1 and c.id = any($2::uuid[])) as e
              where {where})) as e
     order by {order}
     limit {limit}"""


async def of_customer(
    db: Reader, customer_id: UUID, page: Page, types: Sequence[str] | None
) -> tuple[list[Entry], str | None]:
    """A page of what happened to a customer, newest first, and the cursor of the next.

    What happened to those who were merged into it is part of it. One whom a file brought has a CustomerCreated that names the
    import, with their own id.
    """
    where = Where("e.workspace_id = $1")
    where.arg(await customers.one_person(db, customer_id))
    if types:
        where.add("e.kind = any({}::text[])", list(types))
    page.seek(where)
    rows = await db.rows(OF_CUSTOMER.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values)
    found = [_entry(row) for row in rows]
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.at, last.id)


HORIZON: Final = """
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint where $1::uuid is not null"""
FEED: Final = """
    select e.tx::text::bigint, e.id, e.kind, e.at, e.customer_id, e.order_id, e.actor, e.origin, e.data
      from event_log e
     where e.workspace_id = $1
       and (e.tx, e.id) > ($2::text::xid8, $3::uuid) and e.tx < $4::text::xid8
       and ($5::text[] is null or e.kind = any($5))
       and ($6::uuid is null or e.customer_id = $6)
     order by e.tx, e.id
     limit $7"""


async def feed(
    db: Reader, after: tuple[int, UUID], types: Sequence[str] | None, customer_id: UUID | None, limit: int
) -> tuple[list[Entry], tuple[int, UUID]]:
    """Events from after a place, oldest first, and the place to go on from.

    Transactions end in another order than they begin. Those below the horizon, the oldest one that still runs, have all
    ended: no event can appear there any more, and none beyond it is shown yet.
    """
    horizon: int = await db.value(HORIZON)
    tx, id = after
    if tx >= horizon:
        # From before a restore, when transactions had greater numbers: what was logged then stands at 0, by its id.
        tx = 0
    rows: list[Any] = await db.rows(FEED, str(tx), id, str(horizon), list(types) if types else None, customer_id, limit)
    found = [_entry(row[1:]) for row in rows]
    if len(rows) == limit:
        return found, (rows[-1][0], rows[-1][1])
    # Everything below the horizon was looked at, so the next call need not pass over what it did not ask for again.
    return found, (horizon - 1, found[-1].id if found else id)


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(row[0], row[1], title(row[1]), *row[2:])


@lru_cache(maxsize=256)
def title(kind: str) -> str:
    """An event's kind in words: 'Order placed'."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind).capitalize()
