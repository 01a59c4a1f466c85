"""The terminal's way to channels and the inbox."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from supover.inbox import cli
from tests.inbox.arrange import SECRET, Connected, payload


@pytest.fixture
def terminal(database: str, shopify: Connected, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command on this workspace; returns its JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPOVER_DATABASE_URL", database)

    def run(app: Any, *args: str, given: str = "", code: int = 0) -> Any:
        done = CliRunner().invoke(app, [*args, "--workspace", str(shopify.workspace.id), "--json"], input=given)
        assert done.exit_code == code, done.output
        assert SECRET not in done.output
        return json.loads(done.stdout) if code == 0 else done.output

    return run


async def _apart(what: Any, *args: Any, **more: Any) -> Any:
    """Commands start a loop of their own."""
    import asyncio

    return await asyncio.to_thread(what, *args, **more)


async def test_a_shop_is_connected_rotated_and_disconnected(terminal: Any) -> None:
    made = await _apart(
        terminal, cli.channels, "connect", "shopify", "pens.myshopify.com", "--name", "Pens", given=SECRET + "\n"
    )
    assert (made["platform"], made["shop"], made["name"]) == ("SHOPIFY", "pens.myshopify.com", "Pens")
    rotated = await _apart(terminal, cli.channels, "rotate", made["id"], given="another secret\n")
    assert rotated["overlapsUntil"] is not None
    assert len(await _apart(terminal, cli.channels, "list")) == 2
    ended = await _apart(terminal, cli.channels, "disconnect", made["id"])
    assert ended["disconnectedAt"] is not None
    assert len(await _apart(terminal, cli.channels, "list")) == 1
    assert len(await _apart(terminal, cli.channels, "list", "--all")) == 2
    refused = await _apart(terminal, cli.channels, "connect", "EBAY", "pens.myshopify.com", given=SECRET, code=2)
    assert "PLATFORM: must be one of SHOPIFY" in refused


async def test_messages_are_listed_shown_and_replayed(terminal: Any, shopify: Connected) -> None:
    dead = await shopify.take("orders/create", payload("order_created", total_price="ten"))
    [listed] = await _apart(terminal, cli.inbox, "list", "--status", "dead")
    assert listed["reason"] == "/total_price: invalid decimal string"
    assert (await _apart(terminal, cli.inbox, "show", dead["id"]))["topic"] == "orders/create"
    assert (await _apart(terminal, cli.inbox, "show", dead["id"], "--body"))["total_price"] == "ten"
    assert await _apart(terminal, cli.inbox, "replay", "--topic", "orders/paid") == {"replayed": 0, "more": False}
    assert await _apart(terminal, cli.inbox, "replay", dead["id"]) == {"replayed": 1, "more": False}
    assert await _apart(terminal, cli.inbox, "list", "--status", "dead") == []
    assert "--status: must be one of" in await _apart(terminal, cli.inbox, "list", "--status", "lost", code=2)
