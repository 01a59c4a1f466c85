"""Scans, what is merged by itself, and what large files bring."""

from contextlib import aclosing
from datetime import timedelta
from typing import Final

from supover.duplicates import commands, noticing, scanning
from supover.kit import clock
from supover.kit.db import RACES
from supover.kit.jobs import SOON_AGAIN, GiveUp, JobContext, LeaseLost, defer, job, periodic, reason

TRIES: Final = 5
"""So often a merge gives way to others."""


class ScanRuns(Exception):
    """Another scan of this workspace runs."""


@job(commands.SCAN_JOB, lease_s=60, attempts=20, retry=SOON_AGAIN)
async def scan(ctx: JobContext) -> None:
    """Carries out the scans that wait, one after the other. Broken off one begins anew, and what it has found stays."""
    async with scanning.alone(ctx.database, ctx.workspace_id) as is_alone:
        if not is_alone:
            raise ScanRuns
        while True:
            async with ctx.tx() as tx:
                wanted = await commands.take_scan(tx, ctx.id)
            if wanted is None:
                return
            try:
                await _scan(ctx, wanted)
            except LeaseLost:
                raise
            except scanning.Cancelled:
                async with ctx.tx() as tx:
                    await commands.end_scan(tx, wanted.id, "cancelled")
                return
            except Exception as error:
                if not ctx.is_last_attempt:
                    raise
                why = reason(error)
                async with ctx.tx() as tx:
                    await commands.end_scan(tx, wanted.id, "failed", why)
                raise GiveUp(why) from error


async def _scan(ctx: JobContext, wanted: scanning.Run) -> None:
    def told(phase: str, counts: scanning.Counts) -> bool:
        ctx.progress(
            {"phase": phase, "customers": counts.customers, "changed": counts.changed, "compared": counts.compared}
        )
        return ctx.cancelled()

    counts = await scanning.run(ctx.database, ctx.workspace_id, ctx.tx, wanted, told)
    async with ctx.tx() as tx:
        await commands.complete(tx, wanted.id, counts)
    await ctx.advanced()


@periodic("23 3 * * *", "duplicates.nightly")
async def nightly(ctx: JobContext) -> None:
    """Has every workspace scanned that wants it."""
    async for workspace_id in ctx.workspaces():
        async with ctx.database.tx(workspace_id) as tx:
            await commands.begin_nightly(tx)


@job(commands.MERGE_JOB, lease_s=60)
async def merge(ctx: JobContext) -> None:
    """Merges what is to be merged by itself, a group a transaction; each can be undone."""
    async with ctx.tx() as tx:
        groups = await commands.mergeable(tx)
    merged = 0
    for n, group in enumerate(groups, 1):
        if ctx.cancelled():
            return
        for turn in range(1, TRIES + 1):
            try:
                async with ctx.tx() as tx:
                    merged += await commands.merge_by_itself(tx, group)
                break
            except RACES:
                if turn == TRIES:
                    raise
        ctx.progress({"done": n, "total": len(groups), "merged": merged})


IMPORTING: Final = """
    select exists (select 1 from import_run r where r.workspace_id = $1 and r.kind = 'customers' and r.status = 'running')"""
WAIT: Final = timedelta(seconds=5)


@job(noticing.JOB, lease_s=60)
async def notice(ctx: JobContext) -> None:
    """Looks for whom the new customers of files share an email or phone with, once no file is being taken in."""
    async with ctx.tx() as tx:
        if await tx.value(IMPORTING):
            # It would take from the file what time it has, and look at its contacts again with each part of it.
            await defer(tx, noticing.JOB, run_at=clock.now() + WAIT, singleton=noticing.JOB)
            return
    async with ctx.database.snapshot(ctx.workspace_id) as db:
        ranges = await noticing.all_due(db)
        if not ranges:
            return
        await db.value(scanning.UNHURRIED)
        async with aclosing(noticing.pairs_of(db, ranges)) as found:
            async for some in found:
                if ctx.cancelled():
                    return
                async with ctx.tx(origin="import") as tx:
                    # The file is one event; its pairs are no thousand more.
                    await noticing.suggest(tx, some)
    async with ctx.tx() as tx:
        await noticing.done(tx, ranges)
