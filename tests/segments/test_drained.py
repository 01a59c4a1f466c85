"""What a worker leaves behind that has worked off everything there is."""

from collections.abc import AsyncGenerator
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.kit.db import Database
from supover.kit.worker import Worker
from tests.conftest import clone
from tests.makers import Workspace, make_customer, make_order
from tests.segments.arrange import found, look_again, members, segment


@pytest.fixture(scope="module")
async def database() -> AsyncGenerator[str]:
    async with clone() as url:
        yield url


@pytest.fixture(scope="module")
async def db(database: str) -> AsyncGenerator[Database]:
    """The application's door to a database with nobody else's work in it."""
    opened = await Database.open(database)
    yield opened
    await opened.close()


async def test_a_worker_that_has_drained_leaves_nothing_to_do(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    ann = await make_customer(api, name="Ann")
    await make_order(api, ann, total="25.00")
    one, gone = await segment(api, "Spenders", "amount_spent > 20"), await segment(api, "Gone", "status = 'ACTIVE'")
    await owner.execute(
        "update data.segment set wanted_at = now() - interval '2 minutes' where id = $1", UUID(gone["id"])
    )
    assert (await api.delete(f"/api/segments/{gone['id']}")).status_code == 204

    async def drain() -> None:
        kinds, names = ["segments.evaluate", "segments.forget"], ["analytics.refresh", "segments.refresh"]
        await Worker(db, kinds=kinds, names=names, poll_s=0.02).drain()

    await drain()
    now = await found(api, one["id"])
    assert (now["complete"], now["members"], now["refreshing"]) == (True, 1, False)
    assert await members(api, one["id"]) == {ann["id"]}
    assert await look_again(db, shop) == 0
    # An evaluation whose job was lost is begun again.
    async with db.tx(shop.id) as tx:
        await tx.run("update segment set wanted_at = now() - interval '2 minutes' where workspace_id = $1")
        await tx.run("update job set state = 'cancelled' where workspace_id = $1 and state = 'queued'")
    await drain()
    assert (await found(api, one["id"]))["refreshing"] is False
