"""Imports and bulk actions that are killed again and again: in the end everything is as if nobody had touched them."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from supover import wiring
from supover.access import commands as access
from supover.access.model import NewWorkspace
from supover.kit import embedded, ids, migrate
from supover.kit.db import Database

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
ROWS = int(os.environ.get("SOAK_ROWS", "100000"))
KILLS = int(os.environ.get("SOAK_IMPORT_KILLS", "10"))

# Ids and times differ from run to run; that the order of ids is the file's is part of what is compared.
DUMP = """
    with one as (
        select row_number() over (order by c.id) as place, c.*
          from data.customer c where c.workspace_id = $1)
    select 'customer', o.place, to_jsonb(o) - '{workspace_id,id,created_at,updated_at,deleted_at,place,merged_into_id}'::text[]
           || jsonb_build_object('deleted', o.deleted_at is not null, 'merged', o.merged_into_id is not null) from one o
    union all
    select 'address', o.place, to_jsonb(a) - '{workspace_id,id,customer_id,created_at,updated_at}'::text[]
      from one o join data.address a on a.workspace_id = $1 and a.customer_id = o.id
    union all
    select 'identity', o.place, to_jsonb(i) - '{workspace_id,id,customer_id,created_at,released_at}'::text[]
           || jsonb_build_object('released', i.released_at is not null)
      from one o join data.customer_identity i on i.workspace_id = $1 and i.customer_id = o.id"""
SUM = f"""
    select d.kind, count(*), md5(string_agg(d.place || ' ' || d.row, e'\\n' order by d.place, d.row::text collate "C"))
      from ({DUMP}) as d (kind, place, row) group by d.kind order by d.kind"""
COUNTS = """
    select count(*), sum(k.rows), sum(k.created), sum(k.updated), sum(k.skipped), sum(k.failed)
      from data.import_chunk k where k.workspace_id = $1"""
ERRORS = (
    "select row_number, field, code, message, cells from data.import_error where workspace_id = $1 order by row_number"
)
JOURNAL = """
    select md5(string_agg(o.place || ' ' || j.changes::text, e'\\n' order by o.place))
      from data.customer_journal j
      join (select c.id, row_number() over (order by c.id) as place from data.customer c where c.workspace_id = $1) as o
           on o.id = j.customer_id
     where j.workspace_id = $1"""


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[embedded.Server]:
    """A server of our own that keeps what it acknowledged."""
    found = embedded.Server(embedded.place(tmp_path_factory.mktemp("soak") / "data"))
    found.start()
    await migrate.run(found.place.dsn())
    yield found
    found.stop()
    shutil.rmtree(found.place.home.resolve())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers with second addresses, who come again later, and rows that are refused."""
    found = tmp_path_factory.mktemp("file") / "customers.csv"
    with found.open("w") as rows:
        rows.write("externalId,email,name,phone,tags,line1,city,addressCountry,isDefault\n")
        for n in range(ROWS):
            match n % 20:
                case 3 | 4:
                    rows.write(f",,,,,{n} Side St,Boston,US,false\n")
                case 7:
                    rows.write(f"C{n},nonsense,Refused {n},,,,,,\n")
                case 11:
                    rows.write(f"C{n // 2},c{n // 2}@big.example,Again {n},,again,{n} Main St,Boston,US,\n")
                case 13:
                    rows.write(f",,Nameless {n},+1415555{n % 10000:04},,,,,\n")
                case _:
                    rows.write(
                        f'C{n},c{n}@big.example,"Name ""{n}""",+49151{n:07},"a;""b,{n % 7}""",{n} Main St,Springfield,US,\n'
                    )
    return found


async def workspace(url: str) -> UUID:
    wiring.load()
    id = ids.new()
    database = await Database.open(url, size=2)
    async with database.tx(id, actor="cli") as tx:
        await access.create_workspace(tx, NewWorkspace(name="A shop", currency="USD", timezone="UTC"))
    await database.close()
    return id


def environment(server: embedded.Server, folder: Path) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("SUPOVER_")}
    return {**given, "SUPOVER_DATABASE_URL": server.place.dsn(), "SUPOVER_DATA_DIR": str(folder), "SUPOVER_DEMO": "0"}


def supover(*args: str, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "supover.cli", *args]
    return subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def finished(process: "subprocess.Popen[bytes]", *codes: int) -> Any:
    out, _ = process.communicate(timeout=900)
    assert process.returncode in codes, (process.returncode, out)
    return msgspec.json.decode(out) if out else None


async def dump(url: str, id: UUID) -> dict[str, Any]:
    con: Connection = await asyncpg.connect(url)
    found = {
        "rows": [tuple(row) for row in await con.fetch(SUM, id)],
        "counts": [tuple(row) for row in await con.fetch(COUNTS, id)],
        "errors": [tuple(row) for row in await con.fetch(ERRORS, id)],
        "journal": await con.fetchval(JOURNAL, id),
    }
    await con.close()
    return found


async def done_of(url: str, id: UUID) -> int:
    con: Connection = await asyncpg.connect(url)
    found = await con.fetchval("select done from data.bulk_action where id = $1", id)
    await con.close()
    return found


async def chunks(url: str, id: UUID) -> int:
    con: Connection = await asyncpg.connect(url)
    found = await con.fetchval("select count(*) from data.import_chunk where workspace_id = $1", id)
    await con.close()
    return found


async def test_an_import_that_is_killed_ten_times_ends_as_one_that_is_not(
    server: embedded.Server, file: Path, tmp_path: Path
) -> None:
    url, env = server.place.dsn(), environment(server, tmp_path)
    calm, torn = await workspace(url), await workspace(url)
    told = finished(supover("customers", "import", str(file), "--workspace", str(calm), "--json", env=env), 3)
    dice = random.Random(7)
    hits = 0
    for n in range(KILLS):
        process = supover("customers", "import", str(file), "--workspace", str(torn), "--json", env=env)
        # In the middle of a chunk, and every second time not before another one is done.
        before = await chunks(url, torn) if n % 2 else -1
        while await chunks(url, torn) <= before:
            if process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(dice.uniform(0, 1) if n % 2 else dice.uniform(2, 5))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        hits += 1
        print("killed with", await chunks(url, torn), "chunks done")
    again = finished(supover("customers", "import", str(file), "--workspace", str(torn), "--json", env=env), 3)
    assert hits >= min(KILLS, 3)
    counted = ("total", "created", "updated", "skipped", "failed")
    assert [again[name] for name in counted] == [told[name] for name in counted]
    assert await dump(url, torn) == await dump(url, calm)


async def test_a_bulk_action_whose_worker_is_killed_ends_as_one_that_is_not(
    server: embedded.Server, file: Path, tmp_path: Path
) -> None:
    url, env = server.place.dsn(), environment(server, tmp_path)
    calm, torn = await workspace(url), await workspace(url)
    for one in (calm, torn):
        finished(supover("customers", "import", str(file), "--workspace", str(one), "--json", env=env), 3)
    assert await dump(url, torn) == await dump(url, calm)
    dice = random.Random(11)
    states: dict[UUID, Any] = {}
    for one, kills in ((calm, 0), (torn, KILLS // 2)):
        asked = ("bulk", "apply", "tag", "soaked", "--search", "big", "--workspace", str(one), "--json")
        done = finished(supover(*asked, env=env), 0)
        show = ("bulk", "show", done["id"], "--workspace", str(one), "--json")
        before = 0
        for _ in range(kills):
            # The next one waits for the lease of the one before.
            worker = supover("worker", env=env)
            while (now := await done_of(url, UUID(done["id"]))) <= before < done["total"]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            await asyncio.sleep(dice.uniform(0, 0.5))
            worker.kill()
            worker.communicate()
            print("killed at", before := now)
        worker = supover("worker", env=env)
        try:
            for _ in range(300):
                states[one] = finished(supover(*show, env=env), 0)
                if states[one]["status"] not in ("queued", "running"):
                    break
                await asyncio.sleep(1)
        finally:
            worker.terminate()
            worker.communicate()
    counted = ("status", "total", "changed", "unchanged", "failed")
    assert [states[torn][name] for name in counted] == [states[calm][name] for name in counted]
    assert states[torn]["status"] == "completed"
    assert states[torn]["changed"] > ROWS // 2
    assert await dump(url, torn) == await dump(url, calm)
