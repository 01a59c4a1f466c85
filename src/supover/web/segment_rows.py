"""A filter as rows of field, operator and value in groups, from a form or a text and back.

A form is a list of pairs in the order of its controls, so the rows need no names of their own: `node` opens a group, a row, or
things of which one is looked for, and `end` closes what is open.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from supover.kit import filters
from supover.kit.filters import Field, Function, grammar
from supover.kit.filters.grammar import Compared, Joined, Written
from supover.kit.filters.model import DATES, NUMBERS, Asked
from supover.web import vocabularies

By = Literal["and", "or", "none", "nand"]
"""How the parts of a group go together; `none` of them, and not all of them."""

NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
OFFSET: Final = re.compile(r"([+-]?)(\d+)([dwmy])", re.ASCII)
PART_OF_DAY: Final = re.compile(r"[+-][dwmy]", re.ASCII)
COUNTRY: Final = re.compile(r"[A-Za-z]{2}", re.ASCII)
A_DAY: Final = "day"
"""A day of the calendar that was not chosen yet."""
USUAL: Final = {"d": "30", "w": "4", "m": "3", "y": "1"}
MOST_OPEN: Final = 32
"""So deep groups stand in each other; what opens below is read into the group that it would have stood in."""
MOST: Final = grammar.MAX_CONDITIONS + 1
"""So many rows are read, and groups: one more than a filter can have, so that it is told to have too many."""


class Row(msgspec.Struct, kw_only=True):
    """One condition; `wrong` is a code of what keeps it from being asked, `start` and `end` are where the text has it.

    `within` is the country whose regions are chosen from, `was` the field that the values were chosen for.
    """

    field: str
    op: str = ""
    values: list[str] = []
    within: str = ""
    was: str = ""
    wrong: str = ""
    start: int = -1
    end: int = -1
    n: int = 0


class Looked(msgspec.Struct, kw_only=True):
    """Things of which one is looked for that fits all its rows."""

    field: str
    op: str = "MATCHES"
    rows: list[Row] = []
    wrong: str = ""
    start: int = -1
    end: int = -1
    n: int = 0


class Fixed(msgspec.Struct, kw_only=True):
    """A condition that no control can show, as it was written."""

    text: str
    wrong: str = ""
    start: int = -1
    end: int = -1
    n: int = 0


class Group(msgspec.Struct, kw_only=True):
    """Rows and groups that go together."""

    by: By = "and"
    parts: list["Node"] = []
    n: int = 0


Node = Row | Looked | Fixed | Group


# --- from a form ---------------------------------------------------------------------------------------------------------


def from_form(pairs: Sequence[tuple[str, str]], asked: Mapping[str, Asked]) -> Group:
    """The rows that a form shows, each fitting its field: who chose another one gets its operators and values."""
    root = Group()
    open_: list[Group | Looked] = []
    row: Row | None = None
    unit, count = "", None
    rows = groups = 0
    for name, value in pairs:
        rows += name == "fixed" or (name, value) == ("node", "row")
        groups += name == "node" and value in ("group", "looked")
        if max(rows, groups) > MOST:
            break
        match name, value:
            case "node", "group":
                if len(open_) >= MOST_OPEN:
                    continue
                group = Group() if open_ else root
                if open_ and isinstance(open_[-1], Group):
                    open_[-1].parts.append(group)
                open_.append(group)
                row = None
            case "node", "looked":
                looked = Looked(field="")
                if open_ and isinstance(open_[-1], Group):
                    open_[-1].parts.append(looked)
                open_.append(looked)
                row = None
            case "node", "row":
                row = Row(field="", values=[])
                _append(open_, row)
            case "node", "end":
                if open_:
                    open_.pop()
                row = None
            case "fixed", text:
                _append(open_, Fixed(text=text))
            case "by", ("and" | "or" | "none" | "nand") as by:
                if open_ and isinstance(open_[-1], Group):
                    open_[-1].by = by
            case "field" | "op", _:
                of = row or (open_[-1] if open_ else None)
                if isinstance(of, Row | Looked):
                    setattr(of, name, value)
            case "within" | "was", _ if row is not None:
                setattr(row, name, value)
            case "count", _:
                count = value
            case "unit", _ if count is not None and row is not None:
                row.values.append(A_DAY if value == "date" else f"{value[:1]}{count.strip()}{value[1:]}")
                count = None
            case "unit", _:
                unit = value
            case "value", _ if row is not None:
                row.values.append(value if unit in ("", "date") else f"{unit[:1]}{USUAL.get(unit[1:], '')}{unit[1:]}")
                unit = ""
            case _:
                pass
    return _fitting_group(root, asked)


def _append(open_: list[Group | Looked], node: Row | Fixed) -> None:
    if not open_:
        return
    if isinstance(open_[-1], Group):
        open_[-1].parts.append(node)
    elif isinstance(node, Row):
        open_[-1].rows.append(node)


def _fitting_group(group: Group, asked: Mapping[str, Asked]) -> Group:
    parts: list[Node] = []
    for part in group.parts:
        match part:
            case Group():
                parts.append(_fitting_group(part, asked))
            case Fixed():
                parts.append(part)
            case Row() | Looked():
                parts.append(fitting(part, asked))
    return Group(by=group.by, parts=parts)


def fitting(node: Row | Looked, asked: Mapping[str, Asked]) -> Row | Looked:
    """The node as its field asks for it."""
    field = asked.get(node.field)
    if isinstance(field, Function):
        known = {one.name: one for one in (*field.fields, *field.sums)}
        rows = [_fitted(row, known) for row in node.rows if row.field in known] if isinstance(node, Looked) else []
        op = node.op if node.op in ("MATCHES", "NOT MATCHES") else "MATCHES"
        return Looked(field=node.field, op=op, rows=rows or [begun(field.fields[0])])
    row = node if isinstance(node, Row) else Row(field=node.field)
    return _fitted(row, asked)


def _fitted(row: Row, asked: Mapping[str, Asked]) -> Row:
    field = asked.get(row.field)
    if not isinstance(field, Field):
        return begun(next(one for one in asked.values() if isinstance(one, Field)))
    ways = operators(field)
    if row.op not in ways:
        return begun(field)
    before = asked.get(row.was)
    if isinstance(before, Field) and before.vocabulary != field.vocabulary:
        # A country is no tag.
        row = Row(field=row.field, op=row.op)
    values = _split(row, field)
    within = row.within
    if vocabularies.is_chosen(field, row.op):
        within, values = _chosen(row, field, values)
    if many(row.op) is not None or field.choices:
        values = [_fitting_value(value, field) for value in values]
    match many(row.op):
        case 0:
            values = []
        case 1 | 2 as most:
            values = [*values, *[_first(field)] * most][:most]
        case _:
            values = list(dict.fromkeys(values))
    return Row(field=row.field, op=row.op, values=values, within=within)


def _chosen(row: Row, field: Field, values: Sequence[str]) -> tuple[str, list[str]]:
    """The codes that are meant, and the country whose regions are offered."""
    if field.vocabulary != "region":
        return "", [_code(value, field) for value in values]
    within = row.within or _country_of(values)
    codes = [_code(value, field, within) for value in values]
    # Of a country without a list of regions only the name is told; who chooses another country begins anew.
    told = [f"{within}-{code.strip()}" if within and code and not _country_of([code]) else code for code in codes]
    return within, [one if many(row.op) is None or _country_of([one]) == within else "" for one in told]


def _code(value: str, field: Field, within: str = "") -> str:
    """The code of a value; a region that does not tell its country is one of `within`."""
    return vocabularies.code(field.vocabulary, value, _country_of([value]) or within)


def _country_of(regions: Sequence[str]) -> str:
    """The country of the last of some regions."""
    found = [
        country for country, dash, _ in (one.partition("-") for one in regions) if dash and COUNTRY.fullmatch(country)
    ]
    return found[-1].upper() if found else ""


def _split(row: Row, field: Field) -> list[str]:
    """What stands on lines of its own is a value of its own."""
    if many(row.op) is not None or field.kind in ("choice", "flag"):
        return row.values
    return [line.strip() for value in row.values for line in value.splitlines() if line.strip()]


def _fitting_value(value: str, field: Field) -> str:
    if field.kind == "choice":
        return value if value in field.choices else field.choices[0]
    if field.kind == "flag":
        return "false" if value == "false" else "true"
    if field.kind in DATES:
        return value if value == A_DAY or any(form.fullmatch(value) for form in (DAY, OFFSET, PART_OF_DAY)) else "-30d"
    if field.kind in NUMBERS and OFFSET.fullmatch(value):
        return ""
    return value


def begun(field: Field) -> Row:
    """A new row for a field, as its example begins."""
    ways = operators(field)
    op = {"list": "CONTAINS", "text": "="}.get(field.kind, "")
    if field.kind in NUMBERS | DATES:
        op = ">="
    op = op if op in ways else ways[0]
    return Row(field=field.name.lower(), op=op, values=[_first(field)] if many(op) else [])


def _first(field: Field) -> str:
    match field.kind:
        case "choice":
            return field.choices[0]
        case "flag":
            return "true"
        case "moment" | "day":
            return "-30d"
        case _:
            return ""


# --- operators -----------------------------------------------------------------------------------------------------------

_BOTH_WAYS: Final = {
    "=": ("=", "!="),
    "BETWEEN": ("BETWEEN", "NOT BETWEEN"),
    "IN": ("IN", "NOT IN"),
    "CONTAINS": ("CONTAINS", "NOT CONTAINS"),
    "IS NULL": ("IS NOT NULL", "IS NULL"),
}
_ORDER: Final = ("=", "!=", ">=", ">", "<=", "<", "CONTAINS", "NOT CONTAINS", "BETWEEN", "NOT BETWEEN", "IN", "NOT IN",
                 "IS NOT NULL", "IS NULL")  # fmt: skip


def operators(field: Field) -> list[str]:
    """Everything that a field is compared by, both ways, as the language writes it."""
    found = {way for op in filters.operators(field) for way in _BOTH_WAYS.get(op, (op,))}
    return [op for op in _ORDER if op in found]


def many(op: str) -> int | None:
    """How many values an operator takes; None for any number."""
    if op.endswith("NULL"):
        return 0
    if op.endswith("BETWEEN"):
        return 2
    return None if op in ("IN", "NOT IN") else 1


# --- to a text -----------------------------------------------------------------------------------------------------------


def to_text(root: Group, asked: Mapping[str, Asked]) -> str:
    """The text that says what the rows ask. A row without a value, or with one that cannot be, is left out and says so."""
    writer = _Writer(asked)
    writer.group(root)
    return "".join(writer.said)


class _Writer:
    def __init__(self, asked: Mapping[str, Asked]) -> None:
        self._asked = asked
        self.said: list[str] = []
        self._at = 0

    def _say(self, text: str) -> None:
        self.said.append(text)
        self._at += len(text)

    def group(self, group: Group, *, is_inner: bool = False) -> bool:
        """Writes a group; whether there was anything to write."""
        opening = "NOT (" if group.by in ("none", "nand") else "(" if is_inner else ""
        word = " AND " if group.by in ("and", "nand") else " OR "
        begun_at = len(self.said)
        for part in group.parts:
            before, at = len(self.said), self._at
            self._say(word if before > begun_at else opening)
            if not self._part(part):
                del self.said[before:]
                self._at = at
        if len(self.said) == begun_at:
            return False
        self._say(")" if opening else "")
        return True

    def _part(self, part: Node) -> bool:
        match part:
            case Group():
                return self.group(part, is_inner=True)
            case Fixed():
                part.start = self._at
                self._say(part.text)
                part.end = self._at
                return True
            case Looked():
                return self._looked(part)
            case Row():
                return self._row(part, self._asked)

    def _looked(self, looked: Looked) -> bool:
        function = self._asked.get(looked.field)
        if not isinstance(function, Function):
            return False
        known: dict[str, Asked] = {one.name: one for one in (*function.fields, *function.sums)}
        looked.start = self._at
        first = len(self.said)
        for row in looked.rows:
            before, at = len(self.said), self._at
            self._say(", " if before > first else f"{looked.field} {looked.op} (")
            if not self._row(row, known):
                del self.said[before:]
                self._at = at
        if len(self.said) == first:
            return False
        self._say(")")
        looked.end = self._at
        return True

    def _row(self, row: Row, asked: Mapping[str, Asked]) -> bool:
        field = asked.get(row.field)
        row.wrong = wrong(row, field) if isinstance(field, Field) else "unknown"
        if row.wrong or not isinstance(field, Field):
            return False
        row.start = self._at
        values = [_written(value.strip() if field.kind != "text" else value, field) for value in row.values]
        match many(row.op):
            case 0:
                said = ""
            case 2:
                said = f" {values[0]} AND {values[1]}"
            case None:
                said = f" ({', '.join(values)})"
            case _:
                said = f" {values[0]}"
        self._say(f"{row.field} {row.op}{said}")
        row.end = self._at
        return True


def wrong(row: Row, field: Field) -> str:
    """A code of what keeps a row from being asked; empty where nothing does."""
    if many(row.op) != 0 and (not row.values or not all(value.strip() for value in row.values)):
        return "missing"
    if field.kind in NUMBERS and not all(NUMBER.fullmatch(value.strip()) for value in row.values):
        return "number"
    if field.kind in DATES:
        if any(PART_OF_DAY.fullmatch(value) for value in row.values):
            return "missing"
        return "" if all(DAY.fullmatch(one) or OFFSET.fullmatch(one) for one in row.values) else "date"
    return ""


def _written(value: str, field: Field) -> str:
    if field.kind in NUMBERS | DATES or field.kind == "flag":
        return value
    return "'" + value.replace("'", "''") + "'"


# --- from a text ---------------------------------------------------------------------------------------------------------


def from_text(text: str, asked: Mapping[str, Asked]) -> Group:
    """The rows of a text that the language understands."""
    read = grammar.read(text)
    node = _node(read, text, asked)
    return node if isinstance(node, Group) else Group(parts=[node])


def _node(read: Compared | Joined, text: str, asked: Mapping[str, Asked]) -> Node:
    if isinstance(read, Compared):
        return _condition(read, text, asked)
    if read.by != "not":
        return Group(by=read.by, parts=[_node(part, text, asked) for part in read.parts])
    [inner] = read.parts
    if isinstance(inner, Joined) and inner.by != "not":
        by: By = "nand" if inner.by == "and" and len(inner.parts) > 1 else "none"
        return Group(by=by, parts=[_node(part, text, asked) for part in inner.parts])
    return Group(by="none", parts=[_node(inner, text, asked)])


def _condition(read: Compared, text: str, asked: Mapping[str, Asked]) -> Row | Looked | Fixed:
    field = asked.get(read.name)
    if isinstance(field, Function):
        known: dict[str, Asked] = {one.name: one for one in (*field.fields, *field.sums)}
        rows = [_condition(inner, text, known) for inner in read.inner]
        if all(isinstance(row, Row) for row in rows):
            op = "NOT MATCHES" if read.negated else "MATCHES"
            return Looked(field=read.name, op=op, rows=[row for row in rows if isinstance(row, Row)])
    if not isinstance(field, Field) or not all(_is_shown(one.text) for one in read.values):
        return Fixed(text=text[read.start : read.end])
    row = Row(field=field.name.lower(), op=_op(read), values=[_value(one, field) for one in read.values])
    if vocabularies.is_chosen(field, row.op):
        row.within = _country_of(row.values) if field.vocabulary == "region" else ""
        row.values = [_code(value, field, row.within) for value in row.values]
    return row


def _is_shown(value: str) -> bool:
    """Whether a control of one line holds it as it is."""
    return value.isprintable() and value == value.strip() != ""


def _op(read: Compared) -> str:
    if read.op == "null":
        return "IS NOT NULL" if read.negated else "IS NULL"
    if read.op == "=":
        return "!=" if read.negated else "="
    return f"NOT {read.op.upper()}" if read.negated else read.op.upper()


def _value(written: Written, field: Field) -> str:
    if written.kind == "TEXT":
        if field.kind != "choice":
            return written.text
        folded = {choice.lower(): choice for choice in field.choices}
        return folded.get(written.text.lower(), written.text)
    found = written.text.lower()
    return f"+{found}" if written.kind == "OFFSET" and found[0].isdigit() else found


# --- changes -------------------------------------------------------------------------------------------------------------


def numbered(root: Group) -> Group:
    """The rows with their numbers, in the order in which they are shown."""
    for n, node in enumerate(_all(root)):
        node.n = n
    return root


def _all(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Group | Looked):
        for part in node.parts if isinstance(node, Group) else node.rows:
            yield from _all(part)


def done(root: Group, deed: str, asked: Mapping[str, Asked]) -> int:
    """Adds or removes what a button asks for, as in 'add:0' or 'remove:3'; the number of what to go on with."""
    verb, _, number = deed.partition(":")
    found = next((node for node in _all(numbered(root)) if number == str(node.n)), None)
    if found is None:
        return 0
    added: Node | None = None
    match verb, found:
        case "add", Group():
            added = begun(_usual(asked))
            found.parts.append(added)
        case "add", Looked():
            function = asked.get(found.field)
            if isinstance(function, Function):
                added = begun(function.fields[0])
                found.rows.append(added)
        case "group", Group():
            added = Group(by="or" if found.by == "and" else "and", parts=[begun(_usual(asked))])
            found.parts.append(added)
        case "remove", _:
            _without(root, found)
        case _:
            pass
    numbered(root)
    if isinstance(added, Group):
        return added.parts[0].n
    return 0 if added is None else added.n


def _usual(asked: Mapping[str, Asked]) -> Field:
    found = asked.get("number_of_orders")
    return found if isinstance(found, Field) else next(one for one in asked.values() if isinstance(one, Field))


def _without(node: Node, gone: Node) -> None:
    if isinstance(node, Group):
        node.parts = [part for part in node.parts if part is not gone]
        for part in node.parts:
            _without(part, gone)
        # What is empty now asks nothing.
        node.parts = [part for part in node.parts if not (isinstance(part, Group | Looked) and _is_empty(part))]
    elif isinstance(node, Looked):
        node.rows = [row for row in node.rows if row is not gone]


def _is_empty(node: Group | Looked) -> bool:
    return not (node.parts if isinstance(node, Group) else node.rows)


def told(root: Group, position: int) -> Row | Looked | Fixed | None:
    """The innermost row that stands at this character of the text."""
    at = [n for n in _all(root) if not isinstance(n, Group) and n.start <= position <= n.end and n.start >= 0]
    return min(at, key=lambda n: n.end - n.start) if at else None


def is_whole(root: Group) -> bool:
    """Whether no row waits for its value."""
    return not any(not isinstance(node, Group) and node.wrong for node in _all(root))
