"""Every page that links lead to, in a browser: light and dark, wide and on a phone."""

from typing import Final

import httpx
import pytest
from playwright.async_api import Browser

from supover.kit.db import Database
from tests.makers import Workspace
from tests.web import crawl, shops
from tests.web.sites import PHONE, WIDE, Person, visiting

SHARES: Final = 2
"""So many tests look at the pages, each at every so-manieth, side by side."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", range(SHARES))
async def test_every_page_is_looked_at(
    browser: Browser, site: str, api: httpx.AsyncClient, web: httpx.AsyncClient, db: Database, shop: Workspace,
    person: Person, share: int,
) -> None:  # fmt: skip
    await shops.fill(api, db, shop)
    pages = {
        crawl.ID.sub("ID", one.path.partition("?")[0]): one.path
        for one in await crawl.crawl(web)
        if "<!doctype html>" in one.text
    }
    paths = sorted(pages.values())
    wrong: list[str] = []
    async with visiting(browser, site, person) as visit:
        for path in paths[share::SHARES]:
            await visit.go(path)
            for dark, size in ((False, WIDE), (True, PHONE)):
                await visit.page.emulate_media(color_scheme="dark" if dark else "light")
                await visit.page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
                wrong += [f"{path} {'dark' if dark else 'light'} {one}" for one in await visit.faults()]
            wrong += [f"{path} {one}" for one in visit.complaints]
            visit.complaints.clear()
    assert not wrong, "\n".join(wrong)
