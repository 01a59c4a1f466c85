"""The map of personal data knows every table, column and fact, and erasing knows every treatment."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import msgspec
import pytest

from supover import wiring
from supover.kit import events
from supover.kit.db import Database
from supover.privacy import erasing
from supover.privacy.personal import HARMLESS, PERSONAL, TELLING
from tests.makers import Workspace

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

COLUMNS = """
    select c.relname, array_agg(a.attname::text order by a.attnum)
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p')
     group by c.relname"""


async def test_every_column_of_every_table_is_declared(owner: "Connection") -> None:
    there = {table: frozenset(columns) for table, columns in await owner.fetch(COLUMNS)}
    declared = {table.name: table.columns for table in PERSONAL}
    assert {
        t: sorted(c - declared.get(t, frozenset())) for t, c in there.items() if c - declared.get(t, frozenset())
    } == {}
    assert {
        t: sorted(c - there.get(t, frozenset())) for t, c in declared.items() if c - there.get(t, frozenset())
    } == {}, "stale"


async def test_what_is_not_personal_or_kept_says_why_and_what_is_personal_is_reached(owner: "Connection") -> None:
    assert [t.name for t in PERSONAL if not t.why] == []
    assert [t.name for t in PERSONAL if len(t.columns) != len(t.plain.split()) + len(t.personal)] == [], (
        "a column is both"
    )
    by_themselves = {"customer_told"}
    assert [
        t.name for t in PERSONAL if t.personal and not t.by and not t.mentions and t.name not in by_themselves
    ] == []
    there = {table: set(columns) for table, columns in await owner.fetch(COLUMNS)}
    asked = [(t.name, c) for t in PERSONAL for c in (*(by for by, _ in t.by), *t.mentions, *t.also.split())]
    assert [(table, column) for table, column in asked if column not in there[table]] == []


async def test_every_table_that_names_a_customer_is_reached_by_them(owner: "Connection") -> None:
    named = re.compile(r"(customer|primary|former|a|b|merged_into)_id$")
    there = {table: [c for c in columns if named.fullmatch(c)] for table, columns in await owner.fetch(COLUMNS)}
    reached = {t.name: {column for column, _ in t.by} for t in PERSONAL}
    why = {
        "customer_stale": "a mark", "segment_stale": "a mark", "erased_contact": "what erasing leaves",
        "customer_merge": "by the merges' ids", "customer_merge_row": "by the merges' ids", "inbox_message": "", "order": "by orders' ids",
        "order_decision": "by orders' ids", "customer": "by its id",
    }  # fmt: skip
    assert {t: c for t, c in there.items() if c and not set(c) & reached.get(t, set()) and t not in why} == {}


async def test_every_treatment_is_one_that_erasing_knows(owner: "Connection") -> None:
    async with owner.transaction():
        for table in PERSONAL:
            if table.treatments:
                await owner.fetchval(
                    "select fence.personal_set($1, $2)", table.name, msgspec.json.encode(table.treatments).decode()
                )


@pytest.mark.parametrize(
    ("table", "treatments"),
    [
        ("audit_log", None),
        ("event_log", None),
        ("audit_log", '{"subject_id": "null"}'),
        ("event_log", '{"kind": "empty"}'),
        ("customer", '{"name": "null; drop table data.customer"}'),
        ("customer", '{"nothing": "null"}'),
        ("nothing", None),
    ],
)
async def test_what_the_map_does_not_say_is_refused_by_the_database(
    db: Database, shop: Workspace, table: str, treatments: str | None
) -> None:
    async with db.tx(shop.id) as tx:
        with pytest.raises(asyncpg.PostgresError):
            async with tx.savepoint():
                await tx.value(
                    erasing.ERASE, table, "id", [shop.id], None if treatments is None else treatments.encode(), [], []
                )


def test_every_fact_is_declared_harmless_or_telling() -> None:
    wiring.load()
    wiring.routes()
    head = {"customerId", "orderId", "at"}
    found = {
        f.encode_name: kind.__name__
        for kind in events.kinds()
        if kind.logged and kind.__module__.startswith("supover.")
        for f in msgspec.structs.fields(kind)
    }
    assert {name: kind for name, kind in found.items() if name not in head | HARMLESS | TELLING} == {}
    assert not HARMLESS & TELLING


def test_the_map_stands_in_the_guide() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guide" / "privacy.md"
    assert "privacy/personal.py" in guide.read_text("utf-8")
