"""supover bulk: one thing done to many customers, looked at, cancelled and undone."""

from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from supover.bulk.model import BulkAction, NewBulk
    from supover.customers.queries import Filters
    from supover.kit.db import Tx

bulk: Final = typer.Typer(no_args_is_help=True, help="One thing done to many customers.")

SOME_FAILED: Final = 3
_LINE: Final = ("id", "action", "status", "total", "changed", "unchanged", "failed")
_ACTIONS: Final = ("tag", "untag", "status", "block", "unblock", "customField", "delete", "restore")
_SHOWN: Final = 20

IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The bulk action's id.")]


@bulk.command("apply", epilog="Example: supover bulk apply tag VIP --filter 'amount_spent > 1000' --dry-run")
def apply(
    context: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help=", ".join(_ACTIONS) + ".")],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VALUE]…", help="Tags; a status; a custom field's KEY and its value as JSON or text."),
    ] = None,
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="Customers who fit, as in 'number_of_orders >= 2'.")
    ] = None,
    segment: Annotated[UUID | None, typer.Option("--segment", metavar="ID", help="Members of this segment.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Customers whom this search finds.")
    ] = None,
    id: Annotated[
        list[UUID] | None, typer.Option("--id", metavar="ID", help="This customer; repeat for several.")
    ] = None,
    reject_all: Annotated[
        bool, typer.Option("--reject-all", help="Change nobody where one cannot be changed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Do one thing to many customers.

    Up to 1,000 of them at once, more by a worker: `supover bulk show ID` says how far it is. Ends with 3 when some of them could
    not be changed. It can be undone for 30 days.
    """
    from supover import terminal
    from supover.access import audit
    from supover.bulk import (
        commands,
        jobs,  # noqa: F401  # pyright: ignore[reportUnusedImport]  the job is known by it
    )

    async def act() -> "BulkAction":
        asked = _asked(action, values or [], filter, segment, search, id, reject_all=reject_all, dry_run=dry_run)
        async with terminal.database() as db:
            where = await terminal.workspace(db, workspace)
            async with db.tx(where, actor="cli") as tx:
                who = asked.ids if asked.ids is not None else await _filters(tx, asked)
                done = await commands.begin(tx, asked, who)
                if done.id is not None:
                    await audit.record(tx, "bulk.create", done.id)
                return done

    _tell(terminal.run(act, context), json=json)


def _asked(
    action: str,
    values: "Sequence[str]",
    filter: str | None,
    segment: UUID | None,
    search: str | None,
    ids: "Sequence[UUID] | None",
    *,
    reject_all: bool,
    dry_run: bool,
) -> "NewBulk":
    import msgspec

    from supover.bulk.model import NewBulk
    from supover.kit.problems import Invalid

    if action not in _ACTIONS:
        raise Invalid.at("ACTION", "choice", f"must be one of {', '.join(_ACTIONS)}")
    if not (filter or segment or search or ids):
        raise Invalid.at("ACTION", "required", "--filter, --segment, --search or --id must say who is meant")
    most = {"tag": None, "untag": None, "status": 1, "customField": 2}.get(action, 0)
    if most is not None and len(values) != most:
        raise Invalid.at("VALUE", "length", f"{action} takes {most} of them")
    given: dict[str, Any] = {}
    if action in ("tag", "untag"):
        given["tags"] = list(values)
    elif action == "status":
        given["status"] = values[0]
    elif action == "customField":
        given["key"] = values[0]
        try:
            given["value"] = msgspec.json.decode(values[1])
        except msgspec.DecodeError:
            given["value"] = values[1]
    try:
        return msgspec.convert(
            {
                "action": action,
                "filter": filter,
                "segment": segment,
                "search": search,
                "ids": ids or None,
                "onError": "rejectAll" if reject_all else "rejectFailed",
                "dryRun": dry_run,
                **given,
            },
            NewBulk,
        )
    except msgspec.ValidationError as error:
        raise Invalid.at("VALUE", "type", str(error)) from None


async def _filters(tx: "Tx", asked: "NewBulk") -> "Filters":
    from supover.customers import filtering, queries, rules
    from supover.kit.problems import Invalid

    if asked.segment is not None and not await queries.has_segment(tx, asked.segment):
        raise Invalid.at("/segment", "unknown", "is no segment here")
    return queries.Filters(
        terms=rules.terms(asked.search or ""),
        segment=asked.segment,
        tree=None if asked.filter is None else await filtering.read(tx, asked.filter),
    )


def _tell(done: "BulkAction", *, json: bool) -> None:
    from msgspec import UNSET

    from supover import terminal

    if json:
        terminal.show(done, json=True)
    else:
        terminal.show(terminal.only(done, _LINE[0 if done.id else 1 :]))
        rows = [] if done.results is UNSET else [row for row in done.results if row.outcome == "failed"]
        for row in rows[:_SHOWN]:
            terminal.note(f"{row.customer_id}: {row.message}")
        if done.status in ("queued", "undoing"):
            terminal.note(f"A worker does it; `supover bulk show {done.id}` says how far it is.")
    if done.failed:
        raise typer.Exit(SOME_FAILED)


@bulk.command("list")
def list_actions(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List bulk actions, the newest first."""
    from supover import terminal
    from supover.bulk import queries
    from supover.kit import sql

    async def act() -> "list[BulkAction]":
        page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return (await queries.search(reader, page))[0]

    found = terminal.run(act)
    terminal.show(found if json else [terminal.only(one, (*_LINE, "dryRun", "createdAt")) for one in found], json=json)


@bulk.command("show")
def show(id: IdArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Show a bulk action, and how far it is. Ends with 3 when some customers could not be changed."""
    from supover import terminal
    from supover.bulk import queries

    async def act() -> "BulkAction":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return await queries.find(reader, id)

    found = terminal.run(act)
    terminal.show(found, json=json)
    if found.failed:
        raise typer.Exit(SOME_FAILED)


@bulk.command("cancel")
def cancel(id: IdArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Cancel a bulk action before its next customers; those who are changed stay so, and can be undone."""
    from supover.bulk import commands

    _change("bulk.cancel", commands.cancel, id, workspace, json=json)


@bulk.command("undo")
def undo(context: typer.Context, id: IdArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Undo a bulk action: what is still as it left it becomes what it was. Up to 1,000 at once, more by a worker."""
    from supover.bulk import (
        commands,
        jobs,  # noqa: F401  # pyright: ignore[reportUnusedImport]  the job is known by it
    )

    _change("bulk.undo", commands.undo, id, workspace, json=json, context=context)


def _change(
    operation: str,
    command: "Callable[[Tx, UUID], Awaitable[BulkAction]]",
    id: UUID,
    workspace: str | None,
    *,
    json: bool,
    context: typer.Context | None = None,
) -> None:
    from supover import terminal
    from supover.access import audit

    async def act() -> "BulkAction":
        async with terminal.database() as db:
            where = await terminal.workspace(db, workspace)
            async with db.tx(where, actor="cli") as tx:
                changed = await command(tx, id)
                await audit.record(tx, operation, id)
                return changed

    found = terminal.run(act, context)
    columns = (*_LINE, "undone", "kept") if operation == "bulk.undo" else _LINE
    terminal.show(found if json else terminal.only(found, columns), json=json)
    if found.status == "undoing" and not json:
        terminal.note(f"A worker does it; `supover bulk show {found.id}` says how far it is.")
