"""What of a customer is compared: names, contacts, places and the birth date, brought to one form.

Pure. Nothing here raises on any text. A name may stand in one field in any order; a place is told by its house, street,
unit, postal code and city, however they are written.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache, lru_cache
from typing import Final
from uuid import UUID

import msgspec
from nicknames import NickNamer

from supover.kit import text

MOST_PLACES: Final = 4
MOST_CONTACTS: Final = 4
"""So many places, emails and phones of one customer are compared; the newest."""
LENGTH: Final = 200


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where somebody lives or receives: each part folded, "" where it is not told.

    `street` has no direction and no word like "street"; `rest` are the other words of the address, a building's name.
    """

    house: str
    street: str
    unit: str
    zip: str
    city: str
    rest: str = ""


class Person(msgspec.Struct, frozen=True, array_like=True):
    """A name: the first word, those in the middle, the last name in one word, and the generation (jr, sr, ii).

    `words` are all of them in the order of the alphabet.
    """

    first: str = ""
    middle: tuple[str, ...] = ()
    last: str = ""
    generation: str = ""
    words: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, array_like=True):
    """One customer as others are compared with."""

    id: UUID
    name: Person = Person()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    born: str = ""


def profile(
    id: UUID,
    name: str | None,
    emails: Sequence[str] = (),
    phones: Sequence[str] = (),
    masked_phones: Sequence[str] = (),
    addresses: Iterable[Sequence[str | None]] = (),
    born: date | None = None,
) -> Profile:
    """A customer's profile; `emails` and `phones` are keys as `kit.text` makes them, an address is line1, line2, city,
    postal code and country."""
    masks = sorted({mask for phone in masked_phones if (mask := phone_mask(phone))}) if masked_phones else ()
    places = [found for one in addresses if (found := place(*one)) is not None]
    if len(places) > 1:
        places = list(dict.fromkeys(places))
    return Profile(
        id,
        person(name or ""),
        tuple(sorted(emails)[:MOST_CONTACTS]) if len(emails) > 1 else tuple(emails),
        tuple(sorted(phones)[:MOST_CONTACTS]) if len(phones) > 1 else tuple(phones),
        tuple(masks[:MOST_CONTACTS]),
        tuple(places[:MOST_PLACES]),
        "" if born is None else born.isoformat(),
    )


# --- names ---------------------------------------------------------------------------------------------------------------

_NOT_A_LETTER: Final = re.compile(r"[\W_]+")
_NOBODY: Final = frozenset(
    "na n/a none null unknown test guest customer buyer anonymous amazon client kunde kundin".split()
)


@lru_cache(16_384)
def _word(raw: str) -> str:
    return _NOT_A_LETTER.sub("", text.fold(raw))


def person(name: str) -> Person:
    """The parts of a full name. Titles and degrees are dropped; of a masked name there is what is seen."""
    if name.isascii() and len(name) < LENGTH:
        # Most names are two or three plain words, and looking closer takes ten times as long.
        words = name.lower().split()
        if 1 < len(words) < 5 and "".join(words).isalpha() and text.ODD_IN_NAMES.isdisjoint(words):
            return Person(words[0], tuple(words[1:-1]), words[-1], "", tuple(sorted(words)))
    return _person(name)


def _person(name: str) -> Person:
    # Of a masked name, "Ava K***", the first word is told.
    name = name.partition("*")[0].rpartition(" ")[0] if "*" in name else name
    if not name:
        return Person()
    first, last = text.split_name(name[:LENGTH])
    words = [found for word in first.split() if (found := _word(word))]
    last_words = [found for word in last.split() if (found := _word(word))]
    family = "".join(last_words)
    if not words:
        words, family = ([family], "") if family else ([], "")
    if not words or (not family and words[0] in _NOBODY):
        return Person()
    return Person(words[0], tuple(words[1:]), family, text.name_suffix(name), tuple(sorted([*words, *last_words])))


@cache
def _nicknames() -> NickNamer:
    return NickNamer()


@lru_cache(65_536)
def canonical_names(first: str) -> tuple[str, ...]:
    """The full names that a first name may be short for, and itself; at most four."""
    return tuple(sorted({first, *_nicknames().canonicals_of(first)} - {""}, key=lambda n: (n == first, n)))[:4]


@lru_cache(65_536)
def is_nickname(a: str, b: str) -> bool:
    """Whether one first name is a short form of the other, or both are of a third."""
    if text.is_same_given_name(a, b):
        return True
    nicknames = _nicknames()
    full_a, full_b = nicknames.canonicals_of(a), nicknames.canonicals_of(b)
    return a in full_b or b in full_a or not full_a.isdisjoint(full_b)


# --- phones --------------------------------------------------------------------------------------------------------------


@lru_cache(16_384)
def phone_mask(raw: str) -> str:
    """What a masked number shows: the area and the last two digits, "" where that is not seen."""
    found = _MASKED.search(raw)
    return f"{found[1]}{found[2]}" if found else ""


def mask_of(phone: str) -> str:
    """What a mask of a North American number in E.164 would show; "" for others."""
    return f"{phone[2:5]}{phone[-2:]}" if phone.startswith("+1") and len(phone) == 12 else ""


_MASKED: Final = re.compile(r"(?<!\d)(\d{3})\D{0,2}[*•…#xX]{3,}\D{0,2}(\d{2})\b")


# --- places --------------------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(r"#|[^\W_]+")
UNITS: Final = frozenset(
    "apt apartment apmnt unit suite ste no number num flat flt fl floor rm room lot villa bldg building shop # "
    "apto wohnung whg top stock".split()
)
STREETS: Final = frozenset(
    "street st str avenue ave av road rd drive dr lane ln court ct circle cir boulevard blvd parkway pkwy place pl way "
    "terrace ter circuit cct crescent cres close cl square sq trail trl highway hwy alley loop row walk grove gr gardens "
    "gdns parade pde mews cove cv rue calle via strasse weg platz allee straat laan".split()
)
DIRECTIONS: Final = frozenset(
    "n s e w ne nw se sw north south east west northeast northwest southeast southwest".split()
)
_SMALL: Final = STREETS | DIRECTIONS | {"#"}
_ZIP_PLUS_4: Final = re.compile(r"(\d{5})-?\d{4}")
_GAPS: Final = re.compile(r"[\W_]+")


def place(
    line1: str | None, line2: str | None, city: str | None, postal_code: str | None, country: str | None = None
) -> Place | None:
    """The parts of an address; None where nothing is told, or it is masked."""
    if line1 and "*" in line1:
        line1 = None
    house, street, unit, rest = _lines(line1 or "", line2 or "")
    found = Place(house, street, unit, _zip(postal_code or "", country or ""), _town(city or ""), rest)
    return found if found.street or found.zip or found.city or found.house else None


@lru_cache(16_384)
def _town(city: str) -> str:
    return "" if "*" in city else _GAPS.sub("", text.fold(city[:LENGTH]))


@lru_cache(16_384)
def _zip(postal_code: str, country: str) -> str:
    found = _ZIP_PLUS_4.fullmatch(postal_code.strip()) if country in ("", "US") else None
    return found[1] if found else _GAPS.sub("", text.fold(postal_code[:LENGTH]))


def _lines(line1: str, line2: str) -> tuple[str, str, str, str]:
    """House, street, unit and the other words of the two lines."""
    one = _TOKEN.findall(_folded(line1)) if line1 else []
    two = _TOKEN.findall(_folded(line2)) if line2 else []
    unit, one = _unit(one)
    house, one = _house(one)
    if two:
        if not unit:
            unit, two = _unit(two)
        if not house:
            house, two = _house(two)
        if not unit and len(two) == 1 and (two[0][0].isdigit() or len(two[0]) == 1):
            unit, two = two[0], []
    street = _street(one)
    if not two:
        return house, street, unit, ""
    rest = _street(two)
    return (house, street, unit, rest) if street else (house, rest, unit, "")


def _folded(line: str) -> str:
    return line[:LENGTH].lower() if line.isascii() else text.fold(line[:LENGTH])


def _unit(tokens: list[str]) -> tuple[str, list[str]]:
    # "Apt 4b", "# 12", "Suite B": the word and what follows it.
    if UNITS.isdisjoint(tokens):
        return "", tokens
    for at, token in enumerate(tokens):
        if token in UNITS:
            end = at + 1
            while end < len(tokens) and tokens[end] in UNITS:
                end += 1
            if end < len(tokens) and (len(tokens[end]) == 1 or any(letter.isdigit() for letter in tokens[end])):
                return tokens[end], tokens[:at] + tokens[end + 1 :]
    return "", tokens


def _house(tokens: list[str]) -> tuple[str, list[str]]:
    # The first number: before the street's name in most countries, behind it in others.
    if tokens and tokens[0][0].isdigit():
        return tokens[0], tokens[1:]
    for at, token in enumerate(tokens):
        if token[0].isdigit() and not (at and token[-2:] in ("st", "nd", "rd", "th")):
            return token, tokens[:at] + tokens[at + 1 :]
    return "", tokens


def _street(tokens: list[str]) -> str:
    named = [word for word in tokens if word not in _SMALL]
    return "".join(named) or "".join([word for word in tokens if word != "#"])
