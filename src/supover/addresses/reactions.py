"""Addresses go where their customers go: unmade, made one, by themselves again, or split."""

from collections.abc import Sequence

from supover.addresses import bulk, moving
from supover.customers.events import CustomersMerged, CustomerSplit, CustomersRemoved, MergeUndone
from supover.kit.db import Tx
from supover.kit.events import on


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Removes what was theirs."""
    await bulk.remove_of(tx, [id for e in removed for id in e.customer_ids])


@on(CustomersMerged)
async def merge(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """The survivor has all places, each once."""
    for e in merged:
        assert e.customer_id is not None
        await moving.merge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(MergeUndone)
async def unmerge(tx: Tx, undone: Sequence[MergeUndone]) -> None:
    """Each has their own places again."""
    for e in undone:
        assert e.customer_id is not None
        await moving.unmerge(tx, e.merge_id, e.customer_id)


@on(CustomerSplit)
async def split(tx: Tx, splits: Sequence[CustomerSplit]) -> None:
    """The new customer has the places that were chosen."""
    for e in splits:
        assert e.customer_id is not None
        await moving.split(tx, e.customer_id, e.new_id, e.address_ids)
