"""Connections are found and listed, never with their secrets."""

from typing import Final
from uuid import UUID

from supover.channels.model import Connection, ConnectionNotFound
from supover.kit.db import Reader
from supover.kit.sql import Listing, Page, Sort, Where

# $2 is where deliveries are sent to; the address ends with the connection's id.
_COLUMNS: Final = """c.id, c.platform, c.shop, c.name, $2::text || c.id, c.former_secret_until, c.last_received_at, c.created_at,
           c.updated_at, c.disconnected_at, c.version"""
FIND: Final = f"""
    select {_COLUMNS}
      from channel_connection c
     where c.workspace_id = $1 and c.id = $3"""


async def find(db: Reader, hooks: str, id: UUID) -> Connection:
    """One connection, also one that has ended; `hooks` is where its deliveries go to. Raises ConnectionNotFound."""
    return await db.one(Connection, FIND, hooks, id, missing=ConnectionNotFound)


SORTS: Final = (Sort("createdAt", "c.id", "c.id", UUID, descending_first=True),)
SEARCH: Final = f"""
    select {_COLUMNS}
      from channel_connection c
     where {{}}
     order by {{}}
     limit {{}}"""
COUNT: Final = "select count(*) from channel_connection c where {}"


async def search(
    db: Reader, hooks: str, page: Page, *, ended: bool = False, count: bool = False
) -> Listing[Connection]:
    """A page of connections, the newest first; with `ended` also those that have ended."""
    where, counted = Where("c.workspace_id = $1"), Where("c.workspace_id = $1")
    where.arg(hooks)
    for one in (where, counted):
        if not ended:
            one.add("c.disconnected_at is null")
    total = await db.value(COUNT.format(counted.text()), *counted.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = (await db.all(Connection, SEARCH.format(where.text(), page.order(), limit), *where.values))[page.skip :]
    data = found[: page.limit]
    return Listing(data, page.cursor(data[-1].id, data[-1].id) if len(found) > page.limit else None, total)
