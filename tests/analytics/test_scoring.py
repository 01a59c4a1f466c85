"""Recency, frequency and monetary value: equal customers score alike, and who is in another group is told of."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supover import wiring
from supover.analytics import jobs, rules, scoring
from supover.kit import clock
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from supover.kit.worker import Worker
from supover.orders import commands as orders
from tests.analytics.arrange import at, buy, score, scores
from tests.conftest import clone
from tests.makers import Workspace, logged, make_customer, make_order, make_workspace, settle, told
from tests.orders.arrange import an_order
from tests.segments import arrange as segments

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)

# --- groups --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recency", "by_fm"),
    [
        (5, "NEW PROMISING PROMISING ACTIVE ACTIVE ACTIVE CHAMPIONS CHAMPIONS CHAMPIONS"),
        (4, "PROMISING PROMISING PROMISING ACTIVE ACTIVE ACTIVE LOYAL LOYAL LOYAL"),
        (3, "ALMOST_LOST ALMOST_LOST ALMOST_LOST NEEDS_ATTENTION NEEDS_ATTENTION NEEDS_ATTENTION LOYAL LOYAL LOYAL"),
        (2, "ALMOST_LOST ALMOST_LOST ALMOST_LOST AT_RISK AT_RISK AT_RISK AT_RISK AT_RISK AT_RISK"),
        (1, "DORMANT DORMANT DORMANT DORMANT DORMANT DORMANT PREVIOUSLY_LOYAL PREVIOUSLY_LOYAL PREVIOUSLY_LOYAL"),
    ],
)
def test_a_group_follows_from_recency_and_the_mean_of_the_others(recency: int, by_fm: str) -> None:
    """FM from 1 to 5 by halves."""
    found = [rules.group(recency, min(both - 1, 5), both - min(both - 1, 5)) for both in range(2, 11)]
    assert found == by_fm.split()
    assert list(rules.TABLE[9 * (recency - 1) : 9 * recency]) == found


def test_every_pair_of_scores_has_one_group_and_every_group_words() -> None:
    assert {*rules.TABLE, rules.PROSPECTS} == set(rules.GROUPS)
    for r, f, m in ((r, f, m) for r in rules.SCORES for f in rules.SCORES for m in rules.SCORES):
        assert rules.TABLE[9 * r + f + m - 10 - 1] == rules.group(r, f, m)


# --- scores --------------------------------------------------------------------------------------------------------------

METRICS = """
    insert into customer_metrics (workspace_id, customer_id, order_count, total_spent, last_order_at)
    select $1, x.id, x.orders, x.spent, x.last
      from unnest($2::uuid[], $3::integer[], $4::numeric[], $5::timestamptz[]) as x (id, orders, spent, last)"""
CUSTOMERS = """
    insert into customer (workspace_id, id, name, source)
    select $1, x.id, x.id::text, 'MANUAL' from unnest($2::uuid[]) as x (id)"""
STORED = """
    select k.customer_id, k.recency, k.frequency, k.monetary
      from customer_rfm k where k.workspace_id = $1"""


def fifth(values: Sequence[Any], value: Any) -> int:
    """ceil(5 x cume_dist), counted one by one."""
    return -(-5 * sum(other <= value for other in values) // len(values))


Bought = tuple[int, int, int]


@settings(max_examples=40)
@given(
    bought=st.lists(
        st.tuples(st.integers(1, 4), st.integers(-50, 300), st.integers(0, 9)),
        min_size=1,
        max_size=40,
    )
)
async def test_equal_customers_score_alike_and_better_ones_no_less(db: Database, bought: list[Bought]) -> None:
    """Orders, money and days; few of each, so that there are ties."""
    shop = await make_workspace(db)
    ids = [UUID(int=n + 1, version=4) for n in range(len(bought))]
    counts = [count for count, _, _ in bought]
    spent = [Decimal(money) for _, money, _ in bought]
    days = [day for _, _, day in bought]
    async with db.tx(shop.id) as tx:
        await tx.run(CUSTOMERS, ids)
        await tx.run(METRICS, ids, counts, spent, [NOON + DAY * day for day in days])
    assert await scoring.run(db, shop.id) == len(bought)
    async with db.reader(shop.id) as reader:
        found = {row[0]: tuple(row[1:]) for row in await reader.rows(STORED)}
    assert found == {
        id: (fifth(days, day), fifth(counts, count), fifth(spent, money))
        for id, count, money, day in zip(ids, counts, spent, days, strict=True)
    }
    # The cuts say the same of each, one by one.
    async with db.tx(shop.id) as tx:
        await tx.run("update customer_rfm set recency = 1, frequency = 1, monetary = 1 where workspace_id = $1")
        await scoring.some(tx, ids)
        assert {row[0]: tuple(row[1:]) for row in await tx.rows(STORED)} == found


async def test_ten_customers_fall_into_fifths(db: Database, shop: Workspace) -> None:
    for n in range(10):
        await buy(db, shop, f"n{n}", [NOON - DAY * k * (10 - n) for k in range(1, n + 2)], Decimal(n + 1))
    assert await score(db, shop) == 10
    found = await scores(db, shop)
    assert [found[f"n{n}"] for n in range(10)] == [
        (1, 1, 1, "DORMANT"), (1, 1, 1, "DORMANT"), (2, 2, 2, "ALMOST_LOST"), (2, 2, 2, "ALMOST_LOST"),
        (3, 3, 3, "NEEDS_ATTENTION"), (3, 3, 3, "NEEDS_ATTENTION"), (4, 4, 4, "LOYAL"), (4, 4, 4, "LOYAL"),
        (5, 5, 5, "CHAMPIONS"), (5, 5, 5, "CHAMPIONS"),
    ]  # fmt: skip
    assert await score(db, shop) == 0, "again it changes nothing"


async def test_where_everybody_ordered_once_they_are_alike(db: Database, shop: Workspace) -> None:
    for n in range(5):
        await buy(db, shop, f"n{n}", [NOON], "10.00")
    await score(db, shop)
    assert set((await scores(db, shop)).values()) == {(5, 5, 5, "CHAMPIONS")}


async def test_one_customer_is_the_best_and_nobody_is_nothing(db: Database, shop: Workspace) -> None:
    assert await score(db, shop) == 0
    assert await scores(db, shop) == {}
    await buy(db, shop, "one", [NOON])
    await score(db, shop)
    assert await scores(db, shop) == {"one": (5, 5, 5, "CHAMPIONS")}


async def test_orders_in_another_currency_count_by_the_rate_and_those_without_one_do_not(
    db: Database, shop: Workspace, api: httpx.AsyncClient
) -> None:
    rate = {"currency": "EUR", "date": "2026-10-15", "rate": "2"}
    told(await api.put("/api/rates", json={"rates": [rate]}))
    await buy(db, shop, "dollars", [NOON], "15.00")
    await buy(db, shop, "euros", [NOON], "10.00", currency="EUR")
    await buy(db, shop, "yen", [NOON], "99999", currency="JPY")
    await score(db, shop)
    assert await scores(db, shop) == {"dollars": (5, 5, 3, "CHAMPIONS"), "euros": (5, 5, 5, "CHAMPIONS")}


# --- as things happen ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def five(db: Database, shop: Workspace) -> list[UUID]:
    """Five customers, each better than the one before: a fifth is one of them."""
    found = [
        await buy(db, shop, f"n{n}", [NOON - DAY * (10 - n) - timedelta(hours=k) for k in range(n + 1)], "10.00")
        for n in range(5)
    ]
    await score(db, shop)
    return found


async def test_who_orders_is_scored_at_once_by_the_cuts(db: Database, shop: Workspace, five: list[UUID]) -> None:
    assert (await scores(db, shop))["n0"] == (1, 1, 1, "DORMANT")
    await buy(db, shop, "n0", [NOON], "100.00")
    await settle(db, shop)
    assert (await scores(db, shop))["n0"] == (5, 2, 5, "ACTIVE")
    assert (await scores(db, shop))["n4"] == (5, 5, 5, "CHAMPIONS"), "the others wait for the look at everybody"
    [event] = await logged(db, shop, "RfmGroupChanged")
    assert event == {"former": "DORMANT", "group": "ACTIVE"}
    await buy(db, shop, "new", [NOON], "1.00")
    await settle(db, shop)
    assert (await scores(db, shop))["new"] == (5, 1, 1, "NEW")
    assert len(await logged(db, shop, "RfmGroupChanged")) == 1, "who had no group before is not told of"


async def test_who_has_no_order_that_counts_any_more_is_a_prospect(
    db: Database, shop: Workspace, api: httpx.AsyncClient, five: list[UUID]
) -> None:
    [order] = told(await api.get(f"/api/customers/{five[0]}/orders"))["data"]
    told(await api.post(f"/api/orders/{order['id']}/cancel", json={}))
    await settle(db, shop)
    assert "n0" not in await scores(db, shop)
    assert await logged(db, shop, "RfmGroupChanged") == [{"former": "DORMANT", "group": "PROSPECTS"}]
    assert told(await api.get(f"/api/customers/{five[0]}"))["rfmGroup"] == "PROSPECTS"


async def test_who_is_deleted_has_no_scores_and_is_back_when_restored(
    db: Database, shop: Workspace, api: httpx.AsyncClient, five: list[UUID]
) -> None:
    told(await api.delete(f"/api/customers/{five[4]}"), 204)
    assert "n4" not in await scores(db, shop)
    await scoring.run(db, shop.id)
    assert (await scores(db, shop))["n3"] == (5, 5, 5, "CHAMPIONS")
    deleted = told(await api.get(f"/api/customers/{five[4]}", params={"include": "deleted"}))
    assert deleted["rfmGroup"] is None
    told(await api.post(f"/api/customers/{five[4]}/restore"))
    await scoring.run(db, shop.id)
    assert (await scores(db, shop))["n4"] == (5, 5, 5, "CHAMPIONS")
    changed = await logged(db, shop, "RfmGroupChanged")
    assert [event for event in changed if event["group"] == "PROSPECTS"] == []


async def test_the_survivor_of_a_merge_is_scored_by_all_orders(
    db: Database, shop: Workspace, api: httpx.AsyncClient, five: list[UUID]
) -> None:
    both = {"primaryId": str(five[0]), "duplicateIds": [str(five[4])]}
    merge = told(await api.post("/api/customers/merge", json=both))
    await score(db, shop)
    assert (await scores(db, shop))["n0"] == (5, 5, 5, "CHAMPIONS")
    assert set(await scores(db, shop)) == {"n0", "n1", "n2", "n3"}
    told(await api.post(f"/api/merges/{merge['mergeId']}/undo"))
    await score(db, shop)
    assert (await scores(db, shop))["n0"] == (1, 1, 1, "DORMANT")
    assert (await scores(db, shop))["n4"] == (5, 5, 5, "CHAMPIONS")


async def test_history_is_told_as_history(db: Database, shop: Workspace, five: list[UUID]) -> None:
    async with db.tx(shop.id, origin="import") as tx:
        await orders.take_in(tx, [an_order("old", "500.00", email="n0@mail.example", placed_at=NOON)])
    await settle(db, shop)
    async with db.reader(shop.id) as reader:
        said = await reader.rows(
            "select origin, data from event_log where workspace_id = $1 and kind = 'RfmGroupChanged'"
        )
        kinds = await reader.column(
            "select args ->> 'origin' from job where workspace_id = $1 and kind = 'analytics.score'"
        )
    assert [tuple(row) for row in said] == [("import", {"former": "DORMANT", "group": "ACTIVE"})]
    assert set(kinds) == {"live", "import"}


async def test_a_worker_leaves_nobody_with_a_score_of_before() -> None:
    """What `supover worker --drain` leaves is exact."""
    wiring.load()
    async with clone() as url:
        db = await Database.open(url)
        shop = await make_workspace(db)
        for n in range(12):
            await buy(db, shop, f"n{n}", [NOON - DAY * (n + 20 * k) for k in range(1 + n % 4)], Decimal(n))
        await Worker(db, kinds=["analytics.score"], names=["analytics.refresh"], poll_s=0.02).drain()
        found = await scores(db, shop)
        await db.close()
    assert {name: (r, f, m) for name, (r, f, m, _) in found.items()} == {
        f"n{n}": (
            fifth([-k for k in range(12)], -n),
            fifth([1 + k % 4 for k in range(12)], 1 + n % 4),
            fifth([k * (1 + k % 4) for k in range(12)], n * (1 + n % 4)),
        )
        for n in range(12)
    }


# --- when everybody is scored --------------------------------------------------------------------------------------------

QUEUED = """
    select singleton, run_at from job
     where workspace_id = $1 and kind = 'analytics.score' and state = 'queued' order by singleton"""


async def test_a_large_shop_is_scored_every_ten_minutes_or_when_much_was_recounted(
    db: Database, shop: Workspace, five: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    await scoring.run(db, shop.id)
    monkeypatch.setattr(scoring, "FEW", 3)

    async def queued(**how: bool) -> list[tuple[str, datetime]]:
        async with db.tx(shop.id) as tx:
            await tx.run("delete from job where workspace_id = $1")
            await scoring.soon(tx, **how)
            return [tuple(row) for row in await tx.rows(QUEUED)]

    async with db.reader(shop.id) as reader:
        scored_at: datetime = await reader.value("select scored_at from rfm_run where workspace_id = $1")
    assert await queued() == [("live/later", scored_at + scoring.EVERY)]
    assert await queued(many=True) == [("live/later", scored_at + scoring.EVERY)], "nobody was recounted since"
    await buy(db, shop, "n0", [NOON])
    await settle(db, shop)
    [(singleton, run_at)] = await queued(many=True)
    assert (singleton, run_at <= clock.now()) == ("live", True), "a fifth was"
    at(monkeypatch, scored_at + scoring.EVERY)
    [(singleton, _)] = await queued()
    assert singleton == "live"


async def test_every_night_everybody_is_scored_everywhere() -> None:
    wiring.load()
    async with clone() as url:
        db = await Database.open(url)
        shop = await make_workspace(db)
        ran = "select count(*) from rfm_run where workspace_id = $1"
        async with db.reader(shop.id) as reader:
            assert await reader.value(ran) == 0
        await jobs.score_nightly(JobContext(db, None, UUID(int=1), "analytics.score_nightly", "test"))
        await Worker(db, kinds=["analytics.score"], names=["analytics.refresh"], poll_s=0.02).drain()
        async with db.reader(shop.id) as reader:
            assert await reader.value(ran) == 1
        await db.close()


# --- months --------------------------------------------------------------------------------------------------------------

FORMER = """
    select c.name, k.rfm_group, k.former_group
      from customer_rfm k join customer c on c.workspace_id = $1 and c.id = k.customer_id
     where k.workspace_id = $1"""
MONTHS = "select month::text, rfm_group, customers, revenue::text from rfm_month where workspace_id = $1 order by month, rfm_group"


async def test_at_the_first_look_in_a_month_the_groups_of_before_are_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await make_workspace(db, timezone="America/New_York")
    at(monkeypatch, datetime(2026, 10, 20, tzinfo=UTC))
    for n in range(5):
        await buy(db, shop, f"n{n}", [NOON - DAY * (10 - n) - timedelta(hours=k) for k in range(n + 1)], "10.00")
    async with db.tx(shop.id) as tx:
        await tx.run(
            "insert into customer (workspace_id, id, name, source) values ($1, $2, 'x', 'MANUAL')", UUID(int=7)
        )
    await score(db, shop)
    # In New York it is October still.
    at(monkeypatch, datetime(2026, 11, 1, 3, 59, tzinfo=UTC))
    await buy(db, shop, "n0", [NOON], "100.00")
    await score(db, shop)
    async with db.reader(shop.id) as reader:
        assert {row[0]: tuple(row[1:]) for row in await reader.rows(FORMER)}["n0"] == ("ACTIVE", None)
        assert await reader.rows(MONTHS) == []
    before = await scores(db, shop)
    at(monkeypatch, datetime(2026, 11, 1, 4, 1, tzinfo=UTC))
    await buy(db, shop, "n1", [NOON + DAY], "100.00")
    await buy(db, shop, "new", [NOON + DAY], "1.00")
    await settle(db, shop)
    assert await scores(db, shop) == before, "nobody is scored before the groups are kept"
    await scoring.run(db, shop.id)
    async with db.reader(shop.id) as reader:
        found = {row[0]: tuple(row[1:]) for row in await reader.rows(FORMER)}
        months = [tuple(row) for row in await reader.rows(MONTHS)]
    assert found["n0"] == ("ACTIVE", "ACTIVE")
    assert found["n1"][1] == "DORMANT" != found["n1"][0]
    assert found["new"][1] is None
    assert [row[0] for row in months] == ["2026-10-01"] * len(months)
    assert {row[1]: row[2] for row in months}["PROSPECTS"] == 1
    assert sum(row[2] for row in months) == 6
    await scoring.run(db, shop.id)
    async with db.reader(shop.id) as reader:
        assert [tuple(row) for row in await reader.rows(MONTHS)] == months, "once a month"


# --- segments and lists --------------------------------------------------------------------------------------------------


async def test_a_segment_by_group_follows(
    db: Database, shop: Workspace, api: httpx.AsyncClient, five: list[UUID]
) -> None:
    dormant = await segments.segment(api, "Asleep", "rfm_group = 'DORMANT'")
    nobody = await segments.segment(api, "Prospects", "rfm_group = 'PROSPECTS'")
    best = await segments.segment(api, "Best", "rfm_recency = 5 AND rfm_monetary >= 5")
    other = await make_customer(api)
    await segments.settle(db, shop)
    assert await segments.members(api, dormant["id"]) == {str(five[0])}
    assert await segments.members(api, nobody["id"]) == {other["id"]}
    assert await segments.members(api, best["id"]) == {str(five[4])}
    await buy(db, shop, "n0", [NOON], "100.00")
    await make_order(api, other)
    await segments.settle(db, shop)
    assert await segments.members(api, dormant["id"]) == set()
    assert await segments.members(api, nobody["id"]) == set()
    assert await segments.members(api, best["id"]) == {str(five[0]), str(five[4])}
    await scoring.run(db, shop.id)
    await segments.settle(db, shop)
    assert await segments.members(api, best["id"]) == {str(five[0])}
    assert await segments.differences(db, shop) == []


async def test_when_most_are_scored_otherwise_segments_are_rebuilt_in_silence(
    db: Database, shop: Workspace, api: httpx.AsyncClient, five: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = await segments.segment(api, "Best", "rfm_group = 'CHAMPIONS'")
    await segments.settle(db, shop)
    async with db.tx(shop.id) as tx:
        await tx.run("update customer_rfm set rfm_group = 'NEW' where workspace_id = $1")
        monkeypatch.setattr(scoring, "AT_ONCE", 2)
        await scoring.everybody(tx)
    await segments.settle(db, shop)
    assert await segments.members(api, best["id"]) == {str(five[4])}
    assert (await segments.moves(db, shop))[-1][0] == "SegmentRebuilt"


async def test_a_customer_shows_the_group(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    bob = await make_customer(api, name="Bob")
    assert ann["rfmGroup"] is None
    await make_order(api, ann)
    await score(db, shop)
    listed = told(await api.get("/api/customers", params={"sort": "name"}))["data"]
    assert [(c["name"], c["rfmGroup"]) for c in listed] == [("Ann", "CHAMPIONS"), ("Bob", "PROSPECTS")]
    assert told(await api.get(f"/api/customers/{bob['id']}"))["rfmGroup"] == "PROSPECTS"
    found = told(await api.get("/api/customers", params={"filter": "rfm_group IN ('CHAMPIONS', 'LOYAL')"}))["data"]
    assert [c["name"] for c in found] == ["Ann"]
