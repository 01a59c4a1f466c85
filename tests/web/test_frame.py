"""What every page has around it: the sign-in, the refusals, the forms of other sites."""

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
