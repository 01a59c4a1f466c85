"""What the segment language can ask, and what a text asks once it is understood."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from supover.kit.problems import FieldError, Invalid

Kind = Literal["text", "choice", "whole", "number", "moment", "day", "flag", "list"]
"""How a field's values are written and compared.

A `moment` is a timestamptz that is asked about by whole days in the workspace's zone; a `day` is a date; a
`list` has any number of texts.
"""
DATES: Final[frozenset[Kind]] = frozenset({"moment", "day"})
NUMBERS: Final[frozenset[Kind]] = frozenset({"whole", "number"})

Op = Literal["=", "<", "<=", ">", ">=", "between", "in", "contains", "null"]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked.

    `sql` is the value, over `c` (customer) and `m` (customer_metrics, which may have no row). `within` stands around a
    condition where the value is in a table of its own, as in `exists (select 1 from consent k where … and {})`; `within_few`
    does where only a few customers are looked at, if another way is quicker then. `absent` is
    the value of a customer of whom `m`, or that table, knows nothing; without it they have none. `equals` is the test of
    equality where it is not plain, with `{0}` for the value; `any_of` is that of having one of several, with `{0}` for the array
    of them, where that is quicker than each by itself; `empty` is the test of having none where it is not `sql is null`.
    `aka` are other names that people may try. `vocabulary` names what a text is taken from, such as "country", so that forms
    can offer it; `meant` tells which of it is meant by a text that no customer has, None for all others.
    """

    name: str
    kind: Kind
    words: str
    sql: str = ""
    within: str = ""
    within_few: str = ""
    absent: str | Decimal | None = None
    equals: str = ""
    any_of: str = ""
    empty: str = ""
    choices: tuple[str, ...] = ()
    vocabulary: str = ""
    meant: Callable[[str], str | None] | None = None
    example: str = ""
    aka: tuple[str, ...] = ()


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """Things of a customer of which one is looked for that fits all conditions: `name MATCHES (field = …, field > …)`.

    `words` go on after "who have", as in "bought a product"; `many` are the things, as in "products bought".

    `rows` reads them, from FROM on and with all conditions but the customer; `customer` is the column that says whose they
    are. `sums` are asked about all that fit: their `sql` is an aggregate, 0 of none.
    """

    name: str
    words: str
    many: str
    rows: str
    customer: str
    fields: tuple[Field, ...]
    sums: tuple[Field, ...] = ()


Asked = Field | Function


class Day(msgspec.Struct, frozen=True):
    """A day; `offset` as it was written where it moves with today, such as -90d."""

    date: date
    offset: str | None = None


Value = str | bool | Decimal | Day


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A field compared; `negated` where it was written as !=, NOT IN and the like. `start` and `end` are where it stands."""

    field: Field
    op: Op
    values: tuple[Value, ...]
    negated: bool
    start: int
    end: int


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """A function and what it looks for."""

    function: Function
    conditions: tuple[Condition, ...]
    negated: bool
    start: int
    end: int


class All(msgspec.Struct, frozen=True):
    """Every part is true."""

    parts: tuple["Node", ...]


class Some(msgspec.Struct, frozen=True):
    """At least one part is true."""

    parts: tuple["Node", ...]


class Not(msgspec.Struct, frozen=True):
    """The part is not true."""

    part: "Node"


Node = Condition | Matches | All | Some | Not


class Scope(msgspec.Struct, frozen=True):
    """What a text is read in: the fields of a workspace, its zone, and the day that it is there."""

    zone: ZoneInfo
    today: date
    asked: Mapping[str, Asked]


class Tree(msgspec.Struct, frozen=True):
    """A text that was understood. `is_relative`: it has days that move with today, so its customers change by themselves."""

    text: str
    root: Node
    zone: ZoneInfo
    is_relative: bool


class FilterInvalid(Invalid):
    """This filter cannot be read."""

    @classmethod
    def told(cls, errors: Iterable[tuple[int, str, str]], pointer: str) -> "FilterInvalid":
        """From positions (characters from the start), codes and messages."""
        return cls([FieldError(pointer, code, message, position) for position, code, message in errors])


_asked: dict[str, Asked] = {}


def register(asked: Sequence[Asked]) -> None:
    """Makes these part of the language. A name that is taken by something else is refused."""
    for one in asked:
        if _asked.setdefault(one.name, one) != one:
            raise ValueError(f"Two things are asked by the name of {one.name!r}.")


def registered() -> Mapping[str, Asked]:
    """Everything that can be asked in every workspace."""
    return _asked
