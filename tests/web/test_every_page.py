"""What holds for each page that links lead to."""

import httpx
import pytest

from supover.access.permissions import Role
from supover.kit.db import Database
from tests.makers import Workspace
from tests.web import crawl, shops, sites
from tests.web.payloads import CANARY, PAYLOADS


async def test_no_page_runs_what_people_wrote(
    api: httpx.AsyncClient, db: Database, shop: Workspace, web: httpx.AsyncClient
) -> None:
    await shops.fill(api, db, shop)
    found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []
    told = {one.path: crawl.odd_in(one.text) for one in found if "<!doctype html>" in one.text}
    assert {path: odd for path, odd in told.items() if odd} == {}
    assert len(told) >= 10
    shown = "".join(one.text for one in found)
    assert shown.count(CANARY) >= len(PAYLOADS)
    assert "49" + CANARY not in shown, "a template in somebody's name was filled"


@pytest.mark.parametrize("role", ["viewer", "agent", "admin"])
async def test_what_a_role_is_led_to_it_may_see(
    api: httpx.AsyncClient, db: Database, shop: Workspace, role: Role
) -> None:
    await shops.fill(api, db, shop)
    async with sites.signed_in(db, shop, role) as web:
        found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []


async def test_an_empty_shop_has_every_page(web: httpx.AsyncClient) -> None:
    found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []
