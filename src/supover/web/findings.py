"""What reports are made into before a page shows them. Pure: no I/O, no clock, no words."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from supover.analytics.predicting.model import Bin
from supover.analytics.prediction_model import Backtest
from supover.analytics.report_model import Change, Cohorts, Figures, Grain, Overview
from supover.web import charts

# --- periods -------------------------------------------------------------------------------------------------------------

Period = Literal["30d", "90d", "12m", "ytd", "all", "custom"]


class Window(msgspec.Struct, frozen=True):
    """The days that a page tells of, both in."""

    period: Period
    since: date
    until: date


def window(asked: Period, since: date | None, until: date | None, today: date, first: date | None) -> Window:
    """The days that are meant; those that are told count for `custom` alone. `first` is when the first order was placed."""
    match asked:
        case "custom":
            until = until or max(today, since or today)
            return Window(asked, since or until - timedelta(days=29), until)
        case "90d":
            begin = today - timedelta(days=89)
        case "12m":
            begin = _year_before(today) + timedelta(days=1)
        case "ytd":
            begin = today.replace(month=1, day=1)
        case "all":
            begin = min(first or today, today)
        case _:
            begin = today - timedelta(days=29)
    return Window(asked, begin, today)


def _year_before(day: date) -> date:
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)


# --- the overview --------------------------------------------------------------------------------------------------------

Kind = Literal["money", "count", "share"]
# What is told, how, and whether more of it is good news.
_FIGURES: Final[Sequence[tuple[str, Kind, bool]]] = (
    ("revenue", "money", True),
    ("orders", "count", True),
    ("customers", "count", True),
    ("average_order_value", "money", True),
    ("new_customers", "count", True),
    ("returning_customers", "count", True),
    ("repeat_rate", "share", True),
    ("refund_rate", "share", False),
)


class Figure(msgspec.Struct, frozen=True):
    """One number of a period beside what it was before: `change` is a share of that, of a share the difference."""

    name: str
    kind: Kind
    now: Decimal | int | float | None
    was: Decimal | int | float | None
    change: float | None
    tone: Literal["up", "down", ""]


def figures(found: Overview) -> list[Figure]:
    """The numbers of a period, each with how it changed and whether that is good."""
    return [_figure(found, found.comparison, found.change, *one) for one in _FIGURES]


def _figure(
    now: Figures, before: Figures | None, change: Change | None, name: str, kind: Kind, is_good: bool
) -> Figure:
    value, was = _number(getattr(now, name)), None if before is None else _number(getattr(before, name))
    moved: float | None = None if change is None else getattr(change, name)
    if kind == "share":
        moved = None if value is None or was is None else float(value) - float(was)
    tone = "" if moved is None or abs(moved) < 0.0005 else "up" if (moved > 0) == is_good else "down"
    return Figure(name, kind, value, was, moved, tone)


def _number(value: str | int | float | None) -> Decimal | int | float | None:
    return Decimal(value) if isinstance(value, str) else value


# --- cohorts -------------------------------------------------------------------------------------------------------------


MOST_COHORTS: Final = 60
"""More than that nobody reads at once: a year of weeks, five of months."""
_DAYS: Final[Mapping[Grain, int]] = {"week": 7, "month": 30, "quarter": 91}


def shown_since(days: Window, grain: Grain) -> date:
    """From which day on cohorts are shown, so that there are not too many."""
    return max(days.since, days.until - timedelta(days=(MOST_COHORTS - 1) * _DAYS[grain]))


class Cell(msgspec.Struct, frozen=True):
    """A value of a cohort, with how strong it is coloured and the classes of its text; without a value the period runs."""

    value: float | None
    fill: int
    ink: str


class Row(msgspec.Struct, frozen=True):
    """A cohort, or all of them on average."""

    name: str
    size: int
    cells: Sequence[Cell]


class Heat(msgspec.Struct, frozen=True):
    """Cohorts as they are coloured; every row has a cell for each of `columns` that it has lived.

    A period that is over for none of them has no column.
    """

    columns: int
    average: Row
    rows: Sequence[Row]


_BELOW_WHOLE: Final = 80
"""How strong the best returning is coloured at most, so that it is not taken for the whole of a cohort."""


def heat(found: Cohorts) -> Heat:
    """A table of cohorts, coloured by value.

    Nearly everything that a cohort does in its own period would be the strongest, and the rest pale: there the scale is that of
    the periods since.
    """
    is_share = found.metric in ("retention", "rolling")
    values = [value for one in found.cohorts for value in one.values[1 if is_share else 0 :] if value is not None]
    most = max(values, default=0.0)

    def cell(value: float | None, at: int) -> Cell:
        fill = (
            charts.fill(value, most, _BELOW_WHOLE) if is_share and at else charts.fill(value, 1 if is_share else most)
        )
        return Cell(value, fill, charts.ink(fill))

    def row(name: str, size: int, values: Iterable[float | None]) -> Row:
        return Row(name, size, [cell(value, at) for at, value in enumerate(values)][:columns])

    columns = max(
        (at + 1 for one in found.cohorts for at, value in enumerate(one.values) if value is not None), default=0
    )
    is_each = found.metric == "revenue"
    return Heat(
        columns,
        row("", sum(one.size for one in found.cohorts), [_average(found, at, is_each) for at in range(columns)]),
        [row(one.cohort, one.size, one.values) for one in found.cohorts],
    )


def _average(found: Cohorts, at: int, is_each: bool) -> float | None:
    """Of what the cohorts that have lived so long did: of a cohort on average, else of one of all their customers."""
    known = [
        (1 if is_each else one.size, value)
        for one in found.cohorts
        if at < len(one.values) and (value := one.values[at]) is not None
    ]
    whole = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / whole if whole else None


# --- churn ---------------------------------------------------------------------------------------------------------------


class Habit(msgspec.Struct, frozen=True):
    """How somebody orders: on how many days, since when, how many days ago the last time, how many days between on average."""

    days: int
    first: date
    silent: int
    usual: float | None


def habit(days: int, first: date, last: date, today: date) -> Habit:
    """As `prediction_rules.reasons` tells it, but in numbers: its sentences are made in the reader's language."""
    usual = max((last - first).days / (days - 1), 1.0) if days > 1 else None
    return Habit(days, first, max((today - last).days, 0), usual)


class Ranking(msgspec.Struct, frozen=True):
    """How well each way would have told who comes back, of those that could be judged."""

    name: Literal["bgnbd", "logistic", "recency"]
    auc: float
    brier: float | None
    ece: float | None


def rankings(found: Backtest) -> list[Ranking]:
    """The models beside the rule that needs none, the best at telling first."""
    models = [(name, one) for name, one in (("bgnbd", found.bgnbd), ("logistic", found.logistic)) if one is not None]
    known = [
        Ranking("bgnbd" if name == "bgnbd" else "logistic", one.auc, one.brier, one.ece)
        for name, one in models
        if one.auc is not None
    ]
    if found.baselines.recency_auc is not None:
        known.append(Ranking("recency", found.baselines.recency_auc, None, None))
    return sorted(known, key=lambda one: -one.auc)


def chances(bins: Sequence[Bin]) -> list[tuple[float, float, int]]:
    """The points of a calibration curve: of nobody there is none."""
    return [(one.predicted, one.actual, one.customers) for one in bins if one.customers]


# --- the map -------------------------------------------------------------------------------------------------------------

LEVELS: Final = (22, 40, 58, 78, 100)
"""How strong places are coloured, in five steps."""


class Legend(msgspec.Struct, frozen=True):
    """From which value on a place is coloured how strongly, the weakest first."""

    steps: Sequence[tuple[float, int]]

    def fill(self, value: float) -> int:
        """The colour of a value; nothing has none."""
        return max((fill for begin, fill in self.steps if value >= begin), default=0)


def legend(values: Iterable[float]) -> Legend:
    """Steps that have as many places each as can be, so that neighbours differ however close or far their values are."""
    known = sorted(value for value in values if value > 0)
    begins = sorted({known[n * len(known) // len(LEVELS)] for n in range(len(LEVELS))}) if known else []
    return Legend(list(zip(begins, LEVELS[-len(begins) :], strict=True)) if begins else [])


# --- groups --------------------------------------------------------------------------------------------------------------

TONES: Final[Mapping[str, str]] = {
    "CHAMPIONS": "good", "LOYAL": "good", "ACTIVE": "good", "PROMISING": "brand", "NEW": "brand", "NEEDS_ATTENTION": "warn",
    "AT_RISK": "warn", "ALMOST_LOST": "quiet", "PREVIOUSLY_LOYAL": "bad", "DORMANT": "quiet", "PROSPECTS": "quiet",
}  # fmt: skip
