"""Imports are begun, run chunk by chunk, cancelled and resumed."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.imports import queries, rules
from supover.imports.model import ImportEnded, ImportMoved, ImportRun, OrderImportOptions
from supover.imports.rules import Row, RowRefused
from supover.kit import clock, ids, tables
from supover.kit.db import RACES, Database, Reader, Tx, json_bytes
from supover.kit.problems import FieldError, Problem
from supover.orders import commands as orders
from supover.orders import queries as order_queries
from supover.orders.commands import Prepared

CHUNK: Final = 2_000
TRIES: Final = 5

LEARN: Final = "select learn_sizes()"
BEGIN: Final = """
    insert into import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, total, actor)
    values ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9)"""
START: Final = """
    update import_run
       set status = 'running', started_at = coalesce(started_at, now()), finished_at = null, error = null
     where workspace_id = $1 and id = $2 and status in ('queued', 'running', 'failed')"""
LOCK: Final = "select status, rows_read from import_run where workspace_id = $1 and id = $2 for update"
ADVANCE: Final = """
    update import_run
       set rows_read = $3, done = done + $4, created = created + $5, updated = updated + $6, unchanged = unchanged + $7,
           failed = failed + $8, customers_created = customers_created + $9
     where workspace_id = $1 and id = $2"""
REFUSE: Final = """
    insert into import_error (workspace_id, import_id, row_number, field, code, message, cells)
    select $1, $2, n.row_number, n.field, n.code, n.message, string_to_array(n.cells, chr(31))
      from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) as n (row_number, field, code, message, cells)
        on conflict (workspace_id, import_id, row_number) do nothing"""
FINISH: Final = """
    update import_run
       set status = case when failed > 0 then 'completed_with_errors' else 'completed' end, total = done, finished_at = now()
     where workspace_id = $1 and id = $2 and status = 'running'"""
FAIL: Final = """
    update import_run set status = 'failed', error = $3, finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running')"""
CANCEL: Final = """
    update import_run set status = 'cancelled', finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running')"""
RESUME: Final = """
    update import_run set status = 'queued', error = null, finished_at = null
     where workspace_id = $1 and id = $2 and status in ('failed', 'cancelled')"""


async def check(db: Reader, options: OrderImportOptions, file: Path) -> None:
    """Reads a file's header against the options. Raises ImportUnreadable, TableUnreadable."""
    currency, zone = await order_queries.currency_and_zone(db)
    with tables.read(file) as table:
        rules.plan(options, table.header, currency, zone)


async def begin(
    tx: Tx, options: OrderImportOptions, file: Path, name: str, facts: tables.TableFacts, file_key: str | None
) -> UUID:
    """Notes an import of order history after reading the file's header. Raises ImportUnreadable, TableUnreadable."""
    await check(tx, options, file)
    id = ids.new()
    await tx.run(
        BEGIN, id, "orders", name[:255], facts.sha256, file_key, json_bytes(options), max(facts.lines - 1, 0), tx.actor
    )  # fmt: skip
    return id


async def cancel(tx: Tx, id: UUID) -> ImportRun:
    """Stops an import before its next chunk; what was taken in stays. Raises ImportNotFound, ImportEnded."""
    run = await queries.find(tx, id)
    if run.status != "cancelled" and not await tx.run(CANCEL, id):
        raise ImportEnded(f"It is {run.status}.")
    return await queries.find(tx, id)


async def requeue(tx: Tx, id: UUID) -> ImportRun:
    """Lets a failed or cancelled import go on where it stood. Raises ImportNotFound, ImportEnded."""
    run = await queries.find(tx, id)
    if not await tx.run(RESUME, id):
        raise ImportEnded(f"It is {run.status}.")
    return await queries.find(tx, id)


Progress = Callable[[ImportRun], None]


async def run(
    database: Database,
    workspace_id: UUID,
    id: UUID,
    file: Path,
    *,
    actor: str,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> ImportRun:
    """Runs an import to its end, from its checkpoint on: each chunk is one transaction.

    The next chunk is read while the database takes this one in. Whatever stops it leaves whole chunks only. Raises
    ImportMoved when another process advances the same run.
    """
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        if not await tx.run(START, id):
            return await queries.find(tx, id)
        stored = await queries.stored(tx, id)
        currency, zone = await order_queries.currency_and_zone(tx)
    options = msgspec.convert(stored.options, OrderImportOptions)
    try:
        with tables.read(file) as table:
            plan = rules.plan(options, table.header, currency, zone)
            read = rules.reader(plan)
            rows = ((n, cells) for n, cells in table.rows if n > stored.rows_read)
            following = rules.chunks(plan, rows, chunk)
            found = await asyncio.to_thread(_parse, following, read, clock.now())
            at, taken, learn_at = stored.rows_read, 0, 1
            while found is not None:
                ahead = asyncio.create_task(asyncio.to_thread(_parse, following, read, clock.now()))
                try:
                    run = await _take_patiently(database, workspace_id, id, at, found, actor)
                finally:
                    following_chunk = await ahead
                if progress is not None:
                    progress(run)
                if run.status != "running":
                    return run
                at, found, taken = found.last_row, following_chunk, taken + 1
                if taken == learn_at:
                    async with database.across() as con:
                        await con.execute(LEARN)
                    learn_at *= 4
    except ImportMoved:
        # It is somebody else's now, and runs well there.
        raise
    except Problem as problem:
        async with database.tx(workspace_id, actor=actor, origin="import") as tx:
            await tx.run(FAIL, id, problem.detail or problem.title())
        raise
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        await tx.run(FINISH, id)
        return await queries.find(tx, id)


class _Chunk(msgspec.Struct, frozen=True):
    orders: list[tuple[Sequence[Row], Prepared]]
    refused: list[tuple[Sequence[Row], FieldError]]
    last_row: int


def _parse(chunks: Any, read: rules.Reader, now: datetime) -> _Chunk | None:
    """The next chunk of a file, its rows made orders or refused."""
    groups: Sequence[Sequence[Row]] | None = next(chunks, None)
    if groups is None:
        return None
    good: list[tuple[Sequence[Row], Prepared]] = []
    refused: list[tuple[Sequence[Row], FieldError]] = []
    for group in groups:
        try:
            good.append((group, orders.prepare(read(group, now))))
        except RowRefused as error:
            refused.append((group, error.error))
    return _Chunk(good, refused, groups[-1][-1][0])


async def _take_patiently(
    database: Database, workspace_id: UUID, id: UUID, at: int, found: _Chunk, actor: str
) -> ImportRun:
    """Takes a chunk, again when live orders of the same buyers were quicker."""
    for left in reversed(range(TRIES)):
        try:
            return await _take(database, workspace_id, id, at, found, actor)
        except RACES:
            if left == 0:
                raise
    raise AssertionError


async def _take(database: Database, workspace_id: UUID, id: UUID, at: int, found: _Chunk, actor: str) -> ImportRun:
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        [(status, rows_read)] = await tx.rows(LOCK, id)
        if status != "running":
            return await queries.find(tx, id)
        if rows_read != at:
            raise ImportMoved(f"It stands at row {rows_read}, not {at}.")
        taken = await orders.take_prepared(tx, [order for _, order in found.orders])
        refused = list(found.refused)
        for (group, _), outcome in zip(found.orders, taken, strict=True):
            if outcome.outcome == "failed":
                refused.append((group, FieldError("customerId", "unknown", outcome.error or "")))
        if refused:
            # All rows of a refused order are kept, so that what is mended is the whole order.
            rows = [
                (number, error.pointer, error.code, error.message, chr(31).join(cells).replace("\0", "\ufffd"))
                for group, error in refused
                for number, cells in group
            ]
            await tx.run(REFUSE, id, *(list(column) for column in zip(*rows, strict=True)))
        sums = {o: sum(t.outcome == o for t in taken) for o in ("created", "updated", "unchanged")}
        customers = sum(t.customer_created for t in taken)
        done = len(found.orders) + len(found.refused)
        await tx.run(
            ADVANCE,
            id,
            found.last_row,
            done,
            sums["created"],
            sums["updated"],
            sums["unchanged"],
            len(refused),
            customers,
        )
        return await queries.find(tx, id)
