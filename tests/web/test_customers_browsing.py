"""The list of customers in a browser: found, chosen, changed and taken back, mostly by keys."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from supover.bulk import commands
from supover.kit.db import Database
from supover.kit.worker import Worker
from tests.makers import make_customer, told
from tests.web.sites import PHONE, WIDE, Person, visiting

NASTY = (
    {
        "name": "Wolfeschlegelsteinhausenbergerdorff" * 5,
        "email": f"{'w' * 60}@{'long' * 12}.example",
        "tags": ["x" * 100],
    },
    {"name": "محمد بن عبد الله بن عبد العزيز آل سعود الطويل جدا", "country": "SA", "tags": ["عميل مهم"]},
    {"name": "🌻 Sunny 👨‍👩‍👧‍👦", "email": "sunny@shop.com", "tags": [f"tag number {n}" for n in range(100)]},
    {"email": "nameless@shop.com", "country": "GS"},
    {"source": "ETSY", "externalId": "buyer-77"},
)


async def work(db: Database) -> None:
    """Does the bulk actions that wait."""
    await Worker(db, kinds={commands.JOB, commands.UNDO_JOB}, names=(), poll_s=0.02).drain()


async def test_a_customer_is_found_and_opened_with_keys_alone(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Ann Lee", phone="+84 912 345 678")
    await make_customer(api, name="Bob Ray", phone="+84 987 654 321")
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard
        await visit.go("/customers")
        await keys.press("x")
        await keys.press("j")
        await keys.press("x")
        await expect(page.locator("#bulk")).to_be_visible()
        await keys.press("/")
        await keys.type("7654")
        await page.wait_for_url("**/customers?search=7654")
        await expect(page.get_by_text("1 customer", exact=True)).to_be_visible()
        await expect(page.locator("[data-search]")).to_be_focused()
        # Enter leads to who was found, and Escape away from the field, with what was typed left there.
        await keys.press("Enter")
        await expect(page.get_by_role("link", name="Bob Ray")).to_be_focused()
        await keys.press("/")
        await keys.press("Escape")
        await expect(page.locator("[data-search]")).not_to_be_focused()
        await expect(page.locator("[data-search]")).to_have_value("7654")
        await keys.press("/")
        # A filter is added to what was typed.
        await keys.press("Tab")
        await keys.press("Enter")
        await expect(page.locator("#add-filter summary").first).to_be_focused()
        await keys.press("Enter")
        await expect(page.get_by_role("checkbox", name="Active", exact=True)).to_be_focused()
        await keys.press("Space")
        await keys.press("Enter")
        await page.wait_for_url("**/customers?search=7654&status=ACTIVE")
        await keys.press("j")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Bob Ray", level=1)).to_be_visible()
        await keys.press("Control+k")
        await keys.type("2345")
        await expect(page.get_by_role("option", name="Ann Lee")).to_have_attribute("aria-selected", "true")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Ann Lee", level=1)).to_be_visible()
        await expect(page.locator("#side").get_by_role("link", name="Bob Ray")).to_be_visible()
        await page.go_back()
        await page.go_back()
        await expect(page.locator("[data-search]")).to_have_value("7654")
        await expect(page.get_by_text("1 customer", exact=True)).to_be_visible()


async def test_who_is_chosen_is_never_somebody_else(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    people = [await make_customer(api, name=f"Ann {n}") for n in range(5)]
    async with visiting(browser, site, person) as visit:
        page, keys, chosen = visit.page, visit.page.keyboard, visit.page.locator("input[name=id]:checked")
        await visit.go("/customers?sort=name")
        boxes = page.locator("input[name=id]")
        await boxes.nth(0).click()
        await keys.press("Enter")  # does nothing at a box
        await expect(page.get_by_role("button", name="Merge")).to_be_disabled()
        await boxes.nth(3).click(modifiers=["Shift"])
        await expect(chosen).to_have_count(4)
        await keys.press("Escape")
        await expect(page.locator("#bulk")).to_be_hidden()
        # From the row that was clicked last, keys go on.
        await keys.press("k")
        await keys.press("x")
        await expect(page.get_by_role("checkbox", name="Choose Ann 2")).to_be_checked()
        await keys.press("/")
        await keys.type("Ann 4")
        await expect(page.get_by_text("1 customer", exact=True)).to_be_visible()
        await expect(chosen).to_have_count(0)
        await expect(page.locator("#bulk")).to_be_hidden()
        await visit.go("/customers?sort=name")
        await keys.press("j")
        await keys.press("x")
        await keys.press("j")
        await keys.press("x")
        await keys.press("t")
        await expect(page.get_by_label("Tags, with commas between")).to_be_focused()
        visit.expected.append("422")
        await keys.press("Enter")
        await expect(page.locator("#bulk-tag .error-text")).to_have_text("is required")
        await keys.type("spring, b2b")
        await visit.check()
        await keys.press("Enter")
        note = page.locator(".toast-note").filter(has_text="2 customers were tagged.")
        await expect(note).to_be_visible()
        await expect(page.locator("#bulk")).to_be_hidden()
        tags = [told(await api.get(f"/api/customers/{one['id']}"))["tags"] for one in people]
        assert tags == [["spring", "b2b"], ["spring", "b2b"], [], [], []]
        await note.get_by_role("button", name="Undo").click()
        await expect(page.locator(".toast-note").filter(has_text="It was undone.")).to_be_visible()
        await expect(page.get_by_role("link", name="Ann 0")).to_be_visible()
        assert told(await api.get(f"/api/customers/{people[0]['id']}"))["tags"] == []


@pytest.mark.soak
async def test_all_who_fit_are_changed_and_it_is_undone(
    browser: Browser, site: str, db: Database, api: httpx.AsyncClient, person: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(commands, "AT_ONCE", 10)
    for n in range(26):
        await make_customer(api, name=f"Ann {n:02}")
    bob = await make_customer(api, name="Bob Ray")
    tagged = "/api/customers?tag=fair&count=true&limit=1"
    async with visiting(browser, site, person) as visit:
        page, bar = visit.page, visit.page.locator("#bulk")
        await visit.go("/customers?search=ann")
        await page.get_by_label("Choose all on this page").click()
        await expect(bar).to_contain_text("25 chosen")
        everything = page.get_by_label("All 26 that fit")
        await everything.click()
        await expect(bar).to_contain_text("All 26 chosen")
        # Who leaves somebody out means the others of the page, not all who fit.
        await page.get_by_label("Choose Ann 20").click()
        await expect(bar).to_contain_text("24 chosen")
        await page.get_by_label("Choose Ann 20").click()
        await expect(everything).not_to_be_checked()
        await everything.click()
        await page.keyboard.press("t")
        await page.keyboard.type("fair")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Add tags: fair")).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_be_visible()
        await visit.check()
        await work(db)
        await expect(page.get_by_text("Done", exact=True)).to_be_visible()
        await expect(page.get_by_role("progressbar")).to_have_count(0)
        assert told(await api.get(tagged))["total"] == 26
        assert told(await api.get(f"/api/customers/{bob['id']}"))["tags"] == []
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_text("Being undone", exact=True)).to_be_visible()
        await work(db)
        await expect(page.get_by_text("Undone", exact=True)).to_be_visible()
        assert told(await api.get(tagged))["total"] == 0


@pytest.mark.soak
async def test_columns_and_views_are_as_somebody_left_them(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Ann Lee", status="VIP")
    await make_customer(api, name="Bob Ray")
    async with visiting(browser, site, person) as visit:
        page, keys, heads = visit.page, visit.page.keyboard, visit.page.locator("thead th:not(.tick)")
        await visit.go("/customers")
        usual = [one.strip() for one in await heads.all_inner_texts()]
        await page.get_by_role("button", name="Columns", exact=True).focus()
        await keys.press("Enter")
        await expect(page.get_by_role("checkbox", name="Status", exact=True)).to_be_focused()
        await page.get_by_role("button", name="Country: further up").focus()
        await keys.press("Enter")
        # It is at the top, where there is no way up.
        await expect(page.get_by_role("button", name="Country: further down")).to_be_focused()
        await page.get_by_role("checkbox", name="Email", exact=True).focus()
        await keys.press("Space")
        for _ in range(10):
            await keys.press("Alt+ArrowUp")
        await expect(page.get_by_role("checkbox", name="Email", exact=True)).to_be_focused()
        await visit.check()
        await keys.press("Enter")
        moved = ["Customer", "Email", "Country", "Status", *usual[3:]]
        await expect(heads).to_have_text(moved)
        await page.reload()
        await expect(heads).to_have_text(moved)
        await page.get_by_role("button", name="Columns", exact=True).click()
        await page.get_by_role("button", name="Back to the usual columns").click()
        await expect(heads).to_have_text(usual)
        await page.get_by_role("button", name="Columns", exact=True).click()
        await expect(page.get_by_role("checkbox", name="Email", exact=True)).not_to_be_checked()
        await keys.press("Escape")
        # A view is what was searched for, too.
        await keys.press("/")
        await keys.type("ann")
        await page.wait_for_url("**/customers?search=ann")
        await page.get_by_role("button", name="Save view").click()
        await keys.type("Anns")
        await keys.press("Enter")
        tabs = page.get_by_role("navigation", name="Saved views")
        await expect(tabs.get_by_role("link", name="Anns")).to_have_attribute("aria-current", "page")
        await visit.go("/customers")
        await tabs.get_by_role("link", name="Anns").click()
        await expect(page.locator("[data-rows] > tr")).to_have_count(1)
        await expect(page.locator("[data-search]")).to_have_value("ann")
        await page.get_by_role("button", name="Edit view").click()
        await page.get_by_role("textbox", name="Name", exact=True).fill("Every Ann")
        await page.get_by_label("Who sees it").select_option(label="Everybody here")
        await keys.press("Enter")
        await expect(tabs.get_by_role("link", name="Every Ann")).to_have_attribute("aria-current", "page")
        await page.get_by_role("button", name="Edit view").click()
        await page.get_by_role("button", name="Delete view").click()
        await page.wait_for_url("**/customers")
        await expect(page.locator("[data-rows] > tr")).to_have_count(2)
        await expect(page.locator(".toast-note")).to_contain_text("The view “Every Ann” was deleted.")


@pytest.mark.soak
async def test_a_customer_is_added_by_keys_and_nothing_overflows(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    for one in NASTY:
        told(await api.post("/api/customers", json=one), 201)
    async with visiting(browser, site, person) as visit:
        page, keys = visit.page, visit.page.keyboard
        await visit.go("/customers")
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
            await page.locator("input[name=id]").first.check()
            await visit.check()
            cut = await page.locator(".list").evaluate("(list) => list.scrollWidth - list.clientWidth")
            assert cut == 0, f"{cut} pixels of the table are cut off at {size}"
            await page.locator("input[name=id]").first.uncheck()
        await keys.press("c")
        await expect(page.get_by_label("Name")).to_be_focused()
        visit.expected += ["422", "409"]
        await keys.type("Ann Lee")
        await keys.press("Tab")
        await keys.type("ann at lee")
        await keys.press("Enter")
        email = page.get_by_label("Email")
        await expect(email).to_have_accessible_description("must be an email address such as ann@example.com")
        await expect(email).to_be_focused()
        await keys.press("Control+a")
        await keys.type("sunny@shop.com")
        await keys.press("Enter")
        await expect(page.get_by_role("link", name="Show the other customer")).to_be_visible()
        await visit.check()
        await expect(email).to_be_focused()
        await keys.press("Control+a")
        await keys.type("ann@lee.com")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", name="Ann Lee", level=1)).to_be_visible()
        await expect(page.locator(".toast-note")).to_contain_text("Ann Lee was added.")


async def test_on_a_phone_all_are_chosen_and_sorted(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    for name in ("Ann Lee", "Cid Fox", "Bob Ray"):
        await make_customer(api, name=name)
    async with visiting(browser, site, person, phone=True) as visit:
        page = visit.page
        await visit.go("/customers")
        await expect(page.locator("[data-rows] a").first).to_have_text("Bob Ray")
        await page.get_by_label("Sort by").select_option(label="Name")
        await expect(page.locator("[data-rows] a")).to_have_text(["Ann Lee", "Bob Ray", "Cid Fox"])
        every = page.get_by_label("Choose all", exact=True)
        await every.check()
        await expect(page.locator("[data-chosen]")).to_have_text("3 chosen")
        await page.get_by_label("Choose Bob Ray").uncheck()
        await expect(every).not_to_be_checked()
        await expect(page.locator("[data-chosen]")).to_have_text("2 chosen")
        await visit.check()
        await page.get_by_role("button", name="Choose nobody").click()
        await page.get_by_role("button", name="Add filter").click()
        await page.locator("summary", has_text="Churn risk").click()
        await page.get_by_label("High").check()
        await page.get_by_role("button", name="Apply").locator("visible=true").click()
        await expect(page.get_by_label("Remove the filter Churn risk: High")).to_be_visible()
        await visit.check()
