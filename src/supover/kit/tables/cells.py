# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""What a cell is: trimmed, its guarding apostrophe off, and how values that are no text are written in one."""

import functools
import json
import math
import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import polars as pl

_FORMULA: Final = frozenset("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
_GUARDED: Final = _FORMULA | {"'"}
SPACE: Final = "".join(c for c in map(chr, range(0x3001)) if c.isspace())
"""What `str.strip` takes off."""


@functools.cache
def _guard() -> str:
    """The pattern of a guarding apostrophe, for an engine that has no `str.isdigit`: those are more than \\d."""
    digits = [n for n in range(0x110000) if chr(n).isdigit()]
    ranges: list[str] = []
    for _, found in groupby(enumerate(digits), lambda pair: pair[1] - pair[0]):
        run = [n for _, n in found]
        ranges.append(f"\\x{{{run[0]:x}}}-\\x{{{run[-1]:x}}}")
    return "^'[" + "".join(f"\\x{{{ord(c):x}}}" for c in sorted(_GUARDED)) + "".join(ranges) + "]"


def guarded(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, or that begins with an apostrophe, with one that reading takes off."""
    return "'" + cell if cell[:1] in _GUARDED else cell


def cell(value: str) -> str:
    """A cell as it was meant."""
    value = value.strip()
    return value[1:] if len(value) > 1 and value[0] == "'" and (value[1] in _GUARDED or value[1].isdigit()) else value


def cells(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Every column of a frame of text as `cell` has it; null is empty."""
    import polars as pl

    frame = trimmed(frame)
    # Hardly a column has one: telling so is much cheaper than a pattern for each cell.
    suspects = [c.name for c in frame.iter_columns() if c.str.starts_with("'").any()]
    if suspects:
        is_guarded = pl.col(suspects).str.contains(_guard())
        frame = frame.with_columns(pl.when(is_guarded).then(pl.col(suspects).str.slice(1)).otherwise(pl.col(suspects)))
    return frame


def trimmed(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Every column of a frame of text without space around; null is empty."""
    import polars as pl

    return frame.with_columns(pl.all().fill_null("").str.strip_chars(SPACE))


def tags_cell(tags: Sequence[str]) -> str:
    """A list in one cell: joined by `;`, an item with `,` `;` or `"` in double quotes, inner ones doubled."""
    return ";".join('"' + t.replace('"', '""') + '"' if re.search('[,;"]', t) else t for t in tags)


def items(cell: str) -> list[str]:
    """The list in a cell: at `,` or `;` outside double quotes; in quotes, an inner one is doubled. What is blank is no item."""
    if '"' not in cell:
        found = cell.replace(";", ",").split(",")
    else:
        found = [
            quoted.replace('""', '"') + behind if quoted or whole.startswith('""') else whole
            for whole, quoted, behind in cast("list[tuple[str, str, str]]", _ITEM.findall(cell))
        ]
    return [item.strip() for item in found if item.strip()]


_ITEM: Final = re.compile(r'\s*((?:"((?:[^"]|"")*)"(?!")([^,;]*))|[^,;]+)(?:[,;]|$)')

# No cell of a file begins so: it is among what is trimmed.
TYPED: Final = "\x1e"


def typed_cell(value: object) -> str:
    """A value that is to come back from a cell as it is, by `typed`; texts that say the same as they are stand plain.

    Raises ValueError as `shown` does.
    """
    if value is None:
        return ""
    if isinstance(value, str) and (not value.strip() or (value == value.strip() and not _NUMBER.fullmatch(value))):
        return value.strip()
    return TYPED + json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=shown, allow_nan=False)


_NUMBER: Final = re.compile(r"-?[0-9.]+")


def typed(cell: str) -> object:
    """What a cell of `typed_cell` holds; any other is its text."""
    return json.loads(cell[1:]) if cell.startswith(TYPED) else cell


def plain(cell: str) -> str:
    """A cell as it is shown to people, whether or not it holds a typed value."""
    return shown(typed(cell)).strip() if cell.startswith(TYPED) else cell


def shown(value: object) -> str:
    """A typed value in a cell: null is empty, whole numbers without .0, dates in ISO 8601, lists as tags, objects as JSON.

    Raises ValueError for a number that is none, and for bytes that are no UTF-8.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number(value)
        case Decimal():
            if not value.is_finite():
                raise ValueError("a number is infinite or none")
            plain = f"{value:f}"
            return plain.rstrip("0").rstrip(".") if "." in plain else plain
        case datetime():
            return value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds():g}"
        case bytes():
            return value.decode()
        case _:
            return _nested(value)


def number(value: float) -> str:
    """A float as people write it: whole without .0 and, within reason, without an exponent."""
    if not math.isfinite(value):
        raise ValueError("a number is infinite or none")
    if value.is_integer() and abs(value) < 1e18:
        return str(int(value))
    return f"{Decimal(repr(value)):f}" if 1e-9 < abs(value) < 1e18 else repr(value)


def _nested(value: object) -> str:
    if isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, str | int | float | Decimal) for item in items):
            return tags_cell([shown(item) for item in items])
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=shown, allow_nan=False)
