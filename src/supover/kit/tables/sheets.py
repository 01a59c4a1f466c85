# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""XLSX files as a table: the first sheet that has something in it, read as a stream of XML.

No document type is taken, so no entity is ever resolved; nothing is fetched; formulas are never run, the value that was
saved with one is taken. Texts that cells share are held as one block of bytes. What a sheet says of its own size is not
believed.
"""

import posixpath
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, cast
from xml.parsers import expat

from supover.kit.problems import worded
from supover.kit.tables.cells import cells, number
from supover.kit.tables.delimited import frame_of
from supover.kit.tables.model import MAX_CELL, MAX_COLUMNS, MAX_ROW, OddRow, Piece, TableUnreadable
from supover.kit.tables.opening import ANYWAY

ROWS: Final = 5_000
BLOCK: Final = 1 << 17
MAX_GROWTH: Final = 256
"""Its XML may inflate to so many times the file's size, and ANYWAY more: sheets are repetitive."""
MAX_PARTS: Final = 10_000
MAX_TEXTS: Final = 300 << 20
MAX_SHEET_ROW: Final = 1 << 31
SAVE: Final = worded("open it and save it again as .xlsx or .csv.")

_PARTS: Final = (
    ("mimetype", worded("an OpenDocument file (ODS)")),
    ("xl/workbook.bin", worded("a binary Excel file (XLSB)")),
    ("word/document.xml", worded("a Word document")),
    ("ppt/presentation.xml", worded("a presentation")),
    ("Index/Document.iwa", worded("a Numbers or Pages file")),
)
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
_NOT_FORMAT: Final = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)
_DATE: Final = re.compile("[dmhysDMHYS]")
_ZEROS: Final = re.compile("0{2,30}")
_WHOLE: Final = re.compile(r"-?[1-9][0-9]{0,16}|0")
_REFERENCE: Final = re.compile("([A-Z]{1,3})[0-9]{1,10}")
_ROW: Final = re.compile(rb"<(?:[A-Za-z0-9_.-]{1,40}:)?row[\s/>]")
_BEGIN: Final = re.compile(
    rb"""\s*<\?xml version=['"]1.0['"](?: encoding=['"](?i:utf-8)['"])?(?: standalone=['"]yes['"])?\s?\?>\s*"""
    rb"""<worksheet [^!&]*?<sheetData>"""
)
_PLAIN_CELL: Final = (
    rb'<c r="([A-Z]{1,3})[0-9]{1,10}"(?: s="([0-9]{1,9})")?(?: t="([a-zA-Z]{1,9})")?'
    rb'(?:/>|><v>([^<&\r]*+)</v></c>|><is><t(?: xml:space="preserve")?>([^<&\r]*+)</t></is></c>)'
)
_PLAIN_CELLS: Final = re.compile(_PLAIN_CELL)
_PLAIN_ROW: Final = re.compile(
    rb'<row r="([0-9]{1,10})"(?: [a-zA-Z0-9:]+="[^"<&]*")*+>((?:'
    + re.sub(rb"\((?!\?)", b"(?:", _PLAIN_CELL)
    + rb")*+)</row>"
)
"""A row as most programs write one: read at once, to the same cells as by the parser, which reads every other."""
_DATES: Final = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
"""Formats of dates and times that need no declaration; ECMA-376, 18.8.30."""


class Sheet:
    """An open sheet: its header, which is the first row that has something in it, and the rows below."""

    def __init__(self, book: "_Book", part: str) -> None:
        self._rows = book.rows(part)
        first = next(self._rows, None)
        if first is None:
            raise TableUnreadable("It has no header row.")
        self._above, header, wrong = first
        self._above -= 1
        if wrong:
            raise TableUnreadable(f"Row 1 {wrong[1]}.")
        if len(header) > MAX_COLUMNS:
            raise TableUnreadable(f"Row 1 has more than {MAX_COLUMNS:,} columns.")
        self.header = tuple(cells(frame_of([1], [header], len(header))).row(0)[1:])
        if not any(self.header):
            raise TableUnreadable("It has no header row.")

    def pieces(self) -> Iterator[Piece]:
        """The rows below the header, numbered from it on."""
        import polars as pl

        width = len(self.header)
        numbers: list[int] = []
        rows: list[list[str]] = []
        odd: list[OddRow] = []
        size = 0

        def piece() -> Piece:
            frame = frame_of(numbers, rows, width)
            texts = frame.drop("row")
            frame = cells(texts).insert_column(0, frame["row"])
            return Piece(frame.filter(pl.any_horizontal(pl.exclude("row") != "")), odd, size)

        for at, row, wrong in self._rows:
            shown = at - self._above
            if wrong is None and len(row) > width and any(c.strip() for c in row[width:]):
                wrong = ("ragged", worded(f"has {len(row):,} cells, the header has {width:,}"))
            if wrong is not None:
                given = tuple(c.strip().replace("\0", "\ufffd") for c in row[:MAX_COLUMNS])
                odd.append(OddRow(shown, *wrong, cells=() if wrong[0] == "too_long" else given))
            else:
                numbers.append(shown)
                rows.append(row[:width] + [""] * (width - len(row)))
                size += sum(map(len, row))
            if len(rows) + len(odd) >= ROWS or size > (4 << 20):
                yield piece()
                numbers, rows, odd, size = [], [], [], 0
        yield piece()


@contextmanager
def sheet(path: Path) -> Generator[Sheet]:
    """Opens a workbook's first sheet that has something in it, a hidden one only where no other has. Raises TableUnreadable."""
    with _opened(path) as book:
        yield Sheet(book, book.chosen())


def count(path: Path) -> int:
    """How many rows the sheet has that `sheet` opens; reads it to its end. Raises TableUnreadable."""
    with _opened(path) as book:
        found, kept = 0, b""
        for block in book.blocks(book.chosen()):
            text = kept + block
            kept = text[max(text.rfind(b"<"), 0) :][:64]
            found += sum(1 for _ in _ROW.finditer(text, 0, len(text) - len(kept)))
        return found + len(_ROW.findall(kept))


@contextmanager
def _opened(path: Path) -> "Generator[_Book]":
    try:
        with zipfile.ZipFile(path) as archive:
            yield _Book(archive, MAX_GROWTH * path.stat().st_size + ANYWAY)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, KeyError, expat.ExpatError) as error:
        if isinstance(error, RuntimeError) and "encrypted" in str(error):
            raise TableUnreadable("The workbook has a password: save it without one.") from None
        raise TableUnreadable(f"The XLSX file is damaged, or cut off: {SAVE}") from None
    except (ValueError, LookupError):
        raise TableUnreadable(f"The XLSX file is not as such files are: {SAVE}") from None


class _Book:
    def __init__(self, archive: zipfile.ZipFile, most: int) -> None:
        self._archive = archive
        self._left = most
        parts = archive.infolist()
        if len(parts) > MAX_PARTS:
            raise TableUnreadable(f"It is a zip archive of more than {MAX_PARTS:,} files.")
        if any(part.flag_bits & 1 for part in parts):
            raise TableUnreadable("It is a zip archive with a password: save it without one.")
        self._names = {part.filename for part in parts}
        self._place = self._workbook()
        self._is_1904 = False
        self._sheets: list[tuple[str, bool]] = []
        self._related: dict[str, tuple[str, str]] = {}
        self._read_workbook()
        self._texts: _Texts | None = None
        self._formats: list[str | None] | None = None

    def _workbook(self) -> str:
        found: list[str] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and attributes.get("Type", "").endswith("/officeDocument"):
                found.append(attributes.get("Target", "").lstrip("/"))

        if "_rels/.rels" in self._names:
            self._parse("_rels/.rels", start)
        place = found[0] if found else "xl/workbook.xml"
        if place in self._names and place.endswith(".xml") and not place.startswith(("word/", "ppt/")):
            return place
        for part, what in _PARTS:
            if part in self._names:
                raise TableUnreadable(f"It is {what}: {SAVE}")
        raise TableUnreadable("It is a zip archive, and no XLSX file: unpack it, and send the table in it.")

    def _read_workbook(self) -> None:
        folder, name = posixpath.split(self._place)

        def relation(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and attributes.get("TargetMode") != "External":
                target = attributes.get("Target", "")
                place = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
                self._related[attributes.get("Id", "")] = attributes.get("Type", "").rpartition("/")[2], place

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "workbookPr":
                self._is_1904 = attributes.get("date1904") in ("1", "true")
            elif name == "sheet":
                id = next((value for key, value in attributes.items() if key.endswith(" id")), "")
                kind, place = self._related.get(id, ("", ""))
                if kind == "worksheet" and place in self._names:
                    self._sheets.append((place, attributes.get("state", "visible") != "visible"))

        relations = f"{folder}/_rels/{name}.rels".lstrip("/")
        if relations in self._names:
            self._parse(relations, relation)
        self._parse(self._place, start)

    def chosen(self) -> str:
        """The part that is the sheet."""
        for place, _ in sorted(self._sheets, key=lambda sheet: sheet[1]):
            if next(self.rows(place), None) is not None:
                return place
        raise TableUnreadable("It has no header row: all its sheets are empty.")

    def blocks(self, part: str) -> Iterator[bytes]:
        """The bytes of a part; all parts together have an end."""
        with self._archive.open(part) as file:
            while block := file.read(BLOCK):
                self._left -= len(block)
                if self._left < 0:
                    raise TableUnreadable("The XLSX file inflates to more than such a file can have.")
                yield block

    def _parse(self, part: str, start: Callable[[str, dict[str, str]], None]) -> None:
        parser = _parser()
        parser.StartElementHandler = lambda name, attributes: start(name.rpartition(" ")[2], attributes)
        for block in self.blocks(part):
            parser.Parse(block, False)
        parser.Parse(b"", True)

    def _part(self, kind: str) -> str | None:
        return next((place for found, place in self._related.values() if found == kind and place in self._names), None)

    def rows(self, part: str) -> "Iterator[tuple[int, list[str], tuple[str, str] | None]]":
        """Rows that have something in them: their number, their cells up to the last, and what is wrong with one."""
        if self._texts is None:
            place = self._part("sharedStrings")
            self._texts = _Texts(self.blocks(place) if place else iter(()))
        if self._formats is None:
            self._formats = self._read_formats()
        reader = _Rows(self._texts, self._formats, is_1904=self._is_1904)
        for block in self.blocks(part):
            reader.take(block)
            yield from reader.found
            reader.found.clear()
        reader.finish()
        yield from reader.found

    def _read_formats(self) -> list[str | None]:
        """For each style: `date`, the number of digits to fill up to as `00000`, or None."""
        codes: dict[int, str] = {}
        styles: list[str | None] = []
        inside = [""]

        def start(name: str, attributes: dict[str, str]) -> None:
            if name in ("cellXfs", "cellStyleXfs", "dxfs"):
                inside[0] = name
            elif name == "numFmt":
                codes[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
            elif name == "xf" and inside[0] == "cellXfs":
                id = int(attributes.get("numFmtId", "0"))
                styles.append(_format(id, codes.get(id)))

        place = self._part("styles")
        if place:
            self._parse(place, start)
        return styles


def _format(id: int, code: str | None) -> str | None:
    if code is None:
        return "date" if id in _DATES else None
    first = _NOT_FORMAT.sub("", code).split(";")[0]
    if _ZEROS.fullmatch(first):
        return first
    return "date" if _DATE.search(first.replace("General", "")) else None


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    return parser


def _refuse(*_: object) -> None:
    raise TableUnreadable("Its XML declares entities, which no XLSX file does.")


def _unescaped(text: str) -> str:
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda m: "\ufffd" if 0xD800 <= (c := int(m[1], 16)) < 0xE000 else chr(c), text)


class _Texts:
    """The texts that cells share, by their place."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._into: list[str] = []
        self._is_text = False
        self._phonetic = 0
        parser = _parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        for block in blocks:
            parser.Parse(block, False)
            if len(self._bytes) > MAX_TEXTS:
                raise TableUnreadable("The XLSX file has more text than can be taken from one: save it as CSV.")

    def __getitem__(self, at: int) -> str:
        if at < 0:
            raise IndexError
        return self._bytes[self._ends[at] : self._ends[at + 1]].decode()

    def _start(self, name: str, _: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self._is_text = local == "t" and not self._phonetic
        self._phonetic += local == "rPh"

    def _end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        self._is_text = False
        if local == "si":
            self._bytes += _unescaped("".join(self._into)).encode()
            self._ends.append(len(self._bytes))
            self._into.clear()
        self._phonetic -= local == "rPh"

    def _data(self, text: str) -> None:
        if self._is_text:
            self._into.append(text)


class _Rows:
    """The handlers of a sheet's XML; rows appear in `found`."""

    def __init__(self, texts: _Texts, formats: list[str | None], *, is_1904: bool) -> None:
        self.found: list[tuple[int, list[str], tuple[str, str] | None]] = []
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self._texts = texts
        self._formats = formats
        self._zero = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)
        self._is_1904 = is_1904
        self._locals: dict[str, str] = {}
        self._columns: dict[str | bytes, int] = {}
        self._is_plain = True
        self._is_begun = False
        self._kept = b""
        self._number = 0
        self._cells: list[str] = []
        self._wrong: tuple[str, str] | None = None
        self._size = 0
        self._at = 0
        self._kind = "n"
        self._style: str | bytes = ""
        self._value: list[str] = []
        self._is_value = False
        self._phonetic = 0

    def take(self, block: bytes) -> None:
        """The next bytes. The parser sees all but plain rows, between which it stands within sheetData as before."""
        if not self._is_plain:
            self.parser.Parse(block, False)
            return
        text = self._kept + block
        at = 0
        if not self._is_begun:
            begin = _BEGIN.match(text)
            if begin is None:
                self._kept = b""
                self._is_plain = False
                self.parser.Parse(text, False)
                return
            at = begin.end()
            self.parser.Parse(text[:at], False)
            self._is_begun = True
        while True:
            if row := _PLAIN_ROW.match(text, at):
                self._plain_row(int(row[1]), row[2])
                at = row.end()
                continue
            end = text.find(b"</row>", at) + 6
            if end < 6:
                break
            self.parser.Parse(text[at:end], False)
            at = end
        self._kept = text[at:]
        if len(self._kept) > MAX_ROW or b"</sheetData>" in self._kept:
            self._is_plain = False
            self.parser.Parse(self._kept, False)
            self._kept = b""

    def finish(self) -> None:
        """There are no more bytes."""
        self.parser.Parse(self._kept, True)

    def _plain_row(self, at: int, cells: bytes) -> None:
        self._begin_row(at)
        for letters, style, kind, value, text in cast("list[tuple[bytes, ...]]", _PLAIN_CELLS.findall(cells)):
            if said := value or text:
                self._size += len(said)
                self._kind = kind.decode() if kind else "n"
                self._style = style
                column = self._columns.get(letters)
                if column is None:
                    column = self._columns[letters] = self._column(letters.decode() + "1")
                self._at = column
                self._take(said.decode())
        self._end_row()

    def _begin_row(self, at: int) -> None:
        if not self._number < at < MAX_SHEET_ROW:
            raise ValueError("rows out of order")
        self._number, self._size, self._wrong = at, 0, None
        self._cells = []

    def _end_row(self) -> None:
        if self._size > MAX_ROW:
            self._wrong = ("too_long", worded(f"has more than {MAX_ROW:,} characters"))
        if self._wrong or any(c.strip() for c in self._cells):
            self.found.append((self._number, self._cells, self._wrong))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = self._locals.get(name)
        if local is None:
            local = self._locals[name] = name.rpartition(" ")[2]
        if local == "c":
            reference = attributes.get("r")
            self._at = self._column(reference) if reference else len(self._cells)
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._value.clear()
        elif local == "v" or (local == "t" and not self._phonetic):
            self._is_value = True
        elif local == "row":
            said = attributes.get("r")
            self._begin_row(int(said) if said else self._number + 1)
        elif local == "rPh":
            self._phonetic += 1

    def _end(self, name: str) -> None:
        local = self._locals[name]
        if local == "v" or local == "t":
            self._is_value = False
        elif local == "c":
            if self._value:
                self._take("".join(self._value))
        elif local == "row":
            self._end_row()
        elif local == "rPh":
            self._phonetic -= 1

    def _data(self, text: str) -> None:
        if self._is_value:
            self._size += len(text)
            if self._size <= MAX_ROW:
                self._value.append(text)

    def _column(self, reference: str) -> int:
        found = _REFERENCE.fullmatch(reference)
        if not found:
            raise ValueError("no reference of a cell")
        letters = found[1]
        at = self._columns.get(letters)
        if at is None:
            at = 0
            for letter in letters:
                at = at * 26 + ord(letter) - 64
            at = self._columns[letters] = at - 1
        return at

    def _take(self, value: str) -> None:
        text = self._text(value)
        if self._kind == "s":
            self._size += len(text)
        if len(text) > MAX_CELL or self._size > MAX_ROW:
            self._wrong = ("too_long", worded(f"has a cell of more than {MAX_CELL:,} characters"))
        elif "\0" in text and not self._wrong:
            self._wrong = ("nul", worded("has a NUL character"))
        cells = self._cells
        if text.strip():
            cells.extend([""] * (self._at + 1 - len(cells)))
            cells[self._at] = text

    def _text(self, value: str) -> str:
        match self._kind:
            case "s":
                return self._texts[int(value)]
            case "n":
                return self._number_text(value.strip())
            case "b":
                return "true" if value.strip() in ("1", "true") else "false"
            case "e":
                self._wrong = self._wrong or ("formula", worded(f"has a cell with the error {value.strip()[:20]}"))
                return value
            case "inlineStr" | "str":
                return _unescaped(value)
            case _:
                return value.strip()

    def _number_text(self, value: str) -> str:
        form = self._formats[int(self._style)] if self._style else None
        if form is None and _WHOLE.fullmatch(value):
            return value
        amount = float(value)
        if form == "date":
            return self._date(amount) or number(amount)
        if form is not None and amount >= 0 and amount.is_integer():
            return f"{int(amount):0{len(form)}d}"
        return number(amount)

    def _date(self, serial: float) -> str | None:
        if not 0 <= serial < 2_958_466:
            return None
        days, part = divmod(serial, 1)
        rest = timedelta(milliseconds=round(part * 86_400_000))
        if serial < 1:
            at = datetime(1900, 1, 1) + rest
            return at.time().isoformat("auto") if at.day == 1 else None
        # Excel's first year has a 29 February, which it had not.
        early = timedelta(days=days < 60 and not self._is_1904)
        at = self._zero + timedelta(days=days) + early + rest
        return at.date().isoformat() if not rest else at.isoformat()
