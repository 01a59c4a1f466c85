"""The one door to PostgreSQL: handles that carry the workspace.

A `Reader` reads on one connection; a `Tx` also writes, in one transaction that its opener commits. Both put their
workspace in as $1 of every statement and set `app.workspace`, by which the fence views repeat it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
UNHURRIED: Final = "set local statement_timeout = 0"
RACES: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)
"""What a transaction may meet that another one beat; tried again, it sees what the other did."""

ENTER: Final = "select set_config('app.workspace', $1, false), set_config('plan_cache_mode', $2, false)"

_encode_json: Final = msgspec.json.Encoder().encode
_decode_json: Final = msgspec.json.Decoder().decode


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


class _WorkspaceConnection(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument]
    """Remembers which workspace its session is set to, so that the setting is sent only when it changes."""

    __slots__ = ("entered",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        self.entered: tuple[str, str] = ("", "auto")

    def get_reset_query(self) -> str:
        """Nothing: every use of a connection goes through `Database`, which sets the workspace first."""
        return ""


async def _init(connection: "Connection") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda b: b"\x01" + b,
        decoder=lambda b: _decode_json(b[1:]),
        format="binary",
    )


class Reader:
    """Reads within one workspace. Statements see it as $1; own arguments start at $2."""

    __slots__ = ("_con", "workspace_id")

    def __init__(self, connection: "Connection", workspace_id: UUID) -> None:
        self._con = connection
        self.workspace_id = workspace_id

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

    __slots__ = ("actor", "actor_name", "changes", "origin")

    def __init__(
        self, connection: "Connection", workspace_id: UUID, actor: str, origin: str = "live", actor_name: str = ""
    ) -> None:
        super().__init__(connection, workspace_id)
        self.actor = actor
        self.actor_name = actor_name or actor
        self.origin = origin
        self.changes: list[Change] = []

    async def run(self, sql: str, *args: object) -> int:
        """Runs a statement; returns how many rows it touched."""
        done = await self._con.execute(sql, self.workspace_id, *args)
        last = done.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

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
        async with self._con.transaction():
            yield


class Database:
    """A pool of connections that belong to the application's role. Open with `Database.open`."""

    def __init__(self, pool: "Pool", acquire_timeout_s: float) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self._in_use = 0

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
            "jit": "off",
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
        try:
            await asyncio.wait_for(self._pool.close(), 10)
        except TimeoutError:
            self._pool.terminate()

    def in_use(self) -> tuple[int, int, int]:
        """Connections in use, open, and how many there may be."""
        size = self._pool.get_size()
        return size - self._pool.get_idle_size(), size, self._pool.get_max_size()

    async def _acquire(self, workspace_id: UUID | None, plan: str) -> "Connection":
        """A connection whose session is set to this workspace. Give it back with `_release`."""
        # A time limit costs a task of its own; who finds a connection free does not wait.
        is_free = self._in_use < self._pool.get_max_size()
        self._in_use += 1
        try:
            con = await self._pool.acquire(timeout=None if is_free else self._acquire_timeout_s)
        except BaseException as error:
            self._in_use -= 1
            if isinstance(error, TimeoutError):
                raise OverCapacity(headers={"Retry-After": "1"}) from None
            raise
        wanted = (str(workspace_id) if workspace_id else "", plan)
        # The pool hands out proxies; the connection behind one remembers what it was set to.
        behind = cast("_WorkspaceConnection", con._con)  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]
        if behind.entered != wanted:
            # Cancelled on the way, nobody knows what the session is set to.
            behind.entered = ("?", "?")
            try:
                await con.execute(ENTER, *wanted)
            except BaseException:
                await self._release(cast("Connection", con))
                raise
            behind.entered = wanted
        return cast("Connection", con)

    async def _release(self, con: "Connection") -> None:
        self._in_use -= 1
        await self._pool.release(cast("Any", con))

    @asynccontextmanager
    async def _connection(self, workspace_id: UUID | None, plan: str) -> "AsyncGenerator[Connection]":
        con = await self._acquire(workspace_id, plan)
        try:
            yield con
        finally:
            await self._release(con)

    def reader(self, workspace_id: UUID, *, search: bool = False) -> AbstractAsyncContextManager[Reader]:
        """A handle that reads in this workspace; each statement sees what is committed when it starts.

        `search` plans every statement anew for its values: a plan kept from one search term is wrong for the next.
        """
        return _Reading(self, workspace_id, "force_custom_plan" if search else "auto")

    @asynccontextmanager
    async def tx(
        self, workspace_id: UUID, *, actor: str = "system", origin: str = "live", actor_name: str = ""
    ) -> AsyncGenerator[Tx]:
        """A transaction in this workspace: committed when the block ends, rolled back when it raises."""
        async with self._connection(workspace_id, "auto") as con, con.transaction():
            yield Tx(con, workspace_id, actor, origin, actor_name)

    @asynccontextmanager
    async def snapshot(self, workspace_id: UUID) -> AsyncGenerator[Reader]:
        """A handle whose statements all see one moment and may take as long as they need; it cannot write."""
        async with (
            self._connection(workspace_id, "auto") as con,
            con.transaction(isolation="repeatable_read", readonly=True),
        ):
            await con.execute(UNHURRIED)
            yield Reader(con, workspace_id)

    @asynccontextmanager
    async def across(self) -> "AsyncGenerator[Connection]":
        """A connection outside any workspace, for the functions of 0007_fence_across.sql; it sees no tenant row."""
        async with self._connection(None, "auto") as con:
            yield con


class _Reading(AbstractAsyncContextManager[Reader]):
    """What `Database.reader` returns: every read goes through it, and a generator would cost twice as much."""

    __slots__ = ("_con", "_database", "_plan", "_workspace_id")

    def __init__(self, database: Database, workspace_id: UUID, plan: str) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._plan = plan

    async def __aenter__(self) -> Reader:
        self._con = await self._database._acquire(self._workspace_id, self._plan)  # pyright: ignore[reportPrivateUsage]
        return Reader(self._con, self._workspace_id)

    async def __aexit__(self, *_: object) -> None:
        await self._database._release(self._con)  # pyright: ignore[reportPrivateUsage]
