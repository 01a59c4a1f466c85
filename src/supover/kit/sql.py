"""Lists: what they are asked for, conditions, sorts and keyset pages. The only place that builds SQL text, from constants."""

import base64
import binascii
import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from supover.kit import money
from supover.kit.problems import Invalid, Malformed, worded

T = TypeVar("T")

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 25
MAX_NUMBERED_ROWS: Final = 10_000
PAGING: Final = frozenset({"limit", "cursor", "page", "sort", "count"})
"""Parameters that narrow nothing."""


class CursorBroken(Malformed):
    """This cursor was not made by this list."""


class SortUnknown(Invalid):
    """The list cannot be sorted by that."""


class Listing(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """A page of a list: go on with `nextCursor` until it is null; `total` only where `count=true` was asked."""

    data: Sequence[T]
    next_cursor: str | None = None
    total: int | None = None


class Sort(msgspec.Struct, frozen=True):
    """One way to sort: its public name, the SQL expressions of key and tie-breaker, the key's type.

    A nullable key sorts nulls last in both directions; give `absent`, a value that stands in for null.
    """

    name: str
    key: str
    id: str
    type: Any
    descending_first: bool = False


class Where:
    """Conditions joined by AND, with their values. `$1` is the workspace."""

    def __init__(self, *fixed: str) -> None:
        self._parts = list(fixed)
        self.values: list[object] = []

    def arg(self, value: object) -> str:
        """The placeholder for a value."""
        self.values.append(value)
        return f"${len(self.values) + 1}"

    def add(self, template: str, *values: object) -> None:
        """A condition; each `{}` stands for the next value's placeholder."""
        self._parts.append(template.format(*(self.arg(v) for v in values)))

    def also(self, condition: str) -> None:
        """A condition that is whole already, its values given by `arg`."""
        self._parts.append(condition)

    def text(self) -> str:
        """The conditions after WHERE."""
        return "\n   and ".join(self._parts)


class Page(msgspec.Struct, frozen=True):
    """What a list is asked for, checked: rows a page, where to start, which order."""

    limit: int
    sort: Sort
    descending: bool
    after: tuple[Any, UUID] | None
    skip: int

    def rows(self) -> str:
        """The LIMIT: one row more than the page tells whether another one follows.

        It stands in the statement as a number: with the limit as an argument PostgreSQL plans a list anew each time, which
        takes longer than to read it.
        """
        return str(self.limit + 1)

    def order(self) -> str:
        """The ORDER BY terms."""
        way = "desc" if self.descending else "asc"
        return f"{self.sort.key} {way}, {self.sort.id} {way}"

    def seek(self, where: Where) -> None:
        """Adds the condition that starts after the cursor's row."""
        if self.after is not None:
            op = "<" if self.descending else ">"
            where.add(f"({self.sort.key}, {self.sort.id}) {op} ({{}}, {{}})", *self.after)

    def cursor(self, key: Any, id: UUID) -> str:
        """The cursor that continues after this row."""
        name = ("-" if self.descending else "") + self.sort.name
        return write_cursor([name, key, id])


def page(
    sorts: Sequence[Sort],
    *,
    limit: int | None,
    sort: str | None,
    cursor: str | None,
    number: int | None = None,
    default: str = "",
) -> Page:
    """Checks what a list was asked for. Raises SortUnknown, CursorBroken, Invalid."""
    wanted = sort or default or ("-" + sorts[0].name if sorts[0].descending_first else sorts[0].name)
    name = wanted.removeprefix("-")
    found = next((s for s in sorts if s.name == name), None)
    if found is None:
        raise SortUnknown.at(
            "sort",
            "unknown",
            f"cannot be {name!r}: choose among {', '.join(s.name for s in sorts)}, with - for descending",
        )
    descending = wanted.startswith("-")
    size = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= size <= MAX_LIMIT:
        raise Invalid.at("limit", "range", f"must be from 1 to {MAX_LIMIT}")
    skip = 0
    if number is not None:
        if number < 1 or number * size > MAX_NUMBERED_ROWS:
            raise Invalid.at("page", "range", f"reaches the first {MAX_NUMBERED_ROWS} rows; go on with cursor")
        skip = (number - 1) * size
    after = None if cursor is None else _after(cursor, wanted, found)
    return Page(size, found, descending, after, skip)


def _after(cursor: str, wanted: str, sort: Sort) -> tuple[Any, UUID]:
    try:
        name, key, id = read_cursor(cursor, tuple[str, Any, UUID])
        if name != wanted:
            raise CursorBroken("It belongs to another sort order.")
        found: Any = msgspec.convert(key, sort.type, strict=False)
        if not _made_here(found):
            raise CursorBroken
        return found, id
    except (msgspec.MsgspecError, ValueError):
        raise CursorBroken from None


def write_cursor(keys: Sequence[Any]) -> str:
    """The cursor that stands for a row's keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


def read_cursor(cursor: str, shape: type[T]) -> T:
    """The keys that `write_cursor` was given. Raises CursorBroken."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=shape)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise CursorBroken from None


_DIGITS: Final = 34
"""Before the point: sums of money have no more."""


def _made_here(key: object) -> bool:
    """Whether a key can have come out of the database."""
    match key:
        case datetime():
            return key.tzinfo is not None
        case Decimal():
            return key.is_finite() and key.adjusted() < _DIGITS
        case int():
            return -(2**31) <= key < 2**31
        case str():
            return "\x00" not in key
        case _:
            return True


# --- what is asked for ---------------------------------------------------------------------------------------------------


def known(asked: Iterable[str], parameters: Iterable[str]) -> None:
    """Raises Invalid for a parameter that is not known: a misspelt filter left out would show everything."""
    names = set(parameters)
    if unknown := sorted(set(asked) - names):
        near = difflib.get_close_matches(unknown[0], names, 1)
        hint = worded(f"; did you mean {near[0]!r}?") if near else ""
        raise Invalid.at(unknown[0], "unknown", f"is not a parameter here{hint}")


def bound(value: str, zone: ZoneInfo, name: str, *, end: bool = False) -> datetime:
    """A date or time as a moment; without a zone it is the workspace's, and an `end` date is the whole day. Raises Invalid."""
    # A plus sign that was not escaped in an address arrives as a space.
    written = re.sub(r" (\d\d:?\d\d)$", r"+\1", value.strip()) if "T" in value or ":" in value else value.strip()
    try:
        if len(written) == len("2026-01-31"):
            day = date.fromisoformat(written) + timedelta(days=1 if end else 0)
            found = datetime.combine(day, time.min, zone)
        else:
            found = datetime.fromisoformat(written)
            found = found if found.tzinfo else found.replace(tzinfo=zone)
        if 1 < found.year < 9999:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid.at(name, "time", "must be a date such as 2026-01-31 or a time such as 2026-01-31T12:00:00Z")


def amount(value: Decimal | None, name: str) -> Decimal | None:
    """An amount to compare with. Raises Invalid for one that money cannot be."""
    if value is not None and not money.fits(value):
        raise Invalid.at(name, "range", "must be an amount of money")
    return value


def like(term: str) -> str:
    """A search term as a LIKE pattern's middle: %, _ and backslash mean themselves."""
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


KeyType = str | datetime | Decimal | int
