"""Charts as SVG. Pure: numbers and words in, markup out; the words are made where the reader's language is known.

A plot has no text inside. It is stretched to whatever room there is, and strokes keep their width; what stands at the axes is
HTML beside it, placed in per cent. So letters have one size on a phone and on a wall.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

import msgspec
from markupsafe import Markup

WIDTH, HEIGHT = 1000, 300
"""The inside measures of a plot."""

Number = Decimal | float | int | str
Theme = Literal["light", "dark"]

# --- scales --------------------------------------------------------------------------------------------------------------


class Scale(msgspec.Struct, frozen=True):
    """From where to where an axis goes, and the round numbers that are written at it."""

    low: float
    high: float
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """How far along the axis a value stands, 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def per_cent(self, value: float) -> float:
        """The same, as CSS takes it."""
        return round(100 * self.share(value), 2)


_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def scale(values: Iterable[Number | None], ticks: int = 4, *, whole: bool = False) -> Scale:
    """An axis from nothing, or from what is below it, to the first round number that is not exceeded; `whole` counts things."""
    low, high = _reach(values)
    rough = (high - low) / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in _STEPS if one * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Multiples, not sums: a tenth added ten times is not one.
    return Scale(first * step, last * step, [round(n * step, 10) for n in range(first, last + 1)])


def _reach(values: Iterable[Number | None]) -> tuple[float, float]:
    """From nothing, or from what is below it, to the highest; never from something to the same."""
    known = [0.0, *(float(value) for value in values if value is not None)]
    low, high = min(known), max(known)
    return low, high if high > low else low + 1


def marked(days: Sequence[date], most: int = 8) -> list[int]:
    """Which of these days are written at the axis: where months begin when there are several, else every so many."""
    if not days:
        return []
    if (days[-1] - days[0]).days > 75:
        found = [n for n, day in enumerate(days) if n and day.month != days[n - 1].month]
    else:
        found = list(range(len(days)))
    every = math.ceil(len(found) / most) or 1
    return found[::every]


# --- lines and bars ------------------------------------------------------------------------------------------------------


def line(
    values: Sequence[Number],
    told: Sequence[str],
    axis: Scale,
    label: str,
    before: Sequence[Number] = (),
    *,
    is_running: bool = False,
) -> Markup:
    """A line with its area, and behind it, dashed, what it is compared with. The pointer or an arrow key reads `told`.

    `is_running`: the last value is of a time that is not over, and the way to it is dotted.
    """
    points = _points(values, axis)
    earlier = _points(before, axis, len(values))
    parts = [_grid(axis)]
    if points:
        parts.append(_area(points, axis))
    if earlier:
        parts.append(Markup('<path class="line before" d="{}"/>').format(_path(earlier)))
    if points:
        over = points[:-1] if is_running and len(points) > 1 else points
        parts.append(Markup('<path class="line" d="{}"/>').format(_path(over)) if len(over) > 1 else _alone(*over[0]))
        if over is not points:
            parts.append(Markup('<path class="line running" d="{}"/>').format(_path(points[-2:])))
    parts.append(Markup('<line class="cross" y1="0" y2="{}" visibility="hidden"/>').format(HEIGHT))
    reading = [{"x": x, "text": plain(text)} for (x, _), text in zip(points, told, strict=True)]
    return _plot(parts, label, reading)


def _area(points: Sequence[tuple[float, float]], axis: Scale) -> Markup:
    """What lies between a line and nothing."""
    ground = _short(HEIGHT * (1 - axis.share(max(axis.low, 0.0))))
    area = f"{_path(points)}L{_short(points[-1][0])} {ground}L{_short(points[0][0])} {ground}Z"
    return Markup('<path class="area" d="{}"/>').format(area)


def _alone(x: float, y: float) -> Markup:
    """One day is a dot: a path of no length with round ends."""
    return Markup('<path class="dot" d="M{} {}h0" stroke-width="8"/>').format(_short(x), _short(y))


def columns(values: Sequence[Number], told: Sequence[str], axis: Scale, label: str) -> Markup:
    """Bars that stand beside each other, each with its value as a tooltip."""
    wide = WIDTH / max(len(values), 1)
    bars: list[Markup] = []
    reading: list[Mapping[str, object]] = []
    for number, (value, text) in enumerate(zip(values, told, strict=True)):
        share, ground = axis.share(float(value)), axis.share(max(axis.low, 0.0))
        top, tall = HEIGHT * (1 - max(share, ground)), HEIGHT * abs(share - ground)
        bars.append(
            Markup('<rect class="column" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                _short(number * wide + wide * 0.08), _short(top), _short(wide * 0.84), _short(tall), text
            )
        )
        reading.append({"x": round((number + 0.5) * wide, 1), "text": plain(text)})
    cross = Markup('<line class="cross" y1="0" y2="{}" visibility="hidden"/>').format(HEIGHT)
    return _plot([_grid(axis), *bars, cross], label, reading)


def spark(values: Sequence[Number], label: str = "", axis: Scale | None = None, *, is_wide: bool = False) -> Markup:
    """A small line without axes, from nothing to the highest unless told; its table stands elsewhere.

    One without a label is not read aloud. A wide one fills its place, and has its area. What never changed is drawn quietly.
    """
    axis = axis or Scale(*_reach(values), ())
    points = _points(values, axis)
    told = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    parts = [Markup("<title>{}</title>").format(label)] if label else []
    if is_wide and points:
        parts.append(_area(points, axis))
    parts.append(Markup('<path class="line" d="{}"/>').format(_path(points) + ("h0" if len(points) == 1 else "")))
    return Markup('<svg class="spark{}" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>').format(
        " wide" * is_wide + " still" * (len(set(values)) <= 1), WIDTH, HEIGHT, told, Markup().join(parts)
    )


def calibration(points: Sequence[tuple[float, float, int]], told: Sequence[str], axis: Scale, label: str) -> Markup:
    """What was predicted (across) beside what came (up): chances that are right lie on the diagonal.

    A point's third number is of how many customers it tells; the more, the bigger the dot.
    """
    most = max((n for *_, n in points), default=1)
    places = [(round(WIDTH * axis.share(p), 1), round(HEIGHT * (1 - axis.share(a)), 1)) for p, a, _ in points]
    dots = [
        Markup('<path class="dot" d="M{} {}h0" stroke-width="{}"><title>{}</title></path>').format(
            _short(x), _short(y), _short(6 + 10 * math.sqrt(n / most)), text
        )
        for (x, y), (*_, n), text in zip(places, points, told, strict=True)
    ]
    parts = [
        _grid(axis),
        Markup('<path class="line before" d="M0 {}L{} 0"/>').format(HEIGHT, WIDTH),
        Markup('<path class="line" d="{}"/>').format(_path(places)) if places else Markup(),
        *dots,
        Markup('<line class="cross" y1="0" y2="{}" visibility="hidden"/>').format(HEIGHT),
    ]
    return _plot(parts, label, [{"x": x, "text": plain(text)} for (x, _), text in zip(places, told, strict=True)])


def _points(values: Sequence[Number], axis: Scale, among: int = 0) -> list[tuple[float, float]]:
    steps = max(among or len(values), 2) - 1
    return [
        (round(WIDTH * n / steps, 1), round(HEIGHT * (1 - axis.share(float(value))), 1))
        for n, value in enumerate(values[: steps + 1])
    ]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) if points else ""


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _grid(axis: Scale) -> Markup:
    lines = [
        Markup('<path class="{}" d="M0 {}H{}"/>').format("grid zero" if tick == 0 else "grid", y, WIDTH)
        for tick in axis.ticks
        for y in (_short(HEIGHT * (1 - axis.share(tick))),)
    ]
    return Markup().join(lines)


def _plot(parts: Sequence[Markup], label: str, reading: Sequence[Mapping[str, object]]) -> Markup:
    return Markup(
        '<svg class="plot-svg" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" tabindex="0" aria-label="{}" '
        'data-points="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, label, msgspec.json.encode(reading).decode(), Markup().join(parts))


def plain(text: str) -> str:
    """A sentence as it is read: the templates make them as markup, with what is not letters escaped."""
    return text.unescape() if isinstance(text, Markup) else text


# --- heat ----------------------------------------------------------------------------------------------------------------

HEAT: Final[dict[Theme, tuple[float, float, float]]] = {"light": (0.5, 0.19, 262), "dark": (0.7, 0.15, 262)}
PAPER: Final[dict[Theme, tuple[float, float, float]]] = {"light": (1, 0, 0), "dark": (0.205, 0.005, 262)}
"""The colours `--heat` and `--card` of app.css, in OKLCH; a test holds them together."""


def fill(value: float | None, most: float, top: int = 100) -> int:
    """How strong a cell is coloured: `top` per cent for `most` and what is above it, nothing for nothing."""
    if value is None or most <= 0 or value <= 0:
        return 0
    return max(1, min(top, round(top * value / most)))


@lru_cache
def ink(percent: int) -> str:
    """The classes that make the text of a cell readable: `lit` is white in the light theme, `dim` black in the dark one."""
    light, dark = luminance(percent, "light"), luminance(percent, "dark")
    found = [
        name
        for name, is_needed in (("lit", contrast(light, 1) > contrast(light, 0)), ("dim", contrast(dark, 0) > contrast(dark, 1)))
        if is_needed
    ]  # fmt: skip
    return " ".join(found)


def contrast(one: float, other: float) -> float:
    """The contrast of two luminances (WCAG 2.2)."""
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(percent: int, theme: Theme) -> float:
    """The relative luminance of a cell that is coloured so strong: mixed in OKLab, as `color-mix` does."""
    heat, paper = _lab(HEAT[theme]), _lab(PAPER[theme])
    lightness, a, b = (p + (h - p) * percent / 100 for h, p in zip(heat, paper, strict=True))
    # Björn Ottosson's matrices, https://bottosson.github.io/posts/oklab/.
    l3 = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m3 = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s3 = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3
    green = -1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3
    blue = -0.0041960863 * l3 - 0.7034186147 * m3 + 1.7076147010 * s3
    red, green, blue = (min(1.0, max(0.0, one)) for one in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _lab(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    lightness, chroma, hue = colour
    return lightness, chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
