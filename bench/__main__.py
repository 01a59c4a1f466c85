"""`make bench`: reads over HTTP beside pgbench with the same statement, imports beside a bare COPY of the same rows.

`N=100000 make bench` sets the customers. Prints one table; writes nothing.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from bench.house import House, open_house, orders_file, peak_mib
from supover import wiring
from supover.analytics import commands as analytics
from supover.imports import commands as imports
from supover.imports.model import OrderImportOptions
from supover.kit import clock, tables

SECONDS: Final = 5.0
CLIENTS: Final = 16
BARE: Final = """
    create table bench_order (like data."order" including indexes including defaults including generated);
    create table bench_customer (like data.customer including indexes including defaults including generated);
    create table bench_identity (like data.customer_identity including indexes including defaults)"""


async def load(house: House, paths: list[str]) -> float:
    """Requests a second over these addresses, by 16 connections for five seconds; every answer must be 200."""
    until = clock.monotonic_s() + SECONDS
    done = 0

    async def one(n: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rsplit(":", 1)[1]))
        at = n
        while clock.monotonic_s() < until:
            at += 1
            writer.write(
                f"GET {paths[at % len(paths)]} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {house.key}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{paths[at % len(paths)]}: {head[:60]!r}")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert found is not None
            await reader.readexactly(int(found[1]))
            done += 1
        writer.close()

    await asyncio.gather(*(one(n) for n in range(CLIENTS)))
    return done / SECONDS


def pgbench(house: House, sql: str) -> float:
    """The same statement by pgbench, prepared, over as many connections."""
    script = house.folder / "bench.sql"
    script.write_text(sql + ";\n")
    words = [str(house.bin / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(int(SECONDS)), "-f",
             str(script), house.owner_url]  # fmt: skip
    said = subprocess.run(words, capture_output=True, text=True, check=True, env={"PATH": os.defpath}).stdout
    found = re.search(r"tps = ([\d.]+)", said)
    assert found is not None
    return float(found[1])


async def timed(what: Callable[[], Awaitable[object]]) -> float:
    """Seconds that it takes."""
    started = clock.monotonic_s()
    await what()
    return clock.monotonic_s() - started


async def bare_copy(house: House) -> None:
    """COPY of the same orders, customers and identities into tables with the same indexes."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        house.owner_url, server_settings={"search_path": "public, data, ext"}
    )
    await con.execute(BARE)
    spaces = house.workspace_id
    for table, source, columns in (
        ("bench_customer", "data.customer", "workspace_id, id, source, external_id, email, name, status"),
        (
            "bench_identity",
            "data.customer_identity",
            "workspace_id, id, customer_id, kind, value, key, quality, matched_by",
        ),
        (
            "bench_order",
            'data."order"',
            "workspace_id, id, source, external_id, customer_id, status, currency, total, placed_at",
        ),
    ):
        rows = [tuple(r) for r in await con.fetch(f"select {columns} from {source} where workspace_id = $1", spaces)]
        await con.copy_records_to_table(table, records=rows, columns=columns.split(", "), schema_name="public")
    await con.close()


async def main() -> None:
    """Runs all and prints the table."""
    rows = int(os.environ.get("N", "30000"))
    out = Table(
        "what", "ours", "beside", "ratio", title=f"{rows:,} customers, an order each; 2 shared cores: ratios count"
    )

    def add(what: str, ours: float, beside: float, unit: str, name: str) -> None:
        out.add_row(what, f"{ours:,.0f} {unit}", f"{beside:,.0f} {unit} {name}", f"{ours / beside:.3f}")

    wiring.load()
    async with open_house() as house:
        file = orders_file(house.folder, rows)
        async with house.database.tx(house.workspace_id) as tx:
            id = await imports.begin(
                tx, OrderImportOptions(source="SHOPIFY"), file.name, tables.facts(file), None
            )
        took = await timed(lambda: imports.run(house.database, house.workspace_id, id, file, actor="cli"))
        copied = await timed(lambda: bare_copy(house))
        add("orders imported, all of new customers", rows / took, rows / copied, "rows/s", "COPY with the same indexes")

        async def drain() -> None:
            while True:
                async with house.database.tx(house.workspace_id) as tx:
                    if not await analytics.refresh(tx):
                        return

        out.add_row("customers recounted", f"{rows / await timed(drain):,.0f} rows/s", "", "")
        async with httpx.AsyncClient(base_url=house.url, headers={"Authorization": f"Bearer {house.key}"}) as client:
            found = (await client.get("/api/customers?limit=200")).json()["data"]
        ids: list[UUID] = [UUID(c["id"]) for c in found]
        where = f"where workspace_id = '{house.workspace_id}'"
        one = await asyncio.to_thread(pgbench, house, f"select * from data.customer {where} and id = '{ids[3]}'")
        add("GET one customer", await load(house, [f"/api/customers/{i}" for i in ids]), one, "/s", "pgbench")
        page = await asyncio.to_thread(
            pgbench, house, f"select * from data.customer {where} order by created_at desc, id desc limit 25"
        )
        add("list of 25 customers", await load(house, ["/api/customers?limit=25"]), page, "/s", "pgbench")
        out.add_row("search, rare term", f"{await load(house, ['/api/customers?search=6b86b2']):,.0f} /s", "", "")
        out.add_row("search, common term", f"{await load(house, ['/api/customers?search=ann']):,.0f} /s", "", "")
        out.add_row("server's peak memory", f"{peak_mib(house.server_pid):,.0f} MiB", "", "")
    Console(file=sys.stdout, width=120).print(out)


if __name__ == "__main__":
    asyncio.run(main())
