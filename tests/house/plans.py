"""Reads a statement's generic plan: is every tenant table entered by the caller's workspace, and by an index?

The plan must be the owner's on schema `data`: through the fence views the planner adds the workspace by itself and hides
a statement that forgets it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

Node = Mapping[str, Any]

# asyncpg would take the statement's $n for its own and write their values into the plan. Inside a function they stay.
PREPARE: Final = """
    create or replace function pg_temp.generic_plan(statement text) returns text language plpgsql as $f$
    declare found json;
    begin
        execute 'explain (generic_plan, verbose, costs off, format json) ' || statement into found;
        return found::text;
    end $f$"""

WORKSPACE_COLUMNS: Final = """
    select c.relname, a.attnum
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped
     where c.relnamespace = 'data'::regnamespace and c.relkind in ('r', 'p')
       and coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^(global|local):'"""


class Tenants(msgspec.Struct, frozen=True):
    """The tenant tables, each with the place of workspace_id among its columns, from 1."""

    columns: Mapping[str, int]


async def prepare(con: "Connection") -> Tenants:
    """Readies a connection of the owner for `generic_plan`; returns what the catalog says of tenant tables."""
    await con.execute(PREPARE)
    return Tenants({row[0]: row[1] for row in await con.fetch(WORKSPACE_COLUMNS)})


async def custom_plan(con: "Connection", sql: str, args: Sequence[Any]) -> Node:
    """The plan of a statement for these values."""
    return json.loads(await con.fetchval(f"explain (verbose, costs off, format json) {sql}", *args))[0]["Plan"]


async def generic_plan(con: "Connection", sql: str) -> Node:
    """The plan of a statement for any values, as PostgreSQL's JSON has it."""
    return json.loads(await con.fetchval("select pg_temp.generic_plan($1)", sql))[0]["Plan"]


def nodes(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


# A text, a quoted name, a bracket, or the word between conditions.
_PIECE: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]| AND ")


def conjuncts(text: str) -> list[str]:
    """The parts of a condition that must all hold: '((a = 1) AND (b = 2))' has two, an OR has one."""
    while text.startswith("(") and _closes(text) == len(text) - 1:
        text = text[1:-1]
    parts: list[str] = []
    depth = start = 0
    for found in _PIECE.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == " AND " and depth == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    parts.append(text[start:])
    return parts if len(parts) == 1 else [inner for part in parts for inner in conjuncts(part)]


def _closes(text: str) -> int:
    """Where the bracket that the text begins with is closed."""
    depth = 0
    for found in _PIECE.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    return -1


def _names(alias: str) -> tuple[str, str]:
    return f"{alias}.workspace_id", f'"{alias}".workspace_id'


def _pins(node: Node, alias: str, pinned: set[str]) -> bool:
    """Whether all rows of this scan have workspace_id = $1, directly or through a pinned table."""
    below: Sequence[Node] = node.get("Plans", ())
    if node["Node Type"] == "BitmapOr":
        return all(_pins(child, alias, pinned) for child in below)
    for part in (part for arm in ("Index Cond", "Recheck Cond", "Filter") for part in conjuncts(node.get(arm, ""))):
        left, equals, right = part.partition(" = ")
        if not equals:
            continue
        for one, other in ((left, right), (right, left)):
            if one in _names(alias) and (other == "$1" or any(other in _names(name) for name in pinned)):
                return True
    return any(_pins(child, alias, pinned) for child in below if child["Node Type"].startswith("Bitmap"))


def _scans(plan: Node, tenants: Tenants) -> list[Node]:
    return [
        node
        for node in nodes(plan)
        if node["Node Type"] != "ModifyTable" and node.get("Relation Name") in tenants.columns
    ]


_SETS_WORKSPACE: Final = re.compile(r"\bset\b(?:(?!\bwhere\b|\bfrom\b).)*?\bworkspace_id\s*=", re.DOTALL)


def unpinned(plan: Node, sql: str, tenants: Tenants) -> list[str]:
    """What this statement does without saying workspace_id = $1. Empty when it is sound."""
    todo = _scans(plan, tenants)
    pinned: set[str] = set()
    while found := [node for node in todo if _pins(node, node["Alias"], pinned)]:
        pinned |= {node["Alias"] for node in found}
        todo = [node for node in todo if node not in found]
    said = [
        f"reads {node['Alias']} with {node.get('Index Cond') or node.get('Filter') or 'no condition'}" for node in todo
    ]
    for node in nodes(plan):
        table: str = node.get("Relation Name", "")
        if node["Node Type"] != "ModifyTable" or table not in tenants.columns:
            continue
        if node["Operation"] == "Merge":
            # What a merge adds is not in its plan.
            said.append(f"merges into {table}: say it as insert … on conflict")
        if node["Operation"] == "Insert":
            source = next(child for child in node["Plans"] if child["Parent Relationship"] == "Outer")
            given = source["Output"][tenants.columns[table] - 1]
            if given not in ("$1", "($1)") and not any(given in _names(name) for name in pinned):
                said.append(f"adds to {table} with workspace_id = {given}")
    if _SETS_WORKSPACE.search(sql):
        said.append("sets workspace_id")
    return said


class Reading(msgspec.Struct, frozen=True):
    """How one tenant table is entered: by which index and conditions, and what is looked at row by row behind it.

    `stops`: a limit ends it, and nothing between the two has to see all rows first.
    """

    table: str
    alias: str
    index: str
    by: tuple[str, ...]
    rest: tuple[str, ...]
    stops: bool

    @property
    def whole(self) -> bool:
        """Whether every row of the workspace may be read, as far as conditions tell."""
        return not self.by

    def columns(self) -> list[str]:
        """The columns of this table that are looked at row by row."""
        return sorted(set(re.findall(rf'(?<![\w."])"?{self.alias}"?\.(\w+)', " ".join(self.rest))))


# What has seen every row below it before it gives the first one.
_THOROUGH: Final = frozenset({"Sort", "Aggregate", "Hash", "WindowAgg", "SetOp", "Unique", "Materialize"})


def readings(plan: Node, tenants: Tenants) -> list[Reading]:
    """How each tenant table of a plan is entered."""
    return [
        Reading(
            table=node["Relation Name"],
            alias=node["Alias"],
            index=", ".join(sorted({n["Index Name"] for n in _bitmap(node) if "Index Name" in n})),
            by=tuple(part for n in _bitmap(node) for part in conjuncts(n.get("Index Cond", "")) if not _is_pin(part)),
            rest=tuple(part for part in conjuncts(node.get("Filter", "")) if not _is_pin(part)),
            stops=stops,
        )
        for node, stops in _stopping(plan, False)
        if node["Node Type"] != "ModifyTable" and node.get("Relation Name") in tenants.columns
    ]


def _is_pin(part: str) -> bool:
    return not part or "workspace_id = " in part or part.endswith(".workspace_id")


def _stopping(node: Node, stops: bool) -> Iterator[tuple[Node, bool]]:
    """Each node, and whether a limit above ends it early."""
    yield node, stops
    kind = node["Node Type"]
    below = (stops or kind == "Limit") and kind not in _THOROUGH
    for child in node.get("Plans", ()):
        # A subplan is asked anew for each row, and stops by itself.
        inside = child["Parent Relationship"] in ("InitPlan", "SubPlan")
        yield from _stopping(child, False if inside else below)


def _bitmap(node: Node) -> Iterator[Node]:
    """A scan and the index scans that feed its bitmap."""
    yield node
    for child in node.get("Plans", ()):
        if child["Node Type"].startswith("Bitmap"):
            yield from _bitmap(child)


def unserved(plan: Node, tenants: Tenants) -> list[str]:
    """Tenant tables that no index could serve; asked with enable_seqscan off, so no rows are needed to see it."""
    return [f"scans {node['Alias']}" for node in _scans(plan, tenants) if node["Node Type"] == "Seq Scan"]
