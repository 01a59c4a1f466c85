"""What a filter amounts to, before anything is kept: how many fit it, who, and why."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg

from supover.customers import filtering
from supover.customers import queries as customers
from supover.kit import filters
from supover.kit.db import Reader
from supover.kit.filters import Tree
from supover.kit.sql import Where
from supover.segments import how_many
from supover.segments.how_many import COUNT
from supover.segments.membership import CONDITION
from supover.segments.model import Explained, Explanation, FilterTooSlow, Preview
from supover.segments.queries import customers_of

SAMPLE_SIZE: Final = 10
RECENT: Final = 5_000
"""So many of the newest customers are looked through for the sample before any others are."""

NEWEST: Final = f"""
    select c.id from customer c
     where c.workspace_id = $1 and c.deleted_at is null
     order by c.created_at desc, c.id desc
     limit {RECENT}"""
OF_THEM: Final = f"""
    select c.id
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null
       and c.id is not null
     order by c.created_at desc, c.id desc
     limit {SAMPLE_SIZE}"""
# Without an order, so that none but the first that are found are looked at.
ANY: Final = f"""
    select c.id
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null
       and c.id is not null
     limit {SAMPLE_SIZE}"""


async def preview(db: Reader, text: str) -> Preview:
    """How many living customers fit a filter, and ten of them. Raises FilterInvalid, FilterTooSlow.

    Those are the newest where ten of the newest 5,000 customers fit; to find out which of all are the newest would take as
    long again as to count them.
    """
    tree = await filtering.read(db, text)
    living = await how_many.living(db)
    with _in_time():
        count = await how_many.fit(db, tree, living)
        sample = await _sample(db, tree, count)
    share = count / living if living else 0.0
    shown = await customers_of(db, sample)
    return Preview(count, round(share, 6), filters.describe(tree), tree.is_relative, shown)


@contextmanager
def _in_time() -> Generator[None]:
    """Says of a filter that it takes longer than a statement may."""
    try:
        yield
    except asyncpg.QueryCanceledError:
        why = "takes too long: ask for less, or make it a segment, which a job looks at everybody for"
        raise FilterTooSlow.at("/filter", "too_slow", why) from None


def _asked(sql: str, tree: Tree, customers: list[UUID] | None = None) -> tuple[Any, ...]:
    where = Where()
    only = None if customers is None else where.arg(customers)
    condition = filters.condition(tree, where, only)
    return (sql.replace(CONDITION, f"({condition})"), *where.values)


async def _sample(db: Reader, tree: Tree, count: int) -> list[UUID]:
    if not count:
        return []
    newest = await db.column(NEWEST)
    found = await db.column(*_asked(OF_THEM, tree, newest))
    if len(found) < min(count, SAMPLE_SIZE):
        found += [id for id in await db.column(*_asked(ANY, tree)) if id not in found]
    return found[:SAMPLE_SIZE]


# --- why -----------------------------------------------------------------------------------------------------------------

COUNTS: Final = "count(*) filter (where c.id is not null)"
EACH: Final = """
    select count(*) filter (where c.id is not null)
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null"""
EACH_OF_ONE: Final = """
    select count(*) filter (where c.id is not null)
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id = $2 and c.deleted_at is null"""
_LONGEST: Final = 200


async def explain(db: Reader, text: str, customer_id: UUID | None = None) -> Explanation:
    """A filter taken apart.

    Raises FilterInvalid, FilterTooSlow; CustomerNotFound, CustomerMerged for a customer who is not living.
    """
    tree = await filtering.read(db, text)
    if customer_id is not None:
        await customers.exists(db, customer_id)
    parts = list(filters.conditions(tree))
    trees = [tree, *(part for _, part in parts)]
    with _in_time():
        numbers = await _each(db, trees, None)
        holds = None if customer_id is None else [bool(one) for one in await _each(db, trees, customer_id)]
    where = Where()
    condition = filters.condition(tree, where)
    statement = COUNT.replace(CONDITION, f"({condition})")
    plan = await db.column("explain " + statement, *where.values)
    return Explanation(
        filters.describe(tree),
        tree.is_relative,
        None if holds is None else holds[0],
        [
            Explained(part.text, found.start, filters.describe(part), numbers[n], None if holds is None else holds[n])
            for n, (found, part) in enumerate(parts, 1)
        ],
        statement,
        [str(value)[:_LONGEST] for value in where.values],
        plan,
    )


async def _each(db: Reader, trees: list[Tree], customer_id: UUID | None) -> list[int]:
    """How many fit each of these, of all or of one customer, in one statement."""
    where = Where()
    if customer_id is not None:
        where.arg(customer_id)
    counts = ",\n           ".join(COUNTS.replace(CONDITION, filters.condition(tree, where)) for tree in trees)
    sql = (EACH if customer_id is None else EACH_OF_ONE).replace(COUNTS, counts)
    [row] = await db.rows(sql, *where.values)
    return list(row)
