"""supover customers merge, unmerge and split."""

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from supover.kit.db import Tx
    from supover.merging.model import FieldChoice, MergeAnswer, MergeUndoneAnswer, SplitAnswer

T = TypeVar("T")

customers: Final = typer.Typer(no_args_is_help=True, help="Customers who are one, and who are not.")
TRIES: Final = 4
_SHOWN: Final = ("id", "name", "email", "phone", "status", "tags")


@customers.command("merge", epilog="Example: supover customers merge PRIMARY_ID DUPLICATE_ID --dry-run")
def merge(
    context: typer.Context,
    primary: Annotated[UUID, typer.Argument(metavar="PRIMARY", help="The id of the customer who stays.")],
    duplicates: Annotated[list[UUID], typer.Argument(metavar="DUPLICATE…", help="Ids of customers who are the same.")],
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", metavar="NAME=ID|VALUE", help="Whose value a field has, or the value; repeat for several."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Merge customers into one. It can be undone for 90 days: `supover customers unmerge`.

    Ends with 1 when something stands in the way, in a dry run too.
    """
    from supover import terminal
    from supover.merging import commands

    fields = _fields(field or [], {primary, *duplicates})

    async def act(tx: "Tx") -> "MergeAnswer":
        return await commands.merge(tx, primary, duplicates, fields=fields, dry_run=dry_run)

    done = _run(context, workspace, act, "merges.create", audited=not dry_run)
    if json:
        terminal.show(done, json=True)
    else:
        lines: list[dict[str, Any]] = [
            {"field": name, "value": one.value, "from": one.customer_id} for name, one in done.fields.items()
        ]
        terminal.show(lines, json=False)
        told: dict[str, Any] = {"merge": done.merge_id, "moved": done.moved, "joined": done.joined}
        told |= {one.code: one.message for one in (*done.blockers, *done.warnings)}
        terminal.show(told, json=False)
    if done.blockers:
        raise typer.Exit(1)


@customers.command("unmerge", epilog="Example: supover customers unmerge MERGE_ID")
def unmerge(
    context: typer.Context,
    merge: Annotated[UUID, typer.Argument(metavar="MERGE", help="The merge's id.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Undo a merge of the last 90 days, and say what could not be put back. Ends with 3 when there is such."""
    from supover import terminal
    from supover.merging import undoing

    async def act(tx: "Tx") -> "MergeUndoneAnswer":
        return await undoing.undo(tx, merge)

    done = _run(context, workspace, act, "merges.undo")
    if json:
        terminal.show(done, json=True)
    else:
        terminal.show([terminal.only(one, _SHOWN) for one in done.customers], json=False)
        left = {f"{one.kind} {one.id}": one.why for one in done.merge.not_put_back}
        terminal.show({"putBack": done.merge.put_back, **left}, json=False)
    if done.merge.not_put_back_count:
        raise typer.Exit(3)


@customers.command("split", epilog="Example: supover customers split ID --identity IDENTITY_ID --order ORDER_ID")
def split(
    context: typer.Context,
    customer: Annotated[UUID, typer.Argument(metavar="ID", help="The customer's id.")],
    order: Annotated[
        list[UUID] | None, typer.Option("--order", metavar="ID", help="An order that goes along; repeat for several.")
    ] = None,
    identity: Annotated[
        list[UUID] | None, typer.Option("--identity", metavar="ID", help="A contact; repeat for several.")
    ] = None,
    address: Annotated[
        list[UUID] | None, typer.Option("--address", metavar="ID", help="An address; repeat for several.")
    ] = None,
    note: Annotated[list[UUID] | None, typer.Option("--note", metavar="ID", help="A note; repeat for several.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The new customer's name.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new customer of orders and contacts that are another person's."""
    from supover import terminal
    from supover.merging import splitting
    from supover.merging.model import NewSplit

    wanted = NewSplit(
        order_ids=order or (), identity_ids=identity or (), address_ids=address or (), note_ids=note or (), name=name
    )

    async def act(tx: "Tx") -> "SplitAnswer":
        return await splitting.split(tx, customer, wanted)

    done = _run(context, workspace, act, "merges.split")
    if json:
        terminal.show(done, json=True)
    else:
        terminal.show([terminal.only(one, _SHOWN) for one in (done.customer, done.former)], json=False)


def _fields(given: "Sequence[str]", ids: set[UUID]) -> "dict[str, FieldChoice]":
    """What NAME=ID|VALUE says: the id of one of those who are merged is whose value is meant, `null` empties."""
    from supover import terminal
    from supover.merging.model import FieldChoice

    fields: dict[str, FieldChoice] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            terminal.fail(f"--field {one}: must be NAME=ID or NAME=VALUE", terminal.USAGE)
        fields[name] = _choice(name, value, ids)
    return fields


def _choice(name: str, value: str, ids: set[UUID]) -> "FieldChoice":
    from supover.merging.model import FieldChoice

    try:
        id = UUID(value)
    except ValueError:
        id = None
    if id in ids and id is not None:
        return FieldChoice(customer_id=id)
    if name == "tags":
        return FieldChoice(value=[tag.strip() for tag in value.split(",") if tag.strip()])
    return FieldChoice(value=None if value == "null" else value)


def _run(
    context: typer.Context,
    workspace: str | None,
    act: "Callable[[Tx], Awaitable[T]]",
    operation: str,
    *,
    audited: bool = True,
) -> T:
    from supover import terminal
    from supover.access import audit
    from supover.kit.db import RACES

    async def tried() -> T:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            for left in reversed(range(TRIES)):
                try:
                    async with db.tx(id, actor="cli") as tx:
                        done = await act(tx)
                        if audited:
                            await audit.record(tx, operation)
                        return done
                except RACES:
                    # Another was quicker: the next try sees what it did.
                    if left == 0:
                        raise
            raise AssertionError

    return terminal.run(tried, context)
