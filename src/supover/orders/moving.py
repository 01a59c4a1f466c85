"""Orders go from one customer to another, and back: when customers are made one, are by themselves again, or are split.

Each has a new decision that says why, so that the newest one always names the customer it is of.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from supover.addresses import moving as addresses
from supover.customers import absorbing, merge_rows
from supover.kit import ids
from supover.kit.db import Change, Tx, json_bytes
from supover.kit.events import publish
from supover.orders.events import OrderReassigned

KIND: Final = "order"

# --- made one ------------------------------------------------------------------------------------------------------------

# In the order of their ids, as whoever takes orders in holds them.
MOVE: Final = """
    with own as materialized (
        select o.id, o.customer_id from "order" o
         where o.workspace_id = $1 and o.customer_id = any($3::uuid[])
         order by o.id
           for update of o)
    update "order" o
       set customer_id = $2, updated_at = now(), version = o.version + 1
      from own
     where o.workspace_id = $1 and o.id = own.id
    returning own.customer_id, o.id"""
EXPLAIN: Final = """
    insert into order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select $1, n.order_id, n.id, n.customer_id, $2, coalesce(n.why, '{}') || $3::jsonb || jsonb_build_object('former', n.former_id)
      from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::jsonb[]) as n (order_id, id, customer_id, former_id, why)"""


# What these rows refer to is held: nothing need look for it row by row, which takes as long as a sixth of it all.
TRUST: Final = "select trust_references() from (select $1::uuid) as w"
CHECK: Final = "select check_references() from (select $1::uuid) as w"


async def merge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Gives the primary all orders of the others; notes what that did."""
    is_trusted = await tx.value(TRUST)
    moved = await tx.rows(MOVE, primary_id, list(others))
    await _explain(tx, "merged", {"mergeId": merge_id}, [(id, primary_id, former_id) for former_id, id in moved])
    await merge_rows.note(tx, merge_id, KIND, "moved", moved)
    if is_trusted:
        await tx.value(CHECK)


async def _explain(
    tx: Tx,
    method: str,
    reason: dict[str, object],
    rows: Sequence[tuple[UUID, UUID, UUID]],
    why: Sequence[dict[str, object]] = (),
) -> None:
    """Why orders are of whom: each order, whose it is and whose it was; `why` is what else speaks for each."""
    each = [json_bytes(one) for one in why] or [None] * len(rows)
    told = [
        (order_id, id, *rest, one) for id, (order_id, *rest), one in zip(ids.many(len(rows)), rows, each, strict=True)
    ]
    await tx.many(EXPLAIN, told, method, json_bytes({"by": tx.actor, **reason}))


# --- by themselves again -------------------------------------------------------------------------------------------------

# Distinct or not: no index of the survivor's orders must be gone through for each row.
MOVE_BACK: Final = """
    with own as materialized (
        select o.id, r.former_id
          from customer_merge_row r
          join "order" o on o.workspace_id = $1 and o.id = r.row_id
         where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'order' and o.customer_id is not distinct from $3
         order by o.id
           for update of o)
    update "order" o
       set customer_id = own.former_id, updated_at = now(), version = o.version + 1
      from own
     where o.workspace_id = $1 and o.id = own.id
    returning o.id"""
UNEXPLAIN: Final = """
    delete from order_decision d
     where d.workspace_id = $1 and d.order_id = any($2::uuid[]) and d.method = 'merged' and d.evidence ->> 'mergeId' = $3::uuid::text"""
LOST: Final = """
    select r.row_id, case when o.id is null then 'it is there no more' else 'it was given to another customer since' end
      from customer_merge_row r
      left join "order" o on o.workspace_id = $1 and o.id = r.row_id
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'order' and o.customer_id is distinct from r.former_id"""
# What came since by a contact that leads to one of the others alone, or was sent with that one's id, is theirs; also by what was
# of somebody who had been merged into one of them before.
SINCE: Final = """
    with own as materialized (
        select o.id, o.source, o.shop, o.created_at, d.evidence, d.method
          from "order" o
          join customer_merge m on m.workspace_id = $1 and m.id = $2
         cross join lateral (
               select d.method, d.evidence, d.decided_at from order_decision d
                where d.workspace_id = $1 and d.order_id = o.id
                order by d.id desc limit 1) as d
         where o.workspace_id = $1 and o.customer_id = $3 and d.decided_at >= m.merged_at
         order by o.id
           for update of o)
    update "order" o
       set customer_id = found.customer_id, updated_at = now(), version = o.version + 1
      from (select distinct on (found.id) found.id, found.created_at, found.customer_id, found.evidence
              from (select own.id, own.created_at, own.evidence, i.customer_id, 1 as place
                      from own
                      join customer_identity i
                        on i.workspace_id = $1 and i.customer_id = any($4::uuid[]) and i.kind = own.evidence -> 'matched' ->> 'kind'
                           and i.key = own.evidence -> 'matched' ->> 'key' and i.released_at is null
                           and (i.kind <> 'channel' or (i.source = own.source and i.shop = own.shop))
                     where own.method in ('channel_identity', 'email', 'phone', 'unmerged')
                       and not exists (select 1 from customer_identity t
                                        where t.workspace_id = $1 and t.customer_id = $3 and t.kind = i.kind and t.key = i.key
                                          and (t.kind <> 'channel' or (t.source = i.source and t.shop = i.shop)))
                     union all
                    select own.id, own.created_at, own.evidence, r.former_id, 2
                      from own
                      join customer_merge_row r on r.workspace_id = $1 and r.merge_id = $2 and r.kind in ('customer', 'tombstone')
                           and r.deed = 'moved' and r.row_id = (own.evidence ->> 'merged')::uuid
                     where own.method in ('customer_id', 'unmerged')) as found
             order by found.id, found.place, found.customer_id) as found
     where o.workspace_id = $1 and o.id = found.id
    returning o.id, o.customer_id, o.created_at, found.evidence"""


async def unmerge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Puts back what `merge` did, but for what somebody gave to another customer since; that is noted.

    Contacts must be back already: orders that came since by one of those go with it, and so does what these orders brought.
    """
    back = await tx.column(MOVE_BACK, merge_id, primary_id)
    if back:
        await tx.run(UNEXPLAIN, back, merge_id)
    lost = await tx.rows(LOST, merge_id)
    await merge_rows.stayed(tx, merge_id, KIND, [(row[0], row[1]) for row in lost])
    rows = await tx.rows(SINCE, merge_id, primary_id, list(others))
    since: list[tuple[UUID, UUID, datetime]] = [(row[0], row[1], row[2]) for row in rows]
    if since:
        # What led them here goes along: the next undo may ask for it.
        why = [{name: row[3][name] for name in ("matched", "merged") if name in row[3]} for row in rows]
        told = [(id, to_id, primary_id) for id, to_id, _ in since]
        await _explain(tx, "unmerged", {"mergeId": merge_id}, told, why)
        await merge_rows.note(tx, merge_id, "order/since", "moved", [(to_id, id) for id, to_id, _ in since])
        taken = [(to_id, at) for _, to_id, at in since]
        await absorbing.follow(tx, primary_id, taken)
        await addresses.follow(tx, primary_id, taken)


# --- split ---------------------------------------------------------------------------------------------------------------

HAND_OVER: Final = """
    with own as materialized (
        select o.id from "order" o
         where o.workspace_id = $1 and o.customer_id = $2 and o.id = any($4::uuid[])
         order by o.id
           for update of o)
    update "order" o
       set customer_id = $3, updated_at = now(), version = o.version + 1
      from own
     where o.workspace_id = $1 and o.id = own.id
    returning o.id"""


async def split(tx: Tx, former_id: UUID, new_id: UUID, order_ids: Sequence[UUID]) -> None:
    """Gives these orders of a customer to another one. Publishes OrderReassigned."""
    moved = await tx.column(HAND_OVER, former_id, new_id, list(order_ids))
    await _explain(tx, "split", {}, [(id, new_id, former_id) for id in moved])
    tx.changes += [Change("order", id, "customer_id", former_id, new_id) for id in moved]
    await publish(tx, [OrderReassigned(order_id=id, customer_id=new_id, former_id=former_id) for id in moved])
