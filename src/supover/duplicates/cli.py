"""supover duplicates."""

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supover.duplicates.model import DuplicatePair, PairDetail, Scan
    from supover.duplicates.scanning import Counts

duplicates: Final = typer.Typer(no_args_is_help=True, help="Customers that may be the same person.")

PairArgument = Annotated[UUID, typer.Argument(metavar="PAIR", help="The pair's id.")]


@duplicates.command("scan")
def scan(
    context: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Compare everybody with everybody, not only who is new or has changed.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Search for duplicates, here and now."""
    from supover import terminal
    from supover.access import audit
    from supover.duplicates import commands, scanning
    from supover.kit.problems import Conflict

    def told(phase: str, counts: "Counts") -> bool:
        if not json:
            terminal.note(f"{phase}: {counts.customers:,} customers, {counts.compared:,} pairs compared")
        return False

    async def act() -> "Scan":
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with scanning.alone(db, id) as is_alone:
                if not is_alone:
                    raise Conflict("A scan of this workspace runs already.")
                async with db.tx(id, actor="cli") as tx:
                    wanted = await commands.begin_here(tx, full=full)
                    await audit.record(tx, "duplicates.scan", wanted.id)
                try:
                    counts = await scanning.run(db, id, lambda: db.tx(id, actor="cli"), wanted, told)
                except BaseException:
                    async with db.tx(id, actor="cli") as tx:
                        await commands.end_scan(tx, wanted.id, "failed", "broken off")
                    raise
                async with db.tx(id, actor="cli") as tx:
                    return await commands.complete(tx, wanted.id, counts)

    terminal.show(terminal.run(act, context), json=json)


@duplicates.command("list")
def list_pairs(
    context: typer.Context,
    level: Annotated[
        str | None, typer.Option("--level", metavar="LEVEL", help="automatic, suggested or review.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List open pairs, the most likely first."""
    from supover import terminal
    from supover.duplicates import queries
    from supover.kit import sql
    from supover.kit.problems import Invalid

    async def act() -> "Sequence[DuplicatePair]":
        if level not in (None, "automatic", "suggested", "review"):
            raise Invalid.at("level", "choice", "must be automatic, suggested or review")
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None)
            return (await queries.search(reader, page, level=level))[0]  # pyright: ignore[reportArgumentType]

    found = terminal.run(act, context)
    columns = ("id", "score", "level", "reasons")
    rows = [
        {**terminal.only(one, columns), "a": one.a.name or str(one.a.id), "b": one.b.name or str(one.b.id)}
        for one in found
    ]
    terminal.show(found if json else rows, json=json)


@duplicates.command("dismiss")
def dismiss(
    context: typer.Context,
    pair: PairArgument,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Say that two customers are not one person, for good."""
    from supover import terminal
    from supover.access import audit
    from supover.duplicates import commands

    async def act() -> "PairDetail":
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                done = await commands.dismiss(tx, pair, note)
                await audit.record(tx, "duplicates.dismiss", pair)
        return done

    terminal.show(terminal.run(act, context), json=json)


@duplicates.command("accept")
def accept(
    context: typer.Context,
    pair: PairArgument,
    primary: Annotated[
        UUID | None, typer.Option("--primary", metavar="CUSTOMER", help="Who stays; else who has ordered more.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Merge the two customers of a pair."""
    from supover import terminal
    from supover.access import audit
    from supover.duplicates import commands
    from supover.duplicates.model import Acceptance

    async def act() -> "PairDetail":
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                done = await commands.accept(tx, pair, Acceptance(primary_id=primary))
                await audit.record(tx, "duplicates.accept", pair)
        return done

    terminal.show(terminal.run(act, context), json=json)
