"""Requests of privacy and retention, on the screen."""

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, make_customer
from tests.web import sites


async def test_an_export_is_asked_for_from_a_search(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    found = await web.get("/settings/privacy/new?search=ann+lee")
    assert f"/settings/privacy/new?customerId={ann['id']}" in found.text
    assert "Make the export" in (await web.get(f"/settings/privacy/new?customerId={ann['id']}")).text
    asked = await web.post(f"/settings/privacy/{ann['id']}/export")
    assert asked.status_code == 303
    page = await web.get(asked.headers["location"])
    assert "Ann Lee" in page.text
    assert 'hx-trigger="every 1s"' in page.text, "it waits for a worker"
    assert "Export: Ann Lee" in (await web.get("/settings/privacy")).text
    assert "No request" in (await web.get("/settings/privacy?kind=erase")).text
    again = await web.post(f"/settings/privacy/{ann['id']}/export")
    assert again.headers["location"] == asked.headers["location"]


async def test_an_erasure_needs_the_word_and_can_be_cancelled(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    form = {"reason": "She asked", "delayDays": "7", "confirm": "yes"}
    refused = await web.post(f"/settings/privacy/{ann['id']}/erase", data=form, headers={"HX-Request": "true"})
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (422, "confirm")
    assert (await api.get("/api/privacy/requests")).json()["data"] == []
    asked = await web.post(f"/settings/privacy/{ann['id']}/erase", data={**form, "confirm": "erase"})
    at = asked.headers["location"]
    page = await web.get(at)
    assert "She asked" in page.text
    assert "Cancel the request" in page.text
    assert (await web.post(f"{at}/cancel")).status_code == 303
    assert "Cancelled" in (await web.get(at)).text
    [told] = (await api.get("/api/privacy/requests")).json()["data"]
    assert (told["kind"], told["status"]) == ("erase", "cancelled")


async def test_retention_is_set_and_blank_is_for_ever(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    form = {
        "eraseDelayDays": "3",
        "rawWebhookDays": "10",
        "importFileDays": "5",
        "exportFileDays": "6",
        "idempotencyHours": "48",
    }
    assert (
        await web.post("/settings/retention", data={**form, "auditDays": "400", "inactiveCustomerMonths": ""})
    ).status_code == 303
    told = (await api.get("/api/privacy/retention")).json()
    assert (told["eraseDelayDays"], told["auditDays"], told["inactiveCustomerMonths"]) == (3, 400, None)
    assert 'value="400"' in (await web.get("/settings/retention")).text
    wrong = await web.post("/settings/retention", data={**form, "auditDays": "1"}, headers={"HX-Request": "true"})
    assert (wrong.status_code, wrong.json()["errors"][0]["name"]) == (422, "auditDays")
    assert (await api.get("/api/privacy/retention")).json() == told


async def test_nobody_but_administrators_sees_requests(db: Database, shop: Workspace, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    async with sites.signed_in(db, shop, "agent") as agent:
        assert (await agent.get("/settings/privacy")).status_code == 403
        assert (await agent.post(f"/settings/privacy/{ann['id']}/export")).status_code == 403
        assert (await agent.post("/settings/retention", data={})).status_code == 403
    assert (await api.get("/api/privacy/requests")).json()["data"] == []
