"""Exports are found and listed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from supover.exports.model import ExportNotFound, ExportRun, Kind, Stored
from supover.kit.db import Reader

_RUN: Final = """r.id, r.kind, r.format, r.status, r.file_name, r.rows, r.bytes, r.error, r.asked, r.actor, r.created_at,
           r.started_at, r.finished_at"""
FIND: Final = f"""
    select r.file_key, {_RUN}
      from export_run r
     where r.workspace_id = $1 and r.id = $2 and r.deleted_at is null"""
LIST: Final = f"""
    select r.file_key, {_RUN}
      from export_run r
     where r.workspace_id = $1 and ($2::uuid is null or r.id < $2) and r.kind = any($3::text[]) and r.deleted_at is null
     order by r.id desc
     limit $4"""
STORED: Final = """
    select r.id, r.kind, r.format, r.status, r.asked, r.file_key, r.actor, r.deleted_at is not null
      from export_run r
     where r.workspace_id = $1 and r.id = $2"""
OLD: Final = """
    select r.id, r.kind, r.format, r.status, r.asked, r.file_key, r.actor, r.deleted_at is not null
      from export_run r
     where r.workspace_id = $1 and (r.file_key is not null and r.finished_at < $2 or r.deleted_at < $2)
     order by r.id
     limit $3"""

Found = tuple[ExportRun, str | None]
"""An export, and the key of its file while that is kept."""


def _found(row: Sequence[Any]) -> Found:
    return ExportRun(*row[1:]), row[0]


async def find(db: Reader, id: UUID) -> Found:
    """One export of this workspace. Raises ExportNotFound."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise ExportNotFound
    return _found(rows[0])


async def search(db: Reader, kinds: Sequence[Kind], after: UUID | None, limit: int) -> list[Found]:
    """Exports of these kinds, newest first, from after an id."""
    return [_found(row) for row in await db.rows(LIST, after, list(kinds), limit)]


async def stored(db: Reader, id: UUID) -> Stored:
    """What a runner needs, of a deleted one too. Raises ExportNotFound."""
    return await db.one(Stored, STORED, id, missing=ExportNotFound)


async def old(db: Reader, before: datetime, limit: int) -> list[Stored]:
    """Exports that ended, or were deleted, before a time, and whose file or row is still kept."""
    return await db.all(Stored, OLD, before, limit)


FILE_DAYS: Final = "select coalesce((select s.export_file_days from privacy_setting s where s.workspace_id = $1), 7)"


async def file_days(db: Reader) -> int:
    """For how many days this workspace keeps the files of exports."""
    return await db.value(FILE_DAYS)


LIMIT: Final = "select set_config('statement_timeout', $2, true) where $1::uuid = (select current_workspace())"


async def limit(db: Reader, seconds: float) -> None:
    """What follows in this transaction may take so long, a statement."""
    await db.value(LIMIT, str(int(seconds * 1000)))
