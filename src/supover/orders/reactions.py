"""Orders go where their customers go; a contact that goes to another customer takes along what it brought, where somebody said so."""

from collections.abc import Sequence
from typing import Final

from supover.customers.events import CustomersMerged, CustomerSplit, IdentityMoved, MergeUndone
from supover.kit import ids
from supover.kit.db import Change, Tx, by_column, json_bytes
from supover.kit.events import on, publish
from supover.orders import moving
from supover.orders.events import OrderReassigned

# Brought by it: mapped by it, or the order that the customer was first known by, if it came with it. Which of a channel's
# ids that one came with is told by its having been learned in the same transaction. What somebody gave to the customer by
# name stays.
REASSIGN: Final = """
    with own as materialized (
        select o.id, o.source, o.shop, o.email, o.phone, d.method, d.evidence -> 'matched' as matched, d.decided_at,
               m.from_id, m.to_id, m.identity_id
          from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as m (from_id, to_id, identity_id)
          join "order" o on o.workspace_id = $1 and o.customer_id = m.from_id
         cross join lateral (
               select d.method, d.evidence, d.decided_at from order_decision d
                where d.workspace_id = $1 and d.order_id = o.id
                order by d.id desc limit 1) as d
         order by o.id
           for update of o)
    update "order" o
       set customer_id = own.to_id, updated_at = now(), version = o.version + 1
      from own
      join customer_identity i on i.workspace_id = $1 and i.id = own.identity_id
     where o.workspace_id = $1 and o.id = own.id
       and (i.kind <> 'channel' or (own.source = i.source and own.shop = i.shop))
       and ((own.matched ->> 'kind' = i.kind and own.matched ->> 'key' = i.key)
            or (own.method = 'new' and case i.kind when 'channel' then own.decided_at = i.created_at
                                                   when 'email' then lower(own.email) = lower(i.value)
                                                   else own.phone = i.value end))
    returning o.id, own.from_id, own.to_id, i.kind, i.key"""
EXPLAIN: Final = """
    insert into order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select $1, n.order_id, n.id, n.customer_id, 'identity_moved', n.evidence
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::jsonb[]) as n (order_id, id, customer_id, evidence)"""


@on(IdentityMoved)
async def reassign(tx: Tx, moves: Sequence[IdentityMoved]) -> None:
    """Gives the orders that moved contacts brought to their new customers, each with the reason."""
    # A move is told of both customers.
    taking = [(m.from_id, m.to_id, m.identity_id) for m in moves if m.with_orders and m.customer_id == m.to_id]
    found = await tx.rows(REASSIGN, *by_column(taking)) if taking else []
    if not found:
        return
    reasons = [
        (id, ids.new(), to_id, json_bytes({"by": tx.actor, "former": from_id, "matched": {"kind": kind, "key": key}}))
        for id, from_id, to_id, kind, key in found
    ]
    await tx.run(EXPLAIN, *by_column(reasons))
    tx.changes += [Change("order", id, "customer_id", from_id, to_id) for id, from_id, to_id, *_ in found]
    await publish(
        tx, [OrderReassigned(order_id=id, customer_id=to_id, former_id=from_id) for id, from_id, to_id, *_ in found]
    )


@on(CustomersMerged)
async def merge(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """The survivor has all orders, each with the reason."""
    for e in merged:
        assert e.customer_id is not None
        await moving.merge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(MergeUndone)
async def unmerge(tx: Tx, undone: Sequence[MergeUndone]) -> None:
    """Each has their own orders again, and those that came since by a contact of theirs."""
    for e in undone:
        assert e.customer_id is not None
        await moving.unmerge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(CustomerSplit)
async def split(tx: Tx, splits: Sequence[CustomerSplit]) -> None:
    """The new customer has the orders that were chosen."""
    for e in splits:
        assert e.customer_id is not None
        await moving.split(tx, e.customer_id, e.new_id, e.order_ids)
