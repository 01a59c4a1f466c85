"""Custom fields declared over HTTP, and what that asks of the customers' values."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from supover import settings, wiring
from supover.channels.model import ChannelCustomer, Contact
from supover.customers import commands, custom_field_misfits, custom_fields, intake
from supover.customers.model import CustomerChange, NewCustomer
from supover.kit import db as doors
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, logged, make_customer, make_key, make_workspace, pointers, told


async def declare(api: httpx.AsyncClient, key: str, type: str, **about: Any) -> Json:
    return told(await api.post("/api/custom-fields", json={"key": key, "type": type} | about), 201)


async def test_a_field_is_declared_read_changed_and_deleted(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    answer = await api.post("/api/custom-fields", json={"key": "shirt_size", "type": "choice", "choices": ["S", " M "]})
    size = told(answer, 201)
    path = f"/api/custom-fields/{size['id']}"
    assert (answer.headers["location"], answer.headers["etag"]) == (path, '"1"')
    assert {k: v for k, v in size.items() if k not in ("id", "createdAt", "updatedAt")} == {
        **{"key": "shirt_size", "label": "shirt_size", "type": "choice", "choices": ["S", "M"], "pattern": None},
        **{"description": "", "position": 0, "isRequired": False, "isUnique": False, "isIndexed": False},
        **{"indexState": "none", "indexReason": None, "indexDone": 0, "indexTotal": None, "version": 1, "misfits": 0},
    }
    read = told(await api.get(path))
    assert read == {k: v for k, v in size.items() if k != "misfits"}
    second = await declare(api, "Age", "number", label="Years", position=0)
    changed = await api.patch(path, json={"label": "Size", "position": 3}, headers={"If-Match": '"1"'})
    assert (told(changed)["label"], changed.headers["etag"]) == ("Size", '"2"')
    assert told(await api.patch(path, json={"label": "Size"}))["version"] == 2, "what changes nothing is no edit"
    assert (await api.patch(path, json={"label": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    for sort, keys in (("position", ["Age", "shirt_size"]), ("-key", ["shirt_size", "Age"])):
        page = told(await api.get("/api/custom-fields", params={"sort": sort, "limit": 1, "count": True}))
        rest = told(await api.get("/api/custom-fields", params={"sort": sort, "cursor": page["nextCursor"]}))
        assert ([f["key"] for f in (*page["data"], *rest["data"])], page["total"]) == (keys, 2)
    [entry, *_] = told(await api.get("/api/audit", params={"action": "fields.change"}))["data"]
    assert entry["subjectId"] == size["id"] or entry["changes"]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.patch(path, json={})).status_code == 404
    assert told(await api.get(f"/api/custom-fields/{second['id']}"))["label"] == "Years"
    told_of = await logged(db, shop, "CustomFieldsChanged")
    assert [data["key"] for data in told_of] == ["shirt_size", "Age", "shirt_size", "shirt_size"]


async def test_what_is_no_definition_is_named(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    taken = await declare(api, "Points", "number")
    wrong: list[tuple[Json, list[str]]] = [
        ({"key": "1a", "type": "text"}, ["/key"]),
        ({"key": "a-b", "type": "text"}, ["/key"]),
        ({"key": "é", "type": "text"}, ["/key"]),
        ({"key": "a" * 101, "type": "text"}, ["/key"]),
        ({"key": "a", "type": "money"}, ["/type"]),
        ({"key": "a", "type": "text", "label": " "}, ["/label"]),
        ({"key": "a", "type": "choice"}, ["/choices"]),
        ({"key": "a", "type": "choice", "choices": ["x", "X"]}, ["/choices"]),
        ({"key": "a", "type": "number", "choices": ["x"], "pattern": "x"}, ["/choices", "/pattern"]),
        ({"key": "a", "type": "text", "pattern": "("}, ["/pattern"]),
        ({"key": "a", "type": "boolean", "isUnique": True}, ["/isUnique"]),
        ({"key": "a", "type": "list", "isIndexed": True}, ["/isIndexed"]),
        ({"key": "a", "type": "text", "position": -1}, ["/position"]),
        ({"key": "a", "type": "text", "index": True}, ["/index"]),
    ]
    for body, named in wrong:
        assert pointers(await api.post("/api/custom-fields", json=body)) == named, body
    answer = await api.post("/api/custom-fields", json={"key": "points", "type": "text"})
    assert (answer.status_code, answer.json()["customFieldId"]) == (409, taken["id"])
    assert pointers(await api.patch(f"/api/custom-fields/{taken['id']}", json={"key": "other"})) == ["/key"]
    assert pointers(await api.patch(f"/api/custom-fields/{taken['id']}", json={"type": "choice"})) == ["/choices"]
    assert len(told(await api.get("/api/custom-fields"))["data"]) == 1
    async with client(db, await make_key(db, shop.id, "customers:write")) as agent:
        assert len(told(await agent.get("/api/custom-fields"))["data"]) == 1
        assert (await agent.post("/api/custom-fields", json={"key": "b", "type": "text"})).status_code == 403
        assert (await agent.delete(f"/api/custom-fields/{taken['id']}")).status_code == 403
    async with client(db, (await make_workspace(db)).key) as stranger:
        assert (await stranger.get(f"/api/custom-fields/{taken['id']}")).status_code == 404
        told(await stranger.post("/api/custom-fields", json={"key": "points", "type": "text"}), 201)


async def test_a_workspace_can_have_a_hundred(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(api.post("/api/custom-fields", json={"key": f"k{n}", "type": "text"}) for n in range(101))
    )
    assert sorted(a.status_code for a in answers) == [201] * 100 + [409]
    found = told(await api.get("/api/custom-fields", params={"limit": 200}))["data"]
    assert [f["position"] for f in found] == list(range(100))


async def test_values_must_fit_on_every_way_in(api: httpx.AsyncClient) -> None:
    await declare(api, "age", "number")
    await declare(api, "code", "text", pattern="[A-Z]{2}", isRequired=True)
    bad = {"customFields": {"age": "old", "code": "abc", "free": {"any": [1]}}}
    named = ["/customFields/age", "/customFields/code"]
    good = {"age": "40", "code": "AB", "free": {"any": [1]}}
    assert pointers(await api.post("/api/customers", json={"name": "Ann"})) == ["/customFields/code"]
    assert pointers(await api.post("/api/customers", json={"name": "Ann", "email": "x", **bad})) == ["/email", *named]
    ann = await make_customer(api, name="Ann", custom_fields=good)
    assert ann["customFields"] == good
    path = f"/api/customers/{ann['id']}"
    assert pointers(await api.put(path, json={"name": "Ann", **bad})) == named
    assert pointers(await api.put(path, json={"name": "Ann"})) == ["/customFields/code"]
    assert pointers(await api.patch(path, json=bad)) == named
    assert pointers(await api.patch(path, json={"customFields": {"code": None}})) == ["/customFields/code"]
    external = "/api/customers/external/CRM/1"
    assert pointers(await api.put(external, json={"name": "Bo", **bad})) == named
    assert pointers(await api.put(external, json={"name": "Bo"})) == ["/customFields/code"]
    told(await api.put(external, json={"name": "Bo", "customFields": good}), 201)
    assert pointers(await api.put(external, json={"name": "Bo", **bad})) == named
    assert told(await api.get(path)) == ann, "what was refused changed nothing"
    assert told(await api.patch(path, json={"customFields": {"age": None, "free": None}}))["customFields"] == {
        "code": "AB"
    }


async def test_what_was_there_before_is_refused_nothing(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"size": "huge", "n": 1})
    path = f"/api/customers/{ann['id']}"
    size = await declare(api, "size", "choice", choices=["S", "M"])
    assert size["misfits"] == 1
    await declare(api, "must", "text", isRequired=True)
    assert (
        told(await api.patch(path, json={"name": "Anna", "customFields": {"n": 2}}))["customFields"]["size"] == "huge"
    )
    told(await api.post(f"{path}/tags", json={"tags": ["a"]}))
    told(await api.post(f"{path}/block"))
    whole = {"name": "An", "customFields": {"size": "huge", "must": "x"}}
    assert told(await api.put(path, json=whole))["customFields"] == whole["customFields"]
    assert pointers(await api.patch(path, json={"customFields": {"size": "tiny"}})) == ["/customFields/size"]
    assert told(await api.patch(path, json={"customFields": {"size": "m"}}))["customFields"]["size"] == "M"
    told(await api.post("/api/orders", json={"total": "1.00", "status": "confirmed", "email": "new@x.org"}), 201)
    told_of = ChannelCustomer(contact=Contact(source="SHOPIFY", external_id="7", email="seven@x.org"), tags=["t"])
    async with db.tx(shop.id) as tx:
        [taken] = await intake.take_in(tx, [told_of])
    assert taken.outcome == "created"


async def test_what_is_required_cannot_be_empty_on_any_way_in(api: httpx.AsyncClient) -> None:
    await declare(api, "sizes", "list", isRequired=True)
    await declare(api, "code", "text", isRequired=True)
    ann = await make_customer(api, name="Ann", custom_fields={"sizes": ["S"], "code": "x"})
    path = f"/api/customers/{ann['id']}"
    empty: Json = {"sizes": [], "code": " \u3000"}
    named = ["/customFields/code", "/customFields/sizes"]
    assert sorted(pointers(await api.post("/api/customers", json={"name": "Bo", "customFields": empty}))) == named
    assert sorted(pointers(await api.put(path, json={"name": "Ann", "customFields": empty}))) == named
    assert sorted(pointers(await api.patch(path, json={"customFields": empty}))) == named
    external = {"name": "Bo", "customFields": empty}
    assert sorted(pointers(await api.put("/api/customers/external/CRM/1", json=external))) == named


async def test_a_key_in_another_case_is_refused(api: httpx.AsyncClient) -> None:
    old = await make_customer(api, name="Old", custom_fields={"Points": "many"})
    await declare(api, "points", "number")
    body = {"name": "Ann", "customFields": {"Points": "many"}}
    answer = await api.post("/api/customers", json=body)
    assert pointers(answer) == ["/customFields/Points"]
    assert "did you mean points?" in answer.json()["errors"][0]["message"]
    ann = await make_customer(api, name="Ann", custom_fields={"points": 1})
    assert pointers(await api.patch(f"/api/customers/{ann['id']}", json={"customFields": {"POINTS": 1}})) == [
        "/customFields/POINTS"
    ]
    assert pointers(await api.put(f"/api/customers/{ann['id']}", json=body)) == ["/customFields/Points"]
    path = f"/api/customers/{old['id']}"
    whole = {"name": "Older", "customFields": {"Points": "many", "points": 2}}
    assert told(await api.put(path, json=whole))["customFields"] == whole["customFields"], "what was there stays"
    assert told(await api.patch(path, json={"customFields": {"Points": None}}))["customFields"] == {"points": 2}


async def test_a_type_that_is_none_names_those_that_are(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/custom-fields", json={"key": "a", "type": "string"})
    assert pointers(answer) == ["/type"]
    assert answer.json()["errors"][0]["message"].endswith("text, number, date, boolean, choice, list")


async def test_who_has_a_misfit_is_listed_until_it_is_mended(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_field_misfits, "BATCH_WITH_PATTERN", 2)
    values = ["AB", "abc", None, 5, "CD", "x", ["y"]]
    people = [await make_customer(api, name=f"N{n}", custom_fields={"k": v}) for n, v in enumerate(values)]
    gone = await make_customer(api, name="Gone", custom_fields={"k": 7})
    await api.delete(f"/api/customers/{gone['id']}")
    field = await declare(api, "k", "text", pattern="[A-Z]{2}")
    path = f"/api/custom-fields/{field['id']}/misfits"
    assert field["misfits"] == 4

    async def listed(**asked: Any) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        while True:
            page = told(await api.get(path, params=asked))
            found += [(m["customerId"], m["name"], m["value"]) for m in page["data"]]
            assert "count" not in asked or page["total"] == 4
            if page["nextCursor"] is None:
                return found
            asked["cursor"] = page["nextCursor"]

    misfits = [(people[n]["id"], f"N{n}", values[n]) for n in (1, 3, 5, 6)]
    for asked in ({}, {"limit": 1}, {"limit": 2, "count": True}, {"limit": 4}):
        assert await listed(**asked) == misfits, asked
    monkeypatch.setattr(custom_field_misfits, "AT_ONCE", 2)
    assert await listed() == misfits, "a page looks at so many, and the next one goes on"
    changed = told(await api.patch(f"/api/custom-fields/{field['id']}", json={"pattern": "[A-Z]+"}))
    assert changed["misfits"] is None, "too many to look at them at once"
    assert "misfits" not in told(await api.patch(f"/api/custom-fields/{field['id']}", json={"label": "L"}))
    for id, _, _ in misfits:
        told(await api.patch(f"/api/customers/{id}", json={"customFields": {"k": "EF"}}))
    assert await listed() == []
    async with client(db, (await make_workspace(db)).key) as stranger:
        assert (await stranger.get(path)).status_code == 404


async def test_misfits_are_counted_and_values_are_safe(api: httpx.AsyncClient) -> None:
    people = [
        await make_customer(api, name="N", custom_fields={"k": value})
        for value in ("12", "twelve", 12, "2026-01-31", "AB", None, "")
    ]
    await make_customer(api, name="N")
    deleted = await make_customer(api, name="N", custom_fields={"k": ["x"]})
    await api.delete(f"/api/customers/{deleted['id']}")
    field = await declare(api, "k", "text")
    path = f"/api/custom-fields/{field['id']}"
    assert field["misfits"] == 1
    wanted: list[tuple[Json, int]] = [
        ({"pattern": "[A-Z]{2}"}, 5),
        ({"pattern": None, "type": "number"}, 4),
        ({"type": "date"}, 5),
        ({"type": "choice", "choices": ["AB", "12"]}, 4),
        ({"type": "list", "choices": []}, 6),
    ]
    for change, misfits in wanted:
        assert told(await api.patch(path, json=change))["misfits"] == misfits, change
    await api.delete(path)
    values = [told(await api.get(f"/api/customers/{p['id']}"))["customFields"]["k"] for p in people]
    assert values == ["12", "twelve", 12, "2026-01-31", "AB", None, ""]
    told(await api.patch(f"/api/customers/{people[0]['id']}", json={"customFields": {"k": {"free": 1}}}))
    assert (await declare(api, "K", "number"))["misfits"] == 0, "another key"


@pytest.fixture
async def heard(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
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


async def test_who_declares_nothing_pays_nothing(
    api: httpx.AsyncClient, shop: Workspace, db: Database, heard: tuple[Any, list[str]]
) -> None:
    app, said = heard

    async def statements(key: str, of_their_own: int) -> list[int]:
        transport, headers = httpx.ASGITransport(app=app), {"Authorization": f"Bearer {key}"}
        took: list[int] = []
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers) as asking:
            for _ in range(2):
                ann = await make_customer(asking, name="Ann", email=None)
                path, took = f"/api/customers/{ann['id']}", []
                for method, at, body in (
                    ("POST", "/api/customers", {"name": "Bo", "customFields": {"a": 1}}),
                    ("PATCH", path, {"name": "Bea"}),
                    ("PATCH", path, {"customFields": {"a": 1}}),
                    ("DELETE", path, None),
                    ("POST", f"{path}/restore", None),
                ):
                    said.clear()
                    assert (await asking.request(method, at, json=body)).is_success
                    took.append(len([sql for sql in said if "workspace_id" in sql]))
                    asked = [sql for sql in said if "custom_field " in sql or "custom_field_" in sql]
                    beside = [sql for sql in asked if "from customer c" in sql or "update customer c" in sql]
                    assert len(asked) - len(beside) <= of_their_own, "the stamp is read beside the customer"
        return took

    before = await statements(shop.key, 0)
    await declare(api, "b", "number", isRequired=False)
    assert await statements(shop.key, 0) == before, "declared and not indexed costs no statement either"
    await declare(api, "a", "number", isIndexed=True)
    after = await statements(shop.key, 1)
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0, 1, 1, 1]


async def test_a_process_learns_what_another_declared(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", custom_fields={"k": "x"})
    path = f"/api/customers/{ann['id']}"
    field = await declare(api, "k", "number")
    custom_fields._known.clear()  # pyright: ignore[reportPrivateUsage]
    assert pointers(await api.patch(path, json={"customFields": {"k": "y"}})) == ["/customFields/k"]
    assert told(await api.patch(path, json={"customFields": {"k": "007"}}))["customFields"] == {"k": "7"}
    known = dict(custom_fields._known)  # pyright: ignore[reportPrivateUsage]
    await api.delete(f"/api/custom-fields/{field['id']}")
    custom_fields._known.update(known)  # pyright: ignore[reportPrivateUsage]
    assert told(await api.patch(path, json={"customFields": {"k": "any"}}))["customFields"] == {"k": "any"}
    custom_fields._known.update(known)  # pyright: ignore[reportPrivateUsage]
    assert told(await api.patch(path, json={"customFields": {"k": "007"}}))["customFields"] == {"k": "007"}
    async with db.tx(shop.id) as tx:
        assert (await custom_fields.definitions(tx)).by_key == {}


async def test_who_does_not_try_again_is_not_stopped_by_a_change_of_definitions(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    field = await declare(api, "k", "number")
    ann = await make_customer(api, name="Ann", custom_fields={"k": 1})
    known = dict(custom_fields._known)  # pyright: ignore[reportPrivateUsage]
    told(await api.patch(f"/api/custom-fields/{field['id']}", json={"description": "More of it"}))
    custom_fields._known.update(known)  # pyright: ignore[reportPrivateUsage]
    async with db.tx(shop.id) as tx:
        await commands.change(tx, UUID(ann["id"]), CustomerChange(custom_fields={"k": 2}))
    told(await api.patch(f"/api/custom-fields/{field['id']}", json={"type": "text"}))
    async with db.tx(shop.id) as tx:
        await commands.block(tx, UUID(ann["id"]))
    custom_fields._known.clear()  # pyright: ignore[reportPrivateUsage]
    async with db.tx(shop.id) as tx:
        await commands.create(tx, NewCustomer(name="Bo", custom_fields={"k": "x"}))


async def test_customers_are_filtered_and_sorted_by_declared_fields(api: httpx.AsyncClient) -> None:
    for name, points in (("Ann", 10), ("Bo", "2.50"), ("Cy", "many"), ("Dee", None), ("Eve", 3)):
        await make_customer(api, name=name, custom_fields={"Points": points})
    assert pointers(await api.get("/api/customers", params={"filter": "custom.Points > 1"})) == ["filter"]
    await declare(api, "Points", "number")

    async def names(**asked: str) -> list[str]:
        found: list[str] = []
        while True:
            page = told(await api.get("/api/customers", params=asked))
            found += [c["name"] for c in page["data"]]
            if page["nextCursor"] is None:
                return found
            asked["cursor"] = page["nextCursor"]

    assert await names(filter="custom.Points > 2.5", sort="-custom.Points") == ["Ann", "Eve"]
    assert (await names(sort="custom.Points", limit="2"))[:3] == ["Bo", "Eve", "Ann"]
    assert set((await names(sort="custom.Points", limit="2"))[3:]) == {"Cy", "Dee"}
    assert pointers(await api.get("/api/customers", params={"sort": "custom.none"})) == ["sort"]
