"""Requests of privacy and retention."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from supover.customers import queries as customers
from supover.customers import rules
from supover.kit import api, sql
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid
from supover.privacy import commands, queries
from supover.privacy import routes as privacy
from supover.privacy.model import REASON_LENGTH, ErasureAsked, Kind, NewRetention, Status
from supover.web.frame import Asked, Pages, asked, say, see
from supover.web.settings import section

pages = Pages()

CANDIDATES: Final = 10
WORD: Final = "ERASE"
"""What has to be typed before somebody is erased, in every language."""


class RequestsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of requests can be asked for."""

    cursor: str | None = None
    kind: Kind | None = None
    status: Status | None = None
    customer_id: UUID | None = None


class Wanted(msgspec.Struct, frozen=True, rename="camel"):
    """For whom a request is to be made."""

    search: str = ""
    customer_id: UUID | None = None


class Erasure(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Whom to erase, why and when; `confirm` is the word that was typed."""

    reason: Annotated[str, Meta(max_length=REASON_LENGTH)] | None = None
    delay_days: Annotated[int, Meta(ge=0, le=30)] | None = None
    confirm: str = ""


# Names, for who may read customers; most pages need none of the people's own data, and a request for somebody unknown has none.
NAMES: Final = """
    select c.id, coalesce(c.name, c.email, c.phone)
      from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.erased_at is null"""


async def _names(db: Reader, ids: list[UUID]) -> dict[UUID, str]:
    return {id: name for id, name in await db.rows(NAMES, ids) if name} if ids else {}


@pages.get("/settings/privacy", of="privacy.search")
async def show_requests(db: Reader, request: Asked) -> api.Raw:
    """Who asked for what is kept of them, or to be forgotten, and how far that is."""
    given = asked(request, RequestsAsked)
    page = sql.page(queries.SORTS, limit=None, sort=None, cursor=given.cursor)
    rows, following, total = await queries.search(
        db, page, kind=given.kind, status=given.status, customer_id=given.customer_id, count=True
    )
    found = [privacy.linked(request, one) for one in rows]
    names = await _names(db, [one.customer_id for one in found if one.customer_id])
    return await section(
        request, db, "settings/privacy.html", found=found, following=following, total=total, given=given, names=names,
        busy=any(one.status == "running" or (one.status == "pending" and one.kind == "export") for one in found),
    )  # fmt: skip


@pages.get("/settings/privacy/new", of="privacy.export", search=True)
async def show_new(db: Reader, request: Asked) -> api.Raw:
    """Looks for the customer whom a request is about, then asks what is to be done."""
    given = asked(request, Wanted)
    found: list[Any] = []
    chosen = None
    if given.customer_id is not None:
        chosen = await customers.find(db, given.customer_id)
    elif given.search.strip():
        page = sql.page(customers.SORTS, limit=CANDIDATES, sort=None, cursor=None)
        found, _, _ = await customers.search(db, customers.Filters(terms=rules.terms(given.search)), page)
    return await section(
        request, db, "settings/privacy_new.html", given=given, found=found, chosen=chosen, word=WORD,
        retention=await queries.retention(db),
    )  # fmt: skip


@pages.post("/settings/privacy/{customer_id:uuid}/export", of="privacy.export")
async def export(tx: Tx, request: Asked, customer_id: UUID) -> api.Raw:
    """Asks for everything that is kept of a customer."""
    told, _, _ = await commands.ask_export(tx, customer_id)
    said = say("It is being done already.") if told.already else say("The files are being made.")
    return see(request, f"/settings/privacy/{told.id}", said)


@pages.post("/settings/privacy/{customer_id:uuid}/erase", of="privacy.erase")
async def erase(tx: Tx, request: Asked, customer_id: UUID, data: Erasure) -> api.Raw:
    """Asks for a customer to be erased; the word has to be typed."""
    if data.confirm.strip().upper() != WORD:
        raise Invalid.at("/confirm", "wrong", f"type {WORD} to go on")
    told = await commands.ask_erase(tx, customer_id, ErasureAsked(reason=data.reason, delay_days=data.delay_days))
    said = say("This was asked for before.") if told.already else say("The erasure is asked for.")
    return see(request, f"/settings/privacy/{told.id}", said)


@pages.get("/settings/privacy/{id:uuid}", of="privacy.find")
async def show_request(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One request: how far it is, its files or its certificate."""
    found = privacy.linked(request, await queries.find(db, id))
    erased = found.kind != "export" and found.status == "completed"
    certificate = await queries.certificate(db, id) if erased else None
    names = await _names(db, [found.customer_id] if found.customer_id else [])
    return await section(
        request, db, "settings/privacy_request.html", one=found, certificate=certificate, name=names.get(found.customer_id or id),
        busy=found.status == "running" or (found.status == "pending" and found.kind == "export"),
    )  # fmt: skip


@pages.post("/settings/privacy/{id:uuid}/cancel", of="privacy.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Cancels a request that waits."""
    await commands.cancel(tx, id)
    return see(request, f"/settings/privacy/{id}", "The request is cancelled.")


@pages.get("/settings/retention", of="privacy.retention")
async def show_retention(db: Reader, request: Asked) -> api.Raw:
    """For how long things are kept."""
    return await section(request, db, "settings/retention.html", kept=await queries.retention(db))


@pages.post("/settings/retention", of="privacy.set_retention")
async def set_retention(tx: Tx, request: Asked, data: NewRetention) -> api.Raw:
    """Says for how long things are to be kept."""
    await commands.set_retention(tx, data, None)
    return see(request, "/settings/retention", "Saved.")
