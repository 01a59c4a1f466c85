"""One's own account: language, password, sessions, and signing in by two steps."""

import re

import httpx
from pyotp.totp import TOTP

from supover.kit import clock
from supover.kit.db import Database
from tests.makers import Workspace, client
from tests.web import sites
from tests.web.sites import PASSWORD

ACCOUNT = "/settings/account"


def code(key: str, by: int = 0) -> str:
    return TOTP(key).generate_otp(int(clock.now().timestamp()) // 30 + by)


async def enrolled(web: httpx.AsyncClient) -> tuple[str, list[str]]:
    """The app's key and the recovery codes, once the second step is on; code -1 is used up."""
    assert (await web.post(f"{ACCOUNT}/second-step")).status_code == 303
    page = await web.get(ACCOUNT)
    assert "<svg" in page.text
    key = re.search(r"<code>([A-Z2-7]{32})</code>", page.text)
    assert key is not None
    shown = await web.post(f"{ACCOUNT}/second-step/confirm", data={"code": code(key[1], -1)})
    assert shown.status_code == 201
    return key[1], re.findall(r"<li>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</li>", shown.text)


async def test_language_and_time_zone_are_ones_own(db: Database, shop: Workspace, web: httpx.AsyncClient) -> None:
    assert '<html lang="en">' in (await web.get(ACCOUNT)).text
    assert (await web.post(ACCOUNT, data={"language": "vi", "timezone": "Asia/Ho_Chi_Minh"})).status_code == 303
    page = await web.get(ACCOUNT)
    assert '<html lang="vi">' in page.text
    assert 'value="Asia/Ho_Chi_Minh"' in page.text
    async with sites.signed_in(db, shop, "viewer") as other:
        assert '<html lang="en">' in (await other.get(ACCOUNT)).text
        assert (await other.post(ACCOUNT, data={"language": "vi", "timezone": ""})).status_code == 303
        assert '<html lang="vi">' in (await other.get(ACCOUNT)).text
    assert (await web.post(ACCOUNT, data={"language": "", "timezone": ""})).status_code == 303
    assert '<html lang="en">' in (await web.get(ACCOUNT)).text


async def test_no_language_or_zone_that_is_none(web: httpx.AsyncClient) -> None:
    for wrong, name in (({"language": "xx"}, "language"), ({"timezone": "Mars/Olympus"}, "timezone")):
        refused = await web.post(ACCOUNT, data=wrong, headers={"HX-Request": "true"})
        assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, name)


async def test_a_new_password_ends_every_other_session(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    form = {"email": person.email, "password": person.password}
    async with client(db) as one, client(db) as other:
        for browser in (one, other):
            browser.headers["Sec-Fetch-Site"] = "same-origin"
            await browser.post("/sign-in", data=form)
        wrong = await one.post(
            f"{ACCOUNT}/password",
            data={"current": "no", "new": "another long password"},
            headers={"HX-Request": "true"},
        )
        assert (wrong.status_code, wrong.json()["errors"][0]["name"]) == (422, "current")
        assert (await other.get(ACCOUNT)).status_code == 200
        done = await one.post(f"{ACCOUNT}/password", data={"current": PASSWORD, "new": "another long password"})
        assert done.status_code == 303
        assert (await one.get(ACCOUNT)).status_code == 200
        assert (await one.post("/sign-in", data=form)).status_code == 401


async def test_another_browser_is_signed_out(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    async with client(db) as one, client(db) as other:
        for browser, agent in (
            (one, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
            (other, "Mozilla/5.0 (iPhone) Safari/604.1"),
        ):
            browser.headers.update({"Sec-Fetch-Site": "same-origin", "User-Agent": agent})
            await browser.post("/sign-in", data={"email": person.email, "password": person.password})
        page = await one.get(ACCOUNT)
        assert "Firefox · Linux" in page.text
        assert "Safari · iPhone" in page.text
        [action] = re.findall(r'action="([^"]+/sessions/[^"]+/end)"', page.text)
        assert (await one.post(action)).status_code == 303
        assert "Safari · iPhone" not in (await one.get(ACCOUNT)).text
        assert (await one.post(action)).status_code == 404


# --- the second step -------------------------------------------------------------------------------------------------


async def test_the_second_step_is_set_up_asked_for_and_turned_off(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    form = {"email": person.email, "password": person.password, "next": "/customers"}
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        await browser.post("/sign-in", data=form)
        key, codes = await enrolled(browser)
        assert len(set(codes)) == 10
        page = (await browser.get(ACCOUNT)).text
        assert "10 recovery codes left" in page
        assert not any(one in page for one in (key, *codes))
        await browser.post("/sign-out")
        asked = await browser.post("/sign-in", data=form)
        assert (asked.status_code, 'name="code"' in asked.text) == (200, True)
        assert person.password not in asked.text + repr(asked.headers)
        assert "Path=/sign-in; Max-Age=300; HttpOnly; SameSite=Strict" in asked.headers["set-cookie"]
        assert (await browser.get("/customers")).status_code == 303
        wrong = await browser.post("/sign-in", data={"code": "000000"})
        assert (wrong.status_code, 'name="code"' in wrong.text) == (401, True)
        right = await browser.post("/sign-in", data={"code": code(key)})
        assert (right.status_code, right.headers["location"]) == (303, "/customers")
        assert (await browser.get("/customers")).status_code == 200
        refused = await browser.post(
            f"{ACCOUNT}/second-step/end", data={"password": "wrong"}, headers={"HX-Request": "true"}
        )
        assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "password")
        assert (await browser.post(f"{ACCOUNT}/second-step/end", data={"password": PASSWORD})).status_code == 303
        assert (await browser.post("/sign-in", data=form)).status_code == 303


async def test_a_recovery_code_stands_in_for_the_app(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    form = {"email": person.email, "password": person.password}
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        await browser.post("/sign-in", data=form)
        _, codes = await enrolled(browser)
        for given, status in ((codes[0], 303), (codes[0], 401), (codes[1], 303)):
            await browser.post("/sign-in", data=form)
            assert (await browser.post("/sign-in", data={"code": given})).status_code == status
        assert "8 recovery codes left" in (await browser.get(ACCOUNT)).text


async def test_new_recovery_codes_are_shown_once(web: httpx.AsyncClient) -> None:
    key, codes = await enrolled(web)
    renew = f"{ACCOUNT}/second-step/recovery-codes"
    refused = await web.post(renew, data={"code": "nothing"}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "code")
    shown = await web.post(renew, data={"code": code(key)})
    made = re.findall(r"<li>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</li>", shown.text)
    assert (shown.status_code, len({*made, *codes})) == (201, 20)
    page = (await web.get(ACCOUNT)).text
    assert not any(one in page for one in made)


async def test_a_code_without_what_was_typed_before_begins_again(db: Database) -> None:
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        for cookie in ("", "garbage", "AAAA" * 20):
            browser.cookies.set("supover_sign_in", cookie, path="/sign-in")
            answer = await browser.post("/sign-in", data={"code": "123456"})
            assert (answer.status_code, 'name="password"' in answer.text) == (401, True)
            browser.cookies.clear()


async def test_setting_up_can_be_left(web: httpx.AsyncClient) -> None:
    await web.post(f"{ACCOUNT}/second-step")
    assert "Turn on" in (await web.get(ACCOUNT)).text
    assert (await web.post(f"{ACCOUNT}/second-step/stop")).status_code == 303
    assert "Set it up" in (await web.get(ACCOUNT)).text
    refused = await web.post(f"{ACCOUNT}/second-step/confirm", data={"code": "123456"})
    assert refused.status_code == 409


async def test_stopping_does_not_turn_off_what_is_on(web: httpx.AsyncClient) -> None:
    await enrolled(web)
    assert (await web.post(f"{ACCOUNT}/second-step/stop")).status_code == 303
    assert "10 recovery codes left" in (await web.get(ACCOUNT)).text
