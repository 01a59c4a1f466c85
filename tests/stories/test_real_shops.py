"""Two real shops' history, from their files to every customer's figures, recounted by hand.

The data lies beside the repository; where it is not there, these stories are skipped.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from supover import wiring
from supover.analytics import commands as analytics
from supover.imports import commands
from supover.imports.model import ImportRun, OrderImportOptions
from supover.kit.db import Database
from tests.makers import Workspace, make_workspace, settle

wiring.load()
DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the shops' data is not in {DATA}"),
    pytest.mark.timeout(240),
]

COUNTING = {"confirmed", "processing", "shipped", "delivered", "returned"}


class Figures(msgspec.Struct):
    """What a customer is worth, counted one order after the other."""

    order_count: int = 0
    total_spent: Decimal = Decimal(0)
    total_orders: int = 0
    lifetime_value: Decimal = Decimal(0)
    orders_count: int = 0
    first_order: datetime | None = None
    last_order: datetime | None = None

    def count(self, status: str, total: Decimal, at: datetime) -> None:
        self.orders_count += 1
        if status in COUNTING:
            self.order_count += 1
            self.total_spent += total
            self.first_order = at if self.first_order is None else min(at, self.first_order)
            self.last_order = at if self.last_order is None else max(at, self.last_order)
        if status == "delivered":
            self.total_orders += 1
            self.lifetime_value += total


FIGURES = """
    select c.external_id, m.order_count, m.total_spent, m.total_orders, m.lifetime_value, m.orders_count, m.first_order_at,
           m.last_order_at
      from customer c
      join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
     where c.workspace_id = $1"""


async def stored(db: Database, shop: Workspace) -> dict[str, Figures]:
    async with db.reader(shop.id) as reader:
        return {row[0]: Figures(*row[1:]) for row in await reader.rows(FIGURES)}


async def bring(db: Database, shop: Workspace, file: Path, options: OrderImportOptions) -> ImportRun:
    facts = await commands.inspect(db, shop.id, options, file)
    async with db.tx(shop.id, actor="cli") as tx:
        id = await commands.begin(tx, options, file.name, facts, None)
    return await commands.run(db, shop.id, id, file, actor="cli")


async def nothing_differs(db: Database, shop: Workspace) -> int:
    async with db.snapshot(shop.id) as reader:
        checked, differences = await analytics.reconcile(reader)
    assert differences == []
    return checked


def rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def sums(run: ImportRun) -> dict[str, Any]:
    return {
        "created": run.created,
        "updated": run.updated,
        "unchanged": run.unchanged,
        "failed": run.failed,
        "total": run.total,
    }


# --- a British gift shop (UCI Online Retail II, Daqing Chen, CC BY 4.0) --------------------------------------------------

UCI = "uci_online_retail/orders_2009_2011.csv.gz"
UCI_OPTIONS = OrderImportOptions(
    source="MANUAL",
    map={
        "externalId": "InvoiceNo",
        "customerExternalId": "customer_id",
        "placedAt": "ordered_at",
        "total": "total_gbp",
        "status": "is_cancel",
    },
    status_map={"true": "cancelled", "false": "delivered"},
    set={"currency": "GBP"},
)


@pytest.mark.parametrize(("orders", "buyers"), [(10_000, None), pytest.param(44_876, 5_942, marks=pytest.mark.soak)])
async def test_a_gift_shops_years_come_out_to_the_penny(
    db: Database, tmp_path: Path, orders: int, buyers: int | None
) -> None:
    file = tmp_path / "orders.csv"
    with gzip.open(DATA / UCI, "rt", encoding="utf-8") as whole:
        file.write_text("".join(islice(whole, orders + 1)), encoding="utf-8")
    zone = ZoneInfo("Europe/London")
    expected: dict[str, Figures] = defaultdict(Figures)
    for row in islice(rows(UCI), orders):
        status = "cancelled" if row["is_cancel"] == "true" else "delivered"
        at = datetime.fromisoformat(row["ordered_at"]).replace(tzinfo=zone)
        expected[row["customer_id"]].count(status, Decimal(row["total_gbp"]), at)
    assert len(expected) == buyers or buyers is None

    shop = await make_workspace(db, "GBP", "Europe/London")
    run = await bring(db, shop, file, UCI_OPTIONS)
    assert sums(run) == {"created": orders, "updated": 0, "unchanged": 0, "failed": 0, "total": orders}
    assert (run.status, run.customers_created) == ("completed", len(expected))
    await settle(db, shop)
    assert await stored(db, shop) == expected
    assert await nothing_differs(db, shop) == orders + len(expected)

    again = await bring(db, shop, file, UCI_OPTIONS)
    assert sums(again) == {"created": 0, "updated": 0, "unchanged": orders, "failed": 0, "total": orders}
    assert again.customers_created == 0
    await settle(db, shop)
    assert await stored(db, shop) == expected


# --- a Brazilian marketplace (Olist, CC BY-NC-SA 4.0: for tests only) ----------------------------------------------------

OLIST_STATUSES = {
    "created": "pending",
    "approved": "confirmed",
    "invoiced": "processing",
    "processing": "processing",
    "shipped": "shipped",
    "delivered": "delivered",
    "canceled": "cancelled",
    "unavailable": "cancelled",
}
OLIST_OPTIONS = OrderImportOptions(
    source="MANUAL",
    map={
        "externalId": "order_id",
        "customerExternalId": "customer_unique_id",
        "status": "order_status",
        "placedAt": "order_purchase_timestamp",
        "deliveredAt": "order_delivered_customer_date",
        "postalCode": "customer_zip_code_prefix",
        "city": "customer_city",
        "state": "customer_state",
        "total": "paid",
    },
    status_map=OLIST_STATUSES,
    set={"currency": "BRL", "country": "BR"},
)


@pytest.mark.parametrize("most", [6_000, pytest.param(18_027, marks=pytest.mark.soak)])
async def test_a_marketplaces_orders_and_payments_come_out_to_the_centavo(
    db: Database, tmp_path: Path, most: int
) -> None:
    people = {row["customer_id"]: row for row in rows("olist/olist_customers_dataset.csv.gz")}
    paid: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows("olist/olist_order_payments_dataset.csv.gz"):
        paid[row["order_id"]] += Decimal(row["payment_value"])
    orders = [
        row | people[row["customer_id"]] | {"paid": str(paid[row["order_id"]])} if row["order_id"] in paid
        else row | people[row["customer_id"]] | {"paid": ""}
        for row in islice(rows("olist/olist_orders_partial.csv.gz"), most)
    ]  # fmt: skip
    file = tmp_path / "olist.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(orders[0]))
        writer.writeheader()
        writer.writerows(orders)

    shop = await make_workspace(db, "BRL", "America/Sao_Paulo")
    run = await bring(db, shop, file, OLIST_OPTIONS)
    unpaid = [row["order_id"] for row in orders if not row["paid"]]
    buyers = {row["customer_unique_id"] for row in orders if row["paid"]}
    assert sums(run) == {
        "created": len(orders) - len(unpaid), "updated": 0, "unchanged": 0, "failed": len(unpaid), "total": most,
    }  # fmt: skip
    assert run.customers_created == len(buyers)
    await settle(db, shop)

    zone = ZoneInfo("America/Sao_Paulo")
    expected: dict[str, Figures] = defaultdict(Figures)
    for row in orders:
        if row["paid"]:
            at = datetime.fromisoformat(row["order_purchase_timestamp"]).replace(tzinfo=zone)
            expected[row["customer_unique_id"]].count(OLIST_STATUSES[row["order_status"]], Decimal(row["paid"]), at)
    assert await stored(db, shop) == expected
    assert await nothing_differs(db, shop) == len(orders) - len(unpaid) + len(buyers)

    again = await bring(db, shop, file, OLIST_OPTIONS)
    assert (again.created, again.updated, again.unchanged) == (0, 0, len(orders) - len(unpaid))
