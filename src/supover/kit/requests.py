"""The last requests of the API, for each workspace: kept in this process, and gone with it."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec

from supover.kit import clock

MOST_EACH: Final = 500
MOST_WORKSPACES: Final = 200
PATH_LENGTH: Final = 300


class Caller(Protocol):
    """Who sent a request."""

    @property
    def workspace_id(self) -> UUID:
        """The workspace that they are in."""
        ...

    @property
    def name(self) -> str:
        """What they are called."""
        ...


class Answered(msgspec.Struct, frozen=True):
    """A request that was answered, without what its address asked for or its body held."""

    at: datetime
    method: str
    path: str
    status: int
    seconds: float
    name: str
    request_id: str


class Requests:
    """What was answered of late. Bounded: of a workspace the last 500, of workspaces those that asked last."""

    def __init__(self) -> None:
        self.since = clock.now()
        self._kept: OrderedDict[UUID, deque[tuple[datetime, str, str, int, float, str, str]]] = OrderedDict()

    def note(self, caller: Caller, method: str, path: str, status: int, seconds: float, request_id: str) -> None:
        """Keeps one; costs its request a microsecond or two."""
        kept = self._kept.get(caller.workspace_id)
        if kept is None:
            if len(self._kept) >= MOST_WORKSPACES:
                self._kept.popitem(last=False)
            kept = self._kept[caller.workspace_id] = deque(maxlen=MOST_EACH)
        else:
            self._kept.move_to_end(caller.workspace_id)
        kept.append((clock.now(), method, path[:PATH_LENGTH], status, seconds, caller.name, request_id))

    def of(self, workspace_id: UUID) -> Sequence[Answered]:
        """A workspace's, the newest first."""
        return [Answered(*one) for one in reversed(self._kept.get(workspace_id, ()))]
