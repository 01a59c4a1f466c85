"""The web addresses of saved views."""

from typing import Annotated, Any, Final, cast, get_args, get_origin
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from supover.customers.routes import Asked, understood
from supover.kit import sql
from supover.kit.api import (
    Answer,
    Caller,
    Count,
    Cursor,
    IfMatch,
    Limit,
    Listing,
    NotAllowed,
    Routes,
    version_of,
)
from supover.kit.db import Reader, Tx
from supover.kit.problems import FieldError, Invalid, Malformed, from_library
from supover.segments import rules, views
from supover.segments.model import NewView, View, ViewChange, ViewReplacement

routes = Routes("views")

AnyRequest = Request[Any, Any, Any]


def _caller(request: AnyRequest) -> Caller:
    return cast("Caller", request.scope["user"])


# --- what a view may ask ---------------------------------------------------------------------------------------------

_ASKED: Final = msgspec.structs.fields(Asked)
_OF_A_PAGE: Final = frozenset({"cursor", "page"})
"""What no view keeps: it is the whole list."""


def _is_repeated(field: msgspec.structs.FieldInfo) -> bool:
    return any(get_origin(one) is list for one in get_args(field.type))


_REPEATED: Final = {field.encode_name for field in _ASKED if _is_repeated(field)}


def _may_share(request: AnyRequest, is_shared: bool | UnsetType) -> None:
    if is_shared is True and not _caller(request).may("customers:write"):
        raise NotAllowed("Sharing a view needs the permission 'customers:write'.")


async def _checked(tx: Tx, request: AnyRequest, query: str) -> str:
    """The query string as it is kept: one that the list of customers takes. Raises Invalid, NotAllowed."""
    asked = rules.query(query)
    if part := sorted(_OF_A_PAGE & asked.keys()):
        raise Invalid.at("/query", "page", f"{part[0]}: is one page, and a view is the whole list")
    try:
        sql.known(asked, [field.encode_name for field in _ASKED])
        given = {name: values if name in _REPEATED else values[-1] for name, values in asked.items()}
        await understood(tx, request, msgspec.convert(given, Asked, strict=False))
    except msgspec.ValidationError as error:
        what, _, name = str(error).partition(" - at `$.")
        raise Invalid.at("/query", "type", f"{name.rstrip('`')}: {from_library(what)}") from None
    except Malformed as error:
        raise Invalid.at("/query", "query", error.detail) from None
    except Invalid as error:
        raise Invalid(
            [FieldError("/query", e.code, f"{e.pointer.strip('/')}: {e.message}", e.position) for e in error.errors]
        ) from None
    return query.strip().removeprefix("?")


# --- routes --------------------------------------------------------------------------------------------------------------


@routes.get("/api/views")
async def search(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort", required=False, description="position, name or createdAt; - descends. By position unless told."
        ),
    ] = None,
) -> Listing[View]:
    """List saved views.

    Your own, and those that are shared.
    """
    page = sql.page(views.SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following, total = await views.search(db, page, _caller(request).actor, count=bool(count))
    return Listing(found, following, total)


@routes.post("/api/views", status=201)
async def create(tx: Tx, request: AnyRequest, data: NewView) -> Answer[View]:
    """Save a view.

    `query` is the query string of `GET /api/customers`, and must be one that it takes; which page is no part of a view.
    """
    _may_share(request, data.is_shared)
    new = msgspec.structs.replace(data, query=await _checked(tx, request, data.query))
    made = await views.create(tx, new)
    return Answer(made, 201, {"Location": f"/api/views/{made.id}"})


@routes.get("/api/views/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID) -> View:
    """Read a saved view."""
    return await views.find(db, id, _caller(request).actor)


@routes.put("/api/views/{id:uuid}")
async def replace(tx: Tx, request: AnyRequest, id: UUID, data: ViewReplacement, if_match: IfMatch = None) -> View:
    """Replace a saved view.

    Your own; administrators also replace shared ones of others.
    """
    _may_share(request, data.is_shared)
    old = await views.held(tx, id, version_of(if_match), is_admin=_caller(request).may("admin"))
    query = await _checked(tx, request, data.query)
    return await views.store(tx, old, msgspec.structs.replace(data, query=query))


@routes.patch("/api/views/{id:uuid}")
async def change(tx: Tx, request: AnyRequest, id: UUID, data: ViewChange, if_match: IfMatch = None) -> View:
    """Change what is given of a saved view.

    Your own; administrators also change shared ones of others.
    """
    old = await views.held(tx, id, version_of(if_match), is_admin=_caller(request).may("admin"))
    # What everybody sees is changed by who may share; to take it back to oneself is always possible.
    _may_share(request, old.is_shared if data.is_shared is UNSET else data.is_shared)
    query = UNSET if data.query is UNSET else await _checked(tx, request, data.query)
    return await views.store(tx, old, msgspec.structs.replace(data, query=query))


@routes.delete("/api/views/{id:uuid}")
async def delete(tx: Tx, request: AnyRequest, id: UUID, if_match: IfMatch = None) -> None:
    """Delete a saved view.

    Your own; administrators also delete shared ones of others.
    """
    await views.delete(tx, await views.held(tx, id, version_of(if_match), is_admin=_caller(request).may("admin")))
