"""Merge review: the queue, two side by side, decisions and their undo."""

import re
from typing import TYPE_CHECKING

import httpx

from supover.kit import ids
from supover.kit.db import Database
from tests.duplicates.scans import pairs, scanned
from tests.makers import Json, Workspace, make_address, make_customer, make_order, told
from tests.privacy.arrange import work
from tests.web import sites

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]


async def two_anns(api: httpx.AsyncClient, db: Database, shop: Workspace) -> tuple[Json, Json, Json]:
    """Two customers who are one by all that is known, the first with an order, and their pair."""
    first = await make_customer(api, name="Ann Lee", email="ann@lee.com", tags=["vip"])
    second = await make_customer(api, name="Anne Lee", phone="+12025550143", email="anne@lee.com", tags=["fair"])
    for one in (first, second):
        await make_address(api, one, line1="Torstr. 12")
    await make_order(api, first)
    await scanned(db, shop, full=True)
    [pair] = await pairs(api)
    return first, second, pair


async def status(api: httpx.AsyncClient, pair: Json) -> str:
    return told(await api.get(f"/api/duplicates/{pair['id']}"))["status"]


async def test_the_queue_is_empty_and_a_scan_fills_it(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    assert "No duplicates found" in (await web.get("/merges")).text
    await make_customer(api, name="Ann Lee", email="ann@lee.com", phone="+12025550143")
    await make_customer(api, name="Ann Lee", email="ann.lee@lee.com", phone="+12025550143")
    assert (await web.post("/merges/scan")).status_code == 303
    running = (await web.get("/merges")).text
    assert ("Looking for duplicates" in running, 'hx-trigger="every 1s"' in running) == (True, True)
    await work(db, owner, shop, "duplicates.%")
    page = (await web.get("/merges")).text
    assert ("Last search" in page, "every 1s" in page, page.count("Ann Lee")) == (True, False, 2)
    [pair] = await pairs(api)
    assert f"/merges/pairs/{pair['id']}" in page
    other = next(level for level in ("automatic", "suggested", "review") if level != pair["level"])
    assert f"/merges/pairs/{pair['id']}" not in (await web.get(f"/merges?level={other}")).text


async def test_two_are_side_by_side_with_what_a_merge_would_do(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    first, second, pair = await two_anns(api, db, shop)
    page = (await web.get(f"/merges/pairs/{pair['id']}")).text
    for said in ("Ann Lee", "Anne Lee", "ann@lee.com", "anne@lee.com", "+12025550143", "Torstr. 12", "Ann Lee stays"):
        assert said in page
    assert f'name="primaryId" value="{first["id"]}"' in page
    assert f'name="fields.name" value="{first["id"]}" checked' in page
    other = (await web.get(f"/merges/pairs/{pair['id']}?primaryId={second['id']}")).text
    assert ("Anne Lee stays" in other, "1 order" in other) == (True, True)
    chosen = (await web.get(f"/merges/pairs/{pair['id']}?fields.name={second['id']}")).text
    assert "Anne Lee stays" in chosen
    assert await status(api, pair) == "open"
    assert told(await api.get(f"/api/customers/{second['id']}"))["name"] == "Anne Lee"


async def test_a_pair_is_merged_as_chosen_and_taken_apart_again(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    first, second, pair = await two_anns(api, db, shop)
    form = {"primaryId": second["id"], "fields.name": first["id"], "level": ""}
    answer = await web.post(f"/merges/pairs/{pair['id']}/accept", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/merges")
    assert f"/merges/pairs/{pair['id']}/undo" in (await web.get("/merges")).text
    now = told(await api.get(f"/api/customers/{second['id']}"))
    assert (now["name"], now["email"], sorted(now["tags"])) == ("Ann Lee", "anne@lee.com", ["fair", "vip"])
    history = (await web.get("/merges/history")).text
    assert ("1 order" in history, "Undo" in history) == (True, True)
    assert "They were merged" in (await web.get(f"/merges/pairs/{pair['id']}")).text
    assert (await web.post(f"/merges/pairs/{pair['id']}/accept", data=form)).status_code == 409
    answer = await web.post(f"/merges/pairs/{pair['id']}/undo")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/merges/pairs/{pair['id']}")
    assert told(await api.get(f"/api/customers/{first['id']}"))["name"] == "Ann Lee"
    assert told(await api.get(f"/api/customers/{second['id']}"))["name"] == "Anne Lee"
    assert await status(api, pair) == "open"
    assert (await web.post(f"/merges/pairs/{pair['id']}/undo")).status_code in (404, 409)


async def test_what_an_undo_could_not_put_back_is_told(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    first, _, pair = await two_anns(api, db, shop)
    await web.post(f"/merges/pairs/{pair['id']}/accept", data={"primaryId": first["id"]})
    addresses = told(await api.get(f"/api/customers/{first['id']}/addresses"))["data"]
    [merge] = told(await api.get("/api/merges"))["data"]
    [order] = told(await api.get("/api/orders"))["data"]
    assert (len(addresses), order["customerId"]) == (1, first["id"])
    told(await api.patch(f"/api/customers/{first['id']}", json={"email": "new@lee.com"}))
    page = await web.get(f"/merges/history/{merge['id']}")
    assert ("Ann Lee" in page.text, "Can be undone until" in page.text) == (True, True)
    answer = await web.post(f"/merges/history/{merge['id']}/undo")
    assert answer.headers["location"] == f"/merges/history/{merge['id']}"
    undone = (await web.get(answer.headers["location"])).text
    assert ("Undone by" in undone, "Put back" in undone, "/undo" in undone) == (True, True, False)


async def test_a_pair_is_dismissed_with_a_note_and_opened_again(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    _, _, pair = await two_anns(api, db, shop)
    answer = await web.post(f"/merges/pairs/{pair['id']}/dismiss", data={"note": "Mother & daughter", "level": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/merges")
    assert await status(api, pair) == "dismissed"
    assert "Anne Lee" in (await web.get("/merges?status=dismissed")).text
    assert "Mother &amp; daughter" in (await web.get(f"/merges/pairs/{pair['id']}")).text
    long = await web.post(f"/merges/pairs/{pair['id']}/dismiss", data={"note": "x" * 1001})
    assert long.status_code == 422
    answer = await web.post(f"/merges/pairs/{pair['id']}/reopen")
    assert answer.headers["location"] == f"/merges/pairs/{pair['id']}"
    assert await status(api, pair) == "open"
    assert (await web.post(f"/merges/pairs/{pair['id']}/dismiss", data={"level": ""})).status_code == 303
    assert await status(api, pair) == "dismissed"


async def test_the_next_pair_of_the_level_opens(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    for n in range(3):
        for _ in range(2):
            await make_customer(api, name=f"Ann Lee{'xyz'[n]}", phone=f"+1202555014{n}")
    await scanned(db, shop, full=True)
    found = await pairs(api)
    level = found[0]["level"]
    queue = [pair["id"] for pair in found if pair["level"] == level]
    assert len(queue) == 3
    page = (await web.get(f"/merges/pairs/{queue[0]}?level={level}")).text
    assert f'href="/merges/pairs/{queue[1]}?level={level}"' in page
    answer = await web.post(f"/merges/pairs/{queue[0]}/dismiss", data={"level": level})
    assert answer.headers["location"] == f"/merges/pairs/{queue[1]}?level={level}"
    answer = await web.post(f"/merges/pairs/{queue[2]}/dismiss", data={"level": level})
    assert answer.headers["location"] == f"/merges/pairs/{queue[1]}?level={level}"
    answer = await web.post(f"/merges/pairs/{queue[1]}/dismiss", data={"level": level})
    assert answer.headers["location"] == f"/merges?level={level}"


async def test_chosen_customers_are_made_one_and_taken_apart(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    three = [await make_customer(api, name=f"Ann {n}", email=f"ann{n}@lee.com") for n in range(3)]
    path = "/merges/new?" + "&".join(f"ids={one['id']}" for one in three)
    page = (await web.get(path)).text
    assert ("Merge 3 customers" in page, page.count('name="fields.email"')) == (True, 3)
    form = {"ids": [one["id"] for one in three], "primaryId": three[1]["id"], "fields.email": three[2]["id"]}
    answer = await web.post("/merges", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/customers/{three[1]['id']}")
    now = told(await api.get(f"/api/customers/{three[1]['id']}"))
    assert (now["name"], now["email"]) == ("Ann 1", "ann2@lee.com")
    [merge] = told(await api.get("/api/merges"))["data"]
    await web.post(f"/merges/history/{merge['id']}/undo")
    assert told(await api.get(f"/api/customers/{three[2]['id']}"))["email"] == "ann2@lee.com"


async def test_nobody_and_eleven_are_not_merged(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    one = await make_customer(api)
    assert (await web.get("/merges/new")).status_code == 422
    many = "&".join(f"ids={ids.new()}" for _ in range(11))
    assert (await web.get(f"/merges/new?{many}")).status_code == 422
    assert (await web.get(f"/merges/new?ids={one['id']}&ids={ids.new()}")).status_code == 404
    answer = await web.post("/merges", data={"ids": [one["id"], one["id"]], "primaryId": one["id"]})
    assert answer.status_code == 422
    assert told(await api.get("/api/merges"))["data"] == []


async def test_what_stands_in_the_way_is_told(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    first, second = [await make_customer(api, name=f"Ann {n}", email=f"ann{n}@lee.com") for n in range(2)]
    told(await api.delete(f"/api/customers/{second['id']}"), 204)
    page = await web.get(f"/merges/new?ids={first['id']}&ids={second['id']}")
    assert page.status_code == 200
    assert re.search(r'data-key="y" disabled', page.text)


async def test_a_customer_is_split(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com", phone="+12025550143")
    order = await make_order(api, ann, number="1001", name="Bob Lee")
    path = f"/merges/split/{ann['id']}"
    page = (await web.get(path)).text
    assert ("1001" in page, "+12025550143" in page) == (True, True)
    empty = await web.post(path, data={"name": "Bob"}, headers={"HX-Request": "true"})
    assert (empty.status_code, empty.json()["errors"][0]["name"]) == (422, "name")
    found = told(await api.get(f"/api/customers/{ann['id']}/identities"))["data"]
    phone = next(one for one in found if one["kind"] == "phone")
    answer = await web.post(path, data={"name": "", "orderIds": order["id"], "identityIds": phone["id"]})
    assert answer.status_code == 303, answer.text
    bob = told(await api.get(f"/api{answer.headers['location']}"))
    assert (bob["name"], bob["phone"]) == ("Bob Lee", "+12025550143")
    assert told(await api.get(f"/api/orders/{order['id']}"))["customerId"] == bob["id"]
    assert (await web.get(f"/merges/split/{ids.new()}")).status_code == 404


async def test_who_may_says_what_happens_by_itself(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    async with sites.signed_in(db, shop, "agent") as agent:
        assert 'id="settings"' in (await agent.get("/merges")).text
        assert 'commandfor="settings"' not in (await agent.get("/merges")).text.split("<dialog", 1)[0]
        assert (await agent.post("/merges/settings", data={"automaticMerging": "true"})).status_code == 403
    form = {"automaticMerging": ["false", "true"], "nightlyScan": "false"}
    assert (await web.post("/merges/settings", data=form)).status_code == 303
    now = told(await api.get("/api/duplicates/settings"))
    assert (now["automaticMerging"], now["nightlyScan"]) == (True, False)


async def test_a_viewer_may_look_but_not_decide(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    first, second, pair = await two_anns(api, db, shop)
    async with sites.signed_in(db, shop, "viewer") as viewer:
        assert "Anne Lee" in (await viewer.get("/merges")).text
        page = (await viewer.get(f"/merges/pairs/{pair['id']}")).text
        assert ("Anne Lee" in page, 'type="radio"' in page, 'data-key="y"' in page, 'data-key="n"' in page) == (
            True,
            False,
            False,
            False,
        )
        path = f"/merges/pairs/{pair['id']}"
        for deed in ("accept", "dismiss", "reopen", "undo"):
            assert (await viewer.post(f"{path}/{deed}", data={"level": ""})).status_code == 403
        assert (await viewer.post("/merges/scan")).status_code == 403
        assert (await viewer.get(f"/merges/new?ids={first['id']}&ids={second['id']}")).status_code == 403
        assert (await viewer.get(f"/merges/split/{first['id']}")).status_code == 403
        assert 'All <span class="sub tabular-nums">1</span>' in (await viewer.get("/merges/history")).text
    assert await status(api, pair) == "open"


async def test_a_pair_and_a_merge_that_nobody_knows_are_not_found(web: httpx.AsyncClient) -> None:
    for path in ("/merges/pairs/", "/merges/history/"):
        assert (await web.get(f"{path}{ids.new()}")).status_code == 404
    assert (await web.post(f"/merges/pairs/{ids.new()}/accept", data={"level": ""})).status_code == 404


async def test_who_is_alone_is_asked_for_the_other(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann Lee"), await make_customer(api, name="Ann Li")
    page = await web.get(f"/merges/new?ids={ann['id']}&search=ann")
    assert page.status_code == 200
    assert f'href="/merges/new?ids={ann["id"]}&amp;ids={twin["id"]}"' in page.text
    assert "Nobody else fits" in (await web.get(f"/merges/new?ids={ann['id']}&search=bob")).text
    assert (await web.get("/merges/new")).status_code == 422
