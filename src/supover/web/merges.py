"""Who may be the same person: the queue, two side by side, merging, and taking it back."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar.params import FromPath

from supover.addresses import queries as addresses
from supover.customers import custom_fields, identities, rules
from supover.customers import queries as customers
from supover.customers.model import Customer
from supover.duplicates import commands as duplicates
from supover.duplicates import queries
from supover.duplicates.model import NOTE_LENGTH, Acceptance, Level, PairDetail, SettingsChange, Side
from supover.duplicates.routes import scan as begin_scan
from supover.kit import api, clock, sql
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid, Problem
from supover.merging import commands as merging
from supover.merging import queries as merges
from supover.merging import routes as merge_routes
from supover.merging import splitting, undoing
from supover.merging.model import ChosenValue, FieldChoice, MergeAnswer, NewSplit
from supover.notes import queries as notes
from supover.orders import queries as orders
from supover.web.frame import Asked, Pages, asked, caller_of, from_form, parameters, reading, say, see, show, writing
from supover.web.model import Said
from supover.web.queries import people
from supover.web.rendering import called

pages = Pages()

PAGE: Final = 25
FOUND: Final = 10
"""So many are offered where one searches for the other."""
MOST: Final = 10
"""So many customers are looked at side by side at most."""
MERGE: Final = "customers:merge"


class Queue(msgspec.Struct, frozen=True):
    """Which pairs are listed."""

    level: Level | None = None
    status: Literal["open", "dismissed"] = "open"
    cursor: str | None = None


class Choice(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who stays, and whose value a field has; `level` is the queue that somebody goes through."""

    primary_id: UUID | None = None
    fields: Mapping[str, UUID] = {}
    level: Level | None = None
    ids: Sequence[UUID] = ()


class Dismissed(msgspec.Struct, frozen=True, kw_only=True):
    """Why two are not one, and the queue that somebody goes through."""

    note: Annotated[str, msgspec.Meta(max_length=NOTE_LENGTH)] | None = None
    level: Level | None = None


class Row(msgspec.Struct, frozen=True):
    """A field side by side: each one's value, whose is kept, and whether that can be chosen."""

    name: str
    values: Sequence[Any]
    kept: UUID | None
    is_choice: bool


# --- the queue -------------------------------------------------------------------------------------------------------------


@pages.get("/merges", of="duplicates.search", search=True)
async def show_queue(db: Reader, request: Asked) -> api.Raw:
    """Pairs that may be one person, the most likely first, and the last search for them."""
    given = asked(request, Queue)
    page = sql.page(queries.SORTS, limit=PAGE, sort=None, cursor=given.cursor)
    found, following, _ = await queries.search(db, page, level=given.level, status=given.status)
    scans, _ = await queries.scans(db, sql.page(queries.SCAN_SORTS, limit=1, sort=None, cursor=None))
    return await show(
        request,
        db,
        "merges/queue.html",
        given=given,
        found=found,
        following=following,
        counts=await queries.counts(db),
        scan=scans[0] if scans else None,
        settings=await queries.settings(db),
        likely=likely,
    )


def likely(score: Decimal) -> float:
    """How likely a score says that two are one, never quite certain."""
    return min(0.999, 1 / (1 + 2 ** -float(score)))


@pages.post("/merges/scan", of="duplicates.scan")
async def scan(tx: Tx, request: Asked) -> api.Raw:
    """Searches for duplicates."""
    await begin_scan(tx)
    return see(request, "/merges")


@pages.post("/merges/settings", of="duplicates.change_settings")
async def change_settings(tx: Tx, request: Asked, data: SettingsChange) -> api.Raw:
    """Says what happens by itself."""
    await duplicates.change_settings(tx, data)
    return see(request, "/merges", "The settings were saved.")


# --- side by side ----------------------------------------------------------------------------------------------------------

CONSENTS: Final = """
    select k.customer_id, k.channel, k.state
      from consent k
     where k.workspace_id = $1 and k.customer_id = any($2::uuid[]) and k.topic = 'marketing'
     order by k.customer_id, k.channel"""
READ: Final[Mapping[str, str]] = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "dateOfBirth": "date_of_birth",
    "gender": "gender",
    "country": "country",
    "status": "status",
    "externalId": "external_id",
    "tags": "tags",
}


def _opened(request: Asked) -> AbstractAsyncContextManager[Reader]:
    """A transaction for who may merge, in which a merge is tried and taken back; a reader for others."""
    return writing(request) if caller_of(request).may(MERGE) else reading(request)


async def _side_by_side(db: Reader, ids: Sequence[UUID], given: Choice, *, is_open: bool) -> dict[str, Any]:
    """These customers with all that is known of them, and what merging them would do where that is asked for."""
    who = await customers.some(db, ids)
    primary = given.primary_id if given.primary_id in ids else None
    primary = primary or min(who, key=lambda one: (-one.orders_count, one.id)).id
    told: MergeAnswer | None = None
    refused: Problem | None = None
    if is_open and isinstance(db, Tx):
        try:
            told = await merging.merge(
                db,
                primary,
                [one.id for one in who if one.id != primary],
                fields={name: FieldChoice(customer_id=id) for name, id in given.fields.items()},
                dry_run=True,
            )
        except Problem as problem:
            refused = problem
    consents: dict[UUID, list[tuple[str, str]]] = {}
    for id, channel, state in await db.rows(CONSENTS, list(ids)):
        consents.setdefault(id, []).append((channel, state))
    definitions = await custom_fields.definitions(db)
    sides = {side.id: side for side in await db.all(Side, queries.SIDES, list(ids))}
    return {
        "who": who,
        "primary": primary,
        "rows": _rows(who, told.fields if told else {}),
        "labels": {f"customFields.{one.key}": one.label for one in definitions.by_key.values()},
        "drop": {f"fields.{name}": None for name in given.fields},
        "sides": sides,
        "consents": consents,
        "told": told,
        "refused": refused,
        "given": given,
    }


def _rows(who: Sequence[Customer], kept: Mapping[str, ChosenValue]) -> list[Row]:
    names = [*READ, *dict.fromkeys(f"customFields.{key}" for one in who for key in one.custom_fields)]
    rows: list[Row] = []
    for name in names:
        values = [_value(one, name) for one in who]
        if all(value in (None, "", []) for value in values):
            continue
        chosen = kept.get(name)
        is_choice = chosen is not None and bool(chosen.alternatives) and name != "tags"
        rows.append(Row(name, values, chosen.customer_id if chosen else None, is_choice))
    return rows


def _value(one: Customer, name: str) -> Any:
    if name.startswith("customFields."):
        return one.custom_fields.get(name.removeprefix("customFields."))
    value = getattr(one, READ[name])
    return value.isoformat() if isinstance(value, date) else value


def _given(request: Asked) -> Choice:
    # The list of customers names those who are chosen one by one.
    return from_form([("ids" if name == "id" else name, value) for name, value in parameters(request)], Choice)


# What these two show is tried in a transaction, which the pages that only read do not have.


@pages.alone("GET", "/merges/pairs/{id:uuid}", "duplicates.find")
async def show_pair(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """Two customers side by side, why they may be one, and what merging them would do."""
    given = _given(request)
    async with _opened(request) as db:
        pair = await queries.find(db, id)
        raw = await show(
            request,
            db,
            "merges/pair.html",
            pair=pair,
            likely=likely,
            following=await queries.following(db, id, pair.score, given.level),
            **await _side_by_side(db, [pair.a.id, pair.b.id], given, is_open=pair.status == "open"),
        )
    return raw.sent()


@pages.alone("GET", "/merges/new", "merges.create")
async def show_new(request: Asked) -> api.Sent:
    """Some chosen customers side by side, to be made one."""
    given = _given(request)
    ids = list(dict.fromkeys(given.ids))
    if len(ids) == 1:
        return await _choose_other(request, ids[0])
    if not 2 <= len(ids) <= MOST:
        raise Invalid.at("/ids", "length", f"Choose 2 to {MOST} customers to merge.")
    async with _opened(request) as db:
        if len(await customers.some(db, ids)) < len(ids):
            raise customers.CustomerNotFound
        raw = await show(request, db, "merges/new.html", **await _side_by_side(db, ids, given, is_open=True))
    return raw.sent()


async def _choose_other(request: Asked, id: UUID) -> api.Sent:
    """A search for who is the same person as this customer."""
    wanted = request.query_params.get("search", "").strip()
    async with reading(request, search=True) as db:
        customer = await customers.find(db, id)
        found: list[Customer] = []
        if wanted:
            first = sql.page(customers.SORTS, limit=FOUND, sort=None, cursor=None)
            found, _, _ = await customers.search(db, customers.Filters(terms=rules.terms(wanted)), first)
        others = [one for one in found if one.id != id]
        raw = await show(request, db, "merges/choose.html", c=customer, found=others, wanted=wanted)
    return raw.sent()


# --- decided ---------------------------------------------------------------------------------------------------------------


async def _next(tx: Tx, pair: PairDetail, level: Level | None) -> str:
    """Where somebody goes on who has decided a pair."""
    following = await queries.following(tx, pair.id, pair.score, level)
    kept = f"?{urlencode({'level': level})}" if level else ""
    return f"/merges{kept}" if following is None else f"/merges/pairs/{following}{kept}"


@pages.post("/merges/pairs/{id:uuid}/accept", of="duplicates.accept")
async def accept(tx: Tx, request: Asked, id: UUID, data: Choice) -> api.Raw:
    """Makes the two one, and opens the next pair."""
    fields = {name: FieldChoice(customer_id=whose) for name, whose in data.fields.items()}
    pair = await duplicates.accept(tx, id, Acceptance(primary_id=data.primary_id, fields=fields))
    said = _of_two(
        pair, say("The two customers were merged."), say("%(one)s and %(other)s were merged.", **_names(pair))
    )
    return see(request, await _next(tx, pair, data.level), said, undo=f"/merges/pairs/{id}/undo")


def _names(pair: PairDetail) -> dict[str, str]:
    return {"one": called(pair.a), "other": called(pair.b)}


def _of_two(pair: PairDetail, plain: Said, named: Said) -> Said:
    """What is told of a pair: the page shows the next one by then, so it names them where they have names that differ."""
    names = _names(pair)
    return named if all(names.values()) and names["one"] != names["other"] else plain


@pages.post("/merges/pairs/{id:uuid}/dismiss", of="duplicates.dismiss")
async def dismiss(tx: Tx, request: Asked, id: UUID, data: Dismissed) -> api.Raw:
    """Says that the two are not one, and opens the next pair."""
    pair = await duplicates.dismiss(tx, id, data.note)
    said = _of_two(
        pair,
        say("They stay separate, and are not suggested again."),
        say("%(one)s and %(other)s stay separate, and are not suggested again.", **_names(pair)),
    )
    return see(request, await _next(tx, pair, data.level), said, undo=f"/merges/pairs/{id}/reopen")


@pages.post("/merges/pairs/{id:uuid}/reopen", of="duplicates.reopen")
async def reopen(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes a dismissal back."""
    await duplicates.reopen(tx, id)
    return see(request, f"/merges/pairs/{id}", "The pair is open again.")


@pages.post("/merges/pairs/{id:uuid}/undo", of="merges.undo")
async def undo_pair(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes the merge of a pair back."""
    pair = await queries.find(tx, id)
    if pair.merge_id is None:
        raise merges.MergeNotFound
    done = await undoing.undo(tx, pair.merge_id)
    to = f"/merges/history/{pair.merge_id}" if done.merge.not_put_back_count else f"/merges/pairs/{id}"
    return see(request, to, "The merge was undone.")


@pages.post("/merges", of="merges.create")
async def merge(tx: Tx, request: Asked, data: Choice) -> api.Raw:
    """Makes the chosen customers one."""
    if data.primary_id is None:
        raise Invalid.at("/primaryId", "required", "Choose who stays.")
    fields = {name: FieldChoice(customer_id=whose) for name, whose in data.fields.items()}
    others = [id for id in dict.fromkeys(data.ids) if id != data.primary_id]
    done = await merging.merge(tx, data.primary_id, others, fields=fields)
    return see(
        request,
        f"/customers/{data.primary_id}",
        "The customers were merged.",
        undo=f"/merges/history/{done.merge_id}/undo",
    )


# --- what was merged -------------------------------------------------------------------------------------------------------


class History(msgspec.Struct, frozen=True, rename="camel"):
    """Which merges are listed."""

    cursor: str | None = None
    customer_id: UUID | None = None


@pages.get("/merges/history", of="merges.search")
async def show_history(db: Reader, request: Asked) -> api.Raw:
    """Merges, the newest first."""
    given = asked(request, History)
    found = await merge_routes.search(db, limit=PAGE, cursor=given.cursor, customer_id=given.customer_id)
    ids = (id for one in found.data for id in (one.primary_id, *one.duplicate_ids))
    return await show(
        request,
        db,
        "merges/history.html",
        found=found.data,
        following=found.next_cursor,
        who=await people(db, ids),
        at=clock.now(),
        counts=await queries.counts(db) if caller_of(request).may("duplicates:read") else None,
    )


@pages.get("/merges/history/{id:uuid}", of="merges.find")
async def show_merge(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """A merge: who, what moved, and what undoing it could not put back."""
    found = await merges.find(db, id)
    who = await people(
        db,
        [found.primary_id, *found.duplicate_ids, *(one.customer_id for one in found.not_put_back)],
    )
    # When somebody came is no choice of anybody's.
    kept = [(name, UUID(str(id))) for name, id in found.fields.items() if id is not None and name != "createdAt"]
    return await show(request, db, "merges/merge.html", merge=found, who=who, kept=kept, at=clock.now())


@pages.post("/merges/history/{id:uuid}/undo", of="merges.undo")
async def undo(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes a merge back, and tells what stayed."""
    await undoing.undo(tx, id)
    return see(request, f"/merges/history/{id}", "The merge was undone.")


# --- split -----------------------------------------------------------------------------------------------------------------

SHOWN: Final = 100


@pages.get("/merges/split/{id:uuid}", of="merges.split")
async def show_split(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """What a customer has, to choose what of it is another person's."""
    customer = await customers.find(db, id)
    found, more, _ = await orders.search(
        db, orders.Filters(customer_ids=[id]), sql.page(orders.SORTS, limit=SHOWN, sort=None, cursor=None)
    )
    contacts, _, _ = await identities.search(db, id, sql.page(identities.SORTS, limit=SHOWN, sort=None, cursor=None))
    places, _ = await addresses.search(db, id, sql.page(addresses.SORTS, limit=SHOWN, sort=None, cursor=None))
    return await show(
        request,
        db,
        "merges/split.html",
        customer=customer,
        orders=found,
        has_more=more is not None,
        contacts=contacts,
        places=places,
        notes=await notes.search(db, id, None, SHOWN),
        shown=SHOWN,
    )


@pages.post("/merges/split/{id:uuid}", of="merges.split")
async def split(tx: Tx, request: Asked, id: UUID, data: NewSplit) -> api.Raw:
    """Makes a new customer of what was chosen."""
    if not data.order_ids and not data.identity_ids:
        raise Invalid.at("/name", "required", "Choose at least one order or contact.")
    done = await splitting.split(tx, id, data)
    return see(request, f"/customers/{done.customer.id}", "This is the new customer.")
