"""Customers as CSV: the columns, the rows of further addresses, what narrows them, and what is refused."""

import csv
import io
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from supover.exports import streaming
from supover.kit.db import Database
from tests.makers import Workspace, client, make_address, make_customer, make_key, make_order, pointers, settle, told

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

HEADER = (
    "externalId,source,email,name,phone,dateOfBirth,gender,status,country,tags,addressType,isDefault,recipientName,line1,line2,"
    "city,state,postalCode,addressCountry,addressPhone"
)


async def export(api: httpx.AsyncClient, path: str = "customers", **asked: Any) -> list[dict[str, str]]:
    answer = await api.post(f"/api/{path}/export", json=asked)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_one_row_a_customer_and_one_more_below_for_each_further_address(api: httpx.AsyncClient) -> None:
    ann = await make_customer(
        api, name="Ann Lee", email="ann@mail.example", external_id="7", source="SHOPIFY", phone="+49 151 1234567", tags=["a,b", "c"]
    )  # fmt: skip
    await make_address(api, ann, recipient_name="Ann")
    await make_address(api, ann, line1="Second, 2", recipient_name='A "B"', type="BILLING", is_default=True)
    nobody = await make_customer(api, name="Bob", source="SHOPIFY")
    await make_address(api, nobody, recipient_name="Bob")
    await make_address(api, nobody, recipient_name="Bobby")
    answer = await api.post("/api/customers/export", json={})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="customers-20')
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.splitlines() == [
        HEADER,
        '7,SHOPIFY,ann@mail.example,Ann Lee,+49 151 1234567,,,ACTIVE,,"""a,b"";c",SHIPPING,true,Ann,Torstr. 1,,Berlin,,10119,DE,',
        '7,SHOPIFY,ann@mail.example,,,,,,,,BILLING,true,"A ""B""","Second, 2",,Berlin,,10119,DE,',
        ",SHOPIFY,,Bob,,,,ACTIVE,,,SHIPPING,true,Bob,Torstr. 1,,Berlin,,10119,DE,",
        ",,,,,,,,,,SHIPPING,false,Bobby,Torstr. 1,,Berlin,,10119,DE,",
    ]


async def test_nobody_is_a_file_with_a_header(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/customers/export", json={})).text == HEADER + "\n"


async def test_hostile_values_come_back_as_they_are_and_no_cell_is_a_formula(api: httpx.AsyncClient) -> None:
    names = [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@x",
        "'=x",
        "'5",
        "＝１",
        'a "b", c',
        "שלום, עולם",
        "; drop table customer",
        "$1 $2 \\' E'x",
    ]
    for name in names:
        await make_customer(api, name=name)
    rows = await export(api, fields=["name"])
    cells = [row["name"] for row in rows]
    assert [cell[1:] if cell[:1] == "'" else cell for cell in cells] == names
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r＝＋－＠"]


async def test_a_row_of_nothing_is_a_row(api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann")
    await make_customer(api, name="Bob", email="bob@mail.example")
    assert (await api.post("/api/customers/export", json={"fields": ["email"]})).text == 'email\n""\nbob@mail.example\n'


async def test_custom_fields_are_columns_declared_ones_first(api: httpx.AsyncClient) -> None:
    told(await api.post("/api/custom-fields", json={"key": "size", "type": "number"}), 201)
    told(await api.post("/api/custom-fields", json={"key": "roast", "type": "text"}), 201)
    await make_customer(api, name="Ann", custom_fields={"size": -5, "aid": -5, "b,c": {"k": 1}})
    await make_customer(api, name="Bob", custom_fields={"roast": "=dark", "aid": ["x", "y"]})
    rows = await export(api)
    assert [name for name in rows[0] if name.startswith("customFields.")] == [
        "customFields.size", "customFields.roast", "customFields.aid", "customFields.b,c",
    ]  # fmt: skip
    assert [[v for k, v in row.items() if k.startswith("customFields.")] for row in rows] == [
        ["-5", "", "'-5", '{"k": 1}'],
        ["", "'=dark", "x;y", ""],
    ]
    [ann, bob] = await export(api, fields=["name", "customFields", "customFields.aid"])
    assert ann == {"name": "Ann", "customFields": '{"aid": -5, "b,c": {"k": 1}, "size": -5}', "customFields.aid": "'-5"}
    assert bob["customFields.aid"] == "x;y"


async def test_what_people_wrote_as_a_key_stays_a_key(api: httpx.AsyncClient) -> None:
    key = "x' || (select 1) || '$1"
    await make_customer(api, name="Ann", custom_fields={key: "1"})
    assert [row[f"customFields.{key}"] for row in await export(api)] == ["1"]


async def test_figures_and_states_by_name(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", email="ann@mail.example")
    await make_order(api, ann, total="12.50", placed_at="2026-01-31T12:00:00Z")
    chosen = {"channel": "email", "topic": "marketing", "state": "SUBSCRIBED", "source": "checkout"}
    told(await api.put(f"/api/customers/{ann['id']}/communication-preferences", json=chosen))
    await make_customer(api, name="Bob")
    await settle(db, shop)
    fields = [
        "id",
        "totalSpent",
        "orderCount",
        "lastOrderDate",
        "isRepeatCustomer",
        "currency",
        "emailMarketing",
        "smsMarketing",
    ]
    rows = await export(api, fields=fields, sort="-totalSpent")
    assert list(rows[0].values()) == [ann["id"], "12.50", "1", "2026-01-31T12:00:00Z", "false", "USD", "SUBSCRIBED", ""]
    assert list(rows[1].values())[1:] == ["0.00", "0", "", "false", "USD", "", ""]


@pytest.mark.parametrize("sort", [None, "name", "-name", "-totalSpent", "createdAt", "-id"])
async def test_rows_of_a_customer_stay_together_in_every_order(api: httpx.AsyncClient, sort: str | None) -> None:
    for name in ("Ann", "Bob", "Cid"):
        made = await make_customer(api, name=name, external_id=name)
        for n in range(3):
            await make_address(api, made, line1=f"{name} {n}")
    rows = await export(api, fields=["externalId", "name", "line1"], **({"sort": sort} if sort else {}))
    assert [row["name"] != "" for row in rows] == [True, False, False] * 3
    order = [row["name"] for row in rows if row["name"]]
    assert [row["line1"] for row in rows] == [f"{name} {n}" for name in order for n in range(3)]
    if sort in (None, "name", "-name"):
        assert order == (["Cid", "Bob", "Ann"] if sort == "-name" else ["Ann", "Bob", "Cid"])


async def test_what_narrows_the_list_narrows_the_file(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", tags=["vip"], source="SHOPIFY", country="DE", status="VIP")
    bob = await make_customer(api, name="Bob", tags=["other"], source="ETSY")
    await make_order(api, ann, total="600.00")
    await settle(db, shop)
    group = told(await api.post("/api/segments", json={"name": "Panel", "kind": "manual"}), 201)
    told(await api.post(f"/api/segments/{group['id']}/customers", json={"ids": [bob["id"]]}))

    async def names(**asked: Any) -> list[str]:
        return [row["name"] for row in await export(api, fields=["name"], **asked)]

    assert await names(filter="amount_spent > 500 AND customer_tags CONTAINS 'vip'") == ["Ann"]
    assert await names(segment=group["id"]) == ["Bob"]
    assert await names(search="an") == ["Ann"]
    assert await names(status=["VIP"]) == await names(source=["SHOPIFY"]) == await names(tag=["vip"]) == ["Ann"]
    assert await names(country="Germany") == await names(minSpent="100") == await names(ids=[ann["id"]]) == ["Ann"]
    assert await names(createdFrom="2030-01-01") == await names(createdTo="2020-01-01") == []
    assert await names(minOrders=0, filter="status != 'VIP'") == ["Bob"]


async def test_deleted_and_merged_customers_are_left_out(
    api: httpx.AsyncClient, owner: "Connection", shop: Workspace
) -> None:
    ann, bob, _ = [await make_customer(api, name=name) for name in ("Ann", "Bob", "Cid")]
    await api.delete(f"/api/customers/{ann['id']}")
    await owner.execute(
        "update data.customer set deleted_at = now(), merged_into_id = $2 where id = $1", bob["id"], ann["id"]
    )
    assert [row["name"] for row in await export(api)] == ["Cid"]
    assert [row["name"] for row in await export(api, ids=[ann["id"], bob["id"]])] == []


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"fields": ["name", "nmae"]}, "/fields/1"),
        ({"fields": ["name", "name"]}, "/fields/1"),
        ({"fields": ["customFields."]}, "/fields/0"),
        ({"filter": "amount_spent >"}, "/filter"),
        ({"filter": "nothing = 1"}, "/filter"),
        ({"segment": "01a1fe7f-5a66-7000-b2ea-9b4f54297069"}, "/segment"),
        ({"sort": "size"}, "/sort"),
        ({"createdFrom": "yesterday"}, "/createdFrom"),
        ({"minSpent": "1e99"}, "/minSpent"),
        ({"minOrders": -1}, "/minOrders"),
        ({"format": "pdf"}, "/format"),
        ({"ids": []}, "/ids"),
        ({"filtre": "x"}, "/filtre"),
    ],
)
@pytest.mark.parametrize("format", [None, "jsonl"])
async def test_what_cannot_be_asked_is_told_where_it_stands(
    api: httpx.AsyncClient, asked: dict[str, Any], pointer: str, format: str | None
) -> None:
    asked = ({"format": format} if format else {}) | asked
    assert pointers(await api.post("/api/customers/export", json=asked)) == [pointer]


async def test_an_unknown_field_is_told_with_the_nearest_and_all(api: httpx.AsyncClient) -> None:
    [error] = told(await api.post("/api/customers/export", json={"fields": ["totalspend"]}), 422)["errors"]
    assert "did you mean totalSpent?" in error["message"]
    assert "addressPhone" in error["message"]


async def test_addresses_have_a_row_each_with_whose_they_are(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@mail.example")
    await make_customer(api, name="Bob")
    await make_address(api, ann)
    await make_address(api, ann, country="FR", city="Paris")
    rows = await export(api, "addresses")
    assert [(r["email"], r["name"], r["city"], r["isDefault"]) for r in rows] == [
        ("ann@mail.example", "Ann", "Berlin", "true"),
        ("ann@mail.example", "Ann", "Paris", "false"),
    ]
    assert [r["city"] for r in await export(api, "addresses", addressCountry="France")] == ["Paris"]
    assert [r["name"] for r in await export(api, "addresses", isDefault=True, fields=["name"])] == ["Ann"]


async def test_nothing_of_another_workspace_is_in_it(
    api: httpx.AsyncClient, db: Database, other: Workspace, owner: "Connection"
) -> None:
    async with client(db, other.key) as theirs:
        stranger = await make_customer(theirs, name="Stranger", custom_fields={"secret": 1})
        await make_address(theirs, stranger)
        await make_order(theirs, stranger)
    await make_customer(api, name="Ann")
    for path in ("customers", "addresses", "orders"):
        answer = await api.post(f"/api/{path}/export", json={})
        assert "Stranger" not in answer.text
        assert "secret" not in answer.text
    assert await export(api, ids=[stranger["id"]]) == []


async def test_who_may_not_read_may_not_export(db: Database, shop: Workspace) -> None:
    for scopes, path, status in (
        (("exports:write",), "customers", 403),
        (("customers:read",), "customers", 403),
        (("exports:write", "customers:read"), "customers", 200),
        (("exports:write", "customers:read"), "orders", 403),
        (("exports:write", "orders:read"), "orders", 200),
    ):
        async with client(db, await make_key(db, shop.id, *scopes)) as api:
            assert (await api.post(f"/api/{path}/export", json={})).status_code == status, (scopes, path)


async def test_every_export_is_in_the_audit_log_with_what_was_asked(api: httpx.AsyncClient) -> None:
    await api.post("/api/customers/export", json={"filter": "status = 'VIP'", "fields": ["name"]})
    await api.post("/api/orders/export", json={"format": "jsonl"})
    found = told(await api.get("/api/audit?action=exports.customers"))["data"]
    assert [one["changes"][0]["new"] for one in found] == [{"filter": "status = 'VIP'", "fields": ["name"]}]
    [one] = told(await api.get("/api/audit?action=exports.orders"))["data"]
    assert one["changes"][0]["new"] == {"format": "jsonl"}


async def test_two_at_a_time_then_429(api: httpx.AsyncClient, db: Database, shop: Workspace, other: Workspace) -> None:
    async with db.tx(shop.id) as one, db.tx(shop.id) as two:
        await one.value(streaming.SLOT, "/export/0")
        await two.value(streaming.SLOT, "/export/1")
        answer = await api.post("/api/customers/export", json={})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "5"
        async with client(db, other.key) as theirs:
            assert (await theirs.post("/api/customers/export", json={})).status_code == 200
    assert (await api.post("/api/customers/export", json={})).status_code == 200
