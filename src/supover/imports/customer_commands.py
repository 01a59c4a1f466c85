# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Imports of customers are begun and run: chunk by chunk, some at a time, whatever stops them.

A chunk is one transaction, with a row of its own that says what became of it. So chunks may be taken in side by side and
end in any order, and a run that was cut short goes on with those that are missing. Two that name the same customers wait for
each other: of what a file says twice the later counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import polars as pl

from supover.customers import custom_fields
from supover.customers.custom_field_model import Definitions
from supover.imports import customer_columns as columns
from supover.imports import customer_rules as rules
from supover.imports import customer_taking as taking
from supover.imports import customer_trial, queries
from supover.imports.commands import Noted, is_passing, learn, note_rows, said
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.customer_rules import Told
from supover.imports.customer_taking import ERASED, Chunk, Taken
from supover.imports.customer_trial import Key, Trial
from supover.imports.model import ImportMoved, ImportRun, Mistake
from supover.kit import clock, ids, tables
from supover.kit.db import RACES, Database, Tx, json_bytes

CHUNK: Final = 10_000
LANES: Final = 2
"""Chunks that are taken in side by side."""
MANY: Final = 5_000
"""As many new rows may change how large the planner should think the tables are."""
TRIES: Final = 6
WAIT_S: Final = 0.05
DOUBTS: Final = 500
"""So many rows of a chunk are told that were taken in with something that nobody understands; all are counted."""
PENDING: Final = 8
"""So many chunks of new names may wait to be worked into the index that searches read."""
JOB: Final = "imports.customers"

Opened = Callable[[], AbstractAsyncContextManager[Tx]]
"""Opens a transaction of whoever runs the import; one that has lost the run raises."""
Progress = Callable[[ImportRun], Awaitable[None]]


# --- begun ---------------------------------------------------------------------------------------------------------------

BEGIN: Final = """
    insert into import_run (workspace_id, id, kind, status, file_name, file_hash, file_key, options, total, actor, dry_run, preset,
           ignored_columns, header, chunk_rows, encoding, format)
    values ($1, $2, 'customers', 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"""


class Inspected(msgspec.Struct, frozen=True):
    """A file that can be imported, and how its columns are read."""

    facts: tables.TableFacts
    plan: columns.Plan
    header: tuple[str, ...]


async def inspect(database: Database, workspace_id: UUID, options: CustomerImportOptions, file: Path) -> Inspected:
    """Reads a file's facts, and its header against the options. Raises ImportUnreadable, TableUnreadable."""
    async with database.reader(workspace_id) as db:
        definitions = await custom_fields.definitions(db)
    return await asyncio.to_thread(_inspect, options, file, definitions)


def _inspect(options: CustomerImportOptions, file: Path, definitions: Definitions) -> Inspected:
    facts = tables.facts(file)
    with tables.frames(file, facts, columns.SAMPLE_ROWS) as table:
        return Inspected(facts, _planned(options, table, definitions), table.header)


def _planned(options: CustomerImportOptions, table: tables.Frames, definitions: Definitions) -> columns.Plan:
    plan = columns.plan(options, table.header, _sample(table), tuple(definitions.by_key))
    columns.must_tell_somebody(plan)
    return plan


def _sample(table: tables.Frames) -> pl.DataFrame | None:
    first = next(table.batches, None)
    return None if first is None else first.frame


async def begin(tx: Tx, options: CustomerImportOptions, name: str, inspected: Inspected, file_key: str | None) -> UUID:
    """Notes an import of customers whose file was inspected."""
    id, facts, plan = ids.new(), inspected.facts, inspected.plan
    await tx.run(
        BEGIN,
        id,
        name[:255],
        facts.sha256,
        file_key,
        json_bytes(options),
        max(facts.lines - 1, 0),
        tx.actor,
        options.dry_run,
        plan.preset,
        list(plan.ignored),
        list(inspected.header),
        CHUNK,
        facts.encoding,
        facts.format,
    )
    return id


# --- run -----------------------------------------------------------------------------------------------------------------

START: Final = """
    update import_run
       set status = 'running', started_at = coalesce(started_at, now()), finished_at = null, error = null
     where workspace_id = $1 and id = $2 and status in ('queued', 'running', 'failed') and revert_wanted_at is null
    returning chunk_rows, encoding, format, file_hash, total"""
# What a trial has found out so far stands in its memory, and goes with it.
FORGET_CHUNKS: Final = "delete from import_chunk where workspace_id = $1 and import_id = $2"
FORGET_ERRORS: Final = "delete from import_error where workspace_id = $1 and import_id = $2"
DONE: Final = "select k.number from import_chunk k where k.workspace_id = $1 and k.import_id = $2"
STATUS: Final = "select r.status from import_run r where r.workspace_id = $1 and r.id = $2 for share"
NOTE: Final = """
    insert into import_chunk (workspace_id, import_id, number, first_row, last_row, rows, created, updated, skipped, failed,
           consents_refused, doubtful, first_id, last_id, created_ids, added)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        on conflict do nothing"""
FINISH: Final = """
    update import_run r
       set status = case when k.failed > 0 then 'completed_with_errors' else 'completed' end, total = k.rows, finished_at = now()
      from (select coalesce(sum(rows), 0) as rows, coalesce(sum(failed), 0) as failed
              from import_chunk where workspace_id = $1 and import_id = $2) as k
     where r.workspace_id = $1 and r.id = $2 and r.status = 'running'"""
FAIL: Final = """
    update import_run set status = 'failed', error = $3, finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running')"""
# What searches read is worked in now and then, as a whole.
LET_PEND: Final = "select set_config('gin_pending_list_limit', '262144', true) from (select $1::uuid) as w"
CATCH_UP: Final = "select search_catch_up()"


class _Stopped(Exception):
    """The run was cancelled."""


async def run(
    database: Database,
    workspace_id: UUID,
    id: UUID,
    file: Path,
    *,
    opened: Opened,
    progress: Progress | None = None,
) -> ImportRun:
    """Runs an import to its end, with the chunks that are missing.

    Whatever stops it leaves whole chunks only, and the run failed, but not where trying again may help. Raises ImportMoved
    when another process takes the same chunks in.
    """
    async with opened() as tx:
        rows = await tx.rows(START, id)
        stored = await queries.stored(tx, id)
        if not rows:
            return await queries.find(tx, id)
        if msgspec.convert(stored.options, CustomerImportOptions).dry_run:
            await forget_trial(tx, id)
        done = set[int](await tx.column(DONE, id))
        definitions = await custom_fields.definitions(tx)
    [(size, encoding, format, sha256, total)] = rows
    options = msgspec.convert(stored.options, CustomerImportOptions)
    facts = tables.TableFacts(sha256, total or 0, encoding, format)
    pump = _Pump(database, workspace_id, id, opened, options, definitions, done, progress)
    try:
        await pump.run(file, facts, size)
    except _Stopped:
        pass
    except ImportMoved:
        raise
    except Exception as error:
        if not is_passing(error):
            async with opened() as tx:
                await tx.run(FAIL, id, said(error, pump.last_row))
                await settle_later(tx, id)
        raise
    async with opened() as tx:
        if await tx.run(FINISH, id):
            await settle_later(tx, id)
        return await queries.find(tx, id)


async def forget_trial(tx: Tx, id: UUID) -> None:
    """Forgets all that a trial has found."""
    await tx.run(FORGET_CHUNKS, id)
    await tx.run(FORGET_ERRORS, id)
    await customer_trial.forget(tx, id)


async def settle_later(tx: Tx, id: UUID) -> None:
    """Has everything follow that waits for the end of an import: figures, segments, the index that searches read."""
    # Only who defers it needs what runs it.
    from supover.imports import jobs
    from supover.kit.jobs import defer

    await defer(tx, jobs.SETTLE, {"import_id": id}, singleton=str(id))


STANDS: Final = """
    select r.revert_wanted_at is null from import_run r where r.workspace_id = $1 and r.id = $2 for share"""


async def stands(tx: Tx, id: UUID) -> bool:
    """Whether nobody takes the import back; nobody begins to before this transaction ends."""
    return bool(await tx.value(STANDS, id))


class _Read(msgspec.Struct, frozen=True):
    """A chunk with the rows as they stand in the file, for those that are refused, and to be checked again."""

    chunk: Chunk
    batch: pl.DataFrame
    odd: Mapping[int, tuple[str, ...]]

    def cells(self, rows: Sequence[int]) -> dict[int, Sequence[str]]:
        """What rows of the file hold; of those with one number the first."""
        found: dict[int, Sequence[str]] = {row: self.odd[row] for row in rows if row in self.odd}
        asked = self.batch.filter(pl.col("row").is_in(rows)) if rows else self.batch.clear()
        for row, *cells in asked.iter_rows():
            found.setdefault(row, [tables.plain(cell) for cell in cells])
        return found


class _Pump:
    """Reads a file ahead and has its chunks taken in, some side by side."""

    def __init__(
        self,
        database: Database,
        workspace_id: UUID,
        id: UUID,
        opened: Opened,
        options: CustomerImportOptions,
        definitions: Definitions,
        done: set[int],
        progress: Progress | None,
    ) -> None:
        self.database = database
        self.workspace_id = workspace_id
        self.id = id
        self.opened = opened
        self.options = options
        self.definitions = definitions
        self.done = done
        self.progress = progress
        self.trial = Trial() if options.dry_run else None
        self.taken = 0
        self.last_row = 0
        self._catching_up: asyncio.Task[None] | None = None

    async def run(self, file: Path, facts: tables.TableFacts, size: int) -> None:
        """Takes in what is missing. Raises _Stopped when the run was cancelled."""
        lanes = 1 if self.trial is not None else LANES
        running: dict[asyncio.Task[None], frozenset[Key]] = {}
        with ExitStack() as stack:
            reading: asyncio.Task[_Read | None] | None = None
            try:
                chunks = await asyncio.to_thread(self._open, stack, file, facts, size)
                reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                while (read := await reading) is not None:
                    reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                    if read.chunk.number in self.done:
                        continue
                    keys = read.chunk.keys
                    while len(running) >= lanes or any(not keys.isdisjoint(others) for others in running.values()):
                        await _first(running)
                    running[asyncio.create_task(self._take(read))] = keys
                while running:
                    await _first(running)
            finally:
                # The file is closed behind the thread that reads it, and a transaction ends before its run is judged.
                left: list[asyncio.Task[None] | asyncio.Task[_Read | None]] = [*running]
                if reading is not None:
                    left.append(reading)
                if self._catching_up is not None:
                    left.append(self._catching_up)
                await asyncio.gather(*left, return_exceptions=True)

    # --- in a thread ---

    def _open(self, stack: ExitStack, file: Path, facts: tables.TableFacts, size: int) -> Iterator["_Read"]:
        with tables.frames(file, facts, columns.SAMPLE_ROWS) as table:
            self.plan = _planned(self.options, table, self.definitions)
        table = stack.enter_context(tables.frames(file, facts, size))
        return self._joined(self._chunk(batch) for batch in table.batches)

    def _chunk(self, batch: tables.Batch) -> _Read:
        checked = rules.checked(batch.frame, self.plan, self.options, self.definitions, clock.now().date())
        odd = {one.row_number: one for one in batch.odd}
        refused = sorted(
            [*checked.refused, *(Told(n, [Mistake("", one.code, one.message)]) for n, one in odd.items())],
            key=lambda r: r.row,
        )
        found = checked.frame
        rows = [*([] if not batch.frame.height else [batch.frame["row"][0], batch.frame["row"][-1]]), *odd]
        chunk = Chunk(
            batch.number,
            found,
            ids.many(found.height),
            refused,
            checked.doubtful,
            min(rows, default=0),
            max(rows, default=0),
            taking.handles(found, self.options.match),
        )
        return _Read(chunk, batch.frame, {n: one.cells for n, one in odd.items()})

    def _joined(self, chunks: Iterator[_Read]) -> Iterator[_Read]:
        """Rows that only add an address to the customer above stay with that one, wherever a batch ends."""
        held: _Read | None = None
        for read in chunks:
            if held is not None:
                moved, rest = _parted(held, read)
                yield moved
                held = rest
            else:
                held = read
        if held is not None:
            yield held

    # --- in transactions ---

    async def _take(self, read: _Read) -> None:
        """Takes a chunk, again when others were quicker with the same customers."""
        for left in reversed(range(TRIES)):
            try:
                await self._taken(read)
                break
            except RACES:
                if left == 0:
                    raise
                await asyncio.sleep(WAIT_S * 2 ** (TRIES - left) * (1 + read.chunk.number % LANES))
                # The custom fields may be others by now.
                read = await self._checked_anew(read)
        self.taken += 1
        self.last_row = max(self.last_row, read.chunk.last_row)
        is_first = self._catching_up is None
        # Looking at every table takes seconds, which a file that is in by then has no use for.
        if (is_first and read.chunk.rows >= MANY) or (
            self._catching_up is not None and self.taken % PENDING == 0 and self._catching_up.done()
        ):
            self._catching_up = asyncio.create_task(self._catch_up(is_first=is_first))
        if self.progress is not None:
            async with self.database.reader(self.workspace_id) as db:
                await self.progress(await queries.find(db, self.id))

    async def _taken(self, read: _Read) -> None:
        chunk = read.chunk
        async with self.opened() as tx:
            if await tx.value(STATUS, self.id) != "running":
                raise _Stopped
            await tx.by_keys()
            await tx.value(LET_PEND)
            taken = await taking.take(tx, self.id, chunk, self.plan, self.options, self.definitions, trial=self.trial)
            await self._note(tx, read, taken)

    async def _note(self, tx: Tx, read: _Read, taken: Taken) -> None:
        chunk = read.chunk
        created = list[UUID]() if self.trial is not None else taken.created
        is_noted = await tx.run(
            NOTE,
            self.id,
            chunk.number,
            chunk.first_row,
            chunk.last_row,
            chunk.rows,
            len(taken.created),
            taken.updated,
            taken.skipped,
            len(taken.refused),
            taken.consents_refused,
            len(taken.doubtful),
            min(created, default=None),
            max(created, default=None),
            list(created),
            json_bytes(taken.added),
        )
        if not is_noted:
            raise ImportMoved(f"Somebody else has taken in the rows {chunk.first_row} to {chunk.last_row}.")
        doubtful = taken.doubtful[:DOUBTS]
        shown = (told.row for told in (*taken.refused, *doubtful) if told.mistakes[0].code != ERASED.code)
        cells = read.cells(list(shown))
        for some, is_taken in ((taken.refused, False), (doubtful, True)):
            rows = [Noted(told.row, told.mistakes, cells.get(told.row, ())) for told in some]
            await note_rows(tx, self.id, rows, is_taken=is_taken)

    async def _checked_anew(self, read: _Read) -> _Read:
        async with self.database.reader(self.workspace_id) as db:
            definitions = await custom_fields.definitions(db)
        if definitions.stamp == self.definitions.stamp:
            return read
        self.definitions = definitions
        checked = await asyncio.to_thread(
            rules.checked, read.batch, self.plan, self.options, definitions, clock.now().date()
        )
        odd = [r for r in read.chunk.refused if r.row in read.odd]
        # With those that a file's end may have moved here, in their order.
        wanted = pl.concat([read.chunk.frame["row"], pl.Series("row", [r.row for r in read.chunk.refused], pl.Int64)])
        frame = checked.frame.filter(pl.col("row").is_in(wanted.implode()))
        refused = sorted([*checked.refused, *odd], key=lambda r: r.row)
        known = dict(zip(read.chunk.frame["row"].to_list(), read.chunk.ids, strict=True))
        chunk = msgspec.structs.replace(
            read.chunk,
            frame=frame,
            ids=[known.get(row) or ids.new() for row in frame["row"].to_list()],
            refused=refused,
            doubtful=_of_rows(checked.doubtful, frame),
        )
        return msgspec.structs.replace(read, chunk=chunk)

    async def _catch_up(self, *, is_first: bool) -> None:
        if is_first:
            # Of tables that have just begun to fill the planner knows nothing at all.
            await learn(self.database)
            return
        with suppress(Exception):  # Whoever searches looks through what is pending, too; it only takes longer.
            async with self.database.across() as con:
                await con.execute(CATCH_UP)


def _of_rows(told: Sequence[Told], frame: pl.DataFrame) -> list[Told]:
    rows = set(frame["row"].to_list()) if told else set[int]()
    return [one for one in told if one.row in rows]


async def _first(running: dict[asyncio.Task[None], frozenset[Key]]) -> None:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        del running[task]
    for task in done:
        await task


_SAYS_MORE: Final = (
    "name", "phone", "date_of_birth", "gender", "status", "tags", "custom", "note", "email_marketing", "sms_marketing",
    "whatsapp_marketing",
)  # fmt: skip
_KNOWN_BY: Final = ("source", "shop", "external_id", "email")


def _parted(held: _Read, following: _Read) -> tuple[_Read, _Read]:
    """Two neighbours, with the rows that belong to the first one's last customer moved there."""
    frame, above = following.chunk.frame, held.chunk.frame
    refused = following.chunk.refused[0].row if following.chunk.refused else None
    if not frame.height or not above.height or (refused is not None and refused < frame["row"][0]):
        return held, following
    last = above.select(_KNOWN_BY).row(-1)
    more = 0
    for row in frame.iter_rows(named=True):
        known_by = tuple(row[name] for name in _KNOWN_BY)
        says_nothing = row["match_key"] is not None and all(row[name] is None for name in _SAYS_MORE)
        is_of_last = says_nothing and known_by == last and any(known_by[2:])
        is_bare = row["is_more"] and not any(known_by[2:])
        if not (is_bare or is_of_last) or (refused is not None and refused < row["row"]):
            break
        more += 1
    if not more:
        return held, following
    moved, rest = frame[:more].with_columns(is_more=pl.lit(True)), frame[more:]
    last_row = int(moved["row"][-1])
    one = msgspec.structs.replace(
        held.chunk,
        frame=pl.concat([above, moved]),
        ids=[*held.chunk.ids, *following.chunk.ids[:more]],
        doubtful=[*held.chunk.doubtful, *_of_rows(following.chunk.doubtful, moved)],
        last_row=last_row,
    )
    other = msgspec.structs.replace(
        following.chunk,
        frame=rest,
        ids=following.chunk.ids[more:],
        doubtful=_of_rows(following.chunk.doubtful, rest),
        first_row=min(last_row + 1, following.chunk.last_row),
    )
    batch = following.batch
    return (
        _Read(one, pl.concat([held.batch, batch.filter(pl.col("row") <= last_row)]), held.odd),
        _Read(other, batch.filter(pl.col("row") > last_row), following.odd),
    )
