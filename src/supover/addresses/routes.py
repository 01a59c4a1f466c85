"""The web addresses of addresses."""

from uuid import UUID

from supover.addresses import commands, queries
from supover.addresses.model import Address, NewAddress
from supover.customers import queries as customers
from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx

routes = Routes("addresses")


@routes.get("/api/customers/{id:uuid}/addresses")
async def search(
    db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[Address]:
    """List a customer's addresses, the newest first."""
    await customers.exists(db, id, "/addresses")
    page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=cursor)
    found, following = await queries.search(db, id, page)
    return Listing(found, following, await queries.count(db, id) if count else None)


@routes.post("/api/customers/{id:uuid}/addresses", status=201)
async def create(tx: Tx, id: UUID, data: NewAddress) -> Answer[Address]:
    """Add an address.

    It is checked by its country's rules, which set `validatedAt`; with `validationSkipped` it is kept as given.
    """
    await customers.exists(tx, id, "/addresses")
    address = await commands.create(tx, id, data)
    return Answer(address, 201, {"Location": f"/api/customers/{id}/addresses/{address.id}"})


@routes.get("/api/customers/{id:uuid}/addresses/{address_id:uuid}")
async def find(db: Reader, id: UUID, address_id: UUID) -> Address:
    """Read an address."""
    await customers.exists(db, id, f"/addresses/{address_id}")
    return await queries.find(db, id, address_id)


@routes.put("/api/customers/{id:uuid}/addresses/{address_id:uuid}")
async def replace(tx: Tx, id: UUID, address_id: UUID, data: NewAddress, if_match: IfMatch = None) -> Address:
    """Replace an address.

    It stays the default, or none, unless `isDefault` says otherwise.
    """
    await customers.exists(tx, id, f"/addresses/{address_id}")
    return await commands.replace(tx, id, address_id, data, version_of(if_match))


@routes.delete("/api/customers/{id:uuid}/addresses/{address_id:uuid}")
async def delete(tx: Tx, id: UUID, address_id: UUID, if_match: IfMatch = None) -> None:
    """Remove an address.

    No other one becomes the default in its place.
    """
    await customers.exists(tx, id, f"/addresses/{address_id}")
    await commands.delete(tx, id, address_id, version_of(if_match))


@routes.post("/api/customers/{id:uuid}/addresses/{address_id:uuid}/default")
async def make_default(tx: Tx, id: UUID, address_id: UUID, if_match: IfMatch = None) -> Address:
    """Make an address the default of its type.

    BOTH is of both types.
    """
    await customers.exists(tx, id, f"/addresses/{address_id}/default")
    return await commands.make_default(tx, id, address_id, version_of(if_match))
