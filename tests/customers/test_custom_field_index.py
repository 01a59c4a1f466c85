"""The index of a custom field: built while customers are written, unique where that is asked, and asked by filters."""

import asyncio
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.customers import custom_field_filters, custom_field_index, custom_fields, filtering
from supover.customers.custom_field_model import Definitions
from supover.kit import filters
from supover.kit.db import Database, Tx
from supover.kit.sql import Where
from supover.kit.worker import Worker
from tests.makers import Json, Workspace, make_customer, make_workspace, pointers, told

JOBS = {custom_field_index.BUILD_JOB, custom_field_index.CLEAR_JOB}
RECOUNT = """
    select c.id, ext.custom_key(c.custom_fields -> f.key, f.type, f.choices) as text_key,
           case when f.type = 'number' then ext.custom_number(c.custom_fields -> f.key) end as number,
           case when f.type = 'date' then ext.custom_day(c.custom_fields -> f.key) end as day
      from data.customer c join data.custom_field f on f.workspace_id = c.workspace_id and f.id = $1
     where c.deleted_at is null and ext.custom_key(c.custom_fields -> f.key, f.type, f.choices) is not null
     order by c.id"""
KEPT = """
    select v.customer_id, v.text_key, v.number, v.day
      from data.custom_field_value v join data.custom_field f on f.workspace_id = v.workspace_id and f.index_id = v.index_id
     where f.id = $1 and v.text_key is not null
     order by v.customer_id"""

if TYPE_CHECKING:
    Owner = asyncpg.Connection[asyncpg.Record]


async def work(db: Database) -> None:
    await Worker(db, kinds=JOBS, names=(), poll_s=0.02).drain()


async def declare(api: httpx.AsyncClient, key: str, type: str, **about: Any) -> str:
    return told(await api.post("/api/custom-fields", json={"key": key, "type": type} | about), 201)["id"]


async def read(api: httpx.AsyncClient, id: str) -> Json:
    return told(await api.get(f"/api/custom-fields/{id}"))


async def is_complete(owner: "Owner", id: str) -> bool:
    recounted, kept = await owner.fetch(RECOUNT, UUID(id)), await owner.fetch(KEPT, UUID(id))
    return [tuple(r) for r in recounted] == [tuple(r) for r in kept]


async def fill(owner: "Owner", shop: Workspace, people: int, value: str) -> None:
    await owner.execute(
        f"""insert into data.customer (workspace_id, id, source, name, custom_fields)
            select $1, gen_random_uuid(), 'API', 'N', jsonb_build_object('k', {value}) from generate_series(1, $2::int) as n""",
        shop.id,
        people,
    )


@pytest.mark.parametrize(
    ("type", "values"),
    [
        ("number", [1, 2.5, "3.50", "x", None, True]),
        ("date", ["2026-01-31", "2026-02-30", 5, "1999-12-31"]),
        ("text", ["a", "B", "x" * 300, 5, ""]),
        ("boolean", [True, False, "true"]),
        ("choice", ["S", "M", "s", "L"]),
    ],
)
async def test_what_is_there_is_indexed_and_kept_up(
    api: httpx.AsyncClient, db: Database, owner: "Owner", type: str, values: list[Any]
) -> None:
    people = [await make_customer(api, name="N", custom_fields={"k": value}) for value in values]
    about = {"choices": ["S", "M"]} if type == "choice" else {}
    id = await declare(api, "k", type, isIndexed=True, **about)
    assert (await read(api, id))["indexState"] == "building"
    await work(db)
    found = await read(api, id)
    assert (found["indexState"], found["indexDone"], found["indexTotal"]) == ("ready", len(people), len(people))
    assert found["version"] == 1
    assert await is_complete(owner, id)
    told(await api.patch(f"/api/customers/{people[1]['id']}", json={"customFields": {"k": values[0]}}))
    told(await api.patch(f"/api/customers/{people[0]['id']}", json={"customFields": {"k": None}}))
    await make_customer(api, name="N", custom_fields={"k": values[0]})
    await api.delete(f"/api/customers/{people[2]['id']}")
    assert await is_complete(owner, id)
    await api.post(f"/api/customers/{people[2]['id']}/restore")
    assert await is_complete(owner, id)


async def test_an_index_is_built_while_customers_are_written(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Owner", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_field_index, "BATCH", 100)
    await fill(owner, shop, 2_000, "n")
    people = [await make_customer(api, name="N", custom_fields={"k": n}) for n in range(20)]
    old = await owner.fetch("select id from data.customer where workspace_id = $1 order by random() limit 40", shop.id)
    ids = [str(r["id"]) for r in old] + [p["id"] for p in people]
    chance = random.Random(7)
    is_over = asyncio.Event()

    async def write() -> None:
        while not is_over.is_set():
            path = f"/api/customers/{chance.choice(ids)}"
            match chance.randrange(6):
                case 0:
                    await api.delete(path)
                case 1:
                    await api.post(f"{path}/restore")
                case 2:
                    await api.patch(path, json={"customFields": {"k": None}})
                case 3:
                    await api.post("/api/customers", json={"name": "New", "customFields": {"k": chance.randrange(99)}})
                case _:
                    await api.patch(path, json={"customFields": {"k": chance.randrange(99)}})

    writers = [asyncio.ensure_future(write()) for _ in range(3)]
    id = await declare(api, "k", "number", isIndexed=True)
    await work(db)
    is_over.set()
    await asyncio.gather(*writers)
    assert (await read(api, id))["indexState"] == "ready"
    assert await is_complete(owner, id)


async def test_a_build_waits_for_who_wrote_before_it_was_declared(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Owner"
) -> None:
    await make_customer(api, name="N", custom_fields={"k": 1})
    late = owner.transaction()
    await late.start()
    await fill(owner, shop, 1, "7")
    id = await declare(api, "k", "number", isIndexed=True)
    building = asyncio.ensure_future(work(db))
    await asyncio.sleep(0.6)
    assert (await read(api, id))["indexState"] == "building"
    await late.commit()
    await building
    assert (await read(api, id))["indexState"] == "ready"
    assert await is_complete(owner, id)


async def test_a_build_that_is_killed_goes_on(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Owner", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_field_index, "BATCH", 100)
    await fill(owner, shop, 450, "n")
    id = await declare(api, "k", "number", isUnique=True)
    filled, runs = custom_field_index.fill, 0

    async def dies(tx: Tx, *given: Any) -> Any:
        nonlocal runs
        # A worker works for every workspace: what others' tests left is not counted.
        runs += tx.workspace_id == shop.id
        done = await filled(tx, *given)
        if runs == 3:
            raise RuntimeError("killed")
        return done

    monkeypatch.setattr(custom_field_index, "fill", dies)
    await work(db)
    assert ((await read(api, id))["indexState"], (await read(api, id))["indexDone"]) == ("building", 200)
    await owner.execute(
        "update data.job set run_at = now(), waiting = false where workspace_id = $1 and state = 'queued'", shop.id
    )
    await work(db)
    assert ((await read(api, id))["indexState"], (await read(api, id))["indexDone"]) == ("ready", 450)
    assert await is_complete(owner, id)
    assert await owner.fetchval("select bool_and(holds) from data.custom_field_value where workspace_id = $1", shop.id)


async def test_a_batch_keeps_few_customers_waiting(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Owner"
) -> None:
    await fill(owner, shop, 501, "n")
    id = UUID(await declare(api, "k", "number", isIndexed=True))
    ids = await owner.fetch("select id from data.customer where workspace_id = $1 order by id", shop.id)
    async with db.tx(shop.id) as tx:
        build = await custom_field_index.begin(tx, id)
    assert build is not None
    async with db.tx(shop.id) as tx:
        assert await custom_field_index.fill(tx, id, build.index_id) == (500, 501)
        path = f"/api/customers/{ids[500]['id']}"
        told(await asyncio.wait_for(api.patch(path, json={"customFields": {"k": 5}}), 5))
    await work(db)
    assert await is_complete(owner, str(id))


async def test_another_type_is_another_index(
    api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    for value in ("5", "2026-01-31", 7):
        await make_customer(api, name="N", custom_fields={"k": value})
    id = await declare(api, "k", "number", isIndexed=True)
    await work(db)
    path = f"/api/custom-fields/{id}"
    assert told(await api.patch(path, json={"type": "date"}))["indexState"] == "building"
    await work(db)
    assert (await read(api, id))["indexState"] == "ready"
    assert await is_complete(owner, id)
    kept = "select count(*) from data.custom_field_value where workspace_id = $1"
    assert await owner.fetchval(kept, shop.id) == 1, "the former index is gone"
    assert told(await api.patch(path, json={"label": "L", "isRequired": True}))["indexState"] == "ready"
    off = told(await api.patch(path, json={"isIndexed": False}))
    assert (off["indexState"], off["indexDone"], off["indexTotal"]) == ("none", 0, None)
    await work(db)
    assert await owner.fetchval(kept, shop.id) == 0
    told(await api.patch(path, json={"isIndexed": True}))
    await api.delete(path)
    await work(db)
    assert await owner.fetchval(kept, shop.id) == 0


# --- unique ----------------------------------------------------------------------------------------------------------


async def test_a_unique_value_is_one_customers_alone(api: httpx.AsyncClient, db: Database) -> None:
    id = await declare(api, "card", "text", label="Card", isUnique=True)
    ann = await make_customer(api, name="Ann", custom_fields={"card": "A-1"})
    for _ in range(2):  # while it is built, and afterwards
        answer = await api.post("/api/customers", json={"name": "Bo", "customFields": {"card": "a-1"}})
        assert (answer.status_code, answer.json()["customerId"]) == (409, ann["id"])
        assert answer.json()["field"] == "/customFields/card"
        await work(db)
    bo = await make_customer(api, name="Bo", custom_fields={"card": "B-1"})
    path = f"/api/customers/{bo['id']}"
    assert (await api.patch(path, json={"customFields": {"card": "A-1"}})).status_code == 409
    assert (await api.put(path, json={"name": "Bo", "customFields": {"card": "A-1"}})).status_code == 409
    put = await api.put("/api/customers/external/CRM/1", json={"name": "Cy", "customFields": {"card": "A-1"}})
    assert put.status_code == 409
    assert told(await api.get(path)) == bo
    told(await api.patch(path, json={"name": "Bob", "customFields": {"card": "b-1"}}))
    await api.delete(f"/api/customers/{ann['id']}")
    told(await api.patch(path, json={"customFields": {"card": "A-1"}}))
    answer = await api.post(f"/api/customers/{ann['id']}/restore")
    assert (answer.status_code, answer.json()["customerId"]) == (409, bo["id"])
    told(await api.patch(path, json={"customFields": {"card": None}}))
    told(await api.post(f"/api/customers/{ann['id']}/restore"))
    assert (await read(api, id))["indexState"] == "ready"


@pytest.mark.parametrize("is_built", [False, True])
async def test_of_two_who_take_one_value_at_once_one_gets_it(
    api: httpx.AsyncClient, db: Database, is_built: bool
) -> None:
    await declare(api, "n", "number", isUnique=True)
    if is_built:
        await work(db)
    people = [await make_customer(api, name="N") for _ in range(6)]
    for value in (5, 6, 7):
        answers = await asyncio.gather(
            *(
                api.patch(f"/api/customers/{p['id']}", json={"customFields": {"n": spelled}})
                for p, spelled in zip(people, [value, f"{value}.0", f"0{value}"] * 2, strict=True)
            )
        )
        assert sorted(a.status_code for a in answers) == [200, *[409] * 5]
        [winner] = [a.json()["id"] for a in answers if a.is_success]
        assert {a.json()["customerId"] for a in answers if not a.is_success} == {winner}
        people = [p for p in people if p["id"] != winner] + [await make_customer(api, name="N")]


async def test_who_shared_a_value_is_listed_until_it_is_mended(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    people = [await make_customer(api, name="N", custom_fields={"card": c}) for c in ("A", "a", "B", "C", "c", "C")]
    id = await declare(api, "card", "text", isUnique=True)
    await work(db)
    path = f"/api/custom-fields/{id}/conflicts"
    found = await read(api, id)
    assert (found["indexState"], found["indexReason"]) == (
        "conflicting",
        "5 customers have a value that another one has too.",
    )
    first = told(await api.get(path, params={"limit": 1}))
    rest = told(await api.get(path, params={"cursor": first["nextCursor"]}))
    listed = {c["value"].lower(): sorted(c["customerIds"]) for c in (*first["data"], *rest["data"])}
    assert listed == {
        "a": sorted(p["id"] for p in people[:2]),
        "c": sorted(p["id"] for p in people[3:]),
    }
    assert [c["customers"] for c in (*first["data"], *rest["data"])] == [2, 3]
    for card in ("A", "B", "c"):
        answer = await api.post("/api/customers", json={"name": "New", "customFields": {"card": card}})
        assert answer.status_code == 409, "what is shared is not shared with more"
    told(await api.patch(f"/api/customers/{people[0]['id']}", json={"name": "Who clashes can be edited"}))
    told(await api.patch(f"/api/customers/{people[1]['id']}", json={"customFields": {"card": "A2"}}))
    await work(db)
    assert (await read(api, id))["indexState"] == "conflicting"
    await api.delete(f"/api/customers/{people[3]['id']}")
    told(await api.patch(f"/api/customers/{people[4]['id']}", json={"customFields": {"card": None}}))
    await work(db)
    assert ((await read(api, id))["indexState"], (await read(api, id))["indexReason"]) == ("ready", None)
    assert told(await api.get(path))["data"] == []
    assert (await api.get(f"/api/custom-fields/{(await make_workspace(db)).id}/conflicts")).status_code == 404


async def test_a_channel_is_refused_no_value(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Owner"
) -> None:
    id = await declare(api, "card", "text", isUnique=True)
    await work(db)
    await make_customer(api, name="Ann", custom_fields={"card": "A"})
    bo = await make_customer(api, name="Bo")
    await owner.execute("""update data.customer set custom_fields = '{"card": "A"}' where id = $1""", UUID(bo["id"]))
    async with db.tx(shop.id) as tx:
        await custom_field_index.keep(tx, await custom_fields.definitions(tx), [UUID(bo["id"])], refuses=False)
    await work(db)
    assert (await read(api, id))["indexState"] == "conflicting"


# --- asked by filters ------------------------------------------------------------------------------------------------


async def asked(db: Database, shop: Workspace, text: str, definitions: Definitions) -> set[str]:
    async with db.reader(shop.id) as reader:
        scope = await filtering.scope(reader)
        fields = {f.name: f for f in custom_field_filters.fields(definitions)}
        tree = filters.parse(text, filters.Scope(scope.zone, scope.today, {**scope.asked, **fields}))
        where = Where("c.workspace_id = $1", "c.deleted_at is null")
        condition = filters.condition(tree, where)
        sql = f"""select c.name from customer c left join customer_metrics m on m.workspace_id = $1 and m.customer_id = c.id
                   where {where.text()} and ({condition})"""
        return set(await reader.column(sql, *where.values))


@pytest.mark.parametrize("is_indexed", [False, True])
async def test_filters_and_sorts_see_values_by_their_type(
    api: httpx.AsyncClient, db: Database, shop: Workspace, is_indexed: bool
) -> None:
    rows: dict[str, Json] = {
        "Ann": {"t": "Blue", "n": 10, "d": "2026-01-31", "b": True, "c": "S", "l": ["x", "y"]},
        "Bo": {"t": "blue sky", "n": "2.50", "d": "2025-01-31", "b": False, "c": "M", "l": ["X"]},
        "Cy": {"t": 5, "n": "ten", "d": "soon", "b": "true", "c": "huge", "l": "x"},
        "Dee": {},
    }
    for name, fields in rows.items():
        await make_customer(api, name=name, custom_fields=fields)
    for key, type in (("t", "text"), ("n", "number"), ("d", "date"), ("b", "boolean"), ("c", "choice"), ("l", "list")):
        about: Json = {"choices": ["S", "M"]} if type == "choice" else {}
        await declare(api, key, type, isIndexed=is_indexed and type != "list", **about)
    await work(db)
    async with db.reader(shop.id) as reader:
        definitions = await custom_fields.definitions(reader)
        for text, who in (
            ("custom.t = 'BLUE'", {"Ann"}),
            ("custom.t CONTAINS 'blue'", {"Ann", "Bo"}),
            ("custom.t IS NULL", {"Cy", "Dee"}),
            ("custom.t != 'blue'", {"Bo", "Cy", "Dee"}),
            ("custom.n >= 2.5", {"Ann", "Bo"}),
            ("custom.n = 2.5", {"Bo"}),
            ("custom.n IS NOT NULL", {"Ann", "Bo"}),
            ("custom.n IS NULL", {"Cy", "Dee"}),
            ("NOT custom.n > 5", {"Bo", "Cy", "Dee"}),
            ("custom.d BETWEEN 2025-12-01 AND 2026-12-01", {"Ann"}),
            ("custom.d IS NULL", {"Cy", "Dee"}),
            ("custom.b = true", {"Ann"}),
            ("custom.b = false", {"Bo"}),
            ("custom.b IS NULL", {"Cy", "Dee"}),
            ("custom.c IN ('s', 'M')", {"Ann", "Bo"}),
            ("custom.c IS NULL", {"Cy", "Dee"}),
            ("custom.l CONTAINS 'x'", {"Ann", "Bo"}),
            ("custom.l NOT CONTAINS 'y'", {"Bo", "Cy", "Dee"}),
            ("custom.l IS NULL", {"Cy", "Dee"}),
        ):
            assert await asked(db, shop, text, definitions) == who, text
        for key, order in (
            ("t", ["Ann", "Bo", "Cy", "Dee"]),
            ("n", ["Bo", "Ann", "Cy", "Dee"]),
            ("d", ["Bo", "Ann", "Cy", "Dee"]),
            ("b", ["Bo", "Ann", "Cy", "Dee"]),
            ("c", ["Bo", "Ann", "Cy", "Dee"]),
        ):
            sort = custom_field_filters.sort(definitions.by_key[key])
            assert sort is not None
            sql = f"select c.name from customer c where c.workspace_id = $1 order by {sort.key}, {sort.id}"
            assert await reader.column(sql) == order, key
        assert custom_field_filters.sort(definitions.by_key["l"]) is None
        last = await reader.value("select 1000000000000000000000000000000000::numeric where $1::uuid is not null")
        assert last == Decimal(10) ** 33


async def test_required_and_unique_say_so_in_one_answer(api: httpx.AsyncClient) -> None:
    await declare(api, "a", "text", isRequired=True, isUnique=True)
    assert pointers(await api.post("/api/customers", json={"name": "N", "customFields": {"a": ""}})) == [
        "/customFields/a"
    ]


async def test_a_clash_that_is_mended_by_an_edit_alone_is_seen(api: httpx.AsyncClient, db: Database) -> None:
    """Also by a process that remembers the field from before its values were looked at."""
    people = [await make_customer(api, name="N", custom_fields={"card": "A"}) for _ in range(2)]
    id = await declare(api, "card", "text", isUnique=True)
    await make_customer(api, name="Remembered from here on", custom_fields={"card": "B"})
    await work(db)
    assert (await read(api, id))["indexState"] == "conflicting"
    told(await api.patch(f"/api/customers/{people[1]['id']}", json={"customFields": {"card": "A2"}}))
    await work(db)
    assert (await read(api, id))["indexState"] == "ready"
    assert (await api.post("/api/customers", json={"name": "X", "customFields": {"card": "a2"}})).status_code == 409


async def test_two_unique_values_that_somebody_has_are_one_refusal(api: httpx.AsyncClient) -> None:
    for key in ("card", "badge"):
        await declare(api, key, "text", isUnique=True)
    holder = await make_customer(api, name="N", custom_fields={"card": "A", "badge": "B"})
    answer = await api.post("/api/customers", json={"name": "X", "customFields": {"card": "A", "badge": "B"}})
    assert told(answer, 409)["customerId"] == holder["id"]


async def test_a_number_with_too_many_digits_is_refused_as_it_is_written(api: httpx.AsyncClient) -> None:
    await declare(api, "points", "number")
    answer = await api.post("/api/customers", content=b'{"name": "X", "customFields": {"points": 1e33}}', headers=JSON)
    assert [e["pointer"] for e in told(answer, 422)["errors"]] == ["/customFields/points"]


JSON = {"Content-Type": "application/json"}
