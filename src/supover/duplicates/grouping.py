"""Pairs joined to groups, and what is left of each pair's level in its group."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.duplicates import clustering, scoring
from supover.duplicates.profiles import Profile
from supover.duplicates.scoring import Frequencies
from supover.kit import ids
from supover.kit.db import Reader, Tx, json_bytes

IMPLIED: Final = "both are taken for the same others"

Pair = tuple[UUID, UUID]

# Who may be joined, and who is joined now, always in one order: of two unions that exclude each other the first is made.
JOINING: Final = """
    select p.a_id, p.b_id, p.score::float8, p.own_level, p.level, p.cluster_id from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open' and p.own_level is not null
       and (p.own_level in ('automatic', 'suggested') or p.cluster_id is not null)
     order by p.a_id, p.b_id"""
JOINING_AMONG: Final = """
    select p.a_id, p.b_id, p.score::float8, p.own_level, p.level, p.cluster_id from duplicate_pair p
     where p.workspace_id = $1 and p.a_id = any($2::uuid[]) and p.b_id = any($2::uuid[]) and p.status = 'open'
       and p.own_level is not null
     order by p.a_id, p.b_id"""
DISMISSED: Final = """
    select p.a_id, p.b_id from duplicate_pair p where p.workspace_id = $1 and p.status = 'dismissed'"""
DISMISSED_AMONG: Final = """
    select p.a_id, p.b_id from duplicate_pair p
     where p.workspace_id = $1 and p.a_id = any($2::uuid[]) and p.b_id = any($2::uuid[]) and p.status = 'dismissed'"""
PROFILES: Final = """
    select d.profile from duplicate_profile d where d.workspace_id = $1 and d.customer_id = any($2::uuid[])"""
PART: Final = """
    update duplicate_pair p
       set level = 'review', cluster_id = null, updated_at = now()
      from unnest($2::uuid[], $3::uuid[]) as n (a_id, b_id)
     where p.workspace_id = $1 and p.a_id = n.a_id and p.b_id = n.b_id"""
FORGET_IMPLIED: Final = """
    delete from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open' and p.own_level = 'implied' and p.cluster_id is null"""
FORGET_IMPLIED_AMONG: Final = """
    delete from duplicate_pair p
     where p.workspace_id = $1 and p.a_id = any($2::uuid[]) and p.b_id = any($2::uuid[]) and p.status = 'open'
       and p.own_level = 'implied' and p.cluster_id is null"""
GROUP: Final = """
    update duplicate_pair p
       set level = n.level, cluster_id = n.cluster_id, updated_at = now()
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) as n (a_id, b_id, cluster_id, level)
     where p.workspace_id = $1 and p.a_id = n.a_id and p.b_id = n.b_id and p.status = 'open'"""
IMPLY: Final = """
    insert into duplicate_pair as p (workspace_id, id, a_id, b_id, score, level, own_level, reasons, evidence, cluster_id, scan_id)
    select $1, n.id, n.a_id, n.b_id, n.score, n.level, 'implied', string_to_array(n.reasons, chr(31)), n.evidence, n.cluster_id, $2
      from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::float8[], $7::text[], $8::text[], $9::jsonb[], $10::uuid[])
           as n (id, a_id, b_id, score, level, reasons, evidence, cluster_id)
     order by n.a_id, n.b_id
        on conflict (workspace_id, a_id, b_id) do update
       set level = excluded.level, cluster_id = excluded.cluster_id, updated_at = now()
     where p.status = 'open'"""

_decode: Final = msgspec.json.Decoder(Profile)


class Joined(msgspec.Struct, frozen=True):
    """What is to be written: pairs that are in no group any more, and those in one with its id and their level there."""

    parted: Sequence[Pair]
    joined: Sequence[tuple[UUID, UUID, UUID, str]]


def joined(
    rows: Sequence[tuple[Any, ...]], dismissed: frozenset[Pair] | set[Pair], known: dict[UUID, Profile]
) -> Joined:
    """The groups of pairs as JOINING tells them, and how they differ from what is written."""

    def forbids(a: UUID, b: UUID) -> bool:
        if (min(a, b), max(a, b)) in dismissed:
            return True
        one, other = known.get(a), known.get(b)
        return one is None or other is None or scoring.incompatible(one, other)

    alone, strong = _strong(rows)
    groups, _ = clustering.clusters(((a, b, score) for a, b, score, *_ in strong), forbids)
    exact, _ = clustering.clusters(((a, b, score) for a, b, score, own, *_ in strong if own == "automatic"), forbids)
    exact_of = {id: n for n, group in enumerate(exact) for id in group}
    wanted: dict[Pair, tuple[UUID, str]] = {(a, b): (a, own) for a, b, _, own, *_ in alone}
    for group in groups:
        cluster_id = min(group)
        for a, b in combinations(sorted(group), 2):
            is_exact = a in exact_of and exact_of[a] == exact_of.get(b)
            wanted[a, b] = (cluster_id, "automatic" if is_exact else "suggested")
    parted: list[Pair] = []
    for a, b, _, _, level, cluster_id in rows:
        if (a, b) not in wanted:
            if level != "review" or cluster_id is not None:
                parted.append((a, b))
        elif wanted[a, b] == (cluster_id, level):
            del wanted[a, b]
    return Joined(parted, [(a, b, cluster_id, level) for (a, b), (cluster_id, level) in wanted.items()])


def _strong(rows: Sequence[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Pairs whose two are in no other, which most are, and those that join to larger groups."""
    strong = [row for row in rows if row[3] in ("automatic", "suggested")]
    times = Counter(id for row in strong for id in row[:2])
    alone = [row for row in strong if times[row[0]] == times[row[1]] == 1]
    return alone, [row for row in strong if not times[row[0]] == times[row[1]] == 1]


async def regroup(tx: Tx, scan_id: UUID | None, among: Sequence[UUID] | None = None) -> None:
    """Joins all open pairs anew, or those among some customers."""
    if among is None:
        rows, dismissed = await tx.rows(JOINING), await tx.rows(DISMISSED)
    else:
        rows, dismissed = await tx.rows(JOINING_AMONG, list(among)), await tx.rows(DISMISSED_AMONG, list(among))
    _, strong = _strong(rows)
    people = await profiles_of(tx, {id for row in strong for id in row[:2]})
    found = joined(rows, {(a, b) for a, b in dismissed}, people)
    if found.parted:
        await tx.run(PART, [a for a, _ in found.parted], [b for _, b in found.parted])
    if among is None:
        await tx.run(FORGET_IMPLIED)
    else:
        await tx.run(FORGET_IMPLIED_AMONG, list(among))
    scored = {(row[0], row[1]) for row in rows}
    await tx.many(GROUP, [pair for pair in found.joined if pair[:2] in scored])
    if implied := [pair for pair in found.joined if pair[:2] not in scored]:
        known = await frequencies(tx)
        await tx.many(IMPLY, [_implied(pair, people, known) for pair in implied], scan_id)


def _implied(pair: tuple[UUID, UUID, UUID, str], people: dict[UUID, Profile], known: Frequencies) -> tuple[Any, ...]:
    a_id, b_id, cluster_id, level = pair
    # Who is in a group was not forbidden there, so both profiles are known.
    score = scoring.score(people[a_id], people[b_id], known)
    reasons = "\x1f".join([IMPLIED, *scoring.words(score)])
    return ids.new(), a_id, b_id, scoring.kept(score.bits), level, reasons, json_bytes(score.reasons), cluster_id


TERMS: Final = "select t.term, t.customers from duplicate_term t where t.workspace_id = $1"
HOW_MANY: Final = "select count(*) from duplicate_profile p where p.workspace_id = $1"


async def frequencies(db: Reader) -> Frequencies:
    """How common names, places and dates are among the workspace's customers."""
    return Frequencies(await db.value(HOW_MANY), dict(await db.rows(TERMS)))  # pyright: ignore[reportArgumentType]


async def profiles_of(db: Reader, customer_ids: set[UUID]) -> dict[UUID, Profile]:
    """The profiles of these customers, of those who have one."""
    found = (_decode.decode(text) for text in await db.column(PROFILES, list(customer_ids)))
    return {one.id: one for one in found}
