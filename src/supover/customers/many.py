"""Many profiles changed at once: what the commands do to one customer, in a handful of statements for thousands.

Whoever changes many locks them (`hold`), decides by pure rules what they are to be, asks what stands in the way (`clashes`)
and writes the rest (`store`). Everybody takes contacts before customers, and customers in the order of their ids.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from supover.channels.model import Contact
from supover.customers import contacts, custom_field_index, custom_field_rules, custom_fields, rules
from supover.customers.custom_field_model import CustomFieldValueTaken, Definitions
from supover.customers.events import (
    CustomerBlocked,
    CustomerChanged,
    CustomerDeleted,
    CustomerRestored,
    CustomerTagged,
    CustomerUnblocked,
    CustomerUntagged,
)
from supover.customers.model import Profile, Status
from supover.kit import clock, ids
from supover.kit.db import Tx, by_column, json_bytes
from supover.kit.events import Event, publish

CONTACTS: Final = frozenset({"source", "external_id", "email", "phone", "country"})
"""What of a profile leads from orders to it."""
CUSTOM: Final = "customFields."
"""Begins the names of single custom fields."""
_LIGHT: Final = frozenset({"status", "tags", "custom_fields"})
"""What is changed without the text that a search goes through being made anew."""


class Held(msgspec.Struct, frozen=True):
    """A customer that nobody else changes until this transaction ends; also what it is to be."""

    id: UUID
    profile: Profile
    status_before_block: Status | None = None
    deleted_at: datetime | None = None
    merged_into_id: UUID | None = None


class Clash(msgspec.Struct, frozen=True):
    """Why a customer cannot be what it is to be: `holder` has the value of `field`, by its name in JSON."""

    field: str
    code: str
    message: str
    holder: UUID


Pair = tuple[Held, Held]
"""What a customer is, and what it is to be."""

# --- held ----------------------------------------------------------------------------------------------------------------

HOLD: Final = """
    select c.id, c.status_before_block, c.deleted_at, c.merged_into_id, c.source, c.external_id, c.email, c.name, c.phone,
           c.phone_e164, c.date_of_birth, c.gender, c.status, c.country, c.tags, c.custom_fields
      from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[])
     order by c.id
       for no key update"""


async def hold(tx: Tx, customer_ids: Sequence[UUID], *, contacts_too: bool) -> list[Held]:
    """These customers as they are, deleted and merged ones too, by id; held until the transaction ends.

    `contacts_too`: nobody is mapped by any contact meanwhile, for those who free contacts or take them.
    """
    if contacts_too:
        await tx.value(contacts.LOCK_ALL)
    return [
        Held(id, Profile(*profile), before, deleted_at, merged_into_id)
        for id, before, deleted_at, merged_into_id, *profile in await tx.rows(HOLD, customer_ids)
    ]


# --- what stands in the way ----------------------------------------------------------------------------------------------

EMAIL_HOLDERS: Final = """
    select n.id, 'email', lower(n.email), o.id
      from unnest($2::uuid[], $3::text[]) as n (id, email)
      left join customer o
           on o.workspace_id = $1 and lower(o.email) = lower(n.email) and o.deleted_at is null and o.id <> n.id
     order by n.id"""
CHANNEL_HOLDERS: Final = """
    select n.id, 'external id', n.source || chr(31) || n.value, o.customer_id
      from unnest($2::uuid[], $3::text[], $4::text[]) as n (id, source, value)
      left join customer_identity o
           on o.workspace_id = $1 and o.kind = 'channel' and o.released_at is null and o.source = n.source and o.shop = ''
              and o.value = n.value and o.customer_id <> n.id
     order by n.id"""
RESTORED_CHANNELS: Final = """
    select i.customer_id, 'external id', i.source || chr(31) || i.shop || chr(31) || i.value, o.customer_id
      from customer_identity i
      left join customer_identity o
           on o.workspace_id = $1 and o.kind = 'channel' and o.released_at is null and o.source = i.source and o.shop = i.shop
              and o.value = i.value and o.customer_id <> i.customer_id
     where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.kind = 'channel' and i.released_at is not null
     order by i.customer_id"""
VALUE_HOLDERS: Final = """
    select n.id, f.key, k.text_key, v.customer_id
      from unnest($2::uuid[], $3::text[], $4::jsonb[]) as n (id, key, value)
      join custom_field f on f.workspace_id = $1 and f.key = n.key and f.is_unique
     cross join lateral (select ext.custom_key(n.value, f.type, f.choices)) as k (text_key)
      left join custom_field_value v
           on v.workspace_id = $1 and v.index_id = f.index_id and v.text_key = k.text_key and v.customer_id <> n.id
     where k.text_key is not null
     order by n.id"""


async def clashes(tx: Tx, pairs: Iterable[Pair], definitions: Definitions) -> dict[UUID, list[Clash]]:
    """Who cannot be what they are to be, because somebody else, or one before them of these, has an email, a channel's id or
    the value of a unique custom field. Nothing where there is none of that to ask."""
    found: dict[UUID, list[Clash]] = {}
    emails: list[tuple[UUID, str]] = []
    channels: list[tuple[UUID, str, str]] = []
    restored: list[UUID] = []
    values: list[tuple[UUID, str, bytes]] = []
    unique = {d.key for d in definitions.by_key.values() if d.is_unique}
    for old, new in pairs:
        if new.deleted_at is not None:
            continue
        was, now = old.profile, new.profile
        is_back = old.deleted_at is not None
        if now.email is not None and (is_back or now.email.lower() != (was.email or "").lower()):
            emails.append((new.id, now.email))
        if now.external_id is not None and (now.source, now.external_id) != (was.source, was.external_id):
            channels.append((new.id, now.source, now.external_id))
        if is_back:
            restored.append(new.id)
        if unique:
            keys = now.custom_fields if is_back else custom_field_rules.changed(was.custom_fields, now.custom_fields)
            values += [
                (new.id, key, json_bytes(now.custom_fields[key]))
                for key in keys
                if key in unique and key in now.custom_fields
            ]

    def refuse(rows: Iterable[Sequence[Any]], field: str, code: str) -> None:
        first: dict[tuple[Any, ...], UUID] = {}
        for id, what, value, other in rows:
            holder = other or first.setdefault((what, value), id)
            if holder != id:
                name = f"{field}{what}" if field == CUSTOM else field
                shown = definitions.by_key[what].label if field == CUSTOM else what
                found.setdefault(id, []).append(Clash(name, code, f"Customer {holder} has this {shown} now.", holder))

    if emails:
        refuse(await tx.rows(EMAIL_HOLDERS, *by_column(emails)), "email", "email-taken")
    if channels:
        refuse(await tx.rows(CHANNEL_HOLDERS, *by_column(channels)), "externalId", "external-id-taken")
    if restored:
        refuse(await tx.rows(RESTORED_CHANNELS, restored), "externalId", "external-id-taken")
    if values:
        refuse(await tx.rows(VALUE_HOLDERS, *by_column(values)), CUSTOM, "custom-field-value-taken")
    return found


# --- stored --------------------------------------------------------------------------------------------------------------

# Nothing that the text for searches is made of: the database would make it anew.
CHANGE_LIGHT: Final = """
    update customer c
       set status = n.status, status_before_block = n.status_before_block,
           tags = coalesce(string_to_array(n.tags, chr(31)), '{}'),
           custom_fields = case when n.custom_fields is null then c.custom_fields else n.custom_fields end,
           deleted_at = n.deleted_at, updated_at = now(), version = c.version + 1
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[])
           as n (id, status, status_before_block, tags, custom_fields, deleted_at)
     where c.workspace_id = $1 and c.id = n.id"""
CHANGE: Final = """
    update customer c
       set source = n.source, external_id = n.external_id, email = n.email, name = n.name, phone = n.phone,
           phone_e164 = n.phone_e164, date_of_birth = n.date_of_birth, gender = n.gender, country = n.country,
           status = n.status, status_before_block = n.status_before_block,
           tags = coalesce(string_to_array(n.tags, chr(31)), '{}'),
           custom_fields = case when n.custom_fields is null then c.custom_fields else n.custom_fields end,
           deleted_at = n.deleted_at, updated_at = now(), version = c.version + 1
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::text[], $9::text[],
                  $10::text[], $11::text[], $12::text[], $13::text[], $14::date[], $15::text[], $16::text[])
           as n (id, status, status_before_block, tags, custom_fields, deleted_at, source, external_id,
                 email, name, phone, phone_e164, date_of_birth, gender, country)
     where c.workspace_id = $1 and c.id = n.id"""


async def store(tx: Tx, pairs: Sequence[Pair], definitions: Definitions, *, later: list[Event] | None = None) -> None:
    """Keeps those who are to be another than they are, whom nothing stands in the way of, and tells what changed.

    Publishes what an edit by a person publishes; of those who are and stay deleted nothing. Whoever has more to tell first gives
    `later`, and publishes what is in there then. Raises one of `kit.db.RACES` where somebody took an email or a unique value a
    moment ago: tried again, `clashes` sees it.
    """
    now = clock.now()
    facts: list[Event] = []
    light: list[tuple[object, ...]] = []
    whole: list[tuple[object, ...]] = []
    moved: list[Pair] = []
    gone: list[UUID] = []
    back: list[UUID] = []
    indexed: dict[UUID, None] = {}
    for old, new in pairs:
        fields = changed_fields(old, new)
        if not fields:
            continue
        row = (
            new.id,
            new.profile.status,
            new.status_before_block,
            chr(31).join(new.profile.tags) if new.profile.tags else None,
            json_bytes(new.profile.custom_fields) if "custom_fields" in fields else None,
            new.deleted_at,
        )
        if fields <= _LIGHT | {"status_before_block", "deleted_at"}:
            light.append(row)
        else:
            p = new.profile
            whole.append(
                (
                    *row,
                    p.source,
                    p.external_id,
                    p.email,
                    p.name,
                    p.phone,
                    p.phone_e164,
                    p.date_of_birth,
                    p.gender,
                    p.country,
                )
            )
        if fields & CONTACTS:
            moved.append((old, new))
        if "custom_fields" in fields or "deleted_at" in fields:
            indexed[new.id] = None
        if old.deleted_at is None and new.deleted_at is not None:
            gone.append(new.id)
        elif old.deleted_at is not None and new.deleted_at is None:
            back.append(new.id)
        facts += _facts(old, new, now)
    await tx.many(CHANGE_LIGHT, light)
    await tx.many(CHANGE, whole)
    if gone:
        await contacts.release(tx, gone)
    if back:
        await tx.run(RECLAIM, back)
    if moved:
        await _keep_contacts(tx, moved)
    if indexed and definitions.has_index:
        try:
            await custom_field_index.keep(tx, definitions, list(indexed))
        except CustomFieldValueTaken as taken:
            raise asyncpg.SerializationError("somebody took a unique value a moment ago") from taken
    if later is None:
        await publish(tx, facts)
    else:
        later += facts


def changed_fields(old: Held, new: Held) -> set[str]:
    """The names of what differs, as they are in SQL; a new E.164 form is no change of its own."""
    if old is new:
        return set()
    fields = {field for field in rules.FIELDS if not _same(field, old.profile, new.profile)}
    if old.status_before_block != new.status_before_block:
        fields.add("status_before_block")
    if old.deleted_at != new.deleted_at:
        fields.add("deleted_at")
    if old.profile.phone_e164 != new.profile.phone_e164:
        fields.add("phone")
    return fields


def _same(field: str, old: Profile, new: Profile) -> bool:
    was, now = getattr(old, field), getattr(new, field)
    if was is now:
        return True
    if field == "custom_fields":
        return not custom_field_rules.changed(was, now)
    return list(was) == list(now) if field == "tags" else was == now


def _facts(old: Held, new: Held, at: datetime) -> list[Event]:
    """What the house is told, as when a person edits a customer."""
    id = new.id
    if old.deleted_at is not None and new.deleted_at is not None:
        return []
    facts: list[Event] = []
    if old.deleted_at is not None:
        facts.append(CustomerRestored(customer_id=id, at=at))
    facts += facts_of(id, old.profile, new.profile, at)
    if new.deleted_at is not None:
        facts.append(CustomerDeleted(customer_id=id, at=at))
    return facts


def facts_of(id: UUID, was: Profile, now: Profile, at: datetime) -> list[Event]:
    """What the house is told of a profile that became another."""
    facts: list[Event] = []
    if changes := rules.changes(was, now):
        facts.append(CustomerChanged(customer_id=id, at=at, changes=changes))
    if was.status != now.status and "BLOCKED" in (was.status, now.status):
        facts.append((CustomerBlocked if now.status == "BLOCKED" else CustomerUnblocked)(customer_id=id, at=at))
    if "tags" in changes:
        if gained := rules.without(now.tags, was.tags):
            facts.append(CustomerTagged(customer_id=id, at=at, tags=gained))
        if lost := rules.without(was.tags, now.tags):
            facts.append(CustomerUntagged(customer_id=id, at=at, tags=lost))
    return facts


# --- contacts ------------------------------------------------------------------------------------------------------------

RECLAIM: Final = """
    update customer_identity set released_at = null
     where workspace_id = $1 and customer_id = any($2::uuid[]) and released_at is not null"""
DROP_STALE: Final = """
    delete from customer_identity i
     where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.matched_by = 'profile'
       and not exists (select 1
                         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
                              as n (customer_id, kind, source, shop, value)
                        where n.customer_id = i.customer_id and n.kind = i.kind and n.source = i.source and n.shop = i.shop
                          and n.value = i.value)"""
KEEP: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by, released_at)
    select $1, n.id, n.customer_id, n.kind, n.source, n.shop, n.value, n.key, n.quality, 'profile', n.released_at
      from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::timestamptz[])
           as n (id, customer_id, kind, source, shop, value, key, quality, released_at)
        on conflict (workspace_id, customer_id, kind, source, shop, value)
        do update set released_at = excluded.released_at, key = excluded.key, quality = excluded.quality"""


async def _keep_contacts(tx: Tx, moved: Sequence[Pair]) -> None:
    """As `contacts.keep` for profiles, of which those who are deleted keep theirs released."""
    rows: list[tuple[Any, ...]] = []
    for _, new in moved:
        p = new.profile
        told = Contact(source=p.source, external_id=p.external_id, email=p.email, phone=p.phone, country=p.country)
        rows += [(new.id, new.deleted_at, i) for i in contacts.identities_of(told)]
    await tx.run(
        DROP_STALE,
        [new.id for _, new in moved],
        [id for id, _, _ in rows],
        [i.kind for _, _, i in rows],
        [i.source for _, _, i in rows],
        [i.shop for _, _, i in rows],
        [i.value for _, _, i in rows],
    )
    await tx.many(
        KEEP,
        [
            (new_id, id, i.kind, i.source, i.shop, i.value, i.key, i.quality, released_at)
            for new_id, (id, released_at, i) in zip(ids.many(len(rows)), rows, strict=True)
        ],
    )


async def known_definitions(tx: Tx) -> Definitions:
    """The custom fields that are declared, as `clashes` and `store` want them."""
    return await custom_fields.definitions(tx)
