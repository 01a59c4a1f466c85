"""What every page needs to know of who looks at it."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from supover.access.model import Caller, Choice, NoWorkspace
from supover.access.queries import CHOICES_FROM_HERE, KEY_NAMES, STAFF_NAMES
from supover.kit.db import Reader
from supover.web.model import Done, Language, Me, Notice, Seen, Waiting
from supover.web.rendering import spelled

# Each count stops at a hundred: beside a link more is not told.
FIND_ME: Final = """
    select p.language, p.timezone, p.columns, p.seen_at,
           (select count(*) from (select 1 from duplicate_pair d where d.workspace_id = $1 and d.status = 'open' limit 100) as d),
           (select count(*) from (select 1 from "order" o where o.workspace_id = $1 and o.needs_review limit 100) as o),
           (select count(*)
              from (select 1 from import_run i
                     where i.workspace_id = $1 and i.status = 'failed' and i.finished_at > coalesce(p.seen_at, '-infinity')
                     limit 100) as i),
           (select count(*)
              from (select 1 from export_run x
                     where x.workspace_id = $1 and x.status = 'failed' and x.deleted_at is null
                       and x.finished_at > coalesce(p.seen_at, '-infinity')
                     limit 100) as x),
           (select count(*)
              from (select 1 from job j
                     where j.workspace_id = $1 and j.state = 'dead' and j.finished_at > coalesce(p.seen_at, '-infinity')
                     limit 100) as j)
      from (select 1) as one
      left join web_preference p on p.workspace_id = $1 and p.staff_id = $2"""


RECENT: Final = """
    select c.id, c.name, c.email, coalesce(c.phone, c.external_id)
      from web_recent r
      join customer c on c.workspace_id = $1 and c.id = r.customer_id and c.deleted_at is null
     where r.workspace_id = $1 and r.staff_id = $2
     order by r.seen_at desc
     limit 6"""


async def find_me(db: Reader, caller: Caller, wanted: Language) -> Me:
    """Who looks at the page. Raises NoWorkspace."""
    choices = await db.all(Choice, CHOICES_FROM_HERE, caller.id)
    here = next((choice for choice in choices if choice.id == caller.workspace_id), None)
    if here is None or caller.id is None:
        raise NoWorkspace
    [(language, timezone, columns, seen_at, *counts)] = await db.rows(FIND_ME, caller.id)
    duplicates, reviews, imports, exports, jobs = counts
    return Me(
        id=caller.id,
        name=caller.name,
        email=caller.email or "",
        role=caller.role or "viewer",
        permissions=caller.permissions,
        workspace=here,
        workspaces=choices,
        language=language or wanted,
        timezone=timezone or here.timezone,
        columns=columns,
        recent=await db.all(Seen, RECENT, caller.id),
        seen_at=seen_at,
        duplicates=duplicates,
        reviews=reviews,
        failed_imports=imports,
        failed=sum(
            count
            for count, needed in ((imports, "imports:read"), (exports, "exports:read"), (jobs, "admin"))
            if caller.may(needed)
        ),
    )


# --- what waits, what went wrong, what is still to be done -------------------------------------------------------------------

WAITING: Final = """
    select (select count(*) from (select 1 from duplicate_pair d where d.workspace_id = $1 and d.status = 'open' limit 1000) as d),
           (select count(*) from (select 1 from "order" o where o.workspace_id = $1 and o.needs_review limit 1000) as o),
           (select count(*) from (select 1 from "order" o where o.workspace_id = $1 and o.exchange_rate is null limit 1000) as o),
           (select count(*) from (select 1 from job j where j.workspace_id = $1 and j.state = 'dead' limit 1000) as j),
           (select count(*) from (select 1 from privacy_request r where r.workspace_id = $1 and r.status = 'pending' limit 1000) as r)"""


async def waiting(db: Reader) -> Waiting:
    """How much waits for somebody; each is counted up to a thousand."""
    [row] = await db.rows(WAITING)
    return Waiting(*row)


NOTICES: Final = """
    select kind, id, name, error, at
      from ((select 'import' as kind, i.id, i.file_name as name, i.error, i.finished_at as at
               from import_run i
              where i.workspace_id = $1 and i.status = 'failed'
              order by i.finished_at desc
              limit 25)
            union all
            (select 'export', x.id, x.file_name, x.error, x.finished_at
               from export_run x
              where x.workspace_id = $1 and x.status = 'failed' and x.deleted_at is null
              order by x.finished_at desc
              limit 25)
            union all
            (select 'job', j.id, j.kind, j.error, j.finished_at
               from job j
              where j.workspace_id = $1 and j.state = 'dead'
              order by j.id desc
              limit 25)) as n
     order by at desc nulls last
     limit 25"""


async def notices(db: Reader) -> list[Notice]:
    """What failed of late, the newest first."""
    return await db.all(Notice, NOTICES)


DONE: Final = """
    select exists (select 1 from customer c where c.workspace_id = $1),
           exists (select 1 from "order" o where o.workspace_id = $1),
           exists (select 1 from channel_connection n where n.workspace_id = $1),
           (select count(*) > 1 from (select 1 from membership m where m.workspace_id = $1 limit 2) as m),
           exists (select 1 from segment g where g.workspace_id = $1 and g.built_in is null),
           exists (select 1 from duplicate_scan s where s.workspace_id = $1)
           or exists (select 1 from duplicate_pair d where d.workspace_id = $1)"""


async def done_so_far(db: Reader) -> Done:
    """What of the first steps somebody has taken."""
    [row] = await db.rows(DONE)
    return Done(*row)


async def names_of(db: Reader, actors: Iterable[str]) -> dict[str, str]:
    """What the people and keys are called who did something; who is no more keeps the actor's own name."""
    wanted = set(actors)
    found = {actor: spelled(actor.partition(":")[0]) for actor in wanted}
    keys = [actor.removeprefix("key:") for actor in wanted if actor.startswith("key:")]
    staff = [actor.removeprefix("staff:") for actor in wanted if actor.startswith("staff:")]
    if keys:
        found.update((who, name) for who, name in await db.rows(KEY_NAMES, keys))
    if staff:
        found.update((who, name) for who, name in await db.rows(STAFF_NAMES, staff))
    return found


class Person(msgspec.Struct, frozen=True):
    """A customer as they are called in a list of something else; one that is deleted or merged, too."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    is_gone: bool


PEOPLE: Final = """
    select c.id, c.name, c.email, c.phone, c.deleted_at is not null
      from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[])"""


async def people(db: Reader, customer_ids: Iterable[UUID | None]) -> dict[UUID, Person]:
    """These customers by their ids, as far as they are known; None is nobody."""
    wanted = list({id for id in customer_ids if id is not None})
    return {one.id: one for one in await db.all(Person, PEOPLE, wanted)} if wanted else {}
