"""What is stored of sums and states, held against what a recount by other SQL says."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from supover.kit.db import Reader


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """Something stored that a recount does not confirm."""

    what: str
    id: UUID
    field: str
    stored: Any
    recounted: Any


Proof = Callable[[Reader], Awaitable[tuple[int, list[Difference]]]]
"""Recounts what one room stores of one workspace: how many rows were checked, and what differs."""
