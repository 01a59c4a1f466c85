"""Screens: how quick the list and a profile are for who looks at them, the server's share."""

import statistics
from typing import Final
from uuid import UUID

import asyncpg
import httpx
import msgspec

from bench.house import House
from supover.access import commands as access
from supover.access.model import NewStaff, operator
from supover.kit import clock, ids

ORDERS: Final = """
    insert into data."order" (workspace_id, id, source, external_id, customer_id, status, currency, total, exchange_rate, placed_at)
    select $1, gen_random_uuid(), 'API', 'many' || i, $2, 'delivered', 'USD', 10, 1, now() - i * interval '1 minute'
      from generate_series(1, $3) i"""
PASSWORD: Final = "correct horse battery"
LISTS: Final = (
    "",
    "?sort=-totalSpent",
    "?sort=name",
    "?status=ACTIVE",
    "?search=ann",
    "?search=seed77",
    "?country=US&sort=-orderCount",
)
TURNS: Final = 25
MANY: Final = 10_000


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds until the whole page was there."""

    list_p95_ms: float
    list_p50_ms: float
    profile_ms: float
    busy_profile_ms: float


async def measure(house: House) -> Measured:
    """The list in several orders and filters, a profile with ten orders, and one with ten thousand."""
    email = f"{ids.new().hex}@shop.example"
    async with house.database.tx(house.workspace_id, actor="cli") as tx:
        staff = NewStaff(email=email, name="Somebody", role="owner")
        await access.add_staff(tx, operator(house.workspace_id), staff, PASSWORD)
    headers = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=60) as browser:
        await browser.post("/sign-in", data={"email": email, "password": PASSWORD})
        quiet, busy = await _two(house)
        took = [await _took(browser, f"/customers{asked}") for _ in range(TURNS) for asked in LISTS]
        profiles = [await _took(browser, f"/customers/{quiet}") for _ in range(TURNS)]
        of_busy = [await _took(browser, f"/customers/{busy}") for _ in range(TURNS)]
    return Measured(
        statistics.quantiles(took, n=20)[-1], statistics.median(took), statistics.median(profiles), statistics.median(of_busy)
    )  # fmt: skip


async def _two(house: House) -> tuple[UUID, UUID]:
    con = await asyncpg.connect(house.owner_url)
    try:
        rows = await con.fetch("select id from data.customer where workspace_id = $1 limit 2", house.workspace_id)
        for row, orders in zip(rows, (10, MANY), strict=True):
            await con.execute(ORDERS.replace("'many'", f"'many{orders}-'"), house.workspace_id, row[0], orders)
        await con.execute('analyze data."order"')
        return rows[0][0], rows[1][0]
    finally:
        await con.close()


async def _took(browser: httpx.AsyncClient, path: str) -> float:
    started = clock.monotonic_s()
    answer = await browser.get(path)
    answer.raise_for_status()
    assert answer.status_code == 200, path
    return (clock.monotonic_s() - started) * 1000
