"""Who is in a segment is who fits it, whatever happened in whatever order; and each is told once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import clock
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from supover.segments import commands, counting, jobs, marks, membership
from tests.makers import Workspace, client, make_customer, make_order, make_workspace, told
from tests.segments.arrange import (
    at,
    differences,
    evaluate,
    found,
    look_again,
    members,
    moves,
    named,
    segment,
    settle,
)

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

# --- as things happen ------------------------------------------------------------------------------------------------


async def test_a_customer_enters_and_leaves_as_things_happen(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    spenders = await segment(api, "Spenders", "amount_spent >= 20")
    ann, bob = await make_customer(api, name="Ann"), await make_customer(api, name="Bob")
    await settle(db, shop)
    assert await members(api, spenders["id"]) == set()
    order = await make_order(api, ann, total="25.00")
    await make_order(api, bob, total="15.00")
    await settle(db, shop)
    assert await members(api, spenders["id"]) == {ann["id"]}
    now = await found(api, spenders["id"])
    assert (now["members"], now["complete"], now["refreshing"], now["error"]) == (1, True, False, None)
    told(await api.post(f"/api/orders/{order['id']}/cancel", json={}))
    await settle(db, shop)
    assert await members(api, spenders["id"]) == set()
    mine = [one for one in await moves(db, shop) if str(one[2]) == spenders["id"]]
    assert [(kind, customer and str(customer)) for kind, customer, *_ in mine] == [
        ("SegmentRebuilt", None),
        ("SegmentEntered", ann["id"]),
        ("SegmentLeft", ann["id"]),
    ]


FILTERS: Final = (
    "amount_spent > 15",
    "number_of_orders >= 2 AND customer_tags CONTAINS 'a'",
    "customer_tags CONTAINS 'b' OR status = 'BLOCKED'",
    "NOT (status = 'VIP')",
    "customer_countries CONTAINS 'DE'",
    "orders_placed MATCHES (count >= 2)",
    "customer_email IS NOT NULL AND number_of_orders = 0",
)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["create", "order", "cancel", "tag", "untag", "delete", "restore", "block", "unblock", "vip", "address",
             "email", "pick", "unpick", "figures", "look", "evaluate", "rename"]
        ),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=25,
)  # fmt: skip


class Walk:
    """Does one thing after the other in a shop, through the API."""

    def __init__(self, db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
        self.db, self.shop, self.api = db, shop, api
        self.customers: list[str] = []
        self.orders: list[str] = []
        self.segments: list[str] = []
        self.group = ""

    async def begin(self) -> None:
        self.segments = [(await segment(self.api, text, text))["id"] for text in FILTERS]
        self.group = (await segment(self.api, "A group", None))["id"]
        self.customers = [(await make_customer(self.api, name=f"Customer {n}"))["id"] for n in range(3)]

    async def step(self, what: str, n: int) -> None:
        who = self.customers[n % len(self.customers)]
        path = f"/api/customers/{who}"
        match what:
            case "create":
                self.customers.append((await make_customer(self.api, name=f"Other {len(self.customers)}"))["id"])
            case "order":
                order = {"total": "10.00", "status": "confirmed", "customerId": who}
                answer = await self.api.post("/api/orders", json=order)
                if answer.status_code == 201:
                    self.orders.append(answer.json()["id"])
            case "cancel" if self.orders:
                await self.api.post(f"/api/orders/{self.orders[n % len(self.orders)]}/cancel", json={})
            case "tag":
                await self.api.post(f"{path}/tags", json={"tags": ["ab"[n % 2]]})
            case "untag":
                await self.api.delete(f"{path}/tags/{'ab'[n % 2]}")
            case "delete":
                await self.api.delete(path)
            case "restore" | "block" | "unblock":
                await self.api.post(f"{path}/{what}")
            case "vip":
                await self.api.patch(path, json={"status": "VIP" if n else "ACTIVE"})
            case "address":
                place = {"line1": "Torstr. 1", "city": "Berlin", "postalCode": "10119", "country": "DE"}
                await self.api.post(f"{path}/addresses", json=place)
            case "email":
                await self.api.patch(path, json={"email": f"{n}@mail.example" if n else None})
            case "pick":
                told(await self.api.post(f"/api/segments/{self.group}/customers", json={"ids": [who]}))
            case "unpick":
                await self.api.delete(f"/api/segments/{self.group}/customers/{who}")
            case "figures":
                await settle(self.db, self.shop)
            case "look":
                await look_again(self.db, self.shop)
            case "evaluate":
                await evaluate(self.db, self.shop)
            case "rename":
                text = FILTERS[(n + 1) % len(FILTERS)]
                told(await self.api.patch(f"/api/segments/{self.segments[n]}", json={"filter": text}))
            case _:
                pass


@given(steps=STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_customer_by_customer_is_as_everybody_at_once(steps: list[tuple[str, int]], db: Database) -> None:
    shop = await make_workspace(db)
    async with client(db, shop.key) as api:
        walk = Walk(db, shop, api)
        await walk.begin()
        for what, n in steps:
            await walk.step(what, n)
        await settle(db, shop)
        assert await differences(db, shop) == []
        before = {id: await members(api, id) for id in [*walk.segments, walk.group]}
        for id in before:
            told(await api.post(f"/api/segments/{id}/refresh"), 202)
        count = len(await moves(db, shop))
        await settle(db, shop)
        assert {id: await members(api, id) for id in before} == before
        assert len(await moves(db, shop)) == count
    inside: dict[tuple[UUID | None, UUID], str] = {}
    for kind, customer, id, _ in await moves(db, shop):
        if kind == "SegmentRebuilt":
            # Nobody is told to enter or leave by it: what was told before says nothing any more.
            inside = {key: last for key, last in inside.items() if key[1] != id}
        else:
            assert inside.get((customer, id)) != kind, "told twice"
            inside[customer, id] = kind
    for (customer, id), last in inside.items():
        if str(id) in before:
            assert (str(customer) in before[str(id)]) is (last == "SegmentEntered")


async def test_deleted_customers_leave_and_come_back_when_restored(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    group, all_ = await segment(api, "Panel", None), await segment(api, "All", "number_of_orders >= 0")
    ann = await make_customer(api, name="Ann")
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [ann["id"]]}))
    await settle(db, shop)
    for is_there in (True, False, True):
        for id in (group["id"], all_["id"]):
            assert (await members(api, id) == {ann["id"]}) is is_there
            assert (await found(api, id))["members"] == int(is_there)
        if is_there:
            assert (await api.delete(f"/api/customers/{ann['id']}")).status_code == 204
        else:
            told(await api.post(f"/api/customers/{ann['id']}/restore"))
        await settle(db, shop)


# --- figures ---------------------------------------------------------------------------------------------------------


async def test_a_first_order_and_its_figures_are_one_thing(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    never, buyers = await named(api, "Never ordered"), await segment(api, "Buyers", "number_of_orders >= 1")
    await settle(db, shop)
    made = await make_order(api, email="ann@mail.example")
    ann = UUID(made["customerId"])
    # The mark stands until the figures are counted, nobody is called for it meanwhile, and it says so.
    assert await look_again(db, shop) == 0
    async with db.across() as con:
        assert shop.id not in {row[0] for row in await con.fetch(jobs.WITH_STALE)}
    waiting = await found(api, never["id"])
    assert waiting["asOf"] < clock.now().isoformat()
    # Nor are they looked at with everybody else.
    for one in (never, buyers):
        told(await api.post(f"/api/segments/{one['id']}/refresh"), 202)
    while await evaluate(db, shop):
        pass
    assert [one for one in await moves(db, shop) if one[1] == ann] == []
    await settle(db, shop)
    mine = [one for one in await moves(db, shop) if one[1] == ann]
    assert ("SegmentEntered", ann, UUID(buyers["id"]), "live") in mine
    assert [one for one in mine if str(one[2]) == never["id"]] == []
    assert len(mine) == len({one[2] for one in mine})
    assert (await found(api, never["id"]))["asOf"] > waiting["asOf"]
    assert await differences(db, shop) == []


async def test_who_orders_all_the_time_is_looked_at_too(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    ann = await make_customer(api, name="Ann")
    await make_order(api, ann)
    assert await look_again(db, shop) == 0
    # The order came long after the customer's mark was made: only what was marked by then is in.
    await owner.execute(
        "update data.customer_stale set marked_at = marked_at + interval '11 seconds' where workspace_id = $1", shop.id
    )
    assert await look_again(db, shop) == 1
    assert {str(one[1]) for one in await moves(db, shop)} == {ann["id"]}
    await settle(db, shop)
    assert await differences(db, shop) == []


# --- everybody at once -----------------------------------------------------------------------------------------------


async def test_until_it_is_evaluated_a_new_filter_shows_the_members_of_before(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann", status="VIP")
    bob = await make_customer(api, name="Bob")
    one = await segment(api, "One", "status = 'VIP'")
    assert (one["complete"], one["refreshing"], one["asOf"], one["members"]) == (False, True, None, 0)
    # Customers are looked at in the meantime, and nobody is half in.
    await look_again(db, shop)
    assert await members(api, one["id"]) == set()
    await settle(db, shop)
    assert await members(api, one["id"]) == {ann["id"]}
    changed = told(await api.patch(f"/api/segments/{one['id']}", json={"filter": "status = 'ACTIVE'"}))
    assert (changed["complete"], changed["members"], changed["version"]) == (False, 1, 2)
    eve = await make_customer(api, name="Eve")
    await look_again(db, shop)
    assert await members(api, one["id"]) == {ann["id"]}
    await settle(db, shop)
    assert await members(api, one["id"]) == {bob["id"], eve["id"]}
    assert {kind for kind, _, id, _ in await moves(db, shop) if str(id) == one["id"]} == {"SegmentRebuilt"}


async def test_a_half_built_segment_is_never_complete(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    for n in range(3):
        await make_customer(api, name=f"Customer {n}")
    one = await segment(api, "All", "number_of_orders = 0")
    async with db.tx(shop.id) as tx:
        assert await membership.evaluate_next(tx)
        meanwhile = await found(api, one["id"])
        assert (meanwhile["complete"], meanwhile["members"]) == (False, 0)
        assert await members(api, one["id"]) == set()
    done = await found(api, one["id"])
    assert (done["complete"], done["members"]) == (True, 3)
    assert len(await members(api, one["id"])) == 3


async def test_an_evaluation_that_was_overtaken_leaves_nothing(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    await make_customer(api, name="Ann")
    one = await segment(api, "One", "number_of_orders = 0")

    async def overtaken(by: Any) -> None:
        with pytest.raises(membership.Overtaken):
            async with db.tx(shop.id) as tx:
                await membership.evaluate_next(_Interrupted(tx, by))  # pyright: ignore[reportArgumentType]

    async def other_filter() -> None:
        told(await api.patch(f"/api/segments/{one['id']}", json={"filter": "number_of_orders > 0"}))

    await overtaken(other_filter)
    now = await found(api, one["id"])
    assert (now["complete"], now["refreshing"], now["members"]) == (False, True, 0)

    async def gone() -> None:
        assert (await api.delete(f"/api/segments/{one['id']}")).status_code == 204

    await overtaken(gone)
    async with db.reader(shop.id) as reader:
        count = "select count(*) from segment_member where workspace_id = $1 and segment_id = $2"
        assert await reader.value(count, UUID(one["id"])) == 0
    assert not await evaluate(db, shop)


async def test_a_wish_that_comes_while_a_filter_fails_is_kept(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    one = await segment(api, "One", "number_of_orders = 0")
    await settle(db, shop)
    break_it = "update data.segment set filter = 'custom.shoe > 40' where id = $1"
    await owner.execute(break_it, UUID(one["id"]))
    told(await api.post(f"/api/segments/{one['id']}/refresh"), 202)

    async def mended() -> None:
        told(await api.post("/api/custom-fields", json={"key": "shoe", "label": "Shoe", "type": "number"}), 201)

    async with db.tx(shop.id) as tx:
        assert await membership.evaluate_next(_Interrupted(tx, mended))  # pyright: ignore[reportArgumentType]
    failed = await found(api, one["id"])
    assert (failed["complete"], failed["refreshing"]) == (False, True)
    await settle(db, shop)
    now = await found(api, one["id"])
    assert (now["complete"], now["refreshing"], now["error"]) == (True, False, None)


class _Interrupted:
    """A transaction in which somebody else commits something before an evaluation says how it went."""

    def __init__(self, tx: Any, by: Any) -> None:
        self._tx = tx
        self._by = by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def run(self, sql: str, *args: object) -> int:
        if sql in (membership.EVALUATED, membership.FAILED):
            await self._by()
        return await self._tx.run(sql, *args)


async def test_a_filter_that_cannot_be_evaluated_is_said_so_and_stops_no_other(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    ann = await make_customer(api, name="Ann")
    broken, sound = (
        await segment(api, "Broken", "number_of_orders = 0"),
        await segment(api, "Sound", "status = 'ACTIVE'"),
    )
    await settle(db, shop)
    await owner.execute("update data.segment set filter = 'shoe_size > 40' where id = $1", UUID(broken["id"]))
    bob = await make_customer(api, name="Bob")
    await settle(db, shop)
    assert await members(api, sound["id"]) == {ann["id"], bob["id"]}
    now = await found(api, broken["id"])
    assert (now["complete"], now["members"], now["filterDescription"]) == (False, 1, None)
    assert "shoe_size is not a field" in now["error"]
    assert await members(api, broken["id"]) == {ann["id"]}
    # Everybody at once says the same, and goes on with the next.
    for one in (broken, sound):
        told(await api.post(f"/api/segments/{one['id']}/refresh"), 202)
    await settle(db, shop)
    assert (await found(api, broken["id"]))["refreshing"] is False
    told(await api.patch(f"/api/segments/{broken['id']}", json={"filter": "number_of_orders = 0"}))
    await settle(db, shop)
    now = await found(api, broken["id"])
    assert (now["complete"], now["error"], now["members"]) == (True, None, 2)


async def test_a_custom_field_that_is_gone_stops_its_segments_until_it_is_back(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    size = {"key": "shoe", "label": "Shoe size", "type": "number"}
    field = told(await api.post("/api/custom-fields", json=size), 201)
    ann = await make_customer(api, name="Ann", customFields={"shoe": 42})
    one = await segment(api, "Big feet", "custom.shoe > 40")
    await settle(db, shop)
    assert await members(api, one["id"]) == {ann["id"]}
    assert (await api.delete(f"/api/custom-fields/{field['id']}")).status_code == 204
    await settle(db, shop)
    now = await found(api, one["id"])
    assert (now["complete"], now["members"]) == (False, 1)
    assert "custom.shoe is not a field" in now["error"]
    told(await api.post("/api/custom-fields", json=size), 201)
    await settle(db, shop)
    assert (await found(api, one["id"]))["complete"] is True
    assert await differences(db, shop) == []


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_two_workers_at_once_tell_each_move_once(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    one = await segment(api, "VIPs of ours", "status = 'VIP'")
    customers = [await make_customer(api, name=f"Customer {n}") for n in range(12)]
    await settle(db, shop)

    async def work() -> None:
        for _ in range(40):
            await look_again(db, shop)
            await evaluate(db, shop)

    async def change() -> None:
        for n, customer in enumerate(customers):
            told(await api.patch(f"/api/customers/{customer['id']}", json={"status": "VIP"}))
            if n % 3 == 0:
                told(await api.post(f"/api/segments/{one['id']}/refresh"), 202)

    await asyncio.gather(work(), work(), change())
    await settle(db, shop)
    assert await members(api, one["id"]) == {customer["id"] for customer in customers}
    entered = [str(customer) for _, customer, id, _ in await moves(db, shop) if str(id) == one["id"] and customer]
    assert sorted(entered) == sorted(customer["id"] for customer in customers)
    assert await differences(db, shop) == []


async def test_picks_at_once_are_all_counted(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    group = await segment(api, "Panel", None)
    path = f"/api/segments/{group['id']}/customers"
    customers = [(await make_customer(api, name=f"Customer {n}"))["id"] for n in range(24)]
    async with db.tx(shop.id) as tx:
        await commands.pick(tx, UUID(group["id"]), [UUID(customers[0])])
        # Begun before the first is there to be seen, counted after.
        second = asyncio.create_task(api.post(path, json={"ids": customers[1:2]}))
        await asyncio.sleep(0.3)
    told(await second)
    assert (await found(api, group["id"]))["members"] == 2
    for answer in await asyncio.gather(*(api.post(path, json={"ids": [one]}) for one in customers[2:])):
        told(answer)
    assert (await found(api, group["id"]))["members"] == 24
    [today] = told(await api.get(f"/api/segments/{group['id']}/growth"))["data"]
    assert (today["members"], today["entered"], today["left"]) == (24, 24, 0)
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_while_one_looks_another_does_nothing(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann")
    async with db.tx(shop.id) as tx:
        assert await membership.refresh(tx) > 0
        assert await look_again(db, shop) == 0
    assert await look_again(db, shop) == 0


async def test_a_backlog_of_a_fifth_of_all_is_one_look_at_everybody(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = await named(api, "Never ordered")
    monkeypatch.setattr(membership, "BATCH", 2)
    for n in range(5):
        await make_customer(api, name=f"Customer {n}")
    oldest = (await found(api, everybody["id"]))["asOf"]
    assert await look_again(db, shop) == 5
    waiting = await found(api, everybody["id"])
    assert (waiting["complete"], waiting["refreshing"], waiting["members"], waiting["asOf"]) == (True, True, 0, oldest)
    while await evaluate(db, shop):
        pass
    done = await found(api, everybody["id"])
    assert (done["complete"], done["refreshing"], done["members"]) == (True, False, 5)
    assert done["asOf"] > oldest
    assert {kind for kind, *_ in await moves(db, shop)} == {"SegmentRebuilt"}


async def test_what_history_does_is_told_as_history(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    vip, ann = await segment(api, "Mine", "status = 'VIP'"), await make_customer(api, name="Ann", status="VIP")
    bob = await make_customer(api, name="Bob")
    await evaluate(db, shop)
    async with db.tx(shop.id) as tx:
        # As an import leaves it.
        await tx.run("delete from segment_stale where workspace_id = $1")
        await tx.run("update customer set status = 'VIP' where workspace_id = $1 and id = $2", UUID(bob["id"]))
        await marks.mark(tx, [UUID(bob["id"])], "import")
    told(await api.patch(f"/api/customers/{ann['id']}", json={"status": "ACTIVE"}))
    await settle(db, shop)
    assert {(kind, str(customer), origin) for kind, customer, id, origin in await moves(db, shop) if str(id) == vip["id"] and customer} == {
        ("SegmentLeft", ann["id"], "live"),
        ("SegmentEntered", bob["id"], "import"),
    }  # fmt: skip


# --- days pass -------------------------------------------------------------------------------------------------------


async def age(db: Database, shop: Workspace) -> int:
    async with db.across() as con:
        is_due = shop.id in {row[0] for row in await con.fetch(jobs.WITH_AGED, clock.now())}
    async with db.tx(shop.id) as tx:
        wanted = await membership.age(tx)
    assert is_due is (wanted > 0)
    return wanted


async def test_a_new_day_is_seen_by_the_worker(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lapsed = await named(api, "Lapsed")
    at(monkeypatch, clock.now() + timedelta(days=1))
    assert (await found(api, lapsed["id"]))["asOf"] == lapsed["evaluatedAt"]
    context = JobContext(db, None, UUID(int=0), "segments.age", "nobody")
    await jobs.age(context)
    assert (await found(api, lapsed["id"]))["refreshing"] is True
    await settle(db, shop)
    now = await found(api, lapsed["id"])
    assert (now["refreshing"], now["complete"]) == (False, True)
    assert now["asOf"] > lapsed["asOf"]


async def test_days_move_customers_and_growth_has_a_row_a_day(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await make_workspace(db, timezone="Pacific/Auckland")
    async with client(db, shop.key) as api:
        start = clock.now().replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
        at(monkeypatch, start)
        fresh = await segment(api, "Fresh", "first_order_date >= -7d")
        ann = await make_customer(api, name="Ann")
        placed = (start - timedelta(days=2)).isoformat()
        await make_order(api, ann, placed_at=placed)
        await settle(db, shop)
        assert await members(api, fresh["id"]) == {ann["id"]}
        assert await age(db, shop) >= 0
        await settle(db, shop)
        assert await age(db, shop) == 0
        # 09:00 UTC is the evening there: three hours on it is another day.
        at(monkeypatch, start + timedelta(hours=3))
        stale = await found(api, fresh["id"])
        assert stale["asOf"] == stale["evaluatedAt"] < (start + timedelta(hours=3)).isoformat()
        for day in range(1, 8):
            at(monkeypatch, start + timedelta(days=day))
            assert await age(db, shop) > 0
            await settle(db, shop)
        assert await members(api, fresh["id"]) == set()
        days = told(await api.get(f"/api/segments/{fresh['id']}/growth", params={"sort": "day"}))["data"]
        moved = [(0, 0)] * 6 + [(0, 1), (0, 0)]
        assert [(d["entered"], d["left"]) for d in days] == moved
        assert [d["members"] for d in days] == [1] * 6 + [0, 0]
        assert [d["day"] for d in days] == [str((start + timedelta(days=n)).date()) for n in range(8)]
        assert await differences(db, shop) == []


async def test_another_zone_means_other_days(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    one = await named(api, "Lapsed")
    assert one["refreshing"] is False
    told(await api.patch("/api/workspace", json={"timezone": "Asia/Tokyo"}))
    assert (await found(api, one["id"]))["refreshing"] is True
    await settle(db, shop)
    assert (await found(api, one["id"]))["refreshing"] is False


# --- as of -----------------------------------------------------------------------------------------------------------


async def test_as_of_is_the_oldest_thing_that_is_not_in(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    one = await segment(api, "Mine", "number_of_orders = 0")
    await settle(db, shop)
    before = clock.now().isoformat()
    assert (await found(api, one["id"]))["asOf"] >= before[:19]
    ann = await make_customer(api, name="Ann")
    mark = "select min(marked_at) from data.segment_stale where workspace_id = $1"
    marked: datetime = await owner.fetchval(mark, shop.id)
    shown = datetime.fromisoformat((await found(api, one["id"]))["asOf"])
    assert shown == marked
    await settle(db, shop)
    assert datetime.fromisoformat((await found(api, one["id"]))["asOf"]) > marked
    await make_order(api, ann)
    figures = "select min(marked_at) from data.customer_stale where workspace_id = $1"
    assert datetime.fromisoformat((await found(api, one["id"]))["asOf"]) == await owner.fetchval(figures, shop.id)


# --- counting --------------------------------------------------------------------------------------------------------


async def test_a_big_segment_is_counted_every_ten_seconds(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "BIG", 1)
    one = await segment(api, "Mine", "number_of_orders = 0")
    await make_customer(api, name="Ann")
    await settle(db, shop)
    assert (await found(api, one["id"]))["members"] == 1
    await make_customer(api, name="Bob")
    assert await look_again(db, shop) == 1
    assert (await found(api, one["id"]))["members"] == 1
    async with db.across() as con:
        assert shop.id in {row[0] for row in await con.fetch("select workspaces_with_stale_segments()")}
    assert await look_again(db, shop) == 0
    at(monkeypatch, datetime.now(UTC) + timedelta(seconds=11))
    assert await look_again(db, shop) > 0
    assert (await found(api, one["id"]))["members"] == 2
    async with db.across() as con:
        assert shop.id not in {row[0] for row in await con.fetch("select workspaces_with_stale_segments()")}


async def test_a_big_group_is_counted_every_ten_seconds_and_its_days_are_right(
    db: Database, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "BIG", 1)
    evening = (clock.now() + timedelta(days=1)).replace(hour=23, minute=59, second=55, microsecond=0)
    at(monkeypatch, evening)
    group = await segment(api, "Panel", None)
    path = f"/api/segments/{group['id']}"
    ann, bob, eve = [(await make_customer(api, name=name))["id"] for name in ("Ann", "Bob", "Eve")]

    async def picked(who: str) -> int:
        return told(await api.post(f"{path}/customers", json={"ids": [who]}))["segment"]["members"]

    assert await picked(ann) == 1
    at(monkeypatch, evening + timedelta(seconds=2))
    assert await picked(bob) == 1
    assert (await api.delete(f"{path}/customers/{ann}")).status_code == 204
    # What is due to be counted is no difference.
    assert [d for d in await differences(db, shop) if str(d.id) == group["id"]] == []
    at(monkeypatch, evening + timedelta(seconds=6))
    assert await picked(eve) == 1
    at(monkeypatch, evening + timedelta(seconds=12))
    await settle(db, shop)
    assert (await found(api, group["id"]))["members"] == 2
    days = told(await api.get(f"{path}/growth", params={"sort": "day"}))["data"]
    assert [(d["members"], d["entered"], d["left"]) for d in days] == [(1, 2, 1), (2, 1, 0)]
    assert await differences(db, shop) == []


async def test_what_differs_is_named(
    db: Database, shop: Workspace, api: httpx.AsyncClient, owner: "Connection"
) -> None:
    one = await segment(api, "Mine", "number_of_orders = 0")
    ann = await make_customer(api, name="Ann")
    await settle(db, shop)
    assert await differences(db, shop) == []
    await owner.execute("delete from data.segment_member where segment_id = $1", UUID(one["id"]))
    assert [(d.field, d.stored, d.recounted) for d in await differences(db, shop)] == [
        (f"members/{ann['id']}", "out", "in"),
        ("members", 1, 0),
    ]
