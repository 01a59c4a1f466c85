"""What happens to customers leaves a mark in the publisher's transaction: their segments are looked at again."""

from collections.abc import Sequence
from typing import Final

from supover.access.events import TimezoneChanged, WorkspaceCreated
from supover.addresses.events import AddressAdded, AddressChanged, AddressRemoved
from supover.analytics.events import CustomersRecounted, CustomersScored, PredictionsRenewed
from supover.consent.events import ConsentChanged, PreferencesChanged
from supover.customers.events import (
    CustomerChanged,
    CustomerCreated,
    CustomerDeleted,
    CustomerRestored,
    CustomersAdded,
    CustomersMerged,
    CustomerSplit,
    CustomersRemoved,
    CustomerTagged,
    CustomerUntagged,
    CustomFieldsChanged,
    MergeUndone,
)
from supover.kit.db import Tx
from supover.kit.events import Event, on
from supover.segments import marks, moving

FEW: Final = 5_000
CUSTOM: Final = "custom."
"""How custom fields are called in filters."""
SCORES: Final = "rfm"
"""What filters that ask of scores have in them."""
PREDICTED: Final = ("churn_", "predicted_value", "expected_orders")
"""How predictions are called in filters."""


@on(WorkspaceCreated)
async def begin(tx: Tx, created: Sequence[WorkspaceCreated]) -> None:
    """A new workspace has the built-in segments."""
    await marks.add_built_in(tx, is_empty=True)


@on(CustomerCreated)
async def mark_new(tx: Tx, created: Sequence[CustomerCreated]) -> None:
    """A new customer is looked at. One from history is when the figures are counted."""
    if tx.origin != "import":
        await marks.mark(tx, [e.customer_id for e in created])


# Who blocks a customer or gives them a contact says what changed of the profile, too; who changes a tag everywhere does not.
@on(
    CustomerChanged,
    CustomerDeleted,
    CustomerRestored,
    CustomerTagged,
    CustomerUntagged,
    AddressAdded,
    AddressChanged,
    AddressRemoved,
    ConsentChanged,
    PreferencesChanged,
)
async def mark(tx: Tx, events: Sequence[Event]) -> None:
    """The customer is looked at again."""
    await marks.mark(tx, [e.customer_id for e in events])


@on(CustomersAdded)
async def mark_few(tx: Tx, added: Sequence[CustomersAdded]) -> None:
    """A few from a file are looked at at once; everybody is when a large one has ended."""
    found = [id for e in added for id in e.customer_ids]
    if len(found) <= FEW:
        await marks.mark(tx, found)


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Customers who are unmade were never in any segment."""
    await marks.remove(tx, [id for e in removed for id in e.customer_ids])


@on(CustomersMerged)
async def merge(tx: Tx, merged: Sequence[CustomersMerged]) -> None:
    """The survivor is in the groups of all, and everybody is looked at again."""
    for e in merged:
        assert e.customer_id is not None
        await moving.merge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(MergeUndone)
async def unmerge(tx: Tx, undone: Sequence[MergeUndone]) -> None:
    """Each is in their own groups again, and looked at."""
    for e in undone:
        assert e.customer_id is not None
        await moving.unmerge(tx, e.merge_id, e.customer_id, e.duplicate_ids)


@on(CustomerSplit)
async def mark_split(tx: Tx, splits: Sequence[CustomerSplit]) -> None:
    """Who has less than before is looked at again; the new customer is as one."""
    await marks.mark(tx, [id for e in splits for id in (e.customer_id, e.new_id)])


@on(CustomersRecounted)
async def mark_recounted(tx: Tx, events: Sequence[CustomersRecounted]) -> None:
    """Customers with other figures, or other orders behind them, are looked at again."""
    await marks.mark(tx, [id for e in events for id in e.live], "live")
    await marks.mark(tx, [id for e in events for id in e.from_history], "import")


@on(CustomersScored)
async def mark_scored(tx: Tx, scored: Sequence[CustomersScored]) -> None:
    """Customers with other scores are looked at again; where it is most of them, everybody is for filters that ask of scores."""
    for e in scored:
        if e.customer_ids is None:
            await marks.want_all(tx, SCORES, is_silent=True)
        else:
            await marks.mark_by(tx, SCORES, e.customer_ids)


@on(PredictionsRenewed)
async def look_at_all_by_predictions(tx: Tx, renewed: Sequence[PredictionsRenewed]) -> None:
    """Filters that ask what is predicted may fit others now, of everybody."""
    for word in PREDICTED:
        await marks.want_all(tx, word)


@on(TimezoneChanged)
async def look_at_all(tx: Tx, changed: Sequence[TimezoneChanged]) -> None:
    """Every day begins at another moment: all filters mean something else."""
    await marks.want_all(tx)


@on(CustomFieldsChanged)
async def look_at_all_by_custom_fields(tx: Tx, changed: Sequence[CustomFieldsChanged]) -> None:
    """Filters that ask of custom fields may mean something else, or nothing any more."""
    await marks.want_all(tx, CUSTOM)
