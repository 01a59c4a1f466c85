"""What counts as the same text: names, email addresses and phone numbers as people write them, brought to one form.

Pure. Nothing here raises on any text, and all of it takes time in proportion to the text's length, whatever it holds.
Which domains are relays and which words are placeholders stands in data/contacts.toml, short forms of first names in
data/names.toml.
"""

import re
import tomllib
import unicodedata
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

import idna
import msgspec
import phonenumbers
from phonenumbers import PhoneNumber, ValidationResult

EMAIL_LENGTH: Final = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
PHONE_LENGTH: Final = 64


class Quality(StrEnum):
    """Whose contact this is. Only a real one matches or merges customers."""

    REAL = "real"
    RELAY = "relay"
    MASKED = "masked"
    PLACEHOLDER = "placeholder"


class Compatibility(StrEnum):
    """Whether two first names can be one person's. UNKNOWN: at least one side does not say."""

    COMPATIBLE = "compatible"
    INCOMPATIBLE = "incompatible"
    UNKNOWN = "unknown"


class _Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    domains: frozenset[str]
    every_country: frozenset[str]
    only_below: frozenset[str]


class _Placeholder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    locals: frozenset[str]
    domains: frozenset[str]
    addresses: frozenset[str]
    never_domains: frozenset[str]


class _Phone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    relays: frozenset[str]
    placeholders: frozenset[str]


class _Contacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    relay: _Relay
    placeholder: _Placeholder
    phone: _Phone


class _Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    same: tuple[str, ...]
    others: str
    titles: frozenset[str]
    degrees: frozenset[str]
    generations: tuple[str, ...]
    particles: frozenset[str]


_DATA: Final = Path(__file__).parent / "data"
_CONTACTS: Final = msgspec.convert(tomllib.loads((_DATA / "contacts.toml").read_text("utf-8")), _Contacts)
_NAMES: Final = msgspec.convert(tomllib.loads((_DATA / "names.toml").read_text("utf-8")), _Names)


# --- text ---

# Control characters that are not white space, lone surrogates (PostgreSQL cannot hold them, nor NUL), and what is seen
# by nobody: the zero-width space, word joiner and byte order mark, and the marks that turn the direction of writing,
# by which one name can be made to look like another. The zero-width joiners stay: Persian and Hindi spell with them.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ud800-\udfff]"
)
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_SPACES: Final = re.compile(r"[ \t\x0b\x0c\x1c-\x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_LINES: Final = re.compile(r" ?(?:\r\n|[\n\r\x85\u2028\u2029]) ?")

# Letters that are letters of their own to Unicode and a letter with something on it to everybody else.
_LOOKALIKES: Final = """
    æae œoe þth ßss ςσ đd ðd ħh ıi ĸq łl ŋn øo ŧt ƀb ɓb ƈc ɖd ɗd ƌd ɛe ƒf ɠg ƙk ƚl ɲn ɨi ƞn ƥp ƭt ʈt ʋv ƴy ƶz ǥg ȥz ɵo
    ỻll ỽv ỿy ẜs ẝs ’' ‘' ‛' ʼ' ʹ' ʻ' ʽ' ‐- ‑- ‒- –- —- −-"""
_LETTERS: Final = str.maketrans({pair[0]: pair[1:] for pair in _LOOKALIKES.split()})


def fold(text: str) -> str:
    """The text in lower case and without accents, for comparing names; idempotent.

    As PostgreSQL's `lower(unaccent(text))` for Latin and Greek; Cyrillic and other letters lose their accents too.
    """
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", _streamable(_ACCENTS.sub("", text))))
    return unicodedata.normalize("NFC", lower(bare).translate(_LETTERS))


def clean(text: str) -> str:
    """The text on one line as it is kept: NFC, nothing unseen in it, single spaces, none at the ends; idempotent."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return " ".join(unicodedata.normalize("NFC", _streamable(_UNSEEN.sub("", text))).split())


def clean_lines(text: str) -> str:
    """As `clean`, but line breaks stay, each a newline, and so do empty lines within; idempotent."""
    seen = unicodedata.normalize("NFC", _streamable(_UNSEEN.sub("", text)))
    return _LINES.sub("\n", _SPACES.sub(" ", seen)).strip(" \n")


def lower(text: str) -> str:
    """In small letters, letter by letter as PostgreSQL: `str.lower` turns a sigma by its place in the word, and İ into two."""
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def listed(text: str) -> list[str]:
    """What stands between commas, without the space around it; what is blank is left out."""
    return [one.strip() for one in text.split(",") if one.strip()]


def _streamable(text: str) -> str:
    # Python sorts a run of combining marks by insertion, so 40,000 of them take a second. No language writes more
    # than a few; Unicode's Stream-Safe Text Format (UAX 15) allows 30.
    if len(text) < 256:
        return text
    kept: list[str] = []
    run = 0
    for letter in text:
        run = run + 1 if unicodedata.combining(letter) else 0
        if run <= 30:
            kept.append(letter)
    return "".join(kept)


# --- email ---

_LOCAL: Final = re.compile(r"""[^\s@"(),:;<>\[\]\\\x00-\x20\x7f]{1,64}""")
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])\Z"
)
_X_ONLY: Final = re.compile(r"x{3,}|[a-z]x{4,}[a-z]?")


class _Domain(msgspec.Struct, frozen=True):
    # The domain as DNS has it, empty where it cannot be one, and what all addresses there are.
    ascii: str
    quality: Quality
    is_gmail: bool = False
    is_reserved: bool = False


_NO_DOMAIN: Final = _Domain("", Quality.PLACEHOLDER)
_EVERY_COUNTRY: Final = tuple(f".{start}." for start in _CONTACTS.relay.every_country)
_PLACEHOLDER_STARTS: Final = frozenset(address.partition("@")[0] for address in _CONTACTS.placeholder.addresses)
ODD_LOCALS: Final = _CONTACTS.placeholder.locals | _PLACEHOLDER_STARTS
"""Small local parts, without dots, hyphens and underscores, that may make an address nobody's own at a domain that is."""


def email_shown(raw: str) -> str | None:
    """The address as it is kept and written to: trimmed, its case as given; None where it cannot be one.

    Local parts are judged gently (providers have handed out stranger ones than RFC 5322 allows), domains by IDNA.
    """
    parts = _email_parts(raw)
    return None if parts is None else f"{parts[0]}@{parts[1]}"


def email_key(raw: str) -> str | None:
    """What two spellings of one mailbox have in common; None where nobody's own address is said. Idempotent.

    Lower case, the domain as DNS has it, no +tag; at gmail.com and googlemail.com no dots, and one domain. For
    matching only, never for sending: elsewhere a +tag may well be another mailbox.
    """
    parts = _email_parts(raw)
    if parts is None:
        return None
    base, domain = _base(parts[0]), parts[2]
    if _judged(raw, base, domain) is not Quality.REAL:
        return None
    return f"{base.replace('.', '') or base}@gmail.com" if domain.is_gmail else f"{base}@{domain.ascii}"


def email_quality(raw: str) -> Quality:
    """Whose address this is. What cannot be an address is a placeholder, or masked where it shows a mask."""
    parts = _email_parts(raw)
    if parts is None:
        return Quality.MASKED if _has_mask(raw) else Quality.PLACEHOLDER
    return _judged(raw, _base(parts[0]), parts[2])


def _email_parts(raw: str) -> tuple[str, str, _Domain] | None:
    if len(raw) > 4 * EMAIL_LENGTH:
        return None
    local, _, text = (raw.strip() if raw.isascii() else clean(raw)).rpartition("@")
    if not _LOCAL.fullmatch(local):
        return None
    domain = _domain(text.lower())
    if not domain.ascii or len(local) + 1 + len(domain.ascii) > EMAIL_LENGTH:
        return None
    return local, text, domain


def _base(local: str) -> str:
    small = local.lower() if local.isascii() else lower(local)
    return small.partition("+")[0] or small


def _judged(raw: str, base: str, domain: _Domain) -> Quality:
    if _has_mask(raw):
        return Quality.MASKED
    if domain.quality is not Quality.REAL or domain.is_reserved:
        return domain.quality
    squeezed = base.replace(".", "").replace("-", "").replace("_", "")
    if squeezed in _CONTACTS.placeholder.locals:
        return Quality.PLACEHOLDER
    if base in _PLACEHOLDER_STARTS and f"{base}@{domain.ascii}" in _CONTACTS.placeholder.addresses:
        return Quality.PLACEHOLDER
    return Quality.MASKED if "xxx" in squeezed and _X_ONLY.fullmatch(squeezed) else Quality.REAL


def _has_mask(raw: str) -> bool:
    return "*" in raw or "•" in raw or "…" in raw or "..." in raw


@lru_cache(16_384)
def _domain(text: str) -> _Domain:
    ascii_ = text
    if not text.isascii():
        try:
            ascii_ = idna.encode(text, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return _NO_DOMAIN
    if not _DOMAIN.match(ascii_):
        return _NO_DOMAIN
    relay, placeholder = _CONTACTS.relay, _CONTACTS.placeholder
    quality, is_reserved = Quality.REAL, False
    above, at = ascii_, 0
    while True:
        if above in relay.domains or (at and above in relay.only_below):
            quality = Quality.RELAY
        elif above in placeholder.domains:
            quality = Quality.PLACEHOLDER
        is_reserved = is_reserved or above in placeholder.never_domains
        at = above.find(".") + 1
        if not at:
            break
        above = above[at:]
    if quality is Quality.REAL and any(start in f".{ascii_}" for start in _EVERY_COUNTRY):
        quality = Quality.RELAY
    if quality is Quality.REAL and "xxx" in ascii_ and _X_ONLY.fullmatch(ascii_.split(".")[-2]):
        quality = Quality.MASKED
    return _Domain(ascii_, quality, ascii_ in {"gmail.com", "googlemail.com"}, is_reserved)


# --- phone ---

# The North American plan by its shape alone: the area begins with 2 to 9. Whether an area code is in use is not asked:
# new ones open more often than tables are renewed.
_NANP: Final = re.compile(r"[2-9]\d{9}", re.ASCII)
_NANP_DIALLED: Final = re.compile(r"(\+1|1)?([2-9]\d{9})", re.ASCII)
_NANP_REGIONS: Final = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1])
_REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
_PUNCTUATION: Final = str.maketrans("", "", " -.()/\t\xa0")
_PHONE_MASK: Final = re.compile(r"[*•…#]|[xX]{3,}")
PHONE_DIGITS: Final = (7, 15)
"""So many has a number of which the country is not known, at least and at most."""
RELAY_NUMBERS: Final = _CONTACTS.phone.relays
"""In E.164."""


def phone_e164(raw: str, country: str | None = None) -> str | None:
    """The number as E.164, read as dialled in the country (ISO 3166) unless it says its own; None if it cannot be one.

    It can be one when the country's plan has numbers of this length and shape. An extension is dropped. Not for a
    masked number, nor for one that ends in seven times the same digit.
    """
    return _phone(raw, country)[0]


def phone_key(raw: str, country: str | None = None) -> str | None:
    """The number as E.164 where it is somebody's own: no relay, no placeholder, no extension of a shared one."""
    number, is_own = _phone(raw, country)
    return number if is_own and number not in _CONTACTS.phone.relays else None


def phone_is_wrong(raw: str, country: str | None = None) -> bool:
    """Whether this cannot be a number: too short or long for any, or none of the country where it is dialled.

    A masked one may be, and so may one that does not say of which country it is.
    """
    if phone_e164(raw, country) is not None or _PHONE_MASK.search(raw):
        return False
    says_country = country in _REGIONS or raw.lstrip(" (").startswith("+")
    least, most = PHONE_DIGITS
    return says_country or not least <= len(phone_digits(raw)) <= most


def phone_quality(raw: str) -> Quality:
    """Whose number this is, as far as the digits say; a real one can still be none of any country's plan."""
    dialled = _NANP_DIALLED.fullmatch(raw.translate(_PUNCTUATION)) if len(raw) <= PHONE_LENGTH else None
    if dialled is not None:
        national = dialled[2]
        if f"+1{national}" in _CONTACTS.phone.relays:
            return Quality.RELAY
        return Quality.PLACEHOLDER if _is_one_digit(national) else Quality.REAL
    if _PHONE_MASK.search(raw):
        return Quality.MASKED
    digits = phone_digits(raw)
    if not 5 <= len(digits) <= PHONE_LENGTH or _is_one_digit(digits) or raw.strip() in _CONTACTS.phone.placeholders:
        return Quality.PLACEHOLDER
    # A relay's extension follows its number.
    return Quality.RELAY if f"+1{digits.removeprefix('1')[:10]}" in _CONTACTS.phone.relays else Quality.REAL


def phone_digits(raw: str) -> str:
    """The digits alone, whatever script they were written in."""
    if raw.isascii():
        return "".join(filter(str.isdigit, raw))
    return "".join([str(unicodedata.decimal(letter)) for letter in raw if letter.isdecimal()])


def _is_one_digit(digits: str) -> bool:
    return digits[-7:] == digits[-1] * 7 or digits == digits[0] * len(digits)


def _phone(raw: str, country: str | None) -> tuple[str | None, bool]:
    # The number, and whether it is one person's as far as can be told from how it is written.
    if len(raw) > PHONE_LENGTH:
        return None, False
    dialled = _NANP_DIALLED.fullmatch(raw.translate(_PUNCTUATION))
    if dialled is not None and (dialled[1] == "+1" or country in _NANP_REGIONS):
        return (None, False) if _is_one_digit(dialled[2]) else (f"+1{dialled[2]}", True)
    return _parsed(raw, country if country in _REGIONS else None)


@lru_cache(65_536)
def _parsed(raw: str, region: str | None) -> tuple[str | None, bool]:
    if _PHONE_MASK.search(raw):
        return None, False
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None, False
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE or not _is_shaped(number):
        return None, False
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # What reads as another number when it is read again (a trunk zero too many) is none.
    again = phonenumbers.parse(e164, None)
    if phonenumbers.format_number(again, phonenumbers.PhoneNumberFormat.E164) != e164:
        return None, False
    return e164, not number.extension and phone_quality(raw) is Quality.REAL


def _is_shaped(number: PhoneNumber) -> bool:
    national = phonenumbers.national_significant_number(number)
    if _is_one_digit(national):
        return False
    return number.country_code != 1 or bool(_NANP.fullmatch(national))


# --- names ---

_NAME_LENGTH: Final = 200
_NOT_A_NAME: Final = frozenset(
    {"na", "n a", "none", "null", "unknown", "test", "guest", "customer", "buyer", "anonymous"}
)
_WORD: Final = re.compile(r"[^\W_]+")


def _groups() -> dict[str, int]:
    # One bit a line: two names are one person's when they share a bit.
    found: dict[str, int] = {}
    for line, names in enumerate(_NAMES.same):
        for name in names.split():
            found[name] = found.get(name, 0) | 1 << line
    return found


_GROUPS: Final = _groups()
_KNOWN: Final = frozenset(_GROUPS).union(_NAMES.others.split())
_SUFFIXES: Final = _NAMES.degrees | frozenset(_NAMES.generations)
ODD_IN_NAMES: Final = _SUFFIXES | _NAMES.titles | _NAMES.particles
"""Words of a name that are more than a part of it. Where there is none, and nothing but letters, the last word is the last
name."""


class _First(msgspec.Struct, frozen=True):
    # The words of a first name, folded; the same run together; their initials where there are several.
    words: tuple[str, ...]
    joined: str
    initials: str
    script: str


def first_name_compatible(a: str, b: str) -> Compatibility:
    """Whether two first names can be one person's: the same, a short form, an initial, with or without a middle name.

    Accents, case, titles and punctuation do not matter, nor does one slip of the pen inside a long name. Two middle
    names that differ make two people, and so do two known names however close (Maria, Marta): a family shares its
    address, phone and surname. UNKNOWN where a side is empty, masked or in another script, or where one is called by
    the other's middle name.
    """
    first, second = _first(a[:_NAME_LENGTH]), _first(b[:_NAME_LENGTH])
    if not first.words or not second.words:
        return Compatibility.UNKNOWN
    if first.joined == second.joined:
        return Compatibility.COMPATIBLE
    if first.script != second.script:
        return Compatibility.UNKNOWN
    if _is_same_word(first.words[0], second.words[0]):
        if len(first.words) > 1 and len(second.words) > 1 and not _is_same_word(first.words[1], second.words[1]):
            return Compatibility.INCOMPATIBLE
        return Compatibility.COMPATIBLE
    if first.joined == second.initials or second.joined == first.initials:
        return Compatibility.COMPATIBLE
    if second.words[0] in first.words or first.words[0] in second.words:
        return Compatibility.UNKNOWN
    return Compatibility.INCOMPATIBLE


def is_same_given_name(a: str, b: str) -> bool:
    """Whether two given names, folded and of one word, are the same name or forms of one."""
    return a == b or bool(_GROUPS.get(a, 0) & _GROUPS.get(b, 0))


def is_given_name(word: str) -> bool:
    """Whether this word, folded, is known as a given name."""
    return word in _KNOWN


def _is_same_word(a: str, b: str) -> bool:
    if a == b:
        return True
    if len(a) == 1 or len(b) == 1:
        return a[0] == b[0] and a[0] < "\u0530"
    return bool(_GROUPS.get(a, 0) & _GROUPS.get(b, 0)) or _is_slip(a, b)


def _is_slip(a: str, b: str) -> bool:
    # Two letters swapped in a name of four or more; or, in one of five or more, one letter more, less or other whose
    # ends agree, for there Paul becomes Paula, and Dana Lana; or the last letter twice. Two known names are no slip.
    if abs(len(a) - len(b)) > 1 or len(a) < 4 or len(b) < 4 or (a in _KNOWN and b in _KNOWN):
        return False
    at, shortest = 0, min(len(a), len(b))
    while at < shortest and a[at] == b[at]:
        at += 1
    if len(a) == len(b):
        if a[at + 1 : at + 2] == b[at] and b[at + 1 : at + 2] == a[at]:
            return a[at + 2 :] == b[at + 2 :]
        return len(a) > 4 and 0 < at < len(a) - 1 and a[at + 1 :] == b[at + 1 :]
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return at > 0 and longer[-1] == shorter[-1] and longer[at + 1 :] == shorter[at:]


@lru_cache(65_536)
def _first(name: str) -> _First:
    words = _WORD.findall(fold(name).replace("'", "").replace("`", "").replace("´", ""))
    while len(words) > 1 and words[0] in _NAMES.titles:
        words.pop(0)
    if not words or "*" in name or " ".join(words) in _NOT_A_NAME or words[0] in _NAMES.titles:
        return _First((), "", "", "")
    return _First(
        words=tuple(words),
        joined="".join(words),
        initials="".join([word[0] for word in words]) if len(words) > 1 else "",
        script=_script(words[0][0]),
    )


def _script(letter: str) -> str:
    # "LATIN SMALL LETTER A": the first word is the script. Japanese writes one name in two of its own.
    if letter.isascii():
        return "LATIN"
    script = unicodedata.name(letter, "").partition(" ")[0]
    return "JAPANESE" if script in {"HIRAGANA", "KATAKANA"} else script.partition("-")[0]


def name_compatible(a: str, b: str) -> Compatibility:
    """As `first_name_compatible`, for full names, which say two things more.

    Two generations that differ (Jr, III) make two people, and one that only one side says makes it UNKNOWN. First and
    last name may stand the other way round.
    """
    first_a, last_a, generation_a = _full(a[:_NAME_LENGTH])
    first_b, last_b, generation_b = _full(b[:_NAME_LENGTH])
    if generation_a and generation_b and generation_a != generation_b:
        return Compatibility.INCOMPATIBLE
    found = first_name_compatible(first_a, first_b)
    if found is not Compatibility.COMPATIBLE and last_a and last_b:
        if last_a == first_b:
            found = first_name_compatible(first_a, last_b)
        elif last_b == first_a:
            found = first_name_compatible(first_b, last_a)
    return Compatibility.UNKNOWN if found is Compatibility.COMPATIBLE and generation_a != generation_b else found


@lru_cache(65_536)
def _full(name: str) -> tuple[str, str, str]:
    first, last = split_name(name)
    return fold(first), fold(last), name_suffix(name)


def split_name(full: str) -> tuple[str, str]:
    """A person's name as first (with middle) and last name, in the case given; ("Cher", "") where there is but one.

    Takes "Ann Lee", "Lee, Ann", "Dr. Ann M. van der Lee PhD" and "Lee, Ann, Jr."; drops titles, degrees and Jr.
    """
    words, last_words = _name_words(full)
    if last_words is not None:
        return " ".join(words), " ".join(last_words)
    if len(words) < 2:
        return " ".join(words), ""
    at = next((i for i in range(1, len(words) - 1) if words[i].lower() in _NAMES.particles), len(words) - 1)
    return " ".join(words[:at]), " ".join(words[at:])


def name_suffix(full: str) -> str:
    """The generation a name says it is of (jr, sr, ii, iii, iv), else "". Two that differ are father and son."""
    bare = [_bare(word) for word in clean(full[:_NAME_LENGTH]).replace(",", " ").split()]
    same = {"junior": "jr", "senior": "sr", "2nd": "ii", "3rd": "iii"}
    return next((same.get(word, word) for word in reversed(bare[1:]) if word in _NAMES.generations), "")


def _name_words(full: str) -> tuple[list[str], list[str] | None]:
    # The words of the first name, and of the last where a comma tells it apart.
    parts = [part.split() for part in clean(full[:_NAME_LENGTH]).split(",")]
    parts = [part for part in parts if part and not all(_bare(word) in _SUFFIXES for word in part)]
    if not parts:
        return [], None
    if len(parts) == 1:
        return _trimmed(parts[0]), None
    return _trimmed([word for part in parts[1:] for word in part]), _trimmed(parts[0])


def _trimmed(words: list[str]) -> list[str]:
    start, end = 0, len(words)
    while end - start > 1 and _bare(words[start]) in _NAMES.titles:
        start += 1
    while end - start > 1 and _bare(words[end - 1]) in _SUFFIXES:
        end -= 1
    return words[start:end]


def _bare(word: str) -> str:
    return word.replace(".", "").lower()
