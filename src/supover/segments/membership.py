"""Who is in which segment: looked at customer by customer as things happen, and for everybody at once.

Both ways hold one lock a workspace, so that neither undoes what the other saw.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from supover.customers import filtering
from supover.kit import clock, filters
from supover.kit.db import Tx
from supover.kit.events import publish
from supover.kit.jobs import reason
from supover.kit.sql import Where
from supover.segments import counting, marks
from supover.segments.events import SegmentRebuilt
from supover.segments.model import Moves, Rule

BATCH: Final = 5_000

# --- what a segment asks ---------------------------------------------------------------------------------------------

RULE: Final = """g.id, g.kind, g.name, g.filter, g.complete, g.is_silent, g.members, g.counted_at, g.recount_due,
           g.wanted_at, g.stale_since"""

CONDITION: Final = "c.id is not null"
"""Stands in the statements where the segment's own condition goes."""

# $2 is always the segment.
PICKED: Final = """exists (select 1 from segment_pick p
                      where p.workspace_id = $1 and p.segment_id = $2 and p.customer_id = c.id)"""


async def fits(rule: Rule, scope: filters.Scope, where: Where, customers: str | None = None) -> tuple[str, bool]:
    """The condition of a segment, and whether its days move with today. Raises FilterInvalid.

    `where` has the segment as its first value; `customers` is the placeholder of the only ones that are looked at.
    """
    if rule.filter is None:
        return PICKED, False
    tree = await filtering.parsed(rule.filter, scope)
    return f"({filters.condition(tree, where, customers)})", tree.is_relative


LASTING: Final = (filters.FilterInvalid, asyncpg.DataError, asyncpg.ProgramLimitExceededError)
"""What a filter meets every time that it is asked. Whatever else goes wrong is not the filter's fault."""
TOO_SLOW: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""What a statement meets that takes longer than it may."""

# Wanted again in the meantime it stays wanted.
FAILED: Final = """
    update segment
       set error = $3, complete = false, evaluated_on = $4,
           wanted_at = case when wanted_at is distinct from $6 then wanted_at end
     where workspace_id = $1 and id = $2 and filter is not distinct from $5"""


async def _fail(tx: Tx, rule: Rule, why: str, today: date) -> None:
    await tx.run(FAILED, rule.id, why, today, rule.filter, rule.wanted_at)


def _why(error: Exception) -> str:
    return error.detail if isinstance(error, filters.FilterInvalid) else reason(error)


# The limit of before is read before the other one is set.
LIMIT: Final = """
    with old as materialized (select current_setting('statement_timeout') as was)
    select o.was, set_config('statement_timeout', $2, true)
      from old o
     where $1::uuid = (select current_workspace())"""


@asynccontextmanager
async def _limited(tx: Tx, seconds: float) -> AsyncGenerator[None]:
    """Inside a statement may take so long; what goes wrong must not leave it."""
    was = await tx.value(LIMIT, str(int(seconds * 1000)))
    yield
    await tx.value(LIMIT, was)


# --- as things happen ------------------------------------------------------------------------------------------------

HOLD: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 22))"
# A mark waits for figures that were to be counted when it was made or shortly after: a buyer's first order and its figures are
# one thing to whoever is told, and counted figures leave a mark of their own. Figures that wait since later hold up no mark,
# so that somebody who orders all the time is looked at, too. So many marks are looked through for those that need not wait.
FIGURES_WAIT: Final = """(select f.customer_id from customer_stale f
                where f.workspace_id = $1 and f.customer_id = s.customer_id and f.marked_at < s.marked_at + interval '10 seconds'
                limit 1) is not null"""
TAKE: Final = f"""
    delete from segment_stale s
     where s.workspace_id = $1
       and s.customer_id = any(array(
           select s.customer_id
             from (select s.id, s.customer_id, s.marked_at
                     from segment_stale s where s.workspace_id = $1 order by s.id limit 2 * $2::integer) as s
            where not {FIGURES_WAIT}
            order by s.id
            limit $2))
       and not {FIGURES_WAIT}
    returning s.customer_id, s.origin, s.marked_at"""
# A segment that is being deleted waits until what is done to its members here is there to be deleted, too.
RULES: Final = f"""
    select {RULE}
      from segment g
     where g.workspace_id = $1
     order by g.id
       for key share"""
LOOK_AGAIN: Final = """
    with fit as materialized (
        select c.id
          from customer c
          left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
         where c.workspace_id = $1 and c.id = any($4::uuid[]) and c.deleted_at is null
           and c.id is not null),
    gone as (
        delete from segment_member s
         where s.workspace_id = $1 and s.segment_id = $2 and s.customer_id = any($4::uuid[])
           and not exists (select 1 from fit f where f.id = s.customer_id)
        returning s.customer_id),
    come as (
        insert into segment_member (workspace_id, segment_id, customer_id, entered_at)
        select $1, $2, f.id, $3::timestamptz from fit f
            on conflict (workspace_id, segment_id, customer_id) do nothing
        returning customer_id)
    select true, customer_id from come
    union all
    select false, customer_id from gone"""


SECONDS_EACH: Final = 5.0
"""How long a segment may take for a batch: longer, and everybody is looked at for it by the job."""
SECONDS_ALL: Final = 20.0
"""After so long the segments that are left are put off, too: other workspaces wait for this one."""


async def refresh(tx: Tx) -> int:
    """Looks again at up to 5,000 marked customers; returns how many marks it took, 0 when there are none or another is at it.

    Without marks it counts what waits for that, and begins what nobody has begun; then it returns how many of those.
    Marks of more than a fifth of all customers are worth one look at everybody instead. A segment whose whole evaluation
    decides, or that takes too long, is left to that. Who waits for their figures keeps their mark.
    """
    if not await tx.value(HOLD):
        return 0
    taken = await tx.rows(TAKE, BATCH)
    if len(taken) >= BATCH and await tx.value(TOO_MANY):
        return await _begin_anew(tx, [row[2] for row in taken])
    rules = await tx.all(Rule, RULES)
    scope = await filtering.scope(tx)
    moves: list[Moves] = []
    if taken:
        moves = await _look_again_by_all(tx, rules, scope, taken)
    await counting.tell(tx, moves, {row[0] for row in taken if row[1] == "live"})
    counted = await counting.count(tx, rules, moves, scope)
    begun = await _begin_forgotten(tx, rules)
    return len(taken) or counted + begun


async def _look_again_by_all(
    tx: Tx, rules: Sequence[Rule], scope: filters.Scope, taken: Sequence[tuple[UUID, str, datetime]]
) -> list[Moves]:
    """What one look at these customers moved, segment by segment."""
    ids = list({row[0] for row in taken})
    moves: list[Moves] = []
    put_off: list[Rule] = []
    until = clock.monotonic_s() + SECONDS_ALL
    async with _limited(tx, SECONDS_EACH):
        for rule in [rule for rule in rules if rule.complete]:
            # One that was put off before sees everybody soon.
            is_left = rule.is_silent or (rule.wanted_at is not None and rule.stale_since is not None)
            if is_left or clock.monotonic_s() > until:
                put_off.append(rule)
                continue
            try:
                moved = await _look_again(tx, rule, scope, ids)
            except LASTING as error:
                await _fail(tx, rule, _why(error), scope.today)
            except TOO_SLOW:
                put_off.append(rule)
            else:
                moves += [moved] if moved.entered or moved.left else []
    if put_off:
        await _put_off(tx, put_off, taken)
    return moves


async def _look_again(tx: Tx, rule: Rule, scope: filters.Scope, ids: Sequence[UUID]) -> Moves:
    where = Where()
    where.arg(rule.id)
    where.arg(clock.now())
    customers = where.arg(ids)
    condition, _ = await fits(rule, scope, where, customers)
    async with tx.savepoint():
        rows = await tx.rows(LOOK_AGAIN.replace(CONDITION, condition), *where.values)
    return Moves(rule, [id for came, id in rows if came], [id for came, id in rows if not came])


# What happened to the marked customers is in by the whole evaluation. By what came from history nobody is told to enter.
PUT_OFF: Final = """
    update segment
       set wanted_at = coalesce(wanted_at, now()), stale_since = least(stale_since, $3::timestamptz),
           is_silent = is_silent or $4
     where workspace_id = $1 and id = any($2::uuid[])
       and (wanted_at is null or stale_since is distinct from least(stale_since, $3::timestamptz) or (not is_silent and $4))"""


async def _put_off(tx: Tx, rules: Sequence[Rule], taken: Sequence[tuple[UUID, str, datetime]]) -> None:
    """Has everybody looked at for these segments, by the job, instead of those whose marks were taken."""
    has_history = any(row[1] != "live" for row in taken)
    if await tx.run(PUT_OFF, [rule.id for rule in rules], min(row[2] for row in taken), has_history):
        await marks.evaluate_later(tx)


# A job that was lost, or a segment that a migration made, is begun all the same.
FORGOTTEN_AFTER: Final = timedelta(minutes=1)


async def _begin_forgotten(tx: Tx, rules: Sequence[Rule]) -> int:
    wanted = [rule.wanted_at for rule in rules if rule.wanted_at is not None]
    if not wanted or min(wanted) > clock.now() - FORGOTTEN_AFTER:
        return 0
    return int(await marks.evaluate_later(tx))


# --- a backlog -------------------------------------------------------------------------------------------------------

TOO_MANY: Final = """
    select 5 * (select count(*) from segment_stale s where s.workspace_id = $1)
         > (select count(*) from customer c where c.workspace_id = $1 and c.deleted_at is null)"""
TAKE_ALL: Final = """
    with gone as (delete from segment_stale s where s.workspace_id = $1 returning s.marked_at)
    select count(*), min(marked_at) from gone"""
BEGIN_ANEW: Final = """
    update segment
       set wanted_at = now(), is_silent = true, stale_since = least(stale_since, $2::timestamptz)
     where workspace_id = $1"""


async def _begin_anew(tx: Tx, taken: Sequence[datetime]) -> int:
    """Takes all marks that are left, and leaves everybody to the job; returns how many marks there were."""
    [(number, oldest)] = await tx.rows(TAKE_ALL)
    await tx.run(BEGIN_ANEW, min([*taken, *([oldest] if oldest else [])]))
    await marks.evaluate_later(tx)
    return len(taken) + number


# --- everybody at once -----------------------------------------------------------------------------------------------

HOLD_ALONE: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 22))"
# For this transaction: it waits for as long as the one before takes.
UNHURRIED: Final = """
    select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)
     where $1::uuid = (select current_workspace())"""
MINUTES_FOR_EVERYBODY: Final = 2.0
"""Nobody is looked at for any other segment of the workspace meanwhile."""
# A transaction that writes holds up whoever waits for all that began before, such as readers of the events: so who fits is
# found before anything is written, and told back as the bytes of their ids.
FIT: Final = """
    select coalesce(string_agg(uuid_send(c.id), ''::bytea), ''::bytea)
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null and $2::uuid is not null
       and c.id is not null"""
NEXT: Final = f"""
    select {RULE}
      from segment g
     where g.workspace_id = $1 and g.wanted_at is not null
     order by g.wanted_at, g.id
     limit 1"""
# Where moves are told, who waits for their figures is looked at once those are counted.
LOOK_AT_ALL: Final = """
    with fit as materialized (
        select encode(substr($5::bytea, n * 16 + 1, 16), 'hex')::uuid as id
          from generate_series(0, length($5::bytea) / 16 - 1) as n),
    gone as (
        delete from segment_member s
         where s.workspace_id = $1 and s.segment_id = $2
           and not exists (select 1 from fit f where f.id = s.customer_id)
           and not ($4 and exists (select 1 from customer_stale w
                                    where w.workspace_id = $1 and w.customer_id = s.customer_id))
        returning s.customer_id),
    come as (
        insert into segment_member (workspace_id, segment_id, customer_id, entered_at)
        select $1, $2, f.id, $3::timestamptz from fit f
         where not exists (select 1 from segment_member s
                            where s.workspace_id = $1 and s.segment_id = $2 and s.customer_id = f.id)
           and not ($4 and exists (select 1 from customer_stale w
                                    where w.workspace_id = $1 and w.customer_id = f.id))
            on conflict (workspace_id, segment_id, customer_id) do nothing
        returning customer_id)
    select true, customer_id from come where $4
    union all
    select false, customer_id from gone where $4"""
# Nothing where it was deleted, or has another filter by now; wanted again in the meantime it stays wanted.
EVALUATED: Final = """
    update segment
       set complete = true, error = null, evaluated_at = $4, evaluated_on = $5, is_relative = $6,
           is_silent = is_silent and wanted_at is distinct from $7,
           stale_since = case when wanted_at is distinct from $7 then stale_since end,
           wanted_at = case when wanted_at is distinct from $7 then wanted_at end
     where workspace_id = $1 and id = $2 and filter is not distinct from $3"""


class Overtaken(Exception):
    """The segment was deleted or has another filter by now."""


async def evaluate_next(tx: Tx) -> bool:
    """Looks at everybody for the segment that has waited longest; False when none does. Raises Overtaken.

    Nothing of it is seen before all of it is. A filter that takes too long for that is said so.
    """
    await tx.value(UNHURRIED)
    await tx.value(HOLD_ALONE)
    rule = await tx.maybe(Rule, NEXT)
    if rule is None:
        return False
    scope = await filtering.scope(tx)
    now = clock.now()
    where = Where()
    where.arg(rule.id)
    try:
        condition, is_relative = await fits(rule, scope, where)
        async with tx.savepoint(), _limited(tx, MINUTES_FOR_EVERYBODY * 60):
            fitting: bytes = await tx.value(FIT.replace(CONDITION, condition), *where.values)
            rows = await tx.rows(LOOK_AT_ALL, rule.id, now, not rule.is_silent, fitting)
    except LASTING as error:
        await _fail(tx, rule, _why(error), scope.today)
        return True
    except TOO_SLOW:
        why = f"It takes longer than {MINUTES_FOR_EVERYBODY:g} minutes to look at everybody by this filter."
        await _fail(tx, rule, why, scope.today)
        return True
    if not await tx.run(EVALUATED, rule.id, rule.filter, now, scope.today, is_relative, rule.wanted_at):
        raise Overtaken(f"Segment {rule.id} was deleted or has another filter by now.")
    moves = Moves(rule, [id for came, id in rows if came], [id for came, id in rows if not came])
    if not rule.is_silent:
        await counting.tell(tx, [moves])
    [members] = await counting.counted(tx, [rule], scope)
    if rule.is_silent:
        await publish(tx, [SegmentRebuilt(at=now, segment_id=rule.id, name=rule.name, members=members)])
    return True


# --- groups ----------------------------------------------------------------------------------------------------------

BY_ID: Final = f"select {RULE} from segment g where g.workspace_id = $1 and g.id = $2"


async def changed_by_hand(tx: Tx, id: UUID, entered: Sequence[UUID], left: Sequence[UUID]) -> None:
    """Tells who entered and left a group by hand, and counts its members; those of a big one shortly after."""
    rule = await tx.maybe(Rule, BY_ID, id)
    if rule is not None and (entered or left):
        moves = [Moves(rule, entered, left)]
        await counting.tell(tx, moves)
        await counting.count(tx, [rule], moves, await filtering.scope(tx))


# --- days pass -------------------------------------------------------------------------------------------------------

AGE: Final = """
    update segment g
       set wanted_at = now()
      from workspace w
     where g.workspace_id = $1 and w.workspace_id = $1 and g.wanted_at is null
       and g.evaluated_on is distinct from ($2::timestamptz at time zone w.timezone)::date"""


async def age(tx: Tx) -> int:
    """Wants every segment evaluated that was not yet today, in the workspace's zone; returns how many."""
    wanted = await tx.run(AGE, clock.now())
    if wanted:
        await marks.evaluate_later(tx)
    return wanted
