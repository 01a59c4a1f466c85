"""Pages in a browser: light and dark, wide and on a phone."""

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.makers import make_customer
from tests.web.sites import LOOKS, Person, visiting


@pytest.mark.parametrize(("dark", "phone"), LOOKS)
async def test_the_list_of_customers_is_looked_at(
    browser: Browser, site: str, api: httpx.AsyncClient, person: Person, dark: bool, phone: bool
) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com")
    async with visiting(browser, site, person, dark=dark, phone=phone) as visit:
        await visit.go("/customers")
        await expect(visit.page.get_by_role("link", name="Ann Lee")).to_be_visible()
        await visit.check()
