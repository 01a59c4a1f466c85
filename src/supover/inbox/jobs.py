"""The inbox's work: the drain, and the nights."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from supover.inbox import commands
from supover.kit.db import Database
from supover.kit.jobs import drain
from supover.kit.retention import forgets

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


@forgets("raw_webhook_days")
async def forget_bodies(database: Database, workspace_id: UUID, days: int) -> int:
    """Forgets the bodies of messages that were done so long ago; what is dead keeps its own, to be replayed."""
    gone, forgotten = commands.FORGET_BATCH, 0
    while gone >= commands.FORGET_BATCH:
        async with database.tx(workspace_id) as tx:
            gone = await commands.forget_bodies(tx, timedelta(days=days))
        forgotten += gone
    return forgotten
