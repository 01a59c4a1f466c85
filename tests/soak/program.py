"""A worker of trial jobs and drains, as a process of its own that tests may kill.

`program.py run|drain URL` works; `program.py alone URL JOB WORKER` runs the one job that this worker has claimed.
"""

import asyncio
import os
import signal
import sys
from typing import Final
from uuid import UUID

from supover.kit import telemetry
from supover.kit.db import Database
from supover.kit.jobs import Backoff, JobContext, drain, job
from supover.kit.worker import Worker

SOON: Final = Backoff(0.01, 1, 0.01)

TABLES: Final = """
    create table data.trial (workspace_id uuid not null, id bigint not null, primary key (workspace_id, id));
    create table data.trial_effect (workspace_id uuid not null, id bigint not null, job_id uuid);
    create index trial_effect_id on data.trial_effect (workspace_id, id);
    create function fence.workspaces_with_trial() returns setof uuid
        language sql stable security definer set search_path = data, ext
        begin atomic select distinct workspace_id from data.trial; end"""

EFFECT: Final = "insert into trial_effect (workspace_id, id, job_id) values ($1, $2, $3)"
WORK: Final = """
    with taken as (
        delete from trial where workspace_id = $1 and id in (
            select id from trial where workspace_id = $1 order by id limit 20 for update skip locked)
        returning workspace_id, id)
    insert into trial_effect (workspace_id, id) select workspace_id, id from taken"""


@drain("trial.rows", workspaces="select workspaces_with_trial()")
async def rows(database: Database, workspace_id: UUID) -> int:
    """Takes rows and leaves one effect for each."""
    async with database.tx(workspace_id) as tx:
        await tx.run("select pg_sleep(0.001) where $1::uuid is not null")
        return await tx.run(WORK)


@job("trial.effect", retry=SOON, lease_s=3, attempts=50)
async def effect(ctx: JobContext, number: int) -> None:
    """Leaves its effect once, however often it runs."""
    async with ctx.tx() as tx:
        if not await tx.value("select true from trial_effect where workspace_id = $1 and id = $2", number):
            await asyncio.sleep(0.002)
            await tx.run(EFFECT, number, ctx.id)


@job("trial.slow", retry=SOON, lease_s=3, attempts=50)
async def slow(ctx: JobContext, number: int) -> None:
    """Takes long enough to be hit."""
    await asyncio.sleep(0.7)
    async with ctx.tx() as tx:
        await tx.run(EFFECT, number, ctx.id)


@job("trial.poison", retry=SOON, lease_s=3, attempts=3)
async def poison(ctx: JobContext) -> None:
    """Ends its process without a word."""
    async with ctx.tx() as tx:
        await tx.run(EFFECT, ctx.attempt, ctx.id)
    os._exit(9)


async def _main(how: str, url: str, rest: list[str]) -> None:
    database, control = await Database.open(url, size=4, acquire_timeout_s=60), await Database.open(url, size=1)
    alone = [sys.executable, __file__, "alone", url]
    name = rest[1] if rest else None
    worker = Worker(database, control=control, alone=None if rest else alone, name=name, poll_s=0.02)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    if how == "alone":
        await worker.run_one(UUID(rest[0]))
    else:
        await (worker.drain() if how == "drain" else worker.run())
    await control.close()
    await database.close()


if __name__ == "__main__":
    telemetry.configure("console")
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3:]))
