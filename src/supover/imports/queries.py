"""Import runs are found and listed, with their refused rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.imports.model import ImportedCustomer, ImportNotFound, ImportRun, Mistake, RowError, Stored
from supover.kit.db import Reader

_RUN: Final = """r.id, r.kind, r.status, r.file_name, r.dry_run, r.preset, r.ignored_columns, r.total,
           coalesce(k.rows, greatest(r.rows_read - 1, 0)), coalesce(k.rows, r.done), coalesce(k.created, r.created),
           coalesce(k.updated, r.updated), coalesce(k.skipped, r.unchanged), coalesce(k.skipped, r.unchanged),
           coalesce(k.failed, r.failed), coalesce(k.created, r.customers_created), coalesce(k.consents_refused, 0),
           coalesce(k.doubtful, r.doubtful),
           case when coalesce(k.rows, r.rows_read - 1) > 0
                then round(coalesce(k.rows, r.rows_read - 1)
                           / greatest(extract(epoch from coalesce(r.finished_at, now()) - r.started_at), 0.001), 1)::float8 end,
           case when r.status = 'running' and coalesce(k.rows, r.rows_read - 1) > 0 and r.total is not null
                then (greatest(r.total - coalesce(k.rows, r.rows_read - 1), 0) * extract(epoch from now() - r.started_at)
                      / coalesce(k.rows, r.rows_read - 1))::integer end,
           r.error, r.revert_wanted_at is not null and r.reverted_at is null, coalesce(k.removed, 0), coalesce(k.kept, 0),
           r.created_at, r.started_at, r.finished_at, r.reverted_at"""
# Of customers the chunks tell; of orders the run itself.
_CHUNKS: Final = """
      left join lateral (select coalesce(sum(c.rows), 0) as rows, coalesce(sum(c.created), 0) as created,
                                coalesce(sum(c.updated), 0) as updated, coalesce(sum(c.skipped), 0) as skipped,
                                coalesce(sum(c.failed), 0) as failed, coalesce(sum(c.consents_refused), 0) as consents_refused,
                                coalesce(sum(c.doubtful), 0) as doubtful,
                                coalesce(sum(c.removed), 0) as removed, coalesce(sum(jsonb_array_length(c.kept)), 0) as kept
                           from import_chunk c
                          where c.workspace_id = $1 and c.import_id = r.id) as k on r.kind = 'customers'"""
FIND: Final = f"""
    select {_RUN}
      from import_run r{_CHUNKS}
     where r.workspace_id = $1 and r.id = $2"""
LIST: Final = f"""
    select {_RUN}
      from import_run r{_CHUNKS}
     where r.workspace_id = $1 and ($2::uuid is null or r.id < $2)
     order by r.id desc
     limit $3"""
STORED: Final = """
    select r.id, r.kind, r.status, r.file_key, r.file_name, r.options, r.rows_read, r.actor
      from import_run r
     where r.workspace_id = $1 and r.id = $2"""
UNFINISHED: Final = """
    select r.id
      from import_run r
     where r.workspace_id = $1 and r.kind = $2 and r.file_hash = $3 and r.options = $4 and r.status in ('running', 'failed')
     order by r.id desc
     limit 1"""
ENDED: Final = """
    select r.id, r.kind, r.status, r.file_key, r.file_name, r.options, r.rows_read, r.actor
      from import_run r
     where r.workspace_id = $1 and r.file_key is not null and r.finished_at < $2
       and r.status in ('completed', 'completed_with_errors', 'failed', 'cancelled')
     order by r.id
     limit $3"""
ERRORS: Final = """
    select e.row_number, e.field, e.code, e.message, e.cells, e.others
      from import_error e
     where e.workspace_id = $1 and e.import_id = $2 and e.row_number > $3 and not e.is_taken
     order by e.row_number
     limit $4"""
DOUBTS: Final = """
    select e.row_number, e.field, e.code, e.message, e.cells, e.others
      from import_error e
     where e.workspace_id = $1 and e.import_id = $2 and e.row_number > $3 and e.is_taken
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


HEADER: Final = "select r.header from import_run r where r.workspace_id = $1 and r.id = $2"


async def header(db: Reader, id: UUID) -> list[str] | None:
    """The columns of the file that an import is of, where they are known."""
    found: Any = await db.value(HEADER, id)
    return found


ERRORS_AT_ONCE: Final = 5_000
ERRORS_BYTES: Final = 8 << 20
_STEP: Final = 50
"""A row may have a megabyte: so many are held beyond ERRORS_BYTES at most."""


async def errors(db: Reader, id: UUID, after: int = 0, *, is_taken: bool = False) -> list[RowError]:
    """Refused rows in the file's order, from after a row: ERRORS_AT_ONCE, fewer where they are large; none at the end.

    `is_taken`: those that were taken in with something that nobody understands.
    """
    found: list[RowError] = []
    size = 0
    while len(found) < ERRORS_AT_ONCE and size < ERRORS_BYTES:
        at = found[-1].row_number if found else after
        more = [_error(row) for row in await db.rows(DOUBTS if is_taken else ERRORS, id, at, _STEP)]
        found += more
        size += sum(len(cell) for row in more for cell in row.cells)
        if len(more) < _STEP:
            break
    return found


async def some_errors(db: Reader, id: UUID, after: int, limit: int, *, is_taken: bool = False) -> list[RowError]:
    """As `errors`, so many rows."""
    return [_error(row) for row in await db.rows(DOUBTS if is_taken else ERRORS, id, after, limit)]


def _error(row: Sequence[Any]) -> RowError:
    *said, others = row
    return RowError(*said, others=msgspec.convert(others, list[Mistake]))


# A chunk's ids are in order.
CUSTOMERS: Final = """
    select n.id, n.outcome, n.changes
      from ((select c.id, 'created' as outcome, null::jsonb as changes
               from import_chunk k
              cross join lateral unnest(k.created_ids) as c (id)
              where k.workspace_id = $1 and k.import_id = $2 and k.last_id > $3 and c.id > $3
                and k.number <= coalesce((select o.number + 1 from import_chunk o
                                           where o.workspace_id = $1 and o.import_id = $2 and o.last_id > $3
                                           order by o.number limit 1), 0)
              order by c.id
              limit $4)
            union all
            (select j.customer_id, 'updated', j.changes
               from customer_journal j
              where j.workspace_id = $1 and j.act_id = $2 and j.customer_id > $3
              order by j.customer_id
              limit $4)
            union all
            (select t.customer_id, 'updated', t.changes
               from import_change t
              where t.workspace_id = $1 and t.import_id = $2 and t.customer_id > $3
              order by t.customer_id
              limit $4)) as n
     order by n.id
     limit $4"""


async def customers(db: Reader, id: UUID, after: UUID, limit: int) -> list[ImportedCustomer]:
    """Customers behind `after`, by id, whom an import made or changed, as long as it can be taken back; of a trial a few
    whom it would change."""
    return await db.all(ImportedCustomer, CUSTOMERS, id, after, limit)


SETTLED: Final = """
    select k.first_id, k.last_id, k.created, k.updated from import_chunk k
     where k.workspace_id = $1 and k.import_id = $2 order by k.number"""


async def ranges(db: Reader, id: UUID) -> list[tuple[UUID | None, UUID | None, int, int]]:
    """Of each chunk the least and the greatest id that it made, and how many customers it made and changed."""
    return [(row[0], row[1], row[2], row[3]) for row in await db.rows(SETTLED, id)]


FILE_DAYS: Final = "select coalesce((select s.import_file_days from privacy_setting s where s.workspace_id = $1), 7)"


async def file_days(db: Reader) -> int:
    """For how many days this workspace keeps the files of imports that ended."""
    return await db.value(FILE_DAYS)
