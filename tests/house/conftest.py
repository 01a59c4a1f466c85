"""A database with two full shops in it, made once a run; and the house's application on this worker's database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from tests.conftest import TEMPLATE, address

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

BIG, OTHER, EMPTY = (UUID(f"00000000-0000-7000-8000-00000000000{n}") for n in (1, 2, 3))
"""The two full shops, and one that is nobody's."""

FILLED = Path(__file__).with_name("filled.sql").read_text("utf-8")

APP = {"role": "supover_app", "search_path": "fence, ext"}
OWNER = {"search_path": "data, ext, fence"}

QUIET = """
    do $$ declare t regclass; begin
        for t in select oid from pg_class where relnamespace = 'data'::regnamespace and relkind = 'r' loop
            execute format('alter table %s set (autovacuum_enabled = false)', t);
        end loop;
    end $$"""


@asynccontextmanager
async def connected(dsn: str, **settings: str) -> AsyncGenerator["Connection"]:
    """A connection with these settings, for as long as the block lasts."""
    con: Connection = await asyncpg.connect(dsn, server_settings=settings)
    try:
        yield con
    finally:
        await con.close()


async def _shared(name: str, script: str = "select 1") -> str:
    """The owner's URL of a database that all workers share. Whoever comes first makes it, the others wait."""
    async with connected(address("postgres")) as root:
        await root.execute("select pg_advisory_lock(1)")
        if not await root.fetchval("select 1 from pg_database where datname = $1", name):
            await root.execute(f"create database making_{name} template {TEMPLATE} strategy file_copy")
            async with connected(address(f"making_{name}")) as con:
                await con.execute(script)
                # What the planner knows stays the same from now on, and with it the plans.
                await con.execute(QUIET)
                await con.execute("vacuum (analyze)")
            await root.execute(f"alter database making_{name} rename to {name}")
    return address(name)


@pytest.fixture(scope="session")
async def filled() -> str:
    """The owner's URL of a database with two full shops. All workers share it: whoever writes rolls back."""
    return await _shared("filled", FILLED)


@pytest.fixture(scope="session")
async def pristine() -> str:
    """The owner's URL of a migrated database without a row, shared like the filled one."""
    return await _shared("pristine")
