"""How a segment grew, drawn."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
from markupsafe import Markup

from supover.web import charts


class Chart(msgspec.Struct, frozen=True):
    """The members day by day, the oldest first, with the axis they stand on."""

    days: Sequence[date]
    members: Sequence[int]
    axis: charts.Scale


def spark(days: Sequence[tuple[date, int]], since: date, today: date) -> Markup:
    """A small line of the members day by day; a day without a count has that of the one before."""
    counts = _filled(days, since, today)
    low, high = min(counts), max(counts)
    # Who did not grow has a line in the middle.
    axis = charts.Scale(low, high, ()) if high > low else charts.Scale(low - 1, low + 1, ())
    return charts.spark(counts, axis=axis)


def chart(days: Sequence[tuple[date, int]]) -> Chart:
    """The members day by day, the oldest first, on an axis that begins at nought; a day without a count has that of the one before."""
    first = days[0][0]
    filled = _filled(days, first, days[-1][0])
    dates = [first + timedelta(days=n) for n in range(len(filled))]
    return Chart(dates, filled, charts.scale(filled, whole=True))


def _filled(days: Sequence[tuple[date, int]], since: date, today: date) -> list[int]:
    known = dict(days)
    count = next((members for day, members in days if day >= since), 0) if known else 0
    filled: list[int] = []
    for n in range(max((today - since).days, 0) + 1):
        count = known.get(since + timedelta(days=n), count)
        filled.append(count)
    return filled
