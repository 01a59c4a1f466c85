"""Orders in a browser: each page light and dark, wide and on a phone; a refund, a review and a rate."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.makers import make_customer, make_order
from tests.web.sites import LOOKS, Person, visiting

LINES = [{"title": "Mug", "sku": "MUG-1", "quantity": 2, "unitPrice": "5.00"}]


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_the_pages_of_orders_are_looked_at(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person, dark: bool, phone: bool
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    order = await make_order(api, ann, number="#1", lines=LINES, tags=["gift"], currency="EUR", exchange_rate="1.1")
    await api.post(f"/api/orders/{order['id']}/refund", json={"amount": "2.50"})
    nobodys = await make_order(api, number="#2", currency="VND", total="90000")
    await api.put("/api/rates", json={"rates": [{"currency": "EUR", "date": "2026-03-05", "rate": "1.1"}]})
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        await visit.go("/orders?status=confirmed")
        await expect(visit.page.get_by_role("link", name="#1", exact=True)).to_be_visible()
        await visit.check()
        await visit.page.get_by_role("button", name="More filters").click()
        await visit.check()
        await visit.go(f"/orders/{order['id']}")
        await visit.check()
        await visit.page.keyboard.press("r")
        await expect(visit.page.get_by_label("Amount in EUR")).to_be_focused()
        await visit.check()
        await visit.go(f"/orders/{nobodys['id']}?find=ann")
        await expect(visit.page.get_by_role("button", name="Choose Ann Lee")).to_be_visible()
        await visit.check()
        await visit.go("/orders/rates")
        await expect(visit.page.get_by_text("VND · 1 order")).to_be_visible()
        await visit.check()


async def test_an_order_is_refunded_by_keyboard(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    order = await make_order(api, await make_customer(api), number="#1", total="10.00", lines=LINES)
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard
        # Of the sums alone: the dialog tells them, too.
        sums = page.locator(".sums")
        visit.expected.append("422")
        await visit.go(f"/orders/{order['id']}")
        await keys.press("r")
        await keys.type("2.50")
        await keys.press("Tab")
        await keys.type("Arrived broken")
        await keys.press("Enter")
        await expect(sums).to_contain_text("−$2.50")
        await expect(sums).to_contain_text("$7.50")
        await expect(page.get_by_role("cell", name="Arrived broken")).to_be_visible()
        await keys.press("r")
        await keys.press("Enter")
        await expect(sums).to_contain_text("$0.00")
        await expect(page.get_by_role("button", name="Refund", exact=True)).to_have_count(0)
        await keys.press("m")
        await expect(page.locator(".order-steps [aria-current]")).to_have_text("Processing")


@pytest.mark.soak
async def test_a_review_is_resolved_and_a_rate_set(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com")
    order = await make_order(api, number="#1", currency="EUR", total="10.00")
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/orders?needsReview=true")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/orders/{order['id']}")
        await page.get_by_label("Look for a customer").fill("ann")
        await page.get_by_role("button", name="Choose Ann Lee").click()
        await expect(page.get_by_text("Whose is this order?")).to_have_count(0)
        await expect(page.locator("aside").get_by_role("link", name="Ann Lee")).to_be_visible()
        await page.get_by_label("One EUR in USD").fill("1.25")
        await page.keyboard.press("Enter")
        await expect(page.locator(".sums")).to_contain_text("$12.50")
        await visit.go("/orders?needsReview=true")
        await expect(page.get_by_text("No order waits for review")).to_be_visible()


@pytest.mark.soak
async def test_filters_of_orders_narrow_as_they_are_chosen(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_order(api, number="#1001", source="ETSY", email="a@b.com")
    await make_order(api, number="#1002", source="SHOPIFY", email="a@b.com", total="99.00")
    async with visiting(browser, site, person) as visit:
        page, found = visit.page, visit.page.locator("#found")
        await visit.go("/orders")
        await page.keyboard.press("/")
        await page.keyboard.type("#1001")
        await expect(found).to_contain_text("1 order")
        await page.get_by_label("Search for orders").fill("")
        await page.get_by_label("Source").select_option("SHOPIFY")
        await expect(found).to_contain_text("#1002")
        await expect(found).not_to_contain_text("#1001")
        assert "source=SHOPIFY" in page.url
        await page.get_by_role("link", name="Without the filter Shopify").click()
        await expect(found).to_contain_text("2 orders")
        # What stands in the address stays while one types on, and so does the place where one types.
        await visit.go("/orders?status=confirmed&status=pending&needsReview=false&rateMissing=false")
        await page.keyboard.press("/")
        await page.keyboard.type("101")
        await page.keyboard.press("ArrowLeft")
        await expect(found).to_contain_text("No orders found")
        await page.keyboard.press("0")
        await expect(found).to_contain_text("1 order")
        await expect(page.get_by_label("Search for orders")).to_have_value("1001")
        await expect(page.get_by_label("Search for orders")).to_be_focused()
        assert page.url.count("status=") == 2
        for told in ("Confirmed", "Pending", "With a customer", "With a rate"):
            await expect(page.get_by_role("link", name=f"Without the filter {told}")).to_be_visible()
        await page.get_by_role("button", name="Status").click()
        await visit.check()
        await page.get_by_role("checkbox", name="Pending").click()
        await expect(page.get_by_role("link", name="Without the filter Pending")).to_have_count(0)
        await expect(page.get_by_role("checkbox", name="Pending")).to_be_focused()
        # Tabs follow, too.
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="More filters").click()
        await page.get_by_label("Exchange rate").select_option("Waiting for a rate")
        await expect(page.locator(".views [aria-current]")).to_contain_text("Waiting for a rate")
