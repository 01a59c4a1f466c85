"""People who were erased, and do not come back by what is older than that.

Their contacts are kept as keyed hashes, which the room of privacy writes. Here they are asked for, where orders, channels and
files are mapped to customers: whatever comes from before the erasure and bears one of them stays nobody's.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from supover.customers import hashing
from supover.kit.db import Reader, Tx

Handle = tuple[str, str, str, str]
"""Kind, source, shop and key of a contact."""


class Erased(msgspec.Struct, frozen=True):
    """Who had a contact and was erased: the row that the orders hang on, None where nobody was known."""

    customer_id: UUID | None
    erased_at: datetime

    def covers(self, at: datetime | None) -> bool:
        """Whether what happened then, or at a time that nobody tells, is older."""
        return at is None or at <= self.erased_at


class Pending(msgspec.Struct, frozen=True, rename="camel"):
    """An erasure that waits for its day, or runs."""

    customer_id: UUID
    request_id: UUID
    run_at: datetime


def hash_of(hasher: hashing.Hasher, handle: Handle) -> bytes:
    """What stands for a contact once its person is erased."""
    return hasher.of("\x1f".join(("erased", *handle)))


# Or is about to be: who asks in the statement that waits for the erasure sees what was before it.
SEALED: Final = """
    select k.sealed from suppression_key k
     where k.workspace_id = $1
       and (exists (select 1 from erased_contact e where e.workspace_id = $1)
            or exists (select 1 from privacy_request r
                        where r.workspace_id = $1 and r.customer_id is not null and r.kind = 'erase'
                          and r.status in ('pending', 'running')))"""
FIND: Final = """
    select e.contact_hash, c.id, e.erased_at
      from erased_contact e
      left join customer c on c.workspace_id = $1 and c.id = e.customer_id
     where e.workspace_id = $1 and e.contact_hash = any($2::bytea[])"""


async def sealed(db: Reader) -> bytes | None:
    """The workspace's sealed key where somebody was erased; None where nobody ever was, so that asking costs little."""
    return await db.value(SEALED)


async def among(db: Reader, sealed: bytes, handles: Iterable[Handle]) -> Mapping[Handle, Erased]:
    """Those of these contacts whose person was erased. Raises ContactsSealed."""
    hasher = hashing.opened(sealed, db.workspace_id)
    by_hash = {hash_of(hasher, handle): handle for handle in handles}
    if not by_hash:
        return {}
    return {by_hash[bytes(hash)]: Erased(*rest) for hash, *rest in await db.rows(FIND, list(by_hash))}


PENDING: Final = """
    select r.customer_id, r.id, r.run_at
      from privacy_request r
     where r.workspace_id = $1 and r.customer_id = any($2::uuid[]) and r.kind = 'erase' and r.status in ('pending', 'running')
     order by r.id"""


async def pending(db: Reader, customer_ids: Sequence[UUID]) -> list[Pending]:
    """The erasures of these customers that wait or run: until they are over, nobody is merged with them."""
    return await db.all(Pending, PENDING, list(customer_ids))


FORGET_TOLD: Final = """
    with said as (
        select i.source, i.shop, i.value from customer_identity i
         where i.workspace_id = $1 and i.customer_id = any($2::uuid[]) and i.kind = 'channel'
        union
        select c.source, '', c.external_id from customer c
         where c.workspace_id = $1 and c.id = any($2::uuid[]) and c.external_id is not null)
    delete from customer_told t
     using said s
     where t.workspace_id = $1 and t.source = s.source and t.shop = s.shop and t.external_id = s.value"""


FORGET_TOLD_BY: Final = "delete from customer_told where workspace_id = $1 and source = $2 and shop = $3"


async def forget_told_by(tx: Tx, source: str, shop: str) -> int:
    """Forgets everything that a shop said of its customers; how much that was."""
    return await tx.run(FORGET_TOLD_BY, source, shop)


async def forget_told(tx: Tx, customer_ids: Sequence[UUID]) -> int:
    """Forgets what channels said of these customers, as long as their contacts lead there; how much that was."""
    return await tx.run(FORGET_TOLD, list(customer_ids))
