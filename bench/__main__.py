"""`make bench`: what the house does beside what the machine can do, in one run; the table goes to docs/benchmarks.md.

`N=1000000 make bench` sets the customers (100,000 unless told: about twelve minutes on two cores). `PARTS=files,duplicates`
measures only those (of PARTS below), shows the table, and leaves the page alone. Figures of different runs and machines cannot
be compared; ratios within a run can.
"""

import asyncio
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from bench import (
    duplicates,
    exports,
    load,
    machine,
    overload,
    peers,
    people,
    prediction,
    rollups,
    screens,
    seed,
    segments,
)
from bench import imports as files
from bench.house import House, drained, new_workspace, open_house, worker
from bench.load import Post
from supover import wiring
from supover.imports import commands as imports
from supover.imports.model import OrderImportOptions
from supover.kit import clock, tables
from supover.segments import marks

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
IMPORTED = 30_000
CREATED = 8_000
LATE_ORDERS = 10_000
STEADY_A_SECOND = 500
STEADY_S = 15
RARE_TERMS = 200
PREDICTED = 1_000_000


class Row(msgspec.Struct, frozen=True):
    """One line of the table; `goal` is what the design asks for, `met` whether this run reached it."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


class Report:
    """The lines so far, shown as they come."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.console = Console(file=sys.stderr, width=140)

    def add(self, row: Row) -> None:
        """One more line."""
        self.rows.append(row)
        self.console.print(f"{row.what}: {row.ours}  {row.beside}  {row.ratio}  {row.goal}", highlight=False)

    @contextmanager
    def step(self, what: str) -> Generator[None]:
        """Says what is being done."""
        self.console.print(f"[dim]{what} …[/dim]", highlight=False)
        yield


def beside(what: str, ours: float, limit: float, unit: str, name: str, least: float | None = None) -> Row:
    """A rate beside its limit; `least` is the ratio that the design asks for."""
    ratio = ours / limit
    goal = "" if least is None else f"≥ {least:.2f}"
    met = None if least is None else ratio >= least
    return Row(what, f"{ours:,.0f} {unit}", f"{limit:,.0f} {unit} {name}", f"{ratio:.3f}", goal, met)


async def order_import(house: House, report: Report) -> None:
    """A file of orders, each of a new customer, beside COPY of all the rows that it wrote."""
    file = seed.orders_file(house.folder, IMPORTED)
    async with house.database.tx(house.workspace_id, actor="cli") as tx:
        id = await imports.begin(tx, OrderImportOptions(source="SHOPIFY"), file.name, tables.facts(file), None)
    started = clock.monotonic_s()
    await imports.run(house.database, house.workspace_id, id, file, actor="cli")
    rate = IMPORTED / (clock.monotonic_s() - started)
    report.add(
        Row(
            "orders imported, each of a new customer",
            f"{rate:,.0f} rows/s",
            goal="≥ 12,000 rows/s",
            met=rate >= 12_000,
        )
    )
    copied = IMPORTED / await peers.copy(house)
    report.add(beside("  the same", rate, copied, "rows/s", "COPY, same tables and indexes, nothing asked"))


async def customer_files(house: House, report: Report, customers: int) -> None:
    """A file of new customers with address and tags, beside COPY of the rows it becomes; all of a workspace sent, beside psql."""
    taken = await files.measure(house, customers)
    ours, copied = taken.customers / taken.seconds, taken.customers / taken.copy_seconds
    name = f"COPY of the {taken.rows:,} rows, same tables and indexes, nothing asked"
    report.add(beside("customers imported, with address and tags", ours, copied, "/s", name))
    report.add(Row("  the importing process's peak memory", f"{taken.peak_mib:,.0f} MiB"))
    sent = await exports.measure(house, customers)
    ours, theirs = sent.customers / sent.seconds, sent.customers / sent.psql_seconds
    report.add(beside(f"customers exported, {sent.bytes / 2**20:,.0f} MiB", ours, theirs, "/s", "psql's \\copy"))


async def reads(house: House, report: Report, customers: int) -> None:
    """GET one, a list, and searches, beside pgbench on the same database."""
    headers = {"Authorization": f"Bearer {house.key}"}
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=60) as client:
        found = (await client.get("/api/customers?limit=200")).json()["data"]
        ids = [c["id"] for c in found]
        where = f"where workspace_id = '{house.workspace_id}'"
        one = await load.get(house.url, house.key, [f"/api/customers/{i}" for i in ids], house.folder, peers.SECONDS)
        limit = await asyncio.to_thread(
            peers.pgbench, house, f"select * from data.customer {where} and id = '{ids[3]}'"
        )
        report.add(beside("GET one customer", one.rate, limit, "/s", "pgbench, one row by its key", 0.10))
        many = await load.get(house.url, house.key, ["/api/customers?limit=25"], house.folder, peers.SECONDS)
        limit = await asyncio.to_thread(
            peers.pgbench, house, f"select * from data.customer {where} order by created_at desc, id desc limit 25"
        )
        report.add(beside("list of 25 customers", many.rate, limit, "/s", "pgbench, 25 rows by an index", 0.12))
        terms = {
            "a rare term": [f"/api/customers?search={await _part_of(house, n)}" for n in _spread(customers)],
            "a common term": [f"/api/customers?search={name.lower()}" for name in seed.FIRST],
            "two letters": [f"/api/customers?search={name[:2].lower()}" for name in seed.FIRST],
        }
        for what, paths in terms.items():
            alone = await load.get(house.url, house.key, paths, house.folder, peers.SECONDS, clients=1)
            together = await load.get(house.url, house.key, paths, house.folder, peers.SECONDS)
            report.add(
                Row(
                    f"search of {what} among {customers:,}",
                    f"p95 {alone.p95_ms:.1f} ms",
                    f"{together.rate:,.0f}/s by {load.CLIENTS} clients, p99 {together.p99_ms:.0f} ms",
                    goal="p95 < 50 ms",
                    met=alone.p95_ms < 50,
                )
            )
        first = await _paging(client, None)
        deep = await _paging(client, await _deep_cursor(client))
        report.add(
            Row(
                "the deepest page of 25 beside the first",
                f"{deep * 1000:.1f} ms",
                f"{first * 1000:.1f} ms the first",
                f"{deep / first:.2f}",
                "≤ 1.20",
                deep / first <= 1.2,
            )
        )


def _spread(customers: int) -> list[int]:
    return [n * customers // RARE_TERMS for n in range(RARE_TERMS)]


async def _part_of(house: House, n: int) -> str:
    async with house.database.reader(house.workspace_id) as db:
        return await db.value(
            "select right(name, 7) from customer where workspace_id = $1 and search like '% seed' || $2 || '@%' limit 1",
            str(n),
        )


async def _paging(client: httpx.AsyncClient, cursor: str | None) -> float:
    took: list[float] = []
    for _ in range(60):
        started = clock.monotonic_s()
        answer = await client.get("/api/customers", params={"sort": "name"} | ({"cursor": cursor} if cursor else {}))
        answer.raise_for_status()
        took.append(clock.monotonic_s() - started)
    return statistics.median(took)


async def _deep_cursor(client: httpx.AsyncClient) -> str:
    """The cursor of the last page but one, by turning every page."""
    cursors: list[str] = []
    while True:
        asked = {"sort": "name", "limit": "200"} | ({"cursor": cursors[-1]} if cursors else {})
        following = (await client.get("/api/customers", params=asked)).json()["nextCursor"]
        if following is None:
            return cursors[-2]
        cursors.append(following)


async def too_much(house: House, report: Report) -> None:
    """Three times the peak's requests: how many are answered all the same, and whether the peak is reached afterwards."""
    found = await overload.measure(house.url, house.key, "/api/customers")
    report.add(
        Row(
            "lists answered under three times the peak's load",
            f"{found.goodput:,.0f} /s",
            f"{found.peak:,.0f} /s the peak; {found.refused:,.0f} refused, {found.failed:,} failed",
            f"{found.goodput_share:.2f}",
            "≥ 0.80",
            found.goodput_share >= 0.8 and not found.failed,
        )
    )


async def writes(house: House, report: Report) -> None:
    """Customers created, orders by the API and by webhook, beside pgbench inserting one row a transaction."""
    headers = {"Authorization": f"Bearer {house.key}"}
    bodies = [Post("/api/customers", headers, seed.customer_body(n)) for n in range(CREATED)]
    created = await load.post(house.url, bodies)
    insert = (
        f"insert into bench_customer (workspace_id, id, source, email, name) values ('{house.workspace_id}', gen_random_uuid(),"
        " 'API', gen_random_uuid() || '@example.com', 'Anna ' || gen_random_uuid())"
    )
    limit = await asyncio.to_thread(peers.pgbench, house, insert)
    report.add(_goal(beside("customers created", created.rate, limit, "/s", "pgbench, one row"), created.rate, 1_500))
    bodies = [Post("/api/orders", headers, seed.order_body(n)) for n in range(CREATED)]
    taken = await load.post(house.url, bodies)
    report.add(beside("orders by the API, taken in", taken.rate, limit, "/s", "pgbench, one row of a customer"))


def _goal(row: Row, found: float, least: float) -> Row:
    return msgspec.structs.replace(row, goal=f"≥ {least:,.0f}/s", met=found >= least)


async def connect(house: House, key: str) -> tuple[str, str, str]:
    """A connected shop: where its deliveries go, its name and its secret."""
    secret = uuid4().hex
    shop = f"{secret[:8]}.myshopify.com"
    async with httpx.AsyncClient(base_url=house.url, headers={"Authorization": f"Bearer {key}"}) as client:
        answer = await client.post("/api/channels", json={"platform": "SHOPIFY", "shop": shop, "secret": secret})
        answer.raise_for_status()
        return f"/hooks/channels/{answer.json()['id']}", shop, secret


async def deliveries(house: House, report: Report) -> None:
    """Webhooks: how many are kept a second, how quick a backlog is worked off, and how late a figure is at a steady rate."""
    path, shop, secret = await connect(house, house.key)
    posts = [Post(path, w.headers, w.body) for w in seed.webhooks(secret, shop, 2 * CREATED)]
    kept = await load.post(house.url, posts)
    insert = (
        f"insert into bench_message (workspace_id, id, body) values ('{house.workspace_id}', gen_random_uuid(),"
        f" decode(repeat('ab', {len(posts[0].body)}), 'hex'))"
    )
    limit = await asyncio.to_thread(peers.pgbench, house, insert)
    report.add(_goal(beside("orders by webhook, kept", kept.rate, limit, "/s", "pgbench, one row"), kept.rate, 1_500))
    started = clock.monotonic_s()
    words = [sys.executable, "-m", "supover.cli", "worker", "--drain"]
    await asyncio.to_thread(subprocess.run, words, env=house.environment, check=True, capture_output=True)
    rate = len(posts) / (clock.monotonic_s() - started)
    report.add(
        Row("their backlog, worked off and counted", f"{rate:,.0f} orders/s", goal="≥ 1,000/s", met=rate >= 1_000)
    )
    # In a workspace of its own, so that each order's customer can be told by its number.
    workspace_id, key = await new_workspace(house.database)
    path, shop, secret = await connect(house, key)
    count = STEADY_A_SECOND * STEADY_S
    posts = [Post(path, w.headers, w.body) for w in seed.webhooks(secret, shop, count, a_buyer=1)]
    with worker(house) as pid:
        await asyncio.sleep(2)
        began = clock.now()
        steady = await load.post_steadily(house.url, posts, STEADY_A_SECOND)
        late = await _lateness(house, workspace_id, began, count)
        report.add(
            Row(
                f"webhooks at {STEADY_A_SECOND}/s: answered",
                f"p99 {steady.p99_ms:.0f} ms",
                goal="p99 < 200 ms",
                met=steady.p99_ms < 200,
            )
        )
        p99 = late[int(len(late) * 0.99)]
        report.add(
            Row(
                "  until the customer's value is right",
                f"p99 {p99:.2f} s",
                f"p50 {statistics.median(late):.2f} s",
                goal="p99 < 2 s",
                met=p99 < 2,
            )
        )
        report.add(Row("worker's peak memory", f"{machine.peak_mib(pid):,.0f} MiB"))


COUNTED = """
    select substr(c.external_id, 4)::integer as n, m.refreshed_at
      from customer c
      join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id and m.order_count = 1
     where c.workspace_id = $1"""


async def _lateness(house: House, workspace_id: UUID, began: datetime, count: int) -> list[float]:
    """Seconds from when each delivery was due to when its customer's figures were counted, in order."""
    until = clock.monotonic_s() + 60
    while True:
        async with house.database.reader(workspace_id) as db:
            rows = await db.rows(COUNTED)
        if len(rows) == count:
            return sorted((at - began).total_seconds() - n / STEADY_A_SECOND for n, at in rows)
        if clock.monotonic_s() > until:
            raise SystemExit(f"After a minute {len(rows)} of {count} orders are counted.")
        await asyncio.sleep(0.5)


async def orders(house: House, report: Report, customers: int) -> None:
    """Orders imported, recounted, read, sent by programs and channels, asked for by segments; each builds on those before."""
    with report.step(f"importing {IMPORTED:,} orders"):
        await order_import(house, report)
    with report.step(f"seeding {customers:,} customers with orders"):
        await seed.customers(house.owner_url, house.workspace_id, customers)
    started = clock.monotonic_s()
    marks = await drained(house.database, house.workspace_id)
    report.add(Row("customers recounted", f"{marks / (clock.monotonic_s() - started):,.0f}/s"))
    await segments.settle(house)
    await segments.evaluate(house)
    with report.step("reading"):
        await reads(house, report, customers)
    with report.step("asking for three times as much as can be answered"):
        await too_much(house, report)
    with report.step("writing"):
        await writes(house, report)
    with report.step("receiving webhooks"):
        await deliveries(house, report)
    with report.step("seeding histories: three orders a customer"):
        await seed.histories(house.owner_url, house.workspace_id)
    with report.step("asking for segments"):
        await wishes(house, report)
    report.add(Row("server's peak memory, all processes", f"{machine.peak_mib(house.server_pid):,.0f} MiB"))


async def wishes(house: House, report: Report) -> None:
    """Filters asked over long histories, all segments looked at wholly, and again after ten thousand orders."""
    await segments.settle(house)
    async with house.database.tx(house.workspace_id, actor="system") as tx:
        await marks.want_all(tx)
    number, took = await segments.evaluate(house)
    report.add(
        Row(f"{number} segments evaluated over everybody", f"{took:.1f} s", f"{took / max(number, 1):.2f} s each")
    )
    for one in await segments.previews(house):
        report.add(
            Row(
                f"preview: {one.name}",
                f"{one.seconds:.2f} s",
                f"{one.count:,} customers",
                goal="< 1 s",
                met=one.seconds < 1,
            )
        )
    took = await segments.after_orders(house, LATE_ORDERS)
    report.add(
        Row(
            f"figures and segments right again after {LATE_ORDERS:,} orders",
            f"{took:.1f} s",
            goal="< 5 s",
            met=took < 5,
        )
    )


async def pairs(house: House, report: Report, customers: int) -> None:
    """A scan of made customers, and what is found in labelled sets, beside Splink."""
    python = await asyncio.to_thread(duplicates.splink, house.folder)
    workspace_id, _ = await new_workspace(house.database)
    truth = await duplicates.load(house, workspace_id, customers)
    matched = await duplicates.match(house, workspace_id, list(truth))
    report.add(
        Row(
            f"who else has one customer's contacts, among {customers:,}",
            f"p50 {matched.p50_ms:.2f} ms, p99 {matched.p99_ms:.2f} ms",
            f"p99 {matched.nothing_p99_ms:.2f} ms a question for nothing",
            goal="p99 ≤ 1 ms",
            met=matched.p99_ms <= 1,
        )
    )
    scanned = await duplicates.scan(house, workspace_id, truth)
    peer = ""
    if python is None:
        peer = "Splink could not be installed"
    else:
        rows = [duplicates.made_row(one) for one in people.made(customers)]
        true = duplicates.pairs_of([row.truth for row in rows])
        theirs, _ = await asyncio.to_thread(duplicates.beside, python, house.folder, rows, true)
        peer = f"{theirs.seconds:.0f} s, {theirs.peak_mib:,.0f} MiB Splink (P {theirs.precision:.3f}, R {theirs.recall:.3f})"
    limit_s = max(6.0, 60 * customers / 1_000_000)
    report.add(
        Row(
            f"{customers:,} customers scanned for duplicates",
            f"{scanned.seconds:.0f} s, {scanned.peak_mib:,.0f} MiB (P {scanned.precision:.3f}, R {scanned.recall:.3f})",
            peer,
            goal=f"≤ {limit_s:.0f} s, ≤ 1,024 MiB",
            met=scanned.seconds <= limit_s and scanned.peak_mib <= 1024,
        )
    )
    folder = duplicates.labelled()
    if folder is None:
        report.add(Row("duplicates in labelled sets", "no sets: say where they are by DUPLICATES"))
        return
    for name in duplicates.SETS:
        rows = duplicates.read(folder, name)
        true = duplicates.pairs_of([row.truth for row in rows])
        ours, exact = await duplicates.quality(house, rows)
        theirs = None
        if python is not None:
            _, found = await asyncio.to_thread(duplicates.beside, python, house.folder, rows, true)
            theirs = duplicates.quality_of(found, true)
        report.add(Row(f"{name}: pairs", str(ours.pairs), f"{theirs.pairs} Splink" if theirs else ""))
        report.add(Row("  clusters", str(ours.clusters), f"{theirs.clusters} Splink" if theirs else ""))
        if exact.recall:
            report.add(Row("  automatic", str(exact)))


async def reports(house: House, report: Report, customers: int) -> None:
    """Roll-ups of five orders a customer, or of $ORDERS in all, made anew, kept and answered from."""
    found = await rollups.measure(house, customers)
    of = f"of {found.orders:,} orders"
    report.add(
        Row(
            f"roll-ups {of} made anew: {found.days:,} days, {found.cells:,} cells",
            f"{found.rebuild_s:.1f} s",
            f"{found.query_s:.1f} s PostgreSQL, the months' cells alone, from the orders",
            f"{found.rebuild_s / found.query_s:.2f}",
        )
    )
    if found.duckdb_s is None:
        report.add(Row("  the months' cells alone", "", f"DuckDB {found.duckdb}"))
    else:
        report.add(
            Row("  the months' cells alone", "", f"{found.duckdb_s:.2f} s {found.duckdb}, from a table of its own")
        )
    report.add(
        Row(
            "cohorts of 36 months, from cells",
            f"p95 {found.answer_p95_ms:.1f} ms",
            f"p50 {found.answer_p50_ms:.1f} ms; of a channel and a country at once, from days, {found.segment_ms:,.0f} ms",
            goal="p95 < 5 ms",
            met=found.answer_p95_ms < 5,
        )
    )
    report.add(
        Row("roll-ups kept, a late order", f"{found.upkeep_us:.0f} us", f"in batches of {rollups.LATE:,} orders")
    )


async def predictions(house: House, report: Report, customers: int) -> None:
    """Simulated customers fitted and scored beside lifetimes, in turns: a million unless N says so."""
    count = customers if "N" in os.environ else PREDICTED
    file = house.folder / "predicted.npz"
    await asyncio.to_thread(prediction.customers, count, file)
    python = await asyncio.to_thread(prediction.peer, house.folder)
    before = await asyncio.to_thread(prediction.ours, file)
    if python is None:
        report.add(
            Row(f"{count:,} customers fitted and scored", f"{before.seconds:.2f} s", "lifetimes could not be installed")
        )
        return
    theirs = await asyncio.to_thread(prediction.theirs, python, file)
    after = await asyncio.to_thread(prediction.ours, file)
    took = (before.seconds + after.seconds) / 2
    ratio = theirs.seconds / took
    off = max(abs(a / b - 1) for a, b in zip(after.parameters, theirs.parameters, strict=True))
    report.add(
        Row(
            f"{count:,} customers fitted and scored",
            f"{took:.2f} s",
            f"{theirs.seconds:.1f} s lifetimes",
            f"{ratio:.0f}",
            "≥ 50",
            ratio >= 50,
        )
    )
    said = f"off by {off:.1e} at most; orders expected {after.expected / theirs.expected - 1:+.1e}"
    report.add(Row("  their parameters", said, goal="≤ 1e-4", met=off <= 1e-4))


async def looks(house: House, report: Report, customers: int) -> None:
    """The list of customers, a profile and the insights as a browser gets them."""
    async with house.database.reader(house.workspace_id) as db:
        there = await db.value("select count(*) from customer where workspace_id = $1")
    if there < customers:
        with report.step(f"seeding {customers:,} customers with orders"):
            await seed.customers(house.owner_url, house.workspace_id, customers)
            await seed.histories(house.owner_url, house.workspace_id)
            await drained(house.database, house.workspace_id)
    found = await screens.measure(house)
    report.add(
        Row(
            f"page of the list among {customers:,} customers",
            f"p95 {found.list_p95_ms:.0f} ms",
            f"p50 {found.list_p50_ms:.0f} ms; the slowest p50 {found.slowest_list_ms:.0f} ms, {found.slowest_list}",
            goal="p95 < 60 ms",
            met=found.list_p95_ms < 60,
        )
    )
    if found.stolen is not None:
        report.add(Row("  the cores, meanwhile with other machines", f"{found.stolen:.0%}"))
    if found.list_spent_ms:
        mean = statistics.mean(found.list_spent_ms.values())
        most = max(found.list_spent_ms, key=found.list_spent_ms.__getitem__)
        spent = found.list_spent_ms[most]
        told = f"{mean:.0f} ms of all kinds; the most for {most}"
        report.add(
            Row(
                "  the same, server's and database's processor time",
                f"{spent:.0f} ms",
                told,
                goal="< 60 ms",
                met=spent < 60,
            )
        )
    ratio = found.busy_profile_ms / found.profile_ms
    report.add(
        Row(
            f"profile of a customer with {screens.MANY:,} orders",
            f"{found.busy_profile_ms:.0f} ms",
            f"{found.profile_ms:.0f} ms with ten",
            f"{ratio:.2f}",
            "≤ 1.20",
            ratio <= 1.2,
        )
    )
    for path, ms in found.insights_ms.items():
        report.add(Row(f"page {path}", f"p50 {ms:.0f} ms"))


PARTS: Mapping[str, Callable[[House, Report, int], Awaitable[None]]] = {
    "orders": orders,
    "files": customer_files,
    "duplicates": pairs,
    "analytics": reports,
    "prediction": predictions,
    "screens": looks,
}


async def measure(report: Report, customers: int, parts: Iterable[str]) -> None:
    """The parts, one after the other."""
    wiring.load()
    async with open_house() as house:
        await peers.tables(house)
        for part in parts:
            with report.step(f"{part}: {customers:,} customers"):
                await PARTS[part](house, report, customers)


HEAD = """# Benchmarks

What the house does beside what the machine can do, measured in one run by `make bench`, which writes this page. Client,
server, worker and database share the cores. Compare ratios, never figures of different machines.

"""


def page(rows: Sequence[Row], customers: int) -> str:
    """The page, with the machine and the commit that it was measured on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines = [
        f"{customers:,} customers with an order each; {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python"
        f" {platform.python_version()}, PostgreSQL 18, {clock.now().date()}, commit {commit or 'unknown'}.",
        "",
        "| what | ours | beside | ratio | goal | met |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "no"
        lines.append(f"| {row.what.strip()} | {row.ours} | {row.beside} | {row.ratio} | {row.goal} | {met} |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Measures, shows the table, and writes the page."""
    customers = int(os.environ.get("N", "100000"))
    parts = [part for part in os.environ.get("PARTS", "").split(",") if part]
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"PARTS: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    report = Report()
    asyncio.run(measure(report, customers, parts or PARTS))
    out = Table("what", "ours", "beside", "ratio", "goal", "met")
    for row in report.rows:
        out.add_row(row.what, row.ours, row.beside, row.ratio, row.goal, {None: "", True: "yes", False: "no"}[row.met])
    Console(file=sys.stdout, width=140).print(out)
    if parts:
        return
    kept = PAGE.read_text("utf-8") if PAGE.exists() else ""
    _, mark, notes = kept.partition("\n## ")
    PAGE.write_text(page(report.rows, customers) + (f"{mark}{notes}" if mark else ""), "utf-8")


if __name__ == "__main__":
    main()
