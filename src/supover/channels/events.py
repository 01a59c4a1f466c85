"""What happens to connections."""

from uuid import UUID

from supover.kit.events import Event


class ChannelConnected(Event, frozen=True):
    """A shop was connected."""

    connection_id: UUID
    platform: str
    shop: str


class ChannelSecretRotated(Event, frozen=True):
    """A connection signs with another secret from now on."""

    connection_id: UUID


class ChannelDisconnected(Event, frozen=True):
    """A connection ended: nothing of it is accepted any more."""

    connection_id: UUID
    platform: str
    shop: str
