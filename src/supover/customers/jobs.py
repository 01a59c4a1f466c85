"""What customers leave to be done later: pictures that nobody shows, tags where there are many, indexes of custom fields."""

import asyncio
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.customers import avatars, journal, tag_changes, tags
from supover.customers import custom_field_index as index
from supover.kit import clock, storage
from supover.kit.jobs import JobContext, LeaseLost, job, periodic, reason

FIRST: Final = UUID(int=0)
FORGOTTEN: Final = 5_000
"""Rows of the journal that a transaction removes."""
TRIES: Final = 5
"""So often a batch gives way to writers before the job is tried again as a whole."""


@job(avatars.FORGET_JOB)
async def forget_avatar(ctx: JobContext, key: str) -> None:
    """Removes the file of a picture that was replaced or removed."""
    async with ctx.reader() as db:
        await avatars.forget(db, storage.of(configuration.load().storage_url), key)


@periodic("*/5 * * * *", "customers.count_tags")
async def count_tags(ctx: JobContext) -> None:
    """Counts the tags of every workspace that has too many tagged customers to count them when somebody asks."""
    async for workspace_id in ctx.workspaces():
        async with ctx.database.tx(workspace_id) as tx:
            await tags.recount(tx)


@job(tag_changes.JOB, lease_s=60)
async def change_tags(ctx: JobContext) -> None:
    """Renames, merges and removes tags in all customers, one change after the other, a batch a transaction.

    What is done is not done again. Its progress is that of the change that it is at.
    """
    at, after = FIRST, FIRST
    async with ctx.tx() as tx:
        await tag_changes.take(tx, ctx.id)
    while True:
        async with ctx.reader() as db:
            change = await tag_changes.first(db)
        if change is None:
            return
        if change.id != at:
            at, after = change.id, FIRST
        async with ctx.tx(actor=change.actor, actor_name=change.actor_name) as tx:
            if ctx.cancelled():
                await tag_changes.stop(tx, change, ctx.id)
                return
            step = await tag_changes.apply(tx, change, after, ctx.id)
        after = step.last or after
        ctx.progress({"change": str(change.id), "done": step.done, "total": step.total})


@periodic("47 4 * * *", "customers.forget_journal")
async def forget_journal(ctx: JobContext) -> None:
    """Forgets what acts did that are too long ago to be undone."""
    async for workspace_id in ctx.workspaces():
        gone = 1
        while gone and not ctx.cancelled():
            async with ctx.database.tx(workspace_id) as tx:
                gone = await journal.forget(tx, clock.now() - journal.KEPT, FORGOTTEN)


# --- custom fields -------------------------------------------------------------------------------------------------------


@job(index.BUILD_JOB, lease_s=60)
async def index_custom_field(ctx: JobContext, field_id: UUID) -> None:
    """Fills the index of a custom field from its last batch on, and says whether customers share a unique value."""
    async with ctx.tx() as tx:
        build = await index.begin(tx, field_id)
    if build is None:
        return
    why: str | None = None
    try:
        if not (await _fill(ctx, field_id, build) and await _hold(ctx, field_id, build.index_id)):
            why = "The job that builds it was cancelled."
    except LeaseLost:
        raise
    except Exception as error:
        if ctx.is_last_attempt:
            async with ctx.tx() as tx:
                await index.fail(tx, field_id, build.index_id, reason(error))
        raise
    async with ctx.tx() as tx:
        if why is None:
            await index.finish(tx, field_id, build.index_id)
        else:
            await index.fail(tx, field_id, build.index_id, why)


async def _fill(ctx: JobContext, field_id: UUID, build: index.Build) -> bool:
    """True when every customer is in the index, False when somebody cancelled it."""
    if build.is_filled:
        return True
    ctx.progress({"done": build.done, "total": build.total})
    await _writers_end(ctx)
    while not ctx.cancelled():
        async with ctx.tx() as tx:
            filled = await index.fill(tx, field_id, build.index_id)
        if filled is None:
            return True
        ctx.progress({"done": filled[0], "total": filled[1]})
    return False


async def _writers_end(ctx: JobContext) -> None:
    """Waits for the transactions that run now: what begins later knows the definitions as they are."""
    async with ctx.reader() as db:
        running = await index.writers(db)
    while not ctx.cancelled():
        async with ctx.reader() as db:
            if await index.have_ended(db, running):
                return
        await asyncio.sleep(0.1)


async def _hold(ctx: JobContext, field_id: UUID, index_id: UUID) -> bool:
    after: UUID | None = FIRST
    beaten = 0
    while after is not None:
        if ctx.cancelled():
            return False
        try:
            async with ctx.tx() as tx:
                after = await index.hold(tx, field_id, index_id, after)
        except index.BEATEN:
            beaten += 1
            if beaten == TRIES:
                raise
    return True


@job(index.CLEAR_JOB)
async def clear_custom_field(ctx: JobContext, index_id: UUID) -> None:
    """Removes the rows of an index that is no more."""
    await _writers_end(ctx)
    while not ctx.cancelled():
        async with ctx.tx() as tx:
            if not await index.clear(tx, index_id):
                return
