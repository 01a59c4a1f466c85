"""Rows of others that tell of a person all the same: orders that were theirs once, what a merge that was undone said of both,
and what happened to segments that are named after them; and how others wrote their numbers."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from supover.kit.db import Tx
from supover.privacy import rules
from supover.privacy.model import Person
from supover.privacy.personal import PERSONAL
from supover.privacy.rules import Needles


class Beside(NamedTuple):
    """Rows of a table by a key, and what becomes of their columns."""

    table: str
    key: str
    ids: Sequence[UUID]
    treatments: Mapping[str, str]


async def find(tx: Tx, person: Person, needles: Needles) -> list[Beside]:
    """What others' rows tell of a person, by what the person had to do with them; orders are held."""
    found = await _orders(tx, person, needles)
    facts: list[UUID] = await tx.column(FACTS_OF_BOTH, person.merges, person.customers)
    audited: list[UUID] = await tx.column(AUDIT_OF_BOTH, person.merges, person.customers)
    if named := [str(id) for id, name in await tx.rows(NAMES) if needles.within(name.lower())]:
        facts += await tx.column(FACTS_OF_SEGMENTS, named)
    if facts:
        found.append(Beside("event_log", "id", facts, {"data": "facts"}))
    if audited:
        found.append(Beside("audit_log", "id", audited, {"changes": "values"}))
    return found


# --- orders that are another's now ---------------------------------------------------------------------------------------

_TEXTS: Final = ("email", "phone", "name", "shipping_address", "billing_address", "note", "hold_reason")
FORMER_ORDERS: Final = """
    select o.id, o.email, o.phone, o.name, o.shipping_address::text, o.billing_address::text, o.note, o.hold_reason,
           (select string_agg(d.evidence::text, ' ') from order_decision d where d.workspace_id = $1 and d.order_id = o.id)
      from "order" o
     where o.workspace_id = $1 and o.id <> all($3::uuid[])
       and o.id = any(array(select e.order_id from event_log e
                             where e.workspace_id = $1 and e.customer_id = any($2::uuid[]) and e.order_id is not null))
     order by o.id
       for no key update of o"""


async def _orders(tx: Tx, person: Person, needles: Needles) -> list[Beside]:
    """Of orders that were given to somebody else what tells of the person; the rest of them is the other's."""
    telling: dict[tuple[str, ...], list[UUID]] = defaultdict(list)
    explained: list[UUID] = []
    for id, *said, evidence in await tx.rows(FORMER_ORDERS, person.customers, person.orders):
        told = (name for name, text in zip(_TEXTS, said, strict=True) if text and needles.within(text.lower()))
        telling[tuple(told)].append(id)
        if evidence and needles.within(evidence.lower()):
            explained.append(id)
    treatments = next(table.personal for table in PERSONAL if table.name == "order")
    found = [
        Beside("order", "id", ids, {name: treatments[name] for name in names})
        for names, ids in telling.items()
        if names
    ]
    return [*found, Beside("order_decision", "order_id", explained, {"evidence": "object"})] if explained else found


# --- merges that were undone ---------------------------------------------------------------------------------------------

# What the survivor's profile became in the same transaction, and ceased to be.
FACTS_OF_BOTH: Final = """
    select e.id
      from customer_merge m
      join event_log t on t.workspace_id = $1 and t.customer_id = m.primary_id and t.kind in ('CustomersMerged', 'MergeUndone')
           and t.data ->> 'mergeId' = m.id::text
      join event_log e on e.workspace_id = $1 and e.customer_id = m.primary_id and e.tx = t.tx
           and e.at between t.at - interval '1 minute' and t.at + interval '1 minute'
     where m.workspace_id = $1 and m.id = any($2::uuid[]) and m.undone_at is not null and m.primary_id <> all($3::uuid[])"""
AUDIT_OF_BOTH: Final = """
    select a.id
      from customer_merge m
     cross join lateral unnest(m.duplicate_ids) as d (id)
      join audit_log a on a.workspace_id = $1 and a.id >= m.id
           and a.changes @> jsonb_build_array(jsonb_build_object('subject', 'customer', 'id', d.id, 'field', 'merged_into_id'))
     where m.workspace_id = $1 and m.id = any($2::uuid[]) and m.undone_at is not null
       and not (m.primary_id = any($3::uuid[]) and m.duplicate_ids <@ $3::uuid[])"""

# --- segments that are named after the person ----------------------------------------------------------------------------

NAMES: Final = "select s.id, s.name from segment s where s.workspace_id = $1"
FACTS_OF_SEGMENTS: Final = """
    select e.id from event_log e
     where e.workspace_id = $1 and e.kind like 'Segment%' and e.data ->> 'segmentId' = any($2::text[])"""


# --- numbers as others wrote them ----------------------------------------------------------------------------------------

# Wherever what is found is masked within a text that stays.
WRITTEN: Final = """
    select concat_ws(chr(31), s.description, s.filter, s.error) from segment s where s.workspace_id = $1
    union all
    select v.query from saved_view v where v.workspace_id = $1
    union all
    select concat_ws(chr(31), b.deed, b.selection, b.error) from bulk_action b where b.workspace_id = $1
    union all
    select concat_ws(chr(31), r.file_name, r.options, r.error) from import_run r where r.workspace_id = $1
    union all
    select r.asked::text from export_run r where r.workspace_id = $1"""
_NUMBER: Final = re.compile(r"[+(]*[0-9][0-9 ().\-/+]{5,}[0-9]")


async def spelled(tx: Tx, needles: Needles) -> list[str]:
    """Patterns of the person's numbers in all spellings in which they stand where they are to be masked."""
    texts: list[str] = await tx.column(WRITTEN) if needles.bare else []
    numbers = {number for text in texts for number in _NUMBER.findall(text)}
    digits = rules.Needles((), needles.bare)
    return rules.spelled(sorted((n for n in numbers if digits.within(n)), key=len, reverse=True))
