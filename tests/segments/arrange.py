"""What the tests of segments begin with and look at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from supover.kit import clock
from supover.kit.db import Database
from supover.segments import membership, proof
from tests import makers
from tests.makers import Workspace, told


async def settle(db: Database, shop: Workspace) -> None:
    """Works until nothing is marked and no evaluation is wanted."""
    await makers.settle(db, shop)
    while await look_again(db, shop) or await evaluate(db, shop):
        pass


async def look_again(db: Database, shop: Workspace) -> int:
    """One batch of marked customers."""
    async with db.tx(shop.id) as tx:
        return await membership.refresh(tx)


async def evaluate(db: Database, shop: Workspace) -> bool:
    """One evaluation that is wanted."""
    async with db.tx(shop.id) as tx:
        return await membership.evaluate_next(tx)


async def segment(api: httpx.AsyncClient, name: str, filter: str | None) -> Any:
    """A segment by filter, or without one a group."""
    kind = "manual" if filter is None else "filter"
    return told(await api.post("/api/segments", json={"name": name, "kind": kind, "filter": filter}), 201)


async def found(api: httpx.AsyncClient, id: str) -> Any:
    """The segment as it is now."""
    return told(await api.get(f"/api/segments/{id}"))


async def named(api: httpx.AsyncClient, name: str) -> Any:
    """The one segment of this name."""
    [one] = told(await api.get("/api/segments", params={"search": name}))["data"]
    return one


async def members(api: httpx.AsyncClient, id: str) -> set[str]:
    """The ids of all members, page by page."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = told(await api.get(f"/api/segments/{id}/customers", params={"limit": "2", **cursor}))
        seen += [one["id"] for one in page["data"]]
        if page["nextCursor"] is None:
            assert len(set(seen)) == len(seen)
            return set(seen)
        cursor = {"cursor": page["nextCursor"]}


async def differences(db: Database, shop: Workspace) -> Sequence[proof.Difference]:
    """What a fresh evaluation does not confirm."""
    async with db.snapshot(shop.id) as reader:
        return (await proof.reconcile(reader))[1]


MOVES = """
    select kind, customer_id, (data ->> 'segmentId')::uuid, origin from event_log
     where workspace_id = $1 and kind in ('SegmentEntered', 'SegmentLeft', 'SegmentRebuilt') order by id"""


async def moves(db: Database, shop: Workspace) -> list[tuple[str, UUID | None, UUID, str]]:
    """Who was told to enter and leave what, in order."""
    async with db.reader(shop.id) as reader:
        return [tuple(row) for row in await reader.rows(MOVES)]


def at(patch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Sets the house's clock."""
    patch.setattr(clock, "now", lambda: moment)
