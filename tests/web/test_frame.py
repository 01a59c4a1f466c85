"""What every page has around it: the sign-in, the refusals, the forms of other sites."""

import gzip
import re
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from supover import web as web_package
from supover.kit import ids
from supover.kit.db import Database
from supover.web.model import Seen
from supover.web.rendering import STATIC, environment
from tests.makers import Workspace, client, make_customer, make_order, make_workspace
from tests.web import sites


async def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    async with client(db) as browser:
        asked = await browser.get("/customers?search=ann")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fcustomers%3Fsearch%3Dann")
        page = await browser.get(asked.headers["location"])
        assert 'name="next" value="/customers?search=ann"' in page.text
        # A form leads back to the page that it stood on: its own address shows nothing.
        sent = {"Sec-Fetch-Site": "same-origin", "Referer": "http://shop.test/exports/new?kind=orders"}
        asked = await browser.post("/exports", headers=sent, data={"kind": "orders"})
        assert asked.headers["location"] == "/sign-in?next=%2Fexports%2Fnew%3Fkind%3Dorders"
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
        refused = await viewer.get("/settings/staff")
        assert (refused.status_code, "An owner or an administrator can give it to you." in refused.text) == (403, True)
        assert 'href="/customers"' in refused.text, "it stands in the frame"


async def test_what_is_wrong_with_an_address_is_told_in_the_frame(web: httpx.AsyncClient) -> None:
    gone = await web.get(f"/customers/{ids.new()}")
    assert (gone.status_code, "<h1>No customer with this id" in gone.text, 'href="/orders"' in gone.text) == (
        404,
        True,
        True,
    )
    odd = await web.get("/orders?placedFrom=soon")
    assert (odd.status_code, "placedFrom: must be a date" in odd.text) == (422, True)


async def test_where_nothing_stands_a_browser_gets_a_page_and_a_program_the_problem(web: httpx.AsyncClient) -> None:
    browsers = {"Accept": "text/html,*/*;q=0.8"}
    page = await web.get("/nothing/here", headers=browsers)
    assert (page.status_code, "<h1>There is nothing at this address</h1>" in page.text) == (404, True)
    for answer in (
        await web.get("/nothing/here"),
        await web.get("/api/nothing", headers=browsers),
        await web.post("/nothing/here", headers=browsers),
    ):
        assert (answer.status_code, answer.json()["title"]) == (404, "There is nothing at this address")


async def test_a_full_list_is_small(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    for n in range(25):
        await make_customer(api, name=f"Number {n} {ids.new().hex}", email=f"{ids.new().hex}@mail.example")
    page = await web.get("/customers")
    assert page.text.count("@mail.example") >= 25
    files = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in ("app.css", "app.js", "theme.js"))
    assert len(gzip.compress(page.content, 5)) + files < 90_000
    own = Path(web_package.__file__).parent / "assets"
    assert 0 < sum(len(gzip.compress(path.read_bytes(), 9)) for path in own.glob("*.js")) < 15_000


async def test_what_people_wrote_is_text(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await make_customer(api, name="<img src=x onerror=alert(1)>")
    page = await web.get("/customers")
    assert "<img src=x" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text


async def test_what_was_done_is_told_in_the_readers_language(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    chosen = [(await make_customer(api, name=f"Ann {n}"))["id"] for n in range(2)]
    said: list[str] = []
    for language in ("en", "vi"):
        for tags, ticked in ((f"{language} both", chosen), (f"{language} one", chosen[:1])):
            await web.post("/customers/bulk", data={"action": "tag", "tags": tags, "id": ticked})
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


# --- what no page of ours sends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("&".join(f"a{n}" for n in range(30_000)), 400),
        ("email=a&email.b=c&password=x", 422),
        ("email=a&password=" + "&x=1" * 10_000, 422),
    ],
    ids=["too many names", "a name within a value", "the same name often"],
)
async def test_a_sign_in_that_no_page_sends_is_refused_and_costs_little(db: Database, body: str, status: int) -> None:
    sent = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    async with client(db) as browser:
        answer = await browser.post("/sign-in", content=body, headers=sent)
    assert answer.status_code == status, answer.text[:500]


@pytest.mark.parametrize("path", ["/customers", "/orders"])
async def test_an_address_with_too_much_in_it_is_refused(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.get(f"{path}?" + "&".join(["status=pending"] * 201))).status_code == 400
    assert len((await web.get(f"{path}?" + "&".join(["status=pending"] * 150))).content) < 500_000


async def test_an_address_that_is_none_leads_nowhere(web: httpx.AsyncClient, db: Database) -> None:
    none = "http://[::1"
    assert (await web.get("/palette", params={"q": "dark"}, headers={"HX-Current-URL": none})).status_code == 200
    asked = {"HX-Request": "true", "HX-Current-URL": none}
    done = await web.post("/customers/views", data={"name": "Dear", "query": "status=VIP"}, headers=asked)
    assert done.headers["hx-redirect"] == "/customers?status=VIP"
    for place in (none, "http://shop.test//evil.example/", "http://shop.test//[", "http://evil.example/settings"):
        done = await web.post("/settings/inbox/replay", data={"status": "dead"}, headers={"Referer": place})
        assert done.headers["location"] == "/settings/inbox"
    async with client(db) as nobody:
        assert (await nobody.get("/palette", headers=asked)).headers["hx-redirect"] == "/sign-in"
        assert (await nobody.post("/sign-in", data={}, headers={"Origin": none})).status_code == 403


async def test_where_a_view_leads_is_one_address(web: httpx.AsyncClient) -> None:
    made = await web.post("/customers/views", data={"name": "Dear", "query": "search=Trần\r\nX-Evil: 1"})
    assert made.headers["location"] == "/customers?search=Tr%E1%BA%A7n%0D%0AX-Evil:%201"
    assert (await web.get(made.headers["location"])).status_code == 200


async def test_only_what_we_said_is_told(api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database) -> None:
    forged = '[[["Nothing is wrong"]],"/sign-out"]'
    for cookie in (forged, "x", "", '[[["%(n)9999999s",{"n":"1"}]],""]'):
        page = await web.get("/customers", headers={"Cookie": f"{_cookies(web)}; supover_flash={quote(cookie)}"})
        assert page.status_code == 200
        assert "data-toast" not in page.text
    ann = await make_customer(api, name="Ann Lee")
    await web.post(f"/customers/{ann['id']}/delete")
    sealed = web.cookies["supover_flash"]
    shop = await make_workspace(db)
    async with sites.signed_in(db, shop) as another:
        page = await another.get("/customers", headers={"Cookie": f"{_cookies(another)}; supover_flash={sealed}"})
        assert "Ann Lee" not in page.text
    assert "Ann Lee was deleted" in (await web.get("/customers")).text
    assert "Ann Lee was deleted" not in (await web.get("/customers")).text


def _cookies(web: httpx.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in web.cookies.items() if name != "supover_flash")


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/customers?search=Trần", "/customers?search=Tr%E1%BA%A7n"),
        ("/\t/evil.example", "/"),
        ("/\\evil.example", "/"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
async def test_a_sign_in_leads_to_places_of_ours(db: Database, shop: Workspace, wanted: str, led: str) -> None:
    person = await sites.make_person(db, shop)
    async with client(db) as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        form = {"email": person.email, "password": person.password, "next": wanted}
        assert (await browser.post("/sign-in", data=form)).headers["location"] == led


# --- what went wrong -------------------------------------------------------------------------------------------------------

FAIL_IMPORT = """
    insert into data.import_run (workspace_id, id, kind, status, file_name, file_hash, options, actor, finished_at)
    values ($1, $2, 'customers', 'failed', 'list.csv', '', '{}', 'cli', now())"""
FAIL_EXPORT = """
    insert into data.export_run (workspace_id, id, kind, format, status, asked, file_name, actor, finished_at)
    values ($1, $2, 'customers', 'csv', 'failed', '{}', 'all.csv', 'cli', now())"""
FAIL_JOB = """
    insert into data.job (workspace_id, id, kind, args, state, finished_at)
    values ($1, $2, 'segments.evaluate', '{}', 'dead', now())"""


async def test_the_bell_counts_what_its_page_calls_new(
    db: Database,
    shop: Workspace,
    api: httpx.AsyncClient,
    web: httpx.AsyncClient,
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    await make_order(api, number="nobodys")  # waits, and did not go wrong
    async with sites.signed_in(db, shop, "viewer") as viewer:
        assert [await told_by_bell(one) for one in (web, viewer)] == [(0, 0, 0), (0, 0, 0)]
        for sql in (FAIL_EXPORT, FAIL_JOB):
            await owner.execute(sql, shop.id, ids.new())
        assert [await told_by_bell(one) for one in (web, viewer)] == [(2, 2, 0), (0, 0, 0)], (
            "a viewer sees no exports, and jobs are for administrators"
        )
        await owner.execute(FAIL_IMPORT, shop.id, ids.new())
        assert [await told_by_bell(one) for one in (web, viewer)] == [(3, 3, 1), (1, 1, 1)]
        await web.post("/notifications/seen")
        assert [await told_by_bell(one) for one in (web, viewer)] == [(0, 0, 0), (1, 1, 1)]


async def told_by_bell(browser: httpx.AsyncClient) -> tuple[int, int, int]:
    """What the bell says is new, what its page does, and the count beside the imports."""
    page = (await browser.get("/notifications")).text
    bell = page.partition('href="/notifications"')[2].partition("</a>")[0]
    link = page.partition('href="/imports"')[2].partition("</a>")[0]
    new, count = re.search(r'aria-label="Notifications, (\d+) new"', bell), re.search(r'class="count">(\d+)<', link)
    assert ("bg-destructive" in bell) == bool(new)
    return int(new[1]) if new else 0, page.count('data-tone="brand">New<'), int(count[1]) if count else 0


# --- keys --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "email", "phone", "told"),
    [
        ("Ann", "ann@lee.com", "+4912", "Ann / Ann"),
        (None, "ann@lee.com", "+4912", "ann@lee.com / ann@lee.com"),
        (None, None, "+4912", "+4912 / +4912"),
        (None, None, None, "Không có tên / who"),
    ],
)
def test_a_customer_is_called_by_the_first_that_is_known(
    name: str | None, email: str | None, phone: str | None, told: str
) -> None:
    template = environment("vi").from_string("{{ one|called }} / {{ one|called('who') }}")
    assert template.render(one=Seen(ids.new(), name, email, phone)) == told


async def test_who_was_looked_at_is_called_by_what_is_known(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    nameless = await make_customer(api, name=None, email="bo@lee.com")
    await web.get(f"/customers/{nameless['id']}")
    side = (await web.get("/")).text.partition('id="side"')[2].partition("</nav>")[0]
    assert f'href="/customers/{nameless["id"]}"><span class="truncate">bo@lee.com</span>' in side


async def test_every_key_stands_in_the_list_of_keys(web: httpx.AsyncClient) -> None:
    used = {
        key
        for template in (Path(web_package.__file__).parent / "templates").rglob("*.html")
        for key in re.findall(r'data[-_]key="(.)"', template.read_text())
    }
    told = (await web.get("/customers")).text.partition('id="keys"')[2].partition("</dialog>")[0]
    # What is pressed after g is another thing.
    told = re.sub(r'<kbd class="kbd">g</kbd> <kbd class="kbd">.</kbd>', "", told)
    assert used == {"a", "c", "e", "f", "m", "n", "r", "s", "t", "y"}
    assert used - set(re.findall(r'<kbd class="kbd">(.)</kbd>', told)) == set()
