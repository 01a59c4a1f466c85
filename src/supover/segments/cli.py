"""supover segments."""

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supover.kit.db import Reader
    from supover.segments.model import Preview, Segment

segments: Final = typer.Typer(no_args_is_help=True, help="Segments: customers who fit a filter, and groups.")

SegmentArgument = Annotated[str, typer.Argument(metavar="SEGMENT", help="Its id, or its whole name.")]
FilterArgument = Annotated[str, typer.Argument(metavar="FILTER", help="As in 'number_of_orders >= 2'.")]


@segments.command("list")
def list_segments(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", metavar="TEXT", help="Any part of the name.")] = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List a workspace's segments, by name."""
    from supover import terminal

    async def act() -> "Sequence[Segment]":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await _all(reader, search)

    columns = ("id", "name", "kind", "members", "complete", "asOf", "filter")
    found = terminal.run(act, context)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


@segments.command("show")
def show(
    context: typer.Context, segment: SegmentArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Show one segment."""
    from supover import terminal

    async def act() -> "Segment":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await _named(reader, segment)

    terminal.show(terminal.run(act, context), json=json)


@segments.command("create", epilog="Example: supover segments create 'Big spenders' 'amount_spent > 1000'")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    filter: Annotated[
        str | None, typer.Argument(metavar="[FILTER]", help="Without one it is a group whose customers are picked.")
    ] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Make a segment. The worker looks at everybody for it."""
    from supover import terminal
    from supover.access import audit
    from supover.segments import commands
    from supover.segments.model import NewSegment

    async def act() -> "Segment":
        new = NewSegment(
            name=name, kind="manual" if filter is None else "filter", description=description, filter=filter
        )
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                made = await commands.create(tx, new)
                await audit.record(tx, "segments.create", made.id)
        return made

    terminal.show(terminal.run(act, context), json=json)


@segments.command("preview", epilog="Example: supover segments preview 'last_order_date < -180d'")
def preview(
    context: typer.Context, filter: FilterArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Count who fits a filter, and show ten of them."""
    from supover import terminal
    from supover.segments import preview as filters

    async def act() -> "Preview":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await filters.preview(reader, filter)

    found = terminal.run(act, context)
    if json:
        terminal.show(found, json=True)
    else:
        terminal.note(f"{found.description} {found.count} fit, {found.share:.2%} of all.")
        columns = ("id", "name", "email", "orderCount", "totalSpent", "createdAt")
        terminal.show([terminal.only(one, columns) for one in found.sample])


@segments.command("refresh")
def refresh(
    context: typer.Context, segment: SegmentArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Have the worker look at everybody again for one segment."""
    from supover import terminal
    from supover.access import audit
    from supover.segments import commands

    async def act() -> "Segment":
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.tx(workspace_id, actor="cli") as tx:
                found = await _named(tx, segment)
                refreshed = await commands.refresh(tx, found.id)
                await audit.record(tx, "segments.refresh", found.id)
        return refreshed

    terminal.show(terminal.run(act, context), json=json)


async def _all(reader: "Reader", search: str) -> "list[Segment]":
    from supover.kit.sql import MAX_LIMIT, page
    from supover.segments import queries

    found: list[Segment] = []
    cursor: str | None = None
    while True:
        asked = page(queries.SORTS, limit=MAX_LIMIT, sort=None, cursor=cursor)
        some, cursor, _ = await queries.search(reader, asked, name=search)
        found += some
        if cursor is None:
            return found


async def _named(reader: "Reader", given: str) -> "Segment":
    from supover.segments import queries
    from supover.segments.model import SegmentNotFound

    try:
        return await queries.find(reader, UUID(given))
    except ValueError:
        found = [one for one in await _all(reader, given) if one.name.casefold() == given.strip().casefold()]
    if not found:
        raise SegmentNotFound(f"None is called {given!r}.")
    return found[0]
