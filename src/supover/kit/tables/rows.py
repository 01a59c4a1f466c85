"""CSV and TSV files, read as a stream of rows by the csv module."""

import codecs
import csv
import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from supover.kit.problems import worded
from supover.kit.tables.cells import cell
from supover.kit.tables.model import MAX_CELL, MAX_COLUMNS, MAX_ROW, Table, TableUnreadable
from supover.kit.tables.opening import BLOCK, opened

SAMPLE: Final = 65_536
DELIMITERS: Final = ",;\t|"
NAMES: Final = {"cp1252": "Windows-1252", "utf-16": "UTF-16"}
_QUOTED: Final = re.compile('"(?:[^"]|"")*"')


@contextmanager
def read(path: Path, encoding: str | None = None) -> Generator[Table]:
    """Opens a table. Its encoding is UTF-16 with a mark, UTF-8, or Windows-1252 where one byte of it is not UTF-8.

    The delimiter is told from the header. Cells lose surrounding space and a spreadsheet's guarding apostrophe.
    Unless the encoding is given (`facts` tells it), opening reads the whole file: do it in a thread. A row has at most
    1 MiB and 1,000 columns. Raises TableUnreadable naming the row.
    """
    with opened(path) as file:
        encoding = encoding or _encoding(file)
        file.seek(0)
        sample = file.read(SAMPLE)
        file.seek(0)
        with io.TextIOWrapper(file, encoding=encoding, errors="strict", newline="") as lines:
            first = sample.decode(encoding, "replace").splitlines()
            delimiter = delimiter_of(first[0] if first else "")
            csv.field_size_limit(MAX_CELL)
            bounded = _Lines(lines)
            reader = csv.reader(bounded, delimiter=delimiter, strict=False)
            rows = _rows(reader, bounded, encoding)
            header = next(rows, None)
            if header is None or not any(header[1]):
                raise TableUnreadable("It has no header row.")
            if any("\0" in name for name in header[1]):
                raise TableUnreadable("Row 1 has a NUL character: this is no text.")
            yield Table(tuple(header[1]), rows)


Row = tuple[int, list[str]]


def ahead(rows: Iterator[Row], most: int) -> tuple[list[Row], Iterator[Row]]:
    """A table's first rows, and all of them; what cannot be read is told by the second, when it comes there."""
    first: list[Row] = []
    broken: TableUnreadable | None = None
    try:
        first.extend(islice(rows, most))
    except TableUnreadable as error:
        broken = error

    def everything() -> Iterator[Row]:
        yield from first
        if broken is not None:
            raise broken
        yield from rows

    return first, everything()


def delimiter_of(header: str) -> str:
    """What stands most often between the cells of a header."""
    return max(DELIMITERS, key=_QUOTED.sub("", header).count)


def _encoding(file: IO[bytes]) -> str:
    guess = Guess()
    while not guess.is_sure and (block := file.read(BLOCK)):
        guess.see(block)
    return guess.encoding()


class Guess:
    """Tells a file's encoding. All of it is looked at: the first accent of a shop may stand on the last row."""

    def __init__(self) -> None:
        self.is_sure = False
        self._found = "utf-8-sig"
        self._is_begun = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def see(self, block: bytes) -> None:
        """Looks at the next bytes."""
        if not self._is_begun and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._found, self.is_sure = "utf-16", True
        self._is_begun = True
        self._decode(block)

    def encoding(self) -> str:
        """The encoding, when all bytes were seen."""
        self._decode(b"", final=True)
        return self._found

    def _decode(self, block: bytes, *, final: bool = False) -> None:
        if not self.is_sure and not (block.isascii() and self._decoder.getstate() == (b"", 0) and not final):
            try:
                self._decoder.decode(block, final)
            except UnicodeDecodeError:
                self._found, self.is_sure = "cp1252", True


class _Lines:
    """A file's lines, as long as those of one row have no more than MAX_ROW characters together."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self.left = MAX_ROW
        self._readline = file.readline

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._readline(self.left + 1)
        if not line:
            raise StopIteration
        self.left -= len(line)
        if self.left < 0:
            raise csv.Error(worded(f"it has more than {MAX_ROW:,} characters"))
        return line


def _rows(reader: Iterator[list[str]], lines: _Lines, encoding: str) -> Generator[tuple[int, list[str]]]:
    number = 0
    while True:
        number += 1
        lines.left = MAX_ROW
        try:
            cells = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError:
            # It is decoded some kilobytes ahead of the row.
            said = NAMES.get(encoding, "UTF-8")
            raise TableUnreadable(f"Behind row {number - 1} is no text in {said}: save the file as UTF-8.") from None
        except csv.Error as error:
            raise TableUnreadable(f"Row {number}: {error}.") from None
        if len(cells) > MAX_COLUMNS:
            raise TableUnreadable(f"Row {number} has more than {MAX_COLUMNS:,} columns.")
        yield number, [cell(c) for c in cells]
