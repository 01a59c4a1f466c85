"""The web addresses of bulk actions."""

from typing import Annotated, Any, Final, cast, get_args, get_origin
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.bulk import commands, queries
from supover.bulk.model import BulkAction, BulkResult, NewBulk, Outcome
from supover.customers.journal import Kept
from supover.customers.queries import Filters
from supover.customers.routes import Asked, understood
from supover.exports.model import CustomerExport
from supover.kit import sql
from supover.kit.api import Answer, Caller, Cursor, Limit, Listing, NotAllowed, Routes
from supover.kit.db import Reader, Tx
from supover.kit.problems import FieldError, Invalid, Malformed, from_library
from supover.segments import rules as views

routes = Routes("bulk")

AnyRequest = Request[Any, Any, Any]
FIRST: Final = UUID(int=0)
MAX_RESULTS: Final = 1_000

_ASKED: Final = msgspec.structs.fields(Asked)
_REPEATED: Final = {f.encode_name for f in _ASKED if any(get_origin(one) is list for one in get_args(f.type))}
_NOT_NARROWING: Final = frozenset({"limit", "cursor", "page", "count", "sort", "include"})


@routes.post("/api/customers/bulk", also=202)
async def create(tx: Tx, request: AnyRequest, data: NewBulk) -> Answer[BulkAction]:
    """Do one thing to many customers.

    Up to 1,000 of them at once: 200, with what became of each in `results`. More by a job: 202, `/api/bulk/{id}` shows how far
    it is and `/api/bulk/{id}/results` what became of each. Who is meant is fixed now: an id counts once, and a row of one that
    is not a living customer fails. What is not a change stays `unchanged`. It can be undone for 30 days. An `export` answers 202 with
    its `exportId`, and needs the permission to export.
    """
    if data.action == "export":
        if not cast("Caller", request.scope["user"]).may("exports:write"):
            raise NotAllowed("Exporting needs the permission 'exports:write'.")
        made = await commands.export(tx, data, _exported(data))
        return Answer(made, 202, {"Location": f"/api/exports/{made.export_id}"})
    who = list(data.ids) if data.ids is not None else await _filters(tx, request, data)
    made = await commands.begin(tx, data, who)
    if made.id is None:
        return Answer(made, 200)
    return Answer(made, 202 if made.status == "queued" else 200, {"Location": f"/api/bulk/{made.id}"})


def _exported(data: NewBulk) -> CustomerExport:
    if data.dry_run:
        raise Invalid.at("/dryRun", "unknown", "is not for export, which changes nothing")
    parts = {"ids": data.ids, "fields": data.fields, "format": data.format}
    given = _narrowing(data) | {name: value for name, value in parts.items() if value is not None}
    try:
        return msgspec.convert(given, CustomerExport, strict=False)
    except msgspec.ValidationError as error:
        what, _, name = str(error).partition(" - at `$.")
        where = name.rstrip("`").partition("[")[0]
        pointer = f"/{where}" if where in (*parts, "filter", "segment", "search") else "/query"
        raise Invalid.at(pointer, "type", from_library(what)) from None


def _narrowing(data: NewBulk) -> dict[str, Any]:
    """What the list of customers is narrowed by, as its address has it. Raises Invalid."""
    given: dict[str, Any] = {}
    if data.query is not None:
        asked = views.query(data.query)
        if part := sorted(_NOT_NARROWING & asked.keys()):
            raise Invalid.at("/query", "unknown", f"{part[0]}: narrows nothing")
        try:
            sql.known(asked, [f.encode_name for f in _ASKED])
        except Malformed as error:
            raise Invalid.at("/query", "query", error.detail) from None
        given = {name: values if name in _REPEATED else values[-1] for name, values in asked.items()}
    for name in ("filter", "segment", "search"):
        value = getattr(data, name)
        if value is not None:
            if name in given:
                raise Invalid.at(f"/{name}", "unknown", "stands in query, too")
            given[name] = value
    return given


async def _filters(tx: Tx, request: AnyRequest, data: NewBulk) -> Filters:
    """What the list of customers is narrowed by. Raises Invalid."""
    given = _narrowing(data)
    try:
        filters, _, _ = await understood(tx, request, msgspec.convert(given, Asked, strict=False))
    except msgspec.ValidationError as error:
        what, _, name = str(error).partition(" - at `$.")
        raise Invalid.at("/query", "type", f"{name.rstrip('`')}: {from_library(what)}") from None
    except Invalid as error:
        raise Invalid(
            [
                FieldError(f"/{e.pointer.strip('/')}" if _own(data, e) else "/query", e.code, e.message, e.position)
                for e in error.errors
            ]
        ) from None
    return filters


def _own(data: NewBulk, error: FieldError) -> bool:
    return getattr(data, error.pointer.strip("/"), None) is not None


@routes.get("/api/bulk")
async def search(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[
        str | None, QueryParameter(name="sort", required=False, description="createdAt or -createdAt.")
    ] = None,
) -> Listing[BulkAction]:
    """List bulk actions.

    The newest first.
    """
    return Listing(*await queries.search(db, sql.page(queries.SORTS, limit=limit, sort=sort, cursor=cursor)))


@routes.get("/api/bulk/{id:uuid}")
async def find(db: Reader, id: UUID) -> BulkAction:
    """Read a bulk action, and how far it is."""
    return await queries.find(db, id)


@routes.get("/api/bulk/{id:uuid}/results")
async def results(
    db: Reader,
    request: AnyRequest,
    id: UUID,
    outcome: Annotated[
        Outcome | None, QueryParameter(name="outcome", required=False, description="Only these; all unless told.")
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Listing[BulkResult]:
    """List what became of each customer of a bulk action.

    By id, as far as it has come. Kept for 30 days.
    """
    size, after = _page(limit, cursor)
    found = await queries.results(db, id, outcome, after, size + 1)
    return Listing(found[:size], sql.write_cursor([found[size - 1].customer_id]) if len(found) > size else None)


@routes.get("/api/bulk/{id:uuid}/kept")
async def kept(db: Reader, request: AnyRequest, id: UUID, limit: Limit = None, cursor: Cursor = None) -> Listing[Kept]:
    """List what undoing a bulk action left as it is.

    Fields that somebody changed after the action, or whose old value somebody else has by now. Kept for 30 days.
    """
    size, after = _page(limit, cursor)
    found = await queries.kept(db, id, after, size + 1)
    return Listing(found[:size], sql.write_cursor([found[size - 1].customer_id]) if len(found) > size else None)


def _page(limit: int | None, cursor: str | None) -> tuple[int, UUID]:
    size = sql.DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= sql.MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {sql.MAX_LIMIT}")
    return size, FIRST if cursor is None else sql.read_cursor(cursor, tuple[UUID])[0]


@routes.post("/api/bulk/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID) -> BulkAction:
    """Cancel a bulk action.

    Before its next chunk of customers; those who are changed stay so, and can be undone. 409 when it has ended.
    """
    return await commands.cancel(tx, id)


@routes.post("/api/bulk/{id:uuid}/undo", also=202)
async def undo(tx: Tx, id: UUID) -> Answer[BulkAction]:
    """Undo a bulk action.

    Every field that is still as the action left it becomes what it was; what others changed since stays, and is listed by
    `/api/bulk/{id}/kept`. Up to 1,000 changed customers at once, more by a job: 202. Undoing what is undone changes nothing.
    For 30 days; 409 after that, for a dry run, and while the action is under way.
    """
    undone = await commands.undo(tx, id)
    return Answer(undone, 202 if undone.status == "undoing" else 200, {"Location": f"/api/bulk/{id}"})
