"""Segments and groups: the list, the builder, who is in one and how it grew."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import filtering
from supover.customers import queries as customers
from supover.customers import rules as customer_rules
from supover.customers.model import Customer, CustomerMerged, CustomerNotFound
from supover.kit import api, clock, filters, sql, text
from supover.kit.db import Reader, Tx
from supover.kit.filters import Field, Function
from supover.kit.filters.model import Asked as Askable
from supover.kit.problems import FieldError, Invalid
from supover.segments import commands, how_many, preview, queries, rules
from supover.segments.model import (
    MOST_AT_ONCE,
    Kind,
    NewSegment,
    OnlyByFilter,
    Preview,
    Segment,
    SegmentNotFound,
    SegmentReplacement,
)
from supover.web import charts, descriptions, growth, segment_rows, vocabularies
from supover.web.frame import Asked, Pages, asked, say, say_many, see, sent_by, show
from supover.web.segment_rows import Group

pages = Pages()

SPARK_DAYS: Final = 30
CHART_DAYS: Final = 180
FOUND: Final = 8
"""So many customers are offered to be put into a group."""
SAMPLE: Final = 5


# --- the list ------------------------------------------------------------------------------------------------------------


class List(msgspec.Struct, frozen=True, kw_only=True):
    """What the list can be asked for."""

    search: str = ""
    kind: Kind | None = None
    sort: str | None = None
    cursor: str | None = None


GREW: Final = """
    select d.segment_id, d.day, d.members
      from segment_day d
     where d.workspace_id = $1 and d.segment_id = any($2::uuid[]) and d.day >= $3
     order by d.segment_id, d.day"""
BUILT_IN: Final = "select g.built_in from segment g where g.workspace_id = $1 and g.built_in is not null"


@pages.get("/segments", of="segments.search", search=True)
async def show_list(db: Reader, request: Asked) -> api.Raw:
    """All segments and groups, with how many are in each and how that went."""
    given = asked(request, List)
    page = sql.page(queries.SORTS, limit=None, sort=given.sort, cursor=given.cursor)
    wanted = text.clean(given.search)[: rules.NAME_LENGTH]
    found, following, total = await queries.search_plain(db, page, name=wanted, kind=given.kind, count=True)
    today = clock.now().date()
    since = today - timedelta(days=SPARK_DAYS)
    days: dict[UUID, list[tuple[date, int]]] = {}
    for id, day, members in await db.rows(GREW, [one.id for one in found], since):
        days.setdefault(id, []).append((day, members))
    here = set(await db.column(BUILT_IN))
    return await show(
        request,
        db,
        "segments/list.html",
        given=given,
        found=found,
        rules=await queries.rules_of(db, found),
        described=descriptions.described,
        following=following,
        total=total,
        living=await how_many.living(db),
        sparks={id: growth.spark(own, since, today) for id, own in days.items()},
        changes={id: own[-1][1] - own[0][1] for id, own in days.items()},
        missing=[one for one in rules.BUILT_IN if one.key not in here],
    )


@pages.post("/segments/built-in", of="segments.add_built_in")
async def add_built_in(tx: Tx, request: Asked) -> api.Raw:
    """Brings the built-in segments back that were deleted."""
    added = await commands.restore_built_in(tx)
    return see(
        request,
        "/segments",
        say("The built-in segments are back.") if added else say("No built-in segment is missing."),
    )


# --- the builder ---------------------------------------------------------------------------------------------------------

PROFILE: Final = ("customer_name", "customer_email", "customer_email_domain", "customer_phone", "status", "customer_tags",
                  "customer_source", "customer_added_date", "customer_language", "date_of_birth")  # fmt: skip
ORDERS: Final = ("number_of_orders", "amount_spent", "average_order_value", "first_order_date", "last_order_date",
                 "orders_placed", "products_purchased", "delivered_orders", "lifetime_value")  # fmt: skip
PLACE: Final = ("customer_countries", "customer_regions", "customer_cities")
MARKETING: Final = ("email_subscription_status", "sms_subscription_status", "whatsapp_subscription_status")
SCORES: Final = ("rfm_group", "rfm_recency", "rfm_frequency", "rfm_monetary", "churn_risk", "churn_probability",
                 "expected_orders", "predicted_value")  # fmt: skip
AREAS: Final = {"orders": ORDERS, "profile": PROFILE, "place": PLACE, "marketing": MARKETING, "scores": SCORES}


class Choice(msgspec.Struct, frozen=True):
    """A field as the builder offers it; `operators` by kind, and what a function looks for in `fields`.

    By those operators that are `chosen` it is compared with what its `vocabulary` has.
    """

    name: str
    words: str
    kind: str
    operators: Sequence[str]
    choices: Sequence[str]
    example: str
    vocabulary: str = ""
    chosen: frozenset[str] = frozenset()
    fields: Sequence["Choice"] = ()


class TextError(msgspec.Struct, frozen=True):
    """What is wrong at a character of a text: the line it is in, split there."""

    message: str
    line: int
    before: str
    at: str
    after: str


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What the builder shows: the rows, the text that says the same, what it asks, what is wrong, and who fits."""

    rows: Group
    text: str
    rows_text: str
    errors: Sequence[TextError] = ()
    row_errors: dict[int, str] = {}
    rule: filters.Tree | None = None
    preview: Preview | None = None
    focus: int = -1


def _choices(known: dict[str, Askable]) -> dict[str, list[Choice]]:
    """The fields by area, in the order in which people look for them."""
    areas = {area: [_choice(known[name]) for name in names if name in known] for area, names in AREAS.items()}
    placed = {name for names in AREAS.values() for name in names}
    rest = sorted((name for name in known if name not in placed), key=lambda name: known[name].words.lower())
    areas["custom"] = [_choice(known[name]) for name in rest if name.startswith("custom.")]
    areas["other"] = [_choice(known[name]) for name in rest if not name.startswith("custom.")]
    return {area: fields for area, fields in areas.items() if fields}


def _choice(one: Askable) -> Choice:
    if isinstance(one, Field):
        ways = segment_rows.operators(one)
        chosen = frozenset(op for op in ways if vocabularies.is_chosen(one, op))
        return Choice(one.name.lower(), one.words, one.kind, ways, one.choices, one.example, one.vocabulary, chosen)
    fields = [_choice(field) for field in (*one.fields, *one.sums)]
    example = f"{one.name} MATCHES ({one.fields[0].example})"
    return Choice(one.name, one.words, "matches", ("MATCHES", "NOT MATCHES"), (), example, fields=fields)


async def _pairs(request: Asked) -> list[tuple[str, str]]:
    sent = await sent_by(request)
    return [(name, value.replace("\r\n", "\n")) for name, value in sent]


def _last(pairs: Sequence[tuple[str, str]], name: str) -> str:
    return next((value for own, value in reversed(pairs) if own == name), "")


def _meant(pairs: Sequence[tuple[str, str]], scope: filters.Scope) -> tuple[str, Group, bool]:
    """The text that a form means, its rows, and whether those are as the text says.

    Rows and text stand beside each other; the one that was changed since they were shown says what is meant.
    """
    rows = segment_rows.from_form(pairs, scope.asked)
    written, was = _last(pairs, "filter"), _last(pairs, "filterWas")
    said = segment_rows.to_text(rows, scope.asked)
    if written.strip() != was.strip():
        return written, rows, False
    if said == _last(pairs, "rowsWere"):
        return written, rows, True
    return said, rows, True


async def _built(db: Reader, written: str, rows: Group, scope: filters.Scope, *, by_rows: bool) -> Built:
    """A text with its rows, and who fits; `by_rows` where the rows say it."""
    if not written.strip():
        kept = segment_rows.numbered(rows if by_rows else Group())
        return Built(rows=kept, text=written, rows_text=segment_rows.to_text(kept, scope.asked))
    try:
        rule = await filtering.parsed(written, scope)
        if not by_rows:
            rows = segment_rows.from_text(written, scope.asked)
        rows_text = segment_rows.to_text(segment_rows.numbered(rows), scope.asked)
        found = await preview.preview(db, written)
        return Built(rows=rows, text=written, rows_text=rows_text, rule=rule, preview=found)
    except filters.FilterInvalid as wrong:
        rows_text = segment_rows.to_text(segment_rows.numbered(rows), scope.asked)
        at_rows: dict[int, str] = {}
        if rows_text == written:
            for error in wrong.errors:
                row = segment_rows.told(rows, error.position or 0)
                at_rows[row.n if row else 0] = error.message
        errors = [_text_error(written, error) for error in wrong.errors[:5]]
        return Built(rows=rows, text=written, rows_text=rows_text, errors=errors, row_errors=at_rows)
    except Invalid as too_slow:
        rows_text = segment_rows.to_text(segment_rows.numbered(rows), scope.asked)
        errors = [TextError(error.message, 0, "", "", "") for error in too_slow.errors]
        return Built(rows=rows, text=written, rows_text=rows_text, errors=errors)


def _text_error(written: str, error: FieldError) -> TextError:
    at = min(error.position or 0, len(written))
    begin = written.rfind("\n", 0, at) + 1
    end = written.find("\n", at)
    end = len(written) if end < 0 else end
    word = re.match(r"[\w.]+|.", written[at:end])
    stop = at + (word.end() if word else 0)
    line = written.count("\n", 0, at) + 1 if "\n" in written.strip() else 0
    return TextError(
        error.message, line, written[max(begin, at - 60) : at], written[at:stop], written[stop : stop + 40]
    )


class Draft(msgspec.Struct, frozen=True):
    """A segment as its form has it; `segment` is the one that is there."""

    kind: Kind
    name: str
    description: str = ""
    segment: Segment | None = None


async def _show_builder(db: Reader, request: Asked, scope: filters.Scope, built: Built | None, draft: Draft) -> api.Raw:
    return await show(
        request,
        db,
        "segments/edit.html",
        built=built,
        kind=draft.kind,
        name=draft.name,
        description=draft.description,
        segment=draft.segment,
        areas=_choices(dict(scope.asked)),
        functions={one.name: _choice(one) for one in scope.asked.values() if isinstance(one, Function)},
        fields={name: _choice(one) for name, one in scope.asked.items() if isinstance(one, Field)},
        many=segment_rows.many,
        offered=vocabularies.offered,
        called=vocabularies.called,
        described=descriptions.described,
    )


class New(msgspec.Struct, frozen=True, kw_only=True):
    """How the builder begins."""

    kind: Kind = "filter"
    filter: str = ""
    name: str = ""


@pages.get("/segments/new", of="segments.create")
async def show_new(db: Reader, request: Asked) -> api.Raw:
    """The builder of a new segment, or a new group's form."""
    given = asked(request, New)
    scope = await filtering.scope(db)
    built = None
    if given.kind == "filter":
        rows = Group()
        if not given.filter:
            segment_rows.done(rows, "add:0", scope.asked)
        built = await _built(db, given.filter, rows, scope, by_rows=not given.filter)
    return await _show_builder(db, request, scope, built, Draft(given.kind, given.name))


@pages.get("/segments/{id:uuid}/edit", of="segments.replace")
async def show_edit(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """The builder of a segment that is there."""
    scope = await filtering.scope(db)
    segment = await queries.find(db, id, scope)
    built = None
    if segment.kind == "filter":
        built = await _built(db, segment.filter or "", Group(), scope, by_rows=False)
    draft = Draft(segment.kind, segment.name, segment.description, segment)
    return await _show_builder(db, request, scope, built, draft)


@pages.post("/segments/builder", of="segments.show_preview", search=True)
async def build(db: Reader, request: Asked) -> api.Raw:
    """The builder after a change of its rows or its text; nothing is kept."""
    pairs = await _pairs(request)
    scope = await filtering.scope(db)
    written, rows, by_rows = _meant(pairs, scope)
    focus = -1
    if deed := _last(pairs, "do"):
        if not by_rows and written.strip():
            rows = (await _built(db, written, rows, scope, by_rows=False)).rows
        focus = segment_rows.done(rows, deed, scope.asked)
        written, by_rows = segment_rows.to_text(rows, scope.asked), True
    built = await _built(db, written, rows, scope, by_rows=by_rows)
    draft = Draft("filter", _last(pairs, "name"), _last(pairs, "description"), await _edited(db, pairs, scope))
    return await _show_builder(db, request, scope, msgspec.structs.replace(built, focus=focus), draft)


async def _edited(db: Reader, pairs: Sequence[tuple[str, str]], scope: filters.Scope) -> Segment | None:
    """The segment that a form edits, at the version that it began with. Raises SegmentNotFound."""
    written = _last(pairs, "id")
    if not written:
        return None
    try:
        id, version = UUID(written), int(_last(pairs, "version") or 0)
    except ValueError:
        raise SegmentNotFound from None
    return msgspec.structs.replace(await queries.find(db, id, scope), version=version)


async def _filter_of(tx: Tx, pairs: Sequence[tuple[str, str]]) -> str:
    """The filter that a form means. Raises Invalid where a row waits for its value."""
    scope = await filtering.scope(tx)
    written, rows, by_rows = _meant(pairs, scope)
    if by_rows and not segment_rows.is_whole(rows):
        raise Invalid.at("/filter", "incomplete", "a condition has no value yet")
    if not written.strip():
        raise Invalid.at("/filter", "required", "there is no condition yet")
    return written.strip()


@pages.post("/segments", of="segments.create")
async def create(tx: Tx, request: Asked) -> api.Raw:
    """Makes a segment or a group."""
    pairs = await _pairs(request)
    name, description = _last(pairs, "name"), _last(pairs, "description")
    if _last(pairs, "kind") == "manual":
        made = await commands.create(tx, NewSegment(name=name, kind="manual", description=description))
        return see(request, f"/segments/{made.id}", "The group was made. Put customers into it.")
    new = NewSegment(name=name, description=description, filter=await _filter_of(tx, pairs))
    made = await commands.create(tx, new)
    return see(request, f"/segments/{made.id}", "The segment was made.")


@pages.post("/segments/{id:uuid}", of="segments.replace")
async def replace(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Changes a segment's name, description and filter."""
    pairs = await _pairs(request)
    kind = await queries.exists(tx, id)
    wanted = SegmentReplacement(
        name=_last(pairs, "name"),
        description=_last(pairs, "description"),
        filter=await _filter_of(tx, pairs) if kind == "filter" else None,
    )
    await commands.replace(tx, id, wanted, api.version_of(_last(pairs, "version") or None))
    return see(request, f"/segments/{id}", "The segment was changed.")


# --- one of them ---------------------------------------------------------------------------------------------------------


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment's page can be asked for; `find` looks for customers to put into a group."""

    sort: str | None = None
    cursor: str | None = None
    find: str = ""


@pages.get("/segments/{id:uuid}", of="segments.find", search=True)
async def show_one(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Who is in a segment, in words and one by one, and how it grew."""
    given = asked(request, Members)
    segment = await queries.find_plain(db, id)
    page = sql.page(queries.MEMBER_SORTS, limit=None, sort=given.sort, cursor=given.cursor)
    found, following, _ = await queries.members(db, id, page)
    days = sql.page(queries.GROWTH_SORTS, limit=CHART_DAYS, sort=None, cursor=None)
    grown, _ = await queries.growth(db, id, days)
    line = growth.chart([(day.day, day.members) for day in reversed(grown)]) if grown else None
    return await show(
        request,
        db,
        "segments/one.html",
        given=given,
        segment=segment,
        rule=(await queries.rules_of(db, [segment])).get(id),
        described=descriptions.described,
        members=found,
        following=following,
        grown=grown,
        chart=line,
        charts=charts,
        living=await how_many.living(db),
        candidates=await _candidates(db, given.find) if segment.kind == "manual" else [],
    )


async def _candidates(db: Reader, wanted: str) -> list[Customer]:
    """Some customers whom these words may mean."""
    terms = customer_rules.terms(wanted)
    if not terms:
        return []
    page = sql.page(customers.SORTS, limit=FOUND, sort=None, cursor=None)
    found, _, _ = await customers.search(db, customers.Filters(terms=terms), page)
    return found


@pages.post("/segments/{id:uuid}/refresh", of="segments.refresh")
async def refresh(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Has everybody looked at again."""
    await commands.refresh(tx, id)
    return see(request, f"/segments/{id}", "Everybody is being looked at again.")


@pages.post("/segments/{id:uuid}/delete", of="segments.delete")
async def delete(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Deletes a segment; its customers stay."""
    await commands.delete(tx, id)
    return see(request, "/segments", "The segment was deleted. Its customers are still there.")


@pages.get("/segments/{id:uuid}/explain", of="segments.explain", search=True)
async def explain(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """A segment's filter taken apart, for administrators."""
    segment = await queries.find_plain(db, id)
    if segment.filter is None:
        raise OnlyByFilter("This is a group: it has no filter to explain.")
    wanted = request.query_params.get("customer", "").strip()
    customer_id, unknown = None, ""
    if wanted:
        ids, missing = await _people(db, wanted)
        try:
            customer_id, unknown = (ids[0] if ids else None), _some(missing)
            if customer_id is not None:
                await customers.exists(db, customer_id)
        except (CustomerNotFound, CustomerMerged):
            customer_id, unknown = None, wanted
    explained = await preview.explain(db, segment.filter, customer_id)
    rule = await filtering.read(db, segment.filter)
    return await show(
        request, db, "segments/explain.html", segment=segment, explained=explained, wanted=wanted, unknown=unknown,
        rule=rule, parts=[part for _, part in filters.conditions(rule)], described=descriptions.described,
        living=await how_many.living(db),
    )  # fmt: skip


# --- groups --------------------------------------------------------------------------------------------------------------


class People(msgspec.Struct, frozen=True):
    """Customers, by emails and ids with blanks, commas or lines between."""

    people: str = ""


BY_EMAIL: Final = """
    select lower(c.email), c.id from customer c
     where c.workspace_id = $1 and lower(c.email) = any($2::text[]) and c.deleted_at is null"""


async def _people(db: Reader, written: str) -> tuple[list[UUID], list[str]]:
    """The customers whom somebody listed, and what names nobody. Raises Invalid for too many."""
    named = list(dict.fromkeys(word.lower() for word in re.split(r"[\s,;]+", written) if word))
    if len(named) > MOST_AT_ONCE:
        raise Invalid.at("/people", "length", f"can have at most {MOST_AT_ONCE:,} customers at once")
    ids: dict[str, UUID] = {}
    for word in named:
        try:
            ids[word] = UUID(word)
        except ValueError:
            continue
    emails = [word for word in named if "@" in word and "\0" not in word]
    if emails:
        ids |= dict(await db.rows(BY_EMAIL, emails))
    return [ids[word] for word in named if word in ids], [word for word in named if word not in ids]


@pages.post("/segments/{id:uuid}/pick", of="segments.pick")
async def pick(tx: Tx, request: Asked, id: UUID, data: People) -> api.Raw:
    """Puts customers into a group who were listed by email or id."""
    found, unknown = await _people(tx, data.people)
    if not found and not unknown:
        raise Invalid.at("/people", "required", "write at least one email")
    if not found:
        raise Invalid.at("/people", "unknown", f"No customer has {_some(unknown)}.")
    answer = await commands.pick(tx, id, found)
    unknown += [str(row.id) for row in answer.rows if row.outcome == "failed"]
    return see(
        request,
        f"/segments/{id}",
        say_many("%(n)s customer was added.", "%(n)s customers were added.", answer.added),
        say_many("%(n)s was in it already.", "%(n)s were in it already.", answer.unchanged) if answer.unchanged else "",
        say_many("%(n)s was not found: %(who)s.", "%(n)s were not found: %(who)s.", len(unknown), who=_some(unknown))
        if unknown
        else "",
    )


def _some(words: Sequence[str]) -> str:
    return ", ".join([*(word[:60] for word in words[:3]), *(["…"] if len(words) > 3 else [])])


@pages.post("/segments/{id:uuid}/customers/{customer_id:uuid}", of="segments.pick")
async def put_in(tx: Tx, request: Asked, id: UUID, customer_id: UUID) -> api.Raw:
    """Puts one customer into a group."""
    answer = await commands.pick(tx, id, [customer_id])
    if answer.failed:
        raise Invalid.at("/people", "unknown", answer.rows[0].error or "No living customer has this id.")
    if not answer.added:
        return see(request, f"/segments/{id}", "The customer is in it already.")
    back = f"/segments/{id}/customers/{customer_id}/remove"
    return see(request, f"/segments/{id}", "The customer was added.", undo=back)


@pages.post("/segments/{id:uuid}/customers/{customer_id:uuid}/remove", of="segments.unpick")
async def take_out(tx: Tx, request: Asked, id: UUID, customer_id: UUID) -> api.Raw:
    """Takes a customer out of a group."""
    await commands.unpick(tx, id, customer_id)
    return see(
        request, f"/segments/{id}", "The customer was taken out.", undo=f"/segments/{id}/customers/{customer_id}"
    )
