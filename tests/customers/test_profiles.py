"""Profiles over HTTP: created, read, replaced, changed, deleted, restored, blocked."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer, make_key, make_order, make_workspace, pointers, settle, told

Json = dict[str, Any]
FULL: Json = {
    "externalId": "gid://shopify/Customer/77",
    "email": "Ann.Lee@Example.com",
    "name": "Ann Lee",
    "phone": "(415) 555-2671",
    "dateOfBirth": "1990-02-28",
    "gender": "female",
    "status": "VIP",
    "source": "SHOPIFY",
    "country": "USA",
    "tags": ["early", "wholesale"],
    "customFields": {"shoe": 38.5, "pets": ["cat"], "since": None},
}


async def test_a_created_customer_is_answered_whole(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/customers", json=FULL)
    customer = told(answer, 201)
    assert answer.headers["location"] == f"/api/customers/{customer['id']}"
    assert answer.headers["etag"] == '"1"'
    assert UUID(customer["id"]).version == 7
    created_at = customer["createdAt"]
    assert created_at.endswith("Z")
    assert customer == {
        "id": customer["id"],
        **FULL,
        "country": "US",
        "avatarUrl": None,
        "isBlocked": False,
        "totalSpent": "0.00",
        "orderCount": 0,
        "averageOrderValue": "0.00",
        "firstOrderDate": None,
        "lastOrderDate": None,
        "lifetimeValue": "0.00",
        "totalOrders": 0,
        "isRepeatCustomer": False,
        "ordersCount": 0,
        "currency": "USD",
        "byCurrency": {},
        "rfmGroup": None,
        "churnRisk": None,
        "createdAt": created_at,
        "updatedAt": created_at,
        "deletedAt": None,
        "mergedIntoId": None,
        "version": 1,
    }
    read = await api.get(f"/api/customers/{customer['id']}")
    assert read.json() == customer
    assert read.headers["etag"] == '"1"'


async def test_figures_stand_beside_the_profile(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, total="10.00", status="delivered", placed_at="2026-01-02T00:00:00Z")
    await make_order(api, ann, total="20.55", status="delivered", placed_at="2026-02-03T00:00:00Z")
    await make_order(api, ann, total="99.00", status="pending", placed_at="2026-03-04T00:00:00Z")
    await settle(db, shop)
    found = told(await api.get(f"/api/customers/{ann['id']}"))
    assert found["totalSpent"] == "30.55"
    assert found["orderCount"] == 2
    assert found["averageOrderValue"] == "15.28"
    assert found["firstOrderDate"] == "2026-01-02T00:00:00Z"
    assert found["lastOrderDate"] == "2026-02-03T00:00:00Z"
    assert found["lifetimeValue"] == "30.55"
    assert found["totalOrders"] == 2
    assert found["isRepeatCustomer"] is True
    assert found["ordersCount"] == 3
    assert found["byCurrency"]["USD"] | {"lifetimeValue": "30.55"} == {
        "orders": 2,
        "spent": "30.55",
        "lifetimeValue": "30.55",
    }
    assert found["version"] == 1, "figures are no edit"


async def test_amounts_have_the_digits_of_the_workspaces_currency(db: Database) -> None:
    for currency, zero in (("JPY", "0"), ("KWD", "0.000"), ("GBP", "0.00")):
        shop = await make_workspace(db, currency)
        async with client(db, shop.key) as api:
            customer = await make_customer(api)
            assert (customer["totalSpent"], customer["currency"]) == (zero, currency)


async def test_any_one_of_email_phone_name_and_external_id_is_enough(api: httpx.AsyncClient) -> None:
    for body in (
        {"email": "a@x.org"},
        {"phone": "+14155552671"},
        {"name": "Bo"},
        {"source": "ETSY", "externalId": "9"},
    ):
        customer = await make_customer(api, **body)
        assert {k: customer[k] for k in body} == body
    for body in ({}, {"country": "DE"}, {"source": "ETSY"}, {"name": "  "}, {"name": "\u200b", "email": ""}):
        assert pointers(await api.post("/api/customers", json=body)) == [""]


async def test_the_source_is_told_or_says_who_typed_it(api: httpx.AsyncClient) -> None:
    assert (await make_customer(api, name="Bo"))["source"] == "API"
    assert (await make_customer(api, name="Bo", source="MY_SHOP"))["source"] == "MY_SHOP"


async def test_text_is_kept_on_one_line_with_nothing_unseen(api: httpx.AsyncClient) -> None:
    customer = await make_customer(api, name="  Ann\u200b \n Lee ", tags=[" a ", "a", "", "b"], email=" Ann@X.org ")
    assert (customer["name"], customer["tags"], customer["email"]) == ("Ann Lee", ["a", "b"], "Ann@X.org")


async def test_a_country_is_a_code_where_it_can_be_told(api: httpx.AsyncClient) -> None:
    for given, kept in (
        ("EIRE", "IE"),
        ("United Kingdom", "GB"),
        ("usa", "US"),
        ("de", "DE"),
        ("Atlantis", "Atlantis"),
    ):
        assert (await make_customer(api, name="Bo", country=given))["country"] == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an email"),
        ("email", "a@b"),
        ("email", "x" * 250 + "@x.org"),
        ("name", "x" * 201),
        ("externalId", "x" * 256),
        ("phone", "no digits"),
        ("phone", "1" * 65),
        ("gender", "x" * 51),
        ("country", "x" * 101),
        ("source", "x" * 41),
        ("source", " "),
        ("dateOfBirth", "2999-01-01"),
        ("dateOfBirth", "1066-10-14"),
        ("dateOfBirth", "yesterday"),
        ("status", "ASLEEP"),
        ("status", None),
        ("tags", ["x" * 101]),
        ("tags", [f"t{n}" for n in range(251)]),
        ("tags", "vip"),
        ("tags", [1]),
        ("customFields", {"": 1}),
        ("customFields", {"x" * 101: 1}),
        ("customFields", {"a": "x" * 17_000}),
        ("customFields", []),
        ("id", "0190b0d2-c3e4-7f6a-8b9c-0d1e2f3a4b5c"),
        ("version", 7),
        ("totalSpent", "1000000.00"),
        ("isBlocked", True),
        ("createdAt", "2020-01-01T00:00:00Z"),
        ("mergedIntoId", None),
        ("workspaceId", "0190b0d2-c3e4-7f6a-8b9c-0d1e2f3a4b5c"),
        ("phoneE164", "+1"),
        ("search", "x"),
    ],
)
async def test_what_cannot_be_taken_is_named_and_changes_nothing(
    api: httpx.AsyncClient, field: str, value: Any
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@x.org")
    [pointer] = pointers(await api.post("/api/customers", json={"name": "Bo", field: value}))
    assert pointer.startswith(f"/{field}") or (pointer == "" and field not in ann)
    for method in ("PUT", "PATCH"):
        answer = await api.request(method, f"/api/customers/{ann['id']}", json={"name": "Bo", field: value})
        assert answer.status_code == 422, method
    assert told(await api.get(f"/api/customers/{ann['id']}")) == ann
    assert told(await api.get("/api/customers?count=true"))["total"] == 1


async def test_every_wrong_field_is_named_at_once(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/api/customers", json={"email": "x", "phone": "y", "dateOfBirth": "2999-01-01", "name": "Bo"}
    )
    assert sorted(pointers(answer)) == ["/dateOfBirth", "/email", "/phone"]


async def test_text_cannot_hold_nul(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/api/customers", content=b'{"name": "a\\u0000b"}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


async def test_custom_fields_hold_any_json(api: httpx.AsyncClient) -> None:
    fields = {
        "n": 1.5,
        "big": 12345678901234567890123,
        "deep": {"a": [1, {"b": None}]},
        "ü": "\U0001f600",
        "t": True,
        "z": None,
    }
    customer = await make_customer(api, name="Bo", custom_fields=fields)
    assert customer["customFields"] == fields


# --- one email, one customer -----------------------------------------------------------------------------------------


async def test_a_taken_email_is_409_with_the_others_id(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="Ann@x.org")
    bo = await make_customer(api, name="Bo")
    for answer in (
        await api.post("/api/customers", json={"email": "ANN@X.ORG"}),
        await api.patch(f"/api/customers/{bo['id']}", json={"email": "ann@X.org"}),
        await api.put(f"/api/customers/{bo['id']}", json={"email": "ann@x.org"}),
        await api.put("/api/customers/external/ETSY/5", json={"email": "ann@x.org"}),
    ):
        problem = told(answer, 409)
        assert problem["customerId"] == ann["id"]
        assert problem["type"].endswith("/email-taken")
    assert told(await api.get("/api/customers?count=true"))["total"] == 2


async def test_of_many_that_create_one_email_at_once_one_wins(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post("/api/customers", json={"email": "ann@x.org"}) for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    [winner] = [a.json()["id"] for a in answers if a.status_code == 201]
    assert {a.json()["customerId"] for a in answers if a.status_code == 409} == {winner}


async def test_ones_own_email_in_another_case_is_a_change(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org")
    assert told(await api.patch(f"/api/customers/{ann['id']}", json={"email": "Ann@X.org"}))["email"] == "Ann@X.org"


async def test_two_workspaces_share_nothing(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, email="ann@x.org", source="ETSY", externalId="7")
    other = await make_workspace(db)
    async with client(db, other.key) as stranger:
        assert (await make_customer(stranger, email="ann@x.org", source="ETSY", externalId="7"))["id"] != ann["id"]
        path = f"/api/customers/{ann['id']}"
        for method, below in (
            ("GET", ""),
            ("PUT", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "?include=deleted"),
            ("POST", "/restore"),
            ("POST", "/block"),
            ("POST", "/unblock"),
        ):
            body = {"name": "Mine"} if method in ("PUT", "PATCH") else None
            answer = await stranger.request(method, path + below, json=body)
            assert answer.status_code == 404, (method, below)
    assert told(await api.get(path)) == ann


# --- the channel's id ------------------------------------------------------------------------------------------------


async def test_a_taken_external_id_is_409_with_the_others_id(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, source="ETSY", external_id="7")
    other = await make_customer(api, source="SHOPIFY", external_id="7")
    problem = told(await api.post("/api/customers", json={"source": "ETSY", "externalId": "7"}), 409)
    assert problem["customerId"] == ann["id"]
    problem = told(await api.patch(f"/api/customers/{other['id']}", json={"source": "ETSY"}), 409)
    assert problem["customerId"] == ann["id"]


async def test_put_by_external_id_creates_then_replaces(api: httpx.AsyncClient) -> None:
    path = "/api/customers/external/SHOPIFY/gid%3A%2F%2Fshopify%2FCustomer%2F77"
    first = await api.put(path, json={"name": "Ann", "phone": "+14155552671", "tags": ["a"], "status": "VIP"})
    ann = told(first, 201)
    assert (ann["source"], ann["externalId"]) == ("SHOPIFY", "gid://shopify/Customer/77")
    second = await api.put(path, json={"name": "Ann Lee"})
    again = told(second, 200)
    assert again["id"] == ann["id"]
    assert first.headers["location"] == second.headers["location"] == f"/api/customers/{ann['id']}"
    assert (again["name"], again["phone"], again["tags"], again["status"]) == ("Ann Lee", None, [], "VIP")
    plain = told(await api.put("/api/customers/external/SHOPIFY/gid://shopify/Customer/77", json={"name": "Ann Lee"}))
    assert plain == again
    pinned = told(await api.put(path.replace("/api/", "/api/v1/"), json={"name": "Ann Lee"}))
    assert pinned == again


async def test_an_external_id_is_taken_letter_by_letter(api: httpx.AsyncClient) -> None:
    for written, meant in (
        ("a%20b", "a b"),
        ("100%25", "100%"),
        ("%C3%BC", "ü"),
        ("..%2F..", "../.."),
        ("x%2Forders", "x/orders"),
    ):
        customer = told(await api.put(f"/api/customers/external/ETSY/{written}", json={}), 201)
        assert customer["externalId"] == meant
    assert (await api.put("/api/customers/external/ETSY/%FF", json={})).status_code == 400
    assert pointers(await api.put(f"/api/customers/external/ETSY/{'x' * 256}", json={})) == ["/externalId"]


async def test_of_many_that_put_one_external_id_at_once_one_creates(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(api.put("/api/customers/external/ETSY/7", json={"name": f"N{n}"}) for n in range(8))
    )
    assert sorted(a.status_code for a in answers) == [200] * 7 + [201]
    assert len({a.json()["id"] for a in answers}) == 1


async def test_a_customer_that_came_with_an_order_is_found_by_its_external_id(api: httpx.AsyncClient) -> None:
    order = await make_order(api, source="ETSY", customer_external_id="42", email="ann@x.org", name="Ann Lee")
    customer = told(await api.put("/api/customers/external/ETSY/42", json={"name": "Ann B. Lee"}), 200)
    assert customer["id"] == order["customerId"]


# --- replace and change ----------------------------------------------------------------------------------------------


async def test_put_replaces_the_profile(api: httpx.AsyncClient) -> None:
    ann = told(await api.post("/api/customers", json=FULL), 201)
    new = told(await api.put(f"/api/customers/{ann['id']}", json={"name": "Ann"}))
    assert new == ann | {
        "name": "Ann",
        "externalId": None,
        "email": None,
        "phone": None,
        "dateOfBirth": None,
        "gender": None,
        "country": None,
        "tags": [],
        "customFields": {},
        "updatedAt": new["updatedAt"],
        "version": 2,
    }
    assert (new["status"], new["source"]) == ("VIP", "SHOPIFY"), "what cannot be null stays"
    assert new["updatedAt"] > ann["updatedAt"]
    assert pointers(await api.put(f"/api/customers/{ann['id']}", json={})) == [""]


async def test_patch_changes_what_is_given(api: httpx.AsyncClient) -> None:
    ann = told(await api.post("/api/customers", json=FULL), 201)
    path = f"/api/customers/{ann['id']}"
    new = told(
        await api.patch(
            path, json={"phone": None, "tags": ["x"], "customFields": {"shoe": 39, "pets": None, "b": {"c": 1}}}
        )
    )
    assert new == ann | {
        "phone": None,
        "tags": ["x"],
        "customFields": {"shoe": 39, "since": None, "b": {"c": 1}},
        "updatedAt": new["updatedAt"],
        "version": 2,
    }
    body = b'{"name": "Ann L."}'
    merged = await api.patch(path, content=body, headers={"Content-Type": "application/merge-patch+json"})
    assert told(merged)["name"] == "Ann L."


async def test_a_change_that_changes_nothing_is_no_new_version(api: httpx.AsyncClient) -> None:
    ann = told(await api.post("/api/customers", json=FULL), 201)
    path = f"/api/customers/{ann['id']}"
    assert told(await api.patch(path, json={})) == ann
    assert told(await api.patch(path, json={"name": "Ann Lee", "tags": FULL["tags"], "country": "US"})) == ann
    assert told(await api.put(path, json=FULL)) == ann


async def test_the_last_of_who_somebody_is_cannot_be_taken_away(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org")
    assert pointers(await api.patch(f"/api/customers/{ann['id']}", json={"email": None})) == [""]


async def test_a_phone_is_read_as_dialled_in_its_country(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", phone="020 7946 0018", country="GB")
    assert ann["phone"] == "020 7946 0018"
    assert [c["id"] for c in told(await api.get("/api/customers?phone=%2B442079460018"))["data"]] == [ann["id"]]
    await api.patch(f"/api/customers/{ann['id']}", json={"country": "DE"})
    assert told(await api.get("/api/customers?phone=%2B442079460018"))["data"] == []
    assert [c["id"] for c in told(await api.get("/api/customers?phone=%2B492079460018"))["data"]] == [ann["id"]]


async def test_if_match_is_honoured_and_never_required(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    path = f"/api/customers/{ann['id']}"
    assert told(await api.patch(path, json={"name": "B"}, headers={"If-Match": '"1"'}))["version"] == 2
    for method, below, body in (
        ("PATCH", "", {"name": "C"}),
        ("PUT", "", {"name": "C"}),
        ("DELETE", "", None),
        ("POST", "/block", None),
        ("POST", "/unblock", None),
        ("POST", "/restore", None),
    ):
        answer = await api.request(method, path + below, json=body, headers={"If-Match": '"1"'})
        assert answer.status_code == 412, (method, below)
    assert told(await api.get(path))["name"] == "B"
    assert (await api.get(path, headers={"If-None-Match": '"2"'})).status_code == 304


async def test_of_two_who_change_the_same_version_one_is_told(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    path = f"/api/customers/{ann['id']}"
    answers = await asyncio.gather(
        *(api.patch(path, json={"name": f"N{n}"}, headers={"If-Match": '"1"'}) for n in range(4))
    )
    assert sorted(a.status_code for a in answers) == [200, 412, 412, 412]


# --- block -----------------------------------------------------------------------------------------------------------


async def test_blocking_remembers_the_status_to_return_to(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", status="VIP")
    path = f"/api/customers/{ann['id']}"
    answer = await api.post(f"{path}/block")
    blocked = told(answer)
    assert blocked["message"] == "Customer blocked"
    assert blocked["customer"] == told(await api.get(path))
    assert (blocked["customer"]["status"], blocked["customer"]["isBlocked"]) == ("BLOCKED", True)
    assert answer.headers["etag"] == '"2"'
    assert told(await api.post(f"{path}/block")) == blocked, "blocking twice is blocking once"
    unblocked = told(await api.post(f"{path}/unblock"))
    assert unblocked["message"] == "Customer unblocked"
    assert (unblocked["customer"]["status"], unblocked["customer"]["isBlocked"]) == ("VIP", False)
    assert told(await api.post(f"{path}/unblock")) == unblocked


async def test_patch_and_put_to_blocked_are_blocking(api: httpx.AsyncClient) -> None:
    for method, rest in (("PATCH", {}), ("PUT", {"name": "Ann"})):
        ann = await make_customer(api, name="Ann", status="INACTIVE")
        path = f"/api/customers/{ann['id']}"
        assert told(await api.request(method, path, json={"status": "BLOCKED", **rest}))["isBlocked"] is True
        assert told(await api.patch(path, json={"name": "B"}))["isBlocked"] is True
        assert told(await api.post(f"{path}/unblock"))["customer"]["status"] == "INACTIVE"
        assert told(await api.request(method, path, json={"status": "BLOCKED", **rest}))["isBlocked"] is True
        assert told(await api.patch(path, json={"status": "VIP"}))["isBlocked"] is False
        kinds = [e["type"] for e in told(await api.get(f"{path}/timeline"))["data"]]
        assert kinds.count("CustomerBlocked") == kinds.count("CustomerUnblocked") == 2


async def test_a_customer_can_be_created_blocked(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", status="BLOCKED")
    assert told(await api.post(f"/api/customers/{ann['id']}/unblock"))["customer"]["status"] == "ACTIVE"


async def test_new_orders_of_a_blocked_customer_are_held(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org")
    await api.post(f"/api/customers/{ann['id']}/block")
    order = await make_order(api, email="ann@x.org", name="Ann")
    assert (order["customerId"], order["onHold"]) == (ann["id"], True)


# --- delete and restore ----------------------------------------------------------------------------------------------


async def test_a_deleted_customer_is_gone_unless_asked_for(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org")
    path = f"/api/customers/{ann['id']}"
    answer = await api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/block"), ("POST", "/unblock")):
        assert (await api.request(method, path + below)).status_code == 404
    for method in ("PUT", "PATCH"):
        assert (await api.request(method, path, json={"name": "B"})).status_code == 404
    assert told(await api.get("/api/customers"))["data"] == []
    gone = told(await api.get(path, params={"include": "deleted"}))
    assert gone["deletedAt"] is not None
    assert [c["id"] for c in told(await api.get("/api/customers", params={"include": "deleted"}))["data"]] == [
        ann["id"]
    ]
    back = told(await api.post(f"{path}/restore"))
    assert back == ann | {"updatedAt": back["updatedAt"], "version": 3}
    assert told(await api.post(f"{path}/restore")) == back, "restoring twice is restoring once"


async def test_a_deleted_customer_frees_email_and_external_id(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@x.org", source="ETSY", external_id="7")
    await api.delete(f"/api/customers/{ann['id']}")
    new = await make_customer(api, email="ann@x.org", source="ETSY", external_id="7")
    problem = told(await api.post(f"/api/customers/{ann['id']}/restore"), 409)
    assert problem["customerId"] == new["id"]
    await api.patch(f"/api/customers/{new['id']}", json={"email": None})
    problem = told(await api.post(f"/api/customers/{ann['id']}/restore"), 409)
    assert problem["customerId"] == new["id"]
    assert problem["type"].endswith("/external-id-taken")
    await api.patch(f"/api/customers/{new['id']}", json={"externalId": None, "name": "New"})
    assert told(await api.post(f"/api/customers/{ann['id']}/restore"))["email"] == "ann@x.org"
    order = await make_order(api, source="ETSY", customer_external_id="7")
    assert order["customerId"] == ann["id"], "the contacts lead to it again"


async def test_a_merged_customer_leads_to_its_survivor(
    api: httpx.AsyncClient, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    ann, bo = await make_customer(api), await make_customer(api)
    merge = "update data.customer set merged_into_id = $3, deleted_at = now() where workspace_id = $1 and id = $2"
    await owner.execute(merge, shop.id, UUID(bo["id"]), UUID(ann["id"]))
    path = f"/api/customers/{bo['id']}"
    for method, below, body in (
        ("GET", "", None),
        ("GET", "?include=deleted", None),
        ("PATCH", "", {"name": "B"}),
        ("PUT", "", {"name": "B"}),
        ("DELETE", "", None),
        ("POST", "/block", None),
        ("POST", "/restore", None),
    ):
        answer = await api.request(method, path + below, json=body)
        assert told(answer, 308)["mergedIntoId"] == ann["id"], (method, below)
        assert answer.headers["location"] == f"/api/customers/{ann['id']}{below}"
    for below in ("/notes", "/addresses"):
        answer = await api.get(path + below)
        assert (answer.status_code, answer.headers["location"]) == (308, f"/api/customers/{ann['id']}{below}")
    followed = await api.get(path, follow_redirects=True)
    assert told(followed)["id"] == ann["id"]
    listed = told(await api.get("/api/customers?include=deleted"))["data"]
    assert [c["id"] for c in listed] == [ann["id"]]


async def test_nobody_has_this_id(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"/api/customers/{ids.new()}")).status_code == 404
    assert (await api.get("/api/customers/12")).status_code == 404
    assert pointers(await api.get(f"/api/customers/{ids.new()}?include=everything")) == ["include"]


# --- what is told of it ----------------------------------------------------------------------------------------------


async def test_every_edit_is_told_with_old_and_new_values(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    path = f"/api/customers/{ann['id']}"
    await api.patch(path, json={"name": "Ann Lee", "tags": ["a"]})
    await api.delete(path)
    await api.post(f"{path}/restore")
    entries = told(await api.get(f"{path}/timeline"))["data"]
    kinds = [e["type"] for e in entries]
    assert kinds == ["CustomerRestored", "CustomerDeleted", "CustomerTagged", "CustomerChanged", "CustomerCreated"]
    changed = next(e for e in entries if e["type"] == "CustomerChanged")
    assert changed["data"] == {"changes": {"name": ["Ann", "Ann Lee"], "tags": [[], ["a"]]}}
    audit = told(await api.get("/api/audit", params={"subjectId": ann["id"]}))["data"]
    assert [row["action"] for row in audit] == [
        "customers.restore",
        "customers.delete",
        "customers.change",
        "customers.create",
    ]
    assert [(c["field"], c["old"], c["new"]) for c in audit[2]["changes"]] == [
        ("name", "Ann", "Ann Lee"),
        ("tags", [], ["a"]),
    ]


async def test_a_key_may_do_what_its_scopes_say(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api)
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert (await reader.get("/api/customers")).status_code == 200
        assert (await reader.get(f"/api/customers/{ann['id']}")).status_code == 200
        assert (await reader.post("/api/customers", json={"name": "B"})).status_code == 403
        assert (await reader.patch(f"/api/customers/{ann['id']}", json={"name": "B"})).status_code == 403
        assert (await reader.post(f"/api/customers/{ann['id']}/block")).status_code == 403
    async with client(db) as nobody:
        assert (await nobody.get("/api/customers")).status_code == 401


async def test_a_repeated_post_with_its_key_is_answered_as_before(api: httpx.AsyncClient) -> None:
    first = await api.post("/api/customers", json={"name": "Ann"}, headers={"Idempotency-Key": "k1"})
    second = await api.post("/api/customers", json={"name": "Ann"}, headers={"Idempotency-Key": "k1"})
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert told(await api.get("/api/customers?count=true"))["total"] == 1
