"""Customers are found and listed, with their figures."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.customers.model import Address, Customer, CustomerMerged, CustomerNotFound, Status
from supover.customers.rules import NUMBER_MARKS, PREFIX_LENGTH, Term
from supover.kit import filters, text
from supover.kit.db import Reader, Tx
from supover.kit.sql import Page, Sort, Where, like

_COLUMNS: Final = """c.id, c.external_id, c.email, c.name, c.phone, c.date_of_birth, c.gender,
           case when c.avatar_key is not null then '/api/customers/' || c.id || '/avatar' end,
           c.status, c.status = 'BLOCKED', c.source, c.country,
           round(coalesce(m.total_spent, 0), w.digits), coalesce(m.order_count, 0),
           round(coalesce(m.average_order_value, 0), w.digits), m.first_order_at, m.last_order_at,
           round(coalesce(m.lifetime_value, 0), w.digits), coalesce(m.total_orders, 0), coalesce(m.total_orders, 0) > 1,
           coalesce(m.orders_count, 0), w.currency, coalesce(m.by_currency, jsonb_build_object()),
           case when c.deleted_at is null then coalesce(
               (select k.rfm_group from customer_rfm k where k.workspace_id = $1 and k.customer_id = c.id),
               (select 'PROSPECTS' from rfm_run r where r.workspace_id = $1)) end,
           cp.churn_risk,
           c.tags, c.custom_fields, c.created_at, c.updated_at, c.deleted_at, c.merged_into_id, c.version"""
_FROM: Final = """customer c
      join workspace w on w.workspace_id = $1
      left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
      left join customer_prediction cp on cp.workspace_id = $1 and cp.customer_id = c.id"""
_ADDRESSES: Final = """(
           select coalesce(jsonb_agg(jsonb_build_array(
                      a.id, a.customer_id, a.type, a.is_default, a.line1, a.line2, a.city, a.state, a.postal_code, a.country,
                      a.recipient_name, a.phone, a.validated_at, a.validation_skipped, a.created_at, a.updated_at, a.version)
                      order by a.is_default desc, a.id), '[]')
             from address a where a.workspace_id = $1 and a.customer_id = c.id)"""

FIND: Final = f"""
    select {_COLUMNS}
      from {_FROM}
     where c.workspace_id = $1 and c.id = $2"""
FIND_WITH_ADDRESSES: Final = f"""
    select {_COLUMNS}, {_ADDRESSES}
      from {_FROM}
     where c.workspace_id = $1 and c.id = $2"""


async def find(
    db: Reader, id: UUID, *, deleted: bool = False, merged: bool = False, addresses: bool = False, below: str = ""
) -> Customer:
    """One customer; a deleted or merged one only where asked. Raises CustomerNotFound, CustomerMerged."""
    if addresses:
        rows = await db.rows(FIND_WITH_ADDRESSES, id)
        customer = _with_addresses(rows[0]) if rows else None
    else:
        customer = await db.maybe(Customer, FIND, id)
    if customer is None:
        raise CustomerNotFound
    if customer.merged_into_id is not None:
        if merged:
            return customer
        raise CustomerMerged.into(customer.merged_into_id, below)
    if customer.deleted_at is not None and not deleted:
        raise CustomerNotFound
    return customer


SOME: Final = f"""
    select {_COLUMNS}
      from {_FROM}
     where c.workspace_id = $1 and c.id = any($2::uuid[])"""


async def some(db: Reader, ids: Sequence[UUID]) -> list[Customer]:
    """Those of these customers that there are, deleted and merged ones too, in the order in which they are named."""
    found = {one.id: one for one in await db.all(Customer, SOME, list(ids))}
    return [found[id] for id in dict.fromkeys(ids) if id in found]


WRITTEN: Final = f"""
    select (select s.stamp from custom_field_stamp s where s.workspace_id = $1), {_COLUMNS}
      from {_FROM}
     where c.workspace_id = $1 and c.id = $2"""


async def written(tx: Tx, id: UUID) -> tuple[Customer, UUID | None]:
    """A customer whom this transaction wrote, and the stamp of the custom fields' definitions as they are now."""
    [(stamp, *customer)] = await tx.rows(WRITTEN, id)
    return Customer(*customer), stamp


def _with_addresses(row: Sequence[Any]) -> Customer:
    return msgspec.structs.replace(Customer(*row[:-1]), addresses=[_address(a) for a in row[-1]])


def _address(row: Sequence[Any]) -> Address:
    return msgspec.convert(dict(zip(Address.__struct_encode_fields__, row, strict=True)), Address)


EXISTS: Final = "select deleted_at, merged_into_id, name from customer where workspace_id = $1 and id = $2"
# Whoever writes holds the row, so that nobody merges the customer before what is added is there to be moved.
HELD: Final = f"{EXISTS} for key share"


async def exists(db: Reader, id: UUID, below: str = "") -> str | None:
    """Makes sure that this customer is living, and returns the name. Raises CustomerNotFound, CustomerMerged.

    In a transaction that writes, nobody merges the customer until it ends. A merged one's answer leads to what stands `below`
    the survivor, such as '/notes'.
    """
    rows = await db.rows(HELD if isinstance(db, Tx) else EXISTS, id)
    if not rows:
        raise CustomerNotFound
    [(deleted_at, merged_into_id, name)] = rows
    if merged_into_id is not None:
        raise CustomerMerged.into(merged_into_id, below)
    if deleted_at is not None:
        raise CustomerNotFound
    return name


ONE_PERSON: Final = "select c.id from customer c where c.workspace_id = $1 and c.merged_into_id = $2 order by c.id"


async def one_person(db: Reader, id: UUID) -> list[UUID]:
    """The ids that a customer has had: its own, and of those who were merged into it."""
    return [id, *await db.column(ONE_PERSON, id)]


ZONE: Final = "select timezone from workspace where workspace_id = $1"


async def zone(db: Reader) -> ZoneInfo:
    """The workspace's time zone."""
    return ZoneInfo(await db.value(ZONE))


# --- lists ---------------------------------------------------------------------------------------------------------------

# Word for word the expressions of the indexes customer_name, customer_email_order and customer_metrics_last.
SORTS: Final = (
    Sort("createdAt", "c.created_at", "c.id", datetime, descending_first=True),
    Sort("updatedAt", "c.updated_at", "c.id", datetime),
    Sort("name", r"left(coalesce(ext.fold(c.name), U&'\+10FFFF'), 200)", "c.id", str),
    Sort("email", r"coalesce(lower(c.email), U&'\+10FFFF')", "c.id", str),
    Sort("totalSpent", "m.total_spent", "m.customer_id", Decimal),
    Sort("orderCount", "m.order_count", "m.customer_id", int),
    Sort("averageOrderValue", "m.average_order_value", "m.customer_id", Decimal),
    Sort("lifetimeValue", "m.lifetime_value", "m.customer_id", Decimal),
    Sort(
        "lastOrderDate",
        "coalesce(m.last_order_at, timestamptz '1900-01-01 00:00:00+00')",
        "m.customer_id",
        datetime,
    ),
)

LIST: Final = f"""
    select {{key}}, {_COLUMNS}
      from {_FROM}
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
LIST_WITH_ADDRESSES: Final = f"""
    select {{key}}, {_COLUMNS}, {_ADDRESSES}
      from {_FROM}
     where {{where}}
     order by {{order}}
     limit {{limit}}"""
_FIGURES: Final = "join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id"
# A filter asks of customers without figures too; where it asks of no figure, the planner leaves them out.
_FIGURES_IF_ANY: Final = f"left {_FIGURES}"
SKIP: Final = """
    select passed.key, passed.id, passed.n
      from (select {key} as key, c.id, row_number() over (order by {order}) as n
              from customer c
              {figures}
             where {where}
             order by {order}
             limit {limit}) as passed
     order by passed.n desc
     limit 1"""
COUNT: Final = """
    select count(*)
      from customer c
      {figures}
     where {where}"""

# Whoever has figures is a customer; the few who are deleted are left out.
COUNT_BY_FIGURES: Final = """
    select count(*)
      from customer_metrics m
     where {where}
       and not exists (select 1 from customer d
                        where d.workspace_id = $1 and d.id = m.customer_id and d.deleted_at is not null)"""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of customers is narrowed by; None or nothing does not narrow."""

    terms: Sequence[Term] = ()
    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    status: Sequence[Status] = ()
    source: Sequence[str] = ()
    tag: Sequence[str] = ()
    country: str | None = None
    min_spent: Decimal | None = None
    max_spent: Decimal | None = None
    min_orders: int | None = None
    is_repeat: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    segment: UUID | None = None
    tree: filters.Tree | None = None
    deleted: bool = False
    merged: bool = False

    def of_figures(self) -> bool:
        """Whether it is narrowed by what customers are worth."""
        return any(f is not None for f in (self.min_spent, self.max_spent, self.min_orders, self.is_repeat))


# Word for word the expression of the index order_number. The shortest numbers come first, so that an exact one is among those
# that are looked at. More than a thousand orders that begin alike tell nothing about a customer.
_NUMBERED: Final = """(select o.customer_id from "order" o
             where o.workspace_id = $1 and lower(coalesce(o.number, o.external_id)) {is_number} and o.customer_id is not null
             order by lower(coalesce(o.number, o.external_id)) using ~<~ limit 1000)"""


def _add_term(where: Where, term: Term) -> None:
    found = where.arg(term.text)
    if term.exact:
        # Every value begins after a space.
        ways = [
            f"(c.search like ext.search_pattern(' ' || {found}) and (lower(c.email) = lower({found})"
            f" or ext.fold(c.name) = ext.fold({found}) or lower(c.external_id) = lower({found})))"
        ]
    else:
        ways = [f"c.search like ext.search_pattern({_prefixed(term.text, found)})"]
        ways += [f"c.search like ext.search_pattern({_prefixed(s, where.arg(s))})" for s in term.spellings]
    for given in term.digits:
        digits = where.arg(given)
        ways.append(
            _phone_is(digits) if term.exact else f"c.search like ext.search_pattern({_prefixed(given, digits)})"
        )
    if term.number is not None:
        if term.exact or len(term.number) <= PREFIX_LENGTH:
            asked = [f"= lower({where.arg(mark + term.number)})" for mark in NUMBER_MARKS]
        else:
            asked = [f"like lower({where.arg(mark + like(term.number) + '%')})" for mark in NUMBER_MARKS]
        # Each by itself: two beginnings in one condition would be looked for in every order of the workspace.
        found = " union all ".join(_NUMBERED.replace("{is_number}", is_number) for is_number in asked)
        ways.append(f"c.id = any(array({found}))")
    where.add("(" + " or ".join(ways) + ")")


def _phone_is(digits: str) -> str:
    return (
        f"(c.search like ext.search_pattern(' ' || {digits})"
        rf" and (regexp_replace(c.phone, '\D', '', 'g') = {digits} or c.phone_e164 = '+' || {digits}))"
    )


def _prefixed(term: str, placeholder: str) -> str:
    # One or two letters are looked for where a word begins.
    return f"' ' || {placeholder}" if len(term) <= PREFIX_LENGTH else placeholder


_MEMBER: Final = (
    """c.id in (select s.customer_id from segment_member s where s.workspace_id = $1 and s.segment_id = {})"""
)


def where_of(f: Filters) -> Where:
    """The conditions that narrow a list so, on the customers as `c` and their figures as `m`."""
    where = Where("c.workspace_id = $1")
    if f.merged and not f.deleted:
        where.also("(c.deleted_at is null or c.merged_into_id is not null)")
    elif not f.merged:
        where.also("c.merged_into_id is null" if f.deleted else "c.deleted_at is null")
    for term in f.terms:
        _add_term(where, term)
    if f.email is not None:
        # Only an index without a condition tells the planner how few have one email.
        where.add(r"coalesce(lower(c.email), U&'\+10FFFF') = lower({})", f.email)
    if f.phone is not None:
        where.add(_phone_is(where.arg(text.phone_digits(f.phone))))
    if f.external_id is not None:
        # Found by the trigrams of the search; equality alone has no index.
        external_id = where.arg(f.external_id)
        where.add(f"c.external_id = {external_id} and c.search like ext.search_pattern(' ' || {external_id})")
    if f.status:
        where.add("c.status = any({}::text[])", list(f.status))
    if f.source:
        where.add("c.source = any({}::text[])", list(f.source))
    if f.tag:
        where.add("ext.lower_all(c.tags) @> ext.lower_all({}::text[])", list(f.tag))
    if f.country is not None:
        where.add("lower(c.country) = lower({})", f.country)
    _add_figures(where, f)
    if f.created_from is not None:
        where.add("c.created_at >= {}", f.created_from)
    if f.created_to is not None:
        where.add("c.created_at < {}", f.created_to)
    if f.segment is not None:
        where.add(_MEMBER, f.segment)
    if f.tree is not None:
        where.also(filters.condition(f.tree, where))
    return where


def _add_figures(where: Where, f: Filters) -> None:
    if f.min_spent is not None:
        where.add("m.total_spent >= {}", f.min_spent)
    if f.max_spent is not None:
        where.add("m.total_spent <= {}", f.max_spent)
    if f.min_orders is not None:
        where.add("m.order_count >= {}", f.min_orders)
    if f.is_repeat is not None:
        where.add("m.total_orders > 1" if f.is_repeat else "m.total_orders <= 1")


SEGMENT: Final = "select g.id from segment g where g.workspace_id = $1 and g.id = $2"


async def has_segment(db: Reader, id: UUID) -> bool:
    """Whether there is such a segment, by which the list can be narrowed."""
    return await db.value(SEGMENT, id) is not None


async def search(
    db: Reader, asked: Filters, page: Page, *, count: bool = False, addresses: bool = False
) -> tuple[list[Customer], str | None, int | None]:
    """A page of customers, the cursor of the next one, and how many there are where asked. One statement for each.

    A list sorted by a figure has no customer without figures: each gets them when created, or from history when counted.
    """
    where = where_of(asked)
    figures = _FIGURES if asked.of_figures() else _FIGURES_IF_ANY if asked.tree else ""
    total = await _count(db, asked, where, figures) if count else None
    if total == 0:
        # In the order of a figure everybody would be looked at for nothing.
        return [], None, 0
    if page.sort.id == "m.customer_id":
        where.add("m.workspace_id = $1")
        figures = _FIGURES
    if page.skip:
        page = await _skipped(db, where, page, figures)
        if page.skip:
            return [], None, total
    page.seek(where)
    statement = LIST_WITH_ADDRESSES if addresses else LIST
    sql = statement.format(key=page.sort.key, where=where.text(), order=page.order(), limit=page.rows())
    rows = await db.rows(sql, *where.values)
    make = _with_addresses if addresses else _without_addresses
    found = [make(row[1:]) for row in rows[: page.limit]]
    if len(rows) <= page.limit:
        return found, None, total
    return found, page.cursor(rows[page.limit - 1][0], found[-1].id), total


async def _count(db: Reader, asked: Filters, where: Where, figures: str) -> int:
    rest = msgspec.structs.replace(asked, min_spent=None, max_spent=None, min_orders=None, is_repeat=None)
    if asked.of_figures() and where_of(rest).text() == where_of(Filters()).text():
        by_figures = Where("m.workspace_id = $1")
        _add_figures(by_figures, asked)
        return await db.value(COUNT_BY_FIGURES.format(where=by_figures.text()), *by_figures.values)
    return await db.value(COUNT.format(where=where.text(), figures=figures), *where.values)


def _without_addresses(row: Sequence[Any]) -> Customer:
    return Customer(*row)


async def _skipped(db: Reader, where: Where, page: Page, figures: str) -> Page:
    """The page that starts after the rows to skip; left as it is when there are no more than those."""
    asked = Where()
    asked.values = list(where.values)
    limit = asked.arg(page.skip)
    order = page.order()
    sql = SKIP.format(key=page.sort.key, where=where.text(), order=order, limit=limit, figures=figures)
    rows = await db.rows(sql, *asked.values)
    if not rows or rows[0][2] < page.skip:
        return page
    [(key, id, _)] = rows
    return msgspec.structs.replace(page, after=(key, id), skip=0)
