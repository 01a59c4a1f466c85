"""Exchange rates: kept by day, applied to the orders that lack one."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import msgspec

from supover.kit import money, tables
from supover.kit.db import Change, Reader, Tx
from supover.kit.events import publish
from supover.kit.problems import FieldError, Invalid, NotFound
from supover.kit.sql import CursorBroken, Where, read_cursor, write_cursor
from supover.orders import queries
from supover.orders.events import OrderRateKnown

BATCH: Final = 5_000


class Rate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Units of the workspace's currency for one unit of `currency` on a day."""

    currency: str
    date: date
    rate: Decimal


class RatesKept(msgspec.Struct, frozen=True, rename="camel"):
    """How many rates were taken, and how many orders lack one now."""

    kept: int
    orders_without_rate: int


class RateNotFound(NotFound):
    """No rate of this currency on this day."""


KEEP: Final = """
    insert into exchange_rate (workspace_id, currency, on_date, rate)
    select $1, n.currency, n.on_date, n.rate from unnest($2::text[], $3::date[], $4::numeric[]) as n (currency, on_date, rate)
        on conflict (workspace_id, currency, on_date) do update set rate = excluded.rate
     where exchange_rate.rate is distinct from excluded.rate"""
LACKING: Final = """select count(*) from "order" where workspace_id = $1 and exchange_rate is null"""


def errors_of(rates: Sequence[Rate], own: str, pointer: str = "") -> list[FieldError]:
    """What keeps rates from being taken."""
    found: list[FieldError] = []
    for n, rate in enumerate(rates):
        if rate.currency not in money.CURRENCIES:
            found.append(
                FieldError(f"{pointer}/{n}/currency", "currency", f"{rate.currency!r} is not a currency of ISO 4217")
            )
        elif rate.currency == own:
            found.append(FieldError(f"{pointer}/{n}/currency", "own", "is the workspace's own currency: its rate is 1"))
        if not (rate.rate.is_finite() and Decimal("0.0000000001") <= rate.rate < 10**9):
            found.append(FieldError(f"{pointer}/{n}/rate", "range", "must be a positive number"))
    return found


STORED: Final = """
    select r.currency, r.on_date, trim_scale(r.rate)
      from exchange_rate r
      join unnest($2::text[], $3::date[]) as n (currency, on_date) on n.currency = r.currency and n.on_date = r.on_date
     where r.workspace_id = $1"""


async def note(tx: Tx, rates: Sequence[Rate]) -> None:
    """Notes for the audit row what these rates are about to replace."""
    wanted = {(r.currency, r.date): r.rate for r in rates}
    stored = await tx.all(Rate, STORED, [c for c, _ in wanted], [d for _, d in wanted])
    before = {(r.currency, r.date): r.rate for r in stored}
    for (currency, day), rate in wanted.items():
        if before.get((currency, day)) != rate:
            # A rate has no id: its currency and day say which one it is.
            field = f"{currency} {day}"
            tx.changes.append(Change("exchange_rate", tx.workspace_id, field, before.get((currency, day)), rate))


async def keep(tx: Tx, rates: Sequence[Rate], pointer: str = "") -> RatesKept:
    """Keeps rates; a day's second rate replaces its first. Orders already counted keep the rate they were counted at."""
    own, _ = await queries.currency_and_zone(tx)
    if errors := errors_of(rates, own, pointer):
        raise Invalid(errors)
    last = {(r.currency, r.date): r.rate for r in rates}
    await tx.run(KEEP, [c for c, _ in last], [d for _, d in last], list(last.values()))
    return RatesKept(len(last), await tx.value(LACKING))


DELETE: Final = """
    delete from exchange_rate where workspace_id = $1 and currency = $2 and on_date = $3 returning trim_scale(rate)"""


async def delete(tx: Tx, currency: str, day: str) -> None:
    """Forgets a day's rate; orders that were counted at it stay as they are. Raises RateNotFound."""
    try:
        on_date = date.fromisoformat(day)
    except ValueError:
        raise RateNotFound from None
    rate = await tx.value(DELETE, currency, on_date)
    if rate is None:
        raise RateNotFound
    tx.changes.append(Change("exchange_rate", tx.workspace_id, f"{currency} {on_date}", rate, None))


APPLY: Final = """
    update "order" o
       set exchange_rate = f.rate, updated_at = now()
      from (select n.id, r.rate
              from "order" n
              join workspace w on w.workspace_id = $1
             cross join lateral (
                   select x.rate from exchange_rate x
                    where x.workspace_id = $1 and x.currency = n.currency
                      and x.on_date <= (n.placed_at at time zone w.timezone)::date
                      and x.on_date > (n.placed_at at time zone w.timezone)::date - 32
                    order by x.on_date desc limit 1) as r
             where n.workspace_id = $1 and n.exchange_rate is null
             order by n.id
             limit $2
               for update of n) as f
     where o.workspace_id = $1 and o.id = f.id
    returning o.id, o.customer_id, o.exchange_rate"""


async def apply(tx: Tx) -> int:
    """Gives up to 5,000 orders the rate they lacked; their customers are recounted. Returns how many."""
    rows = await tx.rows(APPLY, BATCH)
    await publish(
        tx, [OrderRateKnown(order_id=id, customer_id=customer_id, rate=rate) for id, customer_id, rate in rows]
    )
    return len(rows)


def read(path: Path, own: str, *, base: str = "EUR") -> Iterable[Sequence[Rate]]:
    """The rates of a file, in batches.

    Either columns `date`, `currency`, `rate` (units of the workspace's currency `own` for one of it), or a bank's wide
    table: a `date` column and one a currency, each cell the units that one unit of `base` buys; other columns and empty
    cells are passed over. Raises Invalid naming row and column, TableUnreadable.
    """
    if base not in money.CURRENCIES:
        raise Invalid.at("base", "currency", f"{base!r} is not a currency of ISO 4217")
    with tables.read(path) as table:
        names = [h.strip().lower() for h in table.header]
        if "date" not in names:
            raise Invalid.at("date", "required", "the file needs a column named date")
        long = "currency" in names and "rate" in names
        codes = [h.strip().upper() for h in table.header]
        if not long and own != base and own not in codes:
            raise Invalid.at(
                own, "required", f"a table of units for one {base} needs a column {own} to be turned into {own}"
            )
        batch: list[Rate] = []
        for number, cells in table.rows:
            if not any(cells):
                continue
            row = dict(zip(names, cells, strict=False))
            day = _day(row.get("date", ""), number)
            found = (
                [Rate(row.get("currency", "").upper(), day, _rate(row.get("rate", ""), number, "rate"))]
                if long
                else _wide(day, dict(zip(codes, cells, strict=False)), own, base, number)
            )
            if errors := errors_of(found, own):
                error = errors[0]
                field = error.pointer.rsplit("/", 1)[-1]
                raise Invalid.at(f"row {number}/{field}", error.code, error.message)
            batch += found
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _wide(day: date, cells: dict[str, str], own: str, base: str, number: int) -> list[Rate]:
    units = {c: _rate(v, number, c) for c, v in cells.items() if c in money.CURRENCIES and v not in ("", "N/A", "-")}
    units[base] = Decimal(1)
    if own not in units:
        return []
    return [Rate(code, day, round(units[own] / per_base, 10)) for code, per_base in units.items() if code != own]


def _day(cell: str, number: int) -> date:
    try:
        return date.fromisoformat(cell[:10])
    except ValueError:
        raise Invalid.at(f"row {number}/date", "date", f"{cell[:40]!r} is not a date like 2026-01-31") from None


def _rate(cell: str, number: int, column: str) -> Decimal:
    rate = money.parse(cell)
    if rate is None or rate <= 0:
        raise Invalid.at(f"row {number}/{column}", "number", f"{cell[:40]!r} is not a positive number")
    return rate


LIST: Final = """
    select r.currency, r.on_date, trim_scale(r.rate)
      from exchange_rate r
     where {where}
     order by r.on_date desc, r.currency
     limit {limit}"""
COUNT: Final = "select count(*) from exchange_rate r where {where}"


async def search(
    db: Reader,
    *,
    currency: str | None,
    before: date | None,
    limit: int,
    after: tuple[date, str] | None = None,
    count: bool = False,
) -> tuple[list[Rate], int | None]:
    """The newest rates, one currency's or all, that follow the day and currency `after`; and how many there are where asked."""
    where = Where("r.workspace_id = $1")
    if currency is not None:
        where.add("r.currency = {}", currency)
    if before is not None:
        where.add("r.on_date < {}", before)
    total: int | None = await db.value(COUNT.format(where=where.text()), *where.values) if count else None
    if after is not None:
        where.add("r.on_date <= {} and (r.on_date < {} or r.currency > {})", after[0], *after)
    rows = LIST.format(where=where.text(), limit=where.arg(limit))
    return await db.all(Rate, rows, *where.values), total


def cursor(last: Rate) -> str:
    """The cursor that continues after this rate."""
    return write_cursor(["rates", last.date, last.currency])


def after(cursor: str) -> tuple[date, str]:
    """The day and currency that a cursor continues after. Raises CursorBroken."""
    _, day, currency = read_cursor(cursor, tuple[Literal["rates"], date, str])
    if currency not in money.CURRENCIES:
        raise CursorBroken
    return day, currency
