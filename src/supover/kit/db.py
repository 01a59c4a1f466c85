"""The one door to PostgreSQL: handles that carry the workspace.

A `Reader` reads on one connection; a `Tx` also writes, in one transaction that its opener commits. Both put their
workspace in as $1 of every statement and set `app.workspace`, by which the fence views repeat it.
"""

import asyncio
import hashlib
import io
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec

from supover.kit.problems import Problem, Unavailable

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

S = TypeVar("S", bound=msgspec.Struct)

APP_ROLE: Final = "supover_app"
BY_KEYS: Final = """
    select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)"""
BY_PLANS: Final = "select set_config('plan_cache_mode', 'auto', true)"
UNHURRIED: Final = "set local statement_timeout = 0"
RACES: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    # Whom a row is of was unmade a moment ago, with the import that made them.
    asyncpg.ForeignKeyViolationError,
)
"""What a transaction may meet that another one beat; tried again, it sees what the other did."""

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""From here PostgreSQL counts its microseconds."""

ROUND_TRIP: Final = "select 1"
ENTER: Final = "select set_config('app.workspace', $1, false), set_config('plan_cache_mode', $2, false)"

_encode_json: Final = msgspec.json.Encoder().encode
_decode_json: Final = msgspec.json.Decoder().decode
_MICROSECOND: Final = timedelta(microseconds=1)


class OverCapacity(Unavailable):
    """All database connections are busy."""


def json_bytes(value: object) -> bytes:
    """A value as JSON for a jsonb parameter (money as strings, ids and times as text)."""
    return _encode_json(value)


def by_column(rows: Iterable[Sequence[object]]) -> list[Sequence[object]]:
    """The columns of rows, as arguments of one `unnest` of several arrays.

    A column of nulls is left empty, which is much cheaper to send: `unnest` fills shorter arrays up with nulls.
    """
    return [() if column.count(None) == len(column) else column for column in zip(*rows, strict=True)]


MANY: Final = 200
"""From so many rows on they are copied to a temporary table first: arrays of thirty columns take twice as long to send."""

LINES_AT_ONCE: Final = 500_000
"""Bytes of lines that are read before somebody looks at them."""

_ARRAYS: Final = re.compile(r"unnest\(((?:\s*\$\d+::[a-z0-9]+\[\],?)+)\)\s+as (\w+) \(([^)]+)\)")


class _Staged(msgspec.Struct, frozen=True):
    """A statement over arrays, and the same over a temporary table."""

    table: str
    columns: tuple[str, ...]
    create: str
    sql: str


@cache
def _staged(sql: str) -> _Staged:
    found = _ARRAYS.search(sql)
    if found is None:
        raise ValueError(f"No `unnest(…) as n (…)` in {sql}")
    columns = tuple(name.strip() for name in found[3].split(","))
    defined = ", ".join(
        f"{name} {type}" for name, type in zip(columns, re.findall(r"::([a-z0-9]+)\[", found[1]), strict=True)
    )
    table = f"stage_{hashlib.sha256(defined.encode()).hexdigest()[:12]}"
    create = f"create temporary table if not exists {table} ({defined}) on commit delete rows"
    return _Staged(table, columns, create, f"{sql[: found.start()]}pg_temp.{table} as {found[2]}{sql[found.end() :]}")


async def _inlined(con: "Connection", sql: str, args: Sequence[object]) -> str:
    """A statement with its arguments in their places, quoted by PostgreSQL and cast to their types: COPY takes none."""
    prepared = await con.prepare(sql)
    kinds = [
        f"{_name(k.schema)}.{_name('_' + k.name[:-2] if k.name.endswith('[]') else k.name)}"
        for k in prepared.get_parameters()
    ]
    texts = ", ".join(f"quote_nullable(${n}::{kind}::text)" for n, kind in enumerate(kinds, 1))
    quoted = await con.fetchrow(f"values ({texts})", *args)
    assert quoted is not None
    return re.sub(r"\$(\d+)\b", lambda found: f"{quoted[int(found[1]) - 1]}::{kinds[int(found[1]) - 1]}", sql)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


_Place = tuple[UUID | None, str]
"""A workspace, and how statements are planned in it."""


class _WorkspaceConnection(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument]
    """Remembers which workspace its session is set to, so that the setting is sent only when it changes.

    `lent` is what the pool lent it out as, and takes back.
    """

    __slots__ = ("entered", "lent")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        self.entered: _Place = (None, "auto")
        self.lent: Any = None

    def get_reset_query(self) -> str:
        """A round trip, for connections that something went wrong on; their settings are made at every use anyway.

        A statement whose arguments could not be sent has begun all the same, and its time limit would end the next one.
        """
        return ROUND_TRIP


async def _init(connection: "Connection") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_json_sent, decoder=_json_read, format="binary"
    )
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_time_sent, decoder=_time_read, format="tuple"
    )


def _json_sent(document: bytes) -> bytes:
    return b"\x01" + document


def _json_read(sent: bytes) -> Any:
    # Most are the empty object, which needs no decoder.
    return {} if sent == b"\x01{}" else _decode_json(sent[1:])


def _time_sent(at: datetime) -> tuple[int]:
    return ((at - EPOCH) // _MICROSECOND,)


@lru_cache(4096)
def _time_read(sent: tuple[int]) -> datetime:
    # What asyncpg does itself costs a list of customers more than all their other columns; and rows share their times.
    return EPOCH + _MICROSECOND * sent[0]


class _Ended:
    """Stands for the connection of a handle whose block has ended: it may be another one's by now."""

    def __getattr__(self, name: str) -> Any:
        raise asyncpg.InterfaceError("this handle was used after its block had ended")


_ENDED: Final[Any] = _Ended()


class Reader:
    """Reads within one workspace. Statements see it as $1; own arguments start at $2."""

    __slots__ = ("_con", "workspace_id")

    def __init__(self, connection: "Connection", workspace_id: UUID) -> None:
        self._con = connection
        self.workspace_id = workspace_id

    def end(self) -> None:
        """Whoever opened the handle is done with it."""
        self._con = _ENDED

    async def maybe(self, shape: type[S], sql: str, *args: object) -> S | None:
        """The first row as a struct whose fields are the statement's columns in order, or None."""
        row = await self._con.fetchrow(sql, self.workspace_id, *args)
        return None if row is None else shape(*row)

    async def one(self, shape: type[S], sql: str, *args: object, missing: type[Problem] | Callable[[], Problem]) -> S:
        """The first row as a struct; raises `missing` when there is none."""
        row = await self._con.fetchrow(sql, self.workspace_id, *args)
        if row is None:
            raise missing()
        return shape(*row)

    async def all(self, shape: type[S], sql: str, *args: object) -> list[S]:
        """Every row as a struct."""
        return [shape(*row) for row in await self._con.fetch(sql, self.workspace_id, *args)]

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self._con.fetchval(sql, self.workspace_id, *args)

    async def column(self, sql: str, *args: object) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in await self._con.fetch(sql, self.workspace_id, *args)]

    async def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Every row as a plain tuple, for commands that work on sets."""
        return cast("list[tuple[Any, ...]]", await self._con.fetch(sql, self.workspace_id, *args))

    async def copy_out(self, sql: str, *args: object, lines: bool = False) -> AsyncGenerator[bytes]:
        """The rows of a question as CSV without a header, as they come; null is nothing between commas.

        `lines`: of one column of JSON, a line a row. One block is held at a time: who reads slowly slows the database down.
        Who stops reading must close the generator, which cancels the question. What goes wrong in the middle is raised.
        Nothing else can be asked of this handle meanwhile.
        """
        statement = await _inlined(self._con, sql, (self.workspace_id, *args))
        # JSON holds neither of these characters, so nothing in a line is quoted.
        delimiter, quote = ("\x02", "\x01") if lines else (None, None)
        blocks: asyncio.Queue[bytes] = asyncio.Queue(1)
        failed: list[Exception] = []

        async def copy() -> None:
            try:
                await self._con.copy_from_query(
                    statement, output=blocks.put, format="csv", delimiter=delimiter, quote=quote
                )
            except Exception as error:
                failed.append(error)
            await blocks.put(b"")

        task = asyncio.create_task(copy())
        try:
            while block := await blocks.get():
                yield block
            if failed:
                raise failed[0]
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def lines(self, sql: str, *args: object) -> AsyncGenerator[bytes]:
        """The rows of a question for one column of plain text or JSON, a line a row, as `copy_out` has them.

        Whole lines, half a megabyte at a time.
        """
        found: list[bytes] = []
        size = 0
        async with aclosing(self.copy_out(sql, *args, lines=True)) as blocks:
            async for block in blocks:
                found.append(block)
                size += len(block)
                if size >= LINES_AT_ONCE:
                    whole, newline, rest = b"".join(found).rpartition(b"\n")
                    yield whole + newline
                    found, size = [rest], len(rest)
        if rest := b"".join(found):
            yield rest


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """A field's old and new value, for the audit log."""

    subject: str
    id: UUID
    field: str
    old: Any
    new: Any


class Tx(Reader):
    """Reads and writes in one transaction; whoever opened it commits.

    `actor` is who acts ('key:…', 'staff:…', 'system'), `origin` whether things happen now or come from history.
    """

    __slots__ = ("_filled", "actor", "actor_name", "changes", "origin")

    def __init__(
        self, connection: "Connection", workspace_id: UUID, actor: str, origin: str = "live", actor_name: str = ""
    ) -> None:
        super().__init__(connection, workspace_id)
        self.actor = actor
        self.actor_name = actor_name or actor
        self.origin = origin
        self.changes: list[Change] = []
        self._filled: set[str] = set()

    async def run(self, sql: str, *args: object) -> int:
        """Runs a statement; returns how many rows it touched."""
        done = await self._con.execute(sql, self.workspace_id, *args)
        last = done.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def many(self, sql: str, rows: Sequence[Sequence[object]], *args: object) -> int:
        """Runs a statement that reads these rows as `unnest($n::type[], …) as n (…)`, after its other arguments.

        Thousands are copied to a temporary table and read from there: the same statement, sent in half the time.
        """
        if len(rows) < MANY:
            return await self.run(sql, *args, *by_column(rows)) if rows else 0
        return await self.run(await self._stage(sql, rows), *args)

    @asynccontextmanager
    async def writing(self, sql: str, rows: Sequence[Sequence[object]], *args: object) -> AsyncGenerator[None]:
        """As `many`; what happens inside, which must not use this handle, happens while the database is at work."""
        if len(rows) < MANY:
            await self.many(sql, rows, *args)
            yield
            return
        task = asyncio.ensure_future(self.run(await self._stage(sql, rows), *args))
        try:
            await asyncio.sleep(0)  # so that it is sent
            yield
        finally:
            await task

    async def load(self, sql: str, csv: bytes, *args: object) -> int:
        """As `many`, over rows that are CSV already: the columns in their order, where nothing between commas is null."""
        staged = await self._empty(sql)
        await self._con.copy_to_table(staged.table, source=io.BytesIO(csv), columns=staged.columns, format="csv")
        return await self.run(staged.sql, *args)

    async def _stage(self, sql: str, rows: Sequence[Sequence[object]]) -> str:
        staged = await self._empty(sql)
        await self._con.copy_records_to_table(staged.table, records=rows, columns=staged.columns)
        return staged.sql

    async def _empty(self, sql: str) -> _Staged:
        """The statement's temporary table, there and empty."""
        staged = _staged(sql)
        if staged.table in self._filled:
            await self._con.execute(f"truncate pg_temp.{staged.table}")
        else:
            await self._con.execute(staged.create)
            self._filled.add(staged.table)
        return staged

    async def by_keys(self) -> None:
        """Has what follows in this transaction planned for its very arguments, and for indexes.

        For statements that name thousands of rows by their keys: of tables that are just being filled or emptied the planner
        knows nothing, no plan of a moment ago is right, and a list that it cannot see is compared element by element.
        """
        await self._con.execute(BY_KEYS)

    async def by_plans(self) -> None:
        """Lets plans be used again. What foreign keys ask of every row would be planned for every row after `by_keys`."""
        await self._con.execute(BY_PLANS)

    def changed(
        self, subject: str, id: UUID, old: msgspec.Struct | None, new: msgspec.Struct | None, fields: Sequence[str]
    ) -> None:
        """Notes the fields that differ, for this write's audit row."""
        for field in fields:
            before, after = getattr(old, field, None), getattr(new, field, None)
            if before != after:
                self.changes.append(Change(subject, id, field, before, after))

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """Undoes only what happens inside when that fails."""
        filled = set(self._filled)
        try:
            async with self._con.transaction():
                yield
        except BaseException:
            # With it went the temporary tables that were made inside.
            self._filled = filled
            raise

    @asynccontextmanager
    async def undone(self) -> AsyncGenerator[None]:
        """Undoes what happens inside, however it ends: to find out what would become of it."""
        filled, changes = set(self._filled), list(self.changes)
        inner = self._con.transaction()
        await inner.start()
        try:
            yield
        finally:
            await inner.rollback()
            self._filled, self.changes = filled, changes


class _Turns:
    """Lets so many of one workspace go on at a time; the others of it wait, and leave connections to everybody else."""

    def __init__(self, most: int, timeout_s: float) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._turns: dict[UUID, tuple[asyncio.Semaphore, int]] = {}

    async def take(self, workspace_id: UUID) -> None:
        """Waits for a turn. Raises OverCapacity when none comes in time."""
        turn, users = self._turns.get(workspace_id) or (asyncio.Semaphore(self._most), 0)
        self._turns[workspace_id] = turn, users + 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await turn.acquire()
        except BaseException as error:
            self._leave(workspace_id)
            if isinstance(error, TimeoutError):
                raise OverCapacity(
                    "Too many slow questions of this workspace wait.", headers={"Retry-After": "2"}
                ) from None
            raise

    def give(self, workspace_id: UUID) -> None:
        """The turn is over."""
        self._turns[workspace_id][0].release()
        self._leave(workspace_id)

    def _leave(self, workspace_id: UUID) -> None:
        turn, users = self._turns.pop(workspace_id)
        if users > 1:
            self._turns[workspace_id] = turn, users - 1


class Database:
    """Connections that belong to the application's role. Open with `Database.open`.

    They are lent by asyncpg's pool, which opens, replaces and closes them. One that is given back in good order stays at
    hand for the next who comes, or goes to who waits longest: through the pool with its proxies, resets and time limits
    it would cost a tenth of a read. The pool takes back what an error may have left in any state.
    """

    def __init__(self, pool: "Pool", acquire_timeout_s: float) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self._size = pool.get_max_size()
        self._lent = 0
        self._at_hand: list[_WorkspaceConnection] = []
        self._waiting: deque[asyncio.Future[_WorkspaceConnection | None]] = deque()
        self._is_closing = False
        self.turns = _Turns(max(1, self._size // 2), acquire_timeout_s)

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        size: int = 10,
        statement_timeout_s: float = 30,
        as_app: bool = True,
        acquire_timeout_s: float = 10,
    ) -> "Database":
        """Opens the pool; `dsn` may be the owner's, each connection then becomes the application's role."""
        settings = {
            "search_path": "fence, ext",
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "lock_timeout": str(int(statement_timeout_s * 500)),
            "idle_in_transaction_session_timeout": "60000",
            "timezone": "UTC",
            "application_name": "supover",
            "client_min_messages": "warning",
            "jit": "off",
            # A search looks through what the index has pending: who adds a customer keeps that short.
            "gin_pending_list_limit": "1024",
        }
        if as_app:
            settings["role"] = APP_ROLE
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min(2, size),
            max_size=size,
            # Defaults that would reconnect and re-prepare all the time.
            max_queries=10**9,
            max_inactive_connection_lifetime=0,
            statement_cache_size=1000,
            max_cached_statement_lifetime=0,
            connection_class=_WorkspaceConnection,
            init=_init,
            server_settings=settings,
            timeout=10,
        )
        return cls(pool, acquire_timeout_s)

    async def close(self) -> None:
        """Waits for running statements, then closes all connections."""
        self._is_closing = True
        try:
            while self._at_hand:
                await self._give_back(self._at_hand.pop())
            await asyncio.wait_for(self._pool.close(), 10)
        except TimeoutError:
            self._pool.terminate()

    def in_use(self) -> tuple[int, int, int]:
        """Connections in use, open, and how many there may be."""
        return self._lent - len(self._at_hand), self._pool.get_size(), self._size

    async def _acquire(self, workspace_id: UUID | None, plan: str) -> "Connection":
        """A connection whose session is set to this workspace. Give it back with `_release`."""
        wanted = (workspace_id, plan)
        con = self._take(wanted)
        while con is None:
            con = await (self._borrow() if self._lent < self._size else self._wait())
        if con.entered != wanted:
            # Cancelled on the way, nobody knows what the session is set to.
            con.entered = (None, "?")
            try:
                await con.execute(ENTER, "" if workspace_id is None else str(workspace_id), plan)
            except BaseException:
                await self._give_back(con)
                raise
            con.entered = wanted
        return cast("Connection", con)

    def _take(self, wanted: _Place) -> _WorkspaceConnection | None:
        """The connection that came back last, or rather one that is set to this workspace already."""
        while self._at_hand:
            last = len(self._at_hand) - 1
            best = next((at for at in range(last, -1, -1) if self._at_hand[at].entered == wanted), last)
            con = self._at_hand.pop(best)
            if not con.is_closed():
                return con
            # The server ended it; the pool opens another in its place.
            con.terminate()
            self._lent -= 1
        return None

    async def _borrow(self) -> _WorkspaceConnection:
        self._lent += 1
        try:
            lent = cast("Any", await self._pool.acquire(timeout=self._acquire_timeout_s))
        except BaseException as error:
            self._lent -= 1
            self._hand_on(None)
            if isinstance(error, TimeoutError):
                raise OverCapacity(headers={"Retry-After": "1"}) from None
            raise
        con = cast("_WorkspaceConnection", lent._con)
        con.lent = lent
        return con

    async def _wait(self) -> _WorkspaceConnection | None:
        """The connection that somebody hands on, or None when another may be borrowed."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.append(waiter)
        limit = loop.call_later(self._acquire_timeout_s, _leave, waiter)
        try:
            return await waiter
        except BaseException:
            # Cancelled just when it was its turn.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._keep(waiter.result())
            raise
        finally:
            limit.cancel()

    def _hand_on(self, con: _WorkspaceConnection | None) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(con)
                return True
        return False

    def _keep(self, con: _WorkspaceConnection | None) -> None:
        if not self._hand_on(con) and con is not None:
            self._at_hand.append(con)

    async def _release(self, con: "Connection", *, is_in_order: bool) -> None:
        own = cast("_WorkspaceConnection", con)
        if not is_in_order or self._is_closing or own.is_closed() or own.is_in_transaction():
            await self._give_back(own)
        else:
            self._keep(own)

    async def _give_back(self, con: _WorkspaceConnection) -> None:
        try:
            await self._pool.release(con.lent)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            # The pool has ended it; whoever used it knows what went wrong.
            pass
        finally:
            self._lent -= 1
            self._hand_on(None)

    @asynccontextmanager
    async def _connection(self, workspace_id: UUID | None, plan: str) -> "AsyncGenerator[Connection]":
        con = await self._acquire(workspace_id, plan)
        is_in_order = False
        try:
            yield con
            is_in_order = True
        finally:
            await self._release(con, is_in_order=is_in_order)

    def reader(self, workspace_id: UUID, *, search: bool = False) -> AbstractAsyncContextManager[Reader]:
        """A handle that reads in this workspace; each statement sees what is committed when it starts.

        `search` plans every statement anew for its values: a plan kept from one search term is wrong for the next. Searches
        can be slow, so those of one workspace have half of the connections at most.
        """
        return _Searching(self, workspace_id) if search else _Reading(self, workspace_id, "auto")

    @asynccontextmanager
    async def tx(
        self, workspace_id: UUID, *, actor: str = "system", origin: str = "live", actor_name: str = ""
    ) -> AsyncGenerator[Tx]:
        """A transaction in this workspace: committed when the block ends, rolled back when it raises."""
        async with self._connection(workspace_id, "auto") as con, con.transaction():
            tx = Tx(con, workspace_id, actor, origin, actor_name)
            try:
                yield tx
            finally:
                tx.end()

    @asynccontextmanager
    async def snapshot(self, workspace_id: UUID) -> AsyncGenerator[Reader]:
        """A handle whose statements all see one moment and may take as long as they need; it cannot write."""
        async with (
            self._connection(workspace_id, "auto") as con,
            con.transaction(isolation="repeatable_read", readonly=True),
        ):
            await con.execute(UNHURRIED)
            reader = Reader(con, workspace_id)
            try:
                yield reader
            finally:
                reader.end()

    @asynccontextmanager
    async def across(self) -> "AsyncGenerator[Connection]":
        """A connection outside any workspace, for the functions of 0007_fence_across.sql; it sees no tenant row."""
        async with self._connection(None, "auto") as con:
            yield con


def _leave(waiter: "asyncio.Future[Any]") -> None:
    if not waiter.done():
        waiter.set_exception(OverCapacity(headers={"Retry-After": "1"}))


class _Reading(AbstractAsyncContextManager[Reader]):
    """What `Database.reader` returns: every read goes through it, and a generator would cost twice as much."""

    __slots__ = ("_con", "_database", "_plan", "_reader", "_workspace_id")

    def __init__(self, database: Database, workspace_id: UUID, plan: str) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._plan = plan

    async def __aenter__(self) -> Reader:
        self._con = await self._database._acquire(self._workspace_id, self._plan)  # pyright: ignore[reportPrivateUsage]
        self._reader = Reader(self._con, self._workspace_id)
        return self._reader

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._reader.end()
        await self._database._release(self._con, is_in_order=kind is None)  # pyright: ignore[reportPrivateUsage]


class _Searching(_Reading):
    """A read that may be slow: it waits for its workspace's turn first."""

    __slots__ = ()

    def __init__(self, database: Database, workspace_id: UUID) -> None:
        super().__init__(database, workspace_id, "force_custom_plan")

    async def __aenter__(self) -> Reader:
        await self._database.turns.take(self._workspace_id)
        try:
            return await super().__aenter__()
        except BaseException:
            self._database.turns.give(self._workspace_id)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            await super().__aexit__(kind, *error)
        finally:
            self._database.turns.give(self._workspace_id)
