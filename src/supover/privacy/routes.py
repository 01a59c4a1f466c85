"""The web addresses of privacy."""

from datetime import timedelta
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.kit import clock, crypto, sql, storage
from supover.kit.api import Answer, Count, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.privacy import commands, queries
from supover.privacy.model import (
    Certificate,
    ErasureAsked,
    Kind,
    NewRetention,
    PrivacyFile,
    PrivacyRequest,
    RequestNotFound,
    Retention,
    Status,
)
from supover.settings import Settings, master_keys

routes = Routes("privacy")

AnyRequest = Request[Any, Any, Any]

LINK: Final = timedelta(hours=24)
DryRun = Annotated[
    bool | None,
    QueryParameter(
        name="dryRun", required=False, description="Only says what would be erased, as `dryRun` in the body."
    ),
]


def linked(request: AnyRequest, found: queries.Found) -> PrivacyRequest:
    """A request with new links to its files, while those are kept."""
    told, file_key, page_key = found
    if file_key is None or page_key is None:
        return told
    settings = cast("Settings", request.app.state.settings)
    until = (clock.now() + LINK).replace(microsecond=0)
    secret = crypto.derive_key(master_keys(settings)[0], "export-links")

    def url(key: str) -> str:
        return f"{settings.public_url}/files/{storage.link_token(secret, key, until)}"

    files = [PrivacyFile("json", url(file_key), until), PrivacyFile("html", url(page_key), until)]
    return msgspec.structs.replace(told, files=files)


def _answer(told: PrivacyRequest, kept: PrivacyRequest | None = None) -> Answer[PrivacyRequest]:
    headers = {"Location": f"/api/privacy/requests/{told.id}"}
    return Answer(told, 200 if told.already else 202, headers, kept)


# --- a customer's --------------------------------------------------------------------------------------------------------


@routes.get("/api/customers/{id:uuid}/privacy")
async def of_customer(db: Reader, request: AnyRequest, id: UUID) -> Listing[PrivacyRequest]:
    """List a customer's requests of privacy.

    The newest first, at most 200; exports with new links to their files. Of one who was erased, and of those who were merged into
    the customer, too.
    """
    await queries.is_erased(db, id, "/privacy")
    people = await queries.person(db, [id])
    return Listing([linked(request, found) for found in await queries.of_customers(db, people.customers)])


@routes.post("/api/customers/{id:uuid}/privacy/export", status=202, also=200)
async def export(tx: Tx, request: AnyRequest, id: UUID) -> Answer[PrivacyRequest]:
    """Ask for everything that is kept of a customer.

    A job makes two files, JSON for programs and a page that prints well, of the profile and those that were merged into it, with
    addresses, contacts, orders, notes, consents, timeline and all else. `GET /api/privacy/requests/{id}` has links to them, which
    end after a day; the files are kept for as long as those of exports. 200 for one that is under way already.
    """
    return _answer(linked(request, await commands.ask_export(tx, id)))


@routes.post("/api/customers/{id:uuid}/privacy/erase", status=202, also=200)
async def erase(
    tx: Tx, id: UUID, data: ErasureAsked | None = None, dry_run: DryRun = None
) -> Answer[PrivacyRequest | Certificate]:
    """Ask for a customer to be erased.

    A job erases the person from all tables, logs, raw messages and files, at once or when `delayDays` (the workspace's
    `eraseDelayDays` unless told) are over; until then it can be cancelled, and nobody is merged with the customer. Orders stay with
    their sums. It cannot be undone, and older orders, files and messages that come later do not bring the person back.
    A dry run answers 200 with the certificate that it would get. 200 for what was asked for or done before.
    """
    asked = data or ErasureAsked()
    if dry_run or asked.dry_run:
        return cast("Answer[PrivacyRequest | Certificate]", Answer(await commands.try_erase(tx, id), 200))
    told = await commands.ask_erase(tx, id, asked)
    return cast("Answer[PrivacyRequest | Certificate]", _answer(told, msgspec.structs.replace(told, reason=None)))


@routes.get("/api/customers/{id:uuid}/privacy/erasures/{erasure_id:uuid}")
async def erasure_of_customer(db: Reader, id: UUID, erasure_id: UUID) -> Certificate:
    """Read the certificate of a customer's erasure.

    As `GET /api/privacy/erasures/{id}`.
    """
    await queries.is_erased(db, id, f"/privacy/erasures/{erasure_id}")
    found = await queries.certificate(db, erasure_id)
    if id not in found.customer_ids and not await queries.is_about(db, erasure_id, id):
        raise RequestNotFound
    return found


# --- all -----------------------------------------------------------------------------------------------------------------


@routes.get("/api/privacy/requests")
async def search(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    count: Count = None,
    sort: Annotated[
        str | None,
        QueryParameter(name="sort", required=False, description="createdAt or dueAt, with - for descending."),
    ] = None,
    kind: Annotated[Kind | None, QueryParameter(name="kind", required=False, description="Only of this kind.")] = None,
    status: Annotated[
        Status | None, QueryParameter(name="status", required=False, description="Only in this state.")
    ] = None,
    customer_id: Annotated[
        UUID | None, QueryParameter(name="customerId", required=False, description="Only about this customer.")
    ] = None,
) -> Listing[PrivacyRequest]:
    """List requests of privacy.

    Those of staff and programs and those that channels sent, the newest first unless asked otherwise, each with the day by which
    it must be answered: thirty days after it came.
    """
    page = sql.page(queries.SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following, total = await queries.search(
        db, page, kind=kind, status=status, customer_id=customer_id, count=bool(count)
    )
    return Listing([linked(request, one) for one in found], following, total)


@routes.get("/api/privacy/requests/{id:uuid}")
async def find(db: Reader, request: AnyRequest, id: UUID) -> PrivacyRequest:
    """Read a request of privacy.

    A completed export with new links to its files.
    """
    return linked(request, await queries.find(db, id))


@routes.delete("/api/privacy/requests/{id:uuid}", status=200)
async def cancel(tx: Tx, id: UUID) -> PrivacyRequest:
    """Cancel a request of privacy.

    As long as it is pending: an erasure until its delay is over. 409 afterwards.
    """
    return await commands.cancel(tx, id)


@routes.get("/api/privacy/erasures/{id:uuid}")
async def certificate(db: Reader, id: UUID) -> Certificate:
    """Read the certificate of an erasure.

    What was erased where, when, and who asked for it; nothing of the person. The id is the request's.
    """
    return await queries.certificate(db, id)


@routes.get("/api/privacy/retention")
async def retention(db: Reader) -> Retention:
    """Read for how long things are kept."""
    return await queries.retention(db)


@routes.put("/api/privacy/retention")
async def set_retention(tx: Tx, data: NewRetention, if_match: IfMatch = None) -> Retention:
    """Say for how long things are kept.

    What is not told is as the defaults say. A job applies it every night, `supover retention` at once.
    """
    return await commands.set_retention(tx, data, version_of(if_match))
