"""Files out."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec
from litestar.types import ASGIApp

from supover.exports import columns, commands, questions, routes
from supover.exports.model import AddressExport, CustomerExport, ExportRun, ExportsBusy, Kind, OrderExport
from supover.exports.model import Asked as Wanted
from supover.kit import api
from supover.kit.db import Reader, Tx
from supover.web.frame import (
    Asked,
    Pages,
    asked,
    caller_of,
    from_form,
    parameters,
    reading,
    see,
    sent_by,
    show,
    writing,
)
from supover.web.queries import names_of

pages = Pages()

PAGE: Final = 25
SMALL: Final = 5_000
"""A CSV of so many rows is sent at once."""
SHAPES: Final[Mapping[Kind, type[Wanted]]] = {
    "customers": CustomerExport,
    "addresses": AddressExport,
    "orders": OrderExport,
}
PLAIN: Final = ("format", "fields", "sort")
"""What of an export does not narrow it."""


class Paging(msgspec.Struct, frozen=True):
    """Which page of a list."""

    cursor: str | None = None


def _kind(request: Asked, given: str | None) -> Kind:
    """What is to be exported; the first that the caller may read unless told."""
    may: list[Kind] = [kind for kind, permission in routes.READS.items() if caller_of(request).may(permission)]
    wanted: Kind | None = next((kind for kind in SHAPES if kind == given), None)
    if wanted is not None and wanted not in may:
        raise api.NotAllowed(f"This needs the permission {routes.READS[wanted]!r}, too.")
    return wanted or may[0]


# --- the list --------------------------------------------------------------------------------------------------------------


def goes_on(run: ExportRun) -> bool:
    """Whether its file is still being made."""
    return run.status in ("queued", "running")


@pages.get("/exports", of="exports.search")
async def show_list(db: Reader, request: Asked) -> api.Raw:
    """Exports to files, newest first, each with a link to its file."""
    found = await routes.search(db, request, PAGE, asked(request, Paging).cursor)
    called = await _names_of_segments(db, [run.asked["segment"] for run in found.data if run.asked.get("segment")])
    return await show(
        request,
        db,
        "exports/list.html",
        runs=found.data,
        following=found.next_cursor,
        goes_on=goes_on,
        is_any_going=any(goes_on(run) for run in found.data),
        links={run.id: urlsplit(run.url).path for run in found.data if run.url},
        narrowed={run.id: [one for one in _narrowed(run.asked) if one[0] != "segment"] for run in found.data},
        segments={run.id: called.get(UUID(run.asked["segment"])) for run in found.data if run.asked.get("segment")},
        names=await names_of(db, (run.actor for run in found.data)),
    )


SEGMENTS: Final = "select s.id, s.name from segment s where s.workspace_id = $1 and s.id = any($2::uuid[])"


async def _names_of_segments(db: Reader, wanted: Iterable[str | UUID]) -> dict[UUID, str]:
    ids = [UUID(str(one)) for one in wanted]
    return {id: name for id, name in await db.rows(SEGMENTS, ids)} if ids else {}


def _narrowed(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an export is narrowed by: names and values for people."""
    found: list[tuple[str, str]] = []
    for name, value in cast("Mapping[str, Any]", msgspec.to_builtins(said)).items():
        if name in PLAIN or value in (None, [], ""):
            continue
        if isinstance(value, list):
            several = cast("list[object]", value)
            found.append((name, str(len(several)) if name == "ids" else ", ".join(map(str, several))))
        else:
            found.append((name, str(value)))
    return found


# --- a new one -------------------------------------------------------------------------------------------------------------


@pages.get("/exports/new", of="exports.customers")
async def show_new(db: Reader, request: Asked) -> api.Raw:
    """What is to be exported, narrowed as the list was that led here."""
    kind = _kind(request, request.query_params.get("kind"))
    wanted = asked(request, SHAPES[kind])
    kept = [
        (name, value)
        for name, value in parameters(request)
        if name in _names(SHAPES[kind]) and name not in ("format", "fields")
    ]
    return await show(
        request,
        db,
        "exports/new.html",
        kind=kind,
        kinds=[one for one, permission in routes.READS.items() if caller_of(request).may(permission)],
        wanted=wanted,
        kept=kept,
        kept_query=urlencode(kept),
        narrowed=await _called(db, _narrowed(msgspec.to_builtins(wanted))),
        count=await questions.count(db, kind, wanted),
        small=SMALL,
        columns=[column.name for column in columns.COLUMNS[kind] if column.name != columns.CUSTOM],
        usual=columns.DEFAULT[kind],
    )


async def _called(db: Reader, narrowed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same, a segment by its name."""
    called = await _names_of_segments(db, [value for name, value in narrowed if name == "segment"])
    return [(name, called.get(UUID(value), value)) if name == "segment" else (name, value) for name, value in narrowed]


def _names(shape: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(shape)}


@pages.alone("POST", "/exports", "exports.customers")
async def make(request: Asked) -> ASGIApp:
    """A small CSV at once; else a job makes the file, and the list tells how far it is."""
    pairs = await sent_by(request)
    kind = _kind(request, dict(pairs).get("kind"))
    wanted = from_form([pair for pair in pairs if pair[1].strip()], SHAPES[kind])
    if wanted.format == "csv":
        async with reading(request) as db:
            is_small = await questions.count(db, kind, wanted) <= SMALL
        if is_small:
            with contextlib.suppress(ExportsBusy):
                return await _at_once(request, kind, wanted)
    return await _later(request, kind, wanted)


async def _at_once(request: Asked, kind: Kind, wanted: Wanted) -> ASGIApp:
    if isinstance(wanted, OrderExport):
        answer = await routes.export_orders(request, wanted)
    elif isinstance(wanted, AddressExport):
        answer = await routes.export_addresses(request, wanted)
    else:
        answer = await routes.export_customers(request, wanted)
    return cast("ASGIApp", answer)


async def _later(request: Asked, kind: Kind, wanted: Wanted) -> ASGIApp:
    async with writing(request) as tx:
        run = await commands.begin(tx, kind, wanted)
        await cast("api.Door", request.app.state.door).audit(tx, f"exports.{kind}", run.id, request)
    return see(request, "/exports", "The file is being made. It can be downloaded here as soon as it is ready.").sent()


# --- what is done with one -------------------------------------------------------------------------------------------------


@pages.post("/exports/{id:uuid}/cancel", of="exports.cancel")
async def cancel(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Stops an export."""
    await routes.cancel(tx, request, id)
    return see(request, "/exports", "The export was stopped.")


@pages.post("/exports/{id:uuid}/retry", of="exports.retry")
async def retry(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Makes an export again."""
    await routes.retry(tx, request, id)
    return see(request, "/exports")


@pages.post("/exports/{id:uuid}/delete", of="exports.delete")
async def delete(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Forgets an export and its file."""
    await routes.find(tx, request, id)
    await routes.delete(tx, id)
    return see(request, "/exports", "The file was deleted.")
