"""The web addresses of the timeline and of the event feed."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from litestar.params import QueryParameter

from supover.customers import queries as customers
from supover.kit import events, sql
from supover.kit.api import Cursor, Limit, Listing, Routes
from supover.kit.db import Reader
from supover.kit.problems import Invalid, worded
from supover.kit.sql import CursorBroken
from supover.timeline import queries
from supover.timeline.model import Entry

routes = Routes("timeline")
event_routes = Routes("events")

START: Final = (0, UUID(int=0))
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")

Types = Annotated[
    list[str] | None, QueryParameter(name="type", required=False, description="Only these kinds; repeat for several.")
]


@routes.get("/api/customers/{id:uuid}/timeline")
async def search(
    db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None, type: Types = None
) -> Listing[Entry]:
    """List everything that happened to a customer, newest first."""
    await customers.exists(db, id, "/timeline")
    types = _known(type)
    page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following = await queries.of_customer(db, id, page, types)
    return Listing(found, following)


@event_routes.get("/api/events", name="search")
async def feed(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    type: Types = None,
    customer_id: Annotated[UUID | None, QueryParameter(name="customerId", required=False)] = None,
) -> Listing[Entry]:
    """Read the event log, oldest first.

    For programs that catch up: keep `nextCursor`, which is always there, also on the last page, and ask again with it.
    No event is ever skipped or told twice; one whose transaction is still running, and those behind it, come with a
    later page. After a backup was restored some may be told again, by the same `id`.
    """
    size = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None).limit
    after = START if cursor is None else _place(cursor)
    found, (tx, id) = await queries.feed(db, after, _known(type), customer_id, size)
    return Listing(found, f"{tx}-{id.hex}")


def _known(types: Sequence[str] | None) -> Sequence[str] | None:
    """The kinds that are asked for. Raises Invalid for one that nothing publishes."""
    kinds = {kind.kind() for kind in events.kinds()}
    for type in types or ():
        if type not in kinds:
            near = difflib.get_close_matches(type, kinds, 1, cutoff=0.4)
            hint = worded(f"; did you mean {near[0]}?") if near else ""
            raise Invalid.at("type", "unknown", f"cannot be {type!r}{hint}")
    return types


def _place(cursor: str) -> tuple[int, UUID]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise CursorBroken
    return int(found[1]), UUID(found[2])
