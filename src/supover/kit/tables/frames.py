"""A table of any format as batches of columns of text."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from supover.kit.tables import objects, parquet, sheets
from supover.kit.tables.batches import batches
from supover.kit.tables.delimited import Delimited
from supover.kit.tables.model import Frames, TableFacts
from supover.kit.tables.opening import opened, seekable


@contextmanager
def frames(path: Path, facts: TableFacts, size: int = 10_000) -> Generator[Frames]:
    """Opens a table of any format: its header and its rows, as columns of text, `size` rows a batch.

    Cells are trimmed, CSV's and XLSX's lose a spreadsheet's guarding apostrophe; rows without a cell are left out, rows that
    are none of this table's set aside. The header is row 1, in front of it nothing counts; rows of JSON have their line's
    number, an array's elements their place from 1 on. Lists of texts, and objects in a column `customFields` or a list
    `addresses`, are taken apart as a customer file has them. Memory is that of some batches. Raises TableUnreadable, also
    on the way, naming the row.
    """
    with ExitStack() as stack:
        if facts.format == "csv":
            table = Delimited(stack.enter_context(opened(path)), facts.encoding)
        elif facts.format == "xlsx":
            table = stack.enter_context(sheets.sheet(stack.enter_context(seekable(path))))
        elif facts.format == "jsonl":
            table = objects.Objects(path, facts.encoding)
        else:
            table = parquet.Columns(stack.enter_context(seekable(path)))
        yield Frames(table.header, batches(table.pieces(), size))
