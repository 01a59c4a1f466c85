"""supover duplicates: listed, shown, dismissed, reopened and accepted."""

from pathlib import Path

import httpx
import pytest

from supover.duplicates import cli
from supover.kit import ids
from tests.makers import Json, Workspace, make_customer, told
from tests.terminal import Cli


@pytest.fixture
def supover(database: str, shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(cli.duplicates, database, shop)


async def make_pair(api: httpx.AsyncClient, supover: Cli) -> tuple[Json, Json, Json]:
    """Two customers with one phone, and their pair."""
    ann = await make_customer(api, name="Ann Lee", phone="+49 151 23456789")
    twin = await make_customer(api, name="Anne Lee", phone="+4915123456789")
    [pair] = await supover.json("list", "--customer", ann["id"])
    return ann, twin, pair


async def test_a_pair_is_shown_with_both_customers_and_what_speaks_for_it(supover: Cli, api: httpx.AsyncClient) -> None:
    ann, twin, pair = await make_pair(api, supover)
    whole = await supover.json("show", pair["id"])
    assert {whole["a"]["id"], whole["b"]["id"]} == {ann["id"], twin["id"]}
    shown = (await supover.run("show", pair["id"])).stdout
    assert "Ann Lee" in shown
    assert "same phone" in shown
    assert "{" not in shown
    listed = (await supover.run("list")).stdout.splitlines()
    assert listed[0].split() == ["id", "score", "level", "a", "b", "reasons"]
    assert "No pair of customers" in (await supover.run("show", str(ids.new()), code=1)).stderr


async def test_a_dismissal_is_listed_and_taken_back(supover: Cli, api: httpx.AsyncClient) -> None:
    _, _, pair = await make_pair(api, supover)
    too_long = await supover.run("dismiss", pair["id"], "--note", "x" * 1001, code=2)
    assert "--note: can have at most 1000 characters" in too_long.stderr
    dismissed = await supover.json("dismiss", pair["id"], "--note", "mother and daughter")
    assert (dismissed["status"], dismissed["note"]) == ("dismissed", "mother and daughter")
    assert await supover.json("list") == []
    assert [one["id"] for one in await supover.json("list", "--status", "dismissed")] == [pair["id"]]
    assert (await supover.json("reopen", pair["id"]))["status"] == "open"
    [newest, *_] = told(await api.get("/api/audit?actor=cli"))["data"]
    assert (newest["action"], newest["subjectId"]) == ("duplicates.reopen", pair["id"])
    for option in ("--status", "--level"):
        assert "must be" in (await supover.run("list", option, "new", code=2)).stderr


async def test_who_is_accepted_says_what_to_undo(supover: Cli, api: httpx.AsyncClient) -> None:
    ann, twin, pair = await make_pair(api, supover)
    neither = await supover.run("accept", pair["id"], "--primary", str(ids.new()), code=2)
    assert "--primary: is neither of the two" in neither.stderr
    shown = (await supover.run("accept", pair["id"], "--primary", ann["id"])).stdout
    [merge] = told(await api.get(f"/api/merges?customerId={twin['id']}"))["data"]
    assert (merge["primaryId"], merge["duplicateIds"]) == (ann["id"], [twin["id"]])
    assert merge["id"] in shown
    assert "They were merged" in (await supover.run("accept", pair["id"], code=1)).stderr
