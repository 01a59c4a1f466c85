"""A customer's profile in a browser: edited in place, by two at once, with what hangs on it, and with far too much of everything."""

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.makers import make_address, make_customer, make_order, png, told
from tests.web.sites import LOOKS, Person, Visit, visiting


async def test_fields_are_edited_by_keyboard_and_by_two_at_once(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    field = {"key": "tier", "label": "Tier", "type": "choice", "choices": ["A", "B"]}
    told(await api.post("/api/custom-fields", json=field), 201)
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.com", custom_fields={"tier": "A"})
    at = f"/customers/{ann['id']}"
    async with visiting(browser, site, person) as visit:
        visit.expected.append("422")
        page, keys = visit.page, visit.page.keyboard
        await visit.go(at)
        await opened(page, "Email", by_key=True)
        await keys.type("nonsense")
        await keys.press("Enter")
        email = page.get_by_label("Email", exact=True)
        await expect(email).to_have_accessible_description("must be an email address such as ann@example.com")
        await expect(email).to_be_focused()
        await visit.check()
        await keys.press("Escape")
        await expect(summary(page, "Email")).to_be_focused()
        await keys.press("Enter")
        await expect(email).to_have_value("ann@lee.com")
        await expect(page.locator(".error-text")).to_have_count(0)
        await keys.type("ann@leigh.com")
        await keys.press("Enter")
        await expect(page.locator(".person")).to_contain_text("ann@leigh.com")
        await expect(summary(page, "Email")).to_be_focused()

        told(await api.patch(f"/api{at}", json={"name": "Ann Leigh"}))
        await opened(page, "Name")
        await keys.type("Anna")
        await keys.press("Enter")
        await expect(page.get_by_text("Name: Ann Lee → Ann Leigh")).to_be_visible()
        await visit.check()
        await page.get_by_role("link", name="Keep theirs and look").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Ann Leigh")

        told(await api.patch(f"/api{at}", json={"name": "Ann Lee"}))
        await opened(page, "Tier")
        await keys.press("B")
        await keys.press("Enter")
        await page.get_by_role("button", name="Overwrite with mine").click()
        await expect(summary(page, "Tier")).to_contain_text("B")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Ann Lee")
    assert told(await api.get(f"/api{at}"))["customFields"] == {"tier": "B"}


@pytest.mark.soak
async def test_tags_notes_a_picture_and_what_can_be_taken_back(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    await make_customer(api, name="Bob Ray", tags=["wholesale"])
    at = f"/customers/{(await make_customer(api, name='Ann Lee'))['id']}"
    async with visiting(browser, site, person) as visit:
        visit.expected.append("415")
        page, keys = visit.page, visit.page.keyboard
        await visit.go(at)
        await keys.press("t")
        await keys.type("who")
        await expect(page.locator("#known-tags option")).to_have_attribute("value", "wholesale")
        await keys.type("lesale")
        await keys.press("Enter")
        await page.get_by_role("button", name="Remove the tag wholesale").click()
        await expect(page.get_by_label("New tag")).to_be_focused()
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("button", name="Remove the tag wholesale")).to_be_visible()

        notes = page.locator(".note-card > p")
        for text in ("Rings twice", "Pays late"):
            await page.get_by_label("New note").fill(text)
            await keys.press("Control+Enter")
            await expect(notes.first).to_have_text(text)
        await page.get_by_role("button", name="Pin to the top").last.click()
        await expect(notes).to_have_text(["Rings twice", "Pays late"])
        await page.get_by_role("button", name="Edit note").first.click()
        await keys.press("Control+A")
        await keys.type("Rings once")
        await keys.press("Control+Enter")
        await expect(notes.first).to_have_text("Rings once")
        await page.get_by_role("button", name="Delete note").first.click()
        await page.get_by_role("button", name="Delete for good").click()
        await expect(notes).to_have_text(["Pays late"])

        await page.get_by_role("button", name="Change the picture").click()
        file = page.get_by_label("File", exact=True)
        await file.set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"words"})
        await page.get_by_role("button", name="Save picture").click()
        await expect(page.locator("dialog[open] .error-text")).to_have_text("A picture must be a PNG, JPEG or WebP")
        await file.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
        await page.get_by_role("button", name="Save picture").click()
        await expect(page.locator(".person img")).to_be_visible()

        heading = page.get_by_role("heading", level=1)
        await page.get_by_role("button", name="Block", exact=True).click()
        await keys.type("Two chargebacks")
        await page.locator("dialog[open]").get_by_role("button", name="Block").click()
        await expect(heading).to_contain_text("Blocked")
        await expect(page.get_by_role("button", name="Unblock")).to_be_focused()
        await expect(notes).to_have_text(["Blocked: Two chargebacks", "Pays late"])
        await page.get_by_role("button", name="Undo").last.click()
        await expect(heading).to_contain_text("Active")
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.wait_for_url("**/customers")
        await page.get_by_role("button", name="Undo").click()
        await page.wait_for_url(f"**{at}")
        await expect(heading).to_contain_text("Ann Lee")


@pytest.mark.soak
async def test_an_address_follows_its_country_and_the_timeline_goes_back(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person
) -> None:
    ann = await make_customer(api, name="Ann Lee", country="JP")
    at = f"/customers/{ann['id']}"
    for n in range(15):
        await make_order(api, ann, number=f"#{n}")
    async with visiting(browser, site, person) as visit:
        visit.expected.append("422")
        page = visit.page
        await visit.go(at)
        entries = page.locator(".timeline li")
        await expect(entries).to_have_count(12)
        await page.get_by_role("link", name="Show earlier").click()
        await expect(entries).to_have_count(16)
        await expect(page.locator("h3.day")).to_have_count(1)
        await page.get_by_role("link", name="Profile", exact=True).click()
        await expect(entries).to_have_count(1)
        await expect(entries).to_contain_text("Profile created")
        await expect(page.locator(".pill[aria-current]")).to_have_text("Profile")

        await page.get_by_role("link", name="Add", exact=True).click()
        await expect(page.get_by_label("Prefecture")).to_be_visible()
        await page.get_by_label("Street and number").fill("1 Main St")
        await page.get_by_label("Country", exact=True).select_option("US")
        await page.get_by_label("City").fill("Austin")
        await page.get_by_label("State").select_option("TX")
        await expect(page.get_by_label("Street and number")).to_have_value("1 Main St")
        await page.get_by_role("button", name="Save address").click()
        await expect(page.get_by_label("ZIP code")).to_have_accessible_description("is required")
        await visit.check()
        await page.get_by_label("ZIP code").fill("78704")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{at}")
        await page.get_by_role("link", name="Edit the address 1 Main St").click()
        await page.get_by_role("button", name="Remove this address").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        await expect(page.get_by_text("No address yet.")).to_be_visible()


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_nothing_is_wider_than_the_window_however_long_it_is(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person, dark: bool, phone: bool
) -> None:
    field = {"key": "motto", "label": "Motto" * 20, "type": "text"}
    told(await api.post("/api/custom-fields", json=field), 201)
    somebody = await make_customer(
        api, name="محمد " + "W" * 190, email=f"{'a' * 60}@{'b' * 60}.example", gender="y" * 50, source="ETSY",
        external_id="E" * 200, tags=[f"{n}{'z' * 90}" for n in range(100)], custom_fields={"motto": "M" * 1000},
    )  # fmt: skip
    at = f"/customers/{somebody['id']}"
    for n in range(7):
        told(await api.post(f"/api{at}/notes", json={"note": f"{n}{'N' * 300}"}), 201)
    await make_address(api, somebody, line1="L" * 190, recipient_name="R" * 190, city="C" * 90, validation_skipped=True)
    told(await api.post(f"/api{at}/identities", json={"externalId": "x" * 200, "source": "SHOPIFY"}), 201)
    await make_order(api, somebody, number="#" + "9" * 63)
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        for tab in ("/contacts", "/notes", "/addresses/new", ""):
            await visit.go(at + tab)
            await fits(visit)
        await opened(visit.page, "Name")
        await visit.check()


async def fits(visit: Visit) -> None:
    """Nothing is wider than the window, and no card's words run over its edge."""
    assert await visit.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    wide = await visit.page.locator("main .card, main .stat, main .head").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText.slice(0, 60))"
    )
    assert wide == []


def summary(page: Page, label: str) -> Locator:
    """What opens a field."""
    return page.locator("details.edit", has=page.get_by_label(label, exact=True)).locator("summary")


async def opened(page: Page, label: str, *, by_key: bool = False) -> None:
    """Opens a field, which takes what is typed at once."""
    if by_key:
        await summary(page, label).focus()
        await page.keyboard.press("Enter")
    else:
        await summary(page, label).click()
    await expect(page.get_by_label(label, exact=True)).to_be_focused()
