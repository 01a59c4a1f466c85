"""The web addresses of the contacts that lead orders to a customer."""

from typing import Any, cast
from uuid import UUID

from litestar import Request

from supover.customers import identities, queries
from supover.customers.model import CustomerIdentity, IdentityMove, NewIdentity
from supover.kit import sql
from supover.kit.api import Answer, Caller, Count, Cursor, IfMatch, Limit, Listing, NotAllowed, Routes, version_of
from supover.kit.db import Reader, Tx

AnyRequest = Request[Any, Any, Any]

routes = Routes("identities")


@routes.get("/api/customers/{id:uuid}/identities", name="search")
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


@routes.post("/api/customers/{id:uuid}/identities", status=201, also=200, name="create")
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


@routes.get("/api/customers/{id:uuid}/identities/{identity_id:uuid}", name="find")
async def find_identity(db: Reader, id: UUID, identity_id: UUID) -> CustomerIdentity:
    """Read a contact of a customer."""
    await queries.exists(db, id, f"/identities/{identity_id}")
    return await identities.find(db, id, identity_id)


@routes.delete("/api/customers/{id:uuid}/identities/{identity_id:uuid}", name="delete")
async def remove_identity(tx: Tx, id: UUID, identity_id: UUID, if_match: IfMatch = None) -> None:
    """Remove a contact.

    It leads no order here any more, in any spelling, until an order comes that brings it anew beside something that still
    does. Where it stands in the profile it is cleared there too; 409 when nothing else says who the customer is. Past orders
    stay.
    """
    await queries.exists(tx, id, f"/identities/{identity_id}")
    await identities.remove(tx, id, identity_id, version_of(if_match))


@routes.post("/api/customers/{id:uuid}/identities/{identity_id:uuid}/move", name="move")
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
