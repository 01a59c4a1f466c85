"""The nouns of duplicates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, NotFound
from supover.merging.model import FieldChoice

Level = Literal["automatic", "suggested", "review"]
Status = Literal["open", "dismissed", "merged"]
ScanStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
NOTE_LENGTH: Final = 1_000
"""So many characters the note of a dismissal has at most."""

# --- errors ----------------------------------------------------------------------------------------------------------


class PairNotFound(NotFound):
    """No pair of customers with this id in this workspace."""


class PairDecided(Conflict):
    """This pair of customers was decided already."""


class ClusterNotFound(NotFound):
    """No group of possible duplicates with this id in this workspace."""


class ScanNotFound(NotFound):
    """No scan with this id in this workspace."""


# --- pairs -----------------------------------------------------------------------------------------------------------


class PairSide(msgspec.Struct, frozen=True, rename="camel"):
    """One of the two customers."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None


class DuplicatePair(msgspec.Struct, frozen=True, rename="camel"):
    """Two customers that may be one person.

    `score` is in bits: log2 of the odds that they are, 0 as likely as not; `reasons` in words. `clusterId` is the group that
    both are in.
    """

    id: UUID
    a: PairSide
    b: PairSide
    score: Decimal
    reasons: Sequence[str]
    level: Level
    status: Status
    cluster_id: UUID | None
    created_at: datetime
    version: int


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """What one field says: so many bits for one person, or against."""

    field: str
    words: str
    bits: float


class Side(msgspec.Struct, frozen=True, rename="camel"):
    """One of the two customers, as far as it was compared."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    date_of_birth: str | None
    source: str
    external_id: str | None
    emails: Sequence[str]
    phones: Sequence[str]
    addresses: Sequence[str]
    order_count: int
    created_at: datetime


class PairDetail(msgspec.Struct, frozen=True, rename="camel"):
    """Two customers side by side, with the sum of what speaks for and against their being one person.

    Where a scan has seen both, the bits of `evidence` add up to `score`.
    """

    id: UUID
    a: Side
    b: Side
    score: Decimal
    reasons: Sequence[str]
    evidence: Sequence[Evidence]
    level: Level
    own_level: str | None
    status: Status
    cluster_id: UUID | None
    note: str | None
    merge_id: UUID | None
    decided_at: datetime | None
    decided_by: str | None
    created_at: datetime
    version: int


class Dismissal(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Why two customers are not one person, where that is worth to be known later."""

    note: Annotated[str, msgspec.Meta(max_length=NOTE_LENGTH)] | None = None


class Acceptance(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which of the two stays, and which value of which customer, as `POST /api/customers/merge` takes them."""

    primary_id: UUID | None = None
    fields: Mapping[str, FieldChoice] = {}


# --- groups ----------------------------------------------------------------------------------------------------------


class Cluster(msgspec.Struct, frozen=True, rename="camel"):
    """Customers that are one person by all that is known; its id is that of the oldest."""

    id: UUID
    customers: Sequence[PairSide]
    pairs: int
    score: Decimal
    level: Level


# --- scans -----------------------------------------------------------------------------------------------------------


class NewScan(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a scan is to do: `full` compares everybody with everybody, else only who is new or has changed is compared."""

    full: bool = False


class Scan(msgspec.Struct, frozen=True, rename="camel"):
    """A search for duplicates, and what it found.

    `phase`: waiting, profiles, frequencies, comparing, grouping, done. `compared` counts the pairs that shared something.
    """

    id: UUID
    full: bool
    status: ScanStatus
    phase: str
    customers: int
    changed: int
    compared: int
    automatic: int
    suggested: int
    review: int
    clusters: int
    error: str | None
    job_id: UUID | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


# --- settings --------------------------------------------------------------------------------------------------------


class Settings(msgspec.Struct, frozen=True, rename="camel"):
    """What a workspace wants: pairs of the level automatic merged by themselves, a scan every night."""

    automatic_merging: bool = False
    nightly_scan: bool = True
    version: int = 0


class SettingsChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What is to be changed of the settings."""

    automatic_merging: bool | msgspec.UnsetType = msgspec.UNSET
    nightly_scan: bool | msgspec.UnsetType = msgspec.UNSET
