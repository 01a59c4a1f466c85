"""The queue of possible duplicates, groups, scans and settings."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from supover.duplicates.model import (
    Cluster,
    ClusterNotFound,
    DuplicatePair,
    Evidence,
    Level,
    PairDetail,
    PairNotFound,
    PairSide,
    Scan,
    ScanNotFound,
    Settings,
    Side,
)
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where

# --- pairs -----------------------------------------------------------------------------------------------------------

SORTS: Final = (Sort("score", "p.score", "p.id", Decimal, descending_first=True),)
LIST: Final = """
    select p.id, a.id, a.name, a.email, a.phone, b.id, b.name, b.email, b.phone, p.score, p.reasons, p.level, p.status,
           p.cluster_id, p.created_at, p.version
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id{living_a}
      join customer b on b.workspace_id = $1 and b.id = p.b_id{living_b}
     where {where}
     order by {order}
     limit {limit}"""
COUNT: Final = """
    select count(*)
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id{living_a}
      join customer b on b.workspace_id = $1 and b.id = p.b_id{living_b}
     where {where}"""
SUGGESTED: Final = ("automatic", "suggested")


async def search(
    db: Reader,
    page: Page,
    *,
    status: Literal["open", "dismissed", "merged", "all"] = "open",
    suggested: bool = False,
    level: Level | None = None,
    customer_id: UUID | None = None,
    cluster_id: UUID | None = None,
    min_score: Decimal | None = None,
    count: bool = False,
) -> tuple[list[DuplicatePair], str | None, int | None]:
    """A page of pairs, the best first; open ones are of living customers only."""
    where = Where("p.workspace_id = $1")
    if status != "all":
        where.add("p.status = {}", status)
    if level is not None:
        where.add("p.level = {}", level)
    if suggested:
        where.add("p.level = any({}::text[])", list(SUGGESTED))
    if customer_id is not None:
        asked = where.arg(customer_id)
        where.also(f"(p.a_id = {asked} or p.b_id = {asked})")
    if cluster_id is not None:
        where.add("p.cluster_id = {}", cluster_id)
    if min_score is not None:
        where.add("p.score >= {}", min_score)
    living = {f"living_{side}": f" and {side}.deleted_at is null" if status == "open" else "" for side in "ab"}
    total = await db.value(COUNT.format(where=where.text(), **living), *where.values) if count else None
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    statement = LIST.format(where=where.text(), order=page.order(), limit=limit, **living)
    rows: list[Any] = await db.rows(statement, *where.values)
    found = [DuplicatePair(r[0], PairSide(*r[1:5]), PairSide(*r[5:9]), *r[9:]) for r in rows[page.skip :]]
    if len(found) <= page.limit:
        return found, None, total
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.score, last.id), total


FIND: Final = """
    select p.a_id, p.b_id, p.score, p.reasons, p.evidence, p.level, p.own_level, p.status, p.cluster_id, p.note, p.merge_id,
           p.decided_at, p.decided_by_name, p.created_at, p.version
      from duplicate_pair p
     where p.workspace_id = $1 and p.id = $2"""
SIDES: Final = """
    select c.id, c.name, c.email, c.phone, c.date_of_birth::text, c.source, c.external_id,
           array(select i.value from customer_identity i
                  where i.workspace_id = $1 and i.customer_id = c.id and i.kind = 'email' and i.released_at is null order by i.value),
           array(select i.value from customer_identity i
                  where i.workspace_id = $1 and i.customer_id = c.id and i.kind = 'phone' and i.released_at is null order by i.value),
           array(select concat_ws(', ', nullif(a.line1, ''), nullif(a.line2, ''), nullif(a.city, ''),
                                  nullif(concat_ws(' ', nullif(a.state, ''), nullif(a.postal_code, '')), ''), nullif(a.country, ''))
                   from address a where a.workspace_id = $1 and a.customer_id = c.id order by a.is_default desc, a.id),
           coalesce(m.orders_count, 0), c.created_at
      from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id = any($2::uuid[])"""


async def find(db: Reader, id: UUID) -> PairDetail:
    """One pair, both customers side by side. Raises PairNotFound."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise PairNotFound
    a_id, b_id, score, reasons, evidence, level, own_level, *rest = rows[0]
    sides = {side.id: side for side in await db.all(Side, SIDES, [a_id, b_id])}
    if a_id not in sides or b_id not in sides:
        raise PairNotFound
    told = [Evidence(one["field"], one["words"], one["bits"]) for one in evidence]
    return PairDetail(id, sides[a_id], sides[b_id], score, reasons, told, level, own_level, *rest)


COUNTS: Final = """
    select p.level, count(*)
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id and a.deleted_at is null
      join customer b on b.workspace_id = $1 and b.id = p.b_id and b.deleted_at is null
     where p.workspace_id = $1 and p.status = 'open'
     group by p.level"""


async def counts(db: Reader) -> dict[str, int]:
    """How many open pairs of living customers there are of each level."""
    return {level: number for level, number in await db.rows(COUNTS)}


# Behind a pair in the queue, or the first where no score is given.
FOLLOWING: Final = """
    select p.id
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id and a.deleted_at is null
      join customer b on b.workspace_id = $1 and b.id = p.b_id and b.deleted_at is null
     where p.workspace_id = $1 and p.status = 'open' and p.id <> $2 and ($3::text is null or p.level = $3)
       and ($4::numeric is null or (p.score, p.id) < ($4, $2))
     order by p.score desc, p.id desc
     limit 1"""


async def following(db: Reader, id: UUID, score: Decimal, level: Level | None) -> UUID | None:
    """The open pair behind this one in the queue, of a level where one is told; behind the last comes the first."""
    behind: list[UUID] = await db.column(FOLLOWING, id, level, score)
    found = behind or await db.column(FOLLOWING, id, level, None)
    return found[0] if found else None


# --- groups ----------------------------------------------------------------------------------------------------------

CLUSTER_SORTS: Final = (Sort("id", "p.cluster_id", "p.cluster_id", UUID),)
CLUSTERS: Final = """
    with found as (
        select p.cluster_id as id, count(*) as pairs, min(p.score) as score,
               case when bool_and(p.level = 'automatic') then 'automatic' else 'suggested' end as level,
               array_agg(p.a_id) || array_agg(p.b_id) as members
          from duplicate_pair p
         where p.workspace_id = $1 and p.status = 'open' and p.cluster_id is not null and p.cluster_id > $2
           and ($4::uuid is null or p.cluster_id = $4)
         group by p.cluster_id order by p.cluster_id limit $3)
    select f.id, f.pairs, f.score, f.level, c.id, c.name, c.email, c.phone
      from found f
      join customer c on c.workspace_id = $1 and c.id = any(f.members) and c.deleted_at is null
     order by f.id, c.id"""
COUNT_CLUSTERS: Final = """
    select count(distinct p.cluster_id) from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open' and p.cluster_id is not null"""
FIRST: Final = UUID(int=0)


async def clusters(db: Reader, after: UUID, limit: int) -> tuple[list[Cluster], UUID | None]:
    """A page of groups, in the order of their oldest customers; and behind which one to go on."""
    found = _clusters(await db.rows(CLUSTERS, after, limit + 1, None))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def cluster(db: Reader, id: UUID) -> Cluster:
    """One group. Raises ClusterNotFound."""
    found = _clusters(await db.rows(CLUSTERS, FIRST, 1, id))
    if not found:
        raise ClusterNotFound
    return found[0]


def _clusters(rows: Sequence[Any]) -> list[Cluster]:
    members: dict[UUID, list[PairSide]] = {}
    facts: dict[UUID, tuple[int, Decimal, Level]] = {}
    for id, pairs, score, level, *side in rows:
        members.setdefault(id, []).append(PairSide(*side))
        facts[id] = (pairs, score, level)
    return [Cluster(id, sides, *facts[id]) for id, sides in members.items()]


# --- scans -----------------------------------------------------------------------------------------------------------

SCAN_SORTS: Final = (Sort("createdAt", "s.id", "s.id", UUID, descending_first=True),)
SCANS: Final = """
    select s.id, s.is_full, s.status, s.phase, s.customers, s.changed, s.compared, s.automatic, s.suggested, s.review, s.clusters,
           s.error, s.job_id, s.actor_name, s.created_at, s.started_at, s.finished_at
      from duplicate_scan s
     where {where}
     order by {order}
     limit {limit}"""


async def scans(db: Reader, page: Page) -> tuple[list[Scan], str | None]:
    """A page of scans, the newest first."""
    where = Where("s.workspace_id = $1")
    page.seek(where)
    limit = where.arg(page.limit + 1 + page.skip)
    found = await db.all(Scan, SCANS.format(where=where.text(), order=page.order(), limit=limit), *where.values)
    found = found[page.skip :]
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.id, last.id)


SCAN: Final = """
    select s.id, s.is_full, s.status, s.phase, s.customers, s.changed, s.compared, s.automatic, s.suggested, s.review, s.clusters,
           s.error, s.job_id, s.actor_name, s.created_at, s.started_at, s.finished_at
      from duplicate_scan s
     where s.workspace_id = $1 and s.id = $2"""


async def scan(db: Reader, id: UUID) -> Scan:
    """One scan. Raises ScanNotFound."""
    return await db.one(Scan, SCAN, id, missing=ScanNotFound)


# --- settings --------------------------------------------------------------------------------------------------------

SETTINGS: Final = """
    select s.automatic_merging, s.nightly_scan, s.version from duplicate_setting s where s.workspace_id = $1"""


async def settings(db: Reader) -> Settings:
    """What the workspace wants; nothing is merged by itself unless it said so."""
    return await db.maybe(Settings, SETTINGS) or Settings()
