"""Jobs and drains: what is deferred, what runs, what happens when it does not."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.kit import clock, ids, jobs, migrate
from supover.kit.db import Database
from supover.kit.jobs import (
    Backoff,
    GiveUp,
    Job,
    JobContext,
    LeaseLost,
    NoSuchJob,
    defer,
    defer_many,
    drain,
    job,
    periodic,
)
from supover.kit.problems import Problem
from supover.kit.sql import page
from supover.kit.worker import Worker, is_gone, last_served, worker_name
from tests.conftest import clone
from tests.soak import program

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
async def url() -> AsyncGenerator[str]:
    async with clone() as found:
        con: Connection = await asyncpg.connect(found)
        async with con.transaction():
            await con.execute(program.TABLES)
            await migrate.fence(con)
        await con.close()
        yield found


@pytest.fixture(scope="module")
async def pool(url: str) -> AsyncGenerator[Database]:
    database = await Database.open(url, size=20)
    yield database
    await database.close()


@pytest.fixture
async def root(url: str) -> "AsyncGenerator[Connection]":
    con: Connection = await asyncpg.connect(url)
    yield con
    await con.execute("delete from data.job; delete from data.trial; delete from data.trial_effect")
    await con.close()


@pytest.fixture
async def space(pool: Database, root: "Connection") -> UUID:
    return await new_workspace(pool)


async def new_workspace(pool: Database) -> UUID:
    id = ids.new()
    async with pool.across() as con:
        await con.execute("select workspace_add($1, 'Trial', 'EUR', 2::smallint, 'UTC', '{}')", id)
    return id


async def put(
    pool: Database,
    space: UUID,
    kind: str,
    *,
    run_at: datetime | None = None,
    singleton: str | None = None,
    **args: object,
) -> UUID:
    async with pool.tx(space) as tx:
        id = await defer(tx, kind, args, run_at=run_at, singleton=singleton)
    assert id is not None
    return id


async def look(pool: Database, space: UUID, id: UUID) -> Job:
    async with pool.reader(space) as db:
        return await jobs.find(db, id)


def worker(
    pool: Database, *kinds: str, concurrency: int = 4, drains: tuple[str, ...] = (), grace_s: float = 8
) -> Worker:
    found = Worker(pool, concurrency=concurrency, kinds=kinds, names=drains, poll_s=0.01, grace_s=grace_s)
    made.append(found)
    return found


async def until(what: str, root: "Connection", sql: str, *args: object) -> None:
    for _ in range(1000):
        if await root.fetchval(sql, *args):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


# --- trial jobs ---

ran: list[tuple[str, object]] = []
gate = asyncio.Event()
at_once: Counter[str] = Counter()
most: Counter[str] = Counter()
made: list[Worker] = []
NOW = Backoff(0, 1, 0)


@pytest.fixture(autouse=True)
def fresh() -> Generator[None]:
    ran.clear()
    gate.clear()
    at_once.clear()
    most.clear()
    yield
    for left in made:
        left.stop()
    made.clear()


@job("trial.note")
async def note(ctx: JobContext, customer_id: UUID, name: str, number: int | None = None) -> None:
    ran.append((name, (ctx.workspace_id, customer_id, number, ctx.attempt)))


@job("trial.fail", retry=NOW)
async def fail(ctx: JobContext, number: int = 0) -> None:
    ran.append(("fail", number))
    raise ValueError(f"Try {ctx.attempt} of postgresql://ann:hunter2@db/shop for ann@example.com")


@job("trial.fail_slowly", retry=Backoff(100, 3, 1000))
async def fail_slowly(ctx: JobContext) -> None:
    raise OSError("The carrier does not answer.")


@job("trial.hopeless")
async def hopeless(ctx: JobContext) -> None:
    raise GiveUp("The file is no table.")


@job("trial.wait", lease_s=0.6, retry=NOW)
async def wait(ctx: JobContext, name: str) -> None:
    at_once[name] += 1
    most[name] = max(most[name], at_once[name])
    ran.append((name, ctx.attempt))
    try:
        await gate.wait()
        if ctx.cancelled():
            return
        async with ctx.tx() as tx:
            ran.append((name, await tx.value("select $1::uuid")))
    finally:
        at_once[name] -= 1


@job("trial.touch")
async def touch(ctx: JobContext, name: str) -> None:
    at_once[name] += 1
    most[name] = max(most[name], at_once[name])
    await asyncio.sleep(0.005)
    ran.append((name, ctx.id))
    at_once[name] -= 1


@job("trial.hang", timeout_s=0.05, attempts=1)
async def hang(ctx: JobContext) -> None:
    await asyncio.sleep(60)


@job("trial.exit", attempts=1)
async def leave(ctx: JobContext) -> None:
    sys.exit(3)


@job("trial.row")
async def row(ctx: JobContext, number: int) -> None:
    async with ctx.tx() as tx:
        await tx.run("insert into trial (workspace_id, id) values ($1, $2)", number)


@job("trial.steps", lease_s=0.6)
async def steps(ctx: JobContext) -> None:
    ctx.progress({"done": 1})
    while not ctx.cancelled():  # noqa: ASYNC110  as an import looks between two chunks
        await asyncio.sleep(0.01)
    ctx.progress({"done": 2})


@periodic("0 3 * * *", "trial.nightly", retry=NOW)
async def nightly(ctx: JobContext) -> None:
    ran.append(("nightly", ctx.attempt))


TAKE = """
    delete from trial where workspace_id = $1 and id in (
        select id from trial where workspace_id = $1 order by id limit 2 for update skip locked)"""
sick: set[UUID] = set()


@drain("trial.take", workspaces="select workspaces_with_trial()", retry=Backoff(0.01, 1, 0.01))
async def take(database: Database, workspace_id: UUID) -> int:
    ran.append(("take", workspace_id))
    if workspace_id in sick:
        raise ValueError("This workspace is sick.")
    async with database.tx(workspace_id) as tx:
        return await tx.run(TAKE)


async def fill(root: "Connection", space: UUID, rows: int) -> None:
    await root.execute("insert into data.trial select $1, n from generate_series(1, $2::int) n", space, rows)


# --- deferring ---


async def test_a_deferred_job_runs_after_the_commit_with_its_arguments_typed(pool: Database, space: UUID) -> None:
    customer = ids.new()
    id = await put(pool, space, "trial.note", customer_id=customer, name="Ann", number=7)
    before = await look(pool, space, id)
    await worker(pool, "trial.note").drain()
    after = await look(pool, space, id)
    assert ran == [("Ann", (space, customer, 7, 1))]
    assert (before.state, before.attempts, before.args) == (
        "queued",
        0,
        {"customer_id": str(customer), "name": "Ann", "number": 7},
    )
    assert (after.state, after.attempts, after.error, after.finished_at is None) == ("done", 1, None, False)


async def test_a_rolled_back_transaction_leaves_no_job(pool: Database, space: UUID, root: "Connection") -> None:
    with pytest.raises(ZeroDivisionError):
        async with pool.tx(space) as tx:
            await defer(tx, "trial.note", {"customer_id": ids.new(), "name": "Ann"})
            raise ZeroDivisionError
    await worker(pool, "trial.note").drain()
    assert ran == []
    assert await root.fetchval("select count(*) from data.job") == 0


@pytest.mark.parametrize(
    "args",
    [
        {"name": "Ann"},
        {"customer_id": "no id", "name": "Ann"},
        {"customer_id": ids.new(), "name": 7},
        {"customer_id": ids.new(), "name": "Ann", "email": "ann@example.com"},
    ],
)
async def test_other_arguments_than_the_job_takes_are_refused(
    pool: Database, space: UUID, args: dict[str, object]
) -> None:
    async with pool.tx(space) as tx:
        with pytest.raises(msgspec.ValidationError):
            await defer(tx, "trial.note", args)


async def test_an_unknown_kind_is_refused(pool: Database, space: UUID) -> None:
    async with pool.tx(space) as tx:
        with pytest.raises(NoSuchJob, match=r"trial\.unheard"):
            await defer(tx, "trial.unheard")


async def test_only_ids_can_be_arguments_and_names_are_taken_once() -> None:
    async def carries(ctx: JobContext, rows: list[str]) -> None: ...

    async def empty(ctx: JobContext) -> None: ...

    async def batch(database: Database, workspace_id: UUID) -> int:
        return 0

    with pytest.raises(TypeError, match="rows must be an id"):
        job("trial.carries")(carries)
    with pytest.raises(ValueError, match="already registered"):
        job("trial.note")(empty)
    with pytest.raises(ValueError, match=r"room\.verb"):
        job("trial")(empty)
    with pytest.raises(ValueError, match="at least one attempt"):
        job("trial.never", attempts=0)(empty)
    with pytest.raises(ValueError, match="five fields"):
        periodic("0 3 * *", "trial.weekly")
    with pytest.raises(ValueError, match="five fields"):
        periodic("0 0 3 * * *", "trial.weekly")
    with pytest.raises(TypeError, match="takes no arguments"):
        periodic("0 3 * * *", "trial.weekly")(note)
    with pytest.raises(ValueError, match="already registered"):
        drain("trial.take", workspaces="")(batch)
    with pytest.raises(ValueError, match=r"room\.verb"):
        drain("take", workspaces="")(batch)


async def test_a_job_for_later_waits_for_its_time(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(
        pool, space, "trial.note", run_at=clock.now() + timedelta(hours=1), customer_id=ids.new(), name="Ann"
    )
    await worker(pool, "trial.note").drain()
    assert ran == []
    assert (await look(pool, space, id)).state == "queued"
    await root.execute("update data.job set run_at = now()")
    await worker(pool, "trial.note").drain()
    assert len(ran) == 1


async def test_many_jobs_are_deferred_in_one_statement(pool: Database, space: UUID) -> None:
    async with pool.tx(space) as tx:
        made = await defer_many(tx, "trial.touch", [{"name": str(n)} for n in range(1000)])
        none = await defer_many(tx, "trial.touch", [])
    assert len({id for id in made if id is not None}) == 1000
    assert none == []
    await worker(pool, "trial.touch", concurrency=50).drain()
    assert sorted(int(name) for name, _ in ran) == list(range(1000))


# --- singletons ---


async def test_of_a_singleton_one_is_queued_and_the_transaction_goes_on(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    other = await new_workspace(pool)
    async with pool.tx(space) as tx:
        first = await defer(tx, "trial.touch", {"name": "a"}, singleton="all")
        again = await defer(tx, "trial.touch", {"name": "a"}, singleton="all")
        differs = await defer(tx, "trial.touch", {"name": "b"}, singleton="some")
    async with pool.tx(other) as tx:
        elsewhere = await defer(tx, "trial.touch", {"name": "a"}, singleton="all")
    async with pool.tx(space) as tx:
        later = await defer_many(
            tx, "trial.touch", [{"name": "a"}, {"name": "c"}, {"name": "c"}], singletons=["all", "c", "c"]
        )
    assert (first is None, again, differs is None, elsewhere is None) == (False, None, False, False)
    assert [id is None for id in later] == [True, False, True]
    assert await root.fetchval("select count(*) from data.job") == 4
    await worker(pool, "trial.touch").drain()
    assert Counter(name for name, _ in ran) == {"a": 2, "b": 1, "c": 1}
    assert await put(pool, space, "trial.touch", name="a", singleton="all") != first


async def test_a_queued_singleton_starts_only_after_those_who_counted_on_it_committed(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    id = await put(pool, space, "trial.touch", name="a", singleton="all")
    async with pool.tx(space) as one, pool.tx(space) as two:
        # Neither waits for the other.
        assert await defer(one, "trial.touch", {"name": "a"}, singleton="all") is None
        assert await defer(two, "trial.touch", {"name": "a"}, singleton="all") is None
        working = asyncio.create_task(worker(pool, "trial.touch").drain())
        await asyncio.sleep(0.15)
        assert (ran, (await look(pool, space, id)).state) == ([], "queued")
    await working
    assert ran == [("a", id)]


async def test_a_singleton_that_was_just_taken_is_queued_anew(pool: Database, space: UUID, root: "Connection") -> None:
    first = await put(pool, space, "trial.touch", name="a", singleton="all")
    claim = root.transaction()
    await claim.start()
    taken = await root.fetch("select id from fence.job_claim('w', '{trial.touch}', '{30 s}', 1, 1)")
    assert [row[0] for row in taken] == [first]
    async with pool.tx(space) as tx:
        deferring = asyncio.create_task(defer(tx, "trial.touch", {"name": "a"}, singleton="all"))
        await asyncio.sleep(0.05)
        assert not deferring.done()
        await claim.commit()
        second = await deferring
    assert second not in (None, first)
    assert (await look(pool, space, first)).state == "running"


async def test_a_singleton_never_runs_twice_at_a_time(pool: Database, space: UUID, root: "Connection") -> None:
    await put(pool, space, "trial.wait", name="a", singleton="all")
    found = worker(pool, "trial.wait")
    working = asyncio.create_task(found.drain())
    await until("it runs", root, "select true from data.job where state = 'running'")
    second = await put(pool, space, "trial.wait", name="a", singleton="all")
    await asyncio.sleep(0.1)
    assert (await look(pool, space, second)).state == "queued"
    gate.set()
    await working
    assert most == {"a": 1}
    assert [what for _, what in ran] == [1, space, 1, space]


async def test_a_failed_singleton_hands_its_attempts_to_the_one_queued_meanwhile(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    first = await put(pool, space, "trial.fail_slowly", singleton="all")
    await root.execute("update data.job set attempts = 3")
    await root.fetch("select id from fence.job_claim('w', '{trial.fail_slowly}', '{30 s}', 1, 1)")
    second = await put(pool, space, "trial.fail_slowly", singleton="all")
    end = "select fence.job_end('w', array[$1::uuid], '{failed}', '{It rains.}', array[interval '1 hour'], array[null::jsonb])"
    assert await root.fetchval(end, first) == first
    one, two = await look(pool, space, first), await look(pool, space, second)
    assert (one.state, one.error, one.attempts) == ("cancelled", "It rains.", 4)
    assert (two.state, two.error, two.attempts) == ("queued", "It rains.", 4)
    assert timedelta(minutes=59) < two.run_at - clock.now() <= timedelta(hours=1)


# --- failing ---


async def test_a_failing_job_is_tried_five_times_and_then_dead_with_the_reason(pool: Database, space: UUID) -> None:
    id = await put(pool, space, "trial.fail")
    neighbour = await put(pool, space, "trial.touch", name="n")
    await worker(pool, "trial.fail", "trial.touch").drain()
    found = await look(pool, space, id)
    assert (found.state, found.attempts, found.finished_at is None) == ("dead", 5, False)
    assert found.error == "ValueError: Try 5 of postgresql://***@db/shop for (email)"
    assert len([1 for name, _ in ran if name == "fail"]) == 5
    assert (await look(pool, space, neighbour)).state == "done"


async def test_a_retry_waits_and_holds_up_no_drain(pool: Database, space: UUID) -> None:
    id = await put(pool, space, "trial.fail_slowly")
    await worker(pool, "trial.fail_slowly").drain()
    found = await look(pool, space, id)
    assert (found.state, found.attempts, found.error) == ("queued", 1, "OSError: The carrier does not answer.")
    assert timedelta(seconds=70) < found.run_at - clock.now() <= timedelta(seconds=100)


async def test_a_hopeless_job_is_dead_at_once(pool: Database, space: UUID) -> None:
    id = await put(pool, space, "trial.hopeless")
    await worker(pool, "trial.hopeless").drain()
    found = await look(pool, space, id)
    assert (found.state, found.attempts, found.error) == ("dead", 1, "The file is no table.")


async def test_a_job_that_takes_too_long_or_ends_the_process_fails_alone(pool: Database, space: UUID) -> None:
    slow, leaver = await put(pool, space, "trial.hang"), await put(pool, space, "trial.exit")
    await worker(pool, "trial.hang", "trial.exit").drain()
    assert (await look(pool, space, slow)).error == "It took longer than 0.05 s."
    assert (await look(pool, space, leaver)).error == "RuntimeError: It tried to end the process with status 3."
    assert {(await look(pool, space, id)).state for id in (slow, leaver)} == {"dead"}


@given(attempt=st.integers(1, 10_000), luck=st.floats(0, 1))
def test_a_delay_is_within_its_bounds(attempt: int, luck: float) -> None:
    found = Backoff(5, 3, 3600).delay_s(attempt, luck)
    full = min(3600, 5 * 3 ** min(attempt - 1, 20))
    assert 0.75 * full <= found <= full


def test_a_reason_names_the_error_and_hides_secrets() -> None:
    refused = asyncpg.UniqueViolationError('duplicate key value violates unique constraint "customer_email"')
    setattr(refused, "detail", "Key (email)=(ann@example.com) already exists.")  # noqa: B010  as the driver does
    assert (
        jobs.reason(refused) == 'UniqueViolationError: duplicate key value violates unique constraint "customer_email"'
    )
    assert jobs.reason(ExceptionGroup("several", [KeyError("a"), OSError()])) == "KeyError: 'a'"
    assert jobs.reason(OSError()) == "OSError"
    assert jobs.reason(ValueError("a\0b \ud800\n  c")) == "ValueError: ab ? c"
    assert jobs.reason(ValueError("x" * 1000)) == "ValueError: " + "x" * 487 + "…"


# --- leases ---


async def test_a_lease_is_renewed_while_the_job_runs(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.wait", name="a")
    working = asyncio.create_task(worker(pool, "trial.wait").drain())
    await asyncio.sleep(1.3)
    assert await root.fetchval("select lease_until > now() from data.job") is True
    assert await root.fetchval("select fence.job_recover('{}')") == 0
    gate.set()
    await working
    assert ((await look(pool, space, id)).state, ran) == ("done", [("a", 1), ("a", space)])


async def test_a_job_whose_lease_is_lost_is_stopped_and_run_by_another(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    id = await put(pool, space, "trial.wait", name="a")
    first = worker(pool, "trial.wait")
    working = asyncio.create_task(first.run())
    await until("it runs", root, "select true from data.job where state = 'running'")
    async with root.transaction():
        await root.execute("update data.job set lease_until = now() - interval '1 s'")
        assert await root.fetchval("select fence.job_recover('{}')") == 1
        await root.execute("update data.job set run_at = now() + interval '1 hour'")
    lost = await look(pool, space, id)
    assert (lost.state, lost.attempts, lost.error) == ("queued", 1, f"The worker {first.name} was lost while it ran.")
    await asyncio.sleep(0.4)
    assert at_once["a"] == 0
    first.stop()
    await working
    assert (await look(pool, space, id)).state == "queued"
    await root.execute("update data.job set run_at = now()")
    gate.set()
    await worker(pool, "trial.wait").drain()
    assert ((await look(pool, space, id)).state, ran) == ("done", [("a", 1), ("a", 2), ("a", space)])


async def test_a_worker_that_slept_through_its_lease_writes_nothing(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    id = await put(pool, space, "trial.row", number=1)
    await root.execute("select id from fence.job_claim('sleeper', '{trial.row}', '{1 s}', 1, 1)")
    await root.execute("update data.job set lease_until = now() - interval '1 s'")
    await root.fetchval("select fence.job_recover('{}')")
    await root.execute("select id from fence.job_claim('other', '{trial.row}', '{30 s}', 1, 1)")
    with pytest.raises(LeaseLost):
        await row(JobContext(pool, space, id, "trial.row", "sleeper"), number=1)
    assert await root.fetchval("select count(*) from data.trial") == 0
    await row(JobContext(pool, space, id, "trial.row", "other"), number=1)
    assert await root.fetchval("select count(*) from data.trial") == 1


async def test_a_job_that_is_about_to_commit_is_not_taken_back(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.row", number=1)
    await root.execute("select id from fence.job_claim('late', '{trial.row}', '{1 s}', 1, 1)")
    await root.execute("update data.job set lease_until = now() - interval '1 s'")
    async with JobContext(pool, space, id, "trial.row", "late").tx():
        assert await root.fetchval("select fence.job_recover('{}')") == 0
        # Its heartbeat passes.
        assert (
            await root.fetchval(
                "select id from fence.job_beat('late', array[$1::uuid], '{30 s}', array[null::jsonb])", id
            )
            == id
        )
    assert await root.fetchval("select fence.job_recover('{}')") == 0


async def test_what_a_dead_process_of_this_machine_held_is_taken_back_at_once(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    words = "from supover.kit.worker import worker_name; print(worker_name())"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", words, stdout=subprocess.PIPE)
    dead = (await other.communicate())[0].decode().strip()
    assert (is_gone(dead), is_gone(worker_name()), is_gone("w"), is_gone(dead + "/x")) == (True, False, False, False)
    parts = worker_name().split("/")
    assert is_gone("/".join([*parts[:2], "12", *parts[3:]])) is True  # the number was given to a later process
    assert is_gone("/".join([*parts[:3], "elsewhere", parts[4]])) is False
    id = await put(pool, space, "trial.touch", name="a")
    await root.execute("select id from fence.job_claim($1, '{trial.touch}', '{1 hour}', 1, 1)", dead)
    await worker(pool, "trial.touch").drain()
    assert ((await look(pool, space, id)).state, ran) == ("done", [("a", id)])


async def test_two_workers_never_run_the_same_job(pool: Database, space: UUID, root: "Connection") -> None:
    async with pool.tx(space) as tx:
        await defer_many(tx, "trial.touch", [{"name": str(n)} for n in range(400)])
    await asyncio.gather(*(worker(pool, "trial.touch", concurrency=7).drain() for _ in range(3)))
    assert Counter(name for name, _ in ran) == {str(n): 1 for n in range(400)}
    assert await root.fetchval("select array_agg(distinct attempts) from data.job") == [1]


# --- stopping ---


async def test_stopping_gives_back_what_cannot_be_finished_without_counting_it(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    ids_ = [await put(pool, space, "trial.wait", name=str(n)) for n in range(3)]
    found = worker(pool, "trial.wait", grace_s=0.1)
    working = asyncio.create_task(found.run())
    await until("all run", root, "select count(*) = 3 from data.job where state = 'running'")
    started = clock.monotonic_s()
    found.stop()
    await working
    assert clock.monotonic_s() - started < 2
    for id in ids_:
        job_ = await look(pool, space, id)
        assert (job_.state, job_.attempts, job_.error) == ("queued", 0, None)
    gate.set()
    await worker(pool, "trial.wait").drain()
    assert {(await look(pool, space, id)).state for id in ids_} == {"done"}


async def test_stopping_lets_short_work_finish(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.wait", name="a")
    found = worker(pool, "trial.wait")
    working = asyncio.create_task(found.run())
    await until("it runs", root, "select true from data.job where state = 'running'")
    found.stop()
    gate.set()
    await working
    assert (await look(pool, space, id)).state == "done"


async def test_draining_waits_for_what_another_worker_holds(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.touch", name="a")
    await root.execute("select id from fence.job_claim('other', '{trial.touch}', '{1 hour}', 1, 1)")
    working = asyncio.create_task(worker(pool).drain())
    await asyncio.sleep(0.2)
    assert not working.done()
    end = "select fence.job_end('other', array[$1::uuid], '{done}', array[null::text], array[null::interval], array[null::jsonb])"
    await root.execute(end, id)
    await asyncio.wait_for(working, 5)


# --- progress and cancelling ---


async def test_progress_is_seen_while_it_runs_and_a_running_job_can_be_stopped(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    id = await put(pool, space, "trial.steps")
    working = asyncio.create_task(worker(pool, "trial.steps").drain())
    await until("progress", root, "select progress = '{\"done\": 1}' from data.job")
    async with pool.tx(space) as tx:
        asked = await jobs.cancel(tx, id)
    await working
    found = await look(pool, space, id)
    assert (asked.state, asked.cancelling) == ("running", True)
    assert (found.state, found.progress) == ("cancelled", {"done": 2})


def test_progress_cannot_hold_what_the_database_does_not_take(pool: Database) -> None:
    with pytest.raises(ValueError, match="NUL"):
        JobContext(pool, None, ids.new(), "trial.steps", "w").progress({"file": "a\0b"})


async def test_a_job_that_was_to_stop_is_not_tried_again(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.touch", name="a")
    await root.execute("select id from fence.job_claim('w', '{trial.touch}', '{1 s}', 1, 1)")
    async with pool.tx(space) as tx:
        await jobs.cancel(tx, id)
    await root.fetchval("select fence.job_recover('{w}')")
    assert (await look(pool, space, id)).state == "cancelled"


async def test_a_queued_job_is_cancelled_and_can_be_queued_again(pool: Database, space: UUID) -> None:
    id = await put(pool, space, "trial.touch", name="a", singleton="all")
    async with pool.tx(space) as tx:
        cancelled = await jobs.cancel(tx, id)
    await worker(pool, "trial.touch").drain()
    assert (cancelled.state, cancelled.cancelling, ran) == ("cancelled", False, [])
    async with pool.tx(space) as tx:
        with pytest.raises(jobs.JobEnded):
            await jobs.cancel(tx, id)
        again = await jobs.retry(tx, id)
        with pytest.raises(jobs.JobNotDead):
            await jobs.retry(tx, id)
    assert (again.state, again.attempts, again.finished_at) == ("queued", 0, None)
    await worker(pool, "trial.touch").drain()
    assert ran == [("a", id)]


async def test_a_dead_job_is_tried_again_with_all_its_attempts_unless_its_twin_is_queued(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    id = await put(pool, space, "trial.fail", singleton="all")
    await worker(pool, "trial.fail").drain()
    twin = await put(pool, space, "trial.fail", singleton="all")
    with pytest.raises(jobs.JobTwinQueued):
        async with pool.tx(space) as tx:
            await jobs.retry(tx, id)
    async with pool.tx(space) as tx:
        await jobs.cancel(tx, twin)
        again = await jobs.retry(tx, id)
    assert (again.state, again.attempts, again.error) == ("queued", 0, None)
    await worker(pool, "trial.fail").drain()
    assert (await look(pool, space, id)).attempts == 5


async def test_the_staff_see_their_own_jobs_only(pool: Database, space: UUID, root: "Connection") -> None:
    other = await new_workspace(pool)
    mine = [await put(pool, space, "trial.touch", name=str(n)) for n in range(5)]
    theirs = await put(pool, other, "trial.touch", name="x")
    async with pool.across() as con:
        await con.execute("select job_defer_house($1, 'trial.nightly', now(), 5)", ids.new())
    await root.execute("update data.job set state = 'dead' where id = any($1)", mine[1:3])
    async with pool.reader(space, search=True) as db:
        first = await jobs.search(db, page(jobs.SORTS, limit=3, sort=None, cursor=None), count=True)
        rest = await jobs.search(db, page(jobs.SORTS, limit=3, sort=None, cursor=first.next_cursor))
        dead = await jobs.search(
            db, page(jobs.SORTS, limit=3, sort="createdAt", cursor=None), state="dead", kind="trial.touch"
        )
        none = await jobs.search(db, page(jobs.SORTS, limit=3, sort=None, cursor=None), kind="trial.nightly")
        with pytest.raises(jobs.JobNotFound):
            await jobs.find(db, theirs)
    assert [j.id for j in first.data] == mine[:1:-1]
    assert ([j.id for j in rest.data], first.total, rest.next_cursor, rest.total) == (mine[1::-1], 5, None, None)
    assert ([j.id for j in dead.data], none.data) == (mine[1:3], [])
    for verb in (jobs.cancel, jobs.retry):
        with pytest.raises(Problem):
            async with pool.tx(space) as tx:
                await verb(tx, theirs)
    assert (await look(pool, other, theirs)).state == "queued"


# --- taking turns ---


async def test_a_noisy_workspace_leaves_room_for_the_jobs_of_others(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    quiet = await new_workspace(pool)
    async with pool.tx(space) as tx:
        await defer_many(tx, "trial.touch", [{"name": "noisy"}] * 200)
    for _ in range(3):
        await put(pool, quiet, "trial.touch", name="quiet")
    await worker(pool, "trial.touch").drain()
    names = [name for name, _ in ran]
    assert len(names) == 203
    # Each claim takes from both while both have jobs.
    assert max(i for i, name in enumerate(names) if name == "quiet") < 16
    assert most["noisy"] == 3


async def test_a_busy_worker_does_not_wait_for_its_next_look(pool: Database, space: UUID, root: "Connection") -> None:
    await new_workspace(pool)  # where there are others, a workspace leaves one place free
    async with pool.tx(space) as tx:
        await defer_many(tx, "trial.touch", [{"name": "a"}] * 60)
    found = Worker(pool, concurrency=4, kinds=["trial.touch"], names=[], poll_s=30)
    working = asyncio.create_task(found.run())
    await until("all done", root, "select count(*) = 60 from data.job where state = 'done'")
    found.stop()
    await working


async def test_a_workspace_without_others_fills_the_worker(pool: Database, space: UUID, root: "Connection") -> None:
    async with pool.tx(space) as tx:
        await defer_many(tx, "trial.touch", [{"name": "a"}] * 20)
    claim = "select id from fence.job_claim('w', '{trial.touch}', '{30 s}', 4, 3)"
    alone = root.transaction()
    await alone.start()
    await root.execute("delete from data.idempotency")
    await root.execute("delete from data.workspace where workspace_id <> $1", space)
    assert [len(await root.fetch(claim)) for _ in range(2)] == [4, 4]
    await alone.rollback()
    assert [len(await root.fetch(claim)) for _ in range(2)] == [3, 0]


async def test_one_claim_goes_round_the_workspaces(pool: Database, space: UUID, root: "Connection") -> None:
    others = [await new_workspace(pool) for _ in range(3)]
    for each in (space, *others):
        async with pool.tx(each) as tx:
            await defer_many(tx, "trial.touch", [{"name": "a"}] * 10)
    rows = await root.fetch("select workspace_id from fence.job_claim('w', '{trial.touch}', '{30 s}', 4, 3)")
    assert {row[0] for row in rows} == {space, *others}
    again = await root.fetch("select workspace_id from fence.job_claim('w', '{trial.touch}', '{30 s}', 2, 3)")
    assert len({row[0] for row in again}) == 2
    first, second, *_ = sorted([space, *others])
    onward = "select workspace_id from fence.job_claim('v', '{trial.touch}', '{30 s}', 1, 3, $1)"
    assert [row[0] for row in await root.fetch(onward, first)] == [second]
    assert [row[0] for row in await root.fetch(onward, UUID(int=2**128 - 1))] == [first]


def test_the_next_claim_begins_after_the_workspace_that_was_served_last() -> None:
    a, b, c = (UUID(int=n) for n in (1, 2, 3))
    assert last_served(a, [c, b]) == c
    assert last_served(b, [c, a]) == a
    assert last_served(c, [a, b, None]) == b
    assert last_served(b, [c, None]) == UUID(int=0)
    assert last_served(b, []) == b


async def test_a_worker_leaves_kinds_that_it_does_not_know(pool: Database, space: UUID) -> None:
    id = await put(pool, space, "trial.touch", name="a")
    await worker(pool, "trial.note").drain()
    assert ((await look(pool, space, id)).state, ran) == ("queued", [])


# --- drains ---


async def test_a_drain_serves_workspaces_in_turn(pool: Database, space: UUID, root: "Connection") -> None:
    quiet = await new_workspace(pool)
    await fill(root, space, 100)
    await fill(root, quiet, 2)
    await worker(pool, drains=("trial.take",)).drain()
    served = [who for _, who in ran]
    assert await root.fetchval("select count(*) from data.trial") == 0
    assert served.index(quiet) < 2
    assert Counter(served) == {space: 50, quiet: 1}


async def test_a_failing_workspace_is_set_aside_and_holds_up_nobody(
    pool: Database, space: UUID, root: "Connection"
) -> None:
    healthy = await new_workspace(pool)
    await fill(root, space, 4)
    await fill(root, healthy, 40)
    sick.add(space)
    try:
        await worker(pool, drains=("trial.take",)).drain()
    finally:
        sick.clear()
    assert await root.fetchval("select count(*) from data.trial") == 4
    assert Counter(who for _, who in ran)[space] >= 3
    await worker(pool, drains=("trial.take",)).drain()
    assert await root.fetchval("select count(*) from data.trial") == 0


async def test_draining_waits_for_rows_that_another_holds(pool: Database, space: UUID, root: "Connection") -> None:
    await fill(root, space, 2)
    async with root.transaction():
        await root.execute("delete from data.trial")
        working = asyncio.create_task(worker(pool, drains=("trial.take",)).drain())
        await asyncio.sleep(0.2)
        assert not working.done()
    await asyncio.wait_for(working, 5)


# --- periodic jobs ---


async def test_a_missed_tick_runs_once_and_the_next_is_queued(pool: Database, root: "Connection", space: UUID) -> None:
    missed = datetime(2024, 1, 1, 3, tzinfo=UTC)
    async with pool.across() as con:
        for _ in range(2):
            await con.execute("select job_defer_house($1, 'trial.nightly', $2, 5)", ids.new(), missed)
    await asyncio.gather(*(worker(pool, "trial.nightly").drain() for _ in range(2)))
    assert ran == [("nightly", 1)]
    working = [worker(pool, "trial.nightly") for _ in range(2)]
    running = [asyncio.create_task(w.run()) for w in working]
    await until("the next tick", root, "select true from data.job where state = 'queued'")
    for w in working:
        w.stop()
    await asyncio.gather(*running)
    rows = await root.fetch("select state, workspace_id, singleton, run_at from data.job order by id")
    (done, queued) = rows
    assert (done["state"], done["run_at"], queued["state"]) == ("done", missed, "queued")
    assert (queued["workspace_id"], queued["singleton"]) == (None, "trial.nightly")
    assert queued["run_at"] > clock.now()
    assert (queued["run_at"].hour, queued["run_at"].minute) == (3, 0)
    assert ran == [("nightly", 1)]


async def test_an_earlier_tick_moves_the_queued_one_forward_but_no_retry(
    pool: Database, root: "Connection", space: UUID
) -> None:
    far, near = clock.now() + timedelta(days=30), clock.now() + timedelta(hours=1)
    for at in (far, near, far):
        await root.execute("select fence.job_defer_house($1, 'trial.nightly', $2, 5)", ids.new(), at)
    assert await root.fetchval("select run_at from data.job") == near
    await root.execute("update data.job set attempts = 1, run_at = $1", far)
    await root.execute("select fence.job_defer_house($1, 'trial.nightly', $2, 5)", ids.new(), near)
    assert await root.fetchval("select run_at from data.job") == far


def test_ticks_are_those_of_the_crontab_line_in_utc() -> None:
    nightly_ = jobs.jobs()["trial.nightly"]
    assert nightly_.next_tick(datetime(2026, 3, 29, 2, 59, 59, tzinfo=UTC)) == datetime(2026, 3, 29, 3, tzinfo=UTC)
    assert nightly_.next_tick(datetime(2026, 3, 29, 3, tzinfo=UTC)) == datetime(2026, 3, 30, 3, tzinfo=UTC)


def test_the_houses_own_jobs_have_no_workspace(pool: Database) -> None:
    with pytest.raises(LookupError, match="house's own"):
        _ = JobContext(pool, None, ids.new(), "trial.nightly", "w").workspace_id


async def test_old_jobs_and_answers_are_forgotten_by_batches(pool: Database, space: UUID, root: "Connection") -> None:
    put_jobs = """
        insert into data.job (workspace_id, id, kind, state, finished_at)
        select $1, gen_random_uuid(), 'trial.touch', s, now() - a
          from unnest(array['done', 'cancelled', 'dead', 'done']) s, unnest(array[interval '8 days', '6 days']) a"""
    await root.execute(put_jobs, space)
    put_answers = """
        insert into data.idempotency (workspace_id, caller, key, request_hash, created_at)
        select $1, 'key:1', n::text, '', now() - n * interval '10 hours' from generate_series(0, 4) n"""
    await root.execute(put_answers, space)
    async with pool.across() as con:
        forgotten = [await con.fetchval("select jobs_forget(interval '7 days', 2)") for _ in range(3)]
        answers = [await con.fetchval("select idempotency_forget(interval '24 hours', 1)") for _ in range(3)]
    assert (forgotten, answers) == ([2, 1, 0], [1, 1, 0])
    assert await root.fetchval("select count(*) from data.job") == 5
    assert await root.fetchval(
        "select array_agg(key order by key) from data.idempotency where workspace_id = $1", space
    ) == ["0", "1", "2"]


# --- trouble ---


@job("trial.row_again", lease_s=1, attempts=50, retry=NOW)
async def row_again(ctx: JobContext, number: int) -> None:
    async with ctx.tx() as tx:
        await tx.run("insert into trial (workspace_id, id) values ($1, $2) on conflict do nothing", number)


async def test_a_worker_goes_on_when_its_connections_are_cut(
    url: str, space: UUID, pool: Database, root: "Connection"
) -> None:
    database = await Database.open(url, size=4)
    async with pool.tx(space) as tx:
        await defer_many(tx, "trial.row_again", [{"number": n} for n in range(1000)])
    working = asyncio.create_task(worker(database, "trial.row_again").drain())
    cut = """
        select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and application_name = 'supover'"""
    for _ in range(10):
        await asyncio.sleep(0.03)
        await root.execute(cut)
    await asyncio.wait_for(working, 30)
    await database.close()
    assert await root.fetchval("select count(*) from data.trial") == 1000
    assert await root.fetchval("select array_agg(distinct state) from data.job") == ["done"]


async def test_a_job_that_kills_its_worker_is_dead_in_the_end_and_its_neighbours_are_not(
    url: str, space: UUID, pool: Database, root: "Connection"
) -> None:
    poison = await put(pool, space, "trial.poison")
    neighbours = [await put(pool, space, "trial.slow", number=n) for n in range(3)]
    first = run_program("drain", url)
    assert await asyncio.to_thread(first.wait, 20) == 9
    second = run_program("drain", url)
    assert await asyncio.to_thread(second.wait, 40) == 0
    found = await look(pool, space, poison)
    assert (found.state, found.attempts, found.error) == ("dead", 3, "Its process ended with status 9.")
    assert await root.fetchval("select lost from data.job where id = $1", poison) == 3
    for id in neighbours:
        after = await look(pool, space, id)
        assert after.state == "done"
        assert after.attempts <= 2
    assert await root.fetchval("select count(*) from data.trial_effect where job_id = $1", poison) == 3


def run_program(how: str, url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, program.__file__, how, url], stderr=subprocess.DEVNULL)


@job("trial.stubborn")
async def stubborn(ctx: JobContext) -> None:
    while not gate.is_set():
        with suppress(asyncio.CancelledError):
            await gate.wait()


async def test_a_job_that_does_not_stop_keeps_no_worker(pool: Database, space: UUID, root: "Connection") -> None:
    id = await put(pool, space, "trial.stubborn")
    found = worker(pool, "trial.stubborn", grace_s=0.1)
    working = asyncio.create_task(found.run())
    await until("it runs", root, "select true from data.job where state = 'running'")
    found.stop()
    await asyncio.wait_for(working, 10)
    assert (found.is_stuck, (await look(pool, space, id)).state) == (True, "running")
    gate.set()
