"""Import runs are found and listed, with their refused rows."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from supover.imports.model import ImportNotFound, ImportRun, RowError, Stored
from supover.kit.db import Reader

_RUN: Final = """r.id, r.kind, r.status, r.file_name, r.total, greatest(r.rows_read - 1, 0), r.done,
           r.created, r.updated, r.unchanged, r.unchanged, r.failed, r.customers_created,
           case when r.rows_read > 1
                then round((r.rows_read - 1) / greatest(extract(epoch from coalesce(r.finished_at, now()) - r.started_at), 0.001),
                           1)::float8 end,
           case when r.status = 'running' and r.rows_read > 1 and r.total is not null
                then (greatest(r.total - r.rows_read + 1, 0) * extract(epoch from now() - r.started_at)
                      / (r.rows_read - 1))::integer end,
           r.error, r.created_at, r.started_at, r.finished_at"""
FIND: Final = f"""
    select {_RUN}
      from import_run r
     where r.workspace_id = $1 and r.id = $2"""
LIST: Final = f"""
    select {_RUN}
      from import_run r
     where r.workspace_id = $1 and ($2::uuid is null or r.id < $2)
     order by r.id desc
     limit $3"""
STORED: Final = """
    select r.id, r.status, r.file_key, r.file_name, r.options, r.rows_read, r.actor
      from import_run r
     where r.workspace_id = $1 and r.id = $2"""
UNFINISHED: Final = """
    select r.id
      from import_run r
     where r.workspace_id = $1 and r.kind = $2 and r.file_hash = $3 and r.options = $4 and r.status in ('running', 'failed')
     order by r.id desc
     limit 1"""
ENDED: Final = """
    select r.id, r.status, r.file_key, r.file_name, r.options, r.rows_read, r.actor
      from import_run r
     where r.workspace_id = $1 and r.file_key is not null and r.finished_at < $2
       and r.status in ('completed', 'completed_with_errors', 'failed', 'cancelled')
     order by r.id
     limit $3"""
ERRORS: Final = """
    select e.row_number, e.field, e.code, e.message, e.cells
      from import_error e
     where e.workspace_id = $1 and e.import_id = $2 and e.row_number > $3
     order by e.row_number
     limit $4"""


async def find(db: Reader, id: UUID) -> ImportRun:
    """One import of this workspace. Raises ImportNotFound."""
    return await db.one(ImportRun, FIND, id, missing=ImportNotFound)


async def search(db: Reader, after: UUID | None, limit: int) -> list[ImportRun]:
    """Imports, newest first, from after an id."""
    return await db.all(ImportRun, LIST, after, limit)


async def stored(db: Reader, id: UUID) -> Stored:
    """What a runner needs. Raises ImportNotFound."""
    return await db.one(Stored, STORED, id, missing=ImportNotFound)


async def unfinished(db: Reader, kind: str, file_hash: bytes, options: bytes) -> UUID | None:
    """The run of the same file with the same options that was cut short, if there is one."""
    found: Any = await db.value(UNFINISHED, kind, file_hash, options)
    return found


async def ended(db: Reader, before: datetime, limit: int) -> list[Stored]:
    """Runs that ended before a time and whose file is still kept."""
    return await db.all(Stored, ENDED, before, limit)


async def errors(db: Reader, id: UUID, after: int = 0, limit: int = 5_000) -> list[RowError]:
    """Refused rows in the file's order, from after a row."""
    return await db.all(RowError, ERRORS, id, after, limit)
