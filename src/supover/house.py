"""supover events, reconcile, retention: the house explains and proves itself, and forgets."""

from typing import Annotated, Final

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

WorkspaceOption = Annotated[
    str | None, typer.Option("--workspace", metavar="ID", help="One workspace; all of them unless given.")
]

events: Final = typer.Typer(add_completion=False)
reconcile: Final = typer.Typer(add_completion=False)
retention: Final = typer.Typer(add_completion=False)


@events.command("events")
def list_events(json: JsonOption = False) -> None:
    """List who publishes what, and who reacts to it in the same transaction."""
    from supover import terminal, wiring
    from supover.kit import events

    wiring.load()
    wiring.routes()  # a room may publish what nobody reacts to
    reactions = events.reactions()
    found: list[dict[str, object]] = [
        {
            "event": kind.kind(),
            "room": kind.__module__.split(".")[1],
            "meaning": (kind.__doc__ or "").splitlines()[0],
            "reactions": [
                f"{one.__module__.removeprefix('supover.')}.{one.__name__}"  # pyright: ignore[reportFunctionMemberAccess]
                for one in reactions.get(kind, ())
            ],
        }
        for kind in events.kinds()
    ]
    terminal.show(found, json=json)


@reconcile.command("reconcile")
def reconcile_all(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Recount every stored figure, state and membership by other SQL, and show what differs.

    Each workspace is read in one snapshot. Customers who wait for a recount, or for another look by their
    segments, differ: run `supover worker --drain` first. Ends with 1 when anything differs.
    """
    import msgspec

    from supover import terminal, wiring

    async def act() -> tuple[int, list[dict[str, object]]]:
        checked, found = 0, list[dict[str, object]]()
        wiring.load_fields()
        async with terminal.database() as db:
            one = None if workspace is None else await terminal.workspace(db, workspace)
            ids = await terminal.workspaces(db) if one is None else [one]
            for id in ids:
                async with db.snapshot(id) as reader:
                    for prove in wiring.proofs():
                        rows, differences = await prove(reader)
                        checked += rows
                        for each in differences:
                            found.append({"workspaceId": id, **msgspec.to_builtins(each)})
        return checked, found

    checked, differences = terminal.run(act)
    if json:
        terminal.show({"checked": checked, "differences": differences}, json=True)
    else:
        if differences:
            terminal.show(differences)
        terminal.note(f"{checked} rows checked, {len(differences) or 'no'} differences.")
    if differences:
        raise typer.Exit(terminal.ERROR)


@retention.command("retention", epilog="Example: supover retention --json")
def apply_retention(
    show: Annotated[bool, typer.Option("--show", help="Only show for how long things are kept.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Forget what is older than each workspace keeps it, as the job of the night does."""
    from supover import terminal, wiring
    from supover.privacy import queries
    from supover.privacy import retention as keeping

    wiring.load()

    async def act() -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        async with terminal.database() as db:
            one = None if workspace is None else await terminal.workspace(db, workspace)
            for id in await terminal.workspaces(db) if one is None else [one]:
                if show:
                    async with db.reader(id) as reader:
                        wanted = await queries.retention(reader)
                    found.append({"workspace": id, **{f: getattr(wanted, f) for f in wanted.__struct_fields__}})
                else:
                    found.append({"workspace": id, **await keeping.apply(db, id)})
        return found

    terminal.show(terminal.run(act), json=json)
