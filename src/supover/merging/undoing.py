"""A merge is undone: everybody is by themselves again, and has what was theirs."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import absorbing, avatars, erased, merge_rows, queries
from supover.customers.events import MergeUndone
from supover.kit import clock
from supover.kit.db import Change, Tx, json_bytes
from supover.kit.events import publish
from supover.kit.jobs import defer_many
from supover.merging import queries as merges
from supover.merging.model import (
    Merge,
    MergeAlreadyUndone,
    MergeNotFound,
    MergeNotUndoable,
    MergeOnTop,
    MergeTooOld,
    MergeUndoneAnswer,
)

TOLD: Final = 1_000
"""So much of what could not be put back is told one by one."""

LOCK: Final = """
    select m.undone_at, m.forgotten_at from customer_merge m where m.workspace_id = $1 and m.id = $2 for update"""
UNDONE: Final = """
    update customer_merge
       set undone_at = $3, undone_by = $4, undone_by_name = $5, put_back = $6, kept = $7, kept_count = $8, forgotten_at = $3
     where workspace_id = $1 and id = $2"""


async def undo(tx: Tx, id: UUID, *, by: str | None = None) -> MergeUndoneAnswer:
    """Undoes a merge within 90 days; what was changed since stays as it is, and is told.

    All or nothing. Raises MergeNotFound, MergeAlreadyUndone, MergeTooOld, MergeOnTop naming the merge that must be undone first,
    MergeNotUndoable; one of `kit.db.RACES` when others were quicker.
    """
    found = await merges.find(tx, id)
    everybody = [found.primary_id, *found.duplicate_ids]
    await absorbing.take_turn(tx, everybody)
    rows = await tx.rows(LOCK, id)
    if not rows:
        raise MergeNotFound
    [(undone_at, forgotten_at)] = rows
    if undone_at is not None:
        raise MergeAlreadyUndone(f"It was undone at {undone_at:%Y-%m-%dT%H:%M:%SZ}.", extra={"mergeId": str(id)})
    if forgotten_at is not None or clock.now() > found.undoable_until:
        raise MergeTooOld(f"It could be undone until {found.undoable_until:%Y-%m-%dT%H:%M:%SZ}.")
    await _must_be_undoable(tx, found)
    parties = await absorbing.hold(tx, everybody)
    primary = parties.get(found.primary_id)
    others = [parties[one] for one in found.duplicate_ids if one in parties]
    if primary is None or len(others) < len(found.duplicate_ids):
        raise MergeNotUndoable("One of the customers is there no more.")
    if primary.held.deleted_at is not None:
        raise MergeNotUndoable(
            f"Customer {primary.id} is deleted; restore it first.", extra={"customerId": str(primary.id)}
        )
    now = clock.now()
    facts = await absorbing.give_back(tx, id, primary, others)
    await publish(
        tx, [MergeUndone(customer_id=primary.id, at=now, merge_id=id, duplicate_ids=[one.id for one in others])]
    )
    await publish(tx, facts)
    tx.changes += [Change("customer", one.id, "merged_into_id", primary.id, None) for one in others]
    put_back, stayed = await merges.put_back(tx, id), await merges.stayed(tx, id)
    name = by or tx.actor_name
    told = json_bytes(stayed[:TOLD])
    await tx.run(UNDONE, id, now, tx.actor, name, json_bytes(put_back), told, len(stayed))
    await _forget_rows(tx, [id])
    customers = [await queries.find(tx, one.id) for one in (primary, *others)]
    return MergeUndoneAnswer(await merges.find(tx, id), customers)


async def _must_be_undoable(tx: Tx, found: Merge) -> None:
    later = await merges.on_top(tx, found.id, found.primary_id)
    if later is not None:
        raise MergeOnTop(f"Undo merge {later} first.", extra={"mergeId": str(later)})
    for one in await erased.pending(tx, [found.primary_id, *found.duplicate_ids]):
        raise MergeNotUndoable(
            f"Privacy request {one.request_id} is to erase customer {one.customer_id}.",
            extra={"customerId": str(one.customer_id), "privacyRequestId": str(one.request_id)},
        )
    gone = await merges.erased_of(tx, [found.primary_id, *found.duplicate_ids])
    if gone is not None:
        raise MergeNotUndoable(f"Customer {gone} was erased.", extra={"customerId": str(gone)})


# --- forgotten -----------------------------------------------------------------------------------------------------------

FORGET: Final = """
    update customer_merge m set forgotten_at = now()
     where m.workspace_id = $1
       and m.id in (select o.id from customer_merge o
                     where o.workspace_id = $1 and o.forgotten_at is null and o.id < $2 order by o.id limit $3)
    returning m.id"""


async def forget(tx: Tx, before: UUID, limit: int) -> int:
    """Forgets row by row what merges did that are older than this id; how many merges, 0 when there are none left."""
    old = await tx.column(FORGET, before, limit)
    if old:
        await _forget_rows(tx, old)
    return len(old)


# Pictures of the survivor that gave way: nobody else knows their files.
PICTURES: Final = """
    select distinct k.key
      from customer_merge_row r
     cross join lateral jsonb_array_elements_text(r.before -> 'avatarKey') as k (key)
     where r.workspace_id = $1 and r.merge_id = any($2::uuid[]) and r.kind = 'customer' and r.deed = 'changed' and k.key is not null"""


async def _forget_rows(tx: Tx, merge_ids: Sequence[UUID]) -> None:
    """Forgets what merges did row by row, and the files of pictures that nobody shows any more."""
    keys = await tx.column(PICTURES, list(merge_ids))
    await merge_rows.forget(tx, merge_ids)
    if keys:
        # Only who defers it needs what runs it.
        from supover.customers import jobs

        assert jobs.forget_avatar
        await defer_many(tx, avatars.FORGET_JOB, [{"key": key} for key in keys])
