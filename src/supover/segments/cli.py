"""supover segments."""

from typing import TYPE_CHECKING, Annotated, Final, TypeVar
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from supover.customers.model import Customer
    from supover.kit.db import Reader
    from supover.kit.sql import Page, Sort
    from supover.segments.model import Preview, Segment

T = TypeVar("T")

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


@segments.command("change", epilog="Example: supover segments change 'Big spenders' --filter 'amount_spent > 2000'")
def change(
    context: typer.Context,
    segment: SegmentArgument,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="Another filter; groups have none.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Change what is given of a segment. By another filter the worker looks at everybody again."""
    from supover import terminal
    from supover.access import audit
    from supover.segments import commands
    from supover.segments.model import SegmentChange

    async def act() -> "Segment":
        given = {"name": name, "filter": filter, "description": description}
        wanted = SegmentChange(**{key: value for key, value in given.items() if value is not None})
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                found = await _named(tx, segment)
                changed = await commands.change(tx, found.id, wanted)
                await audit.record(tx, "segments.change", found.id)
        return changed

    terminal.show(terminal.run(act, context), json=json)


@segments.command("delete", epilog="Example: supover segments delete 'Big spenders'")
def delete(
    context: typer.Context, segment: SegmentArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Delete a segment and show what it was; its customers stay."""
    from supover import terminal
    from supover.access import audit
    from supover.segments import commands

    async def act() -> "Segment":
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                found = await _named(tx, segment)
                await commands.delete(tx, found.id)
                await audit.record(tx, "segments.delete", found.id)
        return found

    terminal.show(terminal.run(act, context), json=json)


@segments.command("members", epilog="Example: supover segments members 'Big spenders' --limit 500")
def members(
    context: typer.Context,
    segment: SegmentArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, metavar="N", help="At most so many.")] = 50,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List the customers in a segment, the last to enter first."""
    from supover import terminal
    from supover.segments import queries

    async def act() -> "Sequence[Customer]":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            id = (await _named(reader, segment)).id
            return await _paged(limit, queries.MEMBER_SORTS, lambda page: queries.members(reader, id, page))

    columns = ("id", "name", "email", "phone", "orderCount", "totalSpent", "createdAt")
    found = terminal.run(act, context)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


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


async def _all(reader: "Reader", search: str) -> "Sequence[Segment]":
    from supover.segments import queries

    return await _paged(None, queries.SORTS, lambda page: queries.search(reader, page, name=search))


async def _paged(
    most: int | None,
    sorts: "Sequence[Sort]",
    ask: "Callable[[Page], Awaitable[tuple[list[T], str | None, int | None]]]",
) -> "list[T]":
    """The first rows of a list, or all of them, page by page."""
    from supover.kit.sql import MAX_LIMIT, page

    found: list[T] = []
    cursor: str | None = None
    while most is None or len(found) < most:
        size = MAX_LIMIT if most is None else min(MAX_LIMIT, most - len(found))
        some, cursor, _ = await ask(page(sorts, limit=size, sort=None, cursor=cursor))
        found += some
        if cursor is None:
            break
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
