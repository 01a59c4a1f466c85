"""The wizard of imports, its runs, and what may be done with them."""

import re
import time
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import pytest

from supover import settings as configuration
from supover.imports import queries
from supover.kit import ids, storage
from supover.kit.db import Database
from supover.web.rendering import environment
from tests.makers import Json, Workspace, make_customer, told
from tests.privacy.arrange import work
from tests.web import sites

pytestmark = pytest.mark.usefixtures("jobs_know_the_folder")

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]

PEOPLE = "E-Mail,Full Name,Size\nann@lee.com,Ann Lee,38\nbob@ray.com,Bob Ray,41\nnonsense,Cid,40\n"
ORDERS = "Order,placedAt,status,total,email\nW-1,2026-01-02,paid,10.50,ann@lee.com\nW-2,2026-01-03,odd,5,bob@ray.com\n"


async def drop(web: httpx.AsyncClient, content: str | bytes, kind: str = "customers", name: str = "people.csv") -> str:
    """Drops a file; the path of its import."""
    answer = await web.post("/imports", data={"kind": kind}, files={"file": (name, content)})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def run_of(api: httpx.AsyncClient, path: str) -> Json:
    return told(await api.get(f"/api{path}"))


async def test_nothing_was_imported_yet(web: httpx.AsyncClient) -> None:
    page = await web.get("/imports")
    assert "Nothing was imported yet" in page.text
    assert 'href="/imports/new"' in page.text


async def test_a_file_is_looked_at_checked_begun_shown_and_taken_back(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, PEOPLE)
    waiting = await web.get(path)
    assert f'hx-get="{path}/progress"' in waiting.text
    for said in (
        "E-Mail",
        "ann@lee.com",
        "bob@ray.com",
        '<option value="email" selected>',
        '<option value="name" selected>',
    ):
        assert said in waiting.text
    await work(db, owner, shop, "imports.%")
    checked = (await web.get(path)).text
    assert "hx-get" not in re.search(r'<section id="run"[^>]*>', checked)[0]  # pyright: ignore[reportOptionalSubscript]
    assert "Import 2 rows" in checked
    assert "must be an email address" in checked
    assert told(await api.get("/api/customers"))["data"] == []
    assert "Waiting for you" in (await web.get("/imports")).text

    columns = {"columns.0": "email", "columns.1": "name", "columns.2": "customFields.Size"}
    answer = await web.post(f"{path}/check", data={**columns, "mode": "upsert", "match": "", "tags": "fair, new"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    await work(db, owner, shop, "imports.%")
    assert told(await api.get("/api/customers"))["data"] == []
    assert (await web.post(f"{path}/start")).status_code == 303
    assert (await run_of(api, path))["dryRun"] is False
    await work(db, owner, shop, "imports.%")
    run = await run_of(api, path)
    assert (run["status"], run["created"], run["failed"], run["total"]) == ("completed_with_errors", 2, 1, 3)
    ann = told(await api.get("/api/customers", params={"email": "ann@lee.com"}))["data"][0]
    assert (ann["name"], ann["tags"], ann["customFields"]) == ("Ann Lee", ["fair", "new"], {"Size": "38"})
    people = (await web.get(f"{path}/customers")).text
    assert ("Ann Lee" in people, "Bob Ray" in people) == (True, True)
    assert "Take the import back" in (await web.get(path)).text

    assert (await web.post(f"{path}/revert")).status_code == 303
    assert "The import is being taken back" in (await web.get(path)).text
    await work(db, owner, shop, "imports.%")
    assert "2 customers were removed again" in (await web.get(path)).text
    assert told(await api.get("/api/customers"))["data"] == []


async def test_columns_that_tell_nobody_are_asked_for(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, "A,B\nAnn,x\n,y\n")
    assert await work(db, owner, shop, "imports.%") == 0
    assert "No column tells who somebody is" in (await web.get(path)).text
    assert (await web.post(f"{path}/start")).status_code == 422
    assert await work(db, owner, shop, "imports.%") == 0
    assert (await web.post(f"{path}/check", data={"columns.0": "name", "columns.1": ""})).status_code == 303
    await work(db, owner, shop, "imports.%")
    assert "Import 1 row" in (await web.get(path)).text


async def test_one_field_is_of_one_column(
    web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, PEOPLE)
    await work(db, owner, shop, "imports.%")
    answer = await web.post(
        f"{path}/check", data={"columns.0": "email", "columns.1": "email"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 422
    assert [one["name"] for one in answer.json()["errors"]] == ["columns.0", "columns.1"]
    answer = await web.post(f"{path}/check", data={"country": "Nowhere"}, headers={"HX-Request": "true"})
    assert [one["name"] for one in answer.json()["errors"]] == ["country"]
    assert "Import 2 rows" in (await web.get(path)).text


async def test_a_column_that_is_not_to_be_imported_is_not(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, PEOPLE)
    await work(db, owner, shop, "imports.%")
    await web.post(f"{path}/check", data={"columns.0": "email", "columns.1": "", "columns.2": ""})
    await work(db, owner, shop, "imports.%")
    await web.post(f"{path}/start")
    await work(db, owner, shop, "imports.%")
    assert {c["name"] for c in told(await api.get("/api/customers"))["data"]} == {None}


async def test_every_row_of_orders_to_fix_is_in_the_file(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    rows = "".join(f"W-{n},2026-01-02,twelve\n" for n in range(30))
    path = await drop(web, f"externalId,placedAt,total\n{rows}W-30,2026-01-02,12.00\n", "orders", "orders.csv")
    await work(db, owner, shop, "imports.%")
    page = (await web.get(path)).text
    assert ("The first 10 of 30." in page, f'href="/api{path}/errors.csv" download' in page) == (True, True)
    file = (await api.get(f"/api{path}/errors.csv")).text.splitlines()
    assert (len(file), file[0]) == (31, "externalId,placedAt,total,row,field,reason,reasons")
    why = "'twelve' is not an amount like 1234.56"
    assert file[30] == f"W-29,2026-01-02,twelve,31,total,{why},total: {why}"
    run = await run_of(api, path)
    assert (run["total"], run["created"], run["failed"], run["dryRun"]) == (31, 1, 30, True)


@pytest.mark.parametrize("kind", ["customers", "orders"])
async def test_a_file_without_rows_is_shown_and_can_be_discarded(
    web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace, kind: str
) -> None:
    for header in ("just text\n", "externalId,placedAt,total,name\n"):
        path = await drop(web, header, kind, "rows.csv")
        await work(db, owner, shop, "imports.%")
        page = await web.get(path)
        assert (page.status_code, "There are no rows below the header" in page.text) == (200, True), header
        assert f"{path}/start" not in page.text
        assert (await web.post(f"{path}/discard")).status_code == 303
        assert (await web.get(path)).status_code == 404


async def test_orders_are_checked_with_their_statuses_and_taken_in(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, ORDERS, "orders", "orders.csv")
    page = (await web.get(path)).text
    assert "Say which columns these are" in page
    assert 'name="statusMap.paid"' in page
    form = {
        "columns.0": "externalId",
        "columns.1": "placedAt",
        "columns.2": "status",
        "columns.3": "total",
        "columns.4": "email",
    }
    answer = await web.post(
        f"{path}/check", data={**form, "statusMap.paid": "confirmed", "statusMap.odd": "", "source": "Old"}
    )
    assert answer.status_code == 303, answer.text
    await work(db, owner, shop, "imports.%")
    assert told(await api.get("/api/orders"))["data"] == []
    checked = (await web.get(path)).text
    assert "Import 1 order" in checked
    assert "&#39;odd&#39; is not a status" in checked
    await web.post(f"{path}/start")
    await work(db, owner, shop, "imports.%")
    run = await run_of(api, path)
    assert (run["status"], run["created"], run["failed"], run["dryRun"]) == ("completed_with_errors", 1, 1, False)
    [order] = told(await api.get("/api/orders"))["data"]
    assert (order["externalId"], order["status"], order["source"]) == ("W-1", "confirmed", "Old")


async def test_what_is_no_table_is_told_where_it_was_chosen(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    answer = await web.post("/imports", data={"kind": "customers"}, files={"file": ("x.xlsx", b"PK\x03\x04broken")})
    assert 400 <= answer.status_code < 500
    assert ('role="alert"' in answer.text, 'name="file"' in answer.text) == (True, True)
    answer = await web.post("/imports", data={"kind": "customers"}, files={"other": ("x.csv", b"a")})
    assert answer.status_code == 422
    assert told(await api.get("/api/imports"))["data"] == []


async def test_a_refused_file_keeps_what_it_was_said_to_hold(web: httpx.AsyncClient) -> None:
    for field, name, content in (("file", "x.xlsx", b"PK\x03\x04broken"), ("other", "x.csv", b"a")):
        answer = await web.post("/imports", data={"kind": "orders"}, files={field: (name, content)})
        assert 400 <= answer.status_code < 500
        assert 'value="orders" checked' in answer.text


async def test_a_discarded_file_is_gone(web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace) -> None:
    path = await drop(web, PEOPLE)
    assert (await web.post(f"{path}/discard")).status_code == 409
    await work(db, owner, shop, "imports.%")
    async with db.reader(shop.id) as reader:
        key = (await queries.stored(reader, UUID(path.rsplit("/", 1)[1]))).file_key
    assert key is not None
    assert await storage.of(configuration.load().storage_url).size(key) == len(PEOPLE)
    assert (await web.post(f"{path}/discard")).status_code == 303
    assert await storage.of(configuration.load().storage_url).size(key) is None
    assert (await web.get(path)).status_code == 404
    assert (await web.post(f"{path}/discard")).status_code == 404


async def test_an_import_is_stopped_and_goes_on(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, PEOPLE)
    await work(db, owner, shop, "imports.%")
    await web.post(f"{path}/start")
    assert (await web.post(f"{path}/cancel")).status_code == 303
    await work(db, owner, shop, "imports.%")
    page = (await web.get(path)).text
    assert ("The import was stopped" in page, "Go on" in page) == (True, True)
    assert told(await api.get("/api/customers"))["data"] == []
    assert (await web.post(f"{path}/resume")).status_code == 303
    await work(db, owner, shop, "imports.%")
    assert (await run_of(api, path))["created"] == 2
    assert (await web.post(f"{path}/start")).status_code == 409
    assert (await web.post(f"{path}/cancel")).status_code == 409


async def test_a_viewer_sees_imports_and_begins_none(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    path = await drop(web, PEOPLE)
    await work(db, owner, shop, "imports.%")
    before = await run_of(api, path)
    async with sites.signed_in(db, shop, "viewer") as viewer:
        assert "people.csv" in (await viewer.get("/imports")).text
        page = (await viewer.get(path)).text
        assert ("Would be added" in page, "Import 2 rows" in page, "Check again" in page) == (True, False, False)
        assert (await viewer.get("/imports/new")).status_code == 403
        assert (await viewer.post("/imports", files={"file": ("a.csv", PEOPLE)})).status_code == 403
        for deed in ("start", "check", "discard", "cancel", "resume", "revert"):
            assert (await viewer.post(f"{path}/{deed}")).status_code == 403
    assert await run_of(api, path) == before


async def test_who_may_not_import_is_told_why(
    web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    why = "only owners and administrators start one. Your role here is Agent"
    async with sites.signed_in(db, shop, "agent") as agent:
        empty = (await agent.get("/imports")).text
        assert (why in empty, "Nothing was imported yet" in empty, "/imports/new" in empty) == (True, True, False)
        path = await drop(web, PEOPLE)
        assert "waits for an administrator" not in (await agent.get(path)).text, "it is being checked"
        await work(db, owner, shop, "imports.%")
        page = (await agent.get(path)).text
        assert (why in page, "waits for an administrator" in page) == (True, True)
    assert "only owners and administrators" not in (await web.get("/imports")).text + (await web.get(path)).text


async def test_a_trial_tells_all_that_is_wrong_what_is_not_clear_and_who_would_be_changed(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    ann = await make_customer(api, email="ann@lee.com", name="Ann", status="ACTIVE")
    rows = "ann@lee.com,Ann Lee,VIP,,Frnace,5 Torstr.\nx,Cid,GOLD,soon,,\nbob@ray.com,Bob,,,,\n"
    path = await drop(web, f"email,name,status,dateOfBirth,country,line1\n{rows}")
    await work(db, owner, shop, "imports.%")
    page = (await web.get(path)).text

    def said(html: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", html).split())

    told_page = page[: page.index("<h2>Columns</h2>")]
    fix, look, change = (said(told_page[page.index(f"<h2>{title}</h2>") :]) for title in
                         ("Rows to fix", "Rows to look at", "What would change"))  # fmt: skip
    assert "Email must be an email address such as ann@example.com" in fix
    assert "Date of birth &#39;soon&#39; is not a date such as 1990-01-31" in fix
    assert "Status &#39;GOLD&#39; is not one of ACTIVE, INACTIVE, BLOCKED, VIP" in fix
    assert look.startswith("Rows to look at Download these rows 1 row has a country or a phone number")
    assert "Country &#39;Frnace&#39; is no country that we know; it is kept as it is" in look
    assert f'href="/customers/{ann["id"]}"' in page[page.index("<h2>What would change</h2>") :]
    for shown in (
        "Full name from Ann to Ann Lee",
        "Status from Active to VIP",
        "Country to Frnace",
        "Address to 5 Torstr., Frnace",
    ):
        assert shown in change
    assert "Bob" not in change
    await web.post(f"{path}/start")
    await work(db, owner, shop, "imports.%")
    done = (await web.get(path)).text
    assert ("It was imported all the same" in done, "What would change" in done) == (True, False)
    people = said((await web.get(f"{path}/customers")).text)
    assert "Full name from Ann to Ann Lee" in people


async def test_commas_before_the_decimals_are_told(
    web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    for total, is_told in (("12,50", True), ("12.50", False)):
        path = await drop(web, f'externalId,placedAt,total\n1,2026-01-02,"{total}"\n', "orders", "orders.csv")
        await work(db, owner, shop, "imports.%")
        page = (await web.get(path)).text
        assert ("Import 1 order" in page, "Amounts have a comma before the decimals" in page) == (True, is_told)


async def test_an_import_of_nobody_knows_is_not_found(web: httpx.AsyncClient) -> None:
    for rest in ("", "/progress", "/customers"):
        assert (await web.get(f"/imports/{ids.new()}{rest}")).status_code == 404
    assert (await web.post(f"/imports/{ids.new()}/start")).status_code == 404


@pytest.mark.parametrize("kind", ["customers", "orders"])
async def test_a_sample_file_can_be_imported_as_it_is(
    web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace, kind: str
) -> None:
    sample = await web.get(f"/imports/samples/{kind}")
    assert "attachment" in sample.headers["content-disposition"]
    path = await drop(web, sample.content, kind)
    await work(db, owner, shop, "imports.%")
    page = (await web.get(path)).text
    assert ("Import 2" in page, "Rows to fix" in page) == (True, False)


async def test_what_a_file_holds_is_text(web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace) -> None:
    evil = "<img src=x onerror=alert(1)>"
    path = await drop(web, f'email,"{evil}"\nnonsense,"{evil}"\n', name=f"{evil}.csv")
    await work(db, owner, shop, "imports.%")
    for page in (path, "/imports"):
        assert "<img src=x" not in (await web.get(page)).text


def test_what_a_column_may_be_is_looked_up() -> None:
    """A file of a thousand columns asks for each whether it is one of forty fields."""
    said = environment("vi").from_string(
        '{% import "imports/words.html" as words with context %}{% for n in range(20000) %}{{ words.field("email") }}{% endfor %}'
    )
    started = time.perf_counter()
    assert said.render() == "Email" * 20_000
    assert time.perf_counter() - started < 3
