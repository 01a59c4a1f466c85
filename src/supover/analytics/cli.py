"""supover reconcile."""

from typing import Annotated, Final

import typer

from supover.access.cli import JsonOption

WorkspaceOption = Annotated[
    str | None, typer.Option("--workspace", metavar="ID", help="One workspace; all of them unless given.")
]


reconcile: Final = typer.Typer(add_completion=False)


@reconcile.command("reconcile")
def reconcile_figures(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Recount every stored figure from the orders by other SQL, and show what differs.

    Each workspace is read in one snapshot. Customers whose recount is still due differ: run `supover worker --drain`
    first. Ends with 1 when anything differs.
    """
    import msgspec

    from supover import terminal
    from supover.analytics import commands

    async def act() -> tuple[int, list[dict[str, object]]]:
        checked = 0
        found: list[dict[str, object]] = []
        async with terminal.database() as db:
            if workspace is not None:
                ids = [await terminal.workspace(db, workspace)]
            else:
                ids = await terminal.workspaces(db)
            for id in ids:
                async with db.snapshot(id) as reader:
                    rows, differences = await commands.reconcile(reader)
                checked += rows
                for one in differences:
                    found.append({"workspaceId": id, **msgspec.to_builtins(one)})
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
