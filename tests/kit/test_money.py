from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supover.kit import money

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CURRENCY = st.sampled_from(sorted(money.CURRENCIES))


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("JPY", 0),
        ("KRW", 0),
        ("CLP", 0),
        ("ISK", 0),
        ("EUR", 2),
        ("USD", 2),
        ("TND", 3),
        ("KWD", 3),
        ("CLF", 4),
        ("UYW", 4),
    ],
)
def test_a_currency_has_its_digits(currency: str, digits: int) -> None:
    assert money.digits(currency) == digits
    assert currency in money.CURRENCIES


async def test_the_database_counts_the_same_digits(owner: "Connection") -> None:
    every = sorted(money.CURRENCIES)
    assert len(every) > 150
    assert all(len(currency) == 3 and currency.isalpha() and currency.isupper() for currency in every)
    found = await owner.fetch("select c, fence.currency_digits(c) from unnest($1::text[]) c", every)
    assert {row[0]: row[1] for row in found} == {currency: money.digits(currency) for currency in every}


@pytest.mark.parametrize(
    ("amount", "currency", "found"),
    [
        ("1.005", "EUR", "1.01"), ("-1.005", "EUR", "-1.01"), ("1.004", "EUR", "1.00"), ("1", "EUR", "1.00"), ("0.5", "JPY", "1"),
        ("2.5", "JPY", "3"), ("-0.5", "JPY", "-1"), ("1.0005", "TND", "1.001"), ("0.00005", "CLF", "0.0001"),
        ("99999999999999.9999", "EUR", "100000000000000.00"), ("0", "EUR", "0.00"), ("1E+3", "JPY", "1000"),
    ],
)  # fmt: skip
def test_an_amount_is_rounded_at_its_digits_halves_away_from_zero(amount: str, currency: str, found: str) -> None:
    assert str(money.at_digits(Decimal(amount), currency)) == found


@given(st.decimals(-(10**14), 10**14, places=6), CURRENCY)
def test_rounding_moves_an_amount_by_half_a_unit_at_most_and_once(amount: Decimal, currency: str) -> None:
    found = money.at_digits(amount, currency)
    unit = Decimal(1).scaleb(-money.digits(currency))
    assert abs(found - amount) <= unit / 2
    assert found == amount.quantize(unit, ROUND_HALF_UP)
    assert money.at_digits(found, currency) == found
    assert -found == money.at_digits(-amount, currency)


@given(amount=st.decimals(-(10**14), 10**14, places=5))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_rounds_the_same_way(owner: "Connection", amount: Decimal) -> None:
    assert await owner.fetchval("select round($1::numeric, 2)", amount) == money.at_digits(amount, "EUR")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("1", "1"), ("1.50", "1.50"), ("-0.01", "-0.01"), ("+5", "5"), ("1e3", "1E+3"), ("1E-2", "0.01")),
        *((" 7 ", "7"), (".5", "0.5"), ("99999999999999.9999", "99999999999999.9999")),
    ],
)
def test_a_number_is_read_exactly(text: str, found: str) -> None:
    assert money.parse(text) == Decimal(found)


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "1,50", "1.000,00", "1,000.00", "1 000", "1_000", "€5", "5 EUR", "1.2.3", "--1", "NaN", "sNaN", "Infinity", "-inf",
     "100000000000000", "-1e14", "1e400", "9" * 400, "1e999999999999", "0x10", "1/2", "½", "=1+1", "1\x00"],
)  # fmt: skip
def test_what_money_cannot_be_is_none(text: str) -> None:
    assert money.parse(text) is None


@given(st.text(max_size=12))
def test_any_text_is_an_amount_that_fits_or_none(text: str) -> None:
    found = money.parse(text)
    assert found is None or (found.is_finite() and abs(found) < money.LIMIT)


def test_what_fits_is_below_the_limit_on_both_sides() -> None:
    assert money.fits(money.LIMIT - Decimal("0.0001"))
    assert not money.fits(money.LIMIT)
    assert not money.fits(-money.LIMIT)
    assert not money.fits(Decimal("NaN"))
    assert not money.fits(Decimal("Infinity"))
