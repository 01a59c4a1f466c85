import base64
import json
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit.problems import Invalid
from supover.kit.sql import CursorBroken, Page, Sort, SortUnknown, Where, like, page
from tests.house.conftest import connected

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

NAME = Sort("name", "r.name", "r.id", str)
AT = Sort("at", "r.at", "r.id", datetime, descending_first=True)
AMOUNT = Sort("amount", "r.amount", "r.id", Decimal)
COUNT = Sort("count", "r.count", "r.id", int)
SORTS = (NAME, AT, AMOUNT, COUNT)
START = datetime(2026, 1, 1, tzinfo=UTC)

Row = tuple[UUID, str, datetime, Decimal, int]
# Few values each, so that there are many ties.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**128 - 1).map(lambda n: UUID(int=n)),
        st.sampled_from(["", "a", "B", "b", "ü", "☃", "a b", "\\", "%", "'", "🙂"]),
        st.sampled_from([0, 1, 10**6, 3_600_000_001]).map(lambda us: START + timedelta(microseconds=us)),
        st.sampled_from(["0", "-1.5000", "10.0000", "10.0001", "99999999999999.9999"]).map(Decimal),
        st.sampled_from([0, 1, -1, 2**31 - 1]),
    ),
    max_size=14,
    unique_by=lambda row: row[0],
)


def asked(
    sort: str | None = None, *, limit: int | None = None, cursor: str | None = None, number: int | None = None
) -> Page:
    return page(SORTS, limit=limit, sort=sort, cursor=cursor, number=number)


# --- keyset pages ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def con(database: str) -> AsyncGenerator["Connection"]:
    async with connected(database) as found:
        await found.execute(
            'create temp table r (id uuid, name text collate "C", at timestamptz, amount numeric(19, 4), count integer)'
        )
        yield found


async def walk(con: "Connection", sort: str, limit: int) -> tuple[list[UUID], list[int]]:
    """The ids of a list, read page by page as a room does it, and how many each page had."""
    found: list[UUID] = []
    sizes: list[int] = []
    cursor = None
    while True:
        wanted = asked(sort, limit=limit, cursor=cursor)
        where = Where("$1::uuid is not null")
        wanted.seek(where)
        more = where.arg(wanted.limit + 1)
        sql = f"select r.id, {wanted.sort.key} from r where {where.text()} order by {wanted.order()} limit {more}"
        rows = await con.fetch(sql, UUID(int=1), *where.values)
        found += [row[0] for row in rows[:limit]]
        sizes.append(len(rows[:limit]))
        if len(rows) <= limit:
            return found, sizes
        cursor = wanted.cursor(rows[limit - 1][1], rows[limit - 1][0])


@given(rows=ROWS, sort=st.sampled_from([s.name for s in SORTS]), descending=st.booleans(), limit=st.integers(1, 5))
@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_pages_together_are_the_sorted_list(
    con: "Connection", rows: Sequence[Row], sort: str, descending: bool, limit: int
) -> None:
    await con.execute("truncate r")
    await con.copy_records_to_table("r", records=rows)
    column = [s.name for s in SORTS].index(sort) + 1
    ordered = sorted(rows, key=lambda row: (row[column], row[0]), reverse=descending)
    found, sizes = await walk(con, ("-" if descending else "") + sort, limit)
    assert found == [row[0] for row in ordered]
    assert all(size == limit for size in sizes[:-1])


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_a_list_is_sorted_by_its_first_unless_told() -> None:
    assert (asked().sort, asked().descending, asked().limit, asked().skip) == (NAME, False, 25, 0)
    assert (asked("-name").descending, asked("at").descending, asked("-at").descending) == (True, False, True)
    first = page((AT, NAME), limit=None, sort=None, cursor=None)
    assert (first.sort, first.descending) == (AT, True)
    given_default = page(SORTS, limit=None, sort=None, cursor=None, default="-amount")
    assert (given_default.sort, given_default.descending) == (AMOUNT, True)
    assert asked("-amount").order() == "r.amount desc, r.id desc"
    assert asked("amount").order() == "r.amount asc, r.id asc"


@pytest.mark.parametrize(
    "sort", ["x", "-", "--name", "name desc", "NAME", " name", "r.name", "name;drop table r", "1", "+name", "name,at"]
)
def test_no_other_sort_is_taken(sort: str) -> None:
    with pytest.raises(SortUnknown) as caught:
        asked(sort)
    [error] = caught.value.errors
    assert (error.pointer, error.code, caught.value.status) == ("sort", "unknown", 422)
    assert "choose among name, at, amount, count" in error.message


@pytest.mark.parametrize("limit", [0, -1, 201, 10**30])
def test_a_page_has_1_to_200_rows(limit: int) -> None:
    with pytest.raises(Invalid) as caught:
        asked(limit=limit)
    assert caught.value.errors[0].pointer == "limit"
    assert asked(limit=1).limit == 1
    assert asked(limit=200).limit == 200


@pytest.mark.parametrize(("number", "limit"), [(0, 25), (-1, 25), (401, 25), (51, 200), (10**30, 1)])
def test_numbered_pages_reach_the_first_10_000_rows(number: int, limit: int) -> None:
    with pytest.raises(Invalid) as caught:
        asked(number=number, limit=limit)
    assert caught.value.errors[0].pointer == "page"
    assert asked(number=1).skip == 0
    assert asked(number=3, limit=10).skip == 20
    assert asked(number=400, limit=25).skip == 9_975


# --- cursors ---------------------------------------------------------------------------------------------------------

ID = UUID(int=7)


def made(raw: object) -> str:
    text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("name", "ü☃\\'"),
        ("-name", ""),
        ("at", START),
        ("amount", Decimal("-10.0001")),
        ("amount", Decimal("1E+20")),
        ("-count", -3),
    ],
)
def test_a_cursor_leads_back_to_its_row(sort: str, key: Any) -> None:
    cursor = asked(sort).cursor(key, ID)
    assert cursor.isascii()
    assert not set(cursor) & set("=+/&?# ")
    assert asked(sort, cursor=cursor).after == (key, ID)


@pytest.mark.parametrize("other", ["-name", "at", "-at", "count"])
def test_a_cursor_belongs_to_its_sort_order(other: str) -> None:
    cursor = asked("name").cursor("a", ID)
    with pytest.raises(CursorBroken, match="another sort order"):
        asked(other, cursor=cursor)


BROKEN = [
    "", "x", "====", "AAAA", "ümlaut", "a b", "a\nb", "\x00", "../../etc", "null", "🙂", "A" * 10_000,
    made(b""), made(b"{}"), made(b"\xff"), made(None), made([]), made({}), made("name"), made(["name"]), made(["name", "a"]),
    made(["name", "a", "x"]), made(["name", "a", str(ID), 1]), made(["name", None, str(ID)]), made(["name", 1, str(ID)]),
    made(["name", ["a"], str(ID)]), made(["name", {"a": 1}, str(ID)]), made(["name", "a\x00", str(ID)]), made([None, "a", str(ID)]),
    made(["x", "a", str(ID)]), made(["name", "a", None]), made(["name", "a", 7]), made(b"[" * 2_000),
]  # fmt: skip


@pytest.mark.parametrize("cursor", BROKEN, ids=range(len(BROKEN)))
def test_a_cursor_that_was_not_made_here_is_400(cursor: str) -> None:
    with pytest.raises(CursorBroken) as caught:
        asked("name", cursor=cursor)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("at", "2026-01-01T00:00:00"), ("at", "yesterday"), ("at", 1e400), ("at", "10000-01-01T00:00:00Z"), ("amount", "NaN"),
        ("amount", "Infinity"), ("amount", "1_0x"), ("amount", None), ("amount", []), ("count", "1.5"), ("count", 1.5), ("count", "x"),
    ],
)  # fmt: skip
def test_a_cursor_with_a_key_that_no_row_can_have_is_400(sort: str, key: object) -> None:
    with pytest.raises(CursorBroken):
        asked(sort, cursor=made([sort, key, str(ID)]))


@given(st.text(max_size=80), st.sampled_from([s.name for s in SORTS]))
def test_any_text_is_a_cursor_or_400(text: str, sort: str) -> None:
    try:
        after = asked(sort, cursor=text).after
    except CursorBroken:
        return
    assert after is not None
    assert isinstance(after[1], UUID)


@given(st.data(), st.sampled_from([s.name for s in SORTS]))
def test_a_cursor_with_one_character_changed_never_does_harm(data: st.DataObject, sort: str) -> None:
    keys = {"name": "abc", "at": START, "amount": Decimal("10.5"), "count": 12}
    cursor = asked(sort).cursor(keys[sort], ID)
    at = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:at] + data.draw(st.characters()) + cursor[at + 1 :]
    try:
        after = asked(sort, cursor=changed).after
    except CursorBroken:
        return
    assert after is not None
    assert type(after[0]) is type(keys[sort])


# --- conditions ------------------------------------------------------------------------------------------------------


def test_conditions_are_joined_and_number_their_values() -> None:
    where = Where("c.workspace_id = $1")
    where.add("c.name = {} and c.email = {}", "a", "b")
    where.add("c.deleted_at is null")
    limit = where.arg(25)
    assert where.text() == "c.workspace_id = $1\n   and c.name = $2 and c.email = $3\n   and c.deleted_at is null"
    assert (limit, where.values) == ("$4", ["a", "b", 25])


def test_a_value_never_becomes_text_of_the_statement() -> None:
    where = Where("c.workspace_id = $1")
    where.add("c.name = {}", "'; drop table customer; --")
    assert "drop" not in where.text()


@given(st.text("ab%_\\*.", max_size=6), st.text("ab%_\\*.", max_size=6))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_searched_term_means_itself(con: "Connection", term: str, text: str) -> None:
    assert await con.fetchval("select $1::text like '%' || $2 || '%'", text, like(term)) is (term in text)
