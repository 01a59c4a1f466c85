"""Tags renamed, merged or removed in every customer that has them: noted at once, made by a job.

One job at a time works a workspace's changes off in the order in which they were asked for, so that what is renamed twice
ends as it was meant. Whoever cancels that job cancels the change that it is at, or, before it has begun, all that it was to
make.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import rules
from supover.customers.events import CustomerChanged, CustomerTagged, CustomerUntagged
from supover.customers.tag_change_model import TagChange, TagChangeBegun, TagChangeEnded, TagChangeNotFound
from supover.kit import clock, ids, jobs, sql, text
from supover.kit.db import Change, Reader, Tx
from supover.kit.events import Event, publish
from supover.kit.problems import Invalid
from supover.kit.sql import Page, Sort, Where

JOB: Final = "customers.change_tags"
BATCH: Final = 1_000
"""Customers whom a transaction holds: who edits one of them waits so long."""
_TURN: Final = "tags"

# --- asked for -----------------------------------------------------------------------------------------------------------

# Those that have one of the tags, and not just the one that it becomes as it is to be written.
_HAVE: Final = """ext.lower_all(c.tags) && ext.lower_all($2::text[]) and c.merged_into_id is null
       and exists (select 1 from unnest(c.tags) as t (tag)
                    where lower(t.tag) = any(ext.lower_all($2::text[])) and t.tag is distinct from $3)"""
COUNT: Final = f"""
    select count(*)
      from customer c
     where c.workspace_id = $1 and {_HAVE}"""
IS_ANY_OPEN: Final = """
    select exists (select 1 from tag_change t where t.workspace_id = $1 and t.ended_at is null)"""
ADD: Final = """
    insert into tag_change (workspace_id, id, tags, into_tag, actor, actor_name, total, job_id)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""


async def begin(tx: Tx, tags: Sequence[str], into: str | None, *, pointer: str, dry_run: bool) -> TagChangeBegun:
    """Has these tags, in any case, become another one in all customers, or removed; how many customers have them now.

    `pointer` names the tags in a refusal. A dry run only counts.
    """
    gone = rules.distinct(tag for tag in map(text.clean, tags) if tag)
    if not gone or len(gone) > rules.MAX_TAGS:
        raise Invalid.at(pointer, "length", f"must be 1 to {rules.MAX_TAGS} tags")
    if any(len(tag) > rules.TAG_LENGTH for tag in gone):
        raise Invalid.at(pointer, "length", f"can have at most {rules.TAG_LENGTH} characters each")
    count = await tx.value(COUNT, gone, into)
    # Nobody may have it only because the change that gives it to them is still under way.
    if dry_run or not (count or await tx.value(IS_ANY_OPEN)):
        return TagChangeBegun(None, None, count, dry_run=dry_run)
    id = ids.new()
    job_id = await _queue(tx)
    await tx.run(ADD, id, gone, into, tx.actor, tx.actor_name, count, job_id)
    tx.changes.append(Change("tag", id, "tag", gone[0] if len(gone) == 1 else gone, into))
    return TagChangeBegun(id, job_id, count, dry_run=False)


# A job of which nothing is known any more was cancelled and forgotten: nobody forgets one that is queued.
GIVEN_UP: Final = """
    update tag_change t set state = 'cancelled', ended_at = now()
     where t.workspace_id = $1 and t.ended_at is null
       and not exists (select 1 from job j where j.workspace_id = $1 and j.id = t.job_id and j.state <> 'cancelled')"""


async def _queue(tx: Tx) -> UUID:
    """The job that is queued for changes, made where there is none."""
    made = await jobs.defer(tx, JOB, singleton=_TURN)
    if made is not None:
        # Were one queued, none would be made: a job that is cancelled now was cancelled by somebody, and not because it
        # failed while another was queued.
        await tx.run(GIVEN_UP)
        return made
    page = sql.page(jobs.SORTS, limit=1, sort=None, cursor=None)
    [queued] = (await jobs.search(tx, page, state="queued", kind=JOB)).data
    return queued.id


def wanted(tag: str, pointer: str) -> str:
    """A tag that others become, as it is kept. Raises Invalid."""
    kept = text.clean(tag)
    if not 1 <= len(kept) <= rules.TAG_LENGTH:
        raise Invalid.at(pointer, "length", f"must have 1 to {rules.TAG_LENGTH} characters")
    return kept


# --- seen and cancelled --------------------------------------------------------------------------------------------------

_COLUMNS: Final = """t.id, t.tags, t.into_tag, t.state, t.done, t.total, t.job_id, t.actor, t.created_at, t.ended_at"""
SORTS: Final = (Sort("createdAt", "t.id", "t.id", UUID, descending_first=True),)
FIND: Final = f"""
    select {_COLUMNS}
      from tag_change t
     where t.workspace_id = $1 and t.id = $2"""
LOCK: Final = f"""
    select {_COLUMNS}
      from tag_change t
     where t.workspace_id = $1 and t.id = $2
       for no key update"""
LIST: Final = f"""
    select {_COLUMNS}
      from tag_change t
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
CANCEL: Final = """
    update tag_change t set state = 'cancelled', ended_at = now()
     where t.workspace_id = $1 and t.id = $2"""


async def find(db: Reader, id: UUID) -> TagChange:
    """A change that was asked for. Raises TagChangeNotFound."""
    return await db.one(TagChange, FIND, id, missing=TagChangeNotFound)


async def search(db: Reader, page: Page) -> tuple[list[TagChange], str | None]:
    """A page of the changes that were asked for, and the cursor of the next."""
    where = Where("t.workspace_id = $1")
    page.seek(where)
    limit = where.arg(page.limit + 1)
    statement = LIST.format(where=where.text(), order=page.order(), limit=limit)
    found = await db.all(TagChange, statement, *where.values)
    data = found[: page.limit]
    return data, page.cursor(data[-1].id, data[-1].id) if len(found) > page.limit else None


async def cancel(tx: Tx, id: UUID) -> TagChange:
    """Ends a change where it stands; those that were asked for later go on. Raises TagChangeNotFound, TagChangeEnded."""
    old = await tx.one(TagChange, LOCK, id, missing=TagChangeNotFound)
    if old.ended_at is not None:
        raise TagChangeEnded(f"It is {old.state}.")
    await tx.run(CANCEL, id)
    new = await find(tx, id)
    tx.changed("tag_change", id, old, new, ["state"])
    return new


# --- made by the job -----------------------------------------------------------------------------------------------------


class Next(msgspec.Struct, frozen=True):
    """The change whose turn it is: what these tags become, `into` None when they are removed; who asked for it."""

    id: UUID
    tags: Sequence[str]
    into: str | None
    actor: str
    actor_name: str


class Step(msgspec.Struct, frozen=True):
    """A batch of a change: the last customer of it, None where the change has ended; how many are done, of how many."""

    last: UUID | None
    done: int
    total: int


# All but those that the next job is to make, which is queued already.
TAKE: Final = """
    update tag_change t set job_id = $2
     where t.workspace_id = $1 and t.ended_at is null
       and not exists (select 1 from job j where j.workspace_id = $1 and j.id = t.job_id and j.state = 'queued')"""
# What the next job was to make, before somebody cancelled it, is not made by this one.
FIRST: Final = """
    select t.id, t.tags, t.into_tag, t.actor, t.actor_name
      from tag_change t
     where t.workspace_id = $1 and t.ended_at is null
       and not exists (select 1 from job j where j.workspace_id = $1 and j.id = t.job_id and j.state = 'cancelled')
     order by t.id
     limit 1"""


async def take(tx: Tx, job_id: UUID) -> None:
    """Makes the changes that no job makes any more this one's, so that to cancel it is to cancel them."""
    await tx.run(TAKE, job_id)


async def first(db: Reader) -> Next | None:
    """The change whose turn it is, the one that was asked for first of those that have not ended."""
    return await db.maybe(Next, FIRST)


HAND_ON: Final = """
    update tag_change t set job_id = $3
     where t.workspace_id = $1 and t.ended_at is null and t.job_id = $2"""


async def stop(tx: Tx, change: Next, job_id: UUID) -> None:
    """Ends a change because its job was cancelled; another job goes on with those after it."""
    await tx.run(CANCEL, change.id)
    if await tx.value(IS_ANY_OPEN):
        await tx.run(HAND_ON, job_id, await _queue(tx))


STATE: Final = """
    select t.state, t.done, t.total from tag_change t
     where t.workspace_id = $1 and t.id = $2
       for no key update"""
START: Final = """
    update tag_change t set state = 'running', job_id = $3, total = $4
     where t.workspace_id = $1 and t.id = $2"""
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
NOTE: Final = """
    update tag_change t set done = t.done + $3, total = greatest(t.total, t.done + $3)
     where t.workspace_id = $1 and t.id = $2
    returning t.done, t.total"""
END: Final = "update tag_change t set state = 'done', ended_at = now() where t.workspace_id = $1 and t.id = $2"


async def apply(tx: Tx, change: Next, after: UUID, job_id: UUID) -> Step:
    """Changes the next batch of customers behind `after`, locked in the order of their ids.

    Who has been changed is not found again, so it may begin anew at any time.
    """
    gone = list(change.tags)
    [(state, done, total)] = await tx.rows(STATE, change.id)
    if state == "waiting":
        # By now those before it are made, and others may have the tags.
        total = await tx.value(COUNT, gone, change.into)
        await tx.run(START, change.id, job_id, total)
    elif state != "running":
        return Step(None, done, total)
    picked: dict[UUID, list[str]] = dict(await tx.rows(PICK, gone, change.into, after, BATCH))  # pyright: ignore[reportAssignmentType,reportArgumentType]
    if not picked:
        await tx.run(END, change.id)
        return Step(None, done, total)
    now = clock.now()
    facts: list[Event] = []
    for id, new, is_living in await tx.rows(APPLY, list(picked), gone, change.into):
        if not is_living:
            continue
        old = picked[id]
        facts.append(CustomerChanged(customer_id=id, at=now, changes={"tags": [old, new]}))
        if gained := rules.without(new, old):
            facts.append(CustomerTagged(customer_id=id, at=now, tags=gained))
        if lost := rules.without(old, new):
            facts.append(CustomerUntagged(customer_id=id, at=now, tags=lost))
    await publish(tx, facts)
    [(done, total)] = await tx.rows(NOTE, change.id, len(picked))
    return Step(max(picked), done, total)
