"""An export on its way: readers who go away or stall, errors in the middle, and that the connection comes back."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from supover.exports import streaming
from supover.exports.model import CustomerExport, ExportsBusy, ReaderStalled
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.house import plans
from tests.house.conftest import connected
from tests.makers import Workspace, application, make_workspace

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

MANY = """
    insert into data.customer (workspace_id, id, source, name, external_id)
    select $1, gen_random_uuid(), 'IMPORT', repeat('x', 1000) || n, n::text from generate_series(1, 30000) as n"""
BUSY = "select count(*) from pg_stat_activity where query like 'COPY%%' and state = 'active' and datname = current_database()"


@pytest.fixture(scope="module")
async def full(db: Database, database: str) -> Workspace:
    """A shop whose export has thirty megabytes: more than stands in buffers on the way. Nobody changes it."""
    shop = await make_workspace(db)
    async with connected(database) as owner:
        await owner.execute(MANY, shop.id)
    return shop


@pytest.fixture
async def few(database: str) -> AsyncGenerator[Database]:
    """A pool of three connections, of which one may send exports."""
    found = await Database.open(database, size=3)
    yield found
    assert found.in_use()[0] == 0, "every connection came back"
    await found.close()


async def nothing() -> None:
    return


async def begin(db: Database, shop: Workspace) -> streaming.Sending:
    return await streaming.begin(db, shop.id, "customers", CustomerExport(), nothing, {"Content-Type": "text/csv"})


class Reader:
    """An HTTP server's two ends, as slow as asked: it takes so many messages, then goes away or reads no more."""

    def __init__(self, takes: int | None = None, *, goes: bool = False) -> None:
        self.body = b""
        self.is_whole = False
        self._left = takes
        self._goes = goes
        self._gone = asyncio.Event()

    async def receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self._left == 0:
            if self._goes:
                self._gone.set()
            await asyncio.sleep(30)
        if self._left is not None:
            self._left -= 1
        self.body += message.get("body", b"")
        self.is_whole = message.get("more_body") is False


async def is_quiet(owner: "Connection") -> bool:
    for _ in range(100):
        if not await owner.fetchval(BUSY):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_all_of_it_comes(few: Database, full: Workspace) -> None:
    reader = Reader()
    sending = await begin(few, full)
    await sending({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert reader.is_whole
    assert reader.body.count(b"\n") == 30_001


async def test_who_goes_away_ends_the_statement_and_the_connection_is_fine(
    few: Database, full: Workspace, owner: "Connection"
) -> None:
    reader = Reader(3, goes=True)
    sending = await begin(few, full)
    await sending({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert not reader.is_whole
    assert await is_quiet(owner)
    async with few.reader(full.id) as db:
        assert await db.value("select 1 where $1::uuid is not null") == 1


async def test_who_reads_nothing_is_cut(
    few: Database, full: Workspace, owner: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "IDLE_S", 0.2)
    reader = Reader(3)
    sending = await begin(few, full)
    with pytest.raises(ReaderStalled):
        await sending({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert not reader.is_whole
    assert await is_quiet(owner)


async def test_an_error_in_the_middle_breaks_the_answer_off(
    few: Database, full: Workspace, owner: "Connection"
) -> None:
    reader = Reader()
    sending = await begin(few, full)
    killed = await owner.fetchval(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'COPY%' and datname = current_database()"
    )
    assert killed
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await sending({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert not reader.is_whole


async def test_a_statement_that_takes_too_long_breaks_off(
    few: Database, full: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STREAM_S", 0.4)
    reader = Reader()
    sending = await begin(few, full)
    await asyncio.sleep(0.8)
    with pytest.raises(asyncpg.QueryCanceledError):
        await sending({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert not reader.is_whole


async def test_exports_leave_connections_to_others(few: Database, full: Workspace, shop: Workspace) -> None:
    one = await begin(few, full)
    with pytest.raises(ExportsBusy):
        await begin(few, shop)
    reader = Reader(0, goes=True)
    await one({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    reader = Reader()
    await (await begin(few, shop))({}, reader.receive, reader.send)  # pyright: ignore[reportArgumentType]
    assert reader.is_whole


async def test_what_is_refused_holds_nothing(few: Database, shop: Workspace) -> None:
    for _ in range(5):
        with pytest.raises(Invalid):
            await streaming.begin(few, shop.id, "customers", CustomerExport(fields=["x"]), nothing, {})

    async def refused() -> None:
        raise ConnectionError

    for _ in range(5):
        with pytest.raises(ConnectionError):
            await streaming.begin(few, shop.id, "customers", CustomerExport(), refused, {})


async def test_every_table_of_an_export_is_entered_by_its_workspace(
    db: Database, owner: "Connection", shop: Workspace
) -> None:
    """In the owner's plan, which no view mends."""
    from supover.exports import questions
    from supover.exports.columns import COLUMNS
    from supover.exports.model import Asked, Kind, OrderExport

    application(db)
    tenants = await plans.prepare(owner)
    asked: list[tuple[Kind, Asked]] = []
    kinds: list[Kind] = ["customers", "addresses", "orders"]
    for kind in kinds:
        shape: type[Asked] = OrderExport if kind == "orders" else CustomerExport
        every = [column.name for column in COLUMNS[kind]]
        if kind != "orders":
            every.append("customFields.a")
        for one in (shape(), shape(fields=every), shape(sort="-createdAt")):
            asked.append((kind, one))
    asked.append(("customers", CustomerExport(sort="-totalSpent")))
    asked.append(("customers", CustomerExport(filter="amount_spent > 1", search="a")))
    await owner.execute("set search_path = data, fence, ext")
    async with db.reader(shop.id) as reader:
        for kind, one in asked:
            question = await questions.question(reader, kind, one)
            for text, _ in (question.cells(), question.objects(), question.flat()):
                assert plans.unpinned(await plans.generic_plan(owner, text), text, tenants) == [], text
