"""Contacts as keyed hashes: the same mailbox or number has the same hash in one workspace, and nobody reads it back.

A workspace's key is random and stands in suppression_key, sealed with the installation's secret. So that secret may be
changed for another while the hashes, which nobody could make anew for people who were forgotten, stay as they are.
"""

import hmac
import os
from functools import lru_cache
from typing import Final
from uuid import UUID

from supover import settings as configuration
from supover.channels import sealing
from supover.customers.model import ContactsSealed
from supover.kit.crypto import NotOpened, Sealer
from supover.kit.db import Reader, Tx
from supover.settings import Settings

PURPOSE: Final = "consent/contacts"
KEY_BYTES: Final = 32

_given: list[Settings] = []


def use(settings: Settings) -> None:
    """Says which settings this process runs by; until then they are those in force where it was started."""
    _given[:] = [settings]


@lru_cache(maxsize=1)
def _in_force() -> Settings:
    return configuration.load()


def _sealer() -> Sealer:
    return sealing.sealer(_given[0] if _given else _in_force())


@lru_cache(maxsize=1024)
def _opened(sealer: Sealer, sealed: bytes, workspace_id: UUID) -> bytes:
    try:
        return sealer.open(sealed, purpose=PURPOSE, workspace=workspace_id)
    except NotOpened as error:
        raise ContactsSealed(f"Bring back the secret key of this installation: {error}.") from None


class Hasher:
    """Hashes contacts with a workspace's key; without one nothing was ever hashed there, and its hashes meet none."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, key: str) -> bytes:
        """The hash of what the spellings of one contact have in common."""
        return hmac.digest(self._key, key.encode(), "sha256")


def opened(sealed: bytes, workspace_id: UUID) -> Hasher:
    """The hasher of a workspace whose key is at hand. Raises ContactsSealed."""
    return Hasher(_opened(_sealer(), sealed, workspace_id))


FIND: Final = "select sealed from suppression_key where workspace_id = $1"


async def hasher(db: Reader) -> Hasher:
    """What contacts of this workspace are looked up by. Raises ContactsSealed."""
    sealed = await db.value(FIND)
    return Hasher(os.urandom(KEY_BYTES) if sealed is None else _opened(_sealer(), sealed, db.workspace_id))


# Of two who make it at once the second gets the first one's.
ADD: Final = """
    insert into suppression_key as k (workspace_id, sealed) values ($1, $2)
        on conflict (workspace_id) do update set sealed = k.sealed
    returning k.sealed"""
SEAL_ANEW: Final = "update suppression_key set sealed = $3 where workspace_id = $1 and sealed = $2"


async def writer(tx: Tx) -> Hasher:
    """As `hasher`, for who keeps hashes: makes the key at the first use, and seals it anew after a change of the secret."""
    sealer = _sealer()
    sealed = await tx.value(FIND)
    if sealed is None:
        new = sealer.seal(os.urandom(KEY_BYTES), purpose=PURPOSE, workspace=tx.workspace_id)
        sealed = await tx.value(ADD, new)
    key = _opened(sealer, sealed, tx.workspace_id)
    if sealer.is_stale(sealed):
        await tx.run(SEAL_ANEW, sealed, sealer.seal(key, purpose=PURPOSE, workspace=tx.workspace_id))
    return Hasher(key)


async def bring_back(tx: Tx, sealed: bytes) -> None:
    """Keeps a workspace's key that a backup did not have yet. Raises ContactsSealed."""
    _opened(_sealer(), sealed, tx.workspace_id)
    await tx.value(ADD, sealed)
