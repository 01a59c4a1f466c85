"""Files in and out, in a browser."""

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import Workspace, told
from tests.privacy.arrange import work
from tests.web.sites import LOOKS, Person, visiting

pytestmark = pytest.mark.usefixtures("jobs_know_the_folder")

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]

ROWS = 10_000


def people(count: int, *, wrong: int = 0) -> bytes:
    """A file of so many customers, the last of whom have no email."""
    rows = [f"b{n}@mail.example,Buyer {n},{36 + n % 9}" for n in range(count - wrong)]
    return "\n".join(["E-Mail,Full Name,Size", *rows, *["nonsense,Cid,40"] * wrong, ""]).encode()


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_imports_are_looked_at(
    browser: Browser, site: str, web: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace, person: Person,
    dark: bool, phone: bool,
) -> None:  # fmt: skip
    answer = await web.post("/imports", data={"kind": "customers"}, files={"file": ("people.csv", people(30, wrong=3))})
    path = answer.headers["location"]
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        await visit.go("/imports/new")
        await visit.check()
        await visit.page.goto(f"{site}{path}")
        await expect(visit.page.get_by_text("Waiting to begin")).to_be_visible()
        await visit.check()
        await work(db, owner, shop, "imports.%")
        await expect(visit.page.get_by_role("button", name="Import 27 rows")).to_be_visible()
        await visit.page.get_by_text("More about the file").click()
        await visit.check()
        await visit.go("/imports")
        await visit.check()


async def test_ten_thousand_rows_are_dropped_and_watched_in(
    browser: Browser, site: str, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace, person: Person
) -> None:
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/customers")
        await page.keyboard.press("g")
        await page.keyboard.press("i")
        await page.get_by_role("heading", name="Imports").wait_for()
        await page.keyboard.press("c")
        await page.get_by_role("heading", name="Import a file").wait_for()
        file = {"name": "people.csv", "mimeType": "text/csv", "buffer": people(ROWS, wrong=100)}
        await page.locator("input[type=file]").set_input_files(file)  # pyright: ignore[reportArgumentType]
        await page.wait_for_url("**/imports/0*")
        checking = asyncio.create_task(work(db, owner, shop, "imports.%"))
        await expect(page.get_by_role("button", name="Import 9,900 rows")).to_be_visible(timeout=60_000)
        await checking
        assert told(await api.get("/api/customers?count=true&limit=1"))["total"] == 0
        await expect(page.get_by_text("must be an email address").first).to_be_visible()
        await page.keyboard.press("y")
        await expect(page.get_by_role("progressbar", name="Rows done")).to_be_visible()
        importing = asyncio.create_task(work(db, owner, shop, "imports.%"))
        seen = set[str]()
        told_rows = page.locator("#run").get_by_text("of 10,000 rows")
        while await told_rows.is_visible():
            if text := await told_rows.text_content(timeout=1_000) if await told_rows.count() else None:
                seen.add(text.split()[0])
            await asyncio.sleep(0.2)
        await expect(page.get_by_text("Done, with rows left out")).to_be_visible(timeout=60_000)
        await importing
        assert len(seen) > 1, "it was not seen to go on"
        await expect(page.locator("dl.stats")).to_contain_text("9,900")
        assert told(await api.get("/api/customers?count=true&limit=1"))["total"] == ROWS - 100
        await page.get_by_role("button", name="Take the import back").press("Enter")
        await page.get_by_role("button", name="Take it back").press("Enter")
        await expect(page.get_by_text("The import is being taken back")).to_be_visible()
        await work(db, owner, shop, "imports.%")
        await expect(page.get_by_text("9,900 customers were removed again")).to_be_visible(timeout=30_000)
        assert told(await api.get("/api/customers?count=true&limit=1"))["total"] == 0


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_exports_are_looked_at_and_one_is_made(
    browser: Browser, site: str, db: Database, owner: "Owner", shop: Workspace, person: Person, dark: bool, phone: bool
) -> None:
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        page = visit.page
        await visit.go("/exports/new?kind=customers&status=VIP")
        await page.get_by_text("Choose the columns").click()
        await visit.check()
        await page.get_by_text("Excel").click()
        await page.keyboard.press("y")
        await page.wait_for_url("**/exports")
        await expect(page.get_by_role("progressbar")).to_be_visible()
        await visit.check()
        await work(db, owner, shop, "exports.%")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download").click()
        assert (await download.value).suggested_filename.endswith(".xlsx")
        await visit.check()
