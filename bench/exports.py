"""Exports: how long a file of all customers takes over HTTP, beside psql's \\copy of the same statement."""

import asyncio
import os
import re
import statistics
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from bench.house import House, new_workspace
from supover.exports import questions
from supover.exports.model import CustomerExport
from supover.kit import clock, db

ROUNDS = 5
BLOCK = 1 << 20

CUSTOMERS = """
    insert into data.customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, status, country, tags,
                               custom_fields, created_at, updated_at)
    select $1, md5('customer' || n)::uuid, 'SHOPIFY', 'c' || n, 'buyer' || n || '@mail.example', 'Buyer ' || md5(n::text),
           '+49 151 ' || n, '+49151' || n, 'ACTIVE', 'DE',
           case when n % 3 = 0 then array['newsletter', 'tag' || n % 50] else '{}' end,
           case when n % 4 = 0 then jsonb_build_object('size', n % 50, 'roast', 'dark') else '{}' end, now(), now()
      from generate_series(1, $2::integer) as n"""
FIGURES = """
    insert into data.customer_metrics (workspace_id, customer_id)
    select $1, c.id from data.customer c where c.workspace_id = $1"""
PLACES = """
    insert into data.address (workspace_id, id, customer_id, type, is_default, line1, city, postal_code, country, recipient_name,
                              match_key)
    select $1, md5('address' || n || '/' || i)::uuid, md5('customer' || n)::uuid, 'SHIPPING', i = 1, 'Street ' || n, 'Berlin',
           lpad((n % 100000)::text, 5, '0'), 'DE', 'Buyer ' || n, 'street' || n || '/' || i
      from generate_series(1, $2::integer) as n, generate_series(1, 1 + (n % 5 = 0)::integer) as i"""


class Exported(msgspec.Struct, frozen=True):
    """The seconds of a file over HTTP and by psql, each the median, and how many bytes it has."""

    customers: int
    seconds: float
    psql_seconds: float
    bytes: int


async def measure(house: House, customers: int) -> Exported:
    """Exports a workspace of so many customers with addresses and tags, turn by turn with psql."""
    workspace_id, key = await new_workspace(house.database)
    owner = await asyncpg.connect(house.owner_url)
    try:
        for statement in (CUSTOMERS, PLACES):
            await owner.execute(statement, workspace_id, customers)
        await owner.execute(FIGURES, workspace_id)
        await owner.execute("vacuum (analyze) data.customer, data.address, data.customer_metrics")
    finally:
        await owner.close()
    async with house.database.snapshot(workspace_id) as reader:
        asked = await questions.question(reader, "customers", CustomerExport())
        text, args = asked.cells()
        con = reader._con  # pyright: ignore[reportPrivateUsage]
        statement = await db._inlined(con, text, (workspace_id, *args))  # pyright: ignore[reportPrivateUsage]
    ours: list[float] = []
    theirs: list[float] = []
    size = 0
    for _ in range(ROUNDS + 1):
        started = clock.monotonic_s()
        size = await asyncio.to_thread(_fetch, house.url, key, house.folder / "export.csv")
        ours.append(clock.monotonic_s() - started)
        started = clock.monotonic_s()
        await asyncio.to_thread(_psql, house, workspace_id, statement, house.folder / "psql.csv")
        theirs.append(clock.monotonic_s() - started)
    same = await asyncio.to_thread(_bodies, house.folder, ("export.csv", "psql.csv"))
    assert same[0].partition(b"\n")[2] == same[1], "both are the same file"
    # The first of each fills the caches.
    return Exported(customers, statistics.median(ours[1:]), statistics.median(theirs[1:]), size)


def _fetch(url: str, key: str, place: Path) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/customers/export", b"{}", headers)
    with urllib.request.urlopen(request, timeout=600) as answer, place.open("wb") as file:
        while block := answer.read(BLOCK):
            file.write(block)
        return file.tell()


def _psql(house: House, workspace_id: UUID, statement: str, place: Path) -> None:
    options = f"-c role=supover_app -c search_path=fence,ext -c app.workspace={workspace_id} -c jit=off -c timezone=UTC"
    flat = re.sub(r"\s+", " ", statement)
    copy = rf"\copy ({flat}) to '{place}' (format csv)"
    command = [str(house.bin / "psql"), house.owner_url, "-X", "-q", "-c", copy]
    subprocess.run(command, env={**os.environ, "PGOPTIONS": options}, check=True)


def _bodies(folder: Path, names: Sequence[str]) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]
