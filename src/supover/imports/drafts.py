# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""A file is looked at before it is taken in: kept as a dry run, tried again with other columns as often as wanted, then begun.

A draft is an import that is a dry run and still has its file. It is the same run from the first look to the last row. One that
nobody begins loses its file as imports that ended do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.customers import custom_fields
from supover.customers.custom_field_model import Definitions
from supover.imports import commands, customer_commands, rules
from supover.imports import customer_columns as columns
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.model import ImportNotDraft, ImportStatus, ImportUnreadable, OrderImportOptions
from supover.kit import amounts, ids, tables
from supover.kit.db import Database, Reader, Tx, json_bytes
from supover.kit.jobs import defer
from supover.kit.problems import FieldError
from supover.orders import queries as orders
from supover.orders.rules import STATUSES

Kind = Literal["customers", "orders"]
Options = CustomerImportOptions | OrderImportOptions
OPTIONS: Final[Mapping[str, type[Options]]] = {"customers": CustomerImportOptions, "orders": OrderImportOptions}
JOBS: Final[Mapping[str, str]] = {"customers": customer_commands.JOB, "orders": commands.JOB}

STEPS: Final = 20
LEAST_CHUNK: Final = 500
"""A file that somebody watches is taken in by about so many steps, of so many rows or more."""
SAMPLES: Final = 3
SAMPLE_LENGTH: Final = 60
MOST_STATUSES: Final = 30


class Draft(msgspec.Struct, frozen=True):
    """A file that waits to be begun, and how its columns are to be read."""

    id: UUID
    kind: Kind
    status: ImportStatus
    file_key: str
    options: Options
    facts: tables.TableFacts


class Known(msgspec.Struct, frozen=True):
    """What of a workspace its files are read by."""

    definitions: Definitions
    currency: str
    zone: ZoneInfo


class Look(msgspec.Struct, frozen=True):
    """A file's columns, each with some cells, and what they are read as.

    `own` is the field of a column by its name alone, `fields` what the options make of it, and `second` what is read where
    the first such column says nothing. `errors` are why it cannot be begun so. `statuses` are cells of orders' status that
    no status is called, and `marks` stand before the decimals of amounts.
    """

    header: Sequence[str]
    samples: Sequence[Sequence[str]]
    own: Mapping[int, str]
    fields: Mapping[int, str]
    second: Mapping[int, str]
    errors: Sequence[FieldError]
    preset: str | None = None
    ignored: Sequence[str] = ()
    statuses: Sequence[str] = ()
    marks: frozenset[amounts.Mark] = frozenset()


# --- looked at -----------------------------------------------------------------------------------------------------------


async def known(db: Reader) -> Known:
    """What files are read by here."""
    return Known(await custom_fields.definitions(db), *await orders.currency_and_zone(db))


def look(file: Path, kind: Kind, facts: tables.TableFacts, options: Options, by: Known) -> Look:
    """Reads a file's first rows; takes as long as the disk does, so call it in a thread. Raises TableUnreadable."""
    if isinstance(options, CustomerImportOptions):
        with tables.frames(file, facts, columns.SAMPLE_ROWS) as table:
            first = next(table.batches, None)
            frame = None if first is None else first.frame
            cells = [[] if frame is None else frame.get_column(str(n)).to_list() for n in range(len(table.header))]
            return _of_customers(options, table.header, frame, cells, by)
    with tables.read(file, facts.encoding) as table:
        rows = [row for _, (_, row) in zip(range(rules.SAMPLE_ROWS), table.rows, strict=False)]
        return _of_orders(options, table.header, rows, by)


def _of_customers(
    options: CustomerImportOptions, header: Sequence[str], frame: Any, cells: Sequence[Sequence[str]], by: Known
) -> Look:
    keys = tuple(by.definitions.by_key)
    plain = columns.plan(CustomerImportOptions(), header, frame, keys)
    plan, errors = plain, list[FieldError]()
    try:
        plan = columns.plan(options, header, frame, keys)
        columns.must_tell_somebody(plan)
    except ImportUnreadable as unreadable:
        errors = list(unreadable.errors)
    return Look(
        header=header,
        samples=_samples(cells),
        own=_by_column(plain),
        fields=_by_column(plan),
        second={n: field for field, n in plan.fallback.items()},
        errors=errors,
        preset=plan.preset,
        ignored=plan.ignored,
    )


def _by_column(plan: columns.Plan) -> dict[int, str]:
    return {n: field for field, n in plan.places.items()} | {n: columns.CUSTOM + key for key, n in plan.custom.items()}


def _of_orders(options: OrderImportOptions, header: Sequence[str], rows: Sequence[Sequence[str]], by: Known) -> Look:
    cells = [[row[n] if n < len(row) else "" for row in rows] for n in range(len(header))]
    named = {field.lower(): field for field in rules.FIELDS}
    numbers = {name.strip().lower(): n for n, name in reversed(list(enumerate(header)))}
    own = {n: named[name] for name, n in numbers.items() if name in named}
    fields, errors, marks = dict(own), list[FieldError](), frozenset[amounts.Mark]()
    try:
        plan = rules.plan(options, header, by.currency, by.zone, rows)
        fields, marks = {n: field for field, n in plan.places.items()}, plan.marks
    except ImportUnreadable as unreadable:
        errors = list(unreadable.errors)
        places = {field: n for n, field in own.items()}
        for field, column in options.map.items():
            places.pop(field, None)
            if (n := numbers.get(column.strip().lower())) is not None and column.strip():
                places[field] = n
        fields = {n: field for field, n in places.items()}
    status = next((n for n, field in fields.items() if field == "status"), None)
    told = [] if status is None else list(dict.fromkeys(cell.strip() for cell in cells[status] if cell.strip()))
    return Look(
        header=header,
        samples=_samples(cells),
        own=own,
        fields=fields,
        second={},
        errors=errors,
        statuses=[cell for cell in told if cell.lower() not in STATUSES][:MOST_STATUSES],
        marks=marks,
    )


def _samples(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of each column the first cells that say something, each another."""
    return [
        [text[:SAMPLE_LENGTH] for text in list(dict.fromkeys(cell for cell in column if cell))[:SAMPLES]]
        for column in cells
    ]


def told_map(seen: Look, chosen: Mapping[int, str]) -> dict[str, str]:
    """What of the columns is to be said, where somebody chose otherwise than their names do. Raises ImportUnreadable."""
    twice = [n for n, field in chosen.items() if field and list(chosen.values()).count(field) > 1]
    if twice:
        raise ImportUnreadable([FieldError(f"/columns/{n}", "twice", "is chosen for two columns") for n in twice])
    said = {field: seen.header[n] for n, field in chosen.items() if field and seen.own.get(n) != field}
    for n, field in seen.own.items():
        if chosen.get(n, field) != field and field not in said:
            said[field] = ""
    return said


# --- kept and tried ------------------------------------------------------------------------------------------------------

FIND: Final = """
    select r.id, r.kind, r.status, r.file_key, r.options, r.file_hash, r.total, r.encoding, r.format
      from import_run r
     where r.workspace_id = $1 and r.id = $2 and r.dry_run and r.file_key is not null"""
KEEP: Final = """
    insert into import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, total, actor, dry_run, preset,
           ignored_columns, header, chunk_rows, encoding, format, finished_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, true, $11, $12, $13, $14, $15, $16,
            case when $4 = 'cancelled' then now() end)"""
CHANGE: Final = """
    update import_run
       set dry_run = $3, status = $4, options = $5, preset = $6, ignored_columns = $7, rows_read = 0, done = 0, created = 0,
           updated = 0, unchanged = 0, failed = 0, customers_created = 0, doubtful = 0, error = null, started_at = null,
           finished_at = case when $4 = 'cancelled' then now() end
     where workspace_id = $1 and id = $2 and dry_run and file_key is not null and status not in ('queued', 'running')"""
DISCARD: Final = """
    delete from import_run
     where workspace_id = $1 and id = $2 and dry_run and file_key is not null and status not in ('queued', 'running')
    returning file_key"""


async def find(db: Reader, id: UUID) -> Draft | None:
    """The draft with this id, if it is one."""
    rows = await db.rows(FIND, id)
    if not rows:
        return None
    [(_, kind, status, key, options, sha256, total, encoding, format)] = rows
    facts = tables.TableFacts(sha256, (total or 0) + 1, encoding or "utf-8-sig", format or "csv")
    return Draft(id, kind, status, key, msgspec.convert(options, OPTIONS[kind]), facts)


async def keep(tx: Tx, kind: Kind, name: str, facts: tables.TableFacts, seen: Look, file_key: str) -> UUID:
    """Keeps a file as a draft, and has it tried where its columns are known by their names."""
    id = ids.new()
    lines = max(facts.lines - 1, 0)
    await tx.run(
        KEEP,
        id,
        kind,
        "cancelled" if seen.errors else "queued",
        name[:255],
        facts.sha256,
        file_key,
        json_bytes(_trial(OPTIONS[kind](), is_trial=True)),
        lines,
        tx.actor,
        seen.preset,
        list(seen.ignored),
        list(seen.header),
        min(customer_commands.CHUNK, max(LEAST_CHUNK, lines // STEPS)),
        facts.encoding,
        facts.format,
    )
    if not seen.errors:
        await defer(tx, JOBS[kind], {"import_id": id}, singleton=str(id))
    return id


def _trial(options: Options, *, is_trial: bool) -> Options:
    if isinstance(options, CustomerImportOptions):
        return msgspec.structs.replace(options, dry_run=is_trial)
    return options


async def check(tx: Tx, draft: Draft, options: Options, seen: Look) -> None:
    """Tries a draft with these options, unless its columns are wrong. Raises ImportNotDraft, as while it is being tried."""
    await _change(tx, draft, options, seen, is_trial=True)


async def start(tx: Tx, draft: Draft, seen: Look) -> None:
    """Takes a draft in as it was last tried. Raises ImportNotDraft, as while it is being tried, ImportUnreadable."""
    if seen.errors:
        raise ImportUnreadable(seen.errors)
    await _change(tx, draft, draft.options, seen, is_trial=False)


async def _change(tx: Tx, draft: Draft, options: Options, seen: Look, *, is_trial: bool) -> None:
    status = "cancelled" if seen.errors else "queued"
    said = json_bytes(_trial(options, is_trial=is_trial))
    if not await tx.run(CHANGE, draft.id, is_trial, status, said, seen.preset, list(seen.ignored)):
        raise ImportNotDraft("It is being checked just now, or was begun already.")
    await customer_commands.forget_trial(tx, draft.id)
    if not seen.errors:
        await defer(tx, JOBS[draft.kind], {"import_id": draft.id}, singleton=str(draft.id))


async def discard(tx: Tx, id: UUID) -> str:
    """Forgets a draft; its file's key, which is to be deleted. Raises ImportNotDraft, as while it is being tried."""
    keys = await tx.column(DISCARD, id)
    if not keys:
        raise ImportNotDraft("It is being checked just now, or was begun already.")
    return keys[0]


# --- orders are tried at once --------------------------------------------------------------------------------------------

BEGUN: Final = """
    update import_run set status = 'running', started_at = now(), finished_at = null, error = null
     where workspace_id = $1 and id = $2 and dry_run and status in ('queued', 'running', 'failed')
    returning options"""
TRIED: Final = """
    update import_run
       set status = case when $5 > 0 then 'completed_with_errors' else 'completed' end, rows_read = $3::bigint + 1, done = $4 + $5,
           created = $4, failed = $5, doubtful = $6, finished_at = now()
     where workspace_id = $1 and id = $2 and status = 'running'"""


async def try_orders(database: Database, workspace_id: UUID, id: UUID, file: Path, actor: str) -> None:
    """Reads a file of orders as an import would, and notes how many could be taken in and those that could not."""
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        rows = await tx.rows(BEGUN, id)
        await customer_commands.forget_trial(tx, id)
    if not rows:
        return
    [(options,)] = rows
    good = refused = doubtful = last = 0
    async for found in commands.read_through(
        database, workspace_id, msgspec.convert(options, OrderImportOptions), file
    ):
        good, refused, last = good + len(found.orders), refused + len(found.refused), found.last_row
        doubtful += len(found.doubtful)
        async with database.tx(workspace_id, actor=actor, origin="import") as tx:
            await commands.note_found(tx, id, found)
    async with database.tx(workspace_id, actor=actor, origin="import") as tx:
        await tx.run(TRIED, id, max(last - 1, 0), good, refused, doubtful)
