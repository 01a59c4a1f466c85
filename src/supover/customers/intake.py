"""Customers that a channel tells of are taken in.

Whose profile it is: the channel's id, a real email, a real phone with a compatible first name, else a new one, by the
same decision as for orders (`contacts.resolve`). What a channel says goes into a field that is empty, or that still holds
what this channel wrote there last; what somebody else has written stays. What it leaves empty empties nothing.

Anybody can register in a shop with an email that is not theirs. So a field in which a channel only repeats what is there
does not become the channel's, and a customer whom its id did not make, under another first name, is told nothing new.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from supover.channels.model import ChannelCustomer, Contact
from supover.customers import contacts, rules
from supover.customers.events import CustomerChanged
from supover.kit import clock, text
from supover.kit.db import Tx, by_column, json_bytes
from supover.kit.events import publish

FIELDS: Final = ("name", "email", "phone", "country")


class CustomerTaken(msgspec.Struct, frozen=True):
    """What taking a customer in did; 'unchanged' also for what is older than what is known.

    Of who was erased nothing is taken in: 'erased'.
    """

    outcome: Literal["created", "updated", "unchanged", "erased"]
    customer_id: UUID | None


class _Profile(msgspec.Struct, frozen=True):
    id: UUID
    source: str
    external_id: str | None
    name: str | None
    email: str | None
    phone: str | None
    country: str | None
    tags: Sequence[str]


class _Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel says of its customer; as it is kept, only what it wrote."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    tags: Sequence[str] | None = None


Handle = tuple[str, str, str]

TOLD: Final = """
    select source, shop, external_id, source_updated_at, profile
      from customer_told
     where workspace_id = $1 and source = any($2::text[]) and shop = any($3::text[]) and external_id = any($4::text[])"""
PROFILES: Final = """
    select c.id, c.source, c.external_id, c.name, c.email, c.phone, c.country, c.tags
      from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[])
     order by c.id
       for update"""
EMAILS_TAKEN: Final = """
    select lower(c.email) from customer c
     where c.workspace_id = $1 and lower(c.email) = any($2::text[]) and c.deleted_at is null"""
CHANGE: Final = """
    update customer c
       set name = n.name, email = n.email, phone = n.phone, phone_e164 = n.phone_e164, country = n.country,
           tags = coalesce(string_to_array(n.tags, chr(31)), '{}'), updated_at = now(), version = c.version + 1
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
           as n (id, name, email, phone, phone_e164, country, tags)
     where c.workspace_id = $1 and c.id = n.id"""
KEEP: Final = """
    insert into customer_told (workspace_id, source, shop, external_id, source_updated_at, profile)
    select $1, n.source, n.shop, n.external_id, n.source_updated_at, n.profile
      from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[])
           as n (source, shop, external_id, source_updated_at, profile)
        on conflict (workspace_id, source, shop, external_id)
        do update set source_updated_at = greatest(customer_told.source_updated_at, excluded.source_updated_at),
           profile = excluded.profile"""


async def take_in(tx: Tx, told: Sequence[ChannelCustomer]) -> list[CustomerTaken]:
    """Takes customers in, in a handful of statements for any number; outcomes in order.

    Idempotent, and what is older than what the channel said already changes nothing. An email that another customer holds
    stays theirs: it is kept as a contact, and the pair suggested as duplicates. Each must have `contact.external_id`.
    Publishes CustomerChanged, and what `contacts.resolve` publishes.
    """
    if not told:
        return []
    taken: list[CustomerTaken | None] = [None] * len(told)
    await contacts.lock(tx, (i for one in told for i in contacts.identities_of(one.contact)))
    columns = [list(set(column)) for column in zip(*map(_handle, told), strict=True)]
    last: dict[Handle, tuple[datetime | None, _Told]] = {
        (source, shop, id): (at, msgspec.convert(profile, _Told))
        for source, shop, id, at, profile in await tx.rows(TOLD, *columns)
    }
    newest: dict[Handle, int] = {}
    for n, one in enumerate(told):
        handle = _handle(one)
        known_at = last[handle][0] if handle in last else None
        rival = newest.get(handle)
        if _is_older(one.updated_at, known_at) or (
            rival is not None and _is_older(one.updated_at, told[rival].updated_at)
        ):
            continue
        newest[handle] = n
    asked = sorted(newest.values())
    decisions = await contacts.resolve(tx, [told[n].contact for n in asked])
    known = [d.customer_id for d in decisions if d.customer_id is not None]
    profiles = {p.id: p for p in await tx.all(_Profile, PROFILES, known)}
    new = dict(profiles)
    wrote: dict[int, _Told] = {}
    for n, decision in zip(asked, decisions, strict=True):
        if decision.method == "erased":
            taken[n] = CustomerTaken("erased", None)
            continue
        ours = None if decision.customer_id is None else new.get(decision.customer_id)
        if ours is None:
            continue
        before = last[_handle(told[n])][1] if _handle(told[n]) in last else _Told()
        contact = told[n].contact
        is_own = (ours.source, ours.external_id) == (contact.source, contact.external_id)
        alike = text.name_compatible(contact.name or "", ours.name or "")
        is_stranger = not is_own and alike == text.Compatibility.INCOMPATIBLE
        new[ours.id], wrote[n] = _merged(
            ours,
            before,
            _Told() if is_stranger else _said(told[n]),
            is_own=is_own,
        )
        taken[n] = CustomerTaken("created" if decision.created else "unchanged", ours.id)
    changed = await _store(tx, profiles, new)
    kept = [n for n, d in zip(asked, decisions, strict=True) if d.method != "erased"]
    if kept:
        await tx.run(
            KEEP,
            *by_column((*_handle(told[n]), told[n].updated_at, json_bytes(wrote.get(n, _Told()))) for n in kept),
        )
    found: dict[Handle, UUID | None] = {
        _handle(told[n]): None if d.method == "erased" else d.customer_id for n, d in zip(asked, decisions, strict=True)
    }
    return [
        CustomerTaken("unchanged", found.get(_handle(one)))
        if t is None
        else CustomerTaken("updated", t.customer_id)
        if t.outcome == "unchanged" and t.customer_id in changed
        else t
        for t, one in zip(taken, told, strict=True)
    ]


def _handle(one: ChannelCustomer) -> Handle:
    return one.contact.source, one.contact.shop, one.contact.external_id or ""


def _is_older(at: datetime | None, than: datetime | None) -> bool:
    return at is not None and than is not None and at < than


def _said(one: ChannelCustomer) -> _Told:
    """What a channel says of a profile, as profiles keep it."""
    contact: Contact = one.contact
    real = {i.kind: i.value for i in contacts.identities_of(contact) if i.quality in ("real", "relay")}
    email = text.email_shown(real["email"]) if "email" in real else None
    name = text.clean(contact.name or "")[: rules.NAME_LENGTH] or None
    return _Told(
        name=name,
        email=email,
        phone=real.get("phone"),
        country=contact.country,
        tags=None if one.tags is None else rules.told_tags(one.tags),
    )


def _merged(ours: _Profile, before: _Told, now: _Told, *, is_own: bool) -> tuple[_Profile, _Told]:
    """The profile with what the channel may write there, and what of it is then the channel's.

    `is_own`: the channel's id made this customer, so that what stands there is what the channel said.
    """
    fields: dict[str, Any] = {}
    wrote: dict[str, Any] = {}
    for field in FIELDS:
        own, was, told = getattr(ours, field), getattr(before, field), getattr(now, field)
        may_write = own is None or own == was
        if told is not None and told != own and may_write:
            fields[field] = told
        wrote[field] = told if may_write or (is_own and told == own) else None
        if told is None and may_write:
            wrote[field] = was
    if now.tags is None:
        return msgspec.structs.replace(ours, **fields), _Told(**wrote, tags=before.tags)
    gone = rules.without(before.tags or (), now.tags)
    new = rules.without(now.tags, before.tags or ())
    tags = rules.distinct([*rules.without(ours.tags, gone), *new])
    return msgspec.structs.replace(ours, **fields, tags=tags[: rules.MAX_TAGS]), _Told(**wrote, tags=now.tags)


async def _store(tx: Tx, old: Mapping[UUID, _Profile], new: Mapping[UUID, _Profile]) -> set[UUID]:
    """Stores the profiles that changed, each with an email only where nobody holds it; returns whose they were."""
    wanted = {p.email.lower() for id, p in new.items() if p.email and p.email != old[id].email}
    taken: set[str] = set(await tx.column(EMAILS_TAKEN, sorted(wanted))) if wanted else set()
    rows: list[tuple[Any, ...]] = []
    events: list[CustomerChanged] = []
    now = clock.now()
    for id, profile in new.items():
        was = old[id]
        if profile.email and profile.email != was.email:
            email = profile.email.lower()
            if email in taken and email != (was.email or "").lower():
                profile = msgspec.structs.replace(profile, email=was.email)
            taken.add(email)
        changes: dict[str, list[Any]] = {
            field: [getattr(was, field), getattr(profile, field)]
            for field in FIELDS
            if getattr(was, field) != getattr(profile, field)
        }
        if list(was.tags) != list(profile.tags):
            changes["tags"] = [list(was.tags), list(profile.tags)]
        if not changes:
            continue
        e164 = text.phone_e164(profile.phone, profile.country) if profile.phone else None
        tags = chr(31).join(profile.tags) if profile.tags else None
        rows.append((id, profile.name, profile.email, profile.phone, e164, profile.country, tags))
        events.append(CustomerChanged(customer_id=id, at=now, changes=changes))
    if rows:
        await tx.run(CHANGE, *by_column(rows))
        await publish(tx, events)
    return {row[0] for row in rows}
