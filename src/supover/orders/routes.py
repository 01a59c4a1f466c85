"""The web addresses of orders."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.customers import queries as customers
from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, PageNumber, Routes, decode, version_of
from supover.kit.db import Reader, Tx
from supover.kit.jobs import defer
from supover.kit.money import CURRENCIES
from supover.kit.problems import FieldError, Invalid
from supover.orders import commands, queries, rates
from supover.orders.model import (
    BatchAnswer,
    BatchRow,
    Cancellation,
    Delivery,
    IdentityDecision,
    NewOrder,
    NewRefund,
    Order,
    OrderChange,
    OrderStatus,
)
from supover.orders.rates import Rate, RatesKept

routes = Routes("orders")

AnyRequest = Request[Any, Any, Any]

MAX_BATCH: Final = 1_000
# What a body says that was not sent.
CANCELLED_NOW: Final = Cancellation()
DELIVERED_NOW: Final = Delivery()
ALL_REFUNDED: Final = NewRefund()


class OrderBatch(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Up to 1,000 orders; each is taken or refused by itself."""

    orders: Annotated[
        Sequence[msgspec.Raw], msgspec.Meta(extra_json_schema={"items": {"$ref": "#/components/schemas/NewOrder"}})
    ]


class IdentityAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The decision that holds, with what spoke for and against it in words, and those before it, the newest first."""

    order_id: UUID
    customer_id: UUID | None
    method: str
    evidence: dict[str, object]
    decided_at: datetime
    explanation: Sequence[str]
    history: Sequence[IdentityDecision]


CustomerIdQuery = Annotated[
    list[UUID] | None, QueryParameter(name="customerId", required=False, description="Repeat for several.")
]
StatusQuery = Annotated[
    list[OrderStatus] | None, QueryParameter(name="status", required=False, description="Repeat for several.")
]
FromQuery = Annotated[
    str | None,
    QueryParameter(name="placedFrom", required=False, description="A date or time; placed then or after."),
]
ToQuery = Annotated[
    str | None,
    QueryParameter(
        name="placedTo", required=False, description="A date, that day included, or a time; placed before it."
    ),
]
NumberQuery = Annotated[
    str | None,
    QueryParameter(
        name="number", required=False, description="The number or its beginning, with or without a # before it."
    ),
]
SortQuery = Annotated[
    str | None, QueryParameter(name="sort", required=False, description="placedAt, total or createdAt; - descends.")
]


# Planned for its values: the beginning of a number, and states that are rare, have indexes of their own.
@routes.get("/api/orders", search=True)
async def search(
    db: Reader,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    count: Count = None,
    sort: SortQuery = None,
    customer_id: CustomerIdQuery = None,
    status: StatusQuery = None,
    source: Annotated[str | None, QueryParameter(name="source", required=False)] = None,
    placed_from: FromQuery = None,
    placed_to: ToQuery = None,
    number: NumberQuery = None,
    min_total: Annotated[Decimal | None, QueryParameter(name="minTotal", required=False)] = None,
    max_total: Annotated[Decimal | None, QueryParameter(name="maxTotal", required=False)] = None,
    on_hold: Annotated[bool | None, QueryParameter(name="onHold", required=False)] = None,
    rate_missing: Annotated[
        bool | None, QueryParameter(name="rateMissing", required=False, description="No exchange rate is known.")
    ] = None,
    needs_review: Annotated[
        bool | None, QueryParameter(name="needsReview", required=False, description="It has no customer.")
    ] = None,
) -> Listing[Order]:
    """List orders.

    Newest first unless sorted otherwise.
    """
    zone = (await queries.currency_and_zone(db))[1] if placed_from or placed_to else None
    filters = queries.Filters(
        customer_ids=customer_id or (),
        status=status,
        source=source,
        placed_from=sql.bound(placed_from, zone, "placedFrom") if placed_from and zone else None,
        placed_to=sql.bound(placed_to, zone, "placedTo", end=True) if placed_to and zone else None,
        number=number,
        min_total=sql.amount(min_total, "minTotal"),
        max_total=sql.amount(max_total, "maxTotal"),
        on_hold=on_hold,
        rate_missing=rate_missing,
        needs_review=needs_review,
    )
    wanted = sql.page(queries.SORTS, limit=limit, sort=sort, cursor=cursor, number=page)
    found, following, total = await queries.search(db, filters, wanted, count=bool(count))
    return Listing(found, following, total)


@routes.post("/api/orders", status=201, also=200)
async def create(tx: Tx, data: NewOrder) -> Answer[Order]:
    """Take an order in.

    Mapped to its customer by `customerId`, else the channel's buyer id, a real email, a real phone with a compatible first
    name; else a new customer is made. The same source, shop and externalId again answers 200 with the order as it is then.
    """
    order, is_new = await commands.create(tx, data)
    return Answer(order, 201 if is_new else 200, {"Location": f"/api/orders/{order.id}"})


@routes.post("/api/orders/batch")
async def create_batch(tx: Tx, data: OrderBatch) -> BatchAnswer:
    """Take up to 1,000 orders in.

    Good rows are taken, bad ones are told row by row.
    """
    if not 1 <= len(data.orders) <= MAX_BATCH:
        raise Invalid.at("/orders", "length", f"must hold 1 to {MAX_BATCH} orders")
    rows: list[NewOrder | Invalid] = []
    for raw in data.orders:
        try:
            rows.append(decode(bytes(raw), NewOrder))
        except Invalid as error:
            rows.append(error)
    answers: list[BatchRow] = []
    for n, (taken, errors) in enumerate(await commands.create_batch(tx, rows)):
        shown = [FieldError(f"/orders/{n}{e.pointer}", e.code, e.message) for e in errors]
        if taken is None or taken.order_id is None:
            answers.append(BatchRow(n, "failed", errors=shown))
        else:
            answers.append(BatchRow(n, taken.outcome, taken.order_id, taken.customer_id))
    sums = {
        outcome: sum(a.status == outcome for a in answers) for outcome in ("created", "updated", "unchanged", "failed")
    }
    return BatchAnswer(answers, **sums)


@routes.get("/api/orders/{id:uuid}")
async def find(db: Reader, id: UUID) -> Order:
    """Read an order."""
    return await queries.find(db, id)


@routes.patch("/api/orders/{id:uuid}")
async def change(tx: Tx, id: UUID, data: OrderChange, if_match: IfMatch = None) -> Order:
    """Change an order.

    A status moves by one table: pending, confirmed, processing, shipped, delivered, returned, forward only; cancelled from any
    before delivered. Other moves are answered with 409.
    """
    return await commands.change(tx, id, data, version_of(if_match))


@routes.post("/api/orders/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID, data: Cancellation = CANCELLED_NOW, if_match: IfMatch = None) -> Order:
    """Cancel an order."""
    return await commands.cancel(tx, id, data, version_of(if_match))


@routes.post("/api/orders/{id:uuid}/refund")
async def refund(tx: Tx, id: UUID, data: NewRefund = ALL_REFUNDED, if_match: IfMatch = None) -> Order:
    """Note a refund.

    All that is left unless an `amount` is given; a repeated `externalId` changes nothing.
    """
    return await commands.refund(tx, id, data, version_of(if_match))


@routes.post("/api/orders/{id:uuid}/deliver")
async def deliver(tx: Tx, id: UUID, data: Delivery = DELIVERED_NOW, if_match: IfMatch = None) -> Order:
    """Mark an order delivered."""
    return await commands.deliver(tx, id, data, version_of(if_match))


@routes.get("/api/orders/{id:uuid}/identity")
async def identity(db: Reader, id: UUID) -> IdentityAnswer:
    """Explain why an order belongs to its customer.

    `method` is the rule that held: customer_id (it was said), channel_identity, email, phone, new (a customer was made for
    it), identity_moved (it went along with a contact), merged, unmerged or split (its customer was), none (nothing says whose
    it is). `explanation` says it in words.
    """
    first, *before = await queries.decisions(db, id)
    return IdentityAnswer(
        first.order_id,
        first.customer_id,
        first.method,
        dict(first.evidence),
        first.decided_at,
        first.explanation,
        before,
    )


@routes.get("/api/customers/{id:uuid}/orders")
async def of_customer(
    db: Reader,
    request: AnyRequest,
    id: UUID,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    count: Count = None,
    status: StatusQuery = None,
) -> Listing[Order]:
    """List a customer's orders, newest first."""
    await customers.exists(db, id, "/orders")
    wanted = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor, number=page)
    found, following, total = await queries.search(
        db, queries.Filters(customer_ids=[id], status=status), wanted, count=bool(count)
    )
    return Listing(found, following, total)


rate_routes = Routes("rates")


class RateTable(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Rates to keep, at most 5,000 at once."""

    rates: Sequence[Rate]


@rate_routes.get("/api/rates", name="search")
async def search_rates(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    currency: Annotated[str | None, QueryParameter(name="currency", required=False)] = None,
    before: Annotated[
        date | None, QueryParameter(name="before", required=False, description="Only days before this one.")
    ] = None,
    count: Count = None,
) -> Listing[Rate]:
    """List exchange rates, the newest first."""
    size = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None).limit
    after = None if cursor is None else rates.after(cursor)
    if currency is not None and currency not in CURRENCIES:
        raise Invalid.at("currency", "currency", "must be a code of ISO 4217 such as EUR")
    found, total = await rates.search(
        db, currency=currency, before=before, limit=size + 1, after=after, count=bool(count)
    )
    following = rates.cursor(found[size - 1]) if len(found) > size else None
    return Listing(found[:size], following, total)


@rate_routes.put("/api/rates", name="put")
async def keep_rates(tx: Tx, data: RateTable) -> RatesKept:
    """Keep exchange rates.

    Orders that lacked a rate get theirs and are counted within seconds; orders already counted keep the rate they have.
    """
    if not 1 <= len(data.rates) <= rates.BATCH:
        raise Invalid.at("/rates", "length", f"must hold 1 to {rates.BATCH} rates")
    await rates.note(tx, data.rates)
    kept = await rates.keep(tx, data.rates, "/rates")
    await defer(tx, "orders.apply_rates", {}, singleton="apply")
    return kept


@rate_routes.delete("/api/rates/{currency:str}/{day:str}", name="delete")
async def delete_rate(tx: Tx, currency: str, day: str) -> None:
    """Forget a currency's rate of a day.

    Orders that were counted at it keep it; those that come in later take the rate of an earlier day, up to a month old.
    """
    await rates.delete(tx, currency, day)
