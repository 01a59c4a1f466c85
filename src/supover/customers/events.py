"""What happens to customers."""

from typing import Any
from uuid import UUID

from supover.kit.events import Event


class CustomerCreated(Event, frozen=True):
    """A customer is known for the first time; `by` says through what."""

    by: str
    source: str


class CustomersAdded(Event, frozen=True):
    """Many customers are new, from a file; the file's own event tells the world."""

    logged = False
    customer_ids: list[UUID]


class CustomersRemoved(Event, frozen=True):
    """Customers are gone as if they had never been: the file that brought them was taken back."""

    logged = False
    customer_ids: list[UUID]


class CustomerChanged(Event, frozen=True):
    """Fields of a profile changed: name → [old, new]; `mergeId` is the merge that did so, or whose undo."""

    changes: dict[str, list[Any]]
    merge_id: UUID | None = None


class CustomerDeleted(Event, frozen=True):
    """A customer was put away; the contacts are free again."""


class CustomersErased(Event, frozen=True):
    """Nothing of these people is left but their orders' sums; the ids stay, and lead to nobody."""

    customer_ids: list[UUID]
    request_id: UUID


class CustomerRestored(Event, frozen=True):
    """A deleted customer is back."""


class CustomerBlocked(Event, frozen=True):
    """New orders of this customer are held."""


class CustomerUnblocked(Event, frozen=True):
    """The customer's orders are no longer held."""


class CustomerTagged(Event, frozen=True):
    """Tags were added."""

    tags: list[str]


class CustomerUntagged(Event, frozen=True):
    """Tags were removed."""

    tags: list[str]


class AvatarChanged(Event, frozen=True):
    """A customer has a picture, or another one."""


class AvatarRemoved(Event, frozen=True):
    """A customer's picture was removed."""


class IdentityAdded(Event, frozen=True):
    """Somebody said that this contact is the customer's: orders that come with it are theirs."""

    identity_id: UUID
    identity_kind: str
    value: str
    source: str | None = None
    shop: str | None = None


class IdentityRemoved(Event, frozen=True):
    """A contact leads to this customer no longer."""

    identity_id: UUID
    identity_kind: str
    value: str
    source: str | None = None
    shop: str | None = None


class IdentityMoved(Event, frozen=True):
    """A contact went from one customer to another; told of both, `with_orders` says whether past orders go with it."""

    identity_id: UUID
    identity_kind: str
    value: str
    from_id: UUID
    to_id: UUID
    with_orders: bool
    source: str | None = None
    shop: str | None = None


class DuplicateSuspected(Event, frozen=True):
    """Two customers may be one person: `other_id` is the second; `by` is the kind of contact that says so."""

    other_id: UUID
    score: float
    level: str
    reasons: list[str]
    by: str | None = None


class HubFound(Event, frozen=True):
    """A contact came with too many different names to say who somebody is."""

    identity_kind: str
    value: str


class CustomFieldsChanged(Event, frozen=True):
    """The field of this key was declared, is read or checked otherwise, or is declared no more."""

    key: str


class CustomersMerged(Event, frozen=True):
    """Several customers are one: whatever was of `duplicate_ids` is of `customer_id` now. Who keeps rows of them moves those."""

    merge_id: UUID
    duplicate_ids: list[UUID]


class MergeUndone(Event, frozen=True):
    """Customers who were merged into `customer_id` are by themselves again. Who moved rows of them puts those back."""

    merge_id: UUID
    duplicate_ids: list[UUID]


class CustomerSplit(Event, frozen=True):
    """A part of what a customer had is that of the new customer `new_id` now: they are not one person."""

    new_id: UUID
    order_ids: list[UUID]
    identity_ids: list[UUID]
    address_ids: list[UUID]
    note_ids: list[UUID]
