"""Every table that names customers says what a merge does with it."""

from typing import TYPE_CHECKING, Final

from supover import wiring
from supover.customers.events import CustomersMerged, CustomerSplit, MergeUndone
from supover.kit import events
from supover.merging import rules

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

COLUMNS: Final = r"""
    select c.relname || '.' || a.attname
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p') and a.atttypid in ('uuid'::regtype, 'uuid[]'::regtype)
       and (a.attname ~ '(^|_)customer_ids?$|^merged_into|^primary_id$|^duplicate_ids$|^former_id$|^[ab]_id$|^winner|^loser|^created_ids$'
            or a.attname ~ '^(first|last)_id$'
            or exists (select 1
                         from pg_constraint k
                        where k.conrelid = c.oid and k.contype = 'f' and k.confrelid = 'data.customer'::regclass
                          and a.attnum = any (k.conkey) and a.attname <> 'workspace_id'))
     order by 1"""
INDEXED: Final = """
    select distinct c.relname || '.' || a.attname
      from pg_index i
      join pg_class c on c.oid = i.indrelid and c.relnamespace = 'data'::regnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
      join pg_attribute w on w.attrelid = c.oid and w.attname = 'workspace_id' and w.attnum = i.indkey[0]
     where i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ 'IS NOT NULL'"""


async def test_each_column_that_names_customers_has_a_rule_for_merging(owner: "Connection") -> None:
    found = {row[0] for row in await owner.fetch(COLUMNS)}
    assert found - set(rules.TABLES) == set(), "say in merging/rules.TABLES what a merge does with these"
    assert set(rules.TABLES) - found == set(), "stale"


async def test_what_moves_is_found_by_an_index(owner: "Connection") -> None:
    indexed = {row[0] for row in await owner.fetch(INDEXED)}
    moving = {column for column, rule in rules.TABLES.items() if rule.startswith(rules.MOVES)}
    assert len(moving) == 5
    assert moving - indexed == set()


def test_every_room_with_rows_that_move_listens() -> None:
    wiring.load()
    for kind in (CustomersMerged, MergeUndone, CustomerSplit):
        rooms = {reaction.__module__.split(".")[1] for reaction in events.reactions()[kind]}
        assert {"addresses", "notes", "orders", "consent", "segments"} <= rooms, kind.__name__
    assert "analytics" in {r.__module__.split(".")[1] for r in events.reactions()[CustomersMerged]}
