import asyncio
import re
from collections.abc import AsyncGenerator
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from litestar.exceptions import HTTPException

from supover.kit import api as api_kit
from supover.kit import edge, problems, telemetry
from supover.kit.db import Database
from supover.kit.problems import Invalid
from tests.kit.small import ERRORS, Small, routes, small, tried
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


# --- the short way to our routes -------------------------------------------------------------------------------------

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/things", {}),
    ("GET", "/api/things/", {}),
    ("GET", "/api//things", {}),
    ("GET", "/api/v1/things?limit=2&atLeast=3&name=a&name=b", {}),
    ("GET", "/api/things?limit=many&atLeast=few", {}),
    ("GET", "/api/things?limit=", {}),
    ("GET", f"/api/things/{UUID(int=7)}", {}),
    ("GET", "/api/things/no-uuid", {}),
    ("GET", "/api/nothing", {}),
    ("GET", "/api/things", {"headers": {"Host": "a b"}}),
    ("GET", "/api/things", {"headers": {"Host": "täst".encode()}}),
    ("GET", "/api/files/a%2Fb", {}),
    ("GET", "/api/files/a", {}),
    ("HEAD", "/api/things", {}),
    ("OPTIONS", "/api/things", {}),
    ("OPTIONS", "/api/nothing", {}),
    ("PUT", "/api/things", {}),
    ("BREW", "/api/things", {}),
    ("POST", "/api/secrets", {"json": {"name": "A"}}),
    ("POST", "/api/secrets", {"json": {"nam": 1}}),
    ("POST", "/api/secrets", {"json": {"name": "A"}, "headers": {"Idempotency-Key": "k" * 256}}),
    ("POST", "/api/secrets", {"content": b"{"}),
    ("POST", "/api/secrets", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/api/secrets", {"content": b"x" * 20_000, "headers": {"Content-Type": "application/json"}}),
    ("POST", "/api/secrets", {}),
    ("POST", "/api/plain", {"json": {}}),
    ("POST", "/api/plain", {}),
    ("PATCH", f"/api/things/{UUID(int=7)}", {"headers": {"If-Match": '"5"'}}),
    ("PATCH", f"/api/things/{UUID(int=7)}", {"headers": {"If-Match": "five"}}),
    ("DELETE", f"/api/things/{UUID(int=7)}", {}),
    *(("POST", "/api/fail", {"json": {"kind": kind}}) for kind in ERRORS),
]


@pytest.mark.parametrize(("method", "path", "more"), ASKED)
async def test_a_route_answers_the_same_whether_it_is_called_directly_or_by_litestar(
    api: Small, monkeypatch: pytest.MonkeyPatch, method: str, path: str, more: dict[str, Any]
) -> None:
    direct = await api.request(method, path, **more)

    def not_direct(scope: Any) -> None:
        del scope

    monkeypatch.setattr(api.app, "_direct", not_direct)
    tried.clear()
    led = await api.request(method, path, **more)
    own = re.compile(rb"[0-9a-f]{32}|[0-9a-f-]{36}")

    def seen(answer: httpx.Response) -> Any:
        headers = [(k, own.sub(b"ID", v.encode())) for k, v in answer.headers.multi_items()]
        return answer.status_code, headers, own.sub(b"ID", answer.content)

    assert seen(direct) == seen(led)


async def test_every_route_of_ours_is_called_directly(api: Small) -> None:
    handlers = [h for route in api.app.app.routes for h in getattr(route, "route_handlers", ())]
    ours = [h for h in handlers if isinstance(h, api_kit.Handler)]
    assert len(ours) == len(routes.handlers)
    assert all(h.parameters is not None for h in ours)


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


@pytest.mark.parametrize(
    "path", ["/api/things/%ff", "/api/%c3%28", "/api/things?name=%ff", "/api/things?%fe=1", "/%ed%a0%80"]
)
async def test_an_address_that_is_no_utf8_is_400(api: Small, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (400, "An address must be UTF-8."), answer.text


async def test_a_path_of_two_slashes_leads_nowhere(api: Small) -> None:
    """Its link to the next page would name another host."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "//evil.example/api/things",
        "raw_path": b"//evil.example/api/things",
    }
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    await api.app({**scope, "query_string": b"", "headers": []}, None, send)  # pyright: ignore[reportArgumentType]
    assert said[0]["status"] == 404
    assert not [value for name, value in said[0]["headers"] if name in (b"link", b"location")]


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
        if answer.status_code in (204, 304):
            assert answer.content == b""
            assert "content-type" not in answer.headers
        elif answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"


async def test_on_https_browsers_are_told_to_stay_there(api: Small) -> None:
    edge_of = edge.Edge(api.app.app, https=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=edge_of), base_url="https://small.test") as client:  # pyright: ignore[reportArgumentType]
        assert (await client.get("/nothing")).headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in (await api.get("/nothing")).headers


async def test_another_origin_is_let_in_nowhere(api: Small) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answer = await api.request(method, "/api/things", headers=headers)
        assert [name for name in answer.headers if name.startswith("access-control")] == []


# --- methods ---------------------------------------------------------------------------------------------------------


async def test_head_is_get_without_its_body(api: Small) -> None:
    id = (await api.post("/api/things", json={"name": "A"})).json()["id"]
    for path in ("/api/things", f"/api/things/{id}", f"/api/v1/things/{id}", f"/api/things/{uuid4()}", "/nothing"):
        read, asked = await api.get(path), await api.head(path)
        assert (asked.status_code, asked.content) == (read.status_code, b"")
        assert {**asked.headers, "x-request-id": ""} == {**read.headers, "x-request-id": ""}


async def test_options_tells_everybody_what_an_address_takes(api: Small) -> None:
    for path, taken in (
        ("/api/things", "GET, HEAD, OPTIONS, POST"),
        (f"/api/things/{uuid4()}", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/fail", "OPTIONS, POST"),
    ):
        for headers in ({}, {"Authorization": "none"}):
            answer = await api.options(path, headers=headers)
            assert (answer.status_code, answer.content) == (204, b""), path
            assert set(answer.headers["allow"].split(", ")) <= set(taken.split(", "))
            assert (await api.request("BREW", path)).headers["allow"] == answer.headers["allow"]
            assert "content-type" not in answer.headers
    assert (await api.options("/nothing")).status_code == 404


async def test_a_method_of_nobodys_is_measured_as_any_other(api: Small) -> None:
    for n in range(3):
        assert (await api.request(f"BREW{n}", "/api/things")).status_code == 405
    assert b"BREW" not in telemetry.render()


# --- overload --------------------------------------------------------------------------------------------------------


async def test_beyond_the_bound_requests_are_turned_away_at_once_and_afterwards_taken_again(api: Small) -> None:
    narrow = edge.Edge(api.app.app, at_once=2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=narrow), base_url="http://small.test") as client:  # pyright: ignore[reportArgumentType]
        slow = [asyncio.create_task(client.post("/api/fail", json={"kind": "sleep"})) for _ in range(2)]
        for _ in range(1_000):
            if narrow.in_flight < 2:
                await asyncio.sleep(0.001)
        for path in ("/api/things", "/nothing", '/api/"quoted"'):
            answer = await client.get(path)
            said = answer.json()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert (said["type"], said["status"]) == ("https://supover.dev/problems/overloaded", 503)
            assert (said["instance"], said["requestId"]) == (unquote(path), answer.headers["x-request-id"])
            assert set(answer.headers) >= {name.decode() for name, _ in edge.HEADERS}
        # Whoever watches is let in.
        assert (await client.get("/health/none")).status_code == 404
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert narrow.in_flight == 0
        assert (await client.get("/api/things")).status_code == 200


async def test_of_bodies_that_come_all_at_once_no_more_are_worked_on_than_the_bound(api: Small) -> None:
    narrow = edge.Edge(api.app.app, at_once=2)
    begun = asyncio.Event()

    async def body(name: str) -> AsyncGenerator[bytes]:
        await begun.wait()
        yield b'{"kind": "sleep", "times": 1}' if name == "slow" else b"{}"

    sent = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=narrow), base_url="http://small.test") as client:  # pyright: ignore[reportArgumentType]
        asked = [asyncio.create_task(client.post("/api/fail", content=body("slow"), headers=sent)) for _ in range(6)]
        await asyncio.sleep(0.05)
        begun.set()
        done, waiting = await asyncio.wait(asked, timeout=1)
        assert [(t.result().status_code, t.result().headers["retry-after"]) for t in done] == [(503, "1")] * 4
        assert len(waiting) == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert narrow.in_flight == 0


async def test_who_is_slow_to_send_takes_nobodys_place_and_is_not_waited_for(
    api: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BODY_IDLE_S", 0.05)
    monkeypatch.setattr(api_kit, "BODY_S", 0.3)
    seen: list[int] = []

    async def body(parts: int, pause_s: float) -> AsyncGenerator[bytes]:
        yield b'{"name": "'
        for _ in range(parts):
            await asyncio.sleep(pause_s)
            seen.append(api.app.in_flight)
            yield b"x"
        yield b'"}'

    sent = {"Content-Type": "application/json"}
    assert (await api.post("/api/things", content=body(3, 0.01), headers=sent)).status_code == 201
    assert set(seen) == {0}
    for parts, pause_s in ((1, 5), (10**6, 0.01)):
        answer = await api.post("/api/things", content=body(parts, pause_s), headers=sent)
        assert (answer.status_code, answer.json()["type"]) == (408, "https://supover.dev/problems/body-too-slow")
    assert api.app.in_flight == 0


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
