"""The jobs that run imports that were sent over the API and take them back, and the one that forgets files nobody resumes."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.analytics import commands as analytics
from supover.imports import commands, customer_commands, customer_revert, drafts, queries
from supover.imports.model import ImportMoved, ImportRun
from supover.kit import clock, ids, storage
from supover.kit.db import Database
from supover.kit.jobs import GiveUp, JobContext, job, periodic
from supover.kit.retention import forgets
from supover.segments import marks

SETTLE: Final = "imports.settle"
BATCH: Final = 100
LARGE: Final = 500
"""So many customers of a file have figures and segments at once; of more that is done together at the end."""


@job(commands.JOB, lease_s=60)
async def run_orders(ctx: JobContext, import_id: UUID) -> None:
    """Fetches the file and runs the import from its checkpoint on; whole chunks only, whatever stops it."""

    async with ctx.reader() as db:
        is_trial = (await queries.find(db, import_id)).dry_run

    async def run(file: Path, actor: str) -> None:
        if is_trial:
            await drafts.try_orders(ctx.database, ctx.workspace_id, import_id, file, actor)
            return
        await commands.run(
            ctx.database,
            ctx.workspace_id,
            import_id,
            file,
            actor=actor,
            progress=lambda run: _show(ctx, run),
        )

    await _run(ctx, import_id, run)


@job(customer_commands.JOB, lease_s=60)
async def run_customers(ctx: JobContext, import_id: UUID) -> None:
    """Fetches the file and takes in the chunks that are missing; whole chunks only, whatever stops it."""

    async def progress(run: ImportRun) -> None:
        _show(ctx, run)
        await ctx.advanced()

    async def run(file: Path, actor: str) -> None:
        await customer_commands.run(
            ctx.database,
            ctx.workspace_id,
            import_id,
            file,
            opened=partial(ctx.tx, actor=actor, origin="import"),
            progress=progress,
        )

    await _run(ctx, import_id, run)


def _show(ctx: JobContext, run: ImportRun) -> None:
    ctx.progress({"done": run.done, "rowsRead": run.rows_read, "total": run.total})


async def _run(ctx: JobContext, import_id: UUID, run: Callable[[Path, str], Awaitable[None]]) -> None:
    async with ctx.reader() as db:
        stored = await queries.stored(db, import_id)
    if stored.file_key is None or stored.status == "cancelled":
        return
    keep = storage.of(configuration.load().storage_url)
    if stored.status in ("queued", "running", "failed"):
        try:
            with tempfile.TemporaryDirectory(prefix="supover-import-") as folder:
                file = Path(folder) / "file"
                with file.open("wb") as copy:
                    async for block in keep.get(stored.file_key):
                        await asyncio.to_thread(copy.write, block)
                await run(file, stored.actor)
        except ImportMoved:
            raise
        except Exception as error:
            if commands.is_passing(error) and not ctx.is_last_attempt:
                raise
            why = commands.said(error, stored.rows_read)
            async with ctx.tx(actor=stored.actor, origin="import") as tx:
                await commands.fail(tx, import_id, why)
                if stored.kind == "customers":
                    await customer_commands.settle_later(tx, import_id)
            raise GiveUp(why) from error
    async with ctx.reader() as db:
        run_now = await queries.find(db, import_id)
    # A dry run's is kept for a while: it may be begun in earnest.
    if run_now.status in ("completed", "completed_with_errors") and not run_now.dry_run:
        await _forget(ctx.database, ctx.workspace_id, keep, import_id, stored.file_key)


@job(SETTLE, lease_s=60)
async def settle(ctx: JobContext, import_id: UUID) -> None:
    """Does what waits for the end of an import: figures for the new, all segments looked at after a large one, the search."""
    async with ctx.reader() as db:
        ranges = await queries.ranges(db, import_id)
        run = await queries.find(db, import_id)
    if run.dry_run:
        return
    for first, last, _, _ in ranges:
        if first is not None and last is not None:
            async with ctx.tx(origin="import") as tx:
                if not await customer_commands.stands(tx, import_id):
                    break
                await tx.by_keys()
                await analytics.add_lacking(tx, first, UUID(int=last.int + 1))
    touched = sum(created + updated for _, _, created, updated in ranges)
    if touched > LARGE:
        async with ctx.tx(origin="import") as tx:
            await marks.want_all(tx)
    if touched > customer_commands.MANY:
        await commands.learn(ctx.database)


@job(customer_revert.JOB, lease_s=60)
async def revert(ctx: JobContext, import_id: UUID) -> None:
    """Takes an import of customers back."""
    async with ctx.reader() as db:
        run = await queries.find(db, import_id)
    if run.is_reverting:
        await customer_revert.revert(import_id, partial(ctx.tx, origin="import"), ctx.advanced)


async def _forget(database: Database, workspace_id: UUID, keep: storage.Storage, id: UUID, key: str) -> None:
    # The file first: a key that leads nowhere is found again, a file without a key never.
    await keep.delete(key)
    async with database.tx(workspace_id) as tx:
        await commands.forget_file(tx, id)


@periodic("37 3 * * *", "imports.forget_files")
async def forget_files(ctx: JobContext) -> None:
    """Forgets the files of imports that are as old as the workspace keeps them; they cannot be resumed any more."""
    first_kept = ids.first_at(customer_revert.kept_since(clock.now()))
    async for workspace_id in ctx.workspaces():
        async with ctx.database.tx(workspace_id) as tx:
            await customer_revert.forget(tx, first_kept)
        async with ctx.database.reader(workspace_id) as db:
            days = await queries.file_days(db)
        await forget_old(ctx.database, workspace_id, days)


@forgets("import_file_days")
async def forget_old(database: Database, workspace_id: UUID, days: int) -> int:
    """Forgets the files of a workspace's imports that ended so many days ago; how many that were."""
    keep = storage.of(configuration.load().storage_url)
    before, forgotten = clock.now() - timedelta(days=days), 0
    while True:
        async with database.reader(workspace_id) as db:
            ended = await queries.ended(db, before, BATCH)
        for run in ended:
            if run.file_key is not None:
                await _forget(database, workspace_id, keep, run.id, run.file_key)
                forgotten += 1
        if len(ended) < BATCH:
            return forgotten
