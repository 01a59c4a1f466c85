"""Rows as a stream of CSV: quoted arguments, back-pressure, and a connection that is fine afterwards."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit.db import Database
from tests.makers import Workspace, shop

__all__ = ["shop"]

HERE = " where $1::uuid is not null"
NUMBERS = "select n, repeat('x', 1000) from generate_series(1, $2::integer) as n" + HERE
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
EVIL = st.sampled_from(
    [
        "'",
        "''",
        "\\'",
        "$1",
        "$2",
        "$20",
        "'); drop table customer; --",
        "\\",
        "E'\\''",
        "$$",
        "$a$ $a$",
        "{",
        "::text",
        '"',
        "\n",
        "\r\n",
    ]
)


async def rows(db: Database, shop: Workspace, sql: str, *args: object) -> list[list[str]]:
    async with db.reader(shop.id) as reader:
        content = b"".join([block async for block in reader.copy_out(sql, *args)])
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.one_of(TEXT, EVIL, st.builds(str.__add__, EVIL, TEXT)), min_size=3, max_size=3))
async def test_an_argument_is_a_value_whatever_it_says(db: Database, shop: Workspace, values: list[str]) -> None:
    sql = "select $2::text, $3, $4 || '', $2 = any($5::text[])" + HERE
    assert await rows(db, shop, sql, *values, values) == [[*values, "t"]]


async def test_arguments_of_every_kind(db: Database, shop: Workspace) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
    sql = (
        "select $2::numeric + 0, $3::timestamptz, $4::uuid[], $5::boolean, $6::date, $7::text, $8::jsonb, $9::integer"
        + HERE
    )
    args: list[Any] = [Decimal("1.50"), at, [UUID(int=1)], True, at.date(), None, b'{"a": "\'$1"}', -5]
    assert await rows(db, shop, sql, *args) == [
        [
            "1.50",
            "2026-01-31 12:00:00.000005+00",
            "{00000000-0000-0000-0000-000000000001}",
            "t",
            "2026-01-31",
            "",
            '{"a": "\'$1"}',
            "-5",
        ]
    ]


async def test_the_workspace_is_the_first_argument_and_no_other_is_seen(db: Database, shop: Workspace) -> None:
    assert await rows(db, shop, "select $1::uuid") == [[str(shop.id)]]
    assert await rows(db, shop, "select w.workspace_id from workspace w where w.workspace_id = $1 or true") == [
        [str(shop.id)]
    ]


async def test_lines_of_json_come_as_they_are(db: Database, shop: Workspace) -> None:
    async with db.reader(shop.id) as reader:
        sql = "select json_build_object('a', $2::text)" + HERE
        found = b"".join([block async for block in reader.copy_out(sql, 'x"\n,\x01\x02\\', lines=True)])
    assert found == b'{"a" : "x\\"\\n,\\u0001\\u0002\\\\"}\n'


async def test_no_more_is_held_than_was_read(db: Database, shop: Workspace) -> None:
    async with db.reader(shop.id) as reader:
        blocks = reader.copy_out(NUMBERS, 100_000)
        first = await anext(blocks)
        await asyncio.sleep(0.3)
        second = await anext(blocks)
        await blocks.aclose()
        assert len(first) + len(second) < 8_000_000
        assert await reader.value("select 1" + HERE) == 1, "the connection is fine"


async def test_who_stops_reading_cancels_the_question(db: Database, shop: Workspace) -> None:
    slow = "select n, pg_sleep(0.01) from generate_series(1, 100000) as n" + HERE
    before = db.in_use()[0]
    async with asyncio.timeout(10):
        async with db.snapshot(shop.id) as reader:
            blocks = reader.copy_out(slow)
            asking = asyncio.ensure_future(anext(blocks))
            await asyncio.sleep(0.1)
            asking.cancel()
            await asyncio.wait([asking])
            await blocks.aclose()
        assert db.in_use()[0] == before
        assert await rows(db, shop, "select 1" + HERE) == [["1"]]


async def test_what_goes_wrong_in_the_middle_is_raised(db: Database, shop: Workspace) -> None:
    sql = "select n, 1 / (50000 - n), repeat('x', 100) from generate_series(1, 60000) as n" + HERE
    seen = 0
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with db.reader(shop.id) as reader:
            async for block in reader.copy_out(sql):
                seen += len(block)
    assert seen > 1_000_000
    assert await rows(db, shop, "select 1" + HERE) == [["1"]]


async def test_what_is_no_statement_is_refused_at_once(db: Database, shop: Workspace) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await rows(db, shop, "selec 1")
