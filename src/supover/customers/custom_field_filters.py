"""Declared custom fields as the segment language asks for them and lists are sorted by them.

A value that does not fit its field's type is none here, until it is mended. Where an index is ready, it is asked. Keys and
ids stand in the SQL as they are: a key is a letter, then letters, digits and _.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from supover.customers.custom_field_model import Definition, Definitions, FieldType
from supover.customers.custom_field_rules import DIGITS
from supover.kit.filters import Field, Kind
from supover.kit.sql import Sort

PREFIX: Final = "custom."
_KINDS: Final[Mapping[FieldType, Kind]] = {
    "text": "text",
    "number": "number",
    "date": "day",
    "boolean": "flag",
    "choice": "choice",
    "list": "list",
}
_EXAMPLES: Final[Mapping[FieldType, str]] = {
    "text": "= 'some text'",
    "number": ">= 10",
    "date": ">= -30d",
    "boolean": "= true",
    "list": "CONTAINS 'some text'",
}
_COLUMNS: Final[Mapping[FieldType, str]] = {"number": "v.number", "date": "v.day"}


def fields(definitions: Definitions) -> list[Field]:
    """What can be asked of each declared field, by the name custom.KEY."""
    return [_field(d) for d in definitions.by_key.values()]


def _field(d: Definition) -> Field:
    name = PREFIX + d.key
    about: dict[str, Any] = {"name": name, "kind": _KINDS[d.type], "words": d.label}
    about["example"] = f"{name} {_EXAMPLES[d.type]}" if d.type in _EXAMPLES else f"{name} = '{_quoted(d.choices[0])}'"
    if d.type in ("choice",):
        about["choices"] = tuple(d.choices)
    if d.type == "list":
        items = f"ext.custom_list({_json(d)})"
        return Field(
            **about,
            sql="e.item",
            within=f"exists (select 1 from unnest({items}) as e (item) where {{}})",
            equals="lower(e.item) = lower({0})",
            empty=f"coalesce(cardinality({items}), 0) = 0",
        )
    if d.index_state != "ready" or d.index_id is None:
        return Field(**about, sql=_value(d))
    row = f"""exists (select 1 from custom_field_value v
           where v.workspace_id = $1 and v.index_id = '{d.index_id}' and v.customer_id = c.id and """
    if d.type in _COLUMNS:
        return Field(**about, sql=_COLUMNS[d.type], within=row + "{})")
    cast = "::boolean::text" if d.type == "boolean" else ""
    return Field(**about, sql=_value(d), equals=f"{row}v.text_key = ext.custom_key({{0}}{cast}))")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _json(d: Definition) -> str:
    return f"c.custom_fields -> '{d.key}'"


def _value(d: Definition) -> str:
    """The value by its type, null where it does not fit."""
    json = _json(d)
    match d.type:
        case "number":
            return f"ext.custom_number({json})"
        case "date":
            return f"ext.custom_day({json})"
        case "boolean":
            return f"ext.custom_flag({json})"
        case "choice":
            choices = f"(select f.choices from custom_field f where f.workspace_id = $1 and f.id = '{d.id}')"
            return f"ext.custom_choice({json}, {choices})"
        case _:
            return f"ext.custom_text({json})"


_LAST: Final[Mapping[FieldType, tuple[str, type[Any]]]] = {
    # As far up as a number can be: a cursor takes no more digits.
    "number": (f"1{'0' * DIGITS}::numeric", Decimal),
    "date": ("date '9999-12-31'", date),
    "boolean": ("2", int),
}


def sort(d: Definition) -> Sort | None:
    """How a list of customers is sorted by a field, those without a value as if they had the last; None for a list."""
    if d.type == "list":
        return None
    if d.type in _LAST:
        last, shape = _LAST[d.type]
        value = f"({_value(d)})::integer" if d.type == "boolean" else _value(d)
        return Sort(PREFIX + d.key, f"coalesce({value}, {last})", "c.id", shape)
    key = rf"left(coalesce(ext.fold({_value(d)}), U&'\+10FFFF'), 200)"
    return Sort(PREFIX + d.key, key, "c.id", str)
