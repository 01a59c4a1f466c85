"""How a file's row becomes an order: pure, column by column."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from supover.channels.model import ChannelLine, ChannelOrder, Contact, PostalAddress
from supover.imports.model import MOST_MISTAKES, ImportUnreadable, OrderImportOptions
from supover.kit import amounts, countries, money, text
from supover.kit.problems import FieldError, worded
from supover.kit.text import clean, listed
from supover.orders.rules import MAX_LINES, STATUSES, errors_of

TEXTS: Final = (
    "externalId", "number", "shop", "status", "currency", "customerExternalId", "email", "name", "phone", "country", "state", "city",
    "postalCode", "line1", "line2", "sku", "title", "tags", "note",
)  # fmt: skip
TIMES: Final = ("placedAt", "updatedAt", "deliveredAt", "cancelledAt")
AMOUNTS: Final = ("subtotal", "shipping", "tax", "discount", "total", "refunded", "unitPrice")
FIELDS: Final = (*TEXTS, *TIMES, *AMOUNTS, "quantity")
REQUIRED: Final = ("externalId", "placedAt", "total")

_PLACE_PARTS: Final = (
    ("line1", "line1"),
    ("line2", "line2"),
    ("city", "city"),
    ("state", "state"),
    ("postal_code", "postalCode"),
    ("country", "country"),
)

Row = tuple[int, list[str]]


SAMPLE_ROWS: Final = 2_000
"""By so many of its first rows is told how a file writes amounts."""


class RowRefused(Exception):
    """A row that cannot be an order, and all that is wrong with it."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


class Plan(msgspec.Struct, frozen=True):
    """Where each field stands in a row, and what is the same for all rows.

    `marks` stand before the decimals of the file's amounts, as far as they tell.
    """

    places: Mapping[str, int]
    fixed: Mapping[str, str]
    statuses: Mapping[str, str]
    source: str
    currency: str
    zone: ZoneInfo
    width: int
    marks: frozenset[amounts.Mark] = frozenset()


def plan(
    options: OrderImportOptions,
    header: Sequence[str],
    currency: str,
    zone: ZoneInfo,
    sample: Sequence[Sequence[str]] = (),
) -> Plan:
    """Reads the options against the header, and how the first rows write amounts.

    Raises ImportUnreadable naming every field, column and status that is wrong.
    """
    errors: list[FieldError] = []
    columns = {name.strip().lower(): n for n, name in reversed(list(enumerate(header)))}
    fields = {f.lower(): f for f in FIELDS}
    places = {fields[name]: n for name, n in columns.items() if name in fields}
    for name, column in options.map.items():
        field = fields.get(name.lower())
        if field is None:
            errors.append(FieldError(f"map/{name}", "unknown", f"is not a field of an order{_nearest(name, FIELDS)}"))
        elif not column.strip():
            places.pop(field, None)
        elif column.strip().lower() not in columns:
            errors.append(
                FieldError(f"map/{name}", "column", f"the file has no column {column!r}{_nearest(column, header)}")
            )
        else:
            places[field] = columns[column.strip().lower()]
    fixed: dict[str, str] = {}
    for name, value in options.set.items():
        field = fields.get(name.lower())
        if field is None:
            errors.append(FieldError(f"set/{name}", "unknown", f"is not a field of an order{_nearest(name, FIELDS)}"))
        else:
            fixed[field] = value
            places.pop(field, None)
    for cell, status in options.status_map.items():
        if status not in STATUSES:
            errors.append(
                FieldError(f"statusMap/{cell}", "choice", f"{status!r} is not a status: {', '.join(STATUSES)}")
            )
    for field in REQUIRED:
        if field not in places and field not in fixed and not any(e.pointer == f"map/{field}" for e in errors):
            errors.append(
                FieldError(
                    f"map/{field}",
                    "required",
                    f"no column is named {field}: say which one it is{_nearest(field, header)}",
                )
            )
    if errors:
        raise ImportUnreadable(errors)
    statuses = {s: s for s in STATUSES} | {k.strip().lower(): v for k, v in options.status_map.items()}
    money_places = [places[field] for field in AMOUNTS if field in places]
    marks = amounts.marks(row[n] for row in sample for n in money_places if n < len(row))
    return Plan(places, fixed, statuses, options.source, currency, zone, len(header), marks)


def _nearest(name: str, among: Sequence[str]) -> str:
    # It costs their lengths' product each, and both come from whoever sent the file.
    short = [a for a in among[:200] if len(a) <= 100]
    found = difflib.get_close_matches(name.lower(), [a.lower() for a in short], 1, 0.6) if len(name) <= 100 else []
    if not found:
        return ""
    meant = next(a for a in short if a.lower() == found[0])
    return worded(f" (did you mean {meant}?)")


Reader = Callable[[Sequence[Row], datetime], ChannelOrder]


def reader(plan: Plan) -> Reader:
    """A function that makes an order of its rows, the first with the order's facts, each with a line. It raises RowRefused."""
    fixed = plan.fixed

    def cell_of(field: str) -> Callable[[list[str]], str]:
        if field in plan.places:
            n = plan.places[field]
            return lambda cells: cells[n]
        value = fixed.get(field, "")
        return lambda _: value

    get = {field: cell_of(field) for field in FIELDS}
    told = plan.places.keys() | fixed.keys()
    has_lines = "sku" in told or "title" in told
    place_parts = [(part, get[field]) for part, field in _PLACE_PARTS if field in told]

    has_points = plan.marks <= _POINT

    def number(cell: str) -> amounts.Amount | None:
        # Nearly all are plain.
        if has_points and (plain := money.parse(cell)) is not None:
            return amounts.Amount(plain)
        return amounts.read(cell, plan.marks)

    def amount(cells: list[str], field: str, currency: str, wrong: list[FieldError]) -> Decimal | None:
        if field not in told or not (cell := get[field](cells)):
            return None
        found = number(cell)
        if found is None:
            wrong.append(FieldError(field, *amounts.why_not(cell, plan.marks)))
            return None
        if found.currencies is not None and currency not in found.currencies:
            why = f"{cell[:40]!r} is not in {currency[:40]}, the currency of the order"
            wrong.append(FieldError(field, "currency", why))
        return found.value

    def time(cells: list[str], field: str, wrong: list[FieldError]) -> datetime | None:
        if field not in told or not (cell := get[field](cells)):
            return None
        try:
            at = datetime.fromisoformat(cell)
        except ValueError:
            at = _other_time(cell)
            if at is None:
                why = f"{cell[:40]!r} is not a time like 2026-01-31 or 2026-01-31T18:30:00Z"
                wrong.append(FieldError(field, "time", why))
                return None
        return at.replace(tzinfo=plan.zone) if at.tzinfo is None else at

    def line(cells: list[str], currency: str, wrong: list[FieldError]) -> ChannelLine | None:
        sku, title = get["sku"](cells), get["title"](cells)
        if not sku and not title:
            return None
        cell = get["quantity"](cells)
        quantity = number(cell) if cell else _ONE
        if quantity is None or quantity.currencies or quantity.value != quantity.value.to_integral_value():
            wrong.append(FieldError("quantity", "number", f"{cell[:40]!r} is not a whole number"))
            quantity = _ONE
        price = amount(cells, "unitPrice", currency, wrong)
        return ChannelLine(sku=sku or None, title=title, quantity=int(quantity.value), unit_price=price)

    def status_of(
        cells: list[str], delivered: datetime | None, cancelled: datetime | None, wrong: list[FieldError]
    ) -> str:
        cell = get["status"](cells).lower()
        if not cell:
            return "cancelled" if cancelled else "delivered" if delivered else "confirmed"
        status = plan.statuses.get(cell)
        if status is None:
            why = f"{cell[:40]!r} is not a status: map it to one of {', '.join(STATUSES)}"
            wrong.append(FieldError("status", "choice", why))
        return status or "cancelled"

    def read(rows: Sequence[Row], now: datetime) -> ChannelOrder:
        if len(rows) > MAX_LINES:
            raise RowRefused([FieldError("lines", "length", f"has more than {MAX_LINES:,} rows")])
        wrong: list[FieldError] = []
        cells = rows[0][1]
        if len(cells) < plan.width:
            cells = cells + [""] * (plan.width - len(cells))
        if not (external_id := get["externalId"](cells)):
            wrong.append(FieldError("externalId", "required", "is empty"))
        currency = get["currency"](cells).upper() or plan.currency
        total, placed_at = amount(cells, "total", currency, wrong), time(cells, "placedAt", wrong)
        if total is None and not get["total"](cells):
            wrong.append(FieldError("total", "required", "is empty"))
        if placed_at is None and not get["placedAt"](cells):
            wrong.append(FieldError("placedAt", "required", "is empty"))
        delivered_at, cancelled_at, updated_at = (
            time(cells, "deliveredAt", wrong),
            time(cells, "cancelledAt", wrong),
            time(cells, "updatedAt", wrong),
        )
        shop, name = get["shop"](cells), get["name"](cells)
        place = None
        if parts := {part: cell for part, cell_in in place_parts if (cell := cell_in(cells))}:
            if "country" in parts:
                parts["country"] = countries.code(parts["country"]) or parts["country"]
            place = PostalAddress(recipient_name=name or None, **parts)
        refunded = amount(cells, "refunded", currency, wrong) or Decimal(0) if "refunded" in told else None
        tags = get["tags"](cells)
        order = ChannelOrder(
            contact=Contact(
                source=plan.source,
                shop=shop,
                external_id=get["customerExternalId"](cells) or None,
                email=get["email"](cells) or None,
                phone=get["phone"](cells) or None,
                name=clean(name) or None,
                country=place.country if place else None,
                address=place,
            ),
            source=plan.source,
            shop=shop,
            external_id=external_id,
            number=get["number"](cells) or None,
            status=status_of(cells, delivered_at, cancelled_at, wrong),
            currency=currency,
            subtotal=amount(cells, "subtotal", currency, wrong),
            shipping=amount(cells, "shipping", currency, wrong),
            tax=amount(cells, "tax", currency, wrong),
            discount=amount(cells, "discount", currency, wrong),
            total=_NOTHING if total is None else total,
            refunded=refunded,
            placed_at=now if placed_at is None else placed_at,
            updated_at=updated_at,
            cancelled_at=cancelled_at,
            delivered_at=delivered_at,
            shipping_address=place,
            lines=[found for _, row in rows if (found := line(row + [""] * (plan.width - len(row)), currency, wrong))]
            if has_lines
            else None,
            tags=tuple(dict.fromkeys(listed(tags.replace(";", ",")))) if tags else (),
            note=get["note"](cells) or None,
            settled=True,
        )
        if broken := errors_of(order, now):
            wrong += _beside(broken, {error.pointer for error in wrong})
        if any("\x00" in "".join(row) for _, row in rows):
            wrong.append(FieldError("", "nul", "text cannot hold the character NUL"))
        if wrong:
            raise RowRefused(list(dict.fromkeys(wrong))[:MOST_MISTAKES])
        return order

    return read


_POINT: Final = frozenset({"."})
_ONE: Final = amounts.Amount(Decimal(1))
_NOTHING: Final = Decimal(0)


def _beside(broken: Iterable[FieldError], wrong: Collection[str]) -> list[FieldError]:
    """Rules that an order breaks beside fields that are `wrong` already, and what is held against those."""
    passed = {*wrong, "refunded"} if "total" in wrong else wrong
    found = ((error.pointer.removeprefix("/"), error) for error in broken)
    return [FieldError(field, error.code, error.message) for field, error in found if field not in passed]


def doubts(order: ChannelOrder) -> list[FieldError]:
    """What an order that can be taken in says of its buyer that nobody understands: it is kept as it is."""
    found: list[FieldError] = []
    country, phone = order.contact.country, order.contact.phone
    if country is not None and countries.code(country) is None:
        found.append(
            FieldError("country", "country", f"{country[:40]!r} is no country that we know; it is kept as it is")
        )
    if phone is not None and text.phone_is_wrong(clean(phone), country):
        found.append(FieldError("phone", "phone", f"{phone[:40]!r} cannot be a phone number; it is kept as it is"))
    return found


_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y-%m-%dT%H:%M:%S.%f %z",
)


def _other_time(cell: str) -> datetime | None:
    if cell.endswith(" UTC"):
        return _other_time(f"{cell.removesuffix(' UTC')} +0000")
    for form in _FORMATS:
        try:
            return datetime.strptime(cell, form)
        except ValueError:
            continue
    return None


def goes_on(plan: Plan) -> Callable[[list[str], list[str]], bool]:
    """A function that tells whether a row goes on with the order of the row before it.

    It does with the same externalId and shop, as a line; without columns for lines only where it repeats no total: else
    it is the same order told again, which is taken in again.
    """
    id, shop, total = (plan.places.get(field, -1) for field in ("externalId", "shop", "total"))
    has_lines = "sku" in plan.places or "title" in plan.places

    def cell(row: list[str], place: int) -> str:
        return row[place] if 0 <= place < len(row) else ""

    def same(a: list[str], b: list[str]) -> bool:
        if not (found := cell(a, id)) or found != cell(b, id) or cell(a, shop) != cell(b, shop):
            return False
        return has_lines or (total >= 0 and not cell(b, total))

    return same


def chunks(plan: Plan, rows: Iterable[Row], size: int) -> Iterator[list[list[Row]]]:
    """Groups a file's rows by order, then orders by chunk; an order's lines are never parted.

    Of an order with more than MAX_LINES rows, which is refused, only the first MAX_LINES and the last are kept.
    """
    same = goes_on(plan)
    chunk: list[list[Row]] = []
    for number, cells in rows:
        if not any(cells):
            continue
        if chunk and same(chunk[-1][0][1], cells):
            if len(chunk[-1]) > MAX_LINES:
                chunk[-1].pop()
            chunk[-1].append((number, cells))
            continue
        if len(chunk) >= size:
            yield chunk
            chunk = []
        chunk.append([(number, cells)])
    if chunk:
        yield chunk
