"""Facts that make a customer's figures stale leave a mark in the publisher's transaction."""

from collections.abc import Sequence
from typing import Final

from supover.access.events import CountingStatusesChanged, TimezoneChanged
from supover.analytics import commands, predictions, rollups, scoring
from supover.customers.events import (
    CustomerChanged,
    CustomerCreated,
    CustomerDeleted,
    CustomerRestored,
    CustomersAdded,
    CustomersErased,
    CustomersMerged,
    CustomersRemoved,
    MergeUndone,
)
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
    gone = [id for e in removed for id in e.customer_ids]
    await commands.remove(tx, gone)
    await scoring.remove(tx, gone)
    await predictions.remove(tx, gone)


@on(CustomerDeleted)
async def score_without(tx: Tx, deleted: Sequence[CustomerDeleted]) -> None:
    """Who is put away has no scores, and the others are scored without them."""
    if await scoring.remove(tx, [e.customer_id for e in deleted if e.customer_id is not None]):
        await scoring.soon(tx)


@on(CustomerRestored)
async def score_with(tx: Tx, restored: Sequence[CustomerRestored]) -> None:
    """Everybody is scored with those who are back."""
    await scoring.soon(tx)


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
    # Tombstones are nobody; who is back, and the survivor, is scored when recounted.
    await scoring.remove(tx, [id for e in events for id in e.duplicate_ids])


@on(CustomersMerged)
async def forget_predictions(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """Of who was merged nothing is predicted; the survivor's prediction is made anew in the night."""
    await predictions.remove(tx, [id for e in merged for id in e.duplicate_ids])


@on(CustomerDeleted, CustomersErased)
async def forget_predictions_of_deleted(tx: Tx, events: Sequence[CustomerDeleted | CustomersErased]) -> None:
    """Of who was put away, or erased, nothing is predicted."""
    for e in events:
        await predictions.remove(
            tx, e.customer_ids if isinstance(e, CustomersErased) else [e.customer_id] if e.customer_id else []
        )


@on(CountingStatusesChanged)
async def mark_all(tx: Tx, events: Sequence[CountingStatusesChanged]) -> None:
    """Which orders count has changed: everybody is to be recounted."""
    await commands.mark_all(tx)


@on(CustomerChanged)
async def mark_moved(tx: Tx, events: Sequence[CustomerChanged]) -> None:
    """Orders without a country are counted where their customer lives."""
    await commands.mark(tx, [e.customer_id for e in events if e.customer_id is not None and "country" in e.changes])


@on(TimezoneChanged)
async def rebuild(tx: Tx, changed: Sequence[TimezoneChanged]) -> None:
    """Orders fall on other days: roll-ups are made anew."""
    await rollups.rebuild_later(tx)
