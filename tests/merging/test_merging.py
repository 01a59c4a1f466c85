"""Customers are made one: whose values count, what moves, what stands in the way, and where old ids lead."""

import re
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from supover.channels.model import ChannelCustomer, Contact
from supover.customers import intake
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
    png,
    pointers,
    told,
)
from tests.merging.arrange import body, customer, differences, keyed, listed, merge, settle, undo
from tests.timeline.follower import Follower

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


# --- what people ask for ---------------------------------------------------------------------------------------------


async def test_orders_addresses_and_attributes_move_and_the_source_is_gone_from_lists(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com", tags=["a"])
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com", phone="+49 151 1000005", tags=["b"])
    order = await make_order(api, twin, status="delivered")
    place = await make_address(api, twin)
    done = await merge(api, ann, twin)
    assert done["moved"] == {"orders": 1, "addresses": 1, "notes": 0, "identities": 2}
    await settle(db, shop)
    now = await customer(api, ann["id"])
    assert (now["email"], now["phone"], now["tags"]) == ("ann@one.com", "+49 151 1000005", ["a", "b"])
    assert (now["orderCount"], now["lifetimeValue"]) == (1, "10.00")
    assert [one["id"] for one in await listed(api, f"/api/customers/{ann['id']}/orders")] == [order["id"]]
    assert [one["id"] for one in await listed(api, f"/api/customers/{ann['id']}/addresses")] == [place["id"]]
    assert [one["id"] for one in await listed(api, "/api/customers")] == [ann["id"]]
    with_merged = await listed(api, "/api/customers?include=merged")
    assert [(one["id"], one["mergedIntoId"]) for one in with_merged] == [(twin["id"], ann["id"]), (ann["id"], None)]
    assert await listed(api, "/api/customers?include=deleted") == [now]
    assert await differences(db, shop) == []


async def test_nothing_gets_lost_of_notes_picture_custom_fields_groups_consent_or_history(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann", customFields={"size": "M"})
    twin = await make_customer(api, name="Ann L", email="l@two.com", customFields={"size": "S", "shoe": 40})
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [twin["id"]]}))
    told(await api.post(f"/api/customers/{twin['id']}/notes", json={"note": "calls on Mondays"}), 201)
    told(await api.put(f"/api/customers/{twin['id']}/avatar", files={"file": ("me.png", png())}))
    where = f"/api/customers/{twin['id']}/communication-preferences"
    told(await api.put(where, json={"channel": "email", "topic": "marketing", "state": "UNSUBSCRIBED"}))
    told(await api.patch(where, json={"language": "de"}))
    await merge(api, ann, twin)
    await settle(db, shop)
    now = await customer(api, ann["id"])
    assert (now["customFields"], now["email"]) == ({"size": "M", "shoe": 40}, "l@two.com")
    assert (await api.get(now["avatarUrl"])).status_code == 200
    assert [n["note"] for n in await listed(api, f"/api/customers/{ann['id']}/notes")] == ["calls on Mondays"]
    assert "Panel" in [g["name"] for g in await listed(api, f"/api/customers/{ann['id']}/segments")]
    said = told(await api.get(f"/api/customers/{ann['id']}/communication-preferences"))
    assert (said["language"], _state(said)) == ("de", "UNSUBSCRIBED")
    history = await listed(api, f"/api/customers/{ann['id']}/communication-preferences/history")
    assert {(e["customerId"], e["source"]) for e in history} == {(twin["id"], "api"), (ann["id"], "merge")}
    kinds = {(e["type"], e["customerId"]) for e in await listed(api, f"/api/customers/{ann['id']}/timeline")}
    assert {("CustomersMerged", ann["id"]), ("NoteAdded", twin["id"]), ("CustomerCreated", twin["id"])} <= kinds


def _state(said: Json) -> str:
    [one] = [p for p in said["preferences"] if (p["channel"], p["topic"]) == ("email", "marketing")]
    return one["state"]


async def test_a_household_is_not_dragged_along(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com")
    bob = await make_customer(api, name="Bob Lee", phone="+49 151 1000005")
    place = await make_address(api, bob)
    order = await make_order(api, bob)
    await make_address(api, twin)
    await merge(api, ann, twin)
    assert (await customer(api, bob["id"]))["version"] == bob["version"]
    assert [one["id"] for one in await listed(api, f"/api/customers/{bob['id']}/addresses")] == [place["id"]]
    assert [one["id"] for one in await listed(api, f"/api/customers/{bob['id']}/orders")] == [order["id"]]


async def test_the_value_that_the_preview_shows_is_the_value_and_says_whose_it_is(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", customFields={"company": "Acme"})
    late = await make_customer(api, name="A. Lee", email="late@two.com", customFields={"company": "Late Ltd"})
    early = await make_customer(api, name="Anna Lee", email="early@two.com", phone="+49 151 1000005", gender="f")
    await make_order(api, early, placed_at="2026-01-01T00:00:00Z")
    await make_order(api, late, placed_at="2026-02-01T00:00:00Z")
    preview = await merge(api, ann, early, late, dryRun=True)
    assert (preview["mergeId"], preview["blockers"]) == (None, [])
    told_of = {name: (one["value"], one["customerId"]) for name, one in preview["fields"].items()}
    assert told_of["name"] == ("Ann Lee", ann["id"])
    assert told_of["email"] == ("late@two.com", late["id"])  # who ordered last comes first
    assert told_of["phone"] == ("+49 151 1000005", early["id"])
    assert told_of["gender"] == ("f", early["id"])
    assert told_of["customFields.company"] == ("Acme", ann["id"])
    assert preview["fields"]["email"]["alternatives"] == [{"customerId": early["id"], "value": "early@two.com"}]
    done = await merge(api, ann, early, late)
    assert done["fields"] == preview["fields"]
    now = await customer(api, ann["id"])
    assert (now["email"], now["phone"], now["gender"]) == ("late@two.com", "+49 151 1000005", "f")
    assert now["customFields"] == {"company": "Acme"}


async def test_a_misspelt_dry_run_merges_nobody(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    answer = await api.post("/api/customers/merge?dryrun=true", json=body(ann, twin))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "dryrun", "code": "unknown", "message": "is not a parameter here; did you mean 'dryRun'?"}
    ]
    assert told(await api.get(f"/api/customers/{twin['id']}"))["mergedIntoId"] is None


async def test_every_id_that_cannot_be_is_named(api: httpx.AsyncClient, db: Database) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    other = await make_workspace(db)
    async with client(db, other.key) as elsewhere:
        stranger = await make_customer(elsewhere, name="Stranger")
    gone = await make_customer(api, name="Gone")
    assert (await api.delete(f"/api/customers/{gone['id']}")).status_code == 204
    url = "/api/customers/merge"
    assert pointers(await api.post(url, json={"primaryId": ann["id"], "duplicateIds": []})) == ["/duplicateIds"]
    assert pointers(await api.post(url, json=body(ann, ann))) == ["/duplicateIds/0"]
    assert pointers(await api.post(url, json=body(ann, twin, twin))) == ["/duplicateIds/1"]
    wrong = await api.post(url, json=body(ann, twin, stranger, gone, {"id": str(ids.new())}))
    assert pointers(wrong) == ["/duplicateIds/1", "/duplicateIds/2", "/duplicateIds/3"]
    assert [e["code"] for e in wrong.json()["errors"]] == ["unknown", "deleted", "unknown"]
    many = [str(ids.new()) for _ in range(51)]
    assert pointers(await api.post(url, json={"primaryId": ann["id"], "duplicateIds": many})) == ["/duplicateIds"]
    assert await customer(api, twin["id"]) == twin


async def test_who_was_merged_already_is_409_naming_the_survivor(api: httpx.AsyncClient) -> None:
    ann, twin, third = [await make_customer(api, name=name) for name in ("Ann", "Twin", "Third")]
    await merge(api, ann, twin)
    for asked in (body(third, twin), body(twin, third)):
        refused = told(await api.post("/api/customers/merge", json=asked), 409)
        assert (refused["mergedIntoId"], refused["customerId"]) == (ann["id"], twin["id"])


async def test_a_merged_id_lives_on_under_every_address(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    note = told(await api.post(f"/api/customers/{twin['id']}/notes", json={"note": "x"}), 201)
    await merge(api, ann, twin)
    document = told(await api.get("/docs/openapi.json"))
    looked_at = 0
    for path, methods in document["paths"].items():
        if not path.startswith("/api/customers/{id}"):
            continue
        for method, about in methods.items():
            if method == "parameters":
                continue
            asked = path.replace("{id}", twin["id"]).replace("{noteId}", note["id"]).replace("{tag}", "x")
            asked = re.sub(r"\{\w+\}", str(UUID(int=1)), asked)
            pages = method == "get" and any(p["name"] == "limit" for p in about.get("parameters", ()))
            answer = await api.request(method.upper(), asked + "?limit=7" * pages, **_good(about, path))
            looked_at += 1
            assert answer.status_code == 308, f"{method} {path}: {answer.status_code} {answer.text}"
            assert answer.json()["mergedIntoId"] == ann["id"]
            expected = asked.replace(twin["id"], ann["id"]) + "?limit=7" * pages
            assert answer.headers["location"] == expected, f"{method} {path}"
    assert looked_at > 25
    assert told(await api.get(f"/api/customers/{twin['id']}?include=merged"))["mergedIntoId"] == ann["id"]


def _good(about: Json, path: str) -> Json:
    from supover.examples import EXAMPLES
    from tests.house.world import MORE

    content = about.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content or path.endswith("/avatar"):
        return {"files": {"file": ("me.png", png())}} if content else {}
    schema = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return {"json": EXAMPLES.get(schema, MORE.get(schema))} if schema else {}


async def test_moving_an_email_to_a_second_profile_offers_a_merge_and_steals_nothing(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee")
    refused = told(await api.patch(f"/api/customers/{twin['id']}", json={"email": "ann@one.com"}), 409)
    assert refused["customerId"] == ann["id"]
    [pair] = await listed(api, "/api/duplicates?suggested=true")
    assert {pair["a"]["id"], pair["b"]["id"]} == {ann["id"], twin["id"]}
    await merge(api, ann, twin)
    assert await listed(api, "/api/duplicates") == []
    assert (await customer(api, ann["id"]))["email"] == "ann@one.com"


# --- where it leads --------------------------------------------------------------------------------------------------


async def test_chains_lead_to_the_end(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    a, b, c = [await make_customer(api, name=name, email=f"{name}@one.com") for name in ("ann", "bea", "cay")]
    first, second = await merge(api, b, a), await merge(api, c, b)
    assert second["moved"]["mergedBefore"] == 1
    for old in (a, b):
        moved = await api.get(f"/api/customers/{old['id']}")
        assert (moved.status_code, moved.headers["location"]) == (308, f"/api/customers/{c['id']}")
    by_id = await make_order(api, a)
    by_email = await make_order(api, email="ann@one.com")
    assert (by_id["customerId"], by_email["customerId"]) == (c["id"], c["id"])
    refused = told(await api.post(f"/api/merges/{first['mergeId']}/undo"), 409)
    assert refused["mergeId"] == second["mergeId"]
    await undo(api, second)
    assert (await api.get(f"/api/customers/{a['id']}")).headers["location"] == f"/api/customers/{b['id']}"
    await undo(api, first)
    await settle(db, shop)
    for one in (a, b, c):
        assert (await customer(api, one["id"]))["email"] == one["email"]
    # Each of the two orders was meant for the first of them.
    assert len(await listed(api, f"/api/customers/{a['id']}/orders")) == 2
    assert await differences(db, shop) == []


async def test_channels_orders_and_files_find_the_survivor_by_what_was_the_others(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", source="SHOPIFY", external_id="9001", email="ann@two.com")
    await merge(api, ann, twin)
    order = await make_order(api, source="SHOPIFY", customer_external_id="9001", email="new@three.com")
    assert order["customerId"] == ann["id"]
    async with db.tx(shop.id) as tx:
        contact = Contact(source="SHOPIFY", external_id="9001", email="ann@two.com", name="Ann Lee")
        [taken] = await intake.take_in(tx, [ChannelCustomer(contact=contact)])
    assert taken.customer_id == UUID(ann["id"])
    third = await make_customer(api, name="Third")
    told(await api.patch(f"/api/orders/{order['id']}", json={"customerId": third["id"]}))
    assert (
        told(await api.patch(f"/api/orders/{order['id']}", json={"customerId": twin["id"]}))["customerId"] == ann["id"]
    )
    put = await api.put("/api/customers/external/SHOPIFY/9001", json={"name": "Ann Lee", "email": "ann@one.com"})
    assert told(put)["id"] == ann["id"]


async def test_events_carry_both_ids(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    done = await merge(api, ann, twin)
    await undo(api, done)
    expected = {"mergeId": done["mergeId"], "duplicateIds": [twin["id"]]}
    assert await logged(db, shop, "CustomersMerged") == [expected]
    assert await logged(db, shop, "MergeUndone") == [expected]
    [merged] = await Follower(api, type="CustomersMerged").catch_up(1)
    assert merged["customerId"] == ann["id"]


async def test_an_orders_identity_says_that_its_customer_was_merged(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    order = await make_order(api, twin)
    done = await merge(api, ann, twin)
    why = told(await api.get(f"/api/orders/{order['id']}/identity"))
    assert (why["customerId"], why["method"]) == (ann["id"], "merged")
    assert why["evidence"]["former"] == twin["id"]
    assert why["explanation"] == ["Its customer was merged into this one."]
    await undo(api, done)
    why = told(await api.get(f"/api/orders/{order['id']}/identity"))
    assert (why["customerId"], why["method"], why["history"]) == (twin["id"], "customer_id", [])


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other", "status"),
    [
        ("ACTIVE", "BLOCKED", "BLOCKED"),
        ("BLOCKED", "VIP", "BLOCKED"),
        ("ACTIVE", "VIP", "VIP"),
        ("VIP", "INACTIVE", "VIP"),
        ("INACTIVE", "ACTIVE", "ACTIVE"),
    ],
)
async def test_who_is_blocked_stays_blocked_and_rank_is_kept(
    api: httpx.AsyncClient, own: str, other: str, status: str
) -> None:
    ann, twin = await make_customer(api, name="Ann", status=own), await make_customer(api, name="Twin", status=other)
    done = await merge(api, ann, twin)
    assert done["customer"]["status"] == status
    if status == "BLOCKED":
        unblocked = told(await api.post(f"/api/customers/{ann['id']}/unblock"))
        assert unblocked["customer"]["status"] == ("VIP" if "VIP" in (own, other) else "ACTIVE")


async def test_fields_choose_another_customers_value_or_one_that_is_told(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@one.com", tags=["a"], status="BLOCKED")
    twin = await make_customer(api, name="Twin", email="ann@two.com", tags=["b"], customFields={"size": "S"})
    fields: Json = {
        "email": {"customerId": twin["id"]},
        "name": {"value": "  Ann   Lee "},
        "tags": {"customerId": twin["id"]},
        "status": {"value": "ACTIVE"},
        "customFields.size": {"value": "L"},
        "dateOfBirth": {"value": "1980-02-03"},
    }
    done = await merge(api, ann, twin, fields=fields)
    now = done["customer"]
    assert (now["email"], now["name"], now["tags"], now["status"]) == ("ann@two.com", "Ann Lee", ["b"], "ACTIVE")
    assert (now["customFields"], now["dateOfBirth"]) == ({"size": "L"}, "1980-02-03")
    # The primary's own address leads here all the same.
    assert (await make_order(api, email="ann@one.com"))["customerId"] == ann["id"]
    contacts = await listed(api, f"/api/customers/{ann['id']}/identities")
    assert {(c["value"], c["isOwn"]) for c in contacts} == {("ann@one.com", False), ("ann@two.com", True)}


async def test_choices_that_cannot_be_are_named(api: httpx.AsyncClient) -> None:
    ann, twin, third = [await make_customer(api, name=name) for name in ("Ann", "Twin", "Third")]
    fields: Json = {
        "shoe": {"value": 1},
        "email": {"value": "nobody"},
        "phone": {"customerId": third["id"]},
        "name": {},
        "status": {"value": "GOLD"},
        "dateOfBirth": {"value": "2999-01-01"},
        "gender": {"value": "f", "customerId": ann["id"]},
    }
    wrong = await api.post("/api/customers/merge", json=body(ann, twin, fields=fields))
    assert set(pointers(wrong)) == {
        "/fields/shoe",
        "/fields/email/value",
        "/fields/phone/customerId",
        "/fields/name",
        "/fields/status/value",
        "/fields/dateOfBirth/value",
        "/fields/gender",
    }


async def test_too_many_tags_are_a_soft_blocker_that_a_choice_mends(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=[f"a{n}" for n in range(200)])
    twin = await make_customer(api, name="Twin", tags=[f"b{n}" for n in range(200)])
    preview = await merge(api, ann, twin, dryRun=True)
    [blocker] = preview["blockers"]
    assert (blocker["code"], blocker["field"], blocker["isSoft"]) == ("too_many_tags", "tags", True)
    refused = told(await api.post("/api/customers/merge", json=body(ann, twin)), 409)
    assert refused["blockers"] == [blocker]
    done = await merge(api, ann, twin, fields={"tags": {"customerId": ann["id"]}})
    assert len(done["customer"]["tags"]) == 200


async def test_an_email_that_a_third_customer_has_stands_in_the_way(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    third = await make_customer(api, name="Third", email="third@one.com")
    asked = body(ann, twin, fields={"email": {"value": "third@one.com"}})
    [blocker] = told(await api.post("/api/customers/merge", json=asked), 409)["blockers"]
    assert (blocker["code"], blocker["field"], blocker["customerId"]) == ("value_taken", "email", third["id"])


async def test_a_pending_privacy_request_stands_in_the_way(
    api: httpx.AsyncClient, owner: "Connection", shop: Workspace
) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    await owner.execute(
        """insert into data.privacy_request (workspace_id, id, kind, status, customer_id, origin, actor, actor_name, run_at, due_at)
           values ($1, $2, 'erase', 'pending', $3, 'staff', 'cli', 'cli', now(), now())""",
        shop.id, ids.new(), UUID(twin["id"]),
    )  # fmt: skip
    preview = await merge(api, ann, twin, dryRun=True)
    assert [(b["code"], b["customerId"], b["isSoft"]) for b in preview["blockers"]] == [
        ("privacy_request_pending", twin["id"], False)
    ]
    assert preview["customer"] is None
    told(await api.post("/api/customers/merge", json=body(ann, twin)), 409)


async def test_a_place_that_both_have_is_kept_once_and_the_primarys_default_stays(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    own = await make_address(api, ann, line1="Torstr. 1")
    await make_address(api, twin, line1="torstr. 1 ")
    far = await make_address(api, twin, line1="Seestr. 2", type="BILLING")
    done = await merge(api, ann, twin)
    assert (done["moved"]["addresses"], done["joined"]["addresses"]) == (1, 1)
    found = {a["id"]: a["isDefault"] for a in await listed(api, f"/api/customers/{ann['id']}/addresses")}
    assert found == {own["id"]: True, far["id"]: True}  # there was no default for bills


async def test_the_strictest_word_counts_unless_an_explicit_yes_came_after_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    async def said(state: str, at: str, level: str = "UNKNOWN") -> Json:
        one = await make_customer(api, name="Ann", email=f"{ids.new().hex}@one.com")
        choice = {"channel": "email", "topic": "marketing", "state": state, "at": at, "optInLevel": level}
        told(await api.put(f"/api/customers/{one['id']}/communication-preferences", json=choice))
        return one

    async def stands(one: Json) -> tuple[str, bool]:
        where = f"/api/customers/{one['id']}/communication-preferences"
        return _state(told(await api.get(where))), told(await api.get(f"{where}/may-send"))["allowed"]

    # A yes before a no, and after it but not their own word, is no yes.
    for yes_at, level in (("2026-01-01", "CONFIRMED_OPT_IN"), ("2026-03-01", "UNKNOWN")):
        ann, twin = await said("SUBSCRIBED", yes_at, level), await said("UNSUBSCRIBED", "2026-02-01")
        preview = await merge(api, ann, twin, dryRun=True)
        assert [w["code"] for w in preview["warnings"]] == ["consent_conflict"]
        done = await merge(api, ann, twin)
        assert await stands(ann) == ("UNSUBSCRIBED", False)
        await undo(api, done)
        assert (await stands(ann), await stands(twin)) == (("SUBSCRIBED", True), ("UNSUBSCRIBED", False))
    # An explicit yes after the no is one, also for the other's contact only where that is the survivor's.
    ann, twin = await said("UNSUBSCRIBED", "2026-02-01"), await said("SUBSCRIBED", "2026-03-01", "CONFIRMED_OPT_IN")
    done = await merge(api, ann, twin)
    assert await stands(ann) == ("SUBSCRIBED", False)  # of another mailbox than the survivor's
    await undo(api, done)
    assert await stands(ann) == ("UNSUBSCRIBED", False)
    await merge(api, ann, twin, fields={"email": {"customerId": twin["id"]}})
    assert await stands(ann) == ("SUBSCRIBED", True)
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_a_phone_that_is_dialled_within_another_country_still_leads_here(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", country="US")
    twin = await make_customer(api, name="Ann Lee", phone="0151 10000055", country="DE")
    done = await merge(api, ann, twin)
    assert done["fields"]["phone"]["value"] == "+4915110000055"
    assert done["customer"]["phone"] == "+4915110000055"
    order = await make_order(api, phone="+49 151 10000055", name="Ann Lee")
    assert order["customerId"] == ann["id"]


async def test_known_since_the_first_of_them_is(api: httpx.AsyncClient) -> None:
    first = await make_customer(api, name="Ann")
    second = await make_customer(api, name="Twin")
    done = await merge(api, second, first)
    assert done["customer"]["createdAt"] == first["createdAt"]
    await undo(api, done)
    assert (await customer(api, second["id"]))["createdAt"] == second["createdAt"]


# --- who may ---------------------------------------------------------------------------------------------------------


async def test_merging_is_a_permission_of_its_own(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    async with await keyed(db, shop, "customers:write") as writer:
        for asked in (body(ann, twin), body(ann, twin, dryRun=True)):
            assert (await writer.post("/api/customers/merge", json=asked)).status_code == 403
    async with await keyed(db, shop, "customers:merge") as merger:
        done = await merge(merger, ann, twin)
        assert (await merger.patch(f"/api/customers/{ann['id']}", json={"name": "X"})).status_code == 403
        assert [one["id"] for one in await listed(merger, f"/api/merges?customerId={twin['id']}")] == [done["mergeId"]]
        found = told(await merger.get(f"/api/merges/{done['mergeId']}"))
        assert (found["primaryId"], found["duplicateIds"], found["actorName"]) == (ann["id"], [twin["id"]], "A key")
        await undo(merger, done)
    other = await make_workspace(db)
    async with client(db, other.key) as elsewhere:
        assert (await elsewhere.get(f"/api/merges/{done['mergeId']}")).status_code == 404
        assert (await elsewhere.post(f"/api/merges/{done['mergeId']}/undo")).status_code == 404


async def test_the_same_merge_with_one_idempotency_key_happens_once(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    headers = {"Idempotency-Key": "once"}
    first = await api.post("/api/customers/merge", json=body(ann, twin), headers=headers)
    second = await api.post("/api/customers/merge", json=body(ann, twin), headers=headers)
    assert told(first) == told(second)
    assert second.headers["Idempotent-Replayed"] == "true"


async def test_a_dry_run_may_be_asked_for_in_the_address(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    told(await api.post("/api/customers/merge?dryRun=true", json=body(ann, twin)))
    assert await customer(api, twin["id"]) == twin
