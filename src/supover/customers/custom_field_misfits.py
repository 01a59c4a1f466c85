"""Values of custom fields that do not fit: how many, and whose.

Nothing says which they are but the values themselves. Customers are looked at in the order of their ids, a batch a statement;
patterns, which the database does not know, are held against the texts here.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final
from uuid import UUID

from supover.customers.custom_field_model import CustomField, CustomFieldMisfit
from supover.kit import clock, patterns
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort

BATCH: Final = 2_000
BATCH_WITH_PATTERN: Final = 200
AT_ONCE: Final = 20_000
SECONDS: Final = 3.0
"""So many customers, and for so long, a page of misfits or the count of a change looks at."""
_Row = tuple[UUID, str | None, Any, int, bool]
"""A customer's id, name and value, its place in the batch, and whether the database says that it does not fit."""
SORTS: Final = (Sort("customerId", "c.id", "c.id", UUID),)
_FIRST: Final = UUID(int=0)

# The last customer of the batch always, the others only with a value that does not fit or is still to be held against a pattern.
WALK: Final = """
    select b.id, b.name, b.value, b.n, b.value is not null and not b.fits
      from (select l.id, l.name, l.value, l.n, l.is_last,
                   l.value is null or ext.custom_fits(l.value, $3, $4) as fits
              from (select c.id, c.name, row_number() over w as n, lead(c.id) over w is null as is_last,
                           case when c.deleted_at is null and jsonb_typeof(c.custom_fields -> $2) <> 'null'
                                then c.custom_fields -> $2 end as value
                      from (select o.id, o.name, o.custom_fields, o.deleted_at from customer o
                             where o.workspace_id = $1 and o.id > $6
                             order by o.id
                             limit $7) as c
                    window w as (order by c.id)) as l) as b
     where b.is_last or not b.fits or ($5 and b.value is not null)
     order by b.id"""


async def walk(
    db: Reader, field: CustomField, after: UUID = _FIRST, at_once: int | None = None
) -> AsyncGenerator[tuple[UUID, CustomFieldMisfit | None]]:
    """The misfits behind this customer, each with the customer's id; and, with None, how far was looked.

    Ends after `at_once` customers, or with the last one of all: then the last thing told is a None with the id 0.
    """
    looked, has_pattern = 0, field.pattern is not None
    size = BATCH_WITH_PATTERN if has_pattern else BATCH
    until = clock.monotonic_s() + SECONDS
    while at_once is None or (looked < at_once and clock.monotonic_s() < until):
        asked = (field.key, field.type, list(field.choices), has_pattern, after, size)
        rows: list[_Row] = await db.rows(WALK, *asked)  # pyright: ignore[reportAssignmentType]
        # Beside the event loop: a pattern can take milliseconds a text.
        wrong = rows if field.pattern is None else await asyncio.to_thread(_unlike, field.pattern, rows)
        for id, name, value, _, is_misfit in wrong:
            if is_misfit or field.pattern is not None:
                yield id, CustomFieldMisfit(id, name, value)
        if not rows or rows[-1][3] < size:
            yield _FIRST, None
            return
        looked += size
        after = rows[-1][0]
        yield after, None


def _unlike(pattern: str, rows: Sequence[_Row]) -> list[_Row]:
    """Of a batch those whose value does not fit."""
    return [r for r in rows if r[4] or (isinstance(r[2], str) and not patterns.fits(pattern, r[2]))]


async def count(db: Reader, field: CustomField) -> int:
    """How many living customers have a value that is not what the field asks for: a pass over all customers."""
    found = 0
    async for _, misfit in walk(db, field):
        found += misfit is not None
    return found


async def count_few(db: Reader, field: CustomField) -> int | None:
    """As `count`, but None where there are too many customers to look at all of them at once."""
    found, through = 0, None
    async for id, misfit in walk(db, field, at_once=AT_ONCE):
        found += misfit is not None
        through = id
    return found if through == _FIRST else None


async def search(
    db: Reader, field: CustomField, page: Page, *, counted: bool = False
) -> tuple[list[CustomFieldMisfit], str | None, int | None]:
    """A page of misfits, the cursor of the next one, and how many there are where asked.

    The page may be short, or empty, while there are more: it ends where enough customers were looked at.
    """
    total = await count(db, field) if counted else None
    after = _FIRST if page.after is None else page.after[1]
    found: list[CustomFieldMisfit] = []
    through = _FIRST
    async with aclosing(walk(db, field, after, AT_ONCE)) as looked:
        async for id, misfit in looked:
            through = id
            if misfit is not None:
                found.append(misfit)
            if len(found) == page.limit:
                break
    return found, None if through == _FIRST else page.cursor(through, through), total
