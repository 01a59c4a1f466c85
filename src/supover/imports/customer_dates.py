"""Dates of birth as files write them."""

import re
from datetime import date
from typing import Final, Literal

from supover.kit import text

_YEAR_FIRST: Final = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[T ]\d{1,2}:\d{2}.*)?", re.ASCII)
_NUMBERS: Final = re.compile(r"(\d{1,2})\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{4})(?:,? \d{1,2}:\d{2}.*)?", re.ASCII)
_DAY_FIRST: Final = re.compile(
    r"(?:\w+,? )?(\d{1,2})(?:st|nd|rd|th|er|\.|º)?[ -]?(?:de )?([a-z]+)\.?,?[ -]?(?:de |del )?(\d{4})", re.ASCII
)
_MONTH_FIRST: Final = re.compile(r"(?:\w+,? )?([a-z]+)\.?[ -](\d{1,2})(?:st|nd|rd|th)?,?[ -](\d{4})", re.ASCII)
_VIETNAMESE: Final = re.compile(r"(?:ngay )?(\d{1,2}) thang (\d{1,2})(?:,)? nam (\d{4})", re.ASCII)

_MONTHS: Final = """
    january jan januar janner janvier janv enero ene
    february feb februar febr fevrier fevr febrero
    march mar marz maerz mars marzo mrz
    april apr avril avr abril abr
    may mai mayo
    june jun juni juin junio
    july jul juli juillet juil julio
    august aug aout agosto ago
    september sep sept septembre septiembre
    october oct oktober okt octobre octubre
    november nov novembre noviembre
    december dec dezember dez decembre diciembre dic"""
_MONTH: Final = {word: n for n, line in enumerate(_MONTHS.strip().splitlines(), 1) for word in line.split()}

AMBIGUOUS: Final = "ambiguous"


def birth_date(cell: str, order: Literal["DMY", "MDY"] | None) -> str | None:
    """A date as YYYY-MM-DD; "" where the cell says that there is none, AMBIGUOUS where it could be two days, None if unreadable.

    The year has four digits, and stands first or last. Numbers with points between are day, month, year; with slashes or dashes
    the order must show, or be told. Months may have English, German, French or Spanish names.
    """
    if set(cell) <= set("0-/. :T"):
        return ""
    if (found := _YEAR_FIRST.fullmatch(cell)) and (found[2] or len(found[3] + found[4]) == 4):
        return _day(found[1], found[3], found[4])
    if found := _NUMBERS.fullmatch(cell):
        return _ordered(found[1], found[3], found[4], order or ("DMY" if found[2] == "." else None))
    word = text.fold(cell)
    if found := _VIETNAMESE.fullmatch(word):
        return _day(found[3], found[2], found[1])
    if (found := _DAY_FIRST.fullmatch(word)) and found[2] in _MONTH:
        return _day(found[3], str(_MONTH[found[2]]), found[1])
    if (found := _MONTH_FIRST.fullmatch(word)) and found[1] in _MONTH:
        return _day(found[3], str(_MONTH[found[1]]), found[2])
    return None


def _ordered(a: str, b: str, year: str, order: Literal["DMY", "MDY"] | None) -> str | None:
    if order is None:
        if int(a) <= 12 and int(b) <= 12 and int(a) != int(b):
            return AMBIGUOUS
        order = "DMY" if int(a) > 12 or int(a) == int(b) else "MDY"
    return _day(year, b, a) if order == "DMY" else _day(year, a, b)


def _day(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
