"""Shops are connected, their secrets rotated, and disconnected."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import UNSET

from supover.channels import queries
from supover.channels.connectors import CONNECTORS
from supover.channels.events import ChannelConnected, ChannelDisconnected, ChannelSecretRotated
from supover.channels.model import (
    Connection,
    ConnectionChange,
    Disconnected,
    NewConnection,
    Rotation,
    ShopConnected,
)
from supover.kit import clock, ids, text
from supover.kit.crypto import Sealer
from supover.kit.db import Change, Tx
from supover.kit.events import publish
from supover.kit.problems import Invalid, Stale

PURPOSE: Final = "channel"
"""What a connection's secret is sealed for."""

NAME_LENGTH: Final = 200

HOLDER: Final = """
    select id from channel_connection
     where workspace_id = $1 and platform = $2 and shop = $3 and disconnected_at is null"""
ADD: Final = """
    insert into channel_connection (workspace_id, id, platform, shop, name, secret) values ($1, $2, $3, $4, $5, $6)"""


async def connect(tx: Tx, hooks: str, sealer: Sealer, new: NewConnection) -> Connection:
    """Connects a shop. Raises Invalid, ShopConnected naming the connection that is there."""
    shop = CONNECTORS[new.platform].shop(new.shop)
    name = _name(new.name) if new.name else shop
    secret = _sealed(tx, sealer, new.secret)
    holder = await tx.value(HOLDER, new.platform, shop)
    if holder is not None:
        raise ShopConnected(
            f"Connection {holder} is of {shop}: rotate its secret, or disconnect it first.",
            extra={"connectionId": str(holder)},
        )
    id = ids.new()
    await tx.run(ADD, id, new.platform, shop, name, secret)
    made = await queries.find(tx, hooks, id)
    tx.changed("channel", id, None, made, ("platform", "shop", "name"))
    await publish(tx, [ChannelConnected(connection_id=id, platform=new.platform, shop=shop)])
    return made


LOCK: Final = "select version from channel_connection where workspace_id = $1 and id = $2 for update"
RENAME: Final = """
    update channel_connection set name = $3, updated_at = now(), version = version + 1 where workspace_id = $1 and id = $2"""


async def change(tx: Tx, hooks: str, id: UUID, given: ConnectionChange, version: int | None = None) -> Connection:
    """Changes what is given. Raises ConnectionNotFound, Stale, Disconnected, Invalid."""
    old = await _locked(tx, hooks, id, version)
    if given.name is UNSET or (name := _name(given.name)) == old.name:
        return old
    await tx.run(RENAME, id, name)
    new = await queries.find(tx, hooks, id)
    tx.changed("channel", id, old, new, ("name",))
    return new


ROTATE: Final = """
    update channel_connection
       set former_secret = case when $4::timestamptz is null then null else secret end, former_secret_until = $4, secret = $3,
           updated_at = now(), version = version + 1
     where workspace_id = $1 and id = $2"""


async def rotate(
    tx: Tx, hooks: str, sealer: Sealer, id: UUID, given: Rotation, version: int | None = None
) -> Connection:
    """Gives a connection a new secret; the one before is accepted for a while. Raises as `change` does."""
    await _locked(tx, hooks, id, version)
    until = clock.now() + timedelta(hours=given.overlap_hours) if given.overlap_hours else None
    await tx.run(ROTATE, id, _sealed(tx, sealer, given.secret), until)
    # The audit log notes that it changed, and not to what.
    tx.changes.append(Change("channel", id, "secret", "former", "new"))
    await publish(tx, [ChannelSecretRotated(connection_id=id)])
    return await queries.find(tx, hooks, id)


DISCONNECT: Final = """
    update channel_connection
       set disconnected_at = now(), secret = null, former_secret = null, former_secret_until = null, updated_at = now(),
           version = version + 1
     where workspace_id = $1 and id = $2 and disconnected_at is null"""


async def disconnect(tx: Tx, hooks: str, id: UUID, version: int | None = None) -> None:
    """Ends a connection and forgets its secrets; what it sent stays. Raises ConnectionNotFound, Stale, Disconnected."""
    old = await _locked(tx, hooks, id, version)
    await tx.run(DISCONNECT, id)
    tx.changed("channel", id, old, None, ("platform", "shop", "name"))
    await publish(tx, [ChannelDisconnected(connection_id=id, platform=old.platform, shop=old.shop)])


RECEIVED: Final = """
    update channel_connection c set last_received_at = n.at
      from unnest($2::uuid[], $3::timestamptz[]) as n (id, at)
     where c.workspace_id = $1 and c.id = n.id and (c.last_received_at is null or c.last_received_at < n.at - interval '1 minute')"""


async def note_received(tx: Tx, newest: Mapping[UUID, datetime]) -> None:
    """Notes when each connection was last heard of, to the minute."""
    await tx.run(RECEIVED, list(newest), list(newest.values()))


async def _locked(tx: Tx, hooks: str, id: UUID, version: int | None) -> Connection:
    found = await tx.value(LOCK, id)
    old = await queries.find(tx, hooks, id)
    if version is not None and version != found:
        raise Stale(f"It is at version {found} now.")
    if old.disconnected_at is not None:
        raise Disconnected(f"It ended at {old.disconnected_at:%Y-%m-%dT%H:%M:%SZ}; connect the shop anew.")
    return old


def _name(given: str) -> str:
    name = text.clean(given)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise Invalid.at("/name", "length", f"must have 1 to {NAME_LENGTH} characters")
    return name


def _sealed(tx: Tx, sealer: Sealer, given: str) -> bytes:
    secret = given.strip()
    if len(secret) < 8:
        raise Invalid.at("/secret", "length", "must have 8 characters or more")
    return sealer.seal(secret.encode(), purpose=PURPOSE, workspace=tx.workspace_id)
