"""What happens to messages."""

from uuid import UUID

from supover.kit.events import Event


class MessageSetAside(Event, frozen=True):
    """A message of a channel could not be taken; somebody should look at it."""

    message_id: UUID
    topic: str
    reason: str
