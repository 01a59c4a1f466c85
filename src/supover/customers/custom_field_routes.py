"""The web addresses of custom fields' definitions."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from supover.customers import custom_field_index, custom_field_misfits, custom_fields
from supover.customers.custom_field_model import (
    CustomField,
    CustomFieldChange,
    CustomFieldConflict,
    CustomFieldMisfit,
    NewCustomField,
)
from supover.kit import sql
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, PageNumber, Routes, version_of
from supover.kit.db import Reader, Tx

routes = Routes("fields", "Custom fields")

AnyRequest = Request[Any, Any, Any]


@routes.get("/api/custom-fields")
async def search(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    page: PageNumber = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort", required=False, description="position, key or createdAt; - descends. By position unless told."
        ),
    ] = None,
) -> Listing[CustomField]:
    """List custom fields.

    A workspace can have 100.
    """
    asked = sql.page(custom_fields.SORTS, limit=limit, sort=sort, cursor=cursor, number=page)
    return Listing(*await custom_fields.search(db, asked, count=bool(count)))


@routes.post("/api/custom-fields", status=201)
async def create(tx: Tx, data: NewCustomField) -> Answer[CustomField]:
    """Declare a custom field.

    From then on the values that come in through the API under its key must fit; values that are there stay, and `misfits`
    says how many of them do not. An index (`isIndexed`, `isUnique`) is built by a job: see `indexState`.
    """
    found = await custom_fields.create(tx, data)
    return Answer(found, 201, {"Location": f"/api/custom-fields/{found.id}", "ETag": f'"{found.version}"'})


@routes.get("/api/custom-fields/{id:uuid}")
async def find(db: Reader, id: UUID) -> CustomField:
    """Read a custom field."""
    return await custom_fields.find(db, id)


@routes.patch("/api/custom-fields/{id:uuid}")
async def change(tx: Tx, id: UUID, data: CustomFieldChange, if_match: IfMatch = None) -> CustomField:
    """Change a custom field.

    Values stay as they are: those that no longer fit are counted in `misfits` where the type, the choices or the pattern
    changed, and found by no filter until they are mended. A key cannot be changed.
    """
    return await custom_fields.change(tx, id, data, version_of(if_match))


@routes.delete("/api/custom-fields/{id:uuid}")
async def delete(tx: Tx, id: UUID, if_match: IfMatch = None) -> None:
    """Delete a custom field.

    Values stay, as JSON that nothing is known of; a field that is declared anew under the key finds them.
    """
    await custom_fields.delete(tx, id, version_of(if_match))


@routes.get("/api/custom-fields/{id:uuid}/conflicts", search=True)
async def conflicts(
    db: Reader, request: AnyRequest, id: UUID, limit: Limit = None, cursor: Cursor = None
) -> Listing[CustomFieldConflict]:
    """List the values that several customers have of a unique field.

    They had them before the field was unique; nobody else can get them. The field is ready once there are none left.
    """
    await custom_fields.find(db, id)
    asked = sql.page(custom_field_index.CONFLICT_SORTS, limit=limit, sort=None, cursor=cursor)
    return Listing(*await custom_field_index.conflicts(db, id, asked))


@routes.get("/api/custom-fields/{id:uuid}/misfits", search=True, name="misfits")
async def list_misfits(
    db: Reader, request: AnyRequest, id: UUID, limit: Limit = None, cursor: Cursor = None, count: Count = None
) -> Listing[CustomFieldMisfit]:
    """List the customers whose value does not fit the field.

    A page looks at 20,000 customers at most, so it may be short or empty while there are more: go on with `nextCursor` until
    it is null. `count` looks at all customers.
    """
    field = await custom_fields.find(db, id)
    asked = sql.page(custom_field_misfits.SORTS, limit=limit, sort=None, cursor=cursor)
    return Listing(*await custom_field_misfits.search(db, field, asked, counted=bool(count)))
