"""Merges beside everything else: nobody's row is lost, and nobody is told of a deadlock."""

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import httpx
import pytest

from supover.customers import absorbing
from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_customer, make_order, make_workspace, told
from tests.merging.arrange import body, differences, listed, merge, settle, undo

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def test_of_ten_merges_of_the_same_rows_at_once_one_happens_and_the_others_name_the_survivor(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, *twins = [await make_customer(api, name=f"Ann {n}", email=f"ann@{n}.com") for n in range(3)]
    answers = await asyncio.gather(*(api.post("/api/customers/merge", json=body(ann, *twins)) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 9]
    assert {answer.json()["mergedIntoId"] for answer in answers if answer.status_code == 409} == {ann["id"]}
    assert len(await listed(api, "/api/merges")) == 1


async def test_two_that_are_merged_into_each_other_at_once_are_one(api: httpx.AsyncClient) -> None:
    for _ in range(5):
        ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
        asked = (body(ann, twin), body(twin, ann))
        answers = await asyncio.gather(*(api.post("/api/customers/merge", json=one) for one in asked))
        assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_of_ten_undos_at_once_one_happens(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    done = await merge(api, ann, twin)
    answers = await asyncio.gather(*(api.post(f"/api/merges/{done['mergeId']}/undo") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 9]


STRAY: Final = """
    select t.what, t.id from (
        select 'order' as what, o.id, o.customer_id from data."order" o where o.workspace_id = $1
        union all select 'note', n.id, n.customer_id from data.customer_note n where n.workspace_id = $1
        union all select 'address', a.id, a.customer_id from data.address a where a.workspace_id = $1
        union all select 'identity', i.id, i.customer_id from data.customer_identity i where i.workspace_id = $1
        union all select 'pick', p.segment_id, p.customer_id from data.segment_pick p where p.workspace_id = $1) t
      join data.customer c on c.workspace_id = $1 and c.id = t.customer_id and c.merged_into_id is not null"""
"""Rows that stayed behind with a tombstone."""


async def _storm(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, seed: int, merges: int
) -> dict[str, int]:
    """Merges at random, with orders, edits, notes, addresses, picks and undos among them, eight at a time."""
    dice = random.Random(seed)
    people = [await make_customer(api, name="Ann Lee", email=f"a{n}@{seed}.com", tags=[f"t{n}"]) for n in range(40)]
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    merged: list[str] = []
    counts: dict[str, int] = {"orders": 0, "notes": 0, "merged": 0, "refused": 0, "undone": 0}

    async def one(n: int) -> None:
        who = dice.choice(people)
        match n % 8:
            case 0 | 1 | 2:
                ids_ = dice.sample(people, dice.choice([2, 3]))
                answer = await api.post("/api/customers/merge", json=body(*ids_))
                assert answer.status_code in (200, 409), answer.text
                counts["merged" if answer.status_code == 200 else "refused"] += 1
                if answer.status_code == 200:
                    merged.append(answer.json()["mergeId"])
                elif "mergedIntoId" not in answer.json():
                    raise AssertionError(answer.text)
            case 3:
                told(
                    await api.post(
                        "/api/orders", json=_order(dice, n, email=who["email"], phone=f"+4915100000{n % 3}")
                    ),
                    201,
                )
                counts["orders"] += 1
            case 4:
                told(await api.post("/api/orders", json=_order(dice, n, customerId=who["id"])), 201)
                counts["orders"] += 1
            case 5:
                answer = await api.post(f"/api/customers/{who['id']}/notes", json={"note": f"n{n}"})
                if answer.status_code == 308:
                    answer = await api.post(answer.headers["location"], json={"note": f"n{n}"})
                assert answer.status_code in (201, 308), answer.text
                counts["notes"] += answer.status_code == 201
            case 6:
                answer = await api.patch(f"/api/customers/{who['id']}", json={"country": dice.choice(["DE", "US"])})
                assert answer.status_code in (200, 308), answer.text
                place = {"line1": f"{n % 5} High St", "city": "Leeds", "postalCode": "LS1 1AA", "country": "GB"}
                answer = await api.post(f"/api/customers/{who['id']}/addresses", json=place)
                assert answer.status_code in (201, 308), answer.text
                told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [who["id"]]}))
            case _:
                if merged:
                    answer = await api.post(f"/api/merges/{dice.choice(merged)}/undo")
                    assert answer.status_code in (200, 409), answer.text
                    counts["undone"] += answer.status_code == 200

    turns = iter(range(merges * 8 // 3))

    async def worker() -> None:
        for n in turns:
            await one(n)

    await asyncio.gather(*(worker() for _ in range(8)))
    assert await owner.fetch(STRAY, shop.id) == []
    await settle(db, shop)
    assert await differences(db, shop) == []
    kept = await owner.fetchval('select count(*) from data."order" where workspace_id = $1', shop.id)
    assert kept == counts["orders"]
    assert (
        await owner.fetchval("select count(*) from data.customer_note where workspace_id = $1", shop.id)
        == counts["notes"]
    )
    return counts


def _order(dice: random.Random, n: int, **fields: Any) -> Json:
    return {
        "source": "API",
        "externalId": f"o{n}",
        "total": f"{dice.randrange(1, 90)}.00",
        "status": "delivered",
        **fields,
    }


async def test_a_hundred_merges_with_orders_edits_and_undos_among_them_lose_nothing(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    counts = await _storm(api, db, owner, shop, 1, 100)
    assert counts["merged"] > 20


DEADLOCKS: Final = """
    select deadlocks from (select pg_stat_clear_snapshot(), pg_stat_force_next_flush()) as now, pg_stat_database
     where datname = current_database()"""


async def _at_random(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, seed: int, merges: int
) -> int:
    """So many merges of two to five random customers, sixteen at a time: how many were made. PostgreSQL broke no deadlock."""
    dice = random.Random(seed)
    people = [
        await make_customer(
            api, name="Ann Lee", email=f"r{n}@{seed}.com", phone=f"+4915100000{n % 7:02}", tags=[f"t{n % 9}"]
        )
        for n in range(merges)
    ]
    for n in range(merges // 2):
        await make_order(api, dice.choice(people), total=f"{n + 1}.00")
    before = await owner.fetchval(DEADLOCKS)
    turns = iter(range(merges))
    statuses: list[int] = []

    async def worker() -> None:
        for _ in turns:
            # Among neighbours, so that many want the same ones.
            first = dice.randrange(len(people) - 30)
            answer = await api.post(
                "/api/customers/merge", json=body(*dice.sample(people[first : first + 30], dice.randint(2, 5)))
            )
            assert answer.status_code == 200 or "mergedIntoId" in answer.json(), answer.text
            statuses.append(answer.status_code)

    await asyncio.gather(*(worker() for _ in range(16)))
    assert await owner.fetchval(DEADLOCKS) == before
    assert len(statuses) == merges
    assert await owner.fetch(STRAY, shop.id) == []
    await settle(db, shop)
    assert await differences(db, shop) == []
    return statuses.count(200)


async def test_a_hundred_merges_at_random_never_wait_for_each_other_in_a_circle(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    assert await _at_random(api, db, owner, shop, 1, 100) >= 15


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_thousand_merges_at_random_never_wait_for_each_other_in_a_circle(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    assert await _at_random(api, db, owner, shop, 2, 1000) >= 200


async def test_who_looks_at_a_merge_that_is_under_way_is_told_so_at_once_and_hinders_nobody_else_who_looks(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann, twin = await make_customer(api, name="Ann Lee"), await make_customer(api, name="Ann L")
    asked = {"primaryId": ann["id"], "duplicateIds": [twin["id"]], "dryRun": True}
    both = [UUID(ann["id"]), UUID(twin["id"])]
    async with db.tx(shop.id) as tx:
        await absorbing.take_turn(tx, both)
        async with asyncio.timeout(2):
            found = told(await api.post("/api/customers/merge", json=asked))
        assert [one["code"] for one in found["blockers"]] == ["merge_running"]
    async with db.tx(shop.id) as tx:
        assert await absorbing.is_turn(tx, both)
        assert told(await api.post("/api/customers/merge", json=asked))["blockers"] == []


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_thousand_merges_with_orders_edits_and_undos_among_them_lose_nothing(
    db: Database, owner: "Connection"
) -> None:
    for seed in range(10):
        # Each in a shop of its own: what is counted in the end is that storm's.
        workspace = await make_workspace(db)
        async with client(db, workspace.key) as api:
            counts = await _storm(api, db, owner, workspace, 100 + seed, 100)
        assert counts["merged"] > 20


ORDERS: Final = """
    insert into data."order" (workspace_id, id, source, external_id, customer_id, status, currency, total, exchange_rate, placed_at)
    select $1, gen_random_uuid(), 'API', 'many' || i, $2, 'delivered', 'USD', 10, 1, now() - i * interval '1 minute'
      from generate_series(1, 10000) i"""
DECISIONS: Final = """
    insert into data.order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select o.workspace_id, o.id, gen_random_uuid(), o.customer_id, 'customer_id', '{}' from data."order" o where o.workspace_id = $1"""


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_somebody_with_ten_thousand_orders_is_merged_within_two_seconds_and_back(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    ann, twin = await make_customer(api, name="Ann"), await make_customer(api, name="Twin")
    await owner.execute(ORDERS, shop.id, UUID(twin["id"]))
    await owner.execute(DECISIONS, shop.id)
    began = time.perf_counter()
    done = await merge(api, ann, twin)
    assert done["moved"]["orders"] == 10_000
    took = time.perf_counter() - began
    began = time.perf_counter()
    undone = await undo(api, done)
    assert undone["merge"]["putBack"]["orders"] == 10_000
    back = time.perf_counter() - began
    print(f"merged in {took:.2f} s, undone in {back:.2f} s")
    assert took < 2
    assert back < 4
    assert (await make_order(api, twin))["customerId"] == twin["id"]
    assert ids.new() > UUID(done["mergeId"])
    await settle(db, shop)
    assert await differences(db, shop) == []
