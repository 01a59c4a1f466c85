"""Screens: how quick the list, a profile and the insights are for who looks at them, the server's share."""

import statistics
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
import httpx
import msgspec

from bench import machine, seed
from bench.house import House, drained
from supover.access import commands as access
from supover.access.model import NewStaff, operator
from supover.kit import clock, ids
from supover.orders import commands as orders

# What the seed leaves out, and the list is narrowed by: half of all customers have a phone, and live somewhere.
CONTACTS: Final = """
    update data.customer c
       set phone = case when p.lot % 2 = 0 then '+1555' || lpad(p.lot::text, 7, '0') end,
           country = (array['US','US','US','DE','FR','VN','GB','NO'])[1 + p.lot % 8]
      from (select id, (hashtext(id::text) & 2147483647) % 10000000 as lot from data.customer where workspace_id = $1) as p
     where c.workspace_id = $1 and c.id = p.id and c.country is null"""
PASSWORD: Final = "correct horse battery"
LISTS: Final = (
    "",
    "?sort=-totalSpent",
    "?sort=name",
    "?status=ACTIVE",
    "?status=VIP&sort=-totalSpent",
    "?country=VN&sort=-orderCount",
    "?minSpent=200",
    "?tag=newsletter",
    "?search=ann",
    "?search=seed77",
    "?search=5550123",
)
INSIGHTS: Final = ("", "/cohorts", "/rfm", "/churn", "/ltv", "/map", "/map?country=US")
TURNS: Final = 25
MANY: Final = 10_000
AT_ONCE: Final = 1_000
FROM: Final = 10_000_000
"""Their numbers are no other order's of a run."""


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds until the whole page was there: of lists all together and the median of the slowest, of others medians."""

    list_p95_ms: float
    list_p50_ms: float
    slowest_list: str
    slowest_list_ms: float
    profile_ms: float
    busy_profile_ms: float
    insights_ms: dict[str, float]
    stolen: float | None
    """The share of the cores' time that others had while lists were asked for."""
    list_spent_ms: dict[str, float]
    """The processor time of server and database for each kind of the list, on average: what others take does not show in it."""


async def measure(house: House) -> Measured:
    """The list in several orders and filters, a profile with ten orders and one with ten thousand, and the insights."""
    email = f"{ids.new().hex}@shop.example"
    async with house.database.tx(house.workspace_id, actor="cli") as tx:
        staff = NewStaff(email=email, name="Somebody", role="owner")
        await access.add_staff(tx, operator(house.workspace_id), staff, PASSWORD)
    headers = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=60) as browser:
        await browser.post("/sign-in", data={"email": email, "password": PASSWORD})
        quiet, busy = await _two(house)
        spent: dict[str, float] = {}
        with machine.watched() as share:
            lists = await _in_turns(browser, [f"/customers{asked}" for asked in LISTS], await _workers(house), spent)
        profiles = await _in_turns(browser, [f"/customers/{quiet}", f"/customers/{busy}"])
        insights = await _in_turns(browser, [f"/insights{page}" for page in INSIGHTS])
    took = [ms for of_one in lists.values() for ms in of_one]
    slowest = max(lists, key=lambda path: statistics.median(lists[path]))
    of_quiet, of_busy = (statistics.median(of_one) for of_one in profiles.values())
    return Measured(
        statistics.quantiles(took, n=20)[-1], statistics.median(took), slowest, statistics.median(lists[slowest]), of_quiet, of_busy,
        {path: statistics.median(of_one) for path, of_one in insights.items()}, share.stolen, spent,
    )  # fmt: skip


async def _in_turns(
    browser: httpx.AsyncClient,
    paths: list[str],
    workers: Sequence[int] = (),
    spent: dict[str, float] | None = None,
) -> dict[str, list[float]]:
    """How long each page took, again and again; one after the other, so that a busy moment falls on all of them.

    Adds to `spent` the processor time (ms) that these processes had for each page.
    """
    found: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(TURNS):
        for path in paths:
            before = machine.spent_s(workers)
            found[path].append(await _took(browser, path))
            if spent is not None and workers:
                spent[path] = spent.get(path, 0) + (machine.spent_s(workers) - before) * 1000 / TURNS
    return found


async def _workers(house: House) -> Sequence[int]:
    """The processes of server and database, where that can be seen."""
    if not machine.STAT.exists():
        return ()
    con = await asyncpg.connect(house.owner_url)
    try:
        own = await con.fetchval("select pg_backend_pid()")
        return [*machine.family(house.server_pid), *(pid for pid in machine.family(machine.parent(own)) if pid != own)]
    finally:
        await con.close()


async def _two(house: House) -> tuple[UUID, UUID]:
    """Customers who have ordered ten times and ten thousand times more, as it is told and counted."""
    con = await asyncpg.connect(house.owner_url)
    try:
        await con.execute(CONTACTS, house.workspace_id)
        quiet, busy = await con.fetch(
            "select id from data.customer where workspace_id = $1 limit 2", house.workspace_id
        )
        for n in range(0, MANY, AT_ONCE):
            taken = [seed.channel_order(FROM + n + k, busy[0]) for k in range(AT_ONCE)]
            taken += [seed.channel_order(FROM + MANY + k, quiet[0]) for k in range(10)] if n == 0 else []
            async with house.database.tx(house.workspace_id, actor="cli") as tx:
                await orders.take_in(tx, taken)
        await drained(house.database, house.workspace_id)
        await con.execute("vacuum analyze")
        return quiet[0], busy[0]
    finally:
        await con.close()


async def _took(browser: httpx.AsyncClient, path: str) -> float:
    started = clock.monotonic_s()
    answer = await browser.get(path)
    answer.raise_for_status()
    assert answer.status_code == 200, path
    return (clock.monotonic_s() - started) * 1000
