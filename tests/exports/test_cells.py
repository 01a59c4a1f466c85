"""What a cell says: the rules in SQL are those of kit.tables, on any text."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import tables

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
CELL = st.one_of(TEXT, st.builds(str.__add__, st.sampled_from("=+-@\t\r'＝＋－＠;,\""), TEXT))
PHONE = st.one_of(CELL, st.text("+-0123456789 ().", max_size=20))
MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(cells=st.lists(CELL, max_size=20))
async def test_a_cell_is_guarded_as_tables_guards_it(owner: "Connection", cells: list[str]) -> None:
    found = await owner.fetchval(
        "select array(select ext.guarded(c) from unnest($1::text[]) with ordinality u (c, n) order by n)", cells
    )
    assert found == [tables.guarded(cell) or None for cell in cells]


@MANY
@given(cells=st.lists(PHONE, max_size=20))
async def test_a_phone_is_guarded_unless_it_is_one(owner: "Connection", cells: list[str]) -> None:
    found = await owner.fetchval(
        "select array(select ext.phone_cell(c) from unnest($1::text[]) with ordinality u (c, n) order by n)", cells
    )
    assert found == [(c if re.fullmatch(r"[-+0-9 ().]*", c) else tables.guarded(c)) or None for c in cells]


@MANY
@given(tags=st.lists(CELL, max_size=6))
async def test_tags_are_joined_as_tables_joins_them(owner: "Connection", tags: list[str]) -> None:
    found = await owner.fetchrow("select ext.tags_cell($1, true), ext.tags_cell($1, false)", tags)
    assert found is not None
    plain = tables.tags_cell(tags)
    assert tuple(found) == (tables.guarded(plain) or None, plain or None)


async def test_a_tag_of_ten_thousand_letters_and_one_that_is_all_quotes(owner: "Connection") -> None:
    tags = ["x" * 10_000, '"""', "a;b", "\N{RIGHT-TO-LEFT OVERRIDE}evil"]
    assert await owner.fetchval("select ext.tags_cell($1, true)", tags) == tables.tags_cell(tags)


@pytest.mark.parametrize(
    ("value", "guarded", "plain"),
    [
        ("light", "light", "light"),
        ("=1+1", "'=1+1", "=1+1"),
        ("'5", "''5", "'5"),
        ("", None, None),
        (5, "5", "5"),
        (-5, "'-5", "-5"),
        (1.50, "1.5", "1.5"),
        (True, "true", "true"),
        (None, None, None),
        ([], None, None),
        (["a", "b,c"], 'a;"b,c"', 'a;"b,c"'),
        (["-a"], "'-a", "-a"),
        (["a", 1], '["a", 1]', '["a", 1]'),
        ({"k": [1]}, '{"k": [1]}', '{"k": [1]}'),
    ],
)
async def test_a_custom_fields_cell(owner: "Connection", value: Any, guarded: str | None, plain: str | None) -> None:
    raw = msgspec.json.encode(value).decode()
    row = await owner.fetchrow(
        "select ext.custom_cell($1::jsonb, true, false), ext.custom_cell($1::jsonb, false, true)", raw
    )
    assert row is not None
    assert tuple(row) == (guarded, plain)


async def test_a_number_in_a_column_of_numbers_is_plain(owner: "Connection") -> None:
    assert await owner.fetchval("select ext.custom_cell('-5', true, true)") == "-5"


@pytest.mark.parametrize(
    ("at", "cell"),
    [
        (datetime(2026, 1, 31, 18, 30, tzinfo=UTC), "2026-01-31T18:30:00Z"),
        (datetime(2026, 1, 31, 18, 30, 20, 500_000, tzinfo=UTC), "2026-01-31T18:30:20.5Z"),
    ],
)
async def test_a_time_is_in_utc_with_as_many_digits_as_it_has(owner: "Connection", at: datetime, cell: str) -> None:
    await owner.execute("set timezone = 'Asia/Tokyo'")
    assert await owner.fetchval("select ext.time_cell($1)", at) == cell
