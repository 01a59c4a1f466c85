"""Ways in that other programs were taken by, tried on ours; docs/security.md says which class each belongs to."""

import ast
import importlib
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
import msgspec
import pytest
import structlog

from supover.kit import ids
from supover.kit.db import Database
from tests import makers
from tests.house import walk
from tests.house.conftest import connected
from tests.house.world import Call, Look, Shop, calls, faults, make_shop

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
async def behind(database: str) -> AsyncGenerator["Connection"]:
    async with connected(database) as con:
        yield con


@pytest.fixture(scope="module")
async def own(db: Database, behind: "Connection") -> Shop:
    return await make_shop(db, behind, ("owner",))


@pytest.fixture(scope="module")
async def program(db: Database, own: Shop) -> AsyncGenerator[httpx.AsyncClient]:
    async with makers.client(db, own.workspace.key) as found:
        yield found


@pytest.fixture(scope="module")
async def every(program: httpx.AsyncClient) -> Sequence[Call]:
    return calls(makers.told(await program.get("/docs/openapi.json")))


# --- SQL in what looks technical -------------------------------------------------------------------------------------

SQL: Final = (
    "name; drop table customer",
    "name' or '1'='1",
    'id" desc, (select pg_sleep(5)) --',
    "createdAt) union select token_hash from api_key--",
    "UTC'; copy (select 1) to program 'true'--",
    "$1",
    "\\'); select pg_sleep(5)--",
    "1/**/or/**/1=1",
    "%27%20or%201%3d1",
)


async def test_sql_in_any_parameter_is_a_value_or_refused(
    program: httpx.AsyncClient, behind: "Connection", own: Shop, every: Sequence[Call]
) -> None:
    look = Look(behind, own.workspace.id)
    before = await look.now()
    wrong: list[str] = []
    tried = 0
    started = time.monotonic()
    for call in every:
        if call.operation.method != "GET":
            continue
        path = call.path([own.ids[noun] for noun in call.nouns])
        for name in (p["name"] for p in call.operation.parameters if p["in"] == "query"):
            for sql in SQL:
                answer = await program.get(path, params={name: sql})
                tried += 1
                # What is not refused found nothing, or was a word to search by.
                if answer.status_code not in (200, 400, 404, 422) or [
                    one for one in faults(answer) if not one.startswith("tells")
                ]:
                    wrong.append(f"{path}?{name}={sql}: {answer.status_code} {answer.text[:200]}")
                if name in ("sort", "cursor", "limit", "page", "include", "status") and answer.status_code == 200:
                    wrong.append(f"{path}?{name}={sql} is taken")
    assert wrong == []
    assert await look.now() == before
    assert tried > 500
    # None of them slept.
    assert (time.monotonic() - started) / tried < 0.5


@pytest.mark.parametrize("sql", SQL)
async def test_sql_for_a_time_zone_currency_or_status_is_refused_by_its_field(
    program: httpx.AsyncClient, sql: str
) -> None:
    for body in ({"timezone": sql}, {"currency": sql}, {"countingStatuses": [sql]}):
        [pointer] = makers.pointers(await program.patch("/api/workspace", json=body))
        assert pointer.split("/")[1] in body


# --- what is secret stays so -----------------------------------------------------------------------------------------

EVERYTHING: Final = """
    select string_agg(
               format('select %L || '': '' || to_jsonb(t) from data.%I t where to_jsonb(t)::text like any($1)', c.relname, c.relname),
               ' union all ')
      from pg_class c where c.relnamespace = 'data'::regnamespace and c.relkind = 'r'"""
"""A statement for the rows of any table in which one of several texts stands."""


async def test_no_secret_is_kept_logged_or_told_again(
    db: Database, behind: "Connection", program: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Passwords, keys, codes and tokens: what was typed and what was handed out stands nowhere in the database or a log."""
    mark = ids.new().hex
    first, second, wrong = (f"{word} {mark} canary" for word in ("first", "second", "wrong"))
    secrets = {"first password": first, "second password": second, "wrong password": wrong}
    texts: list[str] = []
    with structlog.testing.capture_logs() as logs:
        body = {"email": f"{mark}@shop.example", "name": "Canary", "role": "admin"}
        invited = makers.told(await program.post("/api/staff", json=body, headers={"Idempotency-Key": mark}), 201)
        secrets["invitation code"] = invited["invitationCode"]
        async with makers.client(db) as browser:
            signed = {"email": body["email"], "password": first, "invitationCode": invited["invitationCode"]}
            session = makers.told(await browser.post("/api/session", json=signed))
            secrets["first session"] = browser.cookies["supover_session"]
            browser.headers["X-CSRF-Token"] = secrets["first csrf token"] = session["csrfToken"]
            makers.told(await browser.post("/api/session", json={**signed, "password": wrong}), 401)
            makers.told(await browser.put("/api/session/password", json={"current": wrong, "new": second}), 422)
            changed = makers.told(await browser.put("/api/session/password", json={"current": first, "new": second}))
            secrets["second session"] = browser.cookies["supover_session"]
            browser.headers["X-CSRF-Token"] = secrets["second csrf token"] = changed["csrfToken"]
            new = {"name": "Canary", "scopes": ["admin"]}
            key = makers.told(await browser.post("/api/keys", json=new, headers={"Idempotency-Key": mark}), 201)
            secrets["key"] = key["apiKey"]
            for path in (
                "/api/keys",
                "/api/staff",
                "/api/sessions",
                "/api/audit",
                f"/api/keys/{key['id']}",
                "/api/workspace",
                "/metrics",
            ):
                texts.append((await browser.get(path)).text)
            texts.append((await browser.post("/api/keys", json=new, headers={"Idempotency-Key": mark})).text)
        async with makers.client(db, secrets["key"]) as other:
            texts.append((await other.get("/api/session")).text)
            texts.append((await other.get(f"/api/customers/{secrets['key']}")).text.replace(secrets["key"], "", 1))
            texts.append((await other.post("/api/customers", json={"name": 1})).text)
    texts.append(str(logs) + capsys.readouterr().out)
    wanted = [f"%{text}%" for text in (body["email"], *secrets.values())]
    kept = [row for (row,) in await behind.fetch(await behind.fetchval(EVERYTHING), wanted)]
    assert any(body["email"] in row for row in kept), "what is no secret is found"
    found = [(name, text[:300]) for name, secret in secrets.items() for text in (*kept, *texts) if secret in text]
    assert found == []
    assert len(set(secrets.values())) == len(secrets)


# --- names that would be paths -------------------------------------------------------------------------------------------

PATHS: Final = (
    "../../../../etc/passwd", "..\\..\\..\\windows\\win.ini", "/etc/passwd", "//etc/passwd", "C:\\boot.ini", "file:///etc/passwd",
    "....//....//etc/passwd", "..;/..;/etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%252e%252e%252fetc", "..%c0%af..%c0%afetc",
    "..%255c..%255c", "\u2025/\u2025/etc", "\uff0e\uff0e/\uff0e\uff0e/etc", ".", "..", "...", "~root/.ssh/id_rsa", "orders.csv/../../x",
    "./orders.csv", "\\\\host\\share\\orders.csv", "orders.csv%00.png", "CON", "nul.csv", ".htaccess", "-rf", "$(touch x)", "`touch x`",
    "|touch x", "orders\n.csv", "orders\r\nX-Evil: 1.csv", "a" * 5000 + ".csv", "imports/00000000000000000000000000000000",
)  # fmt: skip


def files_in(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


async def test_a_files_name_is_never_a_path(
    db: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: Shop,
    program: httpx.AsyncClient,
    behind: "Connection",
) -> None:
    root = tmp_path / "kept"
    state: Any = makers.application(db).app.state
    monkeypatch.setattr(state, "settings", msgspec.structs.replace(state.settings, storage_url=root.as_uri()))
    answered: set[int] = set()
    for n, name in enumerate(PATHS):
        content = f"externalId,placedAt,total\n{n},2026-03-01,1.00\n".encode()
        answer = await program.post("/api/orders/import", files={"file": (name, content)})
        answered.add(answer.status_code)
        assert answer.status_code in (202, 400, 422), (name, answer.text)
        if answer.status_code == 202:
            said = answer.json()
            errors = await program.get(f"/api/imports/{said['id']}/errors.csv")
            assert errors.headers["content-disposition"] == f'attachment; filename="import-{said["id"]}-errors.csv"'
            assert "x-evil" not in errors.headers
    assert 202 in answered
    await behind.execute("delete from data.job where workspace_id = $1 and state = 'queued'", own.workspace.id)
    kept = files_in(tmp_path)
    assert kept != []
    assert [path for path in kept if not re.fullmatch(r"kept/imports/[0-9a-f]{32}(\.\w+)?", path.as_posix())] == []


@pytest.mark.parametrize("name", PATHS)
async def test_a_pages_file_is_named_in_a_list_or_not_there(program: httpx.AsyncClient, name: str) -> None:
    scope_path = httpx.URL("/docs/assets/").copy_with(
        path=f"/docs/assets/{name.replace(chr(10), '').replace(chr(13), '')}"
    )
    answer = await program.get(scope_path)
    assert answer.status_code in (302, 400, 404) or answer.text.startswith("<!doctype html>\n"), answer.text[:200]
    assert "root:" not in answer.text


# --- patterns that never end ---------------------------------------------------------------------------------------------

LONG: Final = 30_000
SEEDS: Final = (
    "a",
    "1",
    " ",
    "@",
    "a@",
    "a.",
    "-",
    "a,",
    '"',
    "\\",
    "[",
    "{",
    "(",
    "+",
    "0.",
    "é",
    "\t\n",
    "_a",
    "Aa1 ",
    "<a",
    "%41",
    "a=b;",
    "/.",
)


def patterns() -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    """Every pattern of the package: those that modules name, and those that stand where they are used."""
    for source in walk.sources():
        module = importlib.import_module(source.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{source.shown}: {name}", value
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str | bytes)
            ):
                yield f"{source.shown}: line {node.lineno}", re.compile(node.args[0].value)


def test_every_pattern_is_done_soon_whatever_it_is_given() -> None:
    slow: list[str] = []
    tried = 0
    for where, pattern in patterns():
        tried += 1
        for seed in SEEDS:
            for end in ("", "!", "\0"):
                text = (seed * LONG)[:LONG] + end
                given = text.encode() if isinstance(pattern.pattern, bytes) else text
                started = time.process_time()
                pattern.match(given)
                pattern.fullmatch(given)
                if (took := time.process_time() - started) > 0.5:
                    slow.append(f"{where}: {took:.1f} s for {seed!r} … {end!r}")
    assert slow == []
    assert tried > 30


# --- what runs is what was installed -------------------------------------------------------------------------------------


def test_nothing_that_runs_code_from_files_or_from_the_net_is_installed_to_run() -> None:
    """Formats and engines that were taken over by what they read, or that fetch extensions while they run."""
    wanted = (walk.ROOT / "requirements" / "run.txt").read_text("utf-8")
    names = set(re.findall(r"^([a-z0-9_.-]+)==", wanted, re.MULTILINE))
    assert names & {"pyarrow", "duckdb", "fastavro", "dill", "cloudpickle", "lxml", "splink"} == set()
    for source in walk.sources():
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
        }
        assert imported & {"pickle", "marshal", "shelve", "yaml"} == set(), source.shown


def test_no_code_is_made_of_text() -> None:
    for source in walk.sources():
        called = {
            node.func.id
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called & {"eval", "exec", "compile", "__import__"} == set(), source.shown
