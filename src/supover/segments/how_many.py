"""How many customers fit a filter: by their figures alone where it asks of nothing else.

To hold a million customers against a million figures takes as long as all else. Whoever has figures is a customer, so a filter
of figures is counted in those, and the few who are deleted are taken off; who has none yet fits all together or not at all.
What was ordered is asked by the same ids.
"""

import re
from typing import Final

from supover.kit import filters
from supover.kit.db import Reader
from supover.kit.filters import Tree
from supover.kit.sql import Where
from supover.segments.membership import CONDITION

LIVING: Final = "select count(*) from customer c where c.workspace_id = $1 and c.deleted_at is null"
COUNT: Final = """
    select count(*)
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.deleted_at is null
       and c.id is not null"""
OF_FIGURES: Final = """
    select (select count(*) from customer_metrics m where m.workspace_id = $1 and m.customer_id is not null)
         - (select count(*)
              from customer d
              join customer_metrics m on m.workspace_id = $1 and m.customer_id = d.id
             where d.workspace_id = $1 and d.deleted_at is not null and m.customer_id is not null),
           coalesce((select m.customer_id is not null
                       from workspace w
                       left join customer_metrics m on m.workspace_id = $1 and m.customer_id is null
                      where w.workspace_id = $1), false)"""
WITHOUT_FIGURES: Final = """
    select $2::bigint
         - (select count(*) from customer_metrics m where m.workspace_id = $1)
         + (select count(*)
              from customer d
              join customer_metrics m on m.workspace_id = $1 and m.customer_id = d.id
             where d.workspace_id = $1 and d.deleted_at is not null)"""
BY_FIGURES: Final = """
    select count(*)
      from customer_metrics m
     where m.workspace_id = $1 and m.customer_id is not null
       and not exists (select 1 from customer d
                        where d.workspace_id = $1 and d.id = m.customer_id and d.deleted_at is not null)"""
FIGURES: Final = "m.customer_id is not null"
"""Stands in those statements where the filter's condition goes."""
_ID: Final = re.compile(r"\bc\.id\b")
_OF_A_CUSTOMER: Final = re.compile(r"\bc\.(?!id\b)")


async def living(db: Reader) -> int:
    """All customers but deleted ones."""
    return await db.value(LIVING)


async def fit(db: Reader, tree: Tree, of: int) -> int:
    """How many of the living, who are `of`, fit."""
    where = Where()
    condition = f"({filters.condition(tree, where)})"
    if _OF_A_CUSTOMER.search(condition):
        return await db.value(COUNT.replace(CONDITION, condition), *where.values)
    if not _ID.search(condition):
        [(number, without_figures_fit)] = await db.rows(OF_FIGURES.replace(FIGURES, condition), *where.values)
        return number + (await db.value(WITHOUT_FIGURES, of) if without_figures_fit else 0)
    # Of who has no figures yet nothing is known but by asking.
    if await db.value(WITHOUT_FIGURES, of):
        return await db.value(COUNT.replace(CONDITION, condition), *where.values)
    return await db.value(BY_FIGURES.replace(FIGURES, _ID.sub("m.customer_id", condition)), *where.values)
