"""Whether who is in a segment is who fits it, proved by other SQL than what put them there."""

from typing import Final

from supover.customers import filtering
from supover.kit import clock, filters
from supover.kit.db import Reader
from supover.kit.proof import Difference
from supover.kit.sql import Where
from supover.segments.membership import CONDITION, RULE, fits
from supover.segments.model import Rule

PROVABLE: Final = f"""
    select {RULE}
      from segment g
      join workspace w on w.workspace_id = $1
     where g.workspace_id = $1 and g.complete and g.wanted_at is null
       and (not g.is_relative or g.evaluated_on = ($2::timestamptz at time zone w.timezone)::date)
     order by g.id"""
PROOF: Final = """
    select (select count(*) from segment_member s where s.workspace_id = $1 and s.segment_id = $2),
           coalesce(array_agg(e.customer_id order by e.customer_id) filter (where e.stands), '{}'),
           coalesce(array_agg(e.customer_id order by e.customer_id) filter (where not e.stands), '{}')
      from (select coalesce(s.customer_id, f.id) as customer_id, s.customer_id is not null as stands
              from (select s.customer_id from segment_member s where s.workspace_id = $1 and s.segment_id = $2) s
              full join (select c.id
                           from customer c
                           left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
                          where c.workspace_id = $1 and c.deleted_at is null
                            and c.id is not null) f on f.id = s.customer_id
             where s.customer_id is null or f.id is null) e"""
MOST: Final = 500
"""Customers of one segment that are named."""


async def reconcile(db: Reader) -> tuple[int, list[Difference]]:
    """Evaluates every complete segment anew and compares: how many members were checked, and what differs.

    A segment whose evaluation is wanted or whose day has passed is left out, and so is a count that is due; customers that
    are still marked may differ.
    """
    scope = await filtering.scope(db)
    checked = 0
    differences: list[Difference] = []
    for rule in await db.all(Rule, PROVABLE, clock.now()):
        number, found = await _proved(db, rule, scope)
        checked += number
        differences += found
    return checked, differences


async def _proved(db: Reader, rule: Rule, scope: filters.Scope) -> tuple[int, list[Difference]]:
    where = Where()
    where.arg(rule.id)
    try:
        condition, _ = await fits(rule, scope, where)
    except filters.FilterInvalid as error:
        return 0, [Difference("segment", rule.id, "filter", rule.filter, error.detail)]
    [(number, too_many, too_few)] = await db.rows(PROOF.replace(CONDITION, condition), *where.values)
    found = [Difference("segment", rule.id, f"members/{id}", "in", "out") for id in too_many[:MOST]]
    found += [Difference("segment", rule.id, f"members/{id}", "out", "in") for id in too_few[:MOST]]
    if rule.members != number and not rule.recount_due:
        found.append(Difference("segment", rule.id, "members", rule.members, number))
    return number, found
