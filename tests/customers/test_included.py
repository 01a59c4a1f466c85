"""What comes along with customers when it is asked for, in as many statements for two hundred as for one."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from supover import settings, wiring
from supover.kit import db as doors
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_address, make_customer, make_key, make_order, told

EVERYTHING = "addresses,identities,notes,orders"


async def test_what_was_asked_for_comes_along(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org")
    bo = await make_customer(api, name="Bo")
    path = f"/api/customers/{ann['id']}"
    address = await make_address(api, ann)
    for n in range(22):
        told(await api.post(f"{path}/notes", json={"note": f"N{n}", "pinned": n == 3}), 201)
    for n in range(7):
        await make_order(
            api,
            ann,
            number=f"#{n}",
            total="7",
            currency="JPY",
            exchange_rate="0.01",
            placed_at=f"2026-01-0{n + 1}T00:00:00Z",
        )
    whole = told(await api.get(path, params={"include": EVERYTHING}))
    assert {name: whole[name] for name in ann if name in whole} | {"updatedAt": 0} == ann | {"updatedAt": 0}
    assert whole["addresses"] == [address]
    assert whole["identities"] == told(await api.get(f"{path}/identities"))["data"]
    assert [n["note"] for n in whole["notes"]] == ["N3", *(f"N{n}" for n in range(21, 3, -1)), "N2"]
    assert set(whole["notes"][0]) == {"id", "note", "pinned", "authorName", "createdAt"}
    assert [o["number"] for o in whole["orders"]] == ["#6", "#5", "#4", "#3", "#2"]
    assert {name: whole["orders"][0][name] for name in ("total", "refunded", "currency", "status", "source")} == {
        "total": "7",
        "refunded": "0",
        "currency": "JPY",
        "status": "confirmed",
        "source": "API",
    }
    listed = told(await api.get("/api/customers", params={"include": EVERYTHING, "sort": "name"}))["data"]
    assert listed[0] == whole
    nothing: Json = {"addresses": [], "identities": [], "notes": [], "orders": []}
    assert listed[1] == bo | nothing
    assert set(told(await api.get(path))) == set(ann), "nothing comes that was not asked for"
    assert told(await api.get("/api/customers", params={"include": EVERYTHING, "search": "zzz"}))["data"] == []
    await api.delete(path)
    gone = told(await api.get(path, params={"include": "deleted,notes"}))
    assert len(gone["notes"]) == 20


async def test_orders_come_along_for_those_who_may_read_orders(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann")
    for path in ("/api/customers", f"/api/customers/{ann['id']}"):
        for scopes, status in ((["customers:read"], 403), (["customers:read", "orders:read"], 200)):
            async with client(db, await make_key(db, shop.id, *scopes)) as program:
                answer = await program.get(path, params={"include": "orders,notes"})
                assert answer.status_code == status
                assert (await program.get(path, params={"include": "notes,identities"})).status_code == 200


@pytest.fixture
async def heard(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "AsyncGenerator[tuple[Any, list[str]]]":
    """An application of its own, and every statement that it runs."""
    said: list[str] = []
    ready = doors._init  # pyright: ignore[reportPrivateUsage]

    async def init(connection: Any) -> None:
        await ready(connection)

        def hear(query: Any) -> None:
            said.append(query.query)

        connection.add_query_logger(hear)

    monkeypatch.setattr(doors, "_init", init)
    db = await Database.open(database, size=1)
    yield wiring.application(db, settings.load({}, tmp_path)), said
    await db.close()


async def test_a_list_takes_as_many_statements_for_many_as_for_one(
    api: httpx.AsyncClient, shop: Workspace, heard: tuple[Any, list[str]]
) -> None:
    for n in range(12):
        customer = await make_customer(api, name=f"N{n}", email=f"n{n}@x.org")
        await make_order(api, customer)
        await make_address(api, customer)
        await api.post(f"/api/customers/{customer['id']}/notes", json={"note": "Hi"})
    app, said = heard
    transport, headers = httpx.ASGITransport(app=app), {"Authorization": f"Bearer {shop.key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers) as asking:
        took: dict[int, list[str]] = {}
        for limit in (1, 1, 12):
            said.clear()
            page = told(await asking.get("/api/customers", params={"include": EVERYTHING, "limit": limit}))
            assert len(page["data"]) == limit
            took[limit] = [re.sub(r"\d+", "n", sql) for sql in said if "from customer" in sql or "unnest" in sql]
        assert took[12] == took[1]
        assert len(took[1]) == 4, "the list with its addresses, and one for each other thing"
