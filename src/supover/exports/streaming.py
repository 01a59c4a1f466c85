"""Answers that are sent as they come: an export out of the database, a file out of the storage.

What goes wrong before the first byte is told as a problem; later the connection is broken off, so that a file which ends
well is whole. Who goes away, or reads nothing for a minute, ends the statement.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from litestar.types import Receive, Scope, Send

from supover.exports import commands, queries, questions
from supover.exports.model import Asked, ExportsBusy, Kind, ReaderStalled
from supover.kit.db import Database, Reader

AT_ONCE: Final = 2
"""So many exports of one workspace are sent at a time."""
SHARE: Final = 3
"""Of a process's database connections one in so many sends exports."""
IDLE_S: Final = 60.0
STREAM_S: Final = 1800.0
"""The statement of an export that is sent at once may take so long, the reader's time included."""

SLOT: Final = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text || $2, 41))"

_sending: Final[WeakKeyDictionary[Database, int]] = WeakKeyDictionary()


class Sending:
    """An answer of blocks: an ASGI application. `leave` is closed when all is sent, or nothing more will be."""

    def __init__(
        self, blocks: AsyncGenerator[bytes], first: bytes, headers: Mapping[str, str], leave: AsyncExitStack
    ) -> None:
        self._blocks = blocks
        self._first = first
        self._headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it. Raises what went wrong in the middle, and ReaderStalled."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await _unless(gone, send({"type": "http.response.start", "status": 200, "headers": self._headers}))
            block = self._first
            while block:
                is_there = await _unless(gone, send({"type": "http.response.body", "body": block, "more_body": True}))
                if not is_there:
                    return
                block = await anext(self._blocks, b"")
            await _unless(gone, send({"type": "http.response.body", "body": b"", "more_body": False}))
        finally:
            gone.cancel()
            await self._leave.aclose()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unless(gone: "asyncio.Task[None]", sending: Awaitable[None]) -> bool:
    """Waits until this is sent; False when whoever asked has gone away. Raises ReaderStalled."""
    task = asyncio.ensure_future(sending)
    try:
        await asyncio.wait([task, gone], timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            return False
        if not task.done():
            raise ReaderStalled(f"It has read nothing for {IDLE_S:.0f} s.")
        task.result()
        return True
    finally:
        task.cancel()


async def begin(
    database: Database,
    workspace_id: UUID,
    kind: Kind,
    asked: Asked,
    note: Callable[[], Awaitable[None]],
    headers: Mapping[str, str],
) -> Sending:
    """A CSV on its way; `note` is awaited once its first rows are there, before anything is sent.

    All of it is of one moment. Raises Invalid, ExportsBusy, OverCapacity.
    """
    async with AsyncExitStack() as stack:
        _take(database)
        stack.callback(_give, database)
        db = await stack.enter_async_context(database.snapshot(workspace_id))
        await _slot(db)
        await queries.limit(db, STREAM_S)
        blocks = commands.blocks(db, await questions.question(db, kind, asked))
        stack.push_async_callback(blocks.aclose)
        # The header is known at once; that the statement works is known by its first rows.
        first = await anext(blocks) + await anext(blocks, b"")
        await note()
        return Sending(blocks, first, headers, stack.pop_all())


def _take(database: Database) -> None:
    _, _, size = database.in_use()
    if _sending.get(database, 0) >= max(1, size // SHARE):
        raise ExportsBusy("Others are being sent; a file can be made meanwhile.", headers={"Retry-After": "5"})
    _sending[database] = _sending.get(database, 0) + 1


def _give(database: Database) -> None:
    _sending[database] -= 1


async def _slot(db: Reader) -> None:
    """Holds one of the workspace's turns until the transaction ends, whichever process it is in. Raises ExportsBusy."""
    for n in range(AT_ONCE):
        if await db.value(SLOT, f"/export/{n}"):
            return
    raise ExportsBusy(
        f"{AT_ONCE} of this workspace are being sent; a file can be made meanwhile.", headers={"Retry-After": "5"}
    )


async def of_file(blocks: AsyncGenerator[bytes], headers: Mapping[str, Any]) -> Sending:
    """A file on its way. Raises FileGone."""
    stack = AsyncExitStack()
    stack.push_async_callback(blocks.aclose)
    async with stack:
        first = await anext(blocks, b"")
        return Sending(blocks, first, headers, stack.pop_all())
