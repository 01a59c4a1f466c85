"""Who was erased does not come back by what is older, and may by a new order."""

from typing import TYPE_CHECKING

import httpx

from supover.kit.db import Database
from tests.inbox.arrange import Connected, connected, payload
from tests.makers import Json, Workspace, make_customer, make_order, told
from tests.privacy.arrange import EMAIL, NAME, PHONE, ask, dump, make_somebody, mentions, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ADA = ("ada.quill", "inkmail", "quill", "5035550142", "cannery")


async def _erase(shopify: Connected, owner: "Connection", customer_id: str) -> Json:
    request = await ask(shopify.api, {"id": customer_id})
    await work(shopify.db, owner, shopify.workspace)
    return told(await shopify.api.get(f"/api/privacy/erasures/{request['id']}"))


async def test_a_late_version_of_an_old_order_moves_its_state_and_tells_nothing_of_the_person(
    db: Database, owner: "Connection"
) -> None:
    async with connected(db) as shopify:
        await shopify.take("orders/create", payload("order_created"))
        order = await shopify.order()
        certificate = await _erase(shopify, owner, order["customerId"])
        assert certificate["rows"]["inbox_message"] == 1
        late = await shopify.take("orders/cancelled", payload("order_cancelled"))
        assert (late["status"], late["reason"], late["hasBody"]) == ("applied", "the person was erased here", False)
        again = await shopify.order()
        assert (again["status"], again["customerId"], again["total"]) == (
            "cancelled",
            order["customerId"],
            order["total"],
        )
        assert (again["email"], again["note"], again["tags"]) == (None, None, [])
        await shopify.take("customers/update", payload("customer_updated"))
        [told_of] = await shopify.messages(topic="customers/update")
        assert (told_of["status"], told_of["hasBody"]) == ("ignored", False)
        assert await shopify.customers() == []
        assert mentions(await dump(owner, shopify.workspace.id), ADA) == []


async def test_an_old_order_that_was_never_seen_hangs_on_the_erased_customer(db: Database, owner: "Connection") -> None:
    async with connected(db) as shopify:
        await shopify.take("customers/create", payload("customer_created"))
        [ada] = await shopify.customers()
        await _erase(shopify, owner, ada["id"])
        taken = await shopify.take("orders/create", payload("order_created"))
        assert (taken["status"], taken["customerId"], taken["hasBody"]) == ("applied", ada["id"], False)
        order = await shopify.order()
        assert (order["customerId"], order["name"], order["needsReview"]) == (ada["id"], None, False)
        assert told(await shopify.api.get(f"/api/orders/{order['id']}/identity"))["method"] == "erased"
        assert mentions(await dump(owner, shopify.workspace.id), ADA) == []


async def test_an_order_that_is_placed_after_the_erasure_is_a_new_customers(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    await ask(api, ann)
    await work(db, owner, shop)
    old = await make_order(
        api, external_id="1", email="ann@lee.example", name="Ann Lee", placed_at="2026-01-01T00:00:00Z"
    )
    new = await make_order(api, external_id="2", email="ann@lee.example", name="Ann Lee")
    assert (old["customerId"], old["email"]) == (ann["id"], None)
    assert new["email"] == "ann@lee.example"
    assert new["customerId"] not in (None, ann["id"])
    late = await make_order(api, external_id="3", email="Ann@Lee.example", placed_at="2026-01-02T00:00:00Z")
    assert (late["customerId"], late["email"]) == (ann["id"], None)


async def test_a_file_does_not_bring_anybody_back_and_says_so_without_their_cells(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    await ask(api, zoe)
    await work(db, owner, shop)
    rows = [
        "email,name,phone,externalId,source",
        f"{EMAIL.upper()},{NAME},,,",
        f",Zoe Q,{PHONE},,",
        ",Zoe R,,7700000000123,SHOPIFY",
        "new@person.example,New Person,,,",
    ]
    file = ("customers.csv", "\n".join(rows).encode())
    run = told(await api.post("/api/customers/import", files={"file": file}), 202)
    await work(db, owner, shop)
    done = told(await api.get(f"/api/imports/{run['id']}"))
    assert (done["status"], done["created"], done["failed"]) == ("completed_with_errors", 1, 3)
    errors = (await api.get(f"/api/imports/{run['id']}/errors.csv")).text
    # In each of the rows once as the reason, and once among all reasons.
    assert errors.count("the person was erased here") == 2 * 3
    assert mentions(await dump(owner, shop.id), (EMAIL, "quillfeather", "2345-6789", "7700000000123")) == []
    [new] = told(await api.get("/api/customers"))["data"]
    assert new["email"] == "new@person.example"


async def test_an_old_history_of_orders_stays_anonymous(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    await ask(api, zoe)
    await work(db, owner, shop)
    rows = ["externalId,total,placedAt,currency,email,name,line1,country,note"]
    rows += [f"h-{n},10.00,2025-0{n}-01,USD,{EMAIL},{NAME},Nebelhornstr. 1,DE,gift of aunt" for n in (1, 2)]
    told(await api.post("/api/orders/import", files={"file": ("orders.csv", "\n".join(rows).encode())}), 202)
    await work(db, owner, shop)
    orders = told(await api.get("/api/orders", params={"customerId": zoe["id"]}))["data"]
    assert sorted(o["externalId"] for o in orders) == ["h-1", "h-2", "o-1"]
    assert {(o["email"], o["name"], o["note"]) for o in orders} == {(None, None, None)}
    assert mentions(await dump(owner, shop.id)) == []
