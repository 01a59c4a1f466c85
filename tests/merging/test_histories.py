"""Whatever happens to customers, all figures reconcile; a preview says what a merge does; a merge and its undo change nothing."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from supover.kit.db import Database
from tests.makers import Workspace, told
from tests.merging.arrange import Shop, differences, differing, dump, settle

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def _history(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, seed: int, steps: int
) -> None:
    world = Shop(api, seed)
    await world.begin()
    for _ in range(steps):
        match world.random.randrange(10):
            case 0 | 1 | 2:
                await world.order()
            case 3 | 4 | 5:
                await world.act()
            case 6:
                await world.someone()
            case 7 | 8 if len(world.living) > 2:
                await _merge(world, db, owner, shop)
            case _ if world.merges:
                answer = await api.post(f"/api/merges/{world.merges[-1]}/undo")
                done = told(answer)
                world.merges.pop()
                world.living += [one["id"] for one in done["customers"][1:]]
            case _:
                await world.order()
        await settle(db, shop)
        assert await differences(db, shop) == []


async def _merge(world: Shop, db: Database, owner: "Connection", shop: Workspace) -> None:
    """A merge that does what its preview said; half of them are undone at once, as if they had never been."""
    api, ids = world.api, world.some()
    asked = world.asked(ids)
    await settle(db, shop)
    before = await dump(owner, shop)
    preview = told(await api.post("/api/customers/merge", json={**asked, "dryRun": True}))
    assert differing(before, await dump(owner, shop)) == {}
    answer = await api.post("/api/customers/merge", json=asked)
    if preview["blockers"]:
        assert told(answer, 409)["blockers"] == preview["blockers"]
        assert differing(before, await dump(owner, shop)) == {}
        return
    done = told(answer)
    for name in ("moved", "joined", "fields", "warnings"):
        assert done[name] == preview[name]
    assert _comparable(done["customer"]) == _comparable(preview["customer"])
    await settle(db, shop)
    assert await differences(db, shop) == []
    if world.random.random() < 0.5:
        undone = told(await api.post(f"/api/merges/{done['mergeId']}/undo"))
        assert undone["merge"]["notPutBack"] == []
        await settle(db, shop)
        assert differing(before, await dump(owner, shop)) == {}, asked
    else:
        world.merges.append(done["mergeId"])
        world.living = [id for id in world.living if id not in ids[1:]]


def _comparable(customer: Any) -> Any:
    return {name: value for name, value in customer.items() if name != "updatedAt"}


@pytest.mark.parametrize("seed", range(6))
async def test_any_history_reconciles_and_a_merge_with_its_undo_is_as_if_it_had_never_been(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, seed: int
) -> None:
    await _history(api, db, owner, shop, seed, steps=24)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 140))
async def test_long_histories_reconcile(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, seed: int
) -> None:
    await _history(api, db, owner, shop, seed, steps=60)
