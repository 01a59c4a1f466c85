"""A house of its own for a run: PostgreSQL as `supover up` has it, a server, a worker, a workspace with a key."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import msgspec

from supover.access import commands as access
from supover.access.model import NewKey, NewWorkspace, operator
from supover.analytics import commands as analytics
from supover.kit import clock, embedded, ids, migrate
from supover.kit.db import Database


class House(msgspec.Struct, frozen=True):
    """Where a run's house answers."""

    url: str
    owner_url: str
    database: Database
    workspace_id: UUID
    key: str
    server_pid: int
    bin: Path
    folder: Path
    environment: dict[str, str]


@asynccontextmanager
async def open_house() -> AsyncGenerator[House]:
    """Starts database and server, durable as in production, and stops them."""
    with tempfile.TemporaryDirectory(prefix="supover-bench-") as folder:
        place = embedded.place(Path(folder) / "data")
        with embedded.server(place):
            await migrate.run(place.dsn())
            database = await Database.open(place.dsn())
            workspace_id, key = await new_workspace(database)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            env = {k: v for k, v in os.environ.items() if not k.startswith("SUPOVER_") or k == "SUPOVER_WORKERS"} | {
                "SUPOVER_DATABASE_URL": place.dsn(),
                "SUPOVER_DATA_DIR": str(Path(folder) / "data"),
                "SUPOVER_PORT": str(port),
                "SUPOVER_LOG_LEVEL": "error",
            }
            server = await asyncio.to_thread(_start, "serve", env)
            try:
                url = f"http://127.0.0.1:{port}"
                await _ready(url)
                yield House(
                    url,
                    place.dsn(),
                    database,
                    workspace_id,
                    key,
                    server.pid,
                    place.programs,
                    Path(folder),
                    env,
                )
            finally:
                await database.close()
                server.terminate()
                server.wait(15)


async def new_workspace(database: Database) -> tuple[UUID, str]:
    """An empty workspace in US dollars, and a key to all of it without a rate limit."""
    workspace_id = ids.new()
    async with database.tx(workspace_id, actor="cli") as tx:
        await access.create_workspace(tx, NewWorkspace(name="Bench", currency="USD", timezone="UTC"))
        made = await access.create_key(
            tx, operator(workspace_id), NewKey(name="bench", scopes=["admin"]), most_a_minute=None
        )
    assert made.api_key is not None
    return workspace_id, made.api_key


async def drained(database: Database, workspace_id: UUID) -> int:
    """Recounts all that is stale; how many marks."""
    total = 0
    while True:
        async with database.tx(workspace_id) as tx:
            taken = await analytics.refresh(tx)
        total += taken
        if not taken:
            return total


@contextmanager
def worker(house: House) -> Generator[int]:
    """A worker for the length of a block; yields its process id."""
    process = _start("worker", house.environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _start(command: str, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "supover.cli", command], env=env, stdout=subprocess.DEVNULL)


async def _ready(url: str) -> None:
    until = clock.monotonic_s() + 60
    async with httpx.AsyncClient() as client:
        while clock.monotonic_s() < until:
            try:
                if (await client.get(url + "/health/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
    raise SystemExit("The server did not become ready.")
