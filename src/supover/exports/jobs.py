"""The job that makes an export's file, and those that forget files."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from supover import settings as configuration
from supover.exports import commands, queries
from supover.exports.model import Stored
from supover.kit import clock, storage
from supover.kit.db import Database
from supover.kit.jobs import GiveUp, JobContext, LeaseLost, job, periodic
from supover.kit.retention import forgets

BATCH: Final = 100
BLOCK: Final = 1 << 18


@job(commands.JOB, lease_s=60)
async def make(ctx: JobContext, export_id: UUID) -> None:
    """Makes the file from the beginning, whole or not at all, and keeps it."""
    async with ctx.reader() as db:
        stored = await queries.stored(db, export_id)
    async with ctx.tx(actor=stored.actor) as tx:
        if not await commands.start(tx, export_id):
            return
    keep = storage.of(configuration.load().storage_url)
    try:
        await _make(ctx, keep, stored)
    except commands.Cancelled:
        if ctx.cancelled():
            async with ctx.tx(actor=stored.actor) as tx:
                await commands.give_up(tx, export_id)
    except LeaseLost:
        raise
    except Exception as error:
        if commands.is_passing(error) and not ctx.is_last_attempt:
            raise
        why = commands.said(error)
        async with ctx.tx(actor=stored.actor) as tx:
            await commands.fail(tx, export_id, why)
        raise GiveUp(why) from error


async def _make(ctx: JobContext, keep: storage.Storage, stored: Stored) -> None:
    async def report(rows: int) -> bool:
        ctx.progress({"rows": rows})
        async with ctx.tx(actor=stored.actor) as tx:
            return await commands.advance(tx, stored.id, rows) and not ctx.cancelled()

    asked = msgspec.convert(stored.asked, commands.SHAPES[stored.kind], strict=False)
    with tempfile.TemporaryDirectory(prefix="supover-export-") as folder:
        place = Path(folder) / f"export.{stored.format}"
        rows = await commands.make(ctx.database, ctx.workspace_id, stored.kind, asked, place, report)
        size = place.stat().st_size
        key = await keep.put("exports", _blocks(place), max_bytes=commands.MAX_BYTES)
    is_needed = False
    try:
        async with ctx.tx(actor=stored.actor) as tx:
            is_needed = await commands.finish(tx, stored.id, key, rows, size)
    finally:
        if not is_needed:
            await keep.delete(key)


async def _blocks(file: Path) -> AsyncGenerator[bytes]:
    with file.open("rb") as opened:
        while block := await asyncio.to_thread(opened.read, BLOCK):
            yield block


@job(commands.FORGET_JOB)
async def forget(ctx: JobContext, export_id: UUID) -> None:
    """Forgets the file of an export that was deleted."""
    async with ctx.reader() as db:
        rows = await db.all(Stored, queries.STORED, export_id)
    for stored in rows:
        await _forget(ctx.database, ctx.workspace_id, stored)


async def _forget(database: Database, workspace_id: UUID, stored: Stored) -> None:
    keep = storage.of(configuration.load().storage_url)
    await commands.forget_file(database, workspace_id, keep, stored.id, stored.file_key)


@periodic("23 * * * *", "exports.forget_files")
async def forget_files(ctx: JobContext) -> None:
    """Forgets the files of exports that are as old as the workspace keeps them, and what is left of deleted ones."""
    async for workspace_id in ctx.workspaces():
        async with ctx.database.reader(workspace_id) as db:
            days = await queries.file_days(db)
        await forget_old(ctx.database, workspace_id, days)


@forgets("export_file_days")
async def forget_old(database: Database, workspace_id: UUID, days: int) -> int:
    """Forgets the files of a workspace's exports that ended so many days ago; how many that were."""
    before, forgotten = clock.now() - timedelta(days=days), 0
    while True:
        async with database.reader(workspace_id) as db:
            old = await queries.old(db, before, BATCH)
        for stored in old:
            await _forget(database, workspace_id, stored)
        forgotten += len(old)
        if len(old) < BATCH:
            return forgotten
