"""Files of imports and exports that tell of a person."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from supover.kit import clock, storage
from supover.kit.db import Database, Tx, json_bytes
from supover.kit.jobs import defer
from supover.privacy import erasing, queries
from supover.privacy.erasing import Files
from supover.privacy.rules import Needles

KEPT: Final = """
    select 'import', r.id, r.file_key
      from import_run r
     where r.workspace_id = $1 and r.file_key is not null and r.status not in ('queued', 'running')
    union all
    select 'export', r.id, r.file_key
      from export_run r
     where r.workspace_id = $1 and r.file_key is not null"""
BEING_READ: Final = """
    select 'under way', r.id, r.file_key
      from import_run r
     where r.workspace_id = $1 and r.file_key is not null and r.status in ('queued', 'running')"""
_PACKED: Final = (b"PK", b"\x1f\x8b", b"PAR1", b"\xff\xfe", b"\xfe\xff", b"(\xb5/\xfd", b"BZh")
"""Sheets, compressed files, and texts in two bytes a letter: what they say is not looked for, they count as telling."""
_OVERLAP: Final = 1_000


async def that_tell(
    database: Database,
    workspace_id: UUID,
    keep: storage.Storage,
    customer_ids: Sequence[UUID],
    orders: Sequence[UUID] = (),
) -> Files:
    """The files in which these people, and the buyers of these orders, stand: read through where they are text, and all that are
    packed."""
    async with database.reader(workspace_id) as db:
        found = await erasing.known(db, await queries.person(db, customer_ids, orders))
        # In this order none is missed that ends in between.
        kept: list[tuple[Any, ...]] = [*await db.rows(BEING_READ), *await db.rows(KEPT)]
    ids: dict[str, list[UUID]] = {"import": [], "export": [], "under way": []}
    keys: list[str] = []
    for kind, id, key in kept:
        if await _tells(keep, key, found.needles):
            ids[kind].append(id)
            if kind != "under way":
                keys.append(key)
    return Files(ids["import"], ids["export"], keys, ids["under way"])


UNDER_WAY: Final = """
    select r.file_key, r.status in ('queued', 'running')
      from import_run r
     where r.workspace_id = $1 and r.id = $2 and r.file_key is not null
       for update"""
LOOK_AGAIN: Final = timedelta(minutes=5)


async def forget_import(tx: Tx, import_id: UUID) -> str | None:
    """Forgets the file of an import that told of somebody, once it is not read any more; its key, which is to be removed."""
    rows = await tx.rows(UNDER_WAY, import_id)
    if not rows:
        return None
    [(key, is_read)] = rows
    if is_read:
        await defer(tx, erasing.FORGET_IMPORT, {"import_id": import_id}, run_at=clock.now() + LOOK_AGAIN)
        return None
    await tx.value(erasing.ERASE, "import_run", "id", [import_id], json_bytes({"file_key": "null"}), [], [])
    return key


async def _tells(keep: storage.Storage, key: str, needles: Needles) -> bool:
    end = b""
    try:
        async for block in keep.get(key):
            if not end and block.startswith(_PACKED):
                return True
            read = end + block
            if await asyncio.to_thread(_says, read, needles):
                return True
            end = read[-_OVERLAP:]
    except storage.FileGone:
        return False
    return False


def _says(read: bytes, needles: Needles) -> bool:
    return needles.within(read.decode("utf-8", "replace").lower()) or needles.within(read.decode("latin-1").lower())
