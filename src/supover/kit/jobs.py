"""Work for later, in two shapes.

A *job* is deferred in its publisher's transaction and run by a worker under a lease; its attempts are counted before
the work, so it runs at least once and ends. A *drain* works off rows of a table of its own, a batch a transaction, so
its effect happens exactly once. `kit/worker.py` runs both.
"""

import inspect
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import asyncpg
import croniter  # pyright: ignore[reportMissingTypeStubs]
import msgspec

from supover.kit import ids
from supover.kit.db import Change, Database, Reader, Tx, json_bytes
from supover.kit.problems import Conflict, NotFound
from supover.kit.sql import Listing, Page, Sort, Where

# --- what a job can say ----------------------------------------------------------------------------------------------


class GiveUp(Exception):
    """Trying this job again cannot help: it is dead at once, and the message says why."""


class LeaseLost(Exception):
    """This job is no longer this worker's; what it is about to write must not be written."""


class NoSuchJob(LookupError):
    """No function is registered under this kind."""


WORKSPACES: Final = "select all_workspaces()"


class JobContext:
    """What a running job knows of itself."""

    def __init__(self, database: Database, workspace_id: UUID | None, id: UUID, kind: str, worker: str) -> None:
        self.database = database
        self.id = id
        self.kind = kind
        self.attempt = 1
        self.is_last_attempt = False
        self._workspace_id = workspace_id
        self._worker = worker
        self._progress: bytes | None = None
        self._cancelling = False
        self._heeded = False

    @property
    def workspace_id(self) -> UUID:
        """The workspace that deferred it. The house's own jobs have none."""
        if self._workspace_id is None:
            raise LookupError(f"{self.kind} is the house's own job and has no workspace.")
        return self._workspace_id

    def progress(self, value: Mapping[str, object]) -> None:
        """Shows how far it is. Cheap: what was said last is stored about once a second and at the end."""
        said = json_bytes(value)
        if b"\\u0000" in said:
            raise ValueError("Progress cannot hold the character NUL.")
        self._progress = said

    def cancelled(self) -> bool:
        """Whether somebody asked it to stop, known within about a second; a job that sees it cleans up and returns."""
        self._heeded = self._heeded or self._cancelling
        return self._cancelling

    async def workspaces(self) -> AsyncGenerator[UUID]:
        """All workspaces, one after the other, until somebody asks the job to stop: for the house's own jobs."""
        async with self.database.across() as con:
            found = [row[0] for row in await con.fetch(WORKSPACES)]
        for workspace_id in found:
            if self.cancelled():
                return
            yield workspace_id

    def reader(self, *, search: bool = False) -> AbstractAsyncContextManager[Reader]:
        """A handle that reads in the job's workspace."""
        return self.database.reader(self.workspace_id, search=search)

    @asynccontextmanager
    async def tx(self, *, actor: str = "system", actor_name: str = "", origin: str = "live") -> AsyncGenerator[Tx]:
        """A transaction in the job's workspace that commits only while the job is still this worker's.

        A worker that was stopped for longer than its lease raises LeaseLost here and does not write beside the next.
        """
        async with self.database.tx(self.workspace_id, actor=actor, actor_name=actor_name, origin=origin) as tx:
            if not await tx.value(OWN, self.id, self._worker):
                raise LeaseLost(f"Job {self.id} was given to another worker.")
            yield tx

    async def advanced(self) -> None:
        """Says that this attempt committed something that lasts: those before it, which got less far, count no more.

        So a long job may lose any number of workers as long as each gets it further. Cheap: only the first call asks.
        """
        if self.attempt > 1:
            async with self.tx() as tx:
                self.is_last_attempt = await tx.value(COUNT_ANEW, self.id) == 1
            self.attempt = 1

    @property
    def unsaved(self) -> bytes | None:
        """For the worker: progress that is not stored yet, as JSON."""
        return self._progress

    def saved(self, progress: bytes | None) -> None:
        """For the worker: this progress is stored."""
        if self._progress is progress:
            self._progress = None

    def ask_to_stop(self) -> None:
        """For the worker: makes `cancelled()` true."""
        self._cancelling = True

    @property
    def heeded(self) -> bool:
        """For the worker: whether the job saw that it should stop."""
        return self._heeded


# Holds the row until the commit: a heartbeat may pass, giving the job to another worker may not.
OWN: Final = """
    select true from job
     where workspace_id = $1 and id = $2 and worker = $3 and state = 'running'
       for key share"""
COUNT_ANEW: Final = "update job set attempts = 1 where workspace_id = $1 and id = $2 returning max_attempts"


# --- registration ----------------------------------------------------------------------------------------------------


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait before the next try: `first_s`, then `factor` times as long each time, at most `most_s`.

    A quarter of it is left to chance, so that what failed together does not come back together.
    """

    first_s: float = 5
    factor: float = 3
    most_s: float = 3600

    def delay_s(self, attempt: int, luck: float) -> float:
        """Seconds to wait after this attempt (from 1 on); `luck` is from 0 to 1."""
        # The exponent is capped: floats end long before anybody waits that long.
        full = min(self.most_s, self.first_s * self.factor ** min(attempt - 1, 64))
        return full * (0.75 + 0.25 * luck)


PATIENT: Final = Backoff()
SOON_AGAIN: Final = Backoff(1, 2, 300)

Run = Callable[..., Awaitable[None]]
F = TypeVar("F", bound=Run)
DrainBatch = Callable[[Database, UUID], Awaitable[int]]
D = TypeVar("D", bound=DrainBatch)


class JobKind(msgspec.Struct, frozen=True):
    """A registered job: its function, what its arguments are, and how patient a worker is with it."""

    kind: str
    run: Run
    shape: type[msgspec.Struct]
    lease_s: float
    attempts: int
    retry: Backoff
    timeout_s: float | None
    cron: str | None

    async def call(self, context: JobContext, args: object) -> None:
        """Runs it with the arguments as they were stored."""
        given = msgspec.convert(args, self.shape)
        await self.run(context, **{name: getattr(given, name) for name in self.shape.__struct_fields__})

    def next_tick(self, after: datetime) -> datetime:
        """When a periodic job is due next (UTC), later than `after`."""
        assert self.cron is not None
        return croniter.croniter(self.cron, after).get_next(datetime)


class DrainKind(msgspec.Struct, frozen=True):
    """A registered drain: the question which workspaces have work, and what does one batch in one of them."""

    name: str
    workspaces: str
    batch: DrainBatch
    timeout_s: float
    retry: Backoff


_jobs: dict[str, JobKind] = {}
_drains: dict[str, DrainKind] = {}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


def job(
    kind: str, *, lease_s: float = 30, attempts: int = 5, retry: Backoff = PATIENT, timeout_s: float | None = None
) -> Callable[[F], F]:
    """Registers `async def run(ctx: JobContext, *, some_id: UUID, …)` under `kind` ("imports.run").

    Arguments are ids, by keyword: UUID, str or int, with or without None. It must be idempotent: after a crash it runs
    again. The lease is renewed while the event loop turns; work that blocks it for a third of `lease_s` belongs in a thread.
    After `timeout_s` an attempt is cancelled and counts as failed.
    """

    def register(run: F) -> F:
        _add(JobKind(kind, run, _shape(kind, run), lease_s, attempts, retry, timeout_s, None))
        return run

    return register


def periodic(
    cron: str,
    kind: str,
    *,
    lease_s: float = 30,
    attempts: int = 5,
    retry: Backoff = PATIENT,
    timeout_s: float | None = None,
) -> Callable[[F], F]:
    """Registers a job of the house, `async def run(ctx: JobContext)`, that is due by a crontab line (five fields, UTC).

    Its next tick stands in the queue: a tick that no worker was there for runs once when one comes back.
    """
    if not croniter.croniter.is_valid(cron) or len(cron.split()) != 5:
        raise ValueError(f"{kind}: {cron!r} is not a crontab line of five fields.")

    def register(run: F) -> F:
        shape = _shape(kind, run)
        if shape.__struct_fields__:
            raise TypeError(f"{kind}: a periodic job takes no arguments.")
        _add(JobKind(kind, run, shape, lease_s, attempts, retry, timeout_s, cron))
        return run

    return register


def drain(name: str, *, workspaces: str, timeout_s: float = 120, retry: Backoff = SOON_AGAIN) -> Callable[[D], D]:
    """Registers `async def one(database: Database, workspace_id: UUID) -> int`: a batch, in transactions of its own.

    `workspaces` is a statement that returns the ids of the workspaces that have work. The batch returns how many rows
    it did, claims them by `for update skip locked` and changes or removes them in the transaction that has the effect.
    Workspaces take turns, a batch each; one that fails waits by `retry` and holds up no other.
    """

    def register(batch: D) -> D:
        if name in _drains:
            raise ValueError(f"A drain is already registered as {name!r}.")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name like room.verb.")
        _drains[name] = DrainKind(name, workspaces, batch, timeout_s, retry)
        return batch

    return register


def jobs() -> Mapping[str, JobKind]:
    """Every registered job, periodic ones among them."""
    return _jobs


def drains() -> Mapping[str, DrainKind]:
    """Every registered drain."""
    return _drains


def _add(found: JobKind) -> None:
    if found.kind in _jobs:
        raise ValueError(f"A job is already registered as {found.kind!r}.")
    if not _NAME.fullmatch(found.kind):
        raise ValueError(f"{found.kind!r} is not a name like room.verb.")
    if found.attempts < 1 or found.lease_s <= 0:
        raise ValueError(f"{found.kind}: at least one attempt, and a lease that lasts.")
    _jobs[found.kind] = found


def _shape(kind: str, run: Run) -> type[msgspec.Struct]:
    """A struct of the function's arguments after the context."""
    hints = get_type_hints(run)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in list(inspect.signature(run).parameters.values())[1:]:
        annotation = hints.get(parameter.name)
        kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        if not set(kinds) <= {UUID, str, int, type(None)}:
            raise TypeError(f"{kind}: the argument {parameter.name} must be an id (UUID, str or int).")
        if parameter.default is inspect.Parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            fields.append((parameter.name, annotation, parameter.default))
    return msgspec.defstruct("Arguments", fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


# --- deferring -------------------------------------------------------------------------------------------------------

DEFER: Final = """
    insert into job (workspace_id, id, kind, max_attempts, run_at, waiting, args, singleton)
    select $1, d.id, $2, $3, coalesce($4, now()), coalesce($4 > now(), false), d.args, d.singleton
      from unnest($5::uuid[], $6::jsonb[], $7::text[]) as d (id, args, singleton)
        on conflict (kind, singleton, workspace_id) where state = 'queued' and singleton is not null do nothing
    returning id"""

# Keeps a worker from taking the job before this transaction's rows can be seen; others may hold it at the same time.
HOLD: Final = """
    select singleton from job
     where workspace_id = $1 and kind = $2 and singleton = any($3::text[]) and state = 'queued'
     order by id
       for share"""


async def defer(
    tx: Tx,
    kind: str,
    args: Mapping[str, object] | None = None,
    *,
    run_at: datetime | None = None,
    singleton: str | None = None,
) -> UUID | None:
    """Queues a job in this transaction: it runs after the commit, or never. Returns its id.

    With `singleton` at most one such job is queued in a workspace: None when one is there already, which then starts
    after this commit and so sees what this transaction did. At most one runs at a time, too. What every request would
    defer is better a drain: requests that hold the same queued job keep workers from taking it.
    Raises NoSuchJob, and msgspec.ValidationError for other arguments than the job's.
    """
    once = None if singleton is None else [singleton]
    (found,) = await defer_many(tx, kind, [args or {}], run_at=run_at, singletons=once)
    return found


async def defer_many(
    tx: Tx,
    kind: str,
    many: Sequence[Mapping[str, object]],
    *,
    run_at: datetime | None = None,
    singletons: Sequence[str] | None = None,
) -> list[UUID | None]:
    """As `defer`, for many jobs of one kind in one statement; `singletons` has one for each."""
    found = _jobs.get(kind)
    if found is None:
        raise NoSuchJob(f"No job is registered as {kind!r}.")
    args = [json_bytes(msgspec.convert(one, found.shape)) for one in many]
    once: Sequence[str | None] = singletons or [None] * len(many)
    new = [ids.new() for _ in many]
    left = list(range(len(many)))
    made: set[UUID] = set()
    while left:
        columns = ([column[i] for i in left] for column in (new, args, once))
        rows = await tx.column(DEFER, kind, found.attempts, run_at, *columns)
        made.update(rows)
        left = [i for i in left if new[i] not in made]
        if left:
            # One that a worker took between the two statements is not queued any more: then it is queued anew.
            held = set(await tx.column(HOLD, kind, sorted({cast("str", once[i]) for i in left})))
            left = [i for i in left if once[i] not in held]
    return [id if id in made else None for id in new]


# --- why it failed ---------------------------------------------------------------------------------------------------

_LONGEST_REASON: Final = 500


def reason(error: BaseException) -> str:
    """Why an attempt failed, in a line: the kind of error and its message, without secrets and people's data."""
    # What logs takes a fifth of a second to load, which a command that only defers jobs need not wait for.
    from supover.kit import telemetry

    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    # PostgreSQL repeats the row that it refuses in the detail, so only its first sentence is kept.
    said = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) and error.args else str(error)
    # A column of text takes neither half a character nor NUL.
    text = telemetry.mask(" ".join(said.encode("utf-8", "replace").decode().replace("\0", "").split()))
    name = type(error).__name__
    full = text if text and isinstance(error, GiveUp) else f"{name}: {text}" if text else name
    return full if len(full) <= _LONGEST_REASON else full[: _LONGEST_REASON - 1] + "…"


def luck() -> float:
    """A number from 0 to 1 by chance, for `Backoff.delay_s`."""
    return random.random()  # noqa: S311  spreads load, guards nothing


# --- for the staff ---------------------------------------------------------------------------------------------------

State = Literal["queued", "running", "done", "dead", "cancelled"]


class JobNotFound(NotFound):
    """No job with this id in this workspace."""


class JobNotDead(Conflict):
    """Only a dead or cancelled job can be tried again."""


class JobTwinQueued(Conflict):
    """The same work is already queued again."""


class JobEnded(Conflict):
    """This job has ended."""


class Job(msgspec.Struct, frozen=True, rename="camel"):
    """A job as the staff see it. `cancelling`: it runs and was asked to stop."""

    id: UUID
    kind: str
    state: State
    args: Any
    attempts: int
    max_attempts: int
    cancelling: bool
    progress: Any
    error: str | None
    run_at: datetime
    created_at: datetime
    finished_at: datetime | None


# Ids are in the order in which the jobs were deferred.
SORTS: Final = (Sort("createdAt", "id", "id", UUID, descending_first=True),)

SEARCH: Final = """
    select id, kind, state, args, attempts, max_attempts, cancelling, progress, error, run_at, created_at, finished_at
      from job
     where {}
     order by {}
     limit {}"""
COUNT: Final = "select count(*) from job where {}"


async def search(
    db: Reader, page: Page, *, state: State | None = None, kind: str | None = None, count: bool = False
) -> Listing[Job]:
    """A page of this workspace's jobs, the newest first unless asked otherwise; cheap in a search handle."""
    where = Where("workspace_id = $1")
    if state is not None:
        where.add("state = {}", state)
    if kind is not None:
        where.add("kind = {}", kind)
    total = await db.value(COUNT.format(where.text()), *where.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = await db.all(Job, SEARCH.format(where.text(), page.order(), limit), *where.values)
    found = found[page.skip :]
    data = found[: page.limit]
    return Listing(data, page.cursor(data[-1].id, data[-1].id) if len(found) > page.limit else None, total)


FIND: Final = """
    select id, kind, state, args, attempts, max_attempts, cancelling, progress, error, run_at, created_at, finished_at
      from job
     where workspace_id = $1 and id = $2"""


async def find(db: Reader, id: UUID) -> Job:
    """One job of this workspace. Raises JobNotFound."""
    return await db.one(Job, FIND, id, missing=JobNotFound)


RETRY: Final = """
    update job j
       set state = 'queued', attempts = 0, run_at = now(), waiting = false, cancelling = false, error = null, finished_at = null
     where j.workspace_id = $1 and j.id = $2 and j.state in ('dead', 'cancelled')
       and not exists (
           select 1 from job t
            where t.workspace_id = $1 and t.kind = j.kind and t.singleton = j.singleton and t.state = 'queued')"""


async def retry(tx: Tx, id: UUID) -> Job:
    """Queues a dead or cancelled job again, with all its attempts. Raises JobNotFound, JobNotDead, JobTwinQueued."""
    before = await find(tx, id)
    done = await tx.run(RETRY, id)
    found = await find(tx, id)
    if not done:
        raise JobTwinQueued if found.state in ("dead", "cancelled") else JobNotDead(f"It is {found.state}.")
    tx.changed("job", id, before, found, ["state"])
    return found


RETRY_MANY: Final = """
    with picked as (
        select j.id, j.kind, j.singleton
          from job j
         where j.workspace_id = $1 and j.state = $2 and ($3::text is null or j.kind = $3) and ($4::uuid[] is null or j.id = any($4))
           and not exists (
               select 1 from job t
                where t.workspace_id = $1 and t.kind = j.kind and t.singleton = j.singleton and t.state = 'queued')
         order by j.id
         limit $5
           for update of j skip locked),
    once as (
        select distinct on (p.kind, coalesce(p.singleton, p.id::text)) p.id
          from picked p
         order by p.kind, coalesce(p.singleton, p.id::text), p.id desc)
    update job j
       set state = 'queued', attempts = 0, run_at = now(), waiting = false, cancelling = false, error = null, finished_at = null
      from once o
     where j.workspace_id = $1 and j.id = o.id
    returning j.id"""
LEFT: Final = """
    select count(*) from job
     where workspace_id = $1 and state = $2 and ($3::text is null or kind = $3) and ($4::uuid[] is null or id = any($4))"""


async def retry_many(
    tx: Tx, state: Literal["dead", "cancelled"], kind: str | None, only: Sequence[UUID] | None, limit: int
) -> tuple[int, int]:
    """Queues up to `limit` dead or cancelled jobs again, the oldest first; returns how many, and how many are left.

    Of the same work only the newest is queued, and none where it is queued already.
    """
    queued = await tx.column(RETRY_MANY, state, kind, only, limit)
    tx.changes += [Change("job", id, "state", state, "queued") for id in sorted(queued)]
    return len(queued), await tx.value(LEFT, state, kind, only)


CANCEL: Final = """
    update job
       set state = case when state = 'queued' then 'cancelled' else state end,
           finished_at = case when state = 'queued' then now() end,
           cancelling = state = 'running'
     where workspace_id = $1 and id = $2 and state in ('queued', 'running')"""


async def cancel(tx: Tx, id: UUID) -> Job:
    """Cancels a queued job; asks a running one to stop, which it does when it looks. Raises JobNotFound, JobEnded."""
    before = await find(tx, id)
    done = await tx.run(CANCEL, id)
    found = await find(tx, id)
    if not done:
        raise JobEnded(f"It is {found.state}.")
    tx.changed("job", id, before, found, ["state", "cancelling"])
    return found
