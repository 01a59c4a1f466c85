"""Money: decimals with a currency, at that currency's digits (ISO 4217)."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Final

LIMIT: Final = Decimal(10) ** 14
"""Amounts stay below this in size: fifteen digits before the point and four behind fit the column."""

_NO_DIGITS: Final = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_THREE_DIGITS: Final = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_FOUR_DIGITS: Final = frozenset("CLF UYW".split())
CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN
    BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD
    FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS
    KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
    MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
    USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL
    """.split()
)


def digits(currency: str) -> int:
    """How many digits a currency has behind the point."""
    if currency in _NO_DIGITS:
        return 0
    if currency in _THREE_DIGITS:
        return 3
    return 4 if currency in _FOUR_DIGITS else 2


@cache
def quantum(currency: str) -> Decimal:
    """One of the smallest amount that a currency has digits for."""
    return Decimal(1).scaleb(-digits(currency))


def at_digits(amount: Decimal, currency: str) -> Decimal:
    """The amount at its currency's digits, halves away from zero."""
    return amount.quantize(quantum(currency), ROUND_HALF_UP)


def parse(text: str) -> Decimal | None:
    """A decimal number written with a point, or None when it is not one that money can be.

    No thousands separators, no currency signs, no NaN or infinity, at most four digits behind the point after
    rounding, and below LIMIT in size.
    """
    if "_" in text:
        return None  # Python's way to group digits, nobody else's
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if fits(amount) else None


def fits(amount: Decimal) -> bool:
    """Whether the amount is finite and small enough to be kept."""
    return amount.is_finite() and -LIMIT < amount < LIMIT
