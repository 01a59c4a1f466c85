"""Bulk actions are begun, carried out chunk by chunk, cancelled and undone.

A chunk is one transaction: the customers are held in the order of their ids, by pure rules it is decided what they are to be,
what stands in the way is asked once for all, and the rest is written in a handful of statements, the journal included.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from supover.bulk import queries, rules
from supover.bulk.model import (
    BulkAction,
    BulkEnded,
    BulkNotFound,
    BulkNotUndone,
    BulkResult,
    BulkUnderWay,
    Deed,
    NewBulk,
    OnError,
    Progress,
    Work,
)
from supover.customers import custom_field_rules, journal, many
from supover.customers import queries as customers
from supover.customers import rules as customer_rules
from supover.customers.many import Pair
from supover.customers.model import CustomerErased, CustomerNotFound
from supover.customers.queries import Filters
from supover.exports import commands as exports
from supover.exports.model import CustomerExport
from supover.kit import clock, ids, jobs
from supover.kit.db import Change, Tx, json_bytes
from supover.kit.problems import Invalid, Problem

JOB: Final = "bulk.run"
UNDO_JOB: Final = "bulk.undo"
AT_ONCE: Final = 1_000
"""So many customers are done while the request waits."""
CHUNK: Final = 2_000
"""Customers whom a transaction holds: who edits one of them waits so long."""
_CONTACTS: Final = frozenset({"delete", "restore"})
_NARROWING: Final = ("filter", "segment", "search", "query")

# --- begun ---------------------------------------------------------------------------------------------------------------

# Who fits is found before anything is written, and told as the bytes of their ids: a million of them are sixteen megabytes.
WHO: Final = """
    select coalesce(string_agg(uuid_send(c.id), ''::bytea order by c.id), ''::bytea)
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id is not null"""
CONDITION: Final = "c.id is not null"
"""Stands in that statement where the conditions of a list go."""
TAKE: Final = """
    insert into bulk_chunk (workspace_id, bulk_id, number, first_id, customer_ids)
    select $1, $2, g.number, (array_agg(g.id order by g.id))[1], array_agg(g.id order by g.id)
      from (select n.id, (row_number() over (order by n.id) - 1) / $4::integer as number
              from (select encode(substr($3::bytea, i * 16 + 1, 16), 'hex')::uuid as id
                      from generate_series(0, length($3::bytea) / 16 - 1) as i) as n) as g
     group by g.number"""
ADD: Final = """
    insert into bulk_action (workspace_id, id, action, deed, selection, dry_run, on_error, status, is_checked, total, actor,
           actor_name)
    values ($1, $2, $3, $4, $5, $6, $7, 'queued', $8, $9, $10, $11)"""


async def begin(tx: Tx, asked: NewBulk, who: Sequence[UUID] | Filters) -> BulkAction:
    """Does one thing to these customers: up to `AT_ONCE` of them now, else by a job; who is meant is fixed now.

    Ids count once each, and may be of nobody: such rows fail. Raises Invalid.
    """
    deed = await _deed(tx, asked)
    packed = await _who(tx, asked, who) if isinstance(who, Filters) else b"".join(sorted({id.bytes for id in who}))
    total = len(packed) // 16
    at_once = [UUID(bytes=packed[n : n + 16]) for n in range(0, len(packed), 16)] if total <= AT_ONCE else None
    if at_once is not None and asked.dry_run:
        return await _tried(tx, asked, deed, at_once)
    id = ids.new()
    selection = {name: value for name in _NARROWING if (value := getattr(asked, name)) is not None}
    if asked.ids is not None:
        selection["ids"] = total
    is_checked = asked.on_error == "rejectFailed" or asked.dry_run or at_once is not None
    await tx.run(
        ADD, id, asked.action, json_bytes(deed), json_bytes(selection), asked.dry_run, asked.on_error, is_checked, total,
        tx.actor, tx.actor_name,
    )  # fmt: skip
    await tx.run(TAKE, id, packed, CHUNK)
    tx.changes.append(Change("bulk", id, asked.action, None, {"total": total, **msgspec.to_builtins(deed)}))
    if at_once is not None:
        outcomes = await _all_at_once(tx, id, deed, at_once, asked.on_error)
        return msgspec.structs.replace(await queries.find(tx, id), results=outcomes)
    await jobs.defer(tx, JOB, {"bulk_id": id}, singleton=str(id))
    return await queries.find(tx, id)


async def _deed(tx: Tx, asked: NewBulk) -> Deed:
    today = clock.now().date()
    deed = rules.deed(asked, today)
    if deed.key is None:
        return deed
    customer_rules.checked({"custom_fields": {deed.key: deed.value}}, today)
    values, errors = custom_field_rules.some(await many.known_definitions(tx), {deed.key: deed.value})
    custom_field_rules.refuse(errors)
    return msgspec.structs.replace(deed, value=values[deed.key])


async def _who(tx: Tx, asked: NewBulk, who: Filters) -> bytes:
    """Whom a list that is narrowed so has now: their ids, in order. Of deleted ones, where they are to be restored."""
    where = customers.where_of(msgspec.structs.replace(who, deleted=asked.action == "restore"))
    if asked.action == "restore":
        where.also("c.deleted_at is not null and c.erased_at is null")
    try:
        async with tx.savepoint():
            return await tx.value(WHO.replace(CONDITION, where.text()), *where.values)
    except asyncpg.QueryCanceledError:
        raise _too_slow() from None


def _too_slow() -> Invalid:
    return Invalid.at("/filter", "too_slow", "takes too long: make it a segment, and choose its members")


async def _tried(tx: Tx, asked: NewBulk, deed: Deed, chosen: Sequence[UUID]) -> BulkAction:
    """What would become of these; nothing of it is kept."""
    outcomes, _ = await _decided(tx, deed, chosen)
    counts = {name: sum(o.outcome == name for o in outcomes) for name in ("changed", "unchanged", "failed")}
    if asked.on_error == "rejectAll" and counts["failed"]:
        outcomes, counts = _rejected(outcomes)
    now = clock.now()
    return BulkAction(
        id=None, action=asked.action, deed=msgspec.to_builtins(deed), selection={}, dry_run=True, on_error=asked.on_error,
        status=_status(asked.on_error, counts["failed"]), total=len(chosen), done=len(chosen), undone=0, kept=0, rate=None,
        eta_s=None, error=None, actor=tx.actor, created_at=now, started_at=now, ended_at=now, results=outcomes,
        changed=counts["changed"], unchanged=counts["unchanged"], failed=counts["failed"],
    )  # fmt: skip


def _status(on_error: OnError, failed: int) -> Any:
    return "completed" if not failed else "failed" if on_error == "rejectAll" else "completed_with_errors"


def _rejected(outcomes: Sequence[BulkResult]) -> tuple[list[BulkResult], dict[str, int]]:
    """Outcomes where one that fails keeps all others as they are."""
    found = [o if o.outcome == "failed" else BulkResult(o.customer_id, "unchanged") for o in outcomes]
    failed = sum(o.outcome == "failed" for o in found)
    return found, {"changed": 0, "unchanged": len(found) - failed, "failed": failed}


async def export(tx: Tx, asked: NewBulk, who: CustomerExport) -> BulkAction:
    """Begins an export of these customers. Raises Invalid."""
    rules.refuse(asked)
    run = await exports.begin(tx, "customers", who)
    now = clock.now()
    return BulkAction(
        id=None, action="export", deed={}, selection=msgspec.to_builtins(who), dry_run=False, on_error=asked.on_error,
        status="queued", total=0, done=0, changed=0, unchanged=0, failed=0, undone=0, kept=0, rate=None, eta_s=None, error=None,
        actor=tx.actor, created_at=now, started_at=None, ended_at=None, export_id=run.id,
    )  # fmt: skip


# --- a chunk -------------------------------------------------------------------------------------------------------------


ERASED: Final = """
    select c.id from customer c where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.erased_at is not null"""


async def _decided(tx: Tx, deed: Deed, chosen: Sequence[UUID]) -> tuple[list[BulkResult], list[Pair]]:
    """What becomes of these customers, by id, and of those who are changed what they are and are to be. Holds them."""
    now = clock.now()
    held = {one.id: one for one in await many.hold(tx, chosen, contacts_too=deed.action in _CONTACTS)}
    erased: list[UUID] = await tx.column(ERASED, list(chosen)) if deed.action == "restore" else []
    definitions = await many.known_definitions(tx)
    outcomes: dict[UUID, BulkResult] = {}
    pairs: list[Pair] = []
    for id in chosen:
        old = held.get(id)
        try:
            if old is None:
                raise CustomerNotFound
            if id in erased:
                raise CustomerErased
            new = rules.after(deed, old, now)
        except Problem as why:
            outcomes[id] = rules.refusal(id, why)
            continue
        if new is old or not many.changed_fields(old, new):
            outcomes[id] = BulkResult(id, "unchanged")
        else:
            pairs.append((old, new))
    if deed.action in ("restore", "customField"):
        for id, clashes in (await many.clashes(tx, pairs, definitions)).items():
            outcomes[id] = rules.refusal(id, clashes[0])
        pairs = [(old, new) for old, new in pairs if new.id not in outcomes]
    for _, new in pairs:
        outcomes[new.id] = BulkResult(new.id, "changed")
    return [outcomes[id] for id in chosen], pairs


async def _store(tx: Tx, id: UUID, pairs: Sequence[Pair]) -> None:
    await journal.keep(tx, id, pairs)
    await many.store(tx, pairs, await many.known_definitions(tx))


NOTE: Final = """
    insert into bulk_result (workspace_id, bulk_id, customer_id, outcome, field, code, message)
    select $1, $2, n.customer_id, n.outcome, n.field, n.code, n.message
      from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[]) as n (customer_id, outcome, field, code, message)
        on conflict (workspace_id, bulk_id, customer_id) do nothing"""
ADVANCE: Final = """
    update bulk_action
       set next_chunk = next_chunk + 1, done = done + $3 + $4 + $5, changed = changed + $3, unchanged = unchanged + $4,
           failed = failed + $5
     where workspace_id = $1 and id = $2
    returning done, total"""


async def _note(tx: Tx, id: UUID, outcomes: Sequence[BulkResult]) -> tuple[int, int]:
    rows = [(o.customer_id, o.outcome, o.field, o.code, o.message) for o in outcomes if o.outcome != "changed"]
    await tx.many(NOTE, rows, id)
    counts = [sum(o.outcome == name for o in outcomes) for name in ("changed", "unchanged", "failed")]
    [(done, total)] = await tx.rows(ADVANCE, id, *counts)
    return done, total


START: Final = """
    update bulk_action set status = 'running', started_at = coalesce(started_at, now())
     where workspace_id = $1 and id = $2 and status = 'queued'"""
END: Final = """
    update bulk_action set status = $3, error = $4, ended_at = now()
     where workspace_id = $1 and id = $2"""


async def _all_at_once(tx: Tx, id: UUID, deed: Deed, chosen: Sequence[UUID], on_error: OnError) -> Sequence[BulkResult]:
    await tx.run(START, id)
    outcomes, pairs = await _decided(tx, deed, chosen)
    failed = sum(o.outcome == "failed" for o in outcomes)
    if on_error == "rejectAll" and failed:
        outcomes, _ = _rejected(outcomes)
    else:
        await _store(tx, id, pairs)
    await _note(tx, id, outcomes)
    await tx.run(END, id, _status(on_error, failed), None)
    return outcomes


LOCK: Final = """
    select b.action, b.deed, b.dry_run, b.on_error, b.status, b.is_checked, b.next_chunk, b.failed, b.changed, b.actor, b.actor_name
      from bulk_action b
     where b.workspace_id = $1 and b.id = $2
       for no key update"""
ACTOR: Final = "select b.actor, b.actor_name from bulk_action b where b.workspace_id = $1 and b.id = $2"
CHUNK_OF: Final = (
    "select k.customer_ids from bulk_chunk k where k.workspace_id = $1 and k.bulk_id = $2 and k.number = $3"
)
COUNTS: Final = "select b.done, b.total from bulk_action b where b.workspace_id = $1 and b.id = $2"
# All were looked at and nobody fails: now the same again, for good.
CHECKED: Final = """
    update bulk_action set is_checked = true, next_chunk = 0, done = 0, changed = 0, unchanged = 0
     where workspace_id = $1 and id = $2"""
FORGET_RESULTS: Final = "delete from bulk_result where workspace_id = $1 and bulk_id = $2"
REJECT: Final = """
    update bulk_action set changed = 0, unchanged = total - failed where workspace_id = $1 and id = $2"""


async def actor_of(tx: Tx, id: UUID) -> tuple[str, str]:
    """Who asked for it. Raises BulkNotFound."""
    rows = await tx.rows(ACTOR, id)
    if not rows:
        raise BulkNotFound
    return rows[0][0], rows[0][1]


async def advance(tx: Tx, id: UUID) -> Progress:
    """Carries out the next chunk, or ends the action where there is none. Raises one of `kit.db.RACES` when beaten.

    With rejectAll everybody is looked at first; whoever cannot be changed any more by the time it is done fails alone.
    """
    work = await tx.one(Work, LOCK, id, missing=BulkNotFound)
    if work.status not in ("queued", "running"):
        return await _progress(tx, id, has_ended=True)
    await tx.run(START, id)
    chosen = await tx.value(CHUNK_OF, id, work.next_chunk)
    if chosen is None:
        return await _finish(tx, id, work)
    outcomes, pairs = await _decided(tx, msgspec.convert(work.deed, Deed), chosen)
    if work.is_checked and not work.dry_run:
        await _store(tx, id, pairs)
    done, total = await _note(tx, id, outcomes)
    return Progress(done, total, has_ended=False)


async def _finish(tx: Tx, id: UUID, work: Work) -> Progress:
    if not work.is_checked and not work.failed:
        await tx.run(FORGET_RESULTS, id)
        await tx.run(CHECKED, id)
        return await _progress(tx, id, has_ended=False)
    is_rejected = work.on_error == "rejectAll" and work.failed > 0 and (work.dry_run or not work.is_checked)
    if is_rejected:
        await tx.run(REJECT, id)
    status = "failed" if is_rejected else "completed_with_errors" if work.failed else "completed"
    await tx.run(END, id, status, None)
    return await _progress(tx, id, has_ended=True)


async def _progress(tx: Tx, id: UUID, *, has_ended: bool) -> Progress:
    [(done, total)] = await tx.rows(COUNTS, id)
    return Progress(done, total, has_ended=has_ended)


# --- ended otherwise -----------------------------------------------------------------------------------------------------


async def cancel(tx: Tx, id: UUID) -> BulkAction:
    """Ends an action before its next chunk; what is done stays, and can be undone. Raises BulkNotFound, BulkEnded."""
    work = await tx.one(Work, LOCK, id, missing=BulkNotFound)
    if work.status not in ("queued", "running"):
        raise BulkEnded(f"It is {work.status}.")
    old = await queries.find(tx, id)
    await tx.run(END, id, "cancelled", None)
    new = await queries.find(tx, id)
    tx.changed("bulk", id, old, new, ["status"])
    return new


async def fail(tx: Tx, id: UUID, why: str) -> None:
    """Says why an action does not go on. What is done stays, and can be undone."""
    work = await tx.one(Work, LOCK, id, missing=BulkNotFound)
    if work.status in ("queued", "running"):
        await tx.run(END, id, "failed", why)


# --- undone --------------------------------------------------------------------------------------------------------------

BEGIN_UNDO: Final = """
    update bulk_action set status = 'undoing', error = null, undone = 0, kept = 0 where workspace_id = $1 and id = $2"""
NOTE_UNDONE: Final = """
    update bulk_action
       set undone = undone + $3, kept = kept + $4, status = case when $5 then 'undoing' else 'undone' end,
           ended_at = case when $5 then ended_at else now() end
     where workspace_id = $1 and id = $2
    returning undone, changed"""


async def undo(tx: Tx, id: UUID) -> BulkAction:
    """Sets back whatever is still as the action left it: for up to `AT_ONCE` customers now, else by a job. Once is enough.

    Raises BulkNotFound, BulkUnderWay, BulkNotUndone.
    """
    work = await tx.one(Work, LOCK, id, missing=BulkNotFound)
    if work.status in ("queued", "running"):
        raise BulkUnderWay("Cancel it first, or wait until it has ended.")
    found = await queries.find(tx, id)
    if work.status == "undone":
        return found
    if work.dry_run:
        raise BulkNotUndone("It changed nothing: it was a dry run.")
    if clock.now() - found.created_at > journal.KEPT:
        raise BulkNotUndone(f"What it changed is known for {journal.KEPT // timedelta(days=1)} days.")
    if work.status != "undoing":
        await tx.run(BEGIN_UNDO, id)
        tx.changes.append(Change("bulk", id, "status", work.status, "undone"))
    if work.changed <= AT_ONCE:
        while not (await undo_some(tx, id)).has_ended:
            pass
    else:
        await jobs.defer(tx, UNDO_JOB, {"bulk_id": id}, singleton=str(id))
    return await queries.find(tx, id)


async def undo_some(tx: Tx, id: UUID) -> Progress:
    """Undoes the next customers of an action that is being undone. Raises one of `kit.db.RACES` when beaten."""
    work = await tx.one(Work, LOCK, id, missing=BulkNotFound)
    if work.status != "undoing":
        return await _progress(tx, id, has_ended=True)
    found = await journal.undo(tx, id, CHUNK)
    [(done, total)] = await tx.rows(NOTE_UNDONE, id, found.done, len(found.kept), found.left)
    return Progress(done, total, has_ended=not found.left)


# --- forgotten -----------------------------------------------------------------------------------------------------------

FORGET: Final = """
    delete from bulk_chunk k
     using (select o.bulk_id, o.number from bulk_chunk o
             where o.workspace_id = $1 and o.bulk_id < $2
             order by o.bulk_id, o.number
             limit $3) as old
     where k.workspace_id = $1 and k.bulk_id = old.bulk_id and k.number = old.number"""
FORGET_OLD_RESULTS: Final = """
    delete from bulk_result r
     using (select o.bulk_id, o.customer_id from bulk_result o
             where o.workspace_id = $1 and o.bulk_id < $2
             order by o.bulk_id, o.customer_id
             limit $3) as old
     where r.workspace_id = $1 and r.bulk_id = old.bulk_id and r.customer_id = old.customer_id"""


async def forget(tx: Tx, limit: int) -> int:
    """Forgets whom actions meant that cannot be undone any more; 0 when there is nothing left to forget."""
    before = ids.first_at(clock.now() - journal.KEPT)
    return await tx.run(FORGET, before, limit) + await tx.run(FORGET_OLD_RESULTS, before, limit)
