"""Saved views: lists of customers that people keep under a name, for themselves or for all."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from supover.kit import ids
from supover.kit.db import Reader, Tx
from supover.kit.problems import Stale
from supover.kit.sql import Page, Sort, Where
from supover.segments import rules
from supover.segments.model import (
    NewView,
    TooManyViews,
    View,
    ViewChange,
    ViewNameTaken,
    ViewNotFound,
    ViewOfAnother,
    ViewReplacement,
)

MOST_VIEWS: Final = 200
_FIELDS: Final = ("name", "query", "is_shared", "position")

_COLUMNS: Final = (
    "v.id, v.name, v.query, v.is_shared, v.owner, v.owner_name, v.position, v.created_at, v.updated_at, v.version"
)
FIND: Final = f"""
    select {_COLUMNS}
      from saved_view v
     where v.workspace_id = $1 and v.id = $2 and (v.is_shared or v.owner = $3)"""


async def find(db: Reader, id: UUID, reader: str) -> View:
    """A view that is the reader's ('staff:ID', 'key:ID') or shared. Raises ViewNotFound."""
    return await db.one(View, FIND, id, reader, missing=ViewNotFound)


SORTS: Final = (
    Sort("position", "v.position", "v.id", int),
    Sort("name", "lower(v.name)", "v.id", str),
    Sort("createdAt", "v.created_at", "v.id", datetime, descending_first=True),
)
LIST: Final = f"""
    select {{key}}, {_COLUMNS}
      from saved_view v
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = """
    select count(*) from saved_view v where v.workspace_id = $1 and (v.is_shared or v.owner = $2)"""


async def search(
    db: Reader, page: Page, reader: str, *, count: bool = False
) -> tuple[list[View], str | None, int | None]:
    """A page of the views that are the reader's or shared, the cursor of the next, and how many there are where asked."""
    total = await db.value(COUNT, reader) if count else None
    where = Where("v.workspace_id = $1")
    where.add("(v.is_shared or v.owner = {})", reader)
    page.seek(where)
    rows = await db.rows(
        LIST.format(key=page.sort.key, where=where.text(), order=page.order(), limit=page.rows()), *where.values
    )
    found = [View(*row[1:]) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None, total
    return found, page.cursor(rows[page.limit - 1][0], found[-1].id), total


NAMED: Final = """
    select id from saved_view where workspace_id = $1 and owner = $2 and lower(name) = lower($3) and id <> $4"""
OWNED: Final = "select count(*) from saved_view where workspace_id = $1 and owner = $2"
ADD: Final = """
    insert into saved_view (workspace_id, id, name, query, is_shared, owner, owner_name, position)
    select $1, $2, $3, $4, $5, $6, $7,
           coalesce($8, (select coalesce(max(v.position) + 1, 0) from saved_view v where v.workspace_id = $1))"""


async def create(tx: Tx, new: NewView) -> View:
    """Keeps a view in the name of whoever acts; its query was checked. Raises Invalid, ViewNameTaken, TooManyViews."""
    name = rules.name(new.name)
    if await tx.value(OWNED, tx.actor) >= MOST_VIEWS:
        raise TooManyViews(f"There can be {MOST_VIEWS}.")
    id = ids.new()
    await _name_must_be_free(tx, tx.actor, id, name)
    await tx.run(ADD, id, name, new.query, new.is_shared, tx.actor, tx.actor_name, new.position)
    made = await find(tx, id, tx.actor)
    tx.changed("view", id, None, made, _FIELDS)
    return made


async def _name_must_be_free(tx: Tx, owner: str, id: UUID, name: str) -> None:
    holder = await tx.value(NAMED, owner, name, id)
    if holder is not None:
        raise ViewNameTaken(f"View {holder} has it.", extra={"viewId": str(holder)})


LOCK: Final = "select version from saved_view where workspace_id = $1 and id = $2 for no key update"


async def held(tx: Tx, id: UUID, version: int | None, *, is_admin: bool) -> View:
    """A view that whoever acts may change. Raises ViewNotFound, ViewOfAnother, Stale."""
    found = await tx.value(LOCK, id)
    view = await find(tx, id, tx.actor)
    if view.owner != tx.actor and not is_admin:
        raise ViewOfAnother(f"It is {view.owner_name}'s.")
    if version is not None and version != found:
        raise Stale(f"It is at version {found} now.")
    return view


CHANGE: Final = """
    update saved_view
       set name = $3, query = $4, is_shared = $5, position = $6, updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""


async def store(tx: Tx, old: View, wanted: ViewReplacement | ViewChange) -> View:
    """Changes what is given of a view that is held. Raises Invalid, ViewNameTaken."""
    given = {name: value for name in _FIELDS if (value := getattr(wanted, name)) is not UNSET and value is not None}
    new = msgspec.structs.replace(old, **given)
    new = msgspec.structs.replace(new, name=rules.name(new.name))
    if new == old:
        return old
    if new.name != old.name:
        await _name_must_be_free(tx, old.owner, old.id, new.name)
    await tx.run(CHANGE, old.id, new.name, new.query, new.is_shared, new.position)
    # Whoever takes another's view out of sight does not see it either.
    changed = await find(tx, old.id, old.owner)
    tx.changed("view", old.id, old, changed, _FIELDS)
    return changed


DELETE: Final = "delete from saved_view where workspace_id = $1 and id = $2"


async def delete(tx: Tx, old: View) -> None:
    """Forgets a view that is held."""
    await tx.run(DELETE, old.id)
    tx.changed("view", old.id, old, None, _FIELDS)
