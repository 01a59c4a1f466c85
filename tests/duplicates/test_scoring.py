from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from supover.duplicates import clustering, profiles, scoring
from supover.duplicates.profiles import Profile
from supover.duplicates.scoring import Frequencies

EVERYBODY = Frequencies(
    100_000, {"first:james": 2_000, "last:smith": 900, "last:smyth": 4, "email:info@shop.example": 60, "zip:62701": 5}
)


def one(
    name: str = "James Wojcik",
    email: str = "",
    phone: str = "",
    line1: str = "",
    zip: str = "62701",
    born: date | None = None,
    n: int = 1,
) -> Profile:
    place = [(line1, "", "Springfield", zip, "US")] if line1 else []
    return profiles.profile(UUID(int=n), name, [email] if email else [], [phone] if phone else [], [], place, born)


def level(a: Profile, b: Profile) -> str | None:
    return scoring.score(a, b, EVERYBODY).level


def test_the_bits_of_a_pair_add_up_to_its_score() -> None:
    found = scoring.score(
        one(email="j@mail.example", line1="1 Oak St"), one("Jim Wojcik", "j@mail.example", line1="1 Oak St"), EVERYBODY
    )
    assert round(sum(reason.bits for reason in found.reasons), 2) == found.bits
    assert [reason.field for reason in found.reasons] == ["prior", "firstName", "lastName", "email", "address"]


def test_a_rare_name_says_more_than_a_common_one() -> None:
    rare = scoring.score(one("Ottoline Wojcik"), one("Ottoline Wojcik"), EVERYBODY)
    common = scoring.score(one("James Smith"), one("James Smith"), EVERYBODY)
    assert rare.bits > common.bits + 10


def test_an_email_or_phone_with_a_first_name_that_goes_along_is_automatic() -> None:
    assert level(one(email="j@mail.example"), one("Jim Wojcik", "j@mail.example")) == "automatic"
    assert level(one(phone="+14155550178"), one("J Wojcik", phone="+14155550178")) == "automatic"
    assert level(one("Wojcik James", phone="+14155550178"), one(phone="+14155550178")) == "automatic"


def test_a_family_is_never_one_person() -> None:
    husband = one("James Wojcik", "home@mail.example", "+14155550178", "1 Oak St")
    wife = one("Mary Wojcik", "home@mail.example", "+14155550178", "1 Oak St")
    found = scoring.score(husband, wife, EVERYBODY)
    assert (found.level, found.against) == ("review", scoring.FIRST_NAMES)
    assert scoring.incompatible(husband, wife)


def test_father_and_son_are_two() -> None:
    father = one("James Wojcik Sr", phone="+14155550178", line1="1 Oak St")
    son = one("James Wojcik Jr", phone="+14155550178", line1="1 Oak St")
    assert level(father, son) == "review"
    # Who leaves out the Jr at home may be either of the two.
    untold = one("James Wojcik", phone="+14155550178", line1="1 Oak St")
    assert level(untold, son) == "suggested"


def test_an_equal_birth_date_lifts_the_veto_to_suggested_at_one_address() -> None:
    day = date(1971, 3, 9)
    a, b = (
        one("Flynn Rokobaro", line1="12 Herschell St", born=day),
        one("Thomas Rokobaro", line1="12 Herschell St", born=day),
    )
    assert level(a, b) == "suggested"
    assert not scoring.incompatible(a, b)
    assert level(a, one("Thomas Rokobaro", line1="12 Herschell St", born=date(1999, 1, 2))) == "review"


def test_what_a_crowd_shares_says_nothing() -> None:
    a, b = one("Ann Lee", "info@shop.example"), one("Ann Lee", "info@shop.example")
    assert all(reason.field != "email" for reason in scoring.score(a, b, EVERYBODY).reasons)


def test_masked_and_mistyped_contacts_count_for_less() -> None:
    bits = {
        other: next(
            r.bits for r in scoring.score(one(phone="+14155550178"), found, EVERYBODY).reasons if r.field == "phone"
        )
        for other, found in {
            "same": one(phone="+14155550178"),
            "typo": one(phone="+14155550187"),
            "other": one(phone="+12125550000"),
        }.items()
    }
    assert bits == {"same": 19.0, "typo": 15.0, "other": -1.5}


NAMES = st.sampled_from(
    [
        "James Lee",
        "Jim Lee",
        "Mary Lee",
        "J Lee",
        "Lee James",
        "James Lee Jr",
        "James Lee Sr",
        "",
        "Lee",
        "James Ngo",
        "Marie Lee",
    ]
)
PEOPLE = st.builds(
    one,
    NAMES,
    st.sampled_from(["", "a@mail.example", "b@mail.example"]),
    st.sampled_from(["", "+14155550178", "+14155550187"]),
    st.sampled_from(["", "1 Oak St", "2 Oak St", "1 Elm Ave"]),
    st.sampled_from(["62701", "62702"]),
    st.sampled_from([None, date(1971, 3, 9), date(1971, 9, 3)]),
)


@given(PEOPLE, PEOPLE)
def test_it_does_not_matter_who_comes_first(a: Profile, b: Profile) -> None:
    there, back = scoring.score(a, b, EVERYBODY), scoring.score(b, a, EVERYBODY)
    assert (there.bits, there.level, there.against) == (back.bits, back.level, back.against)
    assert scoring.incompatible(a, b) == scoring.incompatible(b, a)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 9)), max_size=30),
    st.sets(st.frozensets(st.integers(0, 9), min_size=2, max_size=2)),
)
def test_no_group_has_two_who_are_forbidden(
    pairs: list[tuple[int, int, float]], forbidden: set[frozenset[int]]
) -> None:
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    groups, refused = clustering.clusters(pairs, lambda a, b: frozenset((a, b)) in forbidden)
    members = [id for group in groups for id in group]
    assert len(members) == len(set(members))
    for group in groups:
        assert not any({a, b} in [set(pair) for pair in forbidden] for a in group for b in group if a != b)
    of = {id: n for n, group in enumerate(groups) for id in group}
    for a, b, _ in pairs:
        assert ((a, b) in refused) or of.get(a) == of.get(b) is not None


def test_the_best_pair_joins_first() -> None:
    groups, refused = clustering.clusters([(1, 2, 5.0), (2, 3, 9.0)], lambda a, b: {a, b} == {1, 3})
    assert (groups, refused) == ([[2, 3]], [(1, 2)])
