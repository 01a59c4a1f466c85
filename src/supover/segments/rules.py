"""What names may be, and the segments that every workspace begins with."""

from typing import Final
from urllib.parse import parse_qsl

import msgspec

from supover.kit import text
from supover.kit.problems import Invalid

NAME_LENGTH: Final = 200
DESCRIPTION_LENGTH: Final = 2_000
QUERY_LENGTH: Final = 4_000


def name(given: str) -> str:
    """A name as it is kept. Raises Invalid."""
    kept = text.clean(given)
    if not kept:
        raise Invalid.at("/name", "required", "cannot be empty")
    if len(kept) > NAME_LENGTH:
        raise Invalid.at("/name", "length", f"can have at most {NAME_LENGTH} characters")
    return kept


def description(given: str) -> str:
    """A description as it is kept. Raises Invalid."""
    kept = text.clean_lines(given)
    if len(kept) > DESCRIPTION_LENGTH:
        raise Invalid.at("/description", "length", f"can have at most {DESCRIPTION_LENGTH} characters")
    return kept


def query(given: str) -> dict[str, list[str]]:
    """The parameters of a query string, each with its values. Raises Invalid."""
    if len(given) > QUERY_LENGTH:
        raise Invalid.at("/query", "length", f"can have at most {QUERY_LENGTH} characters")
    try:
        pairs = parse_qsl(
            given.strip().removeprefix("?"), keep_blank_values=True, strict_parsing=bool(given.strip("? ")),
            errors="strict", max_num_fields=100,
        )  # fmt: skip
    except ValueError:
        raise Invalid.at("/query", "query", "must be a query string such as status=VIP&sort=-totalSpent") from None
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        if "\x00" in value or "\x00" in key:
            raise Invalid.at("/query", "nul", "cannot hold the character NUL")
        found.setdefault(key, []).append(value)
    return found


# --- what every workspace begins with ------------------------------------------------------------------------------------


class BuiltIn(msgspec.Struct, frozen=True):
    """A segment that is there from the start; people may change and delete it."""

    key: str
    name: str
    description: str
    filter: str
    is_relative: bool = False


BUILT_IN: Final = (
    BuiltIn("new", "New customers", "First order in the last 30 days.", "first_order_date >= -30d", is_relative=True),
    BuiltIn("repeat", "Repeat customers", "Ordered at least twice.", "number_of_orders >= 2"),
    BuiltIn(
        "vip",
        "VIPs",
        "Marked as VIP, or ordered at least five times and spent at least 500.",
        "status = 'VIP' OR (number_of_orders >= 5 AND amount_spent >= 500)",
    ),
    BuiltIn(
        "at_risk",
        "At risk",
        "Ordered at least twice, the last time 90 to 180 days ago.",
        "number_of_orders >= 2 AND last_order_date BETWEEN -180d AND -90d",
        is_relative=True,
    ),
    BuiltIn(
        "lapsed",
        "Lapsed",
        "Last order more than 180 days ago.",
        "last_order_date < -180d",
        is_relative=True,
    ),
    BuiltIn("never_ordered", "Never ordered", "No order that counts.", "number_of_orders = 0"),
    BuiltIn(
        "email_subscribed",
        "Email subscribers",
        "Said yes to marketing emails.",
        "email_subscription_status = 'SUBSCRIBED'",
    ),
)
"""Tested to be the rows of 0017_segments_membership.sql."""
