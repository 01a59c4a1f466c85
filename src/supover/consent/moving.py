"""What people said when they turn out to be one, or not to be.

The ledger is only ever added to, so nothing in it moves: what a tombstone said stays where it was said, and the survivor's own
ledger is told what all of it amounts to. The strictest counts, unless an explicit yes came after it (`rules.merged`). A merge
tells a no of no contact, and a yes at the time and of the contact that it was said of: nobody is suppressed or written to for it
who was not before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from supover.consent import bulk, commands, rules, suppressions
from supover.consent.model import ConsentChannel, ConsentTopic, Entry
from supover.consent.rules import Standing
from supover.customers import hashing, merge_rows
from supover.kit.db import Reader, Tx
from supover.kit.problems import worded

ENTRY: Final = "consent_entry"
SETTINGS: Final = "communication_preference"
SOURCE: Final = "merge"

Place = tuple[ConsentChannel, ConsentTopic]

# --- where everybody stands ----------------------------------------------------------------------------------------------

STANDINGS: Final = """
    select k.customer_id, k.channel, k.topic, k.state, k.opt_in_level, k.at,
           (select max(e.at) from consent_entry e
             where e.workspace_id = $1 and e.customer_id = k.customer_id and e.channel = k.channel and e.topic = k.topic
               and e.state = 'SUBSCRIBED' and e.opt_in_level in ('SINGLE_OPT_IN', 'CONFIRMED_OPT_IN')),
           (select e.contact from consent_entry e
             where e.workspace_id = $1 and e.customer_id = k.customer_id and e.channel = k.channel and e.topic = k.topic
               and e.at = k.at and e.state = k.state and e.contact_hash is not distinct from k.contact_hash
             order by e.fingerprint desc
             limit 1),
           k.contact_hash, k.policy_version
      from consent k
     where k.workspace_id = $1 and k.customer_id = any($2::uuid[])"""


class _Stands(NamedTuple):
    """Where one customer stands."""

    customer_id: UUID
    standing: Standing
    hash: bytes | None
    policy_version: str | None


class Conclusion(msgspec.Struct, frozen=True):
    """What several customers' words amount to for one place: `of` is whose word decides; `differ`: not all said the same."""

    channel: ConsentChannel
    topic: ConsentTopic
    standing: Standing
    of: UUID
    policy_version: str | None
    differ: bool
    is_news: bool


async def _standings(db: Reader, customer_ids: Sequence[UUID]) -> dict[Place, list[_Stands]]:
    found: dict[Place, list[_Stands]] = {}
    for id, channel, topic, state, level, at, explicit_at, contact, hash, version in await db.rows(
        STANDINGS, list(customer_ids)
    ):
        standing = Standing(state, level, at, explicit_at, contact)
        found.setdefault((channel, topic), []).append(_Stands(id, standing, hash, version))
    return found


CONTACTS: Final = (
    "select c.email, c.phone, c.phone_e164, c.country from customer c where c.workspace_id = $1 and c.id = $2"
)


async def concluded(
    db: Reader, primary_id: UUID, others: Sequence[UUID], contact: tuple[str | None, ...] | None = None
) -> list[Conclusion]:
    """What the words of customers amount to who are made one, by place; `is_news` where the primary stands elsewhere.

    `contact` is the email, phone, E.164 form and country that the primary will have, unless it has them already. Raises
    ContactsSealed.
    """
    standings = await _standings(db, [primary_id, *others])
    if not standings:
        return []
    if contact is None:
        [contact] = await db.rows(CONTACTS, primary_id)
    assert contact is not None
    email, phone, e164, country = contact
    hasher = await hashing.hasher(db)
    found: list[Conclusion] = []
    for (channel, topic), stands in sorted(standings.items()):
        own = suppressions.hash_of(hasher, rules.contact_of(channel, email, phone, e164, country))
        found.append(_conclude(channel, topic, primary_id, stands, own))
    return found


def _conclude(
    channel: ConsentChannel, topic: ConsentTopic, primary_id: UUID, stands: Sequence[_Stands], own_hash: bytes | None
) -> Conclusion:
    result = rules.merged([one.standing for one in stands])
    own = next((one for one in stands if one.customer_id == primary_id), None)
    differ = len({one.standing.state for one in stands}) > 1
    # Of several who say the same, the primary, who needs not be told; else who said it of the contact that there is now.
    same = [one for one in stands if one.standing.state == result.state]
    best = max(
        same,
        key=lambda one: (
            one.hash is not None and one.hash == own_hash,
            one is own,
            one.standing.at or rules.EARLIEST,
            str(one.customer_id),
        ),
    )
    if result.state == "SUBSCRIBED":
        at = best.standing.at or rules.EARLIEST
        counts = own is None or (own.standing.at or rules.EARLIEST) < at
        if best is not own and counts:
            return Conclusion(
                channel, topic, best.standing, best.customer_id, best.policy_version, differ, is_news=True
            )
        if own is not None and own.standing.state == "SUBSCRIBED":
            best = own
        return Conclusion(channel, topic, best.standing, best.customer_id, best.policy_version, differ, is_news=False)
    said = msgspec.structs.replace(result, contact=None)
    is_news = own is None or own.standing.state != result.state
    decider = own if own is not None and not is_news else best
    return Conclusion(channel, topic, said, decider.customer_id, None, differ, is_news=is_news)


# --- made one ------------------------------------------------------------------------------------------------------------


async def merge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Tells the primary's ledger what all their words amount to, and fills its settings; notes what that did."""
    told = [one for one in await concluded(tx, primary_id, others) if one.is_news]
    entries = [
        Entry(
            customer_id=primary_id,
            channel=one.channel,
            topic=one.topic,
            state=one.standing.state,  # pyright: ignore[reportArgumentType]  it was said, so it is not NOT_SUBSCRIBED
            opt_in_level=one.standing.opt_in_level or "UNKNOWN",
            source=SOURCE,
            at=one.standing.at,
            policy_version=one.policy_version,
            contact=one.standing.contact,
        )
        for one in told
    ]
    recorded = await commands.record(tx, entries, "merge")
    added = [
        (conclusion.of, one.entry_id)
        for conclusion, one in zip(told, recorded, strict=True)
        if one.entry_id is not None
    ]
    await merge_rows.note(tx, merge_id, ENTRY, "added", added)
    await _fill_settings(tx, merge_id, primary_id, others)


OF_ALL: Final = """
    select p.customer_id, p.language, p.preferred_channel, p.quiet_from, p.quiet_to, p.quiet_timezone
      from communication_preference p
     where p.workspace_id = $1 and p.customer_id = any($2::uuid[])"""
_NOTHING: Final = (None, None, None, None, None)


async def _fill_settings(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    rows: dict[UUID, tuple[Any, ...]] = {
        id: tuple(values) for id, *values in await tx.rows(OF_ALL, [primary_id, *others])
    }
    was = rows.get(primary_id)
    language, channel, *hours = was or _NOTHING
    for other in others:
        theirs = rows.get(other, _NOTHING)
        language, channel = language or theirs[0], channel or theirs[1]
        if hours[0] is None:
            hours = list(theirs[2:])
    now = (language, channel, *hours)
    if now != (was or _NOTHING):
        await tx.run(commands.KEEP, primary_id, *now)
        await merge_rows.note(tx, merge_id, SETTINGS, "changed", [(primary_id, primary_id, {"was": was, "now": now})])


# --- by themselves again -------------------------------------------------------------------------------------------------

UNMERGE: Final = """
    select distinct u.customer_id, u.channel, u.topic
      from (select $1::uuid) as w
     cross join lateral consent_unmerge($2::uuid) as u"""
MERGED_AT: Final = "select m.merged_at from customer_merge m where m.workspace_id = $1 and m.id = $2"
SAID_SINCE: Final = """
    select e.channel, e.topic, e.state, e.opt_in_level, e.source, e.at, e.received_at, e.policy_version, e.contact, e.proof
      from consent_entry e
     where e.workspace_id = $1 and e.customer_id = $2 and e.received_at > $3
     order by e.received_at, e.id"""
OTHERS: Final = """
    select c.id, c.email, c.phone, c.phone_e164, c.country from customer c where c.workspace_id = $1 and c.id = any($2::uuid[])"""


async def unmerge(tx: Tx, merge_id: UUID, primary_id: UUID, others: Sequence[UUID]) -> None:
    """Takes back what the merge concluded. What was said since stays, and is told to whom it is about, too.

    A no that was said since is everybody's: who said it as one person must not be written to as another. A yes is also that of
    who has the contact that it was said of.
    """
    await bulk.recount(tx, await tx.rows(UNMERGE, merge_id))
    since: datetime = await tx.value(MERGED_AT, merge_id)
    people = await tx.rows(OTHERS, list(others))
    entries: list[Entry] = []
    for channel, topic, state, level, source, at, received_at, version, contact, proof in await tx.rows(
        SAID_SINCE, primary_id, since
    ):
        said = None if contact is None else rules.contact_of(channel, contact, contact)
        for id, *contacts in people:
            theirs = rules.contact_of(channel, *contacts)
            if state in rules.OPT_INS and (
                said is None or theirs is None or said.key is None or said.key != theirs.key
            ):
                continue
            entries.append(
                Entry(
                    customer_id=id,
                    channel=channel,
                    topic=topic,
                    state=state,
                    opt_in_level=level,
                    source=source,
                    at=at,
                    received_at=received_at,
                    proof=proof,
                    policy_version=version,
                    contact=contact,
                )
            )
    recorded = await commands.record(tx, entries, "merge")
    told = [
        (entry.customer_id, one.entry_id, "said since the merge; it is told to both")
        for entry, one in zip(entries, recorded, strict=True)
        if one.entry_id is not None
    ]
    await merge_rows.kept(tx, merge_id, "consent_entry/since", told)
    await _unfill_settings(tx, merge_id, primary_id)


FILLED: Final = """
    select r.before from customer_merge_row r
     where r.workspace_id = $1 and r.merge_id = $2 and r.kind = 'communication_preference' and r.former_id = $3"""
REMOVE_SETTINGS: Final = "delete from communication_preference where workspace_id = $1 and customer_id = $2"


async def _unfill_settings(tx: Tx, merge_id: UUID, primary_id: UUID) -> None:
    filled: Mapping[str, Any] | None = await tx.value(FILLED, merge_id, primary_id)
    if filled is None:
        return
    now = await tx.rows(OF_ALL, [primary_id])
    if not now or list(now[0][1:]) != list(filled["now"]):
        await merge_rows.stayed(tx, merge_id, SETTINGS, [(primary_id, worded("changed since, and stays as it is"))])
    elif filled["was"] is None:
        await tx.run(REMOVE_SETTINGS, primary_id)
    else:
        await tx.run(commands.KEEP, primary_id, *filled["was"])


# --- split ---------------------------------------------------------------------------------------------------------------


async def split(tx: Tx, former_id: UUID, new_id: UUID) -> None:
    """A no goes with everybody who comes of a customer; a yes with the contact that it was said of."""
    [(email, phone, e164, country)] = await tx.rows(CONTACTS, new_id)
    hasher = await hashing.hasher(tx)
    entries: list[Entry] = []
    for (channel, topic), stands in (await _standings(tx, [former_id])).items():
        [one] = stands
        hash = suppressions.hash_of(hasher, rules.contact_of(channel, email, phone, e164, country))
        is_yes = one.standing.state in rules.OPT_INS
        if is_yes and (hash is None or hash != one.hash):
            continue
        entries.append(
            Entry(
                customer_id=new_id,
                channel=channel,
                topic=topic,
                state=one.standing.state,  # pyright: ignore[reportArgumentType]  it was said
                opt_in_level=one.standing.opt_in_level or "UNKNOWN",
                source="split",
                at=one.standing.at,
                policy_version=one.policy_version,
                contact=one.standing.contact if is_yes else None,
            )
        )
    await commands.record(tx, entries, "merge")
