"""Requests of privacy are made, cancelled and done; settings are changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from supover.access import audit
from supover.channels.model import ChannelPrivacy, Contact
from supover.customers import contacts, hashing
from supover.customers.model import CustomerErased
from supover.kit import clock, ids
from supover.kit.db import Change, Reader, Tx, json_bytes
from supover.kit.jobs import defer
from supover.kit.problems import Stale
from supover.privacy import erasing, queries
from supover.privacy.erasing import Files
from supover.privacy.model import (
    Certificate,
    Erased,
    ErasureAsked,
    Kind,
    NewRetention,
    Origin,
    PrivacyRequest,
    RequestEnded,
    Retention,
    Stored,
)

EXPORT_JOB: Final = "privacy.export"
ERASE_JOB: Final = "privacy.erase"
SHOP_JOB: Final = "privacy.erase_shop"
INACTIVE_JOB: Final = "privacy.erase_inactive"
ANSWERED_IN: Final = timedelta(days=30)

# --- asked for -----------------------------------------------------------------------------------------------------------

ADD: Final = """
    insert into privacy_request (workspace_id, id, kind, status, customer_id, origin, connection_id, message_id, order_external_ids,
           reason, actor, actor_name, run_at, due_at)
    values ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        on conflict (workspace_id, customer_id, kind) where status in ('pending', 'running') and customer_id is not null
        do nothing"""
OPEN: Final = """
    select r.id from privacy_request r
     where r.workspace_id = $1 and r.customer_id = $2 and r.kind = $3 and r.status in ('pending', 'running')"""
LAST_DONE: Final = """
    select r.id from privacy_request r
     where r.workspace_id = $1 and r.customer_id = $2 and r.kind = 'erase' and r.status = 'completed'
     order by r.id desc
     limit 1"""


async def _add(
    tx: Tx,
    kind: Kind,
    customer_id: UUID | None,
    *,
    origin: Origin = "staff",
    reason: str | None = None,
    run_at: datetime | None = None,
    asked_at: datetime | None = None,
    connection_id: UUID | None = None,
    message_id: UUID | None = None,
    orders: Sequence[str] = (),
    by: tuple[str, str] | None = None,
    defers: bool = True,
) -> tuple[UUID, bool]:
    """A new request and True, or the one of the same kind that is open and False."""
    now = clock.now()
    id = ids.new()
    actor, name = by or (tx.actor, tx.actor_name)
    at = run_at or now
    due_at = (asked_at or now) + ANSWERED_IN
    row = (id, kind, customer_id, origin, connection_id, message_id, list(orders), reason, actor, name, at, due_at)
    if not await tx.run(ADD, *row):
        return await tx.value(OPEN, customer_id, kind), False
    if kind == "erase":
        # From now on everybody who takes somebody in looks whether it is one who was erased.
        await hashing.writer(tx)
    job = {"export": EXPORT_JOB, "erase": ERASE_JOB, "erase_shop": SHOP_JOB}[kind]
    if defers:
        await defer(tx, job, {"request_id": id}, run_at=run_at, singleton=str(id))
    tx.changes.append(Change("privacyRequest", id, "status", None, "pending"))
    return id, True


async def ask_export(tx: Tx, customer_id: UUID) -> queries.Found:
    """Asks for everything that is kept of a customer; a job makes the files. Raises CustomerNotFound, CustomerMerged, CustomerErased."""
    # Looked for first: one that is being done holds the customer, whom nobody must wait for who holds them as well.
    id, is_new = await tx.value(OPEN, customer_id, "export"), False
    if id is None:
        if await queries.is_erased(tx, customer_id, "/privacy/export"):
            raise CustomerErased
        id, is_new = await _add(tx, "export", customer_id)
    request, file_key, page_key = await queries.find(tx, id)
    return msgspec.structs.replace(request, already=not is_new), file_key, page_key


async def ask_erase(tx: Tx, customer_id: UUID, asked: ErasureAsked) -> PrivacyRequest:
    """Asks for a customer to be erased, at once or when the delay is over; the same again changes nothing and says so.

    Raises CustomerNotFound, CustomerMerged.
    """
    # Looked for first, as of an export.
    known = await tx.value(OPEN, customer_id, "erase")
    if known is None and await queries.is_erased(tx, customer_id, "/privacy/erase"):
        known = await tx.value(LAST_DONE, customer_id)
        if known is None:
            raise CustomerErased
    if known is not None:
        request, _, _ = await queries.find(tx, known)
        return msgspec.structs.replace(request, already=True)
    days = (await queries.retention(tx)).erase_delay_days if asked.delay_days is None else asked.delay_days
    run_at = clock.now() + timedelta(days=days) if days else None
    reason = (asked.reason or "").strip() or None
    id, is_new = await _add(tx, "erase", customer_id, reason=reason, run_at=run_at)
    request, _, _ = await queries.find(tx, id)
    return msgspec.structs.replace(request, already=not is_new)


async def try_erase(tx: Tx, customer_id: UUID) -> Certificate:
    """What erasing would do, by doing it and taking it back. Files are not looked into. Raises as `ask_erase` does."""
    if await queries.is_erased(tx, customer_id, "/privacy/erase"):
        raise CustomerErased
    async with tx.undone():
        done = await erasing.run(tx, [customer_id], ids.new(), Files())
    return Certificate(
        id=None,
        status="pending",
        customer_ids=done.customer_ids,
        requested_by=tx.actor,
        requested_at=clock.now(),
        erased_at=None,
        rows=done.rows,
        orders_kept=done.orders_kept,
        files=done.files,
        contacts_barred=done.contacts_barred,
        dry_run=True,
    )


CANCEL: Final = """
    update privacy_request set status = 'cancelled', finished_at = now(), cancelled_by = $3, version = version + 1
     where workspace_id = $1 and id = $2 and status = 'pending'"""


async def cancel(tx: Tx, id: UUID) -> PrivacyRequest:
    """Cancels a request that has not begun. One that is cancelled stays so. Raises RequestNotFound, RequestEnded."""
    old, _, _ = await queries.find(tx, id)
    if old.status != "cancelled" and not await tx.run(CANCEL, id, tx.actor):
        raise RequestEnded(f"It is {old.status}.")
    new, _, _ = await queries.find(tx, id)
    tx.changed("privacyRequest", id, old, new, ("status",))
    return new


# --- by a channel --------------------------------------------------------------------------------------------------------

OF_MESSAGE: Final = "select r.customer_id from privacy_request r where r.workspace_id = $1 and r.message_id = $2"
# Whoever is to be erased already: what a channel names besides is erased with them. Asked before the customers are held, as an
# erasure holds its request first.
JOIN: Final = """
    update privacy_request r
       set order_external_ids = array(select distinct n from unnest(r.order_external_ids || $3::text[]) as n order by n),
           connection_id = $4, message_id = coalesce(r.message_id, $5), due_at = least(r.due_at, $6), version = r.version + 1
     where r.workspace_id = $1 and r.customer_id = any($2::uuid[]) and r.kind = 'erase' and r.status in ('pending', 'running')
       and coalesce(r.connection_id, $4) = $4
    returning r.customer_id, r.id"""
BY_CHANNEL: Final = """
    select i.customer_id from customer_identity i
     where i.workspace_id = $1 and i.kind = 'channel' and i.source = $2 and i.shop = $3 and i.value = $4 and i.released_at is null"""
# Somebody else's account in the same shop is not theirs, though it has the same email.
BY_CONTACT: Final = """
    select distinct i.customer_id
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.erased_at is null and c.merged_into_id is null
     where i.workspace_id = $1 and i.kind <> 'channel' and i.key = any($2::text[]) and i.released_at is null and not i.is_hub
       and not exists (select 1 from customer_identity o
                        where o.workspace_id = $1 and o.customer_id = i.customer_id and o.kind = 'channel' and o.source = $3
                          and o.shop = $4 and o.value <> $5 and o.released_at is null)
     order by i.customer_id
     limit 20"""


# Whoever was merged a moment ago leads to the survivor; held, so that nobody is merged before the request stands there.
SURVIVORS: Final = """
    select coalesce(c.merged_into_id, c.id) from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[])
     order by c.id
       for key share"""


async def _held(tx: Tx, customer_ids: Sequence[UUID]) -> list[UUID]:
    """These customers, or into whom they were merged."""
    found = list(dict.fromkeys(await tx.column(SURVIVORS, list(customer_ids))))
    # A survivor may have been merged meanwhile, too.
    return found if set(found) <= set(customer_ids) else await _held(tx, found)


async def asked_by_channel(
    tx: Tx, connection_id: UUID, message_id: UUID, asked: ChannelPrivacy, received_at: datetime
) -> list[UUID]:
    """Keeps what a shop's platform asks for; returns the customers that it is about. The same again changes nothing.

    Of somebody unknown there is nothing to tell; who is to be forgotten stays out from now on.
    """
    if known := await tx.column(OF_MESSAGE, message_id):
        return [id for id in known if id is not None]
    by = (f"channel:{connection_id}", f"{asked.contact.source} {asked.contact.shop}")
    if asked.kind == "erase_shop":
        await _add(
            tx,
            "erase_shop",
            None,
            origin="channel",
            connection_id=connection_id,
            message_id=message_id,
            asked_at=received_at,
            by=by,
        )
        return []
    orders = asked.orders if asked.kind == "erase" else ()
    joined: dict[UUID, UUID] = {}
    found = await _meant(tx, asked.contact)
    if asked.kind == "erase" and found:
        due_at = received_at + ANSWERED_IN
        joined = dict(await tx.rows(JOIN, found, list(orders), connection_id, message_id, due_at))
    found = await _held(tx, found)
    delay = (await queries.retention(tx)).erase_delay_days if asked.kind == "erase" else 0
    run_at = clock.now() + timedelta(days=delay) if delay else None
    add = partial(
        _add,
        tx,
        asked.kind,
        origin="channel",
        run_at=run_at,
        asked_at=received_at,
        connection_id=connection_id,
        message_id=message_id,
        orders=orders,
        by=by,
    )
    if not found:
        id, _ = await add(None)
        if asked.kind == "erase":
            await erasing.bar(tx, asked.contact, id)
        return []
    taken = [(await add(customer_id))[1] for customer_id in found if customer_id not in joined]
    if orders and not joined and not any(taken):
        # Another shop has asked for them already, and its request is about its own orders.
        await add(None)
    return found


async def _meant(tx: Tx, contact: Contact) -> list[UUID]:
    if contact.external_id is not None:
        by_id = await tx.value(BY_CHANNEL, contact.source, contact.shop, contact.external_id)
        if by_id is not None:
            return [by_id]
    keys = [i.key for i in contacts.identities_of(contact) if i.kind != "channel" and i.key is not None]
    if not keys:
        return []
    own = contact.external_id or ""
    return await tx.column(BY_CONTACT, keys, contact.source, contact.shop, own)


# --- done ----------------------------------------------------------------------------------------------------------------

START: Final = """
    update privacy_request set status = 'running', started_at = coalesce(started_at, now()), error = null, version = version + 1
     where workspace_id = $1 and id = any($2::uuid[]) and status in ('pending', 'running', 'failed')
    returning id"""
COMPLETE: Final = """
    update privacy_request set status = 'completed', finished_at = $3, certificate = $4, version = version + 1
     where workspace_id = $1 and id = any($2::uuid[]) and status = 'running'"""
KEEP_FILES: Final = """
    update privacy_request set status = 'completed', finished_at = now(), file_key = $3, page_key = $4, version = version + 1
     where workspace_id = $1 and id = $2 and status = 'running'"""
NOBODY: Final = """
    update privacy_request set status = 'completed', finished_at = now(), version = version + 1
     where workspace_id = $1 and id = $2 and status = 'running'"""
FAIL: Final = """
    update privacy_request set status = 'failed', finished_at = now(), error = $3, version = version + 1
     where workspace_id = $1 and id = any($2::uuid[]) and status in ('pending', 'running')"""
WHOM: Final = """
    select distinct coalesce(c.merged_into_id, c.id) from customer c where c.workspace_id = $1 and c.id = any($2::uuid[])"""
BY_EXTERNAL_ID: Final = """
    select o.id
      from "order" o
      join channel_connection c on c.workspace_id = $1 and c.id = $2
     where o.workspace_id = $1 and o.source = c.platform and o.shop = c.shop and o.external_id = any($3::text[])
     order by o.id"""


async def start(tx: Tx, id: UUID) -> bool:
    """Notes that a request is being worked on; False where it was cancelled, or is done."""
    return bool(await tx.column(START, [id]))


async def keep_files(tx: Tx, id: UUID, file_key: str, page_key: str) -> bool:
    """Notes the files of an export; False when nobody wants them any more."""
    return await tx.run(KEEP_FILES, id, file_key, page_key) > 0


FORGET_FILES: Final = "update privacy_request set file_key = null, page_key = null where workspace_id = $1 and id = $2"


async def forget_files(tx: Tx, id: UUID) -> None:
    """Notes that the files of an export are gone."""
    await tx.run(FORGET_FILES, id)


async def nothing_to_tell(tx: Tx, id: UUID) -> None:
    """Ends a request about somebody of whom nothing is kept."""
    await tx.run(NOBODY, id)


async def fail(tx: Tx, request_ids: Sequence[UUID], why: str) -> None:
    """Ends requests that cannot be done, saying why."""
    await tx.run(FAIL, list(request_ids), why)


async def whom(db: Reader, request: Stored) -> tuple[list[UUID], list[UUID]]:
    """The customer that a request is about, or into whom they were merged, and the orders that a channel named."""
    customers = [] if request.customer_id is None else await db.column(WHOM, [request.customer_id])
    if request.connection_id is None or not request.order_external_ids:
        return customers, []
    return customers, await db.column(BY_EXTERNAL_ID, request.connection_id, list(request.order_external_ids))


async def erase(tx: Tx, id: UUID, files: Files) -> Erased | None:
    """Erases whom a request is about, and keeps the certificate; None where it was cancelled, or is done."""
    if not await start(tx, id):
        return None
    customers, orders = await whom(tx, await queries.stored(tx, id))
    done = await erasing.run(tx, customers, id, files, orders)
    await complete(tx, id, done)
    return done


DUE: Final = """
    select r.id, r.customer_id
      from privacy_request r
     where r.workspace_id = $1 and r.kind = 'erase' and r.status = 'pending' and r.origin = 'retention' and r.run_at <= now()
     order by r.run_at, r.id
     limit $2"""


async def inactive_due(db: Reader, limit: int) -> dict[UUID, UUID]:
    """Requests about customers of whom nothing was heard, and whose time has come: request → customer."""
    return dict(await db.rows(DUE, limit))


async def erase_inactive(tx: Tx, due: Mapping[UUID, UUID], files: Files) -> None:
    """Erases customers of whom nothing was heard together; each request gets the certificate of all. Cancelled ones stay."""
    started = await tx.column(START, list(due))
    if not started:
        return
    customers = await tx.column(WHOM, [due[id] for id in started])
    done = await erasing.run(tx, customers, started[0], files)
    await complete(tx, started[0], done, started[1:])


async def complete(tx: Tx, id: UUID, done: Erased, others: Sequence[UUID] = ()) -> None:
    """Keeps the certificate of an erasure, and that it was done; `others` are requests that were done with it."""
    done_with = [id, *others]
    await tx.run(COMPLETE, done_with, clock.now(), json_bytes(done))
    tx.changes += [Change("privacyRequest", one, "status", "running", "completed") for one in done_with]
    await audit.record(tx, "privacy.erase", id)


BAR_AGAIN: Final = """
    insert into erased_contact (workspace_id, contact_hash, customer_id, request_id, erased_at)
    select $1, n.contact_hash, $2, $3, $4
      from unnest($5::bytea[]) as n (contact_hash)
     order by n.contact_hash
        on conflict (workspace_id, contact_hash) do nothing"""


async def bar_again(
    tx: Tx, hashes: Sequence[bytes], customer_id: UUID | None, request_id: UUID, erased_at: datetime
) -> int:
    """Bars contacts that were barred when they were; how many a restore had brought back."""
    return await tx.run(BAR_AGAIN, customer_id, request_id, erased_at, list(hashes)) if hashes else 0


async def erase_again(
    tx: Tx, former: UUID, back: tuple[Sequence[UUID], Sequence[UUID]], telling: Files, erased_at: datetime
) -> UUID:
    """Erases customers and orders that a restore brought back; what was placed meanwhile stays a new customer's."""
    customers, orders = back
    reason = f"replay of {former}, {erased_at:%Y-%m-%d}"
    first = customers[0] if customers else None
    id, _ = await _add(tx, "erase", first, origin="replay", reason=reason, defers=False)
    await start(tx, id)
    done = await erasing.run(tx, customers, id, telling, orders, at=erased_at)
    await complete(tx, id, done)
    return id


# --- settings ------------------------------------------------------------------------------------------------------------

SET: Final = """
    insert into privacy_setting as s (workspace_id, erase_delay_days, raw_webhook_days, import_file_days, export_file_days,
           idempotency_hours, audit_days, inactive_customer_months)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (workspace_id) do update
       set erase_delay_days = excluded.erase_delay_days, raw_webhook_days = excluded.raw_webhook_days,
           import_file_days = excluded.import_file_days, export_file_days = excluded.export_file_days,
           idempotency_hours = excluded.idempotency_hours, audit_days = excluded.audit_days,
           inactive_customer_months = excluded.inactive_customer_months, updated_at = now(), version = s.version + 1
     where $9::integer is null or s.version = $9"""


async def set_retention(tx: Tx, new: NewRetention, version: int | None = None) -> Retention:
    """Says for how long this workspace keeps things from now on; where told, only if they are at that version. Raises Stale."""
    old = await queries.retention(tx)
    if version is not None and old.version != version:
        raise Stale(f"It is at version {old.version} now.")
    values = [getattr(new, field) for field in new.__struct_fields__]
    is_new = any(getattr(old, field) != getattr(new, field) for field in new.__struct_fields__) or old.version == 0
    if is_new and not await tx.run(SET, *values, version):
        raise Stale(f"It is at version {(await queries.retention(tx)).version} now.")
    found = await queries.retention(tx)
    tx.changed("retention", tx.workspace_id, old, found, new.__struct_fields__)
    return found


ADD_INACTIVE: Final = """
    insert into privacy_request (workspace_id, id, kind, status, customer_id, origin, actor, actor_name, run_at, due_at)
    select $1, n.id, 'erase', 'pending', n.customer_id, 'retention', 'system', 'Retention', $2, $3
      from unnest($4::uuid[], $5::uuid[]) as n (id, customer_id)
        on conflict (workspace_id, customer_id, kind) where status in ('pending', 'running') and customer_id is not null
        do nothing"""


async def ask_for_inactive(tx: Tx, customer_ids: Sequence[UUID], run_at: datetime) -> None:
    """Asks for customers to be erased of whom nothing was heard for as long as the workspace wants: one job does all of that time."""
    if not customer_ids:
        return
    rows = list(zip(ids.many(len(customer_ids)), customer_ids, strict=True))
    await tx.many(ADD_INACTIVE, rows, run_at, clock.now() + ANSWERED_IN)
    await defer(tx, INACTIVE_JOB, run_at=run_at, singleton=run_at.isoformat())
