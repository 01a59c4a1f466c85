"""The inbox's work: the drain, and the nights."""

from typing import Final
from uuid import UUID

from supover.inbox import commands
from supover.kit.db import Database
from supover.kit.jobs import JobContext, drain, periodic

WORKSPACES: Final = "select all_workspaces()"
WITH_MESSAGES: Final = "select workspaces_with_messages()"


@drain("inbox.drain", workspaces=WITH_MESSAGES)
async def work_off(database: Database, workspace_id: UUID) -> int:
    """Works off one batch of a workspace's messages; nobody else is at that workspace meanwhile."""
    async with database.tx(workspace_id) as tx:
        if not await commands.hold(tx):
            return 0
        # Counted and committed beside, before the work: what ends this process has been tried. What holds the workspace
        # ends with the process, so the rest is taken up at once.
        async with database.tx(workspace_id) as beside:
            counted = await commands.count_attempt(beside)
        await commands.work_off(tx, counted)
    return len(counted)


@periodic("57 3 * * *", "inbox.forget_bodies")
async def forget_bodies(ctx: JobContext) -> None:
    """Forgets the bodies of messages that were done thirty days ago; what is dead keeps its own, to be replayed."""
    async with ctx.database.across() as con:
        workspaces: list[UUID] = [row[0] for row in await con.fetch(WORKSPACES)]
    for workspace_id in workspaces:
        forgotten = commands.FORGET_BATCH
        while forgotten >= commands.FORGET_BATCH and not ctx.cancelled():
            async with ctx.database.tx(workspace_id) as tx:
                forgotten = await commands.forget_bodies(tx)
