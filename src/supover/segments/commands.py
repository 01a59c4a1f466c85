"""What can be done with segments, one function a verb."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from supover.customers import filtering
from supover.kit import clock, filters, ids
from supover.kit.db import Tx
from supover.kit.events import publish
from supover.kit.jobs import defer
from supover.kit.problems import Invalid, Stale
from supover.segments import marks, membership, queries, rules
from supover.segments.events import SegmentChanged, SegmentCreated, SegmentDeleted
from supover.segments.model import (
    NewSegment,
    NotPicked,
    OnlyByFilter,
    Picked,
    PicksAnswer,
    Segment,
    SegmentChange,
    SegmentNameTaken,
    SegmentNotFound,
    SegmentReplacement,
    TooManySegments,
)

MOST_SEGMENTS: Final = 500
_FIELDS: Final = ("name", "description", "filter")

# --- create --------------------------------------------------------------------------------------------------------------

NAMED: Final = "select id from segment where workspace_id = $1 and lower(name) = lower($2) and id <> $3"
HOW_MANY: Final = "select count(*) from segment where workspace_id = $1"
ADD: Final = """
    insert into segment (workspace_id, id, kind, name, description, filter, is_relative, complete, is_silent, wanted_at,
           evaluated_at, evaluated_on, created_by, created_by_name)
    values ($1, $2, $3, $4, $5, $6, $7, $8, not $8, case when not $8 then now() end, $9, $10, $11, $12)"""


async def create(tx: Tx, new: NewSegment) -> Segment:
    """A new segment; one by filter is complete once everybody was looked at. Raises Invalid, FilterInvalid,
    SegmentNameTaken, TooManySegments."""
    name, description = rules.name(new.name), rules.description(new.description)
    scope = await filtering.scope(tx)
    text, is_relative = await _filter(scope, new.kind, new.filter)
    if await tx.value(HOW_MANY) >= MOST_SEGMENTS:
        raise TooManySegments(f"There can be {MOST_SEGMENTS}.")
    id = ids.new()
    await _name_must_be_free(tx, id, name)
    is_manual = new.kind == "manual"
    at = (clock.now(), scope.today) if is_manual else (None, None)
    await tx.run(ADD, id, new.kind, name, description, text, is_relative, is_manual, *at, tx.actor, tx.actor_name)
    if not is_manual:
        await marks.evaluate_later(tx)
    made = await queries.find(tx, id, scope)
    tx.changed("segment", id, None, made, ("kind", *_FIELDS))
    await publish(tx, [SegmentCreated(segment_id=id, name=name, segment_kind=new.kind)])
    return made


async def _filter(scope: filters.Scope, kind: str, given: str | None) -> tuple[str | None, bool]:
    """The filter as it is kept, and whether it is relative."""
    if kind == "manual":
        if given is not None:
            raise Invalid.at("/filter", "unexpected", "a manual segment has none: its customers are picked")
        return None, False
    if given is None:
        raise Invalid.at("/filter", "required", "is required")
    return given, (await filtering.parsed(given, scope, "/filter")).is_relative


async def _name_must_be_free(tx: Tx, id: UUID, name: str) -> None:
    holder = await tx.value(NAMED, name, id)
    if holder is not None:
        raise SegmentNameTaken(f"Segment {holder} has it.", extra={"segmentId": str(holder)})


# --- change --------------------------------------------------------------------------------------------------------------

LOCK: Final = "select version from segment where workspace_id = $1 and id = $2 for no key update"
# Until everybody was looked at by another filter the members of the one before stay.
CHANGE: Final = """
    update segment
       set name = $3, description = $4, filter = $5,
           is_relative = case when $6 then $7 else is_relative end,
           complete = complete and not $6, is_silent = is_silent or $6,
           error = case when $6 then null else error end,
           wanted_at = case when $6 then now() else wanted_at end,
           updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""


async def change(tx: Tx, id: UUID, wanted: SegmentChange, version: int | None = None) -> Segment:
    """Changes what is given. Raises SegmentNotFound, Stale, Invalid, FilterInvalid, SegmentNameTaken."""
    scope = await filtering.scope(tx)
    old = await _locked(tx, id, version, scope)
    return await _store(
        tx,
        scope,
        old,
        old.name if wanted.name is UNSET else wanted.name,
        old.description if wanted.description is UNSET else wanted.description,
        old.filter if wanted.filter is UNSET else wanted.filter,
    )


async def replace(tx: Tx, id: UUID, wanted: SegmentReplacement, version: int | None = None) -> Segment:
    """Puts a segment in the place of the one that is there; its kind stays. Raises as `change` does."""
    scope = await filtering.scope(tx)
    old = await _locked(tx, id, version, scope)
    return await _store(tx, scope, old, wanted.name, wanted.description, wanted.filter)


async def _store(
    tx: Tx, scope: filters.Scope, old: Segment, name: str, description: str, filter: str | None
) -> Segment:
    name, description = rules.name(name), rules.description(description)
    is_other = filter != old.filter
    text, is_relative = await _filter(scope, old.kind, filter) if is_other or filter is None else (filter, False)
    if (name, description, text) == (old.name, old.description, old.filter):
        return old
    if name != old.name:
        await _name_must_be_free(tx, old.id, name)
    await tx.run(CHANGE, old.id, name, description, text, is_other, is_relative)
    if is_other:
        await marks.evaluate_later(tx)
    new = await queries.find(tx, old.id, scope)
    tx.changed("segment", old.id, old, new, _FIELDS)
    await publish(tx, [SegmentChanged(segment_id=old.id, name=name)])
    return new


async def _locked(tx: Tx, id: UUID, version: int | None, scope: filters.Scope | None = None) -> Segment:
    found = await tx.value(LOCK, id)
    if found is None:
        raise SegmentNotFound
    if version is not None and version != found:
        raise Stale(f"It is at version {found} now.")
    return await queries.find(tx, id, scope)


WANT: Final = "update segment set wanted_at = now() where workspace_id = $1 and id = $2"


async def refresh(tx: Tx, id: UUID) -> Segment:
    """Has everybody looked at for this segment by a job. Raises SegmentNotFound."""
    if not await tx.run(WANT, id):
        raise SegmentNotFound
    await marks.evaluate_later(tx)
    return await queries.find(tx, id)


# --- delete --------------------------------------------------------------------------------------------------------------

DELETE: Final = "delete from segment where workspace_id = $1 and id = $2"


async def delete(tx: Tx, id: UUID, version: int | None = None) -> None:
    """Deletes a segment; who was in it is forgotten by a job. Raises SegmentNotFound, Stale."""
    from supover.segments import jobs

    old = await _locked(tx, id, version)
    await tx.run(DELETE, id)
    await defer(tx, jobs.FORGET, {"segment_id": id})
    tx.changed("segment", id, old, None, ("kind", *_FIELDS))
    await publish(tx, [SegmentDeleted(segment_id=id, name=old.name)])


FORGET_MEMBERS: Final = """
    delete from segment_member
     where workspace_id = $1 and segment_id = $2
       and customer_id in (select s.customer_id from segment_member s
                            where s.workspace_id = $1 and s.segment_id = $2 order by s.customer_id limit $3)"""
FORGET_PICKS: Final = "delete from segment_pick where workspace_id = $1 and segment_id = $2"
FORGET_DAYS: Final = "delete from segment_day where workspace_id = $1 and segment_id = $2"


async def forget(tx: Tx, id: UUID, most: int) -> int:
    """Forgets members of a deleted segment, so many at a time, and at the end all else of it; returns how many members."""
    gone = await tx.run(FORGET_MEMBERS, id, most)
    if gone < most:
        await tx.run(FORGET_PICKS, id)
        await tx.run(FORGET_DAYS, id)
    return gone


# --- built in ------------------------------------------------------------------------------------------------------------


async def restore_built_in(tx: Tx, keys: Sequence[str] | None = None) -> list[Segment]:
    """Brings the built-in segments back that are missing, only those of these keys where given. Raises Invalid."""
    known = {b.key: b for b in rules.BUILT_IN}
    for n, key in enumerate(keys or ()):
        if key not in known:
            raise Invalid.at(f"/keys/{n}", "choice", f"must be one of {', '.join(known)}")
    if keys is not None and not keys:
        return []
    added = await marks.add_built_in(
        tx, rules.BUILT_IN if keys is None else [known[key] for key in dict.fromkeys(keys)]
    )
    if not added:
        return []
    await marks.evaluate_later(tx)
    found = await queries.find_these(tx, added)
    await publish(tx, [SegmentCreated(segment_id=one.id, name=one.name, segment_kind=one.kind) for one in found])
    for one in found:
        tx.changed("segment", one.id, None, one, ("kind", *_FIELDS))
    return found


# --- groups --------------------------------------------------------------------------------------------------------------

# Held until the end: who is deleted in the meantime leaves a mark that is worked off after this.
LIVING: Final = """
    select c.id from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null
     order by c.id
       for share"""
MERGED: Final = """
    select c.id, c.merged_into_id from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.merged_into_id is not null"""
HOLD_GROUP: Final = "select kind from segment where workspace_id = $1 and id = $2 for key share"
PICK: Final = """
    insert into segment_pick (workspace_id, segment_id, customer_id, picked_by)
    select $1, $2, n.customer_id, $4 from unnest($3::uuid[]) as n (customer_id)
        on conflict (workspace_id, segment_id, customer_id) do nothing"""
ENTER: Final = """
    insert into segment_member (workspace_id, segment_id, customer_id, entered_at)
    select $1, $2, n.customer_id, $4::timestamptz from unnest($3::uuid[]) as n (customer_id)
        on conflict (workspace_id, segment_id, customer_id) do nothing
    returning customer_id"""


async def pick(tx: Tx, id: UUID, wanted: Sequence[UUID]) -> PicksAnswer:
    """Puts customers into a group; who is in it already stays. Raises SegmentNotFound, OnlyByFilter."""
    await _group(tx, id)
    asked = list(dict.fromkeys(wanted))
    living = set(await tx.column(LIVING, asked))
    merged = dict(await tx.rows(MERGED, [one for one in asked if one not in living]))
    # In one order, so that two who pick the same at once wait for each other and no longer.
    good = sorted(living)
    await tx.run(PICK, id, good, tx.actor)
    new = set(await tx.column(ENTER, id, good, clock.now()))
    await marks.mark(tx, good)
    await membership.changed_by_hand(tx, id, [one for one in good if one in new], ())
    tx.changed("segment", id, _Members(), _Members(added=[str(one) for one in asked if one in new]), ("added",))

    def row(one: UUID) -> Picked:
        if one in merged:
            return Picked(one, "failed", f"Customer {merged[one]} has everything of it now.")
        if one not in living:
            return Picked(one, "failed", "No living customer has this id.")
        return Picked(one, "added" if one in new else "unchanged")

    rows = [row(one) for one in asked]
    by = {outcome: sum(r.outcome == outcome for r in rows) for outcome in ("added", "unchanged", "failed")}
    return PicksAnswer(by["added"], by["unchanged"], by["failed"], rows, await queries.find(tx, id))


class _Members(msgspec.Struct, frozen=True):
    """For the audit log."""

    added: Sequence[str] = []
    removed: Sequence[str] = []


UNPICK: Final = "delete from segment_pick where workspace_id = $1 and segment_id = $2 and customer_id = $3"
LEAVE: Final = """
    delete from segment_member where workspace_id = $1 and segment_id = $2 and customer_id = $3 returning customer_id"""


async def unpick(tx: Tx, id: UUID, customer_id: UUID) -> None:
    """Takes a customer out of a group. Raises SegmentNotFound, OnlyByFilter, NotPicked."""
    await _group(tx, id)
    if not await tx.run(UNPICK, id, customer_id):
        raise NotPicked
    left = await tx.column(LEAVE, id, customer_id)
    await marks.mark(tx, [customer_id])
    await membership.changed_by_hand(tx, id, (), left)
    tx.changed("segment", id, _Members(), _Members(removed=[str(customer_id)]), ("removed",))


async def _group(tx: Tx, id: UUID) -> None:
    kind = await tx.value(HOLD_GROUP, id)
    if kind is None:
        raise SegmentNotFound
    if kind != "manual":
        raise OnlyByFilter
