"""Messages are found and listed."""

from datetime import datetime
from typing import Final
from uuid import UUID

from supover.inbox.model import BodyForgotten, Message, MessageNotFound, Status
from supover.kit import ids
from supover.kit.db import Reader
from supover.kit.sql import Listing, Page, Sort, Where

_COLUMNS: Final = """m.id, m.connection_id, c.platform, c.shop, m.topic, m.delivery_id, m.event_id, m.api_version, m.triggered_at, m.status,
           m.attempts, m.reason, m.waits_for, case when m.status = 'pending' then m.due_at end, m.order_id, m.customer_id, m.size,
           m.body is not null, m.received_at, m.settled_at"""
FIND: Final = f"""
    select {_COLUMNS}
      from inbox_message m
      join channel_connection c on c.workspace_id = $1 and c.id = m.connection_id
     where m.workspace_id = $1 and m.id = $2"""


async def find(db: Reader, id: UUID) -> Message:
    """One message. Raises MessageNotFound."""
    return await db.one(Message, FIND, id, missing=MessageNotFound)


BODY: Final = "select body from inbox_message where workspace_id = $1 and id = $2"


async def body(db: Reader, id: UUID) -> bytes:
    """The bytes as they came. Raises MessageNotFound, BodyForgotten."""
    found = await db.value(BODY, id)
    if found is None:
        await find(db, id)
        raise BodyForgotten
    return found


# Ids are in the order in which the messages arrived.
SORTS: Final = (Sort("receivedAt", "m.id", "m.id", UUID, descending_first=True),)
SEARCH: Final = f"""
    select {_COLUMNS}
      from inbox_message m
      join channel_connection c on c.workspace_id = $1 and c.id = m.connection_id
     where {{}}
     order by {{}}
     limit {{}}"""
COUNT: Final = "select count(*) from inbox_message m where {}"


async def search(
    db: Reader,
    page: Page,
    *,
    status: Status | None = None,
    connection_id: UUID | None = None,
    topic: str | None = None,
    received_from: datetime | None = None,
    received_to: datetime | None = None,
    count: bool = False,
) -> Listing[Message]:
    """A page of messages, the newest first; cheap in a search handle."""
    where = Where("m.workspace_id = $1")
    if status is not None:
        where.add("m.status = {}", status)
    if connection_id is not None:
        where.add("m.connection_id = {}", connection_id)
    if topic is not None:
        where.add("m.topic = {}", topic)
    if received_from is not None:
        where.add("m.id >= {}", ids.first_at(received_from))
    if received_to is not None:
        where.add("m.id < {}", ids.first_at(received_to))
    total = await db.value(COUNT.format(where.text()), *where.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = (await db.all(Message, SEARCH.format(where.text(), page.order(), limit), *where.values))[page.skip :]
    data = found[: page.limit]
    return Listing(data, page.cursor(data[-1].id, data[-1].id) if len(found) > page.limit else None, total)
