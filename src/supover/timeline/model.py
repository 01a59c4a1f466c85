"""The nouns of the timeline."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """Something that happened: `at` is when, `actor` who did it, `origin` 'live' or 'import', `data` what the event says.

    `title` says the `type` in words. Whoever came with a file was created `by` import, with its `importId` and `fileName`. On a
    timeline `orderNumber` is the number of the order it is about, or its id in the shop where it has none.
    """

    id: UUID
    type: str
    title: str
    at: datetime
    customer_id: UUID | None
    order_id: UUID | None
    actor: str
    origin: str
    data: Mapping[str, Any]
    order_number: str | None | UnsetType = UNSET
