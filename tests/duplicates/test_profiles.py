from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from supover.duplicates import blocking, profiles, scoring
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
