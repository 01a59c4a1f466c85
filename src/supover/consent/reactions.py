"""What customers said goes with them: unmade, made one, by themselves again, or split; who must not be written to stays suppressed."""

from collections.abc import Sequence

from supover.consent import bulk, moving
from supover.customers.events import CustomersMerged, CustomerSplit, CustomersRemoved, MergeUndone
from supover.kit.db import Tx
from supover.kit.events import on


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await bulk.remove_of(tx, [id for e in removed for id in e.customer_ids])


@on(CustomersMerged)
async def merge(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """The survivor stands where all their words amount to."""
    for e in merged:
        assert e.customer_id is not None
        await moving.merge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(MergeUndone)
async def unmerge(tx: Tx, undone: Sequence[MergeUndone]) -> None:
    """Each stands where their own words put them."""
    for e in undone:
        assert e.customer_id is not None
        await moving.unmerge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(CustomerSplit)
async def split(tx: Tx, splits: Sequence[CustomerSplit]) -> None:
    """The new customer is written to no more than the former one was."""
    for e in splits:
        assert e.customer_id is not None
        await moving.split(tx, e.customer_id, e.new_id)
