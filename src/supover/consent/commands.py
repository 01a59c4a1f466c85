"""What people say is recorded: one choice, or a file of a million, by the same statements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from supover.consent import queries, rules, suppressions
from supover.consent.events import ConsentChanged, PreferencesChanged
from supover.consent.model import (
    CommunicationPreferences,
    ConsentChoice,
    Entry,
    Policy,
    PreferenceChange,
    PreferencesStale,
    QuietHours,
    Recorded,
    Refusal,
    State,
)
from supover.customers import hashing
from supover.customers import queries as customers
from supover.customers.model import CustomerNotFound
from supover.kit import clock, ids
from supover.kit.db import Change, Tx, by_column, json_bytes
from supover.kit.events import publish
from supover.kit.problems import Invalid

# --- recording -----------------------------------------------------------------------------------------------------------

# Whoever was merged speaks for the survivor. A deleted one is recorded too: an unsubscribe is never lost.
HOLD: Final = """
    select a.id, c.id, c.email, c.phone, c.phone_e164, c.country
      from customer a
      join customer c on c.workspace_id = $1 and c.id = coalesce(a.merged_into_id, a.id)
     where a.workspace_id = $1 and a.id = any($2::uuid[])
     order by c.id
       for no key update of c"""
STANDING: Final = """
    select k.customer_id, k.channel, k.topic, k.state from consent k where k.workspace_id = $1 and k.customer_id = any($2::uuid[])"""
ADD: Final = """
    insert into consent_entry (workspace_id, id, customer_id, channel, topic, state, opt_in_level, source, at, received_at, proof,
           policy_version, fingerprint, contact, contact_hash, actor, origin)
    select $1, n.id, n.customer_id, n.channel, n.topic, n.state, n.opt_in_level, n.source, n.at, n.received_at, n.proof,
           n.policy_version, sha256(n.said), n.contact, n.contact_hash, $2, $3
      from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],
                  $12::timestamptz[], $13::jsonb[], $14::text[], $15::bytea[], $16::text[], $17::bytea[])
           as n (id, customer_id, channel, topic, state, opt_in_level, source, at, received_at, proof, policy_version, said,
                 contact, contact_hash)
     order by n.id
        on conflict (workspace_id, customer_id, channel, topic, at, fingerprint) do nothing
    returning id"""
# The latest counts; of one time the strictest; of those the one that claims least; else any, but always the same. How they
# opted in is the most that they did for this contact since they are SUBSCRIBED: who repeats a yes takes nothing back.
RECOUNT: Final = """
    insert into consent as k (workspace_id, customer_id, channel, topic, state, opt_in_level, source, at, policy_version,
           contact_hash)
    select $1, n.customer_id, n.channel, n.topic, e.state,
           coalesce((select s.opt_in_level
                       from consent_entry s
                      where s.workspace_id = $1 and s.customer_id = n.customer_id and s.channel = n.channel
                        and s.topic = n.topic and s.state = 'SUBSCRIBED' and e.state = 'SUBSCRIBED'
                        and s.contact_hash is not distinct from e.contact_hash
                        and s.at > coalesce((select max(b.at)
                                               from consent_entry b
                                              where b.workspace_id = $1 and b.customer_id = n.customer_id
                                                and b.channel = n.channel and b.topic = n.topic
                                                and b.state <> 'SUBSCRIBED'), '-infinity')
                      order by array_position(array['CONFIRMED_OPT_IN', 'SINGLE_OPT_IN', 'UNKNOWN'], s.opt_in_level)
                      limit 1), e.opt_in_level),
           e.source, e.at, e.policy_version, e.contact_hash
      from (select distinct u.customer_id, u.channel, u.topic
              from unnest($2::uuid[], $3::text[], $4::text[]) as u (customer_id, channel, topic)) as n
     cross join lateral (
           select e.state, e.opt_in_level, e.source, e.at, e.policy_version, e.contact_hash
             from consent_entry e
            where e.workspace_id = $1 and e.customer_id = n.customer_id and e.channel = n.channel and e.topic = n.topic
            order by e.at desc,
                     array_position(array['SUBSCRIBED', 'PENDING', 'UNSUBSCRIBED', 'INVALID', 'REDACTED'], e.state) desc,
                     array_position(array['CONFIRMED_OPT_IN', 'SINGLE_OPT_IN', 'UNKNOWN'], e.opt_in_level) desc,
                     e.fingerprint desc
            limit 1) as e
        on conflict (workspace_id, customer_id, channel, topic)
        do update set state = excluded.state, opt_in_level = excluded.opt_in_level, source = excluded.source, at = excluded.at,
                      policy_version = excluded.policy_version, contact_hash = excluded.contact_hash,
                      version = k.version + 1
     where (k.state, k.opt_in_level, k.source, k.at, k.policy_version, k.contact_hash)
           is distinct from (excluded.state, excluded.opt_in_level, excluded.source, excluded.at, excluded.policy_version,
                             excluded.contact_hash)
    returning k.customer_id, k.channel, k.topic, k.state, k.at, k.source"""


class _Person(msgspec.Struct, frozen=True):
    id: UUID
    email: str | None
    phone: str | None
    phone_e164: str | None
    country: str | None


_Place = tuple[UUID, str, str]
"""A customer, a channel and a topic."""


class _Ready(msgspec.Struct, frozen=True):
    """An entry that is to be written."""

    entry: Entry
    place: _Place
    at: datetime
    received_at: datetime
    contact: rules.Reached | None
    hash: bytes | None


async def record(tx: Tx, entries: Sequence[Entry], policy: Policy = "direct") -> list[Recorded]:
    """Records what customers said, in a handful of statements for any number; outcomes in order.

    What stands afterwards is the latest of all that was ever said, whatever came first; the same again changes nothing.
    Nothing is raised for what cannot be: it is refused, by its reason. How far entries are believed says the policy.
    Publishes ConsentChanged, SuppressionAdded and SuppressionLifted. Raises ContactsSealed.
    """
    if not entries:
        return []
    now = clock.now()
    people = {row[0]: _Person(*row[1:]) for row in await tx.rows(HOLD, list({e.customer_id for e in entries}))}
    hasher = await hashing.writer(tx)
    found = await tx.rows(STANDING, list({p.id for p in people.values()}))
    before: dict[_Place, State] = {(row[0], row[1], row[2]): row[3] for row in found}
    ready: dict[int, _Ready] = {}
    refused: dict[int, Refusal] = {}
    for n, entry in enumerate(entries):
        person = people.get(entry.customer_id)
        if person is None:
            refused[n] = "unknown_customer"
            continue
        received_at = entry.received_at or now
        at = entry.at or received_at
        if at > received_at:
            if policy == "direct" and at > received_at + rules.AHEAD:
                refused[n] = "future"
                continue
            # Nobody speaks in the future: what they say next must count over this.
            at = received_at
        contact = _contact(entry, person, policy)
        if entry.state in rules.OPT_INS and contact is None and entry.channel != "post" and policy != "merge":
            refused[n] = "no_contact"
            continue
        hash = suppressions.hash_of(hasher, contact)
        ready[n] = _Ready(entry, (person.id, entry.channel, entry.topic), at, received_at, contact, hash)
    if policy in ("import", "migration"):
        refused |= await _unbelieved(tx, ready, before, policy)
    written = {n: one for n, one in ready.items() if n not in refused}
    new = await _add(tx, written)
    after = await _recount(tx, [one for n, one in written.items() if n in new], before)
    await suppressions.recount(
        tx,
        [
            suppressions.Told(one.contact.shown, one.hash, one.entry.channel, one.entry.topic)
            for n, one in written.items()
            if n in new
            and one.contact is not None
            and one.hash is not None
            and one.entry.topic != "transactional"
            and one.entry.state in ("SUBSCRIBED", "UNSUBSCRIBED")
        ],
    )

    def stands(entry: Entry) -> State:
        person = people.get(entry.customer_id)
        return (
            "NOT_SUBSCRIBED" if person is None else after.get((person.id, entry.channel, entry.topic), "NOT_SUBSCRIBED")
        )

    return [
        Recorded("refused", stands(entry), refused[n])
        if n in refused
        else Recorded("recorded" if n in new else "known", stands(entry), entry_id=new.get(n))
        for n, entry in enumerate(entries)
    ]


def _contact(entry: Entry, person: _Person, policy: Policy) -> rules.Reached | None:
    if entry.contact is None:
        # What one of two said who are merged was not said of the other one's contact, nor what a channel says that knows none.
        if policy in ("merge", "channel"):
            return None
        return rules.contact_of(entry.channel, person.email, person.phone, person.phone_e164, person.country)
    return rules.contact_of(entry.channel, entry.contact, entry.contact, None, person.country)


async def _unbelieved(
    tx: Tx, ready: dict[int, _Ready], before: dict[_Place, State], policy: Policy
) -> dict[int, Refusal]:
    """Which opt-ins of a file change nothing, and why. What the same file says against them counts first."""
    refused: dict[int, Refusal] = {}
    opt_ins = {n: one for n, one in ready.items() if one.entry.state in rules.OPT_INS}
    others = [one for n, one in ready.items() if n not in opt_ins]
    against = {one.place for one in others}
    suppressed = await suppressions.active(tx, list({one.hash for one in opt_ins.values() if one.hash is not None}))
    suppressed |= {
        (one.hash, one.entry.channel, one.entry.topic)
        for one in others
        if one.hash is not None and one.entry.state == "UNSUBSCRIBED" and one.entry.topic != "transactional"
    }
    for n, one in opt_ins.items():
        entry = one.entry
        standing = before.get(one.place, "NOT_SUBSCRIBED")
        if one.place in against or rules.strictness(standing) > rules.strictness("PENDING"):
            refused[n] = "unsubscribed"
        elif one.hash is not None and suppressed & {
            (one.hash, entry.channel, entry.topic),
            (one.hash, entry.channel, None),
        }:
            refused[n] = "suppressed"
        elif policy == "import" or standing != "NOT_SUBSCRIBED":
            refused[n] = "import"
        elif entry.source is None and entry.proof is None:
            refused[n] = "no_proof"
    return refused


async def _add(tx: Tx, written: dict[int, _Ready]) -> dict[int, UUID]:
    """Adds to the ledger; returns the ids of those that were not in it yet."""
    if not written:
        return {}
    made = dict(zip(ids.many(len(written)), written, strict=True))
    rows: list[tuple[Any, ...]] = []
    for id, n in made.items():
        one = written[n]
        entry = one.entry
        said: tuple[object, ...] = (entry.state, entry.opt_in_level, entry.source, entry.proof, entry.policy_version)
        if entry.state not in rules.OPT_INS:
            # A no that is told again with its contact is a no for that contact; a yes of the same time is the same yes.
            said = (*said, one.hash)
        rows.append(
            (
                id,
                *one.place,
                entry.state,
                entry.opt_in_level,
                entry.source,
                one.at,
                one.received_at,
                None if entry.proof is None else json_bytes(entry.proof),
                entry.policy_version,
                msgspec.json.encode(said, order="sorted"),
                None if one.contact is None else one.contact.shown,
                one.hash,
            )
        )
    return {made[id]: id for id in await tx.column(ADD, tx.actor, tx.origin, *by_column(rows))}


async def _recount(tx: Tx, new: Sequence[_Ready], before: dict[_Place, State]) -> dict[_Place, State]:
    """Where everybody stands now; publishes what that changed."""
    after = dict(before)
    if not new:
        return after
    events: list[ConsentChanged] = []
    for id, channel, topic, state, at, source in await tx.rows(RECOUNT, *by_column([one.place for one in new])):
        was = before.get((id, channel, topic), "NOT_SUBSCRIBED")
        after[id, channel, topic] = state
        if state != was:
            events.append(
                ConsentChanged(
                    customer_id=id, channel=channel, topic=topic, state=state, was=was, said_at=at, source=source
                )
            )
            tx.changes.append(Change("consent", id, f"{channel}/{topic}", was, state))
    await publish(tx, events)
    return after


# --- one customer --------------------------------------------------------------------------------------------------------

LOCK: Final = """
    select c.id from customer c where c.workspace_id = $1 and c.id = $2 and c.deleted_at is null for no key update"""


async def _hold(tx: Tx, customer_id: UUID, version: int | None) -> CommunicationPreferences:
    if await tx.value(LOCK, customer_id) is None:
        raise CustomerNotFound
    old = await queries.find(tx, customer_id)
    if version is not None and version != old.version:
        raise PreferencesStale(f"They are at version {old.version} now.")
    return old


_NEEDS: Final = {"email": "an email", "sms": "a phone", "whatsapp": "a phone", "phone": "a phone"}


async def choose(
    tx: Tx, customer_id: UUID, choice: ConsentChoice, version: int | None = None
) -> CommunicationPreferences:
    """Records one choice of a customer. Raises CustomerNotFound, PreferencesStale, Invalid."""
    chosen = rules.chosen(choice, await customers.zone(tx), clock.now())
    await _hold(tx, customer_id, version)
    source = chosen.source or {"key": "api", "staff": "staff"}.get(tx.actor.partition(":")[0], tx.actor)
    entry = Entry(
        customer_id=customer_id,
        channel=chosen.channel,
        topic=chosen.topic,
        state=chosen.state,
        opt_in_level=chosen.opt_in_level,
        source=source,
        at=chosen.at,
        proof=chosen.proof,
        policy_version=chosen.policy_version,
    )
    [done] = await record(tx, [entry])
    if done.outcome == "refused":
        needed = _NEEDS.get(chosen.channel, "a contact")
        raise Invalid.at("/channel", "contact", f"needs {needed}, which this customer does not have")
    return await queries.find(tx, customer_id)


KEEP: Final = """
    insert into communication_preference as p (workspace_id, customer_id, language, preferred_channel, quiet_from, quiet_to,
           quiet_timezone)
    values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (workspace_id, customer_id)
        do update set language = excluded.language, preferred_channel = excluded.preferred_channel,
                      quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
                      quiet_timezone = excluded.quiet_timezone, version = p.version + 1
     where (p.language, p.preferred_channel, p.quiet_from, p.quiet_to, p.quiet_timezone)
           is distinct from (excluded.language, excluded.preferred_channel, excluded.quiet_from, excluded.quiet_to,
                             excluded.quiet_timezone)"""
OWN_ZONE: Final = (
    "select p.quiet_timezone from communication_preference p where p.workspace_id = $1 and p.customer_id = $2"
)
FIELDS: Final = ("language", "preferred_channel", "quiet_hours")


async def change(
    tx: Tx, customer_id: UUID, wanted: PreferenceChange, version: int | None = None
) -> CommunicationPreferences:
    """Changes what is given of language, preferred channel and quiet hours; what then reads the same is not changed.

    Raises CustomerNotFound, PreferencesStale, Invalid.
    """
    old = await _hold(tx, customer_id, version)
    language, channel, hours = old.language, old.preferred_channel, old.quiet_hours
    if wanted.language is not UNSET:
        language = rules.language(wanted.language) if wanted.language is not None else None
    if wanted.preferred_channel is not UNSET:
        given = wanted.preferred_channel
        channel = None if given is None else rules.channel_of(given, "/preferredChannel")
    if wanted.quiet_hours is not UNSET:
        hours = None if wanted.quiet_hours is None else rules.quiet_hours(wanted.quiet_hours)
    if hours is not None and hours.timezone is None:
        hours = QuietHours(hours.start, hours.end, (await customers.zone(tx)).key)
    was, wished = (old.language, old.preferred_channel, old.quiet_hours), (language, channel, hours)
    fields = [field for field, one, other in zip(FIELDS, was, wished, strict=True) if one != other]
    if not fields:
        return old
    if "quiet_hours" not in fields:
        # They go on following the workspace's time zone, or their own, as they did.
        own = await tx.value(OWN_ZONE, customer_id)
    else:
        own = wanted.quiet_hours.timezone if isinstance(wanted.quiet_hours, QuietHours) else None
    start, end = (None, None) if hours is None else (hours.start, hours.end)
    await tx.run(KEEP, customer_id, language, channel, start, end, own)
    new = await queries.find(tx, customer_id)
    tx.changed("preferences", customer_id, old, new, FIELDS)
    await publish(tx, [PreferencesChanged(customer_id=customer_id, fields=fields)])
    return new
