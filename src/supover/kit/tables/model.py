"""The nouns of tables, and how large the parts of one may be."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from supover.kit.problems import Malformed

if TYPE_CHECKING:
    import polars as pl

MAX_CELL: Final = 1_000_000
MAX_ROW: Final = 1 << 20
"""Characters of a cell, and of a row with its delimiters and line ends."""
MAX_COLUMNS: Final = 1_000

Format = Literal["csv", "xlsx", "jsonl", "parquet"]


class TableUnreadable(Malformed):
    """This file cannot be read as a table."""


class TableFacts(msgspec.Struct, frozen=True):
    """A file's fingerprint, how many lines it has, its header's included, its encoding and what kind of file it is.

    `lines` is for showing how far along somebody is: line ends of CSV and JSON, rows of the others; `encoding` is CSV's.
    `format` is csv for TSV too, and jsonl for one JSON array too.
    """

    sha256: bytes
    lines: int
    encoding: str = "utf-8-sig"
    format: Format = "csv"


class Table(msgspec.Struct, frozen=True):
    """An open table: its header, and its rows with their numbers; the header is row 1."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


class OddRow(msgspec.Struct, frozen=True):
    """A row that is none of this table's: it is set aside, and the file goes on behind it.

    `code` is ragged, nul, encoding, quote, too_long or json; `message` says what is wrong with "the row" left out.
    `cells` are as far as they could be told, none of a row that is too long.
    """

    row_number: int
    code: str
    message: str
    cells: tuple[str, ...] = ()


class Batch(msgspec.Struct, frozen=True):
    """Rows of a table, in the file's order.

    `number` counts from 0. `frame` has the column row (Int64) and a column of text for each cell of the header, named 0, 1,
    …, without a null. The same file and size give the same batches every time.
    """

    number: int
    frame: "pl.DataFrame"
    odd: Sequence[OddRow]


class Frames(msgspec.Struct, frozen=True):
    """An open table: its header, and its rows in batches, to be gone through once."""

    header: tuple[str, ...]
    batches: Iterator[Batch]


class Piece(msgspec.Struct, frozen=True):
    """Some rows as a format's reader gives them, and about how many bytes they take."""

    frame: "pl.DataFrame"
    odd: Sequence[OddRow]
    size: int
