"""Imports are begun, run chunk by chunk, cancelled and resumed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from supover.analytics import predictions
from supover.imports import queries, rules
from supover.imports.model import (
    ImportCheck,
    ImportEnded,
    ImportFileGone,
    ImportMoved,
    ImportRun,
    Mistake,
    OrderImportOptions,
    RowError,
)
from supover.imports.rules import Row, RowRefused
from supover.kit import clock, ids, tables
from supover.kit.db import RACES, Database, Tx, json_bytes
from supover.kit.problems import FieldError, Problem, worded
from supover.orders import commands as orders
from supover.orders import queries as order_queries
from supover.orders.commands import Prepared

CHUNK: Final = 2_000
TRIES: Final = 5
SHOWN_ERRORS: Final = 20
JOB: Final = "imports.orders"
LARGE: Final = 5_000
"""After so many orders from one file everybody is predicted anew."""

LEARN: Final = "select learn_sizes()"
BEGIN: Final = """
    insert into import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, total, actor)
    values ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9)"""
START: Final = """
    update import_run
       set status = 'running', started_at = coalesce(started_at, now()), finished_at = null, error = null
     where workspace_id = $1 and id = $2 and status in ('queued', 'running', 'failed')"""
HEADED: Final = "update import_run set header = $3 where workspace_id = $1 and id = $2 and header is null"
LOCK: Final = "select status, rows_read from import_run where workspace_id = $1 and id = $2 for update"
ADVANCE: Final = """
    update import_run
       set rows_read = $3, done = done + $4, created = created + $5, updated = updated + $6, unchanged = unchanged + $7,
           failed = failed + $8, customers_created = customers_created + $9, doubtful = doubtful + $10
     where workspace_id = $1 and id = $2"""
NOTE_ROWS: Final = """
    insert into import_error (workspace_id, import_id, row_number, field, code, message, others, cells, is_taken)
    select $1, $2, n.row_number, n.field, n.code, n.message, n.others, string_to_array(n.cells, chr(31)), $3
      from unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::text[])
           as n (row_number, field, code, message, others, cells)
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
     where workspace_id = $1 and id = $2 and revert_wanted_at is null
       and (status in ('failed', 'cancelled')
            or status in ('queued', 'running')
               and not exists (
                   select 1 from job j
                    where j.workspace_id = $1 and j.state in ('queued', 'running') and j.kind = $3 and j.singleton = $2::uuid::text))"""
FORGET: Final = "update import_run set file_key = null where workspace_id = $1 and id = $2"


async def inspect(database: Database, workspace_id: UUID, options: OrderImportOptions, file: Path) -> tables.TableFacts:
    """Reads a file's facts, and its header against the options. Raises ImportUnreadable, TableUnreadable."""
    async with database.reader(workspace_id) as db:
        currency, zone = await order_queries.currency_and_zone(db)
    return await asyncio.to_thread(_inspect, options, file, currency, zone)


def _inspect(options: OrderImportOptions, file: Path, currency: str, zone: ZoneInfo) -> tables.TableFacts:
    facts = tables.facts(file)
    with tables.read(file, facts.encoding) as table:
        rules.plan(options, table.header, currency, zone)
    return facts


async def try_out(
    database: Database, workspace_id: UUID, options: OrderImportOptions, file: Path, name: str
) -> ImportCheck:
    """Reads a whole file as an import would, and changes nothing. Raises ImportUnreadable, TableUnreadable."""
    good = refused = doubtful = rows = 0
    errors: list[RowError] = []
    doubts: list[RowError] = []
    async for found in read_through(database, workspace_id, options, file):
        good, refused, rows = good + len(found.orders), refused + len(found.refused), found.last_row - 1
        doubtful += len(found.doubtful)
        for told, some in ((errors, found.refused), (doubts, found.doubtful)):
            for group, mistakes in some[: SHOWN_ERRORS - len(told)]:
                number, cells = group[0]
                first, *others = [Mistake(e.pointer, e.code, e.message) for e in mistakes]
                told.append(RowError(number, first.field, first.code, first.message, cells, others))
    return ImportCheck(name[:255], rows, good, refused, errors, doubtful, doubts)


Faulty = tuple[Sequence[Row], Sequence[FieldError]]
"""The rows of an order, and what is wrong with it."""


class Chunk(msgspec.Struct, frozen=True):
    """Some orders of a file, each with its rows: those that can be taken in, and those that cannot and why.

    `doubtful` are of the first, with what of them nobody understands.
    """

    orders: list[tuple[Sequence[Row], Prepared]]
    refused: list[Faulty]
    doubtful: list[Faulty]
    last_row: int


async def read_through(
    database: Database, workspace_id: UUID, options: OrderImportOptions, file: Path
) -> AsyncGenerator[Chunk]:
    """A whole file as an import would read it, chunk by chunk. Raises ImportUnreadable, TableUnreadable."""
    async with database.reader(workspace_id) as db:
        currency, zone = await order_queries.currency_and_zone(db)
    with ExitStack() as stack:
        table, plan = await asyncio.to_thread(_opened, stack, file, options, currency, zone)
        read, following = rules.reader(plan), rules.chunks(plan, table.rows, CHUNK)
        while (found := await asyncio.to_thread(_parse, following, read, clock.now())) is not None:
            yield found


def _opened(
    stack: ExitStack, file: Path, options: OrderImportOptions, currency: str, zone: ZoneInfo
) -> tuple[tables.Table, rules.Plan]:
    """A file, and how it is read; its first rows are looked at before it is gone through."""
    table = stack.enter_context(tables.read(file))
    first, rows = tables.ahead(table.rows, rules.SAMPLE_ROWS)
    plan = rules.plan(options, table.header, currency, zone, [cells for _, cells in first])
    return tables.Table(table.header, rows), plan


async def begin(tx: Tx, options: OrderImportOptions, name: str, facts: tables.TableFacts, file_key: str | None) -> UUID:
    """Notes an import of order history whose file was inspected."""
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


async def requeue(tx: Tx, id: UUID, job: str = JOB) -> ImportRun:
    """Lets an import go on where it stood: a failed or cancelled one, or one whose job is no more. Its job is to be deferred.

    Raises ImportNotFound, ImportEnded, ImportFileGone.
    """
    run = await queries.stored(tx, id)
    if run.status.startswith("completed"):
        raise ImportEnded(f"It is {run.status}.")
    if run.file_key is None:
        raise ImportFileGone
    if not await tx.run(RESUME, id, job):
        raise ImportEnded(f"It is {run.status}, or is being taken back.")
    return await queries.find(tx, id)


async def fail(tx: Tx, id: UUID, why: str) -> None:
    """Ends an import that cannot go on, saying why."""
    await tx.run(FAIL, id, why)


async def forget_file(tx: Tx, id: UUID) -> None:
    """Notes that an import's file is no longer kept."""
    await tx.run(FORGET, id)


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

    The next chunk is read while the database takes this one in. Whatever stops it leaves whole chunks only, and the run
    failed; but not where `is_passing` says that trying again may help. Raises ImportMoved when another process advances
    the same run.
    """
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        if not await tx.run(START, id):
            return await queries.find(tx, id)
        stored = await queries.stored(tx, id)
        currency, zone = await order_queries.currency_and_zone(tx)
    options = msgspec.convert(stored.options, OrderImportOptions)
    at, taken = stored.rows_read, 0
    try:
        with ExitStack() as stack:
            table, plan = await asyncio.to_thread(_opened, stack, file, options, currency, zone)
            async with database.tx(workspace_id, actor=actor, origin="import") as tx:
                await tx.run(HEADED, id, list(table.header))
            read = rules.reader(plan)
            rows = ((n, cells) for n, cells in table.rows if n > stored.rows_read)
            following = rules.chunks(plan, rows, chunk)
            found = await asyncio.to_thread(_parse, following, read, clock.now())
            learn_at = 1
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
                    await learn(database)
                    learn_at *= 4
    except ImportMoved:
        # It is somebody else's now, and runs well there.
        raise
    except Exception as error:
        if not is_passing(error):
            async with database.tx(workspace_id, actor=actor, origin="import") as tx:
                await tx.run(FAIL, id, said(error, at))
        raise
    if taken > 1:
        await learn(database)
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        finished = await tx.run(FINISH, id)
        done = await queries.find(tx, id)
        if finished and done.created + done.updated >= LARGE:
            # By so many orders customers are not who they were predicted to be.
            await predictions.fit_later(tx, from_history=True)
        return done


def is_passing(error: Exception) -> bool:
    """Whether what stopped a run may be over at the next try: an outage, a lock that others held, a full disk."""
    # The command line starts without what only a worker needs.
    from supover.kit.worker import is_outage

    return is_outage(error) or isinstance(
        error, (*RACES, OSError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
    )


def said(error: Exception, row: int) -> str:
    """Why a run failed, for the people of its workspace: nothing of what the rows hold."""
    match error:
        case Problem():
            return error.detail or error.title()
        case asyncpg.PostgresError():
            return worded(f"The database refused what follows row {row}: {type(error).__name__} ({error.sqlstate}).")
        case _:
            return worded(f"Something went wrong on our side behind row {row}: {type(error).__name__}.")


async def learn(database: Database) -> None:
    """Tells the planner how large the tables have become; a plan that is slow is better than an import that fails."""
    try:
        async with database.across() as con:
            await con.execute(LEARN)
    except Exception as error:
        from supover.kit import jobs, telemetry

        telemetry.logger("imports").warning("statistics not refreshed", why=jobs.reason(error))


def _parse(chunks: Iterator[list[list[Row]]], read: rules.Reader, now: datetime) -> Chunk | None:
    """The next chunk of a file, its rows made orders or refused."""
    groups = next(chunks, None)
    if groups is None:
        return None
    good: list[tuple[Sequence[Row], Prepared]] = []
    refused: list[Faulty] = []
    doubtful: list[Faulty] = []
    for group in groups:
        try:
            order = read(group, now)
        except RowRefused as error:
            refused.append((group, error.errors))
            continue
        good.append((group, orders.prepare(order)))
        if doubts := rules.doubts(order):
            doubtful.append((group[:1], doubts))
    return Chunk(good, refused, doubtful, groups[-1][-1][0])


async def _take_patiently(
    database: Database, workspace_id: UUID, id: UUID, at: int, found: Chunk, actor: str
) -> ImportRun:
    """Takes a chunk, again when live orders of the same buyers were quicker."""
    for left in reversed(range(TRIES)):
        try:
            return await _take(database, workspace_id, id, at, found, actor)
        except RACES:
            if left == 0:
                raise
    raise AssertionError


def _one(cells: Sequence[str]) -> str:
    # U+001F stands between them, and in none.
    return chr(31).join(cell.replace(chr(31), " ") for cell in cells).replace("\0", "\ufffd")


class Noted(msgspec.Struct, frozen=True):
    """A row of a file that something is wrong with, and what it holds."""

    row: int
    mistakes: Sequence[Mistake]
    cells: Sequence[str]


async def note_rows(tx: Tx, id: UUID, rows: Sequence[Noted], *, is_taken: bool) -> None:
    """Keeps rows that cannot be taken in; as `is_taken` those that were, with something that nobody understands."""
    told = [
        (
            n.row,
            n.mistakes[0].field,
            n.mistakes[0].code,
            n.mistakes[0].message,
            json_bytes(n.mistakes[1:]),
            _one(n.cells),
        )
        for n in rows
    ]
    await tx.many(NOTE_ROWS, told, id, is_taken)


async def note_found(tx: Tx, id: UUID, found: Chunk) -> None:
    """Keeps what is wrong in a chunk. Of a refused order it is all rows, so that what is mended is the whole order."""
    await note_rows(tx, id, _noted(found.refused), is_taken=False)
    await note_rows(tx, id, _noted(found.doubtful), is_taken=True)


def _noted(told: Sequence[Faulty]) -> list[Noted]:
    return [
        Noted(number, mistakes, cells)
        for group, errors in told
        for mistakes in [[Mistake(error.pointer, error.code, error.message) for error in errors]]
        for number, cells in group
    ]


async def _take(database: Database, workspace_id: UUID, id: UUID, at: int, found: Chunk, actor: str) -> ImportRun:
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        [(status, rows_read)] = await tx.rows(LOCK, id)
        if status != "running":
            return await queries.find(tx, id)
        if rows_read != at:
            raise ImportMoved(f"It stands at row {rows_read}, not {at}.")
        taken = await orders.take_prepared(tx, [order for _, order in found.orders])
        await note_found(tx, id, found)
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
            len(found.refused),
            customers,
            len(found.doubtful),
        )
        return await queries.find(tx, id)
