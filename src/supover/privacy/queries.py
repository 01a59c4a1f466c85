"""Requests, settings, and which rows are a person's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.customers.model import CustomerMerged, CustomerNotFound
from supover.kit.db import Reader, Tx
from supover.kit.sql import Page, Sort, Where
from supover.privacy.model import (
    Certificate,
    Erased,
    ErasureNotFound,
    Kind,
    Person,
    PrivacyRequest,
    RequestNotFound,
    Retention,
    Status,
    Stored,
)

# --- requests ------------------------------------------------------------------------------------------------------------

_COLUMNS: Final = """r.id, r.kind, r.status, r.customer_id, r.origin, r.reason, r.actor, r.actor_name, r.run_at, r.due_at, r.created_at,
           r.started_at, r.finished_at, r.cancelled_by, r.error"""
FIND: Final = f"""
    select r.file_key, r.page_key, {_COLUMNS}
      from privacy_request r
     where r.workspace_id = $1 and r.id = $2"""

Found = tuple[PrivacyRequest, str | None, str | None]
"""A request, and the keys of its files while those are kept."""


def _found(row: Sequence[Any]) -> Found:
    return PrivacyRequest(*row[2:]), row[0], row[1]


async def find(db: Reader, id: UUID) -> Found:
    """One request. Raises RequestNotFound."""
    rows = await db.rows(FIND, id)
    if not rows:
        raise RequestNotFound
    return _found(rows[0])


OF_CUSTOMER: Final = f"""
    select r.file_key, r.page_key, {_COLUMNS}
      from privacy_request r
     where r.workspace_id = $1 and r.customer_id = any($2::uuid[])
     order by r.id desc
     limit 200"""


async def of_customers(db: Reader, customer_ids: Sequence[UUID]) -> list[Found]:
    """The requests about these customers, newest first."""
    return [_found(row) for row in await db.rows(OF_CUSTOMER, list(customer_ids))]


TO_BE_ERASED: Final = """
    select r.id, r.run_at
      from privacy_request r
     where r.workspace_id = $1 and r.customer_id = $2 and r.kind = 'erase' and r.status = 'pending'"""


async def to_be_erased(db: Reader, customer_id: UUID) -> tuple[UUID, datetime] | None:
    """The request that this customer is erased by, and when it runs; None where nobody asked for it."""
    rows = await db.rows(TO_BE_ERASED, customer_id)
    return (rows[0][0], rows[0][1]) if rows else None


SORTS: Final = (
    Sort("createdAt", "r.created_at", "r.id", datetime, descending_first=True),
    Sort("dueAt", "r.due_at", "r.id", datetime),
)
LIST: Final = f"""
    select r.file_key, r.page_key, {_COLUMNS}
      from privacy_request r
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
COUNT: Final = "select count(*) from privacy_request r where {where}"


async def search(
    db: Reader,
    page: Page,
    *,
    kind: Kind | None = None,
    status: Status | None = None,
    customer_id: UUID | None = None,
    count: bool = False,
) -> tuple[Sequence[Found], str | None, int | None]:
    """A page of requests, the cursor of the next, and how many there are where asked."""
    where = Where("r.workspace_id = $1")
    if kind is not None:
        where.add("r.kind = {}", kind)
    if status is not None:
        where.add("r.status = {}", status)
    if customer_id is not None:
        where.add("r.customer_id = {}", customer_id)
    total = await db.value(COUNT.format(where=where.text()), *where.values) if count else None
    page.seek(where)
    sql = LIST.format(where=where.text(), order=page.order(), limit=page.rows())
    found = [_found(row) for row in await db.rows(sql, *where.values)]
    if len(found) <= page.limit:
        return found, None, total
    last = found[page.limit - 1][0]
    key = last.due_at if page.sort.name == "dueAt" else last.created_at
    return found[: page.limit], page.cursor(key, last.id), total


STORED: Final = """
    select r.id, r.kind, r.status, r.customer_id, r.origin, r.connection_id, r.order_external_ids, r.actor, r.actor_name, r.created_at,
           r.certificate
      from privacy_request r
     where r.workspace_id = $1 and r.id = $2"""


async def stored(db: Reader, id: UUID) -> Stored:
    """What running a request needs. Raises RequestNotFound."""
    return await db.one(Stored, STORED, id, missing=RequestNotFound)


CERTIFICATE: Final = """
    select r.id, r.status, r.actor, r.created_at, r.finished_at, r.certificate
      from privacy_request r
     where r.workspace_id = $1 and r.id = $2 and r.kind <> 'export'"""


async def certificate(db: Reader, id: UUID) -> Certificate:
    """What an erasure did, or nothing yet. Raises ErasureNotFound."""
    rows = await db.rows(CERTIFICATE, id)
    if not rows:
        raise ErasureNotFound
    [(id, status, actor, created_at, finished_at, said)] = rows
    done = Erased() if said is None else msgspec.convert(said, Erased)
    return Certificate(
        id=id,
        status=status,
        customer_ids=done.customer_ids,
        requested_by=actor,
        requested_at=created_at,
        erased_at=finished_at if status == "completed" else None,
        rows=done.rows,
        orders_kept=done.orders_kept,
        files=done.files,
        contacts_barred=done.contacts_barred,
    )


ABOUT: Final = "select true from privacy_request r where r.workspace_id = $1 and r.id = $2 and r.customer_id = $3"


async def is_about(db: Reader, id: UUID, customer_id: UUID) -> bool:
    """Whether a request is about this customer."""
    return bool(await db.value(ABOUT, id, customer_id))


# --- settings ------------------------------------------------------------------------------------------------------------

RETENTION: Final = """
    select s.erase_delay_days, s.raw_webhook_days, s.import_file_days, s.export_file_days, s.idempotency_hours, s.audit_days,
           s.inactive_customer_months, s.version
      from privacy_setting s
     where s.workspace_id = $1"""
DEFAULTS: Final = Retention(0, 30, 7, 7, 24, None, None, 0)


async def retention(db: Reader) -> Retention:
    """For how long this workspace keeps things."""
    return await db.maybe(Retention, RETENTION) or DEFAULTS


# --- whose rows ----------------------------------------------------------------------------------------------------------

PEOPLE: Final = """
    with recursive people as (
        select c.id from customer c where c.workspace_id = $1 and c.id = any($2::uuid[])
        union
        select t.id from people p join customer t on t.workspace_id = $1 and t.merged_into_id = p.id)
    select p.id from people p order by p.id"""
ORDERS: Final = """
    select o.id from "order" o where o.workspace_id = $1 and o.customer_id = any($2::uuid[]) order by o.id"""
MERGES: Final = """
    select m.id from customer_merge m
     where m.workspace_id = $1 and (m.primary_id = any($2::uuid[]) or m.duplicate_ids && $2::uuid[])
     order by m.id"""
ROWS: Final = """
    select n.id from customer_note n where n.workspace_id = $1 and n.customer_id = any($2::uuid[])
    union all
    select a.id from address a where a.workspace_id = $1 and a.customer_id = any($2::uuid[])
    union all
    select i.id from customer_identity i where i.workspace_id = $1 and i.customer_id = any($2::uuid[])
    union all
    select e.id from consent_entry e where e.workspace_id = $1 and e.customer_id = any($2::uuid[])
    union all
    select r.id from privacy_request r where r.workspace_id = $1 and r.customer_id = any($2::uuid[])"""


async def person(db: Reader, customer_ids: Sequence[UUID], more_orders: Sequence[UUID] = ()) -> Person:
    """All rows of these customers and of those that were merged into them; `more_orders` are meant, too."""
    customers = await db.column(PEOPLE, list(customer_ids)) if customer_ids else []
    orders = sorted({*(await db.column(ORDERS, customers) if customers else ()), *more_orders})
    merges = await db.column(MERGES, customers) if customers else []
    rows = await db.column(ROWS, customers) if customers else []
    return Person(customers, orders, merges, [*customers, *orders, *merges, *rows])


STANDING: Final = "select c.erased_at, c.merged_into_id from customer c where c.workspace_id = $1 and c.id = $2"
# Whoever asks for something holds the row, so that nobody merges the customer before that stands there.
HELD: Final = f"{STANDING} for key share"


class Standing(msgspec.Struct, frozen=True):
    """Where a customer stands, deleted or not."""

    erased_at: datetime | None
    merged_into_id: UUID | None


async def is_erased(db: Reader, customer_id: UUID, below: str) -> bool:
    """Whether a customer, deleted or not, was erased. In a transaction that writes, nobody merges them until it ends.

    Raises CustomerNotFound; CustomerMerged, leading to what stands `below` the survivor.
    """
    found = await db.one(Standing, HELD if isinstance(db, Tx) else STANDING, customer_id, missing=CustomerNotFound)
    if found.merged_into_id is not None:
        raise CustomerMerged.into(found.merged_into_id, below)
    return found.erased_at is not None
