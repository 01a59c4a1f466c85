"""supover customers: found, shown, their contacts, the tags in use."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from supover.customers import cli, tag_changes
from supover.kit.db import Database
from supover.kit.worker import Worker
from tests.makers import Workspace, make_customer, make_order, told


class Cli:
    """The command line of one workspace, in a thread of its own as it starts an event loop of its own."""

    def __init__(self, url: str, workspace: Workspace) -> None:
        self.url = url
        self.workspace = workspace

    async def run(self, *args: str, code: int = 0) -> Result:
        given = [*args, "--workspace", str(self.workspace.id)]
        environ = {"SUPOVER_DATABASE_URL": self.url}
        room, *given = given if args[0] in ("tags", "fields", "customers") else ["customers", *given]
        result = await asyncio.to_thread(CliRunner().invoke, getattr(cli, room), given, env=environ)
        assert result.exit_code == code, (args, result.output, result.exception)
        return result

    async def json(self, *args: str) -> Any:
        return json.loads((await self.run(*args, "--json")).stdout)


@pytest.fixture
def supover(database: str, shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(database, shop)


async def test_customers_are_found_as_by_the_api(supover: Cli, api: httpx.AsyncClient) -> None:
    await make_customer(api, name="Nguyễn Văn Anh", phone="+84 912 345 678", tags=["vip"])
    bo = await make_customer(api, name="Bo Nguyen")
    assert [c["name"] for c in await supover.json("find", "nguyen")] == ["Bo Nguyen", "Nguyễn Văn Anh"]
    assert await supover.json("find", "bo") == [bo]
    assert [c["name"] for c in await supover.json("find", "nguyen", "--tag", "vip")] == ["Nguyễn Văn Anh"]
    assert [c["name"] for c in await supover.json("find", "0912 345 678")] == ["Nguyễn Văn Anh"]
    head, _, *rows = (await supover.run("find", "nguyen", "--limit", "1")).stdout.splitlines()
    assert head.split() == ["id", "name", "email", "phone", "status", "orderCount", "totalSpent", "currency", "tags"]
    assert len(rows) == 1
    assert (await supover.run("find", "zzz")).stdout == ""
    assert "search" in (await supover.run("find", "x" * 201, code=2)).stderr


async def test_a_customer_is_shown_by_id_or_email(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="Ann@x.org")
    order = await make_order(api, ann, number="#1")
    whole = told(await api.get(f"/api/customers/{ann['id']}?include=addresses,identities,notes,orders"))
    assert await supover.json("show", ann["id"]) == whole
    assert await supover.json("show", "ann@X.org") == whole
    assert whole["orders"][0]["id"] == order["id"]
    lines = dict(line.split(None, 1) for line in (await supover.run("show", "ann@x.org")).stdout.splitlines())
    assert (lines["name"], lines["email"], lines["isBlocked"]) == ("Ann", "Ann@x.org", "no")
    assert "phone" not in lines
    assert "Nobody has the email bo@x.org in this workspace" in (await supover.run("show", "bo@x.org", code=1)).stderr
    assert "No customer" in (await supover.run("show", str(supover.workspace.id), code=1)).stderr


async def test_contacts_and_tags_are_listed(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann", email="ann@x.org", tags=["vip", "eu"])
    await make_customer(api, name="Bo", tags=["eu"])
    listed = told(await api.get(f"/api/customers/{ann['id']}/identities"))["data"]
    assert await supover.json("identities", "ann@x.org") == listed
    assert "matchedBy" in (await supover.run("identities", ann["id"])).stdout
    assert [(t["tag"], t["customers"]) for t in await supover.json("customers", "tags")] == [("eu", 2), ("vip", 1)]
    assert [t["tag"] for t in await supover.json("customers", "tags", "V")] == ["vip"]
    assert (await supover.run("customers", "tags")).stdout.splitlines()[0].split() == ["tag", "customers", "countedAt"]


async def test_tags_are_changed_in_all_customers(supover: Cli, api: httpx.AsyncClient, db: Database) -> None:
    ann = await make_customer(api, name="Ann", tags=["a", "B", "c"])
    assert (await supover.json("tags", "rename", "A", "x", "--dry-run"))["customers"] == 1
    begun = await supover.json("tags", "rename", "A", "x")
    assert told(await api.get(f"/api/jobs/{begun['jobId']}"))["state"] == "queued"
    await Worker(db, kinds={tag_changes.JOB}, names=(), poll_s=0.02).drain()
    await supover.run("tags", "merge", "b", "X", "--into", "y")
    await Worker(db, kinds={tag_changes.JOB}, names=(), poll_s=0.02).drain()
    assert [t["tag"] for t in await supover.json("tags", "list")] in (["y", "c"], ["c", "y"])
    assert (await supover.json("tags", "delete", "C"))["customers"] == 1
    await Worker(db, kinds={tag_changes.JOB}, names=(), poll_s=0.02).drain()
    assert told(await api.get(f"/api/customers/{ann['id']}"))["tags"] == ["y"]
    assert "into" in (await supover.run("tags", "rename", "y", " ", code=2)).stderr
    actions = [e["action"] for e in told(await api.get("/api/audit"))["data"]]
    assert [a for a in actions if a.startswith("tags.")] == ["tags.delete", "tags.merge", "tags.rename"]


async def test_custom_fields_are_declared_listed_and_deleted(supover: Cli, api: httpx.AsyncClient) -> None:
    made = await supover.json(
        "fields", "create", "roast", "choice", "--choice", "light", "--choice", "dark", "--indexed"
    )
    assert (made["choices"], made["indexState"], made["misfits"]) == (["light", "dark"], "building", 0)
    await supover.run(
        "fields", "create", "card", "text", "--pattern", "[A-Z]+", "--required", "--unique", "--label", "Card"
    )
    listed = told(await api.get("/api/custom-fields"))["data"]
    assert await supover.json("fields", "list") == listed
    assert (await supover.run("fields", "list")).stdout.split()[:4] == ["id", "key", "label", "type"]
    assert (listed[1]["label"], listed[1]["isRequired"], listed[1]["isUnique"]) == ("Card", True, True)
    refused = await supover.run("fields", "create", "a", "string", code=2)
    assert "text, number, date, boolean, choice, list" in refused.stderr
    assert "choices" in (await supover.run("fields", "create", "a", "choice", code=2)).stderr
    await supover.run("fields", "delete", "ROAST")
    assert [f["key"] for f in told(await api.get("/api/custom-fields"))["data"]] == ["card"]
    assert "No custom field roast" in (await supover.run("fields", "delete", "roast", code=1)).stderr
    actions = [e["action"] for e in told(await api.get("/api/audit"))["data"]]
    assert actions == ["fields.delete", "fields.create", "fields.create"]
