"""The settings: the workspace, its staff and keys, fields, tags, shops, suppressions, duplicates."""

import re
from html import unescape

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer, make_order
from tests.web import sites

PAGES = [
    "/settings/account",
    "/settings/workspace",
    "/settings/staff",
    "/settings/keys",
    "/settings/channels",
    "/settings/fields",
    "/settings/fields/new",
    "/settings/fields/new?type=choice",
    "/settings/tags",
    "/settings/tags/change",
    "/settings/suppressions",
    "/settings/duplicates",
    "/settings/privacy",
    "/settings/privacy/new",
    "/settings/retention",
    "/settings/audit",
    "/settings/jobs",
    "/settings/inbox",
    "/settings/requests",
]
TO_EVERYBODY = {
    "/settings/account",
    "/settings/workspace",
    "/settings/fields",
    "/settings/tags",
    "/settings/suppressions",
    "/settings/duplicates",
}


def only(pattern: str, text: str) -> str:
    """What the pattern's group finds first, as it was before it was written as HTML."""
    found = re.search(pattern, text)
    assert found is not None, pattern
    return unescape(found[1])


def links(page: httpx.Response) -> list[str]:
    nav = page.text.partition('class="sections"')[2].partition("</nav>")[0]
    return re.findall(r'<a href="([^"]+)"', nav)


@pytest.mark.parametrize("path", PAGES)
async def test_an_owner_sees_every_page_of_the_settings(web: httpx.AsyncClient, path: str) -> None:
    page = await web.get(path)
    assert page.status_code == 200, page.text
    assert 'aria-current="page"' in page.text


@pytest.mark.parametrize("role", ["agent", "viewer"])
async def test_others_see_the_sections_that_they_may_open_and_no_other(
    db: Database, shop: Workspace, role: str
) -> None:
    async with sites.signed_in(db, shop, role) as somebody:  # pyright: ignore[reportArgumentType]
        first = await somebody.get("/settings")
        assert (first.status_code, first.headers["location"]) == (303, "/settings/workspace")
        shown = links(await somebody.get("/settings/workspace"))
        assert set(shown) == TO_EVERYBODY | {"/orders/rates"}
        for path in PAGES:
            plain = path.partition("?")[0]
            expected = 200 if plain in TO_EVERYBODY else 403
            assert (await somebody.get(path)).status_code == expected, path
        assert "Only an administrator" in (await somebody.get("/settings/workspace")).text


# --- the workspace ---------------------------------------------------------------------------------------------------


async def test_the_workspace_is_changed_and_its_currency_stays_once_there_are_orders(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    form = {"name": "Tin Shop", "timezone": "Asia/Ho_Chi_Minh", "countingStatuses": ["", "delivered"]}
    assert (await web.post("/settings/workspace", data=form)).status_code == 303
    told = (await api.get("/api/workspace")).json()
    assert (told["name"], told["timezone"], told["countingStatuses"]) == ("Tin Shop", "Asia/Ho_Chi_Minh", ["delivered"])
    assert 'name="currency"' in (await web.get("/settings/workspace")).text
    await make_order(api)
    page = await web.get("/settings/workspace")
    assert 'name="currency"' not in page.text
    assert "It is fixed after the first order" in page.text


async def test_a_workspace_without_a_counting_status_or_with_another_zone_is_refused(
    api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    before = (await api.get("/api/workspace")).json()
    htmx = {"HX-Request": "true"}
    none = await web.post("/settings/workspace", data={"countingStatuses": ""}, headers=htmx)
    assert (none.status_code, none.json()["errors"][0]["name"]) == (422, "countingStatuses")
    zone = await web.post("/settings/workspace", data={"timezone": "Mars/Olympus"}, headers=htmx)
    assert (zone.status_code, zone.json()["errors"][0]["name"]) == (422, "timezone")
    assert (await api.get("/api/workspace")).json() == before


# --- staff -----------------------------------------------------------------------------------------------------------


async def test_who_is_invited_by_the_link_becomes_a_member(db: Database, web: httpx.AsyncClient) -> None:
    form = {"name": "New Agent", "email": "new.agent@shop.example", "role": "agent"}
    page = await web.post("/settings/staff", data=form)
    assert page.status_code == 201
    link = only(r'data-copy="(http[^"]+/sign-in[^"]+)"', page.text)
    assert "set-cookie" not in page.headers
    assert link not in unescape((await web.get("/settings/staff")).text)
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        asked = await browser.get("/sign-in?" + link.partition("?")[2])
        assert "You were invited" in asked.text
        code = only(r'name="invitationCode" value="([^"]+)"', asked.text)
        sent = {"email": form["email"], "password": "short", "invitationCode": code}
        refused = await browser.post("/sign-in", data=sent)
        assert (refused.status_code, "Password: must have 12 to 200 characters" in refused.text) == (422, True)
        assert only(r'name="invitationCode" value="([^"]+)"', refused.text) == code
        sent["password"] = "a long enough password"
        assert (await browser.post("/sign-in", data=sent)).status_code == 303
        assert (await browser.get("/customers")).status_code == 200


async def test_roles_are_changed_and_members_removed(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await web.post("/settings/staff", data={"name": "Ann", "email": "ann@shop.example", "role": "viewer"})
    [ann] = [one for one in (await api.get("/api/staff")).json()["data"] if one["email"] == "ann@shop.example"]
    assert (await web.post(f"/settings/staff/{ann['id']}", data={"role": "admin"})).status_code == 303
    assert (await api.get(f"/api/staff/{ann['id']}")).json()["role"] == "admin"
    anew = await web.post(f"/settings/staff/{ann['id']}/invitation")
    assert (anew.status_code, "is invited" in anew.text) == (201, True)
    assert (await web.post(f"/settings/staff/{ann['id']}/remove")).status_code == 303
    assert (await api.get(f"/api/staff/{ann['id']}")).status_code == 404
    assert (await web.post(f"/settings/staff/{ann['id']}/remove")).status_code == 404


async def test_the_last_owner_cannot_be_removed(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    [owner] = [one for one in (await api.get("/api/staff")).json()["data"] if one["role"] == "owner"]
    assert (await web.post(f"/settings/staff/{owner['id']}/remove")).status_code == 409
    assert (await web.get("/settings/staff")).status_code == 200


async def test_an_administrator_cannot_touch_an_owner(db: Database, shop: Workspace, web: httpx.AsyncClient) -> None:
    async with sites.signed_in(db, shop, "admin") as admin:
        page = (await admin.get("/settings/staff")).text
        assert 'value="owner"' not in page
        refused = await admin.post("/settings/staff", data={"name": "X", "email": "x@shop.example", "role": "owner"})
        assert refused.status_code == 403
        assert "x@shop.example" not in (await admin.get("/settings/staff")).text


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_in_no_cookie(db: Database, web: httpx.AsyncClient) -> None:
    form = {"name": "Storefront", "scopes": ["customers:read", "orders:read"], "rateLimit": "60", "days": "30"}
    page = await web.post("/settings/keys", data=form)
    assert page.status_code == 201
    key = only(r"(sk_[0-9a-f]{48})", page.text)
    assert key not in repr(page.headers)
    again = await web.get("/settings/keys")
    assert key not in again.text
    assert "Storefront" in again.text
    async with client(db, key) as program:
        assert (await program.get("/api/customers")).status_code == 200
        assert (await program.get("/api/customers")).headers["ratelimit-limit"] == "60"
        assert (await program.get("/api/keys")).status_code == 403


async def test_a_key_without_a_scope_is_refused_at_its_field(web: httpx.AsyncClient) -> None:
    refused = await web.post("/settings/keys", data={"name": "No scope", "days": ""}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "scopes")
    assert "No scope" not in (await web.get("/settings/keys")).text


async def test_a_key_is_renamed_ends_earlier_and_is_revoked(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    made = (await api.post("/api/keys", json={"name": "Old", "scopes": ["orders:read"]})).json()
    at = f"/settings/keys/{made['id']}"
    assert (await web.get(at)).status_code == 200
    assert (await web.post(at, data={"name": "Newer"})).status_code == 303
    assert (await web.post(f"{at}/end", data={"hours": "24"})).status_code == 303
    told = (await api.get(f"/api/keys/{made['id']}")).json()
    assert (told["name"], told["expiresAt"] is None) == ("Newer", False)
    later = await web.post(f"{at}/end", data={"hours": "720"}, headers={"HX-Request": "true"})
    assert later.status_code == 422
    assert (await web.post(f"{at}/revoke")).status_code == 303
    assert "Newer" not in (await web.get("/settings/keys")).text
    assert "Newer" in (await web.get("/settings/keys?revoked=true")).text
    assert "Revoked" in (await web.get(at)).text
    assert (await web.get(at[:-4] + "0000")).status_code == 404


# --- fields and tags -------------------------------------------------------------------------------------------------


async def test_a_field_is_added_changed_and_deleted(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    form = {
        "key": "size",
        "type": "choice",
        "label": "Size",
        "choices": "S\r\nM\r\n\r\nL",
        "description": "",
        "isRequired": "true",
    }
    made = await web.post("/settings/fields", data=form)
    assert made.status_code == 303
    at = made.headers["location"]
    id = at.rpartition("/")[2]
    told = (await api.get(f"/api/custom-fields/{id}")).json()
    assert (told["choices"], told["isRequired"], told["label"]) == (["S", "M", "L"], True, "Size")
    page = await web.get(at)
    assert "S\nM\nL" in page.text
    change = {
        "type": "choice",
        "label": "Shirt size",
        "choices": "S\nM",
        "description": "Of shirts",
        "position": str(told["position"]),
    }
    assert (await web.post(at, data=change)).status_code == 303
    told = (await api.get(f"/api/custom-fields/{id}")).json()
    assert (told["choices"], told["isRequired"], told["label"]) == (["S", "M"], False, "Shirt size")
    assert "Shirt size" in (await web.get("/settings/fields")).text
    assert (await web.post(f"{at}/delete")).status_code == 303
    assert (await web.get(at)).status_code == 404


async def test_values_that_do_not_fit_a_field_are_listed(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", customFields={"size": "XXL"})
    made = await web.post("/settings/fields", data={"key": "size", "type": "choice", "choices": "S\nM"})
    page = await web.get(made.headers["location"])
    assert "Values that do not fit" in page.text
    assert "Ann Lee" in page.text
    assert "XXL" in page.text


async def test_a_field_with_a_bad_key_is_refused_at_it(web: httpx.AsyncClient) -> None:
    refused = await web.post("/settings/fields", data={"key": "", "type": "text"}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "key")


async def test_tags_are_renamed_merged_and_deleted(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann", tags=["a/b", "new"])
    page = await web.get("/settings/tags")
    assert "/settings/tags/change?id=a/b" in page.text or "id=a%2Fb" in page.text
    assert "a/b" in (await web.get("/settings/tags/change", params={"id": "a/b"})).text
    assert (await web.post("/settings/tags/change", data={"tags": "a/b", "into": "ab"})).status_code == 303
    assert (await web.post("/settings/tags/delete", data={"tags": ["new", "ab"]})).status_code == 303
    page = await web.get("/settings/tags")
    assert "Changes of late" in page.text
    changes = (await api.get("/api/tag-changes")).json()["data"]
    assert [(one["tags"], one["into"]) for one in changes] == [(["new", "ab"], None), (["a/b"], "ab")]
    assert 'hx-trigger="every 1s"' in page.text
    for one in changes:
        assert (await web.post(f"/settings/tags/changes/{one['id']}/cancel")).status_code == 303
    assert "every 1s" not in (await web.get("/settings/tags")).text


async def test_a_blank_new_tag_is_refused(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    refused = await web.post("/settings/tags/change", data={"tags": "a", "into": " "}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "into")
    assert (await api.get("/api/tag-changes")).json()["data"] == []


# --- shops, suppressions, duplicates ---------------------------------------------------------------------------------


async def test_a_shop_is_connected_and_disconnected(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    form = {"platform": "SHOPIFY", "shop": "demo.myshopify.com", "secret": "a secret of theirs", "name": ""}
    made = await web.post("/settings/channels", data=form)
    at = made.headers["location"]
    page = await web.get(at)
    assert "/hooks/channels/" in page.text
    assert "a secret of theirs" not in page.text
    assert (await web.post(at, data={"name": "Demo"})).status_code == 303
    assert "Demo" in (await web.get("/settings/channels")).text
    rotated = await web.post(f"{at}/rotate", data={"secret": "another secret", "overlapHours": "1"})
    assert rotated.status_code == 303
    assert "taken until" in (await web.get(at)).text
    assert (await web.post(f"{at}/disconnect")).status_code == 303
    assert "Demo" not in (await web.get("/settings/channels")).text
    assert "Demo" in (await web.get("/settings/channels?disconnected=true")).text
    short = await web.post("/settings/channels", data={**form, "secret": "x"}, headers={"HX-Request": "true"})
    assert (short.status_code, short.json()["errors"][0]["name"]) == (422, "secret")


async def test_a_contact_is_put_on_the_list_and_taken_off_again(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    added = await web.post(
        "/settings/suppressions", data={"contact": "ann@lee.example", "channel": "", "reason": "manual"}
    )
    assert added.status_code == 303
    page = await web.get("/settings/suppressions")
    assert "ann@lee.example" in page.text
    undo = only(r'data-undo="([^"]+)"', page.text)
    assert "Nothing fits" in (await web.get("/settings/suppressions?contact=somebody@else.example")).text
    assert (await web.post(undo)).status_code == 303
    assert (await api.get("/api/suppressions")).json()["data"] == []
    refused = await web.post("/settings/suppressions", data={"contact": "nobody"}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "contact")


async def test_what_happens_by_itself_with_duplicates(
    db: Database, shop: Workspace, api: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    assert (await web.post("/settings/duplicates", data={"automaticMerging": "true"})).status_code == 303
    told = (await api.get("/api/duplicates/settings")).json()
    assert (told["automaticMerging"], told["nightlyScan"]) == (True, False)
    async with sites.signed_in(db, shop, "agent") as agent:
        assert (await agent.post("/settings/duplicates", data={})).status_code == 403
    assert (await api.get("/api/duplicates/settings")).json() == told
