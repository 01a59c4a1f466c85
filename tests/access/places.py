"""Makers: a workspace with its key and staff, and a client of the whole edge with only this room's routes behind it."""

from typing import Any

import httpx
import msgspec

from supover.access import audit, commands
from supover.access import routes as access
from supover.access.authenticate import Authenticator
from supover.access.model import AddedMember, Caller, CreatedKey, NewKey, NewStaff, NewWorkspace, Workspace, operator
from supover.access.permissions import PERMISSIONS, Role
from supover.kit import api, edge, ids
from supover.kit.db import Database
from supover.settings import Settings

PASSWORD = "correct horse battery"


class Place(msgspec.Struct, frozen=True):
    """A workspace with its first key, as the command line makes it."""

    db: Database
    workspace: Workspace
    key: CreatedKey

    @property
    def operator(self) -> Caller:
        return operator(self.workspace.id)

    async def staff(self, role: Role, email: str | None = None, password: str = PASSWORD) -> AddedMember:
        new = NewStaff(email=email or f"{role}-{ids.new().hex}@shop.example", name=f"The {role}", role=role)
        async with self.db.tx(self.workspace.id, actor="cli") as tx:
            return await commands.add_staff(tx, self.operator, new, password)

    async def new_key(self, *scopes: str, **more: Any) -> CreatedKey:
        new = NewKey(name="A key", scopes=list(scopes), **more)
        async with self.db.tx(self.workspace.id, actor="cli") as tx:
            return await commands.create_key(tx, self.operator, new, most_a_minute=None)


async def make_place(db: Database, currency: str = "EUR", timezone: str = "Europe/Berlin") -> Place:
    id = ids.new()
    async with db.tx(id, actor="cli") as tx:
        workspace = await commands.create_workspace(tx, NewWorkspace(name="Shop", currency=currency, timezone=timezone))
        key = await commands.create_key(
            tx, operator(id), NewKey(name="First key", scopes=["admin"]), most_a_minute=None
        )
    return Place(db, workspace, key)


class Client(httpx.AsyncClient):
    """An outside program, or a browser once it has signed in."""

    authenticator: Authenticator

    async def as_key(self, key: CreatedKey | str, method: str, path: str, **more: Any) -> httpx.Response:
        token = key if isinstance(key, str) else key.api_key
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self.request(method, path, headers=headers, **more)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        answer = await self.post("/api/session", json={"email": email, "password": password, **more})
        if answer.status_code == 200:
            self.headers["X-CSRF-Token"] = answer.json()["csrfToken"]
        return answer


def make_client(db: Database, configured: Settings, authenticator: Authenticator | None = None) -> Client:
    authenticator = authenticator or Authenticator(db, configured)
    door = api.Door(db, authenticator, audit.write_audit, PERMISSIONS)
    app = edge.build(door, access.routes.handlers, body_max_bytes=configured.body_max_bytes, openapi=None)
    scheme = configured.public_url.partition(":")[0]
    client = Client(transport=httpx.ASGITransport(app=edge.Edge(app)), base_url=f"{scheme}://shop.test")  # pyright: ignore[reportArgumentType]
    client.authenticator = authenticator
    return client
