"""Refunds that a channel tells one by one, with their order or before it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from supover.channels.model import ChannelOrderRefund
from supover.kit import ids, money
from supover.kit.db import Tx, by_column
from supover.kit.events import Event, publish
from supover.orders.commands import SUM_REFUNDS
from supover.orders.events import OrderRefunded

RefundOutcome = Literal["applied", "unchanged", "no_order", "other_currency"]


class RefundTaken(msgspec.Struct, frozen=True):
    """What taking a refund in did; without an order it did nothing."""

    outcome: RefundOutcome
    order_id: UUID | None = None
    customer_id: UUID | None = None
    is_erased: bool = False


class _Owed(msgspec.Struct, frozen=True):
    source: str
    shop: str
    external_id: str
    id: UUID
    customer_id: UUID | None
    currency: str
    refunded: Decimal
    is_erased: bool


ORDERS: Final = """
    select o.source, o.shop, o.external_id, o.id, o.customer_id, o.currency, o.refunded, o.erased_at is not null
      from "order" o
     where o.workspace_id = $1 and o.source = any($2::text[]) and o.shop = any($3::text[]) and o.external_id = any($4::text[])
     order by o.id
       for update"""
# History may know only the sum of an order's refunds, kept as the one called 'total'. Refunds that are told by name
# afterwards are taken to be parts of it until it is used up.
KNOWN: Final = """
    select order_id, external_id, amount from order_refund
     where workspace_id = $1 and order_id = any($2::uuid[]) and external_id is not null"""
KEEP: Final = """
    insert into order_refund (workspace_id, order_id, id, external_id, amount, reason, refunded_at)
    select $1, n.order_id, n.id, n.external_id, n.amount, n.reason, n.refunded_at
      from unnest($2::uuid[], $3::text[], $4::uuid[], $5::numeric[], $6::text[], $7::timestamptz[])
           as n (order_id, external_id, id, amount, reason, refunded_at)
        on conflict (workspace_id, order_id, external_id) where external_id is not null
        do update set amount = excluded.amount, reason = excluded.reason, refunded_at = excluded.refunded_at,
           recorded_here = false"""
LESSEN: Final = """
    update order_refund r set amount = n.amount
      from unnest($2::uuid[], $3::numeric[]) as n (order_id, amount)
     where r.workspace_id = $1 and r.order_id = n.order_id and r.external_id = 'total'"""
DROP: Final = (
    "delete from order_refund where workspace_id = $1 and order_id = any($2::uuid[]) and external_id = 'total'"
)
TOUCH: Final = """
    update "order" set updated_at = now(), version = version + 1 where workspace_id = $1 and id = any($2::uuid[])"""


async def take_refunds(tx: Tx, told: Sequence[ChannelOrderRefund]) -> list[RefundTaken]:
    """Notes refunds at their orders, in a handful of statements for any number; outcomes in order.

    Idempotent: the same refund again changes nothing, and the order in which refunds and orders come does not matter. One
    whose order is not there is told as 'no_order' and not kept. Publishes OrderRefunded.
    """
    if not told:
        return []
    columns = [list({t.source for t in told}), list({t.shop for t in told}), list({t.order_external_id for t in told})]
    orders = {(o.source, o.shop, o.external_id): o for o in await tx.all(_Owed, ORDERS, *columns)}
    by_id = {order.id: order for order in orders.values()}
    known: dict[tuple[UUID, str], Decimal] = {
        (order_id, name): amount for order_id, name, amount in (await tx.rows(KNOWN, list(by_id)) if by_id else ())
    }
    taken: list[RefundTaken] = []
    rows: dict[tuple[UUID, str], tuple[Any, ...]] = {}
    for one in told:
        order, refund = orders.get((one.source, one.shop, one.order_external_id)), one.refund
        if order is None:
            taken.append(RefundTaken("no_order"))
            continue
        outcome: RefundOutcome = "unchanged"
        if one.currency not in (None, order.currency):
            outcome = "other_currency"
        else:
            handle = (order.id, refund.external_id)
            amount = money.at_digits(refund.amount, order.currency)
            # A refund only grows (a part of it may be pending at first): of two versions, in any order, the greater stays.
            if amount > (rows[handle][3] if handle in rows else known.get(handle, Decimal(0))):
                why = None if order.is_erased else refund.reason
                rows[handle] = (*handle, ids.new(), amount, why, refund.refunded_at)
                outcome = "applied"
        taken.append(RefundTaken(outcome, order.id, order.customer_id, order.is_erased))
    if not rows:
        return taken
    await tx.run(KEEP, *by_column(rows.values()))
    await _use_up(tx, known, rows)
    touched = sorted({order_id for order_id, _ in rows})
    sums: dict[UUID, Decimal] = {id: refunded for id, refunded in await tx.rows(SUM_REFUNDS, touched)}
    await tx.run(TOUCH, touched)
    events: list[Event] = []
    for id in touched:
        order, more = by_id[id], sums[id] - by_id[id].refunded
        if more > 0:
            events.append(
                OrderRefunded(
                    order_id=id, customer_id=order.customer_id, at=max(row[5] for row in rows.values() if row[0] == id),
                    currency=order.currency, amount=money.at_digits(more, order.currency),
                    refunded=money.at_digits(sums[id], order.currency),
                )
            )  # fmt: skip
    await publish(tx, events)
    return taken


async def _use_up(
    tx: Tx, known: Mapping[tuple[UUID, str], Decimal], rows: Mapping[tuple[UUID, str], tuple[Any, ...]]
) -> None:
    left = {order_id: amount for (order_id, name), amount in known.items() if name == "total"}
    for (order_id, name), row in rows.items():
        if order_id in left and (order_id, name) not in known:
            left[order_id] -= row[3]
    if left:
        await tx.run(DROP, [id for id, amount in left.items() if amount <= 0])
        await tx.run(LESSEN, list(left), list(left.values()))
