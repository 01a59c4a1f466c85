"""Things are kept for as long as the workspace wants, and no longer."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from supover.kit import retention as kit
from supover.kit.db import Database
from supover.privacy import retention
from tests.inbox.arrange import connected, payload
from tests.makers import Workspace, make_customer, make_order, pointers, settle, told
from tests.privacy.arrange import stored, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

DEFAULTS = {
    "eraseDelayDays": 0,
    "rawWebhookDays": 30,
    "importFileDays": 7,
    "exportFileDays": 7,
    "idempotencyHours": 24,
    "auditDays": None,
    "inactiveCustomerMonths": None,
}


async def test_settings_have_sane_defaults_and_bounds(api: httpx.AsyncClient) -> None:
    assert told(await api.get("/api/privacy/retention")) == {**DEFAULTS, "version": 0}
    new = told(await api.put("/api/privacy/retention", json={"rawWebhookDays": 3, "auditDays": 365}))
    assert new == {**DEFAULTS, "rawWebhookDays": 3, "auditDays": 365, "version": 1}
    stale = await api.put("/api/privacy/retention", json={}, headers={"If-Match": '"0"'})
    assert stale.status_code == 412
    assert pointers(await api.put("/api/privacy/retention", json={"auditDays": 1, "idempotencyHours": 1})) == [
        "/idempotencyHours",
        "/auditDays",
    ]


async def test_every_setting_is_applied_by_the_job() -> None:
    applied = {one.setting for one in kit.kept()}
    assert applied == {
        "raw_webhook_days",
        "import_file_days",
        "export_file_days",
        "audit_days",
        "inactive_customer_months",
    }


async def test_raw_messages_go_after_the_days_that_the_workspace_says(db: Database, owner: "Connection") -> None:
    async with connected(db) as shopify:
        await shopify.take("orders/create", payload("order_created"))
        told(await shopify.api.put("/api/privacy/retention", json={"rawWebhookDays": 2}))
        assert (await retention.apply(db, shopify.workspace.id))["raw_webhook_days"] == 0
        await _age(owner, "inbox_message", shopify.workspace.id, 3)
        assert (await retention.apply(db, shopify.workspace.id))["raw_webhook_days"] == 1
        [message] = await shopify.messages()
        assert (message["status"], message["hasBody"]) == ("applied", False)


async def _age(owner: "Connection", table: str, workspace_id: object, days: int) -> None:
    """Makes rows older by their ids, which begin with the time in milliseconds."""
    sql = f"""
        update data.{table}
           set id = (lpad(to_hex((('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint - $2)), 12, '0')
                     || substr(replace(id::text, '-', ''), 13))::uuid
         where workspace_id = $1"""
    await owner.execute(sql, workspace_id, days * 86_400_000)


async def test_the_audit_log_is_kept_for_ever_unless_told(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    await make_customer(api)
    await _age(owner, "audit_log", shop.id, 40)
    count = "select count(*) from data.audit_log where workspace_id = $1"
    before = await owner.fetchval(count, shop.id)
    await retention.apply(db, shop.id)
    assert await owner.fetchval(count, shop.id) == before
    told(await api.put("/api/privacy/retention", json={"auditDays": 30}))
    assert (await retention.apply(db, shop.id))["audit_days"] == before
    assert await owner.fetchval(count, shop.id) == 1, "that the setting was changed"


async def test_of_whom_nothing_was_heard_is_erased_where_the_workspace_wants_that(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    silent = await make_customer(api, name="Silent")
    buying = await make_customer(api, name="Buying")
    changed = await make_customer(api, name="Changed")
    await make_order(api, buying)
    await settle(db, shop)
    for customer in (silent, buying):
        await owner.execute(
            "update data.customer set updated_at = now() - $2::interval, created_at = now() - $2::interval where id = $1::text::uuid",
            customer["id"],
            timedelta(days=800),
        )
    assert "inactive_customer_months" not in await retention.apply(db, shop.id)
    told(await api.put("/api/privacy/retention", json={"inactiveCustomerMonths": 24}))
    assert (await retention.apply(db, shop.id))["inactive_customer_months"] == 1
    await work(db, owner, shop)
    assert {c["id"] for c in told(await api.get("/api/customers"))["data"]} == {buying["id"], changed["id"]}
    [request] = told(await api.get("/api/privacy/requests"))["data"]
    assert (request["customerId"], request["origin"], request["status"]) == (silent["id"], "retention", "completed")
    assert (await retention.apply(db, shop.id))["inactive_customer_months"] == 0


async def test_files_of_exports_of_persons_go_with_those_of_exports(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    asked = told(await api.post(f"/api/customers/{ann['id']}/privacy/export"), 202)
    await work(db, owner, shop)
    await owner.execute(
        "update data.privacy_request set finished_at = now() - interval '8 days' where workspace_id = $1", shop.id
    )
    assert len(stored(folder)) == 2
    await retention.apply(db, shop.id)
    assert stored(folder) == []
    assert told(await api.get(f"/api/privacy/requests/{asked['id']}"))["files"] == []


async def test_many_who_were_silent_are_erased_by_one_job_and_each_has_a_request(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    silent = [await make_customer(api, name=f"Silent {n}", email=f"s{n}@silent.example") for n in range(23)]
    await owner.execute(
        "update data.customer set updated_at = now() - interval '800 days', created_at = now() - interval '800 days' "
        "where workspace_id = $1",
        shop.id,
    )
    told(await api.put("/api/privacy/retention", json={"inactiveCustomerMonths": 24, "eraseDelayDays": 3}))
    assert (await retention.apply(db, shop.id))["inactive_customer_months"] == 23
    waiting = "select count(*) from data.job where workspace_id = $1 and kind like 'privacy.%' and state = 'queued'"
    assert await owner.fetchval(waiting, shop.id) == 1
    assert (await retention.apply(db, shop.id))["inactive_customer_months"] == 0
    spared = told(await api.get(f"/api/customers/{silent[0]['id']}/privacy"))["data"][0]
    assert (spared["origin"], spared["status"], spared["requestedByName"]) == ("retention", "pending", "Retention")
    told(await api.delete(f"/api/privacy/requests/{spared['id']}"))
    await owner.execute("update data.privacy_request set run_at = now() where workspace_id = $1", shop.id)
    await owner.execute("update data.job set waiting = false where workspace_id = $1", shop.id)
    await work(db, owner, shop, "privacy.%")
    assert [c["id"] for c in told(await api.get("/api/customers"))["data"]] == [silent[0]["id"]]
    requests = told(await api.get("/api/privacy/requests", params={"limit": "50", "status": "completed"}))["data"]
    assert {r["customerId"] for r in requests} == {c["id"] for c in silent[1:]}
    for request in requests:
        certificate = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
        assert request["customerId"] in certificate["customerIds"]
        assert len(certificate["customerIds"]) <= 10


async def test_who_changes_what_somebody_else_has_just_changed_is_told(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    told(await api.put("/api/privacy/retention", json={"rawWebhookDays": 3}))
    async with asyncio.TaskGroup() as tasks, owner.transaction():
        await owner.execute(
            "update data.privacy_setting set raw_webhook_days = 4, version = version + 1 where workspace_id = $1",
            shop.id,
        )
        asked = api.put("/api/privacy/retention", json={"rawWebhookDays": 5}, headers={"If-Match": '"1"'})
        late = tasks.create_task(asked)
        waits = "select exists (select 1 from pg_locks where not granted)"
        for _ in range(500):
            await asyncio.sleep(0.01)
            if await owner.fetchval(waits):
                break
    assert late.result().status_code == 412
    kept = told(await api.get("/api/privacy/retention"))
    assert (kept["rawWebhookDays"], kept["version"]) == (4, 2)
