"""A file that is taken back after its customers were merged says whom it left; so the merge can still be undone."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from supover import settings as configuration
from supover.kit.db import Database
from tests.imports.customer_files import imported, reverted
from tests.makers import Workspace, application, make_customer, told
from tests.merging.arrange import customer, differences, listed, merge, settle, undo


@pytest.fixture
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri())
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path


async def test_taking_a_file_back_keeps_who_was_merged_and_says_so(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    content = (
        "email,name,tags,line1,city,addressCountry\n"
        "ann@one.com,,sale,1 High St,Leeds,GB\n"
        "ann@two.com,Ann Lee,new,2 High St,Leeds,GB\n"
        "bob@one.com,Bob,new,3 High St,Leeds,GB\n"
    )
    run = await imported(api, db, shop, folder, content)
    assert (run["created"], run["updated"]) == (2, 1)
    [twin] = await listed(api, "/api/customers?email=ann@two.com")
    done = await merge(api, ann, twin)
    assert done["customer"]["tags"] == ["sale", "new"]
    back = await reverted(api, db, shop, run)
    assert (back["removed"], back["kept"]) == (1, 1)
    [left] = await listed(api, f"/api/imports/{run['id']}/kept")
    assert (left["customerId"], left["why"]) == (twin["id"], "merged")
    # What the file said of the survivor is gone, what came with the other is there.
    assert (await customer(api, ann["id"]))["tags"] == ["new"]
    places = [a["line1"] for a in await listed(api, f"/api/customers/{ann['id']}/addresses")]
    assert places == ["2 High St"]
    await undo(api, done)
    assert (await customer(api, ann["id"]))["tags"] == []
    assert (await customer(api, twin["id"]))["tags"] == ["new"]
    assert [a["line1"] for a in await listed(api, f"/api/customers/{twin['id']}/addresses")] == ["2 High St"]
    await settle(db, shop)
    assert await differences(db, shop) == []


async def test_a_file_that_names_the_old_email_or_id_means_the_survivor(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com", source="SHOPIFY", external_id="77")
    await merge(api, ann, twin)
    await imported(api, db, shop, folder, "externalId,source,email,tags\n77,SHOPIFY,ann@two.com,by id\n")
    await imported(api, db, shop, folder, "email,tags\nann@two.com,by email\n", match="email")
    assert {"by id", "by email"} <= set((await customer(api, ann["id"]))["tags"])
    assert [one["id"] for one in await listed(api, "/api/customers")] == [ann["id"]]
    created = [e for e in await listed(api, f"/api/customers/{ann['id']}/timeline") if e["type"] == "CustomerCreated"]
    assert {e["customerId"] for e in created} == {ann["id"], twin["id"]}
    assert told(await api.get(f"/api/customers/{ann['id']}"))["externalId"] is None
