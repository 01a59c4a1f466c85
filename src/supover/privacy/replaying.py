"""The list of erasures, which is kept beside backups, and their replay after one was restored.

A line of JSON each, after one with the workspace and its key of contacts, sealed: ids, times and keyed hashes, nothing of anybody.
"""

import base64
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import hashing
from supover.kit import storage
from supover.kit.db import Database, Reader, Tx
from supover.kit.problems import Invalid
from supover.privacy import commands, files
from supover.privacy.model import Erased


class Head(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The first line: whose list it is."""

    workspace_id: UUID
    key: str | None


class Line(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One erasure. `orders` are the channel's ids of orders that it named, `contacts` hashes in base64."""

    request_id: UUID
    erased_at: datetime
    customer_ids: Sequence[UUID]
    connection_id: UUID | None
    orders: Sequence[str]
    contacts: Sequence[str]


class Replayed(msgspec.Struct, frozen=True, rename="camel"):
    """What a replay did: lines read, customers and orders erased again, contacts barred again."""

    lines: int
    customers: int
    orders: int
    contacts: int


LIST: Final = """
    select r.id, r.finished_at, r.certificate, r.connection_id, r.order_external_ids,
           array(select encode(e.contact_hash, 'base64') from erased_contact e
                  where e.workspace_id = $1 and e.request_id = r.id order by e.contact_hash)
      from privacy_request r
     where r.workspace_id = $1 and r.id > $2 and r.kind <> 'export' and r.status = 'completed'
     order by r.id
     limit $3"""
AT_ONCE: Final = 500


async def lines(database: Database, workspace_id: UUID) -> AsyncGenerator[bytes]:
    """The list, line by line."""
    async with database.reader(workspace_id) as db:
        sealed = await db.value(hashing.FIND)
    yield msgspec.json.encode(Head(workspace_id, None if sealed is None else base64.b64encode(sealed).decode()))
    after = UUID(int=0)
    while True:
        async with database.reader(workspace_id) as db:
            rows = await db.rows(LIST, after, AT_ONCE)
        for id, at, said, connection_id, orders, contacts in rows:
            done = Erased() if said is None else msgspec.convert(said, Erased)
            yield msgspec.json.encode(Line(id, at, done.customer_ids, connection_id, orders, contacts))
        if len(rows) < AT_ONCE:
            return
        after = rows[-1][0]


THERE: Final = """
    select c.id from customer c
     where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.erased_at is null
     order by c.id"""
ORDERS_THERE: Final = """
    select o.id
      from "order" o
      join channel_connection c on c.workspace_id = $1 and c.id = $2
     where o.workspace_id = $1 and o.source = c.platform and o.shop = c.shop and o.external_id = any($3::text[]) and o.erased_at is null
     order by o.id"""


async def replay(
    database: Database, workspace_id: UUID, keep: storage.Storage, given: Sequence[bytes], told: Callable[[int], None]
) -> Replayed:
    """Erases again who came back by a restore, each in a transaction. Begun again, it goes on. Raises Invalid."""
    head, erasures = _read(workspace_id, given)
    customers = orders = contacts = 0
    if head.key is not None:
        async with database.tx(workspace_id, actor="cli") as tx:
            await hashing.bring_back(tx, base64.b64decode(head.key))
    for n, line in enumerate(erasures, 1):
        async with database.reader(workspace_id) as db:
            back = await _back(db, line)
        telling = await files.that_tell(database, workspace_id, keep, *back) if any(back) else files.Files()
        async with database.tx(workspace_id, actor="cli") as tx:
            contacts += await _again(tx, line, back, telling)
        customers, orders = customers + len(back[0]), orders + len(back[1])
        told(n)
    return Replayed(len(erasures), customers, orders, contacts)


async def _back(db: Reader, line: Line) -> tuple[list[UUID], list[UUID]]:
    orders = await db.column(ORDERS_THERE, line.connection_id, list(line.orders)) if line.orders else []
    return await db.column(THERE, list(line.customer_ids)), orders


async def _again(tx: Tx, line: Line, back: tuple[list[UUID], list[UUID]], telling: files.Files) -> int:
    request_id = line.request_id
    if back[0] or back[1]:
        request_id = await commands.erase_again(tx, line.request_id, back, telling, line.erased_at)
    hashes = [base64.b64decode(one) for one in line.contacts]
    owner = line.customer_ids[0] if len(line.customer_ids) == 1 else None
    return await commands.bar_again(tx, hashes, owner, request_id, line.erased_at)


def _read(workspace_id: UUID, given: Sequence[bytes]) -> tuple[Head, list[Line]]:
    said = [line for line in given if line.strip()]
    if not said:
        raise Invalid.at("/1", "empty", "is not there: the list has a first line that says whose it is")
    erasures: list[Line] = []
    for n, line in enumerate(said, 1):
        try:
            if n == 1:
                head = msgspec.json.decode(line, type=Head)
                if head.workspace_id != workspace_id:
                    raise Invalid.at("/1", "workspace", f"is the list of workspace {head.workspace_id}")
            else:
                erasures.append(msgspec.json.decode(line, type=Line))
        except msgspec.MsgspecError as error:
            raise Invalid.at(f"/{n}", "unreadable", str(error)[:200]) from None
    return msgspec.json.decode(said[0], type=Head), erasures
