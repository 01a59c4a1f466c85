"""Notes go from one customer to another, and back: when customers are made one, are by themselves again, or are split.

Not a word of them changes, so neither their version nor their times do.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import merge_rows
from supover.kit.db import Tx

KIND: Final = "customer_note"

MOVE: Final = """
    update customer_note t set customer_id = $2
      from customer_note was
     where t.workspace_id = $1 and t.customer_id = any($3::uuid[]) and was.workspace_id = $1 and was.id = t.id
    returning was.customer_id, t.id"""


async def merge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Gives the primary all notes of the others; notes what that did."""
    await merge_rows.note(tx, merge_id, KIND, "moved", await tx.rows(MOVE, primary_id, list(others)))


# Distinct or not: no index of the survivor's notes must be gone through for each row.
MOVE_BACK: Final = """
    update customer_note t set customer_id = r.former_id
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_note'
       and t.workspace_id = $1 and t.id = r.row_id and t.customer_id is not distinct from $3"""
LOST: Final = """
    select r.row_id, case when t.id is null then 'it was removed since' else 'it is another customer''s now' end
      from customer_merge_row r
      left join customer_note t on t.workspace_id = $1 and t.id = r.row_id
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_note' and t.customer_id is distinct from r.former_id"""


async def unmerge(tx: Tx, merge_id: UUID, primary_id: UUID) -> None:
    """Puts back what `merge` did; what was removed or moved since is told. Notes written since stay with the survivor."""
    await tx.run(MOVE_BACK, merge_id, primary_id)
    await merge_rows.stayed(tx, merge_id, KIND, [(row[0], row[1]) for row in await tx.rows(LOST, merge_id)])


HAND_OVER: Final = """
    update customer_note t set customer_id = $3
     where t.workspace_id = $1 and t.customer_id = $2 and t.id = any($4::uuid[])"""


async def split(tx: Tx, former_id: UUID, new_id: UUID, note_ids: Sequence[UUID]) -> None:
    """Gives these notes of a customer to another one."""
    await tx.run(HAND_OVER, former_id, new_id, list(note_ids))
