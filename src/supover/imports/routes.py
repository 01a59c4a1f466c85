"""The web addresses of imports."""

import asyncio
import csv
import hashlib
import io
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import QueryParameter
from litestar.types import ASGIApp

from supover.imports import commands, queries
from supover.imports.model import ImportCheck, ImportRun, OrderImportOptions
from supover.kit import clock, storage, tables, uploads
from supover.kit.api import (
    KEY_KEEP,
    Caller,
    Cursor,
    Door,
    Handler,
    IdempotencyKey,
    Limit,
    Listing,
    Raw,
    Routes,
    Sent,
    replay,
)
from supover.kit.db import Reader, Tx, json_bytes
from supover.kit.jobs import defer
from supover.kit.problems import FieldError, Invalid, Malformed
from supover.kit.sql import DEFAULT_LIMIT, MAX_LIMIT
from supover.settings import Settings

routes = Routes("imports")

BLOCK: Final = 1 << 18
AnyRequest = Request[Any, Any, Any]


class CursorUnknown(Malformed):
    """This cursor was not made by this list."""


DryRun = Annotated[
    bool | None,
    QueryParameter(name="dryRun", required=False, description="Only read the file, and answer 200 with what is in it."),
]
TEXTS: Final = ("map", "statusMap", "set", "source", "dryRun")


async def create_orders(
    request: AnyRequest, dry_run: DryRun = None, idempotency_key: IdempotencyKey = None
) -> ImportRun:
    """Import order history from a file.

    `multipart/form-data`: `file` (CSV or TSV, also gzipped, columns named like the fields of an order), and as JSON objects
    `map` (field → column), `statusMap` (cell → status), `set` (field → value for all rows), and `source`. Answers 202; follow
    `GET /api/imports/{id}`. The same file again changes nothing. With `dryRun` (in the address or the form) the whole file
    is read and checked row by row, and nothing is changed or kept; whether its orders are known and whose they are is not
    looked at. An `Idempotency-Key` stands for the file and its options.
    """
    settings = cast("Settings", request.app.state.settings)
    door: Door = request.app.state.door
    caller = cast("Caller", request.scope["user"])
    if unknown := sorted(set(request.query_params) - {"dryRun"}):
        raise Invalid([FieldError(name[:100], "unknown", "is not a parameter here") for name in unknown[:100]])
    key = idempotency_key
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid.at("Idempotency-Key", "length", "must have 1 to 255 characters")
    with tempfile.TemporaryDirectory(prefix="supover-upload-") as folder:
        file = Path(folder) / "upload"
        upload = await uploads.receive(request, file, texts=TEXTS, max_bytes=settings.upload_max_bytes)
        options = _options(upload.texts)
        if dry_run or _is_dry(upload.texts):
            checked = await commands.try_out(door.database, caller.workspace_id, options, file, upload.name)
            return cast("ImportRun", Sent(msgspec.json.encode(checked), 200, {}, "application/json"))
        # All is read before anything is kept: what cannot be imported leaves nothing behind.
        facts = await commands.inspect(door.database, caller.workspace_id, options, file)
        asked = hashlib.sha256(b"imports.create_orders" + facts.sha256 + json_bytes(options)).digest()
        if key is not None:
            async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
                if (before := await _answered(tx, key, asked)) is not None:
                    return cast("ImportRun", before)
        keep = storage.of(settings.storage_url)
        file_key = await keep.put("imports", _blocks(file), max_bytes=settings.upload_max_bytes)
        answer: ASGIApp | None = None
        is_needed = False
        try:
            async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
                answer = None if key is None else await _answered(tx, key, asked)
                if answer is None:
                    answer = await _begun(tx, door, request, options, upload.name, facts, file_key, key, asked)
                    # Whether a commit that breaks off has happened nobody knows: then the file stays.
                    is_needed = True
        finally:
            if not is_needed:
                await keep.delete(file_key)
    return cast("ImportRun", answer)


async def _begun(
    tx: Tx,
    door: Door,
    request: AnyRequest,
    options: OrderImportOptions,
    name: str,
    facts: tables.TableFacts,
    file_key: str,
    key: str | None,
    asked: bytes,
) -> ASGIApp:
    id = await commands.begin(tx, options, name, facts, file_key)
    await defer(tx, commands.JOB, {"import_id": id}, singleton=str(id))
    await door.audit(tx, "imports.create_orders", id, request)
    body = msgspec.json.encode(await queries.find(tx, id))
    headers = {"Location": f"/api/imports/{id}"}
    if key is not None:
        await tx.run(KEY_KEEP, tx.actor, key, asked, 202, json_bytes(headers), body, clock.now())
    return Sent(body, 202, headers, "application/json")


async def _answered(tx: Tx, key: str, asked: bytes) -> ASGIApp | None:
    stored = await replay(tx, key, asked)
    if stored is None:
        return None
    headers = {**stored.headers, "Idempotent-Replayed": "true"}
    return Sent(stored.body or b"", stored.status or 202, headers, "application/json")


async def _blocks(file: Path) -> AsyncGenerator[bytes]:
    with file.open("rb") as opened:
        while block := await asyncio.to_thread(opened.read, BLOCK):
            yield block


def _is_dry(given: dict[str, str]) -> bool:
    said = given.get("dryRun", "false").strip().lower()
    if said not in ("true", "false", "1", "0", ""):
        raise Invalid.at("/dryRun", "type", "must be true or false")
    return said in ("true", "1")


def _options(given: dict[str, str]) -> OrderImportOptions:
    values: dict[str, Any] = {}
    for name in ("map", "statusMap", "set"):
        if given.get(name):
            try:
                values[name] = msgspec.json.decode(given[name], type=dict[str, str])
            except msgspec.MsgspecError:
                raise Invalid.at(f"/{name}", "json", "must be a JSON object of texts") from None
            if any("\0" in key or "\0" in text for key, text in values[name].items()):
                raise Invalid.at(f"/{name}", "nul", "text cannot hold the character NUL")
    source = given.get("source", "IMPORT").strip() or "IMPORT"
    if len(source) > 40:
        raise Invalid.at("/source", "length", "has more than 40 characters")
    return msgspec.convert({"source": source, **values}, OrderImportOptions)


@dataclass
class _WithFile(Operation):
    """The form is read as a stream, so Litestar does not know of it."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.OBJECT, additional_properties=Schema(type=OpenAPIType.STRING))
        form = Schema(
            type=OpenAPIType.OBJECT,
            required=["file"],
            properties={
                "file": Schema(
                    type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="CSV or TSV, also gzipped."
                ),
                "map": text,
                "statusMap": text,
                "set": text,
                "source": Schema(type=OpenAPIType.STRING, max_length=40, default="IMPORT"),
                "dryRun": Schema(type=OpenAPIType.BOOLEAN, default=False),
            },
        )
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True)


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
        # `uploads.receive` counts what comes.
        request_max_body_size=None,
        operation_class=_WithFile,
        responses={
            200: ResponseSpec(ImportCheck, generate_examples=False, description="With `dryRun`: what is in it.")
        },
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


@routes.get("/api/imports/{id:uuid}/errors.csv", media="text/csv")
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
    """Let an import go on where it stood.

    A failed or cancelled one, or one whose job is no more.
    """
    run = await commands.requeue(tx, id)
    await defer(tx, commands.JOB, {"import_id": id}, singleton=str(id))
    return run
