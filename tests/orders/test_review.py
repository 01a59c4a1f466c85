"""Orders that nobody could be found for, and orders that wait: what the staff do about them, over HTTP."""

from uuid import uuid4

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer, make_key, make_order, make_workspace, pointers, settle, told


async def waiting(api: httpx.AsyncClient, **asked: str) -> list[str]:
    page = told(await api.get("/api/orders", params={"count": "true", "sort": "createdAt", **asked}))
    assert page["total"] == len(page["data"])
    return [order["id"] for order in page["data"]]


async def test_an_order_without_a_buyer_is_listed_given_one_and_counted(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    known = await make_customer(api, name="Ann Lee", email="ann@mail.example")
    first, second = [await make_order(api, number=number) for number in ("#1", "#2")]
    await make_order(api, known)
    assert await waiting(api, needsReview="true") == [first["id"], second["id"]]
    assert await waiting(api, needsReview="false", customerId=known["id"]) != []
    path = f"/api/orders/{first['id']}"
    given = told(await api.patch(path, json={"customerId": known["id"]}, headers={"If-Match": '"1"'}))
    assert (given["customerId"], given["needsReview"], given["version"]) == (known["id"], False, 2)
    assert await waiting(api, needsReview="true") == [second["id"]]
    await settle(db, shop)
    assert told(await api.get(f"/api/customers/{known['id']}"))["totalSpent"] == "20.00"
    why = told(await api.get(f"{path}/identity"))
    assert (why["method"], why["customerId"], why["history"][0]["method"]) == ("customer_id", known["id"], "none")
    [entry] = told(await api.get("/api/audit", params={"subjectId": first["id"], "action": "orders.change"}))["data"]
    assert {(c["field"], c["old"], c["new"]) for c in entry["changes"]} == {
        ("customerId", None, known["id"]),
        ("needsReview", True, False),
    }
    kinds = [event["type"] for event in told(await api.get(f"/api/customers/{known['id']}/timeline"))["data"]]
    assert "OrderReassigned" in kinds
    # Given to another one, both are counted anew.
    other = await make_customer(api, name="Bea Moss")
    told(await api.patch(path, json={"customerId": other["id"]}))
    await settle(db, shop)
    spent = [told(await api.get(f"/api/customers/{c['id']}"))["totalSpent"] for c in (known, other)]
    assert spent == ["10.00", "10.00"]


async def test_an_order_can_be_looked_at_without_giving_it_a_buyer(api: httpx.AsyncClient) -> None:
    order = await make_order(api)
    done = told(await api.patch(f"/api/orders/{order['id']}", json={"needsReview": False}))
    assert (done["customerId"], done["needsReview"]) == (None, False)
    assert await waiting(api, needsReview="true") == []


async def test_a_buyer_must_be_a_living_customer_of_the_same_shop(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    order = await make_order(api)
    gone = await make_customer(api)
    told(await api.delete(f"/api/customers/{gone['id']}"), 204)
    async with client(db, (await make_workspace(db)).key) as stranger:
        theirs = await make_customer(stranger)
    for id in (gone["id"], theirs["id"], str(uuid4()), order["id"]):
        assert pointers(await api.patch(f"/api/orders/{order['id']}", json={"customerId": id})) == ["/customerId"]
    async with client(db, await make_key(db, shop.id, "orders:read")) as reader:
        told(await reader.patch(f"/api/orders/{order['id']}", json={"needsReview": False}), 403)
    assert await waiting(api, needsReview="true") == [order["id"]]


async def test_an_order_is_held_with_a_reason_listed_and_released(api: httpx.AsyncClient) -> None:
    blocked = await make_customer(api, name="Bob Hold")
    told(await api.post(f"/api/customers/{blocked['id']}/block"))
    held = await make_order(api, blocked)
    assert (held["onHold"], bool(held["holdReason"])) == (True, True)
    other = await make_order(api, await make_customer(api))
    path = f"/api/orders/{other['id']}"
    told(await api.patch(path, json={"onHold": True, "holdReason": "The address looks wrong."}))
    assert await waiting(api, onHold="true") == [held["id"], other["id"]]
    for id in (held["id"], other["id"]):
        free = told(await api.patch(f"/api/orders/{id}", json={"onHold": False}))
        assert (free["onHold"], free["holdReason"]) == (False, None)
    assert await waiting(api, onHold="true") == []
    entries = told(await api.get("/api/audit", params={"subjectId": other["id"]}))["data"]
    assert [{c["field"]: c["new"] for c in e["changes"]} for e in entries if e["action"] == "orders.change"] == [
        {"onHold": False, "holdReason": None},
        {"onHold": True, "holdReason": "The address looks wrong."},
    ]
