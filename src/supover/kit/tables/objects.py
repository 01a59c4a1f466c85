"""JSON as a table: one object a line, or one array of objects; nested values are taken apart as a customer file has them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec

from supover.kit.problems import worded
from supover.kit.tables.cells import shown, typed_cell
from supover.kit.tables.delimited import Source, frame_of
from supover.kit.tables.model import MAX_CELL, MAX_COLUMNS, MAX_ROW, OddRow, Piece, TableUnreadable
from supover.kit.tables.opening import opened

ROWS: Final = 5_000
ARRAY: Final = re.compile(rb"\s*\[")
ADDRESS: Final[Mapping[str, str]] = {
    "type": "addressType",
    "isDefault": "isDefault",
    "recipientName": "recipientName",
    "line1": "line1",
    "line2": "line2",
    "city": "city",
    "state": "state",
    "postalCode": "postalCode",
    "country": "addressCountry",
    "phone": "addressPhone",
}
"""An address's members, and the columns of a customer file that they stand in."""
_REPEATED: Final = ("externalId", "source", "email")
_DECODER: Final = msgspec.json.Decoder()
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

# An element of an array whose objects are not deeper than four; deeper ones are counted bracket by bracket.
_TEXT: Final = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT: Final = rb'(?:[^{}"]++|' + _TEXT + rb")*+"


def _deep(depth: int) -> bytes:
    inner = _FLAT
    for _ in range(depth):
        inner = rb'(?:[^{}"]++|' + _TEXT + rb"|\{" + inner + rb"\})*+"
    return rb"\{" + inner + rb"\}"


_ELEMENT: Final = re.compile(_deep(3), re.DOTALL)
_TOKEN: Final = re.compile(_TEXT + rb'|[{}\[\],"]', re.DOTALL)
_GAP: Final = re.compile(rb"[\s]*+")


class OddObject(ValueError):
    """An object that is no row: a code, and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


class Objects:
    """An open JSON file: the keys of all its objects are the header, in the order in which they first appear."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._encoding = encoding
        self.header = self._header()

    def pieces(self) -> Iterator[Piece]:
        """The rows; an object with several addresses is several, one below the other, all with its number."""
        width, size = len(self.header), 0
        numbers: list[int] = []
        rows: list[list[str]] = []
        odd: list[OddRow] = []
        with opened(self._path) as file:
            for number, raw in elements(file, self._encoding):
                if isinstance(raw, OddRow):
                    odd.append(raw)
                else:
                    size += len(raw)
                    try:
                        found = flat(_decoded(raw))
                    except OddObject as error:
                        odd.append(OddRow(number, *cast("tuple[str, str]", error.args), cells=_begin(raw)))
                    else:
                        for row in found:
                            numbers.append(number)
                            rows.append([row.get(name, "") for name in self.header])
                if len(rows) + len(odd) >= ROWS or size > (4 << 20):
                    yield Piece(frame_of(numbers, rows, width), odd, size)
                    numbers, rows, odd, size = [], [], [], 0
        yield Piece(frame_of(numbers, rows, width), odd, size)

    def _header(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        wrong: OddRow | None = None
        with opened(self._path) as file:
            for number, raw in elements(file, self._encoding):
                try:
                    if isinstance(raw, OddRow):
                        wrong = wrong or raw
                        continue
                    value = _decoded(raw)
                    if value.keys() <= names.keys() and not any(type(v) in (dict, list) for v in value.values()):
                        continue
                    for row in flat(value):
                        names.update(dict.fromkeys(row))
                except OddObject as error:
                    wrong = wrong or OddRow(number, *cast("tuple[str, str]", error.args))
                if len(names) > MAX_COLUMNS:
                    raise TableUnreadable(f"Its objects have more than {MAX_COLUMNS:,} different keys.")
        if not names:
            said = worded(f" Row {wrong.row_number} {wrong.message}.") if wrong else ""
            raise TableUnreadable(f"It has no JSON object with a value: one a line, or one array of them.{said}")
        return tuple(names)


def count(path: Path, encoding: str) -> int:
    """How many elements an array has. Raises TableUnreadable."""
    with opened(path) as file:
        return sum(1 for _ in elements(file, encoding))


def elements(file: IO[bytes], encoding: str) -> Iterator[tuple[int, bytes | OddRow]]:
    """Each object's text with its number: its line, or its place in the array, from 1 on."""
    source = Source(file, encoding)
    first = source.read()
    blocks = _blocks(first, source)
    return _array(blocks) if ARRAY.match(first) else _lines(blocks)


def _blocks(first: bytes, source: Source) -> Iterator[bytes]:
    while first:
        yield first
        first = source.read()


def _lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes | OddRow]]:
    number, kept, lost = 1, b"", False
    for block in blocks:
        first, *rest = block.split(b"\n")
        for line in rest:
            whole = kept + first
            if lost or len(whole) > MAX_ROW:
                yield number, _too_long(number)
            elif whole.strip():
                yield number, whole
            number, kept, lost, first = number + 1, b"", False, line
        if lost or len(kept) + len(first) > MAX_ROW:
            lost, kept = True, b""
        else:
            kept += first
    if lost:
        yield number, _too_long(number)
    elif kept.strip():
        yield number, kept


def _too_long(number: int) -> OddRow:
    return OddRow(number, "too_long", f"has more than {MAX_ROW:,} bytes")


def _array(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes | OddRow]]:
    buffer = next(blocks)
    begun = ARRAY.match(buffer)
    at, number = begun.end() if begun else 0, 0
    while True:
        number += 1
        end = _end(buffer, at)
        while end is None:
            more = next(blocks, b"")
            if not more or len(buffer) - at > MAX_ROW + len(more):
                raise TableUnreadable(f"Element {number} of the array never ends: the file is cut off, or is no JSON.")
            buffer, at = buffer[at:] + more, 0
            end = _end(buffer, at)
        raw = buffer[at:end].strip()
        is_last = buffer[end : end + 1] == b"]"
        if raw or not is_last:
            yield number, raw if len(raw) <= MAX_ROW else _too_long(number)
        if is_last:
            if buffer[end + 1 :].strip() or any(block.strip() for block in blocks):
                raise TableUnreadable(f"Behind the array's {number:,} elements is something else.")
            return
        at = end + 1


def _end(buffer: bytes, at: int) -> int | None:
    """Where the comma or bracket behind an element stands, None when it is not there yet."""
    gap = _GAP.match(buffer, at)
    start = gap.end() if gap else at
    whole = _ELEMENT.match(buffer, start)
    if whole and (gap := _GAP.match(buffer, whole.end())) and buffer[gap.end() : gap.end() + 1] in (b",", b"]"):
        return gap.end()
    depth = 0
    for token in _TOKEN.finditer(buffer, start):
        mark = token[0]
        if mark == b'"':
            return None  # its other end is not there yet
        if mark in (b"{", b"["):
            depth += 1
        elif depth == 0 and mark in (b",", b"]"):
            return token.start()
        elif mark in (b"}", b"]"):
            depth -= 1
    return None


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(raw)
    except RecursionError:
        raise OddObject("json", "is nested too deeply") from None
    except UnicodeDecodeError:
        raise OddObject("encoding", "has bytes that are no UTF-8") from None
    except msgspec.DecodeError as error:
        said = str(error).partition(" - at ")[0]
        if "truncated" in said:
            said = worded("a text is cut off, or half of a surrogate pair")
        raise OddObject("json", f"is no JSON: {said}") from None
    if not isinstance(value, dict):
        raise OddObject("json", "is no JSON object")
    return cast("dict[str, Any]", value)


def flat(value: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of one object. Raises OddObject for what fits in no cell."""
    row: dict[str, str] = {}
    below: list[dict[str, str]] = []
    for key, item in value.items():
        if type(item) is str and len(item) < MAX_CELL and "\0" not in item:
            row[key] = item.strip()
        elif key == "customFields" and isinstance(item, dict):
            row.update((f"customFields.{k}", _cell(v, typed_cell)) for k, v in cast("dict[str, Any]", item).items())
        elif key == "addresses" and _is_addresses(item):
            for n, address in enumerate(cast("list[dict[str, Any]]", item)):
                cells = {ADDRESS[k]: _cell(v) for k, v in address.items() if k in ADDRESS}
                if n:
                    below.append(cells)
                else:
                    row.update(cells)
        else:
            row[key] = _cell(item)
    if not all(map(str.strip, row)) or "\0" in "".join(row):
        raise OddObject("json", "has a key that is no name")
    if not below:
        return [row] if any(row.values()) else []
    repeated = {name: row[name] for name in _REPEATED if name in row}
    rows = [row, *({**repeated, **address} for address in below if any(address.values()))]
    return rows if any(row.values()) else []


def _is_addresses(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in cast("list[object]", value))


def _cell(value: object, written: Callable[[object], str] = shown) -> str:
    try:
        text = written(value) if written is typed_cell else written(value).strip()
    except (ValueError, RecursionError) as error:
        said = str(error) or worded("is nested too deeply")
        if isinstance(error, UnicodeError):
            said = worded("a value is no text in UTF-8")
        raise OddObject("json", f"has a value that fits in no cell: {said}") from None
    if "\0" in text or _ESCAPED_NUL.search(text):
        raise OddObject("nul", "has a NUL character")
    if len(text) > MAX_CELL:
        raise OddObject("too_long", f"has a value of more than {MAX_CELL:,} characters")
    return text


def _begin(raw: bytes) -> tuple[str, ...]:
    return (raw[:1_000].decode("utf-8", "replace").replace("\0", "\ufffd"),)
