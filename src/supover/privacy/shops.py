"""A whole shop is forgotten, in batches: who is known by it alone, and of all others what came from it."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.customers import erased
from supover.kit.db import Tx, json_bytes
from supover.kit.jobs import defer_many
from supover.privacy import commands, erasing, queries
from supover.privacy.erasing import ERASE, FORGET_FILE, Files
from supover.privacy.files import KEPT
from supover.privacy.model import Erased

ORDERS_AT_ONCE: Final = 200

CONNECTION: Final = "select c.platform, c.shop from channel_connection c where c.workspace_id = $1 and c.id = $2"
# What is done goes, so that the first ones are always those that are left.
IDENTITIES: Final = """
    select i.id, i.customer_id
      from customer_identity i
     where i.workspace_id = $1 and i.kind = 'channel' and i.source = $2 and i.shop = $3 and i.released_at is null
     order by i.value
     limit $4"""
ORDERS: Final = """
    select o.id, o.customer_id, o.external_id, o.erased_at is null
      from "order" o
     where o.workspace_id = $1 and o.source = $2 and o.shop = $3 and o.external_id > $4
     order by o.external_id
     limit $5"""
DELETED: Final = """
    select i.customer_id
      from customer_identity i
      join customer c on c.workspace_id = $1 and c.id = i.customer_id and c.erased_at is null
     where i.workspace_id = $1 and i.customer_id > $4 and i.kind = 'channel' and i.source = $2 and i.shop = $3
       and i.released_at is not null
     order by i.customer_id
     limit $5"""
# By this shop alone: nobody typed them in, and no other shop knows or sold to them.
ALONE: Final = """
    select c.id
      from customer c
     where c.workspace_id = $1 and c.id = any($4::uuid[]) and c.source = $2 and c.erased_at is null and c.merged_into_id is null
       and not exists (select 1 from customer_identity i
                        where i.workspace_id = $1 and i.customer_id = c.id and i.kind = 'channel' and (i.source, i.shop) <> ($2, $3)
                          and (i.source, i.shop) <> ($2, ''))
       and not exists (select 1 from "order" o
                        where o.workspace_id = $1 and o.customer_id = c.id and (o.source, o.shop) <> ($2, $3))
     order by c.id"""
MESSAGES: Final = "select personal_messages_of($2) where $1::uuid = (select current_workspace())"
PROGRESS: Final = """
    update privacy_request set certificate = $3 where workspace_id = $1 and id = $2 and status = 'running'"""

Transaction = Callable[[], AbstractAsyncContextManager[Tx]]


async def erase(id: UUID, begin: Transaction) -> AsyncGenerator[Erased]:
    """Forgets the shop of a request, a batch a transaction, and says after each how far it is. What was done is not done again."""
    async with begin() as tx:
        if not await commands.start(tx, id):
            return
        request = await queries.stored(tx, id)
        rows = await tx.rows(CONNECTION, request.connection_id)
    done = Erased() if request.certificate is None else msgspec.convert(request.certificate, Erased)
    if not rows or request.connection_id is None:
        async with begin() as tx:
            await commands.complete(tx, id, done)
        return
    [(source, shop)] = rows
    more = True
    while more:
        async with begin() as tx:
            done, more = await _identities(tx, id, source, shop, done)
        yield done
    deleted: UUID | None = UUID(int=0)
    while deleted is not None:
        async with begin() as tx:
            done, deleted = await _deleted(tx, id, source, shop, deleted, done)
        yield done
    after: str | None = ""
    while after is not None:
        async with begin() as tx:
            done, after = await _orders(tx, id, source, shop, after, done)
        yield done
    async with begin() as tx:
        rest: Counter[str] = Counter()
        rest["customer_told"] = await erased.forget_told_by(tx, source, shop)
        rest["inbox_message"] = await tx.value(MESSAGES, request.connection_id)
        gone = await _files(tx, rest)
        done = _sum(done, Erased(rows={table: count for table, count in rest.items() if count}, files=gone))
        await commands.complete(tx, id, done)
    yield done


async def _identities(tx: Tx, id: UUID, source: str, shop: str, done: Erased) -> tuple[Erased, bool]:
    """The next customers whom the shop knows: those whom only it knows are erased, the others lose their id there."""
    found = await tx.rows(IDENTITIES, source, shop, erasing.PEOPLE_AT_ONCE)
    if not found:
        return done, False
    alone = await tx.column(ALONE, source, shop, sorted({customer_id for _, customer_id in found}))
    if alone:
        done = _sum(done, await erasing.run(tx, alone, id, Files()))
    left = [identity for identity, customer_id in found if customer_id not in alone]
    if left:
        gone: int = await tx.value(ERASE, "customer_identity", "id", left, None, [], [])
        done = _sum(done, Erased(rows={"customer_identity": gone}))
    await tx.run(PROGRESS, id, json_bytes(done))
    return done, True


async def _deleted(tx: Tx, id: UUID, source: str, shop: str, after: UUID, done: Erased) -> tuple[Erased, UUID | None]:
    """The next customers of the shop who were put away here."""
    found = await tx.rows(DELETED, source, shop, after, erasing.PEOPLE_AT_ONCE)
    alone: Sequence[UUID] = await tx.column(ALONE, source, shop, sorted({row[0] for row in found})) if found else ()
    if alone:
        done = _sum(done, await erasing.run(tx, alone, id, Files()))
        await tx.run(PROGRESS, id, json_bytes(done))
    return done, found[-1][0] if len(found) == erasing.PEOPLE_AT_ONCE else None


async def _orders(tx: Tx, id: UUID, source: str, shop: str, after: str, done: Erased) -> tuple[Erased, str | None]:
    """The next orders of the shop, with those of their buyers whom only it knows."""
    found = await tx.rows(ORDERS, source, shop, after, ORDERS_AT_ONCE)
    people = sorted({customer_id for _, customer_id, _, _ in found if customer_id is not None})
    alone: Sequence[UUID] = await tx.column(ALONE, source, shop, people) if people else ()
    is_more = len(alone) > erasing.PEOPLE_AT_ONCE
    if is_more:
        found, alone = _first(found, alone)
    left = [order_id for order_id, customer_id, _, is_left in found if is_left and customer_id not in alone]
    if alone or left:
        done = _sum(done, await erasing.run(tx, alone, id, Files(), left))
        await tx.run(PROGRESS, id, json_bytes(done))
    return done, found[-1][2] if is_more or len(found) == ORDERS_AT_ONCE else None


def _first(found: Sequence[tuple[Any, ...]], alone: Sequence[UUID]) -> tuple[Sequence[tuple[Any, ...]], Sequence[UUID]]:
    """The orders before that of one buyer too many, and their buyers among those who are alone."""
    seen: dict[UUID, None] = {}
    for n, (_, customer_id, _, _) in enumerate(found):
        if customer_id in alone and customer_id not in seen:
            if len(seen) == erasing.PEOPLE_AT_ONCE:
                return found[:n], sorted(seen)
            seen[customer_id] = None
    return found, alone


async def _files(tx: Tx, rows: Counter[str]) -> int:
    """Forgets all files of imports and exports: whoever looked for each of a shop's customers would read them all again and again."""
    kept = await tx.rows(KEPT)
    no_file = json_bytes({"file_key": "null"})
    imports, exports = ([id for what, id, _ in kept if what == kind] for kind in ("import", "export"))
    rows["import_run"] = await tx.value(ERASE, "import_run", "id", imports, no_file, [], [])
    rows["export_run"] = await tx.value(ERASE, "export_run", "id", exports, no_file, [], [])
    keys = sorted({key for _, _, key in kept})
    if keys:
        await defer_many(tx, FORGET_FILE, [{"key": key} for key in keys])
    return len(keys)


def _sum(a: Erased, b: Erased) -> Erased:
    rows = Counter(a.rows)
    rows.update(b.rows)
    return Erased(
        customer_ids=[*a.customer_ids, *b.customer_ids],
        rows=dict(sorted(rows.items())),
        files=a.files + b.files,
        contacts_barred=a.contacts_barred + b.contacts_barred,
        orders_kept=a.orders_kept + b.orders_kept,
    )
