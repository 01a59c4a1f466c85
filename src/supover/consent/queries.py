"""Where customers stand, what they said, and whether they may be written to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from supover.consent import rules
from supover.consent.model import (
    CommunicationPreferences,
    ConsentChannel,
    ConsentEntry,
    ConsentTopic,
    MaySend,
    Preference,
    QuietHours,
)
from supover.customers import hashing
from supover.customers import queries as customers
from supover.kit import clock
from supover.kit.db import Reader
from supover.kit.proof import Difference
from supover.kit.sql import Page, Sort, Where
from supover.kit.text import Quality

# --- one customer --------------------------------------------------------------------------------------------------------

STANDING: Final = """
    select k.channel, k.topic, k.state, k.opt_in_level, k.source, nullif(k.at, timestamptz '1970-01-01 00:00:00+00'),
           k.policy_version,
           (select e.contact
              from consent_entry e
             where e.workspace_id = $1 and e.customer_id = $2 and e.channel = k.channel and e.topic = k.topic
               and e.at = k.at and e.state = k.state and e.contact_hash is not distinct from k.contact_hash
             order by e.fingerprint desc
             limit 1), k.version
      from consent k
     where k.workspace_id = $1 and k.customer_id = $2"""
SETTINGS: Final = """
    select p.language, p.preferred_channel, p.quiet_from, p.quiet_to, coalesce(p.quiet_timezone, w.timezone),
           coalesce(p.version, 0)
      from workspace w
      left join communication_preference p on p.workspace_id = $1 and p.customer_id = $2
     where w.workspace_id = $1"""


async def find(db: Reader, customer_id: UUID) -> CommunicationPreferences:
    """All preferences of a customer, each topic on each channel, asked or not."""
    said: dict[tuple[str, str], Sequence[Any]] = {(row[0], row[1]): row for row in await db.rows(STANDING, customer_id)}
    [(language, preferred, start, end, timezone, version)] = await db.rows(SETTINGS, customer_id)
    return CommunicationPreferences(
        customer_id=customer_id,
        preferences=[
            Preference(*said[channel, topic][:-1]) if (channel, topic) in said else Preference(channel, topic)
            for channel in rules.CHANNELS
            for topic in rules.TOPICS
        ],
        language=language,
        preferred_channel=preferred,
        quiet_hours=None if start is None else QuietHours(start, end, timezone),
        # Every one of these only grows.
        version=version + sum(row[-1] for row in said.values()),
    )


SORTS: Final = (Sort("at", "e.at", "e.id", datetime, descending_first=True),)
HISTORY: Final = """
    select e.id, e.customer_id, e.channel, e.topic, e.state, e.opt_in_level, e.source, e.at, e.received_at, e.proof,
           e.policy_version, e.contact, e.actor, e.origin
      from consent_entry e
     where {where}
     order by {order}
     limit {limit}"""
COUNT_HISTORY: Final = (
    "select count(*) from consent_entry e where e.workspace_id = $1 and e.customer_id = any($2::uuid[])"
)


async def history(db: Reader, customer_id: UUID, page: Page) -> tuple[Sequence[ConsentEntry], str | None]:
    """A page of the ledger of a customer, the newest first by when it was said, and the cursor of the next.

    What those said who were merged into it is part of it.
    """
    where = Where("e.workspace_id = $1")
    where.add("e.customer_id = any({}::uuid[])", await customers.one_person(db, customer_id))
    page.seek(where)
    sql = HISTORY.format(where=where.text(), order=page.order(), limit=page.rows())
    found = await db.all(ConsentEntry, sql, *where.values)
    if len(found) <= page.limit:
        return found, None
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.at, last.id)


async def count_history(db: Reader, customer_id: UUID) -> int:
    """How many entries the ledger has of a customer."""
    return await db.value(COUNT_HISTORY, await customers.one_person(db, customer_id))


# --- may somebody be written to ------------------------------------------------------------------------------------------

ASKED: Final = """
    select n.id, c.id is not null, c.merged_into_id is not null, c.deleted_at is not null, c.status = 'BLOCKED',
           c.email, c.phone, c.phone_e164, coalesce(k.state, 'NOT_SUBSCRIBED'),
           $3 = 'post' and exists (select 1 from address a
                                    where a.workspace_id = $1 and a.customer_id = n.id and a.line1 <> ''),
           p.quiet_from, p.quiet_to, coalesce(p.quiet_timezone, w.timezone), k.contact_hash
      from unnest($2::uuid[]) as n (id)
      join workspace w on w.workspace_id = $1
      left join customer c on c.workspace_id = $1 and c.id = n.id
      left join consent k on k.workspace_id = $1 and k.customer_id = n.id and k.channel = $3 and k.topic = $4
      left join communication_preference p on p.workspace_id = $1 and p.customer_id = n.id"""
SUPPRESSED: Final = """
    select s.contact_hash, s.reason
      from suppression s
     where s.workspace_id = $1 and s.contact_hash = any($2::bytea[]) and s.channel = $3 and s.is_active
       and (s.topic is null or s.topic = $4)"""


async def may_send(
    db: Reader, customer_id: UUID, channel: ConsentChannel, topic: ConsentTopic, at: datetime | None = None
) -> MaySend:
    """Whether a customer may be written to: the one question that whoever writes must ask, right before.

    What is known now decides; `at`, now unless told, is only looked up in the quiet hours. Raises ContactsSealed.
    """
    [found] = await may_send_many(db, [customer_id], channel, topic, at)
    return found


async def may_send_many(
    db: Reader,
    customer_ids: Sequence[UUID],
    channel: ConsentChannel,
    topic: ConsentTopic,
    at: datetime | None = None,
) -> list[MaySend]:
    """As `may_send` for each of many customers, in order, in three statements for any number."""
    moment = at or clock.now()
    hasher = await hashing.hasher(db)
    rows = {row[0]: row for row in await db.rows(ASKED, list(set(customer_ids)), channel, topic)}
    contacts = {id: rules.contact_of(channel, row[5], row[6], row[7]) for id, row in rows.items()}
    hashes = {id: hasher.of(c.key) for id, c in contacts.items() if c is not None and c.key is not None}
    suppressed: dict[bytes, list[str]] = {}
    if hashes:
        for hash, reason in await db.rows(SUPPRESSED, list(set(hashes.values())), channel, topic):
            suppressed.setdefault(hash, []).append(reason)
    found: list[MaySend] = []
    for id in customer_ids:
        _, is_there, is_merged, is_deleted, is_blocked, _, _, _, state, has_place, start, end, timezone, said_of = rows[
            id
        ]
        contact = contacts[id]
        known = rules.Known(
            is_there=is_there,
            is_merged=is_merged,
            is_deleted=is_deleted,
            is_blocked=bool(is_blocked),
            contact=has_place if channel == "post" else contact is not None,
            quality=Quality.REAL if contact is None else contact.quality,
            state=state,
            is_of_contact=said_of == hashes.get(id),
            suppressed=suppressed.get(hashes.get(id, b""), ()),
        )
        reasons = rules.against(known, topic)
        until = None
        if start is not None and topic != "transactional":
            until = rules.quiet_until(QuietHours(start, end, timezone), moment)
        if until is not None:
            reasons.append(rules.reason("quiet_hours"))
        found.append(MaySend(id, channel, topic, not reasons, reasons, until if len(reasons) == 1 else None))
    return found


# --- proof ---------------------------------------------------------------------------------------------------------------

# What the recount that writers run finds with `limit 1` from an index, found by comparing all entries with each other.
CHECK_CONSENT: Final = """
    with said as (
        select e.customer_id, e.channel, e.topic, e.state, e.opt_in_level, e.source, e.at, e.policy_version, e.contact_hash,
               e.fingerprint, case e.opt_in_level when 'UNKNOWN' then 1 when 'SINGLE_OPT_IN' then 2 else 3 end as claim,
               max(e.at) filter (where e.state <> 'SUBSCRIBED')
                         over (partition by e.customer_id, e.channel, e.topic) as broken_at
          from consent_entry e where e.workspace_id = $1),
    ranked as (
        select e.customer_id, e.channel, e.topic, e.state, e.source, e.at, e.policy_version, e.contact_hash,
               case e.state when 'SUBSCRIBED'
                    then (array['UNKNOWN', 'SINGLE_OPT_IN', 'CONFIRMED_OPT_IN'])[
                         max(e.claim) filter (where e.state = 'SUBSCRIBED')
                                      over (partition by e.customer_id, e.channel, e.topic, e.contact_hash,
                                                         (e.at > e.broken_at) is not false)]
                    else e.opt_in_level end as opt_in_level,
               rank() over (partition by e.customer_id, e.channel, e.topic
                            order by e.at desc,
                                     case e.state when 'REDACTED' then 1 when 'INVALID' then 2 when 'UNSUBSCRIBED' then 3
                                                  when 'PENDING' then 4 else 5 end,
                                     e.claim, e.fingerprint desc) as place
          from said e),
    kept as (
        select k.customer_id, k.channel, k.topic, k.state, k.opt_in_level, k.source, k.at, k.policy_version, k.contact_hash
          from consent k where k.workspace_id = $1)
    select coalesce(own.customer_id, kept.customer_id),
           coalesce(own.channel, kept.channel) || '/' || coalesce(own.topic, kept.topic),
           array[kept.state, kept.opt_in_level, kept.source, kept.at::text, kept.policy_version, encode(kept.contact_hash, 'hex')],
           array[own.state, own.opt_in_level, own.source, own.at::text, own.policy_version, encode(own.contact_hash, 'hex')]
      from (select r.customer_id, r.channel, r.topic, r.state, r.opt_in_level, r.source, r.at, r.policy_version, r.contact_hash
              from ranked r where r.place = 1) as own
      full join kept on kept.customer_id = own.customer_id and kept.channel = own.channel and kept.topic = own.topic
     where (own.state, own.opt_in_level, own.source, own.at, own.policy_version, own.contact_hash)
           is distinct from (kept.state, kept.opt_in_level, kept.source, kept.at, kept.policy_version, kept.contact_hash)
     limit 1000"""
CHECK_SUPPRESSIONS: Final = """
    with said as (
        select e.contact_hash, e.channel, e.topic, min(e.customer_id::text)::uuid as customer_id,
               max(e.at) filter (where e.state = 'UNSUBSCRIBED') as unsubscribed_at,
               max(e.at) filter (where e.state = 'SUBSCRIBED') as subscribed_at
          from consent_entry e
         where e.workspace_id = $1 and e.contact_hash is not null and e.topic <> 'transactional'
           and e.state in ('SUBSCRIBED', 'UNSUBSCRIBED')
         group by e.contact_hash, e.channel, e.topic),
    kept as (
        select s.contact_hash, s.channel, s.topic, s.at, s.lifted_at
          from suppression s where s.workspace_id = $1 and s.reason = 'unsubscribed')
    select said.customer_id, said.channel || '/' || said.topic, array[kept.at::text, kept.lifted_at::text],
           array[said.unsubscribed_at::text, said.subscribed_at::text]
      from said
      left join kept on kept.contact_hash = said.contact_hash and kept.channel = said.channel and kept.topic = said.topic
     where (said.unsubscribed_at is not null and (kept.at is null or kept.at < said.unsubscribed_at))
        or (kept.at is not null and said.subscribed_at is not null
            and (kept.lifted_at is null or kept.lifted_at < said.subscribed_at))
     limit 1000"""
COUNT_ENTRIES: Final = "select count(*) from consent_entry e where e.workspace_id = $1"


async def reconcile(db: Reader) -> tuple[int, list[Difference]]:
    """Recounts from the ledger, by other SQL, where everybody stands and whose contacts are suppressed for it.

    How many entries were checked, and what differs: the values that are stored and those that they should be.
    """
    found = [Difference("consent", *row) for row in await db.rows(CHECK_CONSENT)]
    found += [Difference("suppression", *row) for row in await db.rows(CHECK_SUPPRESSIONS)]
    return await db.value(COUNT_ENTRIES), found
