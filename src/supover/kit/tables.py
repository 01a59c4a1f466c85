"""Tables that people bring: CSV and TSV files, also gzipped, read as a stream of rows."""

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from supover.kit.problems import Malformed

MAX_CELL: Final = 1_000_000
MAX_ROW: Final = 1 << 20
MAX_COLUMNS: Final = 1_000
MAX_GROWTH: Final = 64
ANYWAY: Final = 64 << 20
"""A zipped file may inflate to MAX_GROWTH times its size and this many bytes more."""
_BLOCK: Final = 1 << 20
_SAMPLE: Final = 65_536
_DELIMITERS: Final = ",;\t|"
_FORMULA: Final = frozenset("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
_GUARDED: Final = _FORMULA | {"'"}


class TableUnreadable(Malformed):
    """This file cannot be read as a table."""


class TableFacts(msgspec.Struct, frozen=True):
    """A file's fingerprint, how many lines it has, its header's included, and its encoding."""

    sha256: bytes
    lines: int
    encoding: str = "utf-8-sig"


class Table(msgspec.Struct, frozen=True):
    """An open table: its header, and its rows with their numbers; the header is row 1."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def facts(path: Path) -> TableFacts:
    """Reads the whole file, block by block: its fingerprint as it lies there, its lines, its encoding.

    Takes as long as the disk does: call it in a thread. Raises TableUnreadable.
    """
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_BLOCK):
            digest.update(chunk)
    guess = _Guess()
    with _binary(path) as file:
        while chunk := file.read(_BLOCK):
            guess.see(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return TableFacts(digest.digest(), lines + (last != b"\n"), guess.encoding())


@contextmanager
def _binary(path: Path) -> Generator[IO[bytes]]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            yield file
            return
        most = MAX_GROWTH * path.stat().st_size + ANYWAY
        with _Unzipped(file, most) as inner:
            try:
                yield cast("IO[bytes]", inner)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TableUnreadable(f"The gzip file is damaged: {error}.") from None


class _Unzipped(gzip.GzipFile):
    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__(fileobj=file)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        return self._bounded(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._bounded(super().read1(size))

    def _bounded(self, block: bytes) -> bytes:
        if self.tell() > self._most:
            raise TableUnreadable(f"The gzip file inflates to more than {self._most:,} bytes.")
        return block


@contextmanager
def read(path: Path, encoding: str | None = None) -> Generator[Table]:
    """Opens a table. Its encoding is UTF-16 with a mark, UTF-8, or Windows-1252 where one byte of it is not UTF-8.

    The delimiter is told from the header. Cells lose surrounding space and a spreadsheet's guarding apostrophe.
    Unless the encoding is given (`facts` tells it), opening reads the whole file: do it in a thread. A row has at most
    1 MiB and 1,000 columns. Raises TableUnreadable naming the row.
    """
    with _binary(path) as file:
        encoding = encoding or _encoding(file)
        file.seek(0)
        sample = file.read(_SAMPLE)
        file.seek(0)
        with io.TextIOWrapper(file, encoding=encoding, errors="strict", newline="") as lines:
            first = sample.decode(encoding, "replace").splitlines()
            delimiter = max(_DELIMITERS, key=(first[0] if first else "").count)
            csv.field_size_limit(MAX_CELL)
            bounded = _Lines(lines)
            reader = csv.reader(bounded, delimiter=delimiter, strict=False)
            rows = _rows(reader, bounded, encoding)
            header = next(rows, None)
            if header is None or not any(header[1]):
                raise TableUnreadable("It has no header row.")
            yield Table(tuple(header[1]), rows)


def _encoding(file: IO[bytes]) -> str:
    guess = _Guess()
    while not guess.is_sure and (block := file.read(_BLOCK)):
        guess.see(block)
    return guess.encoding()


class _Guess:
    """Tells a file's encoding. All of it is looked at: the first accent of a shop may stand on the last row."""

    def __init__(self) -> None:
        self.is_sure = False
        self._found = "utf-8-sig"
        self._is_begun = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def see(self, block: bytes) -> None:
        if not self._is_begun and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._found, self.is_sure = "utf-16", True
        self._is_begun = True
        self._decode(block)

    def encoding(self) -> str:
        self._decode(b"", final=True)
        return self._found

    def _decode(self, block: bytes, *, final: bool = False) -> None:
        if not self.is_sure:
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
            raise csv.Error(f"it has more than {MAX_ROW:,} characters")
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
            said = {"cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(encoding, "UTF-8")
            raise TableUnreadable(f"Behind row {number - 1} is no text in {said}: save the file as UTF-8.") from None
        except csv.Error as error:
            raise TableUnreadable(f"Row {number}: {error}.") from None
        if len(cells) > MAX_COLUMNS:
            raise TableUnreadable(f"Row {number} has more than {MAX_COLUMNS:,} columns.")
        yield number, [_cell(c) for c in cells]


def guarded(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, with a guarding apostrophe, which `read` takes off again."""
    return "'" + cell if cell[:1] in _FORMULA else cell


def _cell(value: str) -> str:
    value = value.strip()
    return value[1:] if len(value) > 1 and value[0] == "'" and (value[1] in _GUARDED or value[1].isdigit()) else value
