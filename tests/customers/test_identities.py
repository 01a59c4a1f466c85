"""Contacts over HTTP: shown, added, moved, removed; where their orders go, and that the figures stay true."""

import asyncio
from typing import Any

import httpx

from supover.analytics import commands as analytics
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import (
    Json,
    Workspace,
    client,
    logged,
    make_customer,
    make_key,
    make_order,
    make_workspace,
    pointers,
    settle,
    told,
)


async def contacts(api: httpx.AsyncClient, customer: Json) -> list[Json]:
    """A customer's contacts, the newest first."""
    return told(await api.get(f"/api/customers/{customer['id']}/identities"))["data"]


async def contact(api: httpx.AsyncClient, customer: Json, value: str) -> Json:
    """The one contact of a customer with this value."""
    [found] = [one for one in await contacts(api, customer) if one["value"] == value]
    return found


async def read(api: httpx.AsyncClient, customer: Json) -> Json:
    """The customer as it is now."""
    return told(await api.get(f"/api/customers/{customer['id']}"))


async def orders_of(api: httpx.AsyncClient, customer: Json) -> set[str]:
    """The ids of a customer's orders."""
    return {o["id"] for o in told(await api.get(f"/api/customers/{customer['id']}/orders"))["data"]}


async def add(api: httpx.AsyncClient, customer: Json, **body: Any) -> httpx.Response:
    return await api.post(f"/api/customers/{customer['id']}/identities", json=body)


async def move(api: httpx.AsyncClient, customer: Json, identity: Json, to: Json, **more: Any) -> httpx.Response:
    path = f"/api/customers/{customer['id']}/identities/{identity['id']}/move"
    return await api.post(path, json={"customerId": to["id"], **more})


async def proven(db: Database, shop: Workspace) -> None:
    """Every stored figure is what a recount says."""
    await settle(db, shop)
    async with db.snapshot(shop.id) as reader:
        _, differences = await analytics.reconcile(reader)
    assert differences == []


# --- shown -----------------------------------------------------------------------------------------------------------


async def test_the_profiles_own_contacts_are_listed(api: httpx.AsyncClient) -> None:
    ann = await make_customer(
        api, name="Ann", email="Ann@x.org", phone="020 7946 0018", country="GB", source="ETSY", external_id="7"
    )
    by_kind = {one["kind"]: one for one in await contacts(api, ann)}
    common = {
        "customerId": ann["id"],
        "quality": "real",
        "matchedBy": "profile",
        "isHub": False,
        "isOwn": True,
        "lastSeenAt": None,
        "version": 1,
    }
    nothing = {"externalId": None, "email": None, "phone": None, "source": None, "shop": None}
    for kind, said in (
        ("channel", {"source": "ETSY", "shop": "", "externalId": "7", "value": "7"}),
        ("email", {"email": "Ann@x.org", "value": "Ann@x.org"}),
        ("phone", {"phone": "020 7946 0018", "value": "020 7946 0018"}),
    ):
        one = by_kind.pop(kind)
        assert one == {
            "id": one["id"],
            "kind": kind,
            **nothing,
            **said,
            **common,
            "createdAt": one["createdAt"],
        }
        path = f"/api/customers/{ann['id']}/identities/{one['id']}"
        answer = await api.get(path)
        assert (told(answer), answer.headers["etag"]) == (one, '"1"')
        assert (await api.get(path, headers={"If-None-Match": '"1"'})).status_code == 304
    assert by_kind == {}


async def test_what_orders_brought_says_how_it_was_matched_and_when_it_was_seen_last(api: httpx.AsyncClient) -> None:
    first = await make_order(
        api, source="ETSY", shop="mugs", customer_external_id="7", email="ann@x.org", name="Ann Lee",
        placed_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    await make_order(
        api, source="ETSY", email="ann@x.org", phone="+14155552671", name="Ann", placed_at="2026-02-01T00:00:00Z"
    )
    await make_order(
        api, source="ETSY", shop="mugs", customer_external_id="7", email="r7@marketplace.amazon.com",
        placed_at="2026-03-01T00:00:00Z",
    )  # fmt: skip
    ann = {"id": first["customerId"]}
    seen = {
        one["value"]: (one["quality"], one["matchedBy"], one["isOwn"], one["lastSeenAt"])
        for one in await contacts(api, ann)
    }
    assert seen == {
        "7": ("real", "new", True, "2026-03-01T00:00:00Z"),
        "ann@x.org": ("real", "new", True, "2026-02-01T00:00:00Z"),
        "+14155552671": ("real", "email", True, "2026-02-01T00:00:00Z"),
        "r7@marketplace.amazon.com": ("relay", "channel_identity", False, "2026-03-01T00:00:00Z"),
    }


async def test_the_list_is_paged_and_counted(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    for n in range(5):
        await add(api, ann, email=f"ann{n}@x.org")
    everything = [one["value"] for one in await contacts(api, ann)]
    assert everything == [f"ann{n}@x.org" for n in (4, 3, 2, 1, 0)]
    path = f"/api/customers/{ann['id']}/identities"
    page = await api.get(path, params={"limit": 2, "count": "true"})
    seen = [one["value"] for one in told(page)["data"]]
    assert told(page)["total"] == 5
    while "link" in page.headers:
        page = await api.get(page.headers["link"][1:].partition(">")[0])
        seen += [one["value"] for one in told(page)["data"]]
    assert seen == everything
    assert pointers(await api.get(path, params={"kind": "email"})) == ["kind"]


# --- added -----------------------------------------------------------------------------------------------------------


async def test_orders_that_come_with_an_added_contact_are_the_customers(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@x.org", phone="+14155550100")
    answer = await add(api, ann, email="Ann.Lee@work.example.org")
    email = told(answer, 201)
    assert (email["kind"], email["matchedBy"], email["isOwn"]) == ("email", "given", False)
    assert answer.headers["location"] == f"/api/customers/{ann['id']}/identities/{email['id']}"
    assert answer.headers["etag"] == '"1"'
    told(await add(api, ann, phone="+1 415 555 2671"), 201)
    told(await add(api, ann, source="SHOPIFY", shop="a.example", externalId="9"), 201)
    orders: list[Json] = [
        {"email": "ann.lee+x@WORK.example.org"},
        {"phone": "+1 (415) 555-2671", "name": "Ann"},
        {"source": "SHOPIFY", "shop": "a.example", "customer_external_id": "9"},
    ]
    for order in orders:
        assert (await make_order(api, **order))["customerId"] == ann["id"], order
    assert (await make_order(api, source="SHOPIFY", shop="b.example", customer_external_id="9"))["customerId"] != ann[
        "id"
    ]
    assert (await read(api, ann))["email"] == "ann@x.org"


async def test_an_added_contact_fills_what_the_profile_lacks(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", source="ETSY", country="GB")
    for body in ({"email": "ann@x.org"}, {"phone": "020 7946 0018"}, {"source": "ETSY", "externalId": "7"}):
        assert told(await add(api, ann, **body), 201)["isOwn"] is True
    told(await add(api, ann, source="SHOPIFY", externalId="8"), 201)
    now = await read(api, ann)
    assert (now["email"], now["phone"], now["externalId"], now["source"]) == ("ann@x.org", "020 7946 0018", "7", "ETSY")
    assert now["version"] == 4
    relay = told(await add(api, ann, email="x7@marketplace.amazon.com"), 201)
    assert (relay["quality"], relay["isOwn"]) == ("relay", False)


async def test_adding_what_is_there_changes_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann.lee@gmail.com")
    [own] = await contacts(api, ann)
    for spelling in ("ann.lee@gmail.com", "AnnLee+shop@googlemail.com"):
        assert told(await add(api, ann, email=spelling), 200) == own
    assert await contacts(api, ann) == [own]
    headers = {"Idempotency-Key": "once"}
    path = f"/api/customers/{ann['id']}/identities"
    first = await api.post(path, json={"email": "ann@x.org"}, headers=headers)
    again = await api.post(path, json={"email": "ann@x.org"}, headers=headers)
    assert told(first, 201) == told(again, 201)
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_another_customer_has_is_409_and_the_two_are_suggested(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(
        api, name="Ann Lee", email="ann@x.org", phone="+14155552671", source="ETSY", externalId="7"
    )
    anna = await make_customer(api, name="Ann", source="ETSY")
    before = await contacts(api, anna)
    for body in (
        {"email": "ANN+x@x.org"},
        {"phone": "+1 (415) 555-2671"},
        {"source": "ETSY", "externalId": "7"},
        {"email": "ann@x.org"},
    ):
        answer = await add(api, anna, **body)
        problem = told(answer, 409)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["customerId"] == ann["id"], body
        assert problem["type"].endswith("/identity-taken")
        assert "/api/duplicates" in problem["detail"]
    assert await contacts(api, anna) == before
    [pair] = told(await api.get("/api/duplicates?suggested=true"))["data"]
    assert {pair["a"]["id"], pair["b"]["id"]} == {ann["id"], anna["id"]}
    assert (pair["level"], pair["status"]) == ("suggested", "open")
    assert pair["reasons"] == ["somebody gave the one the other's email", "first names go together"]
    suspected = await logged(db, shop, "DuplicateSuspected")
    assert len(suspected) == 1, "what is suspected already is not told again"


async def test_a_profile_that_is_given_anothers_email_is_suggested_too(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@x.org")
    bo, a = await make_customer(api, name="Bo Chang"), await make_customer(api, name="A. Lee")
    for other, pairs in ((bo, []), (a, [("suggested", {ann["id"], a["id"]})])):
        taken = await api.patch(f"/api/customers/{other['id']}", json={"email": "ann@x.org"})
        assert told(taken, 409)["customerId"] == ann["id"]
        found = told(await api.get("/api/duplicates"))["data"]
        # Where the first names do not go together it was a slip.
        assert [(pair["level"], {pair["a"]["id"], pair["b"]["id"]}) for pair in found] == pairs, other["name"]


async def test_a_shared_phone_is_told_apart_by_the_name(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", phone="+14155552671")
    bo = await make_customer(api, name="Bo Lee", phone="+14155550100")
    assert told(await add(api, bo, phone="+14155552671", isShared=True), 201)["matchedBy"] == "given"
    assert (await make_order(api, phone="+14155552671", name="Bo Lee"))["customerId"] == bo["id"]
    assert (await make_order(api, phone="+14155552671", name="Ann"))["customerId"] == ann["id"]


async def test_a_deleted_customer_holds_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org", source="ETSY", external_id="7")
    bo = await make_customer(api, name="Bo")
    await api.delete(f"/api/customers/{ann['id']}")
    told(await add(api, bo, email="ann@x.org"), 201)
    told(await add(api, bo, source="ETSY", externalId="7"), 201)
    assert told(await api.post(f"/api/customers/{ann['id']}/restore"), 409)["customerId"] == bo["id"]


async def test_what_is_no_contact_is_named_and_changes_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    for body, pointer in (
        ({}, ""),
        ({"email": "a@x.org", "phone": "+14155552671"}, ""),
        ({"email": "ann"}, "/email"),
        ({"email": ""}, "/email"),
        ({"phone": "none"}, "/phone"),
        ({"externalId": "7"}, "/source"),
        ({"externalId": "guest", "source": "ETSY"}, "/externalId"),
        ({"externalId": "x" * 256, "source": "ETSY"}, "/externalId"),
        ({"externalId": "7", "source": "x" * 41}, "/source"),
        ({"externalId": "7", "source": "ETSY", "shop": "x" * 256}, "/shop"),
        ({"externalId": "7", "source": "ETSY", "isShared": True}, "/isShared"),
        ({"email": "a@x.org", "source": "ETSY"}, "/source"),
        ({"email": "a@x.org", "shop": "mugs"}, "/shop"),
        ({"email": "a@x.org", "key": "b@x.org"}, "/key"),
        ({"email": "a@x.org", "matchedBy": "profile"}, "/matchedBy"),
    ):
        assert pointers(await add(api, ann, **body)) == [pointer], body
    assert await contacts(api, ann) == []
    assert await read(api, ann) == ann


async def test_of_two_that_are_given_one_contact_at_once_one_gets_it(api: httpx.AsyncClient) -> None:
    people = [await make_customer(api, name=f"N{n}") for n in range(6)]
    answers = await asyncio.gather(*(add(api, one, email="one@x.org") for one in people))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 5
    [winner] = [a.json()["customerId"] for a in answers if a.status_code == 201]
    assert {a.json()["customerId"] for a in answers if a.status_code == 409} == {winner}


# --- removed ---------------------------------------------------------------------------------------------------------


async def test_a_removed_contact_leads_nowhere_in_any_spelling(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, email="ann.lee@gmail.com")
    await make_order(api, email="AnnLee@gmail.com", name="Ann Lee")
    spellings = [one for one in await contacts(api, ann) if one["kind"] == "email"]
    assert len(spellings) == 2
    answer = await api.delete(f"/api/customers/{ann['id']}/identities/{spellings[0]['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await contacts(api, ann) == []
    assert (await make_order(api, email="ann.lee@gmail.com", name="Ann Lee"))["customerId"] != ann["id"]
    assert (await api.delete(f"/api/customers/{ann['id']}/identities/{spellings[0]['id']}")).status_code == 404
    assert len(await orders_of(api, ann)) == 2, "past orders stay"


async def test_what_stands_in_the_profile_is_cleared_there_too(api: httpx.AsyncClient) -> None:
    ann = await make_customer(
        api, name="Ann", email="ann@x.org", phone="+14155552671", source="ETSY", external_id="7", tags=["a"]
    )
    for kind, field in (("email", "email"), ("phone", "phone"), ("channel", "externalId")):
        [one] = [c for c in await contacts(api, ann) if c["kind"] == kind]
        assert (await api.delete(f"/api/customers/{ann['id']}/identities/{one['id']}")).status_code == 204
        assert (await read(api, ann))[field] is None
    assert await contacts(api, ann) == []
    now = await read(api, ann)
    assert now == ann | {"email": None, "phone": None, "externalId": None, "version": 4, "updatedAt": now["updatedAt"]}
    await make_customer(api, email="ann@x.org", source="ETSY", external_id="7")


async def test_what_alone_says_who_somebody_is_stays(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org")
    [own] = await contacts(api, ann)
    problem = told(await api.delete(f"/api/customers/{ann['id']}/identities/{own['id']}"), 409)
    assert problem["type"].endswith("/identity-needed")
    bo = await make_customer(api, name="Bo")
    assert (await move(api, ann, own, bo)).status_code == 409
    assert await contacts(api, ann) == [own]
    assert await read(api, ann) == ann


async def test_a_contact_is_removed_and_moved_at_the_version_that_was_seen(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann", email="ann@x.org"), await make_customer(api, name="Bo")
    [own] = await contacts(api, ann)
    path = f"/api/customers/{ann['id']}/identities/{own['id']}"
    stale = {"If-Match": '"2"'}
    assert (await api.delete(path, headers=stale)).status_code == 412
    body = {"customerId": bo["id"]}
    assert (await api.post(f"{path}/move", json=body, headers=stale)).status_code == 412
    moved = await api.post(f"{path}/move", json=body, headers={"If-Match": '"1"'})
    assert (told(moved)["version"], moved.headers["etag"]) == (2, '"2"')
    path = path.replace(ann["id"], bo["id"])
    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path, headers={"If-Match": '"2"'})).status_code == 204


# --- moved -----------------------------------------------------------------------------------------------------------


async def test_a_moved_contact_leads_to_the_other_and_past_orders_stay(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    bo = await make_customer(api, name="Bo")
    past = await make_order(api, email="ann@x.org", total="10.00", status="delivered")
    own = await contact(api, ann, "ann@x.org")
    moved = told(await move(api, ann, own, bo))
    assert moved["id"] == own["id"]
    assert (moved["customerId"], moved["matchedBy"], moved["isOwn"]) == (bo["id"], "moved", True)
    assert await contacts(api, ann) == []
    assert await contacts(api, bo) == [moved]
    assert ((await read(api, ann))["email"], (await read(api, bo))["email"]) == (None, "ann@x.org")
    after = await make_order(api, email="ann@x.org", total="5.00", status="delivered")
    assert after["customerId"] == bo["id"]
    assert await orders_of(api, ann) == {past["id"]}
    await proven(db, shop)
    assert (await read(api, ann))["lifetimeValue"] == "10.00"
    assert (await read(api, bo))["lifetimeValue"] == "5.00"


async def test_with_orders_those_go_along_that_the_contact_brought(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    made = await make_order(api, email="ann@x.org", name="Ann Lee", total="1.00", status="delivered")
    ann = {"id": made["customerId"]}
    bo = await make_customer(api, name="Bo", email="bo@x.org")
    by_email = await make_order(api, email="Ann@X.org", name="Ann", total="2.00", status="delivered")
    told(await add(api, ann, source="ETSY", externalId="7"), 201)
    by_channel = await make_order(
        api, source="ETSY", customer_external_id="7", email="ann@x.org", total="4.00", status="delivered"
    )
    by_hand = await make_order(api, ann, email="ann@x.org", total="8.00", status="delivered")
    told_of = await make_order(api, bo, total="16.00", status="delivered")
    given = told(await api.patch(f"/api/orders/{told_of['id']}", json={"customerId": ann["id"]}))
    own = await contact(api, ann, "ann@x.org")
    told(await move(api, ann, own, bo, orders=True))
    assert await orders_of(api, bo) == {made["id"], by_email["id"]}
    assert await orders_of(api, ann) == {by_channel["id"], by_hand["id"], given["id"]}
    await proven(db, shop)
    assert (await read(api, bo))["lifetimeValue"] == "3.00"
    assert (await read(api, ann))["lifetimeValue"] == "28.00"
    assert (await read(api, bo))["email"] == "bo@x.org", "the profile keeps its own"
    why = told(await api.get(f"/api/orders/{by_email['id']}/identity"))
    assert (why["method"], why["customerId"]) == ("identity_moved", bo["id"])
    assert why["evidence"]["matched"] == {"kind": "email", "key": "ann@x.org"}
    assert why["explanation"] == [
        "It went along when the email ann@x.org, which had brought it, was moved to this customer."
    ]
    assert [d["method"] for d in why["history"]] == ["email"]
    assert told(await api.get(f"/api/orders/{made['id']}"))["version"] == made["version"] + 1
    # And on to a third one, with all that it brought.
    cleo = await make_customer(api, name="Cleo")
    told(await move(api, bo, await contact(api, bo, "ann@x.org"), cleo, orders=True))
    assert await orders_of(api, cleo) == {made["id"], by_email["id"]}
    await proven(db, shop)


async def test_a_channels_id_takes_the_orders_of_its_shop_along(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    first = await make_order(api, source="ETSY", shop="mugs", customer_external_id="7", name="Ann", total="1.00")
    second = await make_order(api, source="ETSY", shop="mugs", customer_external_id="7", total="2.00")
    ann, bo = {"id": first["customerId"]}, await make_customer(api, name="Bo")
    told(await add(api, ann, source="ETSY", shop="cups", externalId="7"), 201)
    third = await make_order(api, source="ETSY", shop="cups", customer_external_id="7", total="4.00")
    assert third["customerId"] == ann["id"]
    [mugs] = [c for c in await contacts(api, ann) if c["shop"] == "mugs"]
    told(await move(api, ann, mugs, bo, orders=True))
    assert await orders_of(api, bo) == {first["id"], second["id"]}
    assert await orders_of(api, ann) == {third["id"]}
    assert (await make_order(api, source="ETSY", shop="mugs", customer_external_id="7"))["customerId"] == bo["id"]
    await proven(db, shop)


async def test_a_contact_that_the_other_has_already_becomes_one(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", phone="+14155552671")
    bo = await make_customer(api, name="Bo", phone="+14155552671")
    moved = told(await move(api, ann, (await contacts(api, ann))[0], bo))
    assert [c["id"] for c in await contacts(api, bo)] == [moved["id"]]
    assert moved["matchedBy"] == "profile"
    assert await contacts(api, ann) == []
    assert (await read(api, ann))["phone"] is None


async def test_moving_to_oneself_changes_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    [own] = await contacts(api, ann)
    assert told(await move(api, ann, own, ann)) == own
    assert await read(api, ann) == ann


async def test_a_contact_is_moved_to_living_customers_only(api: httpx.AsyncClient, db: Database) -> None:
    ann, bo = await make_customer(api, name="Ann", email="ann@x.org"), await make_customer(api, name="Bo")
    [own] = await contacts(api, ann)
    await api.delete(f"/api/customers/{bo['id']}")
    async with client(db, (await make_workspace(db)).key) as stranger:
        foreign = await make_customer(stranger, name="Foreign")
        for nobody in (bo, foreign, {"id": str(ids.new())}):
            assert pointers(await move(api, ann, own, nobody)) == ["/customerId"]
        path = f"/api/customers/{ann['id']}/identities"
        for method, below, body in (
            ("GET", "", None),
            ("POST", "", {"email": "x@x.org"}),
            ("GET", f"/{own['id']}", None),
            ("DELETE", f"/{own['id']}", None),
            ("POST", f"/{own['id']}/move", {"customerId": foreign["id"]}),
        ):
            assert (await stranger.request(method, path + below, json=body)).status_code == 404
    for method, below, body in (
        ("GET", "", None),
        ("POST", "", {"email": "x@x.org"}),
        ("DELETE", f"/{own['id']}", None),
    ):
        gone = f"/api/customers/{bo['id']}/identities"
        assert (await api.request(method, gone + below, json=body)).status_code == 404
    assert await contacts(api, ann) == [own]


async def test_orders_that_come_while_a_contact_moves_go_to_one_of_the_two(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, bo = await make_customer(api, name="Ann", email="ann@x.org"), await make_customer(api, name="Bo")
    [own] = await contacts(api, ann)
    before = [make_order(api, email="ann@x.org", total="1.00", status="delivered") for _ in range(6)]
    after = [make_order(api, email="ann@x.org", total="1.00", status="delivered") for _ in range(6)]
    early, moved, late = await asyncio.gather(
        asyncio.gather(*before), move(api, ann, own, bo, orders=True), asyncio.gather(*after)
    )
    told(moved)
    made = {order["id"]: order["customerId"] for order in (*early, *late)}
    assert set(made.values()) <= {ann["id"], bo["id"]}
    assert await orders_of(api, bo) == set(made), "those of before went along, later ones came by themselves"
    await proven(db, shop)


async def test_two_that_swap_contacts_at_once_do_not_lock_each_other_out(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    bo = await make_customer(api, name="Bo", email="bo@x.org")
    [of_ann], [of_bo] = await contacts(api, ann), await contacts(api, bo)
    answers = await asyncio.gather(move(api, ann, of_ann, bo), move(api, bo, of_bo, ann))
    assert [a.status_code for a in answers] == [200, 200]
    assert [c["value"] for c in await contacts(api, ann)] == ["bo@x.org"]
    assert [c["value"] for c in await contacts(api, bo)] == ["ann@x.org"]


# --- what is told of it ----------------------------------------------------------------------------------------------


async def test_both_timelines_and_the_audit_log_tell_it(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann", email="ann@x.org"), await make_customer(api, name="Bo")
    order = await make_order(api, email="ann@x.org", name="Ann")
    own = await contact(api, ann, "ann@x.org")
    told(await add(api, ann, source="ETSY", shop="mugs", externalId="7"), 201)
    channel = await contact(api, ann, "7")
    told(await move(api, ann, own, bo, orders=True))
    await api.delete(f"/api/customers/{ann['id']}/identities/{channel['id']}")
    kinds = {"type": ["IdentityAdded", "IdentityMoved", "IdentityRemoved", "OrderReassigned"]}
    of_ann = told(await api.get(f"/api/customers/{ann['id']}/timeline", params=kinds))["data"]
    of_bo = told(await api.get(f"/api/customers/{bo['id']}/timeline", params=kinds))["data"]
    about = {"identityId": channel["id"], "identityKind": "channel", "value": "7", "source": "ETSY", "shop": "mugs"}
    moved = {
        "identityId": own["id"],
        "identityKind": "email",
        "value": "ann@x.org",
        "fromId": ann["id"],
        "toId": bo["id"],
        "withOrders": True,
    }
    assert [(e["type"], e["title"], e["data"]) for e in of_ann] == [
        ("IdentityRemoved", "Identity removed", about),
        ("IdentityMoved", "Identity moved", moved),
        ("IdentityAdded", "Identity added", about),
    ]
    assert {(e["type"], e["orderId"]) for e in of_bo} == {("IdentityMoved", None), ("OrderReassigned", order["id"])}
    [row] = told(await api.get("/api/audit", params={"action": "identities.move"}))["data"]
    changed = {(c["subject"], c["id"], c["field"]): (c["old"], c["new"]) for c in row["changes"]}
    assert changed["identity", own["id"], "customerId"] == (ann["id"], bo["id"])
    assert changed["order", order["id"], "customerId"] == (ann["id"], bo["id"])
    assert changed["customer", ann["id"], "email"] == ("ann@x.org", None)
    assert changed["customer", bo["id"], "email"] == (None, "ann@x.org")


async def test_scopes_decide_who_may(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    [own] = await contacts(api, ann)
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert await contacts(reader, ann) == [own]
        assert (await add(reader, ann, email="b@x.org")).status_code == 403
        assert (await move(reader, ann, own, ann)).status_code == 403
        assert (await reader.delete(f"/api/customers/{ann['id']}/identities/{own['id']}")).status_code == 403


async def test_taking_orders_along_needs_the_right_to_write_orders(
    db: Database, api: httpx.AsyncClient, shop: Workspace
) -> None:
    ann, eve = await make_customer(api, name="Ann", email="ann@one.com"), await make_customer(api, name="Eve")
    order = await make_order(api, email="ann@one.com")
    held = await contact(api, ann, "ann@one.com")
    async with client(db, await make_key(db, shop.id, "customers:read", "customers:write")) as limited:
        answer = await move(limited, ann, held, eve, orders=True)
        assert (answer.status_code, answer.json()["detail"]) == (
            403, "Taking orders along needs the permission 'orders:write'.",
        )  # fmt: skip
        assert await orders_of(api, ann) == {order["id"]}
        told(await move(limited, ann, held, eve))
    assert await orders_of(api, ann) == {order["id"]}
