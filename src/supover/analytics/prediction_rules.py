"""When a workspace's orders say enough for predictions, and what is said of a customer in words."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from supover.analytics.prediction_model import RepeatRate, Risk
from supover.kit.problems import worded

HORIZON_DAYS: Final = 90
CUSTOMERS: Final = 500
HISTORY_DAYS: Final = 180
RECENT_DAYS: Final = 30
ORDERS: Final = 3
COUNTED_ORDERS: Final = 5
"""Repeat rates are told for customers with one order, two, … so many or more."""
LOW, HIGH = 0.33, 0.66


class Seen(msgspec.Struct, frozen=True):
    """What the gate looks at, of orders that count and brought more than nothing."""

    customers: int
    first: date | None
    last: date | None
    with_three: int


def missing(seen: Seen, as_of: date) -> list[str]:
    """What a workspace lacks for predictions, in words; nothing where they can be made. The gate is Klaviyo's."""
    found: list[str] = []
    if seen.customers < CUSTOMERS:
        found.append(worded(f"At least {CUSTOMERS} customers with an order: there are {seen.customers}."))
    days = 0 if seen.first is None else (as_of - seen.first).days
    if days < HISTORY_DAYS:
        found.append(worded(f"At least {HISTORY_DAYS} days of orders: there are {days}."))
    if seen.last is None or (as_of - seen.last).days > RECENT_DAYS:
        last = worded("there is none") if seen.last is None else worded(f"the last one came on {seen.last}")
        found.append(worded(f"An order within the last {RECENT_DAYS} days: {last}."))
    if not seen.with_three:
        found.append(worded(f"Some customers with {ORDERS} or more orders: there are none."))
    return found


def risk(churn: float) -> Risk:
    """The band of a churn probability."""
    return "low" if churn < LOW else "high" if churn > HIGH else "medium"


def repeat_rate(repeats: Sequence[Sequence[int]], orders: int) -> RepeatRate | None:
    """What the counts of `repeats` say of a customer with so many orders; the last count stands for all beyond it."""
    if orders < 1 or not repeats:
        return None
    at = min(orders, len(repeats))
    customers, again = repeats[at - 1]
    return RepeatRate(
        orders=at, customers=customers, ordered_again=again, share=again / customers if customers else 0.0
    )


def reasons(days: int, first: date, last: date, today: date, repeats: Sequence[Sequence[int]]) -> list[str]:
    """What drives a prediction, the strongest first, of a customer who ordered on so many days."""
    silent = max((today - last).days, 0)
    ago = worded("today" if silent == 0 else "1 day ago" if silent == 1 else f"{silent} days ago")
    if days <= 1:
        found = [worded(f"Ordered once, {ago}.")]
        if (rate := repeat_rate(repeats, 1)) is not None and rate.customers:
            found.append(worded(f"Of all who ordered once, {rate.share:.0%} came again."))
        return found
    usual = max((last - first).days / (days - 1), 1.0)
    found = [worded(f"Last ordered {ago}; until then every {_number(usual)} days on average.")]
    if silent > 2 * usual:
        found.append(worded(f"Silent for {_number(silent / usual)} times as long as usual."))
    elif silent <= usual:
        found.append(worded("Within the usual time between orders."))
    found.append(worded(f"Ordered on {days} days since {first}."))
    return found


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"
