"""What stands around a page follows what is done on it."""

import httpx
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import Workspace
from tests.web.sites import Person, visiting
from tests.web.test_merges import two_anns


async def test_counts_names_and_language_beside_the_page_follow(
    browser: Browser, site: str, api: httpx.AsyncClient, db: Database, shop: Workspace, person: Person
) -> None:
    _, _, pair = await two_anns(api, db, shop)
    async with visiting(browser, site, person) as visit:
        page, side = visit.page, visit.page.locator("#side")
        await visit.go(f"/merges/pairs/{pair['id']}")
        waiting = side.get_by_role("link", name="Merge review").locator(".count")
        await expect(waiting).to_have_text("1")
        await page.keyboard.press("n")
        await expect(waiting).to_have_count(0)
        await page.locator(".toast-note").get_by_role("button", name="Undo").press("Enter")
        await expect(waiting).to_have_text("1")
        await visit.go("/settings/workspace")
        await page.get_by_label("Name", exact=True).fill("Ann's garden")
        await page.keyboard.press("Enter")
        await expect(side).to_contain_text("Ann's garden")
        await visit.go("/settings/account")
        await page.get_by_label("Language").select_option("vi")
        await page.get_by_role("button", name="Save").first.click()
        await expect(page.locator("html")).to_have_attribute("lang", "vi")
        await expect(side).to_contain_text("Khách hàng")
