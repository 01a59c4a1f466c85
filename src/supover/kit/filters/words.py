"""A tree in plain words, for people who did not write it."""

from datetime import date
from decimal import Decimal
from typing import Final

from supover.kit.filters.model import DATES, All, Condition, Day, Matches, Node, Not, Some, Tree, Value

TODAY: Final = "today"
_UNITS: Final = {"d": "day", "w": "week", "m": "month", "y": "year"}
_SIGNS: Final = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
_DAYS: Final = {"<": "before", "<=": "on or before", ">": "after", ">=": "on or after"}


def describe(tree: Tree) -> str:
    """What the tree asks: 'Customers whose amount spent is more than 1,000 and whose tags include 'vip'.'"""
    return f"Customers {_node(tree.root, is_inner=False)}."


def _node(node: Node, *, is_inner: bool) -> str:
    match node:
        case All() | Some():
            word = " and " if isinstance(node, All) else " or "
            said = word.join(_node(part, is_inner=True) for part in node.parts)
            return f"({said})" if is_inner else said
        case Not():
            return f"who are not among those {_node(node.part, is_inner=True)}"
        case Matches():
            return _matches(node)
        case Condition():
            return f"whose {_test(node)}"


def _matches(node: Matches) -> str:
    summed = {field.name for field in node.function.sums}
    rows = ", ".join(_test(one) for one in node.conditions if one.field.name not in summed)
    sums = " and ".join(f"the {_test(one)}" for one in node.conditions if one.field.name in summed)
    if not sums:
        return f"who have {'not ' if node.negated else ''}{node.function.words} with: {rows}"
    of = f"{node.function.many} with: {rows}" if rows else node.function.many
    return f"for whom {'it is not so that ' if node.negated else ''}{sums} (of {of})"


def _test(asked: Condition) -> str:
    field, values = asked.field, asked.values
    nay = "not " if asked.negated else ""
    is_date = field.kind in DATES
    verb = "are" if field.kind == "list" else "is"
    match asked.op:
        case "null":
            return f"{field.words} {verb} {'known' if asked.negated else 'not known'}"
        case "contains":
            said = "do not include" if asked.negated else "include"
            if field.kind != "list":
                said = "does not contain" if asked.negated else "contains"
            return f"{field.words} {said} {_value(values[0])}"
        case "between":
            return f"{field.words} is {nay}from {_value(values[0])} to {_value(values[1])}"
        case "in":
            either = " or ".join(map(_value, values))
            if field.kind == "list":
                return f"{field.words} {'do not ' if asked.negated else ''}include {either}"
            return f"{field.words} is {nay}{either}"
        case "=":
            value = _value(values[0])
            return f"{field.words} is {nay}{'on ' if is_date and value != TODAY else ''}{value}"
        case _:
            return f"{field.words} is {(_DAYS if is_date else _SIGNS)[asked.op]} {_value(values[0])}"


def _value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:,f}"
        case Day():
            return _day(value)
        case str():
            return f"'{value}'"


def _day(day: Day) -> str:
    if day.offset is None:
        return _shown(day.date)
    count = int(day.offset[:-1])
    if count == 0:
        return TODAY
    unit = _UNITS[day.offset[-1]]
    much = f"{abs(count)} {unit}{'' if abs(count) == 1 else 's'}"
    return f"the day {much} {'ago' if count < 0 else 'from now'}"


def _shown(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
