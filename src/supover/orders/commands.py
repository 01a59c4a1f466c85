"""Orders are taken in, changed, cancelled, refunded, delivered, held and moved."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.addresses import commands as addresses
from supover.addresses import rules as places
from supover.channels.model import ChannelOrder, Contact, PostalAddress
from supover.customers import contacts
from supover.customers.contacts import Decision, Identity
from supover.customers.events import DuplicateSuspected
from supover.kit import clock, countries, ids, money, text
from supover.kit.db import Tx, json_bytes
from supover.kit.events import Event, publish
from supover.kit.problems import FieldError, Invalid, Stale, worded
from supover.orders import queries, rules
from supover.orders.events import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderHeld,
    OrderPlaced,
    OrderReassigned,
    OrderRefunded,
    OrderReleased,
)
from supover.orders.model import (
    Cancellation,
    Delivery,
    NewOrder,
    NewRefund,
    Order,
    OrderChange,
    OrderStatus,
    RefundTooLarge,
    StatusMoveRefused,
    Taken,
)

RATES_MEANWHILE: Final = timedelta(minutes=1)
BLOCKED_HOLD: Final = "The customer is blocked."

# --- taking in -----------------------------------------------------------------------------------------------------------


class _Stored(msgspec.Struct, frozen=True):
    source: str
    shop: str
    external_id: str
    id: UUID
    customer_id: UUID | None
    status: OrderStatus
    total: Decimal
    refunded: Decimal
    currency: str
    exchange_rate: Decimal | None
    placed_at: datetime
    source_updated_at: datetime | None
    intake_hash: bytes | None
    is_erased: bool


STORED: Final = """
    select o.source, o.shop, o.external_id, o.id, o.customer_id, o.status, o.total, o.refunded, o.currency, o.exchange_rate, o.placed_at,
           o.source_updated_at, o.intake_hash, o.erased_at is not null
      from "order" o
     where o.workspace_id = $1 and o.source = any($2::text[]) and o.shop = any($3::text[]) and o.external_id = any($4::text[])
     order by o.id
       for update"""
RATES: Final = """
    select w.currency, w.on_date, r.rate
      from unnest($2::text[], $3::date[]) as w (currency, on_date)
     cross join lateral (
           select rate from exchange_rate
            where workspace_id = $1 and currency = w.currency and on_date <= w.on_date and on_date > w.on_date - 32
            order by on_date desc limit 1) as r"""
ADD: Final = """
    insert into "order" (workspace_id, id, source, shop, external_id, number, customer_id, status, financial_status,
           on_hold, hold_reason, needs_review, currency, subtotal, shipping, tax, discount, total, refunded, exchange_rate,
           placed_at, cancelled_at, delivered_at, email, phone, name, shipping_address, billing_address, tags, note,
           source_updated_at, intake_hash, erased_at)
    select $1, n.id, n.source, n.shop, n.external_id, n.number, n.customer_id, n.status, n.financial_status,
           n.hold_reason is not null, n.hold_reason, n.needs_review, n.currency, n.subtotal, n.shipping, n.tax, n.discount, n.total,
           n.refunded, n.exchange_rate, n.placed_at, n.cancelled_at, n.delivered_at, n.email, n.phone, n.name, n.shipping_address,
           n.billing_address, coalesce(string_to_array(n.tags, chr(31)), '{}'), n.note, n.source_updated_at, n.intake_hash,
           case when n.is_erased then now() end
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[], $10::text[],
                  $11::bool[], $12::text[], $13::numeric[], $14::numeric[], $15::numeric[], $16::numeric[], $17::numeric[],
                  $18::numeric[], $19::numeric[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::text[], $24::text[],
                  $25::text[], $26::jsonb[], $27::jsonb[], $28::text[], $29::text[], $30::timestamptz[], $31::bytea[], $32::bool[])
           as n (id, source, shop, external_id, number, customer_id, status, financial_status, hold_reason, needs_review, currency,
                 subtotal, shipping, tax, discount, total, refunded, exchange_rate, placed_at, cancelled_at, delivered_at, email,
                 phone, name, shipping_address, billing_address, tags, note, source_updated_at, intake_hash, is_erased)"""
UPDATE: Final = """
    update "order" o
       set number = coalesce(n.number, o.number), customer_id = n.customer_id, status = n.status,
           financial_status = coalesce(n.financial_status, o.financial_status),
           needs_review = case when o.customer_id is null and n.customer_id is not null then false else o.needs_review end,
           currency = n.currency, subtotal = n.subtotal, shipping = n.shipping, tax = n.tax, discount = n.discount, total = n.total,
           exchange_rate = n.exchange_rate, placed_at = n.placed_at,
           cancelled_at = case when n.status = 'cancelled' then coalesce(n.cancelled_at, o.cancelled_at) end,
           delivered_at = coalesce(n.delivered_at, o.delivered_at),
           email = coalesce(n.email, o.email), phone = coalesce(n.phone, o.phone), name = coalesce(n.name, o.name),
           shipping_address = coalesce(n.shipping_address, o.shipping_address),
           billing_address = coalesce(n.billing_address, o.billing_address),
           tags = coalesce(string_to_array(n.tags, chr(31)), o.tags), note = coalesce(n.note, o.note),
           source_updated_at = n.source_updated_at, intake_hash = n.intake_hash, updated_at = now(), version = o.version + 1
      from unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::numeric[], $9::numeric[], $10::numeric[],
                  $11::numeric[], $12::numeric[], $13::numeric[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[],
                  $17::text[], $18::text[], $19::text[], $20::jsonb[], $21::jsonb[], $22::text[], $23::text[], $24::timestamptz[],
                  $25::bytea[])
           as n (id, number, customer_id, status, financial_status, currency, subtotal, shipping, tax, discount, total, exchange_rate,
                 placed_at, cancelled_at, delivered_at, email, phone, name, shipping_address, billing_address, tags, note,
                 source_updated_at, intake_hash)
     where o.workspace_id = $1 and o.id = n.id"""
CONFIRM: Final = """
    update "order" o set source_updated_at = n.updated_at
      from unnest($2::uuid[], $3::timestamptz[]) as n (id, updated_at)
     where o.workspace_id = $1 and o.id = n.id"""
DROP_LINES: Final = "delete from order_line where workspace_id = $1 and order_id = any($2::uuid[])"
ADD_LINES: Final = """
    insert into order_line (workspace_id, order_id, position, id, sku, title, quantity, unit_price, properties)
    select $1, n.order_id, n.position, n.id, n.sku, n.title, n.quantity, n.unit_price, n.properties
      from unnest($2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::int[], $8::numeric[], $9::jsonb[])
           as n (order_id, position, id, sku, title, quantity, unit_price, properties)"""
DROP_REFUNDS: Final = """
    delete from order_refund r
     where r.workspace_id = $1 and r.order_id = any($2::uuid[]) and not r.recorded_here
       and not exists (select 1 from unnest($3::uuid[], $4::text[]) as n (order_id, external_id)
                        where n.order_id = r.order_id and n.external_id = r.external_id)"""
KEEP_REFUNDS: Final = """
    insert into order_refund (workspace_id, order_id, id, external_id, amount, reason, refunded_at)
    select $1, n.order_id, n.id, n.external_id, n.amount, n.reason, n.refunded_at
      from unnest($2::uuid[], $3::text[], $4::uuid[], $5::numeric[], $6::text[], $7::timestamptz[])
           as n (order_id, external_id, id, amount, reason, refunded_at)
        on conflict (workspace_id, order_id, external_id) where external_id is not null
        do update set amount = excluded.amount, reason = excluded.reason, refunded_at = excluded.refunded_at,
           recorded_here = false"""
# A source that knows only the sum of its refunds: what the other refunds do not explain is one more, called 'total'.
TOLD: Final = "total"
DROP_TOLD: Final = """
    delete from order_refund where workspace_id = $1 and order_id = any($2::uuid[]) and external_id = 'total'"""
KEEP_TOLD: Final = """
    insert into order_refund (workspace_id, order_id, id, external_id, amount, refunded_at)
    select $1, n.order_id, n.id, 'total', n.refunded - known.amount, n.refunded_at
      from unnest($2::uuid[], $3::uuid[], $4::numeric[], $5::timestamptz[]) as n (order_id, id, refunded, refunded_at)
     cross join lateral (select coalesce(sum(r.amount), 0) as amount from order_refund r
                          where r.workspace_id = $1 and r.order_id = n.order_id) as known
     where n.refunded > known.amount"""
# Never more than was paid: a source may lower a total after a refund.
SUM_REFUNDS: Final = """
    update "order" o
       set refunded = least(greatest(o.total, 0),
                            coalesce((select sum(r.amount) from order_refund r where r.workspace_id = $1 and r.order_id = o.id), 0))
     where o.workspace_id = $1 and o.id = any($2::uuid[])
    returning o.id, o.refunded"""
ADD_DECISIONS: Final = """
    insert into order_decision (workspace_id, order_id, id, customer_id, method, evidence)
    select $1, n.order_id, n.id, n.customer_id, n.method, n.evidence
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::jsonb[]) as n (order_id, id, customer_id, method, evidence)"""
ALIKE: Final = """
    select n.customer_id, c.id, n.name, c.name
      from unnest($2::uuid[], $3::text[], $4::text[]) as n (customer_id, name, match_key)
      join address a on a.workspace_id = $1 and a.match_key = n.match_key and a.customer_id <> n.customer_id
      join customer c on c.workspace_id = $1 and c.id = a.customer_id and c.deleted_at is null
     limit 1000"""


class Prepared(msgspec.Struct, frozen=True):
    """An order at its currency's digits, and what can be told of it without asking the database."""

    order: ChannelOrder
    hash: bytes
    identities: Sequence[Identity]


class _Batch:
    """A batch while it is being taken in; everything by position."""

    def __init__(self, prepared: Sequence[Prepared]) -> None:
        self.orders = [p.order for p in prepared]
        self.hashes = [p.hash for p in prepared]
        self.identities = [p.identities for p in prepared]
        self.taken: list[Taken | None] = [None] * len(prepared)
        self.stored: dict[int, _Stored] = {}
        self.decisions: dict[int, Decision] = {}
        self.confirmed: list[tuple[Any, ...]] = []
        self.erased: set[int] = set()

    def forget(self, n: int) -> None:
        """Takes an order of somebody who was erased in without what tells of the person."""
        self.orders[n] = rules.anonymous(self.orders[n])
        self.hashes[n] = rules.intake_hash(self.orders[n])
        self.identities[n] = ()
        self.erased.add(n)


def prepare(order: ChannelOrder) -> Prepared:
    """The part of taking an order in that is pure: whoever reads a file does it while the database is at work."""
    exact = rules.at_digits(order)
    return Prepared(exact, rules.intake_hash(exact), contacts.identities_of(exact.contact))


async def take_in(tx: Tx, orders: Sequence[ChannelOrder]) -> list[Taken]:
    """Takes orders in and maps each to its customer, in a handful of statements for any number; outcomes in order.

    Idempotent: what the source said before changes nothing, nor does an older version after a newer one. An order of an
    unknown rate is kept without one. One refusal (an unknown `customer_id`) is told in its outcome and stops nobody else.
    Raises Invalid when an order breaks a rule of `rules.errors_of`: callers check those before.
    """
    return await take_prepared(tx, [prepare(order) for order in orders])


async def take_prepared(tx: Tx, prepared: Sequence[Prepared]) -> list[Taken]:
    """As `take_in`, for orders that are prepared already."""
    waves: dict[int, list[int]] = defaultdict(list)
    seen: dict[tuple[str, str, str], int] = defaultdict(int)
    for n, order in enumerate(p.order for p in prepared):
        # The same order twice in a batch is taken in twice, one after the other.
        handle = (order.source, order.shop, order.external_id or f"\x00{n}")
        waves[seen[handle]].append(n)
        seen[handle] += 1
    found: list[Taken | None] = [None] * len(prepared)
    for wave in waves.values():
        for n, taken in zip(wave, await _take_in_once(tx, [prepared[n] for n in wave]), strict=True):
            found[n] = taken
    return [t for t in found if t is not None]


async def _take_in_once(tx: Tx, prepared: Sequence[Prepared]) -> list[Taken]:
    batch = _Batch(prepared)
    orders = batch.orders
    named = {(o.source, o.shop, o.external_id): n for n, o in enumerate(orders) if o.external_id}
    if named:
        columns = [list(set(column)) for column in zip(*named, strict=True)]
        found = {(s.source, s.shop, s.external_id): s for s in await tx.all(_Stored, STORED, *columns)}
        batch.stored = {n: found[handle] for handle, n in named.items() if handle in found}
        for n, stored in batch.stored.items():
            if stored.is_erased:
                batch.forget(n)
    fresh: list[int] = []
    changed: list[int] = []
    for n, order in enumerate(orders):
        stored = batch.stored.get(n)
        if stored is None:
            fresh.append(n)
        elif _is_older(order, stored) or stored.intake_hash == batch.hashes[n]:
            batch.taken[n] = Taken(stored.id, stored.customer_id, "unchanged", is_erased=stored.is_erased)
            if not _is_older(order, stored) and order.updated_at not in (None, stored.source_updated_at):
                batch.confirmed.append((stored.id, order.updated_at))
        else:
            changed.append(n)
    await _map(tx, batch, fresh, changed)
    fresh = [n for n in fresh if batch.taken[n] is None]
    events = await _add(tx, batch, fresh) if fresh else []
    events += await _update(tx, batch, changed) if changed else []
    events += await _keep_parts(tx, batch, fresh, changed)
    if batch.confirmed:
        # The same content at a later time: what was said between the two must not win when it comes late.
        await tx.many(CONFIRM, batch.confirmed)
    if batch.decisions:
        events += await _keep_decisions(tx, batch)
    await publish(tx, events)
    return [t for t in batch.taken if t is not None]


def _is_older(order: ChannelOrder, stored: _Stored) -> bool:
    """Whether the source has said something later already."""
    return (
        order.updated_at is not None
        and stored.source_updated_at is not None
        and order.updated_at < stored.source_updated_at
    )


async def _map(tx: Tx, batch: _Batch, fresh: Sequence[int], changed: Sequence[int]) -> None:
    """Decides whose each new order is, and each changed one that was nobody's."""
    asking = [*fresh, *(n for n in changed if batch.stored[n].customer_id is None)]
    if not asking:
        return
    decisions = await contacts.resolve(
        tx,
        [batch.orders[n].contact for n in asking],
        [batch.identities[n] for n in asking],
        [batch.orders[n].placed_at for n in asking],
    )
    for n, decision in zip(asking, decisions, strict=True):
        if decision.method == "erased":
            batch.forget(n)
        if decision.method != "unknown_customer":
            batch.decisions[n] = decision
        elif n not in batch.stored:
            batch.taken[n] = Taken(None, None, "failed", error="There is no customer with this customerId.")


async def rates_for(tx: Tx, wanted: Sequence[tuple[str, datetime, Decimal | None]]) -> list[Decimal | None]:
    """The rate each order counts at, by its currency, day and the rate it came with.

    One for the workspace's own currency; else the given one; else the newest of the 32 days up to the order's day in the
    workspace's zone, so that monthly tables serve too; None where there is none.
    """
    currency, zone = await queries.currency_and_zone(tx)
    days = [(c, at.astimezone(zone).date()) for c, at, _ in wanted]
    asked = {day for day, (_, _, given) in zip(days, wanted, strict=True) if day[0] != currency and given is None}
    found: dict[tuple[str, date], Decimal] = {}
    if asked:
        columns = [list(column) for column in zip(*asked, strict=True)]
        found = {(c, d): rate for c, d, rate in await tx.rows(RATES, *columns)}
    return [
        Decimal(1) if day[0] == currency else given or found.get(day)
        for day, (_, _, given) in zip(days, wanted, strict=True)
    ]


async def _add(tx: Tx, batch: _Batch, fresh: Sequence[int]) -> list[Event]:
    rates = await rates_for(tx, [(o.currency, o.placed_at, o.exchange_rate) for o in (batch.orders[n] for n in fresh)])
    rows: list[tuple[Any, ...]] = []
    for n, rate, order_id in zip(fresh, rates, ids.many(len(fresh)), strict=True):
        order, decision = batch.orders[n], batch.decisions[n]
        rows.append(
            (
                order_id, order.source, order.shop, order.external_id, order.number, decision.customer_id, order.status,
                order.financial_status, BLOCKED_HOLD if decision.blocked else None, decision.customer_id is None and n not in batch.erased,
                order.currency,
                order.subtotal, order.shipping, order.tax, order.discount, order.total, Decimal(0), rate, order.placed_at,
                _cancelled_at(order), _delivered_at(order), order.contact.email, order.contact.phone, order.contact.name,
                _place(order.shipping_address), _place(order.billing_address), chr(31).join(order.tags), order.note,
                order.updated_at, batch.hashes[n], n in batch.erased,
            )
        )  # fmt: skip
        batch.taken[n] = Taken(order_id, decision.customer_id, "created", decision.created, is_erased=n in batch.erased)
    events: list[Event] = []
    async with tx.writing(ADD, rows):
        for n, (order_id, *_) in zip(fresh, rows, strict=True):
            order, decision = batch.orders[n], batch.decisions[n]
            events.append(
                OrderPlaced(
                    customer_id=decision.customer_id, order_id=order_id, at=order.placed_at, number=order.number,
                    source=order.source, status=order.status, total=order.total, currency=order.currency,
                )
            )  # fmt: skip
            events += _milestones(order, decision.customer_id, order_id, "pending", order.status)
            if decision.blocked:
                events.append(OrderHeld(customer_id=decision.customer_id, order_id=order_id, reason=BLOCKED_HOLD))
    if None in rates:
        # Rates that are being kept at this moment may not have been seen, nor see these orders. (Here, because few orders
        # lack a rate, and a terminal that imports need not load the jobs.)
        from supover.kit.jobs import defer
        from supover.orders import jobs as jobs  # registers what is deferred

        await defer(tx, "orders.apply_rates", {}, run_at=clock.now() + RATES_MEANWHILE, singleton="meanwhile")
    return events


async def _update(tx: Tx, batch: _Batch, changed: Sequence[int]) -> list[Event]:
    rates = await rates_for(
        tx, [(o.currency, o.placed_at, o.exchange_rate) for o in (batch.orders[n] for n in changed)]
    )
    rows: list[tuple[Any, ...]] = []
    events: list[Event] = []
    for n, rate in zip(changed, rates, strict=True):
        order, stored = batch.orders[n], batch.stored[n]
        decision = batch.decisions.get(n)
        customer_id = stored.customer_id or (decision.customer_id if decision else None)
        status = order.status if order.settled else rules.later(stored.status, order.status)  # pyright: ignore[reportArgumentType]
        placed_at = order.placed_at if order.placed_at_told else stored.placed_at
        if order.exchange_rate is None and (order.currency, placed_at) == (stored.currency, stored.placed_at):
            rate = stored.exchange_rate or rate
        rows.append(
            (
                stored.id, order.number, customer_id, status, order.financial_status, order.currency, order.subtotal, order.shipping,
                order.tax, order.discount, order.total, rate, placed_at, _cancelled_at(order), _delivered_at(order),
                order.contact.email, order.contact.phone, order.contact.name, _place(order.shipping_address),
                _place(order.billing_address), chr(31).join(order.tags) if order.tags else None, order.note,
                order.updated_at or stored.source_updated_at, batch.hashes[n],
            )
        )  # fmt: skip
        created = decision is not None and decision.created
        batch.taken[n] = Taken(stored.id, customer_id, "updated", created, is_erased=n in batch.erased)
        now = {
            "status": status,
            "total": order.total,
            "currency": order.currency,
            "placedAt": placed_at,
        }
        was = (stored.status, stored.total, stored.currency, stored.placed_at)
        changes = {name: [old, new] for (name, new), old in zip(now.items(), was, strict=True) if old != new}
        events.append(OrderChanged(customer_id=customer_id, order_id=stored.id, changes=changes))
        events += _milestones(order, customer_id, stored.id, stored.status, status)
    await tx.many(UPDATE, rows)
    return events


def _milestones(order: ChannelOrder, customer_id: UUID | None, order_id: UUID, was: str, status: str) -> list[Event]:
    """The facts worth their own line that a change of status brings."""
    if status == was:
        return []
    if status == "cancelled":
        return [OrderCancelled(customer_id=customer_id, order_id=order_id, at=_cancelled_at(order) or order.placed_at)]
    if status == "delivered" and (at := _delivered_at(order)) is not None:
        return [OrderDelivered(customer_id=customer_id, order_id=order_id, at=at)]
    return []


def _delivered_at(order: ChannelOrder) -> datetime | None:
    """When it was delivered; of a live order that does not say, when its source said so, or now. History may not know."""
    if order.status != "delivered" or order.settled:
        return order.delivered_at
    return order.delivered_at or order.updated_at or clock.now()


def _cancelled_at(order: ChannelOrder) -> datetime | None:
    return (order.cancelled_at or order.updated_at or order.placed_at) if order.status == "cancelled" else None


def _place(address: PostalAddress | None) -> bytes | None:
    return None if address is None else json_bytes(address)


async def _keep_parts(tx: Tx, batch: _Batch, fresh: Sequence[int], changed: Sequence[int]) -> list[Event]:
    """Lines, refunds and addresses of the batch's new and changed orders; returns what was newly refunded."""
    lines: list[tuple[Any, ...]] = []
    refunds: list[tuple[Any, ...]] = []
    places_of: list[tuple[UUID, PostalAddress]] = []
    relined: list[UUID] = []
    listed: list[UUID] = []
    told: list[tuple[Any, ...]] = []
    summed: dict[UUID, int] = {}
    for n in (*fresh, *changed):
        order, taken = batch.orders[n], batch.taken[n]
        assert taken is not None and taken.order_id is not None
        if order.lines is not None and n in batch.stored:
            relined.append(taken.order_id)
        lines += [
            (
                taken.order_id,
                place,
                ids.new(),
                line.sku,
                line.title,
                line.quantity,
                line.unit_price,
                json_bytes(line.properties),
            )
            for place, line in enumerate(order.lines or ())
        ]
        if n in batch.stored or order.refunds or order.refunded:
            summed[taken.order_id] = n
        if order.refunded is not None:
            told.append((taken.order_id, ids.new(), order.refunded, order.updated_at or order.placed_at))
        elif order.refunds is not None and (order.refunds or n in batch.stored):
            listed.append(taken.order_id)
            refunds += [
                (taken.order_id, r.external_id, ids.new(), r.amount, r.reason, r.refunded_at)
                for r in order.refunds
                if r.amount > 0
            ]
        if taken.customer_id is not None and order.shipping_address is not None and order.shipping_address.line1:
            places_of.append((taken.customer_id, order.shipping_address))
    if relined:
        await tx.run(DROP_LINES, relined)
    if lines:
        await tx.many(ADD_LINES, lines)
    if listed:
        await tx.run(DROP_REFUNDS, listed, [r[0] for r in refunds], [r[1] for r in refunds])
        if refunds:
            await tx.many(KEEP_REFUNDS, refunds)
    if told:
        await tx.run(DROP_TOLD, [t[0] for t in told])
        await tx.many(KEEP_TOLD, told)
    events: list[Event] = []
    for order_id, refunded in await tx.rows(SUM_REFUNDS, list(summed)) if summed else ():
        n = summed[order_id]
        order, taken, stored = batch.orders[n], batch.taken[n], batch.stored.get(n)
        more = refunded - (stored.refunded if stored else 0)
        if more > 0 and taken is not None:
            events.append(
                OrderRefunded(
                    order_id=order_id, customer_id=taken.customer_id, at=order.updated_at or order.placed_at, currency=order.currency,
                    amount=money.at_digits(more, order.currency), refunded=money.at_digits(refunded, order.currency),
                )
            )  # fmt: skip
    if places_of:
        await addresses.keep_many(tx, places_of)
    return events


async def _keep_decisions(tx: Tx, batch: _Batch) -> list[Event]:
    """Stores why each order went where it went; a new customer at a known name and place is suggested as a duplicate."""
    rows: list[tuple[Any, ...]] = []
    strangers: list[tuple[UUID, str, str]] = []
    for n, decision in batch.decisions.items():
        taken, order = batch.taken[n], batch.orders[n]
        if taken is None or taken.order_id is None:
            continue
        rows.append((taken.order_id, ids.new(), decision.customer_id, decision.method, json_bytes(decision.evidence)))
        place = order.contact.address
        if decision.created and decision.customer_id and order.contact.name and place and place.line1:
            strangers.append((decision.customer_id, order.contact.name, places.match_key(place)))
    await tx.many(ADD_DECISIONS, rows)
    if not strangers:
        return []
    found: dict[tuple[UUID, UUID], Event] = {}
    for new_id, other_id, name, other_name in await tx.rows(
        ALIKE, *(list(column) for column in zip(*strangers, strict=True))
    ):
        if text.name_compatible(name, other_name or "") == text.Compatibility.COMPATIBLE:
            a, b = sorted((new_id, other_id))
            reasons = [worded("same address"), worded("first names go together")]
            found[a, b] = DuplicateSuspected(customer_id=a, other_id=b, score=16.0, level="suggested", reasons=reasons)
    return list(found.values())


# --- one order by the API ------------------------------------------------------------------------------------------------


def incoming(order: NewOrder, currency: str, now: datetime, zone: ZoneInfo) -> ChannelOrder:
    """An API body as what a channel would say. A time without a zone is the workspace's."""
    address = order.shipping_address or order.billing_address
    if address is not None and not address.recipient_name and order.name:
        address = msgspec.structs.replace(address, recipient_name=order.name)
    country = address.country if address else None
    placed_at = aware(order.placed_at, zone) or now
    return ChannelOrder(
        contact=Contact(
            source=order.source,
            shop=order.shop,
            customer_id=order.customer_id,
            external_id=order.customer_external_id or None,
            email=order.email or None,
            phone=order.phone or None,
            name=text.clean(order.name or (address.recipient_name if address else None) or "") or None,
            country=(countries.code(country) or country) if country else None,
            address=address,
        ),
        source=order.source,
        shop=order.shop,
        external_id=order.external_id or None,
        number=order.number or None,
        status=order.status,
        financial_status=order.financial_status,
        currency=order.currency or currency,
        subtotal=order.subtotal,
        shipping=order.shipping,
        tax=order.tax,
        discount=order.discount,
        total=order.total,
        exchange_rate=order.exchange_rate,
        refunded=order.refunded,
        placed_at=placed_at,
        placed_at_told=order.placed_at is not None,
        updated_at=aware(order.updated_at, zone),
        cancelled_at=aware(order.cancelled_at, zone),
        delivered_at=aware(order.delivered_at, zone),
        shipping_address=order.shipping_address,
        billing_address=order.billing_address,
        lines=order.lines,
        tags=tuple(dict.fromkeys(t.strip() for t in order.tags if t.strip())),
        note=order.note,
    )


def aware(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    """A time with a zone: the workspace's where it came without."""
    return at.replace(tzinfo=zone) if at is not None and at.tzinfo is None else at


async def create(tx: Tx, given: NewOrder) -> tuple[Order, bool]:
    """Takes one order in; returns it and whether it is new. Raises Invalid naming the fields."""
    currency, zone = await queries.currency_and_zone(tx)
    now = clock.now()
    order = incoming(given, currency, now, zone)
    if errors := rules.errors_of(order, now):
        raise Invalid(errors)
    [taken] = await take_in(tx, [order])
    if taken.order_id is None:
        raise Invalid.at("/customerId", "unknown", taken.error or "cannot be taken")
    return await queries.find(tx, taken.order_id), taken.outcome == "created"


async def create_batch(tx: Tx, given: Sequence[NewOrder | Invalid]) -> list[tuple[Taken | None, Sequence[FieldError]]]:
    """Takes the good ones of many orders in; each row's outcome or its errors, in order."""
    currency, zone = await queries.currency_and_zone(tx)
    now = clock.now()
    outcomes: list[tuple[Taken | None, Sequence[FieldError]]] = [(None, ())] * len(given)
    good: list[tuple[int, ChannelOrder]] = []
    for n, row in enumerate(given):
        if isinstance(row, Invalid):
            outcomes[n] = (None, row.errors)
            continue
        order = incoming(row, currency, now, zone)
        if errors := rules.errors_of(order, now):
            outcomes[n] = (None, errors)
        else:
            good.append((n, order))
    for (n, _), taken in zip(good, await take_in(tx, [o for _, o in good]), strict=True):
        outcomes[n] = (
            taken,
            () if taken.order_id else [FieldError("/customerId", "unknown", taken.error or "cannot be taken")],
        )
    return outcomes


# --- later changes -------------------------------------------------------------------------------------------------------

LOCK: Final = """select version from "order" where workspace_id = $1 and id = $2 for update"""
CHANGE: Final = """
    update "order"
       set status = $3, financial_status = $4, number = $5, on_hold = $6, hold_reason = $7, needs_review = $8, exchange_rate = $9,
           tags = $10, note = $11, shipping_address = $12, billing_address = $13, cancelled_at = $14, delivered_at = $15,
           customer_id = $16, updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""
ADD_REFUND: Final = """
    insert into order_refund (workspace_id, order_id, id, external_id, amount, reason, refunded_at, recorded_here)
    values ($1, $2, $3, $4, $5, $6, $7, true)
        on conflict (workspace_id, order_id, external_id) where external_id is not null do nothing"""
TOUCH: Final = """update "order" set updated_at = now(), version = version + 1 where workspace_id = $1 and id = $2"""
# Whoever was merged leads to the survivor; held, so that nobody is merged before the order is theirs.
LIVING: Final = """
    select c.id
      from customer a
      join customer c on c.workspace_id = $1 and c.id = coalesce(a.merged_into_id, a.id) and c.deleted_at is null
     where a.workspace_id = $1 and a.id = $2
       for key share of c"""
_AUDITED: Final = ("status", "financial_status", "number", "on_hold", "hold_reason", "needs_review", "exchange_rate", "tags", "note",
                   "shipping_address", "billing_address", "customer_id")  # fmt: skip


async def _locked(tx: Tx, id: UUID, expected: int | None = None) -> Order:
    """The order, its row locked. Raises OrderNotFound, Stale."""
    version = await tx.value(LOCK, id)
    if version is not None and expected is not None and version != expected:
        raise Stale(f"It is at version {version} now.")
    return await queries.find(tx, id)


async def _store(tx: Tx, old: Order, new: Order) -> Order:
    await tx.run(
        CHANGE, old.id, new.status, new.financial_status, new.number, new.on_hold, new.hold_reason, new.needs_review,
        new.exchange_rate, list(new.tags), new.note,
        None if new.shipping_address is None else json_bytes(new.shipping_address),
        None if new.billing_address is None else json_bytes(new.billing_address),
        new.cancelled_at, new.delivered_at, new.customer_id,
    )  # fmt: skip
    tx.changed("order", old.id, old, new, _AUDITED)
    return await queries.find(tx, old.id)


async def change(tx: Tx, id: UUID, given: OrderChange, expected: int | None = None) -> Order:
    """Changes what is given. Raises OrderNotFound, Stale, StatusMoveRefused, Invalid."""
    old = await _locked(tx, id, expected)
    asked: dict[str, Any] = {f: v for f in given.__struct_fields__ if (v := getattr(given, f)) is not msgspec.UNSET}
    errors: list[FieldError] = []
    if len(asked.get("tags", ())) > rules.MAX_TAGS or any(len(t) > 100 for t in asked.get("tags", ())):
        errors.append(
            FieldError("/tags", "length", f"has more than {rules.MAX_TAGS} tags, or one of over 100 characters")
        )
    for field, limit in (("note", 10_000), ("number", 64), ("financial_status", 40), ("hold_reason", 200)):
        if len(asked.get(field) or "") > limit:
            errors.append(FieldError(f"/{rules.camel(field)}", "length", f"has more than {limit} characters"))
    rate = asked.get("exchange_rate")
    if rate is not None:
        currency, _ = await queries.currency_and_zone(tx)
        if not rules.is_rate(rate):
            errors.append(FieldError("/exchangeRate", "range", "must be a positive number"))
        elif old.currency == currency and rate != 1:
            errors.append(FieldError("/exchangeRate", "range", "is 1 in the workspace's own currency"))
    customer_id = asked.get("customer_id")
    if customer_id is not None and customer_id != old.customer_id:
        customer_id = await tx.value(LIVING, customer_id) or await tx.value(LIVING, customer_id)
        asked["customer_id"] = customer_id
        if customer_id is None:
            errors.append(FieldError("/customerId", "unknown", "There is no customer with this customerId."))
    if errors:
        raise Invalid(errors)
    if "tags" in asked:
        asked["tags"] = list(dict.fromkeys(t.strip() for t in asked["tags"] if t.strip()))
    for field in ("shipping_address", "billing_address"):
        if asked.get(field) is not None:
            asked[field] = msgspec.to_builtins(asked[field])
    if asked.get("on_hold") is False:
        asked["hold_reason"] = None
    elif asked.get("on_hold") is True and not asked.get("hold_reason"):
        asked["hold_reason"] = old.hold_reason or worded("Held by hand.")
    if customer_id is not None:
        asked.setdefault("needs_review", False)
    status: OrderStatus = asked.pop("status", old.status)
    new = msgspec.structs.replace(old, **asked)
    events = _moved(old, status, clock.now())
    new = msgspec.structs.replace(new, status=status, **_stamps(old, status, clock.now()))
    changes = {
        rules.camel(f): [getattr(old, f), getattr(new, f)] for f in _AUDITED if getattr(old, f) != getattr(new, f)
    }
    if not changes:
        return old
    if new.customer_id != old.customer_id:
        events.append(OrderReassigned(order_id=id, customer_id=new.customer_id, former_id=old.customer_id))
        evidence = {"by": tx.actor, "former": str(old.customer_id) if old.customer_id else None}
        await tx.run(ADD_DECISIONS, [id], [ids.new()], [new.customer_id], ["customer_id"], [json_bytes(evidence)])
    if new.on_hold and not old.on_hold:
        events.append(OrderHeld(order_id=id, customer_id=new.customer_id, reason=new.hold_reason or ""))
    elif old.on_hold and not new.on_hold:
        events.append(OrderReleased(order_id=id, customer_id=new.customer_id))
    events.append(OrderChanged(order_id=id, customer_id=new.customer_id, changes=changes))
    stored = await _store(tx, old, new)
    await publish(tx, events)
    return stored


def _moved(old: Order, status: OrderStatus, at: datetime) -> list[Event]:
    """The events of a move. Raises StatusMoveRefused."""
    if status == old.status:
        return []
    if not rules.may_move(old.status, status):
        allowed = ", ".join(sorted(rules.MOVES[old.status])) or "none"
        raise StatusMoveRefused(
            f"It is {old.status}; it can only become: {allowed}.", extra={"orderStatus": old.status}
        )
    if status == "cancelled":
        return [OrderCancelled(order_id=old.id, customer_id=old.customer_id, at=at)]
    if status == "delivered":
        return [OrderDelivered(order_id=old.id, customer_id=old.customer_id, at=at)]
    return []


def _stamps(old: Order, status: OrderStatus, at: datetime) -> dict[str, datetime]:
    if status == "cancelled" and old.cancelled_at is None:
        return {"cancelled_at": at}
    return {"delivered_at": at} if status == "delivered" and old.delivered_at is None else {}


async def cancel(tx: Tx, id: UUID, given: Cancellation, expected: int | None = None) -> Order:
    """Cancels an order; one that is cancelled already stays as it is. Raises StatusMoveRefused."""
    old = await _locked(tx, id, expected)
    if old.status == "cancelled":
        return old
    _, zone = await queries.currency_and_zone(tx)
    at = aware(given.cancelled_at, zone) or clock.now()
    _moved(old, "cancelled", at)
    stored = await _store(tx, old, msgspec.structs.replace(old, status="cancelled", cancelled_at=at))
    await publish(tx, [OrderCancelled(order_id=id, customer_id=old.customer_id, at=at, reason=given.reason)])
    return stored


async def deliver(tx: Tx, id: UUID, given: Delivery, expected: int | None = None) -> Order:
    """Marks an order delivered; one that is delivered already stays as it is. Raises StatusMoveRefused."""
    old = await _locked(tx, id, expected)
    if old.status == "delivered":
        return old
    _, zone = await queries.currency_and_zone(tx)
    at = aware(given.delivered_at, zone) or clock.now()
    events = _moved(old, "delivered", at)
    stored = await _store(tx, old, msgspec.structs.replace(old, status="delivered", delivered_at=at))
    await publish(tx, events)
    return stored


async def refund(tx: Tx, id: UUID, given: NewRefund, expected: int | None = None) -> Order:
    """Notes money given back; the same `externalId` again changes nothing. Raises RefundTooLarge."""
    old = await _locked(tx, id, expected)
    left = old.total - old.refunded
    amount = left if given.amount is None else given.amount
    if given.external_id == TOLD:
        raise Invalid.at(
            "/externalId", "reserved", f"cannot be {TOLD!r}: so is called what a source's own sum leaves unexplained"
        )
    if given.external_id and await queries.has_refund(tx, id, given.external_id):
        return old
    if not money.fits(amount) or amount <= 0:
        raise Invalid.at("/amount", "range", "must be more than zero")
    if amount != money.at_digits(amount, old.currency):
        raise Invalid.at("/amount", "digits", f"has more digits than {old.currency} has")
    if amount > left:
        raise RefundTooLarge(
            f"{left} {old.currency} are left to refund.", extra={"refundable": str(left), "currency": old.currency}
        )
    _, zone = await queries.currency_and_zone(tx)
    at = aware(given.refunded_at, zone) or clock.now()
    await tx.run(ADD_REFUND, id, ids.new(), given.external_id, amount, given.reason, at)
    await tx.run(SUM_REFUNDS, [id])
    await tx.run(TOUCH, id)
    new = await queries.find(tx, id)
    tx.changed("order", id, old, new, ("refunded",))
    await publish(
        tx,
        [
            OrderRefunded(
                order_id=id,
                customer_id=old.customer_id,
                at=at,
                amount=amount,
                refunded=new.refunded,
                currency=old.currency,
            )
        ],
    )
    return new
