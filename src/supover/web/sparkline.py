"""A year of spending as a line of a finger's breadth."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

WIDTH: Final = 240
HEIGHT: Final = 44
MARGIN: Final = 3


class Sparkline(msgspec.Struct, frozen=True):
    """What an SVG of `WIDTH` × `HEIGHT` draws: a line, the area below it, and where the last value stands."""

    line: str
    area: str
    end: tuple[float, float]
    width: int = WIDTH
    height: int = HEIGHT


def drawn(values: Sequence[Decimal]) -> Sparkline | None:
    """The values from left to right, nothing at the bottom; None where there are fewer than two, or nothing but zeros."""
    top = max(values, default=Decimal(0))
    if len(values) < 2 or top <= 0:
        return None
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    high = HEIGHT - 2 * MARGIN
    points = [
        (round(MARGIN + i * step, 1), round(MARGIN + high * float(1 - max(value, Decimal(0)) / top), 1))
        for i, value in enumerate(values)
    ]
    line = "M" + " L".join(f"{x} {y}" for x, y in points)
    foot = HEIGHT - MARGIN
    return Sparkline(line, f"{line} L{points[-1][0]} {foot} L{points[0][0]} {foot} Z", points[-1])
