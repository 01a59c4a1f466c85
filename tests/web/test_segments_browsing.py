"""Segments in a browser: each page light and dark, wide and on a phone, and the story of one that is built by keyboard."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, make_order, settle, told
from tests.web.sites import LOOKS, Person, visiting


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_the_pages_of_segments_are_looked_at(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person, dark: bool, phone: bool
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com")
    group = told(await api.post("/api/segments", json={"name": "Fair", "kind": "manual"}), 201)
    await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [ann["id"]]})
    rule = "status = 'VIP' OR (number_of_orders >= 5 AND NOT (products_purchased MATCHES (sku = 'A', date >= -90d)))"
    segment = told(await api.post("/api/segments", json={"name": "Mine", "filter": rule}), 201)
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        await visit.go("/segments")
        await expect(visit.page.get_by_role("link", name="Fair")).to_be_visible()
        await visit.check()
        await visit.go(f"/segments/{segment['id']}/edit")
        await expect(
            visit.page.get_by_label("Operator").or_(visit.page.get_by_label("Comparison")).first
        ).to_be_visible()
        await visit.check()
        await visit.go("/segments/new?filter=amount_spent+%3E+x")
        await visit.check()
        await visit.go(f"/segments/{group['id']}")
        await expect(visit.page.get_by_role("link", name="Ann Lee")).to_be_visible()
        await visit.check()
        await visit.page.keyboard.press("a")
        await visit.page.get_by_label("Look for a customer").fill("ann")
        await expect(visit.page.get_by_role("button", name="Add Ann Lee")).to_be_visible()
        await visit.check()
        await visit.go(f"/segments/{segment['id']}/explain")
        await visit.check()


async def test_a_segment_is_built_by_keyboard(
    browser: Browser, site: str, db: Database, shop: Workspace, api: httpx.AsyncClient, person: Person
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await make_customer(api, name="Bob Ray")
    for _ in range(2):
        await make_order(api, ann)
    await settle(db, shop)
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard
        await visit.go("/segments")
        await keys.press("c")
        await page.wait_for_url("**/segments/new")
        await expect(page.get_by_label("Name")).to_be_focused()
        await keys.type("Loyal")
        for _ in range(5):
            await keys.press("Tab")  # the description, how they go together, field, comparison, number
        await keys.type("2")
        await expect(page.locator("#fit-count")).to_have_text("1")
        await expect(page.locator("#fits")).to_contain_text("Ann Lee")
        await expect(page.get_by_label("The same as text")).to_have_value("number_of_orders >= 2")
        # What is typed stays, and so does the place.
        await expect(page.locator("#row-1-value-1")).to_be_focused()
        await keys.press("Tab")  # the cross
        await keys.press("Tab")
        await keys.press("Enter")
        await expect(page.locator("#row-2-field")).to_be_focused()
        await keys.type("Status")
        await expect(page.get_by_label("The same as text")).to_have_value("number_of_orders >= 2 AND status = 'ACTIVE'")
        # By text: the rows follow.
        await page.get_by_label("The same as text").fill("number_of_orders < 2 OR status IN ('VIP')")
        await expect(page.locator("#row-2-op")).to_have_value("IN")
        await expect(page.locator("#row-1-value-1")).to_have_value("2")
        await expect(page.locator("#row-1-op")).to_have_value("<")
        await expect(page.locator("#group-0-by")).to_have_value("or")
        await expect(page.locator("#fits")).to_contain_text("Bob Ray")
        await page.get_by_label("The same as text").fill("number_of_orders < 2 AND nonsense = 1")
        await expect(page.locator("#filter-said mark")).to_have_text("nonsense")
        await page.get_by_label("The same as text").fill("number_of_orders < 2")
        await expect(page.locator("#fit-count")).to_have_text("1")
        await visit.check()
        await page.get_by_role("button", name="Save segment").focus()
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Loyal", level=1)).to_be_visible()
        await expect(page.locator(".toast-note")).to_contain_text("The segment was made.")


@pytest.mark.soak
async def test_countries_regions_and_tags_are_chosen_by_their_names(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Ann Lee", country="DE", tags=["wholesale"])
    await make_customer(api, name="Bob Ray", country="FR")
    async with visiting(browser, site, person) as visit:
        page, keys, text = visit.page, visit.page.keyboard, visit.page.locator("#filter")
        await visit.go("/segments/new")
        await page.locator("#row-1-field").select_option("customer_countries")
        await page.locator("select#row-1-value-1").select_option(label="Germany")
        await expect(text).to_have_value("customer_countries CONTAINS 'DE'")
        await expect(page.locator("#fit-count")).to_have_text("1")
        # Several: each name that was typed becomes a tick, and the field is empty for the next.
        await page.locator("#row-1-op").select_option("IN")
        adding = page.get_by_label("Add a country…")
        for name, said in (("France", "('DE', 'FR')"), ("viet nam", "('DE', 'FR', 'VN')")):
            await adding.focus()
            await keys.type(name)
            await keys.press("Enter")
            await expect(text).to_have_value(f"customer_countries IN {said}")
            await expect(adding).to_have_value("")
        await page.get_by_role("checkbox", name="Germany").uncheck()
        await expect(text).to_have_value("customer_countries IN ('FR', 'VN')")
        await expect(page.locator("#fits")).to_contain_text("Bob Ray")
        await visit.check()
        await adding.fill("Germny")
        await keys.press("Enter")
        await expect(page.locator("#row-1-wrong")).to_contain_text("did you mean 'DE'?")
        await page.get_by_role("checkbox", name="Germny").uncheck()
        # By text, and the pickers follow.
        await text.fill("customer_regions CONTAINS 'US-NY'")
        await expect(page.get_by_label("Value", exact=True)).to_have_value("US-NY")
        await page.get_by_label("Country", exact=True).focus()
        await page.get_by_label("Country", exact=True).select_option(label="Canada")
        await page.get_by_label("Value", exact=True).select_option(label="Ontario")
        await expect(text).to_have_value("customer_regions CONTAINS 'CA-ON'")
        await page.locator("#row-1-field").select_option("customer_tags")
        await page.get_by_label("Tag", exact=True).focus()
        await keys.type("whole")
        await expect(page.locator("#known-tags option")).to_have_attribute("value", "wholesale")
        await keys.type("sale")
        await expect(page.locator("#fits")).to_contain_text("Ann Lee")
        await visit.check()


@pytest.mark.soak
async def test_a_group_is_filled_and_emptied_with_undo(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com")
    group = told(await api.post("/api/segments", json={"name": "Fair", "kind": "manual"}), 201)
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go(f"/segments/{group['id']}")
        await page.keyboard.press("a")
        await page.get_by_label("Look for a customer").fill("lee")
        await page.get_by_role("button", name="Add Ann Lee").click()
        await expect(page.locator("[data-rows]")).to_contain_text("ann@lee.com")
        await page.get_by_role("button", name="Take Ann Lee out").click()
        await expect(page.get_by_text("Nobody is in this group yet")).to_be_visible()
        await page.locator(".toast-note").filter(has_text="taken out").get_by_role("button", name="Undo").click()
        await expect(page.locator("[data-rows]")).to_contain_text("ann@lee.com")
