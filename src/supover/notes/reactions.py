"""Customers who are unmade take their notes along."""

from collections.abc import Sequence

from supover.customers.events import CustomersRemoved
from supover.kit.db import Tx
from supover.kit.events import on
from supover.notes import bulk


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await bulk.remove_of(tx, [id for e in removed for id in e.customer_ids])
