"""What happens to orders. `customer_id` is the customer it belongs to, `order_id` the order."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from supover.kit.events import Event


class OrderPlaced(Event, frozen=True):
    """An order is known for the first time; `at` is when it was placed."""

    number: str | None
    source: str
    status: str
    total: Decimal
    currency: str


class OrderChanged(Event, frozen=True):
    """An order's facts changed: name → [old, new]."""

    changes: dict[str, list[Any]]


class OrderCancelled(Event, frozen=True):
    """An order will not be fulfilled."""

    reason: str | None = None


class OrderDelivered(Event, frozen=True):
    """An order reached the buyer."""


class OrderRefunded(Event, frozen=True):
    """Money was given back; `refunded` is the new sum of all refunds."""

    amount: Decimal
    refunded: Decimal
    currency: str


class OrderHeld(Event, frozen=True):
    """An order waits for somebody to look at it."""

    reason: str


class OrderReleased(Event, frozen=True):
    """An order waits no longer."""


class OrderRateKnown(Event, frozen=True):
    """The exchange rate that an order lacked, or had differently, is known."""

    rate: Decimal


class OrderReassigned(Event, frozen=True):
    """An order went from one customer to another: `customer_id` is the new one."""

    former_id: UUID | None = None
