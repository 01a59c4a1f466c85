"""What merges did row by row is forgotten once they can be undone no more."""

from supover.customers import merge_rows
from supover.kit import clock, ids
from supover.kit.jobs import JobContext, periodic
from supover.merging import undoing


@periodic("23 4 * * *", "merging.forget")
async def forget(ctx: JobContext) -> None:
    """Forgets what merges did that are more than 90 days old, in every workspace."""
    before = ids.first_at(clock.now() - merge_rows.KEPT)
    async for workspace_id in ctx.workspaces():
        gone = 1
        while gone and not ctx.cancelled():
            async with ctx.database.tx(workspace_id) as tx:
                gone = await undoing.forget(tx, before, 20)
