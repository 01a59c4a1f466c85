"""Customers imported from a file, beside bare COPY of the rows that it becomes into the same tables."""

import asyncio
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from bench.house import House, new_workspace
from supover import wiring
from supover.demo import commands as demo
from supover.demo.rules import Shape, midnight
from supover.imports import customer_commands
from supover.imports.customer_model import CustomerImportOptions
from supover.kit import clock
from supover.kit.db import Database

WARM = 2_000
COPIED = (
    (
        "customer",
        "id, source, external_id, email, name, phone, phone_e164, date_of_birth, gender, status, country, tags, custom_fields",
    ),
    ("customer_identity", "id, customer_id, kind, source, shop, value, key, quality, matched_by"),
    (
        "address",
        "id, customer_id, type, is_default, line1, line2, city, state, postal_code, country, recipient_name, phone, match_key",
    ),
)


class Imported(msgspec.Struct, frozen=True):
    """The seconds of an import and of COPY of what it wrote, the most memory the importing process had, and how many rows it wrote."""

    customers: int
    seconds: float
    copy_seconds: float
    peak_mib: float
    rows: int


async def measure(house: House, customers: int) -> Imported:
    """Imports so many new customers with an address and tags into a workspace, and copies their rows into another."""
    found = Imported(0, 0, 0, 0, 0)
    # The first one fills the caches.
    for count in (WARM, customers):
        file = customers_file(house.folder, count)
        workspace_id, _ = await new_workspace(house.database)
        beside_id, _ = await new_workspace(house.database)
        seconds, peak = await asyncio.to_thread(_imported, house.owner_url, workspace_id, file)
        copy_seconds, rows = await _copied(house, workspace_id, beside_id)
        found = Imported(count, seconds, copy_seconds, peak, rows)
    return found


def customers_file(folder: Path, count: int) -> Path:
    """What `supover demo --customers N --customers-csv FILE` writes: buyers with addresses and tags."""
    place = folder / f"customers-{count}.csv"
    demo.write_buyers(place, Shape(until=midnight(clock.now()), customers=count))
    return place


async def _copied(house: House, workspace_id: UUID, beside_id: UUID) -> tuple[float, int]:
    """What one workspace has, copied into another as the owner, table by table: the seconds, and the rows."""
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(house.owner_url)
    took, rows = 0.0, 0
    try:
        for table, columns in COPIED:
            file = house.folder / f"{table}.copy"
            query = f"select $1::uuid, {columns} from data.{table} where workspace_id = $2 order by id"
            await con.copy_from_query(query, beside_id, workspace_id, output=file)
            started = clock.monotonic_s()
            said = await con.copy_to_table(
                table, source=file, columns=["workspace_id", *columns.split(", ")], schema_name="data"
            )
            took += clock.monotonic_s() - started
            rows += int(said.split()[-1])
    finally:
        await con.close()
    return took, rows


def _imported(dsn: str, workspace_id: UUID, file: Path) -> tuple[float, float]:
    """The import in a process of its own, whose memory is nobody else's: seconds and MiB."""
    words = [sys.executable, "-m", "bench.imports", dsn, str(workspace_id), str(file)]
    said = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    return msgspec.json.decode(said, type=tuple[float, float])


async def _import(dsn: str, workspace_id: UUID, file: Path) -> float:
    wiring.load()
    database = await Database.open(dsn)
    try:
        options = CustomerImportOptions(source="SEED")
        started = clock.monotonic_s()
        inspected = await customer_commands.inspect(database, workspace_id, options, file)
        async with database.tx(workspace_id, actor="cli") as tx:
            id = await customer_commands.begin(tx, options, file.name, inspected, None)
        opened = partial(database.tx, workspace_id, actor="cli", origin="import")
        run = await customer_commands.run(database, workspace_id, id, file, opened=opened)
        took = clock.monotonic_s() - started
    finally:
        await database.close()
    assert run.status == "completed", run
    assert run.created == run.total, run
    return took


def main() -> None:
    """Imports a file into a workspace; tells the seconds, and the most memory that this process had, in MiB (Linux)."""
    dsn, workspace_id, file = sys.argv[1:]
    took = asyncio.run(_import(dsn, UUID(workspace_id), Path(file)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.buffer.write(msgspec.json.encode((took, peak)))


if __name__ == "__main__":
    main()
