# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Files as they are counted and made from what COPY gave: XLSX of CSV, Parquet of lines of JSON. For threads."""

import csv
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from supover.exports.columns import Column, Type
from supover.exports.questions import Nest

if TYPE_CHECKING:
    import polars as pl

SHEET_ROWS: Final = 1_048_576
SHEET_CELL: Final = 32_767
ROW_GROUP: Final = 50_000
# What a spreadsheet's number holds exactly.
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_DIGITS: Final = 15


class CellTooLong(Exception):
    """A spreadsheet's cell cannot hold this."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Stopped(Exception):
    """Somebody asked to stop."""


class Rows:
    """Counts the rows of CSV as its blocks pass by."""

    def __init__(self) -> None:
        self.count = 0
        self._is_quoted = False

    def see(self, block: bytes) -> None:
        """Some more of the file."""
        if b'"' not in block:
            self.count += 0 if self._is_quoted else block.count(b"\n")
            return
        for n, part in enumerate(block.split(b'"')):
            if n:
                self._is_quoted = not self._is_quoted
            if not self._is_quoted:
                self.count += part.count(b"\n")


# --- spreadsheets --------------------------------------------------------------------------------------------------------


def to_xlsx(source: Path, place: Path, name: str, columns: Sequence[Column], stop: threading.Event) -> None:
    """Makes a workbook of a CSV with a header: texts as texts, never formulas or links; numbers as numbers.

    A row at a time is held. Rows that one sheet cannot hold go on in the next, below the header. Raises CellTooLong naming
    row and column, Stopped.
    """
    import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "use_zip64": True,
        "tmpdir": str(source.parent),
    }
    is_number = [column.type in ("number", "amount") for column in columns]
    book: Any = xlsxwriter.Workbook(str(place), options)
    try:
        with source.open(encoding="utf-8", newline="") as file:
            rows = _rows(csv.reader(file), columns)
            header = next(rows)
            sheet: Any = None
            at = SHEET_ROWS
            sheets = 0
            for number, cells in enumerate(rows, 2):
                if at == SHEET_ROWS:
                    sheets += 1
                    sheet, at = _sheet(book, name if sheets == 1 else f"{name} {sheets}", header), 1
                for n, cell in enumerate(cells):
                    if not cell:
                        continue
                    if is_number[n] and _NUMBER.fullmatch(cell) and len(cell) <= _DIGITS:
                        sheet.write_number(at, n, float(cell))
                    elif len(cell) > SHEET_CELL:
                        raise _too_long(number, columns[n].name)
                    else:
                        sheet.write_string(at, n, cell)
                at += 1
                if number % 1_000 == 0 and stop.is_set():
                    raise Stopped
            if sheet is None:
                _sheet(book, name, header)
        book.close()
    except BaseException:
        # What is not closed keeps a file open beside.
        for one in book.worksheets():
            one._opt_close()
        raise


def _rows(reader: Iterator[list[str]], columns: Sequence[Column]) -> Iterator[list[str]]:
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise _too_long(number, None) from None
        yield cells[: len(columns)]


def _too_long(row: int, column: str | None) -> CellTooLong:
    if column is None:
        return CellTooLong(
            f"Row {row} has more than {SHEET_CELL:,} characters, which no cell of a spreadsheet can hold: take CSV, or "
            "leave the column out."
        )
    return CellTooLong(
        f"Row {row}, column {column}, has more than {SHEET_CELL:,} characters, which no cell of a spreadsheet can hold: take CSV, or "
        "leave the column out."
    )


def _sheet(book: Any, name: str, header: Sequence[str]) -> Any:
    sheet = book.add_worksheet(name)
    for n, cell in enumerate(header):
        if len(cell) > SHEET_CELL:
            raise _too_long(1, None)
        sheet.write_string(0, n, cell)
    return sheet


# --- Parquet -------------------------------------------------------------------------------------------------------------


def to_parquet(source: Path, place: Path, columns: Sequence[Column], nest: Nest | None) -> None:
    """Makes Parquet of lines of JSON with the members f0, f1 and so on, in batches: amounts as decimals, times in UTC."""
    import polars as pl

    kept = [(n, c) for n, c in enumerate(columns) if nest is None or not c.below or c is nest.columns[0]]
    read: dict[str, Any] = {}
    made: list[pl.Expr] = []
    for n, column in kept:
        if nest is not None and column.below:
            raw, typed = _nested(nest)
            read[f"f{n}"] = raw
            made.append(pl.col(f"f{n}").cast(typed).alias(nest.name))
        else:
            read[f"f{n}"] = _read_as("text" if column.key is not None else column.type)
            made.append(_made(f"f{n}", column).alias(column.name))
    if source.stat().st_size == 0:
        pl.DataFrame(schema=read).lazy().select(made).collect().write_parquet(place)
        return
    pl.scan_ndjson(source, schema=read, batch_size=5_000, low_memory=True).select(made).sink_parquet(
        place, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True
    )


def _read_as(type: Type) -> "Any":
    import polars as pl

    found: Mapping[Type, Any] = {"number": pl.Int64, "flag": pl.Boolean, "tags": pl.List(pl.String)}
    return found.get(type, pl.String)


def _made(name: str, column: Column) -> "pl.Expr":
    import polars as pl

    found = pl.col(name)
    match "text" if column.key is not None else column.type:
        case "amount":
            return found.cast(_decimal(column))
        case "date":
            return found.str.to_date("%Y-%m-%d")
        case "time":
            return found.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").dt.replace_time_zone("UTC")
        case _:
            return found


def _decimal(column: Column) -> "Any":
    import polars as pl

    return pl.Decimal(38, 10 if column.name == "exchangeRate" else 4)


def _nested(nest: Nest) -> "tuple[Any, Any]":
    import polars as pl

    raw = {c.member: _read_as(c.type) for c in nest.columns}
    typed = {c.member: _decimal(c) if c.type == "amount" else raw[c.member] for c in nest.columns}
    return pl.List(pl.Struct(raw)), pl.List(pl.Struct(typed))
