"""The audit log, jobs, webhooks that were received and requests of programs, on the screen."""

import re
from uuid import UUID

import asyncpg
import httpx

from supover.kit import ids
from supover.kit.db import Database
from tests.makers import Workspace, client, make_customer
from tests.web import sites

# --- the audit log ---------------------------------------------------------------------------------------------------


async def test_the_audit_log_says_what_was_changed_by_whom(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann Lee")
    await web.post("/settings/workspace", data={"name": "Tin <b>Shop</b>"})
    page = await web.get("/settings/audit")
    assert "Change the workspace" in page.text
    assert "Tin &lt;b&gt;Shop&lt;/b&gt;" in page.text
    assert "The owner" in page.text
    assert f'href="/customers/{ann["id"]}"' in page.text
    only = (await web.get(f"/settings/audit?subjectId={ann['id']}")).text.partition('id="found"')[2]
    assert f'href="/customers/{ann["id"]}"' in only
    assert "Shop&lt;" not in only


async def test_the_audit_log_is_narrowed_by_who_what_and_when(api: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    await web.post("/settings/workspace", data={"name": "Other"})
    await make_customer(api, name="Ann Lee")

    async def rows(query: str) -> int:
        return (await web.get(f"/settings/audit?{query}")).text.partition("<tbody")[2].count('class="align-top"')

    [staff] = [one for one in (await api.get("/api/staff")).json()["data"] if one["role"] == "owner"]
    everything = await rows("")
    assert await rows(f"actor=staff:{staff['id']}") == 2, "the sign-in and the change"
    assert await rows("action=access.change_workspace") == 1
    assert await rows("atFrom=2001-01-01&atTo=") == everything
    assert await rows("atTo=2001-01-01") == 0
    assert (await web.get("/settings/audit?atFrom=nonsense")).status_code == 422


# --- jobs ------------------------------------------------------------------------------------------------------------

ADD_JOB = """
    insert into data.job (workspace_id, id, kind, args, state, attempts, max_attempts, error, run_at, finished_at)
    values ($1, $2, 'segments.evaluate', '{}', $3, 5, 5, $4, now(), now())"""


async def test_dead_jobs_are_tried_again_and_waiting_ones_cancelled(
    shop: Workspace, web: httpx.AsyncClient, api: httpx.AsyncClient, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    dead, other = ids.new(), ids.new()
    for id in (dead, other):
        await owner.execute(ADD_JOB, shop.id, id, "dead", "ValueError: <script>no</script>")
    page = await web.get("/settings/jobs?state=dead")
    assert "ValueError: &lt;script&gt;" in page.text
    assert "Count segments" in page.text
    # Who looks for a kind stays at this tab, and the tabs follow.
    form = page.text.partition('action="/settings/jobs"')[2].partition("</form>")[0]
    assert 'hx-target="#main"' in form
    assert '<input type="hidden" name="state" value="dead">' in form
    assert (await web.post(f"/settings/jobs/{dead}/retry")).status_code == 303
    assert (await api.get(f"/api/jobs/{dead}")).json()["state"] == "queued"
    assert (await web.post(f"/settings/jobs/{dead}/retry")).status_code == 409
    assert (await web.post("/settings/jobs/retry", data={"state": "dead"})).status_code == 303
    assert (await api.get(f"/api/jobs/{other}")).json()["state"] == "queued"
    assert "No job has failed" in (await web.get("/settings/jobs?state=dead")).text
    assert (await web.post(f"/settings/jobs/{dead}/cancel")).status_code == 303
    assert (await api.get(f"/api/jobs/{dead}")).json()["state"] == "cancelled"


# --- webhooks --------------------------------------------------------------------------------------------------------

ADD_MESSAGE = """
    insert into data.inbox_message
           (workspace_id, id, connection_id, topic, delivery_id, body, body_hash, size, status, reason, attempts, settled_at)
    values ($1, $2, $3, 'orders/create', $4, $5, 'x', 20, $6, $7, 5, now())"""


async def test_a_webhook_is_read_as_text_and_replayed(
    shop: Workspace, web: httpx.AsyncClient, api: httpx.AsyncClient, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    connection = await api.post(
        "/api/channels", json={"platform": "SHOPIFY", "shop": "demo.myshopify.com", "secret": "a secret of theirs"}
    )
    at = UUID(connection.json()["id"])
    one, other, gone = ids.new(), ids.new(), ids.new()
    for id, body in ((one, b'{"note":"<script>alert(1)</script>"}'), (other, b"no JSON \xff"), (gone, None)):
        await owner.execute(ADD_MESSAGE, shop.id, id, at, str(id), body, "dead", "/total: is missing")
    page = await web.get(f"/settings/inbox/{one}")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert "/total: is missing" in page.text
    assert "no JSON" in (await web.get(f"/settings/inbox/{other}")).text
    assert "The body was deleted" in (await web.get(f"/settings/inbox/{gone}")).text
    listed = await web.get("/settings/inbox?status=dead")
    assert listed.text.count("/total: is missing") == 3
    assert "Nothing fits" in (await web.get("/settings/inbox?status=applied")).text
    assert (await web.post(f"/settings/inbox/{one}/replay")).status_code == 303
    assert (await api.get(f"/api/inbox/{one}")).json()["status"] == "pending"
    assert (await web.post(f"/settings/inbox/{gone}/replay")).status_code == 409
    assert (await web.post("/settings/inbox/replay", data={"status": "dead"})).status_code == 303
    assert (await api.get(f"/api/inbox/{other}")).json()["status"] == "pending"
    assert (await web.get(f"/settings/inbox/{ids.new()}")).status_code == 404


# --- requests --------------------------------------------------------------------------------------------------------


async def test_requests_of_programs_are_kept_without_what_they_asked_for(db: Database, shop: Workspace) -> None:
    person = await sites.make_person(db, shop)
    async with client(db, shop.key) as program:
        await program.get("/api/customers?search=somebodys-name")
        await program.get(f"/api/customers/{ids.new()}", headers={"X-Request-Id": "my-own-request"})
        program.headers["Sec-Fetch-Site"] = "same-origin"
        await program.post("/sign-in", data={"email": person.email, "password": person.password})
        del program.headers["Authorization"]
        page = await program.get("/settings/requests")
        found = page.text.partition("<tbody")[2]
        assert found.count("<tr") == 2
        assert "/api/customers<" in found
        assert "somebodys-name" not in page.text
        assert "my-own-request" in found
        failed = (await program.get("/settings/requests?only=failed")).text.partition("<tbody")[2]
        assert (failed.count("<tr"), re.findall(r">(\d{3})</span>", failed)) == (1, ["404"])


async def test_another_workspaces_requests_are_not_shown(db: Database, shop: Workspace) -> None:
    from tests.makers import make_workspace

    other = await make_workspace(db)
    person = await sites.make_person(db, other)
    async with client(db, shop.key) as program:
        await program.get("/api/customers")
        program.headers["Sec-Fetch-Site"] = "same-origin"
        await program.post("/sign-in", data={"email": person.email, "password": person.password})
        del program.headers["Authorization"]
        assert "No request yet" in (await program.get("/settings/requests")).text
