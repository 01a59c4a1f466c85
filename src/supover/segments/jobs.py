"""The drain that looks at marked customers again, and the jobs that look at everybody."""

from typing import Final
from uuid import UUID

from supover.kit import clock
from supover.kit.db import Database
from supover.kit.jobs import JobContext, drain, job, periodic
from supover.segments import commands, membership

WITH_AGED: Final = "select workspaces_with_aged_segments($1)"
WITH_STALE: Final = "select workspaces_with_stale_segments()"
EVALUATE: Final = "segments.evaluate"
FORGET: Final = "segments.forget"
FORGET_AT_ONCE: Final = 20_000


@drain("segments.refresh", workspaces=WITH_STALE)
async def refresh(database: Database, workspace_id: UUID) -> int:
    """Looks again at one batch of a workspace's marked customers."""
    async with database.tx(workspace_id) as tx:
        return await membership.refresh(tx)


@job(EVALUATE)
async def evaluate(ctx: JobContext) -> None:
    """Looks at everybody for each segment that wants it, a transaction each."""
    done = 0
    more = True
    while more and not ctx.cancelled():
        try:
            async with ctx.tx() as tx:
                more = await membership.evaluate_next(tx)
        except membership.Overtaken:
            continue
        done += more
        ctx.progress({"evaluated": done})


@job(FORGET)
async def forget(ctx: JobContext, segment_id: UUID) -> None:
    """Forgets who was in a deleted segment."""
    gone = FORGET_AT_ONCE
    while gone >= FORGET_AT_ONCE and not ctx.cancelled():
        async with ctx.tx() as tx:
            gone = await commands.forget(tx, segment_id, FORGET_AT_ONCE)


@periodic("*/15 * * * *", "segments.age")
async def age(ctx: JobContext) -> None:
    """Has the segments evaluated of every workspace in which a new day has begun."""
    async with ctx.database.across() as con:
        workspaces: list[UUID] = [row[0] for row in await con.fetch(WITH_AGED, clock.now())]
    for workspace_id in workspaces:
        if ctx.cancelled():
            return
        async with ctx.database.tx(workspace_id) as tx:
            await membership.age(tx)
