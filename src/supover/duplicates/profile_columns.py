# polars names numpy in its types, which is not installed.
# pyright: reportUnknownMemberType=false
"""Profiles of thousands of customers at once, column by column: the short way of `profiles` for those who are like most.

Most are a first and a last name in plain letters with a contact or two and an address that begins with its house. They come
out as `profiles`, `scoring.terms` and `blocking.keys` make them, in a tenth of the time; everybody else goes through those.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import polars as pl

from supover.duplicates import profiles
from supover.kit import text

TOLD: Final = {
    "id": pl.String,
    "name": pl.String,
    "emails": pl.String,
    "phones": pl.String,
    "masked": pl.String,
    "places": pl.String,
    "born": pl.String,
    "source_hash": pl.Int64,
}
"""The columns of customers as they are asked for."""
MADE: Final = {"id": pl.String, "source_hash": pl.Int64, "profile": pl.String, "terms": pl.String, "blocks": pl.String}
"""The columns of what is kept of them; terms and blocks are joined by the character 31."""

Made = Sequence[tuple[Any, ...]]


def made(csv: bytes, one_by_one: Callable[[Iterable[tuple[Any, ...]]], Made]) -> tuple[bytes, int]:
    """What is kept of customers, as CSV, and of how many; `one_by_one` makes it of those who are not like most."""
    if not csv:
        return b"", 0
    told = _parted(pl.read_csv(csv, has_header=False, schema=TOLD))
    plain = told.filter(pl.col("is_plain"))
    odd = told.filter(~pl.col("is_plain")).select(*TOLD)
    found = pl.concat(
        [_plain(plain), pl.DataFrame(one_by_one(odd.iter_rows()), schema=MADE, orient="row")], rechunk=False
    )
    return found.write_csv(include_header=False).encode(), found.height


# --- who is like most ------------------------------------------------------------------------------------------------------

_NAME: Final = r"^[A-Za-z]+ [A-Za-z]+$"
_EMAIL: Final = r"^[!#-\[\]-~]+$"
_PHONE: Final = r"^\+[0-9]+$"
_PLACE: Final = (
    r"^(?P<house>[0-9][0-9a-z]*) (?P<street>[a-z]+(?: [a-z]+)*)\x1f\x1f(?P<city>[a-z .'-]*)"
    r"\x1f(?P<zip>(?:[0-9a-z][0-9a-z -]*)?)\x1f(?P<country>[a-z]*)$"
)
"""In small letters: the house, the street, nothing in the second line, the city, the postal code and the country."""


def _any_of(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(sorted(re.escape(word) for word in words if word.isalpha()))})\b"


_UNIT: Final = _any_of(profiles.UNITS)
_SMALL: Final = _any_of(profiles.STREETS | profiles.DIRECTIONS)


def _parted(told: pl.DataFrame) -> pl.DataFrame:
    """Names and places in their parts, and whether all of it is plain."""
    column = pl.col
    name = column("name").str.to_lowercase().str.splitn(" ", 2)
    split = (
        told.lazy()
        .with_columns(
            name.struct.field("field_0").alias("first"),
            name.struct.field("field_1").alias("last"),
            column("places").str.to_lowercase().str.extract_groups(_PLACE).alias("place"),
        )
        .unnest("place")
    )
    is_plain = (
        column("name").str.contains(_NAME)
        & (column("name").str.len_bytes() < profiles.LENGTH)
        & ~column("first").is_in(list(text.ODD_IN_NAMES))
        & ~column("last").is_in(list(text.ODD_IN_NAMES))
        & _nothing_or(column("emails"), _EMAIL)
        & _nothing_or(column("phones"), _PHONE)
        & column("masked").is_null()
        & column("born").is_null()
        & (
            column("places").is_null()
            | (column("places").str.len_bytes() < profiles.LENGTH) & column("house").is_not_null()
        )
        & ~column("street").str.contains(_UNIT).fill_null(value=False)
    )
    return split.with_columns(is_plain.fill_null(value=False).alias("is_plain")).collect()


def _nothing_or(column: pl.Expr, pattern: str) -> pl.Expr:
    return column.is_null() | column.str.contains(pattern)


# --- what is kept of them --------------------------------------------------------------------------------------------------


def _plain(told: pl.DataFrame) -> pl.DataFrame:
    column = pl.col
    first, last, email, phone = column("first"), column("last"), column("emails"), column("phones")
    house, street, city, zip = column("house"), column("street"), column("city"), column("zip")
    is_swapped = first >= last
    kept = told.lazy().with_columns(
        _said(_street(street)).alias("street"),
        _said(city.str.replace_all(r"[^a-z]", "")).alias("city"),
        _said(_zip(zip, column("country"))).alias("zip"),
        pl.when(phone.str.starts_with("+1") & (phone.str.len_bytes() == 12))
        .then(phone.str.slice(2, 3) + phone.str.tail(2))
        .alias("mask"),
        email.str.extract(r"^([^@]*)", 1).alias("local"),
        pl.when(is_swapped).then(last).otherwise(first).alias("one"),
        pl.when(is_swapped).then(first).otherwise(last).alias("other"),
        *_full_names(told["first"].unique()),
    )
    both = pl.format("{}|{}", column("one"), column("other"))
    place = pl.when(house.is_not_null()).then(
        pl.format('["{}","{}","","{}","{}",""]', house, street, zip.fill_null(""), city.fill_null(""))
    )
    profile = pl.format(
        '["{}",["{}",[],"{}","",["{}","{}"]],[{}],[{}],[],[{}],""]',
        column("id"), first, last, column("one"), column("other"), _quoted(email), _quoted(phone), place.fill_null(""),
    )  # fmt: skip
    terms = [
        pl.format("first:{}", first), pl.format("last:{}", last), pl.format("zip:{}", zip), pl.format("city:{}", city),
        pl.format("place:{}|{}|{}", house, street, zip.fill_null("")), pl.format("email:{}", email), pl.format("phone:{}", phone),
    ]  # fmt: skip
    blocks = [
        pl.format("E{}", email), pl.format("L{}|{}", column("local"), last),
        pl.format("P{}", phone), pl.format("7{}|{}", phone.str.tail(7), last), pl.format("M{}|{}|{}", column("mask"), first, last),
        pl.format("w{}|{}", zip, last), pl.format("i{}|{}|{}", zip, house, first.str.head(1)), pl.format("h{}|{}|{}", zip, house, last),
        pl.format("f{}|{}|{}", zip, street, first), pl.format("N{}|{}", zip, both),
        *(pl.format("c{}|{}|{}", zip, column(f"full{n}"), last) for n in range(4)),
        pl.format("s{}|{}|{}", house, street, last), pl.format("a{}|{}", house, street),
        pl.format("k{}|{}", city, last), pl.format("T{}|{}", city, both),
    ]  # fmt: skip
    return kept.select(
        "id",
        "source_hash",
        profile.alias("profile"),
        pl.concat_str(terms, separator="\x1f", ignore_nulls=True).alias("terms"),
        pl.concat_str(blocks, separator="\x1f", ignore_nulls=True).alias("blocks"),
    ).collect()


def _said(column: pl.Expr) -> pl.Expr:
    return pl.when(column != "").then(column)


def _quoted(column: pl.Expr) -> pl.Expr:
    return pl.format('"{}"', column).fill_null("")


def _street(column: pl.Expr) -> pl.Expr:
    # Where all of it are words like "street" they are the name.
    named = column.str.replace_all(_SMALL, "").str.replace_all(" ", "", literal=True)
    return pl.when(named != "").then(named).otherwise(column.str.replace_all(" ", "", literal=True))


def _zip(column: pl.Expr, country: pl.Expr) -> pl.Expr:
    is_plus_4 = country.is_in(["", "us"]) & column.str.strip_chars().str.contains(r"^[0-9]{5}-?[0-9]{4}$")
    return pl.when(is_plus_4).then(column.str.head(5)).otherwise(column.str.replace_all(r"[ -]", ""))


def _full_names(firsts: pl.Series) -> list[pl.Expr]:
    """Columns of what the first names may be short for."""
    known = {first: profiles.canonical_names(first) for first in firsts.to_list()}
    return [
        pl.col("first")
        .replace_strict(
            {first: full[n] if n < len(full) else None for first, full in known.items()}, return_dtype=pl.String
        )
        .alias(f"full{n}")
        for n in range(4)
    ]
