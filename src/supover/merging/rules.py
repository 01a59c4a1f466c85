"""Which value the survivor of a merge has of each field, and what becomes of each table's rows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from supover.customers import rules as profiles
from supover.customers.absorbing import Dress, Party
from supover.customers.many import CUSTOM, Held
from supover.customers.model import CustomerChange, Profile, Status
from supover.kit.problems import FieldError, Invalid
from supover.merging.model import MAX_DUPLICATES, Alternative, Blocker, ChosenValue, FieldChoice

# --- what becomes of rows ------------------------------------------------------------------------------------------------

MOVES: Final = "moves to the survivor, and back when the merge is undone"
STAYS: Final = "stays with the tombstone, which leads to the survivor"
COUNTED: Final = "is recounted for all of them"

TABLES: Final[Mapping[str, str]] = {
    "address.customer_id": f"{MOVES}; a place that the survivor has already is kept as one and put back by the undo",
    "bulk_chunk.customer_ids": f"{STAYS}: who was meant is a fact; an undo of the action tells of who was merged",
    "bulk_result.customer_id": f"{STAYS}: what became of an action's row is a fact",
    "communication_preference.customer_id": f"{STAYS}; what the survivor has not set it gets from there",
    "consent.customer_id": f"{STAYS}; the survivor's is recounted from its own ledger, which is told what all amount to",
    "consent_entry.customer_id": f"{STAYS}: the ledger is only ever added to; the survivor's history shows it",
    "custom_field_value.customer_id": "made anew from the survivor's custom fields; tombstones hold no unique value",
    "customer.merged_into_id": "whoever was merged before is led to the last survivor at once",
    "customer_day.customer_id": f"the days of their orders: {COUNTED}",
    "customer_identity.customer_id": f"{MOVES}; the same spelling of the same contact is kept once and put back by the undo",
    "customer_journal.customer_id": f"{STAYS}: undoing an import or a bulk action tells of who was merged, and leaves them",
    "customer_merge.duplicate_ids": "names who was merged, for ever",
    "customer_merge.primary_id": "names into whom, for ever",
    "customer_merge_row.former_id": "names whose each row was, for the undo",
    "customer_metrics.customer_id": COUNTED,
    "customer_note.customer_id": MOVES,
    "customer_rfm.customer_id": "tombstones have no scores; the survivor is scored anew",
    "customer_prediction.customer_id": "of who was merged nothing is predicted; the survivor is scored anew in the night",
    "customer_stale.customer_id": f"each of them is marked: {COUNTED}",
    "duplicate_pair.a_id": "the room of duplicates settles the pair of the two and hands on the others",
    "duplicate_pair.b_id": "as a_id",
    "duplicate_profile.customer_id": f"{STAYS}: what the last scan compared; tombstones are compared with nobody",
    "bulk_chunk.first_id": "the first of a chunk's range of ids, a fact",
    "duplicate_due.first_id": "the first of a range of ids that somebody is to look at",
    "duplicate_due.last_id": "the last of a range of ids that somebody is to look at",
    "erased_contact.customer_id": "names whose row an erased person's orders hang on; nobody erased is merged",
    "event_log.customer_id": f"{STAYS}: the log is only ever added to; the survivor's timeline shows it",
    "import_change.customer_id": f"{STAYS}: whom a trial would have changed is a fact",
    "import_chunk.created_ids": f"{STAYS}: who was made is a fact; taking the file back tells of who was merged",
    "import_chunk.first_id": "the first of a chunk's range of ids, a fact",
    "import_chunk.last_id": "the last of a chunk's range of ids, a fact",
    "inbox_message.customer_id": f"{STAYS}: whom a message led to is a fact",
    "order.customer_id": f"{MOVES}; each with a decision that says why",
    "order_decision.customer_id": f"{STAYS}: why an order was mapped is a fact; the newest names the survivor",
    "privacy_request.customer_id": f"{STAYS}; one that is pending stands in the way of merging",
    "segment_member.customer_id": f"each of them is marked, and {COUNTED}",
    "segment_pick.customer_id": f"{MOVES}; who is in a group already stays once",
    "segment_stale.customer_id": "each of them is marked",
    "web_recent.customer_id": f"{STAYS}: who was looked at; tombstones are not shown",
}
"""What a merge does with every column that names customers. A test holds it against the catalog: one that is not here fails."""

KINDS: Final[Mapping[str, str]] = {
    "order": "orders",
    "address": "addresses",
    "customer_note": "notes",
    "customer_identity": "identities",
    "segment_pick": "groups",
    "consent_entry": "consents",
    "communication_preference": "preferences",
    "tombstone": "mergedBefore",
    "customer": "customers",
    "order/since": "ordersSince",
    "consent_entry/since": "consents",
    "customer/lacking": "customers",
}
"""How rows that a merge was about are called in answers."""

# --- who can be merged ---------------------------------------------------------------------------------------------------


def asked(primary_id: UUID, duplicate_ids: Sequence[UUID]) -> None:
    """Makes sure that these can be a merge at all. Raises Invalid naming each that is wrong."""
    errors: list[FieldError] = []
    if not duplicate_ids:
        errors.append(FieldError("/duplicateIds", "required", "names at least one customer"))
    if len(duplicate_ids) > MAX_DUPLICATES:
        errors.append(FieldError("/duplicateIds", "length", f"can name at most {MAX_DUPLICATES} customers at once"))
    seen: set[UUID] = set()
    for n, id in enumerate(duplicate_ids[: MAX_DUPLICATES + 1]):
        if id == primary_id:
            errors.append(FieldError(f"/duplicateIds/{n}", "primary", "is the primary itself"))
        elif id in seen:
            errors.append(FieldError(f"/duplicateIds/{n}", "repeated", "is named twice"))
        seen.add(id)
    if errors:
        raise Invalid(errors)


_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


def best_first(others: Sequence[Party]) -> list[Party]:
    """Those from whom the primary's blanks are filled, in order: who ordered last, then who is known longest, then by id."""
    return sorted(
        others,
        key=lambda p: (-((p.last_order_at or _NEVER) - _NEVER).total_seconds(), p.created_at, p.id),
    )


# --- the survivor --------------------------------------------------------------------------------------------------------

SIMPLE: Final[Mapping[str, str]] = {
    "email": "email",
    "name": "name",
    "phone": "phone",
    "dateOfBirth": "date_of_birth",
    "gender": "gender",
    "country": "country",
}
CHOSEN: Final = (*SIMPLE, "externalId", "status", "avatarUrl", "tags")
_RANK: Final[Mapping[str, int]] = {"INACTIVE": 0, "ACTIVE": 1, "VIP": 2}


class Plan(msgspec.Struct, frozen=True):
    """What the primary becomes: `fields` says of each field why; `blockers` are mended by choosing otherwise."""

    new: Held
    dress: Dress
    fields: Mapping[str, ChosenValue]
    blockers: Sequence[Blocker]


def plan(primary: Party, others: Sequence[Party], choices: Mapping[str, FieldChoice], today: date) -> Plan:
    """What the primary becomes who takes the others in; those are `best_first`.

    Its own value counts; where it has none, that of the first who has one. Tags are all of theirs, custom fields key by key. Who
    is blocked stays blocked; else the highest of VIP, ACTIVE and INACTIVE. It is known since the first of them is. Raises Invalid
    for choices that cannot be.
    """
    everybody = [primary, *others]
    by_id = {party.id: party for party in everybody}
    told = _told(choices, by_id, today)
    fields: dict[str, ChosenValue] = {}
    values: dict[str, Any] = {}
    for name, field in SIMPLE.items():
        having = [(p, v) for p in everybody if (v := getattr(p.held.profile, field)) is not None]
        party, values[field] = _pick(name, having, told, by_id, lambda p, f=field: getattr(p.held.profile, f))
        fields[name] = _shown(values[field], party, having)
    values |= _phone(fields, values, by_id, primary)
    fields["phone"] = msgspec.structs.replace(fields["phone"], value=values["phone"])
    values |= _external(everybody, told, by_id, fields)
    status, before = _status(everybody, told, by_id, fields)
    values["status"] = status
    values["tags"] = _tags(everybody, told, by_id, fields)
    values["custom_fields"] = _custom(everybody, told, by_id, fields)
    profile = msgspec.structs.replace(primary.held.profile, **values)
    if "phone" in told and not isinstance(told["phone"], _Of):
        profile = profiles.with_phone(profile)
    dress = _dress(primary, everybody, told, by_id, fields)
    new = msgspec.structs.replace(primary.held, profile=profile, status_before_block=before)
    return Plan(new, dress, fields, _blockers(profile))


def _pick(
    name: str,
    having: Sequence[tuple[Party, Any]],
    told: Mapping[str, Any],
    by_id: Mapping[UUID, Party],
    read: Callable[[Party], Any],
) -> tuple[Party | None, Any]:
    """Whose value a field has, and which: as chosen, or the first that there is."""
    chosen = told.get(name, UNSET)
    if isinstance(chosen, _Of):
        party = by_id[chosen.customer_id]
        return party, read(party)
    if chosen is not UNSET:
        return None, chosen
    return having[0] if having else (None, None)


def _shown(value: Any, party: Party | None, having: Sequence[tuple[Party, Any]]) -> ChosenValue:
    others = [Alternative(p.id, v) for p, v in having if v != value]
    return ChosenValue(value, None if party is None else party.id, others)


class _Of(msgspec.Struct, frozen=True):
    """The value of this customer was chosen."""

    customer_id: UUID


def _told(choices: Mapping[str, FieldChoice], by_id: Mapping[UUID, Party], today: date) -> dict[str, Any]:
    """What was chosen by field: `_Of` a customer, or the value as profiles keep it. Raises Invalid."""
    told: dict[str, Any] = {}
    given: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, choice in choices.items():
        pointer = f"/fields/{name}"
        if name not in CHOSEN and not (name.startswith(CUSTOM) and len(name) > len(CUSTOM)):
            errors.append(
                FieldError(pointer, "unknown", f"is no field: choose among {', '.join(CHOSEN)} and {CUSTOM}KEY")
            )
        elif (choice.customer_id is UNSET) == (choice.value is UNSET):
            errors.append(FieldError(pointer, "required", "needs either customerId or value"))
        elif choice.customer_id is not UNSET:
            if choice.customer_id not in by_id:
                errors.append(FieldError(f"{pointer}/customerId", "unknown", "is none of those who are merged"))
            else:
                told[name] = _Of(choice.customer_id)
        elif name.startswith(CUSTOM):
            told[name] = choice.value
        elif name == "avatarUrl" and choice.value is not None:
            errors.append(FieldError(f"{pointer}/value", "choice", "can be null, or one of theirs by customerId"))
        elif name in ("status", "tags") and choice.value is None:
            errors.append(FieldError(f"{pointer}/value", "required", "cannot be null"))
        else:
            given[name] = choice.value
    for name, value in given.items():
        try:
            told[name] = _kept(name, value, today)
        except Invalid as wrong:
            errors += [FieldError(f"/fields/{name}/value", one.code, one.message) for one in wrong.errors]
    if errors:
        raise Invalid(errors)
    return told


def _kept(name: str, value: Any, today: date) -> Any:
    """A value that was told, as profiles keep it. Raises Invalid."""
    if name == "avatarUrl":
        return None
    try:
        change = msgspec.convert({name: value}, CustomerChange)
    except msgspec.ValidationError as error:
        what = str(error).partition(" - at `")[0]
        raise Invalid.at("", "type", f"{what[:1].lower()}{what[1:]}") from None
    field = next(f.name for f in msgspec.structs.fields(CustomerChange) if f.encode_name == name)
    return profiles.checked({field: getattr(change, field)}, today)[field]


def _phone(
    fields: Mapping[str, ChosenValue], values: Mapping[str, Any], by_id: Mapping[UUID, Party], primary: Party
) -> dict[str, Any]:
    """The phone with its E.164 form. One that is written as within another country is written out, or it would lead nowhere."""
    owner = by_id.get(fields["phone"].customer_id or primary.id, primary)
    e164 = owner.held.profile.phone_e164 if fields["phone"].customer_id is not None else None
    phone = values["phone"]
    if e164 is not None and values["country"] != owner.held.profile.country and owner is not primary:
        phone = e164
    return {"phone": phone, "phone_e164": e164 if phone is not None else None}


def _external(
    everybody: Sequence[Party], told: Mapping[str, Any], by_id: Mapping[UUID, Party], fields: dict[str, ChosenValue]
) -> dict[str, Any]:
    """The channel's id, with its source: the primary's, or that of another from the same source."""
    primary = everybody[0]
    having = [(p, p.held.profile.external_id) for p in everybody if p.held.profile.external_id is not None]
    chosen = told.get("externalId", UNSET)
    source, party, value = primary.held.profile.source, None, None
    if isinstance(chosen, _Of):
        party = by_id[chosen.customer_id]
        source, value = party.held.profile.source, party.held.profile.external_id
    elif chosen is not UNSET:
        value = chosen
    else:
        party = next((p for p, _ in having if p.held.profile.source == source), None)
        value = None if party is None else party.held.profile.external_id
    fields["externalId"] = _shown(value, party, having)
    return {"source": source, "external_id": value}


def _status(
    everybody: Sequence[Party], told: Mapping[str, Any], by_id: Mapping[UUID, Party], fields: dict[str, ChosenValue]
) -> tuple[Status, Status | None]:
    """The status, and what unblocking leads back to."""
    having = [(p, p.held.profile.status) for p in everybody]
    unblocked: list[tuple[Party, Status]] = [(p, _unblocked(p.held)) for p in everybody]
    highest, rank = max(unblocked, key=lambda one: _RANK[one[1]])
    blocked = next((p for p, s in having if s == "BLOCKED"), None)
    chosen = told.get("status", UNSET)
    party: Party | None
    status: Status
    if isinstance(chosen, _Of):
        party = by_id[chosen.customer_id]
        status = party.held.profile.status
    elif chosen is not UNSET:
        party, status = None, chosen
    elif blocked is not None:
        party, status = blocked, "BLOCKED"
    else:
        party, status = highest, rank
    fields["status"] = _shown(status, party, having)
    return status, rank if status == "BLOCKED" else None


def _unblocked(held: Held) -> Status:
    if held.profile.status == "BLOCKED":
        return held.status_before_block or "ACTIVE"
    return held.profile.status


def _tags(
    everybody: Sequence[Party], told: Mapping[str, Any], by_id: Mapping[UUID, Party], fields: dict[str, ChosenValue]
) -> list[str]:
    having = [(p, list(p.held.profile.tags)) for p in everybody if p.held.profile.tags]
    chosen = told.get("tags", UNSET)
    party = None
    if isinstance(chosen, _Of):
        party = by_id[chosen.customer_id]
        tags = list(party.held.profile.tags)
    elif chosen is not UNSET:
        tags = list(chosen)
    else:
        tags = profiles.distinct(tag for _, theirs in having for tag in theirs)
        party = having[0][0] if len(having) == 1 else None
    fields["tags"] = _shown(tags, party, having)
    return tags


def _custom(
    everybody: Sequence[Party], told: Mapping[str, Any], by_id: Mapping[UUID, Party], fields: dict[str, ChosenValue]
) -> dict[str, Any]:
    keys = dict.fromkeys(key for p in everybody for key in p.held.profile.custom_fields)
    keys |= dict.fromkeys(name.removeprefix(CUSTOM) for name in told if name.startswith(CUSTOM))
    custom: dict[str, Any] = {}
    for key in keys:
        name = CUSTOM + key
        having = [(p, p.held.profile.custom_fields[key]) for p in everybody if key in p.held.profile.custom_fields]
        party, value = _pick(name, having, told, by_id, lambda p, k=key: p.held.profile.custom_fields.get(k))
        is_there = value is not None or (name not in told and bool(having))
        if is_there:
            custom[key] = value
        fields[name] = _shown(value, party, having)
    return custom


def _dress(
    primary: Party,
    everybody: Sequence[Party],
    told: Mapping[str, Any],
    by_id: Mapping[UUID, Party],
    fields: dict[str, ChosenValue],
) -> Dress:
    oldest = min(everybody, key=lambda p: (p.created_at, p is not primary))
    fields["createdAt"] = ChosenValue(oldest.created_at, oldest.id)
    having = [(p, p.avatar_key) for p in everybody if p.avatar_key is not None]
    party, avatar_key = _pick("avatarUrl", having, told, by_id, lambda p: p.avatar_key)
    others = [Alternative(p.id, avatar_url(p.id)) for p, key in having if key != avatar_key]
    shown = avatar_url(primary.id) if avatar_key is not None else None
    fields["avatarUrl"] = ChosenValue(shown, None if party is None else party.id, others)
    return Dress(oldest.created_at, avatar_key)


def avatar_url(customer_id: UUID) -> str:
    """Where a customer's picture is shown."""
    return f"/api/customers/{customer_id}/avatar"


def _blockers(profile: Profile) -> list[Blocker]:
    found: list[Blocker] = []
    if len(profile.tags) > profiles.MAX_TAGS:
        why = f"Together they have {len(profile.tags)} tags; {profiles.MAX_TAGS} are the most. Choose by fields.tags."
        found.append(Blocker("too_many_tags", why, field="tags", is_soft=True))
    size = len(msgspec.json.encode(profile.custom_fields))
    if size > profiles.CUSTOM_FIELDS_BYTES:
        why = f"Together their custom fields take {size} bytes of JSON; {profiles.CUSTOM_FIELDS_BYTES} are the most."
        found.append(Blocker("custom_fields_too_large", why, field="customFields", is_soft=True))
    if not profile.is_somebody:
        why = "Nothing would say who this is: choose an email, phone, name or externalId."
        found.append(Blocker("nobody", why, field="name", is_soft=True))
    return found
