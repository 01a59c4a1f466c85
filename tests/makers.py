"""What most tests begin with: a workspace of their own with a key, a client of the whole application, and rows made
through the API."""

import struct
import tempfile
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import httpx
import msgspec
import pytest

from supover import settings, wiring
from supover.access import commands as access
from supover.access.model import NewKey, NewWorkspace, operator
from supover.analytics import commands as analytics
from supover.kit import ids
from supover.kit.db import Database

Json = dict[str, Any]

_applications: WeakKeyDictionary[Database, Any] = WeakKeyDictionary()
_FILES: Final = tempfile.TemporaryDirectory(prefix="supover-tests-")


class Workspace(msgspec.Struct, frozen=True):
    """A seller, with a key that may do everything and has no rate limit."""

    id: UUID
    key: str


def png(width: int = 4, height: int = 3) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def make_workspace(db: Database, currency: str = "USD", timezone: str = "UTC") -> Workspace:
    """An empty workspace, as it is made where everybody listens."""
    wiring.load()
    id = ids.new()
    async with db.tx(id, actor="cli") as tx:
        await access.create_workspace(tx, NewWorkspace(name="A shop", currency=currency, timezone=timezone))
    return Workspace(id, await make_key(db, id, "admin"))


async def make_key(db: Database, workspace_id: UUID, *scopes: str) -> str:
    """One more key of a workspace, with these scopes and no rate limit."""
    async with db.tx(workspace_id, actor="cli") as tx:
        new = NewKey(name="A key", scopes=list(scopes))
        token = (await access.create_key(tx, operator(workspace_id), new, most_a_minute=None)).api_key
    assert token is not None
    return token


def application(db: Database) -> Any:
    """The whole application on this database; one for all tests of a worker."""
    if db not in _applications:
        _applications[db] = wiring.application(db, settings.load({}, Path(_FILES.name)))
    return _applications[db]


def client(db: Database, key: str | None = None) -> httpx.AsyncClient:
    """An outside program with this key, or without one. Use it as a context."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app=application(db))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers)


LET_GO = "update job set state = 'cancelled', finished_at = now() where workspace_id = $1 and state = 'running'"


@pytest.fixture
async def shop(db: Database) -> AsyncGenerator[Workspace]:
    """A workspace of the test's own, in dollars and UTC."""
    found = await make_workspace(db)
    yield found
    await let_go(db, found)


async def let_go(db: Database, shop: Workspace) -> None:
    """Lets go of the jobs that a test took in hand: a worker of a later test would wait for whatever somebody holds."""
    async with db.tx(shop.id) as tx:
        await tx.run(LET_GO)


@pytest.fixture
async def api(db: Database, shop: Workspace) -> AsyncGenerator[httpx.AsyncClient]:
    """An outside program with the shop's key."""
    async with client(db, shop.key) as found:
        yield found


def told(answer: httpx.Response, status: int = 200) -> Any:
    """The answer's JSON; the answer must have this status."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return answer.json() if answer.content else None


def pointers(answer: httpx.Response) -> list[str]:
    """The fields that a 422 names."""
    return [error["pointer"] for error in told(answer, 422)["errors"]]


async def make_customer(api: httpx.AsyncClient, **fields: Any) -> Json:
    """A customer, by default with nothing but a name; `_` in a field's name is camel case in JSON."""
    return told(await api.post("/api/customers", json=_camel(fields or {"name": "Ann Lee"})), 201)


async def make_address(api: httpx.AsyncClient, customer: Json, **fields: Any) -> Json:
    """An address in Berlin, or wherever told."""
    place = {"line1": "Torstr. 1", "city": "Berlin", "postal_code": "10119", "country": "DE"} | fields
    return told(await api.post(f"/api/customers/{customer['id']}/addresses", json=_camel(place)), 201)


async def make_order(api: httpx.AsyncClient, customer: Json | None = None, **fields: Any) -> Json:
    """An order of ten dollars, confirmed; of this customer if one is given."""
    order = {"total": "10.00", "status": "confirmed"} | fields
    if customer is not None:
        order["customer_id"] = customer["id"]
    return told(await api.post("/api/orders", json=_camel(order)), 201)


async def settle(db: Database, workspace: Workspace) -> None:
    """Refreshes the figures of all customers that wait for it."""
    while True:
        async with db.tx(workspace.id) as tx:
            if not await analytics.refresh(tx):
                return


async def logged(db: Database, workspace: Workspace, kind: str) -> list[Json]:
    """The data of all events of a kind, oldest first: from the log itself, as its feed waits for other tests' transactions."""
    async with db.reader(workspace.id) as reader:
        return await reader.column(
            "select e.data from event_log e where e.workspace_id = $1 and e.kind = $2 order by e.tx, e.id", kind
        )


def _camel(fields: Json) -> Json:
    def name(snake: str) -> str:
        head, *rest = snake.split("_")
        return head + "".join(part.capitalize() for part in rest)

    return {name(field): value for field, value in fields.items()}
