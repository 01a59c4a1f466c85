"""Connections over HTTP: connected once, renamed, rotated, disconnected; their secrets stay inside."""

import httpx
import pytest
from structlog.testing import capture_logs

from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Json, Workspace, client, make_workspace, pointers, told

SECRET = "shpss_0123456789abcdef0123456789abcdef"
BODY: Json = {"platform": "SHOPIFY", "shop": "demo.myshopify.com", "secret": SECRET}


async def test_a_shop_is_connected_and_read(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/channels", json=BODY)
    made = told(answer, 201)
    assert answer.headers["location"] == f"/api/channels/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert made == {
        "id": made["id"],
        "platform": "SHOPIFY",
        "shop": "demo.myshopify.com",
        "name": "demo.myshopify.com",
        "webhookUrl": f"http://127.0.0.1:8000/hooks/channels/{made['id']}",
        "overlapsUntil": None,
        "lastReceivedAt": None,
        "createdAt": made["createdAt"],
        "updatedAt": made["updatedAt"],
        "disconnectedAt": None,
        "version": 1,
    }
    assert told(await api.get(f"/api/channels/{made['id']}")) == made
    assert told(await api.get("/api/channels?count=true")) == {"data": [made], "nextCursor": None, "total": 1}


async def test_a_shop_is_connected_once_however_it_is_written(api: httpx.AsyncClient, db: Database) -> None:
    made = told(await api.post("/api/channels", json=BODY | {"shop": " https://Demo.myshopify.com/admin "}), 201)
    assert made["shop"] == "demo.myshopify.com"
    again = told(await api.post("/api/channels", json=BODY), 409)
    assert again["connectionId"] == made["id"]
    other = await make_workspace(db)
    async with client(db, other.key) as another:
        told(await another.post("/api/channels", json=BODY), 201)


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"platform": "EBAY"}, "/platform"),
        ({"shop": "www.demo.com"}, "/shop"),
        ({"shop": "demo.myshopify.com.evil.com"}, "/shop"),
        ({"shop": ""}, "/shop"),
        ({"secret": ""}, "/secret"),
        ({"secret": "        "}, "/secret"),
        ({"secret": "x" * 2000}, "/secret"),
        ({"name": "n" * 300}, "/name"),
        ({"webhookUrl": "https://evil.com"}, "/webhookUrl"),
    ],
)
async def test_what_is_wrong_is_named(api: httpx.AsyncClient, over: Json, pointer: str) -> None:
    assert pointers(await api.post("/api/channels", json=BODY | over)) == [pointer]
    assert told(await api.get("/api/channels"))["data"] == []


async def test_a_connection_is_renamed(api: httpx.AsyncClient) -> None:
    made = told(await api.post("/api/channels", json=BODY), 201)
    path = f"/api/channels/{made['id']}"
    told(await api.patch(path, json={"name": "The pen shop"}, headers={"If-Match": '"7"'}), 412)
    renamed = told(await api.patch(path, json={"name": "The pen shop"}, headers={"If-Match": '"1"'}))
    assert (renamed["name"], renamed["version"]) == ("The pen shop", 2)
    assert told(await api.patch(path, json={}))["version"] == 2
    assert pointers(await api.patch(path, json={"shop": "other.myshopify.com"})) == ["/shop"]


async def test_a_secret_is_rotated(api: httpx.AsyncClient) -> None:
    made = told(await api.post("/api/channels", json=BODY), 201)
    path = f"/api/channels/{made['id']}/rotate"
    rotated = told(await api.post(path, json={"secret": SECRET[::-1]}))
    assert rotated["version"] == 2
    assert rotated["overlapsUntil"] is not None
    at_once = told(await api.post(path, json={"secret": SECRET, "overlapHours": 0}))
    assert at_once["overlapsUntil"] is None
    assert pointers(await api.post(path, json={"secret": SECRET, "overlapHours": 1000})) == ["/overlapHours"]


async def test_a_shop_is_disconnected_and_can_be_connected_anew(api: httpx.AsyncClient) -> None:
    made = told(await api.post("/api/channels", json=BODY), 201)
    path = f"/api/channels/{made['id']}"
    assert (await api.delete(path)).status_code == 204
    assert told(await api.get("/api/channels"))["data"] == []
    [ended] = told(await api.get("/api/channels?disconnected=true"))["data"]
    assert ended["disconnectedAt"] is not None
    assert told(await api.get(path)) == ended
    for answer in (await api.delete(path), await api.patch(path, json={"name": "x"}),
                   await api.post(f"{path}/rotate", json={"secret": SECRET})):  # fmt: skip
        told(answer, 409)
    again = told(await api.post("/api/channels", json=BODY), 201)
    assert again["id"] != made["id"]


async def test_another_workspaces_connection_is_not_there(api: httpx.AsyncClient, db: Database) -> None:
    made = told(await api.post("/api/channels", json=BODY), 201)
    path = f"/api/channels/{made['id']}"
    other = await make_workspace(db)
    async with client(db, other.key) as another:
        for answer in (await another.get(path), await another.delete(path), await another.patch(path, json={"name": "x"}),
                       await another.post(f"{path}/rotate", json={"secret": SECRET})):  # fmt: skip
            told(answer, 404)
    assert told(await api.get(path)) == made
    told(await api.get(f"/api/channels/{ids.new()}"), 404)


async def test_a_secret_is_in_no_answer_log_audit_row_event_or_job_and_sealed_at_rest(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    with capture_logs() as logs:
        await _is_nowhere(api, db, shop)
    assert "canary" not in repr(logs)


async def _is_nowhere(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    canary, second = "canary-5f0c8f7e4d21-canary", "canary-aa11bb22cc33-canary"
    key = {"Idempotency-Key": ids.new().hex}
    answers = [await api.post("/api/channels", json=BODY | {"secret": canary}, headers=key)]
    path = f"/api/channels/{answers[0].json()['id']}"
    answers += [
        await api.post("/api/channels", json=BODY | {"secret": canary}, headers=key),
        await api.post("/api/channels", json=BODY | {"secret": canary}),
        await api.post("/api/channels", json=BODY | {"secret": canary, "shop": "nowhere"}),
        await api.post("/api/channels", json=BODY | {"secret": [canary]}),
        await api.post(f"{path}/rotate", json={"secret": second}),
        await api.post(f"{path}/rotate", json={"secret": second, "colour": second}),
        await api.get(path),
        await api.get("/api/channels"),
        await api.get("/api/audit"),
        await api.get("/api/events"),
        await api.get("/api/jobs"),
    ]
    assert [a.status_code for a in answers] == [201, 201, 409, 422, 422, 200, 422, 200, 200, 200, 200, 200]
    for answer in answers:
        assert "canary" not in answer.text, answer.text
        assert "canary" not in str(answer.headers)
    await api.post(
        f"/hooks/channels/{answers[0].json()['id']}", content=b"{}", headers={"X-Shopify-Hmac-Sha256": canary}
    )
    async with db.reader(shop.id) as reader:
        for table in ("channel_connection", "audit_log", "event_log", "job", "idempotency"):
            rows = await reader.column(f"select to_jsonb(t)::text from {table} t where t.workspace_id = $1")
            assert "canary" not in "".join(rows), table
            assert canary.encode().hex() not in "".join(rows), table
        changes = await reader.column(
            "select changes::text from audit_log where workspace_id = $1 and action = 'channels.rotate'"
        )
    assert changes
    assert all('"(set)"' in one for one in changes)
