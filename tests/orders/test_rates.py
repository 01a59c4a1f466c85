"""Exchange rates come from files, and orders that lacked one are counted."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from supover.kit.db import Database
from supover.kit.problems import FieldError, Invalid
from supover.kit.tables import TableUnreadable
from supover.orders import rates
from supover.orders.rates import Rate
from tests.makers import Workspace, pointers, told
from tests.orders.arrange import an_order, figures, take


def read(folder: Path, content: str, own: str = "USD", base: str = "EUR") -> list[Rate]:
    file = folder / "rates.csv"
    file.write_text(content, "utf-8")
    return [rate for batch in rates.read(file, own, base=base) for rate in batch]


def refused(folder: Path, content: str, own: str = "USD", base: str = "EUR") -> tuple[str, str]:
    with pytest.raises(Invalid) as error:
        read(folder, content, own, base)
    [one] = error.value.errors
    return one.pointer, one.message


# --- reading files -------------------------------------------------------------------------------------------------------


def test_a_row_a_rate_is_read_as_it_stands(tmp_path: Path) -> None:
    content = "Date;Currency;Rate\n2026-01-31;eur;1.0853\n\n2026-02-28;GBP;1.27\n"
    assert read(tmp_path, content) == [
        Rate("EUR", date(2026, 1, 31), Decimal("1.0853")),
        Rate("GBP", date(2026, 2, 28), Decimal("1.27")),
    ]


def test_a_banks_table_is_turned_into_the_workspaces_currency(tmp_path: Path) -> None:
    # As the European Central Bank has it: what one euro buys, newest first, a comma at every row's end.
    content = "Date,USD,JPY,CYP,GBP,\n2026-02-02,1.2,180,N/A,0.8,\n2026-02-01,1.1,,N/A,0.88,\n"
    assert read(tmp_path, content) == [
        Rate("JPY", date(2026, 2, 2), Decimal("0.0066666667")),
        Rate("GBP", date(2026, 2, 2), Decimal("1.5")),
        Rate("EUR", date(2026, 2, 2), Decimal("1.2")),
        Rate("GBP", date(2026, 2, 1), Decimal("1.25")),
        Rate("EUR", date(2026, 2, 1), Decimal("1.1")),
    ]


def test_a_banks_table_of_the_workspaces_own_currency_is_inverted(tmp_path: Path) -> None:
    assert read(tmp_path, "date,USD\n2026-02-01,1.25\n", own="EUR") == [Rate("USD", date(2026, 2, 1), Decimal("0.8"))]


@pytest.mark.parametrize(
    ("content", "pointer", "message"),
    [
        ("day,currency,rate\n", "date", "the file needs a column named date"),
        ("date,currency,rate\n2026-01-31,EUR,1.1\n31.01.2026,EUR,1.1\n", "row 3/date", "'31.01.2026' is not a date like 2026-01-31"),
        ("date,currency,rate\n2026-01-31,EUR,\n", "row 2/rate", "'' is not a positive number"),
        ("date,currency,rate\n2026-01-31,EUR,-1\n", "row 2/rate", "'-1' is not a positive number"),
        ("date,currency,rate\n2026-01-31,EURO,1\n", "row 2/currency", "'EURO' is not a currency of ISO 4217"),
        ("date,currency,rate\n2026-01-31,USD,1\n", "row 2/currency", "is the workspace's own currency: its rate is 1"),
        ("date,currency,rate\n2026-01-31,EUR,1e12\n", "row 2/rate", "must be a positive number"),
        ("date,GBP\n2026-01-31,0.8\n", "USD", "a table of units for one EUR needs a column USD to be turned into USD"),
        ("date,USD,GBP\n2026-01-31,1.1,abc\n", "row 2/GBP", "'abc' is not a positive number"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(tmp_path: Path, content: str, pointer: str, message: str) -> None:
    assert refused(tmp_path, content) == (pointer, message)


def test_a_base_that_is_no_currency_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "date,USD\n", base="EURO") == ("base", "'EURO' is not a currency of ISO 4217")


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableUnreadable):
        read(tmp_path, "")


# --- keeping and applying ------------------------------------------------------------------------------------------------

DAY = datetime(2026, 3, 15, 12, tzinfo=UTC)


async def keep(db: Database, shop: Workspace, *given: Rate) -> None:
    async with db.tx(shop.id) as tx:
        await rates.keep(tx, given)


async def apply(db: Database, shop: Workspace) -> int:
    async with db.tx(shop.id) as tx:
        return await rates.apply(tx)


async def test_an_order_without_a_rate_counts_once_it_is_known(db: Database, shop: Workspace) -> None:
    [taken] = await take(db, shop, an_order("1", "100.00", email="a@one.com", currency="EUR", placed_at=DAY))
    assert (await figures(db, shop, taken.customer_id))[:2] == (0, Decimal("0.0000"))
    async with db.tx(shop.id) as tx:
        kept = await rates.keep(tx, [Rate("EUR", date(2026, 3, 1), Decimal("1.1"))])
    assert kept == rates.RatesKept(1, 1)
    assert await apply(db, shop) == 1
    assert (await figures(db, shop, taken.customer_id))[:2] == (1, Decimal("110.0000"))
    assert await apply(db, shop) == 0


async def test_the_newest_rate_of_the_month_before_is_taken(db: Database, shop: Workspace) -> None:
    await keep(
        db,
        shop,
        Rate("EUR", date(2026, 2, 10), Decimal("1.01")),  # 33 days before: too old
        Rate("GBP", date(2026, 2, 12), Decimal("1.31")),
        Rate("CAD", date(2026, 3, 15), Decimal("0.7")),
        Rate("CAD", date(2026, 3, 16), Decimal("0.9")),  # the day after
    )
    orders = [an_order(c, "100.00", email="a@one.com", currency=c, placed_at=DAY) for c in ("EUR", "GBP", "CAD", "USD")]
    [taken, *_] = await take(db, shop, *orders)
    found = await figures(db, shop, taken.customer_id)
    assert found[:2] == (3, Decimal("301.0000"))
    assert found[4] == 4
    assert found[7]["EUR"] == {"orders": 1, "spent": "100.00", "lifetimeValue": "0.00"}
    assert await apply(db, shop) == 0


async def test_a_counted_order_keeps_its_rate(db: Database, shop: Workspace) -> None:
    await keep(db, shop, Rate("EUR", date(2026, 3, 1), Decimal("1.1")))
    [taken] = await take(db, shop, an_order("1", "100.00", email="a@one.com", currency="EUR", placed_at=DAY))
    await keep(db, shop, Rate("EUR", date(2026, 3, 1), Decimal("1.5")))
    await apply(db, shop)
    assert (await figures(db, shop, taken.customer_id))[1] == Decimal("110.0000")


async def test_rates_are_refused_all_together(db: Database, shop: Workspace) -> None:
    with pytest.raises(Invalid) as error:
        await keep(
            db, shop, Rate("EUR", date(2026, 3, 1), Decimal("1.1")), Rate("USD", date(2026, 3, 1), Decimal("-1"))
        )
    assert error.value.errors == (
        FieldError("/1/currency", "own", "is the workspace's own currency: its rate is 1"),
        FieldError("/1/rate", "range", "must be a positive number"),
    )
    async with db.reader(shop.id) as reader:
        assert await rates.search(reader, currency=None, before=None, limit=10, count=True) == ([], 0)


async def test_rates_are_listed_newest_first(db: Database, shop: Workspace) -> None:
    given = [Rate(c, date(2026, 3, d), Decimal(d) / 10) for d in (1, 2, 3) for c in ("EUR", "GBP")]
    await keep(db, shop, *given)
    async with db.reader(shop.id) as reader:
        assert (await rates.search(reader, currency="EUR", before=date(2026, 3, 3), limit=10))[0] == [
            Rate("EUR", date(2026, 3, 2), Decimal("0.2")),
            Rate("EUR", date(2026, 3, 1), Decimal("0.1")),
        ]
        assert [r.currency for r in (await rates.search(reader, currency=None, before=None, limit=3))[0]] == [
            "EUR",
            "GBP",
            "EUR",
        ]


# --- over HTTP -------------------------------------------------------------------------------------------------------------


async def test_rates_are_kept_listed_and_forgotten_and_each_is_audited(api: httpx.AsyncClient) -> None:
    table = [{"currency": c, "date": d, "rate": r} for c, d, r in (
        ("EUR", "2026-03-01", "1.10"), ("EUR", "2026-03-02", "1.20"), ("GBP", "2026-03-02", "1.30"),
    )]  # fmt: skip
    assert told(await api.put("/api/rates", json={"rates": table})) == {"kept": 3, "ordersWithoutRate": 0}
    assert told(await api.put("/api/rates", json={"rates": [{**table[0], "rate": "1.15"}, table[1]]}))["kept"] == 2
    listed = told(await api.get("/api/rates", params={"currency": "EUR", "count": "true"}))
    assert [(r["date"], r["rate"]) for r in listed["data"]] == [("2026-03-02", "1.2"), ("2026-03-01", "1.15")]
    assert listed["total"] == 2
    told(await api.delete("/api/rates/EUR/2026-03-01"), 204)
    for gone in ("EUR/2026-03-01", "EUR/yesterday", "eur/2026-03-02", "XXX/2026-03-02"):
        assert told(await api.delete(f"/api/rates/{gone}"), 404)["type"].endswith("/rate-not-found")
    assert [r["currency"] for r in told(await api.get("/api/rates", params={"before": "2026-03-03"}))["data"]] == [
        "EUR",
        "GBP",
    ]
    entries = told(await api.get("/api/audit", params={"sort": "at"}))["data"]
    assert [[(c["field"], c["old"], c["new"]) for c in e["changes"]] for e in entries if e["action"].startswith("rates.")] == [
        [("EUR 2026-03-01", None, "1.10"), ("EUR 2026-03-02", None, "1.20"), ("GBP 2026-03-02", None, "1.30")],
        [("EUR 2026-03-01", "1.1", "1.15")],
        [("EUR 2026-03-01", "1.15", None)],
    ]  # fmt: skip
    assert pointers(await api.get("/api/rates", params={"currency": "euro"})) == ["currency"]


async def test_a_forgotten_rate_leaves_what_was_counted_at_it(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    rate = {"currency": "EUR", "date": "2026-03-01", "rate": "2"}
    told(await api.put("/api/rates", json={"rates": [rate]}))
    order = {"total": "10.00", "currency": "EUR", "placedAt": "2026-03-05T12:00:00Z", "email": "ann@mail.example"}
    first = told(await api.post("/api/orders", json=order), 201)
    told(await api.delete("/api/rates/EUR/2026-03-01"), 204)
    second = told(await api.post("/api/orders", json=order), 201)
    assert (first["exchangeRate"], second["exchangeRate"]) == ("2", None)
    assert told(await api.get(f"/api/orders/{first['id']}"))["exchangeRate"] == "2"
    missing = told(await api.get("/api/orders", params={"rateMissing": "true"}))["data"]
    assert [o["id"] for o in missing] == [second["id"]]
    told(await api.put("/api/rates", json={"rates": [{**rate, "rate": "3"}]}))
    async with db.tx(shop.id) as tx:
        assert await rates.apply(tx) == 1
    assert told(await api.get(f"/api/orders/{second['id']}"))["exchangeRate"] == "3"
    assert told(await api.get(f"/api/orders/{first['id']}"))["exchangeRate"] == "2"
