"""supover rates."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from supover.orders.rates import Rate

rates: Final = typer.Typer(no_args_is_help=True, help="Exchange rates: what orders in other currencies count at.")


@rates.command("import", epilog="Example: supover rates import eurofxref-hist.csv --base EUR")
def import_rates(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV or TSV, also gzipped.")
    ],
    base: Annotated[
        str, typer.Option("--base", metavar="CODE", help="Of a table with a column a currency: what its cells are for.")
    ] = "EUR",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Keep exchange rates from a file, and count the orders that lacked one.

    Columns date, currency, rate (units of the workspace's currency for one of it); or date and one column a currency,
    each cell the units that one BASE buys, as banks publish them. One bad row and nothing is kept. Orders already
    counted keep the rate they were counted at.
    """
    from supover import terminal
    from supover.access import audit
    from supover.orders import queries
    from supover.orders import rates as book

    async def act() -> dict[str, int]:
        kept = lacking = rated = 0
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                own, _ = await queries.currency_and_zone(tx)
                for batch in book.read(file, own, base=base.upper()):
                    done = await book.keep(tx, batch)
                    kept, lacking = kept + done.kept, done.orders_without_rate
                await audit.record(tx, "rates.put")
            while lacking:
                async with db.tx(id, actor="cli") as tx:
                    applied = await book.apply(tx)
                rated, lacking = rated + applied, lacking - applied
                if applied < book.BATCH:
                    break
        return {"kept": kept, "ordersRated": rated, "ordersWithoutRate": lacking}

    terminal.show(terminal.run(act, context), json=json)


@rates.command("list")
def list_rates(
    currency: Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Only this one.")] = None,
    before: Annotated[
        datetime | None,
        typer.Option("--before", formats=["%Y-%m-%d"], metavar="DAY", help="Only days before this one."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="At most so many.")] = 100,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List exchange rates, the newest first."""
    from supover import terminal
    from supover.orders import rates as book

    async def act() -> "list[Rate]":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            day = before.date() if before else None
            code = currency.upper() if currency else None
            found, _ = await book.search(reader, currency=code, before=day, limit=limit)
            return found

    terminal.show(terminal.run(act), json=json)
