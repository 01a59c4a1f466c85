"""A house of its own for a run: PostgreSQL as `supover up` has it, a server, a workspace with a key."""

import asyncio
import csv
import hashlib
import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import msgspec

from supover.access import commands as access
from supover.access.model import NewKey, NewWorkspace, operator
from supover.kit import clock, embedded, ids, migrate
from supover.kit.db import Database

FIRST = "Anna Bob Carla Dinh Eve Farid Grace Hugo Iris Jon".split()
HEADER = ("externalId", "placedAt", "status", "total", "currency", "customerExternalId", "email", "name")


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


@asynccontextmanager
async def open_house() -> AsyncGenerator[House]:
    """Starts everything, durable as in production, and stops it."""
    with tempfile.TemporaryDirectory(prefix="supover-bench-") as folder:
        place = embedded.place(Path(folder) / "data")
        with embedded.server(place):
            await migrate.run(place.dsn())
            database = await Database.open(place.dsn())
            workspace_id = ids.new()
            async with database.tx(workspace_id, actor="cli") as tx:
                await access.create_workspace(tx, NewWorkspace(name="Bench", currency="USD", timezone="UTC"))
                made = await access.create_key(
                    tx, operator(workspace_id), NewKey(name="bench", scopes=["admin"]), most_a_minute=None
                )
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            env = {k: v for k, v in os.environ.items() if not k.startswith("SUPOVER_")} | {
                "SUPOVER_DATABASE_URL": place.dsn(),
                "SUPOVER_DATA_DIR": str(Path(folder) / "data"),
                "SUPOVER_PORT": str(port),
                "SUPOVER_LOG_LEVEL": "error",
            }
            server = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-m", "supover.cli", "serve"], env=env)
            try:
                url = f"http://127.0.0.1:{port}"
                await _ready(url)
                assert made.api_key is not None
                yield House(
                    url, place.dsn(), database, workspace_id, made.api_key, server.pid, place.programs, Path(folder)
                )
            finally:
                server.terminate()
                server.wait(15)
                await database.close()


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


def orders_file(folder: Path, rows: int) -> Path:
    """Orders of as many new customers, each with a buyer id, an email and a name."""
    rnd = random.Random(5)
    file = folder / "orders.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for i in range(rows):
            name = f"{FIRST[i % 10]} {hashlib.sha256(str(i).encode()).hexdigest()[:12]}"
            total = f"{rnd.randrange(500, 20000) / 100:.2f}"
            placed = f"2026-{1 + i % 10:02d}-{1 + i % 28:02d}T10:00:00Z"
            writer.writerow([f"o{i}", placed, "delivered", total, "USD", f"c{i}", f"user{i}@example{i % 97}.com", name])
    return file


def peak_mib(pid: int) -> float:
    """The most memory that a process has had, in MiB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")
