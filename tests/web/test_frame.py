"""What every page has around it: the sign-in, the refusals, the forms of other sites."""

import re

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer
from tests.web import sites


async def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    async with client(db) as browser:
        asked = await browser.get("/customers?search=ann")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fcustomers")
        page = await browser.get(asked.headers["location"])
        assert 'name="next" value="/customers"' in page.text
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        form = {"email": person.email, "password": person.password, "next": "/customers"}
        wrong = await browser.post("/sign-in", data={**form, "password": "something else"})
        assert (wrong.status_code, "Email or password" in wrong.text or "alert" in wrong.text) == (401, True)
        right = await browser.post("/sign-in", data=form)
        assert (right.status_code, right.headers["location"]) == (303, "/customers")
        assert (await browser.get("/customers")).status_code == 200
        away = await browser.post("/sign-in", data={**form, "next": "//evil.example/"})
        assert away.headers["location"] == "/"


async def test_a_form_of_another_site_does_nothing(web: httpx.AsyncClient) -> None:
    for site in ("cross-site", "same-site", "none"):
        answer = await web.post("/sign-out", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    del web.headers["Sec-Fetch-Site"]
    assert (await web.post("/sign-out")).status_code == 403
    assert (await web.post("/sign-out", headers={"Origin": "https://evil.example"})).status_code == 403
    assert (await web.get("/customers")).status_code == 200
    assert (await web.post("/sign-out", headers={"Origin": "http://shop.test"})).status_code == 303
    assert (await web.get("/customers")).status_code == 303


async def test_a_page_says_who_may_not_see_it(db: Database, shop: Workspace) -> None:
    async with sites.signed_in(db, shop, "viewer") as viewer:
        assert (await viewer.get("/customers")).status_code == 200


async def test_what_people_wrote_is_text(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="<img src=x onerror=alert(1)>")
    page = await web.get("/customers")
    assert "<img src=x" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text


async def test_what_was_done_is_told_in_the_readers_language(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    chosen = [(await make_customer(api, name=f"Ann {n}"))["id"] for n in range(2)]
    said: list[str] = []
    for language in ("en", "vi"):
        for tags, ids in ((f"{language} both", chosen), (f"{language} one", chosen[:1])):
            await web.post("/customers/bulk", data={"action": "tag", "tags": tags, "id": ids})
            said.append(told_by(await web.get("/customers", headers={"Accept-Language": language})))
    assert said[:2] == ["2 customers were tagged.", "1 customer was tagged."]
    assert said[2:] == ["Đã gắn thẻ cho 2 khách hàng.", "Đã gắn thẻ cho 1 khách hàng."]


async def test_a_name_in_what_was_done_is_text_and_not_too_long_for_a_cookie(web: httpx.AsyncClient) -> None:
    await web.post("/customers/views", data={"name": "50% <b> & %(n)s", "query": "status=VIP"})
    assert told_by(await web.get("/customers")) == "The view “50% &lt;b&gt; &amp; %(n)s” was saved."
    await web.post("/customers/views", data={"name": "🌻" * 100, "query": "status=ACTIVE"})
    assert told_by(await web.get("/customers")) == f"The view “{'🌻' * 59}…” was saved."
    assert told_by(await web.get("/customers")) == ""


def told_by(page: httpx.Response) -> str:
    found = re.search(r'<template data-toast data-text="([^"]*)"', page.text)
    return found[1] if found else ""
