"""The web addresses of channel connections."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from supover.channels import commands, queries, sealing
from supover.channels.model import Connection, ConnectionChange, NewConnection, Rotation
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, PageNumber, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.kit.sql import page

routes = Routes("channels")
AnyRequest = Request[Any, Any, Any]


def _hooks(request: AnyRequest) -> str:
    return sealing.hooks(request.app.state.settings)


@routes.get("/api/channels", search=True)
async def search(
    db: Reader,
    request: AnyRequest,
    disconnected: Annotated[
        bool | None, QueryParameter(name="disconnected", required=False, description="Those that ended, too.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: Annotated[
        str | None, QueryParameter(name="sort", required=False, description="createdAt or -createdAt.")
    ] = None,
    count: Count = None,
) -> Listing[Connection]:
    """List the shops that are connected.

    The newest first.
    """
    asked = page(queries.SORTS, limit=limit, sort=sort, cursor=cursor, number=number)
    return await queries.search(db, _hooks(request), asked, ended=bool(disconnected), count=bool(count))


@routes.post("/api/channels", status=201)
async def create(tx: Tx, request: AnyRequest, data: NewConnection) -> Answer[Connection]:
    """Connect a shop.

    Point its webhooks to the `webhookUrl` of the answer. The secret is what the platform signs them with (Shopify: the
    app's client secret, or the one that the shop's notification settings show); it is sealed and never shown again. 409
    names the connection that the shop has already.
    """
    sealer = sealing.sealer(request.app.state.settings)
    made = await commands.connect(tx, _hooks(request), sealer, data)
    return Answer(made, 201, {"Location": f"/api/channels/{made.id}"})


@routes.get("/api/channels/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID) -> Connection:
    """Read a connection, also one that has ended."""
    return await queries.find(db, _hooks(request), id)


@routes.patch("/api/channels/{id:uuid}")
async def change(tx: Tx, request: AnyRequest, id: UUID, data: ConnectionChange, if_match: IfMatch = None) -> Connection:
    """Rename a connection."""
    return await commands.change(tx, _hooks(request), id, data, version_of(if_match))


@routes.post("/api/channels/{id:uuid}/rotate")
async def rotate(tx: Tx, request: AnyRequest, id: UUID, data: Rotation, if_match: IfMatch = None) -> Connection:
    """Give a connection a new secret.

    The one before is accepted for `overlapHours` more: a platform may take a while until it signs with the new one
    (Shopify: up to an hour).
    """
    sealer = sealing.sealer(request.app.state.settings)
    return await commands.rotate(tx, _hooks(request), sealer, id, data, version_of(if_match))


@routes.delete("/api/channels/{id:uuid}")
async def disconnect(tx: Tx, request: AnyRequest, id: UUID, if_match: IfMatch = None) -> None:
    """Disconnect a shop.

    Its secrets are forgotten and, within five seconds, nothing of it is accepted any more. What it sent stays.
    """
    await commands.disconnect(tx, _hooks(request), id, version_of(if_match))
