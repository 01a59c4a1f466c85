"""The nouns of imports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, Invalid, NotFound

ImportStatus = Literal["queued", "running", "completed", "completed_with_errors", "failed", "cancelled", "reverted"]


class OrderImportOptions(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How a file's columns become orders.

    `map`: field → column; a column named like a field needs none. `statusMap`: cell → status. `set`: field → the same value
    for every row.
    """

    source: str = "IMPORT"
    map: Mapping[str, str] = {}
    status_map: Mapping[str, str] = {}
    set: Mapping[str, str] = {}


class ImportRun(msgspec.Struct, frozen=True, rename="camel"):
    """One run of a file. `created + updated + unchanged + failed = total` once it is completed; `skipped` is `unchanged`.

    Until then `total` is the file's lines and `rowsRead` how many of them are settled; `rate` is lines a second.
    """

    id: UUID
    kind: str
    status: ImportStatus
    file_name: str
    total: int | None
    rows_read: int
    done: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    failed: int
    customers_created: int
    rate: float | None
    eta_s: int | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RowError(msgspec.Struct, frozen=True, rename="camel"):
    """A row that was refused: which, why, and what it held."""

    row_number: int
    field: str | None
    code: str
    message: str
    cells: Sequence[str]


class ImportCheck(msgspec.Struct, frozen=True, rename="camel"):
    """What an import would find in a file, read without taking anything in: `orders` good ones, `refused` others.

    Whether the orders are known already, and whose they are, is not looked at.
    """

    file_name: str
    rows: int
    orders: int
    refused: int
    errors: Sequence[RowError]
    dry_run: bool = True


class Stored(msgspec.Struct, frozen=True):
    """What a runner needs of a run."""

    id: UUID
    status: ImportStatus
    file_key: str | None
    file_name: str
    options: Any
    rows_read: int
    actor: str


class ImportNotFound(NotFound):
    """No import with this id in this workspace."""


class ImportMoved(Conflict):
    """Somebody else is running this import."""


class ImportEnded(Conflict):
    """This import has ended."""


class ImportFileGone(Conflict):
    """The file of this import is not kept here: import it again."""


class ImportUnreadable(Invalid):
    """This file cannot be imported as it is."""
