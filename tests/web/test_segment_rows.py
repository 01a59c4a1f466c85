"""Filters as rows, from a form or a text and back."""

import tracemalloc
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from supover import wiring
from supover.kit import filters
from supover.web import segment_rows, vocabularies
from supover.web.segment_rows import Fixed, Group, Looked, Row

Pairs = list[tuple[str, str]]


def scope() -> filters.Scope:
    wiring.load()
    return filters.Scope(ZoneInfo("UTC"), date(2026, 6, 15), filters.registered())


def sent(group: Group) -> Pairs:
    """What the form of these rows sends."""
    pairs: Pairs = [("node", "group"), ("by", group.by)]
    for part in group.parts:
        match part:
            case Group():
                pairs += sent(part)
            case Looked():
                pairs += [("node", "looked"), ("field", part.field), ("op", part.op)]
                pairs += [pair for row in part.rows for pair in row_sent(row)]
                pairs.append(("node", "end"))
            case Fixed():
                pairs.append(("fixed", part.text))
            case Row():
                pairs += row_sent(part)
    return [*pairs, ("node", "end")]


def row_sent(row: Row) -> Pairs:
    pairs = [("node", "row"), ("field", row.field), ("op", row.op)]
    if segment_rows.many(row.op) is None and row.field != "status":
        return [*pairs, ("value", "\n".join(row.values))]
    for value in row.values:
        if value[:1] in "+-" and value[-1:] in "dwmy":
            pairs += [("count", value[1:-1]), ("unit", value[0] + value[-1])]
        elif segment_rows.DAY.fullmatch(value):
            pairs += [("unit", "date"), ("value", value)]
        else:
            pairs.append(("value", value))
    return pairs


@pytest.mark.parametrize(
    ("written", "again"),
    [
        ("number_of_orders >= 2", None),
        ("number_of_orders >= 2 AND last_order_date BETWEEN -180d AND -90d", None),
        ("status = 'VIP' OR (number_of_orders >= 5 AND amount_spent >= 500.5)", None),
        ("NOT (customer_tags CONTAINS 'a')", None),
        ("NOT (status = 'VIP' AND amount_spent < 5) AND customer_email IS NOT NULL", None),
        ("NOT (status = 'VIP' OR amount_spent < 5)", None),
        ("amount_spent > 1 AND (NOT (status = 'VIP' OR (customer_name = 'a' AND customer_name != 'b')))", None),
        ("status in ('vip', 'ACTIVE')", "status IN ('VIP', 'ACTIVE')"),
        ("customer_email_domain NOT IN ('a.com', 'b.com')", None),
        ("customer_name CONTAINS 'O''Brien'", None),
        ('customer_name = "it\'s"', "customer_name = 'it''s'"),
        ("last_order_date >= 2026-01-31", None),
        ("last_order_date < 3w", "last_order_date < +3w"),
        ("products_purchased MATCHES (sku = 'MUG', count >= 2, date >= -1y)", None),
        ("orders_placed NOT MATCHES (amount > 200)", None),
        ("customer_tags IS NULL", None),
        ("customer_name = 'two\nlines'", None),
        ("customer_countries CONTAINS 'de'", "customer_countries CONTAINS 'DE'"),
        ("customer_countries NOT IN ('DE', 'Unspecified')", None),
        (
            "customer_regions CONTAINS 'US-CA' OR customer_regions IN ('us-ny', 'CA-ON')",
            "customer_regions CONTAINS 'US-CA' OR customer_regions IN ('US-NY', 'CA-ON')",
        ),
        (
            "customer_source = 'etsy' AND customer_language IN ('de', 'de-AT')",
            "customer_source = 'ETSY' AND customer_language IN ('de', 'de-AT')",
        ),
    ],
)
def test_a_text_becomes_rows_and_the_same_text_again(written: str, again: str | None) -> None:
    known = scope()
    rows = segment_rows.from_text(written, known.asked)
    said = segment_rows.to_text(rows, known.asked)
    # The case of a code is the only thing that may differ.
    plain = filters.describe(filters.parse(written, known)).lower()
    assert filters.describe(filters.parse(said, known)).lower() == plain
    if " (NOT " not in written:
        assert said == (again or written)
    from_form = segment_rows.from_form(sent(rows), known.asked)
    assert segment_rows.to_text(from_form, known.asked) == said
    assert segment_rows.is_whole(from_form)


def test_a_row_without_a_value_is_left_out_and_says_so() -> None:
    known = scope()
    pairs: Pairs = [
        ("node", "group"), ("by", "and"),
        ("node", "row"), ("field", "number_of_orders"), ("op", ">="), ("value", ""),
        ("node", "group"), ("by", "or"), ("node", "row"), ("field", "customer_name"), ("op", "="), ("value", " "), ("node", "end"),
        ("node", "row"), ("field", "amount_spent"), ("op", ">"), ("value", "5 OR 1 = 1"),
        ("node", "row"), ("field", "status"), ("op", "="), ("value", "VIP"),
        ("node", "end"),
    ]  # fmt: skip
    rows = segment_rows.from_form(pairs, known.asked)
    assert segment_rows.to_text(rows, known.asked) == "status = 'VIP'"
    assert not segment_rows.is_whole(rows)
    assert [part.wrong for part in rows.parts if isinstance(part, Row)] == ["missing", "number", ""]


def test_another_field_has_its_own_operators_and_values() -> None:
    known = scope()

    def changed(field: str, op: str, *values: str) -> object:
        pairs = [("node", "group"), ("node", "row"), ("field", field), ("op", op), *(("value", v) for v in values)]
        return segment_rows.from_form([*pairs, ("node", "end")], known.asked).parts[0]

    assert changed("last_order_date", ">=", "2") == Row(field="last_order_date", op=">=", values=["-30d"])
    assert changed("status", ">=", "2") == Row(field="status", op="=", values=["ACTIVE"])
    assert changed("amount_spent", ">=", "2") == Row(field="amount_spent", op=">=", values=["2"])
    assert changed("number_of_orders", "BETWEEN", "2") == Row(field="number_of_orders", op="BETWEEN", values=["2", ""])
    looked = changed("products_purchased", "=", "2")
    assert looked == Looked(field="products_purchased", rows=[Row(field="sku", op="=", values=[""])])
    assert changed("nonsense", "=", "2") != Row(field="nonsense")


def test_what_was_chosen_for_a_field_is_not_taken_for_another() -> None:
    known = scope()

    def text(was: str, field: str, value: str) -> str:
        pairs = [
            ("node", "group"),
            ("node", "row"),
            ("was", was),
            ("field", field),
            ("op", "CONTAINS"),
            ("value", value),
        ]
        return segment_rows.to_text(segment_rows.from_form(pairs, known.asked), known.asked)

    assert text("customer_countries", "customer_tags", "DE") == ""
    assert text("customer_email", "customer_name", "lee") == "customer_name CONTAINS 'lee'"
    assert text("customer_tags", "customer_tags", "vip") == "customer_tags CONTAINS 'vip'"


def test_a_date_goes_from_days_ago_to_a_day_and_back() -> None:
    known = scope()

    def shown(*pairs: tuple[str, str]) -> list[str]:
        given = [
            ("node", "group"),
            ("node", "row"),
            ("field", "last_order_date"),
            ("op", ">="),
            *pairs,
            ("node", "end"),
        ]
        [row] = segment_rows.from_form(given, known.asked).parts
        assert isinstance(row, Row)
        return row.values

    assert shown(("count", "90"), ("unit", "-d")) == ["-90d"]
    assert shown(("count", "90"), ("unit", "date")) == [segment_rows.A_DAY]
    assert shown(("unit", "date"), ("value", "2026-01-31")) == ["2026-01-31"]
    assert shown(("unit", "-m"), ("value", "2026-01-31")) == ["-3m"]
    assert shown(("count", ""), ("unit", "-d")) == ["-d"]


@pytest.mark.parametrize(
    ("field", "op", "chosen", "said"),
    [
        ("customer_countries", "CONTAINS", [("value", "Germany")], "customer_countries CONTAINS 'DE'"),
        # By its name in any of our languages, with or without accents, beside what is chosen already.
        ("customer_countries", "IN", [("value", "DE"), ("value", "phap"), ("value", "")],
         "customer_countries IN ('DE', 'FR')"),
        ("customer_language", "=", [("value", "tiếng Đức")], "customer_language = 'de'"),
        ("customer_language", "CONTAINS", [("value", "German")], "customer_language CONTAINS 'German'"),
        ("customer_source", "IN", [("value", "TikTok Shop"), ("value", "MYSHOP")], "customer_source IN ('TIKTOK_SHOP', 'MYSHOP')"),
        ("customer_regions", "CONTAINS", [("within", "US"), ("value", "US-CA")], "customer_regions CONTAINS 'US-CA'"),
        ("customer_regions", "IN", [("within", "US"), ("value", "CA-ON"), ("value", "New York")],
         "customer_regions IN ('CA-ON', 'US-NY')"),
        # Another country is chosen: its region is still to be told.
        ("customer_regions", "CONTAINS", [("within", "CA"), ("value", "US-CA")], ""),
        ("customer_regions", "CONTAINS", [("within", "DE"), ("value", "Bayern")], "customer_regions CONTAINS 'DE-Bayern'"),
        ("customer_tags", "IN", [("value", "vip"), ("value", " new ")], "customer_tags IN ('vip', 'new')"),
    ],
)  # fmt: skip
def test_what_is_chosen_by_its_name_is_asked_by_its_code(field: str, op: str, chosen: Pairs, said: str) -> None:
    known = scope()
    pairs = [("node", "group"), ("by", "and"), ("node", "row"), ("field", field), ("op", op), *chosen, ("node", "end")]
    rows = segment_rows.from_form(pairs, known.asked)
    assert segment_rows.to_text(rows, known.asked) == said
    [row] = rows.parts
    assert isinstance(row, Row)
    assert row.within == dict(chosen).get("within", "")


def test_more_rows_than_a_filter_can_have_are_not_read() -> None:
    """Each is a form of its own: a page of five thousand has sixty megabytes."""
    known = scope()
    row, looked = [("node", "row"), ("field", "amount_spent"), ("op", ">"), ("value", "5")], [("node", "looked")]
    begun = [("node", "group"), ("by", "and")]
    parts = segment_rows.from_form([*begun, *row * 5_000], known.asked).parts
    assert len(parts) == 251
    with pytest.raises(filters.FilterInvalid, match="at most 250 conditions"):
        filters.parse(segment_rows.to_text(Group(parts=parts), known.asked), known)
    for others in ([("fixed", "amount_spent > 5")], [*looked, ("field", "products_purchased"), ("node", "end")]):
        assert len(segment_rows.from_form([*begun, *others * 5_000], known.asked).parts) <= 251


def test_nothing_is_remembered_of_countries_that_are_none() -> None:
    known = scope()

    def shown(within: str) -> str:
        row = [("node", "row"), ("field", "customer_regions"), ("op", "IN"), ("within", within), ("value", "Bayern")]
        segment_rows.from_form([("node", "group"), *row, ("node", "end")], known.asked)
        return vocabularies.called("region", f"{within}-CA", Locale("en"))

    assert shown("US") == "California, United States"
    tracemalloc.start()
    try:
        for n in range(20):
            assert shown(f"{n}" * 100_000) == f"{n}" * 100_000 + "-CA"
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def test_rows_and_groups_are_added_and_removed() -> None:
    known = scope()
    rows = Group()
    assert segment_rows.done(rows, "add:0", known.asked) == 1
    assert segment_rows.done(rows, "group:0", known.asked) == 3
    assert [type(part) for part in rows.parts] == [Row, Group]
    assert isinstance(rows.parts[1], Group)
    assert rows.parts[1].by == "or"
    segment_rows.done(rows, "remove:3", known.asked)
    assert [type(part) for part in rows.parts] == [Row]
    segment_rows.done(rows, "remove:99", known.asked)
    assert len(rows.parts) == 1


def test_the_form_of_anything_is_read() -> None:
    known = scope()
    for pairs in (
        [("node", "end"), ("value", "x"), ("op", "="), ("field", "status"), ("unit", "-d"), ("count", "1")],
        [("node", "row"), ("field", "status")],
        [("node", "looked"), ("node", "looked"), ("node", "group"), ("node", "row")],
        [("node", "group")] * 50,
        [("node", "group")] * 3_000,
        [("node", "group"), ("node", "row"), ("field", "status"), ("op", "IN")],
    ):
        rows = segment_rows.from_form(pairs, known.asked)
        assert segment_rows.to_text(rows, known.asked) == ""
