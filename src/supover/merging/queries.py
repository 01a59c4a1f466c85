"""Merges are found and listed, and what they did is counted."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.customers import merge_rows
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where
from supover.merging import rules
from supover.merging.model import Merge, MergeNotFound, NotPutBack

_COLUMNS: Final = """m.id, m.primary_id, m.duplicate_ids, m.fields, m.moved, m.joined, m.actor, m.actor_name, m.merged_at,
           m.undone_at, m.undone_by, m.undone_by_name, m.put_back, m.kept, m.kept_count"""
FIND: Final = f"""
    select {_COLUMNS}
      from customer_merge m
     where m.workspace_id = $1 and m.id = $2"""
SORTS: Final = (Sort("mergedAt", "m.id", "m.id", UUID, descending_first=True),)
LIST: Final = f"""
    select {_COLUMNS}
      from customer_merge m
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = "select count(*) from customer_merge m where {where}"


async def find(db: Reader, id: UUID) -> Merge:
    """One merge. Raises MergeNotFound."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise MergeNotFound
    return _merge(rows[0])


def _merge(row: Sequence[Any]) -> Merge:
    *before, merged_at, undone_at, undone_by, undone_by_name, put_back, kept, kept_count = row
    return Merge(
        *before,
        merged_at=merged_at,
        undoable_until=merged_at + merge_rows.KEPT,
        undone_at=undone_at,
        undone_by=undone_by,
        undone_by_name=undone_by_name,
        put_back=put_back,
        not_put_back=msgspec.convert(kept, list[NotPutBack]),
        not_put_back_count=kept_count,
    )


async def search(
    db: Reader, page: Page, *, customer_id: UUID | None, count: bool = False
) -> tuple[list[Merge], str | None, int | None]:
    """A page of merges, the newest first, the cursor of the next, and how many there are where asked.

    Of a customer: those that it was merged in, as the survivor or into another.
    """
    where = Where("m.workspace_id = $1")
    if customer_id is not None:
        asked = where.arg(customer_id)
        where.also(f"(m.primary_id = {asked} or m.duplicate_ids @> array[{asked}]::uuid[])")
    total = await db.value(COUNT.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    sql = LIST.format(where=where.text(), order=page.order(), limit=page.rows())
    found = [_merge(row) for row in await db.rows(sql, *where.values)]
    if len(found) <= page.limit:
        return found, None, total
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.id, last.id), total


COUNTED: Final = """
    select r.kind, r.deed, count(*), count(r.stayed)
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2
     group by r.kind, r.deed"""
_NOT_ROWS: Final = frozenset({"customer", "customer/lacking", "consent_entry/since"})


async def counted(db: Reader, merge_id: UUID) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """How many rows of each kind a merge moved, and how many were there already."""
    moved: dict[str, int] = {"orders": 0, "addresses": 0, "notes": 0, "identities": 0}
    joined: dict[str, int] = {}
    for kind, deed, number, _ in await db.rows(COUNTED, merge_id):
        name = rules.KINDS.get(kind)
        if name is None or kind in _NOT_ROWS:
            continue
        if deed == "removed":
            joined[name] = number
        else:
            moved[name] = moved.get(name, 0) + number
    return moved, joined


async def put_back(db: Reader, merge_id: UUID) -> Mapping[str, int]:
    """How many rows of each kind an undo has put back."""
    found: dict[str, int] = {}
    for kind, deed, number, stayed in await db.rows(COUNTED, merge_id):
        name = rules.KINDS.get(kind)
        if name is None or (kind in _NOT_ROWS and not (kind == "customer" and deed == "moved")):
            continue
        if number > stayed:
            found[name] = found.get(name, 0) + number - stayed
    return found


STAYED: Final = """
    select r.kind, r.row_id, r.former_id, r.stayed
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.stayed is not null
     order by r.kind, r.row_id"""


async def stayed(db: Reader, merge_id: UUID) -> list[NotPutBack]:
    """What an undo has left where it is."""
    return [
        NotPutBack(rules.KINDS.get(kind, kind), row_id, former_id, why)
        for kind, row_id, former_id, why in await db.rows(STAYED, merge_id)
    ]


# A merge that the survivor took part in since.
ON_TOP: Final = """
    select m.id from customer_merge m
     where m.workspace_id = $1 and m.id > $2 and m.undone_at is null
       and (m.primary_id = $3 or m.duplicate_ids @> array[$3]::uuid[])
     order by m.id desc
     limit 1"""


async def on_top(db: Reader, merge_id: UUID, primary_id: UUID) -> UUID | None:
    """The latest merge of the same survivor after this one that is not undone."""
    return await db.value(ON_TOP, merge_id, primary_id)


ERASED: Final = """
    select c.id from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.erased_at is not null
     limit 1"""


async def erased_of(db: Reader, customer_ids: Sequence[UUID]) -> UUID | None:
    """One of these who was erased."""
    return await db.value(ERASED, list(customer_ids))
