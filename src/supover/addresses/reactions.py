"""Customers who are unmade take their addresses along."""

from collections.abc import Sequence

from supover.addresses import bulk
from supover.customers.events import CustomersRemoved
from supover.kit.db import Tx
from supover.kit.events import on


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await bulk.remove_of(tx, [id for e in removed for id in e.customer_ids])
