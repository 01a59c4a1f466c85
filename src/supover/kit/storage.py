"""Files that outlive a request: put as a stream, found again by a key that we make."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable
from pathlib import Path
from typing import Final, Protocol

from supover.kit import ids
from supover.kit.problems import NotFound, TooLarge

BLOCK: Final = 1 << 18
_KEY: Final = re.compile(r"[a-z]{1,20}/[0-9a-f]{32}")


class FileGone(NotFound):
    """This file is no longer kept."""


class FileTooLarge(TooLarge):
    """The file is larger than is taken here."""


class Storage(Protocol):
    """Where files are kept. Keys are ours: no name that somebody gave ever becomes a path."""

    async def put(self, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        """Keeps a stream, whole or not at all; returns its key. Raises FileTooLarge."""
        ...

    def get(self, key: str) -> AsyncGenerator[bytes]:
        """The file's bytes, block by block. Raises FileGone."""
        ...

    async def delete(self, key: str) -> None:
        """Forgets a file; one that is gone already is fine."""
        ...


class FileStorage:
    """A folder of this machine, or one that all machines mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def put(self, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        """Keeps a stream, whole or not at all; returns its key. Raises FileTooLarge."""
        key = f"{kind}/{ids.new().hex}"
        path = self._path(key)
        part = path.with_suffix(".part")
        await asyncio.to_thread(path.parent.mkdir, 0o700, True, True)
        size = 0
        file = await asyncio.to_thread(part.open, "xb")
        try:
            async for block in blocks:
                size += len(block)
                if size > max_bytes:
                    raise FileTooLarge(f"It has more than {max_bytes:,} bytes.")
                await asyncio.to_thread(file.write, block)
            await asyncio.to_thread(_settle, file.fileno(), file)
            await asyncio.to_thread(part.replace, path)
        finally:
            file.close()
            part.unlink(missing_ok=True)
        return key

    async def get(self, key: str) -> AsyncGenerator[bytes]:
        """The file's bytes, block by block. Raises FileGone."""
        try:
            file = await asyncio.to_thread(self._path(key).open, "rb")
        except FileNotFoundError:
            raise FileGone from None
        with file:
            while block := await asyncio.to_thread(file.read, BLOCK):
                yield block

    async def delete(self, key: str) -> None:
        """Forgets a file; one that is gone already is fine."""
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise FileGone
        return self.folder / key


def _settle(number: int, file: object) -> None:
    getattr(file, "flush")()  # noqa: B009
    os.fsync(number)


def of(url: str) -> Storage:
    """The storage that a setting names: `file:///folder`, or a folder's path. Raises ValueError for any other."""
    if url.startswith("file://"):
        return FileStorage(Path(url.removeprefix("file://")))
    if "://" in url:
        raise ValueError(f"SUPOVER_STORAGE_URL: {url.split('://')[0]}:// is not a storage that is known here; file:// is.")
    return FileStorage(Path(url))
