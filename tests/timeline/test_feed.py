"""The event log for programs that catch up: in order, nothing skipped, nothing twice."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx

from supover.customers.events import CustomerBlocked, CustomerUnblocked
from supover.kit import ids
from supover.kit.db import Database, Tx
from supover.kit.events import publish
from tests.imports.customer_files import imported, reverted
from tests.makers import Workspace, client, make_customer, make_key, make_workspace, pointers, told
from tests.timeline.follower import Follower


async def say(tx: Tx) -> None:
    await publish(tx, [CustomerBlocked(customer_id=ids.new())])


async def test_events_come_oldest_first_and_a_cursor_always(api: httpx.AsyncClient) -> None:
    follower = Follower(api, limit=3)
    assert await follower.catch_up() == []
    ann = await make_customer(api, name="Ann")
    for n in range(6):
        await api.patch(f"/api/customers/{ann['id']}", json={"name": f"Ann {n}"})
    seen = await follower.catch_up(7)
    assert [e["type"] for e in seen] == ["CustomerCreated"] + ["CustomerChanged"] * 6
    assert [e["data"].get("changes", {}).get("name", ["", ""])[1] for e in seen[1:]] == [f"Ann {n}" for n in range(6)]
    assert await follower.catch_up() == []
    assert await Follower(api).catch_up() == seen


async def test_of_two_interleaved_transactions_no_event_is_skipped(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    follower = Follower(api)
    async with AsyncExitStack() as early:
        first = await early.enter_async_context(db.tx(shop.id))
        await say(first)
        async with db.tx(shop.id) as second:
            await say(second)
        # The second one has ended; showing it now would put the first one behind the cursor.
        assert await follower.catch_up() == []
        await say(first)
    assert len(await follower.catch_up(3)) == 3
    async with db.tx(shop.id) as third:
        await say(third)
    assert len(await follower.catch_up(1)) == 1


async def test_many_transactions_at_once_are_told_whole_and_once(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    follower, rare = Follower(api, limit=7), Follower(api, type="CustomerUnblocked")
    chance = random.Random(7)
    done = False

    async def work() -> None:
        for n in range(12):
            async with db.tx(shop.id) as tx:
                await say(tx)
                await asyncio.sleep(chance.random() / 100)
                await publish(tx, [CustomerUnblocked(customer_id=ids.new())] if n % 4 == 0 else [])
                await asyncio.sleep(chance.random() / 100)
                await say(tx)

    async def follow(who: Follower) -> None:
        while not done:
            await who.ask()

    following = [asyncio.create_task(follow(f)) for f in (follower, rare)]
    await asyncio.gather(*(work() for _ in range(4)))
    done = True
    await asyncio.gather(*following)
    total = 4 * (12 * 2 + 3)
    await follower.catch_up(total - len(follower.seen))
    await rare.catch_up(12 - len(rare.seen))
    assert len(follower.seen) == len({e["id"] for e in follower.seen}) == total
    assert [e["id"] for e in rare.seen] == [e["id"] for e in follower.seen if e["type"] == "CustomerUnblocked"]
    assert [e["id"] for e in await Follower(api, limit=200).catch_up()] == [e["id"] for e in follower.seen]


async def test_it_is_narrowed_by_type_and_customer(api: httpx.AsyncClient) -> None:
    ann, bo = await make_customer(api, name="Ann"), await make_customer(api, name="Bo")
    await api.post(f"/api/customers/{ann['id']}/block")
    assert [e["customerId"] for e in await Follower(api, type="CustomerCreated").catch_up(2)] == [ann["id"], bo["id"]]
    assert [e["type"] for e in await Follower(api, customerId=bo["id"]).catch_up(1)] == ["CustomerCreated"]
    assert pointers(await api.get("/api/events", params={"type": "CustomerMade"})) == ["type"]
    assert (await api.get("/api/events", params={"cursor": "x"})).status_code == 400


async def test_a_cursor_from_before_a_restore_goes_on_by_id(
    api: httpx.AsyncClient, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    ann = await make_customer(api, name="Ann")
    await api.post(f"/api/customers/{ann['id']}/block")
    follower = Follower(api)
    first, *_ = seen = await follower.catch_up(3)
    # A restored database counts transactions from the start: what was logged before stands at 0, a kept cursor far above.
    await owner.execute("update data.event_log set tx = '0' where workspace_id = $1", shop.id)
    follower.cursor = f"{10**15}-{first['id'].replace('-', '')}"
    await api.post(f"/api/customers/{ann['id']}/unblock")
    rest = await follower.catch_up(4)
    assert [e["type"] for e in rest] == ["CustomerChanged", "CustomerBlocked", "CustomerChanged", "CustomerUnblocked"]
    assert [e["id"] for e in rest[:2]] == [e["id"] for e in seen[1:]]
    assert await follower.catch_up() == []


async def test_the_feed_ends_at_the_fence_and_asks_for_its_scope(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    await make_customer(api, name="Ann")
    async with client(db, (await make_workspace(db)).key) as stranger:
        assert await Follower(stranger).catch_up() == []
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert (await reader.get("/api/events")).status_code == 403
    async with client(db, await make_key(db, shop.id, "events:read")) as reader:
        assert len(await Follower(reader).catch_up(1)) == 1


async def test_a_file_is_told_once_a_chunk_and_a_bulk_action_once_a_customer(
    api: httpx.AsyncClient, db: Database, shop: Workspace, kept: Path
) -> None:
    follower = Follower(api)
    rows = "".join(f"c{n}@mail.example,Customer {n}\n" for n in range(40))
    run = await imported(api, db, shop, kept, "email,name\n" + rows)
    [of_file] = await follower.catch_up(1)
    assert (of_file["type"], of_file["title"], of_file["origin"], of_file["customerId"]) == (
        "CustomersImported",
        "Customers imported",
        "import",
        None,
    )
    assert of_file["data"] == {"importId": run["id"], "chunk": 0, "created": 40, "updated": 0}
    some = [c["id"] for c in told(await api.get("/api/customers", params={"limit": 2}))["data"]]
    told(await api.post("/api/customers/bulk", json={"action": "tag", "tags": ["fair"], "ids": some}))
    tagged = await follower.catch_up(4)
    assert sorted((e["customerId"], e["type"]) for e in tagged) == sorted(
        (id, kind) for id in some for kind in ("CustomerChanged", "CustomerTagged")
    )
    await reverted(api, db, shop, run)
    [gone] = [e for e in await follower.catch_up(1) if e["type"] == "ImportReverted"]
    assert gone["data"] == {"importId": run["id"], "removed": 38, "restored": 0, "kept": 2}
