"""Tags renamed, merged or removed in every customer that has them: noted at once, done by a job."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import rules
from supover.customers.events import CustomerChanged, CustomerTagged, CustomerUntagged
from supover.customers.model import TagChange
from supover.kit import clock, ids, jobs, text
from supover.kit.db import Change, Reader, Tx
from supover.kit.events import Event, publish
from supover.kit.problems import Invalid

JOB: Final = "customers.change_tags"
BATCH: Final = 5_000


class Stored(msgspec.Struct, frozen=True):
    """A change as it is noted: what these tags become, `into` None when they are removed; how far it is; who made it."""

    id: UUID
    tags: Sequence[str]
    into: str | None
    actor: str
    actor_name: str
    done: int
    total: int


# Those that have one of the tags, and not just the one that it becomes as it is to be written.
_HAVE: Final = """ext.lower_all(c.tags) && ext.lower_all($2::text[]) and c.merged_into_id is null
       and exists (select 1 from unnest(c.tags) as t (tag)
                    where lower(t.tag) = any(ext.lower_all($2::text[])) and t.tag is distinct from $3)"""
COUNT: Final = f"""
    select count(*)
      from customer c
     where c.workspace_id = $1 and {_HAVE}"""
ADD: Final = """
    insert into tag_change (workspace_id, id, tags, into_tag, actor, actor_name, total)
    values ($1, $2, $3, $4, $5, $6, $7)"""


async def begin(tx: Tx, tags: Sequence[str], into: str | None, *, pointer: str, dry_run: bool) -> TagChange:
    """Has these tags, in any case, become another one in all customers, or removed; how many customers that will change.

    `pointer` names the tags in a refusal. A dry run only counts.
    """
    gone = rules.distinct(tag for tag in map(text.clean, tags) if tag)
    if not gone or len(gone) > rules.MAX_TAGS:
        raise Invalid.at(pointer, "length", f"must be 1 to {rules.MAX_TAGS} tags")
    if any(len(tag) > rules.TAG_LENGTH for tag in gone):
        raise Invalid.at(pointer, "length", f"can have at most {rules.TAG_LENGTH} characters each")
    count = await tx.value(COUNT, gone, into)
    if dry_run:
        return TagChange(None, count, dry_run=True)
    id = ids.new()
    await tx.run(ADD, id, gone, into, tx.actor, tx.actor_name, count)
    job_id = await jobs.defer(tx, JOB, {"change_id": id})
    tx.changes.append(Change("tag", id, "tag", gone[0] if len(gone) == 1 else gone, into))
    return TagChange(job_id, count, dry_run=False)


def wanted(tag: str, pointer: str) -> str:
    """A tag that others become, as it is kept. Raises Invalid."""
    kept = text.clean(tag)
    if not 1 <= len(kept) <= rules.TAG_LENGTH:
        raise Invalid.at(pointer, "length", f"must have 1 to {rules.TAG_LENGTH} characters")
    return kept


FIND: Final = """
    select t.id, t.tags, t.into_tag, t.actor, t.actor_name, t.done, t.total
      from tag_change t
     where t.workspace_id = $1 and t.id = $2"""


async def find(db: Reader, id: UUID) -> Stored | None:
    """A change that was begun."""
    return await db.maybe(Stored, FIND, id)


PICK: Final = f"""
    select c.id, c.tags
      from customer c
     where c.workspace_id = $1 and {_HAVE} and c.id > $4
     order by c.id
     limit $5
       for no key update"""
# What is first written as one of the tags, or was there as what they become, keeps its place.
APPLY: Final = """
    update customer c
       set tags = array(select k.tag
                          from (select distinct on (lower(s.tag)) s.tag, s.n
                                  from (select case when lower(t.tag) = any(ext.lower_all($3::text[])) or lower(t.tag) = lower($4)
                                                    then $4 else t.tag end, t.n
                                          from unnest(c.tags) with ordinality as t (tag, n)) as s (tag, n)
                                 where s.tag is not null
                                 order by lower(s.tag), s.n) as k
                         order by k.n),
           updated_at = now(), version = c.version + 1
     where c.workspace_id = $1 and c.id = any($2::uuid[])
    returning c.id, c.tags, c.deleted_at is null"""
NOTE: Final = "update tag_change set done = done + $3 where workspace_id = $1 and id = $2 returning done"


async def apply(tx: Tx, change: Stored, after: UUID) -> tuple[UUID, int] | None:
    """Changes the next batch of customers behind `after`, in the order of their ids; None once there are no more.

    Returns the last of them, and how many are done. Who has been changed is not found again, so it may begin anew at any time.
    """
    gone = list(change.tags)
    picked: dict[UUID, list[str]] = dict(await tx.rows(PICK, gone, change.into, after, BATCH))  # pyright: ignore[reportAssignmentType,reportArgumentType]
    if not picked:
        return None
    now = clock.now()
    facts: list[Event] = []
    for id, new, is_living in await tx.rows(APPLY, list(picked), gone, change.into):
        if not is_living:
            continue
        old = picked[id]
        gained, lost = rules.without(new, old), rules.without(old, new)
        if gained:
            facts.append(CustomerTagged(customer_id=id, at=now, tags=gained))
        if lost:
            facts.append(CustomerUntagged(customer_id=id, at=now, tags=lost))
        if not gained and not lost:
            facts.append(CustomerChanged(customer_id=id, at=now, changes={"tags": [old, new]}))
    await publish(tx, facts)
    return max(picked), await tx.value(NOTE, change.id, len(picked))


FORGET: Final = "delete from tag_change t where t.workspace_id = $1 and t.id = $2"


async def forget(tx: Tx, id: UUID) -> None:
    """Forgets a change that is made: the audit log and the events tell of it."""
    await tx.run(FORGET, id)
