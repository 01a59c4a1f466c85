"""A workspace of its own for each test, and a client."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from supover import settings
from supover.kit.db import Database
from supover.settings import Settings
from tests.access.places import Client, Place, make_client, make_place


@pytest.fixture
async def place(db: Database) -> Place:
    return await make_place(db)


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    return settings.load({}, tmp_path)


@pytest.fixture
async def client(db: Database, configured: Settings) -> AsyncGenerator[Client]:
    async with make_client(db, configured) as found:
        yield found
        await found.authenticator.close()


@pytest.fixture(autouse=True)
async def nothing_counted(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Failed sign-ins of other tests, which share the database and the address, are nobody's here."""
    await owner.execute("delete from data.throttle")
