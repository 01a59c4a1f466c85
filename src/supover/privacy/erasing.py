"""Erasing people: everything that the map says, in all tables, in one transaction; their orders' sums stay.

What it is found by goes with it, so the order matters: first what the person said no to from now on, then texts in which the
person may stand, then their own rows, at last the profile. Only keyed hashes of their contacts are left.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.addresses import rules as places
from supover.analytics import commands as analytics
from supover.channels.model import Contact, PostalAddress
from supover.consent import commands as consent
from supover.consent.model import Entry
from supover.customers import contacts, erased, hashing
from supover.customers.contacts import Identity
from supover.customers.erased import Handle
from supover.customers.events import CustomerDeleted, CustomersErased
from supover.kit import clock
from supover.kit.db import Reader, Tx, json_bytes
from supover.kit.events import publish
from supover.kit.jobs import defer_many
from supover.privacy import beside, queries, rules
from supover.privacy.model import Erased, Person
from supover.privacy.personal import HARMLESS, PERSONAL, Keys, Table
from supover.privacy.rules import Needles

FORGET_FILE: Final = "privacy.forget_file"
FORGET_IMPORT: Final = "privacy.forget_import"
AT_MOST_S: Final = 600
NAMES_ASKED: Final = 50
PEOPLE_AT_ONCE: Final = 10
"""With up to five contacts each, their keys are few enough to be locked one by one: more would stop the workspace's intake, for as
long as texts are looked through."""


class Files(msgspec.Struct, frozen=True):
    """Files of others' that tell of the person: runs of imports and exports, and the keys of their files.

    Imports `under_way` need their files until they end.
    """

    imports: Sequence[UUID] = ()
    exports: Sequence[UUID] = ()
    keys: Sequence[str] = ()
    under_way: Sequence[UUID] = ()


class Known(msgspec.Struct, frozen=True):
    """What is known of people: how they can be looked for, and by which contacts they would come back.

    `contacts` are theirs alone; `needles` has names and places, too, which others may write of in rows of their own.
    """

    contacts: Needles
    needles: Needles
    masks: Sequence[str]
    handles: Mapping[Handle, UUID | None]


# --- what is known of them -----------------------------------------------------------------------------------------------


class _Fact(msgspec.Struct, frozen=True):
    customer_id: UUID | None
    kind: str
    source: str
    shop: str
    value: str
    country: str | None


# What a profile said before it was changed leads to the person as well.
GATHER: Final = """
    select i.customer_id, i.kind, i.source, i.shop, i.value, c.country
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id
     where i.workspace_id = $1 and i.customer_id = any($2::uuid[])
    union
    select c.id, v.kind, v.source, '', v.value, c.country
      from customer c
     cross join lateral (values ('email', '', c.email), ('phone', '', c.phone), ('phone', '', c.phone_e164), ('name', '', c.name),
                                ('channel', c.source, c.external_id)) as v (kind, source, value)
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and v.value is not null
    union
    select a.customer_id, v.kind, '', '', v.value, a.country
      from address a
     cross join lateral (values ('name', a.recipient_name), ('place', a.line1), ('key', a.match_key),
                                ('number', a.phone)) as v (kind, value)
     where a.workspace_id = $1 and a.customer_id = any($2::uuid[]) and v.value <> ''
    union
    select o.customer_id, v.kind, '', '', v.value, coalesce(o.shipping_address ->> 'country', o.billing_address ->> 'country')
      from "order" o
     cross join lateral (values ('email', o.email), ('phone', o.phone), ('name', o.name),
                                ('name', o.shipping_address ->> 'recipientName'), ('name', o.billing_address ->> 'recipientName'),
                                ('place', o.shipping_address ->> 'line1'), ('place', o.billing_address ->> 'line1'),
                                ('number', o.shipping_address ->> 'phone'), ('number', o.billing_address ->> 'phone')) as v (kind, value)
     where o.workspace_id = $1 and o.id = any($3::uuid[]) and v.value <> ''
    union
    select e.customer_id, v.kind, '', '', v.value, c.country
      from event_log e
      join customer c on c.workspace_id = $1 and c.id = e.customer_id
     cross join lateral (values ('email', e.data #>> '{changes,email,0}'), ('phone', e.data #>> '{changes,phone,0}'),
                                ('name', e.data #>> '{changes,name,0}')) as v (kind, value)
     where e.workspace_id = $1 and e.customer_id = any($2::uuid[]) and e.kind = 'CustomerChanged' and v.value <> ''
    union
    select j.customer_id, v.kind, '', '', v.value, c.country
      from customer_journal j
      join customer c on c.workspace_id = $1 and c.id = j.customer_id
     cross join lateral (values ('email', j.changes #>> '{email,0}'), ('phone', j.changes #>> '{phone,0}'),
                                ('name', j.changes #>> '{name,0}')) as v (kind, value)
     where j.workspace_id = $1 and j.customer_id = any($2::uuid[]) and v.value <> ''"""
SHARED: Final = """
    select i.kind, i.source, i.shop, coalesce(i.key, i.value)
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
     where i.workspace_id = $1 and i.customer_id <> all($2::uuid[]) and i.released_at is null
       and (i.kind <> 'channel' and i.key = any($3::text[])
            or i.kind = 'channel' and i.source = any($4::text[]) and i.shop = any($5::text[]) and i.value = any($3::text[]))"""
NAMESAKES: Final = """
    select n.name
      from unnest($3::text[]) as n (name)
     where exists (select 1 from customer c
                    where c.workspace_id = $1 and c.search like ext.search_pattern(n.name) and c.id <> all($2::uuid[]))"""
NEIGHBOURS: Final = """
    select a.match_key from address a
     where a.workspace_id = $1 and a.match_key = any($3::text[]) and a.customer_id <> all($2::uuid[])"""


async def known(db: Reader, person: Person) -> Known:
    """What leads to these people. Contacts, names and places that others have, too, are left out: they are theirs as well."""
    facts = await db.all(_Fact, GATHER, person.customers, person.orders)
    pairs = [(identity, fact) for fact in facts for identity in _identities(fact)]
    shared = await _shared(
        db, person.customers, {handle for identity, _ in pairs if (handle := identity.handle()) is not None}
    )
    handles: dict[Handle, UUID | None] = {}
    emails: set[str] = set()
    phones: set[str] = set()
    ids: set[str] = set()
    for identity, fact in pairs:
        handle = identity.handle()
        if handle is None:
            # What leads to nobody, such as a relay's address, is looked for all the same.
            emails.update([fact.value] if "@" in fact.value else [])
        elif handle not in shared:
            {"email": emails, "phone": phones, "channel": ids}[identity.kind].update((identity.value, handle[3]))
            if fact.kind != "number":  # whoever opens the door is not who bought
                handles.setdefault(handle, fact.customer_id)
    ids = {id for id in ids if len(id) > rules.LEAST}
    written = [*await _own_names(db, person, facts), *await _own_places(db, person, facts)]
    return Known(
        contacts=rules.needles([*emails, *ids], phones),
        needles=rules.needles([*emails, *ids, *written], phones),
        masks=[*rules.needles([*emails, *written], ()).texts, *rules.spelled(phones)],
        handles=handles,
    )


def _identities(fact: _Fact) -> Sequence[contacts.Identity]:
    match fact.kind:
        case "channel":
            contact = Contact(source=fact.source, shop=fact.shop, external_id=fact.value)
        case "email":
            contact = Contact(source="", email=fact.value)
        case "phone" | "number":
            contact = Contact(source="", phone=fact.value, country=fact.country)
        case _:
            return ()
    return contacts.identities_of(contact)


async def _shared(db: Reader, customers: Sequence[UUID], handles: Collection[Handle]) -> set[Handle]:
    if not handles:
        return set()
    columns = ([h[3] for h in handles], [h[1] for h in handles], [h[2] for h in handles])
    return {(kind, source, shop, key) for kind, source, shop, key in await db.rows(SHARED, customers, *columns)}


async def _own_names(db: Reader, person: Person, facts: Sequence[_Fact]) -> list[str]:
    names = sorted({" ".join(f.value.split()) for f in facts if f.kind == "name" and " " in f.value.strip()})[
        :NAMES_ASKED
    ]
    if not names:
        return []
    others = set(await db.column(NAMESAKES, person.customers, names))
    return [name for name in names if name not in others]


async def _own_places(db: Reader, person: Person, facts: Sequence[_Fact]) -> list[str]:
    lines = sorted({f.value for f in facts if f.kind == "place"})
    if not lines:
        return []
    keys = sorted({f.value for f in facts if f.kind == "key"})
    taken = await db.column(NEIGHBOURS, person.customers, keys) if keys else []
    # A key begins with the folded lines: a place where others live, too, is not looked for by its line.
    starts = [places.match_key(PostalAddress(line1=line)).partition("|")[0] for line in lines]
    return [line for line, start in zip(lines, starts, strict=True) if not any(key.startswith(start) for key in taken)]


# --- erasing -------------------------------------------------------------------------------------------------------------

LOCK: Final = """
    select c.id, c.deleted_at is null, c.avatar_key
      from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[])
     order by c.id
       for update"""
LOCK_ORDERS: Final = """
    select o.id from "order" o where o.workspace_id = $1 and o.id = any($2::uuid[]) order by o.id for update"""
LIMIT: Final = "select set_config('statement_timeout', $2, true) where $1::uuid = (select current_workspace())"
YESES: Final = """
    select k.customer_id, k.channel, k.topic
      from consent k
     where k.workspace_id = $1 and k.customer_id = any($2::uuid[]) and k.state in ('SUBSCRIBED', 'PENDING')
     order by k.customer_id, k.channel, k.topic"""
BAR: Final = """
    insert into erased_contact as e (workspace_id, contact_hash, customer_id, request_id, erased_at)
    select $1, n.contact_hash, n.customer_id, $2, $3
      from unnest($4::bytea[], $5::uuid[]) as n (contact_hash, customer_id)
     order by n.contact_hash
        on conflict (workspace_id, contact_hash)
        do update set customer_id = coalesce(excluded.customer_id, e.customer_id), request_id = excluded.request_id,
           erased_at = excluded.erased_at"""
# A survivor's own picture that gave way to another one's is remembered by the merge alone.
FORMER_PICTURES: Final = """
    select k.key
      from customer_merge_row r
     cross join lateral jsonb_array_elements_text(r.before -> 'avatarKey') as k (key)
     where r.workspace_id = $1 and r.merge_id = any($2::uuid[]) and r.kind = 'customer' and r.deed = 'changed' and k.key is not null"""
OWN_FILES: Final = """
    select f.key
      from privacy_request r
     cross join lateral (values (r.file_key), (r.page_key)) as f (key)
     where r.workspace_id = $1 and r.customer_id = any($2::uuid[]) and f.key is not null"""
FORGET_OWN_FILES: Final = """
    update privacy_request set file_key = null, page_key = null
     where workspace_id = $1 and customer_id = any($2::uuid[]) and (file_key is not null or page_key is not null)"""
# One that is being made was read before.
END_OWN_EXPORTS: Final = """
    update privacy_request set status = 'cancelled', finished_at = now(), cancelled_by = $3, version = version + 1
     where workspace_id = $1 and customer_id = any($2::uuid[]) and kind = 'export' and status in ('pending', 'running')"""
PUT_AWAY: Final = """
    select personal_erase('customer', 'id', $2::uuid[], '{"deleted_at": "now"}'::jsonb, '{}', '{}')
     where $1::uuid = (select current_workspace())"""
MENTIONS: Final = """
    select personal_mentions($2, $3::text[], $4::jsonb, $5::text[], $6::text[], $7::text[], $8)
     where $1::uuid = (select current_workspace())"""
FACTS: Final = """
    select personal_facts($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) where $1::uuid = (select current_workspace())"""
MESSAGES: Final = """
    select personal_messages($2::uuid[], $3::uuid[], $4::text[], $5::text[]) where $1::uuid = (select current_workspace())"""
ERASE: Final = """
    select personal_erase($2, $3, $4::uuid[], $5::jsonb, $6::text[], $7::text[]) where $1::uuid = (select current_workspace())"""
END_EXPORTS: Final = "select personal_exports_end() where $1::uuid = (select current_workspace())"
IDS_ASKED: Final = 500
BY_IDS: Final = frozenset({"idempotency"})
"""Few rows for a day, in which whose they are stands nowhere but within."""


async def run(
    tx: Tx,
    customer_ids: Sequence[UUID],
    request_id: UUID,
    files: Files,
    orders: Sequence[UUID] = (),
    *,
    at: datetime | None = None,
) -> Erased:
    """Erases these customers, those that were merged into them, and these orders of anybody. Idempotent.

    From `at` on, now unless told, the person may come back. Publishes CustomerDeleted and CustomersErased. Files go once this is
    committed.
    """
    await tx.value(LIMIT, str(AT_MOST_S * 1000))
    person = await queries.person(tx, customer_ids, orders)
    # In the order in which orders are taken in and customers merged: they, contacts, customers.
    await tx.column(LOCK_ORDERS, person.orders)
    await contacts.lock(tx, [Identity(*row) for row in await tx.rows(contacts.HELD, person.customers)])
    locked = await tx.rows(LOCK, person.customers)
    living = [id for id, is_living, _ in locked if is_living]
    yeses = await tx.rows(YESES, person.customers)
    await consent.record(
        tx, [Entry(customer_id=id, channel=channel, topic=topic, state="UNSUBSCRIBED") for id, channel, topic in yeses]
    )
    # Orders that come now wait for this, and find nobody. What was said of the person until here is read only then.
    await contacts.release(tx, person.customers)
    person = await queries.person(tx, customer_ids, orders)
    found = await known(tx, person)
    barred = await _bar(tx, found.handles, request_id, at or clock.now())
    keys = [
        *files.keys,
        *(key for _, _, key in locked if key is not None),
        *await tx.column(FORMER_PICTURES, person.merges),
        *await tx.column(OWN_FILES, person.customers),
    ]
    rows = await _rows(tx, person, found, files)
    if keys:
        await defer_many(tx, FORGET_FILE, [{"key": key} for key in sorted(set(keys))])
    if files.under_way:
        await defer_many(tx, FORGET_IMPORT, [{"import_id": id} for id in files.under_way])
    now = clock.now()
    await publish(
        tx,
        [
            *(CustomerDeleted(customer_id=id, at=now) for id in living),
            *(
                [CustomersErased(customer_ids=list(person.customers), request_id=request_id, at=now)]
                if person.customers
                else []
            ),
        ],
    )
    return Erased(person.customers, rows, len(set(keys)) + len(files.under_way), barred, len(person.orders))


async def _bar(tx: Tx, handles: Mapping[Handle, UUID | None], request_id: UUID, at: datetime) -> int:
    if not handles:
        return 0
    hasher = await hashing.writer(tx)
    return await tx.run(
        BAR, request_id, at, [erased.hash_of(hasher, handle) for handle in handles], list(handles.values())
    )


async def bar(tx: Tx, contact: Contact, request_id: UUID) -> int:
    """Bars the contacts of somebody who is not known here: what is told of them later stays nobody's."""
    handles = {handle for i in contacts.identities_of(contact) if (handle := i.handle()) is not None}
    return await _bar(tx, dict.fromkeys(handles - await _shared(tx, (), handles)), request_id, clock.now())


async def _rows(tx: Tx, person: Person, found: Known, files: Files) -> dict[str, int]:
    """Does what the map says, table by table; how many rows that was, where it was any."""
    ids: Mapping[Keys, Sequence[UUID]] = {
        "customers": person.customers,
        "orders": person.orders,
        "merges": person.merges,
        "own": person.own,
    }
    needles, harmless = found.contacts, sorted(HARMLESS)
    done: Counter[str] = Counter()
    await tx.run(FORGET_OWN_FILES, person.customers)
    await tx.run(END_OWN_EXPORTS, person.customers, tx.actor)
    await tx.value(PUT_AWAY, person.customers)
    done["export_run"] += await tx.value(END_EXPORTS)
    done["event_log"] = await tx.value(FACTS, person.customers, person.orders, needles.texts, needles.bare, harmless)
    done["inbox_message"] = await tx.value(MESSAGES, person.customers, person.orders, needles.texts, needles.bare)
    done["customer_told"] = await erased.forget_told(tx, person.customers)
    # Where orders were sent becomes their country alone, and they are counted by it.
    await analytics.mark(tx, person.customers)
    await analytics.mark_of_orders(tx, person.orders)
    for table, key, rows, treatments in await beside.find(tx, person, found.needles):
        done[table] += await tx.value(ERASE, table, key, rows, json_bytes(treatments), [], harmless)
        if table == "order":
            await analytics.mark_of_orders(tx, rows)
    found = msgspec.structs.replace(found, masks=[*await beside.spelled(tx, found.contacts), *found.masks])
    orders = set(person.orders)
    own = [id for id in person.own if id not in orders]
    for steps in (_mentions(found, own, harmless), _own(ids, files, found.masks, harmless)):
        for table, sql, args in steps:
            done[table] += await tx.value(sql, *args)
    return {table: count for table, count in sorted(done.items()) if count}


_Step = tuple[str, str, tuple[Any, ...]]
_OTHERWISE: Final = frozenset({"event_log", "inbox_message"})


def _mentions(found: Known, own: Sequence[UUID], harmless: Sequence[str]) -> list[_Step]:
    steps: list[_Step] = []
    for table in PERSONAL:
        for columns, treatments in _looked_through(table):
            asked: list[tuple[Sequence[str], Sequence[str], bool]]
            if table.name == "audit_log":
                # Others' rows are the person's where they tell a contact that is theirs alone.
                asked = [(found.contacts.texts, (), False), (found.needles.texts, found.needles.bare, True)]
            elif table.name in BY_IDS:
                named = [f"%{id}%" for id in own[:IDS_ASKED]]
                asked = [([*found.contacts.texts, *named], found.contacts.bare, False)]
            elif treatments is not None and any(map(_masks, treatments.values())):
                # What is only masked is looked for as it is masked.
                asked = [(found.masks, (), False)]
            else:
                asked = [(found.needles.texts, found.needles.bare, False)]
            told = None if treatments is None else json_bytes(treatments)
            steps += [
                (table.name, MENTIONS, (table.name, columns, told, texts, bare, harmless, of_nobody))
                for texts, bare, of_nobody in asked
            ]
    return steps


def _looked_through(table: Table) -> list[tuple[Sequence[str], dict[str, str] | None]]:
    """Columns in which a person may stand, and what becomes of a row's when one of them says so: what is masked by itself."""
    treatments = table.treatments
    if not table.mentions or treatments is None:
        return [(table.mentions, None)] if table.mentions else []
    masked = {column: word for column, word in treatments.items() if _masks(word)}
    if not masked:
        return [(table.mentions, treatments)]
    others = {column: word for column, word in treatments.items() if column not in masked}
    return [([c for c in table.mentions if c in part], part) for part in (masked, others) if part]


def _masks(treatment: str) -> bool:
    return treatment.startswith("masked")


def _own(
    ids: Mapping[Keys, Sequence[UUID]], files: Files, masks: Sequence[str], harmless: Sequence[str]
) -> list[_Step]:
    steps: list[_Step] = [
        (table, ERASE, (table, "id", list(runs), json_bytes({"file_key": "null"}), [], []))
        for table, runs in (("import_run", files.imports), ("export_run", files.exports))
        if runs
    ]
    for table in PERSONAL:
        if table.name in _OTHERWISE or table.treatments == {}:
            continue
        steps += [
            (table.name, ERASE, (table.name, column, ids[keys], _treatments(table), masks, harmless))
            for column, keys in table.by
        ]
    return steps


def _treatments(table: Table) -> bytes | None:
    found = table.treatments
    return None if found is None else json_bytes(found)
