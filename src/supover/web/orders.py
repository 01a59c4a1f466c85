"""Orders and exchange rates: the list, an order with all that can be done with it, orders that wait for somebody."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from supover.access.model import Caller
from supover.customers import commands as customer_commands
from supover.customers import queries as customers
from supover.customers import rules as customer_rules
from supover.customers.model import Customer, NewCustomer
from supover.kit import api, clock, ids, money, sql
from supover.kit.db import Reader, Tx
from supover.kit.jobs import defer
from supover.kit.problems import Invalid
from supover.orders import commands, queries, rates, routes, rules
from supover.orders.model import (
    Cancellation,
    Delivery,
    NewRefund,
    Order,
    OrderChange,
    OrderStatus,
    RefundTooLarge,
)
from supover.orders.rates import Rate
from supover.web.frame import Asked, Pages, asked, caller_of, say, see, show
from supover.web.model import Said
from supover.web.queries import people
from supover.web.rendering import IDS, spelled

pages = Pages()

FOUND: Final = 6
"""So many customers are offered for an order."""
MEANT: Final = 100
"""Of so many customers whom words may mean the orders are listed."""

# --- the list ------------------------------------------------------------------------------------------------------------


class List(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What the list can be asked for, as it stands in an address."""

    search: str | None = None
    status: list[OrderStatus] | None = None
    source: str | None = None
    placed_from: str | None = None
    placed_to: str | None = None
    min_total: Decimal | None = None
    max_total: Decimal | None = None
    on_hold: bool | None = None
    needs_review: bool | None = None
    rate_missing: bool | None = None
    customer_id: UUID | None = None
    sort: str | None = None
    cursor: str | None = None


# Beside a tab more than a hundred is not told.
WITHOUT_RATE: Final = """
    select count(*) from (select 1 from "order" o where o.workspace_id = $1 and o.exchange_rate is null limit 100) as o"""


async def _listed(
    db: Reader, given: List, number: str | None = None, whose: list[UUID] | None = None
) -> sql.Listing[Order]:
    return await routes.search(
        db, cursor=given.cursor, count=True, sort=given.sort, customer_id=whose, status=given.status,
        source=given.source, placed_from=given.placed_from, placed_to=given.placed_to, number=number,
        min_total=given.min_total, max_total=given.max_total, on_hold=given.on_hold, rate_missing=given.rate_missing,
        needs_review=given.needs_review,
    )  # fmt: skip


class Found(msgspec.Struct, frozen=True):
    """The orders that words in the search mean: by how their number begins, else by whose they are."""

    listed: sql.Listing[Order]
    number: str | None = None
    whose: Sequence[UUID] = ()


async def _found(db: Reader, given: List) -> Found:
    words = (given.search or "").strip()
    here = [given.customer_id] if given.customer_id else None
    if not words:
        return Found(await _listed(db, given, whose=here), whose=here or ())
    listed = await _listed(db, given, words, here)
    if listed.data:
        return Found(listed, words, here or ())
    meant = [] if here else [one.id for one in await _candidates(db, words, MEANT)]
    return Found(await _listed(db, given, whose=meant), whose=meant) if meant else Found(listed, words, here or ())


@pages.get("/orders", of="orders.search", search=True)
async def show_list(db: Reader, request: Asked) -> api.Raw:
    """The orders, narrowed and sorted as their address says."""
    given = asked(request, List)
    found = await _found(db, given)
    listed = found.listed
    known = await people(db, [given.customer_id, *(order.customer_id for order in listed.data)])
    return await show(
        request,
        db,
        "orders/list.html",
        given=given,
        found=listed.data,
        following=listed.next_cursor,
        total=listed.total or 0,
        number=found.number,
        whose=found.whose,
        is_cut=len(found.whose) == MEANT,
        people=known,
        statuses=rules.STATUSES,
        without_rate=await db.value(WITHOUT_RATE),
    )


# --- one of them ---------------------------------------------------------------------------------------------------------

STEPS: Final[Sequence[OrderStatus]] = ("pending", "confirmed", "processing", "shipped", "delivered")


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What an order's page can be asked for: customers whose it may be."""

    find: str = ""


class Why(msgspec.Struct, frozen=True):
    """A decision in sentences, in which customers are named by their ids."""

    decided_at: datetime
    sentences: Sequence[str]


def refusal(now: OrderStatus, to: OrderStatus) -> str:
    """A code of why an order cannot go from one status to the other."""
    if now in ("cancelled", "returned"):
        return f"is_{now}"
    if to == "cancelled":
        return "is_delivered"
    if to == "returned":
        return "not_sent"
    return "is_past"


@pages.get("/orders/{id:uuid}", of="orders.find")
async def show_one(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """An order: what was bought, what it costs, whose it is and why, and what can be done with it."""
    given = asked(request, Looked)
    order = await queries.find(db, id)
    decisions = await queries.decisions(db, id)
    why = [Why(one.decided_at, one.explanation) for one in decisions]
    named = [UUID(id) for one in why for said in one.sentences for id in IDS.findall(said)]
    moves = [status for status in rules.STATUSES if rules.may_move(order.status, status)]
    refused = [
        (status, refusal(order.status, status))
        for status in rules.STATUSES
        if status not in moves and status != order.status
    ]
    known = await people(db, [order.customer_id, *named])
    wanted = given.find or (order.email or order.name or "" if order.needs_review else "")
    return await show(
        request,
        db,
        "orders/one.html",
        given=given,
        order=order,
        people=known,
        named={str(one.id): one for one in known.values()},
        why=why,
        refunds=await queries.refunds(db, id) if order.refunded else [],
        refund_id=f"web-{ids.new()}",
        step=str(money.quantum(order.currency)),
        moves=moves,
        refused=refused,
        steps=STEPS,
        candidates=await _candidates(db, wanted),
    )


async def _candidates(db: Reader, wanted: str, most: int = FOUND) -> list[Customer]:
    """Some customers whom these words may mean."""
    terms = customer_rules.terms(wanted)
    if not terms:
        return []
    page = sql.page(customers.SORTS, limit=most, sort=None, cursor=None)
    found, _, _ = await customers.search(db, customers.Filters(terms=terms), page)
    return found


def _at(id: UUID) -> str:
    return f"/orders/{id}"


class Move(msgspec.Struct, frozen=True):
    """Where an order goes."""

    status: OrderStatus


@pages.post("/orders/{id:uuid}/status", of="orders.change")
async def move(tx: Tx, request: Asked, id: UUID, data: Move) -> api.Raw:
    """Moves an order on."""
    await commands.change(tx, id, OrderChange(status=data.status))
    return see(request, _at(id), say("The order is marked as: %(status)s.", status=Said(spelled(data.status))))


@pages.post("/orders/{id:uuid}/deliver", of="orders.deliver")
async def deliver(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Marks an order delivered."""
    await commands.deliver(tx, id, Delivery())
    return see(request, _at(id), "The order is delivered.")


@pages.post("/orders/{id:uuid}/cancel", of="orders.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID, data: Cancellation) -> api.Raw:
    """Cancels an order."""
    await commands.cancel(tx, id, data)
    return see(request, _at(id), "The order was cancelled.")


@pages.post("/orders/{id:uuid}/refund", of="orders.refund")
async def refund(tx: Tx, request: Asked, id: UUID, data: NewRefund) -> api.Raw:
    """Notes money that was given back; all that is left unless an amount is told."""
    try:
        await commands.refund(tx, id, data)
    except RefundTooLarge as wrong:
        raise Invalid.at("/amount", "range", wrong.detail) from None
    return see(request, _at(id), "The refund was recorded.")


class Hold(msgspec.Struct, frozen=True, rename="camel"):
    """Why an order is held."""

    hold_reason: str | None = None


@pages.post("/orders/{id:uuid}/hold", of="orders.change")
async def hold(tx: Tx, request: Asked, id: UUID, data: Hold) -> api.Raw:
    """Holds an order back."""
    await commands.change(tx, id, OrderChange(on_hold=True, hold_reason=data.hold_reason))
    return see(request, _at(id), "The order is on hold.", undo=f"{_at(id)}/release")


@pages.post("/orders/{id:uuid}/release", of="orders.change")
async def release(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Lets an order go on."""
    await commands.change(tx, id, OrderChange(on_hold=False))
    return see(request, _at(id), "The order was released.")


# --- whose it is ---------------------------------------------------------------------------------------------------------


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    """Whose an order is."""

    customer_id: UUID


@pages.post("/orders/{id:uuid}/customer", of="orders.change")
async def give(tx: Tx, request: Asked, id: UUID, data: Owner) -> api.Raw:
    """Gives an order to a customer."""
    return await _given(tx, request, id, data.customer_id)


@pages.post("/orders/{id:uuid}/customer/{customer_id:uuid}", of="orders.change")
async def give_back(tx: Tx, request: Asked, id: UUID, customer_id: UUID) -> api.Raw:
    """Gives an order back to whose it was."""
    return await _given(tx, request, id, customer_id)


async def _given(tx: Tx, request: Asked, id: UUID, customer_id: UUID) -> api.Raw:
    former = (await queries.find(tx, id)).customer_id
    await commands.change(tx, id, OrderChange(customer_id=customer_id))
    undo = f"{_at(id)}/customer/{former}" if former and former != customer_id else ""
    return see(request, _at(id), "The order belongs to this customer now.", undo=undo)


@pages.post("/orders/{id:uuid}/customer/new", of="orders.change")
async def give_to_new(tx: Tx, request: Asked, id: UUID, data: NewCustomer) -> api.Raw:
    """Makes a customer and gives the order to them."""
    _may(caller_of(request), "customers:write")
    made = await customer_commands.create(tx, data)
    await commands.change(tx, id, OrderChange(customer_id=made.id))
    return see(request, _at(id), "The customer was made, and the order is theirs.")


def _may(caller: Caller, permission: str) -> None:
    if not caller.may(permission):
        raise api.NotAllowed(f"This needs the permission {permission!r}.")


# --- what is noted of it -------------------------------------------------------------------------------------------------


class Noted(msgspec.Struct, frozen=True):
    """A note; null takes it away."""

    note: str | None = None


class Tagged(msgspec.Struct, frozen=True):
    """A tag."""

    tag: str


@pages.post("/orders/{id:uuid}/note", of="orders.change")
async def note(tx: Tx, request: Asked, id: UUID, data: Noted) -> api.Raw:
    """Writes an order's note."""
    await commands.change(tx, id, OrderChange(note=data.note))
    return see(request, _at(id), "The note was saved.")


@pages.post("/orders/{id:uuid}/tag", of="orders.change")
async def tag(tx: Tx, request: Asked, id: UUID, data: Tagged) -> api.Raw:
    """Tags an order."""
    if not data.tag.strip():
        raise Invalid.at("/tag", "required", "cannot be empty")
    order = await _held(tx, id)
    await commands.change(tx, id, OrderChange(tags=[*order.tags, data.tag.strip()]))
    return see(request, _at(id), "The tag was added.")


@pages.post("/orders/{id:uuid}/untag", of="orders.change")
async def untag(tx: Tx, request: Asked, id: UUID, data: Tagged) -> api.Raw:
    """Takes a tag off an order."""
    order = await _held(tx, id)
    await commands.change(tx, id, OrderChange(tags=[own for own in order.tags if own != data.tag]))
    return see(request, _at(id), "The tag was taken off.")


async def _held(tx: Tx, id: UUID) -> Order:
    """The order, which nobody else changes until the end."""
    await tx.value(commands.LOCK, id)
    return await queries.find(tx, id)


# --- rates ---------------------------------------------------------------------------------------------------------------


class OrderRate(msgspec.Struct, frozen=True):
    """A rate for an order; with `keep` for others of its currency from its day on, too."""

    rate: Decimal
    keep: bool = False


@pages.post("/orders/{id:uuid}/rate", of="orders.change")
async def set_rate(tx: Tx, request: Asked, id: UUID, data: OrderRate) -> api.Raw:
    """Says what an order's currency was worth."""
    if not rules.is_rate(data.rate):
        raise Invalid.at("/rate", "range", "must be a positive number")
    order = await queries.find(tx, id)
    await commands.change(tx, id, OrderChange(exchange_rate=data.rate))
    if data.keep:
        _, zone = await queries.currency_and_zone(tx)
        await _keep(tx, Rate(order.currency, order.placed_at.astimezone(zone).date(), data.rate))
        return see(request, _at(id), "The rate was set, and others of this currency get it, too.")
    return see(request, _at(id), "The rate was set. The order counts now.")


async def _keep(tx: Tx, rate: Rate) -> None:
    own, _ = await queries.currency_and_zone(tx)
    if errors := rates.errors_of([rate], own):
        raise Invalid([msgspec.structs.replace(one, pointer=one.pointer.removeprefix("/0")) for one in errors])
    await rates.note(tx, [rate])
    await rates.keep(tx, [rate])
    await defer(tx, "orders.apply_rates", {}, singleton="apply")


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of rates can be asked for."""

    currency: str | None = None
    cursor: str | None = None


WAITING: Final = """
    select o.currency, count(*)
      from "order" o
     where o.workspace_id = $1 and o.exchange_rate is null
     group by o.currency
     order by count(*) desc, o.currency
     limit 10"""


@pages.get("/orders/rates", of="rates.search")
async def show_rates(db: Reader, request: Asked) -> api.Raw:
    """The exchange rates, and the orders that wait for one."""
    given = asked(request, Rates)
    listed = await routes.search_rates(db, request, currency=given.currency, cursor=given.cursor, count=True)
    return await show(
        request,
        db,
        "orders/rates.html",
        given=given,
        found=listed.data,
        following=listed.next_cursor,
        total=listed.total or 0,
        waiting=await db.rows(WAITING),
        currencies=sorted(money.CURRENCIES),
        today=clock.now().astimezone(await customers.zone(db)).date(),
    )


@pages.post("/orders/rates", of="rates.put")
async def put_rate(tx: Tx, request: Asked, data: Rate) -> api.Raw:
    """Keeps a currency's rate of a day."""
    await _keep(tx, data)
    return see(request, "/orders/rates", "The rate was saved. Orders that waited for it are being counted.")


@pages.post("/orders/rates/{currency:str}/{day:str}/delete", of="rates.delete")
async def delete_rate(tx: Tx, request: Asked, currency: str, day: str) -> api.Raw:
    """Forgets a currency's rate of a day."""
    known = await tx.all(Rate, rates.STORED, [currency], [_day(day)])
    await rates.delete(tx, currency, day)
    [rate] = known
    undo = f"/orders/rates/{currency}/{day}/{rate.rate:f}"
    return see(request, "/orders/rates", "The rate was deleted.", undo=undo)


@pages.post("/orders/rates/{currency:str}/{day:str}/{rate:str}", of="rates.put")
async def put_rate_back(tx: Tx, request: Asked, currency: str, day: str, rate: str) -> api.Raw:
    """Keeps a rate again that was deleted."""
    amount = money.parse(rate)
    if amount is None:
        raise rates.RateNotFound
    await _keep(tx, Rate(currency, _day(day), amount))
    return see(request, "/orders/rates", "The rate is back.")


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise rates.RateNotFound from None
