import csv
import gzip
import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import tables
from supover.kit.tables import TableUnreadable


def write(folder: Path, content: bytes, *, zipped: bool = False) -> Path:
    path = folder / "table"
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    with tables.read(path) as table:
        return table.header, list(table.rows)


def cells(folder: Path, content: bytes) -> list[list[str]]:
    return [found for _, found in rows(write(folder, content))[1]]


def refused(path: Path) -> str:
    with pytest.raises(TableUnreadable) as caught:
        rows(path)
    assert caught.value.status == 400
    return str(caught.value)


# --- how it is written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_table_is_read_however_it_was_saved(
    tmp_path: Path, encoding: str, delimiter: str, end: str, zipped: bool
) -> None:
    lines = [["name", "città"], ["Zoë", "Köln"], ["", ""]]
    text = "".join(delimiter.join(line) + end for line in lines)
    content = text.encode(encoding)
    if encoding == "utf-16-le":
        content = b"\xff\xfe" + content
    header, found = rows(write(tmp_path, content, zipped=zipped))
    assert header == ("name", "città")
    assert found == [(2, ["Zoë", "Köln"]), (3, ["", ""])]


def test_one_accent_at_the_very_end_tells_the_encoding(tmp_path: Path) -> None:
    content = b"name\n" + (b"Ann" * 100 + b"\n") * 4_000
    for last, encoding in (("Zoë", "utf-8"), ("Zoë", "cp1252")):
        assert rows(write(tmp_path, content + last.encode(encoding)))[1][-1] == (4_002, [last])


def test_quoted_cells_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    content = b'a,b\n"x, ""y""","two\nlines"\n'
    assert cells(tmp_path, content) == [['x, "y"', "two\nlines"]]


def test_rows_may_be_shorter_or_longer_than_the_header(tmp_path: Path) -> None:
    assert cells(tmp_path, b"a,b\n1\n1,2,3\n\n") == [["1"], ["1", "2", "3"], []]


def test_cells_lose_space_around_and_a_guarding_apostrophe(tmp_path: Path) -> None:
    content = b"a\n  x \n'=1+1\n'+49 151\n'@me\n'-5\n'007\n's-Hertogenbosch\n'\n''tis\n"
    found = [row[0] for row in cells(tmp_path, content)]
    assert found == ["x", "=1+1", "+49 151", "@me", "-5", "007", "'s-Hertogenbosch", "'", "'tis"]


@given(st.text(st.characters(exclude_characters="\r\n\x00", codec="utf-8"), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_guarded_on_the_way_out_is_itself_on_the_way_in(tmp_path: Path, text: str) -> None:
    text = text.strip()
    shown = tables.guarded(text)
    assert shown[:1] not in set("=+-@\t\r\uff1d")
    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], [shown, "x"]])
    assert cells(tmp_path, out.getvalue().encode())[0][0] == text


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n", b",,,\n1,2,3,4\n", b"  \nx", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_table_needs_a_header(tmp_path: Path, content: bytes) -> None:
    assert refused(write(tmp_path, content)) == "It has no header row."


def test_a_header_is_text(tmp_path: Path) -> None:
    assert refused(write(tmp_path, b"externalId,x\0y\n1,2\n")) == "Row 1 has a NUL character: this is no text."


def test_a_cell_has_an_end(tmp_path: Path) -> None:
    said = refused(write(tmp_path, b'a,b\n1,2\n3,"' + b"x" * (tables.MAX_CELL + 1)))
    assert said.startswith("Row 3: field larger than field limit")


def test_bytes_that_are_no_text_are_told_by_their_place(tmp_path: Path) -> None:
    # 0x81 is nothing in Windows-1252, and no UTF-8 either.
    said = refused(write(tmp_path, b"a\n1\n\x81\n"))
    assert said.startswith("Behind row ")
    assert "Windows-1252" in said
    assert "UTF-16" in refused(write(tmp_path, b"\xff\xfea\x00\n\x00x"))


@pytest.mark.parametrize("cut", [12, 20, 60, -8, -1])
def test_a_damaged_gzip_file_is_told(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(b"a,b\n" + bytes(range(32, 127)) * 50)
    path = tmp_path / "table"
    path.write_bytes(whole[:cut])
    assert "gzip" in refused(path)
    path.write_bytes(whole[:30] + b"\x00\xff" + whole[32:])
    assert refused(path)


def test_a_bomb_is_read_row_by_row(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n" + (b"1," + b"2" * 500 + b"\n") * 40_000, zipped=True)
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with tables.read(path) as table:
        count = sum(1 for _ in table.rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 8_000_000


def test_a_row_has_a_thousand_columns_and_a_mebibyte_at_most(tmp_path: Path) -> None:
    header, _ = rows(write(tmp_path, b"a" + b"," * 999 + b"\n1\n"))
    assert len(header) == 1_000
    assert refused(write(tmp_path, b"a" + b"," * 1_000 + b"\n1\n")) == "Row 1 has more than 1,000 columns."
    long = b"a,b\n" + b"x" * 600_000 + b"," + b"y" * 600_000 + b"\n"
    assert refused(write(tmp_path, long)) == "Row 2: it has more than 1,048,576 characters."
    quoted = b'a,b\n"' + b"x\n" * 300_000 + b'","' + b"y\n" * 300_000 + b'"\n'
    assert refused(write(tmp_path, quoted)) == "Row 2: it has more than 1,048,576 characters."


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n" + b"1\n" * (40 << 20), zipped=True)
    assert "inflates to more than" in refused(path)
    with pytest.raises(TableUnreadable, match="inflates to more than"):
        tables.facts(path)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_table_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        header, found = rows(write(tmp_path, content))
    except TableUnreadable:
        return
    assert any(header)
    assert [number for number, _ in found] == list(range(2, len(found) + 2))


CELL = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=6).map(str.strip)


@given(st.lists(st.lists(CELL.filter(lambda cell: cell[:1] != "'"), min_size=2, max_size=4), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_csv_writer_wrote_is_read_back(tmp_path: Path, given_rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["first", "second"], *([tables.guarded(cell) for cell in row] for row in given_rows)])
    assert cells(tmp_path, out.getvalue().encode()) == given_rows


# --- its facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "lines"), [(b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"a\r\nb\r\n", 2), (b"\n\n", 2)])
def test_the_facts_are_a_fingerprint_and_a_count_of_lines(tmp_path: Path, content: bytes, lines: int) -> None:
    path = write(tmp_path, content)
    assert tables.facts(path) == tables.TableFacts(hashlib.sha256(content).digest(), lines)
    zipped = write(tmp_path, content, zipped=True)
    assert tables.facts(zipped) == tables.TableFacts(hashlib.sha256(zipped.read_bytes()).digest(), lines)
