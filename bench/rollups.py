"""Roll-ups: made anew, kept with each order, and answered from, beside the same counted from the orders."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec

from bench.house import House, new_workspace
from supover.analytics import cohorts, rollups
from supover.kit import clock

A_CUSTOMER = 5
"""Orders of each customer on average."""
LATE = 5_000
ANSWERS = 200
PEER_NEEDS = ("duckdb==2.0.0",)

CUSTOMERS = """
    insert into data.customer (workspace_id, id, source, name)
    select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'SEED', 'Buyer' from generate_series(1, $2) i"""
# Three years, from the day $5 on; half of the orders are those of a tenth of the customers, and most come soon after the first.
ORDERS = """
    insert into data."order" (workspace_id, id, source, external_id, customer_id, status, currency, total, exchange_rate, placed_at,
           shipping_address)
    select $1, ('00000001-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, (array['SHOPIFY', 'ETSY', 'TIKTOK_SHOP'])[1 + c % 3],
           'o' || i, ('00000000-0000-7000-8000-' || lpad(to_hex(c), 12, '0'))::uuid, 'delivered', 'USD',
           (500 + (random() * 20000)::integer) / 100.0, 1,
           timestamptz '2023-01-01' + greatest($5, (hashint4(c) & 1023) * 0.7 + random() * random()
                                               * (1095 - (hashint4(c) & 1023) * 0.7)) * interval '1 day' + random() * interval '1 hour',
           (array['{"country": "US", "state": "CA"}', '{"country": "DE"}', '{"country": "GB"}'])[1 + c % 3]::jsonb
      from (select i, 1 + least($4 - 1, floor($4 * power(random(), 2.2)))::integer as c from generate_series($2::integer, $3) i) as n"""
CHUNK = 500_000
# What the month's cells of everybody are, in one question of the orders.
CELLS = """
    with months as (
        select o.customer_id, date_trunc('month', o.placed_at at time zone 'UTC')::date as month, sum(o.net_value) as net,
               count(*) as orders
          from data."order" o
         where o.workspace_id = $1 and o.status = any('{confirmed,processing,shipped,delivered,returned}')
           and o.exchange_rate is not null
         group by 1, 2),
    firsts as (select m.customer_id, min(m.month) as cohort from months m group by 1)
    select f.cohort::text, m.month::text, count(*), sum(m.orders)::bigint, sum(m.net)::text
      from months m join firsts f on f.customer_id = m.customer_id
     group by 1, 2
     order by 1, 2"""
KEPT = """
    select c.cohort::text, c.period::text, c.customers::bigint, c.orders::bigint, c.net::text
      from data.cohort_cell c
     where c.workspace_id = $1 and c.grain = 'month' and c.dimension = 'all'
     order by 1, 2"""
SENT = """
    select customer_id, (placed_at at time zone 'UTC')::date, net_value from data."order"
     where workspace_id = $1 and status <> 'cancelled'"""

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


class Measured(msgspec.Struct, frozen=True):
    """What a run found; `answers_ms` are a cohort matrix of 36 months, statement and Python."""

    orders: int
    days: int
    cells: int
    rebuild_s: float
    query_s: float
    duckdb_s: float | None
    duckdb: str
    answer_p50_ms: float
    answer_p95_ms: float
    segment_ms: float
    upkeep_us: float


async def measure(house: House, customers: int) -> Measured:
    """A workspace of its own with five orders a customer, or $ORDERS in all. Raises AssertionError where counts differ."""
    orders = int(os.environ.get("ORDERS", str(A_CUSTOMER * customers)))
    customers = max(1, orders // A_CUSTOMER)
    workspace_id, _ = await new_workspace(house.database)
    con: Connection = await asyncpg.connect(house.owner_url, server_settings={"jit": "off", "statement_timeout": "0"})
    try:
        await _fill(con, workspace_id, customers, orders)
        started = clock.monotonic_s()
        async with house.database.tx(workspace_id) as tx:
            days = await rollups.rebuild(tx)
        rebuild_s = clock.monotonic_s() - started
        await con.execute("vacuum analyze data.customer_day, data.sales_day, data.cohort_cell")
        started = clock.monotonic_s()
        counted = await con.fetch(CELLS, workspace_id)
        query_s = clock.monotonic_s() - started
        kept = await con.fetch(KEPT, workspace_id)
        assert _told(kept) == _told(counted), "a rebuild and the orders differ"
        peer = await asyncio.to_thread(_duckdb, house.folder, await _sent(con, workspace_id, house.folder))
        if peer is not None:
            assert _told(peer["cells"]) == _told(counted), "DuckDB and the orders differ"
        answers = [await _answer(house, workspace_id, None) for _ in range(ANSWERS)]
        upkeep_s = await _late(con, house, workspace_id, customers, orders)
        assert _told(await con.fetch(KEPT, workspace_id)) == _told(await con.fetch(CELLS, workspace_id)), (
            "what is kept differs"
        )
        cells = await con.fetchval("select count(*) from data.cohort_cell where workspace_id = $1", workspace_id)
        return Measured(
            orders, days, cells, rebuild_s, query_s, None if peer is None else peer["seconds"],
            "could not be installed" if peer is None else f"DuckDB {peer['version']}", statistics.median(answers) * 1000,
            statistics.quantiles(answers, n=20)[-1] * 1000, await _answer(house, workspace_id, "US") * 1000,
            upkeep_s / LATE * 1e6,
        )  # fmt: skip
    finally:
        await con.close()


def _told(rows: Any) -> list[tuple[str, str, int, int, Decimal]]:
    return [(cohort, period, customers, orders, Decimal(net)) for cohort, period, customers, orders, net in rows]


async def _fill(con: "Connection", workspace_id: UUID, customers: int, orders: int) -> None:
    # What the rows refer to is there: a foreign key that is looked up ten million times measures nothing.
    await con.execute("set session_replication_role = replica")
    await con.execute("select setseed(0.5)")
    for start in range(1, customers + 1, CHUNK):
        await con.execute(
            CUSTOMERS.replace("(1, $2)", f"({start}, $2)"), workspace_id, min(start + CHUNK - 1, customers)
        )
    for start in range(1, orders + 1, CHUNK):
        await con.execute(ORDERS, workspace_id, start, min(start + CHUNK - 1, orders), customers, 0.0)
    await con.execute("set session_replication_role = origin")
    await con.execute('vacuum analyze data.customer, data."order"')


async def _sent(con: "Connection", workspace_id: UUID, folder: Path) -> Path:
    file = folder / "orders-of-days.csv"
    await con.copy_from_query(SENT.replace("$1", f"'{workspace_id}'"), output=file, format="csv")
    return file


def _duckdb(folder: Path, file: Path) -> Any:
    """What DuckDB, in an environment of its own, counts; None where it cannot be had. $DUCKDB_PYTHON is one that has it."""
    python = os.environ.get("DUCKDB_PYTHON")
    if python is None:
        home = folder / "duckdb"
        python = str(home / "bin" / "python")
        made = subprocess.run([sys.executable, "-m", "venv", str(home)], capture_output=True)
        if made.returncode == 0:
            made = subprocess.run([python, "-m", "pip", "install", "-q", *PEER_NEEDS], capture_output=True)
        if made.returncode != 0:
            return None
    script = Path(__file__).with_name("duckdb_peer.py")
    said = subprocess.run([python, str(script), str(file)], capture_output=True, text=True, check=True).stdout
    return json.loads(said)


async def _answer(house: House, workspace_id: UUID, country: str | None) -> float:
    """Seconds for a matrix of months; with a country also of a channel, which no cell tells."""
    started = clock.monotonic_s()
    async with house.database.reader(workspace_id, search=country is not None) as db:
        await cohorts.matrix(
            db, period="month", metric="retention", since=None, until=None, channel=country and "ETSY", country=country, segment=None
        )  # fmt: skip
    return clock.monotonic_s() - started


async def _late(con: "Connection", house: House, workspace_id: UUID, customers: int, orders: int) -> float:
    """Seconds to keep the roll-ups of a batch of customers right who have ordered once more."""
    last = orders + LATE
    await con.execute(ORDERS, workspace_id, orders + 1, last, customers, 1090.0)
    who = await con.fetch(
        'select distinct customer_id from data."order" where workspace_id = $1 and external_id = any($2::text[])',
        workspace_id,
        [f"o{i}" for i in range(orders + 1, last + 1)],
    )
    started = clock.monotonic_s()
    async with house.database.tx(workspace_id) as tx:
        await rollups.keep(tx, [row[0] for row in who])
    return clock.monotonic_s() - started
