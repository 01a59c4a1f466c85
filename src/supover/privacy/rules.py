"""How a person is looked for in texts, without reading or writing anything."""

import json
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
import phonenumbers

from supover.kit.text import fold

LEAST: Final = 6
"""Shorter texts stand everywhere."""
LEAST_DIGITS: Final = 8
_APART: Final = str.maketrans("", "", " ().-/+")


class Needles(msgspec.Struct, frozen=True):
    """What a person is looked for by, as patterns of LIKE, in lower case; `bare` for texts without what sets numbers apart."""

    texts: Sequence[str]
    bare: Sequence[str]

    def within(self, text: str) -> bool:
        """Whether a text in lower case says one of these."""
        bare = text.translate(_APART)
        return any(_plain(n) in text for n in self.texts) or any(_plain(n) in bare for n in self.bare)


def needles(texts: Iterable[str], phones: Iterable[str]) -> Needles:
    """What emails, names and lines of addresses, and phones in E.164 or as written, are looked for by."""
    found: dict[str, None] = {}
    for text in texts:
        clean = " ".join(text.split())
        if len(clean) < LEAST:
            continue
        folded = fold(clean)
        for spelled in dict.fromkeys((clean, folded, *_parted(clean), *_parted(folded))):
            for one in {
                spelled.lower(),
                _escaped(spelled),
                _escaped(spelled.upper()),
                _octets(spelled),
                _octets(spelled.upper()),
            }:
                found[f"%{_literal(one)}%"] = None
            found[f"%{_literal(quote(spelled, safe='').lower())}%"] = None
    bare: dict[str, None] = {}
    for phone in phones:
        digits = phone.translate(_APART)
        for one in (digits, _national(phone)):
            if one and len(one) >= LEAST_DIGITS and one.isdigit():
                bare[f"%{one}%"] = None
    return Needles(list(found), list(bare))


def spelled(phones: Iterable[str]) -> list[str]:
    """Patterns of phones as they were written, for masking them in a text."""
    return [f"%{_literal(phone.lower())}%" for phone in phones if len(phone.translate(_APART)) >= LEAST_DIGITS]


def _parted(text: str) -> tuple[str, ...]:
    """A full name as the cells of a row have it."""
    first, blank, last = text.rpartition(" ")
    return (f"{first},{last}", f"{last},{first}", f"{last}, {first}") if blank and "@" not in text else ()


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1].lower().replace("\\", "\\\\")


def _octets(text: str) -> str:
    """As encode(…, 'escape') shows a text's bytes, in lower case."""
    return "".join(chr(b) if b < 128 else f"\\{b:03o}" for b in text.lower().encode())


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _plain(pattern: str) -> str:
    return pattern[1:-1].replace("\\%", "%").replace("\\_", "_").replace("\\\\", "\\")


def _national(phone: str) -> str | None:
    try:
        return str(phonenumbers.parse(phone).national_number)
    except phonenumbers.NumberParseException:
        return None
