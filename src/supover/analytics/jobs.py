"""The drain that recounts stale customers."""

from uuid import UUID

from supover.analytics import commands
from supover.kit.db import Database
from supover.kit.jobs import drain


@drain("analytics.refresh", workspaces="select fence.workspaces_with_stale_customers()")
async def refresh(database: Database, workspace_id: UUID) -> int:
    """Recounts one batch of a workspace's stale customers."""
    async with database.tx(workspace_id) as tx:
        return await commands.refresh(tx)
