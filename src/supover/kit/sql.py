"""Lists: conditions, sorts and keyset pages put together from constants. The only place that builds SQL text."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec

from supover.kit.problems import Invalid, Malformed

T = TypeVar("T")

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 25
MAX_NUMBERED_ROWS: Final = 10_000


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
        raw = msgspec.json.encode([name, key, id])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


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
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        name, key, id = msgspec.json.decode(raw, type=tuple[str, Any, UUID])
        if name != wanted:
            raise CursorBroken("It belongs to another sort order.")
        found: Any = msgspec.convert(key, sort.type, strict=False)
        if not _made_here(found):
            raise CursorBroken
        return found, id
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise CursorBroken from None


def _made_here(key: object) -> bool:
    """Whether a key can have come out of the database."""
    match key:
        case datetime():
            return key.tzinfo is not None
        case Decimal():
            return key.is_finite()
        case str():
            return "\x00" not in key
        case _:
            return True


def like(term: str) -> str:
    """A search term as a LIKE pattern's middle: %, _ and backslash mean themselves."""
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


KeyType = str | datetime | Decimal | int
