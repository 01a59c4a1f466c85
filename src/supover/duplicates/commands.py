"""What can be done about duplicates, one function a verb."""

from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET

from supover.customers import absorbing
from supover.duplicates import clustering, grouping, queries, scanning, scoring
from supover.duplicates.model import (
    Acceptance,
    PairDecided,
    PairDetail,
    PairNotFound,
    Scan,
    Settings,
    SettingsChange,
)
from supover.kit import ids
from supover.kit.db import Tx
from supover.kit.jobs import defer
from supover.kit.problems import Invalid, Problem, Stale
from supover.merging import commands as merging
from supover.merging.model import MAX_DUPLICATES

SCAN_JOB: Final = "duplicates.scan"
MERGE_JOB: Final = "duplicates.merge"

# --- scans ---------------------------------------------------------------------------------------------------------------

QUEUED: Final = """
    select s.id from duplicate_scan s
     where s.workspace_id = $1 and s.status = 'queued' and s.is_full >= $2
     order by s.id limit 1"""
ADD_SCAN: Final = """
    insert into duplicate_scan (workspace_id, id, is_full, actor, actor_name) values ($1, $2, $3, $4, $5)"""


async def begin_scan(tx: Tx, *, full: bool) -> Scan:
    """Has a job search for duplicates; the one that is queued already, where it does as much."""
    known = await tx.value(QUEUED, full)
    if known is not None:
        return await queries.scan(tx, known)
    id = ids.new()
    await tx.run(ADD_SCAN, id, full, tx.actor, tx.actor_name)
    await defer(tx, SCAN_JOB, singleton=SCAN_JOB)
    return await queries.scan(tx, id)


LAST_FULL: Final = """
    select s.finished_at > now() - interval '7 days' from duplicate_scan s
     where s.workspace_id = $1 and s.status = 'completed' and s.is_full
     order by s.id desc limit 1"""


async def begin_nightly(tx: Tx) -> None:
    """Has a job search among who is new or has changed, once a week among all, unless the workspace does not want it."""
    if (await queries.settings(tx)).nightly_scan:
        await begin_scan(tx, full=not await tx.value(LAST_FULL))


# The first of all is a full one, whatever was asked for. One that lost its worker is taken up again.
TAKE_SCAN: Final = """
    update duplicate_scan s
       set status = 'running', phase = 'profiles', started_at = now(), error = null, job_id = $2,
           is_full = s.is_full or not exists (select 1 from duplicate_scan f
                                               where f.workspace_id = $1 and f.status = 'completed' and f.is_full)
     where s.workspace_id = $1 and s.id = (select n.id from duplicate_scan n
                                            where n.workspace_id = $1 and n.status in ('queued', 'running')
                                              and ($3::uuid is null or n.id = $3)
                                            order by n.id limit 1)
    returning s.id, s.is_full, s.started_at"""
# What scans found changed that were never completed is still to be compared, unless one after them was.
WAITING: Final = """
    select s.id from duplicate_scan s
     where s.workspace_id = $1 and s.status <> 'completed' and s.id <= $2
       and not exists (select 1 from duplicate_scan l where l.workspace_id = $1 and l.id > s.id and l.status = 'completed')"""
NOTE_PHASE: Final = """
    update duplicate_scan set phase = $3, customers = $4, changed = $5, compared = $6
     where workspace_id = $1 and id = $2 and status = 'running'"""
COMPLETE: Final = """
    update duplicate_scan s
       set status = 'completed', phase = 'done', finished_at = now(), customers = $3, changed = $4, compared = $5,
           automatic = n.automatic, suggested = n.suggested, review = n.review, clusters = n.clusters
      from (select count(*) filter (where p.level = 'automatic') as automatic, count(*) filter (where p.level = 'suggested') as suggested,
                   count(*) filter (where p.level = 'review') as review, count(distinct p.cluster_id) as clusters
              from duplicate_pair p where p.workspace_id = $1 and p.status = 'open') as n
     where s.workspace_id = $1 and s.id = $2"""
END_SCAN: Final = """
    update duplicate_scan set status = $3, error = $4, finished_at = now()
     where workspace_id = $1 and id = $2 and status in ('queued', 'running')"""


async def take_scan(tx: Tx, job_id: UUID | None, id: UUID | None = None) -> scanning.Run | None:
    """The scan that has waited longest, or this one; None when none waits."""
    rows = await tx.rows(TAKE_SCAN, job_id, id)
    if not rows:
        return None
    taken, is_full, started_at = rows[0]
    return scanning.Run(taken, is_full, started_at, await tx.column(WAITING, taken))


async def begin_here(tx: Tx, *, full: bool) -> scanning.Run:
    """A scan that whoever begins it carries out."""
    id = ids.new()
    await tx.run(ADD_SCAN, id, full, tx.actor, tx.actor_name)
    taken = await take_scan(tx, None, id)
    assert taken is not None
    return taken


async def note_phase(tx: Tx, id: UUID, phase: str, counts: scanning.Counts) -> None:
    """Notes how far a scan is."""
    await tx.run(NOTE_PHASE, id, phase, counts.customers, counts.changed, counts.compared)


async def complete(tx: Tx, id: UUID, counts: scanning.Counts) -> Scan:
    """Notes what a scan has found. What is to be merged by itself is, by a job."""
    await tx.run(COMPLETE, id, counts.customers, counts.changed, counts.compared)
    found = await queries.scan(tx, id)
    if found.automatic and (await queries.settings(tx)).automatic_merging:
        await defer(tx, MERGE_JOB, singleton=MERGE_JOB)
    return found


async def end_scan(tx: Tx, id: UUID, status: Literal["failed", "cancelled"], error: str | None = None) -> None:
    """Notes that a scan was broken off; what it found so far stays."""
    await tx.run(END_SCAN, id, status, error)


# --- decisions -----------------------------------------------------------------------------------------------------------

BOTH: Final = "select p.a_id, p.b_id from duplicate_pair p where p.workspace_id = $1 and p.id = $2"
LOCK: Final = """
    select p.status, p.a_id, p.b_id, p.version from duplicate_pair p
     where p.workspace_id = $1 and p.id = $2 for no key update"""
DECIDE: Final = """
    update duplicate_pair
       set status = $3, note = $4, decided_at = now(), decided_by = $5, decided_by_name = $6, cluster_id = null,
           updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""
REOPEN: Final = """
    update duplicate_pair
       set status = 'open', note = null, decided_at = null, decided_by = null, decided_by_name = null, updated_at = now(),
           level = case when own_level in ('automatic', 'suggested') then own_level when own_level is null then level else 'review' end,
           own_level = case when own_level = 'implied' then 'review' else own_level end, version = version + 1
     where workspace_id = $1 and id = $2"""
AROUND: Final = """
    select p.a_id, p.b_id from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open'
       and p.cluster_id in (select o.cluster_id from duplicate_pair o
                             where o.workspace_id = $1 and o.a_id = any($2::uuid[]) and o.status = 'open'
                            union all
                            select o.cluster_id from duplicate_pair o
                             where o.workspace_id = $1 and o.b_id = any($2::uuid[]) and o.status = 'open')"""


async def dismiss(tx: Tx, id: UUID, note: str | None, version: int | None = None) -> PairDetail:
    """Says that two customers are not one person, for good: no scan asks again. Raises PairNotFound, PairDecided, Stale."""
    status, both = await _locked(tx, id, version)
    if status == "merged":
        raise PairDecided("They were merged.")
    if status == "open":
        group = await _group(tx, both)
        await tx.run(DECIDE, id, "dismissed", note, tx.actor, tx.actor_name)
        await grouping.regroup(tx, None, group)
        tx.changed("duplicate", id, _State("open"), _State("dismissed"), ("status",))
    return await queries.find(tx, id)


async def reopen(tx: Tx, id: UUID, version: int | None = None) -> PairDetail:
    """Takes a dismissal back. Raises PairNotFound, PairDecided, Stale."""
    status, both = await _locked(tx, id, version)
    if status == "merged":
        raise PairDecided("They were merged: undo the merge.")
    if status == "dismissed":
        await tx.run(REOPEN, id)
        await grouping.regroup(tx, None, await _group(tx, both))
        tx.changed("duplicate", id, _State("dismissed"), _State("open"), ("status",))
    return await queries.find(tx, id)


class _State(msgspec.Struct, frozen=True):
    """For the audit log."""

    status: str


async def _locked(tx: Tx, id: UUID, version: int | None) -> tuple[str, tuple[UUID, UUID]]:
    rows = await tx.rows(LOCK, id)
    if not rows:
        raise PairNotFound
    status, a_id, b_id, found = rows[0]
    if version is not None and version != found:
        raise Stale(f"It is at version {found} now.")
    return status, (a_id, b_id)


async def _group(tx: Tx, both: Sequence[UUID]) -> list[UUID]:
    """The two, and everybody who is in a group with one of them."""
    found = {id for pair in await tx.rows(AROUND, list(both)) for id in pair}
    return sorted(found.union(both))


ORDERS: Final = """
    select c.id, coalesce(m.orders_count, 0) from customer c
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null"""


async def _elders_first(tx: Tx, groups: Sequence[Sequence[UUID]]) -> list[list[UUID]]:
    """The groups, each with who is to stay first: who has ordered more, then who has been known for longer."""
    orders: dict[UUID, int] = {
        id: number for id, number in await tx.rows(ORDERS, [id for group in groups for id in group])
    }
    return [sorted(group, key=lambda id: (-orders.get(id, -1), id)) for group in groups]


async def accept(tx: Tx, id: UUID, wanted: Acceptance, version: int | None = None) -> PairDetail:
    """Merges the two into one: into the one told, else the one who has ordered more. It can be undone.

    Raises PairNotFound, PairDecided, Stale, Invalid, and what a merge raises.
    """
    # A merge takes its turn before it touches a pair.
    await absorbing.take_turn(tx, [id for pair in await tx.rows(BOTH, id) for id in pair])
    status, both = await _locked(tx, id, version)
    if status == "merged":
        raise PairDecided("They were merged.")
    if status == "dismissed":
        raise PairDecided("It was dismissed: reopen it first.")
    [[elder, _]] = await _elders_first(tx, [both])
    primary = wanted.primary_id or elder
    if primary not in both:
        raise Invalid.at("/primaryId", "unknown", "is neither of the two")
    (duplicate,) = (one for one in both if one != primary)
    await merging.merge(tx, primary, [duplicate], fields=wanted.fields)
    tx.changed("duplicate", id, _State("open"), _State("merged"), ("status",))
    return await queries.find(tx, id)


# --- merged by themselves ------------------------------------------------------------------------------------------------

# Who was merged once and taken apart again is never put together by itself.
AUTOMATIC: Final = """
    select p.a_id, p.b_id, p.score::float8
      from duplicate_pair p
      join customer a on a.workspace_id = $1 and a.id = p.a_id and a.deleted_at is null
      join customer b on b.workspace_id = $1 and b.id = p.b_id and b.deleted_at is null
     where p.workspace_id = $1 and p.status = 'open' and p.level = 'automatic'
       and not exists (select 1 from customer_merge m
                        where m.workspace_id = $1 and m.undone_at is not null and m.duplicate_ids && array[p.a_id, p.b_id]
                          and p.a_id = any(m.primary_id || m.duplicate_ids) and p.b_id = any(m.primary_id || m.duplicate_ids))
     order by p.a_id, p.b_id"""


async def mergeable(tx: Tx) -> list[list[UUID]]:
    """The groups that are to be merged by themselves, each with who stays first. None where the workspace does not want it."""
    if not (await queries.settings(tx)).automatic_merging:
        return []
    pairs = await tx.rows(AUTOMATIC)
    people = await grouping.profiles_of(tx, {id for pair in pairs for id in pair[:2]})
    dismissed = {(a, b) for a, b in await tx.rows(grouping.DISMISSED)}

    def forbids(a: UUID, b: UUID) -> bool:
        return (min(a, b), max(a, b)) in dismissed or (
            a in people and b in people and scoring.incompatible(people[a], people[b])
        )

    groups, _ = clustering.clusters(((a, b, score) for a, b, score in pairs), forbids)
    return [group[: MAX_DUPLICATES + 1] for group in await _elders_first(tx, groups)]


async def merge_by_itself(tx: Tx, group: Sequence[UUID]) -> bool:
    """Merges a group into its first; False where something stands in the way of that."""
    try:
        async with tx.savepoint():
            await merging.merge(tx, group[0], group[1:], by="Automatic merging")
    except Problem:
        return False
    return True


# --- settings ------------------------------------------------------------------------------------------------------------

# So that of two who change the same version one is told, the first who change anything too.
TURN: Final = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 52))"
SET: Final = """
    insert into duplicate_setting as s (workspace_id, automatic_merging, nightly_scan)
    values ($1, $2, $3)
        on conflict (workspace_id) do update
       set automatic_merging = excluded.automatic_merging, nightly_scan = excluded.nightly_scan, updated_at = now(),
           version = s.version + 1"""


async def change_settings(tx: Tx, wanted: SettingsChange, version: int | None = None) -> Settings:
    """Changes what is given. Where automatic merging is turned on, what waits for it is merged by a job. Raises Stale."""
    await tx.value(TURN)
    old = await queries.settings(tx)
    if version is not None and version != old.version:
        raise Stale(f"They are at version {old.version} now.")
    merges = old.automatic_merging if wanted.automatic_merging is UNSET else wanted.automatic_merging
    scans = old.nightly_scan if wanted.nightly_scan is UNSET else wanted.nightly_scan
    if (merges, scans) == (old.automatic_merging, old.nightly_scan):
        return old
    await tx.run(SET, merges, scans)
    if merges and not old.automatic_merging:
        await defer(tx, MERGE_JOB, singleton=MERGE_JOB)
    new = await queries.settings(tx)
    tx.changed("duplicates", tx.workspace_id, old, new, ("automatic_merging", "nightly_scan"))
    return new
