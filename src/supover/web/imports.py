"""Files in: dropped, looked at, tried, taken in, and taken back."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast
from uuid import UUID

import msgspec
from litestar.params import FromPath

from supover.imports import customer_trial, drafts, queries, routes
from supover.imports import rules as order_rules
from supover.imports.customer_columns import CONSENTS, PLACE, PROFILE
from supover.imports.customer_model import ConsentMode, CustomerImportOptions, DateOrder, ImportMatch, ImportMode
from supover.imports.drafts import Draft, Kind, Look, Options
from supover.imports.model import (
    ImportedCustomer,
    ImportNotDraft,
    ImportRun,
    ImportUnreadable,
    OrderImportOptions,
)
from supover.kit import api, storage, tables, text, uploads
from supover.kit.db import Reader, Tx
from supover.kit.problems import FieldError, Invalid, Problem
from supover.orders.rules import STATUSES
from supover.settings import Settings
from supover.web.frame import Asked, Pages, asked, form_of, reading, see, show, writing
from supover.web.queries import names_of, people
from supover.web.rendering import spelled

pages = Pages()

PAGE: Final = 25
SHOWN_ERRORS: Final = 10
UNSHOWN: Final = frozenset({"phoneE164", "statusBeforeBlock"})
"""What a journal has beside the fields that people know."""
BLOCK: Final = 1 << 18
CUSTOMER_GROUPS: Final = (
    ("person", ("name", "firstName", "lastName", "email", "phone", "dateOfBirth", "gender", "country")),
    ("profile", tuple(f for f in PROFILE if f in ("externalId", "status", "tags", "note", "source", "shop", "id"))),
    ("address", PLACE),
    ("consent", CONSENTS),
)
ORDER_GROUPS: Final = (
    ("order", ("externalId", "number", "placedAt", "status", "currency", "shop", "tags", "note")),
    ("amounts", order_rules.AMOUNTS[:-1]),
    ("line", ("sku", "title", "quantity", "unitPrice")),
    ("buyer", ("customerExternalId", "email", "name", "phone")),
    ("address", ("line1", "line2", "city", "state", "postalCode", "country")),
    ("times", ("updatedAt", "deliveredAt", "cancelledAt")),
)
GROUPS: Final[Mapping[str, Sequence[tuple[str, Sequence[str]]]]] = {
    "customers": CUSTOMER_GROUPS,
    "orders": ORDER_GROUPS,
}
SAMPLES: Final[Mapping[Kind, tuple[tuple[str, ...], ...]]] = {
    "customers": (
        ("name", "email", "phone", "country", "line1", "city", "postalCode", "tags", "emailMarketing"),
        ("Ann Lee", "ann.lee@mail.example", "+1 202 555 0143", "US", "12 Main Street", "Springfield", "62701", "vip, newsletter",
         "SUBSCRIBED"),
        ("Trần Minh", "minh.tran@mail.example", "+84 912 345 678", "VN", "5 Lê Lợi", "Huế", "530000", "", ""),
    ),
    "orders": (
        ("externalId", "placedAt", "status", "currency", "total", "email", "name", "country", "sku", "title", "quantity", "unitPrice"),
        ("1001", "2026-03-01T10:15:00Z", "delivered", "USD", "59.80", "ann.lee@mail.example", "Ann Lee", "US", "MUG-1", "Mug", "2",
         "29.90"),
        ("1002", "2026-03-02T18:40:00Z", "shipped", "USD", "15.00", "minh.tran@mail.example", "Trần Minh", "VN", "CAP-7", "Cap",
         "1", "15.00"),
    ),
}  # fmt: skip


class Paging(msgspec.Struct, frozen=True):
    """Which page of a list."""

    cursor: str | None = None


class Check(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How a file is to be read, as the form says it: `columns` is number of a column → field."""

    columns: Mapping[str, str] = {}
    mode: ImportMode = "upsert"
    match: ImportMatch | None = None
    source: str | None = None
    country: str | None = None
    date_order: DateOrder | None = None
    consents: ConsentMode = "import"
    tags: str | None = None
    currency: str | None = None
    status_map: Mapping[str, str] = {}


def _keep(request: Asked) -> storage.Storage:
    return storage.of(cast("Settings", request.app.state.settings).storage_url)


def goes_on(run: ImportRun) -> bool:
    """Whether there is something to wait for."""
    return run.status in ("queued", "running") or run.is_reverting


# --- the list --------------------------------------------------------------------------------------------------------------

ACTORS: Final = "select r.id, r.actor from import_run r where r.workspace_id = $1 and r.id = any($2::uuid[])"
WAITING: Final = """
    select r.id from import_run r where r.workspace_id = $1 and r.id = any($2::uuid[]) and r.dry_run and r.file_key is not null"""


@pages.get("/imports", of="imports.search")
async def show_list(db: Reader, request: Asked) -> api.Raw:
    """Imports, newest first."""
    found = await routes.search(db, PAGE, asked(request, Paging).cursor)
    ids = [run.id for run in found.data]
    actors: dict[UUID, str] = {id: actor for id, actor in await db.rows(ACTORS, ids)}
    return await show(
        request,
        db,
        "imports/list.html",
        runs=found.data,
        following=found.next_cursor,
        goes_on=goes_on,
        is_any_going=any(goes_on(run) for run in found.data),
        actors=actors,
        names=await names_of(db, actors.values()),
        waiting=set[UUID](await db.column(WAITING, ids)),
    )


# --- a new one -------------------------------------------------------------------------------------------------------------


@pages.get("/imports/new", of="imports.create_customers")
async def show_new(db: Reader, request: Asked) -> api.Raw:
    """Where a file is dropped."""
    return await show(request, db, "imports/new.html", kind=_kind(request.query_params), refused=None)


@pages.get("/imports/samples/{kind:str}", of="imports.create_customers")
async def sample(db: Reader, request: Asked, kind: Literal["customers", "orders"]) -> api.Raw:
    """A file as one that can be taken in looks like."""
    del db, request
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(SAMPLES[kind])
    headers = {"Content-Disposition": f'attachment; filename="{kind}-sample.csv"'}
    return api.Raw(out.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", headers=headers)


# These wait for a file, so they open their transactions by themselves; `uploads` counts what comes.


@pages.alone("POST", "/imports", "imports.create_customers", request_max_body_size=None)
async def upload(request: Asked) -> api.Sent:
    """Keeps a file as a draft and leads to it; what is wrong with the file is told where it was chosen."""
    texts: dict[str, str] = {}
    try:
        id = await _received(request, texts)
    except Problem as problem:
        if problem.status >= 500:
            raise
        async with reading(request) as db:
            raw = await show(request, db, "imports/new.html", problem.status, kind=_kind(texts), refused=problem)
        return raw.sent()
    return see(request, f"/imports/{id}").sent()


def _kind(texts: Mapping[str, str]) -> Kind:
    return "orders" if texts.get("kind") == "orders" else "customers"


async def _received(request: Asked, texts: dict[str, str]) -> UUID:
    keep = _keep(request)
    most = cast("Settings", request.app.state.settings).upload_max_bytes
    with tempfile.TemporaryDirectory(prefix="supover-upload-") as folder:
        file = Path(folder) / "upload"
        sent = await uploads.receive(request, file, texts=("kind",), max_bytes=most, told=texts)
        kind = _kind(sent.texts)
        async with reading(request) as db:
            by = await drafts.known(db)
        facts = await asyncio.to_thread(tables.facts, file)
        seen = await asyncio.to_thread(drafts.look, file, kind, facts, drafts.OPTIONS[kind](), by)
        key = await keep.put("imports", _blocks(file), max_bytes=most)
    is_needed = False
    try:
        async with writing(request) as tx:
            id = await drafts.keep(tx, kind, sent.name, facts, seen, key)
            await cast("api.Door", request.app.state.door).audit(tx, f"imports.create_{kind}", id, request)
            # Whether a commit that breaks off has happened nobody knows: then the file stays.
            is_needed = True
    finally:
        if not is_needed:
            await keep.delete(key)
    return id


async def _blocks(file: Path) -> AsyncGenerator[bytes]:
    with file.open("rb") as opened:
        while block := await asyncio.to_thread(opened.read, BLOCK):
            yield block


# --- one import ------------------------------------------------------------------------------------------------------------


@pages.alone("GET", "/imports/{id:uuid}", "imports.find")
async def show_one(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """An import: how its columns are read while it can still be said, how far it is, what became of it."""
    async with reading(request) as db:
        run = await queries.find(db, id)
        draft = await drafts.find(db, id)
        by = await drafts.known(db)
    seen = None if draft is None else await _looked(request, draft, draft.options, by)
    async with reading(request) as db:
        raw = await show(
            request,
            db,
            "imports/one.html",
            draft=draft,
            seen=seen,
            wrong=seen.errors if seen else (),
            groups=GROUPS[run.kind if run.kind in GROUPS else "customers"],
            own_fields=list(by.definitions.by_key.values()),
            commas=frozenset({","}),
            statuses_told=[(one, spelled(one)) for one in STATUSES],
            **await _told(db, run),
        )
    return raw.sent()


async def _told(db: Reader, run: ImportRun) -> dict[str, Any]:
    """What is told of how far an import is and what became of it."""
    stored = await queries.stored(db, run.id)
    is_over = not goes_on(run)
    has_errors, has_doubts = run.failed > 0 and is_over, run.doubtful > 0 and is_over
    changing = await _changing(db, run) if run.dry_run and is_over else []
    return {
        "run": run,
        "goes_on": goes_on(run),
        "who": (await names_of(db, [stored.actor]))[stored.actor],
        "has_file": stored.file_key is not None,
        "is_draft": run.dry_run and stored.file_key is not None,
        "header": await queries.header(db, run.id) if has_errors or has_doubts else None,
        "errors": await queries.some_errors(db, run.id, 0, SHOWN_ERRORS) if has_errors else [],
        "doubts": await queries.some_errors(db, run.id, 0, SHOWN_ERRORS, is_taken=True) if has_doubts else [],
        "changing": changing,
        "who_changes": await people(db, (one.customer_id for one in changing)),
        "kept": await routes.kept(db, run.id, PAGE) if run.kept else None,
    }


async def _changing(db: Reader, run: ImportRun) -> list[ImportedCustomer]:
    """Customers whom a trial would change."""
    return [_shown(one) for one in await queries.customers(db, run.id, routes.FIRST, customer_trial.SAMPLE)]


def _shown(one: ImportedCustomer) -> ImportedCustomer:
    """Without what only undoing needs."""
    if one.changes is None:
        return one
    return msgspec.structs.replace(one, changes={k: pair for k, pair in one.changes.items() if k not in UNSHOWN})


async def _looked(request: Asked, draft: Draft, options: Options, by: drafts.Known) -> Look | None:
    """The draft's first rows; None once its file is gone."""
    try:
        async with _keep(request).local(draft.file_key) as file:
            return await asyncio.to_thread(drafts.look, file, draft.kind, draft.facts, options, by)
    except storage.FileGone:
        return None


@pages.get("/imports/{id:uuid}/progress", of="imports.find")
async def show_progress(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Only how far it is; asked for again and again."""
    run = await queries.find(db, id)
    return await show(request, db, "imports/progress.html", wrong=(), **await _told(db, run))


@pages.get("/imports/{id:uuid}/customers", of="imports.customers")
async def show_customers(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Whom an import made or changed."""
    run = await queries.find(db, id)
    found = await routes.customers(db, id, PAGE, asked(request, Paging).cursor)
    who = await people(db, (one.customer_id for one in found.data))
    return await show(
        request,
        db,
        "imports/customers.html",
        run=run,
        found=[_shown(one) for one in found.data],
        following=found.next_cursor,
        who=who,
    )


# --- what is done with it --------------------------------------------------------------------------------------------------


@pages.alone("POST", "/imports/{id:uuid}/check", "imports.create_customers")
async def check(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """Tries a file with other columns."""
    given = await form_of(request, Check)
    draft, by = await _draft(request, id)
    plain = _options(draft.kind, given, {})
    seen = await _looked(request, draft, plain, by)
    if seen is None:
        raise ImportNotDraft("Its file is kept no more.")
    options = _options(draft.kind, given, drafts.told_map(seen, _chosen(given.columns, seen)))
    seen = await _looked(request, draft, options, by)
    assert seen is not None
    _must_fit(seen)
    async with writing(request) as tx:
        await drafts.check(tx, draft, options, seen)
        await cast("api.Door", request.app.state.door).audit(tx, f"imports.create_{draft.kind}", id, request)
    return see(request, f"/imports/{id}").sent()


def _must_fit(seen: Look) -> None:
    """Refuses what is wrong with anything but the columns, of which the page itself tells."""
    wrong = [error for error in seen.errors if error.pointer.partition("/")[0] not in ("map", "statusMap")]
    if wrong:
        raise Invalid([msgspec.structs.replace(error, pointer=f"/{error.pointer.lstrip('/')}") for error in wrong])


def _chosen(columns: Mapping[str, str], seen: Look) -> dict[int, str]:
    """Number of a column → field, "" for one that is not taken. Raises ImportUnreadable."""
    numbers = {str(n): n for n in range(len(seen.header))}
    if unknown := [name for name in columns if name not in numbers]:
        raise ImportUnreadable([FieldError(f"/columns/{unknown[0][:20]}", "unknown", "is no column of this file")])
    # What is read beside another column stays so unless another field is chosen for it.
    return {numbers[name]: field for name, field in columns.items() if field != "~"}


def _options(kind: Kind, given: Check, chosen: Mapping[str, str]) -> Options:
    if kind == "orders":
        fixed = {"currency": given.currency} if given.currency else {}
        statuses = {cell: status for cell, status in given.status_map.items() if status}
        return OrderImportOptions(source=given.source or "IMPORT", map=chosen, status_map=statuses, set=fixed)
    return CustomerImportOptions(
        mode=given.mode,
        match=given.match,
        map=chosen,
        source=given.source,
        country=given.country,
        date_order=given.date_order,
        tags=text.listed(given.tags or ""),
        consents=given.consents,
    )


async def _draft(request: Asked, id: UUID) -> tuple[Draft, drafts.Known]:
    async with reading(request) as db:
        await queries.find(db, id)
        draft = await drafts.find(db, id)
        if draft is None:
            raise ImportNotDraft
        return draft, await drafts.known(db)


@pages.alone("POST", "/imports/{id:uuid}/start", "imports.create_customers")
async def start(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """Takes a file in as it was last tried."""
    draft, by = await _draft(request, id)
    seen = await _looked(request, draft, draft.options, by)
    if seen is None:
        raise ImportNotDraft("Its file is kept no more.")
    async with writing(request) as tx:
        await drafts.start(tx, draft, seen)
        await cast("api.Door", request.app.state.door).audit(tx, f"imports.create_{draft.kind}", id, request)
    return see(request, f"/imports/{id}").sent()


@pages.alone("POST", "/imports/{id:uuid}/discard", "imports.cancel")
async def discard(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """Forgets a file that nobody wants to take in."""
    async with writing(request) as tx:
        await queries.find(tx, id)
        key = await drafts.discard(tx, id)
        await cast("api.Door", request.app.state.door).audit(tx, "imports.cancel", id, request)
    await _keep(request).delete(key)
    return see(request, "/imports", "The file was discarded.").sent()


@pages.post("/imports/{id:uuid}/cancel", of="imports.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Stops an import before its next rows."""
    await routes.cancel(tx, id)
    return see(request, f"/imports/{id}")


@pages.post("/imports/{id:uuid}/resume", of="imports.resume")
async def resume(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Lets an import go on where it stood."""
    await routes.resume(tx, id)
    return see(request, f"/imports/{id}")


@pages.post("/imports/{id:uuid}/revert", of="imports.revert")
async def revert(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes an import of customers back."""
    await routes.revert(tx, id)
    return see(request, f"/imports/{id}")
