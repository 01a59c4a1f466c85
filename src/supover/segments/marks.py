"""What happens leaves a mark, or makes an evaluation wanted. Whoever publishes loads this, so it brings little along."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from supover.kit import clock, ids
from supover.kit.db import Tx
from supover.segments import rules

MARK: Final = """
    insert into segment_stale (workspace_id, customer_id, origin)
    select $1, n.customer_id, $3 from (select distinct unnest($2::uuid[])) as n (customer_id)
     where exists (select 1 from segment g where g.workspace_id = $1)"""


async def mark(tx: Tx, customer_ids: Iterable[UUID | None], origin: str | None = None) -> None:
    """Leaves one mark a customer, in the transaction that changed something about them; none where there is no segment."""
    if found := [id for id in customer_ids if id is not None]:
        await tx.run(MARK, found, origin or tx.origin)


MARK_BY: Final = """
    insert into segment_stale (workspace_id, customer_id, origin)
    select $1, n.customer_id, $4 from (select distinct unnest($3::uuid[])) as n (customer_id)
     where exists (select 1 from segment g where g.workspace_id = $1 and position($2 in lower(g.filter)) > 0)"""


async def mark_by(tx: Tx, word: str, customer_ids: Sequence[UUID]) -> None:
    """As `mark`, where there is a segment whose filter has this word."""
    if customer_ids:
        await tx.run(MARK_BY, word, list(customer_ids), tx.origin)


REMOVE_MEMBERS: Final = "delete from segment_member where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_MARKS: Final = "delete from segment_stale where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_PICKS: Final = "delete from segment_pick where workspace_id = $1 and customer_id = any($2::uuid[])"


async def remove(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Takes customers who are unmade out of everything; their segments are to be counted again."""
    for statement in (REMOVE_MEMBERS, REMOVE_MARKS, REMOVE_PICKS):
        await tx.run(statement, list(customer_ids))


WANT_ALL: Final = """
    update segment
       set wanted_at = now(), stale_since = coalesce(stale_since, now()), is_silent = is_silent or $3
     where workspace_id = $1 and position($2 in lower(filter)) > 0"""


async def want_all(tx: Tx, word: str = "", *, is_silent: bool = False) -> None:
    """What filters with this word mean has changed for everybody: they are evaluated anew, and nobody told where `is_silent`."""
    if await tx.run(WANT_ALL, word, is_silent):
        await evaluate_later(tx)


async def evaluate_later(tx: Tx) -> bool:
    """Has a job do the evaluations that are wanted once this is committed; False when one is queued for that already."""
    # Only who defers it needs what runs it.
    from supover.kit.jobs import defer
    from supover.segments import jobs

    return await defer(tx, jobs.EVALUATE, singleton=jobs.EVALUATE) is not None


# --- what a workspace begins with ----------------------------------------------------------------------------------------

# A name that somebody has given to a segment of their own stays theirs.
ADD_BUILT_IN: Final = """
    insert into segment (workspace_id, id, kind, name, description, filter, built_in, is_relative, complete, is_silent, wanted_at,
           evaluated_at, evaluated_on, created_by, created_by_name)
    select $1, n.id, 'filter', n.name || case when t.taken then ' (built in)' else '' end, n.description, n.filter, n.key, n.is_relative,
           not $8, $8, case when $8 then now() end, case when not $8 then $9::timestamptz end,
           case when not $8 then ($9::timestamptz at time zone w.timezone)::date end, 'system', 'Supover'
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
           as n (id, key, name, description, filter, is_relative)
      join workspace w on w.workspace_id = $1
     cross join lateral (select exists (select 1 from segment g
                                         where g.workspace_id = $1 and lower(g.name) = lower(n.name)) as taken) as t
        on conflict do nothing
    returning id"""


async def add_built_in(
    tx: Tx, wanted: Iterable[rules.BuiltIn] = rules.BUILT_IN, *, is_empty: bool = False
) -> list[UUID]:
    """Adds those built-in segments that the workspace lacks; where it `is_empty` they are complete at once."""
    rows = [(ids.new(), b.key, b.name, b.description, b.filter, b.is_relative) for b in wanted]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return await tx.column(ADD_BUILT_IN, *columns, not is_empty, clock.now())
