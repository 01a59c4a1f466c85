"""One server a run, one template database migrated once, one clone of it a worker.

Tests share their worker's clone and keep apart by a workspace of their own (`tests/makers.py`).
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from uuid import uuid4

import asyncpg
import hypothesis
import pytest

from supover.kit import embedded, migrate
from supover.kit.db import Database
from tests.clusters import without_clusters

SERVER = "SUPOVER_TEST_SERVER"  # how the workers learn the address
TEMPLATE = "template_supover"
LONG = ("tests/stories/", "tests/test_up.py")
STACK = contextlib.ExitStack()

# How long an example takes says how busy the machine is; pytest-timeout watches the whole.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """The controller, or a run without workers, starts the server; the workers inherit its address."""
    for name in [n for n in os.environ if n.startswith("SUPOVER_") and n != SERVER]:
        if name not in {"SUPOVER_POSTGRES_BIN", "SUPOVER_POSTGRES_USER"}:
            del os.environ[name]  # a developer's own settings are no part of the tests
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.help:
        return
    place = STACK.enter_context(embedded.throwaway())
    os.environ[SERVER] = place.dsn("{}")
    asyncio.run(_template())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: at the end one worker would wait for the other."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the server where it was started."""
    del config
    STACK.close()


def address(name: str) -> str:
    """The owner's URL of a database of this run's server."""
    return os.environ[SERVER].replace("{}", name)


async def _template() -> None:
    root = await asyncpg.connect(address("postgres"))
    await root.execute(f"create database {TEMPLATE} strategy file_copy")
    await root.close()
    await migrate.run(address(TEMPLATE))


@contextlib.asynccontextmanager
async def clone() -> AsyncGenerator[str]:
    """The owner's URL of a database of one's own: a worker works off everything that it finds, of every test before."""
    name = f"own_{uuid4().hex}"
    root = await asyncpg.connect(address("postgres"))
    await root.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    try:
        yield address(name)
    finally:
        await root.execute(f"drop database {name} with (force)")
        await root.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Generator[Path]:
    """A data folder that is not there yet; its cluster is removed afterwards."""
    with without_clusters(tmp_path):
        yield tmp_path / "data folder"


@pytest.fixture(scope="session")
async def database(worker_id: str) -> str:
    """The owner's URL of this worker's database."""
    name = f"test_{worker_id}"
    root = await asyncpg.connect(address("postgres"))
    await root.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    await root.close()
    return address(name)


@pytest.fixture
async def owner(database: str) -> "AsyncGenerator[asyncpg.Connection[asyncpg.Record]]":
    """A connection of the tables' owner, to look behind the fence and to arrange what no command does."""
    con = await asyncpg.connect(database)
    yield con
    await con.close()


@pytest.fixture(scope="session")
async def db(database: str) -> AsyncGenerator[Database]:
    """The application's door to this worker's database, as its role."""
    found = await Database.open(database)
    yield found
    await found.close()
