"""The nouns of notes."""

from datetime import datetime
from uuid import UUID

import msgspec

from supover.kit.problems import NotFound


class Note(msgspec.Struct, frozen=True, rename="camel"):
    """A note. `author` is 'staff:ID' or 'key:ID', `authorName` who that was then."""

    id: UUID
    customer_id: UUID
    note: str
    pinned: bool
    author: str
    author_name: str
    created_at: datetime
    updated_at: datetime
    version: int


class NewNote(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A note to write, up to 10,000 characters; a pinned one stays on top."""

    note: str
    pinned: bool = False


class NoteNotFound(NotFound):
    """No note with this id on this customer."""
