"""What happens to consent."""

from datetime import datetime
from uuid import UUID

from supover.kit.events import Event


class ConsentChanged(Event, frozen=True):
    """A customer may be written to on a topic who might not before, or the other way round; `said_at` is when they said so."""

    channel: str
    topic: str
    state: str
    was: str
    said_at: datetime
    source: str | None = None


class PreferencesChanged(Event, frozen=True):
    """A customer's language, preferred channel or quiet hours changed; `fields` names them."""

    fields: list[str]


class SuppressionAdded(Event, frozen=True):
    """A contact is not written to any more; it stands with the suppression, not here."""

    suppression_id: UUID
    channel: str
    reason: str
    topic: str | None = None


class SuppressionLifted(Event, frozen=True):
    """A contact may be written to again, as far as this suppression goes."""

    suppression_id: UUID
    channel: str
    reason: str
    topic: str | None = None
