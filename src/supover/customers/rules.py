"""What a profile may hold, and what a search asks for. Nothing here reads or writes anything."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

import msgspec

from supover.customers.model import Profile, Status
from supover.kit import countries, text
from supover.kit.problems import FieldError, Invalid, Malformed

NAME_LENGTH: Final = 200
EXTERNAL_ID_LENGTH: Final = 255
SOURCE_LENGTH: Final = 40
SHOP_LENGTH: Final = 255
GENDER_LENGTH: Final = 50
TAG_LENGTH: Final = 100
MAX_TAGS: Final = 250
KEY_LENGTH: Final = 100
CUSTOM_FIELDS_BYTES: Final = 16 * 1024
EARLIEST_BIRTH: Final = date(1850, 1, 1)


class _Wrong(Exception):
    """A value cannot be taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# --- profiles ------------------------------------------------------------------------------------------------------------


def checked(given: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Fields of a profile as they are kept: on one line, without what nobody sees. Raises Invalid with all that is wrong."""
    kept: dict[str, Any] = {}
    errors: list[FieldError] = []
    for field, value in given.items():
        try:
            kept[field] = value if value is None else _CHECKS[field](value, today)
        except _Wrong as wrong:
            errors.append(FieldError(f"/{_POINTERS[field]}", wrong.code, wrong.message))
    if errors:
        raise Invalid(errors)
    return kept


def with_phone(profile: Profile) -> Profile:
    """The profile with its phone as E.164, read as dialled in its country."""
    number = None if profile.phone is None else text.phone_e164(profile.phone, profile.country)
    return msgspec.structs.replace(profile, phone_e164=number)


def must_be_somebody(profile: Profile) -> None:
    """Raises Invalid when nothing says who this is."""
    if not profile.is_somebody:
        raise Invalid.at("", "required", "at least one of email, phone, name and externalId is needed")


def merged_fields(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Custom fields after a change of some: a null removes its key."""
    return {key: value for key, value in {**old, **given}.items() if value is not None or key not in given}


def status_to_return_to(old: Status | None, new: Status, before: Status | None) -> Status | None:
    """What unblocking leads back to, after the status went from old to new; None unless it is blocked."""
    if new != "BLOCKED":
        return None
    return before if old == "BLOCKED" else old or "ACTIVE"


def _line(most: int) -> Callable[[str, date], str | None]:
    def check(value: str, today: date) -> str | None:
        del today
        kept = text.clean(value)
        if len(kept) > most:
            raise _Wrong("length", f"can have at most {most} characters")
        return kept or None

    return check


def _email(value: str, today: date) -> str | None:
    del today
    if not text.clean(value):
        return None
    kept = text.email_shown(value)
    if kept is None:
        raise _Wrong("email", "must be an email address such as ann@example.com")
    return kept


def _phone(value: str, today: date) -> str | None:
    kept = _line(text.PHONE_LENGTH)(value, today)
    if kept is not None and not text.phone_digits(kept):
        raise _Wrong("phone", "must be a phone number")
    return kept


def _source(value: str, today: date) -> str:
    kept = _line(SOURCE_LENGTH)(value, today)
    if kept is None:
        raise _Wrong("required", "cannot be empty")
    return kept


def _country(value: str, today: date) -> str | None:
    kept = _line(countries.NAME_LENGTH)(value, today)
    return None if kept is None else countries.code(kept) or kept


def _birth(value: date, today: date) -> date:
    if not EARLIEST_BIRTH <= value <= today:
        raise _Wrong("range", f"must be from {EARLIEST_BIRTH} to today")
    return value


def distinct(tags: Iterable[str]) -> list[str]:
    """Tags each once, whatever the case: as it is written first."""
    once: dict[str, str] = {}
    for tag in tags:
        once.setdefault(text.lower(tag), tag)
    return list(once.values())


def without(tags: Iterable[str], others: Iterable[str]) -> list[str]:
    """The tags that are not among the others, whatever the case."""
    keys = {text.lower(tag) for tag in others}
    return [tag for tag in tags if text.lower(tag) not in keys]


def spelled(tags: Iterable[str], known: Iterable[str]) -> list[str]:
    """The tags, each as it is written among those that are known already."""
    spellings = {text.lower(tag): tag for tag in known}
    return [spellings.get(text.lower(tag), tag) for tag in tags]


def told_tags(tags: Iterable[str]) -> list[str]:
    """Tags as a channel says them: what is too long is cut, what is too much left out, nothing is refused."""
    return distinct(tag for tag in (text.clean(one)[:TAG_LENGTH].strip() for one in tags) if tag)[:MAX_TAGS]


def _tags(value: Sequence[str], today: date) -> list[str]:
    del today
    kept = distinct(tag for tag in map(text.clean, value) if tag)
    if len(kept) > MAX_TAGS:
        raise _Wrong("length", f"can be at most {MAX_TAGS} tags")
    if any(len(tag) > TAG_LENGTH for tag in kept):
        raise _Wrong("length", f"can have at most {TAG_LENGTH} characters each")
    return kept


def _custom_fields(value: Mapping[str, Any], today: date) -> dict[str, Any]:
    del today
    for key in value:
        if not 1 <= len(key) <= KEY_LENGTH or text.clean(key) != key:
            raise _Wrong("key", f"must have keys of 1 to {KEY_LENGTH} characters, with nothing unseen in them")
    size = len(msgspec.json.encode(value))
    if size > CUSTOM_FIELDS_BYTES:
        raise _Wrong("size", f"take {size} bytes of JSON; {CUSTOM_FIELDS_BYTES} are the most")
    return dict(value)


def _status(value: Status, today: date) -> Status:
    del today
    return value


_CHECKS: Final[Mapping[str, Callable[[Any, date], Any]]] = {
    "source": _source,
    "external_id": _line(EXTERNAL_ID_LENGTH),
    "email": _email,
    "name": _line(NAME_LENGTH),
    "phone": _phone,
    "date_of_birth": _birth,
    "gender": _line(GENDER_LENGTH),
    "status": _status,
    "country": _country,
    "tags": _tags,
    "custom_fields": _custom_fields,
}
FIELDS: Final = tuple(_CHECKS)
"""What people edit of a profile."""
_POINTERS: Final = {f.name: f.encode_name for f in msgspec.structs.fields(Profile)}


def changes(old: Profile, new: Profile) -> dict[str, list[Any]]:
    """What differs, by the names of JSON: [old, new]."""
    both = ((field, getattr(old, field), getattr(new, field)) for field in FIELDS)
    return {_POINTERS[field]: [was, now] for field, was, now in both if _comparable(was) != _comparable(now)}


def _comparable(value: object) -> object:
    if isinstance(value, dict):
        # 1, 1.0 and true are equal to Python, and three things in JSON.
        return msgspec.json.encode(value, order="sorted") if value else b"{}"
    return list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else value


# --- lists ---------------------------------------------------------------------------------------------------------------

SEARCH_LENGTH: Final = 200
MAX_TERMS: Final = 10
PREFIX_LENGTH: Final = 2
NUMBER_MARKS: Final = ("", "#")
"""What may stand before an order's number: some shops write it, and people do or do not."""
_TOKENS: Final = re.compile(r'"([^"]*)"|(\S+)')
_DIALLED: Final = re.compile(r"[+\d\s().\-‐‑‒–—−/]+")
# +44 (0)20 …: the zero is dialled within the country only.
_TRUNK: Final = re.compile(r"(?<=\d)\s*\(0\)")
_LEAST_DIALLED: Final = 7


class Term(msgspec.Struct, frozen=True):
    """One thing that a customer must match: `text` or one of its `spellings` anywhere, `digits` in a phone, or an order's `number`.

    `exact` asks for the whole value; a `number` is without its #.
    """

    text: str
    digits: tuple[str, ...] = ()
    number: str | None = None
    exact: bool = False
    spellings: tuple[str, ...] = ()


def terms(search: str) -> list[Term]:
    """What a search asks for: every word, or what stands in quotes. Raises Invalid."""
    wanted = text.clean(search)
    if len(wanted) > SEARCH_LENGTH:
        raise Invalid.at("search", "length", f"can have at most {SEARCH_LENGTH} characters")
    if (number := _dialled(wanted)) is not None and len(text.phone_digits(number)) >= _LEAST_DIALLED:
        return [_term(wanted, exact=False)]
    found: list[Term] = []
    for quoted, word in cast("list[tuple[str, str]]", _TOKENS.findall(wanted)):
        if quoted.strip():
            found.append(_term(quoted.strip(), exact=True))
        elif bare := word.strip('"'):
            found.append(_term(bare, exact=False))
    if len(found) > MAX_TERMS:
        raise Invalid.at("search", "length", f"can have at most {MAX_TERMS} words")
    return found


def _term(written: str, *, exact: bool) -> Term:
    digits: list[str] = []
    if (found := _dialled(written)) is not None:
        dialled = text.phone_digits(_TRUNK.sub("", found))
        digits = [dialled] if dialled and (exact or dialled != written) else []
        # The zeros that begin a number within its country, or lead out of it, are not part of its international form.
        bare = dialled.lstrip("0")
        if bare != dialled and len(bare) >= _LEAST_DIALLED - 1:
            digits.append(bare)
    number = written.removeprefix("#")
    has_digit = any(letter.isdigit() for letter in number)
    spellings: tuple[str, ...] = ()
    if not exact and written[-1] in "Σσς":
        # Greek writes the last sigma of a word in its own way, but not in capitals: it is kept as it was typed.
        spellings = (written[:-1] + ("σ" if written[-1] == "ς" else "ς"),)
    return Term(written, tuple(digits), number if has_digit else None, exact, spellings)


def _dialled(written: str) -> str | None:
    """What was written as a phone number, its digits and dashes as they are in ASCII where they have a wide form."""
    narrow = unicodedata.normalize("NFKC", written)
    return narrow if _DIALLED.fullmatch(narrow) else None


def phone_asked(written: str) -> str:
    """The digits of a whole number that is looked for; 00 leads out of a country as + does."""
    return text.phone_digits(_TRUNK.sub("", unicodedata.normalize("NFKC", written))).removeprefix("00")


INCLUDABLE: Final = frozenset({"addresses", "deleted", "identities", "merged", "notes", "orders"})


def includes(include: str | None, allowed: frozenset[str] = INCLUDABLE) -> frozenset[str]:
    """What `include` asks for, separated by commas. Raises Invalid for what is not known."""
    asked = frozenset(text.listed(include or ""))
    if unknown := sorted(asked - allowed):
        raise Invalid.at("include", "unknown", f"cannot be {unknown[0]!r}: choose among {', '.join(sorted(allowed))}")
    return asked


# --- addresses -----------------------------------------------------------------------------------------------------------


def as_written(raw: bytes, decoded: str, what: str) -> str:
    """The last part of a web address as it was sent. Raises Malformed.

    The router decodes and straightens the path: two slashes in a row, as in gid://shopify/…, would become one.
    """
    given = unquote_to_bytes(raw) or decoded.removeprefix("/").encode()
    try:
        return given.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8.") from None
