"""Whole columns of texts, emails and phones judged as kit.text judges them one by one.

What is plain is judged column-wise, in polars; whatever is not goes through kit.text, each text once.
"""

# polars' signatures name types of numpy, which is not installed.
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final

import msgspec
import phonenumbers
import polars as pl

from supover.kit import text
from supover.kit.text import Quality

# Letters that Unicode writes in one way only and that go together with none that follows: `clean` leaves such a line as it is,
# unless it has two spaces in a row or some at its ends.
PLAIN: Final = (
    "\\x20-\\x7e\u00a1-\u00ac\u00ae-\u017f\u0180-\u024f\u0400-\u0481\u1ea0-\u1ef9\u3041-\u3096\u30a1-\u30fa"
    "\u4e00-\u9fff\uac00-\ud7a3"
)
ODD: Final = rf"[^{PLAIN}]|  |^ | $"


def told(column: pl.Series) -> pl.Series:
    """The column with null where a cell is empty."""
    return column.set(column == "", None)


def is_silent(column: pl.Series) -> bool:
    """Whether no cell says anything."""
    return column.null_count() == len(column)


def each(column: pl.Series, judge: Callable[[str], str | None]) -> pl.Series:
    """What a function says of each cell, asked once for all that are the same; null stays."""
    if is_silent(column):
        return column
    cells = column.drop_nulls().unique()
    said = pl.Series([judge(cell) for cell in cells.to_list()], dtype=pl.String)
    return column.replace_strict(cells, said, default=None, return_dtype=pl.String)


def only(mask: pl.Series, column: pl.Series) -> pl.Series:
    """The column where `mask` holds, null elsewhere."""
    return pl.select(pl.when(mask).then(column)).to_series().alias(column.name)


def where(
    mask: pl.Series, column: pl.Series, judge: Callable[[str], str | None], otherwise: pl.Series | None = None
) -> pl.Series:
    """What a function says of a column's cells where `mask` holds; elsewhere the column itself, or another."""
    rest = column if otherwise is None else otherwise
    return each(only(mask, column), judge).zip_with(mask, rest).alias(rest.name) if mask.any() else rest


def cleaned(column: pl.Series) -> pl.Series:
    """`text.clean` of each cell; null where nothing is left."""
    odd = column.str.contains(ODD).fill_null(False)
    return told(where(odd, column, text.clean)) if odd.any() else column


def all_cleaned(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame of texts with each column `cleaned`."""
    odd = frame.select(pl.all().str.contains(ODD).any()).row(0) if frame.width else ()
    return pl.DataFrame([cleaned(cells) if found else cells for cells, found in zip(frame, odd, strict=True)])


def is_ascii(column: pl.Series) -> pl.Series:
    """Whether a cell is ASCII; an empty one is."""
    return (column.str.len_bytes() == column.str.len_chars()).fill_null(True)


def folded(column: pl.Series) -> pl.Series:
    """`text.fold` of each cell."""
    plain = is_ascii(column)
    return column.str.to_lowercase() if plain.all() else where(~plain, column, text.fold).str.to_lowercase()


# --- emails --------------------------------------------------------------------------------------------------------------

# A local part that begins with a letter or a digit, and no two dots in a row, as nearly all do.
_PLAIN_EMAIL: Final = r"^[A-Za-z0-9][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$"
_LOCAL_LENGTH: Final = 64


class _DomainFacts(msgspec.Struct, frozen=True):
    """What is so of all plain addresses at a domain. `is_reserved`: whoever is written there has the domain's quality."""

    is_domain: bool
    quality: str
    is_gmail: bool
    is_reserved: bool


@cache
def _probes() -> tuple[str, str]:
    return "lena.m.voss", next(local for local in sorted(text.ODD_LOCALS) if len(local) > 6)


@lru_cache(16_384)
def _domain_facts(domain: str) -> _DomainFacts:
    somebody, nobody = (f"{local}@{domain}" for local in _probes())
    quality = text.email_quality(somebody)
    return _DomainFacts(
        is_domain=text.email_shown(f"a@{domain}") is not None,
        quality=quality,
        is_gmail=text.email_key(somebody) == "lenamvoss@gmail.com",
        is_reserved=text.email_quality(nobody) is quality,
    )


def emails(column: pl.Series) -> pl.DataFrame:
    """Of each clean cell: `shown`, `key` and `quality`, as kit.text has them; `shown` is null where it is no address.

    `key` is null and the quality masked where a real-looking address cannot be one, as contacts judge it.
    """
    frame = pl.DataFrame({"email": column})
    at = pl.col("email")
    frame = frame.with_columns(
        plain=at.str.contains(_PLAIN_EMAIL).fill_null(False) & (at.str.len_bytes() <= text.EMAIL_LENGTH),
        small=at.str.to_lowercase(),
    )
    split = pl.col("small").str.splitn("@", 2).struct
    frame = frame.with_columns(
        local=pl.when("plain").then(split.field("field_0")), domain=pl.when("plain").then(split.field("field_1"))
    )
    domains = frame.get_column("domain").drop_nulls().unique()
    facts = [_domain_facts(domain) for domain in domains.to_list()]
    known = pl.DataFrame(
        {
            "domain": domains,
            "is_domain": pl.Series([f.is_domain for f in facts], dtype=pl.Boolean),
            "of_domain": pl.Series([f.quality for f in facts], dtype=pl.String),
            "is_gmail": pl.Series([f.is_gmail for f in facts], dtype=pl.Boolean),
            "is_reserved": pl.Series([f.is_reserved for f in facts], dtype=pl.Boolean),
        }
    )
    frame = frame.join(known, on="domain", how="left", maintain_order="left").with_columns(
        base=pl.when(pl.col("local").str.contains("+", literal=True))
        .then(pl.col("local").str.replace(r"\+.*$", ""))
        .otherwise("local")
    )
    frame = frame.with_columns(squeezed=pl.col("base").str.replace_all(r"[._-]", ""))
    squeezed = pl.col("squeezed")
    odd = squeezed.is_in(list(_odd_locals())) | squeezed.str.contains("xxx", literal=True)
    frame = frame.with_columns(
        plain=pl.col("plain")
        & pl.col("is_domain").fill_null(False)
        & (pl.col("local").str.len_bytes() <= _LOCAL_LENGTH)
        & (pl.col("is_reserved").fill_null(False) | ~odd.fill_null(False))
    )
    frame = frame.select(
        "email",
        "plain",
        shown=pl.when("plain").then(at),
        key=pl.when(pl.col("plain") & (pl.col("of_domain") == Quality.REAL.value)).then(
            pl.when("is_gmail")
            .then(pl.col("base").str.replace_all(".", "", literal=True) + pl.lit("@gmail.com"))
            .otherwise(pl.col("base") + pl.lit("@") + pl.col("domain"))
        ),
        quality=pl.when("plain").then(pl.col("of_domain")),
    )
    cells = frame.get_column("email")
    odd_cells = cells.is_not_null() & ~frame.get_column("plain")
    return pl.DataFrame(
        [
            where(odd_cells, cells, judge, frame.get_column(name))
            for name, judge in (("shown", text.email_shown), ("key", text.email_key), ("quality", _email_quality))
        ]
    )


def _email_quality(cell: str) -> str:
    quality = text.email_quality(cell)
    return Quality.MASKED if quality is Quality.REAL and text.email_key(cell) is None else quality


@cache
def _odd_locals() -> frozenset[str]:
    return frozenset(re.sub(r"[._-]", "", local) for local in text.ODD_LOCALS)


# --- phones --------------------------------------------------------------------------------------------------------------

_DIALLED: Final = r"^\(?\+?[0-9 ().-]*$"
_PUNCTUATION: Final = r"[ ().-]"
_CODES: Final = sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE), key=len, reverse=True)
_INTERNATIONAL: Final = rf"^\+({'|'.join(_CODES)})([1-9][0-9]{{6,13}})$"
_WITHIN: Final = r"^0?([1-9][0-9]{6,13})$"
_NANP_NATIONAL: Final = r"^1?([2-9][0-9]{9})$"
_NANP_REGIONS: Final = list(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1])
_ONE_DIGIT: Final = f"(?:{'|'.join(f'{d}{{7}}' for d in range(10))})$"
# What people type who do not want to say begins so.
_COUNTED: Final = "^[01]?1234567"


class _Numbers(msgspec.Struct, frozen=True):
    """What of a country's plan tells that phonenumbers takes a number as it stands.

    `prefix` is what it takes off a number's beginning, `abroad` what leads out of the country, and `pattern` the numbers that
    are in use.
    """

    code: str
    lengths: list[int]
    prefix: str | None
    abroad: str | None
    pattern: str


def _numbers(code: int, region: str) -> _Numbers:
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if plan is None or plan.general_desc is None:
        return _Numbers(str(code), [], None, None, "")
    general = plan.general_desc
    return _Numbers(
        str(code),
        list(general.possible_length or ()),
        plan.national_prefix_for_parsing or None,
        plan.international_prefix or None,
        general.national_number_pattern or "",
    )


@cache
def _from_abroad(code: int) -> _Numbers:
    return _numbers(code, phonenumbers.region_code_for_country_code(code))


@cache
def _from_within(country: str) -> _Numbers:
    return _numbers(phonenumbers.country_code_for_region(country), country)


def _has_none_of(number: pl.Expr, prefix: str | None) -> pl.Expr:
    """Whether a number that does not begin with 0 has no prefix that would be taken off it."""
    return pl.lit(True) if prefix in (None, "0") else ~number.str.contains(f"^(?:{prefix})")


def _abroad(code: str, number: pl.Expr) -> pl.Expr:
    """Whether a number behind + and its country's code is taken as it stands: it is of a length that the plan has."""
    if code == "1":
        # North America's numbers are judged by their shape alone.
        return number.str.contains(r"^[2-9][0-9]{9}$")
    plan = _from_abroad(int(code))
    return number.str.len_bytes().is_in(plan.lengths) & _has_none_of(number, plan.prefix)


def _within(country: str, bare: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Whether what is dialled in a country is the number behind the zero, if there is one.

    Neither does it lead out of the country, nor begin with the country's own code; the zero goes where a number in use is left.
    """
    plan = _from_within(country)
    has_zero = bare.str.starts_with("0")
    takes_zero = number.str.contains(f"^(?:{plan.pattern})$") if plan.prefix in _ZERO else pl.lit(False)
    fits = (
        pl.when(has_zero)
        .then(takes_zero)
        .otherwise(_has_none_of(number, plan.prefix) & ~number.str.starts_with(plan.code))
    )
    if plan.abroad is not None:
        fits = fits & ~bare.str.contains(f"^(?:{plan.abroad})")
    return fits & number.str.len_bytes().is_in(plan.lengths) & _abroad(plan.code, number) & ~bare.str.contains(_COUNTED)


_ZERO: Final = frozenset({"0", "0|180020", r"(183[12])|0", r"(1(?:[12]\d|79)\d\d)|0"})
"""Prefixes of plans by which a first zero is taken off, and nothing more."""


def phones(column: pl.Series, countries: pl.Series) -> pl.DataFrame:
    """Of each clean cell, dialled in the country beside it: `e164`, `key` and `quality`, as kit.text has them.

    The quality of a real-looking number that cannot be one is masked, as contacts judge it.
    """
    frame = pl.DataFrame({"phone": column, "country": countries})
    if column.str.contains(r"^\+[0-9]+$").all():
        frame = frame.with_columns(bare="phone")
    else:
        bare = pl.col("phone").str.replace_all(_PUNCTUATION, "")
        frame = frame.with_columns(bare=pl.when(pl.col("phone").str.contains(_DIALLED)).then(bare))
    bare, country = pl.col("bare"), pl.col("country")
    parts = bare.str.extract_groups(_INTERNATIONAL).struct
    frame = frame.with_columns(code=parts.field("1"), abroad=parts.field("2"))
    fits = [
        (pl.col("code") == code) & _abroad(code, pl.col("abroad"))
        for code in frame.get_column("code").drop_nulls().unique().to_list()
    ]
    number = pl.when(pl.any_horizontal(pl.lit(False), *fits)).then(bare)
    left = frame.filter(pl.col("code").is_null() & bare.is_not_null()).get_column("country").drop_nulls().unique()
    if len(left):
        frame = frame.with_columns(within=bare.str.extract(_WITHIN, 1), nanp=bare.str.extract(_NANP_NATIONAL, 1))
        number = pl.coalesce(
            number,
            pl.when(country.is_in(_NANP_REGIONS)).then(pl.lit("+1") + pl.col("nanp")),
            *(
                pl.when((country == one) & _within(one, bare, pl.col("within"))).then(
                    pl.lit(f"+{_from_within(one).code}") + pl.col("within")
                )
                for one in left.to_list()
                if one in phonenumbers.SUPPORTED_REGIONS and one not in _NANP_REGIONS
            ),
        )
    frame = frame.with_columns(number=number)
    number = pl.col("number")
    same = number.str.contains(_ONE_DIGIT)
    relays = [relay.removeprefix("+1") for relay in text.RELAY_NUMBERS]
    digits = bare.str.strip_prefix("+").str.strip_prefix("1").str.slice(0, 10)
    is_relay = number.is_not_null() & digits.is_in(relays)
    frame = frame.select(
        "phone",
        "country",
        plain=number.is_not_null(),
        e164=pl.when(~same).then(number),
        key=pl.when(~same & ~is_relay).then(number),
        quality=pl.when(is_relay)
        .then(pl.lit(Quality.RELAY.value))
        .when(same)
        .then(pl.lit(Quality.PLACEHOLDER.value))
        .when(number.is_not_null())
        .then(pl.lit(Quality.REAL.value)),
    )
    odd = frame.get_column("phone").is_not_null() & ~frame.get_column("plain")
    if not odd.any():
        return frame.select("e164", "key", "quality")
    both = frame.select(pl.col("phone") + "\x1f" + pl.col("country").fill_null("")).to_series()
    return pl.DataFrame([where(odd, both, judge, frame.get_column(name)) for name, judge in _PHONE_JUDGES.items()])


def wrong_phones(column: pl.Series, countries: pl.Series, among: pl.Series) -> pl.Series:
    """Which clean cells of those `among` them `text.phone_is_wrong` takes for no number, dialled in the country beside it."""
    among = among.fill_null(False) & column.is_not_null()
    if not among.any():
        return among
    # One of a usual length may be a number somewhere.
    digits = column.str.count_matches("[0-9]")
    may_be = (
        countries.is_null()
        & digits.is_between(*text.PHONE_DIGITS)
        & ~column.str.contains(r"^[ (]*\+")
        & is_ascii(column)
    )
    asked = among & ~may_be
    both = only(asked, column + "\x1f" + countries.fill_null(""))
    return each(
        both, _with_country(lambda phone, country: "x" if text.phone_is_wrong(phone, country) else None)
    ).is_not_null()


def _with_country(judge: Callable[[str, str | None], str | None]) -> Callable[[str], str | None]:
    def judged(both: str) -> str | None:
        phone, _, country = both.rpartition("\x1f")
        return judge(phone, country or None)

    return judged


def _phone_quality(phone: str, country: str | None) -> str:
    quality = text.phone_quality(phone)
    return Quality.MASKED if quality is Quality.REAL and text.phone_key(phone, country) is None else quality


_PHONE_JUDGES: Final[Mapping[str, Callable[[str], str | None]]] = {
    "e164": _with_country(text.phone_e164),
    "key": _with_country(text.phone_key),
    "quality": _with_country(_phone_quality),
}
