"""Tags renamed, merged and removed in all customers that have them."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.customers import jobs as customers_jobs
from supover.customers import tag_changes
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from supover.kit.worker import Worker
from tests.makers import Json, Workspace, client, make_customer, make_key, make_workspace, pointers, told


async def work(db: Database) -> None:
    await Worker(db, kinds={tag_changes.JOB}, names=(), poll_s=0.02).drain()


async def tags_of(api: httpx.AsyncClient, customer: Json) -> list[str]:
    return told(await api.get(f"/api/customers/{customer['id']}/tags"))["tags"]


async def events_of(api: httpx.AsyncClient, customer: Json) -> list[tuple[str, Any]]:
    asked = {"type": ["CustomerTagged", "CustomerUntagged", "CustomerChanged"]}
    found = told(await api.get(f"/api/customers/{customer['id']}/timeline", params=asked))["data"]
    return sorted((e["type"], e["data"]) for e in found)


async def test_a_tag_is_renamed_in_all_customers(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", tags=["a", "wholesale", "z"])
    bo = await make_customer(api, name="Bo", tags=["WHOLESALE", "b2b"])
    cy = await make_customer(api, name="Cy", tags=["B2B"])
    stranger = await make_workspace(db)
    async with client(db, stranger.key) as other:
        dee = await make_customer(other, name="Dee", tags=["wholesale"])
    dry = told(await api.patch("/api/tags/Wholesale", json={"tag": "B2B", "dryRun": True}))
    assert dry == {"jobId": None, "customers": 2, "dryRun": True}
    answer = await api.patch("/api/tags/Wholesale", json={"tag": " B2B "})
    begun = told(answer, 202)
    assert (begun["customers"], begun["dryRun"]) == (2, False)
    assert answer.headers["location"] == f"/api/jobs/{begun['jobId']}"
    assert await tags_of(api, ann) == ["a", "wholesale", "z"], "not in the request"
    await work(db)
    assert await tags_of(api, ann) == ["a", "B2B", "z"]
    assert await tags_of(api, bo) == ["B2B"], "who has the new one keeps one"
    assert await tags_of(api, cy) == ["B2B"]
    assert told(await api.get(f"/api/customers/{ann['id']}"))["version"] == 2
    assert told(await api.get(f"/api/customers/{cy['id']}"))["version"] == 1
    assert await events_of(api, ann) == [
        ("CustomerTagged", {"tags": ["B2B"]}),
        ("CustomerUntagged", {"tags": ["wholesale"]}),
    ]
    assert await events_of(api, bo) == [("CustomerUntagged", {"tags": ["WHOLESALE"]})]
    job = told(await api.get(f"/api/jobs/{begun['jobId']}"))
    assert (job["state"], job["progress"]) == ("done", {"done": 2, "total": 2})
    [entry, dry_run] = told(await api.get("/api/audit", params={"action": "tags.rename"}))["data"]
    assert dry_run["changes"] == []
    assert [(c["subject"], c["old"], c["new"]) for c in entry["changes"]] == [("tag", "Wholesale", "B2B")]
    async with client(db, stranger.key) as other:
        assert await tags_of(other, dee) == ["wholesale"]


async def test_a_rename_of_the_case_alone_spells_it_so_everywhere(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann", tags=["vip"])
    bo = await make_customer(api, name="Bo", tags=["Vip"])
    assert told(await api.patch("/api/tags/vip", json={"tag": "Vip"}), 202)["customers"] == 1
    await work(db)
    assert await tags_of(api, ann) == ["Vip"]
    assert await events_of(api, ann) == [("CustomerChanged", {"changes": {"tags": [["vip"], ["Vip"]]}})]
    assert told(await api.get(f"/api/customers/{bo['id']}"))["version"] == 1
    assert told(await api.patch("/api/tags/vip", json={"tag": "Vip", "dryRun": True}))["customers"] == 0


async def test_tags_are_merged_and_removed(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann", tags=["x", "one", "TWO", "three"])
    bo = await make_customer(api, name="Bo", tags=["/", "//"])
    gone = await make_customer(api, name="Gone", tags=["two"])
    await api.delete(f"/api/customers/{gone['id']}")
    merged = {"tags": ["One", "two", "three"], "into": "two"}
    assert told(await api.post("/api/tags/merge", json=merged | {"dryRun": True}))["customers"] == 1
    assert told(await api.post("/api/tags/merge", json={"tags": ["/"], "into": "slash"}), 202)["customers"] == 1
    told(await api.post("/api/tags/merge", json=merged), 202)
    await work(db)
    assert await tags_of(api, ann) == ["x", "two"], "at the first one's place"
    assert await tags_of(api, bo) == ["slash", "//"]
    assert told(await api.request("DELETE", "/api/tags/TWO", params={"dryRun": True}))["customers"] == 2
    assert told(await api.delete("/api/tags/TWO"), 202)["customers"] == 2, "the deleted ones lose it too"
    told(await api.post("/api/tags/delete", json={"tags": ["//", "x", "none"]}), 202)
    await work(db)
    assert (await tags_of(api, ann), await tags_of(api, bo)) == ([], ["slash"])
    back = told(await api.post(f"/api/customers/{gone['id']}/restore"))
    assert back["tags"] == []
    assert [t["tag"] for t in told(await api.get("/api/tags"))["data"]] == ["slash"]


@pytest.mark.parametrize("tag", ["a/b", "100%", "ü", "a b", "?q=1", "a//b", "日本"])
async def test_any_tag_can_be_renamed_and_removed_by_its_address(
    api: httpx.AsyncClient, db: Database, tag: str
) -> None:
    ann = await make_customer(api, name="Ann", tags=[tag, "stays"])
    told(await api.patch(f"/api/tags/{quote(tag, safe='')}", json={"tag": "other/one"}), 202)
    await work(db)
    assert await tags_of(api, ann) == ["other/one", "stays"]
    told(await api.delete("/api/tags/other/one"), 202)
    await work(db)
    assert await tags_of(api, ann) == ["stays"]


async def test_what_is_no_change_of_tags_is_named(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    asked: list[tuple[str, str, Json, str]] = [
        ("PATCH", "/api/tags/a", {"tag": ""}, "/tag"),
        ("PATCH", "/api/tags/a", {"tag": "x" * 101}, "/tag"),
        ("PATCH", "/api/tags/a", {}, "/tag"),
        ("PATCH", "/api/tags/" + "x" * 101, {"tag": "b"}, "tag"),
        ("POST", "/api/tags/merge", {"tags": [], "into": "b"}, "/tags"),
        ("POST", "/api/tags/merge", {"tags": [" "], "into": "b"}, "/tags"),
        ("POST", "/api/tags/merge", {"tags": [f"t{n}" for n in range(251)], "into": "b"}, "/tags"),
        ("POST", "/api/tags/merge", {"tags": ["a"]}, "/into"),
        ("POST", "/api/tags/delete", {"tags": ["a"], "into": "b"}, "/into"),
    ]
    for method, path, body, pointer in asked:
        assert pointers(await api.request(method, path, json=body)) == [pointer], (path, body)
    async with client(db, await make_key(db, shop.id, "customers:write")) as agent:
        assert (await agent.patch("/api/tags/a", json={"tag": "b"})).status_code == 403
        assert (await agent.delete("/api/tags/a")).status_code == 403
    assert told(await api.delete("/api/tags/nobody"), 202)["customers"] == 0
    await work(db)


async def test_a_rename_that_is_killed_goes_on_where_it_stood(
    api: httpx.AsyncClient,
    db: Database,
    shop: Workspace,
    owner: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = 20_000
    await owner.execute(
        """insert into data.customer (workspace_id, id, source, name, tags)
           select $1, gen_random_uuid(), 'API', 'N', case when n % 4 = 0 then '{OLD,kept,new}' else '{kept,old}' end::text[]
             from generate_series(1, $2) as n""",
        shop.id,
        people,
    )
    begun = told(await api.patch("/api/tags/old", json={"tag": "New"}), 202)
    assert begun["customers"] == people
    applied = tag_changes.apply
    runs = 0

    async def dies(*given: Any) -> Any:
        nonlocal runs
        runs += 1
        done = await applied(*given)
        if runs == 3:
            raise RuntimeError("killed in the middle of a batch")
        return done

    monkeypatch.setattr(tag_changes, "apply", dies)
    await work(db)
    half = await owner.fetchval(
        "select count(*) from data.customer where workspace_id = $1 and 'New' = any(tags)", shop.id
    )
    assert half == 2 * tag_changes.BATCH
    await owner.execute("update data.job set run_at = now(), waiting = false where id = $1", UUID(begun["jobId"]))
    await work(db)
    rows = await owner.fetch(
        "select tags, version, count(*) as n from data.customer where workspace_id = $1 group by 1, 2 order by 3",
        shop.id,
    )
    assert [(r["tags"], r["version"], r["n"]) for r in rows] == [
        (["New", "kept"], 2, people // 4),
        (["kept", "New"], 2, people * 3 // 4),
    ]
    counted = "select kind, count(*) as n from data.event_log where workspace_id = $1 group by kind"
    logged = {row["kind"]: row["n"] for row in await owner.fetch(counted, shop.id)}
    assert logged == {"CustomerTagged": people * 3 // 4, "CustomerUntagged": people}
    job = told(await api.get(f"/api/jobs/{begun['jobId']}"))
    assert (job["state"], job["attempts"], job["progress"]) == ("done", 2, {"done": people, "total": people})
    assert [(t["tag"], t["customers"]) for t in told(await api.get("/api/tags", params={"search": "ne"}))["data"]] == [
        ("New", people)
    ]


async def test_a_change_of_tags_stops_when_it_is_cancelled(
    api: httpx.AsyncClient, db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_changes, "BATCH", 1)
    people = [await make_customer(api, name="N", tags=["old"]) for _ in range(3)]
    begun = told(await api.patch("/api/tags/old", json={"tag": "new"}), 202)
    told(await api.post(f"/api/jobs/{begun['jobId']}/cancel"))
    await work(db)
    assert [await tags_of(api, p) for p in people] == [["old"]] * 3
    context = JobContext(db, shop.id, ids.new(), tag_changes.JOB, "tests")
    context.ask_to_stop()
    await customers_jobs.change_tags(context, ids.new())
    told(await api.post(f"/api/jobs/{begun['jobId']}/retry"))
    await work(db)
    assert [await tags_of(api, p) for p in people] == [["new"]] * 3
