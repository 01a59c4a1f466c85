# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""A chunk of a customer file is taken in: whose each row is, then everything in a handful of statements."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import polars as pl

from supover.addresses import bulk as addresses
from supover.channels.model import Contact
from supover.consent import commands as consent
from supover.consent.model import ConsentChannel, Entry
from supover.customers import bulk as customers
from supover.customers import custom_fields, erased, many
from supover.customers.contacts import HUB_CUSTOMERS
from supover.customers.custom_field_model import Definitions
from supover.customers.events import CustomersAdded
from supover.customers.model import Profile
from supover.imports import customer_trial
from supover.imports.customer_columns import Plan
from supover.imports.customer_model import CustomerImportOptions, ImportMatch
from supover.imports.customer_rules import Told
from supover.imports.customer_trial import SAMPLE, Added, Changes, Key, Trial
from supover.imports.events import CustomersImported
from supover.imports.model import Mistake
from supover.kit import ids
from supover.kit.db import Tx
from supover.kit.events import Event, publish
from supover.kit.problems import FieldError
from supover.notes import bulk as notes

SHOWN: Final = ("real", "relay")
"""Emails of these qualities stand in profiles."""
CONSENTS: Final[tuple[tuple[ConsentChannel, str, str], ...]] = (
    ("email", "email_marketing", "email"),
    ("sms", "sms_marketing", "phone"),
    ("whatsapp", "whatsapp_marketing", "phone"),
)
_PLACE: Final = ("line1", "line2", "city", "state", "postal_code")


class Chunk(msgspec.Struct, frozen=True):
    """Some rows of a file, checked: those that can be taken, and those that cannot with what is wrong.

    `doubtful` are of the first, with what of them nobody understands. `ids` are the new customers' to be, one a row, made in
    the file's order: an export by id has it again.
    """

    number: int
    frame: pl.DataFrame
    ids: Sequence[UUID]
    refused: Sequence[Told]
    doubtful: Sequence[Told]
    first_row: int
    last_row: int
    keys: frozenset[Key]

    @property
    def rows(self) -> int:
        """How many rows it has, refused ones too."""
        return self.frame.height + len(self.refused)


class Taken(msgspec.Struct, frozen=True):
    """What became of a chunk: created + updated + skipped + failed are its rows.

    `added` has what was added to customers who were there: addresses, contacts and notes; and of all the opt-ins. `changes` are
    what a trial shows.
    """

    created: Sequence[UUID]
    updated: int
    skipped: int
    refused: Sequence[Told]
    doubtful: Sequence[Told]
    consents_refused: int
    added: Mapping[str, Sequence[UUID]]
    changes: Changes


# --- whose a row is ------------------------------------------------------------------------------------------------------


def keys(frame: pl.DataFrame, match: ImportMatch | None) -> list[Key | None]:
    """What each row is known by: what was asked for where it says that, else its channel's id, else its email."""
    found: list[Key | None] = []
    columns = (frame[name].to_list() for name in ("id", "source", "shop", "external_id", "phone_key"))
    emails = _emails(frame)
    for id, source, shop, external, phone, email in zip(*columns, emails, strict=True):
        if id is not None:
            found.append(("id", id))
        elif match == "email" and email is not None:
            found.append(("email", email))
        elif match == "phone" and phone is not None:
            found.append(("phone", phone))
        elif external is not None:
            found.append(("channel", source, shop, external))
        elif email is not None:
            found.append(("email", email))
        else:
            found.append(None)
    return found


def handles(frame: pl.DataFrame, match: ImportMatch | None) -> frozenset[Key]:
    """Everything by which rows of this or another chunk may mean the same customers."""
    channels = frame.select("source", "shop", "external_id").rows()
    return frozenset(
        [
            *(key for key in keys(frame, match) if key is not None),
            *(("email", email) for email in _emails(frame) if email is not None),
            *(("channel", *channel) for channel in channels if channel[2] is not None),
        ]
    )


def _emails(frame: pl.DataFrame) -> list[str | None]:
    return frame.select(
        pl.when(pl.col("email_quality").is_in(SHOWN)).then(pl.col("email").str.to_lowercase()).alias("email")
    )["email"].to_list()


class _Whose(msgspec.Struct):
    """Whose the rows are, by their places in the chunk."""

    new: list[int] = []
    known: list[tuple[int, UUID]] = []
    skipped: list[int] = []
    wrong: dict[int, Sequence[FieldError]] = {}
    keeps_email_beside: dict[int, tuple[UUID, str | None]] = {}
    keeps_channel_beside: dict[int, tuple[UUID, str | None]] = {}
    made: dict[Key, UUID] = {}


def _whose(chunk: Chunk, told: Sequence[Key | None], holders: customers.Holders, seen: Mapping[Key, UUID]) -> _Whose:
    frame = chunk.frame
    found = _Whose()
    made = found.made
    emails_taken: dict[str, UUID] = {}
    channels_taken: dict[tuple[str, ...], UUID] = {}
    refused_rows = sorted(r.row for r in chunk.refused)
    names = frame["name"].to_list()
    channels = list(zip(*(frame[name].to_list() for name in ("source", "shop", "external_id")), strict=True))
    above: UUID | None = None
    row_above = 0
    for n, (row, command, key, email, is_more) in enumerate(
        zip(
            frame["row"].to_list(),
            frame["command"].to_list(),
            told,
            _emails(frame),
            frame["is_more"].to_list(),
            strict=True,
        )
    ):
        if command == "IGNORE":
            found.skipped.append(n)
            continue
        if is_more and key is None:
            between = bisect_left(refused_rows, row_above) < bisect_left(refused_rows, row)
            if above is None or between:
                found.wrong[n] = [FieldError("", "above", "the row above, whose address this is, was not taken")]
            else:
                found.known.append((n, above))
            row_above = row
            continue
        target = None if key is None else _holder(key, holders) or made.get(key) or seen.get(key)
        above, row_above = None, row
        if key is not None and key[0] == "id" and target is None:
            found.wrong[n] = [FieldError("id", "unknown", "no customer has this id")]
        elif target is not None:
            above = target
            if command == "NEW" and not is_more:
                found.skipped.append(n)
            else:
                found.known.append((n, target))
        elif command in ("UPDATE", "DELETE"):
            found.skipped.append(n)
        elif is_more:
            found.wrong[n] = [FieldError("", "above", "no row above says whose address this is")]
        else:
            above = chunk.ids[n]
            found.new.append(n)
            if key is not None:
                made[key] = above
            if email is not None:
                made.setdefault(("email", email), above)
                holder = holders.by_email.get(email)
                first = emails_taken.setdefault(email, above)
                if holder is not None or first != above:
                    found.keeps_email_beside[n] = holder or (first, names[n])
            if channels[n][2] is not None:
                made.setdefault(("channel", *channels[n]), above)
                other = holders.by_channel.get(channels[n])
                first = channels_taken.setdefault(channels[n], above)
                if other is not None or first != above:
                    found.keeps_channel_beside[n] = other or (first, names[n])
    return found


def _holder(key: Key, holders: customers.Holders) -> UUID | None:
    match key:
        case ("id", id):
            given = UUID(id)
            return given if given in holders.by_id else None
        case ("channel", source, shop, external):
            known = holders.by_channel.get((source, shop, external))
        case ("email", email):
            known = holders.by_email.get(email) or holders.by_contact.get(email)
        case (_, phone):
            known = holders.by_contact.get(phone)
        case _:
            known = None
    return None if known is None else known[0]


async def _look_up(tx: Tx, frame: pl.DataFrame, told: Sequence[Key | None]) -> customers.Holders:
    channels = frame.filter(pl.col("external_id").is_not_null()).select("source", "shop", "external_id")
    emails = [email for email in _emails(frame) if email is not None]
    asked = {key[1] for key in told if key is not None and key[0] == "email"}
    by_email = frame.filter(pl.col("email_key").is_not_null()).select("email_key", pl.col("email").str.to_lowercase())
    return await customers.look_up(
        tx,
        given=[UUID(key[1]) for key in told if key is not None and key[0] == "id"],
        channels=channels.rows(),
        emails=emails,
        email_keys=[key for key, email in by_email.iter_rows() if email in asked],
        phone_keys=[key[1] for key in told if key is not None and key[0] == "phone"],
    )


# --- taken ---------------------------------------------------------------------------------------------------------------

TRUST: Final = "select trust_references() from (select $1::uuid) as w"
CHECK: Final = "select check_references() from (select $1::uuid) as w"


async def take(
    tx: Tx,
    import_id: UUID,
    chunk: Chunk,
    plan: Plan,
    options: CustomerImportOptions,
    definitions: Definitions,
    *,
    trial: Trial | None = None,
) -> Taken:
    """Takes a chunk in; as a `trial` it finds out what would become of it, undoes that, and notes there whom it would make.

    Raises one of `kit.db.RACES` when somebody else was quicker, or the custom fields are others by now: read it again.
    """
    if trial is None:
        return (await _take(tx, import_id, chunk, plan, options, definitions, Trial(), is_trial=False))[0]
    async with tx.undone():
        taken, made = await _take(tx, import_id, chunk, plan, options, definitions, trial, is_trial=True)
    trial.keys |= made
    trial.ids.update(taken.created)
    trial.shown += await customer_trial.keep(tx, import_id, taken.changes)
    return taken


async def _take(
    tx: Tx,
    import_id: UUID,
    chunk: Chunk,
    plan: Plan,
    options: CustomerImportOptions,
    definitions: Definitions,
    before: Trial,
    *,
    is_trial: bool,
) -> tuple[Taken, Mapping[Key, UUID]]:
    """What became of the chunk, and by what its new customers are known. What a trial made `before` is in no table."""
    frame = chunk.frame
    told = keys(frame, options.match)
    holders = await _look_up(tx, frame, told)
    whose = _whose(chunk, told, holders, before.keys)
    await _without_the_erased(tx, chunk, whose)
    await _with_custom_fields(tx, chunk, whose, definitions)
    created = [chunk.ids[n] for n in whose.new]
    made = set(created)
    # New customers say nothing about a trial but what becomes of their consents, and a million of them would be much to undo.
    is_nobody = before.ids
    if is_trial and all(frame[column].null_count() == frame.height for _, column, _ in CONSENTS):
        is_nobody = is_nobody | made
    elif created:
        await _add(tx, chunk, whose, definitions)
    there = [(n, id) for n, id in whose.known if id not in is_nobody]
    wanted = [_wanted(row, id, plan) for (_, id), row in zip(there, _dicts(frame, [n for n, _ in there]), strict=True)]
    changed = await customers.change(
        tx, import_id, wanted, holders, definitions, made_here=made
    ) if wanted else customers.Changed((), (), ())  # fmt: skip
    is_other = {n: outcome.changed for (n, _), outcome in zip(there, changed.outcomes, strict=True)}
    for (n, _), outcome in zip(there, changed.outcomes, strict=True):
        if outcome.error is not None:
            whose.wrong[n] = [outcome.error]
    there = [(n, id) for n, id in there if n not in whose.wrong]
    # Our own export tells all that its customers have, the same place twice too.
    places = await _add_addresses(tx, frame, there, made if plan.preset == "supover" else set[UUID]())
    rows = [(n, chunk.ids[n]) for n in whose.new if chunk.ids[n] not in is_nobody] + there
    noted = [(id, note) for note, id in _told(frame["note"], rows)]
    await notes.add(tx, [one for one in noted if one[0] in made])
    written = await notes.add(tx, [one for one in noted if one[0] not in made])
    touched = {customer_id for _, customer_id in (*changed.contacts, *places, *written)}
    is_other |= {n: True for n, id in there if id in touched}
    consents = await _record_consents(tx, frame, rows, options, is_other)
    changes: Changes = {}
    if is_trial and before.shown < SAMPLE:
        others = dict.fromkeys(id for n, id in there if is_other.get(n) and id not in made)
        changes = await customer_trial.changes(
            tx,
            import_id,
            list(others)[: SAMPLE - before.shown],
            Added(changed.contacts, places, written, consents.said),
        )
    await _check_definitions(tx, definitions)
    known = [n for n, _ in whose.known if n not in whose.wrong]
    updated = sum(is_other.get(n, True) for n in known)
    if not is_trial and (created or updated):
        events: list[Event] = [
            CustomersImported(import_id=import_id, chunk=chunk.number, created=len(created), updated=updated)
        ]
        if created:
            events.append(CustomersAdded(customer_ids=created))
        await publish(tx, events)
    row_of = frame["row"]
    wrong = [
        Told(row_of[n], [Mistake(e.pointer, e.code, e.message) for e in errors])
        for n, errors in sorted(whose.wrong.items())
    ]
    passed = {row_of[n] for n in (*whose.wrong, *whose.skipped)} if chunk.doubtful else set[int]()
    added = {
        "identity": [id for id, _ in changed.contacts],
        "address": [id for id, customer_id in places if customer_id not in made],
        "note": [id for id, _ in written],
        "consent": consents.opt_ins,
    }
    taken = Taken(
        created,
        updated,
        len(whose.skipped) + len(known) - updated,
        [*chunk.refused, *wrong],
        [told for told in chunk.doubtful if told.row not in passed],
        consents.refused,
        {kind: found for kind, found in added.items() if found},
        changes,
    )
    return taken, whose.made


def _dicts(frame: pl.DataFrame, places: Sequence[int]) -> list[dict[str, Any]]:
    return frame[list(places)].to_dicts() if places else []


def _told(column: pl.Series, rows: Sequence[tuple[int, UUID]]) -> list[tuple[str, UUID]]:
    if column.null_count() == len(column):
        return []
    cells = column.to_list()
    return [(cells[n], id) for n, id in rows if cells[n] is not None]


async def _check_definitions(tx: Tx, definitions: Definitions) -> None:
    # Read behind what was written: whoever builds an index waits for those who began before.
    if (await custom_fields.definitions(tx)).stamp != definitions.stamp:
        raise asyncpg.SerializationError("the custom fields changed a moment ago")


async def _with_custom_fields(tx: Tx, chunk: Chunk, whose: _Whose, definitions: Definitions) -> None:
    """Refuses new customers who lack a required custom field, or have the unique value of somebody else."""
    required = [d for d in definitions.by_key.values() if d.is_required]
    unique = any(d.is_unique for d in definitions.by_key.values())
    if not (required or unique):
        return
    cells = chunk.frame["custom"].to_list()
    custom: dict[int, dict[str, Any]] = {n: msgspec.json.decode(cells[n]) if cells[n] else {} for n in whose.new}
    for n, values in custom.items():
        if lacking := [d for d in required if values.get(d.key) is None]:
            whose.wrong[n] = [FieldError(f"customFields.{d.key}", "required", "is required") for d in lacking]
    if unique:
        pairs: list[many.Pair] = []
        place = {chunk.ids[n]: n for n in whose.new}
        for n, values in custom.items():
            if values and n not in whose.wrong:
                nobody = many.Held(chunk.ids[n], Profile(source=""))
                pairs.append(
                    (nobody, msgspec.structs.replace(nobody, profile=Profile(source="", custom_fields=values)))
                )
        for id, clashes in (await many.clashes(tx, pairs, definitions)).items():
            whose.wrong[place[id]] = [FieldError(clash.field, clash.code, clash.message) for clash in clashes]
    if whose.wrong:
        _leave_out(chunk, whose, FieldError("", "above", "the row of the same customer above was not taken"))


def _leave_out(chunk: Chunk, whose: _Whose, why: FieldError) -> None:
    """Takes rows that are wrong out of the new ones, and with them what is said of the same customers below."""
    lost = {chunk.ids[n] for n in whose.new if n in whose.wrong}
    whose.new = [n for n in whose.new if n not in whose.wrong]
    for n, id in whose.known:
        if id in lost:
            whose.wrong[n] = [why]
    whose.known = [(n, id) for n, id in whose.known if id not in lost]


ERASED: Final = FieldError("", "erased", "the person was erased here, and does not come back by a file")


async def _without_the_erased(tx: Tx, chunk: Chunk, whose: _Whose) -> None:
    """Refuses new customers who bear a contact of somebody who was erased."""
    sealed = await erased.sealed(tx) if whose.new else None
    if sealed is None:
        return
    columns = ("source", "shop", "external_id", "email_key", "phone_key")
    rows = chunk.frame[whose.new].select(columns).rows()
    found: dict[int, list[erased.Handle]] = {}
    for n, (source, shop, external, email, phone) in zip(whose.new, rows, strict=True):
        channel = [] if external is None else [("channel", source or "", shop or "", external)]
        others = [(kind, "", "", key) for kind, key in (("email", email), ("phone", phone)) if key is not None]
        found[n] = [*channel, *others]
    gone = await erased.among(tx, sealed, (handle for each in found.values() for handle in each))
    if not gone:
        return
    for n, each in found.items():
        if any(handle in gone for handle in each):
            whose.wrong[n] = [ERASED]
    _leave_out(chunk, whose, ERASED)


# --- new customers -------------------------------------------------------------------------------------------------------


async def _add(tx: Tx, chunk: Chunk, whose: _Whose, definitions: Definitions) -> None:
    """Adds the customers of rows that nobody is known by, with their contacts and addresses."""
    new = chunk.frame[whose.new] if len(whose.new) < chunk.frame.height else chunk.frame
    count = new.height
    beside_email = [n in whose.keeps_email_beside for n in whose.new] if whose.keeps_email_beside else [False] * count
    beside_channel = (
        [n in whose.keeps_channel_beside for n in whose.new] if whose.keeps_channel_beside else [False] * count
    )
    made = [str(chunk.ids[n]) for n in whose.new]
    new = new.with_columns(
        pl.Series("customer_id", made),
        pl.Series("email_id", ids.texts(count)),
        pl.Series("phone_id", ids.texts(count)),
        pl.Series("channel_id", ids.texts(count)),
        pl.Series("address_id", ids.texts(count)),
        (pl.col("email_quality").is_in(SHOWN) & ~pl.Series("", beside_email)).alias("shows_email"),
        pl.Series("beside", beside_channel),
    )
    profiles = new.with_columns(
        pl.col("customer_id").alias("id"),
        pl.when("shows_email").then("email").alias("email"),
        pl.when(~pl.col("beside")).then("external_id").alias("external_id"),
        pl.col("custom").alias("custom_fields"),
    )
    nothing = pl.lit(None, pl.String)
    emails = new.filter(pl.col("email").is_not_null()).select(
        pl.col("email_id").alias("id"),
        "customer_id",
        pl.lit("email").alias("kind"),
        nothing.alias("source"),
        nothing.alias("shop"),
        pl.col("email").alias("value"),
        pl.col("email_key").alias("key"),
        pl.col("email_quality").alias("quality"),
        pl.when("shows_email").then(pl.lit("profile")).otherwise(pl.lit("import")).alias("matched_by"),
    )
    phones = new.filter(pl.col("phone").is_not_null()).select(
        pl.col("phone_id").alias("id"),
        "customer_id",
        pl.lit("phone").alias("kind"),
        nothing.alias("source"),
        nothing.alias("shop"),
        pl.col("phone").alias("value"),
        pl.col("phone_key").alias("key"),
        pl.col("phone_quality").alias("quality"),
        pl.lit("profile").alias("matched_by"),
    )
    channels = new.filter(pl.col("external_id").is_not_null() & ~pl.col("beside")).select(
        pl.col("channel_id").alias("id"),
        "customer_id",
        pl.lit("channel").alias("kind"),
        "source",
        "shop",
        pl.col("external_id").alias("value"),
        pl.col("external_id").alias("key"),
        pl.lit("real").alias("quality"),
        pl.lit("profile").alias("matched_by"),
    )
    places = _addresses(new.filter(pl.col("match_key").is_not_null()))
    # What these rows refer to is made here.
    is_trusted = await tx.value(TRUST)
    await customers.add(tx, profiles, pl.concat([emails, phones, channels]))
    if places.height:
        await addresses.add(tx, places)
    if is_trusted:
        await tx.value(CHECK)
    await customers.index(tx, definitions, [chunk.ids[n] for n in whose.new])
    await publish(tx, _suspicions(chunk, whose))


def _addresses(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        pl.col("address_id").alias("id"),
        "customer_id",
        pl.col("address_type").fill_null("BOTH").alias("type"),
        pl.col("is_default").fill_null(value=True),
        *_PLACE,
        pl.col("address_country").alias("country"),
        pl.coalesce("recipient_name", "name").alias("recipient_name"),
        pl.col("address_phone").alias("phone"),
        "match_key",
    )


def _suspicions(chunk: Chunk, whose: _Whose) -> list[Event]:
    """Pairs that share a contact. What more share than people do, such as a shop's own email, is said of a few."""
    names = chunk.frame["name"].to_list() if whose.keeps_email_beside or whose.keeps_channel_beside else []
    found: dict[frozenset[UUID], Event] = {}
    for n_holders, what in ((whose.keeps_email_beside, "email"), (whose.keeps_channel_beside, "buyer id")):
        sharing = Counter[UUID]()
        for n, (holder, name) in n_holders.items():
            sharing[holder] += 1
            if n not in whose.wrong and sharing[holder] <= HUB_CUSTOMERS:
                id = chunk.ids[n]
                found.setdefault(frozenset((id, holder)), customers.suspicion(id, names[n], holder, name, what))
    return list(found.values())


# --- customers who are there ---------------------------------------------------------------------------------------------

_FIELDS: Final = (
    ("name", "name"), ("phone", "phone"), ("gender", "gender"), ("status", "status"), ("country", "country"),
)  # fmt: skip
_EMPTIED: Final = (
    ("name", "name"), ("email", "email"), ("phone", "phone"), ("dateOfBirth", "date_of_birth"), ("gender", "gender"),
    ("country", "country"),
)  # fmt: skip
"""What an empty cell of a row that replaces empties, where the file has the column."""


def _wanted(row: Mapping[str, Any], id: UUID, plan: Plan) -> customers.Wanted:
    """What a row says of a customer who is there."""
    if row["command"] == "DELETE":
        return customers.Wanted(customer_id=id, deletes=True)
    if row["is_more"]:
        return customers.Wanted(customer_id=id)
    replaces = row["command"] == "REPLACE"
    values: dict[str, Any] = {}
    if replaces:
        values = {field: None for column, field in _EMPTIED if column in plan.places or column in plan.fixed}
        if plan.custom:
            values["custom_fields"] = dict.fromkeys(plan.custom)
    values |= {field: row[column] for column, field in _FIELDS if row[column] is not None}
    if row["email"] is not None and row["email_quality"] in SHOWN:
        values["email"] = row["email"]
    if row["external_id"] is not None and not row["shop"]:
        values["external_id"] = row["external_id"]
    if row["date_of_birth"] is not None:
        values["date_of_birth"] = date.fromisoformat(row["date_of_birth"])
    if row["custom"] is not None:
        values["custom_fields"] = {**values.get("custom_fields", {}), **msgspec.json.decode(row["custom"])}
    tags: list[str] | None = None if row["tags"] is None else str(row["tags"]).split(chr(31))
    if tags is None and replaces and "tags" in plan.places:
        tags = []
    return customers.Wanted(
        customer_id=id,
        values=values,
        tags=tags,
        tags_command=row["tags_command"] or "ADD",
        contact=Contact(
            source=row["source"],
            shop=row["shop"] or "",
            external_id=row["external_id"],
            email=row["email"],
            phone=row["phone"],
            country=row["country"],
        ),
    )


async def _add_addresses(
    tx: Tx, frame: pl.DataFrame, known: Sequence[tuple[int, UUID]], exact: set[UUID]
) -> list[tuple[UUID, UUID]]:
    """Adds the places that customers do not have: the id of each, and whose it is. Those who are `exact` get every one."""
    if not known or frame["match_key"].null_count() == frame.height:
        return []
    rows = frame[[n for n, _ in known]].with_columns(pl.Series("customer_id", [str(id) for _, id in known]))
    rows = rows.filter(pl.col("match_key").is_not_null() & (pl.col("command") != "DELETE"))
    anyway = pl.col("is_more") & pl.col("customer_id").is_in([str(id) for id in exact])
    rows = rows.with_columns(anyway=anyway).filter(
        pl.col("anyway") | pl.struct("customer_id", "match_key").is_first_distinct()
    )
    if not rows.height:
        return []
    # Whose name is not said here is that of the customer.
    places = _addresses(
        rows.with_columns(pl.Series("address_id", ids.texts(rows.height)), name=pl.lit(None, pl.String))
    )
    return await addresses.add_new(tx, places, rows["anyway"].arg_true().to_list())


class _Consents(msgspec.Struct, frozen=True):
    """How many opt-ins were not believed, the entries of those that were, and what of it is new of those who were there."""

    refused: int
    opt_ins: Sequence[UUID]
    said: Mapping[UUID, Mapping[str, str]]


async def _record_consents(
    tx: Tx,
    frame: pl.DataFrame,
    rows: Sequence[tuple[int, UUID]],
    options: CustomerImportOptions,
    is_other: dict[int, bool],
) -> _Consents:
    """Records what the rows say of consent."""
    entries: list[Entry] = []
    places: list[int] = []
    for channel, column, contact in CONSENTS:
        if frame[column].null_count() == frame.height:
            continue
        cells, contacts = frame[column].to_list(), frame[contact].to_list()
        for n, id in rows:
            if cells[n] is not None:
                entries.append(
                    Entry(
                        customer_id=id,
                        channel=channel,
                        topic="marketing",
                        state=cells[n],
                        source=f"import:{options.source or 'file'}",
                        contact=contacts[n],
                    )
                )
                places.append(n)
    recorded = await consent.record(tx, entries, options.consents)
    said: dict[UUID, dict[str, str]] = {}
    for n, entry, one in zip(places, entries, recorded, strict=True):
        if one.outcome == "recorded" and n in is_other:
            is_other[n] = True
            said.setdefault(entry.customer_id, {})[customer_trial.CONSENTS[entry.channel]] = one.state
    believed = [
        one.entry_id
        for entry, one in zip(entries, recorded, strict=True)
        if entry.state == "SUBSCRIBED" and one.entry_id is not None
    ]
    return _Consents(sum(one.outcome == "refused" for one in recorded), believed, said)
