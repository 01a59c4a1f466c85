"""One customer's profile, and everything that is done there."""

import re
from html import unescape
from typing import TYPE_CHECKING

import httpx

from supover.kit.db import Database
from tests.duplicates.scans import pairs, scanned
from tests.makers import Workspace, make_address, make_customer, make_order, png, settle, told
from tests.privacy.arrange import work
from tests.web import sites

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def test_a_customer_with_nothing_but_an_id_has_every_tab(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    nobody = await make_customer(api, external_id="7", source="TIKTOK_SHOP", name=None, email=None)
    for tab in ("", "/timeline", "/contacts", "/consent", "/addresses/new"):
        assert (await web.get(f"/customers/{nobody['id']}{tab}")).status_code == 200, tab
    page = (await web.get(f"/customers/{nobody['id']}")).text
    assert ("No name" in page, "Not enough data for a prediction" in page) == (True, True)
    assert (await web.get("/customers/01a20176-7862-7007-addb-7f0b2344229c")).status_code == 404


async def test_a_viewer_can_look_and_change_nothing(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann Lee", tags=["b2b"])
    async with sites.signed_in(db, shop, "viewer") as viewer:
        for tab in ("", "/contacts", "/consent"):
            page = (await viewer.get(f"/customers/{ann['id']}{tab}")).text
            assert f'action="/customers/{ann["id"]}' not in page, tab
        assert (await viewer.post(f"/customers/{ann['id']}", data={"name": "X", "version": "1"})).status_code == 403
    assert told(await api.get(f"/api/customers/{ann['id']}"))["name"] == "Ann Lee"


async def test_who_was_too_late_is_told_and_may_overwrite(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    at = f"/customers/{ann['id']}"
    told(await api.patch(f"/api{at}", json={"name": "Ann Leigh", "tags": ["b2b"]}))
    page = (await web.post(at, data={"name": "Anna Lee", "version": str(ann["version"])})).text
    assert ("Ann Lee → Ann Leigh" in page, "b2b" in page, "Anna Lee" in page) == (True, True, True)
    assert told(await api.get(f"/api{at}"))["name"] == "Ann Leigh"
    assert (await web.post(at, data=hidden(page))).headers["location"] == at
    assert told(await api.get(f"/api{at}"))["name"] == "Anna Lee"


async def test_what_came_too_late_is_not_audited_as_done(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"name": "Ann Leigh"}))
    before = told(await api.get("/api/audit"))["data"]
    await web.post(f"/customers/{ann['id']}", data={"name": "Anna", "version": "1"})
    assert told(await api.get("/api/audit"))["data"] == before


async def test_a_custom_field_that_came_too_late_can_overwrite(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    for key, label, type in (("size", "Shoe size", "number"), ("b2b", "Buys wholesale", "boolean")):
        told(await api.post("/api/custom-fields", json={"key": key, "label": label, "type": type}), 201)
    ann = await make_customer(api, name="Ann Lee", custom_fields={"size": 41, "b2b": True})
    at = f"/customers/{ann['id']}"
    told(await api.patch(f"/api{at}", json={"customFields": {"size": 42}}))
    page = (await web.post(f"{at}/fields", data={"key": "size", "value": "43", "version": "1"})).text
    assert ("Size: 41 → 42" in page, "Shoe size" in page, f'action="{at}/fields"' in page) == (True, True, True)
    assert told(await api.get(f"/api{at}"))["customFields"] == {"size": 42, "b2b": True}
    await web.post(f"{at}/fields", data=hidden(page))
    assert told(await api.get(f"/api{at}"))["customFields"] == {"size": 43, "b2b": True}


async def test_a_note_that_came_too_late_can_overwrite(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    note = told(await api.post(f"/api{at}/notes", json={"note": "First", "pinned": True}), 201)
    told(await api.put(f"/api{at}/notes/{note['id']}", json={"note": "Theirs", "pinned": True}))
    mine = {"note": "Mine", "pinned": "true", "version": str(note["version"])}
    page = (await web.post(f"{at}/notes/{note['id']}", data=mine)).text
    assert ("Note changed" in page, "Theirs" in page, "Mine" in page) == (True, True, True)
    assert told(await api.get(f"/api{at}/notes"))["data"][0]["note"] == "Theirs"
    await web.post(f"{at}/notes/{note['id']}", data=hidden(page))
    [kept] = told(await api.get(f"/api{at}/notes"))["data"]
    assert (kept["note"], kept["pinned"]) == ("Mine", True)


def hidden(page: str) -> dict[str, str]:
    """What the form of "Overwrite with mine" sends."""
    form = page[: page.index("Overwrite with mine")].rpartition("<form")[2]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


async def test_blocking_keeps_the_reason_as_a_pinned_note(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    assert (await web.post(f"{at}/block", data={"reason": " "})).status_code == 422
    assert told(await api.get(f"/api{at}"))["status"] == "ACTIVE"
    await web.post(f"{at}/block", data={"reason": "Two chargebacks"})
    assert told(await api.get(f"/api{at}"))["status"] == "BLOCKED"
    [note] = told(await api.get(f"/api{at}/notes"))["data"]
    assert (note["note"], note["pinned"]) == ("Blocked: Two chargebacks", True)
    await web.post(f"{at}/unblock")
    assert told(await api.get(f"/api{at}"))["status"] == "ACTIVE"


async def test_a_deleted_customer_can_be_restored(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    assert (await web.post(f"{at}/delete")).headers["location"] == "/customers"
    assert "Ann Lee was deleted" in (await web.get(at)).text
    assert (await web.post(f"{at}/restore")).headers["location"] == at
    assert told(await api.get(f"/api{at}"))["name"] == "Ann Lee"


async def test_an_erased_customer_offers_no_way_back(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    told(await api.post(f"/api/customers/{ann['id']}/privacy/erase"), 202)
    await work(db, owner, shop)
    page = (await web.get(f"/customers/{ann['id']}")).text
    assert ("was erased" in page, "/restore" in page, "Ann Lee" in page) == (True, False, False)


async def test_who_is_to_be_erased_is_told_so(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    assert "will be erased" not in (await web.get(f"/customers/{ann['id']}")).text
    asked = told(await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={"delayDays": 30}), 202)
    page = (await web.get(f"/customers/{ann['id']}")).text
    assert "This customer will be erased for good on" in page
    assert f'href="/settings/privacy/{asked["id"]}"' in page
    async with sites.signed_in(db, shop, "viewer") as viewer:
        page = (await viewer.get(f"/customers/{ann['id']}")).text
    assert "will be erased" in page
    assert asked["id"] not in page
    await api.delete(f"/api/privacy/requests/{asked['id']}")
    assert "will be erased" not in (await web.get(f"/customers/{ann['id']}")).text


async def test_a_merged_customer_leads_on_to_the_survivor(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    a, b = [(await make_customer(api, name=name))["id"] for name in ("Ann Lee", "Ann Leigh")]
    told(await api.post("/api/customers/merge", json={"primaryId": a, "duplicateIds": [b]}))
    assert (await web.get(f"/customers/{b}")).headers["location"] == f"/customers/{a}"


async def test_tags_notes_and_pictures(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    await web.post(f"{at}/tags", data={"tags": "a/b, big"})
    await web.post(f"{at}/tags/remove?tag=a%2Fb")
    assert told(await api.get(f"/api{at}"))["tags"] == ["big"]
    await web.post(f"{at}/tags/again?tag=a%2Fb")
    assert told(await api.get(f"/api{at}"))["tags"] == ["big", "a/b"]
    await web.post(f"{at}/notes", data={"note": "Rings twice"})
    [note] = told(await api.get(f"/api{at}/notes"))["data"]
    await web.post(f"{at}/notes/{note['id']}/pin")
    assert told(await api.get(f"/api{at}/notes"))["data"][0]["pinned"] is True
    await web.post(f"{at}/notes/{note['id']}/delete")
    assert told(await api.get(f"/api{at}/notes"))["data"] == []
    assert (await web.post(f"{at}/picture", files={"file": ("a.png", png(), "image/png")})).status_code == 303
    assert told(await api.get(f"/api{at}"))["avatarUrl"] is not None
    await web.post(f"{at}/picture/remove")
    assert told(await api.get(f"/api{at}"))["avatarUrl"] is None


async def test_an_address_has_its_countrys_form_and_rules(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    assert "ZIP code" in (await web.get(f"{at}/addresses/new?country=US")).text
    assert "Prefecture" in (await web.get(f"{at}/addresses/new?country=JP")).text
    place = {
        "line1": "1 Main St",
        "city": "Austin",
        "state": "TX",
        "country": "US",
        "postalCode": "",
        "type": "SHIPPING",
    }
    assert (await web.post(f"{at}/addresses", data=place)).status_code == 422
    assert (await web.post(f"{at}/addresses", data={**place, "postalCode": "78704"})).status_code == 303
    [kept] = told(await api.get(f"/api{at}/addresses"))["data"]
    assert (await web.get(f"{at}/addresses/{kept['id']}")).status_code == 200
    await web.post(f"{at}/addresses/{kept['id']}/delete")
    assert told(await api.get(f"/api{at}/addresses"))["data"] == []


async def test_consent_and_contacts(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee', email='ann@lee.com'))['id']}"
    choice = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED", "source": ""}
    assert (await web.post(f"{at}/consent", data=choice)).status_code == 422
    assert (await web.post(f"{at}/consent", data={**choice, "source": "trade fair"})).status_code == 303
    assert "trade fair" in (await web.get(f"{at}/consent")).text
    assert (await web.post(f"{at}/contacts", data={"kind": "email", "value": "ann@work.com"})).status_code == 303
    page = (await web.get(f"{at}/contacts")).text
    assert ("ann@work.com" in page, "Given by hand" in page) == (True, True)
    [contact] = [
        one["id"] for one in told(await api.get(f"/api{at}/identities"))["data"] if one["value"] == "ann@work.com"
    ]
    assert "Not to be contacted" not in (await web.get(f"{at}/consent")).text
    told(await api.post("/api/suppressions", json={"contact": "Ann@Lee.com", "reason": "bounced"}), 201)
    page = (await web.get(f"{at}/consent")).text
    assert ("Not to be contacted" in page, "Bounced" in page) == (True, True)
    other = await make_customer(api, name="Bob Ray")
    assert "Bob Ray" in (await web.get(f"{at}/contacts/{contact}?search=bob")).text
    moved = await web.post(f"{at}/contacts/{contact}/move", data={"customerId": other["id"]})
    assert moved.headers["location"] == f"/customers/{other['id']}/contacts"


async def test_orders_stand_in_the_profile_and_its_timeline(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, number="#77")
    await settle(db, shop)
    page = (await web.get(f"/customers/{ann['id']}")).text
    assert ("#77" in page, "Order #77 placed" in page) == (True, True)
    assert "Order #77 placed" not in (await web.get(f"/customers/{ann['id']}?show=notes")).text


async def test_a_change_that_another_entry_tells_stands_once_in_the_timeline(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    await web.post(f"{at}/tags", data={"tags": "b2b"})
    await web.post(f"{at}/block", data={"reason": "Two chargebacks"})
    await web.post(at, data={"name": "Ann Leigh", "version": "3"})
    page = (await web.get(f"{at}?show=profile")).text
    assert re.findall(r">\s*(Tagged|Blocked|Profile changed)\s*</p>", page) == ["Profile changed", "Blocked", "Tagged"]


async def test_notes_beyond_the_first_come_on_demand(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    for n in range(8):
        told(await api.post(f"/api{at}/notes", json={"note": f"Note {n}", "pinned": n == 2}), 201)
    page = (await web.get(at)).text
    assert re.findall(r"Note \d", page) == [f"Note {n}" for n in (2, 2, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3)]
    [older] = re.findall(rf'href="({at}/notes\?after=[^"]*)"', page)
    assert re.findall(r"Note \d", (await web.get(older)).text) == [f"Note {n}" for n in (1, 1, 0, 0)]


async def test_who_has_the_email_is_led_to(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    holder = await make_customer(api, name="Bob Ray", email="bob@ray.com")
    ann = await make_customer(api, name="Ann Lee")
    answer = await web.post(
        f"/customers/{ann['id']}", data={"email": "bob@ray.com", "version": "1"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer.json()["holder"]) == (409, f"/customers/{holder['id']}")


async def test_a_value_from_before_its_field_was_declared_is_shown_as_it_is(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    soon, number = [await make_customer(api, name="Ann", custom_fields={"due": one}) for one in ("soon", 20260131.5)]
    told(await api.post("/api/custom-fields", json={"key": "due", "label": "Due", "type": "date"}), 201)
    for customer, shown in ((soon, "soon"), (number, "20260131.5")):
        page = await web.get(f"/customers/{customer['id']}")
        assert (page.status_code, f'<span class="min-w-0 break-words">{shown}</span>' in page.text) == (200, True)


async def test_a_number_is_typed_with_all_its_digits(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    told(await api.post("/api/custom-fields", json={"key": "size", "label": "Size", "type": "number"}), 201)
    at = f"/customers/{(await make_customer(api))['id']}"
    for wrong in ("1e999999999", "Infinity", "NaN", "many"):
        answer = await web.post(f"{at}/fields", data={"key": "size", "value": wrong, "version": "1"})
        assert answer.status_code == 422, wrong
    version = 1
    for typed, kept in (("0.1", "0.1"), ("41", "41"), ("1" * 30, "1" * 30), (f"{'1' * 30}.7", f'"{"1" * 30}.7"')):
        await web.post(f"{at}/fields", data={"key": "size", "value": typed, "version": str(version)})
        version += 1
        assert f'"customFields":{{"size":{kept}}}' in (await api.get(f"/api{at}")).text.replace(" ", ""), typed


async def test_the_items_of_a_list_are_typed_as_they_are_shown(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    told(await api.post("/api/custom-fields", json={"key": "likes", "label": "Likes", "type": "list"}), 201)
    likes = ["tea", "milk, cold", "a;b"]
    at = f"/customers/{(await make_customer(api, name='Ann', custom_fields={'likes': likes}))['id']}"
    [shown] = re.findall(r'name="value" type="text" value="([^"]*)"', (await web.get(at)).text)
    await web.post(f"{at}/fields", data={"key": "likes", "value": unescape(shown) + ", rum", "version": "1"})
    assert told(await api.get(f"/api{at}"))["customFields"] == {"likes": [*likes, "rum"]}


async def test_what_was_typed_of_an_address_outlasts_another_country(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}/addresses/new"
    assert 'name="recipientName" value="Ann Lee"' in (await web.get(at)).text
    typed = {"recipientName": "", "line1": "1 Main St", "city": "Austin", "state": "TX", "postalCode": "78704"}
    for country in ("HK", "SG", "AE"):
        page = (await web.get(at, params={**typed, "country": country})).text
        kept = dict(re.findall(r'name="(city|state|postalCode|recipientName)" value="([^"]*)"', page))
        if found := re.search(r'name="state">.*?<option selected>(.*?)</option>', page, re.DOTALL):
            kept["state"] = found[1]
        assert kept == {"recipientName": "", "city": "Austin", "state": "TX", "postalCode": "78704"}, country


async def test_an_address_without_a_recipient_stays_without(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@lee.com")
    address = await make_address(api, ann)
    told(await api.patch(f"/api/customers/{ann['id']}", json={"name": "Ann Lee"}))
    page = (await web.get(f"/customers/{ann['id']}/addresses/{address['id']}")).text
    assert 'name="recipientName" value=""' in page


async def test_what_is_one_is_told_as_one(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=[f"t{n}" for n in range(16)])
    for n in range(4):
        await make_address(api, ann, line1=f"Torstr. {n + 1}")
    page = (await web.get(f"/customers/{ann['id']}")).text
    assert ("1 more tag<" in page, "1 more address<" in page) == (True, True)


async def test_orders_have_one_badge_everywhere_and_months_their_names(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_order(api, ann, status="shipped")
    await settle(db, shop)
    badge = '<span class="badge" data-tone="brand">Shipped</span>'
    page = (await web.get(f"/customers/{ann['id']}")).text
    assert (badge in page, badge in (await web.get("/orders")).text) == (True, True)
    assert re.search(r"from [A-Z][a-z]{2} \d{4} to [A-Z][a-z]{2} \d{4}", page)
    assert len(re.findall(r">[A-Z][a-z]{2} \d{4}</th>", page)) == 12


async def test_why_is_told_in_the_readers_language(
    api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Lee", phone="+12025550143")
    await make_customer(api, name="Ann Lee", phone="+12025550143")
    await scanned(db, shop, full=True)
    [pair] = await pairs(api)
    web.headers["Accept-Language"] = "vi"
    for page in (f"/customers/{ann['id']}", "/merges", f"/merges/pairs/{pair['id']}"):
        assert "cùng số điện thoại" in (await web.get(page)).text, page
    profile = (await web.get(f"/customers/{ann['id']}")).text
    assert ("same phone" in profile, "A first model" in profile) == (False, False)
    assert f'href="/merges/pairs/{pair["id"]}"' in profile
