"""The limits of the machine: the same rows by pgbench and by bare COPY, into the same tables."""

import asyncio
import os
import re
import subprocess

import asyncpg

from bench.house import House
from bench.load import CLIENTS

SECONDS = 5
# With the indexes, defaults and generated columns of the house's tables, without foreign keys.
BARE = """
    create table bench_order (like data."order" including indexes including defaults including generated);
    create table bench_customer (like data.customer including indexes including defaults including generated);
    create table bench_identity (like data.customer_identity including indexes including defaults);
    create table bench_decision (like data.order_decision including indexes including defaults);
    create table bench_event (like data.event_log including indexes including defaults);
    create table bench_message (workspace_id uuid, id uuid, body bytea, received_at timestamptz default now(),
                                primary key (workspace_id, id))"""
COPIED = (
    ("bench_customer", "data.customer", "workspace_id, id, source, external_id, email, name, status"),
    (
        "bench_identity",
        "data.customer_identity",
        "workspace_id, id, customer_id, kind, source, value, key, quality, matched_by",
    ),
    (
        "bench_order",
        'data."order"',
        "workspace_id, id, source, external_id, customer_id, status, currency, total, placed_at, email, name, intake_hash",
    ),
    ("bench_decision", "data.order_decision", "workspace_id, order_id, id, customer_id, method, evidence"),
    ("bench_event", "data.event_log", "workspace_id, id, kind, at, customer_id, order_id, actor, origin, data"),
)


def pgbench(house: House, sql: str) -> float:
    """One statement over and over, prepared, by as many connections as the load has; transactions a second."""
    script = house.folder / "bench.sql"
    script.write_text(sql + ";\n")
    words = [str(house.bin / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(SECONDS), "-f",
             str(script), house.owner_url]  # fmt: skip
    said = subprocess.run(words, capture_output=True, text=True, check=True, env={"PATH": os.defpath}).stdout
    found = re.search(r"tps = ([\d.]+)", said)
    assert found is not None
    return float(found[1])


async def tables(house: House) -> None:
    """Makes the bare tables."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        house.owner_url, server_settings={"search_path": "public, data, ext"}
    )
    await con.execute(BARE)
    await con.close()


async def copy(house: House) -> float:
    """COPY of all that an import wrote into bare tables with the same indexes; seconds."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        house.owner_url, server_settings={"search_path": "public, data, ext"}
    )
    took = 0.0
    for table, source, columns in COPIED:
        rows = [
            tuple(r)
            for r in await con.fetch(f"select {columns} from {source} where workspace_id = $1", house.workspace_id)
        ]
        started = asyncio.get_running_loop().time()
        await con.copy_records_to_table(table, records=rows, columns=columns.split(", "), schema_name="public")
        took += asyncio.get_running_loop().time() - started
    await con.close()
    return took
