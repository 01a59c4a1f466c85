"""A file that is taken back after its customers were merged says whom it left; so the merge can still be undone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from supover import settings as configuration
from supover.kit.db import Database
from tests.imports.customer_files import imported, reverted
from tests.makers import Workspace, application, make_address, make_customer, png, told
from tests.merging.arrange import customer, differences, listed, merge, settle, undo
from tests.privacy.arrange import stored, work

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


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


async def test_what_was_joined_and_then_taken_back_with_its_file_is_not_put_back(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com")
    place = {"line1": "1 High St", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"}
    await make_address(api, ann, type="BOTH", **place)
    own = await make_address(api, twin, type="BOTH", **{**place, "line1": "2 High St"})
    await make_address(api, ann, type="BOTH", **{**place, "line1": "2 High St"})
    content = "email,line1,city,postalCode,addressCountry\nann@two.com,1 High St,Leeds,LS1 1AA,GB\n"
    run = await imported(api, db, shop, folder, content)
    [brought] = [a for a in await listed(api, f"/api/customers/{twin['id']}/addresses") if a["id"] != own["id"]]
    done = await merge(api, ann, twin)
    assert done["joined"] == {"addresses": 2}
    await reverted(api, db, shop, run)
    undone = await undo(api, done)
    assert [a["id"] for a in await listed(api, f"/api/customers/{twin['id']}/addresses")] == [own["id"]]
    [left] = undone["merge"]["notPutBack"]
    assert (left["kind"], left["id"], left["why"]) == (
        "addresses",
        brought["id"],
        "the file that brought it was taken back since",
    )
    assert undone["merge"]["putBack"]["addresses"] == 1
    assert len(await listed(api, f"/api/customers/{ann['id']}/addresses")) == 2


async def test_pictures_that_gave_way_are_forgotten_with_the_merge(
    api: httpx.AsyncClient, db: Database, owner: "Connection", shop: Workspace, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann Lee", email="ann@one.com")
    twin = await make_customer(api, name="Ann Lee", email="ann@two.com")
    for one in (ann, twin):
        told(await api.put(f"/api/customers/{one['id']}/avatar", files={"file": ("me.png", png())}))
    done = await merge(api, ann, twin, fields={"avatarUrl": {"customerId": twin["id"]}})
    told(await api.put(f"/api/customers/{ann['id']}/avatar", files={"file": ("new.png", png())}))
    await work(db, owner, shop)
    assert len(stored(folder)) == 3, "the one that gave way comes back with an undo"
    await undo(api, done)
    await work(db, owner, shop)
    assert len(stored(folder)) == 2
    for one in (ann, twin):
        assert (await api.get(f"/api/customers/{one['id']}/avatar")).status_code == 200
