"""Months, bins, shares: what reports are made of."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.analytics import rules

amounts = st.decimals(-1_000_000, 1_000_000, places=2)


def test_months_have_no_gaps_and_know_years() -> None:
    assert rules.months(date(2025, 11, 30), date(2026, 2, 1)) == [
        date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1),
    ]  # fmt: skip
    assert rules.months(date(2026, 2, 1), date(2026, 2, 28)) == [date(2026, 2, 1)]
    assert rules.months(date(2026, 3, 1), date(2026, 2, 28)) == []


@pytest.mark.parametrize(
    ("low", "high", "digits", "first", "width", "number"),
    [
        ("0", "100", 2, "0", "5", 21),
        ("3", "977", 2, "0", "50", 20),
        ("-3.50", "977", 2, "-50", "50", 21),
        ("5", "5", 2, "5.00", "0.01", 1),
        ("0", "0", 0, "0", "1", 1),
        ("0.10", "0.20", 2, "0.10", "0.01", 11),
    ],
)
def test_bins_begin_at_round_numbers(low: str, high: str, digits: int, first: str, width: str, number: int) -> None:
    found = rules.bins(Decimal(low), Decimal(high), digits)
    assert found == [Decimal(first) + n * Decimal(width) for n in range(number)]


@given(low=amounts, above=amounts.map(abs))
def test_bins_cover_what_they_are_for(low: Decimal, above: Decimal) -> None:
    found = rules.bins(low, low + above, 2)
    assert found == sorted(set(found))
    assert found[0] <= low
    assert found[-1] <= low + above
    assert len(found) <= rules.BINS + 2
    if len(found) > 1:
        assert low + above < found[-1] + (found[1] - found[0])
        assert low < found[1]


@given(customers=st.integers(0, 10_000), percent=st.integers(1, 100))
def test_the_top_is_rounded_up(customers: int, percent: int) -> None:
    assert rules.at_top(customers, percent) == -(-customers * percent // 100)


def test_of_nothing_there_is_no_share() -> None:
    assert rules.share(1, 4) == 0.25
    assert rules.share(Decimal("1.5"), Decimal("-1")) is None
    assert rules.share(0, 0) is None


def test_a_cohorts_worth_adds_up_over_months_that_are_over() -> None:
    cells = [(date(2026, 1, 1), Decimal(30)), (date(2026, 3, 1), Decimal(6)), (date(2026, 5, 1), Decimal(600))]
    assert rules.cumulative(cells, date(2026, 1, 1), 3, date(2026, 5, 1)) == [10, 10, 12, 12]
    assert rules.cumulative(cells, date(2026, 1, 1), 3, date(2026, 1, 1)) == []
