"""Runs jobs and drains until it is told to stop, and through every absence of the database.

Attempts are counted by the claim, before the work. A heartbeat renews the lease; who loses it stops. A job whose worker
was lost before runs in a process of its own, so that one which kills its process harms no neighbour twice.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from supover.kit import clock, ids, jobs, telemetry, tether
from supover.kit.db import Database, OverCapacity
from supover.kit.jobs import DrainKind, GiveUp, JobContext, JobKind, LeaseLost, luck, reason
from supover.kit.problems import worded

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

log = telemetry.logger("worker")

RECOVER_EVERY_S: Final = 5
TICK_EVERY_S: Final = 15
COUNT_EVERY_S: Final = 15
BEAT_EVERY_S: Final = 1.0
ASK_TIMEOUT_S: Final = 10
LONGEST_PAUSE_S: Final = 5
WIND_DOWN_S: Final = 1.5
HOUSE: Final = UUID(int=0)
FAILURES_SET_ASIDE: Final = 3
"""How often a workspace's drain may fail before `drain()` no longer waits for it."""

CLAIM: Final = (
    "select workspace_id, id, kind, args, attempts, max_attempts, lost from job_claim($1, $2, $3, $4, $5, $6)"
)
CLAIMED: Final = "select workspace_id, id, kind, args, attempts, max_attempts, lost from job_claimed($1, $2)"
BEAT: Final = "select id, cancelling from job_beat($1, $2, $3, $4)"
END: Final = "select job_end($1, $2, $3, $4, $5, $6)"
WORKERS: Final = "select job_workers()"
RECOVER: Final = "select job_recover($1)"
TICK: Final = "select job_defer_house($1, $2, $3, $4)"
PENDING: Final = "select job_pending($1)"
COUNTS: Final = "select kind, state, jobs from job_counts()"
NOW: Final = "select now()"

Step = Callable[[], Awaitable[bool]]
Outcome = Literal["done", "cancelled", "hopeless", "failed", "lost", "released"]


class Claimed(msgspec.Struct, frozen=True):
    """A job that a worker has, its attempt counted already."""

    workspace_id: UUID | None
    id: UUID
    kind: str
    args: Any
    attempts: int
    max_attempts: int
    lost: int


class ProcessLost(Exception):
    """The process of its own in which a job ran has ended before the job."""


class _End(msgspec.Struct, frozen=True):
    id: UUID
    outcome: Outcome
    why: str | None
    retry_in: timedelta
    progress: bytes | None


class _Running:
    """A job at work: its call, and until when it is surely ours."""

    def __init__(self, context: JobContext, call: "asyncio.Task[None]", lease_s: float, claimed_at_s: float) -> None:
        self.context = context
        self.call = call
        self.lease_s = lease_s
        self.beaten_at_s = claimed_at_s
        self.held_until_s = claimed_at_s + lease_s
        self.stopped: Literal["", "lost", "stopping", "timeout"] = ""

    def stop(self, why: Literal["lost", "stopping", "timeout"]) -> None:
        """Cancels the call, once."""
        if not self.stopped:
            self.stopped = why
            self.call.cancel()


class _Setback(msgspec.Struct):
    """A workspace in which a drain failed: how often in a row, and until when it waits."""

    failures: int
    until_s: float


class Worker:
    """Works off jobs and drains with a number of jobs at a time.

    `control` serves claims and heartbeats, so that busy jobs do not keep them waiting (unset: `database`). `kinds` and
    `names` restrict what it takes to some jobs and drains. `alone` is the command that, followed by a job's id and this
    worker's name, runs `run_one` in a process of its own; without it such jobs run here.
    """

    def __init__(
        self,
        database: Database,
        *,
        concurrency: int = 4,
        control: Database | None = None,
        kinds: Collection[str] | None = None,
        names: Collection[str] | None = None,
        alone: Sequence[str] | None = None,
        name: str | None = None,
        poll_s: float = 0.2,
        grace_s: float = 8,
    ) -> None:
        self.name = name or worker_name()
        self._database = database
        self._control = control or database
        self._concurrency = concurrency
        self._kinds: dict[str, JobKind] = {k: j for k, j in jobs.jobs().items() if kinds is None or k in kinds}
        self._drains: list[DrainKind] = [d for n, d in jobs.drains().items() if names is None or n in names]
        self._alone = alone
        self._poll_s = poll_s
        self._beat_s = min([BEAT_EVERY_S, *(kind.lease_s / 6 for kind in self._kinds.values())])
        self._grace_s = grace_s
        self._stop = asyncio.Event()
        self._running: dict[UUID, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[_End] = []
        self._ending = asyncio.Lock()
        self._hurry = False
        self._setbacks: dict[tuple[str, UUID], _Setback] = {}
        self._served: dict[str, UUID] = {}
        self._served_last = HOUSE
        self._strange: set[str] = set()
        self.is_stuck = False
        """After it has stopped: whether a job goes on although it was told not to."""

    # --- the three ways to run ---

    async def run(self) -> None:
        """Works until `stop`; then finishes what can be finished within the grace, and gives the rest back."""
        await self._until(self._stop.wait(), self._steps())

    async def drain(self) -> None:
        """Works until nothing is due or claimed by any worker and no drain has work, seen twice in a row.

        Retries that are due only later do not count, nor do workspaces in which a drain fails again and again.
        """
        await self._until(self._nothing_left(), self._steps())

    async def run_one(self, id: UUID) -> None:
        """Runs one job that the worker of this name has claimed."""
        asked_at_s = clock.monotonic_s()
        for row in await self._ask(CLAIMED, self.name, id):
            self._start(Claimed(*row), asked_at_s)
        await self._until(self._idle(), {})

    def stop(self) -> None:
        """Asks it to stop; safe to call from a signal handler of the loop."""
        self._stop.set()

    # --- the loops ---

    def _steps(self) -> dict[str, tuple[Step, float]]:
        """What is done over and over: a step that says whether it did something, and the pause when it did not."""
        steps: dict[str, tuple[Step, float]] = {
            "claim": (self._claim, self._poll_s),
            "recover": (self._recover, RECOVER_EVERY_S),
            "tick": (self._tick, TICK_EVERY_S),
            "count": (self._count, COUNT_EVERY_S),
        }
        for kind in self._drains:
            steps[kind.name] = (self._rounds(kind), self._poll_s)
        return steps

    async def _until(self, over: Coroutine[Any, Any, object], steps: Mapping[str, tuple[Step, float]]) -> None:
        keepers = [asyncio.create_task(self._keep_leases()), asyncio.create_task(self._watch_leases())]
        loops = [asyncio.create_task(self._forever(name, *step)) for name, step in steps.items()]
        ends = {asyncio.create_task(over), asyncio.create_task(self._stop.wait())}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            self._stop.set()
            await self._wind_down(loops)
            for task in done:
                task.result()
        finally:
            calls = [running.call for running in self._running.values()]
            left: list[asyncio.Task[Any]] = [*ends, *loops, *keepers, *self._tasks, *calls]
            for task in left:
                task.cancel()
            _, stuck = await asyncio.wait(left, timeout=1)
            self.is_stuck = bool(stuck)

    async def _forever(self, name: str, step: Step, idle_s: float) -> None:
        trouble = 0
        while not self._stop.is_set():
            try:
                busy = await step()
            except Exception as error:
                trouble += 1
                if trouble & (trouble - 1) == 0:  # 1, 2, 4, 8 …: a database that is away for long fills no log
                    unexpected = None if is_outage(error) else error
                    log.warning("trouble", step=name, times=trouble, why=reason(error), exc_info=unexpected)
                await self._pause(min(LONGEST_PAUSE_S, self._poll_s * 2 ** min(trouble, 10)))
                continue
            if trouble:
                log.info("trouble is over", step=name, times=trouble)
                trouble = 0
            if not busy:
                await self._pause(idle_s)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _ask(self, sql: str, *args: object) -> "list[asyncpg.Record]":
        async with asyncio.timeout(ASK_TIMEOUT_S), self._control.across() as con:
            return await con.fetch(sql, *args)

    async def _wind_down(self, loops: Sequence["asyncio.Task[None]"]) -> None:
        await self._finish(loops, self._grace_s)
        for running in self._running.values():
            running.stop("stopping")
        for loop in loops:
            loop.cancel()
        self._hurry = True
        if not await self._finish((), WIND_DOWN_S):
            why = "They did not stop; their leases run out."
            log.warning("jobs left running", jobs=list(self._running), why=why)

    async def _finish(self, loops: Sequence["asyncio.Task[None]"], patience_s: float) -> bool:
        until_s = clock.monotonic_s() + patience_s
        # A claim that was on its way may still start jobs, so the question is asked again.
        while left := {task for task in (*loops, *self._tasks) if not task.done()}:
            remaining_s = until_s - clock.monotonic_s()
            if remaining_s <= 0:
                return False
            await asyncio.wait(left, timeout=remaining_s)
        return True

    async def _idle(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _nothing_left(self) -> None:
        quiet = 0
        for round in count():
            if round:
                await self._pause(self._poll_s)
            try:
                quiet = quiet + 1 if not self._tasks and await self._is_quiet() else 0
            except Exception as error:
                quiet = 0
                log.debug("trouble", step="quiet", why=reason(error))
            if quiet == 2:
                return

    async def _is_quiet(self) -> bool:
        # One snapshot for all questions: work that moves from a drain to a job is seen on one side.
        async with (
            asyncio.timeout(ASK_TIMEOUT_S),
            self._control.across() as con,
            con.transaction(isolation="repeatable_read", readonly=True),
        ):
            if await con.fetchval(PENDING, list(self._kinds)):
                return False
            for kind in self._drains:
                for (workspace_id,) in await con.fetch(kind.workspaces):
                    setback = self._setbacks.get((kind.name, workspace_id))
                    if setback is None or setback.failures < FAILURES_SET_ASIDE:
                        return False
        return True

    # --- jobs ---

    async def _claim(self) -> bool:
        """Takes as many jobs as there is room for, and starts them. Waits for room where there is none."""
        free = self._concurrency - len(self._tasks)
        found = 0
        if free > 0 and self._kinds:
            asked_at_s = clock.monotonic_s()
            leases = [timedelta(seconds=kind.lease_s) for kind in self._kinds.values()]
            # Where there are other workspaces one of them leaves a place free; of two places that would cost too much.
            most_each = self._concurrency - 1 if self._concurrency > 2 else self._concurrency
            asked = (self.name, list(self._kinds), leases, free, most_each, self._served_last)
            claimed = [Claimed(*row) for row in await self._ask(CLAIM, *asked)]
            for each in claimed:
                self._start(each, asked_at_s)
            self._served_last = last_served(self._served_last, [each.workspace_id for each in claimed])
            found = len(claimed)
        if not self._tasks:
            return False
        # A full worker waits for room; another asks again soon, and at once when a job has ended: its workspace may
        # have more.
        await self._wait_for_room(None if found == free else self._poll_s)
        return True

    async def _wait_for_room(self, seconds: float | None) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({*self._tasks, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    def _start(self, claimed: Claimed, asked_at_s: float) -> None:
        kind = self._kinds[claimed.kind]
        context = JobContext(self._database, claimed.workspace_id, claimed.id, claimed.kind, self.name)
        context.attempt, context.is_last_attempt = claimed.attempts, claimed.attempts >= claimed.max_attempts
        alone = self._alone if claimed.lost else None
        work = _call(kind, context, claimed.args) if alone is None else _call_alone(alone, claimed.id, self.name)
        call = asyncio.create_task(work)
        running = _Running(context, call, kind.lease_s, asked_at_s)
        self._running[claimed.id] = running
        # A process of its own watches the time itself, and says so better; this only ends one that hangs.
        timeout_s = kind.timeout_s if alone is None or kind.timeout_s is None else kind.timeout_s + 5
        task = asyncio.create_task(self._see_through(claimed, kind, running, timeout_s, reports=alone is not None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(
        self, claimed: Claimed, kind: JobKind, running: _Running, timeout_s: float | None, *, reports: bool
    ) -> None:
        started_s = clock.monotonic_s()
        try:
            done, _ = await asyncio.wait({running.call}, timeout=timeout_s)
            if not done:
                running.stop("timeout")
                await asyncio.wait({running.call})
            outcome, why = _judged(running, timeout_s)
            if outcome == "done" and reports:
                outcome = None  # that process has ended the job itself
            is_dead = outcome == "hopeless" or (outcome in ("failed", "lost") and running.context.is_last_attempt)
            shown = "dead" if is_dead else outcome or "taken"
            if outcome is not None or not reports:
                telemetry.job_done(claimed.kind, shown, clock.monotonic_s() - started_s)
            if why is not None:
                error = None if running.call.cancelled() else running.call.exception()
                log.warning(
                    f"job {shown}",
                    kind=claimed.kind,
                    job_id=claimed.id,
                    workspace_id=claimed.workspace_id,
                    attempt=f"{claimed.attempts} of {claimed.max_attempts}",
                    why=why,
                    exc_info=None if error is None or is_outage(error) else error,
                )
            if outcome is not None:
                retry_in = timedelta(seconds=kind.retry.delay_s(claimed.attempts, luck()))
                await self._end(_End(claimed.id, outcome, why, retry_in, running.context.unsaved))
        finally:
            running.call.cancel()
            del self._running[claimed.id]

    async def _end(self, end: _End) -> None:
        """Ends the attempt; those that end while another end is on its way go together in the next statement."""
        self._ends.append(end)
        async with self._ending:
            if end not in self._ends:
                return
            batch, self._ends = self._ends, []
            for trouble in count(1):
                try:
                    await self._ask(
                        END,
                        self.name,
                        [e.id for e in batch],
                        [e.outcome for e in batch],
                        [e.why for e in batch],
                        [e.retry_in for e in batch],
                        [e.progress for e in batch],
                    )
                    return
                except Exception as error:
                    log.warning("trouble", step="end", times=trouble, why=reason(error))
                    if self._hurry:
                        return
                    await asyncio.sleep(min(LONGEST_PAUSE_S, 0.1 * 2 ** min(trouble, 10)))

    # --- leases ---

    async def _keep_leases(self) -> None:
        """Renews each lease before a third of it is over, stores progress, hears of cancellations; once a second."""
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self._beat()
            except Exception as error:
                log.debug("trouble", step="beat", why=reason(error))

    async def _beat(self) -> None:
        asked_at_s = clock.monotonic_s()
        running = {id: r for id, r in self._running.items() if not r.call.done()}
        if not running:
            return
        renewed = {id for id, r in running.items() if asked_at_s - r.beaten_at_s >= r.lease_s / 3 - self._beat_s}
        progress = [r.context.unsaved for r in running.values()]
        rows = await self._ask(
            BEAT,
            self.name,
            list(running),
            [timedelta(seconds=r.lease_s) if id in renewed else None for id, r in running.items()],
            progress,
        )
        for r, saved in zip(running.values(), progress, strict=True):
            r.context.saved(saved)
        ours = {id: cancelling for id, cancelling in rows}
        for id, r in running.items():
            if id not in ours:
                r.stop("lost")
                continue
            if id in renewed:
                r.beaten_at_s, r.held_until_s = asked_at_s, asked_at_s + r.lease_s
            if ours[id]:
                r.context.ask_to_stop()

    async def _watch_leases(self) -> None:
        """Stops what may be somebody else's by now, also when the database cannot be asked."""
        while True:
            await asyncio.sleep(self._beat_s / 2)
            now_s = clock.monotonic_s()
            for running in list(self._running.values()):
                if now_s > running.held_until_s and not running.call.done():
                    running.stop("lost")

    async def _recover(self) -> bool:
        gone = [name for (name,) in await self._ask(WORKERS) if name != self.name and is_gone(name)]
        for (recovered,) in await self._ask(RECOVER, gone):
            if recovered:
                log.warning("took back what lost workers held", jobs=recovered, gone=gone)
        return False

    # --- the house's clock and counters ---

    async def _tick(self) -> bool:
        """Puts the next tick of every periodic job into the queue, by the clock that decides what is due: PostgreSQL's."""
        periodic = [kind for kind in self._kinds.values() if kind.cron is not None]
        if periodic:
            ((now,),) = await self._ask(NOW)
            for kind in periodic:
                at: datetime = kind.next_tick(now)
                await self._ask(TICK, ids.new(), kind.kind, at, kind.attempts)
        return False

    async def _count(self) -> bool:
        found = {(kind, state): number for kind, state, number in await self._ask(COUNTS)}
        for state in ("queued", "running", "dead"):
            number = sum(jobs for (_, at), jobs in found.items() if at == state)
            telemetry.queue_depth("jobs" if state == "queued" else f"jobs.{state}", number)
        strange = {kind for kind, state in found if state == "queued"} - set(jobs.jobs())
        if strange - self._strange:
            log.warning("jobs of unknown kinds stay queued", kinds=sorted(strange))
        self._strange = strange
        return False

    # --- drains ---

    def _rounds(self, kind: DrainKind) -> Step:
        async def round() -> bool:
            return await self._round(kind)

        return round

    async def _round(self, kind: DrainKind) -> bool:
        """One batch in each workspace that has work, beginning after the one that was served last."""
        found: list[UUID] = sorted(row[0] for row in await self._ask(kind.workspaces))
        self._forget_setbacks(kind, found)
        last = self._served.get(kind.name)
        if last is not None:
            found = [w for w in found if w > last] + [w for w in found if w <= last]
        rows = 0
        for workspace_id in found:
            if self._stop.is_set():
                break
            setback = self._setbacks.get((kind.name, workspace_id))
            if setback is None or clock.monotonic_s() >= setback.until_s:
                self._served[kind.name] = workspace_id
                rows += await self._batch(kind, workspace_id)
        return rows > 0

    async def _batch(self, kind: DrainKind, workspace_id: UUID) -> int:
        key = (kind.name, workspace_id)
        try:
            async with asyncio.timeout(kind.timeout_s):
                rows = await kind.batch(self._database, workspace_id)
        except Exception as error:
            if is_outage(error):
                raise  # nobody's fault: the loop waits for the database
            failures = self._setbacks[key].failures + 1 if key in self._setbacks else 1
            wait_s = kind.retry.delay_s(failures, luck())
            self._setbacks[key] = _Setback(failures, clock.monotonic_s() + wait_s)
            log.warning(
                "drain failed",
                drain=kind.name,
                workspace_id=workspace_id,
                times=failures,
                again_in_s=round(wait_s),
                why=reason(error),
                exc_info=error,
            )
            return 0
        self._setbacks.pop(key, None)
        if rows:
            telemetry.drained(kind.name, rows)
        return rows

    def _forget_setbacks(self, kind: DrainKind, busy: Sequence[UUID]) -> None:
        for name, workspace_id in list(self._setbacks):
            if name == kind.name and workspace_id not in busy:
                del self._setbacks[name, workspace_id]


def last_served(before: UUID, served: Sequence[UUID | None]) -> UUID:
    """Which of these workspaces comes last on the walk that begins after `before` and goes round by their ids."""
    return max((each or HOUSE for each in served), key=lambda id: (id <= before, id), default=before)


# --- one call --------------------------------------------------------------------------------------------------------


async def _call(kind: JobKind, context: JobContext, args: object) -> None:
    workspace_id = context.workspace_id if kind.cron is None else None
    try:
        with telemetry.bound(job_id=context.id, workspace_id=workspace_id):
            await kind.call(context, args)
    except SystemExit as error:
        # It would end the worker, and with it everybody else's jobs.
        raise RuntimeError(worded(f"It tried to end the process with status {error.code!r}.")) from None


async def _call_alone(command: Sequence[str], id: UUID, worker: str) -> None:
    child = tether.Child([*command, str(id), worker], farewell=signal.SIGTERM)
    try:
        while (status := child.ended()) is None:  # noqa: ASYNC110  the child is no task of this loop
            await asyncio.sleep(0.05)
    finally:
        if child.ended() is None:
            child.ask()
            for _ in range(int(WIND_DOWN_S / 0.05)):
                if child.ended() is not None:
                    break
                await asyncio.sleep(0.05)
            child.force()
    if status:
        how = worded(f"signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"status {status}")
        raise ProcessLost(worded(f"Its process ended with {how}."))


def _judged(running: _Running, timeout_s: float | None) -> tuple[Outcome | None, str | None]:
    """How the attempt ended, and why; no outcome when it is no longer ours to end."""
    call = running.call
    error = None if call.cancelled() else call.exception()
    if error is None and not call.cancelled():
        return ("cancelled", None) if running.context.heeded else ("done", None)
    match running.stopped:
        case "lost":
            return None, worded("Its lease was lost.")
        case "stopping":
            return "released", None
        case "timeout":
            return "failed", worded(f"It took longer than {timeout_s:g} s.")
        case _:
            pass
    match error:
        case None:
            return "failed", worded("It cancelled itself.")
        case LeaseLost():
            return None, reason(error)
        case GiveUp():
            return "hopeless", reason(error)
        case ProcessLost():
            return "lost", str(error)
        case _:
            return "failed", reason(error)


def is_outage(error: BaseException) -> bool:
    """Whether an error says that the database is away, rather than that something is wrong."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return False
    return isinstance(
        error,
        OSError
        | OverCapacity
        | asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.TooManyConnectionsError
        | asyncpg.InterfaceError
        | asyncpg.InternalClientError,  # what the driver says of a connection that breaks under its hands
    ) and not isinstance(error, TimeoutError)


# --- who is who ------------------------------------------------------------------------------------------------------


def worker_name() -> str:
    """A name for a worker of this process: machine, process, and what tells later whether the process is gone."""
    start = _started(os.getpid()) or "-"
    return f"{socket.gethostname()}/{os.getpid()}/{start}/{_scope()}/{ids.new().hex[-6:]}"


def is_gone(name: str) -> bool:
    """Whether the process of this worker surely runs no more; False when it cannot be known from here."""
    parts = name.split("/")
    if len(parts) != 5 or not _scope() or parts[3] != _scope() or not parts[1].isdigit():
        return False
    try:
        os.kill(int(parts[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    started = _started(int(parts[1]))
    return started is not None and started != parts[2]


def _scope() -> str:
    """The same for processes that see each other by their ids: one start of one machine, one space of process ids."""
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot[:8]}-{Path('/proc/self/ns/pid').readlink().name.strip('pid:[]')}-{socket.gethostname()[:12]}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine's start; 'ended' for one whose parent has not looked yet."""
    try:
        # The second field is the program's name in parentheses and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]
