"""The report of recency, frequency and monetary value."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from supover.analytics import scoring
from supover.kit.db import Database
from tests.analytics.arrange import at, buy, score
from tests.makers import Workspace, client, make_customer, make_key, make_workspace, told

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RFM = "/api/analytics/rfm"


async def five(db: Database, shop: Workspace) -> None:
    """Five customers, each better than the one before, of 10, 20 … 50 dollars."""
    for n in range(5):
        await buy(db, shop, f"n{n}", [NOON - DAY * (10 - n) - timedelta(hours=k) for k in range(n + 1)], "10.00")


async def test_groups_have_words_sizes_and_shares(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    await five(db, shop)
    for _ in range(5):
        await make_customer(api)
    await score(db, shop)
    found = told(await api.get(RFM))
    assert (found["currency"], found["customers"], found["revenue"]) == ("USD", 5, "150.00")
    groups = {group["group"]: group for group in found["groups"]}
    assert list(groups) == [
        "CHAMPIONS", "LOYAL", "ACTIVE", "PROMISING", "NEW", "NEEDS_ATTENTION", "AT_RISK", "ALMOST_LOST", "PREVIOUSLY_LOYAL", "DORMANT",
        "PROSPECTS",
    ]  # fmt: skip
    assert groups["CHAMPIONS"] == {
        "group": "CHAMPIONS",
        "words": "Bought very recently, often, and spend the most.",
        "customers": 1,
        "share": 0.1,
        "revenue": "50.00",
        "revenueShare": 50 / 150,
        "averageOrderValue": "10.00",
        "recency": 5.0,
        "frequency": 5.0,
        "monetary": 5.0,
        "customersLastMonth": None,
    }
    assert (groups["PROSPECTS"]["customers"], groups["PROSPECTS"]["share"]) == (5, 0.5)
    assert groups["PROSPECTS"]["recency"] is groups["PROSPECTS"]["averageOrderValue"] is None
    assert sum(group["share"] for group in groups.values()) == pytest.approx(1)
    assert sum(Decimal(group["revenue"]) for group in groups.values()) == 150
    assert {(s["recency"], s["frequency"]): s["customers"] for s in found["grid"] if s["customers"]} == {
        (n, n): 1 for n in range(1, 6)
    }
    assert len(found["grid"]) == 25
    assert found["cuts"] == {
        "recency": ["2026-10-05T12:00:00Z", "2026-10-06T12:00:00Z", "2026-10-07T12:00:00Z", "2026-10-08T12:00:00Z"],
        "frequency": [1, 2, 3, 4],
        "monetary": ["10.00", "20.00", "30.00", "40.00"],
    }
    assert found["movement"] is None


async def test_before_anybody_was_scored_there_is_no_group(api: httpx.AsyncClient) -> None:
    await make_customer(api)
    found = told(await api.get(RFM))
    assert found == {
        "asOf": None, "currency": "USD", "customers": 0, "revenue": "0.00", "groups": [], "grid": [], "cuts": None, "movement": None,
    }  # fmt: skip


async def test_nobody_and_everybody_alike_are_no_trouble(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    await score(db, shop)
    empty = told(await api.get(RFM))
    assert empty["customers"] == 0
    assert [group["share"] for group in empty["groups"]] == [None] * 11
    for n in range(3):
        await buy(db, shop, f"n{n}", [NOON], "0.00")
    await score(db, shop)
    found = told(await api.get(RFM))
    assert {g["group"]: g["customers"] for g in found["groups"] if g["customers"]} == {"CHAMPIONS": 3}
    assert {g["revenueShare"] for g in found["groups"]} == {None}, "of nothing there is no share"
    assert found["cuts"] == {"recency": [None] * 4, "frequency": [None] * 4, "monetary": [None] * 4}


async def test_who_changed_groups_since_last_month_is_told(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, datetime(2026, 10, 20, tzinfo=UTC))
    await five(db, shop)
    await score(db, shop)
    at(monkeypatch, datetime(2026, 11, 2, tzinfo=UTC))
    await scoring.run(db, shop.id)
    calm = told(await api.get(RFM))["movement"]
    assert calm == {"month": "2026-10", "flows": []}
    await buy(db, shop, "n0", [NOON + k * DAY for k in range(6)], "100.00")
    await buy(db, shop, "new", [NOON + 9 * DAY], "1.00")
    await score(db, shop)
    found = told(await api.get(RFM))
    flows: list[dict[str, Any]] = found["movement"]["flows"]
    assert {"from": "DORMANT", "to": "CHAMPIONS", "customers": 1} in flows
    assert {"from": None, "to": "NEW", "customers": 1} in flows
    groups = {group["group"]: group for group in found["groups"]}
    assert (groups["DORMANT"]["customersLastMonth"], groups["CHAMPIONS"]["customersLastMonth"]) == (1, 1)
    assert (groups["NEW"]["customersLastMonth"], groups["NEW"]["customers"]) == (0, 1)
    moved = sum(flow["customers"] for flow in flows if flow["from"] == "DORMANT")
    arrived = sum(flow["customers"] for flow in flows if flow["to"] == "DORMANT")
    assert groups["DORMANT"]["customers"] == groups["DORMANT"]["customersLastMonth"] - moved + arrived


@pytest.mark.parametrize(("query", "accept"), [({"format": "csv"}, "application/json"), ({}, "text/csv, */*")])
async def test_the_groups_are_a_table(
    db: Database, shop: Workspace, api: httpx.AsyncClient, query: dict[str, str], accept: str
) -> None:
    await five(db, shop)
    await score(db, shop)
    answer = await api.get(RFM, params=query, headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="rfm.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    groups = told(await api.get(RFM))["groups"]
    assert rows == [{name: "" if value is None else str(value) for name, value in group.items()} for group in groups]


async def test_json_is_answered_where_it_is_asked_for(api: httpx.AsyncClient) -> None:
    told(await api.get(RFM, params={"format": "json"}, headers={"Accept": "text/csv"}))
    told(await api.get(RFM, headers={"Accept": "*/*"}))
    assert (await api.get(RFM, params={"format": "xml"})).status_code in (400, 422)


async def test_another_shop_and_who_may_not_read_reports_see_nothing(db: Database, shop: Workspace) -> None:
    await five(db, shop)
    await score(db, shop)
    other = await make_workspace(db)
    await score(db, other)
    async with client(db, other.key) as theirs:
        assert told(await theirs.get(RFM))["customers"] == 0
    async with client(db, await make_key(db, shop.id, "customers:read")) as clerk:
        assert (await clerk.get(RFM)).status_code == 403
    async with client(db, await make_key(db, shop.id, "analytics:read")) as analyst:
        assert told(await analyst.get(RFM))["customers"] == 5
