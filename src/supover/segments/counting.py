"""Members are counted from the rows, days are noted, and who entered and left is told."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from supover.kit import clock
from supover.kit.db import Tx
from supover.kit.events import Event, publish
from supover.segments.events import SegmentEntered, SegmentLeft
from supover.segments.model import Moves, Rule

BIG: Final = 20_000
"""From so many members on they are not counted at every change."""
COUNT_EVERY: Final = timedelta(seconds=10)
AT_ONCE: Final = 10_000
"""Events that are published together."""

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
NOTE_DAY: Final = """
    insert into segment_day as d (workspace_id, segment_id, day, members, entered, left_count)
    select $1, g.id, $2::date, g.members, n.entered, n.left_count
      from unnest($3::uuid[], $4::integer[], $5::integer[]) as n (id, entered, left_count)
      join segment g on g.workspace_id = $1 and g.id = n.id
        on conflict (workspace_id, segment_id, day) do update
       set members = excluded.members, entered = d.entered + excluded.entered, left_count = d.left_count + excluded.left_count"""


async def count(tx: Tx, rules: Sequence[Rule], moved: Sequence[Moves], today: date) -> int:
    """Counts the segments that changed or wait for it, big ones at most every ten seconds; returns how many."""
    by_id = {one.rule.id: one for one in moved}
    changed = [by_id.get(rule.id, Moves(rule, (), ())) for rule in rules if rule.recount_due or rule.id in by_id]
    since = clock.now() - COUNT_EVERY
    soon = [one for one in changed if one.rule.members >= BIG and (one.rule.counted_at or since) > since]
    if now := [one for one in changed if one not in soon]:
        await counted(tx, now, today)
    if noted := [one for one in soon if one.rule.id in by_id]:
        await tx.run(DUE, [one.rule.id for one in noted])
        await _note_day(tx, noted, today)
    return len(now)


async def counted(tx: Tx, moves: Sequence[Moves], today: date) -> list[int]:
    """Counts these segments now; returns how many members each has."""
    rows = await tx.rows(RECOUNT, [one.rule.id for one in moves], clock.now())
    await _note_day(tx, moves, today)
    found: dict[UUID, int] = {row[0]: row[1] for row in rows}
    return [found.get(one.rule.id, 0) for one in moves]


async def _note_day(tx: Tx, moves: Sequence[Moves], today: date) -> None:
    ids = [one.rule.id for one in moves]
    await tx.run(NOTE_DAY, today, ids, [len(one.entered) for one in moves], [len(one.left) for one in moves])


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
