"""Countries and places, without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.addresses import rules
from supover.addresses.model import NewAddress
from supover.channels.model import PostalAddress
from supover.kit import countries
from supover.kit.problems import Invalid

ANY = st.text(max_size=120)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("EIRE", "IE"),
        ("RSA", "ZA"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("uk", "GB"),
        ("United Kingdom", "GB"),
        ("Korea", "KR"),
        ("Czech Republic", "CZ"),
        ("Hong Kong", "HK"),
        ("the Netherlands", "NL"),
        ("Bahamas, The", "BS"),
        ("deutschland", "DE"),
        ("Österreich", "AT"),
        ("Cote d'Ivoire", "CI"),
        ("CÔTE D’IVOIRE", "CI"),
        ("St. Lucia", "LC"),
        ("Trinidad & Tobago", "TT"),
        ("DEU", "DE"),
        ("日本", "JP"),
        ("Saudi Arabia", "SA"),
        (" fr ", "FR"),
        ("United Arab Emirates", "AE"),
        ("Channel Islands", None),
        ("European Community", None),
        ("Unspecified", None),
        ("West Indies", None),
        ("", None),
        ("XX", None),
        ("x" * 500, None),
    ],
)
def test_a_country_is_known_by_what_people_write(name: str, code: str | None) -> None:
    assert rules.country_code(name) == code


def test_every_code_and_name_of_the_data_leads_to_its_country() -> None:
    assert len(countries._NAMES) == 250  # pyright: ignore[reportPrivateUsage]
    for code, names in countries._NAMES.items():  # pyright: ignore[reportPrivateUsage]
        for name in (code, *names):
            assert countries.code(name.upper()) == countries.code(name) == code
        assert len(names[0]) == 3
        assert countries.name(code) == names[1]
    assert countries.name("XX") is None


@given(ANY)
def test_any_text_has_a_country_or_none(text: str) -> None:
    found = rules.country_code(text)
    assert found is None or rules.country_code(found) == found


@given(st.builds(PostalAddress, line1=ANY, line2=ANY, city=ANY, state=ANY, postal_code=ANY, country=ANY))
def test_any_place_has_a_bounded_key_and_an_answer(place: PostalAddress) -> None:
    key = rules.match_key(place)
    assert key == rules.match_key(place)
    assert len(key) <= 300
    assert rules.fits(place) in (True, False)


@given(
    line1=ANY,
    city=ANY,
    state=ANY,
    postal_code=ANY,
    country=st.sampled_from(["US", "GB", "BR", "CN", "JP", "IE", "HK", "AQ", "XK", "?"]),
)
def test_any_typed_address_is_kept_or_refused_by_field(
    line1: str, city: str, state: str, postal_code: str, country: str
) -> None:
    typed = NewAddress(line1=line1, city=city, state=state, postal_code=postal_code, country=country)
    try:
        kept, fits = rules.checked(typed)
    except Invalid as refused:
        assert refused.errors
        assert all(e.pointer.startswith("/") for e in refused.errors)
    else:
        assert fits
        assert rules.checked(kept) == (kept, True), "what was kept fits again, as it is"


def test_equal_keys_are_one_place() -> None:
    def key(line1: str, postal_code: str = "10119", country: str = "DE", **rest: str) -> str:
        return rules.match_key(PostalAddress(line1=line1, postal_code=postal_code, country=country, **rest))

    assert (
        key("Torstr. 1")
        == key(" TORSTR 1 ")
        == key("Torstr 1", "10 119", "Germany", city="Berlin")
        == "torstr 1|10119|DE"
    )
    assert key("Straße Ä 1") == key("strasse a 1")
    assert key("Torstr. 1", recipient_name="Ann") == key("Torstr. 1", recipient_name="Bo")
    for other in (
        key("Torstr. 2"),
        key("Torstr. 1", "10120"),
        key("Torstr. 1", country="AT"),
        key("Torstr. 1", line2="App. 3"),
    ):
        assert other != key("Torstr. 1")
    assert key("1 Main St", "", "IE", city="Cork") != key("1 Main St", "", "IE", city="Dublin")
    assert len(key("x" * 5000)) == 64


def test_every_country_has_rules_that_can_be_asked() -> None:
    for code in countries._NAMES:  # pyright: ignore[reportPrivateUsage]
        fitted, _ = rules.fit(NewAddress(line1="1 Main St", city="Town", country=code))
        assert fitted.country == code
