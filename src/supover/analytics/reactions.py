"""Facts that make a customer's figures stale leave a mark in the publisher's transaction."""

from collections.abc import Sequence
from typing import Final

from supover.access.events import CountingStatusesChanged
from supover.analytics import commands
from supover.customers.events import CustomerCreated, CustomersAdded, CustomersMerged, CustomersRemoved, MergeUndone
from supover.kit.db import Tx
from supover.kit.events import Event, on
from supover.orders.events import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRateKnown,
    OrderReassigned,
    OrderRefunded,
)

FEW: Final = 500


@on(CustomerCreated)
async def give_figures(tx: Tx, created: Sequence[CustomerCreated]) -> None:
    """A new customer has figures from the first moment: zeros. One from history has them when counted."""
    if tx.origin == "import":
        # Zeros would be written, into five indexes, only to be overwritten at once; an order leaves a mark of its own.
        await commands.mark(tx, [e.customer_id for e in created if e.customer_id is not None and e.by != "order"])
    else:
        await commands.add(tx, [e.customer_id for e in created if e.customer_id is not None])


@on(CustomersAdded)
async def give_figures_to_few(tx: Tx, added: Sequence[CustomersAdded]) -> None:
    """A few from a file have figures at once, zeros; many when the file has ended."""
    found = [id for e in added for id in e.customer_ids]
    if len(found) <= FEW:
        await commands.add(tx, found)


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await commands.remove(tx, [id for e in removed for id in e.customer_ids])


@on(OrderPlaced, OrderChanged, OrderCancelled, OrderDelivered, OrderRefunded, OrderRateKnown)
async def mark(tx: Tx, events: Sequence[Event]) -> None:
    """The customer of the order is to be recounted."""
    await commands.mark(tx, [e.customer_id for e in events if e.customer_id is not None])


@on(OrderReassigned)
async def mark_both(tx: Tx, events: Sequence[OrderReassigned]) -> None:
    """Both customers are to be recounted."""
    await commands.mark(tx, [id for e in events for id in (e.customer_id, e.former_id) if id is not None])


@on(CustomersMerged, MergeUndone)
async def mark_all_of_them(tx: Tx, events: Sequence[CustomersMerged | MergeUndone]) -> None:
    """Who has more orders and who has less is to be recounted."""
    for e in events:
        await commands.mark(tx, [id for id in (e.customer_id, *e.duplicate_ids) if id is not None])


@on(CountingStatusesChanged)
async def mark_all(tx: Tx, events: Sequence[CountingStatusesChanged]) -> None:
    """Which orders count has changed: everybody is to be recounted."""
    await commands.mark_all(tx)
