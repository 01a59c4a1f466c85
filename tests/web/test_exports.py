"""Exports: what is asked for, at once or by a job, and what may be done with its file."""

from typing import TYPE_CHECKING

import httpx
import pytest

from supover.kit import ids
from supover.kit.db import Database
from supover.web import exports
from tests.makers import Workspace, make_customer, make_order, told
from tests.privacy.arrange import work
from tests.web import sites

pytestmark = pytest.mark.usefixtures("jobs_know_the_folder")

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]


async def test_nothing_was_exported_yet(web: httpx.AsyncClient) -> None:
    page = await web.get("/exports")
    assert ("Nothing was exported" in page.text, 'href="/exports/new"' in page.text) == (True, True)


async def test_what_the_list_was_narrowed_to_comes_along(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com", status="VIP", tags=["fair"])
    await make_customer(api, name="Bob Ray", tags=["fair"])
    page = (await web.get("/exports/new?kind=customers&status=VIP&tag=fair&cursor=x&limit=3")).text
    assert ("Status: VIP" in page, "Tag: fair" in page, ">1</strong>" in page) == (True, True, True)
    assert '<input type="hidden" name="status" value="VIP">' in page
    assert 'name="cursor"' not in page
    assert ">2</strong>" in (await web.get("/exports/new?kind=customers&tag=fair")).text
    assert ">2</strong>" in (await web.get("/exports/new?kind=addresses&tag=fair&type=SHIPPING")).text
    assert (await web.get("/exports/new?kind=customers&filter=nonsense(")).status_code == 422
    assert (
        "Delivered orders only" in page,
        "Delivered orders only" in (await web.get("/exports/new?kind=orders")).text,
    ) == (True, False)


async def test_the_list_names_the_segment_of_an_export(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    segment = told(await api.post("/api/segments", json={"name": "Fair <2026>", "kind": "manual"}), 201)
    form = {"kind": "customers", "format": "xlsx", "segment": segment["id"]}
    assert (await web.post("/exports", data=form)).status_code == 303
    assert "Segment: Fair &lt;2026&gt;" in (await web.get("/exports")).text
    assert (await api.delete(f"/api/segments/{segment['id']}")).status_code == 204
    assert "Segment: deleted since" in (await web.get("/exports")).text


async def test_a_small_csv_comes_at_once(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Ann Lee", email="ann@lee.com", status="VIP")
    await make_customer(api, name="Bob Ray")
    form = {"kind": "customers", "status": "VIP", "format": "csv", "fields": ["name", "email"]}
    answer = await web.post("/exports", data=form)
    assert (answer.status_code, answer.text) == (200, "name,email\nAnn Lee,ann@lee.com\n")
    assert "attachment" in answer.headers["content-disposition"]
    assert told(await api.get("/api/exports"))["data"] == []
    await make_order(api, total="12.00", external_id="W-1")
    orders = await web.post("/exports", data={"kind": "orders", "format": "csv", "fields": ["externalId", "total"]})
    assert orders.text == "externalId,total\nW-1,12.00\n"


async def test_a_large_csv_is_made_by_a_job(
    web: httpx.AsyncClient,
    api: httpx.AsyncClient,
    db: Database,
    owner: "Owner",
    shop: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "SMALL", 1)
    for name in ("Ann Lee", "Bob Ray"):
        await make_customer(api, name=name)
    answer = await web.post("/exports", data={"kind": "customers", "format": "csv", "fields": "name"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/exports")
    waiting = (await web.get("/exports")).text
    assert ('hx-trigger="every 1s"' in waiting, "<progress" in waiting, "Stop" in waiting) == (True, True, True)
    await work(db, owner, shop, "exports.%")
    page = (await web.get("/exports")).text
    assert ("Ready" in page, "every 1s" in page) == (True, False)
    [run] = told(await api.get("/api/exports"))["data"]
    link = page.split('href="/files/', 1)[1].split('"', 1)[0]
    assert (await web.get(f"/files/{link}")).text == "name\nAnn Lee\nBob Ray\n"
    assert (await web.post(f"/exports/{run['id']}/delete")).status_code == 303
    assert told(await api.get("/api/exports"))["data"] == []
    assert (await web.get(f"/files/{link}")).status_code == 404


async def test_an_export_is_stopped_and_made_again(
    web: httpx.AsyncClient, api: httpx.AsyncClient, db: Database, owner: "Owner", shop: Workspace
) -> None:
    await web.post("/exports", data={"kind": "addresses", "format": "xlsx"})
    [run] = told(await api.get("/api/exports"))["data"]
    path = f"/exports/{run['id']}"
    assert (await web.post(f"{path}/retry")).status_code == 409
    assert (await web.post(f"{path}/cancel")).status_code == 303
    assert "Make again" in (await web.get("/exports")).text
    assert (await web.post(f"{path}/retry")).status_code == 303
    await work(db, owner, shop, "exports.%")
    [run] = told(await api.get("/api/exports"))["data"]
    assert run["status"] == "completed"


async def test_a_column_that_is_not_known_is_refused(web: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    answer = await web.post("/exports", data={"kind": "customers", "format": "xlsx", "fields": "nothing"})
    assert answer.status_code == 422
    assert told(await api.get("/api/exports"))["data"] == []


async def test_a_viewer_exports_nothing(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    async with sites.signed_in(db, shop, "viewer") as viewer:
        assert (await viewer.get("/exports")).status_code == 403
        assert (await viewer.get("/exports/new")).status_code == 403
        assert (await viewer.post("/exports", data={"kind": "customers", "format": "xlsx"})).status_code == 403
    assert told(await api.get("/api/exports"))["data"] == []


async def test_an_export_that_nobody_knows_is_not_found(web: httpx.AsyncClient) -> None:
    for deed in ("cancel", "retry", "delete"):
        assert (await web.post(f"/exports/{ids.new()}/{deed}")).status_code == 404
