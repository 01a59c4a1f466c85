"""The report of what customers are worth."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from supover.channels.model import PostalAddress
from supover.kit.db import Database
from tests.analytics.arrange import at, buy, roll_up, score
from tests.makers import Workspace, make_customer, told

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
LTV = "/api/analytics/ltv"
DAY = timedelta(days=1)


def living_in(country: str) -> PostalAddress:
    return PostalAddress(recipient_name="Ann Lee", line1="1 Way", city="A", postal_code="10119", country=country)


@pytest.fixture
async def hundred(db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred customers of 1 to 100 dollars; every fourth ordered twice, every second is of Etsy and Germany; half are delivered."""
    at(monkeypatch, NOW)
    for n in range(1, 101):
        first = datetime(2026, 8 + n % 3, 10, 12, tzinfo=UTC)
        moments = [first, datetime(2026, 10, 20, 12, tzinfo=UTC)] if n % 4 == 0 else [first]
        place = living_in("DE") if n % 2 == 0 else living_in("US")
        await buy(
            db, shop, f"n{n}", moments, Decimal(n) / len(moments), source="ETSY" if n % 2 == 0 else "SHOPIFY",
            status="delivered" if n <= 50 else "shipped", shipping_address=place,
        )  # fmt: skip
    await score(db, shop)
    await roll_up(db, shop)


@pytest.mark.usefixtures("hundred")
async def test_worth_is_spread_over_customers(api: httpx.AsyncClient) -> None:
    await make_customer(api)
    found = told(await api.get(LTV, params={"basis": "counting"}))
    assert (found["currency"], found["basis"], found["asOf"]) == ("USD", "counting", "2026-11-05T12:00:00Z")
    spread = found["distribution"]
    assert (spread["customers"], spread["revenue"], spread["average"], spread["median"]) == (
        100, "5050.00", "50.50", "50.00",
    )  # fmt: skip
    assert {p["percentile"]: p["value"] for p in spread["percentiles"]} == {
        p: f"{p}.00" for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)
    }
    assert [(t["percent"], t["customers"], t["revenue"]) for t in spread["top"]] == [
        (1, 1, "100.00"), (5, 5, "490.00"), (10, 10, "955.00"), (20, 20, "1810.00"), (50, 50, "3775.00"),
    ]  # fmt: skip
    assert spread["top"][3]["share"] == 1810 / 5050
    bins = spread["histogram"]
    assert [(b["from"], b["to"], b["customers"]) for b in bins[:3]] == [
        ("0.00", "5.00", 4), ("5.00", "10.00", 5), ("10.00", "15.00", 5),
    ]  # fmt: skip
    assert (bins[-1]["from"], bins[-1]["to"], bins[-1]["customers"]) == ("95.00", None, 6)
    assert sum(b["customers"] for b in bins) == 100
    assert sum(Decimal(b["revenue"]) for b in bins) == 5050


@pytest.mark.usefixtures("hundred")
async def test_delivered_orders_are_meant_unless_told(api: httpx.AsyncClient) -> None:
    found = told(await api.get(LTV))
    assert found["basis"] == "delivered"
    assert (found["distribution"]["customers"], found["distribution"]["revenue"]) == (50, "1275.00")
    assert sum(one["customers"] for one in found["byChannel"]) == 50
    assert (await api.get(LTV, params={"basis": "all"})).status_code in (400, 422)


@pytest.mark.usefixtures("hundred")
async def test_worth_is_told_by_where_customers_came_from(api: httpx.AsyncClient) -> None:
    found = told(await api.get(LTV, params={"basis": "counting"}))
    even: dict[str, Any] = {"customers": 50, "revenue": "2550.00", "average": "51.00", "repeatRate": 0.5}
    odd: dict[str, Any] = {"customers": 50, "revenue": "2500.00", "average": "50.00", "repeatRate": 0}
    assert found["byChannel"] == [{"value": "ETSY", **even}, {"value": "SHOPIFY", **odd}]
    assert found["byCountry"] == [{"value": "DE", **even}, {"value": "US", **odd}]
    cohorts = {one["cohort"]: one for one in found["byCohort"]}
    assert list(cohorts) == ["2026-08", "2026-09", "2026-10"]
    of_august = [n for n in range(1, 101) if n % 3 == 0]
    first = sum(Decimal(n) / 2 if n % 4 == 0 else Decimal(n) for n in of_august)
    assert cohorts["2026-08"] == {
        "cohort": "2026-08",
        "customers": 33,
        "revenue": f"{sum(of_august)}.00",
        "average": "51.00",
        "cumulative": [f"{first / 33:.2f}", f"{first / 33:.2f}", "51.00"],
    }
    assert [len(one["cumulative"]) for one in cohorts.values()] == [3, 2, 1], "November is not over"


@pytest.mark.usefixtures("hundred")
async def test_the_report_is_a_table_too(api: httpx.AsyncClient) -> None:
    answer = await api.get(LTV, params={"basis": "counting", "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["by", "value", "customers", "revenue", "average", "repeatRate"]
    assert rows[1] == ["all", "", "100", "5050.00", "50.50", ""]
    assert rows[5:] == [
        ["channel", "ETSY", "50", "2550.00", "51.00", "0.5"],
        ["channel", "SHOPIFY", "50", "2500.00", "50.00", "0.0"],
        ["country", "DE", "50", "2550.00", "51.00", "0.5"],
        ["country", "US", "50", "2500.00", "50.00", "0.0"],
    ]


async def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    await buy(db, shop, "one", [NOW], "-0.00", source="=CMD()")
    await score(db, shop)
    await roll_up(db, shop)
    answer = await api.get(LTV, params={"basis": "counting", "format": "csv"})
    assert "\nchannel,'=CMD(),1,0.00,0.00,0.0\n" in answer.text


async def test_nobody_one_and_ten_are_no_trouble(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    nothing = told(await api.get(LTV))
    assert nothing["distribution"] == {
        "customers": 0, "revenue": "0.00", "average": None, "median": None, "percentiles": [], "histogram": [], "top": [],
    }  # fmt: skip
    assert nothing["byCohort"] == nothing["byChannel"] == nothing["byCountry"] == []
    assert (await api.get(LTV, params={"format": "csv"})).text.splitlines()[1:] == ["all,,0,0.00,,"]
    await buy(db, shop, "n0", [NOW - DAY], "5.00", status="delivered")
    await score(db, shop)
    one = told(await api.get(LTV))["distribution"]
    assert (one["customers"], one["median"]) == (1, "5.00")
    assert one["histogram"] == [{"customers": 1, "revenue": "5.00", "from": "5.00", "to": None}]
    assert {top["share"] for top in one["top"]} == {1.0}
    for n in range(1, 10):
        await buy(db, shop, f"n{n}", [NOW - DAY], "5.00", status="delivered")
    await score(db, shop)
    ten = told(await api.get(LTV))["distribution"]
    assert (ten["customers"], ten["average"]) == (10, "5.00")
    assert [top["customers"] for top in ten["top"]] == [1, 1, 1, 2, 5]
    assert ten["top"][3]["share"] == 0.2


@pytest.mark.parametrize("n", [2, 7, 23])
async def test_any_number_of_customers_is_spread_as_plain_python_does_it(
    db: Database, shop: Workspace, api: httpx.AsyncClient, n: int
) -> None:
    worth = [Decimal(1 + k * k % 11) for k in range(n)]
    for k, value in enumerate(worth):
        await buy(db, shop, f"n{k}", [NOW - DAY], value, status="delivered")
    await buy(db, shop, "gone", [NOW - DAY], "1000.00", status="delivered")
    await score(db, shop)
    [gone] = told(await api.get("/api/customers", params={"sort": "-totalSpent", "limit": "1"}))["data"]
    assert (await api.delete(f"/api/customers/{gone['id']}")).status_code == 204
    found = told(await api.get(LTV))["distribution"]
    assert (found["customers"], Decimal(found["revenue"])) == (n, sum(worth))
    down = sorted(worth, reverse=True)
    for one in found["percentiles"]:
        below = next(v for v in sorted(worth) if 100 * sum(w <= v for w in worth) >= one["percentile"] * n)
        assert Decimal(one["value"]) == below, one
    for one in found["top"]:
        many = next(k for k in range(n + 1) if 100 * k >= one["percent"] * n)
        assert (one["customers"], Decimal(one["revenue"])) == (many, sum(down[:many])), one
