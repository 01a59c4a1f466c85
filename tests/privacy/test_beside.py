"""What others' rows, and what was before, tell of a person: it goes with the person, and the rest of it stays."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx

from supover.kit.db import Database
from supover.merging import commands as merging
from supover.privacy import commands
from tests.makers import Json, Workspace, make_address, make_customer, make_order, png, told
from tests.privacy.arrange import ask, dump, mentions, stored, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

EMAIL: Final = "hilda.brunnenkrug@mail-of-hilda.example"
NAME: Final = "Hilda Brunnenkrug"
PHONE: Final = "+49 151 77665544"
HILDA: Final = (
    "brunnenkrug",
    "mail-of-hilda",
    "77665544",
    "1971-03-04",
    "unicycling",
    "hildatag",
    "krugweg",
    "hildanote",
)


async def _make_hilda(api: httpx.AsyncClient) -> Json:
    return await make_customer(api, name=NAME, email=EMAIL, phone=PHONE, country="DE")


async def _erase(owner: "Connection", db: Database, shop: Workspace, api: httpx.AsyncClient, customer: Json) -> Json:
    """Erases a customer; the certificate."""
    request = await ask(api, customer)
    await work(db, owner, shop)
    done = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
    assert done["status"] == "completed"
    return done


async def test_segments_and_views_that_are_named_after_the_person_each_keep_a_name_of_their_own(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    made: list[Json] = []
    for name in (EMAIL, NAME, PHONE):
        body = {"name": name, "filter": f"customer_email = '{EMAIL}'", "description": f"of {NAME}, 0151 / 776 655-44"}
        made.append(told(await api.post("/api/segments", json=body), 201))
        told(await api.post("/api/views", json={"name": name, "query": f"search={EMAIL}", "isShared": True}), 201)
    kept = told(await api.post("/api/segments", json={"name": "Hers", "filter": f"customer_email = '{EMAIL}'"}), 201)
    await work(db, owner, shop)
    await _erase(owner, db, shop, api, hilda)
    assert mentions(await dump(owner, shop.id), (*HILDA, "655-44")) == []
    names = [told(await api.get(f"/api/segments/{one['id']}"))["name"] for one in made]
    assert all(name.startswith("erased-") for name in names)
    found = told(await api.get(f"/api/segments/{kept['id']}"))
    assert (found["name"], found["filter"]) == ("Hers", "customer_email = 'erased'")


async def test_a_number_is_masked_however_it_was_written(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    written = ("0151 77665544", "+49 (151) 776-65544", "015177665544", "0049 151 77665544", "+4915177665544")
    for n, number in enumerate(written):
        view = {"name": f"view {n}", "query": f"search={number}&sort=name", "isShared": True}
        told(await api.post("/api/views", json=view), 201)
    await _erase(owner, db, shop, api, hilda)
    queries = [view["query"] for view in told(await api.get("/api/views"))["data"] if view["name"].startswith("view")]
    assert queries == ["search=erased&sort=name"] * len(written)


async def test_a_merge_that_was_undone_leaves_nothing_of_the_person_with_the_other(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    more = {"dateOfBirth": "1971-03-04", "tags": ["hildatag"], "customFields": {"hobby": "unicycling"}}
    hilda = await make_customer(api, name=NAME, email=EMAIL, phone=PHONE, **more)
    await make_address(api, hilda, line1="Krugweg 99")
    told(await api.post(f"/api/customers/{hilda['id']}/notes", json={"note": "hildanote"}), 201)
    other = await make_customer(api, email="bo@day.example", phone="+49 30 555 12 34", name="Bo Day")
    merged = {"primaryId": other["id"], "duplicateIds": [hilda["id"]]}
    done = told(await api.post("/api/customers/merge", json=merged))
    told(await api.post(f"/api/merges/{done['mergeId']}/undo"))
    await work(db, owner, shop)
    await _erase(owner, db, shop, api, hilda)
    assert mentions(await dump(owner, shop.id), HILDA) == []
    kept = told(await api.get(f"/api/customers/{other['id']}"))
    assert (kept["name"], kept["email"], kept["phone"]) == ("Bo Day", "bo@day.example", "+49 30 555 12 34")


async def test_what_the_profile_said_before_it_was_changed_goes_too_and_does_not_come_back(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    hilda = await _make_hilda(api)
    told(await api.post("/api/segments", json={"name": "Hers", "filter": f"customer_email = '{EMAIL}'"}), 201)
    asked = {"format": "csv", "fields": ["name", "email"]}
    told(await api.post("/api/customers/export", json=asked, headers={"Prefer": "respond-async"}), 202)
    await work(db, owner, shop)
    assert len(stored(folder)) == 1
    change = {"email": "new@mail.example", "name": "Berta Neumann", "phone": None}
    told(await api.patch(f"/api/customers/{hilda['id']}", json=change))
    await _erase(owner, db, shop, api, hilda)
    assert mentions(await dump(owner, shop.id), HILDA) == []
    assert stored(folder) == []
    rows = f"email,name,phone\n{EMAIL},{NAME},\n,{NAME},{PHONE}\n"
    told(await api.post("/api/customers/import", files={"file": ("old.csv", rows.encode())}), 202)
    await work(db, owner, shop)
    assert told(await api.get("/api/customers"))["data"] == []


async def test_a_former_email_that_is_another_customers_now_stays_theirs(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    told(await api.patch(f"/api/customers/{hilda['id']}", json={"email": "new@mail.example"}))
    heir = await make_customer(api, name="Bo Day", email=EMAIL)
    told(await api.post("/api/segments", json={"name": "Heirs", "filter": f"customer_email = '{EMAIL}'"}), 201)
    await _erase(owner, db, shop, api, hilda)
    [segment] = [s for s in told(await api.get("/api/segments"))["data"] if s["name"] == "Heirs"]
    assert segment["filter"] == f"customer_email = '{EMAIL}'"
    old = await make_order(api, external_id="1", email=EMAIL, placed_at="2026-01-01T00:00:00Z")
    assert old["customerId"] == heir["id"]


async def test_an_order_that_was_given_to_another_keeps_what_is_the_others(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    other = await make_customer(api, name="Bo Day", email="bo@day.example")
    await make_address(api, other, line1="Torstr. 1", recipient_name="Bo Day")
    place = {"line1": "Torstr. 1", "city": "Berlin", "postalCode": "10119", "country": "DE", "recipientName": "Bo Day"}
    order = await make_order(
        api, external_id="1", email=EMAIL, name=NAME, phone=PHONE, note="ring twice", shipping_address=place
    )
    assert order["customerId"] == hilda["id"]
    told(await api.patch(f"/api/orders/{order['id']}", json={"customerId": other["id"]}))
    done = await _erase(owner, db, shop, api, hilda)
    assert mentions(await dump(owner, shop.id), HILDA) == []
    kept = told(await api.get(f"/api/orders/{order['id']}"))
    assert (kept["customerId"], kept["note"]) == (other["id"], "ring twice")
    assert kept["shippingAddress"]["line1"] == "Torstr. 1"
    assert (done["rows"]["order"], done["ordersKept"]) == (1, 0)


async def test_of_a_file_without_a_header_no_row_is_kept_as_one(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    content = f"email,{NAME},{PHONE}\nbo@day.example,Bo Day,\n".encode()
    run = told(await api.post("/api/customers/import", files={"file": ("rows.csv", content)}), 202)
    assert run["ignoredColumns"] == [NAME, PHONE]
    await work(db, owner, shop)
    await _erase(owner, db, shop, api, hilda)
    assert mentions(await dump(owner, shop.id), HILDA) == []
    assert told(await api.get(f"/api/imports/{run['id']}"))["ignoredColumns"] == []
    assert (await api.get(f"/api/imports/{run['id']}/errors.csv")).text == "row,field,reason,reasons\r\n"


async def test_a_picture_that_gave_way_to_a_twins_goes_too(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    hilda, twin = await _make_hilda(api), await make_customer(api, name="Hilda B")
    for one in (hilda, twin):
        told(await api.put(f"/api/customers/{one['id']}/avatar", files={"file": ("me.png", png())}))
    chosen = {"avatarUrl": {"customerId": twin["id"]}}
    merged = {"primaryId": hilda["id"], "duplicateIds": [twin["id"]], "fields": chosen}
    told(await api.post("/api/customers/merge", json=merged))
    assert len(stored(folder)) == 2
    await _erase(owner, db, shop, api, hilda)
    assert stored(folder) == []


async def test_an_export_of_the_person_that_is_being_made_at_that_moment_is_ended(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda = await _make_hilda(api)
    export = told(await api.post(f"/api/customers/{hilda['id']}/privacy/export"), 202)
    async with db.tx(shop.id) as tx:
        assert await commands.start(tx, UUID(export["id"]))
    await ask(api, hilda)
    await work(db, owner, shop, "privacy.erase")
    async with db.tx(shop.id) as tx:
        assert not await commands.keep_files(tx, UUID(export["id"]), "privacy/a", "privacy/b")
    found = told(await api.get(f"/api/privacy/requests/{export['id']}"))
    assert (found["status"], found["files"]) == ("cancelled", [])


async def test_who_is_merged_while_somebody_asks_for_an_erasure_is_not_erased_by_half(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    hilda, other = await _make_hilda(api), await make_customer(api, name="Bo Day")
    async with db.tx(shop.id) as tx:
        await merging.merge(tx, UUID(other["id"]), [UUID(hilda["id"])])
        asked = asyncio.create_task(api.post(f"/api/customers/{hilda['id']}/privacy/erase", json={}))
        await asyncio.sleep(0.3)
        assert not asked.done()
    answer = await asked
    assert (answer.status_code, answer.json()["mergedIntoId"]) == (308, other["id"])
    assert answer.headers["location"] == f"/api/customers/{other['id']}/privacy/erase"


async def test_the_requests_of_one_who_was_merged_are_the_survivors(api: httpx.AsyncClient) -> None:
    hilda, other = await _make_hilda(api), await make_customer(api, name="Bo Day")
    told(await api.post(f"/api/customers/{hilda['id']}/privacy/export"), 202)
    told(await api.post("/api/customers/merge", json={"primaryId": other["id"], "duplicateIds": [hilda["id"]]}))
    answer = await api.get(f"/api/customers/{hilda['id']}/privacy")
    assert (answer.status_code, answer.json()["mergedIntoId"]) == (308, other["id"])
    assert answer.headers["location"] == f"/api/customers/{other['id']}/privacy"
    [request] = told(await api.get(answer.headers["location"]))["data"]
    assert (request["kind"], request["customerId"]) == ("export", hilda["id"])
