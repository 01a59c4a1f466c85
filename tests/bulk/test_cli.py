"""supover bulk: applied, listed, shown, cancelled and undone."""

from pathlib import Path

import httpx
import pytest

from supover.bulk import cli, commands
from supover.kit import ids
from supover.kit.db import Database
from supover.kit.worker import Worker
from tests.makers import Workspace, make_customer, told
from tests.terminal import Cli


@pytest.fixture
def supover(database: str, shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(cli.bulk, database, shop)


async def test_an_action_is_tried_applied_shown_and_undone(supover: Cli, api: httpx.AsyncClient) -> None:
    ann, bea = [await make_customer(api, name=name, tags=["b2b"]) for name in ("Ann", "Bea")]
    narrowed = ("--filter", "customer_tags CONTAINS 'b2b'")
    dry = await supover.json("apply", "tag", "VIP", "gold", *narrowed, "--dry-run")
    assert (dry["id"], dry["changed"], dry["dryRun"]) == (None, 2, True)
    assert told(await api.get(f"/api/customers/{ann['id']}"))["tags"] == ["b2b"]
    done = await supover.json("apply", "tag", "VIP", "gold", *narrowed)
    assert (done["status"], done["changed"], done["deed"]["tags"]) == ("completed", 2, ["VIP", "gold"])
    assert told(await api.get(f"/api/customers/{bea['id']}"))["tags"] == ["b2b", "VIP", "gold"]
    assert [one["id"] for one in await supover.json("list")] == [done["id"]]
    assert (await supover.json("show", done["id"]))["changed"] == 2
    assert (await supover.json("undo", done["id"]))["status"] == "undone"
    assert told(await api.get(f"/api/customers/{ann['id']}"))["tags"] == ["b2b"]
    assert (await supover.run("cancel", done["id"], code=1)).stderr.startswith("supover: This bulk action has ended")


async def test_values_are_read_as_the_action_takes_them(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    only = ("--id", ann["id"])
    await supover.run("apply", "customField", "size", "42", *only)
    await supover.run("apply", "customField", "word", "not JSON", *only)
    await supover.run("apply", "status", "VIP", *only)
    found = told(await api.get(f"/api/customers/{ann['id']}"))
    assert (found["customFields"], found["status"]) == ({"size": 42, "word": "not JSON"}, "VIP")
    for wrong in (
        ("apply", "nonsense", *only),
        ("apply", "status", *only),
        ("apply", "status", "GREAT", *only),
        ("apply", "block", "x", *only),
        ("apply", "block"),
        ("apply", "block", "--filter", "nonsense = 1"),
        ("apply", "block", "--segment", str(ids.new())),
    ):
        await supover.run(*wrong, code=2)
    await supover.run("show", str(ids.new()), code=1)


async def test_it_ends_with_3_when_some_could_not_be_changed(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    nobody = str(ids.new())
    both = ("--id", ann["id"], "--id", nobody)
    said = await supover.run("apply", "block", *both, code=3)
    assert f"{nobody}: No customer with this id in this workspace" in said.stderr
    rejected = await supover.json("apply", "unblock", *both, "--reject-all", code=3)
    assert (rejected["status"], rejected["changed"]) == ("failed", 0)


async def test_many_are_left_to_a_worker(
    supover: Cli, api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AT_ONCE", 2)
    for n in range(3):
        await make_customer(api, name=f"Ann {n}")
    said = await supover.run("apply", "tag", "VIP", "--search", "ann")
    assert "A worker does it" in said.stderr
    [begun] = await supover.json("list")
    await Worker(db, kinds={commands.JOB, commands.UNDO_JOB}, names=(), poll_s=0.02).drain()
    assert (await supover.json("show", begun["id"]))["status"] == "completed"
    assert "A worker does it" in (await supover.run("undo", begun["id"])).stderr
    await Worker(db, kinds={commands.JOB, commands.UNDO_JOB}, names=(), poll_s=0.02).drain()
    assert (await supover.json("show", begun["id"]))["status"] == "undone"
