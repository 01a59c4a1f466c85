"""Addresses are found and listed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from supover.addresses.model import Address, AddressNotFound
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where

_COLUMNS: Final = """a.id, a.customer_id, a.type, a.is_default, a.line1, a.line2, a.city, a.state, a.postal_code, a.country,
           a.recipient_name, a.phone, a.validated_at, a.validation_skipped, a.created_at, a.updated_at, a.version"""
FIND: Final = f"""
    select {_COLUMNS}
      from address a
     where a.workspace_id = $1 and a.customer_id = $2 and a.id = $3"""


async def find(db: Reader, customer_id: UUID, id: UUID) -> Address:
    """One address of this customer. Raises AddressNotFound."""
    return await db.one(Address, FIND, customer_id, id, missing=AddressNotFound)


SORTS: Final = (Sort("createdAt", "a.created_at", "a.id", datetime, descending_first=True),)
LIST: Final = f"""
    select {_COLUMNS}
      from address a
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = "select count(*) from address a where a.workspace_id = $1 and a.customer_id = $2"


async def search(db: Reader, customer_id: UUID, page: Page) -> tuple[Sequence[Address], str | None]:
    """A page of a customer's addresses, and the cursor of the next one."""
    where = Where("a.workspace_id = $1")
    where.add("a.customer_id = {}", customer_id)
    page.seek(where)
    found = await db.all(Address, LIST.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values)
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.created_at, last.id)


async def count(db: Reader, customer_id: UUID) -> int:
    """How many addresses a customer has."""
    return await db.value(COUNT, customer_id)
