"""Orders as files: a row a line, what narrows them, and that an import takes them back as they were."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx

from supover.exports import commands as exports
from supover.exports.model import OrderExport
from supover.imports import commands as imports
from supover.imports.model import OrderImportOptions
from supover.kit import tables
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_customer, make_order, told

ORDERS: list[Json] = [
    {
        "external_id": "1", "number": "#1001", "source": "SHOPIFY", "shop": "pens", "total": "19.99", "subtotal": "17.99",
        "shipping": "2.00", "tax": "1.50", "discount": "0.50", "currency": "EUR", "status": "delivered",
        "placed_at": "2026-01-31T18:30:00.5Z", "delivered_at": "2026-02-02T10:00:00Z", "updated_at": "2026-02-02T10:00:00Z",
        "email": "ann@mail.example", "phone": "+49 151 1234567", "name": "=Ann Lee", "tags": ["gift", "first one"], 
        "note": "-leave\nat the door",
        "shipping_address": {"line1": "Torstr. 1", "line2": "c/o B", "city": "Berlin", "state": "BE", "postalCode": "10119",
                             "country": "DE"},
        "lines": [
            {"sku": "=A1", "title": 'Pen "blue", fine', "quantity": 2, "unitPrice": "5.125"},
            {"sku": "B2", "title": "Ink", "quantity": 1},
        ],
    },
    {"external_id": "2", "source": "SHOPIFY", "shop": "pens", "total": "5", "currency": "JPY", "status": "cancelled",
     "placed_at": "2026-02-01T00:00:00Z", "cancelled_at": "2026-02-01T01:00:00Z", "email": "bob@mail.example", "name": "Bob"},
    {"external_id": "3", "source": "SHOPIFY", "shop": "", "total": "7.00", "currency": "USD", "status": "confirmed",
     "placed_at": "2026-02-03T00:00:00Z", "email": "ann@mail.example", "name": "Ann Lee", "lines": [{"sku": "C3", "quantity": 3}]},
]  # fmt: skip


async def export(api: httpx.AsyncClient, **asked: Any) -> list[dict[str, str]]:
    answer = await api.post("/api/orders/export", json=asked)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_an_order_has_a_row_a_line_and_its_own_cells_in_the_first(api: httpx.AsyncClient) -> None:
    await make_order(api, **ORDERS[0])
    first, second = await export(api)
    assert (first["total"], first["name"], first["note"], first["tags"]) == (
        "19.99",
        "'=Ann Lee",
        "'-leave\nat the door",
        "gift;first one",
    )
    assert (first["placedAt"], first["unitPrice"], first["sku"]) == ("2026-01-31T18:30:00.5Z", "5.125", "'=A1")
    assert {name: cell for name, cell in second.items() if cell} == {
        "externalId": "1", "shop": "pens", "sku": "B2", "title": "Ink", "quantity": "1",
    }  # fmt: skip


async def test_what_is_exported_is_imported_into_an_empty_shop_as_it_was(
    api: httpx.AsyncClient, db: Database, shop: Workspace, other: Workspace, tmp_path: Path
) -> None:
    for order in ORDERS:
        await make_order(api, **order)
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    asked = OrderExport()
    assert await exports.make(db, shop.id, "orders", asked, first) == 4
    options = OrderImportOptions(source="SHOPIFY")
    async with db.tx(other.id, actor="cli") as tx:
        id = await imports.begin(tx, options, "orders.csv", tables.facts(first), None)
    run = await imports.run(db, other.id, id, first, actor="cli")
    assert (run.status, run.created, run.failed) == ("completed", 3, 0)
    await exports.make(db, other.id, "orders", asked, second)
    assert second.read_bytes() == first.read_bytes()
    async with client(db, other.key) as theirs:
        shown = told(await theirs.get("/api/orders?sort=placedAt"))["data"]
    mine = told(await api.get("/api/orders?sort=placedAt"))["data"]
    for one, two in zip(mine, shown, strict=True):
        for name in (
            "externalId",
            "number",
            "shop",
            "total",
            "status",
            "placedAt",
            "email",
            "name",
            "phone",
            "note",
            "tags",
            "currency",
        ):
            assert one[name] == two[name], name
        assert [(li["sku"], li["title"], li["quantity"], li["unitPrice"]) for li in one["lines"]] == [
            (li["sku"], li["title"], li["quantity"], li["unitPrice"]) for li in two["lines"]
        ]


async def test_what_narrows_the_list_narrows_the_file(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", external_id="buyer-1", source="SHOPIFY")
    made = [await make_order(api, **order) for order in ORDERS]
    await make_order(api, ann, total="100.00", external_id="4", source="SHOPIFY")

    async def found(**asked: Any) -> list[str]:
        rows = await export(api, fields=["externalId"], **asked)
        return [row["externalId"] for row in rows]

    assert await found() == ["1", "2", "3", "4"]
    assert await found(sort="-placedAt") == ["4", "3", "2", "1"]
    assert await found(status=["cancelled"]) == ["2"]
    assert await found(number="#10") == ["1"]
    assert await found(placedFrom="2026-02-01", placedTo="2026-02-01") == ["2"]
    assert await found(minTotal="10", maxTotal="50") == ["1"]
    assert await found(customerId=ann["id"]) == ["4"]
    assert await found(ids=[made[2]["id"]]) == ["3"]
    [row] = await export(api, customerId=ann["id"], fields=["customerExternalId", "customerId", "onHold", "source"])
    assert list(row.values()) == ["buyer-1", ann["id"], "false", "SHOPIFY"]


async def test_what_cannot_be_asked_of_orders(api: httpx.AsyncClient) -> None:
    for asked, pointer in (
        ({"fields": ["line"]}, "/fields/0"),
        ({"placedTo": "x"}, "/placedTo"),
        ({"fields": ["customFields.x"]}, "/fields/0"),
    ):
        [error] = told(await api.post("/api/orders/export", json=asked), 422)["errors"]
        assert error["pointer"] == pointer
