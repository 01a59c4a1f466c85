"""The nouns of the screens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from supover.access.model import Choice

Language = Literal["en", "vi"]
LANGUAGES: Final[dict[Language, str]] = {"en": "English", "vi": "Tiếng Việt"}


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A sentence of ours, told later and in the reader's language.

    `values` stand at its places, as in `%(name)s`: numbers with the reader's separators, and what is said itself in their
    language. One that counts is `many` for every `n` but one.
    """

    text: str
    values: Mapping[str, "str | int | Said"] = {}
    many: str = ""
    n: int = 1


class Flash(msgspec.Struct, frozen=True, array_like=True):
    """What the next page tells was done; `undo` is where a form takes it back."""

    said: Sequence[Said]
    undo: str = ""


class Seen(msgspec.Struct, frozen=True):
    """A customer whose profile was looked at."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at a page, where, in which language and time zone, and what waits for them.

    `duplicates` and `reviews` are pairs and orders that wait to be looked at, `failed` the imports, exports and jobs that failed
    since notifications were marked as seen, `failed_imports` those of them that are imports; each kind is counted up to 100.
    """

    id: UUID
    name: str
    email: str
    role: str
    permissions: frozenset[str]
    workspace: Choice
    workspaces: Sequence[Choice]
    language: Language
    timezone: str
    columns: Sequence[str] | None
    recent: Sequence[Seen]
    seen_at: datetime | None
    duplicates: int
    reviews: int
    failed_imports: int
    failed: int

    def may(self, permission: str) -> bool:
        """Whether they hold the permission."""
        return permission in self.permissions


class Waiting(msgspec.Struct, frozen=True):
    """How much waits for somebody: pairs, orders of nobody, orders without a rate, jobs that gave up, privacy requests."""

    duplicates: int
    reviews: int
    rates: int
    jobs: int
    privacy: int


class Notice(msgspec.Struct, frozen=True):
    """Something that failed: an 'import', an 'export' or a 'job'."""

    kind: str
    id: UUID
    name: str
    error: str | None
    at: datetime | None


class Done(msgspec.Struct, frozen=True):
    """Which of the first steps were taken."""

    customers: bool
    orders: bool
    channel: bool
    staff: bool
    segment: bool
    scan: bool

    @property
    def all(self) -> bool:
        """Whether nothing is left."""
        return self.customers and self.orders and self.channel and self.staff and self.segment and self.scan


class Preference(msgspec.Struct, frozen=True, rename="camel"):
    """How somebody wants the screens to be; null is what the browser or the workspace says."""

    language: Language | None = None
    timezone: str | None = None
