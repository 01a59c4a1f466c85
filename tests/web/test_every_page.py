"""What holds for each page that links lead to."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser

from supover.access.permissions import Role
from supover.kit.db import Database
from tests.makers import Workspace, client, make_workspace, told
from tests.web import crawl, shops, sites
from tests.web.payloads import CANARY, PAYLOADS

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]

WAYS = ("API", "file", "webhook")


@pytest.fixture(scope="module")
async def hostile(db: Database, database: str, jobs_know_the_folder: None) -> AsyncGenerator[Workspace]:
    """A shop that was filled by every way in; its tests only look at it."""
    import asyncpg

    shop = await make_workspace(db)
    owner = await asyncpg.connect(database)
    async with client(db, shop.key) as api, sites.signed_in(db, shop) as web:
        await shops.fill(api, db, shop)
        await shops.bring(api, web, db, owner, shop)
        await shops.deliver(api, db, shop)
    yield shop
    await owner.close()


async def paths(api: httpx.AsyncClient, every: int) -> list[str]:
    """The pages of customers and orders of each way in, or of every second, third or further."""
    found: list[str] = []
    for kind in ("customers", "orders"):
        rows = told(await api.get(f"/api/{kind}", params={"limit": "200"}))["data"]
        assert len(rows) >= len(WAYS) * (len(PAYLOADS) - 1)
        found += [f"/{kind}/{row['id']}" for row in rows[::every]]
    return found


async def crawled(db: Database, hostile: Workspace, every: int) -> Sequence[crawl.Found]:
    """The pages that links lead to, and so many of the customers and orders."""
    async with client(db, hostile.key) as api, sites.signed_in(db, hostile) as web:
        return await crawl.crawl(web, *await paths(api, every))


@pytest.fixture(scope="module")
async def some(db: Database, hostile: Workspace) -> Sequence[crawl.Found]:
    return await crawled(db, hostile, 8)


@pytest.fixture(scope="module")
async def everything(db: Database, hostile: Workspace) -> Sequence[crawl.Found]:
    return await crawled(db, hostile, 1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pages", ["some", pytest.param("everything", marks=pytest.mark.soak)])
def test_no_page_runs_what_people_wrote(request: pytest.FixtureRequest, pages: str) -> None:
    found: Sequence[crawl.Found] = request.getfixturevalue(pages)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []
    told = {one.path: crawl.odd_in(one.text) for one in found if "<!doctype html>" in one.text}
    assert {path: odd for path, odd in told.items() if odd} == {}
    assert len(told) >= 10
    shown = "".join(one.text for one in found)
    assert shown.count(CANARY) >= len(PAYLOADS)
    assert "49" + CANARY not in shown, "a template in somebody's name was filled"


# A page of each kind is opened; how long that takes is up to how busy the machine is.
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("share", "of"), [(1, 12), pytest.param(0, 2, marks=pytest.mark.soak), pytest.param(1, 2, marks=pytest.mark.soak)]
)
async def test_every_page_looks_right_and_runs_nothing(
    db: Database, hostile: Workspace, some: Sequence[crawl.Found], browser: Browser, site: str, share: int, of: int
) -> None:
    opened: dict[str, str] = {}
    for one in some:
        if "<!doctype html>" in one.text:
            opened.setdefault(crawl.kind(urlsplit(one.path).path), one.path)
    assert len(opened) >= 40
    wrong: list[str] = []
    async with sites.visiting(browser, site, await sites.make_person(db, hostile)) as visit:
        for path in list(opened.values())[share::of]:
            wrong += [f"{path} {one}" for one in await visit.tour(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("role", ["viewer", "agent", "admin"])
async def test_what_a_role_is_led_to_it_may_see(db: Database, hostile: Workspace, role: Role) -> None:
    async with sites.signed_in(db, hostile, role) as web:
        found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []


async def test_an_empty_shop_has_every_page(web: httpx.AsyncClient) -> None:
    found = await crawl.crawl(web)
    assert [(one.status, one.path, one.parent) for one in found if one.status != 200] == []
