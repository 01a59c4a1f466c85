"""Shops with something to report: a story of a few hundred orders, and one with enough of them for predictions."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from supover.analytics import fitting, scoring
from supover.channels.model import ChannelOrder, ChannelRefund, PostalAddress
from supover.kit import clock
from supover.kit.db import Database
from tests.analytics import days
from tests.makers import Workspace, settle
from tests.orders.arrange import an_order, take

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

PLACES: Final = (("US", "CA"), ("US", "New York"), ("DE", "BE"), ("VN", "Hà Nội"))
CHANNELS: Final = ("SHOPIFY", "ETSY", "TIKTOK_SHOP")


async def sell(db: Database, shop: Workspace) -> None:
    """A hundred customers come over nine months; every second one comes back, every fourth often. Figures are counted."""
    today = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    orders = [order for n in range(100) for order in _life(n, today)]
    for at in range(0, len(orders), 200):
        await take(db, shop, *orders[at : at + 200])
    await settle(db, shop)
    await scoring.run(db, shop.id)


def _life(n: int, today: datetime) -> list[ChannelOrder]:
    first = today - timedelta(days=270 - 27 * n // 10)
    country, state = PLACES[n % 4]
    found: list[ChannelOrder] = []
    for k in range(8 if n % 4 == 0 else 2 if n % 2 == 0 else 1):
        placed_at = first + timedelta(days=30 * k, hours=1)
        if placed_at > today:
            break
        total = f"{10 + n % 7 * 5 + k}.00"
        back = (
            [ChannelRefund(external_id=f"r{n}", amount=Decimal(placed_at.day % 3 + 1), refunded_at=placed_at)]
            if n % 10 == 0
            else None
        )
        found.append(
            an_order(
                f"{n}-{k}", total, email=f"buyer{n}@mail.example", name=f"Buyer {n}", placed_at=placed_at, refunds=back,
                source=CHANNELS[n % 3], shipping_address=PostalAddress(country=country, state=state), status="delivered",
            )
        )  # fmt: skip
    return found


def lives(customers: int, today: date, seed: int = 11) -> list[days.Day]:
    """Customers as the model of buying imagines them, with every day on which they ordered."""
    rng = np.random.default_rng(seed)
    found: list[days.Day] = []
    for n in range(customers):
        rate, stop = rng.gamma(0.7, 1 / 6.0), rng.beta(0.6, 2.5)
        at, age, own = 0.0, rng.uniform(0.2, 80), float(rng.uniform(10, 90))
        while at <= age:
            day = today - timedelta(days=int((age - at) * 7))
            found.append((str(n), day, round(own * float(rng.uniform(0.5, 1.5)), 2)))
            if rng.random() < stop:
                break
            at += rng.exponential(1 / max(rate, 1e-9))
    return found


SALES = """
    insert into data.sales_day (workspace_id, day, channel, country, region, buyers, newcomers, orders, gross, refunded, net)
    select d.workspace_id, d.day, d.channel, d.country, d.region, count(*), count(*) filter (where d.is_first), sum(d.orders),
           sum(d.gross), sum(d.refunded), sum(d.net)
      from data.customer_day d where d.workspace_id = $1
     group by d.workspace_id, d.day, d.channel, d.country, d.region"""


async def predict(db: Database, shop: Workspace, owner: "Connection", customers: int = 700) -> None:
    """So many customers with orders enough for predictions, which are made."""
    await days.write(owner, shop.id, lives(customers, clock.now().date()))
    await owner.execute(SALES, shop.id)
    await fitting.refresh(db, shop.id, lambda: db.tx(shop.id))


async def fit(db: Database, shop: Workspace) -> None:
    """What the night does: predictions are made, or what lacks for them is kept."""
    await fitting.refresh(db, shop.id, lambda: db.tx(shop.id))
