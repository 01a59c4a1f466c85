"""What happens to customers changes who may be one person: in the publisher's transaction, or by a job where it is many."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from supover.customers import merge_rows
from supover.customers.events import (
    CustomerChanged,
    CustomerCreated,
    CustomerRestored,
    CustomersAdded,
    CustomersMerged,
    CustomerSplit,
    CustomersRemoved,
    DuplicateSuspected,
    IdentityAdded,
    IdentityMoved,
    MergeUndone,
)
from supover.duplicates import noticing
from supover.kit import ids
from supover.kit.db import Tx, by_column
from supover.kit.events import Event, on


@on(DuplicateSuspected)
async def suggest(tx: Tx, found: Sequence[DuplicateSuspected]) -> None:
    """Whoever suspects a pair has it kept."""
    await noticing.suggest(tx, found)


# --- the online tier -----------------------------------------------------------------------------------------------------


@on(CustomerCreated, CustomerRestored, IdentityAdded)
async def notice(tx: Tx, events: Sequence[Event]) -> None:
    """Whoever shares a real email or phone with somebody else is suspected to be the same person."""
    await noticing.notice(tx, [e.customer_id for e in events if e.customer_id is not None])


@on(CustomerChanged)
async def notice_changed(tx: Tx, changed: Sequence[CustomerChanged]) -> None:
    """As for new ones, where the email or phone is another one.

    A merge brings nobody new: the pairs of those who became one are handed on, and come back with its undo.
    """
    told = [e.customer_id for e in changed if e.merge_id is None and e.changes.keys() & {"email", "phone"}]
    await noticing.notice(tx, [id for id in told if id is not None])


@on(IdentityMoved)
async def notice_moved(tx: Tx, moved: Sequence[IdentityMoved]) -> None:
    """As for new ones, of who has the contact now."""
    await noticing.notice(tx, [e.to_id for e in moved])


@on(CustomersAdded)
async def notice_added(tx: Tx, added: Sequence[CustomersAdded]) -> None:
    """A few from a file are looked at at once, many by a job."""
    found = [id for e in added for id in e.customer_ids]
    if len(found) <= noticing.AT_ONCE:
        await noticing.notice(tx, found)
        return
    # Only who defers it needs what runs it.
    from supover.duplicates import jobs
    from supover.kit.jobs import defer

    assert jobs.notice
    await noticing.due(tx, found)
    await defer(tx, noticing.JOB, singleton=noticing.JOB)


# --- who is gone, and who became one -------------------------------------------------------------------------------------

REMOVE: Final = """
    delete from duplicate_pair where workspace_id = $1 and (a_id = any($2::uuid[]) or b_id = any($2::uuid[]))"""
REMOVE_PROFILES: Final = "delete from duplicate_profile where workspace_id = $1 and customer_id = any($2::uuid[])"


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Customers who are unmade are nobody's twins."""
    gone = [id for e in removed for id in e.customer_ids]
    await tx.run(REMOVE, gone)
    await tx.run(REMOVE_PROFILES, gone)


SETTLE: Final = """
    update duplicate_pair p
       set status = 'merged', merge_id = $2, decided_at = now(), decided_by = $4, decided_by_name = $5, updated_at = now(),
           version = p.version + 1
      from duplicate_pair former
     where p.workspace_id = $1 and p.a_id = any($3::uuid[]) and p.b_id = any($3::uuid[]) and p.status = 'open'
       and former.workspace_id = $1 and former.id = p.id
    returning p.a_id, p.id, jsonb_build_object('mergeId', former.merge_id)"""
OTHERS: Final = """
    select p.id, p.a_id, p.b_id from duplicate_pair p
     where p.workspace_id = $1 and p.status in ('open', 'dismissed')
       and (p.a_id = any($2::uuid[]) or p.b_id = any($2::uuid[])) and not (p.a_id = any($3::uuid[]) and p.b_id = any($3::uuid[]))
     order by (p.status = 'dismissed') desc, p.score desc, p.id"""
# What was said of one of them holds for the survivor: a pair that somebody dismissed is not open for it.
VETO: Final = """
    update duplicate_pair p
       set status = 'dismissed', note = d.note, decided_at = d.decided_at, decided_by = d.decided_by,
           decided_by_name = d.decided_by_name, cluster_id = null, merge_id = $2, updated_at = now(), version = p.version + 1
      from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[]) as n (id, old_id, a_id, b_id)
      join duplicate_pair d on d.workspace_id = $1 and d.id = n.old_id and d.status = 'dismissed'
      join duplicate_pair former on former.workspace_id = $1 and former.a_id = n.a_id and former.b_id = n.b_id
     where p.workspace_id = $1 and p.id = former.id and p.status = 'open'
    returning p.a_id, p.id, jsonb_build_object('mergeId', former.merge_id)"""
HAND_ON: Final = """
    insert into duplicate_pair (workspace_id, id, a_id, b_id, score, level, own_level, reasons, evidence, is_told, status, note,
           decided_at, decided_by, decided_by_name, merge_id)
    select $1, n.id, n.a_id, n.b_id, p.score, p.level, p.own_level, p.reasons, p.evidence, p.is_told, p.status, p.note, p.decided_at,
           p.decided_by, p.decided_by_name, $2
      from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[]) as n (id, old_id, a_id, b_id)
      join duplicate_pair p on p.workspace_id = $1 and p.id = n.old_id
        on conflict (workspace_id, a_id, b_id) do nothing"""
LEAVE: Final = """
    update duplicate_pair p
       set status = 'merged', merge_id = $2, updated_at = now(), version = p.version + 1
      from duplicate_pair former
     where p.workspace_id = $1 and p.id = any($3::uuid[]) and p.status = 'open'
       and former.workspace_id = $1 and former.id = p.id
    returning p.a_id, p.id, jsonb_build_object('mergeId', former.merge_id)"""


@on(CustomersMerged)
async def settle(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """The pairs of those who are one now are settled; whom else they were like, or are not, the survivor is."""
    for e in merged:
        if e.customer_id is None:
            continue
        everybody = [e.customer_id, *e.duplicate_ids]
        others: list[tuple[UUID, UUID, UUID]] = [
            (row[0], row[1], row[2]) for row in await tx.rows(OTHERS, list(e.duplicate_ids), everybody)
        ]
        gone = set(everybody)
        # Of several who were like the same other person, what was dismissed counts, then the most likely.
        new: dict[UUID, tuple[UUID, UUID, UUID, UUID]] = {}
        for id, a, b in others:
            other = b if a in gone else a
            new.setdefault(other, (ids.new(), id, min(other, e.customer_id), max(other, e.customer_id)))
        left: list[tuple[Any, ...]] = []
        if new:
            columns = by_column(list(new.values()))
            left += await tx.rows(VETO, e.merge_id, *columns)
            await tx.run(HAND_ON, e.merge_id, *columns)
        left += await tx.rows(LEAVE, e.merge_id, [id for id, *_ in others])
        left += await tx.rows(SETTLE, e.merge_id, everybody, tx.actor, tx.actor_name)
        await merge_rows.note(tx, e.merge_id, "duplicate_pair", "changed", left)


# What somebody has decided of the survivor since stays; what was there before the merge goes back.
TAKE_BACK: Final = """
    delete from duplicate_pair p
     using customer_merge m
     where m.workspace_id = $1 and m.id = any($2::uuid[]) and p.workspace_id = $1 and p.merge_id = m.id
       and p.status in ('open', 'dismissed') and (p.decided_at is null or p.decided_at < m.merged_at)
       and not exists (select 1 from customer_merge_row r
                        where r.workspace_id = $1 and r.merge_id = m.id and r.kind = 'duplicate_pair' and r.row_id = p.id)"""
# One that an earlier merge handed on is that one's again, to be taken back with it.
UNSETTLE: Final = """
    update duplicate_pair p
       set status = 'open',
           note = null, merge_id = (select (r.before ->> 'mergeId')::uuid
                         from customer_merge_row r
                        where r.workspace_id = $1 and r.merge_id = p.merge_id and r.kind = 'duplicate_pair' and r.row_id = p.id
                        limit 1), decided_at = null, decided_by = null, decided_by_name = null, updated_at = now(),
           version = p.version + 1
      from customer_merge m
     where m.workspace_id = $1 and m.id = any($2::uuid[]) and p.workspace_id = $1 and p.merge_id = m.id
       and (p.status = 'merged' or p.status = 'dismissed' and p.decided_at < m.merged_at)"""


@on(MergeUndone)
async def unsettle(tx: Tx, undone: Sequence[MergeUndone]) -> None:
    """Those who are by themselves again are like whom they were like before, unless somebody decided otherwise since."""
    merges = [e.merge_id for e in undone]
    await tx.run(TAKE_BACK, merges)
    await tx.run(UNSETTLE, merges)


PART: Final = """
    insert into duplicate_pair as p (workspace_id, id, a_id, b_id, score, level, reasons, status, note, decided_at, decided_by,
           decided_by_name)
    select $1, n.id, n.a_id, n.b_id, 0, 'review', '{}', 'dismissed', 'split', now(), $2, $3
      from unnest($4::uuid[], $5::uuid[], $6::uuid[]) as n (id, a_id, b_id)
        on conflict (workspace_id, a_id, b_id) do update
       set status = 'dismissed', note = 'split', decided_at = now(), decided_by = excluded.decided_by,
           decided_by_name = excluded.decided_by_name, cluster_id = null, updated_at = now(), version = p.version + 1"""


@on(CustomerSplit)
async def part(tx: Tx, split: Sequence[CustomerSplit]) -> None:
    """Whoever was split is not one person: nobody is asked again."""
    rows = [(ids.new(), *sorted((e.customer_id, e.new_id))) for e in split if e.customer_id is not None]
    if rows:
        await tx.run(PART, tx.actor, tx.actor_name, *by_column(rows))
