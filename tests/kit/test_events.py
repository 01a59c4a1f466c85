import asyncio
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import asyncpg
import pytest

from supover.kit import clock, events, ids
from supover.kit.db import Database, Tx
from supover.kit.events import Event, on, publish
from tests.makers import Workspace, make_workspace

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

THEN = datetime(2025, 5, 5, 5, tzinfo=UTC)
CUSTOMER, ORDER = UUID(int=0xC), UUID(int=0xD)
LOGGED = """
    select kind, at, customer_id, order_id, actor, origin, data from data.event_log where workspace_id = $1 order by id"""


class KettleBoiled(Event, frozen=True):
    """Water is hot."""

    degrees: Decimal
    how_many: int = 1
    note: str | None = None


class TeaMade(Event, frozen=True):
    """Tea is ready."""


class WaterWarmer(Event, frozen=True):
    """A degree more."""

    logged: ClassVar[bool] = False


@pytest.fixture
async def shop(db: Database) -> Workspace:
    return await make_workspace(db)


@pytest.fixture(autouse=True)
def others() -> Generator[None]:
    """The reactions that were there before are there again afterwards."""
    kept = {kind: list(found) for kind, found in events._reactions.items()}  # pyright: ignore[reportPrivateUsage]
    yield
    events._reactions.clear()  # pyright: ignore[reportPrivateUsage]
    events._reactions.update(kept)  # pyright: ignore[reportPrivateUsage]


async def log(owner: "Connection", shop: Workspace) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await owner.fetch(LOGGED, shop.id)]


async def test_a_fact_is_logged_with_who_and_what(db: Database, shop: Workspace, owner: "Connection") -> None:
    before = clock.now()
    async with db.tx(shop.id, actor="key:1", origin="import") as tx:
        await publish(
            tx,
            [
                KettleBoiled(customer_id=CUSTOMER, order_id=ORDER, at=THEN, degrees=Decimal("99.50"), how_many=2),
                KettleBoiled(degrees=Decimal(100), note="ü"),
                TeaMade(customer_id=CUSTOMER),
            ],
        )
    import json

    first, second, third = [(*row[:6], json.loads(row[6])) for row in await log(owner, shop)]
    assert first == ("KettleBoiled", THEN, CUSTOMER, ORDER, "key:1", "import", {"degrees": "99.50", "howMany": 2})
    assert second[2:] == (None, None, "key:1", "import", {"degrees": "100", "howMany": 1, "note": "ü"})
    assert before <= second[1] <= clock.now()
    assert (third[0], third[6]) == ("TeaMade", {})


async def test_what_is_not_logged_is_reacted_to_all_the_same(
    db: Database, shop: Workspace, owner: "Connection"
) -> None:
    heard: list[Event] = []

    @on(WaterWarmer, TeaMade)
    async def hear(tx: Tx, facts: Sequence[Event]) -> None:
        heard.extend(facts)

    async with db.tx(shop.id) as tx:
        await publish(tx, [WaterWarmer(), TeaMade(), WaterWarmer()])
        await publish(tx, [WaterWarmer()])
    assert sorted(fact.kind() for fact in heard) == ["TeaMade", *["WaterWarmer"] * 3]
    assert [row[0] for row in await owner.fetch(LOGGED, shop.id)] == ["TeaMade"]


async def test_reactions_run_once_a_kind_for_the_whole_batch(db: Database, shop: Workspace) -> None:
    told: list[tuple[str, int, UUID]] = []

    @on(KettleBoiled)
    async def count(tx: Tx, found: Sequence[KettleBoiled]) -> None:
        told.append(("count", sum(e.how_many for e in found), tx.workspace_id))

    @on(KettleBoiled, TeaMade)
    async def both(tx: Tx, found: Sequence[Event]) -> None:
        told.append((type(found[0]).__name__, len(found), tx.workspace_id))

    async with db.tx(shop.id) as tx:
        await publish(
            tx, [TeaMade(), KettleBoiled(degrees=Decimal(1)), TeaMade(), KettleBoiled(degrees=Decimal(2), how_many=4)]
        )
        await publish(tx, [])
    assert told == [("TeaMade", 2, shop.id), ("count", 5, shop.id), ("KettleBoiled", 2, shop.id)]
    assert events.reactions()[KettleBoiled] == (count, both)


async def test_a_reaction_that_fails_leaves_nothing_behind(db: Database, shop: Workspace, owner: "Connection") -> None:
    @on(TeaMade)
    async def spill(tx: Tx, found: Sequence[TeaMade]) -> None:
        await tx.run("insert into customer_stale (workspace_id, customer_id) values ($1, $2)", ids.new())
        raise RuntimeError("spilt")

    with pytest.raises(RuntimeError, match="spilt"):
        async with db.tx(shop.id) as tx:
            await publish(tx, [TeaMade()])
    assert await log(owner, shop) == []
    assert await owner.fetchval("select count(*) from data.customer_stale where workspace_id = $1", shop.id) == 0


async def test_a_reaction_sees_what_the_publisher_wrote_and_may_publish_in_turn(
    db: Database, shop: Workspace, owner: "Connection"
) -> None:
    @on(KettleBoiled)
    async def brew(tx: Tx, found: Sequence[KettleBoiled]) -> None:
        assert await tx.value("select count(*) from event_log where workspace_id = $1") == len(found)
        await publish(tx, [TeaMade() for _ in found])

    async with db.tx(shop.id) as tx:
        await publish(tx, [KettleBoiled(degrees=Decimal(1)), KettleBoiled(degrees=Decimal(2))])
    assert [row[0] for row in await log(owner, shop)] == ["KettleBoiled"] * 2 + ["TeaMade"] * 2


async def test_a_thousand_facts_are_one_statement(
    db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = Tx.run

    async def counted(self: Tx, sql: str, *args: object) -> int:
        ran.append(sql)
        return await run(self, sql, *args)

    monkeypatch.setattr(Tx, "run", counted)
    async with db.tx(shop.id) as tx:
        await publish(tx, [TeaMade() for _ in range(1_000)])
        assert await tx.value("select count(*) from event_log where workspace_id = $1") == 1_000
    assert [sql.split("from ")[0] for sql in ran] == [events.LOG.split("from ")[0]]


async def test_facts_of_one_transaction_stand_together_in_their_order(db: Database, shop: Workspace) -> None:
    async def make(name: str) -> None:
        async with db.tx(shop.id) as tx:
            for _ in range(5):
                await publish(tx, [KettleBoiled(degrees=Decimal(1), note=name)])
                await asyncio.sleep(0.001)

    await asyncio.gather(*(make(name) for name in "abc"))
    async with db.reader(shop.id) as reader:
        found = await reader.column("select data ->> 'note' from event_log where workspace_id = $1 order by tx, id")
    assert len(found) == 15
    assert [found[n : n + 5] for n in (0, 5, 10)] == [[found[n]] * 5 for n in (0, 5, 10)]


def test_every_kind_is_known_by_its_name_once() -> None:
    names = [kind.kind() for kind in events.kinds()]
    assert len(names) == len(set(names))
    assert names == sorted(names)
    assert {"KettleBoiled", "TeaMade"} <= set(names)
    assert "Event" not in names
