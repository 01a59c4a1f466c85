"""A tree becomes one condition of SQL, all its values arguments.

The condition stands in a statement over `c` (customer) and, by a left join, `m` (customer_metrics), with the workspace as
$1. NOT is moved down to the conditions, so that the plain ones stay as indexes know them: under AND and OR a null leaves a
row out as false does, and only where a condition is negated null is told apart.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from supover.kit.filters.model import (
    All,
    Condition,
    Day,
    Field,
    Matches,
    Node,
    Not,
    Some,
    Tree,
    Value,
)
from supover.kit.sql import Where

ONE: Final = "exists (select 1 from {rows} and {customer} = c.id)"
ALL_TOGETHER: Final = """exists (
        select 1
          from (select {customer} as customer_id
                  from {rows} and {customer} is not null
                 group by {customer}
                having {wanted}) as g
         where g.customer_id = c.id)"""
_WHOLE: Final = 2**31 - 1
_NEVER: Final = "false"
_ALWAYS: Final = "true"


def condition(tree: Tree, where: Where, customers: str | None = None) -> str:
    """The condition that a customer fits the tree; its values go into `where`.

    `customers` is the placeholder of an array of ids where only those are looked at: what is summed up is summed up for
    them alone.
    """
    return _Compiler(where, tree.zone, customers).node(tree.root, is_asked=True)


def conditions(tree: Tree) -> Iterator[tuple[Condition | Matches, Tree]]:
    """Each condition as it is written, with a tree of it alone."""

    def below(node: Node) -> Iterator[Condition | Matches]:
        match node:
            case All() | Some():
                for part in node.parts:
                    yield from below(part)
            case Not():
                yield from below(node.part)
            case _:
                yield node

    for found in below(tree.root):
        yield found, Tree(tree.text[found.start : found.end], found, tree.zone, _is_relative(found))


def _is_relative(node: Condition | Matches) -> bool:
    inner = node.conditions if isinstance(node, Matches) else (node,)
    return any(isinstance(value, Day) and value.offset is not None for one in inner for value in one.values)


class _Compiler:
    def __init__(self, where: Where, zone: ZoneInfo, customers: str | None) -> None:
        self._where = where
        self._zone = zone
        self._customers = customers

    def node(self, node: Node, *, is_asked: bool) -> str:
        """The condition that the node is true, or false where `is_asked` is not."""
        match node:
            case All() | Some():
                word = " and " if isinstance(node, All) == is_asked else " or "
                return f"({word.join(self.node(part, is_asked=is_asked) for part in node.parts)})"
            case Not():
                return self.node(node.part, is_asked=not is_asked)
            case Matches():
                return self._matches(node, is_asked=is_asked != node.negated)
            case Condition():
                return self._condition(node, is_asked=is_asked != node.negated)

    # --- one field -------------------------------------------------------------------------------------------------------

    def _condition(self, asked: Condition, *, is_asked: bool) -> str:
        field = asked.field
        if asked.op == "null":
            return _is_empty(field, is_asked=is_asked)
        test = self._test(asked)
        if field.within:
            within = field.within_few if self._customers and field.within_few else field.within
            found = within.replace("{}", test)
            if field.absent is None or not _holds(asked, field.absent):
                return found if is_asked else f"not {found}"
            any_row = field.within.replace("{}", _ALWAYS)
            return f"({found} or not {any_row})" if is_asked else f"(not {found} and {any_row})"
        if field.absent is not None and _holds(asked, field.absent):
            # Who has no row has what `absent` says, which fits.
            return f"({test} or {field.sql} is null)" if is_asked else f"({test}) is false"
        return test if is_asked else f"({test}) is not true"

    def _test(self, asked: Condition) -> str:
        """The bare comparison."""
        field, values = asked.field, asked.values
        match field.kind:
            case "moment":
                return self._moment(field.sql, asked.op, values)
            case "whole":
                return self._whole(field.sql, asked.op, values)
            case "list":
                if field.any_of and len(values) > 1:
                    return field.any_of.replace("{0}", self._where.arg(list(values)))
                return _either([self._same(field, value) for value in values])
            case _:
                pass
        if asked.op == "contains":
            return f"ext.fold({field.sql}) like ext.search_pattern({self._where.arg(values[0])})"
        if asked.op == "between":
            low, high = (self._arg(value) for value in values)
            return f"{field.sql} between {low} and {high}"
        if asked.op in ("=", "in"):
            return _either([self._same(field, value) for value in values])
        return f"{field.sql} {asked.op} {self._arg(values[0])}"

    def _same(self, field: Field, value: Value) -> str:
        if field.equals:
            return field.equals.replace("{0}", self._where.arg(value))
        if field.kind == "text":
            return f"lower({field.sql}) = lower({self._where.arg(value)})"
        return f"{field.sql} = {self._arg(value)}"

    def _arg(self, value: Value) -> str:
        if isinstance(value, Day):
            return self._where.arg(value.date)
        return self._where.arg(value)

    def _moment(self, sql: str, op: str, values: tuple[Value, ...]) -> str:
        days = [value for value in values if isinstance(value, Day)]
        if op in ("=", "in"):
            return _either([f"({sql} >= {self._begin(day)} and {sql} < {self._begin(day, 1)})" for day in days])
        if op == "between":
            return f"({sql} >= {self._begin(days[0])} and {sql} < {self._begin(days[1], 1)})"
        # A day ends where the next one begins.
        sign, later = {">=": (">=", 0), ">": (">=", 1), "<": ("<", 0), "<=": ("<", 1)}[op]
        return f"{sql} {sign} {self._begin(days[0], later)}"

    def _begin(self, day: Day, later: int = 0) -> str:
        at = datetime.combine(day.date + timedelta(days=later), time.min, self._zone)
        return self._where.arg(at.astimezone(UTC))

    def _whole(self, sql: str, op: str, values: tuple[Value, ...]) -> str:
        """Whole numbers are compared with whole numbers that the column can hold, or an index would not be used."""
        numbers = [value for value in values if isinstance(value, Decimal)]
        if op in ("=", "in"):
            return _either([self._is_whole(sql, number) for number in numbers])
        if op == "between":
            low, high = self._at_least(sql, numbers[0]), self._at_most(sql, numbers[1])
            return f"({low} and {high})"
        number = numbers[0]
        match op:
            case ">=":
                return self._at_least(sql, number)
            case ">":
                return self._at_least(sql, number.to_integral_value(ROUND_FLOOR) + 1)
            case "<=":
                return self._at_most(sql, number)
            case _:
                return self._at_most(sql, number.to_integral_value(ROUND_CEILING) - 1)

    def _is_whole(self, sql: str, number: Decimal) -> str:
        if number != number.to_integral_value() or abs(number) > _WHOLE:
            return _NEVER
        return f"{sql} = {self._where.arg(int(number))}"

    def _at_least(self, sql: str, number: Decimal) -> str:
        if number > _WHOLE:
            return _NEVER
        least = max(int(number.to_integral_value(ROUND_CEILING)), -_WHOLE)
        return f"{sql} >= {self._where.arg(least)}"

    def _at_most(self, sql: str, number: Decimal) -> str:
        if number < -_WHOLE:
            return _NEVER
        most = min(int(number.to_integral_value(ROUND_FLOOR)), _WHOLE)
        return f"{sql} <= {self._where.arg(most)}"

    # --- a function ------------------------------------------------------------------------------------------------------

    def _matches(self, asked: Matches, *, is_asked: bool) -> str:
        function = asked.function
        summed = {field.name for field in function.sums}
        of_rows = [c for c in asked.conditions if c.field.name not in summed]
        of_sums = [c for c in asked.conditions if c.field.name in summed]
        rows = "".join(f" and {self._condition(c, is_asked=not c.negated)}" for c in of_rows)
        if not of_sums:
            found = ONE.format(rows=f"{function.rows}{rows}", customer=function.customer)
            return found if is_asked else f"not {found}"
        sums = " and ".join(f"coalesce({self._condition(c, is_asked=not c.negated)}, false)" for c in of_sums)
        of_none = all(_holds(c, Decimal(0)) != c.negated for c in of_sums)
        # Who has none that fits has no group, and a sum of 0.
        wanted = sums if not of_none else f"not ({sums})"
        only = f" and {function.customer} = any({self._customers})" if self._customers else ""
        found = ALL_TOGETHER.format(rows=f"{function.rows}{rows}{only}", customer=function.customer, wanted=wanted)
        return found if is_asked != of_none else f"not {found}"


def _either(tests: list[str]) -> str:
    return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"


def _is_empty(field: Field, *, is_asked: bool) -> str:
    if field.absent is not None:
        return _NEVER if is_asked else _ALWAYS
    if field.empty:
        return field.empty if is_asked else f"({field.empty}) is not true"
    if field.within:
        any_row = field.within.replace("{}", f"{field.sql} is not null")
        return f"not {any_row}" if is_asked else any_row
    return f"{field.sql} is {'' if is_asked else 'not '}null"


def _holds(asked: Condition, value: str | Decimal) -> bool:
    """Whether a value that is not a date fits a condition, `negated` left aside."""
    given = asked.values
    if isinstance(value, str):
        return value in given
    numbers = [one for one in given if isinstance(one, Decimal)]
    match asked.op:
        case "=" | "in":
            return value in numbers
        case "between":
            return numbers[0] <= value <= numbers[1]
        case "<":
            return value < numbers[0]
        case "<=":
            return value <= numbers[0]
        case ">":
            return value > numbers[0]
        case ">=":
            return value >= numbers[0]
        case _:
            return False
