"""Addresses are kept, changed and removed; order intake keeps many at once."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET

from supover.addresses import queries, rules
from supover.addresses.events import AddressAdded, AddressChanged, AddressRemoved
from supover.addresses.model import Address, AddressNotFound, AddressStale, NewAddress, TooManyAddresses
from supover.channels.model import PostalAddress
from supover.kit import clock, ids
from supover.kit.db import Tx
from supover.kit.events import publish

FIELDS: Final = (
    "type", "is_default", "line1", "line2", "city", "state", "postal_code", "country", "recipient_name", "phone",
    "validation_skipped",
)  # fmt: skip

# Which of a customer's addresses is the default is decided one at a time.
LOCK_CUSTOMER: Final = "select c.name from customer c where c.workspace_id = $1 and c.id = $2 for no key update"
# An address of both types stands in the way of either.
TAKEN: Final = """
    select exists (select 1 from address a
                    where a.workspace_id = $1 and a.customer_id = $2 and a.is_default
                      and (a.type = $3 or a.type = 'BOTH' or $3 = 'BOTH'))"""
UNSET_DEFAULT: Final = """
    update address set is_default = false, updated_at = now(), version = version + 1
     where workspace_id = $1 and customer_id = $2 and id <> $3 and is_default
       and (type = $4 or type = 'BOTH' or $4 = 'BOTH')"""
ADD: Final = """
    insert into address (workspace_id, customer_id, id, type, is_default, line1, line2, city, state, postal_code, country,
           recipient_name, phone, validated_at, validation_skipped, match_key)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"""
CHANGE: Final = """
    update address
       set type = $4, is_default = $5, line1 = $6, line2 = $7, city = $8, state = $9, postal_code = $10, country = $11,
           recipient_name = $12, phone = $13, validated_at = $14, validation_skipped = $15, match_key = $16,
           updated_at = now(), version = version + 1
     where workspace_id = $1 and customer_id = $2 and id = $3"""


async def create(tx: Tx, customer_id: UUID, new: NewAddress) -> Address:
    """One more address. The first of its type is the default. Raises Invalid, TooManyAddresses."""
    kept, fits = rules.checked(new)
    name = await tx.value(LOCK_CUSTOMER, customer_id)
    if await queries.count(tx, customer_id) >= rules.MAX_ADDRESSES:
        raise TooManyAddresses(f"{rules.MAX_ADDRESSES} are the most.")
    id = ids.new()
    is_default = not await tx.value(TAKEN, customer_id, kept.type) if kept.is_default is UNSET else kept.is_default
    if is_default:
        await tx.run(UNSET_DEFAULT, customer_id, id, kept.type)
    await tx.run(ADD, customer_id, id, *_columns(kept, is_default, name, fits))
    await publish(tx, [AddressAdded(customer_id=customer_id, at=clock.now(), address_id=id)])
    address = await queries.find(tx, customer_id, id)
    tx.changed("address", id, None, address, FIELDS)
    return address


async def replace(tx: Tx, customer_id: UUID, id: UUID, new: NewAddress, version: int | None = None) -> Address:
    """Puts an address in another's place; whether it is the default stays unless told.

    Raises AddressNotFound, AddressStale, Invalid.
    """
    kept, fits = rules.checked(new)
    name = await tx.value(LOCK_CUSTOMER, customer_id)
    old = await _find(tx, customer_id, id, version)
    is_default = old.is_default if kept.is_default is UNSET else kept.is_default
    if is_default:
        await tx.run(UNSET_DEFAULT, customer_id, id, kept.type)
    await tx.run(CHANGE, customer_id, id, *_columns(kept, is_default, name, fits))
    return await _changed(tx, old)


MAKE_DEFAULT: Final = """
    update address set is_default = true, updated_at = now(), version = version + 1
     where workspace_id = $1 and customer_id = $2 and id = $3"""


async def make_default(tx: Tx, customer_id: UUID, id: UUID, version: int | None = None) -> Address:
    """Makes an address the default of its type. One that is already stays as it is."""
    await tx.value(LOCK_CUSTOMER, customer_id)
    old = await _find(tx, customer_id, id, version)
    if old.is_default:
        return old
    await tx.run(UNSET_DEFAULT, customer_id, id, old.type)
    await tx.run(MAKE_DEFAULT, customer_id, id)
    return await _changed(tx, old)


REMOVE: Final = "delete from address where workspace_id = $1 and customer_id = $2 and id = $3"


async def delete(tx: Tx, customer_id: UUID, id: UUID, version: int | None = None) -> None:
    """Removes an address; no other one becomes the default for it. Raises AddressNotFound, AddressStale."""
    await tx.value(LOCK_CUSTOMER, customer_id)
    old = await _find(tx, customer_id, id, version)
    await tx.run(REMOVE, customer_id, id)
    tx.changed("address", id, old, None, FIELDS)
    await publish(tx, [AddressRemoved(customer_id=customer_id, at=clock.now(), address_id=id)])


async def _find(tx: Tx, customer_id: UUID, id: UUID, version: int | None) -> Address:
    found = await tx.one(Address, queries.FIND, customer_id, id, missing=AddressNotFound)
    if version is not None and version != found.version:
        raise AddressStale
    return found


async def _changed(tx: Tx, old: Address) -> Address:
    new = await queries.find(tx, old.customer_id, old.id)
    tx.changed("address", old.id, old, new, FIELDS)
    await publish(tx, [AddressChanged(customer_id=old.customer_id, at=clock.now(), address_id=old.id)])
    return new


def _columns(kept: NewAddress, is_default: bool, name: str | None, fits: bool) -> tuple[object, ...]:
    return (
        kept.type,
        is_default,
        kept.line1,
        kept.line2,
        kept.city,
        kept.state,
        kept.postal_code,
        kept.country,
        kept.recipient_name or name or "",
        kept.phone,
        clock.now() if fits else None,
        kept.validation_skipped,
        rules.match_key(kept),
    )


# --- many at once --------------------------------------------------------------------------------------------------------

VALIDATED_AT_ONCE: Final = 200
"""A bulk of more than this is kept as given: checking takes longer than keeping."""

# What is there is read once, before the first row is added: looked up row by row, a table that is still empty to the planner
# would be read from end to end for each. The first new place becomes the default where there is none.
KEEP_MANY: Final = """
    with held as materialized (
        select a.customer_id, a.match_key, a.is_default and a.type <> 'BILLING' as is_default
          from address a
         where a.workspace_id = $1 and a.customer_id = any($2::uuid[])),
    sums as materialized (
        select h.customer_id, count(*) as addresses, bool_or(h.is_default) as has_default from held h group by h.customer_id),
    fresh as (
        select n.*, row_number() over (partition by n.customer_id order by n.place) as number
          from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                      $11::text[], $12::boolean[], $13::text[])
               with ordinality as n (customer_id, id, line1, line2, city, state, postal_code, country, recipient_name, phone,
                                     fits, match_key, place)
          left join held h on h.customer_id = n.customer_id and h.match_key = n.match_key
         where h.customer_id is null)
    insert into address (workspace_id, id, customer_id, type, is_default, line1, line2, city, state, postal_code, country,
           recipient_name, phone, validated_at, match_key)
    select $1, f.id, f.customer_id, 'SHIPPING', f.number = 1 and not coalesce(s.has_default, false), f.line1, f.line2, f.city,
           f.state, f.postal_code, f.country, coalesce(f.recipient_name, c.name, ''), f.phone, case when f.fits then now() end,
           f.match_key
      from fresh f
      join customer c on c.workspace_id = $1 and c.id = f.customer_id
      left join sums s on s.customer_id = f.customer_id
     where coalesce(s.addresses, 0) + f.number <= $14"""


async def keep_many(tx: Tx, found: Sequence[tuple[UUID, PostalAddress]]) -> int:
    """Adds the places that came with orders and that their customer does not have yet; returns how many those were.

    One statement for any number. Only places with a first line; each is kept as given, as validated where it fits its
    country's rules (of at most 200 at once that is asked). What exceeds a customer's 200 is left out.
    """
    rows: dict[tuple[UUID, str], tuple[Any, ...]] = {}
    for customer_id, place in found:
        if not place.line1:
            continue
        key = rules.match_key(place)
        if (customer_id, key) not in rows:
            rows[customer_id, key] = (customer_id, place, key)
    if not rows:
        return 0
    validating = len(rows) <= VALIDATED_AT_ONCE
    columns = [
        (
            customer_id,
            ids.new(),
            place.line1,
            place.line2,
            place.city or "",
            place.state or "",
            place.postal_code or "",
            rules.country_code(place.country or "") or place.country or "",
            place.recipient_name,
            place.phone,
            validating and rules.fits(place),
            key,
        )
        for customer_id, place, key in rows.values()
    ]
    return await tx.run(KEEP_MANY, *(list(column) for column in zip(*columns, strict=True)), rules.MAX_ADDRESSES)
