import csv
import gzip
import io
import re
import tracemalloc
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import tables
from supover.kit.tables import OddRow, TableFacts, TableUnreadable, batches, cells, delimited, opening, sheets
from tests.files import hostile

Rows = list[tuple[int, tuple[str, ...]]]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "table"
    path.write_bytes(content)
    return path


def framed(
    path: Path, size: int = 10_000, facts: TableFacts | None = None
) -> tuple[tuple[str, ...], Rows, list[OddRow]]:
    rows: Rows = []
    odd: list[OddRow] = []
    with tables.frames(path, facts or tables.facts(path), size) as found:
        for batch in found.batches:
            rows += [(row[0], row[1:]) for row in batch.frame.iter_rows()]
            odd += batch.odd
        return found.header, rows, odd


def refused(path: Path) -> str:
    with pytest.raises(TableUnreadable) as caught:
        framed(path)
    return str(caught.value)


# --- CSV: two ways, the same rows ------------------------------------------------------------------------------------


def by_rows(path: Path) -> tuple[tuple[str, ...], Rows, list[tuple[int, str]]]:
    """What the csv module says, row by row."""
    rows: Rows = []
    odd: list[tuple[int, str]] = []
    with tables.read(path, "utf-8-sig") as table:
        width = len(table.header)
        for number, found in table.rows:
            if any("\0" in cell for cell in found):
                odd.append((number, "nul"))
            elif any(found[width:]):
                odd.append((number, "ragged"))
            elif any(found):
                rows.append((number, tuple((found + [""] * width)[:width])))
        return table.header, rows, odd


BITS = [
    "a", "é", "'", "'=1", "''x", "'5", "'²", '"', '""', '"x"', '"a,b"', '"a;b"', '"l\nm"', '"l\r\nm"', '"""q"""', " ", "\t", "\u00a0",
    "\x1c", "\ufeff", "x\u2028y", "\v", "\x85", "-1", "日本", ",", ",", ",", ",,", ",,,", "\n", "\n", "\n", "\r\n", "\r\n", "\n\n", ",\n",
]  # fmt: skip
STRANGE = [*BITS, "\r", "\0", '"l\rm"']


@given(st.lists(st.sampled_from(BITS), max_size=40).map("".join), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_polars_and_the_csv_module_read_the_same_rows(tmp_path: Path, body: str, size: int) -> None:
    same(tmp_path, body, size)


@given(st.lists(st.sampled_from(STRANGE), max_size=40).map("".join), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_what_polars_cannot_read_is_the_csv_modules(tmp_path: Path, body: str, size: int) -> None:
    same(tmp_path, body, size)


@given(
    st.lists(st.sampled_from(STRANGE), max_size=60).map("".join),
    st.integers(1, 3),
    st.integers(8, 40),
    st.integers(1, 20),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_where_blocks_end_makes_no_difference(tmp_path: Path, body: str, size: int, block: int, stretch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK", block)
        patch.setattr(delimited, "STRETCH", stretch)
        same(tmp_path, body, size)


def same(folder: Path, body: str, size: int) -> None:
    path = write(folder, f"one,two,three\n{body}".encode())
    header, rows, odd = framed(path, size, TableFacts(b"", 0))
    wanted = by_rows(path)
    unclosed = [one.row_number for one in odd if one.code == "quote"]
    if unclosed:
        # The csv module takes all below for one cell, and says nothing.
        assert unclosed == [odd[-1].row_number]
        wanted = (wanted[0], [r for r in wanted[1] if r[0] < unclosed[0]], [o for o in wanted[2] if o[0] < unclosed[0]])
    assert header == wanted[0]
    assert rows == wanted[1]
    assert [(one.row_number, one.code) for one in odd if one.code != "quote"] == wanted[2]


@pytest.mark.parametrize("cell", ["x^", "x\u0685", "x\x01", "PK\x03\x04", "PAR1", "\ufeffa", "BZh9", "#", "\u007f"])
def test_a_cell_may_begin_as_another_kind_of_file_does(tmp_path: Path, cell: str) -> None:
    assert framed(write(tmp_path, f"one,two\n{cell},1\n{cell},2\n".encode()))[1] == [(2, (cell, "1")), (3, (cell, "2"))]


CELL = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t\x0b\x1c\"',;|"), max_size=8)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_what_a_csv_writer_wrote_is_read(tmp_path: Path, given_rows: list[list[str]], delimiter: str, end: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_MINIMAL)
    writer.writerows([["one", "two", "three"], *given_rows])
    _, rows, odd = framed(write(tmp_path, out.getvalue().encode()))
    assert odd == []
    wanted = [tuple(cells.cell(cell) for cell in row) for row in given_rows]
    assert [row for _, row in rows] == [row for row in wanted if any(row)]


def large(lines: int) -> bytes:
    """Some blocks long, with whatever is rare here and there."""
    rare = {
        7: 'C7,"a\nb",x', 1_000: 'C,a"b,x', 50_000: "C,,,,z", 50_001: "", 70_000: '"q, ""r""",s,t', 70_001: "C,\0,x", 90_000: "'=1,'2,'x",
    }  # fmt: skip
    return "".join(f"{rare.get(n, f'C{n},name{n}@example.com,Königstraße {n}')}\n" for n in range(lines)).encode()


def test_a_file_of_many_blocks_is_read_as_by_the_csv_module(tmp_path: Path) -> None:
    path = write(tmp_path, b"one,two,three\n" + large(200_000))
    assert path.stat().st_size > 2 * delimited.BLOCK
    header, rows, odd = framed(path)
    wanted = by_rows(path)
    assert (header, rows, [(one.row_number, one.code) for one in odd]) == wanted
    assert [(one.code, one.message, one.cells) for one in odd] == [
        ("ragged", "has 5 cells, the header has 3", ("C", "", "", "", "z")),
        ("nul", "has a NUL character", ("C", "\ufffd", "x")),
    ]


def test_batches_have_one_size_and_are_the_same_every_time(tmp_path: Path) -> None:
    path = write(tmp_path, b"one,two,three\n" + large(120_000))
    facts = tables.facts(path)

    def sizes() -> list[tuple[int, int, int]]:
        with tables.frames(path, facts, 1_000) as found:
            return [
                (batch.number, batch.frame.height + len(batch.odd), batch.frame["row"][0]) for batch in found.batches
            ]

    found = sizes()
    assert [number for number, _, _ in found] == list(range(len(found)))
    assert {size for _, size, _ in found[:-1]} == {1_000}
    assert found == sizes()


def test_memory_is_that_of_some_batches(tmp_path: Path) -> None:
    path = tmp_path / "table"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"one,two,three\n")
        for n in range(60):
            file.write(b'C%d,"name, x\ny",Street\n' % n * 20_000)
    facts = tables.facts(path)
    tracemalloc.start()
    with tables.frames(path, facts) as found:
        assert sum(batch.frame.height for batch in found.batches) == 1_200_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_batch_of_large_rows_has_fewer_of_them(tmp_path: Path) -> None:
    path = write(tmp_path, b"one,two\n" + (b"C," + b"x" * 500_000 + b"\n") * 300)
    with tables.frames(path, tables.facts(path)) as found:
        heights = [batch.frame.height for batch in found.batches]
    assert sum(heights) == 300
    assert max(heights) < 160


# --- facts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "format", "lines"),
    [
        ("plain", "csv", 4),
        ("gzipped", "csv", 4),
        ("TSV named .csv", "csv", 4),
        ("a workbook", "xlsx", 3),
        ("a gzipped workbook", "xlsx", 3),
        ("JSON, one a line", "jsonl", 2),
        ("JSON, one array", "jsonl", 2),
        ("JSON in UTF-16", "jsonl", 2),
        ("Parquet", "parquet", 3),
    ],
)
def test_the_facts_tell_the_format_by_the_content(tmp_path: Path, name: str, format: str, lines: int) -> None:
    found = tables.facts(write(tmp_path, hostile.CORPUS[name].data()))
    assert (found.format, found.lines) == (format, lines)


@pytest.mark.parametrize("word", ["MZ", "BZh", "GIF8", "Obj"])
def test_a_header_may_begin_as_another_kind_of_file_does(tmp_path: Path, word: str) -> None:
    assert framed(write(tmp_path, f"{word},email\n1,2\n".encode()))[1] == [(2, ("1", "2"))]


# --- XLSX ------------------------------------------------------------------------------------------------------------


def book(folder: Path, fill: Any) -> Path:
    return write(folder, hostile.workbook(fill)())


def test_cells_of_a_workbook_are_written_as_people_mean_them(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = hostile.rows_of(book, [], ["", *(f"c{n}" for n in range(9))])
        day, clock = book.add_format({"num_format": "d/m/yy"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        hour, money = book.add_format({"num_format": "hh:mm"}), book.add_format({"num_format": '[Red]#,##0.00 "days"'})
        sheet.write_datetime(2, 1, datetime(1990, 2, 28), day)
        sheet.write_datetime(2, 2, datetime(2026, 11, 21, 13, 5, 9), clock)
        sheet.write_number(2, 3, 0.5, hour)
        sheet.write_number(2, 4, 12.5, money)
        sheet.write_number(2, 5, 3.0)
        sheet.write_number(2, 6, 1067, book.add_format({"num_format": "00000"}))
        sheet.write_boolean(2, 7, False)
        sheet.write_string(2, 8, " '=1+1 _x000D_ ")
        sheet.write_rich_string(2, 9, "plain ", book.add_format({"bold": True}), "bold")
        sheet.write_number(4, 1, 49151123456789)
        sheet.write_number(4, 2, 1, day)
        sheet.write_number(4, 3, 0.1 + 0.2)
        sheet.write_string(4, 5, "C\t1")

    header, rows, odd = framed(book(tmp_path, fill))
    assert header == ("", *(f"c{n}" for n in range(9)))
    assert odd == []
    assert rows == [
        (
            2,
            (
                "",
                "1990-02-28",
                "2026-11-21T13:05:09",
                "12:00:00",
                "12.5",
                "3",
                "01067",
                "false",
                "=1+1 _x000D_",
                "plain bold",
            ),
        ),
        (4, ("", "49151123456789", "1900-01-01", "0.3", "", "C\t1", "", "", "", "")),
    ]


def test_a_workbook_may_count_from_1904(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        hostile.rows_of(book, ["day"]).write_datetime(1, 0, datetime(1990, 2, 28), book.add_format({"num_format": 14}))

    made = hostile.workbook(fill, date_1904=True)
    assert framed(write(tmp_path, made()))[1] == [(2, ("1990-02-28",))]


def test_a_workbook_of_many_rows_is_read_in_order(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        hostile.rows_of(book, ["id", "email"], *([f"C{n}", f"name{n}@example.com"] for n in range(20_000)))

    _, rows, odd = framed(book(tmp_path, fill), 3_000)
    assert odd == []
    assert rows == [(n + 2, (f"C{n}", f"name{n}@example.com")) for n in range(20_000)]


@pytest.mark.parametrize("memory", [False, True])
def test_plain_rows_and_the_parser_give_the_same_cells(tmp_path: Path, memory: bool) -> None:
    values: list[object] = [
        "x",
        " é ",
        "a&b",
        "<t>",
        "l\nm",
        "l\r\nm",
        "",
        None,
        0,
        -1.5,
        1e20,
        True,
        "'=1",
        "_x0041_",
        "👩‍👩‍👧",
        "]]>",
    ]

    def fill(book: Any) -> None:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = hostile.rows_of(book, [f"c{n}" for n in range(5)])
        for at in range(1, 4_000):
            for column in range(5):
                sheet.write(
                    at, column, values[(at * 7 + column * at) % len(values)], day if at % 11 == column else None
                )

    path = write(tmp_path, hostile.workbook(fill, constant_memory=memory)())
    found = framed(path)
    assert len(found[1]) > 3_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "_PLAIN_ROW", re.compile(b"(?!)"))
        assert framed(path) == found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "_BEGIN", re.compile(b"(?!)"))
        assert framed(path) == found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "BLOCK", 997)
        assert framed(path) == found


# --- JSON and Parquet ------------------------------------------------------------------------------------------------

NESTED = {
    "externalId": "C1",
    "source": "SHOPIFY",
    "email": " a@example.com ",
    "tags": ["new", 'say "hi"', "a;b"],
    "customFields": {"size": 42.0, "vip": True, "colours": ["red", "blue"], "deep": {"a": [1]}, "none": None},
    "addresses": [
        {"type": "SHIPPING", "isDefault": True, "line1": "Street 1", "country": "DE", "phone": "'1"},
        {},
        {"type": "BILLING", "line1": "Street 2", "city": "Köln", "id": "unknown"},
    ],
}


def named(header: tuple[str, ...], rows: Rows) -> list[tuple[int, dict[str, str]]]:
    return [(number, {k: tables.plain(v) for k, v in zip(header, row, strict=True) if v}) for number, row in rows]


WANTED = [
    {
        "externalId": "C1",
        "source": "SHOPIFY",
        "email": "a@example.com",
        "tags": 'new;"say ""hi""";"a;b"',
        "customFields.size": "42",
        "customFields.vip": "true",
        "customFields.colours": "red;blue",
        "customFields.deep": '{"a":[1]}',
        "addressType": "SHIPPING",
        "isDefault": "true",
        "line1": "Street 1",
        "addressCountry": "DE",
        "addressPhone": "'1",
    },
    {
        "externalId": "C1",
        "source": "SHOPIFY",
        "email": "a@example.com",
        "addressType": "BILLING",
        "line1": "Street 2",
        "city": "Köln",
    },
]


@pytest.mark.parametrize("size", [1, 2, 10_000])
def test_nested_json_is_taken_apart(tmp_path: Path, size: int) -> None:
    data = hostile.lines_of({"note": "x"}, NESTED, NESTED)()
    header, rows, odd = framed(write(tmp_path, data.replace(b"\n", b"\n\n", 1)), size)
    assert odd == []
    assert header[:5] == ("note", "externalId", "source", "email", "tags")
    assert named(header, rows) == [(1, {"note": "x"}), *((n, row) for n in (3, 4) for row in WANTED)]


def test_nested_parquet_is_taken_apart(tmp_path: Path) -> None:
    value = {**NESTED, "customFields": {"size": 42.0, "vip": True, "colours": ["red", "blue"], "deep": {"a": [1]}}}
    header, rows, odd = framed(write(tmp_path, hostile.parquet(pl.DataFrame([value, {"externalId": "C2"}]))()))
    assert odd == []
    assert named(header, rows) == [(2, WANTED[0]), (2, WANTED[1]), (3, {"externalId": "C2"})]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", 'c"}', "d,]"]),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text("{[]}x", max_size=3), inner, max_size=3)
                ),
                max_leaves=12,
            ),
        ),
        max_size=6,
    ),
    st.integers(0, 2),
    st.integers(1, 30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_an_array_has_the_rows_that_its_elements_have_line_by_line(
    tmp_path: Path, values: list[dict[str, Any]], indent: int, block: int
) -> None:
    import json

    lines, array = tmp_path / "lines", tmp_path / "array"
    lines.write_bytes(hostile.lines_of(*values)())
    array.write_text(json.dumps(values, ensure_ascii=False, indent=indent or None), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK", block)
        found = [outcome(path) for path in (lines, array)]
    assert found[0] == found[1]


def outcome(path: Path) -> object:
    facts = TableFacts(b"", 0, "utf-8-sig", "jsonl")
    try:
        return framed(path, 10_000, facts)
    except TableUnreadable as error:
        return "no JSON object" in str(error)


def test_parquet_of_many_rows_is_read_in_order(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(50_000), "email": [f"name{n}@example.com" for n in range(50_000)]})
    _, rows, odd = framed(write(tmp_path, hostile.parquet(frame, row_group_size=7_000)()), 9_000)
    assert odd == []
    assert rows == [(n + 2, (str(n), f"name{n}@example.com")) for n in range(50_000)]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_a_text_that_parquet_holds_once_is_not_written_down_at_once(tmp_path: Path, kind: type[pl.DataType]) -> None:
    path = tmp_path / "table"
    emails = [f"a{n}@mail.example" for n in range(300)]
    name = pl.Series("name", ["x" * 900_000], dtype=kind).new_from_index(0, 300)
    pl.DataFrame([pl.Series("email", emails), name]).write_parquet(path)
    assert path.stat().st_size < 100_000
    heights: list[int] = []
    with tables.frames(path, tables.facts(path), 10_000) as found:
        for batch in found.batches:
            heights.append(batch.frame.height)
            assert batch.frame.estimated_size() < 100 << 20
            assert batch.frame["1"].str.len_bytes().unique().to_list() == [900_000]
    assert (sum(heights), len(heights) > 3) == (300, True)


def test_blank_rows_are_none_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 10_000)
    blank = b",,,,\n" * 500_000
    path = write(tmp_path, b"email,b,c,d,e\n" + blank + b"ann@mail.example,,,,\n" + blank)
    assert framed(path)[1] == [(500_002, ("ann@mail.example", "", "", "", ""))]


def test_what_is_packed_already_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "ANYWAY", 1_000)
    path = write(tmp_path, gzip.compress(b"PAR1" + bytes(20_000)))
    with pytest.raises(TableUnreadable, match="inflates to more than"), opening.seekable(path):
        pass
