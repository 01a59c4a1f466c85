"""Sentences that rooms say in English with their values in them, found again by their form, to be told in any language.

The catalogue has each with numbered places: what a room says as `can have at most 10 tags` is its `can have at most %(1)s tags`.
So nothing has to travel with a sentence: not through errors and events, and not through the database, which keeps some for years.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Final

from supover.segments import rules as segments

COUNTRY: Final = "country"
"""The place where a country's English name stands."""
NUMBER: Final = re.compile(r"\d{1,3}(,\d{3})+")
_PLACE: Final = re.compile(r"%\((\d+|country)\)s")
_NEXT: Final = re.compile(r"; (?=[\w.]+: )")
"""What parts the errors of several fields of a row."""
_SPLIT: Final = re.compile(r"(%\((?:\d+|country)\)s)")
_VALUE: Final = r"(?:(?!; [\w.]+: ).)+?"
_FIELD: Final = re.compile(r"([\w.]+: )(.+)", re.DOTALL)

LONGEST: Final = 1_000
"""What is longer is told as it is: much of it comes from whoever sent a file or a form."""
DEEPEST: Final = 6
"""So often a value holds a sentence, with the field that is named before it: a row's error, its hint, and what that hints at."""

DECODED: Final = (
    "expected `%(1)s`, got `%(2)s`",
    "expected `%(1)s`",
    "expected `%(1)s` %(2)s",
    "expected `%(1)s` of length %(2)s",
    "expected `%(1)s` matching regex %(2)s",
    "invalid enum value %(1)s",
    "invalid UUID",
    "invalid RFC3339 encoded date",
    "invalid RFC3339 encoded datetime",
    "invalid decimal string",
    "integer value out of range",
    "number out of range",
)
"""What the decoder says of values, as `from_library` tells it."""

BUILT_IN: Final = frozenset(text for one in segments.BUILT_IN for text in (one.name, one.description))
"""What built-in segments are called and say of themselves, as long as nobody has renamed them."""

Forms = tuple[tuple[str, re.Pattern[str]], ...]
Found = tuple[str, Mapping[str, str]]


def forms(sentences: Collection[str]) -> Forms:
    """The forms of those sentences that have numbered places, the plainest first: of two that fit it says more."""
    found = sorted((one for one in sentences if _PLACE.search(one)), key=lambda one: (-len(_PLACE.sub("", one)), one))
    # What another sentence may go on with: `; did you mean %(1)s?`.
    tails = "|".join(_PLACE.sub(".+", _escaped(one)) for one in found if not one[0].isalnum() and one[0] != "%")
    return tuple((one, _form(one, tails)) for one in found)


def _form(sentence: str, tails: str) -> re.Pattern[str]:
    before, *rest = _PLACE.split(sentence)
    form = _escaped(before)
    for at in range(0, len(rest), 2):
        name, text = rest[at : at + 2]
        # A value stands by itself, and holds no error of another field; what is hung on may be missing.
        value = f"(?:{tails})?" if before[-1:].isalnum() or before[-1:] == "." or (form and not before) else _VALUE
        place = f"(?P<{_group(name)}>{value}){_escaped(text)}"
        # It ends where the sentence first goes on, and is not tried at length with all ends of all others.
        form += f"(?>{place})" if text and at + 2 < len(rest) else place
        before = text
    return re.compile(form, re.DOTALL)


def _escaped(text: str) -> str:
    return "".join(part if n % 2 else re.escape(part.replace("%%", "%")) for n, part in enumerate(_SPLIT.split(text)))


def _group(name: str) -> str:
    return f"n{name}" if name.isdigit() else name


@lru_cache(maxsize=4096)
def found(text: str, known: Forms) -> Found | None:
    """The sentence that a text is, and its values by their places."""
    for sentence, form in known:
        if match := form.fullmatch(text):
            return sentence, {name.removeprefix("n"): value for name, value in match.groupdict().items()}
    return None


def part_by_part(text: str, tell: Callable[[str], str]) -> str:
    """What is said of several fields, or of one that is named before it: `name: is required; tags: can be at most 250`."""
    parts = _NEXT.split(text)
    if len(parts) > 1:
        return "; ".join(tell(part) for part in parts)
    named = _FIELD.fullmatch(text)
    return named[1] + tell(named[2]) if named else text
