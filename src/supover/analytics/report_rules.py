"""Periods, cohorts and shares: what reports are made of, pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final, Literal

from msgspec.structs import asdict

from supover.analytics.report_model import (
    Bought,
    Cell,
    Change,
    ChannelSales,
    Cohort,
    Compare,
    Figures,
    Interval,
    Metric,
    PeriodSales,
    Row,
    Sales,
)
from supover.analytics.rules import share
from supover.kit import countries, money
from supover.kit.problems import Invalid

# --- periods -------------------------------------------------------------------------------------------------------------

Step = Literal["day", "week", "month", "quarter"]

EARLIEST: Final = date(1900, 1, 1)
LATEST: Final = date(2999, 12, 31)
DEFAULT_DAYS: Final = 30
MOST_POINTS: Final = 1_100
"""Of a series: three years of days."""
CHANNEL_LENGTH: Final = 40


def begin(day: date, step: Step) -> date:
    """The first day of the period that a day is in; weeks begin on Monday."""
    match step:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def day_before(day: date) -> date:
    """Yesterday of a day."""
    return day - timedelta(days=1)


def following(first: date, step: Step) -> date:
    """The first day of the next period."""
    match step:
        case "day":
            return first + timedelta(days=1)
        case "week":
            return first + timedelta(days=7)
        case "month":
            return begin(first + timedelta(days=31), "month")
        case "quarter":
            return begin(first + timedelta(days=93), "month")


def periods(since: date, until: date, step: Step) -> Iterator[date]:
    """The first days of all periods from that of one day to that of another."""
    first = begin(since, step)
    while first <= until:
        yield first
        first = following(first, step)


def name(first: date, step: Step) -> str:
    """A period as it is written: 2010-W05 (ISO 8601), 2010-02, 2010-Q1."""
    match step:
        case "day":
            return first.isoformat()
        case "week":
            year, week, _ = first.isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return f"{first.year:04}-{first.month:02}"
        case "quarter":
            return f"{first.year:04}-Q{(first.month + 2) // 3}"


def span(since: date | None, until: date | None) -> None:
    """Raises Invalid for a period that ends before it begins, or lies where nobody sells."""
    for field, day in (("from", since), ("to", until)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise Invalid.at(field, "range", f"must be from {EARLIEST} to {LATEST}")
    if since is not None and until is not None and since > until:
        raise Invalid.at("from", "range", "must not be after `to`")


def channel(asked: str | None) -> str | None:
    """A channel as it was asked for. Raises Invalid."""
    if asked is not None and (not 1 <= len(asked) <= CHANNEL_LENGTH or not asked.isprintable()):
        raise Invalid.at("channel", "format", f"must be the source of orders, of 1 to {CHANNEL_LENGTH} characters")
    return asked


def country(asked: str | None) -> str | None:
    """The code of a country asked for by its code or name; one that nobody knows as it is. Raises Invalid."""
    if asked is None:
        return None
    text = asked.strip()
    if not 1 <= len(text) <= countries.NAME_LENGTH or not text.isprintable():
        raise Invalid.at("country", "format", "must be a country's code or name")
    return countries.code(text) or text


def whole(since: date | None, until: date | None, today: date) -> tuple[date, date]:
    """A period with both its ends: thirty days unless told, until today unless told. Raises Invalid."""
    span(since, until)
    if until is None:
        until = today if since is None or since <= today else since
    if since is None:
        since = max(EARLIEST, until - timedelta(days=DEFAULT_DAYS - 1))
    return since, until


def compared(since: date, until: date, compare: Compare) -> tuple[date, date] | None:
    """The period to compare with: as many days right before, or the same days a year earlier (of 29 February the 28th)."""
    match compare:
        case "previous":
            days = (until - since).days + 1
            return since - timedelta(days=days), since - timedelta(days=1)
        case "year":
            return _year_before(since), _year_before(until)
        case "none":
            return None


def _year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def interval(since: date, until: date, asked: Interval | None) -> Interval:
    """In which steps a period is shown: unless told, days of a quarter, weeks of two years, else months. Raises Invalid for too many."""
    days = (until - since).days + 1
    step = asked or ("day" if days <= 92 else "week" if days <= 731 else "month")
    if days / {"day": 1, "week": 7, "month": 30}[step] > MOST_POINTS:
        field = "from" if asked is None else "interval"
        raise Invalid.at(field, "range", f"makes more than {MOST_POINTS} steps of this period")
    return step


# --- money ---------------------------------------------------------------------------------------------------------------


def shown(amount: Decimal, currency: str) -> str:
    """Money as it is told: at its currency's digits."""
    return str(money.at_digits(amount, currency))


def average(amount: Decimal, orders: int, currency: str) -> str | None:
    """What an order amounts to; null where there is none."""
    return shown(amount / orders, currency) if orders else None


# --- cohorts -------------------------------------------------------------------------------------------------------------


def cohorts(
    lives: Mapping[date, Mapping[date, Cell]],
    *,
    step: Step,
    metric: Metric,
    today: date,
    since: date | None,
    until: date | None,
) -> list[Cohort]:
    """The matrix of what cohorts did, from the cells of each, the oldest first.

    A cohort has a value for each period from its own to that of `until`, today unless told; from the running period on they are
    null, as they are not over. Of more periods than can be shown the last ones are, where neither end was asked for that
    makes them so many; else it raises Invalid.
    """
    last = today if until is None else until
    listed = [(first, cells) for first, cells in lives.items() if first <= last]
    if not listed:
        return []
    steps = list(periods(listed[0][0], last, step))
    if len(steps) > MOST_POINTS:
        if since is not None:
            raise Invalid.at("from", "range", f"makes more than {MOST_POINTS} periods until `to`")
        if last > today:
            raise Invalid.at("to", "range", f"makes more than {MOST_POINTS} periods")
        steps = steps[-MOST_POINTS:]
    places = {first: place for place, first in enumerate(steps)}
    over = sum(1 for one in steps if one < begin(today, step))
    found: list[Cohort] = []
    for first, of_cohort in listed:
        if (place := places.get(first)) is not None:
            size = of_cohort[first].customers
            values = _values(of_cohort, steps[place : max(over, place)], metric, size)
            found.append(Cohort(name(first, step), size, [*values, *[None] * (len(steps) - place - len(values))]))
    return found


def _values(cells: Mapping[date, Cell], lived: Sequence[date], metric: Metric, size: int) -> list[float]:
    match metric:
        case "retention":
            return [cells[one].customers / size if one in cells else 0.0 for one in lived]
        case "rolling":
            # Who ordered last before a period did not order in it or after it.
            lost = accumulate((cells[one].last_customers if one in cells else 0 for one in lived), initial=0)
            return [(size - gone) / size for gone, _ in zip(lost, lived, strict=False)]
        case "revenue":
            return [float(amount) for amount in _spent(cells, lived)]
        case "cumulativeLtv":
            return [float(amount / size) for amount in accumulate(_spent(cells, lived))]


def _spent(cells: Mapping[date, Cell], lived: Sequence[date]) -> list[Decimal]:
    return [cells[one].net if one in cells else Decimal(0) for one in lived]


# --- the overview --------------------------------------------------------------------------------------------------------


class Sums:
    """Sums of rows."""

    __slots__ = ("gross", "net", "newcomers", "orders", "refunded")

    def __init__(self) -> None:
        self.gross = self.refunded = self.net = Decimal(0)
        self.orders = self.newcomers = 0

    def add(self, row: Row) -> None:
        """One more row."""
        self.gross += row.gross
        self.refunded += row.refunded
        self.net += row.net
        self.orders += row.orders
        self.newcomers += row.newcomers


def total(rows: Iterable[Row]) -> Sums:
    """What rows amount to."""
    found = Sums()
    for row in rows:
        found.add(row)
    return found


def figures(sums: Sums, bought: Bought, currency: str) -> Figures:
    """What a period amounts to."""
    return Figures(
        revenue=shown(sums.net, currency),
        gross=shown(sums.gross, currency),
        refunded=shown(sums.refunded, currency),
        orders=sums.orders,
        customers=bought.customers,
        new_customers=bought.new,
        returning_customers=bought.customers - bought.new,
        repeat_rate=share(bought.again, bought.customers),
        average_order_value=average(sums.net, sums.orders, currency),
        refund_rate=share(sums.refunded, sums.gross),
    )


def change(now: Figures, before: Figures) -> Change:
    """How each figure changed; from nothing, or less than nothing, no share can be told."""
    found: dict[str, float | None] = {}
    for field in Change.__struct_fields__:
        was, becomes = getattr(before, field), getattr(now, field)
        if was is None or becomes is None:
            found[field] = None
        else:
            found[field] = share(Decimal(str(becomes)) - Decimal(str(was)), Decimal(str(was)))
    return Change(**found)


def by_channel(rows: Iterable[Row], currency: str) -> list[ChannelSales]:
    """What each channel sold, the most first."""
    sums: dict[str, Sums] = {}
    for row in rows:
        sums.setdefault(row.channel, Sums()).add(row)
    whole = sum((one.net for one in sums.values()), Decimal(0))
    most = sorted(sums.items(), key=lambda item: (-item[1].net, item[0]))
    return [
        ChannelSales(**asdict(_sold(one, currency)), channel=channel, share=share(one.net, whole))
        for channel, one in most
    ]


def series(rows: Iterable[Row], since: date, until: date, step: Interval, currency: str) -> list[PeriodSales]:
    """What was sold in each step of a period, those without anything too. The first begins with the period."""
    sums = {first: Sums() for first in periods(since, until, step)}
    for row in rows:
        sums[row.begins].add(row)
    return [PeriodSales(**asdict(_sold(one, currency)), date=max(first, since)) for first, one in sums.items()]


def _sold(sums: Sums, currency: str) -> Sales:
    return Sales(
        revenue=shown(sums.net, currency),
        gross=shown(sums.gross, currency),
        refunded=shown(sums.refunded, currency),
        orders=sums.orders,
        new_customers=sums.newcomers,
        average_order_value=average(sums.net, sums.orders, currency),
    )
