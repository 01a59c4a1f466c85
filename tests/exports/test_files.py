"""Exports to files: made by a job, fetched by a link that expires, cancelled, made again, forgotten."""

import asyncio
import csv
import io
import os
import zipfile
from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import msgspec
import polars as pl
import pytest

from supover.exports import commands, formats, jobs
from supover.exports.model import CustomerExport
from supover.kit import clock, ids, storage
from supover.kit.db import Database
from supover.kit.jobs import GiveUp, JobContext
from tests.exports.conftest import Work, claim
from tests.makers import Json, Workspace, client, make_address, make_customer, make_key, make_order, settle, told

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def ask(api: httpx.AsyncClient, kind: str = "customers", key: str = "", **asked: Any) -> Json:
    headers = {"Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {})
    answer = await api.post(f"/api/{kind}/export", json=asked, headers=headers)
    run = told(answer, 202)
    assert answer.headers["location"] == f"/api/exports/{run['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    return run


async def made(api: httpx.AsyncClient, work: Work, kind: str = "customers", **asked: Any) -> bytes:
    run = await ask(api, kind, **asked)
    await work(run)
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert (found["status"], found["error"]) == ("completed", None)
    answer = await api.get(found["url"], headers={"Authorization": ""})
    assert answer.status_code == 200
    assert len(answer.content) == found["bytes"] == int(answer.headers["content-length"])
    return answer.content


def kept(folder: Path) -> int:
    return len(list((folder / "exports").glob("*")))


async def test_a_csv_made_by_a_job_is_the_one_that_is_sent_at_once(api: httpx.AsyncClient, work: Work) -> None:
    ann = await make_customer(api, name='Ann "\nLee', email="ann@mail.example")
    await make_address(api, ann)
    await make_address(api, ann, city="Bonn")
    run = await ask(api)
    assert (run["status"], run["rows"], run["bytes"], run["url"]) == ("queued", 0, None, None)
    await work(run)
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert (found["status"], found["rows"], found["format"], found["kind"]) == ("completed", 2, "csv", "customers")
    answer = await api.get(found["url"])
    assert answer.content == (await api.post("/api/customers/export", json={})).content
    assert answer.headers["content-disposition"] == f'attachment; filename="{found["fileName"]}"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert told(await api.get("/api/exports"))["data"][0]["id"] == run["id"]


async def test_a_workbook_holds_texts_and_numbers_and_no_formulas(
    api: httpx.AsyncClient, work: Work, db: Database, shop: Workspace
) -> None:
    ann = await make_customer(
        api, name="=1+1", external_id="https://evil.example", phone="+49 151 1234567", tags=["@x"]
    )
    await make_order(api, ann, total="12.50")
    await settle(db, shop)
    content = await made(
        api, work, format="xlsx", fields=["name", "externalId", "phone", "tags", "totalSpent", "dateOfBirth"]
    )
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert not [name for name in book.namelist() if "rels" in name and "sheet1" in name], "no links"
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert "<t>'=1+1</t>" in sheet
    assert "<t>+49 151 1234567</t>" in sheet
    assert '<c r="E2"><v>12.5</v></c>' in sheet


async def test_lines_of_json_are_typed_and_nested(api: httpx.AsyncClient, work: Work) -> None:
    fields = {"size": 5, "list": ["a", "b"], "any": {"k": None}}
    ann = await make_customer(api, name="=Ann\n\\\x01", tags=["a,b", "c"], custom_fields=fields)
    await make_address(api, ann)
    await make_address(api, ann, city="Bonn")
    await make_customer(api, name="Bob")
    lines = (await made(api, work, format="jsonl")).splitlines()
    [first, second] = [msgspec.json.decode(line) for line in lines]
    assert (first["name"], first["tags"], first["customFields"]) == (ann["name"], ["a,b", "c"], fields)
    assert [(a["city"], a["isDefault"], a["type"]) for a in first["addresses"]] == [
        ("Berlin", True, "SHIPPING"),
        ("Bonn", False, "SHIPPING"),
    ]
    assert (second["tags"], second["customFields"], second["addresses"], second["email"]) == ([], {}, [], None)
    some = await made(
        api, work, format="jsonl", fields=["orderCount", "customFields.size", "customFields.list", "city"]
    )
    assert msgspec.json.decode(some.splitlines()[0]) == {
        "orderCount": 0,
        "customFields": {"size": 5, "list": ["a", "b"]},
        "addresses": [{"city": "Berlin"}, {"city": "Bonn"}],
    }


async def test_parquet_is_typed(api: httpx.AsyncClient, work: Work, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann", tags=["a,b"], date_of_birth="1990-01-31", custom_fields={"a": {"k": 1}})
    await make_address(api, ann)
    await make_order(api, ann, total="12.50", placed_at="2026-01-31T12:00:00Z")
    await settle(db, shop)
    fields = [
        "name",
        "tags",
        "dateOfBirth",
        "totalSpent",
        "orderCount",
        "isRepeatCustomer",
        "lastOrderDate",
        "customFields.a",
        "city",
    ]
    frame = pl.read_parquet(io.BytesIO(await made(api, work, format="parquet", fields=fields)))
    [row] = frame.to_dicts()
    at = row.pop("lastOrderDate")
    assert at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert row == {
        "name": "Ann",
        "tags": ["a,b"],
        "dateOfBirth": datetime(1990, 1, 31).date(),
        "totalSpent": Decimal("12.5"),
        "orderCount": 1,
        "isRepeatCustomer": False,
        "customFields.a": '{"k": 1}',
        "addresses": [{"city": "Berlin"}],
    }


@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["customers", "addresses", "orders"])
async def test_nothing_is_a_file_in_every_format(api: httpx.AsyncClient, work: Work, kind: str, format: str) -> None:
    content = await made(api, work, kind, format=format)
    if format == "parquet":
        assert pl.read_parquet(io.BytesIO(content)).shape[0] == 0
    elif format == "csv":
        assert len(list(csv.reader(io.StringIO(content.decode())))) == 1
    elif format == "jsonl":
        assert content == b""


async def test_a_cell_that_no_spreadsheet_holds_fails_the_workbook_and_says_where(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, folder: Path
) -> None:
    await make_customer(api, name="Ann", custom_fields={"essay": "x"})
    longer = "update data.customer set custom_fields = jsonb_build_object('essay', repeat('x', 32768)) where workspace_id = $1"
    await owner.execute(longer, shop.id)
    run = await ask(api, format="xlsx")
    with pytest.raises(GiveUp, match=r"customFields\.essay"):
        await jobs.make(await claim(db, owner, shop, run), UUID(run["id"]))
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert found["status"] == "failed"
    assert found["error"].startswith("Row 2, column customFields.essay, has more than 32,767 characters")
    assert kept(folder) == 0


async def test_more_rows_than_a_sheet_holds_go_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from supover.exports import columns

    monkeypatch.setattr(formats, "SHEET_ROWS", 3)
    source = tmp_path / "rows"
    source.write_text("id\n" + "".join(f"c{n}\n" for n in range(5)))
    [column] = [c for c in columns.COLUMNS["customers"] if c.name == "id"]
    formats.to_xlsx(source, tmp_path / "book.xlsx", "customers", [column], threading.Event())
    with zipfile.ZipFile(tmp_path / "book.xlsx") as book:
        sheets = [book.read(f"xl/worksheets/sheet{n}.xml").decode() for n in (1, 2, 3)]
    assert [sheet.count("<row ") for sheet in sheets] == [3, 3, 2]
    assert all("<t>id</t>" in sheet for sheet in sheets)


@pytest.mark.parametrize("at", [1, 2, 5, 7, 100])
def test_rows_are_counted_wherever_blocks_are_cut(at: int) -> None:
    text = b'a,b\n"x\ny","q""\n"\n1,2\n""\n'
    rows = formats.Rows()
    for n in range(0, len(text), at):
        rows.see(text[n : n + at])
    assert rows.count == 4


# --- links ---------------------------------------------------------------------------------------------------------------


async def test_a_dead_link_says_the_same_whatever_killed_it(
    api: httpx.AsyncClient, work: Work, folder: Path, monkeypatch: pytest.MonkeyPatch, db: Database, owner: "Connection", shop: Workspace
) -> None:  # fmt: skip
    run = await ask(api)
    await work(run)
    url = told(await api.get(f"/api/exports/{run['id']}"))["url"]
    assert (await api.get(url)).status_code == 200
    said: list[Json] = []

    async def refused(asked: str) -> None:
        answer = await api.get(asked)
        assert answer.status_code == 404
        said.append({k: v for k, v in answer.json().items() if k not in ("instance", "requestId")})

    await refused(url[:-1] + ("A" if url[-1] != "A" else "B"))
    await refused("http://shop.test/files/nothing")
    payload, _, signature = url.rpartition("/")[2].partition(".")
    await refused(f"http://shop.test/files/{payload[:-2]}AA.{signature}")
    later = clock.now() + timedelta(hours=24, seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        await refused(url)
    told(await api.delete(f"/api/exports/{run['id']}"), 204)
    await refused(url)
    assert kept(folder) == 1
    await jobs.forget(await claim(db, owner, shop, run, commands.FORGET_JOB), UUID(run["id"]))
    assert kept(folder) == 0
    await refused(url)
    assert [one for one in said if one != said[0]] == []
    told(await api.get(f"/api/exports/{run['id']}"), 404)
    assert await owner.fetchval("select count(*) from data.export_run where workspace_id = $1", shop.id) == 0


async def test_a_link_is_of_its_file_alone_and_of_exports_alone(
    api: httpx.AsyncClient, work: Work, folder: Path, db: Database, shop: Workspace
) -> None:
    run = await ask(api)
    await work(run)
    url = told(await api.get(f"/api/exports/{run['id']}"))["url"]
    other = storage.link_token(b"k" * 40, f"exports/{'0' * 32}", clock.now() + timedelta(hours=1))
    assert (await api.get(f"/files/{other}")).status_code == 404
    for file in (folder / "exports").glob("*"):
        file.unlink()
    assert (await api.get(url)).status_code == 404


async def test_each_reading_gives_a_link_of_a_day(
    api: httpx.AsyncClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await ask(api)
    await work(run)
    first = told(await api.get(f"/api/exports/{run['id']}"))
    left = datetime.fromisoformat(first["expiresAt"]) - clock.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    later = clock.now() + timedelta(hours=30)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        assert (await api.get(told(await api.get(f"/api/exports/{run['id']}"))["url"])).status_code == 200


async def test_a_file_is_forgotten_after_a_week(
    api: httpx.AsyncClient, work: Work, db: Database, owner: "Connection", folder: Path
) -> None:
    run = await ask(api)
    await work(run)
    house = JobContext(db, None, ids.new(), "exports.forget_files", "tests")
    await jobs.forget_files(house)
    assert kept(folder) == 1
    await owner.execute(
        "update data.export_run set finished_at = finished_at - interval '8 days' where id = $1", UUID(run["id"])
    )
    await jobs.forget_files(house)
    assert kept(folder) == 0
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert (found["status"], found["url"], found["expiresAt"]) == ("completed", None, None)


# --- the job -------------------------------------------------------------------------------------------------------------


async def test_a_job_that_was_killed_makes_the_file_again(
    api: httpx.AsyncClient,
    db: Database,
    owner: "Connection",
    shop: Workspace,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_customer(api, name="Ann")
    run = await ask(api)
    ctx = await claim(db, owner, shop, run)

    class Killed(BaseException):
        pass

    async def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(commands, "finish", dies)
        with pytest.raises(Killed):
            await jobs.make(ctx, UUID(run["id"]))
    assert told(await api.get(f"/api/exports/{run['id']}"))["status"] == "running"
    assert kept(folder) == 0
    await jobs.make(ctx, UUID(run["id"]))
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert (found["status"], found["rows"], kept(folder)) == ("completed", 1, 1)
    await jobs.make(ctx, UUID(run["id"]))  # a job that runs twice changes nothing
    assert kept(folder) == 1


async def test_a_storage_that_fails_is_tried_again_and_then_told(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: Any, kind: str, blocks: AsyncIterable[bytes], *, max_bytes: int) -> str:
        raise OSError(28, "No space left on device")

    run = await ask(api)
    ctx = await claim(db, owner, shop, run)
    with monkeypatch.context() as patch:
        patch.setattr(storage.FileStorage, "put", full)
        with pytest.raises(OSError, match="No space"):
            await jobs.make(ctx, UUID(run["id"]))
        assert told(await api.get(f"/api/exports/{run['id']}"))["status"] == "running"
        ctx.is_last_attempt = True
        with pytest.raises(GiveUp):
            await jobs.make(ctx, UUID(run["id"]))
    found = told(await api.get(f"/api/exports/{run['id']}"))
    assert (found["status"], found["error"]) == ("failed", "Something went wrong on our side: OSError.")
    await owner.execute("update data.job set state = 'dead' where id = $1", ctx.id)
    again = told(await api.post(f"/api/exports/{run['id']}/retry"))
    assert (again["status"], again["error"]) == ("queued", None)
    await jobs.make(await claim(db, owner, shop, run), UUID(run["id"]))
    assert told(await api.get(f"/api/exports/{run['id']}"))["status"] == "completed"
    assert (await api.post(f"/api/exports/{run['id']}/retry")).status_code == 409
    assert (await api.post(f"/api/exports/{run['id']}/cancel")).status_code == 409


@pytest.mark.parametrize("way", ["cancel", "delete"])
@pytest.mark.parametrize("format", ["csv", "xlsx"])
async def test_an_export_that_nobody_wants_any_more_stops_in_the_middle(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch,
    way: str, format: str
) -> None:  # fmt: skip
    await make_customer(api, name="Ann")
    run = await ask(api, format=format)
    ctx = await claim(db, owner, shop, run)
    monkeypatch.setattr(commands, "REPORT_S", 0.0)
    advance = commands.advance

    async def meanwhile(*args: Any) -> bool:
        if way == "cancel":
            told(await api.post(f"/api/exports/{run['id']}/cancel"))
        else:
            await api.delete(f"/api/exports/{run['id']}")
        return await advance(*args)

    monkeypatch.setattr(commands, "advance", meanwhile)
    await jobs.make(ctx, UUID(run["id"]))
    assert kept(folder) == 0
    answer = await api.get(f"/api/exports/{run['id']}")
    assert answer.status_code == (200 if way == "cancel" else 404)
    if way == "cancel":
        assert answer.json()["status"] == "cancelled"


async def test_a_job_that_is_told_to_stop_ends_cancelled(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, folder: Path
) -> None:
    run = await ask(api)
    ctx = await claim(db, owner, shop, run)
    ctx.ask_to_stop()
    await jobs.make(ctx, UUID(run["id"]))
    assert told(await api.get(f"/api/exports/{run['id']}"))["status"] == "cancelled"
    assert kept(folder) == 0


async def test_the_same_key_is_the_same_export(api: httpx.AsyncClient) -> None:
    first = await ask(api, key="k1", format="jsonl")
    again = await api.post(
        "/api/customers/export", json={"format": "jsonl"}, headers={"Idempotency-Key": "k1", "Prefer": "respond-async"}
    )
    assert told(again, 202)["id"] == first["id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await api.post("/api/customers/export", json={"format": "xlsx"}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422


async def test_exports_of_what_one_may_not_read_are_not_seen(
    api: httpx.AsyncClient, work: Work, db: Database, shop: Workspace, other: Workspace
) -> None:
    run = await ask(api, "orders")
    await work(run)
    async with client(db, await make_key(db, shop.id, "exports:read", "customers:read")) as narrow:
        assert told(await narrow.get("/api/exports"))["data"] == []
        assert (await narrow.get(f"/api/exports/{run['id']}")).status_code == 403
    async with client(db, other.key) as theirs:
        assert told(await theirs.get("/api/exports"))["data"] == []
        for answer in (
            await theirs.get(f"/api/exports/{run['id']}"),
            await theirs.post(f"/api/exports/{run['id']}/cancel"),
            await theirs.post(f"/api/exports/{run['id']}/retry"),
            await theirs.delete(f"/api/exports/{run['id']}"),
        ):
            assert answer.status_code == 404


async def test_pages_of_exports(api: httpx.AsyncClient) -> None:
    runs = [(await ask(api))["id"] for _ in range(3)]
    first = told(await api.get("/api/exports?limit=2"))
    rest = told(await api.get(f"/api/exports?limit=2&cursor={first['nextCursor']}"))
    assert [one["id"] for one in first["data"] + rest["data"]] == runs[::-1]
    assert rest["nextCursor"] is None
    assert (await api.get("/api/exports?cursor=x")).status_code == 400


async def test_what_was_asked_is_read_again_as_it_was_said(
    api: httpx.AsyncClient, db: Database, shop: Workspace, tmp_path: Path
) -> None:
    asked = CustomerExport(fields=["name"], format="csv", min_spent=Decimal("0.5"), ids=[ids.new()])
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(asked)), CustomerExport, strict=False) == asked
    assert await commands.make(db, shop.id, "customers", asked, tmp_path / "file") == 0
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["file"]
