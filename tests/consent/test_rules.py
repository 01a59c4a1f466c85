"""Which word counts, when somebody is left alone, and what languages are called."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.consent import rules
from supover.consent.model import QuietHours, State
from supover.consent.rules import Standing
from supover.kit.problems import Invalid
from supover.kit.text import Quality

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def after(days: int) -> datetime:
    return T0 + timedelta(days=days)


STATES: tuple[State, ...] = ("SUBSCRIBED", "PENDING", "UNSUBSCRIBED", "INVALID", "REDACTED")


def stands(state: State, level: rules.OptInLevel, day: int, ago: int = 0, contact: str | None = None) -> Standing:
    """Somebody who said so that day, and opted in explicitly, if they did, so many days ago and by this contact."""
    explicit_at = after(day - ago) if state == "SUBSCRIBED" and level in rules.EXPLICIT else None
    return Standing(state, level, after(day), explicit_at, contact)


standings = st.builds(
    stands,
    state=st.sampled_from(STATES),
    level=st.sampled_from(rules.LEVELS),
    day=st.integers(0, 3),
    ago=st.integers(0, 2),
    contact=st.sampled_from([None, "ann@lee.example", "cy@lee.example"]),
)


def test_the_strictest_of_what_was_said_counts_and_silence_says_nothing() -> None:
    assert rules.strictest(["SUBSCRIBED", "UNSUBSCRIBED", "PENDING"]) == "UNSUBSCRIBED"
    assert rules.strictest(["SUBSCRIBED", "PENDING"]) == "PENDING"
    assert rules.strictest(["NOT_SUBSCRIBED", "SUBSCRIBED"]) == "SUBSCRIBED"
    assert rules.strictest(["REDACTED", "INVALID", "UNSUBSCRIBED"]) == "REDACTED"
    assert rules.strictest([]) == "NOT_SUBSCRIBED"


@pytest.mark.parametrize(
    ("told", "state", "day"),
    [
        ([("SUBSCRIBED", "UNKNOWN", 2), ("UNSUBSCRIBED", "UNKNOWN", 1)], "UNSUBSCRIBED", 2),
        ([("SUBSCRIBED", "SINGLE_OPT_IN", 2), ("UNSUBSCRIBED", "UNKNOWN", 1)], "SUBSCRIBED", 2),
        ([("SUBSCRIBED", "CONFIRMED_OPT_IN", 1), ("UNSUBSCRIBED", "UNKNOWN", 1)], "UNSUBSCRIBED", 1),
        ([("SUBSCRIBED", "CONFIRMED_OPT_IN", 1), ("UNSUBSCRIBED", "UNKNOWN", 2)], "UNSUBSCRIBED", 2),
        ([("SUBSCRIBED", "CONFIRMED_OPT_IN", 2), ("PENDING", "UNKNOWN", 3), ("REDACTED", "UNKNOWN", 1)], "PENDING", 3),
    ],
)
def test_of_two_who_become_one_the_strictest_counts_unless_a_newer_opt_in_is_explicit(
    told: list[tuple[State, rules.OptInLevel, int]], state: State, day: int
) -> None:
    for order in permutations(told):
        found = rules.merged([stands(s, level, d) for s, level, d in order])
        assert (found.state, found.at) == (state, after(day))
    assert rules.merged([Standing(), *(stands(s, level, d) for s, level, d in told)]).state == state


def test_a_yes_that_is_repeated_is_no_newer_opt_in_and_stays_with_its_contact() -> None:
    """One confirmed on the first day, which was repeated on the fifth; the other one left on the third."""
    repeated, left = (
        stands("SUBSCRIBED", "CONFIRMED_OPT_IN", 5, 4, "ann@lee.example"),
        stands("UNSUBSCRIBED", "UNKNOWN", 3),
    )
    assert rules.merged([repeated, left]).state == "UNSUBSCRIBED"
    anew = stands("SUBSCRIBED", "CONFIRMED_OPT_IN", 5, 1, "ann@lee.example")
    found = rules.merged([left, anew, stands("SUBSCRIBED", "UNKNOWN", 5, 0, "cy@lee.example")])
    assert (found.state, found.contact) == ("SUBSCRIBED", "cy@lee.example")
    assert rules.merged([left, anew]).contact == "ann@lee.example"


@given(st.lists(standings, max_size=6), st.randoms())
def test_merging_knows_no_order_and_never_allows_more_than_an_explicit_opt_in(
    told: list[Standing],
    random: Random,
) -> None:
    found = rules.merged(told)
    shuffled = list(told)
    random.shuffle(shuffled)
    assert rules.merged(shuffled) == found
    if not told:
        assert found == Standing()
        return
    assert found.at == max(s.at or T0 for s in told)
    assert found.contact in {s.contact for s in told if (s.state, s.opt_in_level) == (found.state, found.opt_in_level)}
    opted = [s.explicit_at for s in told if s.explicit_at is not None]
    latest = max(opted, default=T0 - timedelta(days=1))
    # Nothing that is stricter, and as new as the last explicit opt-in, is overruled.
    stricter: list[State] = [s.state for s in told if (s.at or T0) >= latest]
    assert found.state == rules.strictest(stricter)


def test_quiet_hours_end_in_their_own_zone() -> None:
    berlin = QuietHours("22:00", "07:30", "Europe/Berlin")
    assert rules.quiet_until(berlin, datetime(2026, 7, 1, 20, 0, tzinfo=UTC)) == datetime(2026, 7, 2, 5, 30, tzinfo=UTC)
    assert rules.quiet_until(berlin, datetime(2026, 7, 1, 19, 59, tzinfo=UTC)) is None
    assert rules.quiet_until(berlin, datetime(2026, 7, 2, 5, 29, tzinfo=UTC)) == datetime(2026, 7, 2, 5, 30, tzinfo=UTC)
    assert rules.quiet_until(berlin, datetime(2026, 7, 2, 5, 30, tzinfo=UTC)) is None
    noon = QuietHours("12:00", "13:00", "UTC")
    assert rules.quiet_until(noon, datetime(2026, 7, 1, 12, 0, tzinfo=UTC)) == datetime(2026, 7, 1, 13, 0, tzinfo=UTC)
    assert rules.quiet_until(noon, datetime(2026, 7, 1, 13, 0, tzinfo=UTC)) is None


hours = st.times().map(lambda t: f"{t:%H:%M}")


@given(
    hours,
    hours,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_when_quiet_hours_end_they_have_ended(start: str, end: str, zone: str, at: datetime) -> None:
    quiet = QuietHours(start, end, zone)
    if start == end:
        return
    until = rules.quiet_until(quiet, at)
    local = f"{at.astimezone(ZoneInfo(zone)):%H:%M}"
    assert (until is not None) == ((start <= local < end) if start < end else (local >= start or local < end))
    if until is not None:
        assert at < until <= at + timedelta(hours=25)
        # But for the two nights a year on which clocks are changed.
        if zone in ("UTC", "Asia/Kathmandu"):
            assert f"{until.astimezone(ZoneInfo(zone)):%H:%M}" == end
            assert rules.quiet_until(quiet, until) is None


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("DE", "de"),
        ("en_gb", "en-GB"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("de-1996", "de-1996"),
        ("en-US-u-ca-gregory", "en-US-u-ca-gregory"),
        ("sr-Latn-x-private", "sr-Latn-x-private"),
        (" fr ", "fr"),
    ],
)
def test_a_language_is_kept_in_its_usual_spelling(tag: str, kept: str) -> None:
    assert rules.language(tag) == kept


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "d",
        "german",
        "deutsch-AT",
        "d1",
        "german language",
        "en-",
        "-en",
        "en--GB",
        "en-GB-",
        "x" * 40,
        "ⅾe",
        "en-GB\n-x",
    ],
)
def test_what_is_no_language_is_refused(tag: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.language(tag)
    [error] = refused.value.errors
    assert error.pointer == "/language"
    assert "two or three letters, such as de" in error.message


@pytest.mark.parametrize(
    ("email", "key", "quality"),
    [
        ("Ann.Lee+x@Gmail.com", "email:annlee@gmail.com", Quality.REAL),
        ("Ann@LEE.example", "email:ann@lee.example", Quality.REAL),
        ("P7F@marketplace.amazon.com", "email:p7f@marketplace.amazon.com", Quality.RELAY),
    ],
)
def test_an_emails_spellings_have_one_key(email: str, key: str, quality: Quality) -> None:
    found = rules.contact_of("email", email, None)
    assert found is not None
    assert (found.shown, found.key, found.quality) == (email, key, quality)


def test_a_phones_spellings_have_one_key() -> None:
    found = [rules.contact_of("sms", None, phone, None, "GB") for phone in ("020 7946 0018", "+44 (0)20 7946 0018")]
    assert [f and f.key for f in found] == ["phone:+442079460018"] * 2
    unplaced = rules.contact_of("whatsapp", None, "020 7946 0018")
    assert unplaced is not None
    assert (unplaced.key, unplaced.quality) == (None, Quality.MASKED)
    assert rules.contact_of("post", "ann@lee.example", "+442079460018") is None
