"""What comes along with customers when `include` asks for it: one statement for each thing, however many customers."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from supover.customers import identities
from supover.customers.model import Customer, CustomerNote, RecentOrder
from supover.kit import money
from supover.kit.db import Reader

IDENTITIES: Final = 50
NOTES: Final = 20
ORDERS: Final = 5

T = TypeVar("T")

NEWEST_NOTES: Final = """
    select p.id, n.id, n.note, n.pinned, n.author_name, n.created_at
      from unnest($2::uuid[]) as p (id)
     cross join lateral (
           select n.id, n.note, n.pinned, n.author_name, n.created_at
             from customer_note n
            where n.workspace_id = $1 and n.customer_id = p.id
            order by n.pinned desc, n.id desc
            limit $3) as n
     order by n.pinned desc, n.id desc"""
NEWEST_ORDERS: Final = """
    select p.id, o.id, o.number, o.source, o.status, o.total, o.refunded, o.currency, o.placed_at
      from unnest($2::uuid[]) as p (id)
     cross join lateral (
           select o.id, o.number, o.source, o.status, o.total, o.refunded, o.currency, o.placed_at
             from "order" o
            where o.workspace_id = $1 and o.customer_id = p.id
            order by o.placed_at desc, o.id desc
            limit $3) as o
     order by o.placed_at desc, o.id desc"""


async def with_them(db: Reader, customers: Sequence[Customer], asked: Collection[str]) -> list[Customer]:
    """The customers with what was asked for of identities, notes and orders."""
    found = list(customers)
    ids = [customer.id for customer in found]
    if not ids:
        return found
    if "identities" in asked:
        contacts = await identities.newest(db, ids, IDENTITIES)
        found = [msgspec.structs.replace(c, identities=contacts[c.id]) for c in found]
    if "notes" in asked:
        notes = _by_customer(ids, await db.rows(NEWEST_NOTES, ids, NOTES), CustomerNote)
        found = [msgspec.structs.replace(c, notes=notes[c.id]) for c in found]
    if "orders" in asked:
        orders = _by_customer(ids, [_shown(row) for row in await db.rows(NEWEST_ORDERS, ids, ORDERS)], RecentOrder)
        found = [msgspec.structs.replace(c, orders=orders[c.id]) for c in found]
    return found


def _shown(row: Sequence[Any]) -> tuple[Any, ...]:
    """The row of an order with its amounts at its currency's digits."""
    *facts, total, refunded, currency, placed_at = row
    return (*facts, money.at_digits(total, currency), money.at_digits(refunded, currency), currency, placed_at)


def _by_customer(ids: Sequence[UUID], rows: Sequence[Sequence[Any]], shape: type[T]) -> Mapping[UUID, list[T]]:
    found: dict[UUID, list[T]] = {id: [] for id in ids}
    for customer_id, *row in rows:
        found[customer_id].append(shape(*row))
    return found
