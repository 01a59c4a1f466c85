"""The settings in a browser: looked at in every form, and their story by keyboard."""

import httpx
import pytest
from playwright.async_api import Browser, expect
from pyotp.totp import TOTP

from supover.kit import clock
from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer
from tests.web.sites import LOOKS, Person, visiting

PAGES = {
    "mine": ("account", "workspace", "duplicates", "retention"),
    "people": ("staff", "keys", "keys/{key}", "audit", "requests", "jobs"),
    "data": ("fields", "fields/{field}", "fields/new?type=text", "tags", "tags/change?id=a+tag", "suppressions"),
    "outside": ("channels", "channels/{shop}", "inbox", "privacy", "privacy/new?customerId={ann}"),
}


@pytest.fixture
async def ids(api: httpx.AsyncClient) -> dict[str, str]:
    """Something for each page to show."""
    shop = {"platform": "SHOPIFY", "shop": "demo.myshopify.com", "secret": "a secret of theirs"}
    field = {"key": "size", "type": "text", "isIndexed": True}
    await api.post("/api/suppressions", json={"contact": "no@mail.example"})
    await api.post("/api/staff", json={"name": "Bo", "email": "bo@shop.example", "role": "agent"})
    return {
        "ann": (await make_customer(api, name="Ann Lee", email="ann@lee.example", tags=["a tag"]))["id"],
        "field": (await api.post("/api/custom-fields", json=field)).json()["id"],
        "shop": (await api.post("/api/channels", json=shop)).json()["id"],
        "key": (await api.post("/api/keys", json={"name": "Storefront", "scopes": ["orders:read"]})).json()["id"],
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("dark", "phone"), LOOKS)
@pytest.mark.parametrize("which", PAGES)
async def test_the_settings_are_looked_at(
    browser: Browser, site: str, person: Person, ids: dict[str, str], which: str, dark: bool, phone: bool
) -> None:
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        for page in PAGES[which]:
            await visit.go(f"/settings/{page.format(**ids)}")
            await expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            await expect(visit.page.locator('.sections [aria-current="page"]')).to_be_in_viewport()
            await visit.check()


@pytest.mark.soak
async def test_a_key_is_made_by_keyboard_seen_once_and_used(
    browser: Browser, site: str, db: Database, person: Person
) -> None:
    async with visiting(browser, site, person) as visit:
        page = visit.page
        visit.expected.append("422")
        await visit.go("/settings/keys")
        await page.keyboard.press("c")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name", exact=True).fill("Storefront")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_text("a key needs at least one")).to_be_visible()
        await dialog.get_by_label("customers:read").press("Space")
        await dialog.get_by_label("Name", exact=True).press("Enter")
        shown = page.locator(".once code")
        await expect(shown).to_contain_text("sk_")
        key = await shown.inner_text()
        assert key.startswith("sk_")
        await expect(dialog).to_be_hidden()
        await visit.check()
        await page.reload()
        await expect(page.get_by_role("link", name="Storefront")).to_be_visible()
        await expect(page.locator(".once")).to_have_count(0)
        async with client(db, key) as program:
            assert (await program.get("/api/customers")).status_code == 200
        await page.get_by_role("link", name="Storefront").click()
        await page.get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("The key is revoked.").first).to_be_visible()
        async with client(db, key) as program:
            assert (await program.get("/api/customers")).status_code == 401


async def test_the_second_step_is_enrolled_and_signed_in_with(browser: Browser, site: str, person: Person) -> None:
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/settings/account")
        await page.get_by_role("button", name="Set it up").click()
        await expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
        await visit.check()
        app = TOTP(await page.locator(".once code").inner_text())
        now = int(clock.now().timestamp()) // 30
        await page.get_by_label("Code", exact=True).fill(app.generate_otp(now - 1))
        await page.keyboard.press("Enter")
        await expect(page.locator(".codes li")).to_have_count(10)
        await visit.check()
        await page.get_by_role("button", name="The owner").click()
        await page.get_by_role("button", name="Sign out", exact=True).first.click()
        await page.wait_for_url("**/sign-in")
        await page.get_by_label("Email").fill(person.email)
        await page.get_by_label("Password").fill(person.password)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
        await visit.check()
        await page.get_by_label("Code").fill(app.generate_otp(int(clock.now().timestamp()) // 30))
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda at: "/sign-in" not in at)
        await visit.go("/settings/account")
        await expect(page.get_by_text("10 recovery codes left")).to_be_visible()


@pytest.mark.soak
async def test_changes_of_tags_are_followed_until_they_end(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person, shop: Workspace
) -> None:
    await make_customer(api, name="Ann", tags=["one", "two"])
    async with visiting(browser, site, person) as visit:
        page = visit.page
        await visit.go("/settings/tags")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await page.get_by_role("button", name="Rename, merge or delete").click()
        await page.get_by_label("New tag").fill("both")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/settings/tags")
        changes = page.locator("#changes")
        await expect(changes.get_by_text("both")).to_be_visible()
        [change] = (await api.get("/api/tag-changes")).json()["data"]
        await api.post(f"/api/tag-changes/{change['id']}/cancel")
        await expect(changes.get_by_text("Cancelled")).to_be_visible()
        assert await changes.get_attribute("hx-trigger") is None
