"""Custom fields: what is declared of them, read by whoever takes values in, and changed by staff.

Definitions are remembered by each process. Whoever writes a customer reads the stamp beside it in a statement that runs
anyway: where it is another one than that of the definitions that were gone by, those are read anew.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET

from supover.customers import custom_field_index as index
from supover.customers import custom_field_misfits as misfits
from supover.customers import custom_field_rules as rules
from supover.customers.custom_field_model import (
    CustomField,
    CustomFieldChange,
    CustomFieldKeyTaken,
    CustomFieldNotFound,
    CustomFieldStale,
    Definition,
    Definitions,
    FieldType,
    NewCustomField,
    TooManyCustomFields,
)
from supover.customers.events import CustomFieldsChanged
from supover.kit import ids
from supover.kit.db import Reader, Tx
from supover.kit.events import publish
from supover.kit.problems import FieldError
from supover.kit.sql import Page, Sort, Where

# --- as values are taken in ----------------------------------------------------------------------------------------------

DEFINITIONS: Final = """
    select s.stamp, f.id, f.key, f.label, f.type, f.choices, f.pattern, f.is_required, f.is_unique, f.index_id, f.index_state
      from custom_field_stamp s
      left join custom_field f on f.workspace_id = $1
     where s.workspace_id = $1
     order by f.position, f.id"""
_REMEMBERED: Final = 10_000
_known: OrderedDict[UUID, Definitions] = OrderedDict()
_NONE: Final = Definitions()

read = rules.read
kept = rules.kept


async def definitions(db: Reader) -> Definitions:
    """What is declared now."""
    rows = await db.rows(DEFINITIONS)
    if not rows:
        return _NONE
    found = [Definition(*row[1:]) for row in rows if row[1] is not None]
    return Definitions(rows[0][0], {d.key: d for d in found})


def remembered(db: Reader) -> Definitions:
    """What this process knows to be declared: compare its stamp with what stands beside the customer once it is written."""
    return _known.get(db.workspace_id, _NONE)


async def as_of(tx: Tx, stamp: UUID | None) -> Definitions:
    """The definitions with this stamp, which was read in this transaction; read anew only where they have changed.

    Not for a transaction that changes them: what it sees would be remembered even if it is rolled back.
    """
    found = remembered(tx)
    return found if found.stamp == stamp else await _anew(tx)


async def _anew(tx: Tx) -> Definitions:
    found = await definitions(tx)
    _known[tx.workspace_id] = found
    _known.move_to_end(tx.workspace_id)
    while len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return found


class Taken(msgspec.Struct, frozen=True):
    """Custom fields as they are kept, what is wrong with them, and the definitions that this was seen by."""

    values: Mapping[str, Any]
    errors: Sequence[FieldError]
    by: Definitions


async def whole(tx: Tx, given: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> Taken:
    """All custom fields of a customer; those that are as they were in `old` are not looked at again."""
    by = remembered(tx)
    values, errors = rules.whole(by, given, old)
    if errors:
        # What this process remembers may be refused no longer.
        by = await _anew(tx)
        values, errors = rules.whole(by, given, old)
    return Taken(values, errors, by)


async def some(tx: Tx, given: Mapping[str, Any]) -> Taken:
    """Those custom fields that a change names; a null removes its key."""
    by = remembered(tx)
    values, errors = rules.some(by, given)
    if errors:
        by = await _anew(tx)
        values, errors = rules.some(by, given)
    return Taken(values, errors, by)


async def settle(
    tx: Tx,
    id: UUID,
    by: Definitions,
    stamp: UUID | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    is_new: bool = False,
) -> None:
    """Makes a customer right that was written by definitions which were not those of this stamp.

    Raises Invalid for custom fields that the present ones do not take.
    """
    if by.stamp == stamp:
        return
    now = await as_of(tx, stamp)
    changed = {key: after.get(key) for key in rules.changed(before, after)}
    if not (is_new or changed) or _asked(by) == _asked(now):
        return
    given = after if is_new else changed
    values, errors = rules.whole(now, given) if is_new else rules.some(now, given)
    if by.by_key or values != given:
        # They would be kept otherwise now: the next try, which remembers that, does.
        raise asyncpg.SerializationError("the definitions changed a moment ago")
    rules.refuse(errors)
    if now.has_index and changed:
        await index.keep(tx, now, [id], list(changed), is_new=is_new)


def _asked(definitions: Definitions) -> list[Definition]:
    """What definitions ask of values, however far their indexes are."""
    return [msgspec.structs.replace(d, index_state="none") for d in definitions.by_key.values()]


# --- as staff see them ---------------------------------------------------------------------------------------------------

_COLUMNS: Final = """f.id, f.key, f.label, f.type, f.choices, f.pattern, f.description, f.position, f.is_required, f.is_unique,
           f.is_indexed, f.index_state, f.index_reason, f.index_done, f.index_total, f.created_at, f.updated_at, f.version"""
SORTS: Final = (
    Sort("position", "f.position", "f.id", int),
    Sort("key", "lower(f.key)", "f.id", str),
    Sort("createdAt", "f.id", "f.id", UUID),
)
LIST: Final = f"""
    select {{key}}, {_COLUMNS}
      from custom_field f
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
FIND: Final = f"""
    select {_COLUMNS}
      from custom_field f
     where f.workspace_id = $1 and f.id = $2"""
LOCK: Final = f"""
    select {_COLUMNS}
      from custom_field f
     where f.workspace_id = $1 and f.id = $2
       for update"""
COUNT: Final = "select count(*) from custom_field f where f.workspace_id = $1"


async def search(db: Reader, page: Page, *, count: bool = False) -> tuple[list[CustomField], str | None, int | None]:
    """A page of definitions, the cursor of the next one, and how many there are where asked."""
    total = await db.value(COUNT) if count else None
    where = Where("f.workspace_id = $1")
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    sql = LIST.format(key=page.sort.key, where=where.text(), order=page.order(), limit=limit)
    rows = (await db.rows(sql, *where.values))[page.skip :]
    found = [CustomField(*row[1:]) for row in rows[: page.limit]]
    following = page.cursor(rows[page.limit - 1][0], found[-1].id) if len(rows) > page.limit else None
    return found, following, total


async def find(db: Reader, id: UUID) -> CustomField:
    """One definition. Raises CustomFieldNotFound."""
    return await db.one(CustomField, FIND, id, missing=CustomFieldNotFound)


# --- changing them -------------------------------------------------------------------------------------------------------

# One change at a time in a workspace: whoever comes second waits here.
STAMP: Final = """
    insert into custom_field_stamp (workspace_id, stamp) values ($1, $2)
        on conflict (workspace_id) do update set stamp = excluded.stamp"""
KEY_HOLDER: Final = "select f.id from custom_field f where f.workspace_id = $1 and lower(f.key) = lower($2)"
NEXT: Final = "select count(*), coalesce(max(f.position) + 1, 0) from custom_field f where f.workspace_id = $1"
ADD: Final = """
    insert into custom_field (workspace_id, id, key, label, type, choices, pattern, description, position, is_required, is_unique,
           is_indexed, index_id, index_state)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"""
FIELDS: Final = (
    *("key", "label", "type", "choices", "pattern", "description", "position"),
    *("is_required", "is_unique", "is_indexed"),
)
"""What people edit of a definition."""


async def create(tx: Tx, new: NewCustomField) -> CustomField:
    """A new definition, with how many customers have a value under its key that does not fit.

    Raises Invalid, CustomFieldKeyTaken, TooManyCustomFields.
    """
    given = {field: getattr(new, field) for field in FIELDS}
    given["label"] = new.key[: rules.LABEL_LENGTH] or "-" if new.label is None else new.label
    await tx.run(STAMP, ids.new())
    [(count, position)] = await tx.rows(NEXT)
    if new.position is None:
        given["position"] = min(position, rules.MAX_POSITION)
    made = rules.checked(given, new.type)
    holder = await tx.value(KEY_HOLDER, new.key)
    if holder is not None:
        raise CustomFieldKeyTaken(f"Custom field {holder} has it.", extra={"customFieldId": str(holder)})
    if count >= rules.MAX_FIELDS:
        raise TooManyCustomFields
    id = ids.new()
    index_id = ids.new() if new.is_indexed or new.is_unique else None
    state = "none" if index_id is None else "building"
    await tx.run(ADD, id, *(made[field] for field in FIELDS), index_id, state)
    if index_id is not None:
        await index.build_later(tx, id)
    found = await find(tx, id)
    tx.changed("custom_field", id, None, found, FIELDS)
    await publish(tx, [CustomFieldsChanged(key=found.key)])
    return msgspec.structs.replace(found, misfits=await misfits.count_few(tx, found))


CHANGE: Final = """
    update custom_field f
       set label = $3, type = $4, choices = $5, pattern = $6, description = $7, position = $8, is_required = $9, is_unique = $10,
           is_indexed = $11, updated_at = now(), version = f.version + 1,
           index_id = case when $12 then $13 else f.index_id end,
           index_state = case when not $12 then f.index_state when $13::uuid is null then 'none' else 'building' end,
           index_reason = case when not $12 then f.index_reason end, index_total = case when not $12 then f.index_total end,
           index_done = case when not $12 then f.index_done else 0 end,
           index_through = case when not $12 then f.index_through else '00000000-0000-0000-0000-000000000000' end
     where f.workspace_id = $1 and f.id = $2"""


async def change(tx: Tx, id: UUID, wanted: CustomFieldChange, version: int | None = None) -> CustomField:
    """Changes what is given; values stay as they are. Told where values are asked for otherwise: how many do not fit then.

    Where values are read otherwise from now on, or must be unique, they are indexed anew. Raises CustomFieldNotFound,
    CustomFieldStale, Invalid.
    """
    await tx.run(STAMP, ids.new())
    old = await _lock(tx, id, version)
    given = {f: v for f in wanted.__struct_fields__ if (v := getattr(wanted, f)) is not UNSET}
    made = rules.checked(
        {**{field: getattr(old, field) for field in FIELDS}, **given}, cast("FieldType", given.get("type", old.type))
    )
    new = msgspec.structs.replace(old, **made)
    if all(_plain(getattr(old, field)) == _plain(getattr(new, field)) for field in FIELDS):
        return old
    had, has = (one.is_indexed or one.is_unique for one in (old, new))
    is_anew = had != has or (has and _is_read_otherwise(old, new))
    if had and is_anew:
        await index.clear_later(tx, id)
    await tx.run(CHANGE, id, *(made[field] for field in FIELDS[1:]), is_anew, ids.new() if is_anew and has else None)
    if has and (is_anew or old.is_unique != new.is_unique):
        await index.build_later(tx, id)
    found = await find(tx, id)
    tx.changed("custom_field", id, old, found, FIELDS)
    await publish(tx, [CustomFieldsChanged(key=found.key)])
    if all(_plain(getattr(old, field)) == _plain(getattr(found, field)) for field in ("type", "choices", "pattern")):
        return found
    return msgspec.structs.replace(found, misfits=await misfits.count_few(tx, found))


def _is_read_otherwise(old: CustomField, new: CustomField) -> bool:
    return (
        old.type != new.type
        or (new.type == "choice" and _plain(old.choices) != _plain(new.choices))
        or (new.is_unique and not old.is_unique)
    )


def _plain(value: object) -> object:
    return list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else value


DELETE: Final = "delete from custom_field f where f.workspace_id = $1 and f.id = $2"


async def delete(tx: Tx, id: UUID, version: int | None = None) -> None:
    """Forgets a definition; values stay, as any JSON. Raises CustomFieldNotFound, CustomFieldStale."""
    await tx.run(STAMP, ids.new())
    old = await _lock(tx, id, version)
    if old.is_indexed or old.is_unique:
        await index.clear_later(tx, id)
    await tx.run(DELETE, id)
    tx.changed("custom_field", id, old, None, FIELDS)
    await publish(tx, [CustomFieldsChanged(key=old.key)])


async def _lock(tx: Tx, id: UUID, version: int | None) -> CustomField:
    found = await tx.one(CustomField, LOCK, id, missing=CustomFieldNotFound)
    if version is not None and version != found.version:
        raise CustomFieldStale
    return found
