"""Messages are kept, worked off, set aside, replayed, and at last forgotten."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.addresses import commands as addresses
from supover.channels import commands as channels
from supover.channels.connectors import CONNECTORS
from supover.channels.model import (
    ChannelConsent,
    ChannelConsents,
    ChannelCustomer,
    ChannelOrder,
    ChannelOrderRefund,
    ChannelPrivacy,
    Contact,
    Ignored,
    PostalAddress,
    Said,
    Unreadable,
)
from supover.consent import commands as consent
from supover.consent.model import Entry
from supover.customers import contacts, intake
from supover.inbox import queries
from supover.inbox.events import MessageSetAside
from supover.inbox.model import Arrived, BodyForgotten, Message, Replay, Replayed, Status
from supover.kit import clock, ids
from supover.kit.db import Change, Tx, by_column
from supover.kit.events import publish
from supover.kit.jobs import Backoff, luck, reason
from supover.kit.problems import Invalid
from supover.kit.worker import is_outage
from supover.orders import commands as orders
from supover.orders import refunds
from supover.orders import rules as order_rules
from supover.privacy import commands as privacy

# --- keeping -------------------------------------------------------------------------------------------------------------

# That a delivery is pending is all that its drain needs to know, so this defers it, too. In one order, so that two processes
# that are sent the same deliveries wait for each other one way.
KEEP: Final = """
    insert into inbox_message (workspace_id, id, connection_id, topic, delivery_id, event_id, api_version, triggered_at, body, body_hash,
           size)
    select $1, n.id, n.connection_id, n.topic, n.delivery_id, n.event_id, n.api_version, n.triggered_at, n.body, sha256(n.body),
           length(n.body)
      from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::bytea[])
           as n (id, connection_id, topic, delivery_id, event_id, api_version, triggered_at, body)
     order by n.connection_id, n.topic, n.delivery_id, n.event_id
        on conflict do nothing"""


async def keep(tx: Tx, arrived: Sequence[Arrived]) -> int:
    """Keeps deliveries in one statement; returns how many were new.

    The same delivery again is not, nor the same event of the same topic by another delivery, as long as they say the same.
    """
    return await tx.run(
        KEEP,
        [ids.new() for _ in arrived],
        [a.connection_id for a in arrived],
        [a.topic for a in arrived],
        [a.delivery_id for a in arrived],
        [a.event_id for a in arrived],
        [a.api_version for a in arrived],
        [a.triggered_at for a in arrived],
        [a.body for a in arrived],
    )


# --- working off ---------------------------------------------------------------------------------------------------------

BATCH: Final = 500
BATCH_BYTES: Final = 32 << 20
FEWER: Final = 25
"""So many at once of those that were tried once: one of them may have ended the worker."""

FAILURES: Final = 50
"""Failures that are looked into within one batch."""

ATTEMPTS: Final = 5
RETRY: Final = Backoff(first_s=2, factor=4, most_s=600)
WAIT: Final = timedelta(minutes=5)
"""How often a refund looks for its order, should that come by another way than this inbox."""

PATIENCE: Final = timedelta(days=30)
KNOWN: Final = "this or a later version was known"
ERASED: Final = "the person was erased here"
NOBODYS: Final = "nobody here is meant"

HOLD: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 61))"


async def hold(tx: Tx) -> bool:
    """Whether this transaction alone may work off the workspace's messages, until it ends."""
    return await tx.value(HOLD)


# Those that were tried equally often go together, and the more often the fewer: so that one which ends the worker each time
# takes no others with it.
COUNT_ATTEMPT: Final = """
    with first as materialized (
        select m.attempts from inbox_message m
         where m.workspace_id = $1 and m.status = 'pending' and m.due_at <= now()
         order by m.due_at, m.id limit 1),
    due as materialized (
        select m.id, sum(m.size) over (order by m.due_at, m.id) - m.size as before
          from (select i.id, i.due_at, i.size
                  from inbox_message i
                 where i.workspace_id = $1 and i.status = 'pending' and i.due_at <= now()
                   and i.attempts = (select f.attempts from first f)
                 order by i.due_at, i.id
                 limit (select case f.attempts when 0 then $2 when 1 then $3 else 1 end from first f)) as m)
    update inbox_message m set attempts = m.attempts + 1
      from due d
     where m.workspace_id = $1 and m.id = d.id and d.before < $4
    returning m.id"""


async def count_attempt(tx: Tx) -> list[UUID]:
    """Counts one more attempt of the next batch; returns its messages."""
    return await tx.column(COUNT_ATTEMPT, BATCH, FEWER, BATCH_BYTES)


class Claimed(msgspec.Struct, frozen=True):
    """A message to work off, its attempt counted."""

    id: UUID
    connection_id: UUID
    platform: str
    shop: str
    topic: str
    triggered_at: datetime | None
    received_at: datetime
    attempts: int
    body: bytes


class Settled(msgspec.Struct, frozen=True):
    """What became of a message. `again_in` where it stays pending; one that `forgets` loses its body at once."""

    status: Status
    reason: str | None = None
    order_id: UUID | None = None
    customer_id: UUID | None = None
    waits_for: str | None = None
    again_in: timedelta | None = None
    forgets: bool = False


CLAIM: Final = """
    select m.id, m.connection_id, c.platform, c.shop, m.topic, m.triggered_at, m.received_at, m.attempts, m.body
      from inbox_message m
      join channel_connection c on c.workspace_id = $1 and c.id = m.connection_id
     where m.workspace_id = $1 and m.id = any($2::uuid[]) and m.status = 'pending'
     order by m.id
       for update of m skip locked"""
SETTLE: Final = """
    update inbox_message m
       set status = n.status, reason = n.reason, order_id = coalesce(n.order_id, m.order_id),
           customer_id = coalesce(n.customer_id, m.customer_id), waits_for = n.waits_for,
           attempts = case when n.waits_for is null then m.attempts else 0 end,
           due_at = coalesce(clock_timestamp() + n.again_in, m.due_at),
           settled_at = case when n.status <> 'pending' then clock_timestamp() end,
           body = case when n.forgets then null else m.body end
      from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::interval[], $9::bool[])
           as n (id, status, reason, order_id, customer_id, waits_for, again_in, forgets)
     where m.workspace_id = $1 and m.id = n.id"""
WAKE: Final = """
    update inbox_message m set due_at = now()
      from unnest($2::uuid[], $3::text[]) as n (connection_id, waits_for)
     where m.workspace_id = $1 and m.connection_id = n.connection_id and m.waits_for = n.waits_for and m.status = 'pending'"""


async def work_off(tx: Tx, counted: Sequence[UUID]) -> None:
    """Works these messages off: what each says is done exactly when it is marked done.

    What cannot be read is set aside at once, by its field. What fails is found by halving, and the rest goes on without it.
    """
    claimed = await tx.all(Claimed, CLAIM, counted)
    settled: dict[UUID, Settled] = {}
    ready: list[_Ready] = []
    now = clock.now()
    for message in claimed:
        if message.attempts > ATTEMPTS:
            why = f"the worker ended in each of {ATTEMPTS} attempts"
            settled[message.id] = Settled("dead", why)
            continue
        try:
            said = _read(message, now)
        except Unreadable as unreadable:
            settled[message.id] = Settled("dead", str(unreadable)[:500])
            continue
        if isinstance(said, Ignored):
            settled[message.id] = Settled("ignored", said.reason)
        else:
            ready.append(_Ready(message, said))
    # The versions of an order in the order in which they were made, whatever way they came.
    ready.sort(key=_when)
    await _halve(tx, ready, settled, _Patience(FAILURES))
    if claimed:
        await _settle(tx, claimed, settled)


class _Ready(msgspec.Struct, frozen=True):
    message: Claimed
    said: Said


_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _when(ready: _Ready) -> tuple[datetime, datetime, UUID]:
    at = ready.said.updated_at if isinstance(ready.said, ChannelOrder | ChannelCustomer) else None
    return at or _EVER, ready.message.triggered_at or ready.message.received_at, ready.message.id


def _read(message: Claimed, now: datetime) -> Said:
    """What a message says, in amounts, times and texts that can be taken. Raises Unreadable."""
    connector = CONNECTORS[message.platform]
    said = connector.read(message.topic, message.body, message.shop)
    if isinstance(said, ChannelOrder):
        plain = msgspec.structs.replace(said, refunds=None)
        if errors := order_rules.errors_of(plain, now):
            head, _, rest = errors[0].pointer.removeprefix("/").partition("/")
            pointer = f"/{connector.pointers.get(head, head)}" + (f"/{rest}" if rest else "")
            raise Unreadable(pointer, errors[0].message)
    return said


class _Patience(msgspec.Struct):
    left: int


async def _halve(tx: Tx, ready: Sequence[_Ready], settled: dict[UUID, Settled], patience: _Patience) -> None:
    """Applies all at once; when that fails each half by itself, down to the one that is at fault.

    Where much fails it is hardly the messages' fault: then the rest is left for another attempt.
    """
    if not ready:
        return
    try:
        async with tx.savepoint():
            done = await _apply(tx, ready)
    except Exception as error:
        if is_outage(error):
            raise
        patience.left -= 1
        if len(ready) == 1 or patience.left < 0:
            settled |= {one.message.id: _failed(one.message, error) for one in ready}
            return
        middle = len(ready) // 2
        await _halve(tx, ready[:middle], settled, patience)
        await _halve(tx, ready[middle:], settled, patience)
        return
    settled |= done


def _failed(message: Claimed, error: Exception) -> Settled:
    why = reason(error)
    if message.attempts >= ATTEMPTS:
        return Settled("dead", why)
    return Settled("pending", why, again_in=timedelta(seconds=RETRY.delay_s(message.attempts, luck())))


async def _apply(tx: Tx, ready: Sequence[_Ready]) -> dict[UUID, Settled]:
    """Does what the messages say: customers with what they chose, then orders, then refunds, each kind at once."""
    settled: dict[UUID, Settled] = {}
    told = [(r.message, r.said) for r in ready if isinstance(r.said, ChannelCustomer)]
    taken = await intake.take_in(tx, [customer for _, customer in told])
    places: list[tuple[UUID, PostalAddress]] = []
    for (message, customer), one in zip(told, taken, strict=True):
        settled[message.id] = Settled("applied", customer_id=one.customer_id)
        if one.outcome == "erased":
            settled[message.id] = Settled("ignored", ERASED, forgets=True)
        if one.customer_id is not None and customer.contact.address is not None:
            places.append((one.customer_id, customer.contact.address))
    if places:
        await addresses.keep_many(tx, places)
    choosing = [
        (m, c.contact, c.consents, t.customer_id)
        for (m, c), t in zip(told, taken, strict=True)
        if c.consents and t.outcome != "erased"
    ]
    alone = [(r.message, r.said) for r in ready if isinstance(r.said, ChannelConsents)]
    whose = await _consents(tx, [*choosing, *((m, c.contact, c.consents, None) for m, c in alone)])
    settled |= {
        m.id: Settled("applied", customer_id=id) if id is not None else Settled("ignored", NOBODYS, forgets=True)
        for (m, _), id in zip(alone, whose[len(choosing) :], strict=True)
    }

    placed = [(r.message, r.said) for r in ready if isinstance(r.said, ChannelOrder)]
    listed: list[ChannelOrderRefund] = []
    # Refunds go their own way, whether their order lists them or they come by themselves: told twice they are one.
    plain = [msgspec.structs.replace(order, refunds=None) for _, order in placed]
    for (message, order), one in zip(placed, await orders.take_in(tx, plain) if plain else (), strict=True):
        why = KNOWN if one.outcome == "unchanged" else None
        settled[message.id] = Settled(
            "applied",
            ERASED if one.is_erased else why,
            order_id=one.order_id,
            customer_id=one.customer_id,
            forgets=one.is_erased,
        )
        listed += [
            ChannelOrderRefund(
                source=order.source,
                shop=order.shop,
                order_external_id=order.external_id or "",
                currency=None,
                refund=refund,
            )
            for refund in order.refunds or ()
        ]
    if placed:
        newcomers = {(message.connection_id, order.external_id) for message, order in placed}
        await tx.run(WAKE, *by_column(sorted(newcomers)))

    late = [(r.message, r.said) for r in ready if isinstance(r.said, ChannelOrderRefund)]
    outcomes = await refunds.take_refunds(tx, [*listed, *(refund for _, refund in late)])
    now = clock.now()
    for (message, refund), one in zip(late, outcomes[len(listed) :], strict=True):
        settled[message.id] = _refunded(message, refund, one, now)
    settled |= await _privacy(tx, [(r.message, r.said) for r in ready if isinstance(r.said, ChannelPrivacy)])
    return settled


async def _privacy(tx: Tx, asked: Sequence[tuple[Claimed, ChannelPrivacy]]) -> dict[UUID, Settled]:
    """Keeps what platforms ask for on behalf of people; what names who is to be forgotten is not kept."""
    found: dict[UUID, Settled] = {}
    for message, one in asked:
        about = await privacy.asked_by_channel(tx, message.connection_id, message.id, one, message.received_at)
        found[message.id] = Settled("applied", customer_id=about[0] if about else None, forgets=one.kind == "erase")
    return found


async def _consents(
    tx: Tx, told: Sequence[tuple[Claimed, Contact, Sequence[ChannelConsent], UUID | None]]
) -> list[UUID | None]:
    """Records what customers chose, by the channel's own time; returns whose choices they were, in order.

    What is older than the profile, or came before the customer, is a word of the customer all the same.
    """
    unknown = [contact for _, contact, _, id in told if id is None]
    found = iter(await contacts.resolve(tx, unknown) if unknown else ())
    whose = [id if id is not None else _living(next(found)) for _, _, _, id in told]
    entries = [
        Entry(
            customer_id=id,
            channel=one.channel,
            topic=one.topic,
            state=one.state,
            opt_in_level=one.opt_in_level,
            source=one.source,
            at=one.at,
            received_at=message.received_at,
            contact=one.address,
        )
        for (message, _, consents, _), id in zip(told, whose, strict=True)
        if id is not None
        for one in consents
    ]
    await consent.record(tx, entries, "channel")
    return whose


def _living(decision: contacts.Decision) -> UUID | None:
    return None if decision.method == "erased" else decision.customer_id


def _refunded(message: Claimed, refund: ChannelOrderRefund, taken: refunds.RefundTaken, now: datetime) -> Settled:
    if taken.outcome == "no_order":
        if now - message.received_at > PATIENCE:
            return Settled("dead", f"/order_id: order {refund.order_external_id} did not come in {PATIENCE.days} days")
        why = f"waits for order {refund.order_external_id}"
        return Settled("pending", why, waits_for=refund.order_external_id, again_in=WAIT)
    if taken.outcome == "other_currency":
        return Settled("dead", f"/transactions: is in {refund.currency}, and its order in another currency")
    return Settled("applied", order_id=taken.order_id, customer_id=taken.customer_id, forgets=taken.is_erased)


async def _settle(tx: Tx, claimed: Sequence[Claimed], settled: dict[UUID, Settled]) -> None:
    rows: list[tuple[Any, ...]] = []
    aside: list[MessageSetAside] = []
    newest: dict[UUID, datetime] = {}
    for message in claimed:
        one = settled[message.id]
        rows.append(
            (
                message.id,
                one.status,
                one.reason,
                one.order_id,
                one.customer_id,
                one.waits_for,
                one.again_in,
                one.forgets,
            )
        )
        if one.status == "dead":
            aside.append(MessageSetAside(message_id=message.id, topic=message.topic, reason=one.reason or ""))
        newest[message.connection_id] = max(newest.get(message.connection_id, _EVER), message.received_at)
    await tx.run(SETTLE, *by_column(rows))
    await channels.note_received(tx, newest)
    await publish(tx, aside)


# --- again ---------------------------------------------------------------------------------------------------------------

REPLAY: Final = """
    update inbox_message
       set status = 'pending', attempts = 0, due_at = now(), reason = null, waits_for = null, settled_at = null
     where workspace_id = $1 and id = $2 and body is not null"""


async def replay(tx: Tx, id: UUID) -> Message:
    """Makes a message pending again, with all its attempts. Raises MessageNotFound, BodyForgotten."""
    old = await queries.find(tx, id)
    if not await tx.run(REPLAY, id):
        raise BodyForgotten
    new = await queries.find(tx, id)
    tx.changed("message", id, old, new, ("status", "attempts", "reason"))
    return new


REPLAY_MOST: Final = 10_000
REPLAY_MANY: Final = """
    with picked as (
        select m.id from inbox_message m
         where m.workspace_id = $1 and m.status = any($2::text[]) and m.body is not null
           and ($3::uuid is null or m.connection_id = $3) and ($4::text is null or m.topic = $4)
           and ($5::uuid is null or m.id >= $5) and ($6::uuid is null or m.id < $6)
           and ($7::uuid[] is null or m.id = any($7))
         order by m.id
         limit $8
           for update)
    update inbox_message m
       set status = 'pending', attempts = 0, due_at = now(), reason = null, waits_for = null, settled_at = null
      from picked p
     where m.workspace_id = $1 and m.id = p.id
    returning m.id"""


CONNECTION: Final = "select true from channel_connection where workspace_id = $1 and id = $2"


async def replay_many(tx: Tx, wanted: Replay, zone: ZoneInfo) -> Replayed:
    """Makes the oldest 10,000 that fit pending again. Times without a zone are in this one. Raises Invalid."""
    if wanted.ids is not None and not 1 <= len(wanted.ids) <= REPLAY_MOST:
        raise Invalid.at("/ids", "length", f"must hold 1 to {REPLAY_MOST} ids")
    if wanted.connection_id is not None and not await tx.value(CONNECTION, wanted.connection_id):
        raise Invalid.at("/connectionId", "unknown", "There is no connection with this id.")
    since, until = (
        None if at is None else ids.first_at(at if at.tzinfo else at.replace(tzinfo=zone))
        for at in (wanted.received_from, wanted.received_to)
    )
    status = wanted.status or ("dead" if wanted.ids is None else None)
    statuses = ["dead", "ignored", "applied"] if status is None else [status]
    asked = (statuses, wanted.connection_id, wanted.topic, since, until, wanted.ids)
    found = await tx.column(REPLAY_MANY, *asked, REPLAY_MOST)
    if found:
        tx.changes.append(
            Change("message", min(found), "status", " or ".join(statuses), f"pending, with {len(found) - 1} others")
        )
    return Replayed(len(found), more=len(found) == REPLAY_MOST)


# --- forgetting ----------------------------------------------------------------------------------------------------------

KEPT: Final = timedelta(days=30)
FORGET_BATCH: Final = 2_000
FORGET: Final = """
    with old as (
        select m.id from inbox_message m
         where m.workspace_id = $1 and m.body is not null and m.status in ('applied', 'ignored') and m.id < $2
         order by m.id
         limit $3
           for update skip locked)
    update inbox_message m set body = null
      from old o
     where m.workspace_id = $1 and m.id = o.id"""


async def forget_bodies(tx: Tx, kept: timedelta = KEPT) -> int:
    """Forgets up to 2,000 bodies of messages that are done and so old; returns how many."""
    return await tx.run(FORGET, ids.first_at(clock.now() - kept), FORGET_BATCH)
