import asyncio
import re
from collections.abc import AsyncGenerator
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from litestar.exceptions import HTTPException

from supover.kit import api as api_kit
from supover.kit import edge, problems
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.kit.small import ERRORS, Small, routes, small
from tests.makers import told

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
async def api(db: Database) -> AsyncGenerator[Small]:
    async with small(db) as found:
        yield found


# --- the request id --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["12345678", "a.b-c_D9", "x" * 64, "0190b0d2-c3e4-7f6a-8b9c-0d1e2f3a4b5c"])
async def test_a_sound_request_id_comes_back(api: Small, sent: str) -> None:
    answer = await api.get("/api/nothing", headers={"X-Request-Id": sent})
    assert answer.headers.get_list("x-request-id") == [sent]
    assert answer.json()["requestId"] == sent


@pytest.mark.parametrize(
    "sent", ["", "1234567", "x" * 65, "with space", "a\tb" * 4, "ümlauts12", "<script>", "12345678\x7f", "a,b,c,d,e"]
)
async def test_any_other_is_replaced(api: Small, sent: str) -> None:
    answer = await api.get("/api/things", headers=[(b"X-Request-Id", sent.encode())])
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert ID.fullmatch(answer.headers["x-request-id"])


async def test_without_one_each_answer_has_its_own(api: Small) -> None:
    found = {(await api.get("/api/things")).headers["x-request-id"] for _ in range(5)}
    assert len(found) == 5
    assert all(ID.fullmatch(one) for one in found)


async def test_of_two_request_ids_one_comes_back(api: Small) -> None:
    headers = [("X-Request-Id", "the-first-one"), ("X-Request-Id", "the-second-one")]
    answer = await api.get("/api/things", headers=headers)
    assert answer.headers.get_list("x-request-id") == ["the-first-one"]


# --- addresses -------------------------------------------------------------------------------------------------------


async def test_the_pinned_version_is_the_same_api(api: Small) -> None:
    made = await api.post("/api/v1/things", json={"name": "A"})
    assert made.status_code == 201
    id = made.json()["id"]
    assert told(await api.get(f"/api/v1/things/{id}")) == told(await api.get(f"/api/things/{id}"))
    assert (await api.get("/api/v1/things")).headers["link"].startswith("</api/v1/things?")
    lost = await api.get(f"/api/v1/things/{uuid4()}")
    assert (lost.status_code, lost.json()["instance"]) == (404, lost.request.url.path)


@pytest.mark.parametrize(
    "path",
    ["/api/v2/things", "/api/v1things", "/api/v1", "/api/v1/", "/v1/things", "/api/v1/v1/things", "/api/V1/things"],
)
async def test_no_other_prefix_is(api: Small, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "https://supover.dev/problems/no-route"), path


@pytest.mark.parametrize(
    "path",
    [
        "/api/things/%00",
        "/api/v1/things/a%00b",
        "/api/files/a%00.csv",
        "/api/things?name=%00",
        "/api/things?a%00b=1",
        "/%00",
    ],
)
async def test_an_address_with_nul_is_400(api: Small, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["type"]) == (400, "https://supover.dev/problems/malformed"), answer.text


@cache
def strangers() -> Any:
    """The application for those whom it does not know."""

    async def authenticate(connection: Any) -> Any:
        raise problems.Unauthorized

    door = api_kit.Door(None, authenticate, None, {})  # pyright: ignore[reportArgumentType]
    return edge.Edge(edge.build(door, routes.handlers, body_max_bytes=1_000, openapi=None))


@given(st.text(max_size=30))
def test_any_address_is_answered_without_an_error_of_ours(text: str) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=strangers())
        async with httpx.AsyncClient(transport=transport, base_url="http://small.test") as client:
            return await client.get(f"/api/{quote(text, safe='/')}?{quote(text)}={quote(text)}")

    answer = asyncio.run(ask())
    assert answer.status_code in (400, 401, 404), answer.text


# --- headers ---------------------------------------------------------------------------------------------------------


async def test_every_answer_has_the_headers_that_guard_browsers(api: Small) -> None:
    made = await api.post("/api/things", json={"name": "A"})
    answers = [
        made,
        await api.get("/api/things"),
        await api.get(f"/api/things/{made.json()['id']}", headers={"If-None-Match": '"3"'}),
        await api.delete(f"/api/things/{made.json()['id']}"),
        await api.get("/nothing"),
        await api.put("/api/things"),
        await api.post("/api/things", content=b"{", headers={"Content-Type": "application/json"}),
        await api.post("/api/fail", json={"kind": "bug"}),
        await api.get("/api/%00"),
        await api.get("/api/files/x"),
    ]
    assert [a.status_code for a in answers] == [201, 200, 304, 204, 404, 405, 400, 500, 400, 403]
    for answer in answers:
        for name, value in edge.HEADERS:
            assert answer.headers.get_list(name.decode()) == [value.decode()], (answer.status_code, name)
        assert "server" not in answer.headers
        if answer.status_code in (204, 304):
            assert answer.content == b""
            assert "content-type" not in answer.headers
        elif answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"


# --- errors ----------------------------------------------------------------------------------------------------------

ANSWERS = {
    "bug": (500, "unexpected", None),
    "missing": (404, "thing-not-found", None),
    "unique": (409, "raced", "1"),
    "deadlock": (409, "raced", "1"),
    "away": (503, "database-away", "1"),
    "closed": (503, "database-away", "1"),
    "shutdown": (503, "database-away", "1"),
    "starting": (503, "database-away", "1"),
    "slow": (503, "took-too-long", "5"),
    "locked": (503, "took-too-long", "5"),
    "timeout": (503, "database-away", "1"),
    "range": (422, "value-out-of-range", None),
}


@pytest.mark.parametrize("kind", ERRORS)
async def test_whatever_goes_wrong_is_a_problem_without_its_cause(api: Small, db: Database, kind: str) -> None:
    answer = await api.post("/api/fail", json={"kind": kind})
    said = answer.json()
    assert (answer.status_code, said["type"].rpartition("/")[2], answer.headers.get("retry-after")) == ANSWERS[kind]
    assert set(said) == {"type", "title", "status", "detail", "instance", "requestId"}
    assert (said["status"], said["instance"]) == (answer.status_code, "/api/fail")
    for secret in ("hunter2", "Traceback", "asyncpg", "duplicate key", "small.py", "RuntimeError"):
        assert secret not in answer.text
    assert await api.effects(db) == 0


async def test_what_was_not_expected_is_logged_with_its_request(api: Small) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = await api.post("/api/fail", json={"kind": "bug"})
        await api.post("/api/fail", json={"kind": "missing"})
        await api.post("/api/fail", json={"kind": "away"})
    [failed, refused] = [entry for entry in logs if entry["event"] in ("request_failed", "request_refused")]
    assert (failed["log_level"], failed["path"], failed["request_id"]) == (
        "error",
        "/api/fail",
        answer.headers["x-request-id"],
    )
    assert "hunter2" in str(failed["exc_info"])
    assert (refused["log_level"], refused["problem"]) == ("warning", "The database cannot be reached just now")


def test_framework_errors_are_problems_too() -> None:
    def answer(error: Exception) -> tuple[int, str]:
        found = edge.as_problem(error)
        return found.status, type(found).__name__

    assert answer(HTTPException(status_code=413)) == (413, "BodyTooLarge")
    assert answer(HTTPException(status_code=415)) == (415, "NotJson")
    assert answer(HTTPException(detail="no body", status_code=400)) == (400, "BodyMissing")
    assert answer(HTTPException(detail="bad multipart", status_code=400)) == (400, "Malformed")
    assert answer(HTTPException(status_code=418)) == (500, "Unexpected")
    assert answer(asyncpg.CharacterNotInRepertoireError("\x00")) == (422, "ValueOutOfRange")
    assert answer(asyncpg.UndefinedTableError("x")) == (500, "Unexpected")
    assert answer(asyncpg.ConnectionDoesNotExistError("x")) == (503, "DatabaseAway")
    assert answer(asyncpg.TooManyConnectionsError("x")) == (503, "DatabaseAway")
    assert answer(Invalid.at("/a", "b", "c")) == (422, "Invalid")


# --- the database goes away ------------------------------------------------------------------------------------------


async def test_a_database_that_goes_away_is_503_and_back_by_itself(database: str, owner: "Connection") -> None:
    narrow = await Database.open(database, size=1)
    async with small(narrow) as api:
        slow = asyncio.create_task(api.post("/api/fail", json={"kind": "sleep"}))
        kill = """
            select pg_terminate_backend(pid) from pg_stat_activity
             where application_name = 'supover' and query like '%pg_sleep(20)%' and datname = current_database()"""
        for _ in range(200):
            await asyncio.sleep(0.02)
            if await owner.fetch(kill):
                break
        answer = await slow
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        for _ in range(3):
            assert (await api.get("/api/things")).status_code == 200
        assert await api.effects(narrow) == 0
    await narrow.close()


async def test_a_statement_that_takes_too_long_is_503(database: str) -> None:
    hasty = await Database.open(database, size=1, statement_timeout_s=0.1)
    async with small(hasty) as api:
        answer = await api.post("/api/fail", json={"kind": "sleep"})
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (503, "took-too-long")
        assert (await api.get("/api/things")).status_code == 200
    await hasty.close()


async def test_when_all_connections_are_busy_it_is_503_soon(database: str, db: Database) -> None:
    narrow = await Database.open(database, size=1, acquire_timeout_s=0.1)
    async with small(narrow, made_in=db) as api, narrow.across():
        answer = await api.get("/api/things")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "https://supover.dev/problems/over-capacity"
    assert narrow.in_use()[0] == 0
    await narrow.close()


async def test_a_caller_who_leaves_gives_the_connection_back(database: str, db: Database) -> None:
    narrow = await Database.open(database, size=1)
    async with small(narrow, made_in=db) as api:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(api.post("/api/fail", json={"kind": "sleep"}), 0.1)
        assert (await asyncio.wait_for(api.get("/api/things"), 5)).status_code == 200
        assert await api.effects(narrow) == 0
    await narrow.close()
