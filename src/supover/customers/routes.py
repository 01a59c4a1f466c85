"""The web addresses of customers."""

import asyncio
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, cast
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, QueryParameter

from supover.customers import avatars, commands, identities, included, queries, rules, tags
from supover.customers.model import (
    Avatar,
    AvatarNotFound,
    Customer,
    CustomerChange,
    CustomerIdentity,
    CustomerReplacement,
    CustomerTags,
    ExternalProfile,
    IdentityMove,
    NewCustomer,
    NewIdentity,
    Status,
    StatusAnswer,
    TagCount,
    TagsToAdd,
)
from supover.kit import countries, images, sql, storage, text, uploads
from supover.kit.api import (
    Answer,
    Caller,
    Count,
    Cursor,
    Door,
    Handler,
    IfMatch,
    Limit,
    Listing,
    NotAllowed,
    PageNumber,
    Raw,
    Routes,
    Sent,
    version_of,
)
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid, Malformed, TooLarge, UnsupportedMediaType
from supover.settings import Settings

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
        "`orders`, the newest 5, for who may read orders; `deleted`, customers that are deleted too.",
    ),
]


def _filter(name: str, description: str) -> Any:
    return QueryParameter(name=name, required=False, description=description)


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
            "name, email, createdAt, updatedAt, totalSpent, orderCount, averageOrderValue, lifetimeValue or lastOrderDate; "
            "- descends. The newest first unless told.",
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
) -> Listing[Customer]:
    """List customers.

    Newest first unless sorted otherwise. Deleted ones only with `include=deleted`.
    """
    asked = _included(request, include)
    zone = await queries.zone(db) if created_from or created_to else None
    filters = queries.Filters(
        terms=rules.terms(wanted or q or ""),
        email=_blank(email),
        phone=rules.phone_asked(phone) if phone and phone.strip() else None,
        external_id=_blank(external_id),
        status=status or (),
        source=source or (),
        tag=tag or (),
        country=countries.code(country) or country.strip() if country else None,
        min_spent=sql.amount(min_spent, "minSpent"),
        max_spent=sql.amount(max_spent, "maxSpent"),
        min_orders=min_orders,
        is_repeat=is_repeat,
        created_from=sql.bound(created_from, zone, "createdFrom") if created_from and zone else None,
        created_to=sql.bound(created_to, zone, "createdTo", end=True) if created_to and zone else None,
        deleted="deleted" in asked,
    )
    if filters.phone == "":
        raise Invalid.at("phone", "phone", "must have digits")
    if min_orders is not None and not 0 <= min_orders <= MAX_INTEGER:
        raise Invalid.at("minOrders", "range", "must be a number of orders")
    rows = sql.page(queries.SORTS, limit=limit, sort=sort, cursor=cursor, number=page)
    found, following, total = await queries.search(db, filters, rows, count=bool(count), addresses="addresses" in asked)
    return Listing(await included.with_them(db, found, asked), following, total)


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
    return _as_written(raw.partition(b"/")[2], decoded, "The external id")


def _as_written(raw: bytes, decoded: str, what: str) -> str:
    # The router decodes and straightens the path: two slashes in a row, as in gid://shopify/…, would become one.
    given = unquote_to_bytes(raw) or decoded.removeprefix("/").encode()
    try:
        return given.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8.") from None


@routes.get("/api/customers/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID, include: IncludeQuery = None) -> Customer:
    """Read a customer.

    A deleted one is there with `include=deleted`; a merged one leads to its survivor.
    """
    if include is None:
        return await queries.find(db, id)
    asked = _included(request, include)
    found = await queries.find(db, id, deleted="deleted" in asked, addresses="addresses" in asked)
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


# --- identities ----------------------------------------------------------------------------------------------------------

identity_routes = Routes("identities")


@identity_routes.get("/api/customers/{id:uuid}/identities", name="search")
async def search_identities(
    db: Reader, request: AnyRequest, id: UUID, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[CustomerIdentity]:
    """List the contacts by which orders come to a customer.

    The newest first: the channels' ids of the buyer, emails and phones.
    """
    await queries.exists(db, id, "/identities")
    page = sql.page(identities.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following, total = await identities.search(db, id, page, count=bool(count))
    return Listing(found, following, total)


@identity_routes.post("/api/customers/{id:uuid}/identities", status=201, also=200, name="create")
async def add_identity(tx: Tx, id: UUID, data: NewIdentity) -> Answer[CustomerIdentity]:
    """Make a contact lead to a customer.

    Orders that come with it are theirs from now on; past orders stay where they are. An email or phone that the profile
    lacks becomes its own. One that the customer has already is answered with 200. One that another customer has is answered
    with 409 and that one's `customerId`, and the two are suggested as a duplicate; `isShared` keeps an email or phone all the
    same: which of the two an order belongs to is then told by the name.
    """
    found, is_new = await identities.add(tx, id, data)
    return Answer(
        found,
        201 if is_new else 200,
        {"Location": f"/api/customers/{id}/identities/{found.id}", "ETag": f'"{found.version}"'},
    )


@identity_routes.get("/api/customers/{id:uuid}/identities/{identity_id:uuid}", name="find")
async def find_identity(db: Reader, id: UUID, identity_id: UUID) -> CustomerIdentity:
    """Read a contact of a customer."""
    await queries.exists(db, id, f"/identities/{identity_id}")
    return await identities.find(db, id, identity_id)


@identity_routes.delete("/api/customers/{id:uuid}/identities/{identity_id:uuid}", name="delete")
async def remove_identity(tx: Tx, id: UUID, identity_id: UUID, if_match: IfMatch = None) -> None:
    """Remove a contact.

    It leads no order here any more, in any spelling, until an order comes that brings it anew beside something that still
    does. Where it stands in the profile it is cleared there too; 409 when nothing else says who the customer is. Past orders
    stay.
    """
    await queries.exists(tx, id, f"/identities/{identity_id}")
    await identities.remove(tx, id, identity_id, version_of(if_match))


@identity_routes.post("/api/customers/{id:uuid}/identities/{identity_id:uuid}/move", name="move")
async def move_identity(
    tx: Tx, request: AnyRequest, id: UUID, identity_id: UUID, data: IdentityMove, if_match: IfMatch = None
) -> Answer[CustomerIdentity]:
    """Move a contact to another customer.

    Orders that come with it are theirs from now on. Past orders stay, unless `orders` is true: then those go along that
    the contact brought (that were mapped by it, and the one that made the customer known, if it came with it), each with
    its reason and both customers' figures; orders that somebody gave to the customer stay. It leaves the former one's profile
    and stands in the new one's where that had none. For everything that a customer has, merge instead.
    """
    if data.orders and not cast("Caller", request.scope["user"]).may("orders:write"):
        raise NotAllowed("Taking orders along needs the permission 'orders:write'.")
    await queries.exists(tx, id, f"/identities/{identity_id}/move")
    moved = await identities.move(tx, id, identity_id, data, version_of(if_match))
    where = f"/api/customers/{moved.customer_id}/identities/{moved.id}"
    return Answer(moved, 200, {"Location": where, "ETag": f'"{moved.version}"'})


# --- tags ----------------------------------------------------------------------------------------------------------------

tag_routes = Routes("tags")


@tag_routes.get("/api/tags", search=True, name="search")
async def search_tags(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[
        str | None, _filter("sort", "customers or tag; - descends. What most customers have first unless told.")
    ] = None,
    wanted: Annotated[str | None, _filter("search", "How the tag begins; case and accents do not matter.")] = None,
) -> Listing[TagCount]:
    """List the tags in use, with how many customers have each.

    Deleted customers do not count. `countedAt` is now, but for workspaces with more than 25,000 tagged customers: their tags
    are counted again within five minutes after a change.
    """
    beginning = text.clean(wanted or "")
    if len(beginning) > rules.TAG_LENGTH:
        raise Invalid.at("search", "length", f"can have at most {rules.TAG_LENGTH} characters")
    page = sql.page(tags.SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following = await tags.search(db, page, beginning)
    return Listing(found, following)


@tag_routes.get("/api/customers/{id:uuid}/tags", name="of_customer")
async def find_tags(db: Reader, id: UUID) -> CustomerTags:
    """Read a customer's tags.

    The ETag is the customer's.
    """
    return await tags.of(db, id)


@tag_routes.post("/api/customers/{id:uuid}/tags", name="add")
async def add_tags(tx: Tx, id: UUID, data: TagsToAdd, if_match: IfMatch = None) -> CustomerTags:
    """Add tags to a customer.

    Those that are there already stay as they are; at most 250, of at most 100 characters each.
    """
    return await tags.add(tx, id, data.tags, version_of(if_match))


@tag_routes.delete("/api/customers/{id:uuid}/tags/{tag:path}", name="remove")
async def remove_tag(tx: Tx, request: AnyRequest, id: UUID, tag: str, if_match: IfMatch = None) -> None:
    """Remove a tag from a customer.

    As it is written, in the address percent-encoded; a slash is taken as it is or as %2F.
    """
    _, _, raw = request.scope["raw_path"].partition(b"/tags/")
    await tags.remove(tx, id, _as_written(raw, tag, "The tag"), version_of(if_match))


# --- avatars -------------------------------------------------------------------------------------------------------------

avatar_routes = Routes("avatars")

RAW: Final = frozenset({"image/png", "image/jpeg", "image/webp", "application/octet-stream"})
# What follows the address of a picture in a cache's eyes: ask again each time whether it is still this one.
CACHED: Final = {"Cache-Control": "private, no-cache"}


class NoPicture(UnsupportedMediaType):
    """A picture is sent as image/png, image/jpeg or image/webp, or as multipart/form-data in the field `file`."""


class PictureTooLarge(TooLarge):
    """A picture may have 2 MiB."""


def _storage(request: AnyRequest) -> storage.Storage:
    return storage.of(cast("Settings", request.app.state.settings).storage_url)


@avatar_routes.get("/api/customers/{id:uuid}/avatar", name="find", media=images.MEDIA_TYPE)
async def find_avatar(db: Reader, request: AnyRequest, id: UUID) -> Raw:
    """Send a customer's picture.

    A WebP within 512 × 512 pixels. With its ETag in If-None-Match 304 while it is still the same.
    """
    await queries.exists(db, id, "/avatar")
    key = await avatars.key(db, id)
    if key is None:
        raise AvatarNotFound
    headers = {**CACHED, "ETag": avatars.etag(key)}
    known = request.headers.get("if-none-match", "")
    if known == "*" or headers["ETag"] in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Raw(b"", images.MEDIA_TYPE, 304, headers)
    data = b"".join([block async for block in _storage(request).get(key)])
    return Raw(data, images.MEDIA_TYPE, headers={**headers, "Content-Disposition": f'attachment; filename="{id}.webp"'})


async def put_avatar(request: AnyRequest, id: FromPath[UUID], if_match: IfMatch = None) -> Avatar:
    """Give a customer a picture.

    The PNG, JPEG or WebP itself as the body, or `multipart/form-data` with the field `file`; at most 2 MiB, 40 megapixels
    as a JPEG and 16 as another, and not animated. It is turned upright, fitted into 512 × 512 pixels and encoded anew:
    nothing of what was beside the pixels is kept.
    """
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    if unknown := sorted(request.query_params):
        raise Invalid.at(unknown[0][:100], "unknown", "is not a parameter here")
    async with door.database.reader(caller.workspace_id) as db:
        await queries.exists(db, id, "/avatar")
    # Received, decoded and kept before anything is held in the database.
    picture = await images.drawn(await _received(request), side=avatars.SIDE)
    keep = _storage(request)
    key = await avatars.keep(keep, picture)
    is_needed = False
    try:
        async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
            await avatars.put(tx, id, key, if_match)
            await door.audit(tx, "avatars.put", id, request)
            # Whether a commit that breaks off has happened nobody knows: then the file stays.
            is_needed = True
    finally:
        if not is_needed:
            await keep.delete(key)
    body = msgspec.json.encode(Avatar(f"/api/customers/{id}/avatar", picture.width, picture.height))
    return cast("Avatar", Sent(body, 200, {"ETag": avatars.etag(key)}, "application/json"))


async def _received(request: AnyRequest) -> bytes:
    kind, _ = request.content_type
    if kind == "multipart/form-data":
        with tempfile.TemporaryDirectory(prefix="supover-avatar-") as folder:
            file = Path(folder) / "upload"
            await uploads.receive(request, file, texts=(), max_bytes=avatars.MAX_BYTES)
            return await asyncio.to_thread(file.read_bytes)
    if kind not in RAW:
        raise NoPicture
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > avatars.MAX_BYTES:
            raise PictureTooLarge
    return bytes(data)


@dataclass
class _WithPicture(Operation):
    """The picture is read as a stream, so Litestar does not know of it."""

    def __post_init__(self) -> None:
        picture = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, required=["file"], properties={"file": picture})
        content = {kind: OpenAPIMediaType(schema=picture) for kind in sorted(RAW) if kind.startswith("image/")}
        content["multipart/form-data"] = OpenAPIMediaType(schema=form)
        self.request_body = RequestBody(content=content, required=True)


avatar_routes.handlers.append(
    Handler(
        "/api/customers/{id:uuid}/avatar",
        http_method="PUT",
        operation_id="avatars.put",
        status_code=200,
        summary="Give a customer a picture",
        description=" ".join((put_avatar.__doc__ or "").split("\n\n", 1)[1].split()),
        tags=["Avatars"],
        opt={"operation": "avatars.put"},
        # `_received` counts what comes.
        request_max_body_size=None,
        operation_class=_WithPicture,
    )(put_avatar)
)


@avatar_routes.delete("/api/customers/{id:uuid}/avatar", name="delete")
async def remove_avatar(tx: Tx, id: UUID, if_match: IfMatch = None) -> None:
    """Remove a customer's picture."""
    await avatars.remove(tx, id, if_match)
