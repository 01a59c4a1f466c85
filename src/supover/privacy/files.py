"""Files of imports and exports that tell of a person."""

import asyncio
from typing import Any, Final
from uuid import UUID

from supover.kit import storage
from supover.kit.db import Database
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
_PACKED: Final = (b"PK", b"\x1f\x8b", b"PAR1", b"\xff\xfe", b"\xfe\xff", b"(\xb5/\xfd", b"BZh")
"""Sheets, compressed files, and texts in two bytes a letter: what they say is not looked for, they count as telling."""
_OVERLAP: Final = 1_000


async def that_tell(database: Database, workspace_id: UUID, keep: storage.Storage, customer_ids: list[UUID]) -> Files:
    """The files in which these people stand: read through where they are text, and all that are packed."""
    async with database.reader(workspace_id) as db:
        found = await erasing.known(db, await queries.person(db, customer_ids))
        kept: list[tuple[Any, ...]] = await db.rows(KEPT)
    imports: list[UUID] = []
    exports: list[UUID] = []
    keys: list[str] = []
    for kind, id, key in kept:
        if await _tells(keep, key, found.needles):
            (imports if kind == "import" else exports).append(id)
            keys.append(key)
    return Files(imports, exports, keys)


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
