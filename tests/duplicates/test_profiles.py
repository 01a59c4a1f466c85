import csv
import io
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from supover.duplicates import blocking, profile_columns, profiles, scanning, scoring
from supover.duplicates.profiles import Person, Place
from supover.kit import text

ANYTHING = st.text(max_size=80)
NAME_WORDS = st.sampled_from(
    "Ann ann JOHN Lee van der O'Neil Müller Jr Sr. II Dr. Mr García-López x Ng 李 Ольга PhD -".split()
)


@given(st.one_of(ANYTHING, st.lists(NAME_WORDS, max_size=5).map(" ".join)))
def test_a_name_is_read_the_short_way_as_the_long_way(name: str) -> None:
    assert profiles.person(name) == profiles._person(name)  # pyright: ignore[reportPrivateUsage]


@given(st.one_of(ANYTHING, st.lists(NAME_WORDS, max_size=5).map(" ".join)))
def test_a_name_read_again_from_its_parts_is_the_same(name: str) -> None:
    one = profiles.person(name)
    if one.last and not one.generation and not text.ODD_IN_NAMES & set(one.words):
        again = profiles.person(" ".join([one.first, *one.middle, one.last]))
        assert (again.first, again.middle, again.last) == (one.first, one.middle, one.last)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.dates())
def test_nothing_that_people_write_raises(name: str, line1: str, line2: str, city: str, zip: str, born: object) -> None:
    one = profiles.profile(
        UUID(int=1),
        name,
        [line1],
        [line2],
        [city],
        [(line1, line2, city, zip, "US")],
        born,  # pyright: ignore[reportArgumentType]
    )
    assert scoring.terms(one) == list(dict.fromkeys(scoring.terms(one)))
    blocking.keys(one)
    scoring.score(one, one, scoring.Frequencies(10, {}))


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_the_parts_of_a_place_are_what_they_are_made_of(line1: str, line2: str, city: str, zip: str) -> None:
    found = profiles.place(line1, line2, city, zip, "DE")
    if found is not None:
        again = profiles.place(f"{found.house} {found.street}", "", found.city, found.zip, "DE")
        assert again is not None
        assert (again.zip, again.city) == (found.zip, found.city)


def test_one_name_in_many_spellings() -> None:
    ann = Person("ann", (), "lee", "", ("ann", "lee"))
    assert [profiles.person(n) for n in ("Ann Lee", "ANN LEE", "Lee, Ann", " ann  lee ", "Dr. Ann Lee")] == [ann] * 5
    assert profiles.person("John Smith Jr.").generation == "jr"
    assert profiles.person("A*** L**") == Person()
    assert profiles.person("Ava K***") == profiles.person("Ava") == Person("ava", (), "", "", ("ava",))
    assert profiles.person("guest") == Person()


def test_one_place_in_many_spellings() -> None:
    told = [
        ("12 North Main Street, Apt 4B", None),
        ("12 N Main St", "Apartment 4b"),
        ("12 Main St #4B", None),
        ("12 MAIN STREET", "# 4B"),
    ]
    places = {profiles.place(one, two, "Springfield", "62701-1234", "US") for one, two in told}
    assert places == {Place("12", "main", "4b", "62701", "springfield")}
    assert profiles.place("Hauptstr. 12", None, "Köln", "50667", "DE") == Place("12", "hauptstr", "", "50667", "koln")


def test_what_a_masked_phone_shows() -> None:
    assert profiles.phone_mask("(+1)415*****78") == "41578" == profiles.mask_of("+14155550178")
    assert profiles.phone_mask("hidden") == ""


def test_short_forms_of_first_names() -> None:
    assert profiles.is_nickname("bill", "william")
    assert profiles.is_nickname("robert", "bob")
    assert not profiles.is_nickname("maria", "marta")
    assert "robert" in profiles.canonical_names("bob")


# --- column by column ----------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    "Anna ann BOB o'neil Smith van de Jr III Dr. N Main St Street Road rd apt 4b # unit No Top Zoë Łódź 12 12b 12-14 3rd é "
    'Broadway Calle 5 Suite 9 "quoted" back\\slash a,b *** Ma**n Pl Court West'.split()
)
PHRASES = st.lists(WORDS, max_size=4).map(" ".join) | st.text(
    st.characters(exclude_categories=("Cs", "Cc")), max_size=12
)
PLAIN = st.sampled_from(["Anna Smith", "bob JONES", "Al Le", "Peggy Sue"])
ZIPS = st.sampled_from(
    ["", "62701", "62701-1234", "627011234", "M5V 3L9", "sw1a 1aa", " 10115", "75001 ", "1234567890"]
)
PLACES = st.builds(
    lambda *parts: "\x1f".join(parts),
    st.sampled_from(
        ["12 Main St", "7b Elm Street", "9 N West Rd", "4 Street", "12 Top Hill", "Elm 4", "1 Main  St", ""]
    )
    | PHRASES,
    st.sampled_from(["", "", "Apt 4"]) | PHRASES,
    st.sampled_from(["Springfield", "St. John's", "New York", ""]) | PHRASES,
    ZIPS | PHRASES,
    st.sampled_from(["US", "DE", ""]),
)
CUSTOMERS = st.tuples(
    st.uuids().map(str),
    st.none() | PLAIN | PHRASES,
    st.none() | st.sampled_from(["anna@x.co", "a.b@x.co\x1fb@x.co", "x@", "no-at", '"a b"@x.co', "zoë@x.co"]),
    st.none() | st.sampled_from(["+14155550123", "+4930123456", "+1415555012", "+14155550123\x1f+4930123456"]),
    st.none() | st.none() | st.just("(+1)415*****23"),
    st.none() | PLACES | st.lists(PLACES, min_size=2, max_size=3).map("\x1e".join),
    st.none() | st.none() | st.just("1980-02-29"),
    st.integers(-(2**63), 2**63 - 1),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(CUSTOMERS, max_size=12, unique_by=lambda one: one[0]))
def test_thousands_at_once_are_made_as_one_by_one(customers: list[tuple[Any, ...]]) -> None:
    lines = [
        ",".join(
            "" if cell is None else str(cell) if n == 7 else '"' + cell.replace('"', '""') + '"'
            for n, cell in enumerate(one)
        )
        for one in customers
    ]
    told, number = profile_columns.made("".join(f"{line}\n" for line in lines).encode(), scanning.made)
    found = [
        (id, int(source_hash), *rest) for id, source_hash, *rest in csv.reader(io.StringIO(told.decode(), newline=""))
    ]
    assert number == len(found) == len(customers)
    assert sorted(found) == sorted(scanning.made(customers))


def test_most_people_are_made_the_short_way() -> None:
    odd: list[tuple[Any, ...]] = []

    def one_by_one(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        odd.extend(rows)
        return []

    plain = f'{UUID(int=1)},Anna Smith,anna@x.co,+14155550123,,"12 N Main St\x1f\x1fSpringfield\x1f62701\x1fUS",,5\n'
    profile_columns.made(plain.encode() + plain.replace("Main St", "Main St Apt 4").encode(), one_by_one)
    assert [one[5].partition("\x1f")[0] for one in odd] == ["12 N Main St Apt 4"]
