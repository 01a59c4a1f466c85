"""The web addresses of customers."""

from decimal import Decimal
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.customers import commands, filtering, included, queries, rules
from supover.customers.model import (
    Customer,
    CustomerChange,
    CustomerReplacement,
    ExternalProfile,
    NewCustomer,
    Status,
    StatusAnswer,
)
from supover.kit import countries, sql
from supover.kit.api import (
    Answer,
    Caller,
    Count,
    Cursor,
    IfMatch,
    Limit,
    Listing,
    NotAllowed,
    PageNumber,
    Routes,
    version_of,
)
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid

routes = Routes("customers")

AnyRequest = Request[Any, Any, Any]

MAX_INTEGER: Final = 2**31 - 1
PAGING: Final = sql.PAGING | {"include"}


def narrowed(request: AnyRequest) -> bool:
    """Whether a list is narrowed by values, which its plan then depends on."""
    return not request.query_params.keys() <= PAGING


IncludeQuery = Annotated[
    str | None,
    QueryParameter(
        name="include",
        required=False,
        description="With commas between: `addresses`; `identities`, the newest 50; `notes`, the pinned and newest 20; "
        "`orders`, the newest 5, for who may read orders; `deleted`, customers that are deleted too; `merged`, those that were merged "
        "into others too.",
    ),
]


def _filter(name: str, description: str) -> Any:
    return QueryParameter(name=name, required=False, description=description)


class Asked(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What the list of customers can be asked for, as it stands in an address."""

    limit: int | None = None
    cursor: str | None = None
    page: int | None = None
    count: bool | None = None
    sort: str | None = None
    include: str | None = None
    search: str | None = None
    q: str | None = None
    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    status: list[Status] | None = None
    source: list[str] | None = None
    tag: list[str] | None = None
    country: str | None = None
    min_spent: Decimal | None = None
    max_spent: Decimal | None = None
    min_orders: int | None = None
    is_repeat: bool | None = None
    created_from: str | None = None
    created_to: str | None = None
    segment: UUID | None = None
    filter: str | None = None


@routes.get("/api/customers", search=narrowed)
async def search(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        _filter(
            "sort",
            "name, email, createdAt, updatedAt, totalSpent, orderCount, averageOrderValue, lifetimeValue, lastOrderDate or "
            "custom.KEY; - descends. The newest first unless told.",
        ),
    ] = None,
    include: IncludeQuery = None,
    wanted: Annotated[
        str | None,
        _filter(
            "search",
            "Words that each stand in a name, email, phone or external id, or begin an order's number. One or two letters "
            'begin a word; "in quotes" is a whole value; accents and case do not matter.',
        ),
    ] = None,
    q: Annotated[str | None, _filter("q", "Another name of `search`.")] = None,
    email: Annotated[str | None, _filter("email", "The whole address, in any case.")] = None,
    phone: Annotated[str | None, _filter("phone", "The whole number, as given or as E.164; only digits count.")] = None,
    external_id: Annotated[str | None, _filter("externalId", "The channel's id.")] = None,
    status: Annotated[list[Status] | None, _filter("status", "Repeat for several.")] = None,
    source: Annotated[list[str] | None, _filter("source", "Repeat for several.")] = None,
    tag: Annotated[list[str] | None, _filter("tag", "Repeat for customers that have all of them.")] = None,
    country: Annotated[str | None, _filter("country", "A code or a name.")] = None,
    min_spent: Annotated[Decimal | None, _filter("minSpent", "`totalSpent` at least this.")] = None,
    max_spent: Annotated[Decimal | None, _filter("maxSpent", "`totalSpent` at most this.")] = None,
    min_orders: Annotated[int | None, _filter("minOrders", "`orderCount` at least this.")] = None,
    is_repeat: Annotated[bool | None, _filter("isRepeat", "More than one delivered order.")] = None,
    created_from: Annotated[str | None, _filter("createdFrom", "A date or time; created then or after.")] = None,
    created_to: Annotated[
        str | None, _filter("createdTo", "A date, that day included, or a time; created before it.")
    ] = None,
    segment: Annotated[UUID | None, _filter("segment", "Members of this segment.")] = None,
    filter_: Annotated[
        str | None,
        _filter(
            "filter", "A condition in the segment language, as in `amount_spent > 1000 AND last_order_date >= -90d`."
        ),
    ] = None,
) -> Listing[Customer]:
    """List customers.

    Newest first unless sorted otherwise. Deleted ones only with `include=deleted`, merged ones with `include=merged`.
    """
    asked = Asked(
        limit=limit, cursor=cursor, page=page, count=count, sort=sort, include=include, search=wanted, q=q, email=email,
        phone=phone, external_id=external_id, status=status, source=source, tag=tag, country=country, min_spent=min_spent,
        max_spent=max_spent, min_orders=min_orders, is_repeat=is_repeat, created_from=created_from, created_to=created_to,
        segment=segment, filter=filter_,
    )  # fmt: skip
    filters, rows, along = await understood(db, request, asked)
    found, following, total = await queries.search(db, filters, rows, count=bool(count), addresses="addresses" in along)
    return Listing(await included.with_them(db, found, along), following, total)


async def understood(db: Reader, request: AnyRequest, asked: Asked) -> tuple[queries.Filters, sql.Page, frozenset[str]]:
    """What the list is narrowed by, which page of it, and what comes along. Raises Invalid, CursorBroken, NotAllowed."""
    along = _included(request, asked.include)
    dated = asked.created_from or asked.created_to
    zone = await queries.zone(db) if dated else None
    filters = queries.Filters(
        terms=rules.terms(asked.search or asked.q or ""),
        email=_blank(asked.email),
        phone=rules.phone_asked(asked.phone) if asked.phone and asked.phone.strip() else None,
        external_id=_blank(asked.external_id),
        status=asked.status or (),
        source=asked.source or (),
        tag=asked.tag or (),
        country=countries.code(asked.country) or asked.country.strip() if asked.country else None,
        min_spent=sql.amount(asked.min_spent, "minSpent"),
        max_spent=sql.amount(asked.max_spent, "maxSpent"),
        min_orders=asked.min_orders,
        is_repeat=asked.is_repeat,
        created_from=sql.bound(asked.created_from, zone, "createdFrom") if asked.created_from and zone else None,
        created_to=sql.bound(asked.created_to, zone, "createdTo", end=True) if asked.created_to and zone else None,
        segment=asked.segment,
        tree=None if asked.filter is None else await filtering.read(db, asked.filter, "filter"),
        deleted="deleted" in along,
        merged="merged" in along,
    )
    if filters.phone == "":
        raise Invalid.at("phone", "phone", "must have digits")
    if asked.min_orders is not None and not 0 <= asked.min_orders <= MAX_INTEGER:
        raise Invalid.at("minOrders", "range", "must be a number of orders")
    if asked.segment is not None and not await queries.has_segment(db, asked.segment):
        raise Invalid.at("segment", "unknown", "is no segment here")
    sorts = await filtering.sorts(db, asked.sort)
    page = sql.page(sorts, limit=asked.limit, sort=asked.sort, cursor=asked.cursor, number=asked.page)
    return filters, page, along


def _included(request: AnyRequest, include: str | None) -> frozenset[str]:
    """What `include` asks for. Raises Invalid; NotAllowed for orders, where the caller may not read them."""
    asked = rules.includes(include)
    if "orders" in asked and not cast("Caller", request.scope["user"]).may("orders:read"):
        raise NotAllowed("include=orders needs the permission 'orders:read'.")
    return asked


def _blank(value: str | None) -> str | None:
    return value.strip() or None if value else None


@routes.post("/api/customers", status=201)
async def create(tx: Tx, data: NewCustomer) -> Answer[Customer]:
    """Create a customer.

    An email or external id that another customer has is answered with 409 and that one's `customerId`.
    """
    customer = await commands.create(tx, data)
    return Answer(customer, 201, {"Location": f"/api/customers/{customer.id}"})


@routes.put("/api/customers/external/{source:str}/{external_id:path}", also=201)
async def put_external(
    tx: Tx, request: AnyRequest, source: str, external_id: str, data: ExternalProfile, if_match: IfMatch = None
) -> Answer[Customer]:
    """Create or replace the customer whom a channel knows by this id.

    201 when it is a new one. A slash in the id is taken as it is or as %2F.
    """
    customer, is_new = await commands.put_external(
        tx, source, _last_of(request, external_id), data, version_of(if_match)
    )
    return Answer(customer, 201 if is_new else 200, {"Location": f"/api/customers/{customer.id}"})


def _last_of(request: AnyRequest, decoded: str) -> str:
    _, _, raw = request.scope["raw_path"].partition(b"/external/")
    return rules.as_written(raw.partition(b"/")[2], decoded, "The external id")


@routes.get("/api/customers/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID, include: IncludeQuery = None) -> Customer:
    """Read a customer.

    A deleted one is there with `include=deleted`; a merged one leads to its survivor, and is shown with `include=merged`.
    """
    if include is None:
        return await queries.find(db, id)
    asked = _included(request, include)
    found = await queries.find(
        db, id, deleted="deleted" in asked, merged="merged" in asked, addresses="addresses" in asked
    )
    [whole] = await included.with_them(db, [found], asked)
    return whole


@routes.put("/api/customers/{id:uuid}")
async def replace(tx: Tx, id: UUID, data: CustomerReplacement, if_match: IfMatch = None) -> Customer:
    """Replace a customer's profile.

    What is absent becomes null or empty, but for `status` and `source`, which then stay.
    """
    return await commands.replace(tx, id, data, version_of(if_match))


@routes.patch("/api/customers/{id:uuid}")
async def change(tx: Tx, id: UUID, data: CustomerChange, if_match: IfMatch = None) -> Customer:
    """Change what is given of a customer's profile.

    `tags` replaces all tags; `customFields` changes the keys it names, and a null removes its key. The status BLOCKED blocks.
    """
    return await commands.change(tx, id, data, version_of(if_match))


@routes.delete("/api/customers/{id:uuid}")
async def delete(tx: Tx, id: UUID, if_match: IfMatch = None) -> None:
    """Delete a customer.

    It can be restored; until then its email and external id are free.
    """
    await commands.delete(tx, id, version_of(if_match))


@routes.post("/api/customers/{id:uuid}/restore")
async def restore(tx: Tx, id: UUID, if_match: IfMatch = None) -> Customer:
    """Restore a deleted customer.

    409 when another customer has its email or external id by now, with that one's `customerId`.
    """
    return await commands.restore(tx, id, version_of(if_match))


@routes.post("/api/customers/{id:uuid}/block")
async def block(tx: Tx, id: UUID, if_match: IfMatch = None) -> Answer[StatusAnswer]:
    """Block a customer.

    New orders are taken in on hold. Blocking a blocked one changes nothing.
    """
    return _status("Customer blocked", await commands.block(tx, id, version_of(if_match)))


@routes.post("/api/customers/{id:uuid}/unblock")
async def unblock(tx: Tx, id: UUID, if_match: IfMatch = None) -> Answer[StatusAnswer]:
    """Unblock a customer.

    The status from before comes back.
    """
    return _status("Customer unblocked", await commands.unblock(tx, id, version_of(if_match)))


def _status(message: str, customer: Customer) -> Answer[StatusAnswer]:
    return Answer(StatusAnswer(message, customer), 200, {"ETag": f'"{customer.version}"'})
