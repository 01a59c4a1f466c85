"""Segments are found and listed, with their members and their growth."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.customers import filtering
from supover.customers import queries as customers
from supover.customers.model import Customer
from supover.kit import clock, filters
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where
from supover.segments.model import Growth, Membership, Named, Segment, SegmentNotFound

# --- segments --------------------------------------------------------------------------------------------------------

SORTS: Final = (
    Sort("name", "lower(g.name)", "g.id", str),
    Sort("members", "g.members", "g.id", int, descending_first=True),
    Sort("createdAt", "g.created_at", "g.id", datetime, descending_first=True),
)

# The marks stand in the order in which they were made, but for transactions that overlap: of the first thousand the
# oldest is asked for.
_OLDEST: Final = """(select min(f.marked_at) from (
                 select s.marked_at from {} s where s.workspace_id = $1 order by s.id limit 1000) as f)"""
_AS_OF: Final = f"""case when g.complete
                then least($2::timestamptz, g.stale_since,
                           case when g.is_relative and g.evaluated_on < ($2::timestamptz at time zone w.timezone)::date
                                then g.evaluated_at end,
                           {_OLDEST.format("segment_stale")},
                           {_OLDEST.format("customer_stale")})
                else g.evaluated_at end"""
_COLUMNS: Final = f"""g.id, g.kind, g.name, g.description, g.filter, null::text, g.built_in, g.members, g.complete,
           g.wanted_at is not null, {_AS_OF}, g.evaluated_at, g.is_relative, g.error, g.created_by, g.created_by_name,
           g.created_at, g.updated_at, g.version"""
FIND: Final = f"""
    select {_COLUMNS}
      from segment g
      join workspace w on w.workspace_id = $1
     where g.workspace_id = $1 and g.id = $3"""


async def find(db: Reader, id: UUID, scope: filters.Scope | None = None) -> Segment:
    """One segment; `scope` spares who has it another reading. Raises SegmentNotFound."""
    [shown] = await _described(db, [await find_plain(db, id)], scope)
    return shown


async def find_plain(db: Reader, id: UUID) -> Segment:
    """One segment without its filter in words. Raises SegmentNotFound."""
    return await db.one(Segment, FIND, clock.now(), id, missing=SegmentNotFound)


FIND_THESE: Final = f"""
    select {_COLUMNS}
      from segment g
      join workspace w on w.workspace_id = $1
     where g.workspace_id = $1 and g.id = any($3::uuid[])
     order by lower(g.name), g.id"""


async def find_these(db: Reader, ids: Sequence[UUID]) -> list[Segment]:
    """The segments of these ids, by name."""
    return await _described(db, await db.all(Segment, FIND_THESE, clock.now(), list(ids)))


KIND: Final = "select g.kind from segment g where g.workspace_id = $1 and g.id = $2"


async def exists(db: Reader, id: UUID) -> str:
    """The kind of a segment. Raises SegmentNotFound."""
    kind = await db.value(KIND, id)
    if kind is None:
        raise SegmentNotFound
    return kind


LIST: Final = f"""
    select {{key}}, {_COLUMNS}
      from segment g
      join workspace w on w.workspace_id = $1
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = "select count(*) from segment g where {where}"


async def search(
    db: Reader, page: Page, *, name: str = "", kind: str | None = None, count: bool = False
) -> tuple[list[Segment], str | None, int | None]:
    """A page of segments, the cursor of the next, and how many there are where asked; `name` is any part of it."""
    found, following, total = await search_plain(db, page, name=name, kind=kind, count=count)
    return await _described(db, found), following, total


async def search_plain(
    db: Reader, page: Page, *, name: str = "", kind: str | None = None, count: bool = False
) -> tuple[list[Segment], str | None, int | None]:
    """As `search`, without the filters in words."""
    counted = _where(Where("g.workspace_id = $1"), name, kind)
    total = await db.value(COUNT.format(where=counted.text()), *counted.values) if count else None
    where = Where("g.workspace_id = $1")
    where.arg(clock.now())
    _where(where, name, kind)
    page.seek(where)
    rows = await db.rows(
        LIST.format(key=page.sort.key, where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    found = [Segment(*row[1:]) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None, total
    return found, page.cursor(rows[page.limit - 1][0], found[-1].id), total


def _where(where: Where, name: str, kind: str | None) -> Where:
    if name:
        where.add("ext.fold(g.name) like ext.search_pattern({})", name)
    if kind is not None:
        where.add("g.kind = {}", kind)
    return where


async def _described(db: Reader, found: Sequence[Segment], scope: filters.Scope | None = None) -> list[Segment]:
    """With the filters in words."""
    rules = await rules_of(db, found, scope)
    told = {id: filters.describe(tree) for id, tree in rules.items()}
    return [msgspec.structs.replace(segment, filter_description=told.get(segment.id)) for segment in found]


async def rules_of(
    db: Reader, found: Sequence[Segment], scope: filters.Scope | None = None
) -> dict[UUID, filters.Tree]:
    """What the filters of these ask; one that cannot be read any more is left out, and so is a long one among others."""
    if not any(segment.filter for segment in found):
        return {}
    known = scope or await filtering.scope(db)
    trees: dict[UUID, filters.Tree] = {}
    for segment in found:
        if segment.filter is None or (len(found) > 1 and len(segment.filter) > filtering.SHORT):
            continue
        with suppress(filters.FilterInvalid):
            trees[segment.id] = await filtering.parsed(segment.filter, known)
    return trees


NAMES: Final = """
    select g.id, g.name, g.kind
      from segment g
     where g.workspace_id = $1
     order by lower(g.name), g.id
     limit $2"""


async def names(db: Reader, most: int) -> list[Named]:
    """What the segments are called, by name; so many at most."""
    return await db.all(Named, NAMES, most)


# --- who is in one ---------------------------------------------------------------------------------------------------

MEMBER_SORTS: Final = (
    Sort("enteredAt", "s.entered_at", "s.customer_id", datetime, descending_first=True),
    Sort("createdAt", "c.created_at", "c.id", datetime, descending_first=True),
)
MEMBERS: Final = """
    select {key}, s.customer_id
      from segment_member s
      join customer c on c.workspace_id = $1 and c.id = s.customer_id
     where {where}
     order by {order}
     limit {limit}"""
COUNT_MEMBERS: Final = """
    select count(*)
      from segment_member s
      join customer c on c.workspace_id = $1 and c.id = s.customer_id
     where s.workspace_id = $1 and s.segment_id = $2 and c.deleted_at is null"""


async def members(
    db: Reader, id: UUID, page: Page, *, count: bool = False
) -> tuple[list[Customer], str | None, int | None]:
    """A page of a segment's living members, the cursor of the next, and how many there are where asked."""
    total = await db.value(COUNT_MEMBERS, id) if count else None
    where = Where("s.workspace_id = $1")
    where.add("s.segment_id = {} and c.deleted_at is null", id)
    page.seek(where)
    rows = await db.rows(
        MEMBERS.format(key=page.sort.key, where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    shown = rows[: page.limit]
    found = await customers_of(db, [row[1] for row in shown])
    if len(rows) <= page.limit:
        return found, None, total
    return found, page.cursor(*shown[-1]), total


async def customers_of(db: Reader, ids: Sequence[UUID]) -> list[Customer]:
    """The living customers of these ids, in this order, as the customers' list shows them."""
    if not ids:
        return []
    where = Where("c.workspace_id = $1", "c.deleted_at is null")
    where.add("c.id = any({}::uuid[])", list(ids))
    sql = customers.LIST.format(key="c.id", where=where.text(), order="c.id", limit=str(len(ids)))
    found: dict[UUID, Customer] = {row[0]: Customer(*row[1:]) for row in await db.rows(sql, *where.values)}
    return [found[id] for id in ids if id in found]


# --- which one is in -------------------------------------------------------------------------------------------------

MEMBERSHIP_SORTS: Final = (
    Sort("enteredAt", "s.entered_at", "s.segment_id", datetime, descending_first=True),
    Sort("name", "lower(g.name)", "g.id", str),
)
MEMBERSHIPS: Final = """
    select {key}, g.id, g.name, g.kind, s.entered_at
      from segment_member s
      join segment g on g.workspace_id = $1 and g.id = s.segment_id
     where {where}
     order by {order}
     limit {limit}"""
COUNT_MEMBERSHIPS: Final = """
    select count(*)
      from segment_member s
      join segment g on g.workspace_id = $1 and g.id = s.segment_id
     where s.workspace_id = $1 and s.customer_id = $2"""


async def memberships(
    db: Reader, customer_id: UUID, page: Page, *, count: bool = False
) -> tuple[list[Membership], str | None, int | None]:
    """A page of the segments that a customer is in, the cursor of the next, and how many there are where asked."""
    total = await db.value(COUNT_MEMBERSHIPS, customer_id) if count else None
    where = Where("s.workspace_id = $1")
    where.add("s.customer_id = {}", customer_id)
    page.seek(where)
    rows = await db.rows(
        MEMBERSHIPS.format(key=page.sort.key, where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    found = [Membership(*row[1:]) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None, total
    return found, page.cursor(rows[page.limit - 1][0], found[-1].id), total


# --- growth ----------------------------------------------------------------------------------------------------------

GROWTH_SORTS: Final = (Sort("day", "d.day", "d.segment_id", date, descending_first=True),)
GROWTH: Final = """
    select d.day, d.members, d.entered, d.left_count
      from segment_day d
     where {where}
     order by {order}
     limit {limit}"""


async def growth(
    db: Reader, id: UUID, page: Page, *, since: date | None = None, until: date | None = None
) -> tuple[list[Growth], str | None]:
    """A page of a segment's days, the newest first unless asked otherwise."""
    where = Where("d.workspace_id = $1")
    where.add("d.segment_id = {}", id)
    if since is not None:
        where.add("d.day >= {}", since)
    if until is not None:
        where.add("d.day <= {}", until)
    page.seek(where)
    found = await db.all(
        Growth, GROWTH.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    shown: list[Any] = found[: page.limit]
    return shown, page.cursor(shown[-1].day, id) if len(found) > page.limit else None
