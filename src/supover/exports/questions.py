"""What an export asks the database: one statement for a whole file, put together from the columns and conditions asked for.

A statement is built of constants; each value stands in it as an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import custom_fields, filtering
from supover.customers import queries as customers
from supover.customers import rules as customer_rules
from supover.exports import columns
from supover.exports.columns import Column, Needs
from supover.exports.model import AddressExport, Asked, CustomerExport, Kind, OrderExport
from supover.kit import countries, sql
from supover.kit.db import Reader
from supover.kit.problems import FieldError, Invalid
from supover.kit.sql import Sort, Where
from supover.orders import queries as orders

BY_ID: Final[Mapping[Kind, Sort]] = {
    "customers": Sort("id", "c.id", "c.id", UUID),
    "addresses": Sort("id", "c.id", "c.id", UUID),
    "orders": Sort("id", "o.id", "o.id", UUID),
}

FIGURES: Final = "left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id"
# Every customer has figures; so joined, the index of one can give the order.
BY_FIGURE: Final = "join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id"
JOINS: Final[Mapping[Needs, str]] = {
    "figures": FIGURES,
    "email": """left join consent e on e.workspace_id = $1 and e.customer_id = c.id and e.channel = 'email' and e.topic = 'marketing'""",
    "sms": """left join consent s on s.workspace_id = $1 and s.customer_id = c.id and s.channel = 'sms' and s.topic = 'marketing'""",
    "whatsapp": """left join consent t on t.workspace_id = $1 and t.customer_id = c.id and t.channel = 'whatsapp'
       and t.topic = 'marketing'""",
    "buyer": "left join customer c on c.workspace_id = $1 and c.id = o.customer_id",
}
PLACES: Final[Mapping[Kind, str]] = {
    "customers": "left join address a on a.workspace_id = $1 and a.customer_id = c.id",
    "addresses": "join address a on a.workspace_id = $1 and a.customer_id = c.id",
    "orders": "left join order_line l on l.workspace_id = $1 and l.order_id = o.id",
}
WITHIN: Final[Mapping[Kind, str]] = {
    "customers": "a.is_default desc, a.id",
    "addresses": "a.is_default desc, a.id",
    "orders": "l.position",
}
"""The order of rows below one another."""

# Each says in the server's log what it is for.
CUSTOMERS: Final = """
    select /* export */ {cells}
      from customer c
      {joins}
     where {where}
    {window}
     order by {order}"""
ORDERS: Final = """
    select /* export */ {cells}
      from "order" o
      {joins}
     where {where}
    {window}
     order by {order}"""
LINES: Final = """
    select row_to_json(r)
      from (select {members}
              from {table}
              {joins}
             where {where}
             order by {order}) as r"""

# The first row of those that belong together: the one before it is another's.
FIRST: Final = "case when lag({id}) over along is distinct from {id}{also} then {cell} end"
ALONG: Final = "window along as (order by {order})"
ADDRESSES: Final = """(select coalesce(json_agg(json_build_object({members}) order by a.is_default desc, a.id), '[]')
                 from address a where a.workspace_id = $1 and a.customer_id = c.id)"""
ORDER_LINES: Final = """(select coalesce(json_agg(json_build_object({members}) order by l.position), '[]')
                 from order_line l where l.workspace_id = $1 and l.order_id = o.id)"""
SOME_CUSTOM: Final = """(select coalesce(jsonb_object_agg(k.key, c.custom_fields -> k.key), '{{}}')
                 from unnest({keys}::text[]) as k (key) where coalesce(c.custom_fields -> k.key not in ('null', '""'), false))"""


class Nest(msgspec.Struct, frozen=True):
    """What an object of JSON holds as a list: its name there, and the columns of its members."""

    name: str
    columns: Sequence[Column]


class Question(msgspec.Struct, frozen=True):
    """What is asked for, checked: the columns in their order, and how their rows are found."""

    kind: Kind
    columns: Sequence[Column]
    conditions: Where
    sort: Sort
    descending: bool

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    @property
    def nest(self) -> Nest | None:
        """What stands in JSON as a list below each row."""
        below = [column for column in self.columns if column.below]
        if not below or self.kind == "addresses":
            return None
        return Nest("addresses" if self.kind == "customers" else "lines", below)

    def cells(self) -> tuple[str, Sequence[object]]:
        """The statement of rows of cells, with its arguments."""
        where = _copy(self.conditions)
        has_below = any(column.below for column in self.columns)
        is_first = has_below and self.kind != "addresses"
        id = BY_ID[self.kind].id
        cells: list[str] = []
        for column in self.columns:
            cell = _filled(column.cell, column, where)
            if is_first and not column.below and (not column.is_repeated or column.repeats_if):
                also = f" or {column.repeats_if}" if column.repeats_if else ""
                cell = FIRST.format(id=id, also=also, cell=cell)
            cells.append(cell)
        if len(cells) == 1:
            # A row of nothing would be no row.
            cells = [f"coalesce(({cells[0]})::text, '')"]
        joins = [*self._joins(self.columns), *([PLACES[self.kind]] if has_below or self.kind == "addresses" else [])]
        order = self._order() + (f", {WITHIN[self.kind]}" if has_below or self.kind == "addresses" else "")
        template = ORDERS if self.kind == "orders" else CUSTOMERS
        text = template.format(
            cells=",\n           ".join(cells),
            joins="\n      ".join(joins),
            where=where.text(),
            window=ALONG.format(order=order) if is_first else "",
            order=order,
        )
        return text, where.values

    def objects(self) -> tuple[str, Sequence[object]]:
        """The statement of JSON objects as people read them, with its arguments: one a customer, address or order."""
        where = _copy(self.conditions)
        nest = self.nest
        names: list[str] = []
        keys = [column.key for column in self.columns if column.key is not None]
        is_whole = any(column.name == columns.CUSTOM for column in self.columns)
        for column in self.columns:
            if nest is not None and column is nest.columns[0]:
                names.append(f'{_nested(nest, self.kind)} as "{nest.name}"')
            elif column.key is not None:
                if column.key == keys[0] and not is_whole:
                    names.append(f'{SOME_CUSTOM.format(keys=where.arg(keys))} as "{columns.CUSTOM}"')
            elif nest is None or not column.below:
                names.append(f'{column.value} as "{column.name}"')
        return self._lines(names, where)

    def flat(self) -> tuple[str, Sequence[object]]:
        """The same as rows of a table with typed columns f0, f1 and so on; amounts and JSON are texts, for exactness."""
        where = _copy(self.conditions)
        nest = self.nest
        names: list[str] = []
        for n, column in enumerate(self.columns):
            if nest is not None and column.below:
                if column is nest.columns[0]:
                    names.append(f'{_nested(nest, self.kind, as_text=True)} as "f{n}"')
                continue
            value = _filled(column.value, column, where)
            if column.type in ("amount", "json") or column.key is not None:
                value = f"({value})::text"
            names.append(f'{value} as "f{n}"')
        return self._lines(names, where)

    def _lines(self, members: Sequence[str], where: Where) -> tuple[str, Sequence[object]]:
        nest = self.nest
        asked = [column for column in self.columns if nest is None or not column.below]
        joins = [*self._joins(asked), *([PLACES["addresses"]] if self.kind == "addresses" else [])]
        order = self._order() + (f", {WITHIN['addresses']}" if self.kind == "addresses" else "")
        text = LINES.format(
            members=",\n                   ".join(members),
            table='"order" o' if self.kind == "orders" else "customer c",
            joins="\n              ".join(joins),
            where=where.text(),
            order=order,
        )
        return text, where.values

    def _joins(self, asked: Iterable[Column]) -> list[str]:
        needs: dict[Needs, None] = dict.fromkeys(column.needs for column in asked if column.needs is not None)
        if self.sort.id == "m.customer_id":
            return [BY_FIGURE, *(JOINS[one] for one in needs if one != "figures")]
        if "m." in self.conditions.text():
            needs["figures"] = None
        return [JOINS[one] for one in needs]

    def _order(self) -> str:
        way = "desc" if self.descending else "asc"
        id = BY_ID[self.kind].id
        return f"{id} {way}" if self.sort.key == id else f"{self.sort.key} {way}, {id} {way}"


def _copy(where: Where) -> Where:
    made = Where(where.text())
    made.values = list(where.values)
    return made


def _filled(text: str, column: Column, where: Where) -> str:
    return text if column.key is None else text.replace("{key}", where.arg(column.key))


def _nested(nest: Nest, kind: Kind, *, as_text: bool = False) -> str:
    def value(column: Column) -> str:
        return f"({column.value})::text" if as_text and column.type == "amount" else column.value

    members = ", ".join(f"'{column.member}', {value(column)}" for column in nest.columns)
    return (ORDER_LINES if kind == "orders" else ADDRESSES).format(members=members)


# --- what is asked for ---------------------------------------------------------------------------------------------------

KEYS: Final = """
    select distinct k.key
      from customer c, jsonb_each(c.custom_fields - $2::text[]) as k (key, value)
     where c.workspace_id = $1 and c.deleted_at is null and c.custom_fields <> '{}' and c.custom_fields - $2::text[] <> '{}'
       and k.value not in ('null', '""', '[]')"""


async def question(db: Reader, kind: Kind, asked: Asked) -> Question:
    """What was asked for, checked in this workspace. Raises Invalid, FilterInvalid.

    Without `fields`, or with all custom fields among them, the customers' custom fields are passed over once for keys that
    nobody declared: about a second a million customers who have any.
    """
    if isinstance(asked, OrderExport):
        where = await _of_orders(db, asked)
        sort, descending = _sorted(orders.SORTS, kind, asked.sort)
        definitions = await custom_fields.definitions(db)
        return Question(kind, columns.chosen(kind, asked.fields, definitions), where, sort, descending)
    where = await _of_customers(db, asked)
    sort, descending = _sorted(await filtering.sorts(db, asked.sort), kind, asked.sort)
    definitions = await custom_fields.definitions(db)
    in_use: list[str] = []
    if columns.wants_all_custom(kind, asked.fields):
        in_use = await db.column(KEYS, list(definitions.by_key))
    return Question(kind, columns.chosen(kind, asked.fields, definitions, in_use), where, sort, descending)


async def count(db: Reader, kind: Kind, asked: Asked) -> int:
    """How many customers or orders an export is about; of addresses, whose. Raises Invalid, FilterInvalid."""
    if isinstance(asked, AddressExport):
        # Which of their addresses does not narrow whose they are.
        asked = msgspec.structs.replace(asked, type=(), address_country=None, is_default=None)
    where = await (_of_orders(db, asked) if isinstance(asked, OrderExport) else _of_customers(db, asked))
    if kind == "orders":
        return await db.value(orders.COUNT.format(where=where.text()), *where.values)
    return await db.value(customers.COUNT.format(where=where.text(), figures=FIGURES), *where.values)


def _sorted(sorts: Sequence[Sort], kind: Kind, wanted: str | None) -> tuple[Sort, bool]:
    try:
        page = sql.page([*sorts, BY_ID[kind]], limit=None, sort=wanted, cursor=None, default="id")
    except Invalid as error:
        raise _at_pointers(error) from None
    return page.sort, page.descending


def _at_pointers(error: Invalid) -> Invalid:
    """What is wrong with a parameter of a list, said of a member of a body."""
    return Invalid([FieldError(f"/{e.pointer.removeprefix('/')}", e.code, e.message, e.position) for e in error.errors])


async def _of_customers(db: Reader, asked: CustomerExport) -> Where:
    zone = await customers.zone(db)
    errors: list[FieldError] = []
    if asked.min_orders is not None and not 0 <= asked.min_orders < 2**31:
        errors.append(FieldError("/minOrders", "range", "must be a number of orders"))
    if asked.segment is not None and not await customers.has_segment(db, asked.segment):
        errors.append(FieldError("/segment", "unknown", "is no segment here"))
    if errors:
        raise Invalid(errors)
    try:
        filters = customers.Filters(
            terms=customer_rules.terms(asked.search or ""),
            status=asked.status,
            source=asked.source,
            tag=asked.tag,
            country=_country(asked.country),
            min_spent=sql.amount(asked.min_spent, "minSpent"),
            max_spent=sql.amount(asked.max_spent, "maxSpent"),
            min_orders=asked.min_orders,
            is_repeat=asked.is_repeat,
            created_from=sql.bound(asked.created_from, zone, "createdFrom") if asked.created_from else None,
            created_to=sql.bound(asked.created_to, zone, "createdTo", end=True) if asked.created_to else None,
            segment=asked.segment,
        )
    except Invalid as error:
        raise _at_pointers(error) from None
    if asked.filter is not None:
        filters = msgspec.structs.replace(filters, tree=await filtering.read(db, asked.filter))
    where = customers.where_of(filters)
    if asked.ids is not None:
        where.add("c.id = any({}::uuid[])", list(asked.ids))
    if isinstance(asked, AddressExport):
        if asked.type:
            where.add("a.type = any({}::text[])", list(asked.type))
        if country := _country(asked.address_country):
            where.add("lower(a.country) = lower({})", country)
        if asked.is_default is not None:
            where.add("a.is_default = {}::boolean", asked.is_default)
    return where


def _country(asked: str | None) -> str | None:
    return countries.code(asked) or asked.strip() if asked and asked.strip() else None


async def _of_orders(db: Reader, asked: OrderExport) -> Where:
    _, zone = await orders.currency_and_zone(db)
    if asked.customer_id is not None and not await db.rows(customers.EXISTS, asked.customer_id):
        raise Invalid.at("/customerId", "unknown", "is no customer here")
    try:
        filters = orders.Filters(
            customer_ids=[asked.customer_id] if asked.customer_id else (),
            status=asked.status,
            source=asked.source,
            placed_from=sql.bound(asked.placed_from, zone, "placedFrom") if asked.placed_from else None,
            placed_to=sql.bound(asked.placed_to, zone, "placedTo", end=True) if asked.placed_to else None,
            number=asked.number,
            min_total=sql.amount(asked.min_total, "minTotal"),
            max_total=sql.amount(asked.max_total, "maxTotal"),
            on_hold=asked.on_hold,
            rate_missing=asked.rate_missing,
            needs_review=asked.needs_review,
        )
    except Invalid as error:
        raise _at_pointers(error) from None
    where = orders.where_of(filters)
    if asked.ids is not None:
        where.add("o.id = any({}::uuid[])", list(asked.ids))
    return where
