"""supover orders import."""

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from uuid import UUID

    from supover.imports.model import ImportCheck, ImportRun, OrderImportOptions
    from supover.kit.db import Database

orders: Final = typer.Typer(no_args_is_help=True, help="Orders: history from files.")

SOME_REJECTED: Final = 3
STDIN: Final = "-"


@orders.command(
    "import",
    epilog="Example: supover orders import orders.csv --map externalId=Order --map placedAt=Date --map total=Sum "
    "--status-map paid=delivered,void=cancelled --set currency=GBP",
)
def import_orders(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV or TSV, also gzipped; - reads standard input.")],
    map: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FIELD=COLUMN", help="Which column a field is in; not needed where the names agree."
        ),
    ] = None,
    status_map: Annotated[
        list[str] | None,
        typer.Option("--status-map", metavar="CELL=STATUS,…", help="What the file's own words for a status mean."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same value for every row.")
    ] = None,
    source: Annotated[
        str,
        typer.Option("--source", metavar="NAME", help="Where the orders come from; with externalId it names an order."),
    ] = "IMPORT",
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", metavar="FILE", dir_okay=False, help="Where refused rows go; beside the file unless given."
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read and check the file; whose the orders are is not looked at.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Take order history in from a file.

    Fields: externalId, number, shop, placedAt, updatedAt, status, currency, subtotal, shipping, tax, discount, total,
    refunded, deliveredAt, cancelledAt, customerExternalId, email, name, phone, country, state, city, postalCode, line1,
    line2, sku, title, quantity, unitPrice, tags, note. Neighbouring rows of one externalId are the lines of one order.

    Every few thousand orders are committed together; the same command again goes on after a run that was cut short, and
    changes nothing after one that ended. Amounts may have a comma before the decimals where the first rows tell so beyond
    doubt. Ends with 3 when rows were refused: they are written to a CSV with all that is wrong with each, ready to be
    mended and imported.
    """
    from supover import terminal
    from supover.imports import commands
    from supover.imports.model import OrderImportOptions
    from supover.kit import clock

    started_s = clock.monotonic_s()
    if file != STDIN and not Path(file).is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    options = OrderImportOptions(
        source=source,
        map=pairs("--map", map),
        status_map=pairs("--status-map", status_map, ","),
        set=pairs("--set", set),
    )

    if dry_run:

        async def check() -> "ImportCheck":
            with local(file) as path:
                async with terminal.database() as db:
                    id = await terminal.workspace(db, workspace)
                    return await commands.try_out(db, id, options, path, shown(file))

        checked = terminal.run(check, context)
        terminal.show(
            {
                "rows": checked.rows,
                "orders": checked.orders,
                "refused": checked.refused,
                "errors": [f"row {e.row_number}: {e.beside()[-1]}" for e in checked.errors],
                "doubtful": checked.doubtful,
                "doubts": [f"row {e.row_number}: {e.beside()[-1]}" for e in checked.doubts],
            },
            json=json,
        )
        if checked.refused:
            raise typer.Exit(SOME_REJECTED)
        return

    async def act() -> "tuple[ImportRun, str | None]":
        with local(file) as path:
            async with terminal.database() as db:
                id = await terminal.workspace(db, workspace)
                run = await _import(db, id, path, file, options)
                written = None
                if run.failed:
                    place = rejects or rejects_of(file)
                    written = await write_rejects(db, id, run.id, path, place)
                return run, written

    run, written = terminal.run(act, context)
    answer = {
        "total": run.total,
        "created": run.created,
        "updated": run.updated,
        "unchanged": run.unchanged,
        "failed": run.failed,
        "customersCreated": run.customers_created,
        "doubtful": run.doubtful,
        "importId": run.id,
        "status": run.status,
        "seconds": round(clock.monotonic_s() - started_s, 3),
        "rejects": written,
    }
    terminal.show(answer, json=json)
    if run.status == "cancelled":
        terminal.fail(f"Import {run.id} was cancelled after {run.done} orders.")
    if run.failed:
        raise typer.Exit(SOME_REJECTED)


def pairs(option: str, given: Sequence[str] | None, separator: str | None = None) -> Mapping[str, str]:
    """What stands on both sides of the first `=` of each."""
    found: dict[str, str] = {}
    for text in given or ():
        for pair in text.split(separator) if separator else [text]:
            name, equals, value = pair.partition("=")
            if not equals or not name.strip():
                raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
            found[name.strip()] = value.strip()
    return found


@contextmanager
def local(file: str) -> Generator[Path]:
    """The file where it can be read several times: standard input becomes a temporary one."""
    if file != STDIN:
        yield Path(file)
        return
    import shutil
    import tempfile

    from supover import terminal

    if sys.stdin.isatty():
        terminal.note("Reading standard input until its end (Ctrl-D).")
    with tempfile.NamedTemporaryFile(prefix="supover-import-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def shown(file: str) -> str:
    """What a file is called in the list of imports."""
    return "standard input" if file == STDIN else Path(file).name


async def _import(
    db: "Database", workspace_id: "UUID", path: Path, name: str, options: "OrderImportOptions"
) -> "ImportRun":
    """Runs the import, or goes on with the same one that was cut short."""
    from supover import terminal
    from supover.access import audit
    from supover.imports import commands, queries
    from supover.kit.db import json_bytes

    facts = await commands.inspect(db, workspace_id, options, path)
    async with db.reader(workspace_id) as reader:
        id = await queries.unfinished(reader, "orders", facts.sha256, json_bytes(options))
        before = None if id is None else await queries.find(reader, id)
    if id is None:
        async with db.tx(workspace_id, actor="cli") as tx:
            id = await commands.begin(tx, options, shown(name), facts, None)
            await audit.record(tx, "imports.create_orders", id)
    elif before is not None:
        terminal.note(f"Import {id} was cut short after {before.done} orders; going on there.")
    with progress_bar(0 if before is None else before.rows_read) as progress:
        return await commands.run(db, workspace_id, id, path, actor="cli", progress=progress)


@contextmanager
def progress_bar(rows: int) -> "Generator[Callable[[ImportRun], None] | None]":
    """Shows a bar with lines a second and the time left, where standard error is a terminal; `rows` stood before."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from supover.kit import clock

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TextColumn("{task.fields[failed]} refused"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("lines", total=None, rate=0.0, failed=0)
        started_s = clock.monotonic_s()

        def progress(run: "ImportRun") -> None:
            rate = (run.rows_read - rows) / max(clock.monotonic_s() - started_s, 0.001)
            shown.update(task, total=run.total, completed=run.rows_read, rate=rate, failed=run.failed)

        yield progress


def rejects_of(file: str, kind: str = "orders") -> Path:
    """orders.csv.gz → orders.rejected.csv beside it; for standard input in the folder we are in."""
    if file == STDIN:
        return Path(f"{kind}.rejected.csv")
    path = Path(file)
    name = path.name.removesuffix(".gz")
    return path.with_name(f"{Path(name).stem}.rejected.csv")


async def write_rejects(db: "Database", workspace_id: "UUID", id: "UUID", path: Path, place: Path) -> str | None:
    """The refused rows in the file's own columns, with what is wrong; where to, or None if that is impossible."""
    import csv

    from supover import terminal
    from supover.imports import queries
    from supover.imports.model import BESIDE
    from supover.kit import tables

    with tables.frames(path, tables.facts(path), 1) as table:
        header = table.header
    try:
        with place.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([*map(tables.guarded, header), *BESIDE])
            after = 0
            while True:
                async with db.reader(workspace_id) as reader:
                    found = await queries.errors(reader, id, after)
                for row in found:
                    cells = [*row.cells, *[""] * (len(header) - len(row.cells))][: len(header)]
                    writer.writerow([*map(tables.guarded, cells), *row.beside()])
                if not found:
                    return str(place)
                after = found[-1].row_number
    except OSError as error:
        terminal.note(
            f"{place} cannot be written ({error.strerror}); `GET /api/imports/{id}/errors.csv` has the refused rows."
        )
        return None
