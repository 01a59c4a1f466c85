"""The facts that this room publishes."""

from typing import ClassVar

from supover.kit.events import Event


class WorkspaceCreated(Event, frozen=True):
    """There is a new workspace, with nothing in it. The audit log says by whom."""

    logged: ClassVar[bool] = False


class CountingStatusesChanged(Event, frozen=True, kw_only=True, rename="camel"):
    """Other orders count from now on: every customer's figures must be counted again."""

    statuses: tuple[str, ...]


class TimezoneChanged(Event, frozen=True):
    """Days begin at another time from now on."""

    timezone: str
