"""Insights in a browser: every page in both themes on both screens, and a shop's cohorts read by keyboard."""

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import Workspace
from tests.web import insight_shops
from tests.web.sites import LOOKS, Person, visiting

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

PAGES = (
    "",
    "?period=custom",
    "/cohorts",
    "/rfm",
    "/churn",
    "/ltv",
    "/map",
    "/map?country=US",
)


# Eight pages, each looked at by axe: on a busy machine that takes its time.
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_every_page_of_insights_is_looked_at(
    browser: Browser,
    site: str,
    db: Database,
    shop: Workspace,
    owner: "Connection",
    person: Person,
    dark: bool,
    phone: bool,
) -> None:
    await insight_shops.predict(db, shop, owner)
    await insight_shops.sell(db, shop)
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        for path in PAGES:
            await visit.go(f"/insights{path}")
            await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            for folded in await visit.page.locator("details.as-table > summary").all():
                await folded.click()
            await visit.check()


@pytest.mark.soak
@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
async def test_the_pages_of_an_empty_shop_are_looked_at(
    browser: Browser, site: str, person: Person, phone: bool
) -> None:
    async with visiting(browser, site, person, phone=phone) as visit:
        for path in ("", "/cohorts", "/churn"):
            await visit.go(f"/insights{path}")
            await expect(visit.page.get_by_role("link", name="Import orders")).to_be_visible()
            await visit.check()


async def test_the_cohorts_of_a_shop_are_read_by_keyboard(
    browser: Browser, site: str, db: Database, shop: Workspace, person: Person
) -> None:
    await insight_shops.sell(db, shop)
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard
        await visit.go("/customers")
        await keys.press("g")
        await keys.press("a")
        await page.wait_for_url("**/insights")
        # The chart is read value by value.
        chart = page.locator("svg[data-points]")
        await chart.focus()
        await keys.press("ArrowRight")
        first = await page.locator(".plot > .told").inner_text()
        await keys.press("ArrowRight")
        await expect(page.locator(".plot > .told")).not_to_have_text(first)
        await keys.press("ArrowLeft")
        await expect(page.locator(".plot > .told")).to_have_text(first)
        assert "$" in first
        # Another page, another measure: the address says it, and so does who comes by it.
        await page.get_by_role("link", name="Cohorts", exact=True).focus()
        await keys.press("Enter")
        await page.wait_for_url("**/insights/cohorts")
        await page.get_by_label("What is shown", exact=True).get_by_label("What is shown").select_option("rolling")
        await page.wait_for_url("**metric=rolling**")
        await expect(page.get_by_role("heading", name="Share who ordered in each month or later")).to_be_visible()
        # Cells are walked; each says whose it is.
        grid = page.get_by_role("grid")
        await grid.locator("td[tabindex='0']").focus()
        told = page.locator("[data-grid-told]")
        await expect(told).to_have_text("All, on average, month 0: 100%")
        await keys.press("ArrowDown")
        row = grid.locator("tbody tr").nth(1)
        name = await row.locator("th").inner_text()
        await expect(told).to_have_text(f"{name}, month 0: 100%")
        await keys.press("ArrowRight")
        value = await row.locator("td.cell").nth(1).inner_text()
        await expect(told).to_have_text(f"{name}, month 1: {value}")
        await keys.press("ArrowLeft")
        await keys.press("ArrowLeft")
        await expect(told).to_have_text(f"{name}, month 0: 100%")
        assert await grid.locator("td[tabindex='0']").count() == 1
        await page.go_back()
        await expect(page.get_by_role("heading", name="Share who ordered again in each month")).to_be_visible()


@pytest.mark.soak
async def test_a_country_is_opened_from_the_map_by_keyboard(
    browser: Browser, site: str, db: Database, shop: Workspace, person: Person
) -> None:
    await insight_shops.sell(db, shop)
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/insights/map?period=12m")
        country = page.locator("svg.map a[aria-label^='United States']")
        await country.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**country=US**")
        await expect(page.get_by_role("img", name="California")).to_be_visible()
        await page.get_by_role("link", name="The world").click()
        await expect(page.get_by_role("heading", name="Countries")).to_be_visible()


@pytest.mark.soak
async def test_days_are_chosen_without_leaving_the_page(
    browser: Browser, site: str, db: Database, shop: Workspace, person: Person
) -> None:
    await insight_shops.sell(db, shop)
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/insights")
        await page.get_by_label("Period").select_option("custom")
        await page.get_by_label("From").fill("2026-01-05")
        await page.get_by_label("To", exact=True).fill("2026-02-07")
        await page.get_by_role("button", name="Show").click()
        await page.wait_for_url("**from=2026-01-05**")
        await expect(page.get_by_text("Jan 5, 2026 – Feb 7, 2026")).to_be_visible()
        await page.get_by_label("Period").select_option("90d")
        await expect(page.get_by_label("From")).to_have_count(0)
        await page.get_by_label("Compared with").select_option("none")
        await expect(page.locator(".line.before")).to_have_count(0)
