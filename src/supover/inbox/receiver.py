"""Deliveries arrive: who sends is proved by the signature over the raw bytes, before anything is parsed or kept.

Everything that is not accepted gets the same answer after the same work, whether its connection is unknown, has ended, has
lost its secret, or signs otherwise.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from supover.channels import sealing
from supover.channels.commands import PURPOSE
from supover.channels.connectors import CONNECTORS
from supover.channels.model import Envelope
from supover.inbox import commands
from supover.inbox.model import Arrived, DeliveriesWaiting, NotSigned
from supover.kit import clock
from supover.kit.crypto import NotOpened, Sealer
from supover.kit.db import Database
from supover.settings import Settings

REMEMBER_S: Final = 5.0
"""How long a process goes on accepting a secret that was replaced, or a connection that has ended."""

REMEMBER_MOST: Final = 10_000
KEEPERS: Final = 1_000
MOST_AT_ONCE: Final = 256
MOST_BYTES: Final = 16 << 20

UNPROVED_BYTES: Final = 64 << 20
"""So much a process holds of bodies from anybody: no signature is checked before the last byte."""

TEXT_LENGTH: Final = 200
CHALLENGE: Final = {"WWW-Authenticate": "Signature"}


class _Signer(msgspec.Struct, frozen=True):
    """Who may sign for a connection: two secrets always, so that checking takes as long for everybody."""

    workspace_id: UUID | None
    platform: str
    shop: str
    secrets: Sequence[bytes]
    until_s: float = 0.0

    def accepts(self, headers: Mapping[bytes, bytes], body: bytes) -> Envelope | None:
        """What the envelope says, where the body is signed and the envelope names no other shop."""
        connector = CONNECTORS[self.platform]
        envelope = connector.envelope(headers)
        is_signed = connector.is_signed(self.secrets, body, envelope)
        is_here = self.workspace_id is not None and envelope.shop in (None, self.shop)
        return envelope if is_signed and is_here else None


def _nobody() -> _Signer:
    return _Signer(None, "SHOPIFY", "", (os.urandom(32), os.urandom(32)))


NOBODY: Final = _nobody()

FIND: Final = "select c.workspace_id, c.platform, c.shop, c.secret, c.former_secret, c.former_secret_until from channel_by_id($1) c"


class Receiver:
    """Takes deliveries in; one a process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._known: dict[UUID, _Signer] = {}
        self._keepers: dict[UUID, _Keeper] = {}
        self.unproved = 0

    async def take(
        self, connection_id: UUID | None, headers: Mapping[bytes, bytes], body: AsyncIterable[bytes]
    ) -> None:
        """Keeps a delivery; returns once it is committed. One that came before is accepted and changes nothing.

        Raises NotSigned; DeliveriesWaiting when too much is held of bodies whose signature nobody has checked yet.
        """
        if not any(connector.envelope(headers).signature for connector in CONNECTORS.values()):
            raise NotSigned(headers=CHALLENGE)
        held = 0
        parts: list[bytes] = []
        try:
            async for part in body:
                held += len(part)
                self.unproved += len(part)
                if self.unproved > UNPROVED_BYTES:
                    raise DeliveriesWaiting(headers={"Retry-After": "1"})
                parts.append(part)
            await self._take(connection_id or UUID(int=0), headers, b"".join(parts))
        finally:
            self.unproved -= held

    async def _take(self, id: UUID, headers: Mapping[bytes, bytes], body: bytes) -> None:
        signer = self._known.get(id, NOBODY)
        if signer.until_s < clock.monotonic_s():
            signer = NOBODY
        envelope = signer.accepts(headers, body)
        if envelope is None:
            # What is remembered may be older than a rotation; and what is refused has always cost a look-up.
            signer = await self._look_up(id)
            envelope = signer.accepts(headers, body)
            if envelope is None:
                raise NotSigned(headers=CHALLENGE)
            if len(self._known) >= REMEMBER_MOST:
                self._known.clear()
            self._known[id] = signer
        assert signer.workspace_id is not None
        await self._keeper(signer.workspace_id).keep(_arrived(id, envelope, body))

    def _keeper(self, workspace_id: UUID) -> "_Keeper":
        found = self._keepers.get(workspace_id)
        if found is None:
            if len(self._keepers) >= KEEPERS:
                self._keepers = {id: keeper for id, keeper in self._keepers.items() if not keeper.is_idle}
            found = self._keepers[workspace_id] = _Keeper(self._database, workspace_id)
        return found

    async def _look_up(self, id: UUID) -> _Signer:
        async with self._database.across() as con:
            row = await con.fetchrow(FIND, id)
        sealer = sealing.sealer(self._settings)
        now_s = clock.monotonic_s()
        if row is None:
            # As much work as for somebody who is known.
            _opened(sealer, sealer.seal(NOBODY.secrets[0], purpose=PURPOSE), None)
            return NOBODY
        workspace_id, platform, shop, secret, former, former_until = row
        secrets = [_opened(sealer, secret, workspace_id)]
        if former is not None and former_until > clock.now():
            secrets.append(_opened(sealer, former, workspace_id))
        usable = [one for one in secrets if one is not None]
        padded = [*usable, *NOBODY.secrets][:2]
        return _Signer(workspace_id if usable else None, platform, shop, padded, now_s + REMEMBER_S)


def _opened(sealer: Sealer, sealed: bytes, workspace_id: UUID | None) -> bytes | None:
    """A secret; None where it cannot be opened, which is as good as none: nothing is accepted then."""
    try:
        return sealer.open(sealed, purpose=PURPOSE, workspace=workspace_id) or None
    except NotOpened:
        return None


def _arrived(connection_id: UUID, envelope: Envelope, body: bytes) -> Arrived:
    topic = _bounded(envelope.topic)
    unnamed = hashlib.sha256(topic.encode() + b"\0" + body).hexdigest() if envelope.delivery_id is None else ""
    return Arrived(
        connection_id=connection_id,
        topic=topic,
        delivery_id=_bounded(envelope.delivery_id or f"sha256:{unnamed}"),
        event_id=None if envelope.event_id is None else _bounded(envelope.event_id),
        api_version=None if envelope.api_version is None else _bounded(envelope.api_version),
        triggered_at=envelope.triggered_at,
        body=body,
    )


def _bounded(text: str) -> str:
    """A header's text as it is kept; one that is too long for that stands as its hash, so that it still dedupes."""
    kept = text.replace("\0", "")
    return kept if len(kept) <= TEXT_LENGTH else f"sha256:{hashlib.sha256(kept.encode()).hexdigest()}"


class _Keeper:
    """Keeps what arrives for one workspace while a commit is under way in one transaction after it.

    Each delivery is answered when its own transaction has committed, and never before.
    """

    def __init__(self, database: Database, workspace_id: UUID) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._waiting: list[tuple[Arrived, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._waiting and (self._work is None or self._work.done())

    async def keep(self, arrived: Arrived) -> None:
        """Returns when it is committed; raises what kept it from being."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrived, kept))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._keep_all())
        await kept

    async def _keep_all(self) -> None:
        while self._waiting:
            batch = self._next()
            try:
                async with self._database.tx(self._workspace_id) as tx:
                    await commands.keep(tx, [arrived for arrived, _ in batch])
            except BaseException as error:
                for _, kept in batch:
                    if not kept.done():
                        kept.set_exception(error)
                if not isinstance(error, Exception):
                    raise
            else:
                for _, kept in batch:
                    if not kept.done():
                        kept.set_result(None)

    def _next(self) -> list[tuple[Arrived, asyncio.Future[None]]]:
        count = size = 0
        for arrived, _ in self._waiting[:MOST_AT_ONCE]:
            size += len(arrived.body)
            if count and size > MOST_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch
