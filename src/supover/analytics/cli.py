"""supover analytics."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    import msgspec

    from supover.analytics.fitting import Refreshed
    from supover.analytics.model import RfmReport
    from supover.analytics.prediction_model import AtRisk, Backtest, FitReport
    from supover.analytics.report_model import Cohorts, Compare, Grain, Metric, Overview
    from supover.kit.db import Database

C = TypeVar("C", bound=str)

analytics: Final = typer.Typer(no_args_is_help=True, help="What customers are worth, and who will leave.")

AsOfOption = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="Knowing the orders up to this day; today unless told.")
]
HorizonOption = Annotated[
    int, typer.Option("--horizon-days", min=1, max=730, metavar="N", help="Churn is no order within so many days.")
]
MethodOption = Annotated[
    str, typer.Option("--method", metavar="METHOD", help="map, with a weak prior, or ml, plain maximum likelihood.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
HORIZON: Final = 90
ORIGINS: Final = 3
"""As every night, so that both tell the same."""
BLOCKS: Final = "▁▂▃▄▅▆▇█"
BAR: Final = 20
PAUSE_S: Final = 0.1
LATEST: Final = 13
"""So many periods of a cohort have room in a terminal; its curve has all."""
COMPARE: Final[tuple["Compare", ...]] = ("previous", "year", "none")
GRAINS: Final[tuple["Grain", ...]] = ("week", "month", "quarter")
METRICS: Final[tuple["Metric", ...]] = ("retention", "rolling", "revenue", "cumulativeLtv")
FIGURES: Final = tuple(
    "revenue gross refunded orders customers newCustomers returningCustomers repeatRate averageOrderValue refundRate".split()
)


@analytics.command(
    "fit", epilog="Example: supover analytics fit --as-of 2026-06-30 --horizon-days 90 --method ml --json"
)
def fit(
    as_of: AsOfOption = None,
    horizon_days: HorizonOption = HORIZON,
    method: MethodOption = "map",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the models as of a day and judge them by the days after it, where the orders reach so far. Nothing is stored."""
    from supover import terminal
    from supover.analytics import fitting, predictions

    async def act() -> "FitReport":
        day, how = _day(as_of), _method(method)
        async with terminal.database() as db, db.snapshot(await terminal.workspace(db, workspace)) as reader:
            return await fitting.report(reader, day or await predictions.today(reader), horizon_days, how)

    found = terminal.run(act)
    if json:
        terminal.show(found, json=True)
        return
    told = terminal.only(found.model, ("customers", "method", "r", "alpha", "a", "b", "logLikelihood", "p", "q", "v"))
    terminal.show({"asOf": found.as_of, **told, "priorShift": found.model.prior_shift})
    if found.backtest is None:
        terminal.note(f"The orders do not reach {horizon_days} days beyond {found.as_of}: nothing to judge it by.")
    else:
        _blank()
        _table([_judged_flat(found.backtest)])
        terminal.note(f"Calibration, chance given and share who ordered: {_calibration(found.backtest['bins'])}")
    _lacks(found.missing)


@analytics.command("refresh", epilog="Example: supover analytics refresh --json")
def refresh(
    context: typer.Context,
    as_of: AsOfOption = None,
    horizon_days: HorizonOption = HORIZON,
    method: MethodOption = "map",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Fit, try the models on past days, store what serves, and score every customer; as every night."""
    from supover import terminal
    from supover.access import audit
    from supover.analytics import fitting, scoring

    def told(what: str, customers: int) -> bool:
        if not json:
            terminal.note(f"{what}: {customers:,} customers")
        return False

    async def act() -> "Refreshed":
        day, how = _day(as_of), _method(method)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            await _count(db, id)
            done = await fitting.refresh(
                db, id, lambda: db.tx(id, actor="cli"), as_of=day, horizon_days=horizon_days, method=how, told=told
            )
            async with db.tx(id, actor="cli") as tx:
                await audit.record(tx, "analytics.refresh", None)
            await scoring.run(db, id)
        return done

    try:
        found = terminal.run(act, context)
    except fitting.Overtaken as error:
        terminal.fail(str(error))
    terminal.show(found, json=json)
    if not json:
        _lacks(found.missing)


@analytics.command("backtest", epilog="Example: supover analytics backtest --origins 4")
def backtest(
    as_of: AsOfOption = None,
    horizon_days: HorizonOption = HORIZON,
    method: MethodOption = "map",
    origins: Annotated[
        int, typer.Option("--origins", min=1, max=24, metavar="N", help="At most so many past days.")
    ] = ORIGINS,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
) -> None:
    """Try the models on past days, judged by what came after each. Nothing is stored."""
    from supover import terminal
    from supover.analytics import fitting, predictions

    async def act() -> "Backtest | None":
        day, how = _day(as_of), _method(method)
        async with terminal.database() as db, db.snapshot(await terminal.workspace(db, workspace)) as reader:
            last = day or await predictions.today(reader)
            seen = await fitting.seen(reader, last)
            return await fitting.try_out(reader, last, seen.first, horizon_days, how, origins=origins)

    found = terminal.run(act)
    if json:
        terminal.show(found, json=True)
        return
    if found is None:
        terminal.note(f"There are not enough orders {horizon_days} days back to try anything on.")
        return
    rows: list[dict[str, Any]] = []
    for one in found.origins:
        for name, judged in (("bgnbd", one.bgnbd), ("logistic", one.logistic)):
            if judged is not None:
                rows.append(
                    {
                        "origin": one.origin,
                        "model": name,
                        "customers": one.customers,
                        "auc": judged.auc,
                        "brier": judged.brier,
                        "ece": judged.ece,
                        "mae": judged.mae,
                        "eo": judged.eo,
                        "calibration": _spark([bin.actual for bin in judged.bins]),
                    }
                )
        rule: dict[str, Any] = {
            "origin": one.origin,
            "model": "rules",
            "customers": one.customers,
            "auc": one.recency_auc,
        }
        rows.append({**rule, "brier": one.base_brier, "ece": None, "mae": one.naive_mae, "eo": None, "calibration": ""})
    _table(rows, csv=csv)
    if not csv:
        terminal.note(found.why)


@analytics.command("churn", epilog="Example: supover analytics churn --risk high --limit 50")
def churn(
    risk: Annotated[str | None, typer.Option("--risk", metavar="RISK", help="low, medium or high.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
) -> None:
    """List who may not come back, the most at stake first."""
    import msgspec

    from supover import terminal
    from supover.analytics import predictions
    from supover.analytics.prediction_model import AtRisk
    from supover.kit import sql
    from supover.kit.problems import Invalid

    async def act() -> "tuple[Sequence[AtRisk], Sequence[str]]":
        if risk not in (None, "low", "medium", "high"):
            raise Invalid.at("--risk", "choice", "must be low, medium or high")
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            page = sql.page(predictions.SORTS, limit=limit, sort=None, cursor=None)
            found, _, _ = await predictions.at_risk(reader, page, risk=(risk,) if risk else ())
            model = await predictions.current(reader)
            return found, [predictions.NO_MODEL] if model is None else model.missing

    found, missing = terminal.run(act)
    if json:
        terminal.show(found, json=True)
    elif csv:
        _table(
            [_fields(one) for one in found], csv=True, columns=[f.encode_name for f in msgspec.structs.fields(AtRisk)]
        )
    else:
        columns = (
            "churnRisk",
            "churnProbability",
            "valueAtStake",
            "expectedOrders",
            "predictedValue",
            "expectedNextOrderDate",
        )
        _table([{"customer": one.name or one.email or one.id, **terminal.only(one, columns)} for one in found])
        _lacks(missing)


# --- what was counted ----------------------------------------------------------------------------------------------------

FromOption = Annotated[str | None, typer.Option("--from", metavar="DATE", help="This day and later ones.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="This day and earlier ones.")]


@analytics.command(
    "overview", epilog="Example: supover analytics overview --from 2026-01-01 --to 2026-03-31 --compare year"
)
def overview(
    since: FromOption = None,
    until: ToOption = None,
    compare: Annotated[str, typer.Option("--compare", metavar="WITH", help="previous, year or none.")] = "previous",
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
) -> None:
    """Show what was sold and who bought in a period, beside an earlier one; the last 30 days unless told."""
    from supover import terminal
    from supover.analytics import overview as sales

    async def act() -> "Overview":
        first, last = _day(since, "--from"), _day(until, "--to")
        how: Compare = _one_of(compare, "--compare", COMPARE)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await sales.overview(reader, since=first, until=last, compare=how, interval=None)

    found = terminal.run(act)
    if json:
        terminal.show(found, json=True)
        return
    now = _fields(found)
    before, change = (None if one is None else _fields(one) for one in (found.comparison, found.change))
    rows: list[dict[str, Any]] = []
    for name in FIGURES:
        row = {"figure": name, "value": now[name] if not csv else _number(now[name])}
        if before is not None:
            row["before"] = before[name] if not csv else _number(before[name])
        if change is not None:
            row["change"] = change[name] if csv else _percent(change[name])
        rows.append(row)
    _table(rows, csv=csv)
    if not csv:
        terminal.note(
            f"{found.since} to {found.until}, {found.currency}: {_spark([float(one.revenue) for one in found.series])}"
        )


@analytics.command("cohorts", epilog="Example: supover analytics cohorts --period quarter --metric cumulativeLtv")
def cohorts(
    period: Annotated[str, typer.Option("--period", metavar="PERIOD", help="week, month or quarter.")] = "month",
    metric: Annotated[
        str, typer.Option("--metric", metavar="METRIC", help="retention, rolling, revenue or cumulativeLtv.")
    ] = "retention",
    since: FromOption = None,
    until: ToOption = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="SOURCE", help="Customers whose first order came by it.")
    ] = None,
    country: Annotated[
        str | None,
        typer.Option("--country", metavar="COUNTRY", help="Customers whose first order went there: a code or a name."),
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
    csv: CsvOption = False,
) -> None:
    """Show what customers did in each period since their first order, by the period of that."""
    from supover import terminal
    from supover.analytics import cohorts as cohorts_of
    from supover.analytics import report_rules

    async def act() -> "Cohorts":
        first, last = _day(since, "--from"), _day(until, "--to")
        grain: Grain = _one_of(period, "--period", GRAINS)
        what: Metric = _one_of(metric, "--metric", METRICS)
        report_rules.span(first, last)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await cohorts_of.matrix(
                reader,
                period=grain,
                metric=what,
                since=first,
                until=last,
                channel=report_rules.channel(channel),
                country=report_rules.country(country),
                segment=None,
            )

    found = terminal.run(act)
    if json:
        terminal.show(found, json=True)
        return
    columns = max((len(one.values) for one in found.cohorts), default=0)
    shares = found.metric in ("retention", "rolling")
    rows: list[dict[str, Any]] = []
    for one in found.cohorts:
        values = [*one.values, *[None] * (columns - len(one.values))]
        if csv:
            rows.append({"cohort": one.cohort, "size": one.size, **{str(n): value for n, value in enumerate(values)}})
        else:
            shown = {
                str(n): _percent(value, sign="") if shares else _whole(value) for n, value in enumerate(values[:LATEST])
            }
            # The first period has everybody, and would flatten all the others.
            rows.append({"cohort": one.cohort, "size": one.size, "": _spark(one.values[1:]), **shown})
    _table(rows, csv=csv, columns=("cohort", "size"))


@analytics.command("rfm", epilog="Example: supover analytics rfm --csv")
def rfm(workspace: WorkspaceOption = None, json: JsonOption = False, csv: CsvOption = False) -> None:
    """Show the RFM groups: how many are in each, and what they bring in."""
    from supover import terminal
    from supover.analytics import rfm as groups

    async def act() -> "RfmReport":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            return await groups.report(reader)

    found = terminal.run(act)
    if json:
        terminal.show(found, json=True)
        return
    if csv:
        _table([_fields(one) for one in found.groups], csv=True)
        return
    most = max((one.customers for one in found.groups), default=0)
    _table(
        [
            {
                "group": one.group,
                "customers": one.customers,
                "": BLOCKS[-1] * round(BAR * one.customers / most) if most else "",
                "share": _percent(one.share, sign=""),
                "revenue": one.revenue,
                "revenueShare": _percent(one.revenue_share, sign=""),
                "lastMonth": one.customers_last_month,
            }
            for one in found.groups
        ]
    )
    terminal.note("Nobody was scored yet." if found.as_of is None else f"Scored {found.as_of:%Y-%m-%d %H:%M} UTC.")


@analytics.command("rebuild", epilog="Example: supover analytics rebuild")
def rebuild(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Make everything that reports are answered from anew, from the orders."""
    from supover import terminal
    from supover.access import audit
    from supover.analytics import rollups

    async def act() -> dict[str, int]:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                days = await rollups.rebuild(tx)
                await audit.record(tx, "analytics.rebuild", None)
        return {"customerDays": days}

    terminal.show(terminal.run(act), json=json)


async def _count(db: "Database", workspace_id: "UUID") -> None:
    """Counts what waits for it, or waits until a worker has: figures that are not counted yet are missing in a fit."""
    import asyncio

    from supover.analytics import commands

    while True:
        async with db.tx(workspace_id) as tx:
            counted = await commands.refresh(tx)
            if not counted and not await commands.is_waiting(tx):
                return
        if not counted:
            await asyncio.sleep(PAUSE_S)


# --- how it is shown -----------------------------------------------------------------------------------------------------


def _day(given: str | None, option: str = "--as-of") -> date | None:
    from supover.analytics import report_rules
    from supover.kit.problems import Invalid

    if given is None:
        return None
    try:
        found = date.fromisoformat(given)
    except ValueError:
        raise Invalid.at(option, "date", "must be a date such as 2026-01-31") from None
    if not report_rules.EARLIEST <= found <= report_rules.LATEST:
        raise Invalid.at(option, "range", f"must be from {report_rules.EARLIEST} to {report_rules.LATEST}")
    return found


def _one_of(given: str, option: str, choices: "tuple[C, ...]") -> "C":
    from supover.kit.problems import Invalid

    for one in choices:
        if one == given:
            return one
    raise Invalid.at(option, "choice", f"must be {', '.join(choices[:-1])} or {choices[-1]}")


def _percent(share: float | None, sign: str = "+") -> str | None:
    return None if share is None else f"{100 * share:{sign}.1f} %"


def _whole(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:,.0f}"


def _method(given: str) -> Literal["ml", "map"]:
    from supover.kit.problems import Invalid

    if given not in ("ml", "map"):
        raise Invalid.at("--method", "choice", "must be map or ml")
    return given


def _lacks(missing: "Sequence[str]") -> None:
    from supover import terminal

    for one in missing:
        terminal.note(f"Missing for predictions: {one}")


def _judged_flat(told: "Mapping[str, Any]") -> dict[str, Any]:
    shown = ("origin", "customers", "auc", "brier", "ece", "mae", "eo")
    of_rules = told["baselines"]
    return {
        **{name: told[name] for name in shown},
        "aucOfRecency": of_rules["recency"]["auc"],
        "maeOfRate": of_rules["naive"]["mae"],
        "brierOfBase": of_rules["base"]["brier"],
    }


def _calibration(bins: "Sequence[Mapping[str, Any]]") -> str:
    return f"{_spark([one['predicted'] for one in bins])}  {_spark([one['actual'] for one in bins])}"


def _spark(numbers: "Sequence[float | None]") -> str:
    """Numbers as blocks of their height, from nothing to the greatest; a gap where there is none."""
    most = max((one for one in numbers if one is not None), default=0.0)
    if most <= 0:
        return "".join(" " if one is None else BLOCKS[0] for one in numbers)
    last = len(BLOCKS) - 1
    return "".join(" " if one is None else BLOCKS[min(last, max(0, round(one / most * last)))] for one in numbers)


def _fields(one: "msgspec.Struct") -> dict[str, Any]:
    import msgspec

    return {field.encode_name: getattr(one, field.name) for field in msgspec.structs.fields(one)}


def _blank() -> None:
    import sys

    sys.stdout.write("\n")


def _table(rows: "Sequence[Mapping[str, Any]]", *, csv: bool = False, columns: "Sequence[str]" = ()) -> None:
    """Rows for people, aligned and rounded, numbers to the right; or as CSV with every digit, whose `columns` say what no row does."""
    import sys

    from supover import terminal

    if csv:
        _write_csv(rows, columns)
        return
    if not rows:
        terminal.note("Nothing found.")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if _is_number(rows, name, value) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    is_wide = not sys.stdout.isatty()
    Console(file=sys.stdout, highlight=False, markup=False, width=200 if is_wide else None).print(table)


def _is_number(rows: "Sequence[Mapping[str, Any]]", name: str, first: object) -> bool:
    from decimal import Decimal

    values = [first, *(row[name] for row in rows)]
    return any(isinstance(one, (int, float, Decimal)) for one in values)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _write_csv(rows: "Sequence[Mapping[str, Any]]", columns: "Sequence[str]") -> None:
    import csv
    import sys

    import msgspec

    from supover.kit.tables import guarded

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows[0] if rows else columns)
    for row in rows:
        writer.writerow([guarded(one) if isinstance(one, str) else msgspec.to_builtins(one) for one in row.values()])


def _number(figure: object) -> object:
    """Money, which is told as a text, as a number: below nothing it begins with a sign, and is no formula."""
    from decimal import Decimal

    return Decimal(figure) if isinstance(figure, str) else figure
