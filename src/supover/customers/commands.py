"""What can be done with customers, one function a verb."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET

from supover.channels.model import Contact
from supover.customers import contacts, custom_field_index, custom_field_rules, custom_fields, many, queries, rules
from supover.customers.events import (
    CustomerBlocked,
    CustomerCreated,
    CustomerDeleted,
    CustomerRestored,
    DuplicateSuspected,
)
from supover.customers.model import (
    Customer,
    CustomerChange,
    CustomerErased,
    CustomerMerged,
    CustomerNotFound,
    CustomerReplacement,
    CustomerStale,
    EmailTaken,
    ExternalProfile,
    NewCustomer,
    Profile,
    Status,
)
from supover.kit import clock, ids, text
from supover.kit.db import Tx, json_bytes
from supover.kit.events import Event, publish
from supover.kit.problems import FieldError, Invalid, worded

_CONTACTS: Final = frozenset({"source", "externalId", "email", "phone", "country"})
"""What of a profile leads from orders to it."""


# --- create --------------------------------------------------------------------------------------------------------------

EMAIL_HOLDER: Final = """
    select c.id, c.name from customer c
     where c.workspace_id = $1 and lower(c.email) = lower($2) and c.deleted_at is null and c.id <> $3"""
ADD: Final = """
    insert into customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, date_of_birth, gender, status,
           country, tags, custom_fields, status_before_block)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict (workspace_id, lower(email)) where deleted_at is null do nothing"""


async def create(tx: Tx, new: NewCustomer) -> Customer:
    """A new customer. Raises Invalid, EmailTaken, ExternalIdTaken, CustomFieldValueTaken."""
    given = _given(new)
    if new.source is None:
        given["source"] = "MANUAL" if tx.actor.startswith("staff:") else "API"
    return await _create(tx, given)


async def _create(tx: Tx, given: dict[str, Any]) -> Customer:
    custom = await custom_fields.whole(tx, given["custom_fields"])
    profile = Profile(**_checked({**given, "custom_fields": custom.values}, custom.errors))
    rules.must_be_somebody(profile)
    profile = rules.with_phone(profile)
    id = ids.new()
    # Who has the email is asked only where somebody has; another who adds it at the same time is waited for.
    if not await tx.run(ADD, id, *_columns(profile), rules.status_to_return_to(None, profile.status, None)):
        await _email_must_be_free(tx, id, profile.email)
        raise asyncpg.UniqueViolationError("it had the email a moment ago")
    await _keep_contacts(tx, id, profile, is_new=True)
    if custom.by.has_index and profile.custom_fields:
        await custom_field_index.keep(tx, custom.by, [id], list(profile.custom_fields), is_new=True)
    now = clock.now()
    facts: list[Event] = [CustomerCreated(customer_id=id, at=now, by="api", source=profile.source)]
    if profile.status == "BLOCKED":
        facts.append(CustomerBlocked(customer_id=id, at=now))
    await publish(tx, facts)
    tx.changed("customer", id, None, profile, rules.FIELDS)
    found, stamp = await queries.written(tx, id)
    await custom_fields.settle(tx, id, custom.by, stamp, {}, profile.custom_fields, is_new=True)
    return found


def _checked(given: Mapping[str, Any], errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    """The fields as they are kept. Raises Invalid with what is wrong with them and with these errors."""
    try:
        kept = rules.checked(given, clock.now().date())
    except Invalid as wrong:
        raise Invalid([*wrong.errors, *errors]) from None
    custom_field_rules.refuse(errors)
    return kept


async def _email_must_be_free(tx: Tx, id: UUID, email: str | None, known: Profile | None = None) -> None:
    # Two at a time both pass; the unique index then lets one of them try again, and see the other.
    rows = [] if email is None else await tx.rows(EMAIL_HOLDER, email, id)
    for holder, name in rows:
        facts = [] if known is None else await suspicion(tx, (id, known.name), (holder, name), "email")
        raise EmailTaken(f"Customer {holder} has it.", extra={"customerId": str(holder)}, facts=facts)


SUSPECTED: Final = "select 1 from duplicate_pair where workspace_id = $1 and a_id = $2 and b_id = $3"


async def suspicion(
    tx: Tx, one: tuple[UUID, str | None], other: tuple[UUID, str | None], kind: contacts.Kind
) -> list[Event]:
    """That two customers (id, name) may be one person, because somebody said of one a contact that is the other's.

    Nothing where the pair is known, or where the first names do not go together: that was a slip, or a shared contact. It is
    said, not seen on an order: never reason enough to merge by itself.
    """
    a, b = sorted((one[0], other[0]))
    verdict = text.name_compatible(one[1] or "", other[1] or "")
    if verdict is text.Compatibility.INCOMPATIBLE or await tx.value(SUSPECTED, a, b) is not None:
        return []
    reasons = [_SAID[kind]]
    if verdict is text.Compatibility.COMPATIBLE:
        reasons.append(worded("first names go together"))
    return [DuplicateSuspected(customer_id=a, other_id=b, score=17.0, level="suggested", reasons=reasons, by=kind)]


_SAID: Final = {
    "channel": worded("somebody gave the one the other's buyer id"),
    "email": worded("somebody gave the one the other's email"),
    "phone": worded("somebody gave the one the other's phone"),
}


async def _keep_contacts(tx: Tx, id: UUID, profile: Profile, *, is_new: bool = False) -> None:
    await contacts.keep(
        tx,
        id,
        source=profile.source,
        external_id=profile.external_id,
        email=profile.email,
        phone=profile.phone,
        country=profile.country,
        matched_by="profile",
        is_new=is_new,
    )


def _given(body: msgspec.Struct) -> dict[str, Any]:
    return {f: v for f in body.__struct_fields__ if (v := getattr(body, f)) is not UNSET}


def _columns(profile: Profile) -> tuple[object, ...]:
    return (
        profile.source,
        profile.external_id,
        profile.email,
        profile.name,
        profile.phone,
        profile.phone_e164,
        profile.date_of_birth,
        profile.gender,
        profile.status,
        profile.country,
        list(profile.tags),
        json_bytes(profile.custom_fields),
    )


# --- change --------------------------------------------------------------------------------------------------------------

LOCK: Final = """
    select c.source, c.external_id, c.email, c.name, c.phone, c.phone_e164, c.date_of_birth, c.gender, c.status, c.country,
           c.tags, c.custom_fields, c.status_before_block, c.version, c.deleted_at, c.merged_into_id
      from customer c
     where c.workspace_id = $1 and c.id = $2
       for no key update"""


class Locked(msgspec.Struct, frozen=True):
    """A customer that nobody else changes until this transaction ends."""

    profile: Profile
    status_before_block: Status | None
    version: int
    deleted_at: datetime | None


async def lock(tx: Tx, id: UUID, version: int | None, *, deleted: bool = False, below: str = "") -> Locked:
    """Holds a customer until the transaction ends. Raises CustomerNotFound, CustomerMerged, CustomerStale."""
    rows = await tx.rows(LOCK, id)
    if not rows:
        raise CustomerNotFound
    *profile, before, found_version, deleted_at, merged_into_id = rows[0]
    if merged_into_id is not None:
        raise CustomerMerged.into(merged_into_id, below)
    if deleted_at is not None and not deleted:
        raise CustomerNotFound
    if version is not None and version != found_version:
        raise CustomerStale
    return Locked(Profile(*profile), before, found_version, deleted_at)


CHANGE: Final = """
    update customer
       set source = $3, external_id = $4, email = $5, name = $6, phone = $7, phone_e164 = $8, date_of_birth = $9, gender = $10,
           status = $11, country = $12, tags = $13, custom_fields = $14, status_before_block = $15,
           updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""


async def change(tx: Tx, id: UUID, wanted: CustomerChange, version: int | None = None) -> Customer:
    """Changes what is given; custom fields key by key, a null removes its key.

    Raises CustomerNotFound, CustomerMerged, CustomerStale, Invalid, EmailTaken, ExternalIdTaken, CustomFieldValueTaken.
    """
    old = await lock(tx, id, version)
    given = _given(wanted)
    if wanted.custom_fields is UNSET:
        return await store(tx, id, old, given)
    custom = await custom_fields.some(tx, wanted.custom_fields)
    merged = rules.merged_fields(old.profile.custom_fields, custom.values)
    return await store(tx, id, old, {**given, "custom_fields": merged}, custom)


async def replace(tx: Tx, id: UUID, wanted: CustomerReplacement, version: int | None = None) -> Customer:
    """Puts a profile in place of the one that is there. Raises as `change` does."""
    return await _replace(tx, id, await lock(tx, id, version), _given(wanted))


async def _replace(tx: Tx, id: UUID, old: Locked, given: dict[str, Any]) -> Customer:
    custom = await custom_fields.whole(tx, given["custom_fields"], old.profile.custom_fields)
    return await store(tx, id, old, {**given, "custom_fields": custom.values}, custom)


async def store(
    tx: Tx, id: UUID, old: Locked, given: Mapping[str, Any], custom: custom_fields.Taken | None = None
) -> Customer:
    """Keeps a changed profile and tells what changed; one that is as it was stays as it is, its version too.

    `custom` says how the custom fields that are given were taken. A tag that is there in other letters stays as written.
    """
    by = custom_fields.remembered(tx) if custom is None else custom.by
    kept = _checked(given, () if custom is None else custom.errors)
    if "tags" in kept:
        kept["tags"] = rules.spelled(kept["tags"], old.profile.tags)
    new = msgspec.structs.replace(old.profile, **kept)
    rules.must_be_somebody(new)
    changes = rules.changes(old.profile, new)
    if not changes:
        return await queries.find(tx, id)
    if "phone" in changes or "country" in changes:
        new = rules.with_phone(new)
    if "email" in changes:
        await _email_must_be_free(tx, id, new.email, new)
    before = rules.status_to_return_to(old.profile.status, new.status, old.status_before_block)
    await tx.run(CHANGE, id, *_columns(new), before)
    if _CONTACTS & changes.keys():
        await _keep_contacts(tx, id, new)
    before_and_after = old.profile.custom_fields, new.custom_fields
    if by.has_index and "customFields" in changes:
        await custom_field_index.keep(tx, by, [id], custom_field_rules.changed(*before_and_after))
    await publish(tx, many.facts_of(id, old.profile, new, clock.now()))
    tx.changed("customer", id, old.profile, new, rules.FIELDS)
    found, stamp = await queries.written(tx, id)
    await custom_fields.settle(tx, id, by, stamp, *before_and_after)
    return found


async def block(tx: Tx, id: UUID, version: int | None = None) -> Customer:
    """Blocks a customer; the status before is remembered. One that is blocked stays as it is."""
    return await store(tx, id, await lock(tx, id, version, below="/block"), {"status": "BLOCKED"})


async def unblock(tx: Tx, id: UUID, version: int | None = None) -> Customer:
    """Gives a blocked customer the status from before. One that is not blocked stays as it is."""
    old = await lock(tx, id, version, below="/unblock")
    if old.profile.status != "BLOCKED":
        return await queries.find(tx, id)
    return await store(tx, id, old, {"status": old.status_before_block or "ACTIVE"})


# --- by the channel's id -------------------------------------------------------------------------------------------------

BY_EXTERNAL_ID: Final = """
    select i.customer_id
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
     where i.workspace_id = $1 and i.kind = 'channel' and i.source = $2 and i.shop = '' and i.value = $3
       and i.released_at is null"""


async def put_external(
    tx: Tx, source: str, external_id: str, wanted: ExternalProfile, version: int | None = None
) -> tuple[Customer, bool]:
    """The customer whom a channel knows by this id, with this profile; True when it is a new one. Raises as `change` does."""
    key = rules.checked({"source": source, "external_id": external_id}, clock.now().date())
    # Of several that put the same new id, one creates and the others wait here, then find it.
    await contacts.lock(tx, contacts.identities_of(Contact(source=key["source"], external_id=key["external_id"])))
    id = await tx.value(BY_EXTERNAL_ID, key["source"], key["external_id"])
    given = _given(wanted)
    if id is not None:
        return await _replace(tx, id, await lock(tx, id, version), given), False
    if version is not None:
        raise CustomerStale("There is no customer with this external id.")
    return await _create(tx, {**key, **given}), True


# --- delete and restore --------------------------------------------------------------------------------------------------

DELETE: Final = """
    update customer c set deleted_at = now(), updated_at = now(), version = c.version + 1
     where c.workspace_id = $1 and c.id = $2
    returning (select s.stamp from custom_field_stamp s where s.workspace_id = $1)"""
ERASED: Final = "select 1 from customer where workspace_id = $1 and id = $2 and erased_at is not null"
RESTORE: Final = """
    update customer c set deleted_at = null, updated_at = now(), version = c.version + 1
     where c.workspace_id = $1 and c.id = $2
    returning (select s.stamp from custom_field_stamp s where s.workspace_id = $1)"""


async def delete(tx: Tx, id: UUID, version: int | None = None) -> None:
    """Puts a customer away and frees the contacts. Raises CustomerNotFound, CustomerMerged, CustomerStale."""
    await lock(tx, id, version)
    fields = await custom_fields.as_of(tx, await tx.value(DELETE, id))
    if fields.has_index:
        await custom_field_index.keep(tx, fields, [id])
    await contacts.release(tx, [id])
    await publish(tx, [CustomerDeleted(customer_id=id, at=clock.now())])


async def restore(tx: Tx, id: UUID, version: int | None = None) -> Customer:
    """Brings a deleted customer back; a living one stays as it is.

    Raises EmailTaken, ExternalIdTaken or CustomFieldValueTaken, naming the living customer who has it now, and CustomerErased.
    """
    old = await lock(tx, id, version, deleted=True, below="/restore")
    if old.deleted_at is not None:
        if await tx.value(ERASED, id):
            raise CustomerErased
        await contacts.reclaim(tx, id)
        fields = await custom_fields.as_of(tx, await tx.value(RESTORE, id))
        if fields.has_index:
            await custom_field_index.keep(tx, fields, [id])
        await publish(tx, [CustomerRestored(customer_id=id, at=clock.now())])
    return await queries.find(tx, id)
