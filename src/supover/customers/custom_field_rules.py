"""What a custom field can be, and whether a value is one of it. Nothing here reads or writes anything."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

import msgspec

from supover.customers.custom_field_model import Definition, Definitions, FieldType
from supover.kit import patterns, tables, text
from supover.kit.problems import FieldError, Invalid

T = TypeVar("T")

MAX_FIELDS: Final = 100
LABEL_LENGTH: Final = 100
DESCRIPTION_LENGTH: Final = 1_000
MAX_CHOICES: Final = 250
CHOICE_LENGTH: Final = 100
TEXT_LENGTH: Final = 5_000
MAX_ITEMS: Final = 100
ITEM_LENGTH: Final = 255
DIGITS: Final = 33
"""Before the point, and behind it."""
MAX_POSITION: Final = 2**31 - 1

UNIQUE: Final[frozenset[FieldType]] = frozenset({"text", "number", "date"})
INDEXED: Final[frozenset[FieldType]] = frozenset({*UNIQUE, "boolean", "choice"})

_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_NUMBER: Final = re.compile(rf"(-?)0*([0-9]{{1,{DIGITS}}}(?:\.[0-9]{{1,{DIGITS}}})?)")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIMIT: Final = Decimal(10) ** DIGITS


class _Wrong(Exception):
    """A value cannot be taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# --- definitions ---------------------------------------------------------------------------------------------------------


def checked(given: Mapping[str, Any], type: FieldType) -> dict[str, Any]:
    """The parts of a definition of this type as they are kept. Raises Invalid with all that is wrong."""
    kept = dict(given)
    errors: list[FieldError] = []

    def wrong(field: str, code: str, message: str) -> None:
        errors.append(FieldError(f"/{field}", code, message))

    if "key" in kept and not _KEY.fullmatch(kept["key"]):
        wrong("key", "key", "must be a letter, then up to 99 letters, digits and _")
    if "label" in kept:
        kept["label"] = text.clean(kept["label"])
        if not 1 <= len(kept["label"]) <= LABEL_LENGTH:
            wrong("label", "length", f"must have 1 to {LABEL_LENGTH} characters")
    if "description" in kept:
        kept["description"] = text.clean_lines(kept["description"])
        if len(kept["description"]) > DESCRIPTION_LENGTH:
            wrong("description", "length", f"can have at most {DESCRIPTION_LENGTH} characters")
    if not 0 <= kept.get("position", 0) <= MAX_POSITION:
        wrong("position", "range", f"must be from 0 to {MAX_POSITION}")
    kept["choices"] = _choices(kept.get("choices", ()), type, wrong)
    pattern = kept.get("pattern") or None
    kept["pattern"] = pattern
    if pattern is not None and type != "text":
        wrong("pattern", "type", "is for text alone")
    elif pattern is not None and (why := patterns.why_not(pattern)) is not None:
        wrong("pattern", "pattern", why)
    if kept.get("is_unique") and type not in UNIQUE:
        wrong("isUnique", "type", "is for text, number and date")
    if kept.get("is_indexed") and type not in INDEXED:
        wrong("isIndexed", "type", "is for all but lists")
    if errors:
        raise Invalid(errors)
    return kept


def _choices(given: Sequence[str], type: FieldType, wrong: Callable[[str, str, str], None]) -> list[str]:
    kept = [text.clean(choice) for choice in given]
    if kept and type not in ("choice", "list"):
        wrong("choices", "type", "are for choice and list")
    elif type == "choice" and not kept:
        wrong("choices", "required", "are needed for a choice")
    elif len(kept) > MAX_CHOICES:
        wrong("choices", "length", f"can be at most {MAX_CHOICES}")
    elif any(not 1 <= len(choice) <= CHOICE_LENGTH for choice in kept):
        wrong("choices", "length", f"must have 1 to {CHOICE_LENGTH} characters each")
    elif len({text.lower(choice) for choice in kept}) < len(kept):
        wrong("choices", "unique", "must differ in more than case")
    return kept


# --- values of the API ---------------------------------------------------------------------------------------------------


def whole(
    definitions: Definitions, given: Mapping[str, Any], old: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[FieldError]]:
    """All custom fields of a customer as they are kept, and what is wrong with them.

    A null stands for no value, and what is required must be there. A key that differs from a declared one in case alone is
    refused. What is as it was in `old` is not looked at again:
    it came before the definition.
    """
    kept: dict[str, Any] = {}
    errors: list[FieldError] = []
    for key, value in given.items():
        definition = definitions.by_key.get(key)
        if old is not None and key in old and _same(old[key], value):
            kept[key] = value
        elif definition is not None:
            if value is not None:
                _take(definition, value, kept, errors)
        elif (meant := definitions.meant(key)) is not None:
            errors.append(_misspelt(key, meant))
        else:
            kept[key] = value
    named = {error.pointer.lower() for error in errors}
    errors += [
        _required(d)
        for d in definitions.by_key.values()
        if d.is_required and _is_empty(kept.get(d.key)) and _pointer(d).lower() not in named
    ]
    return kept, errors


def some(definitions: Definitions, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Those custom fields that a change names, as they are kept, and what is wrong with them; a null removes its key."""
    kept: dict[str, Any] = {}
    errors: list[FieldError] = []
    for key, value in given.items():
        definition = definitions.by_key.get(key)
        if definition is not None and definition.is_required and _is_empty(value):
            errors.append(_required(definition))
        elif value is None:
            kept[key] = None
        elif definition is not None:
            _take(definition, value, kept, errors)
        elif (meant := definitions.meant(key)) is not None:
            errors.append(_misspelt(key, meant))
        else:
            kept[key] = value
    return kept, errors


def kept(definitions: Definitions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Custom fields as a channel says them: what fits as it is kept, the rest as it came. Refuses nothing.

    A key that is declared in another case is the declared one, unless that is there too.
    """
    taken: dict[str, Any] = {}
    for key, value, definition in _declared(definitions, given):
        try:
            taken[key] = value if definition is None or value is None else _value(definition, value)
        except _Wrong:
            taken[key] = value
    return taken


def _declared(definitions: Definitions, given: Mapping[str, T]) -> Iterator[tuple[str, T, Definition | None]]:
    """What is given, by the keys as they are declared; of two in another case the first is."""
    named = set(given)
    for key, value in given.items():
        definition = definitions.by_key.get(key)
        if definition is None and (meant := definitions.meant(key)) is not None and meant.key not in named:
            named.add(meant.key)
            key, definition = meant.key, meant
        yield key, value, definition


def _is_empty(value: object) -> bool:
    """Whether a value says nothing: none, a text or a list of nothing but blanks."""
    if isinstance(value, str):
        return not text.clean(value)
    return value is None or (isinstance(value, list) and all(map(_is_empty, cast("list[object]", value))))


def _misspelt(key: str, meant: Definition) -> FieldError:
    return FieldError(f"/customFields/{key}", "key", f"is not declared; did you mean {meant.key}?")


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys that came, went or have another value."""
    return [key for key in {**old, **new} if key not in old or key not in new or not _same(old[key], new[key])]


def refuse(errors: Sequence[FieldError]) -> None:
    """Raises Invalid with these, if there are any."""
    if errors:
        raise Invalid(errors)


def _same(old: object, new: object) -> bool:
    # 1, 1.0 and true are equal to Python, and three things in JSON.
    return old == new and msgspec.json.encode(old, order="sorted") == msgspec.json.encode(new, order="sorted")


def _take(definition: Definition, value: Any, kept: dict[str, Any], errors: list[FieldError]) -> None:
    try:
        kept[definition.key] = _value(definition, value)
    except _Wrong as wrong:
        errors.append(FieldError(_pointer(definition), wrong.code, wrong.message))


def _required(definition: Definition) -> FieldError:
    return FieldError(_pointer(definition), "required", "is required")


def _pointer(definition: Definition) -> str:
    return f"/customFields/{definition.key}"


def _value(definition: Definition, value: Any) -> Any:
    return _VALUES[definition.type](value, definition)


def _text(value: Any, definition: Definition) -> str:
    if not isinstance(value, str):
        raise _Wrong("type", "must be a text")
    if len(value) > TEXT_LENGTH:
        raise _Wrong("length", f"can have at most {TEXT_LENGTH} characters")
    if definition.pattern is not None and not patterns.fits(definition.pattern, value):
        raise _Wrong("pattern", f"must match {definition.pattern}")
    return value


def _number(value: Any, definition: Definition) -> int | float | str:
    del definition
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _Wrong("type", "must be a number, or a text such as '12.50'")
    if not isinstance(value, str):
        if abs(Decimal(str(value))) >= _LIMIT:
            raise _Wrong("range", f"can have at most {DIGITS} digits before the point")
        return value
    found = _NUMBER.fullmatch(value.strip(" "))
    if found is None:
        raise _Wrong(
            "number", f"must be a number with a point, such as '12.50', and up to {DIGITS} digits on either side"
        )
    return found[1] + found[2]


def _date(value: Any, definition: Definition) -> str:
    del definition
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise _Wrong("date", "must be a date such as '2026-01-31'")


def _boolean(value: Any, definition: Definition) -> bool:
    del definition
    if not isinstance(value, bool):
        raise _Wrong("type", "must be true or false")
    return value


def _choice(value: Any, definition: Definition) -> str:
    if isinstance(value, str):
        asked = text.lower(text.clean(value))
        for choice in definition.choices:
            if text.lower(choice) == asked:
                return choice
    shown = ", ".join(definition.choices[:20])
    if len(definition.choices) > 20:
        shown += " …"
    raise _Wrong("choice", f"must be one of {shown}")


def _list(value: Any, definition: Definition) -> list[str]:
    if not isinstance(value, list):
        raise _Wrong("type", "must be a list of texts")
    items = cast("list[object]", value)
    if len(items) > MAX_ITEMS:
        raise _Wrong("length", f"can have at most {MAX_ITEMS} items")
    kept: list[str] = []
    for item in items:
        if not isinstance(item, str):
            raise _Wrong("type", "must be a list of texts")
        if len(item) > ITEM_LENGTH:
            raise _Wrong("length", f"can have at most {ITEM_LENGTH} characters an item")
        kept.append(_choice(item, definition) if definition.choices else item)
    return kept


_VALUES: Final[Mapping[FieldType, Callable[[Any, Definition], Any]]] = {
    "text": _text,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "choice": _choice,
    "list": _list,
}


# --- values of a file ----------------------------------------------------------------------------------------------------

_SAID: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def read(definitions: Definitions, row: Mapping[str, str]) -> tuple[dict[str, Any], list[FieldError]]:
    """The cells of a row, by key, as values, and what is wrong with them; an empty cell says nothing.

    Numbers have a point, dates are ISO, booleans yes, no, true, false, 1 or 0, and a list stands as tags do.
    A key that is declared in another case is the declared one; one that is not declared keeps its cell as a text. Whether a
    required one is there is for who makes a customer of it.
    """
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for key, cell, definition in _declared(definitions, row):
        given = cell.strip()
        if not given:
            continue
        if definition is None:
            values[key] = cell
            continue
        value: Any = given
        if definition.type == "boolean":
            value = _SAID.get(given.lower())
            if value is None:
                errors.append(FieldError(_pointer(definition), "boolean", "must be yes, no, true, false, 1 or 0"))
                continue
        elif definition.type == "list":
            value = tables.items(given)
        _take(definition, value, values, errors)
        if definition.type == "number" and key in values:
            values[key] = _as_json(values[key])
    return values, errors


def _as_json(written: str) -> int | float | str:
    """A number as JSON has it, where that is exact; else as it was written."""
    if "." not in written:
        return int(written)
    number = float(written)
    return number if Decimal(repr(number)) == Decimal(written) else written
