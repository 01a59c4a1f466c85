"""Whom somebody put into groups by hand goes along when customers are made one, and back when that is undone."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import merge_rows
from supover.kit.db import Tx
from supover.segments import marks

KIND: Final = "segment_pick"

# Of several who are in one group the primary is in it, and otherwise the first.
TAKE: Final = """
    delete from segment_pick p
     where p.workspace_id = $1 and p.customer_id = any($2::uuid[])
    returning p.customer_id, p.segment_id, jsonb_build_object('pickedBy', p.picked_by, 'pickedAt', p.picked_at)"""
PICK: Final = """
    insert into segment_pick (workspace_id, segment_id, customer_id, picked_by, picked_at)
    select $1, r.row_id, $3, r.before ->> 'pickedBy', (r.before ->> 'pickedAt')::timestamptz
      from (select distinct on (r.row_id) r.row_id, r.before
              from customer_merge_row r
             where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'segment_pick'
             order by r.row_id, array_position($4::uuid[], r.former_id)) as r
        on conflict (workspace_id, segment_id, customer_id) do nothing
    returning segment_id"""


async def merge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Puts the primary into the groups that the others are in; notes what that did. All are looked at again."""
    await merge_rows.note(tx, merge_id, KIND, "moved", await tx.rows(TAKE, list(others)))
    added = await tx.column(PICK, merge_id, primary_id, list(others))
    await merge_rows.note(tx, merge_id, f"{KIND}/own", "added", [(primary_id, id) for id in added])
    await marks.mark(tx, [primary_id, *others])


UNPICK: Final = """
    delete from segment_pick p
     using customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'segment_pick/own'
       and p.workspace_id = $1 and p.segment_id = r.row_id and p.customer_id = $3"""
PUT_BACK: Final = """
    insert into segment_pick (workspace_id, segment_id, customer_id, picked_by, picked_at)
    select $1, r.row_id, r.former_id, r.before ->> 'pickedBy', (r.before ->> 'pickedAt')::timestamptz
      from customer_merge_row r
      join segment g on g.workspace_id = $1 and g.id = r.row_id
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'segment_pick'
        on conflict (workspace_id, segment_id, customer_id) do nothing"""
LOST: Final = """
    select r.row_id, 'the group is there no more'
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'segment_pick'
       and not exists (select 1 from segment g where g.workspace_id = $1 and g.id = r.row_id)"""


async def unmerge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Puts back what `merge` did, but for groups that are no more; that is noted. All are looked at again."""
    await tx.run(UNPICK, merge_id, primary_id)
    await tx.run(PUT_BACK, merge_id)
    await merge_rows.stayed(tx, merge_id, KIND, [(row[0], row[1]) for row in await tx.rows(LOST, merge_id)])
    await marks.mark(tx, [primary_id, *others])
