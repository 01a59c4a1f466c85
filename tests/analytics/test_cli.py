"""supover analytics, as people type it."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from supover.analytics import cli, fitting, prediction_rules
from supover.kit.db import Database
from tests.analytics import days
from tests.analytics.arrange import at, buy, score
from tests.analytics.test_predictions import made, today
from tests.makers import make_workspace
from tests.terminal import Cli

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def supover(database: str, db: Database) -> Cli:
    """The commands, in a workspace of their own."""
    return Cli(cli.analytics, database, await make_workspace(db))


async def test_a_fit_tells_what_outside_programs_rely_on(supover: Cli, owner: "Connection") -> None:
    await days.write(owner, supover.workspace.id, made(700, today()))
    as_of = (today() - timedelta(days=90)).isoformat()
    found = await supover.json("fit", "--as-of", as_of, "--horizon-days", "90", "--method", "ml")
    assert found["model"].keys() >= {"r", "alpha", "a", "b", "logLikelihood", "p", "q", "v", "timeUnit", "customers"}
    assert found["model"]["timeUnit"] == "week"
    judged = found["backtest"]
    assert judged.keys() >= {"origin", "customers", "auc", "brier", "ece", "mae", "eo", "baselines"}
    assert judged["origin"] == as_of
    assert judged["customers"] == found["model"]["customers"]
    assert judged["baselines"].keys() >= {"recency", "naive"}
    assert 0.5 < judged["baselines"]["recency"]["auc"] < judged["auc"] < 1
    assert judged["baselines"]["naive"]["mae"] > 0
    shown = await supover.run("fit", "--as-of", as_of)
    assert "logLikelihood" in shown.stdout
    assert "aucOfRecency" in shown.stdout
    # Nothing was stored, and what lies ahead judges nobody.
    assert (
        await owner.fetchval("select count(*) from data.prediction_model where workspace_id = $1", supover.workspace.id)
        == 0
    )
    assert (await supover.json("fit"))["backtest"] is None
    assert "--as-of: must be a date" in (await supover.run("fit", "--as-of", "soon", code=2)).stderr
    assert "--method: must be map or ml" in (await supover.run("fit", "--method", "magic", code=2)).stderr


async def test_a_refresh_stores_and_the_rest_shows(supover: Cli, owner: "Connection") -> None:
    await days.write(owner, supover.workspace.id, made(700, today()))
    assert (cli.HORIZON, cli.ORIGINS) == (prediction_rules.HORIZON_DAYS, fitting.ORIGINS)
    tried = await supover.json("backtest")
    assert await supover.json("churn") == []
    done = await supover.json("refresh")
    assert (done["version"], done["scored"], done["missing"]) == (1, 700, [])
    assert tried["origins"][0]["origin"] == (today() - timedelta(days=90)).isoformat()
    shown = await supover.run("backtest")
    assert "bgnbd" in shown.stdout
    assert "█" in shown.stdout
    as_csv = list(csv.DictReader(io.StringIO((await supover.run("backtest", "--csv")).stdout)))
    assert {row["model"] for row in as_csv} >= {"bgnbd", "rules"}
    assert float(as_csv[0]["auc"]) == tried["origins"][0]["bgnbd"]["auc"]
    top = await supover.json("churn", "--risk", "high", "--limit", "5")
    assert len(top) == 5
    assert {one["churnRisk"] for one in top} == {"high"}
    table = await supover.run("churn", "--limit", "3")
    assert table.stdout.count("Buyer ") == 3
    rows = list(csv.DictReader(io.StringIO((await supover.run("churn", "--csv", "--limit", "200")).stdout)))
    assert len(rows) == 200
    assert rows[0].keys() == top[0].keys()
    await supover.run("churn", "--risk", "huge", code=2)


async def test_a_small_shop_is_told_what_lacks(supover: Cli, owner: "Connection") -> None:
    await days.write(owner, supover.workspace.id, [("ann", today(), 5.0)])
    done = await supover.run("refresh")
    assert "At least 500 customers with an order: there are 1." in done.stderr
    assert await supover.json("backtest") is None
    assert "not enough orders" in (await supover.run("backtest")).stderr
    assert "Missing for predictions" in (await supover.run("churn")).stderr


def test_numbers_become_blocks() -> None:
    spark = cli._spark  # pyright: ignore[reportPrivateUsage]
    assert spark([0.0, 0.5, 1.0, None]) == "▁▅█ "
    assert spark([0.0, None]) == "▁ "
    assert spark([]) == ""


NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)


async def test_what_was_counted_is_shown(supover: Cli, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, NOW)
    for name, months in (("ann", (1, 2, 3)), ("ben", (1, 3)), ("cy", (2,))):
        await buy(db, supover.workspace, name, [datetime(2026, month, 10, 12, tzinfo=UTC) for month in months])
    await score(db, supover.workspace)

    period = ("--from", "2026-03-01", "--to", "2026-03-31")
    found = await supover.json("overview", *period)
    assert (found["revenue"], found["orders"], found["returningCustomers"], found["byChannel"][0]["orders"]) == (
        "20.00",
        2,
        2,
        2,
    )
    assert found["change"]["revenue"] == 0.0
    shown = await supover.run("overview", *period)
    assert re.search(r"revenue +20\.00 +20\.00 +\+0\.0 %", shown.stdout)
    rows = list(
        csv.DictReader(io.StringIO((await supover.run("overview", *period, "--compare", "none", "--csv")).stdout))
    )
    assert {"figure": "orders", "value": "2"} in rows

    rows = list(csv.DictReader(io.StringIO((await supover.run("overview", *period, "--csv")).stdout)))
    assert rows[0] == {"figure": "revenue", "value": "20.00", "before": "20.00", "change": "0.0"}

    found = await supover.json("cohorts", "--from", "2026-01-01")
    assert [(one["cohort"], one["size"], one["values"][:2]) for one in found["cohorts"]] == [
        ("2026-01", 2, [1.0, 0.5]),
        ("2026-02", 1, [1.0, None]),
    ]
    shown = await supover.run("cohorts", "--metric", "rolling")
    assert re.search(r"2026-01 +2 .*100\.0 % +100\.0 %", shown.stdout)
    shown = await supover.run("cohorts", "--period", "quarter", "--metric", "cumulativeLtv", "--csv")
    assert shown.stdout.splitlines() == ["cohort,size,0", "2026-Q1,3,"]

    # A country may be named as people do, and nobody is a table without rows.
    assert (await supover.json("cohorts", "--country", "germany"))["country"] == "DE"
    assert (await supover.run("cohorts", "--country", "de", "--csv")).stdout == "cohort,size\n"
    assert (await supover.run("churn", "--csv")).stdout.startswith("id,name,email,churnProbability")

    found = await supover.json("rfm")
    assert (found["customers"], found["revenue"]) == (3, "60.00")
    assert re.search(r"CHAMPIONS +2 +█+ +66\.7 % +50\.00 +83\.3 %", (await supover.run("rfm")).stdout)
    rows = list(csv.DictReader(io.StringIO((await supover.run("rfm", "--csv")).stdout)))
    assert sum(int(row["customers"]) for row in rows) == 3

    assert await supover.json("rebuild") == {"customerDays": 6}
    assert (
        "--compare: must be previous, year or none"
        in (await supover.run("overview", "--compare", "never", code=2)).stderr
    )
    assert "--from: must be a date" in (await supover.run("cohorts", "--from", "May", code=2)).stderr
    for command in ("fit", "refresh", "backtest"):
        for far in ("0001-01-01", "9999-12-31"):
            assert "--as-of: must be from" in (await supover.run(command, "--as-of", far, code=2)).stderr


def test_csv_has_numbers_as_they_are_and_texts_that_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    number = cli._number  # pyright: ignore[reportPrivateUsage]
    row = {"a": "=1+1", "b": number("-2.50"), "c": -0.5, "d": None, "e": NOW}
    cli._write_csv([row], ())  # pyright: ignore[reportPrivateUsage]
    assert capsys.readouterr().out == "a,b,c,d,e\n'=1+1,-2.50,-0.5,,2026-03-20T12:00:00Z\n"
