"""The online tier: who shares a real email or phone with somebody else becomes a pair at once.

Only keys match, so relay, masked and placeholder contacts do not, nor does what more than twenty customers hold.
"""

import asyncio
from collections.abc import AsyncGenerator, Container, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from itertools import combinations
from typing import Final
from uuid import UUID

import msgspec

from supover.customers.contacts import HUB_CUSTOMERS
from supover.customers.events import DuplicateSuspected
from supover.kit import ids, text
from supover.kit.db import Reader, Tx, by_column
from supover.kit.events import publish
from supover.kit.problems import worded

JOB: Final = "duplicates.notice"
AT_ONCE: Final = 500
"""New customers of so many in a transaction are looked at in it; more by a job."""

# In one question, as every order asks it. Key by key: of a table that is just being filled the planner knows nothing. Nobody reads
# the thousands that a shop's own email has: a few more rows than the holders of no hub may have tell that it is one.
HOLDERS: Final = """
    with own as materialized (
        select distinct i.kind, i.key from customer_identity i
         where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.kind <> 'channel' and i.key is not null
           and i.released_at is null and not i.is_hub)
    select n.kind, h.customer_ids, h.names
      from own n
     cross join lateral (
           select array_agg(t.customer_id) as customer_ids, array_agg(t.name) as names, bool_or(t.is_hub) as is_hub
             from (select i.customer_id, i.is_hub, c.name
                     from customer_identity i
                     join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
                    where i.workspace_id = $1 and i.kind = n.kind and i.kind <> 'channel' and i.key = n.key
                      and i.released_at is null
                    limit $3) as t) as h
     where cardinality(h.customer_ids) > 1 and not h.is_hub"""
KNOWN: Final = """
    select p.a_id, p.b_id from duplicate_pair p
      join unnest($2::uuid[], $3::uuid[]) as n (a_id, b_id) on n.a_id = p.a_id and n.b_id = p.b_id
     where p.workspace_id = $1"""
SCORES: Final = {"email": 17.0, "phone": 19.0}
"""Bits of an equal email or phone, until a scan knows how common everything else is."""
LOOKED_AT: Final = 3 * HUB_CUSTOMERS
"""Rows of one contact; a customer may have it in two spellings."""
EACH: Final = 4
"""So many who share a contact are paired each with each; of more, each with who has it longest, which joins them as well."""

Shared = tuple[str, Mapping[UUID, str | None]]
"""A kind of contact, and the names of all who have the same one."""


async def suspects(tx: Tx, customer_ids: Iterable[UUID]) -> list[DuplicateSuspected]:
    """Whom those customers share a real email or phone with, but for pairs that are known."""
    wanted = set(customer_ids)
    if not wanted:
        return []
    shared: list[Shared] = []
    for kind, holders, names in await tx.rows(HOLDERS, list(wanted), LOOKED_AT):
        found = dict(zip(holders, names, strict=True))
        if 2 <= len(found) <= HUB_CUSTOMERS and len(holders) < LOOKED_AT:
            shared.append((kind, found))
    pairs = suspicions(wanted, shared)
    if not pairs:
        return []
    known = set(await tx.rows(KNOWN, [a for a, _ in pairs], [b for _, b in pairs]))
    return [event for pair, event in pairs.items() if pair not in known]


async def notice(tx: Tx, customer_ids: Iterable[UUID]) -> None:
    """Suspects those customers who share a real email or phone with others. Publishes DuplicateSuspected."""
    await publish(tx, await suspects(tx, customer_ids))


def suspicions(wanted: Container[UUID], shared: Iterable[Shared]) -> dict[tuple[UUID, UUID], DuplicateSuspected]:
    """Whom the wanted are suspected to be of those who have the same contact."""
    found: dict[tuple[UUID, UUID], tuple[list[str], str | None, str | None]] = {}
    for kind, names in sorted(shared, key=lambda one: one[0]):
        for a, b in _pairs(sorted(names)):
            if a in wanted or b in wanted:
                found.setdefault((a, b), ([], names[a], names[b]))[0].append(kind)
    return {(a, b): _suspicion(a, b, *said) for (a, b), said in found.items()}


def _suspicion(a: UUID, b: UUID, kinds: Sequence[str], name_a: str | None, name_b: str | None) -> DuplicateSuspected:
    verdict = text.name_compatible(name_a or "", name_b or "")
    return DuplicateSuspected(
        customer_id=a,
        other_id=b,
        score=max(SCORES[kind] for kind in kinds),
        level=_LEVELS[verdict],
        reasons=[*(worded(f"same {kind}") for kind in dict.fromkeys(kinds)), _NAMES[verdict]],
        by=kinds[-1],
    )


def _pairs(holders: Sequence[UUID]) -> Iterable[tuple[UUID, UUID]]:
    return combinations(holders, 2) if len(holders) <= EACH else ((holders[0], other) for other in holders[1:])


_LEVELS: Final = {
    text.Compatibility.COMPATIBLE: "automatic",
    text.Compatibility.UNKNOWN: "suggested",
    text.Compatibility.INCOMPATIBLE: "review",
}
_NAMES: Final = {
    text.Compatibility.COMPATIBLE: worded("first names go together"),
    text.Compatibility.INCOMPATIBLE: worded("first names do not go together"),
    text.Compatibility.UNKNOWN: worded("the names do not say enough"),
}

# --- kept ----------------------------------------------------------------------------------------------------------------

# One that was dismissed stays dismissed; one that is open may come to a better level, and stays at the best.
SUGGEST: Final = """
    insert into duplicate_pair as p (workspace_id, id, a_id, b_id, score, level, reasons, is_told)
    select $1, n.id, n.a_id, n.b_id, n.score, n.level, string_to_array(n.reasons, chr(31)), n.is_told
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::text[], $7::text[], $8::boolean[])
           as n (id, a_id, b_id, score, level, reasons, is_told)
        on conflict (workspace_id, a_id, b_id) do update
       set score = excluded.score, level = excluded.level, reasons = excluded.reasons, is_told = p.is_told or excluded.is_told,
           updated_at = now()
     where p.status = 'open' and p.own_level is null
       and (excluded.level = 'automatic' and p.level <> 'automatic' or excluded.level = 'suggested' and p.level = 'review')"""
_ORDER: Final = {"automatic": 0, "suggested": 1, "review": 2}


async def suggest(tx: Tx, found: Sequence[DuplicateSuspected]) -> None:
    """Keeps each pair once; one that was dismissed stays dismissed."""
    best: dict[tuple[object, ...], DuplicateSuspected] = {}
    for e in found:
        if e.customer_id is not None:
            pair = tuple(sorted((e.customer_id, e.other_id)))
            if pair not in best or _ORDER[e.level] < _ORDER[best[pair].level]:
                best[pair] = e
    rows = [
        (ids.new(), *pair, Decimal(str(e.score)), e.level, chr(31).join(e.reasons), e.by == "channel")
        for pair, e in sorted(best.items())
    ]
    if rows:
        await tx.run(SUGGEST, *by_column(rows))


# --- many at once --------------------------------------------------------------------------------------------------------

DUE: Final = """
    insert into duplicate_due (workspace_id, first_id, last_id) values ($1, $2, $3)
        on conflict (workspace_id, first_id, last_id) do nothing"""
ALL_DUE: Final = "select d.first_id, d.last_id from duplicate_due d where d.workspace_id = $1 order by d.first_id"
DONE: Final = """
    delete from duplicate_due d
     using unnest($2::uuid[], $3::uuid[]) as n (first_id, last_id)
     where d.workspace_id = $1 and d.first_id = n.first_id and d.last_id = n.last_id"""
# Pairs as `suspicions` finds them, in one pass over who holds the contacts of those who are due.
PAIRS: Final = f"""
    with contacts as (
        select distinct i.kind, i.key
          from unnest($2::uuid[], $3::uuid[]) as d (first_id, last_id)
          join customer_identity i on i.customer_id between d.first_id and d.last_id
         where i.workspace_id = $1 and i.kind <> 'channel' and i.key is not null and i.released_at is null and not i.is_hub),
    shared as (
        select i.kind, array_agg(distinct i.customer_id) as customer_ids
          from customer_identity i
          join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
         where i.workspace_id = $1 and (i.kind, i.key) in (select n.kind, n.key from contacts n) and i.kind <> 'channel'
           and i.key is not null and i.released_at is null
         group by i.kind, i.key
        having count(*) > 1 and count(distinct i.customer_id) between 2 and {HUB_CUSTOMERS} and not bool_or(i.is_hub)),
    pairs as (
        select x.id as a_id, y.id as b_id, array_agg(distinct s.kind) as kinds
          from shared s
         cross join unnest(s.customer_ids) with ordinality as x (id, n)
         cross join unnest(s.customer_ids) with ordinality as y (id, n)
         where x.n < y.n and (x.n = 1 or cardinality(s.customer_ids) <= {EACH})
         group by x.id, y.id)
    select json_build_array(p.a_id, p.b_id, p.kinds, a.name, b.name)
      from pairs p
      join customer a on a.workspace_id = $1 and a.id = p.a_id
      join customer b on b.workspace_id = $1 and b.id = p.b_id
     where exists (select 1 from unnest($2::uuid[], $3::uuid[]) as d (first_id, last_id)
                    where p.a_id between d.first_id and d.last_id or p.b_id between d.first_id and d.last_id)"""
_pairs_told: Final = msgspec.json.Decoder(tuple[UUID, UUID, list[str], str | None, str | None])

Ranges = Sequence[Sequence[object]]
"""The first and the last ids of customers who are due."""


async def due(tx: Tx, customer_ids: Iterable[UUID]) -> None:
    """Notes down that somebody is to look at those customers, who were made one after the other."""
    found = sorted(customer_ids)
    await tx.run(DUE, found[0], found[-1])


async def all_due(db: Reader) -> Ranges:
    """Whom nobody has looked at yet: a column of first ids and one of last ids; none where nobody is due."""
    return by_column(await db.rows(ALL_DUE))


async def done(tx: Tx, ranges: Ranges) -> None:
    """They were looked at."""
    await tx.run(DONE, *ranges)


async def pairs_of(db: Reader, ranges: Ranges) -> AsyncGenerator[list[DuplicateSuspected]]:
    """Whom the customers who are due share a real email or phone with, thousands at a time."""
    async with aclosing(db.lines(PAIRS, *ranges)) as told:
        async for lines in told:
            yield await asyncio.to_thread(_suspected, lines)


def _suspected(lines: bytes) -> list[DuplicateSuspected]:
    return [_suspicion(*pair) for pair in _pairs_told.decode_lines(lines)]
