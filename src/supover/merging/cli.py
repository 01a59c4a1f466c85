"""supover customers merge, merges, unmerge and split."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast
from uuid import UUID

import msgspec
import typer

from supover.access.cli import JsonOption, WorkspaceOption
from supover.kit.problems import FieldError, Invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from supover.kit.db import Tx
    from supover.merging.model import Blocker, FieldChoice, Merge, MergeAnswer, MergeUndoneAnswer, SplitAnswer

T = TypeVar("T")

customers: Final = typer.Typer(no_args_is_help=True, help="Customers who are one, and who are not.")
TRIES: Final = 4
WIDTH: Final = 40
"""So many characters of a value are shown to people; --json has all of it."""
_SHOWN: Final = ("id", "name", "email", "phone", "status", "tags")
_MERGES: Final = ("id", "mergedAt", "primaryId", "duplicates", "by", "undoableUntil", "undoneAt")


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
    from supover.merging.model import AlreadyMerged, MergeBlocked

    fields = _fields(field or [], {primary, *duplicates})
    given = {"primaryId": ("PRIMARY", [primary]), "duplicateIds": ("DUPLICATE", duplicates)}

    async def act(tx: "Tx") -> "MergeAnswer":
        try:
            return await commands.merge(tx, primary, duplicates, fields=fields, dry_run=dry_run)
        except AlreadyMerged as gone:
            raise AlreadyMerged("Customer {customerId} was merged into {mergedIntoId}.".format(**gone.extra)) from None
        except MergeBlocked as refused:
            blockers = cast("Sequence[Blocker]", refused.extra["blockers"])
            raise MergeBlocked("\n".join(map(_mended, blockers))) from None
        except Invalid as wrong:
            raise as_given(wrong, given) from None

    done = transact(context, workspace, act, "merges.create", audited=not dry_run)
    if json:
        terminal.show(done, json=True)
    else:
        _show_merge(done)
    if done.blockers:
        raise typer.Exit(1)


@customers.command("merges", epilog="Example: supover customers merges ID")
def merges(
    context: typer.Context,
    customer: Annotated[
        UUID | None, typer.Argument(metavar="ID", help="Only merges that this customer took part in.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List merges, the newest first: what `supover customers unmerge` takes back."""
    from supover import terminal
    from supover.kit import sql
    from supover.merging import queries

    async def act() -> "Sequence[Merge]":
        page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return (await queries.search(reader, page, customer_id=customer))[0]

    found = terminal.run(act, context)
    rows: list[dict[str, Any]] = [
        {"duplicates": len(one.duplicate_ids), "by": one.actor_name} | terminal.only(one, _MERGES) for one in found
    ]
    terminal.show(found if json else [{name: row[name] for name in _MERGES} for row in rows], json=json)


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

    done = transact(context, workspace, act, "merges.undo")
    if json:
        terminal.show(done, json=True)
    else:
        terminal.show([terminal.only(one, _SHOWN) for one in done.customers], json=False)
        blank()
        left = {f"{one.kind} {one.id}": one.why for one in done.merge.not_put_back}
        terminal.show({"putBack": _counts(done.merge.put_back), **left}, json=False)
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

    given = {
        "orderIds": ("--order", order or ()),
        "identityIds": ("--identity", identity or ()),
        "addressIds": ("--address", address or ()),
        "noteIds": ("--note", note or ()),
        "name": ("--name", ()),
    }
    wanted = NewSplit(
        order_ids=order or (), identity_ids=identity or (), address_ids=address or (), note_ids=note or (), name=name
    )

    async def act(tx: "Tx") -> "SplitAnswer":
        if not order and not identity:
            raise Invalid.at("--order", "required", "or --identity is needed, for what is the other person's")
        try:
            return await splitting.split(tx, customer, wanted)
        except Invalid as wrong:
            raise as_given(wrong, given) from None

    done = transact(context, workspace, act, "merges.split")
    if json:
        terminal.show(done, json=True)
    else:
        terminal.show([terminal.only(one, _SHOWN) for one in (done.customer, done.former)], json=False)
        blank()
        terminal.show({"moved": _counts(done.moved)}, json=False)


def as_given(wrong: Invalid, given: "Mapping[str, tuple[str, Sequence[UUID]]]") -> Invalid:
    """The same in the words of the command line: fields become arguments and options, places in lists the ids there."""
    errors: list[FieldError] = []
    for one in wrong.errors:
        head, *rest = one.pointer.removeprefix("/").split("/", 2)
        name, ids = given.get(head, ("--field", ()))
        if rest and rest[0].isdecimal() and int(rest[0]) < len(ids):
            name = f"{name} {ids[int(rest[0])]}"
        elif head == "fields" and rest:
            name = f"--field {rest[0]}"
        errors.append(FieldError(name, one.code, one.message))
    return Invalid(errors)


def _mended(blocker: "Blocker") -> str:
    """A blocker, and how to choose otherwise where that mends it."""
    return f"{blocker.message} Choose by --field {blocker.field}=…" if blocker.is_soft else blocker.message


def _show_merge(done: "MergeAnswer") -> None:
    """A merge for people: what the survivor has and from whom, what moved, what stands in the way, what to know."""
    from supover import terminal

    fields: list[dict[str, Any]] = [
        {
            "field": name,
            "value": _short(one.value),
            "from": one.customer_id,
            "instead of": ", ".join(str(_short(other.value)) for other in one.alternatives),
        }
        for name, one in done.fields.items()
    ]
    terminal.show(fields, json=False)
    blank()
    if not done.blockers:
        told: dict[str, Any] = {"moved": _counts(done.moved), "joined": _counts(done.joined)}
        if done.merge_id is not None:
            told |= {"merge": done.merge_id, "undoableUntil": done.undoable_until}
        terminal.show(told, json=False)
    said: list[tuple[str, Blocker]] = [("blocker", one) for one in done.blockers]
    said += [("warning", one) for one in done.warnings]
    if said:
        if not done.blockers:
            blank()
        rows: list[dict[str, Any]] = [{"what": what, "code": one.code, "message": _mended(one)} for what, one in said]
        terminal.show(rows, json=False)


def blank() -> None:
    """An empty line between two parts of an answer, unless whoever reads has read enough."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _short(value: Any) -> Any:
    """A value as it fits a column: the beginning of what is long."""
    if isinstance(value, list):
        value = ", ".join(map(str, cast("list[object]", value)))
    elif isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    return f"{value[:WIDTH]}…" if isinstance(value, str) and len(value) > WIDTH else value


def _counts(found: "Mapping[str, int]") -> str:
    """How many rows of each kind, in words."""
    return ", ".join(f"{kind} {number:,}" for kind, number in found.items() if number) or "nothing"


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
    from supover.kit import text
    from supover.merging.model import FieldChoice

    try:
        id = UUID(value)
    except ValueError:
        id = None
    if id in ids and id is not None:
        return FieldChoice(customer_id=id)
    if name == "tags":
        return FieldChoice(value=text.listed(value))
    return FieldChoice(value=None if value == "null" else value)


def transact(
    context: typer.Context,
    workspace: str | None,
    act: "Callable[[Tx], Awaitable[T]]",
    operation: str,
    *,
    audited: bool = True,
) -> T:
    """What `act` returns, done in one transaction and kept in the audit log; tried again where others were quicker."""
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
