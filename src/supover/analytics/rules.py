"""What scores, groups, months and bins are. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

# --- RFM -----------------------------------------------------------------------------------------------------------------

SCORES: Final = (1, 2, 3, 4, 5)

GROUPS: Final[Mapping[str, str]] = {
    "CHAMPIONS": "Bought very recently, often, and spend the most.",
    "LOYAL": "Bought recently, order often and spend a lot.",
    "ACTIVE": "Bought recently, with some orders and a moderate spend.",
    "PROMISING": "Bought recently, with few orders and a low spend.",
    "NEW": "Bought very recently and for the first time, or little.",
    "NEEDS_ATTENTION": "Used to order now and then; the last time is a while ago.",
    "AT_RISK": "Ordered well before, and have not been back for long.",
    "ALMOST_LOST": "Ordered little, and have not been back for a while.",
    "PREVIOUSLY_LOYAL": "Were among the best, and have not been back for the longest time.",
    "DORMANT": "Ordered little, the longest time ago.",
    "PROSPECTS": "Have no order that counts yet.",
}
"""The eleven groups, best first, and what they are in words."""
PROSPECTS: Final = "PROSPECTS"


def group(recency: int, frequency: int, monetary: int) -> str:
    """The group of a customer with these scores, 1 to 5 each; FM is the mean of frequency and monetary."""
    fm = (frequency + monetary) / 2
    match recency:
        case 5:
            return "CHAMPIONS" if fm >= 4 else "ACTIVE" if fm >= 2.5 else "PROMISING" if fm >= 1.5 else "NEW"
        case 4:
            return "LOYAL" if fm >= 4 else "ACTIVE" if fm >= 2.5 else "PROMISING"
        case 3:
            return "LOYAL" if fm >= 4 else "NEEDS_ATTENTION" if fm >= 2.5 else "ALMOST_LOST"
        case 2:
            return "AT_RISK" if fm >= 2.5 else "ALMOST_LOST"
        case _:
            return "PREVIOUSLY_LOYAL" if fm >= 4 else "DORMANT"


TABLE: Final = tuple(group(recency, 1, both - 1) for recency in SCORES for both in range(2, 11))
"""The group by recency and by the sum of the two others, nine for each recency: number 9 × recency + sum − 10, from 1 on."""


class RfmCell(msgspec.Struct, frozen=True):
    """How many customers have the same scores, group and group of last month, what they spent and how often they ordered."""

    recency: int
    frequency: int
    monetary: int
    group: str
    former: str | None
    customers: int
    revenue: Decimal
    orders: int


class Sums(msgspec.Struct):
    """What the cells of a group amount to."""

    customers: int = 0
    revenue: Decimal = Decimal(0)
    orders: int = 0
    recency: int = 0
    frequency: int = 0
    monetary: int = 0

    def add(self, cell: RfmCell) -> None:
        """Counts a cell in."""
        self.customers += cell.customers
        self.revenue += cell.revenue
        self.orders += cell.orders
        self.recency += cell.recency * cell.customers
        self.frequency += cell.frequency * cell.customers
        self.monetary += cell.monetary * cell.customers


def by_group(cells: Iterable[RfmCell]) -> dict[str, Sums]:
    """The cells of each group, added up; every group is there."""
    found = {name: Sums() for name in GROUPS}
    for cell in cells:
        found[cell.group].add(cell)
    return found


def grid(cells: Iterable[RfmCell]) -> dict[tuple[int, int], tuple[int, Decimal]]:
    """Customers and revenue by recency and frequency; all twenty-five are there."""
    found = {(r, f): (0, Decimal(0)) for r in SCORES for f in SCORES}
    for cell in cells:
        at = cell.recency, cell.frequency
        customers, revenue = found[at]
        found[at] = customers + cell.customers, revenue + cell.revenue
    return found


def flows(cells: Iterable[RfmCell]) -> list[tuple[str | None, str, int]]:
    """How many went from which group to which since last month, the most first; None is who had no group then."""
    found: dict[tuple[str | None, str], int] = defaultdict(int)
    for cell in cells:
        if cell.former != cell.group:
            found[cell.former, cell.group] += cell.customers
    return sorted(((a, b, n) for (a, b), n in found.items()), key=lambda one: (-one[2], one[0] or "", one[1]))


# --- shares --------------------------------------------------------------------------------------------------------------


def share(part: Decimal | int, whole: Decimal | int) -> float | None:
    """The part of a whole, as a fraction; of nothing, or of less than nothing, there is none."""
    return float(Decimal(part) / Decimal(whole)) if whole > 0 else None


# --- months --------------------------------------------------------------------------------------------------------------


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def months(first: date, last: date) -> list[date]:
    """The first days of all months from one to another, both included."""
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


# --- histograms ----------------------------------------------------------------------------------------------------------

BINS: Final = 20
_STEPS: Final = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))


def bins(low: Decimal, high: Decimal, digits: int) -> list[Decimal]:
    """Where bins of a histogram begin, round numbers of one distance; the last begins at or below `high` and is open upwards.

    At most BINS and one more. The distance is 1, 2 or 5 times a power of ten, and no less than the currency's smallest amount.
    """
    least = Decimal(1).scaleb(-digits)
    span = max(high - low, Decimal(0)) / BINS
    if span <= least:
        width = least
    else:
        power = Decimal(1).scaleb(span.adjusted())
        width = next(step * power for step in _STEPS if step * power >= span)
    first = (low / width).to_integral_value(ROUND_FLOOR)
    last = max((high / width).to_integral_value(ROUND_FLOOR), first)
    return [number * width for number in map(Decimal, range(int(first), int(last) + 1))]


def at_top(customers: int, percent: int) -> int:
    """How many customers are the first so many per cent, rounded up: never none where there is anybody."""
    return int((Decimal(customers * percent) / 100).to_integral_value(ROUND_CEILING))


# --- cohorts -------------------------------------------------------------------------------------------------------------


def cumulative(cells: Sequence[tuple[date, Decimal]], cohort: date, size: int, running: date) -> list[Decimal]:
    """What one customer of a cohort has brought by the end of each month since the first, months that are over alone.

    `cells` are months and what they brought in; `running` is the month that is not over.
    """
    by_month = dict(cells)
    total = Decimal(0)
    found: list[Decimal] = []
    for month in months(cohort, running)[:-1]:
        total += by_month.get(month, Decimal(0))
        found.append(total / size if size else Decimal(0))
    return found
