"""Orders are found, listed and explained."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.kit import money
from supover.kit.db import Reader
from supover.kit.sql import Page, Sort, Where, like
from supover.orders import rules
from supover.orders.model import IdentityDecision, Order, OrderLine, OrderNotFound, Refund

CALLED: Final = "lower(coalesce(o.number, o.external_id))"
"""What an order `o` is called, as the index order_number has it: its number, or its id in the shop where it has none."""
_COLUMNS: Final = """o.id, o.external_id, o.number, o.source, o.shop, o.customer_id, o.status, o.financial_status, o.on_hold,
           o.hold_reason, o.needs_review, o.currency, o.subtotal, o.shipping, o.tax, o.discount, o.total, o.refunded,
           trim_scale(o.exchange_rate), o.placed_at, o.cancelled_at, o.delivered_at, o.email, o.phone, o.name, o.shipping_address,
           o.billing_address,
           (select coalesce(jsonb_agg(jsonb_build_array(l.id, l.sku, l.title, l.quantity, l.unit_price::text, l.properties)
                                      order by l.position), '[]')
              from order_line l where l.workspace_id = $1 and l.order_id = o.id),
           o.tags, o.note, o.created_at, o.updated_at, o.version"""
FIND: Final = f"""
    select {_COLUMNS}
      from "order" o
     where o.workspace_id = $1 and o.id = $2"""
LIST: Final = f"""
    select {_COLUMNS}
      from "order" o
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
SKIP: Final = """
    select passed.key, passed.id, passed.n
      from (select {key} as key, o.id, row_number() over (order by {order}) as n
              from "order" o
             where {where}
             order by {order}
             limit {limit}) as passed
     order by passed.n desc
     limit 1"""
COUNT: Final = """select count(*) from "order" o where {where}"""

SORTS: Final = (
    Sort("placedAt", "o.placed_at", "o.id", datetime, descending_first=True),
    Sort("total", "o.total", "o.id", Decimal),
    # Ids are in the order in which the orders were made.
    Sort("createdAt", "o.id", "o.id", UUID),
)


def _order(row: Sequence[Any]) -> Order:
    currency: str = row[11]
    lines = [
        OrderLine(
            UUID(id), sku, title, quantity, None if price is None else _shown(Decimal(price), currency), properties
        )
        for id, sku, title, quantity, price, properties in row[27]
    ]
    amounts = [None if amount is None else _shown(amount, currency) for amount in row[12:18]]
    values: list[Any] = [*row[:12], *amounts, *row[18:27], lines, *row[28:]]
    return Order(*values)


def _shown(amount: Decimal, currency: str) -> Decimal:
    """The amount at its currency's digits; a unit price may be finer, and is then shown as it is."""
    rounded = money.at_digits(amount, currency)
    return rounded if rounded == amount else amount.normalize()


async def find(db: Reader, id: UUID) -> Order:
    """One order of this workspace. Raises OrderNotFound."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise OrderNotFound
    return _order(rows[0])


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of orders is narrowed by; None does not narrow, nor does a blank `number`, with or without its #."""

    customer_ids: Sequence[UUID] = ()
    status: Sequence[str] | None = None
    source: str | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    number: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    on_hold: bool | None = None
    rate_missing: bool | None = None
    needs_review: bool | None = None


def where_of(f: Filters) -> Where:
    """The conditions that narrow a list so, on the orders as `o`."""
    where = Where("o.workspace_id = $1")
    if len(f.customer_ids) == 1:
        # One customer's orders come out of the index in the order of the list.
        where.add("o.customer_id = {}", f.customer_ids[0])
    elif f.customer_ids:
        where.add("o.customer_id = any({}::uuid[])", list(f.customer_ids))
    if f.status:
        where.add("o.status = any({}::text[])", list(f.status))
    if f.source is not None:
        where.add("o.source = {}", f.source)
    if f.placed_from is not None:
        where.add("o.placed_at >= {}", f.placed_from)
    if f.placed_to is not None:
        where.add("o.placed_at < {}", f.placed_to)
    if begins := [where.arg(like(one.lower()) + "%") for one in rules.spellings(f.number or "")]:
        # Each by itself, as `like any` would not be looked up in the index.
        where.also("(" + " or ".join(f"{CALLED} like {one}" for one in begins) + ")")
    if f.min_total is not None:
        where.add("o.total >= {}", f.min_total)
    if f.max_total is not None:
        where.add("o.total <= {}", f.max_total)
    for claim, column in (
        (f.on_hold, "o.on_hold"),
        (f.needs_review, "o.needs_review"),
        (f.rate_missing, "(o.exchange_rate is null)"),
    ):
        if claim is not None:
            where.add(column if claim else f"not {column}")
    return where


async def search(
    db: Reader, filters: Filters, page: Page, *, count: bool = False
) -> tuple[list[Order], str | None, int | None]:
    """A page of orders, the cursor of the next one, and how many there are where asked."""
    where = where_of(filters)
    total = await db.value(COUNT.format(where=where.text()), *where.values) if count else None
    if page.skip:
        page = await _skipped(db, where, page)
        if page.skip:
            return [], None, total
    page.seek(where)
    rows = await db.rows(LIST.format(where=where.text(), order=page.order(), limit=page.rows()), *where.values)
    found = [_order(row) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None, total
    last = found[-1]
    key = {"placedAt": last.placed_at, "total": last.total, "createdAt": last.id}[page.sort.name]
    return found, page.cursor(key, last.id), total


async def _skipped(db: Reader, where: Where, page: Page) -> Page:
    """The page that starts after the orders to skip; left as it is when there are no more than those."""
    asked = Where()
    asked.values = list(where.values)
    limit = asked.arg(page.skip)
    sql = SKIP.format(key=page.sort.key, where=where.text(), order=page.order(), limit=limit)
    rows = await db.rows(sql, *asked.values)
    if not rows or rows[0][2] < page.skip:
        return page
    [(key, id, _)] = rows
    return msgspec.structs.replace(page, after=(key, id), skip=0)


DECISIONS: Final = """
    select order_id, customer_id, method, evidence, decided_at
      from order_decision
     where workspace_id = $1 and order_id = $2
     order by id desc
     limit 50"""


async def decisions(db: Reader, id: UUID) -> list[IdentityDecision]:
    """Why an order went to its customer, newest first. Raises OrderNotFound."""
    found = await db.all(IdentityDecision, DECISIONS, id)
    if not found:
        await find(db, id)
    return [msgspec.structs.replace(d, explanation=rules.in_words(d.method, d.evidence)) for d in found]


CURRENCY_AND_ZONE: Final = "select currency, timezone from workspace where workspace_id = $1"


async def currency_and_zone(db: Reader) -> tuple[str, ZoneInfo]:
    """The workspace's currency and time zone."""
    [(currency, timezone)] = await db.rows(CURRENCY_AND_ZONE)
    return currency, ZoneInfo(timezone)


HAS_REFUND: Final = "select 1 from order_refund where workspace_id = $1 and order_id = $2 and external_id = $3"


async def has_refund(db: Reader, id: UUID, external_id: str) -> bool:
    """Whether this refund is known."""
    return await db.value(HAS_REFUND, id, external_id) is not None


REFUNDS: Final = """
    select r.id, r.external_id, r.amount, r.reason, r.refunded_at, r.recorded_here
      from order_refund r
     where r.workspace_id = $1 and r.order_id = $2
     order by r.refunded_at desc, r.id desc
     limit 200"""


async def refunds(db: Reader, id: UUID) -> list[Refund]:
    """What was refunded of an order, the newest first."""
    return await db.all(Refund, REFUNDS, id)
