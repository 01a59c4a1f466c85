"""Tables that people bring: CSV and TSV, XLSX, JSON and Parquet files, also gzipped, told apart by what they hold.

`facts` looks a file over, `frames` reads it batch by batch into columns of text, `read` reads CSV and TSV row by row. Each
takes as long as the disk and the parsing do: call them in a thread. What cannot be read is a `TableUnreadable`.
"""

from supover.kit.tables.cells import SPACE, TYPED, guarded, items, plain, shown, tags_cell, typed
from supover.kit.tables.frames import frames
from supover.kit.tables.model import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_ROW,
    Batch,
    Format,
    Frames,
    OddRow,
    Table,
    TableFacts,
    TableUnreadable,
)
from supover.kit.tables.opening import ANYWAY, MAX_GROWTH
from supover.kit.tables.recognise import facts
from supover.kit.tables.rows import ahead, read

__all__ = [
    "ANYWAY",
    "MAX_CELL",
    "MAX_COLUMNS",
    "MAX_GROWTH",
    "MAX_ROW",
    "SPACE",
    "TYPED",
    "Batch",
    "Format",
    "Frames",
    "OddRow",
    "Table",
    "TableFacts",
    "TableUnreadable",
    "ahead",
    "facts",
    "frames",
    "guarded",
    "items",
    "plain",
    "read",
    "shown",
    "tags_cell",
    "typed",
]
