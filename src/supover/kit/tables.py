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
_SAMPLE: Final = 65_536
_DELIMITERS: Final = ",;\t|"
_FORMULA: Final = frozenset("=+-@\t\r\uff1d")
_GUARDED: Final = _FORMULA | {"'"}


class TableUnreadable(Malformed):
    """This file cannot be read as a table."""


class TableFacts(msgspec.Struct, frozen=True):
    """A file's fingerprint, and how many lines it has, its header's included."""

    sha256: bytes
    lines: int


class Table(msgspec.Struct, frozen=True):
    """An open table: its header, and its rows with their numbers; the header is row 1."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def facts(path: Path) -> TableFacts:
    """Reads the file once: its fingerprint as it lies there, and a count of its lines."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    with _binary(path) as file:
        while chunk := file.read(1 << 20):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return TableFacts(digest.digest(), lines + (last != b"\n"))


@contextmanager
def _binary(path: Path) -> Generator[IO[bytes]]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as inner:
            try:
                yield cast("IO[bytes]", inner)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TableUnreadable(f"The gzip file is damaged: {error}.") from None


@contextmanager
def read(path: Path) -> Generator[Table]:
    """Opens a table. Its encoding is UTF-16 with a mark, UTF-8, or Windows-1252 where one byte of it is not UTF-8.

    The delimiter is told from the header. Cells lose surrounding space and a spreadsheet's guarding apostrophe. Raises TableUnreadable naming the row.
    """
    with _binary(path) as file:
        encoding = _encoding(file)
        file.seek(0)
        sample = file.read(_SAMPLE)
        file.seek(0)
        with io.TextIOWrapper(file, encoding=encoding, errors="strict", newline="") as lines:
            first = sample.decode(encoding, "replace").splitlines()
            delimiter = max(_DELIMITERS, key=(first[0] if first else "").count)
            csv.field_size_limit(MAX_CELL)
            reader = csv.reader(lines, delimiter=delimiter, strict=False)
            rows = _rows(reader, encoding)
            header = next(rows, None)
            if header is None or not any(header[1]):
                raise TableUnreadable("It has no header row.")
            yield Table(tuple(header[1]), rows)


def _encoding(file: IO[bytes]) -> str:
    block = file.read(1 << 20)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # All of it is looked at: the first accent of an English shop may stand on the last row.
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        while block:
            decoder.decode(block)
            block = file.read(1 << 20)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _rows(reader: Iterator[list[str]], encoding: str) -> Generator[tuple[int, list[str]]]:
    number = 0
    while True:
        number += 1
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
        yield number, [_cell(c) for c in cells]


def guarded(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, with a guarding apostrophe, which `read` takes off again."""
    return "'" + cell if cell[:1] in _FORMULA else cell


def _cell(value: str) -> str:
    value = value.strip()
    return value[1:] if len(value) > 1 and value[0] == "'" and (value[1] in _GUARDED or value[1].isdigit()) else value
