"""Segments: how long a preview takes, and how long members take to be right again after many orders."""

import statistics
from uuid import UUID

import httpx
import msgspec

from bench import seed
from bench.house import House
from supover.analytics import commands as analytics
from supover.kit import clock
from supover.orders import commands as orders
from supover.segments import membership

NAMED = {
    "have ordered": "number_of_orders >= 1",
    "have ordered again": "number_of_orders >= 2",
    "spent most (rare)": "amount_spent > 3000",
    "at risk": "number_of_orders >= 2 AND last_order_date BETWEEN -365d AND -180d",
    "did not order lately (negated)": "NOT (last_order_date >= -180d)",
    "have a common tag": "customer_tags CONTAINS 'newsletter'",
    "have a rare tag": "customer_tags CONTAINS 'WHOLESALE'",
    "live in a country": "customer_countries CONTAINS 'DE' AND average_order_value > 100",
    "agreed to email, or are VIP": "email_subscription_status = 'SUBSCRIBED' OR status = 'VIP'",
    "bought an article (rare)": "products_purchased MATCHES (sku = 'SKU-7', quantity >= 2)",
    "bought anything much (common)": "products_purchased MATCHES (quantity >= 3, date >= -2y)",
    "never bought an article": "products_purchased NOT MATCHES (sku = 'SKU-7') AND number_of_orders > 0",
    "ordered three times in a year": "orders_placed MATCHES (date >= -1y, count >= 3)",
}
TIMES = 3


class Previewed(msgspec.Struct, frozen=True):
    """A preview's answer and how long it took, the median of three."""

    name: str
    count: int
    seconds: float


async def previews(house: House) -> list[Previewed]:
    """Each named filter, asked as people ask."""
    found: list[Previewed] = []
    async with httpx.AsyncClient(
        base_url=house.url, headers={"Authorization": f"Bearer {house.key}"}, timeout=120
    ) as client:
        for name, text in NAMED.items():
            took: list[float] = []
            count = 0
            for _ in range(TIMES):
                started = clock.monotonic_s()
                answer = await client.post("/api/segments/preview", json={"filter": text})
                took.append(clock.monotonic_s() - started)
                count = answer.raise_for_status().json()["count"]
            found.append(Previewed(name, count, statistics.median(took)))
    return found


async def settle(house: House) -> float:
    """Works off all marks and evaluations that wait; the seconds it took."""
    started = clock.monotonic_s()
    while await _analytics(house):
        pass
    while await _segments(house):
        pass
    return clock.monotonic_s() - started


async def evaluate(house: House) -> tuple[int, float]:
    """Looks at everybody for every segment that wants it: how many segments, and the seconds."""
    started = clock.monotonic_s()
    done = 0
    more = True
    while more:
        async with house.database.tx(house.workspace_id, actor="system") as tx:
            more = await membership.evaluate_next(tx)
        done += more
    return done, clock.monotonic_s() - started


async def after_orders(house: House, count: int) -> float:
    """Seconds from the last of so many orders until every figure and every segment has them."""
    async with house.database.reader(house.workspace_id) as db:
        buyers: list[UUID] = await db.column(
            "select c.id from customer c where c.workspace_id = $1 and c.source = 'SEED' order by c.id limit $2", count
        )
    for start in range(0, count, 1_000):
        some = [seed.channel_order(n, buyer) for n, buyer in enumerate(buyers[start : start + 1_000], start)]
        async with house.database.tx(house.workspace_id, actor="cli") as tx:
            await orders.take_in(tx, some)
    return await settle(house)


async def _analytics(house: House) -> int:
    async with house.database.tx(house.workspace_id, actor="system") as tx:
        return await analytics.refresh(tx)


async def _segments(house: House) -> int:
    async with house.database.tx(house.workspace_id, actor="system") as tx:
        return await membership.refresh(tx)
