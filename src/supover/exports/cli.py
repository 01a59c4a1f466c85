"""supover customers export; orders export."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from uuid import UUID

    from supover.exports.model import Asked, Kind
    from supover.kit.db import Database

customers: Final = typer.Typer(no_args_is_help=True)
orders: Final = typer.Typer(no_args_is_help=True)

STDOUT: Final = "-"

FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", metavar="A,B,…", help="Columns in their order; else those an import takes back."),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="csv, xlsx, jsonl or parquet; else what --out ends with, or csv."),
]
OutOption = Annotated[str, typer.Option("--out", metavar="FILE|-", help="Where to; - is standard output.")]


@customers.command("export", epilog='Example: supover customers export --filter "amount_spent > 500" --out best.csv')
def export_customers(
    context: typer.Context,
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="TEXT", help="Only those who fit, in the segment language.")
    ] = None,
    segment: Annotated[str | None, typer.Option("--segment", metavar="ID", help="Only members of a segment.")] = None,
    search: Annotated[str | None, typer.Option("--search", metavar="TEXT", help="As the list's search finds.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Repeat for all of several.")] = None,
    fields: FieldsOption = None,
    format: FormatOption = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="NAME", help="As the list of customers; by id unless told.")
    ] = None,
    out: OutOption = STDOUT,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write customers to a file, as `supover customers import` takes them back."""
    given = {"filter": filter, "segment": segment, "search": search, "tag": tag, "sort": sort}
    _export(context, "customers", given, fields, format, out, workspace, json=json)


@orders.command("export", epilog="Example: supover orders export --placed-from 2026-01-01 --out orders.csv")
def export_orders(
    context: typer.Context,
    status: Annotated[list[str] | None, typer.Option("--status", metavar="STATUS", help="Repeat for several.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only from there.")] = None,
    placed_from: Annotated[
        str | None, typer.Option("--placed-from", metavar="DATE", help="Placed then or after.")
    ] = None,
    placed_to: Annotated[
        str | None, typer.Option("--placed-to", metavar="DATE", help="Placed on that day or before.")
    ] = None,
    fields: FieldsOption = None,
    format: FormatOption = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="NAME", help="As the list of orders; by id unless told.")
    ] = None,
    out: OutOption = STDOUT,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write orders to a file, as `supover orders import` takes them back: one row a line."""
    given = {"status": status, "source": source, "placedFrom": placed_from, "placedTo": placed_to, "sort": sort}
    _export(context, "orders", given, fields, format, out, workspace, json=json)


def _export(
    context: typer.Context,
    kind: "Kind",
    given: Mapping[str, Any],
    fields: str | None,
    format: str | None,
    out: str,
    workspace: str | None,
    *,
    json: bool,
) -> None:
    from supover import terminal
    from supover.kit import clock, text

    started_s = clock.monotonic_s()
    said = {name: value for name, value in given.items() if value is not None and value != []}
    if fields is not None:
        said["fields"] = text.listed(fields)
    said["format"] = _format(format, out)
    if json and out == STDOUT:
        raise typer.BadParameter("tells of a file; standard output holds the export", param_hint="--json")
    if said["format"] in ("xlsx", "parquet") and out == STDOUT and sys.stdout.isatty():
        raise typer.BadParameter(f"a terminal cannot show {said['format']}: give --out", param_hint="--format")

    folder = None if out == STDOUT else Path(out).absolute().parent

    async def act() -> int:
        asked = _asked(kind, said)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            return await _write(db, id, kind, asked, out, folder)

    rows = terminal.run(act, context)
    if json:
        seconds = round(clock.monotonic_s() - started_s, 3)
        terminal.show({"rows": rows, "file": out, "bytes": Path(out).stat().st_size, "seconds": seconds}, json=True)
    elif out != STDOUT:
        terminal.note(f"{rows:,} rows in {out}.")


def _format(format: str | None, out: str) -> str:
    from supover.exports.model import Format

    known: tuple[str, ...] = get_args(Format)
    if format is None:
        ending = Path(out).suffix.removeprefix(".").lower()
        return ending if ending in known else "csv"
    if format not in known:
        raise typer.BadParameter(f"{format!r} is none: choose {', '.join(known)}", param_hint="--format")
    return format


def _asked(kind: "Kind", said: Mapping[str, Any]) -> "Asked":
    """What the options say, as a body would say it. Raises Invalid."""
    import msgspec

    from supover.exports import commands
    from supover.kit.problems import Invalid

    try:
        return msgspec.convert(said, commands.SHAPES[kind], strict=False)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        raise Invalid.at("/" + path.rstrip("`"), "type", what[:1].lower() + what[1:]) from None


async def _write(
    db: "Database", workspace_id: "UUID", kind: "Kind", asked: "Asked", out: str, folder: Path | None
) -> int:
    """Writes the file whole or not at all; standard output as it comes."""
    import tempfile

    from supover.access import audit
    from supover.exports import commands
    from supover.kit import ids

    async with db.tx(workspace_id, actor="cli") as tx:
        tx.changes.append(commands.noted(ids.new(), asked))
        await audit.record(tx, f"exports.{kind}")
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as between:
        place = Path(between) / "file"
        rows = await commands.make(db, workspace_id, kind, asked, place)
        if out != STDOUT:
            place.replace(out)
            return rows
        _show(place)
    return rows


def _show(place: Path) -> None:
    import shutil

    try:
        with place.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read has read enough; Python must not complain about it when it flushes at its end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
