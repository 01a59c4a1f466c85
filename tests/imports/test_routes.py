"""Imports over HTTP: a file is sent, its job runs, and people see how far it is."""

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from supover import settings as configuration
from supover.imports import commands, jobs
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.jobs import GiveUp, JobContext
from tests.makers import Json, Workspace, application, pointers, told

HEAD = "externalId,placedAt,total,email\n"
GOOD = HEAD + "".join(f"{n},2026-03-01,1.00,b{n}@mail.example\n" for n in range(5))
MIXED = HEAD + "1,2026-03-01,1.00,a@mail.example\n2,2026-03-01,ten,=b@mail.example\n3,never,1.00,c@mail.example\n"
AMOUNT = "'ten' is not an amount like 1234.56"
TIME = "'never' is not a time like 2026-01-31 or 2026-01-31T18:30:00Z"


@pytest.fixture(autouse=True)
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri(), upload_max_bytes=100_000)
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path


def kept(folder: Path) -> int:
    return len(list((folder / "imports").glob("*")))


async def send(
    api: httpx.AsyncClient, content: str | bytes = GOOD, *, query: str = "", key: str = "", **data: str
) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    files = {"file": ("orders.csv", content if isinstance(content, bytes) else content.encode())}
    return await api.post(f"/api/orders/import{query}", files=files, data=data, headers=headers)


def context(db: Database, shop: Workspace, *, last: bool = False) -> JobContext:
    found = JobContext(db, shop.id, ids.new(), commands.JOB, "tests")
    found.is_last_attempt = last
    return found


async def work(db: Database, shop: Workspace, run: Json) -> None:
    await jobs.run_orders(context(db, shop), UUID(run["id"]))


async def rows(db: Database, shop: Workspace, sql: str) -> list[tuple[Any, ...]]:
    async with db.reader(shop.id) as reader:
        return [tuple(row) for row in await reader.rows(sql)]


async def test_a_file_is_sent_and_taken_in_by_its_job(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    answer = await send(api, source="SHOPIFY")
    run = told(answer, 202)
    assert answer.headers["location"] == f"/api/imports/{run['id']}"
    assert (run["status"], run["total"], run["rowsRead"], run["fileName"]) == ("queued", 5, 0, "orders.csv")
    assert kept(folder) == 1
    await work(db, shop, run)
    found = told(await api.get(f"/api/imports/{run['id']}"))
    assert (found["status"], found["total"], found["created"], found["rowsRead"]) == ("completed", 5, 5, 5)
    assert kept(folder) == 0
    assert await rows(db, shop, "select file_key from import_run where workspace_id = $1") == [(None,)]
    [(actor,)] = await rows(db, shop, "select distinct actor from import_run where workspace_id = $1")
    assert actor.startswith("key:")
    await work(db, shop, run)  # a job that runs twice changes nothing
    assert [r["id"] for r in told(await api.get("/api/imports"))["data"]] == [run["id"]]


async def test_refused_rows_are_sent_as_csv_with_formulas_guarded(
    api: httpx.AsyncClient, db: Database, shop: Workspace
) -> None:
    run = told(await send(api, MIXED), 202)
    await work(db, shop, run)
    assert told(await api.get(f"/api/imports/{run['id']}"))["status"] == "completed_with_errors"
    answer = await api.get(f"/api/imports/{run['id']}/errors.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == [
        f"{HEAD.strip()},row,field,reason,reasons",
        f"2,2026-03-01,ten,'=b@mail.example,3,total,{AMOUNT},total: {AMOUNT}",
        f"3,never,1.00,c@mail.example,4,placedAt,{TIME},placedAt: {TIME}",
    ]
    assert len((await api.get(f"/api/imports/{run['id']}/errors.csv?after=3")).text.splitlines()) == 2


@pytest.mark.parametrize(("query", "data"), [("?dryRun=true", {}), ("", {"dryRun": "true"})])
async def test_a_dry_run_says_what_is_in_the_file_and_changes_nothing(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, query: str, data: dict[str, str]
) -> None:
    found = told(await send(api, MIXED, query=query, **data), 200)
    assert (found["dryRun"], found["rows"], found["orders"], found["refused"]) == (True, 3, 1, 2)
    assert [(e["rowNumber"], e["field"]) for e in found["errors"]] == [(3, "total"), (4, "placedAt")]
    assert kept(folder) == 0
    assert await rows(db, shop, "select 1 from import_run where workspace_id = $1") == []
    assert await rows(db, shop, "select 1 from job where workspace_id = $1") == []


async def test_a_dry_run_tells_all_mistakes_of_an_order_and_what_nobody_understands(api: httpx.AsyncClient) -> None:
    content = "externalId,placedAt,total,status,country,phone\n1,never,ten,lost,Ruritania,12\n2,2026-03-01,1.00,,Ruritania,12\n"
    found = told(await send(api, content, dryRun="true"), 200)
    assert (found["orders"], found["refused"], found["doubtful"]) == (1, 1, 1)
    [wrong], [doubt] = found["errors"], found["doubts"]
    assert (wrong["rowNumber"], wrong["field"], wrong["code"], wrong["message"]) == (2, "total", "number", AMOUNT)
    assert wrong["others"] == [
        {"field": "placedAt", "code": "time", "message": TIME},
        {"field": "status", "code": "choice", "message": wrong["others"][1]["message"]},
    ]
    assert (doubt["rowNumber"], doubt["field"], [one["field"] for one in doubt["others"]]) == (3, "country", ["phone"])


async def test_an_idempotency_key_stands_for_a_file_with_its_options(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    first = await send(api, key="one")
    again = await send(api, key="one")
    assert told(again, 202) == told(first, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert told(await send(api, MIXED, key="one"), 422)["type"].endswith("/key-reused")
    assert told(await send(api, key="one", source="ETSY"), 422)["type"].endswith("/key-reused")
    assert kept(folder) == 1
    assert len(await rows(db, shop, "select id from import_run where workspace_id = $1")) == 1
    assert told(await send(api, key="two"), 202)["id"] != told(first, 202)["id"]


async def test_an_import_is_cancelled_and_resumed(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    run = told(await send(api), 202)
    assert told(await api.post(f"/api/imports/{run['id']}/resume"), 409)["type"].endswith("/import-ended")
    assert told(await api.post(f"/api/imports/{run['id']}/cancel"))["status"] == "cancelled"
    await work(db, shop, run)
    assert kept(folder) == 1
    assert told(await api.post(f"/api/imports/{run['id']}/resume"))["status"] == "queued"
    await work(db, shop, run)
    assert told(await api.get(f"/api/imports/{run['id']}"))["created"] == 5
    assert told(await api.post(f"/api/imports/{run['id']}/resume"), 409)["type"].endswith("/import-ended")
    assert told(await api.post(f"/api/imports/{run['id']}/cancel"), 409)["type"].endswith("/import-ended")


@pytest.mark.parametrize("status", ["running", "failed"])
async def test_an_import_whose_job_is_no_more_is_resumed(
    api: httpx.AsyncClient, db: Database, shop: Workspace, owner: Any, status: str
) -> None:
    run = told(await send(api), 202)
    await owner.execute("update data.import_run set status = $2 where id = $1", UUID(run["id"]), status)
    await owner.execute("update data.job set state = 'dead' where workspace_id = $1", shop.id)
    assert told(await api.post(f"/api/imports/{run['id']}/resume"))["status"] == "queued"
    assert await rows(
        db, shop, "select kind from job where workspace_id = $1 and state = 'queued' and kind like 'imports.%'"
    ) == [("imports.orders",)]
    await work(db, shop, run)
    assert told(await api.get(f"/api/imports/{run['id']}"))["status"] == "completed"


async def test_a_file_that_is_gone_fails_the_import_and_says_so(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, owner: Any
) -> None:
    run = told(await send(api), 202)
    for file in (folder / "imports").glob("*"):
        file.unlink()
    ctx = context(db, shop)
    await owner.execute(
        "update data.job set id = $2, state = 'running', worker = 'tests' where workspace_id = $1 and kind = 'imports.orders'",
        shop.id,
        ctx.id,
    )
    with pytest.raises(GiveUp, match="no longer kept"):
        await jobs.run_orders(ctx, UUID(run["id"]))
    found = told(await api.get(f"/api/imports/{run['id']}"))
    assert (found["status"], found["error"]) == ("failed", "This file is no longer kept")


async def test_files_of_imports_that_ended_a_week_ago_are_forgotten(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path, owner: Any
) -> None:
    old, fresh = told(await send(api), 202), told(await send(api, MIXED), 202)
    for run, days in ((old, 8), (fresh, 6)):
        told(await api.post(f"/api/imports/{run['id']}/cancel"))
        await owner.execute(
            "update data.import_run set finished_at = now() - $2 * interval '1 day' where id = $1",
            UUID(run["id"]),
            days,
        )
    await jobs.forget_files(JobContext(db, None, ids.new(), "imports.forget_files", "tests"))
    assert kept(folder) == 1
    assert told(await api.post(f"/api/imports/{old['id']}/resume"), 409)["type"].endswith("/import-file-gone")
    assert told(await api.post(f"/api/imports/{fresh['id']}/resume"))["status"] == "queued"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"sorce": (None, "A")}, "/sorce"),
        ({"other": ("o.csv", b"x")}, "/other"),
        ({"map": ("map.json", b"{}")}, "/map"),
        ({"source": (None, b"\xff")}, "/source"),
        ({"source": (None, b"a\0b")}, "/source"),
        ({"source": (None, "x" * 41)}, "/source"),
        ({"map": (None, "[]")}, "/map"),
        ({"set": (None, '{"note": "\\u0000"}')}, "/set"),
        ({"statusMap": (None, b" " * 70_000)}, "/statusMap"),
        ({"dryRun": (None, "perhaps")}, "/dryRun"),
    ],
)
async def test_a_wrong_form_names_the_field_and_leaves_nothing(
    api: httpx.AsyncClient, folder: Path, fields: Any, pointer: str
) -> None:
    answer = await api.post("/api/orders/import", files={"file": ("orders.csv", GOOD.encode())} | fields)
    assert pointers(answer) == [pointer]
    assert kept(folder) == 0


async def test_what_is_no_form_with_a_file_is_refused(api: httpx.AsyncClient, folder: Path) -> None:
    assert pointers(await send(api, query="?dryrun=true")) == ["dryrun"]
    assert pointers(await api.post("/api/orders/import", files={"source": (None, "A")})) == ["/file"]
    told(await api.post("/api/orders/import", json={}), 415)
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    broken = await api.post("/api/orders/import", content=b"--x\r\nContent-Disp", headers=multipart)
    assert told(broken, 400)["type"].endswith("/form-unreadable")
    told(await api.post("/api/orders/import", content=b"", headers={"Content-Type": "multipart/form-data"}), 400)
    named = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\0b"\r\n\r\na\r\n--x--\r\n'
    assert (await api.post("/api/orders/import", content=named, headers=multipart)).status_code in (400, 422)
    assert told(await send(api, HEAD + "x" * 100_001), 413)["type"].endswith("/file-too-large")
    assert told(await send(api, HEAD + "x" * 2_000_000), 413)["type"].endswith("/form-too-large")
    assert told(await send(api, b""), 400)["type"].endswith("/table-unreadable")
    assert kept(folder) == 0


async def test_the_document_says_how_a_file_is_sent(api: httpx.AsyncClient) -> None:
    about = told(await api.get("/docs/openapi.json"))["paths"]["/api/orders/import"]["post"]
    form = about["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["format"] == "binary"
    assert {p["name"] for p in about["parameters"]} == {"dryRun", "Idempotency-Key"}
    assert {"200", "202"} <= about["responses"].keys()
