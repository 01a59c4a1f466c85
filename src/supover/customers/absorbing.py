"""A customer takes others in: they stay as tombstones that lead to it, and their contacts lead to it; and all of that undone.

A tombstone keeps its profile as it was, so that nothing of it need be noted to bring it back.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from supover.customers import contacts, custom_field_index, journal, many, merge_rows
from supover.customers.contacts import Identity
from supover.customers.events import CustomerChanged
from supover.customers.many import Held, Pair
from supover.customers.model import Profile
from supover.kit.db import Tx, by_column
from supover.kit.events import Event
from supover.kit.problems import worded

CONTACT: Final = "customer_identity"
CUSTOMER: Final = "customer"
TOMBSTONE: Final = "tombstone"

# --- held ----------------------------------------------------------------------------------------------------------------

# Merges of the same customers one after the other, before anything else is waited for.
TURN: Final = """
    select count(pg_advisory_xact_lock(k))
      from (select hashtextextended($1::uuid::text || id::text, 13) as k from unnest($2::uuid[]) as id order by k) as keys"""
# Those who only look are not in each other's way.
TRY_TURN: Final = """
    select coalesce(bool_and(pg_try_advisory_xact_lock_shared(k)), true)
      from (select hashtextextended($1::uuid::text || id::text, 13) as k from unnest($2::uuid[]) as id order by k) as keys"""
# Everybody who adds something of theirs looks at the row first, or refers to it: they wait, and then see where it leads. Whoever
# was merged into one of them before is led elsewhere with it, so those rows are held as well, in the same order.
HOLD: Final = """
    select c.id, c.status_before_block, c.deleted_at, c.merged_into_id, c.created_at, c.avatar_key,
           (select max(o.placed_at) from "order" o where o.workspace_id = $1 and o.customer_id = c.id),
           c.source, c.external_id, c.email, c.name, c.phone, c.phone_e164, c.date_of_birth, c.gender, c.status, c.country, c.tags,
           c.custom_fields
      from customer c
     where c.workspace_id = $1 and (c.id = any($2::uuid[]) or c.merged_into_id = any($2::uuid[]))
     order by c.id
       for update of c"""


class Party(msgspec.Struct, frozen=True):
    """One of those who are made one, or are by themselves again; nobody else changes them until the transaction ends."""

    held: Held
    created_at: datetime
    avatar_key: str | None
    last_order_at: datetime | None

    @property
    def id(self) -> UUID:
        """The customer's."""
        return self.held.id


async def take_turn(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Waits until no other merge is about any of these customers."""
    await tx.value(TURN, list(customer_ids))


async def is_turn(tx: Tx, customer_ids: Sequence[UUID]) -> bool:
    """Whether no merge is about any of these customers; if so none will be until this transaction ends, but others may look."""
    return await tx.value(TRY_TURN, list(customer_ids))


async def hold(tx: Tx, customer_ids: Sequence[UUID]) -> dict[UUID, Party]:
    """These customers, deleted and merged ones too, and who was merged into them: nobody maps an order to them, adds to them or
    changes them meanwhile.

    Contacts first, then customers in the order of their ids. Raises one of `kit.db.RACES` when a contact came in between.
    """
    asked = list(customer_ids)
    known = {Identity(*row) for row in await tx.rows(contacts.HELD, asked)}
    await contacts.lock(tx, known)
    rows = await tx.rows(HOLD, asked)
    new = {Identity(*row) for row in await tx.rows(contacts.HELD, asked)} - known
    if any(identity.key is not None for identity in new):
        raise asyncpg.SerializationError("an order brought another contact a moment ago")
    return {
        id: Party(
            Held(id, Profile(*profile), before, deleted_at, merged_into_id), created_at, avatar_key, last_order_at
        )
        for id, before, deleted_at, merged_into_id, created_at, avatar_key, last_order_at, *profile in rows
    }


# --- taken in ------------------------------------------------------------------------------------------------------------

BURY: Final = """
    update customer c
       set deleted_at = now(), merged_into_id = $2, updated_at = now(), version = c.version + 1
     where c.workspace_id = $1 and c.id = any($3::uuid[])
    returning c.id, c.id"""
# Who was merged into one of them before is led to the end at once.
LEAD_ON: Final = """
    update customer c set merged_into_id = $2
      from customer was
     where c.workspace_id = $1 and c.merged_into_id = any($3::uuid[]) and was.workspace_id = $1 and was.id = c.id
    returning was.merged_into_id, c.id"""
DRESS: Final = """
    update customer c set created_at = $3, avatar_key = $4 where c.workspace_id = $1 and c.id = $2"""
# Of contacts that several have in the same spelling one row stays, and what is known against the contact with it.
TWINS: Final = """(
        select i.id, i.customer_id, i.other_names, i.is_hub,
               first_value(i.id) over spelling as stays, row_number() over spelling as place
          from customer_identity i
         where i.workspace_id = $1 and i.customer_id = any($3::uuid[])
        window spelling as (partition by i.kind, i.source, i.shop, i.value
                                order by (i.customer_id = $2) desc, array_position($3::uuid[], i.customer_id), i.id))"""
JOIN_KNOWLEDGE: Final = f"""
    with twin as materialized {TWINS},
    learnt as (
        select t.stays as id, bool_or(t.is_hub) as is_hub,
               (array_agg(distinct name order by name) filter (where name is not null))[1:$4] as names
          from twin t left join lateral unnest(t.other_names) as name on true
         group by t.stays
        having count(distinct t.id) > 1)
    update customer_identity i
       set other_names = coalesce(l.names, '{{}}'), is_hub = l.is_hub
      from learnt l
      join customer_identity was on was.workspace_id = $1 and was.id = l.id
     where i.workspace_id = $1 and i.id = l.id and (i.other_names, i.is_hub) is distinct from (coalesce(l.names, '{{}}'), l.is_hub)
    returning i.customer_id, i.id, jsonb_build_object('otherNames', was.other_names, 'isHub', was.is_hub)"""
JOIN_CONTACTS: Final = f"""
    with twin as materialized {TWINS}
    delete from customer_identity i
     using twin t
     where i.workspace_id = $1 and i.id = t.id and t.place > 1
    returning i.customer_id, i.id, to_jsonb(i)"""
MOVE_CONTACTS: Final = """
    update customer_identity i
       set customer_id = $2, version = i.version + 1,
           matched_by = case when i.matched_by = 'profile' then 'merged' else i.matched_by end
      from customer_identity was
     where i.workspace_id = $1 and i.customer_id = any($3::uuid[]) and was.workspace_id = $1 and was.id = i.id
    returning was.customer_id, i.id, jsonb_build_object('matchedBy', was.matched_by)"""
# What the profile said and says no longer leads here all the same.
KEEP_FORMER: Final = """
    update customer_identity i set matched_by = 'merged'
     where i.workspace_id = $1 and i.customer_id = $2 and i.matched_by = 'profile'
    returning i.customer_id, i.id, jsonb_build_object('matchedBy', 'profile')"""

KNOWLEDGE: Final = "customer_identity/known"
SAID_BY: Final = "customer_identity/profile"
LACKING: Final = "customer/lacking"


class Dress(msgspec.Struct, frozen=True):
    """What of a customer is no part of its profile: since when it is known, and the file of its picture."""

    created_at: datetime
    avatar_key: str | None


async def absorb(
    tx: Tx, merge_id: UUID, primary: Party, others: Sequence[Party], new: Held, dress: Dress
) -> list[Event]:
    """Makes the others tombstones of the primary, which gets this profile and all contacts; notes what that did.

    All must be held. Returns what an edit of the primary's profile publishes, to be published once everybody knows of the merge.
    Raises one of `kit.db.RACES`.
    """
    gone = [party.id for party in others]
    definitions = await many.known_definitions(tx)
    await merge_rows.note(tx, merge_id, CUSTOMER, "moved", await tx.rows(BURY, primary.id, gone))
    await merge_rows.note(tx, merge_id, TOMBSTONE, "moved", await tx.rows(LEAD_ON, primary.id, gone))
    if definitions.has_index:
        await custom_field_index.keep(tx, definitions, gone)
    everybody = [primary.id, *gone]
    await merge_rows.note(
        tx, merge_id, KNOWLEDGE, "changed", await tx.rows(JOIN_KNOWLEDGE, primary.id, everybody, contacts.HUB_NAMES)
    )
    await merge_rows.note(tx, merge_id, CONTACT, "removed", await tx.rows(JOIN_CONTACTS, primary.id, everybody))
    await merge_rows.note(tx, merge_id, CONTACT, "moved", await tx.rows(MOVE_CONTACTS, primary.id, gone))
    old = primary.held
    if _gives_up_a_contact(old.profile, new.profile):
        await merge_rows.note(tx, merge_id, SAID_BY, "changed", await tx.rows(KEEP_FORMER, primary.id))
    changes: dict[str, Any] = journal.changes_of(old, new)
    if dress.created_at != primary.created_at:
        changes["createdAt"] = [primary.created_at, dress.created_at]
    if dress.avatar_key != primary.avatar_key:
        changes["avatarKey"] = [primary.avatar_key, dress.avatar_key]
    await merge_rows.note(tx, merge_id, CUSTOMER, "changed", [(primary.id, primary.id, changes)])
    await tx.run(DRESS, primary.id, dress.created_at, dress.avatar_key)
    facts: list[Event] = []
    await many.store(tx, [(old, new)], definitions, later=facts)
    return _by_merge(merge_id, facts)


def _by_merge(merge_id: UUID, facts: Sequence[Event]) -> list[Event]:
    """Facts that say which merge they are of: who hears that a contact is another one may know it already."""
    return [
        msgspec.structs.replace(fact, merge_id=merge_id) if isinstance(fact, CustomerChanged) else fact
        for fact in facts
    ]


def _gives_up_a_contact(old: Profile, new: Profile) -> bool:
    return any(
        getattr(old, field) is not None and getattr(old, field) != getattr(new, field)
        for field in ("email", "phone", "external_id")
    )


async def clashes(tx: Tx, new: Held, old: Held, others: Sequence[UUID]) -> list[many.Clash]:
    """What stands in the way of a profile for one who takes these others in: what somebody else has."""
    found = await many.clashes(tx, [(old, new)], await many.known_definitions(tx))
    return [clash for clash in found.get(old.id, ()) if clash.holder not in others]


# --- put back ------------------------------------------------------------------------------------------------------------

NOTED: Final = """
    select r.before from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer' and r.deed = 'changed' and r.former_id = $3"""
# A contact that somebody has moved or removed since is theirs to decide.
GONE_CONTACTS: Final = """
    select r.row_id, i.customer_id is not null
      from customer_merge_row r
      left join customer_identity i on i.workspace_id = $1 and i.id = r.row_id
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_identity' and r.deed = 'moved'
       and i.customer_id is distinct from $3"""
MOVE_BACK: Final = """
    update customer_identity i
       set customer_id = r.former_id, version = i.version + 1,
           matched_by = case when i.matched_by = 'merged' then r.before ->> 'matchedBy' else i.matched_by end
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_identity' and r.deed = 'moved'
       and i.workspace_id = $1 and i.id = r.row_id and i.customer_id is not distinct from $3
       and not exists (select 1 from customer_identity t
                        where t.workspace_id = $1 and t.customer_id = r.former_id and t.kind = i.kind and t.source = i.source
                          and t.shop = i.shop and t.value = i.value)"""
MAKE_ANEW: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by, other_names,
           is_hub, created_at, released_at, version)
    select $1, b.id, b.customer_id, b.kind, b.source, b.shop, b.value, b.key, b.quality, b.matched_by, b.other_names, b.is_hub,
           b.created_at, b.released_at, b.version
      from customer_merge_row r
     cross join lateral jsonb_populate_record(null::customer_identity, r.before) as b
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_identity' and r.deed = 'removed' and r.stayed is null
        on conflict do nothing"""
UNLEARN: Final = """
    update customer_identity i
       set other_names = array(select jsonb_array_elements_text(r.before -> 'otherNames')), is_hub = (r.before ->> 'isHub')::boolean
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_identity/known'
       and i.workspace_id = $1 and i.id = r.row_id"""
UNKEEP_FORMER: Final = """
    update customer_identity i set matched_by = 'profile'
      from customer_merge_row r
      join customer c on c.workspace_id = $1 and c.id = $3
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'customer_identity/profile'
       and i.workspace_id = $1 and i.id = r.row_id and i.customer_id = $3 and i.matched_by = 'merged'
       and i.value = case i.kind when 'email' then c.email when 'phone' then c.phone else c.external_id end"""
CHANNELS_TAKEN: Final = """
    select c.id, i.customer_id
      from customer c
      join customer_identity i on i.workspace_id = $1 and i.kind = 'channel' and i.released_at is null and i.source = c.source
           and i.shop = '' and i.value = c.external_id and i.customer_id <> c.id
     where c.workspace_id = $1 and c.id = any($2::uuid[])"""
LEAD_BACK: Final = """
    update customer c set merged_into_id = r.former_id
      from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'tombstone'
       and c.workspace_id = $1 and c.id = r.row_id and c.merged_into_id = $3"""
RAISE: Final = """
    update customer c
       set deleted_at = null, merged_into_id = null, updated_at = now(), version = c.version + 1,
           email = case when n.loses_email then null else c.email end,
           external_id = case when n.loses_external_id then null else c.external_id end,
           custom_fields = c.custom_fields - coalesce(string_to_array(n.keys, chr(31)), '{}')
      from unnest($2::uuid[], $3::boolean[], $4::boolean[], $5::text[]) as n (id, loses_email, loses_external_id, keys)
     where c.workspace_id = $1 and c.id = n.id"""


async def give_back(tx: Tx, merge_id: UUID, primary: Party, others: Sequence[Party]) -> list[Event]:
    """Undoes `absorb`: the others are by themselves again with their contacts, the primary's profile is as it was.

    All must be held. What was changed since stays as it is, and what somebody else has by now stays theirs; that is noted.
    Returns what an edit of the primary's profile publishes, as `absorb` does. Raises one of `kit.db.RACES`.
    """
    definitions = await many.known_definitions(tx)
    lost = await tx.rows(GONE_CONTACTS, merge_id, primary.id)
    await merge_rows.stayed(
        tx,
        merge_id,
        CONTACT,
        [(id, worded("it is another customer's now" if has else "it was removed since")) for id, has in lost],
    )
    await tx.run(UNLEARN, merge_id)
    await tx.run(MOVE_BACK, merge_id, primary.id)
    await merge_rows.left_to_files(tx, merge_id, CONTACT, "identity", {"matched_by": "import"})
    await tx.run(MAKE_ANEW, merge_id)
    facts = await _undress(tx, merge_id, primary)
    await tx.run(UNKEEP_FORMER, merge_id, primary.id)
    await tx.run(LEAD_BACK, merge_id, primary.id)
    pairs: list[Pair] = [
        (party.held, msgspec.structs.replace(party.held, deleted_at=None, merged_into_id=None)) for party in others
    ]
    lacking: dict[UUID, list[many.Clash]] = dict(await many.clashes(tx, pairs, definitions))
    for id, holder in await tx.rows(CHANNELS_TAKEN, [party.id for party in others]):
        taken = many.Clash("externalId", "external-id-taken", f"Customer {holder} has this external id now.", holder)
        lacking.setdefault(id, []).append(taken)
    told = [(id, id, " ".join(f"{clash.field}: {clash.message}" for clash in found)) for id, found in lacking.items()]
    await merge_rows.kept(tx, merge_id, LACKING, told)
    fields = {id: {clash.field for clash in found} for id, found in lacking.items()}
    await tx.run(
        RAISE,
        [party.id for party in others],
        ["email" in fields.get(party.id, ()) for party in others],
        ["externalId" in fields.get(party.id, ()) for party in others],
        [_custom(fields.get(party.id, ())) for party in others],
    )
    if definitions.has_index:
        await custom_field_index.keep(tx, definitions, [party.id for party in others])
    return facts


def _custom(names: Iterable[str]) -> str | None:
    keys = sorted(name.removeprefix(many.CUSTOM) for name in names if name.startswith(many.CUSTOM))
    return chr(31).join(keys) or None


async def _undress(tx: Tx, merge_id: UUID, primary: Party) -> list[Event]:
    """Sets back what the merge made of the primary's profile, where it is still as the merge left it."""
    changes: dict[str, Any] = dict(await tx.value(NOTED, merge_id, primary.id) or {})
    born, picture = changes.pop("createdAt", None), changes.pop("avatarKey", None)
    kept: list[str] = []
    created_at, avatar_key = primary.created_at, primary.avatar_key
    if born is not None:
        created_at = datetime.fromisoformat(born[0])
    if picture is not None and avatar_key == picture[1]:
        avatar_key = picture[0]
    elif picture is not None:
        kept.append("avatarUrl")
    await tx.run(DRESS, primary.id, created_at, avatar_key)
    back, more = journal.undone(primary.held, changes)
    pair = (primary.held, back)
    definitions = await many.known_definitions(tx)
    clashes = (await many.clashes(tx, [pair], definitions)).get(primary.id, ())
    if clashes:
        names = {clash.field for clash in clashes}
        back = journal.without(primary.held, back, names | ({"source"} if "externalId" in names else set()))
        more = sorted({*more, *names})
    facts: list[Event] = []
    await many.store(tx, [(primary.held, back)], definitions, later=facts)
    kept += more
    if kept:
        why = worded(f"{', '.join(kept)}: changed since, and stays as it is")
        await merge_rows.kept(tx, merge_id, CUSTOMER, [(primary.id, primary.id, why)])
    tx.changed(
        "customer", primary.id, primary.held.profile, back.profile, ("email", "phone", "name", "external_id", "tags")
    )
    return _by_merge(merge_id, facts)


# What an order brought has its time: both were written in one transaction.
FOLLOW: Final = """
    update customer_identity i set customer_id = n.to_id, version = i.version + 1
      from (select distinct on (u.at) u.to_id, u.at
              from unnest($3::uuid[], $4::timestamptz[]) as u (to_id, at) order by u.at, u.to_id) as n
     where i.workspace_id = $1 and i.customer_id = $2 and i.created_at = n.at
       and i.matched_by in ('channel_identity', 'email', 'phone', 'customer_id')
       and not exists (select 1 from customer_identity t
                        where t.workspace_id = $1 and t.customer_id = n.to_id and t.kind = i.kind and t.source = i.source
                          and t.shop = i.shop and t.value = i.value)"""


async def follow(tx: Tx, former_id: UUID, taken: Sequence[tuple[UUID, datetime]]) -> None:
    """Contacts that came with orders go along with them: to whom, and when the order came."""
    if taken:
        await tx.run(FOLLOW, former_id, *by_column(taken))
