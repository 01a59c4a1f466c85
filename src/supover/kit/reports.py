"""Reports: answers that can be had as JSON or as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Request
from litestar.params import QueryParameter

from supover.kit import sql, tables
from supover.kit.api import Raw

CSV: Final = "text/csv"
JSON: Final = "application/json"

AnyRequest = Request[Any, Any, Any]

Format = Annotated[
    Literal["json", "csv"] | None,
    QueryParameter(
        name="format", required=False, description="`csv` for a file with the same columns; so does `Accept: text/csv`."
    ),
]


def wants_csv(request: AnyRequest, format: str | None) -> bool:
    """Whether CSV is asked for, by `format` or else by what is accepted most."""
    if format is not None:
        return format == "csv"
    liked = {kind: 0.0 for kind in (CSV, JSON)}
    for one in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        if kind in liked:
            liked[kind] = _weight(parameters)
    return liked[CSV] > liked[JSON]


def _weight(parameters: Iterable[str]) -> float:
    """How much a kind is liked: `q` of RFC 9110, 1 unless told; nothing where it cannot be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(float(value), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def file(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Raw:
    """A CSV with a header, as exports write them: a text that a spreadsheet would run has an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([tables.guarded(cell) if isinstance(cell, str) else msgspec.to_builtins(cell) for cell in row])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Vary": "Accept"}
    return Raw(out.getvalue().encode(), f"{CSV}; charset=utf-8", headers=headers)


def table(name: str, shape: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> Raw:
    """Structs of one kind as a file, under the names that JSON has."""
    fields = msgspec.structs.fields(shape)
    return file(
        name, [field.encode_name for field in fields], ([getattr(row, field.name) for field in fields] for row in rows)
    )


def number(amount: str | None) -> Decimal | None:
    """Money as a number of a file, at the digits it is told with: below nothing it begins with a sign, and is no formula."""
    return None if amount is None else Decimal(amount)


def known(request: AnyRequest, *parameters: str) -> None:
    """Raises Invalid for a parameter that a report does not know: a misspelt filter left out would show everything."""
    if request.scope["query_string"]:
        sql.known(request.query_params.keys(), [*parameters, "format"])
