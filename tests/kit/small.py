"""The smallest application on the whole edge: one noun, one caller who may do everything, and an audit row a write."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.kit import edge, ids, problems
from supover.kit.api import Answer, Cursor, Door, IfMatch, Limit, Raw, Routes, version_of
from supover.kit.db import Database, Reader, Tx
from supover.kit.sql import Listing
from tests import makers


class Asking(msgspec.Struct, frozen=True):
    """Who asks in these tests."""

    workspace_id: UUID
    actor: str = "key:small"
    name: str = "Small"

    def may(self, permission: str) -> bool:
        return permission == "small"


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A part of a thing."""

    how_many: int


class NewThing(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a thing is made from."""

    name: str
    amount: Decimal = Decimal(0)
    count: int = 0
    parts: list[Part] = []
    meta: dict[str, Any] = {}


class Thing(msgspec.Struct, frozen=True, rename="camel"):
    """A thing."""

    id: UUID
    name: str
    version: int


class ThingNotFound(problems.NotFound):
    """There is no such thing."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What should go wrong."""

    kind: str
    times: int = 10**6


COUNT = "select count(*) from customer_stale where workspace_id = $1"
ADD = "insert into customer_stale (workspace_id, customer_id) values ($1, $2)"
WHERE = " where $1::uuid is not null"
ERRORS: dict[str, Callable[[], Exception]] = {
    "bug": lambda: RuntimeError("the password is hunter2"),
    "missing": ThingNotFound,
    "unique": lambda: asyncpg.UniqueViolationError("duplicate key"),
    "deadlock": lambda: asyncpg.DeadlockDetectedError("deadlock"),
    "away": lambda: ConnectionResetError("gone"),
    "closed": lambda: asyncpg.InterfaceError("connection is closed"),
    "shutdown": lambda: asyncpg.AdminShutdownError("terminating"),
    "starting": lambda: asyncpg.CannotConnectNowError("starting up"),
    "slow": lambda: asyncpg.QueryCanceledError("statement timeout"),
    "locked": lambda: asyncpg.LockNotAvailableError("lock timeout"),
    "timeout": TimeoutError,
    "range": lambda: asyncpg.NumericValueOutOfRangeError("out of range"),
}

routes = Routes("small")
tried: list[str] = []


@routes.get("/api/things/{id:uuid}")
async def find(db: Reader, id: UUID) -> Thing:
    """Find a thing."""
    if await db.value("select 1 from customer_stale where workspace_id = $1 and customer_id = $2", id) is None:
        raise ThingNotFound
    return Thing(id, "thing", 3)


@routes.get("/api/things", search=lambda request: "name" in request.query_params)
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    name: Annotated[str | None, QueryParameter(name="name", required=False)] = None,
    at_least: Annotated[int | None, QueryParameter(name="atLeast", required=False)] = None,
) -> Listing[str]:
    """List how statements are planned."""
    del limit, cursor, name, at_least
    return Listing([await db.value("select current_setting('plan_cache_mode')" + WHERE)], "next-one")


@routes.post("/api/things", status=201)
async def create(tx: Tx, data: NewThing) -> Answer[Thing]:
    """Make a thing."""
    id = ids.new()
    await tx.run(ADD, id)
    tx.changed("thing", id, None, data, ("name",))
    if data.name == "slow":
        await asyncio.sleep(0.2)
    return Answer(Thing(id, data.name, 1), 201, {"Location": f"/api/things/{id}"})


@routes.post("/api/secrets", status=201)
async def secret(tx: Tx, data: NewThing) -> Answer[Thing]:
    """Make a thing that is shown once."""
    del tx
    return Answer(Thing(ids.new(), data.name, 1), 201, kept=Thing(UUID(int=0), "hidden", 1))


@routes.post("/api/plain")
async def plain(tx: Tx) -> None:
    """Do nothing, and ask for no body."""
    del tx


@routes.patch("/api/things/{id:uuid}")
async def change(tx: Tx, id: UUID, if_match: IfMatch = None) -> Thing:
    """Change a thing."""
    del tx
    return Thing(id, str(version_of(if_match)), 4)


@routes.delete("/api/things/{id:uuid}")
async def delete(tx: Tx, id: UUID) -> None:
    """Remove a thing."""
    await tx.run("delete from customer_stale where workspace_id = $1 and customer_id = $2", id)


@routes.get("/api/files/{name:str}")
async def file(db: Reader, name: str, request: Request[Any, Any, Any]) -> Raw:
    """Send a file."""
    del db, request
    return Raw(name.encode(), "text/csv; charset=utf-8", headers={"Content-Disposition": "attachment"})


@routes.post("/api/fail")
async def fail(tx: Tx, data: Order) -> None:
    """Go wrong, the first so many times."""
    await tx.run(ADD, ids.new())
    tried.append(data.kind)
    if data.kind == "sleep":
        await tx.value("select pg_sleep(20)" + WHERE)
    elif len(tried) <= data.times:
        raise ERRORS[data.kind]()


class Small(httpx.AsyncClient):
    """A client of it."""

    audited: list[tuple[str, UUID | None, int]]
    workspace_id: UUID
    app: edge.Edge

    async def effects(self, db: Database) -> int:
        """How many rows its writes have left."""
        async with db.reader(self.workspace_id) as reader:
            return await reader.value(COUNT)


@asynccontextmanager
async def small(db: Database, **more: Any) -> AsyncGenerator[Small]:
    """The application in a workspace of its own."""
    shop = await makers.make_workspace(more.pop("made_in", db))
    audited: list[tuple[str, UUID | None, int]] = []

    async def authenticate(connection: Any) -> Asking:
        return Asking(shop.id, connection.headers.get("x-who", "key:small"))

    async def audit(tx: Tx, operation: str, subject: UUID | None, request: Any) -> None:
        del request
        audited.append((operation, subject, len(tx.changes)))

    permissions = {str(handler.opt["operation"]): "small" for handler in routes.handlers} | {"small.file": "nobody's"}
    door = Door(db, authenticate, audit, permissions)
    app = edge.Edge(edge.build(door, routes.handlers, body_max_bytes=10_000, openapi=None))
    transport = httpx.ASGITransport(app=app)  # pyright: ignore[reportArgumentType]
    async with Small(transport=transport, base_url="http://small.test") as client:
        client.audited, client.workspace_id, client.app = audited, shop.id, app
        tried.clear()
        yield client
