# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Parquet files as columns of text, some rows at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from supover.kit.tables.cells import trimmed
from supover.kit.tables.delimited import frame_of
from supover.kit.tables.model import MAX_CELL, MAX_COLUMNS, OddRow, Piece, TableUnreadable
from supover.kit.tables.objects import ADDRESS, OddObject, flat

if TYPE_CHECKING:
    import polars as pl

ROWS: Final = 10_000
NESTED_ROWS: Final = 200
PART: Final = 16 << 20
MOST_ROWS: Final = 100_000_000
MOST_GROWTH: Final = 2_000
"""Rows may be as many as the file has bytes, times this; a column of one value is small."""


class Columns:
    """An open Parquet file; its columns' names are the header, its first row is row 2."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema, self._height = _looked_at(path)
        self._plain = all(_is_plain(kind) for kind in self._schema.values())
        self.header = _header(self._schema)

    def pieces(self) -> Iterator[Piece]:
        """The rows; one with several addresses is several, all with its number."""
        at = 2
        for frame in _slices(self._path, self._height):
            height = frame.height
            yield self._plain_piece(at, frame) if self._plain else self._flat_piece(at, frame)
            at += height

    def _plain_piece(self, first: int, frame: "pl.DataFrame") -> Piece:
        import polars as pl

        odd: list[OddRow] = []
        names = [str(n) for n in range(frame.width)]
        frame.columns = names
        frame = trimmed(
            frame.with_columns(*(_text(pl.col(c.name), c.dtype).alias(c.name) for c in frame.iter_columns()))
        )
        size = int(frame.estimated_size())
        frame = frame.insert_column(0, pl.int_range(first, first + frame.height, eager=True).alias("row"))
        texts = pl.col(names)
        frame = frame.filter(pl.any_horizontal(texts != ""))
        wrong = pl.any_horizontal(texts.str.contains("\0", literal=True) | (texts.str.len_chars() > MAX_CELL))
        if frame.select(wrong.any()).item():
            for row in frame.filter(wrong).iter_rows():
                odd.append(_odd(row[0], row[1:]))
            frame = frame.filter(~wrong)
        return Piece(frame, odd, size)

    def _flat_piece(self, first: int, frame: "pl.DataFrame") -> Piece:
        places = {name: n for n, name in enumerate(self.header)}
        numbers: list[int] = []
        rows: list[list[str]] = []
        odd: list[OddRow] = []
        for number, value in enumerate(_values(frame, first), first):
            try:
                for row in flat(_present(value)):
                    numbers.append(number)
                    cells = [""] * len(places)
                    for name, cell in row.items():
                        # What is taken apart has no column of its own where it is null.
                        if name in places:
                            cells[places[name]] = cell
                    rows.append(cells)
            except OddObject as error:
                odd.append(OddRow(number, *error.args))
        return Piece(frame_of(numbers, rows, len(places)), odd, int(frame.estimated_size()))


def _header(schema: "Mapping[str, pl.DataType]") -> tuple[str, ...]:
    """What `flat` makes of such columns: told from their types alone, as reading nested values takes long."""
    import polars as pl

    names: dict[str, None] = {}
    for name, kind in schema.items():
        item = kind.inner if isinstance(kind, pl.List) else None
        if name == "customFields" and isinstance(kind, pl.Struct):
            names.update((f"customFields.{field.name}", None) for field in kind.fields)
        elif name == "addresses" and isinstance(item, pl.Struct):
            names.update((ADDRESS[field.name], None) for field in item.fields if field.name in ADDRESS)
        else:
            names[name] = None
    if len(names) > MAX_COLUMNS:
        raise TableUnreadable(f"It has more than {MAX_COLUMNS:,} columns.")
    if not names:
        raise TableUnreadable("It has no column with values.")
    return tuple(names)


def count(path: Path) -> int:
    """How many rows it has, with one for its header. Raises TableUnreadable."""
    return _looked_at(path)[1] + 1


def _looked_at(path: Path) -> "tuple[dict[str, pl.DataType], int]":
    import polars as pl

    try:
        schema = dict(pl.read_parquet_schema(path))
        height = int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        raise TableUnreadable("The Parquet file is damaged, or cut off.") from None
    if not schema or not any(name.strip() for name in schema):
        raise TableUnreadable("It has no header row.")
    if len(schema) > MAX_COLUMNS:
        raise TableUnreadable(f"It has more than {MAX_COLUMNS:,} columns.")
    if height > min(MOST_ROWS, path.stat().st_size * MOST_GROWTH):
        raise TableUnreadable(f"It says that it has {height:,} rows, which is more than such a file can have.")
    return schema, height


def _slices(path: Path, height: int) -> "Iterator[pl.DataFrame]":
    import polars as pl

    lazy = pl.scan_parquet(path, glob=False)
    for at in range(0, height, ROWS):
        try:
            frame = lazy.slice(at, ROWS).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            raise TableUnreadable(f"The Parquet file is damaged behind row {at + 1:,}.") from None
        yield from _parts(frame)


def _parts(frame: "pl.DataFrame") -> "Iterator[pl.DataFrame]":
    """The frame in parts that are no larger than PART once each value stands for itself.

    A file may hold a long text once and name it in every row, which memory does as well, until somebody writes it down.
    """
    import polars as pl

    texts = [c.name for c in frame.iter_columns() if c.dtype == pl.String]
    words = [c.name for c in frame.iter_columns() if isinstance(c.dtype, (pl.Categorical, pl.Enum))]
    most = ROWS if all(_is_plain(kind) for kind in frame.dtypes) else NESTED_ROWS
    if not texts and not words:
        yield from frame.iter_slices(most)
        return
    lengths = [
        *(pl.col(name).str.len_bytes().cast(pl.Int64).fill_null(0) for name in texts),
        *(pl.col(name).cat.len_bytes().cast(pl.Int64).fill_null(0) for name in words),
    ]
    weights = frame.select(pl.sum_horizontal(lengths).cum_sum().alias("")).to_series()
    at = 0
    while at < frame.height:
        before = int(weights[at - 1]) if at else 0
        rows = int(weights.search_sorted(before + PART, side="right")) - at
        taken = frame.slice(at, min(max(rows, 1), most))
        yield taken
        at += taken.height


def _values(frame: "pl.DataFrame", first: int) -> Iterator[dict[str, Any]]:
    try:
        yield from frame.iter_rows(named=True)
    except (ValueError, OverflowError):
        raise TableUnreadable(f"The Parquet file has a time behind row {first:,} that no calendar has.") from None


def _is_plain(kind: "pl.DataType") -> bool:
    """Whether its values are written in a cell without looking at each."""
    import polars as pl

    plain = (pl.String, pl.Boolean, pl.Date, pl.Null, pl.Categorical, pl.Enum)
    return kind.is_integer() or any(kind == one for one in plain)


def _text(column: "pl.Expr", kind: "pl.DataType") -> "pl.Expr":
    import polars as pl

    if kind == pl.Boolean:
        return pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false")).otherwise(pl.lit(""))
    return column.cast(pl.String)


def _present(row: dict[str, Any]) -> dict[str, Any]:
    """Without members that a struct has only because another row's has them."""
    return {name: _without_null(value) for name, value in row.items()}


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_null(v) for k, v in cast("dict[str, Any]", value).items() if v is not None}
    if isinstance(value, list):
        return [_without_null(v) for v in cast("list[Any]", value) if v is not None]
    return value


def _odd(number: int, cells: tuple[str, ...]) -> OddRow:
    if any("\0" in cell for cell in cells):
        return OddRow(number, "nul", "has a NUL character", tuple(cell.replace("\0", "\ufffd") for cell in cells))
    return OddRow(number, "too_long", f"has a cell of more than {MAX_CELL:,} characters")
