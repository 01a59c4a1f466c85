"""How much speaks for two customers being one person, in bits (Fellegi and Sunter 1969).

Each field gives log2 of how much more often it looks like this between two records of one person than between two of
different people. An agreement on something rare says more than on something common, by how often it is in this workspace.
The sum begins with what a pair has before anything is known of it, so that 0 bits is as likely as not.

Pure.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import log2
from typing import Final, Literal

import msgspec
from rapidfuzz.distance import OSA, JaroWinkler

from supover.customers.contacts import HUB_CUSTOMERS
from supover.duplicates import profiles
from supover.duplicates.model import Level
from supover.duplicates.profiles import Person, Place, Profile
from supover.kit import text
from supover.kit.problems import worded

SUGGESTED_BITS: Final = 2.0
REVIEW_BITS: Final = -10.0
DUPLICATES: Final = 0.2
"""Pairs of one person that are expected for each customer."""


class Reason(msgspec.Struct, frozen=True, rename="camel"):
    """One step of the sum."""

    field: str
    words: str
    bits: float


class Score(msgspec.Struct, frozen=True):
    """What two customers have in common; `against` says why they are never taken for one person without being looked at.

    `is_exact`: one real email or phone, and first names that go together. `is_family`: two who live together, no more.
    """

    bits: float
    reasons: tuple[Reason, ...]
    against: str = ""
    is_exact: bool = False
    is_family: bool = False

    @property
    def level(self) -> Level | None:
        """Which list the pair is on by itself; None where too little speaks for it."""
        if self.is_family:
            return None
        if self.against:
            return "review" if self.bits >= REVIEW_BITS else None
        if self.is_exact:
            return "automatic"
        return "suggested" if self.bits >= SUGGESTED_BITS else "review" if self.bits >= REVIEW_BITS else None


# --- how common something is ----------------------------------------------------------------------------------------------

Field = Literal["first", "last", "zip", "city", "place", "born", "email", "phone"]

_USUAL: Final[Mapping[Field, float]] = {
    "first": 1 / 250,
    "last": 1 / 1500,
    "zip": 1 / 3000,
    "city": 1 / 1000,
    "place": 1 / 20000,
    "born": 1 / 15000,
}
"""How many have a value where nothing is known of it."""
_WEIGHT: Final = 500
"""As if so many customers had been seen before in whom everything is as common as usual."""


class Frequencies:
    """How many of a workspace's customers have a value; those that few have are not counted."""

    __slots__ = ("_counts", "_known", "_rare", "customers", "hubs", "prior")

    def __init__(self, customers: int, counts: Mapping[str, int]) -> None:
        self.customers = customers
        self._counts = counts
        self._known: dict[str, float] = {}
        self._rare = {field: self._bits(field, 2) for field in _USUAL}
        self.hubs = frozenset(
            value
            for term, count in counts.items()
            if count > HUB_CUSTOMERS and (term.startswith(("email:", "phone:"))) and (value := term.partition(":")[2])
        )
        """Emails and phones that so many customers have that they say nothing."""
        bits = log2(2 * DUPLICATES / max(customers, 2))
        self.prior = Reason("prior", f"any two of {customers:,} customers", round(bits, 2))
        """The log odds that any two customers are one person."""

    def bits(self, field: Field, value: str) -> float:
        """How much it says that two customers share this value: the more, the fewer have it."""
        term = f"{field}:{value}"
        found = self._known.get(term)
        if found is None:
            count = self._counts.get(term)
            if count is None:
                return self._rare[field]
            found = self._known[term] = self._bits(field, count)
        return found

    def _bits(self, field: Field, count: int) -> float:
        return -log2((count - 1 + _WEIGHT * _USUAL[field]) / (self.customers + _WEIGHT))


def terms(profile: Profile) -> list[str]:
    """The values of a profile whose frequency matters, each with its field."""
    name = profile.name
    found = [f"first:{name.first}"] if name.first else []
    if name.last:
        found.append(f"last:{name.last}")
    for place in profile.places:
        if place.zip:
            found.append(f"zip:{place.zip}")
        if place.city:
            found.append(f"city:{place.city}")
        if place.street:
            found.append(f"place:{place_key(place)}")
    if profile.born:
        found.append(f"born:{profile.born}")
    found += [f"email:{email}" for email in profile.emails]
    found += [f"phone:{phone}" for phone in profile.phones]
    return found if len(profile.places) < 2 else list(dict.fromkeys(found))


def place_key(place: Place) -> str:
    """A place without its unit."""
    return f"{place.house}|{place.street}|{place.zip}"


# --- the sum --------------------------------------------------------------------------------------------------------------


def score(a: Profile, b: Profile, frequencies: Frequencies) -> Score:
    """The evidence on two customers. Where it is no more than a family's, what their places say is not asked."""
    names, against, is_compatible = compare_names(a.name, b.name, frequencies)
    email, phone = compare_emails(a, b, frequencies), compare_phones(a, b, frequencies)
    born = compare_births(a.born, b.born, frequencies) if a.born and b.born else None
    is_family = against == FIRST_NAMES and _is_family(a.name, b.name, email, phone, born)
    places = None if is_family else compare_places(a, b, frequencies)
    same_house = places is not None and places.words.startswith("same address")
    if (
        against
        and born is not None
        and born.bits > 6
        and same_house
        and any(r.field == "lastName" and r.bits > 0 for r in names)
    ):
        against = ""
    is_exact = is_compatible and not against and _is_by_contact(a, b, email, phone, places)
    total = frequencies.prior.bits
    reasons = [frequencies.prior]
    for reason in (*names, email, phone, places, born):
        if reason is None:
            continue
        words, bits = reason.words, reason.bits
        if same_house and reason.field == "lastName" and bits > 0:
            # In a family the surname comes with the house: together they say little more than the house.
            words, bits = worded(f"{words} (a family at one address)"), bits * FAMILY
        bits = round(bits, 2)
        total += bits
        reasons.append(Reason(reason.field, words, bits))
    return Score(round(total, 2), tuple(reasons), against, is_exact, is_family)


def words(found: Score) -> list[str]:
    """What speaks for the pair and against it, in words, the weightiest first."""
    told = sorted((r for r in found.reasons if r.field != "prior"), key=lambda r: -abs(r.bits))
    return [f"{r.words} ({r.bits:+.1f})" for r in told]


def kept(bits: float) -> float:
    """Bits as they are kept."""
    return max(min(bits, 999.0), -999.0)


FAMILY: Final = 0.5
"""What is left of a surname's bits where the house is the same."""


def _is_by_contact(a: Profile, b: Profile, email: Reason | None, phone: Reason | None, place: Reason | None) -> bool:
    # A mailbox is one person's. A phone may be a house's, where the son leaves out his Jr.
    if email is not None and email.words == SAME_EMAIL:
        return True
    if phone is None or phone.words != SAME_PHONE:
        return False
    return a.name.generation == b.name.generation or (place is not None and place.bits <= 0)


def _is_family(a: Person, b: Person, *own: Reason | None) -> bool:
    # Two names that people are given are no slip of the pen. Of those who share a house and a surname there are more than of all
    # duplicates; somebody would have to say of each couple that they are two.
    return are_of_two(a.first, b.first) and not any(reason is not None and reason.bits > 0 for reason in own)


def are_of_two(a: str, b: str) -> bool:
    """Whether both are names that people are given, and not forms of one."""
    return text.is_given_name(a) and text.is_given_name(b) and _first_level(a, b) == "other"


def incompatible(a: Profile, b: Profile) -> bool:
    """Whether two customers cannot well be one person: other first names, or other generations."""
    if a.born and a.born == b.born and _last_level(a.name.last, b.name.last) in ("same", "like"):
        return False
    _, against = _names(a.name, b.name)
    return bool(against)


# --- names ----------------------------------------------------------------------------------------------------------------

FIRST_NAMES: Final = "the first names do not go together"
GENERATIONS: Final = "father and son: Jr or Sr differs"


@lru_cache(65_536)
def _first_level(a: str, b: str) -> str:
    if a == b:
        return "same"
    if len(a) == 1 or len(b) == 1:
        short, long = (a, b) if len(a) == 1 else (b, a)
        return "initial" if any(full[:1] == short for full in (long, *profiles.canonical_names(long))) else "other"
    if profiles.is_nickname(a, b):
        return "nickname"
    if text.is_given_name(a) and text.is_given_name(b):
        return "other"
    if is_typo(a, b) or _is_typo_of_a_form(a, b) or _is_typo_of_a_form(b, a):
        return "like"
    return "other"


def _is_typo_of_a_form(word: str, name: str) -> bool:
    # Gregoyr is Greg with a slip; but of two names that people are given none is.
    return not text.is_given_name(word) and any(is_typo(word, full) for full in profiles.canonical_names(name))


def is_typo(a: str, b: str) -> bool:
    """Whether one word is the other with a slip of the pen, or two in a long one."""
    longest = max(len(a), len(b))
    if longest < 4:
        return longest == 3 and OSA.distance(a, b) == 1 and sorted(a) == sorted(b)
    distance = OSA.distance(a, b, score_cutoff=2)
    if distance <= 1:
        return True
    return distance == 2 and longest >= 7 and JaroWinkler.similarity(a, b) >= 0.88


@lru_cache(65_536)
def _last_level(a: str, b: str) -> str:
    if not a or not b:
        return "unknown"
    if a == b:
        return "same"
    if is_typo(a, b):
        return "like"
    short, long = (a, b) if len(a) < len(b) else (b, a)
    # Double names: one side tells but one of the two.
    if len(short) >= 4 and (long.startswith(short) or long.endswith(short)):
        return "part"
    return "other"


def _names(a: Person, b: Person) -> tuple[tuple[str, str], str]:
    """The levels of first and last name, and what speaks against them being one person's."""
    if not a.first or not b.first:
        return ("unknown", "unknown"), ""
    against = GENERATIONS if a.generation and b.generation and a.generation != b.generation else ""
    if not a.last or not b.last:
        levels = _one_word(a, b)
        return levels, against or (FIRST_NAMES if levels[0] == "other" else "")
    first, last = _first_level(a.first, b.first), _last_level(a.last, b.last)
    if first in ("other", "initial") or last == "other":
        if a.words == b.words or _swapped(a, b):
            return ("swapped", "swapped"), against
        if first == "other" and last != "other":
            joined_a, joined_b = a.first + "".join(a.middle), b.first + "".join(b.middle)
            if (a.middle and is_typo(joined_a, b.first)) or (b.middle and is_typo(a.first, joined_b)):
                first = "like"
            elif a.first in b.middle or b.first in a.middle:
                first = "middle"
    return (first, last), against or (FIRST_NAMES if first == "other" else "")


def _swapped(a: Person, b: Person) -> bool:
    return (
        _last_level(a.last, b.first) in ("same", "like")
        and _first_level(a.first, b.last)
        in (
            "same",
            "like",
            "nickname",
            "initial",
        )
    ) or (
        _last_level(b.last, a.first) in ("same", "like")
        and _first_level(b.first, a.last)
        in (
            "same",
            "like",
            "nickname",
            "initial",
        )
    )


def _one_word(a: Person, b: Person) -> tuple[str, str]:
    # One side is a single word, which may be either name.
    short, long = (a, b) if not a.last else (b, a)
    if not long.last:
        level = _first_level(short.first, long.first)
        return level, "unknown"
    first, last = _first_level(short.first, long.first), _last_level(short.first, long.last)
    if last in ("same", "like"):
        return "unknown", last
    if first != "other":
        return first, "unknown"
    return "other", "unknown"


def compare_names(a: Person, b: Person, frequencies: Frequencies) -> tuple[list[Reason], str, bool]:
    """What the names say, what speaks against one person, and whether the first names go together."""
    (first, last), against = _names(a, b)
    reasons: list[Reason] = []
    if first == "unknown" and last == "unknown":
        return reasons, against, False
    if first == "swapped":
        bits = min(frequencies.bits("last", name.last) + frequencies.bits("first", name.first) for name in (a, b)) - 4
        reasons.append(Reason("name", "first and last name the other way round", max(bits, 2.0)))
        return reasons, against, not against
    common = min(frequencies.bits("first", a.first), frequencies.bits("first", b.first))
    match first:
        case "same":
            reasons.append(Reason("firstName", f"same first name, {a.first.title()}", common - 0.3))
        case "nickname":
            reasons.append(Reason("firstName", "first names are forms of one", max(common - 3.5, 1.5)))
        case "like":
            reasons.append(Reason("firstName", "first names differ by a typo", max(common - 3.5, 1.5)))
        case "middle":
            reasons.append(Reason("firstName", "one goes by the other's middle name", max(common - 4, 1.0)))
        case "initial":
            reasons.append(Reason("firstName", "same initial", 1.0))
        case "other":
            reasons.append(Reason("firstName", FIRST_NAMES, -5.0))
        case _:
            pass
    if a.middle and b.middle and first in ("same", "nickname", "like"):
        one, other = a.middle[0], b.middle[0]
        if one == other or (one[0] == other[0] and (len(one) == 1 or len(other) == 1)):
            reasons.append(Reason("middleName", "same middle name or initial", 3.0))
        else:
            reasons.append(Reason("middleName", "other middle names", -2.0))
    family = [name.last or name.first for name in (a, b)]
    usual = min(frequencies.bits("last", name) for name in family)
    match last:
        case "same":
            reasons.append(Reason("lastName", f"same last name, {family[0].title()}", usual - 0.2))
        case "like":
            reasons.append(Reason("lastName", "last names differ by a typo", max(usual - 3.5, 1.5)))
        case "part":
            reasons.append(Reason("lastName", "one last name is part of the other", max(usual - 4, 1.5)))
        case "other":
            reasons.append(Reason("lastName", "other last names", -4.0))
        case _:
            pass
    if against == GENERATIONS:
        reasons.append(Reason("generation", GENERATIONS, -6.0))
    is_compatible = not against and first in ("same", "nickname", "like", "initial")
    return reasons, against, is_compatible


# --- contacts -------------------------------------------------------------------------------------------------------------

SAME_EMAIL: Final = "same email"
SAME_PHONE: Final = "same phone"
_OF_EMAILS: Final = {17.0: SAME_EMAIL, 14.0: "emails differ by a typo", 8.0: "same mailbox name elsewhere"}


def compare_emails(a: Profile, b: Profile, frequencies: Frequencies) -> Reason | None:
    """What the emails say; None where a side has none but hubs."""
    hubs = frequencies.hubs
    found = [_email_bits(one, other) for one in a.emails if one not in hubs for other in b.emails if other not in hubs]
    if not found:
        return None
    best = max(found)
    return Reason("email", _OF_EMAILS.get(best, "other emails"), best)


@lru_cache(16_384)
def _email_bits(a: str, b: str) -> float:
    if a == b:
        return 17.0
    (local_a, _, domain_a), (local_b, _, domain_b) = a.partition("@"), b.partition("@")
    if local_a == local_b and len(local_a) >= 4:
        return 14.0 if OSA.distance(domain_a, domain_b, score_cutoff=2) <= 2 else 8.0
    if (
        domain_a == domain_b
        and min(len(local_a), len(local_b)) >= 6
        and OSA.distance(local_a, local_b, score_cutoff=1) <= 1
    ):
        return 14.0
    return -2.0


def compare_phones(a: Profile, b: Profile, frequencies: Frequencies) -> Reason | None:
    """What the phones say; None where a side has none but hubs."""
    best: Reason | None = None
    hubs = frequencies.hubs
    phones_a = [phone for phone in a.phones if phone not in hubs]
    phones_b = [phone for phone in b.phones if phone not in hubs]
    for one in phones_a:
        for other in phones_b:
            if one == other:
                return Reason("phone", SAME_PHONE, 19.0)
            if len(one) == len(other) and OSA.distance(one, other, score_cutoff=1) <= 1:
                best = Reason("phone", "phones differ by a digit", 15.0)
    if best is not None:
        return best
    if a.masks or b.masks:
        shown_a, shown_b = (
            {*masks, *map(profiles.mask_of, phones)} - {""}
            for masks, phones in ((a.masks, phones_a), (b.masks, phones_b))
        )
        if shown_a & shown_b:
            return Reason("phone", "same as far as the masked phone shows", 13.0)
    if (phones_a or a.masks) and (phones_b or b.masks):
        return Reason("phone", "other phones", -1.5)
    return None


# --- places ---------------------------------------------------------------------------------------------------------------


def compare_places(a: Profile, b: Profile, frequencies: Frequencies) -> Reason | None:
    """What the best two addresses say; None where a side has none."""
    best: Reason | None = None
    for one in a.places:
        for other in b.places:
            found = _places(one, other, frequencies)
            if found is not None and (best is None or found.bits > best.bits):
                best = found
    return best


def _places(a: Place, b: Place, frequencies: Frequencies) -> Reason | None:
    same_zip = bool(a.zip) and a.zip == b.zip
    near_zip = same_zip or (
        bool(a.zip and b.zip) and len(a.zip) == len(b.zip) and OSA.distance(a.zip, b.zip, score_cutoff=1) <= 1
    )
    same_city = bool(a.city) and a.city == b.city
    near_city = same_city or (bool(a.city and b.city) and is_typo(a.city, b.city))
    area = 0.0
    if same_zip:
        area = frequencies.bits("zip", a.zip)
    if same_city:
        area = max(area, frequencies.bits("city", a.city))
    if a.street and b.street:
        same_street = a.street == b.street
        near_street = same_street or _near_street(a, b)
        same_house = a.house == b.house
        near_house = same_house or not a.house or not b.house or OSA.distance(a.house, b.house, score_cutoff=1) <= 1
        if near_street and (near_zip or near_city or not (a.zip and b.zip)):
            usual = min(frequencies.bits("place", place_key(a)), frequencies.bits("place", place_key(b)))
            if same_house and a.house:
                other_unit = bool(a.unit and b.unit) and a.unit != b.unit
                if same_street and same_zip and not other_unit:
                    if a.unit == b.unit:
                        return Reason("address", "same address", usual - 0.5)
                    return Reason("address", "same address, a unit is told once", usual - 2)
                if other_unit:
                    return Reason("address", "same house, other units", max(usual - 8, 0.0))
                return Reason("address", "same address but for a typo", max(usual - 3, 2.0))
            if near_house:
                return Reason("address", "same street, house numbers nearly", max(usual - 4.5, 2.0))
            return Reason("address", "same street, other houses", max(area, 0.0) * 0.5)
    if not (a.street and b.street) and (same_zip or same_city):
        return Reason("address", "same town", max(area - 1, 0.0))
    if not (a.street and b.street) and not (a.zip and b.zip) and not (a.city and b.city):
        return None
    if same_zip or same_city:
        return Reason("address", "same town, other streets", max(area - 4, -2.5))
    return Reason("address", "other addresses", -2.5)


def _near_street(a: Place, b: Place) -> bool:
    if is_typo(a.street, b.street):
        return True
    for one, other in ((a.street, b.rest), (a.rest, b.street)):
        if one and other and (one == other or is_typo(one, other)):
            return True
    short, long = sorted((a.street, b.street), key=len)
    return len(short) >= 4 and (long.startswith(short) or JaroWinkler.similarity(a.street, b.street) >= 0.93)


# --- birth dates ----------------------------------------------------------------------------------------------------------


def compare_births(a: str, b: str, frequencies: Frequencies) -> Reason:
    """What the birth dates say, as ISO dates."""
    if a == b:
        return Reason("dateOfBirth", "same birth date", min(frequencies.bits("born", a) - 0.3, 12.0))
    if OSA.distance(a, b, score_cutoff=1) <= 1 or (a[:4] == b[:4] and a[5:7] == b[8:] and a[8:] == b[5:7]):
        return Reason("dateOfBirth", "birth dates differ by a digit, or day and month stand the other way round", 5.0)
    return Reason("dateOfBirth", "other birth dates", -6.0)
