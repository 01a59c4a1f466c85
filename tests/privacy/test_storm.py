"""Erasures beside everything else: whoever is erased is gone, whatever came in at that moment, and all figures are right."""

import asyncio
import random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import httpx

from supover.kit.db import Database
from supover.privacy import erasing
from supover.privacy.erasing import Files
from tests.makers import Json, Workspace, make_customer, told
from tests.merging.arrange import body, differences, settle
from tests.privacy.arrange import dump, mentions, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

PEOPLE: Final = 40
TURNS: Final = 240


async def test_who_is_erased_amid_orders_merges_edits_and_imports_is_gone(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    dice = random.Random(14)
    people = [
        await make_customer(
            api,
            name=f"Storm Canary{n:03}x",
            email=f"canary{n:03}@storm.example",
            phone=f"+49151000{n:04}",
            source="MANUAL",
            externalId=f"i{n}",
        )
        for n in range(PEOPLE)
    ]
    asked: list[Json] = []
    turns = iter(range(TURNS))
    running = True

    async def one(n: int) -> None:
        number = dice.randrange(PEOPLE)
        who = people[number]
        match n % 6:
            case 0:
                if len(asked) < 12:
                    answer = await api.post(f"/api/customers/{who['id']}/privacy/erase", json={})
                    assert answer.status_code in (200, 202, 308, 404, 409), answer.text
                    if answer.status_code == 202:
                        asked.append(answer.json())
            case 1 | 2:
                order = {
                    "source": "API", "externalId": f"s{n}", "total": f"{n}.00", "status": "delivered", "placedAt": "2025-03-01T10:00:00Z",
                    "email": who["email"], "phone": who["phone"], "name": who["name"],
                    "shippingAddress": {"line1": f"Canary{number:03}y Street 1", "city": "Leeds", "country": "GB"},
                }  # fmt: skip
                told(await api.post("/api/orders", json=order), 201)
            case 3:
                other = dice.choice(people)
                if other["id"] != who["id"]:
                    answer = await api.post("/api/customers/merge", json=body(who, other))
                    assert answer.status_code in (200, 404, 409, 422), answer.text
            case 4:
                answer = await api.patch(f"/api/customers/{who['id']}", json={"gender": dice.choice(["f", "m"])})
                assert answer.status_code in (200, 308, 404, 409), answer.text
                answer = await api.post(
                    f"/api/customers/{who['id']}/notes", json={"note": f"Canary{number:03}z called"}
                )
                assert answer.status_code in (201, 308, 404, 409), answer.text
            case _:
                rows = [{"externalId": f"i{number}", "email": who["email"], "name": who["name"]}]
                told(
                    await api.post("/api/customers/import", json={"rows": rows, "source": "MANUAL", "mode": "create"}),
                    202,
                )

    async def client() -> None:
        for n in turns:
            await one(n)

    async def worker() -> None:
        while running:
            await work(db, owner, shop)
            await asyncio.sleep(0.01)

    working = asyncio.create_task(worker())
    await asyncio.gather(*(client() for _ in range(6)))
    running = False
    await working
    await settle(db, shop)
    await work(db, owner, shop)
    assert await differences(db, shop) == []
    assert len(asked) == 12
    dumped = await dump(owner, shop.id)
    erased: set[str] = set()
    for request in asked:
        certificate = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
        assert certificate["status"] == "completed", certificate
        erased |= set(certificate["customerIds"])
    for number, who in enumerate(people):
        if who["id"] in erased:
            assert mentions(dumped, (f"canary{number:03}",)) == [], who["id"]
    assert len(erased) >= 12


async def test_an_order_that_waits_for_the_first_erasure_of_a_workspace_finds_nobody(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace
) -> None:
    ann = await make_customer(api, name="Ann Canary", email="ann@canary.example")
    request = told(await api.post(f"/api/customers/{ann['id']}/privacy/erase", json={"delayDays": 1}), 202)
    order = {
        "source": "API", "externalId": "w1", "total": "5.00", "status": "delivered", "placedAt": "2025-03-01T10:00:00Z",
        "email": "ann@canary.example", "name": "Ann Canary",
    }  # fmt: skip
    async with db.tx(shop.id) as tx:
        await erasing.run(tx, [UUID(ann["id"])], UUID(request["id"]), Files())
        coming = asyncio.create_task(api.post("/api/orders", json=order))
        while not await owner.fetchval(WAITING):  # noqa: ASYNC110 - the database waits, not we
            await asyncio.sleep(0.01)
    taken = told(await coming, 201)
    assert taken["customerId"] == ann["id"], "its sum stays with the row that stands for the person"
    dumped = await dump(owner, shop.id)
    assert mentions({table: rows for table, rows in dumped.items() if table != "privacy_request"}, ("canary",)) == []


WAITING: Final = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
