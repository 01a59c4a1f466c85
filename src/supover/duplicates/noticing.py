"""The online tier: who shares a real email or phone with somebody else becomes a pair at once.

Only keys match, so relay, masked and placeholder contacts do not, nor does what more than twenty customers hold.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from itertools import combinations
from typing import Final
from uuid import UUID

from supover.customers.contacts import HUB_CUSTOMERS
from supover.customers.events import DuplicateSuspected
from supover.kit import text
from supover.kit.db import Tx
from supover.kit.events import publish

JOB: Final = "duplicates.notice"
AT_ONCE: Final = 500
"""New customers of so many in a transaction are looked at in it; more by a job."""
BATCH: Final = 5_000

OWN: Final = """
    select distinct i.key from customer_identity i
     where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.kind <> 'channel' and i.key is not null
       and i.released_at is null and not i.is_hub"""
# Arrays instead of joins: of a table that is just being filled the planner knows nothing. One holder more than a hub may have
# tells that it is one, and so does anybody of whom that is known.
HOLDERS: Final = """
    select f.kind, f.key, f.customer_id, f.is_hub
      from (select i.kind, i.key, i.customer_id, i.is_hub,
                   row_number() over (partition by i.kind, i.key order by i.is_hub desc, i.id) as place
              from customer_identity i
             where i.workspace_id = $1 and i.kind <> 'channel' and i.key = any($2::text[]) and i.released_at is null) as f
     where f.place <= $3"""
NAMES: Final = """
    select c.id, c.name from customer c where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null"""
KNOWN: Final = """
    select p.a_id, p.b_id from duplicate_pair p
      join unnest($2::uuid[], $3::uuid[]) as n (a_id, b_id) on n.a_id = p.a_id and n.b_id = p.b_id
     where p.workspace_id = $1"""
SCORES: Final = {"email": 17.0, "phone": 19.0}
"""Bits of an equal email or phone, until a scan knows how common everything else is."""


async def notice(tx: Tx, customer_ids: Iterable[UUID]) -> None:
    """Suspects those customers who share a real email or phone with others. Publishes DuplicateSuspected."""
    wanted = set(customer_ids)
    keys = await tx.column(OWN, list(wanted)) if wanted else []
    if not keys:
        return
    holders: defaultdict[tuple[str, str], set[UUID]] = defaultdict(set)
    hubs = set[tuple[str, str]]()
    for kind, key, customer_id, is_hub in await tx.rows(HOLDERS, keys, HUB_CUSTOMERS + 1):
        holders[kind, key].add(customer_id)
        if is_hub:
            hubs.add((kind, key))
    shared = {
        handle: found for handle, found in holders.items() if handle not in hubs and 2 <= len(found) <= HUB_CUSTOMERS
    }
    if not shared:
        return
    names: dict[UUID, str | None] = dict(await tx.rows(NAMES, list(set[UUID]().union(*shared.values()))))  # pyright: ignore[reportArgumentType,reportAssignmentType]
    found = suspicions(wanted, shared, names)
    known = await tx.rows(KNOWN, [a for a, _ in found], [b for _, b in found]) if found else []
    await publish(tx, [event for pair, event in found.items() if pair not in known])


def suspicions(
    wanted: Container[UUID], shared: Mapping[tuple[str, str], Iterable[UUID]], names: Mapping[UUID, str | None]
) -> dict[tuple[UUID, UUID], DuplicateSuspected]:
    """Whom the wanted are suspected to be: the living, by name, who hold the same contact (kind, key)."""
    found: dict[tuple[UUID, UUID], DuplicateSuspected] = {}
    for (kind, _), holders in sorted(shared.items()):
        for a, b in combinations(sorted(id for id in holders if id in names), 2):
            if a not in wanted and b not in wanted:
                continue
            verdict = text.name_compatible(names[a] or "", names[b] or "")
            before = found.get((a, b))
            kinds = dict.fromkeys([*(before.reasons[:-1] if before else ()), f"same {kind}"])
            found[a, b] = DuplicateSuspected(
                customer_id=a,
                other_id=b,
                score=max(SCORES[kind], before.score if before else 0),
                level=_LEVELS[verdict],
                reasons=[*kinds, _NAMES[verdict]],
                by=kind,
            )
    return found


_LEVELS: Final = {
    text.Compatibility.COMPATIBLE: "automatic",
    text.Compatibility.UNKNOWN: "suggested",
    text.Compatibility.INCOMPATIBLE: "review",
}
_NAMES: Final = {
    text.Compatibility.COMPATIBLE: "first names go together",
    text.Compatibility.INCOMPATIBLE: "first names do not go together",
    text.Compatibility.UNKNOWN: "the names do not say enough",
}

RANGE: Final = """
    select c.id from customer c
     where c.workspace_id = $1 and c.id >= $2 and c.id <= $3 and c.deleted_at is null
     order by c.id limit $4"""


async def notice_range(tx: Tx, first: UUID, last: UUID) -> UUID | None:
    """Looks at some of those whose ids are in the range; from which one to go on, None at the end."""
    found = await tx.column(RANGE, first, last, BATCH)
    await notice(tx, found)
    return UUID(int=found[-1].int + 1) if len(found) == BATCH else None
