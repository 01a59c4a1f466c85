"""The facts that this room publishes."""

from supover.kit.events import Event


class CountingStatusesChanged(Event, frozen=True, kw_only=True, rename="camel"):
    """Other orders count from now on: every customer's figures must be counted again."""

    statuses: tuple[str, ...]
