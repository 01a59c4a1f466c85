"""`supover customers export` and `supover orders export`."""

import asyncio
import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from supover.cli import app
from tests.makers import Workspace, make_address, make_customer, make_order, told


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """The settings are those of the environment here."""
    return tmp_path


async def run(url: str, shop: Workspace, *args: str, code: int = 0) -> Result:
    environ = {"SUPOVER_DATABASE_URL": url}
    command = [*args, "--workspace", str(shop.id)]
    result = await asyncio.to_thread(CliRunner().invoke, app, command, env=environ)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def size(path: Path) -> int:
    return path.stat().st_size


async def test_customers_go_to_standard_output(api: httpx.AsyncClient, database: str, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann, the first", tags=["vip"])
    await make_address(api, ann)
    await make_customer(api, name="Bob")
    answer = await run(database, shop, "customers", "export")
    assert answer.stdout == (await api.post("/api/customers/export", json={})).text
    answer = await run(database, shop, "customers", "export", "--tag", "vip", "--fields", "name, city")
    assert list(csv.reader(io.StringIO(answer.stdout))) == [["name", "city"], ["Ann, the first", "Berlin"]]
    [one, *_] = told(await api.get("/api/audit?action=exports.customers"))["data"]
    assert (one["actor"], one["changes"][0]["new"]) == ("cli", {"tag": ["vip"], "fields": ["name", "city"]})


async def test_a_file_is_written_whole_in_the_format_of_its_name(
    api: httpx.AsyncClient, database: str, shop: Workspace, tmp_path: Path
) -> None:
    place = tmp_path / "here"
    await asyncio.to_thread(place.mkdir)
    await make_customer(api, name="Ann")
    for ending in ("csv", "xlsx", "jsonl", "parquet"):
        out = place / f"customers.{ending}"
        said: Any = json.loads((await run(database, shop, "customers", "export", "--out", str(out), "--json")).stdout)
        assert (said["rows"], said["file"], said["bytes"]) == (1, str(out), await asyncio.to_thread(size, out))
    assert pl.read_parquet(place / "customers.parquet")["name"].to_list() == ["Ann"]
    assert sorted(await asyncio.to_thread(os.listdir, place)) == [
        f"customers.{e}" for e in ("csv", "jsonl", "parquet", "xlsx")
    ]
    answer = await run(
        database, shop, "customers", "export", "--filter", "amount_spent >", "--out", str(place / "new.csv"), code=2
    )
    assert answer.stderr.startswith("supover: filter")
    assert "new.csv" not in await asyncio.to_thread(os.listdir, place)


async def test_orders_go_to_a_file(api: httpx.AsyncClient, database: str, shop: Workspace, tmp_path: Path) -> None:
    await make_order(api, total="10.00", external_id="1", placed_at="2026-01-31T12:00:00Z")
    await make_order(api, total="20.00", external_id="2", placed_at="2026-02-01T12:00:00Z")
    out = tmp_path / "orders.csv"
    answer = await run(
        database,
        shop,
        "orders",
        "export",
        "--placed-from",
        "2026-02-01",
        "--fields",
        "externalId,total",
        "--out",
        str(out),
    )
    assert answer.stderr == f"1 rows in {out}.\n"
    assert await asyncio.to_thread(out.read_text) == "externalId,total\n2,20.00\n"


async def test_what_is_no_format_status_or_field_is_told(
    database: str, shop: Workspace, api: httpx.AsyncClient
) -> None:
    assert "is none: choose csv" in (await run(database, shop, "customers", "export", "--format", "pdf", code=2)).stderr
    assert "status" in (await run(database, shop, "orders", "export", "--status", "lost", code=2)).stderr
    assert (
        "did you mean totalSpent?"
        in (await run(database, shop, "customers", "export", "--fields", "totalSpend", code=2)).stderr
    )
