"""A file's bytes as the table holds them: gzip undone, in bounds."""

import gzip
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from supover.kit.tables.model import TableUnreadable

MAX_GROWTH: Final = 64
PACKED_GROWTH: Final = 4
ANYWAY: Final = 64 << 20
"""A zipped file may inflate to MAX_GROWTH times its size and this many bytes more; one that is packed already hardly grows."""
GZIP: Final = b"\x1f\x8b"
BLOCK: Final = 1 << 20


@contextmanager
def opened(path: Path, growth: int = MAX_GROWTH) -> Generator[IO[bytes]]:
    """The file, unzipped while it is read. Raises TableUnreadable where it is damaged, or inflates out of proportion."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
        file.seek(0)
        if not zipped:
            yield file
            return
        most = growth * path.stat().st_size + ANYWAY
        with _Unzipped(file, most) as inner:
            try:
                yield cast("IO[bytes]", inner)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TableUnreadable(f"The gzip file is damaged: {error}.") from None


class _Unzipped(gzip.GzipFile):
    def __init__(self, file: IO[bytes], most: int) -> None:
        super().__init__(fileobj=file)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        return self._bounded(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._bounded(super().read1(size))

    def _bounded(self, block: bytes) -> bytes:
        if self.tell() > self._most:
            raise TableUnreadable(f"The gzip file inflates to more than {self._most:,} bytes.")
        return block


@contextmanager
def seekable(path: Path) -> Generator[Path]:
    """The file unzipped as a file of its own while the block runs, for readers that jump about in it."""
    import tempfile

    with path.open("rb") as file:
        if file.read(2) != GZIP:
            yield path
            return
    with tempfile.TemporaryDirectory(prefix="supover-table-") as folder:
        copy = Path(folder) / "table"
        with opened(path, PACKED_GROWTH) as file, copy.open("wb") as out:
            while block := file.read(BLOCK):
                out.write(block)
        yield copy
