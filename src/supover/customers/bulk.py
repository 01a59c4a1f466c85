# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Many customers at once: those of a chunk of a file are looked up, added and changed in a handful of statements.

Whose row it is decides who brings the file, by the keys that it looks up here: an id of ours, a channel's id, an email, a
phone. A contact that somebody else holds is never lost: it is kept beside the profile, and the pair suggested as duplicates.
"""

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from supover.channels.model import Contact
from supover.customers import contacts, custom_field_index, custom_field_rules, journal, many, rules
from supover.customers.custom_field_model import Definitions
from supover.customers.events import CustomersRemoved, DuplicateSuspected
from supover.kit import clock, ids, text
from supover.kit.db import Reader, Tx
from supover.kit.events import Event, publish
from supover.kit.problems import FieldError, worded

if TYPE_CHECKING:
    import polars as pl

Channel = tuple[str, str, str]
"""A source, a shop, and who the buyer is there."""


# --- whose it is ---------------------------------------------------------------------------------------------------------


class Holders(msgspec.Struct, frozen=True):
    """Living customers, with their names, by what was asked for; of several who share a contact the one who had it first."""

    by_id: Mapping[UUID, str | None]
    by_channel: Mapping[Channel, tuple[UUID, str | None]]
    by_email: Mapping[str, tuple[UUID, str | None]]
    by_contact: Mapping[str, tuple[UUID, str | None]]


KNOWN_IDS: Final = """
    select c.id, c.name from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.deleted_at is null"""
# Arrays instead of joins: whatever the planner knows of tables that are just being filled, these are never worse than one pass.
KNOWN_EMAILS: Final = """
    select lower(c.email), c.id, c.name from customer c
     where c.workspace_id = $1 and lower(c.email) = any($2::text[]) and c.deleted_at is null"""
# Whom a contact came to first comes first; a hub leads nowhere.
KNOWN_KEYS: Final = """
    select i.kind, i.key, i.value, i.customer_id
      from (select i.kind, i.key, lower(i.value) as value, i.customer_id, i.created_at, i.id,
                   row_number() over (partition by i.kind, i.key, lower(i.value) order by i.created_at, i.id) as place
              from customer_identity i
             where i.workspace_id = $1 and i.kind <> 'channel' and i.key = any($2::text[]) and i.released_at is null
               and not i.is_hub) as i
     where i.place <= 20
     order by i.created_at, i.id"""


async def look_up(
    db: Reader,
    *,
    given: Sequence[UUID] = (),
    channels: Sequence[Channel] = (),
    emails: Sequence[str] = (),
    email_keys: Sequence[str] = (),
    phone_keys: Sequence[str] = (),
) -> Holders:
    """Who holds these. `emails` are looked for in profiles, in lower case; keys among all contacts.

    Contacts are answered by their key for phones, by the address in lower case for emails: whoever brings a file has said
    which address it is.
    """
    by_id = dict(await db.rows(KNOWN_IDS, list(given))) if given else {}
    by_channel: dict[Channel, tuple[UUID, str | None]] = {}
    if channels:
        columns = [list(set(column)) for column in zip(*channels, strict=True)]
        for _, source, shop, value, id, name, *_ in await db.rows(contacts.KNOWN_CHANNEL, *columns):
            by_channel[source, shop, value] = (id, name)
    by_email: dict[str, tuple[UUID, str | None]] = {}
    if emails:
        by_email = {email: (id, name) for email, id, name in await db.rows(KNOWN_EMAILS, list(emails))}
    by_contact: dict[str, tuple[UUID, str | None]] = {}
    if email_keys or phone_keys:
        found = await db.rows(KNOWN_KEYS, [*email_keys, *phone_keys])
        living: dict[UUID, str | None] = dict(await db.rows(KNOWN_IDS, [row[3] for row in found])) if found else {}  # pyright: ignore[reportArgumentType,reportAssignmentType]
        for kind, key, value, id in found:
            if id in living:
                by_contact.setdefault(value if kind == "email" else key, (id, living[id]))
    return Holders(by_id, by_channel, by_email, by_contact)


# --- adding --------------------------------------------------------------------------------------------------------------

ADD: Final = """
    insert into customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, date_of_birth, gender, status,
           status_before_block, country, tags, custom_fields)
    select $1, n.id, n.source, n.external_id, n.email, n.name, n.phone, n.phone_e164, n.date_of_birth, n.gender,
           coalesce(n.status, 'ACTIVE'), case when n.status = 'BLOCKED' then 'ACTIVE' end, n.country,
           coalesce(string_to_array(n.tags, chr(31)), '{}'), coalesce(n.custom_fields, '{}')
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::date[], $10::text[],
                  $11::text[], $12::text[], $13::text[], $14::jsonb[])
           as n (id, source, external_id, email, name, phone, phone_e164, date_of_birth, gender, status, country, tags,
                 custom_fields)"""
ADD_CONTACTS: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by)
    select $1, n.id, n.customer_id, n.kind, coalesce(n.source, ''), coalesce(n.shop, ''), n.value, n.key, n.quality, n.matched_by
      from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
           as n (id, customer_id, kind, source, shop, value, key, quality, matched_by)"""
PROFILE: Final = (
    "id", "source", "external_id", "email", "name", "phone", "phone_e164", "date_of_birth", "gender", "status", "country", "tags",
    "custom_fields",
)  # fmt: skip
"""The columns of `add`'s profiles, in the order of ADD."""
CONTACT: Final = ("id", "customer_id", "kind", "source", "shop", "value", "key", "quality", "matched_by")


async def add(tx: Tx, profiles: "pl.DataFrame", found: "pl.DataFrame") -> None:
    """Adds customers that are not there, with the contacts that lead to them: frames with the columns PROFILE and CONTACT.

    Everything in them is as it is kept. Whoever is quicker with an email or a buyer's id makes this raise
    UniqueViolationError: look it up again.
    """
    await tx.load(ADD, profiles.select(PROFILE).write_csv(include_header=False).encode())
    if found.height:
        await tx.load(ADD_CONTACTS, found.select(CONTACT).write_csv(include_header=False).encode())


async def index(tx: Tx, definitions: Definitions, customer_ids: Sequence[UUID]) -> None:
    """Keeps the indexed custom fields of new customers; a value that somebody has already is told by its field's state."""
    if definitions.has_index:
        await custom_field_index.keep(tx, definitions, customer_ids, is_new=True, refuses=False)


# --- changing ------------------------------------------------------------------------------------------------------------


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a row says of a customer who is there.

    `values`: fields of a profile; what is absent stays, None empties. `contact` leads to the customer from now on, whether
    or not the profile can show it. `deletes`: it says that the customer is to be deleted, and nothing else.
    """

    customer_id: UUID
    values: Mapping[str, Any] = {}
    tags: Sequence[str] | None = None
    tags_command: str = "ADD"
    contact: Contact | None = None
    deletes: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """Whether the row changed anything; `error` says why it could not."""

    changed: bool
    error: FieldError | None = None


class Changed(msgspec.Struct, frozen=True):
    """What became of each wish, in order; which customers are others now; the contacts added beside profiles, and whose they are."""

    outcomes: Sequence[Outcome]
    customers: Sequence[UUID]
    contacts: Sequence[tuple[UUID, UUID]]


KEEP_CONTACTS: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by)
    select $1, n.id, n.customer_id, n.kind, n.source, n.shop, n.value, n.key, n.quality, 'import'
      from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           as n (id, customer_id, kind, source, shop, value, key, quality)
        on conflict do nothing
    returning id, customer_id"""


async def change(
    tx: Tx,
    act_id: UUID,
    wanted: Sequence[Wanted],
    holders: Holders,
    definitions: Definitions,
    *,
    made_here: Container[UUID] = (),
) -> Changed:
    """Changes customers who are there, each by its rows in order; what was before stands in the act's journal.

    An email or a buyer's id that somebody else holds stays theirs: it is kept beside the profile, and the pair suggested. A
    value of a unique custom field that somebody else has refuses the customer's rows. Who is `made_here`, by the same act, is
    not in the journal. Publishes what an edit by a person publishes, and DuplicateSuspected.
    """
    held = {one.id: one for one in await many.hold(tx, list({w.customer_id for w in wanted}), contacts_too=False)}
    new = dict(held)
    rows_of: dict[UUID, list[int]] = {}
    said: list[FieldError | None] = [None] * len(wanted)
    is_other = [False] * len(wanted)
    now = clock.now()
    for n, one in enumerate(wanted):
        old = new.get(one.customer_id)
        if old is None or old.deleted_at is not None:
            said[n] = FieldError("", "gone", "the customer was deleted or merged meanwhile")
            continue
        after = msgspec.structs.replace(old, deleted_at=now) if one.deletes else _with(old, one)
        p = after.profile
        if not p.is_somebody:
            said[n] = FieldError("", "required", "nothing would say who the customer is")
            continue
        rows_of.setdefault(one.customer_id, []).append(n)
        is_other[n] = after is not old
        new[one.customer_id] = after
    pairs = [(held[id], new[id]) for id in rows_of if new[id] is not held[id]]
    suspected: list[Event] = []
    clashes = await many.clashes(tx, pairs, definitions)
    others = [clash.holder for found in clashes.values() for clash in found if not clash.field.startswith(CUSTOM)]
    name_of = dict(await tx.rows(KNOWN_IDS, others)) if others else {}
    for id, found in clashes.items():
        names = {clash.field for clash in found}
        for clash in found:
            if clash.field.startswith(CUSTOM):
                names = set(_NAMES)
                for n in rows_of[id]:
                    said[n] = FieldError(clash.field, clash.code, clash.message)
            else:
                holder = clash.holder
                suspected.append(suspicion(id, held[id].profile.name, holder, name_of.get(holder), _WHAT[clash.field]))
        new[id] = held[id] if names == set(_NAMES) else journal.without(held[id], new[id], names)
    settled = [(old, new[old.id]) for old, _ in pairs]
    told = [
        (one.customer_id, one.contact) for n, one in enumerate(wanted) if one.contact is not None and said[n] is None
    ]
    await many.store(tx, settled, definitions)
    await journal.keep(tx, act_id, [pair for pair in settled if pair[0].id not in made_here])
    added = await _keep_contacts(tx, told, holders, new, suspected)
    await publish(tx, suspected)
    outcomes = [Outcome(other and error is None, error) for other, error in zip(is_other, said, strict=True)]
    changed = [old.id for old, after in settled if many.changed_fields(old, after)]
    # What came with somebody stays with them, should they.
    return Changed(outcomes, changed, [pair for pair in added if pair[1] not in made_here])


CUSTOM: Final = "customFields."
_NAMES: Final = ("everything",)
_WHAT: Final = {"email": "email", "externalId": "buyer id"}


def _with(old: many.Held, one: Wanted) -> many.Held:
    """The customer as the row wants it; the very same where it says nothing new."""
    profile = old.profile
    given = {field: value for field, value in one.values.items() if value != getattr(profile, field)}
    if "custom_fields" in given:
        merged = rules.merged_fields(profile.custom_fields, given.pop("custom_fields"))
        if custom_field_rules.changed(profile.custom_fields, merged):
            given["custom_fields"] = merged
    if one.tags is not None:
        match one.tags_command:
            case "REPLACE":
                tags = rules.spelled(one.tags, profile.tags)
            case "REMOVE":
                tags = rules.without(profile.tags, one.tags)
            case _:
                tags = [*profile.tags, *rules.without(one.tags, profile.tags)]
        tags = tags[: max(rules.MAX_TAGS, len(profile.tags))]
        if tags != list(profile.tags):
            given["tags"] = tags
    # A channel's id goes with its source: one of another source leads here, and the profile keeps its own.
    if given.get("external_id") and one.contact is not None and one.contact.source != profile.source:
        del given["external_id"]
    if not given:
        return old
    after = msgspec.structs.replace(profile, **given)
    if given.keys() & {"phone", "country"}:
        after = rules.with_phone(after)
    before = rules.status_to_return_to(profile.status, after.status, old.status_before_block)
    return msgspec.structs.replace(old, profile=after, status_before_block=before)


async def _keep_contacts(
    tx: Tx,
    told: Sequence[tuple[UUID, Contact]],
    holders: Holders,
    now: Mapping[UUID, many.Held],
    suspected: list[Event],
) -> list[tuple[UUID, UUID]]:
    """Those contacts that were not there, the id of each and whose it is; those that a profile shows are."""
    found: dict[tuple[UUID, str, str, str, str], contacts.Identity] = {}
    for id, contact in told:
        p = now[id].profile
        own = (p.source, "", p.external_id)
        channel = (contact.source, contact.shop, contact.external_id)
        if (
            contact.email in (None, p.email)
            and contact.phone in (None, p.phone)
            and channel in ((*channel[:2], None), own)
        ):
            continue
        for i in contacts.identities_of(contact):
            if i.value in (p.email, p.phone) or (i.source, i.shop, i.value) == own:
                continue
            holder = holders.by_channel.get((i.source, i.shop, i.value)) if i.kind == "channel" else None
            if holder is not None and holder[0] != id:
                suspected.append(suspicion(id, p.name, *holder, "buyer id"))
            else:
                found[id, i.kind, i.source, i.shop, i.value] = i
    if not found:
        return []
    rows = [
        (new_id, id, i.kind, i.source, i.shop, i.value, i.key, i.quality)
        for new_id, ((id, *_), i) in zip(ids.many(len(found)), found.items(), strict=True)
    ]
    kept = await tx.rows(KEEP_CONTACTS, *(list(column) for column in zip(*rows, strict=True)))
    return [(row[0], row[1]) for row in kept]


def suspicion(one: UUID, name: str | None, other: UUID, other_name: str | None, what: str) -> DuplicateSuspected:
    """That two customers may be one person, because a file gave the one a contact that is the other's."""
    a, b = sorted((one, other))
    verdict = text.name_compatible(name or "", other_name or "")
    reasons = [worded(f"a file gave the one the other's {what}")]
    if verdict is not text.Compatibility.UNKNOWN:
        alike = verdict is text.Compatibility.COMPATIBLE
        reasons.append(worded("first names go together" if alike else "first names do not go together"))
    level = "review" if verdict is text.Compatibility.INCOMPATIBLE else "suggested"
    by = "channel" if what == _WHAT["externalId"] else what
    return DuplicateSuspected(customer_id=a, other_id=b, score=17.0, level=level, reasons=reasons, by=by)


# --- taken back ----------------------------------------------------------------------------------------------------------

# Arrays instead of joins: of tables that a moment ago were empty the planner knows nothing.
# What happened to them since, but for what this act did itself; what it added later is gone by now, so what did not come with
# them is another file's. Whoever is in a segment has done nothing for it, and what was undone as a whole is as if it never was.
USED: Final = """
    select n.id, case min(n.place) when 1 then 'merged' when 2 then 'orders' else 'changed' end
      from (select c.id, case when c.merged_into_id is null then 3 else 1 end as place from customer c
             where c.workspace_id = $1 and c.id = any($2::uuid[])
               and (c.merged_into_id is not null or c.avatar_key is not null)
            union all
            select m.merged_into_id, 1 from customer m where m.workspace_id = $1 and m.merged_into_id = any($2::uuid[])
            union all
            select o.customer_id, 2 from "order" o where o.workspace_id = $1 and o.customer_id = any($2::uuid[])
            union all
            select j.customer_id, 3 from customer_journal j
             where j.workspace_id = $1 and j.customer_id = any($2::uuid[]) and j.act_id <> $3
               and (j.undone_at is null or j.kept is not null)
            union all
            select a.customer_id, 3 from address a
             where a.workspace_id = $1 and a.customer_id = any($2::uuid[])
               and a.created_at > (select c.created_at from customer c where c.workspace_id = $1 and c.id = a.customer_id)
            union all
            select t.customer_id, 3 from customer_note t
             where t.workspace_id = $1 and t.customer_id = any($2::uuid[])
               and t.created_at > (select c.created_at from customer c where c.workspace_id = $1 and c.id = t.customer_id)
            union all
            select i.customer_id, 3 from customer_identity i
             where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.matched_by = 'import'
               and i.created_at > (select c.created_at from customer c where c.workspace_id = $1 and c.id = i.customer_id)
            union all
            select p.customer_id, 3 from segment_pick p where p.workspace_id = $1 and p.customer_id = any($2::uuid[])
            union all
            select e.customer_id, 3 from event_log e
             where e.workspace_id = $1 and e.customer_id = any($2::uuid[]) and e.origin <> 'import'
               and e.kind not in ('SegmentEntered', 'SegmentLeft')) as n
     group by n.id"""
HOLD: Final = """
    select c.id from customer c where c.workspace_id = $1 and c.id = any($2::uuid[]) order by c.id for update"""
REMOVE_CONTACTS_OF: Final = "delete from customer_identity where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_VALUES_OF: Final = "delete from custom_field_value where workspace_id = $1 and customer_id = any($2::uuid[])"
REMOVE_JOURNAL_OF: Final = "delete from customer_journal where workspace_id = $1 and customer_id = any($2::uuid[])"
# Joined, as a plan that is made for any list would compare a long one element by element.
REMOVE: Final = """
    delete from customer c using unnest($2::uuid[]) as n (id) where c.workspace_id = $1 and c.id = n.id"""
REMOVE_CONTACTS: Final = """
    delete from customer_identity where workspace_id = $1 and id = any($2::uuid[]) and matched_by = 'import'"""


async def remove(tx: Tx, act_id: UUID, customer_ids: Sequence[UUID]) -> tuple[list[UUID], dict[UUID, str]]:
    """Unmakes customers whom an act made, as if they had never been: who is gone, and who is not with why.

    Whom somebody has changed since, who has ordered or was merged, stays. Publishes CustomersRemoved, to which everybody
    who keeps rows of them must listen.
    """
    held: list[UUID] = await tx.column(HOLD, list(customer_ids))
    used: dict[UUID, str] = dict(await tx.rows(USED, held, act_id))  # pyright: ignore[reportArgumentType,reportAssignmentType]
    gone = [id for id in held if id not in used]
    if gone:
        await publish(tx, [CustomersRemoved(customer_ids=gone)])
        for statement in (REMOVE_CONTACTS_OF, REMOVE_VALUES_OF, REMOVE_JOURNAL_OF):
            await tx.run(statement, gone)
        await tx.by_plans()
        await tx.run(REMOVE, gone)
    return gone, used


async def remove_contacts(tx: Tx, contact_ids: Sequence[UUID]) -> int:
    """Removes contacts that a file added beside profiles; how many are still there to be removed."""
    return await tx.run(REMOVE_CONTACTS, list(contact_ids))
