"""Charts as markup: their scales, their tooltips, and colours that can be read."""

import re
from datetime import date, timedelta
from html import unescape
from pathlib import Path

import msgspec
import pytest
from markupsafe import Markup

from supover.web import charts, growth
from supover.web.charts import HEAT, PAPER, Theme

EVIL = "\"><script>alert(1)</script>'&"
CSS = Path(charts.__file__).parent / "assets/app.css"


def reading(svg: str) -> list[dict[str, float | str]]:
    [points] = re.findall(r'data-points="([^"]*)"', svg)
    return msgspec.json.decode(unescape(points))


# --- scales --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([], [0, 0.25, 0.5, 0.75, 1]),
        ([0, 0], [0, 0.25, 0.5, 0.75, 1]),
        ([3830.77, "12.5", None], [0, 1000, 2000, 3000, 4000]),
        ([100], [0, 25, 50, 75, 100]),
        ([0.3], [0, 0.1, 0.2, 0.3]),
        ([-5, 3], [-6, -4, -2, 0, 2, 4]),
        ([1e9 + 1e6], [0, 5e8, 1e9, 1.5e9]),
    ],
)
def test_an_axis_goes_from_nothing_to_a_round_number_that_holds_everything(
    values: list[float], ticks: list[float]
) -> None:
    axis = charts.scale(values)
    assert axis.ticks == ticks
    assert (axis.low, axis.high) == pytest.approx((ticks[0], ticks[-1]))
    assert axis.per_cent(axis.low) == 0
    assert axis.per_cent(axis.high) == 100


def test_what_is_counted_has_no_halves_at_its_axis() -> None:
    assert charts.scale([2], whole=True).ticks == [0, 1, 2]
    assert charts.scale([9], whole=True).ticks == [0, 3, 6, 9]


def test_an_axis_of_days_tells_some_of_them_and_one_of_months_their_beginnings() -> None:
    first = date(2026, 1, 30)
    month = [first + timedelta(days=n) for n in range(30)]
    assert charts.marked(month) == [0, 4, 8, 12, 16, 20, 24, 28]
    quarter = [first + timedelta(days=n) for n in range(90)]
    assert [quarter[n] for n in charts.marked(quarter)] == [date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]
    assert charts.marked([first]) == [0]
    assert charts.marked([]) == []


# --- markup --------------------------------------------------------------------------------------------------------------


def test_a_line_goes_through_its_values_and_what_it_is_compared_with_is_dashed_behind_it() -> None:
    axis = charts.scale([4])
    svg = charts.line(["0", "2", "4"], ["a", "b", "c"], axis, "Sales", ["4", "0"])
    assert '<path class="line" d="M0 300L500 150L1000 0"/>' in svg
    assert '<path class="area" d="M0 300L500 150L1000 0L1000 300L0 300Z"/>' in svg
    assert '<path class="line before" d="M0 0L500 300"/>' in svg
    assert svg.index("line before") < svg.index('class="line" ')
    assert reading(svg) == [{"x": 0, "text": "a"}, {"x": 500, "text": "b"}, {"x": 1000, "text": "c"}]
    assert 'role="img"' in svg
    assert 'tabindex="0"' in svg
    assert 'aria-label="Sales"' in svg


def test_a_day_that_is_not_over_is_dotted() -> None:
    svg = charts.line([1, 1, 0], ["a", "b", "c"], charts.scale([1]), "Sales", is_running=True)
    assert '<path class="line" d="M0 0L500 0"/>' in svg
    assert '<path class="line running" d="M500 0L1000 300"/>' in svg


def test_one_day_is_a_dot_and_none_is_an_empty_plot() -> None:
    assert 'd="M0 0h0"' in charts.line([1], ["a"], charts.scale([1]), "Sales")
    empty = charts.line([], [], charts.scale([]), "Sales")
    assert "line before" not in empty
    assert reading(empty) == []


def test_bars_begin_at_nothing_also_below_it() -> None:
    svg = charts.columns([2, -1], ["up", "down"], charts.Scale(-2, 2, [-2, 0, 2]), "Bars")
    found = re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"><title>(\w+)</title>', svg)
    assert found == [("0", "150", "up"), ("150", "75", "down")]


def test_right_chances_lie_on_the_diagonal() -> None:
    svg = charts.calibration([(0.5, 0.5, 100), (1.0, 0.0, 1)], ["half", "never"], charts.scale([1]), "Calibration")
    assert '<path class="line before" d="M0 300L1000 0"/>' in svg
    assert re.findall(r'class="dot" d="M([\d. ]+)h0" stroke-width="([\d.]+)"><title>(\w+)', svg) == [
        ("500 150", "16", "half"),
        ("1000 300", "7", "never"),
    ]


def test_a_small_line_reaches_the_top_and_a_wide_one_has_its_area() -> None:
    told = charts.spark([0, 5, 10], "Growth")
    assert 'role="img" aria-label="Growth"' in told
    assert 'class="line" d="M0 300L500 150L1000 0"' in told
    assert 'class="area"' not in told
    wide = charts.spark([0, 10], is_wide=True)
    assert '<svg class="spark wide"' in wide
    assert 'aria-hidden="true"' in wide
    assert 'class="area" d="M0 300L1000 0L1000 300L0 300Z"' in wide
    # Nothing but noughts lies on the ground.
    assert 'd="M0 300L1000 300"' in charts.spark([0, 0])


def test_who_did_not_grow_has_a_line_in_the_middle() -> None:
    day = date(2026, 11, 1)
    assert 'd="M0 150L1000 150"' in growth.spark([(day, 7)], day, day + timedelta(days=1))
    assert 'd="M0 300L1000 0"' in growth.spark([(day, 7), (day + timedelta(days=1), 9)], day, day + timedelta(days=1))


def test_every_word_is_escaped_once() -> None:
    axis = charts.scale([1])
    drawn = [
        charts.line([1], [EVIL], axis, EVIL),
        charts.columns([1], [EVIL], axis, EVIL),
        charts.spark([1], EVIL),
        charts.calibration([(1, 1, 1)], [EVIL], axis, EVIL),
    ]
    for svg in drawn:
        assert "<script" not in svg
        assert "&amp;lt;" not in svg
        assert "&amp;#39;" not in svg
    # The templates' sentences are markup: in an attribute they are read as they were meant.
    [point] = reading(charts.line([1], [Markup("{}").format(EVIL)], axis, ""))
    assert point["text"] == EVIL


# --- heat ----------------------------------------------------------------------------------------------------------------


def test_a_cell_is_coloured_by_its_part_of_the_most() -> None:
    assert [charts.fill(value, 0.5) for value in (None, 0, 0.001, 0.25, 0.5, 0.9)] == [0, 0, 1, 50, 100, 100]
    assert charts.fill(0.5, 0.5, 80) == 80
    assert charts.fill(-3, 5) == 0
    assert charts.fill(3, 0) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_on_every_colour_can_be_read(theme: Theme) -> None:
    for percent in range(101):
        classes = charts.ink(percent).split()
        is_white = "lit" in classes if theme == "light" else "dim" not in classes
        found = charts.contrast(charts.luminance(percent, theme), 1.0 if is_white else 0.0)
        assert found >= 4.5, (percent, found)


def test_the_colours_that_are_reckoned_with_are_those_of_the_style() -> None:
    root, _, dark = CSS.read_text().partition("\n.dark {")
    styles: dict[Theme, str] = {"light": root, "dark": dark}
    for theme, text in styles.items():
        lightness, chroma, hue = HEAT[theme]
        assert f"--heat: oklch({lightness} {chroma} {hue});" in text
    lightness, chroma, hue = PAPER["dark"]
    assert f"--card: oklch({lightness} {chroma} {hue});" in dark
    # In the light theme the card is the library's white.
    assert "--card:" not in root
    assert PAPER["light"] == (1, 0, 0)
    assert charts.luminance(0, "light") == pytest.approx(1, abs=1e-6)
