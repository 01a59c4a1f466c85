"""Files that people hand in and take out: imports, exports, avatars, labels.

A file's key is made here and is nobody's text: its kind, a word of ours, and 32 hex digits. What a person calls a file
stands in the database. A file appears whole or not at all.
"""

import asyncio
import base64
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from supover.kit import clock, crypto, ids
from supover.kit.problems import Forbidden, NotFound, TooLarge, Unavailable

T = TypeVar("T")

BLOCK: Final = 1 << 18
KIND: Final = re.compile(r"[a-z]{1,20}", re.ASCII)
KEY: Final = re.compile(r"[a-z]{1,20}/[0-9a-f]{32}", re.ASCII)


class FileGone(NotFound):
    """This file is no longer kept."""


class FileTooLarge(TooLarge):
    """The file is larger than is taken here."""


class StorageUnavailable(Unavailable):
    """The storage of files cannot be reached."""


class LinkRefused(Forbidden):
    """This link is not valid, or no longer."""


class Storage(Protocol):
    """Where files are kept. A key that was not made here is a file that does not exist."""

    async def put(self, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        """Keeps a stream, whole or not at all, whatever it breaks off by; returns its key. Raises FileTooLarge."""
        ...

    def get(self, key: str) -> AsyncGenerator[bytes]:
        """The file's bytes, block by block. Raises FileGone at its first step."""
        ...

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file as a path on this machine while the block runs, for libraries that seek. Raises FileGone."""
        ...

    async def size(self, key: str) -> int | None:
        """The file's length in bytes, None when there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Forgets a file; one that is gone already is fine."""
        ...

    async def sweep(self, before: datetime) -> int:
        """Removes what streams that broke off before this time have left; how many there were."""
        ...

    async def look(self) -> str:
        """Whether files can be kept here, asked without keeping one: what it is. Raises StorageUnavailable saying why not."""
        ...


def of(url: str) -> Storage:
    """The storage that a setting names: `file:///folder`, a folder's path, or `s3://…` (see `kit/s3`).

    Raises ValueError for any other.
    """
    if "://" not in url and url:
        return FileStorage(Path(url))
    if url.startswith("s3://"):
        # Its library is large, and most have no use for it.
        from supover.kit import s3

        return s3.S3Storage(s3.place(url))
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ValueError(
            f"SUPOVER_STORAGE_URL: {parts.scheme}:// is not a storage that is known here; file:///FOLDER and s3://BUCKET are."
        )
    return FileStorage(Path(unquote(parts.path)))


def new_key(kind: str) -> str:
    """A key of a file to be."""
    if not KIND.fullmatch(kind):
        raise ValueError("a kind of file is a word of 1 to 20 letters a to z")
    return f"{kind}/{ids.new().hex}"


class FileStorage:
    """A folder of this machine, or one that all machines mount; only this account reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # No kind begins with a dot, so no key names a part.
        self._parts = folder / ".parts"

    async def put(self, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        """Keeps a stream, whole or not at all, whatever it breaks off by; returns its key. Raises FileTooLarge."""
        key = new_key(kind)
        part, path = self._parts / key.partition("/")[2], self.folder / key
        opened: list[BinaryIO] = []
        is_kept = False
        try:
            await in_thread(lambda: opened.append(self._begin(part, path)))
            await _write(opened[0], blocks, max_bytes)
            await in_thread(lambda: _settle(opened[0], part, path))
            is_kept = True
        finally:
            if not is_kept:
                await in_thread(lambda: _discard(opened, part, path))
        return key

    async def get(self, key: str) -> AsyncGenerator[bytes]:
        """The file's bytes, block by block. Raises FileGone at its first step."""
        path = self._path(key)
        opened: list[BinaryIO] = []
        try:
            await in_thread(lambda: opened.append(_opened(path)))
            while block := await in_thread(lambda: opened[0].read(BLOCK)):
                yield block
        finally:
            for file in opened:
                file.close()

    @asynccontextmanager
    async def local(self, key: str) -> AsyncGenerator[Path]:
        """The file as a path on this machine while the block runs, for libraries that seek. Raises FileGone."""
        path = self._path(key)
        if await self.size(key) is None:
            raise FileGone
        yield path

    async def size(self, key: str) -> int | None:
        """The file's length in bytes, None when there is none."""
        if not KEY.fullmatch(key):
            return None
        path = self._path(key)
        try:
            return (await in_thread(lambda: path.stat(follow_symlinks=False))).st_size
        except FileNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """Forgets a file; one that is gone already is fine."""
        path = self._path(key)
        await in_thread(lambda: path.unlink(missing_ok=True))

    async def sweep(self, before: datetime) -> int:
        """Removes what streams that broke off before this time have left; how many there were."""
        return await in_thread(lambda: self._swept(before))

    async def look(self) -> str:
        """Whether files can be kept here, asked without keeping one: what it is. Raises StorageUnavailable saying why not."""
        made = next(place for place in (self.folder, *self.folder.parents) if place.exists())
        if not made.is_dir() or not os.access(made, os.R_OK | os.W_OK | os.X_OK):
            raise StorageUnavailable(f"{made} cannot be read and written")
        return f"{self.folder}, to be read and written"

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise FileGone
        return self.folder / key

    def _begin(self, part: Path, path: Path) -> BinaryIO:
        for folder in (self.folder, part.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(part, flags, 0o600), "wb", buffering=0)

    def _swept(self, before: datetime) -> int:
        gone = 0
        for part in self._parts.glob("*"):
            with suppress(FileNotFoundError):
                if part.stat(follow_symlinks=False).st_mtime < before.timestamp():
                    part.unlink()
                    gone += 1
        return gone


async def _write(file: BinaryIO, blocks: AsyncIterable[bytes], max_bytes: int) -> None:
    size = 0
    pending = bytearray()

    def flush() -> None:
        view = memoryview(bytes(pending))
        while view:
            view = view[file.write(view) :]
        pending.clear()

    async for block in blocks:
        size += len(block)
        if size > max_bytes:
            raise FileTooLarge(f"It has more than {max_bytes:,} bytes.")
        pending += block
        if len(pending) >= BLOCK:
            await in_thread(flush)
    if pending:
        await in_thread(flush)


def _opened(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")
    except FileNotFoundError:
        raise FileGone from None


def _settle(file: BinaryIO, part: Path, path: Path) -> None:
    os.fsync(file.fileno())
    file.close()
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _discard(opened: list[BinaryIO], part: Path, path: Path) -> None:
    for file in opened:
        file.close()
    for name in (part, path):
        name.unlink(missing_ok=True)


async def in_thread(call: Callable[[], T]) -> T:
    """Runs it in a thread; who is cancelled waits for its end all the same."""
    # A thread cannot be cancelled. Who is cancelled while it works waits for its end, or would close the file under
    # its hands, and the number of a closed file may already be another's. What it returns is lost then.
    working = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


# --- links ---


def link_token(secret: str | bytes, key: str, expires_at: datetime) -> str:
    """A token for an address by which anybody may fetch this one file until then."""
    if not KEY.fullmatch(key):
        raise FileGone
    said = f"{key}/{int(expires_at.timestamp())}"
    return f"{_packed(said.encode())}.{crypto.sign(secret, _message(said), 'base64url')}"


def key_of_link(secret: str | bytes, token: str) -> str:
    """The file that a token is for. Raises LinkRefused when it was not made here or has expired."""
    packed, _, signature = token[:500].partition(".")
    said = _unpacked(packed)
    if said is None or not crypto.verify(secret, _message(said), signature, "base64url"):
        raise LinkRefused
    key, _, until = said.rpartition("/")
    if clock.now() >= datetime.fromtimestamp(int(until), UTC):
        raise LinkRefused("it has expired")
    return key


def _message(said: str) -> bytes:
    # Named, so that a signature made for something else with the same secret is none here.
    return b"supover/storage-link/" + said.encode()


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> str | None:
    # Only the one spelling that `_packed` gives: another would make two tokens of one.
    try:
        said = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (ValueError, UnicodeError):
        return None
    return said if _packed(said.encode()) == text else None
