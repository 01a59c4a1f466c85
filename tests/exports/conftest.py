"""Each test has a shop of its own, a client with its key, and a folder that its files are kept in."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from supover import settings as configuration
from supover.exports import commands, jobs
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from tests.makers import Json, Workspace, api, application, make_workspace, shop

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

__all__ = ["api", "shop"]

Work = Callable[[Json], Awaitable[None]]


@pytest.fixture
async def other(db: Database) -> Workspace:
    """Another seller."""
    return await make_workspace(db)


@pytest.fixture(autouse=True)
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(
        state.settings, storage_url=tmp_path.as_uri(), public_url="http://shop.test", secret_key="k" * 40
    )
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path


CLAIM = """
    update data.job set state = 'running', worker = 'tests'
     where workspace_id = $1 and kind = $2 and singleton = $3 and state = 'queued'
    returning id"""


async def claim(
    db: Database, owner: "Connection", shop: Workspace, run: Json, kind: str = commands.JOB, *, last: bool = False
) -> JobContext:
    """The job of an export, as a worker has it."""
    id = await owner.fetchval(CLAIM, shop.id, kind, run["id"])
    assert id is not None, "its job is queued"
    found = JobContext(db, shop.id, id, kind, "tests")
    found.is_last_attempt = last
    return found


@pytest.fixture
def work(db: Database, owner: "Connection", shop: Workspace) -> Work:
    """Makes an export's file."""

    async def make(run: Json) -> None:
        ctx = await claim(db, owner, shop, run)
        await jobs.make(ctx, UUID(run["id"]))
        await owner.execute("update data.job set state = 'done' where id = $1", ctx.id)

    return make
