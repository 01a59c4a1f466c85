"""A tree in plain words, for people who did not write it.

A description is put together of phrases, each with named places for what stands in it, so that it can be told in any language.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Final

from supover.kit.filters.model import (
    DATES,
    All,
    Condition,
    Day,
    Field,
    Kind,
    Matches,
    Node,
    Not,
    Op,
    Some,
    Tree,
    Value,
)
from supover.kit.problems import worded

_ALL: Final = worded("Customers %(clause)s.")
_WHOSE: Final = worded("whose %(test)s")
_AND: Final = worded("%(one)s and %(another)s")
_OR: Final = worded("%(one)s or %(another)s")
_NOT: Final = worded("who are not among those %(clause)s")

_HAVE: Final = worded("who have %(done)s with: %(tests)s")
_HAVE_NOT: Final = worded("who have not %(done)s with: %(tests)s")
_FOR_WHOM: Final = worded("for whom %(sums)s (of %(things)s)")
_NOT_FOR_WHOM: Final = worded("for whom it is not so that %(sums)s (of %(things)s)")
_SUM: Final = worded("the %(test)s")
_THINGS: Final = worded("%(things)s with: %(tests)s")

_IS: Final = worded("%(field)s is %(value)s")
_IS_NOT: Final = worded("%(field)s is not %(value)s")
_ON: Final = worded("%(field)s is on %(value)s")
_NOT_ON: Final = worded("%(field)s is not on %(value)s")
_KNOWN: Final = worded("%(field)s is known")
_NOT_KNOWN: Final = worded("%(field)s is not known")
_ARE_KNOWN: Final = worded("%(field)s are known")
_ARE_NOT_KNOWN: Final = worded("%(field)s are not known")
_CONTAINS: Final = worded("%(field)s contains %(value)s")
_CONTAINS_NOT: Final = worded("%(field)s does not contain %(value)s")
_INCLUDE: Final = worded("%(field)s include %(value)s")
_INCLUDE_NOT: Final = worded("%(field)s do not include %(value)s")
_BETWEEN: Final = worded("%(field)s is from %(least)s to %(most)s")
_NOT_BETWEEN: Final = worded("%(field)s is not from %(least)s to %(most)s")
_SIGNS: Final[Mapping[Op, str]] = {
    "<": worded("%(field)s is less than %(value)s"),
    "<=": worded("%(field)s is at most %(value)s"),
    ">": worded("%(field)s is more than %(value)s"),
    ">=": worded("%(field)s is at least %(value)s"),
}
_DAYS: Final[Mapping[Op, str]] = {
    "<": worded("%(field)s is before %(value)s"),
    "<=": worded("%(field)s is on or before %(value)s"),
    ">": worded("%(field)s is after %(value)s"),
    ">=": worded("%(field)s is on or after %(value)s"),
}

_TRUE: Final = worded("true")
_FALSE: Final = worded("false")
_TODAY: Final = worded("today")
_DAY: Final = worded("%(day)s")
_AGO: Final = worded("the day %(time)s ago")
_AHEAD: Final = worded("the day %(time)s from now")
_ONE: Final = {"d": worded("1 day"), "w": worded("1 week"), "m": worded("1 month"), "y": worded("1 year")}
_MANY: Final = {
    "d": worded("%(n)s days"),
    "w": worded("%(n)s weeks"),
    "m": worded("%(n)s months"),
    "y": worded("%(n)s years"),
}


class Wording:
    """How a description is worded: in English, as programs are told; a subclass tells its reader."""

    def phrase(self, text: str) -> str:
        """A phrase of this module or of a function, with the same places."""
        return text

    def name(self, field: Field) -> str:
        """What a field is called."""
        return field.words

    def text(self, asked: Condition, value: str) -> str:
        """A text that a field is compared with; it is put into quotes."""
        del asked
        return value

    def number(self, value: Decimal) -> str:
        """A number with its separators."""
        return f"{value:,f}"

    def day(self, day: date) -> str:
        """A day of the calendar."""
        return f"{day.day} {day:%B %Y}"


ENGLISH: Final = Wording()


def describe(tree: Tree, wording: Wording = ENGLISH) -> str:
    """What the tree asks: 'Customers whose amount spent is more than 1,000 and whose tags include 'vip'.'"""
    teller = _Teller(wording)
    return teller.put(_ALL, clause=teller.clause(tree.root, is_inner=False))


class _Teller:
    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def put(self, phrase: str, **values: str) -> str:
        return self._wording.phrase(phrase) % values

    def clause(self, node: Node, *, is_inner: bool) -> str:
        match node:
            case All() | Some():
                parts = (self.clause(part, is_inner=True) for part in node.parts)
                said = self._joined(_AND if isinstance(node, All) else _OR, parts)
                return f"({said})" if is_inner else said
            case Not():
                return self.put(_NOT, clause=self.clause(node.part, is_inner=True))
            case Matches():
                return self._matches(node)
            case Condition():
                return self.put(_WHOSE, test=self._test(node))

    def _joined(self, phrase: str, parts: Iterable[str]) -> str:
        return reduce(lambda one, another: self.put(phrase, one=one, another=another), parts)

    def _matches(self, node: Matches) -> str:
        function = node.function
        summed = {field.name for field in function.sums}
        tests = ", ".join(self._test(one) for one in node.conditions if one.field.name not in summed)
        sums = [self.put(_SUM, test=self._test(one)) for one in node.conditions if one.field.name in summed]
        if not sums:
            done = self._wording.phrase(function.words)
            return self.put(_HAVE_NOT if node.negated else _HAVE, done=done, tests=tests)
        things = self._wording.phrase(function.many)
        if tests:
            things = self.put(_THINGS, things=things, tests=tests)
        phrase = _NOT_FOR_WHOM if node.negated else _FOR_WHOM
        return self.put(phrase, sums=self._joined(_AND, sums), things=things)

    def _test(self, asked: Condition) -> str:
        name = self._wording.name(asked.field)
        values = [self._value(asked, value) for value in asked.values]
        if asked.op == "between":
            least, most = values
            return self.put(_NOT_BETWEEN if asked.negated else _BETWEEN, field=name, least=least, most=most)
        return self.put(_compared(asked), field=name, value=self._joined(_OR, values) if values else "")

    def _value(self, asked: Condition, value: Value) -> str:
        match value:
            case bool():
                return self.put(_TRUE if value else _FALSE)
            case Decimal():
                return self._wording.number(value)
            case Day():
                return self._day(value)
            case str():
                return f"'{self._wording.text(asked, value)}'"

    def _day(self, day: Day) -> str:
        if day.offset is None:
            return self.put(_DAY, day=self._wording.day(day.date))
        count, unit = int(day.offset[:-1]), day.offset[-1]
        if count == 0:
            return self.put(_TODAY)
        time = self.put((_ONE if abs(count) == 1 else _MANY)[unit], n=str(abs(count)))
        return self.put(_AGO if count < 0 else _AHEAD, time=time)


def _compared(asked: Condition) -> str:
    """The phrase of a comparison with what `value` says."""
    kind: Kind = asked.field.kind
    match asked.op:
        case "null" if kind == "list":
            both = _ARE_NOT_KNOWN, _ARE_KNOWN
        case "null":
            both = _NOT_KNOWN, _KNOWN
        case "contains" | "in" if kind == "list":
            both = _INCLUDE, _INCLUDE_NOT
        case "contains":
            both = _CONTAINS, _CONTAINS_NOT
        case "=" if kind in DATES and not _is_today(asked.values[0]):
            both = _ON, _NOT_ON
        case "=" | "in":
            both = _IS, _IS_NOT
        case op:
            return (_DAYS if kind in DATES else _SIGNS)[op]
    return both[asked.negated]


def _is_today(value: Value) -> bool:
    return isinstance(value, Day) and value.offset is not None and int(value.offset[:-1]) == 0
