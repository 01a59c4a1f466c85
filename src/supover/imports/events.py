"""What imports tell."""

from uuid import UUID

from supover.kit.events import Event


class CustomersImported(Event, frozen=True):
    """Some rows of a file became customers, or changed some: who, tells `GET /api/imports/{id}/customers`."""

    import_id: UUID
    chunk: int
    created: int
    updated: int


class ImportReverted(Event, frozen=True):
    """What an import did is taken back, but for what others have built on since."""

    import_id: UUID
    removed: int
    restored: int
    kept: int
