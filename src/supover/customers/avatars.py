"""Pictures of customers: drawn by us, kept as files, forgotten when nobody shows them any more."""

from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from supover.customers import commands
from supover.customers.events import AvatarChanged, AvatarRemoved
from supover.customers.model import AvatarNotFound, AvatarStale
from supover.kit import clock, images
from supover.kit.db import Change, Reader, Tx
from supover.kit.events import publish
from supover.kit.jobs import defer
from supover.kit.storage import Storage

KIND: Final = "avatars"
SIDE: Final = 512
MAX_BYTES: Final = 2 << 20
FORGET_JOB: Final = "customers.forget_avatar"

KEY: Final = "select avatar_key from customer where workspace_id = $1 and id = $2"
PUT: Final = """
    update customer set avatar_key = $3, updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""
IN_USE: Final = "select exists (select 1 from customer where workspace_id = $1 and avatar_key = $2)"


async def key(db: Reader, customer_id: UUID) -> str | None:
    """The key of a customer's picture in the storage."""
    return await db.value(KEY, customer_id)


def etag(key: str) -> str:
    """What stands for this picture and for no other."""
    return f'"{key.rpartition("/")[2]}"'


async def keep(storage: Storage, picture: images.Picture) -> str:
    """Keeps a picture as a file; returns its key."""

    async def blocks() -> AsyncGenerator[bytes]:
        yield picture.data

    return await storage.put(KIND, blocks(), max_bytes=len(picture.data))


async def put(tx: Tx, customer_id: UUID, new: str, if_match: str | None = None) -> None:
    """Shows this file as the customer's picture; the one before is forgotten. Raises CustomerNotFound, AvatarStale."""
    old = await _held(tx, customer_id, if_match)
    await _show(tx, customer_id, old, new)
    await publish(tx, [AvatarChanged(customer_id=customer_id, at=clock.now())])


async def remove(tx: Tx, customer_id: UUID, if_match: str | None = None) -> None:
    """Forgets the customer's picture. Raises CustomerNotFound, AvatarNotFound, AvatarStale."""
    old = await _held(tx, customer_id, if_match)
    if old is None:
        raise AvatarNotFound
    await _show(tx, customer_id, old, None)
    await publish(tx, [AvatarRemoved(customer_id=customer_id, at=clock.now())])


async def _held(tx: Tx, customer_id: UUID, if_match: str | None) -> str | None:
    await commands.lock(tx, customer_id, None, below="/avatar")
    found = await key(tx, customer_id)
    if if_match is not None and if_match.strip() not in ("*" if found else None, etag(found) if found else None):
        raise AvatarStale
    return found


async def _show(tx: Tx, customer_id: UUID, old: str | None, new: str | None) -> None:
    await tx.run(PUT, customer_id, new)
    tx.changes.append(Change("customer", customer_id, "avatar", old, new))
    if old is not None:
        await defer(tx, FORGET_JOB, {"key": old})


async def forget(db: Reader, storage: Storage, key: str) -> None:
    """Removes a file that no customer shows."""
    if not await db.value(IN_USE, key):
        await storage.delete(key)
