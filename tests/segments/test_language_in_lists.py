"""The customers' list, narrowed by a filter."""

import random
from typing import Any

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Json, Workspace, api, client, make_customer, make_order, make_workspace, settle, shop, told

__all__ = ["api", "shop"]


@pytest.fixture
async def buyers(db: Database, shop: Workspace, api: httpx.AsyncClient) -> list[Json]:
    """Ann has three orders of ten, Bob one, Cem none and is a wholesaler, Dee one that is cancelled."""
    made = [await make_customer(api, name=name, tags=tags) for name, tags in
            (("Ann", ["gift"]), ("Bob", []), ("Cem", ["Wholesale"]), ("Dee", []))]  # fmt: skip
    for customer, status in ((0, "confirmed"), (0, "delivered"), (0, "delivered"), (1, "confirmed"), (3, "cancelled")):
        await make_order(api, made[customer], status=status, lines=[{"sku": "MUG", "quantity": customer + 1}])
    await settle(db, shop)
    return made


async def names(api: httpx.AsyncClient, text: str, **asked: Any) -> list[str]:
    """Who fits, in the list's order, page by page of two."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"filter": text, "limit": 2, "sort": "name", **asked} | ({"cursor": cursor} if cursor else {})
        page = told(await api.get("/api/customers", params=params))
        found += [c["name"] for c in page["data"]]
        if (cursor := page["nextCursor"]) is None:
            return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("number_of_orders >= 1", ["Ann", "Bob"]),
        ("NOT (number_of_orders = 1)", ["Ann", "Cem", "Dee"]),
        ("amount_spent BETWEEN 10 AND 29.99", ["Bob"]),
        ("last_order_date IS NULL", ["Cem", "Dee"]),
        ("NOT (last_order_date >= -1d)", ["Cem", "Dee"]),
        ("customer_tags CONTAINS 'WHOLESALE' OR customer_tags CONTAINS 'Gift'", ["Ann", "Cem"]),
        ("customer_tags NOT CONTAINS 'gift' AND number_of_orders < 1", ["Cem", "Dee"]),
        ("customer_tags IN ('WHOLESALE', 'Gift', 'nobody')", ["Ann", "Cem"]),
        ("customer_tags NOT IN ('gift', 'nobody')", ["Bob", "Cem", "Dee"]),
        ("products_purchased MATCHES (sku = 'MUG', date > -90d)", ["Ann", "Bob"]),
        ("products_purchased MATCHES (sku = 'MUG', quantity > 1)", ["Bob"]),
        ("products_purchased MATCHES (sku = 'MUG', count >= 3)", ["Ann"]),
        ("orders_placed NOT MATCHES (amount >= 10)", ["Cem", "Dee"]),
        ("lifetime_value = 20", ["Ann"]),
    ],
)
async def test_a_list_is_narrowed_by_a_filter(
    api: httpx.AsyncClient, buyers: list[Json], text: str, wanted: list[str]
) -> None:
    assert len(buyers) == 4
    assert await names(api, text) == wanted
    assert await names(api, text, sort="-name") == wanted[::-1]
    assert sorted(await names(api, text, sort="-totalSpent")) == wanted
    answer = told(await api.get("/api/customers", params={"filter": text, "count": True, "limit": 1}))
    assert answer["total"] == len(wanted)


async def test_a_filter_goes_with_everything_else_that_is_asked(api: httpx.AsyncClient, buyers: list[Json]) -> None:
    text = "number_of_orders >= 1 OR status = 'VIP'"
    assert await names(api, text, search="an") == ["Ann"]
    assert await names(api, text, tag="gift") == ["Ann"]
    assert await names(api, text, minOrders=3) == ["Ann"]
    told(await api.delete(f"/api/customers/{buyers[1]['id']}"), 204)
    assert await names(api, text) == ["Ann"]
    assert await names(api, text, include="deleted") == ["Ann", "Bob"]
    page = told(await api.get("/api/customers", params={"filter": "number_of_orders = 0", "page": 2, "limit": 1}))
    assert len(page["data"]) == 1


async def test_a_filter_that_cannot_be_read_is_refused_at_its_character(api: httpx.AsyncClient) -> None:
    refused = told(
        await api.get("/api/customers", params={"filter": "number_of_orders >= 1 AND amount_spend > 5"}), 422
    )
    assert refused["errors"] == [
        {
            "pointer": "filter",
            "code": "unknown",
            "message": "amount_spend is not a field; did you mean amount_spent?",
            "position": 26,
        }
    ]
    for text in ("", "x" * 1000, "'", "number_of_orders = 1 --", "customer_name = 5"):
        answer = await api.get("/api/customers", params={"filter": text})
        assert isinstance(told(answer, 422)["errors"][0]["position"], int)


async def test_a_filter_sees_its_own_workspace_only(db: Database, buyers: list[Json]) -> None:
    assert buyers
    other = await make_workspace(db)
    async with client(db, other.key) as theirs:
        for text in ("number_of_orders >= 0", "NOT (number_of_orders = 7)", "products_purchased MATCHES (sku = 'MUG')"):
            assert told(await theirs.get("/api/customers", params={"filter": text, "count": True}))["total"] == 0
        await make_customer(theirs, name="Eve")
        assert await names(theirs, "products_purchased NOT MATCHES (sku = 'MUG')") == ["Eve"]


async def test_days_are_the_workspaces(db: Database) -> None:
    workspace = await make_workspace(db, timezone="Pacific/Auckland")
    async with client(db, workspace.key) as api:
        customer = await make_customer(api, name="Kiri")
        # Half past midnight on the first of February there.
        await make_order(api, customer, placed_at="2026-01-31T11:30:00Z")
        await settle(db, workspace)
        assert await names(api, "last_order_date = 2026-02-01") == ["Kiri"]
        assert await names(api, "last_order_date <= 2026-01-31") == []
        assert await names(api, "orders_placed MATCHES (date = 2026-02-01)") == ["Kiri"]


async def test_what_can_be_asked_is_told_with_the_workspaces_own_fields(api: httpx.AsyncClient) -> None:
    told(await api.post("/api/custom-fields", json={"key": "Size", "type": "choice", "choices": ["S", "M"]}), 201)
    language = told(await api.get("/api/segments/fields"))
    asked = {one["name"]: one for one in language["fields"]}
    assert language["timezone"] == "UTC"
    assert asked["custom.Size"] == {
        "name": "custom.Size",
        "kind": "choice",
        "words": "Size",
        "operators": ["=", "IN", "IS NULL"],
        "choices": ["S", "M"],
        "example": "custom.Size = 'S'",
        "fields": [],
    }
    assert {one["name"] for one in asked["products_purchased"]["fields"]} >= {"sku", "quantity", "date", "count"}
    assert asked["number_of_orders"]["operators"] == ["=", "<", "<=", ">", ">=", "BETWEEN", "IN"]
    for one in asked.values():
        told(await api.post("/api/segments/preview", json={"filter": one["example"]}))


async def test_ten_times_thirty_hostile_previews_are_422_at_a_character(api: httpx.AsyncClient) -> None:
    rnd = random.Random(3)
    # fmt: off
    pieces = [
        *"()'\"=<>!;-- \\%_\x00é😀",
        "AND",
        "OR",
        "NOT",
        "number_of_orders",
        "CONTAINS",
        "NULL",
        "1",
        "-90d",
        "'; drop table customer; --",
    ]
    for _ in range(300):
        text = " ".join(rnd.choice(pieces) for _ in range(rnd.randrange(1, 12)))
        answer = await api.post("/api/segments/preview", json={"filter": text})
        if answer.status_code != 200 and text.strip():
            assert all(isinstance(e["position"], int) for e in told(answer, 422)["errors"]), text
    for text in (
        "(" * 5000 + "number_of_orders = 1" + ")" * 5000,
        "number_of_orders = 1 AND " * 5000 + "number_of_orders = 1",
    ):
        assert told(await api.post("/api/segments/preview", json={"filter": text}), 422)["errors"][0]["position"] >= 0
