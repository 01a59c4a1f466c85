"""Exports are begun, made as files, cancelled and forgotten."""

import asyncio
import csv
import io
import tempfile
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec

from supover.exports import formats, queries, questions
from supover.exports.model import (
    AddressExport,
    Asked,
    CustomerExport,
    ExportEnded,
    ExportNotFailed,
    ExportRun,
    Kind,
    OrderExport,
)
from supover.kit import clock, ids, storage
from supover.kit.db import RACES, Change, Database, Reader, Tx, json_bytes
from supover.kit.jobs import defer
from supover.kit.problems import Problem, worded

JOB: Final = "exports.make"
FORGET_JOB: Final = "exports.forget"
MAKE_S: Final = 4 * 3600.0
"""The statement of a file may take so long."""
MAX_BYTES: Final = 1 << 40
SHOWN_IDS: Final = 100
REPORT_S: Final = 1.0
SHAPES: Final[Mapping[Kind, type[Asked]]] = {
    "customers": CustomerExport,
    "addresses": AddressExport,
    "orders": OrderExport,
}

BEGIN: Final = """
    insert into export_run (workspace_id, id, kind, format, status, asked, file_name, actor)
    values ($1, $2, $3, $4, 'queued', $5, $6, $7)"""
START: Final = """
    update export_run set status = 'running', rows = 0, started_at = now(), error = null
     where workspace_id = $1 and id = $2 and status in ('queued', 'running') and deleted_at is null"""
ADVANCE: Final = """
    update export_run set rows = $3 where workspace_id = $1 and id = $2 and status = 'running' and deleted_at is null"""
FINISH: Final = """
    update export_run set status = 'completed', file_key = $3, rows = $4, bytes = $5, finished_at = now()
     where workspace_id = $1 and id = $2 and status = 'running' and deleted_at is null"""
FAIL: Final = """
    update export_run set status = 'failed', error = $3, finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running')"""
CANCEL: Final = """
    update export_run set status = 'cancelled', finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running') and deleted_at is null"""
RETRY: Final = """
    update export_run set status = 'queued', rows = 0, error = null, started_at = null, finished_at = null
     where workspace_id = $1 and id = $2 and deleted_at is null
       and (status in ('failed', 'cancelled')
            or status in ('queued', 'running')
               and not exists (
                   select 1 from job j
                    where j.workspace_id = $1 and j.state in ('queued', 'running') and j.kind = $3 and j.singleton = $2::uuid::text))"""
DELETE: Final = """
    update export_run set deleted_at = now() where workspace_id = $1 and id = $2 and deleted_at is null"""
FORGET_FILE: Final = "update export_run set file_key = null where workspace_id = $1 and id = $2"
FORGET: Final = "delete from export_run where workspace_id = $1 and id = $2 and deleted_at is not null"


class Cancelled(Exception):
    """The export was cancelled or deleted while its file was made."""


def noted(id: UUID, asked: Asked) -> Change:
    """What was asked for, for the audit log: of many ids the first, and how many."""
    said = cast("dict[str, Any]", msgspec.to_builtins(asked))
    if len(chosen := said.get("ids", ())) > SHOWN_IDS:
        said |= {"ids": chosen[:SHOWN_IDS], "idsCount": len(chosen)}
    return Change("export", id, "asked", None, said)


def file_name(kind: Kind, format: str) -> str:
    """What the file is called where it is saved."""
    return f"{kind}-{clock.now():%Y-%m-%d}.{format}"


async def begin(tx: Tx, kind: Kind, asked: Asked) -> ExportRun:
    """Begins an export to a file; a job makes it. What was asked for is checked first. Raises Invalid."""
    await questions.question(tx, kind, asked)
    id = ids.new()
    await tx.run(BEGIN, id, kind, asked.format, json_bytes(asked), file_name(kind, asked.format), tx.actor)
    await defer(tx, JOB, {"export_id": id}, singleton=str(id))
    tx.changes.append(noted(id, asked))
    return (await queries.find(tx, id))[0]


async def cancel(tx: Tx, id: UUID) -> queries.Found:
    """Stops an export; nothing of its file stays. Raises ExportNotFound, ExportEnded."""
    run, _ = await queries.find(tx, id)
    if run.status != "cancelled" and not await tx.run(CANCEL, id):
        raise ExportEnded(f"It is {run.status}.")
    return await queries.find(tx, id)


async def retry(tx: Tx, id: UUID) -> queries.Found:
    """Makes an export again that failed, was cancelled or whose job is no more.

    From the beginning. Raises ExportNotFound, ExportNotFailed.
    """
    run, _ = await queries.find(tx, id)
    if not await tx.run(RETRY, id, JOB):
        raise ExportNotFailed(f"It is {run.status}.")
    await defer(tx, JOB, {"export_id": id}, singleton=str(id))
    return await queries.find(tx, id)


async def delete(tx: Tx, id: UUID) -> None:
    """Forgets an export and, by a job, its file; its links end at once. Raises ExportNotFound."""
    await queries.find(tx, id)
    await tx.run(DELETE, id)
    await defer(tx, FORGET_JOB, {"export_id": id}, singleton=str(id))


async def start(tx: Tx, id: UUID) -> bool:
    """Notes that its file is being made; False when nobody wants it any more."""
    return await tx.run(START, id) > 0


async def advance(tx: Tx, id: UUID, rows: int) -> bool:
    """Notes how many rows are written; False when nobody wants them any more."""
    return await tx.run(ADVANCE, id, rows) > 0


async def finish(tx: Tx, id: UUID, key: str, rows: int, size: int) -> bool:
    """Notes the file; False when nobody wants it any more."""
    return await tx.run(FINISH, id, key, rows, size) > 0


async def give_up(tx: Tx, id: UUID) -> None:
    """Notes that its job was told to stop."""
    await tx.run(CANCEL, id)


async def fail(tx: Tx, id: UUID, why: str) -> None:
    """Ends an export that cannot be made, saying why."""
    await tx.run(FAIL, id, why)


async def forget_file(database: Database, workspace_id: UUID, keep: storage.Storage, id: UUID, key: str | None) -> None:
    """Removes an export's file, and the export if it was deleted."""
    # The file first: a key that leads nowhere is found again, a file without a key never.
    if key is not None:
        await keep.delete(key)
    async with database.tx(workspace_id) as tx:
        await tx.run(FORGET_FILE, id)
        await tx.run(FORGET, id)


def is_passing(error: Exception) -> bool:
    """Whether what stopped an export may be over at the next try: an outage, a lock that others held, a full disk."""
    from supover.kit.worker import is_outage

    return is_outage(error) or isinstance(error, (*RACES, OSError, asyncpg.LockNotAvailableError))


def said(error: Exception) -> str:
    """Why an export failed, for the people of its workspace: nothing of what the rows hold."""
    match error:
        case formats.CellTooLong():
            return str(error)
        case Problem():
            return error.detail or error.title()
        case asyncpg.QueryCanceledError():
            return worded("It took longer than an export may.")
        case asyncpg.PostgresError():
            return worded(f"The database ended it: {type(error).__name__} ({error.sqlstate}).")
        case _:
            return worded(f"Something went wrong on our side: {type(error).__name__}.")


# --- the file ------------------------------------------------------------------------------------------------------------

Report = Callable[[int], Awaitable[bool]]
"""Is told from time to time how many rows are written, and says whether to go on."""


def first_line(header: list[str]) -> bytes:
    """The header of a CSV: UTF-8 without a mark, LF at its end, as all lines have it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(header)
    return out.getvalue().encode()


async def blocks(db: Reader, asked: questions.Question) -> AsyncGenerator[bytes]:
    """A CSV with its header, as it comes out of the database."""
    text, args = asked.cells()
    rows = db.copy_out(text, *args)
    try:
        yield first_line(asked.header)
        async for block in rows:
            yield block
    finally:
        await rows.aclose()


async def make(
    database: Database, workspace_id: UUID, kind: Kind, asked: Asked, place: Path, report: Report | None = None
) -> int:
    """Writes an export to this place, and returns how many rows it has; JSONL and Parquet have one a customer or order.

    All of it is of one moment. What it takes beside the file stands in the same folder, and is gone afterwards. Raises
    Cancelled, Invalid, CellTooLong, OSError.
    """
    tick = _Tick(report)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=place.parent) as folder:
        between = Path(folder) / "rows"
        first = between if asked.format in ("xlsx", "parquet") else place
        async with database.snapshot(workspace_id) as db:
            await queries.limit(db, MAKE_S)
            question = await questions.question(db, kind, asked)
            rows = await _write(db, question, asked.format, first, tick)
        await tick(rows, now=True)
        if asked.format == "xlsx":
            await _in_thread(
                lambda stop: formats.to_xlsx(between, place, kind, question.columns, stop), lambda: tick(rows)
            )
        elif asked.format == "parquet":
            await _in_thread(
                lambda _: formats.to_parquet(between, place, question.columns, question.nest), lambda: tick(rows)
            )
        return rows


async def _write(db: Reader, asked: questions.Question, format: str, place: Path, tick: "_Tick") -> int:
    counted = formats.Rows()
    lines = 0
    is_csv = format in ("csv", "xlsx")
    if is_csv:
        rows = blocks(db, asked)
    else:
        text, args = asked.objects() if format == "jsonl" else asked.flat()
        rows = db.copy_out(text, *args, lines=True)
    try:
        with place.open("wb") as file:
            async for block in rows:
                await asyncio.to_thread(file.write, block)
                if is_csv:
                    counted.see(block)
                    lines = counted.count - 1
                else:
                    lines += block.count(b"\n")
                await tick(lines)
    finally:
        await rows.aclose()
    return lines


class _Tick:
    """Reports about once a second. Raises Cancelled when nobody wants the rest."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._last_s = clock.monotonic_s()

    async def __call__(self, rows: int, *, now: bool = False) -> None:
        if self._report is None or (not now and clock.monotonic_s() - self._last_s < REPORT_S):
            return
        self._last_s = clock.monotonic_s()
        if not await self._report(rows):
            raise Cancelled


async def _in_thread(work: Callable[[threading.Event], None], tick: Callable[[], Awaitable[None]]) -> None:
    stop = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        while not working.done():
            await asyncio.wait([working], timeout=REPORT_S)
            await tick()
        working.result()
    except BaseException:
        # A thread cannot be cancelled; what it writes to must stand until it has ended.
        stop.set()
        await asyncio.wait([working])
        if not working.cancelled():
            working.exception()
        raise
