"""A part of a customer becomes a customer: orders and contacts that are another person's."""

from collections.abc import Sequence
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from supover.customers import absorbing, many, parting, queries
from supover.customers.events import CustomerCreated, CustomerSplit
from supover.customers.model import CustomerMerged, CustomerNotFound, Profile
from supover.customers.rules import FIELDS, NAME_LENGTH
from supover.kit import clock, ids, text
from supover.kit.db import Tx
from supover.kit.events import publish
from supover.kit.problems import FieldError, Invalid
from supover.merging.model import NewSplit, NothingToSplit, SplitAnswer

MOST: Final = 1_000
"""Rows of a kind that are split off at once."""

ORDERS: Final = """
    select o.id, o.name, o.placed_at from "order" o
     where o.workspace_id = $1 and o.customer_id = $2 and o.id = any($3::uuid[])
     order by o.id
       for update"""
# A contact goes in all its spellings: one that stayed would go on matching.
CONTACTS: Final = """
    select i.id, i.id = any($3::uuid[]), i.kind, i.source, i.shop, i.value, i.key, i.quality
      from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2 and i.released_at is null
       and (i.id = any($3::uuid[])
            or (i.kind <> 'channel' and exists (select 1 from customer_identity g
                                                 where g.workspace_id = $1 and g.customer_id = $2 and g.id = any($3::uuid[])
                                                   and g.kind = i.kind and g.key = i.key)))
     order by i.created_at, i.id"""
ADDRESSES: Final = """
    select a.id from address a where a.workspace_id = $1 and a.customer_id = $2 and a.id = any($3::uuid[])"""
NOTES: Final = """
    select t.id from customer_note t where t.workspace_id = $1 and t.customer_id = $2 and t.id = any($3::uuid[])"""


class _Contact(msgspec.Struct, frozen=True):
    id: UUID
    was_named: bool
    kind: Literal["channel", "email", "phone"]
    source: str
    shop: str
    value: str
    key: str | None
    quality: str


async def split(tx: Tx, customer_id: UUID, wanted: NewSplit) -> SplitAnswer:
    """Makes a new customer of a part of one; later orders by the contacts that went along are the new one's.

    Raises CustomerNotFound, CustomerMerged, Invalid naming what is not the customer's, NothingToSplit where nothing would say who
    is left; one of `kit.db.RACES` when others were quicker. Publishes CustomerCreated and CustomerSplit.
    """
    _asked(wanted)
    await absorbing.take_turn(tx, [customer_id])
    party = (await absorbing.hold(tx, [customer_id])).get(customer_id)
    if party is None:
        raise CustomerNotFound
    if party.held.merged_into_id is not None:
        raise CustomerMerged.into(party.held.merged_into_id, "/split")
    if party.held.deleted_at is not None:
        raise CustomerNotFound
    orders = await tx.rows(ORDERS, customer_id, list(wanted.order_ids))
    contacts = await tx.all(_Contact, CONTACTS, customer_id, list(wanted.identity_ids))
    addresses: list[UUID] = await tx.column(ADDRESSES, customer_id, list(wanted.address_ids))
    notes: list[UUID] = await tx.column(NOTES, customer_id, list(wanted.note_ids))
    _must_be_theirs(
        ("orderIds", wanted.order_ids, [row[0] for row in orders]),
        ("identityIds", wanted.identity_ids, [c.id for c in contacts if c.was_named]),
        ("addressIds", wanted.address_ids, addresses),
        ("noteIds", wanted.note_ids, notes),
    )
    name = text.clean(wanted.name or "") or _name_of(orders) or party.held.profile.name
    new, given = _profiles(party.held, contacts, name)
    left = given.profile
    if not left.is_somebody:
        raise NothingToSplit("Nothing would say who is left: give it a name first.")
    if not new.profile.is_somebody:
        raise Invalid.at("/name", "required", "is needed: nothing else says who the new customer is")
    definitions = await many.known_definitions(tx)
    identity_ids = [c.id for c in contacts]
    await parting.part(tx, party.held, given, new, identity_ids, definitions)
    tx.changed("customer", customer_id, party.held.profile, given.profile, FIELDS)
    tx.changed("customer", new.id, None, new.profile, FIELDS)
    now = clock.now()
    order_ids: list[UUID] = [row[0] for row in orders]
    await publish(
        tx,
        [
            CustomerCreated(customer_id=new.id, at=now, by="split", source=new.profile.source),
            CustomerSplit(
                customer_id=customer_id,
                at=now,
                new_id=new.id,
                order_ids=order_ids,
                identity_ids=identity_ids,
                address_ids=addresses,
                note_ids=notes,
            ),
        ],
    )
    moved = {
        "orders": len(order_ids),
        "identities": len(identity_ids),
        "addresses": len(addresses),
        "notes": len(notes),
    }
    return SplitAnswer(await queries.find(tx, new.id), await queries.find(tx, customer_id), moved)


def _asked(wanted: NewSplit) -> None:
    errors: list[FieldError] = []
    if not wanted.order_ids and not wanted.identity_ids:
        errors.append(FieldError("", "required", "at least one of orderIds and identityIds is needed"))
    for field in ("order_ids", "identity_ids", "address_ids", "note_ids"):
        given: Sequence[UUID] = getattr(wanted, field)
        pointer = f"/{field.partition('_')[0]}Ids"
        if len(given) > MOST:
            errors.append(FieldError(pointer, "length", f"can name at most {MOST}"))
        elif len(set(given)) < len(given):
            seen: set[UUID] = set()
            errors += [
                FieldError(f"{pointer}/{n}", "repeated", "is named twice")
                for n, id in enumerate(given)
                if id in seen or seen.add(id)
            ]
    if wanted.name is not None and len(text.clean(wanted.name)) > NAME_LENGTH:
        errors.append(FieldError("/name", "length", f"can have at most {NAME_LENGTH} characters"))
    if errors:
        raise Invalid(errors)


def _must_be_theirs(*asked: tuple[str, Sequence[UUID], Sequence[UUID]]) -> None:
    errors = [
        FieldError(f"/{field}/{n}", "unknown", "is not this customer's")
        for field, named, found in asked
        for n, id in enumerate(named)
        if id not in set(found)
    ]
    if errors:
        raise Invalid(errors)


def _name_of(orders: Sequence[tuple[Any, ...]]) -> str | None:
    """The name that the newest of the orders came with."""
    newest_first = sorted(orders, key=lambda row: (row[2], row[0]), reverse=True)
    return next((kept for row in newest_first if (kept := text.clean(row[1] or "")[:NAME_LENGTH])), None)


def _profiles(old: many.Held, contacts: Sequence[_Contact], name: str | None) -> tuple[many.Held, many.Held]:
    """The new customer, and what is left of the former one: contacts that go along leave its profile."""
    was = old.profile
    gone: dict[str, Any] = {}
    given: dict[str, Any] = {"source": was.source, "name": name, "country": was.country}
    for c in contacts:
        match c.kind:
            case "channel":
                if "external_id" not in given and not c.shop:
                    given |= {"source": c.source, "external_id": c.value}
                if (was.source, was.external_id) == (c.source, c.value):
                    gone["external_id"] = None
            case "email":
                if "email" not in given and c.quality in ("real", "relay") and text.email_shown(c.value):
                    given["email"] = c.value
                if was.email is not None and (
                    was.email.lower() == c.value.lower() or (c.key is not None and text.email_key(was.email) == c.key)
                ):
                    gone["email"] = None
            case "phone":
                if "phone" not in given and c.quality == "real":
                    given |= {"phone": c.value, "phone_e164": c.key}
                if was.phone is not None and (was.phone == c.value or (c.key is not None and was.phone_e164 == c.key)):
                    gone |= {"phone": None, "phone_e164": None}
    new = many.Held(ids.new(), Profile(**given))
    return new, msgspec.structs.replace(old, profile=msgspec.structs.replace(was, **gone))
