"""A part of a customer becomes a customer: orders and contacts that are another person's."""

import httpx

from supover.kit import ids
from supover.kit.db import Database
from tests.makers import (
    Json,
    Workspace,
    client,
    logged,
    make_address,
    make_customer,
    make_order,
    make_workspace,
    pointers,
    told,
)
from tests.merging.arrange import customer, differences, listed, merge, settle


async def mixed(api: httpx.AsyncClient) -> tuple[Json, Json]:
    """Ann, to whom her brother's orders came, and one of those."""
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com", status="VIP")
    told(await api.post(f"/api/customers/{ann['id']}/identities", json={"email": "bob@two.com"}), 201)
    order = await make_order(api, email="bob@two.com", name="Bob Lee", status="delivered")
    assert order["customerId"] == ann["id"]
    await make_order(api, ann, status="delivered", total="90.00")
    return ann, order


async def contact(api: httpx.AsyncClient, of: Json, value: str) -> str:
    """The id of a contact."""
    return next(c["id"] for c in await listed(api, f"/api/customers/{of['id']}/identities") if c["value"] == value)


async def test_chosen_orders_and_contacts_are_a_new_customers_and_later_orders_too(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, order = await mixed(api)
    place, note = (
        await make_address(api, ann),
        told(await api.post(f"/api/customers/{ann['id']}/notes", json={"note": "b"}), 201),
    )
    wanted = {
        "orderIds": [order["id"]],
        "identityIds": [await contact(api, ann, "bob@two.com")],
        "addressIds": [place["id"]],
        "noteIds": [note["id"]],
    }
    answer = await api.post(f"/api/customers/{ann['id']}/split", json=wanted)
    done = told(answer, 201)
    bob = done["customer"]
    assert answer.headers["location"] == f"/api/customers/{bob['id']}"
    assert (bob["name"], bob["email"], bob["status"]) == ("Bob Lee", "bob@two.com", "ACTIVE")
    assert done["moved"] == {"orders": 1, "identities": 1, "addresses": 1, "notes": 1}
    assert done["former"]["id"] == ann["id"]
    await settle(db, shop)
    assert ((await customer(api, ann["id"]))["lifetimeValue"], (await customer(api, bob["id"]))["lifetimeValue"]) == (
        "90.00",
        "10.00",
    )
    assert (await make_order(api, email="BOB@two.com"))["customerId"] == bob["id"]
    why = told(await api.get(f"/api/orders/{order['id']}/identity"))
    assert (why["method"], why["customerId"], why["evidence"]["former"]) == ("split", bob["id"], ann["id"])
    assert [one["id"] for one in await listed(api, f"/api/customers/{bob['id']}/addresses")] == [place["id"]]
    assert [one["id"] for one in await listed(api, f"/api/customers/{bob['id']}/notes")] == [note["id"]]
    [told_of] = await logged(db, shop, "CustomerSplit")
    assert told_of["newId"] == bob["id"]
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_the_two_are_not_suggested_as_duplicates_again(api: httpx.AsyncClient) -> None:
    ann, order = await mixed(api)
    wanted = {"orderIds": [order["id"]], "identityIds": [await contact(api, ann, "bob@two.com")], "name": "Ann Lee"}
    told(await api.post(f"/api/customers/{ann['id']}/split", json=wanted), 201)
    await make_order(api, email="bob@two.com", phone="+49 151 1000005", name="Ann Lee")
    await make_order(api, email="ann@one.com", phone="+49 151 1000005", name="Ann Lee")
    assert await listed(api, "/api/duplicates") == []


async def test_a_contact_that_stands_in_the_profile_leaves_it(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com", phone="+49 151 1000005")
    wanted = {"identityIds": [await contact(api, ann, "+49 151 1000005")], "name": "Bob Lee"}
    done = told(await api.post(f"/api/customers/{ann['id']}/split", json=wanted), 201)
    assert (done["customer"]["phone"], done["customer"]["email"]) == ("+49 151 1000005", None)
    assert (done["former"]["phone"], done["former"]["email"]) == (None, "ann@one.com")
    assert (await make_order(api, phone="+49-151-1000005", name="Bob Lee"))["customerId"] == done["customer"]["id"]


async def test_a_no_goes_with_both_and_a_yes_with_its_contact(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com", phone="+49 151 1000005")
    for choice in (
        {"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED"},
        {"channel": "sms", "topic": "marketing", "state": "SUBSCRIBED"},
        {"channel": "email", "topic": "surveys", "state": "SUBSCRIBED"},
    ):
        told(await api.put(f"/api/customers/{ann['id']}/communication-preferences", json=choice))
    wanted = {"identityIds": [await contact(api, ann, "+49 151 1000005")], "name": "Bob Lee"}
    bob = told(await api.post(f"/api/customers/{ann['id']}/split", json=wanted), 201)["customer"]
    said = told(await api.get(f"/api/customers/{bob['id']}/communication-preferences"))["preferences"]
    known = {(p["channel"], p["topic"]): p["state"] for p in said if p["state"] != "NOT_SUBSCRIBED"}
    assert known == {("email", "marketing"): "UNSUBSCRIBED", ("sms", "marketing"): "SUBSCRIBED"}
    where = f"/api/customers/{bob['id']}/communication-preferences/may-send"
    assert told(await api.get(where, params={"channel": "sms"}))["allowed"] is True


async def test_what_is_not_the_customers_is_named(api: httpx.AsyncClient, db: Database) -> None:
    ann, order = await mixed(api)
    other = await make_customer(api, name="Other")
    foreign = await make_order(api, other)
    async with client(db, (await make_workspace(db)).key) as elsewhere:
        strange = await make_order(elsewhere, await make_customer(elsewhere, name="Strange"))
    url = f"/api/customers/{ann['id']}/split"
    assert pointers(await api.post(url, json={})) == [""]
    wrong = {"orderIds": [order["id"], foreign["id"], strange["id"]], "noteIds": [str(ids.new())]}
    assert pointers(await api.post(url, json=wrong)) == ["/orderIds/1", "/orderIds/2", "/noteIds/0"]
    assert pointers(await api.post(url, json={"orderIds": [order["id"], order["id"]]})) == ["/orderIds/1"]
    assert pointers(await api.post(url, json={"orderIds": [order["id"]], "name": "x" * 201})) == ["/name"]
    assert (await api.post(f"/api/customers/{ids.new()}/split", json={"orderIds": [order["id"]]})).status_code == 404
    assert told(await api.get(f"/api/orders/{order['id']}"))["customerId"] == ann["id"]
    alone = await make_customer(api, email="only@one.com")
    refused = await api.post(
        f"/api/customers/{alone['id']}/split",
        json={"identityIds": [await contact(api, alone, "only@one.com")], "name": "Bob"},
    )
    assert told(refused, 409)["type"].endswith("nothing-to-split")


async def test_an_undo_after_a_split_says_what_went_elsewhere(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com")
    order = await make_order(api, twin)
    done = await merge(api, ann, twin)
    bob = told(
        await api.post(f"/api/customers/{ann['id']}/split", json={"orderIds": [order["id"]], "name": "Bob"}), 201
    )["customer"]
    undone = told(await api.post(f"/api/merges/{done['mergeId']}/undo"))["merge"]
    assert [(one["kind"], one["id"]) for one in undone["notPutBack"]] == [("orders", order["id"])]
    assert told(await api.get(f"/api/orders/{order['id']}"))["customerId"] == bob["id"]
