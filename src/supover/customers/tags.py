"""Tags: added and removed one by one, and counted over all customers."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import commands, queries, rules
from supover.customers.model import CustomerTags, TagCount, TagNotFound
from supover.kit import clock, text
from supover.kit.db import Reader, Tx
from supover.kit.sql import Page, Sort, Where, like

# --- of one customer -----------------------------------------------------------------------------------------------------


async def of(db: Reader, customer_id: UUID) -> CustomerTags:
    """A customer's tags. Raises CustomerNotFound, CustomerMerged."""
    customer = await queries.find(db, customer_id, below="/tags")
    return CustomerTags(customer.tags, customer.version)


async def add(tx: Tx, customer_id: UUID, tags: Sequence[str], version: int | None = None) -> CustomerTags:
    """Adds the tags that the customer does not have, behind those that are there. Raises Invalid, CustomerStale."""
    wanted = rules.checked({"tags": tags}, clock.now().date())["tags"]
    old = await commands.lock(tx, customer_id, version, below="/tags")
    new = await commands.store(tx, customer_id, old, {"tags": [*old.profile.tags, *wanted]})
    return CustomerTags(new.tags, new.version)


async def remove(
    tx: Tx, customer_id: UUID, tags: Sequence[str], version: int | None = None, *, below: str = "/tags"
) -> CustomerTags:
    """Removes tags, in any case. Raises TagNotFound for one that is not there, CustomerStale."""
    gone = [text.clean(tag) for tag in tags]
    old = await commands.lock(tx, customer_id, version, below=below)
    if missing := rules.without(gone, old.profile.tags):
        raise TagNotFound(f"It does not have {missing[0]!r}.")
    new = await commands.store(tx, customer_id, old, {"tags": rules.without(old.profile.tags, gone)})
    return CustomerTags(new.tags, new.version)


# --- of all --------------------------------------------------------------------------------------------------------------

COUNTED_WHEN_ASKED: Final = 25_000
"""So many tagged customers are counted whenever somebody asks; of more, a job keeps the counts."""
SORTS: Final = (
    Sort("customers", "t.customers", "md5(t.tag)::uuid", int, descending_first=True),
    Sort("tag", "ext.fold(t.tag)", "md5(t.tag)::uuid", str),
)
# Where a job keeps the counts, the other branch is not even begun.
LIST: Final = """
    select {key}, md5(t.tag)::uuid, t.tag, t.customers, t.counted_at
      from (select k.tag, k.customers, k.counted_at
              from tag_count k
             where k.workspace_id = $1
             union all
            select mode() within group (order by u.tag), count(*), now()
              from customer c
             cross join lateral unnest(c.tags) as u (tag)
             where c.workspace_id = $1 and c.deleted_at is null and c.tags <> '{{}}'
               and not exists (select 1 from tag_count k where k.workspace_id = $1)
             group by lower(u.tag)) as t
     where {where}
     order by {order}
     limit {limit}"""


async def search(db: Reader, page: Page, beginning: str) -> tuple[list[TagCount], str | None]:
    """A page of tags with how many living customers have each, and the cursor of the next.

    Counted now, unless the workspace has more tagged customers than are counted when asked: then as they were counted within
    the last minutes. `beginning` in any case and with or without accents.
    """
    where = Where("t.customers > 0")
    if beginning:
        where.add("ext.fold(t.tag) like ext.fold({}) || '%'", like(beginning))
    page.seek(where)
    limit = where.arg(page.limit + 1)
    rows = await db.rows(
        LIST.format(key=page.sort.key, where=where.text(), order=page.order(), limit=limit), *where.values
    )
    found = [TagCount(*row[2:]) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None
    key, id = rows[page.limit - 1][:2]
    return found, page.cursor(key, id)


TAGGED: Final = """
    select count(*)
      from (select 1 from customer c where c.workspace_id = $1 and c.deleted_at is null and c.tags <> '{}' limit $2) as t"""
# Whatever changes a customer's tags, or puts a customer away, stamps the customer. What a transaction stamped that ends
# after the count began is seen because the question reaches back further than a transaction lasts.
CHANGED: Final = """
    select coalesce((select c.updated_at from customer c where c.workspace_id = $1 order by c.updated_at desc limit 1)
                    > (select min(t.counted_at) from tag_count t where t.workspace_id = $1) - interval '15 minutes', true)"""
RECOUNT: Final = """
    insert into tag_count as t (workspace_id, tag, customers, counted_at)
    select $1, mode() within group (order by u.tag), count(*), now()
      from customer c
     cross join lateral unnest(c.tags) as u (tag)
     where c.workspace_id = $1 and c.deleted_at is null and c.tags <> '{}'
     group by lower(u.tag)
        on conflict (workspace_id, tag) do update set customers = excluded.customers, counted_at = excluded.counted_at"""
FORGET: Final = "delete from tag_count where workspace_id = $1 and counted_at < now()"


async def recount(tx: Tx) -> bool:
    """Counts the tags of a big workspace whose customers have changed; False where there is nothing to do."""
    if await tx.value(TAGGED, COUNTED_WHEN_ASKED + 1) <= COUNTED_WHEN_ASKED:
        return await tx.run(FORGET) > 0
    if not await tx.value(CHANGED):
        return False
    await tx.run(RECOUNT)
    await tx.run(FORGET)
    return True
