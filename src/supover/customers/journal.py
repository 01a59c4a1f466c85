"""The journal: what a great act, an import or a bulk action, did to profiles, so that it can be undone.

One row of `customer_journal` an act and customer. An act has a UUID of version 7, made when it begins; its rows are forgotten
`KEPT` after that. `changes` is a JSON object, field → [old, new], of what the act changed and nothing else:

    source, externalId, email, name, phone, gender, status, country   texts or null
    dateOfBirth           a text such as "2026-01-31", or null: to_jsonb(date)
    tags                  both lists whole, in their order: to_jsonb(text[]), never null
    customFields.KEY      one a key; any JSON; null where the customer has no such key
    deletedAt             RFC 3339 with an offset, or null: to_jsonb(timestamptz). [null, at] was deleted, [at, null] restored
    statusBeforeBlock     beside status, where it changed: texts or null
    phoneE164             beside phone or country, where it changed: texts or null

In SQL: `jsonb_strip_nulls` must not be used, as null has a meaning. A customer whom the act created has no row: who made it
knows how to unmake it. Should one act change a customer twice, its second row must be joined to the first: see `ADD`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.customers import custom_field_rules, many, rules
from supover.customers.many import CUSTOM, Held, Pair
from supover.customers.model import Profile
from supover.kit import ids
from supover.kit.db import Reader, Tx, json_bytes

KEPT: Final = timedelta(days=30)
"""So long after it began an act can be undone."""
_PLAIN: Final = {
    "source": "source",
    "externalId": "external_id",
    "email": "email",
    "name": "name",
    "phone": "phone",
    "dateOfBirth": "date_of_birth",
    "gender": "gender",
    "country": "country",
}
_SOMEBODY: Final = frozenset({"externalId", "email", "name", "phone"})

Changes = Mapping[str, Any]


class Kept(msgspec.Struct, frozen=True, rename="camel"):
    """A customer of whom undoing left fields as they are, by their names in the journal; all where it was merged."""

    customer_id: UUID
    fields: Sequence[str]
    merged_into_id: UUID | None = None


class Undone(msgspec.Struct, frozen=True):
    """How many customers a batch went through, how many of them are another now, and what it kept; `left`: there are more."""

    done: int
    changed: int
    kept: Sequence[Kept]
    left: bool


# --- pure: what an act did, and what undoing it leaves -------------------------------------------------------------------


def changes_of(old: Held, new: Held) -> dict[str, Any]:
    """What an act that makes of a customer another one writes into the journal; empty where nothing differs."""
    was, now = old.profile, new.profile
    found: dict[str, Any] = {}
    for name, field in _PLAIN.items():
        if getattr(was, field) != getattr(now, field):
            found[name] = [_plain(was, field), _plain(now, field)]
    if was.status != now.status:
        found["status"] = [was.status, now.status]
    if list(was.tags) != list(now.tags):
        found["tags"] = [list(was.tags), list(now.tags)]
    if was.custom_fields is not now.custom_fields:
        for key in custom_field_rules.changed(was.custom_fields, now.custom_fields):
            found[CUSTOM + key] = [was.custom_fields.get(key), now.custom_fields.get(key)]
    if old.deleted_at != new.deleted_at:
        found["deletedAt"] = [old.deleted_at, new.deleted_at]
    if old.status_before_block != new.status_before_block:
        found["statusBeforeBlock"] = [old.status_before_block, new.status_before_block]
    if was.phone_e164 != now.phone_e164:
        found["phoneE164"] = [was.phone_e164, now.phone_e164]
    return found


def undone(now: Held, changes: Changes) -> tuple[Held, list[str]]:
    """The customer with every field set back that is still as the act left it, and the fields that others changed since.

    Of tags what the act added goes and what it removed comes back, whatever else others did to them.
    """
    if now.merged_into_id is not None:
        return now, sorted(_shown(changes))
    fields: dict[str, Any] = {}
    kept: list[str] = []
    custom = dict(now.profile.custom_fields)
    for name, (old, new) in changes.items():
        if name in _PLAIN:
            is_ours, is_as_before = _still(_plain(now.profile, _PLAIN[name]), old, new)
            if is_ours:
                fields[_PLAIN[name]] = _parsed(name, old)
            elif not is_as_before:
                kept.append(name)
        elif name.startswith(CUSTOM):
            key = name.removeprefix(CUSTOM)
            is_ours, is_as_before = _still(custom.get(key), old, new)
            if not is_ours:
                kept += [] if is_as_before else [name]
            elif old is None:
                custom.pop(key, None)
            else:
                custom[key] = old
        elif name == "tags":
            fields["tags"] = _untouched(now.profile.tags, old, new)
            if len(fields["tags"]) > rules.MAX_TAGS:
                del fields["tags"]
                kept.append(name)
    if custom_field_rules.changed(now.profile.custom_fields, custom):
        fields["custom_fields"] = custom
    before = now.status_before_block
    old, new = changes.get("status", (now.profile.status, now.profile.status))
    was_before, is_before = changes.get("statusBeforeBlock", (before, before))
    if old == new and was_before == is_before:
        pass
    elif (now.profile.status, before) == (new, is_before):
        fields["status"], before = old, was_before if old == "BLOCKED" else None
    elif now.profile.status != old:
        kept.append("status")
    back = msgspec.structs.replace(now, profile=_with_phone(now.profile, fields, changes), status_before_block=before)
    back, kept_too = _living(back, changes)
    kept += kept_too
    if not back.profile.is_somebody:
        return without(now, back, _SOMEBODY), sorted({*kept, *(_SOMEBODY & changes.keys())})
    return back, sorted(kept)


def without(old: Held, new: Held, names: Iterable[str]) -> Held:
    """What a customer is to be, but for these fields, which stay as they are."""
    fields: dict[str, Any] = {}
    custom = dict(new.profile.custom_fields)
    deleted_at = new.deleted_at
    for name in names:
        if name.startswith(CUSTOM):
            key = name.removeprefix(CUSTOM)
            custom.pop(key, None)
            if key in old.profile.custom_fields:
                custom[key] = old.profile.custom_fields[key]
            fields["custom_fields"] = custom
        elif name == "deletedAt":
            deleted_at = old.deleted_at
        elif name in _PLAIN:
            fields[_PLAIN[name]] = getattr(old.profile, _PLAIN[name])
            if name in ("phone", "country"):
                fields["phone_e164"] = None
    profile = msgspec.structs.replace(new.profile, **fields)
    if "phone_e164" in fields:
        same = (profile.phone, profile.country) == (old.profile.phone, old.profile.country)
        profile = (
            msgspec.structs.replace(profile, phone_e164=old.profile.phone_e164) if same else rules.with_phone(profile)
        )
    return msgspec.structs.replace(new, profile=profile, deleted_at=deleted_at)


def _living(now: Held, changes: Changes) -> tuple[Held, list[str]]:
    """Whether the customer is deleted then, and what is kept of that."""
    if "deletedAt" not in changes:
        return now, []
    old, new = (None if at is None else datetime.fromisoformat(at) for at in map(_text, changes["deletedAt"]))
    if (old is None) == (now.deleted_at is None):
        return now, []
    return (now, ["deletedAt"]) if now.deleted_at != new else (msgspec.structs.replace(now, deleted_at=old), [])


def _still(now: object, old: object, new: object) -> tuple[bool, bool]:
    """Whether a value is still the act's, and whether it is the one from before it anyway."""
    return _equal(now, new), _equal(now, old)


def _equal(one: object, other: object) -> bool:
    return not custom_field_rules.changed({"": one}, {"": other})


def _plain(profile: Profile, field: str) -> str | None:
    value = getattr(profile, field)
    return value.isoformat() if field == "date_of_birth" and value is not None else value


def _parsed(name: str, value: Any) -> Any:
    return date.fromisoformat(value) if name == "dateOfBirth" and value is not None else value


def _text(at: object) -> str | None:
    return at.isoformat() if isinstance(at, datetime) else None if at is None else str(at)


def _untouched(now: Sequence[str], old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Tags without what an act did to them; just as they were, where nobody else did anything."""
    if list(now) == list(new):
        return list(old)
    left = rules.without(now, rules.without(new, old))
    return [*left, *rules.without(rules.without(old, new), left)]


def _with_phone(now: Profile, fields: Mapping[str, Any], changes: Changes) -> Profile:
    """The profile with these fields; its E.164 form as it was where the phone and the country are."""
    back = msgspec.structs.replace(now, **fields)
    if not fields.keys() & {"phone", "country"}:
        return back
    is_as_before = all(getattr(back, field) == changes[field][0] for field in ("phone", "country") if field in changes)
    old, new = changes.get("phoneE164", (now.phone_e164, now.phone_e164))
    if is_as_before and now.phone_e164 == new:
        return msgspec.structs.replace(back, phone_e164=old)
    return rules.with_phone(back)


def _shown(changes: Changes) -> set[str]:
    return set(changes) - {"statusBeforeBlock", "phoneE164"}


# --- written -------------------------------------------------------------------------------------------------------------

# An act that comes to a customer again changed it from what it was at first to what it is now.
ADD: Final = """
    insert into customer_journal as j (workspace_id, act_id, customer_id, changes)
    select $1, $2, n.customer_id, n.changes
      from unnest($3::uuid[], $4::jsonb[]) as n (customer_id, changes)
        on conflict (workspace_id, act_id, customer_id) do update
       set changes = j.changes || (select jsonb_object_agg(e.key, case when j.changes ? e.key
                                                                       then jsonb_set(e.value, '{0}', j.changes -> e.key -> 0)
                                                                       else e.value end)
                                     from jsonb_each(excluded.changes) as e (key, value))"""


async def keep(tx: Tx, act_id: UUID, pairs: Sequence[Pair]) -> int:
    """Writes down what an act makes of customers; those whom it leaves as they are have no row. Returns how many rows."""
    rows = [(new.id, json_bytes(changes)) for old, new in pairs if (changes := changes_of(old, new))]
    await tx.many(ADD, rows, act_id)
    return len(rows)


# --- undone --------------------------------------------------------------------------------------------------------------

NEXT: Final = """
    select j.customer_id, j.changes
      from customer_journal j
     where j.workspace_id = $1 and j.act_id = $2 and j.undone_at is null
     order by j.customer_id
     limit $3
       for no key update"""
IS_ANY_LEFT: Final = """
    select exists (select 1 from customer_journal j where j.workspace_id = $1 and j.act_id = $2 and j.undone_at is null)"""
MARK: Final = """
    update customer_journal j set undone_at = now(), kept = n.kept
      from unnest($3::uuid[], $4::jsonb[]) as n (customer_id, kept)
     where j.workspace_id = $1 and j.act_id = $2 and j.customer_id = n.customer_id"""
_TAKES_CONTACTS: Final = frozenset({"source", "externalId", "email", "phone", "country", "deletedAt"})


async def undo(tx: Tx, act_id: UUID, limit: int) -> Undone:
    """Undoes the next customers of an act, up to `limit` of them; called until nothing is `left`.

    A field goes back where it is still as the act left it. What others changed since stays, and so does what somebody else has
    by now (an email, a channel's id, a unique value), and all of a customer who was merged: each is told in `kept`, and
    stands in the journal. Publishes what an edit by a person publishes. Idempotent: who is undone is not looked at again.
    Raises one of `kit.db.RACES` when another was quicker.
    """
    rows: dict[UUID, Changes] = dict(await tx.rows(NEXT, act_id, limit))  # pyright: ignore[reportAssignmentType,reportArgumentType]
    if not rows:
        return Undone(0, 0, (), left=False)
    contacts_too = any(not _TAKES_CONTACTS.isdisjoint(changes) for changes in rows.values())
    held = await many.hold(tx, list(rows), contacts_too=contacts_too)
    definitions = await many.known_definitions(tx)
    kept: dict[UUID, list[str]] = {}
    pairs: list[Pair] = []
    for old in held:
        new, kept[old.id] = undone(old, rows[old.id])
        pairs.append((old, new))
    clashes = await many.clashes(tx, pairs, definitions)
    settled = [(old, _settled(old, new, clashes.get(old.id, ()), kept)) for old, new in pairs]
    await many.store(tx, settled, definitions)
    await tx.many(MARK, [(id, json_bytes(names) if names else None) for id, names in kept.items()], act_id)
    told = [Kept(old.id, tuple(kept[old.id]), old.merged_into_id) for old in held if kept[old.id]]
    changed = sum(bool(many.changed_fields(old, new)) for old, new in settled)
    left = len(rows) == limit and await tx.value(IS_ANY_LEFT, act_id)
    return Undone(len(rows), changed, told, left=left)


def _settled(old: Held, new: Held, clashes: Sequence[many.Clash], kept: dict[UUID, list[str]]) -> Held:
    """What a customer can be, given what stands in the way; what stays as it is for that is noted in `kept`."""
    if not clashes:
        return new
    names = {clash.field for clash in clashes}
    if old.deleted_at is not None:
        # Who cannot come back stays away, with the rest set back.
        names = {"deletedAt"}
    elif "externalId" in names:
        names.add("source")
    left = without(old, new, names)
    if not left.profile.is_somebody:
        names |= _SOMEBODY
        left = without(old, new, names)
    kept[old.id] = sorted({*kept[old.id], *(names & (set(changes_of(old, new)) | {"deletedAt"}))})
    return left


KEPT_OF: Final = """
    select j.customer_id, j.kept, c.merged_into_id
      from customer_journal j
      join customer c on c.workspace_id = $1 and c.id = j.customer_id
     where j.workspace_id = $1 and j.act_id = $2 and j.kept is not null and j.customer_id > $3
     order by j.customer_id
     limit $4"""


async def kept_of(db: Reader, act_id: UUID, after: UUID, limit: int) -> list[Kept]:
    """The customers behind `after`, by id, of whom undoing an act kept something."""
    return await db.all(Kept, KEPT_OF, act_id, after, limit)


# --- forgotten -----------------------------------------------------------------------------------------------------------

FORGET: Final = """
    delete from customer_journal j
     using (select o.act_id, o.customer_id from customer_journal o
             where o.workspace_id = $1 and o.act_id < $2
             order by o.act_id, o.customer_id
             limit $3) as old
     where j.workspace_id = $1 and j.act_id = old.act_id and j.customer_id = old.customer_id"""


async def forget(tx: Tx, before: datetime, limit: int) -> int:
    """Forgets what acts did that began before this; returns how many rows, 0 when there are none left."""
    return await tx.run(FORGET, ids.first_at(before), limit)
