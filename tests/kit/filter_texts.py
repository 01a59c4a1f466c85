"""Texts of the segment language, as many as its grammar has."""

from collections.abc import Mapping
from typing import Final

from hypothesis import strategies as st

from supover.kit import filters
from supover.kit.filters import Field, Function

_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("'7'", "'70%'"),
    "list": ("'7'", "'70%'"),
    "whole": ("-1", "2000"),
    "number": ("0.50", "2000"),
    "moment": ("-90d", "-1w", "0d", "2026-01-31", "+1m", "+2y"),
    "day": ("-18y", "-1d", "0d", "2026-01-31", "+3w"),
    "flag": ("true", "false"),
}
"""Of each kind the first is the smallest, and no text is a word."""


def texts(asked: Mapping[str, filters.Asked]) -> st.SearchStrategy[str]:
    """Whatever can be asked of these, alone and together."""
    fields = [_condition(one) for one in asked.values() if isinstance(one, Field)]
    functions = [_matches(one) for one in asked.values() if isinstance(one, Function)]
    return st.recursive(st.one_of(*fields, *functions), _joined, max_leaves=6)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    both = _put("({} {} {})", inner, st.sampled_from(["AND", "OR"]), inner)
    return both | _put("NOT ({})", inner)


def _matches(function: Function) -> st.SearchStrategy[str]:
    inner = st.one_of(*map(_condition, (*function.fields, *function.sums)))
    return _put(f"{function.name} {{}}MATCHES ({{}})", _nay(), _listed(inner))


def _condition(field: Field) -> st.SearchStrategy[str]:
    return st.one_of(*(_compared(field, op) for op in filters.operators(field)))


def _compared(field: Field, op: str) -> st.SearchStrategy[str]:
    known = [f"'{choice}'" for choice in field.choices] or list(_VALUES[field.kind])
    value = st.sampled_from(known)
    match op:
        case "IS NULL":
            return st.sampled_from([f"{field.name} IS NULL", f"{field.name} IS NOT NULL"])
        case "BETWEEN":
            return _put(f"{field.name} {{}}BETWEEN {known[0]} AND {known[-1]}", _nay())
        case "IN":
            return _put(f"{field.name} {{}}IN ({{}})", _nay(), _listed(value))
        case "CONTAINS":
            return _put(f"{field.name} {{}}CONTAINS {{}}", _nay(), value)
        case "=":
            return _put(f"{field.name} {{}} {{}}", st.sampled_from(["=", "!="]), value)
        case _:
            return _put(f"{field.name} {op} {{}}", value)


def _put(form: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: form.format(*found))


def _listed(one: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(one, min_size=1, max_size=3).map(", ".join)


def _nay() -> st.SearchStrategy[str]:
    return st.sampled_from(["", "NOT "])
