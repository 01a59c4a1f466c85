"""What a file can hold: columns with the SQL of their cells. Pure.

The SQL names customers `c`, their figures `m`, addresses `a`, orders `o`, lines `l`. A cell is what CSV and XLSX hold,
guarded against spreadsheets; a value is what JSONL and Parquet hold, typed.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from supover.customers.custom_field_model import Definitions
from supover.exports.model import Kind
from supover.kit import tables
from supover.kit.problems import Invalid

Type = Literal["text", "number", "amount", "flag", "date", "time", "tags", "json"]
Needs = Literal["figures", "email", "sms", "whatsapp", "buyer"]

CUSTOM: Final = "customFields"
PREFIX: Final = "customFields."
CUSTOM_CELL: Final = "ext.custom_cell(c.custom_fields -> {key}::text, false, true)"
CUSTOM_TEXT: Final = "(c.custom_fields ->> {key}::text)"
NUMBER: Final = r"^-?[0-9]{1,33}(\.[0-9]{1,33})?$"
SPACE: Final = "E'" + "".join(f"\\u{ord(c):04x}" for c in tables.SPACE) + "'"
"""What reading takes off both ends of a cell; a text of custom fields may have it."""
MAX_CUSTOM: Final = 900
"""So many keys in use become columns: an import takes a thousand."""


class Column(msgspec.Struct, frozen=True):
    """A column: the SQL of its cell and of its value, and what else it asks for.

    `below`: it stands in every row of what has several; `is_repeated`: it does so as the profile's own, where `repeats_if` holds.
    `member` is its name in
    the nested objects of JSONL. `key` is a custom field's, put in for `{key}`.
    """

    name: str
    cell: str
    value: str
    type: Type = "text"
    needs: Needs | None = None
    below: bool = False
    is_repeated: bool = False
    repeats_if: str | None = None
    member: str = ""
    key: str | None = None


def _text(
    name: str, sql: str, *, below: bool = False, is_repeated: bool = False, member: str = "", needs: Needs | None = None
) -> Column:
    cell, value = f"ext.guarded({sql})", f"nullif({sql}, '')"
    return Column(name, cell, value, below=below, is_repeated=is_repeated, member=member, needs=needs)


def _plain(
    name: str, sql: str, type: Type = "text", *, needs: Needs | None = None, below: bool = False, member: str = ""
) -> Column:
    """A value of ours, which no spreadsheet runs."""
    return Column(name, sql, sql, type, needs, below, member=member)


def _flag(name: str, sql: str, *, needs: Needs | None = None, below: bool = False, member: str = "") -> Column:
    return Column(name, f"({sql})::text", sql, "flag", needs, below, member=member)


def _time(name: str, sql: str, needs: Needs | None = None) -> Column:
    return Column(name, f"ext.time_cell({sql})", f"ext.time_cell({sql})", "time", needs)


def _money(name: str, sql: str) -> Column:
    digits = "(select w.digits from workspace w where w.workspace_id = $1)"
    return _plain(name, f"round(coalesce({sql}, 0), {digits})", "amount", needs="figures")


def _phone(name: str, sql: str, *, below: bool = False, member: str = "") -> Column:
    return Column(name, f"ext.phone_cell({sql})", f"nullif({sql}, '')", below=below, member=member)


def _tags(name: str, sql: str) -> Column:
    cell = f"case when {sql} <> '{{}}' then ext.tags_cell({sql}, true) end"
    return Column(name, cell, sql, "tags")


_PROFILE: Final = (
    _text("externalId", "c.external_id", is_repeated=True),
    # Below a customer whom nothing else tells from others stands the address alone.
    msgspec.structs.replace(
        _text("source", "c.source", is_repeated=True), repeats_if="coalesce(c.external_id, c.email) is not null"
    ),
    _text("email", "c.email", is_repeated=True),
    _text("name", "c.name"),
    _phone("phone", "c.phone"),
    Column("dateOfBirth", "c.date_of_birth", "c.date_of_birth", "date"),
    _text("gender", "c.gender"),
    _plain("status", "c.status"),
    _text("country", "c.country"),
    _tags("tags", "c.tags"),
)
_PLACE: Final = (
    _plain("addressType", "a.type", below=True, member="type"),
    _flag("isDefault", "a.is_default", below=True, member="isDefault"),
    _text("recipientName", "a.recipient_name", below=True, member="recipientName"),
    _text("line1", "a.line1", below=True, member="line1"),
    _text("line2", "a.line2", below=True, member="line2"),
    _text("city", "a.city", below=True, member="city"),
    _text("state", "a.state", below=True, member="state"),
    _text("postalCode", "a.postal_code", below=True, member="postalCode"),
    _text("addressCountry", "a.country", below=True, member="country"),
    _phone("addressPhone", "a.phone", below=True, member="phone"),
)
_WHOLE: Final = Column(CUSTOM, "nullif(c.custom_fields, '{}')", "c.custom_fields", "json")
_STATE: Final = (
    _plain("id", "c.id"),
    _time("createdAt", "c.created_at"),
    _time("updatedAt", "c.updated_at"),
    _plain("emailMarketing", "e.state", needs="email"),
    _plain("smsMarketing", "s.state", needs="sms"),
    _plain("whatsappMarketing", "t.state", needs="whatsapp"),
)
_FIGURES: Final = (
    _money("totalSpent", "m.total_spent"),
    _plain("orderCount", "coalesce(m.order_count, 0)", "number", needs="figures"),
    _money("averageOrderValue", "m.average_order_value"),
    _time("firstOrderDate", "m.first_order_at", "figures"),
    _time("lastOrderDate", "m.last_order_at", "figures"),
    _money("lifetimeValue", "m.lifetime_value"),
    _plain("totalOrders", "coalesce(m.total_orders, 0)", "number", needs="figures"),
    _flag("isRepeatCustomer", "coalesce(m.total_orders, 0) > 1", needs="figures"),
    _plain("ordersCount", "coalesce(m.orders_count, 0)", "number", needs="figures"),
    _plain("currency", "(select w.currency from workspace w where w.workspace_id = $1)"),
)


def _amount(name: str, sql: str, *, below: bool = False, member: str = "") -> Column:
    """At its currency's digits; one that is finer, as a unit price may be, as it is."""
    shown = f"round({sql}, greatest(currency_digits(o.currency), min_scale({sql})))"
    return _plain(name, shown, "amount", below=below, member=member)


def _place(name: str, member: str) -> Column:
    return _text(name, f"o.shipping_address ->> '{member}'")


# In the order in which `supover orders import` tells of them.
_ORDER: Final = (
    _text("externalId", "o.external_id", is_repeated=True),
    _text("number", "o.number"),
    _text("shop", "o.shop", is_repeated=True),
    _time("placedAt", "o.placed_at"),
    _time("updatedAt", "o.source_updated_at"),
    _plain("status", "o.status"),
    _plain("currency", "o.currency"),
    _amount("subtotal", "o.subtotal"),
    _amount("shipping", "o.shipping"),
    _amount("tax", "o.tax"),
    _amount("discount", "o.discount"),
    _amount("total", "o.total"),
    _amount("refunded", "o.refunded"),
    _time("deliveredAt", "o.delivered_at"),
    _time("cancelledAt", "o.cancelled_at"),
    _text("customerExternalId", "case when c.source = o.source then c.external_id end", needs="buyer"),
    _text("email", "o.email"),
    _text("name", "o.name"),
    _phone("phone", "o.phone"),
    _place("country", "country"),
    _place("state", "state"),
    _place("city", "city"),
    _place("postalCode", "postalCode"),
    _place("line1", "line1"),
    _place("line2", "line2"),
    _text("sku", "l.sku", below=True, member="sku"),
    _text("title", "l.title", below=True, member="title"),
    _plain("quantity", "l.quantity", "number", below=True, member="quantity"),
    _amount("unitPrice", "l.unit_price", below=True, member="unitPrice"),
    _tags("tags", "o.tags"),
    _text("note", "o.note"),
)
_ORDER_MORE: Final = (
    _plain("id", "o.id"),
    _text("source", "o.source"),
    _plain("customerId", "o.customer_id"),
    _text("financialStatus", "o.financial_status"),
    _flag("onHold", "o.on_hold"),
    _text("holdReason", "o.hold_reason"),
    _flag("needsReview", "o.needs_review"),
    _plain("exchangeRate", "trim_scale(o.exchange_rate)", "amount"),
    _time("createdAt", "o.created_at"),
)

COLUMNS: Final[Mapping[Kind, Sequence[Column]]] = {
    "customers": (*_PROFILE, *_PLACE, _WHOLE, *_STATE, *_FIGURES),
    "addresses": (
        *_PROFILE,
        *_PLACE,
        _WHOLE,
        *_STATE,
        *_FIGURES,
        _plain("addressId", "a.id", below=True),
        _flag("validated", "a.validated_at is not null", below=True),
    ),
    "orders": (*_ORDER, *_ORDER_MORE),
}
"""All columns but those of custom fields."""

DEFAULT: Final[Mapping[Kind, Sequence[str]]] = {
    "customers": (*(c.name for c in _PROFILE), f"{PREFIX}*", *(c.name for c in _PLACE)),
    "addresses": ("externalId", "source", "email", "name", *(c.name for c in _PLACE)),
    "orders": tuple(c.name for c in _ORDER),
}
"""What a file holds unless told: what an import takes back."""


def wants_all_custom(kind: Kind, fields: Sequence[str] | None) -> bool:
    """Whether the columns depend on which custom fields are in use."""
    return f"{PREFIX}*" in (DEFAULT[kind] if fields is None else fields)


def chosen(
    kind: Kind, fields: Sequence[str] | None, definitions: Definitions, in_use: Iterable[str] = ()
) -> list[Column]:
    """The columns that are asked for, in their order. Raises Invalid at /fields/N for one that is not known, or comes twice.

    Custom fields: the declared ones in their order, then other keys in use by name.
    """
    known = {column.name: column for column in COLUMNS[kind]}
    found: list[Column] = []
    for n, name in enumerate(DEFAULT[kind] if fields is None else fields):
        if name in known:
            more = [known[name]]
        elif kind != "orders" and name == f"{PREFIX}*":
            keys = list(dict.fromkeys([*definitions.by_key, *sorted(in_use)]))
            if len(keys) > MAX_CUSTOM:
                raise Invalid.at(
                    "/fields", "length", f"{len(keys)} custom fields are in use: name those you want, or {CUSTOM}"
                )
            more = [custom(key, definitions) for key in keys]
        elif kind != "orders" and name.startswith(PREFIX) and len(name) > len(PREFIX) and "\0" not in name:
            more = [custom(name.removeprefix(PREFIX), definitions)]
        else:
            names = [*known, *([] if kind == "orders" else [f"{PREFIX}KEY"])]
            near = difflib.get_close_matches(name[:100].lower(), [one.lower() for one in names], 1)
            meant = next((one for one in names if near and one.lower() == near[0]), None)
            there = ", ".join(names)
            raise Invalid.at(
                f"/fields/{n}",
                "unknown",
                f"is no field of an export; did you mean {meant}? There are {there}"
                if meant
                else f"is no field of an export. There are {there}",
            )
        if {column.name for column in more} & {column.name for column in found}:
            raise Invalid.at(f"/fields/{n}", "twice", "is there twice")
        found += more
    return found


def custom(key: str, definitions: Definitions) -> Column:
    """The column of one custom field."""
    declared = definitions.meant(key)
    is_number = declared is not None and declared.type == "number"
    value = f"btrim({CUSTOM_CELL}, {SPACE})"
    if is_number:
        # Whether it was said as a number or as a text, so that both come back as one.
        value = f"case when {CUSTOM_TEXT} ~ '{NUMBER}' then trim_scale(({CUSTOM_TEXT})::numeric)::text else {value} end"
        cell = f"case when {CUSTOM_TEXT} ~ '{NUMBER}' then {value} else ext.guarded({value}) end"
    else:
        cell = f"ext.guarded({value})"
    value = f"nullif({value}, '')"
    return Column(PREFIX + key, cell, value, "number" if is_number else "text", key=key)
