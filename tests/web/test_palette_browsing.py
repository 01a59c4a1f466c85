"""The palette in a browser: what is found is done by Enter, here and elsewhere."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.makers import make_customer, make_order
from tests.web.sites import Person, visiting


@pytest.mark.soak
async def test_what_is_found_is_done_by_enter(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    order = await make_order(api, ann)
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard

        async def do(words: str) -> None:
            await keys.press("Control+k")
            await page.locator("#palette input").fill(words)
            # At once: what is meant is the first of what will be found.
            await keys.press("Enter")

        await visit.go(f"/customers/{ann['id']}")
        await do("note")
        await expect(page.locator("#f-note")).to_be_focused()
        await page.locator("h1").click()
        await do("block")
        await expect(page.get_by_role("heading", name="Block this customer")).to_be_visible()
        await keys.press("Escape")
        await keys.press("Control+k")
        await page.locator("#palette input").fill("customer")
        options = page.locator("#palette [role=option]")
        await expect(options.filter(has_text="Block")).to_have_count(1)
        await expect(options.filter(has_text="Unblock")).to_have_count(0)
        await visit.check()
        await keys.press("Escape")
        await visit.go(f"/orders/{order['id']}")
        await do("refund")
        await expect(page.get_by_role("heading", name="Record a refund")).to_be_visible()
        await keys.press("Escape")
        await do("open customer")
        await page.wait_for_url(f"**/customers/{ann['id']}")
        await do("dark")
        await expect(page.locator("html")).to_have_class("dark")
        await do("invite")
        await expect(page.get_by_role("heading", name="Invite somebody")).to_be_visible()
        await keys.press("Escape")
        await do("sign out")
        await page.wait_for_url("**/sign-in")
