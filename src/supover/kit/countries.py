"""Countries: from what people write to ISO 3166-1 alpha-2. The names stand in data/countries.toml."""

import difflib
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Final

from supover.kit.text import fold

NAME_LENGTH: Final = 100

_NAMES: Final[dict[str, list[str]]] = tomllib.loads(
    (Path(__file__).parent / "data" / "countries.toml").read_text("utf-8")
)
_DROPPED: Final = re.compile(r"[.'’`]+")
_GAPS: Final = re.compile(r"[\W_]+")
_SAME: Final = {" st ": " saint ", " rep ": " republic "}


def _key(name: str) -> str:
    found = f" {_GAPS.sub(' ', _DROPPED.sub('', fold(name)).replace('&', ' and '))} "
    for written, meant in _SAME.items():
        found = found.replace(written, meant)
    return found.strip().removeprefix("the ").removesuffix(" the")


def _codes() -> dict[str, str]:
    found: dict[str, str] = {}
    for code, names in _NAMES.items():
        for name in (code, *names):
            key = _key(name)
            if found.setdefault(key, code) != code:
                raise ValueError(f"{name!r} names both {found[key]} and {code}.")
    return found


_CODES: Final = _codes()


@lru_cache(maxsize=4096)
def code(text: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a country's name or code in any case; None where it cannot be told.

    Knows "EIRE", "RSA", "USA", "UK", "Korea"; not "Channel Islands", "European Community" or "Unspecified".
    """
    return _CODES.get(_key(text)) if len(text) <= NAME_LENGTH else None


_NEAR: Final = 0.85
_LONG: Final = 4
"""Shorter names are too like each other."""


@lru_cache(maxsize=4096)
def meant(text: str) -> str | None:
    """The code of a country whose name this is, or nearly; None for a code, and for what may stand for no country we know."""
    if text.strip().upper() in _NAMES or len(text) > NAME_LENGTH:
        return None
    key = _key(text)
    near = difflib.get_close_matches(key, _CODES, 1, _NEAR) if len(key) >= _LONG else []
    return _CODES.get(key) or (_CODES[near[0]] if near else None)


def name(alpha2: str) -> str | None:
    """A country's English name by its code."""
    names = _NAMES.get(alpha2)
    return names[1] if names else None
