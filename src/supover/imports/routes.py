"""The web addresses of imports."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import UploadFile
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse

from supover.imports import commands, queries
from supover.imports.model import ImportRun, ImportUnreadable, OrderImportOptions
from supover.kit import storage, tables
from supover.kit.api import Caller, Cursor, Door, Handler, Limit, Listing, Raw, Routes
from supover.kit.db import Reader, Tx
from supover.kit.jobs import defer
from supover.kit.problems import FieldError, Invalid, Malformed, UnsupportedMediaType
from supover.kit.sql import DEFAULT_LIMIT, MAX_LIMIT
from supover.settings import Settings

routes = Routes("imports")

BLOCK: Final = 1 << 18
AnyRequest = Request[Any, Any, Any]


class NotMultipart(UnsupportedMediaType):
    """The file must be sent as multipart/form-data, in the field `file`."""


class CursorUnknown(Malformed):
    """This cursor was not made by this list."""


async def create_orders(request: AnyRequest) -> ImportRun:
    """Import order history from a file.

    `multipart/form-data`: `file` (CSV or TSV, also gzipped, columns named like the fields of an order), and as JSON objects
    `map` (field → column), `statusMap` (cell → status), `set` (field → value for all rows), and `source`. Answers 202; follow
    `GET /api/imports/{id}`. The same file again changes nothing.
    """
    settings = cast("Settings", request.app.state.settings)
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise NotMultipart
    form = await request.form()
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise Invalid.at("/file", "required", "a file is expected")
    options = _options({name: value for name, value in form.items() if isinstance(value, str)})
    with tempfile.TemporaryDirectory(prefix="supover-upload-") as folder:
        file = Path(folder) / "upload"
        with file.open("wb") as copy:
            async for block in _blocks(upload):
                copy.write(block)
        facts = await asyncio.to_thread(tables.facts, file)
        # The header is read before anything is kept: what cannot be imported leaves nothing behind.
        async with door.database.reader(caller.workspace_id) as db:
            await commands.check(db, options, file)
        await upload.seek(0)
        keep = storage.of(settings.storage_url)
        key = await keep.put("imports", _blocks(upload), max_bytes=settings.upload_max_bytes)
        async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
            id = await commands.begin(tx, options, file, upload.filename or "orders.csv", facts, key)
            await defer(tx, "imports.orders", {"import_id": id})
            await door.audit(tx, "imports.create_orders", id, request)
            run = await queries.find(tx, id)
    answer = ASGIResponse(
        body=msgspec.json.encode(run),
        status_code=202,
        headers={"Location": f"/api/imports/{id}"},
        media_type="application/json",
    )
    return cast("ImportRun", answer)


async def _blocks(upload: UploadFile) -> AsyncGenerator[bytes]:
    while block := await upload.read(BLOCK):
        yield block


def _options(given: dict[str, str]) -> OrderImportOptions:
    unknown = [name for name in given if name not in ("map", "statusMap", "set", "source")]
    if unknown:
        raise ImportUnreadable([FieldError(f"/{name}", "unknown", "is not a field here") for name in unknown])
    values: dict[str, Any] = {}
    for name in ("map", "statusMap", "set"):
        if given.get(name):
            try:
                values[name] = msgspec.json.decode(given[name], type=dict[str, str])
            except msgspec.MsgspecError:
                raise Invalid.at(f"/{name}", "json", "must be a JSON object of texts") from None
    source = given.get("source", "IMPORT").strip() or "IMPORT"
    if len(source) > 40:
        raise Invalid.at("/source", "length", "has more than 40 characters")
    return msgspec.convert({"source": source, **values}, OrderImportOptions)


routes.handlers.append(
    Handler(
        "/api/orders/import",
        http_method="POST",
        operation_id="imports.create_orders",
        status_code=202,
        summary="Import order history from a file",
        description=" ".join((create_orders.__doc__ or "").split("\n\n", 1)[1].split()),
        tags=["Imports"],
        opt={"operation": "imports.create_orders"},
        request_max_body_size=None,
    )(create_orders)
)


@routes.get("/api/imports")
async def search(db: Reader, limit: Limit = None, cursor: Cursor = None) -> Listing[ImportRun]:
    """List imports, newest first."""
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {MAX_LIMIT}")
    try:
        after = None if cursor is None else UUID(cursor)
    except ValueError:
        raise CursorUnknown from None
    found = await queries.search(db, after, size + 1)
    return Listing(found[:size], str(found[size - 1].id) if len(found) > size else None)


@routes.get("/api/imports/{id:uuid}")
async def find(db: Reader, id: UUID) -> ImportRun:
    """Read an import and how far it is."""
    return await queries.find(db, id)


@routes.get("/api/imports/{id:uuid}/errors.csv")
async def errors(
    db: Reader,
    id: UUID,
    after: Annotated[
        int | None, QueryParameter(name="after", required=False, description="Only rows after this one of the file.")
    ] = None,
) -> Raw:
    """Send the refused rows as CSV.

    The file's own cells behind row, field and reason; 5,000 rows at once, go on with `after`.
    """
    await queries.find(db, id)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["row", "field", "reason"])
    for row in await queries.errors(db, id, after or 0):
        writer.writerow([row.row_number, row.field or "", row.message, *map(tables.guarded, row.cells)])
    headers = {"Content-Disposition": f'attachment; filename="import-{id}-errors.csv"'}
    return Raw(out.getvalue().encode(), "text/csv; charset=utf-8", headers=headers)


@routes.post("/api/imports/{id:uuid}/cancel")
async def cancel(tx: Tx, id: UUID) -> ImportRun:
    """Stop an import.

    Before its next chunk; what was taken in stays.
    """
    return await commands.cancel(tx, id)


@routes.post("/api/imports/{id:uuid}/resume")
async def resume(tx: Tx, id: UUID) -> ImportRun:
    """Let a failed or cancelled import go on where it stood."""
    run = await commands.requeue(tx, id)
    await defer(tx, "imports.orders", {"import_id": id})
    return run
