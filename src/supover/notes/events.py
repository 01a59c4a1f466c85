"""What happens to notes. The text itself stays with the note."""

from uuid import UUID

from supover.kit.events import Event


class NoteAdded(Event, frozen=True):
    """Somebody wrote a note."""

    note_id: UUID
    author_name: str


class NoteChanged(Event, frozen=True):
    """A note says something else now."""

    note_id: UUID


class NoteRemoved(Event, frozen=True):
    """A note is gone."""

    note_id: UUID
