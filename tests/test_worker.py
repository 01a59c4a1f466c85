"""`supover worker` as a program: it drains and ends, stops when told, and waits for a database that is away."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from supover.kit import clock, ids
from tests.conftest import clone

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def url() -> AsyncGenerator[str]:
    async with clone() as found:
        yield found


@contextmanager
def started(folder: Path, url: str, *words: str) -> Generator["subprocess.Popen[bytes]"]:
    env = os.environ | {"SUPOVER_DATABASE_URL": url, "SUPOVER_DATA_DIR": str(folder), "SUPOVER_LOG_FORMAT": "json"}
    line = [sys.executable, "-m", "supover.cli", "worker", *words]
    with subprocess.Popen(line, env=env, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def late_job(con: "Connection", kind: str) -> None:
    """A tick of a periodic job that nobody was there for."""
    await con.execute("select fence.job_defer_house($1, $2, '2024-01-01 03:17Z', 5)", ids.new(), kind)


async def test_draining_works_off_what_is_due_and_ends_with_0(tmp_path: Path, url: str) -> None:
    con: Connection = await asyncpg.connect(url)
    for kind in ("house.forget_jobs", "house.forget_answers", "house.expire_sessions"):
        await late_job(con, kind)
    with started(tmp_path, url, "--drain") as process:
        _, said = await asyncio.to_thread(process.communicate, timeout=50)
        assert process.returncode == 0, said
    late = "select count(*), count(*) filter (where state = 'done') from data.job where run_at < now()"
    assert tuple((await con.fetch(late))[0]) == (3, 3)
    assert b'"warning"' not in said
    assert await asyncio.to_thread(os.listdir, tmp_path) == []
    await con.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_stops_when_it_is_told_to(tmp_path: Path, url: str, number: signal.Signals) -> None:
    con: Connection = await asyncpg.connect(url)
    await late_job(con, "house.forget_jobs")
    with started(tmp_path, url) as process:
        for _ in range(5000):
            if await con.fetchval("select true from data.job where state = 'done'"):
                break
            await asyncio.sleep(0.01)
        asked_s = clock.monotonic_s()
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert clock.monotonic_s() - asked_s < 5
    await con.close()


async def test_a_worker_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    nowhere = f"postgresql://supover@/supover?host={tmp_path}"
    with started(tmp_path, nowhere) as process:
        assert process.stderr is not None
        assert b"the database is away" in await asyncio.to_thread(process.stderr.readline)
        assert process.poll() is None
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == 0
