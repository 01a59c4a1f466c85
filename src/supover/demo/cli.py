"""supover demo."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from supover.demo.model import Filled

demo: Final = typer.Typer(add_completion=False)


@demo.command("demo", epilog="Example: supover demo --customers 100000 --csv orders.csv.gz")
def tell(
    customers: Annotated[
        int,
        typer.Option("--customers", min=1, max=1_000_000, metavar="N", help="So many buyers, about three orders each."),
    ] = 2_000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Another number is another story.")] = 1,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", dir_okay=False, help="Write a CSV for `supover orders import` instead."),
    ] = None,
    customers_csv: Annotated[
        Path | None,
        typer.Option(
            "--customers-csv",
            metavar="FILE",
            dir_okay=False,
            help="Write the buyers, with addresses and tags, as a CSV for `supover customers import` instead.",
        ),
    ] = None,
    currency: Annotated[
        str, typer.Option("--currency", metavar="CODE", help="With --csv: what the workspace that takes it counts in.")
    ] = "USD",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Fill a workspace with a made-up shop: two years of orders, refunds, cancellations, notes and exchange rates.

    The same seed on the same day is the same shop, and filling twice changes nothing. Meant for a workspace of its own.
    """
    from supover import terminal, wiring
    from supover.demo import commands, rules
    from supover.kit import clock, money

    if currency.upper() not in money.CURRENCIES:
        raise typer.BadParameter(f"{currency!r} is not a currency of ISO 4217", param_hint="--currency")
    shape = rules.Shape(until=rules.midnight(clock.now()), customers=customers, seed=seed, currency=currency.upper())
    if csv is not None or customers_csv is not None:
        written: dict[str, object] = {}
        try:
            if customers_csv is not None:
                with _progress("customers") as progress:
                    number = commands.write_buyers(customers_csv, shape, progress)
                written |= {"customers": number, "customersFile": str(customers_csv)}
            if csv is not None:
                with _progress("orders") as progress:
                    number, beside = commands.write(csv, shape, progress)
                written |= {"orders": number, "file": str(csv), "rates": str(beside)}
        except OSError as error:
            terminal.fail(f"{error.filename}: {error.strerror}")
        terminal.show(written, json=json)
        return

    async def act() -> "Filled":
        import msgspec

        from supover.orders import queries

        wiring.load()
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.reader(id) as reader:
                own, _ = await queries.currency_and_zone(reader)
            with _progress("orders") as progress:
                return await commands.fill(
                    lambda: db.tx(id, actor="cli", actor_name="Demo", origin="import"),
                    msgspec.structs.replace(shape, currency=own),
                    progress,
                )

    terminal.show(terminal.run(act), json=json)


@contextmanager
def _progress(what: str) -> Generator[Callable[[int], None]]:
    """Says how many are told, in one line of standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def progress(number: int) -> None:
        sys.stderr.write(f"\r{number:,} {what}")
        sys.stderr.flush()

    yield progress
    sys.stderr.write("\r\x1b[K")
