"""For how long things are kept: rooms say what they forget, one job of the house asks them all."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from supover.kit.db import Database

Forget = Callable[[Database, UUID, int], Awaitable[int]]
"""Forgets what is older than so many units in a workspace, in batches of its own transactions; returns how much that was."""

F = TypeVar("F", bound=Forget)


class Kept(msgspec.Struct, frozen=True):
    """Something that is kept for as long as a setting says."""

    setting: str
    forget: Forget


_kept: Final[list[Kept]] = []


def forgets(setting: str) -> Callable[[F], F]:
    """Registers what forgets by this setting of privacy_setting, such as `raw_webhook_days`."""

    def register(forget: F) -> F:
        if any((one.setting, one.forget) == (setting, forget) for one in _kept):
            raise ValueError(f"It forgets by {setting} already.")
        _kept.append(Kept(setting, forget))
        return forget

    return register


def kept() -> Sequence[Kept]:
    """Everything that is registered."""
    return tuple(_kept)
