"""A merge is undone: what was theirs goes back, what was added since stays where it belongs, and what cannot go back is told."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from supover.customers import absorbing, merge_rows
from supover.kit import clock, ids
from supover.kit.db import Database
from supover.merging import undoing
from tests.makers import Json, Workspace, make_address, make_customer, make_order, png, told
from tests.merging.arrange import body, customer, differences, listed, merge, settle, undo
from tests.privacy.arrange import ask, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def pair(api: httpx.AsyncClient) -> tuple[Json, Json]:
    """Two customers who are one, with an email each."""
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com", tags=["a"])
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com", phone="+49 151 1000005", tags=["b"])
    return ann, twin


def kept(done: Json) -> list[tuple[str, str, str]]:
    """What an undo could not put back: kind, id and why."""
    return [(one["kind"], one["id"], one["why"]) for one in done["merge"]["notPutBack"]]


async def test_an_order_that_came_since_by_the_duplicates_contact_goes_back_with_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, twin = await pair(api)
    done = await merge(api, ann, twin)
    place = {"line1": "Torstr. 1", "city": "Berlin", "postalCode": "10119", "country": "DE"}
    theirs = await make_order(api, email="ann@two.com", phone="+49 151 2000007", shipping_address=place)
    by_old_id = await make_order(api, twin)
    own = await make_order(api, email="ann@one.com")
    by_hand = await make_order(api, ann)
    for one in (theirs, by_old_id, own, by_hand):
        assert one["customerId"] == ann["id"]
    undone = await undo(api, done)
    assert undone["merge"]["putBack"]["ordersSince"] == 2
    await settle(db, shop)
    assert {o["id"] for o in await listed(api, f"/api/customers/{twin['id']}/orders")} == {
        theirs["id"],
        by_old_id["id"],
    }
    assert {o["id"] for o in await listed(api, f"/api/customers/{ann['id']}/orders")} == {own["id"], by_hand["id"]}
    # What the order brought goes along: the other phone, and the place.
    contacts = {c["value"] for c in await listed(api, f"/api/customers/{twin['id']}/identities")}
    assert contacts == {"ann@two.com", "+49 151 1000005", "+49 151 2000007"}
    [address] = await listed(api, f"/api/customers/{twin['id']}/addresses")
    assert (address["line1"], address["isDefault"]) == ("Torstr. 1", True)
    assert await listed(api, f"/api/customers/{ann['id']}/addresses") == []
    why = told(await api.get(f"/api/orders/{theirs['id']}/identity"))
    assert (why["customerId"], why["method"]) == (twin["id"], "unmerged")
    assert await differences(db, shop) == []


async def test_notes_tags_and_addresses_that_were_added_since_stay_with_the_survivor(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    old = told(await api.post(f"/api/customers/{twin['id']}/notes", json={"note": "before"}), 201)
    done = await merge(api, ann, twin)
    new = told(await api.post(f"/api/customers/{ann['id']}/notes", json={"note": "since"}), 201)
    await make_address(api, ann)
    told(await api.post(f"/api/customers/{ann['id']}/tags", json={"tags": ["since"]}))
    undone = await undo(api, done)
    assert kept(undone) == []
    assert [n["id"] for n in await listed(api, f"/api/customers/{ann['id']}/notes")] == [new["id"]]
    assert [n["id"] for n in await listed(api, f"/api/customers/{twin['id']}/notes")] == [old["id"]]
    assert len(await listed(api, f"/api/customers/{ann['id']}/addresses")) == 1
    assert (await customer(api, ann["id"]))["tags"] == ["a", "since"]
    assert (await customer(api, twin["id"]))["tags"] == ["b"]


async def test_a_value_that_was_edited_since_stays_and_is_told(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    done = await merge(api, ann, twin)
    told(await api.patch(f"/api/customers/{ann['id']}", json={"phone": "+49 151 3000009"}))
    undone = await undo(api, done)
    assert kept(undone) == [("customers", ann["id"], "phone: changed since, and stays as it is")]
    assert undone["merge"]["notPutBackCount"] == 1
    assert (await customer(api, ann["id"]))["phone"] == "+49 151 3000009"
    assert (await customer(api, twin["id"]))["phone"] == "+49 151 1000005"


async def test_an_email_that_another_has_by_now_stays_theirs_and_is_told(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, twin = await pair(api)
    done = await merge(api, ann, twin)
    third = await make_customer(api, name="Ann Third", email="ann@two.com")
    undone = await undo(api, done)
    [(kind, id, why)] = kept(undone)
    assert (kind, id) == ("customers", twin["id"])
    assert why == f"email: Customer {third['id']} has this email now."
    assert (await customer(api, twin["id"]))["email"] is None
    assert (await customer(api, third["id"]))["email"] == "ann@two.com"
    contacts = {c["value"] for c in await listed(api, f"/api/customers/{twin['id']}/identities")}
    assert contacts == {"ann@two.com", "+49 151 1000005"}
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_what_was_moved_or_removed_since_is_told(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    third = await make_customer(api, name="Third")
    order, place = await make_order(api, twin), await make_address(api, twin)
    note = told(await api.post(f"/api/customers/{twin['id']}/notes", json={"note": "before"}), 201)
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [twin["id"]]}))
    done = await merge(api, ann, twin)
    told(await api.patch(f"/api/orders/{order['id']}", json={"customerId": third["id"]}))
    assert (await api.delete(f"/api/customers/{ann['id']}/addresses/{place['id']}")).status_code == 204
    assert (await api.delete(f"/api/customers/{ann['id']}/notes/{note['id']}")).status_code == 204
    assert (await api.delete(f"/api/segments/{group['id']}")).status_code == 204
    contacts = {c["value"]: c for c in await listed(api, f"/api/customers/{ann['id']}/identities")}
    phone = contacts["+49 151 1000005"]["id"]
    told(await api.post(f"/api/customers/{ann['id']}/identities/{phone}/move", json={"customerId": third["id"]}))
    undone = await undo(api, done)
    assert {(kind, id): why for kind, id, why in kept(undone)} == {
        ("orders", order["id"]): "it was given to another customer since",
        ("addresses", place["id"]): "it was removed since",
        ("notes", note["id"]): "it was removed since",
        ("groups", group["id"]): "the group is there no more",
        ("identities", phone): "it is another customer's now",
    }
    assert told(await api.get(f"/api/orders/{order['id']}"))["customerId"] == third["id"]
    shown = told(await api.get(f"/api/merges/{done['mergeId']}"))
    assert shown["notPutBack"] == undone["merge"]["notPutBack"]
    assert shown["undoneByName"] == "A key"


async def test_a_later_merge_must_be_undone_first_and_once_is_enough(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    third = await make_customer(api, name="Third")
    first, second = await merge(api, ann, twin), await merge(api, ann, third)
    refused = told(await api.post(f"/api/merges/{first['mergeId']}/undo"), 409)
    assert (refused["type"].rpartition("/")[2], refused["mergeId"]) == ("merge-on-top", second["mergeId"])
    await undo(api, second)
    await undo(api, first)
    again = told(await api.post(f"/api/merges/{first['mergeId']}/undo"), 409)
    assert again["type"].endswith("merge-already-undone")
    assert (await api.post(f"/api/merges/{ids.new()}/undo")).status_code == 404
    # And merged once more, in the other direction.
    await merge(api, twin, ann)
    assert (await api.get(f"/api/customers/{ann['id']}")).status_code == 308


async def test_a_no_that_was_said_since_is_everybodys(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann, twin = await pair(api)
    yes = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED", "optInLevel": "CONFIRMED_OPT_IN"}
    for one in (ann, twin):
        told(await api.put(f"/api/customers/{one['id']}/communication-preferences", json=yes))
    done = await merge(api, ann, twin)
    no = {"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED"}
    told(await api.put(f"/api/customers/{ann['id']}/communication-preferences", json=no))
    undone = await undo(api, done)
    [(kind, _, why)] = kept(undone)
    assert (kind, why) == ("consents", "said since the merge; it is told to both")
    for one in (ann, twin):
        where = f"/api/customers/{one['id']}/communication-preferences/may-send"
        assert told(await api.get(where))["allowed"] is False
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_a_picture_that_was_filled_in_goes_and_comes_back(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    told(await api.put(f"/api/customers/{twin['id']}/avatar", files={"file": ("me.png", png())}))
    done = await merge(api, ann, twin)
    told(await api.put(f"/api/customers/{ann['id']}/avatar", files={"file": ("me.png", png(9, 9))}))
    undone = await undo(api, done)
    assert kept(undone) == [("customers", ann["id"], "avatarUrl: changed since, and stays as it is")]
    for one in (ann, twin):
        assert (await api.get(f"/api/customers/{one['id']}/avatar")).status_code == 200


async def test_a_survivor_who_is_deleted_must_be_restored_first(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    done = await merge(api, ann, twin)
    assert (await api.delete(f"/api/customers/{ann['id']}")).status_code == 204
    refused = told(await api.post(f"/api/merges/{done['mergeId']}/undo"), 409)
    assert refused["customerId"] == ann["id"]
    told(await api.post(f"/api/customers/{ann['id']}/restore"))
    await undo(api, done)


async def test_after_ninety_days_a_merge_is_forgotten_row_by_row(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, twin = await pair(api)
    await make_order(api, twin)
    done = await merge(api, ann, twin)
    rows = "select count(*) from data.customer_merge_row where workspace_id = $1"
    async with db.tx(shop.id) as tx:
        assert await undoing.forget(tx, ids.first_at(clock.now() - merge_rows.KEPT), 20) == 0
    assert await owner.fetchval(rows, shop.id) > 3
    late = clock.now() + merge_rows.KEPT + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: late)
    async with db.tx(shop.id) as tx:
        assert await undoing.forget(tx, ids.first_at(clock.now() - merge_rows.KEPT), 20) == 1
        assert await undoing.forget(tx, ids.first_at(clock.now() - merge_rows.KEPT), 20) == 0
    assert await owner.fetchval(rows, shop.id) == 0
    monkeypatch.undo()
    refused = told(await api.post(f"/api/merges/{done['mergeId']}/undo"), 409)
    assert refused["type"].endswith("merge-too-old")
    assert (await api.get(f"/api/customers/{twin['id']}")).status_code == 308


async def test_a_bulk_action_that_is_undone_after_a_merge_says_whom_it_left(api: httpx.AsyncClient) -> None:
    ann, twin = await pair(api)
    bulk = told(
        await api.post("/api/customers/bulk", json={"action": "tag", "tags": ["sale"], "ids": [ann["id"], twin["id"]]})
    )
    done = await merge(api, ann, twin)
    assert done["customer"]["tags"] == ["a", "sale", "b"]
    undone = told(await api.post(f"/api/bulk/{bulk['id']}/undo"))
    assert (undone["undone"], undone["kept"]) == (2, 1)
    [left] = await listed(api, f"/api/bulk/{bulk['id']}/kept")
    assert (left["customerId"], left["mergedIntoId"]) == (twin["id"], ann["id"])
    assert (await customer(api, ann["id"]))["tags"] == ["a", "b"]
    await undo(api, done)
    assert (await customer(api, ann["id"]))["tags"] == ["a"]
    assert (await customer(api, twin["id"]))["tags"] == ["b", "sale"]


async def test_an_erased_customer_is_not_raised(api: httpx.AsyncClient, owner: "Connection", shop: Workspace) -> None:
    ann, twin = await pair(api)
    done = await merge(api, ann, twin)
    await owner.execute(
        "update data.customer set erased_at = now() where workspace_id = $1 and id = $2", shop.id, UUID(twin["id"])
    )
    refused = told(await api.post(f"/api/merges/{done['mergeId']}/undo"), 409)
    assert refused["customerId"] == twin["id"]
    told(await api.post("/api/customers/merge", json=body(ann, twin)), 409)


async def test_who_was_erased_is_named_as_erased_and_not_as_deleted(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    ann, gone = await make_customer(api, name="Ann Lee"), await make_customer(api, name="Gone")
    await ask(api, gone)
    await work(db, owner, shop, "privacy.%")
    refused = told(await api.post("/api/customers/merge", json=body(ann, gone)), 422)
    assert [(e["pointer"], e["code"]) for e in refused["errors"]] == [("/duplicateIds/0", "erased")]


async def test_who_was_merged_before_is_held_with_whom_they_lead_to(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, twin = await pair(api)
    await merge(api, ann, twin)
    async with db.tx(shop.id) as tx:
        assert set(await absorbing.hold(tx, [UUID(ann["id"])])) == {UUID(ann["id"]), UUID(twin["id"])}
