"""supover customers export-data, erase, cancel-erasure and erasures."""

import json
from pathlib import Path

import httpx
import msgspec
import pytest

from supover import settings as configuration
from supover import terminal
from supover.kit import ids
from supover.privacy import cli
from tests.makers import Json, Workspace, make_customer, told
from tests.terminal import Cli


@pytest.fixture
def supover(database: str, shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    here = msgspec.structs.replace(configuration.load(), database_url=database)
    monkeypatch.setattr(terminal, "load", lambda: here)
    monkeypatch.chdir(tmp_path)
    return Cli(cli.customers, database, shop)


async def test_what_is_kept_is_written_to_files_and_to_standard_output(
    supover: Cli, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee")
    said = json.loads((await supover.run("export-data", ann["id"])).stdout)
    assert said["profiles"][0]["name"] == "Ann Lee"
    await supover.run("export-data", ann["id"], "--out", "ann.json", "--page", "ann.html")
    assert json.loads((tmp_path / "ann.json").read_bytes())["customerId"] == ann["id"]
    assert "Ann Lee" in (tmp_path / "ann.html").read_text("utf-8")
    for option in ("--out", "--page"):
        missing = await supover.run("export-data", ann["id"], option, "nowhere/ann", code=1)
        assert missing.stderr == "supover: nowhere/ann cannot be written: No such file or directory.\n"
    missing = await supover.run("erasures", "--out", "nowhere/list", code=1)
    assert "nowhere/list cannot be written" in missing.stderr


async def test_of_who_was_merged_the_survivor_is_told_and_of_who_was_erased_nothing(
    supover: Cli, api: httpx.AsyncClient
) -> None:
    ann, twin = [await make_customer(api, name=name) for name in ("Ann", "Twin")]
    told(await api.post("/api/customers/merge", json={"primaryId": ann["id"], "duplicateIds": [twin["id"]]}))
    for command in (("export-data", twin["id"]), ("erase", twin["id"], "--yes")):
        merged = await supover.run(*command, code=1)
        assert f"Customer {ann['id']} has everything of it now" in merged.stderr
    assert len(json.loads((await supover.run("export-data", ann["id"])).stdout)["profiles"]) == 2
    done = await supover.json("erase", ann["id"], "--yes")
    assert (done["status"], sorted(done["customerIds"])) == ("completed", sorted([ann["id"], twin["id"]]))
    erased = await supover.run("export-data", ann["id"], code=1)
    assert "was erased" in erased.stderr
    assert "No customer with this id" in (await supover.run("export-data", str(ids.new()), code=1)).stderr


async def test_a_delayed_erasure_is_cancelled(supover: Cli, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    await supover.run("erase", ann["id"], code=2)
    await supover.run("erase", code=2)
    too_long = await supover.run("erase", ann["id"], "--yes", "--reason", "x" * 1001, code=2)
    assert "--reason: can have at most 1000 characters" in too_long.stderr
    dry = await supover.json("erase", ann["id"], "--dry-run")
    assert (dry["dryRun"], dry["rows"]["customer"]) == (True, 1)
    shown = (await supover.run("erase", ann["id"], "--dry-run")).stdout
    assert "{" not in shown
    asked = await supover.json("erase", ann["id"], "--yes", "--delay-days", "7")
    assert asked["status"] == "pending"
    again = await supover.run("erase", ann["id"], "--yes")
    assert f"Nothing is erased before {asked['runAt'][:10]}" in again.stderr
    assert f"supover customers cancel-erasure {asked['id']}" in again.stderr
    assert (await supover.json("cancel-erasure", asked["id"]))["status"] == "cancelled"
    assert _name(await api.get(f"/api/customers/{ann['id']}")) == "Ann"
    [newest, *_] = told(await api.get("/api/audit?actor=cli"))["data"]
    assert (newest["action"], newest["subjectId"]) == ("privacy.cancel", asked["id"])
    assert "No request of privacy" in (await supover.run("cancel-erasure", str(ids.new()), code=1)).stderr


async def test_a_file_that_is_no_list_of_erasures_is_named_with_its_line(
    supover: Cli, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    ann = await make_customer(api, name="Ann")
    await supover.run("erase", ann["id"], "--yes")
    await supover.run("erasures", "--out", "list.jsonl")
    assert (await supover.json("erase", "--replay", "list.jsonl"))["lines"] == 1
    (tmp_path / "list.jsonl").write_text((tmp_path / "list.jsonl").read_text("utf-8") + "{\n", "utf-8")
    broken = await supover.run("erase", "--replay", "list.jsonl", code=2)
    assert broken.stderr.startswith("supover: --replay list.jsonl, line 3: ")


def _name(answer: httpx.Response) -> str:
    found: Json = told(answer)
    return found["name"]
