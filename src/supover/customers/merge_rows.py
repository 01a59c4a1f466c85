"""What a merge did, row by row: every room notes here what it moved, removed, changed or added, and reads it to put it back.

`kind` is the table, or what of it. A row that was `moved` was of `former_id`; of a `removed` one `before` is all of it, of a
`changed` one what it was; an `added` one was made by the merge. A merge's rows are forgotten after `KEPT`, or once it is undone.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from supover.kit.db import Tx, json_bytes

KEPT: Final = timedelta(days=90)
"""So long a merge can be undone."""

Deed = Literal["moved", "removed", "changed", "added"]

ADD: Final = """
    insert into customer_merge_row (workspace_id, merge_id, kind, deed, former_id, row_id, before)
    select $1, $2, $3, $4, n.former_id, n.row_id, n.before
      from unnest($5::uuid[], $6::uuid[], $7::jsonb[]) as n (former_id, row_id, before)"""


async def note(tx: Tx, merge_id: UUID, kind: str, deed: Deed, rows: Sequence[Sequence[Any]]) -> None:
    """Notes what a merge did to rows: whose each was, its id, and what it was where that must be known."""
    told = [(former, row, json_bytes(more[0]) if more and more[0] is not None else None) for former, row, *more in rows]
    await tx.many(ADD, told, merge_id, kind, deed)


STAYED: Final = """
    update customer_merge_row r set stayed = n.why
      from unnest($4::uuid[], $5::text[]) as n (row_id, why)
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = $3 and r.row_id = n.row_id"""


async def stayed(tx: Tx, merge_id: UUID, kind: str, rows: Sequence[tuple[UUID, str]]) -> None:
    """Notes what could not be put back, and why."""
    await tx.many(STAYED, rows, merge_id, kind)


# Who took a file back found nothing of it in the table.
TAKEN_BACK: Final = """
    update customer_merge_row r set stayed = 'the file that brought it was taken back since'
      from import_chunk k
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = $3 and r.deed = 'removed' and r.before @> $4
       and k.workspace_id = $1 and k.reverted_at is not null and k.added -> $5 ? r.row_id::text"""


async def left_to_files(tx: Tx, merge_id: UUID, kind: str, name: str, untouched: Any) -> int:
    """Notes what is not to be put back because an import had added it and was taken back; how many rows.

    `name` is what imports call such rows, `untouched` has what a row says that nobody has changed since: only those go with a file.
    """
    return await tx.run(TAKEN_BACK, merge_id, kind, json_bytes(untouched), name)


NOT_NOTED: Final = """
    insert into customer_merge_row as r (workspace_id, merge_id, kind, deed, former_id, row_id, stayed)
    select $1, $2, $3, 'changed', n.former_id, n.row_id, n.why
      from unnest($4::uuid[], $5::uuid[], $6::text[]) as n (former_id, row_id, why)
        on conflict (workspace_id, merge_id, kind, former_id, row_id)
        do update set stayed = concat_ws(' ', r.stayed, excluded.stayed)"""


async def kept(tx: Tx, merge_id: UUID, kind: str, rows: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Notes something else that undoing left as it is: of which customer, what, and why."""
    await tx.many(NOT_NOTED, rows, merge_id, kind)


FORGET: Final = """
    delete from customer_merge_row r where r.workspace_id = $1 and r.merge_id = any($2::uuid[])"""


async def forget(tx: Tx, merge_ids: Sequence[UUID]) -> int:
    """Forgets what these merges did; how many rows that were."""
    return await tx.run(FORGET, list(merge_ids))
