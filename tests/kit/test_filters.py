"""The segment language by itself: what is read, what is refused and where, what it compiles to, what it says in words."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from supover.kit import countries, filters
from supover.kit.filters import Field, FilterInvalid, Function, Scope
from supover.kit.filters.grammar import MAX_CONDITIONS, MAX_DEPTH, MAX_LENGTH
from supover.kit.sql import Where
from tests.kit import filter_texts

ZERO = Decimal(0)
FIELDS = (
    Field(name="orders", kind="whole", words="number of orders", sql="m.order_count", absent=ZERO, aka=("ordercount",)),
    Field(name="spent", kind="number", words="amount spent", sql="m.total_spent", absent=ZERO),
    Field(name="last", kind="moment", words="last order date", sql="m.last_order_at"),
    Field(name="born", kind="day", words="date of birth", sql="c.date_of_birth"),
    Field(name="status", kind="choice", words="status", sql="c.status", choices=("ACTIVE", "VIP")),
    Field(name="source", kind="text", words="source", sql="c.source"),
    Field(name="lands", kind="list", words="lands", equals="c.lands @> array[{0}]", meant=countries.meant),
    Field(name="happy", kind="flag", words="happiness", sql="x.happy"),
    Field(
        name="tags",
        kind="list",
        words="tags",
        equals="c.tags @> array[{0}]",
        any_of="c.tags && {0}",
        empty="c.tags = array[]::text[]",
        example="tags CONTAINS 'a'",
    ),
    Field(
        name="emails",
        kind="choice",
        words="email status",
        sql="k.state",
        within="exists (select 1 from k where {})",
        absent="NEVER",
        choices=("NEVER", "YES"),
    ),
    Field(name="custom.colour", kind="text", words="colour", sql="x.colour"),
    Function(
        name="bought",
        words="bought a product",
        many="products bought",
        rows="line l where true",
        customer="l.customer_id",
        fields=(
            Field(name="sku", kind="text", words="SKU", sql="l.sku", equals="l.sku = {0}"),
            Field(name="quantity", kind="whole", words="quantity", sql="l.quantity"),
        ),
        sums=(Field(name="count", kind="whole", words="number of orders", sql="count(*)"),),
    ),
)
TODAY = date(2026, 3, 31)
SCOPE = Scope(ZoneInfo("America/New_York"), TODAY, {one.name: one for one in FIELDS})


def compiled(text: str) -> tuple[str, list[Any]]:
    where = Where()
    return filters.condition(filters.parse(text, SCOPE), where), where.values


def refused(text: str) -> list[tuple[int | None, str]]:
    with pytest.raises(FilterInvalid) as caught:
        filters.parse(text, SCOPE)
    assert all(error.pointer == "/filter" and error.message for error in caught.value.errors)
    return [(error.position, error.code) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ("orders >= 5", "m.order_count >= $2", [5]),
        ("orders >= 4.5", "m.order_count >= $2", [5]),
        ("orders > 4.5", "m.order_count >= $2", [5]),
        ("orders < 4", "(m.order_count <= $2 or m.order_count is null)", [3]),
        ("orders <= 3.9", "(m.order_count <= $2 or m.order_count is null)", [3]),
        ("orders = 1.5", "false", []),
        ("orders > 99999999999", "false", []),
        ("orders != 1", "(m.order_count = $2) is not true", [1]),
        ("NOT orders != 1", "m.order_count = $2", [1]),
        ("orders != 0", "((m.order_count = $2) is false)", [0]),
        ("orders IN (2, 3)", "(m.order_count = $2 or m.order_count = $3)", [2, 3]),
        ("spent BETWEEN 1 AND 999.99", "m.total_spent between $2 and $3", [Decimal(1), Decimal("999.99")]),
        ("source = 'ETSY'", "lower(c.source) = lower($2)", ["ETSY"]),
        ("source <> \"it's\"", "(lower(c.source) = lower($2)) is not true", ["it's"]),
        ("source = 'it''s'", "lower(c.source) = lower($2)", ["it's"]),
        ("source contains 'x'", "ext.fold(c.source) like ext.search_pattern($2)", ["x"]),
        ("status = 'vip'", "c.status = $2", ["VIP"]),
        ("happy = true", "x.happy = $2", [True]),
        ("tags CONTAINS 'a'", "c.tags @> array[$2]", ["a"]),
        ("tags NOT CONTAINS 'a'", "(c.tags @> array[$2]) is not true", ["a"]),
        ("tags IN ('a', 'b')", "c.tags && $2", [["a", "b"]]),
        ("tags NOT IN ('a', 'b')", "(c.tags && $2) is not true", [["a", "b"]]),
        ("tags IN ('a')", "c.tags @> array[$2]", ["a"]),
        ("lands IN ('a', 'b')", "(c.lands @> array[$2] or c.lands @> array[$3])", ["a", "b"]),
        ("tags IS NULL", "c.tags = array[]::text[]", []),
        ("tags IS NOT NULL", "(c.tags = array[]::text[]) is not true", []),
        ("last IS NULL", "m.last_order_at is null", []),
        ("NOT (last IS NULL)", "m.last_order_at is not null", []),
        ("born > -18y", "c.date_of_birth > $2", [date(2008, 3, 31)]),
        ("emails = 'yes'", "exists (select 1 from k where k.state = $2)", ["YES"]),
        ("emails != 'yes'", "not exists (select 1 from k where k.state = $2)", ["YES"]),
        (
            "emails = 'never'",
            "(exists (select 1 from k where k.state = $2) or not exists (select 1 from k where true))",
            ["NEVER"],
        ),
        (
            "emails != 'never'",
            "(not exists (select 1 from k where k.state = $2) and exists (select 1 from k where true))",
            ["NEVER"],
        ),
        ("custom.Colour = 'red'", "lower(x.colour) = lower($2)", ["red"]),
        ("orders = 1 OR orders = 2 AND spent > 3", "(m.order_count = $2 or (m.order_count = $3 and m.total_spent > $4))", [1, 2, 3]),
        ("NOT (orders = 1 OR spent > 3)", "((m.order_count = $2) is not true and (m.total_spent > $3) is not true)", [1, 3]),
        (
            "bought MATCHES (sku = 'X', quantity > 5)",
            "exists (select 1 from line l where true and l.sku = $2 and l.quantity >= $3 and l.customer_id = c.id)",
            ["X", 6],
        ),
        (
            "bought NOT MATCHES (sku = 'X')",
            "not exists (select 1 from line l where true and l.sku = $2 and l.customer_id = c.id)",
            ["X"],
        ),
    ],
)  # fmt: skip
def test_a_text_becomes_one_condition_with_its_values_as_arguments(text: str, sql: str, values: list[Any]) -> None:
    found, given_ = compiled(text)
    assert found in (sql, sql[1:-1])
    assert given_ == values


def test_days_are_whole_days_of_the_zone() -> None:
    at = [datetime(2026, 1, 31, 5, tzinfo=UTC), datetime(2026, 2, 1, 5, tzinfo=UTC)]
    assert compiled("last = 2026-01-31") == ("(m.last_order_at >= $2 and m.last_order_at < $3)", at)
    assert compiled("last > 2026-01-31") == ("m.last_order_at >= $2", at[1:])
    assert compiled("last <= 2026-01-31") == ("m.last_order_at < $2", at[1:])
    assert compiled("last < 2026-01-31") == ("m.last_order_at < $2", at[:1])
    assert compiled("last between 2026-01-31 and 2026-01-31") == (
        "(m.last_order_at >= $2 and m.last_order_at < $3)",
        at,
    )


@pytest.mark.parametrize(
    ("offset", "day"),
    [
        ("-90d", date(2025, 12, 31)),
        ("-4w", date(2026, 3, 3)),
        ("-1m", date(2026, 2, 28)),
        ("-12m", date(2025, 3, 31)),
        ("-1Y", date(2025, 3, 31)),
        ("+3m", date(2026, 6, 30)),
        ("0d", TODAY),
    ],
)
def test_days_move_with_today(offset: str, day: date) -> None:
    tree = filters.parse(f"born = {offset}", SCOPE)
    assert tree.is_relative
    assert compiled(f"born = {offset}")[1] == [day]
    assert not filters.parse("born = 2026-01-31", SCOPE).is_relative


def test_sums_are_of_the_customers_that_are_looked_at() -> None:
    where = Where()
    tree = filters.parse("bought MATCHES (sku = 'X', count >= 2)", SCOPE)
    ids = where.arg(["…"])
    assert " ".join(filters.condition(tree, where, ids).split()) == (
        "exists ( select 1 from (select l.customer_id as customer_id from line l where true and l.sku = $3"
        " and l.customer_id = any($2) and l.customer_id is not null group by l.customer_id"
        " having coalesce(count(*) >= $4, false)) as g where g.customer_id = c.id)"
    )


def test_who_has_nothing_that_fits_has_a_sum_of_zero() -> None:
    assert compiled("bought MATCHES (count < 2)")[0].startswith("not exists")
    assert "having not (coalesce(count(*) <= $2, false))" in compiled("bought MATCHES (count < 2)")[0]
    assert compiled("bought NOT MATCHES (count < 2)")[0].startswith("exists")


@pytest.mark.parametrize(
    ("text", "position", "code"),
    [
        ("", 0, "required"),
        ("  \n ", 0, "required"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH, "length"),
        ("ordrs = 1", 0, "unknown"),
        ("spent > 1 AND ordrs = 1", 14, "unknown"),
        ("spent >", 7, "incomplete"),
        ("(spent > 1", 10, "incomplete"),
        ("spent > 1)", 9, "syntax"),
        ("spent 5", 6, "syntax"),
        ("spent = 1,000", 9, "syntax"),
        ("status = 'VIP", 9, "quote"),
        ("status = 'VIPP'", 9, "choice"),
        ("status = VIP", 9, "syntax"),
        ("status == 'VIP'", 8, "syntax"),
        ("orders IS NULL", 10, "operator"),
        ("emails IS NOT NULL", 14, "operator"),
        ("source CONTAINS ''", 16, "empty"),
        ("spent BETWEEN 20 AND 10", 14, "range"),
        ("born NOT BETWEEN -1d AND -10d", 17, "range"),
        ("status > 'VIP'", 7, "operator"),
        ("tags = 'x'", 5, "operator"),
        ("bought = 1", 7, "operator"),
        ("spent MATCHES (sku = 'x')", 6, "operator"),
        ("bought MATCHES (skew = 'x')", 16, "unknown"),
        ("bought MATCHES (spent = 1)", 16, "unknown"),
        ("spent = 'a lot'", 8, "type"),
        ("spent = true", 8, "type"),
        ("source = 5", 9, "type"),
        ("happy = 'true'", 8, "type"),
        ("last > 5", 7, "type"),
        ("last > 2026-02-30", 7, "date"),
        ("last > 0001-01-01", 7, "range"),
        ("last > -99999y", 7, "range"),
        ("last > -" + "9" * 1000 + "d", 7, "range"),
        ("spent = " + "9" * 31, 8, "range"),
        ("spent = 1e5", 8, "value"),
        ("spent = NULL", 8, "null"),
        ("spent = 1 ; drop table customer", 10, "syntax"),
        ("spent = 1\x00", 9, "syntax"),
        ("source = '\x00'", 9, "nul"),
        ("source = '\ud83d'", 9, "type"),
        ("1 = 1", 0, "syntax"),
        ("é = 1", 0, "syntax"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_character(text: str, position: int, code: str) -> None:
    assert refused(text) == [(position, code)]


def test_the_nearest_field_is_suggested() -> None:
    with pytest.raises(FilterInvalid, match="did you mean orders"):
        filters.parse("ordres = 1", SCOPE)
    with pytest.raises(FilterInvalid, match="did you mean 'VIP'"):
        filters.parse("status = 'VIPP'", SCOPE)
    with pytest.raises(FilterInvalid, match="asked by codes, not 'Germany'; did you mean 'DE'"):
        filters.parse("lands CONTAINS 'Germany'", SCOPE)
    with pytest.raises(FilterInvalid, match="did you mean orders"):
        filters.parse("ordercount = 1", SCOPE)
    with pytest.raises(FilterInvalid, match=r"did you mean custom\.colour"):
        filters.parse("colour = 'red'", SCOPE)


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("status = VIP", "texts stand in quotes, as in 'VIP'"),
        ("status == 'VIP'", "one sign is enough"),
        ("spent = 1,000", "without commas"),
        ("tags = 'x'", "IN, CONTAINS, IS NULL, as in tags CONTAINS 'a'"),
        ("spent = NULL", "write IS NULL"),
        ("orders IS NULL", "who has none has 0"),
    ],
)
def test_natural_mistakes_are_told_how_it_is_written(text: str, help: str) -> None:
    with pytest.raises(FilterInvalid, match=help):
        filters.parse(text, SCOPE)


def test_what_is_said_twice_is_understood_once() -> None:
    assert compiled("NOT NOT orders = 1") == compiled("orders = 1")
    assert compiled("spent > -0")[1] == [ZERO]
    assert (
        filters.describe(filters.parse("NOT NOT spent > -0", SCOPE)) == "Customers whose amount spent is more than 0."
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = "spent = 'x' AND foo = 2 AND status > 'x'"
    assert refused(text) == [(8, "type"), (16, "unknown"), (35, "operator")]


def test_depth_and_size_are_bounded() -> None:
    assert refused("NOT " * (MAX_DEPTH + 1) + "spent = 1")[0][1] == "depth"
    assert filters.parse("NOT " * MAX_DEPTH + "spent = 1", SCOPE)
    nested = "(spent = 1 AND " * MAX_DEPTH + "spent = 2" + ")" * MAX_DEPTH
    assert filters.parse(nested, SCOPE)
    assert refused(f"(spent = 1 OR {nested})")[0][1] == "depth"
    assert refused("(" * (MAX_DEPTH + 1) + "spent = 1" + ")" * (MAX_DEPTH + 1))[0][1] == "depth"
    assert compiled("(" * MAX_DEPTH + "spent = 1" + ")" * MAX_DEPTH) == compiled("spent = 1")
    assert refused(" AND ".join(["spent = 1"] * (MAX_CONDITIONS + 1))) == [(0, "length")]
    assert filters.parse(" OR ".join(["spent = 1"] * MAX_CONDITIONS), SCOPE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spent > 1000", "Customers whose amount spent is more than 1,000."),
        ("orders = 1 AND NOT tags CONTAINS 'x'", "Customers whose number of orders is 1"
            " and who are not among those whose tags include 'x'."),
        ("orders = 1 OR (spent < 5 AND born IS NULL)", "Customers whose number of orders is 1"
            " or (whose amount spent is less than 5 and whose date of birth is not known)."),
        ("last >= -90d", "Customers whose last order date is on or after the day 90 days ago."),
        ("last < 2026-01-31", "Customers whose last order date is before 31 January 2026."),
        ("orders NOT IN (1, 2)", "Customers whose number of orders is not 1 or 2."),
        ("last = 0d", "Customers whose last order date is today."),
        ("bought MATCHES (count = 0)", "Customers for whom the number of orders is 0 (of products bought)."),
        ("bought MATCHES (sku = 'X', count >= 2)", "Customers for whom the number of orders is at least 2"
            " (of products bought with: SKU is 'X')."),
        ("bought NOT MATCHES (sku = 'X', quantity >= 2)", "Customers who have not bought a product"
            " with: SKU is 'X', quantity is at least 2."),
        ("bought NOT MATCHES (count < 2, quantity > 1)", "Customers for whom it is not so that the number of orders is"
            " less than 2 (of products bought with: quantity is more than 1)."),
        ("spent BETWEEN 0.50 AND 2000 OR born NOT BETWEEN -1d AND +1w", "Customers whose amount spent is from 0.50 to"
            " 2,000 or whose date of birth is not from the day 1 day ago to the day 1 week from now."),
        ("last != 2026-01-31 AND last IN (0d, +2y)", "Customers whose last order date is not on 31 January 2026"
            " and whose last order date is today or the day 2 years from now."),
        ("tags IS NULL AND source IS NOT NULL AND source NOT CONTAINS '100%'", "Customers whose tags are not known"
            " and whose source is known and whose source does not contain '100%'."),
        ("tags NOT IN ('a', 'b') OR happy != false", "Customers whose tags do not include 'a' or 'b'"
            " or whose happiness is not false."),
    ],
)  # fmt: skip
def test_a_filter_is_told_in_words(text: str, words: str) -> None:
    assert filters.describe(filters.parse(text, SCOPE)) == words


class Wordless(filters.Wording):
    """Says nothing of its own: what is left of a description was put there past the phrases."""

    def phrase(self, text: str) -> str:
        return " ".join(re.findall(r"%\(\w+\)s", text))

    def name(self, field: Field) -> str:
        return "1"

    def text(self, asked: filters.Condition, value: str) -> str:
        return "2"

    def number(self, value: Decimal) -> str:
        return "3"

    def day(self, day: date) -> str:
        return "4"


ASKED = {name: one for name, one in SCOPE.asked.items() if name != "lands"}


@given(filter_texts.texts(ASKED))
def test_all_words_of_a_description_are_phrases_or_told_by_the_wording(text: str) -> None:
    told = filters.describe(filters.parse(text, SCOPE), Wordless())
    assert re.fullmatch(r"[\d' (),]*", told), told


def test_each_condition_stands_where_it_was_written() -> None:
    tree = filters.parse(
        "NOT (orders IN (1, 2) OR  source != 'it''s') AND bought MATCHES ( sku = 'a' ) AND last IS NULL", SCOPE
    )
    assert [one.text for _, one in filters.conditions(tree)] == [
        "orders IN (1, 2)",
        "source != 'it''s'",
        "bought MATCHES ( sku = 'a' )",
        "last IS NULL",
    ]  # fmt: skip
    for _, one in filters.conditions(tree):
        assert compiled(one.text)[0]
    mixed = filters.parse("orders = 1 AND bought MATCHES (sku = 'a') AND born > -18y", SCOPE)
    assert [one.is_relative for _, one in filters.conditions(mixed)] == [False, False, True]


PIECES = [
    *"()',\"=<>!;-\\%_\x00\n.:$*/{}[]",
    *"AND OR NOT IN BETWEEN CONTAINS IS NULL MATCHES true false".split(),
    *"orders spent last born status source happy tags emails custom.colour bought sku quantity count".split(),
    *"1 -1 1.5 99999999999999 2026-01-31 2026-02-31 -90d +3m -999999999y 'a' 'VIP' '''' \"b\" é 😀 \ud83d --".split(),
    "'; drop table customer; --", "$1", "{0}", "{}", "\u2028", "\u202e",
]  # fmt: skip


@settings(max_examples=1_000)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=14), st.sampled_from(["", " "]))
@example(["("] * 4000, "")
@example(["NOT"] * 4000, " ")
def test_hostile_text_is_understood_or_refused_at_a_character(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    try:
        tree = filters.parse(text, SCOPE)
    except FilterInvalid as wrong:
        assert wrong.errors
        assert all(e.position is not None and 0 <= e.position <= len(text) for e in wrong.errors)
        assert all(e.code and e.message for e in wrong.errors)
        return
    where = Where()
    sql = filters.condition(tree, where)
    # Nothing of the text but its values goes anywhere, and those are arguments.
    assert ";" not in sql
    assert "drop" not in sql
    assert filters.describe(tree)


@given(st.text())
def test_any_text_can_be_a_value(value: str) -> None:
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return
    quoted = "'" + value.replace("'", "''") + "'"
    assert compiled(f"source = {quoted}")[1] == [value]


def test_a_choice_is_taken_as_written_before_it_is_taken_in_another_case() -> None:
    field = Field(name="street", kind="choice", words="street", sql="x.s", choices=("Strasse", "Straße", "Weg"))
    scope = Scope(SCOPE.zone, TODAY, {"street": field})

    def value(text: str) -> list[Any]:
        where = Where()
        filters.condition(filters.parse(f"street = '{text}'", scope), where)
        return where.values

    assert [value("Straße"), value("Strasse"), value("WEG"), value("straße")] == [
        ["Straße"], ["Strasse"], ["Weg"], ["Straße"],
    ]  # fmt: skip


def test_of_many_mistakes_only_some_are_told_and_few_guessed_at() -> None:
    """To guess what was meant takes long: a filter made of mistakes must not keep the server from answering others."""
    long = Field(name="long", kind="choice", words="long", sql="x.l", choices=tuple(f"{n:0100}" for n in range(250)))
    scope = Scope(SCOPE.zone, TODAY, {"long": long, **SCOPE.asked})
    for text in ("long IN (" + ", ".join(f"'{n:098}x'" for n in range(180)) + ")", " OR ".join(["ordrs=1"] * 250)):
        with pytest.raises(FilterInvalid) as caught:
            filters.parse(text, scope)
        assert len(caught.value.errors) == 50
        assert sum("did you mean" in error.message for error in caught.value.errors) <= 3
    assert refused(" OR ".join(["ordrs=1"] * 1_500)) == [(0, "length")]


def test_few_texts_are_looked_up_that_are_no_code() -> None:
    """It takes milliseconds to find that nothing is like one, and a filter has room for thousands."""
    seen: list[str] = []
    lands = Field(name="lands", kind="list", words="lands", equals="c.lands @> array[{0}]", meant=seen.append)
    scope = Scope(SCOPE.zone, TODAY, {"lands": lands})
    filters.parse("lands IN (" + ", ".join(f"'{text}'" for text in ["DE", *map(str, range(5_000, 5_900))]) + ")", scope)
    assert seen == ["DE", "5000", "5001", "5002", "5003", "5004"]
