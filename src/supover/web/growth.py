"""How a segment grew, drawn."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

WIDTH: Final = 720
HEIGHT: Final = 200
LEFT: Final = 48
RIGHT: Final = 8
TOP: Final = 12
BOTTOM: Final = 24
SPARK: Final = (88, 24)
STEPS: Final = (1, 2, 5)


class Tick(msgspec.Struct, frozen=True):
    """A line across the chart, at a height, with the number it stands for."""

    y: float
    value: int


class Point(msgspec.Struct, frozen=True):
    """A day on the chart."""

    x: float
    y: float
    day: date
    members: int


class Chart(msgspec.Struct, frozen=True):
    """A line of days: `line` and `area` are paths."""

    line: str
    area: str
    ticks: Sequence[Tick]
    points: Sequence[Point]


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
    """The members day by day, the oldest first, on an axis that begins at nought."""
    filled = _filled(days, days[0][0], days[-1][0])
    ticks = _ticks(max(filled))
    most = max(ticks[-1], 1)
    step = (WIDTH - LEFT - RIGHT) / max(len(filled) - 1, 1)

    def y(count: int) -> float:
        return round(HEIGHT - BOTTOM - count / most * (HEIGHT - BOTTOM - TOP), 1)

    points = [
        Point(round(LEFT + n * step, 1), y(count), days[0][0] + timedelta(days=n), count)
        for n, count in enumerate(filled)
    ]
    line = _path([(point.x, point.y) for point in points])
    area = f"{line} L{points[-1].x} {HEIGHT - BOTTOM} L{points[0].x} {HEIGHT - BOTTOM} Z"
    return Chart(line, area, [Tick(y(value), value) for value in ticks], points)


def _filled(days: Sequence[tuple[date, int]], since: date, today: date) -> list[int]:
    known = dict(days)
    count = next((members for day, members in days if day >= since), 0) if known else 0
    filled: list[int] = []
    for n in range(max((today - since).days, 0) + 1):
        count = known.get(since + timedelta(days=n), count)
        filled.append(count)
    return filled


def _ticks(most: int) -> list[int]:
    """Round numbers from nought to above the greatest, five at most."""
    size = 1
    while True:
        for step in STEPS:
            if step * size * 4 >= most:
                return [step * size * n for n in range(5) if step * size * (n - 1) < most]
        size *= 10


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        points = [points[0], (points[0][0] + 0.1, points[0][1])]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
