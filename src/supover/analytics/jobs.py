"""The drain that recounts stale customers, the jobs that score everybody and make roll-ups anew, and the fit of predictions."""

from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from supover.analytics import commands, predictions, rollups, scoring
from supover.kit import clock
from supover.kit.db import Database
from supover.kit.jobs import SOON_AGAIN, JobContext, defer, drain, job, periodic

SCORE: Final = "analytics.score"
REBUILD: Final = "analytics.rebuild"


@drain("analytics.refresh", workspaces="select fence.workspaces_with_stale_customers()")
async def refresh(database: Database, workspace_id: UUID) -> int:
    """Recounts one batch of a workspace's stale customers."""
    async with database.tx(workspace_id) as tx:
        return await commands.refresh(tx)


@job(SCORE)
async def score(ctx: JobContext, origin: str = "live") -> None:
    """Scores everybody anew; `import` where history was the reason."""
    async with ctx.tx(origin=origin) as tx:
        ctx.progress({"differing": await scoring.everybody(tx)})


@periodic("20 3 * * *", "analytics.score_nightly")
async def score_nightly(ctx: JobContext) -> None:
    """Has everybody scored anew in every workspace, so that a month begins there although nobody orders."""
    async for workspace_id in ctx.workspaces():
        async with ctx.database.tx(workspace_id) as tx:
            await defer(tx, SCORE, {"origin": tx.origin}, singleton=tx.origin)


@job(REBUILD, lease_s=60)
async def rebuild(ctx: JobContext) -> None:
    """Makes a workspace's roll-ups anew, in one transaction."""
    async with ctx.tx() as tx:
        days = await rollups.rebuild(tx)
    ctx.progress({"customerDays": days})


FIT: Final = "analytics.fit"
WAIT: Final = timedelta(seconds=20)


@job(FIT, lease_s=60, attempts=10, retry=SOON_AGAIN)
async def fit(ctx: JobContext, from_history: int = 0) -> None:
    """Fits a workspace, tries the models on past days, and scores every customer, once all figures are counted.

    Broken off it begins anew; what it has stored stays, and is overwritten.
    """
    async with ctx.tx() as tx:
        if await commands.is_waiting(tx):
            # Orders that are not counted yet would be missing until tomorrow.
            args = {"from_history": from_history}
            await defer(tx, FIT, args, run_at=clock.now() + WAIT, singleton=FIT)
            return
    # It brings numpy and scipy along, which a worker that fits nothing can do without.
    from supover.analytics import fitting

    def told(what: str, customers: int) -> bool:
        ctx.progress({"phase": what, "customers": customers})
        return ctx.cancelled()

    begin = partial(ctx.tx, origin="import" if from_history else "live")
    try:
        done = await fitting.refresh(ctx.database, ctx.workspace_id, begin, told=told)
    except (fitting.Cancelled, fitting.Overtaken):
        return
    ctx.progress({"phase": "done", "customers": done.scored, "version": done.version, "changed": done.changed})


@periodic("41 2 * * *", "analytics.nightly")
async def nightly(ctx: JobContext) -> None:
    """Has the predictions of every workspace made anew."""
    async for workspace_id in ctx.workspaces():
        async with ctx.database.tx(workspace_id) as tx:
            await predictions.fit_later(tx)
