"""A hundred thousand hostile payloads through keeping and draining: none is lost, none breaks anything."""

import os

import pytest

from supover.inbox import commands
from supover.kit.db import Database
from tests.inbox.arrange import arrived, connected
from tests.inbox.hostile import payloads
from tests.inbox.test_hostile import agrees

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
COUNT = int(os.environ.get("SOAK_PAYLOADS", "100000"))
CHUNK = 2_000


async def test_hostile_payloads(db: Database) -> None:
    for seed in range(COUNT // CHUNK):
        async with connected(db) as shopify:
            every = [arrived(shopify, str(n), topic, raw) for n, (topic, raw) in enumerate(payloads(CHUNK, seed))]
            for start in range(0, CHUNK, 200):
                async with db.tx(shopify.workspace.id) as tx:
                    await commands.keep(tx, every[start : start + 200])
            await shopify.work()
            counts = await agrees(shopify, CHUNK)
            assert counts["applied"] > CHUNK // 10
