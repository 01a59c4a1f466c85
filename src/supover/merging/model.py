"""The nouns of merging."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from supover.customers.model import Customer
from supover.kit.problems import Conflict, NotFound

MAX_DUPLICATES: Final = 50
"""So many customers are merged into one at once at most."""


class FieldChoice(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Whose value a field is to have, or the value itself: one of `customerId` and `value`."""

    customer_id: UUID | UnsetType = UNSET
    value: Any = UNSET


class NewMerge(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Customers who are one: the `duplicateIds`, up to 50, are merged into the primary.

    Of a field the primary's value is taken, and where it has none that of the first of the others who has one: who ordered last
    comes first, then who is known longest. `fields` chooses otherwise, by name: email, name, phone, dateOfBirth, gender, status,
    externalId, country, avatarUrl, tags, or a custom field as customFields.KEY. `dryRun` only tells what would be.
    """

    primary_id: UUID
    duplicate_ids: Sequence[UUID]
    fields: Mapping[str, FieldChoice] = {}
    dry_run: bool = False


class Alternative(msgspec.Struct, frozen=True, rename="camel"):
    """Another value that a field could have, and whose it is."""

    customer_id: UUID
    value: Any


class ChosenValue(msgspec.Struct, frozen=True, rename="camel"):
    """The value that a field of the survivor has; `customerId` is whose it was, null where it was told, or is of several."""

    value: Any
    customer_id: UUID | None
    alternatives: Sequence[Alternative] = ()


class Blocker(msgspec.Struct, frozen=True, rename="camel"):
    """Why customers cannot be merged, or what to know before: a `code` for programs, words for people.

    One that `isSoft` is mended by `fields`, by choosing otherwise for `field`.
    """

    code: str
    message: str
    customer_id: UUID | None = None
    field: str | None = None
    is_soft: bool = False


class MergeAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What a merge did, or in a dry run would do.

    `customer` is the survivor, whose figures follow within seconds; null where `blockers` stand in the way. `moved` has how many
    rows of each kind are the survivor's now, `joined` how many were there already. `fields` says of every field of the profile what
    it is and why. A dry run has no `mergeId`.
    """

    customer: Customer | None
    merge_id: UUID | None
    moved: Mapping[str, int]
    joined: Mapping[str, int]
    fields: Mapping[str, ChosenValue]
    blockers: Sequence[Blocker]
    warnings: Sequence[Blocker]
    undoable_until: datetime | None
    dry_run: bool


class NotPutBack(msgspec.Struct, frozen=True, rename="camel"):
    """Something that undoing a merge left where it is, and why: what `kind` of row, its id, and the customer it was of."""

    kind: str
    id: UUID
    customer_id: UUID
    why: str


class Merge(msgspec.Struct, frozen=True, rename="camel"):
    """Customers who were made one: into whom, who, by whom and when.

    `fields` says from which customer each field was taken, null for a value that was told. Once `undoneAt`, `putBack` has how many
    rows of each kind went back, and `notPutBack` what did not, the first thousand of `notPutBackCount`. After `undoableUntil`
    what it did row by row is known no more.
    """

    id: UUID
    primary_id: UUID
    duplicate_ids: Sequence[UUID]
    fields: Mapping[str, UUID | None]
    moved: Mapping[str, int]
    joined: Mapping[str, int]
    actor: str
    actor_name: str
    merged_at: datetime
    undoable_until: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_by_name: str | None
    put_back: Mapping[str, int]
    not_put_back: Sequence[NotPutBack]
    not_put_back_count: int


class MergeUndoneAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The merge that was undone, and those who are by themselves again, the one they were merged into first."""

    merge: Merge
    customers: Sequence[Customer]


class NewSplit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What of a customer is another person's: orders, contacts (every spelling of one goes along), addresses and notes.

    At least one order or contact. `name` is the new customer's; unless told that of the newest of the orders, if it has one.
    """

    order_ids: Sequence[UUID] = ()
    identity_ids: Sequence[UUID] = ()
    address_ids: Sequence[UUID] = ()
    note_ids: Sequence[UUID] = ()
    name: str | None = None


class SplitAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The new customer, the one that it was split from, and how many rows of each kind are the new one's."""

    customer: Customer
    former: Customer
    moved: Mapping[str, int]


class AlreadyMerged(Conflict):
    """One of these customers was merged into another one already."""


class MergeBlocked(Conflict):
    """These customers cannot be merged as they are."""


class MergeNotFound(NotFound):
    """No merge with this id in this workspace."""


class MergeAlreadyUndone(Conflict):
    """This merge was undone already."""


class MergeTooOld(Conflict):
    """What this merge did is no longer known, so it cannot be undone."""


class MergeOnTop(Conflict):
    """A later merge of the same customer must be undone first."""


class MergeNotUndoable(Conflict):
    """This merge cannot be undone as its customers are now."""


class NothingToSplit(Conflict):
    """Nothing would be left of this customer."""
