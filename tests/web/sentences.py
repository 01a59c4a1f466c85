"""What rooms say in finished English where people read it, as templates for the catalogues, and what is said past them.

A sentence is a literal or an f-string: `f"can have at most {MOST} characters"` is `can have at most %(1)s characters`. It stands
where a parameter is called so in `SAYING`, or within `worded(…)`. One that has a name first, that a helper makes, or that comes from
who calls a function, is followed to where it is made.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from supover.channels.model import Unreadable
from supover.duplicates.scoring import Reason
from supover.kit import problems
from supover.kit.problems import worded
from supover.web import wordings
from tests.house import walk

SAYING: Final = frozenset({"message", "detail"})
"""The parameters that are sentences, of whatever is called: `FieldError(…, message)`, `Invalid.at`, the detail of a problem."""
OTHERS: Final[Mapping[object, str]] = {worded: "text", Reason: "words", Unreadable: "why"}
"""Where it is another."""
PASSED_ON: Final = SAYING | {"error", "why", "words"}
"""The members that hold a sentence that was made elsewhere."""
OF_A_TERMINAL: Final = ("cli", ".up", ".terminal", ".demo.commands", ".house", ".doctor")

ALREADY: Final = frozenset({"worded", "from_library", "title", "str"})
"""What gives a sentence that is found elsewhere: titles are of the catalogue, and an error of a library speaks for itself."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Found(msgspec.Struct, frozen=True):
    """A sentence, or what stands in place of one and cannot be told in another language."""

    text: str
    at: str
    is_lost: bool = False


@cache
def found() -> tuple[Found, ...]:
    """All of the package but what only a terminal tells."""
    return tuple(
        one
        for source in walk.sources()
        if not source.name.endswith(OF_A_TERMINAL)
        for one in _reader(source.name).sentences()
    )


def said_by(text: str) -> list[Found]:
    """What a module says that has the kit's problems at hand."""
    source = walk.Source(problems.__name__, walk.SOURCE / "made.py", ast.parse(text))
    return [*_Reader(source).sentences()]


def template(node: ast.Constant | ast.JoinedStr) -> str:
    """A literal as it is, an f-string with numbered places."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    if len(parts) == 1 and isinstance(parts[0], ast.Constant):
        return str(parts[0].value)
    numbers = iter(range(1, 100))
    return "".join(
        str(one.value).replace("%", "%%") if isinstance(one, ast.Constant) else f"%({_place_of(one, numbers)})s"
        for one in parts
    )


def _place_of(value: ast.expr, numbers: Iterator[int]) -> str | int:
    is_country = isinstance(value, ast.FormattedValue) and ast.unparse(value.value).startswith("countries.name(")
    return wordings.COUNTRY if is_country else next(numbers)


def _is_prose(text: object) -> bool:
    """Whether people read it: words, not one code."""
    return isinstance(text, str) and re.search(r"[A-Za-z]{2,} |[ (][A-Za-z]{2,}", text) is not None


@cache
def _place(called: object) -> tuple[int, str] | None:
    """Where what is called takes a sentence, and by which name."""
    says = {OTHERS.get(called), *SAYING}
    return next(
        ((at, name) for at, (name, kind) in enumerate(_parameters(called)) if name in says and "str" in kind), None
    )


def _parameters(called: Any) -> list[tuple[str, str]]:
    """The parameters of what is called, each with its type."""
    if hasattr(called, "__struct_fields__"):
        return [(name, str(called.__annotations__.get(name, "str"))) for name in called.__struct_fields__]
    try:
        found = inspect.signature(called).parameters
    except (TypeError, ValueError):
        return []
    return [(name, str(one.annotation)) for name, one in found.items()]


@cache
def _reader(module: str) -> "_Reader":
    return _Reader(next(one for one in walk.sources() if one.name == module))


class _Reader:
    """Reads one file."""

    def __init__(self, source: walk.Source) -> None:
        self._name = source.shown
        self._tree = source.tree
        self._functions = {one.name: one for one in ast.walk(source.tree) if isinstance(one, Function)}
        self.module = importlib.import_module(source.name)
        self._places: dict[str, tuple[int, str]] = {}
        for function in self._functions.values():
            for one in function.args.args:
                if one.arg in SAYING and one.annotation is not None and "str" in ast.unparse(one.annotation):
                    self._takes(function, one.arg)
        self._seen: set[int] = set()

    def sentences(self) -> Iterator[Found]:
        """Every sentence of the file."""
        known = -1
        # A function that hands its argument on is a place, too, and so may be what calls it.
        while known < (known := len(self._places)):
            for function, call in self._calls(self._tree, None):
                if (node := self._argument(call)) is not None:
                    yield from self._read(node, function)

    def _calls(self, node: ast.AST, function: Function | None) -> Iterator[tuple[Function | None, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield function, child
            yield from self._calls(child, child if isinstance(child, Function) else function)

    def _argument(self, call: ast.Call) -> ast.expr | None:
        name = ast.unparse(call.func)
        place = self._places.get(name.rpartition(".")[2]) or _place(self._called(name))
        if place is None:
            return None
        at, keyword = place
        given = (
            call.args[at] if len(call.args) > at else next((k.value for k in call.keywords if k.arg == keyword), None)
        )
        return None if isinstance(given, ast.Starred) else given

    def _called(self, name: str) -> object:
        """What of ours a name in the file stands for."""
        found: object = self.module
        for part in name.split("."):
            found = getattr(found, part, None)
        return found if (getattr(found, "__module__", "") or "").startswith("supover") else None

    def _read(self, node: ast.expr, function: Function | None) -> Iterator[Found]:
        """What is said by an expression of a function."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        match node:
            case ast.Constant(value=str(text)):
                if text:
                    yield self._found(node, template(node))
            case ast.JoinedStr():
                if _is_word(node):
                    yield self._found(node, template(node))
                for part in node.values:
                    if isinstance(part, ast.FormattedValue):
                        yield from self._value(part.value, function)
            case ast.Lambda():
                yield from self._read(node.body, function)
            case ast.IfExp():
                yield from self._read(node.body, function)
                yield from self._read(node.orelse, function)
            case ast.BoolOp():
                for one in node.values:
                    yield from self._read(one, function)
            case ast.Call(func=called) if ast.unparse(called).rpartition(".")[2] in ALREADY:
                pass
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, *others]) if (
                table := self._table(name, function)
            ):
                for one in (*table, *others):
                    yield from self._read(one, function)
            case ast.Subscript(value=ast.Name(id=name)) if table := self._table(name, function):
                for one in table:
                    yield from self._read(one, function)
            case ast.Subscript(value=ast.Call() as shortened):
                yield from self._read(shortened, function)
            case ast.Call(func=called) if made := self._function(called):
                yield from made[0]._returned(made[1])
            case ast.Attribute(attr=name) if name in PASSED_ON:
                pass
            case ast.Name(id=name):
                yield from self._named(node, name, function)
            case _:
                yield self._found(node, ast.unparse(node), is_lost=True)

    def _function(self, called: ast.expr) -> "tuple[_Reader, Function] | None":
        """A function of ours, and the file that it stands in."""
        name = ast.unparse(called)
        if name in self._functions:
            return self, self._functions[name]
        found = self._called(name)
        if not inspect.isfunction(found) or found.__module__ == self.module.__name__:
            return None
        there = _reader(found.__module__)
        return (there, there._functions[found.__name__]) if found.__name__ in there._functions else None

    def _value(self, node: ast.expr, function: Function | None) -> Iterator[Found]:
        """A value in a sentence says nothing itself."""
        chosen: list[ast.expr] = []
        for one in ast.walk(node):
            chosen += [one.body, one.orelse] if isinstance(one, ast.IfExp) else []
            chosen += one.values if isinstance(one, ast.BoolOp) else []
        wrong = [one for one in chosen if isinstance(one, ast.Constant | ast.JoinedStr) and _is_word(one)]
        if isinstance(node, ast.Name):
            wrong += [given for given in self._given(node.id, function) if _says(given)]
        elif isinstance(node, ast.Call) and (made := self._function(node.func)):
            wrong += [given for given in _returns(made[1]) if _says(given)]
        for one in wrong:
            yield self._found(one, ast.unparse(one), is_lost=True)

    def _named(self, node: ast.expr, name: str, function: Function | None) -> Iterator[Found]:
        given = self._given(name, function)
        for one in given:
            yield from self._read(one, function)
        if function and name in [one.arg for one in function.args.args]:
            self._takes(function, name)
        elif not given and name not in PASSED_ON:
            yield self._found(node, ast.unparse(node), is_lost=True)

    def _takes(self, function: Function, name: str) -> None:
        names = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
        self._places[function.name] = (names.index(name), name)

    def _given(self, name: str, function: Function | None) -> list[ast.expr]:
        """What a name is given in its function, or at the top of the file."""
        for scope in (function, self._tree):
            if scope and (found := list(_assigned(scope, name))):
                return found
        return []

    def _table(self, name: str, function: Function | None) -> list[ast.expr]:
        """What a table may give."""
        return [one for given in self._given(name, function) if isinstance(given, ast.Dict) for one in given.values]

    def _returned(self, function: Function) -> Iterator[Found]:
        for one in _returns(function):
            yield from self._read(one, function)

    def _found(self, node: ast.expr, text: str, *, is_lost: bool = False) -> Found:
        return Found(text, f"{self._name}:{node.lineno}", is_lost)


def _assigned(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node):
                if isinstance(target, ast.Name) and target.id == name:
                    yield value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
            yield from [node.value] if node.target.id == name and node.value is not None else []


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _returns(function: Function) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
            yield node.value


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_word(node: ast.Constant | ast.JoinedStr) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return any(isinstance(one, ast.Constant) and re.search(r"[A-Za-z]{2}", str(one.value)) for one in parts)


def _says(node: ast.expr) -> bool:
    """Whether it is words of ours that are not marked as such."""
    match node:
        case ast.Constant(value=str(text)):
            return _is_prose(text)
        case ast.JoinedStr():
            return any(isinstance(one, ast.Constant) and _is_prose(one.value) for one in node.values)
        case ast.IfExp():
            return _says(node.body) or _says(node.orelse)
        case _:
            return False
