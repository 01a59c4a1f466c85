"""Erasing a person: nothing is left of them, and of others nothing is touched."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from supover.kit.db import Database
from tests.makers import Workspace, make_customer, make_order, told
from tests.privacy.arrange import (
    CANARIES,
    EMAIL,
    LINE,
    NAME,
    PHONE,
    ask,
    dump,
    make_others,
    make_somebody,
    mentions,
    stored,
    work,
)

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def test_after_an_erasure_no_table_and_no_file_tells_of_the_person(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    zoe = await make_somebody(api)
    await make_others(api)
    told(await api.post(f"/api/customers/{zoe['id']}/privacy/export"), 202)
    await work(db, owner, shop)
    before = await dump(owner, shop.id)
    assert {canary for canary in CANARIES if mentions(before, (canary,))} >= set(CANARIES) - {"203.0.113.77"}
    assert len(stored(folder)) == 3, "a picture, and the two files of an export"
    request = await ask(api, zoe)
    await work(db, owner, shop)
    after = await dump(owner, shop.id)
    assert mentions(after) == []
    assert stored(folder) == []
    certificate = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
    assert certificate["status"] == "completed"
    assert certificate["customerIds"] == [zoe["id"]]
    assert certificate["ordersKept"] == 1


async def test_those_who_were_merged_go_too_with_what_the_merge_remembers(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    zoe = await make_somebody(api)
    twin = await make_customer(api, name="Zora Featherquill", email="zora@second-mail.example", phone="+49 170 1112223")
    told(await api.post(f"/api/customers/{twin['id']}/notes", json={"note": "likes turquoise"}), 201)
    other = await make_customer(api, name="Zara Featherquill", phone="+49 170 1112223")
    await make_order(api, twin, external_id="twin-1", note="turquoise wrapping")
    await work(db, owner, shop)
    merged = told(await api.post("/api/customers/merge", json={"primaryId": zoe["id"], "duplicateIds": [twin["id"]]}))
    await work(db, owner, shop)
    request = await ask(api, zoe)
    await work(db, owner, shop, "privacy.%")
    twins = ("zora", "second-mail", "turquoise")
    assert mentions(await dump(owner, shop.id), (*CANARIES, *twins)) == []
    certificate = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
    assert set(certificate["customerIds"]) == {zoe["id"], twin["id"]}
    assert certificate["ordersKept"] == 2
    assert told(await api.get(f"/api/customers/{other['id']}"))["phone"] == "+49 170 1112223"
    refused = await api.post(f"/api/merges/{merged['mergeId']}/undo")
    assert refused.status_code in (404, 409)


async def test_a_pending_erasure_stands_in_the_way_of_merging(api: httpx.AsyncClient) -> None:
    ann, twin = await make_customer(api, name="Ann Lee"), await make_customer(api, name="Ann Lee")
    await ask(api, ann, delayDays=5)
    refused = await api.post("/api/customers/merge", json={"primaryId": twin["id"], "duplicateIds": [ann["id"]]})
    assert refused.status_code == 409
    assert "privacy_request_pending" in refused.text


async def test_great_acts_and_their_files_keep_nothing_of_the_person(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    rows = [
        "email,name,phone,country,line1,status",
        f"{EMAIL},{NAME},{PHONE},DE,{LINE},",
        f"broken@@mail-of-zoe.example,{NAME},{PHONE},DE,{LINE},{NAME}",
    ]
    file = ("zoe quillfeather.csv", "\n".join(rows).encode())
    told(await api.post("/api/customers/import", files={"file": file}), 202)
    await work(db, owner, shop)
    [zoe] = told(await api.get("/api/customers"))["data"]
    rows = ["email,name", f"{EMAIL},{NAME} III"]
    told(await api.post("/api/customers/import", files={"file": ("more.csv", "\n".join(rows).encode())}), 202)
    await work(db, owner, shop)
    rows = ["email,name", f"{EMAIL},{NAME} IV"]
    file = ("trial.csv", "\n".join(rows).encode())
    told(await api.post("/api/customers/import", files={"file": file}, data={"dryRun": "true"}), 202)
    deed = {"action": "tag", "tags": ["left handed"], "filter": f"customer_email = '{EMAIL}'"}
    told(await api.post("/api/customers/bulk", json=deed))
    await work(db, owner, shop)
    for format in ("csv", "xlsx", "jsonl"):
        asked = {"format": format, "search": NAME}
        told(await api.post("/api/customers/export", json=asked, headers={"Prefer": "respond-async"}), 202)
    told(
        await api.post(
            "/api/customers/export", json={"format": "csv", "search": "nobody"}, headers={"Prefer": "respond-async"}
        ),
        202,
    )
    await work(db, owner, shop)
    assert len(stored(folder)) == 5
    dumped = await dump(owner, shop.id)
    held = {m.partition(":")[0] for m in mentions(dumped)}
    assert held >= {
        "import_change",
        "import_error",
        "import_run",
        "customer_journal",
        "bulk_action",
        "export_run",
        "audit_log",
        "customer",
        "address",
    }
    request = await ask(api, zoe)
    await work(db, owner, shop)
    # That somebody tagged many is no word about one.
    own = tuple(canary for canary in CANARIES if canary != "left handed")
    assert mentions(await dump(owner, shop.id), own) == []
    assert len(stored(folder)) == 1, "the export in which the person is not"
    assert told(await api.get(f"/api/privacy/erasures/{request['id']}"))["files"] == 4


async def test_what_is_being_exported_at_that_moment_is_ended(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    run = told(await api.post("/api/customers/export", json={"format": "jsonl"}), 202)
    await owner.execute("update data.export_run set status = 'running' where workspace_id = $1", shop.id)
    await ask(api, ann)
    await work(db, owner, shop, "privacy.%")
    assert told(await api.get(f"/api/exports/{run['id']}"))["status"] == "cancelled"
    told(await api.post(f"/api/exports/{run['id']}/retry"))


async def test_one_who_was_deleted_and_one_without_anything_can_be_erased(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    gone, bare = (
        await make_customer(api, name="Gone Away", email="gone@away.example"),
        await make_customer(api, name="Bare"),
    )
    told(await api.delete(f"/api/customers/{gone['id']}"), 204)
    for customer in (gone, bare):
        request = await ask(api, customer)
        await work(db, owner, shop)
        assert told(await api.get(f"/api/privacy/requests/{request['id']}"))["status"] == "completed"
    assert mentions(await dump(owner, shop.id), ("gone away", "away.example")) == []


async def test_copied_out_byte_by_byte_nothing_tells_of_the_person(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    zoe = await make_somebody(api)
    before = await _copied(owner, shop)
    await ask(api, zoe)
    await work(db, owner, shop)
    after = await _copied(owner, shop)
    texts = [
        text.encode()
        for text in ("mail-of-zoe", "quillfeather", "nebelhorn", "lilac", "+4915123456789", "151 2345-6789", "81675")
    ]
    assert [text in before for text in texts] == [True] * len(texts)
    assert [text in after for text in texts] == [False] * len(texts)


async def _copied(owner: "Connection", shop: Workspace) -> bytes:
    """Every row of the workspace as PostgreSQL stores its values, in lower case."""
    blocks: list[bytes] = []

    async def keep(block: bytes) -> None:
        blocks.append(block.lower())

    tables = """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
                 where c.relnamespace = 'data'::regnamespace and c.relkind = 'r'"""
    for row in await owner.fetch(tables):
        await owner.copy_from_query(
            f"select * from data.\"{row[0]}\" where workspace_id = '{shop.id}'", output=keep, format="binary"
        )
    return b"".join(blocks)


async def test_the_file_of_an_import_that_is_under_way_goes_once_that_has_ended(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient, folder: Path
) -> None:
    zoe = await make_customer(api, name=NAME, email=EMAIL)
    files = [f"email,name\n{text}\n" for text in (f"{EMAIL},{NAME}", f"x{EMAIL[1:]},{NAME}", "ann@lee.example,Ann Lee")]
    runs = [
        told(await api.post("/api/customers/import", files={"file": (f"{n}.csv", text.encode())}), 202)
        for n, text in enumerate(files)
    ]
    await owner.execute("update data.import_run set status = 'running' where id = $1::text::uuid", runs[1]["id"])
    request = await ask(api, zoe)
    await work(db, owner, shop, "privacy.%")
    assert len(stored(folder)) == 3, "they are being read"
    assert told(await api.get(f"/api/privacy/erasures/{request['id']}"))["files"] == 2
    # All of them fail, and would be kept for a week.
    await owner.execute(
        "update data.import_run set status = 'failed', finished_at = now() where workspace_id = $1", shop.id
    )
    await owner.execute("update data.job set waiting = false where workspace_id = $1", shop.id)
    await work(db, owner, shop, "privacy.%")
    assert stored(folder) == [files[2].encode()]
    assert await owner.fetchval("select count(file_key) from data.import_run where workspace_id = $1", shop.id) == 1


async def test_who_was_merged_into_somebody_meanwhile_is_erased_with_them(
    db: Database, owner: "Connection", shop: Workspace, api: httpx.AsyncClient
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@lee.example")
    twin = await make_customer(api, name="Anna Leeward", email="anna@leeward.example")
    request = await ask(api, twin, delayDays=5)
    status = "update data.privacy_request set status = $2 where workspace_id = $1"
    await owner.execute(status, shop.id, "cancelled")
    told(await api.post("/api/customers/merge", json={"primaryId": ann["id"], "duplicateIds": [twin["id"]]}))
    await owner.execute(status, shop.id, "pending")
    await owner.execute("update data.job set waiting = false where workspace_id = $1", shop.id)
    await work(db, owner, shop, "privacy.%")
    certificate = told(await api.get(f"/api/privacy/erasures/{request['id']}"))
    assert certificate["status"] == "completed"
    assert set(certificate["customerIds"]) == {ann["id"], twin["id"]}
    assert mentions(await dump(owner, shop.id), ("ann@lee", "leeward")) == []
