"""What a custom field takes: the same by Python's rules and by the database's reading."""

import json
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.customers import custom_field_rules as rules
from supover.customers.custom_field_model import Definition, Definitions, FieldType
from supover.kit import patterns

CHOICES = ("Small", "Large")
TYPES: tuple[FieldType, ...] = ("text", "number", "date", "boolean", "choice", "list")


def declared(type: FieldType, **about: Any) -> Definitions:
    given: dict[str, Any] = {"choices": CHOICES if type == "choice" else ()} | about
    return Definitions(uuid4(), {"k": Definition(uuid4(), "k", "A label", type, **given)})


def errors(type: FieldType, value: Any, **about: Any) -> list[str]:
    return [e.code for e in rules.whole(declared(type, **about), {"k": value})[1]]


days = st.dates().map(date.isoformat)
numbers = st.one_of(
    st.integers(-(10**34), 10**34),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda d: format(d, "f")),
)
plain = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
anything = st.one_of(
    *(st.none(), st.booleans(), numbers, plain, days, st.sampled_from(["small", "Large", "2026-02-30", "0000-01-01", "1_0"])),
    st.lists(st.one_of(plain, st.integers()), max_size=4),
    st.dictionaries(plain, plain, max_size=2),
)  # fmt: skip


@given(st.sampled_from(TYPES), anything)
def test_what_was_kept_is_kept_again_as_it_is(type: FieldType, value: Any) -> None:
    kept, wrong = rules.whole(declared(type), {"k": value, "free": value})
    assert kept["free"] is value
    if not wrong and value is not None:
        assert rules.whole(declared(type), kept) == (kept, [])
        assert rules.some(declared(type), kept) == (kept, [])
        assert rules.kept(declared(type), kept) == kept
    assert [e.pointer for e in wrong] in ([], ["/customFields/k"])
    assert "k" in rules.kept(declared(type), {"k": value}), "a channel is refused nothing"


async def test_the_database_reads_what_the_rules_take(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    seen: list[tuple[FieldType, Any]] = []

    @given(st.sampled_from(TYPES), anything)
    def collect(type: FieldType, value: Any) -> None:
        seen.append((type, value))

    collect()
    for type, value in seen:
        kept, wrong = rules.whole(declared(type), {"k": value})
        if value is None:
            continue
        written = json.dumps(kept["k"] if not wrong else value)
        choices = list(CHOICES) if type == "choice" else []
        fits = await owner.fetchval("select ext.custom_fits($1::text::jsonb, $2, $3)", written, type, choices)
        assert fits == (not wrong) or (wrong and _is_lenient(type, value)), (type, value, wrong)
        if wrong or type not in ("number", "date"):
            continue
        if type == "number":
            found = await owner.fetchval("select ext.custom_number($1::text::jsonb)", written)
            assert found == Decimal(str(kept["k"])), value
        else:
            assert await owner.fetchval("select ext.custom_day($1::text::jsonb)", written) == date.fromisoformat(value)


def _is_lenient(type: FieldType, value: Any) -> bool:
    # An item may be longer than the rules take.
    return type == "list" and any(isinstance(item, str) and len(item) > rules.ITEM_LENGTH for item in value)


@pytest.mark.parametrize(
    ("type", "given", "kept"),
    [
        ("number", 12, 12),
        ("number", 12.5, 12.5),
        ("number", "12.50", "12.50"),
        ("number", " 007.10 ", "7.10"),
        ("number", "-0", "-0"),
        ("number", "123456789012345678901234567890.123", "123456789012345678901234567890.123"),
        ("choice", " LARGE ", "Large"),
        ("date", "2024-02-29", "2024-02-29"),
        ("list", ["a", "b"], ["a", "b"]),
        ("boolean", False, False),
        ("text", "  kept  ", "  kept  "),
    ],
)
def test_a_value_is_kept_as_it_is_meant(type: FieldType, given: Any, kept: Any) -> None:
    assert rules.whole(declared(type), {"k": given}) == ({"k": kept}, [])


@pytest.mark.parametrize(
    ("type", "given", "code"),
    [
        ("number", True, "type"),
        ("number", [], "type"),
        ("number", "1,5", "number"),
        ("number", "1e5", "number"),
        ("number", "١٢", "number"),
        ("number", 10**33, "range"),
        ("number", "1" * 34, "number"),
        ("date", "2026-02-29", "date"),
        ("date", "20260201", "date"),
        ("date", "2026-2-1", "date"),
        ("date", "0000-01-01", "date"),
        ("date", 20260201, "date"),
        ("boolean", "true", "type"),
        ("boolean", 1, "type"),
        ("choice", "Medium", "choice"),
        ("choice", 1, "choice"),
        ("list", "a", "type"),
        ("list", [1], "type"),
        ("list", ["a"] * 101, "length"),
        ("text", 1, "type"),
        ("text", "x" * 5001, "length"),
    ],
)
def test_what_does_not_fit_says_why(type: FieldType, given: Any, code: str) -> None:
    assert errors(type, given) == [code]


def test_a_pattern_is_of_the_whole_text_and_takes_no_time() -> None:
    assert errors("text", "AB-12", pattern=r"[A-Z]{2}-\d+") == []
    assert errors("text", "xAB-12", pattern=r"[A-Z]{2}-\d+") == ["pattern"]
    assert errors("text", "AB-12\n", pattern=r"[A-Z]{2}-\d+") == ["pattern"]
    assert errors("text", "a" * 4999 + "b", pattern=r"(a+)+") == ["pattern"], (
        "which takes others longer than the sun lasts"
    )
    for bad in ("(", r"\1", "(?=a)", "a{1001}", "((a{100}){100}){100}", "x" * 501):
        assert patterns.why_not(bad) is not None, bad
    assert patterns.why_not("") is None


def test_what_is_required_must_be_there_and_what_was_there_is_not_looked_at() -> None:
    asked = declared("number", is_required=True)
    assert [e.code for e in rules.whole(asked, {})[1]] == ["required"]
    assert [e.code for e in rules.whole(asked, {"k": None})[1]] == ["required"]
    assert [e.code for e in rules.some(asked, {"k": None})[1]] == ["required"]
    assert rules.some(asked, {"other": None}) == ({"other": None}, [])
    assert rules.whole(asked, {"k": "misfit"}, {"k": "misfit"}) == ({"k": "misfit"}, [])
    assert [e.code for e in rules.whole(asked, {"k": "other"}, {"k": "misfit"})[1]] == ["number"]
    assert [e.code for e in rules.whole(declared("boolean"), {"k": 1}, {"k": True})[1]] == ["type"]


@pytest.mark.parametrize(
    ("type", "empty"),
    [
        *(("text", ""), ("text", "  "), ("text", "\u200b\n"), ("list", []), ("list", [" ", ""])),
        *(("number", " "), ("date", ""), ("choice", " "), ("boolean", None)),
    ],
)
def test_what_says_nothing_is_not_there(type: FieldType, empty: Any) -> None:
    asked = declared(type, is_required=True)
    for kept, wrong in (
        rules.whole(asked, {"k": empty}),
        rules.whole(asked, {"k": empty}, {"k": empty}),
        rules.some(asked, {"k": empty}),
    ):
        assert [e.pointer for e in wrong] == ["/customFields/k"], kept
    assert rules.whole(declared("boolean", is_required=True), {"k": False}) == ({"k": False}, [])
    assert rules.whole(declared("number", is_required=True), {"k": 0}) == ({"k": 0}, [])
    assert rules.whole(declared("list"), {"k": []}) == ({"k": []}, []), "where it is not required"


def test_a_key_in_another_case_is_no_way_past_a_declared_one() -> None:
    asked = declared("number", is_required=True)
    said = "is not declared; did you mean k?"
    for wrong in (rules.whole(asked, {"K": "many"})[1], rules.some(asked, {"K": 5})[1]):
        assert [(e.pointer, e.message) for e in wrong] == [("/customFields/K", said)]
    assert [e.pointer for e in rules.whole(asked, {"k": 1, "K": 1})[1]] == ["/customFields/K"]
    assert rules.some(asked, {"K": None}) == ({"K": None}, []), "it can be removed"
    assert rules.whole(asked, {"k": 1, "K": "x"}, {"K": "x"}) == ({"k": 1, "K": "x"}, []), "what was there stays"
    assert [e.pointer for e in rules.whole(asked, {"k": 1, "K": "y"}, {"K": "x"})[1]] == ["/customFields/K"]
    assert rules.kept(asked, {"K": "007", "other": 1}) == {"k": "7", "other": 1}
    assert rules.kept(asked, {"K": "many"}) == {"k": "many"}
    assert rules.kept(asked, {"K": 2, "k": 1}) == {"K": 2, "k": 1}
    assert rules.read(asked, {"K": "2.5"}) == ({"k": 2.5}, [])
    assert [e.pointer for e in rules.read(asked, {"K": "many"})[1]] == ["/customFields/k"]


def test_the_cells_of_a_row_become_values() -> None:
    def read(type: FieldType, cell: str) -> Any:
        values, wrong = rules.read(declared(type), {"k": cell})
        return wrong[0].code if wrong else values.get("k")

    assert [read("boolean", c) for c in ("yes", "NO", "true", " False ", "1", "0", "maybe")] == [
        *(True, False, True, False, True, False, "boolean")
    ]
    assert [read("number", c) for c in ("12", "12.5", "0.1234567890123456789", "1,5", "")] == [
        *(12, 12.5, "0.1234567890123456789", "number", None)
    ]
    assert [read("list", c) for c in ("a, b;c", ";", " one ")] == [["a", "b", "c"], [], ["one"]]
    assert [read("date", c) for c in (" 2026-01-31 ", "31.01.2026")] == ["2026-01-31", "date"]
    assert [read("choice", c) for c in ("small", "none")] == ["Small", "choice"]
    assert rules.read(declared("text"), {"other": " as it is "}) == ({"other": " as it is "}, [])
