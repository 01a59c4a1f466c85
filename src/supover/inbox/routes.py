"""The web addresses of the inbox: where channels deliver, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from supover.inbox import commands, queries
from supover.inbox.model import DeliveryTooLarge, Message, Replay, Replayed, Status
from supover.inbox.receiver import Receiver
from supover.kit.api import Count, Cursor, Handler, Limit, Listing, PageNumber, Raw, Routes, Sent
from supover.kit.db import Reader, Tx
from supover.kit.sql import bound, page
from supover.orders import queries as orders

routes = Routes("inbox")
hooks = Routes("hooks")
AnyRequest = Request[Any, Any, Any]

DELIVERY_BYTES: Final = 5 << 20


async def receive(request: AnyRequest, connection_id: FromPath[str]) -> ASGIApp:
    """Deliver a channel's webhook.

    For the platform, which signs the body; there is no key. It is kept as it came, up to 5 MiB, and answered with 202 once
    that is committed; the same delivery again is answered alike and changes nothing. Whatever is not signed by a connected
    shop is answered with 401.
    """
    receiver: Receiver = request.app.state.receiver
    try:
        id = UUID(connection_id)
    except ValueError:
        id = None
    try:
        await receiver.take(id, dict(request.scope["headers"]), request.stream())
    except HTTPException as error:
        if error.status_code == 413:
            raise DeliveryTooLarge from None
        raise
    return Sent(b"", 202, {}, "text/plain")


@dataclass
class _Signed(Operation):
    """The body is the platform's own."""

    def __post_init__(self) -> None:
        anything = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT))
        self.request_body = RequestBody(content={"application/json": anything}, required=True)


hooks.handlers.append(
    Handler(
        "/hooks/channels/{connection_id:str}",
        http_method="POST",
        operation_id="hooks.receive",
        status_code=202,
        summary="Deliver a channel's webhook",
        description=" ".join((receive.__doc__ or "").split("\n\n", 1)[1].split()),
        tags=["Hooks"],
        opt={"operation": "hooks.receive"},
        request_max_body_size=DELIVERY_BYTES,
        operation_class=_Signed,
        responses={202: ResponseSpec(None, generate_examples=False, description="Kept.")},
    )(receive)
)


# Planned for its values: the index that serves the rare statuses is of no use to a plan for any status.
@routes.get("/api/inbox", search=True)
async def search(
    db: Reader,
    request: AnyRequest,
    status: Annotated[
        Status | None, QueryParameter(name="status", required=False, description="Only messages in this status.")
    ] = None,
    connection_id: Annotated[
        UUID | None, QueryParameter(name="connectionId", required=False, description="Only of this connection.")
    ] = None,
    topic: Annotated[
        str | None,
        QueryParameter(name="topic", required=False, description="Only of this topic, as in `orders/create`."),
    ] = None,
    received_from: Annotated[
        str | None, QueryParameter(name="receivedFrom", required=False, description="A date or time.")
    ] = None,
    received_to: Annotated[
        str | None,
        QueryParameter(name="receivedTo", required=False, description="A date, which counts whole, or a time."),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
    number: PageNumber = None,
    sort: Annotated[
        str | None, QueryParameter(name="sort", required=False, description="receivedAt or -receivedAt.")
    ] = None,
    count: Count = None,
) -> Listing[Message]:
    """List what channels sent.

    The newest first. `status=dead` shows what could not be taken, with its `reason`.
    """
    _, zone = await orders.currency_and_zone(db)
    return await queries.search(
        db,
        page(queries.SORTS, limit=limit, sort=sort, cursor=cursor, number=number),
        status=status,
        connection_id=connection_id,
        topic=topic,
        received_from=_bound(received_from, zone, "receivedFrom"),
        received_to=_bound(received_to, zone, "receivedTo", end=True),
        count=bool(count),
    )


def _bound(value: str | None, zone: Any, name: str, *, end: bool = False) -> datetime | None:
    return None if value is None else bound(value, zone, name, end=end)


@routes.get("/api/inbox/{id:uuid}")
async def find(db: Reader, id: UUID) -> Message:
    """Read a message and what became of it."""
    return await queries.find(db, id)


@routes.get("/api/inbox/{id:uuid}/body", media="application/octet-stream")
async def body(db: Reader, id: UUID) -> Raw:
    """Read a message as it came, byte for byte.

    409 once it was forgotten, thirty days after it was done.
    """
    headers = {"Content-Disposition": f'attachment; filename="{id}.json"'}
    return Raw(await queries.body(db, id), "application/octet-stream", headers=headers)


@routes.post("/api/inbox/{id:uuid}/replay")
async def replay(tx: Tx, id: UUID) -> Message:
    """Work a message off again.

    Whatever it did before it does not do twice: the same version of an order changes nothing. 409 once its body was forgotten.
    """
    return await commands.replay(tx, id)


@routes.post("/api/inbox/replay")
async def replay_many(tx: Tx, data: Replay) -> Replayed:
    """Work many messages off again.

    All that fit, the dead ones unless told, the oldest 10,000 at a time. Those whose body was forgotten stay as they are.
    """
    _, zone = await orders.currency_and_zone(tx)
    return await commands.replay_many(tx, data, zone)
