"""The jobs that carry bulk actions out and undo them, and the one that forgets whom old ones meant."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from supover.bulk import commands
from supover.bulk.model import Progress
from supover.kit.db import RACES, Tx
from supover.kit.jobs import SOON_AGAIN, GiveUp, JobContext, LeaseLost, job, periodic, reason

ATTEMPTS: Final = 20
"""So many workers in a row may be lost before any of them has done a chunk."""
TRIES: Final = 8
"""So often a chunk gives way to others who hold its customers."""
FORGOTTEN: Final = 5_000


@job(commands.JOB, lease_s=60, attempts=ATTEMPTS, retry=SOON_AGAIN)
async def run(ctx: JobContext, bulk_id: UUID) -> None:
    """Carries an action out from its checkpoint on, a chunk a transaction. A worker that dies loses the chunk that it was at."""
    try:
        await _work(ctx, bulk_id, commands.advance, ends_by=commands.cancel)
    except LeaseLost:
        raise
    except Exception as error:
        if not ctx.is_last_attempt:
            raise
        why = reason(error)
        async with ctx.tx() as tx:
            await commands.fail(tx, bulk_id, why)
        raise GiveUp(why) from error


@job(commands.UNDO_JOB, lease_s=60, attempts=ATTEMPTS, retry=SOON_AGAIN)
async def undo(ctx: JobContext, bulk_id: UUID) -> None:
    """Undoes an action from where it stood on. Cancelled it stays where it is, until it is asked for again."""
    await _work(ctx, bulk_id, commands.undo_some, ends_by=None)


async def _work(
    ctx: JobContext,
    id: UUID,
    step: Callable[[Tx, UUID], Awaitable[Progress]],
    ends_by: Callable[[Tx, UUID], Awaitable[object]] | None,
) -> None:
    async with ctx.tx() as tx:
        actor, actor_name = await commands.actor_of(tx, id)
    beaten = 0
    while True:
        try:
            async with ctx.tx(actor=actor, actor_name=actor_name) as tx:
                if ctx.cancelled():
                    if ends_by is not None:
                        await ends_by(tx, id)
                    return
                await tx.by_keys()
                progress = await step(tx, id)
        except RACES:
            beaten += 1
            if beaten == TRIES:
                raise
            continue
        beaten = 0
        await ctx.advanced()
        ctx.progress({"done": progress.done, "total": progress.total})
        if progress.has_ended:
            return


@periodic("17 4 * * *", "bulk.forget")
async def forget(ctx: JobContext) -> None:
    """Forgets whom actions meant that began a month ago; the actions themselves stay."""
    async for workspace_id in ctx.workspaces():
        gone = 1
        while gone and not ctx.cancelled():
            async with ctx.database.tx(workspace_id) as tx:
                gone = await commands.forget(tx, FORGOTTEN)
