"""The list of customers: what it is narrowed by, its columns, its saved views, and what is done to those who are chosen."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import msgspec

from supover.access.model import Caller
from supover.bulk import routes as bulk
from supover.bulk.model import NewBulk
from supover.customers import filtering, queries, tags
from supover.customers.model import Customer, NewCustomer
from supover.customers.routes import Asked as List
from supover.customers.routes import create, narrowed, understood
from supover.kit import api, filters, sql, text
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid, NotFound
from supover.segments import commands as segments
from supover.segments import queries as segment_queries
from supover.segments import view_routes, views
from supover.segments.model import NewSegment, NewView, View, ViewChange
from supover.web import conditions
from supover.web.conditions import Condition
from supover.web.frame import (
    Asked,
    Pages,
    asked,
    back,
    caller_of,
    converted,
    from_form,
    html,
    parameters,
    say,
    say_many,
    see,
    show,
)
from supover.web.model import Said
from supover.web.rendering import called
from supover.web.vocabularies import country_names

pages = Pages()

MOST_VIEWS: Final = 20
MOST_SEGMENTS: Final = 200
MOST_TAGS: Final = 50
MOST_MERGED: Final = 10
MOST_PICKED: Final = 1_000
COLUMNS: Final = (
    "status", "country", "orderCount", "totalSpent", "lastOrderDate", "rfmGroup", "churnRisk", "tags", "source", "averageOrderValue",
    "email", "phone", "lifetimeValue", "firstOrderDate", "createdAt", "updatedAt",
)  # fmt: skip
"""What the list can show beside the name, in the order that a chooser has them in."""
SHOWN: Final = COLUMNS[:8]
"""What it shows unless told: as much as fits on a laptop."""
FILTERS: Final = (
    "status", "source", "tag", "country", "minSpent", "maxSpent", "minOrders", "isRepeat", "createdFrom", "createdTo", "segment",
    "filter", "email", "phone", "externalId",
)  # fmt: skip
_OF_A_PAGE: Final = frozenset({"cursor", "page", "limit", "count", "include"})


@pages.get("/customers", of="customers.search", search=narrowed)
async def show_list(db: Reader, request: Asked) -> api.Raw:
    """The list, narrowed and sorted as its address says; a filter that cannot be read is told beside it."""
    found, following, total, wrong = [], None, 0, list[tuple[str, str]]()
    given, params = List(), parameters(request)
    try:
        given = asked(request, List)
        wanted, page, _ = await understood(db, request, given)
        found, following, total = await queries.search(db, wanted, page, count=True)
    except Invalid as error:
        wrong = [(one.pointer.strip("/").partition("/")[0], one.message) for one in error.errors]
    condition = await _condition(db, given.filter)
    kept, _, _ = await views.search(
        db, sql.page(views.SORTS, limit=MOST_VIEWS, sort=None, cursor=None), caller_of(request).actor
    )
    groups = await segment_queries.names(db, MOST_SEGMENTS)
    here = urlencode([one for one in params if one[0] not in _OF_A_PAGE])
    caller = caller_of(request)
    changeable = [one for one in kept if _may_change(caller, one)]
    return await show(
        request, db, "customers/list.html", found=found, following=following, total=total or 0, given=given, wrong=wrong,
        filters=FILTERS, views=kept, view=_open(kept, here), changeable=changeable, here=here, params=params,
        chips=_chips(params, condition), narrowed=dict(map(condition.told, condition.parts)), segments=groups,
        columns=COLUMNS, shown=SHOWN, narrowing=narrowing(params), countries=country_names,
        most_merged=MOST_MERGED,
        segment_names={str(one.id): one.name for one in groups},
    )  # fmt: skip


def _may_change(caller: Caller, view: View) -> bool:
    """Whether `view_routes` lets somebody change what a view shows."""
    own = view.owner == caller.actor and (not view.is_shared or caller.may("customers:write"))
    return own or caller.may("admin")


class Chip(msgspec.Struct, frozen=True):
    """A filter that is on: its name, its values, and the list without it."""

    name: str
    values: Sequence[str]
    without: str


def _chips(params: Sequence[tuple[str, str]], condition: Condition) -> list[Chip]:
    """Each filter that is on; each part of the condition, which is the last that the address has, has a chip of its own."""
    kept = [one for one in params if one[0] not in ("cursor", "filter")]
    written = next((value for name, value in reversed(params) if name == "filter"), "")
    chips = [
        Chip(pair[0], [pair[1]], _list([one for one in kept if one != pair], written))
        for pair in kept
        if pair[0] in FILTERS
    ]
    if condition.parts:
        return chips + [Chip(*condition.told(one), _list(kept, condition.without(one))) for one in condition.parts]
    return [*chips, Chip("filter", [written], _list(kept))] if written else chips


def _list(params: Sequence[tuple[str, str]], condition: str = "") -> str:
    """The address of the list, narrowed so."""
    pairs = [*params, ("filter", condition)] if condition else params
    return "/customers" + (f"?{urlencode(pairs)}" if pairs else "")


async def _condition(db: Reader, written: str | None) -> Condition:
    """The list's condition; without parts, where there is none, or it cannot be read or not in a moment."""
    if not written or len(written) > filtering.SHORT:
        return Condition((), {})
    scope = await filtering.scope(db)
    try:
        return Condition.read(written, scope)
    except filters.FilterInvalid:
        return Condition((), scope.asked)


@pages.get("/customers/narrow/{key:str}", of="customers.search", search=True)
async def narrow(db: Reader, request: Asked, key: str) -> api.Raw:
    """Leads to the list whose condition has this part anew: the values that the address has by the part's name."""
    if key not in conditions.FORMS:
        raise NotFound
    params = parameters(request)
    values = [value for name, value in params if name == key]
    kept = [one for one in params if one[0] not in (key, "cursor", "filter")]
    written = request.query_params.get("filter") or ""
    scope = await filtering.scope(db)
    return see(request, _list(kept, await asyncio.to_thread(conditions.replaced, written, scope, key, values)))


def narrowing(params: Sequence[tuple[str, str]]) -> str:
    """The part of the address that says who is meant."""
    return urlencode([one for one in params if one[0] in (*FILTERS, "search", "q")])


def _open(kept: Sequence[View], here: str) -> View | None:
    return next((one for one in kept if one.query.removeprefix("?") == here), None)


# --- tags that are known -----------------------------------------------------------------------------------------------------


@pages.get("/customers/tags", of="tags.search", search=True)
async def suggest_tags(db: Reader, request: Asked) -> api.Raw:
    """The tags that begin like this, for a field that offers them."""
    given = request.query_params
    begins = given.get("tag") or given.get("tags") or given.get("value") or ""
    page = sql.page(tags.SORTS, limit=MOST_TAGS, sort=None, cursor=None)
    found, _ = await tags.search(db, page, begins.strip()[:100])
    return html(request, "customers/tags.html", None, found=found)


# --- columns ----------------------------------------------------------------------------------------------------------------

KEEP_COLUMNS: Final = """
    insert into web_preference (workspace_id, staff_id, columns)
    values ($1, $2, $3)
        on conflict (workspace_id, staff_id) do update set columns = excluded.columns"""


class Columns(msgspec.Struct, frozen=True):
    """Which columns the list shows, in their order; none is as it is unless told."""

    columns: Sequence[str] = ()


@pages.post("/customers/columns", of="web.prefer")
async def keep_columns(tx: Tx, request: Asked, data: Columns) -> api.Raw:
    """Keeps somebody's choice of columns."""
    if unknown := sorted(set(data.columns) - set(COLUMNS)):
        raise Invalid.at("/columns", "unknown", f"{unknown[0]} is no column")
    chosen = list(dict.fromkeys(data.columns)) or None
    await tx.run(KEEP_COLUMNS, caller_of(request).id, chosen)
    return see(request, back(request, "/customers"))


# --- views ------------------------------------------------------------------------------------------------------------------


@pages.post("/customers/views", of="views.create")
async def save_view(tx: Tx, request: Asked, data: NewView) -> api.Raw:
    """Keeps the list as it is under a name."""
    made = (await view_routes.create(tx, request, data)).value
    return see(request, f"/customers?{made.query}", say("The view “%(name)s” was saved.", name=made.name))


@pages.post("/customers/views/{id:uuid}", of="views.change")
async def change_view(tx: Tx, request: Asked, id: UUID, data: ViewChange) -> api.Raw:
    """Renames a view, shares it, or makes it show what is on the screen."""
    changed = await view_routes.change(tx, request, id, data)
    return see(request, f"/customers?{changed.query}", say("The view “%(name)s” was saved.", name=changed.name))


@pages.post("/customers/views/{id:uuid}/delete", of="views.delete")
async def delete_view(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Forgets a view; the customers stay."""
    old = await views.find(tx, id, caller_of(request).actor)
    await view_routes.delete(tx, request, id)
    return see(request, "/customers", say("The view “%(name)s” was deleted.", name=old.name))


# --- many at once -------------------------------------------------------------------------------------------------------------

Done = Literal["tag", "untag", "block", "unblock", "delete", "export", "status"]


def told(action: Done, n: int) -> Said:
    """What was done to so many."""
    if not n:
        return say("Nothing was changed: it was so already.")
    match action:
        case "tag":
            return say_many("%(n)s customer was tagged.", "%(n)s customers were tagged.", n)
        case "untag":
            return say_many("%(n)s customer was untagged.", "%(n)s customers were untagged.", n)
        case "block":
            return say_many("%(n)s customer was blocked.", "%(n)s customers were blocked.", n)
        case "unblock":
            return say_many("%(n)s customer was unblocked.", "%(n)s customers were unblocked.", n)
        case "delete":
            return say_many("%(n)s customer was deleted.", "%(n)s customers were deleted.", n)
        case _:
            return say_many("%(n)s customer was changed.", "%(n)s customers were changed.", n)


class Chosen(msgspec.Struct, frozen=True):
    """Customers who were ticked, or with `everything` all whom the list is narrowed to."""

    id: Sequence[UUID] = ()
    everything: bool = False
    query: str = ""

    def who(self) -> dict[str, Any]:
        """The same, as a bulk action asks it. Raises Invalid."""
        if self.everything:
            return {"query": self.query}
        if not self.id:
            raise Invalid.at("/id", "required", "choose customers first")
        return {"ids": list(self.id)}


class Deed(Chosen, frozen=True, kw_only=True):
    """What to do to them: a status alone is an action, too."""

    action: Done | None = None
    tags: str | None = None
    status: Literal["ACTIVE", "INACTIVE", "VIP"] | None = None


@pages.post("/customers/bulk", of="bulk.create", search=True)
async def do(tx: Tx, request: Asked, data: Deed) -> api.Raw:
    """Does one thing to many: what is quickly done is told on the list, the rest has a page of its own."""
    action = data.action or ("status" if data.status else None)
    if action is None:
        raise Invalid.at("/action", "required", "choose what to do")
    given: dict[str, Any] = {"tags": some_tags(data.tags)} if action in ("tag", "untag") else {}
    if action == "status":
        given = {"status": data.status}
    done = (await bulk.create(tx, request, NewBulk(action=action, **data.who(), **given))).value
    if done.export_id is not None:
        return see(request, "/exports", "The file is being made. It can be downloaded here as soon as it is ready.")
    if done.status != "completed":
        return see(request, f"/bulk/{done.id}")
    undo = f"/bulk/{done.id}/undo" if done.changed else ""
    return see(request, back(request, "/customers"), told(action, done.changed), undo=undo)


def some_tags(written: str | None) -> list[str]:
    """The tags between commas. Raises Invalid where there are none."""
    found = text.listed(written or "")
    if not found:
        raise Invalid.at("/tags", "required", "is required")
    return found


@pages.post("/customers/merge", of="merges.create")
async def merge(db: Reader, request: Asked, data: Chosen) -> api.Raw:
    """Leads to where it is chosen what stays of several customers who are one person."""
    if data.everything or not 2 <= len(set(data.id)) <= MOST_MERGED:
        raise Invalid.at("", "length", f"choose 2 to {MOST_MERGED} customers to merge")
    del db  # nothing is done here, so nothing is noted
    return see(request, "/merges/new?" + urlencode([("ids", one) for one in dict.fromkeys(data.id)]))


class Group(Chosen, frozen=True, kw_only=True):
    """The group to put them into: one that is there, or a new one by its name."""

    segment: UUID | None = None
    name: str = ""


@pages.post("/customers/group", of="segments.pick", search=True)
async def add_to_group(tx: Tx, request: Asked, data: Group) -> api.Raw:
    """Puts customers into a group."""
    chosen = list(dict.fromkeys(data.id)) if not data.everything else await _matching(tx, request, data.query)
    if not chosen:
        raise Invalid.at("/segment", "required", "choose customers first")
    if data.name.strip():
        segment = (await segments.create(tx, NewSegment(name=data.name, kind="manual"))).id
    elif data.segment is not None:
        segment = data.segment
    else:
        raise Invalid.at("/name", "required", "name a new group, or choose one")
    answer = await segments.pick(tx, segment, chosen)
    said = say_many(
        "%(n)s customer is new in “%(group)s”.", "%(n)s customers are new in “%(group)s”.", answer.added,
        group=answer.segment.name,
    )  # fmt: skip
    return see(request, back(request, "/customers"), said)


async def _matching(tx: Tx, request: Asked, query: str) -> list[UUID]:
    """Who fits, up to as many as a group takes at once. Raises Invalid for more."""
    filters, _, _ = await understood(tx, request, from_form(parse_qsl(query), List))
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        page = sql.page(queries.SORTS, limit=sql.MAX_LIMIT, sort=None, cursor=cursor)
        rows, cursor, _ = await queries.search(tx, filters, page)
        found += [one.id for one in rows]
        if cursor is None:
            return found
        if len(found) >= MOST_PICKED:
            raise Invalid.at(
                "/name", "length", f"a group takes {MOST_PICKED:,} at once: make a segment of the filter instead"
            )


# --- a new one ----------------------------------------------------------------------------------------------------------------


@pages.get("/customers/new", of="customers.create")
async def show_new(db: Reader, request: Asked) -> api.Raw:
    """The form for somebody new."""
    return await show(request, db, "customers/new.html", countries=country_names)


class Newcomer(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Who is new, as a form has it: tags with commas between."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    date_of_birth: str | None = None
    gender: str | None = None
    status: Literal["ACTIVE", "INACTIVE", "VIP"] = "ACTIVE"
    source: str | None = None
    external_id: str | None = None
    tags: str = ""


@pages.post("/customers/new", of="customers.create")
async def add(tx: Tx, request: Asked, data: Newcomer) -> api.Raw:
    """Adds a customer and shows them."""
    given = {
        name: value for name, value in msgspec.to_builtins(data).items() if value is not None and name not in ("tags",)
    }
    if not given.keys() & {"name", "email", "phone", "external_id"}:
        raise Invalid.at("/name", "required", "give a name, an email or a phone number")
    new = converted({**given, "tags": text.listed(data.tags)}, NewCustomer)
    made = (await create(tx, new)).value
    return see(request, f"/customers/{made.id}", say("%(name)s was added.", name=named(made)))


def named(c: Customer) -> str | Said:
    """What a sentence calls a customer."""
    return called(c) or say("The customer")
