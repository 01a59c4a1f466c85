"""What a trial of a customer file tells of those who are there: some of whom it would change, and how."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.kit.db import Tx, json_bytes

SAMPLE: Final = 20
"""So many customers are shown."""
CONSENTS: Final = {"email": "emailMarketing", "sms": "smsMarketing", "whatsapp": "whatsappMarketing"}

Key = tuple[str, ...]
"""What a row is known by."""
Changes = dict[UUID, dict[str, list[Any]]]
"""Of customers by field what is there and what would be, as in their journal; of what would be added there is nothing yet."""


class Trial(msgspec.Struct):
    """What a trial would have made so far: what each customer is known by; and how many others are shown."""

    keys: dict[Key, UUID] = {}
    ids: set[UUID] = set()
    shown: int = 0


class Added(msgspec.Struct, frozen=True):
    """What was added to customers who were there: the rows, each with whose it is, and what they said of consent by field."""

    contacts: Sequence[tuple[UUID, UUID]]
    addresses: Sequence[tuple[UUID, UUID]]
    notes: Sequence[tuple[UUID, UUID]]
    consents: Mapping[UUID, Mapping[str, str]]


JOURNAL: Final = """
    select j.customer_id, j.changes from customer_journal j
     where j.workspace_id = $1 and j.act_id = $2 and j.customer_id = any($3::uuid[])"""
ADDED: Final = """
    select n.customer_id, n.kind, n.value
      from (select i.customer_id, i.id, 'contact' as kind, i.value
              from customer_identity i
             where i.workspace_id = $1 and i.id = any($2::uuid[])
            union all
            select a.customer_id, a.id, 'address',
                   array_to_string(array_remove(array[a.line1, a.line2, btrim(a.postal_code || ' ' || a.city), a.state, a.country], ''),
                                   ', ')
              from address a
             where a.workspace_id = $1 and a.id = any($3::uuid[])
            union all
            select t.customer_id, t.id, 'note', t.note
              from customer_note t
             where t.workspace_id = $1 and t.id = any($4::uuid[])) as n
     order by n.id"""


async def changes(tx: Tx, import_id: UUID, customer_ids: Iterable[UUID], added: Added) -> Changes:
    """What an import has done to these customers in this transaction, as long as it is not undone."""
    asked = list(customer_ids)
    found: Changes = {id: {} for id in asked}
    if not found:
        return found
    for id, fields in await tx.rows(JOURNAL, import_id, asked):
        found[id].update(fields)
    rows = (
        [row_id for row_id, customer_id in some if customer_id in found]
        for some in (added.contacts, added.addresses, added.notes)
    )
    for id, kind, value in await tx.rows(ADDED, *rows):
        found[id].setdefault(kind, [None, value])
    for id in asked:
        found[id].update({field: [None, state] for field, state in added.consents.get(id, {}).items()})
    return found


STANDING: Final = """
    select c.customer_id, c.channel, c.state from consent c
     where c.workspace_id = $1 and c.customer_id = any($2::uuid[]) and c.topic = 'marketing'"""
KEEP: Final = """
    insert into import_change (workspace_id, import_id, customer_id, changes)
    select $1, $2, n.customer_id, n.changes
      from unnest($3::uuid[], $4::jsonb[]) as n (customer_id, changes)
        on conflict do nothing"""


async def keep(tx: Tx, import_id: UUID, found: Changes) -> int:
    """Keeps what a trial has found, once that is undone: what was said of consent before is read then. How many are new."""
    for id, channel, state in await tx.rows(STANDING, list(found)) if found else ():
        field = CONSENTS.get(channel)
        if field in found[id]:
            found[id][field][0] = state
    rows: list[tuple[UUID, bytes]] = []
    for id, fields in found.items():
        others = {name: [old, new] for name, (old, new) in fields.items() if old != new}
        if others:
            rows.append((id, json_bytes(others)))
    return await tx.many(KEEP, rows, import_id)


FORGET: Final = "delete from import_change where workspace_id = $1 and import_id = $2"


async def forget(tx: Tx, import_id: UUID) -> None:
    """Forgets what a trial has found."""
    await tx.run(FORGET, import_id)


FORGET_OLD: Final = "delete from import_change where workspace_id = $1 and import_id < $2"


async def forget_old(tx: Tx, first_kept: UUID) -> int:
    """Forgets what trials have found that are older than this id; how many customers that were."""
    return await tx.run(FORGET_OLD, first_kept)
