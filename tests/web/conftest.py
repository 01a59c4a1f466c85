"""One server and one browser for all tests of a worker; each test has a workspace of its own, and signs in."""

from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from supover import settings as configuration
from supover.kit.db import Database
from tests.makers import Workspace, api, application, shop
from tests.web import sites
from tests.web.sites import Person

__all__ = ["api", "shop"]


@pytest.fixture(scope="session")
async def site(db: Database) -> AsyncGenerator[str]:
    """Where the whole application answers."""
    async for url in sites.serve(db):
        yield url


@pytest.fixture(scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """Debian's Chromium; where there is none the test is skipped and says so."""
    if sites.CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the screens were not looked at")
    async for found in sites.chromium():
        yield found


@pytest.fixture
async def person(db: Database, shop: Workspace) -> Person:
    """An owner of the shop."""
    return await sites.make_person(db, shop)


@pytest.fixture
async def web(db: Database, shop: Workspace) -> AsyncGenerator[httpx.AsyncClient]:
    """An owner of the shop at a browser without scripts."""
    async with sites.signed_in(db, shop) as found:
        yield found


@pytest.fixture(scope="module")
def jobs_know_the_folder(db: Database) -> Generator[None]:
    """Jobs of these tests find files where the application keeps them."""
    state: Any = application(db).app.state
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configuration, "load", lambda: state.settings)
        yield
