"""Whether somebody has an account, or a shop is connected, cannot be told from how long an answer takes."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg
import pytest

from supover.kit import ids
from supover.kit.db import Database
from tests import makers
from tests.house import contract
from tests.house.world import PASSWORD, make_shop
from tests.inbox.arrange import connected, signature

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
TRIES = 250


async def test_known_and_unknown_accounts_are_refused_in_the_same_time(db: Database, owner: "Connection") -> None:
    shop = await make_shop(db, owner, ("agent",))
    known, _ = shop.people["agent"]
    took: dict[str, list[float]] = {known: [], f"nobody-{ids.new().hex}@shop.example": []}
    async with makers.client(db) as browser:
        for n in range(TRIES):
            # In turns, so that whatever else the machine does falls on both alike.
            for email in sorted(took, reverse=bool(n % 2)):
                await contract.forget_attempts(db, owner)
                started = time.perf_counter()
                answer = await browser.post("/api/session", json={"email": email, "password": f"not {PASSWORD}"})
                took[email].append(time.perf_counter() - started)
                assert answer.status_code == 401
    assert _apart(took) < 0.05, took


async def test_known_and_unknown_connections_are_refused_in_the_same_time(db: Database) -> None:
    raw = b'{"id": 1}'
    async with connected(db) as shopify:
        await shopify.send("orders/create", raw)
        wrong = shopify.headers("orders/create", raw, X_Shopify_Hmac_Sha256=signature(b"other"))
        took: dict[str, list[float]] = {"known": [], "unknown": []}
        for n in range(2 * TRIES):
            which = "known" if n % 2 else "unknown"
            path = f"/hooks/channels/{shopify.id if n % 2 else ids.new()}"
            started = time.perf_counter()
            answer = await shopify.api.post(path, content=raw, headers=wrong)
            took[which].append(time.perf_counter() - started)
            assert answer.status_code == 401
    assert _apart(took) < 0.1, took


def _apart(took: Mapping[str, Sequence[float]]) -> float:
    # The lower quartile is what the machine's other work moves least.
    one, other = (statistics.quantiles(found, n=4)[0] for found in took.values())
    return abs(one - other) / min(one, other)
