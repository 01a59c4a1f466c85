"""The facts that this room publishes."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from supover.kit.events import Event


class CustomersRecounted(Event, frozen=True):
    """Customers' figures were counted again; `from_history` are those for whom only history was the reason."""

    live: Sequence[UUID]
    from_history: Sequence[UUID]
    logged: ClassVar[bool] = False
