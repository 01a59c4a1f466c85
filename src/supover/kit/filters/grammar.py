"""Text becomes a tree of names, operators and values. What they mean is not known here."""

from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from supover.kit.problems import worded

if TYPE_CHECKING:
    from lark import Lark, Token

MAX_LENGTH: Final = 20_000
MAX_DEPTH: Final = 32
MAX_CONDITIONS: Final = 250

GRAMMAR: Final = r"""
start: any
any: all (_OR all)*
all: part (_AND part)*
?part: NOT part        -> negation
     | _OPEN any CLOSE -> group
     | condition
?condition: NAME OP value                           -> compared
     | NAME BETWEEN value _AND value                -> between
     | NAME NOT BETWEEN value _AND value            -> not_between
     | NAME IN _OPEN value (_COMMA value)* CLOSE     -> listed
     | NAME NOT IN _OPEN value (_COMMA value)* CLOSE -> not_listed
     | NAME CONTAINS value                          -> contained
     | NAME NOT CONTAINS value                      -> not_contained
     | NAME IS NULL                                 -> absent
     | NAME IS NOT NULL                             -> present
     | NAME MATCHES _OPEN condition (_COMMA condition)* CLOSE     -> matched
     | NAME NOT MATCHES _OPEN condition (_COMMA condition)* CLOSE -> not_matched
value: TEXT | DATE | OFFSET | NUMBER | TRUE | FALSE | NULL

_OR: "OR"i
_AND: "AND"i
NOT: "NOT"i
BETWEEN: "BETWEEN"i
IN: "IN"i
CONTAINS: "CONTAINS"i
IS: "IS"i
NULL: "NULL"i
MATCHES: "MATCHES"i
TRUE: "TRUE"i
FALSE: "FALSE"i
_OPEN: "("
CLOSE: ")"
_COMMA: ","
OP: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
NAME: /[a-z_][a-z0-9_]*(\.[a-z0-9_]+)?/i
TEXT: /'(?:[^']|'')*+'/ | /"(?:[^"]|"")*+"/
DATE.3: /\d{4}-\d{2}-\d{2}(?![\w.-])/
OFFSET.2: /[+-]?\d+[dwmy](?![\w.])/i
NUMBER.1: /[+-]?\d+(\.\d+)?(?![\w.])/
%ignore /\s+/
"""

_WORDS: Final = {
    "NAME": "a field",
    "OP": "a comparison such as = or >=",
    "TEXT": "a text in quotes",
    "DATE": "a date such as 2026-01-31",
    "OFFSET": "days such as -90d",
    "NUMBER": "a number",
    "_OPEN": "(",
    "CLOSE": ")",
    "_COMMA": "a comma",
    "$END": "the end",
}
_VALUES: Final = frozenset({"TEXT", "DATE", "OFFSET", "NUMBER", "TRUE", "FALSE", "NULL"})
_MOST_WORDS: Final = 4
_ECHO: Final = 30

ValueKind = Literal["TEXT", "DATE", "OFFSET", "NUMBER", "TRUE", "FALSE", "NULL"]


class Unreadable(Exception):
    """A text that is not of the language: the character where it stops being so, a code, and why."""

    def __init__(self, position: int, code: str, why: str) -> None:
        super().__init__(why)
        self.position = position
        self.code = code
        self.why = why


class Written(msgspec.Struct, frozen=True):
    """A value as it was written, without its quotes."""

    kind: ValueKind
    text: str
    position: int
    end: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A condition as it was written; `inner` are a function's."""

    name: str
    op: str
    values: tuple[Written, ...] = ()
    inner: tuple["Compared", ...] = ()
    negated: bool
    start: int
    op_at: int
    end: int


class Joined(msgspec.Struct, frozen=True):
    """Parts joined by AND or OR, or one under NOT; `depth` of brackets and NOTs below."""

    by: Literal["and", "or", "not"]
    parts: tuple["Compared | Joined", ...]
    depth: int


def read(text: str) -> "Compared | Joined":
    """The tree of a text. Raises Unreadable."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    if len(text) > MAX_LENGTH:
        raise Unreadable(MAX_LENGTH, "length", f"can have at most {MAX_LENGTH} characters")
    if not text.strip():
        raise Unreadable(0, "required", "says nothing")
    try:
        return cast("Compared | Joined", cast("Any", _parser()).parse(text))
    except UnexpectedCharacters as error:
        raise _odd(text, cast("Any", error).pos_in_stream) from None
    except UnexpectedToken as error:
        found = cast("Any", error)
        raise _misplaced(text, found.token, found.accepts or found.expected) from None
    except UnexpectedInput:
        raise Unreadable(0, "syntax", "cannot be read") from None


def _odd(text: str, at: int) -> Unreadable:
    if text[at] in "'\"":
        return Unreadable(at, "quote", "this quote is not closed")
    if text[at].isdigit() or text[at] in "+-":
        return Unreadable(
            at,
            "value",
            "this is neither a number such as 1999.50, nor a date such as 2026-01-31, nor days such as -90d",
        )
    shown = text[at] if text[at].isprintable() else worded(f"character {ord(text[at])}")
    return Unreadable(at, "syntax", f"{shown} cannot stand here")


def _misplaced(text: str, token: "Token", expected: "set[str]") -> Unreadable:
    wanted = {"a value"} if expected >= _VALUES - {"NULL"} else {_WORDS.get(t, t.strip("_")) for t in expected}
    hint = ""
    if len(wanted) <= _MOST_WORDS:
        hint = worded(f": {' or '.join(sorted(wanted))} is expected")
    elif "OP" in expected:
        hint = worded(": a comparison such as =, >=, IN, BETWEEN, CONTAINS, IS NULL or MATCHES is expected")
    if token.type == "$END":
        return Unreadable(len(text.rstrip()), "incomplete", f"something is missing at the end{hint}")
    before = text[: token.start_pos].rstrip() if token.start_pos else ""
    if token.type == "OP" and before.endswith(("=", "<", ">", "!")):
        hint = worded(": one sign is enough, as in =")
    elif token.type == "NAME" and "TEXT" in expected:
        hint = worded(f": texts stand in quotes, as in '{token[:_ECHO]}'")
    elif token.type == "_COMMA" and before[-1:].isdigit():
        hint = worded(": numbers are written without commas")
    found = str(token) if len(token) <= _ECHO else f"{token[:_ECHO]}…"
    return Unreadable(token.start_pos or 0, "syntax", f"{found} cannot stand here{hint}")


@cache
def _parser() -> "Lark":
    # Only who reads a filter waits for the library.
    from lark import Lark, Transformer, visitors

    inline = cast("Any", visitors).v_args(inline=True)

    def value(token: "Token") -> Written:
        kind = cast("ValueKind", token.type)
        shown = str(token)
        if kind == "TEXT":
            shown = shown[1:-1].replace(shown[0] * 2, shown[0])
        return Written(kind, shown, token.start_pos or 0, token.end_pos or 0)

    def end(last: "Token | Written") -> int:
        return last.end if isinstance(last, Written) else last.end_pos or 0

    def compared(
        name: "Token", op: "Token", *values: Written, as_: str, negated: bool = False, close: "Token | None" = None
    ) -> Compared:
        return Compared(
            name=str(name).lower(),
            op=as_,
            values=values,
            negated=negated,
            start=name.start_pos or 0,
            op_at=op.start_pos or 0,
            end=end(close or (values[-1] if values else op)),
        )

    def matched(name: "Token", op: "Token", inner: tuple[Compared, ...], close: "Token", *, negated: bool) -> Compared:
        return Compared(
            name=str(name).lower(),
            op="matches",
            inner=inner,
            negated=negated,
            start=name.start_pos or 0,
            op_at=op.start_pos or 0,
            end=end(close),
        )

    def joined(by: Literal["and", "or"], parts: "tuple[Compared | Joined, ...]") -> "Compared | Joined":
        if len(parts) == 1:
            return parts[0]
        return Joined(by, parts, max(_depth(part) for part in parts))

    def deeper(part: "Compared | Joined", position: int) -> int:
        depth = _depth(part) + 1
        if depth > MAX_DEPTH:
            raise Unreadable(position, "depth", f"is nested deeper than {MAX_DEPTH} levels")
        return depth

    class Builder(Transformer[Any, Any]):
        """Builds the tree while it is read."""

        def start(self, root: Any) -> Any:
            return root

        def any(self, *parts: Any) -> Any:
            return joined("or", parts)

        def all(self, *parts: Any) -> Any:
            return joined("and", parts)

        def negation(self, sign: Any, part: Any) -> Any:
            return Joined("not", (part,), deeper(part, sign.start_pos))

        def group(self, part: Any, _close: Any) -> Any:
            # The brackets themselves are gone, so the place told is where what they hold begins.
            depth = deeper(part, _start(part))
            return Joined(part.by, part.parts, depth) if isinstance(part, Joined) else Joined("and", (part,), depth)

        def value(self, token: Any) -> Any:
            return value(token)

        def compared(self, name: Any, op: Any, *values: Any) -> Any:
            sign = str(op)
            is_not = sign in ("!=", "<>")
            return compared(name, op, *values, as_="=" if is_not else sign, negated=is_not)

        def between(self, name: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values, as_="between")

        def not_between(self, name: Any, _not: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values, as_="between", negated=True)

        def listed(self, name: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values[:-1], as_="in", close=values[-1])

        def not_listed(self, name: Any, _not: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values[:-1], as_="in", negated=True, close=values[-1])

        def contained(self, name: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values, as_="contains")

        def not_contained(self, name: Any, _not: Any, op: Any, *values: Any) -> Any:
            return compared(name, op, *values, as_="contains", negated=True)

        def absent(self, name: Any, _is: Any, null: Any) -> Any:
            return compared(name, null, as_="null")

        def present(self, name: Any, _is: Any, _not: Any, null: Any) -> Any:
            return compared(name, null, as_="null", negated=True)

        def matched(self, name: Any, op: Any, *inner: Any) -> Any:
            return matched(name, op, inner[:-1], inner[-1], negated=False)

        def not_matched(self, name: Any, _not: Any, op: Any, *inner: Any) -> Any:
            return matched(name, op, inner[:-1], inner[-1], negated=True)

    return Lark(GRAMMAR, parser="lalr", transformer=inline(Builder)())


def count(part: "Compared | Joined") -> int:
    """How many conditions it has, those within functions too."""
    inner = part.parts if isinstance(part, Joined) else part.inner
    return sum(count(one) for one in inner) + (0 if isinstance(part, Joined) else 1)


def _depth(part: "Compared | Joined") -> int:
    return part.depth if isinstance(part, Joined) else 0


def _start(part: "Compared | Joined") -> int:
    while isinstance(part, Joined):
        part = part.parts[0]
    return part.start
