"""Contacts: what leads from an order to its customer, and the one decision which customer that is.

A contact is a channel's buyer id, an email or a phone. Only real ones have a key, and only keys match: relay, masked and
placeholder contacts, and hubs (a contact that many people seem to share), are kept but lead nowhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from supover.channels.model import Contact
from supover.customers import erased
from supover.customers.erased import Erased
from supover.customers.events import CustomerCreated, DuplicateSuspected, HubFound
from supover.customers.model import EmailTaken, ExternalIdTaken
from supover.kit import ids, text
from supover.kit.db import Tx
from supover.kit.events import publish
from supover.kit.problems import worded

HUB_CUSTOMERS: Final = 20
"""A key that more customers than this hold says nothing about who somebody is."""
HUB_NAMES: Final = 20
"""So does an email that came with this many first names unlike its customer's."""

NOBODY: Final = frozenset("0 -1 null none nil nan undefined guest anonymous n/a na -".split())
"""What shops write in place of a buyer's id when there is none: everybody's id is nobody's."""

Kind = Literal["channel", "email", "phone"]
Method = Literal["customer_id", "channel_identity", "email", "phone", "new", "none", "unknown_customer", "erased"]


class Identity(msgspec.Struct, frozen=True):
    """One contact: `key` is what it matches by, None when it must not match."""

    kind: Kind
    source: str
    shop: str
    value: str
    key: str | None
    quality: str

    def handle(self) -> tuple[str, str, str, str] | None:
        """What the book of known customers is looked up by."""
        return None if self.key is None else (self.kind, self.source, self.shop, self.key)


class Known(msgspec.Struct, frozen=True):
    """A customer that a key leads to."""

    customer_id: UUID
    name: str | None
    email: str | None
    phone: str | None
    country: str | None
    status: str
    value: str = ""


class Decision(msgspec.Struct, frozen=True):
    """Which customer an order belongs to, by what, and what speaks for and against it."""

    customer_id: UUID | None
    method: Method
    evidence: dict[str, Any]
    blocked: bool = False
    created: bool = False


# --- pure: what a contact holds, and the decision ------------------------------------------------------------------------


def identities_of(contact: Contact) -> tuple[Identity, ...]:
    """The channel id, email and phone of a contact, each judged."""
    found: list[Identity] = []
    if contact.external_id and contact.external_id.lower() not in NOBODY:
        found.append(
            Identity("channel", contact.source, contact.shop, contact.external_id, contact.external_id, "real")
        )
    if contact.email and (shown := text.clean(contact.email)):
        quality = text.email_quality(shown)
        key = text.email_key(shown) if quality == "real" else None
        # A real-looking address that cannot be one is as good as masked.
        found.append(Identity("email", "", "", shown, key, quality if key or quality != "real" else "masked"))
    if contact.phone and (shown := text.clean(contact.phone)):
        quality = text.phone_quality(shown)
        key = text.phone_key(shown, contact.country) if quality == "real" else None
        found.append(Identity("phone", "", "", shown, key, quality if key or quality != "real" else "masked"))
    return tuple(found)


def is_somebody(contact: Contact, identities: Iterable[Identity]) -> bool:
    """Whether there is anything to know a buyer by: a contact that reaches them, or a name with a place."""
    if any(i.quality in ("real", "relay") for i in identities):
        return True
    name, place = text.clean(contact.name or ""), contact.address
    return bool(
        name and "*" not in name and place and (place.line1 or place.postal_code) and "*" not in (place.line1 or "")
    )


class Book:
    """The customers that the keys of a batch lead to, growing while the batch is decided."""

    def __init__(self) -> None:
        self.by_handle: dict[tuple[str, str, str, str], list[Known]] = defaultdict(list)
        self.by_id: dict[UUID, Known] = {}
        self.survivors: dict[UUID, UUID] = {}

    def add(self, handle: tuple[str, str, str, str], known: Known) -> None:
        """One more customer behind a key."""
        if all(k.customer_id != known.customer_id for k in self.by_handle[handle]):
            self.by_handle[handle].append(known)

    def find(self, identity: Identity) -> list[Known]:
        """The customers behind a contact; none where it is shared by too many."""
        handle = identity.handle()
        found = self.by_handle.get(handle, []) if handle else []
        return found if len(found) <= HUB_CUSTOMERS else []


def decide(contact: Contact, identities: Sequence[Identity], book: Book) -> Decision:
    """The customer of an order by the first rule that holds: told, channel id, real email, real phone with a compatible
    first name, else a new one (`customer_id` None, method 'new'), else nobody (method 'none')."""
    against: list[dict[str, Any]] = []
    if contact.customer_id is not None:
        told = book.by_id.get(book.survivors.get(contact.customer_id, contact.customer_id))
        if told is None:
            return Decision(None, "unknown_customer", {"customerId": str(contact.customer_id)})
        found = _found(told, "customer_id", {}, against)
        if told.customer_id == contact.customer_id:
            return found
        # Whom the order named was merged into this one; should that be undone, the order is theirs.
        return msgspec.structs.replace(found, evidence={**found.evidence, "merged": str(contact.customer_id)})
    for identity in identities:
        candidates = book.find(identity)
        if not candidates:
            if identity.quality != "real":
                against.append({"kind": identity.kind, "why": worded(f"{identity.quality} contacts never match")})
            elif identity.handle() in book.by_handle and book.by_handle[identity.handle()]:  # pyright: ignore[reportArgumentType]
                against.append({"kind": identity.kind, "why": worded(f"shared by more than {HUB_CUSTOMERS} customers")})
            continue
        matched = {"kind": identity.kind, "key": identity.key}
        if identity.kind == "channel":
            return _found(candidates[0], "channel_identity", matched, against)
        named = [(text.name_compatible(contact.name or "", c.name or ""), c) for c in candidates]
        if identity.kind == "email":
            exact = [c for c in candidates if (c.email or "").lower() == identity.value.lower()]
            alike = [c for verdict, c in named if verdict == text.Compatibility.COMPATIBLE]
            return _found((exact or alike or candidates)[0], "email", matched, against)
        for verdict, candidate in named:
            if verdict == text.Compatibility.COMPATIBLE:
                return _found(candidate, "phone", matched, against)
        against.append(
            {
                "kind": "phone",
                "customerId": str(candidates[0].customer_id),
                "why": worded("the first names do not go together"),
            }
        )
    if not is_somebody(contact, identities):
        return Decision(None, "none", {"against": [*against, {"why": "nothing to know the buyer by"}]})
    return Decision(None, "new", {"against": against} if against else {})


def _found(known: Known, method: Method, matched: dict[str, Any], against: list[dict[str, Any]]) -> Decision:
    evidence: dict[str, Any] = {"matched": matched} if matched else {}
    if against:
        evidence["against"] = against
    return Decision(known.customer_id, method, evidence, blocked=known.status == "BLOCKED")


# --- rows ----------------------------------------------------------------------------------------------------------------

LOCK_SOME: Final = f"""
    select pg_advisory_xact_lock_shared(hashtextextended($1::uuid::text, 11)),
           (select count(pg_advisory_xact_lock(k))
              from (select distinct hashtextextended($1::uuid::text || given, 12) as k
                      from unnest($2::text[]) as given order by k) as keys),
           ({erased.SEALED})"""
LOCK_ALL: Final = f"""
    select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 11)), null, ({erased.SEALED})"""
FEW: Final = 50


async def lock(tx: Tx, identities: Iterable[Identity]) -> bytes | None:
    """Makes others who would decide by the same contacts wait until this transaction ends.

    A few keys are locked one by one; a bulk takes the whole workspace's intake, for as long as its chunk takes. Returns the
    sealed key that contacts of erased people are known by, None where nobody was ever erased: so asking costs nothing.
    """
    keys = {f"{i.kind}\x1f{i.source}\x1f{i.shop}\x1f{i.key}" for i in identities if i.key is not None}
    if len(keys) > FEW:
        [(_, _, sealed)] = await tx.rows(LOCK_ALL)
    else:
        [(_, _, sealed)] = await tx.rows(LOCK_SOME, sorted(keys))
    return sealed


# Arrays instead of joins: whatever the planner knows of a table that is just being filled, these are never worse than one
# pass. They may find more than was asked for; the book is looked into by exact handles.
KNOWN_CHANNEL: Final = """
    select i.kind, i.source, i.shop, i.value as key, i.customer_id, c.name, c.email, c.phone, c.country, c.status, i.value
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.deleted_at is null
     where i.workspace_id = $1 and i.kind = 'channel' and i.released_at is null
       and i.source = any($2::text[]) and i.shop = any($3::text[]) and i.value = any($4::text[])"""
KNOWN_CONTACT: Final = """
    select f.kind, '', '', f.key, f.customer_id, c.name, c.email, c.phone, c.country, c.status, f.value
      from (select i.kind, i.key, i.customer_id, i.value, row_number() over by_age as place,
                   bool_or(i.is_hub) over (partition by i.kind, i.key) as is_hub
              from customer_identity i
             where i.workspace_id = $1 and i.kind <> 'channel' and i.key = any($2::text[]) and i.released_at is null
            window by_age as (partition by i.kind, i.key order by i.created_at, i.id)) as f
      join customer c on c.workspace_id = $1 and c.id = f.customer_id and c.deleted_at is null
     where f.place <= $3 and not f.is_hub
     order by f.kind, f.key, f.place"""
KNOWN_BY_ID: Final = """
    select asked.id, c.id, c.name, c.email, c.phone, c.country, c.status
      from customer asked
      join customer c on c.workspace_id = $1 and c.id = coalesce(asked.merged_into_id, asked.id) and c.deleted_at is null
     where asked.workspace_id = $1 and asked.id = any($2::uuid[])
     order by c.id
       for share of c"""


async def _look_up(tx: Tx, contacts: Sequence[Contact], identities: Iterable[Identity]) -> Book:
    """Everything that a batch's keys lead to, in at most three statements."""
    book = Book()
    channel: dict[tuple[str, str, str], None] = {}
    other: dict[str, None] = {}
    for i in identities:
        if i.kind == "channel":
            channel[i.source, i.shop, i.value] = None
        elif i.key is not None:
            other[i.key] = None  # a phone's key begins with +, an email's does not
    rows: list[tuple[Any, ...]] = []
    if channel:
        rows += await tx.rows(KNOWN_CHANNEL, *(list(set(column)) for column in zip(*channel, strict=True)))
    if other:
        rows += await tx.rows(KNOWN_CONTACT, list(other), HUB_CUSTOMERS + 1)
    for kind, source, shop, key, *known in rows:
        book.add((kind, source, shop, key), Known(*known))
    told = {c.customer_id for c in contacts if c.customer_id is not None}
    if told:
        rows = await tx.rows(KNOWN_BY_ID, list(told))
        if missed := told.difference(row[0] for row in rows):
            # Who was waited for may have been merged meanwhile: asked again, it leads to the survivor.
            rows = [*rows, *await tx.rows(KNOWN_BY_ID, list(missed))]
        for asked, *known in rows:
            found = Known(*known)
            book.by_id[found.customer_id] = found
            if asked != found.customer_id:
                book.survivors[asked] = found.customer_id
    return book


# --- the decision, for one order or five thousand ------------------------------------------------------------------------

EMAILS_TAKEN: Final = """
    select lower(c.email), c.id, exists (select 1 from customer_identity h where h.workspace_id = $1 and h.customer_id = c.id and h.is_hub)
      from customer c
     where c.workspace_id = $1 and lower(c.email) = any($2::text[]) and c.deleted_at is null"""
ADD_CUSTOMERS: Final = """
    insert into customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, country)
    select $1, n.id, n.source, n.external_id, n.email, n.name, n.phone, n.phone_e164, n.country
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           as n (id, source, external_id, email, name, phone, phone_e164, country)"""
ADD_IDENTITIES: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by)
    select $1, n.id, n.customer_id, n.kind, n.source, n.shop, n.value, n.key, n.quality, n.matched_by
      from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
           as n (id, customer_id, kind, source, shop, value, key, quality, matched_by)
        on conflict (workspace_id, customer_id, kind, source, shop, value) do nothing"""
FILL_BLANKS: Final = """
    update customer c
       set name = coalesce(c.name, n.name), phone = coalesce(c.phone, n.phone), phone_e164 = coalesce(c.phone_e164, n.phone_e164),
           country = coalesce(c.country, n.country),
           email = case when c.email is null and not exists (select 1 from customer h
                                                              where h.workspace_id = $1 and lower(h.email) = lower(n.email)
                                                                and h.deleted_at is null)
                        then n.email else c.email end, updated_at = now(), version = c.version + 1
      from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
           as n (id, name, phone, phone_e164, country, email)
     where c.workspace_id = $1 and c.id = n.id"""
NOTE_NAMES: Final = """
    update customer_identity i
       set other_names = merged.names, is_hub = i.is_hub or cardinality(merged.names) >= $5
      from (select k.id, array(select distinct name from unnest(k.other_names || n.names) as name order by name limit $5) as names
              from (select customer_id, key, array_agg(name) as names
                      from unnest($2::uuid[], $3::text[], $4::text[]) as u (customer_id, key, name) group by customer_id, key) as n
              join customer_identity k on k.workspace_id = $1 and k.customer_id = n.customer_id and k.kind = 'email' and k.key = n.key
           ) as merged
     where i.workspace_id = $1 and i.id = merged.id and i.other_names is distinct from merged.names
    returning i.customer_id, i.value, i.is_hub"""


class _Batch:
    """What a batch of decisions leaves to write."""

    def __init__(self) -> None:
        self.new: dict[UUID, tuple[Contact, Sequence[Identity]]] = {}
        self.identities: dict[tuple[UUID, str, str, str, str], tuple[Identity, str]] = {}
        self.fill: dict[UUID, tuple[str | None, ...]] = {}
        self.names: list[tuple[UUID, str, str]] = []
        self.pairs: dict[tuple[UUID, UUID], DuplicateSuspected] = {}


async def resolve(
    tx: Tx,
    contacts: Sequence[Contact],
    judged: Sequence[Sequence[Identity]] | None = None,
    placed: Sequence[datetime] | None = None,
) -> list[Decision]:
    """The customer of each contact, in order; new ones are created, what is newly known of old ones is kept.

    A handful of statements for any number. Contacts of one batch see each other. `judged` is what `identities_of` says of
    each, where that is known already; `placed` is when each order was. A contact of somebody who was erased leads nowhere,
    unless an order was placed after that: then the person is a new customer. Publishes CustomerCreated, DuplicateSuspected
    and HubFound.
    """
    judged = [identities_of(c) for c in contacts] if judged is None else judged
    sealed = await lock(tx, (i for found in judged for i in found))
    book = await _look_up(tx, contacts, (i for found in judged for i in found))
    gone: Mapping[erased.Handle, Erased] = {}
    if sealed is not None:
        gone = await erased.among(tx, sealed, (h for found in judged for i in found if (h := i.handle())))
    batch = _Batch()
    decisions: list[Decision] = []
    for n, (contact, identities) in enumerate(zip(contacts, judged, strict=True)):
        at = None if placed is None else placed[n]
        if gone and (met := _erased(contact, identities, book, gone, at)):
            decisions.append(met)
            continue
        decisions.append(_settle(contact, identities, book, batch))
    await _write(tx, batch)
    return decisions


def _erased(
    contact: Contact,
    identities: Sequence[Identity],
    book: Book,
    gone: Mapping[erased.Handle, Erased],
    at: datetime | None,
) -> Decision | None:
    """The decision about what comes from before an erasure; None where the person came back, or is another.

    Without a time it may be of any: then only who has become a customer again is known by the contact.
    """
    if contact.customer_id is not None:
        return None
    for identity in identities:
        handle = identity.handle()
        found = None if handle is None else gone.get(handle)
        if found is not None and found.covers(at) and not (at is None and book.find(identity)):
            return Decision(found.customer_id, "erased", {"erased": True})
    return None


def _settle(contact: Contact, identities: Sequence[Identity], book: Book, batch: _Batch) -> Decision:
    decision = decide(contact, identities, book)
    if decision.method in ("none", "unknown_customer"):
        return decision
    if decision.customer_id is None:
        decision = msgspec.structs.replace(decision, customer_id=ids.new(), created=True)
        customer_id = decision.customer_id
        assert customer_id is not None
        batch.new[customer_id] = (contact, identities)
        known = Known(customer_id, contact.name, contact.email, contact.phone, contact.country, "ACTIVE")
    else:
        customer_id = decision.customer_id
        known = _known(book, customer_id, identities)
        _learn(contact, identities, known, decision, book, batch)
    for identity in identities:
        handle = identity.handle()
        if identity.kind == "channel" and any(k.customer_id != customer_id for k in book.find(identity)):
            continue  # A buyer id leads to one customer; emails and phones may come to lead to several.
        batch.identities.setdefault(
            (customer_id, identity.kind, identity.source, identity.shop, identity.value), (identity, decision.method)
        )
        if handle is not None:
            book.add(handle, known)
    return decision


def _known(book: Book, customer_id: UUID, identities: Iterable[Identity]) -> Known:
    if customer_id in book.by_id:
        return book.by_id[customer_id]
    return next(k for i in identities for k in book.find(i) if k.customer_id == customer_id)


def _learn(
    contact: Contact, identities: Sequence[Identity], known: Known, decision: Decision, book: Book, batch: _Batch
) -> None:
    """What an order adds to what is known of an old customer, and whom else its contacts point at."""
    phone = next((i for i in identities if i.kind == "phone" and i.quality == "real"), None)
    # Nobody holds this email: else the book would know.
    email = next(
        (i.value for i in identities if i.kind == "email" and i.key and i.handle() not in book.by_handle), None
    )
    is_other = text.name_compatible(contact.name or "", known.name or "") == text.Compatibility.INCOMPATIBLE
    blanks = ((known.name, contact.name), (known.phone, phone), (known.country, contact.country), (known.email, email))
    # An email proves nothing: whoever comes with another first name does not say where its customer can be reached.
    is_stranger = is_other and decision.method != "customer_id"
    if known.customer_id not in batch.new and not is_stranger and any(not has and told for has, told in blanks):
        batch.fill.setdefault(
            known.customer_id,
            (
                contact.name or None,
                phone.value if phone else None,
                phone.key if phone else None,
                contact.country or None,
                email,
            ),
        )
    for identity in identities:
        if identity.kind == "email" and identity.key and is_other:
            batch.names.append((known.customer_id, identity.key, text.fold(text.split_name(contact.name or "")[0])))
        for other in book.find(identity):
            if other.customer_id != known.customer_id and identity.kind != "channel":
                _suspect(batch, known, other, identity, contact)


def _suspect(batch: _Batch, known: Known, other: Known, identity: Identity, contact: Contact) -> None:
    a, b = sorted((known.customer_id, other.customer_id))
    alike = text.name_compatible(known.name or contact.name or "", other.name or "")
    level = "automatic" if alike == text.Compatibility.COMPATIBLE else "review"
    reasons = [
        worded("same email" if identity.kind == "email" else "same phone"),
        worded(
            "first names go together" if alike == text.Compatibility.COMPATIBLE else "first names do not go together"
        ),
    ]
    batch.pairs.setdefault(
        (a, b),
        DuplicateSuspected(
            customer_id=a, other_id=b, score=17.0 if identity.kind == "email" else 19.0, level=level, reasons=reasons
        ),
    )


async def _write(tx: Tx, batch: _Batch) -> None:
    async with tx.writing(ADD_CUSTOMERS, await _new_rows(tx, batch)):
        rows = [
            (id, customer_id, i.kind, i.source, i.shop, i.value, i.key, i.quality, method)
            for id, ((customer_id, *_), (i, method)) in zip(
                ids.many(len(batch.identities)), batch.identities.items(), strict=True
            )
        ]
    async with tx.writing(ADD_IDENTITIES, rows):
        events: list[Any] = [
            CustomerCreated(customer_id=customer_id, by="order", source=contact.source)
            for customer_id, (contact, _) in batch.new.items()
        ]
    if batch.fill:
        await tx.run(
            FILL_BLANKS, list(batch.fill), *(list(column) for column in zip(*batch.fill.values(), strict=True))
        )
    if batch.names:
        columns = [list(column) for column in zip(*batch.names, strict=True)]
        events += [
            HubFound(customer_id=customer_id, identity_kind="email", value=value)
            for customer_id, value, is_hub in await tx.rows(NOTE_NAMES, *columns, HUB_NAMES)
            if is_hub
        ]
    events += batch.pairs.values()
    await publish(tx, events)


async def _new_rows(tx: Tx, batch: _Batch) -> list[tuple[Any, ...]]:
    wanted: dict[str, UUID] = {}
    for customer_id, (_, identities) in batch.new.items():
        for i in identities:
            if i.kind == "email" and i.quality in ("real", "relay") and text.email_shown(i.value):
                wanted.setdefault(i.value.lower(), customer_id)
    taken: dict[str, tuple[UUID, bool]] = {}
    if wanted:
        taken = {email: (holder, is_hub) for email, holder, is_hub in await tx.rows(EMAILS_TAKEN, list(wanted))}
    rows: list[tuple[Any, ...]] = []
    for customer_id, (contact, identities) in batch.new.items():
        email = next(
            (i.value for i in identities if i.kind == "email" and wanted.get(i.value.lower()) == customer_id), None
        )
        if email is not None and email.lower() in taken:
            other, is_hub = taken[email.lower()]
            if not is_hub:
                a, b = sorted((customer_id, other))
                reasons = [worded("same email, kept with its first holder")]
                batch.pairs.setdefault(
                    (a, b), DuplicateSuspected(customer_id=a, other_id=b, score=17.0, level="review", reasons=reasons)
                )
            email = None
        phone = next((i for i in identities if i.kind == "phone" and i.quality == "real"), None)
        rows.append(
            (
                customer_id,
                contact.source,
                next((i.value for i in identities if i.kind == "channel"), None),
                email,
                contact.name or None,
                phone.value if phone else None,
                phone.key if phone else None,
                contact.country or None,
            )
        )
    return rows


# --- contacts of a profile that people edit ------------------------------------------------------------------------------

HOLDER: Final = """
    select customer_id from customer_identity
     where workspace_id = $1 and kind = 'channel' and released_at is null and source = $2 and shop = $3 and value = $4"""
DROP_STALE_PROFILE: Final = """
    delete from customer_identity i
     where i.workspace_id = $1 and i.customer_id = $2 and i.matched_by = 'profile'
       and not exists (select 1 from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as n (kind, source, shop, value)
                        where n.kind = i.kind and n.source = i.source and n.shop = i.shop and n.value = i.value)"""
KEEP: Final = """
    insert into customer_identity (workspace_id, id, customer_id, kind, source, shop, value, key, quality, matched_by)
    select $1, n.id, $2, n.kind, n.source, n.shop, n.value, n.key, n.quality, $3
      from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
           as n (id, kind, source, shop, value, key, quality)
        on conflict (workspace_id, customer_id, kind, source, shop, value)
        do update set released_at = null, key = excluded.key, quality = excluded.quality"""
RELEASE: Final = """
    update customer_identity set released_at = now()
     where workspace_id = $1 and customer_id = any($2::uuid[]) and released_at is null"""
EMAIL_HOLDER: Final = """
    select other.id
      from customer own
      join customer other on other.workspace_id = $1 and lower(other.email) = lower(own.email)
           and other.deleted_at is null and other.id <> own.id
     where own.workspace_id = $1 and own.id = $2
     limit 1"""
CHANNEL_HOLDER: Final = """
    select other.customer_id
      from customer_identity own
      join customer_identity other on other.workspace_id = $1 and other.kind = 'channel' and other.released_at is null
           and other.source = own.source and other.shop = own.shop and other.value = own.value
     where own.workspace_id = $1 and own.customer_id = $2 and own.kind = 'channel' and own.released_at is not null
     limit 1"""
RECLAIM: Final = """
    update customer_identity set released_at = null
     where workspace_id = $1 and customer_id = $2 and released_at is not null"""


async def keep(
    tx: Tx,
    customer_id: UUID,
    *,
    source: str,
    external_id: str | None = None,
    shop: str = "",
    email: str | None = None,
    phone: str | None = None,
    country: str | None = None,
    matched_by: str = "profile",
    is_new: bool = False,
) -> None:
    """Makes these contacts lead to the customer; contacts that the profile held before and no longer does are dropped.

    A new customer (`is_new`) has none from before. Raises ExternalIdTaken, with the holder's id, when another customer has this channel id.
    """
    found = identities_of(
        Contact(source=source, shop=shop, external_id=external_id, email=email, phone=phone, country=country)
    )
    await lock(tx, found)
    if external_id:
        holder = await tx.value(HOLDER, source, shop, external_id)
        if holder is not None and holder != customer_id:
            raise ExternalIdTaken(f"Customer {holder} has it.", extra={"customerId": str(holder)})
    columns = [[i.kind for i in found], [i.source for i in found], [i.shop for i in found], [i.value for i in found]]
    if matched_by == "profile" and not is_new:
        await tx.run(DROP_STALE_PROFILE, customer_id, *columns)
    if found:
        new_ids = [ids.new() for _ in found]
        await tx.run(
            KEEP, customer_id, matched_by, new_ids, *columns, [i.key for i in found], [i.quality for i in found]
        )


HELD: Final = """
    select kind, source, shop, value, key, quality from customer_identity
     where workspace_id = $1 and customer_id = any($2::uuid[]) and released_at is null"""


async def release(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Frees the contacts of deleted customers: their next order makes a new customer.

    Waits for orders that are being mapped by these contacts, and makes later ones wait.
    """
    await lock(tx, [Identity(*row) for row in await tx.rows(HELD, list(customer_ids))])
    await tx.run(RELEASE, list(customer_ids))


async def reclaim(tx: Tx, customer_id: UUID) -> None:
    """Gives a restored customer its contacts back. Raises EmailTaken or ExternalIdTaken naming who holds them now."""
    holder = await tx.value(EMAIL_HOLDER, customer_id)
    if holder is not None:
        raise EmailTaken(f"Customer {holder} has this email now.", extra={"customerId": str(holder)})
    holder = await tx.value(CHANNEL_HOLDER, customer_id)
    if holder is not None:
        raise ExternalIdTaken(f"Customer {holder} has this external id now.", extra={"customerId": str(holder)})
    await tx.run(RECLAIM, customer_id)
