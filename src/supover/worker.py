"""The process that works off jobs and drains: `supover worker`.

`python -m supover.worker JOB WORKER` runs the one job that this worker has claimed, in a process of its own.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

import msgspec

from supover import settings as configuration
from supover import wiring
from supover.kit import embedded, telemetry
from supover.kit.db import Database
from supover.kit.worker import LONGEST_PAUSE_S, Worker, is_outage
from supover.settings import Settings

log = telemetry.logger("worker")
ALONE: Final = (sys.executable, "-m", "supover.worker")
CONTROL_CONNECTIONS: Final = 2
GRACE_S: Final = 3.5
"""Of the 5.5 seconds that `up` grants; the rest is for giving back what is left."""
PATIENCE_S: Final = 60
"""How long a job or drain waits for a connection: all of them busy is no failure here."""


def main(*, drain: bool = False, settings: Settings | None = None) -> None:
    """Works until SIGTERM or SIGINT; with `drain` only until nothing is left to do."""

    async def work(database: Database, control: Database, settings: Settings) -> Worker:
        return Worker(database, control=control, concurrency=settings.job_concurrency, alone=ALONE, grace_s=GRACE_S)

    _main(settings, work, Worker.drain if drain else Worker.run)


def run_alone(job: UUID, worker: str) -> None:
    """Runs one job that this worker has claimed, and ends it in its name."""

    async def work(database: Database, control: Database, settings: Settings) -> Worker:
        del settings
        return Worker(database, control=control, name=worker)

    _main(None, work, lambda found: found.run_one(job))


Make = Callable[[Database, Database, Settings], Awaitable[Worker]]


def _main(settings: Settings | None, make: Make, act: Callable[[Worker], Awaitable[None]]) -> None:
    settings = settings or configuration.load()
    telemetry.configure(settings.log_format, settings.log_level)
    wiring.load()
    database = embedded.database(settings.data_dir, settings.database_url)
    with database as url:
        if settings.database_url is None:
            # Jobs that run in processes of their own find it there, too.
            os.environ.update(found := embedded.environment(settings.data_dir, url))
            settings = msgspec.structs.replace(settings, app_database_url=found.get("SUPOVER_APP_DATABASE_URL"))
        with asyncio.Runner(loop_factory=_loop()) as runner:
            runner.run(_work(settings, url, make, act))


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _work(settings: Settings, owner_url: str, make: Make, act: Callable[[Worker], Awaitable[None]]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # A drain of the inbox holds two at a time: with one it would wait for itself.
    control = min(CONTROL_CONNECTIONS, settings.worker_pool_size - 2)
    async with (
        _opened(settings, owner_url, settings.worker_pool_size - control, stopped) as database,
        _opened(settings, owner_url, control, stopped) as claims,
    ):
        if database is None or claims is None:
            return
        worker = await make(database, claims, settings)
        log.info("started", worker=worker.name)
        watch = loop.create_task(stopped.wait())
        watch.add_done_callback(lambda _: worker.stop())
        try:
            await act(worker)
        finally:
            watch.cancel()
        log.info("stopped", worker=worker.name)
        if worker.is_stuck:
            # Its task would keep the loop, and so the process, for ever. Its lease runs out.
            os._exit(1)


@asynccontextmanager
async def _opened(
    settings: Settings, owner_url: str, size: int, stopped: asyncio.Event
) -> AsyncGenerator[Database | None]:
    """The database, as soon as it is there; None when it is time to stop before that."""
    pause_s = 0.1
    while not stopped.is_set():
        try:
            database = await Database.open(
                settings.app_database_url or owner_url,
                size=size,
                statement_timeout_s=settings.statement_timeout_s,
                as_app=settings.app_database_url is None,
                acquire_timeout_s=PATIENCE_S,
            )
        except Exception as error:
            if not is_outage(error) and not isinstance(error, TimeoutError):
                raise
            log.warning("the database is away", why=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
            continue
        try:
            yield database
        finally:
            await database.close()
        return
    yield None


if __name__ == "__main__":
    run_alone(UUID(sys.argv[1]), sys.argv[2])
