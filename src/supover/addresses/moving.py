"""Addresses go from one customer to another, and back: when customers are made one, are by themselves again, or are split."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import merge_rows
from supover.kit.db import Tx, by_column

KIND: Final = "address"

# --- made one ------------------------------------------------------------------------------------------------------------

# A place that the primary has already, or one of the others before, is one place: the first stays. What says no street is none.
JOIN: Final = """
    with held as materialized (
        select a.id, a.customer_id, a.match_key, a.type, coalesce(array_position($3::uuid[], a.customer_id), 0) as place
          from address a
         where a.workspace_id = $1 and a.customer_id = any($3::uuid[] || $2::uuid) and a.line1 <> ''),
    twin as (
        select h.id from held h
         where exists (select 1 from held e
                        where e.match_key = h.match_key and e.type in (h.type, 'BOTH') and e.place < h.place))
    delete from address a
     using twin t
     where a.workspace_id = $1 and a.id = t.id
    returning a.customer_id, a.id, to_jsonb(a)"""
# The primary's default stays; where it has none of a type, the first of the others' is it.
MOVE: Final = """
    with ranked as materialized (
        select a.id, a.customer_id, a.is_default, a.type,
               row_number() over (order by array_position($3::uuid[], a.customer_id), a.id) as place
          from address a
         where a.workspace_id = $1 and a.customer_id = any($3::uuid[])),
    own as materialized (
        select coalesce(bool_or(a.type <> 'BILLING'), false) as ships, coalesce(bool_or(a.type <> 'SHIPPING'), false) as bills
          from address a
         where a.workspace_id = $1 and a.customer_id = $2 and a.is_default),
    kept as materialized (
        select r.id, r.customer_id, r.type, r.is_default as was_default, r.is_default
                     and not (r.type <> 'BILLING' and (o.ships or exists (
                         select 1 from ranked e where e.is_default and e.type <> 'BILLING' and e.place < r.place)))
                     and not (r.type <> 'SHIPPING' and (o.bills or exists (
                         select 1 from ranked e where e.is_default and e.type <> 'SHIPPING' and e.place < r.place))) as is_default
          from ranked r cross join own o)
    update address a
       set customer_id = $2, is_default = k.is_default
      from kept k
     where a.workspace_id = $1 and a.id = k.id
    returning k.customer_id, a.id, jsonb_build_object('isDefault', k.was_default, 'type', k.type)"""


async def merge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Gives the primary all places of the others, each once; notes what that did."""
    await merge_rows.note(tx, merge_id, KIND, "removed", await tx.rows(JOIN, primary_id, list(others)))
    await merge_rows.note(tx, merge_id, KIND, "moved", await tx.rows(MOVE, primary_id, list(others)))


# --- by themselves again -------------------------------------------------------------------------------------------------

LOST: Final = """
    select r.row_id, a.id is not null
      from customer_merge_row r
      left join address a on a.workspace_id = $1 and a.id = r.row_id
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'address' and r.deed = 'moved'
       and a.customer_id is distinct from $3"""
# One that was made an address of another type since is no default: each type has one at most.
MOVE_BACK: Final = """
    update address a
       set customer_id = r.former_id, is_default = (r.before ->> 'isDefault')::boolean and r.before ->> 'type' = a.type
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'address' and r.deed = 'moved'
       and a.workspace_id = $1 and a.id = r.row_id and a.customer_id is not distinct from $3"""
MAKE_ANEW: Final = """
    insert into address (workspace_id, id, customer_id, type, is_default, line1, line2, city, state, postal_code, country,
           recipient_name, phone, validated_at, validation_skipped, match_key, created_at, updated_at, version)
    select $1, b.id, b.customer_id, b.type,
           b.is_default and not exists (select 1 from address a
                                         where a.workspace_id = $1 and a.customer_id = b.customer_id and a.is_default
                                           and (a.type = b.type or 'BOTH' in (a.type, b.type))),
           b.line1, b.line2, b.city, b.state, b.postal_code, b.country, b.recipient_name, b.phone, b.validated_at,
           b.validation_skipped, b.match_key, b.created_at, b.updated_at, b.version
      from customer_merge_row r
     cross join lateral jsonb_populate_record(null::address, r.before) as b
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'address' and r.deed = 'removed' and r.stayed is null
        on conflict do nothing"""
# Before they go back each is no default, so that two of one type never meet.
CLEAR_DEFAULTS: Final = """
    update address a set is_default = false
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'address' and r.deed = 'moved'
       and a.workspace_id = $1 and a.id = r.row_id and a.customer_id is not distinct from $3 and a.is_default"""


async def unmerge(tx: Tx, merge_id: UUID, primary_id: UUID) -> None:
    """Puts back what `merge` did, but for what somebody has moved or removed since, or taken back with its file; that is noted."""
    lost = await tx.rows(LOST, merge_id, primary_id)
    await merge_rows.stayed(
        tx,
        merge_id,
        KIND,
        [(id, "it is another customer's now" if is_there else "it was removed since") for id, is_there in lost],
    )
    await tx.run(CLEAR_DEFAULTS, merge_id, primary_id)
    await tx.run(MOVE_BACK, merge_id, primary_id)
    await merge_rows.left_to_files(tx, merge_id, KIND, "address", {"version": 1})
    await tx.run(MAKE_ANEW, merge_id)


# --- split, or gone along with orders ------------------------------------------------------------------------------------

HAND_OVER: Final = """
    update address a set customer_id = $3, updated_at = now(), version = a.version + 1
     where a.workspace_id = $1 and a.customer_id = $2 and a.id = any($4::uuid[])"""


async def split(tx: Tx, former_id: UUID, new_id: UUID, address_ids: Sequence[UUID]) -> None:
    """Gives addresses to a customer who has none."""
    await tx.run(HAND_OVER, former_id, new_id, list(address_ids))


# What an order brought has its time: both were written in one transaction.
FOLLOW: Final = """
    update address a
       set customer_id = n.to_id,
           is_default = a.is_default and not exists (select 1 from address d
                                                      where d.workspace_id = $1 and d.customer_id = n.to_id and d.is_default
                                                        and (d.type = a.type or 'BOTH' in (d.type, a.type)))
      from (select distinct on (u.at) u.to_id, u.at
              from unnest($3::uuid[], $4::timestamptz[]) as u (to_id, at) order by u.at, u.to_id) as n
     where a.workspace_id = $1 and a.customer_id = $2 and a.created_at = n.at
       and not exists (select 1 from address t
                        where t.workspace_id = $1 and t.customer_id = n.to_id and t.match_key = a.match_key)"""


async def follow(tx: Tx, former_id: UUID, taken: Sequence[tuple[UUID, object]]) -> None:
    """Addresses that came with orders go along with them: to whom, and when the order came."""
    if taken:
        await tx.run(FOLLOW, former_id, *by_column(taken))
