"""What happens to addresses; what they say is not told here."""

from uuid import UUID

from supover.kit.events import Event


class AddressAdded(Event, frozen=True):
    """A customer has one more address."""

    address_id: UUID


class AddressChanged(Event, frozen=True):
    """An address was changed, or became the default."""

    address_id: UUID


class AddressRemoved(Event, frozen=True):
    """A customer has one address less."""

    address_id: UUID
