"""Duplicates: how long a scan takes and how much memory, beside Splink; and on labelled sets what it finds."""

import asyncio
import csv
import os
import random
import subprocess
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
import polars as pl

from bench import people
from bench.house import House, new_workspace
from supover.duplicates import commands, noticing, scanning
from supover.imports import customer_commands
from supover.imports.customer_model import CustomerImportOptions
from supover.kit import clock, ids, text

CHUNK = 20_000

CUSTOMER = ("workspace_id", "id", "source", "external_id", "email", "name", "phone", "phone_e164", "country")
IDENTITY = ("workspace_id", "id", "customer_id", "kind", "value", "key", "quality", "matched_by")
ADDRESS = (
    "workspace_id", "id", "customer_id", "type", "is_default", "line1", "city", "postal_code", "country", "match_key",
)  # fmt: skip


Pair = tuple[int, int]


class Row(msgspec.Struct, frozen=True):
    """A customer as a file has it, and who it truly is."""

    truth: str
    name: str
    email: str
    phone: str
    line1: str
    line2: str
    city: str
    state: str
    zip: str
    country: str
    born: str


class Judged(msgspec.Struct, frozen=True):
    """How good pairs are."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    def __str__(self) -> str:
        return f"F1 {self.f1:.3f} (P {self.precision:.4f}, R {self.recall:.4f})"


class Quality(msgspec.Struct, frozen=True):
    """How good the pairs are that were found, and the groups that they join."""

    pairs: Judged
    clusters: Judged


class Matched(msgspec.Struct, frozen=True):
    """How long it takes to ask of one customer who else has their contacts, beside asking for nothing, in milliseconds."""

    p50_ms: float
    p99_ms: float
    nothing_p99_ms: float


class Scanned(msgspec.Struct, frozen=True):
    """How long it took, with how much memory, and how good the pairs were."""

    seconds: float
    peak_mib: float
    precision: float
    recall: float


async def load(house: House, workspace_id: UUID, count: int) -> dict[UUID, int]:
    """Made customers with contacts and an address, written as an import leaves them; who is whom."""
    truth: dict[UUID, int] = {}
    con: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(house.owner_url)
    try:
        emails: set[str] = set()
        batch: list[people.Person] = []
        for person in people.made(count):
            batch.append(person)
            if len(batch) == CHUNK:
                await _write(con, workspace_id, batch, truth, emails)
                batch = []
        await _write(con, workspace_id, batch, truth, emails)
        await con.execute("vacuum analyze data.customer, data.customer_identity, data.address")
    finally:
        await con.close()
    return truth


async def _write(
    con: "asyncpg.Connection[asyncpg.Record]",
    workspace_id: UUID,
    batch: Sequence[people.Person],
    truth: dict[UUID, int],
    emails: set[str],
) -> None:
    customers: list[tuple[Any, ...]] = []
    contacts: list[tuple[Any, ...]] = []
    places: list[tuple[Any, ...]] = []
    for person in batch:
        id = ids.new()
        truth[id] = person.truth
        shown = person.email if person.email and person.email not in emails else None
        if shown:
            emails.add(shown)
        customers.append((workspace_id, id, "BENCH", id.hex, shown, person.name, person.phone, person.phone, "US"))
        for kind, value in (("email", person.email), ("phone", person.phone)):
            if value:
                key = text.email_key(value) if kind == "email" else value
                contacts.append((workspace_id, ids.new(), id, kind, value, key, "real", "import"))
        places.append((workspace_id, ids.new(), id, "BOTH", True, person.line1, person.city, person.zip, "US", ""))
    async with con.transaction():
        for table, columns, rows in (
            ("customer", CUSTOMER, customers),
            ("customer_identity", IDENTITY, contacts),
            ("address", ADDRESS, places),
        ):
            await con.copy_records_to_table(table, schema_name="data", columns=columns, records=rows)


def made_row(one: people.Person) -> Row:
    """A made customer as a row of a file."""
    return Row(
        str(one.truth), one.name, one.email or "", one.phone or "", one.line1, "", one.city, "", one.zip, "US", ""
    )


ASKED: Final = 5_000


async def match(house: House, workspace_id: UUID, customer_ids: Sequence[UUID]) -> Matched:
    """What the online tier costs within the transaction of a create or an order."""
    some = random.Random(7).sample(customer_ids, min(ASKED, len(customer_ids)))
    took: list[float] = []
    nothing: list[float] = []
    async with house.database.tx(workspace_id, actor="cli") as tx:
        for id in some:
            began = clock.monotonic_s()
            await noticing.suspects(tx, [id])
            asked = clock.monotonic_s()
            await tx.value(NOTHING)
            took.append(asked - began)
            nothing.append(clock.monotonic_s() - asked)
    # The first ones wait for plans and pages.
    took, nothing = sorted(took[len(took) // 5 :]), sorted(nothing[len(nothing) // 5 :])
    return Matched(
        *(1000 * times[int(share * len(times))] for times, share in ((took, 0.5), (took, 0.99), (nothing, 0.99)))
    )


NOTHING: Final = "select 1 where $1::uuid is not null"


async def scan(house: House, workspace_id: UUID, truth: Mapping[UUID, int]) -> Scanned:
    """A full scan by a process of its own, from nothing, and how good it was; `truth` says who is whom."""
    command = [sys.executable, "-m", "supover.cli", "duplicates", "scan", "--workspace", str(workspace_id), "--json"]
    seconds, peak = await asyncio.to_thread(_run, command, house.environment)
    async with house.database.snapshot(workspace_id) as db:
        rows = await db.rows(SUGGESTED)
    found = sum(truth[a] == truth[b] for a, b, _ in rows)
    groups: dict[int, int] = {}
    for one in truth.values():
        groups[one] = groups.get(one, 0) + 1
    there = sum(n * (n - 1) // 2 for n in groups.values())
    return Scanned(seconds, peak, found / max(len(rows), 1), found / max(there, 1))


SUGGESTED = """
    select p.a_id, p.b_id, p.level from duplicate_pair p
     where p.workspace_id = $1 and p.status = 'open' and p.level in ('automatic', 'suggested')"""


def _run(command: Sequence[str], env: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a process."""
    started = clock.monotonic_s()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}.")
    return clock.monotonic_s() - started, usage.ru_maxrss / 1024


# --- Splink ---------------------------------------------------------------------------------------------------------------

PEER = Path(__file__).parent / "splink_peer.py"
PEER_NEEDS = ("splink>=5,<6", "duckdb<2")
COLUMNS = ("id", "first", "last", "email", "phone", "line1", "city", "zip", "born")


def splink(folder: Path) -> str | None:
    """A Python with Splink: $SPLINK_PYTHON, or one of its own that is made now; None where that cannot be."""
    told = os.environ.get("SPLINK_PYTHON")
    if told is not None:
        return told
    home = folder / "splink"
    python = home / "bin" / "python"
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], capture_output=True)
    if made.returncode == 0:
        made = subprocess.run([str(python), "-m", "pip", "install", "-q", *PEER_NEEDS], capture_output=True)
    return str(python) if made.returncode == 0 else None


def beside(python: str, folder: Path, rows: Iterable[Row], true: set[Pair]) -> tuple[Scanned, set[Pair]]:
    """What Splink, configured as in its own examples, finds among the same rows: how well, and the pairs."""
    asked, told = folder / "splink-rows.csv", folder / "splink-pairs.csv"
    with asked.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for n, row in enumerate(rows):
            first, last = text.split_name(row.name)
            writer.writerow(
                (
                    n,
                    first.lower(),
                    last.lower(),
                    row.email.lower(),
                    row.phone,
                    row.line1.lower(),
                    row.city.lower(),
                    row.zip,
                    row.born,
                )
            )
    seconds, peak = _run([python, str(PEER), str(asked), str(told)], os.environ)
    with told.open(newline="") as lines:
        found = {(min(int(a), int(b)), max(int(a), int(b))) for a, b in csv.reader(lines)}
    pairs = judged(found, true)
    return Scanned(seconds, peak, pairs.precision, pairs.recall), found


def quality_of(found: set[Pair], true: set[Pair]) -> Quality:
    """How good pairs are, and the groups that they join: what is joined by mistake may be millions of pairs."""
    return Quality(judged(found, true), judged(closure(found), true))


# --- labelled sets --------------------------------------------------------------------------------------------------------

SETS = ("customers_10k", "customers_100k", "pseudo_census_dev", "pseudo_census_dev without birth dates", "febrl1")


def labelled() -> Path | None:
    """Where the labelled sets are: $DUPLICATES, or beside the project; None where they are not."""
    told = os.environ.get("DUPLICATES")
    found = Path(told) if told else Path(__file__).parents[2] / "shared" / "data" / "duplicates"
    return found if found.is_dir() else None


def read(folder: Path, name: str) -> list[Row]:
    """A labelled set as shops would have its people: one field for the name, one line for street and house."""
    file, _, without = name.partition(" without ")
    found: list[Row] = []
    for one in pl.read_parquet(folder / f"{file}.parquet").iter_rows(named=True):
        told = {key: value or "" for key, value in one.items()}
        if file == "febrl1":
            name_, line1 = (told["given_name"], told["surname"]), (told["street_number"], told["address_1"])
            rest = (
                told["address_2"],
                told["suburb"],
                told["state"],
                told["postcode"],
                "AU",
                _born(told["date_of_birth"]),
            )
        elif file == "pseudo_census_dev":
            name_ = (told["first_name"], told["middle_initial"], told["last_name"])
            line1 = (told["street_number"], told["street_name"])
            month, _, day_year = told["date_of_birth"].partition("/")
            day, _, year = day_year.partition("/")
            rest = (told["unit_number"], told["city"], told["state"], told["zipcode"], "US", _born(year + month + day))
        else:
            name_, line1 = (told["name"],), (told["line1"],)
            rest = (told["line2"], told["city"], told["state"], told["postal_code"], told["country"], "")
        line2, city, state, zip, country, born = rest
        found.append(
            Row(
                told["cluster"], " ".join(filter(None, name_)), told.get("email", ""), told.get("phone", ""),
                " ".join(filter(None, line1)), line2, city, state, zip, country, "" if without else born,
            )
        )  # fmt: skip
    return found


def _born(digits: str) -> str:
    try:
        return datetime.strptime(digits, "%Y%m%d").date().isoformat()
    except ValueError:
        return ""


async def quality(house: House, rows: Sequence[Row]) -> tuple[Quality, Judged]:
    """What a scan finds among rows that came in as a file: the two upper levels, and the automatic ones alone."""
    file = house.folder / "labelled.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for n, row in enumerate(rows):
            writer.writerow(
                (
                    f"x{n}",
                    row.name,
                    row.email,
                    row.phone,
                    row.born,
                    row.line1,
                    row.line2,
                    row.city,
                    row.state,
                    row.zip,
                    row.country,
                )
            )
    workspace_id, _ = await new_workspace(house.database)
    options = CustomerImportOptions(source="MANUAL")
    inspected = await customer_commands.inspect(house.database, workspace_id, options, file)
    async with house.database.tx(workspace_id, actor="cli") as tx:
        id = await customer_commands.begin(tx, options, file.name, inspected, None)
    arrived = partial(house.database.tx, workspace_id, actor="cli", origin="import")
    await customer_commands.run(house.database, workspace_id, id, file, opened=arrived)
    async with house.database.tx(workspace_id, actor="cli") as tx:
        wanted = await commands.begin_here(tx, full=True)
    opened = partial(house.database.tx, workspace_id, actor="cli")
    await scanning.run(house.database, workspace_id, opened, wanted, lambda _phase, _counts: False)
    async with house.database.snapshot(workspace_id) as db:
        place = {id: int(external[1:]) for id, external in await db.rows(EXTERNAL)}
        levels = {(min(place[a], place[b]), max(place[a], place[b])): level for a, b, level in await db.rows(SUGGESTED)}
    true = pairs_of([row.truth for row in rows])
    found = set(levels)
    exact = {pair for pair, level in levels.items() if level == "automatic"}
    return Quality(judged(found, true), judged(closure(found), true)), judged(exact, true)


EXTERNAL = "select c.id, c.external_id from customer c where c.workspace_id = $1 and c.external_id is not null"
HEADER = (
    "externalId", "name", "email", "phone", "dateOfBirth", "line1", "line2", "city", "state", "postalCode", "country",
)  # fmt: skip


def pairs_of(truth: Sequence[Hashable]) -> set[Pair]:
    """All pairs of places that have the same truth."""
    groups: dict[Hashable, list[int]] = {}
    for n, one in enumerate(truth):
        groups.setdefault(one, []).append(n)
    return {pair for members in groups.values() for pair in combinations(members, 2)}


def closure(found: Iterable[Pair]) -> set[Pair]:
    """All pairs of the groups that pairs join one after the other, which is what merging them does."""
    of: dict[int, list[int]] = {}
    for a, b in found:
        one, other = of.setdefault(a, [a]), of.setdefault(b, [b])
        if one is not other:
            one += other
            for member in other:
                of[member] = one
    return {pair for members in {id(m): m for m in of.values()}.values() for pair in combinations(sorted(members), 2)}


def judged(found: set[Pair], true: set[Pair]) -> Judged:
    """How many of the found are true, and how many of the true are found."""
    good = len(found & true)
    return Judged(good / max(len(found), 1), good / max(len(true), 1))
