"""Requests of privacy: asked for, shown, cancelled, told and certified."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from supover import wiring
from supover.kit import jobs
from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer, make_key, make_order, settle, told
from tests.privacy.arrange import EMAIL, LINE, NAME, ask, dump, make_others, make_somebody, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def test_an_export_tells_everything_by_links_that_anybody_with_them_can_follow(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    await make_others(api)
    asked = told(await api.post(f"/api/customers/{zoe['id']}/privacy/export"), 202)
    again = told(await api.post(f"/api/customers/{zoe['id']}/privacy/export"), 200)
    assert (again["id"], again["already"]) == (asked["id"], True)
    await work(db, owner, shop)
    [request] = told(await api.get(f"/api/customers/{zoe['id']}/privacy"))["data"]
    assert (request["status"], request["id"]) == ("completed", asked["id"])
    by_format = {file["format"]: file["url"] for file in request["files"]}
    async with client(db) as anybody:
        answer = await anybody.get(by_format["json"])
        page = await anybody.get(by_format["html"])
    assert answer.headers["content-type"] == "application/json"
    assert page.headers["content-disposition"].startswith("attachment")
    said = answer.json()
    [profile] = said["profiles"]
    assert (profile["name"], profile["email"], profile["dateOfBirth"]) == (NAME, EMAIL, "1984-02-29")
    assert (profile["tags"], profile["customFields"]) == (["left handed"], {"hobby": "loves lilac"})
    assert said["addresses"][0]["line1"] == LINE
    assert said["notes"][0]["note"] == f"{NAME} wants a lilac ribbon"
    assert {i["kind"] for i in said["identities"]} == {"channel", "email", "phone"}
    assert said["orders"][0]["note"] == "the lilac ribbon, engrave-zq"
    assert said["orderLines"][0]["properties"] == {"engraving": "engrave-zq"}
    assert said["consents"][0]["state"] == "SUBSCRIBED"
    assert "OrderPlaced" in {fact["kind"] for fact in said["timeline"]}
    assert said["refunds"][0]["reason"] == f"{NAME} did not like it"
    for text in (NAME, EMAIL, LINE, "lilac ribbon", "loves lilac", "@media print"):
        assert text in page.text
    assert "other@person.example" not in answer.text


async def test_what_somebody_wrote_is_no_markup_in_the_page(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    eve = await make_customer(api, name="<script>alert(1)</script>", tags=["<img src=x onerror=alert(1)>"])
    asked = told(await api.post(f"/api/customers/{eve['id']}/privacy/export"), 202)
    await work(db, owner, shop)
    files = told(await api.get(f"/api/privacy/requests/{asked['id']}"))["files"]
    page = await api.get(files[1]["url"])
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_dry_run_counts_and_changes_nothing(
    owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    before = await dump(owner, shop.id)
    path = f"/api/customers/{zoe['id']}/privacy/erase"
    for answer in (await api.post(path, json={"dryRun": True}), await api.post(path, params={"dryRun": "true"})):
        said = told(answer)
        assert (said["dryRun"], said["ordersKept"], said["id"]) == (True, 1, None)
        assert said["rows"]["customer"] == 1
        assert said["rows"]["order"] == 1
    after = await dump(owner, shop.id)
    assert {t: rows for t, rows in after.items() if t != "audit_log"} == {
        t: rows for t, rows in before.items() if t != "audit_log"
    }


async def test_a_delayed_erasure_waits_and_can_be_cancelled_until_it_runs(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    request = await ask(api, ann, delayDays=14, reason="Asked by letter")
    assert (request["status"], request["reason"]) == ("pending", "Asked by letter")
    waits = datetime.fromisoformat(request["runAt"]) - datetime.fromisoformat(request["createdAt"])
    assert timedelta(days=13, hours=23) < waits < timedelta(days=14, hours=1)
    assert await work(db, owner, shop, "privacy.%") == 0
    again = told(await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={"delayDays": 3}))
    assert (again["id"], again["already"], again["runAt"]) == (request["id"], True, request["runAt"])
    gone = told(await api.delete(f"/api/privacy/requests/{request['id']}"))
    assert gone["status"] == "cancelled"
    assert told(await api.delete(f"/api/privacy/requests/{request['id']}"))["status"] == "cancelled"
    await owner.execute("update data.job set waiting = false where workspace_id = $1", shop.id)
    await work(db, owner, shop, "privacy.%")
    assert told(await api.get(f"/api/customers/{ann['id']}"))["name"] == "Ann Lee"
    second = await ask(api, ann, delayDays=14)
    assert (second["id"] == request["id"], second["already"]) == (False, False)


async def test_the_workspaces_delay_is_what_an_erasure_waits(api: httpx.AsyncClient) -> None:
    told(await api.put("/api/privacy/retention", json={"eraseDelayDays": 7}))
    ann = await make_customer(api, name="Ann Lee")
    request = await ask(api, ann)
    waits = datetime.fromisoformat(request["runAt"]) - datetime.fromisoformat(request["createdAt"])
    assert timedelta(days=6, hours=23) < waits < timedelta(days=7, hours=1)


async def test_erasing_twice_says_that_it_was_done_and_does_nothing(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    request = await ask(api, ann, reason="ann@lee.example wrote")
    await work(db, owner, shop)
    before = await dump(owner, shop.id)
    again = told(await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={}))
    assert (again["id"], again["status"], again["already"], again["reason"]) == (request["id"], "completed", True, None)
    after = await dump(owner, shop.id)
    assert after["customer"] == before["customer"]
    told(await api.post(f"/api/customers/{ann['id']}/restore"), 409)
    told(await api.get(f"/api/customers/{ann['id']}"), 404)
    told(await api.post(f"/api/customers/{ann['id']}/privacy/export"), 409)
    told(await api.delete(f"/api/privacy/requests/{request['id']}"), 409)


async def test_who_has_the_same_key_again_gets_the_same_answer_and_not_the_person_back(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    body = {"name": "Ann Lee", "email": "ann@lee.example"}
    ann = told(await api.post("/api/customers", json=body, headers={"Idempotency-Key": "a"}), 201)
    first = await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={}, headers={"Idempotency-Key": "e"})
    await work(db, owner, shop)
    second = await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={}, headers={"Idempotency-Key": "e"})
    assert (second.status_code, second.json()) == (202, first.json())
    refused = await api.post("/api/customers", json=body, headers={"Idempotency-Key": "a"})
    assert refused.status_code == 422
    assert told(await api.get("/api/customers"))["data"] == []


async def test_a_scope_of_its_own_is_needed(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    async with client(db, await make_key(db, shop.id, "customers:write")) as other:
        told(await other.post(f"/api/customers/{ann['id']}/privacy/erase", json={}), 403)
        told(await other.get("/api/privacy/requests"), 403)
    async with client(db, await make_key(db, shop.id, "privacy:write")) as right:
        told(await right.post(f"/api/customers/{ann['id']}/privacy/erase", json={"dryRun": True}))
        told(await right.put("/api/privacy/retention", json={}), 403)


async def test_figures_of_the_shop_stay_as_they_were(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, status="delivered", total="30.00")
    sums = 'select count(*), sum(total), sum(net_value) from data."order" where workspace_id = $1'
    before = await owner.fetchrow(sums, shop.id)
    await ask(api, ann)
    await work(db, owner, shop)
    assert await owner.fetchrow(sums, shop.id) == before
    certificate = told(await api.get("/api/privacy/requests"))["data"][0]
    found = told(await api.get(f"/api/privacy/erasures/{certificate['id']}"))
    assert found["requestedBy"].startswith("key:")
    assert "Ann" not in json.dumps(found)


async def test_all_that_is_stored_is_proved_by_a_recount_afterwards(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    await make_others(api)
    told(await api.post("/api/segments", json={"name": "Buyers", "filter": "number_of_orders >= 1"}), 201)
    await _settled(db, owner, shop)
    await ask(api, zoe)
    await _settled(db, owner, shop)
    async with db.snapshot(shop.id) as reader:
        for prove in wiring.proofs():
            assert (await prove(reader))[1] == []
    for segment in told(await api.get("/api/segments"))["data"]:
        members = told(await api.get(f"/api/segments/{segment['id']}/customers"))["data"]
        assert zoe["id"] not in {m["id"] for m in members}, segment["name"]


async def _settled(db: Database, owner: "Connection", shop: Workspace) -> None:
    for _ in range(3):
        await work(db, owner, shop)
        await settle(db, shop)
        for drain in jobs.drains().values():
            if drain.name.startswith(("segments.", "analytics.")):
                while await drain.batch(db, shop.id):
                    pass


async def test_of_nobody_there_is_nothing(api: httpx.AsyncClient, folder: Path) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    for path in ("privacy/export", "privacy/erase"):
        told(await api.post(f"/api/customers/{nobody}/{path}", json={} if path.endswith("erase") else None), 404)
    missing = told(await api.get(f"/api/customers/{nobody}/privacy"), 404)
    assert missing["title"] == "No customer with this id in this workspace"
    told(await api.get(f"/api/privacy/erasures/{nobody}"), 404)
    told(await api.get(f"/api/privacy/requests/{nobody}"), 404)


async def test_the_requests_of_one_who_was_merged_are_the_survivors(api: httpx.AsyncClient) -> None:
    ann, twin = [await make_customer(api, name=name) for name in ("Ann", "Twin")]
    asked = told(await api.post(f"/api/customers/{twin['id']}/privacy/export"), 202)
    told(await api.post("/api/customers/merge", json={"primaryId": ann["id"], "duplicateIds": [twin["id"]]}))
    moved = await api.get(f"/api/customers/{twin['id']}/privacy")
    assert (moved.status_code, moved.headers["location"]) == (308, f"/api/customers/{ann['id']}/privacy")
    [request] = told(await api.get(f"/api/customers/{ann['id']}/privacy"))["data"]
    assert request["id"] == asked["id"]


async def test_sums_keep_every_digit_and_fields_stand_in_their_order(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    custom = {"whole": 12345678901234567890123, "half": 0.5, "list": [1.25, {"deep": 2.5}]}
    ann = await make_customer(api, name="Ann", email="ann@x.com", customFields=custom)
    await make_order(api, ann, total="99999999999999.99")
    await make_order(api, ann, total="24.90", external_id="2")
    asked = told(await api.post(f"/api/customers/{ann['id']}/privacy/export"), 202)
    await work(db, owner, shop)
    files = {f["format"]: f["url"] for f in told(await api.get(f"/api/privacy/requests/{asked['id']}"))["files"]}
    said = told(await api.get(files["json"]))
    assert [order["total"] for order in said["orders"]] == ["99999999999999.99", "24.90"]
    assert said["profiles"][0]["customFields"] == custom
    assert list(said)[3:7] == ["profiles", "addresses", "identities", "orders"]
    assert list(said["profiles"][0])[:3] == ["externalId", "email", "name"]
    page = (await api.get(files["html"])).text
    assert '<td dir="auto">24.90</td>' in page
