"""Walks the package: its modules, its SQL constants, its routes. Nothing here is a list that somebody has to keep."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

import supover
from supover.kit.problems import Problem

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src" / "supover"
SQL: Final = re.compile(
    r"\s*(select\s|insert\s+into\s|update\s+\S+(\s+\w+)?\s+set\s|delete\s+from\s|merge\s+into\s|with\s+(recursive\s+)?\w+\s+as\s)"
)


class Source(msgspec.Struct, frozen=True):
    """One file of the package, read."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def shown(self) -> str:
        """Its name for people: `orders/queries.py`."""
        return self.path.relative_to(SOURCE).as_posix()


@cache
def sources() -> tuple[Source, ...]:
    """Every file of the package."""
    found: list[Source] = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Source(name, path, ast.parse(path.read_text("utf-8"))))
    return tuple(found)


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the package, imported."""
    return tuple(importlib.import_module(info.name) for info in pkgutil.walk_packages(supover.__path__, "supover."))


class Constant(msgspec.Struct, frozen=True):
    """An SQL statement of the package, under the name that its module gives it."""

    module: str
    name: str
    sql: str

    @property
    def shown(self) -> str:
        """`orders.queries.FIND`."""
        return f"{self.module.removeprefix('supover.')}.{self.name}"

    @property
    def is_template(self) -> bool:
        """Whether conditions are filled in at run time."""
        return re.search(r"\{\w*\}", re.sub(r"'[^']*'", "", self.sql)) is not None


def assigned(tree: ast.Module) -> Iterator[str]:
    """The names that a module assigns at its top level."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def is_sql(text: str) -> bool:
    """Whether a text is a statement, not a sentence that begins like one."""
    return SQL.match(text) is not None


@cache
def constants() -> tuple[Constant, ...]:
    """Every SQL constant of the package, and the questions of its drains."""
    by_name = {source.name: source for source in sources()}
    found: list[Constant] = []
    for module in modules():
        for name in assigned(by_name[module.__name__].tree):
            value = getattr(module, name, None)
            if isinstance(value, str) and is_sql(value):
                found.append(Constant(module.__name__, name, value))
    return tuple(found)


def inline_sql(source: Source) -> Iterator[tuple[int, str]]:
    """Statements that stand elsewhere than in a constant of their module: line and text."""
    constant = {
        id(node) for top in source.tree.body if isinstance(top, ast.Assign | ast.AnnAssign) for node in ast.walk(top)
    }
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.expr) or id(node) in constant or id(node) in docstrings:
            continue
        text = None
        if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
            text = node.values[0].value
        elif isinstance(node, ast.Constant):
            text = node.value
        if isinstance(text, str) and is_sql(text):
            yield node.lineno, text


@cache
def problems() -> tuple[type[Problem], ...]:
    """Every kind of problem of the package, by name."""

    def below(kind: type[Problem]) -> Iterator[type[Problem]]:
        yield kind
        for sub in kind.__subclasses__():
            yield from below(sub)

    modules()
    found = {kind for kind in below(Problem) if kind.__module__.startswith("supover.")}
    return tuple(sorted(found, key=lambda kind: kind.__name__))
