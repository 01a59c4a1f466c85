"""Whatever happens to orders and customers, what is kept of roll-ups is what a rebuild makes, and what plain Python counts."""

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from supover import wiring
from supover.access import commands as access
from supover.access.model import WorkspaceChange
from supover.analytics import commands, rollups
from supover.channels.model import ChannelRefund, PostalAddress
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.proof import Difference
from supover.orders import rates
from supover.orders.rates import Rate
from supover.privacy import erasing
from supover.privacy.erasing import Files
from tests import makers
from tests.makers import Workspace, settle, told
from tests.orders.arrange import an_order, take
from tests.privacy.arrange import work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

wiring.load()

Tables = dict[str, set[tuple[Any, ...]]]

# --- what is kept, and what is counted -----------------------------------------------------------------------------------

KEPT: Final = {
    "customer_day": "customer_id, day, channel, country, region, orders, gross, refunded, net, is_first",
    "sales_day": "day, channel, country, region, buyers, newcomers, orders, gross, refunded, net",
    "cohort_cell": "grain, dimension, value, cohort, period, customers, orders, net, last_customers",
}


async def kept(owner: "Connection", shop: Workspace) -> Tables:
    """Every row of the roll-ups."""
    return {
        table: {tuple(row) for row in await owner.fetch(f"select {columns} from data.{table} where workspace_id = $1", shop.id)}
        for table, columns in KEPT.items()
    }  # fmt: skip


ORDERS: Final = """
    select o.id, o.customer_id, o.placed_at, o.source, o.shipping_address ->> 'country', o.shipping_address ->> 'state',
           o.billing_address ->> 'country', o.billing_address ->> 'state', c.country, o.total, o.refunded, o.exchange_rate
      from data."order" o
      join data.customer c on c.workspace_id = o.workspace_id and c.id = o.customer_id
      join data.workspace w on w.workspace_id = o.workspace_id
     where o.workspace_id = $1 and o.status = any(w.counting_statuses) and o.exchange_rate is not null"""


def begin(day: date, grain: str) -> date:
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else date(day.year, day.month - (day.month - 1) % 3, 1)


async def counted(owner: "Connection", shop: Workspace) -> Tables:
    """The same, counted one order after the other."""
    zone = ZoneInfo(await owner.fetchval("select timezone from data.workspace where workspace_id = $1", shop.id))
    fine = Decimal("0.0001")
    days: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0), Decimal(0), False])
    firsts: dict[UUID, tuple[datetime, UUID, tuple[Any, ...]]] = {}
    for id, who, at, source, ship, ship_state, bill, bill_state, home, total, back, rate in await owner.fetch(
        ORDERS, shop.id
    ):
        country, region = (ship, ship_state) if ship else (bill, bill_state) if bill else (home, None)
        key = (who, at.astimezone(zone).date(), source, country or "", region or "")
        gross, net = ((money * rate).quantize(fine, ROUND_HALF_UP) for money in (total, total - back))
        row = days[key]
        row[0] += 1
        row[1] += gross
        row[2] += gross - net
        row[3] += net
        if who not in firsts or (at, id) < firsts[who][:2]:
            firsts[who] = (at, id, key)
    for _, _, key in firsts.values():
        days[key][4] = True
    sales: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), Decimal(0), Decimal(0)])
    lives: dict[UUID, list[tuple[date, int, Decimal]]] = defaultdict(list)
    for (who, *key), (orders, gross, back, net, is_first) in days.items():
        row = sales[tuple(key)]
        for place, more in enumerate((1, int(is_first), orders, gross, back, net)):
            row[place] += more
        lives[who].append((key[0], orders, net))
    cells: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [set[UUID](), 0, Decimal(0), 0])
    for who, lived in lives.items():
        _, first, channel, country, _ = firsts[who][2]
        for grain in ("week", "month", "quarter"):
            last = begin(max(day for day, _, _ in lived), grain)
            for of in (("all", ""), ("channel", channel), ("country", country)):
                for day, orders, net in lived:
                    cell = cells[(grain, *of, begin(first, grain), begin(day, grain))]
                    cell[0].add(who)
                    cell[1] += orders
                    cell[2] += net
                cells[(grain, *of, begin(first, grain), last)][3] += 1
    return {
        "customer_day": {(*key, *row) for key, row in days.items()},
        "sales_day": {(*key, *row) for key, row in sales.items()},
        "cohort_cell": {(*key, len(row[0]), *row[1:]) for key, row in cells.items()},
    }


async def rebuilt(db: Database, owner: "Connection", shop: Workspace) -> Tables:
    """What a rebuild makes; it stays."""
    async with db.tx(shop.id) as tx:
        number = await rollups.rebuild(tx)
    found = await kept(owner, shop)
    assert len(found["customer_day"]) == number
    return found


def apart(one: Tables, other: Tables) -> Mapping[str, Any]:
    return {
        table: (one[table] - other[table], other[table] - one[table]) for table in one if one[table] != other[table]
    }


async def prove(db: Database, owner: "Connection", shop: Workspace) -> Tables:
    """All waiting customers are recounted; then kept, rebuilt and counted are the same, and the proof finds nothing."""
    await settle(db, shop)
    found = await kept(owner, shop)
    assert apart(found, await counted(owner, shop)) == {}
    assert await differences(db, shop) == []
    assert apart(found, await rebuilt(db, owner, shop)) == {}
    return found


async def differences(db: Database, shop: Workspace) -> list[Difference]:
    async with db.snapshot(shop.id) as reader:
        return (await rollups.reconcile(reader))[1]


# --- histories -----------------------------------------------------------------------------------------------------------


class World:
    """A shop in which anything happens, at random."""

    def __init__(self, db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, seed: int) -> None:
        self.db, self.owner, self.shop, self.api = db, owner, shop, api
        self.random = random.Random(seed)
        self.number = 0
        self.merges: list[str] = []

    def place(self) -> dict[str, str] | None:
        return self.random.choice(
            [
                None,
                {"country": "DE"},
                {"country": "US", "state": "CA"},
                {"country": "US", "state": "NY"},
                {"state": "Nowhere"},
            ]
        )

    async def living(self) -> list[str]:
        rows = await self.owner.fetch(
            "select id from data.customer where workspace_id = $1 and deleted_at is null order by id", self.shop.id
        )
        return [str(row[0]) for row in rows]

    async def orders(self) -> list[str]:
        rows = await self.owner.fetch('select id from data."order" where workspace_id = $1 order by id', self.shop.id)
        return [str(row[0]) for row in rows]

    async def order(self, external_id: str | None = None) -> None:
        """An order of somebody, new or known, at any time in two years; half come back changed."""
        self.number += external_id is None
        rnd = self.random
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=rnd.randrange(2 * 365 * 24 * 60) // 60 * 60)
        shipping, billing = self.place(), self.place()
        back = [ChannelRefund(external_id="r", amount=Decimal(rnd.randrange(1, 30)), refunded_at=at)]
        more: dict[str, Any] = {"email": f"p{rnd.randrange(8)}@mail.example"} if rnd.random() < 0.9 else {}
        await take(
            self.db,
            self.shop,
            an_order(
                external_id or f"o{self.number}",
                f"{rnd.randrange(5, 90)}.{rnd.randrange(10)}0",
                source=rnd.choice(["SHOPIFY", "ETSY"]) if external_id is None else external_id.partition("/")[0],
                status=rnd.choice(["confirmed", "delivered", "delivered", "cancelled", "pending"]),
                placed_at=at,
                currency=rnd.choice(["USD", "USD", "EUR", "GBP"]),
                shipping_address=None if shipping is None else PostalAddress(**shipping),
                billing_address=None if billing is None else PostalAddress(**billing),
                refunds=back if rnd.random() < 0.3 else None,
                **more,
            ),
        )

    async def again(self) -> None:
        """An order that is there comes again with other facts."""
        rows = await self.owner.fetch(
            'select source, external_id from data."order" where workspace_id = $1 and external_id is not null',
            self.shop.id,
        )
        source, external_id = self.random.choice(rows)
        rnd, place = self.random, self.place()
        await take(
            self.db,
            self.shop,
            an_order(
                external_id,
                f"{rnd.randrange(5, 90)}.00",
                source=source,
                status=rnd.choice(["confirmed", "delivered", "cancelled", "returned"]),
                placed_at=datetime(2023, 6, 1, tzinfo=UTC) + timedelta(hours=rnd.randrange(10_000)),
                updated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self.number),
                shipping_address=None if place is None else PostalAddress(**place),
            ),
        )

    async def step(self) -> None:
        rnd, api, living = self.random, self.api, await self.living()
        orders = await self.orders()
        match rnd.randrange(16) if len(living) > 2 else 0:
            case 0 | 1 | 2 | 3 | 4:
                await self.order()
            case 5 | 6:
                await self.again()
            case 7:
                change: dict[str, Any] = {"shippingAddress": self.place()}
                if rnd.random() < 0.3:
                    change = {"customerId": rnd.choice(living)}
                elif rnd.random() < 0.5:
                    change = {"exchangeRate": "1.25"}
                assert (await api.patch(f"/api/orders/{rnd.choice(orders)}", json=change)).status_code in (200, 422)
            case 8:
                answer = await api.post(f"/api/orders/{rnd.choice(orders)}/refund", json={"amount": "3.00"})
                assert answer.status_code in (200, 201, 409, 422)
            case 9:
                assert (await api.post(f"/api/orders/{rnd.choice(orders)}/cancel", json={})).status_code in (
                    200,
                    409,
                    422,
                )
            case 10:
                country = rnd.choice(["FR", "GB", None])
                told(await api.patch(f"/api/customers/{rnd.choice(living)}", json={"country": country}))
            case 11:
                told(await api.delete(f"/api/customers/{rnd.choice(living)}"), 204)
            case 12:
                both = rnd.sample(living, 2)
                done = told(
                    await api.post("/api/customers/merge", json={"primaryId": both[0], "duplicateIds": both[1:]})
                )
                self.merges.append(done["mergeId"])
            case 13 if self.merges:
                answer = await api.post(f"/api/merges/{self.merges.pop()}/undo")
                assert answer.status_code in (200, 409)
            case 14 if rnd.random() < 0.4:
                async with self.db.tx(self.shop.id) as tx:
                    await erasing.run(tx, [UUID(rnd.choice(living))], ids.new(), Files())
            case 15:
                statuses = rnd.choice(
                    [["delivered"], ["confirmed", "delivered", "returned"], ["confirmed", "delivered", "pending"]]
                )
                async with self.db.tx(self.shop.id) as tx:
                    await access.change_workspace(tx, WorkspaceChange(counting_statuses=statuses))
            case _:
                async with self.db.tx(self.shop.id) as tx:
                    day = date(2023, 1, 1) + timedelta(days=rnd.randrange(1200))
                    await rates.keep(tx, [Rate(rnd.choice(["EUR", "GBP"]), day, Decimal(rnd.randrange(90, 150)) / 100)])
                    while await rates.apply(tx):
                        pass


async def history(db: Database, owner: "Connection", seed: int, steps: int) -> None:
    zone = ("UTC", "America/New_York", "Asia/Kolkata")[seed % 3]
    shop = await makers.make_workspace(db, timezone=zone)
    async with makers.client(db, shop.key) as api:
        world = World(db, owner, shop, api, seed)
        for _ in range(6):
            await world.order()
        for n in range(steps):
            await world.step()
            if n % 4 == 3:
                await prove(db, owner, shop)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_is_what_is_rebuilt_and_counted(db: Database, owner: "Connection", seed: int) -> None:
    await history(db, owner, seed, steps=32)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 130))
async def test_long_histories_of_orders_are_kept(db: Database, owner: "Connection", seed: int) -> None:
    await history(db, owner, seed, steps=120)


# --- what happens to all of it -------------------------------------------------------------------------------------------


@pytest.fixture
async def sold(db: Database, shop: Workspace) -> UUID:
    """Somebody with an order late on the last day of January, and one in California; whose they are."""
    late = datetime(2024, 1, 31, 23, tzinfo=UTC)
    place = PostalAddress(line1="1 Main St", city="Fresno", country="US", state="CA")
    first, _ = await take(
        db,
        shop,
        an_order("1", "10.00", email="a@mail.example", placed_at=late),
        an_order("2", "20.00", email="a@mail.example", placed_at=late + timedelta(days=40), shipping_address=place),
    )
    await settle(db, shop)
    assert first.customer_id is not None
    return first.customer_id


async def test_another_zone_has_a_job_make_all_anew(
    db: Database, owner: "Connection", api: httpx.AsyncClient, shop: Workspace, sold: UUID
) -> None:
    before = await kept(owner, shop)
    assert {row[3] for row in before["cohort_cell"] if row[0] == "month"} == {date(2024, 1, 1)}
    told(await api.patch("/api/workspace", json={"timezone": "Asia/Tokyo"}))
    assert await kept(owner, shop) == before
    assert await work(db, owner, shop, "analytics.rebuild") == 1
    after = await prove(db, owner, shop)
    assert {row[3] for row in after["cohort_cell"] if row[0] == "month"} == {date(2024, 2, 1)}


async def test_other_statuses_that_count_are_followed_by_the_drain(
    db: Database, owner: "Connection", api: httpx.AsyncClient, shop: Workspace, sold: UUID
) -> None:
    told(await api.patch("/api/workspace", json={"countingStatuses": ["delivered"]}))
    assert await prove(db, owner, shop) == {"customer_day": set(), "sales_day": set(), "cohort_cell": set()}


async def test_of_who_is_erased_the_country_stays_and_the_region_goes(
    db: Database, owner: "Connection", shop: Workspace, sold: UUID
) -> None:
    async with db.tx(shop.id) as tx:
        await erasing.run(tx, [sold], ids.new(), Files())
    found = await prove(db, owner, shop)
    assert {row[3:5] for row in found["customer_day"]} == {("", ""), ("US", "")}


async def test_orders_without_a_country_follow_their_customer(
    db: Database, owner: "Connection", api: httpx.AsyncClient, shop: Workspace, sold: UUID
) -> None:
    told(await api.patch(f"/api/customers/{sold}", json={"country": "FR"}))
    found = await prove(db, owner, shop)
    assert {row[3:5] for row in found["customer_day"]} == {("FR", ""), ("US", "CA")}
    assert {row[2] for row in found["cohort_cell"] if row[1] == "country"} == {"FR"}


async def test_who_is_unmade_right_after_the_orders_went_leaves_nothing(
    db: Database, owner: "Connection", api: httpx.AsyncClient, shop: Workspace, sold: UUID
) -> None:
    other = await makers.make_customer(api, name="Bo Day")
    await owner.execute('update data."order" set customer_id = $2 where workspace_id = $1', shop.id, UUID(other["id"]))
    async with db.tx(shop.id) as tx:
        await commands.mark(tx, [UUID(other["id"])])
        await commands.remove(tx, [sold])
    await settle(db, shop)
    found = await kept(owner, shop)
    assert {row[0] for row in found["customer_day"]} == {UUID(other["id"])}
    assert apart(found, await counted(owner, shop)) == {}


async def test_rows_that_stay_as_they_are_are_not_written(
    db: Database, owner: "Connection", shop: Workspace, sold: UUID
) -> None:
    sql = "select array_agg(xmin::text order by xmin::text) from data.{} where workspace_id = $1"
    before = [await owner.fetchval(sql.format(table), shop.id) for table in KEPT]
    async with db.tx(shop.id) as tx:
        await commands.mark(tx, [sold])
    await settle(db, shop)
    assert [await owner.fetchval(sql.format(table), shop.id) for table in KEPT] == before


@pytest.mark.parametrize(
    ("change", "what", "field", "stored", "recounted"),
    [
        ("customer_day set net = net + 1 where day = '2024-01-31'", "customerDay", "2024-01-31/SHOPIFY///net", "11", "10"),
        ("customer_day set is_first = not is_first where country = 'US'", "customerDay", "2024-03-11/SHOPIFY/US/CA/isFirst",
         "true", "false"),
        ("sales_day set buyers = 2 where country = 'US'", "salesDay", "2024-03-11/SHOPIFY/US/CA/buyers", "2", "1"),
        ("cohort_cell set last_customers = 5 where grain = 'quarter' and dimension = 'all'", "cohortCell",
         "quarter/all//2024-01-01/2024-01-01/lastCustomers", "5", "1"),
        ("cohort_cell set net = 0 where grain = 'week' and dimension = 'channel' and period = '2024-03-11'", "cohortCell",
         "week/channel/SHOPIFY/2024-01-29/2024-03-11/net", "0", "20"),
    ],
)  # fmt: skip
async def test_what_drifted_is_named_and_a_rebuild_mends_it(
    db: Database,
    owner: "Connection",
    shop: Workspace,
    sold: UUID,
    change: str,
    what: str,
    field: str,
    stored: str,
    recounted: str,
) -> None:
    await owner.execute(f"update data.{change} and workspace_id = $1", shop.id)
    [found] = await differences(db, shop)
    assert (found.what, found.field, found.stored, found.recounted) == (what, field, stored, recounted)
    assert found.id == (sold if what == "customerDay" else shop.id)
    await rebuilt(db, owner, shop)
    assert await differences(db, shop) == []
