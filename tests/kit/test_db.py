import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import db as doors
from supover.kit import ids
from supover.kit.db import Database, OverCapacity, json_bytes
from supover.kit.problems import NotFound
from tests.makers import Workspace, make_workspace

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

HERE = " where $1::uuid is not null"
ADD = "insert into customer_stale (workspace_id, customer_id) values ($1, $2)"
ALL = "select customer_id from customer_stale where workspace_id = $1 order by id"
SETTING = "select nullif(current_setting('app.workspace', true), '')::uuid" + HERE


@pytest.fixture
async def shop(db: Database) -> Workspace:
    return await make_workspace(db)


@pytest.fixture
async def one(database: str) -> AsyncGenerator[Database]:
    """A pool of one connection."""
    found = await Database.open(database, size=1, acquire_timeout_s=0.2)
    yield found
    assert found.in_use() == (0, 1, 1)
    await found.close()


class Pair(msgspec.Struct, frozen=True):
    a: int
    b: str | None


class Nothing(NotFound):
    """There is nothing."""


class Stop(Exception):
    """Ends a transaction."""


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_rows_become_structs_by_position(db: Database, shop: Workspace) -> None:
    two = "select n, nullif(n::text, '2') from generate_series(1, $2::integer) n" + HERE
    async with db.reader(shop.id) as reader:
        assert await reader.all(Pair, two, 2) == [Pair(1, "1"), Pair(2, None)]
        assert await reader.all(Pair, two, 0) == []
        assert await reader.one(Pair, two, 2, missing=Nothing) == Pair(1, "1")
        assert await reader.maybe(Pair, two, 0) is None
        assert await reader.value(two, 2) == 1
        assert await reader.value(two, 0) is None
        assert await reader.column(two, 2) == [1, 2]
        assert [tuple(row) for row in await reader.rows(two, 2)] == [(1, "1"), (2, None)]
        with pytest.raises(Nothing):
            await reader.one(Pair, two, 0, missing=Nothing)
        with pytest.raises(Nothing, match="made by hand"):
            await reader.one(Pair, two, 0, missing=lambda: Nothing("made by hand"))


async def test_the_first_argument_is_the_workspace(db: Database, shop: Workspace) -> None:
    async with db.reader(shop.id) as reader:
        assert reader.workspace_id == shop.id
        assert await reader.value("select $1::uuid") == shop.id
        assert await reader.value(SETTING) == shop.id


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abç☃", max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(value=JSON)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_json_goes_in_as_bytes_and_comes_out_as_it_was(db: Database, value: Any) -> None:
    async with db.reader(UUID(int=1)) as reader:
        assert await reader.value("select $2::jsonb" + HERE, json_bytes(value)) == value
        assert await reader.value("select $2::jsonb[]" + HERE, [json_bytes(value), None]) == [value, None]


def test_ids_times_and_amounts_are_texts_in_json() -> None:
    value = {"id": UUID(int=1), "at": datetime(2026, 1, 2, tzinfo=UTC), "total": Decimal("1.50"), "pair": Pair(1, None)}
    assert json_bytes(value) == (
        b'{"id":"00000000-0000-0000-0000-000000000001","at":"2026-01-02T00:00:00Z","total":"1.50","pair":{"a":1,"b":null}}'
    )


async def test_amounts_and_times_are_exact(db: Database) -> None:
    async with db.reader(UUID(int=1)) as reader:
        assert str(await reader.value("select 10.5000::numeric(19, 4)" + HERE)) == "10.5000"
        at = await reader.value("select timestamptz '2026-03-29 03:30:00.123456+02'" + HERE)
        assert at == datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
        assert at.utcoffset().total_seconds() == 0


async def test_a_search_is_planned_for_its_values(one: Database) -> None:
    mode = "select current_setting('plan_cache_mode')" + HERE
    for search, expected in (False, "auto"), (True, "force_custom_plan"), (False, "auto"):
        async with one.reader(UUID(int=1), search=search) as reader:
            assert await reader.value(mode) == expected
    async with one.reader(UUID(int=1), search=True) as reader:
        assert await reader.value(mode) == "force_custom_plan"
    async with one.tx(UUID(int=1)) as tx:
        assert await tx.value(mode) == "auto"


async def test_the_session_is_what_the_house_expects(one: Database) -> None:
    async with one.across() as con:
        found = {
            name: await con.fetchval("select current_setting($1)", name)
            for name in (
                "role",
                "search_path",
                "TimeZone",
                "statement_timeout",
                "lock_timeout",
                "jit",
                "application_name",
            )
        }
    assert found == {
        "role": "supover_app",
        "search_path": "fence, ext",
        "TimeZone": "UTC",
        "statement_timeout": "30s",
        "lock_timeout": "15s",
        "jit": "off",
        "application_name": "supover",
    }


# --- writing ---------------------------------------------------------------------------------------------------------


async def test_a_block_commits_when_it_ends_and_leaves_nothing_when_it_raises(db: Database, shop: Workspace) -> None:
    kept, lost = ids.new(), ids.new()
    async with db.tx(shop.id) as tx:
        assert await tx.run(ADD, kept) == 1
    with pytest.raises(ValueError, match="no"):
        async with db.tx(shop.id) as tx:
            await tx.run(ADD, lost)
            raise ValueError("no")
    async with db.reader(shop.id) as reader:
        assert await reader.column(ALL) == [kept]


async def test_a_savepoint_undoes_what_is_inside_only(db: Database, shop: Workspace) -> None:
    first, second, third = (ids.new() for _ in range(3))
    async with db.tx(shop.id) as tx:
        await tx.run(ADD, first)
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with tx.savepoint():
                await tx.run(ADD, second)
                await tx.value("select 1 / 0" + HERE)
        async with tx.savepoint():
            await tx.run(ADD, third)
    async with db.reader(shop.id) as reader:
        assert await reader.column(ALL) == [first, third]


async def test_a_write_tells_how_many_rows_it_touched(db: Database, shop: Workspace) -> None:
    async with db.tx(shop.id) as tx:
        many = "insert into customer_stale (workspace_id, customer_id) select $1, n from unnest($2::uuid[]) n"
        assert await tx.run(many, [ids.new() for _ in range(3)]) == 3
        assert await tx.run("update customer_stale set marked_at = now() where workspace_id = $1") == 3
        assert await tx.run("delete from customer_stale where workspace_id = $1 and customer_id = $2", ids.new()) == 0
        assert await tx.run("select 1" + HERE) == 1
        assert await tx.run("delete from customer_stale where workspace_id = $1") == 3


def test_changes_are_the_fields_that_differ() -> None:
    tx = doors.Tx(None, UUID(int=1), "key:x")  # pyright: ignore[reportArgumentType]
    id = uuid4()
    tx.changed("pair", id, Pair(1, "x"), Pair(1, "y"), ("a", "b"))
    tx.changed("pair", id, None, Pair(2, None), ("a", "b"))
    tx.changed("pair", id, Pair(2, None), None, ("a",))
    assert [(c.field, c.old, c.new) for c in tx.changes] == [("b", "x", "y"), ("a", None, 2), ("a", 2, None)]
    assert (tx.actor, tx.actor_name, tx.origin) == ("key:x", "key:x", "live")


async def test_a_snapshot_sees_one_moment_and_writes_nothing(db: Database, shop: Workspace) -> None:
    async with db.snapshot(shop.id) as reader:
        assert await reader.column(ALL) == []
        async with db.tx(shop.id) as tx:
            await tx.run(ADD, ids.new())
        assert await reader.column(ALL) == []
        assert await reader.value("select current_setting('statement_timeout')" + HERE) == "0"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.rows("delete from customer_stale where workspace_id = $1")
    async with db.reader(shop.id) as reader:
        assert len(await reader.column(ALL)) == 1
        assert await reader.value("select current_setting('statement_timeout')" + HERE) == "30s"


# --- the door --------------------------------------------------------------------------------------------------------


async def test_the_workspace_is_set_only_when_it_changes(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [await make_workspace(db) for _ in range(2)]
    heard: list[str] = []
    ready = doors._init  # pyright: ignore[reportPrivateUsage]

    async def init(connection: Any) -> None:
        await ready(connection)

        def hear(query: Any) -> None:
            heard.append(query.query)

        connection.add_query_logger(hear)

    monkeypatch.setattr(doors, "_init", init)
    narrow = await Database.open(database, size=1)
    for n in (0, 0, 0, 1, 1, 0):
        async with narrow.reader(shops[n].id) as reader:
            assert await reader.value(SETTING) == shops[n].id
        async with narrow.tx(shops[n].id) as tx:
            assert await tx.value(SETTING) == shops[n].id
    async with narrow.across() as con:
        assert await con.fetchval("select nullif(current_setting('app.workspace', true), '')") is None
    assert heard.count(doors.ENTER) == 4
    await narrow.close()


async def test_across_sees_no_row_whatever_was_there_before(one: Database, shop: Workspace) -> None:
    async with one.tx(shop.id) as tx:
        await tx.run(ADD, ids.new())
    async with one.across() as con:
        assert await con.fetchval("select count(*) from customer_stale") == 0
        assert await con.fetchval("select count(*) from workspace") == 0
    async with one.reader(shop.id) as reader:
        assert len(await reader.column(ALL)) == 1


@pytest.mark.parametrize("handle", ["reader", "tx", "across", "snapshot"])
async def test_a_connection_comes_back_after_an_error(one: Database, shop: Workspace, handle: str) -> None:
    for error in (asyncpg.DivisionByZeroError, RuntimeError):
        with pytest.raises(error):
            async with getattr(one, handle)(*(() if handle == "across" else (shop.id,))) as found:
                if error is RuntimeError:
                    raise RuntimeError
                await (found.fetchval("select 1 / 0") if handle == "across" else found.value("select 1 / 0" + HERE))
        assert one.in_use()[0] == 0
    async with one.reader(shop.id) as reader:
        assert await reader.value(SETTING) == shop.id


async def test_a_cancelled_entry_leaves_no_connection_in_the_wrong_workspace(database: str, db: Database) -> None:
    """Cancelled while the workspace was being set, a connection once believed to be in the one before."""
    shops = [await make_workspace(db) for _ in range(2)]
    narrow = await Database.open(database, size=1)

    async def visit(n: int) -> None:
        async with narrow.reader(shops[n].id) as reader:
            assert await reader.value(SETTING) == shops[n].id

    for round in range(300):
        task = asyncio.create_task(visit(round % 2))
        for _ in range(round % 12):
            await asyncio.sleep(0)
        if round % 3 == 0:
            await asyncio.sleep(round % 7 * 0.0001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() or task.exception() is None
        await visit((round + round // 2) % 2)
        assert narrow.in_use()[0] == 0
    await narrow.close()


async def test_a_cancelled_transaction_leaves_nothing(one: Database, shop: Workspace) -> None:
    async def write() -> None:
        async with one.tx(shop.id) as tx:
            await tx.run(ADD, ids.new())
            await tx.value("select pg_sleep(20)" + HERE)

    for pause_s in (0.0, 0.002, 0.02, 0.1):
        task = asyncio.create_task(write())
        await asyncio.sleep(pause_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        async with one.reader(shop.id) as reader:
            assert await reader.column(ALL) == []


async def test_whoever_waits_too_long_is_told_to_come_again(one: Database, shop: Workspace) -> None:
    async with one.reader(shop.id):
        for handle in (one.reader(shop.id), one.tx(shop.id), one.across()):
            with pytest.raises(OverCapacity) as caught:
                async with handle:
                    pass
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    async with one.reader(shop.id) as reader:
        assert await reader.value(SETTING) == shop.id


async def test_whoever_waits_gets_the_connection_that_comes_back(one: Database, shop: Workspace) -> None:
    async def hold() -> UUID:
        async with one.tx(shop.id) as tx:
            await tx.value("select pg_sleep(0.02)" + HERE)
            return await tx.value(SETTING)

    assert await asyncio.gather(*(hold() for _ in range(5))) == [shop.id] * 5


async def test_a_waiter_who_leaves_takes_no_connection_along(one: Database, shop: Workspace) -> None:
    async with one.reader(shop.id):
        waiting = [asyncio.create_task(one.reader(shop.id).__aenter__()) for _ in range(5)]
        await asyncio.sleep(0.02)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert one.in_use()[0] == 1
    async with one.reader(shop.id) as reader:
        assert await reader.value(SETTING) == shop.id


async def test_a_connection_that_died_is_replaced(one: Database, shop: Workspace, owner: "Connection") -> None:
    async with one.reader(shop.id) as reader:
        pid = await reader.value("select pg_backend_pid()" + HERE)
    assert await owner.fetchval("select pg_terminate_backend($1, 5000)", pid)
    await asyncio.sleep(0.05)
    async with one.reader(shop.id) as reader:
        assert await reader.value("select pg_backend_pid()" + HERE) != pid
        assert await reader.value(SETTING) == shop.id


async def test_a_transaction_whose_connection_dies_raises_and_gives_it_back(
    one: Database, shop: Workspace, owner: "Connection"
) -> None:
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)):
        async with one.tx(shop.id) as tx:
            await tx.run(ADD, ids.new())
            pid = await tx.value("select pg_backend_pid()" + HERE)
            assert await owner.fetchval("select pg_terminate_backend($1, 5000)", pid)
            await tx.run(ADD, ids.new())
    async with one.reader(shop.id) as reader:
        assert await reader.column(ALL) == []


async def test_each_gets_the_connection_that_is_in_its_workspace_already(database: str, db: Database) -> None:
    shops = [await make_workspace(db) for _ in range(3)]
    narrow = await Database.open(database, size=3)
    pid = "select pg_backend_pid()" + HERE
    readers = [narrow.reader(shop.id) for shop in shops]
    pids = [await (await reader.__aenter__()).value(pid) for reader in readers]
    for reader in readers:
        await reader.__aexit__(None, None, None)
    assert narrow.in_use() == (0, 3, 3)
    for n in (1, 0, 2, 1):
        async with narrow.reader(shops[n].id) as reader:
            assert await reader.value(pid) == pids[n]
    await narrow.close()


async def test_a_handle_is_of_no_use_after_its_block(one: Database, shop: Workspace) -> None:
    """Its connection stays open and is another's next."""
    async with one.reader(shop.id) as reader:
        pass
    async with one.tx(shop.id) as tx:
        pass
    async with one.snapshot(shop.id) as seen:
        pass
    for handle in (reader, tx, seen):
        with pytest.raises(asyncpg.InterfaceError, match="after its block"):
            await handle.value(SETTING)
    with pytest.raises(asyncpg.InterfaceError, match="after its block"):
        await tx.run(ADD, ids.new())


async def test_a_transaction_that_somebody_leaves_open_is_not_handed_on(one: Database, shop: Workspace) -> None:
    async with one.across() as con:
        await con.execute("begin")
    async with one.reader(shop.id) as reader:
        assert await reader.value(SETTING) == shop.id
        first, second = [await reader.value("select now()" + HERE) for _ in range(2)]
    assert first < second


async def test_who_waits_longest_comes_first_and_another_takes_the_place_of_a_connection_that_broke(
    one: Database, shop: Workspace, owner: "Connection"
) -> None:
    came: list[int] = []

    async def come(n: int) -> None:
        async with one.reader(shop.id) as reader:
            assert await reader.value(SETTING) == shop.id
            came.append(n)

    waiting: list[asyncio.Task[None]] = []
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError)):
        async with one.reader(shop.id) as reader:
            waiting = [asyncio.create_task(come(n)) for n in range(4)]
            await asyncio.sleep(0.01)
            pid = await reader.value("select pg_backend_pid()" + HERE)
            assert await owner.fetchval("select pg_terminate_backend($1, 5000)", pid)
            await reader.value(SETTING)
    await asyncio.gather(*waiting)
    assert came == [0, 1, 2, 3]


async def test_whoever_leaves_just_when_it_was_their_turn_hands_it_on(one: Database, shop: Workspace) -> None:
    first, second, third = (one.reader(shop.id) for _ in range(3))
    await first.__aenter__()
    waiting = [asyncio.create_task(reader.__aenter__()) for reader in (second, third)]
    await asyncio.sleep(0.01)
    await first.__aexit__(None, None, None)
    waiting[0].cancel()
    reader = await asyncio.wait_for(waiting[1], 1)
    assert waiting[0].cancelled()
    assert await reader.value(SETTING) == shop.id
    assert one.in_use() == (1, 1, 1)
    await third.__aexit__(None, None, None)


async def test_any_coming_and_going_leaves_all_connections_free(database: str, db: Database) -> None:
    shops = [await make_workspace(db) for _ in range(2)]
    narrow = await Database.open(database, size=3, acquire_timeout_s=0.05)

    async def visit(n: int) -> None:
        opened = narrow.tx(shops[n % 2].id) if n % 3 else narrow.reader(shops[n % 2].id, search=n % 5 == 0)
        async with opened as handle:
            assert await handle.value(SETTING) == shops[n % 2].id
            await asyncio.sleep(n % 7 * 0.001)
            if n % 11 == 0:
                await handle.value("select 1 / 0" + HERE)

    for start in range(0, 240, 40):
        tasks = [asyncio.create_task(visit(n)) for n in range(start, start + 40)]
        await asyncio.sleep(start * 0.00005)
        for task in tasks[::6]:
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(error, None | OverCapacity | asyncpg.DivisionByZeroError | asyncio.CancelledError), error
        assert narrow.in_use()[0] == 0
    # Each of them can be had, at once.
    held = [narrow.reader(shops[0].id) for _ in range(3)]
    for reader in held:
        assert await (await reader.__aenter__()).value(SETTING) == shops[0].id
    for reader in held:
        await reader.__aexit__(None, None, None)
    await narrow.close()


TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | st.timezones())


@given(at=TIMES)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_time_comes_back_as_it_was(db: Database, at: datetime) -> None:
    async with db.reader(UUID(int=1)) as reader:
        assert await reader.value("select $2::timestamptz" + HERE, at) == at.astimezone(UTC)
        assert await reader.value("select $2::timestamptz[]" + HERE, [at, None]) == [at.astimezone(UTC), None]


async def test_a_time_without_a_zone_is_refused(db: Database) -> None:
    async with db.reader(UUID(int=1)) as reader:
        with pytest.raises(asyncpg.DataError):
            await reader.value("select $2::timestamptz" + HERE, datetime(2026, 1, 1))


async def test_closing_waits_for_who_is_still_at_work(database: str, shop: Workspace) -> None:
    found = await Database.open(database, size=1)
    kept = ids.new()

    async def write() -> None:
        async with found.tx(shop.id) as tx:
            await tx.value("select pg_sleep(0.1)" + HERE)
            await tx.run(ADD, kept)

    task = asyncio.create_task(write())
    await asyncio.sleep(0.03)
    await found.close()
    await task
    with pytest.raises(asyncpg.InterfaceError):
        async with found.reader(shop.id):
            pass


async def test_opened_for_the_owner_it_stands_before_the_fence(database: str, shop: Workspace) -> None:
    found = await Database.open(database, size=1, as_app=False)
    async with found.across() as con:
        assert await con.fetchval("select count(*) from data.workspace where workspace_id = $1", shop.id) == 1
    await found.close()


# --- many rows -------------------------------------------------------------------------------------------------------

MARK_MANY = """
    insert into customer_stale (workspace_id, customer_id, marked_at)
    select $1, n.customer_id, coalesce(n.marked_at, $2)
      from unnest($3::uuid[],
                  $4::timestamptz[]) as n (customer_id, marked_at)"""
MARKED = "select customer_id, marked_at from customer_stale where workspace_id = $1 order by id"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEPT_JSON = """
    insert into event_log (workspace_id, id, kind, at, actor, origin, data)
    select $1, n.id, n.kind, now(), 'system', 'live', n.data
      from unnest($2::uuid[], $3::text[], $4::jsonb[]) as n (id, kind, data)"""


def marks(count: int) -> list[tuple[UUID, datetime | None]]:
    return [(ids.new(), None if n % 2 else NOON.replace(year=2025)) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, doors.MANY - 1, doors.MANY, 3 * doors.MANY])
async def test_few_rows_and_many_are_written_by_the_same_statement(db: Database, shop: Workspace, count: int) -> None:
    rows = marks(count)
    async with db.tx(shop.id) as tx:
        assert await tx.many(MARK_MANY, rows, NOON) == count
    async with db.reader(shop.id) as reader:
        assert await reader.rows(MARKED) == [(id, at or NOON) for id, at in rows]


@pytest.mark.parametrize("count", [0, 1, 3 * doors.MANY])
async def test_rows_that_are_csv_already_are_written_by_the_same_statement(
    db: Database, shop: Workspace, count: int
) -> None:
    rows = marks(count)
    csv = "".join(f"{id},{'' if at is None else at.isoformat()}\n" for id, at in rows).encode()
    async with db.tx(shop.id) as tx:
        assert await tx.load(MARK_MANY, csv, NOON) == count
        assert await tx.load(MARK_MANY, b"", NOON) == 0
    async with db.reader(shop.id) as reader:
        assert await reader.rows(MARKED) == [(id, at or NOON) for id, at in rows]


async def test_many_rows_twice_in_a_transaction_and_again_in_the_next_are_each_written_once(
    one: Database, shop: Workspace
) -> None:
    first, second, third = marks(doors.MANY), marks(doors.MANY + 1), marks(doors.MANY)
    async with one.tx(shop.id) as tx:
        await tx.many(MARK_MANY, first, NOON)
        await tx.many(MARK_MANY, second, NOON)
    with pytest.raises(Stop):
        async with one.tx(shop.id) as tx:
            await tx.many(MARK_MANY, marks(doors.MANY), NOON)
            raise Stop
    async with one.tx(shop.id) as tx:
        await tx.many(MARK_MANY, third, NOON)
    async with one.reader(shop.id) as reader:
        assert await reader.rows(MARKED) == [(id, at or NOON) for id, at in [*first, *second, *third]]


async def test_a_rolled_back_first_use_leaves_the_next_use_as_it_was(one: Database, shop: Workspace) -> None:
    rows = [(ids.new(), "Made", json_bytes({"n": n})) for n in range(doors.MANY)]
    with pytest.raises(Stop):
        async with one.tx(shop.id) as tx:
            await tx.many(KEPT_JSON, rows)
            raise Stop
    async with one.tx(shop.id) as tx:
        assert await tx.many(KEPT_JSON, rows) == doors.MANY
        assert await tx.value("select sum((data ->> 'n')::integer) from event_log where workspace_id = $1") == sum(
            range(doors.MANY)
        )


async def test_a_first_use_that_a_savepoint_undid_leaves_the_next_use_as_it_was(one: Database, shop: Workspace) -> None:
    rows = marks(doors.MANY)
    async with one.tx(shop.id) as tx:
        with pytest.raises(Stop):
            async with tx.savepoint():
                await tx.many(MARK_MANY, rows, NOON)
                raise Stop
        assert await tx.many(MARK_MANY, rows, NOON) == doors.MANY
        assert await tx.value("select count(*) from customer_stale where workspace_id = $1") == doors.MANY


@pytest.mark.parametrize("count", [3, doors.MANY])
async def test_what_happens_meanwhile_happens_once_and_its_failure_is_told(
    one: Database, shop: Workspace, count: int
) -> None:
    rows = marks(count)
    async with one.tx(shop.id) as tx:
        async with tx.writing(MARK_MANY, rows, NOON):
            made = len(rows)
        assert await tx.value("select count(*) from customer_stale where workspace_id = $1") == made
    with pytest.raises(Stop):
        async with one.tx(shop.id) as tx, tx.writing(MARK_MANY, marks(count), NOON):
            raise Stop
    with pytest.raises(asyncpg.NotNullViolationError):
        async with one.tx(shop.id) as tx, tx.writing(MARK_MANY, [*marks(count - 1), (None, None)], NOON):
            pass
    async with one.reader(shop.id) as reader:
        assert await reader.value("select count(*) from customer_stale where workspace_id = $1") == count


async def test_many_rows_are_fenced_in_like_one(db: Database, shop: Workspace) -> None:
    stranger = await make_workspace(db)
    sql = MARK_MANY.replace("select $1,", f"select case when $1::uuid is not null then '{stranger.id}'::uuid end,")
    with pytest.raises(asyncpg.WithCheckOptionViolationError):
        async with db.tx(shop.id) as tx:
            await tx.many(sql, marks(doors.MANY), NOON)


async def test_a_statement_without_rows_to_read_is_refused(db: Database, shop: Workspace) -> None:
    with pytest.raises(ValueError, match="unnest"):
        async with db.tx(shop.id) as tx:
            await tx.many(ADD, marks(doors.MANY))


async def test_an_argument_that_cannot_be_sent_leaves_nothing_that_times_out(database: str, shop: Workspace) -> None:
    short = await Database.open(database, size=1, statement_timeout_s=0.3)
    try:
        with pytest.raises(asyncpg.DataError):
            async with short.reader(shop.id) as reader:
                await reader.value("select $2::integer" + HERE, 10**30)
        await asyncio.sleep(0.5)
        async with short.reader(shop.id) as reader:
            assert await reader.value("select 1" + HERE) == 1
    finally:
        await short.close()


async def test_searches_of_one_workspace_leave_connections_to_everybody_else(database: str) -> None:
    db = await Database.open(database, size=4, acquire_timeout_s=0.2)
    greedy, other = uuid4(), uuid4()
    try:
        async with db.reader(greedy, search=True), db.reader(greedy, search=True):
            with pytest.raises(OverCapacity):
                await _search(db, greedy)
            # What is no search goes on, and so do others' searches.
            async with db.reader(greedy) as reader:
                assert await reader.value("select 1 where $1::uuid is not null") == 1
            await _search(db, other)
            waiting = asyncio.create_task(_search(db, greedy))
            await asyncio.sleep(0.05)
        await waiting
        await asyncio.gather(*(_search(db, greedy) for _ in range(20)))
        assert db.in_use()[0] == 0
    finally:
        await db.close()


async def _search(db: Database, workspace_id: UUID) -> None:
    async with db.reader(workspace_id, search=True) as reader:
        assert await reader.value("select 1 where $1::uuid is not null") == 1
