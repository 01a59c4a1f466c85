"""Who is in which segment: looked at customer by customer as things happen, and for everybody at once.

Both ways hold one lock a workspace, so that neither undoes what the other saw.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from supover.customers import filtering
from supover.kit import clock, filters
from supover.kit.db import RACES, Tx
from supover.kit.events import publish
from supover.kit.jobs import reason
from supover.kit.sql import Where
from supover.segments import counting, marks
from supover.segments.events import SegmentRebuilt
from supover.segments.model import Moves, Rule

BATCH: Final = 5_000

# --- what a segment asks ---------------------------------------------------------------------------------------------

RULE: Final = """g.id, g.kind, g.name, g.filter, g.complete, g.is_silent, g.members, g.counted_at, g.recount_due,
           g.wanted_at"""

CONDITION: Final = "c.id is not null"
"""Stands in the statements where the segment's own condition goes."""

# $2 is always the segment.
PICKED: Final = """exists (select 1 from segment_pick p
                      where p.workspace_id = $1 and p.segment_id = $2 and p.customer_id = c.id)"""


def fits(rule: Rule, scope: filters.Scope, where: Where, customers: str | None = None) -> tuple[str, bool]:
    """The condition of a segment, and whether its days move with today. Raises FilterInvalid.

    `where` has the segment as its first value; `customers` is the placeholder of the only ones that are looked at.
    """
    if rule.filter is None:
        return PICKED, False
    tree = filters.parse(rule.filter, scope)
    return f"({filters.condition(tree, where, customers)})", tree.is_relative


FAILED: Final = """
    update segment
       set error = $3, complete = false, wanted_at = null, evaluated_on = $4
     where workspace_id = $1 and id = $2 and filter is not distinct from $5"""


async def _fail(tx: Tx, rule: Rule, error: filters.FilterInvalid | asyncpg.PostgresError, today: date) -> None:
    why = error.detail if isinstance(error, filters.FilterInvalid) else reason(error)
    await tx.run(FAILED, rule.id, why, today, rule.filter)


# --- as things happen ------------------------------------------------------------------------------------------------

HOLD: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 22))"
TAKE: Final = """
    delete from segment_stale
     where workspace_id = $1
       and customer_id = any(array(select s.customer_id from segment_stale s where s.workspace_id = $1 order by s.id limit $2))
    returning customer_id, origin, marked_at"""
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


async def refresh(tx: Tx) -> int:
    """Looks again at up to 5,000 marked customers; returns how many marks it took, 0 when there are none or another is at it.

    Without marks it counts what waits for that, and begins what nobody has begun; then it returns how many of those.
    Marks of more than a fifth of all customers are worth one look at everybody instead. A segment whose whole evaluation
    decides is left to that.
    """
    if not await tx.value(HOLD):
        return 0
    taken = await tx.rows(TAKE, BATCH)
    if len(taken) >= BATCH and await tx.value(TOO_MANY):
        return await _begin_anew(tx, [row[2] for row in taken])
    rules = await tx.all(Rule, RULES)
    scope = await filtering.scope(tx)
    ids = list({row[0] for row in taken})
    moves: list[Moves] = []
    if ids:
        for rule in rules:
            if rule.complete and not rule.is_silent:
                moves.append(await _look_again(tx, rule, scope, ids))
    moved = [one for one in moves if one.entered or one.left]
    counted = await counting.count(tx, rules, moved, scope.today)
    await counting.tell(tx, moved, {row[0] for row in taken if row[1] == "live"})
    begun = await _begin_forgotten(tx, rules)
    return len(taken) or counted + begun


async def _look_again(tx: Tx, rule: Rule, scope: filters.Scope, ids: Sequence[UUID]) -> Moves:
    where = Where()
    where.arg(rule.id)
    where.arg(clock.now())
    customers = where.arg(ids)
    try:
        condition, _ = fits(rule, scope, where, customers)
        async with tx.savepoint():
            rows = await tx.rows(LOOK_AGAIN.replace(CONDITION, condition), *where.values)
    except RACES:
        raise
    except (filters.FilterInvalid, asyncpg.PostgresError) as error:
        await _fail(tx, rule, error, scope.today)
        return Moves(rule, (), ())
    return Moves(rule, [id for came, id in rows if came], [id for came, id in rows if not came])


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
# For this transaction: a look at everybody may take as long as it needs, and waits for as long as the one before takes.
UNHURRIED: Final = """
    select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true)
     where $1::uuid = (select current_workspace())"""
NEXT: Final = f"""
    select {RULE}
      from segment g
     where g.workspace_id = $1 and g.wanted_at is not null
     order by g.wanted_at, g.id
     limit 1"""
LOOK_AT_ALL: Final = """
    with fit as materialized (
        select c.id
          from customer c
          left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
         where c.workspace_id = $1 and c.deleted_at is null
           and c.id is not null),
    gone as (
        delete from segment_member s
         where s.workspace_id = $1 and s.segment_id = $2
           and not exists (select 1 from fit f where f.id = s.customer_id)
        returning s.customer_id),
    come as (
        insert into segment_member (workspace_id, segment_id, customer_id, entered_at)
        select $1, $2, f.id, $3::timestamptz from fit f
         where not exists (select 1 from segment_member s
                            where s.workspace_id = $1 and s.segment_id = $2 and s.customer_id = f.id)
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

    Nothing of it is seen before all of it is.
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
    where.arg(now)
    where.arg(not rule.is_silent)
    try:
        condition, is_relative = fits(rule, scope, where)
        async with tx.savepoint():
            rows = await tx.rows(LOOK_AT_ALL.replace(CONDITION, condition), *where.values)
    except RACES:
        raise
    except (filters.FilterInvalid, asyncpg.PostgresError) as error:
        await _fail(tx, rule, error, scope.today)
        return True
    if not await tx.run(EVALUATED, rule.id, rule.filter, now, scope.today, is_relative, rule.wanted_at):
        raise Overtaken(f"Segment {rule.id} was deleted or has another filter by now.")
    moves = Moves(rule, [id for came, id in rows if came], [id for came, id in rows if not came])
    [members] = await counting.counted(tx, [moves], scope.today)
    if rule.is_silent:
        await publish(tx, [SegmentRebuilt(at=now, segment_id=rule.id, name=rule.name, members=members)])
    else:
        await counting.tell(tx, [moves])
    return True


# --- groups ----------------------------------------------------------------------------------------------------------

BY_ID: Final = f"select {RULE} from segment g where g.workspace_id = $1 and g.id = $2"


async def changed_by_hand(tx: Tx, id: UUID, entered: Sequence[UUID], left: Sequence[UUID]) -> None:
    """Counts a group's members after somebody changed them, and tells who entered and left."""
    rule = await tx.maybe(Rule, BY_ID, id)
    if rule is not None:
        moves = Moves(rule, entered, left)
        await counting.counted(tx, [moves], (await filtering.scope(tx)).today)
        await counting.tell(tx, [moves])


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
