"""The command line as programs use it: one JSON document on standard output, exit codes, files in and out."""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from supover.cli import app
from supover.demo.rules import TAGS
from supover.kit.db import Database
from tests.makers import Workspace, make_workspace
from tests.segments.arrange import settle

INVOICES = """InvoiceNo,customer_id,country,ordered_at,total_gbp,is_cancel
489434,13085,United Kingdom,2009-12-01T07:45:00,505.3,false
C489449,16321,Australia,2009-12-01T10:33:00,-196.41,true
489436,13085,United Kingdom,2009-12-01T09:06:00,630.33,false
"""
INVOICE_OPTIONS = (
    *("--map", "externalId=InvoiceNo", "--map", "customerExternalId=customer_id", "--map", "placedAt=ordered_at"),
    *("--map", "total=total_gbp", "--map", "status=is_cancel", "--status-map", "true=cancelled,false=delivered"),
    *("--set", "currency=GBP", "--source", "MANUAL"),
)


class Cli:
    """The command line in this process, in a thread of its own as it starts an event loop of its own."""

    def __init__(self, url: str, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self._url = url

    async def run(self, *args: str, code: int = 0, stdin: str | bytes | None = None) -> Result:
        environ = {"SUPOVER_DATABASE_URL": self._url}
        result = await asyncio.to_thread(CliRunner().invoke, app, list(args), input=stdin, env=environ)
        assert result.exit_code == code, (args, result.output, result.exception)
        return result

    async def json(self, *args: str, code: int = 0, stdin: str | bytes | None = None) -> Any:
        """The one document on standard output."""
        return json.loads((await self.run(*args, *self.here, "--json", code=code, stdin=stdin)).stdout)

    @property
    def here(self) -> tuple[str, str]:
        return "--workspace", str(self.workspace.id)

    def file(self, content: str, name: str = "orders.csv") -> str:
        (self.folder / name).write_text(content, "utf-8")
        return str(self.folder / name)


@pytest.fixture
async def supover(database: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(database, await make_workspace(db, "GBP", "Europe/London"), tmp_path)


# --- orders import -------------------------------------------------------------------------------------------------------


async def test_an_import_answers_with_its_sums(supover: Cli) -> None:
    found = await supover.json("orders", "import", supover.file(INVOICES), *INVOICE_OPTIONS)
    assert found.pop("seconds") > 0
    assert len(found.pop("importId")) == 36
    assert found == {
        "total": 3,
        "created": 3,
        "updated": 0,
        "unchanged": 0,
        "failed": 0,
        "doubtful": 0,
        "customersCreated": 2,
        "status": "completed",
        "rejects": None,
    }
    again = await supover.json("orders", "import", supover.file(INVOICES), *INVOICE_OPTIONS)
    assert (again["created"], again["unchanged"], again["customersCreated"]) == (0, 3, 0)
    assert sorted(path.name for path in supover.folder.iterdir()) == ["orders.csv"]


async def test_figures_are_marked_and_a_recount_finds_no_difference(supover: Cli, db: Database) -> None:
    await supover.json("orders", "import", supover.file(INVOICES), *INVOICE_OPTIONS)
    waiting = await supover.json("reconcile", code=1)
    assert {d["field"] for d in waiting["differences"]} >= {"metrics"}
    assert {d["workspaceId"] for d in waiting["differences"]} == {str(supover.workspace.id)}
    await settle(db, supover.workspace)
    proved = await supover.json("reconcile")
    # Beside the figures those who are in segments; who is moves with the calendar.
    assert (proved["checked"] >= 5, proved["differences"]) == (True, [])
    shown = await supover.run("reconcile", *supover.here)
    assert (shown.stdout, shown.stderr) == ("", f"{proved['checked']} rows checked, no differences.\n")


async def test_refused_rows_go_to_a_file_that_can_be_mended_and_imported(supover: Cli) -> None:
    bad = (
        INVOICES
        + '489437,13099,France,2009-12-01T11:00:00,=ten,false\n489438,13099,"Fr,ance",2009-12-01T12:00:00,7,lost\n'
    )
    found = await supover.json("orders", "import", supover.file(bad), *INVOICE_OPTIONS, code=3)
    rejects = supover.folder / "orders.rejected.csv"
    amount = "'=ten' is not an amount like 1234.56"
    status = "'lost' is not a status: map it to one of pending, confirmed, processing, shipped, delivered, cancelled, returned"
    assert (found["total"], found["created"], found["failed"], found["rejects"]) == (5, 3, 2, str(rejects))
    assert list(csv.reader(rejects.read_text("utf-8").splitlines())) == [
        [*INVOICES.splitlines()[0].split(","), "row", "field", "reason", "reasons"],
        ["489437", "13099", "France", "2009-12-01T11:00:00", "'=ten", "false", "5", "total", amount, f"total: {amount}"],
        ["489438", "13099", "Fr,ance", "2009-12-01T12:00:00", "7", "lost", "6", "status", status, f"status: {status}"],
    ]  # fmt: skip
    mended = rejects.read_text("utf-8").replace("'=ten", "10").replace("lost,6", "false,6")
    found = await supover.json("orders", "import", supover.file(mended, "mended.csv"), *INVOICE_OPTIONS)
    assert (found["total"], found["created"]) == (2, 2)


async def test_rejects_go_where_they_are_wanted(supover: Cli) -> None:
    where = supover.folder / "bad.csv"
    content = "externalId,placedAt,total\n1,2026-03-01,ten\n"
    found = await supover.json("orders", "import", supover.file(content), "--rejects", str(where), code=3)
    assert found["rejects"] == str(where)
    assert where.read_text("utf-8").splitlines()[1].startswith("1,2026-03-01,ten,2,total,")
    nowhere = str(supover.folder / "no" / "bad.csv")
    result = await supover.run(
        "orders", "import", supover.file(content), "--rejects", nowhere, "--json", *supover.here, code=3
    )
    assert json.loads(result.stdout)["rejects"] is None
    assert f"{nowhere} cannot be written" in result.stderr


async def test_standard_input_is_read(supover: Cli) -> None:
    found = await supover.json("orders", "import", "-", *INVOICE_OPTIONS, stdin=INVOICES)
    assert found["created"] == 3
    found = await supover.json("orders", "import", "-", *INVOICE_OPTIONS, stdin=INVOICES.replace("505.3", "x"), code=3)
    assert (found["unchanged"], found["failed"], found["rejects"]) == (2, 1, "orders.rejected.csv")


async def test_an_import_that_was_cut_short_is_gone_on_with(
    supover: Cli, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from supover.imports import commands

    file = supover.file("externalId,placedAt,total\n" + "".join(f"{n},2026-03-01,1.00\n" for n in range(10)))
    whole = commands.run

    async def cut_short(*args: Any, **more: Any) -> Any:
        def progress(run: Any) -> None:
            raise OSError("the power went out")

        return await whole(*args, **more | {"chunk": 4, "progress": progress})

    monkeypatch.setattr(commands, "run", cut_short)
    cut = await supover.run("orders", "import", file, *supover.here, code=1)
    assert (cut.stdout, cut.stderr) == ("", "supover: OSError: the power went out\n")
    monkeypatch.setattr(commands, "run", whole)
    result = await supover.run("orders", "import", file, "--json", *supover.here)
    found = json.loads(result.stdout)
    assert (found["total"], found["created"], found["unchanged"]) == (10, 10, 0)
    assert result.stderr == f"Import {found['importId']} was cut short after 4 orders; going on there.\n"


async def test_an_import_stands_in_the_audit_log(supover: Cli, db: Database) -> None:
    found = await supover.json("orders", "import", supover.file(INVOICES), *INVOICE_OPTIONS)
    async with db.reader(supover.workspace.id) as reader:
        rows = await reader.rows(
            "select actor, action, subject_id::text from audit_log where workspace_id = $1 and actor = 'cli'"
        )
    assert ("cli", "imports.create_orders", found["importId"]) in [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["orders", "import", "nowhere.csv"], 2, "there is no file nowhere.csv"),
        (["orders", "import", "{file}", "--map", "externalId"], 2, "'externalId' is not NAME=VALUE"),
        (["orders", "import", "{file}", "--status-map", "true=cancelled,false"], 2, "'false' is not NAME=VALUE"),
        (["orders", "import", "{file}", "--map", "externalId=InvoiceNr"], 2, "did you mean InvoiceNo?"),
        (["orders", "import", "{file}", "--nonsense"], 2, "No such option"),
        (["orders", "import", "{file}", "--workspace", "x"], 2, "--workspace: 'x' is not the id of a workspace"),
        (["orders", "import", "{file}", "--workspace", "00000000-0000-7000-8000-000000000000"], 1, "No such workspace here"),
        (["orders", "import", "{empty}"], 1, "This file cannot be read as a table: The file is empty: it has no header row."),
        (["reconcile", "--workspace", "00000000-0000-7000-8000-000000000000"], 1, "No such workspace here"),
        (["rates", "import", "nowhere.csv"], 2, "nowhere.csv"),
        (["demo", "--customers", "0"], 2, "--customers"),
    ],
)  # fmt: skip
async def test_what_went_wrong_is_said_on_standard_error_and_by_the_exit_code(
    supover: Cli, args: list[str], code: int, said: str
) -> None:
    places = {"file": supover.file(INVOICES), "empty": supover.file("", "empty.csv")}
    given = [arg.format(**places) for arg in args]
    if "--workspace" not in given and given[0] != "demo":
        given += supover.here
    result = await supover.run(*given, code=code)
    assert result.stdout == ""
    assert said in " ".join(result.stderr.split())


# --- rates ---------------------------------------------------------------------------------------------------------------


async def test_rates_are_kept_and_orders_counted_at_once(supover: Cli, db: Database) -> None:
    orders = "externalId,placedAt,total,currency,email\n1,2026-02-02,12.00,USD,a@mail.example\n2,2026-02-02,5.00,JPY,a@mail.example\n"
    await supover.json("orders", "import", supover.file(orders))
    table = supover.file("Date,USD,GBP,\n2026-02-02,1.2,0.8,\n2026-02-01,1.1,0.88,\n", "ecb.csv")
    assert await supover.json("rates", "import", table) == {"kept": 4, "ordersRated": 1, "ordersWithoutRate": 1}
    assert (await supover.json("rates", "list", "--currency", "usd", "--before", "2026-02-02")) == [
        {"currency": "USD", "date": "2026-02-01", "rate": "0.8"}
    ]
    await settle(db, supover.workspace)
    async with db.reader(supover.workspace.id) as reader:
        assert str(await reader.value("select total_spent from customer_metrics where workspace_id = $1")) == "8.0000"


async def test_one_bad_rate_and_none_is_kept(supover: Cli) -> None:
    rows = "".join(f"{2000 + n // 300}-01-{1 + n % 28:02},EUR,1.1\n" for n in range(7_000))
    result = await supover.run(
        "rates", "import", supover.file(f"date,currency,rate\n{rows}2026-01-01,EUR,x\n"), *supover.here, code=2
    )
    assert result.stderr == "supover: row 7002/rate: 'x' is not a positive number\n"
    assert await supover.json("rates", "list") == []


# --- the house -----------------------------------------------------------------------------------------------------------


async def test_events_say_who_publishes_and_who_reacts(supover: Cli) -> None:
    found = {one["event"]: one for one in json.loads((await supover.run("events", "--json")).stdout)}
    assert found["OrderDelivered"] == {
        "event": "OrderDelivered",
        "room": "orders",
        "meaning": "An order reached the buyer.",
        "reactions": ["analytics.reactions.mark"],
    }
    assert found["NoteAdded"]["reactions"] == []


async def test_a_demo_fills_a_workspace_and_again_changes_nothing(supover: Cli) -> None:
    found = await supover.json("demo", "--customers", "30", "--seed", "7")
    assert found["created"] == found["orders"] > 30
    assert found["customersCreated"] >= 30
    again = await supover.json("demo", "--customers", "30", "--seed", "7")
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, found["orders"])
    assert (await supover.json("reconcile"))["differences"] == []


async def test_a_demo_in_files_goes_in_as_it_is(supover: Cli) -> None:
    file = supover.folder / "demo.csv.gz"
    result = await supover.run("demo", "--customers", "30", "--csv", str(file), "--currency", "gbp", "--json")
    told = json.loads(result.stdout)
    assert told == {"orders": told["orders"], "file": str(file), "rates": str(supover.folder / "demo.rates.csv")}
    found = await supover.json("orders", "import", str(file))
    assert (found["total"], found["created"], found["failed"]) == (told["orders"], told["orders"], 0)
    rates = await supover.json("rates", "import", told["rates"])
    assert rates["ordersRated"] > 0
    assert rates["ordersWithoutRate"] == 0


async def test_the_buyers_of_a_demo_go_in_as_customers(supover: Cli) -> None:
    file = supover.folder / "buyers.csv.gz"
    result = await supover.run("demo", "--customers", "30", "--customers-csv", str(file), "--json")
    assert json.loads(result.stdout) == {"customers": 30, "customersFile": str(file)}
    found = await supover.json("customers", "import", str(file))
    assert (found["total"], found["created"], found["failed"]) == (30, 30, 0)
    sent = await supover.run("customers", "export", *supover.here)
    rows = list(csv.DictReader(io.StringIO(sent.stdout)))
    assert len(rows) == 30 == sum(bool(row["city"]) for row in rows)
    assert {tag for row in rows for tag in row["tags"].split(";") if tag} == set(TAGS)
    other = supover.file(f"email,name\n{rows[0]['email']},Other\nnew@mail.example,New\n", "other.csv")
    trial = await supover.json("customers", "import", other, "--dry-run")
    assert (trial["created"], trial["updated"], trial["doubtful"]) == (1, 1, 0)
    [change] = trial["changes"]
    assert change.endswith(f": name: {rows[0]['name']} → Other")


# --- start ---------------------------------------------------------------------------------------------------------------

PROBE = """
import sys
sys.argv = ["supover", *{args!r}]
from supover.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
heavy = [m for m in ("litestar", "polars", "asyncpg", "structlog", "phonenumbers", "rich") if m in sys.modules]
sys.stderr.write(f"{{code}} {{heavy}}")
"""


@pytest.mark.parametrize(
    ("args", "heavy"),
    [
        (["--help"], []),
        (["orders", "--help"], []),
        (["orders", "import", "--help"], []),
        (["rates", "import", "--help"], []),
        (["reconcile", "--help"], []),
        (["demo", "--help"], []),
        (["version"], []),
    ],
)
async def test_help_comes_without_what_commands_need(args: list[str], heavy: list[str]) -> None:
    probe = [sys.executable, "-c", PROBE.format(args=args)]
    done = await asyncio.to_thread(subprocess.run, probe, capture_output=True, text=True, check=True)
    assert done.stderr == f"0 {heavy}"
    assert done.stdout != ""


async def test_an_import_starts_without_the_web_framework(supover: Cli, database: str) -> None:
    args = ["orders", "import", supover.file(INVOICES), *INVOICE_OPTIONS, *supover.here, "--json"]
    environ = dict(os.environ) | {"SUPOVER_DATABASE_URL": database}
    probe = [sys.executable, "-c", PROBE.format(args=args)]
    done = await asyncio.to_thread(subprocess.run, probe, capture_output=True, text=True, check=True, env=environ)
    assert done.stderr == "0 ['asyncpg', 'phonenumbers']"
    assert json.loads(done.stdout)["created"] == 3
