"""Which of two words counts, whose contact it is, what somebody may choose, and when they are left alone."""

import re
import zoneinfo
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any, Final, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

import msgspec

from supover.consent.model import (
    ConsentChannel,
    ConsentChoice,
    ConsentTopic,
    OptInLevel,
    QuietHours,
    Reason,
    Recipients,
    Said,
    State,
    SuppressionReason,
)
from supover.kit import sql, text
from supover.kit.problems import FieldError, Invalid
from supover.kit.text import Quality

CHANNELS: Final[tuple[ConsentChannel, ...]] = get_args(ConsentChannel)
TOPICS: Final[tuple[ConsentTopic, ...]] = get_args(ConsentTopic)
SUPPRESSION_REASONS: Final[tuple[SuppressionReason, ...]] = get_args(SuppressionReason)
LEVELS: Final[tuple[OptInLevel, ...]] = get_args(OptInLevel)
SETTABLE: Final = ("SUBSCRIBED", "UNSUBSCRIBED", "PENDING")
"""What anybody may set; INVALID and REDACTED are told by channels, NOT_SUBSCRIBED is what nobody has said."""

OPT_INS: Final = frozenset({"SUBSCRIBED", "PENDING"})
EXPLICIT: Final = frozenset({"SINGLE_OPT_IN", "CONFIRMED_OPT_IN"})
AHEAD: Final = timedelta(minutes=5)
"""So far another machine's clock may be ahead."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
SOURCE_LENGTH: Final = 200
VERSION_LENGTH: Final = 100
PROOF_BYTES: Final = 8 << 10

T = TypeVar("T", bound=str)

# --- which counts --------------------------------------------------------------------------------------------------------

_STRICTNESS: Final[dict[State, int]] = {
    "NOT_SUBSCRIBED": 0,
    "SUBSCRIBED": 1,
    "PENDING": 2,
    "UNSUBSCRIBED": 3,
    "INVALID": 4,
    "REDACTED": 5,
}


def strictness(state: State) -> int:
    """The more, the less is allowed. Not to have been asked is no answer, and gives way to any."""
    return _STRICTNESS[state]


def strictest(states: Iterable[State]) -> State:
    """The strictest of what was said; NOT_SUBSCRIBED where nothing was."""
    nothing: State = "NOT_SUBSCRIBED"
    return max([nothing, *states], key=strictness)


class Standing(msgspec.Struct, frozen=True):
    """Where somebody stands since when; `at` is None for who was never asked.

    `explicit_at` is when they last said themselves that they opt in, which a yes that is repeated for them leaves where it was;
    `contact` is what the entry that decides was said of.
    """

    state: State = "NOT_SUBSCRIBED"
    opt_in_level: OptInLevel | None = None
    at: datetime | None = None
    explicit_at: datetime | None = None
    contact: str | None = None


def merged(standings: Sequence[Standing]) -> Standing:
    """Where several customers stand who turn out to be one: the strictest counts, unless they opted in explicitly after it.

    Its `at` is the latest of all, so that recorded for the survivor it counts over what is there; its `contact` is that of who
    decided, so that a yes for one contact does not become one for another. The order does not matter.
    """
    said = [s for s in standings if s.at is not None]
    if not said:
        return Standing()
    # An explicit opt-in ends what was said before it.
    since = max((s.explicit_at or EARLIEST for s in said if s.state == "SUBSCRIBED"), default=EARLIEST)
    standing = [s for s in said if _at(s) >= since]
    found = max(
        standing,
        key=lambda s: (
            strictness(s.state),
            s.opt_in_level not in EXPLICIT,
            _at(s),
            s.opt_in_level or "",
            s.explicit_at or EARLIEST,
            s.contact or "",
        ),
    )
    return msgspec.structs.replace(found, at=max(map(_at, said)))


def _at(standing: Standing) -> datetime:
    return standing.at or EARLIEST


# --- whose contact -------------------------------------------------------------------------------------------------------


class Reached(msgspec.Struct, frozen=True):
    """A contact: as it is shown, what its spellings have in common, and whose it is."""

    shown: str
    key: str | None
    quality: Quality


def contact_of(
    channel: ConsentChannel, email: str | None, phone: str | None, e164: str | None = None, country: str | None = None
) -> Reached | None:
    """What a customer is reached by on a channel; None where there is nothing. Post has none that could be compared."""
    if channel == "email":
        if not email:
            return None
        spelt = text.email_key(email) or (text.email_shown(email) or text.clean(email)).lower()
        return Reached(email, f"email:{spelt}" if spelt else None, text.email_quality(email))
    if channel == "post" or not phone:
        return None
    number = e164 or text.phone_e164(phone, country)
    quality = text.phone_quality(phone)
    if number is None and quality is Quality.REAL:
        quality = Quality.MASKED
    return Reached(phone, f"phone:{number}" if number else None, quality)


# --- what is chosen ------------------------------------------------------------------------------------------------------


class Chosen(msgspec.Struct, frozen=True):
    """A choice that can be recorded."""

    channel: ConsentChannel
    topic: ConsentTopic
    state: Said
    opt_in_level: OptInLevel
    source: str | None
    at: datetime | None
    proof: Any
    policy_version: str | None


def chosen(choice: ConsentChoice, zone: ZoneInfo, now: datetime) -> Chosen:
    """A choice in our words; a day, or a time without a zone, is the workspace's. Raises Invalid with every field that is wrong."""
    errors: list[FieldError] = []
    channel: ConsentChannel = _one_of(choice.channel.lower(), CHANNELS, "/channel", errors)
    topic: ConsentTopic = _one_of(choice.topic.lower(), TOPICS, "/topic", errors)
    state: Said = _one_of(choice.state.upper(), cast("tuple[Said, ...]", SETTABLE), "/state", errors)
    level: OptInLevel = _one_of((choice.opt_in_level or "UNKNOWN").upper(), LEVELS, "/optInLevel", errors)
    source = _short(choice.source, SOURCE_LENGTH, "/source", errors)
    version = _short(choice.policy_version, VERSION_LENGTH, "/policyVersion", errors)
    if choice.proof is not None and len(msgspec.json.encode(choice.proof)) > PROOF_BYTES:
        errors.append(FieldError("/proof", "length", f"has more than {PROOF_BYTES} bytes"))
    at = _moment(choice.at, zone, errors)
    if at is not None and at < EARLIEST:
        errors.append(FieldError("/at", "range", "is not a time that can be"))
    elif at is not None and at > now + AHEAD:
        errors.append(FieldError("/at", "future", "is in the future"))
    if errors:
        raise Invalid(errors)
    return Chosen(channel, topic, state, level, source, at, choice.proof or None, version)


class Asked(msgspec.Struct, frozen=True):
    """On what, about what and when somebody would write."""

    channel: ConsentChannel
    topic: ConsentTopic
    at: datetime | None


def asked(recipients: Recipients, zone: ZoneInfo) -> Asked:
    """What is asked of many customers, times read as in `chosen`. Raises Invalid with every field that is wrong."""
    errors: list[FieldError] = []
    channel: ConsentChannel = _one_of(recipients.channel.lower(), CHANNELS, "/channel", errors)
    topic: ConsentTopic = _one_of(recipients.topic.lower(), TOPICS, "/topic", errors)
    at = _moment(recipients.at, zone, errors)
    if errors:
        raise Invalid(errors)
    return Asked(channel, topic, at)


def _moment(given: str | None, zone: ZoneInfo, errors: list[FieldError]) -> datetime | None:
    if given is None:
        return None
    try:
        return sql.bound(given, zone, "/at")
    except Invalid as error:
        errors += error.errors
        return None


def _one_of(given: str, choices: tuple[T, ...], pointer: str, errors: list[FieldError]) -> T:
    found = next((choice for choice in choices if choice == given), None)
    if found is None:
        errors.append(FieldError(pointer, "choice", f"must be one of {', '.join(choices)}"))
    return found or choices[0]


def one_of(given: str, choices: tuple[T, ...], pointer: str) -> T:
    """The choice that is meant. Raises Invalid."""
    errors: list[FieldError] = []
    found = _one_of(given, choices, pointer, errors)
    if errors:
        raise Invalid(errors)
    return found


def channel_of(given: str, pointer: str, choices: tuple[ConsentChannel, ...] = CHANNELS) -> ConsentChannel:
    """A channel in any case. Raises Invalid."""
    return one_of(given.lower(), choices, pointer)


def topic_of(given: str, pointer: str) -> ConsentTopic:
    """A topic in any case. Raises Invalid."""
    return one_of(given.lower(), TOPICS, pointer)


def suppression_reason_of(given: str, pointer: str) -> SuppressionReason:
    """Why a contact is suppressed, in any case. Raises Invalid."""
    return one_of(given.lower(), SUPPRESSION_REASONS, pointer)


def _short(given: str | None, most: int, pointer: str, errors: list[FieldError]) -> str | None:
    kept = text.clean(given or "") or None
    if kept is not None and len(kept) > most:
        errors.append(FieldError(pointer, "length", f"can have at most {most} characters"))
    return kept


# --- language and hours --------------------------------------------------------------------------------------------------

TAG_LENGTH: Final = 35
# RFC 5646, section 2.1, without the grandfathered tags and those of four letters or more, which no language has: who writes
# german is told, and not kept under a language that nobody looks for.
_TAG: Final = re.compile(
    r"([a-z]{2,3}(?:-[a-z]{3}){0,3})(-[a-z]{4})?(-(?:[a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"((?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?)",
    re.ASCII,
)
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def language(given: str) -> str:
    """A language tag of BCP 47 in its usual spelling: de, en-GB, zh-Hant-TW. Raises Invalid."""
    small = given.strip().replace("_", "-").lower()
    found = _TAG.fullmatch(small) if len(small) <= TAG_LENGTH else None
    if found is None:
        raise Invalid.at(
            "/language",
            "language",
            "must be a language's code of two or three letters, such as de, with a country where that matters, such as de-AT "
            "(BCP 47)",
        )
    main, script, region, variants, rest = found.groups(default="")
    return f"{main}{script[:2].upper()}{script[2:]}{region.upper()}{variants}{rest}"


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def quiet_hours(given: QuietHours) -> QuietHours:
    """Hours that can be. Raises Invalid."""
    errors = [
        FieldError(f"/quietHours/{name}", "time", "must be a time of day such as 22:00")
        for name, value in (("from", given.start), ("to", given.end))
        if not _CLOCK.fullmatch(value)
    ]
    if not errors and given.start == given.end:
        errors.append(FieldError("/quietHours/to", "range", "is when they begin; leave quietHours null for none"))
    if given.timezone is not None and given.timezone not in _zones():
        errors.append(FieldError("/quietHours/timezone", "timezone", "is not a time zone such as Europe/Berlin"))
    if errors:
        raise Invalid(errors)
    return given


def quiet_until(hours: QuietHours, at: datetime) -> datetime | None:
    """When the quiet hours end that this moment lies in; None where it lies in none. `hours.timezone` is there.

    Where the clock is put forward over their end they last until it would have been; where it is put back, until that time
    comes after the moment that was asked about.
    """
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    zone = ZoneInfo(hours.timezone or "UTC")
    local = at.astimezone(zone)
    now = local.time()
    if not (start <= now < end if start < end else now >= start or now < end):
        return None
    day = local.date() if now < end else local.date() + timedelta(days=1)
    found = datetime.combine(day, end, zone).astimezone(UTC)
    return found if found > at else datetime.combine(day, end.replace(fold=1), zone).astimezone(UTC)


# --- whether somebody may be written to ----------------------------------------------------------------------------------


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides.

    `contact` is whether there is one on the channel, `is_of_contact` whether `state` was said of that very one, and
    `suppressed` by what reasons it must not be used.
    """

    is_there: bool
    is_merged: bool = False
    is_deleted: bool = False
    is_blocked: bool = False
    contact: bool = True
    quality: Quality = Quality.REAL
    state: State = "NOT_SUBSCRIBED"
    is_of_contact: bool = True
    suppressed: Sequence[str] = ()


_WORDS: Final = {
    "unknown": "There is no such customer.",
    "merged": "The customer was merged into another one.",
    "deleted": "The customer is deleted.",
    "blocked": "The customer is blocked.",
    "no_contact": "The customer has no contact on this channel.",
    "contact_not_real": "The contact leads to nobody, or not to the customer alone.",
    "not_subscribed": "The customer was not asked.",
    "contact_changed": "The customer said yes for another contact than the one of now.",
    "pending": "The customer has not confirmed yet.",
    "unsubscribed": "The customer has unsubscribed.",
    "invalid": "The channel says that the contact does not work.",
    "redacted": "The customer's data were erased on the channel.",
    "quiet_hours": "It is within the customer's quiet hours.",
}


def against(known: Known, topic: ConsentTopic) -> list[Reason]:
    """What speaks against writing to somebody, but for the hour.

    Transactional messages go to everybody who can be reached and has not refused them; all else needs SUBSCRIBED to that very
    topic, said of the contact that would be written to: another mailbox may be another person's. A no is the customer's, whatever
    contact they said it of. A relay leads to the customer, but only as long as the platform has business with them: no place for
    marketing.
    """
    if not known.is_there:
        return [reason("unknown")]
    is_needed = topic == "transactional"
    found: list[Reason] = []
    if known.is_merged:
        found.append(reason("merged"))
    elif known.is_deleted:
        found.append(reason("deleted"))
    if known.is_blocked and not is_needed:
        found.append(reason("blocked"))
    if not known.contact:
        found.append(reason("no_contact"))
    elif known.quality is not Quality.REAL and not (is_needed and known.quality is Quality.RELAY):
        found.append(reason("contact_not_real"))
    if known.suppressed:
        by = ", ".join(sorted(set(known.suppressed)))
        found.append(Reason("suppressed", f"The contact is on the suppression list: {by}."))
    if known.state != "SUBSCRIBED" and not (is_needed and known.state in ("NOT_SUBSCRIBED", "PENDING")):
        found.append(reason(known.state.lower()))
    elif not is_needed and known.contact and not known.is_of_contact:
        found.append(reason("contact_changed"))
    return found


def reason(code: str) -> Reason:
    """A code with its words."""
    return Reason(code, _WORDS[code])
