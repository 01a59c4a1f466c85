"""A scan: profiles of who is new or changed, who shares a key with whom, what speaks for each pair, and the groups.

Each step is a transaction of its own or a stream, and may be done again: a scan that was broken off begins anew, and finds
most of its profiles made. Nothing is held in memory but a chunk of customers, a block of pairs, and the pairs that join.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.duplicates import blocking, grouping, profiles, scoring
from supover.duplicates.profiles import Profile
from supover.duplicates.scoring import Frequencies
from supover.kit import ids
from supover.kit.db import Database, Reader, Tx, json_bytes

CHUNK: Final = 20_000
"""Customers whose profiles are made in one transaction."""
COMPARED_AT_ONCE: Final = 5_000
"""Pairs that are compared at a time, and written in one transaction."""

Opened = Callable[[], AbstractAsyncContextManager[Tx]]

UNHURRIED: Final = """
    select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
           set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '128MB', true)
     where $1::uuid = (select current_workspace())"""


class Cancelled(Exception):
    """Somebody asked the scan to stop."""


class Counts(msgspec.Struct):
    """How far a scan is."""

    customers: int = 0
    changed: int = 0
    compared: int = 0


# --- profiles ------------------------------------------------------------------------------------------------------------

BOUND: Final = """
    select c.id, count(*) over () from (
        select c.id from customer c where c.workspace_id = $1 and c.id > $2 and c.deleted_at is null order by c.id limit $3) as c
     order by c.id desc limit 1"""
# Of ids that came after the last analysis the planner expects a handful, and would go through all contacts for each customer.
BY_HASHING: Final = "select set_config('enable_nestloop', 'off', true) where $1::uuid = (select current_workspace())"
# By ranges of ids: customers of one file stand beside each other, and so do their contacts and addresses.
CHANGED: Final = """
    with contacts as (
        select i.customer_id,
               string_agg(i.key, chr(31) order by i.key) filter (where i.kind = 'email' and i.key is not null) as emails,
               string_agg(i.key, chr(31) order by i.key) filter (where i.kind = 'phone' and i.key is not null) as phones,
               string_agg(i.value, chr(31) order by i.value) filter (where i.kind = 'phone' and i.quality = 'masked') as masked
          from customer_identity i
         where i.workspace_id = $1 and i.customer_id > $2 and i.customer_id <= $3 and i.kind <> 'channel'
           and i.released_at is null and not i.is_hub
         group by i.customer_id),
    places as (
        select a.customer_id,
               string_agg(concat(a.line1, chr(31), a.line2, chr(31), a.city, chr(31), a.postal_code, chr(31), a.country), chr(30)
                          order by a.is_default desc, a.updated_at desc, a.id) as places
          from address a
         where a.workspace_id = $1 and a.customer_id > $2 and a.customer_id <= $3
         group by a.customer_id)
    select c.id, c.name, n.emails, n.phones, n.masked, p.places, c.date_of_birth, h.source_hash
      from customer c
      left join contacts n on n.customer_id = c.id
      left join places p on p.customer_id = c.id
     cross join lateral (
           select hashtextextended(concat_ws(chr(29), coalesce(c.name, ''), coalesce(n.emails, ''), coalesce(n.phones, ''),
                                             coalesce(n.masked, ''), coalesce(p.places, ''), c.date_of_birth), 2) as source_hash) as h
      left join duplicate_profile d on d.workspace_id = $1 and d.customer_id > $2 and d.customer_id <= $3 and d.customer_id = c.id
     where c.workspace_id = $1 and c.id > $2 and c.id <= $3 and c.deleted_at is null
       and (d.source_hash is distinct from h.source_hash or ($4 and d.scan_id <> $5))"""
# Odd are the hashes of what people of one household do not share as such.
KEEP: Final = """
    insert into duplicate_profile as d (workspace_id, customer_id, source_hash, profile, terms, blocks, scan_id)
    select $1, n.customer_id, n.source_hash, n.profile, string_to_array(n.terms, chr(31)),
           array(select hashtextextended(b.key, 0) & -2 | (ascii(b.key) < ascii('a'))::integer
                   from unnest(string_to_array(n.blocks, chr(31))) as b (key)), $2
      from unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[])
           as n (customer_id, source_hash, profile, terms, blocks)
        on conflict (workspace_id, customer_id) do update
       set source_hash = excluded.source_hash, profile = excluded.profile, terms = excluded.terms, blocks = excluded.blocks,
           scan_id = excluded.scan_id"""
FORGET: Final = """
    delete from duplicate_profile d
     where d.workspace_id = $1
       and not exists (select 1 from customer c where c.workspace_id = $1 and c.id = d.customer_id and c.deleted_at is null)"""
FIRST: Final = UUID(int=0)


def made(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, int, str, str, str]]:
    """What is kept of customers as CHANGED tells of them, one by one."""
    encode = msgspec.json.Encoder().encode
    kept: list[tuple[str, int, str, str, str]] = []
    for id, name, emails, phones, masked, places, born, source_hash in rows:
        day = None if born is None else date.fromisoformat(born)
        contacts = _split(emails), _split(phones), _split(masked)
        found = profiles.profile(UUID(id), name, *contacts, _places(places), day)
        kept.append(
            (
                id,
                source_hash,
                encode(found).decode(),
                "\x1f".join(scoring.terms(found)),
                "\x1f".join(blocking.keys(found)),
            )
        )
    return kept


def _split(joined: str | None) -> Sequence[str]:
    return joined.split("\x1f") if joined else ()


def _places(joined: str | None) -> Sequence[Sequence[str]]:
    return [one.split("\x1f") for one in joined.split("\x1e")[: profiles.MOST_PLACES]] if joined else ()


async def profile_all(
    database: Database, workspace_id: UUID, opened: Opened, scan_id: UUID, *, full: bool, told: Callable[[Counts], bool]
) -> Counts:
    """Brings the profiles of all customers up to date, and forgets those of who is gone. Raises Cancelled."""
    # Only who scans needs frames.
    from supover.duplicates import profile_columns

    counts = Counts()
    after = FIRST
    reading = asyncio.create_task(_read(database, workspace_id, after, scan_id, full=full))
    writing: asyncio.Task[None] | None = None
    try:
        while (read := await reading) is not None:
            after, number, told_of = read
            reading = asyncio.create_task(_read(database, workspace_id, after, scan_id, full=full))
            kept, changed = await asyncio.to_thread(profile_columns.made, told_of, made)
            if writing is not None:
                await writing
            counts.customers += number
            counts.changed += changed
            writing = asyncio.create_task(_keep(opened, scan_id, kept))
            if told(counts):
                raise Cancelled
        if writing is not None:
            await writing
        async with opened() as tx:
            await tx.value(UNHURRIED)
            await tx.run(FORGET)
    finally:
        for task in (reading, writing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
    return counts


async def _read(
    database: Database, workspace_id: UUID, after: UUID, scan_id: UUID, *, full: bool
) -> tuple[UUID, int, bytes] | None:
    """The next chunk: its last id, how many customers it has, and as CSV those of them whose profiles are to be made."""
    async with database.snapshot(workspace_id) as db:
        await db.value(UNHURRIED)
        bound = await db.rows(BOUND, after, CHUNK)
        if not bound:
            return None
        last, number = bound[0]
        await db.value(BY_HASHING)
        async with aclosing(db.copy_out(CHANGED, after, last, full, scan_id)) as blocks:
            return last, number, b"".join([block async for block in blocks])


async def _keep(opened: Opened, scan_id: UUID, kept: bytes) -> None:
    if kept:
        async with opened() as tx:
            await tx.value(UNHURRIED)
            await tx.load(KEEP, kept, scan_id)


# --- how common something is -----------------------------------------------------------------------------------------------

FORGET_TERMS: Final = "delete from duplicate_term where workspace_id = $1"
COUNT_TERMS: Final = """
    insert into duplicate_term (workspace_id, term, customers)
    select $1, t.term, count(*)::integer
      from (select unnest(p.terms) as term from duplicate_profile p where p.workspace_id = $1) as t
     group by t.term having count(*) > 2"""


LEARN: Final = "select learn_duplicates() from (select $1::uuid) as w"


async def count_terms(tx: Tx) -> None:
    """Counts anew how many customers have which value."""
    await tx.value(UNHURRIED)
    await tx.run(FORGET_TERMS)
    await tx.run(COUNT_TERMS)
    await tx.value(LEARN)


async def frequencies(database: Database, workspace_id: UUID, opened: Opened, *, anew: bool) -> Frequencies:
    """How common everything is, counted anew where so many have changed."""
    if anew:
        async with opened() as tx:
            await count_terms(tx)
    async with database.snapshot(workspace_id) as db:
        return await grouping.frequencies(db)


# --- who is compared -------------------------------------------------------------------------------------------------------

# Of the name as the profile begins with it, the first; but not where there are middle names.
KEYS: Final = """
    select p.customer_id || ',' || array_to_string(p.blocks, ' ') || ',' ||
           case when split_part(p.profile, '"', 5) = ',[],' then split_part(p.profile, '"', 4) else '' end
      from duplicate_profile p where p.workspace_id = $1 order by p.customer_id"""
# A key that more than twenty share is none. How many keys are shared the planner cannot know: `is true` keeps it from joining
# them by nested loops.
PAIRS_OF_CHANGED: Final = f"""
    with changed as (
        select p.customer_id, p.blocks from duplicate_profile p where p.workspace_id = $1 and p.scan_id = any($2::uuid[])),
    wanted as (
        select b.key from changed c, unnest(c.blocks) as b (key)),
    blocks as (
        select array_agg(p.customer_id) as members
          from duplicate_profile p, unnest(p.blocks) as b (key)
         where p.workspace_id = $1 and (b.key in (select w.key from wanted w)) is true
         group by b.key having count(*) between 2 and {blocking.MOST_IN_A_BLOCK})
    select distinct least(x.id, y.id) as a_id, greatest(x.id, y.id) as b_id
      from blocks b, unnest(b.members) as x (id), unnest(b.members) as y (id)
     where x.id <> y.id and (x.id in (select c.customer_id from changed c)) is true
     order by a_id, b_id"""
# Both profiles in one line of JSON, as the database has them.
PROFILES: Final = """
    select '[' || a.profile || ',' || b.profile || ']'
      from unnest($2::uuid[], $3::uuid[]) as n (a_id, b_id)
      join duplicate_profile a on a.workspace_id = $1 and a.customer_id = n.a_id
      join duplicate_profile b on b.workspace_id = $1 and b.customer_id = n.b_id"""

Pairs = tuple[Sequence[UUID | str], Sequence[UUID | str]]
"""The ids of the ones, and of the others."""


async def shared(db: Reader) -> AsyncGenerator[Pairs]:
    """All who share a key, thousands at a time; each pair once."""
    # Only who compares everybody needs frames.
    from supover.duplicates.sharing import Sharing

    found = Sharing()
    adding: asyncio.Task[None] | None = None
    async with aclosing(db.lines(KEYS)) as told:
        async for lines in told:
            # Added while the next are read.
            if adding is not None:
                await adding
            adding = asyncio.create_task(asyncio.to_thread(found.add, lines))
    if adding is not None:
        await adding
    await asyncio.to_thread(found.pair)
    for n in range(0, found.number, COMPARED_AT_ONCE):
        yield found.pairs(n, COMPARED_AT_ONCE)


async def shared_with_changed(db: Reader, scan_ids: Sequence[UUID]) -> AsyncGenerator[Pairs]:
    """As `shared`, but only those of whom one is new or another than before, as these scans found."""
    found = await db.rows(PAIRS_OF_CHANGED, list(scan_ids))
    for n in range(0, len(found), COMPARED_AT_ONCE):
        a, b = zip(*found[n : n + COMPARED_AT_ONCE], strict=True)
        yield a, b


_two: Final = msgspec.json.Decoder(tuple[Profile, Profile])

FOUND: Final = """
    insert into duplicate_pair as p (workspace_id, id, a_id, b_id, score, level, own_level, reasons, evidence, scan_id)
    select $1, n.id, n.a_id, n.b_id, n.score, n.level, n.level, string_to_array(n.reasons, chr(31)), n.evidence, $2
      from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::float8[], $7::text[], $8::text[], $9::jsonb[])
           as n (id, a_id, b_id, score, level, reasons, evidence)
     order by n.a_id, n.b_id
        on conflict (workspace_id, a_id, b_id) do update
       set score = excluded.score, own_level = excluded.own_level, reasons = excluded.reasons, evidence = excluded.evidence,
           scan_id = excluded.scan_id, level = case when p.cluster_id is null then excluded.level else p.level end,
           updated_at = now()
     where p.status = 'open'"""


async def compare(
    database: Database,
    workspace_id: UUID,
    opened: Opened,
    scan_id: UUID,
    waiting: Sequence[UUID],
    counting: asyncio.Task[Frequencies],
    counts: Counts,
    told: Callable[[Counts], bool],
) -> None:
    """Scores who shares a key, all of them or those whom the scans `waiting` found changed, and keeps what speaks for one
    person. Raises Cancelled."""
    async with database.snapshot(workspace_id) as db:
        await db.value(UNHURRIED)
        writing: asyncio.Task[None] | None = None
        scoring: asyncio.Task[tuple[list[tuple[Any, ...]], int]] | None = None

        async def keep() -> None:
            nonlocal writing, scoring
            if scoring is None:
                return
            found, compared = await scoring
            if writing is not None:
                await writing
            writing, scoring = asyncio.create_task(_write(opened, scan_id, found)), None
            counts.compared += compared
            if told(counts):
                raise Cancelled

        try:
            async with aclosing(shared_with_changed(db, waiting) if waiting else shared(db)) as pairs:
                async for a_ids, b_ids in pairs:
                    both = await db.column(PROFILES, a_ids, b_ids)
                    await keep()
                    scoring = asyncio.create_task(asyncio.to_thread(_scored, both, await counting))
            await keep()
            if writing is not None:
                await writing
        finally:
            for task in (scoring, writing):
                if task is not None and not task.done():
                    task.cancel()
                    await asyncio.wait([task])


async def _write(opened: Opened, scan_id: UUID, found: Sequence[tuple[Any, ...]]) -> None:
    if found:
        async with opened() as tx:
            await tx.many(FOUND, found, scan_id)


def _scored(lines: Sequence[str], known: Frequencies) -> tuple[list[tuple[Any, ...]], int]:
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        a, b = _two.decode(line)
        found = scoring.score(a, b, known)
        level = found.level
        if level is not None:
            rows.append(row(a.id, b.id, found, level))
    return rows, len(lines)


def row(a_id: UUID, b_id: UUID, found: scoring.Score, level: str) -> tuple[Any, ...]:
    """A scored pair as FOUND takes it."""
    return (
        ids.new(),
        a_id,
        b_id,
        scoring.kept(found.bits),
        level,
        "\x1f".join(scoring.words(found)),
        json_bytes(found.reasons),
    )


# --- the whole -------------------------------------------------------------------------------------------------------------

# Those that only others say are taken away with their group.
GONE: Final = """
    delete from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open' and p.scan_id is distinct from $2 and not p.is_told
       and p.own_level is distinct from 'implied'
       and (p.scan_id is not null or p.created_at < $4)
       and ($3::uuid[] is null
            or exists (select 1 from duplicate_profile d
                        where d.workspace_id = $1 and d.customer_id in (p.a_id, p.b_id) and d.scan_id = any($3::uuid[])))"""
# Deleted ones come back with the customer; who was merged or erased does not.
GONE_WITH_CUSTOMER: Final = """
    delete from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open'
       and not exists (select 1 from customer c where c.workspace_id = $1 and c.id = p.a_id and c.deleted_at is null)
        or p.workspace_id = $1 and p.status = 'open'
       and not exists (select 1 from customer c where c.workspace_id = $1 and c.id = p.b_id and c.deleted_at is null)"""


async def settle(tx: Tx, scan_id: UUID, waiting: Sequence[UUID] | None, started_at: datetime) -> None:
    """Takes away open pairs that this scan, which compared these customers, does not find any more; joins the others."""
    await tx.value(UNHURRIED)
    await tx.run(GONE, scan_id, waiting, started_at)
    await tx.run(GONE_WITH_CUSTOMER)
    await grouping.regroup(tx, scan_id)


ALONE: Final = """
    select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 51)),
           set_config('idle_in_transaction_session_timeout', '0', true)"""


@asynccontextmanager
async def alone(database: Database, workspace_id: UUID) -> AsyncGenerator[bool]:
    """Whether no other scan of the workspace runs; none begins as long as this lasts."""
    async with database.tx(workspace_id) as tx:
        yield await tx.value(ALONE)


FEW: Final = 0.1
"""Of all customers so many may change before it is counted anew how common everything is."""
MANY: Final = 0.3
"""Where more of all customers changed, everybody is compared: it takes no longer."""


class Run(msgspec.Struct, frozen=True):
    """What a scan is to do; `waiting` are the scans before it whose customers were not compared, and itself."""

    id: UUID
    is_full: bool
    started_at: datetime
    waiting: Sequence[UUID]


async def run(
    database: Database, workspace_id: UUID, opened: Opened, scan: Run, told: Callable[[str, Counts], bool]
) -> Counts:
    """Searches a workspace for duplicates. `told` hears the phase and how far it is, and answers whether to stop.

    Raises Cancelled; what was found until then stays.
    """
    counts = await profile_all(
        database, workspace_id, opened, scan.id, full=scan.is_full, told=lambda counts: told("profiles", counts)
    )
    is_full = scan.is_full or counts.changed > MANY * counts.customers
    told("frequencies", counts)
    # The database counts while the keys are joined here.
    anew = scan.is_full or counts.changed > FEW * counts.customers
    counting = asyncio.create_task(frequencies(database, workspace_id, opened, anew=anew))
    waiting = () if is_full else scan.waiting
    try:
        await compare(
            database, workspace_id, opened, scan.id, waiting, counting, counts, lambda counts: told("comparing", counts)
        )
        await counting
    finally:
        counting.cancel()
        await asyncio.wait([counting])
    told("grouping", counts)
    async with opened() as tx:
        await settle(tx, scan.id, None if is_full else scan.waiting, scan.started_at)
    return counts
