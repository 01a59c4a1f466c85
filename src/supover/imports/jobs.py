"""The job that runs an import that was sent over the API, and the one that forgets files nobody resumes."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.imports import commands, queries
from supover.imports.model import ImportMoved
from supover.kit import clock, storage
from supover.kit.db import Database
from supover.kit.jobs import GiveUp, JobContext, job, periodic

KEPT: Final = timedelta(days=7)
BATCH: Final = 100
WORKSPACES: Final = "select all_workspaces()"


@job(commands.JOB, lease_s=60)
async def run_orders(ctx: JobContext, import_id: UUID) -> None:
    """Fetches the file and runs the import from its checkpoint on; whole chunks only, whatever stops it."""
    async with ctx.reader() as db:
        stored = await queries.stored(db, import_id)
    if stored.file_key is None or stored.status == "cancelled":
        return
    keep = storage.of(configuration.load().storage_url)
    if stored.status in ("queued", "running", "failed"):
        try:
            await _run(ctx, keep, import_id, stored.file_key, stored.actor)
        except ImportMoved:
            raise
        except Exception as error:
            if commands.is_passing(error) and not ctx.is_last_attempt:
                raise
            why = commands.said(error, stored.rows_read)
            async with ctx.tx(actor=stored.actor, origin="import") as tx:
                await commands.fail(tx, import_id, why)
            raise GiveUp(why) from error
    async with ctx.reader() as db:
        run = await queries.find(db, import_id)
    if run.status in ("completed", "completed_with_errors"):
        await _forget(ctx.database, ctx.workspace_id, keep, import_id, stored.file_key)


async def _run(ctx: JobContext, keep: storage.Storage, id: UUID, key: str, actor: str) -> None:
    with tempfile.TemporaryDirectory(prefix="supover-import-") as folder:
        file = Path(folder) / "orders"
        with file.open("wb") as copy:
            async for block in keep.get(key):
                await asyncio.to_thread(copy.write, block)
        await commands.run(
            ctx.database,
            ctx.workspace_id,
            id,
            file,
            actor=actor,
            progress=lambda run: ctx.progress({"done": run.done, "rowsRead": run.rows_read, "total": run.total}),
        )


async def _forget(database: Database, workspace_id: UUID, keep: storage.Storage, id: UUID, key: str) -> None:
    # The file first: a key that leads nowhere is found again, a file without a key never.
    await keep.delete(key)
    async with database.tx(workspace_id) as tx:
        await commands.forget_file(tx, id)


@periodic("37 3 * * *", "imports.forget_files")
async def forget_files(ctx: JobContext) -> None:
    """Forgets the files of imports that ended a week ago; they cannot be resumed any more."""
    keep = storage.of(configuration.load().storage_url)
    before = clock.now() - KEPT
    async with ctx.database.across() as con:
        workspaces: list[UUID] = [row[0] for row in await con.fetch(WORKSPACES)]
    for workspace_id in workspaces:
        while not ctx.cancelled():
            async with ctx.database.reader(workspace_id) as db:
                ended = await queries.ended(db, before, BATCH)
            for run in ended:
                if run.file_key is not None:
                    await _forget(ctx.database, workspace_id, keep, run.id, run.file_key)
            if len(ended) < BATCH:
                break
