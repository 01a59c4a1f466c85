"""Everything that is kept of a person, as the map tells it: as JSON for programs, and as a page to read and print."""

import html
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from supover.kit import clock
from supover.kit.db import Reader
from supover.privacy import queries
from supover.privacy.model import Person
from supover.privacy.personal import PERSONAL, Keys, Table

# As text: numbers keep every digit, which floats would not.
ROWS: Final = """
    select r.r::text from personal_rows($2, $3, $4::uuid[], $5::text[]) as r (r) where $1::uuid = (select current_workspace())"""
LIMIT: Final = "select set_config('statement_timeout', '600000', true) where $1::uuid = (select current_workspace())"
CENT: Final = Decimal("0.01")
_HIDDEN: Final = frozenset(
    {
        "contact_hash",
        "fingerprint",
        "intake_hash",
        "match_key",
        "search",
        "avatar_key",
        "erased_at",
        "body",
        "request_hash",
    }
)
"""Personal by what they are made of, and of no use to the person: what they are made of is told."""

_ORDER: Final = (
    *("profiles", "addresses", "identities", "orders", "orderLines", "refunds", "figures", "notes", "consents"),
    *("consentHistory", "communicationPreferences", "groups", "segments", "timeline"),
)
"""What people look for comes first; the rest follows by name."""

Told = Mapping[str, Any]
_Row = dict[str, Any]
_decode: Final = msgspec.json.Decoder(_Row, float_hook=Decimal).decode


async def tell(db: Reader, customer_id: UUID) -> Told:
    """Everything that is kept of a customer and of those that were merged into it: section → rows."""
    await db.value(LIMIT)
    person = await queries.person(db, [customer_id])
    told: dict[str, Any] = {
        "customerId": str(customer_id),
        "customerIds": [str(id) for id in person.customers],
        "toldAt": clock.now(),
    }
    for table, column, keys in _asked(person):
        columns = _columns(table)
        rows: list[str] = await db.column(ROWS, table.name, column, keys, columns)
        told[table.told] = [*told.get(table.told, ()), *(_shown(_decode(row), columns) for row in rows)]
    return told


def _asked(person: Person) -> list[tuple[Table, str, Sequence[UUID]]]:
    ids: Mapping[Keys, Sequence[UUID]] = {
        "customers": person.customers,
        "orders": person.orders,
        "merges": person.merges,
        "own": person.own,
    }
    found = [(table, column, ids[keys]) for table in PERSONAL if table.told for column, keys in table.by]
    place = {name: n for n, name in enumerate(_ORDER)}
    return sorted(found, key=lambda one: (place.get(one[0].told, len(place)), one[0].told))


def _columns(table: Table) -> list[str]:
    return [*(c for c in table.personal if c not in _HIDDEN), *table.also.split()]


def _shown(row: _Row, columns: Sequence[str]) -> _Row:
    """A row by the names that the API gives its columns, in their order; sums as text, as everywhere."""
    found: _Row = {}
    for name in columns:
        head, *rest = name.split("_")
        found[head + "".join(part.capitalize() for part in rest)] = _plain(row.get(name), is_sum=True)
    return found


def _plain(value: Any, *, is_sum: bool = False) -> Any:
    """A sum as text with two digits or more; a number within somebody's JSON as the number that it was."""
    if isinstance(value, Decimal):
        if not is_sum:
            return float(value)
        short = value.normalize()
        return f"{short if cast('int', short.as_tuple().exponent) < -2 else value.quantize(CENT):f}"
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, object]", value).items()}
    return value


def as_json(told: Told) -> bytes:
    """For programs."""
    return msgspec.json.format(msgspec.json.encode(told), indent=2)


# --- the page ------------------------------------------------------------------------------------------------------------

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
td, th { text-align: left; vertical-align: top; padding: .15rem .6rem }
th { width: 14rem; font-weight: 500; color: #555 } td { overflow-wrap: anywhere; white-space: pre-wrap }
table + table { border-top: 1px dotted #ccc }
p.row { margin: .2rem 0 } p.row b { font-weight: 500; color: #555 } p.row span { overflow-wrap: anywhere }
@media print { body { margin: 0; max-width: none; font-size: 10pt } table { break-inside: avoid } h2 { break-after: avoid } }
"""


def as_page(told: Told) -> bytes:
    """For people: one page without anything from elsewhere, that prints well."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>What is kept of you</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>What is kept of you</h1><p>As of {told['toldAt']:%Y-%m-%d %H:%M} UTC, "
        f"customer {html.escape(cast('str', told['customerId']))}.</p>",
    ]
    for section, rows in told.items():
        if not isinstance(rows, list) or section == "customerIds":
            continue
        many = cast("list[_Row]", rows)
        parts.append(f"<h2>{html.escape(_words(section))} ({len(many)})</h2>")
        shown = _table if len(many) <= AS_TABLES else _line
        parts += [shown(row) for row in many] or ["<p>Nothing.</p>"]
    parts.append("</body></html>")
    return "".join(parts).encode()


AS_TABLES: Final = 20
"""More rows than these are a line each: three hundred orders as tables would be four hundred pages."""


def _line(row: _Row) -> str:
    parts = [
        f'<b>{html.escape(_words(name))}</b> <span dir="auto">{html.escape(_cell(value))}</span>'
        for name, value in row.items()
        if value not in (None, "", [], {})
    ]
    return f'<p class="row">{" · ".join(parts)}</p>'


def _table(row: _Row) -> str:
    lines = [
        f'<tr><th>{html.escape(_words(name))}</th><td dir="auto">{html.escape(_cell(value))}</td></tr>'
        for name, value in row.items()
        if value not in (None, "", [], {})
    ]
    return f"<table>{''.join(lines)}</table>"


_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f"{value[:10]} {value[11:16]} UTC" if _TIME.fullmatch(value) else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        many = cast("list[object]", value)
        between = ", " if all(isinstance(one, str) for one in many) else "\n"
        return between.join(map(_cell, many))
    if isinstance(value, dict):
        told = cast("dict[str, object]", value)
        return "\n".join(f"{name}: {_cell(one)}" for name, one in told.items() if one is not None)
    return msgspec.json.encode(value).decode()


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
