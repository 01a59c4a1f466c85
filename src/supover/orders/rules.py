"""What holds of orders, without reading or writing anything."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from supover.channels.model import ChannelLine, ChannelOrder, Contact, PostalAddress
from supover.customers.rules import NUMBER_MARKS
from supover.kit import money
from supover.kit.problems import FieldError, worded
from supover.orders.model import OrderStatus

STATUSES: Final[Sequence[OrderStatus]] = (
    "pending",
    "confirmed",
    "processing",
    "shipped",
    "delivered",
    "cancelled",
    "returned",
)

MOVES: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    "pending": frozenset({"confirmed", "processing", "shipped", "delivered", "cancelled"}),
    "confirmed": frozenset({"processing", "shipped", "delivered", "cancelled"}),
    "processing": frozenset({"shipped", "delivered", "cancelled"}),
    "shipped": frozenset({"delivered", "returned", "cancelled"}),
    "delivered": frozenset({"returned"}),
    "cancelled": frozenset(),
    "returned": frozenset(),
}
"""The one table of moves that staff and programs may make; a new order may start anywhere."""

MAX_LINES: Final = 1_000
MAX_TAGS: Final = 250
_AMOUNTS: Final = ("subtotal", "shipping", "tax", "discount", "total")
_EARLIEST_YEAR: Final = 1970
_FURTHEST: Final = timedelta(days=366)
_FAST_CLOCK: Final = timedelta(days=1)


def may_move(now: OrderStatus, to: OrderStatus) -> bool:
    """Whether an order may go from one status to the other; staying is no move."""
    return to in MOVES[now]


def later(now: OrderStatus, told: OrderStatus) -> OrderStatus:
    """The status after a channel told one: an order never goes back because an old message says so."""
    return told if may_move(now, told) else now


_BECAUSE: Final[Mapping[str, str]] = {
    "customer_id": "The order said whose it is.",
    "new": "Nothing it came with led to a customer, so a new one was made.",
    "none": "Nothing it came with says whose it is, so it waits for review.",
    "merged": "Its customer was merged into this one.",
    "unmerged": "It belongs to this customer, who was merged into another one and is by itself again.",
    "split": "It went along when this customer was split from another one.",
}
_KINDS: Final = {"channel": worded("buyer id")}
_AGAINST: Final = {"nothing to know the buyer by": worded("Nothing to know the buyer by.")}


def in_words(method: str, evidence: Mapping[str, Any]) -> list[str]:
    """Why an order went to its customer, in sentences: what decided, then what did not count, and why."""
    said = [_because(method, evidence)]
    for one in evidence.get("against") or ():
        what = _KINDS.get(str(one.get("kind")), one.get("kind"))
        why = str(one.get("why", ""))
        who = worded(f" with customer {one['customerId']}") if "customerId" in one else ""
        if what:
            said.append(worded(f"The {what}{who} did not count: {why}."))
        else:
            said.append(_AGAINST.get(why, f"{why[:1].upper()}{why[1:]}."))
    return said


def _because(method: str, evidence: Mapping[str, Any]) -> str:
    matched: Mapping[str, Any] = evidence.get("matched") or {}
    kind, key = str(matched.get("kind")), matched.get("key")
    match method:
        case "customer_id" if "by" in evidence:
            return worded("Somebody gave it to this customer.")
        case "channel_identity":
            return worded(f"The channel's buyer id {key} is this customer's.")
        case "email":
            return worded(f"The email {key} is this customer's.")
        case "phone":
            return worded(f"The phone {key} is this customer's, and the first names go together.")
        case "identity_moved":
            what = _KINDS.get(kind, kind)
            return worded(f"It went along when the {what} {key}, which had brought it, was moved to this customer.")
        case _:
            return worded(_BECAUSE.get(method, f"It was decided by {method}."))


def spellings(number: str) -> list[str]:
    """How a number may be written that somebody asks for, with its mark or without; nothing of nothing."""
    asked = number.strip()
    bare = asked.removeprefix("#")
    return [mark + bare for mark in NUMBER_MARKS if mark + bare] if asked else []


def is_rate(rate: Decimal) -> bool:
    """Whether a number can be an exchange rate: positive, and within what its column holds."""
    return rate.is_finite() and Decimal("1e-10") <= rate < 10**9


def camel(name: str) -> str:
    """A field's name as JSON has it."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def errors_of(order: ChannelOrder, now: datetime) -> list[FieldError]:
    """Everything that keeps an order from being taken in; pointers are of the API's body."""
    found: list[FieldError] = []
    contact = order.contact
    # Written out, as every row of every import comes through here.
    for field, text, limit in (
        ("externalId", order.external_id, 255),
        ("number", order.number, 64),
        ("source", order.source, 40),
        ("shop", order.shop, 255),
        ("financialStatus", order.financial_status, 40),
        ("note", order.note, 10_000),
        ("customerExternalId", contact.external_id, 255),
        ("email", contact.email, 320),
        ("phone", contact.phone, 64),
        ("name", contact.name, 200),
    ):
        if text is not None and len(text) > limit:
            found.append(FieldError(f"/{field}", "length", f"has more than {limit} characters"))
    if not order.source:
        found.append(FieldError("/source", "required", "is required"))
    if order.currency not in money.CURRENCIES:
        found.append(FieldError("/currency", "currency", f"{order.currency!r} is not a currency of ISO 4217"))
    if order.status not in STATUSES:
        found.append(FieldError("/status", "choice", f"must be one of {', '.join(STATUSES)}"))
    for field, amount in (
        ("subtotal", order.subtotal),
        ("shipping", order.shipping),
        ("tax", order.tax),
        ("discount", order.discount),
        ("total", order.total),
    ):
        if amount is not None and not money.fits(amount):
            found.append(FieldError(f"/{field}", "range", "is not an amount that can be kept"))
    if not found and order.total < 0 and order.status != "cancelled":
        found.append(FieldError("/total", "negative", "may be negative only on a cancelled order (a credit note)"))
    if order.exchange_rate is not None and not is_rate(order.exchange_rate):
        found.append(FieldError("/exchangeRate", "range", "must be a positive number"))
    for field, at in (
        ("placedAt", order.placed_at),
        ("updatedAt", order.updated_at),
        ("cancelledAt", order.cancelled_at),
        ("deliveredAt", order.delivered_at),
    ):
        if at is not None and not (at.year >= _EARLIEST_YEAR and at <= now + _FURTHEST):
            found.append(FieldError(f"/{field}", "range", f"must be between {_EARLIEST_YEAR} and a year from now"))
    if order.updated_at is not None and now + _FAST_CLOCK < order.updated_at <= now + _FURTHEST:
        # What is older than what is known changes nothing: a version from the future would end an order's life.
        found.append(FieldError("/updatedAt", "range", "is more than a day from now"))
    if order.refunded is not None and not (
        money.fits(order.refunded) and 0 <= order.refunded <= max(order.total, Decimal(0))
    ):
        found.append(FieldError("/refunded", "range", "must be between zero and the total"))
    if order.refunds:
        refunded = sum((r.amount for r in order.refunds), Decimal(0))
        if not money.fits(refunded) or refunded < 0 or (refunded > 0 and refunded > max(order.total, Decimal(0))):
            found.append(FieldError("/refunded", "range", "must be between zero and the total"))
    if order.lines:
        found += _errors_of_lines(order.lines)
    if order.tags and (len(order.tags) > MAX_TAGS or any(len(t) > 100 for t in order.tags)):
        found.append(FieldError("/tags", "length", f"has more than {MAX_TAGS} tags, or one of over 100 characters"))
    return found


def _errors_of_lines(lines: Sequence[ChannelLine]) -> list[FieldError]:
    found: list[FieldError] = []
    if len(lines) > MAX_LINES:
        found.append(FieldError("/lines", "length", f"has more than {MAX_LINES} lines"))
    for n, line in enumerate(lines):
        if not -(10**6) <= line.quantity <= 10**6:
            found.append(FieldError(f"/lines/{n}/quantity", "range", "must be at most a million"))
        if line.unit_price is not None and not money.fits(line.unit_price):
            found.append(FieldError(f"/lines/{n}/unitPrice", "range", "is not an amount that can be kept"))
        if len(line.title) > 1000 or len(line.sku or "") > 255:
            found.append(FieldError(f"/lines/{n}", "length", "has a sku over 255 or a title over 1,000 characters"))
    return found


def at_digits(order: ChannelOrder) -> ChannelOrder:
    """The order with its amounts at its currency's digits."""
    quantum = money.quantum(order.currency)
    amounts: dict[str, Any] = {}
    for field in _AMOUNTS:
        amount: Decimal | None = getattr(order, field)
        if amount is not None and not amount.same_quantum(quantum):
            amounts[field] = money.at_digits(amount, order.currency)
    if order.refunds:
        amounts["refunds"] = tuple(
            msgspec.structs.replace(r, amount=money.at_digits(r.amount, order.currency)) for r in order.refunds
        )
    return msgspec.structs.replace(order, **amounts) if amounts else order


_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_plain: Final = msgspec.json.Encoder(order="deterministic").encode


def anonymous(order: ChannelOrder) -> ChannelOrder:
    """An order without what tells of its buyer: of places only the country is left, and nothing that anybody wrote."""
    lines = None if order.lines is None else [msgspec.structs.replace(line, properties={}) for line in order.lines]
    refunds = None if order.refunds is None else [msgspec.structs.replace(one, reason=None) for one in order.refunds]
    return msgspec.structs.replace(
        order,
        contact=Contact(source=order.source, shop=order.shop),
        shipping_address=_country_of(order.shipping_address),
        billing_address=_country_of(order.billing_address),
        lines=lines,
        refunds=refunds,
        tags=(),
        note=None,
    )


def _country_of(place: PostalAddress | None) -> PostalAddress | None:
    if place is None or place.country is None or not re.fullmatch(r"[A-Z]{2}", place.country):
        return None
    return PostalAddress(country=place.country)


def intake_hash(order: ChannelOrder) -> bytes:
    """A fingerprint of what the source says: not of when it says so, nor of what stands in for what it does not say."""
    told = msgspec.structs.replace(order, updated_at=None, settled=False)
    if not order.placed_at_told:
        told = msgspec.structs.replace(told, placed_at=_NEVER)
    return hashlib.blake2b(_plain(told), digest_size=16).digest()
