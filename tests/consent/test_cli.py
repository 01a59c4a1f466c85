"""The terminal's way to consent and suppressions."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from supover.consent import cli
from tests.consent.test_preferences import choose
from tests.makers import Workspace, make_customer, told


@pytest.fixture
def terminal(
    database: str, shop: Workspace, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    """Runs a command on this workspace; returns its JSON."""
    del api  # the application has said by which settings this process runs
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPOVER_DATABASE_URL", database)

    def run(app: Any, *args: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, [*args, "--workspace", str(shop.id), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else done.output

    return run


async def apart(what: Any, *args: Any, **more: Any) -> Any:
    """Commands start a loop of their own."""
    return await asyncio.to_thread(what, *args, **more)


async def test_a_customers_preferences_are_shown(terminal: Any, api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, email="ann@lee.example")
    await choose(api, ann, "SUBSCRIBED", "2026-05-01T00:00:00Z")
    found = await apart(terminal, cli.consent, "show", ann["id"])
    assert found == told(await api.get(f"/api/customers/{ann['id']}/communication-preferences"))
    missing = await apart(terminal, cli.consent, "show", "01934f2a-7c1e-7b32-9a10-5f0c8f7e4d21", code=1)
    assert "No customer with this id" in missing


async def test_contacts_are_suppressed_listed_and_lifted(terminal: Any, api: httpx.AsyncClient) -> None:
    made = await apart(terminal, cli.suppressions, "add", "ann@lee.example", "--reason", "bounced")
    assert (made["contact"], made["reason"], made["actor"]) == ("ann@lee.example", "bounced", "cli")
    assert told(await api.get(f"/api/suppressions/{made['id']}")) == made
    assert await apart(terminal, cli.suppressions, "list", "--contact", "ANN@lee.example") == [made]
    assert await apart(terminal, cli.suppressions, "remove", made["id"]) == made
    assert await apart(terminal, cli.suppressions, "list") == []
    assert "No suppression" in await apart(terminal, cli.suppressions, "remove", made["id"], code=1)
    assert "channel: is required" in await apart(terminal, cli.suppressions, "add", "+442079460018", code=2)
    audit = told(await api.get("/api/audit"))["data"]
    assert {"suppressions.create", "suppressions.delete"} <= {row["action"] for row in audit}
