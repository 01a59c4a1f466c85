"""Maps: what is on them, by which code, and that nothing runs across the picture."""

import re

import pytest

from supover.kit import countries
from supover.web import maps
from supover.web.maps import Map


def numbers(path: str) -> list[list[float]]:
    """The numbers of each ring: where it begins, then steps."""
    return [[float(n) for n in re.findall(r"-?\d*\.?\d+", ring)] for ring in path.split("M")[1:]]


def box(found: Map, code: str) -> tuple[float, float, float, float]:
    [shape] = [one for one in found.shapes if one.code == code]
    xs: list[float] = []
    ys: list[float] = []
    for ring in numbers(shape.path):
        x, y = ring[:2]
        xs.append(x)
        ys.append(y)
        for dx, dy in zip(ring[2::2], ring[3::2], strict=True):
            x, y = x + dx, y + dy
            xs.append(x)
            ys.append(y)
    return min(xs), min(ys), max(xs), max(ys)


def test_the_world_has_each_country_once_by_its_code() -> None:
    codes = [shape.code for shape in maps.world().shapes]
    assert len(codes) == len(set(codes)) == 174
    assert {"US", "VN", "DE", "GB", "TW", "XK", "SS", "PS"} <= set(codes)
    assert "AQ" not in codes
    assert [code for code in codes if countries.name(code) is None] in ([], ["XK"])


def test_the_states_are_fifty_and_the_capital() -> None:
    codes = [shape.code for shape in maps.states().shapes]
    assert len(codes) == len(set(codes)) == 51
    assert {"CA", "NY", "AK", "HI", "DC"} <= set(codes)


@pytest.mark.parametrize("found", [maps.world(), maps.states()], ids=["world", "states"])
def test_shapes_lie_in_the_picture_in_short_steps_to_one_decimal(found: Map) -> None:
    for shape in found.shapes:
        left, top, right, bottom = box(found, shape.code)
        assert left >= 0, shape.code
        assert top >= 0, shape.code
        assert right <= found.width, shape.code
        assert bottom <= found.height, shape.code
        assert not re.search(r"\.\d\d", shape.path), shape.code
        # A border that is torn where the map ends would run across all of it.
        longest = max(abs(step) for ring in numbers(shape.path) for step in ring[2:])
        assert longest < found.width / 8, (shape.code, longest)


def test_places_stand_where_they_are() -> None:
    world, states = maps.world(), maps.states()
    vietnam, portugal, chile = box(world, "VN"), box(world, "PT"), box(world, "CL")
    assert portugal[2] < vietnam[0]
    assert chile[1] > portugal[3]
    assert box(states, "WA")[2] < box(states, "ME")[0]
    assert box(states, "AK")[1] > box(states, "CA")[3] - 40
    assert box(states, "TX")[1] > box(states, "ND")[3]


def test_both_maps_are_small_enough_for_a_page() -> None:
    assert sum(len(shape.path) for shape in maps.world().shapes) < 90_000
    assert sum(len(shape.path) for shape in maps.states().shapes) < 90_000


def test_a_region_is_told_by_name_however_it_was_written() -> None:
    assert [maps.region_code("US", said) for said in ("CA", "California", "california", "Bavaria", "")] == [
        "CA", "CA", "CA", "Bavaria", "",
    ]  # fmt: skip
    assert maps.region_name("US", "ny") == "New York"
    assert maps.region_name("DE", "Bayern") == "Bayern"
    assert maps.region_name("Atlantis", "North") == "North"
    assert maps.regions("US").keys() >= {"AL", "CA", "NY", "WY"}
