"""What customers leave to be done later: pictures that nobody shows, and the counts of tags where there are many."""

from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.customers import avatars, tags
from supover.kit import storage
from supover.kit.jobs import JobContext, job, periodic

WORKSPACES: Final = "select all_workspaces()"


@job(avatars.FORGET_JOB)
async def forget_avatar(ctx: JobContext, key: str) -> None:
    """Removes the file of a picture that was replaced or removed."""
    async with ctx.reader() as db:
        await avatars.forget(db, storage.of(configuration.load().storage_url), key)


@periodic("*/5 * * * *", "customers.count_tags")
async def count_tags(ctx: JobContext) -> None:
    """Counts the tags of every workspace that has too many tagged customers to count them when somebody asks."""
    async with ctx.database.across() as con:
        workspaces: list[UUID] = [row[0] for row in await con.fetch(WORKSPACES)]
    for workspace_id in workspaces:
        if ctx.cancelled():
            return
        async with ctx.database.tx(workspace_id) as tx:
            await tags.recount(tx)
