"""Members are counted from the rows, days are noted, and who entered and left is told."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from supover.kit import clock, filters
from supover.kit.db import Tx
from supover.kit.events import Event, publish
from supover.segments.events import SegmentEntered, SegmentLeft
from supover.segments.model import Moves, Rule

BIG: Final = 20_000
"""From so many members on they are not counted at every change."""
COUNT_EVERY: Final = timedelta(seconds=10)
AT_ONCE: Final = 10_000
"""Events that are published together."""

# A statement of its own: what others did to the members until they let go of the row is seen by the next one. Who counts
# later counts more, whoever began first.
HOLD: Final = """
    select g.id from segment g
     where g.workspace_id = $1 and g.id = any($2::uuid[])
     order by g.id
       for no key update"""
RECOUNT: Final = """
    with counted as (
        select s.segment_id, count(*) as members
          from segment_member s
         where s.workspace_id = $1 and s.segment_id = any($2::uuid[])
         group by s.segment_id)
    update segment g
       set members = coalesce(n.members, 0), counted_at = $3, recount_due = false
      from unnest($2::uuid[]) as a (id)
      left join counted n on n.segment_id = a.id
     where g.workspace_id = $1 and g.id = a.id
    returning g.id, g.members"""
DUE: Final = (
    "update segment set recount_due = true where workspace_id = $1 and id = any($2::uuid[]) and not recount_due"
)
# Every day since the last count is counted from what was told: moves that waited to be counted may be of the day before.
NOTE_DAYS: Final = """
    insert into segment_day as d (workspace_id, segment_id, day, members, entered, left_count)
    select $1, g.id, t.day, g.members, t.entered, t.left_count
      from unnest($3::uuid[], $4::date[]) as n (id, since)
      join workspace w on w.workspace_id = $1
      join segment g on g.workspace_id = $1 and g.id = n.id
     cross join lateral (
           select x.day, sum(x.entered) as entered, sum(x.left_count) as left_count
             from (select (e.at at time zone w.timezone)::date as day,
                          case when e.kind = 'SegmentEntered' then 1 else 0 end as entered,
                          case when e.kind = 'SegmentLeft' then 1 else 0 end as left_count
                     from event_log e
                    where e.workspace_id = $1 and e.data ->> 'segmentId' = n.id::text
                      and e.kind in ('SegmentEntered', 'SegmentLeft')
                      and e.at >= (n.since::timestamp at time zone w.timezone)
                   union all
                   select $2::date, 0, 0) as x
            group by x.day) as t
        on conflict (workspace_id, segment_id, day) do update
       set members = case when excluded.day = $2::date then excluded.members else d.members end,
           entered = excluded.entered, left_count = excluded.left_count"""


async def count(tx: Tx, rules: Sequence[Rule], moved: Sequence[Moves], scope: filters.Scope) -> int:
    """Counts the segments that changed or wait for it, big ones at most every ten seconds; returns how many.

    What was told of them stands in the log already.
    """
    moving = {one.rule.id for one in moved}
    changed = [rule for rule in rules if rule.recount_due or rule.id in moving]
    if not changed:
        return 0
    await tx.column(HOLD, [rule.id for rule in changed])
    since = clock.now() - COUNT_EVERY
    soon = {rule.id for rule in changed if rule.members >= BIG and (rule.counted_at or since) > since}
    if noted := soon & moving:
        await tx.run(DUE, list(noted))
    now = [rule for rule in changed if rule.id not in soon]
    if now:
        await counted(tx, now, scope)
    return len(now)


async def counted(tx: Tx, rules: Sequence[Rule], scope: filters.Scope) -> list[int]:
    """Counts these segments now; returns how many members each has."""
    ids = [rule.id for rule in rules]
    await tx.column(HOLD, ids)
    rows = await tx.rows(RECOUNT, ids, clock.now())
    since = [_day(rule.counted_at, scope) for rule in rules]
    await tx.run(NOTE_DAYS, scope.today, ids, since)
    found: dict[UUID, int] = {row[0]: row[1] for row in rows}
    return [found.get(id, 0) for id in ids]


def _day(counted_at: datetime | None, scope: filters.Scope) -> date:
    return scope.today if counted_at is None else min(scope.today, counted_at.astimezone(scope.zone).date())


async def tell(tx: Tx, moves: Sequence[Moves], live: AbstractSet[UUID] | None = None) -> None:
    """Publishes who entered and left; where `live` is given, of all others as history."""
    now = clock.now()
    facts: list[Event] = []
    for one in moves:
        about: dict[str, Any] = {"at": now, "segment_id": one.rule.id, "name": one.rule.name}
        facts += [SegmentEntered(customer_id=id, **about) for id in one.entered]
        facts += [SegmentLeft(customer_id=id, **about) for id in one.left]
    origin = tx.origin
    await _publish(tx, [fact for fact in facts if live is None or fact.customer_id in live])
    try:
        tx.origin = "import"
        await _publish(tx, [fact for fact in facts if live is not None and fact.customer_id not in live])
    finally:
        tx.origin = origin


async def _publish(tx: Tx, facts: Sequence[Event]) -> None:
    for n in range(0, len(facts), AT_ONCE):
        await publish(tx, facts[n : n + AT_ONCE])
