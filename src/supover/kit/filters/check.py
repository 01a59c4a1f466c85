"""A tree is bound to the fields of a workspace, and its values to what they are compared with."""

import calendar
import difflib
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, cast

from supover.kit.filters import grammar
from supover.kit.filters.grammar import Compared, Joined, Unreadable, Written
from supover.kit.filters.model import (
    DATES,
    NUMBERS,
    All,
    Asked,
    Condition,
    Day,
    Field,
    FilterInvalid,
    Function,
    Kind,
    Matches,
    Node,
    Not,
    Op,
    Scope,
    Some,
    Tree,
    Value,
)
from supover.kit.problems import worded
from supover.kit.text import lower


class Error(NamedTuple):
    """Something that is wrong: where (characters from the start), a code, a sentence."""

    position: int
    code: str
    message: str


YEARS: Final = (1000, 9000)
"""Between them a day has a next one, and moments in every zone."""
MAX_DIGITS: Final = 30
MAX_ERRORS: Final = 50
MAX_HINTS: Final = 3
"""So many suggestions are made: to look for the nearest name takes a thousand times as long as to read it."""
LONGEST_HINTED: Final = 60
MAX_SOUGHT: Final = 5
"""Of so many texts it is looked up whether another was meant, as that takes long where none is like them; codes are not counted."""
LONGEST_CODE: Final = 3

_OPS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"=", "in", "contains", "null"}),
    "choice": frozenset({"=", "in", "null"}),
    "flag": frozenset({"=", "null"}),
    "list": frozenset({"in", "contains", "null"}),
    **{kind: frozenset({"=", "<", "<=", ">", ">=", "between", "in", "null"}) for kind in DATES | NUMBERS},
}
_SHOWN: Final = {
    "=": "=, !=",
    "in": "IN",
    "contains": "CONTAINS",
    "null": "IS NULL",
    "between": "BETWEEN",
    "<": "<, <=, >, >=",
}


def operators(field: Field) -> list[str]:
    """What a field is compared by, as it is written; each also the other way round."""
    found = [op for op in ("=", "<", "<=", ">", ">=", "between", "in", "contains") if op in _OPS[field.kind]]
    return [op.upper() for op in found] + ([] if field.absent is not None else ["IS NULL"])


def parse(text: str, scope: Scope, pointer: str = "/filter") -> Tree:
    """What a text asks. Raises FilterInvalid with everything that is wrong, each at its character."""
    try:
        read = grammar.read(text)
    except Unreadable as wrong:
        raise FilterInvalid.told([(wrong.position, wrong.code, wrong.why)], pointer) from None
    if grammar.count(read) > grammar.MAX_CONDITIONS:
        error = (0, "length", f"can have at most {grammar.MAX_CONDITIONS} conditions")
        raise FilterInvalid.told([error], pointer)
    binder = _Binder(scope)
    root = binder.node(read)
    if binder.errors or root is None:
        raise FilterInvalid.told(binder.errors[:MAX_ERRORS], pointer)
    return Tree(text, root, scope.zone, binder.is_relative)


class _Wrong(Exception):
    """A value that its field cannot be compared with."""

    def __init__(self, position: int, code: str, message: str) -> None:
        super().__init__(message)
        self.error = Error(position, code, message)


class _Binder:
    """Goes through a tree once and notes what is wrong."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.errors: list[Error] = []
        self.is_relative = False
        self._sought = 0

    def node(self, read: Compared | Joined) -> Node | None:
        if isinstance(read, Joined):
            parts = [self.node(part) for part in read.parts]
            if None in parts:
                return None
            found = cast("tuple[Node, ...]", tuple(parts))
            if len(found) == 1 and read.by != "not":
                return found[0]
            if read.by == "not":
                return found[0].part if isinstance(found[0], Not) else Not(found[0])
            return All(found) if read.by == "and" else Some(found)
        asked = self._named(read, self._scope.asked, "")
        if asked is None:
            return None
        if isinstance(asked, Function):
            return self._matches(read, asked)
        return self._condition(read, asked)

    def _named(self, read: Compared, asked: Mapping[str, Asked], of: str) -> Asked | None:
        found = asked.get(read.name)
        if found is None:
            near = _nearest(read.name, asked) if len(self.errors) < MAX_HINTS else None
            hint = worded(f"; did you mean {near}?") if near else ""
            self.errors.append(Error(read.start, "unknown", f"{_short(read.name)} is not a field{of}{hint}"))
        return found

    def _matches(self, read: Compared, function: Function) -> Matches | None:
        if read.op != "matches":
            self.errors.append(Error(read.op_at, "operator", f"{function.name} is asked with MATCHES ( … )"))
            return None
        fields: dict[str, Asked] = {field.name: field for field in (*function.fields, *function.sums)}
        conditions: list[Condition | None] = []
        for inner in read.inner:
            field = self._named(inner, fields, worded(f" of {function.name}"))
            conditions.append(self._condition(inner, field) if isinstance(field, Field) else None)
        if None in conditions:
            return None
        return Matches(
            function=function,
            conditions=cast("tuple[Condition, ...]", tuple(conditions)),
            negated=read.negated,
            start=read.start,
            end=read.end,
        )

    def _condition(self, read: Compared, field: Field) -> Condition | None:
        if read.op == "matches" or read.op not in _OPS[field.kind]:
            ways = ", ".join(shown for op, shown in _SHOWN.items() if op in _OPS[field.kind])
            such = worded(f", as in {field.example}") if field.example else ""
            self.errors.append(Error(read.op_at, "operator", f"{field.name} is asked with {ways}{such}"))
            return None
        if read.op == "null" and field.absent is not None:
            self.errors.append(
                Error(read.op_at, "operator", f"{field.name} is never missing: who has none has {field.absent}")
            )
            return None
        values: list[Value] = []
        for written in read.values:
            try:
                values.append(self._value(written, field))
            except _Wrong as wrong:
                self.errors.append(wrong.error)
        if len(values) < len(read.values):
            return None
        if read.op == "contains" and values[0] == "":
            self.errors.append(Error(read.values[0].position, "empty", "every text contains the empty one"))
            return None
        if read.op == "between" and _is_reversed(values[0], values[1]):
            self.errors.append(Error(read.values[0].position, "range", "BETWEEN begins with the smaller one"))
            return None
        return Condition(
            field=field,
            op=cast("Op", read.op),
            values=tuple(values),
            negated=read.negated,
            start=read.start,
            end=read.end,
        )

    def _value(self, written: Written, field: Field) -> Value:
        if written.kind == "NULL":
            raise _Wrong(written.position, "null", "nothing is compared with NULL: write IS NULL or IS NOT NULL")
        with_hint = len(self.errors) < MAX_HINTS
        if field.kind == "choice":
            return _choice(written, field, with_hint=with_hint)
        found = _READERS[field.kind](written, field, self._scope.today)
        if isinstance(found, Day) and found.offset is not None:
            self.is_relative = True
        if field.meant and isinstance(found, str) and with_hint and len(found) <= LONGEST_HINTED:
            self._sought += len(found) > LONGEST_CODE
            if self._sought <= MAX_SOUGHT:
                _told_if_another_is_meant(found, written, field.name, field.meant(found))
        return found


def _nearest(name: str, asked: Mapping[str, Asked]) -> str | None:
    """What was probably meant: by another name that people know, with or without the prefix, or by a slip."""
    for one in asked.values():
        if isinstance(one, Field) and name in one.aka:
            return one.name
    for guess in (f"customer_{name}", f"custom.{name}"):
        if guess in asked:
            return guess
    near = difflib.get_close_matches(name, asked, 1, 0.5) if len(name) <= LONGEST_HINTED else []
    return near[0] if near else None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _is_reversed(low: Value, high: Value) -> bool:
    if isinstance(low, Day) and isinstance(high, Day):
        return low.date > high.date
    return isinstance(low, Decimal) and isinstance(high, Decimal) and low > high


# --- values --------------------------------------------------------------------------------------------------------------

_UNITS: Final = {"d": 0, "w": 0, "m": 1, "y": 12}


def _text(written: Written, field: Field, today: date) -> str:
    del today
    if written.kind != "TEXT":
        raise _Wrong(
            written.position, "type", f"{field.name} is a text: write it in quotes, as '{_short(written.text)}'"
        )
    if "\0" in written.text:
        raise _Wrong(written.position, "nul", "text cannot hold the character NUL")
    try:
        written.text.encode()
    except UnicodeEncodeError:
        raise _Wrong(written.position, "type", "half a character cannot be looked for") from None
    return written.text


def _choice(written: Written, field: Field, *, with_hint: bool) -> str:
    asked = _text(written, field, date.min).strip()
    if asked in field.choices:
        return asked
    folded = {lower(choice): choice for choice in field.choices}
    if (found := folded.get(lower(asked))) is not None:
        return found
    near = difflib.get_close_matches(lower(asked), folded, 1, 0.5) if with_hint and len(asked) <= LONGEST_HINTED else []
    hint = worded(f"; did you mean '{folded[near[0]]}'?") if near else ""
    known = ", ".join(_short(choice) for choice in field.choices[:20])
    raise _Wrong(written.position, "choice", f"{field.name} is never '{_short(asked)}', but one of {known}{hint}")


def _told_if_another_is_meant(asked: str, written: Written, name: str, meant: str | None) -> None:
    if meant is not None:
        raise _Wrong(written.position, "choice", f"{name} is asked by codes, not '{asked}'; did you mean '{meant}'?")


def _number(written: Written, field: Field, today: date) -> Decimal:
    del today
    if written.kind != "NUMBER":
        raise _Wrong(written.position, "type", f"{field.name} is a number, such as 5 or 1999.50")
    if len(written.text) > MAX_DIGITS:
        raise _Wrong(written.position, "range", f"can have at most {MAX_DIGITS} digits")
    return Decimal(written.text) + 0  # -0 is 0


def _day(written: Written, field: Field, today: date) -> Day:
    shown = written.text.strip()
    if written.kind == "OFFSET":
        moved = _moved(today, int(shown[:-1]) if len(shown) < MAX_DIGITS else 10**9, shown[-1].lower())
        if moved is None:
            raise _Wrong(written.position, "range", f"leads to no year from {YEARS[0]} to {YEARS[1]}")
        return Day(moved, shown.lower())
    if written.kind in ("DATE", "TEXT") and re.fullmatch(r"\d{4}-\d\d-\d\d", shown, re.ASCII):
        try:
            found = date.fromisoformat(shown)
        except ValueError:
            raise _Wrong(written.position, "date", f"{shown} is not a day of the calendar") from None
        if YEARS[0] <= found.year <= YEARS[1]:
            return Day(found)
        raise _Wrong(written.position, "range", f"must be in a year from {YEARS[0]} to {YEARS[1]}")
    raise _Wrong(written.position, "type", f"{field.name} is a date, such as 2026-01-31, or -90d for 90 days ago")


def _moved(today: date, count: int, unit: str) -> date | None:
    """The day so many days, weeks, months or years away; the last of a month that has no such day."""
    try:
        if unit in ("d", "w"):
            found = today + timedelta(days=count * (7 if unit == "w" else 1))
        else:
            months = today.year * 12 + today.month - 1 + count * _UNITS[unit]
            year, month = divmod(months, 12)
            found = date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None
    return found if YEARS[0] <= found.year <= YEARS[1] else None


def _flag(written: Written, field: Field, today: date) -> bool:
    del today
    if written.kind in ("TRUE", "FALSE"):
        return written.kind == "TRUE"
    raise _Wrong(written.position, "type", f"{field.name} is true or false, written without quotes")


_READERS: Final[Mapping[Kind, Callable[[Written, Field, date], Value]]] = {
    "text": _text,
    "whole": _number,
    "number": _number,
    "moment": _day,
    "day": _day,
    "flag": _flag,
    "list": _text,
}
