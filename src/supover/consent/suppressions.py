"""Contacts that are not written to, whoever has them: listed, added, lifted, and recounted from what people said."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.consent import rules
from supover.consent.events import SuppressionAdded, SuppressionLifted
from supover.consent.model import (
    ConsentChannel,
    ConsentTopic,
    NewSuppression,
    Suppression,
    SuppressionNotFound,
    SuppressionReason,
)
from supover.customers import hashing
from supover.customers.hashing import Hasher
from supover.kit import clock, ids, text
from supover.kit.db import Reader, Tx, by_column
from supover.kit.events import publish
from supover.kit.problems import Invalid
from supover.kit.sql import Page, Sort, Where

NUMBERS: Final[tuple[ConsentChannel, ...]] = ("sms", "whatsapp", "phone")

# --- read ----------------------------------------------------------------------------------------------------------------

_COLUMNS: Final = "s.id, s.contact, s.channel, s.topic, s.reason, s.at, s.actor, s.created_at"
FIND: Final = f"""
    select {_COLUMNS}
      from suppression s
     where s.workspace_id = $1 and s.id = $2 and s.is_active"""


async def find(db: Reader, id: UUID) -> Suppression:
    """One suppression that holds. Raises SuppressionNotFound."""
    return await db.one(Suppression, FIND, id, missing=SuppressionNotFound)


SORTS: Final = (Sort("createdAt", "s.created_at", "s.id", datetime, descending_first=True),)
LIST: Final = f"""
    select {_COLUMNS}
      from suppression s
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = "select count(*) from suppression s where {where}"


async def search(
    db: Reader,
    page: Page,
    *,
    contact: str | None = None,
    channel: ConsentChannel | None = None,
    topic: ConsentTopic | None = None,
    reason: SuppressionReason | None = None,
    count: bool = False,
) -> tuple[Sequence[Suppression], str | None, int | None]:
    """A page of what holds, the newest first, the cursor of the next, and how many there are where asked.

    A contact is found in any spelling, forgotten or not. Raises Invalid for what can be none.
    """
    where = Where("s.workspace_id = $1", "s.is_active")
    if contact is not None:
        where.add("s.contact_hash = {}", (await hashing.hasher(db)).of(_key(contact, "contact")[1]))
    if channel is not None:
        where.add("s.channel = {}", channel)
    if topic is not None:
        where.add("s.topic = {}", topic)
    if reason is not None:
        where.add("s.reason = {}", reason)
    total = await db.value(COUNT.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    sql = LIST.format(where=where.text(), order=page.order(), limit=page.rows())
    found = await db.all(Suppression, sql, *where.values)
    if len(found) <= page.limit:
        return found, None, total
    last = found[page.limit - 1]
    return found[: page.limit], page.cursor(last.created_at, last.id), total


OF_CONTACTS: Final = f"""
    select {_COLUMNS}
      from suppression s
     where s.workspace_id = $1 and s.contact_hash = any($2::bytea[]) and s.is_active
     order by s.at desc, s.id
     limit 20"""


async def of_contacts(db: Reader, email: str | None, phone: str | None, country: str | None) -> list[Suppression]:
    """What holds of an email and a phone number, the latest first; a number without its country's code is read as of `country`."""
    reached = (rules.contact_of("email", email, None), rules.contact_of("sms", None, phone, None, country))
    keys = [one.key for one in reached if one is not None and one.key is not None]
    if not keys:
        return []
    hasher = await hashing.hasher(db)
    return await db.all(Suppression, OF_CONTACTS, [hasher.of(key) for key in keys])


def _key(contact: str, pointer: str) -> tuple[str, str]:
    """A contact as it is shown, and what its spellings have in common. Raises Invalid."""
    shown = text.clean(contact)
    is_email = "@" in shown
    found = rules.contact_of("email", shown, None) if is_email else rules.contact_of("phone", None, shown)
    if found is None or found.key is None or (is_email and text.email_shown(shown) is None):
        raise Invalid.at(
            pointer, "contact", "must be an email, or a phone number with its country's code: +44 20 7946 0000"
        )
    return found.shown, found.key


# --- added and lifted ----------------------------------------------------------------------------------------------------

ADD: Final = """
    insert into suppression as s (workspace_id, id, contact_hash, contact, channel, topic, reason, at, actor)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (workspace_id, contact_hash, channel, reason, topic)
        do update set at = greatest(excluded.at, s.lifted_at + interval '1 microsecond'), contact = excluded.contact, actor = excluded.actor
     where not s.is_active
    returning s.id"""
BY_CONTACT: Final = f"""
    select {_COLUMNS}
      from suppression s
     where s.workspace_id = $1 and s.contact_hash = $2 and s.channel = $3 and s.reason = $4
       and s.topic is not distinct from $5"""


async def create(tx: Tx, new: NewSuppression) -> tuple[Suppression, bool]:
    """Suppresses a contact; True when it was not before. Raises Invalid, ContactsSealed."""
    shown, key = _key(new.contact, "/contact")
    may_be: tuple[ConsentChannel, ...] = ("email",) if "@" in shown else NUMBERS
    if new.channel is None and len(may_be) > 1:
        raise Invalid.at("/channel", "required", f"is required for a phone: {', '.join(may_be)}")
    channel = rules.channel_of(new.channel or may_be[0], "/channel", may_be)
    reason = rules.suppression_reason_of(new.reason, "/reason")
    topic: ConsentTopic | None = None
    if reason == "unsubscribed":
        topic = rules.topic_of(new.topic or "marketing", "/topic")
    elif new.topic is not None:
        raise Invalid.at("/topic", "unknown", f"is of unsubscribed contacts only: {reason} is of all topics")
    hash = (await hashing.writer(tx)).of(key)
    await hold(tx, [hash])
    added = await tx.value(ADD, ids.new(), hash, shown, channel, topic, reason, clock.now(), tx.actor)
    found = await tx.one(Suppression, BY_CONTACT, hash, channel, reason, topic, missing=SuppressionNotFound)
    if added is not None:
        tx.changed("suppression", found.id, None, found, ("channel", "reason", "topic"))
        await publish(tx, [SuppressionAdded(suppression_id=found.id, channel=channel, reason=reason, topic=topic)])
    return found, added is not None


LIFT: Final = """
    update suppression set lifted_at = greatest($3, at + interval '1 microsecond')
     where workspace_id = $1 and id = $2 and is_active"""


async def lift(tx: Tx, id: UUID) -> None:
    """Takes a suppression back; what its person said stays. Raises SuppressionNotFound."""
    old = await find(tx, id)
    if not await tx.run(LIFT, id, clock.now()):
        raise SuppressionNotFound
    tx.changed("suppression", id, old, None, ("channel", "reason", "topic"))
    await publish(tx, [_lifted(old.id, old.channel, old.reason, old.topic)])


def _lifted(id: UUID, channel: str, reason: str, topic: str | None) -> SuppressionLifted:
    return SuppressionLifted(suppression_id=id, channel=channel, reason=reason, topic=topic)


# --- recounted -----------------------------------------------------------------------------------------------------------

# A contact has one of 256 locks of its workspace: who writes for thousands does not fill the table of locks.
HOLD: Final = """
    select pg_advisory_xact_lock(hashtextextended($1::uuid::text || n.place, 151))
      from unnest($2::text[]) as n (place)"""


async def hold(tx: Tx, hashes: Iterable[bytes]) -> None:
    """Makes others who would say something about the same contacts wait until this transaction ends."""
    if places := sorted({hash[:1].hex() for hash in hashes}):
        await tx.rows(HOLD, places)


class Told(msgspec.Struct, frozen=True):
    """Somebody unsubscribed by a contact, or opted in."""

    contact: str
    hash: bytes
    channel: ConsentChannel
    topic: ConsentTopic


ACTIVE: Final = """
    select s.contact_hash, s.channel, s.topic
      from suppression s
     where s.workspace_id = $1 and s.contact_hash = any($2::bytea[]) and s.is_active"""


async def active(db: Reader, hashes: Sequence[bytes]) -> set[tuple[bytes, str, str | None]]:
    """What of these contacts is suppressed: hash, channel and topic, which is None for all topics."""
    return {(row[0], row[1], row[2]) for row in await db.rows(ACTIVE, list(hashes))}


RECOUNT: Final = """
    insert into suppression as s (workspace_id, id, contact_hash, contact, channel, topic, reason, at, lifted_at, actor)
    select $1, n.id, n.hash, n.contact, n.channel, n.topic, 'unsubscribed', said.at, said.lifted_at, $2
      from unnest($3::uuid[], $4::bytea[], $5::text[], $6::text[], $7::text[]) as n (id, hash, contact, channel, topic)
     cross join lateral (
           select greatest((select max(e.at) from consent_entry e
                             where e.workspace_id = $1 and e.contact_hash = n.hash and e.channel = n.channel
                               and e.topic = n.topic and e.state = 'UNSUBSCRIBED'),
                           (select max(k.at) from suppression k
                             where k.workspace_id = $1 and k.contact_hash = n.hash and k.channel = n.channel
                               and k.reason = 'unsubscribed' and k.topic = n.topic)) as at,
                  (select max(e.at) from consent_entry e
                    where e.workspace_id = $1 and e.contact_hash = n.hash and e.channel = n.channel
                      and e.topic = n.topic and e.state = 'SUBSCRIBED') as lifted_at) as said
     where said.at is not null
        on conflict (workspace_id, contact_hash, channel, reason, topic)
        do update set at = excluded.at, lifted_at = greatest(s.lifted_at, excluded.lifted_at),
                      contact = coalesce(s.contact, excluded.contact)
     where (s.at, s.lifted_at) is distinct from (excluded.at, greatest(s.lifted_at, excluded.lifted_at))
    returning s.id, s.contact_hash, s.channel, s.topic, s.is_active"""


async def recount(tx: Tx, told: Sequence[Told]) -> None:
    """What people said of these contacts, in the ledger, decides whether they are suppressed: the latest does.

    One statement for any number. Publishes SuppressionAdded and SuppressionLifted.
    """
    places = {(t.hash, t.channel, t.topic): t.contact for t in told}
    if not places:
        return
    await hold(tx, (hash for hash, _, _ in places))
    before = await active(tx, list({hash for hash, _, _ in places}))
    rows: list[tuple[Any, ...]] = [
        (id, hash, contact, channel, topic)
        for id, ((hash, channel, topic), contact) in zip(ids.many(len(places)), sorted(places.items()), strict=True)
    ]
    events: list[SuppressionAdded | SuppressionLifted] = []
    for id, hash, channel, topic, is_active in await tx.rows(RECOUNT, tx.actor, *by_column(rows)):
        was_active = (hash, channel, topic) in before
        if is_active and not was_active:
            events.append(SuppressionAdded(suppression_id=id, channel=channel, reason="unsubscribed", topic=topic))
        elif was_active and not is_active:
            events.append(_lifted(id, channel, "unsubscribed", topic))
    await publish(tx, events)


def hash_of(hasher: Hasher, contact: rules.Reached | None) -> bytes | None:
    """A contact's hash; None where there is nothing to compare."""
    return None if contact is None or contact.key is None else hasher.of(contact.key)
