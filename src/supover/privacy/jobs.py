"""The work of privacy: exports and erasures, and the nights."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.kit import storage
from supover.kit.jobs import GiveUp, JobContext, LeaseLost, job, periodic, reason
from supover.kit.worker import is_outage
from supover.privacy import commands, erasing, exporting, files, queries, retention, shops

MAX_BYTES: Final = 1 << 34
BLOCK: Final = 1 << 20


async def _blocks(data: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), BLOCK):
        yield data[start : start + BLOCK]


@job(commands.EXPORT_JOB, lease_s=60)
async def export(ctx: JobContext, request_id: UUID) -> None:
    """Makes the two files of an export."""
    async with ctx.tx() as tx:
        if not await commands.start(tx, request_id):
            return
        request = await queries.stored(tx, request_id)
        if request.customer_id is None:
            await commands.nothing_to_tell(tx, request_id)
            return
    try:
        async with ctx.database.snapshot(ctx.workspace_id) as db:
            told = await exporting.tell(db, request.customer_id)
        keep = storage.of(configuration.load().storage_url)
        keys = [
            await keep.put("privacy", _blocks(data), max_bytes=MAX_BYTES)
            for data in (exporting.as_json(told), exporting.as_page(told))
        ]
        is_needed = False
        try:
            async with ctx.tx(actor=request.actor) as tx:
                is_needed = await commands.keep_files(tx, request_id, keys[0], keys[1])
        finally:
            if not is_needed:
                for key in keys:
                    await keep.delete(key)
    except Exception as error:
        await _failed(ctx, error, request_id)


@job(commands.ERASE_JOB, lease_s=60)
async def erase(ctx: JobContext, request_id: UUID) -> None:
    """Erases whom a request is about."""
    async with ctx.reader() as db:
        request = await queries.stored(db, request_id)
    if request.status not in ("pending", "running", "failed"):
        return
    try:
        keep = storage.of(configuration.load().storage_url)
        async with ctx.reader() as db:
            customers, orders = await commands.whom(db, request)
        telling = await files.that_tell(ctx.database, ctx.workspace_id, keep, customers, orders)
        async with ctx.tx(actor=request.actor, actor_name=request.actor_name) as tx:
            await commands.erase(tx, request_id, telling)
    except Exception as error:
        await _failed(ctx, error, request_id)


@job(commands.SHOP_JOB, lease_s=60)
async def erase_shop(ctx: JobContext, request_id: UUID) -> None:
    """Forgets a shop, batch by batch; begun again, it goes on where it was."""
    async with ctx.reader() as db:
        request = await queries.stored(db, request_id)
    try:
        async for done in shops.erase(request_id, partial(ctx.tx, actor=request.actor, actor_name=request.actor_name)):
            ctx.progress({"customers": len(done.customer_ids), "orders": done.orders_kept})
            await ctx.advanced()
    except Exception as error:
        await _failed(ctx, error, request_id)


@job(commands.INACTIVE_JOB, lease_s=60)
async def erase_inactive(ctx: JobContext) -> None:
    """Erases customers of whom nothing was heard, batch by batch."""
    keep = storage.of(configuration.load().storage_url)
    erased = 0
    while True:
        async with ctx.reader() as db:
            due = await commands.inactive_due(db, erasing.PEOPLE_AT_ONCE)
        if not due:
            return
        try:
            telling = await files.that_tell(ctx.database, ctx.workspace_id, keep, list(due.values()))
            async with ctx.tx(actor="system", actor_name="Retention") as tx:
                await commands.erase_inactive(tx, due, telling)
        except Exception as error:
            await _failed(ctx, error, *due)
        erased += len(due)
        ctx.progress({"customers": erased})
        await ctx.advanced()


async def _failed(ctx: JobContext, error: Exception, *request_ids: UUID) -> None:
    """Leaves it to another attempt, or says in the requests why there is none."""
    if isinstance(error, LeaseLost) or not ctx.is_last_attempt or is_outage(error):
        raise error
    why = reason(error)
    async with ctx.tx() as tx:
        await commands.fail(tx, request_ids, why)
    raise GiveUp(why) from error


@job(erasing.FORGET_FILE)
async def forget_file(ctx: JobContext, key: str) -> None:
    """Removes a file that told of somebody."""
    await storage.of(configuration.load().storage_url).delete(key)


@job(erasing.FORGET_IMPORT)
async def forget_import(ctx: JobContext, import_id: UUID) -> None:
    """Removes the file of an import that told of somebody, once that has ended."""
    async with ctx.tx() as tx:
        key = await files.forget_import(tx, import_id)
    if key is not None:
        await storage.of(configuration.load().storage_url).delete(key)


@periodic("7 2 * * *", "privacy.retention", timeout_s=6 * 3600)
async def apply_retention(ctx: JobContext) -> None:
    """Forgets, in every workspace, what is older than it wants."""
    forgotten: dict[str, int] = {}
    async for workspace_id in ctx.workspaces():
        for setting, count in (await retention.apply(ctx.database, workspace_id)).items():
            forgotten[setting] = forgotten.get(setting, 0) + count
        ctx.progress(forgotten)
