"""supover segments, as people type it."""

from pathlib import Path

import pytest

from supover.kit.db import Database
from tests.makers import client, make_customer, make_workspace
from tests.segments.arrange import settle
from tests.test_cli import Cli


@pytest.fixture
async def supover(database: str, db: Database, tmp_path: Path) -> Cli:
    """The command line, in a workspace of its own."""
    return Cli(database, await make_workspace(db), tmp_path)


async def test_a_segment_is_made_changed_looked_into_and_deleted(supover: Cli, db: Database) -> None:
    made = await supover.json("segments", "create", "Big names", "status = 'VIP'")
    assert (made["name"], made["complete"]) == ("Big names", False)
    async with client(db, supover.workspace.key) as api:
        for n in range(3):
            await make_customer(api, name=f"Customer {n}", status="VIP" if n else "ACTIVE")
    await settle(db, supover.workspace)
    found = await supover.json("segments", "members", "big names")
    assert {one["name"] for one in found} == {"Customer 1", "Customer 2"}
    [first] = await supover.json("segments", "members", made["id"], "--limit", "1")
    assert first == found[0]
    shown = await supover.run("segments", "members", "Big names", *supover.here)
    assert "Customer 2" in shown.stdout
    changed = await supover.json(
        "segments", "change", "Big names", "--name", "VIPs of ours", "--description", "For the gala"
    )
    assert (changed["name"], changed["description"], changed["filter"]) == (
        "VIPs of ours",
        "For the gala",
        made["filter"],
    )
    changed = await supover.json("segments", "change", "VIPs of ours", "--filter", "status = 'ACTIVE'")
    assert (changed["complete"], changed["version"]) == (False, 3)
    await supover.run("segments", "change", "VIPs of ours", "--filter", "shoe_size > 4", *supover.here, code=2)
    gone = await supover.json("segments", "delete", "VIPs of ours")
    assert gone["id"] == made["id"]
    refused = await supover.run("segments", "members", "VIPs of ours", *supover.here, code=1)
    assert "None is called 'VIPs of ours'" in refused.stderr
