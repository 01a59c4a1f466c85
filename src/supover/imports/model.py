"""The nouns of imports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from supover.kit.problems import Conflict, Invalid, NotFound, TooManyRequests

ImportStatus = Literal["queued", "running", "completed", "completed_with_errors", "failed", "cancelled", "reverted"]


class OrderImportOptions(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How a file's columns become orders.

    `map`: field → column, an empty one for a field that is not to be read; a column named like a field needs none.
    `statusMap`: cell → status. `set`: field → the same value for every row.
    """

    source: str = "IMPORT"
    map: Mapping[str, str] = {}
    status_map: Mapping[str, str] = {}
    set: Mapping[str, str] = {}


class ImportRun(msgspec.Struct, frozen=True, rename="camel"):
    """One run of a file. `created + updated + skipped + failed = total` once it is completed; `unchanged` is `skipped`.

    Until then `total` is the file's lines and `rowsRead` how many of them are settled; `rate` is lines a second. A dry run
    has the counts of what would be, and nothing is. Of customers: `preset` is whose export the header is, `ignoredColumns` are
    those that were not taken, `consentsRefused` how many opt-ins a file may not make. While it `isReverting`, and when it is
    reverted, `removed` of those that it created are gone; `kept` are those that others have built on since. `doubtful` rows
    were taken in with a country or a phone that nobody understands.
    """

    id: UUID
    kind: str
    status: ImportStatus
    file_name: str
    dry_run: bool
    preset: str | None
    ignored_columns: Sequence[str]
    total: int | None
    rows_read: int
    done: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    failed: int
    customers_created: int
    consents_refused: int
    doubtful: int
    rate: float | None
    eta_s: int | None
    error: str | None
    is_reverting: bool
    removed: int
    kept: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reverted_at: datetime | None


class ImportTold(msgspec.Struct, frozen=True, rename="camel"):
    """One event of those that follow an import: `data` is the import as JSON, `id` how many of its rows are settled."""

    event: Literal["progress", "end"]
    data: str
    id: str


MOST_MISTAKES: Final = 50
"""So many of a row are told."""


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong with a row: in which field, a code for programs, a sentence for people."""

    field: str
    code: str
    message: str


class RowError(msgspec.Struct, frozen=True, rename="camel"):
    """A row with something wrong: which, what is wrong first, what it held, and `others`, whatever else is wrong with it."""

    row_number: int
    field: str | None
    code: str
    message: str
    cells: Sequence[str]
    others: Sequence[Mistake] = ()

    @property
    def mistakes(self) -> Sequence[Mistake]:
        """All that is wrong with it, the first one too."""
        return [Mistake(self.field or "", self.code, self.message), *self.others]

    def beside(self) -> list[str]:
        """What stands beside the row's cells in a file of such rows, in the columns BESIDE."""
        told = (f"{one.field}: {one.message}" if one.field else one.message for one in self.mistakes)
        return [str(self.row_number), self.field or "", self.message, "; ".join(told)]


BESIDE: Final = ("row", "field", "reason", "reasons")
"""The columns behind a file's own in a file of its rows with something wrong: where the first mistake is, it, and all of them."""


class ImportCheck(msgspec.Struct, frozen=True, rename="camel"):
    """What an import would find in a file, read without taking anything in: `orders` good ones, `refused` others.

    `doubtful` of the good ones have a country or a phone that nobody understands, which `doubts` tell of the first of them.
    Whether the orders are known already, and whose they are, is not looked at.
    """

    file_name: str
    rows: int
    orders: int
    refused: int
    errors: Sequence[RowError]
    doubtful: int
    doubts: Sequence[RowError]
    dry_run: bool = True


class NotReverted(msgspec.Struct, frozen=True, rename="camel"):
    """A customer of whom taking an import back left something: `why` is orders, merged or changed, `fields` what stayed."""

    customer_id: UUID
    why: str
    fields: Sequence[str]


class ImportedCustomer(msgspec.Struct, frozen=True, rename="camel"):
    """A customer whom an import made or changed: `changes` is name → [old, new], null for one that it made."""

    customer_id: UUID
    outcome: Literal["created", "updated"]
    changes: Mapping[str, Any] | None


class Stored(msgspec.Struct, frozen=True):
    """What a runner needs of a run."""

    id: UUID
    kind: str
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


class ImportNotDraft(Conflict):
    """This import does not wait to be begun."""


class ImportsFollowed(TooManyRequests):
    """As many as may are following imports just now: ask for the import itself."""


class ImportFileGone(Conflict):
    """The file of this import is not kept here: import it again."""


class ImportUnreadable(Invalid):
    """This file cannot be imported as it is."""
