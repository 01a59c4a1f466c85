"""One thing done to many customers: at once or by a job, accounted for row by row, and undone."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from supover.bulk import commands
from supover.customers import journal
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from supover.kit.worker import Worker
from tests.customers.arrange import dump
from tests.makers import Json, Workspace, client, logged, make_customer, make_key, make_workspace, pointers, told

Connection = asyncpg.Connection


async def work(db: Database) -> None:
    await Worker(db, kinds={commands.JOB, commands.UNDO_JOB}, names=(), poll_s=0.02).drain()


async def bulk(api: httpx.AsyncClient, code: int = 200, /, **asked: Any) -> Json:
    return told(await api.post("/api/customers/bulk", json=asked), code)


async def read(api: httpx.AsyncClient, customer: Json) -> Json:
    return told(await api.get(f"/api/customers/{customer['id']}", params={"include": "deleted"}))


def outcomes(answer: Json) -> list[tuple[str, str | None]]:
    return [(row["outcome"], row["code"]) for row in answer["results"]]


def counts(answer: Json) -> tuple[int, int, int, int]:
    return answer["total"], answer["changed"], answer["unchanged"], answer["failed"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two are many, and a chunk has two."""
    monkeypatch.setattr(commands, "AT_ONCE", 2)
    monkeypatch.setattr(commands, "CHUNK", 2)


# --- every action --------------------------------------------------------------------------------------------------------


async def test_each_action_does_what_the_single_request_does(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", tags=["Old", "vip"], status="VIP", email="ann@example.com")
    only = {"ids": [ann["id"]]}
    assert counts(await bulk(api, action="tag", tags=["VIP", "new", "NEW"], **only)) == (1, 1, 0, 0)
    assert (await read(api, ann))["tags"] == ["Old", "vip", "new"]
    assert counts(await bulk(api, action="tag", tags=["OLD"], **only)) == (1, 0, 1, 0)
    await bulk(api, action="untag", tags=["OLD", "absent"], **only)
    assert (await read(api, ann))["tags"] == ["vip", "new"]
    await bulk(api, action="block", **only)
    assert (await read(api, ann))["status"] == "BLOCKED"
    await bulk(api, action="unblock", **only)
    assert (await read(api, ann))["status"] == "VIP"
    await bulk(api, action="status", status="INACTIVE", **only)
    assert (await read(api, ann))["status"] == "INACTIVE"
    await bulk(api, action="customField", key="size", value=42, **only)
    await bulk(api, action="customField", key="more", value={"a": [1]}, **only)
    assert (await read(api, ann))["customFields"] == {"size": 42, "more": {"a": [1]}}
    await bulk(api, action="customField", key="size", value=None, **only)
    assert (await read(api, ann))["customFields"] == {"more": {"a": [1]}}
    await bulk(api, action="delete", **only)
    assert (await read(api, ann))["deletedAt"] is not None
    await make_customer(api, name="Bea", email="bea@example.com")
    await bulk(api, action="restore", **only)
    found = await read(api, ann)
    assert (found["deletedAt"], found["email"], found["version"]) == (None, "ann@example.com", 11)


async def test_the_house_is_told_as_when_a_person_edits(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann")
    for asked in ({"action": "tag", "tags": ["VIP"]}, {"action": "block"}, {"action": "delete"}, {"action": "restore"}):
        await bulk(api, ids=[ann["id"]], **asked)
    assert await logged(db, shop, "CustomerChanged") == [
        {"changes": {"tags": [[], ["VIP"]]}},
        {"changes": {"status": ["ACTIVE", "BLOCKED"]}},
    ]
    for kind in ("CustomerTagged", "CustomerBlocked", "CustomerDeleted", "CustomerRestored"):
        assert len(await logged(db, shop, kind)) == 1, kind


async def test_deleting_frees_the_contacts_and_restoring_takes_them_back(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@example.com", external_id="a1", source="SHOPIFY")
    await bulk(api, action="delete", ids=[ann["id"]])
    bea = await make_customer(api, name="Bea", email="ann@example.com")
    answer = await bulk(api, action="restore", ids=[ann["id"]])
    assert outcomes(answer) == [("failed", "email-taken")]
    assert bea["id"] in answer["results"][0]["message"]
    told(await api.delete(f"/api/customers/{bea['id']}"), 204)
    assert outcomes(await bulk(api, action="restore", ids=[ann["id"]])) == [("changed", None)]
    taken = await api.post("/api/customers", json={"name": "Cy", "externalId": "a1", "source": "SHOPIFY"})
    assert told(taken, 409)["customerId"] == ann["id"]


# --- who is meant --------------------------------------------------------------------------------------------------------


async def test_who_is_meant_is_told_by_ids_or_by_what_a_list_is_narrowed_by(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", tags=["b2b"], country="DE")
    bea = await make_customer(api, name="Bea Lee", tags=["b2b"], status="VIP")
    await make_customer(api, name="Cy")
    made = await api.post("/api/segments", json={"name": "Both", "customerIds": [ann["id"], bea["id"]]})
    asked: list[tuple[Json, int]] = [
        ({"ids": [ann["id"], bea["id"], ann["id"]]}, 2),
        ({"filter": "customer_tags CONTAINS 'b2b'"}, 2),
        ({"search": "lee"}, 2),
        ({"search": "lee", "query": "status=VIP&tag=B2B"}, 1),
        ({"query": "country=Germany"}, 1),
        ({"filter": "customer_tags CONTAINS 'b2b'", "query": "status=ACTIVE&status=INACTIVE"}, 1),
        ({"query": ""}, 3),
    ]
    if made.status_code == 201:
        asked.append(({"segment": made.json()["id"]}, 2))
    for who, total in asked:
        assert (await bulk(api, action="tag", tags=["x"], dryRun=True, **who))["total"] == total, who


async def test_who_is_not_a_living_customer_here_is_a_row_that_fails(
    api: httpx.AsyncClient, db: Database, owner: "Connection[Any]"
) -> None:
    ann, gone, merged = [await make_customer(api, name=name) for name in ("Ann", "Bea", "Cy")]
    told(await api.delete(f"/api/customers/{gone['id']}"), 204)
    await owner.execute(
        "update data.customer set merged_into_id = $1, deleted_at = now() where id = $2",
        UUID(ann["id"]),
        UUID(merged["id"]),
    )
    async with client(db, (await make_workspace(db)).key) as other:
        theirs = await make_customer(other, name="Dee")
    nobody = str(ids.new())
    wanted = [ann["id"], gone["id"], merged["id"], theirs["id"], nobody]
    answer = await bulk(api, action="tag", tags=["x"], ids=wanted)
    assert (answer["status"], counts(answer)) == ("completed_with_errors", (5, 1, 0, 4))
    assert {r["customerId"]: r["code"] for r in answer["results"]} == {
        ann["id"]: None, gone["id"]: "customer-not-found", merged["id"]: "customer-merged",
        theirs["id"]: "customer-not-found", nobody: "customer-not-found",
    }  # fmt: skip
    async with client(db, (await make_workspace(db)).key) as other:
        told(await other.get(f"/api/bulk/{answer['id']}"), 404)
        told(await other.post(f"/api/bulk/{answer['id']}/undo"), 404)
        told(await other.get(f"/api/bulk/{answer['id']}/results"), 404)


async def test_what_cannot_be_asked_is_refused_with_its_field(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api)
    who = {"ids": [ann["id"]]}
    told(await api.post("/api/custom-fields", json={"key": "size", "type": "number"}), 201)
    refused: list[tuple[Json, list[str]]] = [
        ({"action": "tag", **who}, ["/tags"]),
        ({"action": "tag", "tags": [" "], **who}, ["/tags"]),
        ({"action": "tag", "tags": ["x" * 101], **who}, ["/tags"]),
        ({"action": "status", **who}, ["/status"]),
        ({"action": "customField", "key": "size", **who}, ["/value"]),
        ({"action": "customField", "key": "size", "value": "big", **who}, ["/customFields/size"]),
        ({"action": "block", "tags": ["x"], **who}, ["/tags"]),
        ({"action": "block"}, [""]),
        ({"action": "block", "ids": []}, ["/ids"]),
        ({"action": "block", "search": "a", **who}, ["/ids"]),
        ({"action": "block", "filter": "nonsense = 1"}, ["/filter"]),
        ({"action": "block", "segment": str(ids.new())}, ["/segment"]),
        ({"action": "block", "query": "limit=5"}, ["/query"]),
        ({"action": "block", "query": "status=GREAT"}, ["/query"]),
        ({"action": "nothing", **who}, ["/action"]),
    ]
    for asked, where in refused:
        assert pointers(await api.post("/api/customers/bulk", json=asked)) == where, asked
    assert (await read(api, ann))["version"] == 1


# --- rows that fail ------------------------------------------------------------------------------------------------------


async def test_what_one_customer_cannot_take_fails_for_that_one(api: httpx.AsyncClient) -> None:
    full = await make_customer(api, name="Full", tags=[f"t{n}" for n in range(250)])
    ann = await make_customer(api, name="Ann")
    answer = await bulk(api, action="tag", tags=["more"], ids=[full["id"], ann["id"]])
    assert outcomes(answer) == [("failed", "length"), ("changed", None)]
    assert answer["results"][0]["field"] == "tags"
    big = await make_customer(api, name="Big", custom_fields={"a": "x" * 16_000})
    answer = await bulk(api, action="customField", key="b", value="y" * 500, ids=[big["id"], ann["id"]])
    assert sorted(outcomes(answer)) == [("changed", None), ("failed", "size")]


async def test_a_unique_value_is_for_one(api: httpx.AsyncClient) -> None:
    told(await api.post("/api/custom-fields", json={"key": "card", "type": "text", "isUnique": True}), 201)
    ann, bea = [await make_customer(api, name=name) for name in ("Ann", "Bea")]
    answer = await bulk(api, action="customField", key="card", value="A", ids=[ann["id"], bea["id"]])
    assert outcomes(answer) == [("changed", None), ("failed", "custom-field-value-taken")]
    assert answer["results"][1]["field"] == "customFields.card"
    told(await api.post("/api/custom-fields", json={"key": "must", "type": "text", "isRequired": True}), 201)
    wrong = {"action": "customField", "key": "must", "value": None, "ids": [ann["id"]]}
    assert pointers(await api.post("/api/customers/bulk", json=wrong)) == ["/customFields/must"]


async def test_where_one_failing_rejects_all_nobody_is_changed(
    api: httpx.AsyncClient, shop: Workspace, owner: "Connection[Any]"
) -> None:
    made = [await make_customer(api, name=f"Ann {n}") for n in range(3)]
    before = await dump(owner, shop)
    wanted = [*(c["id"] for c in made), str(ids.new())]
    answer = await bulk(api, action="tag", tags=["x"], ids=wanted, onError="rejectAll")
    assert (answer["status"], counts(answer)) == ("failed", (4, 0, 3, 1))
    assert await dump(owner, shop) == before
    answer = await bulk(api, action="tag", tags=["x"], ids=wanted[:3], onError="rejectAll")
    assert (answer["status"], counts(answer)) == ("completed", (3, 3, 0, 0))


@pytest.mark.parametrize("on_error", ["rejectFailed", "rejectAll"])
@pytest.mark.parametrize("many", [False, True])
async def test_a_dry_run_answers_as_the_action_does_and_changes_nothing(
    api: httpx.AsyncClient,
    db: Database,
    shop: Workspace,
    owner: "Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
    on_error: str,
    many: bool,
) -> None:
    if many:
        monkeypatch.setattr(commands, "AT_ONCE", 2)
        monkeypatch.setattr(commands, "CHUNK", 2)
    made = [await make_customer(api, name=f"Ann {n}", tags=["VIP"] if n == 1 else []) for n in range(4)]
    before = await dump(owner, shop)
    asked = {
        "action": "tag", "tags": ["VIP"], "ids": [*(c["id"] for c in made), str(ids.new())], "onError": on_error,
    }  # fmt: skip
    found: list[Any] = []
    for dry in (True, False):
        answer = await bulk(api, 202 if many else 200, dryRun=dry, **asked)
        if many:
            await work(db)
            answer = told(await api.get(f"/api/bulk/{answer['id']}"))
            answer["results"] = told(await api.get(f"/api/bulk/{answer['id']}/results"))["data"]
        found.append((answer["status"], counts(answer), sorted(map(str, answer["results"]))))
        assert not dry or await dump(owner, shop) == before
        assert answer["dryRun"] is dry
    if many and on_error == "rejectAll":
        found = [one[:2] for one in found]
    assert found[0] == found[1]
    assert found[0][1] == ((5, 3, 1, 1) if on_error == "rejectFailed" else (5, 0, 4, 1))


# --- by a job ------------------------------------------------------------------------------------------------------------


async def test_many_are_done_by_a_job(api: httpx.AsyncClient, db: Database, small: None) -> None:
    made = [await make_customer(api, name=f"Ann {n}", tags=["VIP"] if n == 4 else []) for n in range(5)]
    answer = await api.post("/api/customers/bulk", json={"action": "tag", "tags": ["VIP"], "search": "ann"})
    begun = told(answer, 202)
    assert answer.headers["location"] == f"/api/bulk/{begun['id']}"
    assert (begun["status"], begun["total"], begun["done"], "results" in begun) == ("queued", 5, 0, False)
    later = await make_customer(api, name="Ann later")
    await bulk(api, action="status", status="VIP", ids=[made[3]["id"]])
    await work(db)
    ended = told(await api.get(f"/api/bulk/{begun['id']}"))
    assert (ended["status"], counts(ended), ended["done"]) == ("completed", (5, 4, 1, 0), 5)
    assert ended["rate"] > 0
    assert (await read(api, later))["tags"] == [], "who was not there when it began is not meant"
    assert [(await read(api, c))["tags"] for c in made] == [["VIP"]] * 5
    assert [b["id"] for b in told(await api.get("/api/bulk"))["data"]][1:] == [begun["id"]]


async def test_results_are_listed_by_outcome_page_by_page(api: httpx.AsyncClient, db: Database, small: None) -> None:
    made = [await make_customer(api, name=f"Ann {n}", tags=["VIP"] if n % 2 else []) for n in range(7)]
    nobody = [str(ids.new()), str(ids.new())]
    begun = await bulk(api, 202, action="tag", tags=["VIP"], ids=[*(c["id"] for c in made), *nobody])
    await work(db)

    async def listed(**params: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = told(
                await api.get(
                    f"/api/bulk/{begun['id']}/results",
                    params={"limit": 2, **params} | ({"cursor": cursor} if cursor else {}),
                )
            )
            found += [row["customerId"] for row in page["data"]]
            if (cursor := page["nextCursor"]) is None:
                return found

    everybody = sorted([*(c["id"] for c in made), *nobody])
    assert await listed() == everybody
    assert await listed(outcome="changed") == [c["id"] for c in made[::2]]
    assert await listed(outcome="unchanged") == [c["id"] for c in made[1::2]]
    assert await listed(outcome="failed") == sorted(nobody)


async def test_a_cancelled_action_stops_and_what_it_did_can_be_undone(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    made = [await make_customer(api, name=f"Ann {n}") for n in range(6)]
    before = await dump(owner, shop)
    begun = await bulk(api, 202, action="tag", tags=["VIP"], search="ann")
    told(await api.post(f"/api/bulk/{begun['id']}/undo"), 409)
    async with db.tx(shop.id) as tx:
        await commands.advance(tx, UUID(begun["id"]))
    cancelled = told(await api.post(f"/api/bulk/{begun['id']}/cancel"))
    assert (cancelled["status"], cancelled["done"]) == ("cancelled", 2)
    told(await api.post(f"/api/bulk/{begun['id']}/cancel"), 409)
    await work(db)
    assert [bool((await read(api, c))["tags"]) for c in made] == [True, True, False, False, False, False]
    assert told(await api.post(f"/api/bulk/{begun['id']}/undo"))["status"] == "undone"
    assert await dump(owner, shop) == before


async def test_with_reject_all_a_job_looks_at_everybody_first(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    made = [await make_customer(api, name=f"Ann {n}") for n in range(5)]
    before = await dump(owner, shop)
    wanted = [*(c["id"] for c in made), str(ids.new())]
    begun = await bulk(api, 202, action="tag", tags=["VIP"], ids=wanted, onError="rejectAll")
    await work(db)
    ended = told(await api.get(f"/api/bulk/{begun['id']}"))
    assert (ended["status"], counts(ended)) == ("failed", (6, 0, 5, 1))
    assert await dump(owner, shop) == before
    [failed] = told(await api.get(f"/api/bulk/{begun['id']}/results", params={"outcome": "failed"}))["data"]
    assert failed["customerId"] == wanted[-1]
    begun = await bulk(api, 202, action="tag", tags=["VIP"], ids=wanted[:-1], onError="rejectAll")
    await work(db)
    ended = told(await api.get(f"/api/bulk/{begun['id']}"))
    assert (ended["status"], counts(ended), ended["done"]) == ("completed", (5, 5, 0, 0), 5)


async def test_a_job_that_loses_worker_after_worker_goes_on_where_it_stood(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    made = [await make_customer(api, name=f"Ann {n}") for n in range(20)]
    begun = await bulk(api, 202, action="tag", tags=["VIP"], search="ann")
    [(job_id, kind)] = await owner.fetch(
        "select id, kind from data.job where workspace_id = $1 and kind = $2", shop.id, commands.JOB
    )
    for attempt in range(1, 8):
        # As a worker that claims it, does one chunk and is killed.
        claimed = await owner.fetchval(
            """update data.job set state = 'running', worker = 'w', lease_until = now() + interval '1 hour',
                      attempts = attempts + 1 where id = $1 returning attempts""",
            job_id,
        )
        assert claimed <= 2, f"attempt {attempt}"
        ctx = JobContext(db, shop.id, job_id, kind, "w")
        ctx.attempt = claimed
        async with ctx.tx() as tx:
            await commands.advance(tx, UUID(begun["id"]))
        await ctx.advanced()
        await owner.execute(
            "update data.job set state = 'queued', worker = null, lease_until = null where id = $1", job_id
        )
    await work(db)
    ended = told(await api.get(f"/api/bulk/{begun['id']}"))
    assert (ended["status"], counts(ended)) == ("completed", (20, 20, 0, 0))
    assert [(await read(api, c))["version"] for c in made] == [2] * 20, "nobody is done twice"


async def test_one_whose_job_is_dead_says_so_and_goes_on_when_that_is_tried_again(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    for n in range(3):
        await make_customer(api, name=f"Ann {n}")
    begun = await bulk(api, 202, action="tag", tags=["VIP"], search="ann")
    job_id = await owner.fetchval(
        "update data.job set state = 'dead' where workspace_id = $1 and kind = $2 returning id", shop.id, commands.JOB
    )
    assert told(await api.get(f"/api/bulk/{begun['id']}"))["status"] == "failed"
    told(await api.post(f"/api/jobs/{job_id}/retry"))
    await work(db)
    assert told(await api.get(f"/api/bulk/{begun['id']}"))["status"] == "completed"


async def test_who_edits_meanwhile_loses_nothing_and_nobody_waits_for_ever(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AT_ONCE", 2)
    monkeypatch.setattr(commands, "CHUNK", 5)
    made = [await make_customer(api, name=f"Ann {n}", email=f"ann{n}@example.com") for n in range(30)]
    begun = await bulk(api, 202, action="tag", tags=["VIP"], search="ann")

    async def edit() -> None:
        for n, c in reversed(list(enumerate(made))):
            told(await api.post(f"/api/customers/{c['id']}/tags", json={"tags": [f"t{n}"]}))
            told(await api.patch(f"/api/customers/{c['id']}", json={"email": f"other{n}@example.com"}))

    await asyncio.gather(work(db), edit())
    await work(db)
    assert told(await api.get(f"/api/bulk/{begun['id']}"))["changed"] == 30
    for n, c in enumerate(made):
        found = await read(api, c)
        assert (sorted(found["tags"]), found["email"]) == (sorted(["VIP", f"t{n}"]), f"other{n}@example.com")


# --- undone --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "tag", "tags": ["VIP", "zzz"]},
        {"action": "untag", "tags": ["b"]},
        {"action": "status", "status": "INACTIVE"},
        {"action": "block"},
        {"action": "unblock"},
        {"action": "customField", "key": "size", "value": 7},
        {"action": "customField", "key": "size", "value": None},
        {"action": "delete"},
    ],
    ids=str,
)
async def test_undone_everything_is_as_it_was(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None, asked: Json
) -> None:
    told(await api.post("/api/custom-fields", json={"key": "size", "type": "number", "isIndexed": True}), 201)
    for n, status in enumerate(["ACTIVE", "VIP", "BLOCKED", "INACTIVE", "BLOCKED"]):
        await make_customer(
            api, name=f"Ann {n}", status=status, tags=["a", "b", "c"][n % 3 :], email=f"ann{n}@example.com",
            custom_fields={"size": n, "x": 1.5} if n % 2 else {},
        )  # fmt: skip
    before = await dump(owner, shop)
    begun = await bulk(api, 202, search="ann", **asked)
    await work(db)
    assert await dump(owner, shop) != before
    undoing = await api.post(f"/api/bulk/{begun['id']}/undo")
    assert undoing.status_code in (200, 202)
    await work(db)
    undone = told(await api.get(f"/api/bulk/{begun['id']}"))
    assert (undone["status"], undone["undone"], undone["kept"]) == ("undone", undone["changed"], 0)
    assert await dump(owner, shop) == before
    assert told(await api.post(f"/api/bulk/{begun['id']}/undo"))["status"] == "undone"


async def test_undoing_a_restore_deletes_again(
    api: httpx.AsyncClient, shop: Workspace, owner: "Connection[Any]"
) -> None:
    ann = await make_customer(api, name="Ann", email="ann@example.com")
    told(await api.delete(f"/api/customers/{ann['id']}"), 204)
    deleted_at = (await read(api, ann))["deletedAt"]
    done = await bulk(api, action="restore", search="ann")
    assert outcomes(done) == [("changed", None)]
    told(await api.post(f"/api/bulk/{done['id']}/undo"))
    assert (await read(api, ann))["deletedAt"] == deleted_at
    await make_customer(api, name="Bea", email="ann@example.com")


async def test_what_others_changed_since_stays_and_is_listed(api: httpx.AsyncClient) -> None:
    ann, bea = [await make_customer(api, name=name, tags=["a"]) for name in ("Ann", "Bea")]
    done = await bulk(api, action="status", status="VIP", ids=[ann["id"], bea["id"]])
    told(await api.patch(f"/api/customers/{ann['id']}", json={"status": "INACTIVE", "name": "Anna"}))
    undone = told(await api.post(f"/api/bulk/{done['id']}/undo"))
    assert (undone["status"], undone["undone"], undone["kept"]) == ("undone", 2, 1)
    [kept] = told(await api.get(f"/api/bulk/{done['id']}/kept"))["data"]
    assert kept == {"customerId": ann["id"], "fields": ["status"], "mergedIntoId": None}
    assert [(await read(api, c))["status"] for c in (ann, bea)] == ["INACTIVE", "ACTIVE"]
    assert (await read(api, ann))["name"] == "Anna"


async def test_what_is_too_long_ago_or_was_a_dry_run_cannot_be_undone(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    ann = await make_customer(api)
    done = await bulk(api, action="block", ids=[ann["id"]])
    await owner.execute(
        "update data.bulk_action set created_at = now() - interval '31 days' where id = $1", UUID(done["id"])
    )
    told(await api.post(f"/api/bulk/{done['id']}/undo"), 409)
    dry = await bulk(api, 202, action="block", ids=[str(ids.new()) for _ in range(3)], dryRun=True)
    await work(db)
    told(await api.post(f"/api/bulk/{dry['id']}/undo"), 409)


# --- exported ------------------------------------------------------------------------------------------------------------


async def test_who_is_meant_can_be_exported(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann")
    answer = await api.post(
        "/api/customers/bulk", json={"action": "export", "ids": [ann["id"]], "fields": ["name"], "format": "jsonl"}
    )
    begun = told(answer, 202)
    assert (begun["id"], answer.headers["location"]) == (None, f"/api/exports/{begun['exportId']}")
    run = told(await api.get(f"/api/exports/{begun['exportId']}"))
    assert (run["kind"], run["format"], run["asked"]["ids"]) == ("customers", "jsonl", [ann["id"]])
    begun = await bulk(api, 202, action="export", query="status=VIP&minSpent=5", search="ann")
    asked = told(await api.get(f"/api/exports/{begun['exportId']}"))["asked"]
    assert (asked["status"], asked["minSpent"], asked["search"]) == (["VIP"], "5", "ann")
    for wrong, where in (
        ({"query": "email=ann@example.com"}, "/query"),
        ({"query": "", "dryRun": True}, "/dryRun"),
        ({"query": "", "tags": ["x"]}, "/tags"),
        ({"filter": "nonsense = 1"}, "/filter"),
    ):
        assert pointers(await api.post("/api/customers/bulk", json={"action": "export", **wrong})) == [where]
    async with client(db, await make_key(db, shop.id, "customers:write")) as writer:
        told(await writer.post("/api/customers/bulk", json={"action": "export", "ids": [ann["id"]]}), 403)


# --- who may, and what is kept -------------------------------------------------------------------------------------------


async def test_who_may_only_read_changes_nothing(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api)
    done = await bulk(api, action="block", ids=[ann["id"]])
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        told(await reader.post("/api/customers/bulk", json={"action": "unblock", "ids": [ann["id"]]}), 403)
        told(await reader.post(f"/api/bulk/{done['id']}/undo"), 403)
        told(await reader.post(f"/api/bulk/{done['id']}/cancel"), 403)
        assert told(await reader.get(f"/api/bulk/{done['id']}"))["changed"] == 1


async def test_the_same_key_again_does_nothing_again(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, custom_fields={"n": 1}, name="Ann")
    asked = {"action": "tag", "tags": ["VIP"], "ids": [ann["id"]]}
    first, second = [
        await api.post("/api/customers/bulk", json=asked, headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]
    assert (first.json(), second.headers["idempotent-replayed"]) == (second.json(), "true")
    assert (await read(api, ann))["version"] == 2


async def test_an_act_is_one_row_of_the_audit_log(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: "Connection[Any]", small: None
) -> None:
    for n in range(5):
        await make_customer(api, name=f"Ann {n}")
    begun = await bulk(api, 202, action="tag", tags=["VIP"], search="ann")
    await work(db)
    rows = await owner.fetch(
        "select action, subject_id from data.audit_log where workspace_id = $1 and action like 'bulk.%'", shop.id
    )
    assert [tuple(row) for row in rows] == [("bulk.create", UUID(begun["id"]))]


async def test_whom_old_actions_meant_is_forgotten(
    api: httpx.AsyncClient, db: Database, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await make_customer(api)
    done = await bulk(api, action="block", ids=[ann["id"], str(ids.new())])
    async with db.tx(shop.id) as tx:
        assert await commands.forget(tx, 10) == 0
    monkeypatch.setattr(journal, "KEPT", timedelta(seconds=-1))
    async with db.tx(shop.id) as tx:
        assert await commands.forget(tx, 10) == 2, "a chunk and a result"
        assert await commands.forget(tx, 10) == 0
    assert told(await api.get(f"/api/bulk/{done['id']}/results"))["data"] == []
    assert told(await api.get(f"/api/bulk/{done['id']}"))["changed"] == 1
