"""Customers who are unmade take along what they said; who must not be written to stays suppressed."""

from collections.abc import Sequence

from supover.consent import bulk
from supover.customers.events import CustomersRemoved
from supover.kit.db import Tx
from supover.kit.events import on


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await bulk.remove_of(tx, [id for e in removed for id in e.customer_ids])
