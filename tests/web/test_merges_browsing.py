"""Merge review in a browser, by keyboard."""

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import Workspace, make_address, make_customer, make_order, told
from tests.privacy.arrange import work
from tests.web import sites
from tests.web.sites import LOOKS, Person, visiting
from tests.web.test_merges import two_anns

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_merge_review_is_looked_at(
    browser: Browser,
    site: str,
    api: httpx.AsyncClient,
    db: Database,
    shop: Workspace,
    person: Person,
    dark: bool,
    phone: bool,
) -> None:
    first, second, pair = await two_anns(api, db, shop)
    third, fourth = [await make_customer(api, name=name, email=f"{name}@ray.com") for name in ("Bob", "Rob")]
    merge = told(
        await api.post("/api/customers/merge", json={"primaryId": third["id"], "duplicateIds": [fourth["id"]]})
    )
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        for path in (
            "/merges",
            f"/merges/pairs/{pair['id']}",
            f"/merges/new?ids={first['id']}&ids={second['id']}&ids={third['id']}",
            "/merges/history",
            f"/merges/history/{merge['mergeId']}",
            f"/merges/split/{first['id']}",
        ):
            await visit.go(path)
            await visit.check()


async def test_duplicates_are_found_merged_and_taken_apart_by_keyboard(
    browser: Browser, site: str, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace, person: Person
) -> None:
    first = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    second = await make_customer(api, name="Anne Lee", email="anne@lee.com")
    for one in (first, second):
        await make_address(api, one)
    await make_order(api, first)
    for name in ("Robert Ray", "Bob Ray"):
        await make_customer(api, name=name, phone="+12025550199")
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/customers")
        await page.keyboard.press("g")
        await page.keyboard.press("m")
        await page.get_by_role("button", name="Look for duplicates").first.press("Enter")
        await expect(page.get_by_text("Looking for duplicates")).to_be_visible()
        scanning = asyncio.create_task(work(db, owner, shop, "duplicates.%"))
        await expect(page.get_by_text("Last search")).to_be_visible()
        await scanning
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Are they one person?").wait_for()
        if not await page.locator("#decide").get_by_text("Anne Lee").count():
            await page.keyboard.press("s")
        await page.wait_for_load_state("networkidle")
        await expect(page.locator("#preview")).to_contain_text("Ann Lee stays")
        await page.get_by_role("radio").nth(1).focus()
        await page.keyboard.press("Space")
        await expect(page.locator("#preview")).to_contain_text("Anne Lee stays")
        at = page.url
        await page.keyboard.press("y")
        await page.wait_for_url(lambda url: url != at)
        await expect(page.get_by_text(re.compile(r"were merged\.$"))).to_be_visible()
        now = told(await api.get(f"/api/customers/{first['id']}"))
        assert now["name"] == "Anne Lee"
        await expect(page.locator("#decide")).to_contain_text("Ray")
        await page.get_by_role("button", name="Undo").press("Enter")
        await page.wait_for_url(at.partition("?")[0] + "*")
        await expect(page.get_by_text("The merge was undone.")).to_be_visible()
        assert told(await api.get(f"/api/customers/{first['id']}"))["name"] == "Ann Lee"
        assert told(await api.get(f"/api/customers/{second['id']}"))["name"] == "Anne Lee"
        await page.wait_for_load_state("networkidle")
        await page.keyboard.press("n")
        await expect(page.get_by_text(re.compile("stay separate, and are not suggested again"))).to_be_visible()
        await expect(page.locator("#decide")).to_contain_text("Ray")


@pytest.mark.soak
async def test_a_viewer_looks_and_has_nothing_to_press(
    browser: Browser, site: str, api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    _, _, pair = await two_anns(api, db, shop)
    viewer = await sites.make_person(db, shop, "viewer")
    async with visiting(browser, site, viewer) as visit:
        await visit.go(f"/merges/pairs/{pair['id']}")
        await expect(visit.page.get_by_role("heading", name="Are they one person?")).to_be_visible()
        await visit.page.keyboard.press("y")
        await visit.page.keyboard.press("n")
        await visit.check()
        await expect(visit.page.get_by_role("radio")).to_have_count(0)
    assert told(await api.get(f"/api/duplicates/{pair['id']}"))["status"] == "open"
