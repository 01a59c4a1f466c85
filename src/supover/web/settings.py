"""The workspace, its staff and keys, its fields and tags, its shops, and what happens by itself."""

from datetime import timedelta
from typing import Annotated, Final, cast
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import available_timezones

import msgspec
from babel import Locale, numbers
from msgspec import Meta

from supover.access import commands, queries
from supover.access import routes as access
from supover.access.model import COUNTABLE, KeyChange, NewKey, NewStaff, StaffChange, WorkspaceChange
from supover.access.permissions import OWNER, PERMISSIONS, SCOPES
from supover.channels import queries as channels
from supover.channels import routes as channel_routes
from supover.channels import sealing
from supover.channels.model import ConnectionChange, NewConnection, Rotation
from supover.consent import suppressions
from supover.consent.model import ConsentChannel, NewSuppression, SuppressionReason
from supover.customers import custom_field_index, custom_field_misfits, custom_fields, tag_changes, tags
from supover.customers.custom_field_model import CustomFieldChange, FieldType, NewCustomField
from supover.customers.tag_change_model import TagMerge, TagRemoval
from supover.duplicates import commands as duplicates
from supover.duplicates import queries as pairs
from supover.duplicates.model import SettingsChange
from supover.kit import api, clock, money, sql
from supover.kit.db import Reader, Tx
from supover.settings import Settings
from supover.web.frame import Asked, Pages, asked, back, caller_of, say, see, show
from supover.web.model import Said

pages = Pages()

SECTIONS: Final = (
    ("/settings/account", "access.find_session"),
    ("/settings/workspace", "access.find_workspace"),
    ("/settings/staff", "access.search_staff"),
    ("/settings/keys", "access.search_keys"),
    ("/settings/channels", "channels.search"),
    ("/settings/fields", "fields.search"),
    ("/settings/tags", "tags.search"),
    ("/orders/rates", "rates.search"),
    ("/settings/suppressions", "suppressions.search"),
    ("/settings/duplicates", "duplicates.find_settings"),
    ("/settings/privacy", "privacy.search"),
    ("/settings/retention", "privacy.retention"),
    ("/settings/audit", "access.search_audit"),
    ("/settings/jobs", "jobs.search"),
    ("/settings/inbox", "inbox.search"),
    ("/settings/requests", "access.search_audit"),
)
"""The pages of the settings in their order, each with the operation whose permission it needs."""


def open_to(permissions: frozenset[str]) -> list[str]:
    """The sections that somebody may open."""
    return [path for path, operation in SECTIONS if PERMISSIONS[operation] in permissions]


async def section(request: Asked, db: Reader, template: str, /, status: int = 200, **values: object) -> api.Raw:
    """A page of the settings, beside the list of those that its reader may open."""
    return await show(request, db, template, status, sections=open_to(caller_of(request).permissions), **values)


@pages.get("/settings", of="access.find_session")
async def show_first(db: Reader, request: Asked) -> api.Raw:
    """Leads to the workspace, or to the first section that one may open."""
    may = open_to(caller_of(request).permissions)
    return see(request, "/settings/workspace" if "/settings/workspace" in may else may[0])


# --- the workspace ---------------------------------------------------------------------------------------------------


@pages.get("/settings/workspace", of="access.find_workspace")
async def show_workspace(db: Reader, request: Asked) -> api.Raw:
    """The workspace's name, time zone, currency and the statuses that count."""
    return await section(
        request, db, "settings/workspace.html", workspace=await queries.find_workspace(db), fixed=await db.value(commands.IN_USE),
        zones=zones(), currencies=_currencies(), countable=COUNTABLE,
    )  # fmt: skip


def zones() -> list[str]:
    """The time zones that people live in."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))


def _currencies() -> list[tuple[str, str]]:
    english = Locale.parse("en")
    return [(code, f"{code} – {numbers.get_currency_name(code, locale=english)}") for code in sorted(money.CURRENCIES)]


@pages.post("/settings/workspace", of="access.change_workspace")
async def change_workspace(tx: Tx, request: Asked, data: WorkspaceChange) -> api.Raw:
    """Changes the workspace."""
    await commands.change_workspace(tx, data)
    return see(request, "/settings/workspace", "Saved.")


# --- staff -----------------------------------------------------------------------------------------------------------


@pages.get("/settings/staff", of="access.search_staff")
async def show_staff(db: Reader, request: Asked) -> api.Raw:
    """The members of the workspace, and who is invited."""
    return await _staff(db, request)


async def _staff(db: Reader, request: Asked, status: int = 200, **made: object) -> api.Raw:
    people = await queries.search_staff(db)
    roles = ("owner", "admin", "agent", "viewer") if caller_of(request).may(OWNER) else ("admin", "agent", "viewer")
    return await section(
        request,
        db,
        "settings/staff.html",
        status,
        people=people,
        roles=roles,
        **{"invitation": None, "link": "", **made},
    )


def _settings(request: Asked) -> Settings:
    return cast("Settings", request.app.state.settings)


async def _invited(tx: Tx, request: Asked, invitation: object) -> api.Raw:
    made = cast("access.Invitation", invitation)
    asked_with = urlencode({"invitation": made.invitation_code or "", "email": made.email})
    return await _staff(tx, request, 201, invitation=made, link=f"{_settings(request).public_url}/sign-in?{asked_with}")


@pages.post("/settings/staff", of="access.add_staff")
async def invite(tx: Tx, request: Asked, data: NewStaff) -> api.Raw:
    """Invites somebody; the answer alone shows the code."""
    return await _invited(tx, request, await commands.invite_staff(tx, caller_of(request), data))


@pages.post("/settings/staff/{id:uuid}/invitation", of="access.invite_anew")
async def invite_anew(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Gives who is invited another code, which the answer alone shows."""
    return await _invited(tx, request, await commands.invite_anew(tx, caller_of(request), id))


@pages.post("/settings/staff/{id:uuid}", of="access.change_staff")
async def change_role(tx: Tx, request: Asked, id: UUID, data: StaffChange) -> api.Raw:
    """Gives a member another role."""
    await access.change_staff(tx, request, id, data)
    return see(request, "/settings/staff", "The role is changed.")


@pages.post("/settings/staff/{id:uuid}/remove", of="access.remove_staff")
async def remove(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Ends a membership or an invitation."""
    await access.remove_staff(tx, request, id)
    return see(request, "/settings/staff", "Removed.")


# --- keys ------------------------------------------------------------------------------------------------------------


class KeysAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of keys can be asked for."""

    cursor: str | None = None
    revoked: bool = False


class KeyForm(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A key to make, as the form has it: it ends after so many days."""

    name: str
    scopes: Annotated[list[str], Meta(max_length=20)] = []
    rate_limit: int | None = None
    days: Annotated[int, Meta(ge=1, le=3660)] | None = None


class KeyEnding(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """In how many hours a key is to end."""

    hours: Annotated[int, Meta(ge=1, le=8760)]


@pages.get("/settings/keys", of="access.search_keys")
async def show_keys(db: Reader, request: Asked) -> api.Raw:
    """The workspace's API keys."""
    return await _keys(db, request, asked(request, KeysAsked))


async def _keys(db: Reader, request: Asked, given: KeysAsked, status: int = 200, made: object = None) -> api.Raw:
    page = sql.page(queries.KEY_SORTS, limit=None, sort=None, cursor=given.cursor)
    found = await queries.search_keys(db, page, revoked=given.revoked)
    grantable = [(scope, what) for scope, what in SCOPES.items() if caller_of(request).may(scope)]
    return await section(
        request, db, "settings/keys.html", status, found=found.data, following=found.next_cursor, given=given, scopes=grantable,
        made=made, most=_settings(request).rate_limit_per_minute,
    )  # fmt: skip


@pages.post("/settings/keys", of="access.create_key")
async def create_key(tx: Tx, request: Asked, data: KeyForm) -> api.Raw:
    """Makes a key. It stands in the answer and nowhere else, so there is no page to be led to."""
    ends = None if data.days is None else clock.now() + timedelta(days=data.days)
    new = NewKey(name=data.name, scopes=data.scopes, rate_limit=data.rate_limit, expires_at=ends)
    most = _settings(request).rate_limit_per_minute
    made = await commands.create_key(tx, caller_of(request), new, most_a_minute=most)
    return await _keys(tx, request, KeysAsked(), 201, made)


@pages.get("/settings/keys/{id:uuid}", of="access.find_key")
async def show_key(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One key: what it may do, its name and its end."""
    return await section(request, db, "settings/key.html", key=await queries.find_key(db, id), scopes=SCOPES)


@pages.post("/settings/keys/{id:uuid}", of="access.change_key")
async def rename_key(tx: Tx, request: Asked, id: UUID, data: KeyChange) -> api.Raw:
    """Gives a key another name."""
    await access.change_key(tx, request, id, data)
    return see(request, f"/settings/keys/{id}", "Saved.")


@pages.post("/settings/keys/{id:uuid}/end", of="access.change_key")
async def end_key(tx: Tx, request: Asked, id: UUID, data: KeyEnding) -> api.Raw:
    """Lets a key end earlier."""
    ends = clock.now() + timedelta(hours=data.hours)
    await access.change_key(tx, request, id, KeyChange(expires_at=ends))
    return see(request, f"/settings/keys/{id}", "The key has a new end.")


@pages.post("/settings/keys/{id:uuid}/revoke", of="access.revoke_key")
async def revoke_key(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Revokes a key for good."""
    await access.revoke_key(tx, request, id)
    return see(request, "/settings/keys", "The key is revoked.")


# --- custom fields ---------------------------------------------------------------------------------------------------


class FieldForm(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A custom field as its form has it: one choice a line, and what is not ticked is not so."""

    key: str = ""
    type: FieldType
    label: str | None = None
    choices: str = ""
    pattern: str | None = None
    description: str = ""
    position: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    is_required: bool = False
    is_unique: bool = False
    is_indexed: bool = False

    def choice_lines(self) -> list[str]:
        """The choices that were written."""
        return [line.strip() for line in self.choices.splitlines() if line.strip()]


class OfType(msgspec.Struct, frozen=True, rename="camel"):
    """Which type of field is to be added."""

    type: FieldType | None = None


class OnPage(msgspec.Struct, frozen=True, rename="camel"):
    """Where a list goes on."""

    cursor: str | None = None


@pages.get("/settings/fields", of="fields.search")
async def show_fields(db: Reader, request: Asked) -> api.Raw:
    """The custom fields of customers."""
    page = sql.page(custom_fields.SORTS, limit=100, sort=None, cursor=None)
    found, _, _ = await custom_fields.search(db, page)
    building = any(field.index_state == "building" for field in found)
    return await section(request, db, "settings/fields.html", found=found, building=building)


@pages.get("/settings/fields/new", of="fields.create")
async def show_new_field(db: Reader, request: Asked) -> api.Raw:
    """Which type a field is to have, then the rest of it."""
    return await section(request, db, "settings/field_new.html", type=asked(request, OfType).type)


@pages.post("/settings/fields", of="fields.create")
async def create_field(tx: Tx, request: Asked, data: FieldForm) -> api.Raw:
    """Declares a field."""
    new = NewCustomField(
        key=data.key, type=data.type, label=data.label, choices=data.choice_lines(), pattern=data.pattern,
        description=data.description, position=data.position, is_required=data.is_required, is_unique=data.is_unique,
        is_indexed=data.is_indexed,
    )  # fmt: skip
    made = await custom_fields.create(tx, new)
    return see(request, f"/settings/fields/{made.id}", "The field is added.")


@pages.get("/settings/fields/{id:uuid}", of="fields.find", search=True)
async def show_field(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One field, the state of its index, and whose value does not fit."""
    field = await custom_fields.find(db, id)
    page = sql.page(custom_field_misfits.SORTS, limit=25, sort=None, cursor=asked(request, OnPage).cursor)
    misfits, following, _ = await custom_field_misfits.search(db, field, page)
    shared, _ = await custom_field_index.conflicts(
        db, id, sql.page(custom_field_index.CONFLICT_SORTS, limit=25, sort=None, cursor=None)
    )
    return await section(
        request, db, "settings/field.html", field=field, misfits=misfits, following=following, shared=shared
    )


@pages.post("/settings/fields/{id:uuid}", of="fields.change")
async def change_field(tx: Tx, request: Asked, id: UUID, data: FieldForm) -> api.Raw:
    """Changes a field."""
    change = CustomFieldChange(
        type=data.type, label=data.label or "", choices=data.choice_lines(), pattern=data.pattern, description=data.description,
        is_required=data.is_required, is_unique=data.is_unique, is_indexed=data.is_indexed,
        position=msgspec.UNSET if data.position is None else data.position,
    )  # fmt: skip
    await custom_fields.change(tx, id, change)
    return see(request, f"/settings/fields/{id}", "Saved.")


@pages.post("/settings/fields/{id:uuid}/delete", of="fields.delete")
async def delete_field(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Deletes a field; the customers' values stay."""
    await custom_fields.delete(tx, id)
    return see(request, "/settings/fields", "The field is deleted. The values of customers are still there.")


# --- tags ------------------------------------------------------------------------------------------------------------


class TagsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of tags can be asked for."""

    cursor: str | None = None
    sort: str | None = None
    search: str | None = None


class TagsChosen(msgspec.Struct, frozen=True, rename="camel"):
    """The tags that were ticked in the list."""

    id: list[str] = []


@pages.get("/settings/tags", of="tags.search", search=True)
async def show_tags(db: Reader, request: Asked) -> api.Raw:
    """The tags in use, and how far changes of them are."""
    given = asked(request, TagsAsked)
    page = sql.page(tags.SORTS, limit=50, sort=given.sort, cursor=given.cursor)
    found, following = await tags.search(db, page, (given.search or "").strip())
    changes, _ = await tag_changes.search(db, sql.page(tag_changes.SORTS, limit=5, sort=None, cursor=None))
    under_way = any(change.state in ("waiting", "running") for change in changes)
    return await section(
        request, db, "settings/tags.html", found=found, following=following, given=given, changes=changes, under_way=under_way,
        sort=given.sort or "-customers",
    )  # fmt: skip


@pages.get("/settings/tags/change", of="tags.merge")
async def show_tag_change(db: Reader, request: Asked) -> api.Raw:
    """What can be done with one tag, or with several."""
    chosen = asked(request, TagsChosen).id
    return await section(request, db, "settings/tag_change.html", chosen=chosen)


@pages.post("/settings/tags/change", of="tags.merge")
async def merge_tags(tx: Tx, request: Asked, data: TagMerge) -> api.Raw:
    """Makes tags another one in all customers."""
    into = tag_changes.wanted(data.into, "/into")
    begun = await tag_changes.begin(tx, data.tags, into, pointer="/tags", dry_run=False)
    return see(request, "/settings/tags", _tags_told(begun.customers))


@pages.post("/settings/tags/delete", of="tags.delete_many")
async def delete_tags(tx: Tx, request: Asked, data: TagRemoval) -> api.Raw:
    """Removes tags from all customers."""
    begun = await tag_changes.begin(tx, data.tags, None, pointer="/tags", dry_run=False)
    return see(request, "/settings/tags", _tags_told(begun.customers))


def _tags_told(customers: int) -> Said:
    return say("Customers are being changed.") if customers else say("No customer has this tag.")


@pages.post("/settings/tags/changes/{id:uuid}/cancel", of="tags.cancel_change")
async def cancel_tag_change(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Stops a change; customers that are changed stay so."""
    await tag_changes.cancel(tx, id)
    return see(request, "/settings/tags", "The change is cancelled.")


# --- shops -----------------------------------------------------------------------------------------------------------


class ShopsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of shops can be asked for."""

    cursor: str | None = None
    disconnected: bool = False


@pages.get("/settings/channels", of="channels.search", search=True)
async def show_channels(db: Reader, request: Asked) -> api.Raw:
    """The shops that send their orders here."""
    given = asked(request, ShopsAsked)
    page = sql.page(channels.SORTS, limit=None, sort=None, cursor=given.cursor)
    found = await channels.search(db, sealing.hooks(_settings(request)), page, ended=given.disconnected)
    return await section(
        request, db, "settings/channels.html", found=found.data, following=found.next_cursor, given=given
    )


@pages.post("/settings/channels", of="channels.create")
async def connect(tx: Tx, request: Asked, data: NewConnection) -> api.Raw:
    """Connects a shop and shows where its webhooks go."""
    made = (await channel_routes.create(tx, request, data)).value
    return see(
        request, f"/settings/channels/{made.id}", "The shop is connected. Point its webhooks to the address below."
    )


@pages.get("/settings/channels/{id:uuid}", of="channels.find")
async def show_channel(db: Reader, request: Asked, id: UUID) -> api.Raw:
    """One shop: the address of its webhooks and how to set them up."""
    found = await channels.find(db, sealing.hooks(_settings(request)), id)
    return await section(request, db, "settings/channel.html", shop=found)


@pages.post("/settings/channels/{id:uuid}", of="channels.change")
async def rename_channel(tx: Tx, request: Asked, id: UUID, data: ConnectionChange) -> api.Raw:
    """Gives a shop another name."""
    await channel_routes.change(tx, request, id, data)
    return see(request, f"/settings/channels/{id}", "Saved.")


@pages.post("/settings/channels/{id:uuid}/rotate", of="channels.rotate")
async def rotate(tx: Tx, request: Asked, id: UUID, data: Rotation) -> api.Raw:
    """Gives a shop a new secret."""
    await channel_routes.rotate(tx, request, id, data)
    return see(request, f"/settings/channels/{id}", "The new secret is in use.")


@pages.post("/settings/channels/{id:uuid}/disconnect", of="channels.disconnect")
async def disconnect(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes nothing more from a shop."""
    await channel_routes.disconnect(tx, request, id)
    return see(request, "/settings/channels", "The shop is disconnected.")


# --- who is not written to -------------------------------------------------------------------------------------------


class SuppressionsAsked(msgspec.Struct, frozen=True, rename="camel"):
    """What the list of suppressions can be asked for."""

    cursor: str | None = None
    contact: str | None = None
    channel: ConsentChannel | None = None
    reason: SuppressionReason | None = None


@pages.get("/settings/suppressions", of="suppressions.search")
async def show_suppressions(db: Reader, request: Asked) -> api.Raw:
    """The contacts that are not written to."""
    given = asked(request, SuppressionsAsked)
    page = sql.page(suppressions.SORTS, limit=None, sort=None, cursor=given.cursor)
    found, following, total = await suppressions.search(
        db, page, contact=given.contact, channel=given.channel, reason=given.reason, count=True
    )
    return await section(
        request, db, "settings/suppressions.html", found=found, following=following, total=total, given=given
    )


@pages.post("/settings/suppressions", of="suppressions.create")
async def suppress(tx: Tx, request: Asked, data: NewSuppression) -> api.Raw:
    """Says that a contact is not to be written to."""
    found, added = await suppressions.create(tx, data)
    if not added:
        return see(request, "/settings/suppressions", "It was on the list already.")
    undo = f"/settings/suppressions/{found.id}/lift"
    return see(request, "/settings/suppressions", "This contact is not written to any more.", undo=undo)


@pages.post("/settings/suppressions/{id:uuid}/lift", of="suppressions.delete")
async def lift(tx: Tx, request: Asked, id: UUID) -> api.Raw:
    """Takes a contact off the list."""
    await suppressions.lift(tx, id)
    return see(request, back(request, "/settings/suppressions"), "It is off the list.")


# --- duplicates ------------------------------------------------------------------------------------------------------


class DuplicatesForm(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What happens by itself; what is not ticked does not."""

    automatic_merging: bool = False
    nightly_scan: bool = False


@pages.get("/settings/duplicates", of="duplicates.find_settings")
async def show_duplicates(db: Reader, request: Asked) -> api.Raw:
    """What happens by itself with customers that may be one person."""
    return await section(request, db, "settings/duplicates.html", settings=await pairs.settings(db))


@pages.post("/settings/duplicates", of="duplicates.change_settings")
async def change_duplicates(tx: Tx, request: Asked, data: DuplicatesForm) -> api.Raw:
    """Turns automatic merging and the nightly scan on or off."""
    change = SettingsChange(automatic_merging=data.automatic_merging, nightly_scan=data.nightly_scan)
    await duplicates.change_settings(tx, change)
    return see(request, "/settings/duplicates", "Saved.")
