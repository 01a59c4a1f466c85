"""How a segment grew, drawn."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

from supover.web import charts

SPARK: Final = (88, 24)


class Chart(msgspec.Struct, frozen=True):
    """The members day by day, the oldest first, with the axis they stand on."""

    days: Sequence[date]
    members: Sequence[int]
    axis: charts.Scale


def spark(days: Sequence[tuple[date, int]], since: date, today: date) -> str:
    """A small line of the members day by day, as an SVG path; a day without a count has that of the one before."""
    counts = _filled(days, since, today)
    width, height = SPARK
    low, high = min(counts), max(counts)
    reach = high - low
    step = (width - 4) / max(len(counts) - 1, 1)
    # Who did not grow has a line in the middle.
    heights = [height / 2 if not reach else height - 3 - (count - low) / reach * (height - 6) for count in counts]
    return _path([(2 + n * step, y) for n, y in enumerate(heights)])


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


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        points = [points[0], (points[0][0] + 0.1, points[0][1])]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
