"""A suspicion becomes a pair in the queue, once."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from supover.customers.events import CustomersRemoved, DuplicateSuspected
from supover.kit import ids
from supover.kit.db import Tx
from supover.kit.events import on

SUGGEST: Final = """
    insert into duplicate_pair (workspace_id, id, a_id, b_id, score, level, reasons)
    select $1, n.id, n.a_id, n.b_id, n.score, n.level, string_to_array(n.reasons, chr(31))
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::text[], $7::text[]) as n (id, a_id, b_id, score, level, reasons)
        on conflict (workspace_id, a_id, b_id) do nothing"""


@on(DuplicateSuspected)
async def suggest(tx: Tx, found: Sequence[DuplicateSuspected]) -> None:
    """Keeps each pair once; one that was dismissed stays dismissed."""
    rows = [
        (ids.new(), *sorted((e.customer_id, e.other_id)), Decimal(str(e.score)), e.level, chr(31).join(e.reasons))
        for e in found
        if e.customer_id is not None
    ]
    if rows:
        await tx.run(SUGGEST, *(list(column) for column in zip(*rows, strict=True)))


REMOVE: Final = """
    delete from duplicate_pair where workspace_id = $1 and (a_id = any($2::uuid[]) or b_id = any($2::uuid[]))"""


@on(CustomersRemoved)
async def remove(tx: Tx, removed: Sequence[CustomersRemoved]) -> None:
    """Customers who are unmade are nobody's twins."""
    await tx.run(REMOVE, [id for e in removed for id in e.customer_ids])
