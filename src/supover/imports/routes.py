"""The web addresses of imports."""

import asyncio
import csv
import inspect
import io
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.types import ASGIApp, Receive, Scope, Send

from supover.imports import commands, customer_commands, customer_revert, queries, receiving
from supover.imports.customer_model import CustomerImportOptions
from supover.imports.model import (
    BESIDE,
    ImportCheck,
    ImportedCustomer,
    ImportRun,
    ImportsFollowed,
    ImportTold,
    NotReverted,
    OrderImportOptions,
)
from supover.kit import clock, tables, text
from supover.kit.api import Answer, Caller, Cursor, Door, Handler, IdempotencyKey, Limit, Listing, Raw, Routes
from supover.kit.db import Database, Reader, Tx
from supover.kit.jobs import defer
from supover.kit.problems import Invalid, Malformed, from_library
from supover.kit.sql import DEFAULT_LIMIT, MAX_LIMIT

routes = Routes("imports")

AnyRequest = Request[Any, Any, Any]
FIRST: Final = UUID(int=0)
FOLLOWED_S: Final = 600.0
EVERY_S: Final = 0.5
FOLLOWERS: Final = 32
FOLLOWERS_HERE: Final = 8
"""So many follow imports of a process at a time, and of one workspace: each is a request that a process works on."""

_following: Final[WeakKeyDictionary[Database, Counter[UUID]]] = WeakKeyDictionary()


class CursorUnknown(Malformed):
    """This cursor was not made by this list."""


DryRun = Annotated[
    bool | None,
    QueryParameter(name="dryRun", required=False, description="Only read the file, and answer with what is in it."),
]


# --- order history -------------------------------------------------------------------------------------------------------


def _order_options(given: Mapping[str, str], dry_run: bool) -> OrderImportOptions:
    del dry_run
    values = {name: receiving.pairs(given, name) for name in ("map", "statusMap", "set") if given.get(name)}
    source = given.get("source", "IMPORT").strip() or "IMPORT"
    if len(source) > 40:
        raise Invalid.at("/source", "length", "has more than 40 characters")
    return msgspec.convert({"source": source, **values}, OrderImportOptions)


ORDERS: Final = receiving.Way(
    operation="imports.create_orders",
    job=commands.JOB,
    texts=("map", "statusMap", "set", "source", "dryRun"),
    options=_order_options,
    look=commands.inspect,
    facts=lambda facts: facts,
    begin=commands.begin,
    try_out=commands.try_out,
)


async def create_orders(
    request: AnyRequest, dry_run: DryRun = None, idempotency_key: IdempotencyKey = None
) -> ImportRun:
    """Import order history from a file.

    `multipart/form-data`: `file` (CSV or TSV, also gzipped, columns named like the fields of an order), and as JSON objects
    `map` (field → column), `statusMap` (cell → status), `set` (field → value for all rows), and `source`. Answers 202; follow
    `GET /api/imports/{id}`. The same file again changes nothing. With `dryRun` (in the address or the form) the whole file
    is read and checked row by row, and nothing is changed or kept; whether its orders are known and whose they are is not
    looked at. Amounts may have a comma before the decimals where the first rows tell so beyond doubt. An `Idempotency-Key`
    stands for the file and its options.
    """
    return cast("ImportRun", await receiving.receive(request, ORDERS, dry_run, idempotency_key))


# --- customers -----------------------------------------------------------------------------------------------------------

CUSTOMER_TEXTS: Final = (
    "mode", "match", "map", "set", "source", "shop", "country", "dateOrder", "tags", "consents", "dryRun",
)  # fmt: skip
_TEXT: Final = ("mode", "match", "source", "shop", "country", "dateOrder", "consents")
_LENGTHS: Final = {"source": 40, "shop": 255, "country": 100}


def _customer_options(given: Mapping[str, str], dry_run: bool) -> CustomerImportOptions:
    values: dict[str, Any] = {name: given[name].strip() for name in _TEXT if given.get(name, "").strip()}
    values |= {name: receiving.pairs(given, name) for name in ("map", "set") if given.get(name)}
    for name, most in _LENGTHS.items():
        if len(values.get(name, "")) > most:
            raise Invalid.at(f"/{name}", "length", f"has more than {most} characters")
    if given.get("tags", "").strip():
        values["tags"] = text.listed(given["tags"].replace(";", ","))
        if any(len(tag) > 100 for tag in values["tags"]) or len(values["tags"]) > 50:
            raise Invalid.at("/tags", "length", "can be at most 50 tags of 100 characters each")
    try:
        return msgspec.convert({**values, "dryRun": dry_run}, CustomerImportOptions)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        raise Invalid.at(f"/{at.rstrip('`')}", "choice", from_library(message)) from None


class CustomerRows(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Rows that are sent as JSON, with the fields of the form beside them."""

    rows: list[dict[str, Any]]
    mode: str | None = None
    match: str | None = None
    map: dict[str, str] = {}
    set: dict[str, str] = {}
    source: str | None = None
    shop: str | None = None
    country: str | None = None
    date_order: str | None = None
    tags: list[str] = []
    consents: str | None = None
    dry_run: bool = False


def _customer_rows(body: bytes, file: Path) -> Mapping[str, str]:
    """Writes rows that were sent as JSON to a file, one a line; what stands beside them, as texts of a form."""
    try:
        if body.lstrip().startswith(b"["):
            said = CustomerRows(rows=msgspec.json.decode(body, type=list[dict[str, Any]]))
        else:
            said = msgspec.json.decode(body, type=CustomerRows)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        raise Invalid.at(f"/{at.rstrip('`').replace('.', '/')}", "type", from_library(message)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Malformed("The body is no JSON.") from None
    file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in said.rows))
    texts = {
        "mode": said.mode,
        "match": said.match,
        "source": said.source,
        "shop": said.shop,
        "country": said.country,
        "dateOrder": said.date_order,
        "consents": said.consents,
        "map": msgspec.json.encode(said.map).decode() if said.map else None,
        "set": msgspec.json.encode(said.set).decode() if said.set else None,
        "tags": ",".join(said.tags),
        "dryRun": "true" if said.dry_run else "false",
    }
    return {name: text for name, text in texts.items() if text is not None}


CUSTOMERS: Final = receiving.Way(
    operation="imports.create_customers",
    job=customer_commands.JOB,
    texts=CUSTOMER_TEXTS,
    options=_customer_options,
    look=customer_commands.inspect,
    facts=lambda seen: seen.facts,
    begin=customer_commands.begin,
    rows=_customer_rows,
)


async def create_customers(
    request: AnyRequest, dry_run: DryRun = None, idempotency_key: IdempotencyKey = None
) -> ImportRun:
    """Import customers from a file.

    `multipart/form-data`: `file` (CSV, TSV, XLSX, JSONL or Parquet, also gzipped), and as texts `mode` (create, update,
    upsert), `match` (externalId, email, phone), `map` (JSON: field → column), `set` (JSON: field → value for all rows), `source`,
    `shop`, `country`, `dateOrder` (DMY, MDY), `tags` (for every row), `consents` (import, migration), `dryRun`. Or JSON: a list of
    rows, or `{"rows": […], …}` with the same beside it. Answers 202; follow `GET /api/imports/{id}`. Rows that cannot be taken are
    set aside with all that is wrong with them; with `dryRun` the report is the same and nothing is changed. The whole can be reverted
    for 30 days. An `Idempotency-Key` stands for the file and its options.
    """
    return cast("ImportRun", await receiving.receive(request, CUSTOMERS, dry_run, idempotency_key))


# --- their place in the API ----------------------------------------------------------------------------------------------

_TEXTS_OF: Final = Schema(type=OpenAPIType.OBJECT, additional_properties=Schema(type=OpenAPIType.STRING))
_DRY: Final = Schema(type=OpenAPIType.BOOLEAN, default=False)


def _form(file: str, texts: Mapping[str, Schema]) -> OpenAPIMediaType:
    described = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=file)
    properties: dict[str, Reference | Schema] = {"file": described, **texts, "dryRun": _DRY}
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, required=["file"], properties=properties))


def _choice(*choices: str) -> Schema:
    return Schema(type=OpenAPIType.STRING, enum=list(choices))


def _text(most: int) -> Schema:
    return Schema(type=OpenAPIType.STRING, max_length=most)


@dataclass
class _WithOrders(Operation):
    """The form is read as a stream, so Litestar does not know of it."""

    def __post_init__(self) -> None:
        texts = {"map": _TEXTS_OF, "statusMap": _TEXTS_OF, "set": _TEXTS_OF, "source": _text(40)}
        self.request_body = RequestBody(
            content={"multipart/form-data": _form("CSV or TSV, also gzipped.", texts)}, required=True
        )


@dataclass
class _WithCustomers(Operation):
    """The form is read as a stream, so Litestar does not know of it."""

    def __post_init__(self) -> None:
        texts = {
            "mode": _choice("create", "update", "upsert"),
            "match": _choice("externalId", "email", "phone"),
            "map": _TEXTS_OF,
            "set": _TEXTS_OF,
            "source": _text(40),
            "shop": _text(255),
            "country": _text(100),
            "dateOrder": _choice("DMY", "MDY"),
            "tags": Schema(type=OpenAPIType.STRING),
            "consents": _choice("import", "migration"),
        }
        row = Schema(type=OpenAPIType.OBJECT)
        rows = Schema(
            type=OpenAPIType.OBJECT,
            required=["rows"],
            properties={"rows": Schema(type=OpenAPIType.ARRAY, items=row), **texts, "dryRun": _DRY},
        )
        self.request_body = RequestBody(
            content={
                "multipart/form-data": _form("CSV, TSV, XLSX, JSONL or Parquet, also gzipped.", texts),
                "application/json": OpenAPIMediaType(schema=rows),
            },
            required=True,
        )


def _add(path: str, function: Any, operation: type[Operation], responses: dict[int, ResponseSpec]) -> None:
    said = inspect.getdoc(function) or ""
    summary, _, description = said.partition("\n\n")
    routes.handlers.append(
        Handler(
            path,
            http_method="POST",
            operation_id=f"imports.{function.__name__}",
            status_code=202,
            summary=summary.rstrip("."),
            description=" ".join(description.split()),
            tags=["Imports"],
            opt={"operation": f"imports.{function.__name__}"},
            # `receiving` counts what comes.
            request_max_body_size=None,
            operation_class=operation,
            responses=responses,
        )(function)
    )


_add(
    "/api/orders/import",
    create_orders,
    _WithOrders,
    {200: ResponseSpec(ImportCheck, generate_examples=False, description="With `dryRun`: what is in it.")},
)
_add("/api/customers/import", create_customers, _WithCustomers, {})


# --- runs ----------------------------------------------------------------------------------------------------------------


@routes.get("/api/imports")
async def search(db: Reader, limit: Limit = None, cursor: Cursor = None) -> Listing[ImportRun]:
    """List imports, newest first."""
    size = _size(limit)
    found = await queries.search(db, _after(cursor), size + 1)
    return Listing(found[:size], str(found[size - 1].id) if len(found) > size else None)


@routes.get("/api/imports/{id:uuid}")
async def find(db: Reader, id: UUID) -> ImportRun:
    """Read an import and how far it is."""
    return await queries.find(db, id)


@routes.get("/api/imports/{id:uuid}/errors.csv", media="text/csv")
async def errors(
    db: Reader,
    id: UUID,
    after: Annotated[
        int | None, QueryParameter(name="after", required=False, description="Only rows after this one of the file.")
    ] = None,
    doubtful: Annotated[
        bool | None,
        QueryParameter(
            name="doubtful",
            required=False,
            description="Instead the rows that were taken in with a country or a phone that nobody understands.",
        ),
    ] = None,
) -> Raw:
    """Send the refused rows as CSV.

    The file's own columns, then row, field and reason of the first mistake, and reasons, which are all of them, ready to be
    mended and imported. At most 5,000 rows, and about 8 MiB, at once: go on with `after` until no row comes.
    """
    await queries.find(db, id)
    header = await queries.header(db, id)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*map(tables.guarded, header or ()), *BESIDE])
    for row in await queries.errors(db, id, after or 0, is_taken=bool(doubtful)):
        cells = [*map(tables.guarded, row.cells)]
        # Of an import from before headers were kept the cells are all that is known.
        columns = cells if header is None else (cells + [""] * len(header))[: len(header)]
        writer.writerow([*columns, *row.beside()])
    what = "doubtful" if doubtful else "errors"
    headers = {"Content-Disposition": f'attachment; filename="import-{id}-{what}.csv"'}
    return Raw(out.getvalue().encode(), "text/csv; charset=utf-8", headers=headers)


@routes.post("/api/imports/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID) -> ImportRun:
    """Stop an import.

    Before its next chunk; what was taken in stays.
    """
    return await commands.cancel(tx, id)


@routes.post("/api/imports/{id:uuid}/resume")
async def resume(tx: Tx, id: UUID) -> ImportRun:
    """Let an import go on where it stood.

    A failed or cancelled one, or one whose job is no more.
    """
    kind = (await queries.find(tx, id)).kind
    job = customer_commands.JOB if kind == "customers" else commands.JOB
    run = await commands.requeue(tx, id, job)
    await defer(tx, job, {"import_id": id}, singleton=str(id))
    return run


@routes.post("/api/imports/{id:uuid}/revert", status=202, also=200)
async def revert(tx: Tx, id: UUID) -> Answer[ImportRun]:
    """Take an import of customers back.

    Customers whom it made are gone as if they had never been, those whom it changed are as before; what others did since
    stays, and is listed by `GET /api/imports/{id}/kept`. Within 30 days of its beginning; a job does it.
    """
    run = await customer_revert.want(tx, id)
    if run.status != "reverted":
        await defer(tx, customer_revert.JOB, {"import_id": id}, singleton=str(id))
    return Answer(run, 200 if run.status == "reverted" else 202)


@routes.get("/api/imports/{id:uuid}/customers")
async def customers(db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None) -> Listing[ImportedCustomer]:
    """List whom an import made or changed, by id; for 30 days.

    Of a dry run the first few customers who are there and would be changed, with what would be added to them.
    """
    await queries.find(db, id)
    size = _size(limit)
    found = await queries.customers(db, id, _after(cursor) or FIRST, size + 1)
    return Listing(found[:size], str(found[size - 1].customer_id) if len(found) > size else None)


@routes.get("/api/imports/{id:uuid}/kept")
async def kept(db: Reader, id: UUID, limit: Limit = None, cursor: Cursor = None) -> Listing[NotReverted]:
    """List customers of whom taking an import back left something, by id, and why."""
    size = _size(limit)
    found = await customer_revert.not_reverted(db, id, _after(cursor) or FIRST, size + 1)
    return Listing(found[:size], str(found[size - 1].customer_id) if len(found) > size else None)


def _size(limit: int | None) -> int:
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {MAX_LIMIT}")
    return size


def _after(cursor: str | None) -> UUID | None:
    try:
        return None if cursor is None else UUID(cursor)
    except ValueError:
        raise CursorUnknown from None


# --- as it happens -------------------------------------------------------------------------------------------------------


async def events(request: AnyRequest, id: FromPath[UUID]) -> ImportTold:
    """Follow an import as it happens.

    Server-sent events: `progress` with the run whenever it has changed, and `end` with it once it has ended. Ends after ten
    minutes; who asks again is told where it stands. 429 while as many as may are following.
    """
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    async with door.database.reader(caller.workspace_id) as db:
        first = await queries.find(db, id)
    told = ServerSentEvent(_told(door.database, caller.workspace_id, first))
    answer = cast("ASGIApp", cast("Any", told).to_asgi_response(app=None, request=request))
    return cast("ImportTold", _counted(door.database, caller.workspace_id, answer))


def _counted(database: Database, workspace_id: UUID, answer: ASGIApp) -> ASGIApp:
    """The answer, as one of those that go on for minutes. Raises ImportsFollowed."""
    following = _following.setdefault(database, Counter())
    if following.total() >= FOLLOWERS or following[workspace_id] >= FOLLOWERS_HERE:
        raise ImportsFollowed(headers={"Retry-After": "5"})
    following[workspace_id] += 1

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answer(scope, receive, send)
        finally:
            following[workspace_id] -= 1

    return counted


async def _told(database: Database, workspace_id: UUID, run: ImportRun) -> AsyncGenerator[ServerSentEventMessage]:
    until_s = clock.monotonic_s() + FOLLOWED_S
    last: ImportRun | None = None
    while True:
        if run != last:
            name = "progress" if _goes_on(run) else "end"
            yield ServerSentEventMessage(event=name, data=msgspec.json.encode(run).decode(), id=str(run.rows_read))
        if not _goes_on(run) or clock.monotonic_s() > until_s:
            return
        last = run
        await asyncio.sleep(EVERY_S)
        async with database.reader(workspace_id) as db:
            run = await queries.find(db, run.id)


def _goes_on(run: ImportRun) -> bool:
    return run.status in ("queued", "running") or run.is_reverting


routes.handlers.append(
    Handler(
        "/api/imports/{id:uuid}/events",
        http_method="GET",
        operation_id="imports.events",
        summary="Follow an import as it happens",
        description=" ".join((inspect.getdoc(events) or "").split("\n\n", 1)[1].split()),
        tags=["Imports"],
        opt={"operation": "imports.events"},
        media_type="text/event-stream",
    )(events)
)
