"""supover duplicates."""

from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supover.duplicates.model import DuplicatePair, PairDetail, Scan
    from supover.duplicates.scanning import Counts
    from supover.kit.db import Tx

duplicates: Final = typer.Typer(no_args_is_help=True, help="Customers that may be the same person.")

PairArgument = Annotated[UUID, typer.Argument(metavar="PAIR", help="The pair's id.")]
_SIDE: Final = (
    *("name", "email", "phone", "dateOfBirth", "source", "externalId", "emails", "phones", "addresses"),
    *("orderCount", "createdAt"),
)


@duplicates.command("scan", epilog="Example: supover duplicates scan --full --json")
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
                    raise Conflict("A scan of this workspace runs already: wait until it is done.")
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


@duplicates.command("list", epilog="Example: supover duplicates list --level suggested")
def list_pairs(
    context: typer.Context,
    level: Annotated[
        str | None, typer.Option("--level", metavar="LEVEL", help="automatic, suggested or review.")
    ] = None,
    status: Annotated[str, typer.Option("--status", metavar="STATUS", help="open, dismissed, merged or all.")] = "open",
    customer: Annotated[
        UUID | None, typer.Option("--customer", metavar="ID", help="Only pairs with this customer.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List pairs, the most likely first; open ones unless told."""
    from supover import terminal
    from supover.duplicates import queries
    from supover.kit import sql
    from supover.kit.problems import Invalid

    async def act() -> "Sequence[DuplicatePair]":
        if level not in (None, "automatic", "suggested", "review"):
            raise Invalid.at("--level", "choice", "must be automatic, suggested or review")
        if status not in ("open", "dismissed", "merged", "all"):
            raise Invalid.at("--status", "choice", "must be open, dismissed, merged or all")
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None)
            return (await queries.search(reader, page, level=level, status=status, customer_id=customer))[0]

    found = terminal.run(act, context)
    # What is long stands last, where a narrow terminal breaks the line.
    rows: list[dict[str, Any]] = [
        {
            **terminal.only(one, ("id", "score", "level")),
            "a": one.a.name or one.a.email or str(one.a.id),
            "b": one.b.name or one.b.email or str(one.b.id),
            "reasons": one.reasons,
        }
        for one in found
    ]
    terminal.show(found if json else rows, json=json)


@duplicates.command("show", epilog="Example: supover duplicates show PAIR_ID")
def show(pair: PairArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Show both customers of a pair side by side, and what speaks for and against their being one person."""
    from supover import terminal
    from supover.duplicates import queries

    async def act() -> "PairDetail":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return await queries.find(reader, pair)

    _show(terminal.run(act), json=json)


@duplicates.command("dismiss", epilog="Example: supover duplicates dismiss PAIR_ID --note 'father and son'")
def dismiss(
    context: typer.Context,
    pair: PairArgument,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Say that two customers are not one person, for good; `supover duplicates reopen` takes it back."""
    from supover.duplicates import commands
    from supover.duplicates.model import NOTE_LENGTH
    from supover.kit.problems import Invalid
    from supover.merging.cli import transact

    async def act(tx: "Tx") -> "PairDetail":
        if note is not None and len(note) > NOTE_LENGTH:
            raise Invalid.at("--note", "length", f"can have at most {NOTE_LENGTH} characters")
        return await commands.dismiss(tx, pair, note)

    _show(transact(context, workspace, act, "duplicates.dismiss"), json=json)


@duplicates.command("reopen", epilog="Example: supover duplicates reopen PAIR_ID")
def reopen(
    context: typer.Context, pair: PairArgument, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Take a dismissal back."""
    from supover.duplicates import commands
    from supover.merging.cli import transact

    async def act(tx: "Tx") -> "PairDetail":
        return await commands.reopen(tx, pair)

    _show(transact(context, workspace, act, "duplicates.reopen"), json=json)


@duplicates.command("accept", epilog="Example: supover duplicates accept PAIR_ID --primary CUSTOMER_ID")
def accept(
    context: typer.Context,
    pair: PairArgument,
    primary: Annotated[
        UUID | None, typer.Option("--primary", metavar="CUSTOMER", help="Who stays; else who has ordered more.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Merge the two customers of a pair. `supover customers unmerge` with its mergeId takes it back for 90 days.

    To choose values, or to look first, use `supover customers merge` with the ids of the two.
    """
    from supover.duplicates import commands
    from supover.duplicates.model import Acceptance
    from supover.kit.problems import Invalid
    from supover.merging.cli import as_given, transact

    async def act(tx: "Tx") -> "PairDetail":
        try:
            return await commands.accept(tx, pair, Acceptance(primary_id=primary))
        except Invalid as wrong:
            raise as_given(wrong, {"primaryId": ("--primary", ())}) from None

    _show(transact(context, workspace, act, "duplicates.accept"), json=json)


def _show(pair: "PairDetail", *, json: bool) -> None:
    from supover import terminal
    from supover.merging.cli import blank

    if json:
        terminal.show(pair, json=True)
        return
    a, b = (terminal.only(side, _SIDE) for side in (pair.a, pair.b))
    sides: list[dict[str, Any]] = [{"field": name, "a": a[name], "b": b[name]} for name in _SIDE if a[name] or b[name]]
    terminal.show(sides, json=False)
    blank()
    if pair.evidence:
        terminal.show([{"bits": f"{one.bits:+.2f}", "words": one.words} for one in pair.evidence], json=False)
        blank()
    told: dict[str, Any] = {"id": pair.id, "a": pair.a.id, "b": pair.b.id}
    told |= terminal.only(pair, ("level", "score", "status", "note", "mergeId"))
    if not pair.evidence:
        told["reasons"] = pair.reasons
    terminal.show({name: value for name, value in told.items() if value is not None}, json=False)
