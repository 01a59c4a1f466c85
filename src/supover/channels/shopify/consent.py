"""What Shopify says that a customer chose, in our words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from supover.channels.model import UNTOLD, ChannelConsent, ConsentChannel, ConsentState, OptInLevel

SOURCE: Final = "SHOPIFY"


class _Consent(msgspec.Struct, frozen=True):
    state: Any = None
    opt_in_level: Any = None
    consent_updated_at: Any = None
    consent_collected_from: Any = None


_STATES: Final[Mapping[str, ConsentState]] = {
    "subscribed": "SUBSCRIBED",
    "pending": "PENDING",
    "unsubscribed": "UNSUBSCRIBED",
    "invalid": "INVALID",
    "redacted": "REDACTED",
}
_LEVELS: Final[Mapping[str, OptInLevel]] = {
    "single_opt_in": "SINGLE_OPT_IN",
    "confirmed_opt_in": "CONFIRMED_OPT_IN",
}


def read(
    channel: ConsentChannel, told: Any, address: str | None, *, is_repeated: bool = False
) -> ChannelConsent | None:
    """What a customer chose; None for what is no choice, such as not_subscribed, or cannot be read: no customer is lost for it.

    An opt-in that does not say its time may be of any time. One that `is_repeated` with every change of the customer counts
    where nothing else was ever said; told by itself it is none.
    """
    try:
        given = msgspec.convert(told, _Consent)
    except msgspec.ValidationError:
        return None
    state = _STATES.get(given.state.lower()) if isinstance(given.state, str) else None
    at = _time(given.consent_updated_at)
    if state in ("SUBSCRIBED", "PENDING") and at is None and is_repeated:
        at = UNTOLD
    if state is None or (at is None and state in ("SUBSCRIBED", "PENDING")):
        return None
    level = _LEVELS.get(given.opt_in_level.lower()) if isinstance(given.opt_in_level, str) else None
    elsewhere = isinstance(given.consent_collected_from, str) and given.consent_collected_from.lower() == "other"
    return ChannelConsent(
        channel=channel,
        state=state,
        opt_in_level=level or "UNKNOWN",
        at=at,
        source=f"{SOURCE}:OTHER" if elsewhere else SOURCE,
        address=address,
    )


def _time(given: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo and 1970 < found.year < 9999 else None
