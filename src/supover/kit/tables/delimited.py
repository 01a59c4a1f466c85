# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""CSV and TSV files as columns of text.

Two ways lead to the same rows. Where every quote of a stretch of lines stands as RFC 4180 wants it, polars reads the stretch
at once, without the interpreter's lock. Everything else, a quote in the middle of a word, NUL, an old Mac's line ends, rows
with far too many cells, is read record by record by the csv module, whose rows are the measure of both.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Final

from supover.kit.problems import worded
from supover.kit.tables.cells import cell, cells
from supover.kit.tables.model import MAX_CELL, MAX_COLUMNS, MAX_ROW, OddRow, Piece, TableUnreadable
from supover.kit.tables.rows import NAMES, delimiter_of

if TYPE_CHECKING:
    import polars as pl

BLOCK: Final = 1 << 22
LONGEST: Final = 4 * MAX_ROW
"""Bytes that a row has at most."""
STRETCH: Final = 1 << 16
"""Bytes that are read record by record before polars is tried again."""
_LINE: Final = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r)|[^\r\n]++\Z")
_SEPARATOR: Final = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_BOM: Final = codecs.BOM_UTF8
_LOST: Final = "\ufffd"


class Delimited:
    """An open CSV or TSV file. `header` is read at once; `pieces` goes through the rows."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._source = Source(file, encoding)
        self._lines = _Lines(self._source)
        csv.field_size_limit(MAX_CELL)
        first = self._lines.first_line()
        told = _SEPARATOR.fullmatch(first)
        if told:
            self._lines.pass_over()
            self._lines.first_line()
        self._delimiter = told[1] if told else delimiter_of(first)
        self._reader = csv.reader(self._lines, delimiter=self._delimiter, strict=False)
        self._quoted = _proof(self._delimiter)
        self._number = 1
        self.header = self._header()
        self._width = len(self.header)
        # polars looks at the first bytes for a mark and for compression, and some cells begin as zlib's streams do.
        self._first_row = f"-{self._delimiter * self._width}\n".encode()

    def pieces(self) -> Iterator[Piece]:
        """The rows below the header."""
        lines = self._lines
        while lines.fill():
            plain = self._plain_until()
            begun = lines.at
            if plain - lines.at >= min(STRETCH, lines.until - lines.at) and (piece := self._by_polars(plain)):
                lines.at = plain
                yield piece
            else:
                # What polars would not read is read to its end; else it would be tried again and again.
                end = plain if plain - begun >= STRETCH else min(begun + STRETCH, lines.until)
                yield self._by_records(end)

    def _header(self) -> tuple[str, ...]:
        row, odd = self._record()
        if odd is not None:
            raise TableUnreadable(f"Row 1 {odd.message}.")
        header = tuple(cell(c) for c in row)
        if not any(header):
            raise TableUnreadable("It has no header row.")
        if len(header) > MAX_COLUMNS:
            raise TableUnreadable(f"Row 1 has more than {MAX_COLUMNS:,} columns.")
        if any("\0" in c for c in header):
            raise TableUnreadable("Row 1 has a NUL character: this is no text.")
        return header

    def _plain_until(self) -> int:
        """How far on the lines are such that polars gives the csv module's rows."""
        lines = self._lines
        if lines.is_strange or lines.has_long_line():
            return lines.at
        if not lines.has_quotes:
            return lines.until
        proven = self._quoted.match(lines.buffer, lines.at, lines.until)
        return proven.end() if proven else lines.at

    def _by_polars(self, until: int) -> Piece | None:
        """The lines up to there, None where one has more cells than polars was told of."""
        import polars as pl

        block = self._lines.buffer[self._lines.at : until]
        names = [str(n) for n in range(self._width + 1)]
        try:
            frame = pl.read_csv(
                self._first_row + block,
                has_header=False,
                schema=dict.fromkeys(names, pl.String),
                separator=self._delimiter,
                quote_char='"' if self._lines.has_quotes else None,
                infer_schema=False,
                missing_columns="insert",
                glob=False,
            )
        except pl.exceptions.PolarsError:
            return None
        frame = frame[1:]
        height = frame.height
        ends = block.count(b"\n") + (not block.endswith(b"\n"))
        if ends != height:
            # Each line end of the block is a row's, or stands in a cell.
            inner = frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).sum())).item()
            if ends != height + inner:
                return None
        first = self._number + 1
        self._number += height
        frame = cells(frame).insert_column(0, pl.int_range(first, first + height, eager=True).alias("row"))
        odd: list[OddRow] = []
        if not frame[names[-1]].is_null().all() and (more := frame[names[-1]] != "").any():
            odd = [_ragged(row[0], row[1:], self._width) for row in frame.filter(more).iter_rows()]
            frame = frame.filter(~more)
        frame = frame.drop(names[-1])
        if (frame["0"] == "").any():
            frame = frame.filter(pl.any_horizontal(pl.col(names[:-1]) != ""))
        return Piece(frame, odd, len(block))

    def _by_records(self, until: int) -> Piece:
        lines, begun = self._lines, self._lines.passed
        goal = begun + (until - lines.at)
        width = self._width
        numbers: list[int] = []
        rows: list[list[str]] = []
        odd: list[OddRow] = []
        while lines.passed < goal:
            is_strange = lines.is_strange
            row, wrong = self._record(within=True)
            self._number += 1
            if wrong is None and (is_strange or lines.is_strange or len(row) > width):
                wrong = self._checked(row)
            if wrong is not None:
                odd.append(wrong)
            elif row:
                numbers.append(self._number)
                rows.append(row if len(row) == width else row[:width] + [""] * (width - len(row)))
        return Piece(self._cleaned(frame_of(numbers, rows, width)), odd, lines.passed - begun)

    def _cleaned(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        frame = cells(frame.drop("row")).insert_column(0, frame["row"])
        return frame.filter(pl.any_horizontal(pl.exclude("row") != "")) if (frame["0"] == "").any() else frame

    def _checked(self, row: list[str]) -> OddRow | None:
        if any("\0" in c for c in row):
            return OddRow(self._number, "nul", "has a NUL character", _shown(row))
        if self._source.is_damaged and any(_LOST in c for c in row):
            said = NAMES.get(self._source.encoding, "UTF-8")
            return OddRow(self._number, "encoding", f"has bytes that are no text in {said}", _shown(row))
        if len(row) > self._width and any(c.strip() for c in row[self._width :]):
            return _ragged(self._number, [cell(c) for c in row], self._width)
        return None

    def _record(self, *, within: bool = False) -> tuple[list[str], OddRow | None]:
        """The next record, [] for an empty line and at the end, or what is wrong with it."""
        lines, number = self._lines, self._number + within
        lines.begin()
        try:
            row = next(self._reader, None) or list[str]()
        except csv.Error as error:
            lines.finish()
            # The line is over, and so is its row, unless a quote is open at its end.
            if lines.taken != 1 or lines.open_quotes % 2:
                raise TableUnreadable(f"Row {number} {_said(error)}: is a quote in it never closed?") from None
            return [], OddRow(number, "too_long", _said(error))
        if lines.ended_inside:
            said = "opens a quote that nothing closes"
            if lines.taken > 1:
                said = (
                    f"opens a quote that nothing closes, so that the {lines.taken - 1:,} lines below it are part of it"
                )
            return [], OddRow(number, "quote", said, _shown([c[:200] for c in row]))
        return row, None


def _proof(delimiter: str) -> re.Pattern[bytes]:
    """Records whose quotes, if any, are around whole cells; doubled within."""
    d = re.escape(delimiter).encode()
    row = rb'(?:[^"\n]++|(?<![^' + d + rb'\n])"(?:[^"]++|"")*+"(?=[' + d + rb"\n]|\r\n|\Z))*+"
    return re.compile(rb"(?:" + row + rb"\n)*+(?:" + row + rb"\Z)?")


def _said(error: csv.Error) -> str:
    return worded(f"has a cell of more than {MAX_CELL:,} characters") if "field limit" in str(error) else str(error)


def _ragged(number: int, row: Sequence[str], width: int) -> OddRow:
    last = max(n for n, c in enumerate(row) if c)
    return OddRow(
        number, "ragged", f"has {last + 1:,} cells, the header has {width:,}", tuple(row[: min(last + 1, MAX_COLUMNS)])
    )


def _shown(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell(c).replace("\0", _LOST) for c in row[:MAX_COLUMNS])


def frame_of(numbers: list[int], rows: list[list[str]], width: int) -> "pl.DataFrame":
    """A piece's frame of rows that all have `width` cells."""
    import polars as pl

    columns = zip(*rows, strict=True) if rows else [()] * width
    return pl.DataFrame(
        [
            pl.Series("row", numbers, dtype=pl.Int64),
            *(pl.Series(str(n), column, dtype=pl.String) for n, column in enumerate(columns)),
        ]
    )


class Source:
    """A file's text as UTF-8, whatever it is written in. What is no text becomes U+FFFD, and it says so."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self.encoding = encoding
        self.is_damaged = False
        self._file = file
        self._plain = encoding == "utf-8-sig"
        self._decoder = codecs.getincrementaldecoder(encoding)
        self._strict = self._decoder("strict")
        self._is_begun = False

    def read(self) -> bytes:
        """Some more of it, empty at the end."""
        raw = self._file.read(BLOCK)
        if self._plain:
            block = raw.removeprefix(_BOM) if not self._is_begun else raw
            self._is_begun = True
            return block or (self._file.read(BLOCK) if raw else b"")
        before = self._strict.getstate()
        try:
            text = self._strict.decode(raw, not raw)
        except UnicodeDecodeError:
            self.is_damaged = True
            self._strict = self._decoder("replace")
            self._strict.setstate(before)
            text = self._strict.decode(raw, not raw)
        if not self._is_begun:
            text = text.removeprefix("\ufeff")
            self._is_begun = True
        return text.encode() if text or not raw else self.read()


class _Lines:
    """Lines for the csv module, of which it is known where they end.

    `buffer[at:until]` are whole lines that nobody took yet.
    """

    def __init__(self, source: Source) -> None:
        self.buffer = b""
        self.at = self.until = 0
        self.passed = 0
        self.has_quotes = False
        self.is_strange = False
        self.taken = 0
        self.open_quotes = 0
        self.ended_inside = False
        self._source = source
        self._is_over = False
        self._left = MAX_ROW
        self._found: Iterator[re.Match[bytes]] = iter(())
        self._found_in = b""
        self._found_at = 0

    def fill(self) -> bool:
        """Sees to it that there are lines; False at the end."""
        if self.at >= self.until:
            self._more()
        return self.at < self.until

    def first_line(self) -> str:
        """The first line that is not blank, which is the next one then; empty where there is none."""
        while self.fill():
            line = _LINE.match(self.buffer, self.at, self.until)
            text = line[0].decode("utf-8", "replace") if line else ""
            if text.strip():
                return text
            self.at = line.end() if line else self.until
        return ""

    def pass_over(self) -> None:
        """Takes the next line, unread."""
        line = _LINE.match(self.buffer, self.at, self.until)
        self.at = line.end() if line else self.until

    def has_long_line(self) -> bool:
        """Whether a line may be longer than a cell can be."""
        at = self.at
        while self.until - at > MAX_CELL:
            end = self.buffer.rfind(b"\n", at, at + MAX_CELL)
            if end < 0:
                return True
            at = end + 1
        return False

    def begin(self) -> None:
        """A record begins at the next line."""
        self.fill()
        if self._found_in is not self.buffer or self._found_at != self.at:
            self._found = _LINE.finditer(self.buffer, self.at, self.until)
            self._found_in = self.buffer
        self.taken = self.open_quotes = 0
        self.ended_inside = False
        self._left = MAX_ROW

    def finish(self) -> None:
        """Passes over what is left of a line that is longer than the buffer."""
        while not self._ends_here() and (block := self._source.read()):
            end = block.find(b"\n")
            self.open_quotes += block.count(b'"', 0, end if end >= 0 else len(block))
            self.passed += (end + 1) if end >= 0 else len(block)
            if end >= 0:
                self._set(block[end + 1 :])
                break

    def _ends_here(self) -> bool:
        return self.buffer[self.at - 1 : self.at] in (b"\n", b"\r")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        found = next(self._found, None)
        if found is None:
            if self._more():
                self._found = _LINE.finditer(self.buffer, self.at, self.until)
                self._found_in = self.buffer
                found = next(self._found, None)
            if found is None:
                self.ended_inside = self.taken > 0
                raise StopIteration
        line = found[0].decode("utf-8", "replace")
        self.passed += found.end() - self.at
        self.at = self._found_at = found.end()
        self.taken += 1
        self._left -= len(line)
        if self._left < 0 or len(line) > MAX_CELL:
            self.open_quotes += found[0].count(b'"')
        if self._left < 0:
            raise csv.Error(f"has more than {MAX_ROW:,} characters")
        return line

    def _more(self) -> bool:
        if self._is_over and self.at >= self.until:
            return False
        parts = [self.buffer[self.at :]]
        size = len(parts[0])
        has_end = False
        while size < BLOCK or (not has_end and size < LONGEST):
            block = self._source.read()
            if not block:
                self._is_over = True
                break
            has_end = has_end or b"\n" in block
            parts.append(block)
            size += len(block)
        self._set(b"".join(parts))
        return self.at < self.until

    def _set(self, buffer: bytes) -> None:
        self.buffer, self.at = buffer, 0
        self.until = len(buffer)
        if not self._is_over:
            end = buffer.rfind(b"\n") + 1 or buffer.rfind(b"\r", 0, -1) + 1
            # A line that is longer than the buffer is longer than a row may be; who takes it finds out.
            self.until = end or len(buffer)
        self.has_quotes = buffer.find(b'"', 0, self.until) >= 0
        self.is_strange = (
            buffer.find(b"\0", 0, self.until) >= 0
            or buffer.count(b"\r", 0, self.until) != buffer.count(b"\r\n", 0, self.until)
            or (self._source.is_damaged and buffer.find(_LOST.encode(), 0, self.until) >= 0)
        )
