"""What one customer is worth: each figure by its definition."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from supover.channels.model import ChannelRefund
from supover.kit import clock
from supover.kit.db import Database, Reader
from supover.orders import rates
from supover.orders.rates import Rate
from tests.analytics.arrange import at, buy, roll_up, score
from tests.makers import Workspace, client, make_customer, make_key, make_workspace, told
from tests.orders.arrange import an_order, take

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


def analytics(id: object) -> str:
    return f"/api/customers/{id}/analytics"


@pytest.fixture
async def buyer(db: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, UUID]:
    """Orders of every kind, in a zone where days begin late: delivered, refunded, cancelled, in euros, without a rate."""
    shop = await make_workspace(db, timezone="America/New_York")
    at(monkeypatch, NOW)
    async with db.tx(shop.id) as tx:
        await rates.keep(tx, [Rate("EUR", date(2026, 8, 1), Decimal("1.5"))])
    back = [ChannelRefund(external_id="r", amount=Decimal("2.50"), refunded_at=datetime(2026, 7, 9, tzinfo=UTC))]
    taken = await take(
        db,
        shop,
        # In New York it is June still.
        an_order("1", "10.00", email="a@one.com", status="delivered", refunds=back, placed_at=datetime(2026, 7, 1, 2, tzinfo=UTC)),
        an_order("2", "20.00", email="a@one.com", currency="EUR", status="delivered", source="ETSY",
                 placed_at=datetime(2026, 8, 10, 2, tzinfo=UTC)),
        an_order("3", "30.00", email="a@one.com", placed_at=datetime(2026, 8, 10, 3, tzinfo=UTC)),
        an_order("4", "40.00", email="a@one.com", status="cancelled", placed_at=datetime(2026, 9, 1, tzinfo=UTC)),
        an_order("5", "50.00", email="a@one.com", currency="JPY", placed_at=datetime(2026, 9, 1, tzinfo=UTC)),
    )  # fmt: skip
    await buy(db, shop, "poor", [datetime(2026, 9, 1, tzinfo=UTC)], "1.00")
    await buy(db, shop, "rich", [datetime(2026, 9, 1, tzinfo=UTC)], "1000.00")
    await score(db, shop)
    await roll_up(db, shop)
    assert taken[0].customer_id is not None
    return shop, taken[0].customer_id


async def test_every_figure_is_what_it_is_defined_to_be(db: Database, buyer: tuple[Workspace, UUID]) -> None:
    shop, id = buyer
    async with client(db, shop.key) as api:
        found = told(await api.get(analytics(id)))
    days = (NOW - datetime(2026, 7, 1, 2, tzinfo=UTC)) / timedelta(days=1)
    assert found == {
        "customerId": str(id),
        "currency": "USD",
        "asOf": "2026-11-05T12:00:00Z",
        "value": {
            "lifetimeValue": "37.50",
            "totalSpent": "67.50",
            "averageOrderValue": "22.50",
            "orderCount": 3,
            "totalOrders": 2,
            "refundRate": 2.5 / 70,
            "shippingCost": None,
            "ltvNetOfShipping": None,
            "percentile": 67,
            "monthly": [
                {"month": "2026-06", "amount": "7.50", "orders": 1},
                {"month": "2026-07", "amount": "0.00", "orders": 0},
                {"month": "2026-08", "amount": "60.00", "orders": 2},
                {"month": "2026-09", "amount": "0.00", "orders": 0},
                {"month": "2026-10", "amount": "0.00", "orders": 0},
                {"month": "2026-11", "amount": "0.00", "orders": 0},
            ],
            "byChannel": [
                {"channel": "SHOPIFY", "amount": "37.50", "orders": 2, "share": 37.5 / 67.5},
                {"channel": "ETSY", "amount": "30.00", "orders": 1, "share": 30 / 67.5},
            ],
        },
        "frequency": {
            "purchaseFrequency": pytest.approx(30 * 3 / days),
            "averageDaysBetweenOrders": pytest.approx((40 + 1 / 24) / 2),
            "daysSinceLastOrder": 88,
            "firstOrderDate": "2026-07-01T02:00:00Z",
            "lastOrderDate": "2026-08-10T03:00:00Z",
        },
        "rfm": {"recency": 2, "frequency": 5, "monetary": 4, "group": "AT_RISK", "formerGroup": None},
        "prediction": {
            "status": "insufficient_data",
            "missing": ["A first model: one is trained every night, and by `supover analytics refresh`."],
            "repeatRate": None,
            "modelVersion": None,
        },
    }


async def test_one_order_has_no_days_between_and_none_has_nothing(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, NOW)
    one = await buy(db, shop, "one", [NOW - timedelta(hours=1)])
    none = await make_customer(api)
    assert told(await api.get(analytics(none["id"])))["rfm"] is None, "nobody was scored yet"
    await score(db, shop)
    await roll_up(db, shop)
    found = told(await api.get(analytics(one)))
    assert found["frequency"]["purchaseFrequency"] == 30, "at least a day is counted"
    assert found["frequency"]["averageDaysBetweenOrders"] is None
    assert found["frequency"]["daysSinceLastOrder"] == 0
    assert (found["value"]["percentile"], found["value"]["refundRate"]) == (100, 0)
    empty = told(await api.get(analytics(none["id"])))
    assert empty["value"] == {
        "lifetimeValue": "0.00", "totalSpent": "0.00", "averageOrderValue": "0.00", "orderCount": 0, "totalOrders": 0,
        "refundRate": None, "shippingCost": None, "ltvNetOfShipping": None, "percentile": None, "monthly": [], "byChannel": [],
    }  # fmt: skip
    assert set(empty["frequency"].values()) == {None}
    assert empty["rfm"] == {
        "recency": None, "frequency": None, "monetary": None, "group": "PROSPECTS", "formerGroup": None,
    }  # fmt: skip


async def test_orders_of_tomorrow_and_amounts_of_nothing_are_no_trouble(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, NOW)
    id = await buy(db, shop, "one", [NOW + timedelta(hours=12)], "0.00")
    await score(db, shop)
    await roll_up(db, shop)
    found = told(await api.get(analytics(id)))
    assert found["frequency"]["daysSinceLastOrder"] == 0
    assert found["frequency"]["purchaseFrequency"] == 30
    assert found["value"]["refundRate"] is None
    assert found["value"]["byChannel"] == [{"channel": "SHOPIFY", "amount": "0.00", "orders": 1, "share": None}]


async def test_the_percentile_is_of_those_who_spent_as_much_or_less(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    spent = [1, 5, 5, 5, 9, 12, 30]
    ids = [await buy(db, shop, f"n{n}", [NOW], Decimal(amount)) for n, amount in enumerate(spent)]
    await make_customer(api)
    await score(db, shop)
    found = [told(await api.get(analytics(id)))["value"]["percentile"] for id in ids]
    assert found == [-(-100 * sum(other <= amount for other in spent) // len(spent)) for amount in spent]


async def test_as_of_is_when_the_oldest_change_was_that_is_not_counted(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    before = clock.now()
    id = await buy(db, shop, "one", [NOW - timedelta(days=30)])
    waiting = told(await api.get(analytics(id)))
    await score(db, shop)
    counted = told(await api.get(analytics(id)))
    assert (
        before - timedelta(seconds=5)
        < datetime.fromisoformat(waiting["asOf"])
        < datetime.fromisoformat(counted["asOf"])
    )
    assert (waiting["value"]["orderCount"], counted["value"]["orderCount"]) == (0, 1)


MODEL = """
    insert into prediction_model (workspace_id, version, serving, method, as_of, horizon_days, customers, missing, parameters, fitted_at)
    values ($1, $2, $3, 'map', '2026-11-01', 90, 600, $4, '{}', now())"""
PREDICTED = """
    insert into customer_prediction (workspace_id, customer_id, version, churn_probability, churn_risk, expected_orders, predicted_value,
           next_order_on, value_at_stake)
    values ($1, $2, 2, 0.25, 'low', 2.5, 40, '2026-12-01', 10)"""


async def test_what_is_to_be_expected_is_said_or_what_is_missing_for_it(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    id = await buy(db, shop, "one", [NOW - timedelta(days=30)])
    other = await make_customer(api)
    await score(db, shop)
    async with db.tx(shop.id) as tx:
        await tx.run(MODEL, 1, "repeat_rate", ["490 more customers with an order"])

    async def said(id: object) -> Any:
        return told(await api.get(analytics(id)))["prediction"]

    assert await said(id) == {
        "status": "insufficient_data", "missing": ["490 more customers with an order"], "repeatRate": None, "modelVersion": 1,
    }  # fmt: skip
    async with db.tx(shop.id) as tx:
        await tx.run(MODEL, 2, "bgnbd", [])
        await tx.run(PREDICTED, id)
    predicted = await said(id)
    assert predicted.pop("reasons")
    assert predicted == {
        "status": "predicted", "churnProbability": 0.25, "churnRisk": "low", "horizonDays": 90, "expectedOrders": 2.5,
        "predictedValue": "40.00", "historicValue": "10.00", "totalValue": "50.00", "currency": "USD",
        "expectedNextOrderDate": "2026-12-01", "model": "bgnbd", "modelVersion": 2, "asOf": "2026-11-01",
    }  # fmt: skip
    assert (await said(other["id"]))["missing"] == ["An order of this customer that counts."]


async def test_merged_ids_lead_on_and_deleted_and_foreign_ones_nowhere(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    one, two, gone = [(await make_customer(api, name=name))["id"] for name in ("One", "Two", "Gone")]
    told(await api.post("/api/customers/merge", json={"primaryId": one, "duplicateIds": [two]}))
    merged = await api.get(analytics(two))
    assert (merged.status_code, merged.headers["location"]) == (308, analytics(one))
    told(await api.delete(f"/api/customers/{gone}"), 204)
    assert (await api.get(analytics(gone))).status_code == 404
    other = await make_workspace(db)
    async with client(db, other.key) as theirs:
        assert (await theirs.get(analytics(one))).status_code == 404
    assert "etag" not in (await api.get(analytics(one))).headers
    async with client(db, await make_key(db, shop.id, "customers:read")) as clerk:
        told(await clerk.get(analytics(one)))
    async with client(db, await make_key(db, shop.id, "analytics:read")) as analyst:
        assert (await analyst.get(analytics(one))).status_code == 403


async def test_it_takes_two_statements(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await buy(db, shop, "one", [NOW - timedelta(days=30)])
    await score(db, shop)
    asked: list[str] = []
    rows = Reader.rows

    async def counted(self: Reader, sql: str, *args: object) -> Any:
        asked.append(sql)
        return await rows(self, sql, *args)

    monkeypatch.setattr(Reader, "rows", counted)
    told(await api.get(analytics(id)))
    assert len([sql for sql in asked if "customer" in sql]) == 2


MANY = """
    insert into customer_day (workspace_id, customer_id, day, channel, country, region, orders, gross, refunded, net, is_first)
    select $1, $2, date '2023-09-01' + n, (array['SHOPIFY', 'ETSY', 'AMAZON'])[1 + n % 3], 'DE', '', 9, 90, 1, 89, n = 0
      from generate_series(0, 1110) as n"""


@pytest.mark.soak
async def test_a_customer_of_ten_thousand_orders_is_told_of_in_ten_milliseconds(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    """The quickest of many: the others say how busy the machine is."""
    id = await buy(db, shop, "one", [NOW - timedelta(days=30)])
    await score(db, shop)
    async with db.tx(shop.id) as tx:
        await tx.run(MANY, id)
    took: list[float] = []
    for _ in range(200):
        begun = clock.monotonic_s()
        told(await api.get(analytics(id)))
        took.append(clock.monotonic_s() - begun)
    assert min(took) < 0.010
