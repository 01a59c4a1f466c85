"""Amounts as people write them: read where nobody can doubt them, told why not where somebody could."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.kit import amounts, money

POINT, COMMA = frozenset[amounts.Mark]({"."}), frozenset[amounts.Mark]({","})
BOTH, NONE = POINT | COMMA, frozenset[amounts.Mark]()


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["12,50"], ","),
        (["1.234,56"], ","),
        (["1 234,5"], ","),
        (["€12,50"], ","),
        (["1.234.567"], ","),
        (["1234,567"], ","),
        (["0,125"], ","),
        (["12.50", "3"], "."),
        (["1,234.56"], "."),
        (["1,234,567"], "."),
        (["1'234.50"], "."),
        (["1,234", "1.234", "12", "1 234", "", "ten", "12,", "1,2,3", "1.2,3.4"], ""),
        (["1,234", "12,50"], ","),
        (["12,50", "12.50"], ".,"),
    ],
)
def test_amounts_tell_what_stands_before_their_decimals(cells: list[str], told: str) -> None:
    assert amounts.marks(cells) == frozenset(told)


@pytest.mark.parametrize(
    ("cell", "told", "value"),
    [
        ("12,50", COMMA, "12.50"),
        ("1.234,56", COMMA, "1234.56"),
        ("1.234", COMMA, "1234"),
        ("1,234", COMMA, "1.234"),
        ("-1 234\u00a0567,8", COMMA, "-1234567.8"),
        ("1\u202f234,56", COMMA, "1234.56"),
        (",50", COMMA, "0.50"),
        ("12", COMMA, "12"),
        ("12.50", COMMA, None),
        ("1,234.56", COMMA, None),
        ("1,234.56", POINT, "1234.56"),
        ("1,234", POINT, "1234"),
        ("1.234", POINT, "1.234"),
        ("12,50", POINT, None),
        ("1,234", NONE, None),
        ("1.234", NONE, "1.234"),
        ("1'234", NONE, "1234"),
        ("12.50", BOTH, "12.50"),
        ("1.234", BOTH, None),
        ("12,50", BOTH, None),
        ("1,23,456", POINT, None),
        ("--1", NONE, None),
        ("", NONE, None),
        ("1e3", NONE, "1000"),
        (f"{money.LIMIT:f},00", COMMA, None),
    ],
)
def test_an_amount_is_read_as_its_file_means_it(cell: str, told: frozenset[amounts.Mark], value: str | None) -> None:
    found = amounts.read(cell, told)
    assert (found and found.value) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("cell", "value", "currency"),
    [
        ("€12,50", "12.50", "EUR"),
        ("12,50 €", "12.50", "EUR"),
        ("-€ 12,50", "-12.50", "EUR"),
        ("€-12,50", "-12.50", "EUR"),
        ("EUR 1.234,56", "1234.56", "EUR"),
        ("12,50 zł", "12.50", "PLN"),
        ("199,00 kr.", "199.00", "SEK"),
        ("R$ 1.234,56", "1234.56", "BRL"),
        ("450.000 ₫", "450000", "VND"),
    ],
)
def test_a_currency_beside_an_amount_says_what_it_can_be_of(cell: str, value: str, currency: str) -> None:
    found = amounts.read(cell, COMMA)
    assert found is not None
    assert (found.value, currency in (found.currencies or ())) == (Decimal(value), True)
    assert "USD" not in (found.currencies or ())


@pytest.mark.parametrize("cell", ["12,50 pieces", "€12,50 €", "abc", "€", "1 2 3", "12,50%"])
def test_what_is_beside_an_amount_is_a_currency_or_it_is_none(cell: str) -> None:
    assert amounts.read(cell, COMMA) is None


@pytest.mark.parametrize(
    ("cell", "told", "code", "part"),
    [
        ("ten", NONE, "number", "is not an amount like 1234.56"),
        ("ten", COMMA, "number", "is not an amount like 1234,56, as the file has them"),
        ("1,234", NONE, "ambiguous", "can be two amounts, and the file does not tell which"),
        ("12,50", BOTH, "ambiguous", "the file has points and commas before the decimals"),
    ],
)
def test_why_an_amount_is_not_read_is_told(cell: str, told: frozenset[amounts.Mark], code: str, part: str) -> None:
    assert amounts.read(cell, told) is None
    found, why = amounts.why_not(cell, told)
    assert (found, why.startswith(repr(cell)), part in why) == (code, True, True)


@given(st.text(alphabet="0123456789.,' -€E", max_size=12), st.sampled_from([POINT, NONE]))
def test_what_could_be_read_before_is_read_as_before(cell: str, told: frozenset[amounts.Mark]) -> None:
    plain = money.parse(cell)
    if plain is not None:
        assert amounts.read(cell, told) == amounts.Amount(plain)


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=2, allow_nan=False),
    st.sampled_from([(".", ","), (".", " "), (".", "'"), (",", "."), (",", " "), (",", "'")]),
)
def test_an_amount_with_cents_is_read_back(amount: Decimal, written: tuple[str, str]) -> None:
    mark, group = written
    cell = f"{amount:,}".translate(str.maketrans({",": group, ".": mark}))
    told = amounts.marks([cell])
    assert (told, amounts.read(cell, told)) == (frozenset(mark), amounts.Amount(amount))
