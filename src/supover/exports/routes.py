"""The web addresses of exports."""

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody
from litestar.types import ASGIApp

from supover.exports import commands, queries, streaming
from supover.exports.model import (
    AddressExport,
    Asked,
    CustomerExport,
    ExportLinkDead,
    ExportRun,
    Kind,
    Linked,
    OrderExport,
)
from supover.kit import clock, crypto, ids, storage
from supover.kit.api import (
    KEY_KEEP,
    Caller,
    Cursor,
    Door,
    Handler,
    IdempotencyKey,
    Limit,
    Listing,
    NotAllowed,
    Routes,
    Sent,
    replay,
)
from supover.kit.db import Reader, Tx, json_bytes
from supover.kit.problems import Invalid, Malformed
from supover.kit.sql import DEFAULT_LIMIT, MAX_LIMIT
from supover.settings import Settings, master_keys

routes = Routes("exports")

AnyRequest = Request[Any, Any, Any]

LINK: Final = timedelta(hours=24)
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
}
READS: Final[dict[Kind, str]] = {"customers": "customers:read", "addresses": "customers:read", "orders": "orders:read"}
OF_FILE: Final = "select workspace_id, id, format, file_name from export_of_file($1)"


class ExportCursorUnknown(Malformed):
    """This cursor was not made by this list."""


Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer", required=False, description="`respond-async`: a CSV, too, is made as a file (RFC 7240)."
    ),
]


# --- asking for one ------------------------------------------------------------------------------------------------------


async def export_customers(
    request: AnyRequest, data: JSONBody[CustomerExport], prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> bytes:
    """Export customers.

    A CSV is sent at once, as it comes out of the database: UTF-8, LF, always with its header; a broken connection is a broken
    file. Without `fields` it has what an import takes back: one row a customer, and one more below for each further address.
    A cell that a spreadsheet would run as a formula has an apostrophe before it. Any other `format`, and a CSV with
    `Prefer: respond-async`, is made by a job: 202, follow `GET /api/exports/{id}`. Deleted and merged customers are left out.
    An `Idempotency-Key` stands for such a file; what is sent at once is read anew. 429 while as many as may are being sent.
    """
    return await _export(request, "customers", data, prefer, idempotency_key)


async def export_addresses(
    request: AnyRequest, data: JSONBody[AddressExport], prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> bytes:
    """Export addresses.

    One row an address with whose it is, as `POST /api/customers/export` sends them.
    """
    return await _export(request, "addresses", data, prefer, idempotency_key)


async def export_orders(
    request: AnyRequest, data: JSONBody[OrderExport], prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> bytes:
    """Export orders.

    One row an order line, those of one order below one another, as `POST /api/customers/export` sends them. Without `fields`
    it has what `POST /api/orders/import` takes back; the order's own cells stand in its first row.
    """
    return await _export(request, "orders", data, prefer, idempotency_key)


async def _export(request: AnyRequest, kind: Kind, asked: Asked, prefer: str | None, key: str | None) -> bytes:
    if unknown := sorted(request.query_params):
        raise Invalid.at(unknown[0][:100], "unknown", "is not a parameter here")
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid.at("Idempotency-Key", "length", "must have 1 to 255 characters")
    caller = _may_read(request, kind)
    is_later = re.search(r"(?:^|[,;\s])respond-async\b", (prefer or "").lower()) is not None
    answer: ASGIApp
    if is_later or asked.format != "csv":
        answer = await _later(request, caller, kind, asked, key, is_later)
    else:
        answer = await _now(request, caller, kind, asked)
    return cast("bytes", answer)


async def _now(request: AnyRequest, caller: Caller, kind: Kind, asked: Asked) -> ASGIApp:
    door: Door = request.app.state.door

    async def note() -> None:
        async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
            tx.changes.append(commands.noted(ids.new(), asked))
            await door.audit(tx, f"exports.{kind}", None, request)

    headers = _headers("csv", commands.file_name(kind, "csv"))
    return await streaming.begin(door.database, caller.workspace_id, kind, asked, note, headers)


async def _later(
    request: AnyRequest, caller: Caller, kind: Kind, asked: Asked, key: str | None, is_preferred: bool
) -> ASGIApp:
    door: Door = request.app.state.door
    operation = f"exports.{kind}"
    digest = hashlib.sha256(operation.encode() + b"\n" + await request.body()).digest()
    async with door.database.tx(caller.workspace_id, actor=caller.actor, actor_name=caller.name) as tx:
        if key is not None and (stored := await replay(tx, key, digest)) is not None:
            headers = {**stored.headers, "Idempotent-Replayed": "true"}
            return Sent(stored.body or b"", stored.status or 202, headers, "application/json")
        run = await commands.begin(tx, kind, asked)
        await door.audit(tx, operation, run.id, request)
        body = msgspec.json.encode(run)
        headers = {"Location": f"/api/exports/{run.id}"}
        if is_preferred:
            headers["Preference-Applied"] = "respond-async"
        if key is not None:
            await tx.run(KEY_KEEP, tx.actor, key, digest, 202, json_bytes(headers), body, clock.now())
    return Sent(body, 202, headers, "application/json")


def _headers(format: str, name: str) -> dict[str, str]:
    return {
        "Content-Type": MEDIA_TYPES[format],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def _may_read(request: AnyRequest, kind: Kind) -> Caller:
    caller = cast("Caller", request.scope["user"])
    if not caller.may(READS[kind]):
        raise NotAllowed(f"This needs the permission {READS[kind]!r}, too.")
    return caller


for kind, export in (("customers", export_customers), ("addresses", export_addresses), ("orders", export_orders)):
    first, _, rest = (export.__doc__ or "").strip().partition("\n\n")
    routes.handlers.append(
        Handler(
            f"/api/{kind}/export",
            http_method="POST",
            operation_id=f"exports.{kind}",
            status_code=200,
            summary=first.rstrip("."),
            description=" ".join(rest.split()),
            tags=["Exports"],
            media_type="text/csv",
            opt={"operation": f"exports.{kind}"},
            responses={202: ResponseSpec(ExportRun, generate_examples=False, description="A job makes the file.")},
        )(export)
    )


# --- files ---------------------------------------------------------------------------------------------------------------


def _linked(request: AnyRequest, found: queries.Found) -> ExportRun:
    """An export with a new link to its file, while that is kept."""
    run, key = found
    if key is None:
        return run
    settings = cast("Settings", request.app.state.settings)
    until = (clock.now() + LINK).replace(microsecond=0)
    token = storage.link_token(_secrets(settings)[0], key, until)
    return msgspec.structs.replace(run, url=f"{settings.public_url}/files/{token}", expires_at=until)


def _secrets(settings: Settings) -> list[bytes]:
    return [crypto.derive_key(key, "export-links") for key in master_keys(settings)]


@routes.get("/api/exports")
async def search(db: Reader, request: AnyRequest, limit: Limit = None, cursor: Cursor = None) -> Listing[ExportRun]:
    """List exports to files, newest first.

    Those of what the caller may read.
    """
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {MAX_LIMIT}")
    try:
        after = None if cursor is None else UUID(cursor)
    except ValueError:
        raise ExportCursorUnknown from None
    caller = cast("Caller", request.scope["user"])
    kinds: Sequence[Kind] = [kind for kind, permission in READS.items() if caller.may(permission)]
    found = await queries.search(db, kinds, after, size + 1)
    shown = [_linked(request, one) for one in found[:size]]
    return Listing(shown, str(shown[-1].id) if len(found) > size else None)


@routes.get("/api/exports/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID) -> ExportRun:
    """Read an export and how far it is.

    Once it is completed, with a new link to its file, which whoever has it can fetch for a day; the file is kept for a week.
    """
    return _shown(request, await queries.find(db, id))


def _shown(request: AnyRequest, found: queries.Found) -> ExportRun:
    _may_read(request, found[0].kind)
    return _linked(request, found)


@routes.post("/api/exports/{id:uuid}/cancel")
async def cancel(tx: Tx, request: AnyRequest, id: UUID) -> ExportRun:
    """Stop an export.

    Nothing of its file stays.
    """
    return _shown(request, await commands.cancel(tx, id))


@routes.post("/api/exports/{id:uuid}/retry")
async def retry(tx: Tx, request: AnyRequest, id: UUID) -> ExportRun:
    """Make an export again.

    A failed or cancelled one, or one whose job is no more; from the beginning, of what is there now.
    """
    return _shown(request, await commands.retry(tx, id))


@routes.delete("/api/exports/{id:uuid}")
async def delete(tx: Tx, id: UUID) -> None:
    """Forget an export and its file.

    Links to it end at once.
    """
    await commands.delete(tx, id)


async def fetch(request: AnyRequest, token: FromPath[str]) -> bytes:
    """Send an export's file.

    The link is all that it takes. 404 for one that was not made here, has expired, or whose file is gone.
    """
    settings = cast("Settings", request.app.state.settings)
    door: Door = request.app.state.door
    key = _key_of(settings, token)
    async with door.database.across() as con:
        row = None if key is None else await con.fetchrow(OF_FILE, key)
    if key is None or row is None:
        raise ExportLinkDead
    found = Linked(*row)
    keep = storage.of(settings.storage_url)
    size = await keep.size(key)
    if size is None:
        raise ExportLinkDead
    headers = {**_headers(found.format, found.file_name), "Content-Length": str(size)}
    try:
        return cast("bytes", await streaming.of_file(keep.get(key), headers))
    except storage.FileGone:
        raise ExportLinkDead from None


def _key_of(settings: Settings, token: str) -> str | None:
    for secret in _secrets(settings):
        try:
            return storage.key_of_link(secret, token)
        except storage.LinkRefused:
            continue
    return None


routes.handlers.append(
    Handler(
        "/files/{token:str}",
        http_method="GET",
        operation_id="exports.fetch",
        status_code=200,
        summary="Send an export's file",
        description=" ".join((fetch.__doc__ or "").split("\n\n", 1)[1].split()),
        tags=["Exports"],
        media_type="application/octet-stream",
        opt={"operation": "exports.fetch"},
    )(fetch)
)
