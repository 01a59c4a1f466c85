"""Jobs over HTTP: what the staff see of them, and what they can do about them."""

from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.kit import ids
from supover.kit.db import Database
from supover.kit.jobs import JobContext, defer, job
from tests.makers import Json, Workspace, client, make_key, make_workspace, pointers, told

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@job("staff.trial")
async def trial(ctx: JobContext, customer_id: UUID) -> None: ...


CUSTOMER = ids.new()


async def put(db: Database, shop: Workspace, singleton: str | None = None) -> str:
    async with db.tx(shop.id) as tx:
        return str(await defer(tx, "staff.trial", {"customer_id": CUSTOMER}, singleton=singleton))


async def state(owner: "Connection", id: str, state: str) -> None:
    await owner.execute(
        "update data.job set state = $2, attempts = 5, error = 'It rains.' where id = $1", UUID(id), state
    )


async def test_a_job_is_shown_as_it_stands(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    id = await put(db, shop)
    found = told(await api.get(f"/api/jobs/{id}"))
    assert found == {
        "id": id,
        "kind": "staff.trial",
        "state": "queued",
        "args": {"customer_id": str(CUSTOMER)},
        "attempts": 0,
        "maxAttempts": 5,
        "cancelling": False,
        "progress": None,
        "error": None,
        "runAt": found["runAt"],
        "createdAt": found["createdAt"],
        "finishedAt": None,
    }
    assert told(await api.get(f"/api/jobs/{ids.new()}"), 404)["type"].endswith("/job-not-found")


async def test_jobs_are_listed_by_pages_and_by_state(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    made = [await put(db, shop) for _ in range(5)]
    await state(owner, made[1], "dead")
    await state(owner, made[3], "dead")
    seen: list[str] = []
    asked: Json = {"limit": 2, "count": "true"}
    while True:
        page = told(await api.get("/api/jobs", params=asked))
        seen += [j["id"] for j in page["data"]]
        assert page["total"] == 5
        if page["nextCursor"] is None:
            break
        asked["cursor"] = page["nextCursor"]
    assert seen == made[::-1]
    dead = told(await api.get("/api/jobs", params={"state": "dead", "kind": "staff.trial", "sort": "createdAt"}))
    assert [(j["id"], j["error"]) for j in dead["data"]] == [(made[1], "It rains."), (made[3], "It rains.")]
    assert told(await api.get("/api/jobs", params={"kind": "staff.other"}))["data"] == []
    assert (await api.get("/api/jobs", params={"state": "lost"})).status_code in (400, 422)
    assert (await api.get("/api/jobs", params={"cursor": "x"})).status_code == 400


async def test_a_dead_job_is_tried_again(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    id = await put(db, shop, singleton="all")
    assert told(await api.post(f"/api/jobs/{id}/retry"), 409)["type"].endswith("/job-not-dead")
    await state(owner, id, "dead")
    again = told(await api.post(f"/api/jobs/{id}/retry"))
    assert (again["state"], again["attempts"], again["error"]) == ("queued", 0, None)
    await state(owner, id, "dead")
    await put(db, shop, singleton="all")
    assert told(await api.post(f"/api/jobs/{id}/retry"), 409)["type"].endswith("/job-twin-queued")


async def test_a_job_is_cancelled(api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection") -> None:
    queued, running = await put(db, shop), await put(db, shop)
    await state(owner, running, "running")
    first, second = [told(await api.post(f"/api/jobs/{id}/cancel")) for id in (queued, running)]
    assert (first["state"], first["cancelling"]) == ("cancelled", False)
    assert (second["state"], second["cancelling"]) == ("running", True)
    assert told(await api.post(f"/api/jobs/{queued}/cancel"), 409)["type"].endswith("/job-ended")
    await owner.execute("delete from data.job where id = $1", UUID(running))


@pytest.mark.parametrize("verb", ["retry", "cancel"])
async def test_only_the_workspaces_own_admins_may(
    db: Database, shop: Workspace, api: httpx.AsyncClient, verb: str
) -> None:
    id = await put(db, shop)
    async with client(db, (await make_workspace(db)).key) as stranger:
        told(await stranger.get(f"/api/jobs/{id}"), 404)
        told(await stranger.post(f"/api/jobs/{id}/{verb}"), 404)
        assert told(await stranger.get("/api/jobs"))["data"] == []
    async with client(db, await make_key(db, shop.id, "customers:write", "imports:write")) as agent:
        told(await agent.get("/api/jobs"), 403)
        told(await agent.get(f"/api/jobs/{id}"), 403)
        told(await agent.post(f"/api/jobs/{id}/{verb}"), 403)
    assert told(await api.get(f"/api/jobs/{id}"))["state"] == "queued"


async def test_many_dead_jobs_are_tried_again_by_kind_or_by_ids(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    async def dead(n: int, singleton: str | None = None) -> list[str]:
        made: list[str] = []
        for _ in range(n):
            made.append(await put(db, shop, singleton))
            await state(owner, made[-1], "dead")
        return made

    async def states(made: list[str]) -> list[str]:
        return [told(await api.get(f"/api/jobs/{id}"))["state"] for id in made]

    plain = await dead(3)
    assert told(await api.post("/api/jobs/retry", json={"ids": [plain[1], str(ids.new())]})) == {
        "retried": 1,
        "left": 0,
    }
    assert await states(plain) == ["dead", "queued", "dead"]
    assert told(await api.post("/api/jobs/retry", json={"kind": "staff.other"})) == {"retried": 0, "left": 0}
    again = told(await api.post("/api/jobs/retry", json={"kind": "staff.trial"}, headers={"Idempotency-Key": "again"}))
    assert again == {"retried": 2, "left": 0}
    assert (await states(plain)) == ["queued"] * 3
    assert told(await api.get(f"/api/jobs/{plain[0]}"))["attempts"] == 0
    # Of the same work one is enough, and none where it waits already.
    once = await dead(3, singleton="all")
    assert told(await api.post("/api/jobs/retry", json={})) == {"retried": 1, "left": 2}
    assert await states(once) == ["dead", "dead", "queued"]
    assert told(await api.post("/api/jobs/retry", json={"state": "dead"})) == {"retried": 0, "left": 2}
    told(await api.post(f"/api/jobs/{once[2]}/cancel"))
    assert told(await api.post("/api/jobs/retry", json={"state": "cancelled"})) == {"retried": 1, "left": 0}
    entries = told(await api.get("/api/audit", params={"action": "jobs.retry_many", "sort": "at"}))["data"]
    assert [[c["id"] for c in e["changes"]] for e in entries if e["changes"]] == [
        [plain[1]], [plain[0], plain[2]], [once[2]], [once[2]],
    ]  # fmt: skip
    assert entries[0]["changes"][0] == {
        "subject": "job",
        "id": plain[1],
        "field": "state",
        "old": "dead",
        "new": "queued",
    }
    refused: list[tuple[Json, str]] = [
        ({"ids": []}, "/ids"), ({"ids": [plain[0]] * 1001}, "/ids"), ({"state": "done"}, "/state"), ({"filter": 1}, "/filter"),
    ]  # fmt: skip
    for body, pointer in refused:
        assert pointers(await api.post("/api/jobs/retry", json=body)) == [pointer]


async def test_many_jobs_of_another_workspace_stay_dead(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    other = await make_workspace(db)
    id = await put(db, other)
    await state(owner, id, "dead")
    assert told(await api.post("/api/jobs/retry", json={"ids": [id]})) == {"retried": 0, "left": 0}
    async with client(db, await make_key(db, shop.id, "imports:write")) as agent:
        told(await agent.post("/api/jobs/retry", json={}), 403)
    assert await owner.fetchval("select state from data.job where id = $1", UUID(id)) == "dead"


async def test_jobs_are_listed_by_numbered_pages_and_a_misspelt_filter_is_refused(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    made = [await put(db, shop) for _ in range(5)]
    pages = [told(await api.get("/api/jobs", params={"limit": 2, "page": n}))["data"] for n in (1, 2, 3, 4)]
    assert [[j["id"] for j in one] for one in pages] == [made[:2:-1], made[2:0:-1], made[:1], []]
    assert pointers(await api.get("/api/jobs", params={"stat": "dead"})) == ["stat"]


async def test_what_was_done_to_a_job_is_audited(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection"
) -> None:
    id = await put(db, shop)
    told(await api.post(f"/api/jobs/{id}/cancel"))
    told(await api.post(f"/api/jobs/{id}/retry"))
    await state(owner, id, "running")
    told(await api.post(f"/api/jobs/{id}/cancel"))
    await owner.execute("delete from data.job where id = $1", UUID(id))
    entries = told(await api.get("/api/audit", params={"subjectId": id, "sort": "at"}))["data"]
    assert [(e["action"], [(c["field"], c["old"], c["new"]) for c in e["changes"]]) for e in entries] == [
        ("jobs.cancel", [("state", "queued", "cancelled")]),
        ("jobs.retry", [("state", "cancelled", "queued")]),
        ("jobs.cancel", [("cancelling", False, True)]),
    ]
