"""Many notes at once, as files bring them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.kit import ids
from supover.kit.db import Tx

# A file that is brought again says nothing new.
ADD: Final = """
    insert into customer_note (workspace_id, id, customer_id, note, author, author_name)
    select $1, n.id, n.customer_id, n.note, $2, $3
      from unnest($4::uuid[], $5::uuid[], $6::text[]) as n (id, customer_id, note)
     where not exists (select 1 from customer_note o
                        where o.workspace_id = $1 and o.customer_id = n.customer_id and o.note = n.note)
    returning id, customer_id"""


async def add(tx: Tx, found: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, UUID]]:
    """Writes notes on customers, each unless that customer has the very same already: the id of each written, and whose it is."""
    told = list(dict.fromkeys(found))
    if not told:
        return []
    customers, notes = zip(*told, strict=True)
    written = await tx.rows(ADD, tx.actor, tx.actor_name, ids.many(len(told)), list(customers), list(notes))
    return [(row[0], row[1]) for row in written]


REMOVE: Final = "delete from customer_note where workspace_id = $1 and id = any($2::uuid[]) and version = 1"


async def remove(tx: Tx, note_ids: Sequence[UUID]) -> int:
    """Removes notes that a file brought, unless somebody changed them; how many."""
    return await tx.run(REMOVE, list(note_ids))


REMOVE_OF: Final = "delete from customer_note where workspace_id = $1 and customer_id = any($2::uuid[])"


async def remove_of(tx: Tx, customer_ids: Sequence[UUID]) -> None:
    """Removes all notes of customers who are unmade."""
    await tx.run(REMOVE_OF, list(customer_ids))
