"""Scans as tests begin them."""

from collections.abc import Sequence
from uuid import UUID

import httpx

from supover.duplicates import commands, scanning
from supover.duplicates.model import Scan
from supover.kit.db import Database
from tests import makers
from tests.makers import Json, Workspace


async def scanned(db: Database, shop: Workspace, *, full: bool = False) -> Scan:
    """A scan of the workspace, as the job does it."""
    async with db.tx(shop.id) as tx:
        wanted = await commands.begin_here(tx, full=full)
    counts = await scanning.run(db, shop.id, lambda: db.tx(shop.id), wanted, lambda _phase, _counts: False)
    async with db.tx(shop.id) as tx:
        return await commands.complete(tx, wanted.id, counts)


async def pairs(api: httpx.AsyncClient, **asked: str) -> list[Json]:
    """The pairs of the list, all pages."""
    found: list[Json] = []
    cursor = None
    while True:
        page = makers.told(await api.get("/api/duplicates", params=asked | ({"cursor": cursor} if cursor else {})))
        found += page["data"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found


def both(pair: Json) -> set[str]:
    """The ids of the two."""
    return {pair["a"]["id"], pair["b"]["id"]}


def ids(customers: Sequence[Json]) -> set[str]:
    """The ids of customers."""
    return {str(UUID(one["id"])) for one in customers}
