"""supover customers import; revert-import."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption
from supover.imports.cli import SOME_REJECTED, STDIN, local, pairs, progress_bar, rejects_of, shown, write_rejects

if TYPE_CHECKING:
    from supover.imports.customer_model import CustomerImportOptions
    from supover.imports.model import ImportRun
    from supover.kit.db import Database

customers: Final = typer.Typer(no_args_is_help=True)


@customers.command(
    "import",
    epilog="Example: supover customers import customers.csv --map email=E-Mail --dry-run --errors bad.csv",
)
def import_customers(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="CSV, TSV, XLSX, JSONL or Parquet, also gzipped; - reads standard input."),
    ],
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="create, update or upsert: which customers a row may become.")
    ] = "upsert",
    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            metavar="FIELD",
            help="What a row is known by: externalId, email or phone; externalId, else email, unless told.",
        ),
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Which column a field is in; most headers need none."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same value for every row.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Where the customers come from.")
    ] = None,
    shop: Annotated[str | None, typer.Option("--shop", metavar="NAME", help="The shop that their ids are of.")] = None,
    country: Annotated[
        str | None, typer.Option("--country", metavar="CODE", help="Where phones are dialled that do not say it.")
    ] = None,
    date_order: Annotated[
        str | None, typer.Option("--date-order", metavar="DMY|MDY", help="How 03/04/1990 is meant.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag for every row; repeat.")] = None,
    consents: Annotated[
        str,
        typer.Option(
            "--consents",
            metavar="HOW",
            help="import takes only a no from the file; migration also a yes of those whom nobody here has asked.",
        ),
    ] = "import",
    errors: Annotated[
        Path | None,
        typer.Option(
            "--errors", metavar="FILE", dir_okay=False, help="Where refused rows go; beside the file unless given."
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find out what would become of it; change nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Take customers in from a file.

    Columns are told by their names; exports of Shopify, WooCommerce, Etsy and TikTok Shop need no --map. Rows that cannot
    be taken are written to a CSV with all that is wrong with each, ready to be mended and imported. The same command again goes on
    after a run that was cut short. Ends with 3 when rows were refused. `supover customers revert-import ID` takes it back.
    """
    import msgspec

    from supover import terminal
    from supover.imports.customer_model import (
        ConsentMode,
        CustomerImportOptions,
        DateOrder,
        ImportMatch,
        ImportMode,
    )

    if file != STDIN and not Path(file).is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    given = {
        "mode": mode,
        "match": match,
        "map": pairs("--map", map),
        "set": pairs("--set", set),
        "source": source,
        "shop": shop,
        "country": country,
        "dateOrder": date_order,
        "tags": list(tag or ()),
        "consents": consents,
        "dryRun": dry_run,
    }
    try:
        options = msgspec.convert(given, CustomerImportOptions)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        name = at.rstrip("`")
        choices = {"mode": ImportMode, "match": ImportMatch, "dateOrder": DateOrder, "consents": ConsentMode}
        if name in choices:
            message = f"must be one of {', '.join(get_args(choices[name]))}"
        raise typer.BadParameter(message, param_hint=f"--{name.replace('dateOrder', 'date-order')}") from None

    async def act() -> "tuple[ImportRun, str | None, list[str]]":
        with local(file) as path:
            async with terminal.database() as db:
                id = await terminal.workspace(db, workspace)
                run = await _import(db, id, path, file, options)
                written = None
                if run.failed:
                    written = await write_rejects(db, id, run.id, path, errors or rejects_of(file, "customers"))
                return run, written, await _changes(db, id, run) if dry_run else []

    run, written, changes = terminal.run(act, context)
    answer: dict[str, Any] = {
        "importId": run.id,
        "status": run.status,
        "dryRun": run.dry_run,
        "preset": run.preset,
        "total": run.total,
        "created": run.created,
        "updated": run.updated,
        "skipped": run.skipped,
        "failed": run.failed,
        "consentsRefused": run.consents_refused,
        "doubtful": run.doubtful,
        "ignoredColumns": list(run.ignored_columns),
        "rate": run.rate,
        "errors": written,
    }
    if dry_run:
        answer["changes"] = changes
    terminal.show(answer, json=json)
    if run.status == "cancelled":
        terminal.fail(f"Import {run.id} was cancelled after {run.done} rows.")
    if run.failed:
        raise typer.Exit(SOME_REJECTED)


async def _import(
    db: "Database", workspace_id: UUID, path: Path, name: str, options: "CustomerImportOptions"
) -> "ImportRun":
    """Runs the import, or goes on with the same one that was cut short."""
    from supover import terminal
    from supover.access import audit
    from supover.imports import customer_commands, queries
    from supover.kit.db import json_bytes

    inspected = await customer_commands.inspect(db, workspace_id, options, path)
    async with db.reader(workspace_id) as reader:
        id = await queries.unfinished(reader, "customers", inspected.facts.sha256, json_bytes(options))
        before = None if id is None else await queries.find(reader, id)
    if id is None:
        async with db.tx(workspace_id, actor="cli") as tx:
            id = await customer_commands.begin(tx, options, shown(name), inspected, None)
            await audit.record(tx, "imports.create_customers", id)
    elif before is not None:
        terminal.note(f"Import {id} was cut short after {before.done} rows; going on there.")
    opened = partial(db.tx, workspace_id, actor="cli", origin="import")
    with progress_bar(0 if before is None else before.rows_read) as bar:
        return await customer_commands.run(
            db, workspace_id, id, path, opened=opened, progress=None if bar is None else _shown_in(bar)
        )


async def _changes(db: "Database", workspace_id: UUID, run: "ImportRun") -> list[str]:
    """Some customers whom a trial would change, a line each."""
    from supover.imports import customer_trial, queries
    from supover.kit import tables

    async with db.reader(workspace_id) as reader:
        found = await queries.customers(reader, run.id, UUID(int=0), customer_trial.SAMPLE)
    return [
        f"{one.customer_id}: " + "; ".join(f"{name}: {tables.shown(a)} → {tables.shown(b)}" for name, (a, b) in fields)
        for one in found
        for fields in [(one.changes or {}).items()]
    ]


def _shown_in(bar: "Callable[[ImportRun], None]") -> "Callable[[ImportRun], Awaitable[None]]":
    async def show(run: "ImportRun") -> None:
        bar(run)

    return show


@customers.command(
    "revert-import", epilog="Example: supover customers revert-import 01a1fe85-db29-7000-8eb9-235ae19ed551"
)
def revert_import(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="IMPORT", help="The import's id.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Take a whole import back, but for what others have done since. Ends with 3 when something stayed for that."""
    from supover import terminal

    try:
        wanted = UUID(id)
    except ValueError:
        raise typer.BadParameter("is not an id", param_hint="IMPORT") from None

    async def act() -> "ImportRun":
        from supover.access import audit
        from supover.imports import customer_revert, queries

        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            opened: Callable[[], Any] = partial(db.tx, workspace_id, actor="cli", origin="import")
            async with opened() as tx:
                run = await customer_revert.want(tx, wanted)
                await audit.record(tx, "imports.revert", wanted)
            if run.status != "reverted":
                await customer_revert.revert(wanted, opened)
            async with db.reader(workspace_id) as reader:
                return await queries.find(reader, wanted)

    run = terminal.run(act, context)
    terminal.show({"importId": run.id, "status": run.status, "removed": run.removed, "kept": run.kept}, json=json)
    if run.kept:
        raise typer.Exit(SOME_REJECTED)
