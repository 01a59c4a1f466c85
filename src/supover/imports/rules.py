"""How a file's row becomes an order: pure, column by column."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from supover.channels.model import ChannelLine, ChannelOrder, ChannelRefund, Contact, PostalAddress
from supover.imports.model import ImportUnreadable, OrderImportOptions
from supover.kit import countries, money
from supover.kit.problems import FieldError
from supover.kit.text import clean
from supover.orders.rules import STATUSES, errors_of

TEXTS: Final = (
    "externalId", "number", "shop", "status", "currency", "customerExternalId", "email", "name", "phone", "country", "state", "city",
    "postalCode", "line1", "line2", "sku", "title", "tags", "note",
)  # fmt: skip
TIMES: Final = ("placedAt", "updatedAt", "deliveredAt", "cancelledAt")
AMOUNTS: Final = ("subtotal", "shipping", "tax", "discount", "total", "refunded", "unitPrice")
FIELDS: Final = (*TEXTS, *TIMES, *AMOUNTS, "quantity")
REQUIRED: Final = ("externalId", "placedAt", "total")

Row = tuple[int, list[str]]


class RowRefused(Exception):
    """A row that cannot be an order."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(error.message)
        self.error = error


class Plan(msgspec.Struct, frozen=True):
    """Where each field stands in a row, and what is the same for all rows."""

    places: Mapping[str, int]
    fixed: Mapping[str, str]
    statuses: Mapping[str, str]
    source: str
    currency: str
    zone: ZoneInfo
    width: int


def plan(options: OrderImportOptions, header: Sequence[str], currency: str, zone: ZoneInfo) -> Plan:
    """Reads the options against the header. Raises ImportUnreadable naming every field, column and status that is wrong."""
    errors: list[FieldError] = []
    columns = {name.strip().lower(): n for n, name in reversed(list(enumerate(header)))}
    fields = {f.lower(): f for f in FIELDS}
    places = {fields[name]: n for name, n in columns.items() if name in fields}
    for name, column in options.map.items():
        field = fields.get(name.lower())
        if field is None:
            errors.append(FieldError(f"map/{name}", "unknown", f"is not a field of an order{_nearest(name, FIELDS)}"))
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
    return Plan(places, fixed, statuses, options.source, currency, zone, len(header))


def _nearest(name: str, among: Sequence[str]) -> str:
    found = difflib.get_close_matches(name.lower(), [a.lower() for a in among], 1, 0.6)
    return f" (did you mean {next(a for a in among if a.lower() == found[0])}?)" if found else ""


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
    has_lines = any(f in plan.places or f in fixed for f in ("sku", "title"))
    has_place = any(
        f in plan.places or f in fixed for f in ("line1", "line2", "city", "state", "postalCode", "country")
    )
    has_refund = "refunded" in plan.places or "refunded" in fixed

    def amount(cells: list[str], field: str) -> Decimal | None:
        cell = get[field](cells)
        if not cell:
            return None
        value = money.parse(cell)
        if value is None:
            raise RowRefused(FieldError(field, "number", f"{cell[:40]!r} is not an amount like 1234.56"))
        return value

    def time(cells: list[str], field: str) -> datetime | None:
        cell = get[field](cells)
        if not cell:
            return None
        try:
            at = datetime.fromisoformat(cell)
        except ValueError:
            at = _other_time(cell)
            if at is None:
                raise RowRefused(
                    FieldError(field, "time", f"{cell[:40]!r} is not a time like 2026-01-31 or 2026-01-31T18:30:00Z")
                ) from None
        return at.replace(tzinfo=plan.zone) if at.tzinfo is None else at

    def line(cells: list[str]) -> ChannelLine | None:
        sku, title = get["sku"](cells), get["title"](cells)
        if not sku and not title:
            return None
        cell = get["quantity"](cells)
        try:
            quantity = int(Decimal(cell)) if cell else 1
        except (ArithmeticError, ValueError):
            raise RowRefused(FieldError("quantity", "number", f"{cell[:40]!r} is not a whole number")) from None
        return ChannelLine(sku=sku or None, title=title, quantity=quantity, unit_price=amount(cells, "unitPrice"))

    def status_of(cells: list[str], delivered: datetime | None, cancelled: datetime | None) -> str:
        cell = get["status"](cells).lower()
        if not cell:
            return "cancelled" if cancelled else "delivered" if delivered else "confirmed"
        status = plan.statuses.get(cell)
        if status is None:
            raise RowRefused(
                FieldError("status", "choice", f"{cell[:40]!r} is not a status: map it to one of {', '.join(STATUSES)}")
            )
        return status

    def read(rows: Sequence[Row], now: datetime) -> ChannelOrder:
        cells = rows[0][1]
        if len(cells) < plan.width:
            cells = cells + [""] * (plan.width - len(cells))
        external_id = get["externalId"](cells)
        if not external_id:
            raise RowRefused(FieldError("externalId", "required", "is empty"))
        total, placed_at = amount(cells, "total"), time(cells, "placedAt")
        if total is None:
            raise RowRefused(FieldError("total", "required", "is empty"))
        if placed_at is None:
            raise RowRefused(FieldError("placedAt", "required", "is empty"))
        delivered_at, cancelled_at, updated_at = (
            time(cells, "deliveredAt"),
            time(cells, "cancelledAt"),
            time(cells, "updatedAt"),
        )
        shop, name, country = get["shop"](cells), get["name"](cells), get["country"](cells)
        place = None
        if has_place:
            text = {f: get[f](cells) or None for f in ("line1", "line2", "city", "state")}
            code = (countries.code(country) or country) if country else None
            if code or any(text.values()) or get["postalCode"](cells):
                place = PostalAddress(
                    recipient_name=name or None,
                    postal_code=get["postalCode"](cells) or None,
                    country=code,
                    phone=None,
                    **text,
                )
        refunds = None
        if has_refund:
            given_back = amount(cells, "refunded") or Decimal(0)
            at = updated_at or placed_at
            refunds = [ChannelRefund(external_id="total", amount=given_back, refunded_at=at)] if given_back else []
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
            status=status_of(cells, delivered_at, cancelled_at),
            currency=get["currency"](cells).upper() or plan.currency,
            subtotal=amount(cells, "subtotal"),
            shipping=amount(cells, "shipping"),
            tax=amount(cells, "tax"),
            discount=amount(cells, "discount"),
            total=total,
            refunds=refunds,
            placed_at=placed_at,
            updated_at=updated_at,
            cancelled_at=cancelled_at,
            delivered_at=delivered_at,
            shipping_address=place,
            lines=[found for _, row in rows if (found := line(row + [""] * (plan.width - len(row))))]
            if has_lines
            else None,
            tags=tuple(dict.fromkeys(t.strip() for t in tags.replace(";", ",").split(",") if t.strip()))
            if tags
            else (),
            note=get["note"](cells) or None,
            settled=True,
        )
        if errors := errors_of(order, now):
            first = errors[0]
            raise RowRefused(FieldError(first.pointer.removeprefix("/"), first.code, first.message))
        if any("\x00" in cell for cell in cells):
            raise RowRefused(FieldError("", "nul", "text cannot hold the character NUL"))
        return order

    return read


_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%dT%H:%M:%S.%f %z",
)


def _other_time(cell: str) -> datetime | None:
    for form in _FORMATS:
        try:
            return datetime.strptime(cell, form)
        except ValueError:
            continue
    return None


def same_order(plan: Plan, a: list[str], b: list[str]) -> bool:
    """Whether a row goes on with the order of the row `a` before it: as a line, or because it repeats no total.

    Without columns for lines a repeated total is the same order told again, which is taken in again.
    """

    def cell(row: list[str], field: str) -> str:
        place = plan.places.get(field, -1)
        return row[place] if 0 <= place < len(row) else ""

    if not cell(a, "externalId") or any(cell(a, field) != cell(b, field) for field in ("externalId", "shop")):
        return False
    return "sku" in plan.places or "title" in plan.places or ("total" in plan.places and not cell(b, "total"))


def chunks(plan: Plan, rows: Any, size: int) -> Any:
    """Groups a file's rows by order, then orders by chunk; an order's lines are never parted."""
    chunk: list[list[Row]] = []
    for number, cells in rows:
        if not any(cells):
            continue
        if chunk and same_order(plan, chunk[-1][0][1], cells):
            chunk[-1].append((number, cells))
            continue
        if len(chunk) >= size:
            yield chunk
            chunk = []
        chunk.append([(number, cells)])
    if chunk:
        yield chunk
