"""The nouns of segments: segments, who is in them, what a filter amounts to, saved views."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from supover.customers.model import Customer
from supover.kit.problems import Conflict, Forbidden, Invalid, NotFound

Kind = Literal["filter", "manual"]

MOST_AT_ONCE: Final = 1_000

# --- segments --------------------------------------------------------------------------------------------------------


class Segment(msgspec.Struct, frozen=True, rename="camel"):
    """Customers who fit `filter`, or whom somebody picked (`kind` manual, no filter).

    `members` were counted from the rows. `complete` is false from a change of the filter until everybody was looked at by
    it: until then the members are those from before. `refreshing`: everybody is being looked at, or will be shortly.
    What had happened by `asOf` is in; null before the first time. `isRelative`: its dates move with today. `error` says why
    the filter cannot be evaluated any more. `filterDescription` says the filter in words.
    """

    id: UUID
    kind: Kind
    name: str
    description: str
    filter: str | None
    filter_description: str | None
    built_in: str | None
    members: int
    complete: bool
    refreshing: bool
    as_of: datetime | None
    evaluated_at: datetime | None
    is_relative: bool
    error: str | None
    created_by: str
    created_by_name: str
    created_at: datetime
    updated_at: datetime
    version: int


class Named(msgspec.Struct, frozen=True):
    """A segment as it is chosen from a list."""

    id: UUID
    name: str
    kind: Kind


class Rule(msgspec.Struct, frozen=True):
    """What of a segment its evaluation needs."""

    id: UUID
    kind: str
    name: str
    filter: str | None
    complete: bool
    is_silent: bool
    members: int
    counted_at: datetime | None
    recount_due: bool
    wanted_at: datetime | None
    stale_since: datetime | None


class Moves(msgspec.Struct, frozen=True):
    """Who entered and left one segment by one look."""

    rule: Rule
    entered: Sequence[UUID]
    left: Sequence[UUID]


Name = Annotated[str, Meta(max_length=1000)]
Filter = Annotated[str, Meta(description="A condition of the segment language, as in `number_of_orders >= 2`.")]


class NewSegment(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A segment to make: by `filter`, or a `manual` one without."""

    name: Name
    kind: Kind = "filter"
    description: str = ""
    filter: Filter | None = None


class SegmentReplacement(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What takes the place of a segment's name, description and, unless it is manual, filter."""

    name: Name
    description: str = ""
    filter: Filter | None = None


class SegmentChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a segment."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET


class BuiltInWanted(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which built-in segments to bring back, by `builtIn`; all that are missing unless told."""

    keys: Annotated[list[str], Meta(max_length=100)] | None = None


class BuiltInAdded(msgspec.Struct, frozen=True, rename="camel"):
    """The built-in segments that were missing and are back."""

    added: Sequence[Segment]


class Growth(msgspec.Struct, frozen=True, rename="camel"):
    """A day of a segment, in the workspace's zone: members as last counted that day, and who entered and left during it."""

    day: date
    members: int
    entered: int
    left: int


class Membership(msgspec.Struct, frozen=True, rename="camel"):
    """A segment that a customer is in, and since when."""

    id: UUID
    name: str
    kind: Kind
    entered_at: datetime


class SegmentNotFound(NotFound):
    """No segment with this id in this workspace."""


class SegmentNameTaken(Conflict):
    """Another segment has this name."""


class TooManySegments(Conflict):
    """This workspace has as many segments as it can have."""


class NotPicked(NotFound):
    """This customer is not in this group."""


class OnlyByFilter(Conflict):
    """Who is in this segment is decided by its filter; only groups are picked by hand."""


# --- groups ----------------------------------------------------------------------------------------------------------


class Picks(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Customers to put into a group, up to 1,000."""

    ids: Annotated[list[UUID], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class Picked(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What became of one of the ids, in the order in which they were given."""

    id: UUID
    outcome: Literal["added", "unchanged", "failed"]
    error: str | None = None


class PicksAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What became of each id, and the group with its new count."""

    added: int
    unchanged: int
    failed: int
    rows: Sequence[Picked]
    segment: Segment


# --- what a filter amounts to ----------------------------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A filter to look at."""

    filter: Filter


class Preview(msgspec.Struct, frozen=True, rename="camel"):
    """How many living customers fit, which share of all that is (0 to 1), and ten of them, new ones rather than old."""

    count: int
    share: float
    description: str
    is_relative: bool
    sample: Sequence[Customer]


class FilterTooSlow(Invalid):
    """It takes too long to count who fits this filter."""


class AskedWhy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A filter to explain, for one customer too where one is named."""

    filter: Filter
    customer_id: UUID | None = None


class Explained(msgspec.Struct, frozen=True, rename="camel"):
    """One condition as it stands in the filter: how many customers fit it by itself, and whether the named one does."""

    text: str
    position: int
    description: str
    matches: int
    holds: bool | None


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """A filter taken apart, and how PostgreSQL would count who fits it. $1 of the statement is the workspace."""

    description: str
    is_relative: bool
    holds: bool | None
    conditions: Sequence[Explained]
    statement: str
    parameters: Sequence[str]
    plan: Sequence[str]


# --- views -----------------------------------------------------------------------------------------------------------


class View(msgspec.Struct, frozen=True, rename="camel"):
    """A list of customers as somebody looks at it: `query` is the query string of `GET /api/customers`.

    One that is not shared is its owner's only. `position` is its place among the views, the least first.
    """

    id: UUID
    name: str
    query: str
    is_shared: bool
    owner: str
    owner_name: str
    position: int
    created_at: datetime
    updated_at: datetime
    version: int


Position = Annotated[int, Meta(ge=0, le=1_000_000)]


class NewView(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A view to keep. It takes the last place unless told."""

    name: Name
    query: str
    is_shared: bool = False
    position: Position | None = None


class ViewReplacement(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What takes the place of a view; its place stays unless told."""

    name: Name
    query: str
    is_shared: bool = False
    position: Position | None = None


class ViewChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What to change of a view."""

    name: Name | UnsetType = UNSET
    query: str | UnsetType = UNSET
    is_shared: bool | UnsetType = UNSET
    position: Position | UnsetType = UNSET


class ViewNotFound(NotFound):
    """No view with this id that is yours or shared."""


class ViewNameTaken(Conflict):
    """You have another view of this name."""


class TooManyViews(Conflict):
    """You have as many views as you can have."""


class ViewOfAnother(Forbidden):
    """Only its owner and administrators change a shared view."""
