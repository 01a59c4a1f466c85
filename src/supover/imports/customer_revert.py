"""An import of customers is taken back: whom it made is unmade, whom it changed is as before, but for what others did since."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from supover.addresses import bulk as addresses
from supover.consent import bulk as consent
from supover.customers import bulk as customers
from supover.customers import journal
from supover.imports import customer_commands, customer_trial, queries
from supover.imports.events import ImportReverted
from supover.imports.model import ImportEnded, ImportRun, NotReverted
from supover.kit import clock
from supover.kit.db import RACES, Reader, Tx, json_bytes
from supover.kit.events import publish
from supover.notes import bulk as notes

JOB: Final = "imports.revert"
BATCH: Final = 2_000
TRIES: Final = 6
Done = TypeVar("Done")

WANT: Final = """
    update import_run r
       set revert_wanted_at = coalesce(r.revert_wanted_at, now())
     where r.workspace_id = $1 and r.id = $2 and r.kind = 'customers' and not r.dry_run and r.started_at > $3
       and r.status in ('completed', 'completed_with_errors', 'failed', 'cancelled')"""


async def want(tx: Tx, id: UUID) -> ImportRun:
    """Notes that an import is to be taken back; its job is to be deferred. One that is already stays so.

    Raises ImportNotFound, ImportEnded where that cannot be any more, or not yet.
    """
    run = await queries.find(tx, id)
    if run.status != "reverted" and not await tx.run(WANT, id, clock.now() - journal.KEPT):
        if run.kind != "customers":
            raise ImportEnded("Only imports of customers can be taken back.")
        if run.dry_run:
            raise ImportEnded("It was a dry run: there is nothing to take back.")
        if run.status in ("queued", "running"):
            raise ImportEnded(f"It is {run.status}: cancel it first.")
        raise ImportEnded(f"It began more than {journal.KEPT.days} days ago; what it did is no longer kept.")
    return await queries.find(tx, id)


CHUNKS: Final = """
    select k.number from import_chunk k
     where k.workspace_id = $1 and k.import_id = $2 and k.reverted_at is null
     order by k.number desc"""
CHUNK: Final = """
    select k.created_ids, k.added from import_chunk k
     where k.workspace_id = $1 and k.import_id = $2 and k.number = $3 and k.reverted_at is null
       for update"""
REVERTED: Final = """
    update import_chunk set reverted_at = now(), removed = $4, kept = $5
     where workspace_id = $1 and import_id = $2 and number = $3"""
FINISH: Final = """
    update import_run set status = 'reverted', reverted_at = now()
     where workspace_id = $1 and id = $2 and status <> 'reverted'"""

Opened = Callable[[], AbstractAsyncContextManager[Tx]]


async def revert(id: UUID, opened: Opened, advanced: Callable[[], Awaitable[None]] | None = None) -> None:
    """Takes an import back, some customers a transaction; may be cut short at any time and go on. Publishes ImportReverted.

    What others are doing with the same customers is waited for; `advanced` is awaited whenever something lasts.
    """
    restored = 0
    while True:
        undone = await _patiently(opened, lambda tx: journal.undo(tx, id, BATCH))
        restored += undone.changed
        if advanced is not None:
            await advanced()
        if not undone.left:
            break
    async with opened() as tx:
        numbers: list[int] = await tx.column(CHUNKS, id)
    for number in numbers:
        await _patiently(opened, partial(_revert_chunk, id=id, number=number))
        if advanced is not None:
            await advanced()
    async with opened() as tx:
        if await tx.run(FINISH, id):
            run = await queries.find(tx, id)
            await publish(tx, [ImportReverted(import_id=id, removed=run.removed, restored=restored, kept=run.kept)])
            await customer_commands.settle_later(tx, id)


async def _patiently(opened: Opened, act: Callable[[Tx], Awaitable[Done]]) -> Done:
    """Does it in a transaction, again when others were quicker."""
    for left in reversed(range(TRIES)):
        try:
            async with opened() as tx:
                await tx.by_keys()
                return await act(tx)
        except RACES:
            if left == 0:
                raise
    raise AssertionError


async def _revert_chunk(tx: Tx, id: UUID, number: int) -> None:
    rows = await tx.rows(CHUNK, id, number)
    if not rows:
        return
    [(created, added)] = rows
    there: dict[str, list[UUID]] = {kind: [UUID(one) for one in found] for kind, found in added.items()}
    await addresses.remove(tx, there.get("address", ()))
    await notes.remove(tx, there.get("note", ()))
    await customers.remove_contacts(tx, there.get("identity", ()))
    removed: list[UUID] = []
    kept: dict[UUID, str] = {}
    if created:
        removed, kept = await customers.remove(tx, id, created)
    # Also of those who stay: nobody is written to because of a file that was taken back.
    await consent.unsay(tx, there.get("consent", ()))
    told: list[dict[str, Any]] = [{"customerId": str(customer_id), "why": why} for customer_id, why in kept.items()]
    await tx.run(REVERTED, id, number, len(removed), json_bytes(told))


# --- what stayed ---------------------------------------------------------------------------------------------------------

NOT_REMOVED: Final = """
    select (n.value ->> 'customerId')::uuid, n.value ->> 'why', '{}'::text[]
      from import_chunk k
     cross join lateral jsonb_array_elements(k.kept) as n
     where k.workspace_id = $1 and k.import_id = $2 and (n.value ->> 'customerId')::uuid > $3
     order by 1
     limit $4"""


async def not_reverted(db: Reader, id: UUID, after: UUID, limit: int) -> list[NotReverted]:
    """Customers behind `after`, by id, of whom taking the import back left something, and why."""
    await queries.find(db, id)
    made = await db.all(NotReverted, NOT_REMOVED, id, after, limit)
    changed = [NotReverted(k.customer_id, "merged" if k.merged_into_id else "changed", k.fields) for k in
               await journal.kept_of(db, id, after, limit)]  # fmt: skip
    return sorted([*made, *changed], key=lambda one: one.customer_id)[:limit]


# --- forgotten -----------------------------------------------------------------------------------------------------------

FORGET: Final = """
    update import_chunk k set created_ids = '{}', added = '{}'
     where k.workspace_id = $1 and k.import_id < $2 and (k.created_ids <> '{}' or k.added <> '{}')"""


async def forget(tx: Tx, first_kept: UUID) -> int:
    """Forgets whom imports made, or would have changed, that are older than this id; `journal.forget` does so with what they
    changed."""
    await customer_trial.forget_old(tx, first_kept)
    return await tx.run(FORGET, first_kept)


def kept_since(now: datetime) -> datetime:
    """What began before this can be taken back no more."""
    return now - journal.KEPT
