"""`supover`: the command line. It only assembles; each command's work is imported when the command runs.

A room's commands stand in its `cli.py`; ROOMS says where, so that `supover --help` imports none of them.
"""

import sys
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

PLAIN: Final = None  # drawing boxes around the help takes longer than everything else


class Lines(NamedTuple):
    """Where a noun's commands stand (`module:attribute`, a Typer) and what the overview says of them.

    Rooms above may add theirs, with a blank between.
    """

    where: str
    help: str

    def commands(self) -> typer.Typer:
        """All of them, imported: those of the first room, with what the others add."""
        found: typer.Typer | None = None
        for place in self.where.split():
            module, _, attribute = place.partition(":")
            added: typer.Typer = getattr(import_module(module), attribute)
            if found is None:
                found = added
            else:
                known = {one.callback for one in found.registered_commands}
                found.registered_commands += [c for c in added.registered_commands if c.callback not in known]
        assert found is not None
        return found


ROOMS: Final = {
    "workspaces": Lines("supover.access.cli:workspaces", "The sellers of this installation."),
    "staff": Lines("supover.access.cli:staff", "Who signs in to a workspace, and as what."),
    "keys": Lines("supover.access.cli:keys", "What programs sign in with."),
    "customers": Lines(
        "supover.customers.cli:customers supover.merging.cli:customers supover.imports.customer_cli:customers "
        "supover.exports.cli:customers supover.privacy.cli:customers",
        "Customers: found, shown, merged, taken in and out.",
    ),
    "bulk": Lines("supover.bulk.cli:bulk", "One thing done to many customers, and undone."),
    "tags": Lines("supover.customers.cli:tags", "Tags in use, changed in all customers."),
    "custom-fields": Lines("supover.customers.cli:fields", "What values of customFields must be."),
    "consent": Lines("supover.consent.cli:consent", "What customers said about being written to."),
    "suppressions": Lines("supover.consent.cli:suppressions", "Contacts that are not written to."),
    "channels": Lines("supover.inbox.cli:channels", "Shops that send their orders here."),
    "inbox": Lines("supover.inbox.cli:inbox", "What they sent, and what became of it."),
    "orders": Lines("supover.imports.cli:orders supover.exports.cli:orders", "Orders from files and to files."),
    "duplicates": Lines("supover.duplicates.cli:duplicates", "Customers that may be the same person."),
    "segments": Lines("supover.segments.cli:segments", "Customers who fit a filter, and groups."),
    "analytics": Lines("supover.analytics.cli:analytics", "What customers are worth, and who will leave."),
    "rates": Lines("supover.orders.cli:rates", "What orders in other currencies count at."),
    "reconcile": Lines("supover.house:reconcile", "Prove what is stored by a recount."),
    "retention": Lines("supover.house:retention", "Forget what is older than it is kept."),
    "events": Lines("supover.house:events", "Who publishes what, and who reacts."),
    "demo": Lines("supover.demo.cli:demo", "Fill a workspace with a made-up shop."),
}


class Deferred(TyperGroup):
    """Stands for a room's commands in the overview, and becomes them when one is called."""

    def __init__(self, name: str, lines: Lines) -> None:
        super().__init__(name=name, help=lines.help)
        self._lines = lines

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Imports the room's commands and hands over to them."""
        found = self._lines.commands()
        found.rich_markup_mode = PLAIN
        alone = [one.name for one in found.registered_commands] == [self.name]
        return (get_command(found) if alone else get_group(found)).make_context(info_name, args, parent, **extra)


class Lazy(TyperGroup):
    """The process commands, and the rooms' without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, the process commands first."""
        return [*super().list_commands(ctx), *ROOMS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, or None."""
        return Deferred(cmd_name, ROOMS[cmd_name]) if cmd_name in ROOMS else super().get_command(ctx, cmd_name)


app: Final = typer.Typer(
    cls=Lazy,
    name="supover",
    help="Supover: the customers, orders and parcels of many shops in one place.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=PLAIN,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PortOption = Annotated[int | None, typer.Option(help="Port to listen on (SUPOVER_PORT).", show_default="8000")]
HostOption = Annotated[str | None, typer.Option(help="Address to listen on (SUPOVER_HOST).", show_default="127.0.0.1")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback()
def supover(context: typer.Context) -> None:
    """Supover: the customers, orders and parcels of many shops in one place."""
    # Commands stand below wiring; those that publish or read filters find here what registers reactions and fields.
    context.obj = _load_reactions


def _load_reactions() -> None:
    from supover import wiring

    wiring.load_reactions()
    wiring.load_fields()


@app.command()
def up(port: PortOption = None, host: HostOption = None) -> None:
    """Run everything: database, server and worker."""
    from supover import up

    up.up(port=port, host=host)


@app.command()
def serve(port: PortOption = None, host: HostOption = None) -> None:
    """Run the API server alone, on a migrated database."""
    from supover import up

    up.serve(port=port, host=host)


@app.command()
def worker(
    drain: Annotated[bool, typer.Option("--drain", help="Work until nothing is left to do, then end.")] = False,
) -> None:
    """Run the worker alone, on a migrated database."""
    from supover.worker import main

    main(drain=drain)


@app.command()
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say what would be applied; exit 1 if anything.")] = False,
    json: JsonOption = False,
) -> None:
    """Bring the database to this release's schema."""
    from supover import up

    up.migrate_database(check=check, json=json)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Look at all that running needs. Exit 1 if anything is wrong."""
    from supover import doctor

    doctor.doctor(json=json)


@app.command()
def version() -> None:
    """Print the version."""
    from supover import __version__

    typer.echo(__version__)


def main() -> None:
    """Runs the command line; what can be explained ends it with one line on standard error."""
    try:
        app()
    except Exception as error:
        if (said := _explained(error)) is None:
            raise
        sys.stderr.write(f"supover: {said[0]}\n")
        raise SystemExit(said[1]) from None


def _explained(error: Exception) -> tuple[str, int] | None:
    from supover.kit.embedded import EmbeddedError
    from supover.kit.migrate import MigrationError
    from supover.kit.problems import Problem
    from supover.settings import SettingsError
    from supover.up import UpError

    if isinstance(error, SettingsError):
        return str(error), 2
    if isinstance(error, UpError | EmbeddedError | MigrationError | Problem):
        return str(error), 1
    return None


if __name__ == "__main__":
    main()
