"""The web addresses of the timeline and of the event feed."""

import re
from typing import Annotated, Final
from uuid import UUID

from litestar.params import Parameter

from supover.customers import queries as customers
from supover.kit import sql
from supover.kit.api import Cursor, Limit, Listing, Routes
from supover.kit.db import Reader
from supover.kit.sql import CursorBroken
from supover.timeline import queries
from supover.timeline.model import Entry

routes = Routes("timeline")
event_routes = Routes("events")

START: Final = (0, UUID(int=0))
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")

Types = Annotated[list[str] | None, Parameter(query="type", required=False, description="Only these kinds; repeat for several.")]


@routes.get("/api/customers/{id:uuid}/timeline")
async def search(db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None, type: Types = None) -> Listing[Entry]:
    """List everything that happened to a customer, newest first."""
    await customers.exists(db, id)
    page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following = await queries.of_customer(db, id, page, type)
    return Listing(found, following)


@event_routes.get("/api/events", name="search")
async def feed(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    type: Types = None,
    customer_id: Annotated[UUID | None, Parameter(query="customerId", required=False)] = None,
) -> Listing[Entry]:
    """Read the event log, oldest first.

    For programs that catch up: keep `nextCursor`, which is always there, and ask again with it. No event is ever skipped; one
    whose transaction is still running, and those behind it, come with a later page.
    """
    size = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None).limit
    found, (tx, id) = await queries.feed(db, START if cursor is None else _place(cursor), type, customer_id, size)
    return Listing(found, f"{tx}-{id.hex}")


def _place(cursor: str) -> tuple[int, UUID]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise CursorBroken
    return int(found[1]), UUID(found[2])
