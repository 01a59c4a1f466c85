"""Amounts as people write them in files: a point or a comma before the decimals, thousands apart, a currency beside.

1,234 can be two amounts. Which of them a file means, all of its amounts tell together (`marks`); where they do not, it is
refused: money is not guessed.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal

import msgspec

from supover.kit import money
from supover.kit.problems import worded

Mark = Literal[".", ","]
"""What stands before the decimals."""

_SHOWN: Final = 40
_BY_COMMA: Final[frozenset[Mark]] = frozenset({","})
_GROUPS: Final[Mapping[Mark, Mark]] = {".": ",", ",": "."}


class Amount(msgspec.Struct, frozen=True):
    """An amount, and what it can be of where a currency stands beside it."""

    value: Decimal
    currencies: frozenset[str] | None = None


_DOLLARS: Final = frozenset(
    "ARS AUD BBD BMD BND BSD BZD CAD CLP COP FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD USD UYU XCD".split()
)
_SIGNS: Final[Mapping[str, frozenset[str]]] = {
    **{code.lower(): frozenset({code}) for code in money.CURRENCIES},
    **{sign: frozenset(codes.split()) for sign, codes in {
        "€": "EUR", "£": "EGP FKP GBP GIP LBP SDG SHP SSP SYP", "¥": "CNY JPY", "￥": "CNY JPY", "元": "CNY", "円": "JPY", "₫": "VND",
        "đ": "VND", "₩": "KPW KRW", "₹": "INR", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "฿": "THB", "₱": "PHP", "₦": "NGN",
        "zł": "PLN", "kč": "CZK", "kr": "DKK ISK NOK SEK", "kr.": "DKK ISK NOK SEK", "ft": "HUF", "lei": "MDL RON", "r$": "BRL",
        "rm": "MYR", "rp": "IDR", "us$": "USD", "a$": "AUD", "c$": "CAD", "ca$": "CAD", "hk$": "HKD", "nz$": "NZD", "s$": "SGD",
        "nt$": "TWD", "fr.": "CHF",
    }.items()},
    "$": _DOLLARS,
}  # fmt: skip
_PARTS: Final = re.compile(
    r"([-+]?)([^\d\s.,+-][^\d\s,+-]*)? ?([-+]?)(\d[\d., ']*\d|\d|[.,]\d+) ?([^\d\s.,+-][^\d\s,]*)?", re.ASCII
)
_SAME: Final = str.maketrans({"\xa0": " ", "\u2009": " ", "\u202f": " ", "\u2019": "'", "\u2212": "-"})
_PLAIN: Final = re.compile(r"-?\d+(?:,\d+)?", re.ASCII)
"""Nearly all of a file with commas, which take a shorter way."""
_WRITTEN: Final[Mapping[Mark, re.Pattern[str]]] = {
    mark: re.compile(
        rf"(\d*|[1-9]\d{{0,2}}(?:([{group} '])\d{{3}})(?:\2\d{{3}})*)(?:{re.escape(mark)}(\d+))?", re.ASCII
    )
    for mark, group in _GROUPS.items()
}


def marks(cells: Iterable[str]) -> frozenset[Mark]:
    """What stands before the decimals in those amounts that can be read in one way alone; both where a file has both."""
    return frozenset(mark for cell in cells if (mark := _told_by(cell)) is not None)


def read(cell: str, told: frozenset[Mark]) -> Amount | None:
    """An amount as a file with these marks means it; None where it is none, or could be another one.

    What `money.parse` reads stays what it is, unless the file has commas before the decimals.
    """
    if told != _BY_COMMA and (plain := money.parse(cell)) is not None:
        return None if len(told) > 1 and _told_by(cell) is None and "." in cell else Amount(plain)
    if told == _BY_COMMA and _PLAIN.fullmatch(cell) and (plain := money.parse(cell.replace(",", "."))) is not None:
        return Amount(plain)
    if len(told) == 1:
        [mark] = told
        return _read(cell, mark)
    # Without decimals and thousands it is the same either way.
    found, other = _read(cell, "."), _read(cell, ",")
    return found if found == other else None


def why_not(cell: str, told: frozenset[Mark]) -> tuple[str, str]:
    """Why `read` refuses a cell: a code for programs, and a sentence."""
    shown = repr(cell[:_SHOWN])
    if told == _BY_COMMA:
        return "number", worded(f"{shown} is not an amount like 1234,56, as the file has them")
    if len(told) > 1 and (_read(cell, ".") or _read(cell, ",")):
        return "ambiguous", worded(
            f"{shown} is not clear: the file has points and commas before the decimals; write all amounts like 1234.56"
        )
    if not told and _read(cell, ".") and _read(cell, ","):
        return "ambiguous", worded(
            f"{shown} can be two amounts, and the file does not tell which: write it like 1234.56"
        )
    return "number", worded(f"{shown} is not an amount like 1234.56")


def _told_by(cell: str) -> Mark | None:
    if cell.isdecimal() or not ("." in cell or "," in cell):
        return None
    with_point, with_comma = _read(cell, ".") is not None, _read(cell, ",") is not None
    if with_point == with_comma:
        return None
    return "." if with_point else ","


def _read(cell: str, mark: Mark) -> Amount | None:
    """The amount, if this is what stands before the decimals."""
    parts = _PARTS.fullmatch(cell.translate(_SAME).strip())
    if parts is None:
        return None
    minus, before, inner, number, after = parts.groups()
    written = _WRITTEN[mark].fullmatch(number)
    if written is None or (before and after) or (minus and inner):
        return None
    beside = before or after
    currencies = _SIGNS.get(beside.lower()) if beside else None
    if beside and currencies is None:
        return None
    whole = re.sub(r"\D", "", written[1])
    value = Decimal(f"{minus or inner}{whole or '0'}.{written[3] or '0'}")
    return Amount(value, currencies) if money.fits(value) else None
