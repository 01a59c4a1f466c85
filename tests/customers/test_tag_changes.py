"""Tags renamed, merged and removed in all customers that have them."""

import asyncio
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.customers import tag_changes
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
    assert dry == {"id": None, "jobId": None, "customers": 2, "dryRun": True}
    answer = await api.patch("/api/tags/Wholesale", json={"tag": " B2B "})
    begun = told(answer, 202)
    assert (begun["customers"], begun["dryRun"]) == (2, False)
    assert answer.headers["location"] == f"/api/tag-changes/{begun['id']}"
    assert await tags_of(api, ann) == ["a", "wholesale", "z"], "not in the request"
    await work(db)
    assert await tags_of(api, ann) == ["a", "B2B", "z"]
    assert await tags_of(api, bo) == ["B2B"], "who has the new one keeps one"
    assert await tags_of(api, cy) == ["B2B"]
    assert told(await api.get(f"/api/customers/{ann['id']}"))["version"] == 2
    assert told(await api.get(f"/api/customers/{cy['id']}"))["version"] == 1
    assert await events_of(api, ann) == [
        ("CustomerChanged", {"changes": {"tags": [["a", "wholesale", "z"], ["a", "B2B", "z"]]}}),
        ("CustomerTagged", {"tags": ["B2B"]}),
        ("CustomerUntagged", {"tags": ["wholesale"]}),
    ]
    assert await events_of(api, bo) == [
        ("CustomerChanged", {"changes": {"tags": [["WHOLESALE", "b2b"], ["B2B"]]}}),
        ("CustomerUntagged", {"tags": ["WHOLESALE"]}),
    ]
    told(await api.patch(f"/api/customers/{cy['id']}", json={"tags": ["x"]}))
    by_hand = [kind for kind, _ in await events_of(api, cy)]
    assert by_hand == [kind for kind, _ in await events_of(api, ann)], "as if somebody had changed them"
    job = told(await api.get(f"/api/jobs/{begun['jobId']}"))
    assert (job["state"], job["progress"]) == ("done", {"change": begun["id"], "done": 2, "total": 2})
    change = told(await api.get(f"/api/tag-changes/{begun['id']}"))
    assert {k: change[k] for k in ("tags", "into", "state", "done", "total", "jobId")} == {
        **{"tags": ["Wholesale"], "into": "B2B", "state": "done", "done": 2, "total": 2, "jobId": begun["jobId"]}
    }
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
    assert (await api.get(f"/api/tag-changes/{shop.id}")).status_code == 404
    assert (await api.post(f"/api/tag-changes/{shop.id}/cancel")).status_code == 404


async def test_a_tag_that_nobody_has_takes_no_job(api: httpx.AsyncClient) -> None:
    nothing = {"id": None, "jobId": None, "customers": 0, "dryRun": False}
    assert told(await api.delete("/api/tags/nobody")) == nothing
    assert told(await api.patch("/api/tags/nobody", json={"tag": "b"})) == nothing
    assert told(await api.post("/api/tags/delete", json={"tags": ["nobody"]})) == nothing
    assert told(await api.get("/api/jobs", params={"kind": tag_changes.JOB}))["data"] == []
    assert told(await api.get("/api/tag-changes"))["data"] == []


async def test_a_rename_that_is_killed_goes_on_where_it_stood(
    api: httpx.AsyncClient,
    db: Database,
    shop: Workspace,
    owner: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = 4_000
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
    assert logged == {"CustomerChanged": people, "CustomerTagged": people * 3 // 4, "CustomerUntagged": people}
    job = told(await api.get(f"/api/jobs/{begun['jobId']}"))
    progress = {"change": begun["id"], "done": people, "total": people}
    assert (job["state"], job["attempts"], job["progress"]) == ("done", 2, progress)
    assert [(t["tag"], t["customers"]) for t in told(await api.get("/api/tags", params={"search": "ne"}))["data"]] == [
        ("New", people)
    ]


async def states_of(api: httpx.AsyncClient, *begun: Json) -> list[str]:
    return [told(await api.get(f"/api/tag-changes/{one['id']}"))["state"] for one in begun]


async def test_changes_are_made_in_the_order_in_which_they_were_asked_for(
    api: httpx.AsyncClient,
    db: Database,
    shop: Workspace,
    owner: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tag_changes, "BATCH", 2)
    people = [await make_customer(api, name="N", tags=["t0"]) for _ in range(5)]
    begun = [told(await api.patch(f"/api/tags/t{n}", json={"tag": f"t{n + 1}"}), 202) for n in range(3)]
    assert [b["customers"] for b in begun] == [5, 0, 0], "as they are now"
    assert len({b["jobId"] for b in begun}) == 1, "one job makes them all"
    applied, runs = tag_changes.apply, 0

    async def dies(*given: Any) -> Any:
        nonlocal runs
        runs += 1
        step = await applied(*given)
        if runs in (2, 7):
            raise RuntimeError("killed in the middle of a batch")
        return step

    monkeypatch.setattr(tag_changes, "apply", dies)
    await work(db)
    assert await states_of(api, *begun) == ["running", "waiting", "waiting"]
    assert sorted([await tags_of(api, p) for p in people]) == [["t0"]] * 3 + [["t1"]] * 2
    now = "update data.job set run_at = now(), waiting = false where workspace_id = $1 and state = 'queued'"
    await owner.execute(now, shop.id)
    await work(db)
    assert await states_of(api, *begun) == ["done", "running", "waiting"]
    last = told(await api.patch("/api/tags/T3", json={"tag": "t4"}), 202)
    assert last["jobId"] == begun[0]["jobId"], "that is queued again"
    await owner.execute(now, shop.id)
    await work(db)
    assert [await tags_of(api, p) for p in people] == [["t4"]] * 5
    found = told(await api.get("/api/tag-changes", params={"limit": 3}))
    rest = told(await api.get("/api/tag-changes", params={"cursor": found["nextCursor"]}))
    assert [(c["into"], c["state"], c["done"], c["total"]) for c in (*found["data"], *rest["data"])] == [
        (f"t{n}", "done", 5, 5) for n in (4, 3, 2, 1)
    ]


async def test_what_is_asked_for_while_the_job_runs_is_made_after_what_it_is_at(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_changes, "BATCH", 1)
    people = [await make_customer(api, name="N", tags=["t0"]) for _ in range(3)]
    first = told(await api.patch("/api/tags/t0", json={"tag": "t1"}), 202)
    applied, later = tag_changes.apply, list[Json]()

    async def asks(*given: Any) -> Any:
        step = await applied(*given)
        if len(later) < 2:
            into = f"t{len(later) + 2}"
            later.append(told(await api.patch(f"/api/tags/t{len(later) + 1}", json={"tag": into}), 202))
        return step

    monkeypatch.setattr(tag_changes, "apply", asks)
    await work(db)
    assert first["jobId"] != later[0]["jobId"] == later[1]["jobId"]
    assert [await tags_of(api, p) for p in people] == [["t3"]] * 3
    assert await states_of(api, first, *later) == ["done"] * 3


async def test_one_change_is_cancelled_and_the_others_are_made(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann", tags=["a", "b", "c"])
    begun = [told(await api.delete(f"/api/tags/{tag}"), 202) for tag in "abc"]
    path = f"/api/tag-changes/{begun[1]['id']}/cancel"
    assert told(await api.post(path))["state"] == "cancelled"
    assert (await api.post(path)).status_code == 409
    await work(db)
    assert await tags_of(api, ann) == ["b"]
    assert await states_of(api, *begun) == ["done", "cancelled", "done"]
    [entry] = told(await api.get("/api/audit", params={"action": "tags.cancel_change"}))["data"][-1:]
    assert [(c["field"], c["old"], c["new"]) for c in entry["changes"]] == [("state", "waiting", "cancelled")]


async def test_a_job_that_is_cancelled_before_it_began_makes_nothing_any_more(
    api: httpx.AsyncClient, db: Database
) -> None:
    ann = await make_customer(api, name="Ann", tags=["a", "b", "c"])
    begun = [told(await api.delete(f"/api/tags/{tag}"), 202) for tag in "ab"]
    told(await api.post(f"/api/jobs/{begun[0]['jobId']}/cancel"))
    await work(db)
    assert await tags_of(api, ann) == ["a", "b", "c"]
    last = told(await api.delete("/api/tags/c"), 202)
    await work(db)
    assert await tags_of(api, ann) == ["a", "b"]
    assert await states_of(api, *begun, last) == ["cancelled", "cancelled", "done"]


async def test_a_job_that_is_cancelled_and_tried_again_makes_its_changes(api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann", tags=["a"])
    begun = told(await api.delete("/api/tags/a"), 202)
    told(await api.post(f"/api/jobs/{begun['jobId']}/cancel"))
    told(await api.post(f"/api/jobs/{begun['jobId']}/retry"))
    await work(db)
    assert await tags_of(api, ann) == []


async def test_a_running_job_that_is_cancelled_ends_the_change_it_is_at_and_no_other(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_changes, "BATCH", 1)
    people = [await make_customer(api, name="N", tags=["old", "other"]) for _ in range(3)]
    first, second = [told(await api.delete(f"/api/tags/{tag}"), 202) for tag in ("old", "other")]
    applied, runs = tag_changes.apply, 0

    def is_first(context: JobContext) -> bool:
        return context.id == UUID(first["jobId"])

    async def stops(*given: Any) -> Any:
        nonlocal runs
        runs += 1
        step = await applied(*given)
        if runs == 1:
            monkeypatch.setattr(JobContext, "cancelled", is_first)
        return step

    monkeypatch.setattr(tag_changes, "apply", stops)
    await work(db)
    assert await states_of(api, first, second) == ["cancelled", "done"]
    assert sorted([await tags_of(api, p) for p in people]) == [[], ["old"], ["old"]]
    after = told(await api.get(f"/api/tag-changes/{second['id']}"))
    assert after["jobId"] not in (None, first["jobId"]), "another job goes on"


async def test_a_batch_keeps_few_customers_waiting(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute(
        """insert into data.customer (workspace_id, id, source, name, tags)
           select $1, gen_random_uuid(), 'API', 'N', '{old}' from generate_series(1, 1001)""",
        shop.id,
    )
    ids = await owner.fetch("select id from data.customer where workspace_id = $1 order by id", shop.id)
    begun = told(await api.delete("/api/tags/old"), 202)
    async with db.tx(shop.id) as tx:
        change = await tag_changes.first(tx)
        assert change is not None
        step = await tag_changes.apply(tx, change, UUID(int=0), UUID(begun["jobId"]))
        assert (step.last, step.done, step.total) == (ids[999]["id"], 1000, 1001)
        path = f"/api/customers/{ids[1000]['id']}"
        told(await asyncio.wait_for(api.patch(path, json={"name": "Not kept waiting"}), 5))
    await work(db)
    assert told(await api.get(path))["tags"] == []


async def test_what_a_cancelled_job_was_to_make_is_not_made_by_the_one_before_it(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await make_customer(api, name="Ann", tags=["a", "b"])
    first = told(await api.delete("/api/tags/a"), 202)
    applied, later = tag_changes.apply, list[Json]()

    async def asks(*given: Any) -> Any:
        step = await applied(*given)
        if not later:
            later.append(told(await api.delete("/api/tags/b"), 202))
            told(await api.post(f"/api/jobs/{later[0]['jobId']}/cancel"))
        return step

    monkeypatch.setattr(tag_changes, "apply", asks)
    await work(db)
    assert await tags_of(api, ann) == ["b"]
    assert await states_of(api, first) == ["done"]
    told(await api.post(f"/api/jobs/{later[0]['jobId']}/retry"))
    await work(db)
    assert await tags_of(api, ann) == []
