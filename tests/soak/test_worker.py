"""Workers that are killed, stopped and cut off while they work: every effect once, nothing lost."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from supover.kit import clock, embedded, ids, migrate
from supover.kit.db import Database
from supover.kit.jobs import defer, defer_many
from tests.soak import program

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
KILLS = int(os.environ.get("SOAK_KILLS", "40"))


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[embedded.Server]:
    """A server of our own that keeps what it acknowledged, to be killed."""
    place = embedded.place(tmp_path_factory.mktemp("soak") / "data")
    found = embedded.Server(place)
    found.start()
    await migrate.run(place.dsn())
    con: Connection = await asyncpg.connect(place.dsn())
    async with con.transaction():
        await con.execute(program.TABLES)
        await migrate.fence(con)
    await con.close()
    yield found
    found.stop()
    shutil.rmtree(place.home.resolve())


class Trial:
    """What was asked for, and what came of it."""

    def __init__(self, url: str, spaces: list[UUID]) -> None:
        self.url = url
        self.spaces = spaces
        self.asked = 0

    async def connect(self) -> "Connection":
        return await asyncpg.connect(self.url)

    async def feed(self, rows: int, jobs: int) -> None:
        """Puts rows for the drain and jobs, the same numbers in every workspace."""
        database = await Database.open(self.url, size=2)
        for space in self.spaces:
            async with database.tx(space) as tx:
                fill = (
                    "insert into trial (workspace_id, id) select $1, n from generate_series($2::bigint, $3::bigint) n"
                )
                await tx.run(fill, self.asked, self.asked + rows - 1)
                numbers = range(self.asked + rows, self.asked + rows + jobs)
                await defer_many(tx, "trial.effect", [{"number": n} for n in numbers])
        await database.close()
        self.asked += rows + jobs

    async def finish(self) -> None:
        """Works off the rest and checks that every effect is there once."""
        with started("drain", self.url) as worker:
            assert await asyncio.to_thread(worker.wait, 600) == 0
        con = await self.connect()
        seen = "select count(*), count(distinct (workspace_id, id)) from data.trial_effect"
        (row,) = await con.fetch(seen)
        states = dict(await con.fetch("select state, count(*) from data.job group by state"))  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
        left = await con.fetchval("select count(*) from data.trial")
        await con.execute("delete from data.trial_effect; delete from data.job")
        await con.close()
        print("effects", row[0], "states", states)
        assert (row[0], row[1], left) == (self.asked * len(self.spaces), self.asked * len(self.spaces), 0)
        assert set(states) == {"done"}


@pytest.fixture
async def trial(server: embedded.Server) -> Trial:
    url = server.place.dsn()
    con: Connection = await asyncpg.connect(url)
    await con.execute("delete from data.trial; delete from data.trial_effect; delete from data.job")
    spaces = [ids.new() for _ in range(3)]
    for space in spaces:
        await con.execute("select fence.workspace_add($1, 'Trial', 'EUR', 2::smallint, 'UTC', '{}')", space)
    await con.close()
    return Trial(url, spaces)


@contextmanager
def started(how: str, url: str) -> Generator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, program.__file__, how, url], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def until(claim: Callable[[], object], within_s: float = 30) -> None:
    end_s = clock.monotonic_s() + within_s
    while not claim():
        assert clock.monotonic_s() < end_s
        await asyncio.sleep(0.01)


async def until_it_works(trial: Trial) -> None:
    con = await trial.connect()
    before = await con.fetchval("select count(*) from data.trial_effect")
    for _ in range(3000):
        if await con.fetchval("select count(*) from data.trial_effect") != before:
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("the worker does nothing")
    await con.close()


async def test_effects_are_there_once_whenever_the_worker_is_killed(trial: Trial) -> None:
    luck = random.Random(7)
    for _ in range(KILLS):
        await trial.feed(1500, 40)
        with started("run", trial.url) as worker:
            await until_it_works(trial)
            await asyncio.sleep(luck.random() * 0.3)
            assert worker.poll() is None
            worker.kill()
    await trial.finish()


async def test_two_workers_of_which_one_is_killed_share_the_work(trial: Trial) -> None:
    luck = random.Random(8)
    with started("run", trial.url) as steady:
        await trial.feed(100, 0)
        await until_it_works(trial)
        for _ in range(KILLS // 4):
            await trial.feed(1500, 40)
            with started("run", trial.url) as worker:
                await asyncio.sleep(0.8 + luck.random() * 0.5)
                worker.kill()
        assert steady.poll() is None
        steady.terminate()
        assert await asyncio.to_thread(steady.wait, 10) == 0
    await trial.finish()


async def test_workers_survive_every_end_of_the_database(trial: Trial, server: embedded.Server) -> None:
    luck = random.Random(9)
    with started("run", trial.url) as one, started("run", trial.url) as two:
        await trial.feed(100, 0)
        await until_it_works(trial)
        for round in range(10):
            await trial.feed(1500, 40)
            await asyncio.sleep(0.5 + luck.random())
            if round % 2:
                server.stop()
            else:
                postmaster = int((server.place.data / "postmaster.pid").read_text().splitlines()[0])
                os.kill(postmaster, signal.SIGKILL)
                await until(lambda: not server.running())
            await asyncio.sleep(luck.random() * 2)
            server.start()
        assert (one.poll(), two.poll()) == (None, None)
        for worker in (one, two):
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 10) == 0
    await trial.finish()


async def test_a_worker_that_was_frozen_beyond_its_leases_doubles_nothing(trial: Trial) -> None:
    with started("run", trial.url) as frozen:
        await trial.feed(6000, 1000)
        await until_it_works(trial)
        frozen.send_signal(signal.SIGSTOP)
        with started("run", trial.url):
            await asyncio.sleep(6)
            frozen.send_signal(signal.SIGCONT)
            await asyncio.sleep(2)
        assert frozen.poll() is None
    await trial.finish()


async def test_a_worker_told_to_stop_does_so_in_time_and_costs_no_attempt(trial: Trial) -> None:
    luck = random.Random(10)
    for _ in range(10):
        await trial.feed(500, 100)
        with started("run", trial.url) as worker:
            await until_it_works(trial)
            await asyncio.sleep(luck.random() * 0.2)
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 10) == 0
    con = await trial.connect()
    assert await con.fetchval("select coalesce(max(lost), 0) from data.job") == 0
    assert await con.fetchval("select count(*) from data.job where state = 'running'") == 0
    await con.close()
    await trial.finish()


async def test_a_poisonous_job_dies_and_its_neighbours_live(trial: Trial) -> None:
    database = await Database.open(trial.url, size=2)
    async with database.tx(trial.spaces[0]) as tx:
        for _ in range(3):
            await defer(tx, "trial.poison")
        await defer_many(tx, "trial.slow", [{"number": n} for n in range(20)])
    await database.close()
    restarts = 0
    while True:
        with started("drain", trial.url) as worker:
            if await asyncio.to_thread(worker.wait, 120) == 0:
                break
        restarts += 1
    con = await trial.connect()
    rows = await con.fetch("select kind, state, max(attempts), count(*) from data.job group by 1, 2 order by 1")
    await con.execute("delete from data.trial_effect; delete from data.job")
    await con.close()
    print("restarts", restarts, [tuple(row) for row in rows])
    # Each poisonous job takes its worker with it once at most; after that it dies alone.
    assert restarts <= 3
    assert [(row[0], row[1], row[3]) for row in rows] == [("trial.poison", "dead", 3), ("trial.slow", "done", 20)]
    assert rows[0][2] == 3
